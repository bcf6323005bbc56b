//! What the lines say in the words of their rows: asked for where they show, and kept as long as the errors are the same.

use std::collections::HashSet;

use super::ErrorsPane;
use crate::domain::errors::summary::Summary;
use crate::domain::errors::sync_error::SyncError;

/// Lines around those that show, which are asked for with them.
const AROUND: usize = 40;
/// Errors whose words are kept at most.
const MOST: usize = 5_000;

/// How what is known of rows stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Words {
    /// As it came.
    #[default]
    Known,
    /// It came a while ago: other rows wait by now, or another value stands there.
    InDoubt,
    /// It was asked for, and did not come.
    Refused,
}

impl ErrorsPane {
    /// What an error's row says, where that is known.
    pub fn words_of(&self, error: &SyncError) -> Option<&Summary> {
        self.words.get(&error.id)
    }

    /// What is known of rows may have changed since: it is asked for again where it shows, also after it did not come.
    pub fn doubt_words(&mut self) {
        self.words_are = Words::InDoubt;
    }

    /// The words did not come: the lines have their codes, and nothing is asked for until the next look.
    pub fn words_refused(&mut self) {
        self.words_are = Words::Refused;
    }

    /// The errors in sight whose words are not known, are of an earlier failure, or are in doubt.
    pub fn wordless(&self, height: usize) -> Vec<SyncError> {
        if self.words_are == Words::Refused {
            return Vec::new();
        }
        let window = self.cursor.window(self.items.len(), height);
        let around = window.start.saturating_sub(AROUND)..(window.end + AROUND).min(self.items.len());
        let unknown = |error: &&SyncError| {
            error.row_id.is_some()
                && self.words.get(&error.id).is_none_or(|words| words.seen != error.last_seen)
        };
        if self.items[window.clone()].iter().any(|error| unknown(&error)) {
            return self.items[around].iter().filter(unknown).cloned().collect();
        }
        let in_doubt = |error: &&SyncError| error.row_id.is_some() && self.words_are == Words::InDoubt;
        self.items[window].iter().filter(in_doubt).cloned().collect()
    }

    /// The words came of some of these errors; of the others, whose rows are gone, there are none.
    pub fn take_words(&mut self, asked: &[SyncError], words: Vec<Summary>) {
        self.words_are = Words::Known;
        if self.words.len() > MOST {
            let listed: HashSet<i64> = self.items.iter().map(|error| error.id).collect();
            self.words.retain(|id, _| listed.contains(id));
        }
        for error in asked {
            let nothing = Summary { id: error.id, seen: error.last_seen, ..Summary::default() };
            self.words.insert(error.id, nothing);
        }
        self.words.extend(words.into_iter().map(|words| (words.id, words)));
    }
}
