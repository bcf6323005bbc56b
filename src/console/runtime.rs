//! The loop: what happens becomes a message, what a message asks for is performed, and what changed is drawn.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use color_eyre::eyre::{Result, WrapErr, bail};
use crossterm::event::Event as Input;
use futures_util::future::LocalBoxFuture;
use futures_util::{Stream, StreamExt};
use ratatui::Terminal;
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::layout::{Position, Rect};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::config::state::StateFile;
use crate::engine::handle::Handle;

use super::effect::Effect;
use super::io::Io;
use super::model::Model;
use super::msg::Msg;
use super::term::guard::{self, Guard};
use super::term::{clipboard, failpoint, hangup, input::Input as Keys, writer::Frames};
use super::update::update;
use super::{Left, Options, view};

/// What comes by itself is drawn at most this often; keys are drawn at once.
const FRAME: Duration = Duration::from_millis(66);

/// Why the loop came back.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Left(Left),
    Suspend,
}

/// The engine's side, which is still being opened when the first frame is drawn.
pub(super) enum Door<'a> {
    /// Being opened.
    Opening {
        /// What opens it.
        opening: LocalBoxFuture<'a, Result<Handle>>,
        /// Where it is kept where the console stands.
        file: Option<Arc<StateFile>>,
        /// What is to be done once it is open.
        waiting: Vec<Effect>,
    },
    /// Open.
    Open(Box<Io>),
}

impl Door<'_> {
    /// What happens next on the engine's side.
    ///
    /// # Errors
    /// When it cannot be opened.
    async fn next(&mut self) -> Result<Option<Msg>> {
        match self {
            Door::Opening { opening, file, waiting } => {
                let handle = opening.await?;
                let mut io = Io::new(handle, file.take());
                std::mem::take(waiting).into_iter().for_each(|effect| io.perform(effect));
                *self = Door::Open(Box::new(io));
                Ok(Some(Msg::Opened))
            }
            Door::Open(io) => Ok(io.next().await),
        }
    }

    fn perform(&mut self, effect: Effect) {
        match self {
            Door::Open(io) => io.perform(effect),
            Door::Opening { .. } if effect.comes_with_the_start() => {}
            Door::Opening { waiting, .. } => waiting.push(effect),
        }
    }
}

/// Runs the console on the real terminal.
pub(super) async fn run(
    opening: LocalBoxFuture<'_, Result<Handle>>,
    options: Options,
    keys: &mut Keys,
) -> Result<Left> {
    // crossterm would turn every colour command under NO_COLOR into one that also wipes the highlight; our theme has
    // no colours then, and needs no help.
    crossterm::style::force_color_output(true);
    let ended_outside = hangup::ended();
    let size = crossterm::terminal::size().unwrap_or((80, 24));
    let mut model = Model::new(Utc::now(), size, options.settings);
    model.resume(&options.state);
    if let Some(file) = &options.file {
        file.begin(model.state());
    }
    let mut door = Door::Opening { opening, file: options.file, waiting: Vec::new() };
    loop {
        let _guard = Guard::take(options.mouse).wrap_err("cannot take the terminal")?;
        let frames = Frames::default();
        let mut terminal =
            Terminal::new(CrosstermBackend::new(frames.clone())).wrap_err("cannot draw on the terminal")?;
        let mut screen = Screen { frames, out: io::stdout() };
        model.dirty = true;
        // A new reader each time: one that is only paused would go on reading the keys meant for the shell.
        keys.open().wrap_err("cannot read keys")?;
        let ended =
            run_loop(&mut model, &mut terminal, &mut screen, &mut *keys, &mut door, &ended_outside).await;
        keys.close().await;
        if let Door::Open(io) = &door {
            io.keep(&model.state());
        }
        match ended? {
            Ended::Left(left) => return Ok(left),
            Ended::Suspend => {}
        }
        drop(terminal);
        drop(_guard);
        // Raw mode keeps the kernel from doing this on Ctrl-Z. The whole job stops, and goes on here with fg.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(0), nix::sys::signal::Signal::SIGTSTP);
        model.size = crossterm::terminal::size().unwrap_or(model.size);
    }
}

/// Where frames go after they were drawn.
pub(super) trait Commit {
    /// Sends the frame.
    fn commit(&mut self) -> io::Result<()>;
    /// Sends bytes that draw nothing, with the next frame.
    fn raw(&mut self, bytes: &[u8]);
}

struct Screen {
    frames: Frames,
    out: io::Stdout,
}

impl Commit for Screen {
    fn commit(&mut self) -> io::Result<()> {
        self.frames.commit(&mut self.out)
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.frames.raw(bytes);
    }
}

/// Runs until the console is left or suspended. Keys are drawn at once, everything else at most every [`FRAME`].
async fn run_loop<B, S>(
    model: &mut Model,
    terminal: &mut Terminal<B>,
    screen: &mut impl Commit,
    mut input: S,
    door: &mut Door<'_>,
    ended_outside: &CancellationToken,
) -> Result<Ended>
where
    B: Backend,
    B::Error: Send + Sync + 'static,
    S: Stream<Item = io::Result<Input>> + Unpin,
{
    let mut clock = tokio::time::interval(Duration::from_secs(1));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut drawn = Instant::now() - FRAME;
    // After a suspension everything may be other than it was.
    let mut waiting: Vec<Effect> = if matches!(door, Door::Open(_)) { model.start() } else { Vec::new() };
    let mut urgent = true;
    loop {
        for effect in waiting.drain(..) {
            match effect {
                Effect::Quit => return Ok(Ended::Left(Left::Quit)),
                Effect::Connect(name) => return Ok(Ended::Left(Left::Connect(name))),
                Effect::Suspend => return Ok(Ended::Suspend),
                Effect::Redraw => {
                    // Not `clear`: that asks the terminal where its cursor is, waits for an answer that may be late or
                    // never come, and fails then.
                    terminal.resize(Rect::from((Position::ORIGIN, terminal.size()?)))?;
                    // Something else may have written on the screen: the same frame is sent again.
                    screen.raw(&[]);
                    model.dirty = true;
                }
                Effect::Copy(text) => screen.raw(&clipboard::copy(&text)),
                other => door.perform(other),
            }
        }
        if model.dirty && (urgent || drawn.elapsed() >= FRAME) {
            model.dirty = false;
            let area = terminal.draw(|frame| view::draw(model, frame))?.area;
            // Keys are judged by what was seen when they were pressed; the event of a new size may come later.
            model.size = (area.width, area.height);
            model.drawn();
            screen.commit().wrap_err("the terminal is gone")?;
            drawn = Instant::now();
        }
        urgent = false;
        let msg = tokio::select! {
            biased;
            () = guard::panicked() => {
                guard::reported().await;
                bail!("a part of the console broke; the report is above\nwhat was saved is saved; start it again");
            }
            () = ended_outside.cancelled() => return Ok(Ended::Left(Left::Quit)),
            msg = door.next() => match msg? {
                Some(msg) => msg,
                None => return Ok(Ended::Left(Left::Quit)),
            },
            key = input.next() => match key {
                Some(Ok(Input::Key(key))) => { failpoint::pass(failpoint::KEY); urgent = true; Msg::Key(key) }
                Some(Ok(Input::Paste(text))) => { urgent = true; Msg::Paste(text) }
                Some(Ok(Input::Mouse(event))) => { urgent = true; Msg::Mouse(event) }
                Some(Ok(Input::Resize(columns, lines))) => { urgent = true; Msg::Resize(columns, lines) }
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return Ok(Ended::Left(Left::Quit)),
            },
            _ = clock.tick() => Msg::Tick(Utc::now()),
            () = tokio::time::sleep_until(drawn + FRAME), if model.dirty => { urgent = true; continue }
        };
        waiting = update(model, msg);
    }
}
