//! What units are sent from: their unsent entries, the rows as they are, and what is known of their records.

use std::collections::HashMap;

use crate::domain::changes::coalesce::{Entry, WriteKind};
use crate::domain::changes::dispatch::{Content, Contested, KEPT_OUT, Misfit, Why};
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowId;
use crate::domain::values::hstore::{self, Hstore};

use crate::postgres::changes::queue::{CAPTURED_AT, STILL_UNSENT, UNSENT};
use crate::postgres::tables::records::row_values;
use crate::postgres::tables::row_condition::RowCondition;
use crate::postgres::{Cached, Error, ErrorContext, PooledClient, Store, quote};

impl Store {
    /// Reads what claimed units of one table are about: their PENDING and FAILED entries, for a unit's entries share its
    /// fate. One that is still NEW is the next ingestion's, unless somebody set an old one NEW by hand: sent after the
    /// younger ones it would take the record back (I3). Index `_trigger_log_idx_record`.
    pub async fn contents(
        &self,
        mapping: &Mapping,
        rows: &[RowId],
        recreated: &[RowId],
    ) -> Result<HashMap<RowId, Content>, Error> {
        let client = self.client().await?;
        let table = mapping.table.as_str();
        let ids: Vec<i32> = rows.iter().map(|row| row.0).collect();
        let mut contents: HashMap<RowId, Content> = HashMap::new();
        let sql = format!(
            "SELECT entry.* FROM unnest($2::integer[]) AS wanted (record), LATERAL (
                 SELECT id, record_id, action, sfid, values, {CAPTURED_AT} FROM {schema}._trigger_log
                 WHERE table_name = $1 AND record_id = wanted.record AND {STILL_UNSENT}
                     AND (state <> 'NEW' OR id < (
                         SELECT max(id) FROM {schema}._trigger_log
                         WHERE table_name = $1 AND record_id = wanted.record AND (state || '') IN ('PENDING', 'FAILED')))
                 ORDER BY id OFFSET 0) entry
             ORDER BY id",
            schema = self.schema
        );
        let external = mapping.external_id_column();
        let external = external.map_or("NULL".to_owned(), |column| format!("{}::text", quote(&column)));
        let takes_part = RowCondition::of(mapping, 1);
        let of_rows = format!(
            "SELECT id, sfid::text, {external}, ({}) IS TRUE FROM {} WHERE id = ANY($1)",
            takes_part.sql,
            self.table(table)
        );
        let of_rows_bound = takes_part.bound(&[&ids]);
        let of_conflicts = "SELECT record_id, column_name, upto, winner IS NULL FROM syncdeck.conflict
             WHERE table_name = $1 AND record_id = ANY($2) AND winner IS DISTINCT FROM 'postgres'";
        let entries =
            async { client.query_cached(&sql, &[&table, &ids]).await.context("read the changes of units") };
        let rows =
            async { client.query_cached(&of_rows, &of_rows_bound).await.context("read the rows of units") };
        let conflicts =
            async { client.query_cached(of_conflicts, &[&table, &ids]).await.context("read conflicts") };
        let (entries, rows, conflicts) = tokio::try_join!(entries, rows, conflicts)?;
        for row in entries {
            let content = contents.entry(RowId(row.get(1))).or_default();
            match read_entry(&row) {
                Ok(entry) => content.entries.push(entry),
                Err(misfit) => content.unreadable.push(misfit),
            }
        }
        for row in rows {
            let content = contents.entry(RowId(row.get(0))).or_default();
            content.sfid = row.get(1);
            content.external_id = row.get(2);
            content.stays_out = !row.get::<_, bool>(3);
        }
        for row in conflicts {
            let upto: i32 = row.get(2);
            contents.entry(RowId(row.get(0))).or_default().conflicts.push(Contested {
                column: row.get(1),
                upto: i64::from(upto),
                undecided: row.get(3),
            });
        }
        let begin = |content: &Content| match content.entries.first() {
            Some(entry) if entry.action == WriteKind::Insert => entry.id,
            _ => 0,
        };
        let unknown: Vec<(i32, i64)> = contents
            .iter()
            .filter(|(_, content)| content.sfid.is_none())
            .map(|(row, content)| (row.0, begin(content)))
            .collect();
        for (row, sfid) in self.accepted_ids(&client, mapping, &unknown).await? {
            contents.entry(row).or_default().sfid = Some(sfid);
        }
        let is_unknown = |row: &&i32| {
            contents
                .get(&RowId(**row))
                .is_none_or(|content| content.entries.is_empty() && content.sfid.is_none())
        };
        let finished: Vec<i32> = ids.iter().filter(is_unknown).copied().collect();
        for (row, sfid) in self.named_by_finished(&client, table, &finished).await? {
            contents.entry(row).or_default().sfid.get_or_insert(sfid);
        }
        if mapping.rules.filter.is_some() {
            self.bring_back(&client, table, &mut contents).await?;
        }
        let partial = |(row, content): &(&RowId, &Content)| {
            let inserted = content.entries.iter().any(|entry| entry.action == WriteKind::Insert);
            recreated.contains(row) || (content.sfid.is_none() && !inserted && !content.entries.is_empty())
        };
        let partial: Vec<i32> = contents.iter().filter(partial).map(|(row, _)| row.0).collect();
        for (row, whole) in self.whole_rows(&client, table, &partial).await? {
            contents.entry(row).or_default().whole = Some(whole);
        }
        Ok(contents)
    }

    /// The records that entries name which somebody set to be done with, of rows of which nothing else is left.
    async fn named_by_finished(
        &self,
        client: &PooledClient,
        table: &str,
        rows: &[i32],
    ) -> Result<Vec<(RowId, String)>, Error> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT DISTINCT ON (record_id) record_id, sfid::text FROM {schema}._trigger_log log
             WHERE table_name = $1 AND record_id = ANY($2) AND sfid IS NOT NULL AND {}
             ORDER BY record_id, id DESC",
            self.not_before_an_insert(),
            schema = self.schema
        );
        let found = client.query_cached(&sql, &[&table, &rows]).await.context("look for records of rows")?;
        Ok(found.iter().map(|row| (RowId(row.get(0)), row.get(1))).collect())
    }

    /// The changes of the rows `$2` of the table `$1` that were kept out for the reason `$3`, since Salesforce took one of
    /// theirs. Index `_trigger_log_archive_idx_record_id`.
    pub(in crate::postgres) fn kept_out_changes(&self) -> String {
        format!(
            "{schema}._trigger_log_archive kept
             WHERE record_id = ANY($2) AND table_name = $1 AND state = 'IGNORED' AND sf_message = $3
                 AND action IN ('INSERT', 'UPDATE') AND NOT EXISTS (
                     SELECT FROM {schema}._trigger_log_archive later WHERE later.record_id = kept.record_id
                         AND later.table_name = kept.table_name AND later.id > kept.id
                         AND later.state IN ('SUCCESS', 'MERGED') OFFSET 0)",
            schema = self.schema
        )
    }

    /// What was kept out of a row by the mapping's condition goes with its next change that is not: of the columns that
    /// were changed meanwhile, what the row has now.
    async fn bring_back(
        &self,
        client: &PooledClient,
        table: &str,
        contents: &mut HashMap<RowId, Content>,
    ) -> Result<(), Error> {
        let returning = |(_, content): &(&RowId, &Content)| {
            !content.stays_out && content.entries.iter().any(|entry| entry.action == WriteKind::Update)
        };
        let rows: Vec<i32> = contents.iter().filter(returning).map(|(row, _)| row.0).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "SELECT id, record_id, action, sfid, values, {CAPTURED_AT} FROM {} ORDER BY id",
            self.kept_out_changes()
        );
        let kept = client
            .query_cached(&sql, &[&table, &rows, &KEPT_OUT])
            .await
            .context("look for what was kept out")?;
        let rows: Vec<i32> = kept.iter().map(|row| row.get(1)).collect();
        let now: HashMap<RowId, Hstore> = self.whole_rows(client, table, &rows).await?.into_iter().collect();
        for row in kept.iter().rev() {
            let at = RowId(row.get(1));
            let (Ok(mut entry), Some(now)) = (read_entry(row), now.get(&at)) else { continue };
            for (column, value) in &mut entry.values {
                if let Some(fresh) = now.get(column) {
                    value.clone_from(fresh);
                }
            }
            contents.entry(at).or_default().entries.insert(0, entry);
        }
        Ok(())
    }

    /// How many bytes the unsent changes of rows hold, without reading them.
    pub async fn unsent_bytes(&self, table: &str, rows: &[RowId]) -> Result<HashMap<RowId, i64>, Error> {
        let client = self.client().await?;
        let ids: Vec<i32> = rows.iter().map(|row| row.0).collect();
        let sql = format!(
            "SELECT wanted.record, entry.bytes FROM unnest($2::integer[]) AS wanted (record), LATERAL (
                 SELECT sum(octet_length(values))::bigint AS bytes FROM {}._trigger_log
                 WHERE table_name = $1 AND record_id = wanted.record AND {STILL_UNSENT} OFFSET 0) entry
             WHERE entry.bytes IS NOT NULL",
            self.schema
        );
        let found = client.query_cached(&sql, &[&table, &ids]).await.context("weigh the changes of units")?;
        Ok(found.iter().map(|row| (RowId(row.get(0)), row.get(1))).collect())
    }

    /// Rows with all their values, as PostgreSQL's JSON prints them; those that are gone are not among them.
    pub async fn values(&self, table: &str, rows: &[RowId]) -> Result<HashMap<RowId, Hstore>, Error> {
        let client = self.client().await?;
        let ids: Vec<i32> = rows.iter().map(|row| row.0).collect();
        self.whole_rows(&client, table, &ids).await.map(HashMap::from_iter)
    }

    /// What is known of rows' values: as they are, and by their unsent changes as they were and were to be.
    pub async fn known_values(&self, table: &str, rows: &[RowId]) -> Result<Vec<(RowId, Hstore)>, Error> {
        let client = self.client().await?;
        let ids: Vec<i32> = rows.iter().map(|row| row.0).collect();
        let mut known = self.whole_rows(&client, table, &ids).await?;
        let sql = format!(
            "SELECT record_id, old, values FROM {}._trigger_log
             WHERE table_name = $1 AND record_id = ANY($2) AND {UNSENT}",
            self.schema
        );
        let entries = client.query_cached(&sql, &[&table, &ids]).await.context("read what rows were")?;
        for entry in &entries {
            for text in [entry.get::<_, Option<String>>(1), entry.get(2)].into_iter().flatten() {
                known.push((RowId(entry.get(0)), hstore::parse(&text).unwrap_or_default()));
            }
        }
        Ok(known)
    }

    /// The same in a session that is there.
    async fn whole_rows(
        &self,
        client: &PooledClient,
        table: &str,
        rows: &[i32],
    ) -> Result<Vec<(RowId, Hstore)>, Error> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!("SELECT id, to_jsonb(t) FROM {} t WHERE id = ANY($1)", self.table(table));
        let found = client.query_cached(&sql, &[&rows]).await.context("read whole rows")?;
        Ok(found.iter().map(|row| (RowId(row.get(0)), row_values(&row.get(1)))).collect())
    }

    /// The record ids that Salesforce gave these rows, from the archive; each row with the entry by which it was inserted, 0
    /// where that was sent before. A row that was deleted while its insert was in flight never carried its id; without this,
    /// its delete would seem to concern a record never sent.
    ///
    /// A row that comes back with its number gets a record of its own: what Salesforce gave before its insert, it gave another
    /// row, and a record whose delete it took is nobody's. Where deletes are not passed on, the record lives, and is the row's.
    async fn accepted_ids(
        &self,
        client: &PooledClient,
        mapping: &Mapping,
        rows: &[(i32, i64)],
    ) -> Result<Vec<(RowId, String)>, Error> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let archived = format!(
            "{}._trigger_log_archive WHERE table_name = $1 AND record_id = wanted.record",
            self.schema
        );
        // `OFFSET 0` keeps the index of records: the one of ids would be walked to its beginning.
        let sql = format!(
            "SELECT wanted.record, last.sfid::text FROM unnest($2::integer[], $3::bigint[]) AS wanted (record, inserted),
             LATERAL (SELECT CASE WHEN NOT $4 OR wanted.inserted = 0 THEN wanted.inserted
                          WHEN (SELECT action = 'DELETE' AND state = 'IGNORED'
                                FROM (SELECT id, action, state FROM {archived} OFFSET 0) e ORDER BY id DESC LIMIT 1) THEN 0
                          ELSE wanted.inserted END AS begin) since,
             LATERAL (SELECT * FROM (
                          SELECT id, sfid, action, state FROM {archived} AND id > since.begin AND (
                              action = 'DELETE' AND state = 'SUCCESS' AND since.begin = 0 OR action = 'INSERT'
                              OR action <> 'DELETE' AND state IN ('SUCCESS', 'MERGED') AND sfid IS NOT NULL) OFFSET 0) e
                      ORDER BY id DESC LIMIT 1) last
             WHERE last.action <> 'DELETE' AND last.state IN ('SUCCESS', 'MERGED') AND last.sfid IS NOT NULL"
        );
        let (ids, inserted): (Vec<i32>, Vec<i64>) = rows.iter().copied().unzip();
        let keeps = mapping.rules.ignore_deletes.postgres;
        let found = client
            .query_cached(&sql, &[&mapping.table, &ids, &inserted, &keeps])
            .await
            .context("find the records of rows")?;
        Ok(found.iter().map(|row| (RowId(row.get(0)), row.get(1))).collect())
    }
}

fn read_entry(row: &tokio_postgres::Row) -> Result<Entry, Misfit> {
    let id: i32 = row.get(0);
    let misfit = |why| Misfit { entry: id, why };
    let action: Option<String> = row.get(2);
    let action = action.unwrap_or_default();
    let values: Option<String> = row.get(4);
    Ok(Entry {
        id: i64::from(id),
        action: WriteKind::from_word(&action).ok_or_else(|| misfit(Why::of_action(Some(&action))))?,
        sfid: row.get(3),
        old: None,
        values: hstore::parse(values.as_deref().unwrap_or(""))
            .map_err(|error| misfit(Why::Values(error.to_string())))?,
        captured_at: row.get(5),
    })
}
