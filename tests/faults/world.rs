//! The builder: a database in the private server, a simulated org, a proxy before each, the application, and engines
//! as child processes.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use syncdeck::demo::private::PrivateServer;
use syncdeck::domain::reports::overview::Writes;
use syncdeck::postgres::Store;
use syncdeck::simulator::{self, Org, OrgOptions};
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

use crate::application::{ACCOUNT, Application, CONTACT, Written};
use crate::liar::Liar;
use crate::proxy::{Proxy, Upstream};
use crate::support::{Patience, connect, database_on, operation, server};

/// The engines' lease.
pub const LEASE: Duration = Duration::from_secs(3);
/// What must never be seen.
pub const SECRET: &str = "simulated-secret";

/// Accounts and contacts, as the writers know them.
pub const MAPPINGS: &str = r#"
[[mapping]]
object = "Account"
fields = ["Name", "Description", "AccountNumber", "BillingCity"]
external_id = "External_Id__c"
poll_interval = "300ms"
[[mapping]]
object = "Contact"
fields = ["LastName", "Description", "FirstName", "Email", "Title"]
external_id = "External_Id__c"
poll_interval = "300ms"
"#;

pub struct World {
    pub seed: u64,
    pub dice: StdRng,
    pub server: &'static PrivateServer,
    pub database: String,
    pub org: Org,
    pub to_org: Proxy,
    pub to_sql: Proxy,
    pub store: Store,
    pub sql: Client,
    pub application: Application,
    /// What the test waits for may depend on somebody who restarts engines that end,
    pub engines: Vec<Engine>,
    /// or lets writes go on that a failure stopped.
    pub resumes: bool,
    /// The engines' limits of time, as the configuration has them.
    pub limits: String,
    pub statement_timeout: &'static str,
    mappings: String,
    dir: PathBuf,
    stop: CancellationToken,
}

/// An engine as a child process.
pub struct Engine {
    child: Child,
    failpoints: String,
    environment: Vec<(&'static str, String)>,
}

impl Engine {
    pub fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal);
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// How it ended, once it has.
    pub fn status(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The most memory that it ever held, in MiB.
    pub fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) / 1_024
    }

    /// Sees a killed one off.
    pub fn forget(mut self) {
        let _ = self.child.wait();
    }

    fn end(&mut self) {
        self.signal(Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// The longest share.
pub const LONGEST: f64 = 12.0;

/// How long a scenario that runs as long as one likes runs: `share` seconds in the default run of about a minute; the
/// longest one fills what `FAULT_SECONDS` gives beyond that.
pub fn span(share: f64) -> Duration {
    let seconds: f64 = std::env::var("FAULT_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60.0);
    Duration::from_secs_f64(share + (seconds - 60.0).max(0.0) * share / LONGEST)
}

impl World {
    pub async fn new(name: &str) -> World {
        World::build(name, server(), MAPPINGS, &[ACCOUNT, CONTACT]).await
    }

    /// A world whose org is reached by a proxy that may lie.
    pub async fn lied_to(name: &str) -> (World, Liar) {
        let mut liar = None;
        let way = async |org| liar.insert(Liar::start(org).await).address;
        let world = World::build_by(name, server(), MAPPINGS, &[ACCOUNT, CONTACT], way).await;
        (world, liar.unwrap())
    }

    pub async fn build(
        name: &str,
        server: &'static PrivateServer,
        mappings: &str,
        tables: &'static [Written],
    ) -> World {
        World::build_by(name, server, mappings, tables, async |org| org).await
    }

    /// A world whose org is reached by another address than its own.
    async fn build_by(
        name: &str,
        server: &'static PrivateServer,
        mappings: &str,
        tables: &'static [Written],
        way: impl AsyncFnOnce(SocketAddr) -> SocketAddr,
    ) -> World {
        let seed =
            std::env::var("FAULT_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(rand::random);
        // Not by a macro: the test runner would keep it to itself.
        let _ = writeln!(std::io::stderr(), "{name}: FAULT_SEED={seed}");
        // What a job found comes in several pages.
        // The connection of an answer that is lost ends after the usual timeout, and long before a generous one.
        let lost_after = Duration::from_secs(3);
        let org = Org::new(OrgOptions { seed, bulk_page_limit: 2_500, lost_after, ..OrgOptions::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to_org = Proxy::start(Upstream::Tcp(way(listener.local_addr().unwrap()).await)).await;
        let stop = CancellationToken::new();
        tokio::spawn(simulator::serve(org.clone(), listener, stop.clone()));
        let to_sql = Proxy::start(Upstream::Unix(server.socket_dir().join(".s.PGSQL.5432"))).await;
        let database = database_on(server).await;
        let url = server.url(&database);
        let store = connect(&url).await.unwrap();
        let (sql, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let dir = tempfile::Builder::new().prefix("syncdeck-faults-").tempdir_in("/tmp").unwrap().keep();
        World {
            seed,
            dice: StdRng::seed_from_u64(seed),
            server,
            database,
            org,
            to_org,
            to_sql,
            store,
            sql,
            application: Application::new(url, tables),
            engines: Vec::new(),
            resumes: false,
            statement_timeout: "2s",
            limits: format!("request_timeout = \"1s\"\nlease = \"{}s\"", LEASE.as_secs()),
            mappings: mappings.to_owned(),
            dir,
            stop,
        }
    }

    /// Starts an engine and waits until every mapping is read.
    pub async fn engine(&mut self) {
        self.start_engine("");
        self.until_loaded().await;
    }

    pub async fn until_loaded(&mut self) {
        self.until("every mapping is read", async |world| {
            world.store.is_installed().await.unwrap_or(false)
                && world.store.overview().await.is_ok_and(|overview| {
                    !overview.mappings.is_empty()
                        && overview.mappings.iter().all(|mapping| mapping.last_read.is_some())
                })
        })
        .await;
    }

    pub fn start_engine(&mut self, failpoints: &str) {
        self.start_engine_with(failpoints, Vec::new());
    }

    pub fn start_engine_with(&mut self, failpoints: &str, environment: Vec<(&'static str, String)>) {
        let child = self.spawn(failpoints, &environment);
        self.engines.push(Engine { child, failpoints: failpoints.to_owned(), environment });
    }

    fn spawn(&self, failpoints: &str, environment: &[(&'static str, String)]) -> Child {
        let output = OpenOptions::new().create(true).append(true).open(self.output()).unwrap();
        Command::new(env!("CARGO_BIN_EXE_syncdeck"))
            .args(["run", "--config"])
            .arg(self.config())
            .env("SYNCDECK_FAILPOINTS", failpoints)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::from(output.try_clone().unwrap()))
            .stderr(Stdio::from(output))
            .spawn()
            .unwrap()
    }

    fn output(&self) -> PathBuf {
        self.dir.join("engines.log")
    }

    /// Everything that the engines printed.
    pub fn printed(&self) -> String {
        std::fs::read(self.output())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The configuration's path; each way leads through its proxy.
    pub fn config(&self) -> PathBuf {
        let path = self.dir.join("syncdeck.toml");
        if !path.exists() {
            let text = format!(
                "[connection]\nname = \"acme\"\nenvironment = \"test\"\n[postgres]\ntimeout = \"{}\"\n\
                 url = \"postgresql://syncdeck@127.0.0.1:{}/{}?sslmode=disable\"\n\
                 [salesforce]\nlogin_url = \"http://{}\"\nclient_id = \"simulated-app\"\nclient_secret = \"{SECRET}\"\n\
                 {}\nlook_back = \"2s\"\ndescribe_interval = \"2s\"\n{}",
                self.statement_timeout,
                self.to_sql.address.port(),
                self.database,
                self.to_org.address,
                self.limits,
                self.mappings
            );
            let mut file: File =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }
        path
    }

    /// Kills an engine and starts it again.
    pub fn kill_and_restart(&mut self, at: usize) {
        self.engines[at].end();
        let (failpoints, environment) =
            (self.engines[at].failpoints.clone(), self.engines[at].environment.clone());
        self.engines[at].child = self.spawn(&failpoints, &environment);
    }

    /// Starts the first engine, which has ended, again.
    pub fn start_again(&mut self) {
        self.kill_and_restart(0);
    }

    /// Kills an engine and starts it with other failpoints.
    pub fn rearm(&mut self, at: usize, failpoints: &str) {
        failpoints.clone_into(&mut self.engines[at].failpoints);
        self.kill_and_restart(at);
    }

    /// Starts engines that ended again, as a service manager does. Returns how many there were.
    pub fn revive(&mut self) -> usize {
        let ended: Vec<usize> =
            (0..self.engines.len()).filter(|&at| !self.engines[at].is_running()).collect();
        for &at in &ended {
            self.kill_and_restart(at);
        }
        ended.len()
    }

    /// Does what somebody does who looks after it all: engines that ended start again, stopped writes go on.
    pub async fn look_after(&mut self) {
        self.revive();
        if self.resumes {
            let stopped = self.store.orders().await.map(|orders| orders.writes_off).unwrap_or_default();
            for table in stopped {
                let _ = self.store.set_writes(Some(&table), Writes::Resume, &operation("tester@here")).await;
            }
        }
    }

    /// From now on engines meet no failpoint.
    pub fn disarm(&mut self) {
        for at in 0..self.engines.len() {
            if !self.engines[at].failpoints.is_empty() {
                self.engines[at].failpoints.clear();
                self.kill_and_restart(at);
            }
        }
    }

    /// A pause between two faults, up to `longest`.
    pub async fn random_pause(&mut self, longest: Duration) {
        let pause = longest.mul_f64(self.dice.random::<f64>());
        tokio::time::sleep(pause).await;
    }

    /// What grows while writers and engines are at work.
    fn work_done(&self) -> (u64, u64, u64) {
        let printed = std::fs::metadata(self.output()).map_or(0, |output| output.len());
        (self.org.journal_end(), self.application.commits(), printed)
    }

    /// Waits for something that must come true.
    pub async fn until(&mut self, what: &str, mut holds: impl AsyncFnMut(&World) -> bool) {
        let mut patience = Patience::new();
        while !holds(self).await {
            if patience.wants_a_look() {
                patience.sees(self.work_done());
            }
            if patience.is_over() {
                self.give_up(&format!("this did not come true in time: {what}")).await;
            }
            self.look_after().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a query counts so many.
    pub async fn until_count(&mut self, what: &str, sql: &str, wanted: i64) {
        self.until(what, async |world| {
            world.sql.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == wanted
        })
        .await;
    }

    /// Waits until a query gives this text.
    pub async fn until_text(&mut self, what: &str, sql: &str, wanted: &str) {
        self.until(what, async |world| {
            world.sql.query_one(sql, &[]).await.unwrap().get::<_, Option<String>>(0).as_deref()
                == Some(wanted)
        })
        .await;
    }

    /// Fails the test with what helps to understand it.
    pub async fn give_up(&mut self, what: &str) -> ! {
        let printed = self.printed();
        let lines: Vec<&str> = printed.lines().collect();
        let tail = lines[lines.len().saturating_sub(40)..].join("\n");
        let units = self
            .text("SELECT string_agg(to_jsonb(u)::text, E'\\n') FROM (SELECT * FROM syncdeck.unit ORDER BY ready_at LIMIT 10) u")
            .await;
        panic!("FAULT_SEED={}: {what}\nunits:\n{}\nengines:\n{tail}", self.seed, units.unwrap_or_default());
    }

    /// One text value of a query, on the test's own connection, which a crash of the server may have cost.
    pub async fn text(&mut self, sql: &str) -> Option<String> {
        for _ in 0..2 {
            match self.sql.query(sql, &[]).await {
                Ok(rows) => return rows.first().and_then(|row| row.get(0)),
                Err(error)
                    if error.is_closed()
                        || error.code().is_none_or(|code| code.code().starts_with("57P")) =>
                {
                    self.reconnect().await;
                }
                Err(error) => panic!("{sql}: {error:?}"),
            }
        }
        None
    }

    pub async fn reconnect(&mut self) {
        let (sql, connection) =
            tokio_postgres::connect(&self.server.url(&self.database), NoTls).await.unwrap();
        tokio::spawn(connection);
        self.sql = sql;
    }

    /// A number that a query gives.
    pub async fn count(&mut self, sql: &str) -> i64 {
        self.text(&format!("SELECT ({sql})::bigint::text")).await.map_or(0, |text| text.parse().unwrap())
    }

    pub async fn run(&mut self, sql: &str) {
        self.sql.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// A row's value that a user in the org writes.
    pub fn user_writes(&self, object: &str, id: &str, field: &str, value: Value) {
        let _ = self.org.user_update(object, id, [(field.to_owned(), value)].into_iter().collect());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for engine in &mut self.engines {
            engine.end();
        }
        self.stop.cancel();
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}
