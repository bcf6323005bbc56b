//! What an operator does with lines of the log: filters them, follows what one is about through all of them, goes to its
//! record.

use crate::domain::names::{RowId, RowRef};
use crate::logs::subject;

use super::effect::Effect;
use super::model::{Model, Pane, Tone};
use super::overlays::{About, Ask, FilterLine, Overlay, Patterns};
use super::panes::log::Previewed;

impl Model {
    /// Filters the log; a filter that cannot be read was refused where it is typed.
    pub(super) fn filter_log(&mut self, filter: &str) -> Vec<Effect> {
        self.log.set_filter(filter, self.now).ok().flatten().into_iter().collect()
    }

    /// How many lines pass what is typed so far.
    pub(super) fn preview(&self, line: &mut FilterLine) -> Option<Effect> {
        if line.pane != Pane::Log {
            return None;
        }
        line.passing = None;
        match self.log.preview(line.input.text(), self.now)? {
            Previewed::Known(passing) => line.passing = Some((passing, self.log.all())),
            Previewed::Asked(effect) => return Some(effect),
        }
        None
    }

    /// So many lines pass; told where that is still typed.
    pub(super) fn previewed(&mut self, filter: &str, passing: usize) {
        let all = self.log.all();
        if let Some(Overlay::Filter(line)) = self.overlays.last_mut()
            && line.pane == Pane::Log
            && line.input.text() == filter
        {
            line.passing = Some((passing, all));
        }
    }

    /// All lines about what the selected line, or the record, is about; or back from them.
    pub(super) fn thread(&mut self) -> Vec<Effect> {
        if self.focus == Pane::Log && self.log.in_thread() {
            return self.leave_thread();
        }
        let thread = match self.focus {
            Pane::Log => self.log.selected().and_then(|line| subject::thread(&line)),
            _ => self.thread_of_record(),
        };
        let Some(thread) = thread else {
            self.say(Tone::Neutral, "this line names no request, no record and no batch");
            return Vec::new();
        };
        match self.log.enter_thread(&thread, self.focus, self.now) {
            Ok(effect) => {
                let mut effects = self.go(Pane::Log);
                effects.extend(effect);
                self.say(Tone::Neutral, format!("all lines with {thread}; t or Esc goes back"));
                effects
            }
            Err(why) => {
                self.say(Tone::Bad, why);
                Vec::new()
            }
        }
    }

    /// Back to where one was before the lines about one thing showed.
    pub(super) fn leave_thread(&mut self) -> Vec<Effect> {
        let Some((pane, effect)) = self.log.leave_thread(self.now) else { return Vec::new() };
        // The record stayed open, and so did the way on back from it.
        if pane == Pane::Record && self.record.is_some() {
            self.focus = Pane::Record;
        }
        effect.into_iter().collect()
    }

    /// The lines that show, by their patterns.
    pub(super) fn patterns(&mut self) -> Vec<Effect> {
        let (patterns, lines) = self.log.patterns();
        self.overlays.push(Overlay::Patterns(Patterns::new(patterns, lines, self.log.len())));
        Vec::new()
    }

    /// Adds a part to the filter of the log.
    pub(super) fn narrow_log(&mut self, part: &str) -> Vec<Effect> {
        let filter = format!("{} {part}", self.log.filter);
        self.say(Tone::Neutral, format!("{part} is part of the filter; / changes it, Esc shows all"));
        self.filter_log(&filter)
    }

    /// Asks where the lines that show are to be written.
    pub(super) fn ask_keep_lines(&mut self) -> Vec<Effect> {
        let about = About::KeepLines { count: self.log.len() };
        let names = vec!["log.txt".to_owned(), "log.jsonl".to_owned()];
        self.overlays.push(Overlay::Ask(Ask::new(about, names)));
        Vec::new()
    }

    fn thread_of_record(&self) -> Option<String> {
        let view = self.record.as_ref()?.view.as_ref()?;
        let row = format!("{}:{}", view.mapping, view.row.row);
        let names: Vec<String> = [row].into_iter().chain(view.sfid.clone()).collect();
        Some(subject::asked("record", &names.join("|")))
    }

    /// To the record that the selected line speaks of.
    pub(super) fn open_of_line(&mut self) -> Vec<Effect> {
        if let Some(row) = self.log_row() {
            return self.open_row(row);
        }
        match self.log.selected().and_then(|line| subject::sfid(&line)) {
            Some(id) => self.wait_for("looking for its row", Effect::Find(id.to_string())),
            None => {
                self.say(Tone::Neutral, "this line speaks of no row");
                Vec::new()
            }
        }
    }

    /// The row that the selected line speaks of.
    fn log_row(&self) -> Option<RowRef> {
        let line = self.log.selected()?;
        let mappings = &self.overview.as_ref()?.mappings;
        let names = mappings.iter().flat_map(|known| [known.name.as_str(), known.table.as_str()]);
        let (name, row) = subject::row(&line, names)?;
        let known = mappings.iter().find(|known| known.name == name || known.table == name)?;
        Some(RowRef { table: known.table.clone(), row: RowId(row) })
    }
}
