//! Logging in: OAuth 2.0 client credentials against the org's My Domain.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Error;

/// Who logs in, and where.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The org's My Domain, `https://acme.my.salesforce.com`.
    pub login_url: String,
    /// The external client app's consumer key.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
}

impl Credentials {
    /// Host and port, for messages.
    pub fn host(&self) -> String {
        let rest = self.login_url.split("://").nth(1).unwrap_or(&self.login_url);
        rest.split('/').next().unwrap_or(rest).to_owned()
    }
}

/// A session: a token and where it is good.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) instance_url: String,
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
}

#[derive(Deserialize)]
struct Denied {
    error: String,
    #[serde(default)]
    error_description: String,
}

pub(super) async fn login(http: &reqwest::Client, credentials: &Credentials) -> Result<Session, Error> {
    let host = credentials.host();
    let response = http
        .post(format!("{}/services/oauth2/token", credentials.login_url.trim_end_matches('/')))
        .form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &credentials.client_id),
            ("client_secret", credentials.client_secret.expose_secret()),
        ])
        .send()
        .await
        // A login that may have arrived does no harm when it is sent again, so it counts as one that did not.
        .map_err(|error| Error::Unreachable { host: host.clone(), cause: super::root_cause(&error) })?;
    let status = response.status();
    let bytes = response
        .bytes()
        .await
        .map_err(|error| Error::Unreachable { host: host.clone(), cause: super::root_cause(&error) })?;
    if status.is_success() {
        let granted: Granted = serde_json::from_slice(&bytes).map_err(|_| Error::Login {
            code: "unexpected_answer".to_owned(),
            message: format!("{host} does not answer like Salesforce"),
        })?;
        return Ok(Session {
            instance_url: granted.instance_url.trim_end_matches('/').to_owned(),
            org_id: granted.id.rsplit('/').nth(1).unwrap_or_default().to_owned(),
            token: granted.access_token.into(),
        });
    }
    match serde_json::from_slice::<Denied>(&bytes) {
        Ok(denied) => Err(Error::Login { code: denied.error, message: denied.error_description }),
        Err(_) if status.is_server_error() => Err(super::api_error(status.as_u16(), None, None)),
        Err(_) => Err(Error::Login {
            code: format!("HTTP {}", status.as_u16()),
            message: format!("{host} does not answer like Salesforce; is login_url your org's My Domain?"),
        }),
    }
}

impl super::Client {
    /// Logs in (if need be) and tells the org's id.
    pub async fn org_id(&self) -> Result<String, Error> {
        self.session().await.map(|session| session.org_id)
    }
}
