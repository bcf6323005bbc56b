//! What keys do, without a terminal.

use super::world::{
    acts, console, contested, error, errors, failing, full, jane, page, plan, planned, press, record, report,
    rests, type_in, values, waited_for,
};
use crate::client::handle::{ErrorPage, Event, Refused};
use crate::client::operations::execute::Chosen;
use crate::client::row::Linked;
use crate::console::effect::Effect;
use crate::console::model::Tone;
use crate::console::model::{Model, Pane};
use crate::console::msg::Msg;
use crate::console::overlays::{EACH, Overlay};
use crate::console::panes::record::Answer;
use crate::console::update::update;
use crate::domain::act::{Came, Deed, How, Item, Report};
use crate::domain::merge::Side;
use crate::domain::names::{RowId, RowRef};
use crate::domain::overview::Writes;
use crate::domain::record::{Edit, FieldEdit, Hit};
use crate::domain::sort::{Key, SortBy};
use crate::domain::sync_error::{ErrorState, SyncError};

/// Opens Jane's record.
pub fn opened() -> Model {
    let mut model = full((120, 40));
    assert_eq!(press(&mut model, "j Enter"), [Effect::LoadRecord(jane()), Effect::FetchValues(jane())]);
    update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    update(&mut model, Msg::Values { row: jane(), result: Ok(values()) });
    model
}

pub fn answer(model: &Model) -> Option<&Answer> {
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
    waited_for(&mut model, Msg::Groups { filter: String::new(), result: Ok(super::world::groups()) });
    press(&mut model, "j Enter");
    assert_eq!((model.errors.filter.as_str(), model.overlays.len()), ("group:8fb2", 0));
}

#[test]
fn a_mapping_gets_another_strategy_and_its_writes_rest() {
    let mut model = full((120, 40));
    press(&mut model, "1 j s");
    let effects = press(&mut model, "j Enter");
    let set = |value: &str| Effect::SetRule {
        mapping: Some("Contact".to_owned()),
        key: "strategy".to_owned(),
        value: value.to_owned(),
    };
    assert_eq!(effects, [set("retry")]);
    press(&mut model, "s");
    assert_eq!(press(&mut model, "4"), [set("manual_review")]);
    let writes = |to| Effect::Writes { mapping: Some("Contact".to_owned()), to };
    assert_eq!(press(&mut model, "p"), [writes(Writes::Pause)]);
    assert_eq!(press(&mut model, "d"), [writes(Writes::Drain)]);
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
    assert_eq!(update(&mut model, Msg::Event(Event::Errors)).len(), 2, "the list, and how many there are");
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
    let asked = effects.iter().filter(|effect| matches!(effect, Effect::LoadErrors { .. })).count();
    assert_eq!(asked, 1, "what was asked for meanwhile is asked for once");
}

#[test]
fn a_filter_is_applied_or_refused_with_the_reason_and_esc_takes_it_off() {
    let mut model = full((120, 40));
    press(&mut model, "/");
    type_in(&mut model, "state:shut");
    press(&mut model, "Enter");
    assert!(matches!(model.overlays.last(), Some(Overlay::Filter(line)) if line.complaint.is_some()));
    for _ in 0..4 {
        press(&mut model, "BS");
    }
    type_in(&mut model, "open");
    let effects = press(&mut model, "Enter");
    assert!(
        matches!(&effects[..], [Effect::LoadErrors { generation: 1, query, .. }, Effect::CountErrors { .. }] if query.filter == "state:open")
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
fn who_went_far_down_the_list_stays_there_while_its_beginning_is_read_again() {
    let numbered = |ids: std::ops::Range<i64>| -> Vec<SyncError> {
        ids.map(|id| error(id, "CODE", "Email", "bad", ErrorState::Open)).collect()
    };
    let part = |items: Vec<SyncError>| {
        let next = items.last().map(|last| Key::of(SortBy::LastSeen, last));
        ErrorPage { items, next, done: false }
    };
    let mut model = console((120, 40));
    let came = |append: bool, items| Msg::Errors { generation: 0, append, result: Ok(part(items)) };
    update(&mut model, came(false, numbered(100..200)));
    for from in [200, 300, 400] {
        update(&mut model, came(true, numbered(from..from + 100)));
    }
    press(&mut model, "G");
    let stood = model.errors.selected().map(|error| error.id);
    assert_eq!(stood, Some(499));
    let next = model.errors.next.clone();
    // Two new ones came, one of the old ones is gone.
    let fresh: Vec<SyncError> = [numbered(98..150), numbered(151..200)].concat();
    update(&mut model, came(false, fresh));
    assert_eq!(model.errors.selected().map(|error| error.id), stood);
    assert_eq!((model.errors.items.len(), &model.errors.next), (401, &next));
    // A list that ends earlier has nothing behind its end.
    let short = ErrorPage { items: numbered(98..130), next: None, done: true };
    update(&mut model, Msg::Errors { generation: 0, append: false, result: Ok(short) });
    assert_eq!((model.errors.items.len(), &model.errors.next), (32, &None));
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
    assert!(model.log.selected().unwrap().message().starts_with("Lead"));
    press(&mut model, "x");
    let Some(Overlay::Told { title, text }) = model.overlays.last() else { panic!("{:?}", model.overlays) };
    assert!(title == "Object type changed" && text.contains('→'), "{title}: {text}");
}

#[test]
fn what_is_marked_is_what_an_act_is_about() {
    let mut model = full((120, 40));
    let planned = |model: &mut Model, keys: &str| match press(model, keys).as_slice() {
        [Effect::Plan { chosen, deed }] => {
            // Keys that are pressed before the answer are no answer to it.
            assert!(press(model, "y i r q").is_empty());
            update(model, Msg::Planned(Err(Refused("too late".to_owned()))));
            (chosen.clone(), deed.clone())
        }
        other => panic!("{other:?}"),
    };
    press(&mut model, "j");
    rests(&mut model, failing());
    assert_eq!(planned(&mut model, "i"), (Chosen::Ids(vec![35]), Deed::Ignore));
    assert_eq!(planned(&mut model, "Space Space u"), (Chosen::Ids(vec![34, 35]), Deed::Revert));
    assert_eq!(planned(&mut model, "r"), (Chosen::Ids(vec![34, 35]), Deed::Retry));
    press(&mut model, "Esc");
    assert!(!model.errors.any_marked() && model.focus == Pane::Errors, "the first Esc takes the marks away");
    assert_eq!(planned(&mut model, "A r"), (Chosen::Filter(String::new()), Deed::Retry));
    press(&mut model, "/");
    type_in(&mut model, "code:EMAIL");
    press(&mut model, "Enter");
    assert!(!model.errors.any_marked(), "another list begins without marks");
    // All of a cause, right from the causes.
    waited_for(&mut model, Msg::Groups { filter: String::new(), result: Ok(super::world::groups()) });
    let effects = press(&mut model, "j i");
    let cause = Chosen::Filter("group:8fb2".to_owned());
    assert!(effects.contains(&Effect::Plan { chosen: cause, deed: Deed::Ignore }), "{effects:?}");
}

#[test]
fn a_bulk_fix_is_shown_confirmed_by_its_count_watched_and_told() {
    let mut model = full((120, 40));
    press(&mut model, "j j Space f");
    let Some(Overlay::Ask(ask)) = model.overlays.last() else { panic!("{:?}", model.overlays) };
    assert_eq!(ask.suggestions[0], EACH);
    assert!(ask.suggestions[1..].iter().all(|text| text.starts_with("Phone")), "{:?}", ask.suggestions);
    press(&mut model, "C-u");
    type_in(&mut model, "Phone | shout");
    assert!(press(&mut model, "Enter").is_empty(), "what cannot be read stays");
    press(&mut model, "C-u");
    type_in(&mut model, "Phone=");
    let (field, how) = ("Phone".to_owned(), How::Set(None));
    let deed = Deed::Fix { field, how, retry: true };
    assert_eq!(press(&mut model, "Enter"), [Effect::Plan { chosen: Chosen::Ids(vec![34]), deed }]);

    let many = plan(5_000);
    update(&mut model, Msg::Planned(Ok(many.clone())));
    assert!(press(&mut model, "y Enter").is_empty(), "more than a thousand are not done by a y");
    press(&mut model, "BS");
    type_in(&mut model, "5,000");
    press(&mut model, "Tab");
    type_in(&mut model, "why not");
    press(&mut model, "Enter");
    assert_eq!(
        press(&mut model, "Enter"),
        [Effect::CarryOut { plan: many, why: Some("why not".to_owned()) }]
    );
    assert!(press(&mut model, "q j Enter").is_empty(), "while it goes on, only Esc means something");
    assert_eq!(press(&mut model, "Esc Esc"), [Effect::Stop]);
    let effects =
        update(&mut model, Msg::Reported { text: "fix".to_owned(), sends: true, result: Ok(report(2_000)) });
    assert!(effects.iter().any(|effect| matches!(effect, Effect::LoadErrors { .. })));
    let failed = |item: &Item| item.result == Came::Failed;
    let failed: Vec<i64> =
        report(2_000).items.iter().filter(|item| failed(item)).map(|item| item.id).collect();
    assert!(!failed.is_empty() && model.errors.marked.iter().eq(&failed), "what failed is still marked");
    let undo = Effect::Plan { chosen: Chosen::Ids(Vec::new()), deed: Deed::Undo(12) };
    assert_eq!(press(&mut model, "U"), [undo]);
    update(&mut model, Msg::Planned(Ok(plan(2))));
    press(&mut model, "n");
    assert!(model.overlays.is_empty());
}

#[test]
fn one_row_is_ignored_without_a_question_and_told_in_a_line() {
    let mut model = full((120, 40));
    let one = plan(1);
    let harmless = crate::client::operations::execute::Plan::shown(Deed::Ignore, one.preview.clone(), "demo");
    let effects = planned(&mut model, harmless.into());
    assert!(matches!(effects.as_slice(), [Effect::CarryOut { .. }]));
    let mut done = Report { act: Some(3), ..Report::default() };
    done.note(Item { id: 35, result: Came::Done, message: "it is off the list".to_owned() });
    update(&mut model, Msg::Reported { text: "ignore".to_owned(), sends: false, result: Ok(done) });
    let toast = model.toast.clone().unwrap();
    assert_eq!(
        (toast.tone, toast.text.as_str()),
        (Tone::Good, "ignore: it is off the list  (U takes it back)")
    );
    assert!(model.overlays.is_empty());
    press(&mut model, "U");
    update(&mut model, Msg::Planned(Err(Refused("there is nothing of yours to undo".to_owned()))));
    assert_eq!(model.toast.as_ref().unwrap().tone, Tone::Bad);
}

#[test]
fn several_fields_are_changed_and_saved_together() {
    let mut model = opened();
    press(&mut model, "e BS BS BS BS");
    type_in(&mut model, ".com");
    assert!(press(&mut model, "Tab").is_empty() && model.overlays.is_empty());
    press(&mut model, "g e");
    type_in(&mut model, "!");
    press(&mut model, "Tab");
    // Leaving would throw them away, and says so first.
    press(&mut model, "Esc");
    assert_eq!(model.focus, Pane::Record);
    let effects = press(&mut model, "C-s");
    let [Effect::Save(edit)] = effects.as_slice() else { panic!("{effects:?}") };
    let changed: Vec<(&str, Option<&str>)> =
        edit.fields.iter().map(|field| (field.column.as_str(), field.new.as_deref())).collect();
    assert_eq!(changed, [("email", Some("jane@acme.com")), ("lastname", Some("Doe!"))]);
    // An edit that is taken back is none; a second Esc throws the rest away.
    press(&mut model, "e");
    type_in(&mut model, "?");
    press(&mut model, "Tab e BS Tab");
    assert!(press(&mut model, "C-s").is_empty());
    press(&mut model, "e");
    type_in(&mut model, "?");
    press(&mut model, "Tab Esc Esc");
    assert_eq!(model.focus, Pane::Errors);
}

#[test]
fn sides_are_chosen_field_by_field_or_all_at_once() {
    let mut model = opened();
    assert!(press(&mut model, "c").is_empty(), "there is nothing to choose yet");
    update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(contested())) });
    press(&mut model, "c");
    assert!(press(&mut model, "Enter").is_empty(), "nothing is chosen yet");
    let one = vec![("email".to_owned(), Side::Salesforce)];
    assert_eq!(press(&mut model, "l Enter"), [Effect::Choose { row: jane(), sides: one }]);
    let all = [("email", Side::Postgres), ("lastname", Side::Postgres)];
    let sides = all.map(|(column, side)| (column.to_owned(), side)).to_vec();
    assert_eq!(press(&mut model, "c H Enter"), [Effect::Choose { row: jane(), sides }]);
}

#[test]
fn a_record_that_another_row_has_is_asked_about() {
    let mut model = opened();
    let taken = Linked::Taken { sfid: "003sd0000000001AAA".to_owned(), row: RowId(7) };
    update(&mut model, Msg::Linked { row: jane(), result: Ok(taken) });
    assert!(press(&mut model, "x").is_empty() && matches!(model.overlays.last(), Some(Overlay::Sure { .. })));
    assert_eq!(press(&mut model, "y"), [Effect::Link { row: jane(), replace: true }]);
}

#[test]
fn a_row_is_found_and_opened() {
    let mut model = full((120, 40));
    press(&mut model, "o");
    type_in(&mut model, "K1");
    assert_eq!(press(&mut model, "Enter"), [Effect::Find("K1".to_owned())]);
    let hit = |table: &str| Hit {
        mapping: "Contact".to_owned(),
        row: RowRef { table: table.to_owned(), row: RowId(1) },
        sfid: None,
        external_id: Some("K1".to_owned()),
        exists: true,
        unit: "in step".to_owned(),
        error: None,
        state: None,
        by: "external id".to_owned(),
    };
    update(&mut model, Msg::Found { text: "K1".to_owned(), result: Ok(Vec::new()) });
    assert!(model.toast.as_ref().unwrap().text.starts_with("no row has"));
    waited_for(
        &mut model,
        Msg::Found { text: "K1".to_owned(), result: Ok(vec![hit("contact"), hit("lead")]) },
    );
    let effects = press(&mut model, "j Enter");
    assert_eq!(effects[1], Effect::FetchValues(RowRef { table: "lead".to_owned(), row: RowId(1) }));
    waited_for(&mut model, Msg::Found { text: "K1".to_owned(), result: Ok(vec![hit("contact")]) });
    assert_eq!(model.record.as_ref().unwrap().row.table, "contact", "the only one is opened at once");
}

#[test]
fn read_only_offers_nothing_that_changes_anything() {
    let mut model = opened();
    model.read_only = true;
    assert_eq!(press(&mut model, "e"), []);
    assert!(model.overlays.is_empty());
    for key in ["r", "u", "i", "f", "m", "c", "U", "C-s"] {
        assert_eq!(press(&mut model, key), [], "{key}");
        assert!(model.overlays.is_empty(), "{key}");
    }
    waited_for(&mut model, Msg::Acts(Ok(acts())));
    assert_eq!(press(&mut model, "u"), []);
    assert_eq!(model.toast.as_ref().unwrap().text, "this console is read-only");
}
