//! Record ids: three characters of the object, the org's four, and a number in base 62; in their long form with the
//! checksum of their capitals.

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ORG: &str = "sd00";

/// Makes the 18-character id of record `number` of an object.
pub(super) fn make_id(prefix: &str, number: u64) -> String {
    let mut digits = [b'0'; 8];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[usize::try_from(rest % 62).unwrap_or(0)];
        rest /= 62;
    }
    let short = format!("{prefix}{ORG}{}", String::from_utf8_lossy(&digits));
    long_id(&short).unwrap_or(short)
}

/// The number that an id was made of.
pub(super) fn number_of(id: &str) -> Option<u64> {
    let digits = id.get(3..15)?.strip_prefix(ORG)?;
    digits.bytes().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'Z' => digit - b'A' + 10,
            b'a'..=b'z' => digit - b'a' + 36,
            _ => return None,
        };
        Some(number * 62 + u64::from(value))
    })
}

/// The 18-character form of an id of 15 or 18; `None` when it is no id.
pub(super) fn long_id(id: &str) -> Option<String> {
    if !(id.len() == 15 || id.len() == 18) || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let short = &id[..15];
    let mut long = short.to_owned();
    for five in short.as_bytes().chunks(5) {
        let bits = (0..5).filter(|&k| five[k].is_ascii_uppercase()).map(|k| 1_u8 << k).sum::<u8>();
        long.push(char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[usize::from(bits)]));
    }
    (id.len() == 15 || long.eq_ignore_ascii_case(id)).then_some(long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_count_up_and_tell_their_number() {
        let ids: Vec<String> = [1, 61, 62, 63, 3_843, 1_000_000].map(|number| make_id("003", number)).into();
        assert!(ids.is_sorted());
        assert_eq!(ids.iter().map(|id| number_of(id)).next_back(), Some(Some(1_000_000)));
        assert_eq!(number_of("003sd00"), None);
        assert_eq!(number_of("003xx000000001AAA"), None);
    }
}
