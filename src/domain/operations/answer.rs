//! What Salesforce answered to rows that an operator sent again: one by one, and added up.

use serde::{Deserialize, Serialize};

/// Where a row stands that was sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Salesforce has not answered for good: it is on its way, or is tried again by itself.
    Waiting,
    /// It waits for its parent, which may be in nobody's hands.
    Held,
    /// Salesforce took it.
    Taken,
    /// It was rejected again, and needs a person.
    Rejected,
    /// It is no longer to be sent: ignored, kept out, or as Salesforce has it.
    Settled,
}

impl Answer {
    /// Whether another answer follows, if nobody does anything.
    pub fn is_open(self) -> bool {
        matches!(self, Answer::Waiting | Answer::Held)
    }

    /// From the word by which the database tells it.
    pub fn from_word(word: &str) -> Answer {
        match word {
            "taken" => Answer::Taken,
            "rejected" => Answer::Rejected,
            "settled" => Answer::Settled,
            "held" => Answer::Held,
            _ => Answer::Waiting,
        }
    }
}

/// How many rows of an operation stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Not answered yet.
    pub waiting: i64,
    /// Waiting for their parents.
    pub held: i64,
    /// Taken.
    pub taken: i64,
    /// Rejected again.
    pub rejected: i64,
    /// No longer to be sent.
    pub settled: i64,
}

impl Tally {
    /// Adds rows that stand alike.
    pub fn add(&mut self, answer: Answer, rows: i64) {
        *match answer {
            Answer::Waiting => &mut self.waiting,
            Answer::Held => &mut self.held,
            Answer::Taken => &mut self.taken,
            Answer::Rejected => &mut self.rejected,
            Answer::Settled => &mut self.settled,
        } += rows;
    }

    /// How many rows it counts.
    pub fn rows(&self) -> i64 {
        self.open() + self.taken + self.rejected + self.settled
    }

    /// How many of them have no answer yet.
    pub fn open(&self) -> i64 {
        self.waiting + self.held
    }

    /// In a line, without what there is none of: `7 taken, 2 rejected`.
    pub fn text(&self, number: impl Fn(i64) -> String) -> String {
        let parts = [
            (self.taken, "taken"),
            (self.rejected, "rejected"),
            (self.waiting, "waiting"),
            (self.held, "held for a parent"),
            (self.settled, "no longer to be sent"),
        ];
        let parts = parts.into_iter().filter(|(rows, _)| *rows > 0);
        parts.map(|(rows, what)| format!("{} {what}", number(rows))).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_tells_only_what_there_is() {
        let mut tally = Tally::default();
        tally.add(Answer::Taken, 7);
        tally.add(Answer::Rejected, 2);
        assert_eq!((tally.rows(), tally.text(|rows| rows.to_string()).as_str()), (9, "7 taken, 2 rejected"));
        tally.add(Answer::from_word("held"), 1);
        assert_eq!(
            (tally.rows(), tally.open(), tally.text(|rows| rows.to_string()).as_str()),
            (10, 1, "7 taken, 2 rejected, 1 held for a parent")
        );
    }
}
