//! A connection string, taken apart: a URL or `key=value` pairs, as libpq reads both. What its parameters mean is told in
//! [`super::url`].

use std::collections::BTreeMap;

/// A sentence with what is wrong; no value is in it.
type Refused = String;

/// The parameters of an address, in either form. No error repeats a value: it may be a password.
pub(super) fn parameters(text: &str) -> Result<BTreeMap<String, String>, Refused> {
    let text = text.trim();
    let rest = text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"));
    match rest {
        Some(rest) => of_url(rest),
        None if text.contains('=') && !text.contains("://") => of_pairs(text),
        None => Err("it begins with neither postgresql:// nor key=value".to_owned()),
    }
}

fn of_url(rest: &str) -> Result<BTreeMap<String, String>, Refused> {
    let mut found = BTreeMap::new();
    let (head, query) = rest.split_once('?').unwrap_or((rest, ""));
    // A password may have an @ or a slash that nobody encoded.
    let (login, place) = head.rsplit_once('@').map_or((None, head), |(login, place)| (Some(login), place));
    if let Some(login) = login {
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        found.insert("user".to_owned(), decoded("user", user)?);
        found.insert("password".to_owned(), decoded("password", password)?);
    }
    let (servers, database) = place.split_once('/').unwrap_or((place, ""));
    found.insert("dbname".to_owned(), decoded("dbname", database)?);
    if !servers.is_empty() {
        let split: Vec<(&str, &str)> = servers.split(',').map(host_and_port).collect::<Result<_, _>>()?;
        let hosts: Vec<String> =
            split.iter().map(|(host, _)| decoded("host", host)).collect::<Result<_, _>>()?;
        let ports: Vec<String> =
            split.iter().map(|(_, port)| decoded("port", port)).collect::<Result<_, _>>()?;
        found.insert("host".to_owned(), hosts.join(","));
        found.insert("port".to_owned(), ports.join(","));
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} is no key=value"))?;
        let key = decoded("a key", key)?;
        let value = decoded(&key, value)?;
        found.insert(key, value);
    }
    Ok(found)
}

/// `host:port`, with a numeric address of the newer kind between brackets.
fn host_and_port(server: &str) -> Result<(&str, &str), Refused> {
    match server.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("a host lacks its closing ]")?;
            Ok((host, port.strip_prefix(':').unwrap_or(port)))
        }
        None => Ok(server.split_once(':').unwrap_or((server, ""))),
    }
}

/// With its `%41` as characters.
fn decoded(key: &str, text: &str) -> Result<String, Refused> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits =
            [rest.next(), rest.next()].map(|digit| digit.and_then(|digit| char::from(digit).to_digit(16)));
        match digits {
            [Some(high), Some(low)] => bytes.push(u8::try_from(high * 16 + low).unwrap_or_default()),
            _ => return Err(format!("{key} has a % that begins no character; a % itself is written %25")),
        }
    }
    String::from_utf8(bytes).map_err(|_| format!("{key} is no UTF-8"))
}

/// `host=localhost password='it''s'`, where a backslash makes the next character plain.
fn of_pairs(text: &str) -> Result<BTreeMap<String, String>, Refused> {
    let mut found = BTreeMap::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        let mut key = String::new();
        while let Some(c) = rest.next_if(|c| *c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        if key.is_empty() && rest.peek().is_none() {
            return Ok(found);
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.next() != Some('=') {
            return Err(format!("{key:?} has no value"));
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = rest.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        let closed = loop {
            match rest.next() {
                Some('\\') => value.extend(rest.next()),
                Some('\'') if quoted => break true,
                Some(c) if !quoted && c.is_whitespace() => break true,
                Some(c) => value.push(c),
                None => break !quoted,
            }
        };
        if !closed {
            return Err(format!("the value of {key} lacks its closing quote"));
        }
        found.insert(key, value);
    }
}
