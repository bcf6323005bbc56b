//! What operators do: who, what with how many errors, and what came of it. An operation is what one person decided at once,
//! for one row or for many; the audit has an entry for each row of it.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::changes::merge::Side;
use crate::domain::errors::group::template;
use crate::domain::mappings::field::Field;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::mappings::rules::MASK;
use crate::domain::names::{RowId, RowRef};
use crate::domain::records::duplicate::Merge;
use crate::domain::values::transform::{Transform, apply_all};

/// Who acts, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Account and host: `ada@sync-1`.
    pub actor: String,
    /// The address of the SSH client, or `local`.
    pub origin: String,
}

/// An operation under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its number, where several transactions share it; `None` takes the next one.
    pub number: Option<i64>,
    /// Who.
    pub operator: Operator,
    /// Why, in the operator's words.
    pub why: Option<String>,
}

impl Operation {
    /// An operation of one transaction.
    pub fn single(operator: &Operator) -> Operation {
        Operation { number: None, operator: operator.clone(), why: None }
    }
}

/// What became of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowStatus {
    /// It was done.
    Done,
    /// There was nothing to do, or somebody else did something meanwhile.
    Skipped,
    /// It could not be done.
    Failed,
}

impl RowStatus {
    /// The word used in JSON.
    pub fn word(self) -> &'static str {
        match self {
            RowStatus::Done => "done",
            RowStatus::Skipped => "skipped",
            RowStatus::Failed => "failed",
        }
    }
}

/// What an operation came to for one row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowResult {
    /// Which row.
    pub row: RowId,
    /// What became of it.
    pub status: RowStatus,
    /// The reason, or what was done.
    pub message: String,
}

impl RowResult {
    /// A fate with its reason.
    pub fn new(row: RowId, status: RowStatus, message: impl Into<String>) -> RowResult {
        RowResult { row, status, message: message.into() }
    }
}

/// What an operation came to for one of the errors (or entries of the audit) that it was about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The error's number.
    pub id: i64,
    /// What became of it.
    pub result: RowStatus,
    /// The reason, or what was done.
    pub message: String,
}

/// What is done with many errors.
#[derive(Clone, Debug, PartialEq)]
pub enum OperationKind {
    /// They are sent again as they are.
    Retry,
    /// Those that wait for a person's release are sent.
    Release,
    /// They leave the list, and are not tried again by themselves.
    Ignore,
    /// Salesforce's values come back into the rows; a rejected insert's row is removed.
    Revert,
    /// A field of each row is changed.
    Fix {
        /// API name or column.
        field: String,
        /// What becomes of its value.
        how: FieldChange,
        /// Whether the rows are sent again at once.
        retry: bool,
    },
    /// Each row gets the value that its own first remedy which passes gives it, and is sent again.
    Mend,
    /// Every field that changed on both sides goes by one side.
    Choose(Side),
    /// A row that was refused takes over the record that has the same, with the values that were chosen.
    Merge(Box<Merge>),
    /// The entries of an operation are taken back.
    Undo(i64),
}

impl OperationKind {
    /// What it does, for a person: `retry`, `fix Phone | phone_e164(US)`.
    pub fn text(&self) -> String {
        match self {
            OperationKind::Retry => "retry".to_owned(),
            OperationKind::Release => "release".to_owned(),
            OperationKind::Ignore => "ignore".to_owned(),
            OperationKind::Revert => "revert".to_owned(),
            OperationKind::Fix { field, how: FieldChange::Set(Some(value)), .. } => {
                format!("fix {field} = {value}")
            }
            OperationKind::Fix { field, how: FieldChange::Set(None), .. } => format!("fix {field} = nothing"),
            OperationKind::Fix { field, how: FieldChange::Apply(transforms), .. } => {
                let transforms: Vec<String> = transforms.iter().map(ToString::to_string).collect();
                format!("fix {field} | {}", transforms.join(" | "))
            }
            OperationKind::Mend => "fix each row by its own first remedy".to_owned(),
            OperationKind::Choose(side) => format!("choose {} everywhere", side.word()),
            OperationKind::Merge(merge) => format!("merge into the record {}", merge.sfid),
            OperationKind::Undo(operation) => format!("undo operation {operation}"),
        }
    }
}

/// What becomes of a field's value.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldChange {
    /// It becomes this one.
    Set(Option<String>),
    /// It goes through these, one behind the other; a regular expression is one of them.
    Apply(Vec<Transform>),
}

impl FieldChange {
    /// The new value.
    ///
    /// # Errors
    /// Why a transform does not take the old one.
    pub fn apply(&self, field: &Field, value: Option<&str>) -> Result<Option<String>, String> {
        match self {
            FieldChange::Set(new) => Ok(new.clone()),
            FieldChange::Apply(transforms) => apply_all(transforms, field, value),
        }
    }

    /// Reads `FIELD=VALUE` (an empty value is NULL) or `FIELD | transform | transform`.
    ///
    /// # Errors
    /// What it lacks, or which transform there is not.
    pub fn parse(text: &str) -> Result<(String, FieldChange), String> {
        let transformed = text.find('|').filter(|at| text.find('=').is_none_or(|equals| *at < equals));
        let (field, how) = match (transformed, text.split_once('=')) {
            (Some(at), _) => {
                let transforms = Transform::parse_all(&text[at + 1..])?;
                (&text[..at], FieldChange::Apply(transforms))
            }
            (None, Some((field, value))) => {
                (field, FieldChange::Set(Some(value.to_owned()).filter(|value| !value.is_empty())))
            }
            (None, None) => return Err("write FIELD=VALUE, or FIELD | transform".to_owned()),
        };
        let field = field.trim();
        match field.is_empty() {
            true => Err("a field is missing: write FIELD=VALUE, or FIELD | transform".to_owned()),
            false => Ok((field.to_owned(), how)),
        }
    }
}

/// How an operation must be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirm {
    /// Not at all.
    Nothing,
    /// With a yes.
    Yes,
    /// By typing how many rows it changes.
    Count(usize),
}

/// More rows than these are confirmed by typing how many they are.
pub const MANY: usize = 1_000;

/// Whether an environment, as a connection names it, is one that people work with.
pub fn is_production(environment: &str) -> bool {
    ["prod", "production", "live"].contains(&environment.to_lowercase().as_str())
}

/// What a connection is for, by its configuration and by the engine's word in the database: production by either one is
/// production, so that nobody takes it for something else.
pub fn environment<'a>(configured: &'a str, told: &'a str) -> &'a str {
    if told.is_empty() || is_production(configured) && !is_production(told) { configured } else { told }
}

/// How much an operation on `rows` rows must be confirmed, which removes some or may make some twice (`hurts`); on production, by
/// the count from two rows on.
pub fn confirmation(rows: usize, environment: &str, hurts: bool) -> Confirm {
    match rows {
        0 => Confirm::Nothing,
        1 if hurts => Confirm::Yes,
        1 => Confirm::Nothing,
        _ if rows > MANY || is_production(environment) => Confirm::Count(rows),
        _ => Confirm::Yes,
    }
}

/// How much it must be confirmed that the writes of so many mappings are stopped or drained: on production, as what it
/// does there to rows.
pub fn confirm_stop(mappings: usize, environment: &str) -> Confirm {
    match (is_production(environment), mappings) {
        (false, _) | (_, 0) => Confirm::Nothing,
        (true, 1) => Confirm::Yes,
        (true, several) => Confirm::Count(several),
    }
}

/// What an operation would do, before it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// How many errors were selected.
    pub selected: usize,
    /// How many of them it would touch.
    pub touched: usize,
    /// Of those, how many rows it would remove.
    pub removed: usize,
    /// How many records it may make a second time: the answer to their insert was lost.
    pub doubled: usize,
    /// Of a fix: how many of the changed rows would then pass the checks.
    pub passing: usize,
    /// Of a fix: why others would not, with how many.
    pub refused: BTreeMap<String, usize>,
    /// Why others are left alone, with how many.
    pub left: BTreeMap<String, usize>,
    /// The first rows.
    pub sample: Vec<Sample>,
}

/// One row of a preview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// The error's number.
    pub id: i64,
    /// Which row.
    pub row: RowRef,
    /// What changes: `Phone`; empty where no value changes.
    pub field: String,
    /// The value as it is.
    pub before: Option<String>,
    /// The value as it would be.
    pub after: Option<String>,
    /// What the checks would say against it.
    pub refused: Option<String>,
}

/// How far an operation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows it is through with.
    pub through: usize,
    /// Of how many.
    pub total: usize,
}

impl Progress {
    /// How long the rest takes at the pace so far, once there is one.
    pub fn time_left(self, elapsed: Duration) -> Option<Duration> {
        if self.through == 0 || self.through > self.total {
            return None;
        }
        let left = (self.total - self.through) as f64 / self.through as f64;
        Duration::try_from_secs_f64(elapsed.as_secs_f64() * left).ok()
    }
}

/// What an operation came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Its number, by which it can be undone; none where nothing was done.
    #[serde(rename = "act")]
    pub operation: Option<i64>,
    /// Whether it was cancelled half-way: what it had not reached is as it was.
    pub cancelled: bool,
    /// How many were done.
    pub done: usize,
    /// How many were left alone.
    pub skipped: usize,
    /// How many could not be done.
    pub failed: usize,
    /// What became of each.
    pub items: Vec<Item>,
}

impl Report {
    /// Adds one.
    pub fn note(&mut self, item: Item) {
        match item.result {
            RowStatus::Done => self.done += 1,
            RowStatus::Skipped => self.skipped += 1,
            RowStatus::Failed => self.failed += 1,
        }
        self.items.push(item);
    }

    /// Reasons of one result with how many have them, the most frequent first; those that differ only in values are
    /// one.
    pub fn reasons(&self, status: RowStatus) -> Vec<(String, usize)> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for item in self.items.iter().filter(|item| item.result == status) {
            *counts.entry(template(&item.message)).or_default() += 1;
        }
        let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }
}

/// An operation as the audit tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Its number.
    #[serde(rename = "act")]
    pub operation: i64,
    /// When it began.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: String,
    /// From where.
    pub origin: String,
    /// The role that PostgreSQL let in, whatever the two above claim; `None` of operations from before it was kept.
    #[serde(default)]
    pub db_user: Option<String>,
    /// What: `edited`, `retried`, `ignored`, `reverted`, `linked`, `undid`, `set`, ...
    pub action: String,
    /// The mapping's object name.
    pub mapping: String,
    /// How many mappings it was about.
    pub mappings: i64,
    /// How many rows.
    pub rows: i64,
    /// How many of them were taken back since.
    pub undone: i64,
    /// Whether it leaves nothing to take back.
    pub is_final: bool,
    /// The first of its entries.
    pub first: AuditEntry,
    /// Why, in the operator's words.
    pub why: Option<String>,
}

/// One row of an operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number.
    pub id: i64,
    /// The operation's.
    #[serde(rename = "act")]
    pub operation: i64,
    /// What was done.
    pub action: String,
    /// Table.
    pub table: String,
    /// Row; `None` for what concerns the whole mapping.
    pub row: Option<RowId>,
    /// The error that it was about.
    pub error: Option<i64>,
    /// Values by column before; `None` where there was no row, or nothing was changed.
    pub before: Option<BTreeMap<String, Option<String>>>,
    /// Values by column after.
    pub after: Option<BTreeMap<String, Option<String>>>,
    /// The entry that it takes back.
    pub undoes: Option<i64>,
}

impl AuditRecord {
    /// What it was about: one row, a mapping, or so many of them; numbers are written by `number`.
    pub fn about(&self, number: impl Fn(i64) -> String) -> String {
        match (self.rows, self.first.row) {
            (1, Some(row)) => format!("{} {row}", self.mapping),
            (1, None) => self.mapping.clone(),
            (rows, Some(_)) if self.mappings > 1 => {
                format!("{} rows of {} mappings", number(rows), number(self.mappings))
            }
            (rows, Some(_)) => format!("{} {} rows", self.mapping, number(rows)),
            (mappings, None) => format!("{} mappings", number(mappings)),
        }
    }

    /// Who, and from where.
    pub fn who(&self) -> String {
        match self.origin.as_str() {
            "local" => self.actor.clone(),
            origin => format!("{} from {origin}", self.actor),
        }
    }
}

impl AuditEntry {
    /// Takes out the values that the rules keep out of histories, and those of columns that are not mapped: of a row that was
    /// removed all are kept, and nobody could say which of the application's own may be shown.
    pub fn mask(&mut self, mapping: &Mapping) {
        let shown = |column: &str| {
            let known =
                ["id", "sfid"].contains(&column) || mapping.fields.iter().any(|field| field.column == column);
            known && !mapping.rules.masked(column)
        };
        let of_row = self.row.is_some();
        for values in [&mut self.before, &mut self.after].into_iter().flatten() {
            let hidden = |(column, value): &(&String, &mut Option<String>)| {
                value.is_some() && of_row && !shown(column)
            };
            values.iter_mut().filter(hidden).for_each(|(_, value)| *value = Some(MASK.to_owned()));
        }
    }

    /// What it changed, in a line: `phone 555 → +1555`.
    pub fn text(&self) -> String {
        let shown =
            |value: Option<&Option<String>>| value.cloned().flatten().unwrap_or_else(|| "nothing".to_owned());
        match (&self.before, &self.after) {
            (Some(_), None) => "the row was removed".to_owned(),
            (None, Some(_)) if self.row.is_some() => "the row came back".to_owned(),
            (before, Some(after)) => {
                let before = before.clone().unwrap_or_default();
                // A masked value may have changed, though both look alike.
                let masked = |value: &Option<String>| value.as_deref() == Some(MASK);
                let changed = after
                    .iter()
                    .filter(|(column, value)| before.get(*column) != Some(*value) || masked(value));
                let texts: Vec<String> = changed
                    .map(|(column, value)| {
                        format!("{column} {} → {}", shown(before.get(column)), shown(Some(value)))
                    })
                    .collect();
                texts.join(", ")
            }
            (None, None) => String::new(),
        }
    }
}

/// Which operations to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only those of this mapping's object.
    pub mapping: Option<String>,
    /// Only those about this row.
    pub row: Option<RowRef>,
    /// Only those of this person (account and host).
    pub actor: Option<String>,
    /// Only those that can be undone, are not undone whole yet, and are no undo themselves.
    pub undoable: bool,
    /// How many at most, the newest first.
    pub limit: i64,
}

/// What a row that has the record already comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// It keeps the record, and the link is refused.
    Keeps,
    /// Both rows are the same thing: it is removed here, and its record goes over.
    IsReplaced,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mappings::field::FieldType;

    #[test]
    fn a_fix_is_a_value_or_transforms() {
        let field = Field::plain("Phone", FieldType::Phone);
        let fixed =
            |text: &str, value: Option<&str>| FieldChange::parse(text).unwrap().1.apply(&field, value);
        assert_eq!(fixed("Phone=1|2=3", Some("x")), Ok(Some("1|2=3".to_owned())));
        assert_eq!(fixed("Phone=", Some("x")), Ok(None));
        assert_eq!(
            fixed("Phone | trim | phone_e164(US)", Some(" 415 555 2671")),
            Ok(Some("+14155552671".to_owned()))
        );
        assert_eq!(fixed("Phone | replace(\"=\", \"\")", Some("a=b")), Ok(Some("ab".to_owned())));
        assert_eq!(FieldChange::parse(" Phone | trim").unwrap().0, "Phone");
        for text in ["Phone", "=x", "| trim", "Phone | shout"] {
            assert!(FieldChange::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn more_is_asked_for_more() {
        assert_eq!(confirmation(1, "sandbox", false), Confirm::Nothing);
        assert_eq!(confirmation(1, "sandbox", true), Confirm::Yes);
        assert_eq!(confirmation(MANY, "sandbox", false), Confirm::Yes);
        assert_eq!(confirmation(MANY + 1, "sandbox", false), Confirm::Count(MANY + 1));
        assert_eq!(confirmation(2, "Production", false), Confirm::Count(2));
    }

    #[test]
    fn writes_are_stopped_on_production_with_a_yes_and_all_of_them_with_their_count() {
        assert_eq!(confirm_stop(3, "sandbox"), Confirm::Nothing);
        assert_eq!(confirm_stop(1, "Live"), Confirm::Yes);
        assert_eq!(confirm_stop(3, "prod"), Confirm::Count(3));
    }

    #[test]
    fn production_by_one_word_is_production() {
        for (configured, told, counts) in [
            ("prod", "sandbox", "prod"),
            ("sandbox", "Live", "Live"),
            ("production", "prod", "prod"),
            ("sandbox", "test", "test"),
            ("sandbox", "", "sandbox"),
            ("", "test", "test"),
        ] {
            assert_eq!(environment(configured, told), counts, "{configured} {told}");
        }
    }
}
