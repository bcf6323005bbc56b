//! Lists of errors, at a million as at ten: rows first, counts apart.
//!
//! A page comes from the index of its order, one error looked at after the other, while what matches is frequent. What
//! is rare is looked up in the indexes of what the filter asks for, and only then put in order. Where neither helps,
//! a page ends after a while with what was found, and says where to go on.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tokio_postgres::Row;

use crate::domain::errors::filter::{Filter, Term};
use crate::domain::errors::sort::{PageKey, Sort, SortBy, SortValue};
use crate::domain::errors::sync_error::SyncError;

use crate::postgres::errors::condition::{ErrorCondition, walks_again};
use crate::postgres::errors::sync_errors::{COLUMNS, read_error};
use crate::postgres::{Error, ErrorContext, Store, Transaction};

/// The greatest number that a count of matching errors tells; more is "10,000+".
pub const COUNT_CAP: i64 = 10_000;
/// Errors looked at in one statement: 5 to 20 ms.
const STEP: i64 = 2_000;
/// One in so many of the newest errors, or fewer, is rare.
const RARE: i64 = 10;
/// More matches than this are not put in order: they are frequent enough to come upon (50 ms to fetch them).
const MOST_LOOKED_UP: i64 = 5_000;
/// After this a page ends with what was found.
const PATIENCE: Duration = Duration::from_millis(80);

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ErrorPage {
    /// What was found, in order; may be fewer than asked for, or none, though more match.
    pub items: Vec<SyncError>,
    /// Where to go on; `None` at the end of the list.
    pub next: Option<PageKey>,
    /// Whether the list ends here.
    pub done: bool,
}

impl ErrorPage {
    fn last(items: Vec<SyncError>) -> ErrorPage {
        ErrorPage { items, next: None, done: true }
    }
}

/// What an order is by, in SQL, as its index has it.
fn place_of(by: SortBy) -> &'static str {
    match by {
        SortBy::LastSeen => "last_seen",
        SortBy::FirstSeen => "first_seen",
        SortBy::Mapping => "mapping",
        SortBy::Row => "coalesce(record_id, 0)",
        SortBy::Code => "code",
        SortBy::Field => "fields",
        SortBy::Attempts => "attempts",
        SortBy::State => "state",
        SortBy::NextRetry => "coalesce(next_retry_at, 'infinity')",
    }
}

/// Whether equal places stand by `last_seen`.
fn has_last_seen(by: SortBy) -> bool {
    matches!(by, SortBy::Mapping | SortBy::Code | SortBy::Field | SortBy::Attempts | SortBy::State)
}

/// ORDER BY, for an error with its `place`.
fn order(sort: Sort, place: &str) -> String {
    let way = if sort.descending { "DESC" } else { "ASC" };
    let then = if has_last_seen(sort.by) { format!("last_seen {way}, ") } else { String::new() };
    format!("{place} {way}, {then}id {way}")
}

/// The condition of standing behind a place.
fn behind(condition: &mut ErrorCondition, sort: Sort, key: &PageKey) -> String {
    let sign = if sort.descending { "<" } else { ">" };
    let place = match &key.place {
        SortValue::Time(time) => condition.bind(*time),
        SortValue::Never(time) => format!("coalesce({}, 'infinity'::timestamptz)", condition.bind(*time)),
        SortValue::Word(word) => condition.bind(word.clone()),
        SortValue::Words(words) => condition.bind(words.clone()),
        SortValue::Number(number) => condition.bind(*number),
    };
    let column = place_of(sort.by);
    let then = has_last_seen(sort.by).then(|| condition.bind(key.last_seen));
    let id = condition.bind(key.id);
    match then {
        Some(seen) => format!(" AND ({column}, last_seen, id) {sign} ({place}, {seen}, {id})"),
        None => format!(" AND ({column}, id) {sign} ({place}, {id})"),
    }
}

/// Reads a place from columns 0 to 2: place, last_seen, id.
fn read_key(row: &Row, by: SortBy) -> PageKey {
    let place = match by {
        SortBy::LastSeen | SortBy::FirstSeen => SortValue::Time(row.get(0)),
        SortBy::Mapping | SortBy::Code | SortBy::State => SortValue::Word(row.get(0)),
        SortBy::Row | SortBy::Attempts => SortValue::Number(row.get(0)),
        SortBy::Field => SortValue::Words(row.get(0)),
        SortBy::NextRetry => SortValue::Never(row.get::<_, Option<DateTime<Utc>>>(0)),
    };
    PageKey { place, last_seen: row.get(1), id: row.get(2), walking: true }
}

impl Store {
    /// Unresolved errors that match, in order, from behind `after`, `limit` at most. Indexes `error_listed`,
    /// `error_by_*`, `error_properties`, `error_words`.
    pub async fn errors(
        &self,
        filter: &Filter,
        sort: Sort,
        after: Option<&PageKey>,
        limit: i64,
    ) -> Result<ErrorPage, Error> {
        let begin = Instant::now();
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin a list of sync errors")?;
        // One picture for all steps: what changes between two of them is neither skipped nor listed twice.
        transaction
            .batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            .await
            .context("begin a list of sync errors")?;
        let mut place = after.cloned();
        let mut looked_up = after.is_some_and(|key| key.walking);
        let mut items: Vec<SyncError> = Vec::new();
        loop {
            let missing = i64::try_from(wanted - items.len()).unwrap_or(i64::MAX);
            items.extend(walk(&transaction, filter, sort, place.as_ref(), missing).await?);
            if items.len() >= wanted {
                let mut next = items.last().map(|error| PageKey::of(sort.by, error)).or(place);
                next = next.map(|key| PageKey { walking: looked_up, ..key });
                return Ok(ErrorPage { items, done: next.is_none(), next });
            }
            place = end_of_step(&transaction, filter, sort, place.as_ref()).await?;
            if place.is_none() {
                return Ok(ErrorPage::last(items));
            }
            if !looked_up {
                looked_up = true;
                let missing = i64::try_from(wanted - items.len()).unwrap_or(i64::MAX);
                if let Some(found) = look_up(&transaction, filter, sort, place.as_ref(), missing).await? {
                    let ends = found.len() < wanted - items.len();
                    items.extend(found);
                    let next = items.last().filter(|_| !ends).map(|error| PageKey::of(sort.by, error));
                    return Ok(ErrorPage { items, done: next.is_none(), next });
                }
            }
            if begin.elapsed() >= PATIENCE {
                return Ok(ErrorPage { items, next: place, done: false });
            }
        }
    }

    /// How many unresolved errors match, counted up to one more than [`COUNT_CAP`].
    pub async fn count_errors(&self, filter: &Filter) -> Result<i64, Error> {
        let mut condition = ErrorCondition::of(filter);
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to count sync errors")?;
        if filter.terms.iter().any(|asked| asked.term == Term::Person) {
            let sample = among_newest(&transaction, filter, STEP).await?;
            let newest = match sample {
                Newest { all: true, .. } => sample,
                // What is rare is looked up sooner than it is come upon.
                Newest { matching, .. } if matching * RARE < STEP => sample,
                _ => among_newest(&transaction, filter, 2 * COUNT_CAP).await?,
            };
            if newest.all || newest.matching > COUNT_CAP {
                return Ok(newest.matching.min(COUNT_CAP + 1));
            }
        }
        let by_index = condition.looked_up(&transaction).await?;
        let sql = format!(
            "SELECT count(*) FROM (SELECT FROM syncdeck.error WHERE {} LIMIT {}) matching",
            by_index.as_ref().unwrap_or(&condition.sql),
            COUNT_CAP + 1
        );
        let row = transaction.query_one(&sql, &condition.params()).await.context("count sync errors")?;
        Ok(row.get(0))
    }
}

/// How many of the newest errors match.
struct Newest {
    matching: i64,
    /// Whether these are all errors that there are.
    all: bool,
}

/// How many match of the `most` newest errors. Where most errors match, this tells more than is counted; to look them up would
/// first gather all of them.
async fn among_newest(transaction: &Transaction<'_>, filter: &Filter, most: i64) -> Result<Newest, Error> {
    let mut condition = ErrorCondition::of(filter);
    let limit = condition.bind(most);
    let sql = format!(
        "SELECT count(*), count(*) FILTER (WHERE {}) FROM (
             SELECT * FROM syncdeck.error WHERE resolved_at IS NULL ORDER BY last_seen DESC, id DESC LIMIT {limit}) error",
        condition.sql
    );
    let row = transaction.query_one(&sql, &condition.params()).await.context("count sync errors")?;
    let (all, matching): (i64, i64) = (row.get(0), row.get(1));
    Ok(Newest { matching, all: all < most })
}

/// What matches among the next [`STEP`] errors.
async fn walk(
    transaction: &Transaction<'_>,
    filter: &Filter,
    sort: Sort,
    after: Option<&PageKey>,
    limit: i64,
) -> Result<Vec<SyncError>, Error> {
    let mut condition = ErrorCondition::of(filter);
    let step = step(&mut condition, filter, sort, after);
    let limit = condition.bind(limit);
    let sql = format!(
        "SELECT {COLUMNS} FROM (SELECT *, {} AS place {step} LIMIT {STEP}) error WHERE {} ORDER BY {} LIMIT {limit}",
        place_of(sort.by),
        condition.sql,
        order(sort, "place"),
    );
    let rows = transaction.query(&sql, &condition.params()).await.context("list sync errors")?;
    Ok(rows.iter().map(read_error).collect())
}

/// The place of the last of the next [`STEP`] errors, whether it matches or not; `None` when there are fewer.
async fn end_of_step(
    transaction: &Transaction<'_>,
    filter: &Filter,
    sort: Sort,
    after: Option<&PageKey>,
) -> Result<Option<PageKey>, Error> {
    let mut condition = ErrorCondition::of(&Filter::default());
    let step = step(&mut condition, filter, sort, after);
    // The endless time stands for no retry, and cannot be read as a time.
    let place = if sort.by == SortBy::NextRetry { "next_retry_at" } else { place_of(sort.by) };
    let sql = format!("SELECT {place}, last_seen, id {step} OFFSET {} LIMIT 1", STEP - 1);
    let row = transaction.query_opt(&sql, &condition.params()).await.context("list sync errors")?;
    Ok(row.map(|row| read_key(&row, sort.by)))
}

/// The errors of an order from a place on.
fn step(condition: &mut ErrorCondition, filter: &Filter, sort: Sort, after: Option<&PageKey>) -> String {
    let range = condition.range(filter, sort.by);
    let behind = after.map(|key| behind(condition, sort, key)).unwrap_or_default();
    let order = order(sort, place_of(sort.by));
    format!("FROM syncdeck.error WHERE resolved_at IS NULL{range}{behind} ORDER BY {order}")
}

/// What matches behind a place, by the indexes of what is asked for; `None` where there is none, or where too much
/// matches to be put in order.
async fn look_up(
    transaction: &Transaction<'_>,
    filter: &Filter,
    sort: Sort,
    after: Option<&PageKey>,
    limit: i64,
) -> Result<Option<Vec<SyncError>>, Error> {
    let mut condition = ErrorCondition::of(filter);
    let Some(by_index) = condition.looked_up(transaction).await? else { return Ok(None) };
    let behind = after.map(|key| behind(&mut condition, sort, key)).unwrap_or_default();
    let limit = condition.bind(limit);
    let sql = format!(
        "WITH found AS MATERIALIZED (
             SELECT id, last_seen, {place} AS place FROM syncdeck.error WHERE {by_index}{behind} LIMIT {MOST_LOOKED_UP} + 1
         ), first AS MATERIALIZED (SELECT id, place FROM found ORDER BY {first} LIMIT {limit})
         SELECT {COLUMNS}, (SELECT count(*) FROM found)
         FROM (SELECT error.*, place FROM first JOIN syncdeck.error USING (id)) error ORDER BY {order}",
        place = place_of(sort.by),
        first = order(sort, "place"),
        order = order(sort, "place"),
    );
    let rows = transaction.query(&sql, &condition.params()).await.context("look up sync errors")?;
    walks_again(transaction).await?;
    let all: i64 = rows.first().map_or(0, |row| row.get(row.len() - 1));
    Ok((all <= MOST_LOOKED_UP).then(|| rows.iter().map(read_error).collect()))
}
