//! A stand-in for Heroku Connect's engine with merged writes: reads what changed in the org into the tables, takes NEW
//! entries of the log, sends them, and answers in the log and in the row. It rests while a file `paused` lies in the
//! workspace, as Heroku Connect does after `heroku connect:pause`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value};
use tokio::time::Instant;
use tokio_postgres::{Client, Error, Row, Transaction};
use tokio_util::sync::CancellationToken;

use crate::simulator::Org;

use super::api::ConnectApi;
use super::{MAPPINGS, Mapped};

/// Between two looks at the log.
const LOOK: Duration = Duration::from_millis(200);
/// Between two reads of the org.
const POLL: Duration = Duration::from_secs(3);
/// Rows of one statement.
const ROWS: usize = 500;

/// The stand-in.
pub(super) struct StandIn {
    pub(super) org: Org,
    /// Where it is switched off.
    pause: PathBuf,
    /// What it tells, as the platform's log has it.
    log: File,
    /// Its API, which tells how it stands.
    pub(super) told: Option<ConnectApi>,
    stop: CancellationToken,
    /// Of each mapping, up to when the org was read.
    pub(super) read: [String; MAPPINGS.len()],
}

/// An entry of the log.
struct Entry {
    id: i32,
    action: String,
    /// What it sets, by columns.
    values: Map<String, Value>,
    sfid: Option<String>,
}

impl StandIn {
    pub(super) fn new(
        org: Org,
        pause: PathBuf,
        log: File,
        told: Option<ConnectApi>,
        stop: CancellationToken,
    ) -> StandIn {
        StandIn { org, pause, log, told, stop, read: Default::default() }
    }

    /// Writes a line of its log; without one it works all the same.
    pub(super) fn tell(&self, level: &str, event: &str, of: &str) {
        let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let _ = writeln!(&self.log, "{time} app[herokuconnect]: event={event:?} {of}level={level}");
    }

    /// Works until the end. What PostgreSQL refuses is tried again with the next look.
    pub(super) async fn run(mut self, mut sql: Client) {
        let (mut polled, mut counted, mut paused) = (Instant::now(), Instant::now(), false);
        while !self.stop.is_cancelled() {
            let rests = self.pause.exists();
            if rests != std::mem::replace(&mut paused, rests) {
                self.tell("info", if rests { "paused" } else { "resumed" }, "");
            }
            self.tell_state();
            if !rests {
                let _ = self.send(&mut sql).await;
                let reloads = self.begin_reloads(&sql).await.unwrap_or(false);
                if reloads || polled.elapsed() >= POLL {
                    if self.poll(&sql).await.is_ok() {
                        self.tell_read();
                    }
                    polled = Instant::now();
                }
            }
            if counted.elapsed() >= POLL {
                let _ = self.tell_counts(&sql).await;
                counted = Instant::now();
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// Reads what changed in the org since the last time.
    pub(super) async fn poll(&mut self, sql: &Client) -> Result<(), Error> {
        sql.batch_execute("SET xmlbinary = 'hex'").await?;
        for (mapped, read) in MAPPINGS.iter().zip(&mut self.read) {
            let mut newest = read.clone();
            let mut rows = Vec::new();
            for record in
                self.org.ids(mapped.object).iter().filter_map(|id| self.org.record(mapped.object, id))
            {
                let stamp = record.get("SystemModstamp").and_then(Value::as_str).unwrap_or_default();
                if stamp > read.as_str() {
                    newest = newest.max(stamp.to_owned());
                    rows.push(row_of(mapped, &record));
                }
            }
            for rows in rows.chunks(ROWS) {
                sql.execute(&taken_in(mapped), &[&Value::from(rows.to_vec())]).await?;
            }
            *read = newest;
        }
        Ok(())
    }

    /// Sends the next entries, those of one row as one change.
    async fn send(&self, sql: &mut Client) -> Result<(), Error> {
        let taken = sql
            .query(
                "WITH next AS (SELECT id FROM salesforce._trigger_log WHERE state = 'NEW' ORDER BY id LIMIT 50 FOR UPDATE SKIP LOCKED)
                 UPDATE salesforce._trigger_log log SET state = 'PENDING', updated_at = clock_timestamp() FROM next
                 WHERE log.id = next.id
                 RETURNING log.table_name, log.record_id, log.id, log.action, hstore_to_jsonb(log.values::hstore), log.sfid",
                &[],
            )
            .await?;
        let mut units: BTreeMap<(String, i32), Vec<Entry>> = BTreeMap::new();
        for row in &taken {
            let values = row.get::<_, Option<Value>>(4).and_then(|values| values.as_object().cloned());
            let (id, action, sfid) = (row.get(2), row.get(3), row.get(5));
            let entry = Entry { id, action, values: values.unwrap_or_default(), sfid };
            units.entry((row.get(0), row.get(1))).or_default().push(entry);
        }
        for ((table, row), mut entries) in units {
            entries.sort_by_key(|entry| entry.id);
            if let Some(mapped) = MAPPINGS.iter().find(|mapped| mapped.table() == table) {
                self.send_unit(sql, mapped, row, &entries).await?;
            }
        }
        Ok(())
    }

    /// What is done in the org with a row's entries, and the record's id, or why the org refuses it.
    async fn offer(
        &self,
        transaction: &Transaction<'_>,
        mapped: &Mapped,
        row: Option<&Row>,
        entries: &[Entry],
    ) -> Result<(&'static str, Result<String, String>), Error> {
        let sfid: Option<String> = match row {
            Some(row) => row.get(0),
            None => entries.iter().find_map(|entry| entry.sfid.clone()),
        };
        Ok(match (entries.iter().any(|entry| entry.action == "DELETE"), sfid) {
            (true, Some(sfid)) => ("DELETED", self.org.user_delete(mapped.object, &sfid).map(|()| sfid)),
            (true, None) => ("DELETED", Ok(String::new())),
            (false, Some(sfid)) => {
                let mut values = Map::new();
                entries.iter().for_each(|entry| values.extend(entry.values.clone()));
                // As the table's types have them.
                let table = mapped.table();
                let typed = format!("SELECT to_jsonb(jsonb_populate_record(NULL::salesforce.{table}, $1))");
                let typed: Value =
                    transaction.query_one(&typed, &[&Value::from(values.clone())]).await?.get(0);
                let fields = fields_of(mapped, &typed, |column| values.contains_key(column));
                ("UPDATED", self.org.user_update(mapped.object, &sfid, fields).map(|()| sfid))
            }
            // There is no record yet: all that the row has is sent, whatever was changed last.
            (false, None) => {
                let whole = row.map(|row| row.get::<_, Value>(1)).unwrap_or_default();
                let fields = fields_of(mapped, &whole, |column| !whole[column].is_null());
                ("INSERTED", self.org.user_create(mapped.object, fields))
            }
        })
    }

    /// Sends a row's entries as one change, and answers in the row and in the log.
    async fn send_unit(
        &self,
        sql: &mut Client,
        mapped: &Mapped,
        row: i32,
        entries: &[Entry],
    ) -> Result<(), Error> {
        let transaction = sql.transaction().await?;
        transaction.batch_execute("SET LOCAL xmlbinary = 'hex'").await?;
        let table = mapped.table();
        // The row first, as whoever mends it does.
        let now =
            format!("SELECT sfid, to_jsonb(t) FROM salesforce.{table} t WHERE id = $1 FOR NO KEY UPDATE");
        let now = transaction.query_opt(&now, &[&row]).await?;
        let (word, outcome) = self.offer(&transaction, mapped, now.as_ref(), entries).await?;
        let ids: Vec<i32> = entries.iter().map(|entry| entry.id).collect();
        let (taken, message) = match &outcome {
            Ok(_) => (true, None),
            Err(message) => (false, Some(message.as_str())),
        };
        let answer = format!(
            "UPDATE salesforce.{table} SET sfid = coalesce(sfid, $2), _hc_lastop = $3, _hc_err = $4 WHERE id = $1"
        );
        let err = message.map(|message| serde_json::json!({"msg": message}).to_string());
        let word = if taken { word } else { "FAILED" };
        transaction.execute(&answer, &[&row, &outcome.as_ref().ok(), &word, &err]).await?;
        transaction
            .execute(
                "UPDATE salesforce._trigger_log SET processed_at = clock_timestamp(), updated_at = clock_timestamp(),
                     state = CASE WHEN NOT $2 THEN 'FAILED' WHEN id < $3 THEN 'MERGED' ELSE 'SUCCESS' END,
                     sf_message = $4 WHERE id = ANY($1)",
                &[&ids, &taken, &ids.iter().max(), &message],
            )
            .await?;
        transaction
            .execute(
                "WITH moved AS (DELETE FROM salesforce._trigger_log WHERE id = ANY($1) AND state <> 'FAILED' RETURNING *)
                 INSERT INTO salesforce._trigger_log_archive SELECT * FROM moved",
                &[&ids],
            )
            .await?;
        transaction.commit().await?;
        let of = format!("mapping={} row={row} ", mapped.object);
        match message {
            None => self.tell("info", &format!("{} 1 record", word.to_lowercase()), &of),
            Some(message) => self.tell("error", message, &of),
        }
        Ok(())
    }
}

/// A record as a row, by columns.
fn row_of(mapped: &Mapped, record: &Map<String, Value>) -> Value {
    let columns =
        mapped.columns().map(|(field, column)| (column, record.get(field).cloned().unwrap_or(Value::Null)));
    columns.collect::<Map<_, _>>().into()
}

/// The fields of a row that are sent, of those columns.
fn fields_of(mapped: &Mapped, row: &Value, wanted: impl Fn(&str) -> bool) -> Map<String, Value> {
    let sent = mapped.columns().filter(|(field, column)| !mapped.is_system(field) && wanted(column));
    sent.map(|(field, column)| (field.to_owned(), row[&column].clone())).collect()
}

/// Takes records in, but for rows whose changes wait.
fn taken_in(mapped: &Mapped) -> String {
    let table = mapped.table();
    let columns: Vec<String> = mapped.columns().map(|(_, column)| column).collect();
    let set: Vec<String> = columns.iter().map(|column| format!("{column} = excluded.{column}")).collect();
    let columns = columns.join(", ");
    format!(
        "INSERT INTO salesforce.{table} AS own ({columns})
         SELECT {columns} FROM jsonb_populate_recordset(NULL::salesforce.{table}, $1)
         ON CONFLICT (sfid) DO UPDATE SET {}
         WHERE NOT EXISTS (SELECT FROM salesforce._trigger_log waiting WHERE waiting.state IN ('NEW', 'PENDING')
             AND waiting.table_name = '{table}' AND waiting.record_id = own.id)",
        set.join(", ")
    )
}
