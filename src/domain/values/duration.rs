//! Lengths of time as people write them: `500ms`, `10s`, `2m`, `1h`, `3d`.

use std::time::Duration;

/// Reads one.
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let number: f64 =
        number.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "s" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        "d" => number * 86_400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

/// Writes one in the greatest unit that divides it.
pub fn text(duration: Duration) -> String {
    let ms = duration.as_millis();
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if ms >= length && ms.is_multiple_of(length) {
            return format!("{}{unit}", ms / length);
        }
    }
    if ms == 0 { "0s".to_owned() } else { format!("{ms}ms") }
}

/// Says how long something takes, roughly: `40 s`, `3 min`, `2 h`.
pub fn spoken(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ ..100 => format!("{seconds} s"),
        seconds @ ..6_000 => format!("{} min", (seconds + 30) / 60),
        seconds => format!("{} h", (seconds + 1_800) / 3_600),
    }
}

/// Says how long something took, to two digits or so: `180 ms`, `2.1 s`, `40 s`, `12 min`, `3.2 h`, `4.5 d`.
pub fn measured(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 0.9995 => return format!("{:.0} ms", s * 1_000.0),
        s if s < 99.5 => (s, "s"),
        s if s < 5_970.0 => (s / 60.0, "min"),
        s if s < 172_800.0 => (s / 3_600.0, "h"),
        s => (s / 86_400.0, "d"),
    };
    let rounded = (value * 10.0).round() / 10.0;
    let is_whole = rounded >= 10.0 || rounded.fract() == 0.0;
    if is_whole { format!("{value:.0} {unit}") } else { format!("{rounded:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_said_to_two_digits() {
        let said = [0.0, 0.18, 0.9996, 2.06, 40.3, 99.6, 720.0, 11_520.0, 400_000.0].map(measured);
        assert_eq!(said, ["0 ms", "180 ms", "1 s", "2.1 s", "40 s", "1.7 min", "12 min", "3.2 h", "4.6 d"]);
    }

    #[test]
    fn what_is_written_is_read_back() {
        for written in ["0s", "500ms", "90s", "2m", "1h", "3d"] {
            assert_eq!(text(parse(written).unwrap()), written);
        }
        assert_eq!(text(parse("60s").unwrap()), "1m");
        assert_eq!((parse("soon"), parse("-1s"), parse("5"), parse("1e400s")), (None, None, None, None));
    }
}
