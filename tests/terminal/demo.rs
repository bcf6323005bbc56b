//! The builder of the demo: everything on a terminal of its own, its effect read from PostgreSQL and from the org.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::time::Duration;

use portable_pty::CommandBuilder;

use crate::screen::Terminal;
use crate::support::Patience;

pub struct Session {
    terminal: Terminal,
    dir: PathBuf,
    socket: Option<PathBuf>,
}

impl Session {
    pub fn demo(columns: u16, lines: u16) -> Session {
        Session::start(columns, lines, &[])
    }

    /// A demo in a directory of its own, on a terminal of that size.
    pub fn start(columns: u16, lines: u16, environment: &[(&str, &str)]) -> Session {
        let dir = tempfile::Builder::new().prefix("syncdeck-term-").tempdir_in("/tmp").unwrap().keep();
        std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_syncdeck"));
        command.args(["demo", "--rows", "800", "--dir"]);
        command.arg(&dir);
        command.env("TERM", "xterm-256color");
        command.env_remove("NO_COLOR");
        for (name, value) in environment {
            command.env(name, value);
        }
        Session { terminal: Terminal::start(command, columns, lines), dir, socket: None }
    }

    /// The terminal goes away, as when an SSH session drops.
    pub fn hang_up(&mut self) {
        self.remember_socket();
        self.terminal.hang_up();
    }

    /// Waits for the end.
    pub fn exit_code(&mut self) -> u32 {
        self.remember_socket();
        self.terminal.exit_code()
    }

    fn config(&self, key: &str) -> String {
        let text = std::fs::read_to_string(self.dir.join("syncdeck.toml")).unwrap();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap();
        line.split('"').nth(1).unwrap().to_owned()
    }

    fn remember_socket(&mut self) {
        let url = self.config("url");
        self.socket = url.split("host=").nth(1).and_then(|rest| rest.split('&').next()).map(PathBuf::from);
    }

    /// One text of a query, over a connection of its own.
    pub fn sql(&self, sql: &str) -> String {
        let url = self.config("url");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            client.query_one(sql, &[]).await.unwrap().get(0)
        })
    }

    /// Waits until a query gives this text.
    pub fn wait_for_sql(&self, sql: &str, wanted: &str) {
        let mut patience = Patience::new();
        loop {
            let found = self.sql(sql);
            if found == wanted {
                return;
            }
            patience.sees(&found);
            assert!(!patience.is_over(), "{sql} gives {found}, not {wanted}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Writes as an application does.
    pub fn run(&self, sql: &str) {
        self.sql(&format!("WITH written AS ({sql} RETURNING 1) SELECT count(*)::text FROM written"));
    }

    /// What the simulated org answers.
    pub fn http(&self, path: &str) -> String {
        let url = format!("{}{path}", self.config("login_url"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { reqwest::get(url).await.unwrap().text().await.unwrap() })
    }

    /// The server and its socket are gone.
    pub fn assert_nothing_left(&self) {
        let socket = self.socket.as_ref().unwrap();
        let patience = Patience::new();
        // The keeper outlives the program by the moment it needs to stop the server.
        while socket.exists() && !patience.is_over() {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(!socket.exists(), "{} is still there", socket.display());
    }
}

impl Deref for Session {
    type Target = Terminal;

    fn deref(&self) -> &Terminal {
        &self.terminal
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Terminal {
        &mut self.terminal
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The program first; the directory is no longer in use then.
        self.terminal.end();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
