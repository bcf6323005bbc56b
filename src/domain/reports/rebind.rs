//! What it is to put another org behind the same tables: whose records rows become, and which rows have none there.

use serde::Serialize;

/// An org, as its login tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OrgIdentity {
    /// Its id.
    pub id: String,
    /// Its name, where the login may read it.
    pub name: Option<String>,
    /// Where it is.
    pub host: Option<String>,
    /// Whether it is a sandbox, where the login may read it.
    pub is_sandbox: Option<bool>,
}

impl OrgIdentity {
    /// Whether it is to be taken for a production org: whatever does not say that it is a sandbox.
    pub fn is_production(&self) -> bool {
        self.is_sandbox != Some(true)
    }

    /// In words.
    pub fn text(&self) -> String {
        let kind = match self.is_sandbox {
            Some(true) => "a sandbox",
            Some(false) => "a production org",
            None => "which does not say whether it is a sandbox",
        };
        let name = self.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        let host = self.host.as_ref().map(|host| format!(" at {host}")).unwrap_or_default();
        format!("{}{name}{host}, {kind}", self.id)
    }
}

/// An external id that several records or several rows have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DoubledKey {
    /// The external id.
    pub key: String,
    /// Records there that have it.
    pub records: i64,
    /// Rows here that have it.
    pub rows: i64,
}

/// A column that names records of other mappings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LookupColumn {
    /// Column.
    pub column: String,
    /// Values that name the same parent there.
    pub relinked: i64,
    /// Values that name a parent which is not mapped, has no external id or is not there. They stay until the load.
    pub unresolved: i64,
}

/// What becomes of one mapping's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RebindMapping {
    /// Its object.
    pub mapping: String,
    /// Its table.
    pub table: String,
    /// The field by which rows find their records; without one, none does.
    pub external_id: Option<String>,
    /// Rows that name a record of the org before.
    pub rows: i64,
    /// Of these, those that have an external id.
    pub keyed: i64,
    /// Those whose external id a record there has.
    pub relinked: i64,
    /// Those that name no record any more.
    pub unlinked: i64,
    /// External ids that are found more than once: nothing is done while there are some.
    pub doubled: i64,
    /// Some of them.
    pub doubled_keys: Vec<DoubledKey>,
    /// Records there that no row has: the next load reads them.
    pub unread: i64,
    /// Columns that name records of other mappings.
    pub lookups: Vec<LookupColumn>,
}

/// A table that syncdeck or Heroku Connect kept, and the configuration does not map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnmappedTable {
    /// Its name.
    pub table: String,
    /// Rows that name a record of the org before.
    pub rows: i64,
}

/// What one table has that is not settled with the org before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnsettledChanges {
    /// Its table.
    pub table: String,
    /// Whether they are rows in the queue; else entries of the change log.
    pub is_queue: bool,
    /// Where they stand.
    pub state: String,
    /// How many.
    pub count: i64,
}

/// What is done to a schema whose org is another one now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RebindPlan {
    /// The schema.
    pub schema: String,
    /// The org that was noted.
    pub from: OrgIdentity,
    /// The org of the login.
    pub to: OrgIdentity,
    /// By mapping.
    pub mappings: Vec<RebindMapping>,
    /// Tables here that the configuration does not map: their rows name no record any more.
    pub unmapped: Vec<UnmappedTable>,
    /// Changes that are not settled with the org before.
    pub unsettled: Vec<UnsettledChanges>,
    /// Whether these are given up.
    pub gives_up: bool,
    /// Why it is not done, each reason with its remedy.
    pub refused: Vec<String>,
}

impl RebindPlan {
    /// Mappings whose rows have external ids of which the org of the login has none: it may be a wrong one.
    pub fn strangers(&self) -> impl Iterator<Item = &RebindMapping> {
        self.mappings.iter().filter(|of| of.keyed > 0 && of.relinked == 0 && of.doubled == 0)
    }
}

impl UnsettledChanges {
    /// In words.
    pub fn text(&self) -> String {
        let what = if self.is_queue { "rows queued as" } else { "changes" };
        format!("{}: {} {what} {}", self.table, self.count, self.state)
    }
}
