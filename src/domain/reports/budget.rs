//! The org's API requests of a day, which all its programs share: how much of them may be used before syncdeck reads less
//! often, and when it stops. Pure.

use serde::{Deserialize, Serialize};

/// From this share of the budget on, polls become rarer.
const SLOW_FROM: f64 = 0.8;
/// So much rarer at its end.
const RAREST: f64 = 3.0;

/// How much of the org's requests of a day may be used, by all programs together, while syncdeck goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiBudget {
    percent: u32,
}

impl Default for ApiBudget {
    fn default() -> ApiBudget {
        ApiBudget { percent: 100 }
    }
}

/// What of the org's requests was used in the last 24 hours, and how many it has.
pub type UsedOf = (i64, i64);

impl ApiBudget {
    /// So many percent of what the org has; 1 to 100.
    pub fn percent(percent: u32) -> ApiBudget {
        ApiBudget { percent: percent.clamp(1, 100) }
    }

    /// In requests.
    pub fn requests(self, limit: i64) -> i64 {
        (i128::from(limit.max(0)) * i128::from(self.percent) / 100) as i64
    }

    fn used(self, (used, limit): UsedOf) -> f64 {
        used as f64 / self.requests(limit).max(1) as f64
    }

    /// How many times longer the time between two polls is.
    pub fn stretch(self, usage: Option<UsedOf>) -> f64 {
        let used = usage.map_or(0.0, |usage| self.used(usage));
        let over = ((used - SLOW_FROM) / (1.0 - SLOW_FROM)).clamp(0.0, 1.0);
        1.0 + over * (RAREST - 1.0)
    }

    /// Why polls are rarer, where they are.
    pub fn slowed(self, usage: Option<UsedOf>) -> Option<String> {
        let stretch = self.stretch(usage);
        let (used, limit) = usage.filter(|_| stretch > 1.0)?;
        Some(format!("polls are {stretch:.1} times rarer: {}", self.told(used, limit)))
    }

    /// Why nothing is asked any more, where that is so. Where the budget is all that the org has, it is Salesforce that
    /// says so: it allows more for a while.
    pub fn spent(self, usage: Option<UsedOf>) -> Option<String> {
        let (used, limit) = usage?;
        (self.percent < 100 && used >= self.requests(limit)).then(|| self.told(used, limit))
    }

    fn told(self, used: i64, limit: i64) -> String {
        format!(
            "{used} of {} API requests used in 24 hours ({} % of {limit})",
            self.requests(limit),
            self.percent
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn polls_become_rarer_before_the_budget_is_used_up() {
        let budget = ApiBudget::percent(50);
        let stretch = |used| budget.stretch(Some((used, 1_000)));
        assert_eq!([0, 399, 400, 450, 500, 900].map(stretch), [1.0, 1.0, 1.0, 2.0, 3.0, 3.0]);
        assert_eq!((budget.stretch(None), budget.slowed(None)), (1.0, None));
        assert_eq!(budget.slowed(Some((400, 1_000))), None);
        let told = "polls are 2.0 times rarer: 450 of 500 API requests used in 24 hours (50 % of 1000)";
        assert_eq!(budget.slowed(Some((450, 1_000))).as_deref(), Some(told));
    }

    #[test]
    fn it_is_spent_when_all_programs_together_have_used_it() {
        let budget = ApiBudget::percent(50);
        assert_eq!((budget.spent(Some((499, 1_000))), budget.spent(None)), (None, None));
        let told = "500 of 500 API requests used in 24 hours (50 % of 1000)";
        assert_eq!(budget.spent(Some((500, 1_000))).as_deref(), Some(told));
        // What Salesforce allows beyond its own limit is Salesforce's word.
        assert_eq!(ApiBudget::default().spent(Some((1_500, 1_000))), None);
    }

    proptest! {
        #[test]
        fn more_use_never_means_more_polls(percent in 0_u32..200, limit in -1_i64..i64::MAX, used in 0_i64..i64::MAX, more in 0_i64..1_000_000) {
            let budget = ApiBudget::percent(percent);
            let (less, more) = (budget.stretch(Some((used, limit))), budget.stretch(Some((used.saturating_add(more), limit))));
            prop_assert!((1.0..=3.0).contains(&less) && less <= more);
        }
    }
}
