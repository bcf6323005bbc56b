//! A takeover from Heroku Connect and its way back, by keys in the console of the connection that is attached to it.

use std::path::Path;

use portable_pty::CommandBuilder;
use tokio_postgres::{Client, NoTls};

use crate::screen::Terminal;
use crate::support::{new_database, server};
use crate::workspace::CONTACTS;
use crate::world::{World, config_text, write_private};

const HEROKU: &str = include_str!("../sync/heroku.sql");
/// A change that waits and one that failed, from an hour ago.
const LEFT: &str = "INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('A', 'A'), ('B', 'B');
    UPDATE salesforce._trigger_log SET created_at = now() - interval '1 hour',
        state = CASE record_id WHEN 2 THEN 'FAILED' ELSE 'NEW' END";
/// Triggers and functions to the letter.
const CATALOG: &str = "SELECT string_agg(thing, E'\\n' ORDER BY thing) FROM (
    SELECT concat_ws(' ', pg_get_triggerdef(t.oid), tgenabled) FROM pg_trigger t
        JOIN pg_class c ON c.oid = tgrelid WHERE relnamespace = 'salesforce'::regnamespace AND NOT tgisinternal
    UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'salesforce'::regnamespace) things (thing)";
const OURS: &str =
    "SELECT (count(*) = 3)::text FROM pg_trigger WHERE tgrelid = 'salesforce.contact'::regclass
    AND tgname IN ('00_hc_logger', '00_hc_truncate', 'zz_hc_status')";

/// A database that Heroku Connect left, and the two configurations of it: one that is attached, one that takes over.
pub struct Left {
    sql: Client,
    dir: tempfile::TempDir,
}

impl Left {
    pub async fn behind(world: &World) -> Left {
        let url = server().url(&new_database().await);
        let (sql, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        sql.batch_execute(&format!("{HEROKU}; {LEFT}")).await.unwrap();
        // What this session did itself is not to be seen.
        sql.batch_execute("SELECT").await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mappings = CONTACTS.replace(", \"Description\"", "");
        let own = config_text(&url, &world.config.salesforce.login_url, "simulated-secret", &mappings);
        let production = "environment = \"prod\"\nengine = \"service\"";
        write_private(&dir.path().join("own.toml"), &own.replace("environment = \"test\"", production));
        let attached = format!(
            "[connection]\nname = \"acme\"\nenvironment = \"prod\"\nengine = \"heroku-connect\"\n\
             [postgres]\nurl = \"{url}\"\n[console]\nclock = false\n"
        );
        write_private(&dir.path().join("syncdeck.toml"), &attached);
        let other = own.replace(&url, &server().url(&new_database().await));
        write_private(&dir.path().join("other.toml"), &other);
        Left { sql, dir }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The connection that is attached comes to have the other one's login.
    pub fn give_login(&self) {
        let files = ["own.toml", "syncdeck.toml"].map(|name| self.path().join(name));
        let [own, attached] = files.clone().map(|file| std::fs::read_to_string(file).unwrap());
        let login = &own[own.find("[salesforce]").unwrap()..own.find("[[mapping]]").unwrap()];
        write_private(&files[1], &format!("{attached}{login}"));
    }

    pub async fn text(&self, sql: &str) -> String {
        let row = self.sql.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        row.get::<_, Option<String>>(0).unwrap_or_default()
    }

    /// A console beside Heroku Connect.
    pub fn console(&self, failpoints: &str) -> Terminal {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_syncdeck"));
        command.args(["--config".into(), self.path().join("syncdeck.toml").into_os_string()]);
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        command.env("SYNCDECK_FAILPOINTS", failpoints);
        for name in ["HOME", "XDG_STATE_HOME"] {
            command.env(name, self.path());
        }
        for name in ["NO_COLOR", "TMUX", "STY", "SSH_CONNECTION"] {
            command.env_remove(name);
        }
        let mut terminal = Terminal::start(command, 120, 40);
        terminal.wait_for("● attached to Heroku Connect");
        terminal
    }
}

/// Goes as far as the question what is to be typed.
fn ask(terminal: &mut Terminal, command: &str, shown: &str) {
    terminal.keys(":");
    terminal.wait_for("Commands and things");
    terminal.keys(&format!("{command}\r"));
    if command == "adopt" {
        terminal.wait_for("Take over with which configuration?");
        terminal.keys("\r");
    }
    terminal.wait_for(shown);
    terminal.keys("\r");
    terminal.wait_for("Type acme and Enter:");
}

/// Closes what says this; a key that came right behind the escape would be another key.
fn close(terminal: &mut Terminal, text: &str) {
    terminal.keys("\x1b");
    terminal.wait_until("it is closed", |screen| !screen.contains(text));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_taken_over_and_given_back_in_the_console() {
    let world = World::without_engine(CONTACTS).await;
    let left = Left::behind(&world).await;
    let catalog = left.text(CATALOG).await;
    let mut terminal = left.console("");
    // A plan, of a configuration of another database first.
    terminal.keys(":plan\r");
    terminal.wait_for("Plan with which configuration?");
    terminal.keys("\x15other.toml\r");
    terminal.wait_for("name a configuration of what shows");
    close(&mut terminal, "name a configuration of what shows");
    terminal.keys(":plan\r");
    terminal.wait_for("Plan with which configuration?");
    terminal.keys("\x15own.toml\r");
    terminal.wait_for("1 table is taken over");
    close(&mut terminal, "1 table is taken over");
    ask(&mut terminal, "adopt", "take them over ...");
    // Anything but the name does nothing.
    terminal.keys("yes\r");
    terminal.wait_for("that is not acme; nothing was done");
    assert_eq!(left.text(CATALOG).await, catalog);
    terminal.keys("\x15acme\r");
    terminal.wait_for("Taken over: contact");
    terminal.wait_for("syncdeck run --config");
    assert_eq!(left.text(OURS).await, "true");
    assert_eq!(left.text("SELECT (adopted_by = session_user)::text FROM syncdeck.adoption").await, "true");
    close(&mut terminal, "Taken over: contact");
    terminal.wait_for("taken over: its own console shows it now");
    ask(&mut terminal, "adopt undo", "trigger hc_contact_logtrigger");
    terminal.keys("acme\r");
    terminal.wait_for("Given back to Heroku Connect");
    assert_eq!(left.text(CATALOG).await, catalog);
    let undone = "SELECT (undone_by = session_user)::text FROM syncdeck.adoption";
    assert_eq!(left.text(undone).await, "true");
    close(&mut terminal, "Given back to Heroku Connect");
    terminal.wait_for("● attached to Heroku Connect");
    terminal.keys("q");
    assert_eq!(terminal.exit_code(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_is_killed_in_a_takeover_leaves_everything_as_it_was() {
    let world = World::without_engine(CONTACTS).await;
    let left = Left::behind(&world).await;
    let catalog = left.text(CATALOG).await;
    let mut terminal = left.console("mid_adopt=kill");
    ask(&mut terminal, "adopt", "take them over ...");
    terminal.keys("acme\r");
    assert_ne!(terminal.exit_code(), 0);
    // Its sessions end when PostgreSQL notices.
    let free = "SELECT (NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
         AND application_name LIKE 'syncdeck%'))::text";
    world.until("its sessions are over", async || left.text(free).await == "true").await;
    assert_eq!(left.text(CATALOG).await, catalog);
    assert_eq!(left.text("SELECT (to_regclass('syncdeck.adoption') IS NULL)::text").await, "true");
}
