//! Finding rows by what people have in hand: a row id, a record id of 15 or 18 characters, an external id.

use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::{RowId, RowRef, Sfid};
use crate::domain::records::record::Hit;

use crate::postgres::changes::keys::key_cast;
use crate::postgres::tables::records::standing;
use crate::postgres::{Error, ErrorContext, Store, quote};

/// Rows of one mapping that are told at most.
const MOST: i64 = 20;

impl Store {
    /// The rows that a text names, in all mappings or one; failing or not, and those that are gone but not yet away.
    ///
    /// # Errors
    /// Refused when there is no such mapping.
    pub async fn find(&self, text: &str, mapping: Option<&str>) -> Result<Vec<Hit>, Error> {
        let mappings = match mapping {
            Some(name) => vec![self.registered(name).await?],
            None => self.definitions().await?,
        };
        let mut hits = Vec::new();
        for mapping in &mappings {
            hits.extend(self.find_in(mapping, text.trim()).await?);
        }
        Ok(hits)
    }

    async fn find_in(&self, mapping: &Mapping, text: &str) -> Result<Vec<Hit>, Error> {
        let row: Option<i32> = text.parse().ok();
        let sfid = Sfid::parse(text).map(|sfid| sfid.as_str().to_owned());
        let column = mapping.external_id_column();
        let key =
            column.as_ref().map_or("NULL::text".to_owned(), |column| format!("t.{}::text", quote(column)));
        // A key that its column cannot hold is nobody's.
        let cast = column.as_ref().map(|column| key_cast(mapping, column)).unwrap_or_default();
        let holds = match cast.as_str() {
            "" => true,
            "::integer" => text.parse::<i32>().is_ok(),
            _ => text.parse::<f64>().is_ok(),
        };
        let by_key = match &column {
            Some(column) if holds => format!("OR t.{} = $4{cast}", quote(column)),
            _ => String::new(),
        };
        let sql = format!(
            "WITH found AS (
                 SELECT t.id, t.sfid::text AS sfid, {key} AS key, true AS there FROM {table} t
                 WHERE t.id = $2 OR t.sfid = $3 {by_key} LIMIT {MOST}
             ), gone AS (
                 SELECT DISTINCT ON (record_id) record_id, sfid::text, NULL::text, false FROM {schema}._trigger_log log
                 WHERE table_name = $1 AND action = 'DELETE' AND (record_id = $2 OR sfid = $3)
                     AND NOT EXISTS (SELECT FROM {table} t WHERE t.id = log.record_id)
                 ORDER BY record_id, log.id DESC LIMIT {MOST}
             )
             SELECT f.*, unit.state, error.id, error.state, $4::text = f.key
             FROM (SELECT * FROM found UNION ALL SELECT * FROM gone) f
             LEFT JOIN syncdeck.unit ON unit.table_name = $1 AND unit.record_id = f.id
             LEFT JOIN syncdeck.error ON error.table_name = $1 AND error.record_id = f.id AND error.resolved_at IS NULL
             ORDER BY f.id",
            table = self.table(&mapping.table),
            schema = self.schema,
        );
        let client = self.client().await?;
        let rows = client.query(&sql, &[&mapping.table, &row, &sfid, &text]).await.context("find a row")?;
        let hit = |found: &tokio_postgres::Row| {
            let id = RowId(found.get(0));
            let unit: Option<String> = found.get(4);
            let state: Option<String> = found.get(6);
            Hit {
                mapping: mapping.object.clone(),
                row: RowRef { table: mapping.table.clone(), row: id },
                sfid: found.get(1),
                external_id: found.get(2),
                exists: found.get(3),
                unit: standing(unit.as_deref()).to_owned(),
                error: found.get(5),
                state,
                by: match () {
                    () if row == Some(id.0) => "row id",
                    () if found.get::<_, Option<bool>>(7) == Some(true) => "external id",
                    () => "record id",
                }
                .to_owned(),
            }
        };
        Ok(rows.iter().map(hit).collect())
    }

    /// The row that has a record.
    pub async fn row_of(&self, mapping: &Mapping, sfid: &str) -> Result<Option<RowId>, Error> {
        let client = self.client().await?;
        let sql = format!("SELECT id FROM {} WHERE sfid = $1", self.table(&mapping.table));
        let row = client.query_opt(&sql, &[&sfid]).await.context("look for a record's row")?;
        Ok(row.map(|row| RowId(row.get(0))))
    }
}
