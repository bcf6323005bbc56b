//! The background task that keeps both sides in step, and the one door to it.

pub mod handle;
