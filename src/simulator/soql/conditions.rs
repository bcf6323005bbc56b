//! Conditions: every value is read as its field's type, or the query is refused.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::ast::{Condition, Op, Query, Subject};
use super::fault::Fault;
use super::literals::Literal;
use super::plan::{Field, Join, Operand, Path, Piece, Set, Test, Type};
use crate::simulator::ids::long_id;

/// The longest text to compare with.
const LONGEST: usize = 4_000;

/// Finds what a subject is, and what its values are.
type Resolve<'a, S> = dyn FnMut(&Subject) -> Result<(S, Field), Fault> + 'a;
/// Finds the ids of records by texts that a path must equal, where an index knows them.
type Find<'a> = dyn Fn(&Path, &mut dyn Iterator<Item = &String>) -> Option<Vec<String>> + 'a;

/// What a condition needs to know of the query around it.
pub(super) struct Known<'a, S> {
    /// What a subject is, and what its values are.
    pub(super) resolve: &'a mut Resolve<'a, S>,
    pub(super) join: &'a mut dyn FnMut(&Field, &Query, usize) -> Result<Join, Fault>,
}

/// Binds a condition.
pub(super) fn test<S>(condition: &Condition, known: &mut Known<'_, S>) -> Result<Test<S>, Fault> {
    term(condition, known, true)
}

/// `top`: not within OR or NOT, where alone a query may stand.
fn term<S>(condition: &Condition, known: &mut Known<'_, S>, top: bool) -> Result<Test<S>, Fault> {
    let mut each = |terms: &[Condition], top: bool| -> Result<Vec<Test<S>>, Fault> {
        terms.iter().map(|inner| term(inner, known, top)).collect()
    };
    match condition {
        Condition::All(terms) => each(terms, top).map(Test::All),
        Condition::Any(terms) => each(terms, false).map(Test::Any),
        Condition::Not(inner) => Ok(Test::Not(Box::new(term(inner, known, false)?))),
        Condition::Compare { subject, op, value } => {
            let at = subject.name().at;
            let (subject, field) = (known.resolve)(subject)?;
            check_operator(*op, &field, at)?;
            match (op, value) {
                (Op::Like, Literal::Text { raw, .. }) => {
                    Ok(Test::Like { subject, pattern: pattern(raw, field.exact) })
                }
                _ => Ok(Test::Compare { subject, op: *op, with: operand(value, &field, at)? }),
            }
        }
        Condition::In { subject, negated, values } => {
            let at = subject.name().at;
            let (subject, field) = (known.resolve)(subject)?;
            let mut set = Set::default();
            for value in values {
                match operand(value, &field, at)? {
                    Operand::Text(text) => drop(set.texts.insert(text)),
                    other => set.others.push(other),
                }
            }
            Ok(Test::In { subject, negated: *negated, set })
        }
        Condition::Join { subject, negated, query } => {
            let at = subject.name().at;
            if !top {
                let message = "Semi join sub-selects are only allowed at the top level WHERE expressions and not in nested WHERE expressions.";
                return Err(Fault::at("MALFORMED_QUERY", at, message));
            }
            let (subject, field) = (known.resolve)(subject)?;
            let inner = Box::new((known.join)(&field, query, at)?);
            Ok(Test::Join { subject, negated: *negated, inner })
        }
    }
}

fn check_operator(op: Op, field: &Field, at: usize) -> Result<(), Fault> {
    let possible = match (field.kind, op) {
        (_, Op::Eq | Op::Ne) => true,
        (kind, Op::Like) => kind == Type::Text,
        (kind, _) => kind != Type::Boolean,
    };
    if possible {
        return Ok(());
    }
    let message = format!("invalid operator on {} field", field.kind.word());
    Err(Fault::at("INVALID_QUERY_FILTER_OPERATOR", at, message))
}

/// A literal as a field's type reads it.
fn operand(literal: &Literal, field: &Field, at: usize) -> Result<Operand, Fault> {
    let mistyped = || {
        let quotes = if field.kind == Type::Text { "should be" } else { "should not be" };
        let message = format!(
            "value of filter criterion for field '{}' must be of type {} and {quotes} enclosed in quotes",
            field.name,
            field.kind.word()
        );
        Err(Fault::at("INVALID_FIELD", at, message))
    };
    match (field.kind, literal) {
        (Type::Boolean, Literal::Null) => Ok(Operand::Bool(false)),
        (_, Literal::Null) => Ok(Operand::Null),
        (Type::Id, Literal::Text { value, .. }) => match long_id(value) {
            Some(id) => Ok(Operand::Text(id)),
            None => {
                let message = format!("invalid ID field: {value}");
                Err(Fault::at("INVALID_QUERY_FILTER_OPERATOR", at, message))
            }
        },
        // No field holds an empty text.
        (Type::Text, Literal::Text { value, .. }) if value.is_empty() => Ok(Operand::Null),
        (Type::Text, Literal::Text { value, .. }) if value.chars().count() > LONGEST => {
            let message = format!("maximum length of string literals in WHERE clauses is {LONGEST}");
            Err(Fault::at("INVALID_QUERY_FILTER_OPERATOR", at, message))
        }
        (Type::Text, Literal::Text { value, .. }) => {
            Ok(Operand::Text(if field.exact { value.clone() } else { value.to_lowercase() }))
        }
        (Type::Boolean, Literal::Bool(value)) => Ok(Operand::Bool(*value)),
        (Type::Number, Literal::Number(text)) => number(text).map_or_else(mistyped, Ok),
        (Type::Int, Literal::Number(text)) if !text.contains(['.', 'e', 'E']) => {
            number(text).map_or_else(mistyped, Ok)
        }
        (Type::Date, Literal::Date(date)) => Ok(Operand::Date(date.to_string())),
        (Type::Date, Literal::Period(period)) => {
            let (from, to) = period.days(Utc::now().date_naive());
            Ok(Operand::Days(from.to_string(), to.to_string()))
        }
        (Type::Instant, Literal::Instant(time)) => Ok(Operand::Instant(*time)),
        (Type::Instant, Literal::Period(period)) => {
            let (from, to) = period.days(Utc::now().date_naive());
            Ok(Operand::Span(midnight(from), midnight(to)))
        }
        _ => mistyped(),
    }
}

fn number(text: &str) -> Option<Operand> {
    let value: f64 = text.parse().ok().filter(|value: &f64| value.is_finite())?;
    Some(Operand::Number { value, text: text.to_owned() })
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// A LIKE pattern of a text as it was written: `\%` and `\_` are the characters themselves.
fn pattern(raw: &str, exact: bool) -> Vec<Piece> {
    let folded = if exact { raw.to_owned() } else { raw.to_lowercase() };
    let mut pieces = Vec::new();
    let mut chars = folded.chars();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            '%' => Piece::Any,
            '_' => Piece::One,
            '\\' => Piece::Char(match chars.next() {
                Some('n' | 'N') => '\n',
                Some('r' | 'R') => '\r',
                Some('t' | 'T') => '\t',
                Some('b' | 'B') => '\u{8}',
                Some('f' | 'F') => '\u{c}',
                Some('u' | 'U') => {
                    let digits: String = chars.by_ref().take(4).collect();
                    u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).unwrap_or('\u{fffd}')
                }
                Some(other) => other,
                None => '\\',
            }),
            c => Piece::Char(c),
        });
    }
    pieces
}

/// The ids that a condition leaves possible, where `find` knows them by texts that a path must equal.
pub(super) fn keys(test: &Test<Path>, find: &Find<'_>) -> Option<Vec<String>> {
    let mut found = match test {
        Test::All(terms) => return terms.iter().find_map(|term| keys(term, find)),
        Test::Compare { subject, op: Op::Eq, with: Operand::Text(text) } => {
            find(subject, &mut std::iter::once(text))
        }
        Test::In { subject, negated: false, set } if set.others.is_empty() => {
            find(subject, &mut set.texts.iter())
        }
        _ => None,
    }?;
    // As a search would find them.
    found.sort_unstable();
    found.dedup();
    Some(found)
}
