//! A row and its record side by side, and what differs between the two sides.

pub mod consistency;
pub mod duplicate;
pub mod life;
pub mod matching;
pub mod named;
pub mod record;
pub mod shadow;
pub mod verify;
