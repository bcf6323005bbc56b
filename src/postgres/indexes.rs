//! The indexes of sync errors. Where there are a million errors, building them takes a minute: there the engine does it
//! beside its work, without anybody waiting, and lists walk meanwhile.

use std::time::Duration;

use super::{Error, Store, Transaction, While};

/// By name, what each is on, among unresolved errors. The first ones serve a list in any order, page by page: at a million
/// all of them together cost a new error 37 us. The others serve what is rare: by group, by record, by any of the
/// properties that have few values (9 us), by words (300 us; without it a word costs seconds).
const INDEXES: [(&str, &str); 12] = [
    ("error_by_first_seen", "(first_seen, id) WHERE resolved_at IS NULL"),
    ("error_by_mapping", "(mapping, last_seen, id) WHERE resolved_at IS NULL"),
    ("error_by_row", "(coalesce(record_id, 0), id) WHERE resolved_at IS NULL"),
    ("error_by_code", "(code, last_seen, id) WHERE resolved_at IS NULL"),
    ("error_by_field", "(fields, last_seen, id) WHERE resolved_at IS NULL"),
    ("error_by_attempts", "(attempts, last_seen, id) WHERE resolved_at IS NULL"),
    ("error_by_state", "(state, last_seen, id) WHERE resolved_at IS NULL"),
    ("error_by_next_retry", "(coalesce(next_retry_at, 'infinity'), id) WHERE resolved_at IS NULL"),
    ("error_by_group", "(fingerprint COLLATE \"C\") WHERE resolved_at IS NULL"),
    ("error_by_record", "(\"left\"(sfid, 15)) WHERE resolved_at IS NULL AND sfid IS NOT NULL"),
    (
        "error_properties",
        "USING gin (fields, (ARRAY[lower(mapping), table_name::text, code, category, class, state, op, source, fingerprint]))
         WHERE resolved_at IS NULL",
    ),
    (
        WORDS,
        "USING gin ((message || E'\\n' || code || E'\\n' || sent || E'\\n' || coalesce(record_id::text, '') || ' '
         || coalesce(sfid, '')) {trigrams}.gin_trgm_ops) WHERE resolved_at IS NULL",
    ),
];
/// The index of words; only where the extension pg_trgm can be had.
const WORDS: &str = "error_words";
/// The schema of pg_trgm, where it is there.
const TRIGRAMS: &str = "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'pg_trgm'";
/// The indexes of sync errors that are built.
const BUILT: &str = "SELECT relname::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
     WHERE indrelid = 'syncdeck.error'::regclass AND indisvalid";
/// Up to so many errors are indexed while everybody waits: some 100 ms.
const FEW: i64 = 10_000;
/// The longest that one index may take.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);

/// Which ways there are to look errors up.
pub(super) struct Built(Vec<String>);

impl Built {
    pub async fn of(transaction: &Transaction<'_>) -> Result<Built, Error> {
        let rows = transaction.query(BUILT, &[]).await.while_("look for the indexes of sync errors")?;
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

    /// The missing ones, with what they are on.
    fn missing(&self, trigrams: Option<&str>) -> Vec<(&'static str, String)> {
        let missing = INDEXES.iter().filter(|(name, _)| !self.has(name));
        missing
            .filter(|(name, _)| *name != WORDS || trigrams.is_some())
            .map(|(name, on)| (*name, on.replace("{trigrams}", trigrams.unwrap_or_default())))
            .collect()
    }
}

/// Builds the indexes at once where there are few errors. Where there are many, the engine does it later.
pub(super) async fn index_few(transaction: &mut Transaction<'_>) -> Result<(), Error> {
    let built = Built::of(transaction).await?;
    let trigrams = trigrams(transaction).await?;
    let missing = built.missing(trigrams.as_deref());
    if missing.is_empty() {
        return Ok(());
    }
    let sql = format!("SELECT count(*) FROM (SELECT FROM syncdeck.error LIMIT {}) errors", FEW + 1);
    let errors: i64 =
        transaction.query_one(&sql, &[]).await.while_("look how many sync errors there are")?.get(0);
    if errors > FEW {
        return Ok(());
    }
    for (name, on) in missing {
        let sql = format!("DROP INDEX IF EXISTS syncdeck.{name}; CREATE INDEX {name} ON syncdeck.error {on}");
        transaction.batch_execute(&sql).await.while_("index sync errors")?;
    }
    Ok(())
}

/// The schema of pg_trgm, which is made where it can be had.
async fn trigrams(transaction: &mut Transaction<'_>) -> Result<Option<String>, Error> {
    let wanted = "SELECT FROM pg_available_extensions WHERE name = 'pg_trgm' AND installed_version IS NULL";
    if transaction.query_opt(wanted, &[]).await.while_("look for the extension pg_trgm")?.is_some() {
        let savepoint = transaction.savepoint("words").await.while_("begin to make the extension pg_trgm")?;
        // Whoever may not make it works without.
        match savepoint.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public").await {
            Ok(()) => savepoint.commit().await,
            Err(error) if error.code().is_some() => savepoint.rollback().await,
            Err(error) => Err(error),
        }
        .while_("make the extension pg_trgm")?;
    }
    let row = transaction.query_opt(TRIGRAMS, &[]).await.while_("find the extension pg_trgm")?;
    Ok(row.map(|row| row.get(0)))
}

impl Store {
    /// Builds the indexes of sync errors that are missing, one after the other, each while everybody goes on reading and
    /// writing; how many. `None` when somebody else is at it.
    ///
    /// # Errors
    /// What was built until then stays.
    pub async fn build_indexes(&self) -> Result<Option<usize>, Error> {
        let missing = {
            let mut client = self.client().await?;
            let transaction =
                client.transaction().await.while_("begin to look for the indexes of sync errors")?;
            let trigrams = transaction.query_opt(TRIGRAMS, &[]).await.while_("find the extension pg_trgm")?;
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
            .while_("begin to index sync errors")?;
        if !alone.get::<_, bool>(0) {
            return Ok(None);
        }
        for (name, on) in &missing {
            // What a build left that was broken off is in the way; the lock tells it from one that goes on.
            let clear = format!(
                "DO $do$ BEGIN
                     PERFORM set_config('lock_timeout', '2s', true);
                     LOCK TABLE syncdeck.error IN SHARE UPDATE EXCLUSIVE MODE;
                     IF EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('syncdeck.{name}') AND NOT indisvalid) THEN
                         DROP INDEX syncdeck.{name};
                     END IF;
                 END $do$"
            );
            session.batch_execute(&clear).await.while_("clear the way for an index of sync errors")?;
            let build = format!("CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON syncdeck.error {on}");
            session.batch_execute(&build).await.while_("index sync errors")?;
        }
        Ok(Some(missing.len()))
    }
}
