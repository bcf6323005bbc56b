//! What changed, as the client tells it: announcements of engines and operators, several of one kind told once.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::broadcast;

use crate::domain::names::{RowId, RowRef};
use crate::postgres::Store;

/// Events are folded for this long after one was told.
const FOLD: Duration = Duration::from_millis(100);
/// Everything is told to be read again this often, in case an announcement was missed.
const TICK: Duration = Duration::from_secs(2);

/// Something changed; whoever shows it should read it again. Bursts are folded (10 a second at most).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Counts or states of mappings, connection or engine.
    Overview,
    /// The list of errors.
    Errors,
    /// A row's unit, error or values.
    Record(RowRef),
    /// New log records.
    Log,
    /// The way to PostgreSQL broke, with the reason; the client reconnects by itself and then sends `Restored`.
    Lost(String),
    /// It is back.
    Restored,
}

/// Listens, folds and passes on, reconnecting by itself.
pub(in crate::client) async fn hear(store: Store, events: broadcast::WeakSender<Event>) {
    let mut broken = false;
    loop {
        let failure = match store.listen().await {
            Ok(notices) => {
                if broken && !tell(&events, [Event::Restored]) {
                    return;
                }
                broken = false;
                pass_on(notices, &events).await;
                "the connection to PostgreSQL broke".to_owned()
            }
            Err(error) => error.to_string(),
        };
        if !broken && !tell(&events, [Event::Lost(failure)]) {
            return;
        }
        broken = true;
        tokio::time::sleep(Duration::from_millis(500)).await;
        if events.upgrade().is_none() {
            return;
        }
    }
}

/// Until the connection breaks or nobody wants to know any more.
async fn pass_on(mut notices: tokio::sync::mpsc::Receiver<String>, events: &broadcast::WeakSender<Event>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let mut found = HashSet::new();
        tokio::select! {
            notice = notices.recv() => match notice {
                Some(notice) => read_notice(&notice, &mut found),
                None => return,
            },
            _ = tick.tick() => found.extend([Event::Overview, Event::Errors, Event::Log]),
        }
        while let Ok(notice) = notices.try_recv() {
            read_notice(&notice, &mut found);
        }
        if !tell(events, found) {
            return;
        }
        tokio::time::sleep(FOLD).await;
    }
}

/// False when there is no client any more.
fn tell(events: &broadcast::WeakSender<Event>, found: impl IntoIterator<Item = Event>) -> bool {
    let Some(sender) = events.upgrade() else { return false };
    for event in found {
        // Without a receiver there is nobody to tell, which is no failure.
        let _ = sender.send(event);
    }
    true
}

fn read_notice(notice: &str, found: &mut HashSet<Event>) {
    let mut words = notice.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some("log"), ..) => {
            found.insert(Event::Log);
        }
        (Some("overview" | "settings"), ..) => {
            found.insert(Event::Overview);
        }
        (Some(word @ ("rows" | "retry" | "read")), Some(rows), Some(table)) => {
            found.insert(Event::Overview);
            // What was read is no matter of the list.
            if word != "read" {
                found.insert(Event::Errors);
            }
            let rows = rows.split(',').filter_map(|row| row.parse().ok());
            found.extend(rows.map(|row| Event::Record(RowRef { table: table.to_owned(), row: RowId(row) })));
        }
        (Some("errors" | "retry"), ..) => found.extend([Event::Errors, Event::Overview]),
        _ => {}
    }
}
