//! The one door through which console and command line meet the engine, wherever it runs: reads and an operator's
//! writes go to PostgreSQL in the caller's own session; what only the engine can do is a command.

use std::collections::HashSet;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio::sync::broadcast;

use crate::domain::catalogue;
use crate::domain::filter::Filter;
use crate::domain::group::Group;
use crate::domain::mapping::Mapping;
use crate::domain::merge::Side;
use crate::domain::names::{RowId, RowRef};
use crate::domain::overview::Overview;
use crate::domain::record::{Edit, RecordView, SalesforceValues};
use crate::domain::remedy::{Action, Offer};
use crate::domain::rules;
use crate::domain::run::Run;
use crate::domain::sync_error::SyncError;
use crate::logs::LogRecord;
use crate::postgres::{self, Store, errors::COUNT_CAP};

use super::preview;

/// How long Salesforce's values are waited for.
const FETCH_LIMIT: Duration = Duration::from_secs(10);
/// Events are folded for this long after one was told.
const FOLD: Duration = Duration::from_millis(100);
/// Everything is told to be read again this often, in case an announcement was missed.
const TICK: Duration = Duration::from_secs(2);

/// Why a request at the door was not served. The text says what, on what, and what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl From<postgres::Error> for Refused {
    fn from(error: postgres::Error) -> Refused {
        Refused(error.to_string())
    }
}

/// Something changed; whoever shows it should read it again. Bursts are folded (10 a second at most).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Counts or states of mappings, connection or engine.
    Overview,
    /// The list of errors.
    Errors,
    /// A row's unit, error or values.
    Record(RowRef),
    /// New log records.
    Log,
    /// The way to PostgreSQL broke, with the reason; the handle reconnects by itself and then sends `Restored`.
    Lost(String),
    /// It is back.
    Restored,
}

/// What to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ErrorQuery {
    /// The filter as typed; empty lists everything unresolved.
    pub filter: String,
    /// How many at most, newest `last_seen` first.
    pub limit: usize,
    /// Continue after this error (its `last_seen` and `id`).
    pub after: Option<(chrono::DateTime<chrono::Utc>, i64)>,
}

/// A screenful of errors.
#[derive(Clone, Debug, Default)]
pub struct ErrorPage {
    /// The errors.
    pub items: Vec<SyncError>,
    /// How many match in all, counted up to 10,000.
    pub matching: i64,
    /// True when `matching` was cut at 10,000.
    pub capped: bool,
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
    store: Store,
    actor: String,
    events: broadcast::Sender<Event>,
}

impl Handle {
    /// A door to the engine of this database, for `actor`, and the task that hears what changes. The task ends when
    /// the last clone is gone.
    pub fn new(store: Store, actor: String) -> Handle {
        let (events, _) = broadcast::channel(1024);
        tokio::spawn(hear(store.clone(), events.clone().downgrade()));
        Handle { store, actor, events }
    }

    /// Events from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// How things stand.
    pub async fn overview(&self) -> Result<Overview, Refused> {
        Ok(self.store.overview().await?)
    }

    /// One page of errors.
    ///
    /// # Errors
    /// A filter that cannot be read is refused with what is allowed.
    pub async fn errors(&self, query: &ErrorQuery) -> Result<ErrorPage, Refused> {
        let filter =
            Filter::parse(&query.filter, chrono::Utc::now()).map_err(|error| Refused(error.to_string()))?;
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let (items, count) = self.store.errors(&filter, query.after, limit).await?;
        Ok(ErrorPage { items, matching: count.min(COUNT_CAP), capped: count > COUNT_CAP })
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
        if !running {
            return self.store.last_fetched(row).await?.ok_or_else(|| {
                Refused(
                    "no engine runs, and these values were never fetched; start one with: syncdeck run"
                        .to_owned(),
                )
            });
        }
        let values = self.ask("fetch", row).await?;
        serde_json::from_value(values).map_err(|error| Refused(error.to_string()))
    }

    /// Saves an edit (and sends it).
    ///
    /// # Errors
    /// Refused when the row changed under the editor, naming the field, or cannot take the value.
    pub async fn save(&self, edit: &Edit) -> Result<(), Refused> {
        Ok(self.store.save(edit, &self.actor).await?)
    }

    /// Sends a failing row again as it is.
    ///
    /// # Errors
    /// Refused when the row has nothing unsent.
    pub async fn retry(&self, row: &RowRef) -> Result<(), Refused> {
        Ok(self.store.retry(row, &self.actor).await?)
    }

    /// Stops asking about a failing row, until it changes again.
    ///
    /// # Errors
    /// Refused when the row has no open error.
    pub async fn ignore(&self, row: &RowRef) -> Result<(), Refused> {
        Ok(self.store.ignore(row, &self.actor).await?)
    }

    /// Does what a remedy says, and sends the row again. Tells what was done.
    ///
    /// # Errors
    /// Refused when nothing can be done by itself, when the row changed since the remedy was offered, or when the
    /// engine is needed and does not answer.
    pub async fn apply(&self, row: &RowRef, offer: &Offer) -> Result<String, Refused> {
        let Some(action) = &offer.action else {
            return Err(Refused(format!("this is for a person to do: {}", offer.text)));
        };
        match action {
            Action::Apply(_) | Action::Clear => {
                let edit = Edit { row: row.clone(), fields: offer.changes.clone(), retry: true };
                self.save(&edit).await?;
            }
            Action::Rule { key, value } => {
                self.set_rule(&row.table, key, Some(value)).await?;
                self.retry(row).await?;
            }
            Action::Link => {
                let found = self.ask("existing", row).await?;
                let sfid = found.as_str().unwrap_or_default();
                self.store.link(row, sfid, &self.actor).await?;
            }
            Action::Reread => {
                self.ask("reread", row).await?;
                self.retry(row).await?;
            }
            Action::Retry => self.retry(row).await?,
            Action::Choose(side) => {
                let open = self.store.conflicts(row).await?;
                for conflict in open.iter().filter(|conflict| conflict.winner.is_none()) {
                    self.choose(row, &conflict.column, *side).await?;
                }
            }
        }
        Ok(offer.text.clone())
    }

    /// Asks the engine something about a row.
    async fn ask(&self, what: &str, row: &RowRef) -> Result<serde_json::Value, Refused> {
        let args = json!({"table": row.table, "row": row.row});
        let id = self.store.ask(what, &args, &self.actor).await?;
        match self.store.wait_answer(id, FETCH_LIMIT).await? {
            Some(answer) => answer.map_err(Refused),
            None => Err(Refused(format!(
                "the engine did not answer within {} s\nsee whether one runs, with: syncdeck status",
                FETCH_LIMIT.as_secs()
            ))),
        }
    }

    /// Chooses a side of a field that changed on both.
    ///
    /// # Errors
    /// Refused when the column has no open conflict.
    pub async fn choose(&self, row: &RowRef, column: &str, side: Side) -> Result<(), Refused> {
        Ok(self.store.choose(row, column, side, &self.actor).await?)
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
    /// Refused when the rule or its value is none.
    pub async fn set_rule(&self, mapping: &str, key: &str, value: Option<&str>) -> Result<(), Refused> {
        Ok(self.store.set_rule(mapping, key, value, &self.actor).await?)
    }

    /// Pauses the writes of a mapping.
    ///
    /// # Errors
    /// Refused when they are off already.
    pub async fn pause(&self, mapping: &str) -> Result<(), Refused> {
        Ok(self.store.pause(mapping, &self.actor).await?)
    }

    /// Lets the writes of a mapping go on.
    ///
    /// # Errors
    /// Refused when there is no such mapping.
    pub async fn resume(&self, mapping: &str) -> Result<(), Refused> {
        Ok(self.store.resume(mapping, &self.actor).await?)
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

/// Who is asking: account and host, and from where over SSH. For the audit.
pub fn actor() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| {
        let uid = nix::unistd::getuid();
        nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
    });
    let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok()).unwrap_or_default();
    match std::env::var("SSH_CONNECTION").ok().and_then(|from| Some(from.split(' ').next()?.to_owned())) {
        Some(from) => format!("{user}@{host} from {from}"),
        None => format!("{user}@{host}"),
    }
}

/// Listens, folds and passes on, reconnecting by itself.
async fn hear(store: Store, events: broadcast::WeakSender<Event>) {
    let mut broken = false;
    loop {
        let failure = match store.listen().await {
            Ok(notices) => {
                if broken && !tell(&events, [Event::Restored]) {
                    return;
                }
                broken = false;
                pass_on(notices, &events).await;
                "the connection to PostgreSQL broke".to_owned()
            }
            Err(error) => error.to_string(),
        };
        if !broken && !tell(&events, [Event::Lost(failure)]) {
            return;
        }
        broken = true;
        tokio::time::sleep(Duration::from_millis(500)).await;
        if events.upgrade().is_none() {
            return;
        }
    }
}

/// Until the connection breaks or nobody wants to know any more.
async fn pass_on(mut notices: tokio::sync::mpsc::Receiver<String>, events: &broadcast::WeakSender<Event>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let mut found = HashSet::new();
        tokio::select! {
            notice = notices.recv() => match notice {
                Some(notice) => read_notice(&notice, &mut found),
                None => return,
            },
            _ = tick.tick() => found.extend([Event::Overview, Event::Errors, Event::Log]),
        }
        while let Ok(notice) = notices.try_recv() {
            read_notice(&notice, &mut found);
        }
        if !tell(events, found) {
            return;
        }
        tokio::time::sleep(FOLD).await;
    }
}

/// False when nobody holds the door any more.
fn tell(events: &broadcast::WeakSender<Event>, found: impl IntoIterator<Item = Event>) -> bool {
    let Some(sender) = events.upgrade() else { return false };
    for event in found {
        // Without a receiver there is nobody to tell, which is no failure.
        let _ = sender.send(event);
    }
    true
}

fn read_notice(notice: &str, found: &mut HashSet<Event>) {
    let mut words = notice.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some("log"), ..) => {
            found.insert(Event::Log);
        }
        (Some("overview" | "settings"), ..) => {
            found.insert(Event::Overview);
        }
        (Some("errors"), ..) => found.extend([Event::Errors, Event::Overview]),
        (Some("rows"), Some(rows), Some(table)) => {
            found.extend([Event::Errors, Event::Overview]);
            let rows = rows.split(',').filter_map(|row| row.parse().ok());
            found.extend(rows.map(|row| Event::Record(RowRef { table: table.to_owned(), row: RowId(row) })));
        }
        (Some("retry"), Some(row), Some(table)) => {
            found.insert(Event::Errors);
            if let Ok(row) = row.parse() {
                found.insert(Event::Record(RowRef { table: table.to_owned(), row: RowId(row) }));
            }
        }
        _ => {}
    }
}
