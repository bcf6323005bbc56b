//! Alerts at the door: how they stand, what is silenced, how the channels are, and what operators do about them.

use std::time::Duration;

use chrono::TimeDelta;

use crate::alerts::text::Text;
use crate::domain::alert::rule::Silence;
use crate::postgres::reports::alerts::name_of;

pub use crate::postgres::reports::alert_lists::{Configured, Posted};
pub use crate::postgres::reports::alerts::{ChannelState, ListedAlert, WaitingMessage};

use super::api::{Client, ClientError};

/// Messages that are looked at.
const MESSAGES: i64 = 40;

/// A message in words.
#[derive(Clone, Debug, PartialEq)]
pub struct ToldMessage {
    /// The message, and how its delivery went.
    pub posted: Posted,
    /// What it is about, in a line.
    pub title: String,
    /// All of it.
    pub text: String,
}

impl ToldMessage {
    fn of(posted: Posted) -> ToldMessage {
        // Whoever looks here may look at the errors as well; what no channel may have is in none of them.
        let words = Text::of(&posted.message, true);
        ToldMessage { title: words.title.clone(), text: words.plain(), posted }
    }
}

/// How alerts stand.
#[derive(Clone, Debug, Default)]
pub struct AlertsView {
    /// Those that there are, those that fire first.
    pub alerts: Vec<ListedAlert>,
    /// What is silenced now.
    pub silences: Vec<Silence>,
    /// Channels that something was sent to.
    pub channels: Vec<ChannelState>,
    /// What waits for which channel.
    pub waiting: Vec<WaitingMessage>,
    /// What was told last, newest first.
    pub messages: Vec<ToldMessage>,
    /// What the configuration has.
    pub configured: Configured,
}

impl Client {
    /// How alerts stand.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn alerts(&self) -> Result<AlertsView, ClientError> {
        let now = self.own()?.now().await?;
        let kept = self.own()?.kept_alerts(now).await?;
        Ok(AlertsView {
            alerts: self.own()?.listed_alerts(now).await?,
            silences: kept.silences,
            channels: kept.channels.into_values().collect(),
            waiting: self.own()?.waiting_messages().await?,
            messages: self.own()?.posted_messages(MESSAGES).await?.into_iter().map(ToldMessage::of).collect(),
            configured: self.own()?.configured_alerts().await?,
        })
    }

    /// Silences a rule, something of it, or everything, for a time. Returns the silence's number.
    ///
    /// # Errors
    /// When the database refuses it.
    pub async fn silence(
        &self,
        rule: Option<&str>,
        subject: Option<&str>,
        length: Duration,
        note: &str,
    ) -> Result<i64, ClientError> {
        let too_long = || ClientError::refused("a silence lasts for 365 days at most");
        let length = TimeDelta::from_std(length).ok().filter(|length| *length <= TimeDelta::days(365));
        let until = self.own()?.now().await? + length.ok_or_else(too_long)?;
        Ok(self.own()?.silence(rule, subject, until, note, &self.operation()).await?)
    }

    /// Ends a silence.
    ///
    /// # Errors
    /// When there is none of that number.
    pub async fn end_silence(&self, id: i64) -> Result<(), ClientError> {
        let none = || {
            ClientError::refused(format!("no silence {id} is in force\nlist them with: syncdeck alert list"))
        };
        self.own()?.end_silence(id, &self.operation()).await?.then_some(()).ok_or_else(none)
    }

    /// Takes alerts that fire in hand: all of a rule, or one. Returns their names.
    ///
    /// # Errors
    /// When none of that name fires.
    pub async fn acknowledge(
        &self,
        rule: &str,
        subject: Option<&str>,
        note: &str,
    ) -> Result<Vec<String>, ClientError> {
        let names = self.own()?.acknowledge_alerts(rule, subject, note, &self.operation()).await?;
        if names.is_empty() {
            let name = name_of(rule, subject.unwrap_or_default());
            return Err(ClientError::refused(format!(
                "no alert {name} fires\nlist them with: syncdeck alert list"
            )));
        }
        Ok(names)
    }
}
