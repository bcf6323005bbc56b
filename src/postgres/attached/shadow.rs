//! What a comparison beside Heroku Connect asks of PostgreSQL: which columns a role may read, rows by their records or their
//! ids, and which changes are not sent. Reads only, and nothing but Heroku Connect's own tables and the catalogue.

use std::collections::{BTreeMap, HashMap};

use crate::domain::attached::history::RowState;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::values::hstore::Hstore;

use crate::postgres::schema::takeover::TRIGGERS;
use crate::postgres::tables::records::row_values;
use crate::postgres::{Error, ErrorContext, Store, quote};

/// A table as the session's role may see it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShadowTable {
    /// Whether syncdeck's engine keeps it.
    pub is_ours: bool,
    /// Why its rows cannot be compared at all, if so.
    pub unreadable: Option<String>,
    /// Its columns, and whether the role may read each.
    pub columns: BTreeMap<String, bool>,
    /// Whether `sfid` sorts as Salesforce's ids do.
    pub sorts_by_bytes: bool,
}

/// What of the schema a role may see.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShadowSchema {
    /// The tables that were asked for, as far as they are there.
    pub tables: BTreeMap<String, ShadowTable>,
    /// The role.
    pub user: String,
    /// Why the change log cannot be read, if so.
    pub log: Option<String>,
    /// The same of its archive.
    pub archive: Option<String>,
    /// The org that Heroku Connect noted, where it may be read.
    pub org_id: Option<String>,
}

/// A row as it is compared.
#[derive(Clone, Debug, PartialEq)]
pub struct ShadowRow {
    /// Its id.
    pub id: i32,
    /// What it says of itself.
    pub state: RowState,
    /// Its values.
    pub values: Hstore,
}

/// Which rows are read.
#[derive(Clone, Copy, Debug)]
pub enum RowsBy<'a> {
    /// Those of records.
    Records(&'a [&'a str]),
    /// Those of ids.
    Ids(&'a [i32]),
}

const TABLES: &str = "SELECT c.relname::text, c.relkind::text, has_schema_privilege(n.oid, 'USAGE'),
        EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND tgname = $3), has_table_privilege(c.oid, 'SELECT'), current_user::text
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = ANY($2)";

const COLUMNS: &str = "SELECT c.relname::text, a.attname::text, has_column_privilege(c.oid, a.attnum, 'SELECT'), a.atttypid = 'int4'::regtype,
        coalesce(o.collname, '')::text, 'B'::text COLLATE \"default\" < 'a'
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_collation o ON o.oid = a.attcollation
    WHERE n.nspname = $1 AND c.relname = ANY($2) AND a.attnum > 0 AND NOT a.attisdropped";

const OTHERS: &str = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND c.relname <> ALL($2)
        AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND tgname = $3)
        AND (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped
            AND a.attname IN ('id', 'sfid', '_hc_lastop', '_hc_err')) = 4 ORDER BY 1";

const LOG: &str = "_trigger_log";
const ARCHIVE: &str = "_trigger_log_archive";
const META: &str = "_hcmeta";

impl Store {
    /// What the session's role may see of these tables.
    pub async fn shadow_schema(&self, tables: &[&str]) -> Result<ShadowSchema, Error> {
        let client = self.client().await?;
        let names: Vec<&str> = tables.iter().copied().chain([LOG, ARCHIVE, META]).collect();
        let found = client
            .query(TABLES, &[&self.schema_name, &names, &TRIGGERS[0]])
            .await
            .context("look at the tables that are compared")?;
        let columns = client
            .query(COLUMNS, &[&self.schema_name, &tables])
            .await
            .context("look at the columns that are compared")?;
        let user: String =
            client.query_one("SELECT current_user::text", &[]).await.context("ask for the role")?.get(0);
        let lacks = |name: &str| {
            format!(
                "the role {user} has no right SELECT on {}.{name}\nlet its owner run: GRANT SELECT ON {}.{} TO {}",
                self.schema_name,
                quote(&self.schema_name),
                quote(name),
                quote(&user)
            )
        };
        let mut schema = ShadowSchema { user: user.clone(), ..ShadowSchema::default() };
        let absent = |name: &str| Some(format!("there is no table {}.{name}", self.schema_name));
        (schema.log, schema.archive) = (absent(LOG), absent(ARCHIVE));
        let mut has_meta = false;
        for row in &found {
            let (name, kind, usage): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
            let readable: bool = row.get(4);
            match name.as_str() {
                LOG => schema.log = (!usage || !readable).then(|| lacks(LOG)),
                ARCHIVE => schema.archive = (!usage || !readable).then(|| lacks(ARCHIVE)),
                META => has_meta = usage && readable,
                _ => {
                    let unreadable = match kind.as_str() {
                        _ if !usage => Some(format!(
                            "the role {user} has no right USAGE on the schema {}",
                            self.schema_name
                        )),
                        "r" | "p" | "v" | "m" | "f" => None,
                        _ => Some(format!("{}.{name} is no table", self.schema_name)),
                    };
                    let table = ShadowTable { is_ours: row.get(3), unreadable, ..ShadowTable::default() };
                    schema.tables.insert(name, table);
                }
            }
        }
        for row in &columns {
            let (table, column, readable): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
            let Some(known) = schema.tables.get_mut(&table) else { continue };
            if column == "id" && !row.get::<_, bool>(3) {
                let why = "its column id is no integer, as Heroku Connect has it".to_owned();
                known.unreadable = known.unreadable.take().or(Some(why));
            }
            if column == "sfid" {
                let collation: String = row.get(4);
                let by_default = collation == "default" && row.get::<_, bool>(5);
                let plain = ["ucs_basic", "C", "POSIX", "C.utf8", "C.UTF-8"];
                known.sorts_by_bytes = by_default || plain.contains(&collation.as_str());
            }
            known.columns.insert(column, readable);
        }
        for (name, table) in &mut schema.tables {
            let needed = ["id", "sfid"].map(|column| (column, table.columns.get(column)));
            let lacking = needed.into_iter().find(|(_, readable)| *readable != Some(&true));
            let why = lacking.map(|(column, readable)| match readable {
                None => format!("it has no column {column}, as Heroku Connect has it"),
                Some(_) => lacks(name),
            });
            table.unreadable = table.unreadable.take().or(why);
        }
        if has_meta {
            let sql = format!("SELECT org_id::text FROM {}.{META} ORDER BY id LIMIT 1", self.schema);
            // One that somebody else made is not asked.
            let noted = client.query_opt(&sql, &[]).await.ok().flatten();
            schema.org_id = noted.and_then(|row| row.get(0));
        }
        Ok(schema)
    }

    /// Rows with the columns that a mapping reads; all of these must be there, and readable.
    pub async fn shadow_rows(
        &self,
        mapping: &Mapping,
        says_state: bool,
        by: RowsBy<'_>,
    ) -> Result<Vec<ShadowRow>, Error> {
        let client = self.client().await?;
        let told = if says_state { "t._hc_lastop::text, t._hc_err::text" } else { "NULL::text, NULL::text" };
        let columns = mapping.read_fields().map(|field| format!(", t.{}", quote(&field.column)));
        let columns: String = columns.collect();
        let condition = match by {
            RowsBy::Records(_) => "sfid = ANY($1::text[])",
            RowsBy::Ids(_) => "id = ANY($1::integer[])",
        };
        let sql = format!(
            "SELECT t.id, nullif(t.sfid::text, ''), {told}, to_jsonb(fields) FROM {} t, LATERAL (SELECT t.id{columns}) fields WHERE t.{condition}",
            self.table(&mapping.table)
        );
        let found = match by {
            RowsBy::Records(records) => client.query(&sql, &[&records]).await,
            RowsBy::Ids(ids) => client.query(&sql, &[&ids]).await,
        };
        let row = |row: &tokio_postgres::Row| ShadowRow {
            id: row.get(0),
            state: RowState { sfid: row.get(1), lastop: row.get(2), err: row.get(3) },
            values: row_values(&row.get(4)),
        };
        Ok(found.context("read rows to compare")?.iter().map(row).collect())
    }

    /// The next rows that name no record, from an id on.
    pub async fn shadow_unnamed(&self, table: &str, from: i32, limit: i64) -> Result<Vec<i32>, Error> {
        let client = self.client().await?;
        let sql = format!(
            "SELECT id FROM {} WHERE id >= $1 AND (sfid IS NULL OR sfid = '') ORDER BY id LIMIT $2",
            self.table(table)
        );
        let rows = client.query(&sql, &[&from, &limit]).await.context("list rows that name no record")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// The tables that look like Heroku Connect's, and are none of these nor syncdeck's.
    pub async fn shadow_others(&self, tables: &[&str]) -> Result<Vec<String>, Error> {
        let client = self.client().await?;
        let rows = client.query(OTHERS, &[&self.schema_name, &tables, &TRIGGERS[0]]).await;
        Ok(rows.context("look for tables that are not mapped")?.iter().map(|row| row.get(0)).collect())
    }

    /// Of records that have no row, those whose row was deleted, and whether that waits to be sent; refused otherwise.
    pub async fn shadow_deletes(
        &self,
        table: &str,
        archive: bool,
        records: &[&str],
    ) -> Result<HashMap<String, bool>, Error> {
        if records.is_empty() {
            return Ok(HashMap::new());
        }
        let client = self.client().await?;
        let of = |log: &str, states: &str| {
            format!(
                "SELECT sfid::text, state IN ('NEW', 'PENDING') AS waits FROM {}.{log}
                 WHERE table_name = $1 AND action = 'DELETE' AND sfid = ANY($2::text[]) AND {states}",
                self.schema
            )
        };
        let mut deletes = of(LOG, "state IN ('NEW', 'PENDING', 'FAILED')");
        if archive {
            // In the words of the archive's index.
            deletes = format!("{deletes} UNION ALL {}", of(ARCHIVE, "state = 'FAILED'"));
        }
        let sql = format!("SELECT sfid, bool_or(waits) FROM ({deletes}) deletes GROUP BY 1");
        let rows = client.query(&sql, &[&table, &records]).await.context("look for deletes that wait")?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}
