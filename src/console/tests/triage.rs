//! One error after the other: how many keys it takes, what they act on, and where the answer shows.

use std::sync::Arc;

use chrono::TimeDelta;

use super::screens::text;
use super::world::{
    error, errors, failing_of, full, is_by_itself, named, now, page, plan, planned, press, record, report,
    rests, tally, type_in, words,
};
use crate::client::api::{ClientError, Count, ErrorPage};
use crate::client::operations::execute::Plan;
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::effect::Effect;
use crate::console::msg::{Msg, SendState};
use crate::console::overlays::{Editor, Overlay};
use crate::console::pane::Pane;
use crate::domain::errors::sort::{PageKey, SortBy};
use crate::domain::errors::summary::Summary;
use crate::domain::errors::sync_error::{ErrorState, SyncError};
use crate::domain::mappings::field::Field;
use crate::domain::operations::answer::{Answer, Tally};
use crate::domain::operations::operation::{OperationKind, Sample};
use crate::domain::records::record::RecordView;

/// A console that stands on Jane's error, with her record beside the list.
fn on_jane() -> App {
    let mut app = full((120, 40));
    press(&mut app, "j");
    rests(&mut app, failing_of(&errors()[1]));
    app
}

/// The list comes anew.
fn listed(app: &mut App, items: Vec<SyncError>) {
    let generation = app.errors.generation;
    update(app, Msg::Errors { generation, append: false, result: Ok(page(items)) });
}

fn line_of<'a>(screen: &'a str, text: &str) -> &'a str {
    screen.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}\n{screen}"))
}

#[test]
fn the_first_remedy_is_one_key_from_the_list_and_its_answer_shows_in_the_line() {
    let mut app = on_jane();
    let effects = press(&mut app, "m");
    let [Effect::Apply { row, offer }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((row.row.0, offer.changes[0].new.as_deref()), (10_235, Some("jane@acme.com")));
    assert_eq!(app.ctx.focus, Pane::Errors);
    let applied = Msg::Applied { row: row.clone(), result: Ok("done".to_owned()) };
    let effects = update(&mut app, applied);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::LoadAnswers(sent) if sent[0].0 == 35)));
    assert!(line_of(&text(&app), "Contact 10235 ").contains("sending"));
    // Salesforce took it, and the list no longer has it: its line stays where it was, with that.
    update(&mut app, Msg::Answers(Ok(vec![(35, Answer::Taken)])));
    listed(&mut app, errors().into_iter().filter(|error| error.id != 35).collect());
    assert_eq!(app.errors.selected().unwrap().id, 35);
    assert!(line_of(&text(&app), "│┃ ✓").contains("taken"), "{}", text(&app));
    // Whoever goes on does not come back to it.
    press(&mut app, "n");
    assert_eq!(app.errors.selected().unwrap().id, 34);
    listed(&mut app, errors().into_iter().filter(|error| error.id != 35).collect());
    assert!(app.errors.items.iter().all(|error| error.id != 35));
}

#[test]
fn where_the_record_does_not_show_the_key_does_what_the_line_says_or_asks() {
    let jane = &errors()[1];
    let words = |becomes: &str| Summary {
        id: jane.id,
        seen: jane.last_seen,
        field: "Email".to_owned(),
        value: Some("jane@acme,com".to_owned()),
        becomes: Some(becomes.to_owned()),
        ..Summary::default()
    };
    for (words, acts) in
        [(vec![words("jane@acme.com")], true), (vec![words("jane@acme.co")], false), (vec![], false)]
    {
        let mut app = full((80, 24));
        press(&mut app, "j");
        update(&mut app, Msg::Words { asked: vec![jane.clone()], result: Ok(words) });
        let row = jane.row().unwrap();
        let mut effects = press(&mut app, "m");
        assert!(effects.contains(&Effect::LoadRecord(row.clone())), "{effects:?}");
        effects = update(&mut app, Msg::Record { row, result: Box::new(Ok(failing_of(jane))) });
        assert_eq!(effects.iter().any(|effect| matches!(effect, Effect::Apply { .. })), acts, "{effects:?}");
        assert_eq!(text(&app).contains("what to do"), !acts, "{}", text(&app));
    }
}

#[test]
fn what_is_rejected_again_keeps_its_place_and_says_so() {
    let mut app = on_jane();
    press(&mut app, "r");
    let row = errors()[1].row().unwrap();
    update(&mut app, Msg::Retried { row, result: Ok(()) });
    update(&mut app, Msg::Answers(Ok(vec![(35, Answer::Rejected)])));
    let mut again = errors();
    again[1].last_seen = now();
    again.swap(0, 1);
    listed(&mut app, again);
    assert_eq!((app.errors.selected().unwrap().id, app.errors.cursor.at), (35, 1));
    assert!(line_of(&text(&app), "Contact 10235").contains("again"));
    assert!(app.errors.needs_a_person(app.errors.selected().unwrap()));
}

#[test]
fn an_answer_that_is_listed_before_it_is_known_that_the_row_was_sent_is_no_older_than_that() {
    let mut app = on_jane();
    let seen = errors()[1].last_seen;
    press(&mut app, "m");
    let mut again = errors();
    again[1].last_seen = now();
    listed(&mut app, again);
    let row = errors()[1].row().unwrap();
    let effects = update(&mut app, Msg::Applied { row, result: Ok("done".to_owned()) });
    assert!(effects.contains(&Effect::LoadAnswers(vec![(35, seen)])), "{effects:?}");
}

#[test]
fn the_next_one_is_the_next_that_needs_a_person_in_the_list_and_in_the_record() {
    let mut app = on_jane();
    press(&mut app, "n n");
    assert_eq!(app.errors.selected().unwrap().id, 31, "what is tried again or waits needs nobody");
    press(&mut app, "n");
    assert!(text(&app).contains("no error further down needs a person"));
    press(&mut app, "N N");
    assert_eq!(app.errors.selected().unwrap().id, 35);
    press(&mut app, "Enter");
    press(&mut app, "n");
    let next = errors()[2].row().unwrap();
    assert_eq!((app.ctx.focus, app.selection.row()), (Pane::Record, Some(next)));
}

#[test]
fn how_many_more_have_the_cause_stands_beside_the_record() {
    let mut app = full((120, 40));
    press(&mut app, "j");
    let mut error = errors().remove(1);
    error.group = "8fb2".to_owned();
    let mut all = errors();
    all[1] = error.clone();
    listed(&mut app, all);
    let rested = Msg::Debounced(app.selection.debounce.number);
    update(&mut app, rested);
    let view = failing_of(&error);
    let came = Msg::Record { row: view.row.clone(), result: Box::new(Ok(view)) };
    let effects = update(&mut app, came);
    assert!(effects.contains(&Effect::CountCause("8fb2".to_owned())), "{effects:?}");
    let count = Count { matching: 6, capped: false };
    update(&mut app, Msg::CauseCounted { group: "8fb2".to_owned(), result: Ok(count) });
    assert!(text(&app).contains("n next · 5 more of this cause"), "{}", text(&app));
}

#[test]
fn a_number_does_its_remedy_and_where_there_is_none_it_is_a_pane() {
    let mut app = on_jane();
    press(&mut app, "Enter");
    let effects = press(&mut app, "1");
    assert!(matches!(&effects[..], [Effect::Apply { .. }]), "{effects:?}");
    let mut app = on_jane();
    press(&mut app, "Enter A-4");
    assert_eq!(app.ctx.focus, Pane::Log);
    let mut app = full((120, 40));
    press(&mut app, "j");
    let well = RecordView { row: errors()[1].row().unwrap(), ..record("in step", "jane@acme.com", None) };
    rests(&mut app, well);
    press(&mut app, "Enter 4");
    assert_eq!(app.ctx.focus, Pane::Log);
}

#[test]
fn what_is_being_sent_takes_no_number() {
    let mut app = on_jane();
    press(&mut app, "Enter 1");
    assert_eq!(press(&mut app, "1"), []);
    assert_eq!(app.ctx.focus, Pane::Record);
}

#[test]
fn an_edit_begins_in_the_list_and_ends_there() {
    let mut app = on_jane();
    press(&mut app, "e");
    assert!(matches!(app.overlays.last(), Some(Overlay::Editor(editor)) if editor.field.name == "Email"));
    press(&mut app, "C-u");
    type_in(&mut app, "jane@acme.org");
    let effects = press(&mut app, "Enter");
    assert!(
        matches!(&effects[..], [Effect::Save(edit)] if edit.fields[0].new.as_deref() == Some("jane@acme.org"))
    );
    assert_eq!(app.ctx.focus, Pane::Errors);
}

/// A plan that mends so many rows, and leaves one to a person.
fn mending(rows: usize) -> Arc<Plan> {
    let shown = plan(rows);
    let mut plan = Plan::shown(OperationKind::Mend, shown.preview.clone(), "demo");
    plan.rows = shown.preview.sample.clone();
    plan.persons = shown.preview.sample[..1].to_vec();
    Arc::new(plan)
}

#[test]
fn marked_errors_are_mended_after_a_table_and_counted_until_salesforce_has_answered_each() {
    let mut app = on_jane();
    let effects = press(&mut app, "A m");
    assert!(matches!(&effects[..], [Effect::Plan { kind: OperationKind::Mend, .. }]), "{effects:?}");
    update(&mut app, Msg::Planned(Ok(mending(9))));
    let screen = text(&app);
    for told in ["value now", "becomes", "▲ 1 needs a person; p lists them"] {
        assert!(screen.contains(told), "{told}\n{screen}");
    }
    assert!(matches!(&press(&mut app, "y")[..], [Effect::Execute { .. }]));
    let reported =
        Msg::Reported { text: "mend".to_owned(), sent: SendState::Rows(Some(12)), result: Ok(report(9)) };
    let effects = update(&mut app, reported);
    assert!(effects.contains(&Effect::LoadTally { operation: 12, later: false }), "{effects:?}");
    let counted = |tally| Msg::Tallied { operation: 12, result: Ok(tally) };
    let effects = update(&mut app, counted(tally(2)));
    assert!(effects.contains(&Effect::LoadTally { operation: 12, later: true }), "some are waited for");
    assert!(text(&app).contains("✓ 2 taken   ✗ 1 rejected   ↻ 3 waiting"), "{}", text(&app));
    let all = Tally { taken: 7, rejected: 2, ..Tally::default() };
    let effects = update(&mut app, counted(all));
    assert!(effects.iter().all(is_by_itself), "all are answered: {effects:?}");
    press(&mut app, "Enter");
    assert_eq!(app.errors.filter, "operation:12 state:open|review");
}

#[test]
fn an_error_takes_one_key_where_a_remedy_mends_it_and_three_where_one_types() {
    // What remedies mend, all at once.
    let mut app = on_jane();
    let mended = 9;
    let keys = ["A", "m", "y"];
    keys[..2].iter().for_each(|key| drop(press(&mut app, key)));
    update(&mut app, Msg::Planned(Ok(mending(mended))));
    assert!(matches!(&press(&mut app, keys[2])[..], [Effect::Execute { .. }]));
    assert!(keys.len() <= mended);
    // One by one: the key of the remedy, where one stands on it already.
    let mut app = on_jane();
    assert!(matches!(&press(&mut app, "m")[..], [Effect::Apply { .. }]));
    // What must be typed: the next, its editor, the end of the value.
    let mut app = on_jane();
    press(&mut app, "n");
    rests(&mut app, failing_of(&errors()[2]));
    press(&mut app, "e");
    type_in(&mut app, "x");
    assert!(matches!(&press(&mut app, "Enter")[..], [Effect::Save(_)]));
}

#[test]
fn a_line_says_what_is_wrong_in_the_words_of_its_row() {
    let mut app = on_jane();
    let asked = vec![errors().remove(1)];
    let said = vec![words(&asked[0], "jane@acme,com")];
    update(&mut app, Msg::Words { asked, result: Ok(said) });
    let screen = text(&app);
    let line = line_of(&screen, "Contact 10235");
    assert!(line.contains("Email  jane@acme,com → jane@acme.com"), "{line}");
}

#[test]
fn both_lists_are_named_where_there_is_little_room() {
    let mut app = full((80, 24));
    press(&mut app, "A");
    let screen = text(&app);
    assert!(line_of(&screen, "all marked").contains("2 Errors  5 Pending"), "{screen}");
}

#[test]
fn conditions_stand_above_the_list_with_the_key_that_helps() {
    let mut app = full((120, 40));
    let condition = SyncError {
        row_id: None,
        code: "FIELD_NOT_WRITABLE".to_owned(),
        fields: vec!["Title".to_owned()],
        message: "Contact.Title cannot be written".to_owned(),
        op: "describe".to_owned(),
        ..errors().remove(1)
    };
    update(&mut app, Msg::Standing(Ok(page(vec![condition]))));
    let screen = text(&app);
    assert!(line_of(&screen, "FIELD_NOT_WRITABLE").contains("B what helps"), "{screen}");
    press(&mut app, "B Enter");
    assert!(app.overlays.last().is_some(), "its remedy begins");
}

#[test]
fn the_list_follows_what_is_typed_and_is_as_before_when_nothing_was() {
    let mut app = on_jane();
    press(&mut app, "Space /");
    let marked = app.errors.marks.ids.clone();
    type_in(&mut app, "phone");
    assert_eq!(app.errors.filter, "phone");
    let generation = app.errors.generation;
    update(&mut app, Msg::Counted { generation, result: Ok(Count { matching: 3, capped: false }) });
    press(&mut app, "Esc");
    assert_eq!((app.errors.filter.as_str(), &app.errors.marks.ids), ("", &marked));
    press(&mut app, "/");
    type_in(&mut app, "phone");
    press(&mut app, "Enter");
    assert_eq!(app.errors.filter, "phone");
    press(&mut app, "[");
    assert_eq!(app.errors.filter, "");
}

#[test]
fn the_end_of_a_long_list_is_one_key_away_and_goes_on_upwards() {
    let mut app = on_jane();
    app.errors.next = Some(crate::domain::errors::sort::PageKey::of(app.errors.sort.by, &errors()[5]));
    let effects = press(&mut app, "G");
    let [Effect::LoadBackwards { generation, query }] = &effects[..] else { panic!("{effects:?}") };
    assert!(!query.sort.descending && query.after.is_none());
    let mut last: Vec<SyncError> = errors().into_iter().rev().collect();
    last.truncate(2);
    let came = crate::client::api::ErrorPage { done: false, ..page(last) };
    let effects = update(&mut app, Msg::Backwards { generation: *generation, end: true, result: Ok(came) });
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Debounce(_))));
    assert_eq!((app.errors.selected().unwrap().id, app.errors.items.len()), (31, 2));
    let effects = press(&mut app, "k");
    assert!(
        matches!(&effects[..], [Effect::LoadBackwards { query, .. }] if query.after.is_some()),
        "{effects:?}"
    );
    // A look that ended in vain for its time is gone on with by the same key, from where it ended.
    let key = crate::domain::errors::sort::PageKey::of(app.errors.sort.by, &errors()[4]);
    let vain = crate::client::api::ErrorPage { next: Some(key.clone()), done: false, ..page(Vec::new()) };
    let generation = app.errors.generation;
    assert_eq!(update(&mut app, Msg::Backwards { generation, end: false, result: Ok(vain) }), []);
    let effects = press(&mut app, "k");
    assert!(
        matches!(&effects[..], [Effect::LoadBackwards { query, .. }] if query.after == Some(key)),
        "{effects:?}"
    );
    let before = page(vec![errors().remove(3)]);
    let generation = app.errors.generation;
    update(&mut app, Msg::Backwards { generation, end: false, result: Ok(before) });
    let ids: Vec<i64> = app.errors.items.iter().map(|error| error.id).collect();
    assert_eq!((ids, app.errors.selected().unwrap().id), (vec![33, 32, 31], 32));
}

#[test]
fn fields_without_a_value_give_way() {
    let mut app = on_jane();
    press(&mut app, "Enter");
    assert!(text(&app).contains("CreatedDate"));
    press(&mut app, "h");
    assert!(!text(&app).contains("CreatedDate"), "{}", text(&app));
    press(&mut app, "G");
    assert_eq!(app.selection.record.as_ref().unwrap().selected().unwrap().0.name, "Description");
}

#[test]
fn everything_is_listed_after_a_key_and_a_named_state_always() {
    let mut app = on_jane();
    assert_eq!(app.errors.asked_filter(), "needs:person");
    press(&mut app, "!");
    assert_eq!(app.errors.asked_filter(), "");
    press(&mut app, "!");
    app.errors.visit("state:held");
    assert_eq!(app.errors.asked_filter(), "state:held");
}

// ---- lists that change while one looks ---------------------------------------------------------------------------

/// So many errors, the newest first.
fn many(numbers: std::ops::Range<i64>, state: ErrorState) -> Vec<SyncError> {
    numbers.rev().map(|number| error(number, "CODE", "Email", "bad", state)).collect()
}

/// A page behind which there are others.
fn part(items: Vec<SyncError>) -> ErrorPage {
    let next = items.last().map(|last| PageKey::of(SortBy::LastSeen, last));
    ErrorPage { items, next, done: false }
}

fn ids(app: &App) -> Vec<i64> {
    app.errors.items.iter().map(|error| error.id).collect()
}

#[test]
fn the_end_of_a_list_is_not_mixed_with_a_page_that_was_under_way() {
    let mut app = full((120, 40));
    let generation = app.errors.generation;
    update(
        &mut app,
        Msg::Errors { generation, append: false, result: Ok(part(many(200..300, ErrorState::Open))) },
    );
    press(&mut app, "G");
    let end: Vec<SyncError> = many(1..4, ErrorState::Open).into_iter().rev().collect();
    update(&mut app, Msg::Backwards { generation, end: true, result: Ok(part(end)) });
    update(
        &mut app,
        Msg::Errors { generation, append: true, result: Ok(part(many(100..200, ErrorState::Open))) },
    );
    update(
        &mut app,
        Msg::Errors { generation, append: false, result: Ok(part(many(200..300, ErrorState::Open))) },
    );
    assert_eq!((ids(&app), app.errors.selected().unwrap().id), (vec![3, 2, 1], 1));
}

#[test]
fn the_next_that_needs_a_person_is_read_however_far_it_is() {
    let mut app = full((120, 40));
    let generation = app.errors.generation;
    let tried = part(many(1_000..1_400, ErrorState::Retrying));
    update(&mut app, Msg::Errors { generation, append: false, result: Ok(tried) });
    let effects = press(&mut app, "n");
    assert!(matches!(&effects[..], [Effect::LoadErrors { append: true, .. }]), "{effects:?}");
    update(
        &mut app,
        Msg::Errors { generation, append: true, result: Ok(page(many(7..8, ErrorState::Open))) },
    );
    press(&mut app, "n");
    assert_eq!(app.errors.selected().unwrap().id, 7);
}

#[test]
fn words_that_did_not_come_are_asked_for_again_with_the_next_look_and_no_sooner() {
    let asks = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::LoadWords(_)));
    let mut app = full((120, 40));
    let asked = errors();
    let refused = || Err(ClientError::refused("too late"));
    assert!(!asks(&update(&mut app, Msg::Words { asked: asked.clone(), result: refused() })));
    assert!(!asks(&update(&mut app, Msg::Resize(120, 40))));
    let look = Msg::Tick(now() + TimeDelta::seconds(6));
    assert!(asks(&update(&mut app, look)));
    let said = asked.iter().map(|error| words(error, "jane@acme,com")).collect();
    update(&mut app, Msg::Words { asked: asked.clone(), result: Ok(said) });
    assert!(text(&app).contains("jane@acme,com"));
    // What waits for a row changes without its error: what shows is asked for with each look.
    assert!(!asks(&update(&mut app, Msg::Resize(120, 40))));
    assert!(asks(&update(&mut app, Msg::Tick(now() + TimeDelta::seconds(12)))));
}

#[test]
fn a_line_that_was_sent_is_not_counted_among_those_that_are_left() {
    let mut app = on_jane();
    press(&mut app, "m");
    let row = errors()[1].row().unwrap();
    update(&mut app, Msg::Applied { row, result: Ok("done".to_owned()) });
    update(&mut app, Msg::Answers(Ok(vec![(35, Answer::Taken)])));
    listed(&mut app, errors().into_iter().filter(|error| error.id != 35).collect());
    let generation = app.errors.generation;
    update(&mut app, Msg::Counted { generation, result: Ok(Count { matching: 5, capped: false }) });
    assert!(text(&app).contains("1 of 5"), "{}", text(&app));
    press(&mut app, "G");
    assert!(text(&app).contains("5 of 5"), "{}", text(&app));
}

#[test]
fn a_list_is_where_it_was_when_nothing_was_typed_after_all() {
    let mut app = full((120, 40));
    listed(&mut app, many(1..80, ErrorState::Open));
    press(&mut app, "PgDn PgDn PgDn k k");
    let (cursor, all) = (app.errors.cursor, ids(&app));
    assert!(cursor.top > 0);
    press(&mut app, "/");
    type_in(&mut app, "phone");
    assert_eq!(app.session().filter, "", "half a filter is not where the next console begins");
    press(&mut app, "Esc");
    assert_eq!((app.errors.cursor, ids(&app)), (cursor, all.clone()));
    listed(&mut app, many(1..80, ErrorState::Open));
    assert_eq!((app.errors.cursor, ids(&app)), (cursor, all));
}

#[test]
fn how_many_match_is_told_of_what_is_typed_and_of_nothing_else() {
    let mut app = on_jane();
    press(&mut app, "/");
    type_in(&mut app, "phone");
    let generation = app.errors.generation;
    update(&mut app, Msg::Counted { generation, result: Ok(Count { matching: 3, capped: false }) });
    assert!(text(&app).contains("3 errors match"));
    type_in(&mut app, "s");
    assert!(!text(&app).contains("errors match"), "{}", text(&app));
}

// ---- a table, a lookup, a palette --------------------------------------------------------------------------------

#[test]
fn a_table_shows_its_last_line_and_turns_round_there() {
    let mut app = full((80, 24));
    let shown = plan(40);
    let mut long = Plan::shown(OperationKind::Mend, shown.preview.clone(), "demo");
    let row =
        |at: i64| Sample { id: at, before: Some(format!("value {at}.")), ..shown.preview.sample[0].clone() };
    long.rows = (1..=40).map(row).collect();
    planned(&mut app, Arc::new(long));
    assert!(text(&app).contains("value 1.") && !text(&app).contains("value 40."));
    press(&mut app, "PgDn PgDn PgDn PgDn PgDn PgDn");
    let end = text(&app);
    assert!(end.contains("value 40.") && end.contains(", 0 below"), "{end}");
    press(&mut app, "Up");
    assert!(text(&app).contains(", 1 below"), "{}", text(&app));
}

#[test]
fn a_lookup_is_looked_for_once_at_a_time_and_never_by_an_id() {
    let mut app = on_jane();
    let view = failing_of(&errors()[1]);
    let field = Field { reference_to: vec!["Account".to_owned()], ..view.values[0].0.clone() };
    let column = field.column.clone();
    app.overlays.push(Overlay::Editor(Editor::new(view.row, field, None, None)));
    let typed = |app: &mut App, letters: &str| -> Vec<String> {
        let keys: Vec<Effect> = letters.chars().flat_map(|c| press(app, &c.to_string())).collect();
        texts(&keys)
    };
    assert_eq!(typed(&mut app, "acme"), ["ac"]);
    let found = named("Acme Ltd", 2);
    let came = Msg::Parents { column: column.clone(), text: "ac".to_owned(), found: Ok(found.clone()) };
    assert_eq!(texts(&update(&mut app, came)), ["acme"], "what was typed meanwhile is looked for then");
    let came = Msg::Parents { column: column.clone(), text: "acme".to_owned(), found: Ok(found) };
    assert_eq!(texts(&update(&mut app, came)), [""; 0]);
    // Two of one name are told apart by another field, and a key writes the id of the second one.
    let screen = text(&app);
    assert!(screen.contains("Acme Ltd") && screen.contains("Berlin") && screen.contains("Bonn"), "{screen}");
    press(&mut app, "Down Down");
    assert!(text(&app).contains("001sd0000000002AAA"), "{}", text(&app));
    press(&mut app, "C-u");
    typed(&mut app, "acme");
    press(&mut app, "s");
    let refused = Err(ClientError::refused("the table is too large"));
    update(&mut app, Msg::Parents { column, text: "acmes".to_owned(), found: refused });
    assert!(text(&app).contains("no names now: the table is too large"), "{}", text(&app));
    press(&mut app, "C-u");
    assert_eq!(typed(&mut app, "001sd0000000001AAA"), [""; 0]);
}

/// What records were looked for by.
fn texts(effects: &[Effect]) -> Vec<String> {
    let text = |effect: &Effect| match effect {
        Effect::FindParents { text, .. } => Some(text.clone()),
        _ => None,
    };
    effects.iter().filter_map(text).collect()
}

#[test]
fn what_enter_does_in_the_palette_can_be_seen() {
    let mut app = full((80, 24));
    press(&mut app, ":");
    type_in(&mut app, "e");
    let lines = 200;
    (0..lines).for_each(|_| drop(press(&mut app, "Down")));
    let screen = text(&app);
    assert!(screen.contains("the row e: by its id"), "{screen}");
    assert!(matches!(&press(&mut app, "Enter")[..], [Effect::Find(text)] if text == "e"));
}

#[test]
fn answers_are_counted_on_after_one_count_failed() {
    let mut app = on_jane();
    let reported =
        Msg::Reported { text: "mend".to_owned(), sent: SendState::Rows(Some(12)), result: Ok(report(9)) };
    update(&mut app, reported);
    let failed = Msg::Tallied { operation: 12, result: Err(ClientError::refused("too late")) };
    let effects = update(&mut app, failed);
    assert!(effects.contains(&Effect::LoadTally { operation: 12, later: true }), "{effects:?}");
    update(&mut app, Msg::Tallied { operation: 12, result: Ok(tally(2)) });
    assert!(text(&app).contains("✓ 2 taken"), "{}", text(&app));
}
