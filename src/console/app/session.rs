//! Where a console stands, for the next one: an SSH session that breaks costs nothing but the way back in.

use crate::config::state::SessionState;
use crate::domain::errors::filter::Filter;
use crate::domain::errors::sort::Sort;
use crate::domain::names::{RowId, RowRef};
use crate::domain::records::record::FieldEdit;

use super::App;
use super::update::one_line;
use crate::console::columns::ErrorColumns;
use crate::console::context::Tone;
use crate::console::effect::Effect;
use crate::console::overlays::Overlay;
use crate::console::pane::Pane;
use crate::console::panes::record::RecordPane;
use crate::console::sizes::PaneSizes;

impl App {
    /// Where it stands now.
    pub fn session(&self) -> SessionState {
        let Sort { by, descending } = self.errors.sort;
        SessionState {
            pane: self.ctx.focus.title().to_owned(),
            zoom: self.ctx.zoom,
            filter: self.errors.filter_in_force().to_owned(),
            sort: format!("{}{}", if descending { "-" } else { "" }, by.word()),
            selected: self.errors.selected().filter(|_| self.errors.touched).map(|error| error.id),
            record: self.selection.record.as_ref().map(|pane| (pane.row.table.clone(), pane.row.row.0)),
            draft: self.draft(),
            log_filter: self.log.filter.clone(),
            history: self.errors.trail.typed.clone(),
            saved: self.ctx.settings.filters.clone(),
            log_history: self.log.typed.clone(),
            log_saved: self.ctx.settings.log_filters.clone(),
            columns: self.ctx.settings.columns.kept(),
            fold_empty: self.ctx.settings.fold_empty,
            sizes: self.ctx.settings.sizes.kept(),
            sources_off: self.log.sources.off().map(str::to_owned).collect(),
        }
    }

    /// What was typed into the open record's fields and is not saved: a connection that is cut costs none of it.
    fn draft(&self) -> Vec<FieldEdit> {
        let Some(pane) = &self.selection.record else { return Vec::new() };
        let typed = self.overlays.iter().find_map(|overlay| match overlay {
            Overlay::Editor(editor) if editor.row == pane.row => editor.change(),
            _ => None,
        });
        let of_others = |kept: &&FieldEdit| typed.as_ref().is_none_or(|typed| typed.column != kept.column);
        let mut draft: Vec<FieldEdit> = pane.kept_changes().filter(of_others).cloned().collect();
        draft.extend(typed);
        draft.retain(|change| !pane.is_masked(&change.column));
        draft
    }

    /// Begins where the last one stood. What of it makes no sense any more is left out.
    pub fn resume(&mut self, state: &SessionState) {
        // What the configuration names goes before what was saved in a console.
        let settings = &mut self.ctx.settings;
        for (filters, saved) in
            [(&mut settings.filters, &state.saved), (&mut settings.log_filters, &state.log_saved)]
        {
            let own = std::mem::replace(filters, saved.clone());
            filters.extend(own);
        }
        self.log.typed.clone_from(&state.log_history);
        self.log.sources.switch_off(&state.sources_off);
        self.ctx.settings.columns = ErrorColumns::read(&state.columns);
        self.ctx.settings.fold_empty = state.fold_empty;
        self.ctx.settings.sizes = PaneSizes::read(&state.sizes);
        self.errors.trail.typed.clone_from(&state.history);
        self.errors.sort = Sort::parse(&state.sort).unwrap_or_default();
        if Filter::parse(&state.filter, self.ctx.now).is_ok() {
            self.errors.filter.clone_from(&state.filter);
        }
        self.errors.restore_id = state.selected;
        let _ = self.log.set_filter(&state.log_filter, self.ctx.now);
        if let Some((table, row)) = &state.record {
            let mut pane = RecordPane::open(RowRef { table: table.clone(), row: RowId(*row) });
            pane.resume(&state.draft);
            if pane.has_changes() {
                self.say(
                    Tone::Neutral,
                    "what was typed and not saved is here again: Ctrl-S saves it, Esc Esc throws it away",
                );
            }
            self.selection.record = Some(pane);
        }
        if let Some(pane) = Pane::ALL.into_iter().find(|pane| pane.title() == state.pane) {
            self.ctx.focus =
                if pane == Pane::Record && self.selection.record.is_none() { Pane::Errors } else { pane };
        }
        if self.ctx.focus == Pane::Pending {
            self.ctx.list = Pane::Pending;
        }
        self.ctx.zoom = state.zoom;
        self.leave_hidden();
        self.kept = Some(self.session());
        if let Some(notice) = self.ctx.settings.notice.take() {
            self.say(Tone::Bad, one_line(&notice));
        }
    }

    /// What a console asks for when it comes up.
    pub fn start(&mut self) -> Vec<Effect> {
        self.inflight.forget();
        let mut effects = self.refresh();
        if !self.ctx.read_only {
            effects.push(Effect::AskRights);
        }
        if self.ctx.settings.begins_with_groups && self.overlays.is_empty() {
            effects.extend(self.groups_of(self.errors.asked_filter()));
        }
        if self.ctx.focus == Pane::Record {
            effects.extend(self.selection.record.as_mut().and_then(RecordPane::ask).map(Effect::FetchValues));
        }
        effects
    }
}
