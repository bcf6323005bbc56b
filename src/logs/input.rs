//! Where lines of other programs' logs are read: standard input, files, compressed files. A file that is followed may be
//! rotated or cut short meanwhile.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use chrono::Utc;
use flate2::read::MultiGzDecoder;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::Value;

use super::line::LogFilter;
use super::log::record;
use super::parse::Zone;
use super::parse::origin::LineOrigin;
use super::parse::stream::Stream;
use super::{Level, LogRecord, UNKNOWN};

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;
/// How long nothing must come before a trace counts as whole, in milliseconds.
const QUIET: u8 = 200;
/// How a file begins that gzip made.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is not there.
    #[error("there is no file {}\ngive the path of a log, or - for standard input", .0.display())]
    Missing(PathBuf),
    /// It is no file.
    #[error("{dir} is a directory\ngive the files in it, for example {dir}/*.log", dir = .0.display())]
    Directory(PathBuf),
    /// Only others may read it.
    #[error("you may not read {}\nread it as its owner, or have it piped to: syncdeck logs -", .0.display())]
    Denied(PathBuf),
    /// Something else.
    #[error("cannot read {path}: {1}", path = .0.display())]
    Other(PathBuf, io::Error),
}

/// A log that is read.
pub struct LogInput {
    bytes: Bytes,
    /// Source and part of what is said about the file itself.
    place: (String, String),
    stream: Stream,
    buffer: Vec<u8>,
    /// Nothing came when it was last read.
    quiet: bool,
    /// What was there at the beginning is read; it waits for no more lines then.
    caught_up: bool,
    over: bool,
}

enum Bytes {
    Standard(io::Stdin),
    /// Read once, from the beginning to the end.
    Once(Box<dyn Read + Send>),
    Followed(Tail),
}

/// What reading came to.
enum Got {
    Bytes(usize),
    /// Nothing for now.
    Nothing,
    /// Another file has taken the place of the one that was read to its end.
    Rotated,
    /// The file is shorter than what was read of it, and is read from its beginning again.
    Cut,
    /// Nothing any more.
    End,
}

impl LogInput {
    /// Opens a file, or standard input for `-`. `follow` waits for what a file gets later; what is compressed gets
    /// nothing.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(path: &Path, zone: Zone, follow: bool) -> Result<LogInput, OpenError> {
        if path.as_os_str() == "-" {
            let bytes = Bytes::Standard(io::stdin());
            return Ok(LogInput::new(bytes, LineOrigin::new("stdin", "-", zone)));
        }
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        LogInput::open_as(path, LineOrigin::new("file", &name, zone), follow.then_some(u64::MAX))
    }

    /// The same for lines of that origin. What is followed begins so many bytes before its end, at a whole line.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open_as(path: &Path, origin: LineOrigin, follow: Option<u64>) -> Result<LogInput, OpenError> {
        let bytes = Bytes::open(path, follow).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => OpenError::Missing(path.to_owned()),
            io::ErrorKind::IsADirectory => OpenError::Directory(path.to_owned()),
            io::ErrorKind::PermissionDenied => OpenError::Denied(path.to_owned()),
            _ => OpenError::Other(path.to_owned(), error),
        })?;
        Ok(LogInput::new(bytes, origin))
    }

    fn new(bytes: Bytes, origin: LineOrigin) -> LogInput {
        let place = (origin.source().to_owned(), origin.dyno().to_owned());
        let stream = Stream::new(origin);
        LogInput { bytes, place, stream, buffer: vec![0; PIECE], quiet: false, caught_up: false, over: false }
    }

    /// The next record that passes; `None` when there is none for now, or none any more. Waits for standard input.
    ///
    /// # Errors
    /// It cannot be read any further.
    pub fn read(&mut self, filter: &LogFilter) -> io::Result<Option<LogRecord>> {
        loop {
            if let Some(record) = self.passing(filter) {
                return Ok(Some(record));
            }
            if self.over {
                return Ok(None);
            }
            let got = self.bytes.read(&mut self.buffer)?;
            let waits = matches!(got, Got::Nothing);
            match got {
                Got::Bytes(count) => self.stream.feed(&self.buffer[..count], Utc::now()),
                Got::Nothing if self.quiet || !self.caught_up => {
                    self.stream.idle();
                    self.caught_up = true;
                }
                Got::Nothing => {}
                Got::Rotated => {
                    self.say(Level::Info, "the file was rotated: the new one goes on from here", 0.into());
                }
                Got::Cut => {
                    let lost =
                        "the file was cut short: what was written last before that may be missing here";
                    self.say(Level::Warn, lost, UNKNOWN.into());
                }
                Got::End => {
                    self.stream.finish(Utc::now());
                    self.over = true;
                }
            }
            let returns = waits && matches!(self.bytes, Bytes::Followed(_));
            self.quiet = waits;
            if returns {
                return Ok(self.passing(filter));
            }
        }
    }

    /// The next of those that were read.
    fn passing(&mut self, filter: &LogFilter) -> Option<LogRecord> {
        while let Some(packed) = self.stream.next_packed() {
            if filter.passes_packed(packed) {
                return Some(packed.record());
            }
        }
        None
    }

    /// Says what became of the file between its lines, and how many of them are missing.
    fn say(&mut self, level: Level, message: &str, dropped: Value) {
        self.stream.finish(Utc::now());
        let (source, dyno) = &self.place;
        let fields = [("dropped".to_owned(), dropped)].into_iter().collect();
        let record = record(level, dyno, message.to_owned(), fields);
        self.stream.note(&LogRecord { source: source.clone(), ..record });
    }

    /// Whether nothing will come any more.
    pub fn is_over(&self) -> bool {
        self.over
    }
}

impl Bytes {
    fn open(path: &Path, follow: Option<u64>) -> io::Result<Bytes> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !metadata.is_file() {
            return Ok(Bytes::Once(Box::new(file)));
        }
        let mut begin = Vec::new();
        (&mut file).take(2).read_to_end(&mut begin)?;
        file.rewind()?;
        Ok(match (begin == GZIP, follow) {
            (true, _) => Bytes::Once(Box::new(MultiGzDecoder::new(BufReader::new(file)))),
            (false, None) => Bytes::Once(Box::new(file)),
            (false, Some(back)) => Bytes::Followed(Tail::open(path, file, metadata.len(), back)?),
        })
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Got> {
        let count = match self {
            Bytes::Standard(stdin) if !is_ready(stdin)? => return Ok(Got::Nothing),
            Bytes::Standard(stdin) => stdin.read(buffer),
            Bytes::Once(reader) => reader.read(buffer),
            Bytes::Followed(tail) => return tail.read(buffer),
        };
        match count {
            Ok(0) => Ok(Got::End),
            Ok(count) => Ok(Got::Bytes(count)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Got::Nothing),
            Err(error) => Err(error),
        }
    }
}

/// Whether something can be read within a while.
fn is_ready(stdin: &io::Stdin) -> io::Result<bool> {
    let mut wanted = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    match poll(&mut wanted, PollTimeout::from(QUIET)) {
        Ok(count) => Ok(count > 0),
        Err(nix::errno::Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A file that grows.
struct Tail {
    path: PathBuf,
    file: File,
    /// How much of it was read.
    at: u64,
    /// Another file has its name. It is read to its end once more: something may have been written just before.
    leaving: bool,
}

impl Tail {
    /// Begins so many bytes before the end, behind the first line end there.
    fn open(path: &Path, mut file: File, length: u64, back: u64) -> io::Result<Tail> {
        let mut at = length.saturating_sub(back);
        if at > 0 {
            let mut skipped = Vec::new();
            file.seek(SeekFrom::Start(at - 1))?;
            BufReader::new(&mut file).take(back.saturating_add(1)).read_until(b'\n', &mut skipped)?;
            at = at - 1 + skipped.len() as u64;
            file.seek(SeekFrom::Start(at))?;
        }
        Ok(Tail { path: path.to_owned(), file, at, leaving: false })
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Got> {
        let count = self.file.read(buffer)?;
        self.at += count as u64;
        if count > 0 {
            return Ok(Got::Bytes(count));
        }
        let open = self.file.metadata()?;
        if open.len() < self.at {
            self.at = self.file.seek(SeekFrom::Start(0))?;
            return Ok(Got::Cut);
        }
        // A name that nothing has for a moment gets a new file soon.
        let is_other = |named: &std::fs::Metadata| (named.dev(), named.ino()) != (open.dev(), open.ino());
        if !self.path.metadata().is_ok_and(|named| is_other(&named)) {
            self.leaving = false;
            return Ok(Got::Nothing);
        }
        if !self.leaving {
            self.leaving = true;
            return self.read(buffer);
        }
        let Ok(file) = File::open(&self.path) else { return Ok(Got::Nothing) };
        (self.file, self.at, self.leaving) = (file, 0, false);
        Ok(Got::Rotated)
    }
}
