//! What an operator under pressure relies on: answers are those of the row they were waited for, nothing that was typed is
//! lost, nothing moves by itself, and what is said is true.

use super::loops::{answer, opened};
use super::screens::text;
use super::world::{
    console, error, errors, failing, full, groups, jane, now, overview, page, plan, press, record, type_in,
    waited_for,
};
use crate::client::handle::{ErrorPage, Event, Refused};
use crate::console::effect::Effect;
use crate::console::model::Pane;
use crate::console::msg::Msg;
use crate::console::overlays::Overlay;
use crate::console::panes::record::Answer;
use crate::console::update::update;
use crate::domain::act::{Came, Item, Report};
use crate::domain::record::RecordView;
use crate::domain::remedy::Action;
use crate::domain::sort::{Key, SortBy};
use crate::domain::sync_error::{ErrorState, SyncError};

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
    let shown = text(&model);
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
    assert!(text(&model).contains("jane@acme,comiur"));
}

#[test]
fn esc_leads_back_to_where_a_list_was_chosen() {
    let mut model = full((120, 40));
    press(&mut model, "1 j Enter");
    assert_eq!((model.focus, model.errors.filter.as_str()), (Pane::Errors, "mapping:Contact"));
    waited_for(&mut model, Msg::Groups { filter: String::new(), result: Ok(groups()) });
    press(&mut model, "j Enter");
    assert_eq!(model.errors.filter, "group:8fb2");
    // To the causes, to go on with the next one; out of them; to the mappings.
    let effects = press(&mut model, "Esc");
    assert!(effects.contains(&Effect::LoadGroups("mapping:Contact".to_owned())), "{effects:?}");
    assert_eq!((model.focus, model.errors.filter.as_str()), (Pane::Errors, "mapping:Contact"));
    press(&mut model, "Esc Esc");
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
    update(&mut model, came(numbered(0..500)));
    assert_eq!((model.errors.selected().map(|error| error.id), model.errors.items.len()), (stood, 500));
    assert!(text(&model).contains("others above: R"));
    assert_eq!(limits(&press(&mut model, "g")), [(100, false)]);
    // A list from which all that was known went goes on with what is behind it.
    update(&mut model, Msg::Errors { generation: 1, append: false, result: Ok(part(numbered(300..400))) });
    press(&mut model, "j j");
    update(&mut model, Msg::Errors { generation: 1, append: false, result: Ok(part(numbered(100..200))) });
    assert_eq!((model.errors.items[0].id, model.errors.cursor.at), (199, 2));
    assert!(text(&model).contains("3 of "));
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
    assert!(press(&mut model, "f 2").is_empty());
    let Some(Overlay::Sure { text, .. }) = model.overlays.last() else { panic!("{:?}", model.overlays) };
    assert!(text.contains("the mapping Contact for all of its rows"), "{text}");
    assert!(matches!(press(&mut model, "y").as_slice(), [Effect::Apply { .. }]));
    // What is asked about all mappings names how many there are.
    press(&mut model, "1 :");
    type_in(&mut model, "strategy of all");
    press(&mut model, "Enter");
    let all = Effect::SetRule { mapping: None, key: "strategy".to_owned(), value: "retry".to_owned() };
    assert!(press(&mut model, "2").is_empty());
    assert_eq!(press(&mut model, "y"), [all]);
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
        ("2 Q", "Q does nothing here; ? shows the keys"),
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
    waited_for(&mut model, came(groups()));
    press(&mut model, "j");
    let effects = update(&mut model, Msg::Tick(now() + chrono::TimeDelta::seconds(6)));
    assert!(effects.contains(&Effect::RenewGroups(String::new())), "{effects:?}");
    let mut later = groups();
    later.reverse();
    later[0].count = 4_711;
    let renewed = |groups| Msg::GroupsRenewed { filter: String::new(), result: Ok(groups) };
    update(&mut model, renewed(later));
    assert_eq!(model.overlays.len(), 1);
    assert!(text(&model).contains("4711"));
    // The selection is on the cause that it was on, which is the first one now.
    press(&mut model, "Enter");
    assert_eq!(model.errors.filter, "group:8fb2");
    assert!(text(&model).contains("Contact INVALID_EMAIL_ADDRESS Email: Email: inv"));
    // One that comes when they were closed brings nothing back.
    update(&mut model, renewed(groups()));
    assert!(model.overlays.is_empty());
}

#[test]
fn what_the_database_forbids_is_said_whenever_it_is_tried() {
    let mut model = full((120, 40));
    let why = "the role watcher has no right INSERT\nlet its owner run: GRANT ...";
    update(&mut model, Msg::Rights(Ok(Some(why.to_owned()))));
    press(&mut model, "j");
    assert!(press(&mut model, "r").is_empty());
    assert!(model.toast.as_ref().unwrap().text.contains("let its owner run: GRANT"));
    assert!(text(&model).contains("READ-ONLY"));
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
    assert!(text(&model).contains("mapping:Invoice_Line__c lev"));
}

#[test]
fn a_database_that_is_silent_is_named_while_one_waits() {
    let mut model = full((120, 40));
    update(&mut model, Msg::Event(Event::Overview));
    for second in 1..=5 {
        update(&mut model, Msg::Tick(now() + chrono::TimeDelta::seconds(second)));
    }
    assert!(text(&model).contains("◌ PostgreSQL does not answer, 4 s"));
    update(&mut model, Msg::Overview(Ok(overview())));
    update(&mut model, Msg::Errors { generation: 0, append: false, result: Ok(page(errors())) });
    update(&mut model, Msg::Tick(now() + chrono::TimeDelta::seconds(6)));
    assert!(text(&model).contains("● running"));
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

#[test]
fn the_record_follows_a_selection_that_came_to_rest_under_something() {
    let mut model = full((120, 40));
    press(&mut model, "j ?");
    let number = model.resting;
    assert!(update(&mut model, Msg::Rested(number)).is_empty());
    let closed = update(&mut model, Msg::Key(super::world::key("Esc")));
    assert_eq!(closed, [Effect::Rest(number + 1)]);
    assert_eq!(update(&mut model, Msg::Rested(number + 1)), [Effect::LoadRecord(jane())]);
}

#[test]
fn marks_stay_for_the_act_they_were_made_for() {
    let mut model = full((120, 40));
    press(&mut model, "j Space");
    assert_eq!(model.errors.marked.len(), 1);
    // Another act, taken back: its entries bear other numbers.
    press(&mut model, "U");
    update(&mut model, Msg::Planned(Ok(plan(1))));
    let mut undone = Report { act: None, ..Report::default() };
    undone.note(Item { id: 34, result: Came::Failed, message: "no".to_owned() });
    update(&mut model, Msg::Reported { text: "undo".to_owned(), sends: false, result: Ok(undone) });
    assert_eq!(model.errors.marked.iter().copied().collect::<Vec<_>>(), [35]);
    // An act on the marks that is refused leaves them.
    press(&mut model, "Esc");
    press(&mut model, "j k Space k r");
    update(&mut model, Msg::Planned(Err(Refused("no".to_owned()))));
    assert!(model.errors.any_marked());
}

#[test]
fn whoever_goes_back_by_a_number_is_not_led_through_all_that_was_seen() {
    let mut model = full((120, 40));
    press(&mut model, "1 Enter 1 j Enter 1 j Enter");
    assert_eq!(model.errors.filter, "mapping:Invoice_Line__c");
    press(&mut model, "Esc");
    assert_eq!((model.focus, model.errors.filter.as_str()), (Pane::Mappings, ""));
    assert!(model.drilled.is_empty());
}

#[test]
fn a_record_is_read_with_the_errors_only_while_its_answer_is_waited_for() {
    let mut model = opened();
    let reads = |effects: &[Effect]| effects.contains(&Effect::LoadRecord(jane()));
    assert!(!reads(&update(&mut model, Msg::Event(Event::Errors))));
    press(&mut model, "r");
    let effects = update(&mut model, Msg::Retried { row: jane(), result: Ok(()) });
    assert!(reads(&effects));
    update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(record("pending", "x", None))) });
    assert!(reads(&update(&mut model, Msg::Event(Event::Errors))));
}

#[test]
fn keys_wait_for_what_was_asked_for_and_act_on_nothing_else() {
    // A row is looked for while another one is open: what comes meanwhile is not done to that.
    let mut model = opened();
    press(&mut model, "o");
    type_in(&mut model, "contact:7");
    assert!(matches!(press(&mut model, "Enter").as_slice(), [Effect::Find(_)]));
    assert!(press(&mut model, "m r u i").is_empty());
    assert!(text(&model).contains("looking for it ... (Esc gives it up)"));
    update(&mut model, Msg::Found { text: "contact:7".to_owned(), result: Ok(Vec::new()) });
    assert!(model.overlays.is_empty());
    // The same for causes; and given up, they do not come.
    press(&mut model, "2 c r Esc");
    update(&mut model, Msg::Groups { filter: String::new(), result: Ok(groups()) });
    assert!(model.overlays.is_empty());
    // A list that is still read is opened when it comes, and what was typed goes on there.
    press(&mut model, "/");
    type_in(&mut model, "code:EMAIL");
    press(&mut model, "Enter Enter e");
    type_in(&mut model, "iur");
    let generation = model.errors.generation;
    let listed = Msg::Errors { generation, append: false, result: Ok(page(errors()[1..2].to_vec())) };
    update(&mut model, listed);
    update(&mut model, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    assert!(text(&model).contains("jane@acme,comiur"), "{}", text(&model));
}

#[test]
fn only_the_same_key_again_throws_changes_away() {
    let mut model = opened();
    press(&mut model, "g e");
    type_in(&mut model, "!");
    press(&mut model, "Tab Esc");
    assert!(press(&mut model, "q").is_empty(), "another way out is asked for twice as well");
    assert!(model.record.as_ref().unwrap().has_changes());
    assert_eq!(press(&mut model, "q"), [Effect::Quit]);
}

#[test]
fn an_act_on_a_cause_that_is_given_up_leads_back_to_that_cause() {
    let mut model = full((120, 40));
    let came = || Msg::Groups { filter: String::new(), result: Ok(groups()) };
    waited_for(&mut model, came());
    press(&mut model, "j f Esc");
    update(&mut model, came());
    assert!(!model.errors.any_marked() && model.errors.filter.is_empty());
    // It is the second one still.
    press(&mut model, "Enter");
    assert_eq!(model.errors.filter, "group:8fb2");
}

#[test]
fn a_row_that_was_removed_is_not_shown_as_if_it_stood() {
    let mut model = opened();
    update(&mut model, Msg::Event(Event::Record(jane())));
    let gone = "the table contact has no row 10235".to_owned();
    update(&mut model, Msg::Gone { row: jane(), why: gone });
    let shown = text(&model);
    assert!(shown.contains("has no row 10235") && !shown.contains("invalid email address: jane"), "{shown}");
    for key in ["e", "m", "f"] {
        assert!(press(&mut model, key).is_empty() && model.overlays.is_empty(), "{key}");
    }
}
