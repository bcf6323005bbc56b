//! A remedy as it is offered for one record: what it is called by, what it changes, what it was offered for, and what is
//! asked before it is done.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::record::{FieldEdit, RecordView};
use super::remedy::Action;
use super::rules::MASK;

/// A remedy as it is offered for one record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// What it is called by, from 1; `None` for one that a person has to do.
    pub number: Option<usize>,
    /// An imperative in a few words.
    pub text: String,
    /// What it does.
    pub action: Option<Action>,
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

impl Offer {
    /// Whether it gives a row a value that fits, and touches nothing else: the only kind that is done without being
    /// looked at row by row.
    pub fn mends_a_value(&self) -> bool {
        matches!(self.action, Some(Action::Apply(_))) && !self.clears && !self.changes.is_empty()
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
            Some(Action::Rule { key, value }) => Some(format!(
                "{}. This sets a rule of the mapping {mapping} for all of its rows, now and later: {key} = {value}.",
                self.text
            )),
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
