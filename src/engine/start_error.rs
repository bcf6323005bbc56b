//! Why an engine does not start, in words that name the thing and the remedy.

use crate::config::ConfigError;
use crate::domain::errors::catalogue::login_advice;
use crate::domain::reports::setup_plan::AT_WORK_REMEDY;
use crate::logs::sanitize::sanitize;
use crate::{postgres, salesforce};

/// Why an engine does not start. The text names the thing and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration does not fit the org.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// PostgreSQL.
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
    /// Salesforce.
    #[error("{}", explain(source, login_url))]
    Salesforce {
        /// What it said.
        source: salesforce::Error,
        /// Where.
        login_url: String,
    },
    /// Mapped tables were there before syncdeck, and nobody said that they may be taken over.
    #[error("{}", explain_foreign(tables, schema))]
    Foreign {
        /// The tables.
        tables: Vec<String>,
        /// Their schema.
        schema: String,
    },
    /// Tables are to be taken over on which Heroku Connect was seen at work.
    #[error("{}", explain_at_work(seen))]
    AtWork {
        /// What was seen of it.
        seen: Vec<String>,
    },
}

fn explain_at_work(seen: &[String]) -> String {
    let seen = seen.join("; ");
    let text = format!("Heroku Connect still works on these tables, as it seems: {}", sanitize(&seen));
    format!("{text}\n{AT_WORK_REMEDY}")
}

fn explain_foreign(tables: &[String], schema: &str) -> String {
    let (noun, verb) = if tables.len() == 1 { ("table", "was") } else { ("tables", "were") };
    format!(
        "the {noun} {} of the schema {schema} {verb} there before syncdeck, and to take over is to change: columns are added, \
         triggers replaced\nlook at what would be done with: syncdeck plan; then take over with: syncdeck adopt (or take over and start at once: syncdeck run \
         --adopt)",
        tables.join(", ")
    )
}

/// What went wrong on the way to Salesforce, and what to do.
fn explain(error: &salesforce::Error, login_url: &str) -> String {
    let remedy = match error {
        salesforce::Error::Login { code, message } => &login_advice(code, message),
        salesforce::Error::Unreachable { .. } | salesforce::Error::Lost { .. } => {
            "is salesforce.login_url your org's My Domain, and does this machine reach it?"
        }
        salesforce::Error::Unusable { .. } => {
            "is salesforce.login_url your org's My Domain, and does a proxy or gateway on the way answer in its place?"
        }
        salesforce::Error::Api { .. } => "try again; see status.salesforce.com if it stays so",
    };
    format!("Salesforce at {login_url}: {error}\n{remedy}")
}
