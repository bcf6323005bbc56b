//! How long to wait before the next try: exponential, with full jitter, so that many who fail together do not come
//! back together.

use std::time::Duration;

/// A schedule of waits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The bound of the first wait; each further bound is twice the one before.
    pub base: Duration,
    /// The greatest bound.
    pub cap: Duration,
    /// How many retries follow the first try.
    pub max_retries: u32,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(60), max_retries: 3 }
    }
}

impl Backoff {
    /// The wait before retry number `retry` (from 0), with `random` in 0..1 choosing within the bound.
    pub fn delay(&self, retry: u32, random: f64) -> Duration {
        let bound = self.base.saturating_mul(1_u32.checked_shl(retry).unwrap_or(u32::MAX)).min(self.cap);
        bound.mul_f64(random.clamp(0.0, 1.0))
    }

    /// The wait before the next try after `attempts` rejections, or `None` when the retries are spent.
    pub fn next(&self, attempts: u32, random: f64) -> Option<Duration> {
        (attempts < self.max_retries).then(|| self.delay(attempts, random))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_double_up_to_the_cap_and_retries_end() {
        let backoff = Backoff::default();
        let bounds: Vec<u64> = (0..8).map(|retry| backoff.delay(retry, 1.0).as_secs()).collect();
        assert_eq!(bounds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.delay(u32::MAX, 0.5), Duration::from_secs(30));
        assert_eq!(backoff.next(2, 1.0), Some(Duration::from_secs(4)));
        assert_eq!(backoff.next(3, 1.0), None);
    }

    proptest! {
        /// Full jitter: anything from nothing to the bound, which doubles and stays at the cap.
        #[test]
        fn a_wait_lies_within_its_bound_and_bounds_grow_to_the_cap(
            base in 1_u64..10_000, cap in 1_u64..100_000, retry in 0_u32..200, random in -1.0..2.0_f64,
        ) {
            let (base, cap) = (Duration::from_millis(base), Duration::from_millis(cap));
            let backoff = Backoff { base, cap, max_retries: 10 };
            let bound = backoff.delay(retry, 1.0);
            prop_assert!(backoff.delay(retry, random) <= bound && bound <= cap);
            prop_assert!(bound <= backoff.delay(retry + 1, 1.0));
            prop_assert_eq!(backoff.delay(retry, 0.0), Duration::ZERO);
            prop_assert_eq!(backoff.next(retry, random).is_some(), retry < 10);
        }
    }
}
