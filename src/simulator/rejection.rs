//! Why a record is not saved, in Salesforce's words.

use serde_json::{Value, json};

/// Why a record is not saved.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rejection {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) fields: Vec<String>,
    /// HTTP status on the row endpoints.
    pub(super) status: u16,
    /// What a duplicate rule found.
    pub(super) duplicate: Option<Duplicate>,
}

/// A record that is like one that is to be saved.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Duplicate {
    pub(super) rule: String,
    /// Whether the record may be saved all the same, by who asks for it.
    pub(super) allow_save: bool,
    pub(super) object: String,
    pub(super) ids: Vec<String>,
}

impl Rejection {
    pub(super) fn new(code: &str, message: String, fields: &[&str]) -> Rejection {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        Rejection { code: code.to_owned(), message, fields, status: 400, duplicate: None }
    }

    pub(super) fn with_status(self, status: u16) -> Rejection {
        Rejection { status, ..self }
    }
}

/// What became of a record, or of a part of it.
pub(super) type Saved<T> = Result<T, Vec<Rejection>>;

/// The `errors` of a collection's result.
pub(super) fn collection_errors(rejections: &[Rejection]) -> Value {
    rejections
        .iter()
        .map(|rejection| json!({"statusCode": rejection.code, "message": rejection.message, "fields": rejection.fields}))
        .collect()
}
