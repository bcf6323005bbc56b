//! Requests that a server answered. The AppLink service mesh:
//! `2024/10/28 16:02:15 [request id] "GET http://host/accounts HTTP/1.1" from 18.214.12.209 - 200 267B in 267.062237ms`.
//! nginx and Apache: `18.214.12.209 - - [28/Oct/2024:16:02:15 +0000] "GET /accounts HTTP/1.1" 200 267 "-" "curl/8"`.

use std::borrow::Cow;

use super::logfmt::quoted_text;
use super::names::piece;
use super::{LineFormat, ParsedEntry, Value, level, names, time};

/// A line cut where both shapes have brackets and quotes.
struct Cut<'a> {
    before: &'a str,
    /// What the brackets hold.
    inside: &'a str,
    /// What the quotes hold: `GET /accounts HTTP/1.1`.
    request: Cow<'a, str>,
    behind: &'a str,
}

/// A line of an answered request.
pub(super) fn read(line: &str) -> Option<ParsedEntry<'_>> {
    let quote = memchr::memchr(b'"', line.as_bytes())?;
    let (before, inside) = line[..quote].strip_suffix("] ")?.split_once('[')?;
    let (request, behind) = quoted_text(&line[quote + 1..])?;
    let cut = Cut { before, inside, request, behind: behind.strip_prefix(' ')? };
    mesh(&cut).or_else(|| common(&cut))
}

fn mesh<'a>(cut: &Cut<'a>) -> Option<ParsedEntry<'a>> {
    let (stamp, rest) = time::leading(cut.before)?;
    let (client, answer) = cut.behind.strip_prefix("from ")?.split_once(" - ")?;
    let (status, answer) = answer.split_once(' ')?;
    let (bytes, took) = answer.split_once("B in ")?;
    if !rest.trim().is_empty() {
        return None;
    }
    let mut entry = answered(cut, client, status)?;
    entry.stamp = Some(stamp);
    entry.put("bytes", Value::read(bytes));
    entry.put("service", milliseconds(took)?);
    entry.put(names::REQUEST, Value::Text(Cow::Borrowed(cut.inside)));
    Some(entry)
}

fn common<'a>(cut: &Cut<'a>) -> Option<ParsedEntry<'a>> {
    let stamp = time::common(cut.inside)?;
    let mut who = cut.before.split(' ');
    let (client, _, user) = (who.next()?, who.next()?, who.next()?);
    let mut answer = cut.behind.splitn(3, ' ');
    let (status, bytes) = (answer.next()?, answer.next()?);
    let mut entry = answered(cut, client, status)?;
    entry.stamp = Some(stamp);
    entry.put("bytes", Value::read(bytes));
    entry.put("user", Value::Text(Cow::Borrowed(user)));
    let Some(mut rest) = answer.next() else { return Some(entry) };
    for key in ["referer", "agent"] {
        let Some((value, behind)) = rest.strip_prefix('"').and_then(quoted_text) else { break };
        entry.put(key, Value::Text(value));
        rest = behind.trim_start_matches(' ');
    }
    if !rest.is_empty() {
        entry.put("rest", Value::read(rest));
    }
    Some(entry)
}

/// What every such line says.
fn answered<'a>(cut: &Cut<'a>, client: &'a str, status: &'a str) -> Option<ParsedEntry<'a>> {
    let mut entry = ParsedEntry::new(LineFormat::Access);
    entry.level = Some(level::of_status(status.parse().ok().filter(|status| (100..1000).contains(status))?));
    asked(&mut entry, &cut.request);
    entry.put("client", Value::Text(Cow::Borrowed(client)));
    entry.put("status", Value::read(status));
    Some(entry)
}

/// Method, host, path and protocol; what is no request of HTTP is the message as it is.
#[allow(clippy::ptr_arg, reason = "parts of it are borrowed for as long as the line where it is borrowed")]
fn asked<'a>(entry: &mut ParsedEntry<'a>, request: &Cow<'a, str>) {
    let space = |text: &str| text.find(' ');
    let (Some(first), Some(last)) = (space(request), request.rfind(' ')) else {
        entry.message = request.clone();
        return;
    };
    if first == last {
        entry.message = request.clone();
        return;
    }
    entry.message = piece(request, 0..last);
    entry.put("method", Value::Text(piece(request, 0..first)));
    let target = &request[first + 1..last];
    let host = target.find("://").map_or(0, |scheme| scheme + 3);
    let path = if host == 0 { 0 } else { target[host..].find('/').map_or(target.len(), |at| host + at) };
    if host > 0 {
        entry.put("host", Value::Text(piece(request, first + 1 + host..first + 1 + path)));
    }
    entry.put("path", Value::Text(piece(request, first + 1 + path..last)));
    entry.put("protocol", Value::Text(piece(request, last + 1..request.len())));
}

/// `267.062237ms`, `1.5s` or `120µs`, as Go prints a span, in milliseconds.
fn milliseconds(span: &str) -> Option<Value<'_>> {
    let end = span.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = span.split_at(end);
    let times = match unit {
        "ms" => return Some(Value::read(number)),
        "s" => 1_000.0,
        "µs" | "us" => 0.001,
        "ns" => 0.000_001,
        // `1m2.5s`: as it is.
        _ => return Some(Value::Text(Cow::Borrowed(span))),
    };
    let number: f64 = number.parse().ok()?;
    Some(Value::Number(Cow::Owned((number * times).to_string())))
}
