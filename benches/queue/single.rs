//! An application that updates single rows, each in a transaction of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::connect;

/// The rows of its table.
pub const ROWS: i32 = 20_000;

/// Transactions a second of so many clients, each updating rows of its own.
pub async fn updates(url: &str, table: &str, clients: i32, span: Duration) -> f64 {
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut tasks = Vec::new();
    for number in 0..clients {
        let client = connect(url).await;
        let (stop, done, table) = (stop.clone(), done.clone(), table.to_owned());
        tasks.push(tokio::spawn(async move {
            let update =
                client.prepare(&format!("UPDATE {table} SET lastname = $1 WHERE id = $2")).await.unwrap();
            let mut n = 0_i32;
            while !stop.load(Ordering::Relaxed) {
                n += 1;
                let row = number * (ROWS / clients) + n % (ROWS / clients) + 1;
                client.execute(&update, &[&format!("Name {n} again"), &row]).await.unwrap();
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    // A session's first statements fill its caches.
    tokio::time::sleep(span / 10).await;
    let (begin, before) = (Instant::now(), done.load(Ordering::Relaxed));
    tokio::time::sleep(span).await;
    let (took, count) = (begin.elapsed(), done.load(Ordering::Relaxed) - before);
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    count as f64 / took.as_secs_f64()
}
