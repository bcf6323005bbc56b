//! Change events by the Streaming API: Bayeux 1.0 by long polling. An [`EventStream`] is one client of the org, from its handshake
//! on. It is used up by the first thing that goes wrong: what was told in an answer that broke is not told again, so its
//! owner opens another one, and says from which replay id on it wants to be told.
//!
//! A channel is asked for by object. An event is believed as far as its shape goes: it names records, which somebody then
//! reads by the API; nothing of it is taken for a record's value.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};

use crate::domain::names::Sfid;

use super::auth::Session;
use super::{Client, Error, told};

/// How long a connect is held where the org does not say.
const TIMEOUT: Duration = Duration::from_secs(110);
/// The longest that is believed, for an org and what lies before it.
const LONGEST: Duration = Duration::from_secs(300);
/// How much later than that an answer may come.
const GRACE: Duration = Duration::from_secs(15);
/// Cookies that are kept, and bytes of each.
const COOKIES: usize = 20;
const COOKIE_BYTES: usize = 4_096;
/// The name by which the org tells our own changes from those of others.
pub const CLIENT_NAME: &str = "syncdeck";

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// With what comes from now on.
    New,
    /// Behind this event.
    After(i64),
}

/// What happened to records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// They were created, changed or taken out of the recycle bin: read them.
    Changed,
    /// They were deleted.
    Deleted,
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq)]
pub enum EventSubject {
    /// These records.
    Records(Vec<String>),
    /// Records that it does not name: too many, or all.
    Unnamed,
}

/// A change event.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeEvent {
    /// The channel by which it came.
    pub channel: String,
    /// Its replay id.
    pub replay: i64,
    /// What happened.
    pub kind: ChangeKind,
    /// Which records.
    pub about: EventSubject,
    /// Whether Salesforce could not tell all of it, as with a change past its application servers.
    pub is_gap: bool,
    /// Whether a record was created by it.
    pub creates: bool,
    /// Whether the change came in by a request of a program of our name.
    pub is_own: bool,
    /// The values of the fields that changed, by API name; the fields of a compound one stand for it.
    pub fields: Vec<(String, Value)>,
}

/// Why a channel cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Salesforce's words.
    pub message: String,
    /// Whether only the replay id is at fault: it is too old, or of another org.
    pub is_replay: bool,
}

/// Why a stream has come to its end.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StreamEnd {
    /// The org does not know it any more, or wants another handshake.
    #[error("{0}")]
    Unknown(String),
    /// Its session is over.
    #[error("{0}")]
    Unauthorised(String),
    /// The org tells no more, as when the day's events are used up.
    #[error("{0}")]
    Denied(String),
    /// A request failed.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// A client of the org that listens.
pub struct EventStream {
    session: Session,
    client: String,
    cookies: Vec<(String, String)>,
    /// Number of the next message.
    next: u64,
    /// How long a connect is held.
    timeout: Duration,
    /// What the org wants between two connects.
    interval: Duration,
    /// What came with the answer to something else than a connect: it is told first.
    early: Vec<Value>,
}

/// The channel of an object: `/data/AccountChangeEvent`, `/data/Invoice__ChangeEvent`.
pub fn channel_of(object: &str) -> String {
    match object.strip_suffix("__c") {
        Some(name) => format!("/data/{name}__ChangeEvent"),
        None => format!("/data/{object}ChangeEvent"),
    }
}

impl Client {
    /// Shakes hands. A session that has expired is renewed once, the usual way.
    ///
    /// # Errors
    /// Why nobody may listen.
    pub async fn open_stream(&self) -> Result<EventStream, StreamEnd> {
        let session = self.session().await?;
        match self.shake_hands(session.clone()).await {
            Err(StreamEnd::Unauthorised(_)) => {
                let session = self.renew(&session).await?;
                self.shake_hands(session).await
            }
            opened => opened,
        }
    }

    /// Renews the session of a stream that was ended for it, unless somebody did so already.
    ///
    /// # Errors
    /// When the login is refused.
    pub async fn renew_for(&self, stream: &EventStream) -> Result<(), Error> {
        self.renew(&stream.session).await.map(drop)
    }

    async fn shake_hands(&self, session: Session) -> Result<EventStream, StreamEnd> {
        let mut stream = EventStream {
            session,
            client: String::new(),
            cookies: Vec::new(),
            next: 0,
            timeout: TIMEOUT,
            interval: Duration::ZERO,
            early: Vec::new(),
        };
        let hello = json!({"channel": "/meta/handshake", "version": "1.0", "minimumVersion": "1.0",
            "supportedConnectionTypes": ["long-polling"], "ext": {"replay": true}});
        let (answered, _) = self.talk(&mut stream, hello, self.timeout).await?;
        if answered["successful"] != true {
            return Err(ended(&answered));
        }
        let client = answered["clientId"].as_str().filter(|id| is_name(id));
        let client = client.ok_or_else(|| self.unusable("the handshake names no client"))?;
        if answered["ext"]["replay"] != true {
            return Err(self.unusable("the handshake knows no replay ids").into());
        }
        client.clone_into(&mut stream.client);
        Ok(stream)
    }

    /// Subscribes to a channel.
    ///
    /// # Errors
    /// When the stream is over. What is refused of the channel alone is told as the value.
    pub async fn subscribe(
        &self,
        stream: &mut EventStream,
        channel: &str,
        replay: Replay,
    ) -> Result<Result<(), Refused>, StreamEnd> {
        let replay = match replay {
            Replay::New => -1,
            Replay::After(id) => id,
        };
        let message = json!({"channel": "/meta/subscribe", "clientId": stream.client, "subscription": channel,
            "ext": {"replay": {channel: replay}}});
        let (answered, early) = self.talk(stream, message, self.timeout).await?;
        stream.early.extend(early);
        if answered["successful"] == true {
            return Ok(Ok(()));
        }
        let error = answered["error"].as_str().unwrap_or_default();
        if is_over(error) {
            return Err(ended(&answered));
        }
        let is_replay = error.starts_with("400:") && error.to_ascii_lowercase().contains("replayid");
        Ok(Err(Refused { message: told::message(error), is_replay }))
    }

    /// Waits for events; none where none came in time.
    ///
    /// # Errors
    /// When the stream is over.
    pub async fn next_events(&self, stream: &mut EventStream) -> Result<Vec<ChangeEvent>, StreamEnd> {
        let read = |messages: &[Value]| messages.iter().map(read_event).collect::<Result<Vec<_>, _>>();
        if !stream.early.is_empty() {
            return Ok(read(&std::mem::take(&mut stream.early)).map_err(|why| self.unusable(why))?);
        }
        tokio::time::sleep(stream.interval).await;
        let message =
            json!({"channel": "/meta/connect", "clientId": stream.client, "connectionType": "long-polling"});
        let (answered, messages) = self.talk(stream, message, stream.timeout + GRACE).await?;
        let advice = &answered["advice"];
        let millis = |key: &str| advice[key].as_u64().map(Duration::from_millis);
        if let Some(timeout) = millis("timeout") {
            stream.timeout = timeout.min(LONGEST);
        }
        if let Some(interval) = millis("interval") {
            stream.interval = interval.min(LONGEST);
        }
        if answered["successful"] != true || advice["reconnect"] == "handshake" {
            return Err(ended(&answered));
        }
        Ok(read(&messages).map_err(|why| self.unusable(why))?)
    }

    /// Sends one message; what it was answered, and what came with that.
    async fn talk(
        &self,
        stream: &mut EventStream,
        mut message: Value,
        timeout: Duration,
    ) -> Result<(Value, Vec<Value>), StreamEnd> {
        stream.next += 1;
        let id = stream.next.to_string();
        message["id"] = json!(id);
        let channel = message["channel"].clone();
        let url = format!("{}/cometd/{}", stream.session.instance, self.version);
        let cookies: Vec<String> =
            stream.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self
            .http
            .request(Method::POST, url)
            .bearer_auth(stream.session.token())
            .timeout(timeout)
            .json(&json!([message]));
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        let response = self.answered(request).await?;
        stream.keep_cookies(&response);
        let status = response.status();
        if !status.is_success() {
            let refused = self.refusal(response).await;
            return Err(match refused {
                Error::Api { status: 401, message, .. } => StreamEnd::Unauthorised(message),
                other => StreamEnd::Failed(other),
            });
        }
        let body = self.json(response).await?.value;
        let Value::Array(mut messages) = body else {
            return Err(self.unusable("the answer is no list of messages").into());
        };
        let at = messages
            .iter()
            .position(|told| told["channel"] == channel && (told["id"] == json!(id) || told["id"].is_null()));
        let Some(at) = at else {
            return Err(self.unusable("the answer is to another message").into());
        };
        let answered = messages.remove(at);
        Ok((answered, messages))
    }
}

impl EventStream {
    /// Keeps what the org wants to know it by: it answers from several machines.
    fn keep_cookies(&mut self, response: &reqwest::Response) {
        for line in response.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            let pair = line.split(';').next().unwrap_or_default();
            let Some((name, value)) = pair.trim().split_once('=') else { continue };
            let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
            if name.is_empty() || pair.len() > COOKIE_BYTES || !is_plain(name) || !is_plain(value) {
                continue;
            }
            self.cookies.retain(|(known, _)| known != name);
            if self.cookies.len() < COOKIES {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }
}

/// Whether a text can be a client's id.
fn is_name(id: &str) -> bool {
    !id.is_empty() && id.len() <= 200 && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether an error is about the stream, not about what was asked of it.
fn is_over(error: &str) -> bool {
    error.starts_with("401:") || error.starts_with("402:") || error.contains("Unknown client")
}

/// Why a stream is over, from the answer that says so.
fn ended(answered: &Value) -> StreamEnd {
    let error = answered["error"].as_str().unwrap_or_default();
    let reason = answered["ext"]["sfdc"]["failureReason"].as_str().unwrap_or_default();
    let message =
        |text: &str| told::message(if text.is_empty() { "the org wants another handshake" } else { text });
    if error.starts_with("401:") || reason.starts_with("401:") {
        return StreamEnd::Unauthorised(message(if reason.is_empty() { error } else { reason }));
    }
    match answered["advice"]["reconnect"].as_str() {
        Some("none") => StreamEnd::Denied(message(error)),
        _ => StreamEnd::Unknown(message(error)),
    }
}

/// An event, as far as it is one. Where only its place is to be read, it says that something changed: it would come again
/// with each handshake if it were refused.
fn read_event(message: &Value) -> Result<ChangeEvent, &'static str> {
    let channel = message["channel"].as_str().ok_or("an event has no channel")?;
    let data = &message["data"];
    let replay = data["event"]["replayId"].as_i64().ok_or("an event has no replay id")?;
    let event = read_payload(channel, replay, &data["payload"]);
    Ok(event.unwrap_or_else(|| ChangeEvent {
        channel: channel.to_owned(),
        replay,
        kind: ChangeKind::Changed,
        about: EventSubject::Unnamed,
        is_gap: true,
        creates: false,
        is_own: false,
        fields: Vec::new(),
    }))
}

/// What an event says of a change, where it has the shape of one.
fn read_payload(channel: &str, replay: i64, payload: &Value) -> Option<ChangeEvent> {
    let payload = payload.as_object()?;
    let header = payload.get("ChangeEventHeader").filter(|header| header.is_object())?;
    let word = header["changeType"].as_str()?;
    let ids = header["recordIds"].as_array()?;
    // A wildcard, or the empty id: some record, or all.
    let named = ids.iter().map(|id| {
        let id = id.as_str().filter(|id| Sfid::parse(id).is_some() && !id.starts_with("000000000000000"))?;
        Some(id.to_owned())
    });
    let named: Option<Vec<String>> = named.collect();
    let about = match named.filter(|ids| !ids.is_empty() && word != "GAP_OVERFLOW") {
        Some(ids) => EventSubject::Records(ids),
        None => EventSubject::Unnamed,
    };
    let origin = header["changeOrigin"].as_str().unwrap_or_default();
    let client = origin.split(';').find_map(|part| part.trim().strip_prefix("client="));
    Some(ChangeEvent {
        channel: channel.to_owned(),
        replay,
        kind: if matches!(word, "DELETE" | "GAP_DELETE") { ChangeKind::Deleted } else { ChangeKind::Changed },
        about,
        is_gap: word.starts_with("GAP_"),
        creates: word == "CREATE",
        is_own: client == Some(CLIENT_NAME),
        fields: changed_fields(payload, &header["changedFields"]),
    })
}

/// The fields that an event says of that they changed, with their values; those of a new record are all that it has.
fn changed_fields(payload: &serde_json::Map<String, Value>, changed: &Value) -> Vec<(String, Value)> {
    let values = payload.iter().filter(|(name, _)| *name != "ChangeEventHeader");
    let mut fields: Vec<(String, Value)> = values
        .flat_map(|(name, value)| match value {
            Value::Object(parts) => {
                parts.iter().map(|(part, value)| (part_name(name, part), value.clone())).collect()
            }
            value => vec![(name.clone(), value.clone())],
        })
        .collect();
    // What changed to nothing may only be named.
    for path in changed.as_array().into_iter().flatten().filter_map(Value::as_str) {
        let name =
            path.split_once('.').map_or_else(|| path.to_owned(), |(whole, part)| part_name(whole, part));
        if !fields.iter().any(|(known, _)| *known == name) {
            fields.push((name, Value::Null));
        }
    }
    fields
}

/// The API name of a part of a compound field: `Name.LastName` is LastName, `MailingAddress.City` is MailingCity.
fn part_name(whole: &str, part: &str) -> String {
    match whole.strip_suffix("Address") {
        Some(of) if !of.is_empty() => format!("{of}{part}"),
        _ => part.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(header: Value, payload: Value) -> Result<ChangeEvent, &'static str> {
        let mut payload = payload;
        payload["ChangeEventHeader"] = header;
        read_event(
            &json!({"channel": "/data/ContactChangeEvent", "data": {"payload": payload, "event": {"replayId": 7}}}),
        )
    }

    #[test]
    fn channels_are_named_after_their_objects() {
        assert_eq!(channel_of("Account"), "/data/AccountChangeEvent");
        assert_eq!(channel_of("Invoice_Line__c"), "/data/Invoice_Line__ChangeEvent");
    }

    #[test]
    fn an_event_tells_records_and_the_parts_of_fields_that_changed() {
        let id = "003sd00000000010AA";
        let long = Sfid::parse("003sd0000000001").unwrap().to_string();
        let header = json!({"changeType": "UPDATE", "recordIds": [long], "changeOrigin": "com/salesforce/api/rest/62.0;client=syncdeck",
            "changedFields": ["Name.LastName", "MailingAddress.City", "Phone"]});
        let payload = json!({"Name": {"LastName": "Doe"}, "MailingAddress": {"City": "Ulm"}});
        let told = event(header.clone(), payload).unwrap();
        assert!(told.is_own && !told.is_gap && told.kind == ChangeKind::Changed, "{told:?}");
        assert_eq!(told.about, EventSubject::Records(vec![long.clone()]));
        let fields = [("LastName", json!("Doe")), ("MailingCity", json!("Ulm")), ("Phone", Value::Null)];
        assert_eq!(told.fields, fields.map(|(name, value)| (name.to_owned(), value)));
        for (ids, word) in [
            (json!(["000000000000000AAA"]), "GAP_OVERFLOW"),
            (json!(["003*"]), "UPDATE"),
            (json!([id]), "UPDATE"),
            (json!([]), "UPDATE"),
        ] {
            let mut header = header.clone();
            (header["recordIds"], header["changeType"]) = (ids, json!(word));
            assert_eq!(event(header, json!({})).unwrap().about, EventSubject::Unnamed);
        }
        let mut other = header.clone();
        (other["changeOrigin"], other["changeType"]) =
            (json!("com/salesforce/api/soap/58.0;client=syncdeck2"), json!("GAP_DELETE"));
        let told = event(other, json!({})).unwrap();
        assert!(!told.is_own && told.is_gap && told.kind == ChangeKind::Deleted);
    }

    #[test]
    fn what_is_no_change_that_one_knows_is_a_gap_and_without_a_place_it_is_no_event() {
        for header in
            [json!({"changeType": "UPDATE"}), json!({"recordIds": []}), json!("UPDATE"), Value::Null]
        {
            let told = event(header, json!({})).unwrap();
            assert_eq!(
                (told.replay, told.is_gap, &told.about),
                (7, true, &EventSubject::Unnamed),
                "{told:?}"
            );
        }
        let place = json!({"channel": "/data/ContactChangeEvent", "data": {"event": {"replayId": 7}}});
        assert_eq!(read_event(&place).unwrap().about, EventSubject::Unnamed);
        for missing in
            [json!({"channel": "/data/ContactChangeEvent", "data": {}}), json!({"data": place["data"]})]
        {
            assert!(read_event(&missing).is_err());
        }
    }

    #[test]
    fn a_stream_ends_for_the_reason_that_is_told() {
        let end =
            |error: &str, advice: &str| ended(&json!({"error": error, "advice": {"reconnect": advice}}));
        assert!(matches!(end("403::Unknown client", "handshake"), StreamEnd::Unknown(_)));
        assert!(matches!(end("401::Authentication invalid", "none"), StreamEnd::Unauthorised(_)));
        assert!(matches!(
            end("403::Organization total events daily limit exceeded", "none"),
            StreamEnd::Denied(_)
        ));
        let denied = json!({"error": "403::Handshake denied", "ext": {"sfdc": {"failureReason": "401::Authentication invalid"}}});
        assert_eq!(ended(&denied), StreamEnd::Unauthorised("401::Authentication invalid".to_owned()));
    }
}
