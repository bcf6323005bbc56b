//! Heroku Connect: `event="RELOAD TABLE contact" addon_id=... object_type=mapping object_id=... state=... level=info`.

use super::{LineFormat, ParsedEntry, logfmt};

/// A line of Heroku Connect.
pub(super) fn read(line: &str) -> Option<ParsedEntry<'_>> {
    if !line.starts_with("event=") {
        return None;
    }
    let mut entry = logfmt::read(line).filter(|entry| entry.field("object_type").is_some())?;
    entry.format = LineFormat::Connect;
    entry.say("event");
    Some(entry)
}
