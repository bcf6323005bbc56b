//! The engine's side: effects out as tasks, their results back as messages. The only place where effects happen but for
//! those of the terminal itself.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use crate::client::export::Format;
use crate::client::handle::{Event, Handle, Refused, SetTo, Unseen};
use crate::client::mapping::DryRuns;
use crate::client::operations::execute::{Chosen, Plan};
use crate::client::queries::PendingQuery;
use crate::config::state::{ConsoleState, StateFile};
use crate::domain::act::AuditQuery;
use crate::domain::act::Owner;
use crate::domain::act::{Deed, Progress, Report};
use crate::domain::trend::{Share, Trend};
use crate::logs::LogRecord;
use crate::logs::ring::{self, Kept, Line};
use crate::logs::source::{self, Manner, Source, Sources};

use super::effect::Effect;
use super::msg::Msg;
use super::panes::{log, record};
use super::term::failpoint;

/// How long the selection has to stay for the record to follow.
const REST: Duration = Duration::from_millis(80);
/// The same where the list moved it: as long as one needs to see that it moved, and to hold back a key.
const SETTLE: Duration = Duration::from_millis(600);
/// Lines of a source that a console begins with.
const BACKLOG: usize = 200;
/// Lines of sources that are taken in at once.
const LINES: usize = 1_000;
/// Rows of a trial.
const TRIED: usize = 20;

/// The engine's side: events in, effects out, replies back.
pub(super) struct Io {
    handle: Handle,
    /// Where it is kept where the console stands; a console without forgets it.
    file: Option<Arc<StateFile>>,
    events: broadcast::Receiver<Event>,
    replies: mpsc::UnboundedReceiver<Msg>,
    sender: mpsc::UnboundedSender<Msg>,
    /// Ends the act under way between two transactions.
    stop: CancellationToken,
    /// Other programs' lines; `None` when none come any more.
    sources: Option<Sources>,
    /// Whether the engine's log was read: other lines stand behind those of it that were there before.
    log_read: bool,
}

impl Io {
    pub(super) fn new(handle: Handle, file: Option<Arc<StateFile>>, sources: Vec<Source>) -> Io {
        let events = handle.events();
        let (sender, replies) = mpsc::unbounded_channel();
        let sources =
            (!sources.is_empty()).then(|| source::start(sources, Manner { follow: true, lines: BACKLOG }));
        let stop = CancellationToken::new();
        Io { handle, file, events, replies, sender, stop, sources, log_read: false }
    }

    /// What happens next: an event, or what an effect came to; `None` when the door is shut.
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
    pub(super) fn keep(&self, state: &ConsoleState) {
        if let Some(file) = &self.file {
            let _ = file.keep(state);
        }
    }

    /// Performs an effect on the engine's side as a task; its result comes back as a message.
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Stop => return self.stop.cancel(),
            Effect::CarryOut { .. } | Effect::Verify(_) | Effect::Repair { .. } | Effect::Test(None) => {
                self.stop = CancellationToken::new()
            }
            _ => {}
        }
        let doing =
            Doing { handle: self.handle.clone(), sender: self.sender.clone(), stop: self.stop.clone() };
        match effect {
            Effect::SaveState(state) => {
                let Some(file) = self.file.clone() else { return };
                drop(tokio::task::spawn_blocking(move || {
                    if let Some(why) = file.keep(&state) {
                        let _ = doing.sender.send(Msg::Changed(Err(Refused(why))));
                    }
                }));
            }
            Effect::KeepLines { path, kept } => {
                let sender = self.sender.clone();
                drop(tokio::task::spawn_blocking(move || {
                    let _ = sender.send(Msg::Kept(keep_lines(&path, &kept)));
                }));
            }
            Effect::PreviewLog { filter, lines, parsed } => {
                let sender = self.sender.clone();
                drop(tokio::task::spawn_blocking(move || {
                    let passing = ring::search(&lines, &parsed).len();
                    let _ = sender.send(Msg::LogPreviewed { filter, passing });
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
async fn lines(sources: &mut Option<Sources>) -> Vec<LogRecord> {
    if let Some(open) = sources {
        match open.records(LINES).await {
            Some(records) => return records,
            None => *sources = None,
        }
    }
    std::future::pending().await
}

/// What an effect needs.
struct Doing {
    handle: Handle,
    sender: mpsc::UnboundedSender<Msg>,
    stop: CancellationToken,
}

impl Doing {
    async fn perform(self, effect: Effect) -> Option<Msg> {
        let handle = &self.handle;
        Some(match effect {
            Effect::AskRights => Msg::Rights(handle.may_write().await),
            Effect::LoadOverview => Msg::Overview(handle.overview().await),
            Effect::LoadErrors { generation, append, query } => {
                Msg::Errors { generation, append, result: handle.errors(&query).await }
            }
            Effect::CountErrors { generation, filter } => {
                Msg::Counted { generation, result: handle.count(&filter).await }
            }
            Effect::LoadValues { qualifier, prefix } => {
                let values = handle.values_of(&qualifier, &prefix).await.unwrap_or_default();
                Msg::Offers { qualifier, prefix, values }
            }
            Effect::LoadPending { append, query } => {
                let PendingQuery { limit, .. } = query;
                Msg::Pending { append, limit, result: handle.pending(&query).await }
            }
            Effect::Rest(number) => {
                tokio::time::sleep(REST).await;
                Msg::Rested(number)
            }
            Effect::Settle(number) => {
                tokio::time::sleep(SETTLE).await;
                Msg::Rested(number)
            }
            Effect::LoadGroups(filter) => {
                let result = handle.groups(&filter, 200).await;
                Msg::Groups { filter, result }
            }
            Effect::RenewGroups(filter) => {
                let result = handle.groups(&filter, 200).await;
                Msg::GroupsRenewed { filter, result }
            }
            Effect::LoadRecord(row) => {
                let result = Box::new(match handle.look(&row).await {
                    Ok(view) => Ok(view),
                    Err(Unseen::Away(why)) => Err(why),
                    Err(Unseen::Gone(why)) => return Some(Msg::Gone { row, why }),
                });
                Msg::Record { row, result }
            }
            Effect::FetchValues(row) => {
                let result = handle.salesforce_values(&row).await;
                Msg::Values { row, result }
            }
            Effect::LoadRelatives(row) => {
                let result = handle.relatives(&row).await;
                Msg::Relatives { row, result }
            }
            Effect::LoadRecordLog(row) => {
                let result = handle.log_of(&row, record::LINES).await;
                Msg::RecordLog { row, result }
            }
            Effect::LoadTrends { minutes, shares } => {
                Msg::Trends { minutes, result: trends(handle, minutes, shares).await }
            }
            Effect::LoadActs => {
                let query = AuditQuery { limit: 200, ..AuditQuery::default() };
                Msg::Acts(handle.acts(&query).await)
            }
            Effect::LoadAct(act) => Msg::Act(handle.act_entries(act).await),
            Effect::LoadLog(after) => Msg::Log(handle.log(after, log::PAGE).await),
            Effect::LoadOlderLog(before) => Msg::OlderLog(handle.log_before(before, log::PAGE).await),
            Effect::Find(text) => {
                // `Contact:42` is a row of a mapping, as for commands.
                let named = text.split_once(':').filter(|(_, row)| row.trim().parse::<i32>().is_ok());
                let result = match named {
                    Some((mapping, row)) => handle.find(row.trim(), Some(mapping.trim())).await,
                    None => handle.find(&text, None).await,
                };
                Msg::Found { text, result }
            }
            Effect::Plan { chosen, deed } => Msg::Planned(handle.plan(&chosen, deed).await.map(Arc::new)),
            Effect::CountRemedies(chosen) => {
                let plan = handle.plan(&chosen, Deed::Mend).await;
                Msg::Remedies { chosen, result: plan.map(|plan| (plan.len(), plan.preview.selected)) }
            }
            Effect::UndoLast => Msg::Planned(undo_last(handle).await.map(Arc::new)),
            effect => return self.act(effect).await,
        })
    }

    /// What changes something.
    async fn act(self, effect: Effect) -> Option<Msg> {
        let handle = &self.handle;
        Some(match effect {
            Effect::Save(edit) => Msg::Saved { result: handle.save(&edit).await, row: edit.row },
            Effect::Retry(row) => {
                let result = handle.retry(&row).await;
                Msg::Retried { row, result }
            }
            Effect::Apply { row, offer } => {
                let result = handle.apply(&row, &offer).await;
                Msg::Applied { row, result }
            }
            Effect::CarryOut { plan, why } => {
                let told = self.sender.clone();
                let progress = move |progress| drop(told.send(Msg::Progress(progress)));
                let result = handle.carry_out(&plan, why.as_deref(), &progress, &self.stop).await;
                let sends = matches!(plan.deed, Deed::Fix { .. } | Deed::Mend | Deed::Retry | Deed::Release);
                let leaves_nothing = matches!(plan.deed, Deed::Retry | Deed::Release | Deed::Undo(_));
                let result =
                    result.map(|report| Report { act: report.act.filter(|_| !leaves_nothing), ..report });
                Msg::Reported { text: plan.deed.text(), sends, result }
            }
            Effect::Verify(mapping) => {
                let told = self.sender.clone();
                let stage = move |stage| drop(told.send(Msg::Stage(stage)));
                Msg::Verified(handle.verify(&mapping, &stage, &self.stop).await)
            }
            Effect::Repair { table, verdict, side } => {
                let told = self.sender.clone();
                let progress = move |progress| drop(told.send(Msg::Progress(progress)));
                let result = handle.repair(&table, &verdict, side, None, &progress, &self.stop).await;
                Msg::Reported { text: format!("repair {}", verdict.mapping), sends: false, result }
            }
            Effect::Test(Some(mapping)) => {
                let result = handle.rehearse(&mapping, TRIED).await;
                Msg::DryRunDone { mapping, result }
            }
            Effect::Test(None) => Msg::DryRunsDone(self.try_all().await),
            Effect::Export { filter, path } => Msg::Changed(export(handle, &filter, &path).await),
            Effect::Choose { row, sides } => {
                let result = handle.choose(&row, &sides).await;
                let words: Vec<String> =
                    sides.iter().map(|(column, side)| format!("{column}: {}", side.word())).collect();
                Msg::Applied { row, result: result.map(|()| words.join(", ")) }
            }
            Effect::Link { row, replace } => {
                let owner = if replace { Owner::IsReplaced } else { Owner::Keeps };
                let result = handle.link(&row, None, owner).await;
                Msg::Linked { row, result }
            }
            Effect::SetRule { mapping: Some(mapping), key, value } => {
                let done = handle.set_rule(&mapping, &key, Some(&value)).await;
                let told = |set: SetTo| match set.is_so {
                    true => format!("{mapping}: {key} is {value} already"),
                    false => format!("{mapping}: {key} is {value} now"),
                };
                Msg::Changed(done.map(told).map_err(|not_set| Refused(not_set.to_string())))
            }
            Effect::SetRule { mapping: None, key, value } => {
                let done = handle.set_rule_everywhere(&key, &value).await;
                Msg::Changed(done.map(|set| format!("{set} mappings: {key} is {value} now")))
            }
            Effect::Writes { mapping, to } => Msg::Changed(handle.writes(mapping.as_deref(), to).await),
            Effect::Reload(mapping) => Msg::Changed(handle.reload(mapping.as_deref()).await),
            // The terminal's own, and what was performed already.
            _ => return None,
        })
    }
}

impl Doing {
    /// Every mapping on trial, one after the other, until it is stopped.
    async fn try_all(&self) -> Result<DryRuns, Refused> {
        let mut tried = Vec::new();
        let mappings = self.handle.overview().await?.mappings;
        let total = mappings.len();
        for mapping in mappings {
            let _ = self.sender.send(Msg::Progress(Progress { through: tried.len(), total }));
            if self.stop.is_cancelled() {
                break;
            }
            let trial = self.handle.rehearse(&mapping.name, TRIED).await;
            tried.push((mapping.name, trial));
        }
        Ok(tried)
    }
}

/// What happened in the last minutes, and what the errors that are open now are about.
async fn trends(
    handle: &Handle,
    minutes: u32,
    shares: bool,
) -> Result<(Vec<Trend>, Option<Vec<Share>>), Refused> {
    let trends = handle.trends(minutes).await?;
    Ok((trends, if shares { Some(handle.breakdown("").await?) } else { None }))
}

/// What it would be to take the operator's own last act back.
async fn undo_last(handle: &Handle) -> Result<Plan, Refused> {
    let act = handle.last_act().await?.act;
    handle.plan(&Chosen::Ids(Vec::new()), Deed::Undo(act)).await
}

async fn export(handle: &Handle, filter: &str, path: &str) -> Result<String, Refused> {
    let path = new_file(path, "x")?;
    let format = if is_json(&path) { Format::JsonLines } else { Format::Csv };
    let count = handle.export_to(&path, filter, format).await?;
    Ok(format!("{count} errors written to {}", path.display()))
}

/// Writes lines of the log into a new file: as JSON lines where its name says so, else as text.
fn keep_lines(path: &str, kept: &Kept) -> Result<String, Refused> {
    let path = new_file(path, "w")?;
    let shown = path.display();
    let failed = |error: std::io::Error| Refused(format!("{shown}: {error}"));
    // What a log says is the operator's alone.
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
    let mut file = std::io::BufWriter::new(file);
    let json = is_json(&path);
    let write = |line: &Line<'_>| writeln!(file, "{}", if json { line.json() } else { line.logfmt() });
    let count = kept.each(write).map_err(failed)?;
    file.flush().map_err(failed)?;
    Ok(format!("{count} lines written to {shown}"))
}

fn is_json(path: &Path) -> bool {
    let name = path.to_string_lossy();
    [".json", ".jsonl", ".ndjson"].iter().any(|end| name.ends_with(end))
}

/// Where a file of this name is to be; one that is there already stays as it is. `key` asks for another name.
fn new_file(path: &str, key: &str) -> Result<PathBuf, Refused> {
    let path = match (path.strip_prefix("~/"), std::env::var("HOME")) {
        (Some(rest), Ok(home)) => Path::new(&home).join(rest),
        _ => std::path::absolute(path).map_err(|error| Refused(format!("{path}: {error}")))?,
    };
    let shown = path.display();
    if path.exists() {
        return Err(Refused(format!("{shown} is there already and stays as it is; {key} and another name")));
    }
    if !path.parent().is_some_and(Path::is_dir) {
        return Err(Refused(format!("{shown}: there is no such directory")));
    }
    Ok(path)
}
