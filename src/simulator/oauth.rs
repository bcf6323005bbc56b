//! Signing in, without anybody at a browser.

use axum::body::Body;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use chrono::Utc;
use serde_json::{Value, json};

use super::call::{Call, form};
use super::org::State;
use super::response::{answer, empty, not_found};

/// The id of the user whom the app speaks for.
const USER: &str = "005sd0000000001AAA";
/// Sessions at a time; the oldest ends.
const SESSIONS: usize = 1_000;

/// Everything below `/services/oauth2`.
pub(super) fn answer_oauth(state: &mut State, call: &Call<'_>, rest: &[&str]) -> Response<Body> {
    match (call.method, rest) {
        (&Method::POST, ["token"]) => token(state, call),
        (&Method::GET | &Method::POST, ["userinfo"]) => user_info(state, call),
        (&Method::GET | &Method::POST, ["revoke"]) => revoke(state, call),
        _ => not_found(),
    }
}

/// Who speaks, as an OpenID Connect client asks it.
fn user_info(state: &State, call: &Call<'_>) -> Response<Body> {
    if !has_session(state, call) {
        return bad_token();
    }
    let base = format!("http://{}", call.host);
    let (name, organisation) = (&state.options.username, &state.options.organisation);
    answer(
        200,
        &json!({"sub": format!("{base}/id/{organisation}/{USER}"), "user_id": USER, "organization_id": organisation,
            "preferred_username": name, "nickname": "integration", "name": "Integration User", "email": name,
            "email_verified": true, "given_name": "Integration", "family_name": "User", "zoneinfo": "GMT",
            "active": true, "user_type": "STANDARD", "language": "en_US", "locale": "en_US", "utcOffset": 0,
            "urls": urls(&base), "is_app_installed": true}),
    )
}

/// What the `id` of a login's answer leads to.
pub(super) fn identity(state: &State, call: &Call<'_>, organisation: &str, user: &str) -> Response<Body> {
    if !has_session(state, call) {
        return bad_token();
    }
    if [organisation, user] != [&state.options.organisation, USER] {
        return not_found();
    }
    let base = format!("http://{}", call.host);
    let name = &state.options.username;
    answer(
        200,
        &json!({"id": format!("{base}/id/{organisation}/{USER}"), "asserted_user": true, "user_id": USER,
            "organization_id": organisation, "username": name, "nick_name": "integration",
            "display_name": "Integration User", "email": name, "email_verified": true, "first_name": "Integration",
            "last_name": "User", "timezone": "GMT", "active": true, "user_type": "STANDARD", "language": "en_US",
            "locale": "en_US", "utcOffset": 0, "urls": urls(&base), "is_app_installed": true}),
    )
}

fn urls(base: &str) -> Value {
    let data = format!("{base}/services/data/v{{version}}");
    json!({"custom_domain": base, "rest": format!("{data}/"), "sobjects": format!("{data}/sobjects/"),
        "query": format!("{data}/query/"), "recent": format!("{data}/recent/"), "search": format!("{data}/search/"),
        "profile": format!("{base}/{USER}")})
}

/// Outside of the API a bad token has an answer of its own.
fn bad_token() -> Response<Body> {
    let mut response = Response::new(Body::from("Bad_OAuth_Token"));
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html;charset=UTF-8"));
    response
}

/// Whether a session comes with the request: in its header, or as a parameter.
fn has_session(state: &State, call: &Call<'_>) -> bool {
    let given = call.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer =
        given.and_then(|given| given.strip_prefix("Bearer ").or_else(|| given.strip_prefix("OAuth ")));
    let parameter = || call.query.get("access_token").map(String::as_str);
    bearer.or_else(parameter).is_some_and(|token| state.tokens.iter().any(|known| known == token))
}

fn fresh_refresh_token() -> String {
    format!("5Aep861SIM{:016x}", rand::random::<u64>())
}

/// Nobody has access any more before somebody grants it again.
fn revoke_all(state: &mut State) {
    state.options.refresh_token = fresh_refresh_token();
    state.spent_refresh_tokens.clear();
    state.tokens.clear();
}

/// Ends a session, or all of them with the refresh token.
fn revoke(state: &mut State, call: &Call<'_>) -> Response<Body> {
    let fields = form(&String::from_utf8_lossy(&call.body));
    let token = fields.get("token").or_else(|| call.query.get("token")).cloned().unwrap_or_default();
    let known = state.tokens.len();
    state.tokens.retain(|session| *session != token);
    if token == state.options.refresh_token {
        revoke_all(state);
    } else if state.tokens.len() == known {
        return answer(
            400,
            &json!({"error": "unsupported_token_type", "error_description": "this token type is not supported"}),
        );
    }
    empty(200)
}

/// `POST /services/oauth2/token`: client credentials, JWT bearer, refresh token.
fn token(state: &mut State, call: &Call<'_>) -> Response<Body> {
    let denied = |error: &str, description: &str| {
        answer(400, &json!({"error": error, "error_description": description}))
    };
    let fields = form(&String::from_utf8_lossy(&call.body));
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let (id, secret) = basic(call.headers).unwrap_or_else(|| (field("client_id"), field("client_secret")));
    let mut next = None;
    match field("grant_type").as_str() {
        "client_credentials" if id != state.options.client_id => {
            return denied("invalid_client_id", "client identifier invalid");
        }
        "client_credentials" if secret != state.options.client_secret => {
            return denied("invalid_client", "invalid client credentials");
        }
        "client_credentials" => {}
        "refresh_token" if id != state.options.client_id => {
            return denied("invalid_client_id", "client identifier invalid");
        }
        "refresh_token" if state.spent_refresh_tokens.contains(&field("refresh_token")) => {
            // Two have it, and one of them may have stolen it.
            revoke_all(state);
            return denied("invalid_grant", "expired access/refresh token");
        }
        "refresh_token" if field("refresh_token") != state.options.refresh_token => {
            return denied("invalid_grant", "expired access/refresh token");
        }
        "refresh_token" => {
            if state.options.rotate_refresh_tokens {
                let fresh = fresh_refresh_token();
                let spent = std::mem::replace(&mut state.options.refresh_token, fresh.clone());
                if state.spent_refresh_tokens.len() == SESSIONS {
                    state.spent_refresh_tokens.remove(0);
                }
                state.spent_refresh_tokens.push(spent);
                next = Some(fresh);
            }
        }
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
            if let Err((error, description)) = assertion(state, &field("assertion")) {
                return denied(error, description);
            }
        }
        _ => return denied("unsupported_grant_type", "grant type not supported"),
    }
    let token = format!("00Dsd0000000001!SIM{:016x}{:016x}", rand::random::<u64>(), rand::random::<u64>());
    if state.tokens.len() == SESSIONS {
        state.tokens.remove(0);
    }
    state.tokens.push(token.clone());
    let mut granted = json!({"access_token": token, "signature": "c2ltdWxhdGVk", "scope": "api", "instance_url": format!("http://{}", call.host),
            "id": format!("http://{}/id/{}/{USER}", call.host, state.options.organisation), "token_type": "Bearer",
            "issued_at": Utc::now().timestamp_millis().to_string()});
    if let Some(next) = next {
        granted["refresh_token"] = json!(next);
    }
    answer(200, &granted)
}

/// Whether a JWT speaks for the user: signed by the app's key, from the app, for somebody, not too old. Real clients put
/// the end as seconds, as text, or as milliseconds.
fn assertion(state: &State, token: &str) -> Result<(), (&'static str, &'static str)> {
    let key = state.options.public_key.as_deref();
    let key = key.ok_or(("invalid_grant", "user hasn't approved this consumer"))?;
    let key = jsonwebtoken::DecodingKey::from_rsa_pem(key.as_bytes());
    let key = key.map_err(|_| ("invalid_grant", "invalid assertion"))?;
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    rules.validate_aud = false;
    rules.validate_exp = false;
    rules.required_spec_claims.clear();
    let claims = jsonwebtoken::decode::<Value>(token, &key, &rules);
    let claims = claims.map_err(|_| ("invalid_grant", "invalid assertion"))?.claims;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let end =
        claims.get("exp").and_then(|exp| exp.as_i64().or_else(|| exp.as_str()?.parse().ok())).unwrap_or(0);
    let end = if end > 100_000_000_000 { end / 1_000 } else { end };
    if text("iss") != state.options.client_id {
        return Err(("invalid_client_id", "client identifier invalid"));
    }
    if text("sub") != state.options.username {
        return Err(("invalid_grant", "user hasn't approved this consumer"));
    }
    if text("aud").is_empty() {
        return Err(("invalid_grant", "audience is invalid"));
    }
    if end < Utc::now().timestamp() {
        return Err(("invalid_grant", "expired authorization code"));
    }
    Ok(())
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let (id, secret) =
        String::from_utf8(decoded).ok()?.split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned()))?;
    Some((id, secret))
}
