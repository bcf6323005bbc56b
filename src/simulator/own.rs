//! What an org has not and a simulated one has: below `/_simulator`, the journal, the faults, and what its administrator does.
//! No session is needed; the server listens on loopback.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Response};
use serde_json::{Value, json};

use super::administrator::Order;
use super::call::Call;
use super::faults::Faults;
use super::org::Org;
use super::queries::aside;
use super::response::{answer, empty, not_found, refusal};

/// The oldest writes that the journal keeps no more.
const FORGOTTEN: &str = "Simulator-Journal-Forgotten";

/// Answers what tests and the curious ask.
pub(super) async fn admin(org: &Org, call: &Call, rest: &[&str]) -> Response<Body> {
    match (&call.method, rest) {
        (&Method::GET, ["journal"]) => {
            let (org, call) = (org.clone(), call.clone());
            aside(move || journal(&org, &call)).await
        }
        (&Method::GET, ["faults"]) => answer(200, &json!(org.fault_counts())),
        (&Method::GET, ["rules"]) => answer(
            200,
            &json!({"validation_rules": org.validation_rules(), "duplicate_rules": org.duplicate_rules(),
                "triggers": org.triggers()}),
        ),
        (&Method::POST, ["administrator"]) => match serde_json::from_slice::<Order>(&call.body) {
            Ok(order) => {
                let org = org.clone();
                aside(move || match org.administer(&order) {
                    Ok(()) => empty(204),
                    Err(why) => refusal(400, "INVALID_INPUT", &why),
                })
                .await
            }
            Err(error) => refusal(400, "JSON_PARSER_ERROR", &error.to_string()),
        },
        (&Method::POST, ["faults"]) => match serde_json::from_slice::<Faults>(&call.body) {
            Ok(faults) => {
                org.set_faults(faults);
                empty(204)
            }
            Err(error) => refusal(400, "JSON_PARSER_ERROR", &error.to_string()),
        },
        _ => not_found(),
    }
}

/// The writes that are asked for; how many there were before those that are still kept stands in a header.
fn journal(org: &Org, call: &Call) -> Response<Body> {
    let since = call.query.get("since").and_then(|text| text.parse().ok()).unwrap_or(0);
    let wanted = |name: &str, value: Option<&str>| {
        call.query.get(name).is_none_or(|wanted| Some(wanted.as_str()) == value)
    };
    let entries: Vec<Value> = org
        .journal_since(since)
        .iter()
        .filter(|entry| {
            wanted("object", Some(&entry.object))
                && wanted("id", Some(&entry.id))
                && wanted("external_id", entry.external_id.as_deref())
        })
        .map(|entry| json!(entry))
        .collect();
    let mut response = answer(200, &Value::from(entries));
    response.headers_mut().insert(FORGOTTEN, HeaderValue::from(org.journal_forgotten()));
    response
}
