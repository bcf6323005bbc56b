//! What colours say, in every theme and without any.

use std::collections::{BTreeMap, BTreeSet};

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use super::at_the_main_sizes;
use super::look::{Look, ground, role, telling};
use crate::config::console::THEMES;
use crate::console::tests::screens::{composed, rows};
use crate::console::theme::{Always, Theme};

/// Attributes that say something by themselves.
const TELLING: Modifier = Modifier::REVERSED.union(Modifier::UNDERLINED);

/// The first cell of a screen that does not look in a theme as its role does there.
fn unlike(told: &Buffer, screen: &Buffer, theme: Theme) -> Option<String> {
    let (text, behind) = ground(theme);
    told.area.positions().find_map(|at| {
        let (app, cell) = (&told[at], &screen[at]);
        let style = role(app).unwrap_or(Look::Plain).style(theme);
        let attributes = app.modifier | style.add_modifier;
        let is_so = cell.fg == style.fg.unwrap_or(text)
            && cell.bg == behind
            && cell.modifier.contains(attributes)
            && (cell.modifier & TELLING) == (attributes & TELLING);
        (!is_so).then(|| format!("{:?} at {at} is {cell:?}, not {style:?}", role(app)))
    })
}

#[test]
fn every_cell_has_the_look_of_its_role_in_every_theme() {
    let mut seen = Vec::new();
    at_the_main_sizes(|(name, ..), app| {
        app.ctx.theme = telling();
        let told = composed(app);
        for theme in THEMES {
            app.ctx.theme = Theme::named(theme).unwrap();
            let unlike = unlike(&told, &composed(app), app.ctx.theme);
            seen.extend(unlike.map(|what| format!("{name} at {:?} in {theme}: {what}", app.ctx.size)));
        }
    });
    assert!(seen.is_empty(), "{}", seen.join("\n"));
}

#[test]
fn no_color_leaves_every_word_and_no_colour() {
    let mut seen = Vec::new();
    let always = Always { no_color: true, ..Always::default() };
    at_the_main_sizes(|(name, ..), app| {
        app.ctx.theme = telling();
        let told = composed(app);
        for theme in THEMES.into_iter().filter(|theme| *theme != "ascii") {
            app.ctx.theme = Theme::configured(theme, &BTreeMap::new(), always).unwrap();
            let screen = composed(app);
            let is_plain =
                screen.content.iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset));
            let is_same = told.content.iter().zip(&screen.content).all(|(a, b)| a.symbol() == b.symbol());
            if !is_plain || !is_same {
                seen.push(format!(
                    "{name} at {:?} in {theme}: no colour {is_plain}, same {is_same}",
                    app.ctx.size
                ));
            }
            let unlike = unlike(&told, &screen, app.ctx.theme);
            seen.extend(unlike.map(|what| format!("{name} at {:?} in {theme}: {what}", app.ctx.size)));
        }
    });
    assert!(seen.is_empty(), "{}", seen.join("\n"));
}

/// The texts in the colours that say how something is, digits and what is cut off apart.
fn verdicts(screen: &Buffer) -> Vec<(String, Look)> {
    let mut verdicts: Vec<(String, Look)> = Vec::new();
    for (row, y) in rows(screen).iter().zip(0..) {
        let mut before = None;
        for (x, c) in row.letters() {
            let cell = &screen[(x, y)];
            let now = role(cell).filter(|look| matches!(look, Look::Good | Look::Warn | Look::Bad));
            match (now, before == now) {
                (None, _) => {}
                (Some(_), true) => verdicts.last_mut().unwrap().0.push(c),
                (Some(look), false) => verdicts.push((c.to_string(), look)),
            }
            before = now;
        }
    }
    let told = |text: String| text.replace(|c: char| c.is_ascii_digit(), "0").trim().to_owned();
    verdicts.into_iter().map(|(text, look)| (told(text), look)).collect()
}

#[test]
fn what_a_colour_says_a_word_or_a_sign_says_too() {
    let mut looks: BTreeMap<String, BTreeSet<Look>> = BTreeMap::new();
    at_the_main_sizes(|(name, ..), app| {
        // There, one text stands everywhere.
        if name.ends_with("hostile") {
            return;
        }
        app.ctx.theme = telling();
        for (text, look) in verdicts(&composed(app)) {
            looks.entry(text).or_default().insert(look);
        }
    });
    // A chart's columns are told apart by their heads.
    let is_chart = |text: &str| text.chars().all(|c| "▁▂▃▄▅▆▇█░━ ".contains(c));
    let bare: Vec<_> = looks.iter().filter(|(text, looks)| looks.len() > 1 && !is_chart(text)).collect();
    assert!(bare.is_empty(), "only their colour tells these apart: {bare:#?}");
    assert!(looks.len() > 30, "{looks:#?}");
}

#[test]
fn signs_that_say_how_something_is_have_the_colour_of_it() {
    let mut seen = Vec::new();
    at_the_main_sizes(|(name, ..), app| {
        app.ctx.theme = telling();
        let screen = composed(app);
        for (row, y) in rows(&screen).iter().zip(0..) {
            for (x, sign) in row.letters() {
                let cell = &screen[(x, y)];
                let means: &[Look] = match sign {
                    // What cannot be done now is not bad.
                    '✗' => &[Look::Bad, Look::Dim],
                    '▶' => &[Look::Bad],
                    '≠' => &[Look::Differs],
                    '✎' | '↻' | '◐' | '◌' => &[Look::Warn],
                    _ => continue,
                };
                // A line to choose, and the selected one, has one look as a whole.
                let is_of_a_line = role(cell).is_none();
                if !is_of_a_line && !role(cell).is_some_and(|role| means.contains(&role)) {
                    seen.push(format!(
                        "{name} at {:?}: {sign} is {:?}: {}",
                        app.ctx.size,
                        role(cell),
                        row.text
                    ));
                }
            }
        }
    });
    assert!(seen.is_empty(), "{}", seen.join("\n"));
}
