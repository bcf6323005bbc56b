//! The org's state: records, journal, sessions; and what its users and administrators do without the API.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::Notify;

use super::bulk::jobs::Jobs;
use super::cursors::Cursors;
use super::faults::{FaultCounts, FaultState, Faults};
use super::ids::long_id;
use super::records::Record;
use super::save::{self, Rejection};
use super::schema::{demo_objects, read_objects};
use super::streaming::clients::Clients;
use super::streaming::events::Events;
use super::tables::Table;

/// How an org is made.
#[derive(Clone, Debug)]
pub struct OrgOptions {
    /// The dice of the faults.
    pub seed: u64,
    /// The id of the org itself.
    pub organisation: String,
    /// The only app that may log in.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The user whom the app may speak for by JWT.
    pub username: String,
    /// The public key of the app's certificate, PEM; without one there is no JWT flow.
    pub public_key: Option<String>,
    /// A refresh token that somebody got at a browser.
    pub refresh_token: String,
    /// Whether a refresh token is good once, and gives the next.
    pub rotate_refresh_tokens: bool,
    /// API requests a day.
    pub daily_limit: u64,
    /// Batches of 10,000 rows a day that Bulk jobs may bring.
    pub daily_bulk_batches: u64,
    /// Bulk jobs a day that may read.
    pub daily_query_jobs: u64,
    /// Records on a page of a Bulk query's results, where nothing else is asked for.
    pub bulk_page: usize,
    /// Records on such a page at most, whatever is asked for.
    pub bulk_page_limit: usize,
    /// Bytes of one upload to a Bulk job; in base64 they may be half as many again.
    pub upload_limit: usize,
    /// Objects whose changes may be told as events.
    pub selectable_entities: usize,
    /// Change events that are kept to be told again; Salesforce keeps those of three days.
    pub kept_events: usize,
    /// Change events a day that may be delivered, to all who listen together.
    pub daily_events: u64,
    /// How long a client of the Streaming API waits for an event, before its request is answered without one.
    pub long_poll: Duration,
    /// How soon it must come back then.
    pub reconnect_within: Duration,
    /// How long a client waits for an answer that is lost, before its connection ends.
    pub lost_after: Duration,
}

impl Default for OrgOptions {
    fn default() -> OrgOptions {
        OrgOptions {
            seed: 1,
            organisation: "00Dsd0000000001MAA".to_owned(),
            client_id: "simulated-app".to_owned(),
            client_secret: "simulated-secret".to_owned(),
            username: "integration@acme.example".to_owned(),
            public_key: None,
            refresh_token: "5Aep861SIMULATED".to_owned(),
            rotate_refresh_tokens: false,
            daily_limit: 100_000,
            daily_bulk_batches: 15_000,
            daily_query_jobs: 10_000,
            bulk_page: 50_000,
            bulk_page_limit: 250_000,
            upload_limit: 100 * 1024 * 1024,
            selectable_entities: 5,
            kept_events: 100_000,
            daily_events: 50_000,
            long_poll: Duration::from_secs(110),
            reconnect_within: Duration::from_secs(40),
            lost_after: Duration::from_secs(300),
        }
    }
}

/// One accepted write.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JournalEntry {
    /// Position, from 1.
    pub seq: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// `api`, or `user` for somebody in the org itself.
    pub source: &'static str,
    /// `create`, `update`, `delete` or `undelete`.
    pub op: &'static str,
    /// Object.
    pub object: String,
    /// Record.
    pub id: String,
    /// Its external id.
    pub external_id: Option<String>,
    /// What was written, as stored.
    pub fields: Map<String, Value>,
    /// Number of the request; 0 for users.
    pub request: u64,
    /// How many records that request held.
    pub batch_size: usize,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) options: OrgOptions,
    pub(super) tables: Vec<Table>,
    pub(super) journal: Vec<JournalEntry>,
    pub(super) faults: FaultState,
    pub(super) tokens: Vec<String>,
    /// Refresh tokens that were good once.
    pub(super) spent_refresh_tokens: Vec<String>,
    pub(super) requests: u64,
    /// Queries that have more pages.
    pub(super) cursors: Cursors,
    pub(super) jobs: Jobs,
    /// What changed, for those who listen.
    pub(super) events: Events,
    pub(super) clients: Clients,
    /// Objects that the login may not see.
    pub(super) hidden: Vec<Table>,
}

impl State {
    pub(super) fn table(&self, object: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.def.name.eq_ignore_ascii_case(object))
    }

    pub(super) fn table_mut(&mut self, object: &str) -> Option<&mut Table> {
        self.tables.iter_mut().find(|table| table.def.name.eq_ignore_ascii_case(object))
    }

    /// A record by id, whatever its object.
    pub(super) fn find(&self, id: &str) -> Option<(&Table, &Record)> {
        let id = long_id(id)?;
        self.tables.iter().find_map(|table| Some((table, table.records.get(&id)?.as_ref())))
    }
}

/// A simulated org. Cheap to clone; all clones are one org.
#[derive(Clone, Debug)]
pub struct Org {
    state: Arc<Mutex<State>>,
    /// Told when faults or jobs were changed from outside.
    changed: Arc<Notify>,
}

impl Org {
    /// An org with the demo's objects and no records.
    pub fn new(options: OrgOptions) -> Org {
        let described = Utc::now();
        let tables = demo_objects().into_iter().map(|def| Table::of(def, described)).collect();
        let faults = FaultState::new(options.seed);
        let events = Events::new(options.kept_events);
        let state = State {
            options,
            tables,
            journal: Vec::new(),
            faults,
            tokens: Vec::new(),
            spent_refresh_tokens: Vec::new(),
            requests: 0,
            cursors: Cursors::default(),
            jobs: Jobs::default(),
            events,
            clients: Clients::default(),
            hidden: Vec::new(),
        };
        Org { state: Arc::new(Mutex::new(state)), changed: Arc::default() }
    }

    /// Gives the org more objects, written as those of the demo org (`assets/demo/org.txt`).
    pub fn define(&self, text: &str) {
        let described = Utc::now();
        let tables = read_objects(text).into_iter().map(|def| Table::of(def, described));
        self.lock().tables.extend(tables);
    }

    /// The state; a panic in another request does not close the org.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is told when faults or jobs were changed from outside.
    pub(super) fn changed(&self) -> &Notify {
        &self.changed
    }

    /// Accepted writes after `seq`.
    pub fn journal_since(&self, seq: u64) -> Vec<JournalEntry> {
        let state = self.lock();
        let from = usize::try_from(seq).unwrap_or(usize::MAX).min(state.journal.len());
        state.journal[from..].to_vec()
    }

    /// How many jobs of Bulk API 2.0 that read were made.
    pub fn query_jobs(&self) -> u64 {
        self.lock().jobs.queries
    }

    /// How many jobs of Bulk API 2.0 that write are there, and how many of them are open.
    pub fn ingest_jobs(&self) -> (usize, usize) {
        let state = self.lock();
        let jobs = &state.jobs.ingest;
        (jobs.len(), jobs.values().filter(|job| job.is_open()).count())
    }

    /// Ends all jobs that write, and forgets them.
    pub fn forget_ingest_jobs(&self) {
        self.lock().jobs.ingest.clear();
        self.changed.notify_waiters();
    }

    /// Sets what is to go wrong.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults.faults = faults;
        self.changed.notify_waiters();
    }

    /// Changes what is to go wrong.
    pub fn change_faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.lock().faults.faults);
        self.changed.notify_waiters();
    }

    /// How often each fault happened.
    pub fn fault_counts(&self) -> FaultCounts {
        self.lock().faults.counts.clone()
    }

    /// A record with all its fields, unless it is deleted or unknown.
    pub fn record(&self, object: &str, id: &str) -> Option<Map<String, Value>> {
        let state = self.lock();
        let table = state.table(object)?;
        let record = table.records.get(&long_id(id)?).filter(|record| !record.deleted)?;
        Some(table.def.fields.iter().map(|field| (field.name.clone(), record.get(&field.name))).collect())
    }

    /// A record's id by its external id.
    pub fn find_by_external_id(&self, object: &str, key: &str) -> Option<String> {
        let state = self.lock();
        let table = state.table(object)?;
        let key = table.def.field("External_Id__c")?.folded(&Value::from(key))?;
        table.unique.get(&("External_Id__c".to_owned(), key)).cloned()
    }

    /// The ids of an object's records, deleted ones left out.
    pub fn ids(&self, object: &str) -> Vec<String> {
        let state = self.lock();
        let records = state.table(object).map(|table| table.records.iter());
        records
            .into_iter()
            .flatten()
            .filter(|record| !record.deleted)
            .map(|record| record.id.clone())
            .collect()
    }

    /// Somebody in the org creates a record.
    ///
    /// # Errors
    /// As through the API.
    pub fn user_create(&self, object: &str, fields: Map<String, Value>) -> Result<String, String> {
        let mut state = self.lock();
        save::create(&mut state, object, fields, &save::Writer::user()).map_err(first_message)
    }

    /// Somebody in the org changes a record.
    ///
    /// # Errors
    /// As through the API.
    pub fn user_update(&self, object: &str, id: &str, fields: Map<String, Value>) -> Result<(), String> {
        let mut state = self.lock();
        save::update(&mut state, object, id, fields, &save::Writer::user()).map_err(first_message)
    }

    /// Somebody in the org deletes a record.
    ///
    /// # Errors
    /// As through the API.
    pub fn user_delete(&self, object: &str, id: &str) -> Result<(), String> {
        let mut state = self.lock();
        save::delete_of(&mut state, object, id, &save::Writer::user()).map(drop).map_err(first_message)
    }

    /// Somebody in the org takes a deleted record out of the recycle bin.
    ///
    /// # Errors
    /// As through the API.
    pub fn user_undelete(&self, object: &str, id: &str) -> Result<(), String> {
        let mut state = self.lock();
        save::undelete(&mut state, object, id, &save::Writer::user()).map_err(first_message)
    }

    /// Makes all that an object has older, as if it had been written long ago.
    pub fn backdate(&self, object: &str, by: TimeDelta) {
        let mut state = self.lock();
        if let Some(table) = state.table_mut(object) {
            table.records.change_all(|record| record.modified -= by);
        }
    }
}

fn first_message(rejections: Vec<Rejection>) -> String {
    rejections
        .into_iter()
        .next()
        .map(|rejection| format!("{}: {}", rejection.code, rejection.message))
        .unwrap_or_default()
}
