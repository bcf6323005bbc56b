//! What the start of an engine with a configuration will do to the database: made by the code that does it, from a look at
//! the database and the org's describe.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::forecast::{FEW, Forecast, JOB_PAGE, PAGE};

/// What to do where Heroku Connect is seen at work.
pub const AT_WORK_REMEDY: &str = "two engines on one table create records twice. Pause it (heroku connect:pause -a APP) or remove the add-on, and try again three \
     minutes later. A session that stays all the same may be an application's: end it with SELECT pg_terminate_backend(its number), \
     and see whether it comes back. Where you know that Heroku Connect is off: --allow-two-engines";

/// One thing that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum SetupAction {
    /// An extension is made in the database.
    CreateExtension {
        /// Its name.
        name: String,
    },
    /// A schema with its tables and functions is made, or brought up to date.
    LayOut {
        /// Its name.
        schema: String,
        /// Whether there was none.
        new: bool,
    },
    /// A function is made that applications call.
    CreateFunction {
        /// Its name.
        name: String,
    },
    /// The sequence of the change log is made fit for capture.
    MendSequence {
        /// What is done to it, in words.
        what: String,
    },
    /// A table is made.
    CreateTable {
        /// Its columns, with their types.
        columns: Vec<(String, String)>,
    },
    /// A column is added to a table that is there.
    AddColumn {
        /// The column.
        column: String,
        /// Its type.
        kind: String,
    },
    /// An index is made.
    CreateIndex {
        /// Its name.
        name: String,
        /// The table.
        table: String,
        /// Whether it refuses equal values.
        unique: bool,
        /// Whether it is made while everybody goes on writing, as on large tables; else whoever writes waits for that.
        beside: bool,
    },
    /// A function of a predecessor is replaced by ours of the same name, or dropped for it.
    ReplaceFunction {
        /// The function, with its parameters.
        function: String,
    },
    /// A trigger of a predecessor is dropped.
    DropTrigger {
        /// The trigger.
        trigger: String,
        /// The function that it calls.
        function: String,
    },
    /// The triggers that capture changes are made, or made anew.
    Capture {
        /// Whether there were some of ours.
        renewed: bool,
    },
}

impl SetupAction {
    /// In words.
    pub fn text(&self) -> String {
        match self {
            SetupAction::CreateExtension { name } => format!("the extension {name} is made"),
            SetupAction::LayOut { schema, new: true } => format!("the schema {schema} is made"),
            SetupAction::LayOut { schema, new: false } => format!("the schema {schema} gets what it lacks"),
            SetupAction::CreateFunction { name } => format!("the function {name} is made"),
            SetupAction::MendSequence { what } => what.clone(),
            SetupAction::CreateTable { columns } => {
                format!("the table is made, with {} columns", columns.len())
            }
            SetupAction::AddColumn { column, kind } => format!("the column {column} is added ({kind})"),
            SetupAction::CreateIndex { name, table, unique, beside } => {
                let unique = if *unique { "unique index" } else { "index" };
                let waits = if *beside { "everybody goes on meanwhile" } else { "its writers wait for that" };
                format!("the {unique} {name} on {table} is made; {waits}")
            }
            SetupAction::ReplaceFunction { function } => {
                format!("the function {function} is replaced by ours of that name")
            }
            SetupAction::DropTrigger { trigger, function } => {
                format!(
                    "the trigger {trigger} (which calls {function}) is dropped; ours captures in its place"
                )
            }
            SetupAction::Capture { renewed: false } => {
                "the triggers that capture changes are made; they refuse TRUNCATE".to_owned()
            }
            SetupAction::Capture { renewed: true } => {
                "the triggers that capture changes are made anew".to_owned()
            }
        }
    }
}

/// Whose a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableOrigin {
    /// There is none yet.
    New,
    /// syncdeck laid it out, or took it over before.
    Own,
    /// It was there before syncdeck: Heroku Connect's, or somebody's own.
    Foreign,
}

/// What a predecessor's entries of the change log become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entries {
    /// Those that are not sent yet; they are sent, but of a mapping that is read only.
    pub unsent: i64,
    /// Of these, those that were in flight: what became of them is not known.
    #[serde(default)]
    pub in_flight: i64,
    /// Those that failed, and are listed.
    pub failed: i64,
}

/// What is done to a mapped table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePlan {
    /// The mapping.
    pub mapping: String,
    /// The table.
    pub table: String,
    /// Whose it is.
    pub origin: TableOrigin,
    /// What is done, in this order.
    pub actions: Vec<SetupAction>,
    /// Columns of a foreign table that are mapped as they are.
    pub adopted: Vec<String>,
    /// Rows that are there, as PostgreSQL estimates them.
    pub rows: i64,
    /// Entries of the change log about a foreign table.
    pub entries: Entries,
    /// Whether all of its records are read.
    pub loads: bool,
    /// Why it cannot be done.
    pub refused: Option<String>,
}

/// What is done to the database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupPlan {
    /// Beside the mapped tables.
    pub actions: Vec<SetupAction>,
    /// To each mapped table, in the order of the configuration.
    pub tables: Vec<TablePlan>,
    /// Mappings that are no longer configured: their tables stay as they are.
    pub forgotten: Vec<String>,
    /// Why nothing of it can be done.
    pub refused: Option<String>,
    /// What is seen of Heroku Connect at work, where tables that were there before are taken over.
    #[serde(default)]
    pub at_work: Vec<String>,
    /// Entries of the change log about tables that no mapping is about, not sent or failed: nobody sends them then.
    #[serde(default)]
    pub strangers: i64,
}

impl SetupPlan {
    /// The tables that were there before syncdeck.
    pub fn foreign(&self) -> impl Iterator<Item = &TablePlan> {
        self.tables.iter().filter(|table| table.origin == TableOrigin::Foreign)
    }

    /// Whether something of it cannot be done.
    pub fn is_refused(&self) -> bool {
        self.refused.is_some() || self.tables.iter().any(|table| table.refused.is_some())
    }

    /// Whether nothing is done at all.
    pub fn is_empty(&self) -> bool {
        let rests = |table: &TablePlan| table.actions.is_empty() && !table.loads;
        self.actions.is_empty()
            && self.forgotten.is_empty()
            && self.tables.iter().all(rests)
            && !self.is_refused()
    }
}

/// Calls by which a job is made, looked at and taken back, about.
const LOOKS: i64 = 10;
/// How fast records are loaded where nothing was loaded yet, in records a second.
pub const LOAD_RATE: f64 = 1_000.0;

/// A load of all records of a mapping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadPlan {
    /// The mapping.
    pub mapping: String,
    /// Its records, where they could be counted.
    pub records: Option<i64>,
    /// API calls, where the records could be counted.
    pub calls: Option<i64>,
    /// How long it takes, in seconds, where they could.
    pub seconds: Option<f64>,
}

impl LoadPlan {
    /// The load of so many records, at so many of them a second.
    pub fn of(mapping: &str, records: Option<i64>, calls_a_page: i64, rate: f64) -> LoadPlan {
        let records = records.map(|count| count.max(0));
        let rate = if rate > 0.0 { rate } else { LOAD_RATE };
        // One call asks for the newest change, at which polls begin, and one how many records there are.
        let pages = |count: i64, page: i64| (count.max(1) as u64).div_ceil(page as u64) as i64;
        let calls = records.map(|count| match count > FEW {
            true => 2 + LOOKS + pages(count, JOB_PAGE),
            false => 2 + pages(count, PAGE) * calls_a_page,
        });
        let seconds = records.map(|count| count as f64 / rate);
        LoadPlan { mapping: mapping.to_owned(), records, calls, seconds }
    }

    /// How long it takes, where that is known.
    pub fn takes(&self) -> Option<Duration> {
        self.seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }
}

/// What the start of an engine does, and what it takes from then on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartPlan {
    /// What is done to the database.
    #[serde(flatten)]
    pub setup: SetupPlan,
    /// What is loaded.
    pub loads: Vec<LoadPlan>,
    /// Records that are loaded a second, as it is taken here.
    pub load_rate: f64,
    /// Whether loads here told that.
    pub load_rate_is_measured: bool,
    /// What it takes a day from then on.
    pub forecast: Forecast,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_takes_a_call_a_page_and_a_few_more() {
        let of = |records, calls_a_page| LoadPlan::of("Contact", Some(records), calls_a_page, 500.0).calls;
        assert_eq!(
            [of(0, 1), of(1, 1), of(2_000, 1), of(2_001, 1), of(5_000, 6)],
            [3, 3, 3, 4, 20].map(Some)
        );
        assert_eq!([of(10_000, 1), of(10_001, 6), of(500_000, 1)], [7, 13, 37].map(Some));
        assert_eq!(LoadPlan::of("Contact", Some(1_000), 1, 500.0).takes(), Some(Duration::from_secs(2)));
        assert_eq!(LoadPlan::of("Contact", Some(1_000), 1, 0.0).takes(), Some(Duration::from_secs(1)));
        let unknown = LoadPlan::of("Contact", None, 1, 500.0);
        assert_eq!((unknown.calls, unknown.takes()), (None, None));
    }

    fn table(origin: TableOrigin) -> TablePlan {
        TablePlan {
            mapping: "Contact".to_owned(),
            table: "contact".to_owned(),
            origin,
            actions: Vec::new(),
            adopted: Vec::new(),
            rows: 0,
            entries: Entries::default(),
            loads: false,
            refused: None,
        }
    }

    #[test]
    fn a_plan_is_empty_only_where_nothing_is_done_loaded_forgotten_or_refused() {
        let plan = SetupPlan { tables: vec![table(TableOrigin::Own)], ..SetupPlan::default() };
        assert!(plan.is_empty() && !plan.is_refused() && plan.foreign().next().is_none());
        let with = |change: fn(&mut SetupPlan)| {
            let mut plan = plan.clone();
            change(&mut plan);
            plan
        };
        for plan in [
            with(|plan| plan.tables[0].loads = true),
            with(|plan| plan.tables[0].actions.push(SetupAction::Capture { renewed: true })),
            with(|plan| plan.forgotten.push("Lead".to_owned())),
            with(|plan| plan.tables[0].refused = Some("no".to_owned())),
            with(|plan| plan.refused = Some("no".to_owned())),
        ] {
            assert!(!plan.is_empty(), "{plan:?}");
        }
        let foreign = SetupPlan { tables: vec![table(TableOrigin::Foreign)], ..SetupPlan::default() };
        assert_eq!(foreign.foreign().count(), 1);
    }
}
