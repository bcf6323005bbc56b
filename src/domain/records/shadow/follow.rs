//! Rows and records that look different, followed from round to round until they agree or stay different.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::domain::mappings::mapping::Mapping;

use super::format::example_value;
use super::report::{FieldDifferences, ShadowExample, ShadowKind, ShadowMappingReport, ShadowWait};

/// Rows and records that are followed from round to round, in each mapping. The others are counted: each costs a part of an
/// API call in every round.
pub const FOLLOWED: usize = 10_000;
/// Examples of one kind, or of one field.
const EXAMPLES: usize = 5;

/// What is followed from round to round.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShadowSubject {
    /// A row by its id.
    Row(i32),
    /// A record without a row, or with several.
    Record(String),
}

/// One thing in which row and record differ just now.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenDifference {
    /// What it is.
    pub kind: ShadowKind,
    /// The column, of a field.
    pub column: String,
    /// The row.
    pub row: Option<i32>,
    /// The record.
    pub sfid: Option<String>,
    /// The row's value, of a field.
    pub row_value: Option<String>,
    /// The record's value, of a field.
    pub record_value: Option<String>,
}

impl SeenDifference {
    /// Of something else than a field.
    pub fn whole(kind: ShadowKind, row: Option<i32>, sfid: Option<&str>) -> SeenDifference {
        let sfid = sfid.map(str::to_owned);
        SeenDifference { kind, column: String::new(), row, sfid, row_value: None, record_value: None }
    }

    /// Both sides in a number: the same number is the same state.
    fn print(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.sfid, &self.row_value, &self.record_value).hash(&mut hasher);
        hasher.finish()
    }
}

/// How a row or a record looks in a round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShadowState {
    /// In what both sides differ.
    pub differs: Vec<SeenDifference>,
    /// Why that may go away.
    pub waits: Option<ShadowWait>,
    /// Whether Salesforce refused what differs, which Heroku Connect lists as an error.
    pub refused: bool,
}

/// When something was looked at, and how long Heroku Connect may take.
#[derive(Clone, Copy, Debug)]
pub struct ShadowMoment {
    /// The round, from 1.
    pub round: u64,
    /// Since the beginning of the comparison.
    pub at: Duration,
    /// How long Heroku Connect may take to bring a change.
    pub catch_up: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    print: u64,
    since: Duration,
    looks: u64,
    stays: bool,
}

#[derive(Clone, Debug)]
struct FollowedSubject {
    first_round: u64,
    was_difference: bool,
    waits: Option<ShadowWait>,
    marks: BTreeMap<(ShadowKind, String), Mark>,
}

/// What is followed of one mapping.
#[derive(Clone, Debug, Default)]
pub struct ShadowFollower {
    open: BTreeMap<ShadowSubject, FollowedSubject>,
    /// Rows and records that differed and came to agree.
    pub caught_up: i64,
    /// Of these, those that had stayed different longer than Heroku Connect should take.
    pub late: i64,
    refused: i64,
    fields: BTreeMap<String, FieldDifferences>,
    examples: Vec<ShadowExample>,
}

impl ShadowFollower {
    /// What is looked at again, whatever a round meets.
    pub fn subjects(&self) -> impl Iterator<Item = &ShadowSubject> {
        self.open.keys()
    }

    /// A round's findings begin: examples are those of the last round.
    pub fn begin_round(&mut self) {
        self.refused = 0;
        self.fields.clear();
        self.examples.clear();
    }

    /// Takes in how one subject looks now.
    pub fn see(&mut self, mapping: &Mapping, subject: ShadowSubject, now: ShadowState, moment: ShadowMoment) {
        if now.refused {
            self.refused += 1;
            self.open.remove(&subject);
            return;
        }
        let before = self.open.remove(&subject);
        if now.differs.is_empty() {
            if let Some(before) = before {
                self.caught_up += 1;
                self.late += i64::from(before.was_difference);
            }
            return;
        }
        let (first_round, was_difference) =
            before.as_ref().map_or((moment.round, false), |of| (of.first_round, of.was_difference));
        let mut followed =
            FollowedSubject { first_round, was_difference, waits: now.waits, marks: BTreeMap::new() };
        for seen in &now.differs {
            let key = (seen.kind, seen.column.clone());
            let print = seen.print();
            let mark = before.as_ref().and_then(|of| of.marks.get(&key)).filter(|mark| mark.print == print);
            let (since, looks) = mark.map_or((moment.at, 1), |mark| (mark.since, mark.looks + 1));
            let had_time = looks >= 2 && moment.at.saturating_sub(since) >= moment.catch_up;
            let stays = had_time && now.waits != Some(ShadowWait::Unsent);
            if stays {
                followed.was_difference = true;
                self.give_example(mapping, seen);
            }
            followed.marks.insert(key, Mark { print, since, looks, stays });
        }
        self.open.insert(subject, followed);
    }

    fn give_example(&mut self, mapping: &Mapping, seen: &SeenDifference) {
        let shown = |value: &Option<String>| example_value(mapping, &seen.column, value.as_deref());
        let example = ShadowExample {
            kind: seen.kind,
            row: seen.row,
            sfid: seen.sfid.clone(),
            row_value: shown(&seen.row_value),
            record_value: shown(&seen.record_value),
        };
        if seen.kind != ShadowKind::FieldDiffers {
            if self.examples.iter().filter(|one| one.kind == seen.kind).count() < EXAMPLES {
                self.examples.push(example);
            }
            return;
        }
        let name = mapping.field(&seen.column).map_or(seen.column.as_str(), |field| field.name.as_str());
        let of = self.fields.entry(name.to_owned()).or_insert_with(|| FieldDifferences {
            field: name.to_owned(),
            column: seen.column.clone(),
            rows: 0,
            examples: Vec::new(),
        });
        of.rows += 1;
        if of.examples.len() < EXAMPLES {
            of.examples.push(example);
        }
    }

    /// Whether something that was met in a round up to this one is neither a difference yet nor gone.
    pub fn has_undecided(&self, up_to: u64) -> bool {
        let decided = |of: &FollowedSubject| of.marks.values().all(|mark| mark.stays);
        self.open.values().any(|of| of.first_round <= up_to && !decided(of))
    }

    /// Adds what there is after a round to the report of its mapping.
    pub fn tell(&self, report: &mut ShadowMappingReport) {
        report.differences.clear();
        report.waiting.clear();
        report.undecided = 0;
        for of in self.open.values() {
            let stays: Vec<ShadowKind> =
                of.marks.iter().filter(|(_, mark)| mark.stays).map(|((kind, _), _)| *kind).collect();
            match (stays.first(), of.waits) {
                (Some(kind), _) => *report.differences.entry(*kind).or_default() += 1,
                (None, Some(waits)) => *report.waiting.entry(waits).or_default() += 1,
                (None, None) => report.undecided += 1,
            }
        }
        report.refused = self.refused;
        report.caught_up = self.caught_up;
        report.late = self.late;
        report.fields = self.fields.values().cloned().collect();
        report.fields.sort_by_key(|of| std::cmp::Reverse(of.rows));
        report.examples = self.examples.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mappings::field::{Field, FieldType};

    fn mapping() -> Mapping {
        let number = Field { precision: 18, scale: 2, ..Field::plain("Amount", FieldType::Double) };
        let mut mapping = Mapping::plain("Contact", vec![Field::plain("Email", FieldType::Email), number]);
        mapping.rules.set("Email.mask", "true").unwrap();
        mapping
    }

    fn seen(column: &str, row: &str, record: &str) -> SeenDifference {
        SeenDifference {
            column: column.to_owned(),
            row_value: Some(row.to_owned()),
            record_value: Some(record.to_owned()),
            ..SeenDifference::whole(ShadowKind::FieldDiffers, Some(7), Some("003A"))
        }
    }

    fn state(differs: Vec<SeenDifference>, waits: Option<ShadowWait>) -> ShadowState {
        ShadowState { differs, waits, refused: false }
    }

    fn at(round: u64, minutes: u64) -> ShadowMoment {
        let minute = Duration::from_secs(60);
        ShadowMoment { round, at: minute * minutes as u32, catch_up: minute * 10 }
    }

    fn told(follower: &ShadowFollower) -> ShadowMappingReport {
        let mut report = ShadowMappingReport::default();
        follower.tell(&mut report);
        report
    }

    #[test]
    fn what_stays_is_a_difference_and_what_goes_caught_up() {
        let (mapping, subject) = (mapping(), ShadowSubject::Row(7));
        let mut follower = ShadowFollower::default();
        let differs = || state(vec![seen("amount", "1", "2"), seen("email", "a@b", "c@d")], None);
        follower.see(&mapping, subject.clone(), differs(), at(1, 0));
        assert_eq!((told(&follower).undecided, follower.has_undecided(1)), (1, true));
        // Twice, but not long enough.
        follower.see(&mapping, subject.clone(), differs(), at(2, 5));
        assert_eq!((told(&follower).undecided, told(&follower).different()), (1, 0));
        // One field is another now, the other one stays.
        follower.begin_round();
        let moved =
            state(vec![seen("amount", "1", "3"), seen("email", "a@b", "c@d")], Some(ShadowWait::Recent));
        follower.see(&mapping, subject.clone(), moved, at(3, 10));
        let report = told(&follower);
        assert_eq!(report.differences, [(ShadowKind::FieldDiffers, 1)].into());
        assert_eq!(
            report.fields.iter().map(|of| (of.field.as_str(), of.rows)).collect::<Vec<_>>(),
            [("Email", 1)]
        );
        assert_eq!(report.fields[0].examples[0].row_value.as_deref(), Some("•••"));
        follower.see(&mapping, subject, state(Vec::new(), None), at(4, 20));
        assert_eq!((follower.caught_up, follower.late, told(&follower).different()), (1, 1, 0));
    }

    #[test]
    fn what_is_not_sent_or_was_refused_is_no_difference() {
        let mapping = mapping();
        let mut follower = ShadowFollower::default();
        let unsent = || state(vec![seen("amount", "1", "2")], Some(ShadowWait::Unsent));
        follower.see(&mapping, ShadowSubject::Row(1), unsent(), at(1, 0));
        follower.see(&mapping, ShadowSubject::Row(1), unsent(), at(2, 60));
        assert_eq!(told(&follower).waiting, [(ShadowWait::Unsent, 1)].into());
        let refused = ShadowState { refused: true, ..unsent() };
        follower.see(&mapping, ShadowSubject::Row(1), refused, at(3, 70));
        let report = told(&follower);
        assert_eq!((report.refused, report.caught_up, report.different()), (1, 0, 0));
    }
}
