//! What a key could harm: a value that was just mended, a row that nobody saw, the writes of production, and a list
//! that is lost with the database.

use chrono::TimeDelta;

use super::loops::opened;
use super::screens::text;
use super::world::{
    console, error, errors, failing, failing_of, full, groups, jane, now, overview, page, press, record,
    rests, type_in, waited_for,
};
use crate::client::api::{ClientError, Event};
use crate::client::operations::execute::{Plan, Targets};
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::effect::Effect;
use crate::console::msg::{Msg, SendState};
use crate::console::overlays::{ConfirmEffect, EACH, Overlay};
use crate::console::pane::Pane;
use crate::domain::errors::sync_error::{ErrorState, SyncError};
use crate::domain::operations::operation::{Item, OperationKind, Preview, Report, RowStatus, Sample};
use crate::domain::records::record::RecordView;
use crate::domain::reports::overview::Writes;

fn said(app: &App) -> String {
    app.ctx.toast.as_ref().map_or_else(String::new, |toast| toast.text.clone())
}

fn came(app: &mut App, view: RecordView) {
    update(app, Msg::Record { row: view.row.clone(), result: Box::new(Ok(view)) });
}

/// The list comes anew, without the errors of these numbers.
fn listed_without(app: &mut App, gone: &[i64]) -> Vec<Effect> {
    let left = errors().into_iter().filter(|error| !gone.contains(&error.id)).collect();
    let generation = app.errors.generation;
    update(app, Msg::Errors { generation, append: false, result: Ok(page(left)) })
}

// ---- what was just mended ---------------------------------------------------------------------------------------

/// Jane's record with an address that only a person can correct.
fn hopeless(unit: &str) -> RecordView {
    record(unit, "call me maybe", errors().into_iter().nth(1))
}

#[test]
fn a_second_m_does_nothing_to_the_value_that_was_just_mended() {
    let mut app = opened();
    let mended = press(&mut app, "m");
    assert!(
        matches!(&mended[..], [Effect::Apply { offer, .. }] if offer.changes[0].new.as_deref() == Some("jane@acme.com"))
    );
    let nothing_is_offered = |app: &mut App, when: &str| {
        for key in ["m", "f", "f 1", "f 2", "m m"] {
            assert_eq!(press(app, key), [], "{key} {when}");
            press(app, "3");
            assert!(app.overlays.is_empty(), "{key} {when}: {:?}", app.overlays);
        }
        press(app, "m");
        assert!(said(app).starts_with("being sent"), "{when}: {}", said(app));
        app.ctx.toast = None;
        let screen = text(app);
        assert!(screen.contains("Fix  being sent") && !screen.contains("Clear Email"), "{when}: {screen}");
    };
    nothing_is_offered(&mut app, "before it is known that it was saved");
    update(&mut app, Msg::Event(Event::Record(jane())));
    update(&mut app, Msg::Applied { row: jane(), result: Ok("Write a dot".to_owned()) });
    nothing_is_offered(&mut app, "until the row is read again");
    // A look that began before the save says nothing about it.
    came(&mut app, hopeless("failed"));
    nothing_is_offered(&mut app, "after an older look");
    for unit in ["pending", "in flight"] {
        came(&mut app, hopeless(unit));
        nothing_is_offered(&mut app, unit);
        update(&mut app, Msg::Event(Event::Record(jane())));
    }
    // Salesforce has answered: what helps now is offered.
    came(&mut app, failing());
    assert!(matches!(press(&mut app, "m")[..], [Effect::Apply { .. }]));
}

#[test]
fn what_waits_for_its_time_to_be_tried_again_can_be_mended_meanwhile() {
    let mut app = opened();
    let waits = RecordView { unit: "pending".to_owned(), due: false, ..failing() };
    came(&mut app, waits);
    assert!(matches!(press(&mut app, "m")[..], [Effect::Apply { .. }]));
    // Refused, it is offered again.
    update(&mut app, Msg::Applied { row: jane(), result: Err(ClientError::refused("no")) });
    assert!(matches!(press(&mut app, "m")[..], [Effect::Apply { .. }]));
}

#[test]
fn a_list_of_remedies_that_lay_open_does_nothing_to_a_row_that_is_sent_meanwhile() {
    let mut app = opened();
    press(&mut app, "f");
    // Another console mends it.
    update(&mut app, Msg::Event(Event::Record(jane())));
    came(&mut app, hopeless("in flight"));
    assert_eq!(press(&mut app, "1"), []);
    assert!(said(&app).starts_with("being sent"), "{}", said(&app));
}

#[test]
fn what_empties_a_value_is_never_the_first_and_always_asks() {
    let mut app = opened();
    update(&mut app, Msg::Event(Event::Record(jane())));
    came(&mut app, hopeless("failed"));
    assert_eq!(press(&mut app, "m"), []);
    assert!(app.overlays.is_empty());
    press(&mut app, "f");
    let screen = text(&app);
    let place = |words: &str| screen.lines().position(|line| line.contains(words)).unwrap();
    assert!(place("Leave values of Email") < place("Clear Email"), "{screen}");
    assert!(screen.contains("call me maybe → nothing; asks first"), "{screen}");
    assert_eq!(press(&mut app, "2"), []);
    let Some(Overlay::Confirm(ConfirmEffect { text, .. })) = app.overlays.last() else {
        panic!("{:?}", app.overlays)
    };
    assert!(text.contains("call me maybe"), "{text}");
    assert_eq!(press(&mut app, "n"), []);
    press(&mut app, "f G");
    assert_eq!(press(&mut app, "j j j j Enter"), []);
    assert!(matches!(&press(&mut app, "y")[..], [Effect::Apply { offer, .. }] if offer.clears));
}

// ---- what shows is what keys act on -----------------------------------------------------------------------------

/// The list with Jane's error selected and her record beside it.
fn beside() -> App {
    let mut app = full((120, 40));
    press(&mut app, "j");
    rests(&mut app, failing());
    app
}

fn next() -> SyncError {
    errors().into_iter().nth(2).unwrap()
}

/// Nothing is done by these keys, and it is said why; the record comes, and each of them is about what shows.
fn acts_once_it_is_seen(app: &mut App, keys: &[&str], seen: &SyncError) {
    for key in keys {
        assert_eq!(press(app, key), [], "{key}");
        assert!(app.overlays.is_empty(), "{key}: {:?}", app.overlays);
        assert!(said(app).contains("look at it, then press it again"), "{key}: {}", said(app));
    }
    rests(app, failing_of(seen));
    assert_eq!(app.selection.record.as_ref().map(|pane| pane.row.clone()), seen.row());
    assert_eq!(press(app, "r"), [Effect::Retry(seen.row().unwrap())]);
    let chosen = Targets::Ids(vec![seen.id]);
    let ignored = Effect::Plan { chosen: chosen.clone(), kind: OperationKind::Ignore };
    assert_eq!(press(app, "i"), [ignored]);
    update(app, Msg::Planned(Err(ClientError::refused("no"))));
    assert_eq!(press(app, "f"), [Effect::CountRemedies(chosen)]);
}

#[test]
fn after_an_error_left_the_list_no_key_acts_on_the_next_one_before_it_is_seen() {
    for key in ["i", "r"] {
        let mut app = beside();
        press(&mut app, key);
        if key == "i" {
            let plan =
                Plan::shown(OperationKind::Ignore, Preview { touched: 1, ..Preview::default() }, "demo");
            update(&mut app, Msg::Planned(Ok(plan.into())));
            let mut done = Report::default();
            done.note(Item { id: 35, result: RowStatus::Done, message: "it is off the list".to_owned() });
            update(
                &mut app,
                Msg::Reported { text: "ignore".to_owned(), sent: SendState::Nothing, result: Ok(done) },
            );
        } else {
            update(&mut app, Msg::Retried { row: jane(), result: Ok(()) });
        }
        came(&mut app, record("in step", "jane@acme,com", None));
        listed_without(&mut app, &[35]);
        // Its line stays under the bar, and no key acts on another one.
        assert_eq!(app.errors.selected().unwrap().id, 35);
        assert!(app.selection.record.as_ref().is_some_and(|pane| pane.row == jane()));
    }
}

#[test]
fn in_a_list_by_another_filter_order_or_view_no_key_acts_before_its_first_record_is_seen() {
    let ways: [fn(&mut App); 4] = [
        |app| {
            press(app, "/");
            type_in(app, "code:VALIDATION");
            press(app, "Enter");
        },
        |app| drop(press(app, "s j Enter")),
        |app| drop(press(app, "!")),
        |app| {
            waited_for(app, Msg::Groups { filter: String::new(), result: Ok(groups()) });
            press(app, "Enter");
        },
    ];
    for way in ways {
        let mut app = beside();
        way(&mut app);
        listed_without(&mut app, &[36, 35]);
        acts_once_it_is_seen(&mut app, &["i", "r", "u", "f"], &next());
    }
}

#[test]
fn what_is_given_up_among_the_groups_leaves_a_list_whose_first_record_follows() {
    let mut app = beside();
    waited_for(&mut app, Msg::Groups { filter: String::new(), result: Ok(groups()) });
    press(&mut app, "f");
    listed_without(&mut app, &[36, 35]);
    press(&mut app, "Esc");
    listed_without(&mut app, &[36]);
    update(&mut app, Msg::Groups { filter: "needs:person".to_owned(), result: Ok(groups()) });
    press(&mut app, "Esc");
    // Jane's is the first one again, and her record shows still.
    assert_eq!(press(&mut app, "r"), [Effect::Retry(jane())]);
}

#[test]
fn a_key_behind_a_step_waits_for_the_record_of_the_row_that_was_chosen() {
    let mut app = beside();
    let row = next().row().unwrap();
    assert_eq!(press(&mut app, "j r"), [Effect::LoadRecord(row.clone())]);
    assert!(text(&app).contains("retry waits for it (Esc gives it up)"), "{}", text(&app));
    // What is typed meanwhile is done to nothing.
    assert_eq!(press(&mut app, "r u i j"), []);
    let view = failing_of(&next());
    let effects = update(&mut app, Msg::Record { row: row.clone(), result: Box::new(Ok(view)) });
    assert_eq!(effects, [Effect::Retry(row)]);
    // Given up, refused, or of a row that is no longer selected, nothing is done.
    let mut app = beside();
    press(&mut app, "j r Esc");
    let row = next().row().unwrap();
    let view = failing_of(&next());
    assert_eq!(update(&mut app, Msg::Record { row: row.clone(), result: Box::new(Ok(view)) }), []);
    let mut app = beside();
    press(&mut app, "j i");
    let refused = ClientError::refused("no connection");
    let effects = update(&mut app, Msg::Record { row: row.clone(), result: Box::new(Err(refused)) });
    assert_eq!((effects, said(&app).as_str(), app.overlays.len()), (Vec::new(), "no connection", 0));
    let mut app = beside();
    press(&mut app, "j i");
    listed_without(&mut app, &[34]);
    assert!(said(&app).contains("nothing was done") && app.overlays.is_empty(), "{}", said(&app));
    assert_eq!(app.errors.selected().unwrap().id, 33);
}

#[test]
fn a_new_error_at_the_head_of_the_list_is_not_acted_on_before_it_is_seen() {
    for size in [(120, 40), (80, 24)] {
        let mut app = console(size);
        update(&mut app, Msg::Overview(Ok(overview())));
        let listed = |items| Msg::Errors { generation: 0, append: false, result: Ok(page(items)) };
        update(&mut app, listed(errors()[1..].to_vec()));
        let later = error(99, "STRING_TOO_LONG", "Title", "too long", ErrorState::Open);
        update(&mut app, listed(std::iter::once(later).chain(errors()[1..].to_vec()).collect()));
        assert_eq!(app.errors.selected().unwrap().id, 99);
        for key in ["i", "r", "u"] {
            assert_eq!(press(&mut app, key), [], "{size:?} {key}");
        }
        // On a low screen the line is all that there is to see.
        let rested = Msg::Debounced(app.selection.debounce.number);
        update(&mut app, rested);
        let row = app.errors.selected().unwrap().row().unwrap();
        if size.1 > 30 {
            came(&mut app, RecordView { row: row.clone(), ..failing() });
        }
        assert_eq!(press(&mut app, "r"), [Effect::Retry(row)], "{size:?}");
    }
}

#[test]
fn what_changed_since_the_last_frame_is_looked_at_first() {
    let mut app = beside();
    app.drawn();
    listed_without(&mut app, &[35]);
    rests(&mut app, failing_of(&next()));
    assert_eq!(press(&mut app, "r"), [], "it was not drawn yet");
    app.drawn();
    assert_eq!(press(&mut app, "r"), [Effect::Retry(next().row().unwrap())]);
}

#[test]
fn an_opened_record_keeps_the_keys_and_no_line_of_the_list_stands_out_for_another_row() {
    let mut app = opened();
    let selected = |app: &App| {
        let screen = super::screens::drawn(app);
        let line = |y| {
            (0..120).filter(|&x| screen[(x, y)].modifier.contains(ratatui::style::Modifier::REVERSED)).count()
                > 40
        };
        (0..12).filter(|&y| line(y)).count()
    };
    app.ctx.theme = crate::console::theme::Theme::new(false);
    let before = text(&app);
    assert!(before.contains("10235"));
    listed_without(&mut app, &[35]);
    assert_eq!((app.ctx.focus, selected(&app)), (Pane::Record, 0), "{}", text(&app));
    assert_eq!(press(&mut app, "r"), [Effect::Retry(jane())]);
    // Back in the list it is the list's own, and the record follows.
    press(&mut app, "Esc");
    acts_once_it_is_seen(&mut app, &["i", "u"], &next());
}

#[test]
fn while_an_open_record_holds_changes_no_key_acts_on_another_row() {
    let mut app = opened();
    press(&mut app, "g e x Tab 2 j");
    for key in ["r", "i", "u", "f"] {
        assert_eq!(press(&mut app, key), [], "{key}");
        assert!(said(&app).contains("not saved"), "{key}: {}", said(&app));
    }
    assert_eq!(app.selection.record.as_ref().unwrap().row, jane());
    // What is marked is what was chosen, whatever shows.
    press(&mut app, "Space");
    assert!(matches!(press(&mut app, "r")[..], [Effect::Plan { .. }]));
}

#[test]
fn nothing_acts_on_a_record_that_is_still_read() {
    let mut app = full((120, 40));
    press(&mut app, "j Enter");
    for key in ["m", "f", "r", "u", "i", "c"] {
        assert_eq!(press(&mut app, key), [], "{key}");
        assert!(said(&app).contains("still being read"), "{key}: {}", said(&app));
    }
}

// ---- production -------------------------------------------------------------------------------------------------

fn production() -> App {
    let mut app = console((120, 40));
    let mut overview = overview();
    overview.connection.environment = "Production".to_owned();
    update(&mut app, Msg::Overview(Ok(overview)));
    press(&mut app, "1 j");
    app
}

fn palette(app: &mut App, command: &str) -> Vec<Effect> {
    press(app, ":");
    type_in(app, command);
    press(app, "Enter")
}

#[test]
fn on_production_what_stops_the_writes_of_a_mapping_asks_first() {
    let writes = |to| Effect::Writes { mapping: Some("Contact".to_owned()), to };
    let fail_fast = Effect::SetRule {
        mapping: Some("Contact".to_owned()),
        key: "strategy".to_owned(),
        value: "fail_fast".to_owned(),
    };
    for (keys, effect) in
        [("p", writes(Writes::Pause)), ("d", writes(Writes::Drain)), ("s 3", fail_fast.clone())]
    {
        let mut app = production();
        assert_eq!(press(&mut app, keys), [], "{keys}");
        let Some(Overlay::Confirm(ConfirmEffect { text, .. })) = app.overlays.last() else {
            panic!("{:?}", app.overlays)
        };
        assert!(text.starts_with("PRODUCTION: the writes of Contact: "), "{text}");
        assert_eq!(press(&mut app, "n"), []);
        press(&mut app, keys);
        assert_eq!(press(&mut app, "y"), [effect], "{keys}");
    }
    for (command, to) in [("pause/resume", Writes::Pause), ("drain", Writes::Drain)] {
        let mut app = production();
        assert_eq!(palette(&mut app, command), [], "{command}");
        assert_eq!(press(&mut app, "y"), [writes(to)], "{command}");
    }
    // What lets them go on does not, nor what stops nothing, nor another environment.
    let mut app = production();
    let mut resting = overview();
    resting.connection.environment = "prod".to_owned();
    resting.mappings[1].state = crate::domain::state::MappingState::Paused;
    update(&mut app, Msg::Overview(Ok(resting)));
    assert_eq!(press(&mut app, "p"), [writes(Writes::Resume)]);
    assert!(matches!(press(&mut app, "s 1")[..], [Effect::SetRule { .. }]));
    let mut app = full((120, 40));
    assert_eq!(press(&mut app, "1 j p"), [writes(Writes::Pause)]);
}

#[test]
fn on_production_what_stops_all_writes_is_confirmed_by_how_many_they_are() {
    let writes = |to| Effect::Writes { mapping: None, to };
    for (command, to) in [("pause all", Writes::Pause), ("drain all", Writes::Drain)] {
        let mut app = production();
        assert_eq!(palette(&mut app, command), []);
        assert_eq!(press(&mut app, "y Enter 2 Enter"), [], "{command}");
        assert_eq!(press(&mut app, "BS 3 Enter"), [writes(to)], "{command}");
    }
    let mut app = production();
    palette(&mut app, "strategy of all");
    assert_eq!(press(&mut app, "3 y Enter"), []);
    assert!(matches!(press(&mut app, "3 Enter")[..], [Effect::SetRule { mapping: None, .. }]));
    let mut app = production();
    palette(&mut app, "resume all");
    assert_eq!(press(&mut app, "y"), [writes(Writes::Resume)]);
}

// ---- a database that is lost ------------------------------------------------------------------------------------

fn tick(app: &mut App, seconds: i64) -> Vec<Effect> {
    update(app, Msg::Tick(now() + TimeDelta::seconds(seconds)))
}

#[test]
fn all_that_shows_stays_with_its_time_while_the_database_is_out_of_reach() {
    let mut app = opened();
    tick(&mut app, 4);
    let refused = || ClientError::refused("no connection to PostgreSQL");
    // A look that fails may come before it is told that the way broke.
    update(&mut app, Msg::Event(Event::Record(jane())));
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Err(refused())) });
    assert!(text(&app).contains("invalid email address: jane@acme,com"), "{}", text(&app));
    update(&mut app, Msg::Event(Event::Lost("the connection broke".to_owned())));
    tick(&mut app, 9);
    let generation = app.errors.generation;
    update(&mut app, Msg::Errors { generation, append: false, result: Err(refused()) });
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Err(refused())) });
    update(&mut app, Msg::Overview(Err(refused())));
    app.ctx.toast = None;
    let (seen, since) = (app.ctx.clock(now()), app.ctx.clock(now() + TimeDelta::seconds(4)));
    let shown = |app: &App| {
        let screen = text(app);
        assert!(screen.contains(&format!("as of {seen}, database unreachable since {since}")), "{screen}");
        assert!(screen.contains(&format!("PostgreSQL out of reach since {since}")), "{screen}");
        for words in ["jane@acme,com", "Contact 10234", "Invoice_Line__c"] {
            assert!(screen.contains(words), "{words}: {screen}");
        }
        // The list, the record and the mappings, each with its time.
        assert!(screen.matches(&format!("as of {seen}")).count() >= 4, "{screen}");
    };
    shown(&app);
    // What needs it says so; what does not works.
    for key in ["m", "r", "u", "i", "f", "c", "C-s", "U", "a", "o", "M", "/"] {
        assert_eq!(press(&mut app, key), [], "{key}");
        assert!(said(&app).contains("out of reach") && app.overlays.is_empty(), "{key}: {}", said(&app));
    }
    press(&mut app, "2");
    for key in ["r", "i", "f", "s", "!", "c", "[", "]", "/", "x"] {
        assert_eq!(press(&mut app, key), [], "{key}");
        assert!(said(&app).contains("out of reach") && app.overlays.is_empty(), "{key}: {}", said(&app));
    }
    press(&mut app, "j j");
    let rested = Msg::Debounced(app.selection.debounce.number);
    assert_eq!(update(&mut app, rested), []);
    assert_eq!(press(&mut app, "Enter"), []);
    press(&mut app, "1");
    for key in ["p", "d", "s", "v", "t", "L", "Enter"] {
        assert_eq!(press(&mut app, key), [], "{key}");
    }
    app.ctx.toast = None;
    shown(&app);
    press(&mut app, "T z z 4 2 ? Esc");
    assert!(said(&app).is_empty());
}

#[test]
fn a_list_that_is_filtered_stays_filtered_while_the_database_is_out_of_reach() {
    let mut app = full((120, 40));
    press(&mut app, "/");
    type_in(&mut app, "code:EMAIL");
    press(&mut app, "Enter");
    listed_without(&mut app, &[]);
    // Typed already, and entered too late.
    press(&mut app, "/");
    type_in(&mut app, " x");
    update(&mut app, Msg::Event(Event::Lost("gone".to_owned())));
    press(&mut app, "Enter");
    press(&mut app, "Esc");
    assert_eq!((app.errors.filter.as_str(), app.errors.items.len()), ("code:EMAIL", 6));
}

#[test]
fn all_is_read_again_when_the_database_is_back_whoever_tells_it() {
    let all = |effects: &[Effect]| {
        let asked = |is: fn(&Effect) -> bool| effects.iter().any(is);
        asked(|effect| matches!(effect, Effect::LoadErrors { .. }))
            && asked(|effect| matches!(effect, Effect::LoadRecord(_)))
            && asked(|effect| matches!(effect, Effect::LoadLog(_)))
    };
    let lost = || {
        let mut app = opened();
        update(&mut app, Msg::Event(Event::Lost("gone".to_owned())));
        app
    };
    let mut app = lost();
    assert!(all(&update(&mut app, Msg::Event(Event::Restored))));
    assert!(!text(&app).contains("as of"));
    // What was asked for before it went tells nothing; what is asked for since does.
    let mut app = lost();
    update(&mut app, Msg::Overview(Ok(overview())));
    assert!(app.ctx.database.lost.is_some());
    assert!(tick(&mut app, 6).contains(&Effect::LoadOverview));
    let refused = ClientError::refused("no connection");
    update(&mut app, Msg::Record { row: jane(), result: Box::new(Err(refused)) });
    assert!(all(&update(&mut app, Msg::Overview(Ok(overview())))));
    assert!(app.ctx.database.lost.is_none());
}

#[test]
fn a_key_that_waits_for_a_record_is_given_up_with_the_database() {
    let mut app = beside();
    press(&mut app, "j r");
    update(&mut app, Msg::Event(Event::Lost("gone".to_owned())));
    assert!(app.overlays.is_empty() && said(&app).contains("out of reach"));
}

// ---- many rows --------------------------------------------------------------------------------------------------

#[test]
fn many_are_mended_each_by_its_own_first_remedy_unless_one_types_something_else() {
    let mut app = full((120, 40));
    press(&mut app, "j Space Space");
    let chosen = Targets::Ids(vec![34, 35]);
    assert_eq!(press(&mut app, "f"), [Effect::CountRemedies(chosen.clone())]);
    let Some(Overlay::Prompt(ask)) = app.overlays.last() else { panic!("{:?}", app.overlays) };
    assert_eq!(ask.input.text(), EACH);
    assert!(
        ask.suggestions.iter().all(|text| !text.contains("replace(\"\", \"\")")),
        "{:?}",
        ask.suggestions
    );
    // What empties a value is typed, or comes last.
    let empties = ask.suggestions.iter().position(|text| text.ends_with('='));
    assert!(empties.is_none_or(|at| at + 1 == ask.suggestions.len()), "{:?}", ask.suggestions);
    // Counts of others are not shown.
    update(&mut app, Msg::Remedies { chosen: Targets::Ids(vec![1]), result: Ok((7, 7)) });
    assert!(text(&app).contains("counting the rows"));
    update(&mut app, Msg::Remedies { chosen: chosen.clone(), result: Ok((1, 2)) });
    assert!(text(&app).contains("1 of 2 rows have one that passes, 1 needs a person"), "{}", text(&app));
    assert_eq!(
        press(&mut app, "Enter"),
        [Effect::Plan { chosen: chosen.clone(), kind: OperationKind::Mend }]
    );
    let sample = Sample {
        id: 35,
        row: jane(),
        field: "Email".to_owned(),
        before: Some("jane@acme,com".to_owned()),
        after: Some("jane@acme.com".to_owned()),
        refused: None,
    };
    let left = [("needs a person: none of its remedies gives a value that passes".to_owned(), 1)].into();
    let preview =
        Preview { selected: 2, touched: 1, passing: 1, left, sample: vec![sample], ..Preview::default() };
    let plan = std::sync::Arc::new(Plan::shown(OperationKind::Mend, preview, "demo"));
    assert_eq!(update(&mut app, Msg::Planned(Ok(plan.clone()))), [], "it is shown and asked about");
    let screen = text(&app);
    for words in [
        "each row by its own first remedy",
        "jane@acme,com",
        "→ jane@acme.com",
        "1 left alone: needs a person",
    ] {
        assert!(screen.contains(words), "{words}: {screen}");
    }
    assert_eq!(press(&mut app, "y"), [Effect::Execute { plan, why: None }]);
    // Typed by hand, it stands for itself.
    let mut app = full((120, 40));
    press(&mut app, "j Space f");
    type_in(&mut app, "Phone | trim");
    let effects = press(&mut app, "Enter");
    assert!(
        matches!(&effects[..], [Effect::Plan { kind: OperationKind::Fix { field, .. }, .. }] if field == "Phone"),
        "{effects:?}"
    );
}

#[test]
fn all_of_a_cause_are_mended_the_same_way() {
    let mut app = full((120, 40));
    waited_for(&mut app, Msg::Groups { filter: String::new(), result: Ok(groups()) });
    let effects = press(&mut app, "j f");
    let chosen = Targets::Filter("needs:person group:8fb2".to_owned());
    assert!(effects.contains(&Effect::CountRemedies(chosen.clone())), "{effects:?}");
    update(&mut app, Msg::Remedies { chosen: chosen.clone(), result: Ok((0, 44)) });
    assert!(text(&app).contains("none of 44 rows has one that passes"), "{}", text(&app));
    assert_eq!(press(&mut app, "Enter"), [Effect::Plan { chosen, kind: OperationKind::Mend }]);
}
