//! Slack: an incoming webhook, which writes a message each time, or a bot, whose message about a rule is changed where it
//! is until the last alert of the rule is over.

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{DeliveryFailure, Out, Reason, Sender, answer, secret};
use crate::alerts::text::{Text, state};
use crate::config::channel::Secret;
use crate::domain::alert::message::{Message, MessageChange};
use crate::domain::alert::rule::Severity;

/// A bot, and where it writes.
pub(super) struct Bot<'a> {
    pub(super) token: &'a Secret,
    pub(super) to: &'a str,
    pub(super) api_url: &'a str,
}

/// A section's text may have 3,000 characters.
const SECTION: usize = 2_900;
/// A message may have 50 blocks.
const BLOCKS: usize = 14;

pub(super) async fn hook(
    sender: &Sender,
    url: &Secret,
    values: bool,
    out: &Out<'_>,
) -> Result<(), DeliveryFailure> {
    let request = sender.post(secret(url)?.expose_secret())?.json(&content(out.message, values));
    answer(request, out.now).await.map(drop)
}

/// Posts a message, or changes the one that is there. Returns where it is.
pub(super) async fn post(
    sender: &Sender,
    bot: &Bot<'_>,
    values: bool,
    out: &Out<'_>,
) -> Result<Value, DeliveryFailure> {
    let content = content(out.message, values);
    // A change makes no sound: what goes on for hours, or begins anew, is posted below.
    let is_change = !out.message.items.iter().any(|item| matches!(item.change, MessageChange::Still));
    if let Some(place) = out.place.as_ref().filter(|_| is_change) {
        let mut update = content.clone();
        update["channel"] = place["channel"].clone();
        update["ts"] = place["ts"].clone();
        match call(sender, bot, "chat.update", &update, out).await {
            Ok(_) => return Ok(place.clone()),
            // It was removed, or is too old.
            Err(failure) if failure.reason == Reason::Refused => {}
            Err(failure) => return Err(failure),
        }
    }
    let mut post = content;
    post["channel"] = bot.to.into();
    let answer = call(sender, bot, "chat.postMessage", &post, out).await?;
    Ok(json!({"channel": answer["channel"], "ts": answer["ts"]}))
}

async fn call(
    sender: &Sender,
    bot: &Bot<'_>,
    method: &str,
    content: &Value,
    out: &Out<'_>,
) -> Result<Value, DeliveryFailure> {
    let token = secret(bot.token)?;
    let request = sender.post(&format!("{}/{method}", bot.api_url))?.bearer_auth(token.expose_secret());
    let body = answer(request.json(content), out.now).await?;
    let told: Value = serde_json::from_str(&body)
        .map_err(|_| DeliveryFailure::new(Reason::Unreachable, "what it answers is not Slack's"))?;
    if told["ok"] == true {
        return Ok(told);
    }
    let error = told["error"].as_str().unwrap_or("no reason given");
    let reason = match error {
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired"
        | "missing_scope" | "no_permission" | "org_login_required" => Reason::Auth,
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => Reason::Rate,
        "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" => Reason::Unreachable,
        _ => Reason::Refused,
    };
    Err(DeliveryFailure::new(reason, format!("Slack says {error}")))
}

/// A message as Slack shows it, with the same as plain text for its notices.
fn content(message: &Message, values: bool) -> Value {
    let text = Text::of(message, values);
    let title = format!("{} {}", sign(message), escaped(&text.title));
    let mut blocks = vec![section(&format!("*{title}*"))];
    for lines in text.paragraphs.iter().take(BLOCKS) {
        let lines: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
        blocks.push(section(&lines.join("\n")));
    }
    json!({"text": title, "blocks": blocks, "unfurl_links": false})
}

fn section(text: &str) -> Value {
    let text: String = text.chars().take(SECTION).collect();
    json!({"type": "section", "text": {"type": "mrkdwn", "text": text}})
}

fn sign(message: &Message) -> &'static str {
    match (state(message), message.severity) {
        ("RESOLVED", _) => ":white_check_mark:",
        (_, Severity::Critical) => ":rotating_light:",
        (_, Severity::Warning) => ":warning:",
        (_, Severity::Info) => ":information_source:",
    }
}

/// What Slack reads as its own signs, made harmless: no `<!channel>` of somebody's data calls everybody.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::text::tests::message;

    #[test]
    fn data_calls_nobody_and_a_message_keeps_slacks_limits() {
        let mut hostile = message();
        hostile.items[0].headline = "<!channel> & <@U1>".to_owned();
        let item = hostile.items[0].clone();
        hostile.items = (0..40).map(|_| item.clone()).collect();
        let content = content(&hostile, true);
        assert!(!content.to_string().contains("<!channel>") && !content.to_string().contains("<@U1>"));
        let blocks = content["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50 && blocks.len() > 10, "{}", blocks.len());
        for block in blocks {
            assert!(block["text"]["text"].as_str().unwrap().chars().count() <= 3_000);
        }
    }
}
