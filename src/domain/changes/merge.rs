//! Changes on both sides, merged by field, three ways: what the row had before, what it has now, what the record has.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::mappings::field::{Field, FieldType};
use crate::domain::values::key;
use crate::domain::values::number;

/// Who wins a field that changed on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The later change. For a change that failed: `manual`, for it would win long after it was made.
    #[default]
    NewestWins,
    /// The record's value.
    SalesforceWins,
    /// The row's value.
    PostgresWins,
    /// A person chooses.
    Manual,
}

impl Policy {
    /// All of them.
    pub const ALL: [Policy; 4] =
        [Policy::NewestWins, Policy::SalesforceWins, Policy::PostgresWins, Policy::Manual];

    /// The word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Policy::NewestWins => "newest_wins",
            Policy::SalesforceWins => "salesforce_wins",
            Policy::PostgresWins => "postgres_wins",
            Policy::Manual => "manual",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<Policy> {
        Policy::ALL.into_iter().find(|policy| policy.word() == word)
    }
}

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The row.
    Postgres,
    /// The record.
    Salesforce,
}

impl Side {
    /// The word in the database.
    pub fn word(self) -> &'static str {
        match self {
            Side::Postgres => "postgres",
            Side::Salesforce => "salesforce",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<Side> {
        [Side::Postgres, Side::Salesforce].into_iter().find(|side| side.word() == word)
    }
}

/// What the row's side did to one field and Salesforce does not know yet. Values as they are, or would be, sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Local {
    /// Before the first of these changes; `None` where nobody knows, as for a new row.
    pub base: Option<Option<String>>,
    /// Every value it had since: one of them may have arrived without an answer.
    pub since: Vec<Option<String>>,
    /// When it changed last.
    pub at: DateTime<Utc>,
    /// Whether Salesforce rejected it.
    pub failed: bool,
}

/// What becomes of one field that has an unsent change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merged {
    /// It changed on the row's side alone.
    Keep,
    /// It changed on both; the winner is known.
    Decided(Side),
    /// It changed on both; a person chooses.
    Undecided,
}

/// Merges one field: `theirs` is the record's value, changed at `changed` at the latest.
pub fn merge(
    policy: Policy,
    field: &Field,
    ours: &Local,
    theirs: Option<&str>,
    changed: DateTime<Utc>,
) -> Merged {
    let known = ours.base.iter().chain(&ours.since);
    if known.into_iter().any(|value| same(field, value.as_deref(), theirs)) {
        return Merged::Keep;
    }
    if ours.base.is_none() && theirs.is_none() {
        return Merged::Keep;
    }
    match policy {
        Policy::SalesforceWins => Merged::Decided(Side::Salesforce),
        Policy::PostgresWins => Merged::Decided(Side::Postgres),
        Policy::Manual => Merged::Undecided,
        Policy::NewestWins if ours.failed => Merged::Undecided,
        // A record's stamp has whole seconds: within one, the row's change counts as the later.
        Policy::NewestWins if changed > ours.at => Merged::Decided(Side::Salesforce),
        Policy::NewestWins => Merged::Decided(Side::Postgres),
    }
}

/// Whether two texts are one value to Salesforce: outer blanks, empty and NULL, ids of 15 and 18 characters, digits
/// beyond the field's scale and parts of a second make no difference.
pub fn same(field: &Field, a: Option<&str>, b: Option<&str>) -> bool {
    let blank = |text: Option<&str>| text.is_none_or(|text| text.trim().is_empty());
    match (a, b) {
        _ if blank(a) && blank(b) => true,
        (Some(a), Some(b)) if !blank(Some(a)) && !blank(Some(b)) => match field.kind {
            FieldType::Int | FieldType::Double => same_number(field, a, b),
            _ => plain(field, a) == plain(field, b),
        },
        // A checkbox is never null.
        (Some(one), _) | (_, Some(one)) if field.kind == FieldType::Boolean => plain(field, one) == "false",
        _ => false,
    }
}

fn same_number(field: &Field, a: &str, b: &str) -> bool {
    let scale = (field.precision > 0).then_some(field.scale);
    let equal = match field.kind {
        FieldType::Int => number::equal(a, b),
        _ => number::equal_in_a_double(a, b, scale),
    };
    equal.unwrap_or_else(|| a.trim() == b.trim())
}

/// A value in the one form in which equal values are alike.
fn plain(field: &Field, text: &str) -> String {
    let text = text.trim();
    match field.kind {
        FieldType::Boolean if matches!(text, "t" | "true") => "true".to_owned(),
        FieldType::Boolean if matches!(text, "f" | "false") => "false".to_owned(),
        FieldType::Id | FieldType::Reference => text.get(..15).unwrap_or(text).to_owned(),
        FieldType::Datetime => {
            let text = text.replace(' ', "T");
            let whole = text.split(['.', 'Z', '+']).next().unwrap_or(&text);
            if whole.matches(':').count() == 1 { format!("{whole}:00") } else { whole.to_owned() }
        }
        FieldType::Time => text.split(['.', 'Z']).next().unwrap_or(text).to_owned(),
        FieldType::Multipicklist => {
            let mut values: Vec<&str> = text.split(';').map(str::trim).collect();
            values.sort_unstable();
            values.join(";")
        }
        // It names a parent by its key.
        FieldType::String if field.name.contains('.') => key::fold(field, text).unwrap_or_default(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn field(kind: FieldType) -> Field {
        Field { precision: 18, scale: 2, ..Field::plain("F", kind) }
    }

    #[test]
    fn what_only_looks_different_is_the_same() {
        for (kind, a, b) in [
            (FieldType::String, Some(" a "), Some("a")),
            (FieldType::String, Some("  "), None),
            (FieldType::Boolean, Some("t"), Some("true")),
            (FieldType::Boolean, None, Some("false")),
            (FieldType::Double, Some("1.50"), Some("1.5")),
            (FieldType::Double, Some("12.344999"), Some("12.34")),
            (FieldType::Double, Some("-0.001"), Some("0")),
            (FieldType::Int, Some("23"), Some("23.0")),
            (FieldType::Reference, Some("001Ws00003GGHVC"), Some("001Ws00003GGHVCIA5")),
            (FieldType::Datetime, Some("2026-11-20 14:02:11.25"), Some("2026-11-20T14:02:11.000+0000")),
            (FieldType::Datetime, Some("2026-11-20 14:02"), Some("2026-11-20T14:02:00")),
            (FieldType::Multipicklist, Some("b;a"), Some("a; b")),
        ] {
            assert!(same(&field(kind), a, b) && same(&field(kind), b, a), "{kind:?} {a:?} {b:?}");
        }
        for (kind, a, b) in [
            (FieldType::String, Some("a"), Some("A")),
            (FieldType::String, Some("a"), None),
            (FieldType::Boolean, None, Some("true")),
            (FieldType::Double, Some("12.34"), Some("12.35")),
            (FieldType::Double, Some("123456789012345.12"), Some("123456789012345.14")),
            (FieldType::Int, Some("9007199254740993"), Some("9007199254740992")),
            (FieldType::Date, Some("2026-11-20"), Some("2026-11-21")),
        ] {
            assert!(!same(&field(kind), a, b) && !same(&field(kind), b, a), "{kind:?} {a:?} {b:?}");
        }
    }

    #[test]
    fn a_failed_change_is_left_to_a_person_by_default() {
        let ours =
            Local { base: Some(Some("a".into())), since: vec![Some("b".into())], at: at(9), failed: true };
        let merged = |policy| merge(policy, &field(FieldType::String), &ours, Some("c"), at(1));
        assert_eq!(merged(Policy::NewestWins), Merged::Undecided);
        assert_eq!(merged(Policy::PostgresWins), Merged::Decided(Side::Postgres));
    }

    #[test]
    fn a_new_row_meets_a_record_that_is_there() {
        let ours = Local { base: None, since: vec![Some("b".into())], at: at(9), failed: false };
        let merged = |theirs| merge(Policy::SalesforceWins, &field(FieldType::String), &ours, theirs, at(1));
        assert_eq!(merged(None), Merged::Keep);
        assert_eq!(merged(Some("b")), Merged::Keep);
        assert_eq!(merged(Some("c")), Merged::Decided(Side::Salesforce));
    }

    /// The plain model: two people change one value, each at a time; what they find is what the other did since.
    fn model(policy: Policy, base: u8, ours: &[(u8, i64)], theirs: &[(u8, i64)]) -> Merged {
        let record = theirs.last().map_or(base, |(value, _)| *value);
        let changed_there = record != base;
        let alike = ours.iter().any(|(value, _)| *value == record);
        match (changed_there && !alike, policy) {
            (false, _) => Merged::Keep,
            (_, Policy::SalesforceWins) => Merged::Decided(Side::Salesforce),
            (_, Policy::PostgresWins) => Merged::Decided(Side::Postgres),
            (_, Policy::Manual) => Merged::Undecided,
            (_, Policy::NewestWins) => {
                let last = |changes: &[(u8, i64)]| changes.iter().map(|(_, at)| *at).max();
                let there = last(theirs) > last(ours);
                Merged::Decided(if there { Side::Salesforce } else { Side::Postgres })
            }
        }
    }

    proptest! {
        #[test]
        fn merging_is_what_a_plain_model_says(
            base in 0..4_u8,
            ours in prop::collection::vec((0..4_u8, 0..50_i64), 1..4),
            theirs in prop::collection::vec((0..4_u8, 0..50_i64), 0..4),
            policy in prop::sample::select(Policy::ALL.to_vec()),
        ) {
            let text = |value: u8| if value == 0 { None } else { Some(value.to_string()) };
            let local = Local {
                base: Some(text(base)),
                since: ours.iter().map(|(value, _)| text(*value)).collect(),
                at: at(ours.iter().map(|(_, at)| *at).max().unwrap()),
                failed: false,
            };
            let record = theirs.last().map_or(base, |(value, _)| *value);
            let changed = at(theirs.iter().map(|(_, at)| *at).max().unwrap_or(0));
            let merged = merge(policy, &field(FieldType::String), &local, text(record).as_deref(), changed);
            prop_assert_eq!(merged, model(policy, base, &ours, &theirs));
        }
    }
}
