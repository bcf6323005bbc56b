//! When a line was written: the shapes of time in logs, and the zone of those that name none.

use chrono::{
    DateTime, FixedOffset, Local, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta,
    TimeZone, Utc,
};

use super::Value;

/// A time as a line says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineTime {
    /// With its zone.
    Instant(DateTime<Utc>),
    /// What a clock on the wall showed.
    Wall(NaiveDateTime),
}

/// The zone of times that name none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zone {
    /// UTC.
    #[default]
    Utc,
    /// So far from it, summer and winter.
    Fixed(FixedOffset),
    /// This machine's, or that of `TZ`.
    Local,
}

/// How far a line may stand behind the one before it without being of the other side of a change of the clocks.
const JITTER: TimeDelta = TimeDelta::minutes(1);

impl Zone {
    /// `utc`, `local` or `+02:00`.
    ///
    /// # Errors
    /// Something else.
    pub fn parse(text: &str) -> Result<Zone, String> {
        match text {
            "utc" | "UTC" | "Z" => Ok(Zone::Utc),
            "local" => Ok(Zone::Local),
            text => match offset(text) {
                Some((zone, "")) => Ok(Zone::Fixed(zone)),
                _ => Err(
                    "use utc, local or an offset such as +02:00; another zone by its name with TZ=Europe/Berlin and local"
                        .to_owned(),
                ),
            },
        }
    }

    /// When that was. In the hour that clocks repeat in autumn, `last` decides, the time of the line before.
    pub fn instant(self, stamp: LineTime, last: Option<DateTime<Utc>>) -> DateTime<Utc> {
        match (stamp, self) {
            (LineTime::Instant(time), _) => time,
            (LineTime::Wall(wall), Zone::Utc) => wall.and_utc(),
            (LineTime::Wall(wall), Zone::Fixed(zone)) => settle(&zone, wall, last),
            (LineTime::Wall(wall), Zone::Local) => settle(&Local, wall, last),
        }
    }
}

fn settle(zone: &impl TimeZone, wall: NaiveDateTime, last: Option<DateTime<Utc>>) -> DateTime<Utc> {
    match zone.from_local_datetime(&wall) {
        MappedLocalTime::Single(time) => time.to_utc(),
        MappedLocalTime::Ambiguous(one, other) => {
            // Of some zones `Local` gives them the other way round.
            let (first, second) = if one < other { (one, other) } else { (other, one) };
            let is_second = last.is_some_and(|last| {
                let is_put_back =
                    zone.offset_from_utc_datetime(&last.naive_utc()).fix() == second.offset().fix();
                is_put_back || first.to_utc() + JITTER < last
            });
            if is_second { second.to_utc() } else { first.to_utc() }
        }
        // No clock showed it: the hour that is left out in spring, by a clock that was not put forward.
        MappedLocalTime::None => {
            let hour = TimeDelta::hours(1);
            let before = zone.from_local_datetime(&(wall - hour)).earliest();
            before.map_or_else(|| wall.and_utc(), |before| before.to_utc() + hour)
        }
    }
}

/// The time that a value is.
pub fn of(value: &Value<'_>) -> Option<LineTime> {
    match value {
        Value::Text(text) => leading(text).filter(|(_, rest)| rest.is_empty()).map(|(stamp, _)| stamp),
        Value::Number(number) => epoch(number),
        Value::Json(_) => None,
    }
}

/// The time at the beginning of a text, `2024-10-28T16:02:15.215Z` or `2024/10/28 16:02:15`, and what stands behind it.
pub fn leading(text: &str) -> Option<(LineTime, &str)> {
    let bytes = text.as_bytes();
    let &[_, _, _, _, dash @ (b'-' | b'/'), _, _, other, _, _, b'T' | b't' | b' ', ..] = bytes else {
        return None;
    };
    if dash != other {
        return None;
    }
    let year = two(bytes, 0)? * 100 + two(bytes, 2)?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, two(bytes, 5)?, two(bytes, 8)?)?;
    let (time, rest) = clock(text.get(11..)?)?;
    Some(zoned(date.and_time(time), rest))
}

/// `28/Oct/2024:16:02:15 +0000`, as nginx and Apache write it, whole.
pub fn common(text: &str) -> Option<LineTime> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let bytes = text.as_bytes();
    let month = MONTHS.iter().position(|month| text.get(3..6) == Some(month))?;
    let year = two(bytes, 7)? * 100 + two(bytes, 9)?;
    let month = u32::try_from(month).ok()? + 1;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, two(bytes, 0)?)?;
    let (time, rest) = clock(text.get(12..)?)?;
    let (stamp, rest) = zoned(date.and_time(time), rest);
    rest.is_empty().then_some(stamp)
}

/// `16:02:15.215250`, with as many digits behind the second as there are.
fn clock(text: &str) -> Option<(NaiveTime, &str)> {
    let bytes = text.as_bytes();
    let &[_, _, b':', _, _, b':', _, _, ..] = bytes else { return None };
    let (mut nanos, mut end) = (0, 8);
    if let [b'.' | b',', rest @ ..] = &bytes[8..] {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 {
            nanos = fraction(&rest[..digits]);
            end += 1 + digits;
        }
    }
    // A second that is put in at the end of a day counts as the one before it.
    let second = two(bytes, 6)?;
    let second = if second == 60 { 59 } else { second };
    let time = NaiveTime::from_hms_nano_opt(two(bytes, 0)?, two(bytes, 3)?, second, nanos)?;
    Some((time, &text[end..]))
}

/// Nanoseconds of the digits behind a point.
fn fraction(digits: &[u8]) -> u32 {
    let kept = &digits[..digits.len().min(9)];
    let value = kept.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    value * 10_u32.pow(9 - u32::try_from(kept.len()).unwrap_or(9))
}

/// A time with the zone that follows it, if one does.
fn zoned(wall: NaiveDateTime, rest: &str) -> (LineTime, &str) {
    let spaced = rest.strip_prefix(' ').unwrap_or(rest);
    let found = if rest.starts_with(['+', '-']) { offset(rest) } else { offset_of_four(spaced) };
    let Some((zone, behind)) = found.or_else(|| abbreviation(spaced)) else {
        return (LineTime::Wall(wall), rest);
    };
    if zone.local_minus_utc() == 0 {
        return (LineTime::Instant(wall.and_utc()), behind);
    }
    match wall.and_local_timezone(zone).single() {
        Some(time) => (LineTime::Instant(time.to_utc()), behind),
        None => (LineTime::Wall(wall), rest),
    }
}

/// `+02:00`, `+0200` or `+02`, and what stands behind it.
fn offset(text: &str) -> Option<(FixedOffset, &str)> {
    let bytes = text.as_bytes();
    let sign = match bytes.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours = two(bytes, 1)?;
    let (minutes, end) = match bytes.get(3) {
        Some(b':') => (two(bytes, 4)?, 6),
        Some(digit) if digit.is_ascii_digit() => (two(bytes, 3)?, 5),
        _ => (0, 3),
    };
    if minutes > 59 || bytes.get(end).is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    Some((FixedOffset::east_opt(sign * seconds)?, &text[end..]))
}

/// Behind a space only what has minutes is a zone: `-05` could be anything.
fn offset_of_four(text: &str) -> Option<(FixedOffset, &str)> {
    offset(text).filter(|(_, behind)| text.len() - behind.len() > 3)
}

/// Zones by the abbreviations that mean one zone alone where PostgreSQL reads them.
fn abbreviation(text: &str) -> Option<(FixedOffset, &str)> {
    let end = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    let hours = match &text[..end] {
        "Z" | "z" | "UTC" | "GMT" | "WET" => 0,
        "CET" | "BST" | "WEST" => 1,
        "CEST" | "EET" => 2,
        "EEST" => 3,
        "EST" | "CDT" => -5,
        "EDT" => -4,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        _ => return None,
    };
    Some((FixedOffset::east_opt(hours * 3600)?, &text[end..]))
}

/// Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size.
fn epoch(number: &str) -> Option<LineTime> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let Ok(whole) = whole.parse::<i64>() else { return epoch_of_float(number) };
    if part.bytes().any(|byte| !byte.is_ascii_digit()) {
        return epoch_of_float(number);
    }
    let nanos = i64::from(fraction(part.as_bytes()));
    let time = match whole {
        // Smaller ones are a process's own clock.
        100_000_000..100_000_000_000 => DateTime::from_timestamp(whole, u32::try_from(nanos).ok()?)?,
        100_000_000_000..100_000_000_000_000 => {
            DateTime::from_timestamp_millis(whole)? + TimeDelta::nanoseconds(nanos / 1_000)
        }
        100_000_000_000_000..100_000_000_000_000_000 => DateTime::from_timestamp_micros(whole)?,
        100_000_000_000_000_000.. => DateTime::from_timestamp_nanos(whole),
        _ => return None,
    };
    Some(LineTime::Instant(time))
}

/// `1.7301313353954e9`, as zap may write it.
fn epoch_of_float(number: &str) -> Option<LineTime> {
    let seconds = number.parse::<f64>().ok().filter(|seconds| (1e8..1e11).contains(seconds))?;
    DateTime::from_timestamp_micros((seconds * 1e6) as i64).map(LineTime::Instant)
}

/// The number of two digits.
fn two(bytes: &[u8], at: usize) -> Option<u32> {
    let (tens, ones) = (bytes.get(at)?.wrapping_sub(b'0'), bytes.get(at + 1)?.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| u32::from(tens) * 10 + u32::from(ones))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_time_is_read_with_its_zone_or_without() {
        for (text, time, rest) in [
            ("2024-10-28T16:02:15.215250+00:00 app", "2024-10-28T16:02:15.215250Z", " app"),
            ("2024-10-28T16:02:15.215Z", "2024-10-28T16:02:15.215Z", ""),
            ("2024-10-28T18:02:15+0200", "2024-10-28T16:02:15Z", ""),
            ("2024-10-28 11:02:15-05 x", "2024-10-28T16:02:15Z", " x"),
            ("2024-10-28 16:02:15,123 UTC [7]", "2024-10-28T16:02:15.123Z", " [7]"),
            ("2024-10-27 02:30:00 CEST x", "2024-10-27T00:30:00Z", " x"),
            ("2024-10-27 02:30:00 CET x", "2024-10-27T01:30:00Z", " x"),
            ("2024-10-28 16:02:15.123456789012 +0530", "2024-10-28T10:32:15.123456789Z", ""),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z", ""),
        ] {
            assert_eq!(leading(text), Some((LineTime::Instant(utc(time)), rest)), "{text}");
        }
        let wall = utc("2024-10-28T16:02:15Z").naive_utc();
        for (text, rest) in [
            ("2024/10/28 16:02:15 [id]", " [id]"),
            ("2024-10-28 16:02:15 -05 left", " -05 left"),
            ("2024-10-28 16:02:15 ZEBRA", " ZEBRA"),
            ("2024-10-28 16:02:15. End", ". End"),
        ] {
            assert_eq!(leading(text), Some((LineTime::Wall(wall), rest)), "{text}");
        }
        for text in
            ["", "2024-10-28", "2024-13-28 16:02:15", "2024-10/28 16:02:15", "2024-10-28 16:02:1", "ü024"]
        {
            assert_eq!(leading(text), None, "{text}");
        }
        assert_eq!(
            common("28/Oct/2024:18:02:15 +0200"),
            Some(LineTime::Instant(utc("2024-10-28T16:02:15Z")))
        );
        assert_eq!(common("28/Okt/2024:18:02:15 +0200"), None);
    }

    #[test]
    fn a_number_is_a_time_by_its_size() {
        for (number, time) in [
            ("1730131335", "2024-10-28T16:02:15Z"),
            ("1730131335.395", "2024-10-28T16:02:15.395Z"),
            ("1.730131335395e9", "2024-10-28T16:02:15.395Z"),
            ("1730131335395", "2024-10-28T16:02:15.395Z"),
            ("1730131335395250", "2024-10-28T16:02:15.395250Z"),
            ("1730131335395250001", "2024-10-28T16:02:15.395250001Z"),
        ] {
            assert_eq!(epoch(number), Some(LineTime::Instant(utc(time))), "{number}");
        }
        assert_eq!(epoch("37"), None);
        assert_eq!(epoch("-1730131335"), None);
    }

    /// A zone with summer time, as its clocks were put back and forward in 2024.
    #[derive(Clone, Copy, Debug)]
    struct Berlin;

    impl TimeZone for Berlin {
        type Offset = FixedOffset;

        fn from_offset(_: &FixedOffset) -> Berlin {
            Berlin
        }

        fn offset_from_local_date(&self, date: &NaiveDate) -> MappedLocalTime<FixedOffset> {
            self.offset_from_local_datetime(&date.and_time(NaiveTime::MIN))
        }

        fn offset_from_local_datetime(&self, wall: &NaiveDateTime) -> MappedLocalTime<FixedOffset> {
            let wall = wall.to_string();
            let is_in = |from: &str, to: &str| from <= wall.as_str() && wall.as_str() < to;
            let [winter, summer] = [1, 2].map(|hours| FixedOffset::east_opt(hours * 3600).unwrap());
            if is_in("2024-03-31 02:00:00", "2024-03-31 03:00:00") {
                MappedLocalTime::None
            } else if is_in("2024-10-27 02:00:00", "2024-10-27 03:00:00") {
                MappedLocalTime::Ambiguous(summer, winter)
            } else if is_in("2024-03-31 03:00:00", "2024-10-27 02:00:00") {
                MappedLocalTime::Single(summer)
            } else {
                MappedLocalTime::Single(winter)
            }
        }

        fn offset_from_utc_date(&self, date: &NaiveDate) -> FixedOffset {
            self.offset_from_utc_datetime(&date.and_time(NaiveTime::MIN))
        }

        fn offset_from_utc_datetime(&self, time: &NaiveDateTime) -> FixedOffset {
            let time = time.to_string();
            let summer = ("2024-03-31 01:00:00".."2024-10-27 01:00:00").contains(&time.as_str());
            FixedOffset::east_opt(if summer { 7200 } else { 3600 }).unwrap()
        }
    }

    #[test]
    fn the_clocks_are_put_back_and_forward() {
        let mut last = None;
        for (wall, time) in [
            ("2024-10-27T01:59:59", "2024-10-26T23:59:59Z"),
            ("2024-10-27T02:10:00", "2024-10-27T00:10:00Z"),
            ("2024-10-27T02:59:59", "2024-10-27T00:59:59Z"),
            // A line that is a little late is not of the second time.
            ("2024-10-27T02:59:30", "2024-10-27T00:59:30Z"),
            ("2024-10-27T02:00:01", "2024-10-27T01:00:01Z"),
            ("2024-10-27T02:59:59", "2024-10-27T01:59:59Z"),
            ("2024-10-27T03:00:00", "2024-10-27T02:00:00Z"),
        ] {
            let found = settle(&Berlin, wall.parse().unwrap(), last);
            assert_eq!(found, utc(time), "{wall}");
            last = Some(found);
        }
        let spring = settle(&Berlin, "2024-03-31T02:30:00".parse().unwrap(), None);
        assert_eq!(spring, utc("2024-03-31T01:30:00Z"));
    }

    #[test]
    fn a_zone_is_named_or_refused() {
        assert_eq!(Zone::parse("utc"), Ok(Zone::Utc));
        assert_eq!(Zone::parse("local"), Ok(Zone::Local));
        assert_eq!(Zone::parse("+05:30"), Ok(Zone::Fixed(FixedOffset::east_opt(19_800).unwrap())));
        assert!(Zone::parse("Berlin").unwrap_err().contains("TZ=Europe/Berlin"));
        assert!(Zone::parse("+25:00").is_err() && Zone::parse("+02:00x").is_err());
    }
}
