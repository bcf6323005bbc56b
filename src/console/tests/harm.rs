//! What a key could harm: a value that was just mended, a row that nobody saw, the writes of production, and a list
//! that is lost with the database.

use chrono::TimeDelta;

use super::loops::opened;
use super::screens::text;
use super::world::{
    console, error, errors, failing, failing_of, full, groups, jane, now, overview, page, press, record,
    rests, type_in, waited_for,
};
use crate::client::handle::{Event, Refused};
use crate::client::operations::execute::{Chosen, Plan};
use crate::console::effect::Effect;
use crate::console::model::{Model, Pane};
use crate::console::msg::Msg;
use crate::console::overlays::{EACH, Overlay};
use crate::console::update::update;
use crate::domain::act::{Came, Deed, Item, Preview, Report, Sample};
use crate::domain::overview::Writes;
use crate::domain::record::RecordView;
use crate::domain::sync_error::{ErrorState, SyncError};

fn said(model: &Model) -> String {
    model.toast.as_ref().map_or_else(String::new, |toast| toast.text.clone())
}

fn came(model: &mut Model, view: RecordView) {
    update(model, Msg::Record { row: view.row.clone(), result: Box::new(Ok(view)) });
}

/// The list comes anew, without the errors of these numbers.
fn listed_without(model: &mut Model, gone: &[i64]) -> Vec<Effect> {
    let left = errors().into_iter().filter(|error| !gone.contains(&error.id)).collect();
    let generation = model.errors.generation;
    update(model, Msg::Errors { generation, append: false, result: Ok(page(left)) })
}

// ---- what was just mended ---------------------------------------------------------------------------------------

/// Jane's record with an address that only a person can correct.
fn hopeless(unit: &str) -> RecordView {
    record(unit, "call me maybe", errors().into_iter().nth(1))
}

#[test]
fn a_second_m_does_nothing_to_the_value_that_was_just_mended() {
    let mut model = opened();
    let mended = press(&mut model, "m");
    assert!(
        matches!(&mended[..], [Effect::Apply { offer, .. }] if offer.changes[0].new.as_deref() == Some("jane@acme.com"))
    );
    let nothing_is_offered = |model: &mut Model, when: &str| {
        for key in ["m", "f", "f 1", "f 2", "m m"] {
            assert_eq!(press(model, key), [], "{key} {when}");
            press(model, "3");
            assert!(model.overlays.is_empty(), "{key} {when}: {:?}", model.overlays);
        }
        press(model, "m");
        assert!(said(model).starts_with("being sent"), "{when}: {}", said(model));
        model.toast = None;
        let screen = text(model);
        assert!(screen.contains("Fix  being sent") && !screen.contains("Clear Email"), "{when}: {screen}");
    };
    nothing_is_offered(&mut model, "before it is known that it was saved");
    update(&mut model, Msg::Event(Event::Record(jane())));
    update(&mut model, Msg::Applied { row: jane(), result: Ok("Write a dot".to_owned()) });
    nothing_is_offered(&mut model, "until the row is read again");
    // A look that began before the save says nothing about it.
    came(&mut model, hopeless("failed"));
    nothing_is_offered(&mut model, "after an older look");
    for unit in ["pending", "in flight"] {
        came(&mut model, hopeless(unit));
        nothing_is_offered(&mut model, unit);
        update(&mut model, Msg::Event(Event::Record(jane())));
    }
    // Salesforce has answered: what helps now is offered.
    came(&mut model, failing());
    assert!(matches!(press(&mut model, "m")[..], [Effect::Apply { .. }]));
}

#[test]
fn what_waits_for_its_time_to_be_tried_again_can_be_mended_meanwhile() {
    let mut model = opened();
    let waits = RecordView { unit: "pending".to_owned(), due: false, ..failing() };
    came(&mut model, waits);
    assert!(matches!(press(&mut model, "m")[..], [Effect::Apply { .. }]));
    // Refused, it is offered again.
    update(&mut model, Msg::Applied { row: jane(), result: Err(Refused("no".to_owned())) });
    assert!(matches!(press(&mut model, "m")[..], [Effect::Apply { .. }]));
}

#[test]
fn a_list_of_remedies_that_lay_open_does_nothing_to_a_row_that_is_sent_meanwhile() {
    let mut model = opened();
    press(&mut model, "f");
    // Another console mends it.
    update(&mut model, Msg::Event(Event::Record(jane())));
    came(&mut model, hopeless("in flight"));
    assert_eq!(press(&mut model, "1"), []);
    assert!(said(&model).starts_with("being sent"), "{}", said(&model));
}

#[test]
fn what_empties_a_value_is_never_the_first_and_always_asks() {
    let mut model = opened();
    update(&mut model, Msg::Event(Event::Record(jane())));
    came(&mut model, hopeless("failed"));
    assert_eq!(press(&mut model, "m"), []);
    assert!(model.overlays.is_empty());
    press(&mut model, "f");
    let screen = text(&model);
    let place = |words: &str| screen.lines().position(|line| line.contains(words)).unwrap();
    assert!(place("Leave values of Email") < place("Clear Email"), "{screen}");
    assert!(screen.contains("call me maybe → nothing; asks first"), "{screen}");
    assert_eq!(press(&mut model, "2"), []);
    let Some(Overlay::Sure { text, .. }) = model.overlays.last() else { panic!("{:?}", model.overlays) };
    assert!(text.contains("call me maybe"), "{text}");
    assert_eq!(press(&mut model, "n"), []);
    press(&mut model, "f G");
    assert_eq!(press(&mut model, "j j j j Enter"), []);
    assert!(matches!(&press(&mut model, "y")[..], [Effect::Apply { offer, .. }] if offer.clears));
}

// ---- what shows is what keys act on -----------------------------------------------------------------------------

/// The list with Jane's error selected and her record beside it.
fn beside() -> Model {
    let mut model = full((120, 40));
    press(&mut model, "j");
    rests(&mut model, failing());
    model
}

fn next() -> SyncError {
    errors().into_iter().nth(2).unwrap()
}

/// Nothing is done by these keys, and it is said why; the record comes, and each of them is about what shows.
fn acts_once_it_is_seen(model: &mut Model, keys: &[&str], seen: &SyncError) {
    for key in keys {
        assert_eq!(press(model, key), [], "{key}");
        assert!(model.overlays.is_empty(), "{key}: {:?}", model.overlays);
        assert!(said(model).contains("look at it, then press it again"), "{key}: {}", said(model));
    }
    rests(model, failing_of(seen));
    assert_eq!(model.record.as_ref().map(|pane| pane.row.clone()), seen.row());
    assert_eq!(press(model, "r"), [Effect::Retry(seen.row().unwrap())]);
    let chosen = Chosen::Ids(vec![seen.id]);
    let ignored = Effect::Plan { chosen: chosen.clone(), deed: Deed::Ignore };
    assert_eq!(press(model, "i"), [ignored]);
    update(model, Msg::Planned(Err(Refused("no".to_owned()))));
    assert_eq!(press(model, "f"), [Effect::CountRemedies(chosen)]);
}

#[test]
fn after_an_error_left_the_list_no_key_acts_on_the_next_one_before_it_is_seen() {
    for key in ["i", "r"] {
        let mut model = beside();
        press(&mut model, key);
        if key == "i" {
            let plan = Plan::shown(Deed::Ignore, Preview { touched: 1, ..Preview::default() }, "demo");
            update(&mut model, Msg::Planned(Ok(plan.into())));
            let mut done = Report::default();
            done.note(Item { id: 35, result: Came::Done, message: "it is off the list".to_owned() });
            update(&mut model, Msg::Reported { text: "ignore".to_owned(), sends: false, result: Ok(done) });
        } else {
            update(&mut model, Msg::Retried { row: jane(), result: Ok(()) });
        }
        came(&mut model, record("in step", "jane@acme,com", None));
        let effects = listed_without(&mut model, &[35]);
        // There is time to see that the bar moved.
        assert!(effects.contains(&Effect::Settle(model.resting)), "{effects:?}");
        assert_eq!(model.errors.selected().unwrap().id, 34);
        acts_once_it_is_seen(&mut model, &["i", "r", "u", "f"], &next());
    }
}

#[test]
fn in_a_list_by_another_filter_order_or_view_no_key_acts_before_its_first_record_is_seen() {
    let ways: [fn(&mut Model); 4] = [
        |model| {
            press(model, "/");
            type_in(model, "code:VALIDATION");
            press(model, "Enter");
        },
        |model| drop(press(model, "s j Enter")),
        |model| drop(press(model, "!")),
        |model| {
            waited_for(model, Msg::Groups { filter: String::new(), result: Ok(groups()) });
            press(model, "Enter");
        },
    ];
    for way in ways {
        let mut model = beside();
        way(&mut model);
        listed_without(&mut model, &[36, 35]);
        acts_once_it_is_seen(&mut model, &["i", "r", "u", "f"], &next());
    }
}

#[test]
fn what_is_given_up_among_the_causes_leaves_a_list_whose_first_record_follows() {
    let mut model = beside();
    waited_for(&mut model, Msg::Groups { filter: String::new(), result: Ok(groups()) });
    press(&mut model, "f");
    listed_without(&mut model, &[36, 35]);
    press(&mut model, "Esc");
    listed_without(&mut model, &[36]);
    update(&mut model, Msg::Groups { filter: String::new(), result: Ok(groups()) });
    press(&mut model, "Esc");
    // Jane's is the first one again, and her record shows still.
    assert_eq!(press(&mut model, "r"), [Effect::Retry(jane())]);
}

#[test]
fn a_key_behind_a_step_waits_for_the_record_of_the_row_that_was_chosen() {
    let mut model = beside();
    let row = next().row().unwrap();
    assert_eq!(press(&mut model, "j r"), [Effect::LoadRecord(row.clone())]);
    assert!(text(&model).contains("retry waits for it (Esc gives it up)"), "{}", text(&model));
    // What is typed meanwhile is done to nothing.
    assert_eq!(press(&mut model, "r u i j"), []);
    let view = failing_of(&next());
    let effects = update(&mut model, Msg::Record { row: row.clone(), result: Box::new(Ok(view)) });
    assert_eq!(effects, [Effect::Retry(row)]);
    // Given up, refused, or of a row that is no longer selected, nothing is done.
    let mut model = beside();
    press(&mut model, "j r Esc");
    let row = next().row().unwrap();
    let view = failing_of(&next());
    assert_eq!(update(&mut model, Msg::Record { row: row.clone(), result: Box::new(Ok(view)) }), []);
    let mut model = beside();
    press(&mut model, "j i");
    let refused = Refused("no connection".to_owned());
    let effects = update(&mut model, Msg::Record { row: row.clone(), result: Box::new(Err(refused)) });
    assert_eq!((effects, said(&model).as_str(), model.overlays.len()), (Vec::new(), "no connection", 0));
    let mut model = beside();
    press(&mut model, "j i");
    listed_without(&mut model, &[34]);
    assert!(said(&model).contains("nothing was done") && model.overlays.is_empty(), "{}", said(&model));
    assert_eq!(model.errors.selected().unwrap().id, 33);
}

#[test]
fn a_new_error_at_the_head_of_the_list_is_not_acted_on_before_it_is_seen() {
    for size in [(120, 40), (80, 24)] {
        let mut model = console(size);
        update(&mut model, Msg::Overview(Ok(overview())));
        let listed = |items| Msg::Errors { generation: 0, append: false, result: Ok(page(items)) };
        update(&mut model, listed(errors()[1..].to_vec()));
        let later = error(99, "STRING_TOO_LONG", "Title", "too long", ErrorState::Open);
        update(&mut model, listed(std::iter::once(later).chain(errors()[1..].to_vec()).collect()));
        assert_eq!(model.errors.selected().unwrap().id, 99);
        for key in ["i", "r", "u"] {
            assert_eq!(press(&mut model, key), [], "{size:?} {key}");
        }
        // On a low screen the line is all that there is to see.
        let rested = Msg::Rested(model.resting);
        update(&mut model, rested);
        let row = model.errors.selected().unwrap().row().unwrap();
        if size.1 > 30 {
            came(&mut model, RecordView { row: row.clone(), ..failing() });
        }
        assert_eq!(press(&mut model, "r"), [Effect::Retry(row)], "{size:?}");
    }
}

#[test]
fn what_changed_since_the_last_frame_is_looked_at_first() {
    let mut model = beside();
    model.drawn();
    listed_without(&mut model, &[35]);
    rests(&mut model, failing_of(&next()));
    assert_eq!(press(&mut model, "r"), [], "it was not drawn yet");
    model.drawn();
    assert_eq!(press(&mut model, "r"), [Effect::Retry(next().row().unwrap())]);
}

#[test]
fn an_opened_record_keeps_the_keys_and_no_line_of_the_list_stands_out_for_another_row() {
    let mut model = opened();
    let selected = |model: &Model| {
        let screen = super::screens::drawn(model);
        let line = |y| {
            (0..120).filter(|&x| screen[(x, y)].modifier.contains(ratatui::style::Modifier::REVERSED)).count()
                > 40
        };
        (0..12).filter(|&y| line(y)).count()
    };
    model.theme = crate::console::theme::Theme::new(false);
    let before = text(&model);
    assert!(before.contains("10235"));
    listed_without(&mut model, &[35]);
    assert_eq!((model.focus, selected(&model)), (Pane::Record, 0), "{}", text(&model));
    assert_eq!(press(&mut model, "r"), [Effect::Retry(jane())]);
    // Back in the list it is the list's own, and the record follows.
    press(&mut model, "Esc");
    acts_once_it_is_seen(&mut model, &["i", "u"], &next());
}

#[test]
fn while_an_open_record_holds_changes_no_key_acts_on_another_row() {
    let mut model = opened();
    press(&mut model, "g e x Tab 2 j");
    for key in ["r", "i", "u", "f"] {
        assert_eq!(press(&mut model, key), [], "{key}");
        assert!(said(&model).contains("not saved"), "{key}: {}", said(&model));
    }
    assert_eq!(model.record.as_ref().unwrap().row, jane());
    // What is marked is what was chosen, whatever shows.
    press(&mut model, "Space");
    assert!(matches!(press(&mut model, "r")[..], [Effect::Plan { .. }]));
}

#[test]
fn nothing_acts_on_a_record_that_is_still_read() {
    let mut model = full((120, 40));
    press(&mut model, "j Enter");
    for key in ["m", "f", "r", "u", "i", "c"] {
        assert_eq!(press(&mut model, key), [], "{key}");
        assert!(said(&model).contains("still being read"), "{key}: {}", said(&model));
    }
}

// ---- production -------------------------------------------------------------------------------------------------

fn production() -> Model {
    let mut model = console((120, 40));
    let mut overview = overview();
    overview.connection.environment = "Production".to_owned();
    update(&mut model, Msg::Overview(Ok(overview)));
    press(&mut model, "1 j");
    model
}

fn palette(model: &mut Model, command: &str) -> Vec<Effect> {
    press(model, ":");
    type_in(model, command);
    press(model, "Enter")
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
        let mut model = production();
        assert_eq!(press(&mut model, keys), [], "{keys}");
        let Some(Overlay::Sure { text, .. }) = model.overlays.last() else { panic!("{:?}", model.overlays) };
        assert!(text.starts_with("PRODUCTION: the writes of Contact: "), "{text}");
        assert_eq!(press(&mut model, "n"), []);
        press(&mut model, keys);
        assert_eq!(press(&mut model, "y"), [effect], "{keys}");
    }
    for (command, to) in [("pause/resume", Writes::Pause), ("drain", Writes::Drain)] {
        let mut model = production();
        assert_eq!(palette(&mut model, command), [], "{command}");
        assert_eq!(press(&mut model, "y"), [writes(to)], "{command}");
    }
    // What lets them go on does not, nor what stops nothing, nor another environment.
    let mut model = production();
    let mut resting = overview();
    resting.connection.environment = "prod".to_owned();
    resting.mappings[1].state = "paused".to_owned();
    update(&mut model, Msg::Overview(Ok(resting)));
    assert_eq!(press(&mut model, "p"), [writes(Writes::Resume)]);
    assert!(matches!(press(&mut model, "s 1")[..], [Effect::SetRule { .. }]));
    let mut model = full((120, 40));
    assert_eq!(press(&mut model, "1 j p"), [writes(Writes::Pause)]);
}

#[test]
fn on_production_what_stops_all_writes_is_confirmed_by_how_many_they_are() {
    let writes = |to| Effect::Writes { mapping: None, to };
    for (command, to) in [("pause all", Writes::Pause), ("drain all", Writes::Drain)] {
        let mut model = production();
        assert_eq!(palette(&mut model, command), []);
        assert_eq!(press(&mut model, "y Enter 2 Enter"), [], "{command}");
        assert_eq!(press(&mut model, "BS 3 Enter"), [writes(to)], "{command}");
    }
    let mut model = production();
    palette(&mut model, "strategy of all");
    assert_eq!(press(&mut model, "3 y Enter"), []);
    assert!(matches!(press(&mut model, "3 Enter")[..], [Effect::SetRule { mapping: None, .. }]));
    let mut model = production();
    palette(&mut model, "resume all");
    assert_eq!(press(&mut model, "y"), [writes(Writes::Resume)]);
}

// ---- a database that is lost ------------------------------------------------------------------------------------

fn tick(model: &mut Model, seconds: i64) -> Vec<Effect> {
    update(model, Msg::Tick(now() + TimeDelta::seconds(seconds)))
}

#[test]
fn all_that_shows_stays_with_its_time_while_the_database_is_out_of_reach() {
    let mut model = opened();
    tick(&mut model, 4);
    let refused = || Refused("no connection to PostgreSQL".to_owned());
    // A look that fails may come before it is told that the way broke.
    update(&mut model, Msg::Event(Event::Record(jane())));
    update(&mut model, Msg::Record { row: jane(), result: Box::new(Err(refused())) });
    assert!(text(&model).contains("invalid email address: jane@acme,com"), "{}", text(&model));
    update(&mut model, Msg::Event(Event::Lost("the connection broke".to_owned())));
    tick(&mut model, 9);
    let generation = model.errors.generation;
    update(&mut model, Msg::Errors { generation, append: false, result: Err(refused()) });
    update(&mut model, Msg::Record { row: jane(), result: Box::new(Err(refused())) });
    update(&mut model, Msg::Overview(Err(refused())));
    model.toast = None;
    let (seen, since) = (model.clock(now()), model.clock(now() + TimeDelta::seconds(4)));
    let shown = |model: &Model| {
        let screen = text(model);
        assert!(screen.contains(&format!("as of {seen}, database unreachable since {since}")), "{screen}");
        assert!(screen.contains(&format!("PostgreSQL out of reach since {since}")), "{screen}");
        for words in ["jane@acme,com", "Contact 10234", "Invoice_Line__c"] {
            assert!(screen.contains(words), "{words}: {screen}");
        }
        // The list, the record and the mappings, each with its time.
        assert!(screen.matches(&format!("as of {seen}")).count() >= 4, "{screen}");
    };
    shown(&model);
    // What needs it says so; what does not works.
    for key in ["m", "r", "u", "i", "f", "c", "C-s", "U", "a", "o", "M", "/"] {
        assert_eq!(press(&mut model, key), [], "{key}");
        assert!(
            said(&model).contains("out of reach") && model.overlays.is_empty(),
            "{key}: {}",
            said(&model)
        );
    }
    press(&mut model, "2");
    for key in ["r", "i", "f", "s", "!", "c", "[", "]", "/", "x"] {
        assert_eq!(press(&mut model, key), [], "{key}");
        assert!(
            said(&model).contains("out of reach") && model.overlays.is_empty(),
            "{key}: {}",
            said(&model)
        );
    }
    press(&mut model, "j j");
    let rested = Msg::Rested(model.resting);
    assert_eq!(update(&mut model, rested), []);
    assert_eq!(press(&mut model, "Enter"), []);
    press(&mut model, "1");
    for key in ["p", "d", "s", "v", "t", "L", "Enter"] {
        assert_eq!(press(&mut model, key), [], "{key}");
    }
    model.toast = None;
    shown(&model);
    press(&mut model, "T z z 4 2 ? Esc");
    assert!(said(&model).is_empty());
}

#[test]
fn a_list_that_is_filtered_stays_filtered_while_the_database_is_out_of_reach() {
    let mut model = full((120, 40));
    press(&mut model, "/");
    type_in(&mut model, "code:EMAIL");
    press(&mut model, "Enter");
    listed_without(&mut model, &[]);
    // Typed already, and entered too late.
    press(&mut model, "/");
    type_in(&mut model, " x");
    update(&mut model, Msg::Event(Event::Lost("gone".to_owned())));
    press(&mut model, "Enter");
    press(&mut model, "Esc");
    assert_eq!((model.errors.filter.as_str(), model.errors.items.len()), ("code:EMAIL", 6));
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
        let mut model = opened();
        update(&mut model, Msg::Event(Event::Lost("gone".to_owned())));
        model
    };
    let mut model = lost();
    assert!(all(&update(&mut model, Msg::Event(Event::Restored))));
    assert!(!text(&model).contains("as of"));
    // What was asked for before it went tells nothing; what is asked for since does.
    let mut model = lost();
    update(&mut model, Msg::Overview(Ok(overview())));
    assert!(model.lost.is_some());
    assert!(tick(&mut model, 6).contains(&Effect::LoadOverview));
    let refused = Refused("no connection".to_owned());
    update(&mut model, Msg::Record { row: jane(), result: Box::new(Err(refused)) });
    assert!(all(&update(&mut model, Msg::Overview(Ok(overview())))));
    assert!(model.lost.is_none());
}

#[test]
fn a_key_that_waits_for_a_record_is_given_up_with_the_database() {
    let mut model = beside();
    press(&mut model, "j r");
    update(&mut model, Msg::Event(Event::Lost("gone".to_owned())));
    assert!(model.overlays.is_empty() && said(&model).contains("out of reach"));
}

// ---- many rows --------------------------------------------------------------------------------------------------

#[test]
fn many_are_mended_each_by_its_own_first_remedy_unless_one_types_something_else() {
    let mut model = full((120, 40));
    press(&mut model, "j Space Space");
    let chosen = Chosen::Ids(vec![34, 35]);
    assert_eq!(press(&mut model, "f"), [Effect::CountRemedies(chosen.clone())]);
    let Some(Overlay::Ask(ask)) = model.overlays.last() else { panic!("{:?}", model.overlays) };
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
    update(&mut model, Msg::Remedies { chosen: Chosen::Ids(vec![1]), result: Ok((7, 7)) });
    assert!(text(&model).contains("counting the rows"));
    update(&mut model, Msg::Remedies { chosen: chosen.clone(), result: Ok((1, 2)) });
    assert!(text(&model).contains("1 of 2 rows have one that passes, 1 needs a person"), "{}", text(&model));
    assert_eq!(press(&mut model, "Enter"), [Effect::Plan { chosen: chosen.clone(), deed: Deed::Mend }]);
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
    let plan = std::sync::Arc::new(Plan::shown(Deed::Mend, preview, "demo"));
    assert_eq!(update(&mut model, Msg::Planned(Ok(plan.clone()))), [], "it is shown and asked about");
    let screen = text(&model);
    for words in [
        "each row by its own first remedy",
        "jane@acme,com",
        "→ jane@acme.com",
        "1 left alone: needs a person",
    ] {
        assert!(screen.contains(words), "{words}: {screen}");
    }
    assert_eq!(press(&mut model, "y"), [Effect::CarryOut { plan, why: None }]);
    // Typed by hand, it stands for itself.
    let mut model = full((120, 40));
    press(&mut model, "j Space f");
    type_in(&mut model, "Phone | trim");
    let effects = press(&mut model, "Enter");
    assert!(
        matches!(&effects[..], [Effect::Plan { deed: Deed::Fix { field, .. }, .. }] if field == "Phone"),
        "{effects:?}"
    );
}

#[test]
fn all_of_a_cause_are_mended_the_same_way() {
    let mut model = full((120, 40));
    waited_for(&mut model, Msg::Groups { filter: String::new(), result: Ok(groups()) });
    let effects = press(&mut model, "j f");
    let chosen = Chosen::Filter("group:8fb2".to_owned());
    assert!(effects.contains(&Effect::CountRemedies(chosen.clone())), "{effects:?}");
    update(&mut model, Msg::Remedies { chosen: chosen.clone(), result: Ok((0, 44)) });
    assert!(text(&model).contains("none of 44 rows has one that passes"), "{}", text(&model));
    assert_eq!(press(&mut model, "Enter"), [Effect::Plan { chosen, deed: Deed::Mend }]);
}
