//! PagerDuty's Events API v2: an event each alert, by which its incident is triggered, acknowledged and resolved.

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{DeliveryFailure, Out, Sender, answer, secret};
use crate::alerts::text::{Text, command, record_link};
use crate::config::channel::Secret;
use crate::domain::alert::message::{Message, MessageChange, MessageItem};
use crate::domain::alert::rule::Severity;

/// A summary may have so many characters.
const SUMMARY: usize = 1_024;

pub(super) async fn send(
    sender: &Sender,
    routing_key: &Secret,
    api_url: &str,
    values: bool,
    out: &Out<'_>,
) -> Result<(), DeliveryFailure> {
    let key = secret(routing_key)?;
    for item in &out.message.items {
        // Sent twice, an event changes nothing: its incident has a name.
        let mut event = event(out.message, item, values);
        event["routing_key"] = key.expose_secret().into();
        let request = sender.post(&format!("{api_url}/v2/enqueue"))?.json(&event);
        answer(request, out.now).await?;
    }
    Ok(())
}

/// An event, but for the key.
fn event(message: &Message, item: &MessageItem, values: bool) -> Value {
    let action = match item.change {
        MessageChange::Fired | MessageChange::More | MessageChange::Still => "trigger",
        MessageChange::Acknowledged => "acknowledge",
        MessageChange::Over => "resolve",
    };
    let mut event = json!({"event_action": action, "dedup_key": format!("syncdeck-{}", item.incident)});
    if action != "trigger" {
        return event;
    }
    let one = Message { items: vec![item.clone()], omitted: 0, also: Vec::new(), ..message.clone() };
    let text = Text::of(&one, values);
    let severity = match message.severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    };
    event["payload"] = json!({
        "summary": text.title.chars().take(SUMMARY).collect::<String>(),
        "source": format!("{}/{}", message.connection, message.environment),
        "severity": severity,
        "timestamp": item.fired_at.unwrap_or(message.at),
        "component": item.mapping,
        "group": message.connection,
        "class": message.rule,
        "custom_details": {
            "text": text.plain(),
            "command": command(message, item),
            "open_errors": item.count,
        },
    });
    event["client"] = "syncdeck".into();
    if let Some(link) = record_link(message, item) {
        event["links"] = json!([{"href": link, "text": "The first record in Salesforce"}]);
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::text::tests::message;

    #[test]
    fn one_incident_is_triggered_acknowledged_and_resolved_by_one_name() {
        let message = message();
        let actions =
            [MessageChange::Fired, MessageChange::Still, MessageChange::Acknowledged, MessageChange::Over]
                .map(|change| {
                    let event = event(&message, &MessageItem { change, ..message.items[0].clone() }, false);
                    assert_eq!(event["dedup_key"], "syncdeck-1f1b12");
                    event["event_action"].as_str().unwrap().to_owned()
                });
        assert_eq!(actions, ["trigger", "trigger", "acknowledge", "resolve"]);
        let event = event(&message, &message.items[0], false);
        assert_eq!(
            (&event["payload"]["severity"], &event["payload"]["source"]),
            (&json!("critical"), &json!("acme/prod"))
        );
        assert!(!event.to_string().contains("jane"));
    }
}
