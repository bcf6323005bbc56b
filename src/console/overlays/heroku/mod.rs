//! What Heroku Connect's own API lists: the writes that Salesforce refused, what it wants people to know, and its checks. Each is
//! asked for when it is first looked at, and again where somebody says so: nothing here asks by itself.

mod view;

use chrono::{DateTime, SecondsFormat, Utc};
use crossterm::event::{KeyCode, KeyEvent};

use crate::client::api::ClientError;
use crate::client::heroku::{HerokuList, HerokuListed};
use crate::console::context::Tone;
use crate::console::effect::Effect;
use crate::console::outcome::Outcome;
use crate::console::widgets::cursor::{Cursor, Step};
use crate::domain::attached::refused::RefusedWrite;
use crate::domain::attached::told::{CheckOutcome, NotificationFilter, ToldCheck, ToldNotification};

pub use view::draw;

/// Said of a write of which the API tells no row.
const NO_ROW: &str = "Heroku Connect names no row of it: its record cannot be shown";
/// Said where notifications cannot be told from those that come meanwhile.
const NO_TIME: &str =
    "Heroku Connect does not say when these came; say up to when: syncdeck heroku acknowledge --before";

/// Said where there are notifications that nobody saw.
const NONE_CAME: &str = "none of them came: nobody can say what would be acknowledged";

/// In their order.
const LISTS: [HerokuList; 3] = [HerokuList::WriteErrors, HerokuList::Notifications, HerokuList::Checks];

/// What is known of a list.
#[derive(Debug, Default)]
enum ListState {
    /// Nobody asked yet.
    #[default]
    Unasked,
    /// It is asked for, by this number.
    Asking { id: u64, since: DateTime<Utc> },
    /// It was told.
    Told { listed: HerokuListed, at: DateTime<Utc> },
    /// It was not.
    Refused(ClientError),
}

/// The lists.
#[derive(Debug)]
pub struct HerokuView {
    list: HerokuList,
    states: [ListState; 3],
    cursors: [Cursor; 3],
}

impl HerokuView {
    /// They, and this one first.
    pub fn new(list: HerokuList) -> HerokuView {
        HerokuView { list, states: Default::default(), cursors: Default::default() }
    }

    /// The one that shows.
    pub fn list(&self) -> HerokuList {
        self.list
    }

    fn place(&self) -> usize {
        LISTS.iter().position(|list| *list == self.list).unwrap_or(0)
    }

    fn state(&self) -> &ListState {
        &self.states[self.place()]
    }

    fn cursor(&self) -> Cursor {
        self.cursors[self.place()]
    }

    /// The one that shows is asked for, by this number.
    pub fn ask(&mut self, id: u64, now: DateTime<Utc>) {
        self.states[self.place()] = ListState::Asking { id, since: now };
    }

    /// What was told of a list does not hold any more: it is asked for where it is looked at next.
    pub fn forget(&mut self, list: HerokuList) {
        let at = LISTS.iter().position(|of| *of == list).unwrap_or(0);
        self.states[at] = ListState::Unasked;
    }

    /// No answer is waited for any more: what was asked for is asked for again where it is looked at next.
    pub fn give_up(&mut self) {
        for state in &mut self.states {
            if matches!(state, ListState::Asking { .. }) {
                *state = ListState::Unasked;
            }
        }
    }

    /// Whether an answer is waited for that shows.
    pub fn waits(&self) -> bool {
        matches!(self.state(), ListState::Asking { .. })
    }

    /// What was asked for by this number came. What nobody waits for any more is dropped.
    pub fn take(&mut self, id: u64, result: Result<HerokuListed, ClientError>, now: DateTime<Utc>) {
        let asked = |state: &ListState| matches!(state, ListState::Asking { id: of, .. } if *of == id);
        let Some(at) = self.states.iter().position(asked) else { return };
        self.states[at] = match result {
            Ok(listed) => ListState::Told { listed, at: now },
            Err(refused) => ListState::Refused(refused),
        };
        // What stood at its place may be another one now.
        self.cursors[at] = Cursor::default();
    }

    fn len_of(&self, at: usize) -> usize {
        match &self.states[at] {
            ListState::Told { listed: HerokuListed::WriteErrors(told), .. } => told.items.len(),
            ListState::Told { listed: HerokuListed::Notifications(told), .. } => told.items.len(),
            ListState::Told { listed: HerokuListed::Checks(checks), .. } => checks.len(),
            _ => 0,
        }
    }

    fn write_error(&self) -> Option<&RefusedWrite> {
        match self.state() {
            ListState::Told { listed: HerokuListed::WriteErrors(told), .. } => {
                told.items.get(self.cursor().at)
            }
            _ => None,
        }
    }

    fn notification(&self) -> Option<&ToldNotification> {
        match self.state() {
            ListState::Told { listed: HerokuListed::Notifications(told), .. } => {
                told.items.get(self.cursor().at)
            }
            _ => None,
        }
    }

    fn check(&self) -> Option<&ToldCheck> {
        match self.state() {
            ListState::Told { listed: HerokuListed::Checks(checks), .. } => checks.get(self.cursor().at),
            _ => None,
        }
    }

    /// Shows the list that is so many further, and asks for it where nobody did.
    fn turn(&mut self, by: usize) -> Vec<Outcome> {
        self.list = LISTS[(self.place() + by) % LISTS.len()];
        match self.state() {
            ListState::Unasked => vec![Outcome::AskHeroku],
            _ => Vec::new(),
        }
    }

    /// A key.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        let step = match key.code {
            KeyCode::Esc | KeyCode::Char('q') => return Outcome::Effect(Effect::EndHeroku).closing(),
            KeyCode::Tab | KeyCode::Right | KeyCode::Char(']') => return self.turn(1),
            KeyCode::BackTab | KeyCode::Left | KeyCode::Char('[') => return self.turn(LISTS.len() - 1),
            KeyCode::Char('r') if !self.waits() => return vec![Outcome::AskHeroku],
            KeyCode::Char('j') | KeyCode::Down => Step::Lines(1),
            KeyCode::Char('k') | KeyCode::Up => Step::Lines(-1),
            KeyCode::PageDown => Step::Lines(10),
            KeyCode::PageUp => Step::Lines(-10),
            KeyCode::Char('g') | KeyCode::Home => Step::First,
            KeyCode::Char('G') | KeyCode::End => Step::Last,
            KeyCode::Enter => return self.open().into_iter().collect(),
            KeyCode::Char('a') => return self.acknowledge().into_iter().collect(),
            KeyCode::Char('c') => {
                let page = self.check().and_then(|check| check.doc_url.clone());
                return page.map(Outcome::CopyText).into_iter().collect();
            }
            KeyCode::Char('y') => return self.plain().map(Outcome::CopyText).into_iter().collect(),
            _ => return Vec::new(),
        };
        let (at, len) = (self.place(), self.len_of(self.place()));
        self.cursors[at].step(step, len);
        Vec::new()
    }

    /// Goes to the row of a refused write, or shows all of what else is selected.
    fn open(&self) -> Option<Outcome> {
        if let Some(write) = self.write_error() {
            return Some(match &write.row {
                Some(row) => Outcome::Load("looking for its row", Effect::LookForRow(row.clone())),
                None => Outcome::Say(Tone::Neutral, NO_ROW.to_owned()),
            });
        }
        let title = match (self.notification(), self.check()) {
            (Some(notification), _) => notification.event_type.clone(),
            (_, Some(check)) => check.name.clone(),
            _ => return None,
        };
        Some(Outcome::Info { title, text: self.plain()? })
    }

    /// Has what shows acknowledged, up to the newest of it: what comes meanwhile was shown to nobody.
    fn acknowledge(&self) -> Option<Outcome> {
        let ListState::Told { listed: HerokuListed::Notifications(told), .. } = self.state() else {
            return None;
        };
        if told.items.is_empty() {
            let why = if told.gap("").is_some() { NONE_CAME } else { "there is nothing to acknowledge" };
            return Some(Outcome::Say(Tone::Neutral, why.to_owned()));
        }
        let newest = told.items.iter().filter_map(|of| of.created_at).max();
        let Some(newest) = newest else { return Some(Outcome::Say(Tone::Neutral, NO_TIME.to_owned())) };
        let before = Some(newest.to_rfc3339_opts(SecondsFormat::AutoSi, true));
        Some(Outcome::AcknowledgeHeroku {
            filter: NotificationFilter { before, ..NotificationFilter::default() },
            count: told.items.len(),
            is_whole: told.gap("").is_none(),
        })
    }

    /// All of what is selected, as text.
    fn plain(&self) -> Option<String> {
        if let Some(RefusedWrite { told, .. }) = self.write_error() {
            return Some(format!("{} {} {}\n{}", told.id, told.table, told.row, told.message));
        }
        if let Some(notification) = self.notification() {
            return Some(format!("{}\n{}", notification.event_type, notification.message));
        }
        let check = self.check()?;
        let of = check.mapping.as_ref().map(|mapping| format!("{mapping}: ")).unwrap_or_default();
        let parts = [Some(&check.message), check.doc_url.as_ref()].into_iter().flatten();
        let parts: Vec<&str> = parts.map(String::as_str).filter(|part| !part.is_empty()).collect();
        Some(format!("{}: {of}{}\n{}", check.outcome.word(), check.name, parts.join("\n")))
    }
}

/// How many checks came out so.
fn outcomes(checks: &[ToldCheck], outcome: CheckOutcome) -> usize {
    checks.iter().filter(|check| check.outcome == outcome).count()
}
