//! The channels: one file each, and what they have in common. A channel sends one message once, and says why it was not
//! taken; when it is tried again is decided elsewhere.

mod guard;
mod mail;
mod pagerduty;
mod slack;
mod webhook;

use std::error::Error as _;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hmac::{KeyInit, Mac};
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::config::channel::{Channel, ChannelKind, Secret};
use crate::domain::alert::message::Message;
use crate::domain::values::address::Endpoint;
use crate::postgres::reports::deliveries::DeliveryRefusal;

/// How long one message may take; Standard Webhooks advises 15 to 30 s.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// The most that is read of an answer.
const ANSWER: usize = 64 << 10;

/// Why a channel did not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The login, the token or the signature is not accepted.
    Auth,
    /// It takes no more for now.
    Rate,
    /// It does not take this.
    Refused,
    /// It cannot be reached, or is in trouble itself.
    Unreachable,
    /// It is not there any more, and says so.
    Gone,
    /// What it needs is not there: a secret, or an address that may be used.
    Unset,
}

impl Reason {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Reason::Auth => "auth",
            Reason::Rate => "rate",
            Reason::Refused => "refused",
            Reason::Unreachable => "unreachable",
            Reason::Gone => "gone",
            Reason::Unset => "unset",
        }
    }
}

/// The same with all that is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", reason.word())]
pub struct DeliveryFailure {
    /// In a word.
    pub reason: Reason,
    /// In a sentence, without a secret.
    pub detail: String,
    /// When it wants to be asked again, where it says so.
    pub retry_after: Option<Duration>,
}

impl DeliveryFailure {
    fn new(reason: Reason, detail: impl Into<String>) -> DeliveryFailure {
        DeliveryFailure { reason, detail: detail.into(), retry_after: None }
    }

    /// As it is kept.
    pub fn refusal(&self) -> DeliveryRefusal {
        DeliveryRefusal {
            reason: self.reason.word(),
            detail: self.detail.clone(),
            disables: self.reason == Reason::Gone,
        }
    }
}

/// A message on its way out.
#[derive(Clone, Debug)]
pub struct Out<'a> {
    /// What is told.
    pub message: &'a Message,
    /// What a receiver that gets it twice knows it by.
    pub id: &'a str,
    /// Where an earlier message of the same episode is that can be changed.
    pub place: Option<Value>,
    /// The time.
    pub now: DateTime<Utc>,
}

/// What sends.
pub struct Sender {
    /// `None` where TLS cannot be set up.
    http: Option<reqwest::Client>,
}

impl Default for Sender {
    fn default() -> Sender {
        Sender::new()
    }
}

impl Sender {
    /// One that follows no redirect, repeats nothing by itself, and reaches nothing of this machine's surroundings.
    pub fn new() -> Sender {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(TIMEOUT / 2)
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(guard::AddressGuard)
            .user_agent(concat!("syncdeck/", env!("CARGO_PKG_VERSION")))
            .build();
        Sender { http: http.ok() }
    }

    /// Sends a message through a channel. Returns where it is, if it can be changed there.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn send(&self, channel: &Channel, out: &Out<'_>) -> Result<Option<Value>, DeliveryFailure> {
        let sent = async {
            match &channel.kind {
                ChannelKind::SlackHook { url } => {
                    slack::hook(self, url, channel.values, out).await.map(|()| None)
                }
                ChannelKind::SlackBot { token, channel: to, api_url } => {
                    slack::post(self, &slack::Bot { token, to, api_url }, channel.values, out).await.map(Some)
                }
                ChannelKind::Mail(mail) => mail::send(mail, channel.values, out).await.map(|()| None),
                ChannelKind::Webhook { url, secret, headers } => {
                    let hook = webhook::Hook { url, secret: secret.as_ref(), headers };
                    webhook::send(self, &hook, channel.values, out).await.map(|()| None)
                }
                ChannelKind::PagerDuty { routing_key, api_url } => {
                    pagerduty::send(self, routing_key, api_url, channel.values, out).await.map(|()| None)
                }
            }
        };
        let late =
            || DeliveryFailure::new(Reason::Unreachable, format!("no answer within {} s", TIMEOUT.as_secs()));
        tokio::time::timeout(TIMEOUT, sent).await.unwrap_or_else(|_| Err(late()))
    }

    /// A request to an address, once it may be used.
    fn post(&self, address: &str) -> Result<reqwest::RequestBuilder, DeliveryFailure> {
        let unusable =
            |problem: String| DeliveryFailure::new(Reason::Unset, format!("its address {problem}"));
        let endpoint = Endpoint::parse(address.trim()).map_err(unusable)?;
        let no_tls = || DeliveryFailure::new(Reason::Unset, "TLS cannot be set up on this machine");
        Ok(self.http.as_ref().ok_or_else(no_tls)?.post(endpoint.url().clone()))
    }
}

/// A secret of a channel.
fn secret(of: &Secret) -> Result<SecretString, DeliveryFailure> {
    of.read().map_err(|problem| DeliveryFailure::new(Reason::Unset, problem))
}

/// Tells whether a channel is configured as it was: a hash that gives nothing of its secrets away.
pub fn stamp(channel: &Channel) -> String {
    let secrets: Vec<&Secret> = match &channel.kind {
        ChannelKind::SlackHook { url } => vec![url],
        ChannelKind::SlackBot { token, .. } => vec![token],
        ChannelKind::Mail(mail) => mail.login.iter().map(|(_, password)| password).collect(),
        ChannelKind::Webhook { url, secret, .. } => std::iter::once(url).chain(secret).collect(),
        ChannelKind::PagerDuty { routing_key, .. } => vec![routing_key],
    };
    let Ok(mut hash) = hmac::Hmac::<sha2::Sha256>::new_from_slice(b"syncdeck channel") else {
        return String::new();
    };
    hash.update(format!("{channel:?}").as_bytes());
    for secret in secrets.into_iter().filter_map(|secret| secret.read().ok()) {
        hash.update(secret.expose_secret().as_bytes());
    }
    let whole = hash.finalize().into_bytes();
    whole.iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

/// Sends a request and looks at the status of its answer. Returns the beginning of the body.
async fn answer(request: reqwest::RequestBuilder, now: DateTime<Utc>) -> Result<String, DeliveryFailure> {
    let response = request.send().await.map_err(unreached)?;
    let (status, retry_after) = (response.status(), retry_after(&response, now));
    let body = beginning(response).await;
    if status.is_success() {
        return Ok(body);
    }
    Err(DeliveryFailure { retry_after, ..refused(status, &body) })
}

/// What a status says that is no success.
fn refused(status: StatusCode, body: &str) -> DeliveryFailure {
    let said: String = body.lines().next().unwrap_or_default().trim().chars().take(200).collect();
    let said = if said.is_empty() || said.starts_with('<') { String::new() } else { format!(": {said}") };
    let detail = format!("it answers {}{said}", status.as_u16());
    match status.as_u16() {
        410 => DeliveryFailure::new(Reason::Gone, detail),
        401 | 403 | 407 => DeliveryFailure::new(Reason::Auth, detail),
        429 => DeliveryFailure::new(Reason::Rate, detail),
        300..=399 => DeliveryFailure::new(
            Reason::Refused,
            format!(
                "it answers {}, a redirect, which is not followed; name the new address",
                status.as_u16()
            ),
        ),
        408 | 425 | 500.. => DeliveryFailure::new(Reason::Unreachable, detail),
        _ => DeliveryFailure::new(Reason::Refused, detail),
    }
}

/// Why nothing came back. The request's address, which may be a secret, is no part of it.
fn unreached(error: reqwest::Error) -> DeliveryFailure {
    let error = error.without_url();
    let mut cause = error.to_string();
    let mut inner = error.source();
    while let Some(source) = inner {
        cause = source.to_string();
        inner = source.source();
    }
    if cause == guard::REFUSED {
        return DeliveryFailure::new(Reason::Unset, format!("its name leads to an address that {cause}"));
    }
    DeliveryFailure::new(Reason::Unreachable, cause)
}

/// The beginning of a body; what does not come counts as nothing.
async fn beginning(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER
        && let Ok(Some(chunk)) = response.chunk().await
    {
        bytes.extend_from_slice(&chunk);
    }
    bytes.truncate(ANSWER);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `Retry-After`, in seconds or as a date.
fn retry_after(response: &Response, now: DateTime<Utc>) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let at = DateTime::parse_from_rfc2822(text).ok()?;
            (at.with_timezone(&Utc) - now).to_std().ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_why() {
        for (status, reason) in [
            (401, Reason::Auth),
            (403, Reason::Auth),
            (410, Reason::Gone),
            (429, Reason::Rate),
            (302, Reason::Refused),
            (404, Reason::Refused),
            (500, Reason::Unreachable),
            (503, Reason::Unreachable),
        ] {
            assert_eq!(refused(StatusCode::from_u16(status).unwrap(), "").reason, reason, "{status}");
        }
        assert_eq!(
            refused(StatusCode::FORBIDDEN, "invalid_token\nmore").detail,
            "it answers 403: invalid_token"
        );
        assert_eq!(refused(StatusCode::BAD_GATEWAY, "<html>").detail, "it answers 502");
    }
}
