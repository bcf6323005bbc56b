//! In which order errors are listed, and a place in such a list.

use chrono::{DateTime, Utc};

use crate::domain::errors::sync_error::SyncError;

/// An order. What is equal in it stands by `last_seen` where that is cheap, else by number, in the same direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// The greatest first.
    pub descending: bool,
}

impl Default for Sort {
    /// What failed last comes first.
    fn default() -> Sort {
        Sort { by: SortBy::LastSeen, descending: true }
    }
}

impl Sort {
    /// Reads an order as typed: `code`, or `-last_seen` for the greatest first.
    ///
    /// # Errors
    /// An unknown word; the text names those that are known.
    pub fn parse(text: &str) -> Result<Sort, String> {
        let (word, descending) = text.strip_prefix('-').map_or((text, false), |word| (word, true));
        let by = SortBy::from_word(word).ok_or_else(|| {
            let words: Vec<&str> = SortBy::ALL.iter().map(|by| by.word()).collect();
            format!(
                "{word:?} is no order\nuse one of {}, with - before it for the greatest first",
                words.join(", ")
            )
        })?;
        Ok(Sort { by, descending })
    }
}

/// What errors can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortBy {
    /// When it was seen last.
    LastSeen,
    /// When it was seen first.
    FirstSeen,
    /// The mapping's object name.
    Mapping,
    /// The number of the row; errors of no row stand as 0.
    Row,
    /// Code.
    Code,
    /// The fields at fault.
    Field,
    /// How often Salesforce rejected the record.
    Attempts,
    /// State, by its word.
    State,
    /// When it is sent again by itself; what is not stands as never, which is last.
    NextRetry,
}

impl SortBy {
    /// All of them.
    pub const ALL: [SortBy; 9] = [
        SortBy::LastSeen,
        SortBy::FirstSeen,
        SortBy::Mapping,
        SortBy::Row,
        SortBy::Code,
        SortBy::Field,
        SortBy::Attempts,
        SortBy::State,
        SortBy::NextRetry,
    ];

    /// The word for it on the command line and in settings.
    pub fn word(self) -> &'static str {
        match self {
            SortBy::LastSeen => "last_seen",
            SortBy::FirstSeen => "first_seen",
            SortBy::Mapping => "mapping",
            SortBy::Row => "row",
            SortBy::Code => "code",
            SortBy::Field => "field",
            SortBy::Attempts => "attempts",
            SortBy::State => "state",
            SortBy::NextRetry => "next_retry",
        }
    }

    /// Whether one looks for the greatest first when one begins to sort by it.
    pub fn begins_descending(self) -> bool {
        matches!(self, SortBy::LastSeen | SortBy::FirstSeen | SortBy::Attempts)
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<SortBy> {
        SortBy::ALL.into_iter().find(|by| by.word() == word)
    }
}

/// A place in a list: the list goes on behind it. Of one order only.
#[derive(Clone, Debug, PartialEq)]
pub struct PageKey {
    /// What the order is by.
    pub(crate) place: SortValue,
    /// When the error there was seen last.
    pub(crate) last_seen: DateTime<Utc>,
    /// Its number.
    pub(crate) id: i64,
    /// Whether it is known that no index finds what matches, only looking at one error after the other.
    pub(crate) walking: bool,
}

/// A value that an order is by.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub(crate) enum SortValue {
    Time(DateTime<Utc>),
    Never(Option<DateTime<Utc>>),
    Word(String),
    Words(Vec<String>),
    Number(i32),
}

impl PageKey {
    /// The place of an error in an order.
    pub fn of(by: SortBy, error: &SyncError) -> PageKey {
        let place = match by {
            SortBy::LastSeen => SortValue::Time(error.last_seen),
            SortBy::FirstSeen => SortValue::Time(error.first_seen),
            SortBy::Mapping => SortValue::Word(error.mapping.clone()),
            SortBy::Row => SortValue::Number(error.row_id.map_or(0, |row| row.0)),
            SortBy::Code => SortValue::Word(error.code.clone()),
            SortBy::Field => SortValue::Words(error.fields.clone()),
            SortBy::Attempts => SortValue::Number(error.attempts),
            SortBy::State => SortValue::Word(error.state.word().to_owned()),
            SortBy::NextRetry => SortValue::Never(error.next_retry_at),
        };
        PageKey { place, last_seen: error.last_seen, id: error.id, walking: false }
    }

    /// The place right before an error: the list goes on with the error itself.
    pub fn before(sort: Sort, error: &SyncError) -> PageKey {
        let key = PageKey::of(sort.by, error);
        PageKey {
            id: if sort.descending { key.id.saturating_add(1) } else { key.id.saturating_sub(1) },
            ..key
        }
    }

    /// Whether an error stands behind another one in an order, as far as that can be told here: of words PostgreSQL may
    /// have an order of its own.
    pub fn is_behind(sort: Sort, error: &SyncError, other: &SyncError) -> bool {
        let place = |error| {
            let PageKey { place, last_seen, id, .. } = PageKey::of(sort.by, error);
            (place, last_seen, id)
        };
        let (error, other) = (place(error), place(other));
        if sort.descending { error < other } else { error > other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_earlier_stands_behind_in_the_order_of_the_newest() {
        let error = |id: i64, seen: i64| SyncError {
            last_seen: DateTime::UNIX_EPOCH + chrono::Duration::seconds(seen),
            ..SyncError::sample(id, "STRING_TOO_LONG")
        };
        let newest = Sort::default();
        assert!(PageKey::is_behind(newest, &error(9, 1), &error(1, 2)));
        assert!(PageKey::is_behind(newest, &error(1, 2), &error(2, 2)));
        assert!(!PageKey::is_behind(Sort { descending: false, ..newest }, &error(1, 2), &error(2, 2)));
        assert_eq!(PageKey::before(newest, &error(7, 1)).id, 8);
    }

    #[test]
    fn every_order_has_a_word_and_a_direction() {
        for by in SortBy::ALL {
            assert_eq!(Sort::parse(by.word()), Ok(Sort { by, descending: false }));
            assert_eq!(Sort::parse(&format!("-{}", by.word())), Ok(Sort { by, descending: true }));
        }
        assert_eq!(Sort::parse("-last_seen"), Ok(Sort::default()));
        assert!(Sort::parse("colour").unwrap_err().contains("last_seen, first_seen, mapping"));
    }
}
