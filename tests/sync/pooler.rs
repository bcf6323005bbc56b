//! A transaction pooler in front: PgBouncer itself, where it is there.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use syncdeck::client::api::{Client, ErrorQuery, Event};
use syncdeck::domain::records::record::{Edit, FieldEdit};
use syncdeck::postgres::Store;
use syncdeck::postgres::session::connect::Session;

use crate::support::{LONGEST, operator, server};
use crate::world::{MAPPINGS, World, contact};

/// A running PgBouncer; it ends with its owner.
struct Pooler {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Pooler {
    /// In front of the server of these tests, as an unprivileged user; `None` where the program is not there.
    async fn start() -> Option<Pooler> {
        let places = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        let program =
            places.split(':').map(|place| PathBuf::from(place).join("pgbouncer")).find(|path| path.exists());
        let Some(program) = program else {
            println!("skipped: there is no pgbouncer here");
            return None;
        };
        // Another test may take the port before it does.
        for _ in 0..5 {
            let mut pooler = Pooler::at_a_free_port(&program);
            while pooler.child.try_wait().unwrap().is_none() {
                if tokio::net::TcpStream::connect(("127.0.0.1", pooler.port)).await.is_ok() {
                    return Some(pooler);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        panic!("{} ends by itself", program.display());
    }

    fn at_a_free_port(program: &Path) -> Pooler {
        let dir = tempfile::Builder::new().prefix("syncdeck-pooler-").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = server().url("postgres");
        let of =
            |name: &str| url.split(['?', '&']).find_map(|part| part.strip_prefix(name)).unwrap().to_owned();
        let file = dir.path().join("pgbouncer.ini");
        // Few servers for many clients: whoever relies on a session meets another one.
        let text = format!(
            "[databases]\n* = host={} user={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = 3\nmax_client_conn = 500\n",
            of("host="),
            of("user=")
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(program);
        if nix::unistd::getuid().is_root() {
            // The server's socket is for its own account.
            let owner = std::fs::metadata(of("host=")).unwrap().uid();
            let account = nix::unistd::User::from_uid(owner.into()).unwrap().unwrap();
            command.args(["-u", &account.name]);
        }
        let child = command.arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Pooler { child, port, _dir: dir }
    }

    fn url(&self, direct: &str) -> String {
        let database = direct.trim_start_matches("postgresql:///").split('?').next().unwrap();
        format!("postgresql://anybody@127.0.0.1:{}/{database}", self.port)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_goes_through_a_transaction_pooler_and_leaves_nothing_behind_in_its_sessions() {
    let Some(pooler) = Pooler::start().await else { return };
    let mappings = MAPPINGS.replace("poll_interval", "check = false\npoll_interval");
    let world = World::behind(&mappings, |direct| pooler.url(direct)).await;
    let url = pooler.url(&world.direct);
    let mut events = world.handle.events();
    let heard = tokio::spawn(async move { while events.recv().await.unwrap() != Event::Errors {} });
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c)
             SELECT 'Doe', CASE i WHEN 1 THEN 'nobody' ELSE i || '@acme.com' END, 'K' || i FROM generate_series(1, 300) i",
        )
        .await;
    world
        .until_text("SELECT count(*)::text FROM salesforce.contact WHERE _hc_lastop = 'SYNCED'", "299")
        .await;
    world.until_text("SELECT _hc_lastop FROM salesforce.contact WHERE id = 1", "FAILED").await;
    // Nobody announces anything here, and everybody hears of it.
    tokio::time::timeout(LONGEST, heard).await.unwrap().unwrap();
    let page = world.handle.errors(&ErrorQuery { limit: 10, ..ErrorQuery::default() }).await.unwrap();
    assert_eq!(page.items.len(), 1);
    world.handle.record(&contact(1)).await.unwrap();
    world.handle.salesforce_values(&contact(2)).await.unwrap();
    let edit = |new: &str| Edit {
        row: contact(1),
        fields: vec![FieldEdit {
            column: "email".to_owned(),
            shown: Some("nobody".to_owned()),
            new: Some(new.to_owned()),
        }],
        retry: true,
    };
    // Read-only holds in every transaction, and only in its own.
    let session = Session::of_console(Duration::from_secs(15), true);
    let looker =
        Client::new(Store::open(&url, "salesforce", &session).await.unwrap(), operator("looker@here"));
    let refused = looker.save(&edit("x@acme.com")).await.unwrap_err().to_string();
    assert!(refused.contains("read-only"), "{refused}");
    assert_eq!(looker.may_write().await.unwrap().as_deref(), Some("the session is read-only"));
    assert_eq!(world.handle.may_write().await.unwrap(), None);
    world.handle.save(&edit("jane@acme.com")).await.unwrap();
    world.until_text("SELECT _hc_lastop FROM salesforce.contact WHERE id = 1", "SYNCED").await;
    assert_eq!(world.record("Contact", "K1").unwrap()["Email"], json!("jane@acme.com"));
    assert_eq!(world.writes("create", "K2"), 1);
    let (other, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = "SELECT current_setting('enable_seqscan'), current_setting('default_transaction_read_only')";
    for message in other.simple_query(sql).await.unwrap() {
        if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
            assert_eq!((row.get(0), row.get(1)), (Some("on"), Some("off")));
        }
    }
}
