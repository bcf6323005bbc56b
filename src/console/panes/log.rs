//! The log: follows, can be paused, scrolled and filtered.

use std::collections::VecDeque;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use serde_json::Value;

use crate::console::model::{Model, Pane};
use crate::console::widgets::cells::{clip, fit};
use crate::console::widgets::cursor::{Cursor, Step};
use crate::logs::line::LogFilter;
use crate::logs::{Level, LogRecord};

/// Records held at most; older ones are in the log store.
const HELD: usize = 10_000;

/// The pane's state.
#[derive(Debug)]
pub struct LogPane {
    records: VecDeque<LogRecord>,
    /// Indexes into `records` that pass the filter.
    shown: Vec<usize>,
    /// Where one is among those that show.
    pub cursor: Cursor,
    /// Whether the newest record keeps being shown.
    pub following: bool,
    /// Records that came since it was paused.
    pub new_below: usize,
    /// The filter as typed.
    pub filter: String,
    parsed: LogFilter,
    /// Whether anything was read.
    pub loaded: bool,
}

impl Default for LogPane {
    fn default() -> LogPane {
        LogPane {
            records: VecDeque::new(),
            shown: Vec::new(),
            cursor: Cursor::default(),
            following: true,
            new_below: 0,
            filter: String::new(),
            parsed: LogFilter::default(),
            loaded: false,
        }
    }
}

impl LogPane {
    /// The newest record's position in the log store.
    pub fn newest(&self) -> Option<i64> {
        self.records.back().map(|record| record.id)
    }

    /// The selected record.
    pub fn selected(&self) -> Option<&LogRecord> {
        self.shown.get(self.cursor.at).and_then(|at| self.records.get(*at))
    }

    /// Takes new records in.
    pub fn take(&mut self, records: Vec<LogRecord>) {
        self.loaded = true;
        let newest = self.newest().unwrap_or(i64::MIN);
        let fresh: Vec<LogRecord> = records.into_iter().filter(|record| record.id > newest).collect();
        if fresh.is_empty() {
            return;
        }
        if !self.following {
            self.new_below += fresh.iter().filter(|record| self.parsed.matches(record)).count();
        }
        let dropped = (self.records.len() + fresh.len()).saturating_sub(HELD);
        self.records.extend(fresh);
        self.records.drain(..dropped);
        let gone = self.shown.iter().filter(|at| **at < dropped).count();
        self.refilter();
        self.cursor.at = self.cursor.at.saturating_sub(gone);
        if self.following {
            self.cursor.step(Step::Last, self.shown.len());
        }
    }

    /// Shows what passes another filter.
    ///
    /// # Errors
    /// What is wrong with it; the old one stays.
    pub fn set_filter(&mut self, filter: &str) -> Result<(), String> {
        self.parsed = LogFilter::parse(filter)?;
        self.filter = filter.trim().to_owned();
        self.refilter();
        self.follow(true);
        Ok(())
    }

    fn refilter(&mut self) {
        let passes = |at: &usize| self.parsed.matches(&self.records[*at]);
        self.shown = (0..self.records.len()).filter(passes).collect();
        self.cursor.step(Step::Lines(0), self.shown.len());
    }

    /// Follows, or stops where it is.
    pub fn follow(&mut self, following: bool) {
        self.following = following;
        if following {
            self.new_below = 0;
            self.cursor.step(Step::Last, self.shown.len());
        }
    }

    /// Moves; going back pauses, reaching the end follows again.
    pub fn step(&mut self, step: Step) {
        self.cursor.step(step, self.shown.len());
        let at_end = self.cursor.at + 1 >= self.shown.len();
        self.follow(at_end);
    }
}

/// Draws the pane.
pub fn draw(model: &Model, frame: &mut Frame, area: Rect) {
    let pane = &model.log;
    let state = match (pane.following, pane.new_below) {
        (true, _) => "following".to_owned(),
        (false, 0) => "paused".to_owned(),
        (false, new) => format!("paused, {new} new below"),
    };
    let block = super::frame(model, Pane::Log, area, &pane.filter, &state);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if pane.shown.is_empty() {
        let text = match (pane.loaded, pane.filter.is_empty()) {
            (false, _) => "reading ...",
            (true, true) => "nothing was logged yet",
            (true, false) => "no line matches the filter; Esc shows all",
        };
        frame.render_widget(Paragraph::new(super::empty(model, &[text])), inner);
        return;
    }
    let height = usize::from(inner.height);
    let window = pane.cursor.window(pane.shown.len(), height);
    let top = window.start;
    let mut lines = Vec::with_capacity(height);
    for at in window {
        let Some(record) = pane.shown.get(at).and_then(|at| pane.records.get(*at)) else { continue };
        // While it follows there is nothing to point at, unless the pane has the keys.
        let selected = at == pane.cursor.at && (model.focus == Pane::Log);
        lines.push(super::list_line(
            model,
            Pane::Log,
            selected,
            line(model, record, usize::from(inner.width)),
        ));
    }
    frame.render_widget(Paragraph::new(lines), inner);
    super::super::view::place_cursor(model, frame, Pane::Log, inner, pane.cursor.at.saturating_sub(top));
}

fn line(model: &Model, record: &LogRecord, width: usize) -> Line<'static> {
    let theme = model.theme;
    let (word, style) = match record.level {
        Level::Debug => ("debug", theme.dim()),
        Level::Info => ("info ", theme.dim()),
        Level::Warn => ("WARN ", theme.warn()),
        Level::Error => ("ERROR", theme.bad()),
    };
    // What one looks for first; the store keeps no order of its own.
    let rank =
        |key: &str| ["code", "fields", "row", "mapping"].iter().position(|known| *known == key).unwrap_or(9);
    let mut fields: Vec<(&String, &Value)> = record.fields.iter().collect();
    fields.sort_by_key(|(key, _)| rank(key));
    let values: Vec<String> = fields
        .into_iter()
        .filter(|(_, value)| !value.is_null() && value.as_str() != Some(""))
        .map(|(key, value)| match value {
            Value::String(text) => format!("{key}={text}"),
            other => format!("{key}={other}"),
        })
        .collect();
    let used = 1 + 9 + 6 + 8;
    let room = width.saturating_sub(used);
    let message = clip(&record.message, room);
    let left = room.saturating_sub(message.chars().count() + 2);
    let text = if record.level >= Level::Warn { theme.text() } else { theme.dim() };
    Line::from(vec![
        Span::styled(format!(" {} ", model.clock(record.time)), theme.dim()),
        Span::styled(format!("{word} "), style),
        Span::styled(fit(&record.dyno, 8), theme.dim()),
        Span::styled(message, if record.level == Level::Info { theme.text() } else { text }),
        Span::styled(format!("  {}", clip(&values.join(" "), left)), theme.dim()),
    ])
}
