//! A stand-in for Heroku Connect's engine, in plain SQL: takes NEW entries in the order of the log, marks them PENDING, sends them to a
//! table that stands for Salesforce, and answers: SUCCESS, MERGED or FAILED in the log, the outcome in the row, and what is
//! done moves to the archive. An address without an @ is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use syncdeck::domain::attached::mode::WriteMode;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

/// What is said of an address without an @.
pub const NO_MAIL: &str = "INVALID_EMAIL_ADDRESS:Email: invalid email address: no-mail";

pub struct HerokuEngine {
    stop: CancellationToken,
    task: JoinHandle<usize>,
}

struct Taken {
    id: i32,
    action: String,
    row: i32,
}

impl HerokuEngine {
    pub fn start(mut sql: Client, mode: WriteMode) -> HerokuEngine {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            sql.batch_execute("SET xmlbinary = 'hex'; SET search_path = salesforce, public").await.unwrap();
            let mut refused = 0;
            while !stopped.is_cancelled() {
                let taken = take(&mut sql).await;
                let groups: Vec<Vec<Taken>> = match mode {
                    WriteMode::Ordered => taken.into_iter().map(|entry| vec![entry]).collect(),
                    WriteMode::Merged => {
                        let mut by_row: BTreeMap<i32, Vec<Taken>> = BTreeMap::new();
                        taken.into_iter().for_each(|entry| by_row.entry(entry.row).or_default().push(entry));
                        by_row.into_values().collect()
                    }
                };
                if groups.is_empty() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                for group in groups {
                    refused += usize::from(!send(&mut sql, &group, mode).await);
                }
            }
            refused
        });
        HerokuEngine { stop, task }
    }

    /// Ends it; returns how often something was refused.
    pub async fn stop(self) -> usize {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}

/// The next entries, marked as being sent.
async fn take(sql: &mut Client) -> Vec<Taken> {
    let rows = sql
        .query(
            "WITH next AS (SELECT id FROM _trigger_log WHERE state = 'NEW' ORDER BY id LIMIT 10 FOR UPDATE),
                 taken AS (UPDATE _trigger_log log SET state = 'PENDING', updated_at = clock_timestamp() FROM next
                     WHERE log.id = next.id RETURNING log.id, action, record_id)
             SELECT * FROM taken ORDER BY id",
            &[],
        )
        .await
        .unwrap();
    rows.iter().map(|row| Taken { id: row.get(0), action: row.get(1), row: row.get(2) }).collect()
}

/// Sends entries of one row as one change, and answers; whether it was taken.
async fn send(sql: &mut Client, group: &[Taken], mode: WriteMode) -> bool {
    let ids: Vec<i32> = group.iter().map(|entry| entry.id).collect();
    let last = group.last().unwrap();
    let transaction = sql.transaction().await.unwrap();
    // The row first, as whoever mends it does.
    let row = transaction
        .query_opt("SELECT sfid, to_jsonb(c)->>'email', lastname, phone FROM contact c WHERE id = $1 FOR NO KEY UPDATE", &[&last.row])
        .await
        .unwrap();
    let mut sfid: Option<String> = row.as_ref().and_then(|row| row.get(0));
    let inserts = group.iter().any(|entry| entry.action == "INSERT");
    let values: Vec<(String, Option<String>)> = {
        let sql = "SELECT key, value FROM (SELECT DISTINCT ON (key) key, value FROM _trigger_log, LATERAL each(values::hstore)
            WHERE id = ANY($1) AND key IN ('email', 'phone', 'lastname') ORDER BY key, id DESC) latest";
        transaction.query(sql, &[&ids]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    let mut values: BTreeMap<String, Option<String>> = values.into_iter().collect();
    // With merged writes the next update tries the insert again, with all that the row has.
    let whole = inserts || (sfid.is_none() && mode == WriteMode::Merged);
    if whole
        && mode == WriteMode::Merged
        && let Some(row) = &row
    {
        for (column, value) in [("email", row.get(1)), ("lastname", row.get(2)), ("phone", row.get(3))] {
            values.insert(column.to_owned(), value);
        }
    }
    let bad =
        values.get("email").is_some_and(|email| email.as_ref().is_some_and(|email| !email.contains('@')));
    let taken = !bad && (sfid.is_some() || whole);
    let message = if bad { NO_MAIL } else { "INVALID_CROSS_REFERENCE_KEY: there is no record yet" };
    if taken {
        if whole {
            // Every insert makes a record of its own, whatever the row says.
            let created = "INSERT INTO org.contact (record_id, sfid) SELECT $1, '003HC' || lpad(nextval('org.number')::text, 13, '0') RETURNING sfid";
            sfid = Some(transaction.query_one(created, &[&last.row]).await.unwrap().get(0));
        }
        for (column, value) in &values {
            let sql = format!("UPDATE org.contact SET {column} = $2 WHERE record_id = $1");
            transaction.execute(&sql, &[&last.row, value]).await.unwrap();
        }
        let word = if whole { "INSERTED" } else { "UPDATED" };
        transaction
            .execute(
                "UPDATE contact SET sfid = $2, _hc_lastop = $3, _hc_err = NULL WHERE id = $1",
                &[&last.row, &sfid, &word],
            )
            .await
            .unwrap();
    } else {
        let err = format!("{{\"msg\":\"{message}\"}}");
        transaction
            .execute(
                "UPDATE contact SET _hc_lastop = 'FAILED', _hc_err = $2 WHERE id = $1",
                &[&last.row, &err],
            )
            .await
            .unwrap();
    }
    transaction
        .execute(
            "UPDATE _trigger_log SET processed_at = clock_timestamp(), updated_at = clock_timestamp(),
                 state = CASE WHEN id < $2 THEN 'MERGED' WHEN $3 THEN 'SUCCESS' ELSE 'FAILED' END,
                 sf_message = CASE WHEN id < $2 OR $3 THEN NULL ELSE $4 END WHERE id = ANY($1)",
            &[&ids, &last.id, &taken, &message],
        )
        .await
        .unwrap();
    // What is done moves to the archive; of what failed, every other one.
    transaction
        .execute(
            "WITH moved AS (DELETE FROM _trigger_log WHERE id = ANY($1) AND (state <> 'FAILED' OR id % 2 = 0) RETURNING *)
             INSERT INTO _trigger_log_archive SELECT * FROM moved",
            &[&ids],
        )
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    taken
}
