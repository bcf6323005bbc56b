//! One error after the other: to the next that needs a person, the remedy by its number, and what became of what was sent.

use std::collections::BTreeSet;

use super::App;
use super::update::one_line;
use crate::client::api::{ClientError, Count};
use crate::client::operations::execute::Targets;
use crate::console::context::Tone;
use crate::console::effect::Effect;
use crate::console::outcome::Outcome;
use crate::console::overlays::{Menu, Overlay, Thing};
use crate::console::pane::Pane;
use crate::console::panes::errors::Moved;
use crate::console::panes::record::{Lazy, RecordPane};
use crate::domain::errors::summary::Summary;
use crate::domain::errors::sync_error::SyncError;
use crate::domain::names::RowRef;
use crate::domain::operations::answer::{Answer, Tally};
use crate::domain::records::named::NamedRecords;
use crate::domain::records::record::Relative;

/// Rows that can be gone to by their names at most.
const THINGS: usize = 1_000;
/// Panes by their numbers.
const PANES: [Pane; 6] = Pane::ALL;

impl App {
    /// To the next error that needs a person, or to the one before; in the record, its record is opened.
    pub(super) fn next_open(&mut self, forward: bool) -> Vec<Effect> {
        let Some(at) = self.errors.next_open(forward) else {
            let more = if forward { self.errors.want_page() } else { self.errors.want_page_before() };
            let text = match forward {
                _ if self.errors.more => "reading more errors; the same key again goes on",
                true => "no error further down needs a person",
                false => "no error further up needs a person",
            };
            self.say(Tone::Neutral, text);
            return more.into_iter().collect();
        };
        if self.ctx.focus == Pane::Record && self.selection.record.as_ref().is_some_and(|pane| pane.keeps()) {
            self.say(Tone::Neutral, super::movement::NOT_SAVED);
            return Vec::new();
        }
        self.ctx.list = Pane::Errors;
        self.errors.touched = true;
        self.errors.moved = Moved::ByHand;
        self.errors.cursor.at = at;
        self.settle(Pane::Errors);
        let mut effects: Vec<Effect> = self.errors.want_more().into_iter().collect();
        match self.selected_row() {
            Some(row) if self.ctx.focus == Pane::Record => effects.extend(self.show_in_record(row)),
            None if self.ctx.focus == Pane::Record => {
                self.tell_rowless();
            }
            _ => effects.extend(self.debounce()),
        }
        effects
    }

    /// The record that has the keys becomes that of another row.
    fn show_in_record(&mut self, row: RowRef) -> Vec<Effect> {
        self.navigation.record_stack.clear();
        self.selection.show(row);
        let mut effects = self.load_record();
        effects.extend(self.enter_record());
        effects
    }

    /// Does the remedy with the number that was pressed; where none has one, the pane with it gets the keys.
    pub(super) fn numbered(&mut self) -> Vec<Effect> {
        let Some(number) = self.navigation.digit else { return self.choose_remedy() };
        if self.ctx.focus == Pane::Mappings {
            let pane = number.checked_sub(1).and_then(|at| PANES.get(at));
            return self.numbered_cause(number).or_else(|| Some(self.go(*pane?))).unwrap_or_default();
        }
        match (self.numbered_remedies(), number.checked_sub(1).and_then(|at| PANES.get(at))) {
            (Some(_), _) if !self.stays() => self.choose(App::remedies),
            (Some(menu), _) => match menu.numbered(number) {
                Some(outcome) => self.settle_outcome(outcome),
                None => {
                    self.say(Tone::Neutral, format!("no remedy has the number {number}; f shows them all"));
                    Vec::new()
                }
            },
            (None, Some(pane)) => self.go(*pane),
            (None, None) => Vec::new(),
        }
    }

    /// What helps with the open record's error, or with one of no row, where a digit does something of it.
    pub(super) fn numbered_remedies(&self) -> Option<Menu> {
        let keeps = self.selection.record.as_ref().is_some_and(RecordPane::keeps);
        let can = !keeps && !self.ctx.read_only && self.ctx.database.lost.is_none();
        self.remedies().filter(|menu| can && menu.is_numbered())
    }

    /// To the row that the open one waits for; it is looked for where it is not known.
    pub(super) fn go_to_parent(&mut self) -> Vec<Effect> {
        let Some(pane) = &mut self.selection.record else { return Vec::new() };
        match &pane.relatives {
            Lazy::Known(relatives) => {
                let mut parents: Vec<&Relative> = relatives.iter().filter(|one| one.is_parent).collect();
                parents.sort_by_key(|parent| (parent.error.is_none(), parent.unit == "in step"));
                match parents.first().map(|parent| parent.row.clone()) {
                    Some(row) => self.open_row(row),
                    None => {
                        self.say(
                            Tone::Neutral,
                            "it names no row that is here; e corrects the name of its parent",
                        );
                        Vec::new()
                    }
                }
            }
            Lazy::Refused(why) => {
                let why = why.clone();
                self.say(Tone::Bad, why);
                Vec::new()
            }
            Lazy::Unknown | Lazy::Loading => {
                let row = pane.row.clone();
                let asks = matches!(pane.relatives, Lazy::Unknown);
                pane.relatives = Lazy::Loading;
                self.navigation.to_parent = Some(row.clone());
                asks.then_some(Effect::LoadRelatives(row)).into_iter().collect()
            }
        }
    }

    /// A row's relatives came: whoever wanted to go to its parent goes there.
    pub(super) fn relatives_came(&mut self, row: &RowRef) -> Vec<Effect> {
        let wanted = self.navigation.to_parent.take();
        let shows = self.selection.record.as_ref().is_some_and(|pane| pane.row == *row);
        // Whoever went elsewhere meanwhile is left there.
        let stayed = self.ctx.focus == Pane::Record;
        if wanted.as_ref() == Some(row) && shows && stayed && self.overlays.is_empty() {
            return self.go_to_parent();
        }
        Vec::new()
    }

    /// What one can go to by its name: mappings, codes of errors, rows that fail.
    pub(super) fn things(&self) -> Vec<Thing> {
        let list = |filter: String| Outcome::List { filter, label: None };
        let mappings = self.ctx.mappings().iter().map(|mapping| Thing {
            title: mapping.name.clone(),
            doc: "this mapping: its causes, its last runs, its rules".to_owned(),
            does: Outcome::LookAtMapping(mapping.name.clone()),
        });
        let codes: BTreeSet<&str> = self.errors.items.iter().map(|error| error.code.as_str()).collect();
        let codes = codes.into_iter().map(|code| Thing {
            title: code.to_owned(),
            doc: "the errors with this code".to_owned(),
            does: list(format!("code:{code}")),
        });
        let rows = self.errors.items.iter().filter_map(|error| {
            let name = self.errors.words_of(error).map_or("", |words| words.name.as_str());
            Some(Thing {
                title: format!("{} {}", error.mapping, error.row_id?),
                doc: format!("{name} · {}", error.code).trim_start_matches(" · ").to_owned(),
                does: Outcome::OpenRow(error.row()?),
            })
        });
        mappings.chain(codes).chain(rows.take(THINGS)).collect()
    }

    // ---- what became of it ---------------------------------------------------------------------------------------

    /// What is asked for is about errors as they are now.
    pub(super) fn note_begun(&mut self, effects: &[Effect]) {
        for effect in effects {
            let row = if let Effect::Save(edit) = effect { Some(&edit.row) } else { effect.sends() };
            let id = match effect {
                Effect::Plan { chosen: Targets::Ids(ids), .. } if ids.len() == 1 => ids.first(),
                _ => None,
            };
            let of_row = |error: &SyncError| row.is_some() && error.row().as_ref() == row;
            if row.is_some() || id.is_some() {
                self.errors.begin_line(|error| id == Some(&error.id) || of_row(error));
            }
        }
    }

    /// A row was sent: its line stays, and its answer is looked for.
    pub(super) fn line_sent(&mut self, row: &RowRef) {
        let of_row = |error: &&SyncError| error.row_id == Some(row.row) && error.table == row.table;
        if let Some(id) = self.errors.items.iter().find(of_row).map(|error| error.id) {
            self.errors.keep_line(id, Answer::Waiting, self.ctx.now);
        }
    }

    /// Asks what became of lines that were sent.
    pub(super) fn load_answers(&mut self) -> Option<Effect> {
        let sent = self.errors.unanswered();
        (!sent.is_empty() && self.inflight.answers.start()).then_some(Effect::LoadAnswers(sent))
    }

    pub(super) fn answers_came(&mut self, result: Result<Vec<(i64, Answer)>, ClientError>) -> Vec<Effect> {
        let again = self.inflight.answers.finish();
        if let Ok(answers) = result {
            self.errors.answered(&answers, self.ctx.now);
        }
        if again { self.load_answers().into_iter().collect() } else { Vec::new() }
    }

    /// Asks what became of the rows of the operation that is told of on top.
    pub(super) fn load_tally(&mut self) -> Option<Effect> {
        if self.ctx.database.lost.is_some() || self.inflight.tally.is_under_way() {
            return None;
        }
        let (operation, later) = match self.overlays.last()? {
            Overlay::Report(view) => view.uncounted()?,
            Overlay::AuditLog(audit) => audit.uncounted()?,
            _ => return None,
        };
        self.inflight.tally.start().then_some(Effect::LoadTally { operation, later })
    }

    /// They were counted; where that failed, it is tried again while they show.
    pub(super) fn tallied(&mut self, operation: i64, result: Result<Tally, ClientError>) {
        self.inflight.tally.finish();
        let tally = result.ok();
        for overlay in &mut self.overlays {
            match overlay {
                Overlay::Report(view) => view.take(operation, tally),
                Overlay::AuditLog(audit) => audit.take(operation, tally),
                _ => {}
            }
        }
    }

    /// Asks what the rows of the errors in sight say.
    pub(super) fn load_words(&mut self) -> Option<Effect> {
        if self.ctx.list != Pane::Errors
            || self.ctx.database.lost.is_some()
            || self.inflight.words.is_under_way()
        {
            return None;
        }
        let errors = self.errors.wordless(super::layout::page(&self.ctx, Pane::Errors) + 1);
        (!errors.is_empty() && self.inflight.words.start()).then_some(Effect::LoadWords(errors))
    }

    pub(super) fn words_came(&mut self, asked: &[SyncError], result: Result<Vec<Summary>, ClientError>) {
        match result {
            Ok(words) => self.errors.take_words(asked, words),
            Err(_) => self.errors.words_refused(),
        }
    }

    /// Asks which records the lookup may name that is being typed: one search at a time, so that a fast typist starts few.
    pub(super) fn find_parents(&mut self) -> Option<Effect> {
        if self.ctx.database.lost.is_some() || self.inflight.parents.is_under_way() {
            return None;
        }
        let Some(Overlay::Editor(editor)) = self.overlays.last_mut() else { return None };
        let effect = editor.find_parents()?;
        self.inflight.parents.start().then_some(effect)
    }

    pub(super) fn parents_came(
        &mut self,
        column: &str,
        text: &str,
        found: Result<NamedRecords, ClientError>,
    ) {
        self.inflight.parents.finish();
        if let Some(Overlay::Editor(editor)) = self.overlays.last_mut() {
            editor.take_parents(column, text, found.map_err(|refused| one_line(&refused.to_string())));
        }
    }

    /// The record that shows may be of another cause than the one that was counted.
    pub(super) fn count_other_cause(&mut self) -> Option<Effect> {
        let error = self.selection.record.as_ref()?.view.as_ref()?.error.as_ref()?;
        let known = self.errors.cause.as_ref().is_some_and(|(group, _)| *group == error.group);
        if known { None } else { self.count_cause() }
    }

    /// Asks how many errors have the cause of the open record's.
    pub(super) fn count_cause(&mut self) -> Option<Effect> {
        let error = self.selection.record.as_ref()?.view.as_ref()?.error.as_ref()?;
        let group = error.group.clone();
        (!group.is_empty() && self.inflight.cause.start()).then_some(Effect::CountCause(group))
    }

    pub(super) fn cause_counted(&mut self, group: String, result: Result<Count, ClientError>) -> Vec<Effect> {
        let again = self.inflight.cause.finish();
        if let Ok(count) = result {
            self.errors.cause = Some((group, count));
        }
        if again { self.count_cause().into_iter().collect() } else { Vec::new() }
    }
}
