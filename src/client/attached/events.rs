//! What changed: nobody announces it, so it is looked for. Heroku Connect's own announcements tell of new entries only, and
//! a follower takes no listeners.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::broadcast;

use crate::client::events::Event;
use crate::domain::errors::sync_error::{ErrorState, SyncError};
use crate::domain::names::RowRef;
use crate::postgres::attached::log::WaitingChanges;

use super::heroku::Heard;
use super::picture::Picture;
use super::session::Attached;

/// Between two looks; a look that takes long is not taken as often.
const LOOK: Duration = Duration::from_secs(1);

/// What of an error is compared from look to look.
type Standing = (i64, ErrorState, DateTime<Utc>);

/// Rows that are told one by one in one look, at most: with more, whoever shows some asks for the list anyway.
const ROWS: usize = 100;

/// What was seen in a look.
#[derive(Default, PartialEq)]
struct Look {
    errors: HashMap<RowRef, Standing>,
    waiting: BTreeMap<String, WaitingChanges>,
    counts: BTreeMap<String, i64>,
    gaps: Vec<String>,
}

impl Look {
    fn of(picture: &Picture) -> Look {
        let standing = |error: &SyncError| Some((error.row()?, (error.id, error.state, error.last_seen)));
        Look {
            errors: picture.errors.iter().filter_map(|listed| standing(&listed.error)).collect(),
            waiting: picture.waiting.clone(),
            counts: picture.counts.clone(),
            gaps: picture.gaps.clone(),
        }
    }

    /// The rows whose errors are other ones than before.
    fn changed(&self, before: &Look) -> HashSet<RowRef> {
        let other = self.errors.iter().filter(|(row, standing)| before.errors.get(*row) != Some(*standing));
        let gone = before.errors.keys().filter(|row| !self.errors.contains_key(*row));
        other.map(|(row, _)| row).chain(gone).cloned().collect()
    }
}

/// Has Heroku Connect's API asked beside, where it is time and somebody listens: a look does not wait for it.
fn ask_beside(attached: &Attached, events: &broadcast::WeakSender<Event>) {
    let listens = events.upgrade().is_some_and(|sender| sender.receiver_count() > 0);
    if listens && attached.heroku.is_due() {
        let api = attached.heroku.clone();
        tokio::spawn(async move { api.ask().await });
    }
}

/// Looks what changed until nobody wants to know any more.
pub(in crate::client) async fn look(attached: Attached, events: broadcast::WeakSender<Event>) {
    let mut before: Option<Look> = None;
    let mut heard: Option<Heard> = None;
    let mut is_lost = false;
    loop {
        ask_beside(&attached, &events);
        tokio::time::sleep(LOOK).await;
        let picture = attached.picture().await;
        // Whoever listens holds a sender; without one there is nobody.
        let Some(sender) = events.upgrade() else { return };
        let mut found: Vec<Event> = Vec::new();
        let now = attached.heroku.heard();
        if heard.as_ref() != Some(&now) {
            found.push(Event::Overview);
            heard = Some(now);
        }
        match picture {
            Ok(picture) => {
                let now = Look::of(&picture);
                if before.as_ref() != Some(&now) {
                    found.extend([Event::Overview, Event::Errors]);
                }
                let mut rows = now.changed(before.as_ref().unwrap_or(&Look::default()));
                if rows.len() > ROWS {
                    rows.clear();
                }
                // What was sent again may have come further without an error that tells of it.
                rows.extend(attached.last_remembered(ROWS).await);
                found.extend(rows.into_iter().map(Event::Record));
                before = Some(now);
                if std::mem::take(&mut is_lost) {
                    found.push(Event::Restored);
                }
            }
            Err(error) if !is_lost => {
                is_lost = true;
                found.push(Event::Lost(error.to_string()));
            }
            Err(_) => {}
        }
        for event in found {
            // Without a receiver there is nobody to tell, which is no failure.
            let _ = sender.send(event);
        }
    }
}
