//! What keys do, without a terminal.

use proptest::prelude::*;

use super::world::{console, error, errors, failing, full, jane, page, press, record, type_in, values};
use crate::console::command::{COMMANDS, find};
use crate::console::effect::Effect;
use crate::console::model::{Model, Pane};
use crate::console::msg::Msg;
use crate::console::overlays::Overlay;
use crate::console::panes::record::Answer;
use crate::console::update::update;
use crate::domain::record::{Edit, FieldEdit};
use crate::domain::sync_error::ErrorState;
use crate::engine::handle::{Event, Refused};

/// Opens Jane's record.
fn opened() -> Model {
    let mut model = full((120, 40));
    assert_eq!(press(&mut model, "j Enter"), [Effect::LoadRecord(jane()), Effect::FetchValues(jane())]);
    update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    update(&mut model, Msg::Values { row: jane(), result: Ok(values()) });
    model
}

fn answer(model: &Model) -> Option<&Answer> {
    model.record.as_ref().and_then(|pane| pane.answer.as_ref())
}

#[test]
fn the_whole_loop_from_the_list_to_the_answer() {
    let mut model = opened();
    assert_eq!(
        model.record.as_ref().unwrap().selected().unwrap().0.name,
        "Email",
        "the field at fault comes first"
    );
    press(&mut model, "e BS BS BS BS");
    type_in(&mut model, ".com");
    let saved = FieldEdit {
        column: "email".to_owned(),
        shown: Some("jane@acme,com".to_owned()),
        new: Some("jane@acme.com".to_owned()),
    };
    assert_eq!(
        press(&mut model, "C-s"),
        [Effect::Save(Edit { row: jane(), fields: vec![saved], retry: true })]
    );
    assert!(model.overlays.is_empty());
    let effects = update(&mut model, Msg::Saved { row: jane(), result: Ok(()) });
    assert!(effects.contains(&Effect::LoadRecord(jane())));
    assert!(matches!(answer(&model), Some(Answer::Sending { .. })));
    update(
        &mut model,
        Msg::Record { row: jane(), result: Box::new(Ok(record("in flight", "jane@acme.com", None))) },
    );
    assert!(matches!(answer(&model), Some(Answer::Sending { .. })));
    update(&mut model, Msg::Event(Event::Record(jane())));
    let effects = update(
        &mut model,
        Msg::Record { row: jane(), result: Box::new(Ok(record("in step", "jane@acme.com", None))) },
    );
    assert!(matches!(answer(&model), Some(Answer::Accepted { .. })));
    assert_eq!(effects, [Effect::FetchValues(jane())]);
    assert_eq!(model.focus, Pane::Record, "the answer is seen where one looks");
}

#[test]
fn a_remedy_is_chosen_by_its_number_and_does_what_it_showed() {
    let mut model = opened();
    press(&mut model, "f");
    assert!(matches!(model.overlays.last(), Some(Overlay::Choice(_))));
    let effects = press(&mut model, "1");
    let [Effect::Apply { row, offer }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((row, offer.changes[0].new.as_deref()), (&jane(), Some("jane@acme.com")));
    assert!(model.overlays.is_empty());
    update(&mut model, Msg::Applied { row: jane(), result: Ok("Write a dot".to_owned()) });
    assert!(matches!(answer(&model), Some(Answer::Sending { .. })));
    // What a person has to do is no deed, and Esc leaves everything as it is.
    press(&mut model, "f");
    assert!(press(&mut model, "G End 9 Esc").is_empty() && model.overlays.is_empty());
}

#[test]
fn errors_are_shown_by_cause_and_one_cause_lists_its_errors() {
    let mut model = full((120, 40));
    assert_eq!(press(&mut model, "2 c"), [Effect::LoadGroups(String::new())]);
    update(&mut model, Msg::Groups { filter: String::new(), result: Ok(Vec::new()) });
    assert!(model.overlays.is_empty(), "without errors there is nothing to choose from");
    update(&mut model, Msg::Groups { filter: String::new(), result: Ok(super::world::groups()) });
    press(&mut model, "j Enter");
    assert_eq!((model.errors.filter.as_str(), model.overlays.len()), ("group:8fb2", 0));
}

#[test]
fn a_mapping_gets_another_strategy_and_its_writes_rest() {
    let mut model = full((120, 40));
    press(&mut model, "1 j s");
    let effects = press(&mut model, "j Enter");
    let set = |value: &str| Effect::SetRule {
        mapping: "Contact".to_owned(),
        key: "strategy".to_owned(),
        value: value.to_owned(),
    };
    assert_eq!(effects, [set("retry")]);
    press(&mut model, "s");
    assert_eq!(press(&mut model, "4"), [set("manual_review")]);
    assert_eq!(press(&mut model, "p"), [Effect::Writes { mapping: "Contact".to_owned(), on: false }]);
    assert_eq!(update(&mut model, Msg::Changed(Ok("done".to_owned()))), [Effect::LoadOverview]);
}

#[test]
fn a_second_rejection_and_a_refused_save_are_told_in_the_same_place() {
    let mut model = opened();
    press(&mut model, "r");
    update(&mut model, Msg::Retried { row: jane(), result: Ok(()) });
    update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    assert!(matches!(answer(&model), Some(Answer::Rejected { .. })));
    update(
        &mut model,
        Msg::Saved { row: jane(), result: Err(Refused("email was changed meanwhile".to_owned())) },
    );
    assert!(model.toast.as_ref().unwrap().text.contains("changed meanwhile"));
}

#[test]
fn what_the_field_cannot_hold_is_not_saved() {
    let mut model = opened();
    press(&mut model, "e C-s");
    assert!(matches!(model.overlays.last(), Some(Overlay::Edit(_))), "jane@acme,com is no address");
    assert_eq!(press(&mut model, "Enter"), []);
    // Unchanged, Esc leaves at once; changed, it asks.
    press(&mut model, "Esc");
    assert!(model.overlays.is_empty());
    press(&mut model, "e x Esc");
    assert!(matches!(model.overlays.last(), Some(Overlay::ConfirmLeave)));
    press(&mut model, "n");
    assert!(matches!(model.overlays.last(), Some(Overlay::Edit(_))));
    press(&mut model, "Esc y");
    assert!(model.overlays.is_empty());
}

#[test]
fn new_errors_do_not_move_the_cursor_off_its_error() {
    let mut model = full((120, 40));
    press(&mut model, "j j");
    let selected = model.errors.selected().unwrap().id;
    let mut more = vec![error(40, "INVALID_EMAIL_ADDRESS", "Email", "new", ErrorState::Open)];
    more.extend(errors());
    assert_eq!(update(&mut model, Msg::Event(Event::Errors)).len(), 1);
    update(&mut model, Msg::Errors { generation: 0, append: false, result: Ok(page(more)) });
    assert_eq!(model.errors.selected().unwrap().id, selected);
    // Gone, the cursor stays in its place.
    update(&mut model, Msg::Event(Event::Errors));
    let rest = errors().into_iter().filter(|error| error.id != selected).collect();
    update(&mut model, Msg::Errors { generation: 0, append: false, result: Ok(page(rest)) });
    assert!(model.errors.selected().is_some());
}

#[test]
fn one_request_of_a_kind_is_under_way_and_the_newest_wins() {
    let mut model = console((120, 40));
    assert_eq!(update(&mut model, Msg::Event(Event::Errors)), []);
    assert_eq!(update(&mut model, Msg::Event(Event::Errors)), []);
    let effects =
        update(&mut model, Msg::Errors { generation: 0, append: false, result: Ok(page(errors())) });
    assert_eq!(effects.len(), 1, "what was asked for meanwhile is asked for once");
}

#[test]
fn a_filter_is_applied_or_refused_with_the_reason_and_esc_takes_it_off() {
    let mut model = full((120, 40));
    press(&mut model, "/");
    type_in(&mut model, "state:shut");
    press(&mut model, "Enter");
    assert!(matches!(model.overlays.last(), Some(Overlay::Filter { complaint: Some(_), .. })));
    for _ in 0..4 {
        press(&mut model, "BS");
    }
    type_in(&mut model, "open");
    let effects = press(&mut model, "Enter");
    assert!(
        matches!(&effects[..], [Effect::LoadErrors { generation: 1, query, .. }] if query.filter == "state:open")
    );
    // An answer to the old list is dropped.
    update(&mut model, Msg::Errors { generation: 0, append: false, result: Ok(page(errors())) });
    assert!(model.errors.items.is_empty());
    update(&mut model, Msg::Errors { generation: 1, append: false, result: Ok(page(errors())) });
    press(&mut model, "Esc");
    assert_eq!(model.errors.filter, "");
    assert_eq!(model.focus, Pane::Errors);
}

#[test]
fn a_mapping_shows_its_errors_and_esc_goes_back_one_step_at_a_time() {
    let mut model = full((120, 40));
    press(&mut model, "1 j Enter");
    assert_eq!((model.errors.filter.as_str(), model.focus), ("mapping:Contact", Pane::Errors));
    press(&mut model, "z Esc");
    assert!(!model.zoom);
    press(&mut model, "Esc");
    assert_eq!(model.errors.filter, "");
    press(&mut model, "Esc Esc");
    assert_eq!(model.focus, Pane::Mappings, "Esc never leaves the console");
    assert_eq!(press(&mut model, "q"), [Effect::Quit]);
}

#[test]
fn the_log_follows_until_one_scrolls_back() {
    let mut model = full((120, 40));
    press(&mut model, "4 k");
    assert!(!model.log.following);
    let mut new = super::world::log().remove(2);
    new.id = 4;
    update(&mut model, Msg::Event(Event::Log));
    update(&mut model, Msg::Log(Ok(vec![new])));
    assert_eq!(model.log.new_below, 1);
    press(&mut model, "G");
    assert!(model.log.following && model.log.new_below == 0);
    press(&mut model, "/");
    type_in(&mut model, "level:error");
    press(&mut model, "Enter g");
    assert!(model.log.selected().unwrap().message.starts_with("Lead"));
    press(&mut model, "Enter");
    let told = &model.toast.as_ref().unwrap().text;
    assert!(told.starts_with("Object type changed. ") && told.contains('→'), "{told}");
}

#[test]
fn read_only_offers_nothing_that_changes_anything() {
    let mut model = opened();
    model.read_only = true;
    assert_eq!(press(&mut model, "e"), []);
    assert!(model.overlays.is_empty());
    assert_eq!(press(&mut model, "r"), []);
    assert_eq!(model.toast.as_ref().unwrap().text, "this console is read-only");
}

#[test]
fn every_command_has_a_key_of_its_own_in_each_pane() {
    for pane in Pane::ALL {
        for command in COMMANDS.iter().filter(|command| command.is_in(pane)) {
            for key in command.keys {
                assert!(
                    std::ptr::eq(find(pane, key).unwrap(), command),
                    "{key} in {pane:?}: {}",
                    command.title
                );
            }
        }
    }
    assert!(COMMANDS.iter().all(|command| !command.doc.is_empty() && !command.keys.is_empty()));
}

proptest! {
    #[test]
    fn no_sequence_of_keys_panics(keys in prop::collection::vec(
        prop::sample::select(vec!["j", "k", "g", "G", "Tab", "S-Tab", "1", "2", "3", "4", "Enter", "Esc", "e", "r", "/", "y",
            "z", "?", "Space", "PgDn", "PgUp", "C-s", "x", "BS", "Up", "Down", "R", "n"]), 0..60), low in any::<bool>()) {
        let mut model = full(if low { (80, 24) } else { (120, 40) });
        for key in keys {
            for effect in press(&mut model, key) {
                match effect {
                    Effect::LoadRecord(row) => {
                        update(&mut model, Msg::Record { row, result: Box::new(Ok(failing())) });
                    }
                    Effect::FetchValues(row) => {
                        update(&mut model, Msg::Values { row, result: Ok(values()) });
                    }
                    Effect::LoadErrors { generation, append, .. } => {
                        update(&mut model, Msg::Errors { generation, append, result: Ok(page(errors())) });
                    }
                    _ => {}
                }
            }
            super::screens::drawn(&model);
        }
    }
}
