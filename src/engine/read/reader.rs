//! A mapping's reader: polls by SystemModstamp (or what the object has of it) with look-back, and deletes, after the load
//! (next door). One engine at a time reads a mapping, by a named lease.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::domain::errors::sync_error::Class;
use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::domain::reports::forecast::COUNT_INTERVAL;
use crate::domain::reports::run::{Run, RunKind};
use crate::domain::state::MappingState;
use crate::postgres::errors::sync_errors::NewError;
use crate::postgres::reports::status::Lease;
use crate::postgres::tables::rows::RecordRow;
use crate::postgres::{self, failpoint};
use crate::salesforce::{self, value};

use super::apply::apply;
use super::changes::{Fetched, look, once_more};
use super::fetch::{ReadError, count, lease_length, records};
use super::{load, refused};
use crate::engine::{Shared, connection, schema, table_check};

/// After a failure.
const FAILURE_PAUSE: Duration = Duration::from_secs(5);
/// Between looks at what change events ask for, should an announcement be missed.
const LOOK: Duration = Duration::from_secs(5);
/// Between two reads of records that events name.
const SPACING: Duration = Duration::from_millis(250);
/// After a failure, at most, where change events ask for something.
const ASKED_PAUSE: Duration = Duration::from_secs(60);
/// Before a record is read again whose row somebody held, at first; twice as long each time, up to the other.
const LEFT_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_LEFT_PAUSE: Duration = Duration::from_secs(60);
/// Rows that one announcement names at most; PostgreSQL's take 8,000 bytes.
const ANNOUNCED: usize = 200;

/// Runs until the end of the engine.
pub(in crate::engine) async fn run(shared: Arc<Shared>, name: String) {
    let mut counted: Option<Instant> = None;
    let mut shape = None;
    let mut told = None;
    while !shared.stop.is_cancelled() {
        let mappings = shared.mappings();
        let Some(mapping) = mappings.iter().find(|mapping| mapping.object == name) else { return };
        tell_costs(&shared, mapping, &mut told);
        let mut pause = None;
        let mut rest = Rest::default();
        if let Some(wait) = shared.link.closed_for() {
            pause = Some(wait.min(FAILURE_PAUSE));
        } else if mapping.gone || shared.guard.is_unfit(&mapping.table) {
            // What was listed is waited for.
        } else {
            let begun = shared.link.begin();
            match poll(&shared, mapping, &mut shape).await {
                // Another engine reads it: nothing was asked, so nothing is known.
                Ok(false) => rest.fetches = true,
                Ok(true) => {
                    (rest.fetches, rest.is_ours) = (true, true);
                    connection::works(&shared, begun).await;
                    if counted.is_none_or(|at| at.elapsed() >= COUNT_INTERVAL) {
                        counted = Some(Instant::now());
                        count(&shared, mapping).await;
                    }
                }
                Err(error) => {
                    report(&shared, mapping, &error).await;
                    // What events asked for must not wait as long as polls may where events come.
                    let most = if mapping.rules.change_events { ASKED_PAUSE } else { Duration::MAX };
                    pause = Some(mapping.rules.poll_interval.min(most).max(FAILURE_PAUSE));
                }
            }
        }
        rest.until_poll(&shared, &name, pause).await;
    }
}

/// The time between two polls.
struct Rest {
    began: Instant,
    /// Whether records that events name are read meanwhile: not where the poll before did not read.
    fetches: bool,
    /// Whether it was this engine that polled.
    is_ours: bool,
    /// When some were read last.
    fetched: Option<Instant>,
    /// How long it is waited for rows that somebody holds.
    left_pause: Duration,
}

impl Default for Rest {
    fn default() -> Rest {
        Rest { began: Instant::now(), fetches: false, is_ours: false, fetched: None, left_pause: LEFT_PAUSE }
    }
}

impl Rest {
    /// Waits for the next poll: `pause`, or as the rules say.
    async fn until_poll(mut self, shared: &Shared, name: &str, mut pause: Option<Duration>) {
        self.began = Instant::now();
        loop {
            // Before the look: what is asked for, and an interval that becomes shorter, is not missed.
            let (polls, events) = (shared.wake_readers.notified(), shared.wake_events.notified());
            let mappings = shared.mappings();
            let Some(mapping) = mappings.iter().find(|mapping| mapping.object == name) else { return };
            let mut look = Duration::MAX;
            if pause.is_none() && self.fetches && mapping.rules.change_events {
                match self.fetch(shared, mapping).await {
                    Ok(Some(next)) => look = next,
                    Ok(None) => return,
                    Err(error) => {
                        report(shared, mapping, &error).await;
                        // The poll reads them too.
                        pause = Some(self.began.elapsed() + FAILURE_PAUSE);
                    }
                }
            } else {
                shared.flows.set(name, false);
            }
            let stretch = shared.config.salesforce.api_budget.stretch(shared.client.usage());
            let pause =
                pause.unwrap_or_else(|| mapping.rules.poll_pause(shared.flows.is(name)).mul_f64(stretch));
            let left = pause.saturating_sub(self.began.elapsed());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(look)) => {}
                () = polls => return,
                () = events => {}
                () = shared.stop.cancelled() => return,
            }
        }
    }

    /// Reads what events ask for. Returns when to look again, `None` where a poll is to be made now.
    async fn fetch(&mut self, shared: &Shared, mapping: &Mapping) -> Result<Option<Duration>, ReadError> {
        let due = shared.store.events_due(&mapping.object, &mapping.table).await?;
        shared.flows.set(&mapping.object, due.flows);
        let lease = Lease { name: format!("reader {}", mapping.object), owner: shared.owner.clone() };
        if !self.is_ours {
            // Another engine reads it, and is woken too. If its lease has ended, this one begins with a poll.
            let taken = shared.store.lease(&lease, lease_length(shared, mapping)).await?;
            return Ok((!taken).then_some(LOOK));
        }
        if due.poll {
            return Ok(None);
        }
        if !due.records {
            return Ok(Some(LOOK));
        }
        // One that comes alone is read at once; of many those that come meanwhile are read together.
        let spacing = self.fetched.map_or(Duration::ZERO, |at| SPACING.saturating_sub(at.elapsed()));
        if !spacing.is_zero() {
            return Ok(Some(spacing));
        }
        self.fetched = Some(Instant::now());
        if !shared.store.lease(&lease, lease_length(shared, mapping)).await?
            || !shared.store.cursor(&mapping.object).await?.loaded
        {
            return Ok(Some(LOOK));
        }
        failpoint::pass(failpoint::BEFORE_FETCH).await?;
        let run = Run::begin(&mapping.object, RunKind::Poll);
        let fetched = once_more(shared, &lease, mapping).await?;
        tell_fetched(shared, mapping, run, &fetched).await?;
        if !fetched.is_left {
            self.left_pause = LEFT_PAUSE;
            return Ok(Some(SPACING));
        }
        let pause = self.left_pause;
        self.left_pause = (pause * 2).min(LONGEST_LEFT_PAUSE);
        Ok(Some(pause))
    }
}

/// Keeps and tells what was read between two polls.
async fn tell_fetched(
    shared: &Shared,
    mapping: &Mapping,
    mut run: Run,
    fetched: &Fetched,
) -> Result<(), ReadError> {
    if fetched.written == 0 {
        return Ok(());
    }
    (run.records, run.changed) = (fetched.records as i64, fetched.written as i64);
    run.ended_at = chrono::Utc::now();
    shared.metrics.read(&mapping.object, run.changed);
    shared.store.keep_run(&run).await?;
    let _ = announce(shared, mapping, &fetched.changed).await;
    shared.log.of("reader").info(
        format!("{} read by change events: {} rows changed", mapping.object, fetched.written),
        json!({"mapping": mapping.object, "records": fetched.records}),
    );
    shared.store.notify("overview").await?;
    Ok(())
}

/// Says once what it costs that the object lacks some of Salesforce's own fields.
fn tell_costs(shared: &Shared, mapping: &Mapping, told: &mut Option<String>) {
    let costs = mapping.system.costs();
    if costs == *told {
        return;
    }
    if let Some(costs) = &costs {
        let text = format!("{} is not read as others are: {costs}", mapping.object);
        shared.log.of("reader").warn(text, json!({"mapping": mapping.object}));
    }
    *told = costs;
}

/// One look at Salesforce, when this engine holds the mapping's lease; false when it does not. `shape` is what the table's
/// constraints were at the last one.
async fn poll(
    shared: &Arc<Shared>,
    mapping: &Mapping,
    shape: &mut Option<String>,
) -> Result<bool, ReadError> {
    let lease = Lease { name: format!("reader {}", mapping.object), owner: shared.owner.clone() };
    if !shared.store.lease(&lease, lease_length(shared, mapping)).await? {
        return Ok(false);
    }
    let mut cursor = shared.store.cursor(&mapping.object).await?;
    let mut run = Run::begin(&mapping.object, RunKind::Poll);
    if (!cursor.loaded || cursor.reload.is_some()) && !load::run(shared, mapping, &lease, &mut cursor).await?
    {
        return Ok(true);
    }
    let began_at = match mapping.rules.change_events {
        true => Some(shared.store.now().await?),
        false => None,
    };
    let (mut read, deleted) = look(shared, &lease, mapping, &mut cursor, &mut run).await?;
    read.changed.extend(refused::retry(shared, &lease, mapping, shape).await?);
    if let Some(began_at) = began_at {
        shared.store.event_poll_done(&mapping.object, began_at).await?;
    }
    let resolved = shared.store.resolve_mapping_errors(&mapping.object, &["read"]).await?;
    let well = !shared.guard.is_defective(&mapping.object);
    let costs = mapping.system.costs();
    let news =
        well && shared.store.set_mapping_state(&mapping.object, MappingState::Ok, costs.as_deref()).await?;
    shared.metrics.read(&mapping.object, run.changed);
    if run.changed + run.failed > 0 {
        shared.store.keep_run(&run).await?;
    }
    // It was read: that nobody hears of it at once is no failure.
    let _ = announce(shared, mapping, &read.changed).await;
    if read.written + deleted > 0 || news || resolved > 0 {
        shared.log.of("reader").info(
            format!("{} read: {} rows changed, {deleted} deleted", mapping.object, read.written),
            json!({"mapping": mapping.object, "records": read.records}),
        );
        shared.store.notify("overview").await?;
    } else {
        shared.log.of("reader").debug(
            format!("{} read: nothing new", mapping.object),
            json!({"mapping": mapping.object, "records": read.records}),
        );
    }
    Ok(true)
}

/// Tells whoever looks at one of these rows. Of more than a few, somebody who looks at one sees it a little later.
async fn announce(shared: &Shared, mapping: &Mapping, rows: &[RowId]) -> Result<(), postgres::Error> {
    if rows.is_empty() || rows.len() > ANNOUNCED {
        return Ok(());
    }
    let rows: Vec<String> = rows.iter().map(ToString::to_string).collect();
    shared.store.notify(&format!("read {} {}", rows.join(","), mapping.table)).await
}

/// Keeps a poll that failed whole.
async fn note_failed(shared: &Shared, mapping: &Mapping, code: &str, text: &str) {
    let mut run = Run::begin(&mapping.object, RunKind::Poll);
    run.failed = 1;
    run.codes.insert(code.to_owned(), 1);
    run.failure = Some(text.to_owned());
    let _ = shared.store.keep_run(&run).await;
}

async fn report(shared: &Shared, mapping: &Mapping, error: &ReadError) {
    let source = match error {
        ReadError::Salesforce(source) if connection::concerns_link(source) => {
            connection::report(shared, source).await;
            return;
        }
        ReadError::Salesforce(source) => {
            connection::note_unusable(shared, source).await;
            source
        }
        ReadError::Postgres(error) => {
            if error.is_of_this_table() {
                table_check::look(shared).await;
            }
            let text = error.masked(std::iter::once(mapping));
            shared.log.of("reader").error(
                format!("{} cannot be read into its table", mapping.object),
                json!({"mapping": mapping.object, "cause": text}),
            );
            // What PostgreSQL itself refuses stays until somebody looks; a lost connection does not.
            if error.sql_state().is_some_and(|state| !state.code().starts_with("57")) {
                let new = read_failure(mapping, ErrorSource::Postgres, "TABLE_NOT_WRITTEN", &text);
                let _ = shared.store.keep_mapping_error(&mapping.table, &new, Some(FAILURE_PAUSE)).await;
                note_failed(shared, mapping, "TABLE_NOT_WRITTEN", &text).await;
            }
            return;
        }
    };
    if let salesforce::Error::Api { code, .. } = source
        && ["INVALID_FIELD", "INVALID_TYPE", "NOT_FOUND"].contains(&code.as_str())
        && schema::look(shared, &mapping.object, true).await
    {
        // The org changed, and that is listed now: the next read asks for what is there.
        return;
    }
    let (code, message) = match source {
        salesforce::Error::Api { code, message, .. } => (code.clone(), message.trim().to_owned()),
        other @ salesforce::Error::Unusable { .. } => ("ANSWER_UNUSABLE".to_owned(), other.to_string()),
        other => ("REQUEST_TIMEOUT".to_owned(), other.to_string()),
    };
    let new = read_failure(mapping, ErrorSource::Salesforce, &code, &message);
    let transient = new.class == Class::Transient;
    shared.log.of("reader").warn(
        format!("{} cannot be read", mapping.object),
        json!({"mapping": mapping.object, "code": code, "cause": message}),
    );
    let _ = shared.store.keep_mapping_error(&mapping.table, &new, Some(FAILURE_PAUSE)).await;
    note_failed(shared, mapping, &code, &message).await;
    if !transient {
        let _ = shared
            .store
            .set_mapping_state(&mapping.object, MappingState::Broken, Some(&format!("{code}: {message}")))
            .await;
    }
    let _ = shared.store.notify("errors").await;
}

fn read_failure(mapping: &Mapping, source: ErrorSource, code: &str, message: &str) -> NewError {
    NewError::classified(&mapping.object, "read", source, code, message, Vec::new())
}

/// Reads an object's definition again, and one record, for somebody who asked.
///
/// # Errors
/// Why that could not be done, in words.
pub(in crate::engine) async fn reread(
    shared: &Shared,
    mapping: &Mapping,
    at: &RowRef,
) -> Result<Value, String> {
    schema::look(shared, &mapping.object, true).await;
    let mappings = shared.mappings();
    let told = |error: postgres::Error| error.masked(mappings.iter());
    let mapping = mappings.iter().find(|fresh| fresh.object == mapping.object).unwrap_or(mapping);
    let lease = Lease { name: format!("reader {}", mapping.object), owner: shared.owner.clone() };
    let Some(sfid) = shared.store.sfid_of(at).await.map_err(told)? else { return Ok(Value::Null) };
    // The engine that reads the mapping does so by its own poll.
    if !shared.store.lease(&lease, lease_length(shared, mapping)).await.map_err(told)? {
        return Ok(Value::Null);
    }
    let asked_at = shared.store.now().await.map_err(told)?;
    let found = records(&shared.client, mapping, &[&sfid]).await.map_err(|error| error.to_string())?;
    let rows: Vec<RecordRow> = found.values().map(|record| value::to_row(mapping, record)).collect();
    let applied = apply(shared, &lease, mapping, &rows, asked_at).await.map_err(|error| match error {
        ReadError::Postgres(error) => told(error),
        ReadError::Salesforce(error) => error.to_string(),
    })?;
    if applied.refused.is_empty() {
        return Ok(json!(rows.len()));
    }
    Err(format!("PostgreSQL refuses the record {sfid}; its error says why\nlist it with: syncdeck errors"))
}
