//! Records of a first load, copied into their table by COPY: nothing is known of them here, so nothing is compared. It is done
//! only where that is certain, page by page, in one transaction; else [`Store::apply_records`] does it, which looks at each
//! record.

use std::collections::HashSet;

use bytes::{BufMut, Bytes, BytesMut};
use chrono::{DateTime, Utc};

use crate::domain::mappings::mapping::Mapping;
use crate::postgres::changes::keys::wake_for_keys;
use crate::postgres::changes::queue::UNSENT;
use crate::postgres::changes::writeback::lock_new_records;
use crate::postgres::reports::status::Lease;
use crate::postgres::tables::rows::LIMIT_WAITS;
use crate::postgres::{AS_ENGINE, Cached, Error, ErrorContext, Store, Transaction, quote};

/// Bytes that are sent at a time.
const PIECE: usize = 256 << 10;
/// The columns that every table has, in the order in which they stand behind those of the fields.
const SYSTEM: [&str; 3] = ["sfid", "systemmodstamp", "isdeleted"];

/// Records in PostgreSQL's own text format.
#[derive(Debug, Default)]
pub struct CopyText {
    pieces: Vec<Bytes>,
    last: BytesMut,
    /// Whether a value stands in the row already.
    begun: bool,
    ids: Vec<String>,
    keys: Vec<String>,
}

impl CopyText {
    /// Adds a record: the values of the mapping's read fields in their order, its key where the mapping goes by one, and of
    /// the system's fields the id, the stamp and whether it is deleted.
    pub fn add<T: AsRef<str>>(
        &mut self,
        fields: impl Iterator<Item = Option<T>>,
        key: Option<T>,
        system: [Option<T>; 3],
    ) {
        fields.for_each(|value| self.value(value.as_ref().map(AsRef::as_ref)));
        system.iter().for_each(|value| self.value(value.as_ref().map(AsRef::as_ref)));
        self.value(Some("SYNCED"));
        self.last.put_u8(b'\n');
        self.begun = false;
        self.ids.extend(system[0].as_ref().map(|id| id.as_ref().to_owned()));
        self.keys.extend(key.map(|key| key.as_ref().to_owned()));
        if self.last.len() >= PIECE {
            self.pieces.push(self.last.split().freeze());
        }
    }

    fn value(&mut self, value: Option<&str>) {
        if self.begun {
            self.last.put_u8(b'\t');
        }
        self.begun = true;
        match value {
            None => self.last.put_slice(b"\\N"),
            Some(text) => escape(text.as_bytes(), &mut self.last),
        }
    }

    fn finished(mut self) -> Vec<Bytes> {
        self.pieces.push(self.last.freeze());
        self.pieces
    }
}

/// Writes a value so that it ends neither the value nor the row.
fn escape(mut text: &[u8], into: &mut BytesMut) {
    let special = |byte: &u8| matches!(byte, b'\\' | b'\n' | b'\r' | b'\t');
    while let Some(at) = text.iter().position(special) {
        into.put_slice(&text[..at]);
        into.put_slice(match text[at] {
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            _ => b"\\\\",
        });
        text = &text[at + 1..];
    }
    into.put_slice(text);
}

impl Store {
    /// Copies records into their table, all or none. False where one of them needs a look: nothing was written then.
    /// `asked_at` is PostgreSQL's time from before Salesforce was asked.
    pub async fn copy_records(
        &self,
        lease: &Lease,
        mapping: &Mapping,
        mut records: CopyText,
        asked_at: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin copying records")?;
        lease.prove(&transaction).await?;
        transaction.batch_execute(AS_ENGINE).await.context("mark the engine's own write")?;
        transaction.batch_execute(LIMIT_WAITS).await.context("limit the wait for locks")?;
        lock_new_records(&transaction, &mapping.table, true).await?;
        let Some(keys) = self.free_keys(&transaction, mapping, &records.keys).await? else {
            return Ok(false);
        };
        if !self.is_undisturbed(&transaction, mapping, &records.ids, asked_at).await? {
            return Ok(false);
        }
        let fields = mapping.read_fields().map(|field| quote(&field.column));
        let columns: Vec<String> =
            fields.chain(SYSTEM.map(str::to_owned)).chain(["_hc_lastop".to_owned()]).collect();
        let sql = format!("COPY {} ({}) FROM STDIN", self.table(&mapping.table), columns.join(", "));
        let ids = std::mem::take(&mut records.ids);
        let copied = transaction
            .copy_rows(&sql, records.finished())
            .await
            .context("copy records read from Salesforce")?;
        if copied != ids.len() as u64 {
            // A trigger let some fall without a word; which is found out one by one.
            return Ok(false);
        }
        // Nobody was kept from writing meanwhile.
        if !self.is_undisturbed(&transaction, mapping, &ids, asked_at).await? {
            return Ok(false);
        }
        let held = "SELECT EXISTS (SELECT FROM syncdeck.unit WHERE state = 'held' AND held_table = $1)";
        let held =
            transaction.query_cached(held, &[&mapping.table]).await.context("look for rows that wait")?;
        if held.first().is_some_and(|row| row.get(0)) {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            wake_for_keys(&transaction, &mapping.table, &keys).await?;
        }
        transaction.commit().await.context("finish copying records")?;
        Ok(true)
    }

    /// The external ids of some records as Salesforce compares them; nothing where two of them are one, or a row has one.
    async fn free_keys(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        keys: &[String],
    ) -> Result<Option<HashSet<String>>, Error> {
        let Some(column) = mapping.external_id_column() else { return Ok(Some(HashSet::new())) };
        let of = self.key_column(mapping, &column);
        let folded: HashSet<String> = keys.iter().filter_map(|key| of.fold(key)).collect();
        if folded.len() < keys.len() {
            return Ok(None);
        }
        let sql = format!(
            "SELECT EXISTS (SELECT FROM unnest($1::text[]) AS key, LATERAL (
                 SELECT FROM {} t WHERE {} = {} LIMIT 1) t)",
            self.table(&mapping.table),
            of.of_row("t"),
            of.of_text("key"),
        );
        let list: Vec<&str> = folded.iter().map(String::as_str).collect();
        let taken = transaction
            .query_cached(&sql, &[&list])
            .await
            .context("look for rows that have the external ids of records")?;
        Ok(taken.first().is_some_and(|row| !row.get::<_, bool>(0)).then_some(folded))
    }

    /// Whether nothing here can have to do with records that no row has: no change of the table is unsent, and no record of it
    /// was deleted from here while they were on their way; and whether COPY does with the table what INSERT does.
    async fn is_undisturbed(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        ids: &[String],
        asked_at: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let (schema, table) = (&self.schema, self.table(&mapping.table));
        let ignores = mapping.rules.ignore_deletes.postgres;
        let ids: &[String] = if ignores { ids } else { &[] };
        let sql = format!(
            "SELECT NOT EXISTS (SELECT FROM {schema}._trigger_log WHERE table_name = $1 AND {UNSENT})
                 AND NOT EXISTS (SELECT FROM syncdeck.unit WHERE table_name = $1)
                 AND NOT EXISTS (SELECT FROM syncdeck.candidate WHERE table_name = $1)
                 AND NOT EXISTS (SELECT FROM {table} WHERE sfid IS NULL)
                 AND NOT EXISTS (SELECT FROM syncdeck.attempt
                     WHERE at >= $3 AND outcome = 'accepted' AND op = 'delete' AND table_name = $1)
                 AND NOT ($5 AND EXISTS (SELECT FROM {schema}._trigger_log_archive gone WHERE gone.table_name = $1
                     AND gone.action = 'DELETE' AND gone.state = 'IGNORED' AND gone.sfid = ANY($2)))
                 AND EXISTS (SELECT FROM pg_class WHERE oid = to_regclass($4) AND relkind IN ('r', 'p') AND NOT relrowsecurity)
                 AND NOT EXISTS (SELECT FROM pg_rewrite WHERE ev_class = to_regclass($4))
                 AND NOT EXISTS (SELECT FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
                     WHERE attrelid = to_regclass($4) AND attnum > 0 AND NOT attisdropped
                         AND (typcategory IN ('A', 'C') OR typname IN ('json', 'jsonb')))"
        );
        let found = transaction
            .query_cached(&sql, &[&mapping.table, &ids, &asked_at, &table, &ignores])
            .await
            .context("look whether records can be copied")?;
        Ok(found.first().is_some_and(|row| row.get(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_neither_end_early_nor_become_others() {
        let mut text = CopyText::default();
        let fields = ["a\tb\\N", "line\r\nend", "plain"].map(Some).into_iter().chain([None]);
        text.add(fields, Some("K1"), [Some("001"), None, Some("false")]);
        text.add([None; 4].into_iter(), None, [Some("002"), None, None]);
        assert_eq!((text.ids.join(" "), text.keys.join(" ")), ("001 002".to_owned(), "K1".to_owned()));
        let written: Vec<u8> = text.finished().concat();
        let wanted = "a\\tb\\\\N\tline\\r\\nend\tplain\t\\N\t001\t\\N\tfalse\tSYNCED\n\\N\t\\N\t\\N\t\\N\t002\t\\N\t\\N\tSYNCED\n";
        assert_eq!(String::from_utf8(written).unwrap(), wanted);
    }
}
