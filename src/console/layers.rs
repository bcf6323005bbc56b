//! What keys do to what lies on top of the panes; the overlays of acts have theirs in `acts`.

use crossterm::event::{KeyCode, KeyEvent};

use crate::domain::filter::Filter;

use super::effect::Effect;
use super::model::{Model, Pane, Tone};
use super::overlays::{Ahead, Chose, Deed, FilterLine, Overlay, Picking, Run, Seen, Shaped, Typed};
use super::panes::edit::Done;
use super::view;

impl Model {
    /// A key for the uppermost layer.
    pub(super) fn overlay_key(&mut self, overlay: Overlay, key: KeyEvent) -> Vec<Effect> {
        match overlay {
            Overlay::Edit(mut editor) => match editor.key(key) {
                Done::Editing => self.overlays.push(Overlay::Edit(editor)),
                Done::Leave { changed: true } => {
                    self.overlays.extend([Overlay::Edit(editor), Overlay::ConfirmLeave]);
                }
                Done::Leave { changed: false } => {}
                Done::Keep(change) => {
                    if let Some(pane) = self.record.as_mut().filter(|pane| pane.row == editor.row) {
                        pane.keep(change);
                    }
                }
                Done::Save(edit) => return self.save(edit),
            },
            Overlay::Choice(choice) => match choice.key(key) {
                Picking::Open(choice) => self.overlays.push(Overlay::Choice(choice)),
                Picking::Done(Deed::Effect(effect)) => return self.begin_or_ask(effect, None),
                Picking::Done(Deed::Ask(text, effect)) => return self.begin_or_ask(effect, Some(text)),
                Picking::Done(Deed::Filter(filter, called)) => return self.drill(&filter, Some(called)),
                Picking::Done(Deed::Row(row)) => return self.open_row(row),
                Picking::Done(Deed::Sort(by)) => return self.sort(by),
                Picking::Done(Deed::Theme(name)) => self.recolour(name),
                Picking::All(..) if self.read_only => self.say(Tone::Neutral, "this console is read-only"),
                Picking::All(filter, called, verb) => return self.of_cause(&filter, called, verb),
                Picking::Repair(table, verdict, side) => return self.ask_repair(table, verdict, side),
                Picking::Left => {}
            },
            Overlay::ConfirmLeave => match key.code {
                KeyCode::Char('y') => {
                    self.overlays.pop();
                }
                KeyCode::Char('n') | KeyCode::Esc => {}
                _ => self.overlays.push(Overlay::ConfirmLeave),
            },
            Overlay::Filter(line) => match line.key(key) {
                Typed::Open(mut line, effect) => {
                    let effects = effect.into_iter().chain(self.preview(&mut line)).collect();
                    self.overlays.push(Overlay::Filter(line));
                    return effects;
                }
                Typed::Apply(line) => return self.apply_filter(line),
                Typed::Left => {}
            },
            Overlay::Palette(palette) => match palette.key(key) {
                Chose::Open(palette) => self.overlays.push(Overlay::Palette(palette)),
                Chose::Run(Run::Filter(filter)) => {
                    return self.drill(&filter, None);
                }
                Chose::Run(Run::Command(command, pane)) => {
                    let mut effects = if pane == self.focus { Vec::new() } else { self.go(pane) };
                    effects.extend(self.run(command));
                    return effects;
                }
                Chose::Cannot(palette, why) => {
                    self.overlays.push(Overlay::Palette(palette));
                    self.say(Tone::Neutral, why);
                }
                Chose::Left => {}
            },
            Overlay::Patterns(list) => match list.key(key) {
                Shaped::Open(list) => self.overlays.push(Overlay::Patterns(list)),
                Shaped::Filter(part) => return self.narrow_log(&part),
                Shaped::Left => {}
            },
            Overlay::Trends(trends) => match trends.key(key) {
                Seen::Open(trends) => self.overlays.push(Overlay::Trends(trends)),
                Seen::Ask(trends) => {
                    let minutes = trends.minutes();
                    self.overlays.push(Overlay::Trends(trends));
                    return vec![Effect::LoadTrends { minutes, shares: true }];
                }
                Seen::List(filter) => return self.drill(&filter, None),
                Seen::Left => {}
            },
            // Esc gives it up: the answer is dropped when it comes.
            Overlay::Looking(_) if key.code == KeyCode::Esc => self.toast = None,
            Overlay::Awaiting { .. } if key.code == KeyCode::Esc => self.toast = None,
            looking @ (Overlay::Looking(_) | Overlay::Awaiting { .. }) => self.overlays.push(looking),
            Overlay::Opening(_) if key.code == KeyCode::Esc => self.toast = None,
            Overlay::Opening(mut typed) => {
                typed.push(Ahead::Key(key));
                self.overlays.push(Overlay::Opening(typed));
            }
            Overlay::Told { .. }
                if matches!(key.code, KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q')) => {}
            told @ Overlay::Told { .. } => self.overlays.push(told),
            other @ (Overlay::Ask(_)
            | Overlay::Question(_)
            | Overlay::Working(_)
            | Overlay::Report { .. }
            | Overlay::Acts(_)
            | Overlay::Sides(_)
            | Overlay::Sure { .. }) => return self.act_key(other, key),
        }
        Vec::new()
    }

    /// A filter was typed: it is in force, or what is wrong with it is said beside it.
    fn apply_filter(&mut self, mut line: FilterLine) -> Vec<Effect> {
        let text = line.input.text().trim().to_owned();
        let refused = match line.pane {
            Pane::Log => self.log.refusal(&text, self.now),
            _ => Filter::parse(&text, self.now).err().map(|error| error.to_string()),
        };
        if refused.is_some() {
            line.complaint = refused;
            self.overlays.push(Overlay::Filter(line));
            return Vec::new();
        }
        if line.pane == Pane::Log {
            self.log_filters.retain(|other| *other != text);
            self.log_filters.extend(Some(text.clone()).filter(|text| !text.is_empty()));
            return self.filter_log(&text);
        }
        self.errors.remember(&text);
        self.drilled.clear();
        self.list(&text)
    }

    /// Other colours, until the console is left.
    fn recolour(&mut self, name: &str) {
        self.theme = self.theme.chosen(name).unwrap_or(self.theme);
    }

    /// Pasted text for the uppermost layer.
    pub(super) fn paste(&mut self, text: &str) -> Vec<Effect> {
        match self.overlays.last_mut() {
            // What cannot be seen is not changed.
            _ if !view::fits(self.size) => {}
            Some(Overlay::Edit(editor)) => editor.paste(text),
            Some(Overlay::Opening(typed)) => typed.push(Ahead::Paste(text.to_owned())),
            Some(Overlay::Filter(line)) => line.input.insert(text),
            Some(Overlay::Ask(ask)) => ask.input.insert(text),
            Some(Overlay::Palette(palette)) => palette.paste(text),
            _ => {}
        }
        Vec::new()
    }
}
