//! Why an entry of `[console]` cannot be used.

/// An entry, what is wrong with it, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSetting {
    /// Its name there: `keys.retry`, `colors.bad`.
    pub entry: String,
    /// What is wrong.
    pub problem: String,
    /// What to write.
    pub remedy: String,
}
