//! What of a rule is so, in how things stand.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::life::Observed;
use super::rule::{AnswerShare, Rule, Scope, When};
use crate::domain::errors::cause::Cause;
use crate::domain::errors::sync_error::Category;
use crate::domain::reports::overview::{MappingStatus, Overview};
use crate::domain::state::{ConnectionState, MappingState};
use crate::domain::values::duration::spoken;
use crate::domain::values::size::thousands;

/// How things stand, as far as rules ask.
#[derive(Clone, Debug, Default)]
pub struct AlertLook {
    /// The connection and the mappings.
    pub overview: Overview,
    /// Causes of errors that are not mended, and those that were mended not long ago.
    pub causes: Vec<Cause>,
    /// Since when each rule is looked at: what was so before is no news.
    pub since: BTreeMap<String, DateTime<Utc>>,
    /// For each rule that asks for errors of a time: how many of each mapping and category.
    pub recent: BTreeMap<String, Vec<(String, Category, i64)>>,
    /// For each rule that asks for a share: the answers of each mapping.
    pub answers: BTreeMap<String, Vec<(String, AnswerCounts)>>,
    /// Since when the oldest row of a mapping waits for another one.
    pub blocked: BTreeMap<String, DateTime<Utc>>,
    /// What the last comparison of a mapping found.
    pub verified: BTreeMap<String, i64>,
    /// For each rule that asks for log lines: how many there were.
    pub lines: BTreeMap<String, i64>,
    /// Channels that fail, each with its reason.
    pub failing_channels: Vec<(String, String)>,
}

/// Answers of a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerCounts {
    /// Records that Salesforce took.
    pub accepted: i64,
    /// Those that it did not take.
    pub rejected: i64,
}

/// What of a rule is so at a time; `None` where nobody can say.
pub fn observe(rule: &Rule, look: &AlertLook, now: DateTime<Utc>) -> Option<Vec<Observed>> {
    if rule.when.follows_from_connection() && look.overview.connection.state != ConnectionState::Ok {
        return None;
    }
    let of_mappings = |find: &dyn Fn(&MappingStatus) -> Option<String>| -> Vec<Observed> {
        let mappings = look.overview.mappings.iter().filter(|mapping| rule.scope.has_mapping(&mapping.name));
        mappings.filter_map(|mapping| Some(of_mapping(mapping, find(mapping)?))).collect()
    };
    let waits = |since: Option<DateTime<Utc>>, limit: std::time::Duration| {
        let waited = (now - since?).to_std().ok()?;
        (waited > limit).then_some(waited)
    };
    Some(match &rule.when {
        When::Error | When::NewCause | When::CauseBack | When::CauseGrows { .. } => causes(rule, look, now),
        When::Errors { above, within: None } => {
            let of = |mapping: &MappingStatus| match rule.scope.category {
                Some(category) => mapping.by_category.get(category.word()).copied().unwrap_or_default(),
                None => mapping.errors,
            };
            let mappings =
                look.overview.mappings.iter().filter(|mapping| rule.scope.has_mapping(&mapping.name));
            above_limit(&rule.scope, mappings.map(of).sum(), *above, "open errors")
        }
        When::Errors { above, within: Some(within) } => {
            let found = look.recent.get(&rule.name).into_iter().flatten();
            let counted = found.filter(|(mapping, category, _)| {
                rule.scope.has_mapping(mapping)
                    && rule.scope.category.is_none_or(|wanted| wanted == *category)
            });
            let what = format!("errors within {}", spoken(*within));
            above_limit(&rule.scope, counted.map(|(_, _, count)| count).sum(), *above, &what)
        }
        When::ErrorRate(share) => shares(rule, share, look, "rejected", |answers, all| {
            let rate = percent(answers.rejected, all);
            (rate > share.percent).then_some(rate)
        }),
        When::SuccessRate(share) => shares(rule, share, look, "accepted", |answers, all| {
            let rate = percent(answers.accepted, all);
            (rate < share.percent).then_some(rate)
        }),
        When::OldestUnsent(limit) => of_mappings(&|mapping| {
            let waited = waits(mapping.oldest_pending, *limit)?;
            Some(format!(
                "{}: the oldest of {} unsent changes waits for {}",
                mapping.name,
                number(mapping.pending),
                spoken(waited)
            ))
        }),
        When::NothingSynced(limit) => of_mappings(&|mapping| {
            // What a person paused is not expected to be sent.
            if mapping.state == MappingState::Paused || mapping.pending == 0 {
                return None;
            }
            waits(mapping.oldest_pending, *limit)?;
            let since = match mapping.last_write {
                Some(last) => format!("for {}", spoken(waits(Some(last), *limit)?)),
                None => "ever".to_owned(),
            };
            let (name, pending) = (&mapping.name, number(mapping.pending));
            Some(format!("{name}: {pending} changes wait, and Salesforce took nothing {since}"))
        }),
        When::ConnectionDown => connection(look, |state| {
            !matches!(
                state,
                ConnectionState::Ok | ConnectionState::Connecting | ConnectionState::Unauthorized
            )
        }),
        When::LoginLost => connection(look, |state| state == ConnectionState::Unauthorized),
        When::ApiBudget(limits) => budget(look, limits),
        When::MappingStopped => of_mappings(&|mapping| {
            let stopped = matches!(mapping.state, MappingState::Stopped | MappingState::Broken);
            stopped.then(|| format!("{} is {}", mapping.name, mapping.state))
        })
        .into_iter()
        .map(|observed| {
            let mapping = look
                .overview
                .mappings
                .iter()
                .find(|mapping| Some(&mapping.name) == observed.mapping.as_ref());
            Observed { why: mapping.and_then(|mapping| mapping.detail.clone()), ..observed }
        })
        .collect(),
        When::Blocked(limit) => of_mappings(&|mapping| {
            let waited = waits(look.blocked.get(&mapping.table).copied(), *limit)?;
            let (name, held) = (&mapping.name, number(mapping.held));
            Some(format!("{name}: the oldest of {held} blocked rows waits for {}", spoken(waited)))
        }),
        When::Verify { above } => of_mappings(&|mapping| {
            let found = look.verified.get(&mapping.name).copied()?;
            (found > *above).then(|| format!("{}: verify found {} differences", mapping.name, number(found)))
        }),
        When::Log { above, within, .. } => {
            let found = look.lines.get(&rule.name).copied().unwrap_or_default();
            let what = format!("matching log lines within {}", spoken(*within));
            above_limit(&Scope::default(), found, *above, &what)
        }
        When::ChannelFails => {
            let of = |(name, why): &(String, String)| Observed {
                subject: name.clone(),
                headline: format!("the alert channel {name} fails"),
                why: Some(why.clone()),
                ..Observed::default()
            };
            look.failing_channels.iter().map(of).collect()
        }
    })
}

fn of_mapping(mapping: &MappingStatus, headline: String) -> Observed {
    let mapping = mapping.name.clone();
    Observed { subject: mapping.clone(), headline, mapping: Some(mapping), ..Observed::default() }
}

fn number(count: i64) -> String {
    thousands(usize::try_from(count).unwrap_or_default())
}

fn percent(part: i64, all: i64) -> f64 {
    part as f64 * 100.0 / all.max(1) as f64
}

fn above_limit(scope: &Scope, count: i64, above: i64, what: &str) -> Vec<Observed> {
    if count <= above {
        return Vec::new();
    }
    let of = scope.mapping.as_ref().map(|mapping| format!("{mapping}: ")).unwrap_or_default();
    let headline = format!("{of}{} {what}, more than {}", number(count), number(above));
    vec![Observed { headline, mapping: scope.mapping.clone(), total: count, ..Observed::default() }]
}

fn shares(
    rule: &Rule,
    share: &AnswerShare,
    look: &AlertLook,
    what: &str,
    beyond: impl Fn(AnswerCounts, i64) -> Option<f64>,
) -> Vec<Observed> {
    let mut sum = AnswerCounts::default();
    for (mapping, answers) in look.answers.get(&rule.name).into_iter().flatten() {
        if rule.scope.has_mapping(mapping) {
            sum.accepted += answers.accepted;
            sum.rejected += answers.rejected;
        }
    }
    let all = sum.accepted + sum.rejected;
    let Some(rate) = beyond(sum, all).filter(|_| all >= share.least) else { return Vec::new() };
    let of = rule.scope.mapping.as_ref().map(|mapping| format!("{mapping}: ")).unwrap_or_default();
    let within = spoken(share.within);
    let headline = format!("{of}{rate:.1} % of {} answers within {within} {what}", number(all));
    vec![Observed { headline, mapping: rule.scope.mapping.clone(), ..Observed::default() }]
}

fn connection(look: &AlertLook, is_so: impl Fn(ConnectionState) -> bool) -> Vec<Observed> {
    let of = &look.overview.connection;
    if !is_so(of.state) {
        return Vec::new();
    }
    let waiting: i64 = look.overview.mappings.iter().map(|mapping| mapping.pending).sum();
    let headline =
        format!("the connection to Salesforce is {}, and {} changes wait", of.state, number(waiting));
    vec![Observed { headline, why: of.detail.clone(), ..Observed::default() }]
}

fn budget(look: &AlertLook, limits: &[i64]) -> Vec<Observed> {
    let of = &look.overview.connection;
    let (Some(used), Some(limit @ 1..)) = (of.api_used, of.api_limit) else { return Vec::new() };
    let part = used.saturating_mul(100) / limit;
    let beyond = limits.iter().filter(|beyond| percent(used, limit) > **beyond as f64);
    let headline =
        format!("{part} % of the day's API requests are used ({} of {})", number(used), number(limit));
    beyond
        .map(|beyond| Observed {
            subject: format!("{beyond}%"),
            headline: headline.clone(),
            ..Observed::default()
        })
        .collect()
}

/// Causes that a rule is about. One that somebody muted is none of them, until what the mute waits for has come.
fn causes(rule: &Rule, look: &AlertLook, now: DateTime<Utc>) -> Vec<Observed> {
    let since = look.since.get(&rule.name).copied().unwrap_or(now);
    let of = look.causes.iter().filter(|cause| {
        let scope = &rule.scope;
        let fits = scope.has_mapping(&cause.mapping)
            && scope.category.is_none_or(|wanted| wanted == cause.category)
            && scope.code.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(&cause.code));
        // What was open before anybody asked is nothing that came.
        let course = &cause.course;
        let is_so = match rule.when {
            When::Error => course.came_at > since,
            When::NewCause => cause.is_new() && course.opened_at > since,
            When::CauseBack => cause.is_back() && course.opened_at > since,
            When::CauseGrows { above } => course.grows(above, now),
            _ => false,
        };
        course.open && fits && is_so && !cause.is_muted(now)
    });
    of.map(|cause| {
        let whose = if cause.mapping.is_empty() { "the connection" } else { &cause.mapping };
        let fields =
            if cause.fields.is_empty() { String::new() } else { format!(" ({})", cause.fields.join(", ")) };
        let lead = match rule.when {
            When::NewCause => "a new cause: ",
            When::CauseBack => "back again: ",
            When::CauseGrows { .. } => "growing: ",
            _ => "",
        };
        Observed {
            subject: cause.fingerprint.clone(),
            headline: format!("{lead}{whose}: {}{fields} [{}]", cause.title, cause.code),
            why: Some(cause.why.clone()).filter(|why| !why.is_empty()),
            mapping: Some(cause.mapping.clone()).filter(|mapping| !mapping.is_empty()),
            cause: Some(cause.fingerprint.clone()),
            total: cause.course.total(),
        }
    })
    .collect()
}

/// Whether something of a rule says no more than that the connection is down, which another rule tells.
pub fn is_inhibited(rule: &Rule, observed: &Observed, look: &AlertLook, rules: &[Rule]) -> bool {
    let down = look.overview.connection.state != ConnectionState::Ok;
    let told_elsewhere = || rules.iter().any(|rule| rule.when.is_of_connection());
    let of_connection = || {
        let cause = look.causes.iter().find(|cause| Some(&cause.fingerprint) == observed.cause.as_ref());
        cause.is_some_and(|cause| cause.category == Category::Connection)
    };
    down && rule.when.is_of_causes() && of_connection() && told_elsewhere()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::TimeDelta;

    use super::*;
    use crate::domain::alert::rule::AlertManner;
    use crate::domain::alert::rule::{Severity, Tell};
    use crate::domain::errors::cause::{Course, Mute, Sight, Until};
    use crate::domain::reports::overview::ConnectionStatus;

    const MINUTE: Duration = Duration::from_secs(60);

    fn now() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
    }

    fn rule(when: When) -> Rule {
        Rule {
            name: "r".to_owned(),
            when,
            scope: Scope::default(),
            severity: Severity::Warning,
            channels: Vec::new(),
            manner: AlertManner { delay: MINUTE, tell: Tell::Threshold, again: MINUTE, repeat: None },
            quiet: None,
        }
    }

    fn look(mappings: Vec<MappingStatus>) -> AlertLook {
        let connection = ConnectionStatus { state: ConnectionState::Ok, ..ConnectionStatus::default() };
        AlertLook {
            overview: Overview { connection, mappings, ..Overview::default() },
            ..AlertLook::default()
        }
    }

    fn mapping(name: &str) -> MappingStatus {
        MappingStatus {
            name: name.to_owned(),
            table: name.to_lowercase(),
            state: MappingState::Ok,
            ..MappingStatus::default()
        }
    }

    fn headlines(when: When, look: &AlertLook) -> Vec<String> {
        let found = observe(&rule(when), look, now()).unwrap();
        found.into_iter().map(|observed| observed.headline).collect()
    }

    #[test]
    fn counts_and_shares_have_a_limit() {
        let mut look = look(vec![
            MappingStatus { errors: 7, ..mapping("Account") },
            MappingStatus { errors: 1_200, ..mapping("Contact") },
        ]);
        assert_eq!(
            headlines(When::Errors { above: 1_206, within: None }, &look),
            ["1,207 open errors, more than 1,206"]
        );
        assert!(headlines(When::Errors { above: 1_207, within: None }, &look).is_empty());
        let of_account = Rule {
            scope: Scope { mapping: Some("account".to_owned()), ..Scope::default() },
            ..rule(When::Errors { above: 7, within: None })
        };
        assert_eq!(observe(&of_account, &look, now()), Some(Vec::new()));
        let answers = |accepted, rejected| AnswerCounts { accepted, rejected };
        look.answers.insert(
            "r".to_owned(),
            vec![("Account".to_owned(), answers(60, 20)), ("Contact".to_owned(), answers(10, 10))],
        );
        let share = |percent, least| AnswerShare { percent, within: MINUTE, least };
        assert_eq!(
            headlines(When::ErrorRate(share(25.0, 100)), &look),
            ["30.0 % of 100 answers within 60 s rejected"]
        );
        assert!(headlines(When::ErrorRate(share(30.0, 100)), &look).is_empty());
        assert!(headlines(When::ErrorRate(share(25.0, 101)), &look).is_empty(), "too few to tell");
        assert_eq!(
            headlines(When::SuccessRate(share(95.0, 1)), &look),
            ["70.0 % of 100 answers within 60 s accepted"]
        );
        look.lines.insert("r".to_owned(), 4);
        let lines =
            |above| When::Log { filter: "level:warn".to_owned(), above, within: Duration::from_secs(600) };
        assert_eq!(headlines(lines(3), &look), ["4 matching log lines within 10 min, more than 3"]);
        assert!(headlines(lines(4), &look).is_empty());
    }

    #[test]
    fn what_waits_too_long_is_told_by_mapping() {
        let ago = |minutes| Some(now() - TimeDelta::minutes(minutes));
        let stuck = MappingStatus {
            pending: 3,
            oldest_pending: ago(20),
            last_write: ago(30),
            held: 2,
            ..mapping("Contact")
        };
        let busy = MappingStatus {
            last_write: ago(1),
            ..MappingStatus { name: "Lead".to_owned(), ..stuck.clone() }
        };
        let paused = MappingStatus {
            state: MappingState::Paused,
            ..MappingStatus { name: "Case".to_owned(), ..stuck.clone() }
        };
        let mut look = look(vec![stuck, busy, paused, mapping("Account")]);
        let limit = MINUTE * 15;
        assert_eq!(
            headlines(When::NothingSynced(limit), &look),
            ["Contact: 3 changes wait, and Salesforce took nothing for 30 min"]
        );
        assert_eq!(headlines(When::OldestUnsent(limit), &look).len(), 3);
        assert!(headlines(When::OldestUnsent(MINUTE * 20), &look).is_empty());
        look.blocked.insert("contact".to_owned(), now() - TimeDelta::minutes(90));
        assert_eq!(
            headlines(When::Blocked(MINUTE * 60), &look)[0],
            "Contact: the oldest of 2 blocked rows waits for 90 min"
        );
        look.verified.insert("Lead".to_owned(), 12);
        assert_eq!(headlines(When::Verify { above: 0 }, &look), ["Lead: verify found 12 differences"]);
        look.overview.connection.state = ConnectionState::Down;
        for follows in [When::NothingSynced(limit), When::OldestUnsent(limit), When::Blocked(MINUTE)] {
            assert_eq!(observe(&rule(follows), &look, now()), None, "nobody can say");
        }
        assert!(observe(&rule(When::Verify { above: 0 }), &look, now()).is_some());
    }

    #[test]
    fn the_connection_its_login_and_its_budget_are_told_apart() {
        let mut look = look(vec![MappingStatus { pending: 38, ..mapping("Contact") }]);
        assert!(headlines(When::ConnectionDown, &look).is_empty());
        look.overview.connection.state = ConnectionState::Limited;
        assert_eq!(
            headlines(When::ConnectionDown, &look),
            ["the connection to Salesforce is limited, and 38 changes wait"]
        );
        look.overview.connection.state = ConnectionState::Unauthorized;
        assert!(headlines(When::ConnectionDown, &look).is_empty());
        assert_eq!(headlines(When::LoginLost, &look).len(), 1);
        let budget = || When::ApiBudget(vec![80, 95]);
        assert!(headlines(budget(), &look).is_empty());
        for (used, told) in [(12_000, 0), (12_001, 1), (14_250, 1), (14_251, 2)] {
            (look.overview.connection.api_used, look.overview.connection.api_limit) =
                (Some(used), Some(15_000));
            assert_eq!(headlines(budget(), &look).len(), told, "{used}");
        }
    }

    fn cause(fingerprint: &str) -> Cause {
        let sight = Sight { open: Some(true), settled: 10, unsettled: 2 };
        Cause {
            fingerprint: fingerprint.to_owned(),
            mapping: "Contact".to_owned(),
            code: "INVALID_EMAIL_ADDRESS".to_owned(),
            category: Category::Data,
            fields: vec!["Email".to_owned()],
            title: "Invalid e-mail address".to_owned(),
            why: "no address".to_owned(),
            key: Vec::new(),
            course: Course::begin(false, now()).step(sight, now()),
            owner: None,
            note: None,
            mute: None,
        }
    }

    fn with(fingerprint: &str, change: impl FnOnce(&mut Course)) -> Cause {
        let mut cause = cause(fingerprint);
        change(&mut cause.course);
        cause
    }

    #[test]
    fn causes_are_new_back_or_growing() {
        let mut look = look(Vec::new());
        look.causes = vec![
            cause("a"),
            with("b", |course| {
                (course.returns, course.counted, course.this_hour, course.last_hour) = (1, 1, 1, 2)
            }),
            Cause {
                course: Course { last_hour: 500, ..Course::begin(false, now() - TimeDelta::hours(2)) },
                ..cause("c")
            },
            with("d", |course| course.open = false),
        ];
        look.since.insert("r".to_owned(), now() - TimeDelta::hours(1));
        let found = |when| -> Vec<String> {
            let found = observe(&rule(when), &look, now()).unwrap();
            found.into_iter().map(|observed| observed.subject).collect()
        };
        assert_eq!(found(When::Error), ["a", "b"]);
        assert_eq!(found(When::NewCause), ["a"]);
        assert_eq!(found(When::CauseBack), ["b"]);
        assert_eq!(found(When::CauseGrows { above: 11 }), ["a"]);
        assert_eq!(found(When::CauseGrows { above: 12 }), Vec::<String>::new());
        let headline = &headlines(When::NewCause, &look)[0];
        assert_eq!(headline, "a new cause: Contact: Invalid e-mail address (Email) [INVALID_EMAIL_ADDRESS]");
    }

    #[test]
    fn a_cause_that_is_muted_says_nothing_until_that_is_over() {
        let mut look = look(Vec::new());
        look.since.insert("r".to_owned(), now() - TimeDelta::hours(1));
        let of = cause("a");
        let mute = |until| Some(Mute::of(&of.course, until, "ada", now()));
        for (until, told) in [
            (Until::More(1), false),
            (Until::Time(now() + TimeDelta::hours(1)), false),
            (Until::Time(now()), true),
            (Until::Grows, false),
        ] {
            look.causes = vec![Cause { mute: mute(until), ..of.clone() }];
            for when in [When::Error, When::NewCause, When::CauseGrows { above: 10 }] {
                assert_eq!(!headlines(when, &look).is_empty(), told, "{until:?}");
            }
        }
        let more = Cause { mute: mute(Until::More(1)), ..of.clone() };
        let course = of.course.step(Sight { open: None, settled: 3, unsettled: 0 }, now());
        look.causes = vec![Cause { course, ..more }];
        assert_eq!(headlines(When::NewCause, &look).len(), 1);
    }

    #[test]
    fn a_connection_that_is_down_is_told_once() {
        let mut look = look(Vec::new());
        look.since.insert("r".to_owned(), now() - TimeDelta::hours(1));
        look.causes = vec![Cause { category: Category::Connection, ..cause("a") }, cause("b")];
        look.overview.connection.state = ConnectionState::Down;
        let error = rule(When::Error);
        let found = observe(&error, &look, now()).unwrap();
        let inhibited = |rules: &[Rule]| -> Vec<bool> {
            found.iter().map(|observed| is_inhibited(&error, observed, &look, rules)).collect()
        };
        assert_eq!(inhibited(&[rule(When::ConnectionDown)]), [true, false]);
        assert_eq!(inhibited(&[rule(When::Error)]), [false, false], "nobody else tells it");
    }
}
