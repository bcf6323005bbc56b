//! `[[alert]]` and `[alert.channel.NAME]`: what people are told about, and where. TOML reads a channel as a part of the
//! rule before it, so channels stand behind a rule; they belong to all rules nevertheless. Both hold for every
//! connection of the file, but for a rule that names one.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::NaiveTime;
use serde::Deserialize;
use toml::{Spanned, Value};

use crate::domain::alert::rule::{
    AlertManner, AnswerShare, CHANNELS, CONDITIONS, LOG, QuietHours, Rule, Scope, Severity, Tell, When,
};
use crate::domain::errors::sync_error::Category;
use crate::domain::values::nearest::suggestion;
use crate::logs::line::LogFilter;

use super::ConfigError;
use super::channel::{Channel, ChannelKeys, WrittenChannels};
use super::written::Check;

/// What people are told about, and where.
#[derive(Clone, Debug, Default)]
pub struct AlertSettings {
    /// What is looked for.
    pub rules: Vec<Rule>,
    /// Where it is told.
    pub channels: Vec<Channel>,
}

/// `[[alert]]` of a file whose other tables are read elsewhere.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    alert: Vec<RuleKeys>,
}

/// The same without any rule: `[alert.channel.NAME]` alone.
#[derive(Deserialize)]
struct ChannelsAlone {
    alert: Alone,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Alone {
    #[serde(default)]
    channel: BTreeMap<Spanned<String>, ChannelKeys>,
}

type Text = Option<Spanned<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleKeys {
    when: Spanned<String>,
    #[serde(default)]
    name: Text,
    #[serde(default)]
    connection: Text,
    #[serde(default)]
    channels: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    severity: Text,
    #[serde(default)]
    mapping: Text,
    #[serde(default)]
    category: Text,
    #[serde(default)]
    code: Text,
    #[serde(default)]
    above: Option<Spanned<Value>>,
    #[serde(default)]
    below: Option<Spanned<Value>>,
    #[serde(default)]
    within: Text,
    #[serde(default)]
    older_than: Text,
    #[serde(default)]
    least: Option<Spanned<i64>>,
    #[serde(default, rename = "match")]
    matching: Text,
    #[serde(default, rename = "for")]
    delay: Text,
    #[serde(default)]
    tell: Text,
    #[serde(default)]
    at: Text,
    #[serde(default)]
    again: Text,
    #[serde(default)]
    repeat: Text,
    #[serde(default)]
    quiet_hours: Text,
    /// TOML puts channels into the rule before them.
    #[serde(default)]
    channel: BTreeMap<Spanned<String>, ChannelKeys>,
}

impl RuleKeys {
    /// Each key that not every condition has, with where it is.
    fn particular(&self) -> [(&'static str, Option<usize>); 8] {
        let text = |value: &Text| value.as_ref().map(|value| value.span().start);
        [
            ("above", self.above.as_ref().map(|value| value.span().start)),
            ("below", self.below.as_ref().map(|value| value.span().start)),
            ("within", text(&self.within)),
            ("older_than", text(&self.older_than)),
            ("least", self.least.as_ref().map(|value| value.span().start)),
            ("match", text(&self.matching)),
            ("category", text(&self.category)),
            ("code", text(&self.code)),
        ]
    }
}

/// The keys that a condition takes beside those that all take.
fn keys_of(when: &str) -> &'static [&'static str] {
    match when {
        "error" | "new_cause" | "cause_back" => &["category", "code"],
        "cause_grows" => &["category", "code", "above"],
        "errors" => &["above", "within", "category"],
        "error_rate" => &["above", "within", "least"],
        "success_rate" => &["below", "within", "least"],
        "oldest_unsent" | "nothing_synced" | "blocked" => &["older_than"],
        "api_budget" | "verify" => &["above"],
        "log" => &["match", "above", "within"],
        _ => &[],
    }
}

impl Check<'_> {
    /// What people of a connection are told about, and where.
    pub(super) fn alerts(&self, connection: &str) -> Result<AlertSettings, ConfigError> {
        let (rules, channels) = self.written_alerts()?;
        let channels = self.channels(channels)?;
        let mut names = Vec::new();
        let mut kept = Vec::new();
        for keys in rules {
            let rule = self.rule(&keys, &channels)?;
            if names.contains(&rule.name) || rule.name == CHANNELS {
                let problem = format!("{:?} is the name of another rule", rule.name);
                let at = keys.name.as_ref().map_or(keys.when.span().start, |name| name.span().start);
                return Err(self.refuse_at(at, "alert.name", &problem, "give each rule a name of its own"));
            }
            names.push(rule.name.clone());
            if keys.connection.is_none_or(|named| named.get_ref() == connection) {
                kept.push(rule);
            }
        }
        Ok(AlertSettings { rules: kept, channels })
    }

    /// The rules and the channels as they are written, in whichever form TOML allows.
    fn written_alerts(&self) -> Result<(Vec<RuleKeys>, WrittenChannels), ConfigError> {
        let text = self.text();
        // What TOML says of this is of no help.
        let line_of = |head: &str| text.lines().position(|line| line.trim_start().starts_with(head));
        if let (Some(channel), Some(rule)) = (line_of("[alert."), line_of("[[alert]]"))
            && channel < rule
        {
            let at = text.split_inclusive('\n').take(channel).map(str::len).sum();
            let remedy = "put it behind the rules: TOML takes no [[alert]] after [alert.channel.NAME] but behind another one";
            return Err(self.refuse_at(at, "alert.channel", "stands before the first [[alert]]", remedy));
        }
        let is_table =
            text.parse::<toml::Table>().is_ok_and(|file| file.get("alert").is_some_and(Value::is_table));
        if is_table {
            let file: ChannelsAlone = self.parse()?;
            return Ok((Vec::new(), file.alert.channel.into_iter().collect()));
        }
        let mut file: File = self.parse()?;
        let channels = file.alert.iter_mut().flat_map(|rule| std::mem::take(&mut rule.channel)).collect();
        Ok((file.alert, channels))
    }

    fn rule(&self, keys: &RuleKeys, channels: &[Channel]) -> Result<Rule, ConfigError> {
        let when = keys.when.get_ref().as_str();
        let known = || CONDITIONS.iter().map(|(word, _)| *word).chain([LOG.0]);
        if !known().any(|word| word == when) {
            let all = format!("use one of {}", known().collect::<Vec<_>>().join(", "));
            let remedy = suggestion(when, known(), &all);
            return Err(self.refuse(&keys.when, "alert.when", "is unknown", &remedy));
        }
        let foreign =
            keys.particular().into_iter().find(|(key, at)| at.is_some() && !keys_of(when).contains(key));
        if let Some((key, Some(at))) = foreign {
            let problem = format!("is not used with when = {when:?}");
            return Err(self.refuse_at(at, &format!("alert.{key}"), &problem, "take it out"));
        }
        let name = keys.name.as_ref().map_or(when, |name| name.get_ref().trim());
        if let Some(written) = &keys.name
            && (name.is_empty() || name.contains(char::is_whitespace))
        {
            let remedy = "write a short name without spaces, such as \"login\"";
            return Err(self.refuse(written, "alert.name", "is no name", remedy));
        }
        Ok(Rule {
            name: name.to_owned(),
            when: self.condition(keys)?,
            scope: self.scope(keys)?,
            severity: self.severity(keys)?,
            channels: self.chosen_channels(keys, channels)?,
            manner: self.manner(keys)?,
            quiet: keys.quiet_hours.as_ref().map_or(Ok(None), |written| {
                let remedy = "write it as \"22:00-07:00\", in this machine's time zone";
                let refuse = || self.refuse(written, "alert.quiet_hours", "are no hours", remedy);
                QuietHours::parse(written.get_ref()).map(Some).ok_or_else(refuse)
            })?,
        })
    }

    fn condition(&self, keys: &RuleKeys) -> Result<When, ConfigError> {
        let within = |default: u64| self.duration("alert.within", keys.within.as_ref(), default);
        let older = |default: u64| self.duration("alert.older_than", keys.older_than.as_ref(), default);
        let percent = |key: &str, value: &Option<Spanned<Value>>, default: f64| match value {
            None => Ok(default),
            Some(value) => {
                let number =
                    value.get_ref().as_float().or(value.get_ref().as_integer().map(|whole| whole as f64));
                number.filter(|number| (0.0..=100.0).contains(number)).ok_or_else(|| {
                    self.refuse(
                        value,
                        &format!("alert.{key}"),
                        "is no percentage",
                        "write a number from 0 to 100",
                    )
                })
            }
        };
        let share =
            |key: &str, value: &Option<Spanned<Value>>, default: f64| -> Result<AnswerShare, ConfigError> {
                let least = keys.least.as_ref().map_or(20, |least| *least.get_ref());
                Ok(AnswerShare { percent: percent(key, value, default)?, within: within(600)?, least })
            };
        Ok(match keys.when.get_ref().as_str() {
            "error" => When::Error,
            "new_cause" => When::NewCause,
            "cause_back" => When::CauseBack,
            "cause_grows" => When::CauseGrows { above: self.above(keys, Some(10))? },
            "errors" => When::Errors {
                above: self.above(keys, None)?,
                within: keys.within.as_ref().map(|_| within(0)).transpose()?,
            },
            "error_rate" => When::ErrorRate(share("above", &keys.above, 10.0)?),
            "success_rate" => When::SuccessRate(share("below", &keys.below, 90.0)?),
            "oldest_unsent" => When::OldestUnsent(older(900)?),
            "nothing_synced" => When::NothingSynced(older(900)?),
            "blocked" => When::Blocked(older(3_600)?),
            "connection_down" => When::ConnectionDown,
            "login_lost" => When::LoginLost,
            "mapping_stopped" => When::MappingStopped,
            "verify" => When::Verify { above: self.above(keys, Some(0))? },
            "api_budget" => match &keys.above {
                None => When::ApiBudget(vec![80, 95]),
                above => {
                    percent("above", above, 0.0)?;
                    When::ApiBudget(vec![self.above(keys, None)?])
                }
            },
            _ => self.log_condition(keys, within(600)?)?,
        })
    }

    fn log_condition(&self, keys: &RuleKeys, within: Duration) -> Result<When, ConfigError> {
        let Some(filter) = &keys.matching else {
            let remedy = "write which lines count, as in: syncdeck logs --where 'level:error'";
            return Err(self.refuse(&keys.when, "alert.match", "is needed for when = \"log\"", remedy));
        };
        LogFilter::parse(filter.get_ref()).map_err(|problem| {
            let remedy = "try it with: syncdeck logs --where FILTER";
            self.refuse(filter, "alert.match", &problem, remedy)
        })?;
        Ok(When::Log { filter: filter.get_ref().clone(), above: self.above(keys, Some(0))?, within })
    }

    /// A count that must be exceeded.
    fn above(&self, keys: &RuleKeys, default: Option<i64>) -> Result<i64, ConfigError> {
        match (&keys.above, default) {
            (None, Some(default)) => Ok(default),
            (None, None) => {
                let problem = format!("is needed for when = {:?}", keys.when.get_ref());
                Err(self.refuse(
                    &keys.when,
                    "alert.above",
                    &problem,
                    "write how many are too many, such as above = 100",
                ))
            }
            (Some(value), _) => value.get_ref().as_integer().filter(|number| *number >= 0).ok_or_else(|| {
                self.refuse(
                    value,
                    "alert.above",
                    "is no whole number",
                    "write a number from 0 on, without quotes",
                )
            }),
        }
    }

    fn scope(&self, keys: &RuleKeys) -> Result<Scope, ConfigError> {
        let text = |value: &Text| value.as_ref().map(|value| value.get_ref().clone());
        let category = keys.category.as_ref().map_or(Ok(None), |written| {
            let remedy = "use connection, data, mapping or consistency";
            let refuse = || self.refuse(written, "alert.category", "is unknown", remedy);
            Category::from_word(written.get_ref()).map(Some).ok_or_else(refuse)
        })?;
        Ok(Scope { mapping: text(&keys.mapping), category, code: text(&keys.code) })
    }

    fn severity(&self, keys: &RuleKeys) -> Result<Severity, ConfigError> {
        let Some(written) = &keys.severity else { return Ok(Severity::default()) };
        let remedy = "use \"info\", \"warning\" or \"critical\"";
        let refuse = || self.refuse(written, "alert.severity", "is unknown", remedy);
        Severity::from_word(written.get_ref()).ok_or_else(refuse)
    }

    fn manner(&self, keys: &RuleKeys) -> Result<AlertManner, ConfigError> {
        let of_causes = keys.when.get_ref() == "error";
        let word =
            keys.tell.as_ref().map_or(if of_causes { "every" } else { "threshold" }, |tell| tell.get_ref());
        if let Some(at) = keys.at.as_ref().filter(|_| word != "daily") {
            return Err(self.refuse(at, "alert.at", "is used with tell = \"daily\" only", "take it out"));
        }
        let at =
            keys.at.as_ref().map_or(Ok(NaiveTime::default() + Duration::from_secs(8 * 3_600)), |at| {
                let refuse =
                    |_| self.refuse(at, "alert.at", "is no time of the day", "write it as \"08:00\"");
                NaiveTime::parse_from_str(at.get_ref(), "%H:%M").map_err(refuse)
            })?;
        let tell = match (word, &keys.tell) {
            ("every", _) => Tell::Every,
            ("threshold", _) => Tell::Threshold,
            ("hourly", _) => Tell::Hourly,
            ("daily", _) => Tell::Daily(at),
            (_, Some(written)) => {
                let remedy = "use \"every\", \"threshold\", \"hourly\" or \"daily\"";
                return Err(self.refuse(written, "alert.tell", "is unknown", remedy));
            }
            (_, None) => Tell::Threshold,
        };
        let delay = match &keys.delay {
            Some(written) if written.get_ref().trim() == "0s" => Duration::ZERO,
            written => self.duration("alert.for", written.as_ref(), 60)?,
        };
        let repeat = match &keys.repeat {
            Some(written) if written.get_ref() == "never" => None,
            written => Some(self.duration("alert.repeat", written.as_ref(), 4 * 3_600)?),
        };
        Ok(AlertManner {
            delay,
            tell,
            again: self.duration("alert.again", keys.again.as_ref(), 300)?,
            repeat,
        })
    }

    /// The channels that a rule names; all of them where it names none.
    fn chosen_channels(&self, keys: &RuleKeys, channels: &[Channel]) -> Result<Vec<String>, ConfigError> {
        let known = || channels.iter().map(|channel| channel.name.as_str());
        if channels.is_empty() {
            let remedy = "add one behind the rules, such as:\n[alert.channel.ops]\nkind = \"slack\"\nurl_env = \"SLACK_URL\"";
            return Err(self.refuse(
                &keys.when,
                "alert.channels",
                "there is no [alert.channel.NAME]",
                remedy,
            ));
        }
        let Some(written) = &keys.channels else { return Ok(known().map(str::to_owned).collect()) };
        for name in written.get_ref() {
            if !known().any(|channel| channel == name) {
                let all = format!("name one of {}", known().collect::<Vec<_>>().join(", "));
                let problem = format!("there is no channel {name:?}");
                return Err(self.refuse(
                    written,
                    "alert.channels",
                    &problem,
                    &suggestion(name, known(), &all),
                ));
            }
        }
        if written.get_ref().is_empty() {
            return Err(self.refuse(
                written,
                "alert.channels",
                "is empty",
                "name one, or take the key out for all",
            ));
        }
        Ok(written.get_ref().clone())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<AlertSettings, String> {
        super::super::written::alerts(Path::new("x.toml"), text, "acme").map_err(|error| error.to_string())
    }

    const HOOK: &str = "[alert.channel.ops]\nkind = \"webhook\"\nurl = \"https://hooks.acme.com/sync\"\n";

    #[test]
    fn rules_and_channels_are_read_as_they_are_written() {
        let text = "[[alert]]\nwhen = \"error\"\n\n[[alert]]\nname = \"login\"\nwhen = \"login_lost\"\nseverity = \"critical\"\n\
            channels = [\"page\"]\nfor = \"0s\"\nrepeat = \"never\"\n\n[alert.channel.ops]\nkind = \"slack\"\nurl_env = \"U\"\n\
            [alert.channel.page]\nkind = \"pagerduty\"\nrouting_key = \"hush\"\n\n[[alert]]\nwhen = \"errors\"\nabove = 5\n\
            within = \"10m\"\ntell = \"daily\"\nat = \"07:30\"\nquiet_hours = \"22:00-07:00\"\nconnection = \"acme\"\n\
            [[alert]]\nname = \"other\"\nwhen = \"error\"\nconnection = \"globex\"\n";
        let alerts = read(text).unwrap();
        let names: Vec<&str> = alerts.rules.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(names, ["error", "login", "errors"]);
        assert_eq!(alerts.rules[0].channels, ["ops", "page"], "all of them, where none is named");
        assert_eq!((alerts.rules[0].manner.tell, alerts.rules[0].manner.delay.as_secs()), (Tell::Every, 60));
        assert_eq!(alerts.rules[1].channels, ["page"]);
        assert_eq!((alerts.rules[1].manner.delay.as_secs(), alerts.rules[1].manner.repeat), (0, None));
        assert!(matches!(alerts.rules[2].manner.tell, Tell::Daily(at) if at.to_string() == "07:30:00"));
        let kinds: Vec<&str> = alerts.channels.iter().map(|channel| channel.kind.word()).collect();
        assert_eq!(kinds, ["slack", "pagerduty"]);
        assert!(!format!("{alerts:?}").contains("hush"), "a secret shows in Debug");
        assert_eq!(read(HOOK).unwrap().channels.len(), 1, "a channel without a rule can be tried");
        assert!(read("[connection]\nname = \"acme\"\n").unwrap().channels.is_empty());
    }

    #[test]
    fn a_refusal_names_the_place_and_the_remedy() {
        for (keys, wanted) in [
            ("when = \"erors\"", "x.toml:2: alert.when: is unknown\ndid you mean errors?"),
            ("when = \"errors\"", "x.toml:2: alert.above: is needed for when = \"errors\"\nwrite how many"),
            ("when = \"errors\"\nabove = \"many\"", "x.toml:3: alert.above: is no whole number"),
            (
                "when = \"error\"\nabove = 3",
                "x.toml:3: alert.above: is not used with when = \"error\"\ntake it out",
            ),
            ("when = \"error_rate\"\nabove = 101", "x.toml:3: alert.above: is no percentage\nwrite a number"),
            ("when = \"blocked\"\nolder_than = \"long\"", "x.toml:3: alert.older_than: is no length of time"),
            ("when = \"log\"", "x.toml:2: alert.match: is needed for when = \"log\""),
            (
                "when = \"log\"\nmatch = \"colour:red\"",
                "x.toml:3: alert.match: colour:red: there is no colour:",
            ),
            (
                "when = \"error\"\ntell = \"often\"",
                "x.toml:3: alert.tell: is unknown\nuse \"every\", \"threshold\"",
            ),
            ("when = \"error\"\nat = \"07:00\"", "x.toml:3: alert.at: is used with tell = \"daily\" only"),
            (
                "when = \"error\"\nquiet_hours = \"night\"",
                "x.toml:3: alert.quiet_hours: are no hours\nwrite it as",
            ),
            (
                "when = \"error\"\nchannels = [\"opps\"]",
                "x.toml:3: alert.channels: there is no channel \"opps\"\ndid you mean ops?",
            ),
            ("when = \"error\"\nseverity = \"high\"", "x.toml:3: alert.severity: is unknown\nuse \"info\""),
            ("when = \"error\"\ncategory = \"bad\"", "x.toml:3: alert.category: is unknown"),
            (
                "when = \"error\"\nname = \"channels\"",
                "x.toml:3: alert.name: \"channels\" is the name of another",
            ),
            ("when = \"error\"\ncolour = \"red\"", "x.toml:3: unknown field `colour`"),
        ] {
            let told = read(&format!("[[alert]]\n{keys}\n{HOOK}")).unwrap_err();
            assert!(told.starts_with(wanted), "{told}");
        }
        for (keys, wanted) in [
            ("kind = \"sms\"", "x.toml:4: alert.channel.ops.kind: is unknown\nuse \"slack\", \"email\""),
            ("kind = \"slack\"", "x.toml:4: alert.channel.ops.url: is needed for kind = \"slack\"\nset url"),
            ("kind = \"slack\"\ntoken_env = \"T\"", "x.toml:4: alert.channel.ops.channel: is needed"),
            (
                "kind = \"slack\"\nhost = \"h\"",
                "x.toml:5: alert.channel.ops.host: is not used with kind = \"slack\"\ntake it out; it is for kind = \"email\"",
            ),
            (
                "kind = \"webhook\"\nurl = \"http://acme.com\"",
                "x.toml:5: alert.channel.ops.url: is no https URL",
            ),
            (
                "kind = \"webhook\"\nurl = \"https://169.254.169.254/x\"",
                "x.toml:5: alert.channel.ops.url: is an address",
            ),
            (
                "kind = \"webhook\"\nurl_env = \"A\"\nurl = \"https://b\"",
                "x.toml:6: alert.channel.ops.url: must be given exactly once",
            ),
            (
                "kind = \"webhook\"\nurl = \"https://b\"\nheaders = { Host = \"x\" }",
                "x.toml:6: alert.channel.ops.headers: \"Host\" is set by",
            ),
            (
                "kind = \"email\"\nhost = \"mail.acme.com\"\ntls = \"none\"",
                "x.toml:6: alert.channel.ops.tls: is for a mail server of this",
            ),
            (
                "kind = \"email\"\nhost = \"mail.acme.com\"\nuser = \"u\"",
                "x.toml:4: alert.channel.ops.password: is needed",
            ),
            (
                "kind = \"email\"\nhost = \"m\"\nfrom = \"nobody\"\nto = [\"a@b.co\"]",
                "x.toml:6: alert.channel.ops.from: \"nobody\" is no mail address",
            ),
        ] {
            let told =
                read(&format!("[[alert]]\nwhen = \"error\"\n[alert.channel.ops]\n{keys}\n")).unwrap_err();
            assert!(told.starts_with(wanted), "{told}");
        }
        let told = read("[[alert]]\nwhen = \"error\"\n").unwrap_err();
        assert!(
            told.starts_with("x.toml:2: alert.channels: there is no [alert.channel.NAME]\nadd one"),
            "{told}"
        );
        let told = read(&format!("{HOOK}\n[[alert]]\nwhen = \"error\"\n")).unwrap_err();
        assert!(
            told.starts_with("x.toml:1: alert.channel: stands before the first [[alert]]\nput it"),
            "{told}"
        );
        let twice = format!("[[alert]]\nwhen = \"error\"\n{HOOK}").repeat(2);
        assert!(read(&twice).unwrap_err().contains(": alert.channel: is the name of another channel"));
        let same = format!("{}{HOOK}", "[[alert]]\nwhen = \"error\"\n".repeat(2));
        assert!(
            read(&same)
                .unwrap_err()
                .starts_with("x.toml:4: alert.name: \"error\" is the name of another rule")
        );
    }
}
