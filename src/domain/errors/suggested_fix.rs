//! A remedy as it is offered for one record: what it is called by, what it changes, what it was offered for, and what is
//! asked before it is done.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::changes::merge::Side;
use crate::domain::errors::remedy::RemedyAction;
use crate::domain::mappings::rules::MASK;
use crate::domain::records::record::{FieldEdit, RecordView};

/// A remedy as it is offered for one record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuggestedFix {
    /// What it is called by, from 1; `None` for one that a person has to do.
    pub number: Option<usize>,
    /// An imperative in a few words.
    pub text: String,
    /// What it does.
    pub action: Option<RemedyAction>,
    /// The values that it changes.
    pub changes: Vec<FieldEdit>,
    /// Whether it empties a value, here or in Salesforce: such a one is never the first, and is asked about.
    #[serde(default)]
    pub clears: bool,
    /// The error that it is offered for.
    #[serde(default)]
    pub against: Option<Against>,
}

/// The error that a remedy was offered for, as it was seen last: what is offered for one is never done to what came after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Against {
    /// Its number.
    pub error: i64,
    /// When it was seen last.
    pub seen: DateTime<Utc>,
}

impl SuggestedFix {
    /// Whether it gives a row a value that fits, and touches nothing else: the only kind that is done without being
    /// looked at row by row.
    pub fn mends_a_value(&self) -> bool {
        matches!(self.action, Some(RemedyAction::Apply(_) | RemedyAction::Nearest))
            && !self.clears
            && !self.changes.is_empty()
    }

    /// The same remedy with the value that a person chose.
    pub fn with_value(&self, column: &str, shown: Option<String>, value: &str) -> SuggestedFix {
        let edit = FieldEdit { column: column.to_owned(), shown, new: Some(value.to_owned()) };
        SuggestedFix { changes: vec![edit], ..self.clone() }
    }

    /// What it changes, in a line.
    pub fn changes_in_words(&self) -> String {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        let one = |edit: &FieldEdit| format!("{} → {}", shown(&edit.shown), shown(&edit.new));
        self.changes.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// What a person must say yes to before it is done to a record, where it empties a value or concerns a whole mapping; a
    /// masked value is not in it.
    pub fn question(&self, record: &RecordView) -> Option<String> {
        let mapping = &record.mapping;
        let lost = |edit: &FieldEdit| match edit.shown.as_deref() {
            Some(_) if record.masked.contains(&edit.column) => format!("{} = {MASK}", edit.column),
            shown => format!("{} = {}", edit.column, shown.unwrap_or("nothing")),
        };
        match &self.action {
            Some(RemedyAction::Rule { key, value }) => Some(format!(
                "{}. This sets a rule of the mapping {mapping} for all of its rows, now and later: {key} = {value}.",
                self.text
            )),
            Some(action) if action.removes(record.error.as_ref()) => Some(removal(&self.text, action)),
            Some(_) if self.clears && self.changes.is_empty() => {
                Some(format!("{}. This empties a value of the other side.", self.text))
            }
            Some(_) if self.clears => {
                let lost: Vec<String> = self.changes.iter().map(lost).collect();
                Some(format!(
                    "{}. The row loses {}, and so does its record in Salesforce.",
                    self.text,
                    lost.join(", ")
                ))
            }
            _ => None,
        }
    }
}

/// What is asked before a row or a record is taken away.
pub fn removal(text: &str, action: &RemedyAction) -> String {
    let goes = match action {
        RemedyAction::Merge => {
            "What this row lacks is taken from the others; then they are deleted, and so are their records in Salesforce"
        }
        RemedyAction::Repair(Side::Postgres) => "The record is deleted in Salesforce",
        _ => "The row is removed here",
    };
    format!("{text}. {goes}.")
}
