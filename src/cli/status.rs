//! How the connection, the engine and the mappings stand; of several connections, each.

use color_eyre::eyre::{Report, Result};

use crate::config::{Config, ConnectionName};
use crate::domain::reports::overview::{
    AlertsStatus, ConnectionStatus, EngineStatus, MappingStatus, Overview,
};
use crate::domain::state::{ConnectionState, EngineState};
use crate::logs::sanitize::sanitize;

use super::args::Cli;
use super::{DONE, FAILED, UNHEALTHY, client, client_of, explain, print, several};

/// How things stand.
pub(super) async fn run(cli: &Cli, fail_on: &[String]) -> Result<u8> {
    let Some(names) = several(cli)? else {
        let client = client(cli).await?;
        client.glance_at_heroku().await;
        let overview = client.overview().await?;
        if cli.json {
            print::json(&overview, true)?;
        } else {
            show_overview(&overview)?;
        }
        return Ok(if is_ill(&overview, fail_on) { UNHEALTHY } else { DONE });
    };
    let asked = futures_util::future::join_all(names.iter().map(|of| overview(cli, of))).await;
    let failed = asked.iter().any(|(_, report)| report.is_some());
    let overviews: Vec<&Overview> = asked.iter().map(|(overview, _)| overview).collect();
    if cli.json {
        print::json(&overviews, true)?;
    }
    for (at, (overview, report)) in asked.iter().enumerate() {
        if !cli.json && report.is_none() {
            if at > 0 {
                print::line("")?;
            }
            show_overview(overview)?;
        }
        if let Some(report) = report {
            print::problem(&format!("{}: {}", overview.connection.name, explain(report)));
        }
    }
    let ill = overviews.iter().any(|overview| is_ill(overview, fail_on));
    Ok(match (failed, ill) {
        (true, _) => FAILED,
        (false, true) => UNHEALTHY,
        (false, false) => DONE,
    })
}

/// How a connection among several stands; where it cannot be asked, why.
async fn overview(cli: &Cli, of: &ConnectionName) -> (Overview, Option<Report>) {
    let asked = async {
        let config = Config::load(cli.config.as_deref(), Some(&of.name))?;
        let client = client_of(cli, &config).await?;
        client.glance_at_heroku().await;
        Ok::<_, Report>(client.overview().await?)
    };
    match asked.await {
        Ok(overview) => (overview, None),
        Err(report) => {
            let connection = ConnectionStatus {
                name: of.name.clone(),
                environment: of.environment.clone(),
                detail: Some(explain(&report)),
                ..ConnectionStatus::default()
            };
            let engine = EngineStatus::default();
            (Overview { connection, engine, ..Overview::default() }, Some(report))
        }
    }
}

/// Whether one of the things holds that a script fails on.
fn is_ill(overview: &Overview, fail_on: &[String]) -> bool {
    let sum = |of: fn(&MappingStatus) -> i64| overview.mappings.iter().map(of).sum::<i64>();
    fail_on.iter().any(|what| match what.as_str() {
        "errors" => sum(|mapping| mapping.errors) > 0,
        "held" => sum(|mapping| mapping.held) > 0,
        // One that cannot write does not run either.
        "stopped" => {
            overview.engine.state != EngineState::Running
                || overview.connection.state == ConnectionState::Database
        }
        _ => overview.connection.state != ConnectionState::Ok,
    })
}

/// What fires and which channels fail, where anything does.
fn show_alerts(alerts: &AlertsStatus) -> Result<()> {
    let mut parts = Vec::new();
    if alerts.firing > 0 {
        let fire = if alerts.firing == 1 { "fires" } else { "fire" };
        parts.push(format!("{} {fire}, {} unattended", alerts.firing, alerts.unattended));
    }
    let failing = alerts.failing_channels.iter();
    parts.extend(
        failing.map(|channel| format!("{} fails: {}", sanitize(&channel.name), sanitize(&channel.reason))),
    );
    if parts.is_empty() {
        return Ok(());
    }
    Ok(print::line(&format!("alerts      {} (syncdeck alert)", parts.join("; ")))?)
}

fn show_overview(overview: &Overview) -> Result<()> {
    let connection = &overview.connection;
    let detail = connection.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default();
    print::line(&format!("engine      {}", overview.engine.state))?;
    print::line(&format!(
        "connection  {} ⇄ {}: {}{}",
        sanitize(&connection.name),
        sanitize(&connection.environment),
        connection.state,
        sanitize(&detail)
    ))?;
    if let Some(heroku) = &overview.heroku {
        print::line(&format!("heroku      {}", sanitize(&heroku.text(print::clock))))?;
    }
    show_alerts(&overview.alerts)?;
    print::line("")?;
    let rows: Vec<Vec<String>> = overview
        .mappings
        .iter()
        .map(|mapping| {
            let numbers =
                [mapping.errors, mapping.held, mapping.pending, mapping.rows].map(|n| n.to_string());
            let standing = vec![mapping.name.clone(), mapping.access.clone(), mapping.state.to_string()];
            [standing, numbers.to_vec(), vec![mapping.detail.clone().unwrap_or_default()]].concat()
        })
        .collect();
    print::table(&["mapping", "access", "state", "errors", "held", "pending", "rows", ""], &rows)?;
    let now = chrono::Utc::now();
    for mapping in &overview.mappings {
        if let Some(told) = &mapping.heroku {
            print::line(&sanitize(&format!("{}: {}", mapping.name, super::heroku_api::counts(told))))?;
        }
        if let Some(events) = &mapping.events {
            print::line(&sanitize(&format!("{}: {}", mapping.name, events.text(print::clock))))?;
        }
        let verify = &mapping.verify;
        if verify.next.is_some() || verify.progress.is_some() || verify.found > 0 {
            let text = verify.text(print::clock, now);
            print::line(&sanitize(&format!("{}: {text}", mapping.name)))?;
        }
    }
    Ok(())
}
