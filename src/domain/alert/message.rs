//! What is said about the alerts of a rule: one message for all that changed at once, joined with the one before it while
//! that waits for its channel.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::rule::Severity;

/// Alerts that one message holds at most; the others are counted.
pub const MOST: usize = 50;

/// What is told of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageChange {
    /// It fires.
    Fired,
    /// There are more of the same.
    More,
    /// It goes on.
    Still,
    /// Somebody has it in hand.
    Acknowledged,
    /// It is over.
    #[serde(rename = "resolved")]
    Over,
}

impl MessageChange {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            MessageChange::Fired => "fired",
            MessageChange::More => "more",
            MessageChange::Still => "still",
            MessageChange::Acknowledged => "acknowledged",
            MessageChange::Over => "resolved",
        }
    }
}

/// An error that stands for others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Its number.
    pub error: i64,
    /// The mapping's object.
    pub mapping: String,
    /// The row, where it is of one.
    pub row: Option<i32>,
    /// The record, where there is one.
    pub sfid: Option<String>,
    /// The fields at fault.
    pub fields: Vec<String>,
    /// Its message, which may quote values; masked fields are masked in it already.
    pub message: String,
}

/// What is told of one alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageItem {
    /// The alert.
    pub incident: String,
    /// What of the rule.
    pub subject: String,
    /// What is told.
    pub change: MessageChange,
    /// A few words.
    pub headline: String,
    /// Why, where that is known.
    #[serde(default)]
    pub why: Option<String>,
    /// The mapping, where it is of one.
    #[serde(default)]
    pub mapping: Option<String>,
    /// The cause's fingerprint, where it is one.
    #[serde(default)]
    pub cause: Option<String>,
    /// How many errors are open, where it is about errors.
    #[serde(default)]
    pub count: Option<i64>,
    /// The first of them.
    #[serde(default)]
    pub examples: Vec<Example>,
    /// When it fired.
    pub fired_at: Option<DateTime<Utc>>,
    /// When it was over.
    #[serde(default)]
    pub over_at: Option<DateTime<Utc>>,
    /// Who has it in hand, and what that person says.
    #[serde(default)]
    pub acknowledged: Option<(String, String)>,
}

/// What is told through a channel at once: what changed of the alerts of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The connection's name.
    pub connection: String,
    /// What it is for.
    pub environment: String,
    /// The rule.
    pub rule: String,
    /// How urgent it is.
    pub severity: Severity,
    /// From the first alert of the rule that fires to the end of the last one: what a message that can be changed is
    /// known by.
    pub episode: String,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// Whether it is a digest.
    pub digest: bool,
    /// What changed.
    pub items: Vec<MessageItem>,
    /// How many more items there are.
    pub omitted: usize,
    /// What else of the rule fires, in a few words each.
    pub also: Vec<String>,
    /// How many alerts of the rule fire now.
    pub firing: usize,
    /// The org's own address, where it is known.
    pub instance_url: Option<String>,
    /// What is put behind `syncdeck` in commands, where the file has several connections.
    pub option: String,
}

impl Message {
    /// Whether nothing of the rule fires any more.
    pub fn is_end(&self) -> bool {
        self.firing == 0
    }

    /// This message after an earlier one that never arrived: nothing of that is lost, and what both tell is told once.
    #[must_use]
    pub fn after(self, earlier: Message) -> Message {
        let mut items: Vec<MessageItem> = Vec::new();
        for old in earlier.items {
            if !self.items.iter().any(|new| new.incident == old.incident) {
                items.push(old);
                continue;
            }
            // In the place of the older one, so that what fired first is told first.
            items.extend(
                self.items.iter().filter(|new| new.incident == old.incident).map(|new| joined(&old, new)),
            );
        }
        let new = self.items.iter().filter(|new| !items.iter().any(|known| known.incident == new.incident));
        let new: Vec<MessageItem> = new.cloned().collect();
        items.extend(new);
        let mut omitted = earlier.omitted + self.omitted;
        if items.len() > MOST {
            omitted += items.len() - MOST;
            items.truncate(MOST);
        }
        // Where it began in another episode, that one was never seen.
        Message { items, omitted, ..self }
    }
}

/// Two that are told of one alert, of which the earlier one never arrived.
fn joined(old: &MessageItem, new: &MessageItem) -> MessageItem {
    let change = match (old.change, new.change) {
        // That it fired is still news.
        (MessageChange::Fired, MessageChange::More | MessageChange::Still | MessageChange::Acknowledged) => {
            MessageChange::Fired
        }
        (_, change) => change,
    };
    let examples = if new.examples.is_empty() { old.examples.clone() } else { new.examples.clone() };
    MessageItem { change, examples, fired_at: new.fired_at.or(old.fired_at), ..new.clone() }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn item(incident: usize, change: MessageChange) -> MessageItem {
        MessageItem {
            incident: format!("i{incident}"),
            subject: String::new(),
            change,
            headline: String::new(),
            why: None,
            mapping: None,
            cause: None,
            count: None,
            examples: Vec::new(),
            fired_at: None,
            over_at: None,
            acknowledged: None,
        }
    }

    fn message(items: Vec<MessageItem>) -> Message {
        Message {
            connection: "acme".to_owned(),
            environment: "prod".to_owned(),
            rule: "r".to_owned(),
            severity: Severity::Warning,
            episode: "e".to_owned(),
            at: DateTime::UNIX_EPOCH,
            digest: false,
            items,
            omitted: 0,
            also: Vec::new(),
            firing: 1,
            instance_url: None,
            option: String::new(),
        }
    }

    #[test]
    fn what_waited_is_told_once_and_as_it_is_now() {
        let waiting = message(vec![item(1, MessageChange::Fired), item(2, MessageChange::Fired)]);
        let joined = message(vec![
            item(2, MessageChange::Over),
            item(1, MessageChange::Still),
            item(3, MessageChange::Fired),
        ])
        .after(waiting);
        let told: Vec<_> = joined.items.iter().map(|item| (item.incident.as_str(), item.change)).collect();
        assert_eq!(
            told,
            [("i1", MessageChange::Fired), ("i2", MessageChange::Over), ("i3", MessageChange::Fired)]
        );
    }

    fn change() -> impl Strategy<Value = MessageChange> {
        prop_oneof![
            Just(MessageChange::Fired),
            Just(MessageChange::More),
            Just(MessageChange::Still),
            Just(MessageChange::Acknowledged),
            Just(MessageChange::Over)
        ]
    }

    proptest! {
        /// However many messages wait for a channel: every alert is in the one that it gets, once, as it was told last.
        #[test]
        fn nothing_is_lost_and_nothing_is_told_twice(
            messages in proptest::collection::vec(proptest::collection::btree_map(0_usize..20, change(), 0..8), 1..12),
        ) {
            let mut last: BTreeMap<String, MessageChange> = BTreeMap::new();
            let mut waiting: Option<Message> = None;
            for changes in &messages {
                let items: Vec<MessageItem> = changes.iter().map(|(incident, change)| item(*incident, *change)).collect();
                last.extend(items.iter().map(|item| (item.incident.clone(), item.change)));
                let new = message(items);
                waiting = Some(match waiting {
                    Some(earlier) => new.after(earlier),
                    None => new,
                });
            }
            let told = waiting.unwrap().items;
            let names: BTreeSet<String> = told.iter().map(|item| item.incident.clone()).collect();
            prop_assert_eq!(names.len(), told.len());
            prop_assert_eq!(names, last.keys().cloned().collect());
            for item in &told {
                // The end of an alert is never hidden, and no end is made up.
                prop_assert_eq!(item.change == MessageChange::Over, last[&item.incident] == MessageChange::Over);
            }
        }

        #[test]
        fn a_message_has_an_end(count in 0_usize..300) {
            let items = (0..count).map(|incident| item(incident, MessageChange::Fired)).collect();
            let told = message(Vec::new()).after(message(items));
            prop_assert!(told.items.len() <= MOST);
            prop_assert_eq!(told.items.len() + told.omitted, count);
        }
    }
}
