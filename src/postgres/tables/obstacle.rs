//! What is in the way of a row: PostgreSQL's refusal, said so that its owner finds the constraint, the trigger and the
//! other row, without the values that PostgreSQL quotes.

use serde_json::Value;
use tokio_postgres::error::DbError;

use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowId;

use crate::postgres::tables::rows::{Holder, RecordRow};
use crate::postgres::{Cached, Error, ErrorContext, Store, quote};

/// What a reader does with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowWrite {
    /// A record's values go into it.
    Store,
    /// It goes, as its record did.
    Remove,
}

impl RowWrite {
    /// The word in the database; also the operation of its errors.
    pub fn word(self) -> &'static str {
        match self {
            RowWrite::Store => "store",
            RowWrite::Remove => "remove",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<RowWrite> {
        [RowWrite::Store, RowWrite::Remove].into_iter().find(|write| write.word() == word)
    }
}

/// What is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Code of the error.
    pub code: &'static str,
    /// What all that it refuses share: the SQLSTATE, with the constraint or the function.
    pub cause: String,
    /// In our words; names only.
    pub text: String,
    /// In PostgreSQL's or the application's words, where they say more. They may quote any value.
    pub quoted: Option<String>,
    /// API names of the fields at fault, as far as that is known.
    pub fields: Vec<String>,
}

impl Obstacle {
    /// A unique value that another row has.
    pub fn key_taken(mapping: &Mapping, holder: &Holder) -> Obstacle {
        let name = mapping.external_id.clone().unwrap_or_default();
        Obstacle {
            code: "ROW_DUPLICATE",
            cause: "external id".to_owned(),
            text: format!("{} has the same external id {name}", row_text(holder)),
            quoted: None,
            fields: vec![name],
        }
    }

    /// A row that a trigger or a rule lets fall without a word.
    pub fn dropped(write: RowWrite) -> Obstacle {
        let text = match write {
            RowWrite::Store => "a trigger or a rule of the table lets its row fall without a word",
            RowWrite::Remove => "a trigger or a rule of the table keeps the row without a word",
        };
        Obstacle {
            code: code_of(write, "ROW_TRIGGER_REFUSED"),
            cause: "dropped".to_owned(),
            text: text.to_owned(),
            quoted: None,
            fields: Vec::new(),
        }
    }
}

fn code_of(write: RowWrite, code: &'static str) -> &'static str {
    if write == RowWrite::Remove { "ROW_DELETE_REFUSED" } else { code }
}

fn row_text(holder: &Holder) -> String {
    match &holder.sfid {
        Some(sfid) => format!("the row {} (record {sfid})", holder.row),
        None => format!("the row {} (without a record)", holder.row),
    }
}

/// What the catalog says of a constraint or a unique index.
struct Constraint {
    definition: String,
    columns: Vec<String>,
}

impl Store {
    /// What is in the way of one record, by the error that PostgreSQL gave.
    pub async fn obstacle(
        &self,
        mapping: &Mapping,
        write: RowWrite,
        error: &Error,
        record: Option<&RecordRow>,
    ) -> Obstacle {
        let Error::Sql { source, .. } = error else { return plain(write, error) };
        let Some(db) = source.as_db_error() else { return plain(write, error) };
        let state = db.code().code();
        let ours = db.table() == Some(mapping.table.as_str())
            && db.schema().is_none_or(|schema| schema == self.schema_name);
        let function = function_of(db);
        let cause = [Some(state), db.constraint().or(db.column()).or(function)];
        let cause = cause.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let quoted = match db.hint() {
            Some(hint) => format!("{} ({hint})", db.message()),
            None => db.message().to_owned(),
        };
        let table = db.table().unwrap_or(&mapping.table);
        let about = |code, text: String, columns: &[String]| Obstacle {
            code: code_of(write, code),
            cause: cause.clone(),
            text,
            quoted: None,
            fields: fields_of(mapping, columns),
        };
        match (state, db.constraint()) {
            ("23505", Some(index)) if ours => {
                let (holder, columns) = self.holder(mapping, index, record).await.unwrap_or_default();
                let who = holder.as_ref().map_or("another row".to_owned(), row_text);
                let what = columns.join(", ");
                about(
                    "ROW_DUPLICATE",
                    format!("{who} has the same {what}, which {index} allows once"),
                    &columns,
                )
            }
            ("23502", _) if ours => {
                let column = db.column().unwrap_or("").to_owned();
                let text = if mapping.field(&column).is_some() {
                    format!("the column {column} of its row may not be empty")
                } else {
                    format!("the column {column}, which is not mapped, must have a value and has no default")
                };
                about("ROW_CONSTRAINT_REFUSED", text, &[column])
            }
            ("23503", Some(name)) if !ours => about(
                "ROW_CONSTRAINT_REFUSED",
                format!("the table {table} refers to its row (constraint {name})"),
                &[],
            ),
            (state, Some(name)) if state.starts_with("23") && ours => {
                let found = self.constraint(mapping, name).await.ok().flatten();
                let (definition, columns) = found.map_or_else(Default::default, |found| {
                    (format!(": {}", found.definition), found.columns)
                });
                let text =
                    format!("the constraint {name} of the table {table} does not allow it{definition}");
                about("ROW_CONSTRAINT_REFUSED", text, &columns)
            }
            (state, _) if state.starts_with("22") && function.is_none() => Obstacle {
                quoted: Some(quoted),
                ..about("ROW_VALUE_REFUSED", "a value does not fit its column".to_owned(), &[])
            },
            _ => {
                let who = match function {
                    Some(function) => format!("the function {function} of a trigger refuses it"),
                    None => "PostgreSQL refuses it".to_owned(),
                };
                Obstacle { quoted: Some(quoted), ..about("ROW_TRIGGER_REFUSED", who, &[]) }
            }
        }
    }

    async fn constraint(&self, mapping: &Mapping, name: &str) -> Result<Option<Constraint>, Error> {
        let client = self.client().await?;
        let rows = client
            .query_cached(
                "SELECT pg_get_constraintdef(c.oid), ARRAY(SELECT attname::text FROM pg_attribute
                     WHERE attrelid = c.conrelid AND attnum = ANY(c.conkey))
                 FROM pg_constraint c WHERE conrelid = to_regclass($1) AND conname = $2",
                &[&self.table(&mapping.table), &name],
            )
            .await
            .context("look at a constraint")?;
        Ok(rows.first().map(|row| Constraint { definition: row.get(0), columns: row.get(1) }))
    }

    /// The row that has the value which a unique index allows once, and what the index is on.
    async fn holder(
        &self,
        mapping: &Mapping,
        index: &str,
        record: Option<&RecordRow>,
    ) -> Result<(Option<Holder>, Vec<String>), Error> {
        let table = self.table(&mapping.table);
        let client = self.client().await?;
        let rows = client
            .query_cached(
                "SELECT ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, true) FROM generate_series(1, i.indnkeyatts) k ORDER BY k),
                     pg_get_expr(i.indpred, i.indrelid)
                 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                 WHERE i.indrelid = to_regclass($1) AND c.relname = $2",
                &[&table, &index],
            )
            .await
            .context("look at a unique index")?;
        let Some(row) = rows.first() else { return Ok((None, Vec::new())) };
        let (parts, predicate): (Vec<String>, Option<String>) = (row.get(0), row.get(1));
        let Some(record) = record else { return Ok((None, parts)) };
        // An expression of an index names its columns bare; here only the table has such.
        let wanted: Vec<String> =
            parts.iter().enumerate().map(|(at, part)| format!("{part} AS wanted_{at}")).collect();
        let equal: Vec<String> =
            parts.iter().enumerate().map(|(at, part)| format!("({part}) = wanted_{at}")).collect();
        let sql = format!(
            "WITH wanted AS (SELECT {} FROM jsonb_populate_record(NULL::{table}, $1))
             SELECT id, sfid::text FROM {table}, wanted
             WHERE {} AND ({}) AND sfid IS DISTINCT FROM $1 ->> 'sfid' LIMIT 1",
            wanted.join(", "),
            equal.join(" AND "),
            predicate.as_deref().unwrap_or("true"),
        );
        let record = Value::Object(record.clone());
        // Whoever it was may be gone by now; what the index is on is worth telling all the same.
        let found = client.query(&sql, &[&record]).await.unwrap_or_default();
        let holder = found.first().map(|row| Holder { row: RowId(row.get(0)), sfid: row.get(1) });
        Ok((holder, parts))
    }

    /// A record's row as it stands, by column, for what texts of others may quote of it.
    pub async fn row_of_record(&self, mapping: &Mapping, sfid: &str) -> Result<Option<RecordRow>, Error> {
        let client = self.client().await?;
        let sql = format!("SELECT to_jsonb(t) FROM {} t WHERE sfid = $1", self.table(&mapping.table));
        let rows = client.query_cached(&sql, &[&sfid]).await.context("read the row of a record")?;
        Ok(rows.first().and_then(|row| match row.get(0) {
            Value::Object(values) => Some(values),
            _ => None,
        }))
    }
}

fn plain(write: RowWrite, error: &Error) -> Obstacle {
    Obstacle {
        code: code_of(write, "ROW_VALUE_REFUSED"),
        cause: "other".to_owned(),
        text: "PostgreSQL refuses it".to_owned(),
        quoted: Some(error.to_string()),
        fields: Vec::new(),
    }
}

/// The innermost function that was running, `check_mail()`: PostgreSQL's context begins with it, and only the name of a
/// function is no text of somebody's data.
pub(in crate::postgres) fn function_of(db: &DbError) -> Option<&str> {
    let line = db.where_()?.lines().next()?;
    let (_, name) = line.split_once("function ")?;
    let end = name.find([' ', '(']).unwrap_or(name.len());
    Some(name[..end].trim_matches('"')).filter(|name| !name.is_empty())
}

/// The API names of columns; one that is not mapped by its own name.
fn fields_of(mapping: &Mapping, columns: &[String]) -> Vec<String> {
    let name = |column: &String| {
        let field =
            mapping.fields.iter().find(|field| field.column == *column || quote(&field.column) == *column);
        field.map_or_else(|| column.clone(), |field| field.name.clone())
    };
    columns.iter().map(name).collect()
}
