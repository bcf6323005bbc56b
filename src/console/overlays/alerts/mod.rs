//! Alerts: what fires, what is silenced, how the channels are, and what was told through them. An operator silences or
//! acknowledges here, and goes to the errors behind an alert.

mod view;

use crossterm::event::{KeyCode, KeyEvent};

use crate::client::alerts::{AlertsView, ChannelState, ListedAlert, ToldMessage};
use crate::console::context::Tone;
use crate::console::effect::{AlertChange, Effect};
use crate::console::outcome::Outcome;
use crate::console::widgets::cursor::{Cursor, Step};
use crate::domain::alert::life::AlertPhase;
use crate::domain::alert::rule::Silence;

pub use view::draw;

/// The source of the log that has what the demo's receiver got.
pub const RECEIVER: &str = "alerts";

/// What is listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlertsTab {
    /// Alerts, those that fire first.
    #[default]
    Alerts,
    /// What is silenced.
    Silences,
    /// Where alerts are told.
    Channels,
    /// What was told, newest first.
    Messages,
}

impl AlertsTab {
    /// In their order.
    pub const ALL: [AlertsTab; 4] =
        [AlertsTab::Alerts, AlertsTab::Silences, AlertsTab::Channels, AlertsTab::Messages];

    fn place(self) -> usize {
        AlertsTab::ALL.iter().position(|tab| *tab == self).unwrap_or(0)
    }
}

/// A channel as it is configured and as it is.
#[derive(Clone, Debug, PartialEq)]
struct ChannelLine<'a> {
    name: &'a str,
    kind: &'a str,
    /// What became of its messages; nothing before the first one.
    state: Option<&'a ChannelState>,
    waiting: i64,
}

/// The lists.
#[derive(Debug, Default)]
pub struct AlertsOverlay {
    /// How alerts stand, once known.
    view: Option<AlertsView>,
    /// Why nothing newer is known.
    refusal: Option<String>,
    tab: AlertsTab,
    cursors: [Cursor; 4],
    /// The channel whose messages alone are listed.
    only: Option<String>,
    /// Whether the selected line left the list, and no key has come since.
    went_on: bool,
}

impl AlertsOverlay {
    /// Takes in how alerts stand; what is selected stays selected.
    pub fn take(&mut self, view: AlertsView) {
        let selected =
            AlertsTab::ALL.map(|tab| self.names(tab).into_iter().nth(self.cursors[tab.place()].at));
        self.view = Some(view);
        self.refusal = None;
        for (tab, selected) in AlertsTab::ALL.into_iter().zip(selected) {
            let names = self.names(tab);
            let place = names.iter().position(|name| Some(name) == selected.as_ref());
            let cursor = &mut self.cursors[tab.place()];
            cursor.at = place.unwrap_or(cursor.at);
            cursor.step(Step::Lines(0), names.len());
            // What was selected is gone: the next key is about a line that nobody has looked at.
            self.went_on |= tab == self.tab && selected.is_some() && place.is_none();
        }
    }

    /// What tells the lines of a list apart.
    fn names(&self, tab: AlertsTab) -> Vec<String> {
        match tab {
            AlertsTab::Alerts => self.alerts().iter().map(|alert| alert.name.clone()).collect(),
            AlertsTab::Silences => self.silences().iter().map(|silence| silence.id.to_string()).collect(),
            AlertsTab::Channels => self.channels().iter().map(|channel| channel.name.to_owned()).collect(),
            AlertsTab::Messages => self.messages().iter().map(|told| told.posted.id.to_string()).collect(),
        }
    }

    /// It could not be asked; what was known stays.
    pub fn refuse(&mut self, why: String) {
        self.refusal = Some(why);
    }

    fn alerts(&self) -> &[ListedAlert] {
        self.view.as_ref().map_or(&[], |view| &view.alerts)
    }

    fn silences(&self) -> &[Silence] {
        self.view.as_ref().map_or(&[], |view| &view.silences)
    }

    fn messages(&self) -> Vec<&ToldMessage> {
        let all = self.view.iter().flat_map(|view| &view.messages);
        all.filter(|told| self.only.as_ref().is_none_or(|channel| *channel == told.posted.channel)).collect()
    }

    /// The channels of the configuration, and those that are known from messages alone.
    fn channels(&self) -> Vec<ChannelLine<'_>> {
        let Some(view) = &self.view else { return Vec::new() };
        let line = |name: &'_ str| {
            let waiting = view.waiting.iter().find(|waiting| waiting.channel == name);
            (view.channels.iter().find(|state| state.name == name), waiting.map_or(0, |of| of.count))
        };
        let configured = view.configured.channels.iter().map(|(name, kind)| (name.as_str(), kind.as_str()));
        let is_configured = |name: &str| view.configured.channels.iter().any(|(known, _)| known == name);
        let others = view.channels.iter().filter(|state| !is_configured(&state.name));
        configured
            .chain(others.map(|state| (state.name.as_str(), "")))
            .map(|(name, kind)| {
                let (state, waiting) = line(name);
                ChannelLine { name, kind, state, waiting }
            })
            .collect()
    }

    fn len(&self, tab: AlertsTab) -> usize {
        match tab {
            AlertsTab::Alerts => self.alerts().len(),
            AlertsTab::Silences => self.silences().len(),
            AlertsTab::Channels => self.channels().len(),
            AlertsTab::Messages => self.messages().len(),
        }
    }

    fn cursor(&self) -> Cursor {
        self.cursors[self.tab.place()]
    }

    fn selected(&self) -> Option<&ListedAlert> {
        self.alerts().get(self.cursors[AlertsTab::Alerts.place()].at)
    }

    fn turn(&mut self, by: usize) {
        let all = AlertsTab::ALL.len();
        self.tab = AlertsTab::ALL[(self.tab.place() + by) % all];
        self.only = None;
    }

    /// A key.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Outcome> {
        let went_on = std::mem::take(&mut self.went_on);
        let step = match key.code {
            KeyCode::Esc | KeyCode::Char('q') if self.only.take().is_some() => {
                self.tab = AlertsTab::Channels;
                return Vec::new();
            }
            KeyCode::Esc | KeyCode::Char('q') => return vec![Outcome::Close],
            KeyCode::Tab | KeyCode::Right | KeyCode::Char(']') => {
                self.turn(1);
                return Vec::new();
            }
            KeyCode::BackTab | KeyCode::Left | KeyCode::Char('[') => {
                self.turn(AlertsTab::ALL.len() - 1);
                return Vec::new();
            }
            KeyCode::Char('v') => return vec![Outcome::ReadReceived],
            KeyCode::Char('j') | KeyCode::Down => Step::Lines(1),
            KeyCode::Char('k') | KeyCode::Up => Step::Lines(-1),
            KeyCode::PageDown => Step::Lines(10),
            KeyCode::PageUp => Step::Lines(-10),
            KeyCode::Char('g') | KeyCode::Home => Step::First,
            KeyCode::Char('G') | KeyCode::End => Step::Last,
            _ if went_on => {
                let text = "the list went on: look at it, then press the key again";
                return vec![Outcome::Say(Tone::Neutral, text.to_owned())];
            }
            code => return self.act(code),
        };
        let len = self.len(self.tab);
        self.cursors[self.tab.place()].step(step, len);
        Vec::new()
    }

    /// A key about the selected line.
    fn act(&mut self, code: KeyCode) -> Vec<Outcome> {
        match (self.tab, code) {
            (AlertsTab::Alerts, code) => self.act_on_alert(code),
            (AlertsTab::Silences, KeyCode::Char('e')) => {
                let silence = self.silences().get(self.cursor().at).map(|silence| silence.id);
                silence
                    .map(|id| Outcome::Effect(Effect::Alert(AlertChange::EndSilence(id))))
                    .into_iter()
                    .collect()
            }
            (AlertsTab::Channels, KeyCode::Enter) => {
                let name = self.channels().get(self.cursor().at).map(|channel| channel.name.to_owned());
                if name.is_some() {
                    (self.only, self.tab) = (name, AlertsTab::Messages);
                    self.cursors[AlertsTab::Messages.place()] = Cursor::default();
                }
                Vec::new()
            }
            (AlertsTab::Messages, KeyCode::Enter) => {
                let messages = self.messages();
                let read = |told: &&ToldMessage| Outcome::Info {
                    title: told.title.clone(),
                    text: told.text.clone(),
                };
                messages.get(self.cursor().at).map(read).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn act_on_alert(&self, code: KeyCode) -> Vec<Outcome> {
        let Some(alert) = self.selected() else { return Vec::new() };
        let subject = Some(alert.subject.clone()).filter(|subject| !subject.is_empty());
        let rule = alert.rule.clone();
        match code {
            KeyCode::Enter => match alert.filter() {
                Some(filter) => Outcome::List { filter, label: Some(alert.headline.clone()) }.closing(),
                None => vec![Outcome::Say(Tone::Neutral, "this alert is about no errors".to_owned())],
            },
            KeyCode::Char('a') if alert.state == AlertPhase::Firing => {
                vec![Outcome::AskAcknowledge { rule, subject }]
            }
            KeyCode::Char('a') => vec![Outcome::Say(Tone::Neutral, "it does not fire".to_owned())],
            KeyCode::Char('s') => vec![Outcome::AskSilence { rule: Some(rule), subject }],
            KeyCode::Char('S') => vec![Outcome::AskSilence { rule: Some(rule), subject: None }],
            KeyCode::Char('e') => match alert.silence {
                Some(id) => vec![Outcome::Effect(Effect::Alert(AlertChange::EndSilence(id)))],
                None => vec![Outcome::Say(Tone::Neutral, "nothing silences it".to_owned())],
            },
            _ => Vec::new(),
        }
    }
}
