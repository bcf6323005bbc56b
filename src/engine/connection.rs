//! The way to Salesforce: open, or closed for a while because of an outage, a limit or a refused login. What stops
//! the connection stops nothing else: no attempt is counted, no record fails.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::domain::errors::sync_error::ErrorSource;
use crate::domain::mappings::backoff::Backoff;
use crate::domain::reports::overview::ConnectionStatus;
use crate::domain::state::ConnectionState;
use crate::postgres::errors::sync_errors::NewError;
use crate::salesforce::Error;

use super::Shared;

/// How a daily limit is waited out: asked again this often.
const DAILY_LIMIT_PAUSE: Duration = Duration::from_secs(60);
/// The same of our own budget: each look is a request more.
const BUDGET_PAUSE: Duration = Duration::from_secs(300);
/// What the way is closed with then.
const BUDGET_USED: &str = "API_BUDGET_USED";
/// Waits between tries while the org is down.
const OUTAGE: Backoff =
    Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(30), max_retries: u32::MAX };

/// The state of the way.
pub struct Link {
    name: String,
    environment: String,
    state: Mutex<State>,
    /// Whether an error of the connection was listed since the last answer.
    listed: AtomicBool,
}

#[derive(Clone, Debug)]
struct State {
    word: ConnectionState,
    detail: Option<String>,
    /// Closed until then.
    until: Option<Instant>,
    failures: u32,
    /// Counts how often it was closed.
    closed: u64,
}

/// When a request began: before which failures of the way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun(u64);

impl Link {
    /// A way that nobody went yet.
    pub fn new(name: &str, environment: &str) -> Link {
        let state =
            State { word: ConnectionState::Connecting, detail: None, until: None, failures: 0, closed: 0 };
        let (name, environment) = (name.to_owned(), environment.to_owned());
        Link { name, environment, state: Mutex::new(state), listed: AtomicBool::default() }
    }

    /// How long it is still closed.
    pub fn closed_for(&self) -> Option<Duration> {
        let state = self.state.lock().ok()?;
        state
            .until
            .and_then(|until| until.checked_duration_since(Instant::now()))
            .filter(|left| !left.is_zero())
    }

    /// Whether the last answer was none, so that nothing should be sent before another one is.
    pub(super) fn is_doubtful(&self) -> bool {
        self.state.lock().is_ok_and(|state| state.word == ConnectionState::Degraded)
    }

    /// Whether nothing is known to be wrong.
    pub(super) fn is_good(&self) -> bool {
        self.state.lock().is_ok_and(|state| state.word == ConnectionState::Ok)
    }

    /// For the sign of life, with what the org told besides.
    pub fn status(&self, usage: Option<(i64, i64)>, instance_url: Option<String>) -> ConnectionStatus {
        let (word, detail) = self
            .state
            .lock()
            .map(|state| (state.word, state.detail.clone()))
            .unwrap_or((ConnectionState::Down, None));
        ConnectionStatus {
            name: self.name.clone(),
            environment: self.environment.clone(),
            state: word,
            detail,
            api_used: usage.map(|(used, _)| used),
            api_limit: usage.map(|(_, limit)| limit),
            instance_url,
        }
    }

    /// Closes it for a while. Returns for how long. What fails while it is closed was asked before: several that were under
    /// way together are one failure, and make nobody wait for longer.
    fn close(&self, word: ConnectionState, detail: String, pause: Option<Duration>) -> Duration {
        let Ok(mut state) = self.state.lock() else { return pause.unwrap_or_default() };
        let now = Instant::now();
        let left = state.until.and_then(|until| until.checked_duration_since(now));
        let left = left.filter(|left| !left.is_zero());
        let fresh = || OUTAGE.delay(state.failures, 0.5 + rand::random::<f64>() / 2.0);
        let wait = match left {
            Some(left) => pause.map_or(left, |pause| pause.max(left)),
            None => pause.unwrap_or_else(fresh),
        };
        *state = State {
            word,
            detail: Some(detail),
            until: now.checked_add(wait),
            failures: state.failures.saturating_add(u32::from(left.is_none())),
            closed: state.closed.wrapping_add(1),
        };
        wait
    }

    /// Somebody mended something: it is tried again now.
    pub(super) fn try_again(&self) {
        if let Ok(mut state) = self.state.lock() {
            (state.until, state.failures) = (None, 0);
        }
    }

    /// To be noted before a request.
    pub(super) fn begin(&self) -> Begun {
        Begun(self.state.lock().map_or(0, |state| state.closed))
    }

    /// A request that began then was answered: it works, unless it was closed since. `None` where it stays closed; true
    /// when it is news that it works.
    fn open(&self, begun: Begun) -> Option<bool> {
        let mut state = self.state.lock().ok()?;
        if state.closed != begun.0 {
            return None;
        }
        let news = state.word != ConnectionState::Ok;
        *state =
            State { word: ConnectionState::Ok, detail: None, until: None, failures: 0, closed: state.closed };
        Some(news)
    }
}

/// True for failures of the way itself, which say nothing about what was sent.
pub(super) fn concerns_link(error: &Error) -> bool {
    match error {
        Error::Unreachable { .. } | Error::Login { .. } => true,
        Error::Lost { .. } | Error::Unusable { .. } => false,
        // 500 may have been carried out; the others were refused before anything was done.
        Error::Api { status, code, .. } => {
            matches!(status, 401 | 420 | 429 | 502 | 503 | 504)
                || matches!(
                    code.as_str(),
                    "REQUEST_LIMIT_EXCEEDED"
                        | "SERVER_UNAVAILABLE"
                        | "API_DISABLED_FOR_ORG"
                        | "API_CURRENTLY_DISABLED"
                        | "FUNCTIONALITY_TEMPORARILY_UNAVAILABLE"
                )
        }
    }
}

/// Takes note of an answer that is none, wherever it was met: while such come, the connection is not well. True if it is
/// one.
pub(super) async fn note_unusable(shared: &Shared, error: &Error) -> bool {
    let unusable = matches!(error, Error::Unusable { .. });
    if unusable {
        report(shared, error).await;
    }
    unusable
}

/// Asks for as little as can be, to know whether answers are answers again. What is sent before is lost with each that is
/// none, and in the end nobody knows of any record whether Salesforce has it.
pub(super) async fn probe(shared: &Shared) -> bool {
    let mappings = shared.mappings();
    let Some(mapping) = mappings.iter().find(|mapping| !mapping.gone) else { return true };
    let begun = shared.link.begin();
    match shared.client.query(&format!("SELECT Id FROM {} LIMIT 1", mapping.object)).await {
        // Whatever Salesforce itself says is an answer.
        Err(error) if !matches!(error, Error::Api { .. }) || concerns_link(&error) => {
            report(shared, &error).await;
            false
        }
        _ => {
            works(shared, begun).await;
            true
        }
    }
}

/// Takes note of a failure of the way.
pub(super) async fn report(shared: &Shared, error: &Error) {
    let (word, code, message, pause) = state_after(error);
    close(shared, word, &code, &message, pause).await;
}

/// Closes the way, keeps that as a connection error, tells the log.
async fn close(shared: &Shared, word: ConnectionState, code: &str, message: &str, pause: Option<Duration>) {
    let pause = shared.link.close(word, format!("{code}: {message}"), pause);
    shared.log.of("link").warn(
        format!("Salesforce cannot be asked: {message}"),
        json!({"code": code, "state": word, "pause": format!("{:.1} s", pause.as_secs_f64())}),
    );
    keep(shared, code, message, Some(pause)).await;
}

/// How the way is, for the sign of life.
pub(super) fn status(shared: &Shared) -> ConnectionStatus {
    let usage = shared.client.usage();
    let mut status = shared.link.status(usage, shared.client.instance_url());
    if status.state == ConnectionState::Ok {
        status.detail = slowed(shared).or_else(|| shared.bulk_limits.short());
    }
    status
}

/// Why polls are rarer, where they are.
pub(super) fn slowed(shared: &Shared) -> Option<String> {
    shared.config.salesforce.api_budget.slowed(shared.client.usage())
}

/// A request that began then was answered. It works: the connection's errors are over, also one that was listed after another
/// part had an answer already. Not where the way was closed since: what was asked before says nothing of it.
pub(super) async fn works(shared: &Shared, begun: Begun) {
    if let Some(spent) = shared.config.salesforce.api_budget.spent(shared.client.usage()) {
        // Others that were under way find it closed already.
        if shared.link.closed_for().is_none() {
            close(shared, ConnectionState::Limited, BUDGET_USED, &spent, Some(BUDGET_PAUSE)).await;
        }
        return;
    }
    let Some(news) = shared.link.open(begun) else { return };
    let listed = shared.link.listed.swap(false, Ordering::Relaxed);
    if news {
        shared.log.of("link").info("Salesforce answers", json!({}));
    }
    if !news && !listed {
        return;
    }
    match shared.store.resolve_mapping_errors("", &["login", "request"]).await {
        Ok(0) => {}
        Ok(_) => {
            let _ = shared.store.notify("errors").await;
        }
        // The next answer resolves it.
        Err(_) => shared.link.listed.store(true, Ordering::Relaxed),
    }
}

/// Keeps a connection error without closing the way, for what mended itself at once.
pub(super) async fn keep(shared: &Shared, code: &str, message: &str, retry: Option<Duration>) {
    let op = if matches!(code, "LOGIN_FAILED" | "INVALID_SESSION_ID") { "login" } else { "request" };
    let error = NewError::classified("", op, ErrorSource::Salesforce, code, message, Vec::new());
    let _ = shared.store.keep_mapping_error("", &error, retry).await;
    shared.link.listed.store(true, Ordering::Relaxed);
    let _ = shared.store.notify("errors").await;
}

fn state_after(error: &Error) -> (ConnectionState, String, String, Option<Duration>) {
    match error {
        Error::Login { code, message } => (
            ConnectionState::Unauthorized,
            "LOGIN_FAILED".to_owned(),
            format!("{code}: {message}"),
            Some(Duration::from_secs(30)),
        ),
        Error::Unreachable { .. } => {
            (ConnectionState::Down, "CONNECTION_FAILED".to_owned(), error.to_string(), None)
        }
        Error::Unusable { .. } => {
            (ConnectionState::Degraded, "ANSWER_UNUSABLE".to_owned(), error.to_string(), None)
        }
        Error::Lost { .. } => (ConnectionState::Down, "REQUEST_TIMEOUT".to_owned(), error.to_string(), None),
        Error::Api { code, message, retry_after, .. } if code == "REQUEST_LIMIT_EXCEEDED" => {
            // One code, two meanings: too many at once passes in seconds, the daily allowance in hours.
            let concurrent = message.contains("Concurrent") || retry_after.is_some();
            let pause =
                retry_after.unwrap_or(if concurrent { Duration::from_secs(2) } else { DAILY_LIMIT_PAUSE });
            (ConnectionState::Limited, code.clone(), message.clone(), Some(pause))
        }
        Error::Api { status: 401, code, message, .. } => {
            (ConnectionState::Unauthorized, code.clone(), message.clone(), Some(Duration::from_secs(30)))
        }
        Error::Api { code, message, retry_after, .. } => {
            (ConnectionState::Down, code.clone(), message.clone(), *retry_after)
        }
    }
}

/// A failure of the way to Salesforce counts wherever it is met.
pub(in crate::engine) async fn note_failure(shared: &Shared, error: &Error) {
    if concerns_link(error) || matches!(error, Error::Unusable { .. }) {
        report(shared, error).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down(link: &Link) -> Duration {
        link.close(ConnectionState::Down, "away".to_owned(), None)
    }

    fn failures(link: &Link) -> u32 {
        link.state.lock().unwrap().failures
    }

    #[test]
    fn failures_of_requests_that_were_under_way_together_are_one() {
        let link = Link::new("acme", "test");
        let first = down(&link);
        assert!((0..20).all(|_| down(&link) <= first));
        assert_eq!(failures(&link), 1);
        // A limit that is told meanwhile holds for as long as it says.
        let limit = Duration::from_secs(60);
        assert_eq!(link.close(ConnectionState::Limited, "limit".to_owned(), Some(limit)), limit);
        assert!(down(&link) > limit - Duration::from_secs(10));
        // Once somebody was asked again, it is another one.
        link.state.lock().unwrap().until = None;
        down(&link);
        assert_eq!(failures(&link), 2);
    }

    #[test]
    fn an_answer_opens_only_what_was_closed_before_it_was_asked_for() {
        let link = Link::new("acme", "test");
        let early = link.begin();
        assert_eq!(link.open(early), Some(true));
        down(&link);
        assert_eq!(link.open(early), None);
        assert!(link.closed_for().is_some());
        let again = link.begin();
        assert_eq!((link.open(again), link.open(again)), (Some(true), Some(false)));
        assert!(link.closed_for().is_none());
    }
}
