//! The engine between a real PostgreSQL and the simulated org over HTTP: what an application writes arrives, what the
//! org changes comes back, what is rejected can be mended. No part is replaced by a stand-in.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_macros, reason = "a test says what it skips")]

mod addresses;
mod adopt;
mod adopted;
mod alerts;
mod attached;
mod attached_lists;
mod attached_mends;
mod beside;
mod budget;
mod bulk;
mod by_command;
mod by_job;
mod capture;
mod causes;
mod channels;
mod conditions;
mod conflicts;
mod connect_acts;
mod connect_api;
mod consistency;
mod django;
mod doubt;
mod duplicates;
mod economy;
mod errand;
mod events;
mod fail_fast;
mod family_deletes;
mod given_up;
mod harm;
mod health;
mod heroku_engine;
mod history;
mod import;
mod ingest;
mod init;
mod intruder;
mod job_trouble;
mod keys;
mod lacking;
mod lanes;
mod lookups;
mod lost;
mod masked;
mod mend;
mod merges;
mod names;
mod numbers;
mod operate;
mod operations;
mod pending;
mod plan;
mod pooler;
mod read;
mod rebind;
mod receivers;
mod refuse;
mod refused;
mod relatives;
mod reload;
mod rules;
mod schema;
mod scripts;
mod seeds;
mod service;
mod shadow;
mod signin;
mod steps;
#[path = "../support/mod.rs"]
mod support;
mod takeover;
mod tls;
#[path = "../support/tls.rs"]
mod tls_server;
mod triage;
mod trouble;
mod upgrade;
mod verify;
mod wide;
mod words;
mod world;
mod write;
