//! The loop: what happens becomes a message, what a message asks for is performed, and what changed is drawn.
//!
//! Keys are the exception: the thread that reads one takes it in and draws what it does. On a machine whose cores are all
//! busy, each hand-over to another thread waits for that one's turn.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::Utc;
use color_eyre::eyre::{Result, WrapErr, bail};
use crossterm::event::Event as Input;
use futures_util::future::LocalBoxFuture;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Position, Rect};
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::config::state::StateFile;

use super::Backend;
use super::app::update::update;
use super::app::{App, draw};
use super::effect::Effect;
use super::io::Io;
use super::msg::Msg;
use super::term::background::{self, TerminalInput};
use super::term::clicks::Clicks;
use super::term::guard::{self, TerminalGuard};
use super::term::input::{Keys, TerminalEvent};
use super::term::{clipboard, failpoint, hangup, writer::Frames};
use super::{Left, Options};

/// What comes by itself is drawn at most this often; keys are drawn at once.
const FRAME: Duration = Duration::from_millis(66);
/// The same so long after a key or the beginning: somebody waits for what comes.
const AWAITED: Duration = Duration::from_secs(1);
/// How often then.
const AWAITED_FRAME: Duration = Duration::from_millis(16);

/// Why the loop came back.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Left(Left),
    Suspend,
}

/// The engine's side, which is still being opened when the first frame is drawn.
pub(super) enum OpenConnection<'a> {
    /// Being opened.
    Opening {
        /// What opens it.
        opening: LocalBoxFuture<'a, Result<Backend>>,
        /// Where it is kept where the console stands.
        file: Option<Arc<StateFile>>,
        /// What is to be done once it is open.
        waiting: Vec<Effect>,
    },
    /// Open.
    Open(Box<Io>),
}

impl OpenConnection<'_> {
    /// What happens next on the engine's side.
    ///
    /// # Errors
    /// When it cannot be opened.
    async fn next(&mut self) -> Result<Option<Msg>> {
        match self {
            OpenConnection::Opening { opening, file, waiting } => {
                let Backend { client, sources } = opening.await?;
                let named = sources.iter().map(|source| (source.name.clone(), source.kind.word())).collect();
                let mut io = Io::new(client, file.take(), sources);
                std::mem::take(waiting).into_iter().for_each(|effect| io.perform(effect));
                *self = OpenConnection::Open(Box::new(io));
                Ok(Some(Msg::Opened(named)))
            }
            OpenConnection::Open(io) => Ok(io.next().await),
        }
    }

    fn perform(&mut self, effect: Effect) {
        match self {
            OpenConnection::Open(io) => io.perform(effect),
            OpenConnection::Opening { .. } if effect.comes_with_the_start() => {}
            OpenConnection::Opening { waiting, .. } => waiting.push(effect),
        }
    }
}

/// What is shown and where. Whoever acts on it, the loop or the thread that reads keys, has it alone meanwhile.
struct Screen {
    app: App,
    frames: Frames,
    terminal: Terminal<CrosstermBackend<Frames>>,
    /// When it was drawn last.
    drawn: Instant,
    /// When a key, or the beginning, asked for something last.
    asked: Instant,
    /// Where the mouse was pressed last.
    clicks: Clicks,
    /// What the loop is to perform.
    waiting: Vec<Effect>,
    /// What the loop is to end with. Keys that come after that are not for this console.
    ended: Option<Result<Ended>>,
    /// Whether keys are taken.
    open: bool,
}

impl Screen {
    fn new(app: App) -> Result<Screen> {
        let frames = Frames::default();
        let terminal = terminal(&frames)?;
        let (drawn, asked) = (Instant::now(), Instant::now());
        let (clicks, waiting) = (Clicks::default(), Vec::new());
        Ok(Screen { app, frames, terminal, drawn, asked, clicks, waiting, ended: None, open: false })
    }

    /// Begins on a terminal that was just taken, and has nothing of what was drawn before.
    fn enter(&mut self) -> Result<()> {
        self.frames = Frames::default();
        self.terminal = terminal(&self.frames)?;
        self.ask_background();
        self.app.dirty = true;
        self.open = true;
        self.asked = Instant::now();
        Ok(())
    }

    /// Takes a message in.
    fn take(&mut self, msg: Msg) {
        let effects = update(&mut self.app, msg);
        self.settle(effects);
    }

    /// Performs what concerns the terminal, and leaves the rest to the loop.
    fn settle(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Quit => return self.end(Ok(Ended::Left(Left::Quit))),
                Effect::Connect(name) => return self.end(Ok(Ended::Left(Left::Connect(name)))),
                Effect::Suspend => return self.end(Ok(Ended::Suspend)),
                Effect::Redraw => {
                    if let Err(error) = self.redraw() {
                        return self.end(Err(error.into()));
                    }
                }
                Effect::Copy(text) => self.frames.raw(&clipboard::copy(&text)),
                other => self.waiting.push(other),
            }
        }
    }

    /// Asks the terminal what it draws on, where that makes a difference; the answer comes among the keys.
    fn ask_background(&mut self) {
        if self.app.ctx.theme.follows() {
            self.frames.raw(background::ASK);
            self.app.dirty = true;
        }
    }

    fn end(&mut self, ended: Result<Ended>) {
        self.open = false;
        self.ended = Some(ended);
    }

    /// Sends the same frame again: something else may have written on the screen.
    fn redraw(&mut self) -> io::Result<()> {
        // Not `clear`: that asks the terminal where its cursor is, waits for an answer that may be late or never come,
        // and fails then.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))?;
        self.frames.raw(&[]);
        self.ask_background();
        self.app.dirty = true;
        Ok(())
    }

    /// Draws what changed.
    fn draw(&mut self) {
        if !self.open || !std::mem::take(&mut self.app.dirty) {
            return;
        }
        if let Err(error) = self.frame().wrap_err("the terminal is gone") {
            self.end(Err(error));
        }
        self.drawn = Instant::now();
    }

    fn frame(&mut self) -> io::Result<()> {
        let area = self.terminal.draw(|frame| draw::draw(&self.app, frame))?.area;
        // Keys are judged by what was seen when they were pressed; the event of a new size may come later.
        self.app.ctx.size = (area.width, area.height);
        self.app.drawn();
        self.frames.commit(&mut io::stdout())
    }

    /// When the next frame of what came by itself is due.
    fn due(&self) -> Option<Instant> {
        let pace = if self.asked.elapsed() < AWAITED { AWAITED_FRAME } else { FRAME };
        self.app.dirty.then(|| self.drawn + pace)
    }

    /// Takes in what was read, and draws it at once; gives back what is not for this console.
    fn read(&mut self, read: TerminalEvent) -> Option<TerminalEvent> {
        if !self.open {
            return Some(read);
        }
        self.asked = Instant::now();
        let event = match read {
            Ok(TerminalInput::Event(event)) => event,
            Ok(TerminalInput::Background(background)) => {
                self.take(Msg::Background(background));
                self.draw();
                return None;
            }
            Err(_) => {
                self.end(Ok(Ended::Left(Left::Quit)));
                return None;
            }
        };
        match event {
            Input::Key(key) => {
                failpoint::pass(failpoint::KEY);
                self.take(Msg::Key(key));
            }
            Input::Paste(text) => self.take(Msg::Paste(text)),
            Input::Mouse(event) => {
                let twice = self.clicks.is_second(event, Instant::now());
                self.take(if twice { Msg::DoubleClick(event) } else { Msg::Mouse(event) });
            }
            Input::Resize(columns, lines) => self.take(Msg::Resize(columns, lines)),
            // Whoever comes back may have changed it elsewhere.
            Input::FocusGained => self.ask_background(),
            Input::FocusLost => {}
        }
        self.draw();
        None
    }
}

fn terminal(frames: &Frames) -> Result<Terminal<CrosstermBackend<Frames>>> {
    Terminal::new(CrosstermBackend::new(frames.clone())).wrap_err("cannot draw on the terminal")
}

/// The screen, and how the thread that reads keys tells the loop that it left it something to do.
#[derive(Clone)]
struct SharedScreen {
    screen: Arc<Mutex<Screen>>,
    left: Arc<Notify>,
}

impl SharedScreen {
    /// Acts on the screen; `None` when whoever had it before panicked.
    fn on<T>(&self, operation: impl FnOnce(&mut Screen) -> T) -> Option<T> {
        self.screen.lock().ok().map(|mut screen| operation(&mut screen))
    }

    /// Takes in what was read. What comes once the screen is broken is for nobody.
    fn read(&self, read: TerminalEvent) -> Option<TerminalEvent> {
        let (given_back, leaves) = self.on(|screen| {
            let given_back = screen.read(read);
            (given_back, !screen.waiting.is_empty() || screen.ended.is_some())
        })?;
        if leaves {
            self.left.notify_one();
        }
        given_back
    }
}

/// Runs the console on the real terminal.
pub(super) async fn run(
    opening: LocalBoxFuture<'_, Result<Backend>>,
    options: Options,
    keys: &mut Keys,
) -> Result<Left> {
    // crossterm would turn every colour command under NO_COLOR into one that also wipes the highlight; our theme has
    // no colours then, and needs no help.
    crossterm::style::force_color_output(true);
    let ended_outside = hangup::ended();
    let size = crossterm::terminal::size().unwrap_or((80, 24));
    let mut app = App::new(Utc::now(), size, options.settings);
    app.resume(&options.state);
    if let Some(file) = &options.file {
        file.begin(app.session());
    }
    let mut connection = OpenConnection::Opening { opening, file: options.file, waiting: Vec::new() };
    let shared = SharedScreen { screen: Arc::new(Mutex::new(Screen::new(app)?)), left: Arc::default() };
    loop {
        let follows = shared.on(|screen| screen.app.ctx.theme.follows()).unwrap_or_default();
        let guard = TerminalGuard::take(options.mouse, follows).wrap_err("cannot take the terminal")?;
        let Some(entered) = shared.on(Screen::enter) else { return broken().await };
        entered?;
        // A new reader each time: one that is only paused would go on reading the keys meant for the shell.
        let reading = shared.clone();
        keys.open(move |read| reading.read(read)).wrap_err("cannot read keys")?;
        let ended = run_loop(&shared, &mut connection, &ended_outside).await;
        shared.on(|screen| screen.open = false);
        keys.close().await;
        if let (OpenConnection::Open(io), Some(state)) =
            (&connection, shared.on(|screen| screen.app.session()))
        {
            io.keep(&state);
        }
        match ended? {
            Ended::Left(left) => {
                drop(guard);
                if let Some(text) = shared.on(|screen| screen.app.unfinished()).flatten() {
                    let _ = writeln!(io::stderr(), "{text}");
                }
                return Ok(left);
            }
            Ended::Suspend => {}
        }
        drop(guard);
        // Raw mode keeps the kernel from doing this on Ctrl-Z. The whole job stops, and goes on here with fg.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(0), nix::sys::signal::Signal::SIGTSTP);
        shared.on(|screen| screen.app.ctx.size = crossterm::terminal::size().unwrap_or(screen.app.ctx.size));
    }
}

/// The end of a console one of whose threads panicked.
async fn broken<T>() -> Result<T> {
    guard::reported().await;
    bail!("a part of the console broke; the report is above\nwhat was saved is saved; start it again");
}

/// Runs until the console is left or suspended. What comes by itself is drawn at most every [`FRAME`], or [`AWAITED_FRAME`].
async fn run_loop(
    shared: &SharedScreen,
    connection: &mut OpenConnection<'_>,
    ended_outside: &CancellationToken,
) -> Result<Ended> {
    let mut clock = tokio::time::interval(Duration::from_secs(1));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // After a suspension everything may be other than it was.
    let again = matches!(connection, OpenConnection::Open(_));
    let begun = shared.on(|screen| {
        let effects = if again { screen.app.start() } else { Vec::new() };
        screen.settle(effects);
        screen.draw();
    });
    if begun.is_none() {
        return broken().await;
    }
    loop {
        let left = shared.on(|screen| {
            if screen.due().is_some_and(|due| due <= Instant::now()) {
                screen.draw();
            }
            (std::mem::take(&mut screen.waiting), screen.ended.take(), screen.due())
        });
        let Some((waiting, ended, due)) = left else { return broken().await };
        waiting.into_iter().for_each(|effect| connection.perform(effect));
        if let Some(ended) = ended {
            return ended;
        }
        let msg = tokio::select! {
            biased;
            () = guard::panicked() => return broken().await,
            () = ended_outside.cancelled() => return Ok(Ended::Left(Left::Quit)),
            () = shared.left.notified() => continue,
            msg = connection.next() => match msg? {
                Some(msg) => msg,
                None => return Ok(Ended::Left(Left::Quit)),
            },
            _ = clock.tick() => Msg::Tick(Utc::now()),
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => continue,
        };
        shared.on(|screen| screen.take(msg));
    }
}
