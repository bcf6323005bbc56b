//! What keys do, without a terminal.

use super::world::{
    console, contested, error, errors, failing, full, jane, operations, page, plan, planned, press, record,
    report, rests, type_in, values, waited_for,
};
use crate::client::api::{ClientError, ErrorPage, Event};
use crate::client::operations::execute::Targets;
use crate::client::row::Linked;
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::context::Tone;
use crate::console::effect::Effect;
use crate::console::msg::{Msg, SendState};
use crate::console::overlays::{EACH, Overlay};
use crate::console::pane::Pane;
use crate::console::panes::record::SendStatus;
use crate::domain::changes::merge::Side;
use crate::domain::errors::sort::{PageKey, SortBy};
use crate::domain::errors::sync_error::{ErrorState, SyncError};
use crate::domain::names::{RowId, RowRef};
use crate::domain::operations::operation::{FieldChange, Item, OperationKind, Report, RowStatus};
use crate::domain::records::record::{Edit, FieldEdit, Hit};
use crate::domain::reports::overview::Writes;

/// Opens Jane's record.
pub fn opened() -> App {
    let mut app = full((120, 40));
    assert_eq!(press(&mut app, "j Enter"), [Effect::LoadRecord(jane()), Effect::FetchValues(jane())]);
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    update(&mut app, Msg::Values { row: jane(), result: Ok(values()) });
    app
}

pub fn answer(app: &App) -> Option<&SendStatus> {
    app.selection.record.as_ref().and_then(|pane| pane.answer.as_ref())
}

#[test]
fn the_whole_loop_from_the_list_to_the_answer() {
    let mut app = opened();
    assert_eq!(
        app.selection.record.as_ref().unwrap().selected().unwrap().0.name,
        "Email",
        "the field at fault comes first"
    );
    press(&mut app, "e BS BS BS BS");
    type_in(&mut app, ".com");
    let saved = FieldEdit {
        column: "email".to_owned(),
        shown: Some("jane@acme,com".to_owned()),
        new: Some("jane@acme.com".to_owned()),
    };
    assert_eq!(
        press(&mut app, "C-s"),
        [Effect::Save(Edit { row: jane(), fields: vec![saved], retry: true })]
    );
    assert!(app.overlays.is_empty());
    let effects = update(&mut app, Msg::Saved { row: jane(), result: Ok(()) });
    assert!(effects.contains(&Effect::LoadRecord(jane())));
    assert!(matches!(answer(&app), Some(SendStatus::Sending { .. })));
    update(
        &mut app,
        Msg::Record { row: jane(), result: Box::new(Ok(record("in flight", "jane@acme.com", None))) },
    );
    assert!(matches!(answer(&app), Some(SendStatus::Sending { .. })));
    update(&mut app, Msg::Event(Event::Record(jane())));
    let effects = update(
        &mut app,
        Msg::Record { row: jane(), result: Box::new(Ok(record("in step", "jane@acme.com", None))) },
    );
    assert!(matches!(answer(&app), Some(SendStatus::Accepted { .. })));
    assert_eq!(effects, [Effect::FetchValues(jane())]);
    assert_eq!(app.ctx.focus, Pane::Record, "the answer is seen where one looks");
}

#[test]
fn a_remedy_is_chosen_by_its_number_and_does_what_it_showed() {
    let mut app = opened();
    press(&mut app, "f");
    assert!(matches!(app.overlays.last(), Some(Overlay::Menu(_))));
    let effects = press(&mut app, "1");
    let [Effect::Apply { row, offer }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((row, offer.changes[0].new.as_deref()), (&jane(), Some("jane@acme.com")));
    assert!(app.overlays.is_empty());
    update(&mut app, Msg::Applied { row: jane(), result: Ok("Write a dot".to_owned()) });
    assert!(matches!(answer(&app), Some(SendStatus::Sending { .. })));
    // What a person has to do is no deed, and Esc leaves everything as it is.
    press(&mut app, "f");
    assert!(press(&mut app, "G End 9 Esc").is_empty() && app.overlays.is_empty());
}

#[test]
fn errors_are_shown_by_cause_and_one_cause_lists_its_errors() {
    let mut app = full((120, 40));
    assert_eq!(press(&mut app, "2 c"), [Effect::LoadGroups("needs:person".to_owned())]);
    update(&mut app, Msg::Groups { filter: "needs:person".to_owned(), result: Ok(Vec::new()) });
    assert!(app.overlays.is_empty(), "without errors there is nothing to choose from");
    waited_for(&mut app, Msg::Groups { filter: String::new(), result: Ok(super::world::groups()) });
    press(&mut app, "j Enter");
    assert_eq!((app.errors.filter.as_str(), app.overlays.len()), ("group:8fb2", 0));
    // Those of the groups that were counted, and no others; one of the groups itself is not named twice.
    for (counted, listed) in [
        ("state:held code:EMAIL", "group:8fb2 state:held code:EMAIL"),
        ("needs:person phone", "group:8fb2 phone"),
        ("needs:person group:8fb2", "group:8fb2"),
    ] {
        let mut app = full((120, 40));
        waited_for(&mut app, Msg::Groups { filter: counted.to_owned(), result: Ok(super::world::groups()) });
        press(&mut app, "j Enter");
        assert_eq!((app.errors.filter.as_str(), app.overlays.len()), (listed, 0));
    }
}

#[test]
fn a_mapping_gets_another_strategy_and_its_writes_rest() {
    let mut app = full((120, 40));
    press(&mut app, "1 j s");
    let effects = press(&mut app, "j Enter");
    let set = |value: &str| Effect::SetRule {
        mapping: Some("Contact".to_owned()),
        key: "strategy".to_owned(),
        value: value.to_owned(),
    };
    assert_eq!(effects, [set("retry")]);
    press(&mut app, "s");
    assert_eq!(press(&mut app, "4"), [set("manual_review")]);
    let writes = |to| Effect::Writes { mapping: Some("Contact".to_owned()), to };
    assert_eq!(press(&mut app, "p"), [writes(Writes::Pause)]);
    assert_eq!(press(&mut app, "d"), [writes(Writes::Drain)]);
    assert_eq!(update(&mut app, Msg::Changed(Ok("done".to_owned()))), [Effect::LoadOverview]);
}

#[test]
fn a_second_rejection_and_a_refused_save_are_told_in_the_same_place() {
    let mut app = opened();
    press(&mut app, "r");
    update(&mut app, Msg::Retried { row: jane(), result: Ok(()) });
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    assert!(matches!(answer(&app), Some(SendStatus::Rejected { .. })));
    update(
        &mut app,
        Msg::Saved { row: jane(), result: Err(ClientError::refused("email was changed meanwhile")) },
    );
    assert!(app.ctx.toast.as_ref().unwrap().text.contains("changed meanwhile"));
}

#[test]
fn what_the_field_cannot_hold_is_not_saved() {
    let mut app = opened();
    press(&mut app, "e C-s");
    assert!(matches!(app.overlays.last(), Some(Overlay::Editor(_))), "jane@acme,com is no address");
    assert_eq!(press(&mut app, "Enter"), []);
    // Unchanged, Esc leaves at once; changed, it asks.
    press(&mut app, "Esc");
    assert!(app.overlays.is_empty());
    press(&mut app, "e x Esc");
    assert!(matches!(app.overlays.last(), Some(Overlay::ConfirmLeave)));
    press(&mut app, "n");
    assert!(matches!(app.overlays.last(), Some(Overlay::Editor(_))));
    press(&mut app, "Esc y");
    assert!(app.overlays.is_empty());
}

#[test]
fn new_errors_do_not_move_the_cursor_off_its_error() {
    let mut app = full((120, 40));
    press(&mut app, "j j");
    let selected = app.errors.selected().unwrap().id;
    let mut more = vec![error(40, "INVALID_EMAIL_ADDRESS", "Email", "new", ErrorState::Open)];
    more.extend(errors());
    assert_eq!(update(&mut app, Msg::Event(Event::Errors)).len(), 2, "the list, and how many there are");
    update(&mut app, Msg::Errors { generation: 0, append: false, result: Ok(page(more)) });
    assert_eq!(app.errors.selected().unwrap().id, selected);
    // Gone, the cursor stays in its place.
    update(&mut app, Msg::Event(Event::Errors));
    let rest = errors().into_iter().filter(|error| error.id != selected).collect();
    update(&mut app, Msg::Errors { generation: 0, append: false, result: Ok(page(rest)) });
    assert!(app.errors.selected().is_some());
}

#[test]
fn one_request_of_a_kind_is_under_way_and_the_newest_wins() {
    let mut app = console((120, 40));
    assert_eq!(update(&mut app, Msg::Event(Event::Errors)), []);
    assert_eq!(update(&mut app, Msg::Event(Event::Errors)), []);
    let effects = update(&mut app, Msg::Errors { generation: 0, append: false, result: Ok(page(errors())) });
    let asked = effects.iter().filter(|effect| matches!(effect, Effect::LoadErrors { .. })).count();
    assert_eq!(asked, 1, "what was asked for meanwhile is asked for once");
}

#[test]
fn a_filter_is_applied_or_refused_with_the_reason_and_esc_takes_it_off() {
    let mut app = full((120, 40));
    press(&mut app, "/");
    type_in(&mut app, "state:shut");
    press(&mut app, "Enter");
    assert!(matches!(app.overlays.last(), Some(Overlay::Filter(line)) if line.complaint.is_some()));
    for _ in 0..4 {
        press(&mut app, "BS");
    }
    type_in(&mut app, "open");
    press(&mut app, "Enter");
    assert_eq!(app.errors.filter, "state:open");
    let generation = app.errors.generation;
    // An answer to the old list is dropped.
    update(&mut app, Msg::Errors { generation: 0, append: false, result: Ok(page(errors())) });
    assert!(app.errors.items.is_empty());
    update(&mut app, Msg::Errors { generation, append: false, result: Ok(page(errors())) });
    press(&mut app, "Esc");
    assert_eq!(app.errors.filter, "");
    assert_eq!(app.ctx.focus, Pane::Errors);
}

#[test]
fn a_mapping_shows_its_errors_and_esc_goes_back_one_step_at_a_time() {
    let mut app = full((120, 40));
    press(&mut app, "1 j Enter");
    assert_eq!((app.errors.filter.as_str(), app.ctx.focus), ("mapping:Contact", Pane::Errors));
    press(&mut app, "z Esc");
    assert!(!app.ctx.zoom);
    press(&mut app, "Esc");
    assert_eq!(app.errors.filter, "");
    press(&mut app, "Esc Esc");
    assert_eq!(app.ctx.focus, Pane::Mappings, "Esc never leaves the console");
    assert_eq!(press(&mut app, "q"), [Effect::Quit]);
}

#[test]
fn who_went_far_down_the_list_stays_there_while_its_beginning_is_read_again() {
    let numbered = |ids: std::ops::Range<i64>| -> Vec<SyncError> {
        ids.map(|id| error(id, "CODE", "Email", "bad", ErrorState::Open)).collect()
    };
    let part = |items: Vec<SyncError>| {
        let next = items.last().map(|last| PageKey::of(SortBy::LastSeen, last));
        ErrorPage { items, next, done: false }
    };
    let mut app = console((120, 40));
    let status = |append: bool, items| Msg::Errors { generation: 0, append, result: Ok(part(items)) };
    update(&mut app, status(false, numbered(100..200)));
    for from in [200, 300, 400] {
        update(&mut app, status(true, numbered(from..from + 100)));
    }
    (0..40).for_each(|_| drop(press(&mut app, "PgDn")));
    let stood = app.errors.selected().map(|error| error.id);
    assert_eq!(stood, Some(499));
    let next = app.errors.next.clone();
    // Two new ones came, one of the old ones is gone.
    let fresh: Vec<SyncError> = [numbered(98..150), numbered(151..200)].concat();
    update(&mut app, status(false, fresh));
    assert_eq!(app.errors.selected().map(|error| error.id), stood);
    assert_eq!((app.errors.items.len(), &app.errors.next), (401, &next));
    // A list that ends earlier has nothing behind its end.
    let short = ErrorPage { items: numbered(98..130), next: None, done: true };
    update(&mut app, Msg::Errors { generation: 0, append: false, result: Ok(short) });
    assert_eq!((app.errors.items.len(), &app.errors.next), (32, &None));
}

#[test]
fn the_log_follows_until_one_scrolls_back() {
    let mut app = full((120, 40));
    press(&mut app, "4 k");
    assert!(!app.log.following);
    let mut new = super::world::log().remove(2);
    new.id = 4;
    update(&mut app, Msg::Event(Event::Log));
    update(&mut app, Msg::Log(Ok(vec![new])));
    assert_eq!(app.log.new_below, 1);
    press(&mut app, "G");
    assert!(app.log.following && app.log.new_below == 0);
    press(&mut app, "/");
    type_in(&mut app, "level:error");
    press(&mut app, "Enter g");
    assert!(app.log.selected().unwrap().message().starts_with("Lead"));
    press(&mut app, "x");
    let Some(Overlay::Info { title, text, .. }) = app.overlays.last() else { panic!("{:?}", app.overlays) };
    assert!(title == "Object type changed" && text.contains('→'), "{title}: {text}");
}

#[test]
fn what_is_marked_is_what_an_act_is_about() {
    let mut app = full((120, 40));
    let planned = |app: &mut App, keys: &str| match press(app, keys).as_slice() {
        [Effect::Plan { chosen, kind }] => {
            // Keys that are pressed before the answer are no answer to it.
            assert!(press(app, "y i r q").is_empty());
            update(app, Msg::Planned(Err(ClientError::refused("too late"))));
            (chosen.clone(), kind.clone())
        }
        other => panic!("{other:?}"),
    };
    press(&mut app, "j");
    rests(&mut app, failing());
    assert_eq!(planned(&mut app, "i"), (Targets::Ids(vec![35]), OperationKind::Ignore));
    assert_eq!(planned(&mut app, "Space Space u"), (Targets::Ids(vec![34, 35]), OperationKind::Revert));
    assert_eq!(planned(&mut app, "r"), (Targets::Ids(vec![34, 35]), OperationKind::Retry));
    press(&mut app, "Esc");
    assert!(!app.errors.any_marked() && app.ctx.focus == Pane::Errors, "the first Esc takes the marks away");
    assert_eq!(planned(&mut app, "A r"), (Targets::Filter("needs:person".to_owned()), OperationKind::Retry));
    press(&mut app, "/");
    type_in(&mut app, "code:EMAIL");
    press(&mut app, "Enter");
    assert!(!app.errors.any_marked(), "another list begins without marks");
    // All of a group, right from the groups.
    waited_for(&mut app, Msg::Groups { filter: String::new(), result: Ok(super::world::groups()) });
    let effects = press(&mut app, "j i");
    let cause = Targets::Filter("needs:person group:8fb2".to_owned());
    assert!(effects.contains(&Effect::Plan { chosen: cause, kind: OperationKind::Ignore }), "{effects:?}");
}

#[test]
fn a_bulk_fix_is_shown_confirmed_by_its_count_watched_and_told() {
    let mut app = full((120, 40));
    press(&mut app, "j j Space f");
    let Some(Overlay::Prompt(ask)) = app.overlays.last() else { panic!("{:?}", app.overlays) };
    assert_eq!(ask.suggestions[0], EACH);
    assert!(ask.suggestions[1..].iter().all(|text| text.starts_with("Phone")), "{:?}", ask.suggestions);
    press(&mut app, "C-u");
    type_in(&mut app, "Phone | shout");
    assert!(press(&mut app, "Enter").is_empty(), "what cannot be read stays");
    press(&mut app, "C-u");
    type_in(&mut app, "Phone=");
    let (field, how) = ("Phone".to_owned(), FieldChange::Set(None));
    let kind = OperationKind::Fix { field, how, retry: true };
    assert_eq!(press(&mut app, "Enter"), [Effect::Plan { chosen: Targets::Ids(vec![34]), kind }]);

    let many = plan(5_000);
    update(&mut app, Msg::Planned(Ok(many.clone())));
    assert!(press(&mut app, "y Enter").is_empty(), "more than a thousand are not done by a y");
    press(&mut app, "BS");
    type_in(&mut app, "5,000");
    press(&mut app, "Tab");
    type_in(&mut app, "why not");
    press(&mut app, "Enter");
    assert_eq!(press(&mut app, "Enter"), [Effect::Execute { plan: many, why: Some("why not".to_owned()) }]);
    assert!(press(&mut app, "q j Enter").is_empty(), "while it goes on, only Esc means something");
    assert_eq!(press(&mut app, "Esc Esc"), [Effect::Stop]);
    let effects = update(
        &mut app,
        Msg::Reported { text: "fix".to_owned(), sent: SendState::Rows(None), result: Ok(report(2_000)) },
    );
    assert!(effects.iter().any(|effect| matches!(effect, Effect::LoadErrors { .. })));
    let failed = |item: &Item| item.result == RowStatus::Failed;
    let failed: Vec<i64> =
        report(2_000).items.iter().filter(|item| failed(item)).map(|item| item.id).collect();
    assert!(!failed.is_empty() && app.errors.marks.ids.iter().eq(&failed), "what failed is still marked");
    let undo = Effect::Plan { chosen: Targets::Ids(Vec::new()), kind: OperationKind::Undo(12) };
    assert_eq!(press(&mut app, "U"), [undo]);
    update(&mut app, Msg::Planned(Ok(plan(2))));
    press(&mut app, "n");
    assert!(app.overlays.is_empty());
}

#[test]
fn one_row_is_ignored_without_a_question_and_told_in_a_line() {
    let mut app = full((120, 40));
    let one = plan(1);
    let harmless =
        crate::client::operations::execute::Plan::shown(OperationKind::Ignore, one.preview.clone(), "demo");
    let effects = planned(&mut app, harmless.into());
    assert!(matches!(effects.as_slice(), [Effect::Execute { .. }]));
    let mut done = Report { operation: Some(3), ..Report::default() };
    done.note(Item { id: 35, result: RowStatus::Done, message: "it is off the list".to_owned() });
    update(&mut app, Msg::Reported { text: "ignore".to_owned(), sent: SendState::Nothing, result: Ok(done) });
    let toast = app.ctx.toast.clone().unwrap();
    assert_eq!(
        (toast.tone, toast.text.as_str()),
        (Tone::Good, "ignore: it is off the list  (U takes it back)")
    );
    assert!(app.overlays.is_empty());
    press(&mut app, "U");
    update(&mut app, Msg::Planned(Err(ClientError::refused("there is nothing of yours to undo"))));
    assert_eq!(app.ctx.toast.as_ref().unwrap().tone, Tone::Bad);
}

#[test]
fn several_fields_are_changed_and_saved_together() {
    let mut app = opened();
    press(&mut app, "e BS BS BS BS");
    type_in(&mut app, ".com");
    assert!(press(&mut app, "Tab").is_empty() && app.overlays.is_empty());
    press(&mut app, "g e");
    type_in(&mut app, "!");
    press(&mut app, "Tab");
    // Leaving would throw them away, and says so first.
    press(&mut app, "Esc");
    assert_eq!(app.ctx.focus, Pane::Record);
    let effects = press(&mut app, "C-s");
    let [Effect::Save(edit)] = effects.as_slice() else { panic!("{effects:?}") };
    let changed: Vec<(&str, Option<&str>)> =
        edit.fields.iter().map(|field| (field.column.as_str(), field.new.as_deref())).collect();
    assert_eq!(changed, [("email", Some("jane@acme.com")), ("lastname", Some("Doe!"))]);
    // An edit that is taken back is none; a second Esc throws the rest away.
    press(&mut app, "e");
    type_in(&mut app, "?");
    press(&mut app, "Tab e BS Tab");
    assert!(press(&mut app, "C-s").is_empty());
    press(&mut app, "e");
    type_in(&mut app, "?");
    press(&mut app, "Tab Esc Esc");
    assert_eq!(app.ctx.focus, Pane::Errors);
}

#[test]
fn sides_are_chosen_field_by_field_or_all_at_once() {
    let mut app = opened();
    assert!(press(&mut app, "c").is_empty(), "there is nothing to choose yet");
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(contested())) });
    press(&mut app, "c");
    assert!(press(&mut app, "Enter").is_empty(), "nothing is chosen yet");
    let one = vec![("email".to_owned(), Side::Salesforce)];
    assert_eq!(press(&mut app, "l Enter"), [Effect::Resolve { row: jane(), sides: one }]);
    let all = [("email", Side::Postgres), ("lastname", Side::Postgres)];
    let sides = all.map(|(column, side)| (column.to_owned(), side)).to_vec();
    assert_eq!(press(&mut app, "c H Enter"), [Effect::Resolve { row: jane(), sides }]);
    // The name that the command had before finds it, too.
    press(&mut app, ":");
    type_in(&mut app, "both-sides");
    press(&mut app, "Enter");
    assert!(matches!(app.overlays.last(), Some(Overlay::ConflictPicker(_))), "{:?}", app.overlays);
}

#[test]
fn a_record_that_another_row_has_is_asked_about() {
    let mut app = opened();
    let taken = Linked::Taken { sfid: "003sd0000000001AAA".to_owned(), row: RowId(7) };
    update(&mut app, Msg::Linked { row: jane(), result: Ok(taken) });
    assert!(press(&mut app, "x").is_empty() && matches!(app.overlays.last(), Some(Overlay::Confirm(_))));
    assert_eq!(press(&mut app, "y"), [Effect::Link { row: jane(), replace: true }]);
}

#[test]
fn a_row_is_found_and_opened() {
    let mut app = full((120, 40));
    press(&mut app, "o");
    type_in(&mut app, "K1");
    assert_eq!(press(&mut app, "Enter"), [Effect::Find("K1".to_owned())]);
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
    update(&mut app, Msg::Found { text: "K1".to_owned(), result: Ok(Vec::new()) });
    assert!(app.ctx.toast.as_ref().unwrap().text.starts_with("no row has"));
    waited_for(&mut app, Msg::Found { text: "K1".to_owned(), result: Ok(vec![hit("contact"), hit("lead")]) });
    let effects = press(&mut app, "j Enter");
    assert_eq!(effects[1], Effect::FetchValues(RowRef { table: "lead".to_owned(), row: RowId(1) }));
    waited_for(&mut app, Msg::Found { text: "K1".to_owned(), result: Ok(vec![hit("contact")]) });
    assert_eq!(app.selection.record.as_ref().unwrap().row.table, "contact", "the only one is opened at once");
}

#[test]
fn read_only_offers_nothing_that_changes_anything() {
    let mut app = opened();
    app.ctx.read_only = true;
    assert_eq!(press(&mut app, "e"), []);
    assert!(app.overlays.is_empty());
    for key in ["r", "u", "i", "f", "m", "c", "U", "C-s"] {
        assert_eq!(press(&mut app, key), [], "{key}");
        assert!(app.overlays.is_empty(), "{key}");
    }
    waited_for(&mut app, Msg::Audit(Ok(operations())));
    assert_eq!(press(&mut app, "u"), []);
    assert_eq!(app.ctx.toast.as_ref().unwrap().text, "this console is read-only");
}
