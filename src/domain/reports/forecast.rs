//! How many API calls a day a configuration takes, before it runs. What the engine does by the clock is counted by the
//! same intervals that it keeps; what depends on people's changes is measured where there is a log of them, and assumed
//! otherwise. Assumptions are told with the figures.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::mappings::mapping::Access;
use crate::domain::reports::budget::ApiBudget;
use crate::domain::values::size::thousands;

/// Between two counts of a mapping's rows and records.
pub const COUNT_INTERVAL: Duration = Duration::from_secs(30);
/// Records on one page of a query.
pub const PAGE: i64 = 2_000;
/// Up to so many records are loaded by a query: five pages of it, which is what a job of Bulk API 2.0 costs in calls before its
/// first page.
pub const FEW: i64 = 10_000;
/// Records on one page of a job's result. Of twenty fields each they are about 8 MB, and half a million take 25 calls.
pub const JOB_PAGE: i64 = 20_000;
/// Records in one call that writes, at most.
pub const BATCH: i64 = 200;
/// Rows in one job of Bulk API 2.0 that writes, at most.
pub const WRITE_JOB: i64 = 10_000;
/// The calls of such a job: it is made, filled, closed, looked at a few times, and its results are three.
pub const WRITE_JOB_CALLS: i64 = 12;
/// What an org may call a day where nobody says: Enterprise Edition's, without what its licences add.
pub const ALLOWANCE: i64 = 100_000;
/// What is written a day where nobody says, by all mappings together.
pub const CHANGES: i64 = 10_000;
/// The hours of a day in which people write.
const BUSY_HOURS: i64 = 8;
/// Calls that write, one behind the other: each takes about half a second.
const CALLS_A_SECOND: i64 = 2;
const DAY: f64 = 86_400.0;

/// What is known of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// Its name.
    pub mapping: String,
    /// Direction.
    pub access: Access,
    /// From one poll to the next, while change events come where they are asked for.
    pub poll_interval: Duration,
    /// Whether change events say what to read between polls.
    pub change_events: bool,
    /// Whether deletes are asked for in a call of their own.
    pub asks_deletes: bool,
    /// From one comparison to the next, if there are any.
    pub verify: Option<Duration>,
    /// Records in the org, where that is known.
    pub records: Option<i64>,
    /// Calls for one page of records: a wide mapping takes several.
    pub calls_a_page: i64,
    /// Whether a poll reads all records, because they do not say when they changed.
    pub reads_all: bool,
    /// Records in one call that writes, at most.
    pub batch_size: i64,
    /// From how many waiting changes on they go by jobs, if they do.
    pub bulk_from: Option<i64>,
    /// What is written.
    pub writes: WriteForecast,
}

/// What is written of a mapping a day.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum WriteForecast {
    /// Nobody looked: so many changes, spread over the hours in which people work.
    Assumed {
        /// Changes a day.
        changes: i64,
    },
    /// The log of changes tells how many there were, and how many calls they would have taken.
    Measured {
        /// Changes a day.
        changes: i64,
        /// Calls a day.
        calls: i64,
    },
}

/// What the org allows a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum Allowance {
    /// Nobody said.
    Assumed {
        /// Calls a day.
        calls: i64,
    },
    /// The operator said so.
    Given {
        /// Calls a day.
        calls: i64,
    },
    /// The org said so.
    Told {
        /// Calls a day.
        calls: i64,
        /// Of these, how many were used in the last 24 hours, by everybody.
        used: i64,
    },
}

impl Default for Allowance {
    fn default() -> Allowance {
        Allowance::Assumed { calls: ALLOWANCE }
    }
}

impl Allowance {
    /// Calls a day.
    pub fn calls(self) -> i64 {
        let (Allowance::Assumed { calls } | Allowance::Given { calls } | Allowance::Told { calls, .. }) =
            self;
        calls.max(1)
    }
}

/// What holds for all mappings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Circumstances {
    /// How often definitions are read again.
    pub describe_interval: Duration,
    /// How many percent of the allowance comparisons may take.
    pub verify_share: u32,
    /// What the org allows.
    pub allowance: Allowance,
    /// How much of it may be used.
    pub budget: ApiBudget,
}

/// Calls a day, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// Reads of what changed.
    pub changes: i64,
    /// Reads of what was deleted.
    pub deletes: i64,
    /// Counts of records.
    pub counts: i64,
    /// Reads of the object's definition.
    pub definitions: i64,
    /// Comparisons of both sides.
    pub comparisons: i64,
    /// Writes.
    pub writes: i64,
}

impl Calls {
    /// All that only reads.
    pub fn reads(&self) -> i64 {
        self.changes + self.deletes + self.counts + self.definitions + self.comparisons
    }

    /// All of it.
    pub fn total(&self) -> i64 {
        self.reads() + self.writes
    }

    fn add(&mut self, more: Calls) {
        self.changes += more.changes;
        self.deletes += more.deletes;
        self.counts += more.counts;
        self.definitions += more.definitions;
        self.comparisons += more.comparisons;
        self.writes += more.writes;
    }
}

/// The forecast of one mapping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MappingForecast {
    /// Its name.
    pub mapping: String,
    /// Direction.
    pub access: Access,
    /// Calls a day.
    #[serde(flatten)]
    pub calls: Calls,
    /// What was taken for its writes; nothing where it is read only.
    pub written: Option<WriteForecast>,
}

/// The forecast of a connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// By mapping, in the order of the configuration.
    pub mappings: Vec<MappingForecast>,
    /// Of all together.
    pub total: Calls,
    /// What the org allows a day.
    pub allowance: Allowance,
    /// What was assumed, a sentence each.
    pub assumptions: Vec<String>,
}

impl Forecast {
    /// Which share of the allowance it takes.
    pub fn share(&self) -> f64 {
        self.total.total() as f64 / self.allowance.calls() as f64
    }
}

/// Foretells the calls of a day.
pub fn forecast(demands: &[Demand], around: &Circumstances) -> Forecast {
    let mut mappings: Vec<MappingForecast> = demands
        .iter()
        .map(|demand| MappingForecast {
            mapping: demand.mapping.clone(),
            access: demand.access,
            calls: calls(demand, around.describe_interval),
            written: (demand.access == Access::ReadWrite).then_some(demand.writes),
        })
        .collect();
    // Comparisons wait where they have had their share of the org's calls.
    let most = around.allowance.calls().saturating_mul(i64::from(around.verify_share)) / 100;
    let wanted = mappings.iter().fold(0_i64, |sum, of| sum.saturating_add(of.calls.comparisons));
    if wanted > most {
        for of in &mut mappings {
            let share = i128::from(of.calls.comparisons) * i128::from(most) / i128::from(wanted);
            of.calls.comparisons = share as i64;
        }
    }
    let mut total = Calls::default();
    mappings.iter().for_each(|of| total.add(of.calls));
    let mut assumptions = assumptions(demands, around, wanted > most);
    let used = (total.total(), around.allowance.calls());
    if around.budget.stretch(Some(used)) > 1.0 {
        assumptions.push(format!(
            "these calls come near the budget of {} a day (api_budget, in [salesforce]): syncdeck will poll more rarely than \
             the rules say, and stop for a while where it is used up",
            thousands(around.budget.requests(used.1).max(0) as usize)
        ));
    }
    Forecast { mappings, total, allowance: around.allowance, assumptions }
}

/// What each of so many has of a whole, without a rest.
pub fn shares(whole: i64, among: usize) -> impl Iterator<Item = i64> {
    let among = i64::try_from(among).unwrap_or(i64::MAX).max(1);
    (0..among).map(move |at| whole / among + i64::from(at < whole % among))
}

/// How often something happens a day that happens once in so long.
fn a_day(every: Duration) -> f64 {
    DAY / every.as_secs_f64().max(0.001)
}

fn calls(demand: &Demand, describe_interval: Duration) -> Calls {
    let polls = a_day(demand.poll_interval);
    let all = (demand.records.unwrap_or(0).div_euclid(PAGE) + 1) * demand.calls_a_page;
    let comparison = |every: Duration| a_day(every) * all as f64;
    Calls {
        changes: (polls * if demand.reads_all { all as f64 } else { 1.0 }).round() as i64,
        deletes: if demand.asks_deletes { polls.round() as i64 } else { 0 },
        counts: polls.min(a_day(COUNT_INTERVAL)).round() as i64,
        definitions: a_day(describe_interval).round() as i64,
        comparisons: demand.verify.filter(|_| demand.records.is_some()).map_or(0.0, comparison).round()
            as i64,
        writes: if demand.access == Access::ReadWrite { write_calls(demand) } else { 0 },
    }
}

fn write_calls(demand: &Demand) -> i64 {
    match demand.writes {
        WriteForecast::Measured { calls, .. } => calls,
        WriteForecast::Assumed { changes } => {
            // A change that comes alone takes a call of its own; those that come during a call share the next one.
            let one_behind_the_other = BUSY_HOURS * 3_600 * CALLS_A_SECOND;
            let full = changes.max(0) as u64;
            let by_calls = full.div_ceil(demand.batch_size.clamp(1, BATCH) as u64) as i64;
            let by_jobs = full.div_ceil(WRITE_JOB as u64) as i64 * WRITE_JOB_CALLS;
            // What calls are too slow for waits, and goes by jobs.
            let at_least = if demand.bulk_from.is_some() { by_calls.min(by_jobs) } else { by_calls };
            changes.min(one_behind_the_other).max(at_least)
        }
    }
}

fn assumptions(demands: &[Demand], around: &Circumstances, comparisons_wait: bool) -> Vec<String> {
    let mut told = Vec::new();
    let count = |number: i64| thousands(number.max(0) as usize);
    let written: Vec<&Demand> = demands.iter().filter(|of| of.access == Access::ReadWrite).collect();
    let assumed: i64 = written
        .iter()
        .filter_map(|of| match of.writes {
            WriteForecast::Assumed { changes } => Some(changes),
            WriteForecast::Measured { .. } => None,
        })
        .sum();
    if assumed > 0 {
        told.push(format!(
            "{} changes a day are written, spread over {BUSY_HOURS} hours; one that comes alone takes a call of its own, \
             and those of a bulk load share calls of {BATCH}{}",
            count(assumed),
            if written.iter().any(|of| of.bulk_from.is_some()) { ", or jobs" } else { "" }
        ));
    }
    if written.iter().any(|of| matches!(of.writes, WriteForecast::Measured { .. })) {
        told.push("writes are those that the log of changes tells of the last days".to_owned());
    }
    if demands.iter().any(|of| of.verify.is_some() && of.records.is_none()) {
        told.push("comparisons are not counted: how many records there are is not known here".to_owned());
    }
    let unknown: Vec<&str> = demands
        .iter()
        .filter(|of| of.reads_all && of.records.is_none())
        .map(|of| of.mapping.as_str())
        .collect();
    if !unknown.is_empty() {
        told.push(format!(
            "each poll of {} reads all records; how many there are is not known here, and one page is counted",
            unknown.join(", ")
        ));
    }
    let by_events: Vec<&str> =
        demands.iter().filter(|of| of.change_events).map(|of| of.mapping.as_str()).collect();
    if !by_events.is_empty() {
        told.push(format!(
            "change events of {} come all day; the records that they name are read in calls that are not counted here: one for \
             changes that come alone, and one for up to 400 that come within a quarter of a second",
            by_events.join(", ")
        ));
    }
    if comparisons_wait {
        told.push(format!("comparisons wait where they have had {} % of the calls", around.verify_share));
    }
    told.push(format!(
        "no poll finds more than {} changed records; each further {} take one call more",
        count(PAGE),
        count(PAGE)
    ));
    match around.allowance {
        Allowance::Assumed { calls } => told.push(format!(
            "the org allows {} calls a day, as an Enterprise Edition without what its licences add",
            count(calls)
        )),
        Allowance::Given { .. } => {}
        Allowance::Told { used, .. } => {
            told.push(format!(
                "{} calls of the allowance were used in the last 24 hours, by everybody",
                count(used)
            ));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn demand(poll: u64, writes: WriteForecast) -> Demand {
        Demand {
            mapping: "Contact".to_owned(),
            access: Access::ReadWrite,
            poll_interval: Duration::from_secs(poll),
            change_events: false,
            asks_deletes: true,
            verify: None,
            records: None,
            calls_a_page: 1,
            reads_all: false,
            batch_size: BATCH,
            bulk_from: None,
            writes,
        }
    }

    fn around(allowance: i64) -> Circumstances {
        Circumstances {
            describe_interval: Duration::from_secs(300),
            verify_share: 10,
            allowance: Allowance::Given { calls: allowance },
            budget: ApiBudget::default(),
        }
    }

    fn of(demand: Demand) -> Calls {
        forecast(&[demand], &around(100_000)).total
    }

    #[test]
    fn a_mapping_polled_every_ten_minutes_takes_three_calls_each_time_and_its_definition() {
        let calls = of(demand(600, WriteForecast::Assumed { changes: 1_000 }));
        let wanted = Calls {
            changes: 144,
            deletes: 144,
            counts: 144,
            definitions: 288,
            comparisons: 0,
            writes: 1_000,
        };
        assert_eq!(calls, wanted);
        assert_eq!((calls.reads(), calls.total()), (720, 1_720));
    }

    #[test]
    fn records_are_counted_no_more_often_than_the_engine_does() {
        let calls = of(demand(10, WriteForecast::Assumed { changes: 0 }));
        assert_eq!((calls.changes, calls.deletes, calls.counts, calls.writes), (8_640, 8_640, 2_880, 0));
    }

    #[test]
    fn what_is_read_only_is_not_written_and_deletes_that_nobody_tells_are_not_asked() {
        let quiet = Demand {
            access: Access::ReadOnly,
            asks_deletes: false,
            ..demand(60, WriteForecast::Measured { changes: 9, calls: 9 })
        };
        let told = forecast(&[quiet], &around(100_000));
        assert_eq!((told.total.writes, told.total.deletes, told.mappings[0].written), (0, 0, None));
    }

    #[test]
    fn what_change_events_name_is_told_as_not_counted() {
        let heard = Demand { change_events: true, ..demand(3_600, WriteForecast::Assumed { changes: 0 }) };
        let told = forecast(&[heard], &around(100_000));
        assert_eq!(told.total.changes, 24);
        assert!(
            told.assumptions.iter().any(|told| told.starts_with("change events of Contact come all day"))
        );
        let silent = forecast(&[demand(60, WriteForecast::Assumed { changes: 0 })], &around(100_000));
        assert!(!silent.assumptions.iter().any(|told| told.contains("change events")));
    }

    #[test]
    fn a_poll_of_what_does_not_say_when_it_changed_reads_all_of_it() {
        let stock = Demand {
            reads_all: true,
            records: Some(5_000),
            ..demand(600, WriteForecast::Assumed { changes: 0 })
        };
        assert_eq!(of(stock).changes, 432);
    }

    #[test]
    fn many_changes_share_calls_up_to_the_size_of_a_batch() {
        // In 8 hours there is time for 57,600 calls, one behind the other.
        assert_eq!(of(demand(60, WriteForecast::Assumed { changes: 1_152_000 })).writes, 57_600);
        assert_eq!(of(demand(60, WriteForecast::Assumed { changes: 20_000_000 })).writes, 100_000);
        let small = Demand { batch_size: 10, ..demand(60, WriteForecast::Assumed { changes: 1_152_000 }) };
        assert_eq!(of(small).writes, 115_200);
        assert_eq!(of(demand(60, WriteForecast::Measured { changes: 5_000, calls: 40 })).writes, 40);
        let by_jobs =
            |changes| Demand { bulk_from: Some(2_000), ..demand(60, WriteForecast::Assumed { changes }) };
        assert_eq!(of(by_jobs(20_000_000)).writes, 57_600);
        assert_eq!(of(by_jobs(100_000_000)).writes, 120_000);
    }

    #[test]
    fn comparisons_read_all_pages_and_have_a_share_of_the_allowance_at_most() {
        let compared = Demand {
            verify: Some(Duration::from_secs(86_400)),
            records: Some(4_000_000),
            calls_a_page: 2,
            ..demand(600, WriteForecast::Assumed { changes: 0 })
        };
        let all = forecast(std::slice::from_ref(&compared), &around(1_000_000));
        assert_eq!(all.total.comparisons, 4_002);
        let cut = forecast(&[compared], &around(10_000));
        assert_eq!(cut.total.comparisons, 1_000);
        assert!(cut.assumptions.iter().any(|told| told.contains("wait where they have had 10 %")));
        let unknown = Demand {
            verify: Some(Duration::from_secs(60)),
            ..demand(60, WriteForecast::Assumed { changes: 0 })
        };
        let told = forecast(&[unknown], &around(1_000));
        assert_eq!(told.total.comparisons, 0);
        assert!(told.assumptions[0].starts_with("comparisons are not counted"), "{:?}", told.assumptions);
    }

    #[test]
    fn the_share_is_that_of_the_allowance() {
        let told = forecast(&[demand(600, WriteForecast::Assumed { changes: 1_280 })], &around(4_000));
        assert!((told.share() - 0.5).abs() < 1e-9, "{}", told.share());
    }

    proptest! {
        /// However the figures are: the total is the sum of its parts, more changes never take fewer calls, a longer
        /// interval never more, and no change takes more than one call.
        #[test]
        fn more_work_never_takes_fewer_calls(
            poll in 1_u64..7_200, changes in 0_i64..5_000_000, more in 0_i64..5_000_000, batch in 1_i64..=200
        ) {
            let with = |poll, changes| of(Demand { batch_size: batch, ..demand(poll, WriteForecast::Assumed { changes }) });
            let calls = with(poll, changes);
            prop_assert_eq!(calls.total(), calls.reads() + calls.writes);
            prop_assert!(calls.writes <= changes && calls.writes >= changes / BATCH);
            prop_assert!(with(poll, changes + more).writes >= calls.writes);
            prop_assert!(with(poll + 1, changes).reads() <= calls.reads());
        }

        #[test]
        fn the_total_is_the_sum_of_the_mappings(polls in proptest::collection::vec(1_u64..10_000, 0..8)) {
            let demands: Vec<Demand> =
                polls.iter().map(|poll| demand(*poll, WriteForecast::Assumed { changes: 77 })).collect();
            let told = forecast(&demands, &around(100_000));
            let sum: i64 = told.mappings.iter().map(|of| of.calls.total()).sum();
            prop_assert_eq!(told.total.total(), sum);
        }
    }

    #[test]
    fn shares_lose_nothing_of_the_whole() {
        assert_eq!(shares(10_000, 3).collect::<Vec<_>>(), [3_334, 3_333, 3_333]);
        assert_eq!(shares(2, 3).sum::<i64>(), 2);
    }

    #[test]
    fn polls_that_read_an_unknown_number_of_records_are_told() {
        let demand = Demand { reads_all: true, ..demand(600, WriteForecast::Assumed { changes: 0 }) };
        let told = forecast(&[demand], &around(i64::MAX)).assumptions;
        assert!(
            told.iter().any(|line| line.starts_with("each poll of Contact reads all records")),
            "{told:?}"
        );
    }
}
