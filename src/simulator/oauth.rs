//! Signing in, without anybody at a browser.

use axum::body::Body;
use axum::http::{HeaderMap, Method, header};
use axum::response::Response;
use base64::Engine;
use chrono::Utc;
use serde_json::{Value, json};

use super::org::State;
use super::response::{answer, not_found};
use super::routes::{Call, form};

/// `POST /services/oauth2/token`: client credentials, JWT bearer, refresh token.
pub(super) fn token(state: &mut State, call: &Call<'_>, rest: &[&str]) -> Response<Body> {
    if rest != ["token"] || call.method != Method::POST {
        return not_found();
    }
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
        "refresh_token" if field("refresh_token") != state.options.refresh_token => {
            return denied("invalid_grant", "expired access/refresh token");
        }
        "refresh_token" => {
            if state.options.rotate_refresh_tokens {
                state.options.refresh_token = format!("5Aep861SIM{:016x}", rand::random::<u64>());
                next = Some(state.options.refresh_token.clone());
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
    state.tokens.push(token.clone());
    let mut granted = json!({"access_token": token, "signature": "c2ltdWxhdGVk", "scope": "api", "instance_url": format!("http://{}", call.host),
            "id": format!("http://{}/id/00Dsd0000000001MAA/005sd0000000001AAA", call.host), "token_type": "Bearer",
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
