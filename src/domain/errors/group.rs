//! Groups: all errors of one cause. Messages are compared without what differs from record to record.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::errors::cause::Life;
use crate::domain::errors::sync_error::{Category, Class};
use crate::domain::values::checksum::checksum;

/// All unresolved errors of one cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Its fingerprint.
    pub group: String,
    /// The mapping's object name.
    pub mapping: String,
    /// Code.
    pub code: String,
    /// API names of the fields at fault.
    pub fields: Vec<String>,
    /// The message without what differs from record to record.
    pub template: String,
    /// Category.
    pub category: Category,
    /// Class.
    pub class: Class,
    /// How many.
    pub count: i64,
    /// When the first of them was seen first.
    pub first_seen: DateTime<Utc>,
    /// When the last of them was seen last.
    pub last_seen: DateTime<Utc>,
    /// Whether they become more.
    pub trend: GroupTrend,
    /// How many of them wait for something else, or were set aside: these are no cause of their own.
    #[serde(default)]
    pub aside: i64,
    /// The life of the cause, as far as the engine looked at it.
    #[serde(default)]
    pub life: Option<Life>,
}

impl Group {
    /// Why there is no life of its cause, where there is none.
    pub fn without_life(&self) -> &'static str {
        if self.aside == self.count {
            "these wait for something else, or were set aside; what they wait for has a cause of its own"
        } else {
            "the engine has not looked at this cause yet"
        }
    }
}

/// How many of a group came in the last hour, and in the one before; what was resolved since is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupTrend {
    /// In the last hour.
    pub last_hour: i64,
    /// In the hour before.
    pub hour_before: i64,
}

impl GroupTrend {
    /// `▲12` when more came than in the hour before, `▼3` when fewer, nothing when none came in either.
    pub fn sign(self) -> String {
        match (self.last_hour, self.hour_before) {
            (0, 0) => String::new(),
            (now, before) if now > before => format!("▲{now}"),
            (now, before) if now < before => format!("▼{now}"),
            (now, _) => format!("={now}"),
        }
    }
}

/// A message with ids, numbers, quoted values, addresses and the values behind known phrases taken out.
pub fn template(message: &str) -> String {
    let message = without_value(message);
    let mut words = Vec::new();
    let mut quote: Option<char> = None;
    for word in message.split_whitespace() {
        if let Some(open) = quote {
            if word.trim_end_matches([',', '.', ':', ')']).ends_with(open) {
                quote = None;
            }
            continue;
        }
        if let Some(open) = word.chars().next().filter(|c| matches!(c, '\'' | '"')) {
            words.push("…".to_owned());
            let rest = &word[1..];
            if !rest.trim_end_matches([',', '.', ':', ')']).ends_with(open) {
                quote = Some(open);
            }
            continue;
        }
        let varies = word.contains('@') || word.chars().any(|c| c.is_ascii_digit());
        words.push(if varies { "…".to_owned() } else { word.to_owned() });
    }
    words.dedup_by(|a, b| a == "…" && b == "…");
    words.join(" ")
}

/// Salesforce puts the value at the end of, or inside, these phrases; it may be any text.
fn without_value(message: &str) -> String {
    for phrase in [
        "invalid email address: ",
        "bad value for restricted picklist field: ",
        "value not of required type: ",
        "value outside of valid range on numeric field: ",
        "id value of incorrect type: ",
        "from VALUE_STRING value ",
        "cannot be sent to Salesforce",
    ] {
        if let Some((before, _)) = message.split_once(phrase) {
            if phrase.starts_with("cannot") {
                return format!("{}: … {phrase}", before.split(':').next().unwrap_or(before));
            }
            return format!("{before}{phrase}…");
        }
    }
    if let Some((before, rest)) = message.split_once("data value too large: ") {
        let limit = rest.rsplit_once('(').map_or("", |(_, limit)| limit);
        // The limit belongs to the cause; its digits are kept out of reach of the rule for numbers.
        return format!(
            "{before}data value too large: … ({}",
            limit.replace(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'], "N")
        );
    }
    if let Some((before, rest)) = message.split_once("Foreign key external ID: ") {
        let after = rest.split_once(" not found").map_or("", |(_, after)| after);
        return format!("{before}Foreign key external ID: … not found{after}");
    }
    message.to_owned()
}

/// A short, stable name of a group: mapping, code, fields and message template.
pub fn fingerprint(mapping: &str, code: &str, fields: &[String], message: &str) -> String {
    let text = [mapping, code, &fields.join(","), &template(message)].join("\u{1f}");
    format!("{:016x}", checksum(&text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_of_one_cause_have_one_template() {
        for (one, other) in [
            ("Score: NaN cannot be sent to Salesforce, x", "Score: Infinity cannot be sent to Salesforce, x"),
            ("Email: invalid email address: a b c", "Email: invalid email address: jane@acme,com"),
            (
                "Name: data value too large: Foo (bar) (max length=25)",
                "Name: data value too large: X (max length=25)",
            ),
            (
                "duplicate value found: Key__c duplicates value on record with id: 001U000001c83gK",
                "duplicate value found: Key__c duplicates value on record with id: 001U000002c83gK",
            ),
            (
                "unable to obtain exclusive access to this record or 25 records: 001A,001B1",
                "unable to obtain exclusive access to this record or 3 records: 001C5",
            ),
        ] {
            assert_eq!(template(one), template(other));
            let print = |message| fingerprint("Contact", "C", &["F".to_owned()], message);
            assert_eq!(print(one), print(other));
        }
    }

    #[test]
    fn different_causes_stay_apart() {
        let print = |mapping, code, field: &str| fingerprint(mapping, code, &[field.to_owned()], "same");
        let all = [print("A", "C", "F"), print("B", "C", "F"), print("A", "D", "F"), print("A", "C", "G")];
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), 4);
        assert_ne!(template("Phone must be valid"), template("Email is required"));
    }

    #[test]
    fn the_trend_compares_two_hours() {
        let sign = |last_hour, hour_before| GroupTrend { last_hour, hour_before }.sign();
        assert_eq!(
            [sign(0, 0), sign(5, 2), sign(1, 4), sign(3, 3), sign(0, 2)],
            ["", "▲5", "▼1", "=3", "▼0"]
        );
    }

    proptest! {
        /// Whatever is named in them, messages of one cause have one template.
        #[test]
        fn ids_numbers_and_quoted_values_make_no_difference(
            words in proptest::collection::vec("[a-z]{2,8}", 1..5),
            one in ("[0-9a-zA-Z]{14}[0-9]", 0_u32..10_000, "[a-z ]{1,12}"),
            other in ("[0-9a-zA-Z]{14}[0-9]", 0_u32..10_000, "[a-z ]{1,12}"),
        ) {
            let message = |(id, number, quoted): &(String, u32, String)| {
                format!("{} '{quoted}' on {id} after {number} of them", words.join(" "))
            };
            prop_assert_eq!(template(&message(&one)), template(&message(&other)));
        }

        #[test]
        fn no_message_makes_it_panic_and_a_template_is_its_own(message in "\\PC{0,80}") {
            let once = template(&message);
            prop_assert_eq!(template(&once), once);
        }
    }
}
