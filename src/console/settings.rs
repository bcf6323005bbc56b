//! How the console is to look and behave; from the configuration and the surroundings.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{FixedOffset, Offset, Utc};

use crate::config::console::CopyTo;

use super::columns::ErrorColumns;
use super::keymap::Keymap;
use super::pane::Pane;
use super::sizes::PaneSizes;
use super::theme::Theme;

/// The settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The operator's time zone.
    pub zone: FixedOffset,
    /// Times are shown in UTC.
    pub utc: bool,
    /// The time of day is shown.
    pub clock: bool,
    /// The looks.
    pub theme: Theme,
    /// It runs in tmux, whose default keeps what is copied from the terminal.
    pub tmux: bool,
    /// The keys.
    pub keymap: Arc<Keymap>,
    /// Nothing that changes anything is offered.
    pub read_only: bool,
    /// What takes a text that is copied; `None` is the terminal's clipboard.
    pub copy: Option<CopyTo>,
    /// What the log may take in memory, in bytes.
    pub log_memory: usize,
    /// Filters of errors that were saved, by name.
    pub filters: BTreeMap<String, String>,
    /// Filters of the log that were saved, by name.
    pub log_filters: BTreeMap<String, String>,
    /// The console begins with the groups of errors.
    pub begins_with_groups: bool,
    /// The columns of the errors.
    pub columns: ErrorColumns,
    /// Whether a record's fields without a value are hidden, where somebody chose; otherwise where there is no room for all.
    pub fold_empty: Option<bool>,
    /// How much room the panes have.
    pub sizes: PaneSizes,
    /// The connection that shows.
    pub connection: String,
    /// What is said while it is opened.
    pub opening: String,
    /// What is said when the console comes up: why another connection was not opened.
    pub notice: Option<String>,
    /// The configuration that a takeover is likely to be made with, where that is known.
    pub setup_file: Option<String>,
    /// The connections of the configuration, with what each is for.
    pub connections: Vec<Connection>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            zone: Utc.fix(),
            utc: false,
            clock: true,
            theme: Theme::new(true),
            tmux: false,
            setup_file: None,
            keymap: Arc::default(),
            read_only: false,
            copy: None,
            log_memory: 64 << 20,
            filters: BTreeMap::new(),
            log_filters: BTreeMap::new(),
            begins_with_groups: false,
            columns: ErrorColumns::default(),
            fold_empty: None,
            sizes: PaneSizes::default(),
            connection: String::new(),
            opening: "reading ...".to_owned(),
            notice: None,
            connections: Vec::new(),
        }
    }
}

impl Settings {
    /// The filters of the errors, or of the log, that were saved, by name.
    pub fn saved_filters(&self, pane: Pane) -> impl Iterator<Item = (&str, &str)> {
        let saved = if pane == Pane::Log { &self.log_filters } else { &self.filters };
        saved.iter().map(|(name, filter)| (name.as_str(), filter.as_str()))
    }
}

/// A connection that one can go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its name.
    pub name: String,
    /// `prod`, `sandbox`, ...
    pub environment: String,
}
