//! `[alert.channel.NAME]`: where people are told. Secrets are not read here but by whoever tells something: no other
//! command needs them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use toml::Spanned;

use crate::domain::values::address::{Endpoint, is_local};
use crate::domain::values::nearest::suggestion;

use super::ConfigError;
use super::written::Check;

type Text = Option<Spanned<String>>;

/// Channels as they are written, each with its name.
pub(super) type WrittenChannels = Vec<(Spanned<String>, ChannelKeys)>;

/// A way to tell people.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ChannelKind,
    /// Whether values of rows may go there.
    pub values: bool,
}

/// What a channel is.
#[derive(Clone, Debug)]
pub enum ChannelKind {
    /// Slack's incoming webhook.
    SlackHook {
        /// Its address, which is a secret.
        url: Secret,
    },
    /// Slack's API: messages that are changed in place.
    SlackBot {
        /// The bot's token.
        token: Secret,
        /// The channel, `#ops` or its id.
        channel: String,
        /// Where the API is.
        api_url: String,
    },
    /// Mail by SMTP.
    Mail(Mail),
    /// Any program that takes webhooks, signed by Standard Webhooks.
    Webhook {
        /// Its address, which may hold a secret.
        url: Secret,
        /// What messages are signed with.
        secret: Option<Secret>,
        /// Headers beside our own, each with its value.
        headers: Vec<(String, Secret)>,
    },
    /// PagerDuty's Events API v2.
    PagerDuty {
        /// The integration's key.
        routing_key: Secret,
        /// Where the API is.
        api_url: String,
    },
}

impl ChannelKind {
    /// Its word in the configuration.
    pub fn word(&self) -> &'static str {
        match self {
            ChannelKind::SlackHook { .. } | ChannelKind::SlackBot { .. } => "slack",
            ChannelKind::Mail(_) => "email",
            ChannelKind::Webhook { .. } => "webhook",
            ChannelKind::PagerDuty { .. } => "pagerduty",
        }
    }
}

/// Mail by SMTP.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way to it is kept private.
    pub tls: MailTls,
    /// Who signs in, and with which password.
    pub login: Option<(String, Secret)>,
    /// Whom it is from.
    pub from: String,
    /// Whom it is for.
    pub to: Vec<String>,
}

/// How the way to a mail server is kept private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// TLS is asked for after the greeting, and nothing is sent without.
    StartTls,
    /// TLS from the beginning.
    Tls,
    /// Plain, on this machine only.
    None,
}

/// A secret, where it is to be found.
#[derive(Clone, Debug)]
pub enum Secret {
    /// In the configuration.
    Inline(SecretString),
    /// In an environment variable.
    Env(String),
    /// In a file, whose permissions were right when the configuration was read.
    File(PathBuf),
}

impl Secret {
    /// The secret.
    ///
    /// # Errors
    /// Where it was looked for, and why it is not there; never a part of it.
    pub fn read(&self) -> Result<SecretString, String> {
        match self {
            Secret::Inline(secret) => Ok(secret.clone()),
            Secret::Env(name) => std::env::var(name)
                .map(SecretString::from)
                .map_err(|_| format!("the environment variable {name} is not set")),
            Secret::File(path) => std::fs::read_to_string(path)
                .map(|text| text.trim().to_owned().into())
                .map_err(|error| format!("cannot read {}: {error}", path.display())),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChannelKeys {
    kind: Spanned<String>,
    #[serde(default)]
    values: bool,
    #[serde(default)]
    url: Text,
    #[serde(default)]
    url_env: Text,
    #[serde(default)]
    url_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    token: Text,
    #[serde(default)]
    token_env: Text,
    #[serde(default)]
    token_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    channel: Text,
    #[serde(default)]
    secret: Text,
    #[serde(default)]
    secret_env: Text,
    #[serde(default)]
    secret_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    headers: Option<Spanned<BTreeMap<String, String>>>,
    #[serde(default)]
    headers_env: Option<Spanned<BTreeMap<String, String>>>,
    #[serde(default)]
    routing_key: Text,
    #[serde(default)]
    routing_key_env: Text,
    #[serde(default)]
    routing_key_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    api_url: Text,
    #[serde(default)]
    host: Text,
    #[serde(default)]
    port: Option<Spanned<u16>>,
    #[serde(default)]
    tls: Text,
    #[serde(default)]
    user: Text,
    #[serde(default)]
    password: Text,
    #[serde(default)]
    password_env: Text,
    #[serde(default)]
    password_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    from: Text,
    #[serde(default)]
    to: Option<Spanned<Vec<String>>>,
}

/// The kinds of channels, each with its keys.
const KINDS: [(&str, &[&str]); 4] = [
    ("slack", &["url", "token", "channel", "api_url"]),
    ("email", &["host", "port", "tls", "user", "password", "from", "to"]),
    ("webhook", &["url", "secret", "headers", "headers_env"]),
    ("pagerduty", &["routing_key", "api_url"]),
];

impl ChannelKeys {
    /// Each key that belongs to some kinds only, with where it is.
    fn particular(&self) -> Vec<(&'static str, Option<usize>)> {
        let text = |value: &Text| value.as_ref().map(|value| value.span().start);
        let file = |value: &Option<Spanned<PathBuf>>| value.as_ref().map(|value| value.span().start);
        let table = |value: &Option<Spanned<BTreeMap<String, String>>>| {
            value.as_ref().map(|value| value.span().start)
        };
        let secret = |inline: &Text, env: &Text, path: &Option<Spanned<PathBuf>>| {
            text(inline).or(text(env)).or(file(path))
        };
        vec![
            ("url", secret(&self.url, &self.url_env, &self.url_file)),
            ("token", secret(&self.token, &self.token_env, &self.token_file)),
            ("channel", text(&self.channel)),
            ("secret", secret(&self.secret, &self.secret_env, &self.secret_file)),
            ("headers", table(&self.headers)),
            ("headers_env", table(&self.headers_env)),
            ("routing_key", secret(&self.routing_key, &self.routing_key_env, &self.routing_key_file)),
            ("api_url", text(&self.api_url)),
            ("host", text(&self.host)),
            ("port", self.port.as_ref().map(|value| value.span().start)),
            ("tls", text(&self.tls)),
            ("user", text(&self.user)),
            ("password", secret(&self.password, &self.password_env, &self.password_file)),
            ("from", text(&self.from)),
            ("to", self.to.as_ref().map(|value| value.span().start)),
        ]
    }
}

impl Check<'_> {
    /// The channels, once they are checked.
    pub(super) fn channels(&self, written: WrittenChannels) -> Result<Vec<Channel>, ConfigError> {
        let mut written = written;
        written.sort_by_key(|(name, _)| name.span().start);
        let mut channels: Vec<Channel> = Vec::new();
        for (name, keys) in written {
            let is_known = channels.iter().any(|other| other.name == *name.get_ref());
            if is_known || name.get_ref().trim().is_empty() || name.get_ref().contains(char::is_whitespace) {
                let problem = if is_known { "is the name of another channel" } else { "is no name" };
                let remedy = "give each channel a short name of its own, such as \"ops\"";
                return Err(self.refuse(&name, "alert.channel", problem, remedy));
            }
            let place = format!("alert.channel.{}", name.get_ref());
            let kind = self.channel_kind(&place, keys_checked(self, &place, &keys)?)?;
            channels.push(Channel { name: name.into_inner(), values: keys.values, kind });
        }
        Ok(channels)
    }

    fn channel_kind(&self, place: &str, keys: &ChannelKeys) -> Result<ChannelKind, ConfigError> {
        let lacks = |key: &str, remedy: &str| {
            let problem = format!("is needed for kind = {:?}", keys.kind.get_ref());
            self.refuse(&keys.kind, &format!("{place}.{key}"), &problem, remedy)
        };
        let url = || self.found(place, "url", &keys.url, &keys.url_env, keys.url_file.as_ref());
        match keys.kind.get_ref().as_str() {
            "slack" => {
                let token =
                    self.found(place, "token", &keys.token, &keys.token_env, keys.token_file.as_ref())?;
                match (url()?, token) {
                    (Some(url), None) => {
                        if let Some(at) = keys.channel.as_ref().or(keys.api_url.as_ref()) {
                            let remedy = "take it out: an incoming webhook writes where Slack made it for";
                            let key = if keys.channel.is_some() { "channel" } else { "api_url" };
                            return Err(self.refuse(
                                at,
                                &format!("{place}.{key}"),
                                "is used with a token only",
                                remedy,
                            ));
                        }
                        self.endpoint(place, "url", &url, keys)?;
                        Ok(ChannelKind::SlackHook { url })
                    }
                    (None, Some(token)) => {
                        let channel = keys.channel.as_ref();
                        let channel = channel
                            .ok_or_else(|| lacks("channel", "name where it writes, such as \"#ops\""))?;
                        let api_url = self.api(place, keys, "https://slack.com/api")?;
                        Ok(ChannelKind::SlackBot { token, channel: channel.get_ref().clone(), api_url })
                    }
                    _ => Err(lacks("url", "set url of an incoming webhook, or token and channel of a bot")),
                }
            }
            "email" => self.mail(place, keys).map(ChannelKind::Mail),
            "webhook" => {
                let url = url()?.ok_or_else(|| lacks("url", "name where it is sent, with https"))?;
                self.endpoint(place, "url", &url, keys)?;
                let secret =
                    self.found(place, "secret", &keys.secret, &keys.secret_env, keys.secret_file.as_ref())?;
                Ok(ChannelKind::Webhook { url, secret, headers: self.headers(place, keys)? })
            }
            _ => {
                let (inline, env) = (&keys.routing_key, &keys.routing_key_env);
                let key = self.found(place, "routing_key", inline, env, keys.routing_key_file.as_ref())?;
                let routing_key =
                    key.ok_or_else(|| lacks("routing_key", "name the key of an Events API v2 integration"))?;
                let api_url = self.api(place, keys, "https://events.pagerduty.com")?;
                Ok(ChannelKind::PagerDuty { routing_key, api_url })
            }
        }
    }

    fn mail(&self, place: &str, keys: &ChannelKeys) -> Result<Mail, ConfigError> {
        let lacks = |key: &str, remedy: &str| {
            self.refuse(&keys.kind, &format!("{place}.{key}"), "is needed for kind = \"email\"", remedy)
        };
        let host = keys.host.as_ref().ok_or_else(|| lacks("host", "name the mail server"))?;
        let tls = match keys.tls.as_ref().map_or("starttls", |tls| tls.get_ref()) {
            "starttls" => MailTls::StartTls,
            "tls" => MailTls::Tls,
            "none" if is_local(host.get_ref()) => MailTls::None,
            word => {
                let problem =
                    if word == "none" { "is for a mail server of this machine only" } else { "is unknown" };
                let at = keys.tls.as_ref().map_or(0, |tls| tls.span().start);
                return Err(self.refuse_at(
                    at,
                    &format!("{place}.tls"),
                    problem,
                    "use \"starttls\" or \"tls\"",
                ));
            }
        };
        let default = match tls {
            MailTls::StartTls => 587,
            MailTls::Tls => 465,
            MailTls::None => 25,
        };
        let (inline, env) = (&keys.password, &keys.password_env);
        let password = self.found(place, "password", inline, env, keys.password_file.as_ref())?;
        let login = match (&keys.user, password) {
            (Some(user), Some(password)) => Some((user.get_ref().clone(), password)),
            (None, None) => None,
            (Some(_), None) => {
                return Err(lacks("password", "set password, password_env or password_file for user"));
            }
            (None, Some(_)) => return Err(lacks("user", "name who signs in with the password")),
        };
        let address = |key: &str, written: &str, at: usize| {
            written.parse::<lettre::message::Mailbox>().map(|_| written.to_owned()).map_err(|_| {
                let problem = format!("{written:?} is no mail address");
                let remedy = "write it as ops@acme.com or Sync <ops@acme.com>";
                self.refuse_at(at, &format!("{place}.{key}"), &problem, remedy)
            })
        };
        let from = keys.from.as_ref().ok_or_else(|| lacks("from", "name whom it is from"))?;
        let to = keys.to.as_ref().filter(|to| !to.get_ref().is_empty());
        let to = to.ok_or_else(|| lacks("to", "name whom it is for, as to = [\"ops@acme.com\"]"))?;
        let at = to.span().start;
        Ok(Mail {
            host: host.get_ref().clone(),
            port: keys.port.as_ref().map_or(default, |port| *port.get_ref()),
            tls,
            login,
            from: address("from", from.get_ref(), from.span().start)?,
            to: to.get_ref().iter().map(|to| address("to", to, at)).collect::<Result<_, _>>()?,
        })
    }

    fn headers(&self, place: &str, keys: &ChannelKeys) -> Result<Vec<(String, Secret)>, ConfigError> {
        let mut headers = Vec::new();
        for (key, written) in [("headers", &keys.headers), ("headers_env", &keys.headers_env)] {
            let Some(written) = written else { continue };
            let place = format!("{place}.{key}");
            for (name, value) in written.get_ref() {
                let ours = ["host", "content-length", "content-type"].contains(&name.to_lowercase().as_str())
                    || name.to_lowercase().starts_with("webhook-");
                if ours || name.parse::<HeaderName>().is_err() {
                    let problem =
                        format!("{name:?} {}", if ours { "is set by syncdeck" } else { "is no header" });
                    return Err(self.refuse(written, &place, &problem, "take it out"));
                }
                let secret = match key {
                    "headers" => {
                        if HeaderValue::from_str(value).is_err() {
                            let problem = format!("the value of {name} cannot stand in a header");
                            return Err(self.refuse(
                                written,
                                &place,
                                &problem,
                                "write visible ASCII characters",
                            ));
                        }
                        // What proves who sends is most often in a header.
                        self.private(self.path(), &place, written.span().start)?;
                        Secret::Inline(value.clone().into())
                    }
                    _ => Secret::Env(value.clone()),
                };
                headers.push((name.clone(), secret));
            }
        }
        Ok(headers)
    }

    /// A secret from one of its three places, if from any.
    fn found(
        &self,
        place: &str,
        key: &str,
        inline: &Text,
        env: &Text,
        file: Option<&Spanned<PathBuf>>,
    ) -> Result<Option<Secret>, ConfigError> {
        let whole = format!("{place}.{key}");
        match (inline, env, file) {
            (None, None, None) => Ok(None),
            (Some(value), None, None) => {
                self.private(self.path(), &whole, value.span().start)?;
                Ok(Some(Secret::Inline(value.get_ref().clone().into())))
            }
            (None, Some(name), None) => Ok(Some(Secret::Env(name.get_ref().clone()))),
            (None, None, Some(file)) => {
                self.private(file.get_ref(), &format!("{whole}_file"), file.span().start)?;
                Ok(Some(Secret::File(file.get_ref().clone())))
            }
            (inline, env, _) => {
                let at = inline.as_ref().or(env.as_ref()).map_or(0, |value| value.span().start);
                let remedy = format!("set one of {key}, {key}_env and {key}_file");
                Err(self.refuse_at(at, &whole, "must be given exactly once", &remedy))
            }
        }
    }

    /// Refuses an address that stands in the file and that nothing may be sent to.
    fn endpoint(&self, place: &str, key: &str, url: &Secret, keys: &ChannelKeys) -> Result<(), ConfigError> {
        let (Secret::Inline(url), Some(written)) = (url, &keys.url) else { return Ok(()) };
        let remedy = "write an https address; plain http is for this machine only";
        let refuse = |problem: String| self.refuse(written, &format!("{place}.{key}"), &problem, remedy);
        Endpoint::parse(url.expose_secret()).map(drop).map_err(refuse)
    }

    fn api(&self, place: &str, keys: &ChannelKeys, default: &str) -> Result<String, ConfigError> {
        let Some(written) = &keys.api_url else { return Ok(default.to_owned()) };
        let remedy = format!("take it out; the usual one is {default}");
        let refuse = |problem: String| self.refuse(written, &format!("{place}.api_url"), &problem, &remedy);
        Endpoint::parse(written.get_ref()).map_err(refuse)?;
        Ok(written.get_ref().trim_end_matches('/').to_owned())
    }
}

/// The keys of a channel, once none of them is another kind's.
fn keys_checked<'a>(
    check: &Check<'_>,
    place: &str,
    keys: &'a ChannelKeys,
) -> Result<&'a ChannelKeys, ConfigError> {
    let kind = keys.kind.get_ref().as_str();
    let Some((_, own)) = KINDS.iter().find(|(word, _)| *word == kind) else {
        let all = "use \"slack\", \"email\", \"webhook\" or \"pagerduty\"";
        let remedy = suggestion(kind, KINDS.iter().map(|(word, _)| *word), all);
        return Err(check.refuse(&keys.kind, &format!("{place}.kind"), "is unknown", &remedy));
    };
    let foreign = keys.particular().into_iter().find(|(key, at)| at.is_some() && !own.contains(key));
    if let Some((key, Some(at))) = foreign {
        let of: Vec<String> = KINDS
            .iter()
            .filter(|(_, keys)| keys.contains(&key))
            .map(|(word, _)| format!("{word:?}"))
            .collect();
        let problem = format!("is not used with kind = {kind:?}");
        let remedy = format!("take it out; it is for kind = {}", of.join(" or "));
        return Err(check.refuse_at(at, &format!("{place}.{key}"), &problem, &remedy));
    }
    Ok(keys)
}
