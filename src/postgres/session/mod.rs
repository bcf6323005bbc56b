//! The way to the server: addresses and passwords, TLS, the pool, a session with its statements, what its role may do.

pub(super) mod client;
pub mod connect;
mod conninfo;
pub(super) mod passfile;
pub(super) mod permissions;
pub(super) mod storable;
pub(super) mod stream;
pub(super) mod tls;
pub(super) mod url;
