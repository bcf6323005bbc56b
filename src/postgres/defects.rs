//! Whether the mapped tables are still what they were laid out as.

use std::collections::BTreeMap;

use crate::domain::mapping::{Mapping, column_type};

use super::install::{SYSTEM_COLUMNS, fits};
use super::{Error, Store, While};

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// The table.
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
            .while_("look at the columns of mapped tables")?;
        for row in rows {
            columns.entry(row.get(0)).or_default().insert(row.get(1), row.get(2));
        }
        // tgtype: 1 is FOR EACH ROW, 2 BEFORE.
        let triggers = client
            .query(
                "SELECT c.relname::text, tgname::text, tgenabled = 'D', tgtype & 3 = 1 FROM pg_trigger
                 JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace
                 WHERE nspname = $1 AND relname = ANY($2) AND NOT tgisinternal",
                &[&self.schema_name, &tables],
            )
            .await
            .while_("look at the triggers of mapped tables")?;
        let cache: Option<i64> = client
            .query_opt(
                "SELECT cache_size FROM pg_sequences WHERE schemaname = $1 AND sequencename = '_trigger_log_id_seq'",
                &[&self.schema_name],
            )
            .await
            .while_("look at the sequence of _trigger_log")?
            .map(|row| row.get(0));
        let mut defects = Vec::new();
        for mapping in mappings {
            let mut found = |code, unfit, message| {
                defects.push(Defect { table: mapping.table.clone(), code, message, unfit });
            };
            if let Some(message) = misfit(mapping, columns.get(&mapping.table)) {
                found("TABLE_CHANGED", true, message);
            }
            let of_this = || triggers.iter().filter(|row| row.get::<_, &str>(0) == mapping.table);
            for name in ["00_hc_logger", "zz_hc_status"] {
                let trigger = of_this().find(|row| row.get::<_, &str>(1) == name);
                let what = match trigger.map(|row| row.get::<_, bool>(2)) {
                    Some(false) => continue,
                    Some(true) => "switched off",
                    None => "missing",
                };
                if columns.contains_key(&mapping.table) {
                    found(
                        "CAPTURE_MISSING",
                        false,
                        format!("the trigger {name} of {} is {what}", mapping.table),
                    );
                }
            }
            let early = of_this().find(|row| row.get(3) && row.get::<_, &str>(1) < "00_hc_logger");
            if let Some(row) = early {
                let message = format!("the trigger {} fires before 00_hc_logger", row.get::<_, &str>(1));
                found("CAPTURE_ORDER", false, message);
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
}

/// Why a table cannot serve its mapping, by the first column that does not fit.
fn misfit(mapping: &Mapping, columns: Option<&BTreeMap<String, String>>) -> Option<String> {
    let Some(columns) = columns else { return Some(format!("the table {} is gone", mapping.table)) };
    let system = std::iter::once("id").chain(SYSTEM_COLUMNS.iter().map(|(name, _)| *name));
    let mapped = mapping.fields.iter().map(|field| field.column.as_str());
    if let Some(missing) = system.chain(mapped).find(|name| !columns.contains_key(*name)) {
        return Some(format!("the table {} has no column {missing} any more", mapping.table));
    }
    mapping.read_fields().find_map(|field| {
        let (wanted, found) = (column_type(field), columns.get(&field.column)?);
        (!fits(&wanted, found)).then(|| {
            format!("the column {} of {} is {found} now, and must be {wanted}", field.column, mapping.table)
        })
    })
}
