//! The condition of a mapping's rule `where`, as part of a statement about its rows.

use std::error::Error as StdError;

use bytes::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use crate::domain::mappings::mapping::Mapping;

use crate::postgres::{Error, ErrorContext, Store, Transaction, describe};

/// A condition with what is bound in it. Columns stand by their bare names.
pub(in crate::postgres) struct RowCondition {
    /// Whether the row takes part: true, or else false or NULL. `true` where the mapping has no condition.
    pub sql: String,
    values: Vec<AsText>,
}

/// A value that the server reads as it reads a literal: as text, of whatever type belongs in its place.
#[derive(Debug)]
struct AsText(String);

impl ToSql for AsText {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

impl RowCondition {
    /// The condition of a mapping, behind a statement's own `parameters`.
    pub fn of(mapping: &Mapping, parameters: usize) -> RowCondition {
        let Some(condition) = &mapping.rules.filter else {
            return RowCondition { sql: "true".to_owned(), values: Vec::new() };
        };
        let compiled = condition.compile(parameters + 1);
        RowCondition { sql: compiled.sql, values: compiled.values.into_iter().map(AsText).collect() }
    }

    /// A statement's own parameters with those of the condition behind them.
    pub fn bound<'a>(&'a self, own: &[&'a (dyn ToSql + Sync)]) -> Vec<&'a (dyn ToSql + Sync)> {
        let values = self.values.iter().map(|value| value as &(dyn ToSql + Sync));
        own.iter().copied().chain(values).collect()
    }
}

impl Store {
    /// The condition of a mapping must be one that its table can answer.
    ///
    /// # Errors
    /// [`Error::BadFilter`], with the column or the value at fault.
    pub(in crate::postgres) async fn check_condition(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
    ) -> Result<(), Error> {
        if mapping.rules.filter.is_none() {
            return Ok(());
        }
        self.check_columns(transaction, mapping, &[]).await?;
        let takes_part = RowCondition::of(mapping, 0);
        let sql =
            format!("SELECT FROM {} WHERE ({}) IS TRUE LIMIT 0", self.table(&mapping.table), takes_part.sql);
        transaction.query(&sql, &takes_part.bound(&[])).await.map(drop).map_err(|source| Error::BadFilter {
            mapping: mapping.object.clone(),
            problem: describe(&source),
        })
    }

    /// The condition of a mapping must name columns that its table has, or will have by what is `planned`.
    ///
    /// # Errors
    /// [`Error::BadFilter`], with the column at fault.
    pub(in crate::postgres) async fn check_columns(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        planned: &[&str],
    ) -> Result<(), Error> {
        let Some(condition) = &mapping.rules.filter else { return Ok(()) };
        let bad = |problem| Error::BadFilter { mapping: mapping.object.clone(), problem };
        if let Some(fault) = condition.fault() {
            return Err(bad(fault.problem.clone()));
        }
        let mut columns: Vec<String> = transaction
            .query_one(
                "SELECT coalesce(array_agg(attname::text ORDER BY attnum), '{}') FROM pg_attribute
                 WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
                &[&self.table(&mapping.table)],
            )
            .await
            .context("read the columns of a mapped table")?
            .get(0);
        columns.extend(planned.iter().map(|column| (*column).to_owned()));
        // A name that is no column may still be something of the table, such as the whole row.
        let unknown =
            condition.columns().into_iter().find(|column| !columns.iter().any(|known| known == column));
        if let Some(column) = unknown {
            return Err(bad(format!("there is no column {column:?}; there are {}", columns.join(", "))));
        }
        Ok(())
    }
}
