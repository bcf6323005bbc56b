//! Whether the mapped tables are still what they were laid out as.

use std::collections::BTreeMap;

use crate::domain::mappings::mapping::{Mapping, column_type};

use crate::postgres::schema::table_steps::{SYSTEM_COLUMNS, fits};
use crate::postgres::schema::takeover::{Role, TRIGGERS, Trigger};
use crate::postgres::session::client::PooledClient;
use crate::postgres::{Error, ErrorContext, Store};

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// The table; empty for what concerns them all.
    pub table: String,
    /// Its code in the catalogue.
    pub code: &'static str,
    /// What it is, by name.
    pub message: String,
    /// Whether the table cannot be read or written until it is mended.
    pub unfit: bool,
}

impl Store {
    /// Everything that is wrong with these mappings' tables.
    pub async fn defects(&self, mappings: &[Mapping]) -> Result<Vec<Defect>, Error> {
        let client = self.client().await?;
        let tables: Vec<&str> = mappings.iter().map(|mapping| mapping.table.as_str()).collect();
        let mut columns: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let rows = client
            .query(
                "SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns
                 WHERE table_schema = $1 AND table_name = ANY($2)",
                &[&self.schema_name, &tables],
            )
            .await
            .context("look at the columns of mapped tables")?;
        for row in rows {
            columns.entry(row.get(0)).or_default().insert(row.get(1), row.get(2));
        }
        let triggers = self.triggers(&client, &tables).await?;
        let cache = self.sequence_cache(&client).await?;
        let mut defects = self.uncaptured(&client).await?;
        for mapping in mappings {
            let mut found = |code, unfit, message| {
                defects.push(Defect { table: mapping.table.clone(), code, message, unfit });
            };
            if let Some(message) = misfit(mapping, columns.get(&mapping.table)) {
                found("TABLE_CHANGED", true, message);
            }
            let of_this = triggers.get(&mapping.table).map_or(&[][..], Vec::as_slice);
            if columns.contains_key(&mapping.table) {
                for (code, message) in of_capture(&mapping.table, of_this) {
                    found(code, false, message);
                }
            }
            if cache.is_some_and(|cache| cache > 1) {
                found(
                    "SEQUENCE_CACHE",
                    false,
                    format!("_trigger_log_id_seq has CACHE {}", cache.unwrap_or(0)),
                );
            }
        }
        Ok(defects)
    }

    /// How many ids a session takes at once from the sequence of the change log.
    async fn sequence_cache(&self, client: &PooledClient) -> Result<Option<i64>, Error> {
        let row = client
            .query_opt(
                "SELECT max(seqcache) FROM pg_attrdef d JOIN pg_depend ON classid = 'pg_attrdef'::regclass AND objid = d.oid
                     AND refclassid = 'pg_class'::regclass JOIN pg_sequence ON seqrelid = refobjid
                 WHERE adrelid = to_regclass($1)",
                &[&format!("{}._trigger_log", self.schema)],
            )
            .await
            .context("look at the sequence of _trigger_log")?;
        Ok(row.and_then(|row| row.get(0)))
    }

    /// Who has `xmlbinary = hex` by default, with which nothing is captured.
    async fn uncaptured(&self, client: &PooledClient) -> Result<Vec<Defect>, Error> {
        let rows = client
            .query(
                "SELECT concat_ws(' in ', 'the role ' || quote_ident(rolname), 'the database ' || quote_ident(datname))
                 FROM pg_db_role_setting LEFT JOIN pg_roles r ON r.oid = setrole LEFT JOIN pg_database d ON d.oid = setdatabase
                 WHERE coalesce(datname, current_database()) = current_database()
                     AND EXISTS (SELECT FROM unnest(setconfig) one WHERE lower(one) = 'xmlbinary=hex')
                 ORDER BY 1",
                &[],
            )
            .await
            .context("look who is not captured")?;
        let mut who: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        if who.is_empty() {
            let row = client
                .query_one("SELECT reset_val = 'hex' FROM pg_settings WHERE name = 'xmlbinary'", &[])
                .await
                .context("look who is not captured")?;
            who.extend(row.get::<_, bool>(0).then(|| "the server".to_owned()));
        }
        let defect = |who: Vec<String>| Defect {
            table: String::new(),
            code: "CAPTURE_OFF",
            message: format!(
                "xmlbinary is hex by default for {}: what is written so is not captured",
                who.join(", ")
            ),
            unfit: false,
        };
        Ok(if who.is_empty() { Vec::new() } else { vec![defect(who)] })
    }
}

/// What is wrong with the triggers of a table, with the code of each.
fn of_capture(table: &str, triggers: &[Trigger]) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for name in &TRIGGERS[..2] {
        let what = match triggers.iter().find(|trigger| trigger.name == *name) {
            None => "is missing".to_owned(),
            Some(trigger) if !trigger.is_on => "is switched off".to_owned(),
            Some(trigger) if trigger.role == Role::Altered => {
                format!("calls {}, which is not syncdeck's any more", trigger.function)
            }
            Some(_) => continue,
        };
        found.push(("CAPTURE_MISSING", format!("the trigger {name} of {table} {what}")));
    }
    let seconds = triggers
        .iter()
        .filter(|trigger| matches!(trigger.role, Role::Predecessor | Role::Second) && trigger.is_on)
        .map(|trigger| format!("{} (which calls {})", trigger.name, trigger.function));
    let seconds: Vec<String> = seconds.collect();
    if !seconds.is_empty() {
        let message = format!("the trigger {} of {table} captures changes beside ours", seconds.join(", "));
        found.push(("CAPTURE_DOUBLE", message));
    }
    let early = |trigger: &&Trigger| {
        trigger.is_after_row && trigger.name.as_str() < TRIGGERS[0] && trigger.role == Role::Other
    };
    if let Some(trigger) = triggers.iter().find(early) {
        found.push(("CAPTURE_ORDER", format!("the trigger {} fires before {}", trigger.name, TRIGGERS[0])));
    }
    found
}

/// Why a table cannot serve its mapping, by the first column that does not fit.
fn misfit(mapping: &Mapping, columns: Option<&BTreeMap<String, String>>) -> Option<String> {
    let Some(columns) = columns else { return Some(format!("the table {} is gone", mapping.table)) };
    let system = std::iter::once("id").chain(SYSTEM_COLUMNS.iter().map(|(name, _)| *name));
    let mapped = mapping.fields.iter().map(|field| field.column.as_str());
    if let Some(missing) = system.chain(mapped).find(|name| !columns.contains_key(*name)) {
        return Some(format!("the table {} has no column {missing} any more", mapping.table));
    }
    if let Some(kind) = columns.get("id").filter(|kind| *kind != "integer") {
        return Some(format!("the column id of {} is {kind} now, and must be integer", mapping.table));
    }
    mapping.read_fields().find_map(|field| {
        let (wanted, found) = (column_type(field), columns.get(&field.column)?);
        (!fits(&wanted, found)).then(|| {
            format!("the column {} of {} is {found} now, and must be {wanted}", field.column, mapping.table)
        })
    })
}
