//! The Streaming API: Bayeux 1.0 by long polling, at `/cometd/XX.0`, with the extension that tells events again (`replay`).
//! It speaks of what Change Data Capture makes (`events`) to those who listen (`clients`). These requests are none of the
//! day's API requests; what counts there are the events that are delivered.

pub(super) mod clients;
pub(super) mod events;

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Response, header};
use chrono::Utc;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::call::{Call, token_of};
use super::org::{Org, State};
use super::response::{answer, cut};

/// Messages of one request.
const MESSAGES: usize = 100;
/// Events of one answer.
const EVENTS: usize = 500;
/// The cookie by which a client is known again.
const COOKIE: &str = "BAYEUX_BROWSER";
const UNKNOWN: &str = "403::Unknown client";
const UNAUTHORISED: &str = "401::Authentication invalid";
const NO_TOKEN: &str = "401::Request requires authentication";
const SPENT: &str = "403::Organization total events daily limit exceeded";

/// Answers the messages of a request, of which a connect waits for events.
pub(super) async fn answer_cometd(
    org: &Org,
    call: &Call,
    version: &str,
    stop: &CancellationToken,
) -> Response<Body> {
    let number = version.parse::<f64>().unwrap_or(0.0);
    if number < 37.0 {
        return page(
            400,
            "Unsupported API version. Only API versions '37.0' and later are supported. URI format: '/cometd/67.0'",
        );
    }
    let read = serde_json::from_slice::<Value>(&call.body).ok().filter(|_| call.method == Method::POST);
    let messages = match read {
        Some(Value::Array(messages)) if messages.len() <= MESSAGES => messages,
        Some(message @ Value::Object(_)) => vec![message],
        _ => return page(400, "The request is no message of Bayeux"),
    };
    let mut said = Said::default();
    for message in &messages {
        let channel = message["channel"].as_str().unwrap_or_default();
        match channel {
            "/meta/connect" => connect(org, call, message, &mut said, stop).await,
            _ => {
                let mut state = org.lock();
                let within = i64::try_from(state.options.reconnect_within.as_millis()).unwrap_or(i64::MAX);
                state.clients.expire(within);
                let told = match channel {
                    "/meta/handshake" => handshake(&mut state, call, &mut said),
                    "/meta/subscribe" => subscribe(&mut state, call, message),
                    "/meta/unsubscribe" => unsubscribe(&mut state, call, message),
                    "/meta/disconnect" => disconnect(&mut state, call, message),
                    _ => json!({"error": "400::Channel name not specified", "successful": false}),
                };
                drop(state);
                said.tell(message, told);
            }
        }
    }
    if stop.is_cancelled() {
        return page(503, "The server ends");
    }
    let is_cut = said.has_events && org.lock().faults.cuts_events();
    let mut response = answer(200, &Value::Array(said.messages));
    if let Some(cookie) = said.cookie
        && let Ok(value) = format!("{COOKIE}={cookie};Path=/;HttpOnly").parse()
    {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    if is_cut { cut(response).await } else { response }
}

/// What is answered.
#[derive(Default)]
struct Said {
    messages: Vec<Value>,
    cookie: Option<String>,
    has_events: bool,
}

impl Said {
    /// Adds an answer to a message.
    fn tell(&mut self, message: &Value, mut told: Value) {
        told["channel"] = message["channel"].clone();
        if !message["id"].is_null() {
            told["id"] = message["id"].clone();
        }
        self.messages.push(told);
    }
}

fn page(status: u16, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() =
        axum::http::StatusCode::from_u16(status).unwrap_or(axum::http::StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html;charset=UTF-8"));
    response
}

/// Why a request has no session.
fn no_session(state: &State, headers: &HeaderMap) -> Option<&'static str> {
    match token_of(headers) {
        None => Some(NO_TOKEN),
        Some(token) if state.tokens.iter().any(|known| known == token) => None,
        Some(_) => Some(UNAUTHORISED),
    }
}

fn handshake(state: &mut State, call: &Call, said: &mut Said) -> Value {
    let ext = || json!({"replay": true, "payload.format": true});
    if let Some(why) = no_session(state, &call.headers) {
        let mut ext = ext();
        ext["sfdc"] = json!({"failureReason": why});
        return json!({"ext": ext, "advice": {"reconnect": "none"}, "error": "403::Handshake denied", "successful": false});
    }
    let token = token_of(&call.headers).unwrap_or_default().to_owned();
    let Some((client, cookie)) = state.clients.add(token) else {
        return json!({"ext": ext(), "advice": {"reconnect": "none"}, "successful": false,
            "error": "403::Maximum concurrent clients exceeded"});
    };
    said.cookie = Some(cookie);
    json!({"ext": ext(), "minimumVersion": "1.0", "version": "1.0", "clientId": client,
        "supportedConnectionTypes": ["long-polling"], "successful": true})
}

/// The client that a message comes from.
///
/// # Errors
/// The answer to one that may not speak.
fn known<'a>(state: &'a mut State, call: &Call, message: &Value) -> Result<&'a mut clients::Client, Value> {
    let id = message["clientId"].as_str().unwrap_or_default();
    let refused = no_session(state, &call.headers);
    let stranger = || json!({"advice": {"interval": 0, "reconnect": "handshake"}, "error": UNKNOWN, "successful": false});
    let Some(client) = state.clients.get_mut(id) else { return Err(stranger()) };
    if let Some(why) = refused {
        return Err(json!({"clientId": id, "advice": {"reconnect": "none", "interval": 0}, "error": why,
            "successful": false}));
    }
    // Each client has one session, and one browser.
    if token_of(&call.headers) != Some(client.token.as_str()) {
        return Err(stranger());
    }
    let cookies = call.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut cookies = cookies.flat_map(|line| line.split(';')).map(str::trim);
    if !cookies.any(|cookie| {
        cookie.strip_prefix(COOKIE).and_then(|rest| rest.strip_prefix('=')) == Some(&client.cookie)
    }) {
        let error = format!("400::Client {id} has established a session, but no {COOKIE} cookie present");
        return Err(json!({"clientId": id, "error": error, "successful": false}));
    }
    client.heard = Utc::now();
    Ok(client)
}

fn subscribe(state: &mut State, call: &Call, message: &Value) -> Value {
    let channel = message["subscription"].as_str().unwrap_or_default().to_owned();
    let client = match known(state, call, message) {
        Ok(_) => message["clientId"].clone(),
        Err(told) => return told,
    };
    let told = |error: Option<String>| {
        let mut told = Map::new();
        told.insert("clientId".to_owned(), client.clone());
        told.insert("subscription".to_owned(), json!(channel));
        told.insert("successful".to_owned(), json!(error.is_none()));
        told.extend(error.map(|error| ("error".to_owned(), json!(error))));
        Value::Object(told)
    };
    if channel.is_empty() {
        return told(Some("400::Channel name not specified".to_owned()));
    }
    if !channel.starts_with('/') {
        return told(Some("400::Channel subscriptions must start with a leading '/'".to_owned()));
    }
    let mut objects = state.tables.iter().map(|table| table.def.name.as_str());
    let is_there = channel == events::ALL
        || objects.any(|object| events::channel_of(object) == channel && state.events.is_selected(object));
    if !is_there {
        return told(Some(format!(
            "400::The channel you requested to subscribe to doesn't exist {{{channel}}}"
        )));
    }
    if state.events.delivered >= state.options.daily_events {
        return told(Some(SPENT.to_owned()));
    }
    let wanted = &message["ext"]["replay"][channel.as_str()];
    let replay = wanted.as_i64().or_else(|| wanted.as_str()?.parse().ok()).unwrap_or(-1);
    let Some(position) = state.events.position(replay) else {
        return told(Some(format!(
            "400::The replayId {{{replay}}} you provided was invalid.  Please provide a valid ID, -2 to replay all events, or -1 to replay only new events."
        )));
    };
    if let Some(id) = message["clientId"].as_str()
        && let Some(client) = state.clients.get_mut(id)
    {
        client.channels.insert(channel.clone(), position);
    }
    // A connect that is held may have something to tell now.
    state.events.bell.notify_waiters();
    told(None)
}

fn unsubscribe(state: &mut State, call: &Call, message: &Value) -> Value {
    let channel = message["subscription"].as_str().unwrap_or_default();
    match known(state, call, message) {
        Ok(client) => {
            client.channels.remove(channel);
            json!({"clientId": message["clientId"], "subscription": channel, "successful": true})
        }
        Err(told) => told,
    }
}

fn disconnect(state: &mut State, call: &Call, message: &Value) -> Value {
    if let Err(told) = known(state, call, message) {
        return told;
    }
    state.clients.remove(message["clientId"].as_str().unwrap_or_default());
    state.events.bell.notify_waiters();
    json!({"clientId": message["clientId"], "successful": true})
}

/// Holds a connect until there are events, its time is over or the server ends. The first one of a client is answered at
/// once, with what the next ones go by.
async fn connect(org: &Org, call: &Call, message: &Value, said: &mut Said, stop: &CancellationToken) {
    let (bell, number, timeout) = {
        let mut state = org.lock();
        let within = i64::try_from(state.options.reconnect_within.as_millis()).unwrap_or(i64::MAX);
        state.clients.expire(within);
        if message["connectionType"].as_str().is_none_or(|kind| kind != "long-polling") {
            let error = format!("400::Invalid connection type {}", message["connectionType"]);
            return said.tell(message, json!({"error": error, "successful": false}));
        }
        let timeout = state.options.long_poll;
        let number = match known(&mut state, call, message) {
            Err(told) => return said.tell(message, told),
            Ok(client) => {
                client.connects += 1;
                client.is_connected = true;
                client.connects
            }
        };
        (state.events.bell.clone(), number, timeout)
    };
    let least = message["advice"]["timeout"].as_u64().map(Duration::from_millis);
    let until = Instant::now() + least.map_or(timeout, |least| least.min(timeout));
    // However it ends: who left the line is not connected.
    let _line =
        Line { org: org.clone(), id: message["clientId"].as_str().unwrap_or_default().to_owned(), number };
    loop {
        // Before the look: an event after it is not missed.
        let mut rings = std::pin::pin!(bell.notified());
        rings.as_mut().enable();
        let is_over = number == 1 || Instant::now() >= until || stop.is_cancelled();
        if look(&mut org.lock(), call, message, said, number, is_over) {
            break;
        }
        tokio::select! {
            () = rings => {}
            () = tokio::time::sleep_until(until) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// A connect that is held.
struct Line {
    org: Org,
    id: String,
    number: u64,
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut state = self.org.lock();
        if let Some(client) = state.clients.get_mut(&self.id)
            && client.connects == self.number
        {
            (client.is_connected, client.heard) = (false, Utc::now());
        }
    }
}

/// Whether a connect is answered now, and with what.
fn look(
    state: &mut State,
    call: &Call,
    message: &Value,
    said: &mut Said,
    number: u64,
    is_over: bool,
) -> bool {
    let (channels, connects) = match known(state, call, message) {
        Err(told) => {
            said.tell(message, told);
            return true;
        }
        Ok(client) => (client.channels.clone(), client.connects),
    };
    let id = &message["clientId"];
    // Another connect of the same client came: that one is told.
    if connects != number {
        said.tell(message, json!({"clientId": id, "successful": true}));
        return true;
    }
    let mut room = EVENTS;
    let mut reached = Vec::new();
    for (channel, position) in &channels {
        let before = said.messages.len();
        let mut last = *position;
        for event in state.events.since(*position, channel, room) {
            said.messages.push(event.told(channel));
            last = event.replay;
        }
        room -= said.messages.len() - before;
        reached.push((channel.clone(), last));
    }
    let told = EVENTS - room;
    if told > 0 {
        said.has_events = true;
        state.events.delivered += told as u64;
        if let Some(client) = state.clients.get_mut(id.as_str().unwrap_or_default()) {
            client.channels.extend(reached);
        }
    } else if !is_over {
        return false;
    }
    if state.events.delivered > state.options.daily_events {
        said.messages.truncate(said.messages.len() - told);
        said.has_events = false;
        said.tell(message, json!({"clientId": id, "advice": {"reconnect": "none", "interval": 0}, "error": SPENT, "successful": false}));
        return true;
    }
    let mut answered = json!({"clientId": id, "successful": true});
    if number == 1 {
        let timeout = state.options.long_poll.as_millis().to_string().parse::<u64>().unwrap_or(110_000);
        answered["advice"] = json!({"interval": 0, "timeout": timeout, "reconnect": "retry"});
    }
    said.tell(message, answered);
    true
}

impl Org {
    /// Forgets all clients of the Streaming API, as a server does that starts again.
    pub fn forget_clients(&self) {
        let mut state = self.lock();
        state.clients.forget();
        state.events.bell.notify_waiters();
    }

    /// Keeps none of the change events that there were: their replay ids are not known any more.
    pub fn forget_events(&self) {
        self.lock().events.forget();
    }

    /// Ends all sessions, those of clients that listen too.
    pub fn end_sessions(&self) {
        let mut state = self.lock();
        state.end_sessions();
        state.events.bell.notify_waiters();
    }

    /// How many clients listen.
    pub fn listeners(&self) -> usize {
        self.lock().clients.count()
    }

    /// How many change events were delivered.
    pub fn delivered_events(&self) -> u64 {
        self.lock().events.delivered()
    }
}
