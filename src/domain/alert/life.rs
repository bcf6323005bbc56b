//! The life of an alert: it waits, fires, and is over. One function makes of how it stood, of what is seen and of a time
//! how it stands, and whether that is told.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::message::MessageChange;
use super::rule::{AlertManner, Tell};
use crate::domain::values::checksum::checksum;

/// What was seen of the subject of a rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// What of the rule: a cause's fingerprint, a mapping, a channel; empty where there is only one thing.
    pub subject: String,
    /// What is said of it in a few words, without any value of a row.
    pub headline: String,
    /// Why, where that is known.
    pub why: Option<String>,
    /// The mapping, where it is of one.
    pub mapping: Option<String>,
    /// The fingerprint, where it is a cause.
    pub cause: Option<String>,
    /// How many there were since it began, where it can be counted: more than when it was told is news.
    pub total: i64,
}

/// What a look says about an alert.
#[derive(Clone, Copy, Debug)]
pub enum AlertSeen<'a> {
    /// It is so.
    Holds(&'a Observed),
    /// It is not so.
    Clear,
    /// Nobody can say, because what it depends on is broken.
    Unknown,
}

/// Whether something may be told now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Open,
    /// Somebody silenced it. Only that something told is over may be told.
    Silenced,
    /// Not now: quiet hours, or the next digest is not due.
    Later,
    /// Not now: a message of the rule went out a moment ago, and what comes meanwhile is told together. Nothing is left out
    /// for that.
    Gather,
    /// The digest is due.
    Digest,
}

/// Where an alert is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertPhase {
    /// It is so, but not for long enough.
    Pending,
    /// It is so.
    Firing,
    /// It was so.
    Over,
}

impl AlertPhase {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            AlertPhase::Pending => "pending",
            AlertPhase::Firing => "firing",
            AlertPhase::Over => "resolved",
        }
    }
}

/// What people were told last.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastNotice {
    /// When.
    pub at: DateTime<Utc>,
    /// How many there were.
    pub total: i64,
    /// Whether they know that it is over.
    pub over: bool,
}

/// Somebody has it in hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub by: String,
    /// In that person's words.
    pub note: String,
    /// Whether the channels know.
    #[serde(default)]
    pub told: bool,
}

/// How an alert stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertStanding {
    /// Tells this one from an earlier one of the same subject.
    pub incident: String,
    /// Where it is in its life.
    pub phase: AlertPhase,
    /// Since when it is so; of one that is over, since when it is over.
    pub since: DateTime<Utc>,
    /// When it fired.
    pub fired_at: Option<DateTime<Utc>>,
    /// Of a firing one that is not seen any more: since when.
    pub clear_since: Option<DateTime<Utc>>,
    /// What people know.
    pub told: Option<LastNotice>,
    /// Who has it in hand.
    pub acknowledged: Option<Acknowledged>,
    /// Whether it is told even if it is over before that: only the next message is waited for.
    #[serde(default)]
    pub owed: bool,
    /// What was seen last.
    pub seen: Observed,
}

impl AlertStanding {
    fn begin(rule: &str, seen: &Observed, now: DateTime<Utc>) -> AlertStanding {
        let name = [rule, &seen.subject, &now.to_rfc3339()].join("\u{1f}");
        AlertStanding {
            incident: format!("{:016x}", checksum(&name)),
            phase: AlertPhase::Pending,
            since: now,
            fired_at: None,
            clear_since: None,
            told: None,
            acknowledged: None,
            owed: false,
            seen: seen.clone(),
        }
    }

    /// Whether its end is to be told.
    fn has_end_to_tell(&self) -> bool {
        self.is_known() || (self.owed && self.told.is_none())
    }

    /// Whether anybody was told that it fires, and not that it is over.
    pub fn is_known(&self) -> bool {
        self.told.is_some_and(|told| !told.over)
    }
}

/// How an alert stands now, and what of that is told. `None` is one that there is not, or that nobody needs to know of.
pub fn step(
    rule: &str,
    manner: &AlertManner,
    before: Option<AlertStanding>,
    seen: AlertSeen<'_>,
    gate: Gate,
    now: DateTime<Utc>,
) -> (Option<AlertStanding>, Option<MessageChange>) {
    let Some(mut after) = moved(rule, manner, before, seen, now) else { return (None, None) };
    after.owed |= gate == Gate::Gather && after.phase == AlertPhase::Firing;
    let change = news(manner, &after, gate, now);
    match change {
        Some(MessageChange::Acknowledged) => {
            if let Some(acknowledged) = &mut after.acknowledged {
                acknowledged.told = true;
            }
        }
        Some(change) => {
            after.told =
                Some(LastNotice { at: now, total: after.seen.total, over: change == MessageChange::Over });
        }
        None => {}
    }
    // Of what came and went without a word, nothing is kept; but in a digest it is told.
    let forgotten = after.phase == AlertPhase::Over
        && after.told.is_none()
        && !after.has_end_to_tell()
        && !manner.tell.is_digest();
    ((!forgotten).then_some(after), change)
}

/// Where it is in its life now.
fn moved(
    rule: &str,
    manner: &AlertManner,
    before: Option<AlertStanding>,
    seen: AlertSeen<'_>,
    now: DateTime<Utc>,
) -> Option<AlertStanding> {
    let mut standing = match (before, seen) {
        // An earlier one whose end is not told yet goes on, instead of two messages at once.
        (Some(mut again), AlertSeen::Holds(seen))
            if again.phase == AlertPhase::Over && again.has_end_to_tell() =>
        {
            again.phase = AlertPhase::Firing;
            again.since = again.fired_at.unwrap_or(now);
            again.seen = seen.clone();
            again
        }
        (None, AlertSeen::Holds(seen)) => AlertStanding::begin(rule, seen, now),
        (Some(over), AlertSeen::Holds(seen)) if over.phase == AlertPhase::Over => {
            AlertStanding::begin(rule, seen, now)
        }
        (Some(mut held), AlertSeen::Holds(seen)) => {
            held.seen = seen.clone();
            held.clear_since = None;
            held
        }
        (None, _) => return None,
        (Some(standing), AlertSeen::Clear) if standing.phase == AlertPhase::Pending => {
            debug_assert!(standing.told.is_none());
            return None;
        }
        (Some(mut standing), AlertSeen::Clear) if standing.phase == AlertPhase::Firing => {
            let clear = *standing.clear_since.get_or_insert(now);
            if has_passed(clear, manner.delay, now) {
                standing.phase = AlertPhase::Over;
                standing.since = now;
                standing.clear_since = None;
            }
            standing
        }
        // What cannot be seen does not wait either.
        (Some(mut standing), AlertSeen::Unknown) if standing.phase == AlertPhase::Pending => {
            standing.since = now;
            return Some(standing);
        }
        (Some(mut standing), AlertSeen::Unknown) => {
            standing.clear_since = None;
            standing
        }
        (Some(standing), _) => standing,
    };
    if standing.phase == AlertPhase::Pending && has_passed(standing.since, manner.delay, now) {
        standing.phase = AlertPhase::Firing;
        standing.fired_at = Some(now);
    }
    Some(standing)
}

fn has_passed(since: DateTime<Utc>, length: Duration, now: DateTime<Utc>) -> bool {
    (now - since).to_std().is_ok_and(|passed| passed >= length)
}

/// What is told of it now.
fn news(
    manner: &AlertManner,
    standing: &AlertStanding,
    gate: Gate,
    now: DateTime<Utc>,
) -> Option<MessageChange> {
    let untold_end = match gate {
        Gate::Digest => standing.told.is_none_or(|told| !told.over),
        _ => standing.has_end_to_tell(),
    };
    match (standing.phase, gate) {
        (AlertPhase::Pending, _) | (_, Gate::Later | Gate::Gather) => None,
        (AlertPhase::Over, _) => untold_end.then_some(MessageChange::Over),
        (AlertPhase::Firing, Gate::Silenced) => None,
        (AlertPhase::Firing, Gate::Open | Gate::Digest) => {
            let Some(told) = standing.told.filter(|told| !told.over) else {
                return Some(MessageChange::Fired);
            };
            match &standing.acknowledged {
                Some(acknowledged) => return (!acknowledged.told).then_some(MessageChange::Acknowledged),
                None if gate == Gate::Digest => return Some(MessageChange::Still),
                None => {}
            }
            // What is not seen at this moment is about to be over.
            if standing.clear_since.is_some() {
                return None;
            }
            let more = manner.tell == Tell::Every && standing.seen.total > told.total;
            match () {
                () if manner.repeat.is_some_and(|repeat| has_passed(told.at, repeat, now)) => {
                    Some(MessageChange::Still)
                }
                () if more && has_passed(told.at, manner.again, now) => Some(MessageChange::More),
                () => None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    const MANNER: AlertManner = AlertManner {
        delay: Duration::from_secs(60),
        tell: Tell::Threshold,
        again: Duration::from_secs(300),
        repeat: Some(Duration::from_secs(4 * 3_600)),
    };

    fn seen(total: i64) -> Observed {
        Observed { subject: "x".to_owned(), total, ..Observed::default() }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    /// A life: what is seen at which second, and through which gate.
    struct Life {
        manner: AlertManner,
        standing: Option<AlertStanding>,
    }

    impl Life {
        fn new(manner: AlertManner) -> Life {
            Life { manner, standing: None }
        }

        fn goes_on(&mut self, seconds: i64, seen: AlertSeen<'_>, gate: Gate) -> Option<MessageChange> {
            let (after, change) = step("r", &self.manner, self.standing.take(), seen, gate, at(seconds));
            self.standing = after;
            change
        }

        fn holds(&mut self, seconds: i64) -> Option<MessageChange> {
            self.goes_on(seconds, AlertSeen::Holds(&seen(1)), Gate::Open)
        }

        fn clear(&mut self, seconds: i64) -> Option<MessageChange> {
            self.goes_on(seconds, AlertSeen::Clear, Gate::Open)
        }
    }

    #[test]
    fn it_fires_after_a_delay_tells_once_and_tells_when_it_is_over() {
        let mut life = Life::new(MANNER);
        let told: Vec<_> = [0, 30, 59, 60, 90, 3_600].iter().map(|now| life.holds(*now)).collect();
        assert_eq!(told, [None, None, None, Some(MessageChange::Fired), None, None]);
        assert_eq!([life.clear(3_610), life.clear(3_669)], [None, None]);
        assert_eq!(life.clear(3_670), Some(MessageChange::Over));
        assert_eq!(life.clear(3_700), None);
        assert_eq!(life.holds(4_000), None);
        assert_eq!(life.holds(4_060), Some(MessageChange::Fired), "another one, another message");
    }

    #[test]
    fn what_passes_within_the_delay_is_never_told() {
        let mut life = Life::new(MANNER);
        for round in 0..20 {
            assert_eq!(life.holds(round * 100), None);
            assert_eq!(life.holds(round * 100 + 50), None);
            assert_eq!(life.clear(round * 100 + 55), None);
            assert_eq!(life.standing, None);
        }
        // A short absence while it fires is no end either.
        life.holds(5_000);
        assert_eq!(life.holds(5_060), Some(MessageChange::Fired));
        for round in 0..20 {
            assert_eq!(life.clear(5_100 + round * 60), None);
            assert_eq!(life.holds(5_150 + round * 60), None);
        }
    }

    #[test]
    fn it_is_repeated_after_hours_unless_somebody_has_it_in_hand() {
        let mut life = Life::new(MANNER);
        life.holds(0);
        assert_eq!(life.holds(60), Some(MessageChange::Fired));
        assert_eq!(life.holds(60 + 4 * 3_600 - 1), None);
        assert_eq!(life.holds(60 + 4 * 3_600), Some(MessageChange::Still));
        let by = Acknowledged { at: at(20_000), by: "ada".to_owned(), note: String::new(), told: false };
        life.standing.as_mut().unwrap().acknowledged = Some(by);
        assert_eq!(life.holds(20_000), Some(MessageChange::Acknowledged));
        assert_eq!(life.holds(60 + 20 * 3_600), None);
        life.clear(100_000);
        assert_eq!(life.clear(100_060), Some(MessageChange::Over));
    }

    #[test]
    fn more_of_the_same_is_told_now_and_then_where_every_error_is_wanted() {
        let mut life = Life::new(AlertManner { tell: Tell::Every, ..MANNER });
        let mut total = 0;
        let mut told = Vec::new();
        for second in 0..1_000 {
            total += 10;
            let change = life.goes_on(second, AlertSeen::Holds(&seen(total)), Gate::Open);
            told.extend(change.map(|change| (second, change)));
        }
        let more = MessageChange::More;
        assert_eq!(told, [(60, MessageChange::Fired), (360, more), (660, more), (960, more)]);
    }

    #[test]
    fn a_silence_and_quiet_hours_hold_back_what_begins() {
        let mut life = Life::new(MANNER);
        for now in [0, 60, 600] {
            assert_eq!(life.goes_on(now, AlertSeen::Holds(&seen(1)), Gate::Silenced), None);
        }
        assert_eq!(life.holds(700), Some(MessageChange::Fired), "it still is so when the silence ends");
        life.goes_on(800, AlertSeen::Clear, Gate::Silenced);
        let over = life.goes_on(900, AlertSeen::Clear, Gate::Silenced);
        assert_eq!(over, Some(MessageChange::Over), "whoever was told hears of the end");
        let mut night = Life::new(MANNER);
        night.holds(0);
        assert_eq!(night.holds(60), Some(MessageChange::Fired));
        night.goes_on(100, AlertSeen::Clear, Gate::Later);
        assert_eq!(night.goes_on(200, AlertSeen::Clear, Gate::Later), None);
        assert_eq!(night.clear(1_000), Some(MessageChange::Over), "told in the morning");
        let mut short = Life::new(MANNER);
        for now in [0, 60] {
            short.goes_on(now, AlertSeen::Holds(&seen(1)), Gate::Later);
        }
        short.goes_on(100, AlertSeen::Clear, Gate::Later);
        short.goes_on(160, AlertSeen::Clear, Gate::Later);
        assert_eq!((short.clear(1_000), short.standing), (None, None), "it came and went in the night");
    }

    #[test]
    fn what_waits_for_the_next_message_is_told_even_when_it_is_over() {
        let mut life = Life::new(MANNER);
        for now in [0, 60] {
            assert_eq!(life.goes_on(now, AlertSeen::Holds(&seen(1)), Gate::Gather), None);
        }
        for now in [100, 160] {
            assert_eq!(life.goes_on(now, AlertSeen::Clear, Gate::Gather), None);
        }
        assert_eq!(life.clear(300), Some(MessageChange::Over), "it came and went meanwhile");
        assert_eq!(life.clear(301), None);
        let mut back = Life::new(MANNER);
        for now in [0, 60] {
            back.goes_on(now, AlertSeen::Holds(&seen(1)), Gate::Gather);
        }
        for now in [100, 160] {
            back.goes_on(now, AlertSeen::Clear, Gate::Gather);
        }
        assert_eq!(back.holds(300), Some(MessageChange::Fired), "it is back before it was told");
    }

    #[test]
    fn what_cannot_be_seen_neither_fires_nor_ends() {
        let mut life = Life::new(MANNER);
        life.holds(0);
        for now in [50, 100, 1_000] {
            assert_eq!(life.goes_on(now, AlertSeen::Unknown, Gate::Open), None);
        }
        assert_eq!(life.holds(1_030), None, "the delay begins anew");
        assert_eq!(life.holds(1_060), Some(MessageChange::Fired));
        life.clear(1_100);
        assert_eq!(life.goes_on(1_200, AlertSeen::Unknown, Gate::Open), None);
        assert_eq!(life.clear(1_201), None);
        assert_eq!(life.clear(1_261), Some(MessageChange::Over));
    }

    #[test]
    fn a_digest_tells_what_stands_and_what_came_and_went() {
        let mut life = Life::new(AlertManner { tell: Tell::Hourly, ..MANNER });
        for now in [0, 60] {
            assert_eq!(life.goes_on(now, AlertSeen::Holds(&seen(1)), Gate::Later), None);
        }
        assert_eq!(life.goes_on(3_600, AlertSeen::Holds(&seen(1)), Gate::Digest), Some(MessageChange::Fired));
        assert_eq!(life.goes_on(7_200, AlertSeen::Holds(&seen(1)), Gate::Digest), Some(MessageChange::Still));
        life.goes_on(7_300, AlertSeen::Clear, Gate::Later);
        life.goes_on(7_400, AlertSeen::Clear, Gate::Later);
        assert_eq!(life.goes_on(10_800, AlertSeen::Clear, Gate::Digest), Some(MessageChange::Over));
        assert_eq!(life.goes_on(14_400, AlertSeen::Clear, Gate::Digest), None);
        let mut short = Life::new(AlertManner { tell: Tell::Hourly, ..MANNER });
        for now in [0, 60] {
            short.goes_on(now, AlertSeen::Holds(&seen(1)), Gate::Later);
        }
        for now in [100, 200] {
            short.goes_on(now, AlertSeen::Clear, Gate::Later);
        }
        assert_eq!(short.goes_on(3_600, AlertSeen::Clear, Gate::Digest), Some(MessageChange::Over));
    }

    #[derive(Clone, Copy, Debug)]
    struct Happens {
        seconds: i64,
        holds: Option<bool>,
        gate: Gate,
        acknowledge: bool,
    }

    fn happens() -> impl Strategy<Value = Happens> {
        let gate = prop_oneof![6 => Just(Gate::Open), 1 => Just(Gate::Silenced), 1 => Just(Gate::Later)];
        let holds = prop_oneof![5 => Just(Some(true)), 4 => Just(Some(false)), 1 => Just(None)];
        (1_i64..400, holds, gate, proptest::bool::weighted(0.05))
            .prop_map(|(seconds, holds, gate, acknowledge)| Happens { seconds, holds, gate, acknowledge })
    }

    proptest! {
        /// Whatever happens: begin and end take turns, nothing is told too early, too often or in a wrong hour.
        #[test]
        fn each_change_of_state_is_told_once(
            course in proptest::collection::vec(happens(), 1..200), every in any::<bool>(),
        ) {
            let tell = if every { Tell::Every } else { Tell::Threshold };
            let mut life = Life::new(AlertManner { tell, ..MANNER });
            let (mut now, mut total) = (0, 0);
            let mut known = false;
            let mut last = i64::MIN;
            // Since when it was seen each time.
            let mut since = None;
            for happens in course {
                now += happens.seconds;
                total += 1;
                if happens.acknowledge && let Some(standing) = &mut life.standing && standing.phase == AlertPhase::Firing {
                    let by = Acknowledged { at: at(now), by: String::new(), note: String::new(), told: false };
                    standing.acknowledged = Some(by);
                }
                let in_hand = life.standing.as_ref().is_some_and(|standing| standing.acknowledged.is_some());
                let observed = seen(total);
                let what = match happens.holds {
                    Some(true) => AlertSeen::Holds(&observed),
                    Some(false) => AlertSeen::Clear,
                    None => AlertSeen::Unknown,
                };
                match happens.holds {
                    Some(true) => since = since.or(Some(now)),
                    _ => since = None,
                }
                let change = life.goes_on(now, what, happens.gate);
                match change {
                    Some(MessageChange::Fired) => {
                        prop_assert!(!known, "told twice that it fires");
                        known = true;
                    }
                    Some(MessageChange::Over) => {
                        prop_assert!(known, "an end without a beginning");
                        known = false;
                    }
                    Some(MessageChange::Still) => {
                        prop_assert!(known && !in_hand && now - last >= 4 * 3_600);
                    }
                    Some(MessageChange::More) => prop_assert!(known && every && !in_hand && now - last >= 300),
                    Some(MessageChange::Acknowledged) => prop_assert!(known),
                    None => {}
                }
                if let Some(change) = change {
                    prop_assert!(happens.gate != Gate::Later);
                    prop_assert!(happens.gate != Gate::Silenced || change == MessageChange::Over);
                    last = now;
                }
                // What was seen for long enough through an open gate is known.
                if happens.gate == Gate::Open && since.is_some_and(|since| now - since >= 60) {
                    prop_assert!(known, "{:?}", life.standing);
                }
            }
        }

        /// A standing is the same after it was stored and read.
        #[test]
        fn a_restart_forgets_nothing(course in proptest::collection::vec(happens(), 1..80)) {
            let (mut through, mut stored) = (Life::new(MANNER), Life::new(MANNER));
            let mut now = 0;
            for happens in course {
                now += happens.seconds;
                let observed = seen(now);
                let what = match happens.holds {
                    Some(true) => AlertSeen::Holds(&observed),
                    Some(false) => AlertSeen::Clear,
                    None => AlertSeen::Unknown,
                };
                let told = through.goes_on(now, what, happens.gate);
                let kept = serde_json::to_string(&stored.standing).unwrap();
                stored.standing = serde_json::from_str(&kept).unwrap();
                prop_assert_eq!(told, stored.goes_on(now, what, happens.gate));
            }
        }
    }
}
