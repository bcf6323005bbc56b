//! What lists show beside the errors: lines of the log, what waits, relatives, rows that were found, rows that are the same.

use chrono::TimeDelta;

use super::{HOSTILE, error, errors, jane, now, record};
use crate::domain::changes::pending::Pending;
use crate::domain::errors::catalogue;
use crate::domain::errors::suggested_fix::Against;
use crate::domain::errors::summary::Blocked;
use crate::domain::errors::sync_error::{ErrorState, SyncError};
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::domain::records::duplicate::{Duplicate, DuplicateField};
use crate::domain::records::record::{Hit, RecordView, Relative};
use crate::domain::state::PendingState;
use crate::logs::{Level, LogRecord};

pub fn log() -> Vec<LogRecord> {
    let record = |id, level, dyno: &str, message: &str, fields: serde_json::Value| LogRecord {
        id,
        time: now() - TimeDelta::seconds(30 - id),
        level,
        source: "syncdeck".to_owned(),
        dyno: dyno.to_owned(),
        message: message.to_owned(),
        fields: fields.as_object().cloned().unwrap_or_default(),
    };
    vec![
        record(
            1,
            Level::Info,
            "writer",
            "200 accepted",
            serde_json::json!({"mapping": "Account", "batch": "7aa"}),
        ),
        record(
            2,
            Level::Warn,
            "writer",
            "3 of 200 rejected",
            serde_json::json!({"mapping": "Contact", "batch": "8f2"}),
        ),
        record(
            3,
            Level::Error,
            "reader",
            "Lead cannot be read \u{1b}[31m",
            serde_json::json!({"code": "INVALID_TYPE"}),
        ),
    ]
}

/// What waits: in flight, ready, held.
pub fn pending() -> Vec<Pending> {
    let waiting = |row: i32, state: PendingState, reason: &str| Pending {
        row: RowRef { table: "contact".to_owned(), row: RowId(row) },
        mapping: "Contact".to_owned(),
        op: "update".to_owned(),
        state,
        since: now() - TimeDelta::seconds(i64::from(row)),
        ready_at: now() + TimeDelta::seconds(42),
        batch: (state == PendingState::InFlight).then(|| "8f2a".to_owned()),
        attempts: 1,
        changes: i64::from(row % 3),
        reason: reason.to_owned(),
        rests: reason == "tried again",
    };
    vec![
        waiting(7, PendingState::InFlight, "in flight"),
        waiting(8, PendingState::Ready, "waits its turn"),
        waiting(12, PendingState::Ready, "tried again"),
        waiting(9, PendingState::Held, "waits for Account 88"),
        waiting(10, PendingState::Stopped, HOSTILE),
    ]
}

/// A parent that failed, and a child that waits.
pub fn relatives() -> Vec<Relative> {
    let relative = |mapping: &str, row: i32, is_parent: bool, unit: &str| Relative {
        row: RowRef { table: mapping.to_lowercase(), row: RowId(row) },
        mapping: mapping.to_owned(),
        field: if is_parent { "AccountId" } else { "ContactId" }.to_owned(),
        is_parent,
        sfid: is_parent.then(|| "001sd0000000001AAA".to_owned()),
        unit: unit.to_owned(),
        error: (!is_parent).then_some(35),
    };
    vec![relative("Account", 88, true, "in step"), relative("Case", 12, false, "held")]
}

/// So many ordinary lines of the log, one of which in a hundred is a warning about invoices.
pub fn many_lines(from: i64, count: i64) -> Vec<LogRecord> {
    let line = |id: i64| LogRecord {
        id,
        level: if id % 100 == 0 { Level::Warn } else { Level::Info },
        message: if id % 100 == 0 { "Invoice rejected".to_owned() } else { format!("line {id}") },
        ..log().remove(0)
    };
    (from..from + count).map(line).collect()
}

/// Rows that a text named: one that fails, one that is gone.
pub fn hits() -> Vec<Hit> {
    let hit = |row: i32, state: Option<&str>| Hit {
        mapping: "Contact".to_owned(),
        row: RowRef { table: "contact".to_owned(), row: RowId(row) },
        sfid: state.map(|_| "003sd0000000001AAA".to_owned()),
        external_id: Some("C-10235".to_owned()),
        exists: state.is_some(),
        unit: "failed".to_owned(),
        error: Some(35),
        state: state.map(str::to_owned),
        by: "external id".to_owned(),
    };
    vec![hit(10_235, Some("open")), hit(7, None)]
}

/// Rows that wait for another one: of a text each, and whether there are more.
pub fn blocked(ids: &[i64]) -> Blocked {
    let one = |id: &i64| {
        let waits = error(*id, "PARENT_NOT_SYNCED", "", "waits for Contact 10235", ErrorState::Held);
        SyncError { mapping: "Case".to_owned(), table: "case".to_owned(), ..waits }
    };
    Blocked { errors: ids.iter().map(one).collect(), more: ids.len() > 2 }
}

/// Jane's record, refused because another one has the same.
pub fn duplicated() -> RecordView {
    let message = "duplicate value found: Email duplicates value on record with id: 003sd0000000007AAA";
    let error = error(35, "DUPLICATE_VALUE", "Email", message, ErrorState::Open);
    diagnosed(RecordView { sfid: None, ..record("failed", "jane@acme.com", None) }, error)
}

/// A record with an error, and with what helps of that.
pub fn diagnosed(view: RecordView, error: SyncError) -> RecordView {
    let entry = catalogue::classify(error.source, &error.code, &error.message);
    let fields = view.values.iter().map(|(field, _)| field.clone()).collect();
    let view = RecordView { error: Some(error), ..view };
    let advice = catalogue::diagnose(entry, &Mapping::plain("Contact", fields), &view);
    RecordView { advice, ..view }
}

/// What is there for her row: a row that has the record, her own, and the record.
pub fn duplicate(email: &str) -> Duplicate {
    let field = |name: &str, values: [Option<&str>; 3]| {
        let [other, row, record] = values.map(|value| value.map(str::to_owned));
        DuplicateField {
            name: name.to_owned(),
            column: name.to_lowercase(),
            other,
            shown: row.clone(),
            row,
            record,
        }
    };
    Duplicate {
        row: jane(),
        against: Against { error: 35, seen: errors()[1].last_seen },
        sfid: "003sd0000000007AAA".to_owned(),
        other: Some(RowId(7)),
        fields: vec![
            field("FirstName", [Some("Janet"), Some("Jane"), Some("Janet")]),
            field("Email", [Some("janet@acme.com"), Some(email), Some("jane@acme.net")]),
            field("Description", [Some("came by letter"), None, None]),
            field("Level__c", [None, None, Some("Secondary")]),
        ],
        same: 14,
        others: Vec::new(),
    }
}
