//! Causes of errors: a look at what came, what is counted and what is mended since the last one, cheap at a million errors.
//! Each statement reads what came since the last look, or goes along an index to the few rows that it asks for; what becomes
//! of a cause is decided in `domain::errors::cause`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::domain::errors::catalogue;
use crate::domain::errors::cause::{Cause, Course, Mute, Sight};
use crate::domain::errors::grouping::Grouped;
use crate::domain::errors::sync_error::{Category, ErrorSource};

use crate::postgres::session::client::Cached;
use crate::postgres::{Error, ErrorContext, Store, Transaction};

/// Numbers are given before they are committed: errors are counted for good when all transactions have ended that were open
/// when their numbers were given. Somebody else's may be open for hours; none of ours is for so long.
const SETTLED_AFTER: TimeDelta = TimeDelta::seconds(60);
/// Causes that are met, or looked at whether they are mended, in one look.
const AT_ONCE: i64 = 2_000;
/// The longest that the first look may take, at which every open error is read once.
const PATIENCE: Duration = Duration::from_secs(600);
/// Errors that need somebody.
pub(in crate::postgres) const OPEN: &str = "resolved_at IS NULL AND state NOT IN ('held', 'ignored')";

const COLUMNS: &str =
    "fingerprint, mapping, code, category, fields, title, why, key, course, owner, note, mute";

/// How far errors were looked at.
struct Mark {
    settled: i64,
    next: i64,
    next_at: Option<DateTime<Utc>>,
    /// The transaction before which all had begun when `next` was noted.
    next_before: i64,
    /// When `next` was noted.
    noted_at: Option<DateTime<Utc>>,
    /// When `settled` was noted: all that was written before was committed at the last look.
    settled_at: Option<DateTime<Utc>>,
    looked_at: Option<DateTime<Utc>>,
    checked: String,
}

/// What came of a cause since errors were settled.
#[derive(Clone, Copy, Default)]
struct Recent {
    all: i64,
    to_settle: i64,
}

impl Store {
    /// Looks at what came since the last look; names the causes whose mute ended. Unless `least` went by since somebody
    /// looked, or when somebody does so now, nothing is done; without `least` it is done in any case.
    pub async fn look_at_causes(
        &self,
        now: DateTime<Utc>,
        least: Option<Duration>,
    ) -> Result<Vec<Cause>, Error> {
        match self.look_unless_first(now, least, false).await? {
            Some(ended) => Ok(ended),
            None => {
                let ended = self.with_patience(PATIENCE)?.look_unless_first(now, least, true).await?;
                Ok(ended.unwrap_or_default())
            }
        }
    }

    /// `None` when it is the first look, and that is not for this session.
    async fn look_unless_first(
        &self,
        now: DateTime<Utc>,
        least: Option<Duration>,
        or_first: bool,
    ) -> Result<Option<Vec<Cause>>, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to look at causes")?;
        let Some(mark) = mark(&transaction, least, or_first).await? else {
            let is_first = "SELECT looked_at IS NULL FROM syncdeck.cause_mark";
            let row = transaction.query_one(is_first, &[]).await.context("read whether causes are known")?;
            return Ok(if row.get(0) && !or_first { None } else { Some(Vec::new()) });
        };
        let ended = self.look(&transaction, mark, now).await?;
        transaction.commit().await.context("finish looking at causes")?;
        Ok(Some(ended))
    }

    async fn look(
        &self,
        transaction: &Transaction<'_>,
        mark: Mark,
        now: DateTime<Utc>,
    ) -> Result<Vec<Cause>, Error> {
        let row = transaction
            .query_one(
                "SELECT coalesce(max(id), 0), pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
                     pg_snapshot_xmax(pg_current_snapshot())::text::bigint, statement_timestamp() FROM syncdeck.error",
                &[],
            )
            .await
            .context("look for the newest error")?;
        let (newest, all_ended_before, begun_before): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
        let noted_at: DateTime<Utc> = row.get(3);
        let is_first = mark.looked_at.is_none();
        let (settled, next) = if is_first { (newest, newest) } else { (mark.settled, mark.next) };
        let settles = is_first
            || all_ended_before >= mark.next_before
            || mark.next_at.is_none_or(|at| now - at >= SETTLED_AFTER);
        let since = mark.looked_at.map(|at| mark.settled_at.max(Some(at - SETTLED_AFTER)).unwrap_or(at));
        let met = self.meet(transaction, since, now).await?;
        let recent = recent(transaction, settled, next).await?;
        let (open, checked) = checked(transaction, &mark.checked).await?;
        let mut wanted: BTreeSet<&str> = met.iter().map(String::as_str).collect();
        wanted.extend(recent.keys().map(String::as_str));
        wanted.extend(open.iter().filter(|(_, is_open)| !**is_open).map(|(cause, _)| cause.as_str()));
        let wanted: Vec<&str> = wanted.into_iter().collect();
        let mut changed = Vec::new();
        let mut ended = Vec::new();
        for cause in watched(transaction, &wanted).await? {
            let of = recent.get(&cause.fingerprint).copied().unwrap_or_default();
            let settled = if settles { of.to_settle } else { 0 };
            let is_open = if met.contains(&cause.fingerprint) {
                Some(true)
            } else {
                open.get(&cause.fingerprint).copied()
            };
            let sight = Sight { open: is_open, settled, unsettled: of.all - settled };
            let mut after = Cause { course: cause.course.clone().step(sight, now), ..cause.clone() };
            if after.mute.is_some() && !after.is_muted(now) {
                after.mute = None;
                ended.push(after.clone());
            }
            if after != cause {
                changed.push(after);
            }
        }
        keep(transaction, &changed, now).await?;
        let (settled, next, next_at, next_before) = match settles {
            true => (next, newest, Some(now), begun_before),
            false => (settled, next, mark.next_at, mark.next_before),
        };
        // Where there are more causes than are met at once, the others are met at the next look.
        let all_met = i64::try_from(met.len()).is_ok_and(|met| is_first || met < AT_ONCE);
        let settled_at = if settles && all_met { mark.noted_at } else { mark.settled_at };
        transaction
            .execute(
                "UPDATE syncdeck.cause_mark SET settled = $1, next = $2, next_at = $3, next_before = $4, checked = $5,
                     settled_at = $6, noted_at = CASE WHEN $7 THEN $8 ELSE noted_at END, looked_at = clock_timestamp()",
                &[&settled, &next, &next_at, &next_before, &checked, &settled_at, &settles, &noted_at],
            )
            .await
            .context("keep how far errors were looked at")?;
        Ok(ended)
    }

    /// Takes in causes that have open errors which failed since the last look: those that nobody knew, and those that were
    /// mended. At the first look all that are open are known. Index `error_listed`.
    async fn meet(
        &self,
        transaction: &Transaction<'_>,
        since: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<BTreeSet<String>, Error> {
        let limit = if since.is_some() { format!("LIMIT {AT_ONCE}") } else { String::new() };
        let rows = transaction
            .query(
                &format!(
                    "SELECT fingerprint, mapping, code, fields, min(category), min(source), min(message), min(op)
                     FROM syncdeck.error WHERE {OPEN}
                         AND last_seen > coalesce($1::timestamptz, '-infinity')
                         AND NOT EXISTS (SELECT FROM syncdeck.cause known
                             WHERE known.fingerprint = error.fingerprint COLLATE \"C\" AND known.open)
                     GROUP BY 1, 2, 3, 4 {limit}"
                ),
                &[&since],
            )
            .await
            .context("look for new causes")?;
        let course = json!(Course::begin(since.is_none(), now));
        let met: Vec<Value> = rows.iter().map(|row| self.cause_json(row, &course)).collect();
        insert(transaction, &met, now).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// A cause as [`insert`] takes it: fingerprint, mapping, code, fields, category, source, message, operation.
    pub(in crate::postgres) fn cause_json(&self, row: &tokio_postgres::Row, course: &Value) -> Value {
        let (mapping, code, fields): (String, String, Vec<String>) = (row.get(1), row.get(2), row.get(3));
        let (message, op): (String, String) = (row.get(6), row.get(7));
        let source = ErrorSource::from_word(row.get(5)).unwrap_or_default();
        let entry = catalogue::classify(source, &code, &message);
        let of = Grouped { mapping: &mapping, code: &code, fields: &fields, op: &op, message: &message };
        json!({
            "fingerprint": row.get::<_, String>(0),
            "key": self.grouping.key(of),
            "category": row.get::<_, String>(4),
            "title": entry.title,
            "why": entry.cause,
            "course": course,
            "mapping": mapping,
            "code": code,
            "fields": fields,
        })
    }

    /// Causes that have errors which somebody must mend, those with the newest ones.
    pub async fn open_causes(&self) -> Result<Vec<Cause>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT {COLUMNS} FROM syncdeck.cause WHERE open ORDER BY changed_at DESC, fingerprint LIMIT {AT_ONCE}"
        );
        let rows = client.query(&sql, &[]).await.context("read the causes")?;
        Ok(rows.iter().filter_map(read_cause).collect())
    }

    /// Causes whose name begins so; mended ones too, where they are wanted. Those with the newest errors come first.
    pub async fn causes(&self, prefix: &str, mended: bool, limit: i64) -> Result<Vec<Cause>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT {COLUMNS} FROM syncdeck.cause WHERE starts_with(fingerprint, $1) AND (open OR $2)
             ORDER BY open DESC, changed_at DESC, fingerprint LIMIT $3"
        );
        let rows = client.query(&sql, &[&prefix, &mended, &limit]).await.context("read the causes")?;
        Ok(rows.iter().filter_map(read_cause).collect())
    }

    /// Removes mended causes of which nobody heard for a year, and which nobody owns or noted.
    pub async fn prune_causes(&self, keep: Duration) -> Result<(), Error> {
        let client = self.client().await?;
        client
            .execute(
                "DELETE FROM syncdeck.cause WHERE NOT open AND owner IS NULL AND note IS NULL AND mute IS NULL
                     AND changed_at < clock_timestamp() - make_interval(secs => greatest($1::float8, 31536000))",
                &[&keep.as_secs_f64()],
            )
            .await
            .context("remove old causes")
            .map(drop)
    }
}

/// How far errors were looked at, locked against whoever else would look. `None` when it is too early, somebody looks, or it
/// is the first look and that is not wanted.
async fn mark(
    transaction: &Transaction<'_>,
    least: Option<Duration>,
    or_first: bool,
) -> Result<Option<Mark>, Error> {
    let lock = if least.is_some() { "FOR UPDATE SKIP LOCKED" } else { "FOR UPDATE" };
    let row = transaction
        .query_opt(
            &format!(
                "SELECT settled, next, next_at, looked_at, checked, next_before, noted_at,
                     settled_at FROM syncdeck.cause_mark
                 WHERE (looked_at IS NULL AND $2 OR looked_at <= clock_timestamp() - make_interval(secs => $1)) {lock}"
            ),
            &[&least.unwrap_or_default().as_secs_f64(), &or_first],
        )
        .await
        .context("read how far errors were looked at")?;
    let mark = |row: tokio_postgres::Row| Mark {
        settled: row.get(0),
        next: row.get(1),
        next_at: row.get(2),
        looked_at: row.get(3),
        checked: row.get(4),
        next_before: row.get(5),
        noted_at: row.get(6),
        settled_at: row.get(7),
    };
    Ok(row.map(mark))
}

/// What came of each cause since errors were settled. Along the primary key of `syncdeck.error`.
async fn recent(
    transaction: &Transaction<'_>,
    settled: i64,
    next: i64,
) -> Result<HashMap<String, Recent>, Error> {
    let rows = transaction
        .query(
            "SELECT fingerprint, count(*), count(*) FILTER (WHERE id <= $2) FROM syncdeck.error
             WHERE id > $1 AND state <> 'held' GROUP BY 1",
            &[&settled, &next],
        )
        .await
        .context("count what came of causes")?;
    let recent = |row: &tokio_postgres::Row| Recent { all: row.get(1), to_settle: row.get(2) };
    Ok(rows.iter().map(|row| (row.get(0), recent(row))).collect())
}

/// Whether the next open causes behind one still have errors, and where to go on the next time. Index
/// `error_by_open_group`.
async fn checked(
    transaction: &Transaction<'_>,
    after: &str,
) -> Result<(BTreeMap<String, bool>, String), Error> {
    let rows = transaction
        .query(
            &format!(
                "SELECT fingerprint, EXISTS (SELECT FROM syncdeck.error
                     WHERE error.fingerprint COLLATE \"C\" = known.fingerprint AND {OPEN})
                 FROM (SELECT fingerprint FROM syncdeck.cause WHERE open AND fingerprint > $1
                     ORDER BY fingerprint LIMIT {AT_ONCE}) known ORDER BY 1"
            ),
            &[&after],
        )
        .await
        .context("look which causes are mended")?;
    let is_end = i64::try_from(rows.len()).unwrap_or(i64::MAX) < AT_ONCE;
    let last = rows.last().filter(|_| !is_end).map(|row| row.get(0)).unwrap_or_default();
    Ok((rows.iter().map(|row| (row.get(0), row.get(1))).collect(), last))
}

/// Those causes, and all that change by time alone, locked. Index `cause_watched`.
async fn watched(transaction: &Transaction<'_>, wanted: &[&str]) -> Result<Vec<Cause>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM syncdeck.cause WHERE fingerprint = ANY($1) OR busy OR mute IS NOT NULL
         ORDER BY fingerprint FOR UPDATE"
    );
    let rows = transaction.query(&sql, &[&wanted]).await.context("read causes that changed")?;
    Ok(rows.iter().filter_map(read_cause).collect())
}

/// Keeps causes that nobody knew.
pub(in crate::postgres) async fn insert(
    transaction: &Transaction<'_>,
    met: &[Value],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if met.is_empty() {
        return Ok(());
    }
    transaction
        .execute(
            "INSERT INTO syncdeck.cause (fingerprint, mapping, code, category, fields, title, why, key, open, course, owner,
                 note, changed_at)
             SELECT fingerprint, mapping, code, category, fields, title, why, key, true, course, owner, note, $2
             FROM jsonb_to_recordset($1) AS met (fingerprint text, mapping text, code text, category text, fields text[],
                 title text, why text, key jsonb, course jsonb, owner text, note text)
             ON CONFLICT DO NOTHING",
            &[&Value::from(met), &now],
        )
        .await
        .context("keep new causes")
        .map(drop)
}

/// Keeps how causes stand now; what operators say about them is theirs, but for a mute that is over.
async fn keep(transaction: &Transaction<'_>, causes: &[Cause], now: DateTime<Utc>) -> Result<(), Error> {
    if causes.is_empty() {
        return Ok(());
    }
    let rows: Vec<Value> = causes
        .iter()
        .map(|cause| {
            json!({"fingerprint": cause.fingerprint, "open": cause.course.open, "course": cause.course,
                "busy": cause.course.unsettled > 0, "mute": cause.mute})
        })
        .collect();
    transaction
        .execute(
            "UPDATE syncdeck.cause SET open = now.open, course = now.course, busy = now.busy,
                 mute = now.mute, changed_at = $2
             FROM jsonb_to_recordset($1) AS now (fingerprint text, open boolean, course jsonb, busy boolean, mute jsonb)
             WHERE cause.fingerprint = now.fingerprint",
            &[&Value::from(rows), &now],
        )
        .await
        .context("keep causes")
        .map(drop)
}

/// The causes of these names.
pub(in crate::postgres) async fn causes_of(
    client: &impl Cached,
    fingerprints: &[&str],
) -> Result<HashMap<String, Cause>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM syncdeck.cause WHERE fingerprint = ANY($1)");
    let rows = client.query_cached(&sql, &[&fingerprints]).await.context("read the causes of groups")?;
    Ok(rows.iter().filter_map(read_cause).map(|cause| (cause.fingerprint.clone(), cause)).collect())
}

/// The cause of this name, locked.
pub(in crate::postgres) async fn lock_cause(
    transaction: &Transaction<'_>,
    fingerprint: &str,
) -> Result<Option<Cause>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM syncdeck.cause WHERE fingerprint = $1 FOR UPDATE");
    let row = transaction.query_opt(&sql, &[&fingerprint]).await.context("read a cause")?;
    Ok(row.as_ref().and_then(read_cause))
}

/// A cause; nothing where another version kept it.
fn read_cause(row: &tokio_postgres::Row) -> Option<Cause> {
    let mute: Option<Value> = row.get(11);
    let mute: Option<Mute> = mute.and_then(|mute| serde_json::from_value(mute).ok());
    Some(Cause {
        fingerprint: row.get(0),
        mapping: row.get(1),
        code: row.get(2),
        category: Category::from_word(row.get(3)).unwrap_or(Category::Data),
        fields: row.get(4),
        title: row.get(5),
        why: row.get(6),
        key: serde_json::from_value(row.get(7)).ok()?,
        course: serde_json::from_value(row.get(8)).ok()?,
        owner: row.get(9),
        note: row.get(10),
        mute,
    })
}
