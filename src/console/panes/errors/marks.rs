//! The errors that are marked.

use std::collections::BTreeSet;

/// Them, by their numbers, or all that match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The numbers.
    pub ids: BTreeSet<i64>,
    /// Whether all that match are marked.
    pub all: bool,
}

impl Marks {
    /// Whether something is marked.
    pub fn any(&self) -> bool {
        self.all || !self.ids.is_empty()
    }
}
