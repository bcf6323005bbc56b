//! Logging in: the OAuth 2.0 flows that need nobody at a browser, against the org's My Domain.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::domain::values::address::OrgAddress;

use super::{Error, body, told};

/// Who logs in, where, and how.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The org's My Domain, `https://acme.my.salesforce.com`.
    pub login_url: String,
    /// The external client app's consumer key.
    pub client_id: String,
    /// The OAuth flow.
    pub grant: Grant,
}

/// An OAuth flow that needs nobody at a browser.
#[derive(Clone, Debug)]
pub enum Grant {
    /// Client credentials: the app logs in as its own user.
    ClientCredentials {
        /// The app's secret.
        secret: SecretString,
    },
    /// JWT bearer: the app's certificate speaks for a user.
    Jwt {
        /// The user.
        username: String,
        /// The private key, PEM.
        key: SecretString,
        /// Whom the assertion is for; the login URL, if it is not said.
        audience: Option<String>,
    },
    /// A refresh token that somebody got at a browser once. Where Salesforce rotates it, each one is good once: the next
    /// is written to the file before anything else is done.
    Refresh {
        /// The app's secret, where it has one.
        secret: Option<SecretString>,
        /// The file that holds the token.
        file: PathBuf,
    },
}

impl Credentials {
    /// Host and port, for messages.
    pub fn host(&self) -> String {
        self.address().map_or_else(|_| self.login_url.clone(), |address| address.host())
    }

    /// Where the login is.
    fn address(&self) -> Result<OrgAddress, Error> {
        OrgAddress::parse(&self.login_url).map_err(|problem| Error::Login {
            code: "login_url".to_owned(),
            message: format!("{} {problem}", self.login_url),
        })
    }
}

/// A session: a token and where it is good.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) instance: OrgAddress,
    pub(super) org_id: String,
    token: SecretString,
}

impl Session {
    pub(super) fn token(&self) -> &str {
        self.token.expose_secret()
    }
}

impl PartialEq for Session {
    fn eq(&self, other: &Session) -> bool {
        self.token() == other.token()
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    instance_url: String,
    /// `https://login.salesforce.com/id/<org>/<user>`.
    #[serde(default)]
    id: String,
    /// Instead of the one that was used, where tokens are rotated.
    refresh_token: Option<String>,
}

#[derive(Deserialize)]
struct Denied {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// What a session is refused with that another login does not cure: it would get one of the same kind.
const INCURABLE: [&str; 2] = ["not valid for use with", "not attached to agent"];

/// Whether a session that was refused with this message had run out, rather than being of no use from its beginning.
pub(super) fn is_cured_by_login(message: &str) -> bool {
    let message = message.to_lowercase();
    !INCURABLE.iter().any(|incurable| message.contains(incurable))
}

/// How long an assertion is good.
const ASSERTION_LIFE: chrono::Duration = chrono::Duration::minutes(3);

/// What a JWT assertion says.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
}

/// The form of a token request. Files are read anew each time: what a person put there counts from the next try on.
fn form(credentials: &Credentials) -> Result<Vec<(&'static str, String)>, Error> {
    let id = ("client_id", credentials.client_id.clone());
    let secret = |secret: &SecretString| ("client_secret", secret.expose_secret().to_owned());
    Ok(match &credentials.grant {
        Grant::ClientCredentials { secret: own } => {
            vec![("grant_type", "client_credentials".to_owned()), id, secret(own)]
        }
        Grant::Jwt { username, key, audience } => {
            let claims = Claims {
                iss: &credentials.client_id,
                sub: username,
                aud: audience.as_deref().unwrap_or(&credentials.login_url),
                exp: (Utc::now() + ASSERTION_LIFE).timestamp(),
            };
            let refused = |error: jsonwebtoken::errors::Error| Error::Login {
                code: "private_key".to_owned(),
                message: format!("the private key cannot sign ({error}); is it an RSA key in PEM form?"),
            };
            let key = EncodingKey::from_rsa_pem(key.expose_secret().as_bytes()).map_err(refused)?;
            let assertion =
                jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).map_err(refused)?;
            vec![
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()),
                ("assertion", assertion),
            ]
        }
        Grant::Refresh { secret: own, file } => {
            let token = std::fs::read_to_string(file).map_err(|error| Error::Login {
                code: "refresh_token".to_owned(),
                message: format!("cannot read {}: {error}", file.display()),
            })?;
            let mut form = vec![
                ("grant_type", "refresh_token".to_owned()),
                ("refresh_token", token.trim().to_owned()),
                id,
            ];
            form.extend(own.as_ref().map(secret));
            form
        }
    })
}

/// Writes a token where nobody else can read it, in one step: a crash leaves the old one or the new one.
fn keep_token(file: &Path, token: &str) -> std::io::Result<()> {
    let new = file.with_extension("new");
    let _ = std::fs::remove_file(&new);
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    out.write_all(token.as_bytes())?;
    out.sync_all()?;
    std::fs::rename(&new, file)
}

/// Between two tries to have a refresh token for oneself.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Keeps other programs from using a refresh token until the one that follows it is written down: where tokens are rotated, one
/// that is used twice ends all access. `None` where nothing can be written beside the file, which no rotated token can be
/// either.
async fn lock_token(file: &Path, patience: Duration) -> Result<Option<Flock<File>>, Error> {
    let name = file.with_extension("lock");
    let open = || OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&name);
    let Ok(mut lock) = open() else { return Ok(None) };
    let begin = Instant::now();
    loop {
        lock = match Flock::lock(lock, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => return Ok(Some(locked)),
            // Where the file system knows no locks, there are none to wait for.
            Err((_, errno)) if ![Errno::EWOULDBLOCK, Errno::EINTR].contains(&errno) => return Ok(None),
            Err((lock, _)) => lock,
        };
        if begin.elapsed() >= patience {
            return Err(Error::Login {
                code: "refresh_token".to_owned(),
                message: format!("another program has held {} for {} s", name.display(), patience.as_secs()),
            });
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}

fn unexpected(message: String) -> Error {
    Error::Login { code: "unexpected_answer".to_owned(), message }
}

impl super::Client {
    /// Logs in.
    pub(super) async fn sign_in(&self) -> Result<Session, Error> {
        let credentials = &self.credentials;
        let address = credentials.address()?;
        let host = address.host();
        // A login that may have arrived does no harm when it is sent again, so it counts as one that did not. (A rotated
        // refresh token that never came is lost all the same; Salesforce then refuses the old one, which is told.)
        let unreachable = |error: &reqwest::Error| Error::Unreachable {
            host: host.clone(),
            cause: super::root_cause(error),
        };
        let _locked = match &credentials.grant {
            // The one that has it may wait for an answer as long as this one would.
            Grant::Refresh { file, .. } => lock_token(file, self.timeout() * 2).await?,
            _ => None,
        };
        let response = self
            .http
            .post(format!("{address}/services/oauth2/token"))
            .form(&form(credentials)?)
            .send()
            .await
            .map_err(|error| unreachable(&error))?;
        let status = response.status();
        let retry_after = told::retry_after(response.headers(), Utc::now());
        let read = match body::read(response, Vec::new(), &self.big).await {
            Err(body::Unread::Broken(error)) => return Err(unreachable(&error)),
            Err(body::Unread::TooLong) => Err(body::too_long()),
            Ok(body) => body::json(body).await,
        };
        let strange = |cause: &str| unexpected(format!("{host} does not answer like Salesforce: {cause}"));
        if status.is_success() {
            let granted = read.map_err(|cause| strange(&cause))?.value;
            let granted = serde_json::from_value(granted).map_err(|_| strange("it grants no token"))?;
            return self.granted(&address, granted);
        }
        let denied = read.ok().and_then(|json| serde_json::from_value::<Denied>(json.value).ok());
        match denied {
            Some(denied) => Err(Error::Login {
                code: told::code(&denied.error),
                message: told::message(&denied.error_description),
            }),
            None if status.is_server_error() || status == 429 => {
                Err(told::api_error(status.as_u16(), None, retry_after))
            }
            None => Err(Error::Login {
                code: format!("HTTP {}", status.as_u16()),
                message: format!(
                    "{host} does not answer like Salesforce; is login_url your org's My Domain?"
                ),
            }),
        }
    }

    /// The session that was granted, once it is certain that it can be kept and where its token may go.
    fn granted(&self, address: &OrgAddress, granted: Granted) -> Result<Session, Error> {
        let grant = &self.credentials.grant;
        if let (Grant::Refresh { file, .. }, Some(token)) = (grant, &granted.refresh_token) {
            keep_token(file, token).map_err(|error| Error::Login {
                code: "refresh_token".to_owned(),
                message: format!("the new refresh token cannot be written to {}: {error}", file.display()),
            })?;
        }
        let instance = address.of_answer(&granted.instance_url).map_err(|problem| Error::Login {
            code: "instance_url".to_owned(),
            message: format!(
                "{} names {:?} as the org's address, which {problem}",
                address.host(),
                told::code(&granted.instance_url)
            ),
        })?;
        if granted.access_token.is_empty()
            || !granted.access_token.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(unexpected("the token holds characters that no token has".to_owned()));
        }
        Ok(Session {
            instance,
            org_id: granted.id.rsplit('/').nth(1).unwrap_or_default().to_owned(),
            token: granted.access_token.into(),
        })
    }

    /// Logs in (if need be) and tells the org's id.
    pub async fn org_id(&self) -> Result<String, Error> {
        self.session().await.map(|session| session.org_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_ran_out_is_told_from_one_that_was_never_good() {
        assert!(is_cured_by_login("Session expired or invalid"));
        assert!(!is_cured_by_login("This session is not valid for use with the REST API"));
        assert!(!is_cured_by_login("This session is not valid for use with the API"));
        assert!(!is_cured_by_login("Connected app is not attached to Agent"));
    }
}
