//! Where a console was when it was left, so that the next one begins there: one file for each connection, in the
//! user's state directory. It is a convenience: one that is missing or broken is as good as none.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::edit::write_private;

/// How many filters are remembered.
const HISTORY: usize = 100;
/// The longest file name, without its ending, in bytes.
const NAME: usize = 200;

/// Where a console was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsoleState {
    /// The pane in front, by its name.
    pub pane: String,
    /// Whether it had the whole screen.
    pub zoom: bool,
    /// Filter of the errors.
    pub filter: String,
    /// Order of the errors.
    pub sort: String,
    /// The selected error's number.
    pub selected: Option<i64>,
    /// The open row: table and id.
    pub record: Option<(String, i32)>,
    /// Filter of the log.
    pub log_filter: String,
    /// Filters that were used, the newest last; at most 100 are kept.
    pub history: Vec<String>,
    /// Filters that were saved in the console, by name.
    pub saved: BTreeMap<String, String>,
}

impl ConsoleState {
    /// Where the last console of a connection was; the default when that cannot be read.
    pub fn load(connection: &str) -> ConsoleState {
        directory().map(|dir| ConsoleState::load_in(&dir, connection)).unwrap_or_default()
    }

    /// Keeps it for the next console, in one step and readable by its owner alone. Of several consoles the last wins.
    ///
    /// # Errors
    /// When it cannot be written; the text names the file.
    pub fn store(&self, connection: &str) -> io::Result<()> {
        let none = || io::Error::new(io::ErrorKind::NotFound, "neither XDG_STATE_HOME nor HOME is set");
        self.store_in(&directory().ok_or_else(none)?, connection)
    }

    fn load_in(dir: &Path, connection: &str) -> ConsoleState {
        let text = std::fs::read_to_string(file(dir, connection)).unwrap_or_default();
        let state: ConsoleState = serde_json::from_str(&text).unwrap_or_default();
        ConsoleState { history: newest(&state.history), ..state }
    }

    fn store_in(&self, dir: &Path, connection: &str) -> io::Result<()> {
        let kept = ConsoleState { history: newest(&self.history), ..self.clone() };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot make the directory {}: {error}", dir.display()))
        })?;
        write_private(&file(dir, connection), &serde_json::to_string_pretty(&kept)?)
    }
}

fn newest(history: &[String]) -> Vec<String> {
    history[history.len().saturating_sub(HISTORY)..].to_vec()
}

fn directory() -> Option<PathBuf> {
    let given = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = given("XDG_STATE_HOME").or_else(|| given("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("syncdeck"))
}

/// The file of a connection, whose name may hold anything: what is no plain character is written as in a URL.
fn file(dir: &Path, connection: &str) -> PathBuf {
    let mut name = String::new();
    for byte in connection.bytes() {
        // A name that begins with a dot is hidden, or means a directory.
        match byte {
            b'.' if name.is_empty() => name.push_str("%2E"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => name.push(char::from(byte)),
            _ => {
                let _ = write!(name, "%{byte:02X}");
            }
        }
    }
    name.truncate(NAME);
    dir.join(name + ".json")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn state() -> ConsoleState {
        ConsoleState {
            pane: "Record".to_owned(),
            zoom: true,
            filter: "code:EMAIL".to_owned(),
            sort: "newest".to_owned(),
            selected: Some(7),
            record: Some(("contact".to_owned(), 42)),
            log_filter: "level:warn".to_owned(),
            history: vec!["code:EMAIL".to_owned()],
            saved: BTreeMap::from([("mine".to_owned(), "state:open".to_owned())]),
        }
    }

    #[test]
    fn what_is_stored_is_loaded_by_the_same_connection_only() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("state/syncdeck");
        for name in ["acme", "../acme", ".", "a/b", "a%2Fb", "München", &"x".repeat(1_000)] {
            assert_eq!(ConsoleState::load_in(&below, name), ConsoleState::default(), "{name}");
            let state = ConsoleState { filter: name.to_owned(), ..state() };
            state.store_in(&below, name).unwrap();
            assert_eq!(ConsoleState::load_in(&below, name), state, "{name}");
        }
        assert_eq!(std::fs::read_dir(&below).unwrap().count(), 7);
        assert_eq!(std::fs::read_dir(dir.path().join("state")).unwrap().count(), 1);
        let mode = std::fs::metadata(below.join("acme.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_broken_file_is_no_state_and_an_older_one_is_read() {
        let dir = tempfile::tempdir().unwrap();
        for broken in ["", "{", "[]", "{\"zoom\": \"yes\"}", "\u{0}\u{1}"] {
            std::fs::write(dir.path().join("acme.json"), broken).unwrap();
            assert_eq!(ConsoleState::load_in(dir.path(), "acme"), ConsoleState::default(), "{broken}");
        }
        std::fs::write(dir.path().join("acme.json"), "{\"pane\": \"Log\", \"later\": 1}").unwrap();
        let older = ConsoleState { pane: "Log".to_owned(), ..ConsoleState::default() };
        assert_eq!(ConsoleState::load_in(dir.path(), "acme"), older);
    }

    #[test]
    fn the_newest_filters_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let state =
            ConsoleState { history: (0..150).map(|n| n.to_string()).collect(), ..ConsoleState::default() };
        state.store_in(dir.path(), "acme").unwrap();
        let history = ConsoleState::load_in(dir.path(), "acme").history;
        assert_eq!((history.len(), history[0].as_str(), history[99].as_str()), (100, "50", "149"));
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let taken = dir.path().join("taken");
        std::fs::write(&taken, "").unwrap();
        let error = state().store_in(&taken, "acme").unwrap_err().to_string();
        assert!(error.contains("cannot make the directory") && error.contains("taken"), "{error}");
    }

    #[test]
    fn several_consoles_may_store_at_once() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..20).for_each(|_| state().store_in(dir.path(), "acme").unwrap()));
            }
        });
        assert_eq!(ConsoleState::load_in(dir.path(), "acme"), state());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
