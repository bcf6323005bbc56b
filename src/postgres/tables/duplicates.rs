//! Rows that are one thing: by their external id, or by the values of the rule `match`. What SQL cannot compare, such as
//! telephone numbers, it brings near each other, and the exact comparison follows here.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::mappings::mapping::Mapping;
use crate::domain::mappings::matches::Match;
use crate::domain::names::RowId;
use crate::domain::records::matching::{self, FEWEST, folded};
use crate::domain::records::verify::TOGETHER;

use crate::postgres::tables::row_condition::RowCondition;
use crate::postgres::tables::verify::Suspect;
use crate::postgres::{Cached, Error, ErrorContext, Store, Transaction, quote};

/// A row that shares something with another one.
struct Sharing {
    row: RowId,
    sfid: Option<String>,
    values: Vec<String>,
}

impl Store {
    /// Rows that share their external id with another row; `limit` at most. Rows with something unsent do not count. Among
    /// `rows` only, where these are given.
    pub async fn duplicates(
        &self,
        mapping: &Mapping,
        rows: Option<&[i32]>,
        limit: i64,
    ) -> Result<Vec<Suspect>, Error> {
        let client = self.client().await?;
        self.with_one_key(&client, mapping, rows, limit).await
    }

    /// Rows that are the same by one alternative of the rule `match`, among `rows` only, where these are given.
    pub async fn matching(
        &self,
        mapping: &Mapping,
        by: &Match,
        rows: Option<&[i32]>,
        limit: i64,
    ) -> Result<Vec<Suspect>, Error> {
        let client = self.client().await?;
        self.that_match(&client, (mapping, by), rows, limit).await
    }

    /// Whether all of these rows are one thing, each with the next by any of what tells that.
    pub(in crate::postgres) async fn are_one(
        &self,
        transaction: &Transaction<'_>,
        mapping: &Mapping,
        rows: &[i32],
    ) -> Result<bool, Error> {
        let limit = rows.len() as i64;
        let mut groups = self.with_one_key(transaction, mapping, Some(rows), limit).await?;
        for by in &mapping.rules.matches {
            groups.extend(self.that_match(transaction, (mapping, by), Some(rows), limit).await?);
        }
        Ok(connected(rows, &groups))
    }

    async fn with_one_key(
        &self,
        client: &impl Cached,
        mapping: &Mapping,
        rows: Option<&[i32]>,
        limit: i64,
    ) -> Result<Vec<Suspect>, Error> {
        let Some(field) = mapping.external_id_field() else { return Ok(Vec::new()) };
        let key = self.key_column(mapping, &field.column);
        let key = (key.of_row("t"), key.of_row(""));
        let shared = self.sharing(client, (mapping, &[field]), key, rows, limit).await?;
        Ok(shared.into_values().filter_map(|sharing| suspect(&[field], sharing)).collect())
    }

    async fn that_match(
        &self,
        client: &impl Cached,
        (mapping, by): (&Mapping, &Match),
        rows: Option<&[i32]>,
        limit: i64,
    ) -> Result<Vec<Suspect>, Error> {
        let Some(fields) = matching::fields(by, mapping) else { return Ok(Vec::new()) };
        let near = |row: &str| {
            let parts: Vec<String> = fields.iter().map(|field| self.near(mapping, field, row)).collect();
            parts.join(" || chr(31) || ")
        };
        let near = self.sharing(client, (mapping, &fields), (near("t"), near("")), rows, limit).await?;
        let mut same: BTreeMap<Vec<String>, Vec<Sharing>> = BTreeMap::new();
        for sharing in near.into_values().flatten() {
            let exact =
                fields.iter().zip(&sharing.values).map(|(field, value)| folded(mapping, field, value));
            if let Some(exact) = exact.collect::<Option<Vec<String>>>() {
                same.entry(exact).or_default().push(sharing);
            }
        }
        Ok(same.into_values().filter_map(|sharing| suspect(&fields, sharing)).collect())
    }

    /// A value as what may be equal to it has it too; NULL where there is none.
    fn near(&self, mapping: &Mapping, field: &Field, row: &str) -> String {
        if field.kind != FieldType::Phone {
            return format!("nullif({}::text, '')", self.key_column(mapping, &field.column).of_row(row));
        }
        let column = quote(&field.column);
        let column = if row.is_empty() { column } else { format!("{row}.{column}") };
        format!("nullif(right(regexp_replace({column}::text, '[^0-9]', '', 'g'), {FEWEST}), '')")
    }

    /// Rows by the key that they share, where there are several of it. `key` is of the row `t`, and of a row without a name.
    async fn sharing(
        &self,
        client: &impl Cached,
        (mapping, fields): (&Mapping, &[&Field]),
        (of_row, of_any): (String, String),
        rows: Option<&[i32]>,
        limit: i64,
    ) -> Result<BTreeMap<String, Vec<Sharing>>, Error> {
        let takes_part = RowCondition::of(mapping, 3);
        let values: Vec<String> =
            fields.iter().map(|field| format!("coalesce(t.{}::text, '')", quote(&field.column))).collect();
        // An external id is looked up in its index, and given rows by their ids.
        let among = |id: &str| match rows {
            Some(_) => format!("{id} = ANY($3)"),
            None => "$3::integer[] IS NULL".to_owned(),
        };
        let sql = format!(
            "SELECT t.id, t.sfid::text, ({of_row})::text, ARRAY[{values}] FROM {table} t WHERE {of_row} IN (
                 SELECT {of_any} FROM {table} WHERE ({of_any}) IS NOT NULL AND {among_any}
                 GROUP BY 1 HAVING count(*) > 1 LIMIT $2)
                 AND {among_rows} AND NOT {pending} ORDER BY t.id",
            among_any = among("id"),
            among_rows = among("t.id"),
            values = values.join(", "),
            table = self.table(&mapping.table),
            pending = self.is_pending(&takes_part),
        );
        let bound = takes_part.bound(&[&mapping.table, &limit, &rows]);
        let rows = client.query_cached(&sql, &bound).await.context("look for duplicates")?;
        let mut shared: BTreeMap<String, Vec<Sharing>> = BTreeMap::new();
        for row in &rows {
            let sharing = Sharing { row: RowId(row.get(0)), sfid: row.get(1), values: row.get(3) };
            shared.entry(row.get(2)).or_default().push(sharing);
        }
        shared.retain(|_, sharing| sharing.len() > 1);
        Ok(shared)
    }
}

/// The first of rows that are one thing, with the others.
fn suspect(fields: &[&Field], sharing: Vec<Sharing>) -> Option<Suspect> {
    let mut sharing = sharing.into_iter();
    let first = sharing.next()?;
    let mut others: Vec<i32> = sharing.map(|other| other.row.0).collect();
    let more = others.len().saturating_sub(TOGETHER);
    others.truncate(TOGETHER);
    (!others.is_empty()).then(|| Suspect {
        row: first.row,
        sfid: first.sfid,
        fields: fields.iter().map(|field| field.column.clone()).collect(),
        values: first.values,
        others,
        more,
    })
}

/// Whether all of these rows are in groups that hang together.
fn connected(rows: &[i32], groups: &[Suspect]) -> bool {
    let mut groups: Vec<Vec<i32>> = groups
        .iter()
        .map(|group| std::iter::once(group.row.0).chain(group.others.clone()).collect())
        .collect();
    let mut reached: BTreeSet<i32> = rows.iter().take(1).copied().collect();
    loop {
        let (near, far): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group| group.iter().any(|row| reached.contains(row)));
        if near.is_empty() {
            return rows.iter().all(|row| reached.contains(row));
        }
        reached.extend(near.into_iter().flatten());
        groups = far;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_one_when_groups_lead_from_each_to_each() {
        let group = |row: i32, others: &[i32]| Suspect {
            row: RowId(row),
            sfid: None,
            fields: Vec::new(),
            values: Vec::new(),
            others: others.to_vec(),
            more: 0,
        };
        let groups = [group(4, &[5]), group(1, &[2]), group(2, &[5, 6])];
        assert!(connected(&[1, 2, 4, 5, 6], &groups));
        assert!(connected(&[2, 6], &groups));
        assert!(!connected(&[1, 2, 3], &groups), "nothing leads to 3");
        assert!(!connected(&[1, 4], &groups[..2]), "two groups of their own");
        assert!(!connected(&[1, 2], &[]));
    }
}
