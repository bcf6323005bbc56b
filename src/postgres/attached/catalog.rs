//! What Heroku Connect maps, as PostgreSQL's catalogue tells it. The configuration itself is not in the database: tables have
//! columns for what is mapped, and triggers where changes are captured.

use crate::domain::attached::history::SYSTEM_COLUMNS;
use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::mappings::mapping::{Access, Mapping};
use crate::domain::names::{RowId, Sfid};

use crate::postgres::{Error, ErrorContext, Store, quote};

/// Columns that Salesforce fills by itself, wherever they are mapped.
const FILLED: [&str; 4] = ["createddate", "lastmodifieddate", "createdbyid", "lastmodifiedbyid"];
/// Names that Salesforce writes with capitals inside, as far as messages and lists use them; the database has them in small
/// letters only.
const NAMES: &str = "Name FirstName LastName Email Phone MobilePhone Fax Title Subject Status Description Website Industry \
    AccountNumber AccountId ContactId OwnerId ParentId RecordTypeId CaseNumber LeadSource StageName CloseDate Amount Birthdate \
    MailingStreet MailingCity MailingState MailingPostalCode MailingCountry BillingStreet BillingCity BillingState \
    BillingPostalCode BillingCountry CreatedDate LastModifiedDate NumberOfEmployees AnnualRevenue IsActive Username \
    Account Contact Lead Opportunity Case User RecordType Task Event Campaign CampaignMember Product2 Pricebook2 PricebookEntry \
    OpportunityLineItem Order OrderItem Asset Contract";

/// A table that has Heroku Connect's columns.
#[derive(Clone, Debug, PartialEq)]
pub struct AttachedTable {
    /// Its number in PostgreSQL.
    pub oid: i64,
    /// The mapping, as far as the table tells it.
    pub mapping: Mapping,
    /// Rows, as PostgreSQL estimates them; `None` where nobody has counted yet.
    pub estimate: Option<i64>,
    /// Why its rows cannot be read, if so.
    pub unreadable: Option<String>,
    /// Whether nothing captures its changes: it is left over from a mapping that there was.
    pub is_unmapped: bool,
    /// Why a change of its rows cannot reach Salesforce, if so.
    pub unsent: Option<String>,
}

/// The schema as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttachedSchema {
    /// Tables with Heroku Connect's columns, by name.
    pub tables: Vec<AttachedTable>,
    /// Why the archive cannot be read, if so.
    pub archive: Option<String>,
}

impl AttachedSchema {
    /// A table by its name, or that of its mapping; case does not matter.
    pub fn table(&self, name: &str) -> Option<&AttachedTable> {
        let is = |table: &&AttachedTable| {
            table.mapping.table.eq_ignore_ascii_case(name) || table.mapping.object.eq_ignore_ascii_case(name)
        };
        self.tables.iter().find(|table| table.mapping.table == name).or_else(|| self.tables.iter().find(is))
    }
}

const TABLES: &str = r#"
    SELECT c.relname::text, c.reltuples::bigint, (SELECT bool_and(has_column_privilege(c.oid, name, 'SELECT')) FROM unnest(ARRAY['id', 'sfid', '_hc_lastop', '_hc_err']) name),
        has_any_column_privilege(c.oid, 'UPDATE'),
        (SELECT atttypid = 'int4'::regtype FROM pg_attribute WHERE attrelid = c.oid AND attname = 'id' AND NOT attisdropped),
        (SELECT string_agg(p.prosrc, ' ') FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
         WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'A')
             AND p.prosrc ~* '_trigger_log'),
        EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND tgname = '00_hc_logger'), c.oid::bigint
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')
        AND 4 = (SELECT count(*) FROM pg_attribute WHERE attrelid = c.oid AND NOT attisdropped
            AND attname IN ('id', 'sfid', '_hc_lastop', '_hc_err'))
    ORDER BY c.relname"#;

const COLUMNS: &str = r#"
    SELECT c.relname::text, a.attname::text, t.typname::text,
        CASE WHEN t.typname IN ('varchar', 'bpchar') AND a.atttypmod > 4 THEN a.atttypmod - 4 ELSE 0 END, a.attgenerated <> '',
        a.attnotnull, format_type(a.atttypid, a.atttypmod)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid
    WHERE n.nspname = $1 AND c.relname = ANY($2) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY c.relname, a.attnum"#;

impl Store {
    /// What Heroku Connect has in this schema.
    ///
    /// # Errors
    /// Refused where there is nothing of Heroku Connect, where what there is may not be read, and where syncdeck has taken the
    /// tables over: the text names it and the remedy.
    pub async fn attached_schema(&self) -> Result<AttachedSchema, Error> {
        let client = self.client().await?;
        let log = client
            .query(
                "SELECT relname::text, has_schema_privilege(n.oid, 'USAGE'), has_table_privilege(c.oid, 'SELECT'), current_user::text
                 FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
                 WHERE nspname = $1 AND relname IN ('_trigger_log', '_trigger_log_archive') AND relkind IN ('r', 'p', 'v')",
                &[&self.schema_name],
            )
            .await
            .context("look for Heroku Connect's change log")?;
        let mut schema = AttachedSchema::default();
        let (mut has_log, mut has_archive) = (false, false);
        for row in &log {
            let (name, user): (String, String) = (row.get(0), row.get(3));
            let missing = if row.get(1) {
                (!row.get::<_, bool>(2)).then(|| format!("SELECT on {}.{name}", self.schema_name))
            } else {
                Some(format!("USAGE on the schema {}", self.schema_name))
            };
            let missing = missing.map(|right| format!("the role {user} has no right {right}"));
            match (name.as_str(), missing) {
                ("_trigger_log", Some(missing)) => {
                    return Err(Error::Refused(format!(
                        "{missing}\nlet its owner grant it, or connect as a role that has it"
                    )));
                }
                ("_trigger_log", None) => has_log = true,
                (_, missing) => (has_archive, schema.archive) = (true, missing),
            }
        }
        if !has_log {
            return Err(Error::Refused(format!(
                "the schema {:?} has no table _trigger_log: Heroku Connect keeps nothing there\n\
                 name its schema (postgres.schema, or --attach-heroku-connect=SCHEMA), and check which database DATABASE_URL names",
                self.schema_name
            )));
        }
        if !has_archive {
            schema.archive = Some("there is no table _trigger_log_archive".to_owned());
        }
        let rows = client.query(TABLES, &[&self.schema_name]).await.context("look at mapped tables")?;
        let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let columns = client
            .query(COLUMNS, &[&self.schema_name, &names])
            .await
            .context("look at the columns of mapped tables")?;
        for row in &rows {
            if row.get(6) {
                return Err(Error::Refused(taken_over(&self.schema_name)));
            }
            let table: String = row.get(0);
            let fields =
                columns.iter().filter(|column| column.get::<_, &str>(0) == table).filter_map(field).collect();
            schema.tables.push(self.attached_table(row, table, fields));
        }
        Ok(schema)
    }

    /// Why this session cannot change what Heroku Connect sends, in words; `None` when it can.
    pub async fn attached_lacks_rights(&self) -> Result<Option<String>, Error> {
        let client = self.client().await?;
        let row = client
            .query_one(
                "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on', current_user::text,
                     (SELECT has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'INSERT') FROM pg_class c
                      JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = $1 AND relname = '_trigger_log'),
                     (SELECT has_sequence_privilege(c.oid, 'USAGE') FROM pg_class c
                      JOIN pg_namespace n ON n.oid = relnamespace
                      WHERE nspname = $1 AND relname = '_trigger_log_id_seq' AND relkind = 'S')",
                &[&self.schema_name],
            )
            .await
            .context("look at the rights of the session's role")?;
        let (standby, read_only, user): (bool, bool, String) = (row.get(0), row.get(1), row.get(2));
        let (log, numbers): (Option<bool>, Option<bool>) = (row.get(3), row.get(4));
        let lacks = |right: &str, kind: &str, name: &str| {
            format!(
                "the role {user} has no right {right} on {schema}.{name}\nlet its owner run: GRANT {right} ON {kind} {schema}.{name} TO {}",
                quote(&user),
                schema = quote(&self.schema_name),
            )
        };
        Ok(match () {
            () if standby => Some("this server is a follower, which takes no writes: errors are looked at here, and mended at the primary".to_owned()),
            () if read_only => Some("the session is read-only".to_owned()),
            () if log != Some(true) => Some(lacks("INSERT, UPDATE", "TABLE", "_trigger_log")),
            // Its triggers number what they capture with the rights of whoever writes.
            () if numbers == Some(false) => Some(lacks("USAGE", "SEQUENCE", "_trigger_log_id_seq")),
            () => None,
        })
    }

    /// The database's name, and the org that Heroku Connect's tables are of, where that can be read.
    pub async fn attached_identity(&self) -> Result<(String, Option<String>), Error> {
        let client = self.client().await?;
        let row = client
            .query_one(
                "SELECT current_database()::text, EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
                     JOIN pg_namespace n ON n.oid = relnamespace
                     WHERE nspname = $1 AND relname = '_hcmeta' AND attname = 'org_id' AND NOT attisdropped
                         AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))",
                &[&self.schema_name],
            )
            .await
            .context("ask which database this is")?;
        let (database, is_told): (String, bool) = (row.get(0), row.get(1));
        if !is_told {
            return Ok((database, None));
        }
        let org =
            format!("SELECT org_id::text FROM {}._hcmeta ORDER BY id LIMIT 1", quote(&self.schema_name));
        let org = client.query_opt(&org, &[]).await.context("read _hcmeta")?;
        let org: Option<String> = org.and_then(|row| row.get(0));
        Ok((database, org.filter(|id| !id.is_empty())))
    }

    /// Rows of a table by their number, or by their record: 15 or 18 characters.
    pub async fn attached_find(
        &self,
        table: &str,
        text: &str,
    ) -> Result<Vec<(RowId, Option<String>)>, Error> {
        let client = self.client().await?;
        // Compared as it is, so that the index of records serves.
        let id = text.parse::<i32>().ok();
        let given = Some(text.to_owned()).filter(|text| [15, 18].contains(&text.len()));
        let sfid: Vec<String> = Sfid::parse(text).map(|id| id.to_string()).into_iter().chain(given).collect();
        if id.is_none() && sfid.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT id, sfid::text FROM {} WHERE id = $1 OR sfid = ANY($2::text[]) ORDER BY id LIMIT 20",
            self.table(table)
        );
        let rows = client.query(&sql, &[&id, &sfid]).await.context("find rows")?;
        Ok(rows.iter().map(|row| (RowId(row.get(0)), row.get(1))).collect())
    }

    fn attached_table(&self, row: &tokio_postgres::Row, table: String, fields: Vec<Field>) -> AttachedTable {
        let estimate = Some(row.get::<_, i64>(1)).filter(|rows| *rows >= 0);
        let (readable, writable, narrow, capture): (bool, bool, bool, Option<String>) =
            (row.get(2), row.get(3), row.get(4), row.get(5));
        let name = format!("{}.{}", quote(&self.schema_name), quote(&table));
        let unreadable = match (readable, narrow) {
            (false, _) => Some(format!("this role has no right SELECT on {name}")),
            (_, false) => Some("its column id is no integer, as Heroku Connect has it".to_owned()),
            _ => None,
        };
        let read_only =
            capture.as_ref().is_some_and(|body| body.contains("'READONLY'") && !body.contains("'NEW'"));
        let unsent = match (&capture, read_only, writable) {
            (None, ..) => {
                Some("no trigger captures its changes: Heroku Connect does not map it any more".to_owned())
            }
            (_, true, _) => {
                Some("it is mapped read-only: a change of a row never reaches Salesforce".to_owned())
            }
            (.., false) => Some(format!("this role has no right UPDATE on {name}")),
            _ => None,
        };
        let access = if capture.is_none() || read_only { Access::ReadOnly } else { Access::ReadWrite };
        let mapping = Mapping { access, table: table.clone(), ..Mapping::plain(&spelt(&table), fields) };
        AttachedTable {
            oid: row.get(7),
            mapping,
            estimate,
            unreadable,
            is_unmapped: capture.is_none(),
            unsent,
        }
    }
}

/// Said where syncdeck's own triggers are there: it is no database of Heroku Connect's any more.
pub(super) fn taken_over(schema: &str) -> String {
    format!(
        "the tables in the schema {schema:?} were taken over from Heroku Connect: an engine of syncdeck keeps them\n\
         leave --attach-heroku-connect out, or set engine = \"with-console\" or \"service\""
    )
}

/// A mapped column; `None` for one of Heroku Connect's own.
fn field(row: &tokio_postgres::Row) -> Option<Field> {
    let (column, kind, length, generated): (String, &str, i32, bool) =
        (row.get(1), row.get(2), row.get(3), row.get(4));
    if SYSTEM_COLUMNS.contains(&column.as_str()) {
        return None;
    }
    let written = !generated && !FILLED.contains(&column.as_str());
    let kind = match kind {
        "varchar" | "bpchar" if column.contains("email") => FieldType::Email,
        "varchar" | "bpchar" if column == "phone" || column.ends_with("phone") => FieldType::Phone,
        "varchar" | "bpchar" => FieldType::String,
        "text" => FieldType::Textarea,
        "bool" => FieldType::Boolean,
        "int2" | "int4" | "int8" => FieldType::Int,
        "float4" | "float8" | "numeric" => FieldType::Double,
        "date" => FieldType::Date,
        "timestamp" | "timestamptz" => FieldType::Datetime,
        "time" | "timetz" => FieldType::Time,
        _ => FieldType::Other,
    };
    let name = spelt(&column);
    Some(Field {
        column,
        length: u32::try_from(length).unwrap_or(0),
        createable: written,
        updateable: written,
        nillable: !row.get::<_, bool>(5),
        ..Field::plain(&name, kind)
    })
}

/// A name as Salesforce spells it, where that is known.
fn spelt(name: &str) -> String {
    let known = NAMES.split_whitespace().find(|known| known.eq_ignore_ascii_case(name));
    known.unwrap_or(name).to_owned()
}
