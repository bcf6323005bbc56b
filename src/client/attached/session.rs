//! A database that Heroku Connect keeps, and the picture of its errors. There is no table of errors to ask: they are found
//! anew by looking at the change log and at rows, and held in memory for as long as that is cheaper than to look again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::client::error::ClientError;
use crate::domain::attached::mode::WriteMode;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowRef;
use crate::domain::values::nearest::nearest;
use crate::heroku::KeptDatabase;
use crate::postgres::Store;
use crate::postgres::attached::catalog::AttachedTable;

use super::heroku::HerokuApi;
use super::picture::{ModeKnown, Picture, Scan};

/// A picture is at least good for so long.
const GOOD_FOR: Duration = Duration::from_millis(700);
/// Looking takes this part of the time at most.
const SHARE: u32 = 10;
/// Said where nobody named an app.
const NOBODY: &str =
    "no app is named: set [heroku] app and HEROKU_API_KEY, or HEROKU_APP where no configuration is read";
/// How many rows that were sent again are remembered by their error's number: as many as are listed.
const REMEMBERED: usize = 20_000;

/// A connection to a database that Heroku Connect keeps. Cheap to clone.
#[derive(Clone)]
pub struct Attached {
    store: Store,
    /// What the connection is called.
    pub(super) name: String,
    /// How Heroku Connect writes, where somebody said so.
    writes: Option<WriteMode>,
    /// Heroku Connect's API, as far as it can be asked.
    pub(in crate::client) heroku: Arc<HerokuApi>,
    held: Arc<Mutex<Held>>,
    /// Whoever holds it takes the next picture; it stays behind what is held, which nobody waits for.
    looking: Arc<Mutex<()>>,
}

#[derive(Default)]
struct Held {
    picture: Option<Arc<Picture>>,
    /// Why the last look failed, if it did.
    failed: Option<ClientError>,
    taken: Option<Instant>,
    cost: Duration,
    /// Goes up when something was changed; what was looked at before that is out of date.
    changes: u64,
    /// The number of changes that the last look knew of.
    seen: u64,
    scan: Arc<Scan>,
    /// Whether somebody looks at whole tables.
    is_scanning: bool,
    sent: HashMap<i64, RowRef>,
    order: VecDeque<i64>,
}

impl Held {
    /// What the last look came to, where that is not too long ago.
    fn fresh(&self) -> Option<Result<Arc<Picture>, ClientError>> {
        let age = self.taken.filter(|_| self.changes == self.seen)?.elapsed();
        match (&self.failed, &self.picture) {
            // A look that fails slowly is not taken without a pause.
            (Some(failed), _) if age < GOOD_FOR.max(self.cost) => Some(Err(failed.clone())),
            (None, Some(picture)) if age < GOOD_FOR.max(self.cost * SHARE) => Some(Ok(picture.clone())),
            _ => None,
        }
    }

    /// The last picture, for whoever comes while the next one is taken.
    fn last(&self) -> Option<Arc<Picture>> {
        self.picture.clone().filter(|_| self.failed.is_none() && self.changes == self.seen)
    }
}

/// Why something is not to be had beside Heroku Connect.
pub(in crate::client) fn beside(why: &str) -> ClientError {
    ClientError::refused(format!("{why} (this connection is attached to Heroku Connect)"))
}

impl Attached {
    /// Looks whether Heroku Connect keeps this database.
    ///
    /// # Errors
    /// Where it does not, or where syncdeck has taken its tables over: an engine works there, and its console is the one to
    /// use.
    pub async fn open(store: Store, name: &str, writes: Option<WriteMode>) -> Result<Attached, ClientError> {
        store.attached_schema().await?;
        let heroku = Arc::new(HerokuApi::new(Err(NOBODY.to_owned())));
        let name = name.to_owned();
        Ok(Attached { store, name, writes, heroku, held: Arc::default(), looking: Arc::default() })
    }

    /// The same, with Heroku Connect's API, of which only the connection that keeps this database is used.
    ///
    /// # Errors
    /// When PostgreSQL does not tell which database this is.
    pub async fn with_api(self, api: HerokuApi) -> Result<Attached, ClientError> {
        let (database, org) = self.store.attached_identity().await?;
        let heroku = Arc::new(api.of_database(KeptDatabase { database, org }));
        Ok(Attached { heroku, ..self })
    }

    /// How Heroku Connect writes, where its configuration here or its API says so, and which of them does.
    fn told_writes(&self) -> Option<(WriteMode, ModeKnown)> {
        let configured = self.writes.map(|mode| (mode, ModeKnown::Configured));
        configured.or_else(|| Some((self.heroku.heard().told?.writes?, ModeKnown::Told)))
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// All errors and counts, not much older than it takes to look. While somebody looks, others have the last picture,
    /// unless something was changed since.
    pub(super) async fn picture(&self) -> Result<Arc<Picture>, ClientError> {
        let last = {
            let held = self.held.lock().await;
            if let Some(fresh) = held.fresh() {
                return fresh;
            }
            held.last()
        };
        let _looking = match (self.looking.try_lock(), last) {
            (Ok(looking), _) => looking,
            (Err(_), Some(last)) => return Ok(last),
            (Err(_), None) => self.looking.lock().await,
        };
        let changes = {
            let held = self.held.lock().await;
            // Whoever was waited for looked.
            if let Some(fresh) = held.fresh() {
                return fresh;
            }
            held.changes
        };
        let begin = Instant::now();
        let picture = self.take().await.map(Arc::new);
        let mut held = self.held.lock().await;
        held.cost = begin.elapsed();
        held.taken = Some(Instant::now());
        held.seen = changes;
        held.failed = picture.as_ref().err().cloned();
        if let Ok(picture) = &picture {
            held.picture = Some(picture.clone());
        }
        picture
    }

    /// Takes a picture. Whole tables are looked at beside it, but for the first time.
    async fn take(&self) -> Result<Picture, ClientError> {
        let scan = {
            let mut held = self.held.lock().await;
            if held.scan.is_due() && !held.scan.is_none() && !held.is_scanning {
                held.is_scanning = true;
                tokio::spawn(self.clone().scan_beside(held.scan.clone()));
            }
            held.scan.clone()
        };
        if !scan.is_none() {
            return Picture::take(&self.store, self.told_writes(), &scan).await;
        }
        let scan = Arc::new(scan.again(&self.store, self.writes).await?);
        self.held.lock().await.scan = scan.clone();
        Picture::take(&self.store, self.told_writes(), &scan).await
    }

    /// Looks at whole tables while pictures are taken with what was found before. Where PostgreSQL is away, that is told by
    /// the picture, and it is tried with the next one.
    async fn scan_beside(self, before: Arc<Scan>) {
        let found = before.again(&self.store, self.writes).await;
        let mut held = self.held.lock().await;
        held.is_scanning = false;
        if let Ok(scan) = found {
            held.scan = Arc::new(scan);
        }
    }

    /// The last picture, however old: enough for who looks at the row itself besides.
    pub(super) async fn last_picture(&self) -> Result<Arc<Picture>, ClientError> {
        let last = self.held.lock().await.picture.clone();
        match last {
            Some(picture) => Ok(picture),
            None => self.picture().await,
        }
    }

    /// Has the next look be a new one: something was changed.
    pub(super) async fn look_again(&self) {
        self.held.lock().await.changes += 1;
    }

    /// Remembers which row an error was about that is sent again: its next error has another number.
    pub(super) async fn remember(&self, error: i64, row: &RowRef) {
        let mut held = self.held.lock().await;
        if held.sent.insert(error, row.clone()).is_none() {
            held.order.push_back(error);
        }
        if held.order.len() > REMEMBERED
            && let Some(oldest) = held.order.pop_front()
        {
            held.sent.remove(&oldest);
        }
    }

    /// The row that an error was about when it was sent again.
    pub(super) async fn remembered(&self, error: i64) -> Option<RowRef> {
        self.held.lock().await.sent.get(&error).cloned()
    }

    /// The rows that were sent again last.
    pub(super) async fn last_remembered(&self, most: usize) -> Vec<RowRef> {
        let held = self.held.lock().await;
        held.order.iter().rev().take(most).filter_map(|error| held.sent.get(error).cloned()).collect()
    }

    /// A table by its name or its mapping's.
    pub(super) async fn table(&self, name: &str) -> Result<AttachedTable, ClientError> {
        let picture = self.last_picture().await?;
        if let Some(table) = picture.schema.table(name) {
            return Ok(table.clone());
        }
        let known: Vec<&str> =
            picture.schema.tables.iter().map(|table| table.mapping.object.as_str()).collect();
        let near = nearest(name, known.iter().copied())
            .map(|near| format!("; did you mean {near}?"))
            .unwrap_or_default();
        let there = if known.is_empty() {
            "there are none".to_owned()
        } else {
            format!("there are {}", known.join(", "))
        };
        Err(ClientError::invalid(format!("Heroku Connect has no table {name:?} here{near}\n{there}")))
    }

    /// A mapping by its name or table.
    pub(in crate::client) async fn mapping(&self, name: &str) -> Result<Mapping, ClientError> {
        Ok(self.table(name).await?.mapping)
    }
}
