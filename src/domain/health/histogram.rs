//! How long something took, counted in fixed buckets, so that hours can be added up and a year of them stays small.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How many edges there are.
const COUNT: usize = 57;

/// The upper edges of the buckets in milliseconds: six in each power of ten, from 1 ms to 34 days. What is longer has a
/// bucket of its own. The rows of `syncdeck.health` hold their counts in this order: edges are never changed.
pub const EDGES: [i64; COUNT] = edges();

const fn edges() -> [i64; COUNT] {
    let below = [1, 2, 3, 5, 7];
    let each = [10, 15, 20, 30, 50, 70];
    let mut edges = [0; COUNT];
    let (mut at, mut scale) = (0, 1);
    while at < COUNT {
        if at < below.len() {
            edges[at] = below[at];
        } else {
            let place = (at - below.len()) % each.len();
            edges[at] = each[place] * scale;
            if place == each.len() - 1 {
                scale *= 10;
            }
        }
        at += 1;
    }
    edges
}

/// Counts by bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// Without the empty buckets at the end.
    counts: Vec<i64>,
}

impl Histogram {
    /// From counts as they are stored.
    pub fn of(mut counts: Vec<i64>) -> Histogram {
        counts.truncate(COUNT + 1);
        while counts.last() == Some(&0) {
            counts.pop();
        }
        Histogram { counts }
    }

    /// The bucket of a length of time: the first one whose edge is not below it.
    pub fn bucket(took: Duration) -> usize {
        let ms = i64::try_from(took.as_micros().div_ceil(1_000)).unwrap_or(i64::MAX);
        EDGES.partition_point(|edge| *edge < ms)
    }

    /// Counts something that took so long, `times` times.
    pub fn add(&mut self, took: Duration, times: i64) {
        self.add_to(Histogram::bucket(took), times);
    }

    /// Counts in a bucket.
    pub fn add_to(&mut self, bucket: usize, times: i64) {
        let bucket = bucket.min(COUNT);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += times;
    }

    /// Adds another one.
    pub fn join(&mut self, other: &Histogram) {
        for (bucket, times) in other.counts.iter().enumerate().filter(|(_, times)| **times != 0) {
            self.add_to(bucket, *times);
        }
    }

    /// The counts, without the empty buckets at the end.
    pub fn counts(&self) -> &[i64] {
        &self.counts
    }

    /// How many were counted.
    pub fn total(&self) -> i64 {
        self.counts.iter().sum()
    }

    /// How many took no longer than an edge.
    pub fn up_to(&self, edge: i64) -> i64 {
        let buckets = EDGES.partition_point(|known| *known <= edge);
        self.counts.iter().take(buckets).sum()
    }

    /// The time within which that share of all was done: of the values in order the one at this place, where the values of a
    /// bucket are taken to lie evenly in it. At most a quarter off from 10 ms on; beyond the last edge, that edge.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let place = (share * total as f64).ceil().clamp(1.0, total as f64) as i64;
        let mut before = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            if before + count >= place {
                let Some(upper) = EDGES.get(bucket) else { break };
                let lower = bucket.checked_sub(1).map_or(0, |below| EDGES[below]);
                let part = ((place - before) as f64 - 0.5) / *count as f64;
                let ms = lower as f64 + (upper - lower) as f64 * part;
                return Some(Duration::from_secs_f64(ms / 1_000.0));
            }
            before += count;
        }
        Some(Duration::from_millis(EDGES[COUNT - 1].unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn edges_rise_to_a_month_and_a_value_on_an_edge_is_below_it() {
        assert!(EDGES.windows(2).all(|pair| pair[0] < pair[1] && pair[1] <= pair[0] * 2));
        assert_eq!((EDGES[5], EDGES[COUNT - 1]), (10, 3_000_000_000));
        assert_eq!(Histogram::bucket(ms(0)), 0);
        assert_eq!(Histogram::bucket(ms(10)), 5);
        assert_eq!(Histogram::bucket(Duration::from_micros(10_001)), 6);
        assert_eq!(Histogram::bucket(Duration::MAX), COUNT);
        let mut one = Histogram::default();
        one.add(ms(10), 2);
        one.add(ms(11), 1);
        assert_eq!((one.up_to(7), one.up_to(10), one.up_to(15), one.total()), (0, 2, 3, 3));
    }

    #[test]
    fn quantiles_lie_where_the_values_are_and_sums_are_the_same_as_all_at_once() {
        assert_eq!(Histogram::default().quantile(0.5), None);
        let mut one = Histogram::default();
        one.add(ms(60_000), 1);
        // Alone in 50 s to 70 s.
        assert_eq!(one.quantile(0.5), Some(ms(60_000)));
        let mut other = Histogram::default();
        other.add(ms(600_000), 8);
        other.join(&one);
        // Of nine in order the fifth: the fourth of eight between 500 s and 700 s.
        assert_eq!(other.quantile(0.5), Some(ms(587_500)));
        assert_eq!(other.quantile(0.1), Some(ms(60_000)));
        assert_eq!(Histogram::of([other.counts(), &[0, 0]].concat()), other);
        let mut long = Histogram::default();
        long.add(Duration::MAX, 1);
        assert_eq!(long.quantile(0.9), Some(ms(3_000_000_000)));
    }
}
