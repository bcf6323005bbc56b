//! The records of one object, in the order of their ids, which count up without a gap. A copy costs next to nothing:
//! so a query reads what there was when it came, while others write, and nobody waits.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::fields::{Fields, Held};
use super::ids::{make_id, number_of};
use super::schema::FieldDef;
use super::users::User;

/// How many records are copied at most when one of them changes under a reader.
const CHUNK: usize = 512;

/// One record.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) id: String,
    /// What no field of the record itself holds; a missing one is null.
    pub(super) fields: Fields,
    pub(super) created: DateTime<Utc>,
    pub(super) created_by: User,
    pub(super) modified: DateTime<Utc>,
    pub(super) modified_by: User,
    pub(super) deleted: bool,
}

impl Record {
    /// A record that somebody makes now.
    pub(super) fn new(id: String, fields: Fields, at: DateTime<Utc>, by: User) -> Record {
        Record { id, fields, created: at, created_by: by, modified: at, modified_by: by, deleted: false }
    }

    /// A field's value, the system's own included; the name in its own spelling.
    pub(super) fn get(&self, field: &str) -> Value {
        match field {
            "Id" => Value::from(self.id.clone()),
            "IsDeleted" => Value::from(self.deleted),
            "CreatedDate" => Value::from(datetime(self.created)),
            "CreatedById" => Value::from(self.created_by.id()),
            "LastModifiedById" => Value::from(self.modified_by.id()),
            "LastModifiedDate" | "SystemModstamp" => Value::from(datetime(self.modified)),
            other => self.fields.get(other).map_or(Value::Null, Held::value),
        }
    }

    /// The record that a lookup points to; the name in its own spelling.
    pub(super) fn lookup(&self, field: &str) -> Option<&str> {
        match field {
            "CreatedById" => Some(self.created_by.id()),
            "LastModifiedById" => Some(self.modified_by.id()),
            other => self.fields.get(other)?.text(),
        }
    }
}

/// As Salesforce writes instants: whole seconds, offset without a colon.
pub(super) fn datetime(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S.000+0000").to_string()
}

/// An instant as events tell it.
pub(super) fn instant(value: &Value) -> Value {
    match value.as_str().and_then(|text| text.strip_suffix("+0000")) {
        Some(time) => Value::from(format!("{time}Z")),
        None => value.clone(),
    }
}

type Chunk = Vec<Arc<Record>>;

/// All records of an object, deleted ones included.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    chunks: Arc<Vec<Arc<Chunk>>>,
    count: usize,
}

impl Records {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The id of the record that comes next.
    pub(super) fn next_id(&self, prefix: &str) -> String {
        make_id(prefix, self.count as u64 + 1)
    }

    /// A record by its long id.
    pub(super) fn get(&self, id: &str) -> Option<&Arc<Record>> {
        let at = position(id)?;
        self.chunks.get(at / CHUNK)?.get(at % CHUNK).filter(|record| record.id == id)
    }

    /// Whether a record is there that has a value in a field, in the form in which values are compared.
    pub(super) fn has(&self, id: &str, field: &FieldDef, value: &str) -> bool {
        let record = self.get(id).filter(|record| !record.deleted);
        let held = record.and_then(|record| field.folded(&record.get(&field.name)));
        held.as_deref() == Some(value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// Adds a record that has the next id, or puts it in the place of the one that has its id.
    pub(super) fn put(&mut self, record: impl Into<Arc<Record>>) {
        let record = record.into();
        let Some(at) = position(&record.id).filter(|at| *at <= self.count) else { return };
        let chunks = Arc::make_mut(&mut self.chunks);
        if at / CHUNK == chunks.len() {
            chunks.push(Arc::new(Vec::with_capacity(CHUNK)));
        }
        let chunk = Arc::make_mut(&mut chunks[at / CHUNK]);
        match chunk.get_mut(at % CHUNK) {
            Some(place) => *place = record,
            None => {
                chunk.push(record);
                self.count += 1;
            }
        }
    }

    /// Takes back the record that was added last.
    pub(super) fn take_back_last(&mut self) {
        let chunks = Arc::make_mut(&mut self.chunks);
        let Some(chunk) = chunks.last_mut() else { return };
        if Arc::make_mut(chunk).pop().is_some() {
            self.count -= 1;
        }
        chunks.pop_if(|chunk| chunk.is_empty());
    }

    /// Changes every record.
    pub(super) fn change_all(&mut self, mut change: impl FnMut(&mut Record)) {
        for chunk in Arc::make_mut(&mut self.chunks) {
            Arc::make_mut(chunk).iter_mut().for_each(|record| change(Arc::make_mut(record)));
        }
    }
}

fn position(id: &str) -> Option<usize> {
    usize::try_from(number_of(id)?.checked_sub(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: usize, deleted: bool) -> Record {
        let id = make_id("003", number as u64);
        let record = Record::new(id, Fields::default(), DateTime::UNIX_EPOCH, User::Person);
        Record { deleted, ..record }
    }

    #[test]
    fn a_copy_stays_as_it_was_while_the_records_change() {
        let mut records = Records::default();
        for number in 1..=CHUNK + 3 {
            assert_eq!(records.next_id("003"), make_id("003", number as u64));
            records.put(record(number, false));
        }
        let before = records.clone();
        records.put(record(CHUNK, true));
        records.put(record(CHUNK + 4, false));
        // Neither a gap nor an id of another object.
        records.put(record(CHUNK + 9, false));
        let id = make_id("003", CHUNK as u64);
        assert_eq!((before.len(), before.get(&id).map(|record| record.deleted)), (CHUNK + 3, Some(false)));
        assert_eq!((records.len(), records.get(&id).map(|record| record.deleted)), (CHUNK + 4, Some(true)));
        assert_eq!(records.iter().count(), CHUNK + 4);
        assert!(records.get(&make_id("001", 1)).is_none());
        for _ in 0..5 {
            records.take_back_last();
        }
        assert_eq!((records.len(), records.next_id("003"), before.len()), (CHUNK - 1, id, CHUNK + 3));
    }
}
