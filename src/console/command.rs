//! THE table of commands. It alone decides dispatch, the hint line, the help, the palette, and what `--read-only`
//! leaves; `syncdeck keys` prints it. Which keys are in force is [`super::keymap`]'s.

use super::pane::Pane::{self, Errors, Groups, Log, Mappings, Pending, Record};
use crate::client::setup::SetupTask;

/// What an operator can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    GoMappings,
    GoErrors,
    GoRecord,
    GoLog,
    GoPending,
    GoGroups,
    Open,
    Edit,
    Retry,
    Mark,
    MarkAll,
    Unfold,
    Fix,
    Revert,
    Ignore,
    Export,
    Plan,
    Adopt,
    AdoptUndo,
    Shadow,
    Rebind,
    HerokuWriteErrors,
    HerokuNotifications,
    HerokuChecks,
    HerokuRecover,
    QuickFix,
    Numbered,
    Parent,
    Standing,
    HideEmpty,
    ScrollRight,
    ScrollLeft,
    Columns,
    NextOpen,
    PreviousOpen,
    Conflict,
    Save,
    Undo,
    Audit,
    Find,
    Remedy,
    Groups,
    Strategy,
    Rule,
    SignIn,
    MergeInto,
    Writes,
    Drain,
    Reload,
    Verify,
    Test,
    PauseAll,
    DrainAll,
    ResumeAll,
    ReloadAll,
    StrategyAll,
    TestAll,
    Filter,
    Sort,
    Actionable,
    OlderFilter,
    NewerFilter,
    SaveFilter,
    KeptFilters,
    Sources,
    NextView,
    PreviousView,
    Follow,
    Explain,
    Thread,
    Patterns,
    KeepLines,
    Search,
    NextMatch,
    PreviousMatch,
    NextWarning,
    PreviousWarning,
    Copy,
    CopyLink,
    Trends,
    Health,
    Alerts,
    Silence,
    OwnCause,
    NoteCause,
    MuteCause,
    Utc,
    Theme,
    Connection,
    Zoom,
    Larger,
    Smaller,
    EqualSizes,
    Refresh,
    Palette,
    Help,
    Back,
    Quit,
    ForceQuit,
    Redraw,
    Suspend,
}

impl Id {
    /// The command that looks at what a configuration makes of the database.
    pub fn of_setup(task: SetupTask) -> Id {
        match task {
            SetupTask::Plan => Id::Plan,
            SetupTask::Adopt => Id::Adopt,
            SetupTask::UndoAdopt => Id::AdoptUndo,
            SetupTask::Rebind => Id::Rebind,
        }
    }
}

/// One command.
#[derive(Debug)]
pub struct Command {
    /// What it does.
    pub id: Id,
    /// Its name in the configuration.
    pub name: &'static str,
    /// The name that it had before, which is understood still.
    pub alias: Option<&'static str>,
    /// A word or two, for the hint line.
    pub title: &'static str,
    /// One sentence, for the help.
    pub doc: &'static str,
    /// Keys that it has unless the configuration gives others, the first one shown.
    pub keys: &'static [&'static str],
    /// Where it works; empty is everywhere.
    pub panes: &'static [Pane],
    /// Whether it changes anything outside of the console.
    pub mutates: bool,
    /// Whether the hint line shows it.
    pub hinted: bool,
    /// Whether its keys are its own in its panes, though they mean something else everywhere.
    pub overrides: bool,
}

const fn command(
    id: Id,
    name: &'static str,
    title: &'static str,
    keys: &'static [&'static str],
    doc: &'static str,
) -> Command {
    Command {
        id,
        name,
        alias: None,
        title,
        doc,
        keys,
        panes: &[],
        mutates: false,
        hinted: false,
        overrides: false,
    }
}

impl Command {
    const fn only(self, panes: &'static [Pane]) -> Command {
        Command { panes, ..self }
    }

    const fn mutating(self) -> Command {
        Command { mutates: true, ..self }
    }

    const fn hinted(self) -> Command {
        Command { hinted: true, ..self }
    }

    const fn overriding(self) -> Command {
        Command { overrides: true, ..self }
    }

    const fn formerly(self, alias: &'static str) -> Command {
        Command { alias: Some(alias), ..self }
    }

    /// Whether a name is its own, or was before.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.alias == Some(name)
    }

    /// Whether a command changes anything outside of the console.
    pub fn mutates(id: Id) -> bool {
        COMMANDS.iter().any(|command| command.id == id && command.mutates)
    }

    /// Whether it works in a pane.
    pub fn is_in(&self, pane: Pane) -> bool {
        self.panes.is_empty() || self.panes.contains(&pane)
    }
}

/// The table. In the order of the hint line and the help.
pub static COMMANDS: &[Command] = &[
    // ---- the lists -----------------------------------------------------------------------------------------------
    command(Id::Open, "open", "its errors", &["Enter", "l"], "Show the errors of the selected mapping")
        .only(&[Mappings])
        .hinted(),
    command(Id::Open, "open", "open", &["Enter", "l"], "Open the record of the selected line")
        .only(&[Errors, Pending])
        .hinted(),
    command(Id::Open, "open", "its record", &["Enter", "l"], "Open the record that the line speaks of; Esc comes back")
        .only(&[Log])
        .hinted(),
    command(Id::Open, "open", "list its errors", &["Enter", "l"], "List the errors of the selected cause").only(&[Groups]).hinted(),
    // ---- one record ----------------------------------------------------------------------------------------------
    command(
        Id::Edit,
        "edit",
        "edit",
        &["e", "Enter"],
        "Edit the selected field (Ctrl-S there saves and retries); among the relatives, open the selected one",
    )
    .only(&[Record])
    .hinted(),
    command(Id::Edit, "edit", "edit", &["e"], "Edit the field at fault of the selected error's row")
        .only(&[Errors])
        .hinted(),
    command(Id::QuickFix, "quick-fix", "quick fix", &["m"], "Do at once what the first remedy says")
        .formerly("mend")
        .only(&[Record])
        .mutating()
        .hinted(),
    command(
        Id::QuickFix,
        "quick-fix",
        "quick fix",
        &["m"],
        "Do at once what the first remedy says; of marked errors, show what each row's own would make of it, and ask",
    )
    .formerly("mend")
    .only(&[Errors])
    .mutating()
    .hinted(),
    command(
        Id::Numbered,
        "numbered",
        "remedy",
        &["1", "2", "3", "4", "5", "6", "7", "8", "9"],
        "Do the remedy with that number; where no remedy has one, go to the pane with it",
    )
    .only(&[Record])
    .overriding(),
    command(
        Id::Numbered,
        "numbered",
        "its cause",
        &["1", "2", "3", "4", "5", "6", "7", "8", "9"],
        "List the errors of the cause with that number, while the mapping has the whole screen; else go to the pane with it",
    )
    .only(&[Mappings])
    .overriding(),
    command(Id::Standing, "conditions", "conditions", &["B"], "Show what stands in the way of mappings or the connection, and what helps")
        .only(&[Errors, Mappings]),
    command(Id::Parent, "parent", "its parent", &["P"], "Go to the row that this one waits for").only(&[Record]),
    command(Id::HideEmpty, "hide-empty", "hide empty", &["h"], "Show only fields that have a value, or all of them again")
        .only(&[Record])
        .overriding(),
    command(Id::ScrollRight, "scroll-right", "scroll right", &[">"], "Show what a long value has further right").only(&[Errors, Record]),
    command(Id::ScrollLeft, "scroll-left", "scroll left", &["<"], "Show what a long value has further left").only(&[Errors, Record]),
    command(Id::NextOpen, "next-open", "next", &["n"], "To the next error that needs a person").only(&[Errors, Record]).hinted(),
    command(Id::PreviousOpen, "previous-open", "previous", &["N"], "To the error before that needs a person").only(&[Errors, Record]),
    command(
        Id::Mark,
        "mark",
        "mark",
        &["Space"],
        "Mark the error, or take its mark away; operations are about what is marked",
    )
    .only(&[Errors])
    .hinted(),
    command(Id::Unfold, "unfold", "who waits", &["w"], "Show the rows that wait for this one below it, or fold them again")
        .only(&[Errors])
        .hinted(),
    command(Id::Fix, "fix", "fix", &["f"], "Mend the marked errors' rows, each by its own remedy, or change a field; with a preview")
        .only(&[Errors])
        .mutating()
        .hinted(),
    command(Id::Remedy, "remedies", "fix", &["f"], "Choose what to do about the error, and do it")
        .only(&[Record])
        .mutating()
        .hinted(),
    command(
        Id::Retry,
        "retry",
        "retry",
        &["r"],
        "Send again as it is, or release what waits for review: the marked errors, else this one",
    )
    .only(&[Errors, Record])
    .mutating()
    .hinted(),
    command(
        Id::Revert,
        "revert",
        "revert",
        &["u"],
        "Take Salesforce's values back into the row; a rejected insert's row is removed after asking",
    )
    .only(&[Errors, Record])
    .mutating()
    .hinted(),
    command(Id::Ignore, "ignore", "ignore", &["i"], "Stop asking about the error; undo takes it back")
        .only(&[Errors, Record])
        .mutating()
        .hinted(),
    command(
        Id::NextView,
        "next-view",
        "next view",
        &["]", "Right"],
        "Show the next view: fields, attempts, relatives, log lines",
    )
    .only(&[Record])
    .hinted(),
    command(Id::PreviousView, "previous-view", "previous view", &["[", "Left"], "Show the view before").only(&[Record]),
    command(
        Id::MarkAll,
        "mark-all",
        "mark all",
        &["A", "*"],
        "Mark all that the filter matches, or take all marks away",
    )
    .only(&[Errors]),
    command(Id::Conflict, "conflict", "conflict", &["c"], "Choose a side of fields that changed here and there; of a duplicate, what stays of both rows and the record")
        .formerly("both-sides")
        .only(&[Record])
        .mutating()
        .hinted(),
    command(Id::MergeInto, "merge-into", "merge into", &[], "Merge rows that are the same thing into the one of them that is typed, after asking")
        .only(&[Record])
        .mutating(),
    command(Id::Save, "save", "save", &["C-s"], "Save the changed fields together and send them")
        .only(&[Record])
        .mutating()
        .hinted(),
    command(Id::Groups, "groups", "groups", &["c"], "Show the errors in groups, one for each cause; Enter lists those of one")
        .formerly("causes")
        .only(&[Errors, Groups])
        .hinted(),
    command(Id::Groups, "groups", "its groups", &["c"], "Show the errors of the selected mapping in groups, one for each cause")
        .formerly("causes")
        .only(&[Mappings])
        .hinted(),
    command(Id::OwnCause, "own-cause", "own cause", &[], "Say that the cause of the selected error is yours")
        .only(&[Errors])
        .mutating(),
    command(Id::NoteCause, "note-cause", "note cause", &[], "Say what is to be known about the cause of the selected error")
        .only(&[Errors])
        .mutating(),
    command(
        Id::MuteCause,
        "mute-cause",
        "mute cause",
        &[],
        "Have alerts say nothing of the cause of the selected error until more of it comes",
    )
    .only(&[Errors])
    .mutating(),
    command(Id::Sort, "sort", "sort", &["s"], "Sort by another column; the same one again turns it round")
        .only(&[Errors])
        .hinted(),
    command(Id::Columns, "columns", "columns", &["v"], "Show or leave out columns of the list, make them wider or narrower")
        .only(&[Errors]),
    command(Id::Actionable, "actionable", "actionable", &["!"], "List also what is tried again, waits or is a condition; or only what needs a person again")
        .formerly("faults")
        .only(&[Errors]),
    command(Id::OlderFilter, "older-filter", "filter before", &["["], "Back to the filter before").only(&[Errors]),
    command(Id::NewerFilter, "newer-filter", "next filter", &["]"], "On to the filter after it").only(&[Errors]),
    command(Id::SaveFilter, "save-filter", "save filter", &["F"], "Keep the filter under a name, for later consoles too")
        .only(&[Errors, Log]),
    command(Id::KeptFilters, "kept-filters", "kept filters", &["K"], "Filter by one that was kept").only(&[Errors, Log]),
    // ---- one mapping, all mappings -------------------------------------------------------------------------------
    command(
        Id::Writes,
        "pause",
        "pause/resume",
        &["p"],
        "Let the mapping's writes rest, or go on; nothing is lost meanwhile",
    )
    .only(&[Mappings])
    .mutating()
    .hinted(),
    command(Id::Drain, "drain", "drain", &["d"], "Send what waits now, then let the writes rest")
        .only(&[Mappings])
        .mutating()
        .hinted(),
    command(
        Id::Strategy,
        "strategy",
        "strategy",
        &["s"],
        "Choose what becomes of the mapping's errors from now on",
    )
    .only(&[Mappings])
    .mutating()
    .hinted(),
    command(Id::Rule, "rule", "rule", &[], "Set a rule of the mapping: KEY=VALUE, for all of its rows, after asking")
        .only(&[Mappings])
        .mutating(),
    command(Id::Verify, "verify", "verify", &["v"], "Compare its rows and records; nothing is changed")
        .only(&[Mappings])
        .mutating()
        .hinted(),
    command(Id::Test, "test", "test", &["t"], "Try it with some rows; Salesforce takes everything back")
        .only(&[Mappings])
        .mutating()
        .hinted(),
    command(Id::Reload, "reload", "reload", &["L"], "Read all its records again from Salesforce")
        .only(&[Mappings])
        .mutating(),
    command(Id::PauseAll, "pause-all", "pause all", &[], "Let the writes of all mappings rest").only(&[Mappings]).mutating(),
    command(Id::DrainAll, "drain-all", "drain all", &[], "Send what waits now, then let all writes rest").only(&[Mappings]).mutating(),
    command(Id::ResumeAll, "resume-all", "resume all", &[], "Let the writes of all mappings go on").only(&[Mappings]).mutating(),
    command(Id::ReloadAll, "reload-all", "reload all", &[], "Read all records of all mappings again").only(&[Mappings]).mutating(),
    command(Id::StrategyAll, "strategy-all", "strategy of all", &[], "Choose what becomes of the errors of all mappings")
        .only(&[Mappings])
        .mutating(),
    command(Id::TestAll, "test-all", "test all", &[], "Try each mapping with some rows; Salesforce takes everything back")
        .only(&[Mappings])
        .mutating(),
    // ---- the log -------------------------------------------------------------------------------------------------
    command(Id::Follow, "follow", "pause/follow", &["Space", "f"], "Stop or go on following the log")
        .only(&[Log])
        .hinted(),
    command(Id::Explain, "explain", "explain", &["x"], "Say what the selected line means, and what to do")
        .only(&[Log])
        .hinted(),
    command(
        Id::Thread,
        "thread",
        "its thread",
        &["t"],
        "Show all lines with the line's request, record or batch, by their times; the same key or Esc goes back",
    )
    .only(&[Log])
    .hinted(),
    command(Id::Thread, "thread", "its lines", &["t"], "Show all lines of the log that speak of the record; Esc comes back")
        .only(&[Record]),
    command(Id::Patterns, "patterns", "patterns", &["p"], "Group the lines that show by what they have in common; filter by one, or silence it")
        .only(&[Log])
        .hinted(),
    command(Id::KeepLines, "write-lines", "write", &["w"], "Write the lines that show into a file, as text or JSON lines")
        .only(&[Log]),
    command(Id::Search, "search", "search", &["s"], "Search the lines that show").only(&[Log]).hinted(),
    command(Id::NextMatch, "next-match", "next match", &["n"], "To the next line with what is searched for").only(&[Log]),
    command(Id::PreviousMatch, "previous-match", "match before", &["N"], "To the line before with what is searched for")
        .only(&[Log]),
    command(Id::NextWarning, "next-warning", "next warning", &["e"], "To the next warning or error")
        .formerly("next-trouble")
        .only(&[Log]),
    command(Id::PreviousWarning, "previous-warning", "warning before", &["E"], "To the warning or error before")
        .formerly("previous-trouble")
        .only(&[Log]),
    // ---- everywhere ----------------------------------------------------------------------------------------------
    command(Id::Filter, "filter", "filter", &["/"], "Filter the list; an empty filter shows everything")
        .only(&[Errors, Log])
        .hinted(),
    command(Id::Filter, "filter", "filter", &["/"], "Go to the errors and filter them").only(&[
        Mappings, Record, Pending, Groups,
    ]),
    command(Id::Sources, "sources", "sources", &["S"], "Show how the sources of lines stand, and switch each on or off")
        .only(&[Log])
        .hinted(),
    command(Id::SignIn, "sign-in", "sign in", &[], "Have the engine read its login again and sign in to Salesforce now").mutating(),
    command(Id::Undo, "undo", "undo", &["U"], "Take your last operation back, for rows not changed since")
        .mutating()
        .hinted(),
    command(Id::Audit, "audit", "audit", &["a"], "Show what operators did, and take it back").hinted(),
    command(Id::Find, "find", "find", &["o"], "Go to any row by its id, its record's id or its external id").hinted(),
    command(Id::Trends, "trends", "trends", &["M"], "Errors and throughput per minute, errors by code, as pictures")
        .hinted(),
    command(Id::Health, "health", "health", &["H"], "How well the sync goes: error rate, how errors ended, how long things took"),
    command(Id::Alerts, "alerts", "alerts", &["b"], "Show what fires and is told, what is silenced, and how the channels are"),
    command(Id::Silence, "silence-all", "silence alerts", &[], "Tell nothing of any alert for a time; alerts ends that").mutating(),
    command(Id::Export, "export", "export", &["x"], "Write the listed errors into a file, as CSV or JSON lines")
        .only(&[Errors]),
    command(Id::Plan, "plan", "plan", &[], "Show what the start of an engine with the configuration does to database and org"),
    command(Id::Adopt, "adopt", "adopt", &[], "Take over the tables that Heroku Connect keeps: shows what it does, and asks").mutating(),
    command(Id::AdoptUndo, "adopt-undo", "adopt undo", &[], "Give the tables back to Heroku Connect: shows what it does, and asks")
        .mutating(),
    command(Id::Shadow, "shadow", "shadow", &[], "Compare Salesforce with what Heroku Connect keeps, round by round"),
    command(Id::Rebind, "rebind", "rebind", &[], "Put another org behind the same tables: shows what becomes of rows, and asks").mutating(),
    command(
        Id::HerokuWriteErrors,
        "heroku-write-errors",
        "heroku write errors",
        &[],
        "Show the writes of a day that Salesforce refused, as Heroku Connect lists them; Enter goes to the row",
    ),
    command(
        Id::HerokuNotifications,
        "heroku-notifications",
        "heroku notifications",
        &[],
        "Show what Heroku Connect wants people to know, and acknowledge it",
    ),
    command(Id::HerokuChecks, "heroku-diagnose", "heroku diagnose", &[], "Have Heroku Connect check the connection and its mappings, and show what it found"),
    command(Id::HerokuRecover, "heroku-recover", "heroku recover", &[], "Have Heroku Connect begin again after an error, after asking").mutating(),
    command(Id::NextPane, "next-pane", "next pane", &["Tab"], "Go to the next pane").hinted(),
    command(Id::PreviousPane, "previous-pane", "previous pane", &["S-Tab"], "Go to the previous pane"),
    command(Id::GoMappings, "go-mappings", "mappings", &["1", "A-1"], "Go to the mappings"),
    command(Id::GoErrors, "go-errors", "errors", &["2", "A-2"], "Go to the errors"),
    command(Id::GoRecord, "go-record", "record", &["3", "A-3"], "Go to the record"),
    command(Id::GoLog, "go-log", "log", &["4", "A-4"], "Go to the log"),
    command(Id::GoPending, "go-pending", "pending", &["5", "A-5"], "Go to what waits and what is in flight"),
    command(Id::GoGroups, "go-groups", "groups", &["6", "A-6"], "Go to the causes of the listed errors; where the screen has no room for them, show them"),
    command(Id::Down, "down", "down", &["j", "Down"], "One line down"),
    command(Id::Up, "up", "up", &["k", "Up"], "One line up"),
    command(Id::PageDown, "page-down", "page down", &["PgDn", "C-d", "C-f"], "One page down"),
    command(Id::PageUp, "page-up", "page up", &["PgUp", "C-u", "C-b"], "One page up"),
    command(Id::Top, "top", "top", &["g", "Home"], "To the first line"),
    command(Id::Bottom, "bottom", "bottom", &["G", "End"], "To the last line"),
    command(Id::Zoom, "zoom", "zoom", &["z"], "Give the pane the whole screen, or take it back").hinted(),
    command(Id::Larger, "larger", "larger", &["+"], "Give the pane more room: columns where it stands beside others, else lines"),
    command(Id::Smaller, "smaller", "smaller", &["-"], "Give the pane less room"),
    command(Id::EqualSizes, "own-sizes", "own sizes", &["="], "Give all panes the room that they have by themselves"),
    command(
        Id::Copy,
        "copy",
        "copy",
        &["y"],
        "Copy the selected value or line to the terminal's clipboard (OSC 52), or where `copy` says",
    ),
    command(Id::CopyLink, "copy-link", "copy link", &["Y"], "Copy the record's address in Salesforce")
        .only(&[Errors, Record, Pending]),
    command(Id::Utc, "utc", "UTC/local", &["T"], "Show times in UTC, or where you are"),
    command(Id::Theme, "theme", "theme", &[], "Choose the colours"),
    command(Id::Connection, "connection", "connection", &["C"], "Go to another connection of the configuration"),
    command(Id::Refresh, "refresh", "refresh", &["R", "C-r"], "Read everything again now"),
    command(Id::Back, "back", "back", &["Esc", "h"], "One step back"),
    command(Id::Palette, "palette", "commands", &[":"], "Find any command by a few letters, and run it").hinted(),
    command(Id::Help, "help", "help", &["?", "F1"], "Show the keys of the pane you are in; Enter runs one").hinted(),
    command(Id::Quit, "quit", "quit", &["q"], "Leave the console").hinted(),
    command(Id::ForceQuit, "quit-now", "quit", &["C-c"], "Leave the console at once"),
    command(Id::Redraw, "redraw", "redraw", &["C-l"], "Draw the screen anew"),
    command(Id::Suspend, "suspend", "suspend", &["C-z"], "Stop the console; fg brings it back"),
];
