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
        "no whole answer from {host}: {cause}\nlook at status.heroku.com; what was to be done may have been done: see syncdeck status"
    )]
    Lost {
        /// Host and port.
        host: String,
        /// What happened instead.
        cause: String,
    },
    /// It takes too long.
    #[error(
        "{host} did not answer within {seconds} s\nlook at status.heroku.com; what was to be done may have been done: see syncdeck status"
    )]
    Slow {
        /// Host and port.
        host: String,
        /// How long it was waited for.
        seconds: u64,
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

    /// What happened, without what to do.
    pub fn brief(&self) -> String {
        let text = self.to_string();
        text.split('\n').next().unwrap_or_default().to_owned()
    }
}

fn remedy_of(status: u16) -> &'static str {
    match status {
        409 => "another operation of it goes on; try again when it is done",
        500.. => "try again later, and look at status.heroku.com",
        _ => "look at how it stands: syncdeck status",
    }
}
