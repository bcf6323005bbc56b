//! Printing: results on standard output, words on standard error, both harmless for a terminal.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::logs::sanitize::sanitize;

/// Wrong usage that only shows once something was looked up.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

/// A line on standard output. A reader who left early (`| head`) ends the program quietly.
pub(super) fn line(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// A text that has its line ends.
pub(super) fn text(text: &[u8]) -> io::Result<()> {
    io::stdout().lock().write_all(text)
}

/// One JSON document, or one line of a stream.
pub(super) fn json(value: &impl serde::Serialize, pretty: bool) -> io::Result<()> {
    let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    line(&text?)
}

/// What went wrong, on standard error.
pub(super) fn problem(text: &str) {
    let mut stderr = io::stderr().lock();
    for (at, line) in text.lines().enumerate() {
        let lead = if at == 0 { "syncdeck: " } else { "  " };
        // Nobody may be there to read it.
        let _ = writeln!(stderr, "{lead}{}", sanitize(line));
    }
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
