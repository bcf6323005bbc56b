//! Applying deletes that were read from Salesforce to the users' tables.

use crate::domain::changes::merge::Policy;
use crate::domain::mappings::mapping::Mapping;

use crate::postgres::changes::queue::UNSENT;
use crate::postgres::reports::status::Lease;
use crate::postgres::tables::rows::LIMIT_WAITS;
use crate::postgres::{AS_ENGINE, Cached, Error, ErrorContext, Store};

/// What became of the rows of deleted records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deletes {
    /// How many are removed.
    pub deleted: u64,
    /// Records whose row somebody holds: they are to be looked at again.
    pub locked: Vec<String>,
    /// Records whose row stays although nothing of it is unsent: a trigger or a rule let the delete fall.
    pub kept: Vec<String>,
}

impl Store {
    /// Removes the rows of records that were deleted in Salesforce, unless a change of theirs is unsent.
    pub async fn apply_deletes(
        &self,
        lease: &Lease,
        mapping: &Mapping,
        sfids: &[String],
    ) -> Result<Deletes, Error> {
        if sfids.is_empty() || mapping.rules.ignore_deletes.salesforce {
            return Ok(Deletes::default());
        }
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin applying deletes")?;
        lease.prove(&transaction).await?;
        transaction.batch_execute(AS_ENGINE).await.context("mark the engine's own write")?;
        transaction.batch_execute(LIMIT_WAITS).await.context("limit the wait for locks")?;
        let table = self.table(&mapping.table);
        let ids: Vec<i32> = transaction
            .query_cached(
                &format!("SELECT id FROM {table} WHERE sfid = ANY($1) FOR UPDATE SKIP LOCKED"),
                &[&sfids],
            )
            .await
            .context("lock deleted rows")?
            .iter()
            .map(|row| row.get(0))
            .collect();
        let locked = transaction
            .query_cached(
                &format!("SELECT sfid::text FROM {table} WHERE sfid = ANY($1) AND id <> ALL($2)"),
                &[&sfids, &ids],
            )
            .await
            .context("find deleted rows that somebody holds")?;
        if mapping.rules.conflicts == Policy::SalesforceWins {
            self.give_up_changes(&transaction, mapping, &ids).await?;
        }
        let sql = format!(
            "SELECT t.id FROM {table} t WHERE t.id = ANY($1) AND NOT EXISTS (
                 SELECT FROM {}._trigger_log log WHERE log.table_name = $2 AND log.record_id = t.id AND log.{UNSENT})",
            self.schema
        );
        let settled = transaction.query_cached(&sql, &[&ids, &mapping.table]).await;
        let settled = settled.context("find deleted rows without unsent changes")?;
        let settled: Vec<i32> = settled.iter().map(|row| row.get(0)).collect();
        let deleted = transaction
            .write_rows(&format!("DELETE FROM {table} WHERE id = ANY($1)"), &[&settled])
            .await
            .context("delete rows")?;
        let kept = transaction
            .query_cached(&format!("SELECT sfid::text FROM {table} WHERE id = ANY($1)"), &[&settled])
            .await
            .context("find rows that stay although they were deleted")?;
        transaction.commit().await.context("finish applying deletes")?;
        let ids_of = |rows: &[tokio_postgres::Row]| rows.iter().map(|row| row.get(0)).collect();
        Ok(Deletes { deleted, locked: ids_of(&locked), kept: ids_of(&kept) })
    }
}
