//! The indexes of sync errors, and those of the history. Where there are a million errors, building them takes a minute:
//! there the engine does it beside its work, without anybody waiting, and lists walk meanwhile.

use std::time::Duration;

use crate::postgres::{Error, ErrorContext, Store, Transaction};

/// By name, what each is on, among unresolved errors. The first ones serve a list in any order, page by page: at a million
/// all of them together cost a new error 37 us. The others serve what is rare: by group, by record, by any of the
/// properties that have few values (9 us), by words (300 us; without it a word costs seconds).
const INDEXES: [(&str, &str); 15] = [
    ("error_by_first_seen", "(first_seen, id) WHERE resolved_at IS NULL"),
    ("error_by_mapping", "(mapping, last_seen, id) WHERE resolved_at IS NULL"),
    ("error_by_row", "(coalesce(record_id, 0), id) WHERE resolved_at IS NULL"),
    ("error_by_code", "(code, last_seen, id) WHERE resolved_at IS NULL"),
    ("error_by_field", "(fields, last_seen, id) WHERE resolved_at IS NULL"),
    ("error_by_attempts", "(attempts, last_seen, id) WHERE resolved_at IS NULL"),
    ("error_by_state", "(state, last_seen, id) WHERE resolved_at IS NULL"),
    ("error_by_next_retry", "(coalesce(next_retry_at, 'infinity'), id) WHERE resolved_at IS NULL"),
    ("error_by_group", "(fingerprint COLLATE \"C\") WHERE resolved_at IS NULL"),
    // Whether a cause has errors that need somebody, however many of it are ignored.
    (
        "error_by_open_group",
        "(fingerprint COLLATE \"C\") WHERE resolved_at IS NULL AND state NOT IN ('held', 'ignored')",
    ),
    ("error_by_record", "(\"left\"(sfid, 15)) WHERE resolved_at IS NULL AND sfid IS NOT NULL"),
    (
        "error_properties",
        "USING gin (fields, (ARRAY[lower(mapping), table_name::text, code, category, class, state, op, source, fingerprint]))
         WHERE resolved_at IS NULL",
    ),
    // Of all errors: what came and what ended in an hour is summed up from them.
    ("error_began", "(first_seen)"),
    ("error_ended", "(resolved_at) WHERE resolved_at IS NOT NULL"),
    (
        WORDS,
        "USING gin ((message || E'\\n' || code || E'\\n' || sent || E'\\n' || coalesce(record_id::text, '') || ' '
         || coalesce(sfid, '')) {trigrams}.gin_trgm_ops) WHERE resolved_at IS NULL",
    ),
];
/// Those of the history on other tables: which records ever failed, for most did not; what an operator did from a time on.
const OF_HISTORY: [(&str, &str, &str); 2] = [
    ("attempt", "attempt_failed", "(table_name, record_id, id) WHERE outcome <> 'accepted'"),
    ("audit", "audit_at", "(at)"),
];
/// Those without which summing the history up would read whole tables.
const SUMMED_BY: [&str; 4] = ["error_began", "error_ended", "attempt_failed", "audit_at"];
/// The index of words; only where the extension pg_trgm can be had.
const WORDS: &str = "error_words";
/// The schema of pg_trgm, where it is there.
const TRIGRAMS: &str = "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'pg_trgm'";
/// The indexes that are built.
const BUILT: &str = "SELECT relname::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
     WHERE indrelid IN ('syncdeck.error'::regclass, 'syncdeck.attempt'::regclass, 'syncdeck.audit'::regclass)
         AND indisvalid";
/// Tables of up to so many rows are indexed while everybody waits: some 100 ms.
const FEW: i64 = 10_000;
/// The longest that one index may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(6 * 3600);

/// An index that is missing.
struct Missing {
    table: &'static str,
    name: &'static str,
    on: String,
}

/// Which ways there are to look errors up.
pub(in crate::postgres) struct Built(Vec<String>);

impl Built {
    pub async fn of(transaction: &Transaction<'_>) -> Result<Built, Error> {
        let rows = transaction.query(BUILT, &[]).await.context("look for the indexes of sync errors")?;
        Ok(Built(rows.iter().map(|row| row.get(0)).collect()))
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|built| built == name)
    }

    /// By words.
    pub fn words(&self) -> bool {
        self.has(WORDS)
    }

    /// By everything else.
    pub fn properties(&self) -> bool {
        INDEXES.iter().all(|(name, _)| *name == WORDS || self.has(name))
    }

    fn missing(&self, trigrams: Option<&str>) -> Vec<Missing> {
        let of_errors = INDEXES.iter().map(|(name, on)| ("error", *name, *on));
        of_errors
            .chain(OF_HISTORY)
            .filter(|(_, name, _)| !self.has(name) && (*name != WORDS || trigrams.is_some()))
            .map(|(table, name, on)| Missing {
                table,
                name,
                on: on.replace("{trigrams}", trigrams.unwrap_or_default()),
            })
            .collect()
    }
}

/// Builds the indexes at once of tables that have few rows. Of the others, the engine does it later.
pub(in crate::postgres) async fn index_few(transaction: &mut Transaction<'_>) -> Result<(), Error> {
    let built = Built::of(transaction).await?;
    let trigrams = trigrams(transaction).await?;
    let mut missing = built.missing(trigrams.as_deref());
    for table in ["error", "attempt", "audit"] {
        if missing.iter().all(|index| index.table != table) {
            continue;
        }
        let sql = format!("SELECT count(*) FROM (SELECT FROM syncdeck.{table} LIMIT {}) few", FEW + 1);
        let rows: i64 =
            transaction.query_one(&sql, &[]).await.context("look how many rows there are to index")?.get(0);
        missing.retain(|index| index.table != table || rows <= FEW);
    }
    for Missing { table, name, on } in missing {
        let sql =
            format!("DROP INDEX IF EXISTS syncdeck.{name}; CREATE INDEX {name} ON syncdeck.{table} {on}");
        transaction.batch_execute(&sql).await.context("index sync errors")?;
    }
    Ok(())
}

/// The schema of pg_trgm, which is made where it can be had.
async fn trigrams(transaction: &mut Transaction<'_>) -> Result<Option<String>, Error> {
    let wanted = "SELECT FROM pg_available_extensions WHERE name = 'pg_trgm' AND installed_version IS NULL";
    if transaction.query_opt(wanted, &[]).await.context("look for the extension pg_trgm")?.is_some() {
        let savepoint =
            transaction.savepoint("words").await.context("begin to make the extension pg_trgm")?;
        // Whoever may not make it works without.
        match savepoint.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public").await {
            Ok(()) => savepoint.commit().await,
            Err(error) if error.code().is_some() => savepoint.rollback().await,
            Err(error) => Err(error),
        }
        .context("make the extension pg_trgm")?;
    }
    let row = transaction.query_opt(TRIGRAMS, &[]).await.context("find the extension pg_trgm")?;
    Ok(row.map(|row| row.get(0)))
}

impl Store {
    /// Whether the history can be summed up without reading whole tables.
    pub async fn is_history_indexed(&self) -> Result<bool, Error> {
        let client = self.client().await?;
        let rows = client.query(BUILT, &[]).await.context("look for the indexes of the history")?;
        let built = Built(rows.iter().map(|row| row.get(0)).collect());
        Ok(SUMMED_BY.iter().all(|name| built.has(name)))
    }

    /// Builds the indexes of sync errors and of the history that are missing, one after the other, each while everybody goes on reading and
    /// writing; how many. `None` when somebody else is at it.
    ///
    /// # Errors
    /// What was built until then stays.
    pub async fn build_indexes(&self) -> Result<Option<usize>, Error> {
        let missing = {
            let mut client = self.client().await?;
            let transaction =
                client.transaction().await.context("begin to look for the indexes of sync errors")?;
            let trigrams =
                transaction.query_opt(TRIGRAMS, &[]).await.context("find the extension pg_trgm")?;
            let trigrams: Option<String> = trigrams.map(|row| row.get(0));
            Built::of(&transaction).await?.missing(trigrams.as_deref())
        };
        if missing.is_empty() {
            return Ok(Some(0));
        }
        // A session of its own: a build is silent for longer than any other statement may be.
        let session = self.patient_session(PATIENCE).await?;
        let alone = session
            .query_one("SELECT pg_try_advisory_lock(hashtext('syncdeck indexes'))", &[])
            .await
            .context("begin to index sync errors")?;
        if !alone.get::<_, bool>(0) {
            return Ok(None);
        }
        for Missing { table, name, on } in &missing {
            // What a build left that was broken off is in the way; the lock tells it from one that goes on.
            let clear = format!(
                "DO $do$ BEGIN
                     PERFORM set_config('lock_timeout', '2s', true);
                     LOCK TABLE syncdeck.{table} IN SHARE UPDATE EXCLUSIVE MODE;
                     IF EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('syncdeck.{name}') AND NOT indisvalid) THEN
                         DROP INDEX syncdeck.{name};
                     END IF;
                 END $do$"
            );
            session.batch_execute(&clear).await.context("clear the way for an index of sync errors")?;
            let build = format!("CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON syncdeck.{table} {on}");
            session.batch_execute(&build).await.context("index sync errors")?;
        }
        Ok(Some(missing.len()))
    }
}
