//! Lays out the schema: Heroku Connect's tables and triggers, and our own schema beside it. Safe to run again. What is new
//! comes in one transaction, so that a refusal leaves nothing half-made; what an upgrade changes in our own schema, where
//! a million errors may lie, comes in one before it, in which nobody who writes to a mapped table has to wait.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::domain::mappings::mapping::{Mapping, column_type};
use crate::domain::reports::setup_plan::{SetupAction, SetupPlan};

use crate::postgres::errors::findings::forget_comparisons;
use crate::postgres::schema::indexes::index_few;
use crate::postgres::schema::step::SetupStep;
use crate::postgres::schema::table_steps::{TableSteps, fits, stamp_of};
use crate::postgres::schema::takeover::TRIGGERS;
use crate::postgres::{
    Error, ErrorContext, PooledClient, Store, Transaction, literal, quote, schema::capture,
};

/// Our own schema.
const OWN_SQL: &str = concat!(
    include_str!("../../../assets/sql/syncdeck.sql"),
    include_str!("../../../assets/sql/alerts.sql"),
    include_str!("../../../assets/sql/health.sql"),
    include_str!("../../../assets/sql/causes.sql"),
    include_str!("../../../assets/sql/consistency.sql"),
);
/// The name of its layout; no mapped table begins like this.
pub(super) const OWN: &str = "_syncdeck";
/// Under this name stands the schema that the layouts are of, in the place of a stamp.
pub(super) const SCHEMA: &str = "_schema";
/// The longest that an upgrade may take, and a look at all that is there.
pub(super) const PATIENCE: Duration = Duration::from_secs(1_800);

/// What an installation does with mapped tables that are somebody else's.
#[derive(Clone, Copy, Debug)]
pub enum Foreign<'a> {
    /// Refuses them.
    Refuse,
    /// Takes them over.
    Adopt,
    /// Takes them over as they were shown to whoever agreed, or refuses.
    AsShown(&'a SetupPlan),
}

impl Store {
    /// Installs or completes everything the mappings need.
    ///
    /// # Errors
    /// Refuses a table that exists with other columns, by name.
    pub async fn install(&self, org_id: &str, mappings: &[Mapping]) -> Result<(), Error> {
        self.install_telling(org_id, mappings, Foreign::Adopt).await.map(drop)
    }

    /// As [`Store::install`], where `foreign` says what is done with tables of others; tells what was done to things that a
    /// predecessor left, a line each.
    ///
    /// # Errors
    /// Refuses tables of others that may not be taken over, too. Nothing is changed where others are there than were shown.
    pub async fn install_telling(
        &self,
        org_id: &str,
        mappings: &[Mapping],
        foreign: Foreign<'_>,
    ) -> Result<Vec<String>, Error> {
        self.upgrade().await?;
        let done = self.lay_out(org_id, mappings, foreign).await;
        done.map_err(|error| if matches!(foreign, Foreign::Refuse) { error } else { told_in_use(error) })
    }

    /// Brings our own schema up to date where there is an older one.
    async fn upgrade(&self) -> Result<(), Error> {
        {
            let mut client = self.client().await?;
            let transaction = client.transaction().await.context("look for an installation")?;
            if !own_is_older(&self.layouts(&transaction).await?) {
                return Ok(());
            }
        }
        let mut client = self.with_patience(PATIENCE)?.client().await?;
        let transaction = alone(&mut client, "syncdeck install").await?;
        if own_is_older(&self.layouts(&transaction).await?) {
            lay_out_own(&transaction).await?;
        }
        transaction.commit().await.context("finish the upgrade")
    }

    async fn lay_out(
        &self,
        org_id: &str,
        mappings: &[Mapping],
        wanted: Foreign<'_>,
    ) -> Result<Vec<String>, Error> {
        let mut client = self.client().await?;
        let mut transaction = alone(&mut client, "syncdeck install").await?;
        let layouts = self.layouts(&transaction).await?;
        if let Some(why) = self.other_schema(&transaction).await? {
            return Err(Error::Refused(why));
        }
        let tables: Vec<&str> = mappings.iter().map(|mapping| mapping.table.as_str()).collect();
        let foreign = self.foreign_among(&transaction, &tables, &layouts).await?;
        // Whoever starts looked before, and may have waited here for a takeover's way back.
        if matches!(wanted, Foreign::Refuse) && !foreign.is_empty() {
            return Err(Error::Refused(format!(
                "while this engine started, others took these tables of the schema {} back: {}\n\
                 if syncdeck is to have them, take them over again with: syncdeck adopt",
                self.schema_name,
                foreign.join(", ")
            )));
        }
        self.refuse_without_rights(&transaction, &foreign).await?;
        if let Foreign::AsShown(shown) = wanted {
            self.refuse_unshown(&transaction, mappings, &foreign, &layouts, shown).await?;
        }
        let hstore = hstore_schema(&transaction).await?;
        if !layouts.contains_key(OWN) {
            lay_out_own(&transaction).await?;
        }
        let taken_over: Vec<&Mapping> =
            mappings.iter().filter(|mapping| foreign.contains(&mapping.table)).collect();
        self.lock_tables(&transaction, &taken_over, &hstore, &layouts).await?;
        if layouts.get(SCHEMA) != Some(&self.schema_name) {
            // What another schema's tables were laid out as says nothing of these.
            let kept: Vec<&str> = layouts.keys().map(String::as_str).chain([OWN]).collect();
            transaction
                .execute("DELETE FROM syncdeck.layout WHERE name <> ALL($1)", &[&kept])
                .await
                .context("forget the layout of another schema")?;
            remember_layout(&transaction, SCHEMA, &self.schema_name).await?;
        }
        let adoption =
            if foreign.is_empty() { None } else { Some(self.note_definitions(&transaction).await?) };
        let connection = self.connection_sql(&transaction, &hstore).await?;
        let stamp = stamp_of(&connection);
        if layouts.get("") != Some(&stamp) {
            transaction.batch_execute(&connection).await.context("lay out the schema")?;
            remember_layout(&transaction, "", &stamp).await?;
        }
        let mut told = Vec::new();
        for step in self.sequence_steps(&transaction).await? {
            step.execute(&transaction).await?;
            told.push(step.action.text());
        }
        told.extend(self.offer_get_xmlbinary(&mut transaction).await?);
        index_few(&mut transaction).await?;
        self.stamp(&transaction, org_id).await?;
        // Last, and all together: whoever writes a row locks its table before the log, so an installation that had the log
        // and went on to the next table would wait for writers who wait for it.
        let mut of_log = Vec::new();
        for (position, mapping) in mappings.iter().enumerate() {
            let known = layouts.get(&mapping.table);
            let laid_out = self.install_mapping(&transaction, mapping, &hstore, known).await?;
            if let Some((replaced, steps)) = laid_out {
                told.extend(replaced);
                of_log.extend(steps);
            }
            self.check_condition(&transaction, mapping).await?;
            register(&transaction, mapping, position).await?;
        }
        for step in &of_log {
            step.execute(&transaction).await?;
        }
        told.extend(self.let_owners_capture(&transaction, &tables).await?);
        self.refuse_unable_owners(&transaction, &foreign).await?;
        let names: Vec<&str> = mappings.iter().map(|mapping| mapping.object.as_str()).collect();
        transaction
            .execute("DELETE FROM syncdeck.mapping WHERE name <> ALL($1)", &[&names])
            .await
            .context("forget mappings that are no longer configured")?;
        forget_comparisons(&transaction, &names).await?;
        if let Some(adoption) = adoption {
            self.note_changes(&transaction, adoption).await?;
        }
        transaction.commit().await.context("finish the installation")?;
        Ok(told)
    }

    async fn refuse_without_rights(
        &self,
        transaction: &Transaction<'_>,
        foreign: &[String],
    ) -> Result<(), Error> {
        if foreign.is_empty() {
            return Ok(());
        }
        let tables: Vec<&str> = foreign.iter().map(String::as_str).collect();
        self.lacking_rights(transaction, &tables).await?.map_or(Ok(()), |why| Err(Error::Refused(why)))
    }

    /// Locks tables that are taken over, before the change log gets the indexes that it lacks: their users write a table first
    /// and the log then, and the other way round each would wait for the other. What is refused is refused before.
    async fn lock_tables(
        &self,
        transaction: &Transaction<'_>,
        mappings: &[&Mapping],
        hstore: &str,
        layouts: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        for mapping in mappings {
            self.table_steps(transaction, mapping, hstore, layouts.get(&mapping.table)).await?;
        }
        for mapping in mappings {
            let sql = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", self.table(&mapping.table));
            transaction.batch_execute(&sql).await.context("wait for those who use a table")?;
        }
        Ok(())
    }

    /// What is laid out beside the mapped tables.
    pub(super) async fn connection_sql(
        &self,
        transaction: &Transaction<'_>,
        hstore: &str,
    ) -> Result<String, Error> {
        let sql = capture::of_connection(&self.schema, hstore);
        Ok(folding(&sql, folding_collation(transaction).await?))
    }

    /// The org that a schema belongs to, where that is noted.
    ///
    /// # Errors
    /// Refuses another one.
    pub(super) async fn known_org(
        &self,
        transaction: &Transaction<'_>,
        org_id: &str,
    ) -> Result<Option<String>, Error> {
        let known = transaction
            .query_opt(&format!("SELECT org_id FROM {}._hcmeta ORDER BY id LIMIT 1", self.schema), &[])
            .await
            .context("read _hcmeta")?
            .and_then(|row| row.get::<_, Option<String>>(0));
        match known {
            // Heroku Connect may have noted the short form.
            Some(known) if !org_id.is_empty() && known.get(..15) != org_id.get(..15) => {
                Err(Error::Refused(format!(
                    "the schema {} belongs to the org {known}, but the login is to {org_id}\n\
                 use another schema (postgres.schema), or the login of that org; where this org took its place (a sandbox that was \
                 refreshed): syncdeck rebind",
                    self.schema
                )))
            }
            known => Ok(known),
        }
    }

    async fn stamp(&self, transaction: &Transaction<'_>, org_id: &str) -> Result<(), Error> {
        if self.known_org(transaction, org_id).await?.is_some() {
            return Ok(());
        }
        let sql = format!(
            "INSERT INTO {}._hcmeta (hcver, org_id, details) VALUES (4, $1, 'syncdeck')",
            self.schema
        );
        transaction.execute(&sql, &[&org_id]).await.context("write _hcmeta").map(drop)
    }

    /// Lays a mapped table out, unless that was done just so before. Tells what was done to a predecessor's triggers, with
    /// what is still to be done to the change log; `None` when the table was left as it is.
    async fn install_mapping(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        hstore: &str,
        known: Option<&String>,
    ) -> Result<Option<(Vec<String>, Vec<SetupStep>)>, Error> {
        let TableSteps { steps, of_log, stamp, .. } =
            self.table_steps(transaction, mapping, hstore, known).await?;
        if steps.is_empty() {
            return Ok(None);
        }
        let mut told = Vec::new();
        for step in &steps {
            step.execute(transaction).await?;
            if let SetupAction::DropTrigger { .. } = step.action {
                let done = step.action.text().replace(" is dropped", " was dropped");
                told.push(format!("{}: {done}", mapping.table));
            }
        }
        remember_layout(transaction, &mapping.table, &stamp).await?;
        Ok(Some((told, of_log)))
    }
}

/// What a database is, before anything is laid out in it.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The server's version, `15.4`.
    pub version: String,
    /// What it lacks, each with its remedy.
    pub missing: Vec<String>,
}

impl Store {
    /// Looks whether the schemas can be laid out in this database.
    pub async fn survey(&self) -> Result<Survey, Error> {
        let client = self.client().await?;
        let row = client
            .query_one(
                "SELECT current_setting('server_version'), current_setting('server_version_num')::int,
                     current_database()::text, current_user::text,
                     has_database_privilege(current_database(), 'CREATE')
                         OR to_regnamespace($1) IS NOT NULL AND to_regnamespace('syncdeck') IS NOT NULL,
                     EXISTS (SELECT FROM pg_available_extensions WHERE name = 'hstore')",
                &[&self.schema_name],
            )
            .await
            .context("look at the database")?;
        let (version, number): (String, i32) = (row.get(0), row.get(1));
        let (database, user): (String, String) = (row.get(2), row.get(3));
        let mut missing = Vec::new();
        if number < 130_000 {
            missing.push(format!("PostgreSQL {version} is too old\nuse 13 or newer"));
        }
        if !row.get::<_, bool>(4) {
            missing.push(format!(
                "{user} may not make schemas in {database}\nlet its owner run: GRANT CREATE ON DATABASE {database} TO {user}"
            ));
        }
        if !row.get::<_, bool>(5) {
            missing.push(
                "the extension hstore is not there\ninstall postgresql-contrib on the server".to_owned(),
            );
        }
        Ok(Survey { version, missing })
    }

    /// Makes text columns as wide as their fields, and tells which columns cannot hold what their fields hold now.
    /// Widening a varchar changes no row; it waits half a second at most for its lock.
    pub async fn fit_columns(&self, mapping: &Mapping) -> Result<Vec<String>, Error> {
        let client = self.client().await?;
        let columns = client
            .query(
                "SELECT column_name::text, data_type::text, character_maximum_length::int FROM information_schema.columns
                 WHERE table_schema = $1 AND table_name = $2",
                &[&self.schema_name, &mapping.table],
            )
            .await
            .context("look at the columns of a mapped table")?;
        let mut misfits = Vec::new();
        let mut wider = Vec::new();
        for column in &columns {
            let (name, kind, most): (String, String, Option<i32>) =
                (column.get(0), column.get(1), column.get(2));
            let Some(field) = mapping.field(&name) else { continue };
            let wanted = column_type(field);
            if !fits(&wanted, &kind) {
                misfits.push(name);
                continue;
            }
            if kind != "character varying" || !(wanted == "text" || wanted.starts_with("varchar")) {
                continue;
            }
            let length = wanted
                .strip_prefix("varchar(")
                .and_then(|rest| rest.trim_end_matches(')').parse::<i32>().ok());
            let holds_all = most.is_none_or(|most| length.is_some_and(|length| length <= most));
            if !holds_all && field.is_read() {
                wider.push(format!("ALTER COLUMN {} TYPE {wanted}", quote(&name)));
            }
        }
        if !wider.is_empty() {
            let sql = format!(
                "BEGIN; SET LOCAL lock_timeout = '500ms'; ALTER TABLE {} {}; COMMIT",
                self.table(&mapping.table),
                wider.join(", ")
            );
            if let Err(source) = client.batch_execute(&sql).await {
                let _ = client.batch_execute("ROLLBACK").await;
                return Err(Error::Sql { what: "widen a column", source });
            }
        }
        Ok(misfits)
    }
}

/// A lock that was not to be had, told with what to do: a takeover and its way back need what applications use.
pub(super) fn told_in_use(error: Error) -> Error {
    if !error.is_lock_timeout() {
        return error;
    }
    Error::Conflict(format!(
        "{error}: others used a mapped table or the change log all the while, and nothing was changed\n\
         find them with: SELECT pid, usename, application_name, xact_start, query FROM pg_stat_activity WHERE xact_start IS NOT NULL \
         ORDER BY xact_start; try again when these transactions have ended"
    ))
}

/// Whether our own schema is there, and is an older program's. Still older ones are under the name of the other part.
pub(super) fn own_is_older(layouts: &BTreeMap<String, String>) -> bool {
    layouts.get(OWN).or(layouts.get("")).is_some_and(|known| *known != stamp_of(OWN_SQL))
}

/// Begins a transaction in which nobody else does the same: two engines that start together would trip over each other's
/// CREATE IF NOT EXISTS. Whoever is at it may take minutes.
pub(super) async fn alone<'a>(client: &'a mut PooledClient, what: &str) -> Result<Transaction<'a>, Error> {
    let transaction = client.transaction().await.context("begin the installation")?;
    let sql = format!(
        "SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(hashtext({})); SET LOCAL lock_timeout = '10s'",
        literal(what)
    );
    transaction.batch_execute(&sql).await.context("wait for another installation")?;
    Ok(transaction)
}

async fn lay_out_own(transaction: &Transaction<'_>) -> Result<(), Error> {
    transaction.batch_execute(OWN_SQL).await.context("lay out the schema \"syncdeck\"")?;
    remember_layout(transaction, OWN, &stamp_of(OWN_SQL)).await
}

impl Store {
    /// What was laid out before: the stamp of each table's DDL, of our own schema's, and under an empty name of what stands
    /// beside the mapped tables. Only our own schema's where the rest is of another connection's schema, for its tables are
    /// called the same.
    pub(super) async fn layouts(
        &self,
        transaction: &Transaction<'_>,
    ) -> Result<BTreeMap<String, String>, Error> {
        if !has_layouts(transaction).await? {
            return Ok(BTreeMap::new());
        }
        let rows = transaction
            .query("SELECT name, stamp FROM syncdeck.layout", &[])
            .await
            .context("read the layout")?;
        let mut layouts: BTreeMap<String, String> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        // Nothing is noted where an older program laid it out: then it is the one that is configured.
        if layouts.get(SCHEMA).is_some_and(|schema| *schema != self.schema_name) {
            layouts.retain(|name, _| name == OWN);
        }
        Ok(layouts)
    }

    /// Why this schema cannot be kept: another one of this database is, and the queue and the errors are of its tables. `None`
    /// where there is no other, or nothing of it is captured any more.
    pub(super) async fn other_schema(&self, transaction: &Transaction<'_>) -> Result<Option<String>, Error> {
        if !has_layouts(transaction).await? {
            return Ok(None);
        }
        let sql = "SELECT stamp FROM syncdeck.layout WHERE name = $2 AND stamp <> $1 AND EXISTS (
                 SELECT FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace
                 WHERE nspname = stamp AND tgname = $3)";
        let found = transaction
            .query_opt(sql, &[&self.schema_name, &SCHEMA, &TRIGGERS[0]])
            .await
            .context("look which schema is kept in this database")?;
        Ok(found.map(|row| {
            format!(
                "syncdeck keeps the schema {0:?} of this database already, and one database holds one connection\n\
                 use another database for the schema {1:?}, or end that one first, with its configuration: syncdeck adopt --undo",
                row.get::<_, String>(0),
                self.schema_name
            )
        }))
    }
}

/// Whether anything was laid out here.
async fn has_layouts(transaction: &Transaction<'_>) -> Result<bool, Error> {
    // By the catalog's rows: a session that looked before and then waited for another installation would still hold that
    // there is no such name, lay everything out again and lock out, or deadlock with, the engine that began meanwhile.
    let sql = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'syncdeck' AND tablename = 'layout')";
    Ok(transaction.query_one(sql, &[]).await.context("look for an installation")?.get(0))
}

async fn remember_layout(transaction: &Transaction<'_>, name: &str, stamp: &str) -> Result<(), Error> {
    transaction
        .execute(
            "INSERT INTO syncdeck.layout VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET stamp = excluded.stamp",
            &[&name, &stamp],
        )
        .await
        .context("remember the layout")
        .map(drop)
}

/// The collation by which keys are folded: one that knows all letters, where the server has it; its databases' own may know
/// those of English only.
pub(super) async fn folding_collation(transaction: &Transaction<'_>) -> Result<&'static str, Error> {
    let sql = "SELECT EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu' AND collencoding = -1)
         AND current_setting('server_encoding') = 'UTF8'";
    let knows_all: bool =
        transaction.query_one(sql, &[]).await.context("look for a collation that folds keys")?.get(0);
    Ok(if knows_all { "pg_catalog.\"und-x-icu\"" } else { "pg_catalog.\"default\"" })
}

/// The SQL of the functions of keys, for a collation that folds them. What is ASCII is folded by PostgreSQL itself, where that
/// is the same: ICU's collation knows no language, the default one may.
pub(super) fn folding(sql: &str, collation: &str) -> String {
    let ascii = if collation.contains("icu") { "pg_catalog.\"C\"" } else { collation };
    sql.replace("{key_collation}", collation).replace("{ascii_collation}", ascii)
}

/// The schema that holds hstore, made in `public` where it is missing.
pub(in crate::postgres) async fn hstore_schema(transaction: &Transaction<'_>) -> Result<String, Error> {
    transaction
        .batch_execute("CREATE EXTENSION IF NOT EXISTS hstore SCHEMA public")
        .await
        .map_err(|source| match source.as_db_error() {
            Some(error) => Error::Refused(format!(
                "the extension hstore is needed and cannot be made: {}\n\
                 install PostgreSQL's contrib package, or let a superuser run CREATE EXTENSION hstore in this database",
                error.message()
            )),
            None => Error::Sql { what: "make the extension hstore", source },
        })?;
    let found = found_hstore(transaction).await?;
    found.ok_or_else(|| Error::Refused("the extension hstore was made, and is not there".to_owned()))
}

/// The schema that holds hstore, where it is there.
pub(in crate::postgres) async fn found_hstore(
    transaction: &Transaction<'_>,
) -> Result<Option<String>, Error> {
    let sql = "SELECT nspname::text FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'hstore'";
    let found = transaction.query_opt(sql, &[]).await.context("find the extension hstore")?;
    Ok(found.map(|row| quote(row.get(0))))
}

async fn register(transaction: &Transaction<'_>, mapping: &Mapping, position: usize) -> Result<(), Error> {
    let (fields, definition) = (json!(mapping.fields), json!(mapping));
    transaction
        .execute(
            "INSERT INTO syncdeck.mapping (name, table_name, position, access, fields, definition) \
             VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (name) DO UPDATE SET table_name = excluded.table_name, position = excluded.position, \
             access = excluded.access, fields = excluded.fields, definition = excluded.definition",
            &[
                &mapping.object,
                &mapping.table,
                &i32::try_from(position).unwrap_or(i32::MAX),
                &mapping.access.word(),
                &fields,
                &definition,
            ],
        )
        .await
        .context("register a mapping")
        .map(drop)
}

impl Store {
    /// Whether anything was ever installed here.
    pub async fn is_installed(&self) -> Result<bool, Error> {
        let client = self.client().await?;
        let row = client
            .query_one("SELECT to_regclass('syncdeck.mapping') IS NOT NULL", &[])
            .await
            .context("look for an installation")?;
        Ok(row.get(0))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn no_two_indexes_have_one_name() {
        // The second one would be left out without a word.
        let sql = include_str!("../../../assets/sql/syncdeck.sql");
        let mut names = BTreeSet::new();
        for name in sql.split("INDEX IF NOT EXISTS ").skip(1).filter_map(|rest| rest.split(' ').next()) {
            assert!(names.insert(name), "{name}");
        }
        assert!(names.len() > 20);
    }
}
