//! How many calls are with Salesforce at once: one more after each full claim that went well, half as many where records lock
//! each other out or Salesforce has had enough. What goes by the first lane is worked whatever waits; the others help where
//! full claims do.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::domain::mappings::strategy::Strategy;
use crate::engine::Shared;

/// How long there are no more of them after there were too many.
const REST: Duration = Duration::from_secs(30);

/// The lanes of one engine.
pub(in crate::engine) struct Lanes {
    state: Mutex<LanesState>,
    wake: Notify,
    /// Held while units are claimed: a later claim has a later ticket.
    claiming: tokio::sync::Mutex<()>,
    /// Rung when a claim is worked off.
    ended: Notify,
}

struct LanesState {
    /// How many are open; the first always is.
    open: usize,
    /// Whether full claims wait.
    waits: bool,
    /// Until when there are no more of them.
    rests_until: Option<Instant>,
    /// The claims in work.
    tickets: BTreeSet<u64>,
    next: u64,
}

impl LanesState {
    fn new() -> LanesState {
        LanesState { open: 1, waits: false, rests_until: None, tickets: BTreeSet::new(), next: 0 }
    }

    fn is_open(&self, lane: usize) -> bool {
        self.waits && lane < self.open
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
    pub(super) async fn claim<T, E>(
        &self,
        claim: impl Future<Output = Result<T, E>>,
    ) -> Result<(ClaimTicket<'_>, T), E> {
        let _one_at_a_time = self.claiming.lock().await;
        let number = self.change(|state| {
            state.next += 1;
            state.tickets.insert(state.next);
            state.next
        });
        let ticket = ClaimTicket { lanes: self, number };
        Ok((ticket, claim.await?))
    }

    /// Units were claimed; `is_full`: more wait.
    pub(super) fn claimed(&self, is_full: bool) {
        self.change(|state| state.waits = is_full);
        if is_full {
            self.wake.notify_waiters();
        }
    }

    /// A full claim went through.
    pub(super) fn went_well(&self, most: usize) {
        self.change(|state| {
            state.open = state.open.min(most);
            state.widen(most, Instant::now());
        });
        self.wake.notify_waiters();
    }

    /// Waits until all that was claimed before is worked off. What is deleted may be the parent of what is changed there: before
    /// those changes, its delete would take their records along, or be refused. False where it takes until then, or the engine
    /// ends.
    pub(super) async fn is_next(&self, shared: &Shared, ticket: &ClaimTicket<'_>, until: Instant) -> bool {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if self.change(|state| state.tickets.first() == Some(&ticket.number)) {
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
            if self.change(|state| state.is_open(lane)) && lane < most(shared, false) {
                return true;
            }
            tokio::select! {
                () = woken => {}
                () = shared.stop.cancelled() => return false,
            }
        }
    }
}

/// How many lanes there may be: one where the order of changes is kept, or a claim takes much memory.
pub(super) fn most(shared: &Shared, is_heavy: bool) -> usize {
    let keeps_order = shared.mappings().iter().any(|mapping| mapping.rules.strategy == Strategy::FailFast);
    if keeps_order || is_heavy { 1 } else { shared.config.salesforce.calls_at_once }
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
        assert!(!state.is_open(0) && !state.is_open(3), "nothing waits");
        state.waits = true;
        assert!(state.is_open(3) && !state.is_open(4));
        assert_eq!(state.narrow(now), Some((4, 2)));
        state.widen(4, now + REST / 2);
        assert_eq!(state.open, 2, "it rests");
        assert_eq!((state.narrow(now), state.narrow(now)), (Some((2, 1)), None));
        state.widen(4, now + REST);
        assert_eq!(state.open, 2);
    }
}
