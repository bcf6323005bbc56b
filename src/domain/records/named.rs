//! Records as people name them, for whoever chooses one.

use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowRef;

/// Fields that tell two records of one name apart, the best first.
const TELLING: [&str; 12] = [
    "Email",
    "AccountNumber",
    "Phone",
    "BillingCity",
    "MailingCity",
    "City",
    "Company",
    "Website",
    "Industry",
    "Type",
    "Status",
    "StageName",
];

/// A record by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedRecord {
    /// Its row.
    pub row: RowRef,
    /// What another row names it by: its id, or its external id.
    pub key: String,
    /// Its name.
    pub name: String,
    /// What tells it from another one of the same name; empty where nothing does.
    pub telling: String,
}

/// Records of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedRecords {
    /// Some of them, those that begin with what was typed first.
    pub records: Vec<NamedRecord>,
    /// Whether only names were looked at that begin so: the table is too large for more while one types.
    pub only_beginnings: bool,
}

/// The column that tells two records of one name apart, beside their keys.
pub fn telling_column(mapping: &Mapping) -> Option<&str> {
    let of = |name: &&str| mapping.fields.iter().find(|field| field.name == **name);
    let mut columns = TELLING.iter().filter_map(of).map(|field| field.column.as_str());
    columns.find(|column| !mapping.rules.masked(column))
}
