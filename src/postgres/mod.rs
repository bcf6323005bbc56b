//! The only room with SQL. [`Store`] is a connection's database: its pool, its schema in Heroku Connect's layout and
//! the schema `syncdeck` beside it.
//!
//! - [`session`] is the way to the server, [`schema`] what is laid out there.
//! - [`changes`] are on their way to Salesforce, [`tables`] are the users', [`errors`] what fails.
//! - [`attached`] is a schema that Heroku Connect keeps, looked at and mended from beside it.
//! - [`operations`] are what people do, [`reports`] what engines tell.
//! - [`failpoint`] lets tests of debug builds stop an engine at a named place.
//!
//! Nothing here decides what an error means or when to try again; that comes in as values.

pub mod attached;
pub mod changes;
pub mod errors;
pub mod failpoint;
pub mod operations;
pub mod reports;
pub mod schema;
pub mod session;
pub mod tables;

use std::sync::Arc;

use deadpool_postgres::Pool;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use crate::domain::errors::grouping::Grouping;

use session::client::{Cached, PooledClient, Transaction};

/// The channel on which engines and operators announce what changed; the payload is its subject, such as `errors`.
pub const CHANNEL: &str = "syncdeck";

/// Why something could not be done in PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection; the text names the server and the remedy.
    #[error("{0}")]
    Connect(String),
    /// A statement failed.
    #[error("PostgreSQL could not {what}: {}", describe(source))]
    Sql {
        /// What it was to do.
        what: &'static str,
        /// Why not.
        source: tokio_postgres::Error,
    },
    /// A mapping's rule `where` is no condition on its table.
    #[error(
        "{mapping}: where: {problem}\nset it to a condition on the table's columns, such as: syncdeck mapping {mapping} where='email IS NOT NULL'"
    )]
    BadFilter {
        /// The mapping's object.
        mapping: String,
        /// Why not.
        problem: String,
    },
    /// What somebody typed is none of what there is; the text names it and what there is.
    #[error("{0}")]
    Wrong(String),
    /// A row or something else that was named is not there, or not any more; the text names it.
    #[error("{0}")]
    NotFound(String),
    /// Somebody else changed it meanwhile, or is changing it now; the text names it.
    #[error("{0}")]
    Conflict(String),
    /// The database is not as it must be, or a request cannot be met; the text names the thing and the remedy.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// The SQLSTATE, where the server gave one.
    pub fn sql_state(&self) -> Option<&SqlState> {
        match self {
            Error::Sql { source, .. } => source.code(),
            _ => None,
        }
    }

    /// Why, without what was to be done.
    pub fn reason(&self) -> String {
        match self {
            Error::Sql { source, .. } => describe(source),
            other => other.to_string(),
        }
    }

    /// What objects, by name, without a word of what it says: that may quote the very value.
    pub fn objection(&self) -> String {
        let Error::Sql { what, source } = self else { return "PostgreSQL cannot be asked".to_owned() };
        let mut text = format!("PostgreSQL could not {what}");
        if let Some(error) = source.as_db_error() {
            text.push_str(&format!(" (SQLSTATE {}", error.code().code()));
            for (kind, name) in [("table", error.table()), ("constraint", error.constraint())] {
                text.push_str(&name.map(|name| format!(", {kind} {name}")).unwrap_or_default());
            }
            text.push(')');
        }
        text
    }

    /// True when a statement does not fit what is in the database: tables, columns, triggers, constraints. The way is
    /// fine, and nobody else is concerned.
    pub fn is_of_this_table(&self) -> bool {
        let classes = ["22", "23", "42", "P0", "09", "27", "38", "39", "44", "54"];
        self.sql_state().is_some_and(|state| classes.contains(&&state.code()[..2]))
    }

    /// True when the statement would do without one of its records: a value, a constraint, a trigger or a limit refuses that
    /// one. What is wrong with the table itself, with rights or with the server concerns all of them.
    pub fn is_of_a_record(&self) -> bool {
        let Error::Sql { source, .. } = self else { return false };
        let Some(db) = source.as_db_error() else { return false };
        match &db.code().code()[..2] {
            "08" | "25" | "28" | "3D" | "40" | "53" | "55" | "57" | "58" | "F0" | "XX" => false,
            // A name or a right that lacks inside a function lacks in a trigger, which other rows may not meet.
            "42" | "3F" | "0A" | "26" | "34" => db.where_().is_some(),
            _ => true,
        }
    }

    /// The error by names only, where PostgreSQL's own text may quote a value that must not be shown: a message of a trigger
    /// or of a cast, a detail, a context.
    pub fn without_quotes(&self) -> String {
        let Error::Sql { what, source } = self else { return self.to_string() };
        let Some(db) = source.as_db_error().filter(|_| self.is_of_a_record()) else {
            return self.to_string();
        };
        let names = [("constraint", db.constraint()), ("column", db.column()), ("table", db.table())];
        let names = names.iter().filter_map(|(kind, name)| Some(format!(", {kind} {}", (*name)?)));
        let names: String =
            names.chain(tables::obstacle::function_of(db).map(|name| format!(", function {name}"))).collect();
        format!(
            "PostgreSQL could not {what}: SQLSTATE {}{names} (its words may quote a masked value, and are left out)",
            db.code().code()
        )
    }

    /// True when somebody else held a lock for longer than we wait.
    pub fn is_lock_timeout(&self) -> bool {
        self.sql_state() == Some(&SqlState::LOCK_NOT_AVAILABLE)
    }

    /// True when the same may work in a moment: the way is broken, or the server chose between two that waited for
    /// each other.
    pub fn is_passing(&self) -> bool {
        self.is_connection() || self.sql_state().is_some_and(|state| state.code().starts_with("40"))
    }

    /// True when the way to the server is broken, rather than a statement refused.
    pub fn is_connection(&self) -> bool {
        match self {
            Error::Connect(_) => true,
            Error::Sql { source, .. } => {
                source.is_closed() || source.code().is_none_or(|code| code.code().starts_with("57P"))
            }
            Error::BadFilter { .. }
            | Error::Wrong(_)
            | Error::NotFound(_)
            | Error::Conflict(_)
            | Error::Refused(_) => false,
        }
    }
}

/// The server's message and detail without the driver's "db error". The detail of a refused row quotes all of it, which
/// belongs into no log.
fn describe(source: &tokio_postgres::Error) -> String {
    match source.as_db_error() {
        Some(error) => {
            match error.hint().or(error.detail().filter(|_| !error.code().code().starts_with("23"))) {
                Some(more) => format!("{} ({more})", error.message()),
                None => error.message().to_owned(),
            }
        }
        None => session::connect::root_cause(source),
    }
}

/// Names what a statement was to do when it failed.
trait ErrorContext<T> {
    fn context(self, what: &'static str) -> Result<T, Error>;
}

impl<T> ErrorContext<T> for Result<T, tokio_postgres::Error> {
    fn context(self, what: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::Sql { what, source })
    }
}

type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// One connection's database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
    dial: session::connect::Connector,
    /// Whether its sessions refuse every write.
    read_only: bool,
    /// Behind a transaction pooler, what each transaction is set to.
    pooled: Option<std::sync::Arc<str>>,
    /// The schema's name as configured.
    pub schema_name: String,
    /// The same, quoted for SQL.
    schema: String,
    /// What splits groups of errors that are kept here.
    grouping: Arc<Grouping>,
}

impl Store {
    /// The same database, where errors are grouped by these rules.
    #[must_use]
    pub fn grouped_by(self, grouping: &Grouping) -> Store {
        Store { grouping: Arc::new(grouping.clone()), ..self }
    }

    /// Whether a transaction pooler is in between: each statement costs a transaction with its settings.
    pub fn is_pooled(&self) -> bool {
        self.pooled.is_some()
    }

    /// The schema, quoted, and a table of it, quoted.
    fn table(&self, table: &str) -> String {
        format!("{}.{}", self.schema, quote(table))
    }

    async fn client(&self) -> Result<PooledClient, Error> {
        let object = self
            .pool
            .get()
            .await
            .map_err(|error| session::connect::explain_pool(self.dial.config(), &error))?;
        Ok(PooledClient::new(object, self.pooled.clone()))
    }
}

/// An identifier, quoted.
pub fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// A literal, quoted.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Marks the rest of the transaction as the engine's own, so that nothing in it is captured (I6).
const AS_ENGINE: &str = "SET LOCAL syncdeck.writer = 'engine'; SET LOCAL xmlbinary = 'hex'";
/// Ends that: what follows is captured.
const AS_USER: &str = "SET LOCAL syncdeck.writer = ''; SET LOCAL xmlbinary = 'base64'";
