//! What each message does to the model, and what is to be done about it. Pure.

use chrono::{DateTime, Utc};
use crossterm::event::KeyEventKind;

use crate::client::handle::{ErrorPage, Event, Refused};
use crate::domain::group::Group;
use crate::domain::names::RowRef;
use crate::domain::record::RecordView;
use crate::domain::trend::{Share, Trend};

use super::effect::Effect;
use super::model::{Flight, Model, Pane, Tone};
use super::msg::Msg;
use super::overlays::{Acts, Choice, Overlay};
use super::panes::record::{Answer, RecordPane, Remote};
use super::widgets::cursor::Step;

/// Between looks at what is counted and drawn but announced by nobody, in seconds.
const LOOK: i64 = 5;

/// Changes the model; returns what is to be done.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    if !matches!(msg, Msg::Tick(_)) {
        model.dirty = true;
    }
    let mut effects = apply(model, msg);
    effects.extend(model.follow());
    if model.overlays.is_empty() && std::mem::take(&mut model.unfollowed) {
        effects.extend(model.rest());
    }
    // The last word, also where it was learnt only now that nothing may be changed.
    if model.read_only && effects.iter().any(Effect::changes) {
        effects.retain(|effect| !effect.changes());
        model.overlays.retain(|overlay| !matches!(overlay, Overlay::Working(_)));
        if let Some(pane) = &mut model.record {
            pane.saved(false);
        }
        model.say(Tone::Bad, "nothing was changed: this console is read-only");
    }
    model.sending.extend(effects.iter().filter_map(Effect::sends).cloned());
    effects
}

fn apply(model: &mut Model, msg: Msg) -> Vec<Effect> {
    match msg {
        Msg::Key(key) if key.kind == KeyEventKind::Release => Vec::new(),
        Msg::Key(key) => model.key(key),
        Msg::Mouse(event) => model.mouse(event),
        Msg::Paste(text) => model.paste(&text),
        Msg::Resize(columns, lines) => {
            model.size = (columns, lines);
            vec![Effect::Redraw]
        }
        Msg::Tick(now) => model.tick(now),
        Msg::Event(event) => model.event(event),
        Msg::Missed => model.refresh(),
        Msg::Opened => model.start(),
        Msg::Rights(result) => {
            if let Ok(Some(why)) = result {
                model.read_only = true;
                let why = format!("read-only: {}", one_line(&why));
                model.say(Tone::Neutral, why.clone());
                model.why_read_only = Some(why);
            }
            Vec::new()
        }
        Msg::Overview(result) => {
            model.owed_since = None;
            let told = result.is_ok();
            match result {
                Ok(overview) => {
                    model.told_at = Some(model.now);
                    model.mappings.cursor.step(Step::Lines(0), overview.mappings.len());
                    model.overview = Some(overview);
                }
                // It is asked for every few seconds then, and the line above says why it does not come.
                Err(_) if model.lost.is_some() => {}
                Err(refused) => model.say(Tone::Bad, one_line(&refused.0)),
            }
            let again = model.overview_flight.land();
            // Nobody need have told that it is back; what was asked for before it went tells nothing.
            if model.asked_since && told {
                return model.restored();
            }
            if again { model.load_overview() } else { Vec::new() }
        }
        Msg::Errors { generation, append, result } => model.errors_came(generation, append, result),
        Msg::Counted { generation, result } => {
            if generation == model.errors.generation {
                model.errors.count = result.ok();
            }
            if model.count_flight.land() { model.count_errors() } else { Vec::new() }
        }
        Msg::Offers { qualifier, prefix, values } => {
            if let Some(Overlay::Filter(line)) = model.overlays.last_mut() {
                line.take_values(&qualifier, &prefix, values);
            }
            Vec::new()
        }
        Msg::Pending { append, limit, result } => {
            match result {
                Ok(items) => {
                    model.pending.take(items, append, limit);
                    model.pending.read_at = Some(model.now);
                }
                Err(refused) => model.pending.refused(one_line(&refused.0)),
            }
            if !append && model.pending_flight.land() { model.load_pending() } else { Vec::new() }
        }
        Msg::Rested(number) => model.rested(number),
        Msg::Relatives { row, result } => {
            if let Some(pane) = model.record.as_mut().filter(|pane| pane.row == row) {
                pane.relatives.take(result.map_err(|refused| one_line(&refused.0)));
            }
            Vec::new()
        }
        Msg::RecordLog { row, result } => {
            if let Some(pane) = model.record.as_mut().filter(|pane| pane.row == row) {
                pane.lines.take(result.map_err(|refused| one_line(&refused.0)));
            }
            Vec::new()
        }
        Msg::Trends { minutes, result } => {
            model.trends_flight.land();
            model.trends_came(minutes, result);
            Vec::new()
        }
        Msg::Stage(stage) => {
            model.stage(stage);
            Vec::new()
        }
        Msg::Verified(result) => model.verified(result),
        Msg::DryRunDone { mapping, result } => model.tried(&mapping, result),
        Msg::DryRunsDone(result) => model.all_tried(result),
        Msg::Groups { filter, result } => model.groups_came(&filter, result),
        Msg::GroupsRenewed { filter, result } => {
            model.groups_flight.land();
            model.renew_groups(&filter, result);
            Vec::new()
        }
        Msg::Record { row, result } => model.record_came(&row, *result),
        Msg::Gone { row, why } => model.record_gone(&row, &why),
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
            model.saving.retain(|other| *other != row);
            if let Some(pane) = model.record.as_mut().filter(|pane| pane.row == row) {
                pane.saved(result.is_ok());
            }
            model.sent(&row, result.err().map(|refused| refused.0), "saved, sending ...")
        }
        Msg::Retried { row, result } => {
            model.came_of(&row);
            model.sent(&row, result.err().map(|refused| refused.0), "sending again ...")
        }
        Msg::Applied { row, result } => {
            model.came_of(&row);
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
        Msg::Reported { text, sends, result } => model.reported(text, sends, result),
        Msg::Acts(_) | Msg::Act(_) if !model.was_waited_for() => Vec::new(),
        Msg::Acts(Ok(acts)) => {
            model.toast = None;
            model.lay(Overlay::Acts(Acts::new(acts)));
            Vec::new()
        }
        Msg::Act(Ok(entries)) => {
            if let Some(choice) = Choice::act(&entries) {
                model.lay(Overlay::Choice(choice));
            }
            Vec::new()
        }
        Msg::Acts(Err(refused)) | Msg::Act(Err(refused)) => {
            model.say(Tone::Bad, one_line(&refused.0));
            Vec::new()
        }
        Msg::Found { text, result } => model.found(&text, result),
        Msg::Linked { row, result } => {
            model.came_of(&row);
            model.linked(&row, result)
        }
        Msg::Remedies { chosen, result } => {
            model.remedies_counted(&chosen, result);
            Vec::new()
        }
        Msg::Log(result) => {
            model.owed_since = None;
            let more = result.is_ok_and(|records| model.log.take(&records));
            if model.log_flight.land() || more { model.load_log() } else { Vec::new() }
        }
        Msg::Lines(records) => {
            model.log.take(&records);
            Vec::new()
        }
        Msg::OlderLog(result) => {
            match result {
                Ok(records) => model.log.take_older(&records),
                Err(refused) => {
                    model.log.older_refused();
                    model.say(Tone::Bad, one_line(&refused.0));
                }
            }
            Vec::new()
        }
        Msg::Kept(result) => {
            match result {
                Ok(done) => model.say(Tone::Good, done),
                Err(refused) => model.say(Tone::Bad, one_line(&refused.0)),
            }
            Vec::new()
        }
        Msg::LogPreviewed { filter, passing } => {
            model.previewed(&filter, passing);
            Vec::new()
        }
        Msg::LogFiltered { generation, upto, places } => {
            model.log.filtered(generation, upto, places);
            Vec::new()
        }
    }
}

pub(super) fn one_line(text: &str) -> String {
    text.replace('\n', " · ")
}

impl Model {
    /// Puts an answer on top of the panes. Whoever opened something else meanwhile is not interrupted: their next key
    /// would mean another thing.
    pub(super) fn lay(&mut self, answer: Overlay) {
        if self.overlays.is_empty() {
            self.overlays.push(answer);
        } else {
            self.say(Tone::Neutral, "what you asked for is there; close what lies on top, and ask again");
        }
    }

    // ---- asking --------------------------------------------------------------------------------------------------

    /// Everything again.
    pub(super) fn refresh(&mut self) -> Vec<Effect> {
        let mut effects = self.load_overview();
        effects.extend(self.load_errors());
        effects.extend(self.load_record());
        effects.extend(self.load_log());
        effects.extend(self.load_trends());
        if self.list == Pane::Pending {
            effects.extend(self.load_pending());
        }
        effects
    }

    pub(super) fn load_overview(&mut self) -> Vec<Effect> {
        if self.overview_flight.take_off() {
            self.asked_since = self.lost.is_some();
            vec![Effect::LoadOverview]
        } else {
            Vec::new()
        }
    }

    pub(super) fn load_errors(&mut self) -> Vec<Effect> {
        let list = if self.errors_flight.take_off() { Some(self.errors.reload()) } else { None };
        list.into_iter().chain(self.count_errors()).collect()
    }

    /// How many there are: beside the list, which does not wait for it.
    fn count_errors(&mut self) -> Vec<Effect> {
        if self.count_flight.take_off() { vec![self.errors.count()] } else { Vec::new() }
    }

    pub(super) fn load_pending(&mut self) -> Vec<Effect> {
        if self.pending_flight.take_off() { vec![self.pending.reload()] } else { Vec::new() }
    }

    fn load_log(&mut self) -> Vec<Effect> {
        if self.log_flight.take_off() { vec![Effect::LoadLog(self.log.newest())] } else { Vec::new() }
    }

    pub(super) fn load_record(&mut self) -> Vec<Effect> {
        let Some(row) = self.record.as_ref().map(|pane| pane.row.clone()) else { return Vec::new() };
        if !self.record_flight.take_off() {
            return Vec::new();
        }
        self.awaits_answer = self.record.as_ref().is_some_and(RecordPane::awaits_answer);
        vec![Effect::LoadRecord(row)]
    }

    // ---- what comes ----------------------------------------------------------------------------------------------

    fn event(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Overview => self.load_overview(),
            Event::Errors => {
                let mut effects = self.load_errors();
                // A pooler passes no announcement of the row on; an answer that is waited for is looked for now.
                if self.record.as_ref().is_some_and(RecordPane::awaits_answer) {
                    effects.extend(self.load_record());
                }
                if self.list == Pane::Pending {
                    effects.extend(self.load_pending());
                }
                effects
            }
            Event::Log => self.load_log(),
            Event::Record(row) if self.record.as_ref().is_some_and(|pane| pane.row == row) => {
                self.load_record()
            }
            Event::Record(_) => Vec::new(),
            Event::Lost(why) => self.went_away(why),
            Event::Restored => self.restored(),
        }
    }

    /// It is known what came of something that was done to a row and sends it.
    fn came_of(&mut self, row: &RowRef) {
        if let Some(at) = self.sending.iter().position(|other| other == row) {
            self.sending.remove(at);
        }
    }

    /// A second went by: drawn only when something that shows depends on it.
    fn tick(&mut self, now: DateTime<Utc>) -> Vec<Effect> {
        let minute = |time: DateTime<Utc>| time.timestamp() / 60;
        self.dirty |= minute(self.now) != minute(now) && self.settings.clock;
        self.dirty |= self.counts_seconds();
        let flights = [self.overview_flight, self.errors_flight, self.record_flight, self.log_flight];
        let owed = flights.iter().any(Flight::is_under_way);
        self.dirty |= self.unanswered_for().is_some();
        self.owed_since = self.owed_since.or(Some(now)).filter(|_| owed);
        let look = self.now.timestamp() / LOOK != now.timestamp() / LOOK;
        self.now = now;
        if self.toast.as_ref().is_some_and(|toast| toast.until <= now) {
            self.toast = None;
            self.dirty = true;
        }
        if look { self.look() } else { Vec::new() }
    }

    /// Whether something shows that is another one each second.
    fn counts_seconds(&self) -> bool {
        let retries = |error: &crate::domain::sync_error::SyncError| {
            error.next_retry_at.is_some_and(|at| at > self.now)
        };
        let listed = self.list == Pane::Errors && self.errors.items.iter().any(retries);
        let waits = self.list == Pane::Pending && !self.pending.items.is_empty();
        let shown =
            self.record.as_ref().and_then(|pane| pane.view.as_ref()?.error.as_ref()).is_some_and(retries);
        let works = self.overlays.iter().any(|overlay| matches!(overlay, Overlay::Working(_)));
        listed || waits || shown || works
    }

    /// What nobody announces is looked at now and then; where one stands is kept for the next start.
    fn look(&mut self) -> Vec<Effect> {
        let mut effects = self.load_trends();
        effects.extend(self.load_record());
        if self.lost.is_some() {
            effects.extend(self.load_overview());
        }
        match self.overlays.last() {
            Some(Overlay::Trends(trends)) => {
                let minutes = trends.minutes();
                if self.trends_flight.take_off() {
                    effects.push(Effect::LoadTrends { minutes, shares: true });
                }
            }
            Some(Overlay::Choice(choice)) => {
                if let Some(filter) = choice.causes().map(str::to_owned)
                    && self.groups_flight.take_off()
                {
                    effects.push(Effect::RenewGroups(filter));
                }
            }
            _ => {}
        }
        let state = self.state();
        if self.kept_state.as_ref() != Some(&state) {
            self.kept_state = Some(state.clone());
            effects.push(Effect::SaveState(Box::new(state)));
        }
        effects
    }

    fn errors_came(
        &mut self,
        generation: u64,
        append: bool,
        result: Result<ErrorPage, Refused>,
    ) -> Vec<Effect> {
        self.owed_since = None;
        let again = !append && self.errors_flight.land();
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
                    self.errors.read_at = Some(self.now);
                    self.list_went_on();
                    // A page may end before it is full: rows show as they are found.
                    effects.extend(self.errors.want_more());
                    if first && !self.errors.items.is_empty() {
                        effects.extend(self.rest());
                    }
                    effects.extend(self.list_came());
                }
                Err(refused) => {
                    self.errors.refusal = Some(refused.0);
                    self.errors.more = false;
                }
            }
        }
        if again || (!append && generation != self.errors.generation) {
            effects.extend(self.load_errors());
        }
        effects
    }

    fn trends_came(&mut self, minutes: u32, result: Result<(Vec<Trend>, Option<Vec<Share>>), Refused>) {
        let (trends, shares) = match result {
            Ok(came) => came,
            // Asked for every few seconds: what was last known stays, and the line above says that PostgreSQL is away.
            Err(_) if self.lost.is_some() => return,
            Err(refused) => {
                let why = one_line(&refused.0);
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

    /// The last hour of each mapping, where there is room to show it.
    pub(super) fn load_trends(&self) -> Vec<Effect> {
        let shown = self.size.0 >= 140 || (self.zoom && self.focus == Pane::Mappings);
        if shown { vec![Effect::LoadTrends { minutes: 60, shares: false }] } else { Vec::new() }
    }

    /// The causes once more: nothing but what still shows is touched, and nobody waits for a word about it.
    fn renew_groups(&mut self, filter: &str, result: Result<Vec<Group>, Refused>) {
        let Ok(groups) = result else { return };
        let now = Choice::groups(&groups, filter, |time| self.clock(time));
        let Some(Overlay::Choice(open)) = self.overlays.last_mut() else { return };
        if open.causes() != Some(filter) {
            return;
        }
        match now {
            Some(now) => open.renew(now),
            None => {
                self.overlays.pop();
                self.say(Tone::Good, "the last of these errors is gone");
            }
        }
    }

    fn groups_came(&mut self, filter: &str, result: Result<Vec<Group>, Refused>) -> Vec<Effect> {
        if !self.was_waited_for() {
            return Vec::new();
        }
        match result {
            Ok(groups) => match Choice::groups(&groups, filter, |time| self.clock(time)) {
                Some(mut choice) => {
                    if let Some(cause) = self.cause.take() {
                        choice.stand_on(&cause);
                    }
                    self.toast = None;
                    self.lay(Overlay::Choice(choice));
                }
                None => self.say(Tone::Neutral, "there are no errors to group"),
            },
            Err(refused) => self.say(Tone::Bad, one_line(&refused.0)),
        }
        Vec::new()
    }

    fn record_came(&mut self, row: &RowRef, result: Result<RecordView, Refused>) -> Vec<Effect> {
        self.owed_since = None;
        let again = self.record_flight.land();
        let latest = self.awaits_answer;
        let now = self.now;
        let mut effects = Vec::new();
        let mut answer = None;
        match self.record.as_mut().filter(|pane| pane.row == *row) {
            Some(pane) => match result {
                Ok(view) => {
                    if pane.view.as_ref() != Some(&view) {
                        effects.extend(pane.forget_beside());
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
            Some(Answer::Settled { .. }) => {
                self.say(Tone::Neutral, format!("{} {} is no longer to be sent", row.table, row.row))
            }
            _ => {}
        }
        effects.extend(self.shown());
        if again {
            effects.extend(self.load_record());
        }
        effects
    }

    /// There is nothing of a row any more: it is not shown as if it stood, nor worked on.
    fn record_gone(&mut self, row: &RowRef, why: &str) -> Vec<Effect> {
        self.owed_since = None;
        let again = self.record_flight.land();
        let mut effects = Vec::new();
        match self.record.as_mut().filter(|pane| pane.row == *row) {
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
    fn shown(&mut self) -> Vec<Effect> {
        let mut effects = self.opened();
        effects.extend(self.awaited_came());
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
                    pane.await_answer(now);
                }
            }
        }
        let mut effects = self.load_record();
        effects.extend(self.load_errors());
        effects
    }
}
