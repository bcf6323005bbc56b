//! Options of commands that do something to rows, or compare them: which errors, and how it goes.

use std::time::Duration;

use clap::Args;

use super::{duration, free_text, number};

/// Errors by number or by filter, and how an operation on them goes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Many {
    /// The errors' numbers
    #[arg(required_unless_present = "filter", conflicts_with = "filter", value_parser = number)]
    pub(in crate::cli) ids: Vec<i64>,
    /// All errors that match, in the console's filter language (group:NAME for a group)
    #[arg(long = "where", value_name = "FILTER", value_parser = free_text, allow_hyphen_values = true)]
    pub(in crate::cli) filter: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) how: OperationOptions,
}

/// How an operation goes.
#[derive(Debug, Args)]
pub(in crate::cli) struct OperationOptions {
    /// Show what it would do, and change nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub(in crate::cli) yes: bool,
    /// Wait for Salesforce's answers to what is sent
    #[arg(long)]
    pub(in crate::cli) wait: bool,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT", value_parser = free_text, allow_hyphen_values = true)]
    pub(in crate::cli) why: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct FixOptions {
    /// An error's number (not with --where), then fields and their new values; FIELD= sets NULL
    #[arg(required = true, value_name = "ID|FIELD=VALUE")]
    pub(in crate::cli) what: Vec<String>,
    /// All errors that match, in the console's filter language (group:NAME for a group); one field
    #[arg(long = "where", value_name = "FILTER", value_parser = free_text, allow_hyphen_values = true)]
    pub(in crate::cli) filter: Option<String>,
    /// Put the field's value through transforms instead: --apply 'trim | phone_e164(US)' Phone; a regular expression is
    /// one of them: replace("from", "to")
    #[arg(long, value_name = "TRANSFORMS", value_parser = free_text, allow_hyphen_values = true)]
    pub(in crate::cli) apply: Option<String>,
    /// Do instead what this remedy says, by its number in `syncdeck show`, and send the row again
    #[arg(long, value_name = "N", conflicts_with_all = ["filter", "apply"])]
    pub(in crate::cli) remedy: Option<usize>,
    /// Send the rows again at once
    #[arg(long)]
    pub(in crate::cli) retry: bool,
    #[command(flatten)]
    pub(in crate::cli) how: OperationOptions,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyOptions {
    /// Object or table; without, all of them
    pub(in crate::cli) mapping: Option<String>,
    /// Make the other side like this one, where that can be done by itself
    #[arg(long, value_name = "SIDE", value_parser = ["postgres", "salesforce"])]
    pub(in crate::cli) repair: Option<String>,
    /// Tell at most this many of what is found, in words
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(in crate::cli) limit: usize,
    #[command(flatten)]
    pub(in crate::cli) how: OperationOptions,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ShadowKeys {
    /// Begin rounds for so long; Ctrl-C ends it with the report [default: until what differs in the first round has come
    /// to agree or stays different, at most 1h]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub(in crate::cli) time: Option<Duration>,
    /// From the beginning of one round to that of the next [default: 15m, or half as much again as the longest --catch-up]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(in crate::cli) every: Option<Duration>,
    /// How long Heroku Connect may take to bring a change: what stays different longer, over two rounds or more, is a
    /// difference [default: each mapping's poll_interval; 10m where the tables tell what is mapped]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(in crate::cli) catch_up: Option<Duration>,
    /// Only this mapping, by object or table
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) mapping: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RebindOptions {
    /// Show what it would do, and change nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Do not ask; needs --org
    #[arg(long)]
    pub(in crate::cli) yes: bool,
    /// The id of the org that is meant; needed with --yes, and where a mapping finds no record there
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) org: Option<String>,
    /// Give the changes up that are not settled with the org before: they go to the archive, and are never sent
    #[arg(long)]
    pub(in crate::cli) give_up_changes: bool,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT", value_parser = free_text, allow_hyphen_values = true)]
    pub(in crate::cli) why: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ResolveOptions {
    /// The error's number and fields with the side that wins: 12 Email=salesforce; * is every one that is open. With
    /// --where, the side alone
    #[arg(required = true, value_name = "ID FIELD=SIDE|SIDE")]
    pub(in crate::cli) what: Vec<String>,
    /// All errors that match, in the console's filter language
    #[arg(long = "where", value_name = "FILTER", value_parser = free_text, allow_hyphen_values = true)]
    pub(in crate::cli) filter: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) how: OperationOptions,
}
