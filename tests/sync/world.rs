//! The builder of this way of testing: a database of its own in the one private server, a simulated org over HTTP,
//! and the engine between them.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};
use syncdeck::client::api;
use syncdeck::config::Config;
use syncdeck::domain::names::{RowId, RowRef};
use syncdeck::domain::state::MappingState;
use syncdeck::engine::{self, Engine};
use syncdeck::postgres::Store;
use syncdeck::postgres::session::connect::Session;
use syncdeck::simulator::{self, Org, OrgOptions};
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

use crate::support::{LONGEST, Patience, connect, new_database, operator, server};

/// Between two looks at what a test waits for, at first and at most. Each costs a query, and many tests wait at once.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

pub struct World {
    pub org: Org,
    pub store: Store,
    pub sql: Client,
    pub handle: api::Client,
    pub config: Config,
    /// The database's own URL.
    pub direct: String,
    /// Where the configuration is.
    dir: tempfile::TempDir,
    engine: Option<Engine>,
    stop: CancellationToken,
}

/// Invoices and their lines, which name their invoice by its external id.
pub const INVOICES: &str = r#"
[[mapping]]
object = "Invoice_Line__c"
fields = ["Name", "Quantity__c", "Invoice__r.External_Id__c"]
external_id = "External_Id__c"
poll_interval = "200ms"
[[mapping]]
object = "Invoice__c"
fields = ["Name", "Amount__c", "Billing_Email__c"]
external_id = "External_Id__c"
poll_interval = "200ms"
"#;

/// Contacts and accounts, the usual pair.
pub const MAPPINGS: &str = r#"
[[mapping]]
object = "Account"
fields = ["Name", "Phone", "Rating", "NumberOfEmployees", "Nickname__c", "Fleet_Size__c"]
external_id = "External_Id__c"
poll_interval = "200ms"
[[mapping]]
object = "Contact"
fields = ["LastName", "FirstName", "Email", "Phone", "AccountId", "Level__c", "Score__c", "Birthdate", "CreatedDate"]
external_id = "External_Id__c"
poll_interval = "200ms"
"#;

impl World {
    pub async fn start(mappings: &str) -> World {
        World::with(mappings, |_| {}).await
    }

    /// A world whose engine has laid everything out and gone: somebody else counts, by another clock.
    pub async fn without_engine(mappings: &str) -> World {
        let mut world = World::start(mappings).await;
        world.stop_engine().await;
        world
    }

    /// A world whose org is made ready by `prepare` before the engine comes.
    pub async fn with(mappings: &str, prepare: impl FnOnce(&Org)) -> World {
        let org = Org::new(org_options());
        prepare(&org);
        World::of(org, "client_secret = \"simulated-secret\"\n", mappings).await
    }

    /// A world whose app signs in by these lines of configuration.
    pub async fn signing_in(auth: &str, mappings: &str, options: impl FnOnce(&mut OrgOptions)) -> World {
        let mut org = org_options();
        options(&mut org);
        World::of(Org::new(org), auth, mappings).await
    }

    /// A world whose org is made otherwise, and made ready by `prepare` before the engine comes.
    pub async fn made(
        mappings: &str,
        options: impl FnOnce(&mut OrgOptions),
        prepare: impl FnOnce(&Org),
    ) -> World {
        let mut made = org_options();
        options(&mut made);
        let org = Org::new(made);
        prepare(&org);
        World::of(org, "client_secret = \"simulated-secret\"\n", mappings).await
    }

    async fn of(org: Org, auth: &str, mappings: &str) -> World {
        World::on(org, auth, mappings, str::to_owned).await
    }

    /// A world whose programs reach the database another way than the test does.
    pub async fn behind(mappings: &str, way: impl FnOnce(&str) -> String) -> World {
        World::on(Org::new(org_options()), "client_secret = \"simulated-secret\"\n", mappings, way).await
    }

    /// A world whose database holds something before the engine comes.
    pub async fn found(mappings: &str, sql: &str) -> World {
        let org = Org::new(org_options());
        World::settle(org, "client_secret = \"simulated-secret\"\n", mappings, str::to_owned, sql).await
    }

    async fn on(org: Org, auth: &str, mappings: &str, way: impl FnOnce(&str) -> String) -> World {
        World::settle(org, auth, mappings, way, "").await
    }

    async fn settle(
        org: Org,
        auth: &str,
        mappings: &str,
        way: impl FnOnce(&str) -> String,
        found: &str,
    ) -> World {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(simulator::serve(org.clone(), listener, stop.clone()));
        let database = new_database().await;
        let direct = server().url(&database);
        let is_found = !found.is_empty();
        if is_found {
            let made = session(&direct).await.batch_execute(found).await;
            made.unwrap_or_else(|error| panic!("{found}: {error:?}"));
        }
        let url = way(&direct);
        let text = config_text_with(&url, &format!("http://{address}"), auth, mappings);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("syncdeck.toml");
        write_private(&path, &text);
        // Whether somebody is asked before is tested with the program itself.
        // What is found was made a moment ago, as by an engine that is at work.
        let config = Config {
            adopts: is_found,
            allows_two_engines: is_found,
            ..Config::load(Some(&path), None).unwrap()
        };
        let store = connect(&url).await.unwrap();
        let engine = engine::start(config.clone(), store.clone()).await.unwrap();
        let sql = session(&direct).await;
        // People have what a console has.
        let console = Session::of_console(Duration::from_secs(15), false);
        let own = Store::open(&url, "salesforce", &console).await.unwrap();
        let handle = api::Client::new(own, operator("tester@here"));
        let world = World { org, store, sql, handle, config, direct, dir, engine: Some(engine), stop };
        world
            .until("every mapping is read", async || {
                // The whole picture takes six queries.
                let unread =
                    "SELECT count(*)::text FROM syncdeck.mapping WHERE state NOT IN ('ok', 'errors')";
                if world.text(unread).await.as_deref() != Some("0") {
                    return false;
                }
                let overview = world.handle.overview().await.unwrap();
                let is_read = |state: MappingState| {
                    state == MappingState::Ok || state == MappingState::Errors && !found.is_empty()
                };
                overview.mappings.iter().all(|mapping| is_read(mapping.state))
            })
            .await;
        world
    }

    /// What the configuration file says.
    pub fn written(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("syncdeck.toml")).unwrap()
    }

    /// Changes the configuration file, as an editor does.
    pub fn write(&self, text: &str) {
        write_private(&self.dir.path().join("syncdeck.toml"), text);
    }

    /// A session of somebody else.
    pub async fn another_session(&self) -> Client {
        session(self.config.postgres_url()).await
    }

    /// Waits for something that must come true.
    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let mut patience = Patience::new();
        let mut pause = SHORTEST_PAUSE;
        let mut look = async || {
            let held = tokio::time::timeout(LONGEST, holds()).await;
            held.unwrap_or_else(|_| panic!("the look itself does not end: {what}"))
        };
        while !look().await {
            if patience.wants_a_look() {
                patience.sees(self.work_done().await);
            }
            if patience.is_over() {
                let log = self.store.log(None, 30).await.unwrap_or_default();
                let lines: Vec<String> =
                    log.iter().map(|r| format!("{} {:?}", r.message, r.fields)).collect();
                panic!("this did not come true in time: {what}\n{}", lines.join("\n"));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 5 / 4).min(LONGEST_PAUSE);
        }
    }

    /// What grows while an engine is at work, but for polls that find nothing.
    async fn work_done(&self) -> (Option<String>, u64) {
        let sql = "SELECT concat_ws(' ', (SELECT max(id) FROM syncdeck.attempt), (SELECT max(id) FROM syncdeck.log),
                 (SELECT max(id) FROM syncdeck.run), (SELECT max(id) FROM syncdeck.audit), (SELECT max(id) FROM syncdeck.error),
                 (SELECT sum(row_count + coalesce(load_records, 0)) FROM syncdeck.mapping), (SELECT sum(version) FROM syncdeck.unit),
                 (SELECT max(told_at) FROM syncdeck.command), (SELECT max(id) FROM syncdeck.alert_delivery),
                 (SELECT last_value FROM salesforce._trigger_log_id_seq))";
        let row = self.sql.query_one(sql, &[]).await.ok();
        (row.and_then(|row| row.get(0)), self.org.journal_end())
    }

    /// One text value of a query.
    pub async fn text(&self, sql: &str) -> Option<String> {
        let rows = self.sql.query(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        rows.first().and_then(|row| row.get(0))
    }

    pub async fn run(&self, sql: &str) {
        self.sql.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    pub async fn until_text(&self, sql: &str, wanted: &str) {
        self.until(&format!("{sql} is {wanted}"), async || self.text(sql).await.as_deref() == Some(wanted))
            .await;
    }

    /// Waits until nothing is unsent.
    pub async fn until_quiet(&self) {
        self.until("nothing is pending", async || {
            let unsent = "SELECT ((SELECT count(*) FROM syncdeck.unit WHERE state IN ('ready', 'inflight', 'writeback'))
                + (SELECT count(*) FROM salesforce._trigger_log WHERE state = 'NEW'))::text";
            self.text(unsent).await.as_deref() == Some("0")
        })
        .await;
    }

    /// The org's record with this external id.
    pub fn record(&self, object: &str, key: &str) -> Option<Map<String, Value>> {
        self.org.record(object, &self.org.find_by_external_id(object, key)?)
    }

    /// How often the API created, updated or deleted this key.
    pub fn writes(&self, op: &str, key: &str) -> usize {
        let journal = self.org.journal_since(0);
        journal
            .iter()
            .filter(|e| e.source == "api" && e.op == op && e.external_id.as_deref() == Some(key))
            .count()
    }

    pub async fn stop_engine(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.stop().await;
        }
    }

    pub async fn start_engine(&mut self) {
        self.engine = Some(engine::start(self.config.clone(), self.store.clone()).await.unwrap());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A file that only its owner reads; whoever looks meanwhile finds the whole of one or the other.
pub fn write_private(path: &Path, text: &str) {
    let next = path.with_extension("next");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    std::fs::rename(next, path).unwrap();
}

async fn session(url: &str) -> Client {
    let (sql, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    sql
}

pub fn config_text(url: &str, login_url: &str, secret: &str, mappings: &str) -> String {
    config_text_with(url, login_url, &format!("client_secret = \"{secret}\"\n"), mappings)
}

fn config_text_with(url: &str, login_url: &str, auth: &str, mappings: &str) -> String {
    // Comparisons by a schedule would list what tests put in disorder.
    let verify = if mappings.contains("[verify]") { "" } else { "[verify]\nevery = \"off\"\n" };
    format!(
        "{verify}[connection]\nname = \"acme\"\nenvironment = \"test\"\n[postgres]\nurl = \"{url}\"\n[salesforce]\nlogin_url = \"{login_url}\"\n\
         client_id = \"simulated-app\"\n{auth}request_timeout = \"30s\"\nlease = \"60s\"\nlook_back = \"2s\"\n\
         describe_interval = \"500ms\"\n{mappings}"
    )
}

/// The usual org, but that nobody waits for a timeout: a connection ends instead of the answer that is lost.
fn org_options() -> OrgOptions {
    OrgOptions { lost_after: Duration::from_millis(100), ..OrgOptions::default() }
}

pub fn contact(row: i32) -> RowRef {
    RowRef { table: "contact".to_owned(), row: RowId(row) }
}
