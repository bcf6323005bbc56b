//! The org's state: records, journal, sessions; and what its users and administrators do without the API.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::{Map, Value};
use tokio::sync::Notify;

use super::bulk::jobs::Jobs;
use super::cursors::Cursors;
use super::faults::{Early, FaultCounts, FaultState, Faults};
use super::fields::Fields;
use super::ids::long_id;
use super::journal::{Journal, JournalEntry};
use super::records::Record;
use super::rejection::Rejection;
use super::rules::Rules;
use super::save;
use super::schema::{FieldDef, demo_objects, read_objects};
use super::streaming::clients::Clients;
use super::streaming::events::Events;
use super::tables::{Seen, Snapshot, Table};
use super::undo::UndoLog;
use super::users::{User, own_records};

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
    /// The user's password, for those who still log in by it.
    pub password: String,
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
    /// Whether it has the Bulk API before 2.0.
    pub classic_bulk: bool,
    /// Bulk jobs a day that may read.
    pub daily_query_jobs: u64,
    /// MiB a day that the results of such jobs may have.
    pub daily_query_storage: u64,
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
    /// Writes that the journal keeps; the oldest make room.
    pub kept_writes: usize,
    /// Change events a day that may be delivered, to all who listen together.
    pub daily_events: u64,
    /// How long a client of the Streaming API waits for an event, before its request is answered without one.
    pub long_poll: Duration,
    /// How soon it must come back then.
    pub reconnect_within: Duration,
    /// How much longer every answer takes, whatever else goes wrong.
    pub latency: Duration,
    /// How long a client waits for an answer that is lost, before its connection ends.
    pub lost_after: Duration,
}

impl Default for OrgOptions {
    fn default() -> OrgOptions {
        OrgOptions {
            seed: 1,
            organisation: "00Dsd0000000001EAA".to_owned(),
            client_id: "simulated-app".to_owned(),
            client_secret: "simulated-secret".to_owned(),
            username: "integration@acme.example".to_owned(),
            password: "simulated-password".to_owned(),
            public_key: None,
            refresh_token: "5Aep861SIMULATED".to_owned(),
            rotate_refresh_tokens: false,
            daily_limit: 100_000,
            daily_bulk_batches: 15_000,
            classic_bulk: true,
            daily_query_jobs: 10_000,
            daily_query_storage: 976_562,
            bulk_page: 50_000,
            bulk_page_limit: 250_000,
            upload_limit: 100 * 1024 * 1024,
            selectable_entities: 5,
            kept_events: 100_000,
            kept_writes: 500_000,
            daily_events: 50_000,
            long_poll: Duration::from_secs(110),
            reconnect_within: Duration::from_secs(40),
            latency: Duration::ZERO,
            lost_after: Duration::from_secs(300),
        }
    }
}

impl OrgOptions {
    /// Whether somebody knows the user's password; a security token may stand behind it.
    pub(super) fn is_password(&self, username: &str, password: &str) -> bool {
        username == self.username && !self.password.is_empty() && password.starts_with(&self.password)
    }
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) options: OrgOptions,
    pub(super) tables: Vec<Table>,
    pub(super) journal: Journal,
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
    pub(super) rules: Rules,
    /// What was written that can still be taken back.
    pub(super) undo: Option<UndoLog>,
    /// While a transaction is open: what all others see.
    pub(super) committed: Option<Committed>,
}

/// The org without what an open transaction wrote.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) snapshot: Snapshot,
    /// The newest position of the journal.
    pub(super) journal: u64,
}

/// The right to write; whoever has it and wants the state takes that second.
pub(super) type Turn<'a> = MutexGuard<'a, ()>;

impl State {
    pub(super) fn table(&self, object: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.def.name.eq_ignore_ascii_case(object))
    }

    pub(super) fn table_mut(&mut self, object: &str) -> Option<&mut Table> {
        self.tables.iter_mut().find(|table| table.def.name.eq_ignore_ascii_case(object))
    }

    /// A record by id, whatever its object.
    pub(super) fn find(&self, id: &str) -> Option<(&Table, &Arc<Record>)> {
        let id = long_id(id)?;
        self.tables.iter().find_map(|table| Some((table, table.records.get(&id)?)))
    }

    /// Begins a session; of so many the oldest makes room.
    pub(super) fn begin_session(&mut self, token: String, most: usize) {
        while self.tokens.len() >= most {
            let oldest = self.tokens.remove(0);
            self.cursors.end(&oldest);
        }
        self.tokens.push(token);
    }

    /// Ends a session with its queries; whether there was one.
    pub(super) fn end_session(&mut self, token: &str) -> bool {
        let known = self.tokens.len();
        self.tokens.retain(|session| session != token);
        self.cursors.end(token);
        self.tokens.len() < known
    }

    /// Counts a request of a session; its number, and the fault that answers it before anybody reads it.
    pub(super) fn begin_request(&mut self) -> (u64, Option<Early>) {
        self.requests += 1;
        let early = self.faults.early();
        if early == Some(Early::SessionExpired) {
            self.end_sessions();
        }
        (self.requests, early)
    }

    pub(super) fn end_sessions(&mut self) {
        self.tokens.clear();
        self.cursors.end_all();
    }

    /// What a query sees: of an open transaction only its own parts see what it wrote.
    pub(super) fn seen(&self, is_part: bool) -> Seen<'_> {
        match &self.committed {
            Some(committed) if !is_part => {
                Seen::without(self.undo.as_ref(), committed.snapshot.clone(), &self.tables)
            }
            _ => Seen::of(&self.tables),
        }
    }

    /// The ids of an object's records that have a value in a field by which records are found, in the form in which values are
    /// compared.
    pub(super) fn ids_by(&self, object: &str, field: &FieldDef, value: &str, is_part: bool) -> Vec<String> {
        let Seen { snapshot, keys } = self.seen(is_part);
        let place = snapshot.place(object);
        place.map(|place| keys.ids_by(&snapshot, place, field, value)).unwrap_or_default()
    }
}

/// A simulated org. Cheap to clone; all clones are one org.
#[derive(Clone, Debug)]
pub struct Org {
    state: Arc<Mutex<State>>,
    /// Who writes.
    turn: Arc<Mutex<()>>,
    /// Told when faults or jobs were changed from outside.
    changed: Arc<Notify>,
}

impl Org {
    /// An org with the demo's objects and no records.
    pub fn new(options: OrgOptions) -> Org {
        let described = Utc::now().trunc_subsecs(0);
        let mut tables: Vec<Table> =
            demo_objects().into_iter().map(|def| Table::of(def, described)).collect();
        let (rules, watched) = Rules::demo(&tables);
        for table in &mut tables {
            for rule in &watched {
                if rule.object == table.def.name {
                    table.watch(&rule.name, &rule.fields);
                }
            }
            add_own(table, &options, described);
        }
        let faults = FaultState::new(options.seed);
        let (events, journal) = (Events::new(options.kept_events), Journal::new(options.kept_writes));
        let state = State {
            options,
            tables,
            journal,
            faults,
            tokens: Vec::new(),
            spent_refresh_tokens: Vec::new(),
            requests: 0,
            cursors: Cursors::default(),
            jobs: Jobs::default(),
            events,
            clients: Clients::default(),
            hidden: Vec::new(),
            rules,
            undo: None,
            committed: None,
        };
        Org { state: Arc::new(Mutex::new(state)), turn: Arc::default(), changed: Arc::default() }
    }

    /// Gives the org more objects, written as those of the demo org (`assets/demo/org.txt`).
    pub fn define(&self, text: &str) {
        let described = Utc::now();
        let tables = read_objects(text).into_iter().map(|def| Table::of(def, described));
        let _turn = self.turn();
        self.lock().tables.extend(tables);
    }

    /// The state; a panic in another request does not close the org.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody else writes. What has the state already must not wait here.
    pub(super) fn turn(&self) -> Turn<'_> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is told when faults or jobs were changed from outside.
    pub(super) fn changed(&self) -> &Notify {
        &self.changed
    }

    /// Accepted writes after `seq`, as far as they are still kept ([`Org::journal_forgotten`]).
    pub fn journal_since(&self, seq: u64) -> Vec<JournalEntry> {
        let kept = {
            let state = self.lock();
            let end = state.committed.as_ref().map_or(u64::MAX, |committed| committed.journal);
            state.journal.between(seq, end)
        };
        kept.into_iter().map(|(seq, entry)| entry.told(seq)).collect()
    }

    /// The position of the newest accepted write, as [`Org::journal_since`] numbers them.
    pub fn journal_end(&self) -> u64 {
        let state = self.lock();
        state.committed.as_ref().map_or_else(|| state.journal.end(), |committed| committed.journal)
    }

    /// How many of the oldest writes the journal keeps no more ([`OrgOptions::kept_writes`]).
    pub fn journal_forgotten(&self) -> u64 {
        self.lock().journal.forgotten()
    }

    /// How many API requests were made, by all programs together.
    pub fn requests(&self) -> u64 {
        self.lock().requests
    }

    /// How many jobs of Bulk API 2.0 that read were made.
    pub fn query_jobs(&self) -> u64 {
        self.lock().jobs.queries
    }

    /// How many jobs of Bulk API 2.0 that write are there, and how many of them are open.
    pub fn ingest_jobs(&self) -> (usize, usize) {
        let state = self.lock();
        let jobs = || state.jobs.ingest.values().filter(|job| !job.is_batch());
        (jobs().count(), jobs().filter(|job| job.is_open()).count())
    }

    /// Ends all jobs of Bulk API 2.0 that write, and forgets them.
    pub fn forget_ingest_jobs(&self) {
        self.lock().jobs.ingest.retain(|_, job| job.is_batch());
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
        let snapshot = self.snapshot();
        let view = &snapshot.views[snapshot.place(object)?];
        let record = view.records.get(&long_id(id)?).filter(|record| !record.deleted)?;
        Some(view.def.fields.iter().map(|field| (field.name.clone(), record.get(&field.name))).collect())
    }

    /// A record's id by its external id.
    pub fn find_by_external_id(&self, object: &str, key: &str) -> Option<String> {
        let state = self.lock();
        let def = state.table(object)?.def.clone();
        let field = def.field("External_Id__c")?;
        let key = field.folded(&Value::from(key))?;
        state.ids_by(object, field, &key, false).into_iter().next()
    }

    /// The ids of an object's records, deleted ones left out.
    pub fn ids(&self, object: &str) -> Vec<String> {
        let snapshot = self.snapshot();
        let records = snapshot.place(object).map(|place| snapshot.views[place].records.iter());
        records
            .into_iter()
            .flatten()
            .filter(|record| !record.deleted)
            .map(|record| record.id.clone())
            .collect()
    }

    /// All objects as they are now, without what an open transaction wrote.
    pub(super) fn snapshot(&self) -> Snapshot {
        self.lock().seen(false).snapshot
    }

    /// Somebody in the org creates a record.
    ///
    /// # Errors
    /// As through the API.
    pub fn user_create(&self, object: &str, fields: Map<String, Value>) -> Result<String, String> {
        let (_turn, mut state) = (self.turn(), self.lock());
        save::create(&mut state, object, fields, &save::Writer::user()).map_err(first_message)
    }

    /// Somebody in the org changes a record.
    ///
    /// # Errors
    /// As through the API.
    pub fn user_update(&self, object: &str, id: &str, fields: Map<String, Value>) -> Result<(), String> {
        let (_turn, mut state) = (self.turn(), self.lock());
        save::update(&mut state, object, id, fields, &save::Writer::user()).map_err(first_message)
    }

    /// Somebody in the org deletes a record.
    ///
    /// # Errors
    /// As through the API.
    pub fn user_delete(&self, object: &str, id: &str) -> Result<(), String> {
        let (_turn, mut state) = (self.turn(), self.lock());
        save::delete_of(&mut state, object, id, &save::Writer::user()).map(drop).map_err(first_message)
    }

    /// Somebody in the org takes a deleted record out of the recycle bin.
    ///
    /// # Errors
    /// As through the API.
    pub fn user_undelete(&self, object: &str, id: &str) -> Result<(), String> {
        let (_turn, mut state) = (self.turn(), self.lock());
        save::undelete(&mut state, object, id, &save::Writer::user()).map_err(first_message)
    }

    /// Makes all that an object has older, as if it had been written long ago.
    pub fn backdate(&self, object: &str, by: TimeDelta) {
        let (_turn, mut state) = (self.turn(), self.lock());
        if let Some(table) = state.table_mut(object) {
            table.records.change_all(|record| record.modified -= by);
        }
    }
}

/// The records that every org has.
fn add_own(table: &mut Table, options: &OrgOptions, at: DateTime<Utc>) {
    for fields in own_records(&table.def.name, &options.username) {
        let Value::Object(mut fields) = fields else { continue };
        table.def.compose(&mut fields);
        let id = table.records.next_id(&table.def.prefix);
        if table.def.name == "Organization" && id != options.organisation {
            // An org of another id has no record here: ids count up.
            continue;
        }
        let record = Record::new(id, Fields::of(&fields), at, User::Person);
        table.index(&record);
        table.records.put(record);
    }
}

fn first_message(rejections: Vec<Rejection>) -> String {
    rejections
        .into_iter()
        .next()
        .map(|rejection| format!("{}: {}", rejection.code, rejection.message))
        .unwrap_or_default()
}
