//! The builder of a quiet workspace: PostgreSQL, an org and an engine in which nothing happens but what the test does,
//! and consoles that attach to them.

use std::path::PathBuf;

use portable_pty::CommandBuilder;

use crate::screen::Terminal;
use crate::world::World;

/// What is mapped, and how a console looks.
pub const CONTACTS: &str = r#"
[[mapping]]
object = "Contact"
fields = ["LastName", "Email", "Phone", "Description"]
external_id = "External_Id__c"
poll_interval = "200ms"
[console]
clock = false
"#;

/// Engines that run. One that had no time to say that it ended counts as running until it was silent for a while.
pub const RUNNING: &str =
    "syncdeck.engine WHERE state = 'running' AND seen_at > clock_timestamp() - interval '10 s'";
/// How many leases are held. One that ran out is nobody's, unless its engine said that it stopped: that gives all back.
pub const LEASES: &str = "SELECT count(*)::text FROM syncdeck.lease WHERE until > clock_timestamp()
     OR owner IN (SELECT owner FROM syncdeck.engine WHERE state = 'stopped')";

pub struct Office {
    pub world: World,
    homes: tempfile::TempDir,
}

impl Office {
    /// With eight errors of one kind, and nothing else to tell.
    pub async fn open() -> Office {
        let world = World::start(CONTACTS).await;
        // No console takes over when the engine ends.
        world.write(&world.written().replace("[connection]\n", "[connection]\nengine = \"service\"\n"));
        world
            .run(
                r"INSERT INTO salesforce.contact (lastname, email, description, external_id__c)
                 SELECT 'Quiet', 'jane' || i || '@acme,com', 'as it was', 'TERM-' || i FROM generate_series(1, 8) i",
            )
            .await;
        world.until_text("SELECT count(*)::text FROM syncdeck.error WHERE state = 'open'", "8").await;
        world.until_quiet().await;
        Office { world, homes: tempfile::tempdir().unwrap() }
    }

    /// Where a person of that name keeps things.
    pub fn home(&self, person: &str) -> PathBuf {
        let home = self.homes.path().join(person);
        std::fs::create_dir_all(&home).unwrap();
        home
    }

    /// The words that start a console.
    pub fn words(&self) -> Vec<String> {
        let path = self.world.config.path.display().to_string();
        [env!("CARGO_BIN_EXE_syncdeck"), "--config", &path].map(str::to_owned).into()
    }

    /// A program with that person's surroundings.
    pub fn command(&self, person: &str, words: &[String]) -> CommandBuilder {
        let mut command = CommandBuilder::from_argv(words.iter().map(Into::into).collect());
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        for name in ["NO_COLOR", "TMUX", "STY", "SSH_CONNECTION"] {
            command.env_remove(name);
        }
        command.env("HOME", self.home(person));
        command.env("XDG_STATE_HOME", self.home(person));
        command
    }

    /// A console that shows the errors.
    pub fn console(&self, person: &str, columns: u16, lines: u16) -> Terminal {
        self.console_in(person, columns, lines, &[])
    }

    /// A console in surroundings of its own that shows the errors.
    pub fn console_in(
        &self,
        person: &str,
        columns: u16,
        lines: u16,
        environment: &[(&str, &str)],
    ) -> Terminal {
        let mut command = self.command(person, &self.words());
        for (name, value) in environment {
            command.env(name, value);
        }
        let mut terminal = Terminal::start(command, columns, lines);
        terminal.wait_for(" running ");
        terminal.wait_for(" of 8 ");
        terminal
    }

    /// Waits until no engine runs.
    pub async fn until_none_runs(&self) {
        self.world.until_text(&format!("SELECT count(*)::text FROM {RUNNING}"), "0").await;
    }

    /// Waits until that console's engine runs, and no other one; its name.
    pub async fn until_runs(&self, terminal: &Terminal) -> String {
        let own = format!("owner LIKE '%/{}/%'", terminal.process());
        let alone = format!("SELECT (count(*) = 1 AND bool_and({own}))::text FROM {RUNNING}");
        self.world.until_text(&alone, "true").await;
        let name = format!("SELECT owner FROM syncdeck.engine WHERE {own} ORDER BY seen_at DESC LIMIT 1");
        self.world.text(&name).await.unwrap()
    }

    /// A value of a contact.
    pub async fn contact(&self, column: &str, row: i32) -> Option<String> {
        self.world.text(&format!("SELECT {column}::text FROM salesforce.contact WHERE id = {row}")).await
    }
}

/// Lists by a filter.
pub fn filter(terminal: &mut Terminal, text: &str, lists: &str) {
    terminal.keys("/");
    terminal.wait_for("Filter errors");
    terminal.keys(&format!("{text}\r"));
    terminal.wait_for(&format!("5 Pending · {text}"));
    terminal.wait_for(lists);
}

/// Opens the selected error's record; its row.
pub fn open_record(terminal: &mut Terminal) -> i32 {
    terminal.keys("\r");
    terminal.wait_for("┏ 3 Record");
    terminal.wait_for("▶ Email");
    let title = terminal.line_with("3 Record");
    title.split("Contact ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
}
