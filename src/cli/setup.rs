//! What a configuration makes of a database, as commands and the console's screens ask for it: looked at first, in sessions
//! that change nothing, then done in one transaction as it was shown.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use color_eyre::eyre::{Report, Result};
use futures_util::future::BoxFuture;

use crate::client::api::{ClientError, ErrorKind, operator};
use crate::client::setup::line::SetupLine;
use crate::client::setup::rebind::{rebind_lines, rebind_question, rebound};
use crate::client::setup::shadow::ShadowPreview;
use crate::client::setup::text::{
    NOT_YET, NOTHING_TO_ADOPT, adopt_question, adopted_lines, after_plan, plan_lines, undo_question,
    undone_lines, way_back_lines,
};
use crate::client::setup::{Setup, SetupListener, SetupPreview, SetupQuestion, SetupRun, SetupTask};
use crate::config::{Config, ConnectionName, EngineMode};
use crate::domain::operations::operation::Operation;
use crate::domain::reports::setup_plan::StartPlan;
use crate::domain::reports::way_back::WayBack;
use crate::engine::rebind::Rebind;
use crate::engine::{self, Assumed};
use crate::postgres::session::connect::Session;
use crate::postgres::{self, Store};

use super::{WRONG, explain, print, status_of, store};

/// The database, in sessions that PostgreSQL lets change nothing.
pub(super) async fn looking(config: &Config) -> Result<Store, postgres::Error> {
    let session =
        Session { connections: 2, read_only: true, ..Session::new("syncdeck plan", config.postgres.timeout) };
    store(config, &session).await
}

/// The database, for what is done to its layout.
async fn changing(config: &Config) -> Result<Store, postgres::Error> {
    let session = Session { connections: 2, ..Session::new("syncdeck adopt", config.postgres.timeout) };
    store(config, &session).await
}

/// Which schema it is about, as whoever is asked knows it.
fn of(config: &Config) -> String {
    format!("the schema {} (connection {}, {})", config.postgres.schema, config.name, config.environment)
}

/// Refuses where one address leads to another database than before.
pub(super) async fn refuse_other(store: &Store, looked_at: &Store) -> Result<()> {
    if store.is_same(looked_at).await? {
        return Ok(());
    }
    let text = format!(
        "the address leads to another database by now than was looked at, and nothing was changed: the schema {} of the {}\nlook again",
        store.schema_name,
        store.place()
    );
    Err(ClientError::new(ErrorKind::Conflict, text).into())
}

/// A takeover that was looked at.
pub(super) struct Takeover {
    config: Config,
    looked_at: Store,
    /// The tables that are somebody else's.
    pub(super) foreign: Vec<String>,
    /// What is done.
    pub(super) planned: StartPlan,
}

impl Takeover {
    /// Looks; `None` where no mapped table is anybody else's. `two_engines` says that it goes on where Heroku Connect was seen
    /// at work.
    pub(super) async fn look(config: Config, looking: Store, two_engines: bool) -> Result<Option<Takeover>> {
        let config = Config { adopts: true, allows_two_engines: two_engines, ..config };
        let tables: Vec<&str> = config.mappings.iter().map(|mapping| mapping.table.as_str()).collect();
        let foreign = looking.foreign_tables(&tables).await?;
        if foreign.is_empty() {
            return Ok(None);
        }
        let planned = engine::plan(&config, &looking, Assumed::default()).await?;
        Ok(Some(Takeover { looked_at: looking, config, foreign, planned }))
    }

    /// Which schema it is.
    pub(super) fn of(&self) -> String {
        of(&self.config)
    }

    /// What is agreed to.
    pub(super) fn question(&self) -> String {
        adopt_question(&self.of(), &self.looked_at.place(), &self.foreign)
    }

    /// What is typed to agree.
    pub(super) fn types(&self) -> &str {
        &self.config.name
    }

    /// Does it. Returns what was done to things that a predecessor left.
    pub(super) async fn execute(&self, tell: &(dyn Fn(String) + Sync)) -> Result<Vec<String>> {
        let store = changing(&self.config).await?;
        refuse_other(&store, &self.looked_at).await?;
        Ok(engine::adopt(&self.config, &store, &self.planned.setup, tell).await?)
    }
}

/// The way back from a takeover, that was looked at.
pub(super) struct Undoing {
    config: Config,
    looked_at: Store,
    /// What is done.
    pub(super) way_back: WayBack,
}

impl Undoing {
    /// Looks.
    pub(super) async fn look(config: Config, looking: Store) -> Result<Undoing> {
        let way_back = looking.way_back().await?;
        Ok(Undoing { looked_at: looking, config, way_back })
    }

    /// What is agreed to.
    pub(super) fn question(&self) -> String {
        undo_question(&of(&self.config), &self.looked_at.place())
    }

    /// What is typed to agree.
    pub(super) fn types(&self) -> &str {
        &self.config.name
    }

    /// Does it.
    pub(super) async fn execute(&self) -> Result<WayBack> {
        let store = changing(&self.config).await?;
        refuse_other(&store, &self.looked_at).await?;
        Ok(store.undo_adoption(&self.way_back).await?)
    }
}

/// What a console asks of the configuration that it was opened with.
pub(super) struct ConsoleSetup {
    pub(super) config: Config,
}

impl ConsoleSetup {
    /// Of a connection.
    pub(super) fn of(config: &Config) -> Arc<ConsoleSetup> {
        Arc::new(ConsoleSetup { config: config.clone() })
    }

    async fn looked(
        &self,
        task: SetupTask,
        file: Option<&str>,
        shown: &Store,
        told: SetupListener,
    ) -> Result<SetupPreview> {
        match task {
            SetupTask::Plan => self.plan(file, shown).await,
            SetupTask::Adopt => self.adopt(file, shown).await,
            SetupTask::UndoAdopt => self.undo(shown).await,
            SetupTask::Rebind => self.rebind(shown, told).await,
        }
    }

    /// The configuration of a start, and the database that it names, which must be the one that shows: the connection's own
    /// as its file is now, or the one that was named.
    pub(super) async fn of_start(&self, file: Option<&str>, shown: &Store) -> Result<(Config, Store)> {
        let Some(file) = file else {
            if self.config.engine == EngineMode::HerokuConnect {
                return Err(print::Usage(
                    "a connection that is attached to Heroku Connect has neither mappings nor a login to the org\n\
                     name a configuration that has: syncdeck import heroku-connect EXPORT.json --config own.toml"
                        .to_owned(),
                )
                .into());
            }
            let remedy = "open another console, which shows what the file names now";
            return that_shows(self.config.load_again()?, shown, remedy).await;
        };
        let path = self.path_of(file);
        let names = Config::connections(Some(&path))?;
        if names.len() > 1 {
            return self.among(&path, &names, shown).await;
        }
        let remedy = "name a configuration of what shows";
        that_shows(Config::load_engine(Some(&path), None)?, shown, remedy).await
    }

    /// The one of several connections that is of the database that shows and has mappings; of more than one, the one that is
    /// called as this one.
    async fn among(&self, path: &Path, names: &[ConnectionName], shown: &Store) -> Result<(Config, Store)> {
        let (mut fitting, mut others) = (Vec::new(), Vec::new());
        for of in names {
            let found = match Config::load_engine(Some(path), Some(&of.name)) {
                Ok(config) => that_shows(config, shown, "").await,
                Err(error) => Err(error.into()),
            };
            match found {
                Ok(found) => fitting.push(found),
                Err(report) => {
                    let text = explain(&report);
                    others.push(format!("{}: {}", of.name, text.lines().next().unwrap_or_default()));
                }
            }
        }
        let own = fitting.iter().position(|(config, _)| config.name == self.config.name);
        match (own, fitting.len()) {
            (Some(at), _) => Ok(fitting.swap_remove(at)),
            (None, 1) => Ok(fitting.swap_remove(0)),
            (None, 0) => Err(print::Usage(format!(
                "no connection of {} is of what this console shows, with mappings of its own\n{}",
                path.display(),
                others.join("\n")
            ))
            .into()),
            (None, _) => Err(print::Usage(format!(
                "several connections of {} are of what this console shows: {}\nname a file that has one of them",
                path.display(),
                fitting.iter().map(|(config, _)| config.name.as_str()).collect::<Vec<_>>().join(", ")
            ))
            .into()),
        }
    }

    /// A file as it was typed: from here, or beside the connection's own.
    fn path_of(&self, file: &str) -> PathBuf {
        let home = || std::env::var_os("HOME").map(PathBuf::from);
        let at_home = file.strip_prefix("~/").and_then(|rest| Some(home()?.join(rest)));
        let path = at_home.unwrap_or_else(|| PathBuf::from(file));
        let beside = self.config.path.parent().map(|folder| folder.join(&path));
        match beside {
            Some(beside) if !path.exists() && beside.exists() => beside,
            _ => path,
        }
    }

    async fn plan(&self, file: Option<&str>, shown: &Store) -> Result<SetupPreview> {
        let (config, store) = self.of_start(file, shown).await?;
        let plan = engine::plan(&config, &store, Assumed::default()).await?;
        let mut lines = plan_lines(&plan);
        lines.push(SetupLine::Text(after_plan(&plan.setup)));
        Ok(SetupPreview::told(lines))
    }

    async fn adopt(&self, file: Option<&str>, shown: &Store) -> Result<SetupPreview> {
        let (config, store) = self.of_start(file, shown).await?;
        let Some(takeover) = Takeover::look(config.clone(), store, false).await? else {
            let nothing = SetupLine::Text(NOTHING_TO_ADOPT.to_owned());
            return Ok(SetupPreview::told(vec![nothing, SetupLine::Command(command("run", &config))]));
        };
        let setup = &takeover.planned.setup;
        let mut lines = plan_lines(&takeover.planned);
        if setup.is_refused() || !setup.at_work.is_empty() {
            let why = if setup.is_refused() { after_plan(setup) } else { NOT_YET.to_owned() };
            lines.splice(0..0, [SetupLine::Text(why), SetupLine::Blank]);
            return Ok(SetupPreview::told(lines));
        }
        let (text, types) = (takeover.question(), takeover.types().to_owned());
        let (next, takeover) = (self.after_adopt(&config), Arc::new(takeover));
        let run = SetupRun::new(move |told| {
            let (takeover, next) = (takeover.clone(), next.clone());
            Box::pin(async move {
                let done = takeover.execute(&|line| told(line)).await.map_err(|report| told_by(&report))?;
                let mut lines = adopted_lines(&takeover.of(), &takeover.foreign, &done);
                lines.extend(next);
                Ok(lines)
            })
        });
        Ok(SetupPreview { lines, question: Some(SetupQuestion { text, types, run }) })
    }

    async fn undo(&self, shown: &Store) -> Result<SetupPreview> {
        let store = looking(&self.config).await?;
        refuse_other(&store, shown).await?;
        let undoing = Undoing::look(self.config.clone(), store).await?;
        let (text, types) = (undoing.question(), undoing.types().to_owned());
        let (lines, undoing) = (way_back_lines(&undoing.way_back), Arc::new(undoing));
        let run = SetupRun::new(move |_| {
            let undoing = undoing.clone();
            Box::pin(async move {
                let done = undoing.execute().await.map_err(|report| told_by(&report))?;
                Ok(undone_lines(&undoing.way_back, &done))
            })
        });
        Ok(SetupPreview { lines, question: Some(SetupQuestion { text, types, run }) })
    }

    /// Another org behind the same tables: that of the login as the file has it now.
    async fn rebind(&self, shown: &Store, told: SetupListener) -> Result<SetupPreview> {
        let (config, _) = self.of_start(None, shown).await?;
        if config.engine == EngineMode::WithConsole {
            // It would be refused once all records are read.
            return Err(print::Usage(format!(
                "this console runs the engine of the connection (engine = \"with-console\"), and a rebind needs it stopped\n\
                 leave the console, then use: {}",
                command("rebind", &config)
            ))
            .into());
        }
        let session = Session { connections: 2, ..Session::new("syncdeck rebind", config.postgres.timeout) };
        let progress = move |object: &str, records: i64| told(format!("{object}: {records} records read"));
        let store = store(&config, &session).await?;
        refuse_other(&store, shown).await?;
        let rebind = Rebind::plan(&config, store.clone(), false, &progress).await?;
        let mut lines = rebind_lines(rebind.preview());
        if !rebind.preview().refused.is_empty() {
            let first = "Nothing was changed: what is refused comes first.".to_owned();
            lines.splice(0..0, [SetupLine::Text(first), SetupLine::Blank]);
            return Ok(SetupPreview::told(lines));
        }
        // Whoever types the org's id means that org, whichever it is.
        let types = rebind.preview().to.id.clone();
        let text = rebind_question(rebind.preview(), &store.place());
        let (start, rebind, shown) = (command("run", &config), Arc::new(rebind), shown.clone());
        let run = SetupRun::new(move |_| {
            let (rebind, start, store, shown) = (rebind.clone(), start.clone(), store.clone(), shown.clone());
            Box::pin(async move {
                refuse_other(&store, &shown).await.map_err(|report| told_by(&report))?;
                let operation = Operation::single(&operator());
                let done = rebind.execute(&operation).await.map_err(|error| told_by(&error.into()))?;
                Ok(vec![SetupLine::Text(rebound(&done)), SetupLine::Command(start)])
            })
        });
        Ok(SetupPreview { lines, question: Some(SetupQuestion { text, types, run }) })
    }

    /// What comes after a takeover, with the commands.
    fn after_adopt(&self, config: &Config) -> Vec<SetupLine> {
        let mut lines = vec![
            SetupLine::Blank,
            SetupLine::Heading(
                "Next: the engine, which sends what waits and reads all records once.".to_owned(),
            ),
            SetupLine::Command(command("run", config)),
            SetupLine::Heading("Its console, where what fails is mended from now on:".to_owned()),
            SetupLine::Command(command("", config)),
            SetupLine::Heading(
                "The way back, once no engine works: adopt undo in this console, or".to_owned(),
            ),
            SetupLine::Command(command("adopt --undo", config)),
        ];
        let beside = "This console is the one beside Heroku Connect still: what it shows does not go on.";
        lines.push(SetupLine::Text(beside.to_owned()));
        if self.config.path.exists() && self.config.engine == EngineMode::HerokuConnect {
            lines.push(SetupLine::Text(format!(
                "{} has engine = \"heroku-connect\" still: it is refused from now on, until the takeover is undone",
                self.config.path.display()
            )));
        }
        lines
    }
}

/// A configuration of the database that shows, with mappings and a login of its own; else `remedy` is what to do.
async fn that_shows(config: Config, shown: &Store, remedy: &str) -> Result<(Config, Store)> {
    let path = config.path.display();
    if config.engine == EngineMode::HerokuConnect {
        return Err(print::Usage(format!(
            "{path} is attached to Heroku Connect (engine = \"heroku-connect\"): it has neither mappings nor a login to the org\n\
             make one that has: syncdeck import heroku-connect EXPORT.json --config own.toml"
        ))
        .into());
    }
    let store = looking(&config).await?;
    if !store.is_same(shown).await? {
        return Err(print::Usage(format!(
            "{path} is of the schema {} of the {}, and not of what this console shows: the schema {} of the {}\n{remedy}",
            store.schema_name,
            store.place(),
            shown.schema_name,
            shown.place()
        ))
        .into());
    }
    Ok((config, store))
}

impl Setup for ConsoleSetup {
    fn look<'a>(
        &'a self,
        task: SetupTask,
        file: Option<&'a str>,
        shown: &'a Store,
        told: SetupListener,
    ) -> BoxFuture<'a, Result<SetupPreview, ClientError>> {
        Box::pin(async move { self.looked(task, file, shown, told).await.map_err(|report| told_by(&report)) })
    }

    fn look_at_shadow<'a>(
        &'a self,
        file: Option<&'a str>,
        shown: &'a Store,
        told: SetupListener,
    ) -> BoxFuture<'a, Result<ShadowPreview, ClientError>> {
        let looked = self.shadow_looked(file, shown, told);
        Box::pin(async move { looked.await.map_err(|report| told_by(&report)) })
    }
}

/// A command of the shell about a connection.
pub(super) fn command(words: &str, config: &Config) -> String {
    let path = std::path::absolute(&config.path).unwrap_or_else(|_| config.path.clone());
    let words = if words.is_empty() { String::new() } else { format!(" {words}") };
    let connection =
        if config.among_several { format!(" --connection {}", quoted(&config.name)) } else { String::new() };
    format!("syncdeck{words} --config {}{connection}", quoted_path(&path))
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Why a console did not get what it asked for.
pub(super) fn told_by(report: &Report) -> ClientError {
    if let Some(error) = report.downcast_ref::<ClientError>() {
        return error.clone();
    }
    let text = explain(report);
    if status_of(report) == WRONG {
        ClientError::invalid(text)
    } else {
        ClientError::new(ErrorKind::Refused, text)
    }
}
