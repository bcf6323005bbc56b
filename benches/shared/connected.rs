//! A plain session of PostgreSQL.

use tokio_postgres::{Client, NoTls};

/// Connects; the connection lives as long as the session.
pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
