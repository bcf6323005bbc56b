//! Heroku Connect's own lists, by keys in the console of a connection that is attached to it: its API is a stand-in, the
//! database is real.

use portable_pty::CommandBuilder;
use serde_json::{Value, json};
use syncdeck::demo::heroku_connect::api::{APP, ConnectApi, MappingStand};
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

use crate::screen::Terminal;
use crate::support::{new_database, server};
use crate::world::write_private;

const SCHEMA: &str = include_str!("../sync/attached.sql");
const KEY: &str = "HRKU-open-sesame";
/// Where the tests' key is; the one of whoever runs them is nobody's business.
const VARIABLE: &str = "SYNCDECK_TEST_HEROKU_KEY";
/// Two contacts: the first one's insert was refused.
const ROWS: &str = "INSERT INTO salesforce.contact (lastname, email) VALUES ('Doe', 'no-mail'), ('Roe', 'roe@example.com');
    UPDATE salesforce._trigger_log SET state = CASE record_id WHEN 1 THEN 'FAILED' ELSE 'SUCCESS' END, processed_at = now(),
        sf_message = CASE record_id WHEN 1 THEN 'INVALID_EMAIL_ADDRESS:Email: invalid email address: no-mail' END;
    BEGIN; SET LOCAL xmlbinary TO 'hex';
    UPDATE salesforce.contact SET _hc_lastop = CASE id WHEN 1 THEN 'FAILED' ELSE 'INSERTED' END; COMMIT";

/// A database beside its Heroku Connect's API, and the configuration of a console.
struct BesideApi {
    api: ConnectApi,
    dir: tempfile::TempDir,
    _sql: Client,
}

impl BesideApi {
    async fn new() -> BesideApi {
        let url = server().url(&new_database().await);
        let (sql, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        sql.batch_execute(SCHEMA).await.unwrap();
        sql.batch_execute(ROWS).await.unwrap();
        let api = ConnectApi::start(KEY, CancellationToken::new()).await.unwrap();
        {
            let mut stand = api.stand();
            stand.org = Some("00DHC0000000001AAA".to_owned());
            stand.mappings = ["Contact", "RecordType", "User"].map(MappingStand::new).to_vec();
            stand.page = Some(2);
            stand.write_errors = vec![
                write_error(
                    1,
                    "contact",
                    json!(1),
                    "INVALID_EMAIL_ADDRESS:\u{1b}[31mEmail: invalid email address",
                ),
                write_error(2, "contact", json!(2), "UNABLE_TO_LOCK_ROW:locked"),
                write_error(3, "contact", json!(99), "DUPLICATE_VALUE:found"),
                write_error(4, "elsewhere", json!(7), "it broke"),
            ];
            stand.notifications = vec![json!({"id": 12, "event_type": "mapping-error",
                "message": "The mapping Contact has write errors.", "created_at": "2026-11-30T10:00:00Z"})];
            stand.diagnosis = json!({"errors": [{"display_name": "Upsert Field", "message": "none is set"}],
                "passes": [{"display_name": "Number of Mappings", "message": ""}]});
        }
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "[connection]\nname = \"acme\"\nenvironment = \"test\"\nengine = \"heroku-connect\"\n[postgres]\nurl = \"{url}\"\n\
             [heroku]\napp = \"{APP}\"\napi_url = \"{}\"\napi_key_env = \"{VARIABLE}\"\n[console]\nclock = false\n",
            api.url()
        );
        write_private(&dir.path().join("syncdeck.toml"), &text);
        BesideApi { api, dir, _sql: sql }
    }

    fn console(&self, key: Option<&str>, columns: u16, lines: u16) -> Terminal {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_syncdeck"));
        command.args(["--config".into(), self.dir.path().join("syncdeck.toml").into_os_string()]);
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        for name in ["HOME", "XDG_STATE_HOME"] {
            command.env(name, self.dir.path());
        }
        for name in ["NO_COLOR", "TMUX", "STY", "SSH_CONNECTION", "HEROKU_API_KEY", VARIABLE] {
            command.env_remove(name);
        }
        if let Some(key) = key {
            command.env(VARIABLE, key);
        }
        let mut terminal = Terminal::start(command, columns, lines);
        terminal.wait_for("INVALID_EMAIL");
        terminal
    }
}

fn write_error(id: i64, table: &str, row: Value, message: &str) -> Value {
    json!({"id": id, "table_name": table, "record_id": row, "message": message, "created_at": "2026-11-30T10:00:00Z"})
}

/// Runs a command by its title.
fn command(terminal: &mut Terminal, title: &str) {
    terminal.keys(":");
    terminal.wait_for("Commands and things");
    terminal.keys(&format!("{title}\r"));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_lists_lead_to_rows_and_are_acknowledged_in_the_console() {
    let place = BesideApi::new().await;
    let mut terminal = place.console(Some(KEY), 120, 40);
    command(&mut terminal, "heroku write errors");
    // All pages of it, each beside what became of its row.
    terminal.wait_for("write errors 4");
    assert!(terminal.line_with("UNABLE_TO_LOCK_ROW").contains("✓ over"));
    assert!(terminal.line_with("elsewhere").contains("? unknown"));
    assert!(terminal.shows("\\e[31mEmail") && terminal.shows("1 is of a row that is an open error here"));
    // The row that is not there any more says so, and the list stays.
    terminal.keys("jj\r");
    terminal.wait_for("the table contact has no row 99");
    terminal.keys("j\r");
    terminal.wait_for("elsewhere");
    terminal.wait_until("the row of a stranger's table is refused", |screen| {
        screen.contains("write errors 4") && screen.contains("has no table")
    });
    terminal.keys("g\r");
    terminal.wait_until("the record is open", |screen| {
        !screen.contains("write errors 4") && screen.contains("lastname")
    });
    // One step back leads to the list, and there to the next one.
    terminal.keys("\x1b");
    terminal.wait_for("write errors 4");
    terminal.keys("\t");
    terminal.wait_for("The mapping Contact has write errors.");
    terminal.keys("a");
    terminal.wait_for("1 notification.");
    terminal.keys("y");
    terminal.wait_for("There is nothing that nobody has acknowledged.");
    assert!(place.api.stand().notifications.is_empty());
    assert_eq!(place.api.stand().acknowledged_before.as_deref(), Some("2026-11-30T10:00:00Z"));
    terminal.keys("\t");
    terminal.wait_for("✗ error");
    terminal.wait_for("1 error, 0 warnings, 1 passed, 0 skipped");
    terminal.keys("\x1b");
    terminal.wait_until("the lists are closed", |screen| !screen.contains("0 skipped"));
    // What was looked at, and nothing else, was asked for: two pages of write errors, notifications twice, one diagnosis.
    let times = |wanted: &str| place.api.stand().asked.iter().filter(|asked| asked.ends_with(wanted)).count();
    assert_eq!(["/errors", "/notifications", "/acknowledge"].map(times), [2, 2, 1]);
    terminal.keys("q");
    assert_eq!(terminal.exit_code(), 0);
    assert!(!terminal.saw("HRKU"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_asked_for_says_why_and_what_to_set() {
    let place = BesideApi::new().await;
    let mut terminal = place.console(None, 80, 24);
    command(&mut terminal, "heroku write errors");
    terminal.wait_for("SYNCDECK_TEST_HEROKU_KEY is not set");
    terminal.wait_for("With a key, this console shows");
    assert!(place.api.stand().asked.is_empty());
    terminal.end();
    let mut terminal = place.console(Some("HRKU-wrong"), 80, 24);
    command(&mut terminal, "heroku diagnose");
    terminal.wait_for("✗ Heroku refuses the API key");
    assert!(!terminal.saw("HRKU-wrong"));
}
