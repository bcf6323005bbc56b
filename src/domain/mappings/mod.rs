//! Mappings: objects, tables and their fields; the rules, the strategies and how long to wait before a retry.

pub mod backoff;
pub mod field;
pub mod mapping;
pub mod matches;
pub mod rules;
pub mod strategy;
