//! A week of two mappings.

use std::time::Duration;

use chrono::TimeDelta;

use super::now;
use crate::domain::errors::sync_error::Category;
use crate::domain::health::histogram::Histogram;
use crate::domain::health::history::{Began, Cell, Counts, Ended, History, Way};
use crate::domain::health::review::{Health, HistorySize, Now, review};

/// Seven days.
pub fn week() -> Duration {
    Duration::from_secs(7 * 86_400)
}

/// How well they went, worse than the week before.
pub fn health() -> Health {
    let mut history = History::default();
    for hour in 0..14 * 24 {
        let at = now() - TimeDelta::hours(hour);
        for (mapping, factor) in [("Account", 3), ("Contact", 40)] {
            let mut cell = Cell::of(mapping, at);
            let refused = if hour < 7 * 24 { hour % 7 } else { hour % 3 };
            cell.counts = Counts {
                accepted: (hour * 7 % 23) * factor,
                rejected: refused * factor / 4,
                read: hour % 5 * factor,
                repeated: refused,
                repeated_accepted: refused / 2,
                ..Counts::default()
            };
            cell.times.waited.add(Duration::from_millis(400 + 90 * (hour % 11).unsigned_abs()), 5);
            cell.times.requests.add(Duration::from_millis(180), 2);
            cell.times.reads.add(Duration::from_millis(90), 12);
            cell.times.read_lag.add(Duration::from_secs(4), 2);
            cell.times.oldest.add(Duration::from_secs(2), 60);
            history.cells.push(cell);
        }
        let came = |code: &str, count| Began {
            at: now() - TimeDelta::hours(hour),
            mapping: "Contact".to_owned(),
            category: Category::Data,
            code: code.to_owned(),
            count,
        };
        history.began.extend([came("INVALID_EMAIL_ADDRESS", hour % 4), came("STRING_TOO_LONG", hour % 2)]);
        let way = Way::ALL[usize::try_from(hour % 6).unwrap()];
        let mut took = Histogram::default();
        took.add(Duration::from_secs(600 * (1 + hour % 9).unsigned_abs()), 2);
        history.ended.push(Ended {
            at: now() - TimeDelta::hours(hour),
            mapping: "Contact".to_owned(),
            way,
            took,
        });
    }
    let standing = |errors, lag| Now {
        errors,
        pending: errors * 2,
        lag_to_salesforce: Some(lag),
        lag_from_salesforce: Some(0.0),
    };
    let mappings = vec![("Account".to_owned(), standing(0, 0.4)), ("Contact".to_owned(), standing(47, 2.0))];
    let kept = HistorySize { since: Some(now() - TimeDelta::days(40)), bytes: 1_300_000 };
    Health { kept, ..review(history, now() - TimeDelta::days(7), now(), mappings) }
}
