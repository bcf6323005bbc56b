//! Amounts as people write them: of memory, in PostgreSQL's units of 1024 (`512kB`, `64MB`, `1GB`), and of anything.

/// Reads one, in bytes.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let bytes: u64 = match unit.trim() {
        "kB" | "KB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(bytes)
}

/// A count with its thousands apart: `5,000`.
pub fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// An amount of memory to two digits or so: `812 kB`, `1.2 MB`.
pub fn bytes(bytes: i64) -> String {
    let mut value = bytes.max(0) as f64 / 1024.0;
    for unit in ["kB", "MB", "GB"] {
        if value < 999.5 || unit == "GB" {
            return if value < 9.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") };
        }
        value /= 1024.0;
    }
    String::new()
}

/// A share of a whole: `1.8 %`, `0 %`, `100 %`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 99.95 || percent == 0.0 { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_their_units_or_not_at_all() {
        assert_eq!((parse("512kB"), parse("64 MB")), (Some(524_288), Some(67_108_864)));
        assert_eq!([0, 999, 5_000, 1_234_567].map(thousands), ["0", "999", "5,000", "1,234,567"]);
        assert_eq!([0, 812 << 10, 1_258_291, 5 << 40].map(bytes), ["0.0 kB", "812 kB", "1.2 MB", "5120 GB"]);
        assert_eq!([0.0, 0.0184, 1.0].map(percent), ["0 %", "1.8 %", "100 %"]);
        assert_eq!(parse("1GB"), Some(1_073_741_824));
        for bad in ["lots", "", "64", "-1MB", "1.5GB", "MB", "99999999999999GB", "1MiB"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
