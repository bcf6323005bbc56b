//! The filter language as SQL.

use tokio_postgres::types::ToSql;

use crate::domain::filter::{Filter, Qualified, Term};

/// A filter as a WHERE condition with its parameters; values are always bound.
pub(super) struct Condition {
    /// With a place for each value.
    pub sql: String,
    /// What is bound.
    pub values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Condition {
    pub fn of(filter: &Filter) -> Condition {
        let mut condition = Condition { sql: "resolved_at IS NULL".to_owned(), values: Vec::new() };
        let names_state = filter.terms.iter().any(|term| matches!(term.term, Term::State(_)));
        if !names_state {
            // What a person said to stop asking about is listed only when asked for.
            condition.sql += " AND state <> 'ignored'";
        }
        for Qualified { term, negated } in &filter.terms {
            let test = condition.test(term);
            condition.sql += &if *negated { format!(" AND NOT ({test})") } else { format!(" AND ({test})") };
        }
        condition
    }

    fn test(&mut self, term: &Term) -> String {
        match term {
            Term::Word(word) => {
                let pattern = self.bind(like(word));
                format!(
                    "message ILIKE {pattern} OR sent ILIKE {pattern} OR code ILIKE {pattern} OR record_id::text || ' ' || coalesce(sfid, '') ILIKE {pattern}"
                )
            }
            Term::Mapping(name) => {
                let name = self.bind(name.to_lowercase());
                format!("lower(mapping) = {name} OR table_name = {name}")
            }
            Term::Code(code) => format!("code ILIKE {}", self.bind(like(code))),
            Term::Field(field) => {
                format!(
                    "EXISTS (SELECT FROM unnest(fields) f WHERE lower(f) = {})",
                    self.bind(field.to_lowercase())
                )
            }
            Term::Category(category) => format!("category = {}", self.bind(category.word())),
            Term::Class(class) => format!("class = {}", self.bind(class.word())),
            Term::State(states) => {
                let words: Vec<&'static str> = states.iter().map(|state| state.word()).collect();
                format!("state = ANY({})", self.bind(words))
            }
            Term::Op(op) => format!("op = {}", self.bind(op.to_lowercase())),
            Term::Since(time) => format!("last_seen >= {}", self.bind(*time)),
            Term::Until(time) => format!("last_seen <= {}", self.bind(*time)),
            Term::Row(row) => format!("record_id = {}", self.bind(*row)),
            Term::Sfid(id) => {
                let prefix: String = id.chars().take(15).collect();
                format!("left(sfid, 15) = {}", self.bind(prefix))
            }
            Term::Group(name) => format!("fingerprint LIKE {}", self.bind(format!("{name}%"))),
            Term::Source(source) => format!("source = {}", self.bind(source.word())),
        }
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

/// A LIKE pattern for text that contains `word`.
fn like(word: &str) -> String {
    format!("%{}%", word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"))
}
