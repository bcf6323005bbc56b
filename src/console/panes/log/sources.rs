//! Where the lines of the log come from: how each source stands, what it brought, and whether its lines show.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::logs::source::{SourceFailure, SourceStanding};
use crate::logs::{LogRecord, OWN_SOURCE};

/// All of them, the engine's own log first.
#[derive(Debug)]
pub struct ShownSources {
    all: Vec<ShownSource>,
    /// The names of those whose lines do not show.
    off: BTreeSet<String>,
}

/// One of them.
#[derive(Debug)]
pub struct ShownSource {
    /// What its lines are called by.
    pub name: String,
    /// Its word in the configuration; `engine` for the engine's own log.
    pub kind: &'static str,
    /// How it stands.
    pub standing: SourceStanding,
    /// Lines that came.
    pub lines: u64,
    /// Lines that are known to be missing.
    pub lost: u64,
    /// Whether more may be missing than is known.
    pub lost_more: bool,
}

impl ShownSource {
    fn new(name: &str, kind: &'static str) -> ShownSource {
        let name = name.to_owned();
        ShownSource { name, kind, standing: SourceStanding::Opening, lines: 0, lost: 0, lost_more: false }
    }
}

impl Default for ShownSources {
    /// The engine's own log alone.
    fn default() -> ShownSources {
        ShownSources { all: vec![ShownSource::new(OWN_SOURCE, "engine")], off: BTreeSet::new() }
    }
}

impl ShownSources {
    /// These are followed beside the engine's own log, by name and kind.
    pub fn open(&mut self, sources: &[(String, &'static str)]) {
        self.all.truncate(1);
        self.all.extend(sources.iter().map(|(name, kind)| ShownSource::new(name, kind)));
        self.off.retain(|name| self.all.iter().any(|source| source.name == *name));
    }

    /// Each of them.
    pub fn all(&self) -> &[ShownSource] {
        &self.all
    }

    /// Counts what came.
    pub fn count(&mut self, record: &LogRecord) {
        let Some(source) = self.all.iter_mut().find(|source| source.name == record.source) else { return };
        source.lines += 1;
        match record.dropped() {
            Some(Value::Number(dropped)) => source.lost += dropped.as_u64().unwrap_or(0),
            Some(_) => source.lost_more = true,
            None => {}
        }
    }

    /// One of them stands otherwise.
    pub fn stands(&mut self, name: &str, standing: SourceStanding) {
        if let Some(source) = self.all.iter_mut().find(|source| source.name == name) {
            source.standing = standing;
        }
    }

    /// Those that bring nothing, and why.
    pub fn failing(&self) -> impl Iterator<Item = (&str, &SourceFailure)> {
        self.all.iter().filter_map(|source| match &source.standing {
            SourceStanding::Fails(failure) => Some((source.name.as_str(), failure)),
            _ => None,
        })
    }

    /// Switches the lines of one on or off; its name, and whether they show now.
    pub fn switch(&mut self, at: usize) -> Option<(String, bool)> {
        let name = self.all.get(at)?.name.clone();
        let shows = self.off.remove(&name);
        if !shows {
            self.off.insert(name.clone());
        }
        Some((name, shows))
    }

    /// Switches those of these names off, and the others on.
    pub fn switch_off(&mut self, names: &[String]) {
        self.off = names.iter().cloned().collect();
    }

    /// Whether the lines of one do not show.
    pub fn is_off(&self, source: &ShownSource) -> bool {
        self.off.contains(&source.name)
    }

    /// The names of those whose lines do not show.
    pub fn off(&self) -> impl Iterator<Item = &str> {
        self.off.iter().map(String::as_str)
    }
}
