//! The errors by their causes: what is asked for while they show, and what comes.

use super::App;
use super::update::one_line;
use crate::client::api::ClientError;
use crate::console::context::Tone;
use crate::console::effect::Effect;
use crate::console::overlays::{GroupsView, Overlay};
use crate::console::pane::Pane;
use crate::console::panes::errors::PERSON;
use crate::domain::errors::group::Group;
use crate::domain::errors::group_hours::{GroupHours, RemedyFit};

impl App {
    /// Asks for the groups of what is listed; among the mappings, for those of the selected one.
    pub(super) fn groups(&mut self) -> Vec<Effect> {
        let of_mapping = self.mapping().filter(|_| self.ctx.focus == Pane::Mappings);
        let of_mapping = of_mapping.map(|mapping| format!("{PERSON} mapping:{}", mapping.name));
        self.navigation.of_mapping = of_mapping.is_some();
        let filter = of_mapping.unwrap_or_else(|| self.errors.asked_filter());
        self.groups_of(filter)
    }

    /// Asks for the groups of the errors that match.
    pub(super) fn groups_of(&mut self, filter: String) -> Vec<Effect> {
        self.wait_for("grouping the errors by cause", Effect::LoadGroups(filter))
    }

    /// The groups, while they show.
    fn groups_view(&mut self) -> Option<&mut GroupsView> {
        self.overlays.iter_mut().rev().find_map(|overlay| match overlay {
            Overlay::Groups(view) => Some(&mut **view),
            _ => None,
        })
    }

    /// The causes once more: nothing but what still shows is touched.
    pub(super) fn renew_groups(&mut self, filter: &str, result: Result<Vec<Group>, ClientError>) {
        let lost = self.ctx.database.lost.is_some();
        let Some(view) = self.groups_view().filter(|view| view.filter() == filter) else { return };
        match result {
            Ok(groups) => {
                let was_empty = view.is_empty();
                view.renew(groups);
                if view.is_empty() && !was_empty {
                    self.say(Tone::Good, "the last of these errors is gone");
                }
            }
            // The line above says that PostgreSQL is away.
            Err(_) if lost => {}
            Err(refused) => view.refuse(one_line(&refused.to_string())),
        }
    }

    pub(super) fn groups_came(
        &mut self,
        filter: &str,
        result: Result<Vec<Group>, ClientError>,
    ) -> Vec<Effect> {
        if !self.was_waited_for(|asked| matches!(asked, Effect::LoadGroups(of) if of == filter)) {
            return Vec::new();
        }
        match result {
            Ok(groups) if groups.is_empty() => self.say(Tone::Neutral, "there are no errors to group"),
            Ok(groups) => {
                let mut view = GroupsView::new(groups, filter, self.errors.everything);
                if let Some(group) = self.navigation.group.take() {
                    view.stand_on(&group);
                }
                view.settle(&self.ctx);
                self.ctx.toast = None;
                self.lay(Overlay::Groups(Box::new(view)));
            }
            Err(refused) => self.say_refused(&refused),
        }
        Vec::new()
    }

    /// Asks for what is told of the selected mapping, while it has the whole screen.
    pub(super) fn load_about(&mut self) -> Option<Effect> {
        let looks = self.ctx.zoom && self.ctx.focus == Pane::Mappings && self.overlays.is_empty();
        if !looks || self.ctx.database.lost.is_some() || self.inflight.about.is_under_way() {
            return None;
        }
        let name = self.mapping()?.name.clone();
        let wants = self.mappings.zoom.wants(&name) && self.inflight.about.start();
        wants.then_some(Effect::LoadAbout(name))
    }

    /// Looks at a mapping alone, on the whole screen.
    pub(super) fn look_at_mapping(&mut self, name: &str) -> Vec<Effect> {
        let Some(at) = self.ctx.mappings().iter().position(|mapping| mapping.name == name) else {
            self.say(Tone::Neutral, format!("the mapping {name} is not there any more"));
            return Vec::new();
        };
        self.mappings.cursor.at = at;
        let effects = self.go(Pane::Mappings);
        self.ctx.zoom = true;
        effects
    }

    /// Lists the errors of a cause of the mapping that has the whole screen, by its number; else goes to a pane.
    pub(super) fn numbered_cause(&mut self, number: usize) -> Option<Vec<Effect>> {
        let name = self.mapping().filter(|_| self.ctx.zoom)?.name.clone();
        let group = self.mappings.zoom.cause(&name, number)?;
        let label = format!("{} {}: {}", group.mapping, group.code, group.template);
        let filter = format!("group:{}", group.group);
        self.navigation.of_mapping = false;
        self.ctx.zoom = false;
        Some(self.drill(&filter, Some(label)))
    }

    /// Asks for what the groups tell besides, one thing of each kind at a time, while nothing lies on top of them.
    pub(super) fn load_group_details(&mut self) -> Vec<Effect> {
        if self.ctx.database.lost.is_some() {
            return Vec::new();
        }
        let Some(Overlay::Groups(view)) = self.overlays.last_mut() else { return Vec::new() };
        let mut effects = Vec::new();
        if !self.inflight.hours.is_under_way() {
            effects.extend(view.want_hours().filter(|_| self.inflight.hours.start()));
        }
        if !self.inflight.fit.is_under_way() {
            effects.extend(view.want_fit(&self.ctx).filter(|_| self.inflight.fit.start()));
        }
        effects
    }

    pub(super) fn group_hours_came(&mut self, filter: &str, result: Result<GroupHours, ClientError>) {
        self.inflight.hours.finish();
        // Without them the counts stand alone; the next look asks again.
        if let (Some(view), Ok(hours)) = (self.groups_view(), result) {
            view.take_hours(filter, hours);
        }
    }

    pub(super) fn fit_came(&mut self, group: String, count: i64, result: Result<RemedyFit, ClientError>) {
        self.inflight.fit.finish();
        if let Some(view) = self.groups_view() {
            view.take_fit(group, count, result.map_err(|refused| one_line(&refused.to_string())));
        }
    }
}
