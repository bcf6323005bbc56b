//! A stand-in for Heroku Connect's HTTP API, in its documented shapes: the central server that finds connections and the region
//! that has them, on one address. Of the older API of a region it has what client libraries ask. The demo keeps it up to date with what its stand-in for the engine does; tests have it say what
//! they want, refuse, and answer what is none of the API's.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// The app that there is.
pub const APP: &str = "acme-demo";
/// Its add-on.
pub const RESOURCE: &str = "herokuconnect-angular-12345";
/// The connection's id.
pub const CONNECTION: &str = "0f6d6b9e-3c1a-4a51-9d3e-5f3f1c0a7e11";

/// How many of a list come in one answer, where nobody asks for another number.
const PAGE: usize = 100;

/// The longest body of a request.
const LONGEST: usize = 1 << 20;
/// The state of a connection while it takes a configuration in.
const IMPORTS: &str = "IMPORT_CONFIGURATION";

/// The stand-in. Cheap to clone.
#[derive(Clone)]
pub struct ConnectApi {
    at: SocketAddr,
    key: String,
    stand: Arc<Mutex<ApiStand>>,
}

/// What it says.
pub struct ApiStand {
    /// The connection's state.
    pub state: String,
    /// The schema that it keeps.
    pub schema: String,
    /// The name of its database, where it tells that.
    pub database: Option<String>,
    /// The id of its org, where it tells that.
    pub org: Option<String>,
    /// Another app that the key's account may see, which `POST /auth` tells of first, too.
    pub other_app: Option<String>,
    /// Whether its writes are ordered ones.
    pub ordered: bool,
    /// Its mappings.
    pub mappings: Vec<MappingStand>,
    /// Its write errors, as the API lists them.
    pub write_errors: Vec<Value>,
    /// What nobody acknowledged, as the API lists it.
    pub notifications: Vec<Value>,
    /// How many of a list come in one answer at most, however many are asked for.
    pub page: Option<usize>,
    /// What a diagnosis finds.
    pub diagnosis: Value,
    /// The address that the central server names for the region; its own, where nothing is said.
    pub region: Option<String>,
    /// Whether the key's account was let in; until then nothing is found.
    pub let_in: bool,
    /// Up to when notifications were acknowledged last.
    pub acknowledged_before: Option<String>,
    /// Objects that somebody had loaded again.
    pub reloads: Vec<String>,
    /// The configuration that was imported last.
    pub imported: Option<Value>,
    /// Each request, `GET /connections`.
    pub asked: Vec<String>,
    /// Answers to the next requests, whatever they ask.
    pub next: VecDeque<Scripted>,
    /// How often a diagnosis is still under way when it is asked for.
    pub under_way: usize,
    /// While this file is there, the engine rests.
    pub pause: Option<PathBuf>,
}

/// An answer that is decided beforehand.
#[derive(Clone, Debug)]
pub enum Scripted {
    /// A status, headers, and a body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// None ever comes.
    Never,
    /// One that breaks off.
    Half,
    /// The stand-in's own.
    Own,
}

/// A mapping, as it stands.
#[derive(Clone, Debug)]
pub struct MappingStand {
    /// The object.
    pub object: String,
    /// Its state.
    pub state: String,
    /// Rows, records, changes that wait, write errors.
    pub counts: [i64; 4],
    /// The last read from Salesforce, and the last write there.
    pub times: [Option<String>; 2],
}

impl MappingStand {
    /// A mapping in step.
    pub fn new(object: &str) -> MappingStand {
        MappingStand {
            object: object.to_owned(),
            state: "DATA_SYNCED".to_owned(),
            counts: [0; 4],
            times: [None, None],
        }
    }

    fn id(&self) -> String {
        format!("m-{}", self.object.to_lowercase().replace('_', "-"))
    }

    fn told(&self) -> Value {
        let [rows, records, pending, errors] = self.counts;
        let [read, written] = &self.times;
        json!({"id": self.id(), "_id": 12_345_678, "object_name": self.object, "state": self.state,
            "state_description": self.state, "access": "read_write", "sf_polling_seconds": 600,
            "connection": {"id": CONNECTION}, "actively_writing": false, "is_polling": false, "has_hc_columns": true,
            "counts": {"db": rows, "sf": records, "pending": pending, "errors": errors},
            "times": {"sf_poll": read, "sf_write": written, "db_poll": null, "db_write": null},
            "detail_url": format!("/api/v3/mappings/{}", self.id())})
    }
}

impl ConnectApi {
    /// Listens on this machine until it is told to stop.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(key: &str, stop: CancellationToken) -> std::io::Result<ConnectApi> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let stand = ApiStand {
            state: "IDLE".to_owned(),
            schema: "salesforce".to_owned(),
            database: None,
            org: None,
            other_app: None,
            ordered: false,
            mappings: Vec::new(),
            write_errors: Vec::new(),
            notifications: Vec::new(),
            page: None,
            diagnosis: json!({"errors": [], "warnings": [], "passes": [], "skips": [], "mappings": {}}),
            region: None,
            let_in: true,
            acknowledged_before: None,
            reloads: Vec::new(),
            imported: None,
            asked: Vec::new(),
            next: VecDeque::new(),
            under_way: 1,
            pause: None,
        };
        let at = listener.local_addr()?;
        let api = ConnectApi { at, key: key.to_owned(), stand: Arc::new(Mutex::new(stand)) };
        let app = Router::new().fallback(answer).with_state(api.clone());
        tokio::spawn(async move {
            let served =
                axum::serve(listener, app).with_graceful_shutdown(async move { stop.cancelled().await });
            let _ = served.await;
        });
        Ok(api)
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    /// What it says, to look at and to change.
    pub fn stand(&self) -> MutexGuard<'_, ApiStand> {
        self.stand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ApiStand {
    /// A mapping by its object.
    pub fn mapping(&mut self, object: &str) -> Option<&mut MappingStand> {
        self.mappings.iter_mut().find(|mapping| mapping.object == object)
    }

    /// The connection, as the central server finds it.
    fn found(&self, url: &str) -> Value {
        let region = self.region.as_deref().unwrap_or(url);
        json!({"id": CONNECTION, "resource_name": RESOURCE, "display_name": APP, "addon_type": "Sync", "app_name": APP,
            "region": "us", "region_url": region, "cell": "region-instance",
            "detail_url": format!("{region}/api/v3/connections/{CONNECTION}")})
    }

    /// What the account of the key may see, of every app.
    fn all_found(&self, url: &str) -> Vec<Value> {
        let other = self.other_app.iter().map(|app| {
            let mut other = self.found(url);
            (other["app_name"], other["resource_name"]) =
                (json!(app), json!(format!("herokuconnect-of-{app}")));
            other["id"] = json!("another");
            other
        });
        other.chain([self.found(url)]).collect()
    }

    /// The connection with its mappings.
    fn told(&self) -> Value {
        let mappings: Vec<Value> = self.mappings.iter().map(MappingStand::told).collect();
        json!({"id": CONNECTION, "_id": 654_321, "name": "acme", "app_name": APP, "resource_name": RESOURCE,
            "schema_name": self.schema, "organization_id": self.org,
            "database": {"host": "127.0.0.1", "port": 5432, "database": self.database}, "db_key": "DATABASE_URL", "state": self.state, "mappings_summary_state": "OK",
            "detail_url": format!("/api/v3/connections/{CONNECTION}"), "plan": "demo", "soap_batch_size": 200,
            "metrics": {"last_write_activity_time": null}, "features": {"poll_db_no_merge": self.ordered},
            "mappings": mappings})
    }

    /// A connection, as the older API of a region lists it.
    fn listed(&self, url: &str) -> Value {
        let mut listed = self.told();
        listed["region_url"] = json!(url);
        if let Some(of) = listed.as_object_mut() {
            of.remove("mappings");
        }
        listed
    }

    /// The connection with its mappings; a configuration is taken in once that was told.
    fn looked_at(&mut self) -> Value {
        let told = self.told();
        if self.state == IMPORTS {
            "IDLE".clone_into(&mut self.state);
        }
        told
    }

    /// Takes a configuration in, in the place of the one before.
    fn import(&mut self, body: &[u8]) -> Response<Body> {
        let file: Value = serde_json::from_slice(body).unwrap_or_default();
        let objects = file["mappings"].as_array().filter(|_| file["version"] == 1);
        let objects: Option<Vec<&str>> =
            objects.and_then(|mappings| mappings.iter().map(|of| of["object_name"].as_str()).collect());
        let Some(objects) = objects else {
            return told(StatusCode::BAD_REQUEST, &json!({"message": "Invalid configuration"}));
        };
        self.mappings = objects.into_iter().map(MappingStand::new).collect();
        IMPORTS.clone_into(&mut self.state);
        self.imported = Some(file);
        nothing(StatusCode::ACCEPTED)
    }

    /// Whether the connection does it.
    fn act(&mut self, action: &str) -> Response<Body> {
        match action {
            "pause" if !["IDLE", "POLLING_DB_CHANGES"].contains(&self.state.as_str()) => {
                let message = format!("Connection must be IDLE to be paused, and is {}", self.state);
                return told(StatusCode::CONFLICT, &json!({"message": message}));
            }
            "pause" => {
                if let Some(file) = &self.pause {
                    let _ = std::fs::write(file, "");
                }
                "PAUSED".clone_into(&mut self.state);
            }
            "resume" | "restart" => {
                if let Some(file) = &self.pause {
                    let _ = std::fs::remove_file(file);
                }
                "IDLE".clone_into(&mut self.state);
            }
            _ => return nothing(StatusCode::NOT_FOUND),
        }
        nothing(StatusCode::ACCEPTED)
    }

    /// Notifications that a query asks for.
    fn matching(&self, query: &HashMap<String, String>) -> Vec<Value> {
        let is = |of: &&Value, key: &str| query.get(key).is_none_or(|wanted| of[key] == wanted.as_str());
        let at = |of: &&Value| of["created_at"].as_str().and_then(time);
        let bound = |key: &str| query.get(key).and_then(|text| time(text));
        let (after, before) = (bound("after"), bound("before"));
        let all = self.notifications.iter().filter(|of| is(of, "event_type"));
        let all = all.filter(|of| after.is_none_or(|after| at(of) >= Some(after)));
        all.filter(|of| before.is_none_or(|before| at(of) <= Some(before))).cloned().collect()
    }

    /// A page of a list, with the address of the next one.
    fn paged(&self, url: &str, path: &str, query: &HashMap<String, String>, all: &[Value]) -> Response<Body> {
        let asked = query.get("page_size").and_then(|size| size.parse().ok()).unwrap_or(PAGE);
        let size = self.page.unwrap_or(usize::MAX).min(asked).max(1);
        let page: usize = query.get("page").and_then(|page| page.parse().ok()).unwrap_or(1).max(1);
        let results: Vec<&Value> = all.iter().skip((page - 1) * size).take(size).collect();
        let next = (page * size < all.len()).then(|| {
            let mut next = url::form_urlencoded::Serializer::new(String::new());
            next.extend_pairs(query.iter().filter(|(key, _)| *key != "page"));
            format!("{url}{path}?{}", next.append_pair("page", &(page + 1).to_string()).finish())
        });
        told(StatusCode::OK, &json!({"count": all.len(), "next": next, "previous": null, "results": results}))
    }

    fn answer(
        &mut self,
        url: &str,
        method: &Method,
        path: &str,
        query: &HashMap<String, String>,
        body: &[u8],
    ) -> Response<Body> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let object = |id: &str| self.mappings.iter().find(|mapping| mapping.id() == id);
        match (method.as_str(), parts.as_slice()) {
            ("GET", ["connections"]) => {
                let is = |key: &str, wanted: &str| query.get(key).is_none_or(|value| value == wanted);
                let sync = query.get("addon_type").is_some_and(|value| value == "1");
                let there = self.let_in && sync && is("app", APP) && is("resource_name", RESOURCE);
                let results: Vec<Value> = there.then(|| self.found(url)).into_iter().collect();
                told(
                    StatusCode::OK,
                    &json!({"count": results.len(), "results": results, "next": null, "previous": null,
                    "regions": {}, "cells": {}}),
                )
            }
            ("POST", ["auth", app]) if *app == APP => {
                self.let_in = true;
                told(
                    StatusCode::OK,
                    &json!({"user": {"id": "u", "email": "ada@example.com"},
                    "connections": self.all_found(url), "regions": {}, "cells": {}}),
                )
            }
            ("GET", ["api", "v3", "connections"]) => {
                let there = self.let_in && query.get("app").is_none_or(|app| app == APP);
                let results: Vec<Value> = there.then(|| self.listed(url)).into_iter().collect();
                told(StatusCode::OK, &json!({"count": results.len(), "results": results}))
            }
            ("POST", ["api", "v3", "users", "me", "apps", app, "auth"]) if *app == APP => {
                self.let_in = true;
                told(StatusCode::OK, &json!({}))
            }
            ("GET", ["api", "v3", "connections", CONNECTION]) => told(StatusCode::OK, &self.looked_at()),
            ("POST", ["api", "v3", "connections", CONNECTION, "actions", "import"]) => self.import(body),
            ("POST", ["api", "v3", "connections", CONNECTION, "actions", action]) => self.act(action),
            ("GET", ["api", "v3", "connections", CONNECTION, "errors"]) => {
                self.paged(url, path, query, &self.write_errors)
            }
            ("GET", ["api", "v3", "mappings", id, "errors"]) => match object(id) {
                Some(mapping) => {
                    let table = mapping.object.to_lowercase();
                    let of = self.write_errors.iter().filter(|error| error["table_name"] == table.as_str());
                    let results: Vec<Value> = of.cloned().collect();
                    self.paged(url, path, query, &results)
                }
                None => nothing(StatusCode::NOT_FOUND),
            },
            ("POST", ["api", "v3", "mappings", id, "actions", "reload"]) => match object(id) {
                Some(mapping) => {
                    let object = mapping.object.clone();
                    if let Some(mapping) = self.mapping(&object) {
                        "RELOAD_TABLE".clone_into(&mut mapping.state);
                    }
                    self.reloads.push(object);
                    nothing(StatusCode::ACCEPTED)
                }
                None => nothing(StatusCode::NOT_FOUND),
            },
            ("GET", ["api", "v3", "mappings", id, "validations"]) => match object(id) {
                Some(mapping) => told(StatusCode::OK, &self.diagnosis["mappings"][mapping.object.as_str()]),
                None => nothing(StatusCode::NOT_FOUND),
            },
            ("POST", ["api", "v3", "connections", CONNECTION, "validations"]) => {
                let result = format!("{url}/api/v3/connections/{CONNECTION}/validations/1");
                told(StatusCode::ACCEPTED, &json!({"result_url": result}))
            }
            ("GET", ["api", "v3", "connections", CONNECTION, "validations", _]) => {
                if self.under_way > 0 {
                    self.under_way -= 1;
                    return nothing(StatusCode::ACCEPTED);
                }
                told(StatusCode::OK, &self.diagnosis)
            }
            ("GET", ["api", "v3", "connections", CONNECTION, "notifications"]) => {
                self.paged(url, path, query, &self.matching(query))
            }
            ("POST", ["api", "v3", "connections", CONNECTION, "notifications", "acknowledge"]) => {
                let gone = self.matching(query);
                self.acknowledged_before = query.get("before").cloned();
                self.notifications.retain(|of| !gone.contains(of));
                nothing(StatusCode::NO_CONTENT)
            }
            _ => told(StatusCode::NOT_FOUND, &json!({"message": "Not found"})),
        }
    }
}

/// A time, or the begin of a day.
fn time(text: &str) -> Option<DateTime<Utc>> {
    let day = || Some(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)?.and_utc());
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc)).or_else(day)
}

fn told(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", axum::http::HeaderValue::from_static("application/json"));
    response
}

fn nothing(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn scripted(status: u16, headers: &[(&'static str, String)], body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(*name, value);
        }
    }
    response
}

fn half() -> Response<Body> {
    let cut = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    Response::new(Body::from_stream(futures_util::stream::iter([Ok(Bytes::from("{")), Err(cut)])))
}

async fn answer(State(api): State<ConnectApi>, request: Request) -> Response<Body> {
    let (method, uri, headers): (Method, _, HeaderMap) =
        (request.method().clone(), request.uri().clone(), request.headers().clone());
    let next = {
        let mut stand = api.stand();
        stand.asked.push(format!("{method} {}", uri.path()));
        stand.next.pop_front()
    };
    match next {
        Some(Scripted::Answer(status, headers, body)) => return scripted(status, &headers, body),
        Some(Scripted::Never) => std::future::pending().await,
        Some(Scripted::Half) => return half(),
        Some(Scripted::Own) | None => {}
    }
    let key = headers.get("authorization").and_then(|value| value.to_str().ok());
    let wanted = format!("Bearer {}", api.key);
    if key != Some(wanted.as_str()) {
        return told(
            StatusCode::UNAUTHORIZED,
            &json!({"id": "unauthorized", "message": "Invalid credentials provided."}),
        );
    }
    let query = uri.query().unwrap_or_default();
    let query: HashMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let Ok(body) = axum::body::to_bytes(request.into_body(), LONGEST).await else {
        return nothing(StatusCode::PAYLOAD_TOO_LARGE);
    };
    api.stand().answer(&api.url(), &method, uri.path(), &query, &body)
}

/// What the demo's diagnosis finds: what Heroku Connect's own checks say of such a connection.
pub(super) fn diagnosis() -> Value {
    let check = |name: &str, message: &str| json!({"display_name": name, "message": message});
    json!({
        "errors": [],
        "warnings": [{"display_name": "Configured Logging", "message": "App does not have logging configured.",
            "doc_url": "https://devcenter.heroku.com/articles/heroku-connect-diagnose#check-configured-log-drain",
            "rule_id": "SHOULD_HAVE_LOG_DRAIN", "status": "FAILED"}],
        "passes": [check("Number of Mappings", "")],
        "skips": [],
        "mappings": {"Contact": {"errors": [check("Upsert Field",
            "This mapping is read-write and has no unique identifier: records may be created twice.")],
            "warnings": [], "passes": [check("Number of Fields", "")], "skips": []}}
    })
}
