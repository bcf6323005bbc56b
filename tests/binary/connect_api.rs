//! Heroku Connect's own API by the command line, beside a database that it keeps.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use syncdeck::demo::heroku_connect::api::{APP, ConnectApi, MappingStand, Scripted};
use tokio_postgres::NoTls;
use tokio_util::sync::CancellationToken;

use crate::support::{new_database, server};
use crate::{Ran, config, directory};

const SCHEMA: &str = include_str!("../sync/attached.sql");
const KEY: &str = "HRKU-open-sesame";
/// Where the tests' key is; the one of whoever runs them is nobody's business.
const VARIABLE: &str = "SYNCDECK_TEST_HEROKU_KEY";

struct Workplace {
    dir: PathBuf,
    api: ConnectApi,
    url: String,
}

impl Workplace {
    async fn new(environment: &str) -> Workplace {
        let (dir, url) = (directory(), server().url(&new_database().await));
        let (sql, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        sql.batch_execute(SCHEMA).await.unwrap();
        let api = ConnectApi::start(KEY, CancellationToken::new()).await.unwrap();
        api.stand().org = Some("00DHC0000000001AAA".to_owned());
        api.stand().mappings = ["Contact", "RecordType", "User"].map(MappingStand::new).to_vec();
        let text = format!(
            "[connection]\nname = \"acme\"\nenvironment = \"{environment}\"\nengine = \"heroku-connect\"\n[postgres]\n\
             url = \"{url}\"\n[heroku]\napp = \"{APP}\"\napi_url = \"{}\"\napi_key_env = \"{VARIABLE}\"\n",
            api.url()
        );
        config(&dir, &text, 0o600);
        Workplace { dir, api, url }
    }

    fn run(&self, args: &[&str]) -> Ran {
        run(&self.dir, Some(KEY), &[], args)
    }
}

fn run(dir: &Path, key: Option<&str>, more: &[(&str, &str)], args: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncdeck"));
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
        command.env(name, dir);
    }
    command.env_remove("HEROKU_API_KEY").env_remove("HEROKU_APP").env("COLUMNS", "80");
    if let Some(key) = key {
        command.env(VARIABLE, key);
    }
    command.envs(more.iter().copied());
    let output = command.args(args).current_dir(dir).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ran =
        Ran { status: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) };
    assert!(!ran.out.contains("HRKU") && !ran.err.contains("HRKU"), "{args:?}: {ran:?}");
    assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "{args:?}: {ran:?}");
    ran
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_what_the_api_tells_and_why_where_it_does_not() {
    let place = Workplace::new("test").await;
    place.api.stand().mapping("Contact").unwrap().counts = [1, 1_234, 3, 4];
    let told = place.run(&["status"]);
    assert_eq!(told.status, 0, "{told:?}");
    for part in [
        "heroku      IDLE: it works (told by Heroku Connect's API at 20",
        "Contact: Heroku Connect says DATA_SYNCED: in step; it counts records 1,234, rows 1, pending 3, errors 4",
    ] {
        assert!(told.out.contains(part), "{part}: {told:?}");
    }
    let told = place.run(&["status", "--json"]).json();
    assert_eq!(
        (told["heroku"]["state"].as_str(), told["heroku"]["has_key"].as_bool()),
        (Some("IDLE"), Some(true))
    );
    let contact = &told["mappings"][0];
    assert_eq!((contact["records"].as_i64(), contact["heroku"]["pending"].as_i64()), (Some(1_234), Some(3)));
    "UNAUTHORIZED".clone_into(&mut place.api.stand().state);
    let ill = place.run(&["status", "--fail-on", "connection"]);
    assert!(ill.status == 3 && ill.out.contains("acme ⇄ test: unauthorized"), "{ill:?}");

    // Without a key nobody is asked, and it says so; nor is that a failure.
    let asked = place.api.stand().asked.len();
    let without = run(&place.dir, None, &[], &["status"]);
    let said = "heroku      what the database tells: SYNCDECK_TEST_HEROKU_KEY is not set; set it to";
    assert!(without.status == 0 && without.out.contains(said), "{without:?}");
    assert_eq!(place.api.stand().asked.len(), asked);
    for args in [
        &["heroku"][..],
        &["heroku", "diagnose"],
        &["mapping", "all", "pause"],
        &["mapping", "Contact", "reload"],
    ] {
        let refused = run(&place.dir, None, &[], args);
        assert!(
            refused.status == 1 && refused.err.contains("SYNCDECK_TEST_HEROKU_KEY is not set"),
            "{refused:?}"
        );
    }
    let wrong = run(&place.dir, Some("HRKU-wrong"), &[], &["heroku"]);
    assert!(wrong.status == 1 && wrong.err.contains("Heroku refuses the API key"), "{wrong:?}");
    place.api.stand().next = [Scripted::Answer(200, Vec::new(), "<html>\u{1b}[2J".to_owned())].into();
    let html = place.run(&["status"]);
    assert!(html.status == 0 && html.out.contains("what the database tells: what 127.0.0.1:"), "{html:?}");
    // One that does not answer keeps nobody waiting who looks at the database.
    place.api.stand().next = [Scripted::Never].into();
    let slow = place.run(&["status"]);
    assert!(slow.status == 0 && slow.out.contains("did not answer within 5 s"), "{slow:?}");
    // Nothing on this machine is asked by way of a proxy.
    let proxy = [("HTTP_PROXY", "http://127.0.0.1:9"), ("http_proxy", "http://127.0.0.1:9")];
    let direct = run(&place.dir, Some(KEY), &proxy, &["status"]);
    assert!(direct.out.contains("heroku      UNAUTHORIZED"), "{direct:?}");

    // With nothing but addresses in the environment.
    let bare = [("DATABASE_URL", place.url.as_str()), ("HEROKU_APP", "no name")];
    let named = run(&place.dir, None, &bare, &["status", "--attach-heroku-connect"]);
    assert!(named.status == 2 && named.err.contains("heroku.app: is no app's name"), "{named:?}");
    let nobody = run(&place.dir, None, &bare[..1], &["status", "--attach-heroku-connect"]);
    assert!(nobody.status == 0 && nobody.out.contains("no app is named"), "{nobody:?}");
    std::fs::remove_dir_all(&place.dir).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stops_or_empties_something_asks_as_on_a_connection_of_ours() {
    let place = Workplace::new("prod").await;
    for args in [&["mapping", "all", "pause"][..], &["mapping", "Contact", "reload"], &["heroku", "recover"]]
    {
        let asked = place.run(args);
        assert!(
            asked.status == 2 && asked.err.contains("nobody is there to be asked: say --yes"),
            "{asked:?}"
        );
        let looked = place.run(&[&["--read-only"], args].concat());
        assert!(looked.status == 2 && looked.err.contains("--read-only changes nothing"), "{looked:?}");
    }
    // One question for all of it, on which environment, and which one is told.
    let both = place.run(&["mapping", "all", "pause", "reload"]);
    assert_eq!(both.status, 2, "{both:?}");
    let question = "prod: herokuconnect-angular-12345 of acme-demo: all 4 mappings: Heroku Connect finishes what it has begun";
    assert!(both.err.contains(question) && both.err.contains("empties the table"), "{both:?}");
    assert!(place.api.stand().asked.iter().all(|asked| asked.starts_with("GET ")));
    let one = place.run(&["mapping", "Contact", "pause", "--yes"]);
    assert!(one.status == 1 && one.err.contains("use: syncdeck mapping all pause"), "{one:?}");
    let paused = place.run(&["mapping", "all", "pause", "--yes"]);
    assert!(paused.status == 0 && paused.out.contains("it says PAUSED now"), "{paused:?}");
    assert!(paused.out.contains("Contact     paused"), "{paused:?}");
    let again = place.run(&["mapping", "all", "pause", "--yes"]);
    assert!(again.status == 1 && again.err.contains("Connection must be IDLE"), "{again:?}");
    assert_eq!(place.run(&["mapping", "all", "resume"]).status, 0);
    let reloaded = place.run(&["mapping", "contact", "reload", "--yes"]);
    assert!(
        reloaded.status == 0 && reloaded.out.contains("RELOAD_TABLE: is read again as a whole"),
        "{reloaded:?}"
    );
    let recovered = place.run(&["heroku", "recover", "--yes"]);
    assert!(recovered.status == 0 && recovered.out.contains("it says IDLE now"), "{recovered:?}");
    std::fs::remove_dir_all(&place.dir).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn its_lists_and_checks_are_printed_and_have_json() {
    let place = Workplace::new("test").await;
    for (args, wanted) in [
        (&["heroku", "write-errors"][..], "no write errors in the last 24 hours"),
        (&["heroku", "notifications"], "nothing that is not acknowledged"),
        (&["heroku", "diagnose"], "nothing to mend: 0 checks passed, 0 were skipped"),
        (&["heroku", "acknowledge"], "nothing was to be acknowledged"),
    ] {
        let empty = place.run(args);
        assert!(empty.status == 0 && empty.out.contains(wanted), "{empty:?}");
    }
    {
        let mut stand = place.api.stand();
        stand.write_errors =
            vec![json!({"id": 4711, "table_name": "contact", "record_id": 7, "message": "\u{1b}[31mbad",
            "created_at": "2026-11-30T10:00:00Z"})];
        stand.notifications =
            vec![json!({"id": "1", "event_type": "mapping-error", "message": "\u{1b}[31mfailed",
            "created_at": "2026-11-30T10:00:00Z"})];
        stand.diagnosis = json!({"errors": [{"display_name": "Upsert Field", "message": "none", "doc_url": "https://d"}],
            "passes": [{"display_name": "Number of Mappings", "message": ""}]});
    }
    let errors = place.run(&["heroku", "write-errors"]);
    assert!(
        errors.status == 0 && errors.out.contains("4711") && errors.out.contains("\\e[31mbad"),
        "{errors:?}"
    );
    let errors = place.run(&["heroku", "write-errors", "contact", "--json"]).json();
    assert_eq!((errors["count"].as_i64(), errors["items"][0]["row"].as_str()), (Some(1), Some("7")));
    let asked = place.run(&["heroku", "acknowledge"]);
    assert!(asked.status == 2 && asked.err.contains("test: 1 notification of herokuconnect-angular-12345 of acme-demo is acknowledged, for everybody"), "{asked:?}");
    let acknowledged =
        place.run(&["heroku", "acknowledge", "--event-type", "mapping-error", "--yes", "--json"]);
    assert_eq!(acknowledged.json()["acknowledged"], 1);
    assert!(place.api.stand().notifications.is_empty());
    // What came after what was counted is not acknowledged.
    assert_eq!(place.api.stand().acknowledged_before.as_deref(), Some("2026-11-30T10:00:00Z"));
    let checks = place.run(&["heroku", "diagnose"]);
    assert!(checks.status == 3 && checks.out.contains("error     Upsert Field"), "{checks:?}");
    assert!(
        !checks.out.contains("Number of Mappings") && checks.out.contains("1 checks passed"),
        "{checks:?}"
    );
    assert!(place.run(&["heroku", "diagnose", "--all"]).out.contains("pass      Number of Mappings"));
    let checks: Value = place.run(&["heroku", "diagnose", "--json"]).json();
    assert_eq!(checks[0]["outcome"], "error");
    for (args, wanted) in [
        (&["heroku", "recover", "Contact"][..], "a mapping is for heroku write-errors and diagnose"),
        (&["heroku", "acknowledge", "--after", "yesterday"], "--after \"yesterday\" is no date or time"),
        (&["heroku", "notifications", "--before", "2026-13-01"], "is no date or time"),
        (&["heroku", "diagnose", "--after", "2026-01-01"], "is for heroku notifications and acknowledge"),
        (&["heroku", "state", "--yes"], "--yes is for heroku acknowledge and recover"),
        (&["heroku", "diagnose", "Contract"], "did you mean Contact?"),
    ] {
        let wrong = place.run(args);
        assert!(wrong.status == 2 && wrong.err.contains(wanted), "{wrong:?}");
    }
    std::fs::remove_dir_all(&place.dir).unwrap();
}

/// A write error of the API's.
fn write_error(id: i64) -> Value {
    json!({"id": id, "table_name": "contact", "record_id": id, "message": "bad", "created_at": "2026-11-30T10:00:00Z"})
}

/// How often a list was asked for.
fn asked(place: &Workplace, path: &str) -> usize {
    place.api.stand().asked.iter().filter(|asked| asked.ends_with(path)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_comes_in_pages_and_says_what_of_it_did_not_come() {
    let place = Workplace::new("test").await;
    place.api.stand().write_errors = (1..=5).map(write_error).collect();
    place.api.stand().page = Some(2);
    let numbers = |told: &Value| -> Vec<String> {
        let items = told["items"].as_array().unwrap();
        items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    let told = place.run(&["heroku", "write-errors", "--json"]).json();
    assert_eq!(
        (told["count"].as_i64(), numbers(&told)),
        (Some(5), ["1", "2", "3", "4", "5"].map(str::to_owned).to_vec())
    );
    assert!(told["unread"].is_null(), "{told}");
    assert_eq!(asked(&place, "/errors"), 3);
    let of_one = place.run(&["heroku", "write-errors", "Contact"]);
    assert!(of_one.err.is_empty() && of_one.out.lines().count() == 6, "{of_one:?}");

    // Whatever host a page names as the next one's, the key stays where it is; an entry that comes twice is listed once.
    let page = |next: &str, ids: &[i64]| {
        let results: Vec<Value> = ids.iter().copied().map(write_error).collect();
        Scripted::Answer(200, Vec::new(), json!({"count": 5, "results": results, "next": next}).to_string())
    };
    let first = || [Scripted::Own, Scripted::Own];
    place.api.stand().next =
        first().into_iter().chain([page("https://evil.example.com/?page=2", &[1, 2, 3])]).collect();
    let told = place.run(&["heroku", "write-errors", "--json"]).json();
    assert_eq!(numbers(&told), ["1", "2", "3", "4", "5"].map(str::to_owned));

    // What is not whole says so, and what came is shown.
    for (next, wanted) in [
        (vec![Scripted::Own, Scripted::Answer(500, Vec::new(), "oops".to_owned())], "HTTP 500"),
        (vec![Scripted::Own, page("?page_size=1000&page=2", &[3])], "it names the same page again"),
        (
            vec![page("https://127.0.0.1/api/v3/next", &[1, 2])],
            "it names the next page in a form that is not known",
        ),
    ] {
        place.api.stand().next = first().into_iter().chain(next).collect();
        let part = place.run(&["heroku", "write-errors"]);
        assert!(part.status == 0 && part.out.contains("bad") && part.err.contains(wanted), "{part:?}");
        assert!(part.err.contains("more write errors, which are not here"), "{part:?}");
        assert!(place.api.stand().next.is_empty(), "{wanted}");
    }

    // A page is as long as it may be: many errors are one request.
    place.api.stand().write_errors = (1..=150).map(write_error).collect();
    place.api.stand().page = None;
    let before = asked(&place, "/errors");
    let told = place.run(&["heroku", "write-errors", "--json"]).json();
    assert_eq!((numbers(&told).len(), asked(&place, "/errors") - before), (150, 1));

    // A list without an end is read to a bound.
    place.api.stand().page = Some(1);
    let before = asked(&place, "/errors");
    let long = place.run(&["heroku", "write-errors", "--json"]).json();
    assert_eq!((numbers(&long).len(), asked(&place, "/errors") - before), (100, 100));
    assert_eq!(long["unread"], "after 100 pages no more are read");
    let notification = |id: i64| json!({"id": id, "event_type": "mapping-error", "message": "m", "created_at": "2026-11-30T10:00:00Z"});
    place.api.stand().notifications = (1..=150).map(notification).collect();
    let asked = place.run(&["heroku", "acknowledge"]);
    assert!(
        asked.err.contains("there are 50 more notifications, which are not here: after 100 pages"),
        "{asked:?}"
    );
    assert!(asked.err.contains("100 notifications of herokuconnect-angular-12345 of acme-demo are acknowledged, and those before them"), "{asked:?}");

    // Where none came, nothing is made up of them; whoever says up to when is asked about just that.
    let none = || {
        Scripted::Answer(200, Vec::new(), json!({"count": 7_000, "results": [], "next": null}).to_string())
    };
    place.api.stand().next = first().into_iter().chain([none()]).collect();
    let refused = place.run(&["heroku", "acknowledge", "--yes"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    for part in ["there are 7,000 more notifications", "none of the notifications came: nobody can say which"]
    {
        assert!(refused.err.contains(part), "{part}: {refused:?}");
    }
    assert_eq!(place.api.stand().acknowledged_before, None);
    place.api.stand().next = first().into_iter().chain([none()]).collect();
    let asked = place.run(&["heroku", "acknowledge", "--before", "2026-11-30"]);
    assert!(asked.err.contains("notifications of herokuconnect-angular-12345 of acme-demo that did not come are acknowledged, for everybody"), "{asked:?}");
    std::fs::remove_dir_all(&place.dir).unwrap();
}
