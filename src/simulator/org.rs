//! The org's state: records, journal, sessions; and what its users and administrators do without the API.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use super::faults::{FaultCounts, FaultState, Faults};
use super::save::{self, Rejection};
use super::schema::{ObjectDef, demo_objects, read_objects};

/// How an org is made.
#[derive(Clone, Debug)]
pub struct OrgOptions {
    /// The dice of the faults.
    pub seed: u64,
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
    /// How long a client waits for an answer that is lost, before its connection ends.
    pub lost_after: Duration,
}

impl Default for OrgOptions {
    fn default() -> OrgOptions {
        OrgOptions {
            seed: 1,
            client_id: "simulated-app".to_owned(),
            client_secret: "simulated-secret".to_owned(),
            username: "integration@acme.example".to_owned(),
            public_key: None,
            refresh_token: "5Aep861SIMULATED".to_owned(),
            rotate_refresh_tokens: false,
            daily_limit: 100_000,
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
    /// `create`, `update` or `delete`.
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

/// One record.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) id: String,
    /// Values by field name; a missing one is null.
    pub(super) fields: Map<String, Value>,
    pub(super) created: DateTime<Utc>,
    pub(super) modified: DateTime<Utc>,
    pub(super) deleted: bool,
}

impl Record {
    /// A field's value, the system's own included.
    pub(super) fn get(&self, field: &str) -> Value {
        match field {
            "Id" => Value::from(self.id.clone()),
            "IsDeleted" => Value::from(self.deleted),
            "CreatedDate" => Value::from(datetime(self.created)),
            "LastModifiedDate" | "SystemModstamp" => Value::from(datetime(self.modified)),
            other => self.fields.get(other).cloned().unwrap_or(Value::Null),
        }
    }
}

/// As Salesforce writes instants: whole seconds, offset without a colon.
pub(super) fn datetime(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S.000+0000").to_string()
}

/// The records of one object with its definition.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) def: ObjectDef,
    pub(super) records: BTreeMap<String, Record>,
    /// (unique field, folded value) -> id.
    pub(super) unique: HashMap<(String, String), String>,
    pub(super) next_id: u64,
    pub(super) described: DateTime<Utc>,
}

impl Table {
    fn of(def: ObjectDef, described: DateTime<Utc>) -> Table {
        Table { def, records: BTreeMap::new(), unique: HashMap::new(), next_id: 1, described }
    }
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) options: OrgOptions,
    pub(super) tables: Vec<Table>,
    pub(super) journal: Vec<JournalEntry>,
    pub(super) faults: FaultState,
    pub(super) tokens: Vec<String>,
    pub(super) requests: u64,
    /// Positions of queries that have more pages.
    pub(super) cursors: HashMap<String, Vec<Value>>,
    pub(super) next_cursor: u64,
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
        self.tables.iter().find_map(|table| Some((table, table.records.get(&id)?)))
    }
}

/// A simulated org. Cheap to clone; all clones are one org.
#[derive(Clone, Debug)]
pub struct Org {
    state: Arc<Mutex<State>>,
}

impl Org {
    /// An org with the demo's objects and no records.
    pub fn new(options: OrgOptions) -> Org {
        let described = Utc::now();
        let tables = demo_objects().into_iter().map(|def| Table::of(def, described)).collect();
        let faults = FaultState::new(options.seed);
        let state = State {
            options,
            tables,
            journal: Vec::new(),
            faults,
            tokens: Vec::new(),
            requests: 0,
            cursors: HashMap::new(),
            next_cursor: 1,
            hidden: Vec::new(),
        };
        Org { state: Arc::new(Mutex::new(state)) }
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

    /// Accepted writes after `seq`.
    pub fn journal_since(&self, seq: u64) -> Vec<JournalEntry> {
        let state = self.lock();
        let from = usize::try_from(seq).unwrap_or(usize::MAX).min(state.journal.len());
        state.journal[from..].to_vec()
    }

    /// Sets what is to go wrong.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults.faults = faults;
    }

    /// Changes what is to go wrong.
    pub fn change_faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.lock().faults.faults);
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
        let records = state.table(object).map(|table| table.records.values());
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
        save::delete(&mut state, id, &save::Writer::user()).map(drop).map_err(|rejection| {
            let _ = object;
            first_message(rejection)
        })
    }

    /// Makes all that an object has older, as if it had been written long ago.
    pub fn backdate(&self, object: &str, by: TimeDelta) {
        let mut state = self.lock();
        if let Some(table) = state.table_mut(object) {
            table.records.values_mut().for_each(|record| record.modified -= by);
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

/// Makes the 18-character id of record `number` of an object.
pub(super) fn make_id(prefix: &str, number: u64) -> String {
    const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut digits = [b'0'; 8];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[usize::try_from(rest % 62).unwrap_or(0)];
        rest /= 62;
    }
    let short = format!("{prefix}sd00{}", String::from_utf8_lossy(&digits));
    long_id(&short).unwrap_or(short)
}

/// The 18-character form of an id of 15 or 18; `None` when it is no id.
pub(super) fn long_id(id: &str) -> Option<String> {
    if !(id.len() == 15 || id.len() == 18) || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let short = &id[..15];
    let mut long = short.to_owned();
    for five in short.as_bytes().chunks(5) {
        let bits = (0..5).filter(|&k| five[k].is_ascii_uppercase()).map(|k| 1_u8 << k).sum::<u8>();
        long.push(char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[usize::from(bits)]));
    }
    (id.len() == 15 || long.eq_ignore_ascii_case(id)).then_some(long)
}
