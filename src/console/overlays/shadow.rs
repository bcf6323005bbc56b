//! A comparison beside Heroku Connect: what it will cost, its rounds as they come, and what it found. It changes nothing, so
//! it begins without a question. It may go on for days, so Esc leaves it going, and only a yes stops it.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::setup::{drawn, first_command, plain, said};
use crate::client::api::ClientError;
use crate::client::setup::line::SetupLine;
use crate::client::setup::shadow::{ShadowNews, ShadowOutcome, ShadowPreview};
use crate::console::context::Context;
use crate::console::effect::Effect;
use crate::console::outcome::Outcome;
use crate::console::widgets::cells::count;
use crate::domain::values::duration::spoken;

/// Rounds whose lines are kept, the newest.
const ROUNDS: usize = 500;
/// How long it goes on where nobody says for how long.
const UNTIL: &str = "until what differs has caught up or stays, an hour or so at most";

/// How far it is.
#[derive(Debug)]
enum ShadowPhase {
    /// It is looked at what can be compared.
    Looking { note: String },
    /// It may begin.
    Ready(ShadowPreview),
    /// It compares.
    Running(Running),
    /// It is over.
    Over(Vec<SetupLine>),
    /// It cannot be looked at, or broke off.
    Refused(ClientError),
}

/// One that compares.
#[derive(Debug, Default)]
struct Running {
    /// What it is at.
    now: String,
    /// Until when it waits, where it does.
    until: Option<DateTime<Utc>>,
    /// Rounds that are over, the newest first.
    rounds: VecDeque<String>,
    /// How many older ones are not listed any more.
    dropped: usize,
    /// Whether it is asked if it is to stop.
    asks: bool,
    /// Whether it was told to.
    stops: bool,
}

impl Running {
    fn told(&mut self, news: ShadowNews, at: DateTime<Utc>) {
        (self.now, self.until) = match news {
            ShadowNews::Now(line) => (line, None),
            ShadowNews::Waits(what, length) => (what.to_owned(), at.checked_add_signed(delta(length))),
            ShadowNews::Round(line) => {
                self.rounds.push_front(line);
                if self.rounds.len() > ROUNDS {
                    self.rounds.pop_back();
                    self.dropped += 1;
                }
                (String::new(), None)
            }
        };
    }

    /// What it is at; where it waits, for how long still.
    fn doing(&self, at: DateTime<Utc>) -> String {
        match self.until {
            Some(until) => format!("{} in {}", self.now, spoken((until - at).to_std().unwrap_or_default())),
            None => self.now.clone(),
        }
    }

    /// A key while it is asked if it is to stop.
    fn asked_key(&mut self, code: KeyCode) -> Vec<Outcome> {
        match code {
            KeyCode::Char('y') => {
                (self.asks, self.stops) = (false, true);
                vec![Outcome::Effect(Effect::StopShadow)]
            }
            KeyCode::Esc | KeyCode::Char('n') => {
                self.asks = false;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

/// The screen.
#[derive(Debug)]
pub struct ShadowView {
    id: u64,
    file: Option<String>,
    phase: ShadowPhase,
    /// Since when it is at that.
    since: DateTime<Utc>,
    /// For how long rounds are to begin; without, until what differs is decided.
    time: Option<Duration>,
    top: usize,
}

impl ShadowView {
    /// One that is looked at now.
    pub fn new(id: u64, file: Option<String>, now: DateTime<Utc>) -> ShadowView {
        let phase = ShadowPhase::Looking { note: String::new() };
        ShadowView { id, file, phase, since: now, time: None, top: 0 }
    }

    /// The number that its answers are known by.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether it compares.
    pub fn runs(&self) -> bool {
        matches!(self.phase, ShadowPhase::Running(_))
    }

    fn asks(&self) -> bool {
        matches!(self.phase, ShadowPhase::Running(Running { asks: true, .. }))
    }

    /// Whether something is waited for that takes its time.
    pub fn works(&self) -> bool {
        self.runs() || matches!(self.phase, ShadowPhase::Looking { .. })
    }

    fn enter(&mut self, phase: ShadowPhase) {
        (self.phase, self.top) = (phase, 0);
    }

    /// What can be compared was found, unless it was given up.
    pub fn found(&mut self, result: Result<ShadowPreview, ClientError>) {
        if matches!(self.phase, ShadowPhase::Looking { .. }) {
            self.enter(result.map_or_else(ShadowPhase::Refused, ShadowPhase::Ready));
        }
    }

    /// It begins.
    pub fn begin(&mut self, now: DateTime<Utc>) {
        self.enter(ShadowPhase::Running(Running::default()));
        self.since = now;
    }

    /// For how long it is to compare.
    pub fn take_time(&mut self, time: Option<Duration>) {
        self.time = time;
    }

    /// Something happened at that time.
    pub fn told(&mut self, news: ShadowNews, at: DateTime<Utc>) {
        match (&mut self.phase, news) {
            (ShadowPhase::Looking { note }, ShadowNews::Now(line)) => *note = line,
            (ShadowPhase::Running(running), news) => running.told(news, at),
            _ => {}
        }
    }

    /// It is over.
    pub fn done(&mut self, result: ShadowOutcome) {
        self.enter(result.map_or_else(ShadowPhase::Refused, ShadowPhase::Over));
    }

    /// A key.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        if let ShadowPhase::Running(running) = &mut self.phase
            && running.asks
        {
            return running.asked_key(key.code);
        }
        match key.code {
            KeyCode::Char('j') | KeyCode::Down => self.scroll(1),
            KeyCode::Char('k') | KeyCode::Up => self.scroll(-1),
            KeyCode::PageDown => self.scroll(10),
            KeyCode::PageUp => self.scroll(-10),
            KeyCode::Char('g') | KeyCode::Home => self.top = 0,
            KeyCode::Char('G') | KeyCode::End => self.top = usize::MAX,
            code => return self.act(code),
        }
        Vec::new()
    }

    fn act(&mut self, code: KeyCode) -> Vec<Outcome> {
        let leaves = matches!(code, KeyCode::Esc | KeyCode::Char('q'));
        match (&mut self.phase, code) {
            (ShadowPhase::Looking { .. }, _) if leaves => {
                vec![Outcome::Close, Outcome::Effect(Effect::EndLook)]
            }
            (ShadowPhase::Running(_), _) if leaves => vec![Outcome::LeaveShadow],
            (ShadowPhase::Running(running), KeyCode::Char('s')) => {
                running.asks = !running.stops;
                Vec::new()
            }
            (ShadowPhase::Running(_) | ShadowPhase::Looking { .. }, _) => Vec::new(),
            _ if leaves => vec![Outcome::Close],
            (ShadowPhase::Ready(preview), KeyCode::Enter) => match &preview.run {
                Some(run) => vec![Outcome::RunShadow { run: run.clone(), time: self.time }],
                None => vec![Outcome::AskShadowFile],
            },
            (ShadowPhase::Ready(preview), KeyCode::Char('t')) if preview.run.is_some() => {
                vec![Outcome::AskShadowTime]
            }
            (ShadowPhase::Ready(_) | ShadowPhase::Refused(_), KeyCode::Char('f')) => {
                vec![Outcome::AskShadowFile]
            }
            (_, KeyCode::Char('r')) => vec![Outcome::LookAtShadow { file: self.file.clone() }],
            (_, KeyCode::Char('y')) => self.plain().map(Outcome::CopyText).into_iter().collect(),
            (_, KeyCode::Char('x')) => {
                let asks = self.plain().map(|text| Outcome::AskWriteText { name: "shadow.txt", text });
                asks.into_iter().collect()
            }
            (_, KeyCode::Char('c')) => self.command().map(Outcome::CopyText).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn scroll(&mut self, by: isize) {
        self.top = self.top.saturating_add_signed(by);
    }

    /// Scrolls no further than to the last line, on a screen of that size.
    pub fn settle(&mut self, ctx: &Context) {
        let (width, height) = ctx.size;
        let area = area(Rect::new(0, 0, width, height));
        let lines = body(ctx, self, usize::from(area.width).saturating_sub(4)).len();
        self.top = self.top.min(lines.saturating_sub(room(area, self)));
    }

    fn lines(&self) -> &[SetupLine] {
        match &self.phase {
            ShadowPhase::Ready(preview) => &preview.lines,
            ShadowPhase::Over(lines) => lines,
            _ => &[],
        }
    }

    /// All of it, to be copied.
    fn plain(&self) -> Option<String> {
        let refused = if let ShadowPhase::Refused(refused) = &self.phase { Some(refused) } else { None };
        plain(self.lines(), refused)
    }

    fn command(&self) -> Option<String> {
        first_command(self.lines())
    }

    fn title(&self) -> String {
        let what = match &self.phase {
            ShadowPhase::Running(_) => "Comparing beside Heroku Connect",
            ShadowPhase::Over(_) => "Compared beside Heroku Connect",
            _ => "Compare beside Heroku Connect",
        };
        self.file.as_ref().map_or_else(|| what.to_owned(), |file| format!("{what} · {file}"))
    }

    /// The keys that mean something, the first one and the way out foremost.
    fn keys(&self) -> Vec<(&'static str, &'static str)> {
        let copies = self.command().map(|_| ("c", "copy command"));
        let reads = [("↑↓", "scroll"), ("y", "copy"), ("x", "write")];
        match &self.phase {
            ShadowPhase::Looking { .. } => vec![("Esc", "give it up")],
            ShadowPhase::Ready(preview) => {
                let does = match preview.run {
                    Some(_) => vec![("Enter", "compare"), ("t", "for how long"), ("f", "other file")],
                    None => vec![("Enter", "name a configuration")],
                };
                let keys = does.into_iter().chain(copies).chain(reads);
                keys.chain([("r", "look again"), ("Esc", "close")]).collect()
            }
            ShadowPhase::Running(Running { asks: true, .. }) => {
                vec![("y", "stop, with the report"), ("Esc", "go on comparing")]
            }
            ShadowPhase::Running(Running { stops, .. }) => {
                let (stop, leave) =
                    if *stops { (None, "leave") } else { (Some(("s", "stop ...")), "leave it going") };
                stop.into_iter().chain([("↑↓", "scroll"), ("Esc", leave)]).collect()
            }
            ShadowPhase::Over(_) => {
                let reads = reads.into_iter().chain([("r", "compare again"), ("Esc", "close")]);
                reads.collect()
            }
            ShadowPhase::Refused(_) => {
                vec![("r", "try again"), ("f", "other file"), ("y", "copy"), ("Esc", "close")]
            }
        }
    }
}

/// Between the line above and the line below: what is said stays in sight.
fn area(screen: Rect) -> Rect {
    Rect { y: screen.y + 1, height: screen.height.saturating_sub(2), ..screen }
}

/// The lines that there is room for: the frame, what is asked, and the keys take the rest.
fn room(area: Rect, view: &ShadowView) -> usize {
    usize::from(area.height).saturating_sub(3 + if view.asks() { 2 } else { 0 })
}

/// Draws the screen over the panes.
pub fn draw(ctx: &Context, view: &ShadowView, frame: &mut Frame) {
    let area = area(frame.area());
    let inner = super::panel(ctx, frame, area, &view.title());
    let all = body(ctx, view, usize::from(inner.width).saturating_sub(2));
    let room = room(area, view);
    let top = view.top.min(all.len().saturating_sub(room));
    let part: Range<usize> = top..(top + room).min(all.len());
    super::place_in_list(ctx, frame, area, all.len(), &part);
    let mut lines = all[part].to_vec();
    lines.resize(room, Line::default());
    if view.asks() {
        let asked = " Stop here, and see what was found so far?";
        lines.extend([Line::default(), Line::from(Span::styled(asked, ctx.theme.strong()))]);
    }
    lines.push(super::hints(ctx, &view.keys(), inner.width.into()));
    frame.render_widget(Paragraph::new(lines), inner);
    frame.set_cursor_position((inner.x, inner.bottom().saturating_sub(1)));
}

/// What there is to read, in lines of so many columns.
fn body(ctx: &Context, view: &ShadowView, room: usize) -> Vec<Line<'static>> {
    let theme = ctx.theme;
    let elapsed = (ctx.now - view.since).to_std().unwrap_or_default();
    match &view.phase {
        ShadowPhase::Looking { note } => {
            let text = format!(
                "signing in, and looking at what can be compared and what that costs ... {}",
                spoken(elapsed)
            );
            let mut lines = said(&text, room, |line| Span::styled(line, theme.dim()));
            lines.extend(said(note, room, |line| Span::styled(line, theme.text())));
            lines
        }
        ShadowPhase::Refused(refused) => {
            let mut lines =
                said(&format!("✗ {}", refused.message), room, |line| Span::styled(line, theme.bad()));
            for line in refused.remedy.iter().flat_map(|remedy| remedy.lines()) {
                lines.extend(said(line, room, |line| Span::styled(line, theme.text())));
            }
            lines
        }
        ShadowPhase::Running(running) => running_lines(ctx, view, running, room),
        ShadowPhase::Ready(preview) => {
            let mut lines: Vec<Line> = preview.lines.iter().flat_map(|line| drawn(ctx, line, room)).collect();
            if preview.run.is_some() {
                let text = match view.time {
                    Some(time) => format!("It compares for {}.", spoken(time)),
                    None => format!("It compares {UNTIL}."),
                };
                lines.extend(said(&text, room, |line| Span::styled(line, theme.strong())));
            }
            lines
        }
        ShadowPhase::Over(lines) => lines.iter().flat_map(|line| drawn(ctx, line, room)).collect(),
    }
}

/// How far a comparison is, and its rounds.
fn running_lines(ctx: &Context, view: &ShadowView, running: &Running, room: usize) -> Vec<Line<'static>> {
    let theme = ctx.theme;
    let elapsed = spoken((ctx.now - view.since).to_std().unwrap_or_default());
    let head = match (running.stops, view.time) {
        (true, _) => "stopping: the report comes in a moment".to_owned(),
        (_, Some(time)) => format!("comparing for {elapsed} of {}; nothing is changed", spoken(time)),
        (_, None) => format!("comparing for {elapsed}, {UNTIL}; nothing is changed"),
    };
    let mut lines = said(&head, room, |line| Span::styled(line, theme.strong()));
    lines.extend(said(&running.doing(ctx.now), room, |line| Span::styled(line, theme.text())));
    for round in &running.rounds {
        lines.extend(said(round, room, |line| Span::styled(line, theme.text())));
    }
    if running.dropped > 0 {
        let text = format!(
            "{} older rounds are not listed; the report is of all of them",
            count(running.dropped as i64, 0)
        );
        lines.extend(said(&text, room, |line| Span::styled(line, theme.dim())));
    }
    lines
}

/// A span of time as dates are moved by; one that no date reaches is as long as there is.
fn delta(length: Duration) -> TimeDelta {
    TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX)
}
