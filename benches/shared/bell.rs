//! What the senders by hand are woken by.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use tokio::sync::Notify;
use tokio_postgres::{AsyncMessage, Client, NoTls};

/// A session that listens for changes, and what each of its notifications rings.
pub async fn listen(url: &str) -> (Client, Arc<Notify>) {
    let (client, mut connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let bell = Arc::new(Notify::new());
    let told = bell.clone();
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if matches!(message, AsyncMessage::Notification(_)) {
                told.notify_one();
            }
        }
    });
    client.batch_execute("LISTEN changes").await.unwrap();
    (client, bell)
}
