//! What is to be done to a mapped table, step by step, from a look at it: an installation executes the steps, a plan shows
//! them.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::mappings::mapping::{Mapping, column_type};
use crate::domain::names::fitting;
use crate::domain::reports::setup_plan::{SetupAction, TableOrigin};
use crate::domain::values::checksum::checksum;

use crate::postgres::changes::keys::gives_up_key;
use crate::postgres::schema::capture;
use crate::postgres::schema::step::SetupStep;
use crate::postgres::schema::takeover::{Role, TRIGGERS, Trigger, is_own};
use crate::postgres::{Error, ErrorContext, Store, Transaction, literal, quote};

/// System columns of every mapped table, with their types.
pub(in crate::postgres) const SYSTEM_COLUMNS: [(&str, &str); 5] = [
    ("sfid", "varchar(18) COLLATE ucs_basic"),
    ("systemmodstamp", "timestamp without time zone"),
    ("isdeleted", "boolean"),
    ("_hc_lastop", "varchar(32)"),
    ("_hc_err", "text"),
];

/// The one system column that some of Heroku Connect's tables lack: those of objects without IsDeleted.
const IS_DELETED: &str = "isdeleted";

/// What a look at a mapped table found, and what follows from it.
pub(in crate::postgres) struct TableSteps {
    /// What is to be done; nothing where the table is as it was laid out.
    pub steps: Vec<SetupStep>,
    /// What is to be done to the change log for it, after all tables.
    pub of_log: Vec<SetupStep>,
    /// Whose the table is.
    pub origin: TableOrigin,
    /// The mapped columns that are there.
    pub there: Vec<String>,
    /// What is noted once it is done.
    pub stamp: String,
}

/// An index as it is to be.
struct Index {
    name: String,
    table: String,
    on: String,
    unique: bool,
    condition: String,
}

impl Index {
    fn sql(&self, full_table: &str) -> String {
        let unique = if self.unique { "UNIQUE " } else { "" };
        let Index { name, on, condition, .. } = self;
        format!("CREATE {unique}INDEX IF NOT EXISTS {} ON {full_table} ({on}){condition};", quote(name))
    }

    /// The same under a name that no other table's has.
    fn spare(&self) -> Index {
        let name = format!("hc_idx_{}", stamp_of(&format!("{}.{}", self.table, self.on)));
        let (table, on, condition) = (self.table.clone(), self.on.clone(), self.condition.clone());
        Index { name, table, on, unique: self.unique, condition }
    }

    fn step(&self, full_table: &str, beside: bool) -> SetupStep {
        let (name, table) = (self.name.clone(), self.table.clone());
        let action = SetupAction::CreateIndex { name, table, unique: self.unique, beside };
        SetupStep { action, sql: self.sql(full_table) }
    }
}

impl Store {
    /// What is to be done to a mapped table. Nothing where that was done just so before: its DDL waits for everybody who
    /// writes to the table and makes them wait, so an engine that only starts again must not touch it (it deadlocked with
    /// a running one). `known` is what was noted when it was done.
    ///
    /// # Errors
    /// Refuses a table that exists with other columns, by name.
    pub(in crate::postgres) async fn table_steps(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        hstore: &str,
        known: Option<&String>,
    ) -> Result<TableSteps, Error> {
        let types = self.printed_types(transaction, &mapping.table).await?;
        let types: Vec<&str> = types.iter().map(String::as_str).collect();
        let capture = capture::of_mapping(mapping, &self.schema, hstore, &types);
        let columns = self.columns_of(transaction, &mapping.table).await?;
        let missing = mapping.fields.iter().any(|field| !columns.contains_key(&field.column));
        let triggers = self.triggers(transaction, &[&mapping.table]).await?;
        let triggers = triggers.into_values().next().unwrap_or_default();
        let has = |role| triggers.iter().filter(|trigger| trigger.role == role && trigger.is_on).count();
        let captured = has(Role::Ours) == TRIGGERS.len() && has(Role::Predecessor) == 0;
        let stamp =
            stamp_of(&format!("{}{}{capture}", self.indexes_sql(mapping), self.log_indexes_sql(mapping)));
        let origin = match known {
            _ if columns.is_empty() => TableOrigin::New,
            _ if is_own(known.is_some(), &triggers) => TableOrigin::Own,
            _ => TableOrigin::Foreign,
        };
        let fields = mapping.fields.iter().map(|field| &field.column);
        let there = fields.filter(|column| columns.contains_key(*column)).cloned().collect();
        if known == Some(&stamp) && captured && !missing {
            return Ok(TableSteps { steps: Vec::new(), of_log: Vec::new(), origin, there, stamp });
        }
        let mut steps = match origin {
            TableOrigin::New => vec![self.create_table(mapping)],
            _ => self.adopt_table(mapping, &columns)?,
        };
        if origin == TableOrigin::Foreign {
            self.refuse_unfit(transaction, &mapping.table).await?;
        }
        // Others' tables may be large, and whoever takes them over waits for that, not their users.
        let beside =
            origin == TableOrigin::Foreign && self.indexes_beside(transaction, &mapping.table).await?;
        steps.extend(self.missing_indexes(transaction, mapping, &columns, beside).await?);
        steps.extend(self.drop_predecessors(&mapping.table, &triggers));
        let renewed = has(Role::Ours) > 0;
        steps.push(SetupStep { action: SetupAction::Capture { renewed }, sql: capture });
        let of_log = self.missing_log_indexes(transaction, mapping).await?;
        Ok(TableSteps { steps, of_log, origin, there, stamp })
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
            .context("read the types of a mapped table")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    fn create_table(&self, mapping: &Mapping) -> SetupStep {
        let table = self.table(&mapping.table);
        let sequence = self.table(&fitting(&format!("{}_id_seq", mapping.table)));
        let key = ("id".to_owned(), format!("integer PRIMARY KEY DEFAULT nextval({})", literal(&sequence)));
        let own = mapping.fields.iter().map(|field| (field.column.clone(), column_type(field)));
        let system = SYSTEM_COLUMNS.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned()));
        let columns: Vec<(String, String)> = own.chain(system).collect();
        let written = |(name, kind): &(String, String)| format!("{} {kind}", quote(name));
        let list: Vec<String> = std::iter::once(&key).chain(&columns).map(written).collect();
        let sql = format!(
            "CREATE SEQUENCE IF NOT EXISTS {sequence} AS integer CACHE 1; CREATE TABLE {table} ({}); \
             ALTER SEQUENCE {sequence} OWNED BY {table}.id",
            list.join(", ")
        );
        let key = ("id".to_owned(), "integer".to_owned());
        SetupStep {
            action: SetupAction::CreateTable { columns: std::iter::once(key).chain(columns).collect() },
            sql,
        }
    }

    /// The indexes that a mapped table has.
    fn indexes(&self, mapping: &Mapping) -> Vec<Index> {
        let table = &mapping.table;
        let index = |name: String, on: String, unique| Index {
            name: fitting(&name),
            table: table.clone(),
            on,
            unique,
            condition: String::new(),
        };
        let mut indexes = vec![
            index(format!("hcu_idx_{table}_sfid"), "sfid".to_owned(), true),
            index(format!("hc_idx_{table}_systemmodstamp"), "systemmodstamp".to_owned(), false),
        ];
        let key = mapping.external_id_column();
        if let Some(column) = &key {
            indexes.push(index(format!("hcu_idx_{table}_{column}"), quote(column), true));
            let key = self.key_column(mapping, column);
            if key.is_folded() {
                indexes.push(index(format!("hc_key_{table}_{column}"), key.of_row(""), false));
            }
        }
        let has_one = |column: &String| {
            ["sfid", "systemmodstamp"].contains(&column.as_str()) || key.as_ref() == Some(column)
        };
        let own = mapping.indexes.iter().filter(|column| !has_one(column));
        indexes.extend(own.map(|column| index(format!("hc_idx_{table}_{column}"), quote(column), false)));
        indexes
    }

    fn indexes_sql(&self, mapping: &Mapping) -> String {
        let table = self.table(&mapping.table);
        let written: Vec<String> = self.indexes(mapping).iter().map(|index| index.sql(&table)).collect();
        // The blank is in the stamps that were noted before.
        written.join("").replacen("(sfid);", "(sfid); ", 1)
    }

    /// Those that a table lacks, under another name where the usual one is that of another table's index: `a_b.sfid` and
    /// `a.b_sfid` would have one name, and the second would be left out without a word.
    async fn missing_indexes(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        columns: &BTreeMap<String, String>,
        beside: bool,
    ) -> Result<Vec<SetupStep>, Error> {
        let table = self.table(&mapping.table);
        let indexes = self.indexes(mapping);
        let spares: Vec<Index> = indexes.iter().map(Index::spare).collect();
        let taken = self.taken_names(transaction, indexes.iter().chain(&spares)).await?;
        // One of a column that is added in the same transaction is made there.
        let is_there = |on: &str| columns.keys().any(|column| on == column || on.contains(&quote(column)));
        let step = |index: &Index| match beside && is_there(&index.on) {
            true => index.step(&table, true),
            false => self.clear_before(index.step(&table, false)),
        };
        let is_free = |index: &&Index| !taken.contains_key(&index.name);
        let is_elsewhere = |index: &Index| {
            taken.get(&index.name).is_some_and(|holder| holder.as_deref() != Some(&mapping.table))
        };
        let mut steps: Vec<SetupStep> = indexes.iter().filter(is_free).map(step).collect();
        let plain = indexes.iter().zip(&spares).filter(|(index, _)| !index.unique && is_elsewhere(index));
        steps.extend(plain.map(|(_, spare)| spare).filter(is_free).map(step));
        let unique = self.unique_columns(transaction, &mapping.table).await?;
        for column in std::iter::once("sfid".to_owned()).chain(mapping.external_id_column()) {
            let is_made = indexes.iter().any(|index| {
                index.unique
                    && (index.on == column || index.on == quote(&column))
                    && !taken.contains_key(&index.name)
            });
            if unique.contains(&column) || is_made {
                continue;
            }
            let name = format!("hcu_idx_{}", stamp_of(&format!("{}.{column}", mapping.table)));
            let sql = format!("CREATE UNIQUE INDEX {} ON {table} ({})", quote(&name), quote(&column));
            let beside = beside && is_there(&column);
            let action =
                SetupAction::CreateIndex { name, table: mapping.table.clone(), unique: true, beside };
            let step = SetupStep { action, sql };
            steps.push(if beside { step } else { self.clear_before(step) });
        }
        Ok(steps)
    }

    /// What was broken off while it was made beside everything else has the name, and is of no use.
    fn clear_before(&self, step: SetupStep) -> SetupStep {
        let SetupAction::CreateIndex { name, .. } = &step.action else { return step };
        let sql = format!("DROP INDEX IF EXISTS {}.{}; {}", self.schema, quote(name), step.sql);
        SetupStep { sql, ..step }
    }

    /// Names of these that something in the schema has, each with the table whose index that is; not those of indexes that
    /// were broken off.
    async fn taken_names(
        &self,
        transaction: &Transaction<'_>,
        indexes: impl Iterator<Item = &Index>,
    ) -> Result<BTreeMap<String, Option<String>>, Error> {
        let names: Vec<&str> = indexes.map(|index| index.name.as_str()).collect();
        let rows = transaction
            .query(
                "SELECT relname::text, (SELECT held.relname::text FROM pg_index JOIN pg_class held ON held.oid = indrelid
                     WHERE indexrelid = pg_class.oid)
                 FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
                 WHERE nspname = $1 AND relname = ANY($2)
                     AND NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = pg_class.oid AND NOT indisvalid)",
                &[&self.schema_name, &names],
            )
            .await
            .context("look for indexes of a mapped table")?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// The columns of a table that have a unique index of their own.
    async fn unique_columns(
        &self,
        transaction: &Transaction<'_>,
        table: &str,
    ) -> Result<BTreeSet<String>, Error> {
        let rows = transaction
            .query(
                "SELECT attname::text FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
                 WHERE indrelid = to_regclass($1) AND indisunique AND indisvalid AND indnkeyatts = 1 AND indpred IS NULL",
                &[&self.table(table)],
            )
            .await
            .context("look for an index of a mapped table")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Why a table of others cannot have the unique indexes that it lacks.
    pub(in crate::postgres) async fn doubled_values(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
    ) -> Result<Option<String>, Error> {
        let table = self.table(&mapping.table);
        let columns = self.columns_of(transaction, &mapping.table).await?;
        let unique = self.unique_columns(transaction, &mapping.table).await?;
        for column in std::iter::once("sfid".to_owned()).chain(mapping.external_id_column()) {
            if unique.contains(&column) || !columns.contains_key(&column) {
                continue;
            }
            let name = quote(&column);
            let sql = format!(
                "SELECT count(*) FROM (SELECT FROM {table} WHERE {name} IS NOT NULL GROUP BY {name} HAVING count(*) > 1) doubled"
            );
            let row = transaction.query_one(&sql, &[]).await.context("look for doubled values")?;
            let doubled: i64 = row.get(0);
            if doubled > 0 {
                return Ok(Some(format!(
                    "the column {column} of the table {table} needs a unique index, but {doubled} of its values stand in several rows\n\
                     leave each value in one row; find them with: SELECT {name} FROM {table} GROUP BY 1 HAVING count(*) > 1"
                )));
            }
        }
        Ok(None)
    }

    /// What finds the changes by which a row gives its external id up.
    fn log_index(&self, mapping: &Mapping) -> Option<Index> {
        let column = mapping.external_id_column()?;
        Some(Index {
            name: fitting(&format!("_trigger_log_keys_{}", mapping.table)),
            table: "_trigger_log".to_owned(),
            on: self.key_column(mapping, &column).of_old(),
            unique: false,
            condition: format!(
                " WHERE {} AND {}",
                gives_up_key::of_table(&mapping.table),
                gives_up_key::condition(&column)
            ),
        })
    }

    fn log_indexes_sql(&self, mapping: &Mapping) -> String {
        let Some(index) = self.log_index(mapping) else { return String::new() };
        format!(
            "DROP INDEX IF EXISTS {}.{}; {}",
            self.schema,
            // Of before keys were compared as Salesforce does.
            quote(&fitting(&format!("_trigger_log_key_{}", mapping.table))),
            index.sql(&format!("{}._trigger_log", self.schema))
        )
    }

    async fn missing_log_indexes(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
    ) -> Result<Vec<SetupStep>, Error> {
        let Some(index) = self.log_index(mapping) else { return Ok(Vec::new()) };
        let taken = self.taken_names(transaction, std::iter::once(&index)).await?;
        let full = format!("{}._trigger_log", self.schema);
        let missing = (!taken.contains_key(&index.name))
            .then(|| SetupStep { sql: self.log_indexes_sql(mapping), ..index.step(&full, false) });
        Ok(missing.into_iter().collect())
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
            .context("read the columns of a mapped table")?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Takes a table that is there: it must have the system columns, and each mapped column either is missing (and
    /// is added) or can hold the field.
    fn adopt_table(
        &self,
        mapping: &Mapping,
        columns: &BTreeMap<String, String>,
    ) -> Result<Vec<SetupStep>, Error> {
        let table = self.table(&mapping.table);
        let system = SYSTEM_COLUMNS.iter().map(|(name, _)| *name).filter(|name| *name != IS_DELETED);
        let missing: Vec<&str> =
            ["id"].into_iter().chain(system).filter(|name| !columns.contains_key(*name)).collect();
        if !missing.is_empty() {
            return Err(Error::Refused(format!(
                "the table {table} exists, but is not one of Heroku Connect's or syncdeck's: it has no column {}\n\
                 rename that table, or map {} to another with table = \"...\"",
                missing.join(", "),
                mapping.object
            )));
        }
        let add = |column: &str, kind: &str| SetupStep {
            sql: format!("ALTER TABLE {table} ADD COLUMN {} {kind}", quote(column)),
            action: SetupAction::AddColumn { column: column.to_owned(), kind: kind.to_owned() },
        };
        let mut steps = Vec::new();
        if !columns.contains_key(IS_DELETED) {
            steps.push(add(IS_DELETED, "boolean"));
        }
        for field in &mapping.fields {
            let wanted = column_type(field);
            match columns.get(&field.column) {
                None => steps.push(add(&field.column, &wanted)),
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
        Ok(steps)
    }

    /// The steps that drop a predecessor's triggers: they would capture every change a second time.
    fn drop_predecessors(&self, table: &str, triggers: &[Trigger]) -> Vec<SetupStep> {
        let drop = |trigger: &Trigger| SetupStep {
            sql: format!("DROP TRIGGER {} ON {}", quote(&trigger.name), self.table(table)),
            action: SetupAction::DropTrigger {
                trigger: trigger.name.clone(),
                function: trigger.function.clone(),
            },
        };
        triggers.iter().filter(|trigger| trigger.role == Role::Predecessor).map(drop).collect()
    }
}

/// A text column holds anything; other columns must be of the wanted family. Lengths may differ: an administrator
/// changes them at any time, and only values decide.
pub(in crate::postgres) fn fits(wanted: &str, found: &str) -> bool {
    let family = |name: &str| name.split('(').next().unwrap_or(name).trim().to_owned();
    match found {
        "text" | "character varying" => true,
        "numeric" | "real" | "bigint" => ["double precision", "integer"].contains(&wanted),
        "timestamp with time zone" => wanted == "timestamp without time zone",
        found => family(wanted) == found,
    }
}

/// What tells one text from another.
pub(super) fn stamp_of(text: &str) -> String {
    format!("{:016x}", checksum(text))
}
