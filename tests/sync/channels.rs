//! Messages of alerts as each kind of channel gets them: webhooks, mail, Slack, PagerDuty.

use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{KeyInit, Mac};
use serde_json::{Value, json};

use crate::alerts::Desk;
use crate::receivers::{Hook, Manners, Post, Received};
use crate::scripts::text;
use crate::tls::{authority, signed};
use crate::tls_server::acceptor;
use crate::world::{MAPPINGS, World, config_text, write_private};

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_signed_refused_switched_off_and_told_through_another_channel() {
    let world = World::without_engine(MAPPINGS).await;
    let (hook, other) = (Hook::start().await, Hook::start().await);
    let secret = STANDARD.encode([7_u8; 32]);
    let alerts = format!(
        "[[alert]]\nwhen = \"new_cause\"\nfor = \"0s\"\nagain = \"1s\"\nchannels = [\"ops\"]\n[alert.channel.ops]\nkind = \"webhook\"\n\
         url = \"{}/hook\"\nsecret = \"whsec_{secret}\"\nheaders = {{ X-Team = \"sync\" }}\n[alert.channel.other]\n\
         kind = \"slack\"\nurl = \"{}/services/T/B/sesame\"\n",
        hook.url(),
        other.url()
    );
    let mut desk = Desk::open(&world, "one", &alerts).await;
    desk.round().await;
    world.fail("a1", 0, 1).await;
    desk.pass(10, 5).await;
    let came = hook.taken();
    let [message] = came.as_slice() else { panic!("{came:#?}") };
    assert_eq!((message.path.as_str(), message.header("x-team")), ("/hook", "sync"));
    let signed =
        format!("{}.{}.{}", message.header("webhook-id"), message.header("webhook-timestamp"), message.body);
    let mut hash = hmac::Hmac::<sha2::Sha256>::new_from_slice(&[7; 32]).unwrap();
    hash.update(signed.as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(hash.finalize().into_bytes()));
    assert_eq!(message.header("webhook-signature"), signature);
    // It asks for patience, and gets it; the message is the same one.
    hook.answers(429, vec![("retry-after", "40".to_owned())], "");
    world.fail("a2", 10, 1).await;
    desk.pass(30, 5).await;
    let limited = hook.taken();
    assert_eq!(limited.len(), 1, "{limited:#?}");
    hook.answers(200, Vec::new(), "");
    desk.pass(30, 5).await;
    let again = hook.taken();
    assert_eq!((again.len(), again[0].header("webhook-id")), (1, limited[0].header("webhook-id")));
    assert_eq!(other.taken().len(), 0, "a short pause is nothing to tell");
    // No redirect is followed, and a channel that refuses for long is told elsewhere, with its reason and no secret.
    hook.answers(302, vec![("location", format!("{}/elsewhere", other.url()))], "");
    world.fail("a3", 20, 1).await;
    desk.pass(90, 5).await;
    let said = other.taken();
    let [failing] = said.as_slice() else { panic!("{said:#?}") };
    assert_eq!(failing.path, "/services/T/B/sesame", "nothing followed the redirect");
    assert!(
        failing.body.contains("the alert channel ops fails") && failing.body.contains("refused: "),
        "{failing:?}"
    );
    hook.answers(200, Vec::new(), "");
    desk.pass(1_000, 10).await;
    assert_eq!(other.taken().len(), 1, "it is told that the channel works again");
    // What says that it is gone is not asked again.
    hook.answers(410, Vec::new(), "");
    world.fail("a4", 30, 1).await;
    desk.pass(30, 5).await;
    hook.taken();
    world.fail("a5", 40, 1).await;
    desk.pass(300, 10).await;
    assert_eq!(hook.taken().len(), 0, "it is switched off");
    assert!(other.taken()[0].body.contains("gone: it answers 410, and it is switched off"));
    let said = desk.said().join("\n");
    assert!(!said.contains("sesame") && !said.contains(&secret), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_through_a_real_server_with_a_login_and_never_without_the_tls_that_is_wanted() {
    let world = World::without_engine(MAPPINGS).await;
    let login = Manners { login: Some(("sync", "p@ss word")), ..Manners::default() };
    let (post, hook) = (Post::start(login.clone()).await, Hook::start().await);
    let mail = |tls: &str, password: &str| {
        format!(
            "[[alert]]\nwhen = \"new_cause\"\nfor = \"0s\"\nagain = \"1s\"\nchannels = [\"mail\"]\n[alert.channel.mail]\nkind = \"email\"\n\
             host = \"127.0.0.1\"\nport = {}\ntls = \"{tls}\"\nuser = \"sync\"\npassword = \"{password}\"\nvalues = true\n\
             from = \"syncdeck <sync@acme.com>\"\nto = [\"ops@acme.com\", \"Ada <ada@acme.com>\"]\n\
             [alert.channel.hook]\nkind = \"webhook\"\nurl = \"{}\"\n",
            post.port(),
            hook.url()
        )
    };
    let mut desk = Desk::open(&world, "one", &mail("none", "p@ss word")).await;
    desk.round().await;
    world.fail("a1", 1, 1).await;
    desk.pass(10, 5).await;
    let letters = post.letters();
    let [letter] = letters.as_slice() else { panic!("{letters:#?} {:?}", desk.said()) };
    assert_eq!(
        (letter.from.as_str(), letter.to.as_slice()),
        ("sync@acme.com", ["ops@acme.com", "ada@acme.com"].map(str::to_owned).as_slice())
    );
    for part in [
        "Subject: [acme/test] FIRING: ",
        "Message-ID: <msg_",
        "Auto-Submitted: auto-generated",
        "To: ops@acme.com, ",
    ] {
        assert!(letter.data.contains(part), "{part}: {}", letter.data);
    }
    let plain = letter.data.replace("=\n", "").replace("=40", "@");
    assert!(plain.contains("secret1@acme,com"), "values may go there: {plain}");
    assert!(plain.contains("Open it with: syncdeck show "), "{plain}");
    // Not taken for now, then taken: one mail.
    post.behaves(Manners { refuses: Some("450 4.2.0 greylisted"), ..login.clone() });
    world.fail("a2", 11, 1).await;
    desk.pass(10, 5).await;
    let kept = "SELECT reason || ' ' || attempts FROM syncdeck.alert_delivery WHERE state = 'waiting'";
    assert_eq!(world.text(kept).await.as_deref(), Some("rate 1"));
    post.behaves(login.clone());
    desk.pass(60, 5).await;
    assert_eq!(post.letters().len(), 2);
    // A wrong password is told through the other channel, by its reason.
    let mut desk = desk.hand_over(&world, "two", "one", &mail("none", "wrong")).await;
    world.fail("a3", 21, 1).await;
    desk.pass(120, 10).await;
    let came = hook.taken();
    let why = came[0].json()["data"]["alerts"][0]["why"].as_str().unwrap().to_owned();
    assert!(why.starts_with("auth: ") && why.contains("authentication failed"), "{why}");
    assert!(!desk.said().join("\n").contains("wrong"), "no password is logged");
    // A server without TLS gets neither password nor mail where TLS is wanted.
    let before = post.heard().len();
    let mut desk = desk.hand_over(&world, "three", "two", &mail("starttls", "p@ss word")).await;
    desk.pass(1_000, 60).await;
    let heard = post.heard().split_off(before);
    assert!(
        !heard.is_empty()
            && heard.iter().all(|line| ["EHLO", "QUIT"].contains(&line.split(' ').next().unwrap())),
        "{heard:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_with_tls_is_proved_by_its_certificate() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("skipped: there is no openssl to make certificates with");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    authority(dir.path(), "ca");
    signed(dir.path(), "server", "localhost", "DNS:localhost");
    let acceptor = acceptor(dir.path(), "server");
    for tls in ["tls", "starttls"] {
        let login = Manners { login: Some(("sync", "sesame")), ..Manners::default() };
        let post = Post::secured(login, acceptor.clone(), tls == "tls").await;
        let alerts = format!(
            "[alert.channel.mail]\nkind = \"email\"\nhost = \"localhost\"\nport = {}\ntls = \"{tls}\"\nuser = \"sync\"\n\
             password_env = \"MAIL_PASSWORD\"\nfrom = \"sync@acme.com\"\nto = [\"ops@acme.com\"]\n",
            post.port()
        );
        let path = dir.path().join("syncdeck.toml");
        let one = "[[mapping]]\nobject = \"Contact\"\nfields = [\"LastName\"]\n";
        let base = config_text("postgresql://u@127.0.0.1:9/d", "http://127.0.0.1:9", "hush", one);
        write_private(&path, &format!("{base}{alerts}"));
        let tried = async |trusted: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_syncdeck"));
            command.args(["alert", "test", "mail", "--json", "--config"]).arg(&path);
            command.env("MAIL_PASSWORD", "sesame").env("SSL_CERT_FILE", dir.path().join(trusted));
            let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
            serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)))
        };
        authority(dir.path(), "other");
        let refused = tried("other.crt").await;
        assert_eq!(
            (&refused["works"], &refused["reason"]),
            (&json!(false), &json!("unreachable")),
            "{refused}"
        );
        assert!(refused["detail"].as_str().unwrap().contains("certificate"), "{refused}");
        assert!(!post.heard().iter().any(|line| line.starts_with("AUTH")), "{tls}: {:?}", post.heard());
        assert_eq!(tried("ca.crt").await["works"], true);
        assert_eq!(post.letters().len(), 1, "{tls}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_changes_its_message_in_place_and_pagerduty_keeps_one_incident() {
    let world = World::without_engine(MAPPINGS).await;
    let (slack, duty) = (Hook::start().await, Hook::start().await);
    slack.answers(200, Vec::new(), "{\"ok\": true, \"channel\": \"C1\", \"ts\": \"171.001\"}");
    duty.answers(202, Vec::new(), "{\"status\": \"success\"}");
    let alerts = format!(
        "[[alert]]\nwhen = \"new_cause\"\nfor = \"10s\"\nagain = \"1s\"\nseverity = \"critical\"\n[alert.channel.slack]\nkind = \"slack\"\n\
         token = \"xoxb-sesame\"\nchannel = \"#ops\"\napi_url = \"{}\"\n[alert.channel.page]\nkind = \"pagerduty\"\n\
         routing_key = \"R0UT1NG\"\napi_url = \"{}\"\n",
        slack.url(),
        duty.url()
    );
    let mut desk = Desk::open(&world, "one", &alerts).await;
    desk.round().await;
    world.fail("a1", 0, 4).await;
    desk.pass(20, 5).await;
    world.fail("a2", 10, 4).await;
    desk.pass(20, 5).await;
    let names = world.handle.acknowledge("new_cause", Some("a1"), "I am on it").await.unwrap();
    assert_eq!(names, ["new_cause:a1"]);
    desk.pass(20, 5).await;
    world.mend("a1").await;
    world.mend("a2").await;
    desk.pass(40, 5).await;
    let calls: Vec<(String, Value)> =
        slack.taken().iter().map(|came| (came.path.clone(), came.json()["ts"].clone())).collect();
    let update = ("/chat.update".to_owned(), json!("171.001"));
    assert_eq!(calls[0], ("/chat.postMessage".to_owned(), Value::Null));
    assert!(calls.len() >= 4 && calls[1..].iter().all(|call| *call == update), "{calls:?}");
    let came = duty.taken();
    let events: Vec<(String, String)> = came
        .iter()
        .map(|came| came.json())
        .map(|event| (event["event_action"].to_string(), event["dedup_key"].to_string()))
        .collect();
    assert_eq!(came[0].path, "/v2/enqueue");
    let of = |key: &str| -> Vec<&str> {
        events.iter().filter(|(_, other)| *other == key).map(|(action, _)| action.trim_matches('"')).collect()
    };
    assert_eq!(of(&events[0].1), ["trigger", "acknowledge", "resolve"]);
    assert_eq!(came[0].json()["payload"]["severity"], "critical");
    // The next one is another message.
    world.fail("a3", 20, 1).await;
    desk.pass(20, 5).await;
    assert_eq!(slack.taken()[0].path, "/chat.postMessage");
    slack.answers(200, Vec::new(), "{\"ok\": false, \"error\": \"invalid_auth\"}");
    world.fail("a4", 30, 1).await;
    desk.pass(120, 10).await;
    let events: Vec<Value> = duty.taken().iter().map(Received::json).collect();
    let failing = events.iter().find(|event| event.to_string().contains("the alert channel slack fails"));
    assert!(failing.unwrap().to_string().contains("auth: Slack says invalid_auth"), "{events:#?}");
    assert!(!desk.said().join("\n").contains("sesame"));
}
