//! What the app asks for: of each kind one request at a time.

use super::App;
use super::layout;
use crate::console::effect::Effect;
use crate::console::pane::Pane;
use crate::console::panes::record::RecordPane;

/// A list of mappings of so many columns shows the last hour of each.
const PICTURED: u16 = 70;

impl App {
    /// Everything again.
    pub(super) fn refresh(&mut self) -> Vec<Effect> {
        let mut effects = self.load_overview();
        effects.extend(self.load_errors());
        effects.extend(self.load_record());
        effects.extend(self.load_log());
        effects.extend(self.load_trends());
        effects.extend(self.load_standing());
        if self.ctx.list == Pane::Pending {
            effects.extend(self.load_pending());
        }
        effects
    }

    pub(super) fn load_overview(&mut self) -> Vec<Effect> {
        if self.inflight.overview.start() {
            self.ctx.database.asked_since = self.ctx.database.lost.is_some();
            vec![Effect::LoadOverview]
        } else {
            Vec::new()
        }
    }

    pub(super) fn load_errors(&mut self) -> Vec<Effect> {
        let list = if self.inflight.errors.start() { Some(self.errors.reload()) } else { None };
        list.into_iter().chain(self.count_errors()).collect()
    }

    /// The conditions of mappings and of the connection that stand.
    pub(super) fn load_standing(&mut self) -> Option<Effect> {
        self.inflight.standing.start().then_some(Effect::LoadStanding)
    }

    /// The rows that wait for those of unfolded lines.
    pub(super) fn load_blocked(&mut self) -> Option<Effect> {
        let unfolded = self.errors.unfolded();
        (!unfolded.is_empty() && self.inflight.blocked.start()).then_some(Effect::LoadBlocked(unfolded))
    }

    /// How many there are: beside the list, which does not wait for it.
    pub(super) fn count_errors(&mut self) -> Vec<Effect> {
        if self.inflight.count.start() { vec![self.errors.count()] } else { Vec::new() }
    }

    pub(super) fn load_pending(&mut self) -> Vec<Effect> {
        if self.inflight.pending.start() { vec![self.pending.reload()] } else { Vec::new() }
    }

    pub(super) fn load_log(&mut self) -> Vec<Effect> {
        if self.inflight.log.start() { vec![Effect::LoadLog(self.log.newest())] } else { Vec::new() }
    }

    pub(super) fn load_record(&mut self) -> Vec<Effect> {
        let Some(row) = self.selection.row() else {
            return Vec::new();
        };
        if !self.inflight.record.start() {
            return Vec::new();
        }
        self.inflight.awaits_answer = self.selection.record.as_ref().is_some_and(RecordPane::awaits_answer);
        vec![Effect::LoadRecord(row)]
    }

    /// The last hour of each mapping, where there is room to show it.
    pub(super) fn load_trends(&self) -> Vec<Effect> {
        let shown = layout::place(&self.ctx, Pane::Mappings)
            .is_some_and(|area| area.width >= PICTURED || self.ctx.zoom);
        if shown { vec![Effect::LoadTrends { minutes: 60, shares: false }] } else { Vec::new() }
    }
}
