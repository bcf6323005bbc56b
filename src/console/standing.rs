//! Where a console stands, for the next one: an SSH session that breaks costs nothing but the way back in.

use crate::config::state::ConsoleState;
use crate::domain::filter::Filter;
use crate::domain::names::{RowId, RowRef};
use crate::domain::record::FieldEdit;
use crate::domain::sort::Sort;

use super::effect::Effect;
use super::model::{Flight, Model, Pane, Tone};
use super::overlays::Overlay;
use super::panes::record::RecordPane;
use super::update::one_line;

impl Model {
    /// Where it stands now.
    pub(super) fn state(&self) -> ConsoleState {
        let Sort { by, descending } = self.errors.sort;
        ConsoleState {
            pane: self.focus.title().to_owned(),
            zoom: self.zoom,
            filter: self.errors.filter.clone(),
            sort: format!("{}{}", if descending { "-" } else { "" }, by.word()),
            selected: self.errors.selected().filter(|_| self.errors.touched).map(|error| error.id),
            record: self.record.as_ref().map(|pane| (pane.row.table.clone(), pane.row.row.0)),
            draft: self.draft(),
            log_filter: self.log.filter.clone(),
            history: self.errors.typed.clone(),
            saved: self.settings.filters.clone(),
        }
    }

    /// What was typed into the open record's fields and is not saved: a connection that is cut costs none of it.
    fn draft(&self) -> Vec<FieldEdit> {
        let Some(pane) = &self.record else { return Vec::new() };
        let typed = self.overlays.iter().find_map(|overlay| match overlay {
            Overlay::Edit(editor) if editor.row == pane.row => editor.change(),
            _ => None,
        });
        let of_others = |kept: &&FieldEdit| typed.as_ref().is_none_or(|typed| typed.column != kept.column);
        let mut draft: Vec<FieldEdit> = pane.kept_changes().filter(of_others).cloned().collect();
        draft.extend(typed);
        draft.retain(|change| !pane.is_masked(&change.column));
        draft
    }

    /// Begins where the last one stood. What of it makes no sense any more is left out.
    pub fn resume(&mut self, state: &ConsoleState) {
        let own = std::mem::take(&mut self.settings.filters);
        self.settings.filters.clone_from(&state.saved);
        // What the configuration names goes before what was saved in a console.
        self.settings.filters.extend(own);
        self.errors.typed.clone_from(&state.history);
        self.errors.sort = Sort::parse(&state.sort).unwrap_or_default();
        if Filter::parse(&state.filter, self.now).is_ok() {
            self.errors.filter.clone_from(&state.filter);
        }
        self.errors.wanted = state.selected;
        let _ = self.log.set_filter(&state.log_filter, self.now);
        if let Some((table, row)) = &state.record {
            let mut pane = RecordPane::open(RowRef { table: table.clone(), row: RowId(*row) });
            pane.resume(&state.draft);
            if pane.has_changes() {
                self.say(
                    Tone::Neutral,
                    "what was typed and not saved is here again: Ctrl-S saves it, Esc Esc throws it away",
                );
            }
            self.record = Some(pane);
        }
        if let Some(pane) = Pane::ALL.into_iter().find(|pane| pane.title() == state.pane) {
            self.focus = if pane == Pane::Record && self.record.is_none() { Pane::Errors } else { pane };
        }
        if self.focus == Pane::Pending {
            self.list = Pane::Pending;
        }
        self.zoom = state.zoom;
        self.kept_state = Some(self.state());
        if let Some(notice) = self.settings.notice.take() {
            self.say(Tone::Bad, one_line(&notice));
        }
    }

    /// What a console asks for when it comes up.
    pub fn start(&mut self) -> Vec<Effect> {
        // What was asked for while there was no way to the database never left.
        for flight in [
            &mut self.overview_flight,
            &mut self.errors_flight,
            &mut self.record_flight,
            &mut self.log_flight,
            &mut self.pending_flight,
            &mut self.count_flight,
        ] {
            *flight = Flight::default();
        }
        let mut effects = self.refresh();
        if !self.read_only {
            effects.push(Effect::AskRights);
        }
        if self.focus == Pane::Record {
            effects.extend(self.record.as_mut().and_then(RecordPane::ask).map(Effect::FetchValues));
        }
        effects
    }
}
