//! `[console]`: looks, clock, keys, colours and saved filters of the console. Nothing here concerns an engine, which
//! neither reads it nor stops for it. Names of commands, keys, roles and colours are the console's own to check; where
//! one is wrong, [`Config::refuse_console`](super::Config::refuse_console) says so at its place.

use std::collections::BTreeMap;

use chrono::Utc;
use serde::Deserialize;
use toml::{Spanned, Value};

use crate::domain::errors::filter::Filter;
use crate::domain::values::size;
use crate::logs::line::LogFilter;

use super::ConfigError;
use super::written::Check;

/// The looks that `console.theme` may name.
pub const THEMES: [&str; 7] = ["auto", "dark", "light", "contrast", "16", "mono", "ascii"];

/// What `console.home` may name: the lists, or the groups of errors.
pub const HOMES: [&str; 2] = ["lists", "groups"];

/// What takes a text that is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyTo {
    /// A program with its arguments, which reads the text from its standard input.
    Command(Vec<String>),
    /// A file, which holds what was copied last.
    File(String),
}

/// How the console looks and behaves; the defaults are those of a file without `[console]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleSettings {
    /// One of [`THEMES`].
    pub theme: String,
    /// One of [`HOMES`]: what a console begins with.
    pub home: String,
    /// Draw with ASCII characters only.
    pub ascii: bool,
    /// Show the time of day.
    pub clock: bool,
    /// Tell times in UTC, not in the operator's zone.
    pub utc: bool,
    /// Take the mouse, which then no longer selects text in the terminal.
    pub mouse: bool,
    /// Where `copy` brings a text, where that is not the terminal's clipboard.
    pub copy: Option<CopyTo>,
    /// How much of the log is kept at hand, in bytes.
    pub log_memory: u64,
    /// `[console.keys]`: the keys of a command, by its name as it is written.
    pub keys: BTreeMap<String, Vec<String>>,
    /// `[console.colors]`: a colour word, a number or `#rrggbb`, by the role as it is written.
    pub colors: BTreeMap<String, String>,
    /// `[console.filters]`: filters of errors that can be read, by name.
    pub filters: BTreeMap<String, String>,
    /// `[console.log_filters]`: filters of the log that can be read, by name.
    pub log_filters: BTreeMap<String, String>,
    /// The line of each entry of the four tables above, from 1, by `keys.retry`.
    pub lines: BTreeMap<String, usize>,
}

impl Default for ConsoleSettings {
    fn default() -> ConsoleSettings {
        ConsoleSettings {
            theme: "auto".to_owned(),
            home: "lists".to_owned(),
            ascii: false,
            clock: true,
            utc: false,
            mouse: false,
            copy: None,
            log_memory: 64 << 20,
            keys: BTreeMap::new(),
            colors: BTreeMap::new(),
            filters: BTreeMap::new(),
            log_filters: BTreeMap::new(),
            lines: BTreeMap::new(),
        }
    }
}

/// `[console]` alone, of a file whose other tables are read elsewhere.
#[derive(Deserialize)]
pub(super) struct ConsoleFile {
    #[serde(default)]
    pub(super) console: ConsoleKeys,
}

/// Values of any type: a refusal of one that does not fit names its key.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsoleKeys {
    #[serde(default)]
    theme: Option<Spanned<Value>>,
    #[serde(default)]
    home: Option<Spanned<Value>>,
    #[serde(default)]
    ascii: Option<Spanned<Value>>,
    #[serde(default)]
    clock: Option<Spanned<Value>>,
    #[serde(default)]
    utc: Option<Spanned<Value>>,
    #[serde(default)]
    mouse: Option<Spanned<Value>>,
    #[serde(default)]
    copy: Option<Spanned<Value>>,
    #[serde(default)]
    log_memory: Option<Spanned<Value>>,
    #[serde(default)]
    keys: BTreeMap<String, Spanned<Value>>,
    #[serde(default)]
    colors: BTreeMap<String, Spanned<Value>>,
    #[serde(default)]
    filters: BTreeMap<String, Spanned<Value>>,
    #[serde(default)]
    log_filters: BTreeMap<String, Spanned<Value>>,
}

impl Check<'_> {
    /// The settings of the console.
    pub(super) fn console(&self, keys: ConsoleKeys) -> Result<ConsoleSettings, ConfigError> {
        let mut settings = ConsoleSettings::default();
        if let Some(theme) = keys.theme {
            let known = theme.get_ref().as_str().filter(|name| THEMES.contains(name));
            settings.theme = known.map(str::to_owned).ok_or_else(|| {
                let remedy = format!("use one of {}", THEMES.join(", "));
                self.refuse(&theme, "console.theme", "is unknown", &remedy)
            })?;
        }
        if let Some(home) = keys.home {
            let known = home.get_ref().as_str().filter(|name| HOMES.contains(name));
            settings.home = known.map(str::to_owned).ok_or_else(|| {
                let remedy = format!("use one of {}", HOMES.join(", "));
                self.refuse(&home, "console.home", "is unknown", &remedy)
            })?;
        }
        for (key, setting, written) in [
            ("ascii", &mut settings.ascii, keys.ascii),
            ("clock", &mut settings.clock, keys.clock),
            ("utc", &mut settings.utc, keys.utc),
            ("mouse", &mut settings.mouse, keys.mouse),
        ] {
            let Some(written) = written else { continue };
            *setting = written.get_ref().as_bool().ok_or_else(|| {
                let problem = "is neither true nor false";
                self.refuse(&written, &format!("console.{key}"), problem, "use true or false, without quotes")
            })?;
        }
        if let Some(copy) = keys.copy {
            settings.copy = self.copy_to(&copy)?;
        }
        if let Some(memory) = keys.log_memory {
            let bytes = memory.get_ref().as_str().and_then(size::parse);
            settings.log_memory = bytes.filter(|bytes| *bytes >= 64 << 10).ok_or_else(|| {
                let problem = "is no amount of memory from 64kB on";
                let remedy = "write it as \"512kB\", \"64MB\" or \"1GB\"";
                self.refuse(&memory, "console.log_memory", problem, remedy)
            })?;
        }
        for (command, value) in keys.keys {
            let key = format!("keys.{command}");
            let names = self.key_names(&key, &value)?;
            settings.lines.insert(key, self.line(value.span().start));
            settings.keys.insert(command, names);
        }
        for (role, value) in keys.colors {
            let key = format!("colors.{role}");
            let remedy = "write a colour word, a number from 0 to 255, or \"#rrggbb\"";
            let colour = match value.get_ref() {
                Value::Integer(number) => number.to_string(),
                _ => self.console_text(&key, &value, remedy)?,
            };
            settings.lines.insert(key, self.line(value.span().start));
            settings.colors.insert(role, colour);
        }
        for (name, value) in keys.filters {
            let read = |filter: &str| Filter::parse(filter, Utc::now()).err().map(|error| error.to_string());
            let key = format!("filters.{name}");
            let filter = self.console_filter(&key, &value, "code:EMAIL -state:held", read)?;
            settings.lines.insert(key, self.line(value.span().start));
            settings.filters.insert(name, filter);
        }
        for (name, value) in keys.log_filters {
            let read = |filter: &str| LogFilter::parse_any(filter).err();
            let key = format!("log_filters.{name}");
            let filter = self.console_filter(&key, &value, "level:warn -source:shop", read)?;
            settings.lines.insert(key, self.line(value.span().start));
            settings.log_filters.insert(name, filter);
        }
        Ok(settings)
    }

    /// What takes a text that is copied; `None` is the terminal's clipboard.
    fn copy_to(&self, value: &Spanned<Value>) -> Result<Option<CopyTo>, ConfigError> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let found = match value.get_ref() {
            Value::Array(words) => words.iter().map(text).collect::<Option<Vec<_>>>().map(CopyTo::Command),
            one => match text(one).as_deref() {
                Some("terminal") => return Ok(None),
                one => one.map(|path| CopyTo::File(path.to_owned())),
            },
        };
        let is_named = |to: &CopyTo| match to {
            CopyTo::Command(words) => words.first().is_some_and(|program| !program.is_empty()),
            CopyTo::File(path) => path.starts_with('/') || path.starts_with("~/"),
        };
        found.filter(is_named).map(Some).ok_or_else(|| {
            let problem = "is neither a command, nor the path of a file, nor \"terminal\"";
            let remedy =
                "write [\"wl-copy\"], [\"xclip\", \"-selection\", \"clipboard\"] or \"~/copied.txt\"";
            self.refuse(value, "console.copy", problem, remedy)
        })
    }

    /// A filter in which nothing is wrong.
    fn console_filter(
        &self,
        key: &str,
        value: &Spanned<Value>,
        example: &str,
        wrong: impl Fn(&str) -> Option<String>,
    ) -> Result<String, ConfigError> {
        let filter = self.console_text(key, value, &format!("write a filter, such as {example:?}"))?;
        match wrong(&filter) {
            None => Ok(filter),
            Some(why) => {
                let remedy = "correct it; it is written as the console's own filter is typed";
                Err(self.refuse(value, &format!("console.{key}"), &why, remedy))
            }
        }
    }

    /// A key, or a list of at least one: a console without the way out, or without its palette, helps nobody.
    fn key_names(&self, key: &str, value: &Spanned<Value>) -> Result<Vec<String>, ConfigError> {
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        if value.get_ref().as_array().is_some_and(Vec::is_empty) {
            let problem = "is empty: a command's keys can be changed, not taken away";
            let remedy =
                "give it a key that you do not press, such as \"F12\"; syncdeck keys lists all in force";
            return Err(self.refuse(value, &format!("console.{key}"), problem, remedy));
        }
        let names: Option<Vec<String>> = match value.get_ref() {
            Value::Array(names) => names.iter().map(text).collect(),
            one => text(one).map(|name| vec![name]),
        };
        names.ok_or_else(|| {
            let problem = "is neither a key nor a list of keys";
            let remedy = "write \"R\", or [\"j\", \"Down\"]; syncdeck keys lists them";
            self.refuse(value, &format!("console.{key}"), problem, remedy)
        })
    }

    fn console_text(&self, key: &str, value: &Spanned<Value>, remedy: &str) -> Result<String, ConfigError> {
        let text = value.get_ref().as_str().map(str::to_owned);
        text.ok_or_else(|| self.refuse(value, &format!("console.{key}"), "is no text", remedy))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::written::console;
    use super::*;

    fn read(text: &str) -> Result<ConsoleSettings, String> {
        console(Path::new("x.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_written_is_the_default() {
        assert_eq!(read("[connection]\nname = \"acme\"\n").unwrap(), ConsoleSettings::default());
    }

    #[test]
    fn settings_keys_colours_and_filters_are_read_with_their_lines() {
        let text = "[console]\ntheme = \"light\"\nclock = false\nutc = true\nlog_memory = \"512kB\"\n\
            [console.keys]\nretry = \"R\"\ndown = [\"j\", \"Down\"]\n[console.colors]\nbad = \"#ff0000\"\ngood = 114\n\
            [console.filters]\nmine = \"code:EMAIL -state:held\"\n[console.log_filters]\nslow = \"service>5s\"\n";
        let settings = read(text).unwrap();
        assert_eq!((settings.theme.as_str(), settings.clock, settings.utc), ("light", false, true));
        assert_eq!(settings.log_memory, 512 * 1024);
        assert_eq!(settings.keys["down"], ["j", "Down"]);
        assert_eq!((settings.colors["bad"].as_str(), settings.lines["colors.bad"]), ("#ff0000", 10));
        assert_eq!(settings.colors["good"], "114");
        assert_eq!(settings.filters["mine"], "code:EMAIL -state:held");
        assert_eq!(settings.log_filters["slow"], "service>5s");
        assert_eq!((settings.lines["keys.retry"], settings.lines["filters.mine"]), (7, 13));
    }

    #[test]
    fn a_copy_goes_to_the_terminal_a_command_or_a_file() {
        let copy = |text: &str| read(&format!("[console]\ncopy = {text}\n")).unwrap().copy;
        assert_eq!(copy("\"terminal\""), None);
        let command = ["xclip", "-i"].map(str::to_owned).to_vec();
        assert_eq!(copy("[\"xclip\", \"-i\"]"), Some(CopyTo::Command(command)));
        assert_eq!(copy("\"~/copied\""), Some(CopyTo::File("~/copied".to_owned())));
    }

    #[test]
    fn a_refusal_names_the_place_and_the_remedy() {
        for (text, wanted) in [
            ("theme = \"loud\"", "x.toml:2: console.theme: is unknown\nuse one of auto, dark, light"),
            ("log_memory = \"lots\"", "x.toml:2: console.log_memory: is no amount of memory"),
            ("log_memory = \"1kB\"", "x.toml:2: console.log_memory: is no amount of memory from 64kB on"),
            (
                "[console.keys]\nretry = 3",
                "x.toml:3: console.keys.retry: is neither a key nor a list of keys",
            ),
            ("[console.keys]\nretry = [\"R\", 3]", "x.toml:3: console.keys.retry: is neither"),
            (
                "[console.keys]\nquit = []",
                "x.toml:3: console.keys.quit: is empty: a command's keys can be changed, not taken away",
            ),
            ("[console.colors]\nbad = true", "x.toml:3: console.colors.bad: is no text\nwrite a colour word"),
            ("theme = 3", "x.toml:2: console.theme: is unknown"),
            ("home = \"trends\"", "x.toml:2: console.home: is unknown\nuse one of lists, groups"),
            ("copy = []", "x.toml:2: console.copy: is neither a command, nor the path of a file"),
            ("copy = \"xclip\"", "x.toml:2: console.copy: is neither a command"),
            ("copy = [\"xclip\", 3]", "x.toml:2: console.copy: is neither a command"),
            ("log_memory = 64", "x.toml:2: console.log_memory: is no amount of memory"),
            ("mouse = \"yes\"", "x.toml:2: console.mouse: is neither true nor false"),
            (
                "[console.filters]\nmine = \"state:shut\"",
                "x.toml:3: console.filters.mine: state:shut: use open",
            ),
            (
                "[console.log_filters]\nslow = \"level:loud\"",
                "x.toml:3: console.log_filters.slow: level:loud: use debug",
            ),
        ] {
            let told = read(&format!("[console]\n{text}\n")).unwrap_err();
            assert!(told.starts_with(wanted), "{told}");
        }
        let told = read("[console]\ncolour = \"red\"\n").unwrap_err();
        assert!(told.starts_with("x.toml:2:") && told.contains("colour"), "{told}");
    }
}
