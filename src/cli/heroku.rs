//! `syncdeck import heroku-connect` and `syncdeck export heroku-connect`: the mappings of Heroku Connect as a configuration
//! of ours, and the other way round. Neither writes over a file.

use std::io;
use std::path::{Path, PathBuf};

use chrono::Utc;
use color_eyre::eyre::Result;
use serde_json::json;

use crate::config::heroku_connect::written::{Choices, WrittenExport, write};
use crate::config::heroku_connect::{Note, export as to_heroku, read};
use crate::config::{Config, edit};
use crate::domain::changes::write_job::from_how_many;
use crate::domain::mappings::mapping::Access;
use crate::domain::reports::forecast::{
    self, BATCH, CHANGES, Circumstances, Demand, Forecast, WriteForecast,
};
use crate::domain::values::address::OrgAddress;
use crate::domain::values::size::thousands;

use super::args::{CallOptions, Cli, ImportOptions, System};
use super::{DONE, bulk, print};

/// What is written unless another is named.
const FILE: &str = "syncdeck.toml";

/// Writes a configuration from a file of Heroku Connect, and says what differs and what it will take.
pub(super) fn import(cli: &Cli, options: &ImportOptions) -> Result<u8> {
    let System::HerokuConnect = options.system;
    let path = cli.config.clone().unwrap_or_else(|| PathBuf::from(FILE));
    if !options.dry_run {
        bulk::refuse_read_only(cli)?;
        refuse_existing(&path, "name another with --config FILE, or look first with --dry-run")?;
    }
    if let Some(Err(problem)) = options.login_url.as_deref().map(OrgAddress::parse) {
        let text = format!(
            "--login-url {problem}\nuse your org's My Domain, such as https://acme.my.salesforce.com"
        );
        return Err(print::Usage(text).into());
    }
    let exported = read::load(&options.file)?;
    let written = write(
        &exported,
        &Choices {
            name: cli.connection.clone(),
            login_url: options.login_url.clone(),
            client_id: options.client_id.clone(),
        },
    );
    // What is written is what is read again.
    let config = Config::shape(&path, &written.text, None)?;
    let forecast = foretell(&config, &options.calls);
    if !options.dry_run {
        create(&path, &written.text, "name another with --config FILE")?;
    }
    if cli.json {
        let to_fill: Vec<_> =
            written.to_fill.iter().map(|(line, what)| json!({"line": line, "what": what})).collect();
        let written = if options.dry_run { json!(written.text) } else { json!(path.display().to_string()) };
        let key = if options.dry_run { "text" } else { "file" };
        print::json(
            &json!({key: written, "mappings": config.mappings.len(), "to_fill": to_fill, "notes": exported.notes,
                "forecast": forecast}),
            true,
        )?;
        return Ok(DONE);
    }
    tell_import(&path, &config, &exported.notes, &written, options.dry_run)?;
    super::forecast::print(&forecast)?;
    tell_next(&path, &written)?;
    Ok(DONE)
}

fn tell_import(
    path: &Path,
    config: &Config,
    notes: &[Note],
    written: &WrittenExport,
    dry_run: bool,
) -> io::Result<()> {
    let (count, shown) = (config.mappings.len(), path.display());
    if dry_run {
        // A file of somebody else's must not speak to the terminal. A blank line follows its last one.
        print::line(&written.text)?;
    }
    let read_only = config.mappings.iter().filter(|mapping| mapping.access == Access::ReadOnly).count();
    let verb = if dry_run { "nothing is written; it would be" } else { "written:" };
    print::line(&format!("{verb} {shown}, with {count} mappings, {read_only} of them read only"))?;
    if !notes.is_empty() {
        print::line("\nWhat has no counterpart in syncdeck, and what it does instead:")?;
    }
    tell_notes(notes, count).iter().try_for_each(|line| print::line(line))
}

/// A line each.
fn tell_notes(notes: &[Note], all: usize) -> Vec<String> {
    let whose = |note: &Note| match note.mappings.as_slice() {
        [] => String::new(),
        mappings if mappings.len() == all && all > 1 => "all mappings: ".to_owned(),
        mappings => format!("{}: ", mappings.join(", ")),
    };
    notes.iter().map(|note| format!("  {}{}: {}", whose(note), note.what, note.instead)).collect()
}

fn tell_next(path: &Path, written: &WrittenExport) -> io::Result<()> {
    print::line("\nBefore the first start:")?;
    for (line, what) in &written.to_fill {
        print::line(&format!("  {}:{line}: {what}", path.display()))?;
    }
    print::line("Then look at what a start will do with: syncdeck plan")
}

/// What is known without asking anybody.
fn foretell(config: &Config, options: &CallOptions) -> Forecast {
    let written = config.mappings.iter().filter(|mapping| mapping.access == Access::ReadWrite).count();
    let mut shares = forecast::shares(options.changes_a_day.unwrap_or(CHANGES), written);
    let demands: Vec<Demand> = config
        .mappings
        .iter()
        .map(|mapping| Demand {
            mapping: mapping.object.clone(),
            access: mapping.access,
            poll_interval: mapping.rules.poll_pause(true),
            change_events: mapping.rules.change_events,
            asks_deletes: true,
            verify: mapping.rules.verify,
            records: None,
            calls_a_page: 1,
            reads_all: false,
            batch_size: (mapping.rules.batch_size as i64).min(BATCH),
            bulk_from: from_how_many(&mapping.object, &mapping.rules).map(|from| from as i64),
            writes: WriteForecast::Assumed {
                changes: match mapping.access {
                    Access::ReadWrite => shares.next().unwrap_or(0),
                    Access::ReadOnly => 0,
                },
            },
        })
        .collect();
    let around = Circumstances {
        describe_interval: config.salesforce.describe_interval,
        verify_share: config.verify.api_share,
        allowance: super::forecast::allowance(options),
        budget: config.salesforce.api_budget,
    };
    forecast::forecast(&demands, &around)
}

/// Writes the mappings as a file for `heroku connect:import`; what it has no place for is told on standard error.
pub(super) fn export(cli: &Cli, filter: &str, format: Option<&str>, output: Option<&Path>) -> Result<u8> {
    if !filter.is_empty() || format.is_some() {
        let text =
            "--where and --format are about errors\nleave them out: mappings are exported all, as JSON";
        return Err(print::Usage(text.to_owned()).into());
    }
    let (config, text) = Config::load_shape(cli.config.as_deref(), cli.connection.as_deref())?;
    let (file, notes) = to_heroku::export(&config, &text, Utc::now());
    let count = config.mappings.len();
    match output {
        None => print::json(&file, true)?,
        Some(path) => {
            let text = serde_json::to_string_pretty(&file)? + "\n";
            create(path, &text, "name another with -o FILE")?;
            if cli.json {
                let written = path.display().to_string();
                print::json(&json!({"written": count, "file": written, "notes": notes}), true)?;
                return Ok(DONE);
            }
            print::problem(&format!("{} mappings written to {}", thousands(count), path.display()));
        }
    }
    if !notes.is_empty() {
        print::note("What has no counterpart in Heroku Connect, and what is written instead:");
        tell_notes(&notes, count).iter().for_each(|line| print::note(line));
    }
    Ok(DONE)
}

/// A file that is there is nobody's to write over.
fn refuse_existing(path: &Path, remedy: &str) -> Result<(), print::Usage> {
    if path.symlink_metadata().is_ok() {
        return Err(existing(path, remedy));
    }
    Ok(())
}

fn existing(path: &Path, remedy: &str) -> print::Usage {
    print::Usage(format!("{} exists, and is not written over\n{remedy}", path.display()))
}

fn create(path: &Path, text: &str, remedy: &str) -> Result<()> {
    match edit::write_new(path, text) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(existing(path, remedy).into()),
        written => Ok(written?),
    }
}
