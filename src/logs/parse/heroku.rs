//! The beginning of each line that Heroku's log router passes on: `2024-10-28T16:02:15.215250+00:00 app[web.1]: `.

use chrono::TimeDelta;

use super::time::{self, LineTime};

/// A line that was taken in so much later than it was written says both times.
pub const LATE: TimeDelta = TimeDelta::seconds(2);

/// What stands before the message.
pub struct Head<'a> {
    /// When the line was taken in.
    pub stamp: LineTime,
    /// `app` or `heroku`.
    pub source: &'a str,
    /// `web.1`, `router`, `postgres.123`.
    pub dyno: &'a str,
}

/// A line's beginning, and the rest.
pub fn head(line: &str) -> Option<(Head<'_>, &str)> {
    let (stamp, rest) = time::leading(line)?;
    let rest = rest.strip_prefix(' ')?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b'@');
    let named = |text: &str| text.bytes().take_while(|byte| is_name(*byte)).count();
    let (source, rest) = rest.split_at(named(rest));
    let rest = rest.strip_prefix('[')?;
    let (dyno, rest) = rest.split_at(named(rest));
    let body = rest.strip_prefix("]:")?;
    if source.is_empty() || dyno.is_empty() {
        return None;
    }
    // Without a zone, too, Heroku's times are in UTC; syslog, which begins its lines alike, has its machine's.
    let stamp = match stamp {
        LineTime::Wall(wall) if source == "app" || source.starts_with("heroku") => {
            LineTime::Instant(wall.and_utc())
        }
        stamp => stamp,
    };
    Some((Head { stamp, source, dyno }, body.strip_prefix(' ').unwrap_or(body)))
}
