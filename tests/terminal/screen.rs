//! A program on a pseudo-terminal, and the screen it draws.

use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::support::Patience;

/// Between looks at whether anything moves.
const LOOK: Duration = Duration::from_secs(1);

/// What the program has sent so far.
struct Shown {
    parser: vt100::Parser,
    bytes: Vec<u8>,
    ended: bool,
    /// The reading end is to let go of the terminal.
    let_go: bool,
}

impl Shown {
    /// Whether no frame is half drawn: frames stand between the marks of synchronized output.
    fn is_whole(&self) -> bool {
        let last = |mark: &[u8]| self.bytes.windows(mark.len()).rposition(|window| window == mark);
        last(b"\x1b[?2026h") <= last(b"\x1b[?2026l")
    }
}

pub struct Terminal {
    master: Option<Box<dyn MasterPty + Send>>,
    writer: Option<Box<dyn Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    shown: Arc<(Mutex<Shown>, Condvar)>,
    reading: Option<std::thread::JoinHandle<()>>,
}

impl Terminal {
    /// Starts a program on a terminal of that size.
    pub fn start(command: CommandBuilder, columns: u16, lines: u16) -> Terminal {
        let pair = native_pty_system().openpty(size(columns, lines)).unwrap();
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let parser = vt100::Parser::new(lines, columns, 0);
        let shown = Shown { parser, bytes: Vec::new(), ended: false, let_go: false };
        let shown = Arc::new((Mutex::new(shown), Condvar::new()));
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
        Terminal { master: Some(pair.master), writer: Some(writer), child, shown, reading: Some(reading) }
    }

    /// Types; control characters are keys.
    pub fn keys(&mut self, keys: &str) {
        let writer = self.writer.as_mut().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    /// Makes it another size; what it showed is gone, so that whatever shows later was drawn for the new size.
    pub fn resize(&mut self, columns: u16, lines: u16) {
        self.shown.0.lock().unwrap().parser = vt100::Parser::new(lines, columns, 0);
        self.master.as_ref().unwrap().resize(size(columns, lines)).unwrap();
    }

    /// Waits until the screen has this text.
    pub fn wait_for(&mut self, text: &str) {
        self.wait_until(text, |screen| screen.contains(text));
    }

    /// Waits until the screen is so; woken by what the program draws.
    pub fn wait_until(&mut self, what: &str, holds: impl Fn(&str) -> bool) {
        drop(self.wait(what, |shown| holds(&shown.parser.screen().contents())));
    }

    /// Whether the screen has this text.
    pub fn shows(&self, text: &str) -> bool {
        self.wait("a whole frame", |_| true).parser.screen().contents().contains(text)
    }

    /// Waits until these bytes were sent.
    pub fn wait_for_bytes(&mut self, bytes: &str) {
        self.wait_for_times(bytes, 1);
    }

    /// Waits until these bytes were sent so many times.
    pub fn wait_for_times(&mut self, bytes: &str, count: usize) {
        drop(self.wait(bytes, |shown| times(&shown.bytes, bytes) >= count));
    }

    /// How often these bytes were sent so far.
    pub fn times_sent(&self, bytes: &str) -> usize {
        times(&self.shown().bytes, bytes)
    }

    /// Waits for what holds between two frames.
    fn wait(&self, what: &str, holds: impl Fn(&Shown) -> bool) -> MutexGuard<'_, Shown> {
        let mut patience = Patience::new();
        let mut shown = self.shown();
        while !(shown.is_whole() && holds(&shown)) {
            let screen = shown.parser.screen().contents();
            // A clock that goes on is no sign of anything.
            patience.sees(screen.replace(|c: char| c.is_ascii_digit(), ""));
            assert!(!patience.is_over() && !shown.ended, "never came: {what}\n{screen}");
            shown = self.shown.1.wait_timeout(shown, LOOK).unwrap().0;
        }
        shown
    }

    /// Waits until nothing was sent for so long.
    pub fn comes_to_rest(&self, rest: Duration) {
        let mut patience = Patience::new();
        let mut shown = self.shown();
        loop {
            let sent = shown.bytes.len();
            let waited = self.shown.1.wait_timeout_while(shown, rest, |shown| shown.bytes.len() == sent);
            let (again, timeout) = waited.unwrap();
            if timeout.timed_out() {
                return;
            }
            let last = String::from_utf8_lossy(&again.bytes[sent..]).into_owned();
            patience.sees(sent);
            assert!(!patience.is_over(), "it never came to rest; last came {last:?}");
            shown = again;
        }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.0.lock().unwrap()
    }

    pub fn line_with(&self, text: &str) -> String {
        let screen = self.shown().parser.screen().contents();
        screen
            .lines()
            .find(|line| line.contains(text))
            .unwrap_or_else(|| panic!("{text}: {screen}"))
            .to_owned()
    }

    /// The line under the program's cursor.
    pub fn cursor_line(&self) -> String {
        let shown = self.wait("a whole frame", |_| true);
        let (line, _) = shown.parser.screen().cursor_position();
        shown.parser.screen().contents().lines().nth(line.into()).unwrap().to_owned()
    }

    /// All that was sent.
    pub fn sent(&self) -> Vec<u8> {
        self.shown().bytes.clone()
    }

    /// Whether these bytes were ever sent.
    pub fn saw(&self, bytes: &str) -> bool {
        self.times_sent(bytes) > 0
    }

    /// Whether any colour was ever set: SGR 30-38, 40-48, 90-97, 100-107.
    pub fn saw_colour(&self) -> bool {
        String::from_utf8_lossy(&self.shown().bytes).split("\x1b[").skip(1).any(|sequence| {
            let end = sequence.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(0);
            sequence[end..].starts_with('m')
                && sequence[..end]
                    .split(';')
                    .filter_map(|n| n.parse::<u32>().ok())
                    .any(|n| matches!(n, 30..=38 | 40..=48 | 90..=97 | 100..=107))
        })
    }

    /// The program's process.
    pub fn process(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process()).unwrap();
        nix::sys::signal::kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// From now on the terminal takes nothing, as when the connection to it stalls; returns when the program waits to
    /// write.
    pub fn stall(&mut self) {
        self.shown().let_go = true;
        // A key that draws everything lets the reading end see that, and those behind it fill the terminal.
        self.keys(&"\x0c".repeat(20));
        self.reading.take().unwrap().join().unwrap();
        let patience = Patience::new();
        let threads = format!("/proc/{}/task", self.process());
        let waits = |thread: std::fs::DirEntry| {
            std::fs::read_to_string(thread.path().join("wchan"))
                .is_ok_and(|at| ["wait_woken", "n_tty_write"].contains(&at.as_str()))
        };
        // A key's frame is written by the thread that read it, every other one by the first.
        while std::fs::read_dir(&threads).is_ok_and(|all| !all.flatten().any(waits)) {
            assert!(!patience.is_over(), "the program does not wait for its terminal");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether the terminal is as a shell leaves it to programs: lines, echo, signals by keys, a cursor that shows.
    pub fn is_sane(&self) -> bool {
        let termios = self.master.as_ref().unwrap().get_termios().unwrap();
        let wanted = nix::libc::ICANON | nix::libc::ECHO | nix::libc::ISIG;
        let hidden = self.shown().parser.screen().hide_cursor();
        termios.local_flags.bits() & wanted == wanted && !hidden
    }

    /// The terminal goes away, as when an SSH session drops.
    pub fn hang_up(&mut self) {
        // Every end must be closed, the reading one too; it lets go with the next thing that is drawn.
        self.shown().let_go = true;
        self.keys("?");
        self.reading.take().unwrap().join().unwrap();
        drop(self.writer.take());
        drop(self.master.take());
    }

    /// Waits for the end, and for the last of what was sent where that is still read.
    pub fn exit_code(&mut self) -> u32 {
        let mut patience = Patience::new();
        loop {
            let all_read = self.reading.is_none() || self.shown().ended;
            if let Some(status) = self.child.try_wait().unwrap().filter(|_| all_read) {
                return status.exit_code();
            }
            if patience.wants_a_look() {
                patience.sees(self.shown().bytes.len());
            }
            assert!(
                !patience.is_over(),
                "the program does not end\n{}",
                self.shown().parser.screen().contents()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends the program by force.
    pub fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.end();
    }
}

fn size(columns: u16, lines: u16) -> PtySize {
    PtySize { rows: lines, cols: columns, pixel_width: 0, pixel_height: 0 }
}

fn times(sent: &[u8], bytes: &str) -> usize {
    sent.windows(bytes.len()).filter(|window| *window == bytes.as_bytes()).count()
}
