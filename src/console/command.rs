//! THE table of commands. It alone decides dispatch, the hint line, the help, and what `--read-only` leaves.

use super::model::{Model, Pane};
use super::panes::record::RecordPane;

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
    Mark,
    MarkAll,
    Fix,
    Revert,
    Ignore,
    Export,
    Mend,
    Sides,
    Save,
    Undo,
    Audit,
    Find,
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
        &[Pane::Record],
        mutating(hinted(command(Id::Mend, "mend", &["m"], "Do at once what the first remedy says"))),
    ),
    only(
        &[Pane::Errors],
        hinted(command(
            Id::Mark,
            "mark",
            &["Space"],
            "Mark the error, or take its mark away; acts are about what is marked",
        )),
    ),
    only(
        &[Pane::Errors],
        mutating(hinted(command(
            Id::Fix,
            "fix",
            &["f"],
            "Change a field of the marked errors' rows, with a preview",
        ))),
    ),
    only(
        &[Pane::Record],
        mutating(hinted(command(Id::Remedy, "fix", &["f"], "Choose what to do about the error, and do it"))),
    ),
    only(
        &[Pane::Errors, Pane::Record],
        mutating(hinted(command(
            Id::Retry,
            "retry",
            &["r"],
            "Send again as it is, or release what waits for review: the marked errors, else this one",
        ))),
    ),
    only(
        &[Pane::Errors, Pane::Record],
        mutating(hinted(command(
            Id::Revert,
            "revert",
            &["u"],
            "Take Salesforce's values back into the row; a rejected insert's row is removed after asking",
        ))),
    ),
    only(
        &[Pane::Errors, Pane::Record],
        mutating(hinted(command(
            Id::Ignore,
            "ignore",
            &["i"],
            "Stop asking about the error; U takes it back",
        ))),
    ),
    only(
        &[Pane::Errors],
        command(
            Id::MarkAll,
            "mark all",
            &["A", "*"],
            "Mark all that the filter matches, or take all marks away",
        ),
    ),
    only(
        &[Pane::Record],
        mutating(command(
            Id::Sides,
            "both sides",
            &["c"],
            "Choose a side of fields that changed here and there",
        )),
    ),
    only(
        &[Pane::Record],
        mutating(command(Id::Save, "save", &["C-s"], "Save the changed fields together and send them")),
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
    mutating(hinted(command(
        Id::Undo,
        "undo",
        &["U"],
        "Take your last act back, for rows not changed since",
    ))),
    hinted(command(Id::Audit, "audit", &["a"], "Show what operators did, and take it back")),
    hinted(command(Id::Find, "find", &["o"], "Go to any row by its id, its record's id or its external id")),
    only(
        &[Pane::Errors],
        command(Id::Export, "export", &["x"], "Write the listed errors into a file, as CSV or JSON lines"),
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
            Id::Fix | Id::Revert | Id::Ignore if model.chosen().is_none() => {
                Some("there is no error of a row here; choose or mark one")
            }
            Id::Mend => match model.record.as_ref().and_then(|pane| pane.view.as_ref()) {
                Some(view) if view.advice.remedies.iter().any(|offer| offer.number.is_some()) => None,
                _ => Some("nothing here can be mended by itself; f shows what helps, e edits"),
            },
            Id::Sides => match model.record.as_ref().and_then(|pane| pane.view.as_ref()) {
                Some(view) if view.conflicts.iter().any(|conflict| conflict.winner.is_none()) => None,
                _ => Some("no field waits for a choice of sides"),
            },
            Id::Save if !model.record.as_ref().is_some_and(RecordPane::keeps) => {
                Some("nothing is changed yet; e edits the selected field")
            }
            Id::Export if model.errors.items.is_empty() => Some("there are no errors to export"),
            Id::Retry
                if model.focus == Pane::Errors
                    && !model.errors.any_marked()
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
