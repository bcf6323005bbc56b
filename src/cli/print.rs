//! Printing: results on standard output, words on standard error, both harmless for a terminal.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use color_eyre::eyre::Report;

use crate::logs::sanitize::{sanitize, sanitize_json};

/// Wrong usage that only shows once something was looked up.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

/// Nobody reads what is printed any more (`| head`), which is no failure.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output")]
struct ReaderLeft;

/// Whether that ended a command.
pub(super) fn reader_left(report: &Report) -> bool {
    report
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.get_ref().is_some_and(|inner| inner.is::<ReaderLeft>()))
}

/// What is written on standard output.
fn out(text: &str) -> io::Result<()> {
    io::stdout().lock().write_all(text.as_bytes()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => io::Error::new(error.kind(), ReaderLeft),
        _ => error,
    })
}

/// A line, or several, on standard output.
pub(super) fn line(text: &str) -> io::Result<()> {
    text.split('\n').try_for_each(|line| out(&format!("{}\n", sanitize(line))))
}

/// A text that has its line ends.
pub(super) fn text(text: &[u8]) -> io::Result<()> {
    out(&String::from_utf8_lossy(text))
}

/// One JSON document, or one line of a stream.
pub(super) fn json(value: &impl serde::Serialize, pretty: bool) -> io::Result<()> {
    let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    out(&format!("{}\n", sanitize_json(&text?)))
}

/// What went wrong, on standard error.
pub(super) fn problem(text: &str) {
    for (at, line) in text.lines().enumerate() {
        let lead = if at == 0 { "syncdeck: " } else { "  " };
        aside(&format!("{lead}{}\n", sanitize(line)));
    }
}

/// A line, or several, of words beside the result, on standard error.
pub(super) fn note(text: &str) {
    text.split('\n').for_each(|line| aside(&format!("{}\n", sanitize(line))));
}

/// A piece of a line on standard error, as it is: a prompt, progress that is written over. The one way there: whoever
/// started the program may not read it any more, and a service must not end for that.
pub(super) fn aside(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Whether `-v` was given.
static VERBOSE: AtomicBool = AtomicBool::new(false);

/// Says from now on what [`detail`] is told.
pub(super) fn be_verbose() {
    VERBOSE.store(true, Ordering::Relaxed);
}

/// Whether `-v` was given.
pub(super) fn is_verbose() -> bool {
    VERBOSE.load(Ordering::Relaxed)
}

/// What only `-v` says, on standard error.
pub(super) fn detail(text: &str) {
    if is_verbose() {
        problem(text);
    }
}

/// Rows of text in aligned columns.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let clean: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| sanitize(cell).into_owned()).collect()).collect();
    let width = |at: usize| {
        let widest =
            clean.iter().map(|row| row.get(at).map_or(0, |cell| cell.chars().count())).max().unwrap_or(0);
        widest.max(head[at].chars().count())
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let print = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        line(padded.join("  ").trim_end())
    };
    print(&mut head.iter().copied())?;
    clean.iter().try_for_each(|row| print(&mut row.iter().map(String::as_str)))
}
