//! A field of a Salesforce object, as describe tells it, and what it can hold.

use serde::{Deserialize, Serialize};

/// Field types of describe (`fields[].type`), reduced to those that differ in how a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// The record's own id.
    Id,
    /// A lookup or master-detail: an id of another record.
    Reference,
    /// Any one-line text (string, url, combobox, encryptedstring).
    String,
    /// Text of several lines.
    Textarea,
    /// E-mail address, checked by Salesforce.
    Email,
    /// Telephone number, free text to Salesforce.
    Phone,
    /// One of a list of values.
    Picklist,
    /// Several of a list of values, joined by `;`.
    Multipicklist,
    /// True or false, never null.
    Boolean,
    /// Whole number.
    Int,
    /// Number, currency or percent.
    Double,
    /// Day without a zone, `YYYY-MM-DD`.
    Date,
    /// Instant, whole seconds, UTC.
    Datetime,
    /// Time of day.
    Time,
    /// Anything else; carried as text, never written.
    Other,
}

impl FieldType {
    /// From describe's `type`.
    pub fn from_describe(name: &str) -> FieldType {
        match name {
            "id" => FieldType::Id,
            "reference" => FieldType::Reference,
            "string" | "url" | "combobox" | "encryptedstring" => FieldType::String,
            "textarea" => FieldType::Textarea,
            "email" => FieldType::Email,
            "phone" => FieldType::Phone,
            "picklist" => FieldType::Picklist,
            "multipicklist" => FieldType::Multipicklist,
            "boolean" => FieldType::Boolean,
            "int" | "long" => FieldType::Int,
            "double" | "currency" | "percent" => FieldType::Double,
            "date" => FieldType::Date,
            "datetime" => FieldType::Datetime,
            "time" => FieldType::Time,
            _ => FieldType::Other,
        }
    }

    /// Whether its values are written in one way only.
    pub fn is_text(self) -> bool {
        use FieldType::{Email, Id, Multipicklist, Phone, Picklist, Reference, String, Textarea};
        matches!(self, Id | Reference | String | Textarea | Email | Phone | Picklist | Multipicklist)
    }

    /// The word for people, as in `string(80)`.
    pub fn word(self) -> &'static str {
        match self {
            FieldType::Id => "id",
            FieldType::Reference => "lookup",
            FieldType::String => "text",
            FieldType::Textarea => "long text",
            FieldType::Email => "email",
            FieldType::Phone => "phone",
            FieldType::Picklist => "picklist",
            FieldType::Multipicklist => "multi-picklist",
            FieldType::Boolean => "checkbox",
            FieldType::Int => "integer",
            FieldType::Double => "number",
            FieldType::Date => "date",
            FieldType::Datetime => "date/time",
            FieldType::Time => "time",
            FieldType::Other => "other",
        }
    }
}

/// One mapped field: its name on both sides and its rules, from the org's describe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// API name in Salesforce, `LastName`. For an external-id relationship column: `Invoice__r.External_Id__c`.
    pub name: String,
    /// Column in the mapped table, `lastname`.
    pub column: String,
    /// Label that Salesforce shows and uses in messages, `Last Name`.
    pub label: String,
    /// Type.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// Greatest number of characters of a text; 0 where it has none.
    #[serde(default)]
    pub length: u32,
    /// Digits before and after the point together, for numbers; 0 where it has none.
    #[serde(default)]
    pub precision: u32,
    /// Digits after the point.
    #[serde(default)]
    pub scale: u32,
    /// Whether null is allowed.
    pub nillable: bool,
    /// Whether an insert may set it.
    pub createable: bool,
    /// Whether an update may set it.
    pub updateable: bool,
    /// Whether Salesforce fills it when an insert does not name it.
    #[serde(default)]
    pub defaulted: bool,
    /// Active picklist values.
    #[serde(default)]
    pub picklist: Vec<String>,
    /// Whether an external id in another case is another one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub case_sensitive: bool,
    /// Whether other values than `picklist` are rejected.
    #[serde(default)]
    pub restricted: bool,
    /// Objects a reference points to.
    #[serde(default)]
    pub reference_to: Vec<String>,
    /// What the org did to it since it was mapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<FieldTrouble>,
}

/// Why a mapped field is not worked as it was mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldTrouble {
    /// It is gone, or the login may not see it: neither read nor sent.
    Removed,
    /// Its values no longer fit the column: not read.
    Retyped,
    /// The login may no longer write it: read, not sent.
    Denied,
}

impl Field {
    /// Whether its values are read.
    pub fn is_read(&self) -> bool {
        !matches!(self.trouble, Some(FieldTrouble::Removed | FieldTrouble::Retyped))
    }

    /// A field that may hold anything of its type, and be written.
    pub fn plain(name: &str, kind: FieldType) -> Field {
        Field {
            name: name.to_owned(),
            column: name.to_lowercase(),
            label: name.to_owned(),
            kind,
            length: 0,
            precision: 0,
            scale: 0,
            nillable: true,
            createable: true,
            updateable: true,
            defaulted: false,
            case_sensitive: false,
            picklist: Vec::new(),
            restricted: false,
            reference_to: Vec::new(),
            trouble: None,
        }
    }

    /// Whether Salesforce refuses a write of this kind that leaves it empty: it allows no null, lets the write set it, and
    /// fills it with nothing by itself. A contact's `Name` allows no null either, and is put together by Salesforce.
    pub fn requires_value(&self, op: Op) -> bool {
        let writable = if op == Op::Update { self.updateable } else { self.createable };
        !self.nillable && writable && !self.defaulted && self.kind != FieldType::Boolean
    }

    /// True when neither an insert nor an update may set it.
    pub fn read_only(&self) -> bool {
        !self.createable && !self.updateable
    }

    /// The type with its size for people: `text(80)`, `number(16,2)`, `picklist`.
    pub fn type_text(&self) -> String {
        match self.kind {
            _ if self.trouble == Some(FieldTrouble::Removed) => "gone there".to_owned(),
            FieldType::Double if self.precision > 0 => {
                format!("number({},{})", self.precision, self.scale)
            }
            FieldType::Id | FieldType::Reference | FieldType::Picklist => self.kind.word().to_owned(),
            kind if self.length > 0 => format!("{}({})", kind.word(), self.length),
            kind => kind.word().to_owned(),
        }
    }
}

/// What the row's owner did to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// It is of a new record: without a value it is not named, so that Salesforce's default applies.
    Insert,
    /// It changed after its new record was sent, the answer to which was lost: an earlier value may have arrived, so it is
    /// named without a value too.
    InsertAgain,
    /// It came with a new row whose record is there already. Only a value that the row has is the row's word: what was
    /// left empty is not.
    Into,
    /// It was changed.
    Update,
}

impl Op {
    /// Whether Salesforce lets a field be set so.
    pub(in crate::domain) fn may_set(self, field: &Field) -> bool {
        match self {
            Op::Insert | Op::InsertAgain => field.createable,
            Op::Into | Op::Update => field.updateable,
        }
    }

    /// Whether nobody wrote this value: it is not sent.
    pub(in crate::domain) fn leaves_unnamed(self, field: &Field, value: Option<&str>) -> bool {
        match self {
            Op::Insert | Op::Into => value.is_none(),
            // Nothing of a field that cannot be written may have arrived.
            Op::InsertAgain => value.is_none() && !self.may_set(field),
            Op::Update => false,
        }
    }
}
