//! Where a test stops work in the middle.

use std::pin::pin;

use super::faults::Faults;
use super::org::{Org, State};

/// Waits while work is held that got as far; `held` is the fault that holds it, and `progress` tells how far it got, `None`
/// when it is over.
pub(super) async fn go_on(
    org: &Org,
    held: impl Fn(&Faults) -> Option<u64>,
    progress: impl Fn(&State) -> Option<usize>,
) -> Option<()> {
    loop {
        // Before the look: a change after it is not missed.
        let mut changed = pin!(org.changed().notified());
        changed.as_mut().enable();
        {
            let state = org.lock();
            let done = progress(&state)? as u64;
            if held(&state.faults.faults).is_none_or(|most| done < most) {
                return Some(());
            }
        }
        changed.await;
    }
}
