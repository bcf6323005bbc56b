//! What keys do, without a terminal.

use super::world::{
    acts, console, contested, error, errors, failing, full, jane, page, plan, planned, press, record, report,
    type_in, values,
};
use crate::console::effect::Effect;
use crate::console::model::Tone;
use crate::console::model::{Model, Pane};
use crate::console::msg::Msg;
use crate::console::overlays::Overlay;
use crate::console::panes::record::Answer;
use crate::console::update::update;
use crate::domain::act::{Came, Deed, How, Item, Report};
use crate::domain::merge::Side;
use crate::domain::names::{RowId, RowRef};
use crate::domain::overview::Writes;
use crate::domain::record::{Edit, FieldEdit, Hit, RecordView};
use crate::domain::remedy::Action;
use crate::domain::sort::{Key, SortBy};
use crate::domain::sync_error::{ErrorState, SyncError};
use crate::engine::bulk::Chosen;
use crate::engine::handle::{ErrorPage, Event, Refused};
use crate::engine::mend::Linked;

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
    assert_eq!(planned(&mut model, "j i"), (Chosen::Ids(vec![35]), Deed::Ignore));
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
    update(&mut model, Msg::Groups { filter: String::new(), result: Ok(super::world::groups()) });
    let effects = press(&mut model, "j i");
    let cause = Chosen::Filter("group:8fb2".to_owned());
    assert!(effects.contains(&Effect::Plan { chosen: cause, deed: Deed::Ignore }), "{effects:?}");
}

#[test]
fn a_bulk_fix_is_shown_confirmed_by_its_count_watched_and_told() {
    let mut model = full((120, 40));
    press(&mut model, "j j Space f");
    let Some(Overlay::Ask(ask)) = model.overlays.last() else { panic!("{:?}", model.overlays) };
    assert!(ask.suggestions.iter().all(|text| text.starts_with("Phone")), "{:?}", ask.suggestions);
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
    let harmless = crate::engine::bulk::Plan::shown(Deed::Ignore, one.preview.clone(), "demo");
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
    update(&mut model, Msg::Found { text: "K1".to_owned(), result: Ok(vec![hit("contact"), hit("lead")]) });
    let effects = press(&mut model, "j Enter");
    assert_eq!(effects[1], Effect::FetchValues(RowRef { table: "lead".to_owned(), row: RowId(1) }));
    update(&mut model, Msg::Found { text: "K1".to_owned(), result: Ok(vec![hit("contact")]) });
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
    update(&mut model, Msg::Acts(Ok(acts())));
    assert_eq!(press(&mut model, "u"), []);
    assert_eq!(model.toast.as_ref().unwrap().text, "this console is read-only");
}

#[test]
fn an_error_of_no_row_tells_in_the_records_place_what_it_means_and_what_helps() {
    let mut model = full((120, 40));
    // Jane's record shows; the selection goes on to the error of the connection.
    press(&mut model, "j");
    let rested = Msg::Rested(model.resting);
    update(&mut model, rested);
    assert_eq!(model.record.as_ref().unwrap().row, jane());
    press(&mut model, "k");
    let rested = Msg::Rested(model.resting);
    update(&mut model, rested);
    assert!(model.record.is_none(), "what shows is what is selected");
    press(&mut model, "Enter");
    let shown = super::screens::text(&model);
    assert!(shown.contains("3 Record · the connection") && shown.contains("Poll less often"), "{shown}");
    assert_eq!((model.focus, press(&mut model, "e r f").len()), (Pane::Record, 0));
    press(&mut model, "Esc");
    assert_eq!(model.focus, Pane::Errors);
    // Changes that are not saved are not given up for it.
    press(&mut model, "j Enter");
    update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    press(&mut model, "e BS BS BS BS");
    type_in(&mut model, ".com");
    press(&mut model, "Tab 2 k Enter");
    assert!(model.record.as_ref().unwrap().keeps());
    assert!(model.toast.as_ref().unwrap().text.contains("not saved"));
}

#[test]
fn the_first_error_of_an_empty_list_shows_its_record_by_itself() {
    let mut model = console((120, 40));
    let listed = |errors| Msg::Errors { generation: 0, append: false, result: Ok(page(errors)) };
    assert!(update(&mut model, listed(Vec::new())).is_empty());
    assert!(update(&mut model, listed(errors()[1..].to_vec())).contains(&Effect::Rest(1)));
    assert_eq!(update(&mut model, Msg::Rested(1)), [Effect::LoadRecord(jane())]);
    // From now on the selection stays on it, whatever comes in above.
    let later = error(99, "STRING_TOO_LONG", "Title", "too long", ErrorState::Open);
    let with_later = std::iter::once(later).chain(errors()[1..].iter().cloned()).collect();
    update(&mut model, listed(with_later));
    assert_eq!(model.errors.selected().unwrap().row(), Some(jane()));
}

#[test]
fn an_answer_is_told_of_the_row_that_was_sent_whatever_shows_by_then() {
    let mut model = opened();
    press(&mut model, "Esc Space");
    update(&mut model, Msg::Planned(Ok(plan(1))));
    // Another row's act: Jane's record shows, and hears nothing of it.
    let mut done = Report { act: Some(3), ..Report::default() };
    done.note(Item { id: 34, result: Came::Done, message: "it is sent".to_owned() });
    update(&mut model, Msg::Reported { text: "retry".to_owned(), sends: true, result: Ok(done.clone()) });
    assert_eq!(answer(&model), None);
    done.items[0].id = 35;
    update(&mut model, Msg::Reported { text: "retry".to_owned(), sends: true, result: Ok(done) });
    assert!(matches!(answer(&model), Some(Answer::Sending { .. })));
}

#[test]
fn what_was_typed_outlives_a_save_that_is_refused() {
    let mut model = opened();
    press(&mut model, "e BS BS BS BS");
    type_in(&mut model, ".com");
    press(&mut model, "C-s");
    update(
        &mut model,
        Msg::Saved { row: jane(), result: Err(Refused("email was changed meanwhile".to_owned())) },
    );
    let pane = model.record.as_ref().unwrap();
    assert_eq!(pane.kept("email").unwrap().new.as_deref(), Some("jane@acme.com"));
    // Nothing is done to the row under it, and nothing leaves without a word.
    for key in ["r", "m", "u", "i"] {
        assert!(press(&mut model, key).is_empty());
        assert!(model.toast.as_ref().unwrap().text.contains("not saved"), "{key}");
    }
    assert!(press(&mut model, "q").is_empty());
    assert!(press(&mut model, "j q").is_empty(), "another key between them begins anew");
    assert_eq!(press(&mut model, "q"), [Effect::Quit]);
}

#[test]
fn an_answer_that_was_asked_for_before_the_save_is_none() {
    let mut model = opened();
    update(&mut model, Msg::Event(Event::Record(jane())));
    press(&mut model, "e BS BS BS BS");
    type_in(&mut model, ".com");
    press(&mut model, "C-s");
    update(&mut model, Msg::Saved { row: jane(), result: Ok(()) });
    // The look that was under way saw the row as it was before.
    let effects = update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    assert!(matches!(answer(&model), Some(Answer::Sending { .. })));
    assert!(effects.contains(&Effect::LoadRecord(jane())));
    let taken = record("in step", "jane@acme.com", None);
    update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(taken.clone())) });
    assert!(matches!(answer(&model), Some(Answer::Accepted { .. })));
    // A later failure makes it untrue.
    update(&mut model, Msg::Event(Event::Record(jane())));
    update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    assert_eq!(answer(&model), None);
}

#[test]
fn a_row_that_is_kept_out_of_the_sync_was_not_taken_by_salesforce() {
    let mut model = opened();
    update(&mut model, Msg::Applied { row: jane(), result: Ok("the rule is set".to_owned()) });
    let mut out = record("in step", "jane@acme,com", None);
    out.history.remove(0);
    update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(out)) });
    update(
        &mut model,
        Msg::Record {
            row: jane(),
            result: Box::new(Ok({
                let mut out = record("in step", "jane@acme,com", None);
                out.history.remove(0);
                out
            })),
        },
    );
    assert!(matches!(answer(&model), Some(Answer::Settled { .. })), "{:?}", answer(&model));
}

#[test]
fn what_is_typed_behind_e_before_the_record_is_there_goes_into_the_editor() {
    let mut model = full((120, 40));
    press(&mut model, "j Enter e");
    type_in(&mut model, "iur");
    assert!(matches!(model.overlays.as_slice(), [Overlay::Opening(typed)] if typed.len() == 3));
    update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    assert!(super::screens::text(&model).contains("jane@acme,comiur"));
}

#[test]
fn esc_leads_back_to_where_a_list_was_chosen() {
    let mut model = full((120, 40));
    press(&mut model, "1 j Enter");
    assert_eq!((model.focus, model.errors.filter.as_str()), (Pane::Errors, "mapping:Contact"));
    update(&mut model, Msg::Groups { filter: String::new(), result: Ok(super::world::groups()) });
    press(&mut model, "j Enter");
    assert_eq!(model.errors.filter, "group:8fb2");
    press(&mut model, "Esc");
    assert_eq!((model.focus, model.errors.filter.as_str()), (Pane::Errors, "mapping:Contact"));
    press(&mut model, "Esc");
    assert_eq!((model.focus, model.errors.filter.as_str()), (Pane::Mappings, ""));
}

#[test]
fn however_many_errors_come_at_once_the_selection_stays_on_its_own() {
    let numbered = |ids: std::ops::Range<i64>| -> Vec<SyncError> {
        ids.rev().map(|id| error(id, "CODE", "Email", "bad", ErrorState::Open)).collect()
    };
    let part = |items: Vec<SyncError>| {
        let next = items.last().map(|last| Key::of(SortBy::LastSeen, last));
        ErrorPage { items, next, done: false }
    };
    let mut model = console((120, 40));
    let came = |items| Msg::Errors { generation: 0, append: false, result: Ok(part(items)) };
    let limits = |effects: &[Effect]| -> Vec<(usize, bool)> {
        let limit = |effect: &Effect| match effect {
            Effect::LoadErrors { query, .. } => Some((query.limit, query.after.is_some())),
            _ => None,
        };
        effects.iter().filter_map(limit).collect()
    };
    update(&mut model, came(numbered(0..100)));
    press(&mut model, "j j");
    let stood = model.errors.selected().map(|error| error.id);
    assert_eq!(stood, Some(97));
    // Four hundred at once: the page does not reach what is selected, the next one does.
    let effects = update(&mut model, came(numbered(398..500)));
    assert_eq!(limits(&effects), [(1_000, false)]);
    assert_eq!(model.errors.selected().map(|error| error.id), stood);
    update(&mut model, came(numbered(0..500)));
    assert_eq!((model.errors.selected().map(|error| error.id), model.errors.cursor.at), (stood, 402));
    // Five thousand at once: the list goes on from where one looks, until its beginning is asked for.
    assert_eq!(limits(&update(&mut model, came(numbered(5_000..5_500)))), [(1_000, false)]);
    assert_eq!(limits(&update(&mut model, came(numbered(4_500..5_500)))), [(502, true)]);
    update(&mut model, came(numbered(0..499)));
    assert_eq!((model.errors.selected().map(|error| error.id), model.errors.items.len()), (stood, 500));
    assert!(super::screens::text(&model).contains("newer ones above: R"));
    assert_eq!(limits(&press(&mut model, "g")), [(100, false)]);
}

#[test]
fn what_concerns_a_whole_mapping_is_asked_about_and_never_done_by_m() {
    let mut model = opened();
    let only_rules = |mut view: RecordView| {
        view.advice.remedies.retain(|offer| matches!(offer.action, Some(Action::Rule { .. })));
        view
    };
    let view = only_rules(failing());
    assert!(!view.advice.remedies.is_empty());
    update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(view)) });
    assert!(press(&mut model, "m").is_empty());
    assert!(press(&mut model, "f 1").is_empty());
    let Some(Overlay::Sure { text, .. }) = model.overlays.last() else { panic!("{:?}", model.overlays) };
    assert!(text.contains("the mapping Contact for all of its rows"), "{text}");
    assert!(matches!(press(&mut model, "y").as_slice(), [Effect::Apply { .. }]));
    // What is asked about all mappings names how many there are.
    press(&mut model, "1 :");
    type_in(&mut model, "strategy of all");
    press(&mut model, "Enter");
    let all = Effect::SetRule { mapping: None, key: "strategy".to_owned(), value: "retry".to_owned() };
    assert_eq!(press(&mut model, "2"), [all]);
    press(&mut model, ":");
    type_in(&mut model, "test all");
    press(&mut model, "Enter");
    let Some(Overlay::Sure { text, .. }) = model.overlays.last() else { panic!("{:?}", model.overlays) };
    assert!(text.starts_with("All 3 mappings"), "{text}");
    assert_eq!(press(&mut model, "y"), [Effect::Test(None)]);
}

#[test]
fn a_key_that_means_nothing_here_says_where_it_means_something() {
    let mut model = full((120, 40));
    for (keys, says) in [
        ("1 m", "M is “mend” in Record (3)"),
        ("2 w", "w does nothing here; ? shows the keys"),
        ("4 c", "c is “causes” in Errors (2)"),
    ] {
        press(&mut model, keys);
        assert!(model.toast.as_ref().unwrap().text.eq_ignore_ascii_case(says), "{:?}", model.toast);
    }
}

#[test]
fn causes_go_on_counting_while_they_show_and_read_as_words_where_they_are_listed() {
    let mut model = full((120, 40));
    let came = |groups| Msg::Groups { filter: String::new(), result: Ok(groups) };
    update(&mut model, came(super::world::groups()));
    press(&mut model, "j");
    let effects = update(&mut model, Msg::Tick(super::world::now() + chrono::TimeDelta::seconds(6)));
    assert!(effects.contains(&Effect::LoadGroups(String::new())), "{effects:?}");
    let mut later = super::world::groups();
    later.reverse();
    later[0].count = 4_711;
    update(&mut model, came(later));
    assert_eq!(model.overlays.len(), 1);
    assert!(super::screens::text(&model).contains("4711"));
    // The selection is on the cause that it was on, which is the first one now.
    press(&mut model, "Enter");
    assert_eq!(model.errors.filter, "group:8fb2");
    assert!(super::screens::text(&model).contains("Contact INVALID_EMAIL_ADDRESS Email: Email: inv"));
}

#[test]
fn what_the_database_forbids_is_said_whenever_it_is_tried() {
    let mut model = full((120, 40));
    let why = "the role watcher has no right INSERT\nlet its owner run: GRANT ...";
    update(&mut model, Msg::Rights(Ok(Some(why.to_owned()))));
    press(&mut model, "j");
    assert!(press(&mut model, "r").is_empty());
    assert!(model.toast.as_ref().unwrap().text.contains("let its owner run: GRANT"));
    assert!(super::screens::text(&model).contains("READ-ONLY"));
}

#[test]
fn filters_of_the_log_are_completed_from_what_is_known() {
    let mut model = full((120, 40));
    press(&mut model, "4 /");
    type_in(&mut model, "ma");
    press(&mut model, "Tab");
    type_in(&mut model, "inv");
    press(&mut model, "Tab Enter");
    assert_eq!(model.log.filter, "mapping:Invoice_Line__c");
    // What is typed is there again behind the filters that were typed before.
    press(&mut model, "/");
    type_in(&mut model, "lev");
    press(&mut model, "Up Down");
    assert!(super::screens::text(&model).contains("mapping:Invoice_Line__c lev"));
}

#[test]
fn a_database_that_is_silent_is_named_while_one_waits() {
    let mut model = full((120, 40));
    update(&mut model, Msg::Event(Event::Overview));
    for second in 1..=5 {
        update(&mut model, Msg::Tick(super::world::now() + chrono::TimeDelta::seconds(second)));
    }
    assert!(super::screens::text(&model).contains("◌ PostgreSQL does not answer, 4 s"));
    update(&mut model, Msg::Overview(Ok(super::world::overview())));
    update(&mut model, Msg::Errors { generation: 0, append: false, result: Ok(page(errors())) });
    update(&mut model, Msg::Tick(super::world::now() + chrono::TimeDelta::seconds(6)));
    assert!(super::screens::text(&model).contains("● running"));
}

#[test]
fn what_was_typed_is_there_again_after_a_cut_connection_but_nothing_of_a_masked_field() {
    let mut model = opened();
    press(&mut model, "g e");
    type_in(&mut model, "!");
    press(&mut model, "Tab G k k k e BS BS BS BS");
    type_in(&mut model, ".com");
    let state = model.state();
    let drafted: Vec<(&str, Option<&str>)> =
        state.draft.iter().map(|change| (change.column.as_str(), change.new.as_deref())).collect();
    assert_eq!(drafted, [("lastname", Some("Doe!")), ("email", Some("jane@acme.com"))]);
    let mut next = console((120, 40));
    next.resume(&state);
    let pane = next.record.as_ref().unwrap();
    assert!(pane.row == jane() && pane.kept("email").is_some() && pane.kept("lastname").is_some());
    assert!(next.toast.as_ref().unwrap().text.contains("is here again"));
    let mut masked = failing();
    masked.masked = vec!["email".to_owned()];
    update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(masked)) });
    let columns: Vec<String> = model.state().draft.into_iter().map(|change| change.column).collect();
    assert_eq!(columns, ["lastname"]);
}
