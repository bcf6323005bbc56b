//! Values and how they are written: numbers, telephone numbers, keys, addresses, lengths of time; how a value is checked, changed and masked.

pub mod address;
pub mod check;
pub mod checksum;
pub mod duration;
pub mod hstore;
pub mod key;
pub mod masking;
pub mod nearest;
pub mod number;
pub(super) mod phone;
pub mod picklist;
pub mod size;
pub mod transform;
