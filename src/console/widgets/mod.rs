//! Small parts that panes are made of.

pub mod cells;
pub mod charts;
pub mod cursor;
pub mod input;
pub mod scroll;
