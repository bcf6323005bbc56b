//! Where a test stops a job in the middle.

use std::pin::pin;

use crate::simulator::org::{Org, State};

/// Waits while jobs are held that did as many records; `progress` tells how many, and `None` when the job is over.
pub(super) async fn go_on(org: &Org, progress: impl Fn(&State) -> Option<usize>) -> Option<()> {
    loop {
        // Before the look: a change after it is not missed.
        let mut changed = pin!(org.changed().notified());
        changed.as_mut().enable();
        {
            let state = org.lock();
            let done = progress(&state)? as u64;
            if state.faults.faults.hold_jobs.is_none_or(|most| done < most) {
                return Some(());
            }
        }
        changed.await;
    }
}
