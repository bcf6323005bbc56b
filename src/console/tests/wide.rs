//! A wide screen: everything beside each other, the causes at the left; and the room that an operator gives to panes.

use chrono::TimeDelta;
use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Rect;
use ratatui::style::Color;

use super::screens::{drawn, text};
use super::world::{errors, failing_of, full, groups, now, press, rests};
use crate::console::app::App;
use crate::console::app::layout;
use crate::console::app::update::update;
use crate::console::effect::Effect;
use crate::console::msg::Msg;
use crate::console::pane::Pane;
use crate::console::theme::{Always, Background, Theme};
use crate::domain::errors::group::Group;

/// What every list that needs a person is asked for by.
const PERSON: &str = "needs:person";

/// A wide console whose causes have come.
fn wide(size: (u16, u16)) -> App {
    let mut app = full(size);
    come(&mut app, PERSON, groups());
    app
}

fn come(app: &mut App, filter: &str, groups: Vec<Group>) -> Vec<Effect> {
    update(app, Msg::GroupsRenewed { filter: filter.to_owned(), result: Ok(groups) })
}

fn place(app: &App, pane: Pane) -> Rect {
    layout::place(&app.ctx, pane).unwrap_or_else(|| panic!("{pane:?} does not show"))
}

#[test]
fn a_wide_screen_shows_everything_beside_each_other() {
    for size in [(160, 24), (160, 40), (200, 55)] {
        let app = wide(size);
        let [mappings, groups, errors, record, log] =
            [Pane::Mappings, Pane::Groups, Pane::Errors, Pane::Record, Pane::Log]
                .map(|pane| place(&app, pane));
        assert!(mappings.bottom() == groups.y && mappings.width == groups.width, "{size:?}");
        assert!(mappings.right() == errors.x && errors.right() == record.x && record.right() == size.0);
        assert!([groups, errors, record].iter().all(|pane| pane.bottom() == log.y) && errors.y == mappings.y);
        assert!(record.width >= 50 && errors.width >= 60, "{size:?}: {record:?} {errors:?}");
        let screen = text(&app);
        for part in ["1 Mappings", "6 Groups", "2 Errors", "3 Record", "4 Log", "  187   Phone must be"] {
            assert!(screen.contains(part), "{part} at {size:?}:\n{screen}");
        }
    }
    for size in [(159, 40), (160, 19), (120, 40)] {
        assert!(!layout::shows(&full(size).ctx, Pane::Groups), "{size:?}");
    }
}

#[test]
fn a_wide_screen_looks_as_it_should() {
    for size in [(160, 40), (200, 55)] {
        let mut app = wide(size);
        rests_on_a_row(&mut app);
        press(&mut app, "6 j");
        insta::assert_snapshot!(format!("wide_{}", size.0), text(&app));
    }
}

#[test]
fn tab_and_numbers_go_to_the_causes() {
    let mut app = wide((160, 40));
    rests_on_a_row(&mut app);
    let mut seen = Vec::new();
    for _ in 0..5 {
        press(&mut app, "Tab");
        seen.push(app.ctx.focus);
    }
    assert_eq!(seen, [Pane::Record, Pane::Log, Pane::Mappings, Pane::Groups, Pane::Errors]);
    press(&mut app, "S-Tab");
    assert_eq!(app.ctx.focus, Pane::Groups);
    press(&mut app, "2 6");
    assert_eq!(app.ctx.focus, Pane::Groups);
    press(&mut app, "3 A-6");
    assert_eq!(app.ctx.focus, Pane::Groups);
    press(&mut app, "z");
    assert_eq!(place(&app, Pane::Groups).width, 160);
    press(&mut app, "Esc Esc");
    assert_eq!(app.ctx.focus, Pane::Errors);
    // Where there is no room for them, they show on top.
    let mut narrow = full((120, 40));
    assert_eq!(press(&mut narrow, "6"), [Effect::LoadGroups(PERSON.to_owned())]);
}

#[test]
fn enter_lists_the_errors_of_a_cause_and_the_causes_stay() {
    let mut app = wide((160, 40));
    let second = groups()[1].group.clone();
    press(&mut app, "6 j Enter");
    assert_eq!(
        (app.ctx.focus, app.errors.filter.as_str()),
        (Pane::Errors, format!("group:{second}").as_str())
    );
    let screen = text(&app);
    assert!(screen.contains("187   Phone must be") && screen.contains("▸"), "{screen}");
    press(&mut app, "Esc");
    assert_eq!((app.ctx.focus, app.errors.filter.as_str()), (Pane::Groups, ""));
    assert_eq!(app.groups.selected().unwrap().group, second);
    // Those of a mapping's errors, once these are listed.
    let effects = press(&mut app, "1 Enter");
    let filter = format!("{PERSON} {}", app.errors.filter);
    assert!(effects.contains(&Effect::RenewGroups(filter.clone())), "{effects:?}");
    come(&mut app, &filter, groups()[..1].to_vec());
    press(&mut app, "6 Enter");
    let of_both = format!("group:{} {}", groups()[0].group, filter.trim_start_matches(PERSON).trim());
    assert_eq!(app.errors.filter, of_both);
}

#[test]
fn causes_keep_their_order_while_they_show_and_are_read_again_after_a_while() {
    let mut app = wide((160, 40));
    press(&mut app, "6 j");
    let selected = app.groups.selected().unwrap().group.clone();
    let asks = |app: &mut App, seconds| {
        let effects = update(app, Msg::Tick(now() + TimeDelta::seconds(seconds)));
        effects.contains(&Effect::RenewGroups(PERSON.to_owned()))
    };
    assert!(!asks(&mut app, 1));
    assert!(asks(&mut app, 6));
    // They take long: they are left alone for longer.
    update(&mut app, Msg::Tick(now() + TimeDelta::seconds(10)));
    come(&mut app, PERSON, groups().into_iter().rev().collect());
    let order = |app: &App| app.groups.items.iter().map(|group| group.group.clone()).collect::<Vec<_>>();
    assert_eq!(order(&app), groups().iter().map(|group| group.group.clone()).collect::<Vec<_>>());
    assert_eq!(app.groups.selected().unwrap().group, selected);
    assert!(!asks(&mut app, 60) && asks(&mut app, 91));
}

#[test]
fn a_click_selects_a_cause_and_two_list_its_errors() {
    let mut app = wide((200, 55));
    let area = place(&app, Pane::Groups);
    // Each takes two lines here; the first line of the screen is none of the panes'.
    let event = MouseEvent {
        kind: MouseEventKind::Down(MouseButton::Left),
        column: area.x + 4,
        row: area.y + 1 + 1 + 3,
        modifiers: KeyModifiers::NONE,
    };
    update(&mut app, Msg::Mouse(event));
    assert_eq!((app.ctx.focus, app.groups.cursor.at), (Pane::Groups, 1));
    update(&mut app, Msg::DoubleClick(event));
    assert_eq!(app.errors.filter, format!("group:{}", groups()[1].group));
}

#[test]
fn a_screen_that_becomes_narrow_gives_the_keys_of_the_causes_to_the_list() {
    let mut app = wide((160, 40));
    press(&mut app, "6 z");
    let state = app.session();
    update(&mut app, Msg::Resize(120, 40));
    assert_eq!((app.ctx.focus, app.ctx.zoom), (Pane::Errors, false));
    let mut next = full((120, 40));
    next.resume(&state);
    assert_eq!(next.ctx.focus, Pane::Errors);
}

#[test]
fn panes_are_resized_within_bounds_and_the_next_console_has_them_so() {
    let panes = [
        (Pane::Mappings, "1"),
        (Pane::Errors, "2"),
        (Pane::Record, "3"),
        (Pane::Log, "4"),
        (Pane::Groups, "6"),
    ];
    for size in [(200, 55), (160, 40), (120, 40), (80, 24), (60, 15)] {
        for (pane, key) in panes {
            let mut app = wide(size);
            rests_on_a_row(&mut app);
            press(&mut app, &format!("A-{key}"));
            if app.ctx.focus != pane {
                continue;
            }
            let own = place(&app, pane).area();
            let session = app.session();
            press(&mut app, "+");
            let larger = place(&app, pane).area();
            // On a small screen the record has all the room that the log can spare.
            assert!(larger > own || size.1 < 20, "{pane:?} at {size:?}: {own} {larger}");
            let mut next = full(size);
            next.resume(&app.session());
            assert_eq!(next.ctx.settings.sizes, app.ctx.settings.sizes);
            for (keys, end) in [("+", "large"), ("-", "small")] {
                (0..40).for_each(|_| drop(press(&mut app, keys)));
                let told = app.ctx.toast.as_ref().map(|toast| toast.text.clone()).unwrap_or_default();
                assert!(told.contains(&format!("is as {end} as it gets")), "{pane:?} at {size:?}: {told}");
                let shown = layout::arrange(&app.ctx, Rect::new(0, 0, size.0, size.1 - 2));
                let sound = |area: &Rect| area.height >= 3 && area.width >= 20;
                assert!(shown.iter().all(|(_, area)| sound(area)), "{pane:?} at {size:?}: {shown:?}");
                assert!(!text(&app).is_empty());
            }
            press(&mut app, "=");
            assert_eq!((place(&app, pane).area(), app.session()), (own, session));
        }
    }
}

/// The first error of a row is selected, and its record has come where it shows.
fn rests_on_a_row(app: &mut App) {
    press(app, "j");
    if layout::shows(&app.ctx, Pane::Record) {
        rests(app, failing_of(&errors()[1]));
    }
}

#[test]
fn a_pane_that_has_the_whole_screen_is_not_resized() {
    let mut app = wide((160, 40));
    press(&mut app, "2 z +");
    assert_eq!(app.ctx.settings.sizes.kept().len(), 0);
    assert!(app.ctx.toast.as_ref().unwrap().text.contains("z takes it back"));
}

#[test]
fn colours_show_while_they_are_chosen_and_esc_brings_back_those_of_before() {
    let mut app = full((120, 40));
    app.ctx.theme = Theme::named("dark").unwrap();
    let open = |app: &mut App| {
        press(app, ":");
        super::world::type_in(app, "theme");
        press(app, "Enter");
    };
    open(&mut app);
    press(&mut app, "j");
    assert_eq!(app.ctx.theme, Theme::named("light").unwrap());
    press(&mut app, "j j");
    assert_ne!(app.ctx.theme.name, "light");
    press(&mut app, "Esc");
    assert_eq!(app.ctx.theme, Theme::named("dark").unwrap());
    open(&mut app);
    press(&mut app, "j Enter");
    assert_eq!((app.ctx.theme.name, app.overlays.len()), ("light", 0));
}

#[test]
fn auto_goes_with_the_terminals_background() {
    let mut app = full((120, 40));
    let always = Always { colorful: true, ..Always::default() };
    app.ctx.theme = Theme::configured("auto", &std::collections::BTreeMap::new(), always).unwrap();
    update(&mut app, Msg::Background(Background::Light));
    assert_eq!(app.ctx.theme.good(), Theme::named("light").unwrap().good());
    update(&mut app, Msg::Background(Background::Dark));
    assert_eq!(app.ctx.theme.good(), Theme::named("dark").unwrap().good());
}

#[test]
fn a_log_that_stands_says_so_in_yellow_also_from_another_pane() {
    let mut app = full((120, 40));
    app.ctx.theme = Theme::named("16").unwrap();
    press(&mut app, "4 k 2");
    let line = text(&app).lines().position(|line| line.contains("4 Log")).unwrap();
    let buffer = drawn(&app);
    let row: Vec<_> = (0..120).map(|column| &buffer[(column, u16::try_from(line).unwrap())]).collect();
    let yellow: String =
        row.iter().filter(|cell| cell.fg == Color::Yellow).map(|cell| cell.symbol()).collect();
    assert!(yellow.contains("paused"), "{yellow}");
}
