//! Keeps the lines of one stack trace together: Java, Node, Ruby and .NET (frames), Python, Go and Rust. A line goes to
//! the one before it of the same source and dyno, and only where a trace of its kind has such a line there; whatever is
//! in doubt stays a record of its own. Nothing is dropped: a trace longer than the limits goes on in another record.

use std::collections::VecDeque;

use super::{LineFormat, level};
use crate::logs::Level;
use crate::logs::packed::Packed;

/// Lines of one record.
const LINES: usize = 500;
/// Bytes of one record.
const BYTES: usize = 256 << 10;
/// Records that wait at most for lines of their own, because those of other dynos come between.
const HELD: usize = 64;

/// A stream of records, of which the last of each dyno may still grow.
#[derive(Debug, Default)]
pub struct Joiner {
    held: VecDeque<Held>,
}

#[derive(Debug)]
struct Held {
    record: Packed,
    lines: usize,
    /// What may follow; `None` where nothing does.
    open: Option<Trace>,
    /// Whether the level is what a line said.
    levelled: bool,
}

impl Joiner {
    /// Takes a line's record in; `levelled` where the line named its level.
    pub fn push(&mut self, format: LineFormat, levelled: bool, record: Packed) {
        let before = self.held.iter_mut().rev().find(|held| held.is_beside(&record));
        let mut trace = Trace::begin(format, record.message());
        if let Some(held) = before {
            let follows = held.open.take().filter(|_| format == LineFormat::Plain);
            if let Some(next) = follows.and_then(|trace| trace.next(record.message())) {
                held.fail();
                if held.lines < LINES && held.record.message().len() + record.message().len() < BYTES {
                    held.append(record.message(), next);
                    return;
                }
                trace = Some(next);
            }
        }
        let mut held = Held { record, lines: 1, open: trace, levelled };
        if trace.is_some_and(|trace| trace != Trace::Unknown) {
            held.fail();
        }
        self.held.push_back(held);
    }

    /// Waits no more for what would show that a line is the head of a trace; traces that have begun go on.
    pub fn settle(&mut self) {
        for held in self.held.iter_mut().filter(|held| held.open == Some(Trace::Unknown)) {
            held.open = None;
        }
    }

    /// The next record that grows no more.
    pub fn pop(&mut self) -> Option<Packed> {
        let is_ready = self.held.len() > HELD || self.held.front()?.open.is_none();
        is_ready.then(|| self.held.pop_front()).flatten().map(|held| held.record)
    }

    /// Waits for no more lines.
    pub fn close(&mut self) {
        self.held.iter_mut().for_each(|held| held.open = None);
    }
}

impl Held {
    fn is_beside(&self, record: &Packed) -> bool {
        self.record.beside() == record.beside()
    }

    /// A trace is of an error where nothing says otherwise.
    fn fail(&mut self) {
        if !self.levelled {
            self.record.level = Level::Error;
        }
    }

    fn append(&mut self, line: &str, next: Trace) {
        self.record.append(line);
        self.lines += 1;
        self.open = Some(next);
    }
}

/// How far a trace has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trace {
    /// Any line: a frame shows that it was the head of a trace.
    Unknown,
    /// Frames, each behind blanks, and causes with frames of their own.
    Frames,
    /// Python's frames, up to the line that names the exception.
    Python,
    /// Python's exception; another may follow from it.
    PythonEnd,
    /// The sentence between two of Python's exceptions.
    PythonLink,
    /// Go's panic, before its goroutines.
    GoPanic,
    /// Calls of a goroutine.
    Goroutine,
    /// Rust's panic, whose message is the next line.
    RustPanic,
    /// What follows that message.
    RustNotes,
}

/// How the line ends with which Python's traces begin.
const TRACEBACK: &str = "Traceback (most recent call last):";

impl Trace {
    /// What may follow a line that begins a record.
    fn begin(format: LineFormat, line: &str) -> Option<Trace> {
        if !matches!(format, LineFormat::Plain | LineFormat::Timed | LineFormat::Json | LineFormat::Logfmt) {
            return None;
        }
        Some(if line.trim_end().ends_with(TRACEBACK) {
            Trace::Python
        } else if line.starts_with("panic: ") || line.starts_with("fatal error: ") {
            Trace::GoPanic
        } else if is_goroutine(line) {
            Trace::Goroutine
        } else if line.starts_with("thread '") && line.contains(" panicked at ") {
            if line.ends_with(':') { Trace::RustPanic } else { Trace::RustNotes }
        } else {
            Trace::Unknown
        })
    }

    /// How far it is with this line; `None` when the line is no part of it.
    fn next(self, line: &str) -> Option<Trace> {
        let is_blank = line.trim().is_empty();
        let is_inside = !is_blank && line.starts_with([' ', '\t']);
        let next = match self {
            Trace::Unknown => is_frame(line).then_some(Trace::Frames),
            Trace::Frames => {
                let goes_on = is_inside || line == "}" || line.starts_with("Caused by: ");
                goes_on.then_some(Trace::Frames)
            }
            Trace::Python if is_inside => Some(Trace::Python),
            Trace::Python => is_exception(line).then_some(Trace::PythonEnd),
            Trace::PythonEnd if is_blank => Some(Trace::PythonEnd),
            Trace::PythonEnd => is_link(line).then_some(Trace::PythonLink),
            Trace::PythonLink if is_blank => Some(Trace::PythonLink),
            Trace::PythonLink => line.trim_end().ends_with(TRACEBACK).then_some(Trace::Python),
            Trace::GoPanic if is_goroutine(line) => Some(Trace::Goroutine),
            Trace::GoPanic => {
                (is_blank || is_inside || line.starts_with("[signal ")).then_some(Trace::GoPanic)
            }
            Trace::Goroutine => {
                let goes_on = is_blank || is_inside || is_goroutine(line) || is_call(line);
                goes_on.then_some(Trace::Goroutine)
            }
            Trace::RustPanic => Some(Trace::RustNotes),
            Trace::RustNotes => {
                let goes_on = is_inside || line.starts_with("note: ") || line == "stack backtrace:";
                goes_on.then_some(Trace::RustNotes)
            }
        };
        next.filter(|_| self != Trace::RustPanic || !is_blank)
    }
}

/// A frame as Java, Node, .NET (`at`) and Ruby (`from`) write it, or what Java has between frames.
fn is_frame(line: &str) -> bool {
    let text = line.trim_start_matches([' ', '\t']);
    if text.len() == line.len() {
        return false;
    }
    match text.split_once(' ') {
        Some(("at", place)) => place.contains(['.', '/', ':', '<']),
        Some(("from", place)) => place.contains(":in "),
        Some(("...", more)) => more.ends_with(" more") || more.ends_with(" common frames omitted"),
        _ => false,
    }
}

/// `ValueError: no number` and `app.errors.NotFound`, but not `ERROR: ...`.
fn is_exception(line: &str) -> bool {
    let name = line.split_once(':').map_or(line, |(name, _)| name).trim_end();
    let last = name.rsplit('.').next().unwrap_or(name);
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
    is_name && last.starts_with(|first: char| first.is_ascii_uppercase()) && level::of_word(name).is_none()
}

fn is_link(line: &str) -> bool {
    line.starts_with("During handling of the above exception,")
        || line.starts_with("The above exception was the direct cause")
}

/// `goroutine 1 [running]:`
fn is_goroutine(line: &str) -> bool {
    line.starts_with("goroutine ") && line.ends_with("]:")
}

/// `main.main()`, `created by main.start in goroutine 1`
fn is_call(line: &str) -> bool {
    let name = line.split_once('(').map_or("", |(name, _)| name);
    line.starts_with("created by ") || line.ends_with(')') && name.contains('.') && !name.contains(' ')
}
