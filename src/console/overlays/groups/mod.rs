//! The causes of the errors on a screen of their own: what is wrong, how many, how many came within the hour, what the first
//! remedy would mend. It can be what a console begins with. While it is open its order stays, so that the next key means
//! what it meant; what comes new is told of, and stands at the end.

mod view;

use std::collections::{BTreeMap, BTreeSet};

use crossterm::event::{KeyCode, KeyEvent};

use crate::console::command::Id;
use crate::console::context::{Context, Tone};
use crate::console::effect::{CauseChange, Effect};
use crate::console::outcome::Outcome;
use crate::console::panes::errors::PERSON;
use crate::console::widgets::cursor::{Cursor, Step};
use crate::domain::errors::group::Group;
use crate::domain::errors::group_hours::{GroupHours, RemedyFit};

pub use view::draw;

/// Groups that are listed at most.
pub const MOST: usize = 200;
/// Lines that a group takes.
const LINES: usize = 2;
/// Lines around the groups: the head, what is told below them, the keys, the border, and the last line of the screen.
const AROUND: usize = 6;

/// The group that the filter of a line of groups begins with.
pub fn group_of(filter: &str) -> Option<&str> {
    filter.split(' ').next()?.strip_prefix("group:")
}

/// What is known of the remedies of a group: of how many errors it had then.
type Fit = (i64, Result<RemedyFit, String>);

/// The screen.
#[derive(Debug)]
pub struct GroupsView {
    /// The filter of the errors whose groups these are.
    filter: String,
    /// What of it somebody typed.
    typed: String,
    groups: Vec<Group>,
    cursor: Cursor,
    /// When the errors came, once known; and whether that is to be asked for.
    hours: Option<GroupHours>,
    wants_hours: bool,
    fits: BTreeMap<String, Fit>,
    /// Groups that came while it was open, and that nobody stood on since.
    fresh: BTreeSet<String>,
    /// Why nothing newer is known.
    refusal: Option<String>,
}

impl GroupsView {
    /// The groups of the errors that match a filter. `everything` tells whether the list adds nothing to what was typed.
    pub fn new(groups: Vec<Group>, filter: &str, everything: bool) -> GroupsView {
        // What needs a person is what the list begins with.
        let added = if everything { "" } else { PERSON };
        GroupsView {
            typed: filter.strip_prefix(added).unwrap_or(filter).trim().to_owned(),
            filter: filter.to_owned(),
            groups,
            cursor: Cursor::default(),
            hours: None,
            wants_hours: true,
            fits: BTreeMap::new(),
            fresh: BTreeSet::new(),
            refusal: None,
        }
    }

    /// The filter of the errors whose groups are listed.
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Stands on the group whose errors are listed by this filter, where it is still there.
    pub fn stand_on(&mut self, filter: &str) {
        self.cursor.at =
            self.groups.iter().position(|group| self.filter_of(group) == filter).unwrap_or_default();
    }

    /// The filter that lists the errors of a group: those that were counted, and no others.
    fn filter_of(&self, group: &Group) -> String {
        let name = &group.group;
        match (group_of(&self.typed) == Some(name), self.typed.as_str()) {
            (true, typed) => typed.to_owned(),
            (false, "") => format!("group:{name}"),
            (false, typed) => format!("group:{name} {typed}"),
        }
    }

    /// What that list is called.
    fn label_of(&self, group: &Group) -> String {
        let matches = if self.typed.is_empty() { String::new() } else { format!(" · {}", self.typed) };
        format!("{}: {}{matches}", named(group), group.template)
    }

    /// The groups as they are now. Those that were there keep their places, and the selection stays on its own.
    pub fn renew(&mut self, now: Vec<Group>) {
        let place = |name: &str| self.groups.iter().position(|group| group.group == name);
        let mut all: Vec<(usize, Group)> =
            now.into_iter().map(|group| (place(&group.group).unwrap_or(usize::MAX), group)).collect();
        all.sort_by_key(|(place, _)| *place);
        let came = all.iter().filter(|(place, _)| *place == usize::MAX).map(|(_, group)| group.group.clone());
        let came: Vec<String> = came.collect();
        let selected = self.groups.get(self.cursor.at).map(|group| group.group.clone());
        // Of an empty screen nothing was looked at yet.
        if !self.groups.is_empty() {
            self.fresh.extend(came);
        }
        self.groups = all.into_iter().map(|(_, group)| group).collect();
        self.fresh.retain(|name| self.groups.iter().any(|group| group.group == *name));
        let there = self.groups.iter().position(|group| Some(&group.group) == selected.as_ref());
        self.cursor.at = there.unwrap_or(self.cursor.at).min(self.groups.len().saturating_sub(1));
        (self.wants_hours, self.refusal) = (true, None);
        self.seen();
    }

    /// Nothing newer is known, for this reason.
    pub fn refuse(&mut self, why: String) {
        self.refusal = Some(why);
    }

    /// Asks for what of the hour shows, once after each look.
    pub fn want_hours(&mut self) -> Option<Effect> {
        let wants = std::mem::take(&mut self.wants_hours) && !self.groups.is_empty();
        wants.then(|| Effect::LoadGroupHours(self.filter.clone()))
    }

    /// When the errors came.
    pub fn take_hours(&mut self, filter: &str, hours: GroupHours) {
        if filter == self.filter {
            self.hours = Some(hours);
        }
    }

    /// The next group whose remedies are not looked at, as far as it shows: the selected one first.
    pub fn want_fit(&self, ctx: &Context) -> Option<Effect> {
        let unknown = |group: &&Group| {
            self.fits.get(&group.group).is_none_or(|(count, _)| *count != group.count) && group.aside == 0
        };
        let shown = &self.groups[self.window(ctx)];
        let next = self.groups.get(self.cursor.at).filter(unknown).or_else(|| shown.iter().find(unknown))?;
        Some(Effect::LoadFit { group: next.group.clone(), filter: self.filter_of(next), count: next.count })
    }

    /// What remedies would mend of a group that had so many errors when that was asked.
    pub fn take_fit(&mut self, group: String, count: i64, fit: Result<RemedyFit, String>) {
        self.fits.insert(group, (count, fit));
    }

    /// The groups that show on a screen.
    fn window(&self, ctx: &Context) -> std::ops::Range<usize> {
        let height = usize::from(ctx.size.1).saturating_sub(AROUND) / LINES;
        self.cursor.window(self.groups.len(), height)
    }

    /// Scrolls no further than the selected group needs.
    pub fn settle(&mut self, ctx: &Context) {
        self.cursor.top = self.window(ctx).start;
    }

    fn selected(&self) -> Option<&Group> {
        self.groups.get(self.cursor.at)
    }

    /// Whoever stands on a group has seen it.
    fn seen(&mut self) {
        if let Some(group) = self.groups.get(self.cursor.at) {
            self.fresh.remove(&group.group);
        }
    }

    fn step(&mut self, step: Step) {
        self.cursor.step(step, self.groups.len());
        self.seen();
    }

    /// A key.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        match key.code {
            KeyCode::Esc | KeyCode::Char('q') => return vec![Outcome::Close],
            KeyCode::Char('j') | KeyCode::Down => self.step(Step::Lines(1)),
            KeyCode::Char('k') | KeyCode::Up => self.step(Step::Lines(-1)),
            KeyCode::PageDown => self.step(Step::Lines(10)),
            KeyCode::PageUp => self.step(Step::Lines(-10)),
            KeyCode::Char('g') | KeyCode::Home => self.step(Step::First),
            KeyCode::Char('G') | KeyCode::End => self.step(Step::Last),
            KeyCode::Char('R') => self.sort(),
            KeyCode::Enter | KeyCode::Char('l') => return self.list(self.cursor.at),
            KeyCode::Char(digit @ '1'..='9') => {
                let number = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
                return number.map_or(Vec::new(), |number| self.list(number - 1));
            }
            KeyCode::Char(letter @ ('o' | 'n' | 's' | 'w')) => {
                return self.of_cause(letter).into_iter().collect();
            }
            KeyCode::Char(letter) => return self.of_group(letter),
            _ => {}
        }
        Vec::new()
    }

    /// The most frequent first again, as they are now.
    fn sort(&mut self) {
        let selected = self.selected().map(|group| group.group.clone());
        self.groups.sort_by_key(|group| {
            (std::cmp::Reverse(group.count), std::cmp::Reverse(group.last_seen), group.group.clone())
        });
        self.fresh.clear();
        let at = self.groups.iter().position(|group| Some(&group.group) == selected.as_ref());
        self.cursor.at = at.unwrap_or_default();
    }

    /// Lists the errors of a group.
    fn list(&self, at: usize) -> Vec<Outcome> {
        let Some(group) = self.groups.get(at) else { return Vec::new() };
        let list = Outcome::List { filter: self.filter_of(group), label: Some(self.label_of(group)) };
        list.closing()
    }

    /// An operation on all errors of the selected group.
    fn of_group(&self, letter: char) -> Vec<Outcome> {
        let command = match letter {
            'f' => Id::Fix,
            'm' => Id::QuickFix,
            'r' => Id::Retry,
            'u' => Id::Revert,
            'i' => Id::Ignore,
            _ => return Vec::new(),
        };
        let Some(group) = self.selected() else { return Vec::new() };
        let (filter, label) = (self.filter_of(group), self.label_of(group));
        Outcome::OfGroup { filter, label, command }.closing()
    }

    /// What a letter says or tells about the cause of the selected group.
    fn of_cause(&self, letter: char) -> Option<Outcome> {
        let of = self.selected()?;
        let (group, cause) = (of.group.clone(), named(of));
        let Some(life) = &of.life else {
            return Some(Outcome::Say(Tone::Neutral, of.without_life().to_owned()));
        };
        Some(match letter {
            'o' => {
                let change = if life.owner.is_some() { CauseChange::Disown } else { CauseChange::Own };
                Outcome::Effect(Effect::Cause { group, change })
            }
            'n' => Outcome::AskNote { group, cause, note: life.note.clone().unwrap_or_default() },
            's' if life.muted.is_some() => {
                Outcome::Effect(Effect::Cause { group, change: CauseChange::Unmute })
            }
            's' => Outcome::AskMute { group, cause },
            _ => Outcome::Info {
                title: format!("Why these errors are one group: {group}"),
                text: life.grouped_in_words(),
            },
        })
    }
}

/// A group by its mapping, code and fields.
fn named(group: &Group) -> String {
    let fields = if group.fields.is_empty() { String::new() } else { format!(" {}", group.fields.join(",")) };
    format!("{} {}{fields}", group.mapping, group.code)
}
