//! What the app does with an answer: of a list, a record, trends or health. What it is about may be gone by then.

use std::time::Duration;

use super::App;
use super::update::one_line;
use crate::client::api::{ClientError, Count, ErrorPage};
use crate::console::context::Tone;
use crate::console::effect::Effect;
use crate::console::overlays::Overlay;
use crate::console::pane::Pane;
use crate::console::panes::record::SendStatus;
use crate::console::widgets::cursor::Step;
use crate::domain::changes::pending::Pending;
use crate::domain::errors::summary::Blocked;
use crate::domain::health::review::Health;
use crate::domain::names::RowRef;
use crate::domain::records::record::RecordView;
use crate::domain::reports::overview::Overview;
use crate::domain::reports::trend::{ErrorShare, Trend};

/// Said once of a database that Heroku Connect keeps.
const ATTACHED: &str = "attached to Heroku Connect: what you do here is in no audit, and cannot be undone";

impl App {
    pub(super) fn rights_came(&mut self, result: Result<Option<String>, ClientError>) {
        if let Ok(Some(why)) = result {
            self.ctx.read_only = true;
            let why = format!("read-only: {}", one_line(&why));
            self.say(Tone::Neutral, why.clone());
            self.ctx.why_read_only = Some(why);
        }
    }

    pub(super) fn overview_came(&mut self, result: Result<Overview, ClientError>) -> Vec<Effect> {
        self.ctx.database.owed_since = None;
        let told = result.is_ok();
        match result {
            Ok(overview) => {
                self.ctx.database.told_at = Some(self.ctx.now);
                self.mappings.cursor.step(Step::Lines(0), overview.mappings.len());
                let is_first = self.ctx.overview.replace(overview).is_none();
                if is_first && self.ctx.is_attached() && !self.ctx.read_only {
                    self.say(Tone::Neutral, ATTACHED);
                }
            }
            // It is asked for every few seconds then, and the line above says why it does not come.
            Err(_) if self.ctx.database.lost.is_some() => {}
            Err(refused) => self.say_refused(&refused),
        }
        let again = self.inflight.overview.finish();
        // Nobody need have told that it is back; what was asked for before it went tells nothing.
        if self.ctx.database.asked_since && told {
            return self.restored();
        }
        if again { self.load_overview() } else { Vec::new() }
    }

    pub(super) fn counted(&mut self, generation: u64, result: Result<Count, ClientError>) -> Vec<Effect> {
        if generation == self.errors.generation {
            self.errors.count = result.ok();
            if let Some(Overlay::Filter(line)) = self.overlays.last_mut().filter(|_| self.errors.is_typed()) {
                line.matching = self.errors.count;
            }
        }
        let again = self.inflight.count.finish();
        // A count of the list before is no count of this one.
        let missing = generation != self.errors.generation && self.errors.count.is_none();
        if again || missing { self.count_errors() } else { Vec::new() }
    }

    pub(super) fn pending_came(
        &mut self,
        append: bool,
        limit: usize,
        result: Result<Vec<Pending>, ClientError>,
    ) -> Vec<Effect> {
        match result {
            Ok(items) => {
                self.pending.take(items, append, limit);
                self.pending.read_at = Some(self.ctx.now);
            }
            Err(refused) => self.pending.refused(one_line(&refused.to_string())),
        }
        if !append && self.inflight.pending.finish() { self.load_pending() } else { Vec::new() }
    }

    pub(super) fn errors_came(
        &mut self,
        generation: u64,
        append: bool,
        result: Result<ErrorPage, ClientError>,
    ) -> Vec<Effect> {
        self.ctx.database.owed_since = None;
        let again = !append && self.inflight.errors.finish();
        let mut effects = Vec::new();
        if generation == self.errors.generation {
            match result {
                Ok(page) => {
                    if !append && self.errors.loses(&page) {
                        return self.load_errors();
                    }
                    let first = self.errors.items.is_empty();
                    self.errors.take(page, append);
                    self.errors.restore();
                    self.errors.read_at = Some(self.ctx.now);
                    self.list_went_on();
                    if !append {
                        effects.extend(self.load_blocked());
                    }
                    // A page may end before it is full: rows show as they are found.
                    effects.extend(self.errors.want_more());
                    if first && !self.errors.items.is_empty() {
                        effects.extend(self.debounce());
                    }
                    effects.extend(self.list_came());
                }
                Err(refused) => {
                    self.errors.refusal = Some(refused.to_string());
                    self.errors.more = false;
                }
            }
        }
        if again || (!append && generation != self.errors.generation) {
            effects.extend(self.load_errors());
        }
        effects
    }

    /// The rows came that wait for those of unfolded lines.
    pub(super) fn blocked_came(&mut self, result: Result<Vec<(i64, Blocked)>, ClientError>) -> Vec<Effect> {
        let again = self.inflight.blocked.finish();
        match result {
            Ok(came) => {
                self.errors.take_blocked(came);
                self.settle(Pane::Errors);
                self.list_went_on();
            }
            // What shows stays, and the line above says that PostgreSQL is away.
            Err(_) if self.ctx.database.lost.is_some() => {}
            Err(refused) => self.say_refused(&refused),
        }
        if again { self.load_blocked().into_iter().collect() } else { Vec::new() }
    }

    /// The end of the list came, or what stands before what is known of it.
    pub(super) fn backwards_came(
        &mut self,
        generation: u64,
        end: bool,
        result: Result<ErrorPage, ClientError>,
    ) -> Vec<Effect> {
        if generation != self.errors.generation {
            return Vec::new();
        }
        match result {
            Ok(page) if end => {
                if !self.errors.take_end(page) {
                    self.say(Tone::Neutral, "the end was not found in time; the same key looks again");
                }
            }
            Ok(page) => self.errors.take_before(page),
            Err(refused) => {
                self.errors.more = false;
                self.say_refused(&refused);
                return Vec::new();
            }
        }
        self.settle(Pane::Errors);
        if end { self.debounce().into_iter().collect() } else { Vec::new() }
    }

    pub(super) fn trends_came(
        &mut self,
        minutes: u32,
        result: Result<(Vec<Trend>, Option<Vec<ErrorShare>>), ClientError>,
    ) {
        let (trends, shares) = match result {
            Ok(came) => came,
            // Asked for every few seconds: what was last known stays, and the line above says that PostgreSQL is away.
            Err(_) if self.ctx.database.lost.is_some() => return,
            Err(refused) => {
                let why = one_line(&refused.to_string());
                match self.overlays.last_mut() {
                    Some(Overlay::Trends(pictures)) => pictures.refusal = Some(why),
                    _ => self.say(Tone::Bad, why),
                }
                return;
            }
        };
        let Some(shares) = shares else {
            self.mappings.trends = trends;
            return;
        };
        for overlay in &mut self.overlays {
            if let Overlay::Trends(pictures) = overlay
                && pictures.minutes() == minutes
            {
                return pictures.take(trends, shares);
            }
        }
    }

    pub(super) fn health_came(&mut self, span: Duration, result: Result<Health, ClientError>) {
        let shown = self.overlays.iter_mut().rev().find_map(|overlay| match overlay {
            Overlay::Health(view) => Some(view),
            _ => None,
        });
        let Some(view) = shown.filter(|view| view.span() == span) else { return };
        match result {
            Ok(health) => view.take(health),
            // What was last known stays, and the line above says that PostgreSQL is away.
            Err(_) if self.ctx.database.lost.is_some() && view.health.is_some() => view.answered(),
            Err(refused) => view.refuse(one_line(&refused.to_string())),
        }
    }

    pub(super) fn record_came(
        &mut self,
        row: &RowRef,
        result: Result<RecordView, ClientError>,
    ) -> Vec<Effect> {
        self.ctx.database.owed_since = None;
        let again = self.inflight.record.finish();
        let latest = self.inflight.awaits_answer;
        let now = self.ctx.now;
        let mut effects = Vec::new();
        let mut answer = None;
        match self.selection.record_of(row) {
            Some(pane) => match result {
                Ok(view) => {
                    if pane.view.as_ref() != Some(&view) {
                        effects.extend(pane.forget_lazy());
                    }
                    if pane.outdates(&view) {
                        effects.push(Effect::FetchValues(row.clone()));
                    }
                    // One that was asked for before the last save says nothing about it.
                    if pane.take(view, now, latest) {
                        answer = pane.answer.clone();
                        effects.push(Effect::FetchValues(row.clone()));
                    }
                }
                // What was seen of it stays, with the time of that.
                Err(refused) => pane.refusal = Some(one_line(&refused.to_string())),
            },
            // Another one was opened meanwhile.
            None => effects.extend(self.load_record()),
        }
        match answer {
            Some(SendStatus::Accepted { .. }) => {
                self.say(Tone::Good, format!("Salesforce took {}", self.ctx.row_name(row)))
            }
            Some(SendStatus::Rejected { .. }) => {
                self.say(Tone::Bad, format!("{} was rejected again", self.ctx.row_name(row)))
            }
            Some(SendStatus::Settled { .. }) => {
                self.say(Tone::Neutral, format!("{} is no longer to be sent", self.ctx.row_name(row)))
            }
            _ => {}
        }
        effects.extend(self.count_other_cause());
        effects.extend(self.shown());
        if again {
            effects.extend(self.load_record());
        }
        effects
    }

    /// There is nothing of a row any more: it is not shown as if it stood, nor worked on.
    pub(super) fn record_gone(&mut self, row: &RowRef, why: &str) -> Vec<Effect> {
        self.ctx.database.owed_since = None;
        let again = self.inflight.record.finish();
        let mut effects = Vec::new();
        match self.selection.record_of(row) {
            Some(pane) => (pane.refusal, pane.view) = (Some(one_line(why)), None),
            None => effects.extend(self.load_record()),
        }
        effects.extend(self.shown());
        if again {
            effects.extend(self.load_record());
        }
        effects
    }

    /// A record is there, or why it is not: what waited for it goes on.
    pub(super) fn shown(&mut self) -> Vec<Effect> {
        let mut effects = self.opened();
        effects.extend(self.awaited_came());
        effects
    }

    /// A save or a retry was taken, or refused.
    pub(super) fn sent(&mut self, row: &RowRef, refusal: Option<String>, words: &str) -> Vec<Effect> {
        let now = self.ctx.now;
        match refusal {
            Some(text) => self.say(Tone::Bad, one_line(&text)),
            None => {
                self.say(Tone::Neutral, format!("{}: {words}", self.ctx.row_name(row)));
                self.line_sent(row);
                if let Some(pane) = self.selection.record_of(row) {
                    pane.await_answer(now);
                }
            }
        }
        let mut effects = self.load_record();
        effects.extend(self.load_errors());
        effects.extend(self.load_answers());
        effects
    }
}
