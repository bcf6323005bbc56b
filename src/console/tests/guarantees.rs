//! What an operator under pressure relies on: answers are those of the row they were waited for, nothing that was typed is
//! lost, nothing moves by itself, and what is said is true.

use super::loops::{answer, opened};
use super::screens::text;
use super::world::{
    console, error, errors, failing, full, groups, jane, now, overview, page, plan, press, record, type_in,
    waited_for,
};
use crate::client::api::{ClientError, ErrorPage, Event};
use crate::console::app::update::update;
use crate::console::effect::Effect;
use crate::console::msg::{Msg, SendState};
use crate::console::overlays::{ConfirmEffect, Overlay};
use crate::console::pane::Pane;
use crate::console::panes::record::SendStatus;
use crate::domain::errors::remedy::RemedyAction;
use crate::domain::errors::sort::{PageKey, SortBy};
use crate::domain::errors::sync_error::{ErrorState, SyncError};
use crate::domain::operations::operation::{Item, Report, RowStatus};
use crate::domain::records::record::RecordView;

#[test]
fn an_error_of_no_row_tells_in_the_records_place_what_it_means_and_what_helps() {
    let mut app = full((120, 40));
    // Jane's record shows; the selection goes on to the error of the connection.
    press(&mut app, "j");
    let rested = Msg::Debounced(app.selection.debounce.number);
    update(&mut app, rested);
    assert_eq!(app.selection.record.as_ref().unwrap().row, jane());
    press(&mut app, "k");
    let rested = Msg::Debounced(app.selection.debounce.number);
    update(&mut app, rested);
    assert!(app.selection.record.is_none(), "what shows is what is selected");
    press(&mut app, "Enter");
    let shown = text(&app);
    assert!(shown.contains("3 Record · the connection") && shown.contains("Poll less often"), "{shown}");
    assert_eq!((app.ctx.focus, press(&mut app, "e r f").len()), (Pane::Record, 0));
    // What a shell would take is done from the menu of what helps.
    assert!(text(&app).contains("Poll less often: poll_interval=5m (:rule)"), "{}", text(&app));
    press(&mut app, "Esc Esc");
    assert_eq!(app.ctx.focus, Pane::Errors);
    // Changes that are not saved are not given up for it.
    press(&mut app, "j Enter");
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    press(&mut app, "e BS BS BS BS");
    type_in(&mut app, ".com");
    press(&mut app, "Tab 2 k Enter");
    assert!(app.selection.record.as_ref().unwrap().keeps());
    assert!(app.ctx.toast.as_ref().unwrap().text.contains("not saved"));
}

#[test]
fn the_first_error_of_an_empty_list_shows_its_record_by_itself() {
    let mut app = console((120, 40));
    let listed = |errors| Msg::Errors { generation: 0, append: false, result: Ok(page(errors)) };
    assert!(update(&mut app, listed(Vec::new())).is_empty());
    assert!(update(&mut app, listed(errors()[1..].to_vec())).contains(&Effect::Debounce(1)));
    assert_eq!(update(&mut app, Msg::Debounced(1)), [Effect::LoadRecord(jane())]);
    // From now on the selection stays on it, whatever comes in above.
    let later = error(99, "STRING_TOO_LONG", "Title", "too long", ErrorState::Open);
    let with_later = std::iter::once(later).chain(errors()[1..].iter().cloned()).collect();
    update(&mut app, listed(with_later));
    assert_eq!(app.errors.selected().unwrap().row(), Some(jane()));
}

#[test]
fn an_answer_is_told_of_the_row_that_was_sent_whatever_shows_by_then() {
    let mut app = opened();
    press(&mut app, "Esc Space");
    update(&mut app, Msg::Planned(Ok(plan(1))));
    // Another row's operation: Jane's record shows, and hears nothing of it.
    let mut done = Report { operation: Some(3), ..Report::default() };
    done.note(Item { id: 34, result: RowStatus::Done, message: "it is sent".to_owned() });
    update(
        &mut app,
        Msg::Reported { text: "retry".to_owned(), sent: SendState::Rows(None), result: Ok(done.clone()) },
    );
    assert_eq!(answer(&app), None);
    done.items[0].id = 35;
    update(
        &mut app,
        Msg::Reported { text: "retry".to_owned(), sent: SendState::Rows(None), result: Ok(done) },
    );
    assert!(matches!(answer(&app), Some(SendStatus::Sending { .. })));
}

#[test]
fn what_was_typed_outlives_a_save_that_is_refused() {
    let mut app = opened();
    press(&mut app, "e BS BS BS BS");
    type_in(&mut app, ".com");
    press(&mut app, "C-s");
    update(
        &mut app,
        Msg::Saved { row: jane(), result: Err(ClientError::refused("email was changed meanwhile")) },
    );
    let pane = app.selection.record.as_ref().unwrap();
    assert_eq!(pane.kept("email").unwrap().new.as_deref(), Some("jane@acme.com"));
    // Nothing is done to the row under it, and nothing leaves without a word.
    for key in ["r", "m", "u", "i"] {
        assert!(press(&mut app, key).is_empty());
        assert!(app.ctx.toast.as_ref().unwrap().text.contains("not saved"), "{key}");
    }
    assert!(press(&mut app, "q").is_empty());
    assert!(press(&mut app, "j q").is_empty(), "another key between them begins anew");
    assert_eq!(press(&mut app, "q"), [Effect::Quit]);
}

#[test]
fn an_answer_that_was_asked_for_before_the_save_is_none() {
    let mut app = opened();
    update(&mut app, Msg::Event(Event::Record(jane())));
    press(&mut app, "e BS BS BS BS");
    type_in(&mut app, ".com");
    press(&mut app, "C-s");
    update(&mut app, Msg::Saved { row: jane(), result: Ok(()) });
    // The look that was under way saw the row as it was before.
    let effects = update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    assert!(matches!(answer(&app), Some(SendStatus::Sending { .. })));
    assert!(effects.contains(&Effect::LoadRecord(jane())));
    let taken = record("in step", "jane@acme.com", None);
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(taken.clone())) });
    assert!(matches!(answer(&app), Some(SendStatus::Accepted { .. })));
    // A later failure makes it untrue.
    update(&mut app, Msg::Event(Event::Record(jane())));
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    assert_eq!(answer(&app), None);
}

#[test]
fn a_row_that_is_kept_out_of_the_sync_was_not_taken_by_salesforce() {
    let mut app = opened();
    update(&mut app, Msg::Applied { row: jane(), result: Ok("the rule is set".to_owned()) });
    let mut out = record("in step", "jane@acme,com", None);
    out.history.remove(0);
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(out)) });
    update(
        &mut app,
        Msg::Record {
            row: jane(),
            result: Box::new(Ok({
                let mut out = record("in step", "jane@acme,com", None);
                out.history.remove(0);
                out
            })),
        },
    );
    assert!(matches!(answer(&app), Some(SendStatus::Settled { .. })), "{:?}", answer(&app));
}

#[test]
fn what_is_typed_behind_e_before_the_record_is_there_goes_into_the_editor() {
    let mut app = full((120, 40));
    press(&mut app, "j Enter e");
    type_in(&mut app, "iur");
    assert!(matches!(app.overlays.as_slice(), [Overlay::TypeAhead(typed)] if typed.len() == 3));
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    assert!(text(&app).contains("jane@acme,comiur"));
}

#[test]
fn esc_leads_back_to_where_a_list_was_chosen() {
    let mut app = full((120, 40));
    press(&mut app, "1 j Enter");
    assert_eq!((app.ctx.focus, app.errors.filter.as_str()), (Pane::Errors, "mapping:Contact"));
    waited_for(&mut app, Msg::Groups { filter: String::new(), result: Ok(groups()) });
    press(&mut app, "j Enter");
    assert_eq!(app.errors.filter, "group:8fb2");
    // To the groups, to go on with the next one; out of them; to the mappings.
    let effects = press(&mut app, "Esc");
    assert!(effects.contains(&Effect::LoadGroups("needs:person mapping:Contact".to_owned())), "{effects:?}");
    assert_eq!((app.ctx.focus, app.errors.filter.as_str()), (Pane::Errors, "mapping:Contact"));
    press(&mut app, "Esc Esc");
    assert_eq!((app.ctx.focus, app.errors.filter.as_str()), (Pane::Mappings, ""));
}

#[test]
fn however_many_errors_come_at_once_the_selection_stays_on_its_own() {
    let numbered = |ids: std::ops::Range<i64>| -> Vec<SyncError> {
        ids.rev().map(|id| error(id, "CODE", "Email", "bad", ErrorState::Open)).collect()
    };
    let part = |items: Vec<SyncError>| {
        let next = items.last().map(|last| PageKey::of(SortBy::LastSeen, last));
        ErrorPage { items, next, done: false }
    };
    let mut app = console((120, 40));
    let status = |items| Msg::Errors { generation: 0, append: false, result: Ok(part(items)) };
    let limits = |effects: &[Effect]| -> Vec<(usize, bool)> {
        let limit = |effect: &Effect| match effect {
            Effect::LoadErrors { query, .. } => Some((query.limit, query.after.is_some())),
            _ => None,
        };
        effects.iter().filter_map(limit).collect()
    };
    update(&mut app, status(numbered(0..100)));
    press(&mut app, "j j");
    let stood = app.errors.selected().map(|error| error.id);
    assert_eq!(stood, Some(97));
    // Four hundred at once: the page does not reach what is selected, the next one does.
    let effects = update(&mut app, status(numbered(398..500)));
    assert_eq!(limits(&effects), [(1_000, false)]);
    assert_eq!(app.errors.selected().map(|error| error.id), stood);
    update(&mut app, status(numbered(0..500)));
    assert_eq!((app.errors.selected().map(|error| error.id), app.errors.cursor.at), (stood, 402));
    // Five thousand at once: the list goes on from where one looks, until its beginning is asked for.
    assert_eq!(limits(&update(&mut app, status(numbered(5_000..5_500)))), [(1_000, false)]);
    assert_eq!(limits(&update(&mut app, status(numbered(4_500..5_500)))), [(502, true)]);
    update(&mut app, status(numbered(0..500)));
    assert_eq!((app.errors.selected().map(|error| error.id), app.errors.items.len()), (stood, 500));
    assert!(text(&app).contains("others above: R"));
    assert_eq!(limits(&press(&mut app, "g")), [(100, false)]);
    // A list from which all that was known went goes on with what is behind it.
    update(&mut app, Msg::Errors { generation: 1, append: false, result: Ok(part(numbered(300..400))) });
    press(&mut app, "j j");
    update(&mut app, Msg::Errors { generation: 1, append: false, result: Ok(part(numbered(100..200))) });
    assert_eq!((app.errors.items[0].id, app.errors.cursor.at), (199, 2));
    assert!(text(&app).contains("3 of "));
}

#[test]
fn what_concerns_a_whole_mapping_is_asked_about_and_never_done_by_m() {
    let mut app = opened();
    let only_rules = |mut view: RecordView| {
        view.advice.remedies.retain(|offer| matches!(offer.action, Some(RemedyAction::Rule { .. })));
        view
    };
    let view = only_rules(failing());
    assert!(!view.advice.remedies.is_empty());
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(view)) });
    assert!(press(&mut app, "m").is_empty());
    assert!(press(&mut app, "f 2").is_empty());
    let Some(Overlay::Confirm(ConfirmEffect { text, .. })) = app.overlays.last() else {
        panic!("{:?}", app.overlays)
    };
    assert!(text.contains("the mapping Contact for all of its rows"), "{text}");
    assert!(matches!(press(&mut app, "y").as_slice(), [Effect::Apply { .. }]));
    // What is asked about all mappings names how many there are.
    press(&mut app, "1 :");
    type_in(&mut app, "strategy of all");
    press(&mut app, "Enter");
    let all = Effect::SetRule { mapping: None, key: "strategy".to_owned(), value: "retry".to_owned() };
    assert!(press(&mut app, "2").is_empty());
    assert_eq!(press(&mut app, "y"), [all]);
    press(&mut app, ":");
    type_in(&mut app, "test all");
    press(&mut app, "Enter");
    let Some(Overlay::Confirm(ConfirmEffect { text, .. })) = app.overlays.last() else {
        panic!("{:?}", app.overlays)
    };
    assert!(text.starts_with("All 3 mappings"), "{text}");
    assert_eq!(press(&mut app, "y"), [Effect::Test(None)]);
}

#[test]
fn a_key_that_means_nothing_here_says_where_it_means_something() {
    let mut app = full((120, 40));
    for (keys, says) in [
        ("1 m", "M is “quick fix” in Errors (2)"),
        ("2 Q", "Q does nothing here; ? shows the keys"),
        ("4 c", "c is “its groups” in Mappings (1)"),
    ] {
        press(&mut app, keys);
        assert!(app.ctx.toast.as_ref().unwrap().text.eq_ignore_ascii_case(says), "{:?}", app.ctx.toast);
    }
}

#[test]
fn groups_go_on_counting_while_they_show_and_read_as_words_where_they_are_listed() {
    let mut app = full((120, 40));
    let status = |groups| Msg::Groups { filter: String::new(), result: Ok(groups) };
    waited_for(&mut app, status(groups()));
    press(&mut app, "j");
    let effects = update(&mut app, Msg::Tick(now() + chrono::TimeDelta::seconds(6)));
    assert!(effects.contains(&Effect::RenewGroups(String::new())), "{effects:?}");
    let mut later = groups();
    later.reverse();
    later[0].count = 4_711;
    let renewed = |groups| Msg::GroupsRenewed { filter: String::new(), result: Ok(groups) };
    update(&mut app, renewed(later));
    assert_eq!(app.overlays.len(), 1);
    assert!(text(&app).contains("4,711"));
    // The selection is on the cause that it was on, which is the first one now.
    press(&mut app, "Enter");
    assert_eq!(app.errors.filter, "group:8fb2");
    assert!(text(&app).contains("Contact INVALID_EMAIL_ADDRESS Email: Email: inv"));
    // One that comes when they were closed brings nothing back.
    update(&mut app, renewed(groups()));
    assert!(app.overlays.is_empty());
}

#[test]
fn what_the_database_forbids_is_said_whenever_it_is_tried() {
    let mut app = full((120, 40));
    let why = "the role watcher has no right INSERT\nlet its owner run: GRANT ...";
    update(&mut app, Msg::Rights(Ok(Some(why.to_owned()))));
    press(&mut app, "j");
    assert!(press(&mut app, "r").is_empty());
    assert!(app.ctx.toast.as_ref().unwrap().text.contains("let its owner run: GRANT"));
    assert!(text(&app).contains("READ-ONLY"));
}

#[test]
fn filters_of_the_log_are_completed_from_what_is_known() {
    let mut app = full((120, 40));
    press(&mut app, "4 /");
    type_in(&mut app, "ma");
    press(&mut app, "Tab");
    type_in(&mut app, "inv");
    press(&mut app, "Tab Enter");
    assert_eq!(app.log.filter, "mapping:Invoice_Line__c");
    // What is typed is there again behind the filters that were typed before.
    press(&mut app, "/");
    type_in(&mut app, "lev");
    press(&mut app, "Up Down");
    assert!(text(&app).contains("mapping:Invoice_Line__c lev"));
}

#[test]
fn a_database_that_is_silent_is_named_while_one_waits() {
    let mut app = full((120, 40));
    update(&mut app, Msg::Event(Event::Overview));
    for second in 1..=5 {
        update(&mut app, Msg::Tick(now() + chrono::TimeDelta::seconds(second)));
    }
    assert!(text(&app).contains("◌ PostgreSQL does not answer, 4 s"));
    update(&mut app, Msg::Overview(Ok(overview())));
    update(&mut app, Msg::Errors { generation: 0, append: false, result: Ok(page(errors())) });
    update(&mut app, Msg::Tick(now() + chrono::TimeDelta::seconds(6)));
    assert!(text(&app).contains("● running"));
}

#[test]
fn what_was_typed_is_there_again_after_a_cut_connection_but_nothing_of_a_masked_field() {
    let mut app = opened();
    press(&mut app, "g e");
    type_in(&mut app, "!");
    press(&mut app, "Tab G k k k e BS BS BS BS");
    type_in(&mut app, ".com");
    let state = app.session();
    let drafted: Vec<(&str, Option<&str>)> =
        state.draft.iter().map(|change| (change.column.as_str(), change.new.as_deref())).collect();
    assert_eq!(drafted, [("lastname", Some("Doe!")), ("email", Some("jane@acme.com"))]);
    let mut next = console((120, 40));
    next.resume(&state);
    let pane = next.selection.record.as_ref().unwrap();
    assert!(pane.row == jane() && pane.kept("email").is_some() && pane.kept("lastname").is_some());
    assert!(next.ctx.toast.as_ref().unwrap().text.contains("is here again"));
    let mut masked = failing();
    masked.masked = vec!["email".to_owned()];
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(masked)) });
    let columns: Vec<String> = app.session().draft.into_iter().map(|change| change.column).collect();
    assert_eq!(columns, ["lastname"]);
}

#[test]
fn the_record_follows_a_selection_that_came_to_rest_under_something() {
    let mut app = full((120, 40));
    press(&mut app, "j ?");
    let number = app.selection.debounce.number;
    assert!(update(&mut app, Msg::Debounced(number)).is_empty());
    let closed = update(&mut app, Msg::Key(super::world::key("Esc")));
    assert_eq!(closed, [Effect::Debounce(number + 1)]);
    assert_eq!(update(&mut app, Msg::Debounced(number + 1)), [Effect::LoadRecord(jane())]);
}

#[test]
fn marks_stay_for_the_act_they_were_made_for() {
    let mut app = full((120, 40));
    press(&mut app, "j Space");
    assert_eq!(app.errors.marks.ids.len(), 1);
    // Another operation, taken back: its entries bear other numbers.
    press(&mut app, "U");
    update(&mut app, Msg::Planned(Ok(plan(1))));
    let mut undone = Report { operation: None, ..Report::default() };
    undone.note(Item { id: 34, result: RowStatus::Failed, message: "no".to_owned() });
    update(&mut app, Msg::Reported { text: "undo".to_owned(), sent: SendState::Nothing, result: Ok(undone) });
    assert_eq!(app.errors.marks.ids.iter().copied().collect::<Vec<_>>(), [35]);
    // An operation on the marks that is refused leaves them.
    press(&mut app, "Esc");
    press(&mut app, "j k Space k r");
    update(&mut app, Msg::Planned(Err(ClientError::refused("no"))));
    assert!(app.errors.any_marked());
}

#[test]
fn whoever_goes_back_by_a_number_is_not_led_through_all_that_was_seen() {
    let mut app = full((120, 40));
    press(&mut app, "1 Enter 1 j Enter 1 j Enter");
    assert_eq!(app.errors.filter, "mapping:Invoice_Line__c");
    press(&mut app, "Esc");
    assert_eq!((app.ctx.focus, app.errors.filter.as_str()), (Pane::Mappings, ""));
    assert!(app.navigation.list_stack.is_empty());
}

#[test]
fn a_record_is_read_with_the_errors_only_while_its_answer_is_waited_for() {
    let mut app = opened();
    let reads = |effects: &[Effect]| effects.contains(&Effect::LoadRecord(jane()));
    assert!(!reads(&update(&mut app, Msg::Event(Event::Errors))));
    press(&mut app, "r");
    let effects = update(&mut app, Msg::Retried { row: jane(), result: Ok(()) });
    assert!(reads(&effects));
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(record("pending", "x", None))) });
    assert!(reads(&update(&mut app, Msg::Event(Event::Errors))));
}

#[test]
fn keys_wait_for_what_was_asked_for_and_act_on_nothing_else() {
    // A row is looked for while another one is open: what comes meanwhile is not done to that.
    let mut app = opened();
    press(&mut app, "o");
    type_in(&mut app, "contact:7");
    assert!(matches!(press(&mut app, "Enter").as_slice(), [Effect::Find(_)]));
    assert!(press(&mut app, "m r u i").is_empty());
    assert!(text(&app).contains("looking for it ... (Esc gives it up)"));
    update(&mut app, Msg::Found { text: "contact:7".to_owned(), result: Ok(Vec::new()) });
    assert!(app.overlays.is_empty());
    // The same for groups; and given up, they do not come.
    press(&mut app, "2 c r Esc");
    update(&mut app, Msg::Groups { filter: "needs:person".to_owned(), result: Ok(groups()) });
    assert!(app.overlays.is_empty());
    // Those of a list that is still read are grouped by what was typed.
    press(&mut app, "/");
    type_in(&mut app, "code:PHONE");
    press(&mut app, "Enter Space");
    assert!(text(&app).contains("the list is still being read"), "{}", text(&app));
    assert_eq!(press(&mut app, "c"), [Effect::LoadGroups("needs:person code:PHONE".to_owned())]);
    press(&mut app, "Esc");
    // A list that is still read is opened when it comes, and what was typed goes on there.
    press(&mut app, "/");
    type_in(&mut app, "code:EMAIL");
    press(&mut app, "Enter Enter e");
    type_in(&mut app, "iur");
    let generation = app.errors.generation;
    let listed = Msg::Errors { generation, append: false, result: Ok(page(errors()[1..2].to_vec())) };
    update(&mut app, listed);
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Ok(failing())) });
    assert!(text(&app).contains("jane@acme,comiur"), "{}", text(&app));
}

#[test]
fn an_answer_that_comes_late_ends_no_question_that_was_asked_since() {
    let found = |text: &str| Msg::Found { text: text.to_owned(), result: Ok(Vec::new()) };
    let groups = |filter: &str| Msg::Groups { filter: filter.to_owned(), result: Ok(groups()) };
    let entry = || vec![super::world::operations().remove(0).first];
    let late: [(&str, Msg); 6] = [
        ("an operation", Msg::Planned(Ok(plan(2)))),
        ("groups", groups("needs:person")),
        ("another search", found("contact:8")),
        ("what operators did", Msg::Audit(Ok(super::world::operations()))),
        ("the rows of one", Msg::AuditRows { operation: 12, result: Ok(entry()) }),
        ("a refusal", Msg::AuditRows { operation: 12, result: Err(ClientError::refused("no")) }),
    ];
    for (what, late) in late {
        let mut app = opened();
        press(&mut app, "o");
        type_in(&mut app, "contact:7");
        press(&mut app, "Enter");
        assert_eq!(update(&mut app, late), [], "{what}");
        let waits = matches!(&app.overlays[..], [Overlay::Loading { asked: Effect::Find(_), .. }]);
        assert!(waits, "{what}: {:?}", app.overlays);
        assert!(text(&app).contains("looking for it ... (Esc gives it up)"), "{what}");
        // Its own answer ends it.
        update(&mut app, found("contact:7"));
        assert!(app.overlays.is_empty(), "{what}");
    }
    // Of the same kind, but about something else.
    let mut app = full((120, 40));
    press(&mut app, "2 c");
    update(&mut app, groups("code:PHONE"));
    assert!(matches!(&app.overlays[..], [Overlay::Loading { .. }]), "{:?}", app.overlays);
    update(&mut app, groups("needs:person"));
    assert!(matches!(&app.overlays[..], [Overlay::Groups(_)]), "{:?}", app.overlays);
}

#[test]
fn only_the_same_key_again_throws_changes_away() {
    let mut app = opened();
    press(&mut app, "g e");
    type_in(&mut app, "!");
    press(&mut app, "Tab Esc");
    assert!(press(&mut app, "q").is_empty(), "another way out is asked for twice as well");
    assert!(app.selection.record.as_ref().unwrap().has_changes());
    assert_eq!(press(&mut app, "q"), [Effect::Quit]);
}

#[test]
fn an_act_on_a_cause_that_is_given_up_leads_back_to_that_cause() {
    let mut app = full((120, 40));
    let status = || Msg::Groups { filter: "needs:person".to_owned(), result: Ok(groups()) };
    waited_for(&mut app, status());
    press(&mut app, "j f Esc");
    update(&mut app, status());
    assert!(!app.errors.any_marked() && app.errors.filter.is_empty());
    // It is the second one still.
    press(&mut app, "Enter");
    assert_eq!(app.errors.filter, "group:8fb2");
}

#[test]
fn a_row_that_was_removed_is_not_shown_as_if_it_stood() {
    let mut app = opened();
    update(&mut app, Msg::Event(Event::Record(jane())));
    let gone = "the table contact has no row 10235".to_owned();
    update(&mut app, Msg::Gone { row: jane(), why: gone });
    let shown = text(&app);
    assert!(shown.contains("has no row 10235") && !shown.contains("invalid email address: jane"), "{shown}");
    for key in ["e", "m", "f"] {
        assert!(press(&mut app, key).is_empty() && app.overlays.is_empty(), "{key}");
    }
}
