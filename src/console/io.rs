//! The engine's side: effects out as tasks, their results back as messages. The only place where effects happen but for
//! those of the terminal itself.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::client::api::{Client, ClientError, ErrorKind, ErrorQuery, Event, SetTo};
use crate::client::export::ExportFormat;
use crate::client::mapping::DryRuns;
use crate::client::operations::execute::{Plan, Targets};
use crate::client::queries::PendingQuery;
use crate::client::setup::shadow::{ShadowNews, ShadowOrder};
use crate::config::state::{SessionState, StateFile};
use crate::console::panes::errors::PERSON;
use crate::domain::operations::operation::AuditQuery;
use crate::domain::operations::operation::Owner;
use crate::domain::operations::operation::{OperationKind, Progress, Report};
use crate::domain::reports::trend::{ErrorShare, Trend};
use crate::domain::values::duration::spoken;
use crate::logs::ring::{self, KeptLines, Line};
use crate::logs::source::{self, Batch, LogSource, LogSources, ReadManner};

use super::copy::{self, at_home};
use super::effect::{AlertChange, CauseChange, Effect, SetupRequest};
use super::msg::{Msg, SendState};
use super::overlays::MOST_GROUPS;
use super::panes::{log, record};
use super::term::failpoint;

/// How long the selection has to stay for the record to follow.
const REST: Duration = Duration::from_millis(80);
/// The same where the list moved it: as long as one needs to see that it moved, and to hold back a key.
const SETTLE: Duration = Duration::from_millis(600);
/// A search for what is typed waits so long: the next letter may come.
const TYPING: Duration = Duration::from_millis(150);
/// Conditions that are told of at most.
const STANDING: usize = 20;
/// Between two looks at what became of an operation's rows.
const ANSWERS: Duration = Duration::from_millis(500);
/// Lines of a source that a console begins with.
const BACKLOG: usize = 200;
/// Lines of sources that are taken in at once: a key waits for no more than these.
const LINES: usize = 250;
/// Rows of a dry run.
const TRIED: usize = 20;

/// The engine's side: events in, effects out, replies back.
pub(super) struct Io {
    client: Client,
    /// Where it is kept where the console stands; a console without forgets it.
    file: Option<Arc<StateFile>>,
    events: broadcast::Receiver<Event>,
    replies: mpsc::UnboundedReceiver<Msg>,
    sender: mpsc::UnboundedSender<Msg>,
    /// Ends the operation under way between two transactions.
    stop: CancellationToken,
    /// Ends the look at a configuration that is under way: a newer one takes its place, and leaving drops it.
    look: Option<DropGuard>,
    /// Ends the comparison beside Heroku Connect that is under way; leaving drops it.
    shadow: Option<DropGuard>,
    /// Ends what is asked of Heroku Connect's API; leaving drops it.
    heroku: CancellationToken,
    /// Other programs' lines; `None` when none come any more.
    sources: Option<LogSources>,
    /// Whether the engine's log was read: other lines stand behind those of it that were there before.
    log_read: bool,
}

impl Drop for Io {
    fn drop(&mut self) {
        // A diagnosis would be asked after for minutes, by nobody's wish.
        self.heroku.cancel();
    }
}

impl Io {
    pub(super) fn new(client: Client, file: Option<Arc<StateFile>>, sources: Vec<LogSource>) -> Io {
        let events = client.events();
        let (sender, replies) = mpsc::unbounded_channel();
        let sources = (!sources.is_empty())
            .then(|| source::start(sources, ReadManner { follow: true, lines: BACKLOG }));
        let stop = CancellationToken::new();
        let (heroku, look, shadow) = (CancellationToken::new(), None, None);
        Io { client, file, events, replies, sender, stop, look, shadow, heroku, sources, log_read: false }
    }

    /// What happens next: an event, or what an effect came to; `None` when the connection is closed.
    pub(super) async fn next(&mut self) -> Option<Msg> {
        tokio::select! {
            biased;
            event = self.events.recv() => match event {
                Ok(event) => Some(Msg::Event(event)),
                // Too many came at once: what they would have said is asked for anew.
                Err(broadcast::error::RecvError::Lagged(_)) => Some(Msg::Missed),
                Err(broadcast::error::RecvError::Closed) => None,
            },
            msg = self.replies.recv() => {
                self.log_read |= matches!(msg, Some(Msg::Log(Ok(_))));
                msg
            }
            lines = lines(&mut self.sources), if self.log_read => Some(Msg::Lines(lines)),
        }
    }

    /// Keeps where the console stands, at the end or before a suspension: nobody reads a word about it then.
    pub(super) fn keep(&self, state: &SessionState) {
        if let Some(file) = &self.file {
            let _ = file.keep(state);
        }
    }

    /// Performs an effect on the engine's side as a task; its result comes back as a message.
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Stop => return self.stop.cancel(),
            Effect::EndLook => return self.look = None,
            Effect::StopShadow => return self.shadow = None,
            Effect::EndHeroku => {
                return std::mem::replace(&mut self.heroku, CancellationToken::new()).cancel();
            }
            Effect::Execute { .. } | Effect::Verify(_) | Effect::Repair { .. } | Effect::Test(None) => {
                self.stop = CancellationToken::new()
            }
            _ => {}
        }
        let look = CancellationToken::new();
        let shadow = CancellationToken::new();
        if matches!(effect, Effect::RunShadow { .. }) {
            self.shadow = Some(shadow.clone().drop_guard());
        }
        if matches!(effect, Effect::LookAtSetup(_) | Effect::LookAtShadow { .. }) {
            self.look = Some(look.clone().drop_guard());
        }
        let doing = Doing {
            look,
            shadow,
            heroku: self.heroku.clone(),
            client: self.client.clone(),
            sender: self.sender.clone(),
            stop: self.stop.clone(),
        };
        match effect {
            Effect::SaveState(state) => {
                let Some(file) = self.file.clone() else { return };
                drop(tokio::task::spawn_blocking(move || {
                    if let Some(why) = file.keep(&state) {
                        let _ = doing.sender.send(Msg::Changed(Err(ClientError::refused(why))));
                    }
                }));
            }
            Effect::KeepLines { path, kept } => {
                let sender = self.sender.clone();
                drop(tokio::task::spawn_blocking(move || {
                    let _ = sender.send(Msg::Kept(keep_lines(&path, &kept)));
                }));
            }
            Effect::WriteText { path, text } => {
                let sender = self.sender.clone();
                drop(tokio::task::spawn_blocking(move || {
                    let _ = sender.send(Msg::Kept(write_text(&path, &text)));
                }));
            }
            Effect::PreviewLog { filter, lines, parsed } => {
                let sender = self.sender.clone();
                drop(tokio::task::spawn_blocking(move || {
                    let sifted = ring::sift(&lines, &parsed);
                    let _ = sender.send(Msg::LogPreviewed { filter, sifted });
                }));
            }
            Effect::FilterLog { generation, upto, lines, filter } => {
                let sender = self.sender.clone();
                drop(tokio::task::spawn_blocking(move || {
                    let places = ring::search(&lines, &filter);
                    let _ = sender.send(Msg::LogFiltered { generation, upto, places });
                }));
            }
            effect => drop(tokio::spawn(async move {
                failpoint::pass(failpoint::TASK);
                let sender = doing.sender.clone();
                if let Some(msg) = doing.perform(effect).await {
                    // The console may have left meanwhile.
                    let _ = sender.send(msg);
                }
            })),
        }
    }
}

/// The next lines of sources; never, when none come any more.
async fn lines(sources: &mut Option<LogSources>) -> Batch {
    if let Some(open) = sources {
        match open.batch(LINES).await {
            Some(batch) => return batch,
            None => *sources = None,
        }
    }
    std::future::pending().await
}

/// What an effect needs.
struct Doing {
    client: Client,
    sender: mpsc::UnboundedSender<Msg>,
    stop: CancellationToken,
    look: CancellationToken,
    shadow: CancellationToken,
    heroku: CancellationToken,
}

impl Doing {
    async fn perform(self, effect: Effect) -> Option<Msg> {
        let client = &self.client;
        Some(match effect {
            Effect::AskRights => Msg::Rights(client.may_write().await),
            Effect::LoadOverview => Msg::Overview(client.overview().await),
            Effect::LoadErrors { generation, append, query } => {
                Msg::Errors { generation, append, result: client.errors(&query).await }
            }
            Effect::LoadBackwards { generation, query } => {
                let end = query.after.is_none();
                Msg::Backwards { generation, end, result: client.errors(&query).await }
            }
            Effect::CountErrors { generation, filter } => {
                Msg::Counted { generation, result: client.count(&filter).await }
            }
            Effect::LoadValues { qualifier, prefix } => {
                let values = client.values_of(&qualifier, &prefix).await.unwrap_or_default();
                Msg::Offers { qualifier, prefix, values }
            }
            Effect::LoadPending { append, query } => {
                let PendingQuery { limit, .. } = query;
                Msg::Pending { append, limit, result: client.pending(&query).await }
            }
            Effect::Debounce(number) => {
                tokio::time::sleep(REST).await;
                Msg::Debounced(number)
            }
            Effect::DebounceMoved(number) => {
                tokio::time::sleep(SETTLE).await;
                Msg::Debounced(number)
            }
            Effect::LoadGroups(filter) => {
                let result = client.groups(&filter, MOST_GROUPS).await;
                Msg::Groups { filter, result }
            }
            Effect::RenewGroups(filter) => {
                let result = client.groups(&filter, MOST_GROUPS).await;
                Msg::GroupsRenewed { filter, result }
            }
            Effect::LoadAbout(mapping) => {
                let result = Box::new(client.about_mapping(&mapping).await);
                Msg::About { mapping, result }
            }
            Effect::LoadGroupHours(filter) => {
                let result = client.group_hours(&filter).await;
                Msg::GroupHours { filter, result }
            }
            Effect::LoadFit { group, filter, count } => {
                Msg::Fit { group, count, result: client.remedy_fit(&filter).await }
            }
            Effect::LoadStanding => {
                let query =
                    ErrorQuery { filter: "needs:care".to_owned(), limit: STANDING, ..ErrorQuery::default() };
                Msg::Standing(client.errors(&query).await)
            }
            Effect::LoadBlocked(parents) => Msg::Blocked(client.blocked(&parents).await),
            Effect::LoadAnswers(sent) => Msg::Answers(client.answered(&sent).await),
            Effect::LoadTally { operation, later } => {
                if later {
                    tokio::time::sleep(ANSWERS).await;
                }
                Msg::Tallied { operation, result: client.tally(operation).await }
            }
            Effect::LoadWords(asked) => {
                let result = client.summaries(&asked).await;
                Msg::Words { asked, result }
            }
            Effect::FindParents { row, column, text } => {
                tokio::time::sleep(TYPING).await;
                let found = client.parents(&row.table, &column, &text).await;
                Msg::Parents { column, text, found }
            }
            Effect::CountCause(group) => {
                let result = client.count(&format!("group:{group} {PERSON}")).await;
                Msg::CauseCounted { group, result }
            }
            Effect::LoadRecord(row) => {
                match client.record(&row).await {
                    // Its row, or its mapping, is not there any more; what else fails leaves what was seen of it as it is.
                    Err(gone) if matches!(gone.kind, ErrorKind::NotFound | ErrorKind::Invalid) => {
                        Msg::Gone { row, why: gone.to_string() }
                    }
                    result => Msg::Record { row, result: Box::new(result) },
                }
            }
            Effect::FetchValues(row) => {
                let result = client.salesforce_values(&row).await;
                Msg::Values { row, result }
            }
            Effect::LoadRelatives(row) => {
                let result = client.relatives(&row).await;
                Msg::Relatives { row, result }
            }
            Effect::LoadRecordLog(row) => {
                let result = client.log_of(&row, record::LINES).await;
                Msg::RecordLog { row, result }
            }
            Effect::LoadTrends { minutes, shares } => {
                Msg::Trends { minutes, result: trends(client, minutes, shares).await }
            }
            Effect::LoadHealth(span) => {
                Msg::Health { span, result: Box::new(client.health(span, None).await) }
            }
            Effect::LoadAlerts => Msg::Alerts(client.alerts().await),
            Effect::LookAtSetup(SetupRequest { id, task, file }) => {
                let told = self.sender.clone();
                let told = move |line| drop(told.send(Msg::SetupTold { id, line }));
                let looked = client.look_at_setup(task, file.as_deref(), Arc::new(told));
                let result = self.look.run_until_cancelled(looked).await?;
                Msg::SetupFound { id, result }
            }
            Effect::LookAtShadow { id, file } => {
                let told = self.sender.clone();
                let told = move |line| drop(told.send(Msg::ShadowTold { id, news: ShadowNews::Now(line) }));
                let looked = client.look_at_shadow(file.as_deref(), Arc::new(told));
                Msg::ShadowFound { id, result: self.look.run_until_cancelled(looked).await? }
            }
            Effect::RunShadow { id, run, time } => {
                let told = self.sender.clone();
                let told = Arc::new(move |news| drop(told.send(Msg::ShadowTold { id, news })));
                let order = ShadowOrder { time, told, stop: self.shadow.clone() };
                Msg::ShadowDone { id, result: run.execute(order).await }
            }
            Effect::LoadHeroku { id, list } => {
                let listed = client.heroku_list(list);
                Msg::HerokuListed { id, result: self.heroku.run_until_cancelled(listed).await? }
            }
            Effect::LookForRow(row) => {
                let result = client.record(&row).await.map(drop);
                Msg::RowLookedFor { row, result }
            }
            Effect::LoadNote { group, cause } => {
                let note = client.cause(&group).await.map(|cause| cause.life.note.unwrap_or_default());
                Msg::CauseNote { group, cause, note }
            }
            Effect::LoadAudit => {
                let query = AuditQuery { limit: 200, ..AuditQuery::default() };
                Msg::Audit(client.operations(&query).await)
            }
            Effect::LoadAuditRows(operation) => {
                Msg::AuditRows { operation, result: client.operation_entries(operation).await }
            }
            Effect::LoadLog(after) => Msg::Log(client.log(after, log::PAGE).await),
            Effect::LoadOlderLog(before) => Msg::OlderLog(client.log_before(before, log::PAGE).await),
            Effect::Find(text) => {
                // `Contact:42` is a row of a mapping, as for commands.
                let named = text.split_once(':').filter(|(_, row)| row.trim().parse::<i32>().is_ok());
                let result = match named {
                    Some((mapping, row)) => client.find(row.trim(), Some(mapping.trim())).await,
                    None => client.find(&text, None).await,
                };
                if result.as_ref().is_ok_and(Vec::is_empty) {
                    // Nothing has it for an id: it may be a name.
                    match client.find_named(&text).await {
                        Ok(found) if found.records.is_empty() => {}
                        Ok(found) => return Some(Msg::Named { text, found }),
                        Err(refused) => return Some(Msg::Found { text, result: Err(refused) }),
                    }
                }
                Msg::Found { text, result }
            }
            Effect::LoadDuplicate(row) => {
                let result = client.duplicate(&row).await.map(Box::new);
                Msg::Duplicate { row, result }
            }
            Effect::Plan { chosen, kind } => Msg::Planned(client.plan(&chosen, kind).await.map(Arc::new)),
            Effect::CountRemedies(chosen) => {
                let plan = client.plan(&chosen, OperationKind::Mend).await;
                Msg::Remedies { chosen, result: plan.map(|plan| (plan.len(), plan.preview.selected)) }
            }
            Effect::CopyTo { to, text } => Msg::Copied(copy::copy(&to, &text).await),
            Effect::UndoLast => Msg::Planned(undo_last(client).await.map(Arc::new)),
            effect => return self.operation(effect).await,
        })
    }

    /// What changes something.
    async fn operation(self, effect: Effect) -> Option<Msg> {
        let client = &self.client;
        Some(match effect {
            Effect::Save(edit) => Msg::Saved { result: client.save(&edit).await, row: edit.row },
            Effect::Retry(row) => {
                let result = client.retry(&row).await;
                Msg::Retried { row, result }
            }
            Effect::Apply { row, offer } => {
                let result = client.apply(&row, &offer).await;
                Msg::Applied { row, result }
            }
            Effect::PutRight { error, action } => Msg::Changed(client.put_right(&error, &action).await),
            Effect::Execute { plan, why } => {
                let told = self.sender.clone();
                let progress = move |progress| drop(told.send(Msg::Progress(progress)));
                let result = client.execute(&plan, why.as_deref(), &progress, &self.stop).await;
                let sends = matches!(
                    plan.kind,
                    OperationKind::Fix { .. }
                        | OperationKind::Mend
                        | OperationKind::Merge(_)
                        | OperationKind::Retry
                        | OperationKind::Release
                        | OperationKind::Choose(_)
                        | OperationKind::Undo(_)
                );
                let leaves_nothing = matches!(
                    plan.kind,
                    OperationKind::Retry | OperationKind::Release | OperationKind::Undo(_)
                );
                let number = result.as_ref().ok().and_then(|report| report.operation);
                // What is taken back of one thing may be a rule as well as a row.
                let of_many = result.as_ref().is_ok_and(|report| report.items.len() > 1);
                let sends = sends && (of_many || !matches!(plan.kind, OperationKind::Undo(_)));
                let sent = if sends { SendState::Rows(number) } else { SendState::Nothing };
                let result = result.map(|report| Report {
                    operation: report.operation.filter(|_| !leaves_nothing),
                    ..report
                });
                Msg::Reported { text: plan.kind.text(), sent, result }
            }
            Effect::RunSetup { id, run } => {
                let told = self.sender.clone();
                let told = move |line| drop(told.send(Msg::SetupTold { id, line }));
                Msg::SetupDone { id, result: run.execute(Arc::new(told)).await }
            }
            Effect::AcknowledgeHeroku(filter) => {
                Msg::HerokuAcknowledged(client.acknowledge_heroku(&filter).await)
            }
            Effect::RecoverHeroku => Msg::Changed(client.recover_heroku().await),
            Effect::SignIn => Msg::Changed(client.sign_in().await),
            Effect::MergeInto { row, into } => Msg::Changed(client.merge(&row, Some(into)).await),
            Effect::Alert(change) => Msg::AlertsChanged(alert(client, change).await),
            Effect::Cause { group, change } => Msg::CauseChanged(cause(client, &group, change).await),
            Effect::Verify(mapping) => {
                let told = self.sender.clone();
                let stage = move |stage| drop(told.send(Msg::Stage(stage)));
                Msg::Verified(client.verify(&mapping, &stage, &self.stop).await)
            }
            Effect::Repair { table, report, side } => {
                let told = self.sender.clone();
                let progress = move |progress| drop(told.send(Msg::Progress(progress)));
                let result = client.repair(&table, &report, side, None, &progress, &self.stop).await;
                let of_many = |done: &&Report| done.items.len() > 1;
                let sent = match result.as_ref().ok().filter(of_many) {
                    Some(done) => SendState::Rows(done.operation),
                    None => SendState::Nothing,
                };
                Msg::Reported { text: format!("repair {}", report.mapping), sent, result }
            }
            Effect::Test(Some(mapping)) => {
                let result = client.dry_run(&mapping, TRIED).await;
                Msg::DryRunDone { mapping, result }
            }
            Effect::Test(None) => Msg::DryRunsDone(self.try_all().await),
            Effect::Export { filter, path } => Msg::Changed(export(client, &filter, &path).await),
            Effect::Resolve { row, sides } => {
                let result = client.choose(&row, &sides).await;
                let words: Vec<String> =
                    sides.iter().map(|(column, side)| format!("{column}: {}", side.word())).collect();
                Msg::Applied { row, result: result.map(|()| words.join(", ")) }
            }
            Effect::Link { row, replace } => {
                let owner = if replace { Owner::IsReplaced } else { Owner::Keeps };
                let result = client.link(&row, None, owner).await;
                Msg::Linked { row, result }
            }
            Effect::SetRule { mapping: Some(mapping), key, value } => {
                let done = client.set_rule(&mapping, &key, Some(&value)).await;
                let told = |set: SetTo| match set.is_so {
                    true => format!("{mapping}: {key} is {value} already"),
                    false => format!("{mapping}: {key} is {value} now"),
                };
                Msg::Changed(done.map(told))
            }
            Effect::SetRule { mapping: None, key, value } => {
                let done = client.set_rule_everywhere(&key, &value).await;
                Msg::Changed(done.map(|set| format!("{set} mappings: {key} is {value} now")))
            }
            Effect::Writes { mapping, to } => Msg::Changed(client.writes(mapping.as_deref(), to).await),
            Effect::Reload(mapping) => Msg::Changed(client.reload(mapping.as_deref()).await),
            // The terminal's own, and what was performed already.
            _ => return None,
        })
    }
}

impl Doing {
    /// A dry run of every mapping, one after the other, until it is stopped.
    async fn try_all(&self) -> Result<DryRuns, ClientError> {
        let mut tried = Vec::new();
        let mappings = self.client.overview().await?.mappings;
        let total = mappings.len();
        for mapping in mappings {
            let _ = self.sender.send(Msg::Progress(Progress { through: tried.len(), total }));
            if self.stop.is_cancelled() {
                break;
            }
            let dry_run = self.client.dry_run(&mapping.name, TRIED).await;
            tried.push((mapping.name, dry_run));
        }
        Ok(tried)
    }
}

/// What happened in the last minutes, and what the errors that are open now are about.
async fn trends(
    client: &Client,
    minutes: u32,
    shares: bool,
) -> Result<(Vec<Trend>, Option<Vec<ErrorShare>>), ClientError> {
    let trends = client.trends(minutes).await?;
    Ok((trends, if shares { Some(client.breakdown("").await?) } else { None }))
}

/// Silences or acknowledges alerts.
async fn alert(client: &Client, change: AlertChange) -> Result<String, ClientError> {
    match change {
        AlertChange::Silence { rule, subject, length, note } => {
            let id = client.silence(rule.as_deref(), subject.as_deref(), length, &note).await?;
            Ok(format!("silence {id} lasts for {}", spoken(length)))
        }
        AlertChange::EndSilence(id) => {
            client.end_silence(id).await.map(|()| format!("the silence {id} has ended"))
        }
        AlertChange::Acknowledge { rule, subject, note } => {
            let names = client.acknowledge(&rule, subject.as_deref(), &note).await?;
            Ok(format!("{} in your hand; nothing more is told of it until it is over", names.join(", ")))
        }
    }
}

/// Says something about a cause.
async fn cause(client: &Client, group: &str, change: CauseChange) -> Result<String, ClientError> {
    let cause = match change {
        CauseChange::Own => client.own_cause(group, Some(client.operator_name())).await?,
        CauseChange::Disown => client.own_cause(group, None).await?,
        CauseChange::Note(note) => client.note_cause(group, note.as_deref()).await?,
        CauseChange::Mute(until) => client.mute_cause(group, until).await?,
        CauseChange::Unmute => client.unmute_cause(group).await?,
    };
    let life = cause.life;
    let parts = [
        Some(format!("owner {}", life.owner.as_deref().unwrap_or("nobody"))),
        life.muted.map(|muted| format!("muted {muted}")),
        life.note.map(|note| format!("noted: {note}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    Ok(format!("{} {}: {}", cause.mapping, cause.code, parts.join(", ")))
}

/// What it would be to take the operator's own last operation back.
async fn undo_last(client: &Client) -> Result<Plan, ClientError> {
    let operation = client.last_operation().await?.operation;
    client.plan(&Targets::Ids(Vec::new()), OperationKind::Undo(operation)).await
}

async fn export(client: &Client, filter: &str, path: &str) -> Result<String, ClientError> {
    let path = new_file(path, "x")?;
    let format = if is_json(&path) { ExportFormat::JsonLines } else { ExportFormat::Csv };
    let count = client.export_to(&path, filter, format).await?;
    Ok(format!("{count} errors written to {}", path.display()))
}

/// Writes lines of the log into a new file: as JSON lines where its name says so, else as text.
fn keep_lines(path: &str, kept: &KeptLines) -> Result<String, ClientError> {
    let path = new_file(path, "w")?;
    let shown = path.display();
    let failed = |error: std::io::Error| ClientError::refused(format!("{shown}: {error}"));
    let mut file = std::io::BufWriter::new(private_file(&path).map_err(failed)?);
    let json = is_json(&path);
    let write = |line: &Line<'_>| writeln!(file, "{}", if json { line.json() } else { line.logfmt() });
    let count = kept.each(write).map_err(failed)?;
    file.flush().map_err(failed)?;
    Ok(format!("{count} lines written to {shown}"))
}

/// Writes a text into a new file.
fn write_text(path: &str, text: &str) -> Result<String, ClientError> {
    let path = new_file(path, "x")?;
    let shown = path.display();
    let failed = |error: std::io::Error| ClientError::refused(format!("{shown}: {error}"));
    let mut file = private_file(&path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(failed)?;
    Ok(format!("{} lines written to {shown}", text.lines().count()))
}

/// A new file: what a log or a plan says is the operator's alone.
fn private_file(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn is_json(path: &Path) -> bool {
    let name = path.to_string_lossy();
    [".json", ".jsonl", ".ndjson"].iter().any(|end| name.ends_with(end))
}

/// Where a file of this name is to be; one that is there already stays as it is. `key` asks for another name.
fn new_file(path: &str, key: &str) -> Result<PathBuf, ClientError> {
    let path = std::path::absolute(at_home(path))
        .map_err(|error| ClientError::refused(format!("{path}: {error}")))?;
    let shown = path.display();
    if path.exists() {
        return Err(ClientError::refused(format!(
            "{shown} is there already and stays as it is; {key} and another name"
        )));
    }
    if !path.parent().is_some_and(Path::is_dir) {
        return Err(ClientError::refused(format!("{shown}: there is no such directory")));
    }
    Ok(path)
}
