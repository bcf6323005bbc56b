//! The way back from a takeover: what it replaces is noted in the transaction that replaces it, as statements that make it,
//! and is put back by them in one transaction.

use tokio_postgres::error::SqlState;

use crate::domain::reports::way_back::WayBack;

use crate::postgres::failpoint::{self, MID_ADOPT, MID_UNDO};
use crate::postgres::reports::status::SILENT_AFTER;
use crate::postgres::schema::install::{PATIENCE, alone, told_in_use};
use crate::postgres::schema::takeover::TRIGGERS;
use crate::postgres::session::connect::ENGINE_SESSION;
use crate::postgres::{Error, ErrorContext, Store, Transaction};

const DEFINITIONS: &str = include_str!("../../../assets/sql/definitions.sql");

/// What the takeovers that were not taken back did, the first one's word before a later one's, and what was made of the
/// same kind since. $1 is the schema's name, $2 the names of our triggers.
fn changed() -> String {
    format!(
        "WITH now AS ({DEFINITIONS}), noted AS (
             SELECT DISTINCT ON (kind, name) kind, name, relation, before FROM syncdeck.replaced
             JOIN syncdeck.adoption a ON a.id = adoption WHERE undone_at IS NULL ORDER BY kind, name, adoption),
         made AS (
             SELECT kind, name, relation, NULL::text AS before FROM now
             WHERE (kind = 'function' AND definition LIKE '%-- of syncdeck%'
                 OR kind = 'trigger' AND EXISTS (SELECT FROM unnest($2::text[]) own (name)
                     WHERE starts_with(now.name, format('%I ON ', own.name))))
                 AND NOT EXISTS (SELECT FROM noted WHERE (noted.kind, noted.name) = (now.kind, now.name)))
         SELECT kind, name, before, now.definition,
             relation <> '' AND to_regclass(relation) IS NULL,
             kind IN ('column', 'index') AND EXISTS (SELECT FROM noted made
                 WHERE made.kind = 'table' AND made.name = all_of_it.relation AND made.before IS NULL)
         FROM (SELECT * FROM noted UNION ALL SELECT * FROM made) all_of_it (kind, name, relation, before)
         LEFT JOIN (SELECT kind, name, definition FROM now) now USING (kind, name)
         ORDER BY kind, name"
    )
}

/// One thing that a takeover changed.
struct ReplacedItem {
    kind: String,
    name: String,
    before: Option<String>,
    now: Option<String>,
    table_is_gone: bool,
    /// Whether it is part of a table that a takeover made, and stays with that.
    of_new_table: bool,
}

impl ReplacedItem {
    fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }

    fn text(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }

    fn is_kept(&self) -> bool {
        self.of_new_table || self.is("column") || self.is("table")
    }

    fn goes(&self) -> bool {
        self.now.is_some() && self.before.is_none() && !self.is_kept()
    }

    fn comes_back(&self) -> bool {
        self.before.is_some() && self.before != self.now && !self.table_is_gone && !self.is_kept()
    }
}

impl Store {
    /// Notes everything that a takeover may replace. Returns the number of the takeover.
    pub(super) async fn note_definitions(&self, transaction: &Transaction<'_>) -> Result<i64, Error> {
        let what = "note what a takeover replaces";
        let adoption: i64 = transaction
            .query_one("INSERT INTO syncdeck.adoption DEFAULT VALUES RETURNING id", &[])
            .await
            .context(what)?
            .get(0);
        let sql = format!(
            "INSERT INTO syncdeck.replaced (adoption, kind, name, relation, before)
             SELECT $2, kind, name, relation, definition FROM ({DEFINITIONS}) before"
        );
        let path = empty_path(transaction).await?;
        transaction.execute(&sql, &[&self.schema_name, &adoption]).await.context(what)?;
        set_path(transaction, &path).await?;
        Ok(adoption)
    }

    /// Leaves of the notes what the takeover changed.
    pub(super) async fn note_changes(
        &self,
        transaction: &Transaction<'_>,
        adoption: i64,
    ) -> Result<(), Error> {
        let what = "note what a takeover replaced";
        let path = empty_path(transaction).await?;
        let sql = format!(
            "INSERT INTO syncdeck.replaced AS noted (adoption, kind, name, relation, after)
             SELECT $2, kind, name, relation, definition FROM ({DEFINITIONS}) now
             ON CONFLICT (adoption, kind, name) DO UPDATE SET after = excluded.after"
        );
        transaction.execute(&sql, &[&self.schema_name, &adoption]).await.context(what)?;
        transaction
            .execute("DELETE FROM syncdeck.replaced WHERE adoption = $1 AND before = after", &[&adoption])
            .await
            .context(what)?;
        set_path(transaction, &path).await?;
        failpoint::pass(MID_ADOPT).await
    }

    /// What [`Store::undo_adoption`] would do now.
    ///
    /// # Errors
    /// Where nothing was taken over, it was taken back already, or an engine is at work.
    pub async fn way_back(&self) -> Result<WayBack, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("look for a way back")?;
        let (way_back, _) = self.look_back(&transaction).await?;
        transaction.rollback().await.context("look for a way back")?;
        Ok(way_back)
    }

    /// Puts back what takeovers replaced and removes what they made, but for columns and data.
    ///
    /// # Errors
    /// As [`Store::way_back`]; where something cannot be put back as it was; and where another takeover is undone by now than
    /// was `shown`, or other things are put back or removed. Nothing is changed then.
    pub async fn undo_adoption(&self, shown: &WayBack) -> Result<WayBack, Error> {
        self.put_back(shown).await.map_err(told_in_use)
    }

    async fn put_back(&self, shown: &WayBack) -> Result<WayBack, Error> {
        // As many changes as there are may be given back.
        let mut client = self.with_patience(PATIENCE)?.client().await?;
        let mut transaction = alone(&mut client, "syncdeck install").await?;
        // A starting engine takes its lease, and writes that it lives, after this or is seen by it.
        transaction
            .batch_execute("LOCK TABLE syncdeck.lease, syncdeck.engine IN SHARE ROW EXCLUSIVE MODE; SET LOCAL check_function_bodies = off")
            .await
            .context("keep engines from starting")?;
        let (mut way_back, changes) = self.look_back(&transaction).await?;
        if way_back.adopted_at != shown.adopted_at
            || way_back.restored != shown.restored
            || way_back.removed != shown.removed
        {
            let text = "other things are put back or removed by now than were shown\nlook again";
            return Err(Error::Conflict(text.to_owned()));
        }
        empty_path(&transaction).await?;
        // Tables before the log, as whoever writes locks them. From here on writers wait, so each change is captured once.
        for trigger in changes.iter().filter(|change| change.is("trigger") && change.now.is_some()) {
            if trigger.goes() || trigger.comes_back() {
                put(&transaction, trigger, &format!("DROP TRIGGER {}", trigger.name)).await?;
            }
        }
        for function in changes.iter().filter(|change| change.is("function") && change.comes_back()) {
            put_function(&mut transaction, function).await?;
        }
        for kind in ["trigger", "index"] {
            for change in changes.iter().filter(|change| change.is(kind) && change.comes_back()) {
                put(&transaction, change, change.before.as_deref().unwrap_or_default()).await?;
            }
        }
        for index in changes.iter().filter(|change| change.is("index") && change.goes()) {
            put(&transaction, index, &format!("DROP INDEX {}", index.name)).await?;
        }
        for function in changes.iter().filter(|change| change.is("function") && change.goes()) {
            if !drop_unused(&mut transaction, &function.name).await? {
                way_back.removed.retain(|text| *text != function.text());
                way_back.kept.push(format!("{}, which something else uses", function.text()));
            }
        }
        self.release_changes(&transaction).await?;
        self.check_restored(&transaction, &changes).await?;
        failpoint::pass(MID_UNDO).await?;
        transaction.commit().await.context("finish the way back")?;
        Ok(way_back)
    }

    async fn look_back(&self, transaction: &Transaction<'_>) -> Result<(WayBack, Vec<ReplacedItem>), Error> {
        let (adopted_at, adopted_by) = self.adoption(transaction).await?;
        refuse_work(transaction, "undo").await?;
        let path = empty_path(transaction).await?;
        let own: Vec<&str> = TRIGGERS.to_vec();
        let rows = transaction
            .query(&changed(), &[&self.schema_name, &own])
            .await
            .context("read what was replaced")?;
        set_path(transaction, &path).await?;
        let changes: Vec<ReplacedItem> = rows
            .iter()
            .map(|row| ReplacedItem {
                kind: row.get(0),
                name: row.get(1),
                before: row.get(2),
                now: row.get(3),
                table_is_gone: row.get(4),
                of_new_table: row.get(5),
            })
            .collect();
        let texts =
            |of: &dyn Fn(&&ReplacedItem) -> bool| changes.iter().filter(of).map(ReplacedItem::text).collect();
        let counts = format!(
            "SELECT count(*) FILTER (WHERE NOT failed), count(*) FILTER (WHERE failed) FROM (
                 SELECT state = 'FAILED' OR state = 'PENDING' AND {UNSURE} FROM {}._trigger_log log
                 WHERE state IN ('NEW', 'PENDING', 'FAILED')) entries (failed)",
            self.schema
        );
        let counts = transaction.query_one(&counts, &[]).await.context("count what is not sent")?;
        let noted = "SELECT (SELECT count(*) FROM syncdeck.conflict WHERE winner IS NULL),
             (SELECT coalesce(array_agg(mapping || '.' || key ORDER BY mapping, key), '{}') FROM syncdeck.setting)";
        let noted = transaction.query_one(noted, &[]).await.context("look what was decided")?;
        let way_back = WayBack {
            adopted_at,
            adopted_by,
            restored: texts(&|change| change.comes_back()),
            removed: texts(&|change| change.goes()),
            kept: texts(&|change| {
                change.is_kept() && !change.of_new_table && change.before.is_none() && change.now.is_some()
            }),
            unsent: counts.get(0),
            failed: counts.get(1),
            conflicts: noted.get(0),
            settings: noted.get(1),
        };
        Ok((way_back, changes))
    }

    /// When the schema was taken over and by whom, of takeovers that stand.
    async fn adoption(&self, transaction: &Transaction<'_>) -> Result<(String, String), Error> {
        let nothing = || {
            Error::Refused(format!(
                "nothing is to be undone: no takeover of the schema {} is noted in this database\n\
                 what was taken over before syncdeck noted it cannot be put back by it",
                self.schema
            ))
        };
        let there = "SELECT to_regclass('syncdeck.adoption') IS NOT NULL";
        let there: bool = transaction.query_one(there, &[]).await.context("look for takeovers")?.get(0);
        if !there || self.other_schema(transaction).await?.is_some() {
            return Err(nothing());
        }
        let sql = "SELECT to_char(adopted_at, 'YYYY-MM-DD HH24:MI:SS TZ'), adopted_by,
                 to_char(undone_at, 'YYYY-MM-DD HH24:MI:SS TZ'), undone_by
             FROM syncdeck.adoption ORDER BY undone_at IS NOT NULL, CASE WHEN undone_at IS NULL THEN id ELSE -id END LIMIT 1";
        let found = transaction.query_opt(sql, &[]).await.context("look for takeovers")?;
        let found = found.ok_or_else(nothing)?;
        match found.get::<_, Option<String>>(2) {
            None => Ok((found.get(0), found.get(1))),
            Some(at) => Err(Error::Refused(format!(
                "nothing is to be undone: the takeover of {} was undone at {at} by {}",
                found.get::<_, String>(0),
                found.get::<_, Option<String>>(3).unwrap_or_default()
            ))),
        }
    }

    /// Gives unsent changes back in the form in which Heroku Connect takes them on, and forgets how far we were with them.
    async fn release_changes(&self, transaction: &Transaction<'_>) -> Result<(), Error> {
        let sql = format!(
            "UPDATE {}._trigger_log log SET state = CASE WHEN {UNSURE} THEN 'FAILED' ELSE 'NEW' END,
                 sf_message = CASE WHEN {UNSURE} THEN coalesce(sf_message, '{UNSURE_MESSAGE}') ELSE sf_message END,
                 updated_at = pg_catalog.clock_timestamp() WHERE state = 'PENDING'
                 AND table_name IN (SELECT table_name FROM syncdeck.mapping UNION SELECT name FROM syncdeck.layout);
             DELETE FROM syncdeck.unit;
             DELETE FROM syncdeck.candidate;
             DELETE FROM syncdeck.refused;
             DELETE FROM syncdeck.reread;
             DELETE FROM syncdeck.fetched;
             DELETE FROM syncdeck.change_events;
             DELETE FROM syncdeck.finding;
             DELETE FROM syncdeck.verify;
             UPDATE syncdeck.conflict SET winner = 'postgres', decided_by = 'Heroku Connect took the work back',
                 decided_at = pg_catalog.clock_timestamp() WHERE winner IS NULL;
             UPDATE syncdeck.command SET done_at = pg_catalog.clock_timestamp(), failure = 'Heroku Connect took the work back'
                 WHERE done_at IS NULL;
             UPDATE syncdeck.error SET state = 'resolved', resolved_at = pg_catalog.clock_timestamp(), next_retry_at = NULL,
                 resolution = 'Heroku Connect took the work back' WHERE resolved_at IS NULL;
             DELETE FROM syncdeck.mapping;
             DELETE FROM syncdeck.layout WHERE name <> '_syncdeck';
             UPDATE syncdeck.adoption SET undone_at = pg_catalog.clock_timestamp(), undone_by = session_user
                 WHERE undone_at IS NULL",
            self.schema
        );
        transaction.batch_execute(&sql).await.context("give unsent changes back")
    }

    /// Whether all that was to come back is there, to the letter.
    async fn check_restored(
        &self,
        transaction: &Transaction<'_>,
        changes: &[ReplacedItem],
    ) -> Result<(), Error> {
        let rows = transaction
            .query(DEFINITIONS, &[&self.schema_name])
            .await
            .context("look at what was put back")?;
        let is_there = |change: &&ReplacedItem| {
            rows.iter().any(|row| {
                let (kind, name, definition): (&str, &str, Option<&str>) =
                    (row.get(0), row.get(1), row.get(3));
                kind == change.kind && name == change.name && definition == change.before.as_deref()
            })
        };
        match changes.iter().filter(|change| change.comes_back()).find(|change| !is_there(change)) {
            None => Ok(()),
            Some(change) => Err(Error::Refused(format!(
                "the {} does not become what it was\nnothing was changed; its definition is in syncdeck.replaced",
                change.text()
            ))),
        }
    }
}

/// Whether a change in flight, an entry of `log`, failed, or may be in Salesforce already: it is not to be sent by itself.
/// What the predecessor had in flight, and no engine of ours has looked at, has no unit.
const UNSURE: &str = "NOT EXISTS (SELECT FROM syncdeck.unit WHERE unit.table_name = log.table_name
    AND unit.record_id = log.record_id AND unit.state NOT IN ('failed', 'review') AND unit.lost = 0)";
/// What an entry says then, where Salesforce said nothing.
const UNSURE_MESSAGE: &str =
    "it may be in Salesforce already, for its answer was lost: look there before it is sent again";

/// Refuses while an engine starts or works, or left something whose outcome is not noted yet. `then` is what is refused.
pub(super) async fn refuse_work(transaction: &Transaction<'_>, then: &str) -> Result<(), Error> {
    refuse_engines(transaction, then).await?;
    let sql = "SELECT count(*) FROM syncdeck.unit WHERE state IN ('inflight', 'writeback')";
    match transaction.query_one(sql, &[]).await.context("look what is in flight")?.get::<_, i64>(0) {
        0 => Ok(()),
        rows => Err(Error::Refused(format!(
            "the changes of {rows} rows were in flight when the engine ended, and Salesforce may have them\n\
             start syncdeck run until they are settled (syncdeck pending shows them), stop it, then {then}"
        ))),
    }
}

/// Refuses while an engine starts, works or has leases.
pub(super) async fn refuse_engines(transaction: &Transaction<'_>, then: &str) -> Result<(), Error> {
    let sql = format!(
        "SELECT (SELECT string_agg(DISTINCT owner, ', ') FROM (
                 SELECT owner FROM syncdeck.lease WHERE until > clock_timestamp()
                 UNION ALL SELECT owner FROM syncdeck.engine
                 WHERE state <> 'stopped' AND seen_at > clock_timestamp() - interval '{SILENT_AFTER}'
                 UNION ALL SELECT 'the session ' || pid || ' of an engine' FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name = '{ENGINE_SESSION}') at_work)"
    );
    let row = transaction.query_one(&sql, &[]).await.context("look for engines")?;
    match row.get::<_, Option<String>>(0) {
        Some(owners) => Err(Error::Refused(format!(
            "an engine is at work, or was a moment ago: {owners}\n\
             stop syncdeck run and wait for its sessions and leases to end, then {then}"
        ))),
        None => Ok(()),
    }
}

async fn put(transaction: &Transaction<'_>, change: &ReplacedItem, sql: &str) -> Result<(), Error> {
    transaction.batch_execute(sql).await.map_err(|source| not_put_back(change, source))
}

/// Puts a function back: over what has its name now, so that whatever uses it stays; where that has other parameters or
/// returns something else, in its place.
async fn put_function(transaction: &mut Transaction<'_>, change: &ReplacedItem) -> Result<(), Error> {
    let what = "put a function back";
    let before = change.before.as_deref().unwrap_or_default();
    let attempt = transaction.savepoint("over").await.context(what)?;
    match attempt.batch_execute(before).await {
        Ok(()) => return attempt.commit().await.context(what),
        Err(source) if source.code() == Some(&SqlState::INVALID_FUNCTION_DEFINITION) => {
            attempt.rollback().await.context(what)?;
        }
        Err(source) => return Err(not_put_back(change, source)),
    }
    put(transaction, change, &format!("DROP ROUTINE {}; {before}", change.name)).await
}

fn not_put_back(change: &ReplacedItem, source: tokio_postgres::Error) -> Error {
    // A lock that is not to be had, and a session that was ended, say nothing about the thing.
    let passes = source.code().is_some_and(|code| code.code() == "55P03" || code.code().starts_with("57"));
    match source.as_db_error().filter(|_| !passes) {
        Some(error) => Error::Refused(format!(
            "the {} cannot be put back as it was: {}\nnothing was changed; its definition is in syncdeck.replaced",
            change.text(),
            error.message()
        )),
        None => Error::Sql { what: "put back what was replaced", source },
    }
}

/// Drops a function, unless something else uses it. Returns whether it did.
async fn drop_unused(transaction: &mut Transaction<'_>, name: &str) -> Result<bool, Error> {
    let what = "remove a function";
    let attempt = transaction.savepoint("unused").await.context(what)?;
    match attempt.batch_execute(&format!("DROP ROUTINE {name}")).await {
        Ok(()) => attempt.commit().await.context(what).map(|()| true),
        Err(source) if source.code() == Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST) => {
            attempt.rollback().await.context(what).map(|()| false)
        }
        Err(source) => Err(Error::Sql { what, source }),
    }
}

/// Names are printed whole where nothing is found without its schema. Returns what was set.
async fn empty_path(transaction: &Transaction<'_>) -> Result<String, Error> {
    let sql = "SELECT current_setting('search_path'), set_config('search_path', '', true)";
    Ok(transaction.query_one(sql, &[]).await.context("look names up by their schema")?.get(0))
}

async fn set_path(transaction: &Transaction<'_>, path: &str) -> Result<(), Error> {
    let sql = "SELECT pg_catalog.set_config('search_path', $1, true)";
    transaction.query_one(sql, &[&path]).await.context("look names up as before").map(drop)
}
