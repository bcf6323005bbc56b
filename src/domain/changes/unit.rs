//! The life of a unit, as pure steps: what each event makes of it, and what is to be done about it. The acknowledgement
//! follows [`step`] as it stands here; ingestion, claim and rescue say the same in SQL, for many units at once, and are
//! held to it by a test.
//!
//! ```text
//!              change                 claim               accepted, nothing to send
//!    (none) ──────────> ready ────────────────> in flight ─────────────────────────> (none)
//!                       ^  ^ ^                   │  │  │                                ^
//!                       │  │ └── lease ran out, ─┘  │  └── accepted, row locked ──> write-back
//!                       │  │     lost, joined by    │
//!                       │  └──── parent came ──── held
//!                       └─────── change, retry ── failed
//! ```
//!
//! Beside `failed` stand `review`, which only a person's release ends, and `stopped`, for a mapping whose writes are
//! stopped or paused.

use std::time::Duration;

use crate::domain::mappings::strategy::RetryDecision;

/// How many answers that were lost with their engine count. Each halves the calls in which the record goes again, in case
/// it is what kills the engines; most often it is not, and thousands of records that each go alone would be sent for
/// minutes after a bad night.
pub const LOST_WITH_ENGINE: i32 = 3;

/// Where a unit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitPhase {
    /// Waits to be claimed.
    Ready,
    /// Claimed, under a token.
    InFlight,
    /// Waits for another row's unit.
    Held,
    /// Waits for a person, or for its next change.
    Failed,
    /// Waits for a person's release, whatever changes.
    Review,
    /// Its mapping's writes are stopped.
    Stopped,
    /// Accepted; its row was locked and is still to be told.
    WriteBack,
}

impl UnitPhase {
    /// The word in the database.
    pub fn word(self) -> &'static str {
        match self {
            UnitPhase::Ready => "ready",
            UnitPhase::InFlight => "inflight",
            UnitPhase::Held => "held",
            UnitPhase::Failed => "failed",
            UnitPhase::Review => "review",
            UnitPhase::Stopped => "stopped",
            UnitPhase::WriteBack => "writeback",
        }
    }
}

/// A unit, without what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Where it stands.
    pub phase: UnitPhase,
    /// Grows with every change that joins and every retry that a person asks for.
    pub version: i64,
    /// Rejections of the record itself (I8).
    pub attempts: i32,
    /// Answers that never came.
    pub lost: i32,
    /// Of these, in a call of its own.
    pub lost_alone: i32,
    /// Who has it in flight.
    pub token: Option<String>,
    /// Whether an outcome waits for its row to be unlocked.
    pub owes_row: bool,
    /// How long it waits in its phase before it is looked at.
    pub pause: Duration,
}

/// What an answer says of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendResult {
    /// Salesforce took it.
    Accepted,
    /// Salesforce took it without what it cannot know yet: it goes again at once with the rest.
    Begun,
    /// Nothing had to be sent.
    Nothing,
    /// Rejected.
    Rejected {
        /// What becomes of it.
        next: RetryDecision,
        /// Whether Salesforce itself rejected it (I8), rather than a check before it.
        counted: bool,
    },
    /// Waits for another row, whose word wakes it.
    Held {
        /// Looked at again after this long, should that word be missed.
        pause: Duration,
    },
    /// Nobody knows.
    Lost {
        /// Whether the call held nothing else.
        alone: bool,
        /// Sent again after this long,
        retry: Duration,
        /// unless it is parked for a person.
        parked: Option<RetryDecision>,
    },
    /// Not sent after all.
    Released {
        /// Ready again after this long.
        pause: Duration,
    },
    /// Not sent: its mapping's writes are stopped.
    Stopped,
    /// Its record is gone, and it goes again at once as a new one: answers that were lost were about the old one.
    Anew,
}

impl SendResult {
    /// Whether the row is to be told.
    pub fn tells_row(self) -> bool {
        matches!(self, SendResult::Accepted | SendResult::Nothing) || self.parks().is_some()
    }

    /// In which phase it waits for a person, if it does.
    fn parks(self) -> Option<UnitPhase> {
        match self {
            SendResult::Rejected { next, .. } | SendResult::Lost { parked: Some(next), .. } => match next {
                RetryDecision::Again(_) => None,
                RetryDecision::Open | RetryDecision::Stop => Some(UnitPhase::Failed),
                RetryDecision::Review => Some(UnitPhase::Review),
            },
            _ => None,
        }
    }
}

/// What happens to a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnitEvent {
    /// Ingest found changes of its record.
    Changed,
    /// An engine claims it.
    Claimed {
        /// Under this token.
        token: String,
    },
    /// The claim's lease ran out: its engine gave no answer in time.
    LeaseRanOut,
    /// The unit it waited for is done, or it slept long enough.
    Woken,
    /// The writes of its mapping go on.
    Resumed,
    /// An engine acknowledges what became of it.
    Answered {
        /// Under the token of its claim,
        token: String,
        /// at the version that it read.
        version: i64,
        /// What became of it.
        answer: SendResult,
        /// Whether somebody has the row locked.
        row_locked: bool,
    },
    /// The row was told at last.
    RowTold,
    /// A person asks for another try.
    RetryAsked {
        /// Whether that person says that a record may be made a second time. Otherwise it stays known that an answer was
        /// lost, for Salesforce may have the record.
        twice: bool,
    },
}

/// What is to be done about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitEffect {
    /// What it is about is sent.
    Send,
    /// Its entries up to the sent one are archived (accepted, or needing no send).
    Archive,
    /// Its entries up to the sent one are FAILED, and kept.
    Fail,
    /// The row is told now.
    TellRow,
    /// Units that wait for this one are woken.
    Wake,
    /// The result is dropped: another engine has the unit by now (I7).
    Fence,
}

/// One step. `None` is a record with nothing unsent.
pub fn step(unit: Option<Unit>, event: &UnitEvent) -> (Option<Unit>, Vec<UnitEffect>) {
    let Some(unit) = unit else {
        return match event {
            UnitEvent::Changed => (Some(Unit::new()), Vec::new()),
            UnitEvent::Answered { .. } => (None, vec![UnitEffect::Fence]),
            _ => (None, Vec::new()),
        };
    };
    match event {
        UnitEvent::Changed => (Some(unit.joined()), Vec::new()),
        UnitEvent::RetryAsked { twice } => {
            let unit = if unit.phase == UnitPhase::Review { unit.ready(Duration::ZERO) } else { unit };
            let lost = if *twice { 0 } else { unit.lost };
            (Some(Unit { lost, ..unit.joined() }), Vec::new())
        }
        UnitEvent::Claimed { token } if unit.phase == UnitPhase::Ready => {
            let token = Some(token.clone());
            (
                Some(Unit { phase: UnitPhase::InFlight, token, pause: Duration::ZERO, ..unit }),
                vec![UnitEffect::Send],
            )
        }
        UnitEvent::LeaseRanOut if unit.phase == UnitPhase::InFlight => {
            let lost = unit.lost.max((unit.lost + 1).min(LOST_WITH_ENGINE));
            (Some(Unit { lost, ..unit.ready(Duration::ZERO) }), Vec::new())
        }
        UnitEvent::Woken if unit.phase == UnitPhase::Held => (Some(unit.ready(Duration::ZERO)), Vec::new()),
        UnitEvent::Resumed if unit.phase == UnitPhase::Stopped => {
            (Some(unit.ready(Duration::ZERO)), Vec::new())
        }
        UnitEvent::Answered { token, version, answer, row_locked } => {
            if unit.phase != UnitPhase::InFlight || unit.token.as_ref() != Some(token) {
                return (Some(unit), vec![UnitEffect::Fence]);
            }
            answered(unit, *version, *answer, *row_locked)
        }
        UnitEvent::RowTold if unit.owes_row && unit.phase == UnitPhase::WriteBack => (None, Vec::new()),
        UnitEvent::RowTold if unit.phase != UnitPhase::InFlight => {
            (Some(Unit { owes_row: false, ..unit }), Vec::new())
        }
        _ => (Some(unit), Vec::new()),
    }
}

impl Unit {
    fn new() -> Unit {
        Unit {
            phase: UnitPhase::Ready,
            version: 1,
            attempts: 0,
            lost: 0,
            lost_alone: 0,
            token: None,
            owes_row: false,
            pause: Duration::ZERO,
        }
    }

    fn ready(self, pause: Duration) -> Unit {
        Unit { phase: UnitPhase::Ready, token: None, pause, ..self }
    }

    /// Something new joined: ready at once with no attempts spent, or, in flight, ready after its answer; under review it
    /// waits on. That an answer was lost stays known, for Salesforce may have the record.
    fn joined(self) -> Unit {
        let unit = Unit { version: self.version + 1, attempts: 0, lost_alone: 0, ..self };
        match unit.phase {
            UnitPhase::InFlight | UnitPhase::Review => unit,
            _ => unit.ready(Duration::ZERO),
        }
    }
}

/// A unit leaves only at the version it was read at; what joined meanwhile makes it ready again (I1).
fn answered(
    unit: Unit,
    version: i64,
    answer: SendResult,
    row_locked: bool,
) -> (Option<Unit>, Vec<UnitEffect>) {
    let unchanged = unit.version == version;
    let mut effects = match answer {
        SendResult::Accepted | SendResult::Nothing => vec![UnitEffect::Archive, UnitEffect::Wake],
        SendResult::Begun => vec![UnitEffect::Wake],
        _ if answer.parks().is_some() => vec![UnitEffect::Fail],
        _ => Vec::new(),
    };
    let owes_row = if answer.tells_row() { row_locked } else { unit.owes_row };
    if answer.tells_row() && !row_locked {
        effects.push(UnitEffect::TellRow);
    }
    let unit = Unit { owes_row, ..unit.ready(Duration::ZERO) };
    let next = match answer {
        SendResult::Accepted | SendResult::Nothing => {
            let unit = match answer {
                SendResult::Accepted => Unit { attempts: 0, lost: 0, lost_alone: 0, ..unit },
                _ => unit,
            };
            match (unchanged, owes_row) {
                (true, false) => return (None, effects),
                (true, true) => Unit { phase: UnitPhase::WriteBack, ..unit },
                (false, _) => unit,
            }
        }
        SendResult::Rejected { next, counted } => {
            let pause = next.pause().unwrap_or_default();
            let attempts = unit.attempts + i32::from(counted);
            match answer.parks() {
                Some(UnitPhase::Review) => Unit { phase: UnitPhase::Review, attempts, ..unit },
                _ if !unchanged => unit,
                parked => Unit { phase: parked.unwrap_or(UnitPhase::Ready), attempts, pause, ..unit },
            }
        }
        SendResult::Held { pause } if unchanged => Unit { phase: UnitPhase::Held, pause, ..unit },
        SendResult::Held { .. } => unit,
        SendResult::Lost { alone, retry, .. } => Unit {
            phase: answer.parks().unwrap_or(UnitPhase::Ready),
            lost: unit.lost + 1,
            lost_alone: unit.lost_alone + i32::from(alone),
            pause: retry,
            ..unit
        },
        SendResult::Stopped if unchanged => Unit { phase: UnitPhase::Stopped, ..unit },
        SendResult::Stopped => unit,
        SendResult::Released { pause } => Unit { pause, ..unit },
        SendResult::Begun => Unit { attempts: 0, lost: 0, lost_alone: 0, ..unit },
        SendResult::Anew => Unit { lost: 0, lost_alone: 0, ..unit },
    };
    (Some(next), effects)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What may happen next; numbers choose among what is there.
    #[derive(Clone, Debug)]
    enum Happening {
        Commit,
        Ingest,
        Claim,
        /// A claim's request; Salesforce takes it or not, and the engine may die right after.
        Send(usize, bool, bool),
        /// A claim is acknowledged, or its engine dies before the commit.
        Acknowledge(usize, SendResult, bool, bool),
        LeaseRunsOut,
        Wake,
        Resume,
        TellRow,
        Retry,
    }

    fn happening() -> impl Strategy<Value = Happening> {
        let pause = Duration::from_secs(1);
        let refusal = prop_oneof![
            Just(SendResult::Rejected { next: RetryDecision::Open, counted: true }),
            Just(SendResult::Rejected { next: RetryDecision::Review, counted: false }),
            Just(SendResult::Rejected { next: RetryDecision::Stop, counted: true }),
            Just(SendResult::Rejected { next: RetryDecision::Again(pause), counted: true }),
            Just(SendResult::Held { pause }),
            Just(SendResult::Released { pause }),
            Just(SendResult::Begun),
            Just(SendResult::Anew),
        ];
        prop_oneof![
            3 => Just(Happening::Commit),
            3 => Just(Happening::Ingest),
            4 => Just(Happening::Claim),
            4 => (0..3_usize, any::<bool>(), prop::bool::weighted(0.2)).prop_map(|(c, took, dies)| Happening::Send(c, took, dies)),
            4 => (0..3_usize, refusal, any::<bool>(), prop::bool::weighted(0.2))
                .prop_map(|(c, answer, locked, dies)| Happening::Acknowledge(c, answer, locked, dies)),
            1 => Just(Happening::LeaseRunsOut),
            1 => Just(Happening::Wake),
            1 => Just(Happening::Resume),
            1 => Just(Happening::TellRow),
            1 => Just(Happening::Retry),
        ]
    }

    #[derive(Clone, Debug)]
    struct Claim {
        token: String,
        version: i64,
        upto: u32,
        /// No request starts unless the lease outlasts it (I4).
        lease_lives: bool,
        /// What the engine knows after its request: taken, or the answer lost.
        sent: Option<bool>,
    }

    /// One record: its unsent log, its unit, and what Salesforce took, each a rising number.
    #[derive(Default)]
    struct World {
        committed: u32,
        new: Vec<u32>,
        pending: Vec<u32>,
        unit: Option<Unit>,
        claims: Vec<Claim>,
        taken: Vec<u32>,
        tokens: u32,
    }

    impl World {
        fn step(&mut self, event: &UnitEvent) -> Vec<UnitEffect> {
            let (unit, effects) = step(self.unit.take(), event);
            self.unit = unit;
            effects
        }

        fn live(&mut self, at: usize) -> Option<&mut Claim> {
            let count = self.claims.len().max(1);
            self.claims.get_mut(at % count)
        }

        fn ingest(&mut self) {
            if !self.new.is_empty() {
                self.pending.append(&mut self.new);
                self.step(&UnitEvent::Changed);
            }
        }

        fn claim(&mut self) {
            let Some(unit) = self.unit.as_ref().filter(|unit| unit.phase == UnitPhase::Ready) else { return };
            let version = unit.version;
            self.tokens += 1;
            let token = self.tokens.to_string();
            let upto = self.pending.iter().chain(&self.new).max().copied().unwrap_or(0);
            assert_eq!(self.step(&UnitEvent::Claimed { token: token.clone() }), [UnitEffect::Send]);
            self.claims.push(Claim { token, version, upto, lease_lives: true, sent: None });
        }

        fn acknowledge(&mut self, claim: &Claim, refusal: SendResult, row_locked: bool) {
            let answer = match claim.sent {
                Some(true) if claim.upto == 0 => SendResult::Nothing,
                Some(true) => SendResult::Accepted,
                Some(false) if matches!(refusal, SendResult::Held { .. }) => {
                    SendResult::Lost { alone: true, retry: Duration::ZERO, parked: None }
                }
                Some(false) => refusal,
                None if matches!(refusal, SendResult::Held { .. }) => SendResult::Stopped,
                None => SendResult::Released { pause: Duration::ZERO },
            };
            let event = UnitEvent::Answered {
                token: claim.token.clone(),
                version: claim.version,
                answer,
                row_locked,
            };
            let effects = self.step(&event);
            if effects.contains(&UnitEffect::Archive) {
                let taken = self.taken.last().copied().unwrap_or(0);
                assert!(taken >= claim.upto, "archived what Salesforce never took (I1)");
                self.pending.retain(|value| *value > claim.upto);
                self.new.retain(|value| *value > claim.upto);
            }
        }

        fn apply(&mut self, happening: &Happening) {
            match happening {
                Happening::Commit => {
                    self.committed += 1;
                    self.new.push(self.committed);
                }
                Happening::Ingest => self.ingest(),
                Happening::Claim => self.claim(),
                Happening::Send(at, took, dies) => {
                    let Some(claim) = self.live(*at) else { return };
                    if !claim.lease_lives || claim.sent.is_some() {
                        return;
                    }
                    claim.sent = Some(*took);
                    let (token, upto) = (claim.token.clone(), claim.upto);
                    if *took && upto > 0 {
                        assert!(self.taken.last().is_none_or(|last| *last <= upto), "sent backwards (I3)");
                        self.taken.push(upto);
                    }
                    if *dies {
                        self.claims.retain(|claim| claim.token != token);
                    }
                }
                Happening::Acknowledge(at, answer, row_locked, dies) => {
                    let Some(claim) = self.live(*at).cloned() else { return };
                    self.claims.retain(|other| other.token != claim.token);
                    if !dies {
                        self.acknowledge(&claim, *answer, *row_locked);
                    }
                }
                Happening::LeaseRunsOut => {
                    // Those that are in the middle of a request have it behind them by then.
                    self.claims.iter_mut().for_each(|claim| claim.lease_lives = false);
                    self.step(&UnitEvent::LeaseRanOut);
                }
                Happening::Wake => drop(self.step(&UnitEvent::Woken)),
                Happening::Resume => drop(self.step(&UnitEvent::Resumed)),
                Happening::TellRow => drop(self.step(&UnitEvent::RowTold)),
                Happening::Retry if self.unit.is_some() => {
                    drop(self.step(&UnitEvent::RetryAsked { twice: false }))
                }
                Happening::Retry => {}
            }
        }

        fn holds(&self) {
            let token = self.unit.as_ref().and_then(|unit| unit.token.clone());
            let senders = self.claims.iter().filter(|claim| claim.lease_lives && claim.sent.is_none());
            let of_unit = senders.clone().filter(|claim| Some(&claim.token) == token.as_ref()).count();
            assert_eq!(of_unit, senders.count(), "two may send one record at once (I2)");
            assert!(self.pending.is_empty() || self.unit.is_some(), "a change without a unit (I1)");
        }

        /// Everybody is well from now on.
        fn drain(&mut self) {
            self.claims.clear();
            self.step(&UnitEvent::LeaseRanOut);
            for _ in 0..4 {
                self.ingest();
                self.step(&UnitEvent::Woken);
                self.step(&UnitEvent::Resumed);
                if self
                    .unit
                    .as_ref()
                    .is_some_and(|unit| matches!(unit.phase, UnitPhase::Failed | UnitPhase::Review))
                {
                    self.step(&UnitEvent::RetryAsked { twice: false });
                }
                self.claim();
                self.apply(&Happening::Send(0, true, false));
                self.apply(&Happening::Acknowledge(0, SendResult::Nothing, false, false));
                self.step(&UnitEvent::RowTold);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn whatever_dies_when_no_change_is_lost_doubled_or_sent_backwards(
            happenings in prop::collection::vec(happening(), 0..60)
        ) {
            let mut world = World::default();
            for happening in &happenings {
                world.apply(happening);
                world.holds();
            }
            world.drain();
            prop_assert_eq!(world.taken.last().copied().unwrap_or(0), world.committed);
            prop_assert_eq!((&world.unit, world.pending.len(), world.new.len()), (&None, 0, 0));
        }
    }

    #[test]
    fn a_result_under_another_token_is_dropped_and_changes_nothing() {
        let unit = Unit { phase: UnitPhase::InFlight, token: Some("mine".to_owned()), ..Unit::new() };
        let event = UnitEvent::Answered {
            token: "theirs".to_owned(),
            version: 1,
            answer: SendResult::Accepted,
            row_locked: false,
        };
        assert_eq!(step(Some(unit.clone()), &event), (Some(unit), vec![UnitEffect::Fence]));
    }
}
