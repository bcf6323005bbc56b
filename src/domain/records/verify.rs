//! The two sides against each other: what differs between a row and its record although nothing is pending, and what
//! only looks different.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::changes::merge::same;
use crate::domain::changes::outgoing::is_in_step;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::domain::values::hstore::Hstore;

/// The other rows of a duplicate that one finding has; of more than so many rows nobody can say at a glance that all are one.
pub const TOGETHER: usize = 100;

/// A kind of inconsistency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A row and its record hold different values.
    Mismatch,
    /// Several rows have one external id.
    Duplicate,
    /// A row names a parent that is not there.
    Orphan,
    /// A row has no record, and nothing of it waits to be sent.
    RowWithoutRecord,
    /// A record has no row.
    RecordWithoutRow,
}

impl FindingKind {
    /// In the order in which they are told.
    pub const ALL: [FindingKind; 5] = [
        FindingKind::Mismatch,
        FindingKind::Duplicate,
        FindingKind::Orphan,
        FindingKind::RowWithoutRecord,
        FindingKind::RecordWithoutRow,
    ];

    /// The word in JSON and in the database.
    pub fn word(self) -> &'static str {
        match self {
            FindingKind::Mismatch => "mismatch",
            FindingKind::Duplicate => "duplicate",
            FindingKind::Orphan => "orphan",
            FindingKind::RowWithoutRecord => "row_without_record",
            FindingKind::RecordWithoutRow => "record_without_row",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<FindingKind> {
        FindingKind::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            FindingKind::Mismatch => "mismatch",
            FindingKind::Duplicate => "duplicate",
            FindingKind::Orphan => "orphan",
            FindingKind::RowWithoutRecord => "row without a record",
            FindingKind::RecordWithoutRow => "record without a row",
        }
    }
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Its API name.
    pub field: String,
    /// Its column.
    pub column: String,
    /// The row's value.
    pub row: Option<String>,
    /// The record's value.
    pub record: Option<String>,
}

/// One inconsistency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Its kind.
    pub kind: FindingKind,
    /// The mapping's object name.
    pub mapping: String,
    /// The row, where there is one.
    pub row: Option<RowRef>,
    /// The record, where there is one.
    pub sfid: Option<String>,
    /// Of a mismatch: the fields that differ.
    pub fields: Vec<Difference>,
    /// Of a duplicate, what the rows share and the others; of an orphan, the parent that is missing. Masked values are not
    /// in it.
    pub text: String,
    /// Of these two, the fields at fault, by API names.
    #[serde(default)]
    pub at: Vec<String>,
    /// Of a duplicate, the other rows.
    #[serde(default)]
    pub others: Vec<RowId>,
}

/// A row as a look found it, as far as a repair goes by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsFound {
    /// Its record.
    pub sfid: Option<String>,
    /// The columns that differed.
    pub values: Hstore,
}

impl Finding {
    /// The fields at fault, by API names.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.fields.iter().map(|field| &field.field).chain(&self.at)
    }

    /// The row as it was found.
    pub fn as_found(&self) -> AsFound {
        let values = self.fields.iter().map(|field| (field.column.clone(), field.row.clone())).collect();
        AsFound { sfid: self.sfid.clone(), values }
    }
}

/// What is being done, for whoever waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Records are compared with their rows: how many of how many.
    Comparing(i64, i64),
    /// Rows are looked through that no record was met for: how many of how many.
    Rows(i64, i64),
    /// What looks different is looked at again when the reader has been by: how many.
    Settling(usize),
}

/// Why a row may differ from its record, or have none, with nothing being wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnsentReason {
    /// Its change is on its way.
    Pending,
    /// Its change waits for another row.
    Blocked,
    /// Its change was rejected.
    Failed,
    /// Its change waits for a person's release.
    Review,
    /// Its change was rejected, and nobody is to be asked about it.
    Ignored,
    /// A condition keeps it out.
    KeptOut,
}

impl UnsentReason {
    /// All of them, in the order in which they are told.
    pub const ALL: [UnsentReason; 6] = [
        UnsentReason::Pending,
        UnsentReason::Blocked,
        UnsentReason::Failed,
        UnsentReason::Review,
        UnsentReason::Ignored,
        UnsentReason::KeptOut,
    ];

    /// The word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            UnsentReason::Pending => "pending",
            UnsentReason::Blocked => "blocked",
            UnsentReason::Failed => "failed",
            UnsentReason::Review => "review",
            UnsentReason::Ignored => "ignored",
            UnsentReason::KeptOut => "kept_out",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<UnsentReason> {
        UnsentReason::ALL.into_iter().find(|unsent| unsent.word() == word)
    }

    /// In words; `condition` is what keeps rows out.
    fn text(self, condition: Option<&str>) -> String {
        match (self, condition) {
            (UnsentReason::Review, _) => "waiting for a release".to_owned(),
            (UnsentReason::KeptOut, Some(condition)) => format!("kept out by the condition {condition}"),
            (UnsentReason::KeptOut, None) => "kept out by a condition".to_owned(),
            (other, _) => other.word().to_owned(),
        }
    }
}

/// What a look at one mapping found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// The mapping's object name.
    pub mapping: String,
    /// When what was found was looked at last, by PostgreSQL's clock, or before that; `None` where nothing was.
    pub looked_at: Option<DateTime<Utc>>,
    /// How many rows there are.
    pub rows: i64,
    /// How many records Salesforce told of.
    pub records: i64,
    /// How many rows were compared with their records.
    pub compared: i64,
    /// How many rows Salesforce has no record of, by why: they are in order.
    #[serde(default)]
    pub absent: BTreeMap<UnsentReason, i64>,
    /// How many rows were not compared with their records, by why something of them is not sent.
    #[serde(default)]
    pub unsent: BTreeMap<UnsentReason, i64>,
    /// How many records have no row any more because it was deleted here, which is not sent, or is not passed on.
    #[serde(default)]
    pub leaving: i64,
    /// How many rows and records lack their other side for a reason that has an error of its own.
    #[serde(default)]
    pub aside: i64,
    /// How many rows got their record, and records their row, while one looked.
    #[serde(default)]
    pub meanwhile: i64,
    /// The condition that keeps rows out, where there is one.
    #[serde(default)]
    pub condition: Option<String>,
    /// How many of each kind were found.
    pub counts: BTreeMap<FindingKind, i64>,
    /// What was found, at most as many as are listed.
    pub findings: Vec<Finding>,
    /// How many looked different but changed each time that one looked, or were too many to look at again: nothing can be said
    /// about them.
    pub unsettled: i64,
    /// How many looked different while the reader was not by: it may have had them still to read.
    #[serde(default)]
    pub unread: i64,
    /// Whether it was stopped before its end.
    pub stopped: bool,
    /// Why what was found could not be listed as errors.
    #[serde(default)]
    pub unlisted: Option<String>,
}

impl VerifyReport {
    /// How many looked different, of which nothing can be said.
    pub fn open(&self) -> i64 {
        self.unsettled + self.unread
    }

    /// Why there are not as many rows as records, and not as many compared, although nothing is wrong: a clause for each
    /// reason.
    pub fn explained(&self) -> Vec<String> {
        let rows = |count: i64| if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
        let records =
            |count: i64| if count == 1 { "1 record".to_owned() } else { format!("{count} records") };
        let reasons = |counts: &BTreeMap<UnsentReason, i64>| {
            let told =
                counts.iter().map(|(why, count)| format!("{count} {}", why.text(self.condition.as_deref())));
            told.collect::<Vec<_>>().join(", ")
        };
        let sum = |counts: &BTreeMap<UnsentReason, i64>| counts.values().sum::<i64>();
        let mut clauses = Vec::new();
        if !self.absent.is_empty() {
            clauses.push(format!(
                "not in Salesforce: {} ({})",
                rows(sum(&self.absent)),
                reasons(&self.absent)
            ));
        }
        if !self.unsent.is_empty() {
            clauses.push(format!(
                "not compared: {} with changes that are not sent ({})",
                rows(sum(&self.unsent)),
                reasons(&self.unsent)
            ));
        }
        if self.leaving > 0 {
            clauses.push(format!("deleted here, not there: {}", records(self.leaving)));
        }
        if let Some(why) = &self.unlisted {
            clauses.push(format!("not listed as errors: {why}"));
        }
        if self.aside > 0 {
            clauses.push(format!("told by errors of their own: {} without a row or a record", self.aside));
        }
        if self.meanwhile > 0 {
            clauses.push(format!("came or went while one looked: {}", self.meanwhile));
        }
        if self.unsettled > 0 {
            clauses.push(format!(
                "changed each time one looked, or too many at once: {}; verify again when it is calmer",
                self.unsettled
            ));
        }
        if self.unread > 0 {
            clauses
                .push(format!("looked different, but nobody read meanwhile: {}; verify again", self.unread));
        }
        clauses
    }
}

/// The fields that really differ: outer blanks, empty and NULL, digits beyond the scale, and what a transform makes of
/// the row's value on its way out make no difference.
pub fn differences(mapping: &Mapping, row: &Hstore, record: &Hstore) -> Vec<Difference> {
    let differing = mapping.read_fields().filter_map(|field| {
        let ours = row.get(&field.column).cloned().flatten();
        let theirs = record.get(&field.column)?.clone();
        let agree = same(field, ours.as_deref(), theirs.as_deref())
            || is_in_step(mapping, field, ours.as_deref(), theirs.as_deref());
        (!agree).then(|| Difference {
            field: field.name.clone(),
            column: field.column.clone(),
            row: ours,
            record: theirs,
        })
    });
    differing.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mappings::field::{Field, FieldType};
    use crate::domain::mappings::rules::Rules;

    #[test]
    fn what_is_not_in_salesforce_is_told_with_its_reasons() {
        let report = VerifyReport {
            absent: [(UnsentReason::KeptOut, 2), (UnsentReason::Pending, 12), (UnsentReason::Failed, 5)]
                .into(),
            unsent: [(UnsentReason::Review, 1)].into(),
            leaving: 1,
            condition: Some("email IS NOT NULL".to_owned()),
            ..VerifyReport::default()
        };
        assert_eq!(
            report.explained(),
            [
                "not in Salesforce: 19 rows (12 pending, 5 failed, 2 kept out by the condition email IS NOT NULL)",
                "not compared: 1 row with changes that are not sent (1 waiting for a release)",
                "deleted here, not there: 1 record",
            ]
        );
        assert_eq!(VerifyReport::default().explained(), Vec::<String>::new());
        for unsent in UnsentReason::ALL {
            assert_eq!(serde_json::to_value(unsent).unwrap(), unsent.word());
        }
        for kind in FindingKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
        }
    }

    #[test]
    fn what_only_looks_different_is_no_difference() {
        let mut rules = Rules::default();
        rules.set("Phone.transforms", "phone_e164(US)").unwrap();
        let number = Field { precision: 16, scale: 2, ..Field::plain("Amount", FieldType::Double) };
        let mapping = Mapping {
            rules,
            ..Mapping::plain(
                "Contact",
                vec![
                    Field::plain("Name", FieldType::String),
                    Field::plain("Phone", FieldType::Phone),
                    number,
                    Field::plain("Active", FieldType::Boolean),
                ],
            )
        };
        let side = |name: Option<&str>, phone: Option<&str>, amount: Option<&str>, active: Option<&str>| {
            [("name", name), ("phone", phone), ("amount", amount), ("active", active)]
                .map(|(column, value)| (column.to_owned(), value.map(str::to_owned)))
                .into()
        };
        let record = side(Some("Doe"), Some("+14155552671"), Some("1.5"), Some("false"));
        for row in [
            side(Some(" Doe "), Some("(415) 555-2671"), Some("1.50"), Some("f")),
            side(Some("Doe"), Some("+14155552671"), Some("1.499999999999"), None),
        ] {
            assert_eq!(differences(&mapping, &row, &record), []);
        }
        let row = side(Some("Dow"), Some("(415) 555-2672"), Some("1.51"), Some("t"));
        let fields: Vec<String> =
            differences(&mapping, &row, &record).into_iter().map(|one| one.field).collect();
        assert_eq!(fields, ["Name", "Phone", "Amount", "Active"]);
        let blank = differences(
            &mapping,
            &side(Some(""), None, None, None),
            &side(None, Some(" "), None, Some("false")),
        );
        assert_eq!(blank, []);
    }
}
