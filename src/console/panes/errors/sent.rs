//! Lines of the list that were sent from here: each stays in its place, with what became of it, until one has gone on.

use chrono::{DateTime, Utc};

use super::{ErrorsPane, PERSON};
use crate::client::api::ErrorPage;
use crate::domain::errors::sort::PageKey;
use crate::domain::errors::sync_error::SyncError;
use crate::domain::operations::answer::Answer;

/// Lines that stay at most.
const MOST: usize = 50;

/// A line that was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct SentLine {
    /// The error as it was then: its line keeps the place of that.
    pub error: SyncError,
    /// What became of it.
    pub answer: Answer,
    /// Since when that is known.
    pub at: DateTime<Utc>,
    /// Whether the list has it without this, too.
    pub is_listed: bool,
}

impl ErrorsPane {
    /// Something is about to be done about an error. It is remembered as it is now, for its answer may be in the list before
    /// it is known here that it was sent.
    pub fn begin_line(&mut self, is_it: impl Fn(&SyncError) -> bool) {
        let Some(error) = self.items.iter().find(|error| is_it(error)).cloned() else { return };
        self.begun.retain(|begun| begun.id != error.id);
        if self.begun.len() >= MOST {
            self.begun.remove(0);
        }
        self.begun.push(error);
    }

    /// Something was done about an error: its line stays.
    pub fn keep_line(&mut self, id: i64, answer: Answer, now: DateTime<Utc>) {
        let of_it = |error: &&SyncError| error.id == id;
        let Some(listed) = self.items.iter().find(of_it) else { return };
        let error = self.begun.iter().find(of_it).unwrap_or(listed).clone();
        self.begun.retain(|begun| begun.id != id);
        self.sent.retain(|sent| sent.error.id != id);
        if self.sent.len() >= MOST {
            self.sent.remove(0);
        }
        self.sent.push(SentLine { error, answer, at: now, is_listed: true });
    }

    /// What became of the line of an error, where something was done about it.
    pub fn sent_of(&self, id: i64) -> Option<&SentLine> {
        self.sent.iter().find(|sent| sent.error.id == id)
    }

    /// The errors whose answers are waited for, each with when it had been seen last.
    pub fn unanswered(&self) -> Vec<(i64, DateTime<Utc>)> {
        let open = self.sent.iter().filter(|sent| sent.answer.is_open());
        open.map(|sent| (sent.error.id, sent.error.last_seen)).collect()
    }

    /// What became of some of them.
    pub fn answered(&mut self, answers: &[(i64, Answer)], now: DateTime<Utc>) {
        for (id, answer) in answers {
            let sent = self.sent.iter_mut().find(|sent| sent.error.id == *id && sent.answer != *answer);
            if let Some(sent) = sent {
                (sent.answer, sent.at) = (*answer, now);
            }
        }
    }

    /// Puts the lines that were sent where they were, whether the list still has them or not. What was answered and is no
    /// longer looked at goes.
    pub(super) fn keep_lines(&mut self, selected: Option<i64>) {
        self.sent.retain(|sent| sent.answer.is_open() || Some(sent.error.id) == selected);
        for sent in &self.sent {
            let there = self.items.iter().position(|error| error.id == sent.error.id);
            let error = there.map_or_else(|| sent.error.clone(), |at| self.items.remove(at));
            let behind = |other: &SyncError| PageKey::is_behind(self.sort, other, &sent.error);
            let at = self.items.iter().position(behind).unwrap_or(self.items.len());
            self.items.insert(at, error);
        }
    }

    /// A page came: it tells which of the lines that were sent the list has without them. What lies behind it stays as it
    /// was known.
    pub(super) fn note_listed(&mut self, page: &ErrorPage, append: bool) {
        for sent in &mut self.sent {
            let has = page.items.iter().any(|error| error.id == sent.error.id);
            let last = page.items.last().filter(|_| page.next.is_some());
            let behind = last.is_some_and(|last| PageKey::is_behind(self.sort, &sent.error, last));
            sent.is_listed = has || (sent.is_listed && (append || behind));
        }
    }

    /// The place of the selected error among those that are listed without the lines that were sent; the first is 1.
    pub fn place(&self) -> usize {
        let kept = |error: &&SyncError| {
            self.depth(error) > 0 || self.sent_of(error.id).is_some_and(|sent| !sent.is_listed)
        };
        let upto = &self.items[..(self.cursor.at + 1).min(self.items.len())];
        (self.cursor.at + 1).saturating_sub(upto.iter().filter(kept).count()).max(1)
    }

    /// Whether an error needs a person, as far as is known here: not one that was just sent.
    pub fn needs_a_person(&self, error: &SyncError) -> bool {
        let rejected = self.sent_of(error.id).is_none_or(|sent| sent.answer == Answer::Rejected);
        // An entry of the change log has neither row nor record; the list has it where it asks for what needs a person.
        let of_a_record =
            || error.row_id.is_some() || error.sfid.is_some() || self.asked_filter().starts_with(PERSON);
        rejected && error.waits_for_a_person() && of_a_record()
    }

    /// The place of the next error that needs a person, or of the one before.
    pub fn next_open(&self, forward: bool) -> Option<usize> {
        let needs = |at: &usize| self.needs_a_person(&self.items[*at]);
        if forward {
            (self.cursor.at + 1..self.items.len()).find(needs)
        } else {
            (0..self.cursor.at.min(self.items.len())).rev().find(needs)
        }
    }
}
