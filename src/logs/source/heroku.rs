//! An app's log at Heroku: log sessions of the Platform API. A session gives an address whose answer goes on for as long
//! as the app writes, for about an hour; another one takes its place before that.

use std::error::Error;
use std::time::Duration;

use chrono::Utc;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use url::Url;

use super::seam::{HISTORY, Line, Seam};
use super::{Failure, Manner, QUIET, Teller};
use crate::logs::parse::Zone;
use crate::logs::parse::origin::Origin;
use crate::logs::parse::splitter::Splitter;
use crate::logs::parse::stream::Stream;

/// How long an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Which app's log, and how it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HerokuApp {
    /// The app's name or id.
    pub app: String,
    /// One dyno or add-on only: `web.1`, `herokuconnect`.
    pub dyno: Option<String>,
    /// `app` or `heroku` only.
    pub from: Option<String>,
    /// The Platform API.
    pub api_url: String,
    /// The environment variable that holds the key.
    pub api_key_env: String,
    /// How often a session is replaced by a new one.
    pub renew: Duration,
}

/// What a session's creation answers.
#[derive(Deserialize)]
struct Session {
    logplex_url: String,
}

/// Reads it, or follows it.
pub(super) async fn read(
    app: &HerokuApp,
    manner: Manner,
    seam: &mut Seam,
    teller: &mut Teller,
) -> Result<(), Failure> {
    let api = Api::new(app)?;
    let lines = if seam.is_new() { manner.lines.min(HISTORY) } else { HISTORY };
    let response = api.open(lines, manner.follow).await?;
    teller.works().await;
    let stream = Stream::new(Origin::named(&teller.name, &app.app, Zone::Utc));
    let mut reading = Reading { incoming: Incoming::new(response), stream, seam, teller };
    reading.seam.begin();
    let ended = reading.follow(&api, manner).await;
    // What has begun and did not end comes whole in the next stream.
    reading.stream.idle();
    reading.teller.lines(&mut reading.stream).await;
    ended
}

/// Whether its log can be read.
pub(super) async fn check(app: &HerokuApp) -> Result<(), Failure> {
    Api::new(app)?.open(1, false).await.map(|_| ())
}

/// A log that is being read.
struct Reading<'a> {
    incoming: Incoming,
    stream: Stream,
    seam: &'a mut Seam,
    teller: &'a mut Teller,
}

impl Reading<'_> {
    async fn follow(&mut self, api: &Api<'_>, manner: Manner) -> Result<(), Failure> {
        let mut renewal = Instant::now() + api.app.renew;
        loop {
            tokio::select! {
                piece = self.incoming.response.chunk() => match piece {
                    Ok(Some(piece)) => self.take(&piece).await,
                    Ok(None) if manner.follow => return Err(api.broken("it ended")),
                    Ok(None) => {
                        self.finish();
                        return Ok(());
                    }
                    Err(error) => return Err(api.broken(&cause(error))),
                },
                () = tokio::time::sleep_until(renewal), if manner.follow => {
                    renewal = Instant::now() + match api.open(HISTORY, true).await {
                        Ok(response) => {
                            self.incoming = Incoming::new(response);
                            self.seam.begin();
                            api.app.renew
                        }
                        // The old one goes on for a while.
                        Err(_) => api.app.renew / 10,
                    };
                }
                () = tokio::time::sleep(QUIET) => {
                    self.stream.idle();
                    self.teller.lines(&mut self.stream).await;
                    self.teller.caught_up().await;
                }
            }
        }
    }

    async fn take(&mut self, piece: &[u8]) {
        for line in self.incoming.lines(piece) {
            self.line(&line).await;
        }
    }

    async fn line(&mut self, line: &str) {
        match self.seam.take(line) {
            Line::Known => return,
            Line::New => {}
            Line::NewBehindGap => {
                self.stream.idle();
                self.teller.lines(&mut self.stream).await;
                let why = "Heroku no longer had the lines that came while the stream was interrupted";
                self.teller.gap(None, why).await;
            }
        }
        self.stream.line(line, Utc::now());
        self.teller.lines(&mut self.stream).await;
    }

    /// The end of what is not followed: a last line may lack its end.
    fn finish(&mut self) {
        for line in self.incoming.rest() {
            if self.seam.take(&line) != Line::Known {
                self.stream.line(&line, Utc::now());
            }
        }
    }
}

/// An answer, and how its bytes become lines.
struct Incoming {
    response: Response,
    splitter: Splitter,
    /// Whether its lines stand in events of a server (`data: ...`).
    is_of_events: bool,
}

impl Incoming {
    fn new(response: Response) -> Incoming {
        let kind = response.headers().get(CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
        let is_of_events = kind.starts_with(b"text/event-stream");
        Incoming { response, splitter: Splitter::default(), is_of_events }
    }

    fn lines(&mut self, piece: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        self.splitter.feed(piece, &mut |text| lines.extend(line_of(self.is_of_events, text)));
        lines
    }

    fn rest(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        self.splitter.finish(&mut |text| lines.extend(line_of(self.is_of_events, text)));
        lines
    }
}

/// A line of the log, where this is one: empty lines end events, and other fields keep a stream alive.
fn line_of(is_of_events: bool, text: &str) -> Option<String> {
    let text = match is_of_events {
        true => text.strip_prefix("data:").map(|text| text.strip_prefix(' ').unwrap_or(text))?,
        false => text,
    };
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

/// The Platform API, for one app.
struct Api<'a> {
    app: &'a HerokuApp,
    http: reqwest::Client,
    key: SecretString,
}

impl Api<'_> {
    fn new(app: &HerokuApp) -> Result<Api<'_>, Failure> {
        let name = &app.api_key_env;
        let key = std::env::var(name).map_err(|_| {
            Failure::new(
                format!("the environment variable {name} is not set"),
                "set it to what this prints: heroku authorizations:create -s read-protected -d syncdeck",
            )
        })?;
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("syncdeck/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                Failure::new(format!("TLS cannot be set up: {error}"), "look at its settings")
            })?;
        Ok(Api { app, http, key: key.into() })
    }

    /// The answer of a new session: the newest lines, and what comes if that is wanted.
    async fn open(&self, lines: usize, tail: bool) -> Result<Response, Failure> {
        let session = self.session(lines, tail).await?;
        let response = self.send(self.http.get(session).header(ACCEPT, "text/event-stream")).await?;
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Err(Failure::new(
                self.of("the log session is not valid any more"),
                "another one is asked for",
            )),
            status => Err(self.refused(status)),
        }
    }

    async fn session(&self, lines: usize, tail: bool) -> Result<Url, Failure> {
        let HerokuApp { app, dyno, from, api_url, .. } = self.app;
        let mut wanted = json!({"lines": lines, "tail": tail});
        for (key, value) in [("dyno", dyno), ("source", from)] {
            if let Some(value) = value {
                wanted[key] = value.as_str().into();
            }
        }
        let request = self
            .http
            .post(format!("{api_url}/apps/{app}/log-sessions"))
            .timeout(TIMEOUT)
            .bearer_auth(self.key.expose_secret())
            .header(ACCEPT, "application/vnd.heroku+json; version=3")
            .json(&wanted);
        let response = self.send(request).await?;
        if !response.status().is_success() {
            return Err(self.refused(response.status()));
        }
        let session = response.json::<Session>().await.ok();
        let url = session.and_then(|session| Url::parse(&session.logplex_url).ok());
        // A log must not come from somewhere else on the way, nor a stranger choose where this program calls.
        let is_safe = |url: &Url| url.scheme() == "https" || api_url.starts_with("http://");
        url.filter(is_safe).ok_or_else(|| {
            Failure::new(
                self.of("the Platform API's answer names no log with https"),
                "look at api_url, and whether a proxy answers there",
            )
        })
    }

    /// The head of an answer. What follows it has all the time it wants.
    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let answer = tokio::time::timeout(TIMEOUT, request.send()).await;
        let why = match answer {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) => cause(error),
            Err(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
        };
        Err(Failure::new(
            self.of(&format!("Heroku cannot be reached: {why}")),
            "look at the network, and at status.heroku.com",
        ))
    }

    fn broken(&self, why: &str) -> Failure {
        Failure::new(self.of(&format!("the log's stream broke: {why}")), "it is asked for again")
    }

    fn refused(&self, status: StatusCode) -> Failure {
        let (app, name) = (&self.app.app, &self.app.api_key_env);
        match status {
            StatusCode::UNAUTHORIZED => Failure::new(
                self.of("the API key is refused"),
                format!("set {name} to a valid one: heroku authorizations:create -s read-protected"),
            ),
            StatusCode::FORBIDDEN => Failure::new(
                self.of("the API key may not read this log"),
                format!("give its account access: heroku access:add -a {app}"),
            ),
            StatusCode::NOT_FOUND => {
                Failure::new(format!("there is no app {app}"), "correct app; heroku apps lists yours")
            }
            StatusCode::TOO_MANY_REQUESTS => {
                Failure::new(self.of("Heroku's limit of requests is used up"), "it is tried again later")
            }
            status => Failure::new(self.of(&format!("Heroku answers {status}")), "look at status.heroku.com"),
        }
    }

    /// Says of which app something is said.
    fn of(&self, what: &str) -> String {
        format!("{}: {what}", self.app.app)
    }
}

/// Why it failed, without the address, which may hold a secret.
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut innermost: &dyn Error = &error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_alone_or_in_events() {
        let line = |is_of_events, text| line_of(is_of_events, text);
        assert_eq!(line(false, "data: x").as_deref(), Some("data: x"));
        assert_eq!(line(true, "data: x").as_deref(), Some("x"));
        assert_eq!(line(true, "data:x").as_deref(), Some("x"));
        for other in ["id: 17", ": keep-alive", "", "data:", "event: log"] {
            assert_eq!(line(true, other), None, "{other}");
        }
    }
}
