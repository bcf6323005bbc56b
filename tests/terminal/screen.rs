//! The builder of this way of testing: a program on a pseudo-terminal, and the screen it draws.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// How long what must come may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the program has sent so far.
struct Shown {
    parser: vt100::Parser,
    bytes: Vec<u8>,
    ended: bool,
    /// The reading end is to let go of the terminal.
    let_go: bool,
}

pub struct Session {
    master: Option<Box<dyn MasterPty + Send>>,
    writer: Option<Box<dyn Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    shown: Arc<(Mutex<Shown>, Condvar)>,
    reading: Option<std::thread::JoinHandle<()>>,
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
        let size = PtySize { rows: lines, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_syncdeck"));
        command.args(["demo", "--rows", "800", "--dir"]);
        command.arg(&dir);
        command.env("TERM", "xterm-256color");
        command.env_remove("NO_COLOR");
        for (name, value) in environment {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let parser = vt100::Parser::new(lines, columns, 0);
        let shown = Arc::new((
            Mutex::new(Shown { parser, bytes: Vec::new(), ended: false, let_go: false }),
            Condvar::new(),
        ));
        let mut reader = pair.master.try_clone_reader().unwrap();
        let feed = shown.clone();
        let reading = std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                let read = reader.read(&mut buffer).unwrap_or(0);
                let mut shown = feed.0.lock().unwrap();
                shown.parser.process(&buffer[..read]);
                shown.bytes.extend_from_slice(&buffer[..read]);
                shown.ended = read == 0;
                feed.1.notify_all();
                if read == 0 || shown.let_go {
                    return;
                }
            }
        });
        let writer = pair.master.take_writer().unwrap();
        Session {
            master: Some(pair.master),
            writer: Some(writer),
            child,
            shown,
            reading: Some(reading),
            dir,
            socket: None,
        }
    }

    /// Types; control characters are keys.
    pub fn keys(&mut self, keys: &str) {
        let writer = self.writer.as_mut().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    /// Waits until the screen has this text.
    pub fn wait_for(&mut self, text: &str) {
        self.wait_until(text, |screen| screen.contains(text));
    }

    /// Waits until the screen is so; woken by what the program draws.
    pub fn wait_until(&mut self, what: &str, holds: impl Fn(&str) -> bool) {
        let begin = Instant::now();
        let mut shown = self.shown.0.lock().unwrap();
        loop {
            let screen = shown.parser.screen().contents();
            if holds(&screen) {
                return;
            }
            let left = PATIENCE.saturating_sub(begin.elapsed());
            assert!(!left.is_zero() && !shown.ended, "never came: {what}\n{screen}");
            shown = self.shown.1.wait_timeout(shown, left).unwrap().0;
        }
    }

    pub fn line_with(&self, text: &str) -> String {
        let screen = self.shown.0.lock().unwrap().parser.screen().contents();
        screen.lines().find(|line| line.contains(text)).unwrap().to_owned()
    }

    /// Whether these bytes were ever sent.
    pub fn saw(&self, bytes: &str) -> bool {
        let shown = self.shown.0.lock().unwrap();
        shown.bytes.windows(bytes.len()).any(|window| window == bytes.as_bytes())
    }

    /// Whether any colour was ever set: SGR 30-38, 40-48, 90-97, 100-107.
    pub fn saw_colour(&self) -> bool {
        let shown = self.shown.0.lock().unwrap();
        String::from_utf8_lossy(&shown.bytes).split("\x1b[").skip(1).any(|sequence| {
            let end = sequence.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(0);
            sequence[end..].starts_with('m')
                && sequence[..end]
                    .split(';')
                    .filter_map(|n| n.parse::<u32>().ok())
                    .any(|n| matches!(n, 30..=38 | 40..=48 | 90..=97 | 100..=107))
        })
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
    }

    /// The terminal goes away, as when an SSH session drops.
    pub fn hang_up(&mut self) {
        self.remember_socket();
        // Every end must be closed, the reading one too; it lets go with the next thing that is drawn.
        self.shown.0.lock().unwrap().let_go = true;
        self.keys("?");
        self.reading.take().unwrap().join().unwrap();
        drop(self.writer.take());
        drop(self.master.take());
    }

    /// Waits for the end.
    pub fn exit_code(&mut self) -> u32 {
        self.remember_socket();
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(begin.elapsed() < PATIENCE, "the program does not end");
            std::thread::yield_now();
        }
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
        let begin = Instant::now();
        loop {
            let found = self.sql(sql);
            if found == wanted {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "{sql} gives {found}, not {wanted}");
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
        let begin = Instant::now();
        // The keeper outlives the program by the moment it needs to stop the server.
        while socket.exists() && begin.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
        assert!(!socket.exists(), "{} is still there", socket.display());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
