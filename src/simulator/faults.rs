//! Faults on demand: what goes wrong between a request that is in order and its answer.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What is to go wrong. Shares are of 1; counts go down by one each time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Faults {
    /// Every answer waits this long, in milliseconds.
    pub latency_ms: u64,
    /// Share of written records that another process holds (UNABLE_TO_LOCK_ROW).
    pub row_lock: f64,
    /// The next this many requests find their session expired (401); a new login ends that at once.
    pub expire_session: u32,
    /// The next this many requests find their session not made for the API (401), which no login cures.
    pub unusable_session: u32,
    /// The next this many requests meet the limit of concurrent ones (403).
    pub concurrent_limit: u32,
    /// The next this many requests find the daily allowance used up (403).
    pub daily_limit: u32,
    /// The next this many requests are answered 429.
    pub too_many: u32,
    /// The next this many requests are answered 503, before anything is done.
    pub unavailable: u32,
    /// The next this many requests are answered 500, before anything is done.
    pub server_error: u32,
    /// The org is under maintenance: whatever is asked, a token too, is answered by a page (503), and nothing is done.
    pub maintenance: bool,
    /// The next this many writes are carried out and never answered.
    pub lose_answer: u32,
    /// The next request whose method and path have this in them is carried out and never answered: `PUT jobs/ingest`.
    pub lose_answer_to: Option<String>,
    /// The next this many answers are cut in the middle of their body.
    pub cut_answer: u32,
    /// The next this many requests find the API closed to the login (403).
    pub api_disabled: u32,
    /// The next this many queries run too long.
    pub query_timeout: u32,
    /// Counts of all records of an object run too long, as they do where there are very many.
    pub count_timeout: bool,
    /// Records that are refused as it says there.
    pub refuse: Option<Refusal>,
    /// Requests that are answered as it says there, and not carried out.
    pub answer: Option<CannedAnswer>,
    /// The next this many answers to collections lack their last result.
    pub short_answer: u32,
    /// The next this many answers to collections have their results in another order.
    pub reorder_answer: u32,
    /// Writes by collections wait until this many of them are here at once; then all go on, and it is over.
    pub gather: usize,
    /// Bulk jobs that did this many records wait there, until it is taken back.
    pub hold_jobs: Option<u64>,
    /// Composite requests that did this many parts wait there, until it is taken back.
    pub hold_composite: Option<u64>,
    /// The next this many Bulk jobs that write fail in the middle.
    pub fail_jobs: u32,
    /// The next this many changes are told by events without their fields.
    pub gap_events: u32,
    /// The next this many changes are told by events that do not even name their records.
    pub overflow_events: u32,
    /// The next this many answers that bring events are cut in the middle.
    pub cut_events: u32,
}

/// What written records are refused with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// Salesforce's code.
    pub code: String,
    /// Its message.
    pub message: String,
    /// Fields that it names.
    #[serde(default)]
    pub fields: Vec<String>,
    /// How many records more.
    pub times: u32,
}

/// What requests are answered with instead of being carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CannedAnswer {
    /// Those whose method and path have this in them: `GET jobs/ingest`, `successfulResults`.
    pub to: String,
    /// HTTP's status.
    pub status: u16,
    /// The whole body.
    #[serde(default)]
    pub body: String,
    /// Its `Content-Type`.
    #[serde(default = "json_type")]
    pub content_type: String,
    /// How many requests more.
    pub times: u32,
}

fn json_type() -> String {
    "application/json;charset=UTF-8".to_owned()
}

impl CannedAnswer {
    /// A refusal in Salesforce's form.
    pub fn refusal(to: &str, status: u16, code: &str, message: &str, times: u32) -> CannedAnswer {
        let body = json!([{"message": message, "errorCode": code}]).to_string();
        CannedAnswer { to: to.to_owned(), status, body, content_type: json_type(), times }
    }
}

/// How often each fault really happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FaultCounts {
    /// Records refused with UNABLE_TO_LOCK_ROW.
    pub row_lock: u64,
    /// 401.
    pub expire_session: u64,
    /// 403, concurrent.
    pub concurrent_limit: u64,
    /// 403, daily.
    pub daily_limit: u64,
    /// 429.
    pub too_many: u64,
    /// 503.
    pub unavailable: u64,
    /// 500.
    pub server_error: u64,
    /// Writes carried out and never answered.
    pub lose_answer: u64,
    /// Answers cut.
    pub cut_answer: u64,
    /// Answers that lacked a result.
    pub short_answer: u64,
    /// Answers in another order.
    pub reorder_answer: u64,
    /// Composite requests that had to wait.
    pub hold_composite: u64,
    /// Writes that went on together.
    pub gather: u64,
    /// Bulk jobs that failed in the middle.
    pub fail_jobs: u64,
    /// Answers cut that brought events.
    pub cut_events: u64,
    /// Requests that were not carried out, and answered as somebody wanted.
    pub answer: u64,
}

/// A fault that meets a request before it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Early {
    SessionExpired,
    /// A session that is good, but not for this; another login gives the same.
    SessionUnusable,
    /// An Authorization header of no kind that there is.
    InvalidHeader,
    ConcurrentLimit,
    DailyLimit,
    TooMany,
    Unavailable,
    ServerError,
    ApiDisabled,
}

/// A fault that meets the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    Lost,
    Cut,
}

/// How an event tells a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    Whole,
    /// Without its fields.
    Gap,
    /// Without its record.
    Overflow,
}

/// The faults in force, their counters, and the dice, which fall the same way for the same seed.
#[derive(Debug)]
pub(super) struct FaultState {
    pub(super) faults: Faults,
    pub(super) counts: FaultCounts,
    /// Writes that wait for others now.
    gathered: usize,
    dice: StdRng,
}

impl FaultState {
    pub(super) fn new(seed: u64) -> FaultState {
        FaultState {
            faults: Faults::default(),
            counts: FaultCounts::default(),
            gathered: 0,
            dice: StdRng::seed_from_u64(seed),
        }
    }

    pub(super) fn early(&mut self) -> Option<Early> {
        let (faults, counts) = (&mut self.faults, &mut self.counts);
        let due = |left: &mut u32, count: &mut u64| {
            let happens = *left > 0;
            if happens {
                *left -= 1;
                *count += 1;
            }
            happens
        };
        if due(&mut faults.expire_session, &mut counts.expire_session) {
            Some(Early::SessionExpired)
        } else if due(&mut faults.concurrent_limit, &mut counts.concurrent_limit) {
            Some(Early::ConcurrentLimit)
        } else if due(&mut faults.daily_limit, &mut counts.daily_limit) {
            Some(Early::DailyLimit)
        } else if due(&mut faults.too_many, &mut counts.too_many) {
            Some(Early::TooMany)
        } else if due(&mut faults.unavailable, &mut counts.unavailable) {
            Some(Early::Unavailable)
        } else if due(&mut faults.server_error, &mut counts.server_error) {
            Some(Early::ServerError)
        } else if faults.unusable_session > 0 {
            faults.unusable_session -= 1;
            Some(Early::SessionUnusable)
        } else if faults.api_disabled > 0 {
            faults.api_disabled -= 1;
            Some(Early::ApiDisabled)
        } else {
            None
        }
    }

    /// A write has come that may have to wait for others.
    pub(super) fn arrive(&mut self) {
        self.gathered += 1;
        if self.gathered >= self.faults.gather {
            self.counts.gather += if self.faults.gather > 0 { self.gathered as u64 } else { 0 };
            (self.faults.gather, self.gathered) = (0, 0);
        }
    }

    /// `asked` is the method and the path.
    pub(super) fn late(&mut self, write: bool, asked: &str) -> Option<Late> {
        if self.faults.lose_answer_to.take_if(|lost| asked.contains(lost.as_str())).is_some() {
            self.counts.lose_answer += 1;
            return Some(Late::Lost);
        }
        if write && self.faults.lose_answer > 0 {
            self.faults.lose_answer -= 1;
            self.counts.lose_answer += 1;
            return Some(Late::Lost);
        }
        if self.faults.cut_answer > 0 {
            self.faults.cut_answer -= 1;
            self.counts.cut_answer += 1;
            return Some(Late::Cut);
        }
        None
    }

    /// What a request is answered with instead of being carried out. `asked` is the method and the path.
    pub(super) fn canned(&mut self, asked: &str) -> Option<CannedAnswer> {
        let is_meant = |answer: &&mut CannedAnswer| answer.times > 0 && asked.contains(answer.to.as_str());
        let answer = self.faults.answer.as_mut().filter(is_meant)?;
        answer.times -= 1;
        self.counts.answer += 1;
        Some(answer.clone())
    }

    /// What goes wrong with the results of a collection, which are at least two.
    pub(super) fn spoil(&mut self, results: &mut Vec<serde_json::Value>) {
        if results.len() < 2 {
            return;
        }
        if self.faults.short_answer > 0 {
            self.faults.short_answer -= 1;
            self.counts.short_answer += 1;
            results.pop();
        } else if self.faults.reorder_answer > 0 {
            self.faults.reorder_answer -= 1;
            self.counts.reorder_answer += 1;
            results.rotate_left(1);
        }
    }

    /// Whether a Bulk job fails in the middle.
    pub(super) fn job_fails(&mut self) -> bool {
        let fails = self.faults.fail_jobs > 0;
        self.faults.fail_jobs = self.faults.fail_jobs.saturating_sub(1);
        self.counts.fail_jobs += u64::from(fails);
        fails
    }

    /// Counts a composite request that must wait after so many parts.
    pub(super) fn count_held_composite(&mut self, done: usize) {
        let is_held = self.faults.hold_composite.is_some_and(|most| done as u64 >= most);
        self.counts.hold_composite += u64::from(is_held);
    }

    /// How the next change is told.
    pub(super) fn telling(&mut self) -> Telling {
        let faults = &mut self.faults;
        if faults.overflow_events > 0 {
            faults.overflow_events -= 1;
            return Telling::Overflow;
        }
        let gap = faults.gap_events > 0;
        faults.gap_events = faults.gap_events.saturating_sub(1);
        if gap { Telling::Gap } else { Telling::Whole }
    }

    /// Whether an answer that brings events is cut.
    pub(super) fn cuts_events(&mut self) -> bool {
        let cut = self.faults.cut_events > 0;
        self.faults.cut_events = self.faults.cut_events.saturating_sub(1);
        self.counts.cut_events += u64::from(cut);
        cut
    }

    /// Whether a query runs too long.
    pub(super) fn query_timeout(&mut self) -> bool {
        let late = self.faults.query_timeout > 0;
        self.faults.query_timeout = self.faults.query_timeout.saturating_sub(1);
        late
    }

    /// What the next written record is refused with.
    pub(super) fn refusal(&mut self) -> Option<Refusal> {
        let refusal = self.faults.refuse.as_mut().filter(|refusal| refusal.times > 0)?;
        refusal.times -= 1;
        Some(refusal.clone())
    }

    pub(super) fn row_lock(&mut self) -> bool {
        let locked = self.faults.row_lock > 0.0 && self.dice.random::<f64>() < self.faults.row_lock;
        self.counts.row_lock += u64::from(locked);
        locked
    }
}
