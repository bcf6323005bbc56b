//! Which keys are in force: those of the table, but for what the configuration says under `[console.keys]`.

use std::collections::BTreeMap;

use super::command::{COMMANDS, Command};
use super::invalid_setting::InvalidSetting;
use super::keys;
use super::pane::Pane;

/// The keys in force.
#[derive(Clone, Debug)]
pub struct Keymap {
    /// Of each command, by its place in the table.
    keys: Vec<Vec<String>>,
}

impl Default for Keymap {
    fn default() -> Keymap {
        let of = |command: &Command| command.keys.iter().map(|key| (*key).to_owned()).collect();
        Keymap { keys: COMMANDS.iter().map(of).collect() }
    }
}

impl Keymap {
    /// The keys of the table, but for these: a command's name with the keys that it has instead.
    ///
    /// # Errors
    /// A name that no command has, a key that there is not, or one that two commands of a pane would have; the text
    /// says which, and what to write.
    pub fn configured(wanted: &BTreeMap<String, Vec<String>>) -> Result<Keymap, InvalidSetting> {
        let mut map = Keymap::default();
        for (name, keys) in wanted {
            let refuse = |problem: String, remedy: &str| {
                Err(InvalidSetting { entry: format!("keys.{name}"), problem, remedy: remedy.to_owned() })
            };
            let mut own = Vec::new();
            for key in keys {
                match keys::written(key) {
                    Ok(key) if own.contains(&key) => {}
                    Ok(key) => own.push(key),
                    Err(no_key) => return refuse(no_key.problem, &no_key.remedy),
                }
            }
            let mut found = false;
            for (at, _) in COMMANDS.iter().enumerate().filter(|(_, command)| command.is_called(name)) {
                map.keys[at].clone_from(&own);
                found = true;
            }
            if !found {
                return refuse("there is no such command".to_owned(), "syncdeck keys lists all of them");
            }
        }
        match map.twice() {
            Some((pane, key, first, second)) => Err(InvalidSetting {
                entry: format!(
                    "keys.{}",
                    written(wanted, second).or(written(wanted, first)).unwrap_or(first.name)
                ),
                problem: format!(
                    "in {} the key {key} is that of {} and of {}",
                    pane.title(),
                    first.name,
                    second.name
                ),
                remedy: "give one of them another key".to_owned(),
            }),
            None => Ok(map),
        }
    }

    /// A key that two commands of one pane have, and neither of them before the other.
    fn twice(&self) -> Option<(Pane, &str, &'static Command, &'static Command)> {
        Pane::ALL.into_iter().flat_map(|pane| [(pane, false), (pane, true)]).find_map(|(pane, overrides)| {
            let mut seen: BTreeMap<&str, &'static Command> = BTreeMap::new();
            self.of(pane).filter(|(command, _)| command.overrides == overrides).find_map(|(command, keys)| {
                keys.iter().find_map(|key| Some((pane, key.as_str(), seen.insert(key, command)?, command)))
            })
        })
    }

    /// The commands of a pane, each with its keys.
    pub fn of(&self, pane: Pane) -> impl Iterator<Item = (&'static Command, &[String])> {
        let all = COMMANDS.iter().zip(&self.keys);
        all.filter(move |(command, _)| command.is_in(pane)).map(|(command, keys)| (command, keys.as_slice()))
    }

    /// All commands, each with its keys.
    pub fn all(&self) -> impl Iterator<Item = (&'static Command, &[String])> {
        COMMANDS.iter().zip(self.keys.iter().map(Vec::as_slice))
    }

    /// The command of a key in a pane: one that overrides others goes before them.
    pub fn find(&self, pane: Pane, key: &str) -> Option<&'static Command> {
        let having = self.of(pane).filter(|(_, keys)| keys.iter().any(|other| other == key));
        having.map(|(command, _)| command).max_by_key(|command| command.overrides)
    }
}

/// The name by which the configuration gives a command its keys.
fn written<'a>(wanted: &'a BTreeMap<String, Vec<String>>, command: &Command) -> Option<&'a str> {
    wanted.keys().map(String::as_str).find(|name| command.is_called(name))
}

#[cfg(test)]
mod tests {
    use super::super::command::Id;
    use super::*;

    fn map(name: &str, keys: &[&str]) -> Result<Keymap, InvalidSetting> {
        Keymap::configured(&[(name.to_owned(), keys.iter().map(|key| (*key).to_owned()).collect())].into())
    }

    #[test]
    fn no_key_is_given_twice_and_every_command_can_be_reached() {
        assert!(Keymap::default().twice().is_none());
        let mut map = Keymap::default();
        map.keys[0] = vec!["q".to_owned()];
        assert!(map.twice().is_some(), "the check sees a key that is given twice");
        let keyless: Vec<&str> =
            COMMANDS.iter().filter(|command| command.keys.is_empty()).map(|command| command.name).collect();
        // These weigh much or are needed seldom: the palette has them.
        assert_eq!(
            keyless,
            [
                "merge-into",
                "own-cause",
                "note-cause",
                "mute-cause",
                "rule",
                "pause-all",
                "drain-all",
                "resume-all",
                "reload-all",
                "strategy-all",
                "test-all",
                "sign-in",
                "silence-all",
                "plan",
                "adopt",
                "adopt-undo",
                "shadow",
                "rebind",
                "heroku-write-errors",
                "heroku-notifications",
                "heroku-diagnose",
                "heroku-recover",
                "theme"
            ]
        );
    }

    #[test]
    fn the_configuration_gives_other_keys() {
        let keys = map("retry", &["C-t", "F5"]).unwrap();
        assert_eq!(keys.find(Pane::Errors, "F5").unwrap().id, Id::Retry);
        assert_eq!(keys.find(Pane::Record, "C-t").unwrap().id, Id::Retry);
        assert!(keys.find(Pane::Errors, "r").is_none());
        let twice = map("retry", &["q"]).unwrap_err();
        assert_eq!(twice.problem, "in Errors the key q is that of retry and of quit");
        assert_eq!(twice.entry, "keys.retry");
        assert!(map("retyr", &["q"]).unwrap_err().remedy.contains("syncdeck keys"));
        assert!(map("retry", &["Ctrl-Q"]).unwrap_err().problem.contains("is no key"));
    }

    #[test]
    fn a_name_that_a_command_had_before_is_understood() {
        for (before, now, key) in [
            ("mend", Id::QuickFix, "F5"),
            ("both-sides", Id::Conflict, "F5"),
            ("causes", Id::Groups, "F6"),
            ("faults", Id::Actionable, "F7"),
            ("next-trouble", Id::NextWarning, "F8"),
            ("previous-trouble", Id::PreviousWarning, "F9"),
        ] {
            let keys = map(before, &[key]).unwrap();
            let found = Pane::ALL.into_iter().find_map(|pane| keys.find(pane, key)).unwrap();
            assert_eq!(found.id, now);
            assert_ne!(found.name, before);
        }
        assert_eq!(map("mend", &["q"]).unwrap_err().entry, "keys.mend");
    }

    #[test]
    fn a_key_counts_as_terminals_send_it_and_once() {
        let keys = map("retry", &["C-T", "C-t", "C-t"]).unwrap();
        assert_eq!(keys.find(Pane::Errors, "C-t").unwrap().id, Id::Retry);
        let (_, keys) = keys.all().find(|(command, _)| command.id == Id::Retry).unwrap();
        assert_eq!(keys, ["C-t"]);
        let twice = map("retry", &["C-S"]).unwrap_err();
        assert_eq!(twice.problem, "in Record the key C-s is that of retry and of save");
    }
}
