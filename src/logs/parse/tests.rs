//! Real lines by what they say, and hostile ones.

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::origin::LineOrigin;
use super::stream::Stream;
use super::{LineFormat, ParsedEntry, Zone, line};
use crate::logs::{Level, LogRecord};

const APPLINK: &str = include_str!("samples/applink.log");
const HEROKU: &str = include_str!("samples/heroku.log");
const LOGGERS: &str = include_str!("samples/loggers.log");

fn origin() -> LineOrigin {
    LineOrigin::new("file", "app.log", Zone::Utc)
}

fn records(bytes: &[u8]) -> Vec<LogRecord> {
    let mut stream = Stream::new(origin());
    stream.feed(bytes, DateTime::UNIX_EPOCH);
    stream.finish(DateTime::UNIX_EPOCH);
    std::iter::from_fn(|| stream.pop()).collect()
}

/// The one line of a sample that has this in it.
fn sample(sample: &'static str, part: &str) -> (ParsedEntry<'static>, LogRecord) {
    let text = sample.lines().find(|line| line.contains(part)).unwrap();
    (line(text), origin().packed(line(text), DateTime::UNIX_EPOCH).record())
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn a_name_that_comes_again_and_again_is_kept_in_little_time() {
    let text: String = (0..100_000).map(|n| format!("a={n} ")).collect();
    let [record] = records(text.as_bytes()).try_into().unwrap();
    assert_eq!((&record.fields["a"], &record.fields["a_"]), (&json!(0), &json!(1)));
    assert_eq!(record.fields.len(), 9);
    let others = record.fields["a________"].as_str().unwrap();
    assert!(others.trim_start().starts_with("8 9 10 ") && others.ends_with(" 99999"));
}

#[test]
fn each_line_of_a_request_of_applink_names_its_request_its_org_and_its_level() {
    let records = records(APPLINK.as_bytes());
    assert_eq!(records.len(), 14);
    let request = "00Dbc0000000000000-f2f3ed60-2dbd-4edd-b707-9dee97d89c7c";
    for record in &records {
        assert_eq!(record.level, Level::Info, "{record:?}");
        assert_eq!(record.fields["request_id"], request, "{record:?}");
        assert_eq!(record.fields["org_id"], "00Dbc0000000000000", "{record:?}");
        assert!(!record.fields.contains_key("reqId") && !record.fields.contains_key("request-id"));
    }
    let told: Vec<(String, &str, &str, &str)> = records
        .iter()
        .map(|record| {
            let time = record.time.format("%S%.6f").to_string();
            (time, record.source.as_str(), record.dyno.as_str(), record.message.as_str())
        })
        .collect();
    let accounts = "For invoking org (00Dbc0000000000000), found the following Accounts: \
        [{\"id\":\"001Ws00003GGHVCIA5\",\"name\":\"Global Media\"},{\"id\":\"001Ws00003GGHVDIA5\",\"name\":\"Acme\"},\
        {\"id\":\"001Ws00003GGHVEIA5\",\"name\":\"salesforce.com\"}]";
    let authenticating = "Authenticating Salesforce request for org 00Dbc0000000000000, domain \
        https://mydomain.demo.my.salesforce.com...";
    let expected = [
        ("15.215250", "app", "web.1", "Processing request to /accounts..."),
        ("15.215254", "app", "web.1", "Validating request..."),
        ("15.215330", "app", "web.1", "Valid request!"),
        ("15.215331", "app", "web.1", "Found Salesforce request"),
        ("15.215332", "app", "web.1", authenticating),
        ("15.394673", "app", "web.1", "Authenticated request!"),
        ("15.394674", "app", "web.1", "Forwarding request..."),
        ("15.395727", "app", "web.1", "incoming request"),
        ("15.398888", "app", "web.1", "GET /accounts: {}"),
        ("15.398893", "app", "web.1", "Querying invoking org (00Dbc0000000000000) Accounts..."),
        ("15.481929", "app", "web.1", accounts),
        ("15.482306", "app", "web.1", "GET http://integration-app-c4effe617e07.herokuapp.com/accounts"),
        ("15.482442", "app", "web.1", "request completed"),
        ("15.482623", "heroku", "router", "GET /accounts"),
    ];
    assert_eq!(told, expected.map(|(time, source, dyno, message)| (time.to_owned(), source, dyno, message)));
    assert_eq!(records[0].time, utc("2024-10-28T16:02:15.215250Z"));
}

#[test]
fn the_fields_of_a_request_are_named_alike_and_its_numbers_are_numbers() {
    let records = records(APPLINK.as_bytes());
    let (request, org) = ("00Dbc0000000000000-f2f3ed60-2dbd-4edd-b707-9dee97d89c7c", "00Dbc0000000000000");
    let host = "integration-app-c4effe617e07.herokuapp.com";
    for (at, fields) in [
        (
            0,
            json!({"app": "local", "source": "heroku-applink-service-mesh", "request_id": request, "org_id": org}),
        ),
        (
            7,
            json!({"pid": 37, "hostname": "dyno-f34267e3-3d00-453d-a3b4-a16ab26a773b", "request_id": request,
                "org_id": org, "method": "GET", "path": "/accounts", "req.hostname": "127.0.0.1:3000",
                "req.remoteAddress": "127.0.0.1", "req.remotePort": 35162}),
        ),
        (
            11,
            json!({"method": "GET", "host": host, "path": "/accounts", "protocol": "HTTP/1.1",
                "client": "18.214.12.209", "status": 200, "bytes": 267, "request_id": request, "org_id": org}),
        ),
        (
            12,
            json!({"pid": 37, "hostname": "dyno-f34267e3-3d00-453d-a3b4-a16ab26a773b", "request_id": request,
                "org_id": org, "status": 200}),
        ),
        (
            13,
            json!({"method": "GET", "path": "/accounts", "host": host, "request_id": request, "org_id": org,
                "fwd": "18.214.12.209", "dyno": "web.1", "connect": 0, "service": 267, "status": 200, "bytes": 267,
                "protocol": "http", "tls_version": "tls1.3"}),
        ),
    ] {
        let mut found = records[at].fields.clone();
        if at == 11 || at == 12 {
            let service = found.remove("service").unwrap();
            assert_eq!(service.to_string(), if at == 11 { "267.062237" } else { "86.56547299958766" });
        }
        assert_eq!(Json::Object(found), fields, "{at}");
    }
}

#[test]
fn what_heroku_and_its_addons_say_is_read() {
    for (part, format, level, dyno, message, field) in [
        ("H12", LineFormat::Router, Level::Error, "router", "Request timeout", ("service", json!(30001))),
        ("H10", LineFormat::Router, Level::Error, "router", "App crashed", ("code", json!("H10"))),
        (
            "R14",
            LineFormat::Dyno,
            Level::Error,
            "web.1",
            "Error R14 (Memory quota exceeded)",
            ("code", json!("R14")),
        ),
        (
            "R15",
            LineFormat::Dyno,
            Level::Error,
            "worker.1",
            "Error R15 (Memory quota vastly exceeded)",
            ("code", json!("R15")),
        ),
        (
            "R10",
            LineFormat::Dyno,
            Level::Error,
            "web.1",
            "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 60 seconds of launch",
            ("code", json!("R10")),
        ),
        (
            "L10",
            LineFormat::Logplex,
            Level::Error,
            "logplex",
            "Error L10 (output buffer overflow): 500 messages dropped since 2024-10-28T16:02:15+00:00.",
            ("dropped", json!(500)),
        ),
        (
            "L11",
            LineFormat::Logplex,
            Level::Error,
            "logplex",
            "Error L11 (Tail buffer overflow) -> 1 message dropped.",
            ("dropped", json!(1)),
        ),
        (
            "53300",
            LineFormat::Postgres,
            Level::Error,
            "postgres.30543",
            "too many connections for role \"u123\"",
            ("code", json!("53300")),
        ),
        (
            "kontakt\"",
            LineFormat::Postgres,
            Level::Error,
            "postgres.30543",
            "relation \"salesforce.kontakt\" does not exist at character 15",
            ("application_name", json!("psql")),
        ),
        (
            "STATEMENT",
            LineFormat::Postgres,
            Level::Info,
            "postgres.30543",
            "SELECT * FROM salesforce.kontakt;",
            ("severity", json!("STATEMENT")),
        ),
        (
            "sample#",
            LineFormat::Logfmt,
            Level::Info,
            "heroku-postgres",
            "",
            ("sample#load-avg-1m", json!(0.32)),
        ),
        (
            "RELOAD",
            LineFormat::Connect,
            Level::Info,
            "herokuconnect",
            "RELOAD TABLE contact",
            ("state", json!("RELOAD_TABLE")),
        ),
        (
            "INSERT",
            LineFormat::Connect,
            Level::Debug,
            "herokuconnect",
            "Contact INSERT →DATABASE 500 rows (0.02 secs)",
            ("object_type", json!("sync")),
        ),
    ] {
        let (entry, record) = sample(HEROKU, part);
        assert_eq!(
            (entry.format, record.level, record.dyno.as_str(), record.message.as_str()),
            (format, level, dyno, message)
        );
        let (key, value) = field;
        assert_eq!(record.fields[key].to_string(), value.to_string(), "{record:?}");
    }
    let (_, connect) = sample(HEROKU, "RELOAD");
    assert_eq!(connect.time, utc("2018-11-08T20:05:56Z"));
    for (part, message) in [
        ("Deploy", "Deploy 3a4f5c6 by user jane@acme.com"),
        ("crashed", "State changed from starting to crashed"),
        ("Process", "Process running mem=1028M(103.3%)"),
    ] {
        let text = HEROKU.lines().find(|line| line.contains(part) && line.ends_with(message)).unwrap();
        assert_eq!((line(text).format, &*line(text).message), (LineFormat::Plain, message));
    }
}

#[test]
fn what_common_loggers_write_is_read() {
    for (part, format, level, time, message, (key, value)) in [
        (
            "banana",
            LineFormat::Json,
            Level::Error,
            "2013-01-04T18:46:23.851Z",
            "db down",
            ("err.name", json!("Error")),
        ),
        (
            "batch.go",
            LineFormat::Json,
            Level::Warn,
            "2024-10-28T16:02:15.395Z",
            "slow batch",
            ("took", json!(1.5)),
        ),
        (
            "\"walrus",
            LineFormat::Json,
            Level::Error,
            "2014-03-10T23:57:38.562264131Z",
            "The ice breaks!",
            ("omg", json!(true)),
        ),
        (
            "logged in",
            LineFormat::Json,
            Level::Info,
            "2024-10-28T16:02:15.123456Z",
            "user logged in",
            ("tags", json!(["a", "b"])),
        ),
        (
            "ecs.version",
            LineFormat::Json,
            Level::Error,
            "2024-10-28T16:02:15.123Z",
            "Cannot reach org",
            ("request_id", json!("r-2")),
        ),
        (
            "=walrus",
            LineFormat::Logfmt,
            Level::Debug,
            "2015-03-26T05:27:38Z",
            "Started observing \"beach\"",
            ("number", json!(8)),
        ),
        (
            "Controller",
            LineFormat::Logfmt,
            Level::Info,
            "1970-01-01T00:00:00Z",
            "",
            ("duration", json!(58.33)),
        ),
        (
            "curl",
            LineFormat::Access,
            Level::Warn,
            "2024-10-28T16:02:15Z",
            "GET /accounts?q=1",
            ("agent", json!("curl/8.5.0")),
        ),
        (
            "duplicate",
            LineFormat::Postgres,
            Level::Error,
            "2024-10-28T16:02:15.123Z",
            "duplicate key value violates unique constraint \"hc_contact\"",
            ("pid", json!(7)),
        ),
    ] {
        let (entry, record) = sample(LOGGERS, part);
        assert_eq!(
            (entry.format, record.level, record.time, record.message.as_str()),
            (format, level, utc(time), message),
            "{part}"
        );
        assert_eq!(record.fields[key].to_string(), value.to_string(), "{record:?}");
        assert_eq!((record.source.as_str(), record.dyno.as_str()), ("file", "app.log"));
    }
    for (part, format, level, message) in [
        (
            "upstream",
            LineFormat::Timed,
            Some(Level::Error),
            "[error] 1234#0: *7 connect() failed (111: Connection refused) while connecting to upstream",
        ),
        ("rejected", LineFormat::Timed, Some(Level::Warn), "- sync.batch - WARNING - 3 of 200 rejected"),
        ("ordinary", LineFormat::Plain, None, "an ordinary line, in which no error is meant"),
    ] {
        let (entry, _) = sample(LOGGERS, part);
        assert_eq!((entry.format, entry.level, &*entry.message), (format, level, message), "{part}");
    }
}

#[test]
fn a_line_that_was_taken_in_late_says_when_it_was_written() {
    let text = "2024-10-28T16:02:15+00:00 app[web.1]: time=2024-10-28T16:01:00Z level=INFO msg=late";
    let record = origin().packed(line(text), DateTime::UNIX_EPOCH).record();
    assert_eq!(
        (record.time, &record.fields["time"]),
        (utc("2024-10-28T16:02:15Z"), &json!("2024-10-28T16:01:00Z"))
    );
}

#[test]
fn two_fields_of_one_name_are_both_kept() {
    let text = r#"{"msg":"x","reqId":"a","request_id":"b","level":"loud","n":12345678901234567890.10}"#;
    let record = origin().packed(line(text), DateTime::UNIX_EPOCH).record();
    assert_eq!((&record.fields["request_id"], &record.fields["request_id_"]), (&json!("a"), &json!("b")));
    assert_eq!(
        (record.fields["level"].clone(), record.fields["n"].to_string()),
        (json!("loud"), "12345678901234567890.10".to_owned())
    );
}

#[test]
fn text_that_looks_like_a_format_and_is_none_is_text() {
    for text in [
        "{\"msg\":\"half",
        "{\"msg\":\"x\"} and more",
        "{}",
        "{\"a\":01}",
        "{\"a\":[1,}",
        "a=1",
        "we set a=1 and b=2",
        "a=\"1 b=2",
        "at=info",
        "event=\"x\" level",
        "Error H12 (of nobody)",
        "Error R1",
        "[12-1] sql_error_code = 53300",
        "[x] [y] \"GET / HTTP/1.1\" 200",
        "1.2.3.4 - - [28/Oct/2024:18:02:15 +0200] \"GET / HTTP/1.1\" ok 1",
        "",
        "   ",
    ] {
        let entry = line(text);
        assert_eq!((entry.format, &*entry.message, entry.fields.len()), (LineFormat::Plain, text, 0));
    }
}

const TRACES: [&str; 7] = [
    "TypeError: Cannot read properties of undefined (reading 'Id')\n    at sync (/app/index.js:10:5)\n    at async Promise.all (index 0) {\n  code: 'E_SYNC'\n}",
    "java.lang.IllegalStateException: ERROR: no org\n\tat com.acme.Sync.run(Sync.java:42)\n\t... 12 common frames omitted\nCaused by: java.io.IOException: ERROR: closed\n\tat com.acme.Http.get(Http.java:7)\n\t... 3 more",
    "Traceback (most recent call last):\n  File \"/app/sync.py\", line 3, in run\n    raise ValueError(\"no org\")\nValueError: no org\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"/app/sync.py\", line 5, in run\n    raise app.errors.NotFound\napp.errors.NotFound",
    "app.rb:3:in 'run': no org (RuntimeError)\n\tfrom app.rb:7:in 'sync'\n\tfrom app.rb:9:in '<main>'",
    "panic: runtime error: index out of range [3] with length 3\n\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:10 +0x1d\ncreated by main.start in goroutine 1\n\t/app/main.go:5 +0x25",
    "thread 'main' panicked at src/main.rs:2:5:\nno org\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
    "System.InvalidOperationException: no org\n   at Acme.Sync.Run() in /app/Sync.cs:line 12\n   at Acme.Program.Main()",
];

#[test]
fn the_lines_of_a_trace_are_one_record_and_its_neighbours_are_others() {
    for trace in TRACES {
        for after in [
            "Listening on port 3000",
            "{\"msg\":\"next\",\"level\":30}",
            "2024-10-28 16:02:15 next",
            "a=1 b=2",
        ] {
            let text = format!("before it\n{trace}\n{after}\n{trace}\n");
            let records = records(text.as_bytes());
            let messages: Vec<&str> = records.iter().map(|record| record.message.as_str()).collect();
            assert_eq!(
                (messages.len(), messages[0], messages[1], messages[3]),
                (4, "before it", trace, trace)
            );
            assert_eq!(records[1].level, Level::Error);
            assert_eq!(records[0].level, Level::Info);
        }
    }
}

#[test]
fn traces_of_several_dynos_come_apart() {
    let lines: Vec<Vec<String>> = (1..=3)
        .map(|dyno| {
            let head = format!("2024-10-28T16:02:15.215250+00:00 app[web.{dyno}]: ");
            TRACES[1].lines().map(|line| format!("{head}{line}\n")).collect()
        })
        .collect();
    let text: String =
        (0..lines[0].len()).flat_map(|at| lines.iter().map(move |dyno| dyno[at].clone())).collect();
    let records = records(text.as_bytes());
    let told: Vec<(&str, &str)> =
        records.iter().map(|record| (record.dyno.as_str(), record.message.as_str())).collect();
    assert_eq!(told, [("web.1", TRACES[1]), ("web.2", TRACES[1]), ("web.3", TRACES[1])]);
}

#[test]
fn a_trace_without_end_goes_on_in_further_records() {
    let frames = "    at sync (/app/index.js:10:5)\n".repeat(1_200);
    let records = records(format!("RangeError: stack\n{frames}next\n").as_bytes());
    let lines: Vec<usize> = records.iter().map(|record| record.message.lines().count()).collect();
    assert_eq!(lines, [500, 500, 201, 1]);
    assert!(records[..3].iter().all(|record| record.level == Level::Error));
}

#[test]
fn what_only_looks_like_a_part_of_a_trace_stays_apart() {
    for text in [
        "Starting\n    at 5 pm\n",
        "Starting\n  indented\n",
        "Starting\nCaused by: nobody\n",
        "Traceback (most recent call last):\nINFO started\n",
        "Traceback (most recent call last):\nERROR: started\n",
        "ValueError: x\n  no frame\n",
        "at=info method=GET path=\"/\" dyno=web.1 fwd=1\n    at sync (/app/index.js:10:5)\n",
    ] {
        assert_eq!(records(text.as_bytes()).len(), 2, "{text}");
    }
}

/// All that a record says, in one text.
fn said(record: &LogRecord) -> String {
    let fields: Vec<String> = record.fields.iter().map(|(key, value)| format!("{key} {value}")).collect();
    format!("{} {}", record.message, fields.join(" "))
}

/// Pieces of which hostile lines are made.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let samples: Vec<Vec<u8>> = [APPLINK, HEROKU, LOGGERS]
        .iter()
        .flat_map(|text| text.lines())
        .chain(TRACES.iter().flat_map(|trace| trace.lines()))
        .map(|line| line.as_bytes().to_vec())
        .collect();
    let whole = prop::sample::select(samples.clone());
    let half = (prop::sample::select(samples), any::<prop::sample::Index>())
        .prop_map(|(line, at)| line[..at.index(line.len() + 1)].to_vec());
    let noise =
        prop::collection::vec(any::<u8>().prop_filter("one line", |byte| !b"\n\r".contains(byte)), 0..60);
    let marks = prop::sample::select(vec![
        b"\x1b[31mred\x1b[0m".to_vec(),
        b"\x1b]52;c;aGk=\x07".to_vec(),
        b"\0\0\0".to_vec(),
        b"\xff\xfe\xc3".to_vec(),
        "{\"a\":".repeat(40).into_bytes(),
        b"\"\\ud800\"".to_vec(),
        b"[\"".to_vec(),
        "\u{202e}\u{1f}".as_bytes().to_vec(),
        b"=".to_vec(),
    ]);
    prop::collection::vec(prop_oneof![whole, half, noise, marks], 1..4).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn hostile_lines_neither_panic_nor_eat_their_neighbours(lines in prop::collection::vec(hostile(), 1..6), cut in any::<prop::sample::Index>()) {
        let mut bytes = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            bytes.extend(format!("time=2024-10-28T16:02:15Z level=INFO msg=neighbour{at}. request-id=r{at}\n").into_bytes());
            bytes.extend(line);
            bytes.push(b'\n');
        }
        bytes.extend(b"time=2024-10-28T16:02:15Z level=INFO msg=last request-id=r");
        let mut stream = Stream::new(origin());
        let (first, second) = bytes.split_at(cut.index(bytes.len()));
        stream.feed(first, DateTime::UNIX_EPOCH);
        stream.feed(second, DateTime::UNIX_EPOCH);
        stream.finish(DateTime::UNIX_EPOCH);
        let records: Vec<LogRecord> = std::iter::from_fn(|| stream.pop()).collect();
        for at in 0..lines.len() {
            let is_it = |record: &&LogRecord| record.message.lines().next() == Some(&format!("neighbour{at}."));
            let found: Vec<&LogRecord> = records.iter().filter(is_it).collect();
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(&found[0].fields["request_id"], &json!(format!("r{at}")));
        }
        prop_assert!(records.iter().any(|record| record.message == "last"));
    }

    #[test]
    fn text_comes_out_as_it_went_in_and_in_lines(lines in prop::collection::vec("[a-z\\PC ]{0,40}", 1..20)) {
        let text: String = lines.iter().map(|line| format!(". {line}\n")).collect();
        let records = records(text.as_bytes());
        let messages: Vec<&str> = records.iter().map(|record| record.message.as_str()).collect();
        prop_assert_eq!(messages, lines.iter().map(|line| format!(". {line}")).collect::<Vec<_>>());
    }

    #[test]
    fn every_member_of_an_object_comes_out(members in prop::collection::btree_map("[a-k_]{1,8}", any::<String>(), 1..8), number in any::<i64>(), deep in any::<f64>()) {
        let mut object: serde_json::Map<String, Json> = members.clone().into_iter().map(|(key, value)| (format!("k{key}"), value.into())).collect();
        object.insert("number".to_owned(), number.into());
        object.insert("inner".to_owned(), json!({"a": {"b": [deep, {"c": null}]}, "d": true}));
        let text = serde_json::to_string(&object).unwrap();
        let record = origin().packed(line(&text), DateTime::UNIX_EPOCH).record();
        for (key, value) in &members {
            prop_assert_eq!(&record.fields[&format!("k{key}")], &json!(value));
        }
        prop_assert_eq!(record.fields["number"].to_string(), number.to_string());
        prop_assert_eq!(&record.fields["inner.a.b"], &object["inner"]["a"]["b"]);
        prop_assert_eq!(&record.fields["inner.d"], &json!(true));
    }

    #[test]
    fn every_pair_comes_out(pairs in prop::collection::btree_map("k[a-z_.]{1,8}", "\\PC{0,20}", 2..8)) {
        let quoted = |value: &str| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
        let text: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={}", quoted(value))).collect();
        let record = origin().packed(line(&text.join(" ")), DateTime::UNIX_EPOCH).record();
        for (key, value) in &pairs {
            prop_assert_eq!(&record.fields[key], &json!(value));
        }
    }

    #[test]
    fn no_line_is_too_much(text in ".{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let entry = line(&text);
        if entry.format == LineFormat::Plain {
            prop_assert!(text.ends_with(&*entry.message));
        }
        for record in records(&bytes) {
            prop_assert!(said(&record).len() >= record.message.len());
        }
    }
}

#[test]
fn a_line_of_many_megabytes_comes_in_pieces_of_which_none_is_lost() {
    for unit in ["x", "ü", "株", "{\"a\":["] {
        let long = unit.repeat((3 << 20) / unit.len() + 7);
        let mut stream = Stream::new(origin());
        let text = format!("before\n{long}\nafter\n");
        text.as_bytes().chunks(65_537).for_each(|piece| stream.feed(piece, DateTime::UNIX_EPOCH));
        stream.finish(DateTime::UNIX_EPOCH);
        let messages: Vec<String> =
            std::iter::from_fn(|| stream.pop()).map(|record| record.message).collect();
        assert_eq!((messages[0].as_str(), messages.last().unwrap().as_str()), ("before", "after"));
        assert!(messages[1..messages.len() - 1].concat() == long, "{unit}");
    }
    let array = format!("{{\"a\":[{}]}}", "1,".repeat(1 << 19));
    assert_eq!(records(array.as_bytes()).len(), 2);
}
