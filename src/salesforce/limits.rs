//! What the org allows a day, and what is left of it: `/limits`.

use serde_json::Value;

use crate::domain::reports::daily_limit::DailyLimit;

use super::{Client, Error};

/// More than this no org has of anything; what is beyond is no number of it.
const MOST: i64 = 1_000_000_000_000;

impl Client {
    /// The org's limits of 24 hours, as far as they are told in numbers.
    ///
    /// # Errors
    /// Among others, that the login may not look at them.
    pub async fn limits(&self) -> Result<Vec<DailyLimit>, Error> {
        Ok(limits_of(&self.get("limits").await?))
    }
}

fn limits_of(told: &Value) -> Vec<DailyLimit> {
    let limit = |(name, of): (&String, &Value)| {
        let number = |key: &str| of.get(key)?.as_i64().filter(|number| (-MOST..=MOST).contains(number));
        Some(DailyLimit { name: name.clone(), max: number("Max")?, left: number("Remaining")? })
    };
    told.as_object().into_iter().flatten().filter_map(limit).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_limit_is_left_out() {
        let told = json!({"DailyBulkApiBatches": {"Max": 15_000, "Remaining": 14_998, "App": {"Max": 1, "Remaining": 1}},
            "A": {"Max": "many", "Remaining": 1}, "B": {"Max": 1}, "C": 3, "D": {"Max": 9_223_372_036_854_775_807_i64, "Remaining": 1}});
        let batches = DailyLimit { name: "DailyBulkApiBatches".to_owned(), max: 15_000, left: 14_998 };
        assert_eq!(limits_of(&told), [batches]);
        assert!(limits_of(&json!(["x"])).is_empty());
    }
}
