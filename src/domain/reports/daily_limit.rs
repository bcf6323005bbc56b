//! What an org allows its programs a day beside API requests, such as batches of Bulk jobs. Pure.

/// So many percent of it are left to the org's other programs.
const LEFT_TO_OTHERS: i64 = 5;

/// One of the limits of an org, and what is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DailyLimit {
    /// Salesforce's name for it.
    pub name: String,
    /// What the org has in 24 hours.
    pub max: i64,
    /// What of that was not used in the last 24 hours, by all programs together.
    pub left: i64,
}

impl DailyLimit {
    /// Why nothing more of it is used, where it is near its end.
    pub fn near_its_end(&self) -> Option<String> {
        let others = i128::from(self.max) * i128::from(LEFT_TO_OTHERS) / 100;
        (self.left <= 0 || i128::from(self.left) <= others)
            .then(|| format!("{} of {} {} are left in 24 hours", self.left, self.max, self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_it_is_left_to_others() {
        let near = |left, max| DailyLimit { name: "Batches".to_owned(), max, left }.near_its_end();
        assert_eq!(near(751, 15_000), None);
        assert_eq!(near(750, 15_000).as_deref(), Some("750 of 15000 Batches are left in 24 hours"));
        // However few there are, the last one is used.
        assert_eq!((near(1, 1), near(1, 10)), (None, None));
        assert!(near(0, 1).is_some() && near(0, 0).is_some() && near(-3, 100).is_some());
        assert!(near(1, i64::MAX).is_some());
    }
}
