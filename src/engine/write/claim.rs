//! A claim: units that one engine has in work, and until when it may send them.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::postgres::changes::queue::CLAIM_WORD;

/// How long units wait whose table does not fit, or has no mapping here.
pub(in crate::engine) const UNFIT_PAUSE: Duration = Duration::from_secs(5);
/// After a lost answer.
pub(in crate::engine) const LOST_PAUSE: Duration = Duration::from_millis(500);

/// A claim in work.
pub(in crate::engine) struct Claim {
    pub(in crate::engine) token: String,
    /// Taken before the claim was asked for, on the monotonic clock: the lease cannot end earlier than this says.
    pub(in crate::engine) since: Instant,
    /// Its place among those in work.
    pub(super) place: AtomicU64,
    /// How many batches were named so far.
    batches: AtomicU32,
    /// Whether Salesforce answered one of them.
    answered: AtomicBool,
}

impl Claim {
    pub(in crate::engine) fn new() -> Claim {
        Claim::renewed(&crate::engine::random_word(), Instant::now())
    }

    /// The claim of a token whose lease was renewed just now: `since` was taken before.
    pub(in crate::engine) fn renewed(token: &str, since: Instant) -> Claim {
        Claim {
            token: token.to_owned(),
            since,
            place: AtomicU64::new(0),
            batches: AtomicU32::new(0),
            answered: AtomicBool::new(false),
        }
    }

    pub(in crate::engine) fn note_answer(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    pub(in crate::engine) fn was_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// A name for the next batch: the word of the claim, which its units bear while they are in flight, and a number.
    pub(in crate::engine) fn name_batch(&self) -> String {
        let number = self.batches.fetch_add(1, Ordering::Relaxed) + 1;
        format!("{}-{number}", &self.token[..CLAIM_WORD])
    }
}
