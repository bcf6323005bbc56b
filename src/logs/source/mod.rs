//! The sources of other programs' lines that the configuration names: files, Heroku's apps, drains. Each is followed by a
//! task of its own. All of them tell their records into one channel of few places: whoever takes slowly slows them down,
//! and nothing is dropped here. A source that fails says so in a line of its own, and comes back by itself.

mod drain;
mod file;
mod frames;
mod heroku;
mod seam;

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::log::record;
use super::parse::stream::Stream;
use super::{ELSEWHERE, Level, LogRecord, UNKNOWN};
use crate::domain::mappings::backoff::Backoff;

pub use drain::{DrainAt, Login};
pub use file::FileAt;
pub use heroku::HerokuApp;

/// Records that wait for whoever takes them.
const WAITING: usize = 2_048;
/// How long nothing must come before a trace counts as whole.
const QUIET: Duration = Duration::from_millis(200);
/// Waits between tries: at most a minute.
const BACKOFF: Backoff =
    Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(60), max_retries: u32::MAX };

/// A source of lines.
#[derive(Clone, Debug)]
pub struct LogSource {
    /// What its lines are called by.
    pub name: String,
    /// Where they come from.
    pub kind: SourceKind,
}

/// Where lines come from.
#[derive(Clone, Debug)]
pub enum SourceKind {
    /// A file.
    File(FileAt),
    /// An app's log at Heroku.
    Heroku(HerokuApp),
    /// What Heroku's log router is told to send here.
    Drain(DrainAt),
}

impl SourceKind {
    /// Its word in the configuration.
    pub fn word(&self) -> &'static str {
        match self {
            SourceKind::File(_) => "file",
            SourceKind::Heroku(_) => "heroku",
            SourceKind::Drain(_) => "drain",
        }
    }
}

/// Why a source brings nothing, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}\n{remedy}")]
pub struct SourceFailure {
    /// What failed, on what.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl SourceFailure {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> SourceFailure {
        SourceFailure { what: what.into(), remedy: remedy.into() }
    }
}

/// How sources are read.
#[derive(Clone, Copy, Debug)]
pub struct ReadManner {
    /// Go on as they grow; else read what is there.
    pub follow: bool,
    /// Begin with so many lines, the newest.
    pub lines: usize,
}

/// How a source stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SourceStanding {
    /// It is being opened.
    #[default]
    Opening,
    /// It is open.
    Works,
    /// It brings nothing until it is back.
    Fails(SourceFailure),
    /// All of it was read.
    Ended,
}

/// What a source tells.
#[derive(Debug)]
pub enum SourceEvent {
    /// A line of it, or one about it.
    Line(LogRecord),
    /// It stands otherwise than before.
    Stands {
        /// Its name.
        source: String,
        /// How.
        standing: SourceStanding,
    },
    /// What was there when it was opened is told, or it could not be opened. Told once.
    CaughtUp,
    /// Somebody waits for all that was told before to be taken in.
    Until(Receipt),
}

/// Says that lines were taken in. One that is dropped says that they were not.
#[derive(Debug)]
pub struct Receipt(oneshot::Sender<()>);

impl Receipt {
    /// They were.
    pub fn taken(self) {
        // Whoever asked may have gone.
        let _ = self.0.send(());
    }
}

/// Sources that are read. They end when this is dropped.
#[derive(Debug)]
pub struct LogSources {
    told: mpsc::Receiver<SourceEvent>,
    _stop: DropGuard,
}

impl LogSources {
    /// What is told next; `None` when all have ended.
    pub async fn next(&mut self) -> Option<SourceEvent> {
        self.told.recv().await
    }

    /// What is told next, at most so many things at once; `None` when all have ended.
    pub async fn batch(&mut self, most: usize) -> Option<Batch> {
        let mut told = Vec::new();
        if self.told.recv_many(&mut told, most).await == 0 {
            return None;
        }
        let mut batch = Batch::default();
        for told in told {
            match told {
                SourceEvent::Line(record) => batch.records.push(record),
                SourceEvent::Stands { source, standing } => batch.standings.push((source, standing)),
                SourceEvent::Until(receipt) => batch.receipts.push(receipt),
                SourceEvent::CaughtUp => {}
            }
        }
        Some(batch)
    }
}

/// What sources told at once.
#[derive(Debug, Default)]
pub struct Batch {
    /// Their lines.
    pub records: Vec<LogRecord>,
    /// Those that stand otherwise than before, by name.
    pub standings: Vec<(String, SourceStanding)>,
    /// For those who wait for the lines to be taken in.
    pub receipts: Vec<Receipt>,
}

/// Begins to read them.
pub fn start(sources: Vec<LogSource>, manner: ReadManner) -> LogSources {
    let (sender, told) = mpsc::channel(WAITING);
    let stop = CancellationToken::new();
    for source in sources {
        let teller = Teller::new(&source, sender.clone());
        let stop = stop.clone();
        drop(tokio::spawn(async move { stop.run_until_cancelled(keep(source, manner, teller)).await }));
    }
    LogSources { told, _stop: stop.drop_guard() }
}

/// Reads a source, again and again when it fails.
async fn keep(source: LogSource, manner: ReadManner, mut teller: Teller) {
    let mut opened = file::Opened::default();
    let mut seam = seam::Seam::default();
    loop {
        let ended = match &source.kind {
            SourceKind::File(file) => file::read(file, manner, &mut opened, &mut teller).await,
            SourceKind::Heroku(app) => heroku::read(app, manner, &mut seam, &mut teller).await,
            SourceKind::Drain(drain) => drain::read(drain, manner, &mut teller).await,
        };
        if let Err(failure) = &ended {
            teller.fails(failure).await;
        }
        teller.caught_up().await;
        if ended.is_ok() {
            teller.stands(SourceStanding::Ended).await;
        }
        if ended.is_ok() || !manner.follow {
            return;
        }
        tokio::time::sleep(teller.pause()).await;
    }
}

/// Tries a source once.
///
/// # Errors
/// Why it brings nothing.
pub async fn check(source: &LogSource) -> Result<(), SourceFailure> {
    match &source.kind {
        SourceKind::File(file) => file::check(file),
        SourceKind::Heroku(app) => heroku::check(app).await,
        SourceKind::Drain(drain) => drain::check(drain).await,
    }
}

/// The end of the channel that one source tells into.
#[derive(Debug)]
struct Teller {
    name: String,
    kind: &'static str,
    sender: mpsc::Sender<SourceEvent>,
    caught_up: bool,
    /// What was told last about its failure, until it works.
    failing: Option<SourceFailure>,
    /// Failures since it worked.
    failures: u32,
}

impl Teller {
    fn new(source: &LogSource, sender: mpsc::Sender<SourceEvent>) -> Teller {
        let (name, kind) = (source.name.clone(), source.kind.word());
        Teller { name, kind, sender, caught_up: false, failing: None, failures: 0 }
    }

    /// Tells a record. When nobody takes it any more the sources are about to end.
    async fn line(&self, record: LogRecord) {
        let _ = self.sender.send(SourceEvent::Line(LogRecord { id: ELSEWHERE, ..record })).await;
    }

    /// Tells what a stream has.
    async fn lines(&self, stream: &mut Stream) {
        while let Some(record) = stream.pop() {
            self.line(record).await;
        }
    }

    /// Tells something about the source itself.
    async fn say(&self, level: Level, message: String, fields: Map<String, Value>) {
        let record = record(level, self.kind, message, fields);
        self.line(LogRecord { source: self.name.clone(), ..record }).await;
    }

    /// Tells that lines are missing here, and how many where that is known.
    async fn gap(&self, lost: Option<usize>, why: &str) {
        let dropped = lost.map_or(UNKNOWN.into(), Value::from);
        let fields = [("dropped".to_owned(), dropped)].into_iter().collect();
        let message = match lost {
            Some(lost) => format!("{lost} lines are missing here: {why}"),
            None => format!("lines may be missing here: {why}"),
        };
        self.say(Level::Warn, message, fields).await;
    }

    async fn caught_up(&mut self) {
        if !std::mem::replace(&mut self.caught_up, true) {
            let _ = self.sender.send(SourceEvent::CaughtUp).await;
        }
    }

    /// Lets the reader say when it has taken in what was told.
    async fn taken(&self, receipt: Receipt) {
        let _ = self.sender.send(SourceEvent::Until(receipt)).await;
    }

    async fn stands(&self, standing: SourceStanding) {
        let _ = self.sender.send(SourceEvent::Stands { source: self.name.clone(), standing }).await;
    }

    /// It was opened.
    async fn works(&mut self) {
        self.failures = 0;
        self.stands(SourceStanding::Works).await;
        if self.failing.take().is_some() {
            self.say(Level::Info, "the source works again".to_owned(), Map::new()).await;
        }
    }

    /// It failed. The same failure is told once.
    async fn fails(&mut self, failure: &SourceFailure) {
        self.failures = self.failures.saturating_add(1);
        if self.failing.as_ref() != Some(failure) {
            self.failing = Some(failure.clone());
            self.stands(SourceStanding::Fails(failure.clone())).await;
            let message = format!("{}; {}", failure.what, failure.remedy);
            self.say(Level::Warn, message, Map::new()).await;
        }
    }

    /// How long to wait before the next try.
    fn pause(&self) -> Duration {
        BACKOFF.delay(self.failures.saturating_sub(1), 0.5 + rand::random::<f64>() / 2.0)
    }
}
