//! Records by their names, for whoever chooses one.

use crate::domain::mappings::mapping::Mapping;

use crate::postgres::{Error, ErrorContext, Store, quote};

/// Records that are offered.
const OFFERED: i64 = 8;

impl Store {
    /// Records of a mapping whose name has a text in it, with their names; those that begin with it come first.
    ///
    /// # Errors
    /// Also where the table cannot be looked through while one types.
    pub async fn records_named(
        &self,
        mapping: &Mapping,
        columns: &[&str],
        text: &str,
    ) -> Result<Vec<(String, String)>, Error> {
        let names: Vec<String> = columns.iter().map(|column| format!("t.{}", quote(column))).collect();
        let sql = format!(
            "SELECT sfid, name FROM (
                 SELECT t.sfid::text AS sfid, concat_ws(' ', {}) AS name FROM {} t WHERE t.sfid IS NOT NULL) named
             WHERE position(lower($1) IN lower(name)) > 0
             ORDER BY position(lower($1) IN lower(name)), name LIMIT $2",
            names.join(", "),
            self.table(&mapping.table)
        );
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to look for records by name")?;
        transaction
            .batch_execute("SET LOCAL statement_timeout = '700ms'")
            .await
            .context("look for records by name")?;
        let rows = transaction.query(&sql, &[&text, &OFFERED]).await.context("look for records by name")?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}
