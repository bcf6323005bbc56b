//! Lists, counts, and how things stand, from the picture of all errors.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Map;
use tokio::time::Instant;

use crate::client::error::ClientError;
use crate::domain::attached::history::{EntryState, LogEntry, RowFailure, RowSeen, failure};
use crate::domain::attached::mode::WriteMode;
use crate::domain::attached::refused::{RefusedNow, RefusedWrite};
use crate::domain::attached::select::{groups, matches, page};
use crate::domain::attached::told::{ToldList, ToldWriteError};
use crate::domain::changes::dispatch::Content;
use crate::domain::changes::pending::Pending;
use crate::domain::errors::filter::Filter;
use crate::domain::errors::group::Group;
use crate::domain::errors::group_hours::GroupHours;
use crate::domain::errors::sort::{PageKey, Sort};
use crate::domain::errors::sync_error::{ErrorState, SyncError};
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef};
use crate::domain::operations::answer::Answer;
use crate::domain::operations::operation::RowStatus;
use crate::domain::records::record::Hit;
use crate::domain::reports::overview::{ConnectionStatus, EngineStatus, MappingStatus, Overview};
use crate::domain::state::{ConnectionState, EngineState, MappingState, PendingState};
use crate::logs::{Level, LogRecord, OWN_SOURCE};
use crate::postgres::errors::listing::ErrorPage;
use crate::postgres::errors::sync_errors::{ErrorSelection, ErrorTarget};

use super::picture::{ModeKnown, Picture, seen, states};
use super::session::Attached;

/// Said in the log, where Heroku Connect's own lines would stand.
const NO_LOG: &str = "attached to Heroku Connect: its log is not in the database; a [log.source] of the kind heroku brings it here";
/// Said of everything that is done here.
const NO_AUDIT: &str = "nothing of syncdeck is installed in this database: what is done here is in no audit, and cannot be undone";

impl Attached {
    /// What of the errors is not listed, and why.
    pub(in crate::client) async fn gaps(&self) -> Result<Vec<String>, ClientError> {
        Ok(self.picture().await?.gaps.clone())
    }

    /// How things stand.
    pub(in crate::client) async fn overview(&self, environment: &str) -> Result<Overview, ClientError> {
        let picture = self.picture().await?;
        let mut details = vec![writes(&picture).to_owned(), NO_AUDIT.to_owned()];
        details.extend(picture.gaps.iter().cloned());
        let connection = ConnectionStatus {
            name: self.name.clone(),
            environment: environment.to_owned(),
            state: ConnectionState::Ok,
            detail: Some(details.join("; ")),
            ..ConnectionStatus::default()
        };
        let heard = self.heroku.heard();
        let (connection, heroku) = heard.connection(connection);
        let engine = EngineStatus {
            state: EngineState::Attached,
            owner: Some("Heroku Connect".to_owned()),
            seen_at: None,
        };
        let mappings = mappings(&picture).into_iter().map(|mapping| heard.mapping(mapping)).collect();
        let gaps = picture.gaps.clone();
        Ok(Overview { connection, engine, mappings, gaps, heroku: Some(heroku), ..Overview::default() })
    }

    /// A page of the errors that match.
    pub(in crate::client) async fn errors(
        &self,
        filter: &Filter,
        sort: Sort,
        after: Option<&PageKey>,
        limit: usize,
    ) -> Result<ErrorPage, ClientError> {
        let picture = self.picture().await?;
        let sorted = picture.sorted(sort.by);
        let mut items = page((&picture.errors, &sorted), filter, sort, after, limit.saturating_add(1));
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|last| PageKey::of(sort.by, last));
        Ok(ErrorPage { items, done: next.is_none(), next })
    }

    /// How many errors match.
    pub(in crate::client) async fn count(&self, filter: &Filter) -> Result<i64, ClientError> {
        let picture = self.picture().await?;
        let count = picture.errors.iter().filter(|listed| matches(filter, listed)).count();
        Ok(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// The errors that match, by cause.
    pub(in crate::client) async fn groups(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Group>, ClientError> {
        let picture = self.picture().await?;
        let mut groups = groups(picture.errors.iter(), filter, Utc::now());
        groups.truncate(limit);
        Ok(groups)
    }

    /// The last hour of the groups of the errors that match.
    pub(in crate::client) async fn group_hours(&self, filter: &Filter) -> Result<GroupHours, ClientError> {
        let (picture, now) = (self.picture().await?, Utc::now());
        let mut hours = GroupHours::default();
        for listed in picture.errors.iter().filter(|listed| matches(filter, listed)) {
            hours.add(&listed.error.group, GroupHours::part_of(listed.error.first_seen, now), 1);
        }
        Ok(hours)
    }

    /// One error by its number.
    pub(in crate::client) async fn error(&self, id: i64) -> Result<SyncError, ClientError> {
        let found = self.errors_by_id(&[id]).await?.into_iter().next();
        found.ok_or_else(|| {
            ClientError::not_found(format!("there is no error {id}\nlist them with: syncdeck errors"))
        })
    }

    /// Errors by their numbers.
    pub(in crate::client) async fn errors_by_id(&self, ids: &[i64]) -> Result<Vec<SyncError>, ClientError> {
        let picture = self.picture().await?;
        let ids: HashSet<i64> = ids.iter().copied().collect();
        let errors = picture.errors.iter().map(|listed| &listed.error);
        Ok(errors.filter(|error| ids.contains(&error.id)).cloned().collect())
    }

    /// Writes that Heroku Connect lists as refused, each with what became of its row.
    pub(in crate::client) async fn beside_rows(
        &self,
        told: ToldList<ToldWriteError>,
    ) -> ToldList<RefusedWrite> {
        // What the API tells is worth something without the database, too.
        let picture = self.picture().await.ok();
        let schema = picture.as_ref().map(|picture| &picture.schema);
        let errors = picture.iter().flat_map(|picture| &picture.errors).map(|listed| &listed.error);
        let listed: HashMap<RowRef, ErrorState> =
            errors.filter_map(|error| Some((error.row()?, error.state))).collect();
        let is_known = |table: &str| {
            let whole = picture.as_ref().filter(|picture| picture.gaps.is_empty());
            whole.is_some_and(|picture| picture.schema.table(table).is_some())
        };
        let shows = |row: &RowRef| match listed.get(row) {
            Some(state) => RefusedNow::Listed(*state),
            None if is_known(&row.table) => RefusedNow::Over,
            None => RefusedNow::Unknown,
        };
        let beside = |told: ToldWriteError| {
            let named = schema.and_then(|schema| schema.table(&told.table));
            RefusedWrite::beside(told, named.map(|of| of.mapping.table.as_str()), shows)
        };
        let items = told.items.into_iter().map(beside).collect();
        ToldList { count: told.count, items, unread: told.unread }
    }

    /// What an operation would be about.
    pub(in crate::client) async fn targets(
        &self,
        of: &ErrorSelection,
    ) -> Result<Vec<ErrorTarget>, ClientError> {
        // Looked at anew: what is decided now is done to what is there now.
        self.look_again().await;
        let picture = self.picture().await?;
        let ids: HashSet<i64> = match of {
            ErrorSelection::Ids(ids) => ids.iter().copied().collect(),
            ErrorSelection::Filter(_) => HashSet::new(),
        };
        let chosen = picture.errors.iter().filter(|listed| match of {
            ErrorSelection::Ids(_) => ids.contains(&listed.error.id),
            ErrorSelection::Filter(filter) => matches(filter, listed),
        });
        let target = |error: &SyncError| ErrorTarget {
            id: error.id,
            table: error.table.clone(),
            row: error.row_id,
            entry: None,
            state: error.state,
            seen: error.last_seen,
            is_finding: false,
        };
        Ok(chosen.map(|listed| target(&listed.error)).collect())
    }

    /// What is known of rows when values are checked: which record they have.
    pub(in crate::client) async fn contents(
        &self,
        table: &str,
        rows: &[RowId],
    ) -> Result<HashMap<RowId, Content>, ClientError> {
        let states = self.store().attached_rows(table, rows).await?;
        let content = |sfid| Content { sfid, ..Content::default() };
        Ok(states.into_iter().map(|(row, state)| (row, content(state.sfid))).collect())
    }

    /// All mappings, as far as tables tell them.
    pub(in crate::client) async fn mappings(&self) -> Result<Vec<Mapping>, ClientError> {
        let picture = self.picture().await?;
        Ok(picture.schema.tables.iter().map(|table| table.mapping.clone()).collect())
    }

    /// Rows whose changes wait for Heroku Connect.
    pub(in crate::client) async fn pending(
        &self,
        mapping: Option<&str>,
        after: Option<&(DateTime<Utc>, RowRef)>,
        limit: usize,
    ) -> Result<Vec<Pending>, ClientError> {
        let table = match mapping {
            Some(name) => Some(self.mapping(name).await?.table),
            None => None,
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.store().attached_waiting_rows(table.as_deref(), after, limit).await?;
        let picture = self.picture().await?;
        let name = |table: &str| {
            picture.schema.table(table).map_or_else(|| table.to_owned(), |table| table.mapping.object.clone())
        };
        Ok(rows
            .into_iter()
            .map(|row| Pending {
                mapping: name(&row.at.table),
                row: row.at,
                op: row.action.to_lowercase(),
                state: if row.in_flight { PendingState::InFlight } else { PendingState::Ready },
                since: row.since,
                ready_at: row.since,
                batch: None,
                attempts: 0,
                changes: row.changes,
                reason: if row.in_flight {
                    "Heroku Connect is sending it"
                } else {
                    "waits for Heroku Connect"
                }
                .to_owned(),
                rests: false,
            })
            .collect())
    }

    /// The log begins with why it holds nothing.
    pub(in crate::client) fn log(&self, after: Option<i64>) -> Vec<LogRecord> {
        let record = LogRecord {
            id: 1,
            time: Utc::now(),
            level: Level::Info,
            source: OWN_SOURCE.to_owned(),
            dyno: "attach".to_owned(),
            message: NO_LOG.to_owned(),
            fields: Map::new(),
        };
        after.is_none().then_some(record).into_iter().collect()
    }

    /// The values that errors have for a qualifier of the filter.
    pub(in crate::client) async fn values_of(
        &self,
        qualifier: &str,
        prefix: &str,
    ) -> Result<Vec<(String, i64)>, ClientError> {
        let picture = self.picture().await?;
        let of = |error: &SyncError| -> Option<Vec<String>> {
            Some(match qualifier {
                "mapping" => vec![error.mapping.clone()],
                "code" => vec![error.code.clone()],
                "state" => vec![error.state.word().to_owned()],
                "field" => error.fields.clone(),
                "group" => vec![error.group.clone()],
                "category" => vec![error.category.word().to_owned()],
                "class" => vec![error.class.word().to_owned()],
                "op" => vec![error.op.clone()],
                "source" => vec![error.source.word().to_owned()],
                "needs" if error.waits_for_a_person() && error.row_id.is_some() => vec!["person".to_owned()],
                "needs" => Vec::new(),
                _ => return None,
            })
        };
        let mut counts: BTreeMap<String, i64> = BTreeMap::new();
        for listed in &picture.errors {
            let values = of(&listed.error).ok_or_else(|| {
                ClientError::invalid(format!(
                    "the values of {qualifier}: cannot be told\nuse mapping, code, field, category, class, state, op, source or group"
                ))
            })?;
            let fits = |value: &String| value.to_lowercase().starts_with(&prefix.to_lowercase());
            for value in values.into_iter().filter(fits) {
                *counts.entry(value).or_default() += 1;
            }
        }
        let mut counts: Vec<(String, i64)> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts.truncate(50);
        Ok(counts)
    }

    /// Why nothing can be changed here, in words; `None` when it can.
    pub(in crate::client) async fn may_write(&self) -> Result<Option<String>, ClientError> {
        Ok(self.store().attached_lacks_rights().await?)
    }

    /// Rows by their number or their record.
    pub(in crate::client) async fn find(
        &self,
        text: &str,
        mapping: Option<&str>,
    ) -> Result<Vec<Hit>, ClientError> {
        let picture = self.picture().await?;
        let only = match mapping {
            Some(name) => Some(self.mapping(name).await?.table),
            None => None,
        };
        let (text, mut hits) = (text.trim(), Vec::new());
        for table in picture.schema.tables.iter().filter(|table| table.unreadable.is_none()) {
            let name = &table.mapping.table;
            if only.as_ref().is_some_and(|only| only != name) {
                continue;
            }
            for (row, sfid) in self.store().attached_find(name, text).await? {
                let at = RowRef { table: name.clone(), row };
                let error = picture.error_of(&at);
                hits.push(Hit {
                    mapping: table.mapping.object.clone(),
                    by: if row.to_string() == text { "row id" } else { "record id" }.to_owned(),
                    sfid,
                    external_id: None,
                    exists: true,
                    unit: error.map_or("in step", |_| "failed").to_owned(),
                    error: error.map(|error| error.id),
                    state: error.map(|error| error.state.word().to_owned()),
                    row: at,
                });
            }
        }
        Ok(hits)
    }

    /// What became of rows that were sent again, by the numbers of their errors and when these had been seen last.
    pub(in crate::client) async fn answered(
        &self,
        sent: &[(i64, DateTime<Utc>)],
    ) -> Result<Vec<(i64, Answer)>, ClientError> {
        let mut rows: HashMap<i64, RowRef> = HashMap::new();
        let mut others = Vec::new();
        for (id, _) in sent {
            match self.remembered(*id).await {
                Some(row) => drop(rows.insert(*id, row)),
                None => others.push(*id),
            }
        }
        if !others.is_empty() {
            let errors = self.errors_by_id(&others).await?;
            rows.extend(errors.iter().filter_map(|error| Some((error.id, error.row()?))));
        }
        let asked: Vec<(i64, RowRef, DateTime<Utc>)> =
            sent.iter().filter_map(|(id, seen)| Some((*id, rows.remove(id)?, *seen))).collect();
        let of: Vec<(RowRef, DateTime<Utc>)> =
            asked.iter().map(|(_, row, seen)| (row.clone(), *seen)).collect();
        let answers = self.answers_of(&of).await?;
        Ok(asked.iter().zip(answers).map(|((id, ..), (answer, _))| (*id, answer)).collect())
    }

    /// Waits until each of these rows is answered.
    pub(in crate::client) async fn outcomes(
        &self,
        sent: &[(RowRef, DateTime<Utc>)],
        patience: Duration,
        pause: Duration,
    ) -> Result<HashMap<RowRef, (RowStatus, String)>, ClientError> {
        let until = Instant::now() + patience;
        let mut told = HashMap::new();
        loop {
            let open: Vec<(RowRef, DateTime<Utc>)> =
                sent.iter().filter(|(row, _)| !told.contains_key(row)).cloned().collect();
            for ((row, _), answer) in open.iter().zip(self.answers_of(&open).await?) {
                let outcome = match answer {
                    (Answer::Waiting | Answer::Held, _) => continue,
                    (Answer::Rejected, message) => (RowStatus::Failed, message),
                    (Answer::Taken | Answer::Settled, message) => (RowStatus::Done, message),
                };
                told.insert(row.clone(), outcome);
            }
            if told.len() == sent.len() || Instant::now() >= until {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        let late = "Heroku Connect has not sent it yet: it looks every two minutes, or sooner";
        let open = sent.iter().filter(|(row, _)| !told.contains_key(row)).cloned().collect::<Vec<_>>();
        told.extend(open.into_iter().map(|(row, _)| (row, (RowStatus::Failed, late.to_owned()))));
        Ok(told)
    }

    /// Where rows stand that were sent again, and in words; in the order in which they are asked for.
    async fn answers_of(
        &self,
        asked: &[(RowRef, DateTime<Utc>)],
    ) -> Result<Vec<(Answer, String)>, ClientError> {
        let picture = self.picture().await?;
        let mut schema = picture.schema.clone();
        let rows: Vec<RowRef> = asked.iter().map(|(row, _)| row.clone()).collect();
        let entries = self.store().attached_entries(schema.archive.is_none(), &rows).await?;
        let states = states(self.store(), &mut schema, &rows).await?;
        let answer = |(at, since): &(RowRef, DateTime<Utc>)| {
            let entries = entries.get(at).map(Vec::as_slice).unwrap_or_default();
            let seen = seen(schema.table(&at.table), states.get(at));
            let failed = failure(entries, seen, picture.mode);
            answer_of(entries, (seen, *since), failed, schema.archive.as_deref())
        };
        Ok(asked.iter().map(answer).collect())
    }
}

/// Where a row stands that was sent again; `unread` is why the archive cannot be read, if so.
fn answer_of(
    entries: &[LogEntry],
    (seen, since): (RowSeen<'_>, DateTime<Utc>),
    failed: Option<RowFailure>,
    unread: Option<&str>,
) -> (Answer, String) {
    if entries.iter().any(|entry| entry.state == EntryState::Waiting) {
        return (Answer::Waiting, "it waits for Heroku Connect".to_owned());
    }
    let Some(failed) = failed else {
        let lastop = match seen {
            RowSeen::Row(row) => row.lastop.as_deref(),
            _ => None,
        };
        let was_taken = matches!(lastop, Some("INSERTED" | "UPDATED"))
            || entries.iter().any(|entry| entry.state == EntryState::Success && entry.settled_at > since);
        return match unread {
            // Its answer may have moved there.
            Some(why) if !was_taken => {
                (Answer::Waiting, format!("what came of it is not to be seen here: {why}"))
            }
            _ => (Answer::Taken, "Salesforce took it".to_owned()),
        };
    };
    let entry = failed.entry.and_then(|id| entries.iter().find(|entry| entry.id == id));
    match failed.state {
        ErrorState::Ignored => (Answer::Settled, "it is ignored".to_owned()),
        _ if entry.is_some_and(|entry| entry.settled_at > since) => (Answer::Rejected, failed.message),
        _ => (Answer::Waiting, failed.message),
    }
}

/// How Heroku Connect writes, and how that is known.
fn writes(picture: &Picture) -> &'static str {
    match (picture.mode, picture.known) {
        (WriteMode::Merged, ModeKnown::Configured) => "merged writes, as configured",
        (WriteMode::Ordered, ModeKnown::Configured) => "ordered writes, as configured",
        (WriteMode::Merged, ModeKnown::Told) => "merged writes, as its API tells",
        (WriteMode::Ordered, ModeKnown::Told) => "ordered writes, as its API tells",
        (WriteMode::Merged, _) => "merged writes, as its log shows",
        (WriteMode::Ordered, _) => {
            "merged or ordered writes: nothing tells which; failed changes are sent again in the way of ordered writes, which is right \
             with both"
        }
    }
}

/// One line a mapping.
fn mappings(picture: &Picture) -> Vec<MappingStatus> {
    let now = Utc::now();
    let of = |table: &crate::postgres::attached::catalog::AttachedTable| {
        let errors = picture.errors.iter().map(|listed| &listed.error).filter(|error| {
            error.table == table.mapping.table
                && matches!(error.state, ErrorState::Open | ErrorState::Retrying)
        });
        let mut by_category: BTreeMap<String, i64> = BTreeMap::new();
        let (mut count, mut recent) = (0, 0);
        for error in errors {
            count += 1;
            recent += i64::from(now - error.first_seen <= chrono::Duration::hours(1));
            *by_category.entry(error.category.word().to_owned()).or_default() += 1;
        }
        let waiting = picture.waiting.get(&table.mapping.table);
        let state = match () {
            () if table.unreadable.is_some() => MappingState::Broken,
            () if table.is_unmapped => MappingState::Unmapped,
            () if count > 0 => MappingState::Errors,
            () => MappingState::Ok,
        };
        MappingStatus {
            name: table.mapping.object.clone(),
            table: table.mapping.table.clone(),
            access: table.mapping.access.word().to_owned(),
            state,
            detail: table.unreadable.clone().or_else(|| table.unsent.clone()),
            rows: picture.counts.get(&table.mapping.table).copied().unwrap_or_default(),
            pending: waiting.map_or(0, |waiting| waiting.rows),
            errors: count,
            errors_last_hour: recent,
            by_category,
            oldest_pending: waiting.map(|waiting| waiting.since),
            ..MappingStatus::default()
        }
    };
    picture.schema.tables.iter().map(of).collect()
}
