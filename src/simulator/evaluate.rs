//! Running a query against the org.

use std::cmp::Ordering;

use chrono::NaiveDate;
use serde_json::{Map, Value, json};

use super::checks::parse_datetime;
use super::org::{Record, State, Table, long_id};
use super::soql::{Condition, Literal, Op, Query};

/// A query's outcome, or `(errorCode, message)`.
pub(super) type Answer = Result<(Vec<Value>, usize), (&'static str, String)>;

/// Runs a query. `all` includes deleted records. Returns the records, shaped for `version`, and how many there are
/// (for COUNT() only that).
pub(super) fn run(state: &State, query: &Query, text: &str, all: bool, version: &str) -> Answer {
    let Some(table) = state.table(&query.object) else {
        return Err((
            "INVALID_TYPE",
            format!(
                "\n{text}\n{}^\nERROR at Row:1:Column:{}\nsObject type '{object}' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names.",
                " ".repeat(column(text, &query.object)),
                column(text, &query.object) + 1,
                object = query.object
            ),
        ));
    };
    let asked = query.order.iter().map(|(field, _)| field).chain(conditions(query.condition.as_ref()));
    for field in query.fields.iter().chain(asked) {
        check_path(state, table, field, text)?;
    }
    if let Some(twice) = named_twice(&query.fields) {
        return Err(("INVALID_FIELD", format!("duplicate field selected: {twice}")));
    }
    let mut found: Vec<&Record> = candidates(table, query.condition.as_ref())
        .into_iter()
        .filter(|record| all || !record.deleted)
        .filter(|record| query.condition.as_ref().is_none_or(|condition| holds(record, condition)))
        .collect();
    if query.count {
        return Ok((Vec::new(), found.len()));
    }
    if !query.order.is_empty() {
        found.sort_by(|a, b| {
            query.order.iter().fold(Ordering::Equal, |so_far, (field, down)| {
                so_far.then_with(|| {
                    let ordering = order(a, b, field);
                    if *down { ordering.reverse() } else { ordering }
                })
            })
        });
    }
    let fields = spelt(table, &query.fields);
    let records = found
        .into_iter()
        .skip(query.offset)
        .take(query.limit.unwrap_or(usize::MAX))
        .map(|record| shape(state, table, record, &fields, version))
        .collect::<Vec<_>>();
    let total = records.len();
    Ok((records, total))
}

fn column(text: &str, word: &str) -> usize {
    text.find(word).unwrap_or(0)
}

/// The fields that a condition is about.
fn conditions(condition: Option<&Condition>) -> Vec<&String> {
    match condition {
        None => Vec::new(),
        Some(Condition::And(left, right) | Condition::Or(left, right)) => {
            [conditions(Some(left)), conditions(Some(right))].concat()
        }
        Some(Condition::Not(inner)) => conditions(Some(inner)),
        Some(Condition::Compare { field, .. } | Condition::In { field, .. }) => vec![field],
    }
}

fn named_twice(fields: &[String]) -> Option<&String> {
    let mut seen = std::collections::HashSet::new();
    fields.iter().find(|field| !seen.insert(field.to_lowercase()))
}

fn check_path(state: &State, table: &Table, path: &str, text: &str) -> Result<(), (&'static str, String)> {
    let known = match path.split_once('.') {
        Some((parent, name)) => match table.def.relationship(parent) {
            Some((_, object)) => state.table(object).is_some_and(|table| table.def.field(name).is_some()),
            // Of a parent of several objects, only what all of them have.
            None if table.def.polymorphic(parent).is_some() => {
                if ["Id", "Name", "Type"].contains(&name) {
                    return Ok(());
                }
                return Err(no_column(name, "Name", path, text));
            }
            None => false,
        },
        None => table.def.field(path).is_some(),
    };
    if known {
        return Ok(());
    }
    Err(no_column(path, &table.def.name, path, text))
}

fn no_column(name: &str, entity: &str, path: &str, text: &str) -> (&'static str, String) {
    let at = column(text, path);
    (
        "INVALID_FIELD",
        format!(
            "\n{text}\n{}^\nERROR at Row:1:Column:{}\nNo such column '{name}' on entity '{entity}'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names.",
            " ".repeat(at),
            at + 1,
        ),
    )
}

/// Records that can match at all: an equation on Id or on a unique field is looked up instead of searched for.
fn candidates<'a>(table: &'a Table, condition: Option<&Condition>) -> Vec<&'a Record> {
    let by_key = |field: &str, value: &Literal| -> Option<Vec<&'a Record>> {
        let value = match value {
            Literal::Text(text) => Value::from(text.as_str()),
            Literal::Number(number) => Value::from(*number),
            _ => return None,
        };
        let id = if field.eq_ignore_ascii_case("Id") {
            long_id(value.as_str()?)
        } else {
            let def = table.def.field(field).filter(|def| def.unique)?;
            table.unique.get(&(def.name.clone(), def.folded(&value)?)).cloned()
        };
        Some(id.and_then(|id| table.records.get(&id)).into_iter().collect())
    };
    let found = match condition {
        Some(Condition::Compare { field, op: Op::Eq, value }) => by_key(field, value),
        Some(Condition::In { field, negated: false, values }) => values
            .iter()
            .map(|value| by_key(field, value))
            .collect::<Option<Vec<_>>>()
            .map(|found| found.concat()),
        _ => None,
    };
    found.unwrap_or_else(|| table.records.values().collect())
}

fn holds(record: &Record, condition: &Condition) -> bool {
    match condition {
        Condition::And(left, right) => holds(record, left) && holds(record, right),
        Condition::Or(left, right) => holds(record, left) || holds(record, right),
        Condition::Not(inner) => !holds(record, inner),
        Condition::In { field, negated, values } => {
            values.iter().any(|value| compare(record, field, value) == Some(Ordering::Equal)) != *negated
        }
        Condition::Compare { field, op, value } => {
            if *op == Op::Like {
                let text = record.get(field);
                return matches!((text.as_str(), value), (Some(text), Literal::Text(pattern)) if like(text, pattern));
            }
            let ordering = compare(record, field, value);
            match op {
                Op::Eq => ordering == Some(Ordering::Equal),
                Op::Ne => ordering != Some(Ordering::Equal),
                Op::Lt => ordering == Some(Ordering::Less),
                Op::Le => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
                Op::Gt => ordering == Some(Ordering::Greater),
                Op::Ge => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
                Op::Like => false,
            }
        }
    }
}

/// A record's value against a literal; `None` where they cannot be compared.
fn compare(record: &Record, field: &str, literal: &Literal) -> Option<Ordering> {
    // The stamps stand apart from the other values, so that a poll need not write and read thousands of instants.
    if let Literal::Instant(time) = literal {
        let stamp = match field.to_ascii_lowercase().as_str() {
            "systemmodstamp" | "lastmodifieddate" => record.modified,
            "createddate" => record.created,
            _ => parse_datetime(record.get(field).as_str()?)?,
        };
        return Some(stamp.cmp(time));
    }
    match (record.get(field), literal) {
        (Value::Null, Literal::Null) => Some(Ordering::Equal),
        (_, Literal::Null) => None,
        (Value::Bool(value), Literal::Bool(literal)) => Some(value.cmp(literal)),
        (Value::Number(value), Literal::Number(literal)) => value.as_f64()?.partial_cmp(literal),
        (Value::String(value), Literal::Text(literal)) => match (long_id(&value), long_id(literal)) {
            (Some(value), Some(literal)) => Some(value.cmp(&literal)),
            // SOQL compares text without regard to case.
            _ => Some(value.to_lowercase().cmp(&literal.to_lowercase())),
        },
        (Value::String(value), Literal::Date(literal)) => {
            Some(NaiveDate::parse_from_str(value.get(..10)?, "%Y-%m-%d").ok()?.cmp(literal))
        }
        _ => None,
    }
}

fn order(a: &Record, b: &Record, field: &str) -> Ordering {
    match field.to_ascii_lowercase().as_str() {
        "systemmodstamp" | "lastmodifieddate" => return a.modified.cmp(&b.modified),
        "createddate" => return a.created.cmp(&b.created),
        "id" => return a.id.cmp(&b.id),
        _ => {}
    }
    match (a.get(field), b.get(field)) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (Value::Number(a), Value::Number(b)) => {
            a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal)
        }
        (a, b) => a.to_string().to_lowercase().cmp(&b.to_string().to_lowercase()),
    }
}

/// `%` any text, `_` any character.
fn like(text: &str, pattern: &str) -> bool {
    fn matches(text: &[char], pattern: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('%', rest)) => (0..=text.len()).any(|skip| matches(&text[skip..], rest)),
            Some((one, rest)) => text
                .split_first()
                .is_some_and(|(first, text)| (*one == '_' || one == first) && matches(text, rest)),
        }
    }
    let fold = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    matches(&fold(text), &fold(pattern))
}

/// Fields in the org's own spelling.
pub(super) fn spelt(table: &Table, fields: &[String]) -> Vec<String> {
    let own = |path: &String| table.def.field(path).map_or_else(|| path.clone(), |field| field.name.clone());
    fields.iter().map(own).collect()
}

/// A record as a query answers it: attributes, then the fields, as they are spelt, in the order they were asked for.
pub(super) fn shape(
    state: &State,
    table: &Table,
    record: &Record,
    fields: &[String],
    version: &str,
) -> Value {
    let attributes = |table: &Table, id: &str| json!({"type": table.def.name, "url": format!("/services/data/{version}/sobjects/{}/{id}", table.def.name)});
    let mut shaped = Map::new();
    shaped.insert("attributes".to_owned(), attributes(table, &record.id));
    for path in fields {
        match path.split_once('.') {
            None => {
                shaped.insert(path.clone(), record.get(path));
            }
            Some((relationship, field)) => {
                let Some((lookup, object)) = table.def.relationship(relationship) else { continue };
                let parent = record.fields.get(&lookup.name).and_then(Value::as_str);
                let parent =
                    parent.and_then(|id| Some((state.table(object)?, state.table(object)?.records.get(id)?)));
                let entry = shaped.entry(relationship.to_owned()).or_insert(Value::Null);
                if let Some((parent_table, parent)) = parent {
                    if entry.is_null() {
                        *entry = json!({"attributes": attributes(parent_table, &parent.id)});
                    }
                    let name = parent_table.def.field(field).map_or(field, |def| def.name.as_str());
                    entry[name] = parent.get(name);
                }
            }
        }
    }
    Value::Object(shaped)
}
