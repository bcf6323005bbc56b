//! What keeps another org from being put behind the same tables: changes that are not settled with the org before, tables and
//! columns that are not as they are mapped, and what others hang on the records' ids. And how such changes are given up.

use crate::domain::mappings::mapping::Mapping;
use crate::domain::reports::rebind::{RebindPlan, UnmappedTable, UnsettledChanges};

use crate::postgres::changes::queue::ARCHIVE_COLUMNS;
use crate::postgres::schema::lookups::lookups;
use crate::postgres::{AS_ENGINE, Error, ErrorContext, Store, Transaction};

/// Entries about which nothing is decided, whoever can read them.
const UNSETTLED: &str = "coalesce(state, '') NOT IN ('SUCCESS', 'MERGED', 'IGNORE', 'IGNORED', 'READONLY')";

impl Store {
    /// Keeps writers of all tables with records out, tables before the log, as they lock them.
    pub(super) async fn lock_for_rebind(
        &self,
        transaction: &Transaction<'_>,
        mappings: &[Mapping],
    ) -> Result<(), Error> {
        let tables: Vec<String> = self
            .tables_with_records(transaction, mappings)
            .await?
            .iter()
            .map(String::as_str)
            .chain(["_trigger_log"])
            .map(|table| self.table(table))
            .collect();
        let lock = format!(
            "{AS_ENGINE}; LOCK TABLE {}, syncdeck.unit IN SHARE ROW EXCLUSIVE MODE",
            tables.join(", ")
        );
        transaction.batch_execute(&lock).await.context("keep the tables as they are")
    }

    /// The mapped tables that there are, and whatever else in the schema was made by syncdeck or Heroku Connect.
    async fn tables_with_records(
        &self,
        transaction: &Transaction<'_>,
        mappings: &[Mapping],
    ) -> Result<Vec<String>, Error> {
        let mapped: Vec<&str> = mappings.iter().map(|mapping| mapping.table.as_str()).collect();
        let sql = "SELECT relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
             WHERE nspname = $1 AND relkind IN ('r', 'p') AND NOT relispartition AND (relname = ANY($2)
                 OR (SELECT count(*) = 3 FROM pg_attribute WHERE attrelid = c.oid AND NOT attisdropped
                     AND attname IN ('id', 'sfid', '_hc_lastop')))
             ORDER BY relname";
        let rows = transaction
            .query(sql, &[&self.schema_name, &mapped])
            .await
            .context("look for tables with records")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Tables whose rows name records, and that the configuration does not map.
    pub(super) async fn unmapped(
        &self,
        transaction: &Transaction<'_>,
        mappings: &[Mapping],
    ) -> Result<Vec<UnmappedTable>, Error> {
        let mut unmapped = Vec::new();
        for table in self.tables_with_records(transaction, mappings).await? {
            if mappings.iter().any(|mapping| mapping.table == table) {
                continue;
            }
            let sql = format!("SELECT count(*) FROM {} WHERE sfid IS NOT NULL", self.table(&table));
            let rows = transaction.query_one(&sql, &[]).await.context("count rows that are not mapped")?;
            let rows: i64 = rows.get(0);
            if rows > 0 {
                unmapped.push(UnmappedTable { table, rows });
            }
        }
        Ok(unmapped)
    }

    /// What is not settled with the org before, of whatever table.
    pub(super) async fn unsettled(
        &self,
        transaction: &Transaction<'_>,
    ) -> Result<Vec<UnsettledChanges>, Error> {
        let sql = format!(
            "SELECT coalesce(table_name, ''), false, coalesce(state, ''), count(*) FROM {}._trigger_log
             WHERE {UNSETTLED} GROUP BY 1, 2, 3
             UNION ALL SELECT table_name, true, state, count(*) FROM syncdeck.unit GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            self.schema
        );
        let rows =
            transaction.query(&sql, &[]).await.context("count what is not settled with the org before")?;
        let of = |row: &tokio_postgres::Row| UnsettledChanges {
            table: row.get(0),
            is_queue: row.get(1),
            state: row.get(2),
            count: row.get(3),
        };
        Ok(rows.iter().map(of).collect())
    }

    /// Gives all of it up: the values stay in the archive.
    pub(super) async fn give_up_all(&self, transaction: &Transaction<'_>) -> Result<(), Error> {
        let sql = format!(
            "WITH done AS (DELETE FROM {schema}._trigger_log WHERE {UNSETTLED} RETURNING *)
             INSERT INTO {schema}._trigger_log_archive {ARCHIVE_COLUMNS}
             SELECT id, txid, created_at, clock_timestamp(), clock_timestamp(), txid_current(), 'IGNORED', action, table_name,
                 record_id, sfid, old, values, sf_result, 'given up: another org took the place of its own' FROM done;
             DELETE FROM syncdeck.unit",
            schema = self.schema
        );
        transaction.batch_execute(&sql).await.context("give changes up")
    }

    /// Refuses what somebody's trigger changed in the course of a rebind: it would be sent to the new org.
    pub(super) async fn refuse_captured(&self, transaction: &Transaction<'_>) -> Result<(), Error> {
        let captured: Vec<String> =
            self.unsettled(transaction).await?.iter().map(UnsettledChanges::text).collect();
        if captured.is_empty() {
            return Ok(());
        }
        Err(Error::Refused(format!(
            "as rows were given their records, triggers that are not syncdeck's changed rows: {}\n\
             switch these triggers off for the rebind; nothing was changed",
            captured.join(", ")
        )))
    }

    /// Mappings that no engine has made tables for, or whose tables lack what is needed.
    pub(super) async fn unknown_mappings(
        &self,
        transaction: &Transaction<'_>,
        mappings: &[Mapping],
    ) -> Result<Vec<String>, Error> {
        let mut refused = Vec::new();
        for mapping in mappings {
            let mut columns = vec!["id".to_owned(), "sfid".to_owned()];
            columns.extend(mapping.external_id_column());
            columns.extend(lookups(mapping).into_iter().map(|lookup| lookup.column));
            let sql = "SELECT EXISTS (SELECT FROM syncdeck.mapping WHERE name = $1 AND table_name = $2),
                 ARRAY(SELECT wanted FROM unnest($4::text[]) wanted WHERE NOT EXISTS (SELECT FROM pg_attribute
                     WHERE attrelid = to_regclass($3) AND attname = wanted AND attnum > 0 AND NOT attisdropped))";
            let table = self.table(&mapping.table);
            let row = transaction
                .query_one(sql, &[&mapping.object, &mapping.table, &table, &columns])
                .await
                .context("look what is registered")?;
            let lacks: Vec<String> = row.get(1);
            let why = match row.get::<_, bool>(0) {
                false => "is not registered in this database".to_owned(),
                true if !lacks.is_empty() => {
                    format!("has no table {}, or that lacks columns: {}", mapping.table, lacks.join(", "))
                }
                true => continue,
            };
            refused.push(format!(
                "{} {why}\nstart the engine once with the login of the org before, or take the mapping, or these columns, out of the \
                 configuration",
                mapping.object
            ));
        }
        Ok(refused)
    }

    /// Foreign keys on the ids that become others.
    pub(super) async fn named_by_others(
        &self,
        transaction: &Transaction<'_>,
        plan: &RebindPlan,
        mappings: &[Mapping],
    ) -> Result<Vec<String>, Error> {
        let mapped = mappings.iter().map(|mapping| mapping.table.as_str());
        let tables: Vec<String> = mapped
            .chain(plan.unmapped.iter().map(|other| other.table.as_str()))
            .map(|table| self.table(table))
            .collect();
        let sql =
            "SELECT format('%I', conname), format('%I.%I', nspname, relname), pg_get_constraintdef(k.oid)
             FROM unnest($1::text[]) AS own (name) JOIN pg_constraint k ON confrelid = to_regclass(own.name)
             JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace
             JOIN pg_attribute a ON attrelid = confrelid AND attnum = ANY(confkey) AND attname = 'sfid'
             WHERE contype = 'f' AND conparentid = 0 ORDER BY 2, 1";
        let rows = transaction.query(sql, &[&tables]).await.context("look for foreign keys")?;
        let text = |row: &tokio_postgres::Row| {
            let (name, table, definition): (String, String, String) = (row.get(0), row.get(1), row.get(2));
            format!(
                "the foreign key {name} of {table} is on ids that become others\n\
                 drop it (ALTER TABLE {table} DROP CONSTRAINT {name}), rebind, give its rows their new ids, and make it again \
                 (ALTER TABLE {table} ADD CONSTRAINT {name} {definition})"
            )
        };
        Ok(rows.iter().map(text).collect())
    }
}

/// Why changes of the org before keep it from being left.
pub(super) fn refusal_of(unsettled: &[UnsettledChanges]) -> Option<String> {
    let texts: Vec<String> = unsettled.iter().map(UnsettledChanges::text).collect();
    (!texts.is_empty()).then(|| {
        format!(
            "not everything is settled with the org before: {}\nsettle it with the login of that org, while it lives (syncdeck run), or \
             give it up: --give-up-changes",
            texts.join("; ")
        )
    })
}
