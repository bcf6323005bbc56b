//! One decision of one person about many rows: planned and shown (`plan`; each row by its own first remedy: `quick_fix`),
//! carried out in transactions of a few hundred rows and told row by row (`execute`). `repair` does the same for what a
//! comparison found, and `consistency` for one thing of it.

mod beside;
mod consistency;
mod duplicates;
pub mod execute;
mod plan;
mod quick_fix;
pub mod repair;
