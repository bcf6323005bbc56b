//! Rows that Heroku Connect keeps beside the records that syncdeck reads, compared round by round, and what that comes to. A
//! difference that is met once may be what Heroku Connect has still to bring; one that stays is a difference. Pure.
//!
//! - [`judge`] is what the log says of a row that differs, [`follow`] what is known of each row and record from round to round,
//!   [`report`] what is told of it.
//! - [`format`] tells values that are in step and that syncdeck would write in another form.

pub mod follow;
pub mod format;
pub mod judge;
pub mod report;
