//! Rows and records that look different, followed from round to round until they agree or stay different.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::domain::mappings::mapping::Mapping;
use crate::domain::records::verify::Difference;

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
    /// The row's value, of a field; masked and cut.
    pub row_value: Option<String>,
    /// The record's value, the same.
    pub record_value: Option<String>,
    /// Why it is no difference yet, if so.
    pub waits: Option<ShadowWait>,
    /// The row's side in a number: the same number is the same state. The record's is not in it, for it may change all the
    /// time, and a row that Heroku Connect leaves as it was is no less wrong for that.
    print: u64,
}

impl SeenDifference {
    /// Of something else than a field.
    pub fn whole(kind: ShadowKind, row: Option<i32>, sfid: Option<&str>) -> SeenDifference {
        let sfid = sfid.map(str::to_owned);
        let print = print(sfid.as_deref(), None);
        let (row_value, record_value) = (None, None);
        SeenDifference { kind, column: String::new(), row, sfid, row_value, record_value, waits: None, print }
    }

    /// Of a field. Values are kept as they are shown: there may be many, and long ones.
    pub fn of_field(mapping: &Mapping, row: i32, sfid: Option<&str>, of: &Difference) -> SeenDifference {
        let shown = |value: &Option<String>| example_value(mapping, &of.column, value.as_deref());
        SeenDifference {
            column: of.column.clone(),
            row_value: shown(&of.row),
            record_value: shown(&of.record),
            print: print(sfid, of.row.as_deref()),
            ..SeenDifference::whole(ShadowKind::FieldDiffers, Some(row), sfid)
        }
    }
}

fn print(sfid: Option<&str>, row_value: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (sfid, row_value).hash(&mut hasher);
    hasher.finish()
}

/// How a row or a record looks in a round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShadowState {
    /// In what both sides differ.
    pub differs: Vec<SeenDifference>,
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
    waits: Option<ShadowWait>,
}

impl Mark {
    /// Whether a later look can tell more.
    fn is_open(&self) -> bool {
        !self.stays && self.waits != Some(ShadowWait::Untold)
    }
}

#[derive(Clone, Debug)]
struct FollowedSubject {
    first_round: u64,
    was_difference: bool,
    marks: BTreeMap<(ShadowKind, String), Mark>,
}

impl FollowedSubject {
    fn is_undecided(&self) -> bool {
        let may_go = |mark: &Mark| matches!(mark.waits, None | Some(ShadowWait::Recent));
        self.marks.values().all(|mark| !mark.stays && may_go(mark))
    }
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
        let mut followed = FollowedSubject { first_round, was_difference, marks: BTreeMap::new() };
        for seen in &now.differs {
            let key = (seen.kind, seen.column.clone());
            let (print, waits) = (seen.print, seen.waits);
            let mark = before.as_ref().and_then(|of| of.marks.get(&key)).filter(|mark| mark.print == print);
            let (since, looks) = match waits {
                // Its time begins when nothing of it waits any more.
                Some(ShadowWait::Unsent | ShadowWait::Untold) => (moment.at, 0),
                _ => match mark.filter(|mark| mark.looks > 0) {
                    Some(mark) => (mark.since, mark.looks + 1),
                    None => (moment.at, 1),
                },
            };
            let stays = looks >= 2 && moment.at.saturating_sub(since) >= moment.catch_up;
            if stays {
                followed.was_difference = true;
                self.give_example(mapping, seen);
            }
            followed.marks.insert(key, Mark { print, since, looks, stays, waits });
        }
        self.open.insert(subject, followed);
    }

    fn give_example(&mut self, mapping: &Mapping, seen: &SeenDifference) {
        let example = ShadowExample {
            kind: seen.kind,
            row: seen.row,
            sfid: seen.sfid.clone(),
            row_value: seen.row_value.clone(),
            record_value: seen.record_value.clone(),
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
        self.open.values().any(|of| of.first_round <= up_to && of.marks.values().any(Mark::is_open))
    }

    /// What is undecided although nothing of it is known to wait in Heroku Connect: a look alone can decide it.
    pub fn undecided(&self) -> impl Iterator<Item = &ShadowSubject> {
        self.open.iter().filter(|(_, of)| of.is_undecided()).map(|(subject, _)| subject)
    }

    /// When all that is undecided will have had its time.
    pub fn due(&self, catch_up: Duration) -> Option<Duration> {
        let undecided = self.open.values().filter(|of| of.is_undecided());
        undecided.flat_map(|of| of.marks.values()).map(|mark| mark.since + catch_up).max()
    }

    /// Adds what there is after a round to the report of its mapping.
    pub fn tell(&self, report: &mut ShadowMappingReport) {
        report.differences.clear();
        report.waiting.clear();
        report.undecided = 0;
        for of in self.open.values() {
            let stays: Vec<ShadowKind> =
                of.marks.iter().filter(|(_, mark)| mark.stays).map(|((kind, _), _)| *kind).collect();
            // What can be said least of one part of it is said of all.
            match (stays.first(), of.marks.values().map(|mark| mark.waits).min().flatten()) {
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
        let (field, column) = (column.to_owned(), column.to_owned());
        let differs =
            Difference { field, column, row: Some(row.to_owned()), record: Some(record.to_owned()) };
        SeenDifference::of_field(&mapping(), 7, Some("003A"), &differs)
    }

    fn state(mut differs: Vec<SeenDifference>, waits: Option<ShadowWait>) -> ShadowState {
        differs.iter_mut().for_each(|seen| seen.waits = waits);
        ShadowState { differs, refused: false }
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
            state(vec![seen("amount", "3", "2"), seen("email", "a@b", "c@d")], Some(ShadowWait::Recent));
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
        // Its time begins when it waits no more.
        let sent = || state(vec![seen("amount", "1", "2")], None);
        follower.see(&mapping, ShadowSubject::Row(1), sent(), at(3, 70));
        assert_eq!((told(&follower).different(), told(&follower).undecided), (0, 1));
        let refused = ShadowState { refused: true, ..unsent() };
        follower.see(&mapping, ShadowSubject::Row(1), refused, at(4, 80));
        let report = told(&follower);
        assert_eq!((report.refused, report.caught_up, report.different()), (1, 0, 0));
    }

    #[test]
    fn a_record_that_changes_all_the_time_hides_no_row_that_stands_still() {
        let (mapping, subject) = (mapping(), ShadowSubject::Row(7));
        let mut follower = ShadowFollower::default();
        let recent = |record: &str| state(vec![seen("amount", "1", record)], Some(ShadowWait::Recent));
        follower.see(&mapping, subject.clone(), recent("2"), at(1, 0));
        let report = told(&follower);
        assert_eq!(report.waiting, [(ShadowWait::Recent, 1)].into());
        assert_eq!((report.different(), report.all_undecided()), (0, 1));
        let minute = Duration::from_secs(60);
        assert_eq!((follower.undecided().count(), follower.due(minute * 10)), (1, Some(minute * 10)));
        follower.see(&mapping, subject, recent("3"), at(2, 10));
        assert_eq!((follower.undecided().count(), follower.due(minute)), (0, None));
        assert_eq!(told(&follower).differences, [(ShadowKind::FieldDiffers, 1)].into());
    }

    #[test]
    fn one_part_that_cannot_be_told_leaves_the_row_undecided() {
        let (mapping, mut follower) = (mapping(), ShadowFollower::default());
        let mut now = state(vec![seen("amount", "1", "2"), seen("email", "a@b", "c@d")], None);
        now.differs[0].waits = Some(ShadowWait::Unsent);
        now.differs[1].waits = Some(ShadowWait::Untold);
        follower.see(&mapping, ShadowSubject::Row(7), now.clone(), at(1, 0));
        follower.see(&mapping, ShadowSubject::Row(7), now, at(2, 60));
        let report = told(&follower);
        assert_eq!((report.different(), report.all_undecided()), (0, 1));
        assert_eq!(report.waiting, [(ShadowWait::Untold, 1)].into());
    }
}
