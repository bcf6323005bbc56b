//! An HTTP proxy before the org that answers as nobody should: by what it puts in the place of the org's answer, or by
//! what it makes of it. It carries everything else as it came.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What it does to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lie {
    /// A page of HTML with this status.
    Html(u16),
    /// A body of nothing.
    Empty,
    /// 204 where something was asked for.
    NoContent,
    /// The answer's first half, as if it were all.
    Half,
    /// The same, and the connection ends before the length that was told.
    Broken,
    /// A length that is less than what comes.
    ShortLength,
    /// Objects for lists, texts for numbers.
    WrongTypes,
    /// JSON of another kind.
    Stranger,
    /// `null` for each record and result.
    Nulls,
    /// A number of records below zero.
    NegativeTotal,
    /// One record or result less than there are.
    OneLess,
    /// Results in another order; records without ids.
    MixedUp,
    /// A byte a second.
    Dribble,
    /// To another host.
    Redirect,
    /// To where it was asked.
    RedirectBack,
    /// A next page at another host.
    NextElsewhere,
    /// A next page that is this one.
    NextLoop,
    /// Compressed: a few hundred kilobytes that become a hundred megabytes.
    Bomb,
    /// Blanks for ever.
    Endless,
    /// Short values up to the longest body that is read.
    ManyValues,
    /// Brackets in brackets.
    Deep,
    /// Headers for ever.
    EndlessHeaders,
    /// The answer in UTF-16.
    Utf16,
    /// The answer, said to be in another charset.
    Charset,
    /// The answer behind a byte order mark, which is harmless.
    Bom,
    /// The answer after 100 and 103, which is harmless.
    Early,
    /// Each key twice, the first time with nonsense, which is harmless.
    Twice,
    /// A refusal with a pause that nobody lives to see, and limits that no org has.
    LongPause,
    /// Stamps of the year 9999.
    Future,
}

impl Lie {
    /// All that may be told at any time.
    pub const ALL: [Lie; 32] = [
        Lie::Html(200),
        Lie::Html(403),
        Lie::Html(404),
        Lie::Html(502),
        Lie::Empty,
        Lie::NoContent,
        Lie::Half,
        Lie::Broken,
        Lie::ShortLength,
        Lie::WrongTypes,
        Lie::Stranger,
        Lie::Nulls,
        Lie::NegativeTotal,
        Lie::OneLess,
        Lie::MixedUp,
        Lie::Dribble,
        Lie::Redirect,
        Lie::RedirectBack,
        Lie::NextElsewhere,
        Lie::NextLoop,
        Lie::Bomb,
        Lie::Endless,
        Lie::ManyValues,
        Lie::Deep,
        Lie::EndlessHeaders,
        Lie::Utf16,
        Lie::Charset,
        Lie::Bom,
        Lie::Early,
        Lie::Twice,
        Lie::LongPause,
        Lie::Future,
    ];
}

/// What it does to what is told of a job of Bulk API 2.0, and to the pages of its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobLie {
    /// Salesforce gave the job up.
    Failed,
    /// A page of HTML for all of it.
    Html,
    /// A page's first half, as if it were all.
    HalfPage,
    /// Another column.
    OtherColumn,
    /// A next page that is this one.
    Again,
    /// No page but the first one.
    NoMore,
    /// Every other page's head comes at once, and its records after the whole of the page behind it.
    Overtaken,
    /// The second page ends in the middle, twice, when the whole of the page behind it is there.
    MiddleBroken,
}

impl JobLie {
    pub const ALL: [JobLie; 6] =
        [JobLie::Html, JobLie::Failed, JobLie::HalfPage, JobLie::OtherColumn, JobLie::Again, JobLie::NoMore];

    /// What becomes of an answer; nothing where it is not about that.
    fn spoil(self, request: &Request, head: &str, body: &[u8]) -> Option<Vec<u8>> {
        let path = request.path.split_once("/jobs/query").map(|(_, path)| path)?;
        let is_page = path.contains("/results");
        let told = |from: &str, to: &str| {
            let spoilt = replace(body, from.as_bytes(), to.as_bytes());
            (!is_page && spoilt != body).then(|| answer(head, &spoilt))
        };
        let page = |head: &str, body: &[u8]| is_page.then(|| answer(head, body));
        match self {
            JobLie::Failed => told("\"JobComplete\"", "\"Failed\""),
            JobLie::Html => {
                let html = b"<!DOCTYPE html><html><body>Scheduled maintenance</body></html>\n";
                Some(answer("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n", html))
            }
            JobLie::HalfPage => page(head, &body[..body.len() / 2]),
            JobLie::OtherColumn => page(head, &replace(body, b"\"LastName\"", b"\"LastLame\"")),
            JobLie::NoMore => path.contains("locator=").then(|| {
                let body = b"[{\"errorCode\":\"INVALIDQUERYLOCATOR\",\"message\":\"invalid query locator\"}]";
                answer("HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n", body)
            }),
            JobLie::Again => page(&with_header(head, "sforce-locator", "MjUwMA"), body),
            // Those are no matter of words.
            JobLie::Overtaken | JobLie::MiddleBroken => None,
        }
    }
}

/// Records on a page, as the world's org has them.
const PAGE: usize = 2_500;

/// Which page of a job's result a request is for, by its locator: the number of records before it.
fn page_of(request: &Request) -> Option<usize> {
    let (_, results) = request.path.split_once("/results?")?;
    let locator = results.split('&').find_map(|pair| pair.strip_prefix("locator="));
    let Some(locator) = locator else { return Some(0) };
    let before = String::from_utf8(STANDARD_NO_PAD.decode(locator).ok()?).ok()?;
    Some(before.parse::<usize>().ok()? / PAGE)
}

/// A head whose header says something else.
fn with_header(head: &str, name: &str, value: &str) -> String {
    let others = head.lines().filter(|line| !line.to_lowercase().starts_with(&format!("{name}:")));
    let others = others.map(|line| format!("{line}\r\n"));
    others.chain([format!("{name}: {value}\r\n")]).collect()
}

/// Pauses and limits that nobody has.
const LONG_PAUSE: &str = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 18446744073709551615\r\n\
    Sforce-Limit-Info: api-usage=-7/99999999999999999999\r\n";

/// What is told, of which requests.
#[derive(Clone, Debug, Default)]
pub struct Story {
    pub lie: Option<Lie>,
    /// Of each ten requests below `/services/data`, so many.
    pub of_ten: u64,
    /// Only of writes, or only of reads.
    pub writes: Option<bool>,
    /// Texts of bodies that become others.
    pub texts: Vec<(&'static str, &'static str)>,
    /// Of jobs of Bulk API 2.0, whatever else is told.
    pub job: Option<JobLie>,
}

/// A running proxy. Ends with its runtime.
#[derive(Clone)]
pub struct Liar {
    pub address: SocketAddr,
    story: Arc<Mutex<Story>>,
    told: Arc<AtomicU64>,
    asked: Arc<AtomicU64>,
    /// How often somebody came to where nobody should.
    strayed: Arc<AtomicU64>,
    elsewhere: SocketAddr,
    /// Pages of a job's result up to the last one that was told as a whole.
    whole: watch::Sender<usize>,
}

struct Request {
    method: String,
    path: String,
    bytes: Vec<u8>,
}

impl Liar {
    pub async fn start(org: SocketAddr) -> Liar {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let elsewhere = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let liar = Liar {
            address: listener.local_addr().unwrap(),
            story: Arc::default(),
            told: Arc::default(),
            asked: Arc::default(),
            strayed: Arc::default(),
            elsewhere: elsewhere.local_addr().unwrap(),
            whole: watch::Sender::new(0),
        };
        let strayed = liar.strayed.clone();
        tokio::spawn(async move {
            while elsewhere.accept().await.is_ok() {
                strayed.fetch_add(1, Ordering::Relaxed);
            }
        });
        let own = liar.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let own = own.clone();
                tokio::spawn(async move {
                    let _ = client.set_nodelay(true);
                    let _ = own.serve(client, org).await;
                });
            }
        });
        liar
    }

    pub fn tell(&self, story: Story) {
        *self.story.lock().unwrap() = story;
    }

    /// How many lies were told.
    pub fn told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// How often somebody came to the other host.
    pub fn strayed(&self) -> u64 {
        self.strayed.load(Ordering::Relaxed)
    }

    async fn serve(&self, mut client: TcpStream, org: SocketAddr) -> std::io::Result<()> {
        while let Some(request) = read_request(&mut client).await? {
            let story = self.story.lock().unwrap().clone();
            let write = request.method != "GET";
            let asked = self.asked.fetch_add(1, Ordering::Relaxed);
            let concerned = request.path.starts_with("/services/data")
                && story.writes.is_none_or(|writes| writes == write)
                && asked % 10 < story.of_ten;
            if story.lie == Some(Lie::LongPause) && concerned {
                // Whoever says so has done nothing.
                self.told.fetch_add(1, Ordering::Relaxed);
                let body = b"[{\"errorCode\":\"SERVER_UNAVAILABLE\",\"message\":\"later\"}]";
                client.write_all(&answer(LONG_PAUSE, body)).await?;
                continue;
            }
            let (head, mut body) = forward(org, &request.bytes).await?;
            for (from, to) in &story.texts {
                body = replace(&body, from.as_bytes(), to.as_bytes());
            }
            if let Some(spoilt) = story.job.and_then(|lie| lie.spoil(&request, &head, &body)) {
                self.told.fetch_add(1, Ordering::Relaxed);
                client.write_all(&spoilt).await?;
                continue;
            }
            if let Some(lie) = story.job
                && let Some(page) = page_of(&request)
            {
                if !self.turn(lie, page, &mut client, &head, &body).await? {
                    return Ok(());
                }
                continue;
            }
            match story.lie.filter(|_| concerned) {
                Some(lie) => {
                    self.told.fetch_add(1, Ordering::Relaxed);
                    if !self.lie(lie, &mut client, &request, &head, body).await? {
                        return Ok(());
                    }
                }
                None => client.write_all(&answer(&head, &body)).await?,
            }
        }
        Ok(())
    }

    /// Tells a page of a job in its turn. False when the connection is of no use any more.
    async fn turn(
        &self,
        lie: JobLie,
        page: usize,
        to: &mut TcpStream,
        head: &str,
        body: &[u8],
    ) -> std::io::Result<bool> {
        let is_last = header(head, "sforce-locator") == Some("null");
        let waits = lie == JobLie::Overtaken && page.is_multiple_of(2) && !is_last;
        let breaks = lie == JobLie::MiddleBroken && page == 1 && self.told() < 2;
        let begun = format!("{head}Content-Length: {}\r\n\r\n", body.len());
        to.write_all(begun.as_bytes()).await?;
        if waits || breaks {
            to.write_all(&body[..body.len() / 2]).await?;
            let _ = self.whole.subscribe().wait_for(|whole| *whole > page + 1).await;
            self.told.fetch_add(1, Ordering::Relaxed);
            if breaks {
                return Ok(false);
            }
            to.write_all(&body[body.len() / 2..]).await?;
        } else {
            to.write_all(body).await?;
        }
        self.whole.send_modify(|whole| *whole = (*whole).max(page + 1));
        Ok(true)
    }

    /// Tells one. False when the connection is of no use any more.
    async fn lie(
        &self,
        lie: Lie,
        to: &mut TcpStream,
        request: &Request,
        head: &str,
        body: Vec<u8>,
    ) -> std::io::Result<bool> {
        let plain = |status: u16, more: &str, body: &[u8]| {
            let head = format!("HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\n{more}");
            answer(&head, body)
        };
        let spoilt = |spoil: &dyn Fn(&mut Value)| {
            let mut value: Value = serde_json::from_slice(&body).unwrap_or_default();
            spoil(&mut value);
            answer(head, value.to_string().as_bytes())
        };
        let whole = match lie {
            Lie::Html(status) => {
                let page = b"<!DOCTYPE html><html><body>Scheduled maintenance</body></html>";
                answer(&format!("HTTP/1.1 {status} Whatever\r\nContent-Type: text/html\r\n"), page)
            }
            Lie::Empty => plain(200, "", b""),
            Lie::NoContent => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
            Lie::Half => answer(head, &body[..body.len() / 2]),
            Lie::Broken => {
                let cut = answer(head, &body);
                to.write_all(&cut[..cut.len() - body.len() / 2]).await?;
                return Ok(false);
            }
            Lie::ShortLength => {
                let head = format!("{head}Content-Length: {}\r\n\r\n", body.len() / 2);
                to.write_all(head.as_bytes()).await?;
                to.write_all(&body).await?;
                return Ok(false);
            }
            Lie::WrongTypes => spoilt(&|value| match value {
                Value::Array(_) => *value = json!({"results": 7}),
                Value::Object(fields) => {
                    for value in fields.values_mut() {
                        *value = json!({"was": value.to_string()});
                    }
                }
                _ => {}
            }),
            Lie::Stranger => plain(200, "", b"{\"status\":\"ok\",\"items\":[]}"),
            Lie::Nulls => spoilt(&|value| {
                let lists = value.get_mut("records").and_then(Value::as_array_mut);
                lists.into_iter().flatten().for_each(|item| *item = Value::Null);
                value.as_array_mut().into_iter().flatten().for_each(|item| *item = Value::Null);
            }),
            Lie::NegativeTotal => spoilt(&|value| {
                if value.get("totalSize").is_some() {
                    value["totalSize"] = json!(-1);
                }
            }),
            Lie::OneLess => spoilt(&|value| {
                value.get_mut("records").and_then(Value::as_array_mut).map(Vec::pop);
                value.as_array_mut().map(Vec::pop);
            }),
            Lie::MixedUp => spoilt(&|value| {
                if let Some(results) = value.as_array_mut().filter(|results| results.len() > 1) {
                    results.rotate_left(1);
                }
                for record in value.get_mut("records").and_then(Value::as_array_mut).into_iter().flatten() {
                    record["Id"] = json!("of another");
                }
            }),
            Lie::Dribble => {
                for byte in answer(head, &body) {
                    to.write_all(&[byte]).await?;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                return Ok(false);
            }
            Lie::Redirect => {
                plain(302, &format!("Location: http://{}/services/data/\r\n", self.elsewhere), b"")
            }
            Lie::RedirectBack => plain(307, &format!("Location: {}\r\n", request.path), b""),
            Lie::NextElsewhere | Lie::NextLoop => spoilt(&|value| {
                if value.get("totalSize").is_some() {
                    value["totalSize"] = json!(1_000_000);
                    value["done"] = json!(false);
                    value["nextRecordsUrl"] = match lie {
                        Lie::NextLoop => json!(request.path),
                        _ => json!(format!("http://{}/services/data/v62.0/query/01g-2000", self.elsewhere)),
                    };
                }
            }),
            Lie::Bomb => plain(200, "Content-Encoding: gzip\r\n", &bomb(120 << 20)),
            Lie::Endless | Lie::ManyValues => {
                to.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[").await?;
                let piece = if lie == Lie::Endless { " ".repeat(1 << 16) } else { "1,".repeat(1 << 15) };
                let most = if lie == Lie::Endless { usize::MAX } else { 60 << 4 };
                for _ in 0..most {
                    to.write_all(piece.as_bytes()).await?;
                }
                to.write_all(b"1]").await?;
                return Ok(false);
            }
            Lie::Deep => plain(200, "", "[".repeat(1_000_000).as_bytes()),
            Lie::EndlessHeaders => {
                to.write_all(b"HTTP/1.1 200 OK\r\n").await?;
                for number in 0..1_000_000 {
                    to.write_all(format!("X-{number}: {number:0>500}\r\n").as_bytes()).await?;
                }
                return Ok(false);
            }
            Lie::Utf16 => {
                let text = String::from_utf8_lossy(&body);
                answer(head, &text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>())
            }
            Lie::Charset => {
                let status = head.lines().next().unwrap_or_default();
                answer(&format!("{status}\r\nContent-Type: application/json;charset=ISO-8859-1\r\n"), &body)
            }
            Lie::Bom => answer(head, &[b"\xEF\xBB\xBF", body.as_slice()].concat()),
            Lie::Early => {
                let early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
                [early.as_slice(), &answer(head, &body)].concat()
            }
            Lie::Twice => answer(head, &replace(&body, b"{\"", b"{\"records\":7,\"success\":\"no\",\"")),
            // Told already.
            Lie::LongPause => return Ok(true),
            Lie::Future => {
                let mut body = body;
                for year in ["2025-", "2026-", "2027-", "2028-"] {
                    let stamp = |year: &str| format!("\"SystemModstamp\":\"{year}").into_bytes();
                    body = replace(&body, &stamp(year), &stamp("9999-"));
                    let covered = |year: &str| format!("\"latestDateCovered\":\"{year}").into_bytes();
                    body = replace(&body, &covered(year), &covered("9999-"));
                }
                answer(head, &body)
            }
        };
        to.write_all(&whole).await?;
        Ok(true)
    }
}

/// A request whole; `None` at the end of the connection.
async fn read_request(from: &mut TcpStream) -> std::io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if from.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while bytes.len() < end + length {
        if from.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    Ok(Some(Request { method: method.to_owned(), path: path.to_owned(), bytes }))
}

/// The org's answer: its head without what tells the body's length, and the body.
async fn forward(org: SocketAddr, request: &[u8]) -> std::io::Result<(String, Vec<u8>)> {
    let mut to = TcpStream::connect(org).await?;
    let end = request.windows(2).position(|two| two == b"\r\n").unwrap_or(0) + 2;
    to.write_all(&request[..end]).await?;
    to.write_all(b"connection: close\r\n").await?;
    to.write_all(&request[end..]).await?;
    let mut bytes = Vec::new();
    to.read_to_end(&mut bytes).await?;
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let kept = head.lines().filter(|line| {
        let line = line.to_lowercase();
        !line.is_empty() && !line.starts_with("content-length") && !line.starts_with("connection")
    });
    Ok((kept.map(|line| format!("{line}\r\n")).collect(), bytes[end..].to_vec()))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let line =
        head.lines().find_map(|line| line.split_once(':').filter(|(is, _)| is.eq_ignore_ascii_case(name)));
    line.map(|(_, value)| value.trim())
}

/// A head and a body, with the body's length between them.
fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let mut whole = format!("{head}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    whole.extend_from_slice(body);
    whole
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(from) {
            replaced.extend_from_slice(to);
            at += from.len();
        } else {
            replaced.push(bytes[at]);
            at += 1;
        }
    }
    replaced
}

/// So many blanks, compressed by hand: one blank, then "the 258 bytes before once more" in 13 bits each (RFC 1951, fixed
/// codes).
fn bomb(bytes: usize) -> Vec<u8> {
    let mut out = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];
    let (mut held, mut count) = (0_u32, 0);
    let mut put = |code: u32, length: u32| {
        for bit in (0..length).rev() {
            held |= (code >> bit & 1) << count;
            count += 1;
            if count == 8 {
                out.push(held as u8);
                (held, count) = (0, 0);
            }
        }
    };
    // The last block, of fixed codes; the type comes with its lowest bit first.
    put(0b110, 3);
    put(0x30 + u32::from(b' '), 8);
    for _ in 0..bytes / 258 {
        put(0b1100_0101, 8);
        put(0, 5);
    }
    put(0, 7);
    put(0, 7);
    out
}
