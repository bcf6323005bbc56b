//! What waits to be sent: one line a row, with the reason in plain words.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::names::RowRef;
use crate::domain::state::{PendingState, WritesState};

/// A row with changes that Salesforce has not taken, and which nobody has to mend first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// Which row.
    pub row: RowRef,
    /// The mapping's object name.
    pub mapping: String,
    /// `insert`, `update` or `delete`: what its changes come to.
    pub op: String,
    /// As its unit, or new.
    pub state: PendingState,
    /// Since when it waits.
    pub since: DateTime<Utc>,
    /// When it may be sent.
    pub ready_at: DateTime<Utc>,
    /// The batch that it was answered in last, such as `4be1f0-2`; while it is in flight, its claim's word, with which
    /// the names of all batches of that claim begin.
    pub batch: Option<String>,
    /// How often Salesforce rejected the record since a person or a new change last touched it.
    pub attempts: i32,
    /// How many changes of it wait; counted up to 1,000.
    pub changes: i64,
    /// Why it waits, in plain words.
    pub reason: String,
    /// Whether it waits for nothing but its time: `ready_at`.
    pub rests: bool,
}

/// What is known of why a row waits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WaitReason {
    /// As [`Pending::state`].
    pub state: PendingState,
    /// What its mapping's writes are.
    pub writes: WritesState,
    /// Whether its time has come.
    pub due: bool,
    /// How often it was sent without being taken: rejections and answers that never came.
    pub sends: i32,
    /// The parent that it waits for: its object or table, and its row or external id.
    pub parent: Option<(String, String)>,
}

impl WaitReason {
    /// Whether it waits for nothing but its time.
    pub fn rests(&self) -> bool {
        self.state == PendingState::Ready && self.writes == WritesState::On && !self.due
    }

    /// In plain words.
    pub fn reason(&self) -> String {
        match self.state {
            PendingState::InFlight => "in flight".to_owned(),
            PendingState::Held => match &self.parent {
                Some((object, row)) => format!("waits for {object} {row}"),
                None => "waits for another row".to_owned(),
            },
            PendingState::Review => "waits for a person's release".to_owned(),
            PendingState::Stopped => format!("its mapping's writes are {}", self.writes),
            PendingState::Ready if self.writes == WritesState::Draining && self.due => {
                "waits its turn".to_owned()
            }
            _ if self.writes != WritesState::On => format!("its mapping's writes are {}", self.writes),
            PendingState::New => "waits to be taken in".to_owned(),
            _ if self.due => "waits its turn".to_owned(),
            _ if self.sends > 0 => "tried again".to_owned(),
            _ => "waits".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_reason() {
        let waiting = |state: &str, writes: &str, due: bool, sends: i32| WaitReason {
            state: PendingState::of(state),
            writes: WritesState::of(writes),
            due,
            sends,
            parent: Some(("Account".to_owned(), "88".to_owned())),
        };
        for (of, reason) in [
            (waiting("inflight", "on", true, 0), "in flight"),
            (waiting("ready", "on", true, 3), "waits its turn"),
            (waiting("ready", "on", false, 1), "tried again"),
            (waiting("ready", "on", false, 0), "waits"),
            (waiting("ready", "paused", true, 0), "its mapping's writes are paused"),
            (waiting("stopped", "stopped", true, 0), "its mapping's writes are stopped"),
            (waiting("held", "on", false, 0), "waits for Account 88"),
            (waiting("review", "on", true, 0), "waits for a person's release"),
            (waiting("new", "on", true, 0), "waits to be taken in"),
            (waiting("ready", "draining", true, 0), "waits its turn"),
            (waiting("new", "draining", true, 0), "its mapping's writes are draining"),
            (waiting("new", "paused", true, 0), "its mapping's writes are paused"),
        ] {
            assert_eq!(of.reason(), reason);
        }
    }
}
