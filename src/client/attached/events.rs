//! What changed: nobody announces it, so it is looked for. Heroku Connect's own announcements tell of new entries only, and
//! a follower takes no listeners.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::broadcast;

use crate::client::events::Event;
use crate::domain::errors::sync_error::{ErrorState, SyncError};
use crate::domain::names::RowRef;

use super::session::Attached;

/// Between two looks; a look that takes long is not taken as often.
const LOOK: Duration = Duration::from_secs(1);

/// What of an error is compared from look to look.
type Standing = (i64, ErrorState, DateTime<Utc>);

/// Looks what changed until nobody wants to know any more.
pub(in crate::client) async fn look(attached: Attached, events: broadcast::WeakSender<Event>) {
    let mut before: HashMap<RowRef, Standing> = HashMap::new();
    let mut is_lost = false;
    loop {
        tokio::time::sleep(LOOK).await;
        let picture = attached.picture().await;
        // Whoever listens holds a sender; without one there is nobody.
        let Some(sender) = events.upgrade() else { return };
        let mut found: HashSet<Event> = HashSet::new();
        match picture {
            Ok(picture) => {
                if std::mem::take(&mut is_lost) {
                    found.insert(Event::Restored);
                }
                let standing =
                    |error: &SyncError| Some((error.row()?, (error.id, error.state, error.last_seen)));
                let now: HashMap<RowRef, Standing> =
                    picture.errors.iter().filter_map(|listed| standing(&listed.error)).collect();
                let changed = now
                    .iter()
                    .filter(|(row, standing)| before.get(row) != Some(standing))
                    .map(|(row, _)| row);
                let gone = before.keys().filter(|row| !now.contains_key(row));
                found.extend(changed.chain(gone).cloned().map(Event::Record));
                // What was sent again may have come further without an error that tells of it.
                found.extend(attached.all_remembered().await.into_iter().map(Event::Record));
                found.extend([Event::Overview, Event::Errors]);
                before = now;
            }
            Err(error) if !is_lost => {
                is_lost = true;
                found.insert(Event::Lost(error.to_string()));
            }
            Err(_) => {}
        }
        for event in found {
            // Without a receiver there is nobody to tell, which is no failure.
            let _ = sender.send(event);
        }
    }
}
