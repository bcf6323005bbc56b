//! What is in sight at every size: who and how it is and how much waits, what one looks at, what a key acts on, the next
//! keys, and what each scene is about.

use ratatui::buffer::Buffer;
use ratatui::style::Modifier;

use super::frames::thick_frames;
use super::look::{Look, telling};
use super::{Scene, at_every_size, at_the_main_sizes, said_lines};
use crate::config::console::THEMES;
use crate::console::app::App;
use crate::console::command::Id;
use crate::console::keys;
use crate::console::pane::Pane;
use crate::console::panes::errors;
use crate::console::panes::record::RecordTab;
use crate::console::tests::screens::{drawn, rows, text_of};
use crate::console::theme::Theme;
use crate::console::widgets::cells::count;
use crate::domain::reports::overview::MappingStatus;
use crate::logs::sanitize::sanitize;

/// What of a scene's promise is not on the screen in the look that means it. A promise may name several texts, apart by
/// `|`, where a wider screen says more.
fn missing(says: &[(Look, &str)], screen: &Buffer, theme: Theme) -> Vec<String> {
    let rows = rows(screen);
    let stands = |look: Look, text: &str| {
        rows.iter().zip(0..).any(|(row, y)| {
            row.places(text).any(|columns| columns.into_iter().all(|x| look.is_of(&screen[(x, y)], theme)))
        })
    };
    let kept = |(look, texts): &&(Look, &str)| texts.split('|').any(|text| stands(*look, text));
    says.iter().filter(|promise| !kept(promise)).map(|promise| format!("{promise:?}")).collect()
}

#[test]
fn every_scene_says_what_it_is_about_from_80_columns_on() {
    let mut seen = Vec::new();
    at_every_size(|(name, says, _), app| {
        if app.ctx.size.0 < 80 {
            return;
        }
        app.ctx.theme = telling();
        let screen = drawn(app);
        let missing = missing(says, &screen, app.ctx.theme);
        if !missing.is_empty() {
            seen.push(format!(
                "{name} at {:?} misses {}\n{}",
                app.ctx.size,
                missing.join(" "),
                text_of(&screen)
            ));
        }
    });
    assert!(seen.is_empty(), "{}", seen.join("\n"));
}

#[test]
fn every_scene_says_it_in_the_looks_of_every_theme() {
    let mut seen = Vec::new();
    at_the_main_sizes(|(name, says, _), app| {
        // The signs of the ASCII theme are others; its looks are compared cell by cell.
        for theme in THEMES.into_iter().filter(|theme| *theme != "ascii") {
            app.ctx.theme = Theme::named(theme).unwrap();
            let missing = missing(says, &drawn(app), app.ctx.theme);
            if !missing.is_empty() {
                seen.push(format!("{name} at {:?} in {theme} misses {}", app.ctx.size, missing.join(" ")));
            }
        }
    });
    assert!(seen.is_empty(), "{}", seen.join("\n"));
}

#[test]
fn every_scene_promises_something() {
    for (name, says, _) in super::all() {
        assert!(!says.is_empty() && says.iter().all(|(_, text)| !text.is_empty()), "{name}");
    }
}

#[test]
fn the_first_line_says_who_and_how_it_is_and_how_much_waits() {
    let mut seen = Vec::new();
    at_every_size(|(name, ..), app| {
        let screen = drawn(app);
        if thick_frames(&screen).iter().any(|frame| frame.y == 0) {
            return;
        }
        // Behind the last number the line may end.
        let first = rows(&screen).swap_remove(0).text + " ";
        let mut miss =
            |what: &str| seen.push(format!("{name} at {:?} misses {what:?}: {first}", app.ctx.size));
        if !first.starts_with(" syncdeck ") {
            miss(" syncdeck ");
        }
        let Some(overview) = &app.ctx.overview else { return };
        let sum = |of: fn(&MappingStatus) -> i64| overview.mappings.iter().map(of).sum::<i64>();
        // Names of any length may take the room on an old screen.
        let roomy = app.ctx.size.0 >= if name.ends_with("hostile") { 97 } else { 80 };
        for (called, number) in [("pending", sum(|of| of.pending)), ("errors", sum(|of| of.errors))] {
            let whole = format!("   {called} {} ", count(number, 0));
            let begun = first.contains(&whole[..5]);
            if !first.contains(&whole) && (roomy || begun) {
                miss(&whole);
            }
        }
    });
    assert!(seen.is_empty(), "{}", seen.join("\n"));
}

#[test]
fn the_last_line_has_the_first_key_and_the_way_to_all_others() {
    let mut seen = Vec::new();
    at_every_size(|(name, ..), app| {
        if !app.overlays.is_empty() || app.ctx.toast.is_some() {
            return;
        }
        app.ctx.theme = telling();
        let screen = drawn(app);
        let hinted =
            |command: &crate::console::command::Command| command.hinted && command.disabled(app).is_none();
        let mut hints =
            app.ctx.keymap.of(app.ctx.focus).filter(|(command, keys)| hinted(command) && !keys.is_empty());
        let first = hints.next().unwrap();
        let help = app.ctx.keymap.of(app.ctx.focus).find(|(command, _)| command.id == Id::Help).unwrap();
        for (command, command_keys) in [first, help] {
            let key = keys::shown(&command_keys[0]);
            let hint = format!(" {key} {} ", command.title);
            let row = rows(&screen).pop().unwrap();
            let y = screen.area.height - 1;
            let is_there = row.places(&hint).any(|columns| {
                columns[1..=key.chars().count()]
                    .iter()
                    .all(|x| Look::Key.is_of(&screen[(*x, y)], app.ctx.theme))
            });
            if !is_there {
                seen.push(format!("{name} at {:?} misses {hint:?}: {}", app.ctx.size, row.text));
            }
        }
    });
    assert!(seen.is_empty(), "{}", seen.join("\n"));
}

#[test]
fn what_lies_on_top_names_the_way_out() {
    let mut seen = Vec::new();
    at_every_size(|(name, ..), app| {
        app.ctx.theme = telling();
        let screen = drawn(app);
        let Some(frame) = thick_frames(&screen).pop().filter(|_| !app.overlays.is_empty()) else { return };
        let says_esc = rows(&screen).iter().zip(0..).any(|(row, y)| {
            let is_key =
                |x: u16| frame.contains((x, y).into()) && Look::Key.is_of(&screen[(x, y)], app.ctx.theme);
            row.places("Esc").any(|columns| columns.into_iter().all(is_key))
        });
        let stops = text_of(&screen).contains("stopping after the rows under way");
        if !says_esc && !stops {
            seen.push(format!("{name} at {:?}\n{}", app.ctx.size, text_of(&screen)));
        }
    });
    assert!(seen.is_empty(), "{}", seen.join("\n"));
}

/// The beginning of what tells the selected line of the focused pane from others, where one is selected.
fn selected(app: &App) -> Option<String> {
    let told = match app.ctx.focus {
        Pane::Errors => {
            let error = app.errors.selected()?;
            error.row_id.map_or_else(|| errors::subject(error), |row| row.to_string())
        }
        Pane::Pending => app.pending.selected()?.row.row.to_string(),
        Pane::Mappings => app.ctx.overview.as_ref()?.mappings.get(app.mappings.cursor.at)?.name.clone(),
        Pane::Record => {
            let pane = app.selection.record.as_ref().filter(|pane| pane.tab == RecordTab::Fields)?;
            pane.selected()?.0.name.clone()
        }
        Pane::Log => app.log.selected()?.message().to_owned(),
        Pane::Groups => app.groups.selected()?.template.clone(),
    };
    Some(sanitize(&told).chars().take(5).collect())
}

#[test]
fn exactly_the_selected_line_of_the_focused_pane_is_reversed_from_edge_to_edge() {
    let mut seen = Vec::new();
    at_every_size(|(name, ..), app| {
        let Some(told) = selected(app).filter(|_| app.overlays.is_empty()) else { return };
        for theme in ["dark", "mono"] {
            app.ctx.theme = Theme::named(theme).unwrap();
            let screen = drawn(app);
            let frame = thick_frames(&screen)[0];
            let bottom = frame.bottom().min(screen.area.height - said_lines(app, &screen)) - 1;
            let is_reversed = |x: u16, y: u16| screen[(x, y)].modifier.contains(Modifier::REVERSED);
            let inside = || frame.x + 1..frame.right() - 1;
            let lines: Vec<u16> =
                (frame.y + 1..bottom).filter(|y| inside().any(|x| is_reversed(x, *y))).collect();
            let is_whole = |y: u16| inside().all(|x| is_reversed(x, y) || covered(&screen, x, y));
            let said =
                matches!(lines[..], [y] if is_whole(y) && rows(&screen)[usize::from(y)].text.contains(&told));
            if !said {
                seen.push(format!(
                    "{name} at {:?} in {theme}: {told:?} in {lines:?}\n{}",
                    app.ctx.size,
                    text_of(&screen)
                ));
            }
        }
    });
    assert!(seen.is_empty(), "{}", seen.join("\n"));
}

/// Whether a cell is the second half of a wide letter.
fn covered(screen: &Buffer, x: u16, y: u16) -> bool {
    use unicode_width::UnicodeWidthStr;
    x > 0 && screen[(x - 1, y)].symbol().width() > 1
}

#[test]
fn a_promise_that_is_not_kept_is_seen() {
    let (_, _, scene): Scene = super::all().find(|(name, ..)| *name == "errors").unwrap();
    let mut app = scene((120, 40));
    app.ctx.theme = telling();
    let screen = drawn(&app);
    for broken in [(Look::Any, "nobody says this"), (Look::Good, "errors 231"), (Look::Selected, "10234")] {
        assert_eq!(missing(&[broken], &screen, app.ctx.theme).len(), 1, "{broken:?}");
    }
}
