//! What the mouse does to the panes.

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::screens::{drawn, text};
use super::world::{failing, full, jane, press, values};
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::msg::Msg;
use crate::console::overlays::Overlay;
use crate::console::pane::Pane;
use crate::console::panes::record::RecordTab;

fn mouse(app: &mut App, kind: MouseEventKind, (column, row): (u16, u16)) {
    update(app, Msg::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
}

/// The first place where a text is drawn, below the header.
fn place_of(app: &App, text_there: &str) -> (u16, u16) {
    let screen = text(app);
    let lines = screen.lines().enumerate().skip(1);
    let mut found =
        lines.filter_map(|(row, line)| Some((line[..line.find(text_there)?].chars().count(), row)));
    let (column, row) =
        found.next().unwrap_or_else(|| panic!("{text_there} is not on the screen:\n{screen}"));
    (u16::try_from(column).unwrap(), u16::try_from(row).unwrap())
}

/// Clicks there.
fn click(app: &mut App, on: &str) {
    let at = place_of(app, on);
    mouse(app, MouseEventKind::Down(MouseButton::Left), at);
}

#[test]
fn a_click_on_the_other_lists_name_goes_to_it_and_on_the_own_name_stays() {
    let mut app = full((120, 40));
    click(&mut app, "2 Errors");
    assert_eq!(app.ctx.focus, Pane::Errors);
    click(&mut app, "5 Pending");
    assert_eq!((app.ctx.focus, app.ctx.list), (Pane::Pending, Pane::Pending));
    click(&mut app, "2 Errors");
    assert_eq!((app.ctx.focus, app.ctx.list), (Pane::Errors, Pane::Errors));
}

#[test]
fn a_click_selects_a_line_of_the_log() {
    let mut app = full((120, 40));
    click(&mut app, "3 of 200 rejected");
    assert_eq!(app.ctx.focus, Pane::Log);
    assert_eq!(app.log.selected().unwrap().message(), "3 of 200 rejected");
    assert!(!app.log.following);
    click(&mut app, "200 accepted");
    assert_eq!(app.log.selected().unwrap().message(), "200 accepted");
}

#[test]
fn a_click_selects_a_field_of_the_record_and_nothing_else_in_it() {
    for size in [(120, 40), (80, 24)] {
        let mut app = full(size);
        press(&mut app, "j Enter");
        update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
        update(&mut app, Msg::Values { row: jane(), result: Ok(values()) });
        let selected = |app: &App| app.selection.record.as_ref().unwrap().selected().unwrap().0.name.clone();
        click(&mut app, "FirstName");
        assert_eq!(selected(&app), "FirstName", "{size:?}");
        click(&mut app, "LastName");
        assert_eq!(selected(&app), "LastName", "{size:?}");
        click(&mut app, " field ");
        assert_eq!(selected(&app), "LastName", "the head of the columns: {size:?}");
    }
}

#[test]
fn the_wheel_moves_the_pane_under_the_pointer_and_leaves_the_keys_where_they_are() {
    let mut app = full((120, 40));
    press(&mut app, "1");
    mouse(&mut app, MouseEventKind::ScrollDown, (60, 5));
    assert_eq!((app.ctx.focus, app.errors.cursor.at, app.mappings.cursor.at), (Pane::Mappings, 3, 0));
    mouse(&mut app, MouseEventKind::ScrollUp, (60, 37));
    assert_eq!((app.ctx.focus, app.log.index()), (Pane::Mappings, 0));
}

/// Clicks twice, as the terminal tells of it.
fn double_click(app: &mut App, on: &str) {
    click(app, on);
    let at = place_of(app, on);
    let (kind, modifiers) = (MouseEventKind::Down(MouseButton::Left), KeyModifiers::NONE);
    update(app, Msg::DoubleClick(MouseEvent { kind, column: at.0, row: at.1, modifiers }));
}

#[test]
fn a_double_click_opens_the_line_and_one_click_never_does() {
    let mut app = full((120, 40));
    for _ in 0..2 {
        click(&mut app, "Contact 10234");
        assert_eq!((app.ctx.focus, app.errors.selected().unwrap().id), (Pane::Errors, 34));
    }
    double_click(&mut app, "Contact 10234");
    assert_eq!(app.ctx.focus, Pane::Record);
    let mut app = full((120, 40));
    double_click(&mut app, "Contact 10235");
    assert_eq!(app.ctx.focus, Pane::Record);
    // Where the first click gave the pane the keys and its lines moved, the second one opens nothing else.
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    double_click(&mut app, "FirstName");
    assert!(matches!(app.overlays.last(), Some(Overlay::Editor(editor)) if editor.field.name == "FirstName"));
}

#[test]
fn a_click_on_the_name_of_a_view_shows_it() {
    let mut app = full((120, 40));
    press(&mut app, "j Enter");
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    let tab = |app: &App| app.selection.record.as_ref().unwrap().tab;
    for (name, is) in [
        (" relatives ", RecordTab::Relatives),
        (" attempts ", RecordTab::Attempts),
        (" log ", RecordTab::Log),
        (" fields ", RecordTab::Fields),
    ] {
        click(&mut app, name);
        assert_eq!(tab(&app), is);
    }
}

#[test]
fn a_click_on_a_hint_does_what_it_says() {
    let mut app = full((120, 40));
    press(&mut app, "4");
    click(&mut app, "explain");
    assert!(app.ctx.toast.is_some() || !app.overlays.is_empty(), "{}", text(&app));
}

#[test]
fn the_wheel_moves_in_a_list_that_lies_on_top() {
    let mut app = full((120, 40));
    press(&mut app, "s");
    let before = drawn(&app);
    mouse(&mut app, MouseEventKind::ScrollDown, (60, 20));
    assert!(drawn(&app) != before, "the next line stands out");
    mouse(&mut app, MouseEventKind::ScrollUp, (60, 20));
    assert!(drawn(&app) == before);
}
