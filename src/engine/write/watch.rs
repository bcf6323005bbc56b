//! Watches for captured changes while the writer has nothing to do, so that a change is sent within milliseconds of its
//! commit. A NOTIFY from the capture trigger would tell the same, and costs an application with many writers three times
//! its speed; a look at a sequence costs a few tens of microseconds and touches no row.
//!
//! The sequence of `_trigger_log` moves when a change is captured, which is before its commit. From then on the writer is
//! woken whenever a transaction of the server ends, until every transaction that could have captured something has ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::postgres::Error;
use crate::postgres::changes::queue::CaptureState;

use crate::engine::Shared;

/// Between two looks; behind a pooler each costs a transaction with its settings.
const LOOK: Duration = Duration::from_millis(10);
const LOOK_POOLED: Duration = Duration::from_millis(50);
/// While Salesforce or PostgreSQL cannot be reached.
const CLOSED: Duration = Duration::from_secs(1);
/// Between two questions which transactions there were.
const BOUND: Duration = Duration::from_millis(50);
/// A transaction that stays open long is woken for less often: this part of the time since something was captured.
const PATIENCE: u32 = 20;

/// Runs until the end of the engine.
pub(in crate::engine) async fn run(shared: Arc<Shared>) {
    let look = if shared.store.is_pooled() { LOOK_POOLED } else { LOOK };
    let mut watch = Watch::default();
    loop {
        // What is wrong is told by the writer, whose own looks go on.
        let open = shared.link.closed_for().is_none() && look_once(&shared, &mut watch).await.is_ok();
        if !shared.pause(if open { look } else { CLOSED }).await {
            return;
        }
    }
}

async fn look_once(shared: &Shared, watch: &mut Watch) -> Result<(), Error> {
    let state = shared.store.capture_state().await?;
    if watch.wakes(&state, Instant::now()) {
        shared.wake_writer.notify_one();
    }
    if watch.wants_bound(Instant::now()) {
        watch.bound = Some(shared.store.newest_transaction().await?);
    }
    Ok(())
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Watch {
    last: Option<CaptureState>,
    /// Since when a transaction that captured something may be open.
    open: Option<Instant>,
    /// Those that captured something are older than this one. Not known at once: a snapshot does not tell of transactions
    /// that began to write and have not ended, unless a younger one has.
    bound: Option<i64>,
    asked: Option<Instant>,
    woken: Option<Instant>,
}

impl Watch {
    /// Whether the writer may find something new.
    fn wakes(&mut self, state: &CaptureState, now: Instant) -> bool {
        let Some(last) = self.last.replace(state.clone()) else { return true };
        let moved = last.captured != state.captured;
        if moved {
            self.open = self.open.or(Some(now));
            self.bound = None;
        }
        let Some(since) = self.open else { return false };
        let settled = self.bound.is_some_and(|bound| state.oldest_transaction >= bound);
        if settled {
            self.open = None;
        }
        let due = self.woken.is_none_or(|woken| now - woken >= (now - since) / PATIENCE);
        let wakes = moved || settled || (last.snapshot != state.snapshot && due);
        if wakes {
            self.woken = Some(now);
        }
        wakes
    }

    /// Whether it is time to ask which transactions there are.
    fn wants_bound(&mut self, now: Instant) -> bool {
        let due = self.asked.is_none_or(|asked| now - asked >= BOUND);
        let wants = self.open.is_some() && self.bound.is_none() && due;
        if wants {
            self.asked = Some(now);
        }
        wants
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of running transactions those from `next` on are in no snapshot.
    fn state(captured: i64, oldest: i64, next: i64) -> CaptureState {
        CaptureState { captured, oldest_transaction: oldest, snapshot: format!("{oldest}:{next}:") }
    }

    #[test]
    fn the_writer_is_woken_when_what_was_captured_is_committed_and_then_no_more() {
        let mut watch = Watch::default();
        let begin = Instant::now();
        let after = |ms| begin + Duration::from_millis(ms);
        assert!(watch.wakes(&state(1, 10, 10), begin), "nobody knows what was there before");
        assert!(!watch.wakes(&state(1, 10, 10), after(5)));
        // Other transactions come and go, and capture nothing.
        assert!(!watch.wakes(&state(1, 12, 13), after(10)));
        assert!(!watch.wants_bound(after(10)));
        // Transaction 13 captures something and goes on; no snapshot tells of it.
        assert!(watch.wakes(&state(2, 13, 13), after(15)), "what was captured may be committed already");
        assert!(watch.wants_bound(after(15)));
        watch.bound = Some(14);
        assert!(!watch.wakes(&state(2, 13, 13), after(20)));
        // The question was a transaction, too.
        assert!(watch.wakes(&state(2, 13, 15), after(25)));
        assert!(!watch.wakes(&state(2, 13, 15), after(30)));
        // It ends.
        assert!(watch.wakes(&state(2, 15, 15), after(35)));
        assert!(!watch.wakes(&state(2, 16, 16), after(40)));
        assert!(!watch.wakes(&state(2, 20, 20), after(45)));
    }

    #[test]
    fn what_is_captured_while_the_bound_is_asked_for_has_another() {
        let mut watch = Watch::default();
        let begin = Instant::now();
        watch.wakes(&state(1, 10, 10), begin);
        watch.wakes(&state(2, 10, 10), begin + LOOK);
        assert!(watch.wants_bound(begin + LOOK));
        watch.bound = Some(11);
        assert!(watch.wakes(&state(3, 12, 12), begin + LOOK * 2), "it moved");
        assert!(!watch.wants_bound(begin + LOOK * 2), "not so soon again");
        assert!(watch.wakes(&state(3, 13, 13), begin + LOOK * 3), "what is open may have ended");
        assert!(watch.wants_bound(begin + LOOK + BOUND));
    }

    #[test]
    fn a_transaction_that_stays_open_is_waited_for_less_and_less_often() {
        let mut watch = Watch::default();
        let begin = Instant::now();
        watch.wakes(&state(1, 10, 10), begin);
        watch.wakes(&state(2, 10, 11), begin);
        watch.bound = Some(12);
        // Transaction 10 holds on, while others end with every look.
        let at = |n: i64| begin + LOOK * u32::try_from(n).unwrap();
        let woken = (1..2_000).filter(|n| watch.wakes(&state(2, 10, 12 + n), at(*n))).count();
        assert!((20..300).contains(&woken), "{woken} of 2,000");
        assert!(watch.wakes(&state(2, 3_000, 3_000), at(3_000)));
    }
}
