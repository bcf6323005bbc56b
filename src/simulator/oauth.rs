//! Signing in, without anybody at a browser.

use axum::body::Body;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use chrono::Utc;
use serde_json::{Value, json};

use super::call::{Call, form, token_of};
use super::org::{Org, OrgOptions, State};
use super::response::{answer, empty, not_found};
use super::users::User;

/// Sessions at a time; the oldest ends.
const SESSIONS: usize = 1_000;

/// Everything below `/services/oauth2`.
pub(super) fn answer_oauth(org: &Org, call: &Call, rest: &[&str]) -> Response<Body> {
    match (&call.method, rest) {
        (&Method::POST, ["token"]) => token(org, call),
        (&Method::GET | &Method::POST, ["userinfo"]) => user_info(org, call),
        (&Method::GET | &Method::POST, ["revoke"]) => revoke(org, call),
        _ => not_found(),
    }
}

/// Whom the app speaks for, as the record of the object User has it.
struct SignedIn {
    organisation: String,
    username: String,
    name: String,
    first: String,
    last: String,
    email: String,
    is_active: bool,
}

impl SignedIn {
    /// `None` where no session comes with the request.
    fn of(org: &Org, call: &Call) -> Option<SignedIn> {
        let organisation = {
            let state = org.lock();
            has_session(&state, call).then(|| state.options.organisation.clone())?
        };
        let record = org.record("User", User::Integration.id()).unwrap_or_default();
        let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Some(SignedIn {
            organisation,
            username: text("Username"),
            name: text("Name"),
            first: text("FirstName"),
            last: text("LastName"),
            email: text("Email"),
            is_active: record.get("IsActive") == Some(&Value::Bool(true)),
        })
    }
}

/// Who speaks, as an OpenID Connect client asks it.
fn user_info(org: &Org, call: &Call) -> Response<Body> {
    let Some(user) = SignedIn::of(org, call) else { return bad_token() };
    let (base, id) = (format!("http://{}", call.host), User::Integration.id());
    let organisation = &user.organisation;
    answer(
        200,
        &json!({"sub": format!("{base}/id/{organisation}/{id}"), "user_id": id, "organization_id": organisation,
            "preferred_username": user.username, "nickname": "integration", "name": user.name, "email": user.email,
            "email_verified": true, "given_name": user.first, "family_name": user.last, "zoneinfo": "GMT",
            "active": user.is_active, "user_type": "STANDARD", "language": "en_US", "locale": "en_US", "utcOffset": 0,
            "urls": urls(&base), "is_app_installed": true}),
    )
}

/// What the `id` of a login's answer leads to.
pub(super) fn identity(org: &Org, call: &Call, organisation: &str, user: &str) -> Response<Body> {
    let Some(signed_in) = SignedIn::of(org, call) else { return bad_token() };
    let id = User::Integration.id();
    if [organisation, user] != [signed_in.organisation.as_str(), id] {
        return not_found();
    }
    let base = format!("http://{}", call.host);
    answer(
        200,
        &json!({"id": format!("{base}/id/{organisation}/{id}"), "asserted_user": true, "user_id": id,
            "organization_id": organisation, "username": signed_in.username, "nick_name": "integration",
            "display_name": signed_in.name, "email": signed_in.email, "email_verified": true,
            "first_name": signed_in.first, "last_name": signed_in.last, "timezone": "GMT",
            "active": signed_in.is_active, "user_type": "STANDARD", "language": "en_US", "locale": "en_US",
            "utcOffset": 0, "urls": urls(&base), "is_app_installed": true}),
    )
}

fn urls(base: &str) -> Value {
    let data = format!("{base}/services/data/v{{version}}");
    json!({"custom_domain": base, "rest": format!("{data}/"), "sobjects": format!("{data}/sobjects/"),
        "query": format!("{data}/query/"), "recent": format!("{data}/recent/"), "search": format!("{data}/search/"),
        "profile": format!("{base}/{}", User::Integration.id())})
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
fn has_session(state: &State, call: &Call) -> bool {
    let parameter = || call.query.get("access_token").map(String::as_str);
    token_of(&call.headers)
        .or_else(parameter)
        .is_some_and(|token| state.tokens.iter().any(|known| known == token))
}

fn fresh_refresh_token() -> String {
    format!("5Aep861SIM{:016x}", rand::random::<u64>())
}

/// Nobody has access any more before somebody grants it again.
fn revoke_all(state: &mut State) {
    state.options.refresh_token = fresh_refresh_token();
    state.spent_refresh_tokens.clear();
    state.end_sessions();
}

/// Ends a session, or all of them with the refresh token.
fn revoke(org: &Org, call: &Call) -> Response<Body> {
    let fields = form(&String::from_utf8_lossy(&call.body));
    let token = fields.get("token").or_else(|| call.query.get("token")).cloned().unwrap_or_default();
    let is_known = {
        let mut state = org.lock();
        let is_session = state.end_session(&token);
        let is_refresh = token == state.options.refresh_token;
        if is_refresh {
            revoke_all(&mut state);
        }
        is_session || is_refresh
    };
    if is_known {
        return empty(200);
    }
    answer(
        400,
        &json!({"error": "unsupported_token_type", "error_description": "this token type is not supported"}),
    )
}

/// OAuth's word for a refusal, and what it says.
type Denied = (&'static str, &'static str);

const STRANGER: Denied = ("invalid_client_id", "client identifier invalid");
const EXPIRED: Denied = ("invalid_grant", "expired access/refresh token");
const WRONG_PASSWORD: Denied = ("invalid_grant", "authentication failure");

/// Begins a session of the user.
pub(super) fn begin(state: &mut State) -> String {
    let organisation = state.options.organisation.get(..15).unwrap_or("00Dsd0000000001");
    let token = format!("{organisation}!SIM{:016x}{:016x}", rand::random::<u64>(), rand::random::<u64>());
    state.begin_session(token.clone(), SESSIONS);
    token
}

/// `POST /services/oauth2/token`: client credentials, JWT bearer, refresh token, password.
fn token(org: &Org, call: &Call) -> Response<Body> {
    let fields = form(&String::from_utf8_lossy(&call.body));
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let (id, secret) = basic(&call.headers)
        .unwrap_or_else(|| (field("client_id").to_owned(), field("client_secret").to_owned()));
    // Nothing that ends sessions comes between the check and the session.
    let mut state = org.lock();
    let options = state.options.clone();
    let checked = match field("grant_type") {
        "client_credentials" | "refresh_token" | "password" if id != options.client_id => Err(STRANGER),
        "client_credentials" | "password" if secret != options.client_secret => {
            Err(("invalid_client", "invalid client credentials"))
        }
        "client_credentials" => Ok(None),
        "password" if !options.is_password(field("username"), field("password")) => Err(WRONG_PASSWORD),
        "password" => Ok(None),
        "refresh_token" => refresh(&mut state, field("refresh_token")),
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
            assertion(&options, field("assertion")).map(|()| None)
        }
        _ => Err(("unsupported_grant_type", "grant type not supported")),
    };
    let next = match checked {
        Ok(next) => next,
        Err((error, description)) => {
            return answer(400, &json!({"error": error, "error_description": description}));
        }
    };
    let token = begin(&mut state);
    drop(state);
    let identity = format!("http://{}/id/{}/{}", call.host, options.organisation, User::Integration.id());
    let mut granted = json!({"access_token": token, "signature": "c2ltdWxhdGVk", "scope": "api", "instance_url": format!("http://{}", call.host),
            "id": identity, "token_type": "Bearer", "issued_at": Utc::now().timestamp_millis().to_string()});
    if let Some(next) = next {
        granted["refresh_token"] = json!(next);
    }
    answer(200, &granted)
}

/// Takes a refresh token; the next one, where each is good once.
fn refresh(state: &mut State, token: &str) -> Result<Option<String>, Denied> {
    if state.spent_refresh_tokens.iter().any(|spent| spent == token) {
        // Two have it, and one of them may have stolen it.
        revoke_all(state);
        return Err(EXPIRED);
    }
    if token != state.options.refresh_token {
        return Err(EXPIRED);
    }
    if !state.options.rotate_refresh_tokens {
        return Ok(None);
    }
    let fresh = fresh_refresh_token();
    let spent = std::mem::replace(&mut state.options.refresh_token, fresh.clone());
    if state.spent_refresh_tokens.len() == SESSIONS {
        state.spent_refresh_tokens.remove(0);
    }
    state.spent_refresh_tokens.push(spent);
    Ok(Some(fresh))
}

/// Whether a JWT speaks for the user: signed by the app's key, from the app, for somebody, not too old. Real clients put
/// the end as seconds, as text, or as milliseconds.
fn assertion(options: &OrgOptions, token: &str) -> Result<(), Denied> {
    let key = options.public_key.as_deref();
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
    if text("iss") != options.client_id {
        return Err(STRANGER);
    }
    if text("sub") != options.username {
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

/// Whether a text is a key that a login by JWT can be checked with.
///
/// # Errors
/// What is wrong, and the remedy. The key itself is in no message.
pub fn check_public_key(pem: &str) -> Result<(), String> {
    if pem.contains("PRIVATE KEY") {
        return Err("that is a private key, and the org has the public one: \
                    openssl pkey -in PRIVATE -pubout -out PUBLIC makes it"
            .to_owned());
    }
    jsonwebtoken::DecodingKey::from_rsa_pem(pem.as_bytes()).map(drop).map_err(|_| {
        "that is no RSA public key and no certificate in PEM: openssl pkey -in PRIVATE -pubout -out PUBLIC makes the one, \
         openssl req -x509 -key PRIVATE -out CERTIFICATE the other"
            .to_owned()
    })
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let (id, secret) =
        String::from_utf8(decoded).ok()?.split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned()))?;
    Some((id, secret))
}
