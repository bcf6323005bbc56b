//! What each message does to the model, and what is to be done about it. Pure.

use crossterm::event::{KeyEvent, KeyEventKind};

use crate::domain::act;
use crate::domain::catalogue;
use crate::domain::group::Group;
use crate::domain::names::RowRef;
use crate::domain::overview::MappingStatus;
use crate::domain::record::{Edit, FieldEdit};
use crate::engine::handle::Event;

use super::command::{self, Id};
use super::effect::Effect;
use super::keys;
use super::model::{Model, Pane, Tone};
use super::msg::Msg;
use super::overlays::{Acts, Choice, Overlay};
use super::panes::edit::Editor;
use super::panes::record::{Answer, Remote};
use super::view;
use super::widgets::cursor::Step;
use super::widgets::input::Input;

/// Changes the model; returns what is to be done.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    if !matches!(msg, Msg::Tick(_)) {
        model.dirty = true;
    }
    match msg {
        Msg::Key(key) if key.kind == KeyEventKind::Release => Vec::new(),
        Msg::Key(key) => model.key(key),
        Msg::Paste(text) => model.paste(&text),
        Msg::Resize(columns, lines) => {
            model.size = (columns, lines);
            vec![Effect::Redraw]
        }
        Msg::Tick(now) => model.tick(now),
        Msg::Event(event) => model.event(event),
        Msg::Overview(result) => {
            match result {
                Ok(overview) => {
                    model.mappings.cursor.step(Step::Lines(0), overview.mappings.len());
                    model.overview = Some(overview);
                }
                Err(refused) => model.say(Tone::Bad, one_line(&refused.0)),
            }
            if model.overview_flight.land() { model.load_overview() } else { Vec::new() }
        }
        Msg::Errors { generation, append, result } => model.errors_came(generation, append, result),
        Msg::Groups { filter, result } => model.groups_came(&filter, result),
        Msg::Record { row, result } => model.record_came(&row, *result),
        Msg::Values { row, result } => {
            if let Some(pane) = model.record.as_mut().filter(|pane| pane.row == row) {
                pane.remote = match result {
                    Ok(values) => Remote::Known(values),
                    Err(refused) => Remote::Refused(one_line(&refused.0)),
                };
            }
            Vec::new()
        }
        Msg::Saved { row, result } => {
            model.sent(&row, result.err().map(|refused| refused.0), "saved, sending ...")
        }
        Msg::Retried { row, result } => {
            model.sent(&row, result.err().map(|refused| refused.0), "sending again ...")
        }
        Msg::Applied { row, result } => {
            let words = result.as_ref().map_or(String::new(), |done| format!("{done}; sending ..."));
            model.sent(&row, result.err().map(|refused| refused.0), &words)
        }
        Msg::Changed(result) => {
            match result {
                Ok(done) => model.say(Tone::Good, done),
                Err(refused) => model.say(Tone::Bad, one_line(&refused.0)),
            }
            model.load_overview()
        }
        Msg::Planned(result) => model.planned(result),
        Msg::Progress(progress) => {
            model.progressed(progress);
            Vec::new()
        }
        Msg::Reported { text, result } => model.reported(text, result),
        Msg::Acts(Ok(acts)) => {
            model.overlays.push(Overlay::Acts(Acts::new(acts)));
            Vec::new()
        }
        Msg::Act(Ok(entries)) => {
            model.overlays.extend(Choice::act(&entries).map(Overlay::Choice));
            Vec::new()
        }
        Msg::Acts(Err(refused)) | Msg::Act(Err(refused)) => {
            model.say(Tone::Bad, one_line(&refused.0));
            Vec::new()
        }
        Msg::Found { text, result } => model.found(&text, result),
        Msg::Linked { row, result } => model.linked(&row, result),
        Msg::Log(result) => {
            if let Ok(records) = result {
                model.log.take(records);
            }
            if model.log_flight.land() { model.load_log() } else { Vec::new() }
        }
    }
}

pub(super) fn one_line(text: &str) -> String {
    text.replace('\n', " · ")
}

impl Model {
    // ---- asking --------------------------------------------------------------------------------------------------

    /// Everything again.
    pub(super) fn refresh(&mut self) -> Vec<Effect> {
        let mut effects = self.load_overview();
        effects.extend(self.load_errors());
        effects.extend(self.load_record());
        effects.extend(self.load_log());
        effects
    }

    pub(super) fn load_overview(&mut self) -> Vec<Effect> {
        if self.overview_flight.take_off() { vec![Effect::LoadOverview] } else { Vec::new() }
    }

    pub(super) fn load_errors(&mut self) -> Vec<Effect> {
        if self.errors_flight.take_off() { vec![self.errors.reload()] } else { Vec::new() }
    }

    fn load_log(&mut self) -> Vec<Effect> {
        if self.log_flight.take_off() { vec![Effect::LoadLog(self.log.newest())] } else { Vec::new() }
    }

    pub(super) fn load_record(&mut self) -> Vec<Effect> {
        let Some(row) = self.record.as_ref().map(|pane| pane.row.clone()) else { return Vec::new() };
        if self.record_flight.take_off() { vec![Effect::LoadRecord(row)] } else { Vec::new() }
    }

    // ---- what comes ----------------------------------------------------------------------------------------------

    fn event(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Overview => self.load_overview(),
            Event::Errors => self.load_errors(),
            Event::Log => self.load_log(),
            Event::Record(row) if self.record.as_ref().is_some_and(|pane| pane.row == row) => {
                self.load_record()
            }
            Event::Record(_) => Vec::new(),
            Event::Lost(why) => {
                self.lost = Some(why);
                Vec::new()
            }
            Event::Restored => {
                self.lost = None;
                self.say(Tone::Good, "PostgreSQL is back");
                self.refresh()
            }
        }
    }

    /// A second went by: drawn only when something that shows depends on it.
    fn tick(&mut self, now: chrono::DateTime<chrono::Utc>) -> Vec<Effect> {
        let minute = |time: chrono::DateTime<chrono::Utc>| time.timestamp() / 60;
        let ages =
            self.record.is_some() || self.errors.items.iter().any(|error| error.next_retry_at.is_some());
        self.dirty |= minute(self.now) != minute(now) || ages;
        self.now = now;
        if self.toast.as_ref().is_some_and(|toast| toast.until <= now) {
            self.toast = None;
            self.dirty = true;
        }
        Vec::new()
    }

    fn errors_came(
        &mut self,
        generation: u64,
        append: bool,
        result: Result<
            (crate::engine::handle::ErrorPage, crate::engine::handle::Count),
            crate::engine::handle::Refused,
        >,
    ) -> Vec<Effect> {
        let again = !append && self.errors_flight.land();
        if generation == self.errors.generation {
            match result {
                Ok(page) => self.errors.take(page, append),
                Err(refused) => {
                    self.errors.refusal = Some(refused.0);
                    self.errors.more = false;
                }
            }
        }
        if again || (!append && generation != self.errors.generation) {
            self.load_errors()
        } else {
            Vec::new()
        }
    }

    fn groups_came(
        &mut self,
        filter: &str,
        result: Result<Vec<Group>, crate::engine::handle::Refused>,
    ) -> Vec<Effect> {
        match result {
            Ok(groups) => match Choice::groups(&groups, filter, |time| self.clock(time)) {
                // Whoever went elsewhere meanwhile is not interrupted.
                Some(choice) if self.overlays.is_empty() => self.overlays.push(Overlay::Choice(choice)),
                Some(_) => {}
                None => self.say(Tone::Neutral, "there are no errors to group"),
            },
            Err(refused) => self.say(Tone::Bad, one_line(&refused.0)),
        }
        Vec::new()
    }

    fn record_came(
        &mut self,
        row: &RowRef,
        result: Result<crate::domain::record::RecordView, crate::engine::handle::Refused>,
    ) -> Vec<Effect> {
        let again = self.record_flight.land();
        let now = self.now;
        let mut effects = Vec::new();
        let mut answer = None;
        match self.record.as_mut().filter(|pane| pane.row == *row) {
            Some(pane) => match result {
                Ok(view) => {
                    if pane.take(view, now) {
                        answer = pane.answer.clone();
                        effects.push(Effect::FetchValues(row.clone()));
                    }
                }
                Err(refused) => pane.refusal = Some(one_line(&refused.0)),
            },
            // Another one was opened meanwhile.
            None => effects.extend(self.load_record()),
        }
        match answer {
            Some(Answer::Accepted { .. }) => {
                self.say(Tone::Good, format!("Salesforce took {} {}", row.table, row.row))
            }
            Some(Answer::Rejected { .. }) => {
                self.say(Tone::Bad, format!("{} {} was rejected again", row.table, row.row))
            }
            _ => {}
        }
        if again {
            effects.extend(self.load_record());
        }
        effects
    }

    /// A save or a retry was taken, or refused.
    pub(super) fn sent(&mut self, row: &RowRef, refusal: Option<String>, words: &str) -> Vec<Effect> {
        let now = self.now;
        match refusal {
            Some(text) => self.say(Tone::Bad, one_line(&text)),
            None => {
                self.say(Tone::Neutral, format!("{} {}: {words}", row.table, row.row));
                if let Some(pane) = self.record.as_mut().filter(|pane| pane.row == *row) {
                    pane.answer = Some(Answer::Sending { since: now });
                }
            }
        }
        let mut effects = self.load_record();
        effects.extend(self.load_errors());
        effects
    }

    // ---- keys ----------------------------------------------------------------------------------------------------

    fn key(&mut self, key: KeyEvent) -> Vec<Effect> {
        let name = keys::name(key);
        match name.as_str() {
            "C-c" => return vec![Effect::Quit],
            "C-z" => return vec![Effect::Suspend],
            "C-l" => return vec![Effect::Redraw],
            _ => {}
        }
        if let Some(overlay) = self.overlays.pop() {
            return self.overlay_key(overlay, key);
        }
        let Some(command) = command::find(self.focus, &name) else { return Vec::new() };
        if let Some(reason) = command.disabled(self) {
            self.say(Tone::Neutral, reason);
            return Vec::new();
        }
        self.toast = None;
        self.perform(command.id)
    }

    fn perform(&mut self, id: Id) -> Vec<Effect> {
        match id {
            Id::Down => self.step(Step::Lines(1)),
            Id::Up => self.step(Step::Lines(-1)),
            Id::PageDown => self.step(Step::Lines(self.page())),
            Id::PageUp => self.step(Step::Lines(-self.page())),
            Id::Top => self.step(Step::First),
            Id::Bottom => self.step(Step::Last),
            Id::NextPane => self.go(self.neighbour(1)),
            Id::PreviousPane => self.go(self.neighbour(Pane::ALL.len() - 1)),
            Id::Mappings => self.go(Pane::Mappings),
            Id::Errors => self.go(Pane::Errors),
            Id::Record => self.go(Pane::Record),
            Id::Log => self.go(Pane::Log),
            Id::Open => self.open(),
            Id::Edit => self.edit(),
            Id::Retry => self.retry(),
            Id::Mark => self.mark(),
            Id::MarkAll => self.mark_all(),
            Id::Fix => self.ask_fix(),
            Id::Revert => self.plan(act::Deed::Revert),
            Id::Ignore => self.plan(act::Deed::Ignore),
            Id::Export => self.ask_export(),
            Id::Mend => self.mend(),
            Id::Sides => self.sides(),
            Id::Save => self.save_kept(),
            Id::Undo => vec![Effect::UndoLast],
            Id::Audit => vec![Effect::LoadActs],
            Id::Find => self.ask_find(),
            Id::Remedy => self.remedy(),
            Id::Groups => vec![Effect::LoadGroups(self.errors.filter.clone())],
            Id::Strategy => self.strategy(),
            Id::Writes => self.writes(),
            Id::Filter => self.filter(),
            Id::Follow => {
                self.log.follow(!self.log.following);
                Vec::new()
            }
            Id::Explain => self.explain(),
            Id::Copy => self.copy(),
            Id::Zoom => {
                self.zoom = !self.zoom;
                Vec::new()
            }
            Id::Refresh => {
                let row = self.record.as_ref().map(|pane| pane.row.clone());
                let mut effects = self.refresh();
                effects.extend(row.map(Effect::FetchValues));
                self.say(Tone::Neutral, "reading everything again");
                effects
            }
            Id::Help => {
                self.overlays.push(Overlay::Help { pane: self.focus, top: 0 });
                Vec::new()
            }
            Id::Back => self.back(),
            Id::Quit | Id::ForceQuit => vec![Effect::Quit],
            Id::Redraw => vec![Effect::Redraw],
            Id::Suspend => vec![Effect::Suspend],
        }
    }

    fn page(&self) -> isize {
        isize::try_from(view::page(self, self.focus)).unwrap_or(10)
    }

    /// The pane `by` places on. The record is left out while none is open.
    fn neighbour(&self, by: usize) -> Pane {
        let mut at = self.focus.number() - 1;
        loop {
            at = (at + by) % Pane::ALL.len();
            if Pane::ALL[at] != Pane::Record || self.record.is_some() {
                return Pane::ALL[at];
            }
        }
    }

    fn go(&mut self, pane: Pane) -> Vec<Effect> {
        self.focus = pane;
        Vec::new()
    }

    fn step(&mut self, step: Step) -> Vec<Effect> {
        match self.focus {
            Pane::Mappings => {
                let len = self.overview.as_ref().map_or(0, |overview| overview.mappings.len());
                self.mappings.cursor.step(step, len);
            }
            Pane::Errors => {
                self.errors.touched = true;
                self.errors.cursor.step(step, self.errors.items.len());
                return self.errors.want_more().into_iter().collect();
            }
            Pane::Record => {
                if let Some(pane) = &mut self.record {
                    let len = pane.view.as_ref().map_or(0, |view| view.values.len());
                    pane.cursor.step(step, len);
                }
            }
            Pane::Log => self.log.step(step),
        }
        Vec::new()
    }

    fn open(&mut self) -> Vec<Effect> {
        if self.focus == Pane::Mappings {
            let Some(filter) = self.mapping().map(|mapping| format!("mapping:{}", mapping.name)) else {
                return Vec::new();
            };
            self.focus = Pane::Errors;
            return self.list(&filter);
        }
        let Some(error) = self.errors.selected() else { return Vec::new() };
        let Some(row) = error.row() else {
            let text = format!("{}: {}", error.code, error.message);
            self.say(Tone::Neutral, one_line(&text));
            return Vec::new();
        };
        self.errors.touched = true;
        self.open_row(row)
    }

    pub(super) fn list(&mut self, filter: &str) -> Vec<Effect> {
        let effect = self.errors.set_filter(filter);
        // The list under way is of the old filter; the new one is asked for when it is back.
        if self.errors_flight.take_off() { vec![effect] } else { Vec::new() }
    }

    fn edit(&mut self) -> Vec<Effect> {
        if let Some(pane) = &self.record
            && let Some((field, value)) = pane.selected().cloned()
        {
            let kept = pane.kept(&field.column).cloned();
            self.overlays.push(Overlay::Edit(Editor::new(pane.row.clone(), field, value, kept)));
        }
        Vec::new()
    }

    /// Saves an edit together with the changes that were kept.
    pub(super) fn save(&mut self, mut edit: Edit) -> Vec<Effect> {
        if let Some(pane) = &mut self.record {
            let kept = pane.take_kept();
            let others =
                kept.into_iter().filter(|kept| edit.fields.iter().all(|own| own.column != kept.column));
            let others: Vec<FieldEdit> = others.collect();
            edit.fields.extend(others);
        }
        vec![Effect::Save(edit)]
    }

    fn save_kept(&mut self) -> Vec<Effect> {
        let Some(row) = self.record.as_ref().map(|pane| pane.row.clone()) else { return Vec::new() };
        self.save(Edit { row, fields: Vec::new(), retry: true })
    }

    fn retry(&mut self) -> Vec<Effect> {
        if self.focus == Pane::Errors && self.errors.any_marked() {
            return self.plan(act::Deed::Retry);
        }
        let row = match self.focus {
            Pane::Record => self.record.as_ref().map(|pane| pane.row.clone()),
            _ => self.errors.selected().and_then(crate::domain::sync_error::SyncError::row),
        };
        row.map(Effect::Retry).into_iter().collect()
    }

    fn remedy(&mut self) -> Vec<Effect> {
        let choice = self.record.as_ref().and_then(Choice::remedies);
        self.overlays.extend(choice.map(Overlay::Choice));
        Vec::new()
    }

    /// The selected mapping.
    pub(super) fn mapping(&self) -> Option<&MappingStatus> {
        self.overview.as_ref()?.mappings.get(self.mappings.cursor.at)
    }

    fn strategy(&mut self) -> Vec<Effect> {
        let choice = self.mapping().map(Choice::strategies);
        self.overlays.extend(choice.map(Overlay::Choice));
        Vec::new()
    }

    fn writes(&mut self) -> Vec<Effect> {
        let off = |mapping: &MappingStatus| ["paused", "stopped"].contains(&mapping.state.as_str());
        let effect =
            |mapping: &MappingStatus| Effect::Writes { mapping: mapping.name.clone(), on: off(mapping) };
        self.mapping().map(effect).into_iter().collect()
    }

    fn filter(&mut self) -> Vec<Effect> {
        let (pane, text) = match self.focus {
            Pane::Log => (Pane::Log, &self.log.filter),
            _ => (Pane::Errors, &self.errors.filter),
        };
        self.overlays.push(Overlay::Filter { pane, input: Input::new(text), complaint: None });
        self.focus = pane;
        Vec::new()
    }

    /// What the selected line of the log speaks of, in the last line.
    fn explain(&mut self) -> Vec<Effect> {
        let entry = self.log.selected().and_then(|record| {
            let code = record.fields.get("code").and_then(serde_json::Value::as_str);
            catalogue::of_log(code, &record.message)
        });
        match entry {
            Some(entry) => {
                let remedy = entry.remedies.first().map_or("", |remedy| remedy.text.as_str());
                let remedy = remedy.replace("{field}", "the field");
                self.say(Tone::Neutral, format!("{}. {} → {remedy}", entry.title, entry.cause));
            }
            None => self.say(Tone::Neutral, "the catalogue has nothing to say about this line"),
        }
        Vec::new()
    }

    fn copy(&mut self) -> Vec<Effect> {
        let text = match self.focus {
            Pane::Mappings => self.mapping().map(|mapping| mapping.name.clone()),
            Pane::Errors => self.errors.selected().map(|error| format!("{}: {}", error.code, error.message)),
            Pane::Record => self.record.as_ref().and_then(|pane| pane.selected()?.1.clone()),
            Pane::Log => self.log.selected().map(crate::logs::line::logfmt),
        };
        let Some(text) = text else {
            self.say(Tone::Neutral, "nothing to copy here");
            return Vec::new();
        };
        self.say(Tone::Good, format!("copied: {text}"));
        vec![Effect::Copy(text)]
    }

    /// One step back: out of the zoom, to the list, out of the filter.
    fn back(&mut self) -> Vec<Effect> {
        if self.zoom {
            self.zoom = false;
            return Vec::new();
        }
        match self.focus {
            Pane::Record if self.record.as_mut().is_some_and(|pane| !pane.leave()) => {
                self.say(
                    Tone::Neutral,
                    "changed fields are not saved: Ctrl-S saves and sends, Esc throws them away",
                );
                Vec::new()
            }
            Pane::Record => self.go(Pane::Errors),
            Pane::Errors if self.errors.any_marked() => {
                self.errors.unmark();
                Vec::new()
            }
            Pane::Errors if !self.errors.filter.is_empty() => self.list(""),
            Pane::Errors => self.go(Pane::Mappings),
            Pane::Log if !self.log.filter.is_empty() => {
                let _ = self.log.set_filter("");
                Vec::new()
            }
            Pane::Log => self.go(Pane::Errors),
            Pane::Mappings => {
                self.say(Tone::Neutral, "q leaves the console");
                Vec::new()
            }
        }
    }
}
