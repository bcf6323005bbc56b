//! Acts on many errors, as keys ask for them: marks, the change to make, what it would do, the question, the way it
//! goes, what it came to; and the way back.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent};

use crate::client::handle::{Count, Refused};
use crate::client::operations::execute::{Chosen, Plan};
use crate::client::row::Linked;
use crate::domain::act::{Came, Confirm, Deed, How, Progress, Report};
use crate::domain::names::RowRef;
use crate::domain::record::Hit;

use super::effect::Effect;
use super::model::{Model, Pane, Tone};
use super::overlays::{
    About, Answered, Ask, Choice, Decided, EACH, Looked, Overlay, Picked, Question, Sides, Verb, Working,
    suggestions,
};
use super::update::one_line;
use super::widgets::cells::count;
use super::widgets::cursor::Step;

impl Model {
    /// Which errors an act is about: what is marked, else the selected one, or that of the open record.
    pub(super) fn chosen(&self) -> Option<(Chosen, String)> {
        self.chosen_in(self.focus)
    }

    /// The same, if that pane had the keys.
    pub(super) fn chosen_in(&self, pane: Pane) -> Option<(Chosen, String)> {
        if pane == Pane::Record {
            let error = self.record.as_ref()?.view.as_ref()?.error.as_ref()?;
            return Some((Chosen::Ids(vec![error.id]), format!("{} {}", error.table, error.row_id?)));
        }
        if self.errors.all {
            return Some((Chosen::Filter(self.errors.asked_filter()), format!("all {}", self.how_many())));
        }
        if !self.errors.marked.is_empty() {
            let ids: Vec<i64> = self.errors.marked.iter().copied().collect();
            let text = if ids.len() == 1 { "1 error".to_owned() } else { format!("{} errors", ids.len()) };
            return Some((Chosen::Ids(ids), text));
        }
        let error = self.errors.selected()?;
        let row = error.row_id?;
        Some((Chosen::Ids(vec![error.id]), format!("{} {row}", error.table)))
    }

    /// How many errors the list has, in words.
    fn how_many(&self) -> String {
        match self.errors.count {
            Some(Count { matching, capped: true }) => format!("more than {} errors", count(matching, 0)),
            Some(Count { matching, .. }) => format!("{} errors", count(matching, 0)),
            None => "errors that match".to_owned(),
        }
    }

    /// Marks the selected error, or takes the mark away, and goes on to the next.
    pub(super) fn mark(&mut self) -> Vec<Effect> {
        if std::mem::take(&mut self.errors.all) {
            self.say(Tone::Neutral, "nothing is marked any more");
            return Vec::new();
        }
        if let Some(id) = self.errors.selected().map(|error| error.id)
            && !self.errors.marked.remove(&id)
        {
            self.errors.marked.insert(id);
        }
        self.step(Step::Lines(1))
    }

    /// Marks all that the filter matches, or takes all marks away.
    pub(super) fn mark_all(&mut self) -> Vec<Effect> {
        self.errors.all = !self.errors.all && self.errors.marked.is_empty();
        self.errors.marked.clear();
        Vec::new()
    }

    /// Looks at what an act on the chosen errors would do.
    pub(super) fn plan(&mut self, deed: Deed) -> Vec<Effect> {
        match self.chosen() {
            Some((chosen, _)) => self.look_first(Effect::Plan { chosen, deed }),
            None => Vec::new(),
        }
    }

    /// Looks at what an act would do; one at a time, so that a key pressed twice does nothing twice.
    pub(super) fn look_first(&mut self, plan: Effect) -> Vec<Effect> {
        if std::mem::replace(&mut self.planning, true) {
            self.say(Tone::Neutral, "still looking at what the act before would do ...");
            return Vec::new();
        }
        let undoes = matches!(plan, Effect::UndoLast | Effect::Plan { deed: Deed::Undo(_), .. });
        self.errors.acted = !undoes && self.focus == Pane::Errors && self.errors.any_marked();
        self.wait_for("looking at what it would do", plan)
    }

    /// Asks what is to become of a field of the chosen errors' rows.
    pub(super) fn ask_fix(&mut self) -> Vec<Effect> {
        let Some((chosen, count)) = self.chosen() else { return Vec::new() };
        let first = match &chosen {
            Chosen::Ids(ids) => self.errors.items.iter().find(|error| ids.contains(&error.id)),
            Chosen::Filter(_) => self.errors.items.first(),
        };
        let suggestions = suggestions(first);
        self.ask_of_fix(chosen, count, suggestions)
    }

    /// Asks for the change, and for how many rows there is a remedy of their own.
    fn ask_of_fix(&mut self, chosen: Chosen, count: String, suggestions: Vec<String>) -> Vec<Effect> {
        let about = About::Fix { chosen: chosen.clone(), count };
        self.overlays.push(Overlay::Ask(Ask::new(about, suggestions)));
        vec![Effect::CountRemedies(chosen)]
    }

    /// So many of the errors' rows have a remedy of their own; told where that is still asked about.
    pub(super) fn remedies_counted(&mut self, of: &Chosen, result: Result<(usize, usize), Refused>) {
        for overlay in &mut self.overlays {
            if let Overlay::Ask(ask) = overlay
                && matches!(&ask.about, About::Fix { chosen, .. } if chosen == of)
            {
                match &result {
                    Ok(passing) => ask.passing = Some(*passing),
                    Err(refused) => ask.complaint = Some(one_line(&refused.0)),
                }
            }
        }
    }

    /// Asks for something that is looked for.
    pub(super) fn ask_find(&mut self) -> Vec<Effect> {
        self.overlays.push(Overlay::Ask(Ask::new(About::Find, Vec::new())));
        Vec::new()
    }

    /// Asks where the list is to be written.
    pub(super) fn ask_export(&mut self) -> Vec<Effect> {
        let filter = self.errors.asked_filter();
        let text = match filter.as_str() {
            "" => self.how_many(),
            filter => format!("{} that match {filter}", self.how_many()),
        };
        let about = About::Export { filter, count: text };
        let names = vec!["errors.csv".to_owned(), "errors.jsonl".to_owned()];
        self.overlays.push(Overlay::Ask(Ask::new(about, names)));
        Vec::new()
    }

    /// Fields that changed on both sides, side by side.
    pub(super) fn sides(&mut self) -> Vec<Effect> {
        let sides = self.record.as_ref().and_then(Sides::of);
        self.overlays.extend(sides.map(Overlay::Sides));
        Vec::new()
    }

    /// Does what the first remedy says that can be done by itself.
    pub(super) fn mend(&mut self) -> Vec<Effect> {
        let choice = self.record.as_ref().and_then(Choice::remedies);
        match choice.and_then(Choice::first) {
            Some(effect) => self.begin_or_ask(effect, None),
            None => Vec::new(),
        }
    }

    /// Something is done with all errors of a cause: they are listed, marked, and it begins.
    pub(super) fn of_cause(&mut self, filter: &str, called: String, verb: Verb) -> Vec<Effect> {
        if self.is_away() {
            return Vec::new();
        }
        let one = self.errors.items.iter().find(|error| filter == format!("group:{}", error.group)).cloned();
        let mut effects = self.drill(filter, Some(called));
        self.errors.all = true;
        self.of_cause = true;
        let chosen = Chosen::Filter(filter.to_owned());
        match verb {
            Verb::Fix => {
                let count = "all errors of this cause".to_owned();
                effects.extend(self.ask_of_fix(chosen, count, suggestions(one.as_ref())));
            }
            Verb::Retry => effects.extend(self.look_first(Effect::Plan { chosen, deed: Deed::Retry })),
            Verb::Revert => effects.extend(self.look_first(Effect::Plan { chosen, deed: Deed::Revert })),
            Verb::Ignore => effects.extend(self.look_first(Effect::Plan { chosen, deed: Deed::Ignore })),
        }
        effects
    }

    /// Asks for something that shows when it comes; until then keys mean nothing.
    pub(super) fn wait_for(&mut self, words: &'static str, effect: Effect) -> Vec<Effect> {
        self.overlays.push(Overlay::Looking(words));
        vec![effect]
    }

    /// Whether what comes is still waited for; it is, once.
    pub(super) fn was_waited_for(&mut self) -> bool {
        let at = self.overlays.iter().position(|overlay| matches!(overlay, Overlay::Looking(_)));
        at.map(|at| self.overlays.remove(at)).is_some()
    }

    /// Looks at what it would be to take an act back.
    fn look_at_undo(&mut self, act: i64) -> Vec<Effect> {
        self.look_first(Effect::Plan { chosen: Chosen::Ids(Vec::new()), deed: Deed::Undo(act) })
    }

    // ---- what comes ----------------------------------------------------------------------------------------------

    /// A plan came: what cannot hurt is done, the rest is asked about.
    pub(super) fn planned(&mut self, result: Result<Arc<Plan>, Refused>) -> Vec<Effect> {
        self.planning = false;
        if !self.was_waited_for() {
            return Vec::new();
        }
        let plan = match result {
            Ok(plan) => plan,
            Err(refused) => {
                self.say(Tone::Bad, one_line(&refused.0));
                return Vec::new();
            }
        };
        self.toast = None;
        let harmless = matches!(plan.deed, Deed::Retry | Deed::Release | Deed::Ignore);
        if harmless && plan.confirm == Confirm::Nothing && self.overlays.is_empty() {
            return self.carry_out(plan, None);
        }
        self.lay(Overlay::Question(Box::new(Question::new(plan))));
        Vec::new()
    }

    fn carry_out(&mut self, plan: Arc<Plan>, why: Option<String>) -> Vec<Effect> {
        self.of_cause = false;
        let progress = Progress { through: 0, total: plan.len() };
        let working = Working { progress, ..Working::begun(plan.deed.text(), self.now) };
        self.overlays.push(Overlay::Working(working));
        vec![Effect::CarryOut { plan, why }]
    }

    /// Begins what was asked about; what takes a while shows how far it is.
    pub(super) fn begin(&mut self, effect: Effect) -> Vec<Effect> {
        match &effect {
            Effect::Repair { verdict, .. } => {
                self.errors.acted = false;
                let working = Working::begun(format!("repair {}", verdict.mapping), self.now);
                self.overlays.push(Overlay::Working(working));
            }
            Effect::Test(Some(name)) => self.say(Tone::Neutral, format!("trying {name} ...")),
            Effect::Test(None) => {
                let working = Working::begun("try all mappings".to_owned(), self.now);
                self.overlays.push(Overlay::Working(working));
            }
            _ => {}
        }
        vec![effect]
    }

    /// How far it is.
    pub(super) fn progressed(&mut self, progress: Progress) {
        for overlay in &mut self.overlays {
            if let Overlay::Working(working) = overlay {
                working.progress = progress;
            }
        }
    }

    /// It is over: one row's answer is awaited where one looks, many are told of in numbers.
    pub(super) fn reported(
        &mut self,
        text: String,
        sends: bool,
        result: Result<Report, Refused>,
    ) -> Vec<Effect> {
        self.overlays.retain(|overlay| !matches!(overlay, Overlay::Working(_)));
        // Marks that it was not about are for the next act, and so are those of one that was refused.
        // What failed stays marked: it is what one looks at next.
        let acted = std::mem::take(&mut self.errors.acted);
        if let Ok(report) = result.as_ref()
            && acted
        {
            self.errors.unmark();
            let failed = report.items.iter().filter(|item| item.result == Came::Failed);
            self.errors.marked.extend(failed.map(|item| item.id));
        }
        match result {
            Err(refused) => self.say(Tone::Bad, one_line(&refused.0)),
            Ok(report) => match report.items.as_slice() {
                [] => self.say(Tone::Neutral, "there was nothing to do"),
                [item] => {
                    let tone = match item.result {
                        Came::Done => Tone::Good,
                        Came::Skipped => Tone::Neutral,
                        Came::Failed => Tone::Bad,
                    };
                    let back = report.act.map(|_| "  (U takes it back)").unwrap_or_default();
                    self.say(tone, format!("{text}: {}{back}", one_line(&item.message)));
                    let now = self.now;
                    // The selection may be on another row by now; the answer is that of the row it was about.
                    let open = self.record.as_mut().filter(|pane| pane.is_of(item.id));
                    if let Some(pane) = open.filter(|_| sends && item.result == Came::Done) {
                        pane.await_answer(now);
                    }
                }
                _ => self.overlays.push(Overlay::Report { text, report: Box::new(report) }),
            },
        }
        let mut effects = self.load_errors();
        effects.extend(self.load_overview());
        effects.extend(self.load_record());
        effects
    }

    /// What linking came to: where another row has the record, that is asked about.
    pub(super) fn linked(&mut self, row: &RowRef, result: Result<Linked, Refused>) -> Vec<Effect> {
        match result {
            Ok(Linked::Done { sfid }) => {
                self.sent(row, None, &format!("it has the record {sfid}; sending ..."))
            }
            Ok(Linked::Taken { sfid, row: other }) => {
                let text = format!(
                    "The record {sfid} belongs to the row {other} of {} already. If both rows are the same thing, the row \
                     {other} is removed here, and its record goes over to the row {}.",
                    row.table, row.row
                );
                let effect = Effect::Link { row: row.clone(), replace: true };
                self.lay(Overlay::sure(text, effect));
                Vec::new()
            }
            Err(refused) => self.sent(row, Some(refused.0), ""),
        }
    }

    /// Rows were found: the only one is opened.
    pub(super) fn found(&mut self, text: &str, result: Result<Vec<Hit>, Refused>) -> Vec<Effect> {
        if !self.was_waited_for() {
            return Vec::new();
        }
        let hits = match result {
            Ok(hits) => hits,
            Err(refused) => {
                self.say(Tone::Bad, one_line(&refused.0));
                return Vec::new();
            }
        };
        match hits.as_slice() {
            [] => {
                self.say(
                    Tone::Neutral,
                    format!("no row has the id, the record id or the external id {text}"),
                );
                Vec::new()
            }
            [hit] if self.overlays.is_empty() => self.open_row(hit.row.clone()),
            hits => {
                if let Some(choice) = Choice::hits(text, hits) {
                    self.lay(Overlay::Choice(choice));
                }
                Vec::new()
            }
        }
    }

    // ---- keys ----------------------------------------------------------------------------------------------------

    /// An act was given up: one that began among the causes leads back there.
    fn gave_up(&mut self) -> Vec<Effect> {
        if !std::mem::take(&mut self.of_cause) {
            return Vec::new();
        }
        self.errors.unmark();
        self.undrill()
    }

    /// A key for one of the overlays of acts.
    pub(super) fn act_key(&mut self, overlay: Overlay, key: KeyEvent) -> Vec<Effect> {
        match overlay {
            Overlay::Ask(ask) => match ask.key(key) {
                Answered::Open(ask) => self.overlays.push(Overlay::Ask(ask)),
                Answered::Left => return self.gave_up(),
                Answered::Entered(About::Find, text) => {
                    return self.wait_for("looking for it", Effect::Find(text));
                }
                Answered::Entered(About::Search, text) => return self.search_log(&text),
                Answered::Entered(About::FilterName { filter }, name) => {
                    return self.keep_filter(&name, filter);
                }
                Answered::Entered(About::KeepLines { .. }, path) => {
                    return vec![Effect::KeepLines { path, kept: self.log.kept() }];
                }
                Answered::Entered(About::Export { filter, .. }, path) => {
                    return vec![Effect::Export { filter, path }];
                }
                Answered::Entered(About::Fix { chosen, .. }, text) if text == EACH => {
                    return self.look_first(Effect::Plan { chosen, deed: Deed::Mend });
                }
                Answered::Entered(About::Fix { chosen, .. }, text) => match How::parse(&text) {
                    Ok((field, how)) => {
                        return self.look_first(Effect::Plan {
                            chosen,
                            deed: Deed::Fix { field, how, retry: true },
                        });
                    }
                    Err(why) => self.say(Tone::Bad, why),
                },
            },
            Overlay::Question(question) => match question.key(key) {
                Decided::Open(question) => self.overlays.push(Overlay::Question(Box::new(question))),
                Decided::Do { plan, why } => return self.carry_out(plan, why),
                Decided::Left => return self.gave_up(),
            },
            Overlay::Working(mut working) => {
                let stop = key.code == KeyCode::Esc && !working.stopping;
                working.stopping |= stop;
                self.overlays.push(Overlay::Working(working));
                return if stop { vec![Effect::Stop] } else { Vec::new() };
            }
            Overlay::Report { text, report } => match (key.code, report.act) {
                (KeyCode::Char('U' | 'u'), Some(act)) => return self.look_at_undo(act),
                (KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q'), _) => {}
                _ => self.overlays.push(Overlay::Report { text, report }),
            },
            Overlay::Acts(acts) => match acts.key(key) {
                Looked::Open(acts) => self.overlays.push(Overlay::Acts(acts)),
                Looked::Undo(_) if self.read_only => self.say(Tone::Neutral, "this console is read-only"),
                Looked::Undo(act) => return self.look_at_undo(act),
                Looked::Rows(act) => return self.wait_for("reading its rows", Effect::LoadAct(act)),
                Looked::Left => {}
            },
            Overlay::Sides(sides) => match sides.key(key) {
                Picked::Open(sides) => self.overlays.push(Overlay::Sides(sides)),
                Picked::Chosen(row, sides) => return vec![Effect::Choose { row, sides }],
                Picked::Left => {}
            },
            Overlay::Sure { text, count, mut typed, effect } => match (key.code, count) {
                (KeyCode::Char('y'), None) => return self.begin(*effect),
                (KeyCode::Enter, Some(count)) if typed == count.to_string() => return self.begin(*effect),
                (KeyCode::Esc, _) | (KeyCode::Char('n'), None) => {}
                (code, _) => {
                    match code {
                        KeyCode::Char(digit) if digit.is_ascii_digit() && typed.len() < 12 => {
                            typed.push(digit)
                        }
                        KeyCode::Backspace => drop(typed.pop()),
                        _ => {}
                    }
                    self.overlays.push(Overlay::Sure { text, count, typed, effect });
                }
            },
            other => self.overlays.push(other),
        }
        Vec::new()
    }
}
