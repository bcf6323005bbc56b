//! The logs of other programs: files and standard input, without any configuration.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use color_eyre::eyre::{Result, WrapErr};

use crate::logs::LogRecord;
use crate::logs::input::{LogInput, OpenError};
use crate::logs::line::LogFilter;
use crate::logs::parse::Zone;

use super::args::Cli;
use super::{DONE, list, print};

/// How often files that are followed are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// What is read, and what of it is shown.
pub(super) struct FollowedLines<'a> {
    pub(super) files: &'a [PathBuf],
    pub(super) zone: Zone,
    pub(super) follow: bool,
    pub(super) filter: &'a str,
    /// The newest so many; all without.
    pub(super) lines: Option<usize>,
}

/// The lines of all files in the order of their times, then those that come.
pub(super) async fn run(cli: &Cli, wanted: &FollowedLines<'_>) -> Result<u8> {
    let filter = LogFilter::parse_any(wanted.filter).map_err(print::Usage)?;
    let open = wanted.files.iter().map(|path| Named::open(path, wanted));
    let mut inputs = open.collect::<Result<Vec<_>, _>>().map_err(|error| print::Usage(error.to_string()))?;
    let mut newest = VecDeque::new();
    let mut merged = Merged::of(&mut inputs);
    while let Some(record) = merged.next(&filter)? {
        match wanted.lines {
            None => list::log_record(cli, &record)?,
            Some(most) => {
                newest.push_back(record);
                if newest.len() > most {
                    newest.pop_front();
                }
            }
        }
    }
    newest.iter().try_for_each(|record| list::log_record(cli, record))?;
    while inputs.iter().any(|named| !named.input.is_over()) {
        for named in &mut inputs {
            while let Some(record) = named.next(&filter)? {
                list::log_record(cli, &record)?;
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(DONE)
}

struct Named<'a> {
    path: &'a PathBuf,
    input: LogInput,
}

impl<'a> Named<'a> {
    fn open(path: &'a PathBuf, wanted: &FollowedLines<'_>) -> Result<Named<'a>, OpenError> {
        Ok(Named { path, input: LogInput::open(path, wanted.zone, wanted.follow)? })
    }

    /// The next one that passes.
    fn next(&mut self, filter: &LogFilter) -> Result<Option<LogRecord>> {
        self.input.read(filter).wrap_err_with(|| format!("cannot read {} any further", self.path.display()))
    }
}

/// What several inputs have for now, in the order of its times.
struct Merged<'a, 'b> {
    heads: Vec<Head<'a, 'b>>,
}

/// An input and its next record.
struct Head<'a, 'b> {
    named: &'b mut Named<'a>,
    next: Option<LogRecord>,
    /// The next one was taken. It is read only when it is asked for: standard input may be long in coming.
    taken: bool,
}

impl<'a, 'b> Merged<'a, 'b> {
    fn of(inputs: &'b mut [Named<'a>]) -> Merged<'a, 'b> {
        let head = |named| Head { named, next: None, taken: true };
        Merged { heads: inputs.iter_mut().map(head).collect() }
    }

    fn next(&mut self, filter: &LogFilter) -> Result<Option<LogRecord>> {
        for head in self.heads.iter_mut().filter(|head| head.taken) {
            (head.next, head.taken) = (head.named.next(filter)?, false);
        }
        let heads = self.heads.iter_mut().filter(|head| head.next.is_some());
        let Some(earliest) = heads.min_by_key(|head| head.next.as_ref().map(|record| record.time)) else {
            return Ok(None);
        };
        earliest.taken = true;
        Ok(earliest.next.take())
    }
}
