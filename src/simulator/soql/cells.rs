//! Single values: how they are read from a record, compared and sorted.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::ast::Op;
use super::plan::{Operand, Path, Piece, Set, Slot, Sort, Step, Test, Type};
use crate::simulator::fields::Held;
use crate::simulator::records::Record;
use crate::simulator::tables::Snapshot;
use crate::simulator::values::{decimal, parse_datetime};

/// A value of a field, borrowed where it is stored.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    Null,
    Bool(bool),
    /// Its digits.
    Number(&'a str),
    Text(&'a str),
    Instant(DateTime<Utc>),
}

/// A record with the place of its object.
pub(super) type Found<'a> = (usize, &'a Record);

/// The record that a path's last field belongs to.
pub(super) fn owner<'a>(snapshot: &'a Snapshot, path: &Path, from: Found<'a>) -> Option<Found<'a>> {
    path.steps.iter().try_fold(from, |record, step| parent(snapshot, step, record))
}

/// The record that one looks up to.
pub(super) fn parent<'a>(snapshot: &'a Snapshot, step: &Step, (_, record): Found<'a>) -> Option<Found<'a>> {
    let id = record.lookup(&step.lookup)?;
    step.objects.iter().find_map(|&place| Some((place, snapshot.views[place].records.get(id)?.as_ref())))
}

/// What a path leads to. A yes or no that is not there, also of a parent that is not, counts as no.
pub(super) fn cell<'a>(snapshot: &'a Snapshot, path: &Path, from: Found<'a>) -> Cell<'a> {
    match found(snapshot, path, from) {
        Cell::Null if path.field.kind == Type::Boolean => Cell::Bool(false),
        cell => cell,
    }
}

fn found<'a>(snapshot: &'a Snapshot, path: &Path, from: Found<'a>) -> Cell<'a> {
    let Some((object, record)) = owner(snapshot, path, from) else { return Cell::Null };
    match &path.slot {
        Slot::Id => Cell::Text(&record.id),
        Slot::IsDeleted => Cell::Bool(record.deleted),
        // The stamps stand apart from the other values, so that a poll need not write and read thousands of instants.
        Slot::Created => Cell::Instant(record.created),
        Slot::CreatedBy => Cell::Text(record.created_by.id()),
        Slot::ModifiedBy => Cell::Text(record.modified_by.id()),
        Slot::Modified => Cell::Instant(record.modified),
        Slot::Object => Cell::Text(&snapshot.views[object].def.name),
        Slot::Stored(name) => {
            record.fields.get(name).map_or(Cell::Null, |held| Cell::held(held, path.field.kind))
        }
    }
}

/// The value of a path's field as an answer holds it.
pub(super) fn value(snapshot: &Snapshot, path: &Path, (object, record): Found<'_>) -> Value {
    match &path.slot {
        Slot::Object => Value::from(snapshot.views[object].def.name.as_str()),
        _ => record.get(&path.field.name),
    }
}

impl<'a> Cell<'a> {
    pub(super) fn of(value: &'a Value, kind: Type) -> Cell<'a> {
        let held = match value {
            Value::Bool(value) => Held::Bool(*value),
            Value::Number(number) => Held::Number(number.as_str()),
            Value::String(text) => Held::Text(text),
            _ => return Cell::Null,
        };
        Cell::held(held, kind)
    }

    fn held(held: Held<'a>, kind: Type) -> Cell<'a> {
        match held {
            Held::Bool(value) => Cell::Bool(value),
            Held::Number(digits) => Cell::Number(digits),
            Held::Text(text) if kind == Type::Instant => {
                parse_datetime(text).map_or(Cell::Null, Cell::Instant)
            }
            Held::Text(text) => Cell::Text(text),
            Held::Json(_) | Held::Null => Cell::Null,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Cell::Null)
    }

    /// Whether a comparison holds. No value is smaller or greater than none.
    pub(super) fn satisfies(&self, op: Op, with: &Operand, exact: bool) -> bool {
        let ordering = match with {
            Operand::Null => self.is_null().then_some(Ordering::Equal),
            operand => self.compare(operand, exact),
        };
        match op {
            Op::Eq => ordering == Some(Ordering::Equal),
            Op::Ne => ordering != Some(Ordering::Equal),
            _ if matches!(with, Operand::Null) => false,
            Op::Lt => ordering == Some(Ordering::Less),
            Op::Le => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
            Op::Gt => ordering == Some(Ordering::Greater),
            Op::Ge => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
            Op::Like => false,
        }
    }

    /// Against a value, or a span: within it is equal. `None` where they cannot be compared.
    fn compare(&self, with: &Operand, exact: bool) -> Option<Ordering> {
        match (self, with) {
            (Cell::Bool(a), Operand::Bool(b)) => Some(a.cmp(b)),
            (Cell::Number(a), Operand::Number { value, text }) => {
                let ordering = a.parse::<f64>().ok()?.partial_cmp(value);
                ordering.map(|so_far| so_far.then_with(|| digits(a, text)))
            }
            (Cell::Text(a), Operand::Text(b)) if exact => Some((*a).cmp(b.as_str())),
            (Cell::Text(a), Operand::Text(b)) => Some(folded_cmp(a, b)),
            (Cell::Text(a), Operand::Date(b)) => Some((*a).cmp(b.as_str())),
            (Cell::Text(a), Operand::Days(from, to)) => Some(within(a, &from.as_str(), &to.as_str())),
            (Cell::Instant(a), Operand::Instant(b)) => Some(a.cmp(b)),
            (Cell::Instant(a), Operand::Span(from, to)) => Some(within(a, from, to)),
            _ => None,
        }
    }

    /// Whether a list has it.
    pub(super) fn is_in(&self, set: &Set, exact: bool) -> bool {
        let listed = match self {
            Cell::Text(text) if exact => set.texts.contains(*text),
            Cell::Text(text) if !set.texts.is_empty() => set.texts.contains(&text.to_lowercase()),
            _ => false,
        };
        listed || set.others.iter().any(|other| self.satisfies(Op::Eq, other, exact))
    }

    pub(super) fn is_like(&self, pattern: &[Piece], exact: bool) -> bool {
        match self {
            Cell::Text(text) if exact => like(&text.chars().collect::<Vec<_>>(), pattern),
            Cell::Text(text) => like(&text.to_lowercase().chars().collect::<Vec<_>>(), pattern),
            _ => false,
        }
    }

    /// What it is sorted by; `exact` tells apart what differs in case.
    pub(super) fn key(&self, exact: bool) -> Key {
        match self {
            Cell::Null => Key::Null,
            Cell::Bool(value) => Key::Bool(*value),
            Cell::Number(number) => Key::Number(number.parse().unwrap_or_default(), (*number).to_owned()),
            Cell::Text(text) if exact => Key::Text((*text).to_owned()),
            Cell::Text(text) => Key::Text(text.to_lowercase()),
            Cell::Instant(time) => Key::Instant(*time),
        }
    }
}

fn within<T: Ord>(value: T, from: T, to: T) -> Ordering {
    if value < from {
        Ordering::Less
    } else if value < to {
        Ordering::Equal
    } else {
        Ordering::Greater
    }
}

/// SOQL compares text without regard to case; `folded` is in lower case already.
fn folded_cmp(text: &str, folded: &str) -> Ordering {
    if text.is_ascii() {
        return text.bytes().map(|byte| byte.to_ascii_lowercase()).cmp(folded.bytes());
    }
    text.to_lowercase().as_str().cmp(folded)
}

/// Two numbers that are one to a float, digit by digit.
fn digits(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| {
        let plain = decimal(text).to_string();
        let negative = plain.starts_with('-');
        let plain = plain.trim_start_matches('-').to_owned();
        let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
        (negative, whole.to_owned(), fraction.to_owned())
    };
    let ((negative, a_whole, a_fraction), (_, b_whole, b_fraction)) = (parts(a), parts(b));
    let ordering = (a_whole.len(), a_whole, a_fraction).cmp(&(b_whole.len(), b_whole, b_fraction));
    if negative { ordering.reverse() } else { ordering }
}

/// Whether a text matches a pattern: the last `%` takes one character more each time the rest does not fit.
fn like(text: &[char], pattern: &[Piece]) -> bool {
    let (mut at, mut piece) = (0, 0);
    let mut retry = None;
    while at < text.len() {
        match pattern.get(piece) {
            Some(Piece::Any) => {
                retry = Some((at, piece + 1));
                piece += 1;
            }
            Some(Piece::One) => (at, piece) = (at + 1, piece + 1),
            Some(Piece::Char(c)) if *c == text[at] => (at, piece) = (at + 1, piece + 1),
            _ => {
                let Some((from, after)) = retry else { return false };
                retry = Some((from + 1, after));
                (at, piece) = (from + 1, after);
            }
        }
    }
    pattern[piece..].iter().all(|piece| *piece == Piece::Any)
}

/// A value to sort by.
#[derive(Clone, Debug)]
pub(super) enum Key {
    Null,
    Bool(bool),
    Number(f64, String),
    Text(String),
    Instant(DateTime<Utc>),
}

impl Key {
    /// Kinds that do not compare stand one behind the other: a field that was of another type has values of both.
    fn rank(&self) -> u8 {
        match self {
            Key::Null => 0,
            Key::Bool(_) => 1,
            Key::Number(..) => 2,
            Key::Text(_) => 3,
            Key::Instant(_) => 4,
        }
    }

    /// The order of two values, with the place of nulls, which does not turn with the direction.
    pub(super) fn order(&self, other: &Key, descending: bool, nulls_last: bool) -> Ordering {
        let ordering = match (self, other) {
            (Key::Null, Key::Null) => return Ordering::Equal,
            (Key::Null, _) => return if nulls_last { Ordering::Greater } else { Ordering::Less },
            (_, Key::Null) => return if nulls_last { Ordering::Less } else { Ordering::Greater },
            (Key::Bool(a), Key::Bool(b)) => a.cmp(b),
            (Key::Number(a, a_text), Key::Number(b, b_text)) => {
                a.total_cmp(b).then_with(|| digits(a_text, b_text))
            }
            (Key::Text(a), Key::Text(b)) => a.cmp(b),
            (Key::Instant(a), Key::Instant(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        };
        if descending { ordering.reverse() } else { ordering }
    }
}

/// Sorts by the keys, each of which is read once; what is equal stays in its order.
pub(super) fn sort<T, S>(found: &mut Vec<T>, order: &[Sort<S>], key: impl Fn(&T, &S) -> Key) {
    if order.is_empty() {
        return;
    }
    let mut keyed: Vec<(Vec<Key>, T)> = std::mem::take(found)
        .into_iter()
        .map(|one| (order.iter().map(|sort| key(&one, &sort.by)).collect(), one))
        .collect();
    keyed.sort_by(|(a, _), (b, _)| {
        let pairs = order.iter().zip(a.iter().zip(b));
        pairs.fold(Ordering::Equal, |so_far, (sort, (a, b))| {
            so_far.then_with(|| a.order(b, sort.descending, sort.nulls_last))
        })
    });
    found.extend(keyed.into_iter().map(|(_, one)| one));
}

/// Whether a condition holds; `of` tells what a subject is, and whether its case counts.
pub(super) fn holds<'a, S>(test: &Test<S>, of: &dyn Fn(&S) -> (Cell<'a>, bool)) -> bool {
    match test {
        Test::All(terms) => terms.iter().all(|term| holds(term, of)),
        Test::Any(terms) => terms.iter().any(|term| holds(term, of)),
        Test::Not(inner) => !holds(inner, of),
        Test::Compare { subject, op, with } => {
            let (cell, exact) = of(subject);
            cell.satisfies(*op, with, exact)
        }
        Test::Like { subject, pattern } => {
            let (cell, exact) = of(subject);
            cell.is_like(pattern, exact)
        }
        Test::In { subject, negated, set } => {
            let (cell, exact) = of(subject);
            cell.is_in(set, exact) != *negated
        }
        Test::Join { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `%` and `_` by trying everything.
    fn slowly_like(text: &[char], pattern: &[Piece]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((Piece::Any, rest)) => (0..=text.len()).any(|skip| slowly_like(&text[skip..], rest)),
            Some((piece, rest)) => text.split_first().is_some_and(|(first, text)| {
                (*piece == Piece::One || *piece == Piece::Char(*first)) && slowly_like(text, rest)
            }),
        }
    }

    #[test]
    fn numbers_are_compared_with_all_their_digits() {
        let ordering = |a: &str, b: &str| {
            let with = Operand::Number { value: b.parse().unwrap(), text: b.to_owned() };
            Cell::Number(a).compare(&with, false).unwrap()
        };
        assert_eq!(ordering("9007199254740993.0", "9007199254740992"), Ordering::Greater);
        assert_eq!(ordering("-9007199254740993.0", "-9007199254740992"), Ordering::Less);
        assert_eq!(ordering("1.50", "1.5e0"), Ordering::Equal);
        assert_eq!(ordering("-2", "1"), Ordering::Less);
    }

    proptest! {
        #[test]
        fn like_finds_what_trying_everything_finds(text in "[abc]{0,8}", pattern in "[abc%_]{0,8}") {
            let text: Vec<char> = text.chars().collect();
            let pieces = |c| match c {
                '%' => Piece::Any,
                '_' => Piece::One,
                c => Piece::Char(c),
            };
            let pattern: Vec<Piece> = pattern.chars().map(pieces).collect();
            prop_assert_eq!(like(&text, &pattern), slowly_like(&text, &pattern));
        }

        #[test]
        fn a_number_is_ordered_as_what_it_is(a in any::<i64>(), b in any::<i64>()) {
            let (number, text) = (a.to_string(), b.to_string());
            let with = Operand::Number { value: b as f64, text };
            prop_assert_eq!(Cell::Number(&number).compare(&with, false), Some(a.cmp(&b)));
        }
    }
}
