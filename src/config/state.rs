//! Where a console was when it was left, so that the next one begins there: one file for each database, in the user's
//! state directory. Where one stood is a convenience: missing or broken, it is as good as none, and of several consoles
//! the last one's counts. The filters in it are work: what one console adds, no other takes away.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::domain::records::record::FieldEdit;
use crate::domain::values::checksum::checksum;

use super::edit::write_private;

/// How many filters are remembered.
const HISTORY: usize = 100;
/// The longest part of a file name that is the connection's, in bytes.
const NAME: usize = 200;
/// How often it is tried to be the only one who writes, and the time between. Whoever writes needs milliseconds, seconds
/// on a slow disk, unless it was stopped right then; who does not wait for it may lose a filter.
const TRIES: u32 = 1_000;
const BETWEEN: Duration = Duration::from_millis(10);

/// Where a console was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionState {
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
    /// What was typed into fields of that row and not saved; nothing of a masked field.
    pub draft: Vec<FieldEdit>,
    /// Filter of the log.
    pub log_filter: String,
    /// Filters that were used, the newest last; at most 100 are kept.
    pub history: Vec<String>,
    /// Filters of errors that were saved in the console, by name.
    pub saved: BTreeMap<String, String>,
    /// Filters of the log that were used, the newest last.
    pub log_history: Vec<String>,
    /// Filters of the log that were saved in the console, by name.
    pub log_saved: BTreeMap<String, String>,
    /// What is wanted of the columns of errors, by their names.
    pub columns: BTreeMap<String, String>,
    /// Whether a record's fields without a value are hidden, where somebody chose.
    pub fold_empty: Option<bool>,
    /// By how many steps panes are larger or smaller than by themselves, by the screen's shape and their names.
    pub sizes: BTreeMap<String, i16>,
    /// Sources of the log whose lines do not show.
    pub sources_off: Vec<String>,
}

/// The file in which the consoles of one user keep where they were on one database.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    written: Mutex<Written>,
}

/// Filters by their names.
type Named = BTreeMap<String, String>;

/// What this console did with the file.
#[derive(Debug, Default)]
struct Written {
    /// Where it began, or what it wrote last: what is other than this is its own doing.
    state: SessionState,
    /// The filters, of errors and of the log, of which was told that they could not be kept.
    told: (Named, Named),
}

impl StateFile {
    /// That of a connection and its database, which may be any text that tells it from others: two databases that are
    /// called the same have each their own. `None` where the user has no place for it.
    pub fn of(connection: &str, database: &str) -> Option<StateFile> {
        Some(StateFile::within(&directory()?, connection, database))
    }

    fn within(dir: &Path, connection: &str, database: &str) -> StateFile {
        let name = format!("{}-{:016x}.json", plain(connection), checksum(database));
        StateFile { path: dir.join(name), written: Mutex::default() }
    }

    /// Where the last console was.
    ///
    /// # Errors
    /// When there is something that cannot be read; the text says where it is now.
    pub fn load(&self) -> Result<SessionState, String> {
        match self.read() {
            Ok(state) => Ok(state),
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                let aside = self.set_aside().map_err(|error| error.to_string())?;
                Err(format!(
                    "{} cannot be read, and with it the filters that were kept: it is {} now",
                    self.path.display(),
                    aside.display()
                ))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// A console begins here: what is other later is its own doing.
    pub fn begin(&self, state: SessionState) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).state = state;
    }

    /// Keeps it for the next console. Tells why a filter could not be kept, once; that the rest could not is not worth a
    /// word.
    pub fn keep(&self, state: &SessionState) -> Option<String> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let error = match self.store(&written.state, state) {
            Ok(()) => {
                written.state = state.clone();
                return None;
            }
            Err(error) => error,
        };
        let filters = (state.saved.clone(), state.log_saved.clone());
        let before = (&written.state.saved, &written.state.log_saved);
        let news = (&filters.0, &filters.1) != before && filters != written.told;
        written.told = filters;
        news.then(|| format!("the filter is kept in this console only: {error}"))
    }

    /// Writes it in one step and readable by its owner alone. Filters come to those that are there: another console may
    /// have kept some since.
    fn store(&self, before: &SessionState, state: &SessionState) -> io::Result<()> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot make the directory {}: {error}", dir.display()))
        })?;
        let _alone = alone(dir);
        let there = match self.read() {
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                self.set_aside()?;
                SessionState::default()
            }
            read => read?,
        };
        let kept = SessionState {
            history: joined(&there.history, &before.history, &state.history),
            saved: added(there.saved, &before.saved, &state.saved),
            log_history: joined(&there.log_history, &before.log_history, &state.log_history),
            log_saved: added(there.log_saved, &before.log_saved, &state.log_saved),
            ..state.clone()
        };
        write_private(&self.path, &serde_json::to_string_pretty(&kept)?)
    }

    /// What is there; nothing is as good as the default, and what is not understood is `InvalidData`.
    fn read(&self) -> io::Result<SessionState> {
        let told = |error: &dyn std::fmt::Display| format!("cannot read {}: {error}", self.path.display());
        let text = match std::fs::read(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(SessionState::default()),
            Err(error) => return Err(io::Error::new(error.kind(), told(&error))),
            Ok(text) => text,
        };
        serde_json::from_slice(&text).map_err(|error| io::Error::new(ErrorKind::InvalidData, told(&error)))
    }

    /// Puts a file that is not understood out of the way, for a person to look at. The first one stays there.
    fn set_aside(&self) -> io::Result<PathBuf> {
        let aside = self.path.with_extension("json.broken");
        if !aside.exists() {
            std::fs::rename(&self.path, &aside)?;
        }
        Ok(aside)
    }
}

/// The lock under which one console writes at a time. A file system that has none, or a console that was stopped while
/// it had it, keeps nobody from writing.
fn alone(dir: &Path) -> Option<Flock<File>> {
    let mut dir = File::open(dir).ok()?;
    for _ in 0..TRIES {
        match Flock::lock(dir, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Some(lock),
            Err((free, Errno::EWOULDBLOCK)) => dir = free,
            Err(_) => return None,
        }
        std::thread::sleep(BETWEEN);
    }
    None
}

/// The filters that are there, and behind them those that a console typed since it began with `before`.
fn joined(there: &[String], before: &[String], typed: &[String]) -> Vec<String> {
    let same = before.iter().zip(typed).take_while(|(before, typed)| before == typed).count();
    let own = &typed[same..];
    let others = there.iter().filter(|filter| !own.contains(filter));
    let all: Vec<&String> = others.chain(own).collect();
    all[all.len().saturating_sub(HISTORY)..].iter().map(|filter| (*filter).clone()).collect()
}

/// The filters that are there, with those that a console named since it began with `before`.
fn added(there: Named, before: &Named, named: &Named) -> Named {
    let own = named.iter().filter(|(name, filter)| before.get(*name) != Some(*filter));
    let own = own.map(|(name, filter)| (name.clone(), filter.clone()));
    there.into_iter().chain(own).collect()
}

fn directory() -> Option<PathBuf> {
    let given = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = given("XDG_STATE_HOME").or_else(|| given("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("syncdeck"))
}

/// A connection's name, which may hold anything, as part of a file's: what is no plain character is written as in a URL.
fn plain(connection: &str) -> String {
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
    name
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn state() -> SessionState {
        SessionState {
            pane: "Record".to_owned(),
            zoom: true,
            filter: "code:EMAIL".to_owned(),
            sort: "newest".to_owned(),
            selected: Some(7),
            record: Some(("contact".to_owned(), 42)),
            draft: vec![FieldEdit {
                column: "email".to_owned(),
                shown: None,
                new: Some("j@acme".to_owned()),
            }],
            log_filter: "level:warn".to_owned(),
            history: vec!["code:EMAIL".to_owned()],
            saved: BTreeMap::from([("mine".to_owned(), "state:open".to_owned())]),
            log_history: vec!["level:warn".to_owned()],
            log_saved: BTreeMap::from([("slow".to_owned(), "service>5s".to_owned())]),
            columns: BTreeMap::from([("code".to_owned(), "hidden".to_owned())]),
            fold_empty: Some(true),
            sizes: BTreeMap::from([("wide log".to_owned(), -2)]),
            sources_off: vec!["shop".to_owned()],
        }
    }

    /// With this filter kept under a name.
    fn with(state: &SessionState, name: &str, filter: &str) -> SessionState {
        let mut state = state.clone();
        state.saved.insert(name.to_owned(), filter.to_owned());
        state
    }

    #[test]
    fn what_is_kept_is_loaded_by_the_same_connection_to_the_same_database_only() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("state/syncdeck");
        let names = ["acme", "../acme", ".", "a/b", "a%2Fb", "München", &"x".repeat(1_000)];
        for (name, database) in names.map(|name| (name, "one")).into_iter().chain([("acme", "other")]) {
            let file = StateFile::within(&below, name, database);
            assert_eq!(file.load().unwrap(), SessionState::default(), "{name} {database}");
            let state = SessionState { filter: name.to_owned(), ..state() };
            assert_eq!(file.keep(&state), None, "{name} {database}");
            assert_eq!(file.load().unwrap(), state, "{name} {database}");
            let mode = std::fs::metadata(&file.path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(&below).unwrap().count(), 8);
        assert_eq!(std::fs::read_dir(dir.path().join("state")).unwrap().count(), 1);
    }

    #[test]
    fn a_file_of_another_version_is_read_and_a_broken_one_is_put_aside_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::within(dir.path(), "acme", "one");
        std::fs::write(&file.path, "{\"pane\": \"Log\", \"later\": 1}").unwrap();
        let older = SessionState { pane: "Log".to_owned(), ..SessionState::default() };
        assert_eq!(file.load().unwrap(), older);
        for broken in ["{", "", "[1]", "{\"zoom\": \"yes\"}", "\u{0}\u{1}"] {
            let file = StateFile::within(dir.path(), "acme", "one");
            std::fs::write(&file.path, broken).unwrap();
            let told = file.load().unwrap_err();
            assert!(told.ends_with(".json.broken now"), "{told}");
            assert_eq!(file.keep(&state()), None);
            assert_eq!(file.load().unwrap(), state(), "{broken}");
        }
        assert_eq!(std::fs::read_to_string(file.path.with_extension("json.broken")).unwrap(), "{");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_two_consoles_add_both_is_there_and_where_the_last_one_was() {
        let dir = tempfile::tempdir().unwrap();
        let consoles = [(); 2].map(|()| StateFile::within(dir.path(), "acme", "one"));
        assert_eq!(consoles[0].keep(&state()), None);
        // What a configuration names is there from the beginning, and not kept.
        let begun = with(&consoles[0].load().unwrap(), "configured", "op:insert");
        consoles.iter().for_each(|console| console.begin(begun.clone()));
        let mut first = with(&begun, "first", "since:1h");
        first.history.push("one".to_owned());
        let mut second = with(&begun, "second", "since:2h");
        second.history.extend(["two".to_owned(), "code:EMAIL".to_owned()]);
        second.history.remove(0);
        second.zoom = false;
        assert_eq!((consoles[0].keep(&first), consoles[1].keep(&second)), (None, None));
        // One that writes again does not take back what it did not see.
        first = with(&first, "first", "since:3h");
        assert_eq!(consoles[0].keep(&first), None);
        let found = consoles[1].load().unwrap();
        assert!(found.zoom);
        let saved: Vec<_> = found.saved.iter().map(|(name, filter)| format!("{name} {filter}")).collect();
        assert_eq!(saved, ["first since:3h", "mine state:open", "second since:2h"]);
        assert_eq!(found.history, ["one", "two", "code:EMAIL"]);
    }

    #[test]
    fn the_newest_filters_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::within(dir.path(), "acme", "one");
        let numbers = |numbers: std::ops::Range<usize>| numbers.map(|n| n.to_string()).collect();
        for typed in [0..70, 0..150, 50..151] {
            file.keep(&SessionState { history: numbers(typed), ..SessionState::default() });
        }
        assert_eq!(file.load().unwrap().history, numbers(51..151) as Vec<String>);
    }

    #[test]
    fn a_filter_that_cannot_be_kept_is_told_once_and_kept_when_it_can() {
        let dir = tempfile::tempdir().unwrap();
        let taken = dir.path().join("taken");
        std::fs::write(&taken, "").unwrap();
        let file = StateFile::within(&taken, "acme", "one");
        file.begin(state());
        assert_eq!(
            file.keep(&SessionState { zoom: false, ..state() }),
            None,
            "nothing but the place is lost"
        );
        let more = with(&state(), "more", "op:delete");
        let told = file.keep(&more).unwrap();
        assert!(told.contains("in this console only: cannot make the directory"), "{told}");
        assert_eq!(file.keep(&SessionState { zoom: false, ..more.clone() }), None, "it was told");
        std::fs::remove_file(&taken).unwrap();
        assert_eq!(file.keep(&more), None);
        assert_eq!(file.load().unwrap().saved["more"], "op:delete");
    }

    #[test]
    fn several_consoles_may_keep_at_once() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for console in 0..4 {
                let file = StateFile::within(dir.path(), "acme", "one");
                scope.spawn(move || {
                    (0..5).fold(SessionState::default(), |state, number| {
                        let state = with(&state, &format!("{console}-{number}"), "op:insert");
                        assert_eq!(file.keep(&state), None);
                        state
                    });
                });
            }
        });
        assert_eq!(StateFile::within(dir.path(), "acme", "one").load().unwrap().saved.len(), 20);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
