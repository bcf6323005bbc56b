//! What a comparison of both sides found, as an error that people see, and whether a comparison is due and may go on.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::mappings::mapping::Mapping;
use crate::domain::records::verify::{Difference, Finding, FindingKind};

/// The operation under which findings are listed as errors.
pub const OP: &str = "verify";
/// The error that tells how many findings are not listed.
pub const LEFT_OUT: &str = "MORE_DIFFERENCES";
/// Fields whose values an error tells.
const TOLD: usize = 3;
/// The longest that a value is told.
const LONGEST: usize = 60;

/// A finding in the words of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldFinding {
    /// The catalogue's code of the gravest kind.
    pub code: &'static str,
    /// All that was found of one row or record; masked values are not in it.
    pub message: String,
    /// API names of the fields at fault.
    pub fields: Vec<String>,
}

/// The catalogue's code of a kind.
pub fn code(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Mismatch => "RECORD_DIFFERS",
        FindingKind::Duplicate => "DUPLICATE_ROWS",
        FindingKind::Orphan => "ORPHANED_ROW",
        FindingKind::RowWithoutRecord => "RECORD_MISSING",
        FindingKind::RecordWithoutRow => "ROW_MISSING",
    }
}

/// What was found of one row or record, the gravest first.
pub fn told(mapping: &Mapping, found: &[Finding]) -> ToldFinding {
    let mut found: Vec<&Finding> = found.iter().collect();
    found.sort_by_key(|finding| rank(finding.kind));
    let texts: Vec<String> = found.iter().map(|finding| text(mapping, finding)).collect();
    let mut fields: Vec<String> = Vec::new();
    for field in found.iter().flat_map(|finding| finding.names()) {
        if !fields.contains(field) {
            fields.push(field.clone());
        }
    }
    let code = found.first().map_or(code(FindingKind::Mismatch), |finding| code(finding.kind));
    ToldFinding { code, message: texts.join("; "), fields }
}

/// What is told first: a row that lacks its other side has nothing else to be put right before.
fn rank(kind: FindingKind) -> u8 {
    match kind {
        FindingKind::RowWithoutRecord | FindingKind::RecordWithoutRow => 0,
        FindingKind::Mismatch => 1,
        FindingKind::Orphan => 2,
        FindingKind::Duplicate => 3,
    }
}

fn text(mapping: &Mapping, finding: &Finding) -> String {
    let sfid = finding.sfid.as_deref();
    match (finding.kind, sfid) {
        (FindingKind::Mismatch, _) => differences(mapping, &finding.fields),
        (FindingKind::RowWithoutRecord, Some(sfid)) => {
            format!("Salesforce has no record {sfid}, which the row names")
        }
        (FindingKind::RowWithoutRecord, None) => {
            "the row has no record, and nothing of it waits to be sent".to_owned()
        }
        (FindingKind::RecordWithoutRow, sfid) => {
            format!("the record {} has no row", sfid.unwrap_or_default())
        }
        (FindingKind::Orphan | FindingKind::Duplicate, _) => finding.text.clone(),
    }
}

fn differences(mapping: &Mapping, fields: &[Difference]) -> String {
    let one = |field: &Difference| {
        if mapping.rules.masked(&field.column) {
            return format!("{}: another value here than in Salesforce (masked)", field.field);
        }
        format!("{}: {} here, {} in Salesforce", field.field, shown(&field.row), shown(&field.record))
    };
    let mut told: Vec<String> = fields.iter().take(TOLD).map(one).collect();
    if fields.len() > TOLD {
        told.push(format!("and {} more fields", fields.len() - TOLD));
    }
    told.join("; ")
}

/// A value in quotes, cut to what a line holds.
pub fn shown(value: &Option<String>) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    match value.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &value[..end]),
        None => format!("{value:?}"),
    }
}

/// API requests, as far as they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Those of scheduled comparisons in the last 24 hours.
    pub by_verify: i64,
    /// All of the org's today, and how many it may have, as Salesforce told last.
    pub of_org: Option<(i64, i64)>,
}

/// Why a comparison may not ask Salesforce now: it has `share` percent of the org's requests of a day, and none of the
/// last tenth, which is the sync's.
pub fn waits_for_budget(share: u32, requests: Requests) -> Option<String> {
    let (used, limit) = requests.of_org?;
    let own = (limit * i64::from(share) / 100).max(1);
    if requests.by_verify >= own {
        return Some(format!(
            "comparisons took {} of the {own} API requests that they may take in 24 hours ({share} % of {limit})",
            requests.by_verify
        ));
    }
    (used * 10 >= limit * 9)
        .then(|| format!("{used} of {limit} API requests of the day are used; the rest is left to the sync"))
}

/// When a mapping is compared next by itself: at once where it never was.
pub fn next(every: Duration, last: Option<DateTime<Utc>>) -> DateTime<Utc> {
    let every = TimeDelta::from_std(every).unwrap_or(TimeDelta::MAX);
    last.and_then(|last| last.checked_add_signed(every)).unwrap_or(DateTime::UNIX_EPOCH)
}

/// How the comparisons of a mapping stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyStatus {
    /// When the last whole one ended.
    pub last: Option<DateTime<Utc>>,
    /// What it found, as far as that stands still.
    pub found: i64,
    /// Of that, how many are not listed.
    pub left_out: i64,
    /// When the next one is due by itself; `None` where none is.
    pub next: Option<DateTime<Utc>>,
    /// How far the one that goes on is: records and rows looked at, of how many.
    pub progress: Option<(i64, i64)>,
    /// What that one waits for.
    pub waits: Option<String>,
}

impl VerifyStatus {
    /// In a line; times are written by `clock`.
    pub fn text(&self, clock: impl Fn(DateTime<Utc>) -> String, now: DateTime<Utc>) -> String {
        let mut parts = Vec::new();
        parts.push(match (self.last, self.found) {
            (None, _) => "never compared".to_owned(),
            (Some(last), 0) => format!("compared {}: no difference stands", clock(last)),
            (Some(last), found) => {
                let left_out = match self.left_out {
                    0 => String::new(),
                    left_out => format!(", {left_out} of them not listed"),
                };
                format!("compared {}: {found} differences stand{left_out}", clock(last))
            }
        });
        match (&self.waits, self.progress, self.next) {
            (Some(why), ..) => parts.push(format!("the next one waits: {why}")),
            (None, Some((done, total)), _) => parts.push(format!("comparing now, {done} of {total}")),
            (None, None, Some(next)) if next <= now => parts.push("the next one is due".to_owned()),
            (None, None, Some(next)) => parts.push(format!("the next one {}", clock(next))),
            (None, None, None) => parts.push("none is due by itself".to_owned()),
        }
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mappings::field::{Field, FieldType};
    use crate::domain::mappings::rules::Rules;
    use crate::domain::names::{RowId, RowRef};

    fn mapping() -> Mapping {
        let mut rules = Rules::default();
        rules.set("Phone.mask", "true").unwrap();
        Mapping {
            rules,
            ..Mapping::plain(
                "Contact",
                ["LastName", "Phone"].map(|name| Field::plain(name, FieldType::String)).to_vec(),
            )
        }
    }

    fn finding(kind: FindingKind, fields: &[(&str, &str, &str)]) -> Finding {
        let difference = |(field, row, record): &(&str, &str, &str)| Difference {
            field: (*field).to_owned(),
            column: field.to_lowercase(),
            row: Some((*row).to_owned()),
            record: Some((*record).to_owned()),
        };
        Finding {
            kind,
            mapping: "Contact".to_owned(),
            row: Some(RowRef { table: "contact".to_owned(), row: RowId(1) }),
            sfid: Some("003000000000001AAA".to_owned()),
            fields: fields.iter().map(difference).collect(),
            text: String::new(),
            at: Vec::new(),
            others: Vec::new(),
        }
    }

    #[test]
    fn all_that_was_found_of_a_row_is_one_error_without_masked_values() {
        let mut orphan = finding(FindingKind::Orphan, &[]);
        (orphan.text, orphan.at) =
            ("AccountId names 001, which has no row".to_owned(), vec!["AccountId".to_owned()]);
        let differs = finding(FindingKind::Mismatch, &[("LastName", "Doe", "Roe"), ("Phone", "555", "556")]);
        let told = told(&mapping(), &[orphan, differs]);
        assert_eq!(told.code, "RECORD_DIFFERS");
        assert_eq!(
            told.message,
            "LastName: \"Doe\" here, \"Roe\" in Salesforce; Phone: another value here than in Salesforce (masked); \
             AccountId names 001, which has no row"
        );
        assert_eq!(told.fields, ["LastName", "Phone", "AccountId"]);
        let long = finding(FindingKind::Mismatch, &[("LastName", &"ä".repeat(500), "Roe")]);
        assert!(super::told(&mapping(), &[long]).message.chars().count() < 120);
    }

    #[test]
    fn a_comparison_has_a_share_of_the_requests_and_none_of_the_last_tenth() {
        let waits = |share, by_verify, of_org| waits_for_budget(share, Requests { by_verify, of_org });
        assert_eq!(waits(10, 1_000_000, None), None, "nothing is known");
        assert_eq!(waits(10, 1_499, Some((2_000, 15_000))), None);
        let own = waits(10, 1_500, Some((2_000, 15_000))).unwrap();
        assert!(own.contains("1500 of the 1500") && own.contains("10 % of 15000"), "{own}");
        let last = waits(10, 0, Some((13_500, 15_000))).unwrap();
        assert!(last.starts_with("13500 of 15000"), "{last}");
        assert_eq!(waits(1, 0, Some((0, 50))), None, "one request is always had");
    }

    #[test]
    fn the_next_one_is_so_long_after_the_last_one_began() {
        let last = DateTime::UNIX_EPOCH + TimeDelta::days(3);
        assert_eq!(next(Duration::from_secs(3_600), Some(last)), last + TimeDelta::hours(1));
        assert_eq!(next(Duration::from_secs(3_600), None), DateTime::UNIX_EPOCH);
    }

    #[test]
    fn how_comparisons_stand_is_a_line() {
        let at = |hours| DateTime::UNIX_EPOCH + TimeDelta::hours(hours);
        let text = |status: VerifyStatus| status.text(|time| time.format("%H:%M").to_string(), at(5));
        assert_eq!(text(VerifyStatus::default()), "never compared; none is due by itself");
        let last = VerifyStatus { last: Some(at(1)), found: 12, left_out: 2, ..VerifyStatus::default() };
        let next = VerifyStatus { next: Some(at(25)), ..last.clone() };
        assert_eq!(
            text(next),
            "compared 01:00: 12 differences stand, 2 of them not listed; the next one 01:00"
        );
        let goes_on = VerifyStatus { progress: Some((20, 90)), ..last };
        assert!(text(goes_on.clone()).ends_with("comparing now, 20 of 90"));
        let waits = VerifyStatus { waits: Some("no budget".to_owned()), ..goes_on };
        assert!(text(waits).ends_with("the next one waits: no budget"));
    }
}
