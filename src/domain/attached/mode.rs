//! How Heroku Connect writes to Salesforce.

/// How Heroku Connect writes to Salesforce, which decides how a failed change is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// Changes of a row are folded, and the latest value wins.
    Merged,
    /// Each change is an operation of its own, in the order of the log.
    Ordered,
}

impl WriteMode {
    /// As it is written in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            WriteMode::Merged => "merged",
            WriteMode::Ordered => "ordered",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<WriteMode> {
        [WriteMode::Merged, WriteMode::Ordered].into_iter().find(|mode| mode.word() == word)
    }
}
