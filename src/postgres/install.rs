//! Lays out the schema: Heroku Connect's tables and triggers, and our own schema beside it. Safe to run again. What is new
//! comes in one transaction, so that a refusal leaves nothing half-made; what an upgrade changes in our own schema, where
//! a million errors may lie, comes in one before it, in which nobody who writes to a mapped table has to wait.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::domain::group::checksum;
use crate::domain::mapping::{Mapping, column_type};
use crate::domain::names::fitting;

use super::indexes::index_few;
use super::keys::gives_up_key;
use super::takeover::{Role, TRIGGERS};
use super::{Client, Error, Store, Transaction, While, capture, literal, quote};

/// System columns of every mapped table, with their types.
pub(super) const SYSTEM_COLUMNS: [(&str, &str); 5] = [
    ("sfid", "varchar(18) COLLATE ucs_basic"),
    ("systemmodstamp", "timestamp without time zone"),
    ("isdeleted", "boolean"),
    ("_hc_lastop", "varchar(32)"),
    ("_hc_err", "text"),
];

/// Our own schema.
const OWN_SQL: &str = include_str!("../../assets/sql/syncdeck.sql");
/// The name of its layout; no mapped table begins like this.
const OWN: &str = "_syncdeck";
/// The longest that an upgrade may take.
const PATIENCE: Duration = Duration::from_secs(1_800);

impl Store {
    /// Installs or completes everything the mappings need.
    ///
    /// # Errors
    /// Refuses a table that exists with other columns, by name.
    pub async fn install(&self, org_id: &str, mappings: &[Mapping]) -> Result<(), Error> {
        self.install_telling(org_id, mappings).await.map(drop)
    }

    /// As [`Store::install`]; tells what was done to things that a predecessor left, a line each.
    pub async fn install_telling(&self, org_id: &str, mappings: &[Mapping]) -> Result<Vec<String>, Error> {
        self.upgrade().await?;
        self.lay_out(org_id, mappings).await
    }

    /// Brings our own schema up to date where there is an older one.
    async fn upgrade(&self) -> Result<(), Error> {
        // Older ones are under the name of the other part.
        let is_older = |layouts: &BTreeMap<String, String>| {
            layouts.get(OWN).or(layouts.get("")).is_some_and(|known| *known != stamp_of(OWN_SQL))
        };
        {
            let mut client = self.client().await?;
            let transaction = client.transaction().await.while_("look for an installation")?;
            if !is_older(&layouts(&transaction).await?) {
                return Ok(());
            }
        }
        let mut client = self.with_patience(PATIENCE)?.client().await?;
        let transaction = alone(&mut client, "syncdeck install").await?;
        if is_older(&layouts(&transaction).await?) {
            lay_out_own(&transaction).await?;
        }
        transaction.commit().await.while_("finish the upgrade")
    }

    async fn lay_out(&self, org_id: &str, mappings: &[Mapping]) -> Result<Vec<String>, Error> {
        let mut client = self.client().await?;
        let mut transaction = alone(&mut client, "syncdeck install").await?;
        let layouts = layouts(&transaction).await?;
        let hstore = hstore_schema(&transaction).await?;
        if !layouts.contains_key(OWN) {
            lay_out_own(&transaction).await?;
        }
        let connection = capture::of_connection(&self.schema, &hstore);
        let connection = connection.replace("{key_collation}", folding_collation(&transaction).await?);
        let stamp = stamp_of(&connection);
        if layouts.get("") != Some(&stamp) {
            transaction.batch_execute(&connection).await.while_("lay out the schema")?;
            remember_layout(&transaction, "", &stamp).await?;
        }
        let mut told = self.mend_sequence(&transaction).await?;
        told.extend(self.offer_get_xmlbinary(&mut transaction).await?);
        index_few(&mut transaction).await?;
        self.stamp(&transaction, org_id).await?;
        // Last, and all together: whoever writes a row locks its table before the log, so an installation that had the log
        // and went on to the next table would wait for writers who wait for it.
        let mut of_log = String::new();
        for (position, mapping) in mappings.iter().enumerate() {
            let known = layouts.get(&mapping.table);
            let laid_out = self.install_mapping(&transaction, mapping, &hstore, known).await?;
            if let Some(replaced) = laid_out {
                told.extend(replaced);
                of_log += &self.log_indexes(mapping);
            }
            self.check_condition(&transaction, mapping).await?;
            register(&transaction, mapping, position).await?;
        }
        transaction.batch_execute(&of_log).await.while_("create the indexes of _trigger_log")?;
        let names: Vec<&str> = mappings.iter().map(|mapping| mapping.object.as_str()).collect();
        transaction
            .execute("DELETE FROM syncdeck.mapping WHERE name <> ALL($1)", &[&names])
            .await
            .while_("forget mappings that are no longer configured")?;
        transaction.commit().await.while_("finish the installation")?;
        Ok(told)
    }

    async fn stamp(&self, transaction: &Transaction<'_>, org_id: &str) -> Result<(), Error> {
        let known = transaction
            .query_opt(&format!("SELECT org_id FROM {}._hcmeta ORDER BY id LIMIT 1", self.schema), &[])
            .await
            .while_("read _hcmeta")?
            .and_then(|row| row.get::<_, Option<String>>(0));
        match known {
            // Heroku Connect may have noted the short form.
            Some(known) if !org_id.is_empty() && known.get(..15) != org_id.get(..15) => {
                Err(Error::Refused(format!(
                    "the schema {} belongs to the org {known}, but the login is to {org_id}\n\
                 use another schema (postgres.schema), or the login of that org",
                    self.schema
                )))
            }
            Some(_) => Ok(()),
            None => transaction
                .execute(
                    &format!(
                        "INSERT INTO {}._hcmeta (hcver, org_id, details) VALUES (4, $1, 'syncdeck')",
                        self.schema
                    ),
                    &[&org_id],
                )
                .await
                .while_("write _hcmeta")
                .map(drop),
        }
    }

    /// Lays a mapped table out, unless that was done just so before: its DDL waits for everybody who writes to the
    /// table and makes them wait, so an engine that only starts again must not touch it (it deadlocked with a
    /// running one). Tells what was done to a predecessor's triggers; `None` when the table was left as it is.
    async fn install_mapping(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        hstore: &str,
        known: Option<&String>,
    ) -> Result<Option<Vec<String>>, Error> {
        let types = self.printed_types(transaction, &mapping.table).await?;
        let types: Vec<&str> = types.iter().map(String::as_str).collect();
        let capture = capture::of_mapping(mapping, &self.schema, hstore, &types);
        let (create, indexes) = (self.create_table(mapping), self.indexes(mapping));
        let columns = self.columns_of(transaction, &mapping.table).await?;
        let missing = mapping.fields.iter().any(|field| !columns.contains_key(&field.column));
        let triggers = self.triggers_of(transaction, &mapping.table).await?;
        let has = |role| triggers.iter().filter(|trigger| trigger.role == role && trigger.is_on).count();
        let captured = has(Role::Ours) == TRIGGERS.len() && has(Role::Predecessor) == 0;
        let stamp = stamp_of(&format!("{indexes}{}{capture}", self.log_indexes(mapping)));
        if known == Some(&stamp) && captured && !missing {
            return Ok(None);
        }
        if columns.is_empty() {
            transaction.batch_execute(&create).await.while_("create a mapped table")?;
        } else {
            self.adopt_table(transaction, mapping, &columns).await?;
        }
        transaction.batch_execute(&indexes).await.while_("create the indexes of a mapped table")?;
        for column in std::iter::once("sfid".to_owned()).chain(mapping.external_id_column()) {
            self.ensure_unique(transaction, &mapping.table, &column).await?;
        }
        let told = self.drop_predecessors(transaction, &mapping.table, &triggers).await?;
        transaction.batch_execute(&capture).await.while_("install the capture triggers")?;
        remember_layout(transaction, &mapping.table, &stamp).await?;
        Ok(Some(told))
    }

    /// A unique index under another name, where the usual one is that of another table's index: `a_b.sfid` and `a.b_sfid`
    /// would have one name, and the second would be left out without a word.
    async fn ensure_unique(
        &self,
        transaction: &Transaction<'_>,
        table: &str,
        column: &str,
    ) -> Result<(), Error> {
        let there = transaction
            .query_one(
                "SELECT EXISTS (SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
                 WHERE indrelid = to_regclass($1) AND indisunique AND indnkeyatts = 1 AND indpred IS NULL AND attname = $2)",
                &[&self.table(table), &column],
            )
            .await
            .while_("look for an index of a mapped table")?;
        if there.get(0) {
            return Ok(());
        }
        let sql = format!(
            "CREATE UNIQUE INDEX {} ON {} ({})",
            quote(&format!("hcu_idx_{}", stamp_of(&format!("{table}.{column}")))),
            self.table(table),
            quote(column)
        );
        transaction.batch_execute(&sql).await.while_("create the indexes of a mapped table")
    }

    /// The types that a table's values are printed by; of domains and arrays those within.
    async fn printed_types(&self, transaction: &Transaction<'_>, table: &str) -> Result<Vec<String>, Error> {
        let rows = transaction
            .query(
                "SELECT DISTINCT CASE WHEN base.typtype IN ('c', 'r', 'm') THEN $2
                     ELSE format_type(CASE base.typcategory WHEN 'A' THEN base.typelem ELSE base.oid END, NULL) END
                 FROM pg_attribute JOIN pg_type t ON t.oid = atttypid
                 JOIN pg_type base ON base.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
                 WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY 1",
                &[&self.table(table), &capture::ANY],
            )
            .await
            .while_("read the types of a mapped table")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    fn create_table(&self, mapping: &Mapping) -> String {
        let table = self.table(&mapping.table);
        let sequence = self.table(&fitting(&format!("{}_id_seq", mapping.table)));
        let mut columns = vec![format!("id integer PRIMARY KEY DEFAULT nextval({})", literal(&sequence))];
        columns.extend(
            mapping.fields.iter().map(|field| format!("{} {}", quote(&field.column), column_type(field))),
        );
        columns.extend(SYSTEM_COLUMNS.iter().map(|(name, kind)| format!("{name} {kind}")));
        format!(
            "CREATE SEQUENCE IF NOT EXISTS {sequence} AS integer CACHE 1; CREATE TABLE {table} ({}); \
             ALTER SEQUENCE {sequence} OWNED BY {table}.id",
            columns.join(", ")
        )
    }

    fn indexes(&self, mapping: &Mapping) -> String {
        let table = self.table(&mapping.table);
        let mut sql = format!(
            "CREATE UNIQUE INDEX IF NOT EXISTS {} ON {table} (sfid); CREATE INDEX IF NOT EXISTS {} ON {table} (systemmodstamp);",
            quote(&fitting(&format!("hcu_idx_{}_sfid", mapping.table))),
            quote(&fitting(&format!("hc_idx_{}_systemmodstamp", mapping.table))),
        );
        if let Some(column) = mapping.external_id_column() {
            let key = self.key_column(mapping, &column);
            sql += &format!(
                "CREATE UNIQUE INDEX IF NOT EXISTS {} ON {table} ({});",
                quote(&fitting(&format!("hcu_idx_{}_{column}", mapping.table))),
                quote(&column),
            );
            if key.is_folded() {
                let name = fitting(&format!("hc_key_{}_{column}", mapping.table));
                sql +=
                    &format!("CREATE INDEX IF NOT EXISTS {} ON {table} ({});", quote(&name), key.of_row(""));
            }
        }
        sql
    }

    /// What finds the changes by which a row gives its external id up.
    fn log_indexes(&self, mapping: &Mapping) -> String {
        let Some(column) = mapping.external_id_column() else { return String::new() };
        format!(
            "DROP INDEX IF EXISTS {schema}.{}; CREATE INDEX IF NOT EXISTS {} ON {schema}._trigger_log ({}) WHERE {} AND {};",
            // Of before keys were compared as Salesforce does.
            quote(&fitting(&format!("_trigger_log_key_{}", mapping.table))),
            quote(&fitting(&format!("_trigger_log_keys_{}", mapping.table))),
            self.key_column(mapping, &column).of_old(),
            gives_up_key::of_table(&mapping.table),
            gives_up_key::condition(&column),
            schema = self.schema,
        )
    }

    async fn columns_of(
        &self,
        transaction: &Transaction<'_>,
        table: &str,
    ) -> Result<BTreeMap<String, String>, Error> {
        let rows = transaction
            .query(
                "SELECT column_name::text, data_type::text FROM information_schema.columns \
                 WHERE table_schema = $1 AND table_name = $2",
                &[&self.schema_name, &table],
            )
            .await
            .while_("read the columns of a mapped table")?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Takes a table that is there: it must have the system columns, and each mapped column either is missing (and
    /// is added) or can hold the field.
    async fn adopt_table(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        columns: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let table = self.table(&mapping.table);
        let missing: Vec<&str> = ["id"]
            .into_iter()
            .chain(SYSTEM_COLUMNS.iter().map(|(name, _)| *name))
            .filter(|name| !columns.contains_key(*name))
            .collect();
        if !missing.is_empty() {
            return Err(Error::Refused(format!(
                "the table {table} exists, but is not one of Heroku Connect's or syncdeck's: it has no column {}\n\
                 rename or drop that table, or map {} to another with table = \"...\"",
                missing.join(", "),
                mapping.object
            )));
        }
        for field in &mapping.fields {
            let wanted = column_type(field);
            match columns.get(&field.column) {
                None => {
                    let sql = format!("ALTER TABLE {table} ADD COLUMN {} {wanted}", quote(&field.column));
                    transaction.batch_execute(&sql).await.while_("add a column to a mapped table")?;
                }
                Some(found) if !fits(&wanted, found) => {
                    return Err(Error::Refused(format!(
                        "the column {} of the table {table} is {found}, but {}.{} is {} and needs {wanted}\n\
                         change the column (ALTER TABLE ... ALTER COLUMN ... TYPE {wanted}) or leave the field out of the mapping",
                        field.column,
                        mapping.object,
                        field.name,
                        field.type_text()
                    )));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// A text column holds anything; other columns must be of the wanted family. Lengths may differ: an administrator
/// changes them at any time, and only values decide.
pub(super) fn fits(wanted: &str, found: &str) -> bool {
    let family = |name: &str| name.split('(').next().unwrap_or(name).trim().to_owned();
    match found {
        "text" | "character varying" => true,
        "numeric" | "real" | "bigint" => ["double precision", "integer"].contains(&wanted),
        "timestamp with time zone" => wanted == "timestamp without time zone",
        found => family(wanted) == found,
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
            .while_("look at the database")?;
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
            .while_("look at the columns of a mapped table")?;
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

fn stamp_of(text: &str) -> String {
    format!("{:016x}", checksum(text))
}

/// Begins a transaction in which nobody else does the same: two engines that start together would trip over each other's
/// CREATE IF NOT EXISTS. Whoever is at it may take minutes.
async fn alone<'a>(client: &'a mut Client, what: &str) -> Result<Transaction<'a>, Error> {
    let transaction = client.transaction().await.while_("begin the installation")?;
    let sql = format!(
        "SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(hashtext({})); SET LOCAL lock_timeout = '10s'",
        literal(what)
    );
    transaction.batch_execute(&sql).await.while_("wait for another installation")?;
    Ok(transaction)
}

async fn lay_out_own(transaction: &Transaction<'_>) -> Result<(), Error> {
    transaction.batch_execute(OWN_SQL).await.while_("lay out the schema \"syncdeck\"")?;
    remember_layout(transaction, OWN, &stamp_of(OWN_SQL)).await
}

/// What was laid out before: the stamp of each table's DDL, of our own schema's, and under an empty name of what stands
/// beside the mapped tables.
async fn layouts(transaction: &Transaction<'_>) -> Result<BTreeMap<String, String>, Error> {
    let there: bool = transaction
        .query_one("SELECT to_regclass('syncdeck.layout') IS NOT NULL", &[])
        .await
        .while_("look for an installation")?
        .get(0);
    if !there {
        return Ok(BTreeMap::new());
    }
    let rows =
        transaction.query("SELECT name, stamp FROM syncdeck.layout", &[]).await.while_("read the layout")?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn remember_layout(transaction: &Transaction<'_>, name: &str, stamp: &str) -> Result<(), Error> {
    transaction
        .execute(
            "INSERT INTO syncdeck.layout VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET stamp = excluded.stamp",
            &[&name, &stamp],
        )
        .await
        .while_("remember the layout")
        .map(drop)
}

/// The collation by which keys are folded: one that knows all letters, where the server has it; its databases' own may know
/// those of English only.
async fn folding_collation(transaction: &Transaction<'_>) -> Result<&'static str, Error> {
    let sql = "SELECT EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu' AND collencoding = -1)
         AND current_setting('server_encoding') = 'UTF8'";
    let knows_all: bool =
        transaction.query_one(sql, &[]).await.while_("look for a collation that folds keys")?.get(0);
    Ok(if knows_all { "pg_catalog.\"und-x-icu\"" } else { "pg_catalog.\"default\"" })
}

/// The schema that holds hstore, made in `public` where it is missing.
pub(super) async fn hstore_schema(transaction: &Transaction<'_>) -> Result<String, Error> {
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
    transaction
        .query_one(
            "SELECT nspname::text FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'hstore'",
            &[],
        )
        .await
        .map(|row| quote(row.get(0)))
        .while_("find the extension hstore")
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
        .while_("register a mapping")
        .map(drop)
}

impl Store {
    /// Whether anything was ever installed here.
    pub async fn is_installed(&self) -> Result<bool, Error> {
        let client = self.client().await?;
        let row = client
            .query_one("SELECT to_regclass('syncdeck.mapping') IS NOT NULL", &[])
            .await
            .while_("look for an installation")?;
        Ok(row.get(0))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn no_two_indexes_have_one_name() {
        // The second one would be left out without a word.
        let sql = include_str!("../../assets/sql/syncdeck.sql");
        let mut names = BTreeSet::new();
        for name in sql.split("INDEX IF NOT EXISTS ").skip(1).filter_map(|rest| rest.split(' ').next()) {
            assert!(names.insert(name), "{name}");
        }
        assert!(names.len() > 20);
    }
}
