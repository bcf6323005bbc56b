//! What a comparison beside Heroku Connect found, for people and scripts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::domain::mappings::mapping::Mapping;
use crate::domain::values::hstore::Hstore;

use super::format::{FormatReason, example_value, format_reason};

/// A kind of difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ShadowKind {
    /// A row and its record hold different values.
    FieldDiffers,
    /// A record has no row.
    RecordWithoutRow,
    /// A row names a record that Salesforce does not have, or not any more.
    RowWithoutRecord,
    /// A row names no record, and nothing of it waits to be sent.
    NeverSent,
    /// Several rows name one record.
    SfidTwice,
}

impl ShadowKind {
    /// In the order in which they are told.
    pub const ALL: [ShadowKind; 5] = [
        ShadowKind::FieldDiffers,
        ShadowKind::RecordWithoutRow,
        ShadowKind::RowWithoutRecord,
        ShadowKind::NeverSent,
        ShadowKind::SfidTwice,
    ];

    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            ShadowKind::FieldDiffers => "rows differ from their records",
            ShadowKind::RecordWithoutRow => "records without a row",
            ShadowKind::RowWithoutRecord => "rows without a record (deleted in Salesforce)",
            ShadowKind::NeverSent => "rows without a record (never sent)",
            ShadowKind::SfidTwice => "records with several rows",
        }
    }
}

/// Why something that differs is no difference yet; what can be said least of comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ShadowWait {
    /// A change of the row waits or was refused, and nothing tells what it changed.
    Untold,
    /// The record changed within the time that Heroku Connect may take.
    Recent,
    /// A change of just this is captured and not sent, or is being sent.
    Unsent,
}

/// A difference to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShadowExample {
    /// What it is.
    pub kind: ShadowKind,
    /// The row's id.
    pub row: Option<i32>,
    /// The record's id.
    pub sfid: Option<String>,
    /// The row's value, of a field; masked and cut.
    pub row_value: Option<String>,
    /// The record's, the same.
    pub record_value: Option<String>,
}

/// The rows that differ in one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldDifferences {
    /// API name.
    pub field: String,
    /// Column.
    pub column: String,
    /// How many.
    pub rows: i64,
    /// Some of them.
    pub examples: Vec<ShadowExample>,
}

/// The values of one field that syncdeck would write in another form, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FormatDifferences {
    /// API name.
    pub field: String,
    /// Column.
    pub column: String,
    /// Why.
    pub reason: FormatReason,
    /// How many rows.
    pub rows: i64,
    /// One of them: the row's id, its value, the record's.
    pub example: (i32, Option<String>, Option<String>),
}

/// What a walk over one mapping counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ShadowCounts {
    /// Records that Salesforce told of.
    pub records: i64,
    /// Rows that were met.
    pub rows: i64,
    /// Rows that were compared with their records.
    pub compared: i64,
    /// Rows and records that looked different and were too many to be followed.
    pub unfollowed: i64,
    /// Values that syncdeck would write in another form.
    pub formats: Vec<FormatDifferences>,
}

impl ShadowCounts {
    /// Counts the fields of a row in step that syncdeck would write otherwise.
    pub fn count_formats(&mut self, mapping: &Mapping, id: i32, row: &Hstore, record: &Hstore) {
        for field in mapping.read_fields() {
            let value = |side: &Hstore| side.get(&field.column).cloned().flatten();
            let (ours, theirs) = (value(row), value(record));
            let Some(reason) = format_reason(field, ours.as_deref(), theirs.as_deref()) else { continue };
            let known = |of: &&mut FormatDifferences| of.column == field.column && of.reason == reason;
            if let Some(of) = self.formats.iter_mut().find(known) {
                of.rows += 1;
                continue;
            }
            let shown = |value: &Option<String>| example_value(mapping, &field.column, value.as_deref());
            self.formats.push(FormatDifferences {
                field: field.name.clone(),
                column: field.column.clone(),
                reason,
                rows: 1,
                example: (id, shown(&ours), shown(&theirs)),
            });
        }
    }
}

/// What was found of one mapping, as it stood in the last round.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ShadowMappingReport {
    /// The mapping's object.
    pub mapping: String,
    /// Its table.
    pub table: String,
    /// How long a difference must stay, in seconds.
    pub catch_up_seconds: u64,
    /// Rounds in which all of it was compared.
    pub rounds: u64,
    /// What the last one counted.
    #[serde(flatten)]
    pub counts: ShadowCounts,
    /// Rows and records that stayed different, by kind.
    pub differences: BTreeMap<ShadowKind, i64>,
    /// The fields in which rows stayed different.
    pub fields: Vec<FieldDifferences>,
    /// Examples of the other kinds.
    pub examples: Vec<ShadowExample>,
    /// Rows and records that differ and may come to agree, by why.
    pub waiting: BTreeMap<ShadowWait, i64>,
    /// Those that differ and were not looked at often, or long, enough to say.
    pub undecided: i64,
    /// Rows whose change Salesforce refused, as `syncdeck errors` lists them beside Heroku Connect.
    pub refused: i64,
    /// Rows and records that differed and came to agree.
    pub caught_up: i64,
    /// Of these, those that took longer than Heroku Connect should.
    pub late: i64,
    /// Why it could not be compared in the last round that tried, if so: the rest is of an earlier one then.
    pub broken: Option<String>,
    /// What could not be compared, and why.
    pub uncompared: Vec<String>,
    /// Columns of the table that the configuration does not map: nobody keeps them after a move.
    pub unmapped: Vec<String>,
}

impl ShadowMappingReport {
    /// How many rows and records stayed different.
    pub fn different(&self) -> i64 {
        self.differences.values().sum()
    }

    /// How many differ of which nothing can be said: not looked at long enough, changed a moment ago, not followed, not told of.
    pub fn all_undecided(&self) -> i64 {
        let waiting = self.waiting.iter().filter(|(waits, _)| **waits != ShadowWait::Unsent);
        self.undecided + self.counts.unfollowed + waiting.map(|(_, number)| number).sum::<i64>()
    }
}

/// A round, when it is over.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ShadowRound {
    /// Its number, from 1.
    pub number: u64,
    /// When it began.
    pub began_at: String,
    /// How long it took, in seconds.
    pub seconds: u64,
    /// The API calls that it took.
    pub calls: i64,
    /// Rows that were compared with their records.
    pub compared: i64,
    /// Rows and records that stayed different.
    pub differences: i64,
    /// Those that differ because a change of them is not sent.
    pub waiting: i64,
    /// Those that differ, and of which nothing can be said yet.
    pub undecided: i64,
    /// How many came to agree, since the beginning.
    pub caught_up: i64,
    /// What of it failed, if anything: the mapping and why.
    pub broken: Option<String>,
    /// Whether it was stopped before its end, and nothing failed until then.
    pub stopped: bool,
}

impl ShadowRound {
    /// Whether all mappings were compared in it.
    pub fn is_whole(&self) -> bool {
        self.broken.is_none() && !self.stopped
    }
}

/// What rounds cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ShadowCost {
    /// From the beginning of one round to that of the next, in seconds.
    pub every_seconds: u64,
    /// The API calls of a round, at least: what differs is looked at again.
    pub calls_a_round: i64,
    /// The mappings whose records Salesforce did not count; one call is assumed of each.
    pub uncounted: usize,
    /// The same of a day.
    pub calls_a_day: i64,
    /// What the org has used of its allowance, and that, where it says so.
    pub allowance: Option<(i64, i64)>,
}

impl ShadowCost {
    /// Of so many calls every so often.
    pub fn of(calls_a_round: i64, every: Duration, allowance: Option<(i64, i64)>) -> ShadowCost {
        let rounds = 86_400.0 / every.as_secs_f64().max(1.0);
        let calls_a_day = (calls_a_round as f64 * rounds.max(1.0)).ceil() as i64;
        ShadowCost { every_seconds: every.as_secs(), calls_a_round, calls_a_day, allowance, uncounted: 0 }
    }
}

/// What a comparison beside Heroku Connect found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ShadowReport {
    /// The org that was read.
    pub org_id: String,
    /// Its rounds.
    pub rounds: Vec<ShadowRound>,
    /// What a round costs.
    pub cost: ShadowCost,
    /// Whether it was stopped before its time.
    pub stopped: bool,
    /// Whether all that was compared is in step.
    pub in_step: bool,
    /// What was found, by mapping.
    pub mappings: Vec<ShadowMappingReport>,
    /// What could not be compared beside the mappings, and why.
    pub uncompared: Vec<String>,
}

impl ShadowReport {
    /// Whether each mapping was compared as a whole, also in the last round but for one that was stopped, and nothing of it
    /// stays different or is left undecided.
    pub fn is_in_step(&self) -> bool {
        let last = self.rounds.iter().rev().find(|round| !round.stopped);
        let fine = |of: &ShadowMappingReport| {
            of.rounds > 0 && of.broken.is_none() && of.different() == 0 && of.all_undecided() == 0
        };
        last.is_some_and(ShadowRound::is_whole) && !self.mappings.is_empty() && self.mappings.iter().all(fine)
    }

    /// Whether any mapping was compared as a whole.
    pub fn was_compared(&self) -> bool {
        self.mappings.iter().any(|of| of.rounds > 0)
    }

    /// Rounds that came to their end.
    pub fn whole_rounds(&self) -> usize {
        self.rounds.iter().filter(|round| round.is_whole()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_is_of_a_round_and_of_a_day() {
        let cost = ShadowCost::of(7, Duration::from_secs(900), None);
        assert_eq!((cost.calls_a_day, cost.every_seconds), (672, 900));
    }

    #[test]
    fn only_a_round_that_was_stopped_is_overlooked() {
        let whole = || ShadowRound::default();
        let stopped = || ShadowRound { stopped: true, ..ShadowRound::default() };
        let broken = || ShadowRound { broken: Some("no answer".to_owned()), ..ShadowRound::default() };
        let mapping = ShadowMappingReport { rounds: 1, ..ShadowMappingReport::default() };
        let of = |rounds: Vec<ShadowRound>| ShadowReport {
            rounds,
            stopped: true,
            mappings: vec![mapping.clone()],
            ..ShadowReport::default()
        };
        assert!(of(vec![whole()]).is_in_step());
        assert!(of(vec![whole(), stopped()]).is_in_step());
        assert!(of(vec![broken(), whole()]).is_in_step());
        assert!(!of(vec![whole(), broken()]).is_in_step());
        assert!(!of(vec![whole(), broken(), stopped()]).is_in_step());
        assert!(!of(vec![stopped()]).is_in_step());
        assert!(!of(Vec::new()).is_in_step());
        // What looked different and was not followed is no difference, and no proof either.
        let mut report = of(vec![whole()]);
        report.mappings[0].counts.unfollowed = 1;
        assert_eq!((report.is_in_step(), report.mappings[0].different()), (false, 0));
        // One mapping that could not be compared is enough.
        let mut report = of(vec![whole()]);
        report.mappings.push(ShadowMappingReport { broken: Some("no right".to_owned()), ..mapping });
        assert!(!report.is_in_step() && report.was_compared());
    }
}
