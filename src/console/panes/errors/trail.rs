//! The filters that one went through, and those that were typed.

/// Typed filters that are remembered.
const REMEMBERED: usize = 100;

/// Them, and where one is.
#[derive(Debug, Default)]
pub struct FilterTrail {
    /// Filters that were typed, newest last.
    pub typed: Vec<String>,
    passed: Vec<String>,
    at: usize,
}

impl FilterTrail {
    /// Another filter is gone to: the way back leads to this one.
    pub(super) fn leave(&mut self, filter: String) {
        self.passed.truncate(self.at);
        self.passed.push(filter);
        self.at = self.passed.len();
    }

    /// The filter before the one that is in force, or the one after it; `None` when there is none.
    pub(super) fn step(&mut self, in_force: &str, newer: bool) -> Option<String> {
        if self.at == self.passed.len() {
            self.passed.push(in_force.to_owned());
        }
        let to = if newer { self.at.checked_add(1) } else { self.at.checked_sub(1) }?;
        let filter = self.passed.get(to)?.clone();
        self.at = to;
        Some(filter)
    }

    /// Remembers a filter that was typed.
    pub fn remember(&mut self, filter: &str) {
        let filter = filter.trim();
        if !filter.is_empty() {
            self.typed.retain(|other| other != filter);
            self.typed.push(filter.to_owned());
            let surplus = self.typed.len().saturating_sub(REMEMBERED);
            self.typed.drain(..surplus);
        }
    }
}
