//! The life of a row's newest change, as the log, its archive, the row's unit and the attempts tell it.

use chrono::{DateTime, Utc};

use crate::domain::changes::pending::WaitReason;
use crate::domain::names::RowRef;
use crate::domain::records::life::{ChangeLife, LifeAnswers, LifeStage};
use crate::domain::state::{PendingState, WritesState};
use crate::postgres::changes::queue::CAPTURED_AT;
use crate::postgres::{Error, ErrorContext, Store};

/// The newest entry of a row.
struct NewestEntry {
    captured_at: DateTime<Utc>,
    settled_at: Option<DateTime<Utc>>,
    state: String,
    set_aside: bool,
    message: Option<String>,
}

impl Store {
    /// What became of a row's newest change; `ignored` tells whether a person stopped asking about its error. Indexes
    /// `_trigger_log_idx_record`, `_trigger_log_archive_idx_record_id` and `attempt_record`.
    pub(super) async fn life(&self, at: &RowRef, ignored: bool) -> Result<ChangeLife, Error> {
        let client = self.client().await?;
        let newest = |log: &str, settled: &str| {
            format!(
                "(SELECT id, {CAPTURED_AT} AS captured, {settled} AS settled, coalesce(state, '') AS state,
                     coalesce(sf_result = -1, false) AS aside, sf_message
                 FROM {}.{log} WHERE table_name = $1 AND record_id = $2 ORDER BY id DESC LIMIT 1)",
                self.schema
            )
        };
        let sql = format!(
            "SELECT * FROM ({} UNION ALL {}) entry ORDER BY id DESC LIMIT 1",
            newest("_trigger_log", "processed_at"),
            newest("_trigger_log_archive", "coalesce(processed_at, updated_at)")
        );
        let entry =
            client.query_opt(&sql, &[&at.table, &at.row.0]).await.context("read a row's newest change")?;
        let upto: i32 = entry.as_ref().map_or(0, |entry| entry.get(0));
        let entry = entry.map(|row| NewestEntry {
            captured_at: row.get(1),
            settled_at: row.get(2),
            state: row.get(3),
            set_aside: row.get(4),
            message: row.get(5),
        });
        // Without an entry the last call is all that is known of its change.
        let sql = "SELECT count(*), min(at), max(at), (array_agg(outcome ORDER BY id DESC))[1] FROM (
                 SELECT id, at, outcome FROM syncdeck.attempt
                 WHERE table_name = $1 AND record_id = $2 AND upto >= $3 ORDER BY id DESC LIMIT $4) sent";
        let most: i64 = if entry.is_some() { i64::MAX } else { 1 };
        let sent = client
            .query_one(sql, &[&at.table, &at.row.0, &upto, &most])
            .await
            .context("count the attempts of a row's newest change")?;
        let answers = match sent.get::<_, i64>(0) {
            0 => None,
            count => {
                Some(LifeAnswers { count, first_at: sent.get(1), last_at: sent.get(2), last: sent.get(3) })
            }
        };
        let unit = client
            .query_opt(
                "SELECT unit.state, ready_at, ready_at <= clock_timestamp(), attempts, attempts + lost, coalesce(writes, 'on'),
                     coalesce((SELECT name FROM syncdeck.mapping parent WHERE parent.table_name = held_table), held_table),
                     coalesce(held_record::text, held_text, held_key), job.job::text, job.began_at
                 FROM syncdeck.unit LEFT JOIN syncdeck.mapping USING (table_name)
                     LEFT JOIN syncdeck.write_job job ON job.token = unit.token
                 WHERE unit.table_name = $1 AND record_id = $2",
                &[&at.table, &at.row.0],
            )
            .await
            .context("read where a row's newest change stands")?;
        let stage = match (&unit, &entry) {
            (_, Some(entry)) if entry.set_aside => {
                LifeStage::Dropped { why: "set aside: it fits no row".to_owned(), at: entry.settled_at }
            }
            // What came after the unit was settled, or while it failed, is not taken in yet.
            (None, Some(entry)) => settled(entry),
            (Some(unit), Some(entry)) if entry.state == "NEW" && unit.get::<_, &str>(0) != "inflight" => {
                LifeStage::Waiting { why: reason(unit, PendingState::New).reason() }
            }
            (Some(unit), _) => stage_of(unit, ignored),
            (None, None) => match &answers {
                Some(answers) if answers.last == "accepted" => {
                    LifeStage::Accepted { at: Some(answers.last_at) }
                }
                _ => LifeStage::Unknown,
            },
        };
        let unknown = (stage == LifeStage::Unknown)
            .then(|| "no change of this row is known: it was read from Salesforce".to_owned());
        let captured_at = entry.map(|entry| entry.captured_at).filter(|captured| captured.timestamp() > 0);
        Ok(ChangeLife { captured_at, answers, stage, unknown })
    }
}

/// Where a change stands of which no unit is left, or none yet.
fn settled(entry: &NewestEntry) -> LifeStage {
    let dropped = |why: &str| LifeStage::Dropped { why: why.to_owned(), at: entry.settled_at };
    match entry.state.as_str() {
        "SUCCESS" | "MERGED" => LifeStage::Accepted { at: entry.settled_at },
        "IGNORED" => dropped(entry.message.as_deref().unwrap_or("ignored")),
        "REQUEUED" => dropped("sent again as another change"),
        "FAILED" => LifeStage::GivenUp { why: "waits for a person".to_owned() },
        _ => LifeStage::Waiting { why: "waits to be taken in".to_owned() },
    }
}

fn reason(unit: &tokio_postgres::Row, state: PendingState) -> WaitReason {
    WaitReason {
        state,
        due: unit.get(2),
        sends: unit.get(4),
        writes: WritesState::of(unit.get(5)),
        parent: unit.get::<_, Option<String>>(6).zip(unit.get(7)),
    }
}

/// Where a change stands by its row's unit.
fn stage_of(unit: &tokio_postgres::Row, ignored: bool) -> LifeStage {
    let state: &str = unit.get(0);
    match state {
        "writeback" => LifeStage::Accepted { at: None },
        "inflight" => match unit.get::<_, Option<DateTime<Utc>>>(9) {
            Some(since) => LifeStage::InJob { job: unit.get(8), since },
            None => LifeStage::Sending,
        },
        "failed" if ignored => LifeStage::Dropped { why: "ignored".to_owned(), at: None },
        "failed" => {
            let tries: i32 = unit.get(3);
            let why = if tries > 1 { "given up, waits for a person" } else { "waits for a person" };
            LifeStage::GivenUp { why: why.to_owned() }
        }
        "review" => LifeStage::GivenUp { why: reason(unit, PendingState::Review).reason() },
        state => {
            let waits = reason(unit, PendingState::of(state));
            match waits.rests() && waits.sends > 0 {
                true => LifeStage::Again { at: unit.get(1) },
                false => LifeStage::Waiting { why: waits.reason() },
            }
        }
    }
}
