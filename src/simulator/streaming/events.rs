//! What changed, as Change Data Capture tells it: one event a change, of the objects that the administrator selected. They are
//! made where records are saved, and go with them where a transaction is taken back. So many are kept, to be told again.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::simulator::faults::{FaultState, Telling};
use crate::simulator::records::{Record, instant};
use crate::simulator::schema::{Kind, ObjectDef};

/// What an overflow event names instead of a record.
const NO_RECORD: &str = "000000000000000AAA";

/// What happened to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum ChangeType {
    Create,
    Update,
    Delete,
    Undelete,
}

impl ChangeType {
    /// As the journal has it.
    pub(in crate::simulator) fn op(self) -> &'static str {
        match self {
            ChangeType::Create => "create",
            ChangeType::Update => "update",
            ChangeType::Delete => "delete",
            ChangeType::Undelete => "undelete",
        }
    }

    fn word(self) -> &'static str {
        match self {
            ChangeType::Create => "CREATE",
            ChangeType::Update => "UPDATE",
            ChangeType::Delete => "DELETE",
            ChangeType::Undelete => "UNDELETE",
        }
    }
}

/// One event.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) replay: u64,
    pub(super) channel: String,
    transaction: u64,
    header: Map<String, Value>,
    fields: Map<String, Value>,
}

impl Event {
    /// The message in which a channel's subscribers get it.
    pub(super) fn told(&self, channel: &str) -> Value {
        let mut payload = self.fields.clone();
        payload.insert("ChangeEventHeader".to_owned(), Value::Object(self.header.clone()));
        json!({"data": {"schema": "sYnCdEcKsImUlAtEdOrG00", "payload": payload, "event": {"replayId": self.replay}},
            "channel": channel})
    }

    /// Whether another change of the same transaction is the same, but for its record.
    fn is_as(&self, other: &Event) -> bool {
        let word = |event: &Event, key: &str| event.header.get(key).cloned();
        self.transaction == other.transaction
            && self.channel == other.channel
            && self.fields == other.fields
            && ["changeType", "changedFields"].iter().all(|key| word(self, key) == word(other, key))
    }

    fn join(&mut self, other: Event) {
        if let (Some(Value::Array(ids)), Some(Value::Array(more))) =
            (self.header.get_mut("recordIds"), other.header.get("recordIds"))
        {
            ids.extend(more.iter().filter(|id| **id != NO_RECORD).cloned());
        }
    }
}

/// The events of an org.
#[derive(Debug)]
pub(in crate::simulator) struct Events {
    /// The objects whose changes are told.
    selected: BTreeSet<String>,
    kept: VecDeque<Event>,
    /// How many are kept.
    room: usize,
    /// The newest replay id.
    newest: u64,
    /// The newest that is told, while a transaction is open.
    held: Option<u64>,
    commits: u64,
    /// How many were delivered today.
    pub(super) delivered: u64,
    /// Rung when there is a new one, or something else that whoever waits must know.
    pub(super) bell: Arc<Notify>,
}

impl Events {
    pub(in crate::simulator) fn new(room: usize) -> Events {
        Events {
            selected: BTreeSet::new(),
            kept: VecDeque::new(),
            room,
            newest: 0,
            held: None,
            commits: 0,
            delivered: 0,
            bell: Arc::default(),
        }
    }

    /// How many were delivered today.
    pub(in crate::simulator) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Where they end; what comes later is taken back by [`Events::restore`].
    pub(in crate::simulator) fn mark(&self) -> u64 {
        self.newest
    }

    /// Takes the events of a transaction back.
    pub(in crate::simulator) fn restore(&mut self, mark: u64) {
        self.kept.retain(|event| event.replay <= mark);
    }

    /// Tells nothing that comes later, until it is released.
    pub(in crate::simulator) fn hold(&mut self) {
        self.held = Some(self.newest);
    }

    pub(in crate::simulator) fn release(&mut self) {
        self.held = None;
        self.bell.notify_waiters();
    }

    /// Whether an object's changes are told.
    pub(super) fn is_selected(&self, object: &str) -> bool {
        self.selected.contains(object)
    }

    /// Selects an object, up to so many.
    pub(in crate::simulator) fn select(&mut self, object: String, most: usize) {
        if self.selected.len() < most {
            self.selected.insert(object);
        }
    }

    pub(in crate::simulator) fn deselect(&mut self, object: &str) {
        self.selected.retain(|selected| !selected.eq_ignore_ascii_case(object));
    }

    /// Keeps none of those that there were.
    pub(in crate::simulator) fn forget(&mut self) {
        self.kept.clear();
    }

    /// The position of a subscription that begins behind this replay id; `None` where there is no such event any more.
    pub(super) fn position(&self, replay: i64) -> Option<u64> {
        match replay {
            -1 => Some(self.held.unwrap_or(self.newest)),
            -2 => Some(0),
            id => {
                let id = u64::try_from(id).ok()?;
                self.kept.iter().any(|event| event.replay == id).then_some(id)
            }
        }
    }

    /// Events of a channel behind a position, at most so many.
    pub(super) fn since<'a>(
        &'a self,
        position: u64,
        channel: &'a str,
        most: usize,
    ) -> impl Iterator<Item = &'a Event> {
        let from = self.kept.partition_point(|event| event.replay <= position);
        let told = self.held.unwrap_or(u64::MAX);
        let of = move |event: &&Event| channel == ALL || event.channel == channel;
        self.kept.range(from..).take_while(move |event| event.replay <= told).filter(of).take(most)
    }

    fn add(&mut self, mut event: Event) {
        let mut same = self.kept.iter_mut().rev().take_while(|kept| kept.transaction == event.transaction);
        if let Some(same) = same.find(|kept| kept.is_as(&event)) {
            return same.join(event);
        }
        // Ids of one channel are not consecutive, and nobody should count on it.
        self.newest += if self.newest.is_multiple_of(3) { 2 } else { 1 };
        event.replay = self.newest;
        self.kept.push_back(event);
        if self.kept.len() > self.room {
            self.kept.pop_front();
        }
    }

    /// The number of a transaction's commit, and which event of it comes next.
    fn number(&mut self, transaction: u64) -> (u64, usize) {
        let before = self.kept.iter().rev().take_while(|kept| kept.transaction == transaction).count();
        self.commits += u64::from(before == 0);
        (7_000_000_000 + self.commits, before + 1)
    }
}

/// The channel of all objects.
pub(super) const ALL: &str = "/data/ChangeEvents";

/// The channel of an object: `/data/AccountChangeEvent`, `/data/Invoice__ChangeEvent`.
pub(super) fn channel_of(object: &str) -> String {
    match object.strip_suffix("__c") {
        Some(name) => format!("/data/{name}__ChangeEvent"),
        None => format!("/data/{object}ChangeEvent"),
    }
}

/// A record that changed.
pub(in crate::simulator) struct Change<'a> {
    pub(in crate::simulator) what: ChangeType,
    pub(in crate::simulator) before: Option<&'a Record>,
    pub(in crate::simulator) after: &'a Record,
}

/// Who changed it.
pub(in crate::simulator) struct Author<'a> {
    pub(in crate::simulator) user: &'static str,
    /// Where the change comes from.
    pub(in crate::simulator) origin: &'a str,
    pub(in crate::simulator) transaction: u64,
}

/// Tells of a change, as a part of its transaction.
pub(in crate::simulator) fn note(
    events: &mut Events,
    faults: &mut FaultState,
    def: &ObjectDef,
    by: &Author<'_>,
    change: &Change<'_>,
) {
    if !events.is_selected(&def.name) {
        return;
    }
    let (mut fields, mut changed, mut nulled) = (Map::new(), Vec::new(), Vec::new());
    let telling = faults.telling();
    if telling == Telling::Whole {
        (fields, changed, nulled) = told_fields(def, change);
    }
    let (word, id) = match telling {
        Telling::Whole => (change.what.word().to_owned(), change.after.id.as_str()),
        Telling::Gap => (format!("GAP_{}", change.what.word()), change.after.id.as_str()),
        Telling::Overflow => ("GAP_OVERFLOW".to_owned(), NO_RECORD),
    };
    let (commit, sequence) = events.number(by.transaction);
    let header = json!({"commitNumber": commit, "commitUser": by.user, "sequenceNumber": sequence,
        "entityName": def.name, "changeType": word, "changedFields": changed, "nulledFields": nulled, "diffFields": [],
        "changeOrigin": by.origin, "transactionKey": transaction_key(by.transaction),
        "commitTimestamp": Utc::now().timestamp_millis(), "recordIds": [id]});
    let Value::Object(header) = header else { return };
    let channel = channel_of(&def.name);
    events.add(Event { replay: 0, channel, transaction: by.transaction, header, fields });
    events.bell.notify_waiters();
}

fn transaction_key(transaction: u64) -> String {
    format!("{transaction:08x}-5d00-4000-8000-{transaction:012x}")
}

type Told = (Map<String, Value>, Vec<String>, Vec<String>);

/// The fields that an event has: of an update those that changed, of a delete none. The parts of a person's name are parts of
/// a field.
fn told_fields(def: &ObjectDef, change: &Change<'_>) -> Told {
    let (mut fields, mut changed, mut nulled) = (Map::new(), Vec::new(), Vec::new());
    if change.what == ChangeType::Delete {
        return (fields, changed, nulled);
    }
    let has_name = def.fields.iter().any(|field| field.is_composed());
    for field in &def.fields {
        let name = field.name.as_str();
        if ["Id", "IsDeleted", "SystemModstamp"].contains(&name) || field.is_composed() {
            continue;
        }
        let value = change.after.get(name);
        let before = change.before.map(|record| record.get(name));
        let is_told = match (&before, change.what) {
            (Some(before), ChangeType::Update) => *before != value || name == "LastModifiedDate",
            _ => !value.is_null(),
        };
        if !is_told {
            continue;
        }
        let in_name = has_name && ["FirstName", "LastName"].contains(&name);
        let path = if in_name { format!("Name.{name}") } else { name.to_owned() };
        if change.what == ChangeType::Update {
            if value.is_null() {
                nulled.push(path.clone());
            }
            changed.push(path);
        }
        let value = if field.kind == Kind::Datetime { instant(&value) } else { value };
        match in_name {
            false => drop(fields.insert(name.to_owned(), value)),
            true => {
                let parts = fields.entry("Name").or_insert_with(|| json!({}));
                parts[name] = value;
            }
        }
    }
    (fields, changed, nulled)
}

/// When something happened, in milliseconds.
pub(super) fn since(then: DateTime<Utc>) -> i64 {
    (Utc::now() - then).num_milliseconds()
}
