//! The filter language as SQL.

use tokio_postgres::types::ToSql;

use crate::domain::errors::filter::{Filter, Qualified, Term};
use crate::domain::errors::sort::SortBy;

use crate::postgres::schema::indexes::Built;
use crate::postgres::{Error, ErrorContext, Transaction};

/// What errors are looked up by, word by word: the expressions of the index `error_properties`, beside `fields`.
const PROPERTIES: &str =
    "ARRAY[lower(mapping), table_name::text, code, category, class, state, op, source, fingerprint]";
/// What is of no row and no record, as the index `error_subject` has it.
const STANDING: &str = "(record_id IS NULL AND sfid IS NULL AND entry IS NULL)";
/// What nothing but a person mends: also a row that waits for a parent which is nowhere.
const PERSON: &str =
    "(state IN ('open', 'review') OR state = 'held' AND message LIKE '%neither here nor in Salesforce')
     AND (record_id IS NOT NULL OR sfid IS NOT NULL OR entry IS NOT NULL)";
/// The text that words are looked up in: the expression of the index `error_words`.
const TEXT: &str = "(message || E'\\n' || code || E'\\n' || sent || E'\\n' || coalesce(record_id::text, '') || ' ' || coalesce(sfid, ''))";
/// Words of fewer letters in a row have no trigrams.
const TRIGRAM: usize = 3;

/// A filter as a WHERE condition with its parameters; values are always bound.
pub(in crate::postgres) struct ErrorCondition {
    /// With a place for each value; right for any row, whatever index led to it.
    pub sql: String,
    /// What must hold besides (it follows from the filter) and can be looked up in an index.
    lookups: Vec<Lookup>,
    /// Whether a word can be looked up in the index `error_words`, which not every server has.
    words: bool,
    /// What is bound.
    pub values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl ErrorCondition {
    pub fn of(filter: &Filter) -> ErrorCondition {
        let mut condition = ErrorCondition {
            sql: "resolved_at IS NULL".to_owned(),
            lookups: Vec::new(),
            words: false,
            values: Vec::new(),
        };
        let names_state =
            filter.terms.iter().any(|term| !term.negated && matches!(term.term, Term::State(_)));
        if !names_state {
            // What a person said to stop asking about is listed only when asked for.
            condition.sql += " AND state <> 'ignored'";
        }
        for Qualified { term, negated } in &filter.terms {
            let (test, lookup) = condition.test(term, *negated);
            condition.sql += &if *negated { format!(" AND NOT ({test})") } else { format!(" AND ({test})") };
            condition.lookups.extend(lookup);
        }
        condition
    }

    /// The condition with what can be looked up; `None` where nothing can, or not yet. Prepares the transaction for it: no walk along
    /// an order, which may have to look at everything, will be planned until [`walks_again`].
    pub async fn looked_up(&mut self, transaction: &Transaction<'_>) -> Result<Option<String>, Error> {
        if self.lookups.is_empty() && !self.words {
            return Ok(None);
        }
        let built = Built::of(transaction).await?;
        let can = if self.lookups.is_empty() { built.words() } else { built.properties() };
        if !can {
            return Ok(None);
        }
        let mut sql = self.sql.clone();
        for lookup in std::mem::take(&mut self.lookups) {
            let lookup = match lookup {
                Lookup::Ready(test) => test,
                Lookup::Among { properties, values, word } => {
                    let row = transaction
                        .query_one(&values, &[&word])
                        .await
                        .context("look for the values of a filter")?;
                    let values: Vec<String> = row.get(0);
                    format!("{properties} && {}", self.bind(values))
                }
            };
            sql += &format!(" AND {lookup}");
        }
        only_lookups(transaction).await?;
        Ok(Some(sql))
    }

    /// The test itself, and what can be looked up when it (or its opposite) is to hold.
    fn test(&mut self, term: &Term, negated: bool) -> (String, Option<Lookup>) {
        let has = |value: &str| Lookup::Ready(property(value));
        // Of a few words, the others are as good as not these.
        let has_one = |all: &[&'static str], these: &[&'static str]| {
            let wanted: Vec<&'static str> =
                all.iter().copied().filter(|word| these.contains(word) != negated).collect();
            Some(Lookup::Ready(format!("{PROPERTIES} && '{{{}}}'::text[]", wanted.join(","))))
        };
        match term {
            Term::Word(word) => {
                let letters = word.split(|c: char| !c.is_alphanumeric()).map(|part| part.chars().count());
                self.words |= !negated && letters.max().unwrap_or(0) >= TRIGRAM;
                (format!("{TEXT} ILIKE {}", self.bind(like(word))), None)
            }
            Term::Mapping(name) => {
                let others = among(
                    PROPERTIES,
                    "lower(value)",
                    &distinct("mapping"),
                    "lower(value) <> $1",
                    name.to_lowercase(),
                );
                let name = self.bind(name.to_lowercase());
                let lookup = if negated { others } else { has(&name) };
                (format!("lower(mapping) = {name} OR table_name = {name}"), Some(lookup))
            }
            Term::Code(code) => {
                let part = self.bind(like(code));
                let these = if negated { "value NOT ILIKE $1" } else { "value ILIKE $1" };
                let lookup = among(PROPERTIES, "value", &distinct("code"), these, like(code));
                (format!("code ILIKE {part}"), Some(lookup))
            }
            Term::Field(field) => {
                let each = format!("{}, unnest(value) f", distinct("fields"));
                let lookup = among("fields", "DISTINCT f", &each, "lower(f) = $1", field.to_lowercase());
                let field = self.bind(field.to_lowercase());
                let test = format!("EXISTS (SELECT FROM unnest(fields) f WHERE lower(f) = {field})");
                (test, (!negated).then_some(lookup))
            }
            Term::Category(category) => {
                let all = ["connection", "data", "mapping", "consistency"];
                let lookup = has_one(&all, &[category.word()]);
                (format!("category = {}", self.bind(category.word())), lookup)
            }
            Term::Class(class) => {
                let lookup = has_one(&["transient", "permanent", "unknown"], &[class.word()]);
                (format!("class = {}", self.bind(class.word())), lookup)
            }
            Term::State(states) => {
                let words: Vec<&'static str> = states.iter().map(|state| state.word()).collect();
                let lookup = has_one(&["open", "retrying", "review", "held", "ignored"], &words);
                (format!("state = ANY({})", self.bind(words)), lookup)
            }
            Term::Op(op) => {
                let op = self.bind(op.to_lowercase());
                (format!("op = {op}"), (!negated).then(|| has(&op)))
            }
            Term::Source(source) => {
                let source = self.bind(source.word());
                (format!("source = {source}"), (!negated).then(|| has(&source)))
            }
            // What follows is looked up as it stands.
            Term::Since(time) => by_itself(format!("last_seen >= {}", self.bind(*time)), negated),
            Term::Until(time) => by_itself(format!("last_seen <= {}", self.bind(*time)), negated),
            Term::Row(row) => by_itself(format!("coalesce(record_id, 0) = {}", self.bind(*row)), negated),
            Term::Sfid(id) => {
                let prefix: String = id.chars().take(15).collect();
                let prefix = self.bind(prefix);
                // What has no record is not that record.
                let test = match negated {
                    true => format!("coalesce(left(sfid, 15), '') = {prefix}"),
                    false => format!("left(sfid, 15) = {prefix}"),
                };
                by_itself(test, negated)
            }
            Term::Person => {
                let lookup =
                    has_one(&["open", "retrying", "review", "held", "ignored"], &["open", "review", "held"]);
                (PERSON.to_owned(), lookup.filter(|_| !negated))
            }
            Term::Standing => by_itself(STANDING.to_owned(), negated),
            Term::Operation(number) => {
                // The errors that it was about, and those that its rows have since.
                let act = self.bind(*number);
                let about = format!(
                    "SELECT error_id FROM syncdeck.audit WHERE error_id IS NOT NULL AND act = {act}
                     UNION SELECT since.id FROM syncdeck.audit JOIN syncdeck.error since USING (table_name, record_id)
                     WHERE act = {act} AND since.resolved_at IS NULL AND since.last_seen > audit.at"
                );
                by_itself(format!("id = ANY(ARRAY({about}))"), negated)
            }
            Term::Group(name) => {
                // Its letters are hexadecimal digits, and all of them come before a g.
                let (from, to) = (self.bind(name.clone()), self.bind(format!("{name}g")));
                let test =
                    format!("fingerprint COLLATE \"C\" >= {from} AND fingerprint COLLATE \"C\" < {to}");
                by_itself(test, negated)
            }
        }
    }

    /// What a list in this order can leave out at its ends, as a condition on what it is ordered by; empty for nothing.
    pub fn range(&mut self, filter: &Filter, by: SortBy) -> String {
        let mut range = String::new();
        for term in filter.terms.iter().filter(|term| !term.negated).map(|term| &term.term) {
            range += &match (by, term) {
                (SortBy::LastSeen, Term::Since(time)) => format!(" AND last_seen >= {}", self.bind(*time)),
                (SortBy::LastSeen, Term::Until(time)) => format!(" AND last_seen <= {}", self.bind(*time)),
                (SortBy::Row, Term::Row(row)) => format!(" AND coalesce(record_id, 0) = {}", self.bind(*row)),
                (SortBy::Mapping, Term::Mapping(name)) => {
                    let name = self.bind(name.to_lowercase());
                    let of = format!(
                        "lower(value) = {name} OR value IN (SELECT name FROM syncdeck.mapping WHERE table_name = {name})"
                    );
                    between("mapping", "value", &format!("{} WHERE {of}", distinct("mapping")))
                }
                (SortBy::Code, Term::Code(code)) => {
                    let of = format!("value ILIKE {}", self.bind(like(code)));
                    between("code", "value", &format!("{} WHERE {of}", distinct("code")))
                }
                (SortBy::Field, Term::Field(field)) => {
                    let of = format!("lower(f) = {}", self.bind(field.to_lowercase()));
                    between("fields", "value", &format!("{}, unnest(value) f WHERE {of}", distinct("fields")))
                }
                (SortBy::State, Term::State(states)) => {
                    let words: Vec<&'static str> = states.iter().map(|state| state.word()).collect();
                    between("state", "value", &format!("unnest({}::text[]) value", self.bind(words)))
                }
                _ => String::new(),
            };
        }
        range
    }

    /// Binds a value; its place.
    pub fn bind(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }

    /// The values as a statement takes them.
    pub fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.values.iter().map(|value| value.as_ref() as &(dyn ToSql + Sync)).collect()
    }
}

/// What must hold and can be looked up in an index.
enum Lookup {
    /// In SQL.
    Ready(String),
    /// That one of the properties is one of these values.
    Among {
        /// The properties, in SQL.
        properties: &'static str,
        /// A query of the values, as an array,
        values: String,
        /// by this word.
        word: String,
    },
}

/// A test that an index serves as it stands, unless it is negated.
fn by_itself(test: String, negated: bool) -> (String, Option<Lookup>) {
    let lookup = (!negated).then(|| Lookup::Ready(format!("({test})")));
    (test, lookup)
}

/// That one of the properties is one of the values for which a condition on a word holds.
fn among(properties: &'static str, value: &str, values: &str, condition: &str, word: String) -> Lookup {
    let values = format!("SELECT coalesce(array_agg({value}), '{{}}') FROM {values} WHERE {condition}");
    Lookup::Among { properties, values, word }
}

/// That an error has a property, in SQL, as the index `error_properties` finds it.
pub(in crate::postgres) fn property(value: &str) -> String {
    format!("{PROPERTIES} @> ARRAY[{value}::text]")
}

/// Until [`walks_again`]: what is planned looks things up, and walks along no order.
pub(in crate::postgres) async fn only_lookups(transaction: &Transaction<'_>) -> Result<(), Error> {
    transaction
        .batch_execute(
            "SET LOCAL enable_indexscan = off; SET LOCAL enable_seqscan = off; SET LOCAL jit = off",
        )
        .await
        .context("look up sync errors")
}

/// For what reads every error that matches: of most errors the table itself is read faster than any index leads to them, in
/// 0.3 s instead of 1 to 20 s for a million.
pub(in crate::postgres) async fn read_whole(transaction: &Transaction<'_>) -> Result<(), Error> {
    transaction.batch_execute("SET LOCAL enable_seqscan = on").await.context("allow a whole scan")
}

/// Ends what [`only_lookups`] began.
pub(in crate::postgres) async fn walks_again(transaction: &Transaction<'_>) -> Result<(), Error> {
    transaction.batch_execute("SET LOCAL enable_indexscan = on").await.context("look up sync errors")
}

fn between(column: &str, value: &str, values: &str) -> String {
    format!(
        " AND {column} >= (SELECT min({value}) FROM {values}) AND {column} <= (SELECT max({value}) FROM {values})"
    )
}

/// The different values of a column in unresolved errors, as a table with the column `value`. One look into the
/// column's index a value (PostgreSQL has no loose index scan of its own), not one an error.
pub(in crate::postgres) fn distinct(column: &str) -> String {
    let next = |after: &str| {
        format!(
            "SELECT {column} FROM syncdeck.error WHERE resolved_at IS NULL{after} ORDER BY {column} LIMIT 1"
        )
    };
    format!(
        "(WITH RECURSIVE seen AS (
             (SELECT ({}) AS value) UNION ALL SELECT ({}) FROM seen WHERE value IS NOT NULL
         ) SELECT value FROM seen WHERE value IS NOT NULL) AS \"values\"",
        next(""),
        next(&format!(" AND {column} > seen.value"))
    )
}

/// A LIKE pattern for text that contains `word`.
fn like(word: &str) -> String {
    format!("%{}%", word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"))
}
