//! Another org behind the same tables: rows find the records that have their external ids, in one transaction; what does not
//! find one names none. The preview counts by the same statements, and changes nothing.

use std::collections::BTreeMap;

use serde_json::json;

use crate::domain::mappings::field::FieldType;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::operations::operation::Operation;
use crate::domain::reports::rebind::{DoubledKey, LookupColumn, OrgIdentity, RebindMapping, RebindPlan};

use crate::postgres::changes::queue::UNSENT;
use crate::postgres::errors::condition::read_whole;
use crate::postgres::failpoint::{self, MID_REBIND};
use crate::postgres::operations::audit::{NewAuditEntry, audit};
use crate::postgres::operations::settings::announce;
use crate::postgres::schema::install::{PATIENCE, alone, hstore_schema, told_in_use};
use crate::postgres::schema::way_back::refuse_work;
use crate::postgres::{AS_ENGINE, Error, ErrorContext, Store, Transaction, quote};

/// Records staged by one statement.
const STAGED: usize = 10_000;
/// Doubled external ids that are named.
const NAMED: i64 = 20;
/// What is refused before a rebind while an engine works.
const THEN: &str = "rebind";

/// The records of one mapping in the org of the login.
#[derive(Clone, Debug, Default)]
pub struct OrgRecords {
    /// The mapping's table.
    pub table: String,
    /// How many there are, with an external id or without.
    pub all: i64,
    /// Those with an external id: the record's id, and the external id.
    pub keyed: Vec<(String, String)>,
}

/// What is rebound, and to what.
#[derive(Clone, Copy, Debug)]
pub struct Rebinding<'a> {
    /// The org of the login.
    pub to: &'a OrgIdentity,
    /// The mappings, parents before children or not.
    pub mappings: &'a [Mapping],
    /// What is there, by table.
    pub records: &'a [OrgRecords],
    /// Whether changes that are not sent, or failed, go to the new org.
    pub keeps_changes: bool,
}

/// The rows that name a record, with the record that they are to name.
const STAGE: &str = "CREATE TEMP TABLE rebind_record (of_table text, sfid varchar(18), folded text) ON COMMIT DROP;
    CREATE TEMP TABLE rebind_row (of_table text, id integer, before varchar(18), after varchar(18), key text, records bigint, \"rows\" bigint) ON COMMIT DROP";

/// Which row's record an id names, by the 15 characters that all ids have.
const SHORT: &str = "pg_catalog.left({}, 15) COLLATE \"C\"";

fn short(text: &str) -> String {
    SHORT.replace("{}", text)
}

impl Store {
    /// The org that the schema is of, as it is noted, and where an engine found it last.
    ///
    /// # Errors
    /// Where nothing of syncdeck is installed.
    pub async fn noted_org(&self) -> Result<OrgIdentity, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("look which org is noted")?;
        if !self.layouts(&transaction).await?.contains_key("") {
            return Err(Error::Refused(format!(
                "syncdeck keeps nothing in the schema {}, so no org is noted there\nstart the engine once, with: syncdeck run",
                self.schema_name
            )));
        }
        if let Some(why) = self.other_schema(&transaction).await? {
            return Err(Error::Refused(why));
        }
        let id = self.known_org(&transaction, "").await?.unwrap_or_default();
        let host = transaction
            .query_opt("SELECT instance_url FROM syncdeck.engine WHERE instance_url IS NOT NULL ORDER BY seen_at DESC LIMIT 1", &[])
            .await
            .context("look where the org was")?
            .and_then(|row| row.get(0));
        Ok(OrgIdentity { id, host, ..OrgIdentity::default() })
    }

    /// What [`Store::rebind`] would do now.
    ///
    /// # Errors
    /// When PostgreSQL cannot be asked. What is refused is in the plan.
    pub async fn rebind_plan(&self, rebinding: Rebinding<'_>) -> Result<RebindPlan, Error> {
        let from = self.noted_org().await?;
        let mut client = self.with_patience(PATIENCE)?.client().await?;
        let transaction = client.transaction().await.context("begin to look what is rebound")?;
        let mut plan = self.count(&transaction, rebinding, from).await?;
        match refuse_work(&transaction, THEN).await {
            Err(Error::Refused(why)) => plan.refused.insert(0, why),
            other => other?,
        }
        transaction.rollback().await.context("end a look at what is rebound")?;
        Ok(plan)
    }

    /// Gives rows the records of another org, and notes that org.
    ///
    /// # Errors
    /// Where the plan is refused by now, or the noted org is another one than in the plan. Nothing is changed then.
    pub async fn rebind(
        &self,
        rebinding: Rebinding<'_>,
        from: &OrgIdentity,
        operation: &Operation,
    ) -> Result<RebindPlan, Error> {
        self.rebind_alone(rebinding, from, operation).await.map_err(told_in_use)
    }

    async fn rebind_alone(
        &self,
        rebinding: Rebinding<'_>,
        from: &OrgIdentity,
        operation: &Operation,
    ) -> Result<RebindPlan, Error> {
        let mut client = self.with_patience(PATIENCE)?.client().await?;
        let transaction = alone(&mut client, "syncdeck install").await?;
        // A starting engine takes its lease, and writes that it lives, after this or is seen by it.
        transaction
            .batch_execute("LOCK TABLE syncdeck.lease, syncdeck.engine IN SHARE ROW EXCLUSIVE MODE")
            .await
            .context("keep engines from starting")?;
        refuse_work(&transaction, THEN).await?;
        let tables: Vec<String> =
            rebinding.mappings.iter().map(|mapping| self.table(&mapping.table)).collect();
        let lock = format!("{AS_ENGINE}; LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", tables.join(", "));
        transaction.batch_execute(&lock).await.context("keep the mapped tables as they are")?;
        if self.known_org(&transaction, "").await?.as_deref() != Some(from.id.as_str()) {
            let text =
                "another org is noted by now than the plan was made for\nlook again with: syncdeck rebind";
            return Err(Error::Conflict(text.to_owned()));
        }
        let plan = self.count(&transaction, rebinding, from.clone()).await?;
        if !plan.refused.is_empty() {
            return Err(Error::Refused(plan.refused.join("\n")));
        }
        let hstore = hstore_schema(&transaction).await?;
        for mapping in rebinding.mappings {
            self.relink_rows(&transaction, mapping).await?;
        }
        for mapping in rebinding.mappings {
            for column in lookups(mapping) {
                self.relink_lookup(&transaction, rebinding.mappings, mapping, &column, &hstore).await?;
            }
        }
        self.forget_org(&transaction, rebinding.to).await?;
        pause_unlinked(&transaction, &plan).await?;
        for (mapping, of) in rebinding.mappings.iter().zip(&plan.mappings) {
            let before = json!({"org": plan.from.id, "linked": of.rows});
            let after = json!({"org": plan.to.id, "linked": of.relinked, "unlinked": of.unlinked});
            let entry =
                NewAuditEntry { before: Some(before), after: Some(after), ..NewAuditEntry::default() };
            audit(&transaction, operation, "rebound", mapping, &[entry]).await?;
        }
        announce(&transaction).await?;
        failpoint::pass(MID_REBIND).await?;
        transaction.commit().await.context("finish a rebind")?;
        Ok(plan)
    }

    /// Stages both sides and counts what becomes of the rows.
    async fn count(
        &self,
        transaction: &Transaction<'_>,
        rebinding: Rebinding<'_>,
        from: OrgIdentity,
    ) -> Result<RebindPlan, Error> {
        let mut plan = RebindPlan {
            schema: self.schema_name.clone(),
            from,
            to: rebinding.to.clone(),
            ..RebindPlan::default()
        };
        read_whole(transaction).await?;
        transaction.batch_execute(STAGE).await.context("stage the records of an org")?;
        for mapping in rebinding.mappings {
            let records = rebinding.records.iter().find(|records| records.table == mapping.table);
            plan.mappings.push(self.stage(transaction, mapping, records).await?);
        }
        let index = format!(
            "CREATE INDEX ON rebind_row ((({}))); CREATE INDEX ON rebind_row (of_table, id); ANALYZE rebind_row",
            short("before")
        );
        transaction.batch_execute(&index).await.context("stage the rows of an org")?;
        for (mapping, of) in rebinding.mappings.iter().zip(&mut plan.mappings) {
            for column in lookups(mapping) {
                of.lookups.push(self.count_lookup(transaction, rebinding.mappings, mapping, &column).await?);
            }
        }
        self.count_changes(transaction, &mut plan, rebinding.keeps_changes).await?;
        for of in plan.mappings.iter().filter(|of| of.doubled > 0) {
            let named: Vec<&str> = of.doubled_keys.iter().map(|key| key.key.as_str()).collect();
            plan.refused.push(format!(
                "{}: {} external ids are found more than once, so that nobody knows whose record is whose: {}\nmerge these records, \
                 or rows, first",
                of.mapping,
                of.doubled,
                named.join(", ")
            ));
        }
        Ok(plan)
    }

    /// The rows of one mapping beside the records there.
    async fn stage(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        records: Option<&OrgRecords>,
    ) -> Result<RebindMapping, Error> {
        let table = self.table(&mapping.table);
        let mut of = RebindMapping {
            mapping: mapping.object.clone(),
            table: mapping.table.clone(),
            external_id: mapping.external_id.clone(),
            ..RebindMapping::default()
        };
        let all = records.map_or(0, |records| records.all);
        let Some(column) = mapping.external_id_column() else {
            let sql = format!(
                "INSERT INTO rebind_row SELECT $1, id, sfid, NULL, NULL, 0, 0 FROM {table} WHERE sfid IS NOT NULL"
            );
            let rows =
                transaction.execute(&sql, &[&mapping.table]).await.context("stage rows without a key")?;
            (of.rows, of.unlinked, of.unread) = (rows as i64, rows as i64, all);
            return Ok(of);
        };
        let key = self.key_column(mapping, &column);
        let keyed = records.map_or(&[][..], |records| records.keyed.as_slice());
        for some in keyed.chunks(STAGED) {
            let folded: Vec<(&str, String)> =
                some.iter().filter_map(|(id, text)| Some((id.as_str(), key.fold(text)?))).collect();
            let (ids, keys): (Vec<&str>, Vec<&str>) =
                folded.iter().map(|(id, text)| (*id, text.as_str())).unzip();
            transaction
                .execute(
                    "INSERT INTO rebind_record SELECT $1, * FROM unnest($2::text[], $3::text[])",
                    &[&mapping.table, &ids, &keys],
                )
                .await
                .context("stage the records of an org")?;
        }
        let there = "there AS MATERIALIZED (SELECT folded, min(sfid) AS sfid, count(*) AS n FROM rebind_record WHERE of_table = $1 GROUP BY folded)";
        let (own, named) = (key.of_row("t"), key.of_text("there.folded"));
        let sql = format!(
            "WITH {there} INSERT INTO rebind_row
             SELECT $1, t.id, t.sfid, CASE WHEN there.n = 1 THEN there.sfid END, t.{column}::text, coalesce(there.n, 0),
                 CASE WHEN {own} IS NULL THEN 1 ELSE count(*) OVER (PARTITION BY {own}) END
             FROM {table} t LEFT JOIN there ON {own} = {named} WHERE t.sfid IS NOT NULL",
            column = quote(&column)
        );
        transaction.execute(&sql, &[&mapping.table]).await.context("stage the rows of an org")?;
        let sql = format!(
            "WITH {there} SELECT count(*), coalesce(sum(n), 0)::bigint FROM there WHERE EXISTS (SELECT FROM {table} t WHERE {own} = {named})"
        );
        let met = transaction.query_one(&sql, &[&mapping.table]).await.context("count records with a row")?;
        of.unread = (all - met.get::<_, i64>(1)).max(0);
        let counts = transaction
            .query_one(
                "SELECT count(*), count(*) FILTER (WHERE after IS NOT NULL), count(*) FILTER (WHERE after IS NULL),
                     count(DISTINCT key) FILTER (WHERE records > 1 OR \"rows\" > 1 AND records > 0) FROM rebind_row WHERE of_table = $1",
                &[&mapping.table],
            )
            .await
            .context("count what becomes of rows")?;
        (of.rows, of.relinked, of.unlinked, of.doubled) =
            (counts.get(0), counts.get(1), counts.get(2), counts.get(3));
        let doubled = transaction
            .query(
                "SELECT key, max(records), max(\"rows\") FROM rebind_row
                 WHERE of_table = $1 AND (records > 1 OR \"rows\" > 1 AND records > 0) GROUP BY key ORDER BY key LIMIT $2",
                &[&mapping.table, &NAMED],
            )
            .await
            .context("list external ids that are doubled")?;
        let doubled = doubled.iter();
        of.doubled_keys = doubled
            .map(|row| DoubledKey { key: row.get(0), records: row.get(1), rows: row.get(2) })
            .collect();
        Ok(of)
    }

    async fn count_lookup(
        &self,
        transaction: &Transaction<'_>,
        mappings: &[Mapping],
        mapping: &Mapping,
        lookup: &Lookup,
    ) -> Result<LookupColumn, Error> {
        let column = quote(&lookup.column);
        let sql = format!(
            "SELECT count(named.after), count(*) - count(named.after) FROM {table} t
             LEFT JOIN rebind_row named ON {old} = {now} AND named.of_table = ANY($1)
             WHERE t.{column} IS NOT NULL AND t.{column}::text <> ''",
            table = self.table(&mapping.table),
            old = short("named.before"),
            now = short(&format!("t.{column}::text")),
        );
        let parents = lookup.tables(mappings);
        let counts = transaction.query_one(&sql, &[&parents]).await.context("count what lookups name")?;
        Ok(LookupColumn { column: lookup.column.clone(), relinked: counts.get(0), unresolved: counts.get(1) })
    }

    /// What the old org's changes keep from being done.
    async fn count_changes(
        &self,
        transaction: &Transaction<'_>,
        plan: &mut RebindPlan,
        keeps: bool,
    ) -> Result<(), Error> {
        let sql = format!(
            "SELECT count(*) FILTER (WHERE state <> 'FAILED'), count(*) FILTER (WHERE state = 'FAILED'),
                 count(*) FILTER (WHERE action = 'DELETE' AND sfid IS NOT NULL),
                 count(*) FILTER (WHERE EXISTS (SELECT FROM rebind_row r WHERE r.of_table = log.table_name AND r.id = log.record_id
                     AND r.after IS NULL)),
                 (SELECT count(*) FROM syncdeck.unit WHERE lost > 0)
             FROM {}._trigger_log log WHERE {UNSENT} AND table_name = ANY($1)",
            self.schema
        );
        let tables: Vec<&str> = plan.mappings.iter().map(|of| of.table.as_str()).collect();
        let counts =
            transaction.query_one(&sql, &[&tables]).await.context("count changes of the org before")?;
        (plan.unsent, plan.failed) = (counts.get(0), counts.get(1));
        let (deletes, unlinked, lost): (i64, i64, i64) = (counts.get(2), counts.get(3), counts.get(4));
        if lost > 0 {
            plan.refused.push(format!(
                "the answers to {lost} changes were lost, and the org before may have them\nstart syncdeck run with its login until they \
                 are settled, or give them up: syncdeck revert, syncdeck ignore"
            ));
        }
        let all = plan.unsent + plan.failed;
        if all > 0 && !keeps {
            plan.refused.push(format!(
                "{} changes of the org before are not sent, and {} failed\nsettle them first (syncdeck pending, syncdeck errors), or send \
                 them to the new org: --keep-changes",
                plan.unsent, plan.failed
            ));
        }
        if all > 0 && keeps && deletes + unlinked > 0 {
            plan.refused.push(format!(
                "--keep-changes cannot keep {deletes} deletes, and {unlinked} changes of rows that have no record in the new org: nobody \
                 would know what they are about there\nsettle these first, or give them up: syncdeck revert"
            ));
        }
        Ok(())
    }

    /// Gives the rows of one mapping their new records; first none, for an id may have been another row's.
    async fn relink_rows(&self, transaction: &Transaction<'_>, mapping: &Mapping) -> Result<(), Error> {
        let table = self.table(&mapping.table);
        for (value, which) in [("NULL", ""), ("r.after", "AND r.after IS NOT NULL")] {
            let sql = format!(
                "UPDATE {table} t SET sfid = {value} FROM rebind_row r
                 WHERE r.of_table = $1 AND r.id = t.id AND r.after IS DISTINCT FROM r.before {which}"
            );
            transaction.execute(&sql, &[&mapping.table]).await.context("give rows their new records")?;
        }
        for log in ["_trigger_log", "error"] {
            let (of, open) = match log {
                "error" => ("syncdeck.error".to_owned(), "t.resolved_at IS NULL".to_owned()),
                _ => (self.table(log), format!("t.{UNSENT}")),
            };
            let sql = format!(
                "UPDATE {of} t SET sfid = r.after FROM rebind_row r
                 WHERE r.of_table = $1 AND t.table_name = $1 AND t.record_id = r.id AND t.sfid IS NOT NULL AND {open}"
            );
            transaction.execute(&sql, &[&mapping.table]).await.context("give changes their new records")?;
        }
        Ok(())
    }

    /// Has a column name the same parents in the new org, in rows and in changes that are not sent.
    async fn relink_lookup(
        &self,
        transaction: &Transaction<'_>,
        mappings: &[Mapping],
        mapping: &Mapping,
        lookup: &Lookup,
        hstore: &str,
    ) -> Result<(), Error> {
        let (column, parents) = (quote(&lookup.column), lookup.tables(mappings));
        let sql = format!(
            "UPDATE {table} t SET {column} = named.after FROM rebind_row named
             WHERE {old} = {now} AND named.of_table = ANY($1) AND named.after IS DISTINCT FROM named.before AND named.after IS NOT NULL",
            table = self.table(&mapping.table),
            old = short("named.before"),
            now = short(&format!("t.{column}::text")),
        );
        transaction.execute(&sql, &[&parents]).await.context("give lookups their new records")?;
        let sql = format!(
            "UPDATE {schema}._trigger_log t
             SET values = (t.values::{hstore}.hstore OPERATOR({hstore}.||) {hstore}.hstore($3::text, named.after::text))::text
             FROM rebind_row named
             WHERE t.table_name = $2 AND t.{UNSENT} AND {old} = {now} AND named.of_table = ANY($1)
                 AND named.after IS DISTINCT FROM named.before AND named.after IS NOT NULL",
            schema = self.schema,
            old = short("named.before"),
            now = short(&format!("(t.values::{hstore}.hstore OPERATOR({hstore}.->) $3::text)")),
        );
        transaction
            .execute(&sql, &[&parents, &mapping.table, &lookup.column])
            .await
            .context("give changes of lookups their new records")
            .map(drop)
    }

    /// Notes the new org and forgets what was known of the records of the one before: the next start reads all of them.
    async fn forget_org(&self, transaction: &Transaction<'_>, to: &OrgIdentity) -> Result<(), Error> {
        let sql = format!(
            "UPDATE {schema}._hcmeta SET org_id = $1 WHERE id = (SELECT id FROM {schema}._hcmeta ORDER BY id LIMIT 1)",
            schema = self.schema
        );
        transaction.execute(&sql, &[&to.id]).await.context("note the new org")?;
        let sql = "DELETE FROM syncdeck.candidate; DELETE FROM syncdeck.refused; DELETE FROM syncdeck.reread;
             DELETE FROM syncdeck.fetched; DELETE FROM syncdeck.change_events; DELETE FROM syncdeck.finding; DELETE FROM syncdeck.verify;
             UPDATE syncdeck.conflict SET winner = 'postgres', decided_by = 'another org took its place',
                 decided_at = pg_catalog.clock_timestamp() WHERE winner IS NULL;
             UPDATE syncdeck.command SET done_at = pg_catalog.clock_timestamp(), failure = 'another org took its place'
                 WHERE done_at IS NULL;
             UPDATE syncdeck.error SET state = 'resolved', resolved_at = pg_catalog.clock_timestamp(), next_retry_at = NULL,
                 resolution = 'another org took its place' WHERE resolved_at IS NULL AND NOT EXISTS (SELECT FROM syncdeck.unit
                     WHERE unit.table_name = error.table_name AND unit.record_id = error.record_id);
             UPDATE syncdeck.mapping SET load_done = false, read_cursor = NULL, deletes_cursor = NULL, last_read = NULL, records = NULL,
                 reload_at = NULL, load_began_at = NULL, load_records = NULL, load_total = NULL, load_job = NULL, state = 'loading',
                 detail = NULL";
        transaction.batch_execute(sql).await.context("forget the records of the org before")
    }
}

/// A change of a row that names no record would create one: nothing of such a mapping is sent until a person says so.
async fn pause_unlinked(transaction: &Transaction<'_>, plan: &RebindPlan) -> Result<(), Error> {
    let unlinked: BTreeMap<&str, i64> = plan
        .mappings
        .iter()
        .filter(|of| of.unlinked > 0)
        .map(|of| (of.mapping.as_str(), of.unlinked))
        .collect();
    for (mapping, rows) in unlinked {
        let detail = format!(
            "rebind: {rows} rows have no record in the org {}, and a change of one would create it; look at them (syncdeck verify), then resume",
            plan.to.id
        );
        transaction
            .execute(
                "UPDATE syncdeck.mapping SET writes = 'paused', writes_detail = $2, drain_upto = NULL
                 WHERE name = $1 AND access = 'read_write'",
                &[&mapping, &detail],
            )
            .await
            .context("pause the writes of unlinked rows")?;
    }
    Ok(())
}

/// A column that names records by their ids, and of which objects.
struct Lookup {
    column: String,
    objects: Vec<String>,
}

impl Lookup {
    /// The tables of its objects, as far as they are mapped.
    fn tables<'a>(&self, mappings: &'a [Mapping]) -> Vec<&'a str> {
        let is = |mapping: &&Mapping| self.objects.contains(&mapping.object);
        mappings.iter().filter(is).map(|mapping| mapping.table.as_str()).collect()
    }
}

fn lookups(mapping: &Mapping) -> Vec<Lookup> {
    let ids = mapping.read_fields().filter(|field| field.kind == FieldType::Reference);
    ids.filter(|field| mapping.parent(&field.column).is_none())
        .map(|field| Lookup { column: field.column.clone(), objects: field.reference_to.clone() })
        .collect()
}
