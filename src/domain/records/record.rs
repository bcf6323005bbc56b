//! A row and its record side by side, and the edit that an operator makes of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::errors::remedy::SuggestedFix;
use crate::domain::errors::sync_error::SyncError;
use crate::domain::mappings::field::Field;
use crate::domain::names::RowRef;
use crate::domain::records::life::ChangeLife;

/// A row as the record view shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordView {
    /// Which row.
    pub row: RowRef,
    /// The mapping's object name.
    pub mapping: String,
    /// The record, once Salesforce gave it an id.
    pub sfid: Option<String>,
    /// `_hc_lastop` as it stands.
    pub lastop: Option<String>,
    /// Where the row's unit stands: `in step`, `pending`, `in flight`, `held`, `failed`; `kept out` where the mapping's
    /// condition does that, which `sending` names.
    pub unit: String,
    /// False when the row itself is gone (a failed delete).
    pub exists: bool,
    /// Every mapped field with the row's value as PostgreSQL prints it, in the order of the mapping.
    pub values: Vec<(Field, Option<String>)>,
    /// Its unresolved error, if it has one.
    pub error: Option<SyncError>,
    /// Cause in plain words and what helps, from the catalogue; empty without an error.
    pub advice: Diagnosis,
    /// Its fields that changed on both sides, open ones first.
    #[serde(default)]
    pub conflicts: Vec<Conflict>,
    /// What will be sent for it, or would be.
    #[serde(default)]
    pub sending: Sending,
    /// Its changes that Salesforce has not taken, in their order.
    #[serde(default)]
    pub pending: Vec<PendingChange>,
    /// Columns whose values are kept out of histories and files.
    #[serde(default)]
    pub masked: Vec<String>,
    /// What happened to it, newest first.
    pub history: Vec<HistoryEntry>,
    /// Of a pending unit: whether its time has come.
    #[serde(default)]
    pub due: bool,
    /// What became of its newest change so far.
    #[serde(default)]
    pub life: ChangeLife,
}

impl RecordView {
    /// A row that failed, by its values and its error alone: nothing else is known of it.
    pub fn failed(
        row: RowRef,
        mapping: &str,
        values: Vec<(Field, Option<String>)>,
        error: SyncError,
    ) -> RecordView {
        RecordView {
            row,
            mapping: mapping.to_owned(),
            sfid: None,
            lastop: None,
            unit: "failed".to_owned(),
            exists: true,
            values,
            error: Some(error),
            advice: Diagnosis::default(),
            conflicts: Vec::new(),
            sending: Sending::default(),
            pending: Vec::new(),
            masked: Vec::new(),
            history: Vec::new(),
            due: false,
            life: ChangeLife::default(),
        }
    }

    /// Whether it is on its way to Salesforce: what is known to be wrong with it is about to be known anew, and nothing
    /// is offered against it.
    pub fn is_being_sent(&self) -> bool {
        self.unit == "in flight" || (self.unit == "pending" && self.due)
    }

    /// Whether its error speaks of a field: by its list of fields, or by its words where that list is empty.
    pub fn is_at_fault(&self, field: &Field) -> bool {
        let Some(error) = &self.error else { return false };
        if !error.fields.is_empty() {
            return error.fields.iter().any(|name| name.eq_ignore_ascii_case(&field.name));
        }
        if error.message.contains("Foreign key external ID") && field.name.contains('.') {
            return true;
        }
        // A parent that is named by its key: the key is what may be wrong, not the lookup that it fills.
        if error.code == "PARENT_NOT_SYNCED" {
            let named = |(field, value): &(Field, Option<String>)| {
                let value = value.as_deref().filter(|value| !value.is_empty());
                field.name.contains('.') && value.is_some_and(|value| error.message.contains(value))
            };
            if self.values.iter().any(named) {
                return self.values.iter().any(|one| one.0.name == field.name && named(one));
            }
        }
        let mut words = error.message.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.any(|word| word == field.name) || error.message.starts_with(&format!("{}:", field.label))
    }
}

/// What will be sent for a row, after the mapping's rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sending {
    /// `insert`, `update`, `delete`, `nothing`; `refused` when it is not sent as it stands.
    pub what: String,
    /// Why nothing is sent, or what is wrong.
    pub why: Option<String>,
    /// Fields by API name with the values that go out.
    pub values: Vec<(String, Option<String>)>,
    /// Fields that stay behind, and why.
    pub left_out: Vec<(String, String)>,
}

impl Sending {
    /// Whether values go out as they stand here: an insert or an update.
    pub fn goes_out(&self) -> bool {
        ["insert", "update"].contains(&self.what.as_str())
    }

    /// What goes out of a field, where it does.
    pub fn value_of(&self, field: &Field) -> Option<&Option<String>> {
        let sent = self.values.iter().find(|(name, _)| self.goes_out() && *name == field.name);
        sent.map(|(_, value)| value)
    }

    /// Whether a field has a change that stays behind.
    pub fn leaves_out(&self, field: &Field) -> bool {
        self.left_out.iter().any(|(name, _)| *name == field.name)
    }
}

/// A row that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// The mapping's object name.
    pub mapping: String,
    /// Which row.
    pub row: RowRef,
    /// The record, where there is one.
    pub sfid: Option<String>,
    /// Its external id, where the mapping has one.
    pub external_id: Option<String>,
    /// False when the row itself is gone, and its delete waits.
    pub exists: bool,
    /// Where its unit stands: `in step`, `pending`, `in flight`, `held`, `failed`.
    pub unit: String,
    /// Its unresolved error.
    pub error: Option<i64>,
    /// That error's state.
    pub state: Option<String>,
    /// What it was found by: `row id`, `record id`, `external id`.
    pub by: String,
}

/// A row that another one names, or that names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relative {
    /// Which row.
    pub row: RowRef,
    /// Its mapping's object name.
    pub mapping: String,
    /// The field by which one names the other, by API name.
    pub field: String,
    /// Whether it is the one that is named.
    pub is_parent: bool,
    /// Its record, where there is one.
    pub sfid: Option<String>,
    /// Where its unit stands: `in step`, `pending`, `in flight`, `held`, `failed`.
    pub unit: String,
    /// Its unresolved error.
    pub error: Option<i64>,
}

/// A change that Salesforce has not taken; masked values are not in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PendingChange {
    /// When it was made.
    pub at: DateTime<Utc>,
    /// `insert`, `update` or `delete`.
    pub action: String,
    /// `NEW`, `PENDING` or `FAILED`.
    pub state: String,
    /// Its mapped columns, each with the value before and after.
    pub columns: Vec<(String, Option<String>, Option<String>)>,
}

/// A field that changed on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// Its column; `*` for a record that was deleted while its row changed.
    pub column: String,
    /// What both sides had before.
    pub base: Option<String>,
    /// The row's value, as it would be sent.
    pub postgres: Option<String>,
    /// The record's value.
    pub salesforce: Option<String>,
    /// `postgres` or `salesforce`; `None` while a person has to choose.
    pub winner: Option<String>,
    /// The policy, or who chose.
    pub decided_by: Option<String>,
    /// When it was found.
    pub at: DateTime<Utc>,
}

/// What an error means and what to do, from the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// A few words: `Invalid e-mail address`.
    pub title: String,
    /// Why it happens, one or two sentences.
    pub cause: String,
    /// What to do, most useful first.
    pub remedies: Vec<SuggestedFix>,
}

/// One line of a record's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When.
    pub at: DateTime<Utc>,
    /// `sent`, `accepted`, `rejected`, `lost`, `edited`, `retried`.
    pub what: String,
    /// One line: code and message, or who edited which field.
    pub text: String,
    /// What was sent; masked values are not in it.
    #[serde(default)]
    pub request: Option<serde_json::Value>,
    /// What Salesforce answered.
    #[serde(default)]
    pub response: Option<serde_json::Value>,
}

/// Salesforce's values of a record, fetched by the engine when a record is opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SalesforceValues {
    /// When they were read.
    pub fetched_at: DateTime<Utc>,
    /// `found`, `no_record` (never inserted) or `deleted`.
    pub state: SalesforceState,
    /// The record's id, where it is known.
    #[serde(default)]
    pub sfid: Option<String>,
    /// Values by column name, as text in the form PostgreSQL prints.
    pub values: std::collections::BTreeMap<String, Option<String>>,
}

/// See [`SalesforceValues`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SalesforceState {
    /// The record is there.
    Found,
    /// Salesforce never took it.
    NoRecord,
    /// It was deleted there.
    Deleted,
}

/// An operator's edit of one row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// Which row.
    pub row: RowRef,
    /// One entry per changed field.
    pub fields: Vec<FieldEdit>,
    /// Send it at once, with its attempts counted from zero.
    pub retry: bool,
}

/// One changed field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldEdit {
    /// Column.
    pub column: String,
    /// The value that was shown to the operator; the edit is refused when the row holds another by now.
    pub shown: Option<String>,
    /// The new value; `None` is NULL.
    pub new: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::errors::sync_error::ErrorState;
    use crate::domain::mappings::field::FieldType;
    use crate::domain::names::RowId;

    #[test]
    fn a_parent_that_is_not_there_points_to_the_key_that_names_it() {
        let lookup = Field::plain("Invoice__c", FieldType::Reference);
        let key = Field::plain("Invoice__r.External_Id__c", FieldType::String);
        let error = SyncError {
            message: "waits for Invoice__c INV-UNKNOWN, which is neither here nor in Salesforce".to_owned(),
            state: ErrorState::Held,
            ..SyncError::sample(1, "PARENT_NOT_SYNCED")
        };
        let row = RowRef { table: "invoice_line__c".to_owned(), row: RowId(1) };
        let values = vec![(lookup.clone(), None), (key.clone(), Some("INV-UNKNOWN".to_owned()))];
        let failed = RecordView::failed(row, "Invoice_Line__c", values, error);
        let view = RecordView { unit: "held".to_owned(), ..failed };
        assert!(view.is_at_fault(&key) && !view.is_at_fault(&lookup));
    }
}
