//! The causes beside the list, on a wide screen: which they are of, when they are read, and what choosing one lists.

use super::App;
use super::layout;
use crate::client::api::ClientError;
use crate::console::effect::Effect;
use crate::console::overlays::group_of;
use crate::console::pane::Pane;
use crate::domain::errors::group::Group;

use super::update::one_line;

impl App {
    /// The filter whose causes show: that of the list, but for the cause that was chosen of it.
    fn causes_of(&self) -> &str {
        let filter = self.errors.filter_in_force();
        match group_of(filter) {
            Some(_) => filter.split_once(' ').map_or("", |(_, rest)| rest),
            None => filter,
        }
    }

    /// The cause whose errors are listed.
    pub(super) fn listed_group(&self) -> Option<&str> {
        group_of(self.errors.filter_in_force())
    }

    /// Asks for the causes where they show and are due.
    pub(super) fn load_causes(&mut self) -> Option<Effect> {
        let due = layout::shows(&self.ctx, Pane::Groups)
            && self.ctx.overview.is_some()
            && self.ctx.database.lost.is_none()
            && !self.inflight.groups.is_under_way();
        if !due {
            return None;
        }
        let filter = self.errors.asked(self.causes_of());
        if !self.groups.is_due(&filter, self.ctx.now) {
            return None;
        }
        self.inflight.groups.start();
        self.groups.ask(&filter, self.ctx.now);
        Some(Effect::RenewGroups(filter))
    }

    /// The causes came, for the pane and for the list of them that is open.
    pub(super) fn causes_came(&mut self, filter: &str, result: Result<Vec<Group>, ClientError>) {
        self.inflight.groups.finish();
        let told = result.clone().map_err(|refused| one_line(&refused.to_string()));
        self.groups.take(filter, told, self.ctx.now);
        self.renew_groups(filter, result);
    }

    /// Lists the errors of the selected cause.
    pub(super) fn list_group(&mut self) -> Vec<Effect> {
        let Some(group) = self.groups.selected() else { return Vec::new() };
        let typed = self.causes_of();
        let matches = if typed.is_empty() { String::new() } else { format!(" · {typed}") };
        let filter = format!("group:{} {typed}", group.group);
        let fields =
            if group.fields.is_empty() { String::new() } else { format!(" {}", group.fields.join(",")) };
        let label = format!("{} {}{fields}: {}{matches}", group.mapping, group.code, group.template);
        self.drill(filter.trim_end(), Some(label))
    }

    /// A pane that the screen has no more room for gives the keys to the list.
    pub(super) fn leave_hidden(&mut self) {
        if self.ctx.focus == Pane::Groups && !self.has_groups() {
            (self.ctx.focus, self.ctx.zoom) = (self.ctx.list, false);
        }
    }

    /// Whether the screen has room for the causes, whatever has all of it now.
    pub(super) fn has_groups(&self) -> bool {
        layout::shape(&self.ctx) == crate::console::sizes::Shape::Wide
    }
}
