//! Printing: results on standard output, words on standard error, both harmless for a terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use color_eyre::eyre::Report;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::client::setup::line::SetupLine;
use crate::console::term::guard;
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

/// A time as scripts and people read it.
pub(super) fn clock(at: chrono::DateTime<chrono::Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// A line, or several, on standard output.
pub(super) fn line(text: &str) -> io::Result<()> {
    text.split('\n').try_for_each(|line| out(&format!("{}\n", sanitize(line))))
}

/// A plan, a takeover or its way back.
pub(super) fn setup(lines: &[SetupLine]) -> io::Result<()> {
    lines.iter().try_for_each(|told| match told {
        SetupLine::Table { head, rows } => table(head, rows),
        told => line(&told.plain()),
    })
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

/// What only `-v` says, on standard error; nothing while a console shows there.
pub(super) fn detail(text: &str) {
    if is_verbose() && !guard::is_taken() {
        problem(text);
    }
}

/// Whether `--full` was given.
static FULL: AtomicBool = AtomicBool::new(false);

/// Prints long values whole from now on.
pub(super) fn be_full() {
    FULL.store(true, Ordering::Relaxed);
}

/// A line's cells: the terminal's, or what a file or another program is given.
fn room() -> usize {
    let width = io::stdout().is_terminal().then(crossterm::terminal::size).and_then(Result::ok);
    width.map_or(ELSEWHERE, |(columns, _)| usize::from(columns).max(NARROWEST))
}

/// Where nobody says how wide a line may be.
const ELSEWHERE: usize = 250;
/// On a narrower screen lines wrap.
const NARROWEST: usize = 60;
/// A column of so many cells is never cut: ids, times and codes are there to be copied.
const KEPT: usize = 52;

/// A text that is cut to so many lines where it is longer, with its length named; whole under `--full`.
pub(super) fn shorten(text: &str, lines: usize) -> String {
    if FULL.load(Ordering::Relaxed) { text.to_owned() } else { cut(text, room() * lines) }
}

/// As much of a text as fits so many cells, and how long it is: `Lorem ips… (5,000 characters)`.
fn cut(text: &str, most: usize) -> String {
    if text.width() <= most {
        return text.to_owned();
    }
    let characters = crate::domain::values::size::thousands(text.chars().count());
    let end = format!("… ({characters} characters)");
    let room = most.saturating_sub(end.width());
    let mut taken = 0;
    let fits = |part: &&str| {
        taken += part.width();
        taken <= room
    };
    text.graphemes(true).take_while(fits).collect::<String>() + &end
}

/// How wide each column may be, so that all of them fit: the widest are cut first.
fn columns(natural: &[usize], room: usize) -> Vec<usize> {
    let gaps = natural.len().saturating_sub(1) * GAP.len();
    let fits = |most: usize| natural.iter().map(|width| *width.min(&most)).sum::<usize>() + gaps <= room;
    let widest = natural.iter().copied().max().unwrap_or(0);
    let most = (KEPT..=room.max(KEPT).min(widest.max(KEPT))).rev().find(|most| fits(*most)).unwrap_or(KEPT);
    natural.iter().map(|width| *width.min(&most)).collect()
}

const GAP: &str = "  ";

/// Rows of text in aligned columns, with long cells cut to what the screen holds.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let clean: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| sanitize(cell).into_owned()).collect()).collect();
    let natural = (0..head.len()).map(|at| {
        let widest = clean.iter().map(|row| row.get(at).map_or(0, |cell| cell.width())).max().unwrap_or(0);
        widest.max(head[at].width())
    });
    let natural: Vec<usize> = natural.collect();
    let widths = if FULL.load(Ordering::Relaxed) { natural } else { columns(&natural, room()) };
    let print = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells
            .zip(&widths)
            .map(|(cell, width)| {
                let cell = cut(cell, *width);
                let blanks = " ".repeat(width.saturating_sub(cell.width()));
                cell + &blanks
            })
            .collect();
        line(padded.join(GAP).trim_end())
    };
    print(&mut head.iter().copied())?;
    clean.iter().try_for_each(|row| print(&mut row.iter().map(String::as_str)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_cell_is_cut_with_its_length_named_and_a_code_never() {
        assert_eq!(columns(&[4, 11, 200, 5_000], 120), [4, 11, 52, 52]);
        assert_eq!(columns(&[4, 11, 20, 70_000], 120), [4, 11, 20, 79]);
        assert_eq!(columns(&[4, 11, 20, 30], 120), [4, 11, 20, 30]);
        let long = "x".repeat(5_000);
        assert_eq!(cut(&long, 30), format!("{}… (5,000 characters)", "x".repeat(10)));
        assert_eq!(cut("株式会社株式会社株式会社株式会社", 30), "株式会社株式… (16 characters)");
        assert_eq!(cut("👩‍💻👩‍💻", 4), "👩‍💻👩‍💻");
        assert_eq!(cut("short", 30), "short");
    }
}
