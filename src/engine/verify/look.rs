//! A comparison under way: where it is, what it counted, and what is to be looked at again. It can be kept, and gone on with
//! by another engine: a page of records with the rows that belong between them is looked at as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::domain::mappings::mapping::Mapping;
use crate::domain::records::verify::{Finding, FindingKind, UnsentReason, VerifyReport};
use crate::postgres::tables::verify::{Compared, Suspect};
use crate::salesforce::query::NextPage;

/// Suspects that are followed up and findings that are listed; the rest is counted.
pub(super) const LISTED: usize = 100_000;
/// So many suspects are settled before the comparison goes on, and in one step.
pub(super) const SETTLED_AT: usize = 2_000;

/// What a comparison does next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LookPhase {
    /// Duplicates and orphans are looked for.
    #[default]
    Places,
    /// Records behind this one are compared with their rows, and the rows between them without a record are found.
    Records(Option<String>),
    /// Rows behind this one that name no record.
    Rows(i32),
    /// What looks different is looked at again.
    Settling,
    /// It is through.
    Over,
}

/// What is looked at again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum SuspectSubject {
    Row(i32),
    Record(String),
}

impl SuspectSubject {
    pub(super) fn row(&self) -> Option<i32> {
        if let SuspectSubject::Row(row) = self { Some(*row) } else { None }
    }

    pub(super) fn record(&self) -> Option<&str> {
        if let SuspectSubject::Record(sfid) = self { Some(sfid) } else { None }
    }
}

/// Rows that name a record behind one id, up to another, and none of these.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Between {
    pub(super) after: Option<String>,
    pub(super) until: Option<String>,
    pub(super) but: Vec<String>,
}

/// How a suspect looked.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Suspected {
    /// Both sides in a number.
    pub(super) print: u64,
    /// Whether a row was met with its record, and counted as compared.
    pub(super) met: bool,
}

/// How a suspect looks now.
pub(super) enum SuspectState {
    Fine,
    /// A change of the row is not sent.
    Unsent(Box<Compared>, UnsentReason),
    /// The record's row was deleted, which is not sent.
    Leaving,
    /// An error of its own tells why it lacks its other side.
    Aside,
    Differs(u64, Box<Finding>),
}

/// Something that was found, with both sides in a number; 0 where only the rows were looked at.
pub(super) type Suspicion = (u64, Finding);

/// A comparison under way. What it holds of each suspect is a few words.
#[derive(Default, Serialize, Deserialize)]
pub(in crate::engine) struct Examination {
    pub(super) phase: LookPhase,
    pub(super) report: VerifyReport,
    /// Records that were met.
    pub(super) met: i64,
    #[serde(serialize_with = "as_pairs", deserialize_with = "from_pairs")]
    pub(super) suspects: BTreeMap<SuspectSubject, Suspected>,
    /// Duplicates and orphans as they stood at the beginning: the row, and all of it in a number.
    pub(super) places: BTreeSet<(i32, u64)>,
    /// Rows between records that were met, of which not all were looked at yet.
    #[serde(default)]
    pub(super) between: Option<Between>,
    /// Why duplicates and orphans could not be looked for; records are compared all the same.
    #[serde(default)]
    pub(in crate::engine) trouble: Option<String>,
    /// What was found since it was kept last.
    #[serde(skip)]
    pub(super) found: Vec<Suspicion>,
    /// Where the next page of records is; who goes on later asks for what lies behind the last record.
    #[serde(skip)]
    pub(super) next: Option<NextPage>,
    /// API requests since it was kept last.
    #[serde(skip)]
    pub(super) requests: i64,
    /// Findings that are not listed.
    pub(super) left_out: i64,
}

impl Examination {
    pub(in crate::engine) fn begin(mapping: &Mapping) -> Examination {
        let condition = mapping.rules.filter.as_ref().map(ToString::to_string);
        let report = VerifyReport { mapping: mapping.object.clone(), condition, ..VerifyReport::default() };
        Examination { report, ..Examination::default() }
    }

    /// One that was kept; it begins anew where another version kept it otherwise.
    pub(in crate::engine) fn kept(mapping: &Mapping, state: Option<Value>) -> Examination {
        let kept = state.and_then(|state| serde_json::from_value(state).ok());
        kept.unwrap_or_else(|| Examination::begin(mapping))
    }

    pub(in crate::engine) fn is_over(&self) -> bool {
        self.phase == LookPhase::Over
    }

    /// Records and rows looked at, of how many.
    pub(in crate::engine) fn progress(&self) -> (i64, i64) {
        (self.met, self.report.records.max(self.met))
    }

    pub(in crate::engine) fn take_requests(&mut self) -> i64 {
        std::mem::take(&mut self.requests)
    }

    /// How much was found, and how much of it is not listed.
    pub(in crate::engine) fn sums(&self) -> (i64, i64) {
        (self.report.counts.values().sum(), self.left_out)
    }

    /// What was found, in a line.
    pub(in crate::engine) fn summary(&self) -> String {
        let VerifyReport { mapping, rows, records, .. } = &self.report;
        let counts = &self.report.counts;
        let told =
            FindingKind::ALL.iter().filter_map(|kind| Some(format!("{} {}", counts.get(kind)?, kind.text())));
        let told: Vec<String> = told.collect();
        let mut found = if told.is_empty() { "no difference".to_owned() } else { told.join(", ") };
        let open = self.report.open();
        if open > 0 {
            found.push_str(&format!("; {open} could not be settled"));
        }
        if let Some(trouble) = &self.trouble {
            found.push_str(&format!("; duplicates and orphans could not be looked for: {trouble}"));
        }
        format!("{mapping} compared: {rows} rows, {records} records: {found}")
    }

    /// Whether all was looked at, and nothing differs.
    pub(in crate::engine) fn is_in_order(&self) -> bool {
        self.report.counts.is_empty() && self.report.open() == 0 && self.trouble.is_none()
    }

    /// Whether a subject waits for the end, where all of a row is found together: one of a duplicate or an orphan.
    fn waits_for_end(&self, subject: &SuspectSubject) -> bool {
        subject.row().is_some_and(|row| self.places.range((row, 0)..=(row, u64::MAX)).next().is_some())
    }

    /// Whether there are so many suspects that they are settled before the comparison goes on.
    pub(super) fn is_full(&self) -> bool {
        let ready = self.suspects.keys().filter(|subject| !self.waits_for_end(subject));
        ready.take(SETTLED_AT).count() == SETTLED_AT
    }

    /// The next suspects to be settled, and, when no others are left, the places that belong with them. Both are taken.
    pub(super) fn take_part(&mut self) -> (BTreeMap<SuspectSubject, Suspected>, BTreeSet<(i32, u64)>) {
        let ready: Vec<SuspectSubject> = self
            .suspects
            .keys()
            .filter(|subject| !self.waits_for_end(subject))
            .take(SETTLED_AT)
            .cloned()
            .collect();
        if !ready.is_empty() {
            return (self.take(&ready), BTreeSet::new());
        }
        let ready: Vec<SuspectSubject> = self.suspects.keys().take(SETTLED_AT).cloned().collect();
        let part = self.take(&ready);
        if self.suspects.is_empty() {
            return (part, std::mem::take(&mut self.places));
        }
        let rows: BTreeSet<i32> = ready.iter().filter_map(SuspectSubject::row).collect();
        let (now, later) =
            std::mem::take(&mut self.places).into_iter().partition(|(row, _)| rows.contains(row));
        self.places = later;
        (part, now)
    }

    fn take(&mut self, subjects: &[SuspectSubject]) -> BTreeMap<SuspectSubject, Suspected> {
        subjects.iter().filter_map(|subject| self.suspects.remove_entry(subject)).collect()
    }

    pub(super) fn suspect(&mut self, subject: SuspectSubject, suspected: Suspected) {
        if self.suspects.len() < LISTED {
            self.suspects.insert(subject, suspected);
        } else {
            self.report.unsettled += 1;
        }
    }

    /// A row of which something is not sent is in order, whatever its record holds.
    pub(super) fn leave_out(&mut self, row: &Compared, why: UnsentReason, met: bool) {
        let VerifyReport { absent, unsent, compared, .. } = &mut self.report;
        if met {
            // It counted as compared before it changed.
            *compared -= 1;
        }
        let counts = if row.sfid.is_none() { absent } else { unsent };
        *counts.entry(why).or_default() += 1;
    }

    pub(super) fn find(&mut self, print: u64, finding: Finding) {
        *self.report.counts.entry(finding.kind).or_default() += 1;
        self.found.push((print, finding));
    }
}

/// Both sides in a number: the same number is the same state.
pub(super) fn print(row: Option<&Compared>, record: Option<&Value>) -> u64 {
    let mut hasher = DefaultHasher::new();
    row.map(|row| (row.row.0, &row.sfid, &row.values)).hash(&mut hasher);
    record.map(Value::to_string).hash(&mut hasher);
    hasher.finish()
}

/// A duplicate or an orphan in a number.
pub(super) fn place(kind: FindingKind, suspect: &Suspect) -> (i32, u64) {
    let mut hasher = DefaultHasher::new();
    (kind, suspect).hash(&mut hasher);
    (suspect.row.0, hasher.finish())
}

/// JSON has texts only for keys.
fn as_pairs<S: Serializer>(
    suspects: &BTreeMap<SuspectSubject, Suspected>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(suspects)
}

fn from_pairs<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<SuspectSubject, Suspected>, D::Error> {
    Ok(Vec::<(SuspectSubject, Suspected)>::deserialize(deserializer)?.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::RowId;

    #[test]
    fn a_look_that_was_kept_goes_on_where_it_was() {
        let mut look = Examination {
            phase: LookPhase::Records(Some("003A".to_owned())),
            met: 7,
            ..Examination::default()
        };
        look.report.mapping = "Contact".to_owned();
        look.report.unsent.insert(UnsentReason::Pending, 2);
        look.report.counts.insert(FindingKind::Orphan, 3);
        look.suspect(SuspectSubject::Row(4), Suspected { print: u64::MAX, met: true });
        look.suspect(SuspectSubject::Record("003B".to_owned()), Suspected { print: 1, met: false });
        let suspect = Suspect {
            row: RowId(9),
            sfid: None,
            fields: vec!["email".to_owned()],
            values: vec!["a@b".to_owned()],
            others: vec![10],
            more: 0,
        };
        look.places.insert(place(FindingKind::Duplicate, &suspect));
        look.between =
            Some(Between { after: Some("003A".to_owned()), until: None, but: vec!["003B".to_owned()] });
        let kept = serde_json::to_value(&look).unwrap();
        let mapping = Mapping::plain("Contact", Vec::new());
        let again = Examination::kept(&mapping, Some(kept.clone()));
        assert_eq!(serde_json::to_value(&again).unwrap(), kept);
        assert_eq!(again.phase, LookPhase::Records(Some("003A".to_owned())));
        assert_eq!(
            Examination::kept(&mapping, Some(serde_json::json!({"other": 1}))).phase,
            LookPhase::Places
        );
    }

    #[test]
    fn a_step_settles_some_suspects_and_those_of_places_with_these_at_the_end() {
        let mut look = Examination::begin(&Mapping::plain("Contact", Vec::new()));
        let met = Suspected { print: 1, met: true };
        for row in 0..SETTLED_AT as i32 + 5 {
            look.suspect(SuspectSubject::Row(row), met);
        }
        look.places = BTreeSet::from([(0, 7), (1, 8), (1, 9), (90_000, 10)]);
        assert!(look.is_full());
        let (part, places) = look.take_part();
        assert_eq!((part.len(), places.len(), look.suspects.len()), (SETTLED_AT, 0, 5));
        assert!(!part.contains_key(&SuspectSubject::Row(0)) && !part.contains_key(&SuspectSubject::Row(1)));
        assert!(!look.is_full(), "the comparison goes on");
        let (part, places) = look.take_part();
        assert_eq!((part.len(), places.len()), (3, 0));
        let (part, places) = look.take_part();
        assert_eq!((part.len(), places.len(), look.places.len()), (2, 4, 0));
        assert!(look.suspects.is_empty());
    }

    #[test]
    fn what_could_not_be_settled_is_said() {
        let mut look = Examination::begin(&Mapping::plain("Contact", Vec::new()));
        assert!(look.is_in_order() && look.summary().ends_with("no difference"));
        look.report.unsettled = 3;
        assert!(!look.is_in_order() && look.summary().ends_with("no difference; 3 could not be settled"));
    }
}
