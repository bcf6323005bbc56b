//! The Platform API's log sessions and Logplex behind them, on loopback: sessions are created, followed, cut and used up;
//! each new one begins with the newest lines.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// What the API key must be.
pub const KEY: &str = "HRKU-sesame";
/// The app that there is.
pub const APP: &str = "acme-shop";

/// The stand-in. Cheap to clone.
#[derive(Clone, Default)]
pub struct Heroku(Arc<Mutex<Stand>>);

#[derive(Default)]
struct Stand {
    at: Option<SocketAddr>,
    lines: Vec<String>,
    /// Sessions that were created and not opened: how many lines, and whether they go on.
    sessions: HashMap<String, (usize, bool)>,
    created: usize,
    /// Bodies of the requests for sessions.
    asked: Vec<Value>,
    open: Vec<mpsc::UnboundedSender<Bytes>>,
    /// How many lines are kept.
    kept: usize,
    /// Whether the app is of the Fir generation: sessions follow it, and have no history.
    fir: bool,
    /// Answered to the next requests for sessions.
    refusals: Vec<u16>,
}

impl Stand {
    fn write(&mut self, text: &str) {
        // A line a second, from 16:00 on.
        let seconds = 1_730_131_200 + i64::try_from(self.lines.len()).unwrap();
        let time = chrono::DateTime::from_timestamp(seconds, 0).unwrap().format("%Y-%m-%dT%H:%M:%S");
        let line = format!("{time}.215250+00:00 {text}");
        self.open.retain(|open| open.send(event(&line)).is_ok());
        self.lines.push(line);
    }

    fn cut(&mut self) {
        let half = Bytes::from("data: 2024-10-28T16:00:00.215250+00:00 app[web.1]: hal");
        self.open.drain(..).for_each(|open| drop(open.send(half.clone())));
    }
}

impl Heroku {
    pub async fn start() -> Heroku {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let heroku = Heroku::default();
        heroku.with(|stand| (stand.at, stand.kept) = (listener.local_addr().ok(), 1_500));
        let app = Router::new().fallback(answer).with_state(heroku.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        heroku
    }

    fn with<T>(&self, operation: impl FnOnce(&mut Stand) -> T) -> T {
        operation(&mut self.0.lock().unwrap())
    }

    pub fn url(&self) -> String {
        self.with(|stand| format!("http://{}", stand.at.unwrap()))
    }

    /// The app writes a line.
    pub fn write(&self, text: &str) {
        self.with(|stand| stand.write(text));
    }

    /// Sends the beginning of a line and cuts every stream.
    pub fn cut(&self) {
        self.with(Stand::cut);
    }

    /// The same, and the app writes lines before any other stream is opened.
    pub fn cut_before(&self, texts: &[&str]) {
        self.with(|stand| {
            stand.cut();
            texts.iter().for_each(|text| stand.write(text));
        });
    }

    /// Lines that are older than so many are forgotten.
    pub fn keep(&self, lines: usize) {
        self.with(|stand| stand.kept = lines);
    }

    /// Refuses so many requests for sessions.
    pub fn refuse(&self, status: u16, times: usize) {
        self.with(|stand| stand.refusals = vec![status; times]);
    }

    /// The app is of the Fir generation.
    pub fn is_fir(&self) {
        self.with(|stand| stand.fir = true);
    }

    pub fn created(&self) -> usize {
        self.with(|stand| stand.created)
    }

    /// How many streams were opened and not cut.
    pub fn open(&self) -> usize {
        self.with(|stand| stand.open.len())
    }

    pub fn asked(&self) -> Vec<Value> {
        self.with(|stand| stand.asked.clone())
    }
}

fn event(line: &str) -> Bytes {
    Bytes::from(format!("id: 1\ndata: {line}\n\n"))
}

fn status(status: u16) -> Response<Body> {
    let mut response = Response::new(Body::from("{\"id\":\"it\",\"message\":\"No.\"}"));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

async fn answer(State(heroku): State<Heroku>, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    match path.strip_prefix("/stream/") {
        Some(session) => heroku.stream(session),
        None => heroku.session(&path, request).await,
    }
}

impl Heroku {
    async fn session(&self, path: &str, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let key = head.headers["authorization"].to_str().unwrap();
        assert_eq!(head.headers["accept"], "application/vnd.heroku+json; version=3.sdk");
        if key != format!("Bearer {KEY}") {
            return status(401);
        }
        if path == format!("/apps/{APP}") {
            let generation = if self.with(|stand| stand.fir) { "fir" } else { "cedar" };
            return Response::new(Body::from(json!({"generation": {"name": generation}}).to_string()));
        }
        if path != format!("/apps/{APP}/log-sessions") {
            return status(404);
        }
        let body: Value =
            serde_json::from_slice(&axum::body::to_bytes(body, 1 << 16).await.unwrap()).unwrap();
        let url = self.url();
        self.with(|stand| {
            if stand.fir && (body.get("lines").is_some() || body.get("tail").is_some()) {
                return status(422);
            }
            if let Some(refusal) = stand.refusals.pop() {
                return status(refusal);
            }
            stand.created += 1;
            let lines = body["lines"].as_u64().map_or(0, |lines| usize::try_from(lines).unwrap());
            let name = format!("s{}", stand.created);
            stand.sessions.insert(name.clone(), (lines, body["tail"].as_bool().unwrap_or(stand.fir)));
            stand.asked.push(body);
            let told = json!({"id": name, "logplex_url": format!("{url}/stream/{name}?secret=token")});
            let mut response = Response::new(Body::from(told.to_string()));
            *response.status_mut() = StatusCode::CREATED;
            response
        })
    }

    fn stream(&self, session: &str) -> Response<Body> {
        self.with(|stand| {
            // An address is good for one stream.
            let Some((lines, tail)) = stand.sessions.remove(session) else { return status(404) };
            let (sender, receiver) = mpsc::unbounded_channel();
            let newest = stand.lines.len().saturating_sub(lines.min(stand.kept));
            stand.lines[newest..].iter().for_each(|line| sender.send(event(line)).unwrap());
            if tail {
                stand.open.push(sender);
            }
            let pieces = stream::unfold(receiver, |mut receiver| async {
                let piece = receiver.recv().await?;
                Some((Ok::<Bytes, std::io::Error>(piece), receiver))
            });
            let mut response = Response::new(Body::from_stream(pieces));
            response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
            response
        })
    }
}
