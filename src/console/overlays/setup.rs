//! What a configuration makes of the database, on a screen of its own: looked at, asked about, under way, and what came of it.

use std::ops::Range;

use chrono::{DateTime, Utc};
use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use crate::client::api::ClientError;
use crate::client::setup::line::SetupLine;
use crate::client::setup::{SetupOutcome, SetupPreview, SetupQuestion, SetupTask};
use crate::console::context::{Context, Tone};
use crate::console::effect::{Effect, SetupRequest};
use crate::console::outcome::Outcome;
use crate::console::widgets::cells::{clip, columns, fit, wrap};
use crate::console::widgets::input::Input;
use crate::logs::sanitize::sanitize;

/// Lines of a question at most.
const ASKED: usize = 6;
/// Columns for what is typed, at least.
const TYPED: usize = 16;
/// A column of a table with fewer cells says nothing.
const NARROWEST: usize = 6;
/// What lies between two columns of a table.
const GAP: usize = 2;

/// How far it is.
#[derive(Debug)]
enum SetupStage {
    /// It is looked at.
    Looking { note: String },
    /// It was looked at.
    Shown(SetupPreview),
    /// Whether it is to be done.
    Asking { preview: SetupPreview, question: SetupQuestion, typed: Input, complaint: Option<String> },
    /// It is done.
    Doing { note: String },
    /// It was done.
    Done(Vec<SetupLine>),
    /// It cannot be looked at, or was not done.
    Refused(ClientError),
}

/// The screen.
#[derive(Debug)]
pub struct SetupView {
    request: SetupRequest,
    stage: SetupStage,
    /// Since when it is looked at, or done.
    since: DateTime<Utc>,
    /// Whether Heroku Connect keeps what shows, so that it can be taken over.
    attached: bool,
    /// The first line that shows.
    top: usize,
    /// Whether the last line shows, and does so on a screen of another size.
    at_end: bool,
}

impl SetupView {
    /// One that is asked for now.
    pub fn new(request: SetupRequest, attached: bool, now: DateTime<Utc>) -> SetupView {
        SetupView {
            request,
            stage: SetupStage::Looking { note: String::new() },
            since: now,
            attached,
            top: 0,
            at_end: false,
        }
    }

    /// What it is about.
    pub fn request(&self) -> &SetupRequest {
        &self.request
    }

    /// Whether something is waited for that takes its time.
    pub fn works(&self) -> bool {
        matches!(self.stage, SetupStage::Looking { .. } | SetupStage::Doing { .. })
    }

    /// Whether it is looked at.
    pub fn looks(&self) -> bool {
        matches!(self.stage, SetupStage::Looking { .. })
    }

    /// Whether it is being done.
    pub fn does(&self) -> bool {
        matches!(self.stage, SetupStage::Doing { .. })
    }

    /// Whether it tells what was done, or does so soon.
    pub fn did(&self) -> bool {
        matches!(self.stage, SetupStage::Doing { .. } | SetupStage::Done(_))
    }

    /// What is to be looked at by whoever leaves while it is done.
    pub fn unfinished(&self) -> Option<String> {
        let look = match self.request.task {
            SetupTask::Adopt => "whether the tables were taken over, with: syncdeck plan",
            SetupTask::UndoAdopt => {
                "whether the tables were given back, with: syncdeck adopt --undo, which shows it and asks"
            }
            SetupTask::Rebind => "whether the rows were given their records, with: syncdeck rebind --dry-run",
            _ => return None,
        };
        self.does().then(|| format!("the console was left while PostgreSQL was at it: look {look}"))
    }

    /// What was found came.
    pub fn found(&mut self, result: Result<SetupPreview, ClientError>) {
        self.enter(match result {
            Ok(preview) => SetupStage::Shown(preview),
            Err(refused) => SetupStage::Refused(refused),
        });
    }

    /// It begins.
    pub fn begin(&mut self, now: DateTime<Utc>) {
        self.enter(SetupStage::Doing { note: String::new() });
        self.since = now;
    }

    /// What it is at.
    pub fn told(&mut self, line: String) {
        if let SetupStage::Looking { note } | SetupStage::Doing { note } = &mut self.stage {
            *note = line;
        }
    }

    /// It is over.
    pub fn done(&mut self, result: SetupOutcome) {
        self.enter(match result {
            Ok(lines) => SetupStage::Done(lines),
            // A connection that broke may have done it.
            Err(mut refused) => {
                let again = "look again: r shows whether it was done";
                refused.remedy = Some(refused.remedy.map_or(again.to_owned(), |is| format!("{is}\n{again}")));
                SetupStage::Refused(refused)
            }
        });
    }

    /// Something else shows, from its first line.
    fn enter(&mut self, stage: SetupStage) {
        (self.stage, self.top, self.at_end) = (stage, 0, false);
    }

    /// A key.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        match key.code {
            KeyCode::Down => self.scroll(1),
            KeyCode::Up => self.scroll(-1),
            KeyCode::PageDown => self.scroll(10),
            KeyCode::PageUp => self.scroll(-10),
            KeyCode::Home => self.top = 0,
            KeyCode::End => self.top = usize::MAX,
            code => match &self.stage {
                SetupStage::Asking { .. } => return self.asking_key(key),
                SetupStage::Doing { .. } if code == KeyCode::Esc => {
                    let text = "it is one transaction, and cannot be stopped half-way";
                    return vec![Outcome::Say(Tone::Neutral, text.to_owned())];
                }
                SetupStage::Doing { .. } => {}
                _ => return self.reading_key(code),
            },
        }
        Vec::new()
    }

    /// A key while there is something to read.
    fn reading_key(&mut self, code: KeyCode) -> Vec<Outcome> {
        let SetupRequest { task, file, .. } = &self.request;
        match code {
            KeyCode::Esc | KeyCode::Char('q') if self.looks() => {
                return vec![Outcome::Close, Outcome::Effect(Effect::EndLook)];
            }
            KeyCode::Esc | KeyCode::Char('q') => return vec![Outcome::Close],
            KeyCode::Enter => return self.ask(),
            KeyCode::Char('j') => self.scroll(1),
            KeyCode::Char('k') => self.scroll(-1),
            KeyCode::Char('g') => self.top = 0,
            KeyCode::Char('G') => self.top = usize::MAX,
            KeyCode::Char('r') if self.may_look_again() => {
                return vec![Outcome::LookAtSetup { task: *task, file: file.clone() }];
            }
            KeyCode::Char('a') if self.leads_on() => {
                return vec![Outcome::LookAtSetup { task: SetupTask::Adopt, file: file.clone() }];
            }
            KeyCode::Char('y') => return self.plain().map(Outcome::CopyText).into_iter().collect(),
            KeyCode::Char('x') => {
                let asks = self.plain().map(|text| Outcome::AskWriteText { name: "plan.txt", text });
                return asks.into_iter().collect();
            }
            KeyCode::Char('c') => return self.command().map(Outcome::CopyText).into_iter().collect(),
            _ => {}
        }
        Vec::new()
    }

    fn may_look_again(&self) -> bool {
        matches!(self.stage, SetupStage::Shown(_) | SetupStage::Refused(_))
    }

    /// Whether a takeover may follow a plan.
    fn leads_on(&self) -> bool {
        self.attached && self.request.task == SetupTask::Plan && matches!(self.stage, SetupStage::Shown(_))
    }

    /// Enter asks, where there is something to do; else it closes.
    fn ask(&mut self) -> Vec<Outcome> {
        let SetupStage::Shown(preview) = &self.stage else {
            return if self.works() { Vec::new() } else { vec![Outcome::Close] };
        };
        let Some(question) = preview.question.clone() else { return vec![Outcome::Close] };
        let preview = preview.clone();
        self.stage = SetupStage::Asking { preview, question, typed: Input::default(), complaint: None };
        Vec::new()
    }

    /// A key while it is asked about.
    fn asking_key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        let SetupStage::Asking { preview, question, typed, complaint } = &mut self.stage else {
            return Vec::new();
        };
        *complaint = None;
        let wanted = question.types.trim();
        match key.code {
            KeyCode::Esc => self.stage = SetupStage::Shown(preview.clone()),
            KeyCode::Enter if !wanted.is_empty() && typed.text().trim() == wanted => {
                return vec![Outcome::RunSetup(question.run.clone())];
            }
            KeyCode::Enter => *complaint = Some(format!("that is not {wanted}; nothing was done")),
            _ => {
                typed.key(key);
            }
        }
        Vec::new()
    }

    /// Text that is pasted where one types.
    pub fn paste(&mut self, text: &str) {
        if let SetupStage::Asking { typed, .. } = &mut self.stage {
            typed.insert(text);
        }
    }

    fn scroll(&mut self, by: isize) {
        self.top = self.top.saturating_add_signed(by);
    }

    /// Scrolls no further than to the last line, on a screen of that size.
    pub fn settle(&mut self, ctx: &Context) {
        if self.top == 0 {
            self.at_end = false;
            return;
        }
        let (width, height) = ctx.size;
        let area = area(Rect::new(0, 0, width, height));
        let inner =
            Rect { width: area.width.saturating_sub(2), height: area.height.saturating_sub(2), ..area };
        let lines = body_lines(ctx, self, usize::from(inner.width).saturating_sub(2)).len();
        let last = lines.saturating_sub(usize::from(parts(self, inner)[0].height));
        self.at_end = self.top >= last;
        self.top = self.top.min(last);
    }

    fn lines(&self) -> &[SetupLine] {
        match &self.stage {
            SetupStage::Shown(preview) | SetupStage::Asking { preview, .. } => &preview.lines,
            SetupStage::Done(lines) => lines,
            _ => &[],
        }
    }

    /// All of it, to be copied.
    fn plain(&self) -> Option<String> {
        let refused = if let SetupStage::Refused(refused) = &self.stage { Some(refused) } else { None };
        plain(self.lines(), refused)
    }

    fn command(&self) -> Option<String> {
        first_command(self.lines())
    }

    fn title(&self) -> String {
        let what = match (self.request.task, &self.stage) {
            (SetupTask::Plan, _) => "Plan: what the start of an engine does",
            (SetupTask::Adopt, SetupStage::Done(_)) => "Taken over from Heroku Connect",
            (SetupTask::Adopt, _) => "Take the tables over from Heroku Connect",
            (SetupTask::UndoAdopt, SetupStage::Done(_)) => "Given back to Heroku Connect",
            (SetupTask::UndoAdopt, _) => "Give the tables back to Heroku Connect",
            (SetupTask::Rebind, _) => "Another org behind the same tables",
        };
        self.request.file.as_ref().map_or_else(|| what.to_owned(), |file| format!("{what} · {file}"))
    }

    /// The keys that mean something, the first one and the way out foremost.
    fn keys(&self) -> Vec<(&'static str, &'static str)> {
        let copies = self.command().map(|_| ("c", "copy the command"));
        let reads = [("↑↓", "scroll"), ("y", "copy"), ("x", "write")];
        match &self.stage {
            SetupStage::Looking { .. } => vec![("Esc", "give it up")],
            SetupStage::Shown(preview) => {
                let does = preview.question.as_ref().map(|_| ("Enter", self.does_what()));
                let on = self.leads_on().then_some(("a", "take over ..."));
                let leave = if does.is_some() { "leave everything as it is" } else { "close" };
                let keys = does.into_iter().chain(on).chain(copies).chain(reads);
                keys.chain([("r", "look again"), ("Esc", leave)]).collect()
            }
            SetupStage::Asking { .. } => {
                vec![("Enter", "do it"), ("↑↓", "scroll"), ("Esc", "leave everything as it is")]
            }
            SetupStage::Doing { .. } => vec![("Ctrl-C", "leave the console"), ("Esc", "stops nothing")],
            SetupStage::Done(_) => copies.into_iter().chain(reads).chain([("Esc", "close")]).collect(),
            SetupStage::Refused(_) => {
                vec![("r", "try again"), ("y", "copy"), ("x", "write"), ("Esc", "close")]
            }
        }
    }

    fn does_what(&self) -> &'static str {
        match self.request.task {
            SetupTask::UndoAdopt => "give them back ...",
            SetupTask::Rebind => "do it ...",
            _ => "take them over ...",
        }
    }
}

/// Between the line above and the line below: what is said stays in sight.
fn area(screen: Rect) -> Rect {
    Rect { y: screen.y + 1, height: screen.height.saturating_sub(2), ..screen }
}

/// What there is to read, what is asked, and the keys.
fn parts(view: &SetupView, inner: Rect) -> [Rect; 3] {
    let room = usize::from(inner.width).saturating_sub(2);
    let asked = match &view.stage {
        SetupStage::Asking { question, .. } => asked_lines(question, room).0.len() + 2,
        _ => 0,
    };
    let asked = u16::try_from(asked).unwrap_or(0).min(inner.height.saturating_sub(2));
    inner.layout(&Layout::vertical([Constraint::Fill(1), Constraint::Length(asked), Constraint::Length(1)]))
}

/// Draws the screen over the panes.
pub fn draw(ctx: &Context, view: &SetupView, frame: &mut Frame) {
    let area = area(frame.area());
    let inner = super::panel(ctx, frame, area, &view.title());
    let [body, question, keys] = parts(view, inner);
    let lines = body_lines(ctx, view, usize::from(body.width).saturating_sub(2));
    let room = usize::from(body.height);
    let last = lines.len().saturating_sub(room);
    let top = if view.at_end { last } else { view.top.min(last) };
    let part: Range<usize> = top..(top + room).min(lines.len());
    super::place_in_list(ctx, frame, area, lines.len(), &part);
    frame.render_widget(Paragraph::new(lines[part].to_vec()), body);
    if let SetupStage::Asking { question: asked, typed, complaint, .. } = &view.stage {
        draw_question(ctx, frame, question, asked, typed, complaint.as_deref());
    }
    frame.render_widget(Paragraph::new(super::hints(ctx, &view.keys(), keys.width.into())), keys);
}

/// What is agreed to, and what stands before what is typed. All of the name shows, for all of it is typed.
fn asked_lines(question: &SetupQuestion, room: usize) -> (Vec<String>, String) {
    let mut words = wrap(&broken(&sanitize(&question.text), room), room, ASKED);
    let wanted = sanitize(question.types.trim());
    let before = format!(" Type {wanted} and Enter: ");
    if columns(&before) + TYPED <= room {
        return (words, before);
    }
    words.extend(wrapped(&wanted, room, 0));
    (words, " Type that and Enter: ".to_owned())
}

/// What is agreed to, and how.
fn draw_question(
    ctx: &Context,
    frame: &mut Frame,
    area: Rect,
    question: &SetupQuestion,
    typed: &Input,
    complaint: Option<&str>,
) {
    let theme = ctx.theme;
    let room = usize::from(area.width).saturating_sub(2);
    let (words, before) = asked_lines(question, room);
    let mut lines = vec![Line::from(Span::styled("─".repeat(usize::from(area.width)), theme.border(false)))];
    let count = words.len();
    lines.extend(words.into_iter().map(|line| Line::from(Span::styled(format!(" {line}"), theme.strong()))));
    let width = columns(&before);
    let shown = typed.shown(room.saturating_sub(width + 2).max(4));
    lines.push(match complaint {
        Some(complaint) => Line::from(Span::styled(clip(&format!(" ✗ {complaint}"), room), theme.bad())),
        None => Line::from(vec![Span::raw(before), Span::styled(shown.0, theme.strong())]),
    });
    frame.render_widget(Paragraph::new(lines), area);
    let at = |start: u16, by: usize| start.saturating_add(u16::try_from(by).unwrap_or(0));
    let column = if complaint.is_some() { 1 } else { width + shown.1 };
    frame.set_cursor_position((at(area.x, column), at(area.y, count + 1)));
}

/// What there is to read, in lines of so many columns.
fn body_lines(ctx: &Context, view: &SetupView, room: usize) -> Vec<Line<'static>> {
    let theme = ctx.theme;
    let seconds = (ctx.now - view.since).num_seconds().max(0);
    match &view.stage {
        SetupStage::Looking { note } => {
            let text = match view.request.task {
                SetupTask::Plan | SetupTask::Adopt => {
                    "asking Salesforce what the objects are, and PostgreSQL what is there"
                }
                SetupTask::UndoAdopt => "reading what the takeover replaced",
                SetupTask::Rebind => "reading which records the org of the login has",
            };
            let mut lines =
                said(&format!("{text} ... {seconds} s"), room, |line| Span::styled(line, theme.dim()));
            lines.extend(said(note, room, |line| Span::styled(line, theme.text())));
            lines
        }
        SetupStage::Doing { note } => {
            let what = match view.request.task {
                SetupTask::UndoAdopt => "giving the tables back, in one transaction",
                SetupTask::Rebind => "giving the rows their records, in one transaction",
                _ => "taking the tables over, in one transaction",
            };
            let mut lines =
                said(&format!("{what} ... {seconds} s"), room, |line| Span::styled(line, theme.strong()));
            lines.extend(said(note, room, |line| Span::styled(line, theme.text())));
            let ends = match view.request.task {
                SetupTask::Adopt => {
                    "Whatever ends it on the way, Ctrl-C, a kill or a lost connection, leaves all of it done or nothing but for \
                     indexes made beside."
                }
                _ => {
                    "Whatever ends it on the way, Ctrl-C, a kill or a lost connection, leaves all of it done or nothing."
                }
            };
            lines.extend(said(ends, room, |line| Span::styled(line, theme.dim())));
            lines
        }
        SetupStage::Refused(refused) => {
            let mut lines =
                said(&format!("✗ {}", refused.message), room, |line| Span::styled(line, theme.bad()));
            for line in refused.remedy.iter().flat_map(|remedy| remedy.lines()) {
                lines.extend(said(line, room, |line| Span::styled(line, theme.text())));
            }
            lines
        }
        _ => view.lines().iter().flat_map(|line| drawn(ctx, line, room)).collect(),
    }
}

/// A text in lines, with a blank one before.
pub(super) fn said(text: &str, room: usize, look: impl Fn(String) -> Span<'static>) -> Vec<Line<'static>> {
    let lines = if text.is_empty() { Vec::new() } else { wrapped(text, room, 0) };
    let blank = (!lines.is_empty()).then(Line::default);
    blank
        .into_iter()
        .chain(lines.into_iter().map(|line| Line::from(vec![Span::raw(" "), look(line)])))
        .collect()
}

/// A text in lines of so many columns; those behind the first one stand in by so much. A word that is longer than a line is
/// broken: an address or a command has no blanks.
fn wrapped(text: &str, room: usize, by: usize) -> Vec<String> {
    let width = room.max(8).saturating_sub(by);
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().flat_map(|line| wrap(&broken(&sanitize(line), width), width, usize::MAX)) {
        let blanks = if lines.is_empty() { 0 } else { by };
        lines.push(format!("{}{line}", " ".repeat(blanks)));
    }
    lines
}

/// A text whose words are no longer than so many columns.
fn broken(text: &str, width: usize) -> String {
    let mut parts = Vec::new();
    for mut word in text.split(' ') {
        while word.width() > width {
            let (part, rest) = word.split_at(cut_at(word, width));
            parts.push(part);
            word = rest;
        }
        parts.push(word);
    }
    parts.join(" ")
}

/// The byte behind which no more fits into so many columns; at least one letter does.
fn cut_at(text: &str, width: usize) -> usize {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.to_string().width();
        if used > width && at > 0 {
            return at;
        }
    }
    text.len()
}

/// A line of it as it shows.
pub(super) fn drawn(ctx: &Context, line: &SetupLine, room: usize) -> Vec<Line<'static>> {
    let theme = ctx.theme;
    let styled = |text: &str, before: &'static str, by: usize, style| {
        let room = room.saturating_sub(before.width());
        let lines = wrapped(text, room, by).into_iter();
        lines.map(|line| Line::from(vec![Span::raw(before), Span::styled(line, style)])).collect::<Vec<_>>()
    };
    match line {
        SetupLine::Warning(text) => {
            let (what, remedy) = text.split_once('\n').unwrap_or((text.as_str(), ""));
            let mut lines = styled(&format!("▲ {what}"), " ", 2, theme.warn());
            if !remedy.is_empty() {
                lines.extend(styled(remedy, "   ", 0, theme.text()));
            }
            lines
        }
        SetupLine::Heading(text) => styled(text, " ", 0, theme.strong()),
        SetupLine::Item(text) => styled(text, "   ", 2, theme.text()),
        SetupLine::Text(text) => styled(text, " ", 0, theme.text()),
        SetupLine::Command(text) => styled(text, "   ", 2, theme.key()),
        SetupLine::Table { head, rows } => table(ctx, head, rows, room),
        SetupLine::Blank => vec![Line::default()],
    }
}

/// Rows in columns, as many of them as fit.
fn table(ctx: &Context, head: &[&'static str], rows: &[Vec<String>], room: usize) -> Vec<Line<'static>> {
    let mut widths: Vec<usize> = Vec::new();
    let mut left = room.saturating_sub(2);
    for (at, name) in head.iter().enumerate() {
        let widest = rows.iter().filter_map(|row| row.get(at)).map(|cell| columns(cell)).max().unwrap_or(0);
        let width = widest.max(name.width()).min(left);
        if width < NARROWEST.min(name.width()) {
            break;
        }
        widths.push(width);
        left = left.saturating_sub(width + GAP);
    }
    let joined = |cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.zip(&widths).map(|(cell, width)| fit(cell, *width));
        format!("   {}", cells.collect::<Vec<_>>().join("  "))
    };
    let first = Line::from(Span::styled(joined(&mut head.iter().copied()), ctx.theme.label()));
    let rows = rows.iter().map(|row| Line::from(joined(&mut row.iter().map(String::as_str))));
    std::iter::once(first).chain(rows).collect()
}

/// What is said, or why nothing is, to be copied. Names of others are in it, and a terminal may show it.
pub(super) fn plain(lines: &[SetupLine], refused: Option<&ClientError>) -> Option<String> {
    let text = match refused {
        Some(refused) => refused.to_string(),
        None => lines.iter().map(SetupLine::plain).collect::<Vec<_>>().join("\n"),
    };
    let lines: Vec<_> = text.lines().map(sanitize).collect();
    Some(lines.join("\n")).filter(|text| !text.is_empty())
}

/// The first command of the shell in it.
pub(super) fn first_command(lines: &[SetupLine]) -> Option<String> {
    lines.iter().find_map(|line| match line {
        SetupLine::Command(command) => Some(command.clone()),
        _ => None,
    })
}
