//! When a message that was not taken is tried again, and when it is given up: over hours, with jitter, and never sooner
//! than the channel wants. Pure.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::mappings::backoff::Backoff;
use crate::postgres::reports::deliveries::{Delivery, DeliveryResult};

use super::channel::{DeliveryFailure, Reason};

/// Waits between tries.
const TRIES: Backoff =
    Backoff { base: Duration::from_secs(10), cap: Duration::from_secs(15 * 60), max_retries: u32::MAX };
/// The longest that a channel may ask us to wait.
const LONGEST: Duration = Duration::from_secs(6 * 3_600);
/// After this a message says nothing to anybody any more.
const GIVEN_UP: TimeDelta = TimeDelta::hours(24);
/// How often a message is tried that the channel itself finds wrong: others wait behind it.
const REFUSED: i32 = 5;

/// What becomes of a message after a failure; `random` in 0..1.
pub fn after_failure(
    failure: &DeliveryFailure,
    delivery: &Delivery,
    now: DateTime<Utc>,
    random: f64,
) -> DeliveryResult {
    let is_over = match failure.reason {
        Reason::Gone => true,
        Reason::Refused => delivery.attempts >= REFUSED,
        _ => now - delivery.created_at >= GIVEN_UP,
    };
    if is_over {
        return DeliveryResult::Dropped;
    }
    let retry = u32::try_from(delivery.attempts).unwrap_or(0).saturating_sub(1);
    // Half of it is certain, so that no channel is asked again at once.
    let wait = TRIES.delay(retry, 0.5 + random.clamp(0.0, 1.0) / 2.0);
    let wait = failure.retry_after.map_or(wait, |wanted| wanted.min(LONGEST).max(wait));
    DeliveryResult::Later(now + wait)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::alert::message::Message;
    use crate::domain::alert::rule::Severity;

    fn delivery(attempts: i32) -> Delivery {
        Delivery {
            id: 1,
            channel: "ops".to_owned(),
            message_id: "m".to_owned(),
            message: Message {
                connection: String::new(),
                environment: String::new(),
                rule: String::new(),
                severity: Severity::Info,
                episode: String::new(),
                at: DateTime::UNIX_EPOCH,
                digest: false,
                items: Vec::new(),
                omitted: 0,
                also: Vec::new(),
                firing: 0,
                instance_url: None,
                option: String::new(),
            },
            created_at: DateTime::UNIX_EPOCH,
            attempts,
        }
    }

    fn failure(reason: Reason, retry_after: Option<u64>) -> DeliveryFailure {
        DeliveryFailure { reason, detail: String::new(), retry_after: retry_after.map(Duration::from_secs) }
    }

    #[test]
    fn a_channel_that_says_when_is_asked_then() {
        let now = DateTime::UNIX_EPOCH;
        let later = |seconds| DeliveryResult::Later(now + TimeDelta::seconds(seconds));
        assert_eq!(after_failure(&failure(Reason::Rate, Some(90)), &delivery(1), now, 0.3), later(90));
        assert_eq!(
            after_failure(&failure(Reason::Rate, Some(1)), &delivery(1), now, 1.0),
            later(10),
            "not sooner"
        );
        let days = failure(Reason::Rate, Some(1_000_000));
        assert_eq!(after_failure(&days, &delivery(1), now, 1.0), later(6 * 3_600));
    }

    #[test]
    fn what_is_gone_is_given_up_and_what_is_wrong_soon() {
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(
            after_failure(&failure(Reason::Gone, None), &delivery(1), now, 0.0),
            DeliveryResult::Dropped
        );
        assert!(matches!(
            after_failure(&failure(Reason::Refused, None), &delivery(4), now, 0.0),
            DeliveryResult::Later(_)
        ));
        assert_eq!(
            after_failure(&failure(Reason::Refused, None), &delivery(5), now, 0.0),
            DeliveryResult::Dropped
        );
        let day = now + TimeDelta::hours(24);
        assert_eq!(
            after_failure(&failure(Reason::Unreachable, None), &delivery(99), day, 0.0),
            DeliveryResult::Dropped
        );
    }

    proptest! {
        /// A channel that is down is tried for a day, ever less often, with nothing at regular times.
        #[test]
        fn a_day_of_tries_is_few(randoms in proptest::collection::vec(0.0..1.0_f64, 400)) {
            let down = failure(Reason::Unreachable, None);
            let (mut now, mut tries) = (DateTime::UNIX_EPOCH, 0_i32);
            loop {
                tries += 1;
                match after_failure(&down, &delivery(tries), now, randoms[usize::try_from(tries).unwrap() % 400]) {
                    DeliveryResult::Later(at) => {
                        let wait = (at - now).to_std().unwrap();
                        prop_assert!(wait >= Duration::from_secs(5) && wait <= TRIES.cap);
                        now = at;
                    }
                    _ => break,
                }
            }
            prop_assert!((90..=200).contains(&tries), "{}", tries);
            prop_assert!(now - DateTime::UNIX_EPOCH >= GIVEN_UP);
        }
    }
}
