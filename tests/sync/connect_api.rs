//! Heroku Connect's own API beside its database: a stand-in that speaks its documented shapes, and one that speaks anything else.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;
use syncdeck::client::api::{self, ErrorKind, Event};
use syncdeck::client::attached::heroku::HerokuApi;
use syncdeck::client::attached::session::Attached;
use syncdeck::demo::heroku_connect::api::{APP, ConnectApi, MappingStand, RESOURCE, Scripted};
use syncdeck::domain::attached::told::{CheckOutcome, HerokuStatus, NotificationFilter};
use syncdeck::domain::reports::overview::{MappingStatus, Overview, Writes};
use syncdeck::domain::state::{ConnectionState, MappingState};
use syncdeck::domain::values::address::OrgAddress;
use syncdeck::heroku;
use syncdeck::postgres::Store;
use syncdeck::postgres::session::connect::Session;
use tokio_util::sync::CancellationToken;

use crate::beside::{Beside, ROWS, bad_email};
use crate::support::operator;

pub const KEY: &str = "HRKU-open-sesame";

/// The audit, as an engine of ours leaves it.
pub const AUDIT: &str = "CREATE SCHEMA syncdeck; CREATE SEQUENCE syncdeck.act;
    CREATE TABLE syncdeck.audit (id bigserial PRIMARY KEY, act bigint, at timestamptz DEFAULT clock_timestamp(),
        actor text, origin text, why text, action text, mapping text, table_name text, record_id integer,
        error_id bigint, before jsonb, after jsonb, undoes bigint)";

/// A stand-in with the mappings of the tests' schema.
pub async fn stand_in() -> ConnectApi {
    let api = ConnectApi::start(KEY, CancellationToken::new()).await.unwrap();
    let contact = MappingStand {
        counts: [20, 21, 3, 4],
        times: [Some("2026-11-30 10:12:43.734321+00:00".to_owned()), Some("2026-11-30T09:00:00Z".to_owned())],
        ..MappingStand::new("Contact")
    };
    api.stand().org = Some("00DHC0000000001AAA".to_owned());
    api.stand().mappings = vec![contact, MappingStand::new("RecordType"), MappingStand::new("User")];
    api
}

pub fn access(api: &ConnectApi) -> heroku::ApiAccess {
    heroku::ApiAccess {
        app: APP.to_owned(),
        resource: None,
        schema: "salesforce".to_owned(),
        api_url: OrgAddress::parse(&api.url()).unwrap(),
        key_place: "HEROKU_API_KEY".to_owned(),
        key: SecretString::from(KEY),
        read_only: false,
    }
}

/// A client beside the database, with that access to the API.
pub async fn client(beside: &Beside, access: heroku::ApiAccess) -> api::Client {
    with(beside, HerokuApi::new(heroku::Client::new(access).map_err(|error| error.to_string()))).await
}

async fn with(beside: &Beside, api: HerokuApi) -> api::Client {
    by(&beside.url, false, api).await
}

/// A client of that role, or one that only looks.
pub async fn by(url: &str, read_only: bool, api: HerokuApi) -> api::Client {
    let session = Session::of_console(Duration::from_secs(15), read_only);
    let store = Store::open(url, "salesforce", &session).await.unwrap();
    let attached = Attached::open(store, "hc", None).await.unwrap().with_api(api).await.unwrap();
    api::Client::attached(attached, operator("tester@here")).meant_for("test")
}

/// How things stand after the API was asked.
pub async fn told(client: &api::Client) -> (Overview, HerokuStatus) {
    client.ask_heroku().await;
    let overview = client.overview().await.unwrap();
    let heroku = overview.heroku.clone().unwrap();
    (overview, heroku)
}

pub fn mapping<'a>(overview: &'a Overview, name: &str) -> &'a MappingStatus {
    overview.mappings.iter().find(|mapping| mapping.name == name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn states_counts_and_times_come_from_the_api_beside_what_the_database_tells() {
    let (beside, api) = (Beside::new(None, ROWS).await, stand_in().await);
    beside.run(&bad_email(1)).await;
    let client = client(&beside, access(&api)).await;
    let before = client.overview().await.unwrap();
    assert!(before.heroku.as_ref().unwrap().has_key && before.heroku.unwrap().state.is_none());

    let (overview, heroku) = told(&client).await;
    assert_eq!((heroku.state.as_deref(), heroku.resource.as_deref()), (Some("IDLE"), Some(RESOURCE)));
    assert!(heroku.told_at.is_some() && heroku.trouble.is_none(), "{heroku:?}");
    assert_eq!(overview.connection.state, ConnectionState::Ok);
    let contact = mapping(&overview, "Contact");
    // The database's own errors, whatever the API says of the mapping: writes do not show in its state.
    assert_eq!((contact.state, contact.errors, contact.rows), (MappingState::Errors, 1, 20));
    assert_eq!(contact.records, Some(21));
    assert_eq!(contact.last_read.unwrap().to_rfc3339(), "2026-11-30T10:12:43.734321+00:00");
    assert_eq!(contact.last_write.unwrap().to_rfc3339(), "2026-11-30T09:00:00+00:00");
    let of_api = contact.heroku.as_ref().unwrap();
    assert_eq!((of_api.state.as_str(), of_api.pending, of_api.errors), ("DATA_SYNCED", Some(3), Some(4)));
    assert!(mapping(&overview, "legacy__c").heroku.is_none());
    assert_eq!(
        api.stand().asked,
        ["GET /connections", "GET /api/v3/connections/0f6d6b9e-3c1a-4a51-9d3e-5f3f1c0a7e11"]
    );

    for (connection, state, wanted) in [
        ("IDLE", "RELOAD_TABLE", MappingState::Loading),
        ("IDLE", "BAD_CONFIG", MappingState::Broken),
        ("PAUSED", "DATA_SYNCED", MappingState::Paused),
        ("IDLE", "A_NEW_WORD", MappingState::Ok),
    ] {
        let another = self::client(&beside, access(&api)).await;
        connection.clone_into(&mut api.stand().state);
        state.clone_into(&mut api.stand().mapping("User").unwrap().state);
        let (overview, _) = told(&another).await;
        let user = mapping(&overview, "User");
        assert_eq!(user.state, wanted, "{connection} {state}: {user:?}");
        // How it writes is known from it, too.
        assert!(overview.connection.detail.as_ref().unwrap().contains("merged writes, as its API tells"));
        let says_why = user.detail.as_ref().is_some_and(|detail| detail.contains(state));
        assert_eq!(says_why, matches!(wanted, MappingState::Loading | MappingState::Broken), "{user:?}");
    }
    "UNAUTHORIZED".clone_into(&mut api.stand().state);
    let (overview, _) = told(&self::client(&beside, access(&api)).await).await;
    assert_eq!(overview.connection.state, ConnectionState::Unauthorized);
    assert!(overview.connection.detail.unwrap().contains("heroku connect:sf:auth"));
}

/// An access that is wrong in one thing.
pub fn wrong(api: &ConnectApi, change: impl Fn(&mut heroku::ApiAccess)) -> heroku::ApiAccess {
    let mut access = access(api);
    change(&mut access);
    access
}

pub fn answers(status: u16, body: &str) -> Scripted {
    Scripted::Answer(status, Vec::new(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_named_with_its_remedy_and_the_database_still_tells() {
    let (beside, api) = (Beside::new(None, ROWS).await, stand_in().await);
    beside.run(&bad_email(1)).await;
    let hostile = "\u{1b}]52;c;evil\u{7}";
    let details = |body: serde_json::Value| {
        vec![
            answers(200, &json!({"results": [{"id": "c-1", "region_url": api.url()}]}).to_string()),
            answers(200, &body.to_string()),
        ]
    };
    let elsewhere = json!({"results": [{"id": "c-1", "region_url": "https://evil.example.com"}]}).to_string();
    let odd = json!({"results": [{"id": "../../evil", "region_url": api.url()}]}).to_string();
    let two = json!({"results": [{"id": "a", "resource_name": "hc-a", "region_url": api.url()},
        {"id": "b", "resource_name": format!("hc-b{hostile}"), "region_url": api.url()}]});
    let limited = Scripted::Answer(429, vec![("retry-after", "7".to_owned())], String::new());
    let redirect =
        Scripted::Answer(302, vec![("location", "https://evil.example.com/".to_owned())], String::new());
    let refused = json!({"message": format!("No, {hostile}{}", "x".repeat(9_000))}).to_string();
    let cases: Vec<(&str, Vec<Scripted>, heroku::ApiAccess, &str)> = vec![
        (
            "a wrong key",
            vec![],
            wrong(&api, |of| of.key = "HRKU-wrong".into()),
            "refuses the API key\nset HEROKU_API_KEY",
        ),
        (
            "a wrong app",
            vec![],
            wrong(&api, |of| of.app = "acme-none".to_owned()),
            "there is no app acme-none",
        ),
        (
            "a wrong add-on",
            vec![],
            wrong(&api, |of| of.resource = Some("other".to_owned())),
            "has no Heroku Connect named other",
        ),
        (
            "two add-ons",
            vec![answers(200, &two.to_string())],
            access(&api),
            "several Heroku Connects\nname one in [heroku] resource: hc-a, hc-b",
        ),
        (
            "another schema",
            vec![],
            wrong(&api, |of| of.schema = "org".to_owned()),
            "keeps the schema \"salesforce\", not \"org\"",
        ),
        (
            "no access",
            vec![answers(403, "{}"), answers(403, "{}")],
            access(&api),
            "may not use the Heroku Connect of acme-demo\ngive it access",
        ),
        ("HTML", vec![answers(200, "<html>hello</html>")], access(&api), "of no use: it is a page of HTML"),
        (
            "half of an answer",
            vec![answers(200, "{\"results\": [")],
            access(&api),
            "of no use: it is no whole JSON",
        ),
        (
            "another shape",
            vec![answers(200, "[1, 2]")],
            access(&api),
            "of no use: it is not what the API answers",
        ),
        ("nothing", vec![answers(200, "")], access(&api), "of no use: it is not what the API answers"),
        ("a redirect", vec![redirect], access(&api), "a redirect (302), which is not followed"),
        (
            "a stranger's region",
            vec![answers(200, &elsewhere)],
            access(&api),
            "the API key does not go there",
        ),
        ("an id that is a path", vec![answers(200, &odd)], access(&api), "the connection's id is none"),
        (
            "an error of the server",
            vec![answers(500, "oops")],
            access(&api),
            "HTTP 500, in words that are not the API's",
        ),
        ("a refusal", vec![answers(503, &refused)], access(&api), "refuses it (HTTP 503): No, \\e]52"),
        (
            "an echo of the key",
            vec![answers(503, &json!({"message": format!("{KEY} is busy")}).to_string())],
            access(&api),
            "(HTTP 503): (the API key) is busy",
        ),
        ("an answer that breaks off", vec![Scripted::Half], access(&api), "no whole answer from"),
        ("too many requests", vec![limited], access(&api), "limit of requests is used up\nwait 7 s"),
        (
            "details without a state",
            details(json!({"schema_name": "salesforce"})),
            access(&api),
            "it is not what the API answers",
        ),
    ];
    for (what, next, access, wanted) in cases {
        api.stand().next = next.into();
        let client = client(&beside, access).await;
        let (overview, heroku) = told(&client).await;
        let trouble = heroku.trouble.clone().unwrap_or_else(|| panic!("{what}: {heroku:?}"));
        assert!(trouble.contains(wanted), "{what}: {trouble}");
        assert!(!trouble.contains(['\u{1b}', '\u{7}']) && trouble.len() < 1_500, "{what}: {trouble}");
        assert!(!trouble.contains("HRKU"), "{what}: {trouble}");
        // Looking does nothing.
        assert!(!trouble.contains("may have been done"), "{what}: {trouble}");
        assert_eq!((heroku.state, heroku.has_key), (None, true), "{what}");
        let contact = mapping(&overview, "Contact");
        assert_eq!(
            (contact.state, contact.errors, &contact.heroku),
            (MappingState::Errors, 1, &None),
            "{what}"
        );
        assert!(api.stand().next.is_empty(), "{what}");
    }
    // Nobody listens, and nobody is asked.
    let nobody = wrong(&api, |of| of.api_url = OrgAddress::parse("http://127.0.0.1:9").unwrap());
    let (_, heroku) = told(&client(&beside, nobody).await).await;
    assert!(heroku.trouble.unwrap().starts_with("no connection to 127.0.0.1:9: "));
    for key in ["", "two words", "line\nfeed"] {
        let told = heroku::Client::new(wrong(&api, |of| of.key = key.into())).err().unwrap().to_string();
        assert!(told.starts_with("HEROKU_API_KEY holds no API key\nset it"), "{told}");
    }
    let without = with(&beside, HerokuApi::new(Err("HEROKU_API_KEY is not set\nset it".to_owned()))).await;
    let (overview, heroku) = told(&without).await;
    assert_eq!(
        (heroku.has_key, heroku.trouble.as_deref()),
        (false, Some("HEROKU_API_KEY is not set\nset it"))
    );
    assert_eq!(overview.connection.state, ConnectionState::Ok);
    let refused = without.writes(None, Writes::Pause).await.unwrap_err();
    assert!(refused.message.contains("HEROKU_API_KEY is not set"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_come_keeps_nobody_who_looks_waiting() {
    let (beside, api) = (Beside::new(None, ROWS).await, stand_in().await);
    api.stand().next = [Scripted::Never].into();
    let patient = heroku::Client::new(access(&api)).map_err(|error| error.to_string());
    let client = with(&beside, HerokuApi::new(patient)).await;
    // Whoever listens has the API asked beside; the looks go on meanwhile.
    let mut events = client.events();
    beside.until("the API is asked", async || !api.stand().asked.is_empty()).await;
    let overview = client.overview().await.unwrap();
    assert_eq!((overview.mappings.len(), overview.heroku.unwrap().state), (4, None));
    while !matches!(events.recv().await, Ok(Event::Overview)) {}

    api.stand().next = [Scripted::Never].into();
    let hasty = heroku::Client::new(access(&api)).unwrap().patient_for(Duration::from_millis(200));
    let client = with(&beside, HerokuApi::new(Ok(hasty))).await;
    let (_, heroku) = told(&client).await;
    assert!(heroku.trouble.unwrap().contains("did not answer within"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_hears_of_a_change_by_itself() {
    let (beside, api) = (Beside::new(None, ROWS).await, stand_in().await);
    let known = HerokuApi::new(heroku::Client::new(access(&api)).map_err(|error| error.to_string()));
    let client = with(&beside, known.asked_every(Duration::from_millis(50))).await;
    let _events = client.events();
    let state = async || client.overview().await.unwrap().heroku.unwrap().state;
    beside.until("the console knows the state", async || state().await.as_deref() == Some("IDLE")).await;
    "PAUSED".clone_into(&mut api.stand().state);
    beside.until("it knows the new state", async || state().await.as_deref() == Some("PAUSED")).await;
    // What is done here is known at once.
    client.writes(None, Writes::Resume).await.unwrap();
    assert_eq!(state().await.as_deref(), Some("IDLE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pausing_resuming_reloading_and_recovering_is_done_there_and_noted_where_there_is_an_audit() {
    let (beside, api) = (Beside::new(None, ROWS).await, stand_in().await);
    let client = client(&beside, access(&api)).await.because(Some("the org moves"));
    let paused = client.writes(None, Writes::Pause).await.unwrap();
    assert!(paused.contains("it says PAUSED now") && paused.contains("in no audit"), "{paused}");
    let again = client.writes(None, Writes::Pause).await.unwrap_err();
    assert_eq!(again.kind, ErrorKind::Conflict);
    assert!(again.message.contains("Connection must be IDLE"), "{again}");
    for (mapping, to, wanted) in [
        (Some("Contact"), Writes::Pause, "together"),
        (None, Writes::Drain, "cannot drain"),
        (Some("Contact"), Writes::Drain, "cannot drain"),
    ] {
        let refused = client.writes(mapping, to).await.unwrap_err();
        assert!(refused.message.contains(wanted), "{refused}");
    }

    beside.run(AUDIT).await;
    let resumed = client.writes(None, Writes::Resume).await.unwrap();
    assert!(resumed.contains("it says IDLE now") && !resumed.contains("in no audit"), "{resumed}");
    let reloaded = client.reload(Some("contact")).await.unwrap();
    assert!(
        reloaded.starts_with("Contact: herokuconnect-angular-12345 of acme-demo is told to empty the table"),
        "{reloaded}"
    );
    assert_eq!(mapping(&client.overview().await.unwrap(), "Contact").state, MappingState::Loading);
    "SYSTEM_ERROR".clone_into(&mut api.stand().state);
    client.recover_heroku().await.unwrap();
    assert_eq!(api.stand().state, "IDLE");
    client.reload(None).await.unwrap();
    assert_eq!(api.stand().reloads, ["Contact", "Contact", "RecordType", "User"]);
    let noted = "SELECT string_agg(concat_ws(' ', act, actor, why, action, mapping), '; ' ORDER BY id) FROM syncdeck.audit";
    assert_eq!(
        beside.text(noted).await.unwrap(),
        "1 tester@here the org moves resumed ; 2 tester@here the org moves reloaded Contact; \
         3 tester@here the org moves recovered ; 4 tester@here the org moves reloaded Contact; \
         4 tester@here the org moves reloaded RecordType; 4 tester@here the org moves reloaded User"
    );

    api.stand().mappings.pop();
    let unknown = client.reload(Some("User")).await.unwrap_err();
    assert_eq!(unknown.kind, ErrorKind::Invalid);
    assert!(unknown.to_string().contains("does not map user\nit maps Contact, RecordType"), "{unknown}");

    // A read-only session tells it nothing to do.
    let looking = self::client(&beside, wrong(&api, |of| of.read_only = true)).await;
    let asked = api.stand().asked.len();
    let refusals = [
        looking.writes(None, Writes::Pause).await.map(drop),
        looking.reload(Some("Contact")).await.map(drop),
        looking.recover_heroku().await.map(drop),
        looking.acknowledge_heroku(&NotificationFilter::default()).await.map(drop),
    ];
    for refused in refusals {
        assert!(refused.unwrap_err().message.contains("read-only"));
    }
    assert!(api.stand().asked.iter().skip(asked).all(|asked| asked.starts_with("GET ")));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_see_the_app_is_let_in_once_and_one_who_only_looks_is_told_how() {
    let (beside, api) = (Beside::new(None, ROWS).await, stand_in().await);
    api.stand().let_in = false;
    let looking = client(&beside, wrong(&api, |of| of.read_only = true)).await;
    let trouble = told(&looking).await.1.trouble.unwrap();
    assert!(trouble.contains("heroku connect:info -a acme-demo"), "{trouble}");
    assert!(!api.stand().let_in);
    let client = client(&beside, access(&api)).await;
    assert_eq!(told(&client).await.1.state.as_deref(), Some("IDLE"));
    let posts =
        api.stand().asked.iter().filter(|asked| asked.starts_with("POST")).cloned().collect::<Vec<_>>();
    assert_eq!(posts, ["POST /auth/acme-demo"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn write_errors_notifications_and_checks_are_told_without_what_acts_on_a_terminal() {
    let (beside, api) = (Beside::new(None, ROWS).await, stand_in().await);
    {
        let mut stand = api.stand();
        let error = |id: i64, table: &str| {
            json!({"id": id, "table_name": table, "record_id": "7", "message": "bad \u{1b}[31mred",
            "created_at": "2026-11-30T10:00:00Z"})
        };
        stand.write_errors = vec![error(4711, "contact"), error(4712, "user")];
        let notice = |id: &str, kind: &str, day: u8| {
            json!({"id": id, "event_type": kind, "message": format!("m{id}\u{202e}"),
            "created_at": format!("2026-11-{day}T10:00:00Z")})
        };
        stand.notifications = vec![notice("1", "mapping-error", 28), notice("2", "postgres-connection", 29)];
        stand.diagnosis = json!({"warnings": [{"display_name": "Configured Logging", "message": "none\u{7}"}],
            "mappings": {"Contact": {"errors": [{"display_name": "Upsert Field", "message": "none"}]}}});
        stand.under_way = 2;
    }
    let client = client(&beside, access(&api)).await;
    let errors = client.heroku_write_errors(None).await.unwrap();
    let told: Vec<_> =
        errors.items.iter().map(|of| (of.id.as_str(), of.table.as_str(), of.row.as_str())).collect();
    assert_eq!((errors.count, told), (Some(2), vec![("4711", "contact", "7"), ("4712", "user", "7")]));
    assert_eq!(errors.items[0].message, "bad \\e[31mred");
    assert_eq!(client.heroku_write_errors(Some("Contact")).await.unwrap().items.len(), 1);
    let unknown = client.heroku_write_errors(Some("Contract")).await.unwrap_err();
    assert!(unknown.to_string().contains("did you mean Contact?"), "{unknown}");

    let mut filter =
        NotificationFilter { event_type: Some("mapping-error".to_owned()), ..NotificationFilter::default() };
    let notices = client.heroku_notifications(&filter).await.unwrap();
    assert_eq!((notices.items.len(), notices.items[0].message.as_str()), (1, "m1\\u{202e}"));
    client.acknowledge_heroku(&filter).await.unwrap();
    filter.event_type = None;
    assert_eq!(client.heroku_notifications(&filter).await.unwrap().items[0].id, "2");
    filter.after = Some("2026-11-30".to_owned());
    assert!(client.heroku_notifications(&filter).await.unwrap().items.is_empty());

    let checks = client.diagnose_heroku(None).await.unwrap();
    let told: Vec<_> =
        checks.iter().map(|of| (of.mapping.as_deref(), of.outcome, of.message.as_str())).collect();
    assert_eq!(
        told,
        [(None, CheckOutcome::Warning, "none\\u{7}"), (Some("Contact"), CheckOutcome::Error, "none")]
    );
    let one = client.diagnose_heroku(Some("contact")).await.unwrap();
    assert_eq!((one.len(), one[0].outcome), (1, CheckOutcome::Error));
    // Where the result is, the key goes only to the region itself.
    let ticket = json!({"result_url": "https://evil.example.com/validations/1"}).to_string();
    let region = client.heroku_write_errors(None).await;
    assert!(region.is_ok());
    let details = json!({"state": "IDLE", "schema_name": "salesforce", "mappings": null}).to_string();
    api.stand().next = [answers(200, &details), answers(202, &ticket)].into();
    let evil = client.diagnose_heroku(None).await.unwrap_err();
    assert!(evil.message.contains("the API key does not go there"), "{evil}");
}
