//! A file as a source.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use super::{ReadManner, SourceFailure, Teller};
use crate::logs::LogRecord;
use crate::logs::input::{LogInput, OpenError};
use crate::logs::line::LogFilter;
use crate::logs::parse::Zone;
use crate::logs::parse::origin::LineOrigin;

/// How often a file is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How far before its end a file is begun, in bytes.
const BACK: u64 = 256 << 10;

/// A file, and how its times are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAt {
    /// Its path.
    pub path: PathBuf,
    /// The zone of times that name none.
    pub zone: Zone,
}

/// What became of the tries to open it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Opened {
    /// None yet: of a file that is there already, the end is of interest.
    #[default]
    Untried,
    /// It was not there: all that it gets is new.
    Missing,
    /// It was read, and broke: what was told is not told again.
    Read,
}

/// Reads it, or follows it. A compressed one is read once.
pub(super) async fn read(
    file: &FileAt,
    manner: ReadManner,
    opened: &mut Opened,
    teller: &mut Teller,
) -> Result<(), SourceFailure> {
    let back = match std::mem::replace(opened, Opened::Missing) {
        Opened::Untried => BACK,
        Opened::Missing => u64::MAX,
        Opened::Read => 0,
    };
    let mut input = open(file, &teller.name, manner.follow.then_some(back))?;
    *opened = Opened::Read;
    teller.works().await;
    let all = LogFilter::default();
    let mut backlog: VecDeque<LogRecord> = VecDeque::new();
    loop {
        let next = input.read(&all).map_err(|error| {
            let what = format!("cannot read {} any further: {error}", file.path.display());
            SourceFailure::new(what, "look at the disk, and whether the file is whole")
        })?;
        match next {
            Some(record) if teller.caught_up => teller.line(record).await,
            Some(record) => {
                backlog.push_back(record);
                if backlog.len() > manner.lines {
                    backlog.pop_front();
                }
            }
            None => {
                for record in backlog.drain(..) {
                    teller.line(record).await;
                }
                teller.caught_up().await;
                if input.is_over() {
                    return Ok(());
                }
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

/// Whether it can be read.
pub(super) fn check(file: &FileAt) -> Result<(), SourceFailure> {
    open(file, "", Some(0)).map(|_| ())
}

fn open(file: &FileAt, name: &str, follow: Option<u64>) -> Result<LogInput, SourceFailure> {
    let called = file.path.file_name().unwrap_or(file.path.as_os_str()).to_string_lossy();
    let shown = file.path.display();
    LogInput::open_as(&file.path, LineOrigin::named(name, &called, file.zone), follow).map_err(|error| {
        match error {
            OpenError::Missing(_) => SourceFailure::new(
                format!("there is no file {shown}"),
                "correct path, or start what writes it",
            ),
            OpenError::Directory(_) => {
                SourceFailure::new(format!("{shown} is a directory"), "name a file in it")
            }
            OpenError::Denied(_) => SourceFailure::new(
                format!("you may not read {shown}"),
                "let this account read it: a group, or setfacl",
            ),
            OpenError::Other(_, error) => SourceFailure::new(
                format!("cannot read {shown}: {error}"),
                "correct path, or look at the disk",
            ),
        }
    })
}
