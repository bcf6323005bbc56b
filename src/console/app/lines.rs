//! What an operator does with lines of the log: filters them, follows what one is about through all of them, goes to its
//! record.

use crate::domain::names::{RowId, RowRef};
use crate::logs::ring::Sifted;
use crate::logs::source::{Batch, Receipt};
use crate::logs::subject;

use super::App;
use crate::console::context::Tone;
use crate::console::effect::Effect;
use crate::console::overlays::{About, Overlay, Patterns, Prompt, SourceList};
use crate::console::pane::Pane;
use crate::console::panes::log::Previewed;
use crate::console::widgets::cells::clip;

impl App {
    /// Lines of other programs came. Whoever waits for them to be taken in is told so.
    pub(super) fn lines_came(&mut self, batch: Batch) -> Vec<Effect> {
        let Batch { records, standings, receipts } = batch;
        self.log.take(&records);
        receipts.into_iter().for_each(Receipt::taken);
        standings.into_iter().for_each(|(source, standing)| self.log.sources.stands(&source, standing));
        Vec::new()
    }

    /// Filters the log; a filter that cannot be read was refused where it is typed.
    pub(super) fn filter_log(&mut self, filter: &str) -> Vec<Effect> {
        self.log.set_filter(filter, self.ctx.now).ok().flatten().into_iter().collect()
    }

    /// What the filter hides that is typed so far.
    pub(super) fn preview(&mut self) -> Vec<Effect> {
        let Some(Overlay::Filter(line)) = self.overlays.last_mut() else { return Vec::new() };
        if line.pane != Pane::Log {
            let text = line.input.text().trim().to_owned();
            // How many match is known of the text that is in force alone.
            let in_force = self.errors.is_typed() && text == self.errors.filter;
            line.matching = self.errors.count.filter(|_| in_force);
            return self.list_while_typing(&text);
        }
        self.preview_log().into_iter().collect()
    }

    fn preview_log(&mut self) -> Option<Effect> {
        let Some(Overlay::Filter(line)) = self.overlays.last_mut() else { return None };
        line.sifted = None;
        match self.log.preview(line.input.text(), self.ctx.now)? {
            Previewed::Known(sifted) => line.sifted = Some(sifted),
            Previewed::Asked(effect) => return Some(effect),
        }
        None
    }

    /// What it hides is known; told where that is still typed.
    pub(super) fn previewed(&mut self, filter: &str, sifted: Sifted) {
        if let Some(Overlay::Filter(line)) = self.overlays.last_mut()
            && line.pane == Pane::Log
            && line.input.text() == filter
        {
            line.sifted = Some(sifted);
        }
    }

    /// All lines about what the selected line, or the record, is about; or back from them.
    pub(super) fn thread(&mut self) -> Vec<Effect> {
        if self.ctx.focus == Pane::Log && self.log.in_thread() {
            return self.leave_thread();
        }
        let thread = match self.ctx.focus {
            Pane::Log => self.log.selected().and_then(|line| subject::thread(&line)),
            _ => self.thread_of_record(),
        };
        let Some(thread) = thread else {
            self.say(Tone::Neutral, "this line names no request, no record and no batch");
            return Vec::new();
        };
        match self.log.enter_thread(&thread, self.ctx.focus, self.ctx.now) {
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
        let Some((pane, effect)) = self.log.leave_thread(self.ctx.now) else { return Vec::new() };
        // The record stayed open, and so did the way on back from it.
        if pane == Pane::Record && self.selection.record.is_some() {
            self.ctx.focus = Pane::Record;
        }
        effect.into_iter().collect()
    }

    /// The lines that show, by their patterns.
    pub(super) fn patterns(&mut self) -> Vec<Effect> {
        let (patterns, lines) = self.log.patterns();
        self.overlays.push(Overlay::Patterns(Patterns::new(patterns, lines, self.log.len())));
        Vec::new()
    }

    /// Where the lines of the log come from.
    pub(super) fn sources(&mut self) -> Vec<Effect> {
        self.overlays.push(Overlay::Sources(SourceList::default()));
        Vec::new()
    }

    /// Switches the lines of a source on or off.
    pub(super) fn switch_source(&mut self, at: usize) -> Vec<Effect> {
        let Some((name, shows, effect)) = self.log.switch(at, self.ctx.now) else { return Vec::new() };
        let text = if shows { "show again" } else { "are kept, and do not show" };
        self.say(Tone::Neutral, format!("the lines of {} {text}", clip(&name, 20)));
        effect.into_iter().collect()
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
        self.overlays.push(Overlay::Prompt(Prompt::new(about, names)));
        Vec::new()
    }

    fn thread_of_record(&self) -> Option<String> {
        let view = self.selection.record.as_ref()?.view.as_ref()?;
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
        let mappings = self.ctx.mappings();
        let names = mappings.iter().flat_map(|known| [known.name.as_str(), known.table.as_str()]);
        let (name, row) = subject::row(&line, names)?;
        let known = mappings.iter().find(|known| known.name == name || known.table == name)?;
        Some(RowRef { table: known.table.clone(), row: RowId(row) })
    }
}
