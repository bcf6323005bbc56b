//! The life of a row's newest change: from its capture over every answer to where it stands now, as steps in a line.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// What is known of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChangeLife {
    /// When it was captured, where the log says so.
    pub captured_at: Option<DateTime<Utc>>,
    /// What Salesforce said of it so far; `None` before it was sent.
    pub answers: Option<LifeAnswers>,
    /// Where it stands.
    pub stage: LifeStage,
    /// Why there is no more of it, where something is not known here.
    #[serde(default)]
    pub unknown: Option<String>,
}

/// Its answers. What is kept of each call is when it was answered, not when it began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LifeAnswers {
    /// How often it was sent.
    pub count: i64,
    /// When it was answered first.
    pub first_at: DateTime<Utc>,
    /// When it was answered last.
    pub last_at: DateTime<Utc>,
    /// The last answer: `accepted`, `rejected`, `lost`.
    pub last: String,
}

/// Where a change stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LifeStage {
    /// Salesforce has it.
    Accepted {
        /// Since when.
        at: Option<DateTime<Utc>>,
    },
    /// It waits, and why: its turn, its parent, its mapping.
    Waiting {
        /// In plain words.
        why: String,
    },
    /// It is sent again by itself.
    Again {
        /// When.
        at: DateTime<Utc>,
    },
    /// It is on its way.
    Sending,
    /// It is in a job of Bulk API 2.0.
    InJob {
        /// Salesforce's id of the job, once it has one.
        job: Option<String>,
        /// Since when.
        since: DateTime<Utc>,
    },
    /// Nobody sends it again until a person does something.
    GivenUp {
        /// What is waited for: `waits for a person`.
        why: String,
    },
    /// Nothing is sent of it, and why.
    Dropped {
        /// In plain words.
        why: String,
        /// Since when.
        at: Option<DateTime<Utc>>,
    },
    /// Nothing is known of any change.
    #[default]
    Unknown,
}

/// What a step says of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// It is behind it.
    Past,
    /// Salesforce took it.
    Good,
    /// Salesforce did not.
    Bad,
    /// A person has to do something.
    Person,
    /// Nothing more comes of it.
    Over,
    /// It is there now.
    Now,
    /// It comes by itself.
    Next,
}

/// A step of the line.
#[derive(Clone, Debug, PartialEq)]
pub struct LifeStep {
    /// What it says.
    pub kind: StepKind,
    /// In a word or a few.
    pub word: String,
    /// When it was reached.
    pub at: Option<DateTime<Utc>>,
    /// How long it took from the step before.
    pub took: Option<TimeDelta>,
}

impl ChangeLife {
    /// The steps, in their order; the last one is where it stands. None where nothing is known.
    pub fn steps(&self, now: DateTime<Utc>) -> Vec<LifeStep> {
        let mut steps: Vec<LifeStep> = Vec::new();
        let mut before = self.captured_at;
        let mut step = |kind, word: String, at: Option<DateTime<Utc>>| {
            let took = before.zip(at).map(|(before, at)| (at - before).max(TimeDelta::zero()));
            before = at.or(before);
            steps.push(LifeStep { kind, word, at, took });
        };
        if let Some(at) = self.captured_at {
            step(StepKind::Past, "captured".to_owned(), Some(at));
        }
        let accepted = matches!(self.stage, LifeStage::Accepted { .. });
        if let Some(answers) = &self.answers {
            match answers.count {
                1 => step(StepKind::Past, "sent".to_owned(), None),
                times => step(StepKind::Past, format!("sent ×{times}"), Some(answers.first_at)),
            }
            if !accepted {
                let (kind, word) = match answers.last.as_str() {
                    // Parts of it were, and the rest goes on.
                    "accepted" => (StepKind::Good, "begun"),
                    "lost" => (StepKind::Bad, "answer lost"),
                    _ => (StepKind::Bad, "rejected"),
                };
                step(kind, word.to_owned(), Some(answers.last_at));
            }
        }
        let (kind, word, at) = match &self.stage {
            LifeStage::Accepted { at } => {
                let answered = self.answers.as_ref().map(|answers| answers.last_at);
                (StepKind::Good, "accepted".to_owned(), at.or(answered))
            }
            LifeStage::Waiting { why } => (StepKind::Now, why.clone(), None),
            LifeStage::Again { at } if *at > now => {
                let left = (*at - now).num_seconds() + 1;
                (StepKind::Next, format!("again in {}", in_words(TimeDelta::seconds(left))), None)
            }
            LifeStage::Again { .. } => (StepKind::Next, "waits its turn".to_owned(), None),
            LifeStage::Sending => (StepKind::Now, "being sent".to_owned(), None),
            LifeStage::InJob { job, since } => {
                let job = job.as_ref().map(|job| format!(" {job}")).unwrap_or_default();
                (StepKind::Now, format!("in bulk job{job}"), Some(*since))
            }
            LifeStage::GivenUp { why } => (StepKind::Person, why.clone(), None),
            LifeStage::Dropped { why, at } => (StepKind::Over, why.clone(), *at),
            LifeStage::Unknown => return Vec::new(),
        };
        step(kind, word, at);
        steps
    }

    /// Since when it is where it stands, for what waits.
    pub fn since(&self) -> Option<DateTime<Utc>> {
        self.answers.as_ref().map(|answers| answers.last_at).or(self.captured_at)
    }

    /// How long it took from its capture to Salesforce's yes.
    pub fn whole(&self) -> Option<TimeDelta> {
        let LifeStage::Accepted { at } = self.stage else { return None };
        Some((at? - self.captured_at?).max(TimeDelta::zero()))
    }
}

/// How long something took, in a word.
pub fn in_words(time: TimeDelta) -> String {
    crate::domain::values::duration::measured(time.to_std().unwrap_or_default().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_183_331 + seconds, 0).unwrap()
    }

    /// A line as a person reads it, with how long each step took.
    fn read(answers: &[(i64, &str)], stage: LifeStage) -> String {
        let answers = answers.first().zip(answers.last()).map(|(first, last)| LifeAnswers {
            count: i64::try_from(answers.len()).unwrap(),
            first_at: at(first.0),
            last_at: at(last.0),
            last: last.1.to_owned(),
        });
        let life = ChangeLife { captured_at: Some(at(0)), answers, stage, unknown: None };
        let step = |step: LifeStep| match step.took.filter(|took| *took > TimeDelta::zero()) {
            Some(took) => format!("{} ({})", step.word, in_words(took)),
            None => step.word,
        };
        life.steps(at(60)).into_iter().map(step).collect::<Vec<_>>().join(" > ")
    }

    #[test]
    fn every_stage_has_its_words_and_every_step_its_time() {
        let waits = |why: &str| LifeStage::Waiting { why: why.to_owned() };
        let person = LifeStage::GivenUp { why: "waits for a person".to_owned() };
        let dropped = LifeStage::Dropped { why: "ignored".to_owned(), at: Some(at(7)) };
        let rejected = [(2, "rejected"), (4, "rejected"), (44, "rejected")];
        for (line, words) in [
            (read(&[], waits("waits for Invoice 12")), "captured > waits for Invoice 12"),
            (read(&[], LifeStage::Sending), "captured > being sent"),
            (
                read(&[], LifeStage::InJob { job: Some("750A".to_owned()), since: at(3) }),
                "captured > in bulk job 750A (3 s)",
            ),
            (
                read(&[(2, "accepted")], LifeStage::Accepted { at: Some(at(2)) }),
                "captured > sent > accepted (2 s)",
            ),
            (
                read(&[(2, "rejected"), (42, "accepted")], LifeStage::Accepted { at: Some(at(42)) }),
                "captured > sent ×2 (2 s) > accepted (40 s)",
            ),
            (
                read(&rejected, LifeStage::Again { at: at(99) }),
                "captured > sent ×3 (2 s) > rejected (42 s) > again in 40 s",
            ),
            (
                read(&rejected, LifeStage::Again { at: at(50) }),
                "captured > sent ×3 (2 s) > rejected (42 s) > waits its turn",
            ),
            (read(&[(2, "lost")], person), "captured > sent > answer lost (2 s) > waits for a person"),
            (read(&[], dropped), "captured > ignored (7 s)"),
            (
                read(&[(2, "accepted")], waits("waits its turn")),
                "captured > sent > begun (2 s) > waits its turn",
            ),
            (read(&[], LifeStage::Unknown), ""),
        ] {
            assert_eq!(line, words);
        }
    }
}
