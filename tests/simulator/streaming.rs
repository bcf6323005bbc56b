//! Change events over the Streaming API, as any client of Bayeux sees them.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Map, Value, json};
use syncdeck::simulator::OrgOptions;

use crate::Session;

/// A client of the Streaming API by hand.
struct Listener<'a> {
    session: &'a Session,
    token: String,
    cookie: String,
    id: String,
}

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// One request; the messages of its answer, and the cookie that it set.
async fn send(session: &Session, token: &str, cookie: &str, message: Value) -> (Vec<Value>, Option<String>) {
    let request = session
        .http
        .post(format!("{}/cometd/62.0", session.base))
        .header("Authorization", format!("Bearer {token}"))
        .header("Cookie", cookie)
        .json(&json!([message]));
    let answer = request.send().await.unwrap();
    let set = answer.headers().get("set-cookie").map(|value| value.to_str().unwrap().to_owned());
    let set = set.map(|cookie| cookie.split(';').next().unwrap().to_owned());
    assert_eq!(answer.status(), 200);
    (answer.json().await.unwrap(), set)
}

impl Listener<'_> {
    async fn new(session: &Session) -> Listener<'_> {
        let hello = json!({"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"],
            "ext": {"replay": true}, "id": "1"});
        let (told, cookie) = send(session, &session.token, "", hello).await;
        assert_eq!((&told[0]["successful"], &told[0]["ext"]["replay"]), (&json!(true), &json!(true)));
        let id = told[0]["clientId"].as_str().unwrap().to_owned();
        Listener { session, token: session.token.clone(), cookie: cookie.unwrap(), id }
    }

    async fn say(&self, mut message: Value) -> Vec<Value> {
        message["clientId"] = json!(self.id);
        send(self.session, &self.token, &self.cookie, message).await.0
    }

    async fn subscribe(&self, channel: &str, replay: i64) -> Value {
        let ext = json!({"replay": {channel: replay}});
        self.say(json!({"channel": "/meta/subscribe", "subscription": channel, "ext": ext})).await.remove(0)
    }

    /// What a connect brings: its events, and what it was answered.
    async fn connect(&self) -> (Vec<Value>, Value) {
        let mut told =
            self.say(json!({"channel": "/meta/connect", "connectionType": "long-polling", "id": "7"})).await;
        let answered = told.pop().unwrap();
        assert_eq!((&answered["channel"], &answered["id"]), (&json!("/meta/connect"), &json!("7")));
        (told, answered)
    }
}

/// A client that subscribed and connected once: from now on a connect waits for events.
async fn listening<'a>(session: &'a Session, channel: &str, replay: i64) -> Listener<'a> {
    let listener = Listener::new(session).await;
    assert_eq!(listener.subscribe(channel, replay).await["successful"], true);
    let (events, answered) = listener.connect().await;
    if events.is_empty() {
        assert_eq!(answered["advice"]["reconnect"], "retry");
    }
    listener
}

fn header(event: &Value) -> &Value {
    &event["data"]["payload"]["ChangeEventHeader"]
}

const ACCOUNTS: &str = "/data/AccountChangeEvent";
const CONTACTS: &str = "/data/ContactChangeEvent";

#[tokio::test]
async fn a_change_is_told_with_what_changed_whoever_made_it() {
    let session = Session::start().await;
    session.org.select_entity("contact");
    let listener = listening(&session, CONTACTS, -1).await;
    let (_, made) =
        session.create("Contact", json!({"LastName": "Hopper", "Phone": "+1 212 555 0100"})).await;
    let id = made["id"].as_str().unwrap().to_owned();
    let (events, _) = listener.connect().await;
    assert_eq!(events[0]["channel"], CONTACTS);
    let told = header(&events[0]);
    for (key, value) in [
        ("entityName", json!("Contact")),
        ("changeType", json!("CREATE")),
        ("recordIds", json!([id])),
        ("changedFields", json!([])),
        ("sequenceNumber", json!(1)),
        ("changeOrigin", json!("com/salesforce/api/rest/62.0;client=")),
    ] {
        assert_eq!(told[key], value, "{key}");
    }
    let payload = &events[0]["data"]["payload"];
    assert_eq!(
        (&payload["Name"], &payload["Phone"]),
        (&json!({"LastName": "Hopper"}), &json!("+1 212 555 0100"))
    );
    assert!(payload.get("SystemModstamp").is_none() && payload.get("IsDeleted").is_none());
    session.org.user_update("Contact", &id, fields(json!({"FirstName": "Grace", "Phone": null}))).unwrap();
    let (events, _) = listener.connect().await;
    let told = header(&events[0]);
    assert_eq!((&told["changeType"], &told["changeOrigin"]), (&json!("UPDATE"), &json!("")));
    let changed: Vec<&str> =
        told["changedFields"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert!(changed.contains(&"Name.FirstName") && changed.contains(&"Phone"), "{changed:?}");
    assert!(!changed.contains(&"Name.LastName"), "{changed:?}");
    assert_eq!(told["nulledFields"], json!(["Phone"]));
    session.org.user_delete("Contact", &id).unwrap();
    session.org.user_undelete("Contact", &id).unwrap();
    let (mut events, _) = listener.connect().await;
    if events.len() == 1 {
        events.extend(listener.connect().await.0);
    }
    let kinds: Vec<&Value> = events.iter().map(|event| &header(event)["changeType"]).collect();
    assert_eq!(kinds, ["DELETE", "UNDELETE"]);
    let (status, record) = session.call(Method::GET, &format!("sobjects/Contact/{id}"), Value::Null).await;
    assert_eq!((status, &record["FirstName"]), (200, &json!("Grace")));
}

#[tokio::test]
async fn changes_of_one_transaction_that_are_the_same_are_one_event_and_those_taken_back_are_none() {
    let session = Session::start().await;
    session.org.select_entity("Account");
    let account = |name: &str| json!({"attributes": {"type": "Account"}, "Name": name});
    let all = |records: Vec<Value>, all_or_none: bool| json!({"allOrNone": all_or_none, "records": records});
    let body = all(vec![account("a"), account("b")], true);
    let (_, made) = session.call(Method::POST, "composite/sobjects", body).await;
    let ids: Vec<String> = (0..2).map(|at| made[at]["id"].as_str().unwrap().to_owned()).collect();
    let bad = all(vec![account("c"), json!({"attributes": {"type": "Account"}})], true);
    session.call(Method::POST, "composite/sobjects", bad).await;
    let path = format!("composite/sobjects?ids={},{}&allOrNone=false", ids[0], ids[1]);
    session.call(Method::DELETE, &path, Value::Null).await;
    let listener = Listener::new(&session).await;
    listener.subscribe(ACCOUNTS, -2).await;
    let (events, _) = listener.connect().await;
    let told: Vec<(&Value, &Value)> =
        events.iter().map(|event| (&header(event)["changeType"], &header(event)["recordIds"])).collect();
    let (one, two, both) = (json!([ids[0]]), json!([ids[1]]), json!(ids));
    let (create, delete) = (json!("CREATE"), json!("DELETE"));
    assert_eq!(told, [(&create, &one), (&create, &two), (&delete, &both)]);
    let key = |at: usize| header(&events[at])["transactionKey"].clone();
    assert_eq!(key(0), key(1));
    assert_ne!(key(1), key(2));
}

#[tokio::test]
async fn an_upload_is_told_by_events_as_well() {
    let session = Session::start().await;
    session.org.select_entity("Account");
    let listener = listening(&session, "/data/ChangeEvents", -1).await;
    let job = json!({"object": "Account", "operation": "insert", "lineEnding": "LF"});
    let (_, job) = session.call(Method::POST, "jobs/ingest", job).await;
    let path = format!("{}/services/data/v62.0/jobs/ingest/{}", session.base, job["id"].as_str().unwrap());
    let put =
        session.http.put(format!("{path}/batches")).bearer_auth(&session.token).body("Name\nfrom a file\n");
    assert_eq!(put.send().await.unwrap().status(), 201);
    let done = session.http.patch(path).bearer_auth(&session.token).json(&json!({"state": "UploadComplete"}));
    assert_eq!(done.send().await.unwrap().status(), 200);
    let (events, _) = listener.connect().await;
    assert_eq!(events[0]["data"]["payload"]["Name"], "from a file");
    assert_eq!(events[0]["channel"], "/data/ChangeEvents");
}

#[tokio::test]
async fn who_may_not_listen_is_told_in_salesforces_words() {
    let session = Session::start().await;
    let hello =
        json!({"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]});
    let (told, _) = send(&session, "stale", "", hello).await;
    assert_eq!(
        (&told[0]["error"], &told[0]["advice"]["reconnect"]),
        (&json!("403::Handshake denied"), &json!("none"))
    );
    assert_eq!(told[0]["ext"]["sfdc"]["failureReason"], "401::Authentication invalid");
    let listener = Listener::new(&session).await;
    let refused = listener.subscribe(CONTACTS, -1).await;
    let text = "400::The channel you requested to subscribe to doesn't exist {/data/ContactChangeEvent}";
    assert_eq!((&refused["error"], &refused["successful"]), (&json!(text), &json!(false)));
    session.org.select_entity("Contact");
    let refused = listener.subscribe(CONTACTS, 4711).await;
    let text = "400::The replayId {4711} you provided was invalid.  Please provide a valid ID, -2 to replay all events, or -1 to replay only new events.";
    assert_eq!(refused["error"], text);
    let stranger = Listener { cookie: String::new(), ..Listener::new(&session).await };
    let refused = stranger.subscribe(CONTACTS, -1).await["error"].as_str().unwrap().to_owned();
    assert!(
        refused.ends_with("has established a session, but no BAYEUX_BROWSER cookie present"),
        "{refused}"
    );
    let old =
        session.http.post(format!("{}/cometd/36.0", session.base)).json(&json!([])).send().await.unwrap();
    assert_eq!(old.status(), 400);
    assert!(old.text().await.unwrap().starts_with("Unsupported API version."));
}

#[tokio::test]
async fn clients_that_are_not_known_any_more_shake_hands_anew_and_sessions_that_end_are_told() {
    let session = Session::start().await;
    session.org.select_entity("Contact");
    let listener = listening(&session, CONTACTS, -1).await;
    let held = listener.connect();
    let forgotten = async {
        tokio::task::yield_now().await;
        session.org.forget_clients();
    };
    let ((_, told), ()) = tokio::join!(held, forgotten);
    assert_eq!(
        (&told["error"], &told["advice"]["reconnect"]),
        (&json!("403::Unknown client"), &json!("handshake"))
    );
    let listener = listening(&session, CONTACTS, -1).await;
    session.org.end_sessions();
    let (_, told) = listener.connect().await;
    assert_eq!(
        (&told["error"], &told["advice"]["reconnect"]),
        (&json!("401::Authentication invalid"), &json!("none"))
    );
}

#[tokio::test]
async fn a_connect_without_events_ends_in_time_and_who_does_not_come_back_is_forgotten() {
    let options = OrgOptions {
        long_poll: Duration::from_millis(50),
        reconnect_within: Duration::from_secs(5),
        ..OrgOptions::default()
    };
    let session = Session::with(options).await;
    session.org.select_entity("Contact");
    let listener = listening(&session, CONTACTS, -1).await;
    let (events, told) = listener.connect().await;
    assert_eq!((events.len(), &told["successful"]), (0, &json!(true)));
    assert_eq!(session.org.listeners(), 1);
    tokio::time::sleep(Duration::from_millis(5_200)).await;
    let (_, told) = listener.connect().await;
    assert_eq!(told["error"], "403::Unknown client");
}

#[tokio::test]
async fn gaps_overflows_and_the_days_allowance_can_be_provoked() {
    let session = Session::with(OrgOptions { daily_events: 2, ..OrgOptions::default() }).await;
    session.org.select_entity("Contact");
    session.org.change_faults(|faults| (faults.gap_events, faults.overflow_events) = (1, 1));
    let listener = listening(&session, CONTACTS, -1).await;
    let contact = || fields(json!({"LastName": "Hopper"}));
    session.org.user_create("Contact", contact()).unwrap();
    let id = session.org.user_create("Contact", contact()).unwrap();
    let (events, _) = listener.connect().await;
    let told: Vec<(&Value, &Value)> =
        events.iter().map(|event| (&header(event)["changeType"], &header(event)["recordIds"])).collect();
    assert_eq!(
        told,
        [(&json!("GAP_OVERFLOW"), &json!(["000000000000000AAA"])), (&json!("GAP_CREATE"), &json!([id])),]
    );
    assert_eq!(events[1]["data"]["payload"].as_object().unwrap().len(), 1);
    session.org.user_create("Contact", contact()).unwrap();
    let (events, told) = listener.connect().await;
    assert_eq!(
        (events.len(), &told["error"]),
        (0, &json!("403::Organization total events daily limit exceeded"))
    );
    let (_, limits) = session.call(Method::GET, "limits", Value::Null).await;
    assert_eq!(limits["DailyDeliveredPlatformEvents"]["Max"], 2);
}

#[tokio::test]
async fn events_that_are_not_kept_any_more_cannot_be_told_again() {
    let session = Session::with(OrgOptions { kept_events: 2, ..OrgOptions::default() }).await;
    session.org.select_entity("Contact");
    let listener = listening(&session, CONTACTS, -1).await;
    let create = || session.org.user_create("Contact", fields(json!({"LastName": "Hopper"}))).unwrap();
    create();
    let (events, _) = listener.connect().await;
    let replay = events[0]["data"]["event"]["replayId"].as_i64().unwrap();
    let next = create();
    let again = Listener::new(&session).await;
    assert_eq!(again.subscribe(CONTACTS, replay).await["successful"], true);
    let (events, _) = again.connect().await;
    assert_eq!(header(&events[0])["recordIds"], json!([next]));
    create();
    let refused = again.subscribe(CONTACTS, replay).await;
    assert!(refused["error"].as_str().unwrap().starts_with("400::The replayId {"), "{refused}");
    session.org.forget_events();
    assert!(again.subscribe(CONTACTS, replay + 1).await["error"].is_string());
    assert_eq!(again.subscribe(CONTACTS, -2).await["successful"], true);
    let left = again.say(json!({"channel": "/meta/unsubscribe", "subscription": CONTACTS})).await;
    assert_eq!(left[0]["successful"], true);
    assert_eq!(again.say(json!({"channel": "/meta/disconnect"})).await[0]["successful"], true);
    assert_eq!(again.connect().await.1["error"], "403::Unknown client");
}

#[tokio::test]
async fn a_connect_that_is_held_ends_with_the_org() {
    let session = Session::start().await;
    session.org.select_entity("Contact");
    let listener = listening(&session, CONTACTS, -1).await;
    let connect =
        json!({"channel": "/meta/connect", "connectionType": "long-polling", "clientId": listener.id});
    let request = session
        .http
        .post(format!("{}/cometd/62.0", session.base))
        .bearer_auth(&listener.token)
        .header("Cookie", &listener.cookie)
        .json(&json!([connect]));
    let end = async {
        tokio::task::yield_now().await;
        session.stop.cancel();
    };
    let (ended, ()) = tokio::join!(request.send(), end);
    // Whether its last word still comes is a matter of luck.
    assert!(ended.is_err() || ended.is_ok_and(|answer| answer.status() == 503));
}
