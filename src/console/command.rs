//! THE table of commands. It alone decides dispatch, the hint line, the help, and what `--read-only` leaves.

use super::model::{Model, Pane};

/// What an operator can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each has its title and doc in the table below")]
pub enum Id {
    Down,
    Up,
    PageDown,
    PageUp,
    Top,
    Bottom,
    NextPane,
    PreviousPane,
    Mappings,
    Errors,
    Record,
    Log,
    Open,
    Edit,
    Retry,
    Remedy,
    Groups,
    Strategy,
    Writes,
    Filter,
    Follow,
    Explain,
    Copy,
    Zoom,
    Refresh,
    Help,
    Back,
    Quit,
    ForceQuit,
    Redraw,
    Suspend,
}

/// One command.
#[derive(Debug)]
pub struct Command {
    /// What it does.
    pub id: Id,
    /// A word or two, for the hint line.
    pub title: &'static str,
    /// One sentence, for the help.
    pub doc: &'static str,
    /// Keys, the first one shown.
    pub keys: &'static [&'static str],
    /// Where it works; empty is everywhere.
    pub panes: &'static [Pane],
    /// Whether it changes anything outside of the console.
    pub mutates: bool,
    /// Whether the hint line shows it.
    pub hinted: bool,
}

const fn command(id: Id, title: &'static str, keys: &'static [&'static str], doc: &'static str) -> Command {
    Command { id, title, doc, keys, panes: &[], mutates: false, hinted: false }
}

const fn hinted(command: Command) -> Command {
    Command { hinted: true, ..command }
}

const fn only(panes: &'static [Pane], command: Command) -> Command {
    Command { panes, ..command }
}

const fn mutating(command: Command) -> Command {
    Command { mutates: true, ..command }
}

/// The table. In the order of the hint line and the help.
pub static COMMANDS: &[Command] = &[
    only(
        &[Pane::Mappings],
        hinted(command(Id::Open, "its errors", &["Enter", "l"], "Show the errors of the selected mapping")),
    ),
    only(
        &[Pane::Errors],
        hinted(command(Id::Open, "open", &["Enter", "l"], "Open the record of the selected error")),
    ),
    only(
        &[Pane::Record],
        mutating(hinted(command(
            Id::Edit,
            "edit",
            &["e", "Enter"],
            "Edit the selected field; Ctrl-S there saves and retries",
        ))),
    ),
    only(
        &[Pane::Errors, Pane::Record],
        mutating(hinted(command(Id::Retry, "retry", &["r"], "Send the record again as it is"))),
    ),
    only(
        &[Pane::Record],
        mutating(hinted(command(Id::Remedy, "fix", &["f"], "Choose what to do about the error, and do it"))),
    ),
    only(
        &[Pane::Errors],
        hinted(command(Id::Groups, "causes", &["c"], "Show the errors by cause; Enter lists those of one")),
    ),
    only(
        &[Pane::Mappings],
        mutating(hinted(command(
            Id::Strategy,
            "strategy",
            &["s"],
            "Choose what becomes of the mapping's errors from now on",
        ))),
    ),
    only(
        &[Pane::Mappings],
        mutating(hinted(command(
            Id::Writes,
            "pause/resume",
            &["p"],
            "Let the mapping's writes rest, or go on; nothing is lost meanwhile",
        ))),
    ),
    only(
        &[Pane::Log],
        hinted(command(Id::Follow, "pause/follow", &["Space", "f"], "Stop or go on following the log")),
    ),
    only(
        &[Pane::Log],
        hinted(command(
            Id::Explain,
            "explain",
            &["Enter"],
            "Say what the selected line means, and what to do",
        )),
    ),
    only(
        &[Pane::Errors, Pane::Log],
        hinted(command(Id::Filter, "filter", &["/"], "Filter the list; an empty filter shows everything")),
    ),
    only(
        &[Pane::Mappings, Pane::Record],
        command(Id::Filter, "filter", &["/"], "Go to the errors and filter them"),
    ),
    hinted(command(Id::NextPane, "next pane", &["Tab"], "Go to the next pane")),
    command(Id::PreviousPane, "previous pane", &["S-Tab"], "Go to the previous pane"),
    command(Id::Mappings, "mappings", &["1"], "Go to the mappings"),
    command(Id::Errors, "errors", &["2"], "Go to the errors"),
    command(Id::Record, "record", &["3"], "Go to the record"),
    command(Id::Log, "log", &["4"], "Go to the log"),
    command(Id::Down, "down", &["j", "Down"], "One line down"),
    command(Id::Up, "up", &["k", "Up"], "One line up"),
    command(Id::PageDown, "page down", &["PgDn", "C-d", "C-f"], "One page down"),
    command(Id::PageUp, "page up", &["PgUp", "C-u", "C-b"], "One page up"),
    command(Id::Top, "top", &["g", "Home"], "To the first line"),
    command(Id::Bottom, "bottom", &["G", "End"], "To the last line"),
    hinted(command(Id::Zoom, "zoom", &["z"], "Give the pane the whole screen, or take it back")),
    command(
        Id::Copy,
        "copy",
        &["y"],
        "Copy the selected value or line to your terminal's clipboard (OSC 52)",
    ),
    command(Id::Refresh, "refresh", &["R", "C-r"], "Read everything again now"),
    command(Id::Back, "back", &["Esc", "h"], "One step back"),
    hinted(command(Id::Help, "help", &["?", "F1"], "Show the keys of the pane you are in")),
    hinted(command(Id::Quit, "quit", &["q"], "Leave the console")),
    command(Id::ForceQuit, "quit", &["C-c"], "Leave the console at once"),
    command(Id::Redraw, "redraw", &["C-l"], "Draw the screen anew"),
    command(Id::Suspend, "suspend", &["C-z"], "Stop the console; fg brings it back"),
];

impl Command {
    /// Whether it works in a pane.
    pub fn is_in(&self, pane: Pane) -> bool {
        self.panes.is_empty() || self.panes.contains(&pane)
    }

    /// Why it cannot be used right now, if so.
    pub fn disabled(&self, model: &Model) -> Option<&'static str> {
        if self.mutates && model.read_only {
            return Some("this console is read-only");
        }
        match self.id {
            Id::Record if model.record.is_none() => {
                Some("no record is open; choose an error and press Enter")
            }
            Id::Edit => {
                model.record.as_ref().map_or(Some("no record is open"), |record| record.edit_refusal())
            }
            Id::Retry
                if model.focus == Pane::Errors
                    && model.errors.selected().is_none_or(|error| error.row_id.is_none()) =>
            {
                Some("this error is not of one row; it is tried again by itself")
            }
            Id::Remedy => match model.record.as_ref().and_then(|pane| pane.view.as_ref()) {
                Some(view) if !view.advice.remedies.is_empty() => None,
                _ => Some("there is nothing to mend"),
            },
            Id::Strategy | Id::Writes if model.mapping().is_none() => Some("no mapping is there yet"),
            Id::Retry if model.focus == Pane::Record && model.record.is_none() => Some("no record is open"),
            _ => None,
        }
    }
}

/// The command of a key in a pane.
pub fn find(pane: Pane, key: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.is_in(pane) && command.keys.contains(&key))
}
