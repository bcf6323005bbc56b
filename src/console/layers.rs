//! What keys do to what lies on top of the panes; the overlays of acts have theirs in `acts`.

use crossterm::event::{KeyCode, KeyEvent};

use super::effect::Effect;
use super::model::{Model, Pane, Tone};
use super::overlays::{Deed, Overlay, Picking};
use super::panes::edit::Done;
use super::widgets::input::Input;

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
                    if let Some(pane) = &mut self.record {
                        pane.keep(change);
                    }
                }
                Done::Save(edit) => return self.save(edit),
            },
            Overlay::Choice(choice) => match choice.key(key) {
                Picking::Open(choice) => self.overlays.push(Overlay::Choice(choice)),
                Picking::Done(Deed::Effect(effect)) => return vec![effect],
                Picking::Done(Deed::Filter(filter)) => return self.list(&filter),
                Picking::Done(Deed::Row(row)) => return self.open_row(row),
                Picking::All(..) if self.read_only => self.say(Tone::Neutral, "this console is read-only"),
                Picking::All(filter, verb) => return self.of_cause(&filter, verb),
                Picking::Left => {}
            },
            Overlay::ConfirmLeave => match key.code {
                KeyCode::Char('y') => {
                    self.overlays.pop();
                }
                KeyCode::Char('n') | KeyCode::Esc => {}
                _ => self.overlays.push(Overlay::ConfirmLeave),
            },
            Overlay::Filter { pane, input, .. } => return self.filter_key(pane, input, key),
            other @ (Overlay::Ask(_)
            | Overlay::Question(_)
            | Overlay::Working(_)
            | Overlay::Report { .. }
            | Overlay::Acts(_)
            | Overlay::Sides(_)
            | Overlay::Sure { .. }) => return self.act_key(other, key),
            Overlay::Help { pane, top } => match key.code {
                KeyCode::Esc | KeyCode::Char('q' | '?') | KeyCode::F(1) => {}
                KeyCode::Char('j') | KeyCode::Down => {
                    self.overlays.push(Overlay::Help { pane, top: top + 1 })
                }
                KeyCode::Char('k') | KeyCode::Up => {
                    self.overlays.push(Overlay::Help { pane, top: top.saturating_sub(1) });
                }
                _ => self.overlays.push(Overlay::Help { pane, top }),
            },
        }
        Vec::new()
    }

    fn filter_key(&mut self, pane: Pane, mut input: Input, key: KeyEvent) -> Vec<Effect> {
        let complaint = match key.code {
            KeyCode::Esc => return Vec::new(),
            KeyCode::Enter => {
                let text = input.text().to_owned();
                let refused = match pane {
                    Pane::Log => self.log.set_filter(&text).err(),
                    _ => crate::domain::filter::Filter::parse(&text, self.now)
                        .err()
                        .map(|error| error.to_string()),
                };
                match refused {
                    None if pane == Pane::Log => return Vec::new(),
                    None => return self.list(&text),
                    Some(complaint) => Some(complaint),
                }
            }
            _ => {
                input.key(key);
                None
            }
        };
        self.overlays.push(Overlay::Filter { pane, input, complaint });
        Vec::new()
    }

    /// Pasted text for the uppermost layer.
    pub(super) fn paste(&mut self, text: &str) -> Vec<Effect> {
        match self.overlays.last_mut() {
            Some(Overlay::Edit(editor)) => editor.paste(text),
            Some(Overlay::Filter { input, .. }) => input.insert(text),
            Some(Overlay::Ask(ask)) => ask.input.insert(text),
            _ => {}
        }
        Vec::new()
    }
}
