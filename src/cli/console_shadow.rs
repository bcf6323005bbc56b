//! A comparison beside Heroku Connect for whoever watches it in a console: by the same engine and in the same words as
//! `syncdeck shadow`, in sessions that PostgreSQL lets change nothing.

use std::sync::{Arc, Mutex, PoisonError};

use color_eyre::eyre::Result;

use crate::client::api::ClientError;
use crate::client::setup::SetupListener;
use crate::client::setup::line::SetupLine;
use crate::client::setup::shadow::{ShadowOrder, ShadowPreview, ShadowRun};
use crate::config::Config;
use crate::domain::records::shadow::report::ShadowReport;
use crate::engine::shadow::{Shadow, ShadowOptions, ShadowStage};
use crate::postgres::Store;

use super::setup::{ConsoleSetup, command, refuse_other, told_by};
use super::shadow::{ReportLine, beginning, explained, looking, news, report_lines};

impl ConsoleSetup {
    /// Looks at what can be compared, and what that costs, by the connection's own configuration or by another one.
    pub(super) async fn shadow_looked(
        &self,
        file: Option<&str>,
        shown: &Store,
        told: SetupListener,
    ) -> Result<ShadowPreview> {
        let config = match file {
            Some(file) => self.of_start(Some(file), shown).await?.0,
            None => match self.own_with_org()? {
                Some(config) => config,
                None => return Ok(without_org()),
            },
        };
        let store = looking(&config).await?;
        refuse_other(&store, shown).await?;
        told(format!("asking the org of {} what its objects are, and counting its records", config.name));
        let shadow = Shadow::open(&config, store, ShadowOptions::default()).await.map_err(explained)?;
        let mut lines: Vec<SetupLine> = beginning(shadow.report()).into_iter().map(SetupLine::Text).collect();
        lines.extend([
            SetupLine::Blank,
            SetupLine::Heading("From a shell it goes on without a console:".to_owned()),
            SetupLine::Command(command("shadow --for 1d", &config)),
        ]);
        Ok(ShadowPreview { lines, run: Some(run(shadow)) })
    }

    /// The connection's own configuration as it is now, where it has a login to the org.
    fn own_with_org(&self) -> Result<Option<Config>> {
        if !self.config.path.exists() {
            return Ok(None);
        }
        let name = self.config.among_several.then_some(self.config.name.as_str());
        let config = Config::load_with_org(Some(&self.config.path), name)?;
        Ok(config.salesforce.is_somewhere().then_some(config))
    }
}

/// What helps where the connection has no login to the org.
fn without_org() -> ShadowPreview {
    let text = "This compares Salesforce with the rows that Heroku Connect keeps, round by round, and changes nothing. It reads the org, \
                and this connection has no login to it: Enter names a configuration that import wrote, which has one.";
    let import = "syncdeck import heroku-connect EXPORT.json --config own.toml";
    let lines = vec![
        SetupLine::Text(text.to_owned()),
        SetupLine::Blank,
        SetupLine::Heading("Where there is none yet:".to_owned()),
        SetupLine::Command(import.to_owned()),
    ];
    ShadowPreview { lines, run: None }
}

/// Compares by it, once.
fn run(shadow: Shadow) -> ShadowRun {
    let held = Arc::new(Mutex::new(Some(shadow)));
    ShadowRun::new(move |ShadowOrder { time, told, stop }| {
        let shadow = held.lock().unwrap_or_else(PoisonError::into_inner).take();
        Box::pin(async move {
            let Some(shadow) = shadow else {
                return Err(ClientError::refused("this comparison was begun already\nlook again"));
            };
            let heard = move |stage: ShadowStage<'_>| {
                if let Some(news) = news(stage) {
                    told(news);
                }
            };
            let report = shadow.for_time(time).run(&heard, &stop).await;
            Ok(found(&report.map_err(|error| told_by(&explained(error)))?))
        })
    })
}

/// The report: what it comes to first, then each mapping.
fn found(report: &ShadowReport) -> Vec<SetupLine> {
    let mut lines = report_lines(report);
    let comes_to = lines.pop().map(|line| SetupLine::Heading(line.text));
    let drawn = |ReportLine { depth, text }: ReportLine| match depth {
        0 => vec![SetupLine::Blank, SetupLine::Heading(text)],
        depth => vec![SetupLine::Item(format!("{}{text}", "  ".repeat(depth - 1)))],
    };
    comes_to.into_iter().chain(lines.into_iter().flat_map(drawn)).collect()
}
