//! The real program on a pseudo-terminal of 120x40, its frames timed as they come: a frame is finished with the end mark
//! of synchronized output.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// How long what must come may take.
const PATIENCE: Duration = Duration::from_secs(30);
const COLUMNS: u16 = 120;
const LINES: u16 = 40;
/// The end of a frame.
pub const END: &[u8] = b"\x1b[?2026l";

type Holds = Box<dyn Fn(&str) -> bool + Send>;

/// A frame with which something came true.
#[derive(Clone, Copy, Debug)]
pub struct Met {
    /// From the key, or the start, to the frame's end.
    pub took: Duration,
    /// The frame's bytes.
    pub bytes: usize,
    /// The bytes by which another program would make this screen of the one before the key.
    pub least: usize,
}

struct Shown {
    parser: vt100::Parser,
    /// The end of what was read, shorter than a mark.
    tail: VecDeque<u8>,
    /// Bytes so far, and up to the end of the last frame.
    bytes: usize,
    framed: usize,
    frames: usize,
    /// What is waited for, and since when.
    watch: Option<(Instant, Holds)>,
    /// What showed then.
    before: vt100::Screen,
    met: Option<Met>,
    ended: bool,
}

impl Shown {
    /// Takes in what was read at one moment.
    fn take(&mut self, read: &[u8], at: Instant) {
        let mut from = 0;
        for (index, byte) in read.iter().enumerate() {
            self.tail.push_back(*byte);
            if self.tail.len() > END.len() {
                self.tail.pop_front();
            }
            if self.tail.iter().eq(END) {
                self.parser.process(&read[from..=index]);
                self.bytes += index + 1 - from;
                from = index + 1;
                self.frame(at);
            }
        }
        self.parser.process(&read[from..]);
        self.bytes += read.len() - from;
    }

    fn frame(&mut self, at: Instant) {
        self.frames += 1;
        let bytes = self.bytes - std::mem::replace(&mut self.framed, self.bytes);
        let Some((since, holds)) = &self.watch else { return };
        if holds(&self.parser.screen().contents()) {
            let least = self.parser.screen().contents_diff(&self.before).len();
            self.met = Some(Met { took: at.saturating_duration_since(*since), bytes, least });
            self.watch = None;
        }
    }
}

/// A program on a terminal.
pub struct Session {
    began: Instant,
    writer: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    shown: Arc<(Mutex<Shown>, Condvar)>,
    _master: Box<dyn MasterPty + Send>,
}

impl Session {
    /// Starts a program and its arguments, with a home of its own.
    pub fn start(program: &[&str], home: &Path) -> Session {
        let size = PtySize { rows: LINES, cols: COLUMNS, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(program[0]);
        command.args(&program[1..]);
        command.env("TERM", "xterm-256color");
        command.env("XDG_STATE_HOME", home);
        command.env_remove("NO_COLOR");
        let parser = vt100::Parser::new(LINES, COLUMNS, 0);
        let shown = Shown {
            before: parser.screen().clone(),
            parser,
            tail: VecDeque::new(),
            bytes: 0,
            framed: 0,
            frames: 0,
            watch: None,
            met: None,
            ended: false,
        };
        let shown = Arc::new((Mutex::new(shown), Condvar::new()));
        let mut reader = pair.master.try_clone_reader().unwrap();
        let feed = shown.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            loop {
                let read = reader.read(&mut buffer).unwrap_or(0);
                let at = Instant::now();
                let mut shown = feed.0.lock().unwrap();
                shown.take(&buffer[..read], at);
                shown.ended = read == 0;
                feed.1.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        let began = Instant::now();
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let writer = pair.master.take_writer().unwrap();
        Session { began, writer, child, shown, _master: pair.master }
    }

    fn wait(&self, what: &str) -> Met {
        let begin = Instant::now();
        let mut shown = self.shown.0.lock().unwrap();
        loop {
            if let Some(met) = shown.met.take() {
                return met;
            }
            let left = PATIENCE.saturating_sub(begin.elapsed());
            let screen = shown.parser.screen().contents();
            assert!(!left.is_zero() && !shown.ended, "never came: {what}\n{screen}");
            shown = self.shown.1.wait_timeout(shown, left).unwrap().0;
        }
    }

    /// The first frame with which this holds, from the start on; asked right after the start.
    pub fn first(&self, what: &str, holds: impl Fn(&str) -> bool + Send + 'static) -> Met {
        let mut shown = self.shown.0.lock().unwrap();
        shown.watch = Some((self.began, Box::new(holds)));
        drop(shown);
        self.wait(what)
    }

    /// Types, and waits for the frame with which this holds.
    pub fn key(&mut self, keys: &str, what: &str, holds: impl Fn(&str) -> bool + Send + 'static) -> Met {
        let mut shown = self.shown.0.lock().unwrap();
        shown.before = shown.parser.screen().clone();
        shown.watch = Some((Instant::now(), Box::new(holds)));
        drop(shown);
        self.type_in(keys);
        self.wait(what)
    }

    /// Types.
    pub fn type_in(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    /// What shows now.
    pub fn screen(&self) -> String {
        self.shown.0.lock().unwrap().parser.screen().contents()
    }

    /// Waits until what shows is so.
    pub fn until(&self, what: &str, holds: impl Fn(&str) -> bool) {
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

    /// Frames and bytes so far.
    pub fn sent(&self) -> (usize, usize) {
        let shown = self.shown.0.lock().unwrap();
        (shown.frames, shown.bytes)
    }

    /// Waits until nothing was sent for so long.
    pub fn settle(&self, silence: Duration) {
        let begin = Instant::now();
        loop {
            let before = self.sent();
            std::thread::sleep(silence);
            if self.sent() == before {
                return;
            }
            assert!(begin.elapsed() < 3 * PATIENCE, "it never rests\n{}", self.screen());
        }
    }

    /// A figure of `/proc/PID/status`, in MB.
    pub fn memory(&self, name: &str) -> f64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.process_id().unwrap())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    /// Leaves, and waits for the end.
    pub fn leave(mut self) {
        self.type_in("\x03");
        self.child.wait().unwrap();
    }
}
