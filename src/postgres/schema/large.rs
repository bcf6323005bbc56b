//! Indexes that large tables of others lack, which are taken over. They are made before everything else is laid out, each
//! while everybody goes on writing: in the transaction of the layout, whoever writes to the table would wait for minutes,
//! and the layout would end at the time that a statement may take. Not behind a transaction pooler, where no session is
//! ours for as long as that takes.

use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::domain::mappings::mapping::Mapping;
use crate::domain::reports::setup_plan::SetupAction;

use crate::postgres::schema::capture;
use crate::postgres::schema::indexes::PATIENCE;
use crate::postgres::schema::install::{alone, folding, folding_collation, found_hstore};
use crate::postgres::schema::step::SetupStep;
use crate::postgres::schema::table_steps::stamp_of;
use crate::postgres::{Error, ErrorContext, Store, Transaction, quote};

/// Tables of up to so many bytes are indexed in the layout itself, while their writers wait: some 100 ms.
const SMALL: i64 = 8 << 20;
/// Between two looks whether another engine has done it.
const LOOK: Duration = Duration::from_secs(1);
/// Begins the statements of the indexes beside the mapped tables.
const CREATE_INDEX: &str = "CREATE INDEX IF NOT EXISTS ";

impl Store {
    /// Makes the indexes that large tables lack, and tells each when it begins. Nothing where something is refused: the layout
    /// says why.
    ///
    /// # Errors
    /// Where values of a column that is to be unique stand in several rows. What was made until then stays.
    pub async fn index_large(
        &self,
        org_id: &str,
        mappings: &[Mapping],
        tell: &(dyn Fn(String) + Sync),
    ) -> Result<(), Error> {
        let missing = self.missing_of_large(org_id, mappings).await?;
        if missing.is_empty() {
            return Ok(());
        }
        let session = self.patient_session(PATIENCE).await?;
        wait_for_others(&session, tell).await?;
        self.check_doubled(mappings, &missing).await?;
        self.make_keys().await?;
        for _ in &missing {
            // Another engine may have made it, and what was made may have the name that the next one was to have.
            let left = self.missing_of_large(org_id, mappings).await?;
            let Some(step) = left.first() else { break };
            self.index_beside(&session, mappings, step, tell).await?;
        }
        Ok(())
    }

    /// The indexes that large tables lack, as steps.
    async fn missing_of_large(&self, org_id: &str, mappings: &[Mapping]) -> Result<Vec<SetupStep>, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to look for large tables")?;
        let hstore = found_hstore(&transaction).await?;
        if hstore.is_none() || self.foreign_org(&transaction, org_id).await?.is_some() {
            return Ok(Vec::new());
        }
        let hstore = hstore.unwrap_or_default();
        let layouts = self.layouts(&transaction).await?;
        let mut missing = Vec::new();
        for mapping in mappings {
            let known = layouts.get(&mapping.table);
            let steps = match self.table_steps(&transaction, mapping, &hstore, known).await {
                Ok(steps) => steps.steps,
                Err(Error::Refused(_)) => return Ok(Vec::new()),
                Err(error) => return Err(error),
            };
            let actions: Vec<SetupAction> = steps.iter().map(|step| step.action.clone()).collect();
            if self.condition_fault(&transaction, mapping, &actions).await?.is_some() {
                return Ok(Vec::new());
            }
            let beside =
                |step: &SetupStep| matches!(step.action, SetupAction::CreateIndex { beside: true, .. });
            missing.extend(steps.into_iter().filter(beside));
        }
        let connection = self.connection_sql(&transaction, &hstore).await?;
        if layouts.get("") != Some(&stamp_of(&connection)) {
            missing.extend(self.missing_of_log(&transaction, &connection).await?);
        }
        Ok(missing)
    }

    /// The same of the tables beside the mapped ones.
    async fn missing_of_log(
        &self,
        transaction: &Transaction<'_>,
        connection: &str,
    ) -> Result<Vec<SetupStep>, Error> {
        let mut missing = Vec::new();
        for part in connection.split(CREATE_INDEX).skip(1) {
            let Some((statement, _)) = part.split_once(';') else { continue };
            let mut words = statement.split_whitespace();
            let (Some(name), Some(full)) = (words.next(), words.nth(1)) else { continue };
            let table = full.rsplit('.').next().unwrap_or(full).to_owned();
            let there = transaction
                .query_one(
                    "SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass($1) AND indisvalid)",
                    &[&format!("{}.{name}", self.schema)],
                )
                .await
                .context("look for an index of the change log")?;
            if !there.get::<_, bool>(0) && self.indexes_beside(transaction, &table).await? {
                let action =
                    SetupAction::CreateIndex { name: name.to_owned(), table, unique: false, beside: true };
                missing.push(SetupStep { action, sql: format!("{CREATE_INDEX}{statement}") });
            }
        }
        Ok(missing)
    }

    /// Whether a table is so large that its writers should not wait for an index, and need not.
    pub(super) async fn indexes_beside(
        &self,
        transaction: &Transaction<'_>,
        table: &str,
    ) -> Result<bool, Error> {
        if self.pooled.is_some() {
            return Ok(false);
        }
        let sql = "SELECT coalesce(pg_relation_size(to_regclass($1)), 0) > $2";
        let row = transaction.query_one(sql, &[&self.table(table), &SMALL]).await;
        Ok(row.context("look how large a table is")?.get(0))
    }

    /// Refuses what would be found only after hours.
    async fn check_doubled(&self, mappings: &[Mapping], steps: &[SetupStep]) -> Result<(), Error> {
        let unique = |mapping: &&Mapping| {
            steps.iter().any(|step| match &step.action {
                SetupAction::CreateIndex { table, unique: true, .. } => *table == mapping.table,
                _ => false,
            })
        };
        self.refuse_doubled(mappings.iter().filter(unique)).await
    }

    async fn refuse_doubled(&self, mappings: impl Iterator<Item = &Mapping>) -> Result<(), Error> {
        let patient = self.with_patience(PATIENCE)?;
        let mut client = patient.client().await?;
        let transaction = client.transaction().await.context("begin to look for doubled values")?;
        for mapping in mappings {
            if let Some(why) = self.doubled_values(&transaction, mapping).await? {
                return Err(Error::Refused(why));
            }
        }
        Ok(())
    }

    /// What keys are compared by, as the layout makes it, where it is not there.
    async fn make_keys(&self) -> Result<(), Error> {
        let mut client = self.client().await?;
        let transaction = alone(&mut client, "syncdeck install").await?;
        let there = transaction
            .query_one(
                "SELECT to_regproc($1 || '.hc_fold_key') IS NOT NULL AND to_regproc($1 || '.hc_trim_key') IS NOT NULL",
                &[&self.schema],
            )
            .await
            .context("look for the functions of keys")?;
        if there.get(0) {
            return Ok(());
        }
        let collation = folding_collation(&transaction).await?;
        let sql = folding(&capture::of_keys(&self.schema), collation);
        transaction.batch_execute(&sql).await.context("make the functions of keys")?;
        transaction.commit().await.context("make the functions of keys")
    }

    /// Makes an index while everybody goes on writing.
    async fn index_beside(
        &self,
        session: &Client,
        mappings: &[Mapping],
        step: &SetupStep,
        tell: &(dyn Fn(String) + Sync),
    ) -> Result<(), Error> {
        let SetupAction::CreateIndex { name, table, .. } = &step.action else { return Ok(()) };
        let full = format!("{}.{}", self.schema, quote(name));
        tell(format!("the index {name} on {table} is being made; everybody goes on meanwhile"));
        // What was broken off is there, and of no use.
        let broken = session
            .query_one(
                "SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass($1) AND NOT indisvalid)",
                &[&full],
            )
            .await
            .context("look for an index that was broken off")?;
        let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {full}");
        if broken.get(0) {
            session.batch_execute(&drop).await.context("drop an index that was broken off")?;
        }
        let build = step.sql.replacen("INDEX ", "INDEX CONCURRENTLY ", 1);
        let Err(source) = session.batch_execute(&build).await else { return Ok(()) };
        // Where that fails too, the next one drops it.
        let _ = session.batch_execute(&drop).await;
        let mapping = mappings.iter().find(|mapping| mapping.table == *table);
        if let (Some(&SqlState::UNIQUE_VIOLATION), Some(mapping)) = (source.code(), mapping) {
            // Not by what PostgreSQL says: a value is in that.
            self.refuse_doubled(std::iter::once(mapping)).await?;
        }
        Err(Error::Sql { what: "index a large table", source })
    }
}

/// Waits until no other engine is at it.
async fn wait_for_others(session: &Client, tell: &(dyn Fn(String) + Sync)) -> Result<(), Error> {
    let mut told = false;
    loop {
        // Nobody waits in a statement: the index would wait for the end of that, and so for itself.
        let alone = session
            .query_one("SELECT pg_try_advisory_lock(hashtext('syncdeck large')::bigint)", &[])
            .await
            .context("begin to index large tables")?;
        if alone.get(0) {
            return Ok(());
        }
        if !told {
            tell("another engine indexes large tables; that is waited for".to_owned());
            told = true;
        }
        tokio::time::sleep(LOOK).await;
    }
}
