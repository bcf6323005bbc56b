//! Receivers of alerts on loopback, as real as they can be: one for HTTP that answers as it is told, and a small SMTP
//! server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What came.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// An answer: status, headers, body.
type Answer = (u16, Vec<(&'static str, String)>, String);

/// A receiver of webhooks. Cheap to clone.
#[derive(Clone)]
pub struct Hook(Arc<Mutex<Stand>>);

struct Stand {
    at: SocketAddr,
    came: Vec<Received>,
    answer: Answer,
}

impl Hook {
    pub async fn start() -> Hook {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let hook = Hook(Arc::new(Mutex::new(Stand {
            at,
            came: Vec::new(),
            answer: (200, Vec::new(), String::new()),
        })));
        let app = Router::new().fallback(take).with_state(hook.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        hook
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.0.lock().unwrap().at)
    }

    pub fn answers(&self, status: u16, headers: Vec<(&'static str, String)>, body: &str) {
        self.0.lock().unwrap().answer = (status, headers, body.to_owned());
    }

    pub fn came(&self) -> Vec<Received> {
        self.0.lock().unwrap().came.clone()
    }

    /// What came since somebody asked last.
    pub fn taken(&self) -> Vec<Received> {
        std::mem::take(&mut self.0.lock().unwrap().came)
    }
}

async fn take(State(hook): State<Hook>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let mut stand = hook.0.lock().unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    stand.came.push(Received { path: uri.path().to_owned(), headers, body });
    let (status, headers, body) = stand.answer.clone();
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(name, value);
    }
    answer.body(Body::from(body)).unwrap()
}

/// What a mail server does.
#[derive(Clone, Debug, Default)]
pub struct Manners {
    /// Who may sign in, and by which password; nobody needs to where there is none.
    pub login: Option<(&'static str, &'static str)>,
    /// What it says to each recipient instead of taking it.
    pub refuses: Option<&'static str>,
}

/// A mail.
#[derive(Clone, Debug)]
pub struct Letter {
    pub from: String,
    pub to: Vec<String>,
    pub data: String,
}

/// A small real mail server. Cheap to clone.
#[derive(Clone)]
pub struct Post(Arc<Mutex<Office>>);

struct Office {
    port: u16,
    /// With what it speaks TLS, and whether from the beginning.
    tls: Option<(TlsAcceptor, bool)>,
    manners: Manners,
    letters: Vec<Letter>,
    /// Each line that it was told.
    heard: Vec<String>,
}

impl Post {
    pub async fn start(manners: Manners) -> Post {
        Post::open(manners, None).await
    }

    /// One that speaks TLS: from the beginning, or when it is asked to.
    pub async fn secured(manners: Manners, acceptor: TlsAcceptor, from_the_beginning: bool) -> Post {
        Post::open(manners, Some((acceptor, from_the_beginning))).await
    }

    async fn open(manners: Manners, tls: Option<(TlsAcceptor, bool)>) -> Post {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let office = Office { port, tls, manners, letters: Vec::new(), heard: Vec::new() };
        let post = Post(Arc::new(Mutex::new(office)));
        let served = post.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let post = served.clone();
                tokio::spawn(async move { post.converse(stream).await });
            }
        });
        post
    }

    pub fn port(&self) -> u16 {
        self.0.lock().unwrap().port
    }

    pub fn behaves(&self, manners: Manners) {
        self.0.lock().unwrap().manners = manners;
    }

    pub fn letters(&self) -> Vec<Letter> {
        self.0.lock().unwrap().letters.clone()
    }

    pub fn heard(&self) -> Vec<String> {
        self.0.lock().unwrap().heard.clone()
    }

    async fn converse(self, stream: impl Wire + 'static) -> Option<()> {
        let tls = self.0.lock().unwrap().tls.clone();
        let mut wire: BufStream<Box<dyn Wire>> = BufStream::new(match &tls {
            Some((acceptor, true)) => Box::new(acceptor.accept(stream).await.ok()?),
            _ => Box::new(stream),
        });
        let mut is_plain = tls.as_ref().is_some_and(|(_, from_the_beginning)| !from_the_beginning);
        say(&mut wire, "220 mail.example.com ESMTP").await?;
        let (mut is_in, mut letter) = (false, None::<Letter>);
        while let Some(line) = hear(&mut wire).await {
            let manners = {
                let mut office = self.0.lock().unwrap();
                office.heard.push(line.clone());
                office.manners.clone()
            };
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
            let address = || line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
            let answer = match verb.as_str() {
                "EHLO" if is_plain => "250-mail.example.com\r\n250 STARTTLS".to_owned(),
                "EHLO" => "250-mail.example.com\r\n250-8BITMIME\r\n250 AUTH PLAIN".to_owned(),
                "STARTTLS" if is_plain => {
                    say(&mut wire, "220 go on").await?;
                    let (acceptor, _) = tls.as_ref()?;
                    wire = BufStream::new(Box::new(acceptor.accept(wire.into_inner()).await.ok()?));
                    is_plain = false;
                    continue;
                }
                "AUTH" => {
                    let given = line.rsplit(' ').next().and_then(|given| STANDARD.decode(given).ok());
                    let given = String::from_utf8(given.unwrap_or_default()).unwrap();
                    let wanted = manners.login.map(|(user, password)| format!("\0{user}\0{password}"));
                    is_in = wanted.as_deref() == Some(given.as_str());
                    if is_in { "235 welcome" } else { "535 5.7.8 authentication failed" }.to_owned()
                }
                "MAIL" if manners.login.is_some() && !is_in => "530 5.7.0 authentication required".to_owned(),
                "MAIL" => {
                    letter = Some(Letter { from: address(), to: Vec::new(), data: String::new() });
                    "250 ok".to_owned()
                }
                "RCPT" => match manners.refuses {
                    Some(words) => words.to_owned(),
                    None => {
                        letter.as_mut()?.to.push(address());
                        "250 ok".to_owned()
                    }
                },
                "DATA" => {
                    say(&mut wire, "354 go on").await?;
                    let mut data = String::new();
                    while let Some(line) = hear(&mut wire).await.filter(|line| line != ".") {
                        data.push_str(&format!("{line}\n"));
                    }
                    let mut letter = letter.take()?;
                    letter.data = data;
                    self.0.lock().unwrap().letters.push(letter);
                    "250 taken".to_owned()
                }
                "QUIT" => {
                    say(&mut wire, "221 bye").await?;
                    return None;
                }
                "RSET" | "NOOP" => "250 ok".to_owned(),
                _ => "502 5.5.1 not here".to_owned(),
            };
            say(&mut wire, &answer).await?;
        }
        None
    }
}

/// What a conversation goes over.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

async fn say(wire: &mut BufStream<Box<dyn Wire>>, line: &str) -> Option<()> {
    wire.write_all(format!("{line}\r\n").as_bytes()).await.ok()?;
    wire.flush().await.ok()
}

async fn hear(wire: &mut BufStream<Box<dyn Wire>>) -> Option<String> {
    let mut line = String::new();
    let read = wire.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}
