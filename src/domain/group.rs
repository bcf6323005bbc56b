//! Groups: all errors of one cause. Messages are compared without what differs from record to record.

/// A message with ids, numbers, quoted values, addresses and the values behind known phrases taken out.
pub fn template(message: &str) -> String {
    let message = without_value(message);
    let mut words = Vec::new();
    let mut quote: Option<char> = None;
    for word in message.split_whitespace() {
        if let Some(open) = quote {
            if word.trim_end_matches([',', '.', ':', ')']).ends_with(open) {
                quote = None;
            }
            continue;
        }
        if let Some(open) = word.chars().next().filter(|c| matches!(c, '\'' | '"')) {
            words.push("…".to_owned());
            let rest = &word[1..];
            if !rest.trim_end_matches([',', '.', ':', ')']).ends_with(open) {
                quote = Some(open);
            }
            continue;
        }
        let varies = word.contains('@') || word.chars().any(|c| c.is_ascii_digit());
        words.push(if varies { "…".to_owned() } else { word.to_owned() });
    }
    words.dedup_by(|a, b| a == "…" && b == "…");
    words.join(" ")
}

/// Salesforce puts the value at the end of, or inside, these phrases; it may be any text.
fn without_value(message: &str) -> String {
    for phrase in [
        "invalid email address: ",
        "bad value for restricted picklist field: ",
        "value not of required type: ",
        "value outside of valid range on numeric field: ",
        "id value of incorrect type: ",
        "from VALUE_STRING value ",
        "cannot be sent to Salesforce",
    ] {
        if let Some((before, _)) = message.split_once(phrase) {
            let before = if phrase.starts_with("cannot") {
                before.split(':').next().unwrap_or(before)
            } else {
                before
            };
            return format!("{before}{phrase}…");
        }
    }
    if let Some((before, rest)) = message.split_once("data value too large: ") {
        let limit = rest.rsplit_once('(').map_or("", |(_, limit)| limit);
        // The limit belongs to the cause; its digits are kept out of reach of the rule for numbers.
        return format!(
            "{before}data value too large: … ({}",
            limit.replace(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'], "N")
        );
    }
    if let Some((before, rest)) = message.split_once("Foreign key external ID: ") {
        let after = rest.split_once(" not found").map_or("", |(_, after)| after);
        return format!("{before}Foreign key external ID: … not found{after}");
    }
    message.to_owned()
}

/// A short, stable name of a group: mapping, code, fields and message template (FNV-1a, 64 bits).
pub fn fingerprint(mapping: &str, code: &str, fields: &[String], message: &str) -> String {
    let text = [mapping, code, &fields.join(","), &template(message)].join("\u{1f}");
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_one_cause_have_one_template() {
        for (one, other) in [
            ("Email: invalid email address: a b c", "Email: invalid email address: jane@acme,com"),
            (
                "Name: data value too large: Foo (bar) (max length=25)",
                "Name: data value too large: X (max length=25)",
            ),
            (
                "duplicate value found: Key__c duplicates value on record with id: 001U000001c83gK",
                "duplicate value found: Key__c duplicates value on record with id: 001U000002c83gK",
            ),
            (
                "unable to obtain exclusive access to this record or 25 records: 001A,001B1",
                "unable to obtain exclusive access to this record or 3 records: 001C5",
            ),
        ] {
            assert_eq!(template(one), template(other));
            let print = |message| fingerprint("Contact", "C", &["F".to_owned()], message);
            assert_eq!(print(one), print(other));
        }
    }

    #[test]
    fn different_causes_stay_apart() {
        let print = |mapping, code, field: &str| fingerprint(mapping, code, &[field.to_owned()], "same");
        let all = [print("A", "C", "F"), print("B", "C", "F"), print("A", "D", "F"), print("A", "C", "G")];
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), 4);
        assert_ne!(template("Phone must be valid"), template("Email is required"));
    }
}
