//! A console with values of the demo in it, at a fixed time.

pub mod alerts;
pub mod heroku;
mod lists;
mod operations;
pub mod setup;
pub mod shadow;
mod sums;
mod week;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::client::about::{AboutMapping, RuleOrigin};
use crate::client::api::{Count, ErrorPage, ShownRule};
use crate::client::operations::execute::Plan;
use crate::console::app::App;
use crate::console::app::update::update;
use crate::console::effect::Effect;
use crate::console::msg::Msg;
use crate::console::overlays::Overlay;
use crate::console::settings::Settings;
use crate::domain::changes::dry_run::{DryRun, DryRunRow};
use crate::domain::errors::catalogue;
use crate::domain::errors::group::{self, Group};
use crate::domain::errors::group_hours::{GroupHours, RemedyFit};
use crate::domain::errors::summary::Summary;
use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::errors::sync_error::{Category, Class, ErrorState, SyncError};
use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::domain::records::life::{ChangeLife, LifeAnswers, LifeStage};
use crate::domain::records::named::{NamedRecord, NamedRecords};
use crate::domain::records::record::{
    Conflict, HistoryEntry, RecordView, SalesforceState, SalesforceValues, Sending,
};
use crate::domain::records::verify::{self, Difference, Finding, VerifyReport};
use crate::domain::reports::overview::{
    AlertsStatus, ConnectionStatus, EngineStatus, MappingStatus, Overview,
};
use crate::domain::reports::run::{Run, RunKind};
use crate::domain::reports::trend::{ErrorShare, Minute, Trend};
use crate::domain::state::{ConnectionState, EngineState, MappingState};

pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_183_331, 0).unwrap()
}

pub use lists::{blocked, diagnosed, duplicate, duplicated, hits, log, many_lines, pending, relatives};
pub use operations::{operations, plan, report, tally};
pub use sums::{dry_run, shares, trends, verified};
pub use week::{health, week};

/// An empty console of that size, in UTC, with colours.
pub fn console(size: (u16, u16)) -> App {
    let mut app = App::new(now(), size, Settings::default());
    app.start();
    app
}

/// A console in which everything has come.
pub fn full(size: (u16, u16)) -> App {
    let mut app = console(size);
    update(&mut app, Msg::Overview(Ok(overview())));
    update(&mut app, Msg::Errors { generation: 0, append: false, result: Ok(page(errors())) });
    update(&mut app, Msg::Counted { generation: 0, result: Ok(Count { matching: 6, capped: false }) });
    update(&mut app, Msg::Log(Ok(log())));
    app
}

/// The selection has rested, and the record comes that is asked for then.
pub fn rests(app: &mut App, view: RecordView) {
    let rested = Msg::Debounced(app.selection.debounce.number);
    let effects = update(app, rested);
    assert!(effects.contains(&Effect::LoadRecord(view.row.clone())), "{effects:?}");
    update(app, Msg::Record { row: view.row.clone(), result: Box::new(Ok(view)) });
}

/// The record of one of the errors' rows, as it fails.
pub fn failing_of(error: &SyncError) -> RecordView {
    RecordView { row: error.row().unwrap(), ..record("failed", "jane@acme,com", Some(error.clone())) }
}

/// Presses keys, named as in the command table; returns the effects of all of them, but for the clock that says when the
/// selection has rested, and for what lists ask by themselves.
pub fn press(app: &mut App, keys: &str) -> Vec<Effect> {
    let effects = keys.split(' ').flat_map(|name| update(app, Msg::Key(key(name))));
    effects.filter(|effect| !is_by_itself(effect)).collect()
}

/// Whether an effect is none that a key asks for.
pub fn is_by_itself(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Debounce(_)
            | Effect::DebounceMoved(_)
            | Effect::LoadWords(_)
            | Effect::CountCause(_)
            | Effect::LoadStanding
    )
}

/// Types text into what has the keys.
pub fn type_in(app: &mut App, text: &str) {
    for c in text.chars() {
        update(app, Msg::Key(KeyCode::Char(c).into()));
    }
}

pub fn key(name: &str) -> KeyEvent {
    if let Some(digit) = name.strip_prefix("A-") {
        return KeyEvent::new(KeyCode::Char(digit.chars().next().unwrap()), KeyModifiers::ALT);
    }
    if let Some(letter) = name.strip_prefix("C-") {
        return KeyEvent::new(KeyCode::Char(letter.chars().next().unwrap()), KeyModifiers::CONTROL);
    }
    let code = match name {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "S-Tab" => KeyCode::BackTab,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "PgDn" => KeyCode::PageDown,
        "PgUp" => KeyCode::PageUp,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "Delete" => KeyCode::Delete,
        "Space" => KeyCode::Char(' '),
        "BS" => KeyCode::Backspace,
        "F1" => KeyCode::F(1),
        name => KeyCode::Char(name.chars().next().unwrap()),
    };
    code.into()
}

pub fn page(items: Vec<SyncError>) -> ErrorPage {
    ErrorPage { items, next: None, done: true }
}

pub fn overview() -> Overview {
    let mapping = |name: &str, state: &str, errors, pending, rows| MappingStatus {
        name: name.to_owned(),
        table: name.to_lowercase(),
        access: "read_write".to_owned(),
        state: MappingState::of(state),
        rows,
        pending,
        errors,
        last_read: Some(now() - TimeDelta::seconds(2)),
        ..MappingStatus::default()
    };
    Overview {
        connection: ConnectionStatus {
            name: "acme".to_owned(),
            environment: "demo".to_owned(),
            state: ConnectionState::Ok,
            detail: None,
            api_used: Some(1_204),
            api_limit: Some(100_000),
            instance_url: None,
        },
        engine: EngineStatus { state: EngineState::Running, owner: None, seen_at: Some(now()) },
        mappings: vec![
            mapping("Account", "ok", 0, 0, 4_000),
            MappingStatus { errors_last_hour: 12, held: 1, ..mapping("Contact", "errors", 231, 12, 6_000) },
            MappingStatus {
                detail: Some("2,000 of 6,000".to_owned()),
                ..mapping("Invoice_Line__c", "loading", 0, 0, 0)
            },
        ],
        alerts: AlertsStatus::default(),
        gaps: Vec::new(),
        heroku: None,
    }
}

pub fn error(id: i64, code: &str, field: &str, message: &str, state: ErrorState) -> SyncError {
    let entry = catalogue::classify(ErrorSource::Salesforce, code, message);
    SyncError {
        row_id: Some(RowId(10_200 + id as i32)),
        category: entry.category,
        class: entry.class,
        message: message.to_owned(),
        fields: if field.is_empty() { Vec::new() } else { vec![field.to_owned()] },
        state,
        next_retry_at: (state == ErrorState::Retrying).then(|| now() + TimeDelta::seconds(40)),
        first_seen: now() - TimeDelta::seconds(300 - id),
        last_seen: now() - TimeDelta::seconds(300 - id),
        ..SyncError::sample(id, code)
    }
}

pub fn errors() -> Vec<SyncError> {
    let connection = SyncError {
        mapping: String::new(),
        table: String::new(),
        row_id: None,
        category: Category::Connection,
        class: Class::Transient,
        ..error(36, "REQUEST_LIMIT_EXCEEDED", "", "TotalRequests Limit exceeded.", ErrorState::Retrying)
    };
    vec![
        connection,
        error(
            35,
            "INVALID_EMAIL_ADDRESS",
            "Email",
            "Email: invalid email address: jane@acme,com",
            ErrorState::Open,
        ),
        error(
            34,
            "FIELD_CUSTOM_VALIDATION_EXCEPTION",
            "Phone",
            "Phone must be a valid phone number",
            ErrorState::Open,
        ),
        error(
            33,
            "UNABLE_TO_LOCK_ROW",
            "",
            "unable to obtain exclusive access to this record",
            ErrorState::Retrying,
        ),
        error(32, "PARENT_NOT_SYNCED", "", "waits for Invoice__c 88 (I-1)", ErrorState::Held),
        // What a record holds may be meant for the terminal.
        error(
            31,
            "STRING_TOO_LONG",
            "Title",
            "Title: data value too large: \u{1b}[31mred\u{202e} (max length=9)",
            ErrorState::Open,
        ),
    ]
}

pub fn jane() -> RowRef {
    RowRef { table: "contact".to_owned(), row: RowId(10_235) }
}

fn field(name: &str, kind: FieldType, length: u32) -> Field {
    let choices: &[&str] = if kind == FieldType::Picklist { &["Primary", "Secondary"] } else { &[] };
    Field {
        length,
        nillable: name != "LastName",
        createable: name != "CreatedDate",
        updateable: name != "CreatedDate",
        picklist: choices.iter().map(|choice| (*choice).to_owned()).collect(),
        restricted: true,
        ..Field::plain(name, kind)
    }
}

/// Jane's row as it stands, with its error or without.
pub fn record(unit: &str, email: &str, error: Option<SyncError>) -> RecordView {
    let value =
        |name: &str, kind, length, value: Option<&str>| (field(name, kind, length), value.map(str::to_owned));
    let values = vec![
        value("LastName", FieldType::String, 80, Some("Doe")),
        value("FirstName", FieldType::String, 40, Some("Jane")),
        value("Email", FieldType::Email, 80, Some(email)),
        value("Level__c", FieldType::Picklist, 255, Some("Primary")),
        value("Description", FieldType::Textarea, 32_000, Some("first line\nsecond \u{1b}[2Jline")),
        value("CreatedDate", FieldType::Datetime, 0, None),
    ];
    let mut view = RecordView {
        sfid: Some("003sd0000000001AAA".to_owned()),
        lastop: Some("FAILED".to_owned()),
        unit: unit.to_owned(),
        error: error.clone(),
        sending: Sending {
            what: "update".to_owned(),
            why: None,
            values: vec![("Email".to_owned(), Some(email.to_owned()))],
            left_out: Vec::new(),
        },
        history: vec![
            HistoryEntry {
                at: now() - TimeDelta::seconds(9),
                what: "rejected".to_owned(),
                text: "update: INVALID_EMAIL_ADDRESS  batch 8f2".to_owned(),
                request: None,
                response: None,
            },
            HistoryEntry {
                at: now() - TimeDelta::seconds(90),
                what: "accepted".to_owned(),
                text: "insert  batch 7aa".to_owned(),
                request: None,
                response: None,
            },
        ],
        due: unit == "pending",
        life: life(unit),
        ..RecordView::failed(jane(), "Contact", values, SyncError::sample(35, ""))
    };
    if unit == "in step" {
        let accepted =
            HistoryEntry { at: now(), text: "update  batch 9c1".to_owned(), ..view.history[1].clone() };
        view.history.insert(0, accepted);
    }
    if let Some(error) = error {
        let entry = catalogue::classify(ErrorSource::Salesforce, &error.code, &error.message);
        let fields = view.values.iter().map(|(field, _)| field.clone()).collect();
        let mapping = Mapping::plain("Contact", fields);
        view.advice = catalogue::diagnose(entry, &mapping, &view);
    }
    view
}

/// What became of her newest change, by where her row's unit stands.
pub fn life(unit: &str) -> ChangeLife {
    let rejected_at = now() - TimeDelta::seconds(9);
    let (last_at, last) = if unit == "in step" { (now(), "accepted") } else { (rejected_at, "rejected") };
    let stage = match unit {
        "in step" => LifeStage::Accepted { at: Some(now()) },
        "in flight" => LifeStage::Sending,
        "held" => LifeStage::Waiting { why: "waits for Account 88".to_owned() },
        "pending" => LifeStage::Waiting { why: "waits its turn".to_owned() },
        _ => LifeStage::GivenUp { why: "waits for a person".to_owned() },
    };
    let count = if unit == "in step" { 2 } else { 1 };
    ChangeLife {
        captured_at: Some(now() - TimeDelta::seconds(11)),
        answers: Some(LifeAnswers { count, first_at: rejected_at, last_at, last: last.to_owned() }),
        stage,
        unknown: None,
    }
}

pub fn failing() -> RecordView {
    record("failed", "jane@acme,com", errors().into_iter().nth(1))
}

pub fn values() -> SalesforceValues {
    let values = [
        ("lastname", Some("Doe")),
        ("firstname", Some("Janet")),
        ("email", Some("jane@acme.com")),
        ("level__c", Some("Primary")),
    ];
    SalesforceValues {
        fetched_at: now() - TimeDelta::seconds(3),
        state: SalesforceState::Found,
        sfid: Some("003sd0000000001AAA".to_owned()),
        values: values
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))
            .collect::<BTreeMap<_, _>>(),
    }
}

/// What an error's row says of it.
pub fn words(error: &SyncError, value: &str) -> Summary {
    Summary {
        id: error.id,
        seen: error.last_seen,
        name: format!("Jane {value}"),
        field: error.fields.first().cloned().unwrap_or_default(),
        value: Some(value.to_owned()),
        becomes: (error.id % 2 == 1).then(|| value.replace(',', ".")),
        waiting: error.id % 3,
    }
}

/// Two groups.
pub fn groups() -> Vec<Group> {
    let group = |group: &str, code: &str, field: &str, count, template: &str| Group {
        group: group.to_owned(),
        mapping: "Contact".to_owned(),
        code: code.to_owned(),
        fields: vec![field.to_owned()],
        template: template.to_owned(),
        category: Category::Data,
        class: Class::Permanent,
        count,
        first_seen: now() - TimeDelta::hours(3),
        last_seen: now() - TimeDelta::seconds(20),
        trend: group::GroupTrend { last_hour: count / 4, hour_before: count / 2 },
        aside: 0,
        life: None,
    };
    vec![
        group(
            "03aa",
            "FIELD_CUSTOM_VALIDATION_EXCEPTION",
            "Phone",
            187,
            "Phone must be a valid phone number",
        ),
        group("8fb2", "INVALID_EMAIL_ADDRESS", "Email", 44, "Email: invalid email address: …"),
    ]
}

/// When their errors came.
pub fn group_hours() -> GroupHours {
    let mut hours = GroupHours::default();
    for (group, part, count) in [("03aa", 3, 2), ("03aa", 5, 23), ("8fb2", 11, 11)] {
        hours.add(group, part, count);
    }
    hours
}

/// What the groups tell besides comes: a remedy mends almost all of the first one, and none of the second.
pub fn told_of_groups(app: &mut App) {
    update(app, Msg::GroupHours { filter: String::new(), result: Ok(group_hours()) });
    for (group, count, passing, looked, more) in [("03aa", 187, 38, 40, true), ("8fb2", 44, 0, 44, false)] {
        let result = Ok(RemedyFit { passing, looked, more });
        update(app, Msg::Fit { group: group.to_owned(), count, result });
    }
}

/// What is told of Contact.
pub fn about() -> AboutMapping {
    let run = |kind, seconds: i64, records, changed, failed| Run {
        began_at: now() - TimeDelta::seconds(seconds + 4),
        ended_at: now() - TimeDelta::seconds(seconds),
        records,
        changed,
        failed,
        ..Run::begin("Contact", kind)
    };
    let rule = |key: &str, value: &str, origin| ShownRule {
        key: key.to_owned(),
        value: value.to_owned(),
        origin,
        meaning: "",
    };
    let by = RuleOrigin { actor: "ada@ops".to_owned(), at: now() - TimeDelta::hours(2) };
    AboutMapping {
        groups: groups(),
        runs: vec![run(RunKind::Send, 20, 187, 140, 47), run(RunKind::Poll, 60, 12, 9, 0)],
        rules: vec![rule("poll_interval", "30s", "configuration"), rule("strategy", "skip", "run time")],
        by_default: 21,
        set_by: [("strategy".to_owned(), by)].into(),
    }
}

/// So many records of one name, at most two, each in another city.
pub fn named(name: &str, records: usize) -> NamedRecords {
    let record = |(number, city): (i32, &str)| NamedRecord {
        row: RowRef { table: "account".to_owned(), row: RowId(number) },
        key: format!("001sd000000000{number}AAA"),
        name: name.to_owned(),
        telling: city.to_owned(),
    };
    let records = [(1, "Berlin"), (2, "Bonn")].into_iter().take(records).map(record).collect();
    NamedRecords { records, only_beginnings: false }
}

/// A plan comes that an operation was looked at for.
pub fn planned(app: &mut App, plan: Arc<Plan>) -> Vec<Effect> {
    waited_for(app, Msg::Planned(Ok(plan)))
}

/// Something comes that was asked for, and shows then.
pub fn waited_for(app: &mut App, msg: Msg) -> Vec<Effect> {
    let asked = match &msg {
        Msg::Groups { filter, .. } => Effect::LoadGroups(filter.clone()),
        Msg::Found { text, .. } => Effect::Find(text.clone()),
        Msg::Audit(_) => Effect::LoadAudit,
        Msg::AuditRows { operation, .. } => Effect::LoadAuditRows(*operation),
        Msg::Planned(_) => Effect::UndoLast,
        msg => panic!("nobody waits for {msg:?}"),
    };
    app.overlays.push(Overlay::Loading { words: "reading", asked });
    update(app, msg)
}

/// Jane's record with two fields that changed on both sides.
pub fn contested() -> RecordView {
    let conflict = |column: &str, base: &str, ours: &str, theirs: &str| Conflict {
        column: column.to_owned(),
        base: Some(base.to_owned()),
        postgres: Some(ours.to_owned()),
        salesforce: Some(theirs.to_owned()),
        winner: None,
        decided_by: None,
        at: now(),
    };
    let conflicts = vec![
        conflict("email", "jane@acme.com", "jane@acme.org", "jane@acme.net"),
        conflict("lastname", "Doe", "Dow", "Dough"),
    ];
    RecordView { conflicts, ..failing() }
}

/// A value that does whatever a value can do to a screen, in more than one place of it: escape sequences of seven and of
/// eight bits, a bell, a return, a tab, a NUL, every way to turn the reading direction round, nothing wide and something
/// wide.
pub const HOSTILE: &str = "\u{1b}[31mred\u{1b}]52;c;aGk=\u{7}\rback\u{202e}gpj.exe\u{200b}\u{fe0f} 株式会社 🏳\u{fe0f}\u{200d}🌈 שלום \
    \u{2066}lri\u{2067}rli\u{2068}fsi\u{2069}\u{200e}lrm\u{200f}rlm\u{9b}2Jc1\ttab\0nul";
