//! The only room that speaks Salesforce's API: login, describe, query, jobs of Bulk API 2.0 that read and write, sObject Collections,
//! limits, change events.
//!
//! A [`Client`] sends each request once. It renews an expired session and replays that one request, which Salesforce
//! had refused unread; every other failure goes to the caller, who alone knows what may be sent again. What a failure
//! *means* is the catalogue's business; here it is only told apart whether a request cannot have arrived, was
//! answered, or may have been carried out without an answer.

pub mod auth;
mod body;
pub mod bulk;
pub mod collections;
pub mod describe;
pub mod ingest;
pub mod limits;
pub mod organization;
mod page;
pub mod query;
pub mod retry;
pub mod sheet;
pub mod streaming;
mod told;
pub mod value;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::Utc;
use reqwest::header::{IF_MODIFIED_SINCE, LAST_MODIFIED};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::domain::values::address::OrgAddress;

pub use auth::{Credentials, Grant};

/// Why a request brought no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The request cannot have arrived: no connection.
    #[error("no connection to {host}: {cause}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// Why not.
        cause: String,
    },
    /// The request was sent, and its answer never came: it may have been carried out.
    #[error("no usable answer from {host}: {cause}")]
    Lost {
        /// Host and port.
        host: String,
        /// What happened instead.
        cause: String,
    },
    /// An answer came that is none of Salesforce's, or says nothing about what was asked: it may have been carried out.
    #[error("what {host} answers is of no use: {cause}")]
    Unusable {
        /// Host and port.
        host: String,
        /// What is wrong with it, without a word of it.
        cause: String,
    },
    /// The login was refused.
    #[error("the login is refused: {code}: {message}")]
    Login {
        /// OAuth's `error`.
        code: String,
        /// OAuth's `error_description`.
        message: String,
    },
    /// Salesforce refused the whole request.
    #[error("{code}: {message}")]
    Api {
        /// HTTP status.
        status: u16,
        /// `errorCode`.
        code: String,
        /// Its message.
        message: String,
        /// From `Retry-After`, where it was sent; never longer than a few minutes.
        retry_after: Option<Duration>,
    },
}

impl Error {
    /// Whether a query's further pages are gone: the session that asked has ended, or it took too long.
    pub fn is_lost_place(&self) -> bool {
        matches!(self, Error::Api { code, .. } if code == "INVALID_QUERY_LOCATOR")
    }
}

/// A connection to one org. Shared by reference; requests run side by side.
pub struct Client {
    http: reqwest::Client,
    credentials: Credentials,
    version: String,
    /// Requests carry this session; renewing it is serialised.
    session: tokio::sync::Mutex<Option<auth::Session>>,
    /// The org's own address, from the newest login: where every request but a login goes.
    instance: Mutex<Option<OrgAddress>>,
    /// API requests used and allowed, from the newest `Sforce-Limit-Info`.
    usage: Mutex<Option<(i64, i64)>>,
    renewals: AtomicU64,
    timeout: Duration,
    /// Big answers wait for each other, so that not all readers hold one at once.
    big: Arc<tokio::sync::Semaphore>,
}

/// One request.
struct Ask<'a> {
    method: Method,
    path: &'a str,
    body: Option<&'a Value>,
    /// Only if it changed since.
    since: Option<&'a str>,
    /// Of a query, as few records on a page as can be.
    short_page: bool,
}

/// What came of it.
struct Answer {
    body: Value,
    /// Paths of the texts in it that could not be held as they came.
    replaced: Vec<Vec<String>>,
    /// `Last-Modified`, as it came.
    modified: Option<String>,
    /// Nothing changed since.
    unmodified: bool,
}

impl Client {
    /// A client for the org of `credentials`, speaking API `version` (`62.0`), giving up on an answer after `timeout`.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(credentials: Credentials, version: &str, timeout: Duration) -> Result<Client, Error> {
        let http = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .tcp_nodelay(true)
            // Whether something may be sent twice is decided by the engine, never by the transport.
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("syncdeck/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::Unreachable { host: credentials.host(), cause: error.to_string() })?;
        Ok(Client {
            http,
            credentials,
            version: version.to_owned(),
            session: tokio::sync::Mutex::new(None),
            instance: Mutex::default(),
            usage: Mutex::new(None),
            renewals: AtomicU64::new(0),
            timeout,
            big: Arc::new(tokio::sync::Semaphore::new(body::BIG_AT_ONCE)),
        })
    }

    /// How long an answer is waited for.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// API requests used and allowed today, as Salesforce told with its newest answer.
    pub fn usage(&self) -> Option<(i64, i64)> {
        self.usage.lock().map(|usage| *usage).unwrap_or_default()
    }

    /// The org's own address, as its newest login answered.
    pub fn instance_url(&self) -> Option<String> {
        Some(self.instance.lock().ok()?.as_ref()?.to_string())
    }

    /// How often an expired session was renewed.
    pub fn renewals(&self) -> u64 {
        self.renewals.load(Ordering::Relaxed)
    }

    /// `GET /services/data/vXX.0/{path}`.
    async fn get(&self, path: &str) -> Result<Value, Error> {
        self.request(Method::GET, path, None).await
    }

    /// The same, unless nothing changed since the stamp that an earlier answer had. `None` when nothing did.
    async fn get_since(&self, path: &str, since: Option<&str>) -> Result<Option<Answer>, Error> {
        let answer =
            self.ask(&Ask { method: Method::GET, path, body: None, since, short_page: false }).await?;
        Ok(Some(answer).filter(|answer| !answer.unmodified))
    }

    /// One request below `/services/data/vXX.0/`, or at an absolute path.
    async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        Ok(self.ask(&Ask { method, path, body, since: None, short_page: false }).await?.body)
    }

    async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, Error> {
        let session = self.session().await?;
        match self.send(&session, ask).await {
            Err(error) => self.send(&self.session_after(&session, error).await?, ask).await,
            answer => answer,
        }
    }

    /// The session in which a request is sent once more that was refused because its own had expired.
    ///
    /// # Errors
    /// Every other refusal.
    async fn session_after(&self, expired: &auth::Session, error: Error) -> Result<auth::Session, Error> {
        match &error {
            Error::Api { status: 401, code, message, .. } if code == "INVALID_SESSION_ID" => {
                if !auth::is_cured_by_login(message) {
                    // Once somebody has mended the app, the next request needs a session of it.
                    self.forget(expired).await;
                    return Err(error);
                }
                self.renew(expired).await
            }
            _ => Err(error),
        }
    }

    /// Drops a session, unless somebody else renewed it meanwhile.
    async fn forget(&self, session: &auth::Session) {
        let mut held = self.session.lock().await;
        if held.as_ref() == Some(session) {
            *held = None;
        }
    }

    async fn session(&self) -> Result<auth::Session, Error> {
        let mut held = self.session.lock().await;
        match &*held {
            Some(session) => Ok(session.clone()),
            None => {
                let session = self.login().await?;
                *held = Some(session.clone());
                Ok(session)
            }
        }
    }

    async fn login(&self) -> Result<auth::Session, Error> {
        let session = self.sign_in().await?;
        if let Ok(mut instance) = self.instance.lock() {
            *instance = Some(session.instance.clone());
        }
        Ok(session)
    }

    /// A new session instead of `expired`, unless somebody else renewed it meanwhile.
    async fn renew(&self, expired: &auth::Session) -> Result<auth::Session, Error> {
        let mut held = self.session.lock().await;
        if let Some(session) = &*held
            && session != expired
        {
            return Ok(session.clone());
        }
        *held = None;
        let session = self.login().await?;
        self.renewals.fetch_add(1, Ordering::Relaxed);
        *held = Some(session.clone());
        Ok(session)
    }

    /// Sends a request.
    async fn respond(&self, session: &auth::Session, ask: &Ask<'_>) -> Result<reqwest::Response, Error> {
        let path = ask.path;
        let url = if path.starts_with('/') {
            format!("{}{path}", session.instance)
        } else {
            format!("{}/services/data/v{}/{path}", session.instance, self.version)
        };
        let mut request = self.http.request(ask.method.clone(), url).bearer_auth(session.token());
        if ask.method != Method::GET {
            // Change events name it: so our own are told from others.
            request = request.header("Sforce-Call-Options", format!("client={}", streaming::CLIENT_NAME));
        }
        if let Some(body) = ask.body {
            request = request.json(body);
        }
        if let Some(since) = ask.since {
            request = request.header(IF_MODIFIED_SINCE, since);
        }
        if ask.short_page {
            request = request.header("Sforce-Query-Options", "batchSize=200");
        }
        self.answered(request).await
    }

    /// The answer to a request. A redirect is none.
    async fn answered(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, Error> {
        let response = request.send().await.map_err(|error| self.failure(&error))?;
        self.note_usage(response.headers());
        let status = response.status();
        if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
            // The token is for this host alone, and Salesforce's API sends nobody elsewhere.
            return Err(self.unusable(&format!("a redirect ({status}), which is not followed")));
        }
        Ok(response)
    }

    async fn send(&self, session: &auth::Session, ask: &Ask<'_>) -> Result<Answer, Error> {
        let response = self.respond(session, ask).await?;
        let status = response.status();
        let modified = response.headers().get(LAST_MODIFIED).and_then(|value| value.to_str().ok());
        let modified = modified.map(str::to_owned);
        if [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status) {
            let unmodified = status == StatusCode::NOT_MODIFIED;
            return Ok(Answer { body: Value::Null, replaced: Vec::new(), modified, unmodified });
        }
        if !status.is_success() {
            return Err(self.refusal(response).await);
        }
        let body::Json { value: body, replaced } = self.json(response).await?;
        Ok(Answer { body, replaced, modified, unmodified: false })
    }

    /// How a request was refused. That is known, whatever else came.
    async fn refusal(&self, response: reqwest::Response) -> Error {
        let status = response.status();
        let retry_after = told::retry_after(response.headers(), Utc::now());
        let body = self.json(response).await.ok().map(|json| json.value);
        if told::is_by_salesforce(status, body.as_ref()) {
            return told::api_error(status.as_u16(), body.as_ref(), retry_after);
        }
        self.unusable(&format!("{status} in words that are not Salesforce's"))
    }

    /// The JSON of an answer.
    async fn json(&self, response: reqwest::Response) -> Result<body::Json, Error> {
        let body = self.body(response, Vec::new()).await?;
        body::json(body).await.map_err(|cause| self.unusable(&cause))
    }

    /// The body of an answer, which is to be UTF-8, read into `bytes`.
    async fn body(&self, response: reqwest::Response, bytes: Vec<u8>) -> Result<body::Body, Error> {
        let charset = told::foreign_charset(response.headers());
        match body::read(response, bytes, &self.big).await {
            Ok(body) => match charset {
                None => Ok(body),
                Some(charset) => Err(self.unusable(&format!("the answer is in {charset}, not in UTF-8"))),
            },
            Err(body::Unread::TooLong) => Err(self.unusable(&body::too_long())),
            // It came, and would go on coming: a byte a second, or blanks for ever.
            Err(body::Unread::Broken(error)) if error.is_timeout() => {
                Err(self.unusable("the answer does not end in time"))
            }
            Err(body::Unread::Broken(error)) => {
                Err(self.unusable(&format!("the answer ends in the middle ({})", root_cause(&error))))
            }
        }
    }

    /// An answer that came and says nothing usable.
    pub fn unusable(&self, cause: &str) -> Error {
        Error::Unusable { host: self.asked(), cause: cause.to_owned() }
    }

    /// Who was asked, for messages: the org itself, which the login may have named at another address than its own.
    fn asked(&self) -> String {
        let instance = self.instance.lock().ok().and_then(|instance| Some(instance.as_ref()?.host()));
        instance.unwrap_or_else(|| self.credentials.host())
    }

    fn failure(&self, error: &reqwest::Error) -> Error {
        let host = self.asked();
        let cause = root_cause(error);
        if told::is_no_http(&cause) {
            return self.unusable(&format!("what came is no HTTP: {cause}"));
        }
        if error.is_connect() { Error::Unreachable { host, cause } } else { Error::Lost { host, cause } }
    }

    fn note_usage(&self, headers: &reqwest::header::HeaderMap) {
        if let (Some(usage), Ok(mut held)) = (told::usage(headers), self.usage.lock()) {
            *held = Some(usage);
        }
    }
}

/// The innermost cause, without the URL, which may carry a token.
fn root_cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
