//! Options of `syncdeck heroku`.

use clap::{Args, ValueEnum};

/// What is asked of Heroku Connect's API, or done by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum HerokuAction {
    /// How the connection and its mappings stand
    #[default]
    State,
    /// The writes of the last 24 hours that Salesforce refused
    WriteErrors,
    /// What Heroku Connect wants people to know, and nobody acknowledged
    Notifications,
    /// Acknowledge notifications: all, or those that the options name
    Acknowledge,
    /// Heroku Connect's own checks of the connection, or of one mapping
    Diagnose,
    /// Have the connection begin again after an error
    Recover,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct HerokuOptions {
    /// What to ask or do
    #[arg(value_enum, value_name = "OPERATION", default_value_t)]
    pub(in crate::cli) action: HerokuAction,
    /// Of write-errors and diagnose: only this mapping, by object or table
    #[arg(value_name = "MAPPING")]
    pub(in crate::cli) mapping: Option<String>,
    /// Of notifications and acknowledge: from this date or time on, such as 2026-11-30
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) after: Option<String>,
    /// Of notifications and acknowledge: up to this date or time
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) before: Option<String>,
    /// Of notifications and acknowledge: only of this kind, such as mapping-error
    #[arg(long, value_name = "KIND")]
    pub(in crate::cli) event_type: Option<String>,
    /// Of diagnose: also what passed, and what was not looked at
    #[arg(long)]
    pub(in crate::cli) all: bool,
    /// Of acknowledge and recover: do not ask
    #[arg(long)]
    pub(in crate::cli) yes: bool,
}

impl HerokuOptions {
    /// Something that is given and that another operation has, and which.
    pub(in crate::cli) fn foreign(&self) -> Option<(&'static str, &'static str)> {
        use HerokuAction::{Acknowledge, Diagnose, Notifications, Recover, WriteErrors};
        let of = |actions: &[HerokuAction]| actions.contains(&self.action);
        let filters = self.after.is_some() || self.before.is_some() || self.event_type.is_some();
        match () {
            () if self.mapping.is_some() && !of(&[WriteErrors, Diagnose]) => {
                Some(("a mapping", "write-errors and diagnose"))
            }
            () if filters && !of(&[Notifications, Acknowledge]) => {
                Some(("--after, --before and --event-type", "notifications and acknowledge"))
            }
            () if self.all && !of(&[Diagnose]) => Some(("--all", "diagnose")),
            () if self.yes && !of(&[Acknowledge, Recover]) => Some(("--yes", "acknowledge and recover")),
            () => None,
        }
    }
}
