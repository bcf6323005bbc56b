//! Heroku Connect's configuration in and out: the file that `heroku connect:export` writes is read ([`read`]) and becomes
//! a `syncdeck.toml` ([`written`]); a configuration of ours becomes such a file ([`export`]). What one of both has and the
//! other lacks is told as a [`Note`], with what is done instead: nothing is left out without a word.

pub mod export;
pub mod read;
#[cfg(test)]
mod tests;
pub mod written;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::domain::mappings::mapping::Access;

/// What Heroku Connect puts on each field that is indexed always: of every table, and of the upsert field.
pub(super) const ID: &str = "Id";
/// The other one.
pub(super) const SYSTEM_MODSTAMP: &str = "SystemModstamp";
/// The longest and the shortest that Heroku Connect lets pass between two polls, in seconds.
pub(super) const POLLING: (u64, u64) = (120, 3_600);

/// What a file of Heroku Connect says, as far as syncdeck has it too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectExport {
    /// The Heroku app that it was of.
    pub app_name: Option<String>,
    /// The mappings, in its order.
    pub mappings: Vec<ExportedMapping>,
    /// What of it syncdeck lacks.
    pub notes: Vec<Note>,
}

/// One of its mappings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedMapping {
    /// Object.
    pub object: String,
    /// Direction.
    pub access: Access,
    /// Fields by API name, without those that every table has, and without the upsert field.
    pub fields: Vec<String>,
    /// Fields with an index of their own, without those that are indexed always.
    pub indexes: Vec<String>,
    /// The field that upserts go by.
    pub upsert_field: Option<String>,
    /// From one poll to the next.
    pub polling: Duration,
}

/// Something that one side has and the other lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The mappings that have it; none where it is the connection's.
    pub mappings: Vec<String>,
    /// What it is, `sf_notify_enabled = true`.
    pub what: String,
    /// What is done instead.
    pub instead: String,
}

/// Notes as they come; what several mappings have is one.
#[derive(Default)]
pub(super) struct Notes(Vec<Note>);

impl Notes {
    /// Of the connection.
    pub(super) fn add(&mut self, what: impl Into<String>, instead: impl Into<String>) {
        self.0.push(Note { mappings: Vec::new(), what: what.into(), instead: instead.into() });
    }

    /// Of a mapping.
    pub(super) fn of(&mut self, mapping: &str, what: impl Into<String>, instead: impl Into<String>) {
        let (what, instead) = (what.into(), instead.into());
        let same =
            |note: &&mut Note| !note.mappings.is_empty() && note.what == what && note.instead == instead;
        match self.0.iter_mut().find(same) {
            Some(note) => note.mappings.push(mapping.to_owned()),
            None => self.0.push(Note { mappings: vec![mapping.to_owned()], what, instead }),
        }
    }

    pub(super) fn take(self) -> Vec<Note> {
        self.0
    }
}

/// Why a file of Heroku Connect is refused.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read.
    #[error("cannot read {}: {source}\nname the file that `heroku connect:export` wrote", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is a directory.
    #[error("{} is a directory\nname the file in it that `heroku connect:export` wrote", path.display())]
    Directory {
        /// Which one.
        path: PathBuf,
    },
    /// It is larger than any such file.
    #[error(
        "{} is larger than {} MB, which no export of Heroku Connect is\nname the file that `heroku connect:export` wrote",
        path.display(), read::LARGEST >> 20
    )]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// It is no JSON.
    #[error("{}:{line}: is no JSON: {text}\nwrite it again with: heroku connect:export", path.display())]
    NoJson {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The parser's words.
        text: String,
    },
    /// Something in it is not as Heroku Connect writes it.
    #[error("{}: {place}: {problem}\n{remedy}", path.display())]
    Value {
        /// Which file.
        path: PathBuf,
        /// Where in it: `mappings[2] (Contact).config.access`.
        place: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
}
