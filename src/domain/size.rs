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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_their_units_or_not_at_all() {
        assert_eq!((parse("512kB"), parse("64 MB")), (Some(524_288), Some(67_108_864)));
        assert_eq!([0, 999, 5_000, 1_234_567].map(thousands), ["0", "999", "5,000", "1,234,567"]);
        assert_eq!(parse("1GB"), Some(1_073_741_824));
        for bad in ["lots", "", "64", "-1MB", "1.5GB", "MB", "99999999999999GB", "1MiB"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
