//! Operations: planned, done, told of, counted.

use std::sync::Arc;

use chrono::TimeDelta;

use super::now;
use crate::client::operations::execute::Plan;
use crate::domain::names::{RowId, RowRef};
use crate::domain::operations::answer::Tally;
use crate::domain::operations::operation::{
    AuditEntry, AuditRecord, FieldChange, Item, OperationKind, Preview, Report, RowStatus, Sample,
};

/// Answers to rows of an operation, more of them with every look.
pub fn tally(looks: usize) -> Tally {
    let answered = looks as i64 % 5;
    Tally { taken: answered, rejected: answered / 2, waiting: 5 - answered, ..Tally::default() }
}

pub fn plan(touched: usize) -> Arc<Plan> {
    let line = |row: i32, before: &str, refused: Option<&str>| Sample {
        id: i64::from(row),
        row: RowRef { table: "contact".to_owned(), row: RowId(row) },
        field: "Phone".to_owned(),
        before: Some(before.to_owned()),
        after: Some(before.replace("call ", "")),
        refused: refused.map(str::to_owned),
    };
    let preview = Preview {
        selected: touched + 3,
        touched,
        removed: 0,
        doubled: 0,
        passing: touched - 1,
        refused: [("STRING_TOO_LONG Phone".to_owned(), 1)].into(),
        left: [("its value stays as it is".to_owned(), 2), ("it is resolved already".to_owned(), 1)].into(),
        sample: vec![
            line(10_235, "call 415-555-2671", None),
            line(10_236, "call \u{1b}[31m415\u{202e}", Some("too long")),
        ],
    };
    let (field, how) = FieldChange::parse("Phone | replace(\"call \", \"\")").unwrap();
    Arc::new(Plan::shown(OperationKind::Fix { field, how, retry: true }, preview, "demo"))
}

/// What came of it.
pub fn report(done: usize) -> Report {
    let mut report = Report { operation: Some(12), ..Report::default() };
    let item = |id, result, message: &str| Item { id, result, message: message.to_owned() };
    (0..done as i64).for_each(|id| report.note(item(id, RowStatus::Done, "saved; it is sent")));
    if done > 1 {
        report.note(item(90_001, RowStatus::Skipped, "phone was changed meanwhile"));
        report.note(item(90_002, RowStatus::Failed, "the row 4 of contact is gone"));
        report.note(item(90_003, RowStatus::Failed, "the row 5 of contact is gone"));
    }
    report
}

/// Three operations of two people.
pub fn operations() -> Vec<AuditRecord> {
    let values = |column: &str, value: &str| Some([(column.to_owned(), Some(value.to_owned()))].into());
    let operation = |operation: i64, action: &str, rows, undone, before, after| AuditRecord {
        db_user: None,
        is_final: action == "retried",
        mappings: 1,
        operation,
        at: now() - TimeDelta::minutes(10 - operation),
        actor: if operation == 2 { "ada@sync-1" } else { "grace@sync-1" }.to_owned(),
        origin: if operation == 2 { "10.0.0.7" } else { "local" }.to_owned(),
        action: action.to_owned(),
        mapping: "Contact".to_owned(),
        rows,
        undone,
        first: AuditEntry {
            id: operation,
            operation,
            action: action.to_owned(),
            table: "contact".to_owned(),
            row: Some(RowId(10_235)),
            error: Some(35),
            before,
            after,
            undoes: None,
        },
        why: (operation == 2).then(|| "the import wrote call".to_owned()),
    };
    vec![
        operation(3, "ignored", 1, 0, None, None),
        operation(
            2,
            "edited",
            4_990,
            0,
            values("phone", "call 415-555-2671"),
            values("phone", "415-555-2671"),
        ),
        operation(1, "edited", 1, 1, values("email", "jane@acme,com"), values("email", "jane@acme.com")),
    ]
}
