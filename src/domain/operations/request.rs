//! What people and scripts ask of whichever engine runs, and only it can tell. A row of `syncdeck.command` each: the kind
//! of the request and what belongs to it. Engines and consoles of different versions meet here, so kinds and names stay.

use serde::{Deserialize, Serialize};

use crate::domain::names::{RowId, RowRef};

/// A request. Each kind tells what its answer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "args", rename_all = "snake_case")]
pub enum Request {
    /// The values of rows' records in Salesforce, now. Answer: [`crate::domain::records::record::SalesforceValues`] by row.
    Fetch {
        /// Their table.
        table: String,
        /// Which.
        rows: Vec<RowId>,
        /// Whether a row without a record is shown the one that may be its own.
        #[serde(default)]
        candidates: bool,
    },
    /// The record that is in Salesforce already for a row: this one, or the one that is found. Answer: its id.
    Existing {
        /// The row.
        #[serde(flatten)]
        at: RowRef,
        /// The record that is meant, where the person says it.
        sfid: Option<String>,
    },
    /// The values of a record in Salesforce, now, whichever row has it. Answer:
    /// [`crate::domain::records::record::SalesforceValues`].
    Record {
        /// The table of its mapping.
        table: String,
        /// The record's id.
        sfid: String,
    },
    /// Reads the object's definition and the row's record again. The answer has nothing in it.
    Reread {
        /// The row.
        #[serde(flatten)]
        at: RowRef,
    },
    /// Compares a table's rows with their records. Progress: [`crate::domain::records::verify::Stage`]; answer: a
    /// [`crate::domain::records::verify::VerifyReport`].
    Verify {
        /// The table.
        table: String,
    },
    /// Sends the newest rows in calls that Salesforce takes back. Answer: a [`crate::domain::changes::dry_run::DryRun`].
    #[serde(rename = "test")]
    DryRun {
        /// Their table.
        table: String,
        /// The most rows.
        limit: usize,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_older_consoles_and_engines_write_is_understood() {
        let row = || RowRef { table: "contact".to_owned(), row: RowId(7) };
        let known = [
            (
                json!({"kind": "fetch", "args": {"table": "contact", "rows": [7]}}),
                Request::Fetch { table: "contact".to_owned(), rows: vec![RowId(7)], candidates: false },
            ),
            (
                json!({"kind": "existing", "args": {"table": "contact", "row": 7, "sfid": null}}),
                Request::Existing { at: row(), sfid: None },
            ),
            (
                json!({"kind": "record", "args": {"table": "contact", "sfid": "003A"}}),
                Request::Record { table: "contact".to_owned(), sfid: "003A".to_owned() },
            ),
            (
                json!({"kind": "reread", "args": {"table": "contact", "row": 7}}),
                Request::Reread { at: row() },
            ),
            (
                json!({"kind": "verify", "args": {"table": "contact"}}),
                Request::Verify { table: "contact".to_owned() },
            ),
            (
                json!({"kind": "test", "args": {"table": "contact", "limit": 5}}),
                Request::DryRun { table: "contact".to_owned(), limit: 5 },
            ),
        ];
        for (written, request) in known {
            assert_eq!(serde_json::from_value::<Request>(written.clone()).unwrap(), request, "{written}");
            let again = serde_json::to_value(&request).unwrap();
            assert_eq!(again["kind"], written["kind"]);
            assert_eq!(serde_json::from_value::<Request>(again).unwrap(), request);
        }
    }
}
