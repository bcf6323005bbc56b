//! An app's log at Heroku: log sessions of the Platform API. A session gives an address whose answer goes on for as long
//! as the app writes, for about an hour; another one takes its place before that. The two are followed side by side for a
//! while: an app of the Fir generation has no history that a new session could begin with.

use std::error::Error;
use std::time::Duration;

use axum::body::Bytes;
use chrono::Utc;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use url::Url;

use super::seam::{self, HISTORY, Seam, SeamLine};
use super::{QUIET, ReadManner, SourceFailure, Teller};
use crate::logs::parse::Zone;
use crate::logs::parse::origin::LineOrigin;
use crate::logs::parse::splitter::Splitter;
use crate::logs::parse::stream::Stream;

/// How long an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long an old session is followed beside the new one, at most: what it still had to send comes within that.
const OVERLAP: Duration = Duration::from_secs(5);
/// When nothing comes for so long, all is read that an app of the Fir generation has: its answer never ends.
const SILENCE: Duration = Duration::from_secs(2);

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

/// What is told about an app.
#[derive(Deserialize)]
struct App {
    #[serde(default)]
    generation: serde_json::Value,
}

/// What a session's creation answers.
#[derive(Deserialize)]
struct Session {
    logplex_url: String,
}

/// Reads it, or follows it.
pub(super) async fn read(
    app: &HerokuApp,
    manner: ReadManner,
    seam: &mut Seam,
    teller: &mut Teller,
) -> Result<(), SourceFailure> {
    let mut api = Api::new(app)?;
    api.is_fir = api.asks_fir().await;
    let lines = if seam.is_new() { manner.lines.min(HISTORY) } else { HISTORY };
    let response = api.open(lines, manner.follow).await?;
    teller.works().await;
    let stream = Stream::new(LineOrigin::named(&teller.name, &app.app, Zone::Utc));
    let mut reading = Reading { newest: Incoming::new(response), before: None, stream, seam, teller };
    reading.seam.begin();
    let ended = reading.follow(&api, manner).await;
    // What has begun and did not end comes whole in the next stream.
    reading.stream.idle();
    reading.teller.lines(&mut reading.stream).await;
    ended
}

/// Whether its log can be read.
pub(super) async fn check(app: &HerokuApp) -> Result<(), SourceFailure> {
    let mut api = Api::new(app)?;
    api.is_fir = api.asks_fir().await;
    api.open(1, false).await.map(|_| ())
}

/// A log that is being read.
struct Reading<'a> {
    newest: Incoming,
    /// The one before, and until when it is followed.
    before: Option<(Incoming, Instant)>,
    stream: Stream,
    seam: &'a mut Seam,
    teller: &'a mut Teller,
}

impl Reading<'_> {
    async fn follow(&mut self, api: &Api<'_>, manner: ReadManner) -> Result<(), SourceFailure> {
        let mut renewal = Instant::now() + api.app.renew;
        // Counted from the last line, whatever else happens: a trace that ended is told.
        let mut silent_since = Instant::now();
        let mut quiet = silent_since + QUIET;
        loop {
            tokio::select! {
                piece = self.newest.response.chunk() => match piece {
                    Ok(Some(piece)) => {
                        silent_since = Instant::now();
                        quiet = silent_since + QUIET;
                        self.take(seam::SeamStream::Newest, &piece).await;
                    }
                    Ok(None) if manner.follow => return Err(api.broken("it ended")),
                    Ok(None) => {
                        self.finish();
                        return Ok(());
                    }
                    Err(error) => return Err(api.broken(&cause(error))),
                },
                piece = before(&mut self.before) => match piece {
                    Some(piece) => self.take(seam::SeamStream::Before, &piece).await,
                    None => self.leave(),
                },
                () = tokio::time::sleep_until(renewal), if manner.follow => {
                    renewal = Instant::now() + match api.open(HISTORY, true).await {
                        Ok(response) => {
                            let until = Instant::now() + OVERLAP.min(api.app.renew / 2);
                            let before = std::mem::replace(&mut self.newest, Incoming::new(response));
                            self.before = Some((before, until));
                            self.seam.overlap();
                            api.app.renew
                        }
                        // The old one goes on for a while.
                        Err(_) => api.app.renew / 10,
                    };
                }
                () = tokio::time::sleep_until(quiet) => {
                    quiet = Instant::now() + QUIET;
                    self.stream.idle();
                    self.teller.lines(&mut self.stream).await;
                    self.teller.caught_up().await;
                    if api.is_fir && !manner.follow && silent_since.elapsed() >= SILENCE {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// The stream before has ended, or was followed for long enough.
    fn leave(&mut self) {
        self.before = None;
        self.seam.leave();
    }

    async fn take(&mut self, from: seam::SeamStream, piece: &[u8]) {
        let incoming = match (from, &mut self.before) {
            (seam::SeamStream::Before, Some((before, _))) => before,
            _ => &mut self.newest,
        };
        for line in incoming.lines(piece) {
            self.line(from, &line).await;
        }
    }

    async fn line(&mut self, from: seam::SeamStream, line: &str) {
        match self.seam.take(from, line) {
            SeamLine::Known => return,
            SeamLine::New => {}
            SeamLine::NewBehindGap => {
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
        for line in self.newest.rest() {
            if self.seam.take(seam::SeamStream::Newest, &line) != SeamLine::Known {
                self.stream.line(&line, Utc::now());
            }
        }
    }
}

/// The next piece of the stream before; nothing when it has ended or was followed for long enough, and never, when there is
/// none.
async fn before(before: &mut Option<(Incoming, Instant)>) -> Option<Bytes> {
    let Some((incoming, until)) = before else { return std::future::pending().await };
    tokio::time::timeout_at(*until, incoming.response.chunk()).await.ok()?.ok()?
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
    /// Whether the app is of the Fir generation, which has live lines only.
    is_fir: bool,
}

impl Api<'_> {
    fn new(app: &HerokuApp) -> Result<Api<'_>, SourceFailure> {
        let name = &app.api_key_env;
        let key = std::env::var(name).map_err(|_| {
            SourceFailure::new(
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
                SourceFailure::new(format!("TLS cannot be set up: {error}"), "look at its settings")
            })?;
        Ok(Api { app, http, key: key.into(), is_fir: false })
    }

    /// The answer of a new session: the newest lines, and what comes if that is wanted.
    async fn open(&self, lines: usize, tail: bool) -> Result<Response, SourceFailure> {
        let session = self.session(lines, tail).await?;
        let response = self.send(self.http.get(session).header(ACCEPT, "text/event-stream")).await?;
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Err(SourceFailure::new(
                self.of("the log session is not valid any more"),
                "another one is asked for",
            )),
            status => Err(self.refused(status)),
        }
    }

    /// Asks whether the app is of the Fir generation. One that tells nothing is not, and the session's creation says why.
    async fn asks_fir(&self) -> bool {
        let HerokuApp { app, api_url, .. } = self.app;
        let request = self.authorized(self.http.get(format!("{api_url}/apps/{app}")));
        let Ok(response) = self.send(request).await else { return false };
        let Ok(told) = response.json::<App>().await else { return false };
        // `{"name": "fir"}`; once it was the name alone.
        told.generation.get("name").unwrap_or(&told.generation) == "fir"
    }

    /// What the body of a session's creation asks for.
    fn wanted(&self, lines: usize, tail: bool) -> serde_json::Value {
        let HerokuApp { dyno, from, .. } = self.app;
        let mut wanted = if self.is_fir { json!({}) } else { json!({"lines": lines, "tail": tail}) };
        // Dynos of Fir are called `web-1b2c3d`; a name without such an end is that of their process.
        let is_process = |name: &String| self.is_fir && !name.contains(['.', '-']);
        let dyno_key = if dyno.as_ref().is_some_and(is_process) { "type" } else { "dyno" };
        for (key, value) in [(dyno_key, dyno), ("source", from)] {
            if let Some(value) = value {
                wanted[key] = value.as_str().into();
            }
        }
        wanted
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.timeout(TIMEOUT).bearer_auth(self.key.expose_secret());
        request.header(ACCEPT, "application/vnd.heroku+json; version=3.sdk")
    }

    async fn session(&self, lines: usize, tail: bool) -> Result<Url, SourceFailure> {
        let HerokuApp { app, api_url, .. } = self.app;
        let request = self.http.post(format!("{api_url}/apps/{app}/log-sessions"));
        let request = self.authorized(request).json(&self.wanted(lines, tail));
        let response = self.send(request).await?;
        if !response.status().is_success() {
            return Err(self.refused(response.status()));
        }
        let session = response.json::<Session>().await.ok();
        let url = session.and_then(|session| Url::parse(&session.logplex_url).ok());
        // A log must not come from somewhere else on the way, nor a stranger choose where this program calls.
        let is_safe = |url: &Url| url.scheme() == "https" || api_url.starts_with("http://");
        url.filter(is_safe).ok_or_else(|| {
            SourceFailure::new(
                self.of("the Platform API's answer names no log with https"),
                "look at api_url, and whether a proxy answers there",
            )
        })
    }

    /// The head of an answer. What follows it has all the time it wants.
    async fn send(&self, request: RequestBuilder) -> Result<Response, SourceFailure> {
        let answer = tokio::time::timeout(TIMEOUT, request.send()).await;
        let why = match answer {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) => cause(error),
            Err(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
        };
        Err(SourceFailure::new(
            self.of(&format!("Heroku cannot be reached: {why}")),
            "look at the network, and at status.heroku.com",
        ))
    }

    fn broken(&self, why: &str) -> SourceFailure {
        SourceFailure::new(self.of(&format!("the log's stream broke: {why}")), "it is asked for again")
    }

    fn refused(&self, status: StatusCode) -> SourceFailure {
        let (app, name) = (&self.app.app, &self.app.api_key_env);
        match status {
            StatusCode::UNAUTHORIZED => SourceFailure::new(
                self.of("the API key is refused"),
                format!("set {name} to a valid one: heroku authorizations:create -s read-protected"),
            ),
            StatusCode::FORBIDDEN => SourceFailure::new(
                self.of("the API key may not read this log"),
                format!("give its account access: heroku access:add -a {app}"),
            ),
            StatusCode::NOT_FOUND => {
                SourceFailure::new(format!("there is no app {app}"), "correct app; heroku apps lists yours")
            }
            StatusCode::TOO_MANY_REQUESTS => SourceFailure::new(
                self.of("Heroku's limit of requests is used up"),
                "it is tried again later",
            ),
            status => {
                SourceFailure::new(self.of(&format!("Heroku answers {status}")), "look at status.heroku.com")
            }
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
