//! What the program tells about itself, without any configuration: completions, manual pages, the console's keys.

use std::io::{self, Write};
use std::sync::Arc;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use color_eyre::eyre::Result;
use serde_json::{Value, json};

use crate::config::ConfigError;
use crate::console::command::Command;
use crate::console::keymap::Keymap;
use crate::console::pane::Pane;

use super::args::{Cli, STATUSES};
use super::{DONE, config, print};

/// How keys are written that are pressed together.
const HELD: &str = "C- is Ctrl, A- is Alt, S- is Shift";

/// What of the surroundings is heeded.
const ENVIRONMENT: [(&str, &str); 8] = [
    ("NO_COLOR", "Where it is set and not empty, the console has no colours; attributes stand for them."),
    (
        "TERM",
        "The console keeps to ASCII where it is linux, and to ASCII without colours where it is dumb. Where it names 256 \
         colours, or COLORTERM is set, COLORFGBG is heeded.",
    ),
    (
        "COLORFGBG",
        "The theme auto is dark or light by the background that this tells, as rxvt and Konsole set it.",
    ),
    (
        "LC_ALL, LC_CTYPE, LANG",
        "The console keeps to ASCII where the first of these that is set names no UTF-8.",
    ),
    ("TMUX", "Where it is set, the console says with each copy what tmux needs to pass it on."),
    ("XDG_CONFIG_HOME", "Where the user's configuration is; ~/.config without it."),
    ("XDG_STATE_HOME", "Where the console keeps its state; ~/.local/state without it."),
    ("USER, LOGNAME", "The person that the audit names for an operation."),
];

/// What is read and written.
const FILES: [(&str, &str); 3] = [
    (
        "./syncdeck.toml",
        "The configuration, unless --config names another. Mode 600 where it holds a secret.",
    ),
    ("$XDG_CONFIG_HOME/syncdeck/config.toml", "The configuration where there is none in the directory."),
    (
        "$XDG_STATE_HOME/syncdeck/",
        "Of each database a file with where its console was left, what was typed there and not saved, the filters typed \
         last and those kept.",
    ),
];

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
    let page = match name {
        None => whole_page(command)?,
        Some(name) => {
            let command = command.find_subcommand(name).cloned().ok_or_else(|| {
                print::Usage(format!("there is no command {name:?}\nsee them with: syncdeck --help"))
            })?;
            let mut page = Vec::new();
            Man::new(command).render(&mut page)?;
            page
        }
    };
    print::text(&page)?;
    Ok(DONE)
}

/// The page of the program: its options and commands, and what no `--help` has room for.
fn whole_page(command: clap::Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    man.render_subcommands_section(&mut page)?;
    let keymap = Keymap::default();
    let keys: Vec<(String, String)> = keymap
        .all()
        .map(|(command, keys)| {
            let keys = if keys.is_empty() { format!(":{}", command.name) } else { keys.join(", ") };
            (keys, format!("{} ({}): {}.", command.name, place(command), command.doc))
        })
        .collect();
    let keys_are = format!("The keys of the console, as [console.keys] may change them. {HELD}.");
    section(&mut page, "KEYS", &keys_are, &keys)?;
    section(&mut page, "EXIT STATUS", "", &STATUSES)?;
    section(&mut page, "ENVIRONMENT", "", &ENVIRONMENT)?;
    section(&mut page, "FILES", "", &FILES)?;
    man.render_version_section(&mut page)?;
    Ok(page)
}

/// A section of a page: what is said first, then what each thing is.
fn section(
    page: &mut Vec<u8>,
    title: &str,
    text: &str,
    of: &[(impl ToString, impl ToString)],
) -> io::Result<()> {
    writeln!(page, ".SH \"{title}\"")?;
    if !text.is_empty() {
        writeln!(page, "{}", roff(text))?;
    }
    of.iter().try_for_each(|(name, meaning)| {
        writeln!(page, ".TP\n\\fB{}\\fR\n{}", roff(&name.to_string()), roff(&meaning.to_string()))
    })
}

/// A text as the pages' formatter takes it for itself.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    // A dot at its beginning would be a request.
    if text.starts_with('.') { format!("\\&{text}") } else { text }
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
            let keys = if keys.is_empty() { "-".to_owned() } else { keys.join(" ") };
            vec![keys, command.name.to_owned(), place(command), command.doc.to_owned()]
        })
        .collect();
    print::table(&["keys", "command", "works in", "what it does"], &rows)?;
    print::note(&format!("{HELD}; - is in the palette (:) only"));
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

/// Where a command works.
fn place(command: &Command) -> String {
    match command.panes {
        [] => "everywhere".to_owned(),
        panes => titles(panes).join(", "),
    }
}

fn titles(panes: &[Pane]) -> Vec<String> {
    panes.iter().map(|pane| pane.title().to_lowercase()).collect()
}
