//! What a text is about that a person has in hand: a code, a message, a line of whichever log, an answer of Salesforce's, a
//! name out of a guide. The same answer wherever it is asked: on the command line, in the console, at the record.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::domain::errors::catalogue::{CatalogueEntry, of_code, of_name, of_name_in, of_words};

/// What was found in a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Explained {
    /// Errors that the catalogue knows, each once, in the order in which they stand there.
    Known(Vec<KnownError>),
    /// Nothing that went wrong.
    NoError,
    /// Nothing that the catalogue knows; with the code of an error that it does not know.
    Unknown(Option<String>),
}

/// One known error.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownError {
    /// The code that was there, or the one that belongs to what was said.
    pub code: String,
    /// What it means.
    pub entry: &'static CatalogueEntry,
}

/// As much of a text as is looked at: an answer of 200 results is 100 kB.
const MOST: usize = 1_000_000;

/// How deep answers are looked into.
const DEPTH: usize = 12;

/// Says what a text is about.
pub fn explain(text: &str) -> Explained {
    let end = (0..=text.len().min(MOST)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let text = unquoted(text[..end].trim());
    let mut found = Findings::default();
    match serde_json::from_str::<Value>(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => found.look_into(&value, DEPTH),
        _ => text.lines().filter(|line| !line.trim().is_empty()).for_each(|line| found.look_at(line.trim())),
    }
    match found {
        Findings { known, .. } if !known.is_empty() => Explained::Known(known),
        Findings { is_odd: false, is_calm: true, .. } => Explained::NoError,
        Findings { code, .. } => Explained::Unknown(code),
    }
}

fn unquoted(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    ['"', '\'', '`'].into_iter().find_map(inner).filter(|inner| !inner.contains('"')).unwrap_or(text)
}

/// What has been found so far.
#[derive(Default)]
struct Findings {
    known: Vec<KnownError>,
    /// The first code that the catalogue does not know.
    code: Option<String>,
    /// Something went well.
    is_calm: bool,
    /// There is something that nobody here can say anything about.
    is_odd: bool,
}

impl Findings {
    fn add(&mut self, code: &str, entry: &'static CatalogueEntry) {
        let code = if code.is_empty() { &entry.code } else { code };
        if !self.known.iter().any(|known| known.code == code && known.entry == entry) {
            self.known.push(KnownError { code: code.to_owned(), entry });
        }
    }

    fn unknown(&mut self, code: &str) {
        self.is_odd = true;
        self.code.get_or_insert_with(|| code.to_owned());
    }

    /// A code with the message that it came with.
    fn tell(&mut self, code: &str, message: &str) {
        match of_code(code, message) {
            Some(entry) => self.add(code, entry),
            // What is inside another one's code may be known.
            None => match of_words(message, false) {
                Some(entry) => self.add("", entry),
                None => self.unknown(code),
            },
        }
    }

    /// Looks at one line of text.
    fn look_at(&mut self, line: &str) {
        if let Some(value) = json_in(line) {
            let before = self.known.len();
            let mut inner = Findings::default();
            inner.look_into(&value, DEPTH);
            inner.known.iter().for_each(|known| self.add(&known.code, known.entry));
            if self.known.len() > before {
                return;
            }
            if let Some(code) = inner.code {
                return self.unknown(&code);
            }
            if inner.is_calm && !inner.is_odd {
                self.is_calm = true;
                return;
            }
        }
        if let Some((code, message)) = code_in(line) {
            return self.tell(&code, message);
        }
        let status = status_in(line);
        if let Some(status) = status.filter(|status| *status >= 400) {
            return self.tell(&format!("HTTP_{status}"), line);
        }
        if let Some(entry) = of_name(line).or_else(|| of_words(line, false)) {
            return self.add("", entry);
        }
        if status.is_some() || is_calm(line) {
            self.is_calm = true;
            return;
        }
        let weak = || of_words(line, true).filter(|_| line.chars().count() <= SENTENCE);
        match of_name_in(line).filter(|_| is_alarm(line)).or_else(weak) {
            Some(entry) => self.add("", entry),
            None => match unknown_code(line) {
                Some(code) => self.unknown(code),
                None => self.is_odd = true,
            },
        }
    }

    /// Looks into an answer, or a line that is written as JSON.
    fn look_into(&mut self, value: &Value, depth: usize) {
        match value {
            _ if depth == 0 => {}
            Value::Array(items) if items.is_empty() => self.is_calm = true,
            Value::Array(items) => items.iter().for_each(|item| self.look_into(item, depth - 1)),
            Value::Object(members) => {
                let text = |names: &[&str]| names.iter().find_map(|name| members.get(*name)?.as_str());
                let code = text(&["errorCode", "statusCode", "exceptionCode", "code"]);
                let code = code.or_else(|| members.get("error_description").and(text(&["error"])));
                let message =
                    text(&["message", "msg", "error_description", "sf_message", "exceptionMessage"]);
                let level = members.get("level").and_then(Value::as_i64);
                let number = ["statusCode", "status", "httpStatusCode"];
                let status = number.iter().find_map(|name| members.get(*name)?.as_u64());
                let before = self.known.len();
                match (code, message) {
                    (Some(code), message) if is_code(code) => self.tell(code, message.unwrap_or_default()),
                    (_, Some(message)) if level.is_none_or(|level| level >= 40) => self.look_at(message),
                    _ if members.get("success").and_then(Value::as_bool) == Some(true) => self.is_calm = true,
                    _ => {}
                }
                for name in INSIDE {
                    if let Some(inner) =
                        members.get(name).filter(|inner| inner.is_object() || inner.is_array())
                    {
                        self.look_into(inner, depth - 1);
                    }
                }
                let found = self.known.len() > before;
                match status.and_then(|status| u16::try_from(status).ok()) {
                    Some(status) if status >= 400 && !found => self.tell(&format!("HTTP_{status}"), ""),
                    Some(_) => self.is_calm = true,
                    None if level.is_some_and(|level| level < 40) => self.is_calm = true,
                    None => {}
                }
            }
            _ => {}
        }
    }
}

/// Members of answers and of log lines that may hold an error.
const INSIDE: [&str; 12] = [
    "error",
    "errors",
    "err",
    "res",
    "response",
    "body",
    "results",
    "result",
    "compositeResponse",
    "graphResponse",
    "graphs",
    "exception",
];

/// An administrator's sentence is not longer.
const SENTENCE: usize = 200;

/// A pattern that is written here; were it wrong, nothing would be found by it.
fn pattern(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

/// The JSON that ends a line, or stands in it.
fn json_in(line: &str) -> Option<Value> {
    let starts = line.match_indices(['{', '[']).map(|(at, _)| at);
    starts.take(8).find_map(|at| {
        let mut values = serde_json::Deserializer::from_str(&line[at..]).into_iter::<Value>();
        let value = values.next()?.ok()?;
        let is_answer = match &value {
            Value::Object(members) => !members.is_empty(),
            Value::Array(items) => items.iter().any(Value::is_object),
            _ => false,
        };
        is_answer.then_some(value)
    })
}

/// Whether a text may be a code and nothing else.
fn is_code(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The first code in a line that the catalogue knows, and what is said behind it.
fn code_in(line: &str) -> Option<(String, &str)> {
    static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"[A-Za-z0-9]+(?:_[A-Za-z0-9]+)*"));
    // A five-digit number is a SQLSTATE, and a letter with two digits Heroku's, only where they are called so.
    static CALLED: LazyLock<Option<Regex>> =
        LazyLock::new(|| pattern(r"(?i)(?:sqlstate|errcode|code|error|fatal|errno)\W{0,3}$"));
    let whole = line.trim_end_matches(['.', ':']);
    for word in WORD.as_ref()?.find_iter(line) {
        let upper = word.as_str().to_uppercase();
        let (before, after) = (&line[..word.start()], &line[word.end()..]);
        let called = || CALLED.as_ref().is_some_and(|called| called.is_match(before));
        let may_be = word.as_str() == whole
            || upper.contains('_')
            || (upper == word.as_str()
                && upper.len() > 5
                && !upper.starts_with(|c: char| c.is_ascii_digit()))
            || (upper == word.as_str() && called());
        if !may_be {
            continue;
        }
        let message = after.trim_start_matches([':', ',', ' ', '"', '\'', ')', ']', '-']);
        let message = if message.is_empty() { line } else { message };
        if let Some(entry) = of_code(&upper, message) {
            // What tells the meanings of a code apart may stand before it.
            let specific = of_code(&upper, line).filter(|other| other.is_specific() && !entry.is_specific());
            return Some((upper, if specific.is_some() { line } else { message }));
        }
        if called() && is_herokus(&upper) {
            return Some(("HEROKU".to_owned(), message));
        }
    }
    None
}

/// `H11`, `R16`, `L14`.
fn is_herokus(code: &str) -> bool {
    code.len() == 3 && code.starts_with(['H', 'R', 'L']) && code[1..].chars().all(|c| c.is_ascii_digit())
}

/// A code as Salesforce writes them, at the beginning of a line, or all of it.
fn unknown_code(line: &str) -> Option<&str> {
    static CODE: LazyLock<Option<Regex>> =
        LazyLock::new(|| pattern(r"(?:^|[\s=:,(\[])([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:$|[\s:,)\]])"));
    Some(CODE.as_ref()?.captures(line)?.get(1)?.as_str())
}

/// The status of HTTP that a line tells.
fn status_in(line: &str) -> Option<u16> {
    static STATUS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
        let forms = [
            // `503`, `503 Service Unavailable`, `HTTP 503`, `HTTP_503`, `HTTP/1.1 503 Service Unavailable`.
            r"^(?i:HTTP(?:/\d(?:\.\d)?)?[ _:]*)?([1-5]\d\d)(?:$|[ :.][A-Za-z ]*$)",
            r"(?i)\bHTTP(?:/\d(?:\.\d)?)?[ _](?:status )?([1-5]\d\d)\b",
            // A line of a router, and of a server: `"GET /accounts HTTP/1.1" from 10.0.0.1 - 200 267B`.
            r#"(?i)\bstatus(?:_?code)?["']?\s*[=:]\s*["']?([1-5]\d\d)\b"#,
            r#"HTTP/\d(?:\.\d)?"(?:[^\n]*?\s)??([1-5]\d\d)(?:\s|$)"#,
        ];
        forms.into_iter().filter_map(pattern).collect()
    });
    let reason =
        || REASONS.iter().find(|(_, reason)| line.eq_ignore_ascii_case(reason)).map(|(status, _)| *status);
    let status = STATUS.iter().find_map(|form| form.captures(line)?.get(1)?.as_str().parse().ok());
    status.or_else(reason)
}

/// What servers write beside their status.
const REASONS: [(u16, &str); 9] = [
    (401, "Unauthorized"),
    (403, "Forbidden"),
    (408, "Request Timeout"),
    (413, "Payload Too Large"),
    (414, "URI Too Long"),
    (500, "Internal Server Error"),
    (502, "Bad Gateway"),
    (503, "Service Unavailable"),
    (504, "Gateway Timeout"),
];

/// Whether a line says of itself that nothing went wrong.
fn is_calm(line: &str) -> bool {
    static CALM: LazyLock<Option<Regex>> = LazyLock::new(|| {
        pattern(
            r#"(?i:\b(?:level|lvl|severity|at)["']?\s*[=:]\s*["']?(?:info|debug|trace|notice)\b)|\bsample#|\b(?:LOG|NOTICE|INFO|DEBUG[1-5]?): |\b(?:heroku|app)\[[a-z]+(?:\.\d+)?\]: (?:State changed from |Start|Stopping |Process exited with status (?:0|143)$|Release v|Scaled to |Deploy|Build |Set |Cycling|Restarting|Idling|Unidling)|^(?:\S+\s+){0,5}?\[?(?:INFO|DEBUG|TRACE|NOTICE|LOG)\b|^(?i:request completed|incoming request)$"#,
        )
    });
    CALM.as_ref().is_some_and(|calm| calm.is_match(line))
}

/// Whether a line says of itself that something went wrong.
fn is_alarm(line: &str) -> bool {
    static ALARM: LazyLock<Option<Regex>> = LazyLock::new(|| {
        pattern(r"(?i)\b(?:error|errors|warn|warning|fatal|failed|failure|critical|alert|exception)\b")
    });
    ALARM.as_ref().is_some_and(|alarm| alarm.is_match(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The titles of what is found; what is no error, and what is unknown, in words.
    fn told(text: &str) -> String {
        match explain(text) {
            Explained::Known(known) => {
                known.iter().map(|known| known.entry.title.as_str()).collect::<Vec<_>>().join(" + ")
            }
            Explained::NoError => "no error".to_owned(),
            Explained::Unknown(code) => format!("unknown {}", code.unwrap_or_default()).trim().to_owned(),
        }
    }

    const REAL: &str = include_str!("../../../tests/support/messages.txt");
    const LINES: &str = include_str!("../../../tests/support/lines.txt");
    const APPLINK: &str = include_str!("../../logs/parse/samples/applink.log");

    #[test]
    fn every_line_of_a_platform_says_what_went_wrong_or_that_nothing_did() {
        let mut seen = 0;
        for line in LINES.lines().filter(|line| !line.starts_with('#')) {
            let (title, line) = line.split_once(" | ").unwrap();
            assert_eq!(told(line), title, "{line}");
            seen += 1;
        }
        assert!(seen > 70, "{seen} lines");
        for line in APPLINK.lines() {
            assert_eq!(told(line), "no error", "{line}");
        }
    }

    #[test]
    fn every_message_is_known_by_itself_with_its_code_and_as_it_is_kept_in_a_row() {
        for line in REAL.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, code, message, category, _, title] = cells[..] else { panic!("{line}") };
            if code == "SOMETHING_NEW" {
                assert_eq!(told(&format!("{code}: {message}")), "unknown SOMETHING_NEW");
                assert_eq!(told(message), "unknown");
                continue;
            }
            let mut forms = vec![message.to_owned()];
            if !code.is_empty() {
                forms.extend([
                    format!("{code}: {message}"),
                    format!("System.DmlException: Insert failed. First exception on row 0; first error: {code}, {message}: []"),
                    serde_json::json!({"op": "INSERT", "src": "SFDC", "msg": format!("{code}: {message}")}).to_string(),
                    serde_json::json!({"op": "INSERT", "src": "salesforce", "code": code, "msg": message}).to_string(),
                    serde_json::json!([{"errorCode": code, "message": message}]).to_string(),
                    serde_json::json!({"id": null, "success": false,
                        "errors": [{"statusCode": code, "message": message, "fields": []}]})
                    .to_string(),
                    format!("2026-11-20T14:02:10Z WARN  writer  rejected code={code} message={message:?}"),
                ]);
                // Of a code that has several meanings, the message tells which.
                if of_code(code, "").is_some_and(|entry| entry.title == title) {
                    forms.extend([code.to_owned(), code.to_lowercase()]);
                }
            }
            for form in forms.iter().filter(|form| !form.is_empty()) {
                match explain(form) {
                    Explained::Known(known) => {
                        let found = (known[0].entry.title.as_str(), known[0].entry.category.word());
                        assert_eq!(found, (title, category), "{form}");
                    }
                    other => panic!("{form}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn every_code_is_known_in_any_case() {
        for entry in crate::domain::errors::catalogue::all() {
            let Explained::Known(known) = explain(&entry.code.to_lowercase()) else {
                panic!("{}", entry.code)
            };
            assert_eq!(known[0].entry.code, entry.code);
        }
    }

    #[test]
    fn what_guides_call_errors_is_found_and_means_what_it_means_there() {
        for (name, category, part) in [
            ("Authentication Failed", "connection", "init --reconnect"),
            ("Connection Timeout", "connection", "status.salesforce.com"),
            ("Rate Limit Exceeded", "connection", "Poll less often"),
            ("Permission Denied", "connection", "scopes"),
            ("Required Field Missing", "data", "default"),
            ("Invalid Format", "data", "transform"),
            ("Duplicate Record", "data", "Match by an external id"),
            ("Value Too Long", "data", "Cut"),
            ("Invalid Email", "data", "cannot be taken out"),
            ("Field Not Found", "mapping", "Take the field out of the mapping"),
            ("Transform Failed", "mapping", "transforms"),
            ("Object Type Changed", "mapping", "definition"),
            ("Invalid phone number format", "data", "international form"),
            ("Email is required", "data", "Keep rows without"),
            ("Rate limit exceeded", "connection", "Poll less often"),
            ("Record not found", "data", "Create records that are missing"),
            ("Duplicate key violation", "data", "Update instead of inserting"),
            ("Validation Rule Failures", "data", "administrator"),
            ("Apex Trigger Exceptions", "data", "trigger"),
            ("Data Type Mismatches", "data", "type"),
            ("Missing Required Fields", "data", "Fill the field"),
            ("Permission Issues", "mapping", "rights"),
            ("Salesforce API Limits", "connection", "limit"),
            ("Query Timeouts", "connection", "tried again"),
            ("Duplicate Records", "consistency", "verify"),
            ("Record Mismatches", "consistency", "verify"),
            ("Relationship Sync Issues", "consistency", "parents"),
            ("CPU Timeout", "data", "10 records"),
        ] {
            for text in [name.to_owned(), format!("\"{name}\""), format!("{name}:"), name.to_uppercase()] {
                let Explained::Known(known) = explain(&text) else { panic!("{text}") };
                let entry = known[0].entry;
                let remedies: Vec<&str> = entry.remedies.iter().map(|remedy| remedy.text.as_str()).collect();
                assert_eq!(entry.category.word(), category, "{text}");
                assert!(remedies.join("\n").contains(part), "{text}: {remedies:?}");
            }
        }
    }

    const ID: &str = "00Dbc0000000000000-f2f3ed60-2dbd-4edd-b707-9dee97d89c7c";

    #[test]
    fn lines_of_logs_say_what_they_are() {
        let applink = |text: &str| {
            format!(
                "2024-10-28T16:02:15.215250+00:00 app[web.1]: time=2024-10-28T16:02:15.215Z {text} app=local source=heroku-applink-service-mesh request-id={ID}"
            )
        };
        let pino = |level: i64, rest: &str| {
            format!(
                "2024-10-28T16:02:15.395727+00:00 app[web.1]: {{\"level\":{level},\"time\":1730131335395,\"pid\":37,\"reqId\":\"{ID}\",{rest}}}"
            )
        };
        let router = |head: &str, status: u16| {
            format!(
                "2024-10-28T16:02:15.482623+00:00 heroku[router]: {head} method=GET path=\"/accounts\" host=a.herokuapp.com request_id={ID} fwd=\"18.214.12.209\" dyno=web.1 connect=0ms service=267ms status={status} bytes=267 protocol=http"
            )
        };
        for (line, wanted) in [
            (applink("level=INFO msg=\"Processing request to /accounts...\""), "no error"),
            (applink("level=INFO msg=\"Authenticated request!\""), "no error"),
            (applink("level=ERROR msg=\"my-connection doesn’t exist on app billing\""), "AppLink connection not found"),
            (applink("level=ERROR msg=\"the moon is full\""), "unknown"),
            (pino(30, "\"req\":{\"method\":\"GET\",\"url\":\"/accounts\",\"remotePort\":35162},\"msg\":\"incoming request\""), "no error"),
            (pino(30, "\"res\":{\"statusCode\":200},\"responseTime\":86.5,\"msg\":\"request completed\""), "no error"),
            (pino(30, "\"msg\":\"GET /accounts: {}\""), "no error"),
            (pino(30, "\"msg\":\"found the following Accounts: [{\\\"id\\\":\\\"001Ws00003GGHVCIA5\\\",\\\"name\\\":\\\"Acme\\\"}]\""), "no error"),
            (pino(50, "\"res\":{\"statusCode\":503},\"msg\":\"request errored\""), "Salesforce did not answer properly"),
            (pino(50, "\"err\":{\"message\":\"REQUEST_LIMIT_EXCEEDED: TotalRequests Limit exceeded.\"},\"msg\":\"no\""), "Rate limit exceeded"),
            (format!("2024-10-28T16:02:15.482306+00:00 app[web.1]: 2024/10/28 16:02:15 [{ID}] \"GET http://a.herokuapp.com/accounts HTTP/1.1\" from 18.214.12.209 - 200 267B in 267.062237ms"), "no error"),
            (format!("2024-10-28T16:02:15.482306+00:00 app[web.1]: 2024/10/28 16:02:15 [{ID}] \"GET http://a.herokuapp.com/accounts HTTP/1.1\" from 18.214.12.209 - 502 267B in 267.062237ms"), "Salesforce did not answer properly"),
            (router("at=info", 200), "no error"),
            (router("at=error code=H12 desc=\"Request timeout\"", 503), "Request timeout"),
            (router("at=error code=H97 desc=\"Something new\"", 503), "Heroku reports an error"),
            ("2026-01-01T00:00:00+00:00 heroku[web.1]: Error R14 (Memory quota exceeded)".to_owned(), "Memory quota exceeded"),
            ("H12".to_owned(), "Request timeout"),
            ("r14".to_owned(), "Memory quota exceeded"),
            ("2018-11-08T20:05:56 app[herokuconnect]: event=\"RELOAD TABLE contact\" object_type=mapping state=RELOAD_TABLE level=info".to_owned(), "no error"),
            ("request completed".to_owned(), "no error"),
            ("10.0.0.1 - - [20/Nov/2026:14:02:11 +0000] \"GET /x HTTP/1.1\" 404 12".to_owned(), "Address not found"),
            ("2026-11-20 14:02:11.123 UTC [42] ERROR:  duplicate key value violates unique constraint \"a_b\"".to_owned(), "Duplicate key in PostgreSQL"),
            ("ERROR: permission denied for table contact (SQLSTATE 42501)".to_owned(), "Permission denied in PostgreSQL"),
            ("ERROR:  40P01: deadlock detected".to_owned(), "Deadlock in PostgreSQL"),
            ("23505".to_owned(), "Duplicate key in PostgreSQL"),
            ("2026-11-20 14:02:11.123 UTC [42] LOG:  checkpoint complete".to_owned(), "no error"),
            ("HTTP/1.1 414 URI Too Long".to_owned(), "Request line too long"),
            ("HTTP/1.1 200 OK".to_owned(), "no error"),
            ("http_414".to_owned(), "Request line too long"),
            ("503".to_owned(), "Salesforce did not answer properly"),
            ("503 Service Unavailable".to_owned(), "Salesforce did not answer properly"),
            ("HTTP 418".to_owned(), "unknown HTTP_418"),
            ("{\"error\":\"invalid_grant\",\"error_description\":\"expired access/refresh token\"}".to_owned(), "Refresh token is no longer good"),
            ("[{\"id\":\"003\",\"success\":true,\"errors\":[]}]".to_owned(), "no error"),
            ("[{\"id\":\"003\",\"success\":true,\"errors\":[]},{\"success\":false,\"errors\":[{\"statusCode\":\"STRING_TOO_LONG\",\"message\":\"x\",\"fields\":[]}]},{\"success\":false,\"errors\":[{\"statusCode\":\"DUPLICATE_VALUE\",\"message\":\"x\",\"fields\":[]}]}]".to_owned(), "Value too long + Duplicate value"),
            ("[{\"errorCode\":\"APEX_ERROR\",\"message\":\"System.LimitException: Apex CPU time limit exceeded\\n\\nClass.A: line 1\"}]".to_owned(), "Apex trigger ran out of time"),
            ("System.NullPointerException: Attempt to de-reference a null object\nClass.Foo.bar: line 12, column 1".to_owned(), "Refused by an Apex trigger"),
            ("call me maybe".to_owned(), "unknown"),
            ("There was a conflict of interest".to_owned(), "unknown"),
            ("room 23505 is free".to_owned(), "unknown"),
            ("".to_owned(), "unknown"),
        ] {
            assert_eq!(told(&line), wanted, "{line}");
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        for text in [
            "{",
            "[[[[",
            "{\"errors\":[{\"errors\":[{}]}]}",
            "\u{0}",
            "’’",
            "ä{\"",
            "=*=",
            "HTTP_",
            "'",
            "\"\"",
        ] {
            let _ = explain(text);
        }
    }
}
