//! The client itself: what console and command line ask of a connection, wherever its engine runs. Reads and an operator's
//! writes go to PostgreSQL in the caller's own session; what only the engine can do is a request to it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::broadcast;

use crate::domain::errors::catalogue;
use crate::domain::errors::group::Group;
use crate::domain::errors::sync_error::SyncError;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::mappings::rules;
use crate::domain::names::RowRef;
use crate::domain::operations::operation::{self, Operation, Operator};
use crate::domain::operations::request::Request;
use crate::domain::records::record::{RecordView, SalesforceValues};
use crate::domain::reports::overview::Overview;
use crate::domain::reports::run::Run;
use crate::domain::state::EngineState;
use crate::logs::LogRecord;
use crate::postgres::Store;

use super::attached::session::{Attached, beside};
pub use super::error::{ClientError, ErrorKind};
pub use super::events::Event;
pub use super::queries::{Count, ErrorPage, ErrorQuery, PendingQuery};
use super::setup::shadow::ShadowPreview;
use super::setup::{Setup, SetupListener, SetupPreview, SetupTask};
use super::{attached, events, preview, queries};
pub use crate::postgres::operations::settings::SetTo;

/// How long Salesforce's values are waited for, and an engine that takes a command.
pub(in crate::client) const FETCH_LIMIT: Duration = Duration::from_secs(10);

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

/// Whose database it is.
#[derive(Clone)]
pub(in crate::client) enum DatabaseOwner {
    /// One that syncdeck keeps.
    Own(Store),
    /// One that Heroku Connect keeps, looked at and mended from beside it.
    Attached(Attached),
}

/// The client of one connection. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pub(in crate::client) backend: DatabaseOwner,
    pub(in crate::client) operator: Operator,
    /// What the connection is for, as its configuration says; empty where nobody said.
    environment: String,
    /// Why the operator does what is done through this client, in his words.
    pub(in crate::client) why: Option<String>,
    /// Who knows the configuration, where somebody gave it.
    setup: Option<Arc<dyn Setup>>,
    events: broadcast::Sender<Event>,
}

impl Client {
    /// A client of this database, for an operator, and the task that hears what changes. The task ends when
    /// the last clone is gone.
    pub fn new(store: Store, operator: Operator) -> Client {
        let (events, _) = broadcast::channel(1024);
        tokio::spawn(events::hear(store.clone(), events.clone().downgrade()));
        Client {
            backend: DatabaseOwner::Own(store),
            operator,
            environment: String::new(),
            why: None,
            setup: None,
            events,
        }
    }

    /// A client of a database that Heroku Connect keeps, and the task that looks what changes.
    pub fn attached(attached: Attached, operator: Operator) -> Client {
        let (events, _) = broadcast::channel(1024);
        tokio::spawn(attached::events::look(attached.clone(), events.clone().downgrade()));
        let backend = DatabaseOwner::Attached(attached);
        Client { backend, operator, environment: String::new(), why: None, setup: None, events }
    }

    /// The database, where it is one that syncdeck keeps.
    ///
    /// # Errors
    /// Beside Heroku Connect: what is asked for has nothing there that could tell or do it.
    pub(in crate::client) fn own(&self) -> Result<&Store, ClientError> {
        match &self.backend {
            DatabaseOwner::Own(store) => Ok(store),
            DatabaseOwner::Attached(_) => {
                Err(beside("this needs an engine of syncdeck, or what that keeps in its own schema"))
            }
        }
    }

    /// What of the errors is not listed, and why. Nothing is left out where an engine of ours keeps them.
    ///
    /// # Errors
    /// When PostgreSQL cannot be asked.
    pub async fn gaps(&self) -> Result<Vec<String>, ClientError> {
        match self.beside_heroku() {
            Some(attached) => attached.gaps().await,
            None => Ok(Vec::new()),
        }
    }

    /// The database that Heroku Connect keeps, where it is one.
    pub(in crate::client) fn beside_heroku(&self) -> Option<&Attached> {
        match &self.backend {
            DatabaseOwner::Own(_) => None,
            DatabaseOwner::Attached(attached) => Some(attached),
        }
    }

    /// The database, whoever keeps it, for what is in mapped tables.
    pub(in crate::client) fn tables(&self) -> &Store {
        match &self.backend {
            DatabaseOwner::Own(store) => store,
            DatabaseOwner::Attached(attached) => attached.store(),
        }
    }

    /// A mapping by its object or table.
    pub(in crate::client) async fn registered(&self, name: &str) -> Result<Mapping, ClientError> {
        match self.beside_heroku() {
            Some(attached) => attached.mapping(name).await,
            None => Ok(self.own()?.registered(name).await?),
        }
    }

    /// The same client, of a connection whose configuration says what it is for.
    pub fn meant_for(self, configured: &str) -> Client {
        Client { environment: configured.to_owned(), ..self }
    }

    /// The same client, which can look at what a configuration makes of its database, and do it.
    pub fn with_setup(self, setup: Arc<dyn Setup>) -> Client {
        Client { setup: Some(setup), ..self }
    }

    /// Looks at what a configuration makes of this database; nothing is changed. `told` hears how far it is.
    ///
    /// # Errors
    /// When the configuration, the database or the org does not allow it: the text names it and the remedy.
    pub async fn look_at_setup(
        &self,
        task: SetupTask,
        file: Option<&str>,
        told: SetupListener,
    ) -> Result<SetupPreview, ClientError> {
        match &self.setup {
            Some(setup) => setup.look(task, file, self.tables(), told).await,
            None => Err(ClientError::refused(
                "this console was opened without a configuration\nask a shell for it: syncdeck plan --config FILE",
            )),
        }
    }

    /// Looks at what can be compared beside Heroku Connect, and what that costs; nothing is changed.
    ///
    /// # Errors
    /// When the configuration, the database or the org does not allow it: the text names it and the remedy.
    pub async fn look_at_shadow(
        &self,
        file: Option<&str>,
        told: SetupListener,
    ) -> Result<ShadowPreview, ClientError> {
        match &self.setup {
            Some(setup) => setup.look_at_shadow(file, self.tables(), told).await,
            None => Err(ClientError::refused(
                "this console was opened without a configuration\nask a shell for it: syncdeck shadow --config FILE",
            )),
        }
    }

    /// What the connection is for: operations are confirmed by that.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn environment(&self) -> Result<String, ClientError> {
        if self.beside_heroku().is_some() {
            return Ok(self.environment.clone());
        }
        let told = self.own()?.overview().await?.connection.environment;
        Ok(operation::environment(&self.environment, &told).to_owned())
    }

    /// An operation of one transaction.
    pub(in crate::client) fn operation(&self) -> Operation {
        Operation { why: self.why.clone(), ..Operation::single(&self.operator) }
    }

    /// The same client, where everything is done for this reason.
    pub fn because(self, why: Option<&str>) -> Client {
        Client { why: why.map(str::to_owned), ..self }
    }

    /// Events from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// How things stand.
    pub async fn overview(&self) -> Result<Overview, ClientError> {
        if let Some(attached) = self.beside_heroku() {
            return attached.overview(&self.environment).await;
        }
        Ok(self.own()?.overview().await?)
    }

    /// The errors that match, by cause, the most frequent first.
    ///
    /// # Errors
    /// A filter that cannot be read is refused with what is allowed.
    pub async fn groups(&self, filter: &str, limit: usize) -> Result<Vec<Group>, ClientError> {
        let filter = queries::filter(filter)?;
        if let Some(attached) = self.beside_heroku() {
            return attached.groups(&filter, limit).await;
        }
        Ok(self.own()?.groups(&filter, i64::try_from(limit).unwrap_or(i64::MAX)).await?)
    }

    /// One error by its number.
    ///
    /// # Errors
    /// When there is none of that number.
    pub async fn error(&self, id: i64) -> Result<SyncError, ClientError> {
        if let Some(attached) = self.beside_heroku() {
            return attached.error(id).await;
        }
        self.own()?.error(id).await?.ok_or_else(|| {
            ClientError::not_found(format!("there is no error {id}\nlist them with: syncdeck errors"))
        })
    }

    /// A row with its error, advice and history.
    ///
    /// # Errors
    /// Of the kind [`ErrorKind::NotFound`] when the row is gone, [`ErrorKind::Invalid`] when its mapping is.
    pub async fn record(&self, row: &RowRef) -> Result<RecordView, ClientError> {
        if let Some(attached) = self.beside_heroku() {
            return attached.record(row).await;
        }
        let mapping = self.own()?.registered(&row.table).await?;
        let mut record = self.own()?.record(&mapping, row).await?;
        let values =
            record.values.iter().map(|(field, value)| (field.column.clone(), value.clone())).collect();
        record.sending = preview::sending(self.own()?, &mapping, row, &values).await?;
        if let Some(error) = &record.error {
            let entry = catalogue::classify(catalogue::source_of(&error.code), &error.code, &error.message);
            record.advice = catalogue::diagnose(entry, &mapping, &record);
        }
        Ok(record)
    }

    /// Salesforce's values of a row's record, fetched now by the engine; without a running engine the last known
    /// ones, which say by `fetched_at` how old they are.
    pub async fn salesforce_values(&self, row: &RowRef) -> Result<SalesforceValues, ClientError> {
        if self.beside_heroku().is_some() {
            return Err(beside("only Heroku Connect asks Salesforce"));
        }
        let running = self.own()?.overview().await?.engine.state == EngineState::Running;
        if !running || self.own()?.is_read_only() {
            return self.own()?.last_fetched(row).await?.ok_or_else(|| {
                ClientError::unavailable(
                    "these values were never fetched, and no engine runs or may be asked; start one with: syncdeck run",
                )
            });
        }
        let (table, rows) = (row.table.clone(), vec![row.row]);
        let mut found = self.fetched(Request::Fetch { table, rows, candidates: true }).await?;
        found
            .remove(&row.row)
            .ok_or_else(|| ClientError::unavailable("the engine did not tell the record's values"))
    }

    /// All mappings as they are worked.
    pub async fn mappings(&self) -> Result<Vec<Mapping>, ClientError> {
        if let Some(attached) = self.beside_heroku() {
            return attached.mappings().await;
        }
        Ok(self.own()?.definitions().await?)
    }

    /// One mapping, by its object or table.
    ///
    /// # Errors
    /// When there is none of that name.
    pub async fn mapping(&self, name: &str) -> Result<Mapping, ClientError> {
        self.registered(name).await
    }

    /// The rules of a mapping, with where each comes from.
    ///
    /// # Errors
    /// When there is none of that name.
    pub async fn rules(&self, mapping: &str) -> Result<(Mapping, Vec<ShownRule>), ClientError> {
        let mapping = self.own()?.registered(mapping).await?;
        let at_run_time = self.own()?.settings().await?.remove(&mapping.object).unwrap_or_default();
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
    /// Of the kind [`ErrorKind::Invalid`] when there is no such mapping or rule, or it does not take the value.
    pub async fn set_rule(
        &self,
        mapping: &str,
        key: &str,
        value: Option<&str>,
    ) -> Result<SetTo, ClientError> {
        Ok(self.own()?.set_rule(mapping, key, value, &self.operation(), None).await?)
    }

    /// Sets several rules of a mapping together: all of them, or none.
    ///
    /// # Errors
    /// As [`Client::set_rule`].
    pub async fn set_rules(
        &self,
        mapping: &str,
        rules: &[(String, Option<String>)],
    ) -> Result<Vec<SetTo>, ClientError> {
        Ok(self.own()?.set_rules(mapping, rules, &self.operation(), None).await?)
    }

    /// Sets a rule of every mapping, as one operation; one that does not take it is told, and the others have it. Returns for
    /// how many it was set.
    ///
    /// # Errors
    /// When no mapping took it.
    pub async fn set_rule_everywhere(&self, key: &str, value: &str) -> Result<usize, ClientError> {
        let operation = self.own()?.begin_operation(&self.operator, self.why.as_deref()).await?;
        let mut set = 0;
        let mut refused = None;
        for mapping in self.overview().await?.mappings {
            match self.own()?.set_rule(&mapping.name, key, Some(value), &operation, None).await {
                Ok(_) => set += 1,
                Err(error) => refused = Some(ClientError::from(error)),
            }
        }
        match refused {
            Some(refused) if set == 0 => Err(refused),
            Some(refused) => Err(refused.within(&format!("set for {set} mappings, not for all: "))),
            None => Ok(set),
        }
    }

    /// Runs, newest first: of one mapping, or of all; only those with failures, or all.
    ///
    /// # Errors
    /// When there is no such mapping.
    pub async fn runs(
        &self,
        mapping: Option<&str>,
        failed: bool,
        limit: usize,
    ) -> Result<Vec<Run>, ClientError> {
        if self.beside_heroku().is_some() {
            return Err(beside("Heroku Connect notes no runs in the database"));
        }
        let object = match mapping {
            Some(name) => Some(self.own()?.registered(name).await?.object),
            None => None,
        };
        Ok(self.own()?.runs(object.as_deref(), failed, i64::try_from(limit).unwrap_or(i64::MAX)).await?)
    }

    /// The log: records after `after` (oldest first), or the newest `limit` when `after` is None.
    pub async fn log(&self, after: Option<i64>, limit: usize) -> Result<Vec<LogRecord>, ClientError> {
        if let Some(attached) = self.beside_heroku() {
            return Ok(attached.log(after));
        }
        Ok(self.own()?.log(after, i64::try_from(limit).unwrap_or(i64::MAX)).await?)
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
