//! What an installation would do: the steps that it executes, found by the same looks, in a transaction that may only read.

use std::collections::BTreeMap;

use crate::domain::mappings::mapping::Mapping;
use crate::domain::reports::forecast::{WRITE_JOB, WRITE_JOB_CALLS, WriteForecast};
use crate::domain::reports::setup_plan::{Entries, SetupAction, SetupPlan, TableOrigin, TablePlan};

use crate::postgres::schema::capture::{LOGGER, STATUS, function};
use crate::postgres::schema::install::{OWN, PATIENCE, found_hstore, own_is_older};
use crate::postgres::schema::table_steps::{TableSteps, stamp_of};
use crate::postgres::schema::takeover::is_own;
use crate::postgres::{Error, ErrorContext, Store, Transaction};

/// Begins a look at everything as it is at one moment.
const LOOK: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";
/// Changes of so many days tell how many there are a day.
const DAYS: i32 = 7;
/// A log of fewer hours tells nothing about a day.
const SHORTEST: f64 = 3_600.0;
const DAY: f64 = 86_400.0;

impl Store {
    /// What [`Store::install`] would do now.
    pub async fn setup_plan(&self, org_id: &str, mappings: &[Mapping]) -> Result<SetupPlan, Error> {
        // A large table is counted and searched for doubled values.
        let patient = self.with_patience(PATIENCE)?;
        let mut client = patient.client().await?;
        let transaction = client.transaction().await.context("begin a look at the database")?;
        transaction.batch_execute(LOOK).await.context("begin a look at the database")?;
        let layouts = self.layouts(&transaction).await?;
        let hstore = found_hstore(&transaction).await?;
        let mut plan =
            SetupPlan { refused: self.foreign_org(&transaction, org_id).await?, ..SetupPlan::default() };
        plan.actions = self.actions_beside(&transaction, &layouts, hstore.as_deref()).await?;
        let hstore = hstore.unwrap_or_else(|| crate::postgres::quote("public"));
        let loaded = self.loaded(&transaction).await?;
        for mapping in mappings {
            let table = self.table_plan(&transaction, mapping, &hstore, &layouts, &loaded).await?;
            plan.tables.push(table);
        }
        let is_forgotten = |name: &&String| !mappings.iter().any(|mapping| mapping.object == **name);
        plan.forgotten = loaded.keys().filter(is_forgotten).cloned().collect();
        if plan.foreign().next().is_some() {
            let tables: Vec<&str> = plan.foreign().map(|table| table.table.as_str()).collect();
            if let Some(why) = self.lacking_rights(&transaction, &tables).await? {
                plan.refused.get_or_insert(why);
            }
            let mapped: Vec<&str> = mappings.iter().map(|mapping| mapping.table.as_str()).collect();
            plan.strangers = self.entries_of_others(&transaction, &mapped).await?;
        }
        transaction.rollback().await.context("end a look at the database")?;
        if plan.foreign().next().is_some() && plan.refused.is_none() {
            let own = plan.tables.iter().filter(|table| table.origin == TableOrigin::Own);
            let own: Vec<&str> = own.map(|table| table.table.as_str()).collect();
            plan.at_work = self.heroku_at_work(&own).await?;
        }
        Ok(plan)
    }

    /// The tables of these mappings that were there before syncdeck, which has taken none of them over.
    pub async fn foreign_tables(&self, tables: &[&str]) -> Result<Vec<String>, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("look for tables of others")?;
        // Another program's first start may finish between two looks.
        transaction.batch_execute(LOOK).await.context("look for tables of others")?;
        let noted = self.layouts(&transaction).await?;
        self.foreign_among(&transaction, tables, &noted).await
    }

    /// The same in a transaction, with what was noted about tables.
    pub(super) async fn foreign_among(
        &self,
        transaction: &Transaction<'_>,
        tables: &[&str],
        noted: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, Error> {
        let triggers = self.triggers(transaction, tables).await?;
        let is_own = |table: &&&str| {
            is_own(noted.contains_key(**table), triggers.get(**table).map_or(&[], Vec::as_slice))
        };
        let own: Vec<&str> = tables.iter().filter(is_own).copied().collect();
        let rows = transaction
            .query(
                "SELECT DISTINCT table_name::text FROM information_schema.columns
                 WHERE table_schema = $1 AND table_name = ANY($2) AND table_name <> ALL($3) ORDER BY 1",
                &[&self.schema_name, &tables, &own],
            )
            .await
            .context("look for tables of others")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Refuses a takeover that would not be the one that was shown.
    pub(super) async fn refuse_unshown(
        &self,
        transaction: &Transaction<'_>,
        mappings: &[Mapping],
        foreign: &[String],
        layouts: &BTreeMap<String, String>,
        shown: &SetupPlan,
    ) -> Result<(), Error> {
        let mut tables: Vec<&str> = shown.foreign().map(|table| table.table.as_str()).collect();
        tables.sort_unstable();
        let mut now: Vec<&str> = foreign.iter().map(String::as_str).collect();
        now.sort_unstable();
        if tables != now {
            return Err(Error::Conflict(
                "other tables are taken over by now than were shown\nlook again".to_owned(),
            ));
        }
        let hstore = found_hstore(transaction).await?.unwrap_or_else(|| crate::postgres::quote("public"));
        // Indexes are made beside, before this.
        let beside = |action: &&SetupAction| !matches!(action, SetupAction::CreateIndex { .. });
        for mapping in mappings.iter().filter(|mapping| foreign.contains(&mapping.table)) {
            let laid_out = layouts.get(&mapping.table);
            let steps = self.table_steps(transaction, mapping, &hstore, laid_out).await?;
            let actions = self.actions_of(transaction, mapping, steps).await?;
            let then = shown.foreign().filter(|table| table.table == mapping.table);
            if !then.flat_map(|table| &table.actions).filter(beside).eq(actions.iter().filter(beside)) {
                return Err(Error::Conflict(format!(
                    "other things are done to the table {} by now than were shown\nlook again",
                    mapping.table
                )));
            }
        }
        Ok(())
    }

    async fn is_there(&self, transaction: &Transaction<'_>, relation: &str) -> Result<bool, Error> {
        let row = transaction.query_one("SELECT to_regclass($1) IS NOT NULL", &[&relation]).await;
        Ok(row.context("look for a table")?.get(0))
    }

    /// Why the schema is not to be kept: another one of this database is, or it is another org's.
    pub(super) async fn foreign_org(
        &self,
        transaction: &Transaction<'_>,
        org_id: &str,
    ) -> Result<Option<String>, Error> {
        if let Some(why) = self.other_schema(transaction).await? {
            return Ok(Some(why));
        }
        if !self.is_there(transaction, &format!("{}._hcmeta", self.schema)).await? {
            return Ok(None);
        }
        match self.known_org(transaction, org_id).await {
            Ok(_) => Ok(None),
            Err(Error::Refused(why)) => Ok(Some(why)),
            Err(error) => Err(error),
        }
    }

    /// What is done beside the mapped tables.
    async fn actions_beside(
        &self,
        transaction: &Transaction<'_>,
        layouts: &BTreeMap<String, String>,
        hstore: Option<&str>,
    ) -> Result<Vec<SetupAction>, Error> {
        let mut actions = Vec::new();
        if hstore.is_none() {
            actions.push(SetupAction::CreateExtension { name: "hstore".to_owned() });
        }
        let own_is_new = !layouts.contains_key(OWN);
        if own_is_new || own_is_older(layouts) {
            actions.push(SetupAction::LayOut {
                schema: "syncdeck".to_owned(),
                new: own_is_new && layouts.is_empty(),
            });
        }
        let sql = self.connection_sql(transaction, hstore.unwrap_or("public")).await?;
        if layouts.get("") != Some(&stamp_of(&sql)) {
            let row = transaction.query_one("SELECT to_regnamespace($1) IS NULL", &[&self.schema]).await;
            let new = row.context("look for the schema")?.get(0);
            actions.push(SetupAction::LayOut { schema: self.schema_name.clone(), new });
            let captures = ["hc_capture_insert_from_row", "hc_capture_update_from_row"];
            actions.extend(self.replaced_functions(transaction, &captures).await?);
        }
        actions.extend(self.sequence_steps(transaction).await?.into_iter().map(|step| step.action));
        if self.lacks_get_xmlbinary(transaction).await? {
            actions.push(SetupAction::CreateFunction { name: "public.get_xmlbinary()".to_owned() });
        }
        Ok(actions)
    }

    /// Whether all of its records were read, of each mapping that was worked before.
    async fn loaded(&self, transaction: &Transaction<'_>) -> Result<BTreeMap<String, bool>, Error> {
        if !self.is_there(transaction, "syncdeck.mapping").await? {
            return Ok(BTreeMap::new());
        }
        let rows = transaction
            .query("SELECT name, load_done AND reload_at IS NULL FROM syncdeck.mapping", &[])
            .await
            .context("read the mappings as they were worked")?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    async fn table_plan(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        hstore: &str,
        layouts: &BTreeMap<String, String>,
        loaded: &BTreeMap<String, bool>,
    ) -> Result<TablePlan, Error> {
        let mut plan = TablePlan {
            mapping: mapping.object.clone(),
            table: mapping.table.clone(),
            origin: TableOrigin::New,
            actions: Vec::new(),
            adopted: Vec::new(),
            rows: self.estimated_rows(transaction, &mapping.table).await?.unwrap_or(0),
            entries: Entries::default(),
            loads: !mapping.gone && !loaded.get(&mapping.object).copied().unwrap_or(false),
            refused: None,
        };
        let laid_out = layouts.get(&mapping.table);
        match self.table_steps(transaction, mapping, hstore, laid_out).await {
            Ok(mut steps) => {
                plan.origin = steps.origin;
                let there = std::mem::take(&mut steps.there);
                plan.adopted = if steps.origin == TableOrigin::Foreign { there } else { Vec::new() };
                plan.actions = self.actions_of(transaction, mapping, steps).await?;
            }
            Err(Error::Refused(why)) => {
                plan.origin = if laid_out.is_some() { TableOrigin::Own } else { TableOrigin::Foreign };
                plan.refused = Some(why);
            }
            Err(error) => return Err(error),
        }
        if plan.origin == TableOrigin::Foreign {
            plan.entries = self.entries_about(transaction, &mapping.table).await?;
        }
        if plan.refused.is_none() && plan.origin == TableOrigin::Foreign {
            plan.refused = self.doubled_values(transaction, mapping).await?;
        }
        if plan.refused.is_none() {
            plan.refused = self.condition_fault(transaction, mapping, &plan.actions).await?;
        }
        Ok(plan)
    }

    /// What is done to a table by these steps.
    async fn actions_of(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        of: TableSteps,
    ) -> Result<Vec<SetupAction>, Error> {
        let mut actions: Vec<SetupAction> =
            of.steps.into_iter().chain(of.of_log).map(|step| step.action).collect();
        if of.origin == TableOrigin::Foreign {
            let names = [function(&mapping.table, LOGGER), function(&mapping.table, STATUS)];
            actions.extend(self.replaced_functions(transaction, &names).await?);
        }
        Ok(actions)
    }

    /// Why the condition of a mapping is none that its table can answer, once these actions are done.
    pub(super) async fn condition_fault(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        actions: &[SetupAction],
    ) -> Result<Option<String>, Error> {
        if mapping.rules.filter.is_none() {
            return Ok(None);
        }
        let planned: Vec<&str> = actions.iter().flat_map(added).collect();
        // A condition that PostgreSQL refuses must not end the look at the tables behind it.
        transaction.batch_execute("SAVEPOINT condition").await.context("begin a look at a condition")?;
        let checked = match planned.is_empty() {
            true => self.check_condition(transaction, mapping).await,
            // PostgreSQL cannot be asked about columns that are not there yet.
            false => self.check_columns(transaction, mapping, &planned).await,
        };
        transaction
            .batch_execute("ROLLBACK TO SAVEPOINT condition")
            .await
            .context("end a look at a condition")?;
        match checked {
            Err(error @ Error::BadFilter { .. }) => Ok(Some(error.to_string())),
            other => other.map(|()| None),
        }
    }

    async fn estimated_rows(&self, transaction: &Transaction<'_>, table: &str) -> Result<Option<i64>, Error> {
        let sql = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = to_regclass($1)";
        let row = transaction.query_opt(sql, &[&self.table(table)]).await.context("estimate a table")?;
        Ok(row.map(|row| row.get(0)))
    }

    /// What a predecessor left in the change log about a table.
    async fn entries_about(&self, transaction: &Transaction<'_>, table: &str) -> Result<Entries, Error> {
        let log = format!("{}._trigger_log", self.schema);
        if !self.is_there(transaction, &log).await? {
            return Ok(Entries::default());
        }
        let sql = format!(
            "SELECT count(*) FILTER (WHERE state IN ('NEW', 'PENDING')), count(*) FILTER (WHERE state = 'PENDING'),
                 count(*) FILTER (WHERE state = 'FAILED') FROM {log} WHERE table_name = $1 AND state IN ('NEW', 'PENDING', 'FAILED')"
        );
        let row = transaction.query_one(&sql, &[&table]).await.context("count what a predecessor left")?;
        Ok(Entries { unsent: row.get(0), in_flight: row.get(1), failed: row.get(2) })
    }

    /// How many entries a predecessor left about tables that are not mapped here.
    async fn entries_of_others(&self, transaction: &Transaction<'_>, mapped: &[&str]) -> Result<i64, Error> {
        let log = format!("{}._trigger_log", self.schema);
        if !self.is_there(transaction, &log).await? {
            return Ok(0);
        }
        let sql = format!(
            "SELECT count(*) FROM {log} WHERE state IN ('NEW', 'PENDING', 'FAILED') AND (table_name = ANY($1)) IS NOT TRUE"
        );
        let row = transaction.query_one(&sql, &[&mapped]).await;
        Ok(row.context("count what a predecessor left about other tables")?.get(0))
    }

    /// Functions of a predecessor in the place of ours of these names.
    async fn replaced_functions(
        &self,
        transaction: &Transaction<'_>,
        names: &[impl AsRef<str> + Sync],
    ) -> Result<Vec<SetupAction>, Error> {
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let sql = "SELECT format('%I(%s)', proname, pg_get_function_identity_arguments(p.oid)) FROM pg_proc p
             JOIN pg_namespace n ON n.oid = pronamespace
             WHERE nspname = $1 AND proname = ANY($2) AND prosrc NOT LIKE '%of syncdeck%' ORDER BY 1";
        let rows = transaction.query(sql, &[&self.schema_name, &names]).await;
        let rows = rows.context("look for functions of a predecessor")?;
        Ok(rows.iter().map(|row| SetupAction::ReplaceFunction { function: row.get(0) }).collect())
    }

    /// How much was written a day lately, and in how many calls that would have gone: by table, each with the size of its
    /// batches, and from how many changes on they go by jobs. Nothing of tables without a log, or with one of a few minutes. What
    /// changed in the same second goes in one call.
    pub async fn written_lately(
        &self,
        tables: &[(&str, i64, Option<i64>)],
    ) -> Result<BTreeMap<String, WriteForecast>, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin a look at the change log")?;
        transaction.batch_execute(LOOK).await.context("begin a look at the change log")?;
        let log = format!("{}._trigger_log", self.schema);
        if !self.is_there(&transaction, &log).await?
            || !self.is_there(&transaction, &format!("{log}_archive")).await?
        {
            return Ok(BTreeMap::new());
        }
        let names: Vec<&str> = tables.iter().map(|(name, ..)| *name).collect();
        let sizes: Vec<i64> = tables.iter().map(|(_, size, _)| *size).collect();
        let jobs: Vec<Option<i64>> = tables.iter().map(|(.., from)| *from).collect();
        let sql = format!(
            "WITH entry AS (
                 SELECT table_name, action, record_id, created_at, state FROM {log} WHERE created_at > now() - make_interval(days => $3)
                 UNION ALL
                 SELECT table_name, action, record_id, created_at, state FROM {log}_archive
                 WHERE created_at > now() - make_interval(days => $3)),
             call AS (
                 SELECT table_name, count(*) AS changes, count(DISTINCT record_id) AS records, min(created_at) AS since FROM entry
                 WHERE state NOT IN ('READONLY', 'IGNORE', 'IGNORED')
                 GROUP BY table_name, action, date_trunc('second', created_at))
             SELECT name, sum(changes)::float8, sum(CASE WHEN records >= by_job THEN ceil(records::float8 / {WRITE_JOB}) * {WRITE_JOB_CALLS}
                     ELSE ceil(records::float8 / size) END)::float8,
                 extract(epoch FROM now() - min(since))::float8
             FROM unnest($1::text[], $2::bigint[], $4::bigint[]) wanted (name, size, by_job) JOIN call ON table_name = name GROUP BY name"
        );
        let rows = transaction
            .query(&sql, &[&names, &sizes, &DAYS, &jobs])
            .await
            .context("measure the change log")?;
        let mut written = BTreeMap::new();
        for row in &rows {
            let seconds: f64 = row.get(3);
            if seconds < SHORTEST {
                continue;
            }
            let a_day = |count: f64| (count * DAY / seconds).round() as i64;
            written.insert(
                row.get(0),
                WriteForecast::Measured { changes: a_day(row.get(1)), calls: a_day(row.get(2)) },
            );
        }
        Ok(written)
    }
}

/// The columns that an action makes.
fn added(action: &SetupAction) -> Vec<&str> {
    match action {
        SetupAction::CreateTable { columns } => columns.iter().map(|(name, _)| name.as_str()).collect(),
        SetupAction::AddColumn { column, .. } => vec![column],
        _ => Vec::new(),
    }
}
