//! The rules of a mapping: how its rows are prepared on the way to Salesforce and what becomes of errors. Each is a key
//! with a text, whether it stands in `syncdeck.toml` or was set at run time; this is the one place that reads them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::changes::merge::Policy;
use crate::domain::condition::Condition;
use crate::domain::mappings::matches::Match;
use crate::domain::mappings::strategy::{Delay, Retries, Strategy};
use crate::domain::names::column_of;
use crate::domain::values::duration;
use crate::domain::values::nearest::nearest;
use crate::domain::values::transform::Transform;

/// The keys of a mapping, each with its default and what it means.
pub const KEYS: [(&str, &str, &str); 17] = [
    ("strategy", "skip", "on an error: skip, retry, fail_fast or manual_review"),
    ("max_retries", "3", "how often what passes by itself is sent again"),
    ("retry_delay", "exponential", "before that: exponential, or a length of time"),
    ("retry_schedule", "0s, 1m, 5m, 30m", "the waits of the strategy retry"),
    ("upsert", "true", "new rows go by external id: update or create"),
    ("create_if_missing", "false", "a record that is gone is created again"),
    ("ignore_deletes", "none", "deletes that are not passed on: those of postgres, salesforce, or both"),
    ("check", "true", "values are checked against describe before they are sent"),
    ("batch_size", "200", "records in one call, at most"),
    ("bulk_from", "2000", "from so many waiting changes on they go by a job of Bulk API 2.0, or off"),
    (
        "conflicts",
        "newest_wins",
        "a field changed on both sides: newest_wins, salesforce_wins, postgres_wins or manual",
    ),
    ("where", "", "a condition on the row's columns; rows that do not meet it stay out"),
    ("poll_interval", "1m", "from one read to the next"),
    ("change_events", "false", "Salesforce's change events say which records to read at once"),
    ("poll_with_events", "", "from one read to the next while change events come, where it is longer"),
    ("verify", "off", "from one comparison of all rows and records to the next"),
    ("match", "", "fields by which rows are the same thing although their keys differ: Email, Name + Phone"),
];

/// Nothing is compared more often by itself.
const SHORTEST: Duration = Duration::from_secs(10);
/// Nor less often: PostgreSQL adds it to a time.
const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);

/// What stands for a value that is kept out of histories and logs.
pub const MASK: &str = "•••";

/// The keys of a field.
pub const FIELD_KEYS: [(&str, &str); 6] = [
    ("transforms", "what is done to the value on its way out"),
    ("skip_invalid", "a value that the field cannot hold is left out, the rest goes"),
    ("required", "whether a row without a value is refused here; as describe says where it is not set"),
    ("read_only", "never sent"),
    ("conflicts", "as for the mapping, for this field alone"),
    ("mask", "values are not shown in histories and logs"),
];

/// What a key is about.
pub fn meaning(key: &str) -> &'static str {
    let of_field = key.rsplit_once('.').and_then(|(_, name)| FIELD_KEYS.iter().find(|(key, _)| *key == name));
    let own = KEYS.iter().find(|(name, ..)| *name == key);
    of_field.map(|(_, meaning)| *meaning).or(own.map(|(_, _, meaning)| *meaning)).unwrap_or_default()
}

/// Which deletes are not passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IgnoreDeletes {
    /// Rows': the record stays, and does not come back as a row.
    pub postgres: bool,
    /// Records': the row stays.
    pub salesforce: bool,
}

/// A mapping's rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// What becomes of errors.
    pub strategy: Strategy,
    /// When something is sent again by itself.
    pub retries: Retries,
    /// Whether new rows go by external id, where there is one.
    pub upsert: bool,
    /// Whether a record that is gone is created again.
    pub create_if_missing: bool,
    /// Which deletes are not passed on.
    pub ignore_deletes: IgnoreDeletes,
    /// Whether values are checked before they are sent.
    pub check: bool,
    /// Records in one call, at most.
    pub batch_size: usize,
    /// From how many changes of a kind on they go by one job of Bulk API 2.0, if they ever do.
    pub bulk_from: Option<usize>,
    /// Who wins a field that changed on both sides.
    pub conflicts: Policy,
    /// The condition of rows that take part.
    pub filter: Option<Condition>,
    /// From one read to the next.
    pub poll_interval: Duration,
    /// Whether change events say which records to read at once.
    pub change_events: bool,
    /// From one read to the next while they come, where it is longer.
    pub poll_with_events: Option<Duration>,
    /// From one comparison of all rows and records to the next, if it is compared by itself.
    pub verify: Option<Duration>,
    /// By what rows are the same thing although their keys differ.
    pub matches: Vec<Match>,
    /// By column.
    pub fields: BTreeMap<String, FieldRules>,
    /// What was set, as it was written.
    settings: BTreeMap<String, String>,
}

/// A field's rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldRules {
    /// One behind the other.
    pub transforms: Vec<Transform>,
    /// Whether a value that the field cannot hold is left out.
    pub skip_invalid: bool,
    /// Whether a value must be there; `None` as describe says.
    pub required: Option<bool>,
    /// Whether it is never sent.
    pub read_only: bool,
    /// Who wins, where it differs from the mapping's rule.
    pub conflicts: Option<Policy>,
    /// Whether its values stay out of histories and logs.
    pub mask: bool,
}

/// Why a rule is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}\n{remedy}")]
pub struct BadRule {
    /// Its key.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What is allowed.
    pub remedy: String,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            strategy: Strategy::Skip,
            retries: Retries::default(),
            upsert: true,
            create_if_missing: false,
            ignore_deletes: IgnoreDeletes::default(),
            check: true,
            batch_size: 200,
            bulk_from: Some(2_000),
            conflicts: Policy::NewestWins,
            filter: None,
            poll_interval: Duration::from_secs(60),
            change_events: false,
            poll_with_events: None,
            verify: None,
            matches: Vec::new(),
            fields: BTreeMap::new(),
            settings: BTreeMap::new(),
        }
    }
}

impl Rules {
    /// Rules from keys and texts; what is not named keeps its default.
    ///
    /// # Errors
    /// The first key that cannot be read.
    pub fn from_settings<'a>(
        settings: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Result<Rules, BadRule> {
        let mut rules = Rules::default();
        for (key, text) in settings {
            rules.set(key, text)?;
        }
        Ok(rules)
    }

    /// Whether a key is that of a rule.
    ///
    /// # Errors
    /// Names those that there are.
    pub fn is_key(key: &str) -> Result<(), BadRule> {
        let (is, refusal) = match key.rsplit_once('.') {
            Some((_, name)) => (FIELD_KEYS.iter().any(|(key, _)| *key == name), no_field_key(name)),
            None => (KEYS.iter().any(|(known, ..)| *known == key), no_key(key)),
        };
        if is { Ok(()) } else { Err(bad(key, &refusal.0, &refusal.1)) }
    }

    /// Sets one rule: `strategy`, or `Phone.transforms` for a field.
    ///
    /// # Errors
    /// An unknown key, or a text that is none of its values.
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), BadRule> {
        let text = text.trim();
        match key.rsplit_once('.') {
            Some((field, name)) => {
                let rules = self.fields.entry(column_of(field)).or_default();
                rules.set(name, text).map_err(|(problem, remedy)| bad(key, &problem, &remedy))?;
            }
            None => self.set_own(key, text).map_err(|(problem, remedy)| bad(key, &problem, &remedy))?,
        }
        // However a field is spelled, it is one field.
        self.settings.retain(|known, _| !known.eq_ignore_ascii_case(key));
        self.settings.insert(key.to_owned(), text.to_owned());
        Ok(())
    }

    fn set_own(&mut self, key: &str, text: &str) -> Result<(), Refusal> {
        match key {
            "strategy" => {
                self.strategy =
                    Strategy::from_word(text).ok_or_else(|| one_of(&Strategy::ALL.map(Strategy::word)))?;
            }
            "max_retries" => self.retries.max = number(text, 0, 100)?,
            "retry_delay" if text == "exponential" => self.retries.delay = Delay::Exponential,
            "retry_delay" => self.retries.delay = Delay::Fixed(time(text)?),
            "retry_schedule" => {
                let steps = text.split(',').map(str::trim).filter(|step| !step.is_empty());
                self.retries.schedule = steps.map(time).collect::<Result<_, _>>()?;
            }
            "upsert" => self.upsert = flag(text)?,
            "create_if_missing" => self.create_if_missing = flag(text)?,
            "ignore_deletes" => self.ignore_deletes = ignore_deletes(text)?,
            "check" => self.check = flag(text)?,
            "batch_size" => self.batch_size = number(text, 1, 200)?,
            "bulk_from" if text == "off" => self.bulk_from = None,
            "bulk_from" => self.bulk_from = Some(number(text, 0, 10_000)?).filter(|from| *from > 0),
            "conflicts" => self.conflicts = policy(text)?,
            "where" if text.is_empty() => self.filter = None,
            "where" => {
                let read = Condition::parse(text).map_err(|bad| (bad.problem, bad.remedy))?;
                self.filter = Some(read);
            }
            "poll_interval" => self.poll_interval = some_time(text)?,
            "change_events" => self.change_events = flag(text)?,
            "poll_with_events" if text.is_empty() => self.poll_with_events = None,
            "poll_with_events" => self.poll_with_events = Some(some_time(text)?),
            "verify" if text == "off" => self.verify = None,
            "verify" => {
                let every = time(text)?;
                if every < SHORTEST {
                    let remedy = "write 10s or more, such as 24h, or off";
                    return Err(("is too short for a comparison".to_owned(), remedy.to_owned()));
                }
                if every > LONGEST {
                    let remedy = "write 3650d or less, such as 24h, or off";
                    return Err(("is too long for a comparison".to_owned(), remedy.to_owned()));
                }
                self.verify = Some(every);
            }
            "match" => {
                let remedy =
                    "write fields as Email, Name + Phone: by the first, or by the other two together";
                self.matches = Match::parse_all(text).map_err(|problem| (problem, remedy.to_owned()))?;
            }
            _ => return Err(no_key(key)),
        }
        Ok(())
    }

    /// Sets a rule that was stored, perhaps by another version. A condition that cannot be read is kept, and keeps every
    /// row out, for without it rows would go that must not.
    ///
    /// # Errors
    /// As [`Rules::set`], of all others.
    pub fn set_stored(&mut self, key: &str, text: &str) -> Result<(), BadRule> {
        let set = self.set(key, text);
        if set.is_err() && key == "where" {
            self.filter = Some(Condition::stored(text));
            self.settings.insert(key.to_owned(), text.trim().to_owned());
            return Ok(());
        }
        set
    }

    /// Every rule of the mapping and those set for its fields, as key and text.
    pub fn shown(&self) -> Vec<(String, String)> {
        let own = KEYS.iter().map(|(key, default, _)| {
            ((*key).to_owned(), self.settings.get(*key).cloned().unwrap_or_else(|| (*default).to_owned()))
        });
        let fields = self.settings.iter().filter(|(key, _)| key.contains('.'));
        own.chain(fields.map(|(key, text)| (key.clone(), text.clone()))).collect()
    }

    /// From one read to the next, while change events come or not.
    pub fn poll_pause(&self, events_flow: bool) -> Duration {
        let longer = self.poll_with_events.filter(|_| self.change_events && events_flow);
        longer.map_or(self.poll_interval, |longer| longer.max(self.poll_interval))
    }

    /// Whether both come to the same, however each was written.
    pub fn is_same_as(&self, other: &Rules) -> bool {
        let meant = |rules: &Rules| {
            let mut meant = Rules { settings: BTreeMap::new(), ..rules.clone() };
            meant.fields.retain(|_, rules| *rules != FieldRules::default());
            meant
        };
        meant(self) == meant(other)
    }

    /// What was set, as it was written.
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    /// A column's rules.
    pub fn of(&self, column: &str) -> Option<&FieldRules> {
        self.fields.get(column)
    }

    /// Who wins a column that changed on both sides.
    pub fn policy(&self, column: &str) -> Policy {
        self.of(column).and_then(|rules| rules.conflicts).unwrap_or(self.conflicts)
    }

    /// The columns whose values stay out of histories and logs.
    pub fn masked(&self, column: &str) -> bool {
        self.of(column).is_some_and(|rules| rules.mask)
    }

    /// A value as people are shown it: not where it is masked.
    pub fn shown_value(&self, column: &str, value: Option<String>) -> Option<String> {
        if self.masked(column) { value.map(|_| MASK.to_owned()) } else { value }
    }

    /// The fields that rules are set for, as they were written.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.settings.keys().filter_map(|key| key.rsplit_once('.').map(|(field, _)| field))
    }
}

/// Problem and remedy.
type Refusal = (String, String);

impl FieldRules {
    fn set(&mut self, key: &str, text: &str) -> Result<(), Refusal> {
        match key {
            "transforms" => {
                self.transforms = Transform::parse_all(text).map_err(|why| {
                    (why, "write them as \"trim\", or [\"trim\", \"lowercase\"]".to_owned())
                })?;
            }
            "skip_invalid" => self.skip_invalid = flag(text)?,
            "required" => self.required = Some(flag(text)?),
            "read_only" => self.read_only = flag(text)?,
            "conflicts" => self.conflicts = Some(policy(text)?),
            "mask" => self.mask = flag(text)?,
            _ => return Err(no_field_key(key)),
        }
        Ok(())
    }
}

fn no_key(key: &str) -> Refusal {
    let keys: Vec<&str> = KEYS.iter().map(|(key, ..)| *key).collect();
    let of_field = FIELD_KEYS.iter().any(|(known, _)| *known == key);
    let hint = if of_field { format!("; of a field it is set as FIELD.{key}") } else { meant(key, &keys) };
    ("is no rule of a mapping".to_owned(), format!("there are {}{hint}", keys.join(", ")))
}

fn no_field_key(key: &str) -> Refusal {
    let keys: Vec<&str> = FIELD_KEYS.iter().map(|(key, _)| *key).collect();
    ("is no rule of a field".to_owned(), format!("there are {}{}", keys.join(", "), meant(key, &keys)))
}

/// The nearest of these keys, as the end of a remedy.
fn meant(key: &str, keys: &[&str]) -> String {
    nearest(key, keys.iter().copied()).map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}

fn bad(key: &str, problem: &str, remedy: &str) -> BadRule {
    BadRule { key: key.to_owned(), problem: problem.to_owned(), remedy: remedy.to_owned() }
}

fn one_of(words: &[&str]) -> Refusal {
    ("is unknown".to_owned(), format!("use one of {}", words.join(", ")))
}

fn flag(text: &str) -> Result<bool, Refusal> {
    text.parse().map_err(|_| ("is neither true nor false".to_owned(), "use true or false".to_owned()))
}

fn number<T: std::str::FromStr + PartialOrd + std::fmt::Display>(
    text: &str,
    least: T,
    most: T,
) -> Result<T, Refusal> {
    let range = format!("use a whole number from {least} to {most}");
    let parsed = text.parse().ok().filter(|number| (&least..=&most).contains(&number));
    parsed.ok_or_else(|| ("is no such number".to_owned(), range))
}

fn no_time() -> Refusal {
    ("is no length of time".to_owned(), "write it as 500ms, 10s, 2m or 1h".to_owned())
}

fn time(text: &str) -> Result<Duration, Refusal> {
    duration::parse(text).ok_or_else(no_time)
}

fn some_time(text: &str) -> Result<Duration, Refusal> {
    time(text).and_then(|time| if time.is_zero() { Err(no_time()) } else { Ok(time) })
}

fn policy(text: &str) -> Result<Policy, Refusal> {
    Policy::from_word(text).ok_or_else(|| one_of(&Policy::ALL.map(Policy::word)))
}

fn ignore_deletes(text: &str) -> Result<IgnoreDeletes, Refusal> {
    let (postgres, salesforce) = match text {
        "none" | "false" => (false, false),
        "postgres" | "true" => (true, false),
        "salesforce" => (false, true),
        "both" => (true, true),
        _ => return Err(one_of(&["none", "postgres", "salesforce", "both"])),
    };
    Ok(IgnoreDeletes { postgres, salesforce })
}

/// Stored as what was set.
impl Serialize for Rules {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.settings.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Rules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rules, D::Error> {
        let settings: BTreeMap<String, String> = Deserialize::deserialize(deserializer)?;
        let mut rules = Rules::default();
        for (key, text) in &settings {
            rules.set_stored(key, text).map_err(serde::de::Error::custom)?;
        }
        Ok(rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_documented_as_default_is_the_default() {
        for (key, default, _) in KEYS {
            let mut rules = Rules::default();
            rules.set(key, default).unwrap();
            rules.settings.clear();
            assert_eq!(rules, Rules::default(), "{key}");
        }
    }

    #[test]
    fn rules_of_mappings_and_fields_are_read_and_kept_as_written() {
        let mut rules = Rules::default();
        for (key, text) in [
            ("strategy", "manual_review"),
            ("retry_schedule", "1s, 2m"),
            ("ignore_deletes", "both"),
            ("where", "email IS NOT NULL"),
            ("Phone.transforms", "trim | phone_e164(US)"),
            ("Invoice__r.External_Id__c.read_only", "true"),
        ] {
            rules.set(key, text).unwrap();
        }
        assert_eq!(rules.strategy, Strategy::ManualReview);
        assert_eq!(rules.retries.schedule, [Duration::from_secs(1), Duration::from_secs(120)]);
        assert_eq!(rules.of("phone").unwrap().transforms.len(), 2);
        assert!(rules.of("invoice__r__external_id__c").unwrap().read_only);
        let stored = serde_json::to_value(&rules).unwrap();
        assert_eq!(serde_json::from_value::<Rules>(stored).unwrap(), rules);
        let shown: BTreeMap<String, String> = rules.shown().into_iter().collect();
        assert_eq!((shown["strategy"].as_str(), shown["check"].as_str()), ("manual_review", "true"));
        assert_eq!(shown["Phone.transforms"], "trim | phone_e164(US)");
    }

    #[test]
    fn rules_are_the_same_by_what_they_mean() {
        let of = |rules: &[(&str, &str)]| {
            let mut own = Rules::default();
            rules.iter().for_each(|(key, text)| own.set(key, text).unwrap());
            own
        };
        assert!(of(&[("poll_interval", "60s"), ("Phone.mask", "false")]).is_same_as(&Rules::default()));
        assert!(!of(&[("Phone.required", "false")]).is_same_as(&Rules::default()));
        assert!(!of(&[("strategy", "retry")]).is_same_as(&Rules::default()));
        let twice = of(&[("Phone.transforms", "trim"), ("phone.transforms", "lowercase")]);
        assert_eq!(twice.settings().len(), 1);
        assert_eq!(twice, serde_json::from_value(serde_json::to_value(&twice).unwrap()).unwrap());
    }

    #[test]
    fn a_bad_rule_is_refused_with_what_is_allowed() {
        for (key, text, problem, remedy) in [
            ("strategy", "hope", "is unknown", "use one of skip, retry, fail_fast, manual_review"),
            ("batch_size", "201", "is no such number", "use a whole number from 1 to 200"),
            ("bulk_from", "some", "is no such number", "use a whole number from 0 to 10000"),
            ("max_retries", "-1", "is no such number", "use a whole number from 0 to 100"),
            ("check", "yes", "is neither true nor false", "use true or false"),
            ("retry_delay", "soon", "is no length of time", "write it as 500ms, 10s, 2m or 1h"),
            ("poll_interval", "0s", "is no length of time", "write it as 500ms, 10s, 2m or 1h"),
            (
                "conflicts",
                "me",
                "is unknown",
                "use one of newest_wins, salesforce_wins, postgres_wins, manual",
            ),
        ] {
            let refused = Rules::default().set(key, text).unwrap_err();
            assert_eq!((refused.problem.as_str(), refused.remedy.as_str()), (problem, remedy), "{key}");
        }
        let refused = Rules::default().set("Phone.transfroms", "trim").unwrap_err();
        assert!(refused.remedy.starts_with("there are transforms, skip_invalid"), "{refused}");
        let refused = Rules::default().set("Phone.transforms", "shout").unwrap_err();
        assert!(refused.problem.contains("\"shout\" is no transform"), "{refused}");
    }
}
