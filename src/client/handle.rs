//! The one door through which console and command line meet the engine, wherever it runs: reads and an operator's
//! writes go to PostgreSQL in the caller's own session; what only the engine can do is a command.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::broadcast;

use crate::domain::act::{self, Act, Operator};
use crate::domain::catalogue;
use crate::domain::filter::Filter;
use crate::domain::group::Group;
use crate::domain::mapping::Mapping;
use crate::domain::names::RowRef;
use crate::domain::overview::Overview;
use crate::domain::record::{RecordView, SalesforceValues};
use crate::domain::request::Request;
use crate::domain::rules;
use crate::domain::run::Run;
use crate::domain::sync_error::SyncError;
use crate::logs::LogRecord;
use crate::postgres::{self, Store};

pub use super::events::Event;
pub use super::queries::{Count, ErrorPage, ErrorQuery, PendingQuery};
use super::{events, preview};
pub use crate::postgres::settings::SetTo;

/// How long Salesforce's values are waited for, and an engine that takes a command.
pub(in crate::client) const FETCH_LIMIT: Duration = Duration::from_secs(10);

/// Why a request at the door was not served. The text says what, on what, and what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl From<postgres::Error> for Refused {
    fn from(error: postgres::Error) -> Refused {
        Refused(error.to_string())
    }
}

/// Why a rule was not set.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotSet {
    /// There is no such rule, or it does not take the value, or there is no such mapping.
    #[error("{0}")]
    Wrong(String),
    /// It could not be set.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl From<postgres::Error> for NotSet {
    fn from(error: postgres::Error) -> NotSet {
        match error {
            wrong @ (postgres::Error::Wrong(_) | postgres::Error::BadFilter { .. }) => {
                NotSet::Wrong(wrong.to_string())
            }
            other => NotSet::Refused(other.into()),
        }
    }
}

/// Why a record that is looked at cannot be read again.
#[derive(Debug, Clone)]
pub enum Unseen {
    /// There is nothing of it any more; in these words.
    Gone(String),
    /// It could not be asked for: what was seen of it last may still be so.
    Away(Refused),
}

/// A rule in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownRule {
    /// `strategy`, `Phone.transforms`.
    pub key: String,
    /// As it is written; empty where it is not set.
    pub value: String,
    /// `default`, `configuration` or `run time`.
    pub origin: &'static str,
    /// What it is about.
    pub meaning: &'static str,
}

/// The door. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(in crate::client) store: Store,
    pub(in crate::client) operator: Operator,
    /// What the connection is for, as its configuration says; empty where nobody said.
    environment: String,
    /// Why, in the operator's words, whatever is done through this door is done.
    pub(in crate::client) why: Option<String>,
    events: broadcast::Sender<Event>,
}

impl Handle {
    /// A door to the engine of this database, for an operator, and the task that hears what changes. The task ends when
    /// the last clone is gone.
    pub fn new(store: Store, operator: Operator) -> Handle {
        let (events, _) = broadcast::channel(1024);
        tokio::spawn(events::hear(store.clone(), events.clone().downgrade()));
        Handle { store, operator, environment: String::new(), why: None, events }
    }

    /// The same door, of a connection whose configuration says what it is for.
    pub fn meant_for(self, configured: &str) -> Handle {
        Handle { environment: configured.to_owned(), ..self }
    }

    /// What the connection is for: acts are confirmed by that.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn environment(&self) -> Result<String, Refused> {
        let told = self.store.overview().await?.connection.environment;
        Ok(act::environment(&self.environment, &told).to_owned())
    }

    /// An act of one transaction.
    pub(in crate::client) fn act(&self) -> Act {
        Act { why: self.why.clone(), ..Act::single(&self.operator) }
    }

    /// The same door, where everything is done for this reason.
    pub fn because(self, why: Option<&str>) -> Handle {
        Handle { why: why.map(str::to_owned), ..self }
    }

    /// Events from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// How things stand.
    pub async fn overview(&self) -> Result<Overview, Refused> {
        Ok(self.store.overview().await?)
    }

    /// The errors that match, by cause, the most frequent first.
    ///
    /// # Errors
    /// A filter that cannot be read is refused with what is allowed.
    pub async fn groups(&self, filter: &str, limit: usize) -> Result<Vec<Group>, Refused> {
        let filter = Filter::parse(filter, chrono::Utc::now()).map_err(|error| Refused(error.to_string()))?;
        Ok(self.store.groups(&filter, i64::try_from(limit).unwrap_or(i64::MAX)).await?)
    }

    /// One error by its number.
    ///
    /// # Errors
    /// Refused when there is none of that number.
    pub async fn error(&self, id: i64) -> Result<SyncError, Refused> {
        self.store
            .error(id)
            .await?
            .ok_or_else(|| Refused(format!("there is no error {id}\nlist them with: syncdeck errors")))
    }

    /// A row with its error, advice and history.
    pub async fn record(&self, row: &RowRef) -> Result<RecordView, Refused> {
        Ok(self.read_record(row).await?)
    }

    /// The same for somebody who looks at it already: that it is gone is told apart from a database that is.
    ///
    /// # Errors
    /// See [`Unseen`].
    pub async fn look(&self, row: &RowRef) -> Result<RecordView, Unseen> {
        self.read_record(row).await.map_err(|error| match error {
            postgres::Error::Refused(why) | postgres::Error::Wrong(why) => Unseen::Gone(why),
            error => Unseen::Away(error.into()),
        })
    }

    async fn read_record(&self, row: &RowRef) -> Result<RecordView, postgres::Error> {
        let mapping = self.store.registered(&row.table).await?;
        let mut record = self.store.record(&mapping, row).await?;
        let values =
            record.values.iter().map(|(field, value)| (field.column.clone(), value.clone())).collect();
        record.sending = preview::sending(&self.store, &mapping, row, &values).await?;
        if let Some(error) = &record.error {
            let entry = catalogue::classify(catalogue::source_of(&error.code), &error.code, &error.message);
            record.advice = catalogue::advice(entry, &mapping, &record);
        }
        Ok(record)
    }

    /// Salesforce's values of a row's record, fetched now by the engine; without a running engine the last known
    /// ones, which say by `fetched_at` how old they are.
    pub async fn salesforce_values(&self, row: &RowRef) -> Result<SalesforceValues, Refused> {
        let running = self.store.overview().await?.engine.state == "running";
        if !running || self.store.is_read_only() {
            return self.store.last_fetched(row).await?.ok_or_else(|| {
                Refused(
                    "these values were never fetched, and no engine runs or may be asked; start one with: syncdeck run"
                        .to_owned(),
                )
            });
        }
        let (table, rows) = (row.table.clone(), vec![row.row]);
        let mut found = self.fetched(Request::Fetch { table, rows, candidates: true }).await?;
        found
            .remove(&row.row)
            .ok_or_else(|| Refused("the engine did not tell the record's values".to_owned()))
    }

    /// All mappings as they are worked.
    pub async fn mappings(&self) -> Result<Vec<Mapping>, Refused> {
        Ok(self.store.definitions().await?)
    }

    /// The rules of a mapping, with where each comes from.
    ///
    /// # Errors
    /// Refused when there is none of that name.
    pub async fn rules(&self, mapping: &str) -> Result<(Mapping, Vec<ShownRule>), Refused> {
        let mapping = self.store.registered(mapping).await?;
        let at_run_time = self.store.settings().await?.remove(&mapping.object).unwrap_or_default();
        let written = mapping.rules.settings();
        let shown = mapping.rules.shown().into_iter().map(|(key, value)| ShownRule {
            origin: match () {
                () if at_run_time.contains_key(&key) => "run time",
                () if written.contains_key(&key) => "configuration",
                () => "default",
            },
            meaning: rules::meaning(&key),
            key,
            value,
        });
        let shown = shown.collect();
        Ok((mapping, shown))
    }

    /// Sets a rule of a mapping at run time, or leaves it to the configuration again.
    ///
    /// # Errors
    /// Wrong when the rule or its value is none.
    pub async fn set_rule(&self, mapping: &str, key: &str, value: Option<&str>) -> Result<SetTo, NotSet> {
        Ok(self.store.set_rule(mapping, key, value, &self.act(), None).await?)
    }

    /// Sets several rules of a mapping together: all of them, or none.
    ///
    /// # Errors
    /// As [`Handle::set_rule`].
    pub async fn set_rules(
        &self,
        mapping: &str,
        rules: &[(String, Option<String>)],
    ) -> Result<Vec<SetTo>, NotSet> {
        Ok(self.store.set_rules(mapping, rules, &self.act(), None).await?)
    }

    /// Sets a rule of every mapping, as one act; one that does not take it is told, and the others have it. Returns for
    /// how many it was set.
    ///
    /// # Errors
    /// Refused when no mapping took it.
    pub async fn set_rule_everywhere(&self, key: &str, value: &str) -> Result<usize, Refused> {
        let act = self.store.begin_act(&self.operator, self.why.as_deref()).await?;
        let mut set = 0;
        let mut refused = None;
        for mapping in self.overview().await?.mappings {
            match self.store.set_rule(&mapping.name, key, Some(value), &act, None).await {
                Ok(_) => set += 1,
                Err(error) => refused = Some(Refused::from(error)),
            }
        }
        match refused {
            Some(refused) if set == 0 => Err(refused),
            Some(refused) => Err(Refused(format!("set for {set} mappings, not for all: {}", refused.0))),
            None => Ok(set),
        }
    }

    /// Runs, newest first: of one mapping, or of all; only those with failures, or all.
    ///
    /// # Errors
    /// Refused when there is no such mapping.
    pub async fn runs(&self, mapping: Option<&str>, failed: bool, limit: usize) -> Result<Vec<Run>, Refused> {
        let object = match mapping {
            Some(name) => Some(self.store.registered(name).await?.object),
            None => None,
        };
        Ok(self.store.runs(object.as_deref(), failed, i64::try_from(limit).unwrap_or(i64::MAX)).await?)
    }

    /// The log: records after `after` (oldest first), or the newest `limit` when `after` is None.
    pub async fn log(&self, after: Option<i64>, limit: usize) -> Result<Vec<LogRecord>, Refused> {
        Ok(self.store.log(after, i64::try_from(limit).unwrap_or(i64::MAX)).await?)
    }
}

/// Who is asking: account and host, and from where over SSH.
pub fn operator() -> Operator {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| {
        let uid = nix::unistd::getuid();
        nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
    });
    let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok()).unwrap_or_default();
    let origin = ["SSH_CONNECTION", "SSH_CLIENT"].iter().find_map(|name| {
        let from = std::env::var(name).ok()?;
        Some(from.split(' ').next()?.to_owned()).filter(|from| !from.is_empty())
    });
    Operator { actor: format!("{user}@{host}"), origin: origin.unwrap_or_else(|| "local".to_owned()) }
}
