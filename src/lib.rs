//! syncdeck keeps a Salesforce org and a PostgreSQL schema in step, both ways, and gives the people who run that
//! sync one full-screen terminal console. `ARCHITECTURE.md` is the map of the house.

pub mod alerts;
pub mod cli;
pub mod client;
pub mod config;
pub mod console;
pub mod demo;
pub mod domain;
pub mod engine;
pub mod heroku;
pub mod logs;
pub mod postgres;
pub mod salesforce;
pub mod simulator;
