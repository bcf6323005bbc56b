//! Rows that wait for their next try when the waits become shorter.

use crate::domain::errors::sync_error::Class;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::mappings::strategy::decide;

use crate::postgres::{Error, ErrorContext, Store};

/// Rows looked at together; the rest goes by the waits of before.
const LOOK: i64 = 10_000;

impl Store {
    /// Brings the next try of rows that were rejected forward to where the mapping's rules put it now. None is put off, and
    /// what would not be tried again at all has this one try left. Returns how many.
    pub async fn retry_sooner(&self, mapping: &Mapping) -> Result<u64, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to shorten waits")?;
        let rows = transaction
            .query(
                "SELECT record_id, unit.attempts, error.class, extract(epoch FROM ready_at - last_seen)::float8
                 FROM syncdeck.unit JOIN syncdeck.error USING (table_name, record_id)
                 WHERE table_name = $1 AND unit.state = 'ready' AND unit.attempts > 0 AND resolved_at IS NULL
                     AND ready_at > clock_timestamp() ORDER BY record_id LIMIT $2 FOR UPDATE OF unit SKIP LOCKED",
                &[&mapping.table, &LOOK],
            )
            .await
            .context("look which rows wait for their next try")?;
        let (mut ids, mut waits) = (Vec::new(), Vec::new());
        for row in &rows {
            let (id, attempts, class, wait): (i32, i32, &str, f64) =
                (row.get(0), row.get(1), row.get(2), row.get(3));
            let Some(class) = Class::from_word(class) else { continue };
            let before = u32::try_from(attempts - 1).unwrap_or(0);
            let now = decide(mapping.rules.strategy, &mapping.rules.retries, class, before, 1.0).pause();
            if let Some(now) = now.map(|pause| pause.as_secs_f64()).filter(|now| *now < wait) {
                ids.push(id);
                waits.push(now);
            }
        }
        let changed = transaction
            .execute(
                "WITH sooner AS (
                     UPDATE syncdeck.unit SET ready_at = last_seen + make_interval(secs => wait)
                     FROM unnest($2::integer[], $3::float8[]) AS next (id, wait), syncdeck.error
                     WHERE unit.table_name = $1 AND unit.record_id = next.id AND error.table_name = $1
                         AND error.record_id = next.id AND resolved_at IS NULL
                     RETURNING error.id, ready_at)
                 UPDATE syncdeck.error SET next_retry_at = ready_at FROM sooner WHERE error.id = sooner.id",
                &[&mapping.table, &ids, &waits],
            )
            .await
            .context("shorten waits")?;
        transaction.commit().await.context("shorten waits")?;
        Ok(changed)
    }
}
