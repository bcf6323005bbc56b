//! From captured changes to Salesforce: taken in and claimed (`writer`), told of within milliseconds (`watch`), put into
//! calls (`batch`), sent (`send`) and acknowledged (`keep`); many at once go by several calls at once (`lanes`),
//! or by jobs of Bulk API 2.0 (`bulk`).
//!
//! What a call waits for is in `dependencies` (its parent) and `turn` (the order of `fail_fast`); `response_check` makes sure
//! that an answer is about what was sent; `resend` is for answers that were lost; `mask` keeps values out of histories.

mod acknowledge;
mod batch;
pub(super) mod bulk;
mod claim;
mod dependencies;
mod keep;
pub(super) mod lanes;
pub(super) mod mask;
mod planning;
mod record;
pub(super) mod resend;
mod response_check;
mod send;
mod turn;
pub(super) mod watch;
pub(super) mod writer;
