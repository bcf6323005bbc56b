//! The engine's side, as a console knows it: whatever is asked for is answered when the test says so, well or not, and
//! not always in the same way.

use std::sync::Arc;

use crate::client::api::{ClientError, Count, ErrorPage, ErrorQuery};
use crate::client::operations::execute::Plan;
use crate::client::queries::PendingQuery;
use crate::client::row::Linked;
use crate::client::setup::SetupTask;
use crate::console::effect::{Effect, SetupRequest};
use crate::console::msg::{Msg, SendState};
use crate::console::panes::log;
use crate::console::tests::world::alerts::{alerts_view, life, muted};
use crate::console::tests::world::heroku::listed;
use crate::console::tests::world::setup::{planned_start, refused_takeover, taken_over, takeover, way_back};
use crate::console::tests::world::shadow::{ready, report as shadowed};
use crate::console::tests::world::{
    HOSTILE, about, blocked, contested, dry_run, duplicate, duplicated, errors, failing, group_hours, groups,
    health, hits, many_lines, named, operations, overview, page, pending, plan, record, relatives, report,
    shares, tally, trends, values, verified, words,
};
use crate::domain::changes::pending::Pending;
use crate::domain::errors::cause::CauseState;
use crate::domain::errors::group::Group;
use crate::domain::errors::group_hours::RemedyFit;
use crate::domain::errors::sort::PageKey;
use crate::domain::errors::sync_error::SyncError;
use crate::domain::names::{RowId, RowRef};
use crate::domain::operations::answer::{Answer, Tally};
use crate::domain::records::duplicate::Duplicate;
use crate::domain::records::record::RecordView;
use crate::domain::records::verify::VerifyReport;
use crate::domain::reports::overview::Overview;
use crate::logs::ring;

/// How something is answered.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Or refused.
    pub well: bool,
    /// Which of several answers.
    pub turn: usize,
}

/// What it has.
#[derive(Debug)]
pub struct Engine {
    /// How many errors there are; their numbers are 1 to this.
    pub errors: i64,
    /// The newest line of the log.
    pub lines: i64,
}

/// Whether an effect changes anything outside of the console.
pub fn changes(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Save(_)
            | Effect::Retry(_)
            | Effect::Apply { .. }
            | Effect::PutRight { .. }
            | Effect::Execute { .. }
            | Effect::Resolve { .. }
            | Effect::Link { .. }
            | Effect::SetRule { .. }
            | Effect::Writes { .. }
            | Effect::Reload(_)
            | Effect::Verify(_)
            | Effect::Test(_)
            | Effect::Repair { .. }
            | Effect::Alert(_)
            | Effect::Cause { .. }
            | Effect::RunSetup { .. }
            | Effect::AcknowledgeHeroku(_)
            | Effect::RecoverHeroku
            | Effect::SignIn
            | Effect::MergeInto { .. }
    )
}

impl Engine {
    /// What comes of an effect; nothing of what concerns the terminal only.
    pub fn answer(&self, effect: &Effect, manner: Manner) -> Option<Msg> {
        fn or<T>(manner: Manner, value: T) -> Result<T, ClientError> {
            if manner.well {
                Ok(value)
            } else {
                Err(ClientError::refused(format!("no connection\n{HOSTILE}")))
            }
        }
        let turn = manner.turn;
        Some(match effect.clone() {
            Effect::AskRights => Msg::Rights(or(manner, turn.is_multiple_of(4).then(|| HOSTILE.to_owned()))),
            Effect::LoadOverview => Msg::Overview(or(manner, standing(turn))),
            Effect::LoadErrors { generation, append, query } => {
                Msg::Errors { generation, append, result: or(manner, self.page(&query, turn)) }
            }
            Effect::LoadBackwards { generation, query } => {
                let end = query.after.is_none();
                Msg::Backwards { generation, end, result: or(manner, self.page(&query, turn)) }
            }
            Effect::CountErrors { generation, .. } => {
                let count = Count { matching: self.errors, capped: turn.is_multiple_of(2) };
                Msg::Counted { generation, result: or(manner, count) }
            }
            Effect::LoadValues { qualifier, prefix } => {
                let values = vec![(HOSTILE.to_owned(), 3), ("EMAIL".to_owned(), 2)];
                Msg::Offers { qualifier, prefix, values }
            }
            Effect::LoadPending { append, query } => {
                Msg::Pending { append, limit: query.limit, result: or(manner, waiting(&query, turn)) }
            }
            Effect::Debounce(number) | Effect::DebounceMoved(number) => Msg::Debounced(number),
            Effect::LoadRelatives(row) => Msg::Relatives { row, result: or(manner, relatives()) },
            Effect::LoadRecordLog(row) => Msg::RecordLog { row, result: or(manner, many_lines(1, 9)) },
            Effect::LoadTrends { minutes, shares: wanted } => {
                Msg::Trends { minutes, result: or(manner, (trends(), wanted.then(shares))) }
            }
            Effect::LoadHealth(span) => Msg::Health { span, result: Box::new(or(manner, health())) },
            Effect::LoadGroups(filter) => Msg::Groups { filter, result: or(manner, lived()) },
            Effect::LoadGroupHours(filter) => Msg::GroupHours { filter, result: or(manner, group_hours()) },
            Effect::LoadFit { group, count, .. } => {
                let fit = RemedyFit { passing: turn % 5, looked: 40, more: turn.is_multiple_of(2) };
                Msg::Fit { group, count, result: or(manner, fit) }
            }
            Effect::LoadAbout(mapping) => Msg::About { mapping, result: Box::new(or(manner, about())) },
            Effect::RenewGroups(filter) => Msg::GroupsRenewed { filter, result: or(manner, lived()) },
            Effect::LoadRecord(row) if manner.well && turn % 17 == 16 => {
                Msg::Gone { row, why: HOSTILE.to_owned() }
            }
            Effect::LoadRecord(row) => {
                let result = Box::new(or(manner, seen(&row, turn)));
                Msg::Record { row, result }
            }
            Effect::LoadStanding => {
                Msg::Standing(or(manner, page(errors().into_iter().take(turn % 3).collect())))
            }
            Effect::LoadBlocked(parents) => {
                // Some of them stand in the list themselves, or wait for each other.
                let ids = |id: i64| [id + 1_000_000, id - 1, id + 1][..turn % 4].to_vec();
                let found = parents.iter().map(|(id, _)| (*id, blocked(&ids(*id)))).collect();
                Msg::Blocked(or(manner, found))
            }
            Effect::LoadDuplicate(row) => {
                let found = Duplicate { row: row.clone(), ..duplicate(HOSTILE) };
                let found = if turn.is_multiple_of(2) { Duplicate { other: None, ..found } } else { found };
                Msg::Duplicate { row, result: or(manner, Box::new(found)) }
            }
            Effect::CopyTo { .. } => Msg::Copied(or(manner, HOSTILE.to_owned())),
            Effect::LoadAnswers(sent) => {
                let answers =
                    [Answer::Waiting, Answer::Held, Answer::Taken, Answer::Rejected, Answer::Settled];
                let all = sent.iter().enumerate().map(|(at, (id, _))| (*id, answers[(turn + at) % 4]));
                Msg::Answers(or(manner, all.collect()))
            }
            Effect::LoadTally { operation, .. } => {
                let tally = tally(turn);
                // Whoever waits for all of them is answered at last.
                let waiting = if turn.is_multiple_of(6) { 0 } else { tally.waiting };
                Msg::Tallied { operation, result: or(manner, Tally { waiting, ..tally }) }
            }
            Effect::LoadWords(asked) => {
                let words = asked.iter().map(|error| words(error, HOSTILE)).collect();
                Msg::Words { asked, result: or(manner, words) }
            }
            Effect::FindParents { column, text, .. } => {
                let found = or(manner, named(HOSTILE, usize::from(turn.is_multiple_of(2)) + 1));
                Msg::Parents { column, text, found }
            }
            Effect::CountCause(group) => {
                let count = Count { matching: self.errors, capped: turn.is_multiple_of(2) };
                Msg::CauseCounted { group, result: or(manner, count) }
            }
            Effect::FetchValues(row) => Msg::Values { row, result: or(manner, values()) },
            Effect::Save(edit) => Msg::Saved { row: edit.row, result: or(manner, ()) },
            Effect::Retry(row) => Msg::Retried { row, result: or(manner, ()) },
            Effect::Apply { row, .. } | Effect::Resolve { row, .. } => {
                Msg::Applied { row, result: or(manner, HOSTILE.to_owned()) }
            }
            Effect::PutRight { .. } => Msg::Changed(or(manner, HOSTILE.to_owned())),
            Effect::Plan { kind, .. } => {
                let preview = plan([1, 2, 5_000][turn % 3]).preview.clone();
                let shown = Plan::shown(kind, preview, if turn.is_multiple_of(2) { "demo" } else { "prod" });
                Msg::Planned(or(manner, Arc::new(shown)))
            }
            Effect::CountRemedies(chosen) => Msg::Remedies { chosen, result: or(manner, (turn % 3, 2)) },
            Effect::UndoLast => Msg::Planned(or(manner, plan(2))),
            Effect::Execute { .. } | Effect::Repair { .. } => {
                let sent = SendState::Rows(Some(12));
                Msg::Reported { text: HOSTILE.to_owned(), sent, result: or(manner, report(turn % 3)) }
            }
            Effect::LookAtSetup(SetupRequest { id, task, .. }) => {
                let found = match task {
                    SetupTask::Adopt if turn % 3 == 2 => refused_takeover(HOSTILE),
                    SetupTask::Adopt => takeover(),
                    SetupTask::UndoAdopt => way_back(),
                    _ => planned_start(),
                };
                Msg::SetupFound { id, result: or(manner, found) }
            }
            Effect::RunSetup { id, .. } => Msg::SetupDone { id, result: or(manner, taken_over()) },
            Effect::LookAtShadow { id, .. } => Msg::ShadowFound { id, result: or(manner, ready(HOSTILE)) },
            Effect::RunShadow { id, .. } => Msg::ShadowDone { id, result: or(manner, shadowed(HOSTILE)) },
            Effect::LoadHeroku { id, list } => {
                Msg::HerokuListed { id, result: or(manner, listed(list, HOSTILE)) }
            }
            Effect::LookForRow(row) => Msg::RowLookedFor { row, result: or(manner, ()) },
            Effect::AcknowledgeHeroku(_) => Msg::HerokuAcknowledged(or(manner, HOSTILE.to_owned())),
            Effect::RecoverHeroku | Effect::SignIn | Effect::MergeInto { .. } => {
                Msg::Changed(or(manner, HOSTILE.to_owned()))
            }
            Effect::LoadAlerts => Msg::Alerts(or(manner, alerts_view())),
            Effect::LoadNote { group, cause } => {
                Msg::CauseNote { group, cause, note: or(manner, HOSTILE.to_owned()) }
            }
            Effect::Alert(_) => Msg::AlertsChanged(or(manner, HOSTILE.to_owned())),
            Effect::Cause { .. } => Msg::CauseChanged(or(manner, HOSTILE.to_owned())),
            Effect::LoadAudit => Msg::Audit(or(manner, operations())),
            Effect::LoadAuditRows(operation) => {
                let rows = operations().into_iter().map(|operation| operation.first).collect();
                Msg::AuditRows { operation, result: or(manner, rows) }
            }
            Effect::Find(text) => {
                let found = hits().into_iter().take(turn % 3).collect();
                Msg::Found { text, result: or(manner, found) }
            }
            Effect::Link { row, replace } => {
                let sfid = "003sd0000000001AAA".to_owned();
                let taken = Linked::Taken { sfid: sfid.clone(), row: RowId(7) };
                let linked = if replace || turn.is_multiple_of(2) { Linked::Done { sfid } } else { taken };
                Msg::Linked { row, result: or(manner, linked) }
            }
            Effect::Verify(_) => {
                let clean = VerifyReport { findings: Vec::new(), ..verified() };
                Msg::Verified(or(manner, if turn.is_multiple_of(3) { clean } else { verified() }))
            }
            Effect::Test(Some(mapping)) => Msg::DryRunDone { mapping, result: or(manner, dry_run()) },
            Effect::Test(None) => Msg::DryRunsDone(or(manner, vec![("Contact".to_owned(), Ok(dry_run()))])),
            Effect::SetRule { .. } | Effect::Writes { .. } | Effect::Reload(_) | Effect::Export { .. } => {
                Msg::Changed(or(manner, HOSTILE.to_owned()))
            }
            Effect::LoadLog(after) => {
                let from = after.map_or(1, |after| after + 1);
                let count = (self.lines + 1 - from).clamp(0, log::PAGE as i64);
                Msg::Log(or(manner, many_lines(from, count)))
            }
            Effect::LoadOlderLog(before) => {
                Msg::OlderLog(or(manner, many_lines(before - 50, if before > -200 { 50 } else { 0 })))
            }
            Effect::WriteText { path, .. } | Effect::KeepLines { path, .. } => {
                Msg::Kept(Ok(format!("lines written to {path}")))
            }
            Effect::PreviewLog { filter, lines, parsed } => {
                Msg::LogPreviewed { filter, sifted: ring::sift(&lines, &parsed) }
            }
            Effect::FilterLog { generation, upto, lines, filter } => {
                Msg::LogFiltered { generation, upto, places: ring::search(&lines, &filter) }
            }
            Effect::Stop
            | Effect::EndLook
            | Effect::EndHeroku
            | Effect::StopShadow
            | Effect::SaveState(_)
            | Effect::Connect(_)
            | Effect::Copy(_)
            | Effect::Suspend
            | Effect::Redraw
            | Effect::Quit => return None,
        })
    }

    /// A page of the errors, the greatest number first; now and then one that ends before it is full.
    fn page(&self, query: &ErrorQuery, turn: usize) -> ErrorPage {
        let before = query.after.as_ref().map_or(self.errors + 1, |key| key.id);
        let limit = if turn.is_multiple_of(5) { 3 } else { query.limit };
        let kinds = errors();
        let one = |id: i64| {
            let kind = kinds[(id % 6) as usize].clone();
            SyncError { id, row_id: kind.row_id.map(|_| RowId(id as i32)), ..kind }
        };
        let items: Vec<SyncError> = (1..before).rev().take(limit).map(one).collect();
        let last = items.last().filter(|error| error.id > 1);
        let next = last.map(|error| PageKey::of(query.sort.by, error));
        ErrorPage { items, done: next.is_none(), next }
    }
}

/// Groups with lives.
fn lived() -> Vec<Group> {
    let mut lives = [life(CauseState::New), muted()].into_iter();
    groups().into_iter().map(|group| Group { life: lives.next(), ..group }).collect()
}

/// How things stand: as in the demo, without some or all mappings, with writes that rest.
fn standing(turn: usize) -> Overview {
    let mut overview = overview();
    match turn % 4 {
        0 => overview.mappings.truncate(1),
        1 => overview.mappings.clear(),
        2 => overview.mappings[1].state = crate::domain::state::MappingState::Paused,
        _ => {}
    }
    overview
}

/// A row as it stands: failing, changed on both sides, on its way, in step, gone, hostile.
fn seen(row: &RowRef, turn: usize) -> RecordView {
    let view = match turn % 8 {
        6 => duplicated(),
        0 => failing(),
        1 => contested(),
        2 => record("in flight", "jane@acme.com", None),
        3 => record("in step", "jane@acme.com", None),
        4 => record("pending", "jane@acme,com", errors().into_iter().nth(1)),
        5 => RecordView { exists: false, values: Vec::new(), ..failing() },
        _ => record("failed", HOSTILE, errors().pop()),
    };
    RecordView { row: row.clone(), ..view }
}

/// What waits, in pages.
fn waiting(query: &PendingQuery, turn: usize) -> Vec<Pending> {
    let all = if turn.is_multiple_of(2) { 3 } else { 230 };
    let kinds = pending();
    let one = |number: i32| {
        let kind = kinds[number as usize % kinds.len()].clone();
        Pending { row: RowRef { row: RowId(number), ..kind.row.clone() }, ..kind }
    };
    let from = query.after.as_ref().map_or(1, |(_, last)| last.row.0 + 1);
    (from..=all).take(query.limit).map(one).collect()
}
