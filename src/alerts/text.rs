//! What an alert says to people: how many, why, the first examples, where the record is, and the command that opens it. A
//! value of a row stands in it only where the channel may have values.

use chrono::{DateTime, Utc};

use crate::domain::alert::message::{Example, Message, MessageChange, MessageItem};
use crate::domain::values::size::thousands;
use crate::logs::sanitize::sanitize;
use crate::postgres::reports::alert_look::COUNTED;

/// Items that are told in words; the others are counted.
const TOLD: usize = 10;
/// A headline is never longer than this.
const LONGEST: usize = 300;

/// A message in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// One line.
    pub title: String,
    /// What it is about, an alert a paragraph.
    pub paragraphs: Vec<Vec<String>>,
}

impl Text {
    /// The words of a message, with values where they are allowed.
    pub fn of(message: &Message, values: bool) -> Text {
        let mut paragraphs: Vec<Vec<String>> =
            message.items.iter().take(TOLD).map(|item| item_lines(message, item, values)).collect();
        let rest = message.items.len().saturating_sub(TOLD) + message.omitted;
        if rest > 0 {
            paragraphs.push(vec![format!("and {} more", thousands(rest))]);
        }
        if !message.also.is_empty() {
            let mut lines = vec!["Also firing:".to_owned()];
            lines.extend(message.also.iter().map(|headline| format!("- {}", line(headline))));
            paragraphs.push(lines);
        }
        Text { title: title(message), paragraphs }
    }

    /// All of it, with empty lines between the paragraphs.
    pub fn plain(&self) -> String {
        let paragraphs: Vec<String> = self.paragraphs.iter().map(|lines| lines.join("\n")).collect();
        paragraphs.join("\n\n")
    }
}

/// The first word of a message: what it is above all.
pub fn state(message: &Message) -> &'static str {
    let has = |change: MessageChange| message.items.iter().any(|item| item.change == change);
    match () {
        () if message.digest => "DIGEST",
        () if has(MessageChange::Fired) => "FIRING",
        () if has(MessageChange::More) => "MORE",
        () if has(MessageChange::Still) => "STILL FIRING",
        () if has(MessageChange::Acknowledged) => "ACKNOWLEDGED",
        () => "RESOLVED",
    }
}

fn title(message: &Message) -> String {
    let (connection, environment) = (line(&message.connection), line(&message.environment));
    let lead = format!("[{connection}/{environment}] {}", state(message));
    match (message.items.as_slice(), message.omitted) {
        ([item], 0) => format!("{lead}: {}", line(&item.headline)),
        (items, omitted) => {
            let all = thousands(items.len() + omitted);
            format!("{lead}: {all} alerts of {}", line(&message.rule))
        }
    }
}

fn item_lines(message: &Message, item: &MessageItem, values: bool) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", word(item.change), line(&item.headline))];
    let time = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    if let Some(count) = item.count {
        let counted = if count > COUNTED {
            format!("more than {}", thousands(usize::try_from(COUNTED).unwrap_or_default()))
        } else {
            thousands(usize::try_from(count).unwrap_or_default())
        };
        lines.push(format!("Open errors: {counted}"));
    }
    match (item.fired_at, item.over_at) {
        (Some(fired), Some(over)) => lines.push(format!("From {} to {}", time(fired), time(over))),
        (Some(fired), None) => lines.push(format!("Since {}", time(fired))),
        _ => {}
    }
    if let Some(why) = &item.why {
        lines.push(format!("Why: {}", line(why)));
    }
    if let Some((by, note)) = &item.acknowledged {
        let note = if note.is_empty() { String::new() } else { format!(": {}", line(note)) };
        lines.push(format!("In hand: {}{note}", line(by)));
    }
    for example in &item.examples {
        lines.push(example_line(example, values));
    }
    if let Some(link) = record_link(message, item) {
        lines.push(format!("In Salesforce: {link}"));
    }
    lines.push(format!("Open it with: {}", command(message, item)));
    lines
}

fn word(change: MessageChange) -> &'static str {
    match change {
        MessageChange::Fired => "Firing",
        MessageChange::More => "More",
        MessageChange::Still => "Still firing",
        MessageChange::Acknowledged => "Acknowledged",
        MessageChange::Over => "Resolved",
    }
}

/// `e.g. error 12: Contact row 42, record 003..., Email`, with its message where values are allowed.
fn example_line(example: &Example, values: bool) -> String {
    let mut text = format!("e.g. error {}: {}", example.error, line(&example.mapping));
    if let Some(row) = example.row {
        text.push_str(&format!(" row {row}"));
    }
    if let Some(sfid) = &example.sfid {
        text.push_str(&format!(", record {}", line(sfid)));
    }
    if !example.fields.is_empty() {
        text.push_str(&format!(", {}", line(&example.fields.join(", "))));
    }
    if values && !example.message.is_empty() {
        text.push_str(&format!(": {}", line(&example.message)));
    }
    text
}

/// Where the first record is that has an address of its own.
pub fn record_link(message: &Message, item: &MessageItem) -> Option<String> {
    let url = message.instance_url.as_ref()?;
    let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let found = item.examples.iter().find_map(|example| Some((&example.mapping, example.sfid.as_ref()?)));
    let (object, sfid) = found.filter(|(object, sfid)| is_plain(object) && is_plain(sfid))?;
    Some(format!("{url}/lightning/r/{object}/{sfid}/view"))
}

/// The command that shows what an alert is about.
pub fn command(message: &Message, item: &MessageItem) -> String {
    let what = match (&item.cause, &item.mapping) {
        (Some(cause), _) if item.count == Some(1) => match item.examples.first() {
            Some(example) => format!("show {}", example.error),
            None => format!("errors --where group:{cause}"),
        },
        (Some(cause), _) => format!("errors --where group:{cause}"),
        (None, Some(mapping)) => format!("mapping {mapping}"),
        (None, None) => "status".to_owned(),
    };
    format!("syncdeck{} {what}", message.option)
}

/// A text on one line, of a length that a person reads, with nothing in it that steers a terminal or a mail program.
fn line(text: &str) -> String {
    let clean = sanitize(text).replace(['\n', '\r', '\t'], " ");
    match clean.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &clean[..at]),
        None => clean,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::alert::rule::Severity;

    pub(in crate::alerts) fn message() -> Message {
        let fired = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let example = Example {
            error: 12,
            mapping: "Contact".to_owned(),
            row: Some(42),
            sfid: Some("003000000000001AAA".to_owned()),
            fields: vec!["Email".to_owned()],
            message: "Email: invalid email address: jane@acme,com".to_owned(),
        };
        let item = MessageItem {
            incident: "1f1b12".to_owned(),
            subject: "8fb2".to_owned(),
            change: MessageChange::Fired,
            headline: "Contact: Invalid e-mail address (Email) [INVALID_EMAIL_ADDRESS]".to_owned(),
            why: Some("The address is none.".to_owned()),
            mapping: Some("Contact".to_owned()),
            cause: Some("8fb2".to_owned()),
            count: Some(10_001),
            examples: vec![example],
            fired_at: Some(fired),
            over_at: None,
            acknowledged: None,
        };
        Message {
            connection: "acme".to_owned(),
            environment: "prod".to_owned(),
            rule: "new_cause".to_owned(),
            severity: Severity::Critical,
            episode: "e1".to_owned(),
            at: fired,
            digest: false,
            items: vec![item],
            omitted: 0,
            also: vec!["Lead: Row locked [UNABLE_TO_LOCK_ROW]".to_owned()],
            firing: 2,
            instance_url: Some("https://acme.my.salesforce.com".to_owned()),
            option: " --connection acme".to_owned(),
        }
    }

    #[test]
    fn a_text_has_count_cause_examples_link_and_command_and_values_only_where_they_may_be() {
        let text = Text::of(&message(), false);
        assert_eq!(
            text.title,
            "[acme/prod] FIRING: Contact: Invalid e-mail address (Email) [INVALID_EMAIL_ADDRESS]"
        );
        assert_eq!(
            text.plain(),
            "Firing: Contact: Invalid e-mail address (Email) [INVALID_EMAIL_ADDRESS]\nOpen errors: more than 10,000\n\
             Since 2024-10-04 00:00:00 UTC\nWhy: The address is none.\n\
             e.g. error 12: Contact row 42, record 003000000000001AAA, Email\n\
             In Salesforce: https://acme.my.salesforce.com/lightning/r/Contact/003000000000001AAA/view\n\
             Open it with: syncdeck --connection acme errors --where group:8fb2\n\n\
             Also firing:\n- Lead: Row locked [UNABLE_TO_LOCK_ROW]"
        );
        assert!(!text.plain().contains("jane"));
        assert!(
            Text::of(&message(), true)
                .plain()
                .contains(", Email: Email: invalid email address: jane@acme,com")
        );
        let mut one = message();
        one.items[0].count = Some(1);
        assert_eq!(command(&one, &one.items[0]), "syncdeck --connection acme show 12");
    }

    #[test]
    fn the_guide_shows_what_is_sent() {
        let guide = include_str!("../../docs/alerts.md");
        let mail = Text::of(&message(), false);
        assert!(guide.contains(&format!("Subject: {}\n", mail.title)));
        assert!(guide.contains(&format!("\n\n{}\n\n{}\n```\n", mail.title, mail.plain())));
        let slack = Text::of(&message(), true);
        let quoted: String = slack
            .plain()
            .lines()
            .map(|line| format!("> {}", line.replace("- ", "\\- ")).trim_end().to_owned() + "\n")
            .collect();
        assert!(guide.replace("\\\n", "\n").contains(&quoted), "{quoted}");
        assert!(guide.contains(&format!("> :rotating_light: **{}**\n", slack.title)));
    }

    #[test]
    fn nothing_that_comes_from_data_breaks_out_of_its_line() {
        let mut hostile = message();
        hostile.items[0].headline = "a\r\nBcc: evil@example.com\u{1b}[2J\u{202e}b".to_owned();
        hostile.items[0].examples[0].mapping = "Contact/../../evil".to_owned();
        let text = Text::of(&hostile, true);
        assert!(!text.title.contains(['\n', '\r', '\u{1b}', '\u{202e}']), "{:?}", text.title);
        assert!(record_link(&hostile, &hostile.items[0]).is_none());
        hostile.items[0].headline = "x".repeat(100_000);
        assert!(Text::of(&hostile, true).title.chars().count() < 400);
    }

    #[test]
    fn many_are_counted() {
        let mut many = message();
        let item = many.items[0].clone();
        many.items = (0..30).map(|_| item.clone()).collect();
        many.omitted = 970;
        let text = Text::of(&many, false);
        assert_eq!(text.title, "[acme/prod] FIRING: 1,000 alerts of new_cause");
        assert!(text.paragraphs.contains(&vec!["and 990 more".to_owned()]));
    }
}
