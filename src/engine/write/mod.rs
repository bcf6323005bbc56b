//! From captured changes to Salesforce: taken in and claimed (`writer`), told of within milliseconds (`watch`), put into
//! calls (`batch`), sent (`send`) and acknowledged (`keep`).
//!
//! What a call waits for is in `dependencies` (its parent) and `turn` (the order of `fail_fast`); `response_check` makes sure
//! that an answer is about what was sent; `resend` is for answers that were lost; `mask` keeps values out of histories.

mod batch;
mod dependencies;
mod keep;
pub(super) mod mask;
pub(super) mod resend;
mod response_check;
mod send;
mod turn;
pub(super) mod watch;
pub(super) mod writer;
