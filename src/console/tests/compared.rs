//! What a comparison found is put right by its remedies, of a record without a row as well; what takes something away asks.

use super::screens::text;
use super::world::{error, full, page, press, verified};
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::effect::Effect;
use crate::console::msg::Msg;
use crate::console::overlays::Overlay;
use crate::console::pane::Pane;
use crate::domain::changes::merge::Side;
use crate::domain::errors::remedy::RemedyAction;
use crate::domain::errors::sync_error::{ErrorSource, ErrorState, SyncError};

/// A record that no row has.
fn without_row(id: i64, sfid: &str) -> SyncError {
    SyncError {
        op: "verify".to_owned(),
        source: ErrorSource::Engine,
        row_id: None,
        sfid: Some(sfid.to_owned()),
        ..error(id, "ROW_MISSING", "", &format!("the record {sfid} has no row"), ErrorState::Open)
    }
}

fn list(app: &mut App, errors: Vec<SyncError>) {
    let generation = app.errors.generation;
    update(app, Msg::Errors { generation, append: false, result: Ok(page(errors)) });
}

/// A console whose list has a record that no row has.
fn listing() -> App {
    let mut app = full((120, 40));
    list(&mut app, vec![without_row(7, "003sd0000000001AAA")]);
    press(&mut app, "Enter");
    app
}

fn put_right(effects: &[Effect]) -> Vec<&RemedyAction> {
    let action = |effect: &'_ Effect| matches!(effect, Effect::PutRight { .. });
    let found = effects.iter().filter(|effect| action(effect));
    found
        .filter_map(|effect| match effect {
            Effect::PutRight { action, .. } => Some(action),
            _ => None,
        })
        .collect()
}

#[test]
fn a_record_without_a_row_has_its_remedies_under_their_numbers() {
    let mut app = listing();
    press(&mut app, "f");
    let effects = press(&mut app, "1");
    assert_eq!(put_right(&effects), [&RemedyAction::Repair(Side::Salesforce)], "{effects:?}");
}

#[test]
fn a_record_is_deleted_after_a_yes_only() {
    let mut app = listing();
    press(&mut app, "f");
    let effects = press(&mut app, "3");
    assert!(put_right(&effects).is_empty(), "{effects:?}");
    assert!(app.overlays.iter().any(|overlay| matches!(overlay, Overlay::Confirm(_))), "it asks");
    assert!(text(&app).contains("003sd0000000001AAA"), "the question names it: {}", text(&app));
    let effects = press(&mut app, "y");
    assert_eq!(put_right(&effects), [&RemedyAction::Repair(Side::Postgres)], "{effects:?}");
}

#[test]
fn a_digit_does_its_remedy_where_there_is_no_row_either() {
    let mut app = listing();
    let effects = press(&mut app, "1");
    assert_eq!(put_right(&effects), [&RemedyAction::Repair(Side::Salesforce)], "{effects:?}");
    assert_eq!(app.ctx.focus, Pane::Record);
    press(&mut app, "A-4");
    assert_eq!(app.ctx.focus, Pane::Log, "Alt and a digit go to a pane wherever one is");
}

#[test]
fn a_digit_shows_what_it_would_do_where_the_list_has_moved_to_another_error() {
    let mut app = full((120, 40));
    list(&mut app, vec![without_row(8, "003sd0000000002AAA"), without_row(7, "003sd0000000001AAA")]);
    press(&mut app, "Enter");
    list(&mut app, vec![without_row(7, "003sd0000000001AAA")]);
    let effects = press(&mut app, "1");
    assert!(put_right(&effects).is_empty(), "nobody chose that one: {effects:?}");
    assert!(matches!(app.overlays.last(), Some(Overlay::Menu(_))), "{}", text(&app));
    assert_eq!(put_right(&press(&mut app, "1")), [&RemedyAction::Repair(Side::Salesforce)]);
}

#[test]
fn a_record_without_a_row_is_among_what_needs_a_person() {
    let mut app = full((120, 40));
    let of_a_row = error(9, "CODE", "Email", "bad", ErrorState::Open);
    list(&mut app, vec![of_a_row, without_row(7, "003sd0000000001AAA")]);
    press(&mut app, "g n");
    assert_eq!(app.errors.selected().map(|error| error.id), Some(7));
    let effects = press(&mut app, "m");
    assert_eq!(put_right(&effects), [&RemedyAction::Repair(Side::Salesforce)], "{effects:?}");
}

#[test]
fn one_side_is_taken_for_all_that_a_comparison_found_by_its_key() {
    for (key, side) in [("s", "as in salesforce"), ("p", "as in postgres")] {
        let mut app = full((120, 40));
        update(&mut app, Msg::Verified(Ok(verified())));
        press(&mut app, key);
        let asks = app.overlays.iter().any(|overlay| matches!(overlay, Overlay::Confirm(_)));
        assert!(asks && text(&app).contains(side), "{key}: {}", text(&app));
    }
}
