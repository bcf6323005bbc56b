//! How many calls are with Salesforce at once: one more after each full claim that went well, half as many where records lock
//! each other out or Salesforce has had enough. What goes by the first lane is worked whatever waits; the others help where
//! full claims do. There is one lane more than calls: what it claims is prepared while the others wait for Salesforce, and
//! their answers are kept while it does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::claim::Claim;
use crate::domain::changes::dispatch::Claimed;
use crate::domain::mappings::strategy::Strategy;
use crate::engine::Shared;
use crate::postgres::Error;

/// How long there are no more of them after there were too many.
const REST: Duration = Duration::from_secs(30);

/// The lanes of one engine.
pub(in crate::engine) struct Lanes {
    state: Mutex<LanesState>,
    /// Rung when a lane may have something to do.
    wake: Notify,
    /// Held while units are claimed: a later claim has a later ticket.
    claiming: tokio::sync::Mutex<()>,
    /// Rung when a call or a claim has ended, for whoever waits for that.
    ended: Notify,
}

struct LanesState {
    /// How many calls there may be at once.
    open: usize,
    /// How many there are.
    calls: usize,
    /// Whether full claims wait.
    waits: bool,
    /// Whether a claim may be begun before the one before it is worked off.
    overlaps: bool,
    /// Until when there are no more of them.
    rests_until: Option<Instant>,
    /// The claims in work.
    tickets: BTreeMap<u64, Ticket>,
    next: u64,
}

/// A claim in work.
#[derive(Default)]
struct Ticket {
    /// The tables that its units are of.
    tables: BTreeSet<String>,
    /// Whether its last call was answered: no more is sent.
    sent: bool,
}

impl LanesState {
    fn new() -> LanesState {
        LanesState {
            open: 1,
            calls: 0,
            waits: false,
            overlaps: false,
            rests_until: None,
            tickets: BTreeMap::new(),
            next: 0,
        }
    }

    fn is_open(&self, lane: usize) -> bool {
        self.waits && self.overlaps && lane <= self.open
    }

    /// Whether the claim of a ticket may make a call. One at a time, calls go in the order of the claims.
    fn may_call(&self, ticket: u64) -> bool {
        let is_in_order = || self.open > 1 || self.tickets.range(..ticket).all(|(_, before)| before.sent);
        self.calls < self.open && is_in_order()
    }

    fn widen(&mut self, most: usize, now: Instant) {
        if self.rests_until.is_none_or(|until| until <= now) {
            self.rests_until = None;
            self.open = (self.open + 1).min(most);
        }
    }

    /// Returns how many there were and are, where that is news.
    fn narrow(&mut self, now: Instant) -> Option<(usize, usize)> {
        let before = self.open;
        self.open = (before / 2).max(1);
        self.rests_until = Some(now + REST);
        (self.open < before).then_some((before, self.open))
    }
}

/// The place of a claim among those in work.
pub(super) struct ClaimTicket<'a> {
    lanes: &'a Lanes,
    number: u64,
}

impl Drop for ClaimTicket<'_> {
    fn drop(&mut self) {
        self.lanes.change(|state| state.tickets.remove(&self.number));
        self.lanes.ended.notify_waiters();
    }
}

/// A call that is with Salesforce.
pub(super) struct CallInFlight<'a>(&'a Lanes);

impl Drop for CallInFlight<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.calls -= 1);
        self.0.ended.notify_waiters();
    }
}

impl Lanes {
    pub(in crate::engine) fn new() -> Lanes {
        Lanes {
            state: Mutex::new(LanesState::new()),
            wake: Notify::new(),
            claiming: tokio::sync::Mutex::default(),
            ended: Notify::new(),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut LanesState) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Claims, and gives the claim its place.
    pub(super) async fn claim(
        &self,
        claim: &Claim,
        claiming: impl Future<Output = Result<Vec<Claimed>, Error>>,
    ) -> Result<(ClaimTicket<'_>, Vec<Claimed>), Error> {
        let _one_at_a_time = self.claiming.lock().await;
        let number = self.change(|state| {
            state.next += 1;
            state.tickets.insert(state.next, Ticket::default());
            state.next
        });
        claim.place.store(number, Ordering::Relaxed);
        let ticket = ClaimTicket { lanes: self, number };
        let units = claiming.await?;
        let tables = units.iter().map(|unit| unit.table.clone()).collect();
        self.change(|state| state.tickets.entry(number).or_default().tables = tables);
        Ok((ticket, units))
    }

    /// Units were claimed; `is_full`: more wait.
    pub(super) fn claimed(&self, is_full: bool) {
        self.change(|state| state.waits = is_full);
        if is_full {
            self.wake.notify_waiters();
        }
    }

    /// A full claim went through; `is_heavy`: it took much memory.
    pub(super) fn went_well(&self, shared: &Shared, is_heavy: bool) {
        let overlaps = !is_heavy && !keeps_order(shared);
        let most = if overlaps { shared.config.salesforce.calls_at_once } else { 1 };
        self.change(|state| {
            state.overlaps = overlaps;
            state.open = state.open.min(most);
            state.widen(most, Instant::now());
        });
        self.wake.notify_waiters();
        self.ended.notify_waiters();
    }

    /// Waits until a claim may make a call. `None` where it takes until then, or the engine ends.
    pub(super) async fn call(
        &self,
        shared: &Shared,
        claim: &Claim,
        until: Instant,
    ) -> Option<CallInFlight<'_>> {
        let ticket = claim.place.load(Ordering::Relaxed);
        let begins = |state: &mut LanesState| {
            let may = state.may_call(ticket);
            state.calls += usize::from(may);
            may
        };
        self.until(shared, until, begins).await.then(|| CallInFlight(self))
    }

    /// The last call of a claim was answered: the next one's go before that is kept.
    pub(super) fn sent(&self, claim: &Claim) {
        let ticket = claim.place.load(Ordering::Relaxed);
        self.change(|state| state.tickets.get_mut(&ticket).into_iter().for_each(|ticket| ticket.sent = true));
        self.ended.notify_waiters();
    }

    /// Waits until all that was claimed before is worked off. What is deleted may be the parent of what is changed there: before
    /// those changes, its delete would take their records along, or be refused. False where it takes until then, or the engine
    /// ends.
    pub(super) async fn is_next(&self, shared: &Shared, ticket: &ClaimTicket<'_>, until: Instant) -> bool {
        let is_first = |state: &mut LanesState| state.tickets.range(..ticket.number).next().is_none();
        self.until(shared, until, is_first).await
    }

    /// Waits until what was claimed before of these tables is worked off. Rows that name records which are just being made
    /// would be listed as waiting for them. False where it takes until then, or the engine ends.
    pub(super) async fn is_after(
        &self,
        shared: &Shared,
        ticket: &ClaimTicket<'_>,
        tables: &[&str],
        until: Instant,
    ) -> bool {
        let is_in_work = |before: &Ticket| tables.iter().any(|table| before.tables.contains(*table));
        let is_after = |state: &mut LanesState| {
            !state.tickets.range(..ticket.number).any(|(_, before)| is_in_work(before))
        };
        self.until(shared, until, is_after).await
    }

    /// Waits until something holds, which is looked at each time that a call or a claim has ended. False where it takes until
    /// then, or the engine ends.
    async fn until(
        &self,
        shared: &Shared,
        until: Instant,
        mut holds: impl FnMut(&mut LanesState) -> bool,
    ) -> bool {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            // From here on no end is missed.
            ended.as_mut().enable();
            if self.change(&mut holds) {
                return true;
            }
            tokio::select! {
                () = ended => {}
                () = tokio::time::sleep_until(until) => return false,
                () = shared.stop.cancelled() => return false,
            }
        }
    }

    /// Waits until a lane is to work. False when the engine ends.
    pub(super) async fn until_open(&self, shared: &Shared, lane: usize) -> bool {
        loop {
            let mut woken = std::pin::pin!(self.wake.notified());
            // From here on no wake is missed.
            woken.as_mut().enable();
            if shared.stop.is_cancelled() {
                return false;
            }
            if self.change(|state| state.is_open(lane)) && !keeps_order(shared) {
                return true;
            }
            tokio::select! {
                () = woken => {}
                () = shared.stop.cancelled() => return false,
            }
        }
    }
}

/// Whether the order of all changes is kept: then a claim is worked off before the next one is begun.
fn keeps_order(shared: &Shared) -> bool {
    shared.mappings().iter().any(|mapping| mapping.rules.strategy == Strategy::FailFast)
}

/// There were too many calls at once, it seems.
pub(in crate::engine) fn narrow(shared: &Shared, why: &str) {
    let Some((before, now)) = shared.lanes.change(|state| state.narrow(Instant::now())) else { return };
    shared.log.of("writer").info(
        format!("{now} calls at once instead of {before} for {} s: {why}", REST.as_secs()),
        json!({"before": before, "now": now, "cause": why}),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_open_one_by_one_and_close_by_halves() {
        let now = Instant::now();
        let mut state = LanesState::new();
        (0..5).for_each(|_| state.widen(4, now));
        assert_eq!(state.open, 4);
        state.overlaps = true;
        assert!(!state.is_open(1) && !state.is_open(3), "nothing waits");
        state.waits = true;
        assert!(state.is_open(4) && !state.is_open(5), "one is prepared meanwhile");
        assert_eq!(state.narrow(now), Some((4, 2)));
        state.widen(4, now + REST / 2);
        assert_eq!(state.open, 2, "it rests");
        assert_eq!((state.narrow(now), state.narrow(now)), (Some((2, 1)), None));
        state.widen(4, now + REST);
        assert_eq!(state.open, 2);
    }

    #[test]
    fn one_at_a_time_calls_go_in_the_order_of_the_claims() {
        let mut state = LanesState::new();
        state.tickets.extend([1, 2].map(|ticket| (ticket, Ticket::default())));
        assert!(state.may_call(1) && !state.may_call(2));
        state.calls = 1;
        assert!(!state.may_call(1));
        state.calls = 0;
        state.tickets.entry(1).and_modify(|ticket| ticket.sent = true);
        assert!(state.may_call(2), "the answers of the first are kept meanwhile");
        state.tickets.entry(1).and_modify(|ticket| ticket.sent = false);
        (state.open, state.calls) = (2, 1);
        assert!(state.may_call(2));
    }
}
