//! What the program tells about itself, without any configuration: completions, manual pages, the console's keys.

use std::sync::Arc;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use color_eyre::eyre::Result;
use serde_json::{Value, json};

use crate::config::ConfigError;
use crate::console::command::Command;
use crate::console::keymap::Keymap;
use crate::console::model::Pane;

use super::args::Cli;
use super::{DONE, config, print};

/// What a shell reads to complete commands and options.
pub(super) fn completions(shell: Shell) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "syncdeck", &mut script);
    print::text(&script)?;
    Ok(DONE)
}

/// The manual page of the program, or of one command.
pub(super) fn man(name: Option<&str>) -> Result<u8> {
    let mut command = Cli::command();
    command.build();
    let command = match name {
        None => command,
        Some(name) => command.find_subcommand(name).cloned().ok_or_else(|| {
            print::Usage(format!("there is no command {name:?}\nsee them with: syncdeck --help"))
        })?,
    };
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    print::text(&page)?;
    Ok(DONE)
}

/// The console's commands with the keys in force, by the names that the configuration takes.
pub(super) fn keys(cli: &Cli) -> Result<u8> {
    let keymap = match in_force(cli) {
        Ok(keymap) => keymap,
        // Without a configuration the keys are those of the table; one that was named has to be there.
        Err(ConfigError::Missing { .. }) if cli.config.is_none() => Arc::default(),
        // Whoever is told that a key is wrong comes here for those that there are.
        Err(wrong @ (ConfigError::Key { .. } | ConfigError::Syntax { .. })) => {
            print::problem(&format!("{wrong}\nlisted here are the keys without it, the defaults"));
            Arc::default()
        }
        Err(error) => return Err(error.into()),
    };
    if cli.json {
        let commands: Vec<Value> = keymap.all().map(|(command, keys)| document(command, keys)).collect();
        print::json(&commands, true)?;
        return Ok(DONE);
    }
    let rows: Vec<Vec<String>> = keymap
        .all()
        .map(|(command, keys)| {
            let place = match command.panes {
                [] => "everywhere".to_owned(),
                panes => titles(panes).join(", "),
            };
            let keys = if keys.is_empty() { "-".to_owned() } else { keys.join(" ") };
            vec![keys, command.name.to_owned(), place, command.doc.to_owned()]
        })
        .collect();
    print::table(&["keys", "command", "works in", "what it does"], &rows)?;
    print::note("C- is Ctrl, A- is Alt, S- is Shift; - is in the palette (:) only");
    Ok(DONE)
}

fn in_force(cli: &Cli) -> Result<Arc<Keymap>, ConfigError> {
    let config = config(cli)?;
    Keymap::configured(&config.console.keys)
        .map(Arc::new)
        .map_err(|unfit| config.refuse_console(&unfit.entry, unfit.problem, unfit.remedy))
}

fn document(command: &Command, keys: &[String]) -> Value {
    json!({"command": command.name, "title": command.title, "keys": keys, "panes": titles(command.panes),
        "changes": command.mutates, "doc": command.doc})
}

fn titles(panes: &[Pane]) -> Vec<String> {
    panes.iter().map(|pane| pane.title().to_lowercase()).collect()
}
