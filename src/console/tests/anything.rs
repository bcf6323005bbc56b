//! Whatever is pressed, pasted, clicked and answered: nothing panics, nothing hostile reaches a cell, and the screen is
//! always a screen.

use chrono::TimeDelta;
use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use proptest::prelude::*;

use super::screens::drawn;
use super::world::{
    HOSTILE, acts, contested, errors, failing, full, groups, key, log, now, page, pending, plan, relatives,
    report, shares, trends, trial, values, verdict,
};
use crate::console::command::COMMANDS;
use crate::console::effect::Effect;
use crate::console::model::{Model, Pane};
use crate::console::msg::Msg;
use crate::console::theme::Theme;
use crate::console::update::update;
use crate::domain::act::Progress;
use crate::domain::record::Hit;
use crate::engine::handle::{Count, Event, Refused};
use crate::engine::mend::Linked;
use crate::engine::verify::Stage;
use crate::logs::ring;

/// What the engine's side answers to an effect.
fn answer(effect: Effect, well: bool) -> Option<Msg> {
    fn or<T>(well: bool, value: T) -> Result<T, Refused> {
        if well { Ok(value) } else { Err(Refused(format!("no connection\n{HOSTILE}"))) }
    }
    Some(match effect {
        Effect::LoadErrors { generation, append, .. } => {
            Msg::Errors { generation, append, result: or(well, page(errors())) }
        }
        Effect::CountErrors { generation, .. } => {
            Msg::Counted { generation, result: or(well, Count { matching: 10_000, capped: true }) }
        }
        Effect::LoadValues { qualifier, prefix } => {
            Msg::Offers { qualifier, prefix, values: vec![(HOSTILE.to_owned(), 3), ("EMAIL".to_owned(), 2)] }
        }
        Effect::LoadPending { append, query } => {
            Msg::Pending { append, limit: query.limit, result: or(well, pending()) }
        }
        Effect::Rest(number) => Msg::Rested(number),
        Effect::LoadRelatives(row) => Msg::Relatives { row, result: or(well, relatives()) },
        Effect::LoadRecordLog(row) => Msg::RecordLog { row, result: or(well, log()) },
        Effect::LoadTrends { minutes, shares: wanted } => {
            Msg::Trends { minutes, result: or(well, (trends(), wanted.then(shares))) }
        }
        Effect::LoadGroups(filter) => Msg::Groups { filter, result: or(well, groups()) },
        Effect::LoadRecord(row) => {
            let view = if row.row.0 % 2 == 0 { contested() } else { failing() };
            Msg::Record { row, result: Box::new(or(well, view)) }
        }
        Effect::FetchValues(row) => Msg::Values { row, result: or(well, values()) },
        Effect::Save(edit) => Msg::Saved { row: edit.row, result: or(well, ()) },
        Effect::Retry(row) => Msg::Retried { row, result: or(well, ()) },
        Effect::Apply { row, .. } | Effect::Choose { row, .. } => {
            Msg::Applied { row, result: or(well, HOSTILE.to_owned()) }
        }
        Effect::Plan { .. } | Effect::UndoLast => Msg::Planned(or(well, plan(2))),
        Effect::CarryOut { .. } | Effect::Repair { .. } => {
            Msg::Reported { text: HOSTILE.to_owned(), sends: true, result: or(well, report(2)) }
        }
        Effect::LoadActs => Msg::Acts(or(well, acts())),
        Effect::LoadAct(_) => Msg::Act(or(well, acts().into_iter().map(|act| act.first).collect())),
        Effect::Find(text) => Msg::Found { text, result: or(well, Vec::<Hit>::new()) },
        Effect::Link { row, .. } => {
            let sfid = "003sd0000000001AAA".to_owned();
            Msg::Linked { row, result: or(well, Linked::Done { sfid }) }
        }
        Effect::Verify(_) => Msg::Verified(or(well, verdict())),
        Effect::Test(Some(mapping)) => Msg::Tried { mapping, result: or(well, trial()) },
        Effect::Test(None) => Msg::AllTried(or(well, vec![("Contact".to_owned(), Ok(trial()))])),
        Effect::SetRule { .. } | Effect::Writes { .. } | Effect::Reload(_) | Effect::Export { .. } => {
            Msg::Changed(or(well, HOSTILE.to_owned()))
        }
        Effect::LoadLog(_) | Effect::LoadOlderLog(_) => Msg::Log(or(well, log())),
        Effect::FilterLog { generation, upto, lines, filter } => {
            Msg::LogFiltered { generation, upto, places: ring::search(&lines, &filter) }
        }
        _ => return None,
    })
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Happens {
    Key(&'static str),
    Type(char),
    Paste(&'static str),
    Click(u16, u16),
    Wheel(bool),
    Resize(u16, u16),
    Tick(i64),
    Lost,
    Back,
}

fn keys() -> Vec<&'static str> {
    let mut keys: Vec<&'static str> = COMMANDS.iter().flat_map(|command| command.keys).copied().collect();
    keys.extend(["BS", "Enter", "Esc", "Tab", "y", "n", "p", "s", "Down", "Up", "Home", "End"]);
    keys.retain(|key| !["C-c", "q", "C-z", "Left", "Right"].contains(key));
    keys
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        20 => prop::sample::select(keys()).prop_map(Happens::Key),
        4 => any::<char>().prop_map(Happens::Type),
        1 => Just(Happens::Paste(HOSTILE)),
        2 => (0..130_u16, 0..45_u16).prop_map(|(x, y)| Happens::Click(x, y)),
        1 => any::<bool>().prop_map(Happens::Wheel),
        1 => (0..130_u16, 0..45_u16).prop_map(|(x, y)| Happens::Resize(x, y)),
        1 => (1..100_i64).prop_map(Happens::Tick),
        1 => Just(Happens::Lost),
        1 => Just(Happens::Back),
    ]
}

fn message(happens: &Happens, model: &Model) -> Msg {
    let mouse =
        |kind, column, row| Msg::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE });
    match happens {
        Happens::Key(name) => Msg::Key(key(name)),
        Happens::Type(c) => Msg::Key(crossterm::event::KeyCode::Char(*c).into()),
        Happens::Paste(text) => Msg::Paste((*text).to_owned()),
        Happens::Click(x, y) => mouse(MouseEventKind::Down(MouseButton::Left), *x, *y),
        Happens::Wheel(true) => mouse(MouseEventKind::ScrollDown, 50, 5),
        Happens::Wheel(false) => mouse(MouseEventKind::ScrollUp, 50, 5),
        Happens::Resize(x, y) => Msg::Resize(*x, *y),
        Happens::Tick(seconds) => Msg::Tick(model.now + TimeDelta::seconds(*seconds)),
        Happens::Lost => Msg::Event(Event::Lost(HOSTILE.to_owned())),
        Happens::Back => Msg::Event(Event::Restored),
    }
}

/// Does it, and whatever comes of it.
fn carry(model: &mut Model, msg: Msg, well: bool) {
    let mut waiting = update(model, msg);
    let mut rounds = 0;
    while let Some(effect) = waiting.pop() {
        rounds += 1;
        assert!(rounds < 500, "it never comes to rest");
        if let Some(msg) = answer(effect, well) {
            waiting.extend(update(model, msg));
        }
    }
}

proptest! {
    #[test]
    fn nothing_that_happens_panics_or_lets_anything_hostile_through(
        all in prop::collection::vec((happens(), prop::bool::weighted(0.9)), 0..60),
        theme in prop::sample::select(vec!["auto", "mono", "ascii"]),
    ) {
        let mut model = full((120, 40));
        model.theme = Theme::named(theme).unwrap();
        for (what, well) in &all {
            let msg = message(what, &model);
            carry(&mut model, msg, *well);
            let buffer = drawn(&model);
            for cell in &buffer.content {
                let hostile = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || c == '\u{200b}';
                prop_assert!(!cell.symbol().chars().any(hostile), "{:?}", cell.symbol());
                prop_assert!(!model.theme.ascii || cell.symbol().is_ascii(), "{:?}", cell.symbol());
            }
        }
    }
}

#[test]
fn a_filter_by_anybodys_value_is_harmless_in_a_title() {
    let mut model = full((120, 40));
    for name in ["M", "j", "Enter", "c"] {
        carry(&mut model, Msg::Key(key(name)), true);
    }
    let screen = super::screens::text(&model);
    assert!(screen.contains("Causes of errors that match") && !screen.contains('\u{202e}'), "{screen}");
}

#[test]
fn every_command_can_be_reached_by_its_key_and_from_the_palette() {
    for command in COMMANDS {
        for pane in Pane::ALL.into_iter().filter(|pane| command.is_in(*pane)) {
            for key in command.keys {
                let model = full((120, 40));
                let found = model.keymap.find(pane, key).unwrap();
                assert!(
                    std::ptr::eq(found, command),
                    "{key} in {pane:?} is {}, not {}",
                    found.name,
                    command.name
                );
            }
        }
        let mut model = full((120, 40));
        update(&mut model, Msg::Key(key(":")));
        command
            .title
            .chars()
            .for_each(|c| drop(update(&mut model, Msg::Key(crossterm::event::KeyCode::Char(c).into()))));
        let screen = super::screens::text(&model);
        assert!(screen.contains(command.title), "{} is not in the palette:\n{screen}", command.title);
    }
}

#[test]
fn progress_is_drawn_while_rows_and_records_are_compared() {
    let mut model = full((120, 40));
    "1jv".chars().for_each(|c| drop(update(&mut model, Msg::Key(crossterm::event::KeyCode::Char(c).into()))));
    update(&mut model, Msg::Stage(Stage::Comparing(1_500, 6_000)));
    update(&mut model, Msg::Tick(now() + TimeDelta::seconds(10)));
    let screen = super::screens::text(&model);
    assert!(screen.contains("1,500 of 6,000 records compared · 30 s left"), "{screen}");
    update(&mut model, Msg::Progress(Progress { through: 1, total: 2 }));
    update(&mut model, Msg::Verified(Ok(verdict())));
    let screen = super::screens::text(&model);
    assert!(screen.contains("2 of 6000 rows and 6001 records differ"), "{screen}");
}
