//! The loop, and the only place where effects happen.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{Local, Offset, Utc};
use color_eyre::eyre::WrapErr;
use crossterm::event::Event as Input;
use futures_util::{Stream, StreamExt};
use ratatui::Terminal;
use ratatui::backend::{Backend, CrosstermBackend};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::domain::act::Deed;
use crate::domain::overview::Writes;
use crate::engine::bulk::{Chosen, Plan};
use crate::engine::export::Format;
use crate::engine::handle::{Count, ErrorPage, ErrorQuery, Event, Handle, Refused};
use crate::postgres::audit::AuditQuery;
use crate::postgres::link::Owner;

use super::effect::Effect;
use super::model::Model;
use super::msg::Msg;
use super::term::{clipboard, guard::Guard, hangup, input::Input as Keys, writer::Frames};
use super::theme::Theme;
use super::update::update;
use super::{Options, view};

/// What comes by itself is drawn at most this often; keys are drawn at once.
const FRAME: Duration = Duration::from_millis(66);

/// Why the loop came back.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Quit,
    Suspend,
}

/// Runs the console on the real terminal.
pub(super) async fn run(handle: Handle, options: Options) -> color_eyre::Result<()> {
    // crossterm would turn every colour command under NO_COLOR into one that also wipes the highlight; our theme has
    // no colours then, and needs no help.
    crossterm::style::force_color_output(true);
    let gone = CancellationToken::new();
    hangup::watch(gone.clone());
    let mut signals = Signals::new(gone).wrap_err("cannot listen for signals")?;
    let size = crossterm::terminal::size().unwrap_or((80, 24));
    let zone = Local::now().offset().fix();
    let mut model = Model::new(Utc::now(), zone, size, Theme::new(!options.no_color), options.read_only);
    let mut io = Io::new(handle);
    loop {
        let _guard = Guard::take().wrap_err("cannot take the terminal")?;
        let frames = Frames::default();
        let mut terminal =
            Terminal::new(CrosstermBackend::new(frames.clone())).wrap_err("cannot draw on the terminal")?;
        let mut screen = Screen { frames, out: io::stdout() };
        model.dirty = true;
        // A new reader each time: one that is only paused would go on reading the keys meant for the shell.
        let mut keys = Keys::open().wrap_err("cannot read keys")?;
        let ended = run_loop(&mut model, &mut terminal, &mut screen, &mut keys, &mut io, &mut signals).await;
        keys.close().await;
        match ended? {
            Ended::Quit => return Ok(()),
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
    /// Sends bytes that are no frame.
    fn raw(&mut self, bytes: &[u8]) -> io::Result<()>;
}

struct Screen {
    frames: Frames,
    out: io::Stdout,
}

impl Commit for Screen {
    fn commit(&mut self) -> io::Result<()> {
        self.frames.commit(&mut self.out)
    }

    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.flush()
    }
}

/// What ends the console from outside.
pub(super) struct Signals {
    gone: CancellationToken,
    ends: [Signal; 3],
}

impl Signals {
    pub(super) fn new(gone: CancellationToken) -> io::Result<Signals> {
        let ends = [
            signal(SignalKind::hangup())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        ];
        Ok(Signals { gone, ends })
    }

    async fn end(&mut self) {
        let [hangup, terminate, interrupt] = &mut self.ends;
        tokio::select! {
            () = self.gone.cancelled() => {}
            _ = hangup.recv() => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// The engine's side: events in, effects out, replies back.
struct Io {
    handle: Handle,
    events: broadcast::Receiver<Event>,
    replies: mpsc::UnboundedReceiver<Msg>,
    sender: mpsc::UnboundedSender<Msg>,
    /// Ends the act under way between two transactions.
    stop: CancellationToken,
}

impl Io {
    fn new(handle: Handle) -> Io {
        let events = handle.events();
        let (sender, replies) = mpsc::unbounded_channel();
        Io { handle, events, replies, sender, stop: CancellationToken::new() }
    }

    /// Performs an effect on the engine's side as a task; its result comes back as a message.
    fn perform(&mut self, effect: Effect) {
        let (handle, sender) = (self.handle.clone(), self.sender.clone());
        match effect {
            Effect::Stop => return self.stop.cancel(),
            Effect::CarryOut { .. } => self.stop = CancellationToken::new(),
            _ => {}
        }
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let msg = match effect {
                Effect::LoadOverview => Msg::Overview(handle.overview().await),
                Effect::LoadErrors { generation, append, query } => {
                    Msg::Errors { generation, append, result: page(&handle, &query).await }
                }
                Effect::LoadGroups(filter) => {
                    let result = handle.groups(&filter, 200).await;
                    Msg::Groups { filter, result }
                }
                Effect::LoadRecord(row) => {
                    let result = Box::new(handle.record(&row).await);
                    Msg::Record { row, result }
                }
                Effect::FetchValues(row) => {
                    let result = handle.salesforce_values(&row).await;
                    Msg::Values { row, result }
                }
                Effect::Save(edit) => Msg::Saved { result: handle.save(&edit).await, row: edit.row },
                Effect::Retry(row) => {
                    let result = handle.retry(&row).await;
                    Msg::Retried { row, result }
                }
                Effect::Apply { row, offer } => {
                    let result = handle.apply(&row, &offer).await;
                    Msg::Applied { row, result }
                }
                Effect::Plan { chosen, deed } => Msg::Planned(handle.plan(&chosen, deed).await.map(Arc::new)),
                Effect::UndoLast => Msg::Planned(undo_last(&handle).await.map(Arc::new)),
                Effect::CarryOut { plan, why } => {
                    let told = sender.clone();
                    let progress = move |progress| drop(told.send(Msg::Progress(progress)));
                    let result = handle.carry_out(&plan, why.as_deref(), &progress, &stop).await;
                    Msg::Reported { text: plan.deed.text(), result }
                }
                Effect::LoadActs => {
                    let query = AuditQuery { limit: 200, ..AuditQuery::default() };
                    Msg::Acts(handle.acts(&query).await)
                }
                Effect::LoadAct(act) => Msg::Act(handle.act_entries(act).await),
                Effect::Find(text) => {
                    let result = handle.find(&text, None).await;
                    Msg::Found { text, result }
                }
                Effect::Export { filter, path } => Msg::Changed(export(&handle, &filter, &path).await),
                Effect::Choose { row, sides } => {
                    let result = handle.choose(&row, &sides).await;
                    let words: Vec<String> =
                        sides.iter().map(|(column, side)| format!("{column}: {}", side.word())).collect();
                    Msg::Applied { row, result: result.map(|()| words.join(", ")) }
                }
                Effect::Link { row, replace } => {
                    let owner = if replace { Owner::IsReplaced } else { Owner::Keeps };
                    let result = handle.link(&row, None, owner).await;
                    Msg::Linked { row, result }
                }
                Effect::SetRule { mapping, key, value } => {
                    let done = handle.set_rule(&mapping, &key, Some(&value)).await;
                    Msg::Changed(done.map(|()| format!("{mapping}: {key} is {value} now")))
                }
                Effect::Writes { mapping, on } => {
                    let to = if on { Writes::Resume } else { Writes::Pause };
                    Msg::Changed(handle.writes(Some(&mapping), to).await)
                }
                Effect::LoadLog(after) => Msg::Log(handle.log(after, 1_000).await),
                Effect::Stop | Effect::Copy(_) | Effect::Suspend | Effect::Redraw | Effect::Quit => return,
            };
            // The console may have left meanwhile.
            let _ = sender.send(msg);
        });
    }
}

/// A page of errors, and how many match in all.
async fn page(handle: &Handle, query: &ErrorQuery) -> Result<(ErrorPage, Count), Refused> {
    Ok((handle.errors(query).await?, handle.count(&query.filter).await?))
}

/// What it would be to take the operator's own last act back.
async fn undo_last(handle: &Handle) -> Result<Plan, Refused> {
    let act = handle.last_act().await?.act;
    handle.plan(&Chosen::Ids(Vec::new()), Deed::Undo(act)).await
}

async fn export(handle: &Handle, filter: &str, path: &str) -> Result<String, Refused> {
    let is_json = [".json", ".jsonl", ".ndjson"].iter().any(|end| path.ends_with(end));
    let format = if is_json { Format::JsonLines } else { Format::Csv };
    let count = handle.export_to(Path::new(path), filter, format).await?;
    Ok(format!("{count} errors written to {path}"))
}

/// Runs until the console is left or suspended. Keys are drawn at once, everything else at most every [`FRAME`].
async fn run_loop<B, S>(
    model: &mut Model,
    terminal: &mut Terminal<B>,
    screen: &mut impl Commit,
    mut input: S,
    io: &mut Io,
    signals: &mut Signals,
) -> color_eyre::Result<Ended>
where
    B: Backend,
    B::Error: Send + Sync + 'static,
    S: Stream<Item = io::Result<Input>> + Unpin,
{
    let mut clock = tokio::time::interval(Duration::from_secs(1));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut drawn = Instant::now() - FRAME;
    let mut waiting: Vec<Effect> = model.start();
    let mut urgent = true;
    loop {
        for effect in waiting.drain(..) {
            match effect {
                Effect::Quit => return Ok(Ended::Quit),
                Effect::Suspend => return Ok(Ended::Suspend),
                Effect::Redraw => {
                    terminal.clear()?;
                    model.dirty = true;
                }
                Effect::Copy(text) => screen.raw(&clipboard::copy(&text)).wrap_err("the terminal is gone")?,
                other => io.perform(other),
            }
        }
        if model.dirty && (urgent || drawn.elapsed() >= FRAME) {
            model.dirty = false;
            terminal.draw(|frame| view::draw(model, frame))?;
            screen.commit().wrap_err("the terminal is gone")?;
            drawn = Instant::now();
        }
        urgent = false;
        let msg = tokio::select! {
            biased;
            () = signals.end() => return Ok(Ended::Quit),
            event = io.events.recv() => match event {
                Ok(event) => Msg::Event(event),
                // Too many came at once: what they would have said is asked for anew.
                Err(broadcast::error::RecvError::Lagged(_)) => Msg::Event(Event::Restored),
                Err(broadcast::error::RecvError::Closed) => return Ok(Ended::Quit),
            },
            Some(msg) = io.replies.recv() => msg,
            key = input.next() => match key {
                Some(Ok(Input::Key(key))) => { urgent = true; Msg::Key(key) }
                Some(Ok(Input::Paste(text))) => { urgent = true; Msg::Paste(text) }
                Some(Ok(Input::Resize(columns, lines))) => { urgent = true; Msg::Resize(columns, lines) }
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return Ok(Ended::Quit),
            },
            _ = clock.tick() => Msg::Tick(Utc::now()),
            () = tokio::time::sleep_until(drawn + FRAME), if model.dirty => { urgent = true; continue }
        };
        waiting = update(model, msg);
    }
}
