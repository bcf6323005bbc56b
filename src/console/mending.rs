//! One record mended: its fields edited, saved and sent, its remedies, its way to a relative. And a mapping looked
//! through as a whole.

use std::sync::Arc;

use crate::client::handle::Refused;
use crate::client::mapping::DryRuns;
use crate::domain::act::{Confirm, Deed, Progress};
use crate::domain::dry_run::DryRun;
use crate::domain::merge::Side;
use crate::domain::record::Edit;
use crate::domain::sync_error::SyncError;
use crate::domain::verify::Stage;
use crate::domain::verify::Verdict;

use super::effect::Effect;
use super::model::{Model, Pane, Tone};
use super::overlays::{Ahead, Choice, Overlay, Working};
use super::panes::edit::Editor;
use super::panes::record::{RecordPane, Tab};
use super::update::one_line;

impl Model {
    /// Edits the selected field; among the relatives, goes to the selected one.
    pub(super) fn edit(&mut self) -> Vec<Effect> {
        let Some(pane) = &self.record else { return Vec::new() };
        if let Some(relative) = pane.relative() {
            return self.open_row(relative.row.clone());
        }
        if pane.view.is_none() {
            self.overlays.push(Overlay::Opening(Vec::new()));
            return Vec::new();
        }
        if pane.tab == Tab::Fields
            && let Some((field, value)) = pane.selected().cloned()
        {
            let kept = pane.kept(&field.column).cloned();
            self.overlays.push(Overlay::Edit(Editor::new(pane.row.clone(), field, value, kept)));
        }
        Vec::new()
    }

    /// The list came of which a line was to be opened: so does what was typed meanwhile.
    pub(super) fn list_came(&mut self) -> Vec<Effect> {
        if self.focus != Pane::Errors {
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
            Overlay::Opening(typed) => Some(typed),
            other => {
                self.overlays.push(other);
                None
            }
        }
    }

    /// The record came that was to be edited: so does what was typed meanwhile.
    pub(super) fn opened(&mut self) -> Vec<Effect> {
        if self.focus != Pane::Record {
            return Vec::new();
        }
        let Some(typed) = self.typed_ahead() else { return Vec::new() };
        self.toast = None;
        let refusal = self.record.as_ref().and_then(RecordPane::edit_refusal);
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
                Ahead::Key(key) => {
                    self.overlays.pop().map(|overlay| self.overlay_key(overlay, key)).unwrap_or_default()
                }
            });
        }
        effects
    }

    /// Saves an edit together with the changes that were kept.
    pub(super) fn save(&mut self, mut edit: Edit) -> Vec<Effect> {
        let pane = self.record.as_mut().filter(|pane| pane.row == edit.row);
        // One at a time, so that a refusal says whose changes it is about.
        if self.saving.contains(&edit.row) {
            pane.into_iter().for_each(|pane| edit.fields.drain(..).for_each(|field| pane.keep(field)));
            self.say(
                Tone::Neutral,
                "the save before is still on its way; this change is kept: Ctrl-S saves it then",
            );
            return Vec::new();
        }
        if let Some(pane) = pane {
            edit.fields = pane.save(edit.fields);
        }
        self.saving.push(edit.row.clone());
        self.say(Tone::Neutral, format!("saving {} {} ...", edit.row.table, edit.row.row));
        vec![Effect::Save(edit)]
    }

    /// Saves the changes that were kept.
    pub(super) fn save_kept(&mut self) -> Vec<Effect> {
        let Some(row) = self.record.as_ref().map(|pane| pane.row.clone()) else { return Vec::new() };
        self.save(Edit { row, fields: Vec::new(), retry: true })
    }

    /// Sends again: what is marked, else this one.
    pub(super) fn retry(&mut self) -> Vec<Effect> {
        if self.focus == Pane::Errors && self.errors.any_marked() || self.may_double() {
            return self.plan(Deed::Retry);
        }
        let row = match self.focus {
            Pane::Record => self.record.as_ref().map(|pane| pane.row.clone()),
            _ => self.errors.selected().and_then(SyncError::row),
        };
        row.map(Effect::Retry).into_iter().collect()
    }

    /// Whether the one that is looked at may be in Salesforce already: then sending it again is asked about.
    fn may_double(&self) -> bool {
        let error = match self.focus {
            Pane::Record => self.record.as_ref().and_then(|pane| pane.view.as_ref()?.error.as_ref()),
            _ => self.errors.selected(),
        };
        error.is_some_and(|error| error.code == "OUTCOME_UNKNOWN")
    }

    /// What can be done about the open record's error.
    pub(super) fn remedies(&self) -> Option<Choice> {
        self.record.as_ref().and_then(Choice::remedies)
    }

    // ---- a mapping as a whole ------------------------------------------------------------------------------------

    /// Begins to compare the selected mapping's rows and records.
    pub(super) fn verify(&mut self) -> Vec<Effect> {
        let Some(name) = self.mapping().map(|mapping| mapping.name.clone()) else { return Vec::new() };
        self.overlays.push(Overlay::Working(Working::begun(format!("verify {name}"), self.now)));
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
            if let Overlay::Working(working) = overlay {
                let whole = |number: i64| usize::try_from(number).unwrap_or(0);
                working.note.clone_from(&note);
                if let Some((done, total)) = progress {
                    working.progress = Progress { through: whole(done), total: whole(total) };
                }
            }
        }
    }

    /// What the comparison found.
    pub(super) fn verified(&mut self, result: Result<Verdict, Refused>) -> Vec<Effect> {
        self.overlays.retain(|overlay| !matches!(overlay, Overlay::Working(_)));
        match result {
            Err(refused) => self.say(Tone::Bad, one_line(&refused.0)),
            Ok(verdict) if verdict.findings.is_empty() => {
                let ended = if verdict.stopped { "stopped; so far " } else { "" };
                let head = format!(
                    "{}: {ended}{} rows and {} records, no difference",
                    verdict.mapping, verdict.rows, verdict.records
                );
                let text = [vec![head], verdict.explained()].concat().join("; ");
                self.say(if verdict.stopped { Tone::Neutral } else { Tone::Good }, text);
            }
            Ok(verdict) => {
                let table = self.table_of(&verdict.mapping);
                self.lay(Overlay::Choice(Choice::findings(table, Arc::new(verdict))));
            }
        }
        Vec::new()
    }

    fn table_of(&self, name: &str) -> String {
        let known = self.overview.as_ref().and_then(|overview| {
            overview.mappings.iter().find(|mapping| mapping.name == name).map(|mapping| mapping.table.clone())
        });
        known.unwrap_or_else(|| name.to_lowercase())
    }

    /// Asks before one side is taken for what a comparison found.
    pub(super) fn ask_repair(&mut self, table: String, verdict: Arc<Verdict>, side: Side) -> Vec<Effect> {
        if self.read_only {
            self.say(Tone::Neutral, "this console is read-only");
            return Vec::new();
        }
        let does: Vec<String> = crate::client::operations::repair::summary(&verdict.findings, side)
            .into_iter()
            .map(|(count, kind, what)| format!("{count} {}: {what}", kind.text()))
            .collect();
        let text = format!(
            "{}, as in {}. {}. Rows that were changed since they were looked at are left alone.",
            verdict.mapping,
            side.word(),
            does.join("; ")
        );
        let count =
            match crate::client::operations::repair::confirm(&verdict.findings, side, self.environment()) {
                Confirm::Count(count) => Some(count),
                _ => None,
            };
        let effect = Box::new(Effect::Repair { table, verdict, side });
        self.overlays.push(Overlay::Sure { text, count, typed: String::new(), effect });
        Vec::new()
    }

    /// What trials of all mappings came to.
    pub(super) fn all_tried(&mut self, result: Result<DryRuns, Refused>) -> Vec<Effect> {
        self.overlays.retain(|overlay| !matches!(overlay, Overlay::Working(_)));
        match result {
            Err(refused) => self.say(Tone::Bad, one_line(&refused.0)),
            Ok(tried) => {
                let tables = tried.iter().map(|(name, _)| self.table_of(name)).collect::<Vec<_>>();
                self.lay(Overlay::Choice(Choice::trials(&tables, &tried)));
            }
        }
        Vec::new()
    }

    /// What the trial of a mapping came to.
    pub(super) fn tried(&mut self, mapping: &str, result: Result<DryRun, Refused>) -> Vec<Effect> {
        let table = self.table_of(mapping);
        match result {
            Err(refused) => self.say(Tone::Bad, one_line(&refused.0)),
            Ok(trial) if trial.items.is_empty() => {
                self.say(Tone::Neutral, format!("{}: there are no rows to try", trial.mapping));
            }
            Ok(trial) => {
                self.toast = None;
                self.lay(Overlay::Choice(Choice::trial(&table, &trial)));
            }
        }
        Vec::new()
    }
}
