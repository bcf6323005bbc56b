//! SOSL, as much of it as clients send: `FIND {words} IN ALL FIELDS RETURNING Account(Id, Name LIMIT 5), Contact`. What is
//! not understood is refused, as with queries.

use axum::body::Body;
use axum::http::Response;
use regex::Regex;
use serde_json::{Value, json};

use super::call::Call;
use super::org::Org;
use super::queries;
use super::response::{answer, refusal};
use super::schema::{Kind, ObjectDef};
use super::soql::Answer;
use super::transaction::Access;

/// Records of an object that a search finds, where it says no number.
const FOUND: usize = 2_000;

/// A search as it was written.
struct Search {
    words: Vec<String>,
    scope: String,
    /// Object, and what stands between its brackets.
    returning: Vec<(String, Option<String>)>,
    limit: Option<usize>,
}

/// What `search?q=...` answers.
pub(super) fn answer_search(org: &Org, call: &Call, version: &str) -> Response<Body> {
    let text = call.query.get("q").map_or("", String::as_str);
    let search = match parse(text) {
        Ok(search) => search,
        Err(why) => return refusal(400, "MALFORMED_SEARCH", &why),
    };
    let snapshot = org.snapshot();
    let mut records: Vec<Value> = Vec::new();
    let objects = match search.returning.as_slice() {
        [] => snapshot.views.iter().map(|view| (view.def.name.clone(), None)).collect(),
        named => named.to_vec(),
    };
    for (object, inside) in objects {
        let Some(place) = snapshot.place(&object) else {
            return refusal(400, "INVALID_TYPE", &format!("sObject type '{object}' is not supported."));
        };
        let Some(soql) = soql(&snapshot.views[place].def, inside.as_deref(), &search) else { continue };
        match queries::ask(Access::alone(org), &soql, false) {
            Ok(Answer::Records(rows)) => records.extend(rows.page(0..rows.len(), version)),
            Ok(_) => {}
            Err(fault) => return refusal(400, fault.code, &fault.told(&soql)),
        }
    }
    records.truncate(search.limit.unwrap_or(FOUND));
    answer(200, &json!({"searchRecords": records}))
}

/// A search is a query for every word in any of the fields that are searched.
fn soql(def: &ObjectDef, inside: Option<&str>, search: &Search) -> Option<String> {
    let is_in = |kind: &Kind, name: &str| match search.scope.as_str() {
        "NAME" => name == "Name" && *kind == Kind::Text,
        "EMAIL" => *kind == Kind::Email,
        "PHONE" => *kind == Kind::Phone,
        _ => matches!(kind, Kind::Text | Kind::Email | Kind::Phone | Kind::Picklist(_)),
    };
    let fields: Vec<&str> = def
        .fields
        .iter()
        .filter(|field| field.name != "Id" && is_in(&field.kind, &field.name))
        .map(|field| field.name.as_str())
        .collect();
    if fields.is_empty() {
        return None;
    }
    let word = |word: &String| {
        let word = word.replace('\\', "\\\\").replace('\'', "\\'").replace('*', "%");
        let like = |field: &&str| format!("{field} LIKE '{word}%' OR {field} LIKE '% {word}%'");
        format!("({})", fields.iter().map(like).collect::<Vec<_>>().join(" OR "))
    };
    let found = search.words.iter().map(word).collect::<Vec<_>>().join(" AND ");
    let inside = inside.map_or("Id", str::trim);
    // The fields, then what a query has behind its object.
    let rest = Regex::new(r"(?i)\s(WHERE|ORDER\s+BY|LIMIT)\s").ok()?;
    let (select, rest) = rest.find(inside).map_or((inside, ""), |at| inside.split_at(at.start()));
    let rest = rest.trim();
    let rest = match rest.get(..6).filter(|word| word.eq_ignore_ascii_case("WHERE ")) {
        Some(_) => format!("AND {}", &rest[6..]),
        None => rest.to_owned(),
    };
    Some(format!("SELECT {select} FROM {} WHERE ({found}) {rest}", def.name))
}

fn parse(text: &str) -> Result<Search, String> {
    let form = Regex::new(
        r"(?is)^\s*FIND\s*\{(?P<words>(?:[^{}\\]|\\.)*)\}\s*(?:IN\s+(?P<scope>ALL|NAME|EMAIL|PHONE)\s+FIELDS\s*)?(?:RETURNING\s+(?P<objects>.*?))?(?:\s+LIMIT\s+(?P<limit>\d+))?\s*$",
    )
    .map_err(|error| error.to_string())?;
    let found =
        form.captures(text).ok_or_else(|| format!("No search term found, or an unexpected one: {text}"))?;
    let words: Vec<String> =
        found["words"].replace(['\\', '"'], "").split_whitespace().map(str::to_owned).collect();
    if words.iter().map(String::len).sum::<usize>() < 2 {
        return Err("search term must be longer than one character".to_owned());
    }
    Ok(Search {
        words,
        scope: found.name("scope").map_or_else(|| "ALL".to_owned(), |scope| scope.as_str().to_uppercase()),
        returning: returning(found.name("objects").map_or("", |objects| objects.as_str()))?,
        limit: found.name("limit").and_then(|limit| limit.as_str().parse().ok()),
    })
}

/// Objects, each with its brackets.
fn returning(text: &str) -> Result<Vec<(String, Option<String>)>, String> {
    let mut objects = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest.find([',', '(']).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        let (inside, behind) = match behind.strip_prefix('(') {
            None => (None, behind),
            Some(inside) => {
                let end = closing(inside).ok_or("unexpected end of search: ')' is missing")?;
                (Some(inside[..end].to_owned()), &inside[end + 1..])
            }
        };
        let name = name.trim();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(format!("unexpected token: {name:?}"));
        }
        objects.push((name.to_owned(), inside));
        rest = behind.trim_start();
        rest = match (rest.strip_prefix(','), rest.is_empty()) {
            (Some(next), _) => next.trim_start(),
            (None, true) => rest,
            (None, false) => return Err(format!("unexpected token: {rest}")),
        };
    }
    Ok(objects)
}

/// Where the bracket closes that was opened before.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1;
    text.char_indices().find_map(|(at, c)| {
        open += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        (open == 0).then_some(at)
    })
}
