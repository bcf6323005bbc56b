//! Operations on many errors, as keys ask for them: marks, the change to make, what it would do, the question, the way it
//! goes, what it came to; and the way back.

use std::sync::Arc;

use crate::client::api::ClientError;
use crate::client::operations::execute::{Plan, Targets};
use crate::client::row::Linked;
use crate::domain::errors::remedy::{RemedyAction, SuggestedFix};
use crate::domain::names::RowRef;
use crate::domain::operations::answer::Answer;
use crate::domain::operations::operation::{Confirm, OperationKind, Progress, Report, RowStatus};
use crate::domain::records::duplicate::Duplicate;
use crate::domain::records::named::NamedRecords;
use crate::domain::records::record::Hit;

use super::update::one_line;
use super::{App, layout};
use crate::console::command::Id;
use crate::console::context::Tone;
use crate::console::effect::Effect;
use crate::console::msg::SendState;
use crate::console::outcome::Outcome;
use crate::console::overlays::{
    About, ConfirmPlan, ConflictPicker, DuplicatePicker, Menu, Overlay, ProgressBar, Prompt, ReportView,
    group_of, suggestions,
};
use crate::console::pane::Pane;
use crate::console::panes::errors::Moved;
use crate::console::panes::record::RecordPane;
use crate::console::widgets::cursor::Step;

impl App {
    /// Which errors an operation is about: what is marked, else the selected one, or that of the open record.
    pub(super) fn chosen(&self) -> Option<(Targets, String)> {
        self.chosen_in(self.ctx.focus)
    }

    /// The same, if that pane had the keys.
    pub(super) fn chosen_in(&self, pane: Pane) -> Option<(Targets, String)> {
        if pane == Pane::Record {
            let error = self.selection.record.as_ref()?.view.as_ref()?.error.as_ref()?;
            return Some((Targets::Ids(vec![error.id]), format!("{} {}", error.mapping, error.row_id?)));
        }
        self.errors.chosen()
    }

    /// Marks the selected error, or takes the mark away, and goes on to the next.
    pub(super) fn mark(&mut self) -> Vec<Effect> {
        if !self.errors.mark() {
            self.say(Tone::Neutral, "nothing is marked any more");
            return Vec::new();
        }
        self.step(Step::Lines(1))
    }

    /// Marks all that the filter matches, or takes all marks away.
    pub(super) fn mark_all(&mut self) -> Vec<Effect> {
        self.errors.mark_all();
        Vec::new()
    }

    /// Looks at what an operation on the chosen errors would do.
    pub(super) fn plan(&mut self, kind: OperationKind) -> Vec<Effect> {
        match self.chosen() {
            Some((chosen, _)) => self.look_first(Effect::Plan { chosen, kind }),
            None => Vec::new(),
        }
    }

    /// Looks at what an operation would do; one at a time, so that a key pressed twice does nothing twice.
    pub(super) fn look_first(&mut self, plan: Effect) -> Vec<Effect> {
        if std::mem::replace(&mut self.inflight.planning, true) {
            self.say(Tone::Neutral, "still looking at what the operation before would do ...");
            return Vec::new();
        }
        let undoes = matches!(plan, Effect::UndoLast | Effect::Plan { kind: OperationKind::Undo(_), .. });
        self.errors.acted = !undoes && self.ctx.focus == Pane::Errors && self.errors.any_marked();
        self.wait_for("looking at what it would do", plan)
    }

    /// Asks what is to become of a field of the chosen errors' rows.
    pub(super) fn ask_fix(&mut self) -> Vec<Effect> {
        let Some((chosen, count)) = self.chosen() else { return Vec::new() };
        let first = match &chosen {
            Targets::Ids(ids) => self.errors.items.iter().find(|error| ids.contains(&error.id)),
            Targets::Filter(_) => self.errors.items.first(),
        };
        let suggestions = suggestions(first);
        self.ask_of_fix(chosen, count, suggestions)
    }

    /// Asks for the change, and for how many rows there is a remedy of their own.
    fn ask_of_fix(&mut self, chosen: Targets, count: String, suggestions: Vec<String>) -> Vec<Effect> {
        let about = About::Fix { chosen: chosen.clone(), count };
        self.overlays.push(Overlay::Prompt(Prompt::new(about, suggestions)));
        vec![Effect::CountRemedies(chosen)]
    }

    /// So many of the errors' rows have a remedy of their own; told where that is still asked about.
    pub(super) fn remedies_counted(&mut self, of: &Targets, result: Result<(usize, usize), ClientError>) {
        for overlay in &mut self.overlays {
            if let Overlay::Prompt(prompt) = overlay
                && matches!(&prompt.about, About::Fix { chosen, .. } if chosen == of)
            {
                match &result {
                    Ok(passing) => prompt.passing = Some(*passing),
                    Err(refused) => prompt.complaint = Some(one_line(&refused.to_string())),
                }
            }
        }
    }

    /// Asks for something that is looked for.
    pub(super) fn ask_find(&mut self) -> Vec<Effect> {
        self.overlays.push(Overlay::Prompt(Prompt::new(About::Find, Vec::new())));
        Vec::new()
    }

    /// Asks where the list is to be written.
    pub(super) fn ask_export(&mut self) -> Vec<Effect> {
        let filter = self.errors.asked_filter();
        let text = match filter.as_str() {
            "" => self.errors.how_many(),
            filter => format!("{} that match {filter}", self.errors.how_many()),
        };
        let about = About::Export { filter, count: text };
        let names = vec!["errors.csv".to_owned(), "errors.jsonl".to_owned()];
        self.overlays.push(Overlay::Prompt(Prompt::new(about, names)));
        Vec::new()
    }

    /// Fields that changed on both sides, side by side; of a row that is refused because a record has the same, all three.
    pub(super) fn conflict(&mut self) -> Vec<Effect> {
        if let Some(row) =
            self.selection.record.as_ref().filter(|pane| is_duplicate(pane)).map(|pane| pane.row.clone())
        {
            return self.compare(row);
        }
        let picker = self.selection.record.as_ref().and_then(ConflictPicker::of);
        self.overlays.extend(picker.map(Overlay::ConflictPicker));
        Vec::new()
    }

    /// Shows a row that is refused beside the record that has the same.
    pub(super) fn compare(&mut self, row: RowRef) -> Vec<Effect> {
        self.wait_for("asking Salesforce for the record that has the same", Effect::LoadDuplicate(row))
    }

    /// It came: one chooses what stays. It is about the record that shows.
    pub(super) fn duplicate_came(
        &mut self,
        row: &RowRef,
        result: Result<Duplicate, ClientError>,
    ) -> Vec<Effect> {
        let shows = self.selection.record.as_ref().is_some_and(|pane| pane.row == *row);
        if !self.was_waited_for(|asked| matches!(asked, Effect::LoadDuplicate(of) if of == row)) {
            return Vec::new();
        }
        match result {
            Ok(_) if !shows => {
                self.say(Tone::Neutral, "the record went on to another row meanwhile; ask again")
            }
            Ok(found) => {
                self.ctx.toast = None;
                self.lay(Overlay::DuplicatePicker(Box::new(DuplicatePicker::new(found))));
            }
            Err(refused) => self.say_refused(&refused),
        }
        Vec::new()
    }

    /// Does what the first remedy says that can be done by itself.
    pub(super) fn quick_fix(&mut self) -> Vec<Effect> {
        if self.ctx.focus == Pane::Errors && self.errors.any_marked() {
            return self.plan(OperationKind::Mend);
        }
        match self.remedies_here().and_then(Menu::first) {
            Some(Outcome::Begin { effect, .. }) if self.stands_there(&effect) => {
                self.begin_or_ask(effect, None)
            }
            // It shows what may be chosen, and changes nothing by itself.
            Some(pick @ Outcome::PickValue { .. }) if self.stays() => self.settle_outcome(pick),
            // Nobody saw what it would do.
            Some(_) => self.choose(App::remedies_here),
            None => Vec::new(),
        }
    }

    /// Whether the record shows what somebody put there: an error of no row follows the list, which may have moved by itself.
    pub(super) fn stays(&self) -> bool {
        self.selection.record.is_some() || self.errors.moved == Moved::ByHand
    }

    /// Whether what the key does stands on the screen: in the record, or in the line in the same words.
    fn stands_there(&self, effect: &Effect) -> bool {
        if self.ctx.focus != Pane::Errors {
            return self.stays();
        }
        let Some(error) = self.errors.selected() else { return false };
        let is_beside = layout::shows(&self.ctx, Pane::Record);
        match effect {
            _ if error.row_id.is_none() => is_beside && self.errors.moved == Moved::ByHand,
            _ if is_beside => true,
            Effect::Apply { offer, .. } => {
                let words = self.errors.words_of(error);
                let becomes = words.and_then(|words| Some((words.value.as_ref(), words.becomes.as_ref()?)));
                match (offer.changes.as_slice(), becomes) {
                    ([edit], Some((value, becomes))) => {
                        edit.shown.as_ref() == value && edit.new.as_ref() == Some(becomes)
                    }
                    _ => false,
                }
            }
            _ => false,
        }
    }

    /// A command for all errors of a group: they are listed, marked, and it begins.
    pub(super) fn of_group(&mut self, filter: &str, label: String, command: Id) -> Vec<Effect> {
        if self.is_away() {
            return Vec::new();
        }
        let group = group_of(filter);
        let one = self.errors.items.iter().find(|error| group == Some(&error.group)).cloned();
        let mut effects = self.drill(filter, Some(label));
        self.errors.marks.all = true;
        self.navigation.from_groups = true;
        // Of those that are counted and listed, and of no others of the group.
        let chosen = Targets::Filter(self.errors.asked_filter());
        let kind = match command {
            Id::Retry => OperationKind::Retry,
            Id::Revert => OperationKind::Revert,
            Id::Ignore => OperationKind::Ignore,
            Id::QuickFix => OperationKind::Mend,
            _ => {
                let count = match filter.split_once(' ') {
                    Some((_, typed)) => format!("all errors of this cause that match {typed}"),
                    None => "all errors of this cause".to_owned(),
                };
                effects.extend(self.ask_of_fix(chosen, count, suggestions(one.as_ref())));
                return effects;
            }
        };
        effects.extend(self.look_first(Effect::Plan { chosen, kind }));
        effects
    }

    /// Asks for something that shows when it comes; until then keys mean nothing.
    pub(super) fn wait_for(&mut self, words: &'static str, effect: Effect) -> Vec<Effect> {
        self.overlays.push(Overlay::Loading { words, asked: effect.clone() });
        vec![effect]
    }

    /// Whether what comes is still waited for; it is, once. The answer to a question that was given up is told by that from
    /// the answer to one that was asked since.
    pub(super) fn was_waited_for(&mut self, answers: impl Fn(&Effect) -> bool) -> bool {
        let waits = |overlay: &Overlay| matches!(overlay, Overlay::Loading { asked, .. } if answers(asked));
        let at = self.overlays.iter().position(waits);
        at.map(|at| self.overlays.remove(at)).is_some()
    }

    // ---- what comes ----------------------------------------------------------------------------------------------

    /// A plan came: what cannot hurt is done, the rest is asked about.
    pub(super) fn planned(&mut self, result: Result<Arc<Plan>, ClientError>) -> Vec<Effect> {
        self.inflight.planning = false;
        // One is made at a time: there is no other that it could be.
        if !self.was_waited_for(|asked| matches!(asked, Effect::Plan { .. } | Effect::UndoLast)) {
            return Vec::new();
        }
        let plan = match result {
            Ok(plan) => plan,
            Err(refused) => {
                self.say_refused(&refused);
                return Vec::new();
            }
        };
        self.ctx.toast = None;
        let harmless =
            matches!(plan.kind, OperationKind::Retry | OperationKind::Release | OperationKind::Ignore);
        if harmless && plan.confirm == Confirm::Nothing && self.overlays.is_empty() {
            return self.execute(plan, None);
        }
        self.lay(Overlay::ConfirmPlan(Box::new(ConfirmPlan::new(plan))));
        Vec::new()
    }

    pub(super) fn execute(&mut self, plan: Arc<Plan>, why: Option<String>) -> Vec<Effect> {
        self.navigation.from_groups = false;
        let progress = Progress { through: 0, total: plan.len() };
        let bar = ProgressBar { progress, ..ProgressBar::begun(plan.kind.text(), self.ctx.now) };
        self.overlays.push(Overlay::Progress(bar));
        vec![Effect::Execute { plan, why }]
    }

    /// Begins what was asked about; what takes a while shows how far it is.
    pub(super) fn begin(&mut self, effect: Effect) -> Vec<Effect> {
        match &effect {
            Effect::Repair { report, .. } => {
                self.errors.acted = false;
                let bar = ProgressBar::begun(format!("repair {}", report.mapping), self.ctx.now);
                self.overlays.push(Overlay::Progress(bar));
            }
            Effect::Test(Some(name)) => self.say(Tone::Neutral, format!("trying {name} ...")),
            Effect::Test(None) => {
                let bar = ProgressBar::begun("try all mappings".to_owned(), self.ctx.now);
                self.overlays.push(Overlay::Progress(bar));
            }
            _ => {}
        }
        vec![effect]
    }

    /// How far it is.
    pub(super) fn progressed(&mut self, progress: Progress) {
        for overlay in &mut self.overlays {
            if let Overlay::Progress(bar) = overlay {
                bar.progress = progress;
            }
        }
    }

    /// It is over: one row's answer is awaited where one looks, many are told of in numbers.
    pub(super) fn reported(
        &mut self,
        text: String,
        sent: SendState,
        result: Result<Report, ClientError>,
    ) -> Vec<Effect> {
        let sends = sent != SendState::Nothing;
        self.overlays.retain(|overlay| !matches!(overlay, Overlay::Progress(_)));
        // Marks that it was not about are for the next operation, and so are those of one that was refused.
        // What failed stays marked: it is what one looks at next.
        let acted = std::mem::take(&mut self.errors.acted);
        if let Ok(report) = result.as_ref()
            && acted
        {
            self.errors.unmark();
            let failed = report.items.iter().filter(|item| item.result == RowStatus::Failed);
            self.errors.marks.ids.extend(failed.map(|item| item.id));
        }
        match result {
            Err(refused) => self.say_refused(&refused),
            Ok(report) => match report.items.as_slice() {
                [] => self.say(Tone::Neutral, "there was nothing to do"),
                [item] => {
                    let tone = match item.result {
                        RowStatus::Done => Tone::Good,
                        RowStatus::Skipped => Tone::Neutral,
                        RowStatus::Failed => Tone::Bad,
                    };
                    let back = report.operation.map(|_| "  (U takes it back)").unwrap_or_default();
                    self.say(tone, format!("{text}: {}{back}", one_line(&item.message)));
                    let now = self.ctx.now;
                    if item.result == RowStatus::Done {
                        let answer = if sends { Answer::Waiting } else { Answer::Settled };
                        self.errors.keep_line(item.id, answer, now);
                    }
                    // The selection may be on another row by now; the answer is that of the row it was about.
                    let open = self.selection.record.as_mut().filter(|pane| pane.is_of(item.id));
                    if let Some(pane) = open.filter(|_| sends && item.result == RowStatus::Done) {
                        pane.await_answer(now);
                    }
                }
                _ => {
                    let number = if let SendState::Rows(number) = sent { number } else { None };
                    self.overlays.push(Overlay::Report(ReportView::new(text, report, number)));
                }
            },
        }
        let mut effects = self.load_errors();
        effects.extend(self.load_answers());
        effects.extend(self.load_overview());
        effects.extend(self.load_record());
        effects
    }

    /// What linking came to: where another row has the record, that is asked about.
    pub(super) fn linked(&mut self, row: &RowRef, result: Result<Linked, ClientError>) -> Vec<Effect> {
        match result {
            Ok(Linked::Done { sfid }) => {
                self.sent(row, None, &format!("it has the record {sfid}; sending ..."))
            }
            // Another row has the record: one looks at both before one of them goes.
            Ok(Linked::Taken { .. })
                if self
                    .selection
                    .record
                    .as_ref()
                    .is_some_and(|pane| pane.row == *row && is_duplicate(pane))
                    && self.overlays.is_empty() =>
            {
                self.compare(row.clone())
            }
            Ok(Linked::Taken { sfid, row: other }) => {
                let text = format!(
                    "The record {sfid} belongs to the row {other} of {} already. If both rows are the same thing, the row \
                     {other} is removed here, and its record goes over to the row {}.",
                    row.table, row.row
                );
                let effect = Effect::Link { row: row.clone(), replace: true };
                self.lay(Overlay::confirm(text, Confirm::Yes, effect));
                Vec::new()
            }
            Err(refused) => self.sent(row, Some(refused.to_string()), ""),
        }
    }

    /// Rows were found: the only one is opened.
    pub(super) fn found(&mut self, text: &str, result: Result<Vec<Hit>, ClientError>) -> Vec<Effect> {
        if !self.was_waited_for(|asked| matches!(asked, Effect::Find(what) if what == text)) {
            return Vec::new();
        }
        let hits = match result {
            Ok(hits) => hits,
            Err(refused) => {
                self.say_refused(&refused);
                return Vec::new();
            }
        };
        match hits.as_slice() {
            [] => {
                self.say(
                    Tone::Neutral,
                    format!("no row has the id, the record id, the external id or the name {text}"),
                );
                Vec::new()
            }
            [hit] if self.overlays.is_empty() => self.open_row(hit.row.clone()),
            hits => {
                if let Some(menu) = Menu::hits(text, hits) {
                    self.lay(Overlay::Menu(menu));
                }
                Vec::new()
            }
        }
    }

    /// Rows whose names have what was looked for: one opens, of several one is chosen.
    pub(super) fn found_named(&mut self, text: &str, found: &NamedRecords) -> Vec<Effect> {
        if !self.was_waited_for(|asked| matches!(asked, Effect::Find(what) if what == text)) {
            return Vec::new();
        }
        match found.records.as_slice() {
            [one] if self.overlays.is_empty() => self.open_row(one.row.clone()),
            _ => {
                let menu = Menu::named(&self.ctx, text, found);
                self.lay(Overlay::Menu(menu));
                Vec::new()
            }
        }
    }

    // ---- keys ----------------------------------------------------------------------------------------------------

    /// An operation was given up: one that began among the causes leads back there.
    pub(super) fn gave_up(&mut self) -> Vec<Effect> {
        if !std::mem::take(&mut self.navigation.from_groups) {
            return Vec::new();
        }
        self.errors.unmark();
        self.undrill()
    }
}

/// Whether a record is refused because another one has the same.
pub(super) fn is_duplicate(pane: &RecordPane) -> bool {
    pane.view.as_ref().is_some_and(|view| {
        let action = |offer: &SuggestedFix| offer.action == Some(RemedyAction::Compare);
        view.advice.remedies.iter().any(action)
    })
}
