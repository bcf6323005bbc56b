//! One record mended: its fields edited, saved and sent, its remedies, its way to a relative. And a mapping looked
//! through as a whole.

use std::sync::Arc;

use crate::client::api::ClientError;
use crate::client::mapping::DryRuns;
use crate::client::operations::repair;
use crate::domain::changes::dry_run::DryRun;
use crate::domain::changes::merge::Side;
use crate::domain::errors::sync_error::SyncError;
use crate::domain::operations::operation::{OperationKind, Progress};
use crate::domain::records::record::Edit;
use crate::domain::records::verify::Stage;
use crate::domain::records::verify::VerifyReport;

use super::App;
use super::layout::page;
use crate::console::context::Tone;
use crate::console::effect::Effect;
use crate::console::overlays::{Ahead, Editor, Menu, Overlay, ProgressBar};
use crate::console::pane::Pane;
use crate::console::panes::record::{RecordPane, RecordTab};

impl App {
    /// Edits the selected field; among the relatives, goes to the selected one.
    pub(super) fn edit(&mut self) -> Vec<Effect> {
        if let (Pane::Errors, Some(pane)) = (self.ctx.focus, &mut self.selection.record) {
            pane.tab = RecordTab::Fields;
        }
        let Some(pane) = &self.selection.record else { return Vec::new() };
        if let Some(relative) = pane.relative() {
            return self.open_row(relative.row.clone());
        }
        if pane.view.is_none() {
            self.overlays.push(Overlay::TypeAhead(Vec::new()));
            return Vec::new();
        }
        if pane.tab == RecordTab::Fields
            && let Some((field, value)) = pane.selected().cloned()
        {
            let kept = pane.kept(&field.column).cloned();
            self.overlays.push(Overlay::Editor(Editor::new(pane.row.clone(), field, value, kept)));
        }
        Vec::new()
    }

    /// The list came of which a line was to be opened: so does what was typed meanwhile.
    pub(super) fn list_came(&mut self) -> Vec<Effect> {
        if self.ctx.focus != Pane::Errors {
            return Vec::new();
        }
        let Some(typed) = self.typed_ahead() else { return Vec::new() };
        if self.errors.items.is_empty() {
            return Vec::new();
        }
        let mut effects = self.open();
        for ahead in typed {
            effects.extend(match ahead {
                Ahead::Paste(text) => self.paste(&text),
                Ahead::Key(key) => self.key(key),
            });
        }
        effects
    }

    /// What was typed while something was being read, if that lies on top.
    fn typed_ahead(&mut self) -> Option<Vec<Ahead>> {
        match self.overlays.pop()? {
            Overlay::TypeAhead(typed) => Some(typed),
            other => {
                self.overlays.push(other);
                None
            }
        }
    }

    /// The record came that was to be edited: so does what was typed meanwhile.
    pub(super) fn opened(&mut self) -> Vec<Effect> {
        if self.ctx.focus != Pane::Record {
            return Vec::new();
        }
        let Some(typed) = self.typed_ahead() else { return Vec::new() };
        self.ctx.toast = None;
        let refusal = self.selection.record.as_ref().and_then(RecordPane::edit_refusal);
        if let Some(why) = refusal {
            self.say(Tone::Neutral, why);
            return Vec::new();
        }
        let mut effects = self.edit();
        // Behind an editor that was left, nothing is a command: it was typed for a value.
        for ahead in typed {
            if self.overlays.is_empty() {
                break;
            }
            effects.extend(match ahead {
                Ahead::Paste(text) => self.paste(&text),
                Ahead::Key(key) => self.overlay_key(key),
            });
        }
        effects
    }

    /// Saves an edit together with the changes that were kept.
    pub(super) fn save(&mut self, edit: Edit) -> Vec<Effect> {
        let Some(edit) = self.selection.save(edit) else {
            self.say(
                Tone::Neutral,
                "the save before is still on its way; this change is kept: Ctrl-S saves it then",
            );
            return Vec::new();
        };
        self.say(Tone::Neutral, format!("saving {} ...", self.ctx.row_name(&edit.row)));
        vec![Effect::Save(edit)]
    }

    /// Saves the changes that were kept.
    pub(super) fn save_kept(&mut self) -> Vec<Effect> {
        let Some(row) = self.selection.row() else {
            return Vec::new();
        };
        self.save(Edit { row, fields: Vec::new(), retry: true })
    }

    /// Sends again: what is marked, else this one.
    pub(super) fn retry(&mut self) -> Vec<Effect> {
        if self.ctx.focus == Pane::Errors && self.errors.any_marked() || self.may_double() {
            return self.plan(OperationKind::Retry);
        }
        let row = match self.ctx.focus {
            Pane::Record => self.selection.row(),
            _ => self.errors.selected().and_then(SyncError::row),
        };
        row.map(Effect::Retry).into_iter().collect()
    }

    /// Whether the one that is looked at may be in Salesforce already: then sending it again is asked about.
    fn may_double(&self) -> bool {
        let error = match self.ctx.focus {
            Pane::Record => {
                self.selection.record.as_ref().and_then(|pane| pane.view.as_ref()?.error.as_ref())
            }
            _ => self.errors.selected(),
        };
        error.is_some_and(|error| error.code == "OUTCOME_UNKNOWN")
    }

    /// The open record knows how many lines the screen has for it, and what was chosen of its fields without a value.
    pub(super) fn fit_record(&mut self) {
        let room = page(&self.ctx, Pane::Record) + 2;
        if let Some(pane) = &mut self.selection.record {
            pane.fit(room, self.ctx.settings.fold_empty);
        }
    }

    /// What can be done about the open record's error.
    pub(super) fn remedies(&self) -> Option<Menu> {
        match &self.selection.record {
            Some(pane) => Menu::remedies(pane),
            None => self.rowless().and_then(Menu::remedies_of),
        }
    }

    /// The same of what a key acts on: in the list that is the selected line, whatever record is open.
    pub(super) fn remedies_here(&self) -> Option<Menu> {
        if self.ctx.focus != Pane::Errors {
            return self.remedies();
        }
        match self.errors.selected()?.row() {
            Some(row) => {
                self.selection.record.as_ref().filter(|pane| pane.row == row).and_then(Menu::remedies)
            }
            None => self.rowless().and_then(Menu::remedies_of),
        }
    }

    // ---- a mapping as a whole ------------------------------------------------------------------------------------

    /// Begins to compare the selected mapping's rows and records.
    pub(super) fn verify(&mut self) -> Vec<Effect> {
        let name = self.mapping().map(|mapping| mapping.name.clone());
        name.map_or(Vec::new(), |name| self.verify_mapping(name))
    }

    /// Begins to compare a mapping's rows and records.
    pub(super) fn verify_mapping(&mut self, name: String) -> Vec<Effect> {
        self.overlays.push(Overlay::Progress(ProgressBar::begun(format!("verify {name}"), self.ctx.now)));
        vec![Effect::Verify(name)]
    }

    /// How far the comparison is.
    pub(super) fn stage(&mut self, stage: Stage) {
        let (note, progress) = match stage {
            Stage::Comparing(done, total) => ("records compared".to_owned(), Some((done, total))),
            Stage::Rows(done, total) => ("rows looked through".to_owned(), Some((done, total))),
            Stage::Settling(suspects) => {
                (format!("{suspects} look different; looking again once the reader has been by"), None)
            }
        };
        for overlay in &mut self.overlays {
            if let Overlay::Progress(bar) = overlay {
                let whole = |number: i64| usize::try_from(number).unwrap_or(0);
                bar.note.clone_from(&note);
                if let Some((done, total)) = progress {
                    bar.progress = Progress { through: whole(done), total: whole(total) };
                }
            }
        }
    }

    /// What the comparison found.
    pub(super) fn verified(&mut self, result: Result<VerifyReport, ClientError>) -> Vec<Effect> {
        self.overlays.retain(|overlay| !matches!(overlay, Overlay::Progress(_)));
        if let Ok(report) = &result {
            let stopped = if report.stopped { "stopped; so far " } else { "" };
            let text = format!("{stopped}{} of {} rows differ", report.findings.len(), report.rows);
            self.mappings.zoom.note_verify(&report.mapping, self.ctx.now, text);
        }
        match result {
            Err(refused) => self.say_refused(&refused),
            Ok(report) if report.findings.is_empty() => {
                let ended = if report.stopped { "stopped; so far " } else { "" };
                let head = format!(
                    "{}: {ended}{} rows and {} records, no difference",
                    report.mapping, report.rows, report.records
                );
                let text = [vec![head], report.explained()].concat().join("; ");
                self.say(if report.stopped { Tone::Neutral } else { Tone::Good }, text);
            }
            Ok(report) => {
                let table = self.ctx.table_of(&report.mapping);
                self.lay(Overlay::Menu(Menu::findings(table, Arc::new(report))));
            }
        }
        Vec::new()
    }

    /// Asks before one side is taken for what a comparison found.
    pub(super) fn ask_repair(&mut self, table: String, report: Arc<VerifyReport>, side: Side) {
        let does: Vec<String> = repair::summary(&report.findings, side)
            .into_iter()
            .map(|(count, kind, what)| format!("{count} {}: {what}", kind.text()))
            .collect();
        let text = format!(
            "{}, as in {}. {}. Rows that were changed since they were looked at are left alone.",
            report.mapping,
            side.word(),
            does.join("; ")
        );
        let confirm = repair::confirm(&report.findings, side, self.ctx.environment());
        let effect = Effect::Repair { table, report, side };
        self.overlays.push(Overlay::confirm(text, confirm, effect));
    }

    /// What trials of all mappings came to.
    pub(super) fn all_tried(&mut self, result: Result<DryRuns, ClientError>) -> Vec<Effect> {
        self.overlays.retain(|overlay| !matches!(overlay, Overlay::Progress(_)));
        match result {
            Err(refused) => self.say_refused(&refused),
            Ok(tried) => {
                for (name, result) in &tried {
                    if let Ok(dry_run) = result {
                        let text = format!("{} of {} rows would go through", dry_run.passed, dry_run.rows);
                        self.mappings.zoom.note_dry_run(name, self.ctx.now, text);
                    }
                }
                let tables = tried.iter().map(|(name, _)| self.ctx.table_of(name)).collect::<Vec<_>>();
                self.lay(Overlay::Menu(Menu::trials(&tables, &tried)));
            }
        }
        Vec::new()
    }

    /// What the dry run of a mapping came to.
    pub(super) fn tried(&mut self, mapping: &str, result: Result<DryRun, ClientError>) -> Vec<Effect> {
        let table = self.ctx.table_of(mapping);
        if let Ok(dry_run) = &result {
            let text = format!("{} of {} rows would go through", dry_run.passed, dry_run.rows);
            self.mappings.zoom.note_dry_run(mapping, self.ctx.now, text);
        }
        match result {
            Err(refused) => self.say_refused(&refused),
            Ok(dry_run) if dry_run.items.is_empty() => {
                self.say(Tone::Neutral, format!("{}: there are no rows to try", dry_run.mapping));
            }
            Ok(dry_run) => {
                self.ctx.toast = None;
                self.lay(Overlay::Menu(Menu::dry_run(&table, &dry_run)));
            }
        }
        Vec::new()
    }
}
