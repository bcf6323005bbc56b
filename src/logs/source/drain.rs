//! A drain: Heroku's log router (Logplex) sends an app's lines here by HTTP. A request is answered with 204 when whoever
//! reads the source has taken its lines in; while the reader is too slow the answer is 503, and Logplex keeps the lines and
//! sends them again. A request that was told meanwhile is known again by its name.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::Utc;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use super::{QUIET, ReadManner, Receipt, SourceFailure, Teller, frames};
use crate::logs::parse::Zone;
use crate::logs::parse::origin::LineOrigin;
use crate::logs::parse::stream::Stream;

/// Lines that were taken in and not told.
const WAITING: usize = 20_000;
/// How long a request waits for room, and then for the reader, before it is told to come again.
const PATIENCE: Duration = Duration::from_secs(2);
/// The largest body; Logplex sends far smaller ones.
const LARGEST: usize = 8 << 20;
/// Requests that are known again when they are sent twice.
const KNOWN: usize = 1_024;

/// Where a drain listens, and who may send there.
#[derive(Clone, Debug)]
pub struct DrainAt {
    /// Address and port.
    pub listen: SocketAddr,
    /// What a request must show; on loopback it may be nothing.
    pub login: Option<Login>,
}

/// What a request must show.
#[derive(Clone, Debug)]
pub enum Login {
    /// A user and a password (basic authentication), as they stand in the drain's URL.
    Basic {
        /// The user.
        user: String,
        /// The environment variable that holds the password.
        password_env: String,
    },
    /// The drain's own token, `d.9173ea1f-...`, which Logplex sends with each request.
    Token {
        /// The environment variable that holds it.
        token_env: String,
    },
}

/// What a request must show, as it is shown.
enum Proof {
    None,
    Basic(SecretString),
    Token(SecretString),
}

/// Takes in what is sent.
pub(super) async fn read(
    drain: &DrainAt,
    manner: ReadManner,
    teller: &mut Teller,
) -> Result<(), SourceFailure> {
    if !manner.follow {
        // A drain has nothing of what was sent before.
        return Ok(());
    }
    let (sender, mut batches) = mpsc::unbounded_channel();
    let intake = Intake {
        proof: Proof::of(drain.login.as_ref())?,
        room: Semaphore::new(WAITING),
        known: Mutex::default(),
        sender,
    };
    let listener = listen(drain).await?;
    let app = Router::new().fallback(answer).with_state(Arc::new(intake));
    teller.works().await;
    teller.caught_up().await;
    let mut stream = Stream::new(LineOrigin::named(&teller.name, "logplex", Zone::Utc));
    // A task of its own: it answers while the lines that were taken in wait for their reader.
    let mut server = AbortOnDropHandle::new(tokio::spawn(async { axum::serve(listener, app).await }));
    loop {
        tokio::select! {
            ended = &mut server => {
                let why = match ended {
                    Ok(Ok(())) => "it ended".to_owned(),
                    Ok(Err(error)) => error.to_string(),
                    Err(error) => error.to_string(),
                };
                return Err(SourceFailure::new(format!("the drain broke: {why}"), "it is opened again"));
            }
            batch = batches.recv() => if let Some(batch) = batch {
                tell(batch, &mut stream, teller).await;
            },
            () = tokio::time::sleep(QUIET) => {
                stream.idle();
                teller.lines(&mut stream).await;
            }
        }
    }
}

/// Whether it can listen.
pub(super) async fn check(drain: &DrainAt) -> Result<(), SourceFailure> {
    Proof::of(drain.login.as_ref())?;
    listen(drain).await.map(|_| ())
}

async fn listen(drain: &DrainAt) -> Result<TcpListener, SourceFailure> {
    TcpListener::bind(drain.listen).await.map_err(|error| {
        SourceFailure::new(
            format!("cannot listen on {}: {error}", drain.listen),
            "end what listens there, perhaps another console or syncdeck logs -f, or change listen",
        )
    })
}

/// Tells the lines of a request.
async fn tell(batch: Batch, stream: &mut Stream, teller: &Teller) {
    for line in &batch.lines {
        stream.line(line, Utc::now());
        teller.lines(stream).await;
    }
    // A trace may go on in the next request, which comes when this one is answered.
    stream.settle();
    teller.lines(stream).await;
    if batch.missing > 0 {
        stream.idle();
        teller.lines(stream).await;
        teller.gap(Some(batch.missing), "the request said that it had more than came").await;
    }
    teller.taken(batch.receipt).await;
}

/// The lines of one request.
struct Batch {
    lines: Vec<String>,
    /// How many it said to have beside them.
    missing: usize,
    /// For the reader, when they were taken in.
    receipt: Receipt,
}

/// What all requests share.
struct Intake {
    proof: Proof,
    room: Semaphore,
    known: Mutex<Known>,
    sender: mpsc::UnboundedSender<Batch>,
}

async fn answer(State(intake): State<Arc<Intake>>, request: Request<Body>) -> Response<Body> {
    let status = take(&intake, request).await;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let told = match status {
        StatusCode::UNAUTHORIZED => {
            Some((header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Basic realm=\"drain\"")))
        }
        StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, header::HeaderValue::from_static("1"))),
        StatusCode::METHOD_NOT_ALLOWED => Some((header::ALLOW, header::HeaderValue::from_static("POST"))),
        _ => None,
    };
    response.headers_mut().extend(told);
    response
}

async fn take(intake: &Arc<Intake>, request: Request<Body>) -> StatusCode {
    let (head, body) = request.into_parts();
    if !intake.proof.is_shown(&head.headers) {
        return StatusCode::UNAUTHORIZED;
    }
    if head.method != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED;
    }
    let Ok(body) = axum::body::to_bytes(body, LARGEST).await else {
        return StatusCode::PAYLOAD_TOO_LARGE;
    };
    let name = text(&head.headers, "logplex-frame-id").map(str::to_owned);
    if let Some(answer) = name.as_ref().and_then(|name| intake.known().begin(name)) {
        return answer;
    }
    let (found, rest) = frames::split(&body);
    let mut lines: Vec<String> = found.into_iter().map(frames::line).collect();
    let count = text(&head.headers, "logplex-msg-count").and_then(|count| count.parse().ok());
    let missing = count.map_or(0, |count: usize| count.saturating_sub(lines.len()));
    if !rest.is_empty() {
        lines.push(frames::line(rest));
    }
    let is_named = name.is_some();
    // It goes on where the sender hangs up: what was begun is told once, and known by its name from then on.
    let mut delivery = tokio::spawn(deliver(intake.clone(), lines, missing, name));
    let answer = match is_named {
        true => tokio::time::timeout(PATIENCE, &mut delivery).await.unwrap_or(Ok(false)),
        // Without a name it would be told twice if it came again.
        false => delivery.await,
    };
    if answer.unwrap_or(false) { StatusCode::NO_CONTENT } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// Has the lines of a request told; whether the reader has taken them in.
async fn deliver(intake: Arc<Intake>, lines: Vec<String>, missing: usize, name: Option<String>) -> bool {
    let weight = u32::try_from(lines.len().clamp(1, WAITING)).unwrap_or(1);
    let (receipt, taken) = oneshot::channel();
    let is_taken = match tokio::time::timeout(PATIENCE, intake.room.acquire_many(weight)).await {
        Ok(Ok(_room)) => {
            let sent = intake.sender.send(Batch { lines, missing, receipt: Receipt(receipt) });
            sent.is_ok() && taken.await.is_ok()
        }
        _ => false,
    };
    if let Some(name) = name {
        intake.known().end(name, is_taken);
    }
    is_taken
}

/// Requests by the names that Logplex gives them.
#[derive(Default)]
struct Known {
    /// Those that are being told.
    begun: HashSet<String>,
    /// The newest of those that were taken in.
    taken: VecDeque<String>,
}

impl Known {
    /// A request begins, or is answered at once where it came before.
    fn begin(&mut self, name: &str) -> Option<StatusCode> {
        if self.taken.iter().any(|taken| taken == name) {
            return Some(StatusCode::NO_CONTENT);
        }
        (!self.begun.insert(name.to_owned())).then_some(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// It was taken in, or not.
    fn end(&mut self, name: String, is_taken: bool) {
        self.begun.remove(&name);
        if is_taken {
            self.taken.push_back(name);
        }
        if self.taken.len() > KNOWN {
            self.taken.pop_front();
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

impl Intake {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proof {
    fn of(login: Option<&Login>) -> Result<Proof, SourceFailure> {
        let secret = |name: &String| {
            std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or_else(|| {
                let what = format!("the environment variable {name} is not set");
                SourceFailure::new(what, "set it to what the drain's sender shows")
            })
        };
        Ok(match login {
            None => Proof::None,
            Some(Login::Basic { user, password_env }) => {
                let both = format!("{user}:{}", secret(password_env)?);
                Proof::Basic(format!("Basic {}", BASE64_STANDARD.encode(both)).into())
            }
            Some(Login::Token { token_env }) => Proof::Token(secret(token_env)?.into()),
        })
    }

    fn is_shown(&self, headers: &HeaderMap) -> bool {
        let (name, wanted) = match self {
            Proof::None => return true,
            Proof::Basic(wanted) => ("authorization", wanted),
            Proof::Token(wanted) => ("logplex-drain-token", wanted),
        };
        text(headers, name).is_some_and(|shown| is_same(shown, wanted.expose_secret()))
    }
}

/// Whether two texts are one, in a time that does not tell how much of them is.
fn is_same(shown: &str, wanted: &str) -> bool {
    let differ = shown.bytes().zip(wanted.bytes()).fold(0, |differ, (one, other)| differ | (one ^ other));
    shown.len() == wanted.len() && differ == 0
}
