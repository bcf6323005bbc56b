//! The panes by name: what has a place on the screen and may have the keys.

/// A pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pane {
    /// Mappings and their counts.
    Mappings,
    /// The list of errors.
    Errors,
    /// One row and its record.
    Record,
    /// The log.
    Log,
    /// What waits and what is in flight; it has the place of the errors while it is looked at.
    Pending,
    /// The causes of the errors, on a wide screen.
    Groups,
}

impl Pane {
    /// In the order of their numbers.
    pub const ALL: [Pane; 6] =
        [Pane::Mappings, Pane::Errors, Pane::Record, Pane::Log, Pane::Pending, Pane::Groups];

    /// Its name.
    pub fn title(self) -> &'static str {
        match self {
            Pane::Mappings => "Mappings",
            Pane::Errors => "Errors",
            Pane::Record => "Record",
            Pane::Log => "Log",
            Pane::Pending => "Pending",
            Pane::Groups => "Groups",
        }
    }

    /// Its number, which is also its key.
    pub fn number(self) -> usize {
        Pane::ALL.iter().position(|pane| *pane == self).unwrap_or(0) + 1
    }
}
