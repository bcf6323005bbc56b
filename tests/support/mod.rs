//! What several ways of testing share: the one private server of a test binary, and a database of its own for each test.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use syncdeck::postgres::private::{Options, PrivateServer};
use syncdeck::postgres::{Error, Store};
use tokio_postgres::NoTls;

/// The one private server of this test binary. Its keeper stops it when the process ends.
pub fn server() -> &'static PrivateServer {
    static SERVER: OnceLock<&'static PrivateServer> = OnceLock::new();
    SERVER.get_or_init(new_server)
}

/// A private server for a test that breaks it. It, too, ends with the process.
pub fn new_server() -> &'static PrivateServer {
    let dir = tempfile::Builder::new().prefix("syncdeck-test-").tempdir_in("/tmp").unwrap().keep();
    Box::leak(Box::new(PrivateServer::start(&Options { dir, remove: true, durable: false }).unwrap()))
}

/// A database of its own in the one private server.
#[allow(dead_code, reason = "each test binary uses its part of what is shared")]
pub async fn new_database() -> String {
    database_on(server()).await
}

/// A database of its own.
pub async fn database_on(server: &PrivateServer) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let (sql, connection) = tokio_postgres::connect(&server.url("postgres"), NoTls).await.unwrap();
    tokio::spawn(connection);
    sql.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    name
}

/// A store of the usual kind.
pub async fn connect(url: &str) -> Result<Store, Error> {
    Store::connect(url, "salesforce", "test", Duration::from_secs(30)).await
}

#[allow(dead_code, reason = "each test binary uses its part of what is shared")]
/// Somebody at a terminal.
pub fn operator(actor: &str) -> syncdeck::domain::act::Operator {
    syncdeck::domain::act::Operator { actor: actor.to_owned(), origin: "local".to_owned() }
}

#[allow(dead_code, reason = "each test binary uses its part of what is shared")]
/// An act of theirs.
pub fn act(actor: &str) -> syncdeck::domain::act::Act {
    syncdeck::domain::act::Act::single(&operator(actor))
}
