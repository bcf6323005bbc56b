//! What the mouse does to the panes.

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::screens::text;
use super::world::{failing, full, jane, press, values};
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::msg::Msg;
use crate::console::pane::Pane;

fn mouse(app: &mut App, kind: MouseEventKind, (column, row): (u16, u16)) {
    update(app, Msg::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
}

/// Clicks on the first place where a text is drawn, below the header.
fn click(app: &mut App, on: &str) {
    let screen = text(app);
    let lines = screen.lines().enumerate().skip(1);
    let mut found = lines.filter_map(|(row, line)| Some((line[..line.find(on)?].chars().count(), row)));
    let (column, row) = found.next().unwrap_or_else(|| panic!("{on} is not on the screen:\n{screen}"));
    let at = (u16::try_from(column).unwrap(), u16::try_from(row).unwrap());
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

#[test]
fn a_second_click_opens_the_line_and_one_on_a_hint_does_what_it_says() {
    let mut app = full((120, 40));
    click(&mut app, "Contact 10234");
    assert_eq!((app.ctx.focus, app.errors.selected().unwrap().id), (Pane::Errors, 34));
    click(&mut app, "Contact 10234");
    assert_eq!(app.ctx.focus, Pane::Record);
    let mut app = full((120, 40));
    press(&mut app, "4");
    click(&mut app, "explain");
    assert!(app.ctx.toast.is_some() || !app.overlays.is_empty(), "{}", text(&app));
}
