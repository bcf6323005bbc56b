//! A schema that Heroku Connect keeps, looked at and mended from beside it: nothing of ours is in this database, and the
//! schema `syncdeck` is not asked for.
//!
//! - [`catalog`] is what Heroku Connect maps, read from PostgreSQL's catalogue; [`log`] its change log and what rows say.
//! - [`mend`] changes rows and has failed changes sent again, in the ways that are documented for people; `recipe` chooses
//!   which of them, by what is [`asked`].
//! - [`audit`] notes what Heroku Connect was told to do, where something of ours was installed once.
//! - [`shadow`] is what a comparison with Salesforce reads.

pub mod asked;
pub mod audit;
pub mod catalog;
pub mod log;
pub mod mend;
mod recipe;
pub mod shadow;
