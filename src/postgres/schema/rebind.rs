//! Another org behind the same tables: rows find the records that have their external ids, in one transaction; what does not
//! find one names none. The preview counts by the same statements, and changes nothing.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, json};

use crate::domain::mappings::mapping::Mapping;
use crate::domain::operations::operation::Operation;
use crate::domain::reports::rebind::{DoubledKey, LookupColumn, OrgIdentity, RebindMapping, RebindPlan};

use crate::postgres::errors::condition::read_whole;
use crate::postgres::failpoint::{self, MID_REBIND};
use crate::postgres::operations::audit::audit_table;
use crate::postgres::operations::settings::announce;
use crate::postgres::schema::install::{PATIENCE, alone, told_in_use};
use crate::postgres::schema::lookups::{Lookup, lookups};
use crate::postgres::schema::rebind_guard::refusal_of;
use crate::postgres::schema::way_back::refuse_engines;
use crate::postgres::{Error, ErrorContext, Store, Transaction, quote};

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
    /// Whether changes that are not settled are given up.
    pub gives_up: bool,
    /// PostgreSQL's time before the first record was read there: deletes since then are still to be told.
    pub read_at: DateTime<Utc>,
}

/// The rows that name a record, with the record that they are to name.
const STAGE: &str = "CREATE TEMP TABLE rebind_record (of_table text, sfid varchar(18), folded text) ON COMMIT DROP;
    CREATE TEMP TABLE rebind_row (of_table text, id integer, before varchar(18), after varchar(18), key text, records bigint, \"rows\" bigint) ON COMMIT DROP";

/// What of a rebind cannot be undone by another one: rows that name no record any more, and mappings none of which is there.
fn does(plan: &RebindPlan) -> (Vec<(&str, i64)>, Vec<&str>) {
    let unlinked = plan.mappings.iter().map(|of| (of.table.as_str(), of.unlinked));
    let unmapped = plan.unmapped.iter().map(|of| (of.table.as_str(), of.rows));
    (unlinked.chain(unmapped).collect(), plan.strangers().map(|of| of.mapping.as_str()).collect())
}

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
        match refuse_engines(&transaction, THEN).await {
            Err(Error::Refused(why)) => plan.refused.insert(0, why),
            other => other?,
        }
        transaction.rollback().await.context("end a look at what is rebound")?;
        Ok(plan)
    }

    /// Gives rows the records of another org, and notes that org.
    ///
    /// # Errors
    /// Where it is refused by now, the noted org is another one than in the plan that was shown, other changes are not settled
    /// than were shown, or other rows would name no record. Nothing is changed then.
    pub async fn rebind(
        &self,
        rebinding: Rebinding<'_>,
        shown: &RebindPlan,
        operation: &Operation,
    ) -> Result<RebindPlan, Error> {
        self.rebind_alone(rebinding, shown, operation).await.map_err(told_in_use)
    }

    async fn rebind_alone(
        &self,
        rebinding: Rebinding<'_>,
        shown: &RebindPlan,
        operation: &Operation,
    ) -> Result<RebindPlan, Error> {
        let mut client = self.with_patience(PATIENCE)?.client().await?;
        let transaction = alone(&mut client, "syncdeck install").await?;
        // A starting engine takes its lease, and writes that it lives, after this or is seen by it.
        transaction
            .batch_execute("LOCK TABLE syncdeck.lease, syncdeck.engine IN SHARE ROW EXCLUSIVE MODE")
            .await
            .context("keep engines from starting")?;
        refuse_engines(&transaction, THEN).await?;
        self.lock_for_rebind(&transaction, rebinding.mappings).await?;
        if self.known_org(&transaction, "").await?.as_deref() != Some(shown.from.id.as_str()) {
            let text =
                "another org is noted by now than the plan was made for\nlook again with: syncdeck rebind";
            return Err(Error::Conflict(text.to_owned()));
        }
        let plan = self.count(&transaction, rebinding, shown.from.clone()).await?;
        if !plan.refused.is_empty() {
            return Err(Error::Refused(plan.refused.join("\n")));
        }
        if plan.unsettled != shown.unsettled {
            let text =
                "other changes are not settled by now than were shown\nlook again with: syncdeck rebind";
            return Err(Error::Conflict(text.to_owned()));
        }
        if does(&plan) != does(shown) {
            let text = "other rows name no record by now than were shown\nlook again with: syncdeck rebind";
            return Err(Error::Conflict(text.to_owned()));
        }
        self.give_up_all(&transaction).await?;
        for mapping in rebinding.mappings {
            self.relink_rows(&transaction, mapping).await?;
        }
        for other in &plan.unmapped {
            self.unlink_rows(&transaction, &other.table).await?;
        }
        for mapping in rebinding.mappings {
            for column in lookups(mapping) {
                self.relink_lookup(&transaction, rebinding.mappings, mapping, &column).await?;
            }
        }
        self.relink_log(&transaction).await?;
        self.forget_org(&transaction, rebinding).await?;
        self.pause_unlinked(&transaction, &plan).await?;
        audit_rebind(&transaction, operation, &plan).await?;
        self.refuse_captured(&transaction).await?;
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
        plan.unsettled = self.unsettled(transaction).await?;
        if !rebinding.gives_up {
            plan.refused.extend(refusal_of(&plan.unsettled));
        }
        plan.gives_up = rebinding.gives_up;
        plan.unmapped = self.unmapped(transaction, rebinding.mappings).await?;
        plan.refused.extend(self.named_by_others(transaction, &plan, rebinding.mappings).await?);
        let unknown = self.unknown_mappings(transaction, rebinding.mappings).await?;
        if !unknown.is_empty() {
            // What is not there cannot be counted.
            plan.refused.extend(unknown);
            return Ok(plan);
        }
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
        // Grouped as the join compares them, or two keys that are one to it would not be seen to be doubled.
        let (own, named) = (key.of_row("t"), key.of_text("folded"));
        let there = format!(
            "there AS MATERIALIZED (SELECT {named} AS key, min(sfid) AS sfid, count(*) AS n FROM rebind_record
             WHERE of_table = $1 GROUP BY 1)"
        );
        let sql = format!(
            "WITH {there} INSERT INTO rebind_row
             SELECT $1, t.id, t.sfid, CASE WHEN there.n = 1 THEN there.sfid END, t.{column}::text, coalesce(there.n, 0),
                 CASE WHEN {own} IS NULL THEN 1 ELSE count(*) OVER (PARTITION BY {own}) END
             FROM {table} t LEFT JOIN there ON {own} = there.key WHERE t.sfid IS NOT NULL",
            column = quote(&column)
        );
        transaction.execute(&sql, &[&mapping.table]).await.context("stage the rows of an org")?;
        let sql = format!(
            "WITH {there} SELECT count(*), coalesce(sum(n), 0)::bigint FROM there WHERE EXISTS (SELECT FROM {table} t WHERE {own} = there.key)"
        );
        let met = transaction.query_one(&sql, &[&mapping.table]).await.context("count records with a row")?;
        of.unread = (all - met.get::<_, i64>(1)).max(0);
        let counts = transaction
            .query_one(
                "SELECT count(*), count(*) FILTER (WHERE after IS NOT NULL), count(*) FILTER (WHERE after IS NULL),
                     count(DISTINCT key) FILTER (WHERE records > 1 OR \"rows\" > 1 AND records > 0),
                     count(*) FILTER (WHERE key <> '') FROM rebind_row WHERE of_table = $1",
                &[&mapping.table],
            )
            .await
            .context("count what becomes of rows")?;
        (of.rows, of.relinked, of.unlinked, of.doubled, of.keyed) =
            (counts.get(0), counts.get(1), counts.get(2), counts.get(3), counts.get(4));
        let doubled = transaction
            .query(
                "SELECT key, max(records), max(\"rows\") FROM rebind_row
                 WHERE of_table = $1 AND (records > 1 OR \"rows\" > 1 AND records > 0) GROUP BY key ORDER BY key LIMIT $2",
                &[&mapping.table, &NAMED],
            )
            .await
            .context("list external ids that are doubled")?;
        let doubled = doubled.iter();
        let shown = |key| mapping.rules.shown_value(&column, key).unwrap_or_default();
        of.doubled_keys = doubled
            .map(|row| DoubledKey { key: shown(row.get(0)), records: row.get(1), rows: row.get(2) })
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
        Ok(())
    }

    /// Has rows of a table that is not mapped name no record.
    async fn unlink_rows(&self, transaction: &Transaction<'_>, table: &str) -> Result<(), Error> {
        let sql = format!("UPDATE {} SET sfid = NULL WHERE sfid IS NOT NULL", self.table(table));
        transaction.execute(&sql, &[]).await.context("unlink rows of tables that are not mapped").map(drop)
    }

    /// What was once sent tells whose record a row's is: of the org before, nothing is believed any more. Deletes are of
    /// rows that are gone, whatever row has their number now.
    async fn relink_log(&self, transaction: &Transaction<'_>) -> Result<(), Error> {
        let sql = format!(
            "UPDATE {archive} done SET sfid = r.after FROM rebind_row r
             WHERE r.of_table = done.table_name AND r.id = done.record_id AND r.after IS NOT NULL AND done.sfid = r.before
                 AND done.action <> 'DELETE';
             UPDATE {archive} done SET sfid = NULL WHERE sfid IS NOT NULL AND NOT (action <> 'DELETE' AND EXISTS (
                 SELECT FROM rebind_row r WHERE r.of_table = done.table_name AND r.id = done.record_id AND r.after = done.sfid));
             UPDATE {log} SET sfid = NULL WHERE sfid IS NOT NULL",
            archive = self.table("_trigger_log_archive"),
            log = self.table("_trigger_log"),
        );
        transaction.batch_execute(&sql).await.context("forget whose records rows had")
    }

    /// Has a column name the same parents in the new org.
    async fn relink_lookup(
        &self,
        transaction: &Transaction<'_>,
        mappings: &[Mapping],
        mapping: &Mapping,
        lookup: &Lookup,
    ) -> Result<(), Error> {
        let (column, parents) = (quote(&lookup.column), lookup.tables(mappings));
        let sql = format!(
            "UPDATE {table} t SET {column} = named.after FROM rebind_row named
             WHERE {old} = {now} AND named.of_table = ANY($1) AND named.after IS DISTINCT FROM named.before AND named.after IS NOT NULL",
            table = self.table(&mapping.table),
            old = short("named.before"),
            now = short(&format!("t.{column}::text")),
        );
        transaction.execute(&sql, &[&parents]).await.context("give lookups their new records").map(drop)
    }

    /// Notes the new org and forgets what was known of the records of the one before: the next start reads all of them.
    async fn forget_org(&self, transaction: &Transaction<'_>, rebinding: Rebinding<'_>) -> Result<(), Error> {
        let sql = format!(
            "UPDATE {schema}._hcmeta SET org_id = $1 WHERE id = (SELECT id FROM {schema}._hcmeta ORDER BY id LIMIT 1)",
            schema = self.schema
        );
        transaction.execute(&sql, &[&rebinding.to.id]).await.context("note the new org")?;
        // An engine that was only asleep proves its lease in vain.
        let sql = "DELETE FROM syncdeck.lease; DELETE FROM syncdeck.write_job;
             DELETE FROM syncdeck.candidate; DELETE FROM syncdeck.refused; DELETE FROM syncdeck.reread;
             DELETE FROM syncdeck.fetched; DELETE FROM syncdeck.change_events; DELETE FROM syncdeck.finding; DELETE FROM syncdeck.verify;
             UPDATE syncdeck.conflict SET winner = 'postgres', decided_by = 'another org took its place',
                 decided_at = pg_catalog.clock_timestamp() WHERE winner IS NULL;
             UPDATE syncdeck.command SET done_at = pg_catalog.clock_timestamp(), failure = 'another org took its place'
                 WHERE done_at IS NULL;
             UPDATE syncdeck.error SET state = 'resolved', resolved_at = pg_catalog.clock_timestamp(), next_retry_at = NULL,
                 resolution = 'another org took its place' WHERE resolved_at IS NULL;
             UPDATE syncdeck.mapping SET load_done = false, read_cursor = NULL, last_read = NULL, records = NULL,
                 reload_at = NULL, load_began_at = NULL, load_records = NULL, load_total = NULL, load_job = NULL, state = 'loading',
                 detail = NULL";
        transaction.batch_execute(sql).await.context("forget the records of the org before")?;
        // What is deleted there from here to the next start has a row that names it.
        let sql = "UPDATE syncdeck.mapping SET deletes_cursor = $1";
        transaction
            .execute(sql, &[&rebinding.read_at])
            .await
            .context("note since when deletes count")
            .map(drop)
    }

    /// A change of a row that names no record would create one: nothing of such a mapping is sent until a person says so,
    /// whatever access it is registered with.
    async fn pause_unlinked(&self, transaction: &Transaction<'_>, plan: &RebindPlan) -> Result<(), Error> {
        let gave_up = |table: &str| plan.unsettled.iter().any(|of| of.table == table);
        let of = plan.mappings.iter().filter(|of| of.unlinked > 0 || gave_up(&of.table));
        let others = plan.unmapped.iter().filter(|other| other.rows > 0).map(|other| &other.table);
        for table in of.map(|of| &of.table).chain(others) {
            let sql = format!("SELECT count(*) FROM {} WHERE sfid IS NULL", self.table(table));
            let rows: i64 =
                transaction.query_one(&sql, &[]).await.context("count rows without a record")?.get(0);
            if rows == 0 {
                continue;
            }
            let detail = format!(
                "rebind: {rows} rows have no record in the org {}, and a change of one would create it; look at them (syncdeck verify), then resume",
                plan.to.id
            );
            transaction
                .execute(
                    "UPDATE syncdeck.mapping SET writes = 'paused', writes_detail = $2, drain_upto = NULL WHERE table_name = $1",
                    &[table, &detail],
                )
                .await
                .context("pause the writes of unlinked rows")?;
        }
        Ok(())
    }
}

/// Writes of each table what became of its rows, and what was given up.
async fn audit_rebind(
    transaction: &Transaction<'_>,
    operation: &Operation,
    plan: &RebindPlan,
) -> Result<(), Error> {
    // Mapping, rows with a record before, and after.
    let mut tables: BTreeMap<&str, (&str, i64, i64)> =
        plan.unsettled.iter().map(|of| (of.table.as_str(), (of.table.as_str(), 0, 0))).collect();
    tables.extend(plan.unmapped.iter().map(|of| (of.table.as_str(), (of.table.as_str(), of.rows, 0))));
    let mapped = plan.mappings.iter();
    tables.extend(mapped.map(|of| (of.table.as_str(), (of.mapping.as_str(), of.rows, of.relinked))));
    for (table, (mapping, rows, relinked)) in tables {
        let mut given_up = Map::new();
        for of in plan.unsettled.iter().filter(|of| of.table == table) {
            let state = if of.is_queue { format!("queued {}", of.state) } else { of.state.clone() };
            given_up.insert(state, json!(of.count));
        }
        let before = json!({"org": plan.from.id, "linked": rows});
        let after =
            json!({"org": plan.to.id, "linked": relinked, "unlinked": rows - relinked, "given_up": given_up});
        audit_table(transaction, operation, "rebound", (mapping, table), (before, after)).await?;
    }
    Ok(())
}
