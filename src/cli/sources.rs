//! The log as one stream: the engine's own, from the database, and the sources that the configuration names.

use std::time::Duration;

use color_eyre::eyre::Result;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior};

use crate::client::api::Client;
use crate::config::Config;
use crate::config::log::ENGINE;
use crate::logs::LogRecord;
use crate::logs::line::{LogFilter, logfmt};
use crate::logs::source::{self, LogSource, LogSources, ReadManner, Receipt, SourceEvent};

use super::args::Cli;
use super::{DONE, FAILED, client_of, config, list, print};

/// How often the engine's log is asked for what is new.
const LOOK: Duration = Duration::from_millis(300);
/// How long the lines that are there already are waited for, so that they come in the order of their times.
const GATHER: Duration = Duration::from_secs(3);

/// What is read, and what of it is shown.
pub(super) struct FollowedSources<'a> {
    /// Only these; all without.
    pub(super) names: &'a [String],
    pub(super) follow: bool,
    pub(super) filter: &'a str,
    /// Begin with so many, the newest.
    pub(super) lines: usize,
}

/// The newest lines of all, then those that come.
pub(super) async fn run(cli: &Cli, wanted: &FollowedSources<'_>) -> Result<u8> {
    let config = config(cli)?;
    let (with_engine, sources) = chosen(&config, wanted.names)?;
    let filter = match sources.as_slice() {
        [] => LogFilter::parse(wanted.filter),
        _ => LogFilter::parse_any(wanted.filter),
    };
    let filter = filter.map_err(print::Usage)?;
    let mut engine = match with_engine {
        true => Some(Engine::open(cli, &config).await?),
        false => None,
    };
    let mut begun: Vec<LogRecord> = Vec::new();
    if let Some(engine) = &engine {
        begun.extend(list::newest(&engine.client, engine.after, &filter, wanted.lines).await?);
    }
    let count = sources.len();
    let mut told = source::start(sources, ReadManner { follow: wanted.follow, lines: wanted.lines });
    let receipts = gather(&mut told, count, wanted.follow, &mut begun).await;
    begun.retain(|record| filter.matches(record));
    begun.sort_by_key(|record| record.time);
    let newest = begun.split_off(begun.len().saturating_sub(wanted.lines));
    newest.iter().try_for_each(|record| show(cli, record))?;
    receipts.into_iter().for_each(Receipt::taken);
    if wanted.follow { follow(cli, &filter, engine.as_mut(), &mut told).await } else { Ok(DONE) }
}

/// Tries each source once.
pub(super) async fn check(cli: &Cli, names: &[String]) -> Result<u8> {
    let config = config(cli)?;
    let (_, sources) = chosen(&config, names)?;
    let mut failed = 0;
    let mut told = Vec::new();
    for source in &sources {
        let LogSource { name, kind } = source;
        let kind = kind.word();
        let result = source::check(source).await;
        failed += usize::from(result.is_err());
        let (what, remedy) = match result {
            Ok(()) => (None, None),
            Err(failure) => (Some(failure.what), Some(failure.remedy)),
        };
        if cli.json {
            told.push(
                json!({"source": name, "kind": kind, "works": what.is_none(), "why": what, "remedy": remedy}),
            );
            continue;
        }
        match what.zip(remedy) {
            None => print::line(&format!("{name} ({kind}): works"))?,
            Some((what, remedy)) => print::line(&format!("{name} ({kind}): fails: {what}; {remedy}"))?,
        }
    }
    if cli.json {
        print::json(&told, true)?;
    } else if sources.is_empty() {
        print::line("no source is configured besides the engine's own log\nadd one as [[log.source]]")?;
    }
    Ok(if failed > 0 { FAILED } else { DONE })
}

/// Whether the engine's own log is wanted, and which sources.
fn chosen(config: &Config, names: &[String]) -> Result<(bool, Vec<LogSource>), print::Usage> {
    let known = || config.log_sources.iter().map(|source| source.name.as_str());
    if let Some(name) = names.iter().find(|name| *name != ENGINE && !known().any(|known| known == *name)) {
        let there = std::iter::once(ENGINE).chain(known()).collect::<Vec<_>>().join(", ");
        return Err(print::Usage(format!(
            "there is no source {name:?}\nuse one of {there}, or add it as [[log.source]] to {}",
            config.path.display()
        )));
    }
    let is_wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let sources = config.log_sources.iter().filter(|source| is_wanted(&source.name)).cloned().collect();
    Ok((is_wanted(ENGINE), sources))
}

/// Takes what the sources have already. One that is slow, or tells without end, is not waited for for long.
/// Returns those to be told when the lines are shown.
async fn gather(
    told: &mut LogSources,
    mut waiting: usize,
    follow: bool,
    begun: &mut Vec<LogRecord>,
) -> Vec<Receipt> {
    let mut receipts = Vec::new();
    let until = Instant::now() + GATHER;
    while waiting > 0 {
        let next = match follow {
            true => tokio::time::timeout_at(until, told.next()).await.unwrap_or_default(),
            false => told.next().await,
        };
        match next {
            Some(SourceEvent::Line(record)) => begun.push(record),
            Some(SourceEvent::CaughtUp) => waiting -= 1,
            Some(SourceEvent::Until(receipt)) => receipts.push(receipt),
            // A line of it says the same.
            Some(SourceEvent::Stands { .. }) => {}
            None => break,
        }
    }
    receipts
}

/// Shows what comes until nothing can come any more.
async fn follow(
    cli: &Cli,
    filter: &LogFilter,
    mut engine: Option<&mut Engine>,
    told: &mut LogSources,
) -> Result<u8> {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sources_go_on = true;
    while sources_go_on || engine.is_some() {
        tokio::select! {
            next = told.next(), if sources_go_on => match next {
                Some(SourceEvent::Line(record)) if filter.matches(&record) => show(cli, &record)?,
                Some(SourceEvent::Until(receipt)) => receipt.taken(),
                Some(_) => {}
                None => sources_go_on = false,
            },
            _ = look.tick() => if let Some(engine) = &mut engine {
                let records = engine.next().await?;
                records.iter().filter(|record| filter.matches(record)).try_for_each(|record| show(cli, record))?;
            },
        }
    }
    Ok(DONE)
}

/// A record; in text, the line of another source names that beside its part.
fn show(cli: &Cli, record: &LogRecord) -> std::io::Result<()> {
    if cli.json {
        return print::json(record, false);
    }
    if record.source == ENGINE {
        return print::line(&logfmt(record));
    }
    let dyno = format!("{}[{}]", record.source, record.dyno);
    print::line(&logfmt(&LogRecord { dyno, ..record.clone() }))
}

/// The engine's own log.
struct Engine {
    client: Client,
    /// The newest record that was read.
    after: i64,
}

impl Engine {
    async fn open(cli: &Cli, config: &Config) -> Result<Engine> {
        let client = client_of(cli, config).await?;
        let after = client.log(None, 1).await?.last().map_or(0, |newest| newest.id);
        Ok(Engine { client, after })
    }

    async fn next(&mut self) -> Result<Vec<LogRecord>> {
        let records = self.client.log(Some(self.after), list::LOG_PAGE).await?;
        self.after = records.last().map_or(self.after, |record| record.id);
        Ok(records)
    }
}
