//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Keeps a Salesforce org and a PostgreSQL schema in step, and shows what fails, why, and how to mend it.
///
/// Without a command: the console.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(super) struct Cli {
    /// Configuration [default: ./syncdeck.toml, then $XDG_CONFIG_HOME/syncdeck/config.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Start no engine and change nothing
    #[arg(long, global = true)]
    pub(super) read_only: bool,
    /// Print JSON on standard output and nothing else
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Set up: asks for database, org and first mappings, tests each, and writes the configuration
    Init {
        /// Replace a login that was lost or revoked; the engine waits for it and goes on
        #[arg(long)]
        reconnect: bool,
    },
    /// The engine alone (a service)
    Run,
    /// Everything on this machine: private PostgreSQL, simulated org, engine, console
    Demo(DemoOptions),
    /// The simulated org alone
    Simulator(SimulatorOptions),
    /// How the connection, the engine and the mappings stand
    Status {
        /// Exit with 3 when one of these holds: errors, held, stopped, connection
        #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = ["errors", "held", "stopped", "connection"])]
        fail_on: Vec<String>,
    },
    /// Sync errors, newest first
    Errors {
        /// Only those that match, in the console's filter language
        #[arg(long = "where", value_name = "FILTER")]
        filter: Option<String>,
        /// By cause: same mapping, code, fields and message template
        #[arg(long)]
        group: bool,
        /// At most this many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// One error or row: what is wrong and what to do, its row beside its record, what will be sent, what happened
    Show {
        /// The error's number, or a row as MAPPING:ROW, whether it fails or not
        #[arg(value_name = "ID|MAPPING:ROW")]
        what: String,
    },
    /// Change fields of an error's row
    Fix(FixOptions),
    /// Send the rows of errors again as they are
    Retry {
        /// The errors' numbers
        #[arg(required = true)]
        ids: Vec<i64>,
        /// Wait for Salesforce's answer
        #[arg(long)]
        wait: bool,
    },
    /// Choose a side of fields that changed both here and in Salesforce
    Choose {
        /// The error's number
        id: i64,
        /// Fields and the side that wins: Email=salesforce; * is every one that is open
        #[arg(required = true, value_name = "FIELD=postgres|salesforce")]
        sides: Vec<String>,
    },
    /// What an error code or a line of a log means, and what to do about it
    Explain {
        /// A code, or a message
        text: String,
    },
    /// Stop asking about errors: they leave the list and are not tried again by themselves
    Ignore {
        /// The errors' numbers
        #[arg(required = true)]
        ids: Vec<i64>,
    },
    /// A mapping's rules and writes: show them, change them at run time, pause, resume
    Mapping {
        /// Object or table; without, all of them
        name: Option<String>,
        /// pause, resume, or rules to set: strategy=retry Phone.transforms='trim | phone_e164(US)'; KEY= leaves a rule
        /// to the configuration again
        #[arg(value_name = "pause|resume|KEY=VALUE")]
        changes: Vec<String>,
    },
    /// Loads, polls and spells of sending, newest first: what each did, and what went wrong
    Runs {
        /// Object or table; without, all of them
        mapping: Option<String>,
        /// Only those with failures
        #[arg(long)]
        failed: bool,
        /// At most this many
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// The log
    Logs {
        /// Go on as it grows
        #[arg(short, long)]
        follow: bool,
        /// Only lines that match: words, level:warn, mapping:Contact, -word
        #[arg(long = "where", value_name = "FILTER")]
        filter: Option<String>,
        /// Begin with this many lines
        #[arg(short = 'n', long, default_value_t = 100)]
        lines: usize,
    },
}

#[derive(Debug, Args)]
pub(super) struct DemoOptions {
    /// Keep the workspace here [default: a temporary one, removed on exit]
    #[arg(long)]
    pub(super) dir: Option<PathBuf>,
    /// Records in the org at the start
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub(super) rows: u32,
    /// Draw nothing; print a JSON report at the end
    #[arg(long)]
    pub(super) headless: bool,
    /// How long the writers go on, with --headless
    #[arg(long = "for", value_name = "DURATION", default_value = "20s", value_parser = duration)]
    pub(super) time: Duration,
}

#[derive(Debug, Args)]
pub(super) struct SimulatorOptions {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8043)]
    pub(super) port: u16,
    /// Records at the start
    #[arg(long, default_value_t = 1_000)]
    pub(super) rows: usize,
}

#[derive(Debug, Args)]
pub(super) struct FixOptions {
    /// The error's number
    pub(super) id: i64,
    /// Fields and their new values; FIELD= sets NULL
    #[arg(required_unless_present = "remedy", value_name = "FIELD=VALUE")]
    pub(super) fields: Vec<String>,
    /// Do instead what this remedy says, by its number in `syncdeck show`, and send the row again
    #[arg(long, value_name = "N", conflicts_with = "fields")]
    pub(super) remedy: Option<usize>,
    /// Send the row again at once
    #[arg(long)]
    pub(super) retry: bool,
    /// Wait for Salesforce's answer (with --retry or --remedy)
    #[arg(long)]
    pub(super) wait: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    crate::domain::duration::parse(text).ok_or_else(|| "write it as 500ms, 20s, 2m or 1h".to_owned())
}
