//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::domain::errors::sort::Sort;
use crate::logs::parse::Zone;

use super::{DONE, FAILED, UNHEALTHY, WRONG};

mod heroku;
mod operations;

pub(super) use heroku::{HerokuAction, HerokuOptions};
pub(super) use operations::{
    FixOptions, Many, OperationOptions, RebindOptions, ResolveOptions, ShadowKeys, VerifyOptions,
};

/// What every command takes, apart from what is its own.
const COMMON: &str = "Common options";

/// What the exit status says.
pub(super) const STATUSES: [(u8, &str); 4] = [
    (DONE, "done"),
    (FAILED, "it failed"),
    (WRONG, "wrong usage or configuration"),
    (
        UNHEALTHY,
        "done, but what was asked about is not healthy (heroku diagnose, plan, shadow, rebind --dry-run, status --fail-on, test, verify)",
    ),
];

fn statuses() -> String {
    let told = STATUSES.map(|(status, meaning)| format!("{status} {meaning}"));
    format!("Exit status: {}", told.join(", "))
}

/// Keeps a Salesforce org and a PostgreSQL schema in step, and shows what fails, why, and how to mend it.
///
/// Without a command: the console.
#[derive(Debug, Parser)]
#[command(name = "syncdeck", version, max_term_width = 100, after_help = statuses())]
pub(super) struct Cli {
    /// Configuration [default: ./syncdeck.toml, then $XDG_CONFIG_HOME/syncdeck/config.toml]
    #[arg(long, global = true, value_name = "FILE", help_heading = COMMON)]
    pub(super) config: Option<PathBuf>,
    /// One of several connections in the configuration [default: the first; of run and status: all]
    #[arg(long, global = true, value_name = "NAME", help_heading = COMMON)]
    pub(super) connection: Option<String>,
    /// Look and mend beside Heroku Connect, on the database that DATABASE_URL names: no configuration is read, no engine
    /// started, nothing installed
    #[arg(
        long,
        global = true,
        value_name = "SCHEMA",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "salesforce",
        conflicts_with_all = ["config", "connection"],
        help_heading = COMMON
    )]
    pub(super) attach_heroku_connect: Option<String>,
    /// How Heroku Connect writes, as its settings have it [default: as its log shows]
    #[arg(long, global = true, value_name = "WAY", value_parser = ["merged", "ordered"], help_heading = COMMON)]
    pub(super) writes: Option<String>,
    /// Start no engine and change nothing
    #[arg(long, global = true, help_heading = COMMON)]
    pub(super) read_only: bool,
    /// Print JSON on standard output and nothing else
    #[arg(long, global = true, help_heading = COMMON)]
    pub(super) json: bool,
    /// Say on standard error which configuration and database are used and how long it took; run logs every poll too
    #[arg(short, long, global = true, help_heading = COMMON)]
    pub(super) verbose: bool,
    #[command(subcommand)]
    pub(super) command: Option<CliCommand>,
}

#[derive(Debug, Subcommand)]
pub(super) enum CliCommand {
    /// Set up: asks for database, org and first mappings, tests each, and writes the configuration
    Init {
        /// Replace a login that was lost or revoked; the engine waits for it and goes on
        #[arg(long)]
        reconnect: bool,
    },
    /// A configuration from Heroku Connect's: writes syncdeck.toml, says what differs, and what API calls it will take
    Import(ImportOptions),
    /// What a start with the configuration will do: tables, columns, triggers, loads, API calls a day; changes nothing
    Plan(CallOptions),
    /// Compare Salesforce with the rows that Heroku Connect keeps, round by round: the proof before a move; changes nothing
    Shadow(ShadowKeys),
    /// Take over mapped tables that were there before syncdeck, such as Heroku Connect's: shows what it does, and asks
    Adopt {
        /// Put back what it replaced, as it was, and give unsent changes back
        #[arg(long)]
        undo: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Take over although Heroku Connect was seen at work: two engines create records twice
        #[arg(long, conflicts_with = "undo")]
        allow_two_engines: bool,
    },
    /// Put another org behind the same tables, such as a refreshed sandbox: rows find their records by external id
    Rebind(RebindOptions),
    /// The engine alone, as a service
    Run {
        /// Take over mapped tables that were there before syncdeck, such as Heroku Connect's: see syncdeck plan
        #[arg(long)]
        adopt: bool,
        /// Take over although Heroku Connect was seen at work: two engines create records twice
        #[arg(long, requires = "adopt")]
        allow_two_engines: bool,
    },
    /// Everything on this machine: private PostgreSQL, simulated org, engine, console
    Demo(DemoOptions),
    /// The simulated org alone
    Simulator(SimulatorOptions),
    /// How the connection, the engine and the mappings stand
    Status {
        /// Exit with 3 when there are errors or held rows, the engine is not running, or the connection is not ok
        #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = ["errors", "held", "stopped", "connection"])]
        fail_on: Vec<String>,
    },
    /// Sync errors, those that failed last first
    Errors {
        /// Only those that match, in the console's filter language
        #[arg(long = "where", value_name = "FILTER", value_parser = free_text, allow_hyphen_values = true)]
        filter: Option<String>,
        /// By cause: same mapping, code, fields and message template
        #[arg(long, conflicts_with = "sort")]
        group: bool,
        /// In this order: last_seen, first_seen, mapping, row, code, field, attempts, state, next_retry; with - before it
        /// the greatest first
        #[arg(long, value_name = "[-]BY", default_value = "-last_seen", value_parser = Sort::parse, allow_hyphen_values = true)]
        sort: Sort,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Rows whose changes wait to be sent, and why: those in flight first, then the oldest
    Pending {
        /// Object or table; without, all of them
        mapping: Option<String>,
        /// At most this many, besides those in flight
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// One error or row: what is wrong and what to do, its row beside its record, what will be sent, what happened
    Show {
        /// The error's number, or a row as MAPPING:ROW, whether it fails or not
        #[arg(value_name = "ID|MAPPING:ROW")]
        what: String,
        /// Long values whole, however long
        #[arg(long)]
        full: bool,
    },
    /// Change fields of one error's row, or one field of many
    Fix(FixOptions),
    /// Send the rows of errors again as they are
    Retry(Many),
    /// Send what waits for a person's release
    Release(Many),
    /// Take Salesforce's values back into the rows and give their changes up; a rejected insert's row is removed
    Revert(Many),
    /// Stop asking about errors: they leave the list and are not tried again by themselves; undo takes it back
    Ignore(Many),
    /// Choose a side of fields that changed both here and in Salesforce
    #[command(alias = "choose")]
    Resolve(ResolveOptions),
    /// Take one side for what a comparison found of a row or a record; without a side, have it looked at again
    Repair {
        /// The error's number
        #[arg(value_parser = number)]
        id: i64,
        /// The side that is right
        #[arg(value_parser = ["postgres", "salesforce"])]
        side: Option<String>,
        /// Do not ask before a row or a record is removed
        #[arg(long)]
        yes: bool,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT", value_parser = free_text, allow_hyphen_values = true)]
        why: Option<String>,
    },
    /// Merge the rows that a comparison found to be the same thing: into the error's row, or into another one of them
    Merge {
        /// The error's number
        #[arg(value_parser = number)]
        id: i64,
        /// The row that stays
        #[arg(long, value_name = "ROW", value_parser = clap::value_parser!(i32).range(1..))]
        into: Option<i32>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT", value_parser = free_text, allow_hyphen_values = true)]
        why: Option<String>,
    },
    /// Take a record that is in Salesforce already as an error's row's own: its insert becomes an update
    Link {
        /// The error's number
        #[arg(value_parser = number)]
        id: i64,
        /// The record [default: the one that the message names, or that has the row's external id or e-mail address]
        sfid: Option<String>,
        /// Remove the row that has the record, and take it over: both are the same thing
        #[arg(long)]
        replace: bool,
        /// Wait for Salesforce's answer to what is sent
        #[arg(long)]
        wait: bool,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT", value_parser = free_text, allow_hyphen_values = true)]
        why: Option<String>,
    },
    /// Take an operation back, for rows that were not changed since
    Undo {
        /// Its number in `syncdeck audit` [default: your own last one]
        #[arg(value_parser = operation)]
        operation: Option<i64>,
        #[command(flatten)]
        how: OperationOptions,
    },
    /// What operators did, newest first; with a number, each row of that operation
    Audit {
        /// An operation's number
        #[arg(value_parser = operation)]
        operation: Option<i64>,
        /// Only those of this mapping
        #[arg(long)]
        mapping: Option<String>,
        /// Only those about this row
        #[arg(long, value_name = "MAPPING:ROW")]
        row: Option<String>,
        /// Only those of this person, as account@host
        #[arg(long)]
        actor: Option<String>,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// How well the sync goes: error rate, causes, how long changes waited and errors lasted; a review with --report
    Stats(StatsOptions),
    /// What fires and where it is told: list, silence, acknowledge; test tries a channel
    Alert(AlertOptions),
    /// Causes of errors: what there are, whose each is, a note about it, and which are muted until more comes
    Cause(CauseOptions),
    /// Any row by its id, its record's id (15 or 18 characters) or its external id: where it stands
    Find {
        /// What one has in hand
        #[arg(value_parser = free_text, allow_hyphen_values = true)]
        text: String,
        /// Only in this mapping
        #[arg(long)]
        mapping: Option<String>,
    },
    /// The errors that match, as a file for other programs; or the mappings, as one for Heroku Connect
    Export {
        /// What to export
        #[arg(value_enum, value_name = "WHAT", default_value_t)]
        what: ExportWhat,
        /// Only those that match, in the console's filter language (group:NAME for a group)
        #[arg(long = "where", value_name = "FILTER", default_value = "", hide_default_value = true, value_parser = free_text, allow_hyphen_values = true)]
        filter: String,
        /// Its format [default: by the name of the file, else csv]
        #[arg(long, value_parser = ["csv", "jsonl"])]
        format: Option<String>,
        /// Where to [default: standard output]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Compare rows and records: mismatches, duplicates, orphans, rows without records, records without rows
    Verify(VerifyOptions),
    /// Try a mapping with some of its rows: transforms and checks here, then a run that Salesforce takes back whole
    Test {
        /// Object or table
        mapping: String,
        /// At most this many rows, the newest
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=199))]
        limit: u8,
        /// Only here: Salesforce is not asked
        #[arg(long)]
        offline: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// What an error code, a message or a line of any log means, and what to do about it
    Explain {
        /// A code, a message, a line of a log, an answer as JSON, or an error's number
        #[arg(allow_hyphen_values = true)]
        text: String,
    },
    /// A mapping's rules and writes: show them, change them at run time, pause, drain, resume, reload
    Mapping {
        /// Object or table, or "all"; without, all of them
        name: Option<String>,
        /// pause; drain (what waits is still sent, then it is paused); resume; reload (all its records are read
        /// again); or rules to set: strategy=retry Phone.transforms='trim | phone_e164(US)'; KEY= leaves a rule to the
        /// configuration again
        #[arg(value_name = "OPERATION|KEY=VALUE")]
        changes: Vec<String>,
        /// Do not ask: on production, what stops the writes is asked about
        #[arg(long)]
        yes: bool,
    },
    /// What Heroku Connect's own API tells of a connection that it keeps: how it stands, the writes that were refused within a
    /// day, notifications, its checks; and what it does: recover, acknowledge
    Heroku(HerokuOptions),
    /// Loads, polls and spells of sending, newest first: what each did, and what went wrong
    Runs {
        /// Object or table; without, all of them
        mapping: Option<String>,
        /// Only those with failures
        #[arg(long)]
        failed: bool,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// The log: the engine's own and all configured sources; with files or -, those alone, without any configuration:
    /// heroku logs -t | syncdeck logs -
    Logs {
        /// Logs of other programs, read by their formats; also compressed ones; - is standard input
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Go on as it grows; a file also after it is rotated or cut short
        #[arg(short, long)]
        follow: bool,
        /// Only lines that match: words, level:warn, mapping:Contact, -word; of files, any field: status:503
        #[arg(long = "where", value_name = "FILTER", value_parser = free_text, allow_hyphen_values = true)]
        filter: Option<String>,
        /// Begin with this many lines, the newest [default: 100; of files and standard input: all]
        #[arg(short = 'n', long, value_name = "N")]
        lines: Option<usize>,
        /// Zone of times in files that name none: utc, local, +02:00
        #[arg(long, value_name = "ZONE", default_value = "utc", requires = "files", value_parser = Zone::parse)]
        zone: Zone,
        /// Only this source: syncdeck (the engine's own log), or one of [[log.source]]; several times for several
        #[arg(long = "source", value_name = "NAME", conflicts_with = "files")]
        names: Vec<String>,
        /// Try each configured source once, and say which works, and why another does not
        #[arg(long, conflicts_with_all = ["files", "follow", "filter", "lines"])]
        check: bool,
    },
    /// The console's commands and their keys
    Keys,
    /// What a shell reads to complete commands and options: source <(syncdeck completions bash)
    Completions {
        /// The shell
        shell: Shell,
    },
    /// The manual page of the program or of one command, in roff: syncdeck man | man -l -
    Man {
        /// The command
        command: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct DemoOptions {
    /// Keep the workspace here [default: a temporary one, removed on exit]
    #[arg(long)]
    pub(super) dir: Option<PathBuf>,
    /// Records in the org at the start
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub(super) rows: u32,
    /// A database that Heroku Connect keeps, with errors to mend, and all that is needed to leave it: see README.txt in
    /// the workspace
    #[arg(long)]
    pub(super) heroku_connect: bool,
    /// Draw nothing; print a JSON report at the end
    #[arg(long)]
    pub(super) headless: bool,
    /// How long the writers go on, with --headless
    #[arg(long = "for", value_name = "DURATION", default_value = "20s", value_parser = duration)]
    pub(super) time: Duration,
}

/// Systems whose configuration can be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum System {
    /// Heroku Connect
    HerokuConnect,
}

/// What can be exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ExportWhat {
    /// The errors that match
    #[default]
    Errors,
    /// The mappings, as a file for `heroku connect:import`
    HerokuConnect,
}

#[derive(Debug, Args)]
pub(super) struct ImportOptions {
    /// Whose configuration it is
    #[arg(value_enum, value_name = "SYSTEM")]
    pub(super) system: System,
    /// The file that `heroku connect:export` wrote
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// The org's My Domain, https://acme.my.salesforce.com
    #[arg(long, value_name = "URL")]
    pub(super) login_url: Option<String>,
    /// The consumer key of the external client app
    #[arg(long, value_name = "KEY")]
    pub(super) client_id: Option<String>,
    #[command(flatten)]
    pub(super) calls: CallOptions,
    /// Print the configuration, and write no file
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// What a forecast of API calls goes by.
#[derive(Debug, Args)]
pub(super) struct CallOptions {
    /// Changes that applications write a day, in all mappings together [default: 10,000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..=1_000_000_000))]
    pub(super) changes_a_day: Option<i64>,
    /// API calls that the org allows a day [default: 100,000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=1_000_000_000))]
    pub(super) allowance: Option<i64>,
}

#[derive(Debug, Args)]
pub(super) struct SimulatorOptions {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8043)]
    pub(super) port: u16,
    /// Records at the start
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(super) rows: usize,
    /// The same number gives the same records and the same dice of the faults
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    /// Public key or certificate (PEM) of the app, for a login by JWT: assertions must be signed with its private key
    #[arg(long, value_name = "FILE")]
    pub(super) jwt_key: Option<PathBuf>,
    /// Each refresh token is good once and gives the next; one that comes a second time ends all access
    #[arg(long)]
    pub(super) rotate_refresh_tokens: bool,
    /// Milliseconds that each answer takes longer
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=600_000))]
    pub(super) latency: u64,
}

/// What is done about alerts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum AlertAction {
    /// What fires, what is silenced, how the channels are
    #[default]
    List,
    /// Tell nothing of it for a time
    Silence,
    /// End a silence by its number
    Unsilence,
    /// It is in hand: it is told no more until it is over
    Acknowledge,
    /// Send a message through a channel
    Test,
}

#[derive(Debug, Args)]
pub(super) struct AlertOptions {
    /// What to do
    #[arg(value_enum, value_name = "OPERATION", default_value_t)]
    pub(super) action: AlertAction,
    /// A rule, RULE:SUBJECT as listed, or all; of unsilence the silence's number; of test the channel
    #[arg(value_name = "WHAT")]
    pub(super) what: Option<String>,
    /// How long a silence lasts [default: 1h]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub(super) length: Option<Duration>,
    /// Why, for the others
    #[arg(long, value_name = "TEXT", value_parser = free_text, allow_hyphen_values = true)]
    pub(super) note: Option<String>,
}

impl AlertOptions {
    /// An option that another operation has, and which.
    pub(super) fn foreign(&self) -> Option<(&'static str, &'static str)> {
        match self.action {
            AlertAction::Silence => None,
            _ if self.length.is_some() => Some(("--for", "silence")),
            AlertAction::Acknowledge => None,
            _ => self.note.is_some().then_some(("--note", "silence and acknowledge")),
        }
    }
}

/// What is done about causes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum CauseAct {
    /// Those that have errors
    #[default]
    List,
    /// One, with how it was grouped
    Show,
    /// It is yours, or WHO's; - is nobody's
    Own,
    /// What is to be known about it
    Note,
    /// Alerts say nothing of it until more of it comes
    Mute,
    /// They do again
    Unmute,
}

#[derive(Debug, Args)]
pub(super) struct CauseOptions {
    /// What to do
    #[arg(value_enum, value_name = "ACT", default_value_t)]
    pub(super) act: CauseAct,
    /// A cause, as listed; its first letters are enough
    #[arg(value_name = "CAUSE")]
    pub(super) group: Option<String>,
    /// Of own: who; of note: the note
    #[arg(value_name = "WHO|NOTE", value_parser = free_text, allow_hyphen_values = true)]
    pub(super) text: Option<String>,
    /// What ends a mute: "100 more", a time such as 2d, a date such as 2026-12-01, or grows [default: grows]
    #[arg(long, value_name = "WHEN", value_parser = free_text, allow_hyphen_values = true)]
    pub(super) until: Option<String>,
    /// List mended ones, too
    #[arg(long)]
    pub(super) all: bool,
    /// List at most this many
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(super) limit: usize,
}

impl CauseOptions {
    /// Something that is given and that another act has, and which.
    pub(super) fn foreign(&self) -> Option<(&'static str, &'static str)> {
        let is = |act: CauseAct| self.act == act;
        if self.until.is_some() && !is(CauseAct::Mute) {
            return Some(("--until", "mute"));
        }
        if self.all && !is(CauseAct::List) {
            return Some(("--all", "list"));
        }
        (self.text.is_some() && !is(CauseAct::Own) && !is(CauseAct::Note))
            .then_some(("a third word", "own and note"))
    }
}

#[derive(Debug, Args)]
pub(super) struct StatsOptions {
    /// The last so much time, beside the same time before it: 1h to 366d
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = duration)]
    pub(super) since: Duration,
    /// Only this mapping, by object or table
    #[arg(long)]
    pub(super) mapping: Option<String>,
    /// A review in Markdown: rates, most frequent causes, patterns, what got better and worse
    #[arg(long, conflicts_with = "json")]
    pub(super) report: bool,
}

/// A text that may begin with a hyphen; one that looks like an option is most likely the next option, with the text
/// itself forgotten.
fn free_text(text: &str) -> Result<String, String> {
    match text.strip_prefix("--") {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => Err(format!(
            "a text is missing before {text}; to mean these letters, put them in quotes: '\"{text}\"'"
        )),
        _ => Ok(text.to_owned()),
    }
}

fn number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "name an error by its number, as listed by: syncdeck errors".to_owned())
}

fn operation(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "name an operation by its number, as listed by: syncdeck audit".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    crate::domain::values::duration::parse(text).ok_or_else(|| "write it as 500ms, 20s, 2m or 1h".to_owned())
}
