//! What several ways of testing share: the one private server of a test binary, and a database of its own for each test.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use syncdeck::demo::private::{Options, PrivateServer, PrivateServerError};
use syncdeck::postgres::{Error, Store};
use tokio_postgres::NoTls;

/// How long a test goes on waiting while nothing moves. How long something takes is the machine's business: one that has
/// other work, or half the speed, must fail no test.
const STILL: Duration = Duration::from_secs(180);
/// The longest wait, for what moves without ever getting there.
#[allow(dead_code, reason = "each test binary uses its part of what is shared")]
pub const LONGEST: Duration = Duration::from_secs(1_200);
/// Between looks at whether something moves.
const LOOK: Duration = Duration::from_secs(1);

/// The patience of one wait: it ends when nothing has moved for long.
#[allow(dead_code, reason = "each test binary uses its part of what is shared")]
pub struct Patience {
    began: Instant,
    looked: Instant,
    /// How long nothing has moved, by the time between looks: a machine that stood still moved nothing either.
    still: Duration,
    seen: u64,
}

#[allow(dead_code, reason = "each test binary uses its part of what is shared")]
impl Patience {
    pub fn new() -> Patience {
        let now = Instant::now();
        Patience { began: now, looked: now, still: Duration::ZERO, seen: 0 }
    }

    /// Whether it is time to look again at what moves.
    pub fn wants_a_look(&self) -> bool {
        self.looked.elapsed() > LOOK
    }

    /// Takes in what was seen of the programs under test: whatever differs while they are at work.
    pub fn sees(&mut self, what: impl Hash) {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        let seen = hasher.finish();
        let since = self.looked.elapsed().min(2 * LOOK);
        self.looked = Instant::now();
        self.still = if seen == self.seen { self.still + since } else { Duration::ZERO };
        self.seen = seen;
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.still > STILL || self.began.elapsed() > LONGEST
    }
}

/// The one private server of this test binary. Its keeper stops it when the process ends.
pub fn server() -> &'static PrivateServer {
    static SERVER: OnceLock<&'static PrivateServer> = OnceLock::new();
    SERVER.get_or_init(new_server)
}

/// A private server for a test that breaks it. It, too, ends with the process.
pub fn new_server() -> &'static PrivateServer {
    let dir = tempfile::Builder::new().prefix("syncdeck-test-").tempdir_in("/tmp").unwrap().keep();
    match PrivateServer::start(&Options { dir, remove: true, durable: false }) {
        Ok(server) => Box::leak(Box::new(server)),
        // Said once, not by every test.
        Err(missing @ PrivateServerError::NotInstalled) => {
            let _ = writeln!(std::io::stderr(), "\n{missing}");
            std::process::exit(1);
        }
        Err(error) => panic!("{error}"),
    }
}

/// A database of its own in the one private server.
#[allow(dead_code, reason = "each test binary uses its part of what is shared")]
pub async fn new_database() -> String {
    database_on(server()).await
}

/// A database of its own.
pub async fn database_on(server: &PrivateServer) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let (sql, connection) = tokio_postgres::connect(&server.url("postgres"), NoTls).await.unwrap();
    tokio::spawn(connection);
    // Somebody may look at the template just then.
    while let Err(error) = sql.batch_execute(&format!("CREATE DATABASE {name}")).await {
        assert_eq!(error.code(), Some(&tokio_postgres::error::SqlState::OBJECT_IN_USE), "{error}");
    }
    name
}

/// A store of the usual kind.
pub async fn connect(url: &str) -> Result<Store, Error> {
    Store::connect(url, "salesforce", "test", Duration::from_secs(30)).await
}

#[allow(dead_code, reason = "each test binary uses its part of what is shared")]
/// Somebody at a terminal.
pub fn operator(actor: &str) -> syncdeck::domain::operations::operation::Operator {
    syncdeck::domain::operations::operation::Operator { actor: actor.to_owned(), origin: "local".to_owned() }
}

#[allow(dead_code, reason = "each test binary uses its part of what is shared")]
/// An operation of theirs.
pub fn operation(actor: &str) -> syncdeck::domain::operations::operation::Operation {
    syncdeck::domain::operations::operation::Operation::single(&operator(actor))
}
