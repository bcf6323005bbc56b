//! Salesforce's records beside the rows that Heroku Connect keeps, compared round by round for as long as somebody wants: what
//! syncdeck would read, before it reads. Nothing is written and nothing installed; the rights of an application's credentials
//! are enough, and so is a follower.
//!
//! [`mapped`] finds what can be compared, [`look`] reads both sides once; what that means from round to round is in
//! `domain/records/shadow`.

mod look;
mod mapped;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::domain::attached::mode::WriteMode;
use crate::domain::records::shadow::follow::{ShadowMoment, ShadowState, ShadowSubject};
use crate::domain::records::shadow::report::{
    ShadowCost, ShadowMappingReport, ShadowReport, ShadowRound, ShadowWait,
};
use crate::domain::reports::forecast::PAGE;
use crate::postgres::{self, Store};
use crate::salesforce::query::FieldSelection;
use crate::salesforce::{self, Client};

use super::StartError;
use super::verify::Error;
use look::{ShadowWalk, Sides};
use mapped::{Shadowed, ShadowedMapping, shadowed};

/// From the beginning of one round to that of the next, where nobody says otherwise and Heroku Connect polls often enough.
const EVERY: Duration = Duration::from_secs(15 * 60);
/// Without a time, no round begins later than this, or than two times the time between rounds.
const LONGEST: Duration = Duration::from_secs(3_600);
/// How long a look at a whole table may take.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// Looks, without a round, at what is undecided at the end.
const LAST_LOOKS: usize = 5;
/// Rows and records looked at again at once.
const TOGETHER: usize = 200;

/// Why nothing is compared.
#[derive(Debug, thiserror::Error)]
pub enum ShadowError {
    /// The configuration does not fit the org, or one of both sides cannot be reached.
    #[error(transparent)]
    Start(#[from] StartError),
    /// One of both sides cannot be read.
    #[error(transparent)]
    Look(#[from] Error),
    /// The schema is none that can be shadowed; the text names the reason and the remedy.
    #[error("{0}")]
    Refused(String),
    /// There is no such mapping; the text names those that there are.
    #[error("{0}")]
    Unknown(String),
}

/// How it is compared.
#[derive(Clone, Debug, Default)]
pub struct ShadowOptions {
    /// For how long rounds begin; without, until what differed in the first one is decided.
    pub time: Option<Duration>,
    /// From the beginning of one round to that of the next.
    pub every: Option<Duration>,
    /// How long Heroku Connect may take to bring a change; without, as long as from one of its polls to the next.
    pub catch_up: Option<Duration>,
    /// One mapping only.
    pub mapping: Option<String>,
}

/// What is being done, for whoever waits.
#[derive(Clone, Copy, Debug)]
pub enum ShadowStage<'a> {
    /// Records of a mapping are compared: how many of how many.
    Comparing(&'a str, i64, i64),
    /// What looks different is looked at again: how many.
    Settling(&'a str, usize),
    /// A round is over.
    Over(&'a ShadowRound),
    /// The next one begins in a while.
    Pausing(Duration),
    /// What is undecided is looked at alone in a while.
    Waiting(Duration),
}

/// A comparison that is ready to begin.
pub struct Shadow {
    store: Store,
    patient: Store,
    client: Arc<Client>,
    options: ShadowOptions,
    every: Duration,
    writes: WriteMode,
    of: Shadowed,
    report: ShadowReport,
}

/// Whoever is told what is being done.
type Told<'a> = &'a (dyn Fn(ShadowStage<'_>) + Send + Sync);

impl Shadow {
    /// Signs in and looks at what can be compared, and what that will cost.
    ///
    /// # Errors
    /// When nothing can be compared; the text says why.
    pub async fn open(config: &Config, store: Store, options: ShadowOptions) -> Result<Shadow, ShadowError> {
        let client = Arc::new(super::client(&config.salesforce)?);
        let of = shadowed(config, &store, &client, &options).await?;
        let longest = of.mappings.iter().map(|of| of.catch_up).max().unwrap_or_default();
        let every = options.every.unwrap_or(EVERY.max(longest * 3 / 2));
        let (mut calls, mut uncounted) = (0, 0);
        for compared in &of.mappings {
            let counted = calls_of(&client, compared).await;
            uncounted += usize::from(counted.is_none());
            calls += counted.unwrap_or(1);
        }
        let cost = ShadowCost { uncounted, ..ShadowCost::of(calls, every, client.usage()) };
        let report = ShadowReport {
            org_id: of.org_id.clone(),
            cost,
            uncompared: of.uncompared.clone(),
            mappings: of.mappings.iter().map(|of| of.report.clone()).collect(),
            ..ShadowReport::default()
        };
        let patient = store.with_patience(PATIENCE)?;
        // It decides only whether a change that failed is on its way again.
        let writes = config.writes.unwrap_or(WriteMode::Merged);
        Ok(Shadow { store, patient, client, options, every, writes, of, report })
    }

    /// What is known before the first round: the mappings, what cannot be compared, what a round costs.
    pub fn report(&self) -> &ShadowReport {
        &self.report
    }

    /// The same, where rounds begin for another time; without, until what differed in the first one is decided.
    pub fn for_time(self, time: Option<Duration>) -> Shadow {
        Shadow { options: ShadowOptions { time, ..self.options.clone() }, ..self }
    }

    /// Round after round, until its time is over or it is stopped. What of a round fails is told, and the next one goes on;
    /// what a stopped one has not looked at as a whole is dropped.
    ///
    /// # Errors
    /// When no mapping can be compared in the first round.
    pub async fn run(
        mut self,
        told: Told<'_>,
        stop: &CancellationToken,
    ) -> Result<ShadowReport, ShadowError> {
        let began = Instant::now();
        for number in 1.. {
            let round_began = Instant::now();
            let mut round = ShadowRound {
                number,
                began_at: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
                ..ShadowRound::default()
            };
            let stopped = tokio::select! {
                // A round that ends as it is stopped has ended.
                biased;
                failed = self.round(&mut round, began, told) => {
                    if let Some(error) = failed.filter(|_| !self.report.was_compared()) {
                        return Err(error.into());
                    }
                    false
                }
                () = stop.cancelled() => true,
            };
            round.stopped = stopped && round.broken.is_none();
            round.seconds = round_began.elapsed().as_secs();
            sum(&self.report.mappings, &mut round);
            told(ShadowStage::Over(&round));
            self.report.rounds.push(round);
            let next = round_began + self.every;
            if stop.is_cancelled() || self.is_enough(next.duration_since(began)) {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    () = self.decide(began, told) => {}
                }
                break;
            }
            told(ShadowStage::Pausing(next.saturating_duration_since(Instant::now())));
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = stop.cancelled() => break,
            }
        }
        self.report.stopped = stop.is_cancelled();
        self.report.in_step = self.report.is_in_step();
        self.report.cost.allowance = self.client.usage();
        Ok(self.report)
    }

    /// Whether no further round begins so long after the first.
    fn is_enough(&self, next: Duration) -> bool {
        match self.options.time {
            Some(time) => next > time,
            None => next > self.longest() || !self.of.mappings.iter().any(|of| of.follower.has_undecided(1)),
        }
    }

    fn longest(&self) -> Duration {
        self.options.time.unwrap_or(LONGEST.max(self.every * 2))
    }

    /// No whole round comes any more: what is not decided is looked at alone, as soon as it can be, while there is time. A busy
    /// org always has something that changed just before the last round.
    async fn decide(&mut self, began: Instant, told: Told<'_>) {
        for _ in 0..LAST_LOOKS {
            let due = self.of.mappings.iter().filter_map(|of| of.follower.due(of.catch_up)).max();
            let Some(due) = due.filter(|due| *due <= self.longest()) else { return };
            let next = began + due;
            told(ShadowStage::Waiting(next.saturating_duration_since(Instant::now())));
            tokio::time::sleep_until(next).await;
            let sides = self.sides();
            let Some(round) = self.report.rounds.last_mut() else { return };
            for (compared, report) in self.of.mappings.iter_mut().zip(&mut self.report.mappings) {
                let subjects: Vec<ShadowSubject> = compared.follower.undecided().cloned().collect();
                match look_at(&sides, compared, &subjects, &mut round.calls, began).await {
                    Ok(seen) => see(compared, seen, round.number),
                    // It stays undecided, and the round as it was.
                    Err(error) => compared.report.broken = Some(error.to_string()),
                }
                *report = compared.report.clone();
            }
            sum(&self.report.mappings, round);
        }
    }

    /// All mappings once, each by itself: what goes wrong with one says nothing of the next. The first error.
    async fn round(&mut self, round: &mut ShadowRound, began: Instant, told: Told<'_>) -> Option<Error> {
        let sides = self.sides();
        let mut first = None;
        for (compared, report) in self.of.mappings.iter_mut().zip(&mut self.report.mappings) {
            let looked = look(&sides, compared, round, began, told).await;
            compared.report.broken = looked.as_ref().err().map(ToString::to_string);
            *report = compared.report.clone();
            if let Err(error) = looked {
                let why = format!("{}: {error}", report.mapping);
                round.broken = Some(match round.broken.take() {
                    Some(others) => format!("{others}\n{why}"),
                    None => why,
                });
                first = first.or(Some(error));
            }
        }
        first
    }

    fn sides(&self) -> Sides {
        Sides {
            store: self.store.clone(),
            patient: self.patient.clone(),
            client: self.client.clone(),
            has_log: self.of.has_log,
            has_archive: self.of.has_archive,
            writes: self.writes,
        }
    }
}

/// What a round comes to, over all mappings.
fn sum(mappings: &[ShadowMappingReport], round: &mut ShadowRound) {
    let over = |of: fn(&ShadowMappingReport) -> i64| mappings.iter().map(of).sum();
    round.compared = over(|of| of.counts.compared);
    round.differences = over(ShadowMappingReport::different);
    round.waiting = over(|of| of.waiting.get(&ShadowWait::Unsent).copied().unwrap_or(0));
    round.undecided = over(ShadowMappingReport::all_undecided);
    round.caught_up = over(|of| of.caught_up);
}

/// A mapping once.
async fn look(
    sides: &Sides,
    compared: &mut ShadowedMapping,
    round: &mut ShadowRound,
    began: Instant,
    told: Told<'_>,
) -> Result<(), Error> {
    let name = compared.mapping.object.clone();
    let progress = |done: i64, total: i64| told(ShadowStage::Comparing(&name, done, total));
    let walk = sides.walk(compared, &progress, &mut round.calls).await?;
    settle(sides, compared, walk, round, began, told).await
}

/// What looked different in a walk, and what did so before, once more.
async fn settle(
    sides: &Sides,
    compared: &mut ShadowedMapping,
    walk: ShadowWalk,
    round: &mut ShadowRound,
    began: Instant,
    told: Told<'_>,
) -> Result<(), Error> {
    let mut subjects: BTreeSet<ShadowSubject> = walk.subjects;
    subjects.extend(compared.follower.subjects().cloned());
    told(ShadowStage::Settling(&compared.mapping.object, subjects.len()));
    let subjects: Vec<ShadowSubject> = subjects.into_iter().collect();
    let seen = look_at(sides, compared, &subjects, &mut round.calls, began).await?;
    // Only a whole look counts, so that one that breaks off leaves what was known.
    compared.follower.begin_round();
    compared.report.rounds += 1;
    compared.report.counts = walk.counts;
    see(compared, seen, round.number);
    Ok(())
}

/// Rows and records as they look, each with when that was.
type Seen = Vec<(ShadowSubject, ShadowState, Duration)>;

async fn look_at(
    sides: &Sides,
    compared: &ShadowedMapping,
    subjects: &[ShadowSubject],
    calls: &mut i64,
    began: Instant,
) -> Result<Seen, Error> {
    let mut seen = Vec::new();
    for some in subjects.chunks(TOGETHER) {
        let states = sides.look_again(compared, some, calls).await?;
        let at = began.elapsed();
        seen.extend(states.into_iter().map(|(subject, state)| (subject, state, at)));
    }
    Ok(seen)
}

/// Takes in what was seen.
fn see(compared: &mut ShadowedMapping, seen: Seen, round: u64) {
    for (subject, state, at) in seen {
        let moment = ShadowMoment { round, at, catch_up: compared.catch_up };
        compared.follower.see(&compared.mapping, subject, state, moment);
    }
    compared.follower.tell(&mut compared.report);
}

/// The API calls of one walk over a mapping, where nothing differs; `None` where Salesforce does not count its records.
async fn calls_of(client: &Client, compared: &ShadowedMapping) -> Option<i64> {
    let mapping = &compared.mapping;
    let counted: Result<_, salesforce::Error> =
        client.query(&format!("SELECT COUNT() FROM {}", mapping.object)).await;
    let records = counted.ok()?.total;
    let pages = (records + PAGE - 1) / PAGE;
    Some(pages.max(1) * FieldSelection::of(mapping).requests(PAGE.min(records.max(1)) as usize))
}

impl From<postgres::Error> for ShadowError {
    fn from(error: postgres::Error) -> ShadowError {
        ShadowError::Start(StartError::Postgres(error))
    }
}
