//! Any program that takes webhooks, by Standard Webhooks: `webhook-id`, `webhook-timestamp`, and `webhook-signature` with
//! HMAC-SHA256 where there is a secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{KeyInit, Mac};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{DeliveryFailure, Out, Reason, Sender, answer, secret};
use crate::alerts::text::{Text, command, record_link};
use crate::config::channel::Secret;
use crate::domain::alert::message::{Message, MessageChange};

/// Where it goes, and how it is proved.
pub(super) struct Hook<'a> {
    pub(super) url: &'a Secret,
    pub(super) secret: Option<&'a Secret>,
    pub(super) headers: &'a [(String, Secret)],
}

pub(super) async fn send(
    sender: &Sender,
    hook: &Hook<'_>,
    values: bool,
    out: &Out<'_>,
) -> Result<(), DeliveryFailure> {
    let body = serde_json::to_string(&body(out.message, values)).unwrap_or_default();
    let timestamp = out.now.timestamp().to_string();
    let mut request = sender
        .post(secret(hook.url)?.expose_secret())?
        .header(CONTENT_TYPE, "application/json")
        .header("webhook-id", out.id)
        .header("webhook-timestamp", &timestamp);
    if let Some(key) = hook.secret {
        let signature = signature(secret(key)?.expose_secret(), out.id, &timestamp, &body)?;
        request = request.header("webhook-signature", signature);
    }
    for (name, value) in hook.headers {
        let value = secret(value)?;
        let wrong =
            |_| DeliveryFailure::new(Reason::Unset, format!("the value of the header {name} cannot be sent"));
        let mut value = HeaderValue::from_str(value.expose_secret()).map_err(wrong)?;
        value.set_sensitive(true);
        let name: HeaderName =
            name.parse().map_err(|_| DeliveryFailure::new(Reason::Unset, format!("{name} is no header")))?;
        request = request.header(name, value);
    }
    answer(request.body(body), out.now).await.map(drop)
}

/// `v1,` and what proves that whoever has the secret sent it. Secrets are written as `whsec_` and base64; one that is not
/// is taken as it stands.
fn signature(secret: &str, id: &str, timestamp: &str, body: &str) -> Result<String, DeliveryFailure> {
    let written = secret.strip_prefix("whsec_").unwrap_or(secret);
    let key = STANDARD.decode(written).unwrap_or_else(|_| secret.as_bytes().to_vec());
    let mut hash = hmac::Hmac::<sha2::Sha256>::new_from_slice(&key)
        .map_err(|_| DeliveryFailure::new(Reason::Unset, "its secret cannot sign"))?;
    hash.update(format!("{id}.{timestamp}.{body}").as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(hash.finalize().into_bytes())))
}

/// What is sent: `type` and `timestamp` as Standard Webhooks wants them, and the alerts as they are, with their words.
pub(super) fn body(message: &Message, values: bool) -> Value {
    let text = Text::of(message, values);
    let alerts: Vec<Value> = message
        .items
        .iter()
        .map(|item| {
            let examples: Vec<Value> = item
                .examples
                .iter()
                .map(|example| {
                    let mut told = json!({"error": example.error, "mapping": example.mapping, "row": example.row,
                        "sfid": example.sfid, "fields": example.fields});
                    if values && !example.message.is_empty() {
                        told["message"] = example.message.clone().into();
                    }
                    told
                })
                .collect();
            json!({
                "incident": item.incident,
                "subject": item.subject,
                "change": item.change,
                "headline": item.headline,
                "why": item.why,
                "mapping": item.mapping,
                "group": item.cause,
                "count": item.count,
                "examples": examples,
                "fired_at": item.fired_at,
                "resolved_at": item.over_at,
                "acknowledged_by": item.acknowledged.as_ref().map(|(by, _)| by),
                "link": record_link(message, item),
                "command": command(message, item),
            })
        })
        .collect();
    let kind = match (message.digest, message.items.iter().all(|item| item.change == MessageChange::Over)) {
        (true, _) => "alert.digest",
        (false, true) => "alert.resolved",
        (false, false) if message.items.iter().all(|item| item.change == MessageChange::Acknowledged) => {
            "alert.acknowledged"
        }
        (false, false) => "alert.firing",
    };
    json!({
        "type": kind,
        "timestamp": message.at,
        "data": {
            "connection": message.connection,
            "environment": message.environment,
            "rule": message.rule,
            "severity": message.severity,
            "title": text.title,
            "text": text.plain(),
            "alerts": alerts,
            "omitted": message.omitted,
            "also_firing": message.also,
            "firing": message.firing,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::text::tests::message;

    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        // The example of the specification's own libraries.
        let signature = signature(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            "{\"test\": 2432232314}",
        );
        assert_eq!(signature.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_body_has_all_that_is_known_and_values_only_where_they_may_be() {
        let body = body(&message(), false);
        assert_eq!(
            (&body["type"], &body["data"]["alerts"][0]["count"]),
            (&json!("alert.firing"), &json!(10_001))
        );
        assert!(!body.to_string().contains("jane"), "{body}");
        let told = super::body(&message(), true);
        assert!(told["data"]["alerts"][0]["examples"][0]["message"].as_str().unwrap().contains("jane"));
    }
}
