//! What each message does to the app, and what is to be done about it. Pure.

use chrono::{DateTime, Utc};
use crossterm::event::KeyEventKind;

use super::App;
use crate::client::api::Event;
use crate::console::context::Tone;
use crate::console::effect::Effect;
use crate::console::msg::Msg;
use crate::console::overlays::{AuditLog, Menu, Overlay};
use crate::console::pane::Pane;
use crate::console::panes::record::RecordPane;

/// Between looks at what is counted and drawn but announced by nobody, in seconds.
const LOOK: i64 = 5;

/// Changes the app; returns what is to be done.
pub fn update(app: &mut App, msg: Msg) -> Vec<Effect> {
    if !matches!(msg, Msg::Tick(_)) {
        app.dirty = true;
    }
    let mut effects = apply(app, msg);
    effects.extend(app.follow());
    effects.extend(app.load_words());
    effects.extend(app.load_tally());
    effects.extend(app.find_parents());
    effects.extend(app.load_causes());
    effects.extend(app.load_group_details());
    effects.extend(app.load_about());
    if app.overlays.is_empty() && std::mem::take(&mut app.selection.unfollowed) {
        effects.extend(app.debounce());
    }
    app.fit_record();
    // The last word, also where it was learnt only now that nothing may be changed.
    if app.ctx.read_only && effects.iter().any(Effect::changes) {
        effects.retain(|effect| !effect.changes());
        app.overlays.retain(|overlay| match overlay {
            Overlay::Progress(_) => false,
            Overlay::Setup(view) => !view.does(),
            _ => true,
        });
        if let Some(pane) = &mut app.selection.record {
            pane.saved(false);
        }
        app.say(Tone::Bad, "nothing was changed: this console is read-only");
    }
    app.note_begun(&effects);
    app.selection.sending.extend(effects.iter().filter_map(Effect::sends).cloned());
    effects
}

fn apply(app: &mut App, msg: Msg) -> Vec<Effect> {
    match msg {
        Msg::Key(key) if key.kind == KeyEventKind::Release => Vec::new(),
        Msg::Key(key) => app.key(key),
        Msg::Mouse(event) => app.mouse(event, false),
        Msg::DoubleClick(event) => app.mouse(event, true),
        Msg::Paste(text) => app.paste(&text),
        Msg::Resize(columns, lines) => {
            app.ctx.size = (columns, lines);
            app.leave_hidden();
            vec![Effect::Redraw]
        }
        Msg::Background(background) => {
            app.ctx.theme = app.ctx.theme.on(background);
            Vec::new()
        }
        Msg::Tick(now) => app.tick(now),
        Msg::Event(event) => app.event(event),
        Msg::Missed => app.refresh(),
        Msg::Opened(sources) => {
            app.log.sources.open(&sources);
            app.start()
        }
        Msg::Rights(result) => {
            app.rights_came(result);
            Vec::new()
        }
        Msg::Overview(result) => app.overview_came(result),
        Msg::Errors { generation, append, result } => app.errors_came(generation, append, result),
        Msg::Backwards { generation, end, result } => app.backwards_came(generation, end, result),
        Msg::Counted { generation, result } => app.counted(generation, result),
        Msg::Offers { qualifier, prefix, values } => {
            if let Some(Overlay::Filter(line)) = app.overlays.last_mut() {
                line.take_values(&qualifier, &prefix, values);
            }
            Vec::new()
        }
        Msg::Pending { append, limit, result } => app.pending_came(append, limit, result),
        Msg::Debounced(number) => app.debounced(number),
        Msg::Relatives { row, result } => {
            if let Some(pane) = app.selection.record_of(&row) {
                pane.relatives.take(result.map_err(|refused| one_line(&refused.to_string())));
            }
            app.relatives_came(&row)
        }
        Msg::RecordLog { row, result } => {
            if let Some(pane) = app.selection.record_of(&row) {
                pane.lines.take(result.map_err(|refused| one_line(&refused.to_string())));
            }
            Vec::new()
        }
        Msg::Trends { minutes, result } => {
            app.inflight.trends.finish();
            app.trends_came(minutes, result);
            Vec::new()
        }
        Msg::Health { span, result } => {
            app.health_came(span, *result);
            Vec::new()
        }
        Msg::Stage(stage) => {
            app.stage(stage);
            Vec::new()
        }
        Msg::Verified(result) => app.verified(result),
        Msg::DryRunDone { mapping, result } => app.tried(&mapping, result),
        Msg::DryRunsDone(result) => app.all_tried(result),
        Msg::Groups { filter, result } => app.groups_came(&filter, result),
        Msg::GroupsRenewed { filter, result } => {
            app.causes_came(&filter, result);
            Vec::new()
        }
        Msg::About { mapping, result } => {
            app.inflight.about.finish();
            app.mappings.zoom.take(mapping, result.map_err(|refused| one_line(&refused.to_string())));
            Vec::new()
        }
        Msg::GroupHours { filter, result } => {
            app.group_hours_came(&filter, result);
            Vec::new()
        }
        Msg::Fit { group, count, result } => {
            app.fit_came(group, count, result);
            Vec::new()
        }
        Msg::Standing(result) => {
            let again = app.inflight.standing.finish();
            if let Ok(page) = result {
                (app.errors.standing, app.errors.more_standing) = (page.items, page.next.is_some());
            }
            if again { app.load_standing().into_iter().collect() } else { Vec::new() }
        }
        Msg::Blocked(result) => app.blocked_came(result),
        Msg::Answers(result) => app.answers_came(result),
        Msg::Tallied { operation, result } => {
            app.tallied(operation, result);
            Vec::new()
        }
        Msg::Words { asked, result } => {
            app.inflight.words.finish();
            app.words_came(&asked, result);
            Vec::new()
        }
        Msg::Parents { column, text, found } => {
            app.parents_came(&column, &text, found);
            Vec::new()
        }
        Msg::CauseCounted { group, result } => app.cause_counted(group, result),
        Msg::Record { row, result } => app.record_came(&row, *result),
        Msg::Gone { row, why } => app.record_gone(&row, &why),
        Msg::Values { row, result } => {
            if let Some(pane) = app.selection.record_of(&row) {
                pane.take_values(result.map_err(|refused| one_line(&refused.to_string())));
            }
            Vec::new()
        }
        Msg::Saved { row, result } => {
            app.selection.saved(&row, result.is_ok());
            app.sent(&row, result.err().map(|refused| refused.to_string()), "saved, sending ...")
        }
        Msg::Retried { row, result } => {
            app.selection.came_of(&row);
            app.sent(&row, result.err().map(|refused| refused.to_string()), "sending again ...")
        }
        Msg::Applied { row, result } => {
            app.selection.came_of(&row);
            let words = result.as_ref().map_or(String::new(), |done| format!("{done}; sending ..."));
            app.sent(&row, result.err().map(|refused| refused.to_string()), &words)
        }
        Msg::Changed(result) => {
            app.say_done(result);
            app.load_overview()
        }
        Msg::SetupFound { id, result } => {
            app.setup_found(id, result);
            Vec::new()
        }
        Msg::SetupTold { id, line } => {
            app.setup_told(id, line);
            Vec::new()
        }
        Msg::SetupDone { id, result } => app.setup_done(id, result),
        Msg::ShadowFound { id, result } => {
            app.shadow_found(id, result);
            Vec::new()
        }
        Msg::ShadowTold { id, news } => {
            app.shadow_told(id, news);
            Vec::new()
        }
        Msg::ShadowDone { id, result } => {
            app.shadow_done(id, result);
            Vec::new()
        }
        Msg::HerokuListed { id, result } => {
            app.heroku_came(id, result);
            Vec::new()
        }
        Msg::RowLookedFor { row, result } => app.row_looked_for(&row, result),
        Msg::HerokuAcknowledged(result) => app.heroku_acknowledged(result),
        Msg::Alerts(result) => app.alerts_came(result),
        Msg::CauseNote { group, cause, note } => app.note_came(group, cause, note),
        Msg::AlertsChanged(result) => app.alerts_changed(result),
        Msg::CauseChanged(result) => app.cause_changed(result),
        Msg::Duplicate { row, result } => app.duplicate_came(&row, result.map(|found| *found)),
        Msg::Planned(result) => app.planned(result),
        Msg::Progress(progress) => {
            app.progressed(progress);
            Vec::new()
        }
        Msg::Reported { text, sent, result } => app.reported(text, sent, result),
        Msg::Audit(_) if !app.was_waited_for(|asked| *asked == Effect::LoadAudit) => Vec::new(),
        Msg::AuditRows { operation, .. }
            if !app.was_waited_for(|asked| *asked == Effect::LoadAuditRows(operation)) =>
        {
            Vec::new()
        }
        Msg::Audit(Ok(operations)) => {
            app.ctx.toast = None;
            app.lay(Overlay::AuditLog(AuditLog::new(operations)));
            Vec::new()
        }
        Msg::AuditRows { result: Ok(entries), .. } => {
            if let Some(menu) = Menu::operation(&entries, |row| app.ctx.row_name(row)) {
                app.lay(Overlay::Menu(menu));
            }
            Vec::new()
        }
        Msg::Audit(Err(refused)) | Msg::AuditRows { result: Err(refused), .. } => {
            app.say_refused(&refused);
            Vec::new()
        }
        Msg::Named { text, found } => app.found_named(&text, &found),
        Msg::Found { text, result } => app.found(&text, result),
        Msg::Linked { row, result } => {
            app.selection.came_of(&row);
            app.linked(&row, result)
        }
        Msg::Remedies { chosen, result } => {
            app.remedies_counted(&chosen, result);
            Vec::new()
        }
        Msg::Log(result) => {
            app.ctx.database.owed_since = None;
            let more = result.is_ok_and(|records| app.log.take(&records));
            if app.inflight.log.finish() || more { app.load_log() } else { Vec::new() }
        }
        Msg::Lines(batch) => app.lines_came(batch),
        Msg::OlderLog(result) => {
            match result {
                Ok(records) => app.log.take_older(&records),
                Err(refused) => {
                    app.log.older_refused();
                    app.say_refused(&refused);
                }
            }
            Vec::new()
        }
        Msg::Copied(result) | Msg::Kept(result) => {
            app.say_done(result);
            Vec::new()
        }
        Msg::LogPreviewed { filter, sifted } => {
            app.previewed(&filter, sifted);
            Vec::new()
        }
        Msg::LogFiltered { generation, upto, places } => {
            app.log.filtered(generation, upto, places);
            Vec::new()
        }
    }
}

/// A text in one line.
pub(super) fn one_line(text: &str) -> String {
    text.replace('\n', " · ")
}

impl App {
    /// Puts an answer on top of the panes. Whoever opened something else meanwhile is not interrupted: their next key
    /// would mean another thing.
    pub(super) fn lay(&mut self, answer: Overlay) {
        if self.overlays.is_empty() {
            self.overlays.push(answer);
        } else {
            self.say(Tone::Neutral, "what you asked for is there; close what lies on top, and ask again");
        }
    }

    fn event(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Overview => self.load_overview(),
            Event::Errors => {
                let mut effects = self.load_errors();
                effects.extend(self.load_answers());
                // A pooler passes no announcement of the row on; an answer that is waited for is looked for now.
                if self.selection.record.as_ref().is_some_and(RecordPane::awaits_answer) {
                    effects.extend(self.load_record());
                }
                if self.ctx.list == Pane::Pending {
                    effects.extend(self.load_pending());
                }
                effects
            }
            Event::Log => self.load_log(),
            Event::Record(row) if self.selection.record.as_ref().is_some_and(|pane| pane.row == row) => {
                self.load_record()
            }
            Event::Record(_) => Vec::new(),
            Event::Lost(why) => self.went_away(why),
            Event::Restored => self.restored(),
        }
    }

    /// A second went by: drawn only when something that shows depends on it.
    fn tick(&mut self, now: DateTime<Utc>) -> Vec<Effect> {
        let minute = |time: DateTime<Utc>| time.timestamp() / 60;
        self.dirty |= minute(self.ctx.now) != minute(now) && self.ctx.settings.clock;
        self.dirty |= self.counts_seconds();
        let owed = self.inflight.is_answer_owed();
        self.dirty |= self.ctx.database.unanswered_for(self.ctx.now).is_some();
        self.ctx.database.owed_since = self.ctx.database.owed_since.or(Some(now)).filter(|_| owed);
        let look = self.ctx.now.timestamp() / LOOK != now.timestamp() / LOOK;
        self.ctx.now = now;
        if self.ctx.toast.as_ref().is_some_and(|toast| toast.until <= now) {
            self.ctx.toast = None;
            self.dirty = true;
        }
        if look { self.look() } else { Vec::new() }
    }

    /// Whether something shows that is another one each second.
    fn counts_seconds(&self) -> bool {
        let retries = |error: &crate::domain::errors::sync_error::SyncError| {
            error.next_retry_at.is_some_and(|at| at > self.ctx.now)
        };
        let listed = self.ctx.list == Pane::Errors && self.errors.items.iter().any(retries);
        let waits = self.ctx.list == Pane::Pending && !self.pending.items.is_empty();
        let shown = self
            .selection
            .record
            .as_ref()
            .and_then(|pane| pane.view.as_ref()?.error.as_ref())
            .is_some_and(retries);
        let works = self.overlays.iter().any(|overlay| match overlay {
            Overlay::Progress(_) => true,
            Overlay::Setup(view) => view.works(),
            Overlay::Heroku(view) => view.waits(),
            Overlay::Shadow(view) => view.works(),
            _ => false,
        });
        listed || waits || shown || works
    }

    /// What nobody announces is looked at now and then; where one stands is kept for the next start.
    fn look(&mut self) -> Vec<Effect> {
        self.errors.doubt_words();
        self.mappings.zoom.stale = true;
        let mut effects = self.load_trends();
        effects.extend(self.load_record());
        effects.extend(self.load_answers());
        effects.extend(self.load_standing());
        effects.extend(self.count_cause());
        if self.ctx.database.lost.is_some() {
            effects.extend(self.load_overview());
        }
        match self.overlays.last_mut() {
            Some(Overlay::Trends(trends)) => {
                let minutes = trends.minutes();
                if self.inflight.trends.start() {
                    effects.push(Effect::LoadTrends { minutes, shares: true });
                }
            }
            Some(Overlay::Health(view)) => effects.extend(view.load_again()),
            Some(Overlay::Alerts(_)) => effects.extend(self.load_alerts()),
            Some(Overlay::Groups(view)) => {
                let filter = view.filter().to_owned();
                if self.inflight.groups.start() {
                    effects.push(Effect::RenewGroups(filter));
                }
            }
            _ => {}
        }
        let state = self.session();
        if self.kept.as_ref() != Some(&state) {
            self.kept = Some(state.clone());
            effects.push(Effect::SaveState(Box::new(state)));
        }
        effects
    }
}
