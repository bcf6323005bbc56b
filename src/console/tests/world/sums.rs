//! What adds much up: trends, shares, a comparison of both sides, a trial.

use super::*;

/// An hour of two mappings.
pub fn trends() -> Vec<Trend> {
    let minute = |at: i64, accepted: i64, rejected: i64| Minute {
        accepted,
        rejected,
        read: accepted / 2,
        ..Minute::at(now() - TimeDelta::minutes(60 - at))
    };
    let of = |mapping: &str, factor: i64| Trend {
        mapping: mapping.to_owned(),
        minutes: (0..60).map(|at| minute(at, (at * 7 % 23) * factor, at % 5)).collect(),
    };
    vec![of("Account", 10), of("Contact", 300)]
}

/// What the errors are about.
pub fn shares() -> Vec<ErrorShare> {
    [
        (Category::Data, "INVALID_EMAIL_ADDRESS", 187),
        (Category::Data, HOSTILE, 44),
        (Category::Mapping, "INVALID_TYPE", 1),
    ]
    .map(|(category, code, count)| ErrorShare { category, code: code.to_owned(), count })
    .into()
}

/// What a comparison of rows and records found.
pub fn verified() -> VerifyReport {
    let finding = |kind, row: i32, value: &str| Finding {
        kind,
        mapping: "Contact".to_owned(),
        row: Some(RowRef { table: "contact".to_owned(), row: RowId(row) }),
        sfid: Some("003sd0000000001AAA".to_owned()),
        fields: vec![Difference {
            field: "Email".to_owned(),
            column: "email".to_owned(),
            row: Some(value.to_owned()),
            record: None,
        }],
        text: String::new(),
        at: Vec::new(),
        others: Vec::new(),
    };
    VerifyReport {
        mapping: "Contact".to_owned(),
        looked_at: Some(now()),
        rows: 6_000,
        records: 6_001,
        findings: vec![
            finding(verify::FindingKind::Mismatch, 7, HOSTILE),
            finding(verify::FindingKind::Orphan, 8, "x"),
        ],
        ..VerifyReport::default()
    }
}

/// A trial of which one row would not go through.
pub fn dry_run() -> DryRun {
    let tried = |row: i32, code: Option<&str>| DryRunRow {
        row: RowId(row),
        sfid: None,
        op: "insert".to_owned(),
        fields: Vec::new(),
        sent: BTreeMap::new(),
        passes: code.is_none(),
        refused_by: code.map(|_| "salesforce".to_owned()),
        code: code.map(str::to_owned),
        message: code.map(|_| HOSTILE.to_owned()),
        left_out: BTreeMap::new(),
    };
    DryRun {
        offline: false,
        mapping: "Contact".to_owned(),
        rows: 2,
        passed: 1,
        items: vec![tried(7, None), tried(8, Some("REQUIRED_FIELD_MISSING"))],
    }
}
