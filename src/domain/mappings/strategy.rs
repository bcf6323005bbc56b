//! What a mapping does about an error: the four strategies, and the automatic retry of what passes by itself.

use std::time::Duration;

use crate::domain::errors::sync_error::Class;
use crate::domain::mappings::backoff::Backoff;
use crate::domain::values::duration;

/// What a mapping does on an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The record waits for a person; the others go on.
    #[default]
    Skip,
    /// As `skip`, after the record was sent again a few times.
    Retry,
    /// The first error that does not pass stops the writes of the mapping.
    FailFast,
    /// The record waits for a person's release, whatever else changes.
    ManualReview,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Strategy; 4] =
        [Strategy::Skip, Strategy::Retry, Strategy::FailFast, Strategy::ManualReview];

    /// What it does, in a line.
    pub fn meaning(self) -> &'static str {
        match self {
            Strategy::Skip => "the failed record waits in the list, the others go on",
            Strategy::Retry => {
                "every failure is tried again after 1, 5 and 30 minutes (retry_schedule), then waits"
            }
            Strategy::FailFast => "the first failure stops the mapping's writes until they are resumed",
            Strategy::ManualReview => {
                "a failed record waits for a person's release, even when the row changes again"
            }
        }
    }

    /// The word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Strategy::Skip => "skip",
            Strategy::Retry => "retry",
            Strategy::FailFast => "fail_fast",
            Strategy::ManualReview => "manual_review",
        }
    }

    /// What it may do to the writes of a whole mapping; `None` where one row's error is no matter of the others.
    pub fn stops(self) -> Option<&'static str> {
        (self == Strategy::FailFast).then(|| self.meaning())
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<Strategy> {
        Strategy::ALL.into_iter().find(|strategy| strategy.word() == word)
    }
}

/// When something that failed is sent again by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Retries {
    /// How often what passes by itself is sent again.
    pub max: u32,
    /// How long before that.
    pub delay: Delay,
    /// The waits of the strategy `retry`, one for each further send.
    pub schedule: Vec<Duration>,
}

/// How long before the next send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delay {
    /// Exponential with full jitter.
    Exponential,
    /// Always the same.
    Fixed(Duration),
}

impl Delay {
    /// As written in the configuration.
    pub fn text(self) -> String {
        match self {
            Delay::Exponential => "exponential".to_owned(),
            Delay::Fixed(wait) => duration::text(wait),
        }
    }
}

impl Default for Retries {
    fn default() -> Retries {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Retries {
            max: 3,
            delay: Delay::Exponential,
            schedule: vec![minutes(0), minutes(1), minutes(5), minutes(30)],
        }
    }
}

/// What becomes of a rejected record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryDecision {
    /// It is sent again after this long.
    Again(Duration),
    /// It waits for a person, or for its next change.
    Open,
    /// It waits for a person's release.
    Review,
    /// It waits for a person, and the mapping's writes stop.
    Stop,
}

impl RetryDecision {
    /// After how long it is sent again, if it is.
    pub fn pause(self) -> Option<Duration> {
        if let RetryDecision::Again(pause) = self { Some(pause) } else { None }
    }
}

/// Decides about a record that was rejected, `before` times already, with `random` in 0..1 for the jitter.
///
/// ```
/// use syncdeck::domain::errors::sync_error::Class;
/// use syncdeck::domain::mappings::strategy::{Retries, RetryDecision, Strategy, decide};
///
/// let retries = Retries::default();
/// // What passes by itself is sent again, whatever the strategy; the third time was the last.
/// assert!(matches!(decide(Strategy::FailFast, &retries, Class::Transient, 0, 0.5), RetryDecision::Again(_)));
/// assert_eq!(decide(Strategy::FailFast, &retries, Class::Transient, 3, 0.5), RetryDecision::Stop);
/// // What does not, waits for a person, who may have to release it.
/// assert_eq!(decide(Strategy::Skip, &retries, Class::Permanent, 0, 0.5), RetryDecision::Open);
/// assert_eq!(decide(Strategy::ManualReview, &retries, Class::Permanent, 0, 0.5), RetryDecision::Review);
/// ```
pub fn decide(
    strategy: Strategy,
    retries: &Retries,
    class: Class,
    before: u32,
    random: f64,
) -> RetryDecision {
    if class == Class::Transient && before < retries.max {
        return RetryDecision::Again(match retries.delay {
            Delay::Fixed(wait) => wait,
            Delay::Exponential => Backoff::default().delay(before, random),
        });
    }
    match strategy {
        Strategy::Retry => {
            let next = retries.schedule.get(usize::try_from(before).unwrap_or(usize::MAX));
            next.map_or(RetryDecision::Open, |wait| RetryDecision::Again(*wait))
        }
        _ => waits(strategy, class),
    }
}

/// Decides about a record that is not sent again by itself: the engine found the fault before sending, or nobody knows
/// whether Salesforce has it.
pub fn waits(strategy: Strategy, class: Class) -> RetryDecision {
    match strategy {
        Strategy::Skip | Strategy::Retry => RetryDecision::Open,
        Strategy::FailFast => RetryDecision::Stop,
        Strategy::ManualReview if class == Class::Transient => RetryDecision::Open,
        Strategy::ManualReview => RetryDecision::Review,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Strategy;
    use super::*;

    /// The waits from the first rejection to the last, under a clock that stands at the end of each wait.
    fn life(strategy: Strategy, retries: &Retries, class: Class) -> (Vec<u64>, RetryDecision) {
        let mut waits = Vec::new();
        for before in 0.. {
            match decide(strategy, retries, class, before, 1.0) {
                RetryDecision::Again(wait) => waits.push(wait.as_secs()),
                decision => return (waits, decision),
            }
        }
        unreachable!()
    }

    #[test]
    fn each_strategy_does_what_it_says_with_each_class() {
        use Class::{Permanent, Transient, Unknown};
        let retries = Retries::default();
        let exponential = vec![1, 2, 4];
        for (strategy, class, waits, end) in [
            (Strategy::Skip, Permanent, vec![], RetryDecision::Open),
            (Strategy::Skip, Transient, exponential.clone(), RetryDecision::Open),
            (Strategy::Retry, Permanent, vec![0, 60, 300, 1800], RetryDecision::Open),
            (Strategy::Retry, Transient, vec![1, 2, 4, 1800], RetryDecision::Open),
            (Strategy::FailFast, Permanent, vec![], RetryDecision::Stop),
            (Strategy::FailFast, Transient, exponential.clone(), RetryDecision::Stop),
            (Strategy::ManualReview, Permanent, vec![], RetryDecision::Review),
            (Strategy::ManualReview, Unknown, vec![], RetryDecision::Review),
            (Strategy::ManualReview, Transient, exponential, RetryDecision::Open),
        ] {
            assert_eq!(life(strategy, &retries, class), (waits, end), "{strategy:?} {class:?}");
        }
    }

    #[test]
    fn retries_are_what_the_mapping_says() {
        let fixed = Retries { max: 2, delay: Delay::Fixed(Duration::from_secs(7)), ..Retries::default() };
        assert_eq!(life(Strategy::Skip, &fixed, Class::Transient), (vec![7, 7], RetryDecision::Open));
        let none = Retries { max: 0, ..fixed };
        assert_eq!(life(Strategy::Skip, &none, Class::Transient).0, Vec::<u64>::new());
    }

    proptest! {
        #[test]
        fn every_record_comes_to_rest(max in 0..30_u32, steps in 0..30_usize, random in 0.0..1.0) {
            let retries = Retries { max, schedule: vec![Duration::from_secs(1); steps], ..Retries::default() };
            for strategy in Strategy::ALL {
                for class in [Class::Transient, Class::Permanent, Class::Unknown] {
                    let last = max.max(u32::try_from(steps).unwrap());
                    let decision = decide(strategy, &retries, class, last, random);
                    prop_assert!(!matches!(decision, RetryDecision::Again(_)));
                }
            }
        }
    }
}
