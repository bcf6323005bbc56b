//! What is looked for, how urgent it is, and in which manner it is told.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::errors::sync_error::Category;

/// What a rule looks for, by its word in the configuration, with what it means.
pub const CONDITIONS: [(&str, &str); 15] = [
    ("error", "errors of a cause came and are still open"),
    ("errors", "more than `above` errors are open; with `within`, so many that were seen first in that time"),
    ("error_rate", "more than `above` percent of the answers within `within` were rejections"),
    ("success_rate", "less than `below` percent of the answers within `within` were acceptances"),
    ("new_cause", "a cause that was never seen before"),
    ("cause_back", "a cause that was mended is back"),
    (
        "cause_grows",
        "a cause brought more than `above` errors in this hour, and twice as many as in the hour before",
    ),
    ("oldest_unsent", "a change waits for longer than `older_than`"),
    ("nothing_synced", "changes wait, and Salesforce took nothing for longer than `older_than`"),
    ("connection_down", "Salesforce cannot be asked, or PostgreSQL refuses the engine's work"),
    ("login_lost", "Salesforce does not take the login"),
    (
        "api_budget",
        "more than `above` percent of the day's API requests are used; without `above`: 80, and 95",
    ),
    ("mapping_stopped", "an error stopped a mapping's writes, or it cannot be read"),
    ("blocked", "a row waits for another one for longer than `older_than`"),
    ("verify", "the last `verify` of a mapping found more than `above` differences"),
];
/// The condition on lines of the engine's log, which has a filter beside it.
pub const LOG: (&str, &str) =
    ("log", "more than `above` lines of the engine's log match `match` within `within`");

/// What a rule looks for.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// A cause that has open errors which came since alerts are on.
    Error,
    /// More open errors than this; with a time, more that were seen first within it.
    Errors {
        /// The number.
        above: i64,
        /// Only those of this time.
        within: Option<Duration>,
    },
    /// A greater share of rejections than this many percent.
    ErrorRate(AnswerShare),
    /// A smaller share of acceptances than this many percent.
    SuccessRate(AnswerShare),
    /// A cause that nobody saw before.
    NewCause,
    /// A cause that was mended and has errors again.
    CauseBack,
    /// A cause that brought more errors in this hour than this, and twice as many as in the hour before.
    CauseGrows {
        /// The number.
        above: i64,
    },
    /// A change that waits for so long.
    OldestUnsent(Duration),
    /// Changes wait, and none was taken for so long.
    NothingSynced(Duration),
    /// The way to Salesforce, or the engine's work in PostgreSQL, is broken.
    ConnectionDown,
    /// The login is refused.
    LoginLost,
    /// More of the day's requests than so many percent are used.
    ApiBudget(Vec<i64>),
    /// Writes stopped by an error, or a mapping that cannot be read.
    MappingStopped,
    /// A row that waits for another one for so long.
    Blocked(Duration),
    /// More differences at the last comparison than this.
    Verify {
        /// The number.
        above: i64,
    },
    /// More lines of the engine's log than this, within a time.
    Log {
        /// The filter, as it is typed.
        filter: String,
        /// The number.
        above: i64,
        /// The time.
        within: Duration,
    },
    /// A channel that fails. Not in the configuration: it is looked for wherever there is another channel to tell it.
    ChannelFails,
}

/// A share of answers, in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnswerShare {
    /// The limit, in percent.
    pub percent: f64,
    /// The time that counts.
    pub within: Duration,
    /// With fewer answers than this there is no share worth telling.
    pub least: i64,
}

impl When {
    /// Whether it is what follows from a connection that is down, and says nothing of its own meanwhile.
    pub fn follows_from_connection(&self) -> bool {
        matches!(
            self,
            When::OldestUnsent(_)
                | When::NothingSynced(_)
                | When::Blocked(_)
                | When::ErrorRate(_)
                | When::SuccessRate(_)
        )
    }

    /// Whether it tells that the connection itself is down.
    pub fn is_of_connection(&self) -> bool {
        matches!(self, When::ConnectionDown | When::LoginLost)
    }

    /// Whether it looks at causes of errors.
    pub fn is_of_causes(&self) -> bool {
        matches!(self, When::Error | When::NewCause | When::CauseBack | When::CauseGrows { .. })
    }
}

/// How urgent something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look at it.
    #[default]
    Warning,
    /// Somebody must look at it now; quiet hours do not hold it back.
    Critical,
}

impl Severity {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<Severity> {
        [Severity::Info, Severity::Warning, Severity::Critical].into_iter().find(|one| one.word() == word)
    }
}

/// How often something is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// When it begins, when it is over, and when more of it came.
    Every,
    /// When it begins and when it is over.
    Threshold,
    /// Once an hour, at its beginning, what stands and what changed since.
    Hourly,
    /// The same once a day, at this time.
    Daily(NaiveTime),
}

impl Tell {
    /// Whether it is told in digests.
    pub fn is_digest(self) -> bool {
        matches!(self, Tell::Hourly | Tell::Daily(_))
    }

    /// Whether a digest is due now that was made last at `last`, both by the clock on the wall. The first one waits for
    /// the next full hour or day.
    pub fn digest_is_due(self, last: NaiveDateTime, now: NaiveDateTime) -> bool {
        let turn = match self {
            Tell::Every | Tell::Threshold => return false,
            Tell::Hourly => now - Duration::from_secs(seconds_of(now.time()) % 3_600),
            Tell::Daily(at) if now.time() >= at => now.date().and_time(at),
            Tell::Daily(at) => now.date().and_time(at) - Duration::from_secs(86_400),
        };
        last < turn
    }
}

fn seconds_of(time: NaiveTime) -> u64 {
    use chrono::Timelike;
    u64::from(time.num_seconds_from_midnight())
}

/// Hours in which only what is critical is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// From then on,
    pub from: NaiveTime,
    /// and no longer from then on; on the next day where that is earlier.
    pub to: NaiveTime,
}

impl QuietHours {
    /// Reads `22:00-07:00`.
    pub fn parse(text: &str) -> Option<QuietHours> {
        let (from, to) = text.split_once('-')?;
        let time = |text: &str| NaiveTime::parse_from_str(text.trim(), "%H:%M").ok();
        let hours = QuietHours { from: time(from)?, to: time(to)? };
        (hours.from != hours.to).then_some(hours)
    }

    /// Whether a time of the day is within them.
    pub fn cover(self, time: NaiveTime) -> bool {
        if self.from < self.to {
            self.from <= time && time < self.to
        } else {
            time >= self.from || time < self.to
        }
    }
}

/// What a rule is about; each part that is named must fit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    /// A mapping's object.
    pub mapping: Option<String>,
    /// Of errors and causes.
    pub category: Option<Category>,
    /// Of causes.
    pub code: Option<String>,
}

impl Scope {
    /// Whether a mapping is in it.
    pub fn has_mapping(&self, name: &str) -> bool {
        self.mapping.as_ref().is_none_or(|mapping| mapping.eq_ignore_ascii_case(name))
    }
}

/// The manner in which finds of a rule are told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlertManner {
    /// It must hold for so long before it fires, and not hold for so long before it is over.
    pub delay: Duration,
    /// How often.
    pub tell: Tell,
    /// At least so long between two messages about causes of one rule, and about more of the same.
    pub again: Duration,
    /// While it goes on it is told again after so long.
    pub repeat: Option<Duration>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What it looks for.
    pub when: When,
    /// What of it counts.
    pub scope: Scope,
    /// How urgent it is.
    pub severity: Severity,
    /// Where it is told, by the channels' names.
    pub channels: Vec<String>,
    /// In which manner.
    pub manner: AlertManner,
    /// When it is not told.
    pub quiet: Option<QuietHours>,
}

impl Rule {
    /// Whether what comes within a while after a message is told together: many causes come one after the other.
    pub fn gathers(&self) -> bool {
        self.when.is_of_causes() && self.severity < Severity::Critical && !self.manner.tell.is_digest()
    }
}

/// The name of the rule that looks after the channels.
pub const CHANNELS: &str = "channels";

impl Rule {
    /// The rule that tells through other channels that one fails.
    pub fn of_channels(channels: Vec<String>) -> Rule {
        Rule {
            name: CHANNELS.to_owned(),
            when: When::ChannelFails,
            scope: Scope::default(),
            severity: Severity::Warning,
            channels,
            manner: AlertManner {
                delay: Duration::from_secs(60),
                tell: Tell::Threshold,
                again: Duration::from_secs(300),
                repeat: Some(Duration::from_secs(12 * 3_600)),
            },
            quiet: None,
        }
    }
}

/// Somebody wants to hear nothing of something until a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    /// Its number.
    pub id: i64,
    /// The rule; all rules where none is named.
    pub rule: Option<String>,
    /// What of it, whole; all of it where nothing is named.
    pub subject: Option<String>,
    /// Until when.
    pub until: DateTime<Utc>,
    /// Why.
    pub note: String,
    /// Who said so.
    pub actor: String,
    /// When.
    pub at: DateTime<Utc>,
}

impl Silence {
    /// What it is of: `all`, `RULE` or `RULE:SUBJECT`.
    pub fn of(&self) -> String {
        match (&self.rule, &self.subject) {
            (Some(rule), Some(subject)) => format!("{rule}:{subject}"),
            (Some(rule), None) => rule.clone(),
            (None, _) => "all".to_owned(),
        }
    }

    /// Whether it covers something at a time.
    pub fn covers(&self, rule: &str, subject: &str, now: DateTime<Utc>) -> bool {
        let fits = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
        now < self.until && fits(&self.rule, rule) && fits(&self.subject, subject)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wall(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap()
    }

    #[test]
    fn quiet_hours_may_go_over_midnight() {
        let night = QuietHours::parse("22:00-07:00").unwrap();
        let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").unwrap();
        let quiet: Vec<bool> =
            ["21:59", "22:00", "03:00", "06:59", "07:00"].iter().map(|at| night.cover(time(at))).collect();
        assert_eq!(quiet, [false, true, true, true, false]);
        let noon = QuietHours::parse("12:00 - 13:00").unwrap();
        assert!(noon.cover(time("12:30")) && !noon.cover(time("13:00")));
        for wrong in ["22-7", "25:00-07:00", "22:00", "08:00-08:00", ""] {
            assert_eq!(QuietHours::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_digest_is_due_once_at_each_turn() {
        let due = |tell: Tell, last: &str, now: &str| tell.digest_is_due(wall(last), wall(now));
        assert!(!due(Tell::Hourly, "2026-11-20 10:00", "2026-11-20 10:59"));
        assert!(due(Tell::Hourly, "2026-11-20 10:59", "2026-11-20 11:00"));
        let daily = Tell::Daily(NaiveTime::from_hms_opt(8, 0, 0).unwrap());
        assert!(!due(daily, "2026-11-20 08:00", "2026-11-21 07:59"));
        assert!(due(daily, "2026-11-20 08:00", "2026-11-21 08:00"));
        assert!(due(daily, "2026-11-20 07:59", "2026-11-20 08:00"));
        assert!(due(daily, "2026-11-18 09:00", "2026-11-21 07:00"), "one that was missed is made up for");
        assert!(!due(Tell::Threshold, "2026-11-18 09:00", "2026-11-21 07:00"));
    }

    #[test]
    fn a_silence_covers_what_it_names_until_its_end() {
        let now = DateTime::UNIX_EPOCH;
        let silence = |rule: Option<&str>, subject: Option<&str>| Silence {
            id: 1,
            rule: rule.map(str::to_owned),
            subject: subject.map(str::to_owned),
            until: now + Duration::from_secs(60),
            note: String::new(),
            actor: String::new(),
            at: now,
        };
        assert!(silence(None, None).covers("login", "", now));
        assert!(silence(Some("login"), None).covers("login", "x", now));
        assert!(!silence(Some("login"), None).covers("budget", "x", now));
        assert!(!silence(Some("login"), Some("y")).covers("login", "x", now));
        assert!(!silence(None, None).covers("login", "", now + Duration::from_secs(60)));
    }

    proptest! {
        /// At every minute of two days it is due exactly once a turn.
        #[test]
        fn digests_come_once_a_turn(minutes in proptest::collection::vec(1_u64..200, 1..60), at in 0_u32..24) {
            let daily = Tell::Daily(NaiveTime::from_hms_opt(at, 0, 0).unwrap());
            for (tell, length) in [(Tell::Hourly, 60), (daily, 24 * 60)] {
                let (mut now, mut last) = (wall("2026-11-20 10:30"), wall("2026-11-20 10:30"));
                let mut made = 0_u64;
                for step in &minutes {
                    now += Duration::from_secs(step * 60);
                    if tell.digest_is_due(last, now) {
                        made += 1;
                        last = now;
                        prop_assert!(!tell.digest_is_due(last, now));
                    }
                }
                prop_assert!(made <= minutes.iter().sum::<u64>() / length + 1);
            }
        }
    }
}
