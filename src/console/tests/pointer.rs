//! What the mouse does to the panes.

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::screens::text;
use super::world::{failing, full, jane, press, values};
use crate::console::model::{Model, Pane};
use crate::console::msg::Msg;
use crate::console::update::update;

fn mouse(model: &mut Model, kind: MouseEventKind, (column, row): (u16, u16)) {
    update(model, Msg::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
}

/// Clicks on the first place where a text is drawn, below the header.
fn click(model: &mut Model, on: &str) {
    let screen = text(model);
    let lines = screen.lines().enumerate().skip(1);
    let mut found = lines.filter_map(|(row, line)| Some((line[..line.find(on)?].chars().count(), row)));
    let (column, row) = found.next().unwrap_or_else(|| panic!("{on} is not on the screen:\n{screen}"));
    let at = (u16::try_from(column).unwrap(), u16::try_from(row).unwrap());
    mouse(model, MouseEventKind::Down(MouseButton::Left), at);
}

#[test]
fn a_click_on_the_other_lists_name_goes_to_it_and_on_the_own_name_stays() {
    let mut model = full((120, 40));
    click(&mut model, "2 Errors");
    assert_eq!(model.focus, Pane::Errors);
    click(&mut model, "5 Pending");
    assert_eq!((model.focus, model.list), (Pane::Pending, Pane::Pending));
    click(&mut model, "2 Errors");
    assert_eq!((model.focus, model.list), (Pane::Errors, Pane::Errors));
}

#[test]
fn a_click_selects_a_line_of_the_log() {
    let mut model = full((120, 40));
    click(&mut model, "3 of 200 rejected");
    assert_eq!(model.focus, Pane::Log);
    assert_eq!(model.log.selected().unwrap().message(), "3 of 200 rejected");
    assert!(!model.log.following);
    click(&mut model, "200 accepted");
    assert_eq!(model.log.selected().unwrap().message(), "200 accepted");
}

#[test]
fn a_click_selects_a_field_of_the_record_and_nothing_else_in_it() {
    for size in [(120, 40), (80, 24)] {
        let mut model = full(size);
        press(&mut model, "j Enter");
        update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
        update(&mut model, Msg::Values { row: jane(), result: Ok(values()) });
        let selected = |model: &Model| model.record.as_ref().unwrap().selected().unwrap().0.name.clone();
        click(&mut model, "FirstName");
        assert_eq!(selected(&model), "FirstName", "{size:?}");
        click(&mut model, "LastName");
        assert_eq!(selected(&model), "LastName", "{size:?}");
        click(&mut model, " field ");
        assert_eq!(selected(&model), "LastName", "the head of the columns: {size:?}");
    }
}

#[test]
fn the_wheel_moves_the_pane_under_the_pointer_and_leaves_the_keys_where_they_are() {
    let mut model = full((120, 40));
    press(&mut model, "1");
    mouse(&mut model, MouseEventKind::ScrollDown, (60, 5));
    assert_eq!((model.focus, model.errors.cursor.at, model.mappings.cursor.at), (Pane::Mappings, 3, 0));
    mouse(&mut model, MouseEventKind::ScrollUp, (60, 37));
    assert_eq!((model.focus, model.log.index()), (Pane::Mappings, 0));
}
