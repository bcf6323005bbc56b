//! What people and scripts do and ask for.

pub mod answer;
pub mod operation;
pub mod request;
