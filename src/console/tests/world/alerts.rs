//! Alerts as a console may find them, and lives of causes.

use chrono::TimeDelta;

use super::now;
use crate::client::alerts::{
    AlertsView, ChannelState, Configured, ListedAlert, Posted, ToldMessage, WaitingMessage,
};
use crate::domain::alert::life::AlertPhase;
use crate::domain::alert::message::{Message, MessageChange, MessageItem};
use crate::domain::alert::rule::{Severity, Silence};
use crate::domain::errors::cause::{CauseState, Life};
use crate::domain::state::{ChannelHealth, DeliveryState};

pub fn listed(rule: &str, subject: &str, state: AlertPhase, headline: &str) -> ListedAlert {
    ListedAlert {
        name: if subject.is_empty() { rule.to_owned() } else { format!("{rule}:{subject}") },
        rule: rule.to_owned(),
        subject: subject.to_owned(),
        state,
        since: now() - TimeDelta::minutes(12),
        fired_at: Some(now() - TimeDelta::minutes(11)),
        headline: headline.to_owned(),
        why: None,
        told_at: None,
        acknowledged_by: None,
        note: None,
        silence: None,
        severity: Some(Severity::Warning),
        mapping: None,
        cause: None,
        count: 0,
    }
}

fn message(rule: &str, headline: &str) -> Message {
    let item = MessageItem {
        incident: "i1".to_owned(),
        subject: "8fb2".to_owned(),
        change: MessageChange::Fired,
        headline: headline.to_owned(),
        why: None,
        mapping: Some("Contact".to_owned()),
        cause: Some("8fb2".to_owned()),
        count: Some(44),
        examples: Vec::new(),
        fired_at: Some(now()),
        over_at: None,
        acknowledged: None,
    };
    Message {
        connection: "acme".to_owned(),
        environment: "demo".to_owned(),
        rule: rule.to_owned(),
        severity: Severity::Warning,
        episode: "e".to_owned(),
        at: now(),
        digest: false,
        items: vec![item],
        omitted: 0,
        also: Vec::new(),
        firing: 1,
        instance_url: None,
        option: String::new(),
    }
}

pub fn told(id: i64, channel: &str, state: DeliveryState, title: &str) -> ToldMessage {
    let failed = matches!(state, DeliveryState::Failed | DeliveryState::Dropped);
    let posted = Posted {
        id,
        channel: channel.to_owned(),
        message: message("new_cause", title),
        state,
        created_at: now() - TimeDelta::minutes(20 - id),
        next_try: now() + TimeDelta::minutes(3),
        attempts: 4,
        reason: failed.then(|| "auth".to_owned()),
        detail: failed.then(|| "401: the token is not accepted".to_owned()),
        done_at: (state == DeliveryState::Sent).then(|| now() - TimeDelta::minutes(19 - id)),
    };
    let text = "Firing: a new cause: Contact: Invalid e-mail address (Email)\nOpen errors: 44\n\
                Open it with: syncdeck errors --where group:8fb2";
    ToldMessage { posted, title: format!("[acme/demo] FIRING: {title}"), text: text.to_owned() }
}

/// Some that fire, one silenced, one in hand; a channel that fails.
pub fn alerts_view() -> AlertsView {
    let cause = "a new cause: Contact: Invalid e-mail address (Email) [INVALID_EMAIL_ADDRESS]";
    let back = "back again: Contact: A rule of the org refuses it [FIELD_CUSTOM_VALIDATION_EXCEPTION]";
    let silenced = ListedAlert {
        silence: Some(3),
        ..listed("many", "", AlertPhase::Firing, "231 open errors, more than 100")
    };
    let in_hand = ListedAlert {
        acknowledged_by: Some("ada@ops".to_owned()),
        note: Some("the rule is being changed".to_owned()),
        cause: Some("03aa".to_owned()),
        mapping: Some("Contact".to_owned()),
        count: 187,
        ..listed("cause_back", "03aa", AlertPhase::Firing, back)
    };
    AlertsView {
        alerts: vec![
            ListedAlert {
                cause: Some("8fb2".to_owned()),
                mapping: Some("Contact".to_owned()),
                why: Some("Salesforce takes no such address.".to_owned()),
                told_at: Some(now() - TimeDelta::minutes(11)),
                severity: Some(Severity::Critical),
                count: 44,
                ..listed("new_cause", "8fb2", AlertPhase::Firing, cause)
            },
            in_hand,
            silenced,
            listed(
                "login_lost",
                "",
                AlertPhase::Pending,
                "the connection to Salesforce is unauthorized, and 12 changes wait",
            ),
            ListedAlert {
                mapping: Some("Account".to_owned()),
                since: now() - TimeDelta::days(2),
                ..listed(
                    "blocked",
                    "Account",
                    AlertPhase::Over,
                    "Account: the oldest of 3 blocked rows waits for 90 min",
                )
            },
        ],
        silences: vec![Silence {
            id: 3,
            rule: Some("many".to_owned()),
            subject: None,
            until: now() + TimeDelta::hours(2),
            note: "a load runs".to_owned(),
            actor: "ada@ops".to_owned(),
            at: now(),
        }],
        channels: vec![
            ChannelState {
                name: "ops".to_owned(),
                state: ChannelHealth::Ok,
                since: now() - TimeDelta::days(1),
                reason: None,
                detail: None,
                stamp: String::new(),
            },
            ChannelState {
                name: "page".to_owned(),
                state: ChannelHealth::Failing,
                since: now() - TimeDelta::minutes(9),
                reason: Some("auth".to_owned()),
                detail: Some("401: the token is not accepted".to_owned()),
                stamp: String::new(),
            },
        ],
        waiting: vec![WaitingMessage { channel: "page".to_owned(), count: 2, next_try: now() }],
        messages: vec![
            told(4, "page", DeliveryState::Failed, cause),
            told(3, "ops", DeliveryState::Sent, cause),
            told(2, "page", DeliveryState::Queued, back),
            told(1, "ops", DeliveryState::Dropped, back),
        ],
        configured: Configured {
            rules: vec![("new_cause".to_owned(), Severity::Critical), ("many".to_owned(), Severity::Warning)],
            channels: vec![
                ("ops".to_owned(), "slack".to_owned()),
                ("page".to_owned(), "pagerduty".to_owned()),
                ("mail".to_owned(), "email".to_owned()),
            ],
        },
    }
}

/// The life of a cause that nobody said anything about.
pub fn life(state: CauseState) -> Life {
    Life {
        state,
        since: now() - TimeDelta::hours(3),
        first_seen: now() - TimeDelta::hours(3),
        mended_at: None,
        returns: 0,
        ever: 230,
        owner: None,
        note: None,
        muted: None,
        grouped_by: vec![
            ("mapping".to_owned(), "Contact".to_owned()),
            ("code".to_owned(), "INVALID_EMAIL_ADDRESS".to_owned()),
            ("form of the message".to_owned(), "Email: invalid email address: …".to_owned()),
        ],
    }
}

/// The same of one that is muted.
pub fn muted() -> Life {
    Life {
        owner: Some("ada@ops".to_owned()),
        note: Some("asked marketing".to_owned()),
        muted: Some("until 100 more by ada@ops".to_owned()),
        ..life(CauseState::Quiet)
    }
}
