//! One look at all errors of a database that Heroku Connect keeps.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::client::error::ClientError;
use crate::domain::attached::history::{LogEntry, RowFailure, RowSeen, RowState, failure};
use crate::domain::attached::mode::WriteMode;
use crate::domain::attached::select::{ListedError, sorted};
use crate::domain::changes::coalesce::WriteKind;
use crate::domain::errors::catalogue::{self, code_and_message};
use crate::domain::errors::explain::{Explained, explain};
use crate::domain::errors::group::fingerprint;
use crate::domain::errors::sort::SortBy;
use crate::domain::errors::sync_error::SyncError;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::domain::values::hstore;
use crate::postgres::attached::catalog::{AttachedSchema, AttachedTable};
use crate::postgres::attached::log::WaitingChanges;
use crate::postgres::{Error, Store};

/// Rows with failed changes that are held at most, the newest; how many there are besides is told.
const MOST: i64 = 20_000;
/// Rows of one table that say that they failed, at most.
const MOST_OF_A_TABLE: i64 = 5_000;
/// Tables with fewer rows are counted, not estimated.
const COUNTED: i64 = 100_000;
/// Between two looks at whole tables, which no index helps; longer where it takes long.
const SCAN: Duration = Duration::from_secs(30);
/// Looking at whole tables takes this part of the time at most.
const SCAN_SHARE: u32 = 50;

/// What a look at whole tables found.
#[derive(Default)]
pub(super) struct Scan {
    taken: Option<Instant>,
    cost: Duration,
    /// Rows that say that they failed, each with when that was first seen here: nothing tells when it happened.
    failing: BTreeMap<RowRef, DateTime<Utc>>,
    counts: BTreeMap<String, i64>,
    /// How Heroku Connect was seen to write.
    merges: bool,
    /// Tables with more failed rows than are held.
    cut: Vec<String>,
    /// What could not be looked at, in words.
    gaps: Vec<String>,
}

/// How it is known how Heroku Connect writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ModeKnown {
    /// Somebody said so.
    Configured,
    /// Its API says so.
    Told,
    /// Its log has entries that only merged writes leave.
    Seen,
    /// Nothing tells; the way of ordered writes is right with both.
    Assumed,
}

/// All errors and counts at one time.
pub(super) struct Picture {
    pub(super) schema: AttachedSchema,
    pub(super) mode: WriteMode,
    pub(super) known: ModeKnown,
    pub(super) errors: Vec<ListedError>,
    pub(super) waiting: BTreeMap<String, WaitingChanges>,
    pub(super) counts: BTreeMap<String, i64>,
    /// What is not in it, in words.
    pub(super) gaps: Vec<String>,
    /// The orders that somebody asked for: a picture is listed page by page.
    orders: Mutex<HashMap<SortBy, Arc<Vec<usize>>>>,
}

impl Picture {
    /// Looks.
    pub(super) async fn take(
        store: &Store,
        writes: Option<(WriteMode, ModeKnown)>,
        scan: &Scan,
    ) -> Result<Picture, ClientError> {
        let mut schema = store.attached_schema().await?;
        let archive = schema.archive.is_none();
        let (mode, known) = match (writes, scan.merges) {
            (Some(told), _) => told,
            (None, true) => (WriteMode::Merged, ModeKnown::Seen),
            (None, false) => (WriteMode::Ordered, ModeKnown::Assumed),
        };
        let (failed, all) = store.attached_failed(archive, MOST).await?;
        let rows: HashSet<RowRef> = failed.into_iter().chain(scan.failing.keys().cloned()).collect();
        let rows: Vec<RowRef> = rows.into_iter().collect();
        let entries = store.attached_entries(archive, &rows).await?;
        let states = states(store, &mut schema, &rows).await?;
        let none = Vec::new();
        let judged = rows.iter().filter_map(|at| {
            let table = schema.tables.iter().find(|table| table.mapping.table == at.table);
            let entries = entries.get(at).unwrap_or(&none);
            let seen = seen(table, states.get(at));
            let failure = failure(entries, seen, mode)?;
            let found = scan.failing.get(at).copied().unwrap_or_else(Utc::now);
            Some(listed((at, found), table, entries, seen, &failure))
        });
        let errors = judged.collect();
        let mut gaps = Vec::new();
        if all > MOST {
            gaps.push(format!("of {all} rows with failed changes, the newest {MOST} are listed"));
        }
        gaps.extend(scan.cut.iter().map(|table| {
            format!("of the rows of {table} that say FAILED, and of which the log tells nothing, the first {MOST_OF_A_TABLE} are listed")
        }));
        gaps.extend(scan.gaps.iter().cloned());
        gaps.extend(schema.archive.as_ref().map(|why| format!("older failures are not listed: {why}")));
        let unread = schema.tables.iter().filter_map(|table| Some((table, table.unreadable.as_ref()?)));
        gaps.extend(
            unread.map(|(table, why)| format!("{}: its rows are not looked at: {why}", table.mapping.table)),
        );
        let waiting = store.attached_waiting().await?;
        let (counts, orders) = (scan.counts.clone(), Mutex::default());
        Ok(Picture { mode, known, errors, waiting, counts, gaps, schema, orders })
    }

    /// The errors in an order, as [`sorted`] has it; sorted once.
    pub(super) fn sorted(&self, by: SortBy) -> Arc<Vec<usize>> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.entry(by).or_insert_with(|| Arc::new(sorted(&self.errors, by))).clone()
    }

    /// The error of a row.
    pub(super) fn error_of(&self, at: &RowRef) -> Option<&SyncError> {
        let errors = self.errors.iter().map(|listed| &listed.error);
        errors.into_iter().find(|error| error.row_id == Some(at.row) && error.table == at.table)
    }
}

impl Scan {
    /// Whether it is time to look again.
    pub(super) fn is_due(&self) -> bool {
        self.taken.is_none_or(|taken| taken.elapsed() >= SCAN.max(self.cost * SCAN_SHARE))
    }

    /// Whether nobody looked yet.
    pub(super) fn is_none(&self) -> bool {
        self.taken.is_none()
    }

    /// Looks at whole tables. What cannot be looked at is a gap, and what was known of it stays.
    pub(super) async fn again(&self, store: &Store, writes: Option<WriteMode>) -> Result<Scan, ClientError> {
        let begin = Instant::now();
        let schema = store.attached_schema().await?;
        let (mut new, now) = (Scan::default(), Utc::now());
        for table in schema.tables.iter().filter(|table| table.unreadable.is_none()) {
            let name = &table.mapping.table;
            match or_gap(store.attached_failing(name, MOST_OF_A_TABLE).await)? {
                Ok(failing) => {
                    if i64::try_from(failing.len()).is_ok_and(|found| found == MOST_OF_A_TABLE) {
                        new.cut.push(name.clone());
                    }
                    new.failing.extend(failing.into_iter().map(|row| {
                        let at = RowRef { table: name.clone(), row };
                        let since = self.failing.get(&at).copied().unwrap_or(now);
                        (at, since)
                    }));
                }
                Err(why) => {
                    new.gaps.push(format!("{name}: rows that say FAILED were not looked for: {why}"));
                    let known = self.failing.iter().filter(|(at, _)| at.table == *name);
                    new.failing.extend(known.map(|(at, since)| (at.clone(), *since)));
                }
            }
            let count = match table.estimate {
                Some(estimate) if estimate > COUNTED => Ok(estimate),
                _ => or_gap(store.attached_count(name).await)?,
            };
            match count {
                Ok(count) => drop(new.counts.insert(name.clone(), count)),
                Err(why) => {
                    new.gaps.push(format!("{name}: its rows were not counted: {why}"));
                    let known = self.counts.get(name).copied().or(table.estimate);
                    new.counts.extend(known.map(|count| (name.clone(), count)));
                }
            }
        }
        new.merges = self.merges;
        if !new.merges && writes.is_none() {
            match or_gap(store.attached_merges(schema.archive.is_none()).await)? {
                Ok(merges) => new.merges = merges,
                Err(why) => new.gaps.push(format!("how changes are written was not looked for: {why}")),
            }
        }
        new.cost = begin.elapsed();
        new.taken = Some(Instant::now());
        Ok(new)
    }
}

/// What a look found, or in words why it failed; an error where there is nobody to ask.
fn or_gap<T>(found: Result<T, Error>) -> Result<Result<T, String>, ClientError> {
    match found {
        Err(error) if error.is_connection() => Err(error.into()),
        found => Ok(found.map_err(|error| error.to_string())),
    }
}

/// What rows say of themselves, of those whose tables can be read; a table that cannot is noted to be so.
pub(super) async fn states(
    store: &Store,
    schema: &mut AttachedSchema,
    rows: &[RowRef],
) -> Result<HashMap<RowRef, RowState>, ClientError> {
    let mut by_table: BTreeMap<&str, Vec<RowId>> = BTreeMap::new();
    for at in rows {
        by_table.entry(&at.table).or_default().push(at.row);
    }
    let mut states = HashMap::new();
    for table in schema.tables.iter_mut().filter(|table| table.unreadable.is_none()) {
        let name = table.mapping.table.clone();
        let Some(rows) = by_table.get(name.as_str()) else { continue };
        match or_gap(store.attached_rows(&name, rows).await)? {
            Ok(found) => states
                .extend(found.into_iter().map(|(row, state)| (RowRef { table: name.clone(), row }, state))),
            Err(why) => table.unreadable = Some(why),
        }
    }
    Ok(states)
}

/// What is known of a row.
pub(super) fn seen<'a>(table: Option<&AttachedTable>, state: Option<&'a RowState>) -> RowSeen<'a> {
    match (table, state) {
        (_, Some(state)) => RowSeen::Row(state),
        (Some(table), None) if table.unreadable.is_none() => RowSeen::Gone,
        _ => RowSeen::Unknown,
    }
}

/// The error of a row as it is listed; a time is that of its entries, or else when it was found here.
pub(super) fn listed(
    (at, found): (&RowRef, DateTime<Utc>),
    table: Option<&AttachedTable>,
    entries: &[LogEntry],
    seen: RowSeen<'_>,
    failure: &RowFailure,
) -> ListedError {
    let entry = failure.entry.and_then(|id| entries.iter().find(|entry| entry.id == id));
    let first =
        failure.unsent.failed.last().and_then(|id| entries.iter().find(|entry| entry.id == *id)).or(entry);
    let row = match seen {
        RowSeen::Row(row) => Some(row),
        _ => None,
    };
    let sfid = row.and_then(|row| row.sfid.clone()).or_else(|| entry.and_then(|entry| entry.sfid.clone()));
    let op = match entry.and_then(|entry| entry.action) {
        Some(WriteKind::Delete) => "delete",
        Some(WriteKind::Update) => "update",
        Some(WriteKind::Insert) => "insert",
        None if sfid.is_some() => "update",
        None => "insert",
    };
    let (code, message) = known_code(&failure.message);
    let plain = Mapping::plain(&at.table, Vec::new());
    let mapping = table.map_or(&plain, |table| &table.mapping);
    let fields = at_fault(mapping, &message);
    let class = catalogue::classify(catalogue::source_of(&code), &code, &message);
    let error = SyncError {
        id: failure.entry.unwrap_or_else(|| number(table, at)),
        mapping: mapping.object.clone(),
        table: at.table.clone(),
        row_id: Some(at.row),
        sfid,
        op: op.to_owned(),
        source: catalogue::source_of(&code),
        category: class.category,
        class: class.class,
        group: fingerprint(&mapping.object, &code, &fields, &message),
        code,
        message,
        fields,
        attempts: failure.attempts,
        state: failure.state,
        next_retry_at: None,
        first_seen: first.map_or(found, |entry| entry.created_at),
        last_seen: entry.map_or(found, |entry| entry.settled_at),
    };
    let failed = entries.iter().filter(|entry| failure.unsent.failed.contains(&entry.id));
    let sent: Vec<String> = failed.filter_map(|entry| entry.values.as_ref()).map(hstore::format).collect();
    ListedError { error, sent: sent.join("\n") }
}

/// The number of an error that no entry tells of: above those of entries, and the same at every look.
fn number(table: Option<&AttachedTable>, at: &RowRef) -> i64 {
    let table = table.map_or(0, |table| table.oid);
    (table.max(1) << 32) | i64::from(at.row.0)
}

/// The code and message of what Heroku Connect noted; a message alone has the code that the catalogue knows it by.
fn known_code(told: &str) -> (String, String) {
    let (code, message) = code_and_message(told);
    if code != "UNKNOWN_EXCEPTION" || told.starts_with(code) {
        return (code.to_owned(), message.to_owned());
    }
    match explain(told) {
        Explained::Known(known) if known.len() == 1 => (known[0].code.clone(), told.to_owned()),
        _ => (code.to_owned(), told.to_owned()),
    }
}

/// The fields that a message speaks of. Salesforce writes their API names; those in small letters are words of the
/// sentence, unless no word looks like that.
fn at_fault(mapping: &Mapping, message: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in message.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
        let is_name = word.starts_with(|c: char| c.is_ascii_uppercase()) || word.ends_with("__c");
        let field = mapping.fields.iter().find(|field| field.column.eq_ignore_ascii_case(word));
        if let Some(field) = field.filter(|_| is_name)
            && !found.contains(&field.name)
        {
            found.push(field.name.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mappings::field::{Field, FieldType};

    #[test]
    fn a_message_without_a_code_is_known_by_its_words() {
        let told = "INVALID_EMAIL_ADDRESS:Email: invalid email address: no-mail";
        assert_eq!(known_code(told).0, "INVALID_EMAIL_ADDRESS");
        assert_eq!(known_code("Email: invalid email address: no-mail").0, "INVALID_EMAIL_ADDRESS");
        assert_eq!(
            known_code("something nobody ever wrote"),
            ("UNKNOWN_EXCEPTION".to_owned(), "something nobody ever wrote".to_owned())
        );
    }

    #[test]
    fn fields_at_fault_are_those_that_a_message_names() {
        let fields = ["Email", "Status", "level__c"].map(|name| Field::plain(name, FieldType::String));
        let mapping = Mapping::plain("Contact", fields.to_vec());
        assert_eq!(at_fault(&mapping, "Email: invalid email address: a@b"), ["Email"]);
        assert_eq!(at_fault(&mapping, "bad value for restricted picklist field: Level__c"), ["level__c"]);
        assert_eq!(at_fault(&mapping, "its status and email are wrong"), Vec::<String>::new());
    }
}
