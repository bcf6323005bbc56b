//! How things stand, in words that are the same in the database, in JSON and on the screen.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An enum of states, each with its word. A word that this version does not know, of an engine that is newer, is `unknown`.
macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$what:meta])* $state:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name {
            $($(#[$what])* $state,)+
            /// Nobody knows.
            #[default]
            #[serde(other)]
            Unknown,
        }

        impl $name {
            /// Its word.
            pub fn word(self) -> &'static str {
                match self {
                    $($name::$state => $word,)+
                    $name::Unknown => "unknown",
                }
            }

            /// From its word.
            pub fn of(word: &str) -> $name {
                match word {
                    $($word => $name::$state,)+
                    _ => $name::Unknown,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.word())
            }
        }
    };
}

states! {
    /// A channel of alerts.
    ChannelHealth {
        /// It took the last message, or got none yet.
        Ok = "ok",
        /// It did not take the last message.
        Failing = "failing",
        /// It takes none any more until it is configured anew.
        Disabled = "disabled",
    }
}

states! {
    /// A message for a channel of alerts.
    DeliveryState {
        /// It was not tried yet.
        Queued = "queued",
        /// It is on its way.
        Sending = "sending",
        /// The channel took it.
        Sent = "sent",
        /// The channel did not take it; it is tried again.
        Failed = "failed",
        /// It is given up.
        Dropped = "dropped",
    }
}

states! {
    /// The way to Salesforce.
    ConnectionState {
        /// The last answer was one.
        Ok = "ok",
        /// It was not asked yet.
        Connecting = "connecting",
        /// It does not take the login.
        Unauthorized = "unauthorized",
        /// It takes no more requests for now.
        Limited = "limited",
        /// Its answers are none of Salesforce's.
        Degraded = "degraded",
        /// It cannot be reached.
        Down = "down",
        /// PostgreSQL refuses the engine's work.
        Database = "database",
    }
}

states! {
    /// The engine.
    EngineState {
        /// It works.
        Running = "running",
        /// It begins.
        Starting = "starting",
        /// None gave a sign of life for 10 s.
        Stopped = "stopped",
        /// There is none of ours: Heroku Connect does its work.
        Attached = "attached",
    }
}

states! {
    /// A mapping.
    MappingState {
        /// Its first load, or another one, goes on.
        Loading = "loading",
        /// It is read and written.
        Ok = "ok",
        /// Very many of its changes wait.
        Behind = "behind",
        /// Some of its rows have errors.
        Errors = "errors",
        /// What waits now is still sent.
        Draining = "draining",
        /// An operator stopped its writes.
        Paused = "paused",
        /// An error stopped its writes.
        Stopped = "stopped",
        /// It cannot be read.
        Broken = "broken",
        /// Its table is left over from a mapping that there was.
        Unmapped = "unmapped",
    }
}

states! {
    /// The writes of a mapping.
    WritesState {
        /// They go on.
        On = "on",
        /// What waits now is still sent.
        Draining = "draining",
        /// An operator stopped them.
        Paused = "paused",
        /// An error stopped them.
        Stopped = "stopped",
    }
}

impl WritesState {
    /// Whether nothing is sent until somebody lets them go on.
    pub fn rest(self) -> bool {
        matches!(self, WritesState::Paused | WritesState::Stopped)
    }
}

states! {
    /// A row with changes that Salesforce has not taken.
    PendingState {
        /// No engine took it in yet.
        New = "new",
        /// Waits for its turn or its time.
        Ready = "ready",
        /// Claimed by an engine.
        InFlight = "inflight",
        /// Waits for another row.
        Held = "held",
        /// Its mapping's writes are stopped.
        Stopped = "stopped",
        /// Waits for a person's release.
        Review = "review",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_one_word_everywhere() {
        for state in [MappingState::Loading, MappingState::Broken, MappingState::Unknown] {
            assert_eq!(MappingState::of(state.word()), state);
            assert_eq!(serde_json::to_value(state).unwrap(), state.word());
        }
        assert_eq!(serde_json::to_value(PendingState::InFlight).unwrap(), PendingState::InFlight.word());
        assert_eq!(serde_json::from_str::<EngineState>("\"sleeping\"").unwrap(), EngineState::Unknown);
    }
}
