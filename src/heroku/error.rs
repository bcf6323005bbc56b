//! Why Heroku Connect's API did not do or tell what was asked: what happened, and on a second line what to do. None of it holds
//! the key, or anything of an answer that is not the API's.

use std::time::Duration;

use super::listed;

/// Why a request brought no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no key that could be one.
    #[error("{place} {problem}\nset it to what this prints: heroku authorizations:create -d syncdeck")]
    NoKey {
        /// The variable or the file.
        place: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Nothing may be changed.
    #[error("this session is read-only: Heroku Connect is told nothing to do\nleave --read-only out")]
    ReadOnly,
    /// Heroku does not take the key.
    #[error(
        "Heroku refuses the API key\nset {place} to a valid one: heroku authorizations:create -d syncdeck"
    )]
    KeyRefused {
        /// The variable or the file.
        place: String,
    },
    /// The key's account may not do it.
    #[error(
        "the API key's account may not use the Heroku Connect of {app}\ngive it access: heroku access:add -a {app}; or set {place} to the \
         key of an account that has it"
    )]
    NoAccess {
        /// The app.
        app: String,
        /// The variable or the file.
        place: String,
    },
    /// There is no such app, or its existence is not told.
    #[error(
        "there is no app {app}, or the API key's account may not see it\ncorrect [heroku] app; heroku apps lists yours"
    )]
    NoApp {
        /// The app.
        app: String,
    },
    /// The app has no such connection.
    #[error(
        "the app {app} has no Heroku Connect{}\ncorrect [heroku] app or resource; heroku connect:info -a {app} lists what there is, and \
         gives your account access to it",
        resource.as_ref().map(|name| format!(" named {name}")).unwrap_or_default()
    )]
    NoConnection {
        /// The app.
        app: String,
        /// The add-on that was asked for.
        resource: Option<String>,
    },
    /// The app has several.
    #[error(
        "the app {app} has several Heroku Connects\nname one in [heroku] resource: {}",
        listed(resources)
    )]
    Several {
        /// The app.
        app: String,
        /// What there is.
        resources: Vec<String>,
    },
    /// The connection keeps another schema.
    #[error(
        "{resource} keeps the schema {kept:?}, not {wanted:?}: it is not the Heroku Connect of these tables\ncorrect [heroku] app or \
         resource, or [postgres] schema"
    )]
    OtherSchema {
        /// The add-on.
        resource: String,
        /// What it keeps.
        kept: String,
        /// What is looked at.
        wanted: String,
    },
    /// The connection keeps another database, or the tables of another org.
    #[error(
        "{resource} of {app} keeps the {what} {kept:?}, not {wanted:?}: it is not the Heroku Connect of these tables\ncorrect [heroku] \
         app or resource, or [postgres] url"
    )]
    OtherDatabase {
        /// The app.
        app: String,
        /// The add-on.
        resource: String,
        /// What differs: the database or the org.
        what: &'static str,
        /// What it keeps.
        kept: String,
        /// What is looked at.
        wanted: String,
    },
    /// Whether the connection keeps these tables is not known.
    #[error(
        "neither the database nor the org of {resource} of {app} can be compared with these tables: it may keep others, and is told \
         nothing to do\ndo it in its dashboard: heroku addons:open {resource} -a {app}"
    )]
    Unproven {
        /// The app.
        app: String,
        /// The add-on.
        resource: String,
    },
    /// It does not map that object.
    #[error("Heroku Connect does not map {object}\nit maps {}", listed(known))]
    NoMapping {
        /// What was asked for.
        object: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Too many requests.
    #[error("Heroku's limit of requests is used up\nwait {} s, then try again", wait.as_secs())]
    Limited {
        /// How long to wait.
        wait: Duration,
    },
    /// The request cannot have arrived.
    #[error("no connection to {host}: {cause}\nlook at the network, and at status.heroku.com")]
    Unreachable {
        /// Host and port.
        host: String,
        /// Why not.
        cause: String,
    },
    /// The request was sent, and its answer never came whole.
    #[error(
        "no whole answer from {host}: {cause}\nlook at status.heroku.com{}", of_change(*changes)
    )]
    Lost {
        /// Host and port.
        host: String,
        /// What happened instead.
        cause: String,
        /// Whether something was to be done.
        changes: bool,
    },
    /// It takes too long.
    #[error("{host} did not answer within {seconds} s\nlook at status.heroku.com{}", of_change(*changes))]
    Slow {
        /// Host and port.
        host: String,
        /// How long it was waited for.
        seconds: u64,
        /// Whether something was to be done.
        changes: bool,
    },
    /// An answer that is none of the API's.
    #[error(
        "what {host} answers is of no use: {cause}\nlook at [heroku] api_url, whether a proxy answers there, and at status.heroku.com"
    )]
    Unusable {
        /// Host and port.
        host: String,
        /// What is wrong with it, without a word of it.
        cause: String,
    },
    /// The API refused it.
    #[error("Heroku Connect refuses it (HTTP {status}): {message}\n{}", remedy_of(*status))]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
}

impl Error {
    /// How long nothing is asked after it, where the API said so.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Error::Limited { wait } => Some(*wait),
            _ => None,
        }
    }

    /// Whether what was to be done may have been done: its answer never came whole.
    pub fn may_be_done(&self) -> bool {
        matches!(self, Error::Lost { changes: true, .. } | Error::Slow { changes: true, .. })
    }

    /// What happened, without what to do.
    pub fn brief(&self) -> String {
        let text = self.to_string();
        text.split('\n').next().unwrap_or_default().to_owned()
    }
}

/// Said besides where something was to be done.
fn of_change(changes: bool) -> &'static str {
    if changes { "; what was to be done may have been done: see syncdeck status" } else { "" }
}

fn remedy_of(status: u16) -> &'static str {
    match status {
        409 => "another operation of it goes on; try again when it is done",
        500.. => "try again later, and look at status.heroku.com",
        _ => "look at how it stands: syncdeck status",
    }
}
