//! `syncdeck heroku`: what Heroku Connect's own API tells of a connection that it keeps, and what only it can do.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat};
use color_eyre::eyre::Result;
use serde_json::json;

use crate::client::api::{Client, ClientError};
use crate::config::Config;
use crate::domain::attached::told::{CheckOutcome, NotificationFilter, ToldCheck, ToldList, ToldMapping};
use crate::domain::values::size::thousands;
use crate::heroku::{self, ApiAccess};

use super::args::{Cli, HerokuAction, HerokuOptions};
use super::print::clock;
use super::{DONE, FAILED, UNHEALTHY, bulk, client as open, print};

/// Said where nobody named an app.
const NO_APP: &str =
    "no app is named\nset [heroku] app (without a configuration: HEROKU_APP), and HEROKU_API_KEY";

/// Said where notifications cannot be told from those that come meanwhile.
const NO_TIME: &str = "Heroku Connect does not say when these notifications came: those that come meanwhile would be acknowledged, too\n\
    say up to when, with --before";

/// Said where there are notifications, and none of them came.
const NONE_CAME: &str = "none of the notifications came: nobody can say which would be acknowledged\n\
    ask again, or say up to when, with --before";

/// A client of its API, or why there is none.
pub(super) fn client(config: &Config, read_only: bool) -> Result<heroku::Client, String> {
    let Some(settings) = &config.heroku else { return Err(NO_APP.to_owned()) };
    let Some(key) = settings.key.clone() else {
        let problem = "is not set";
        return Err(heroku::Error::NoKey { place: settings.key_place.clone(), problem }.to_string());
    };
    let access = ApiAccess {
        app: settings.app.clone(),
        resource: settings.resource.clone(),
        schema: config.postgres.schema.clone(),
        api_url: settings.api_url.clone(),
        key_place: settings.key_place.clone(),
        key,
        read_only,
    };
    heroku::Client::new(access).map_err(|error| error.to_string())
}

/// Does what is asked.
pub(super) async fn run(cli: &Cli, options: &HerokuOptions) -> Result<u8> {
    if let Some((what, of)) = options.foreign() {
        return Err(print::Usage(format!("{what} is for heroku {of}\nleave it out")).into());
    }
    if matches!(options.action, HerokuAction::Acknowledge | HerokuAction::Recover) {
        bulk::refuse_read_only(cli)?;
    }
    let client = open(cli).await?;
    let mapping = options.mapping.as_deref();
    match options.action {
        HerokuAction::State => state(cli, &client).await,
        HerokuAction::WriteErrors => write_errors(cli, &client, mapping).await,
        HerokuAction::Notifications => notifications(cli, &client, &filter(options)?).await,
        HerokuAction::Acknowledge => acknowledge(cli, &client, options).await,
        HerokuAction::Diagnose => diagnose(cli, &client, options).await,
        HerokuAction::Recover => recover(cli, &client, options.yes).await,
    }
}

fn filter(options: &HerokuOptions) -> Result<NotificationFilter, print::Usage> {
    for (option, value) in [("--after", &options.after), ("--before", &options.before)] {
        if let Some(text) = value.as_ref().filter(|text| !is_time(text)) {
            let text =
                format!("{option} {text:?} is no date or time\nwrite 2026-11-30 or 2026-11-30T10:00:00Z");
            return Err(print::Usage(text));
        }
    }
    Ok(NotificationFilter {
        after: options.after.clone(),
        before: options.before.clone(),
        event_type: options.event_type.clone(),
    })
}

/// Whether it is a date or a time in a form that the API takes.
fn is_time(text: &str) -> bool {
    let with_t = text.replacen(' ', "T", 1);
    NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
        || DateTime::parse_from_rfc3339(&with_t).is_ok()
        || NaiveDateTime::parse_from_str(&with_t, "%Y-%m-%dT%H:%M:%S%.f").is_ok()
}

/// What the API counts of a mapping, and when it read and wrote last.
pub(super) fn counts(told: &ToldMapping) -> String {
    let number = |what: &str, count: Option<i64>| {
        let count = usize::try_from(count?).ok()?;
        Some(format!("{what} {}", thousands(count)))
    };
    let at = |what: &str, at: Option<chrono::DateTime<chrono::Utc>>| Some(format!("{what} {}", clock(at?)));
    let parts = [
        number("records", told.records),
        number("rows", told.rows),
        number("pending", told.pending),
        number("errors", told.errors),
        at("read", told.last_read),
        at("wrote", told.last_write),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let counted = if parts.is_empty() { String::new() } else { format!("; it counts {}", parts.join(", ")) };
    format!("Heroku Connect says {}{counted}", told.text())
}

async fn state(cli: &Cli, client: &Client) -> Result<u8> {
    client.heroku_is_there()?;
    client.ask_heroku().await;
    let overview = client.overview().await?;
    let Some(heroku) = overview.heroku else { return Ok(FAILED) };
    let told: Vec<&ToldMapping> =
        overview.mappings.iter().filter_map(|mapping| mapping.heroku.as_ref()).collect();
    if cli.json {
        print::json(&json!({"connection": heroku, "mappings": told}), true)?;
    } else if heroku.trouble.is_none() {
        print::line(&format!("{}: {}", heroku.whose(), heroku.text(clock)))?;
        told.iter().try_for_each(|of| print::line(&format!("{}: {}", of.object, counts(of))))?;
    }
    if let Some(trouble) = &heroku.trouble {
        print::problem(trouble);
        return Ok(FAILED);
    }
    Ok(DONE)
}

async fn write_errors(cli: &Cli, client: &Client, mapping: Option<&str>) -> Result<u8> {
    let told = client.heroku_write_errors(mapping).await?;
    if cli.json {
        print::json(&told, true)?;
        return Ok(DONE);
    }
    if told.items.is_empty() && told.gap("").is_none() {
        print::line("no write errors in the last 24 hours")?;
        return Ok(DONE);
    }
    let row = |error: &crate::domain::attached::told::ToldWriteError| {
        let at = error.created_at.map(clock).unwrap_or_default();
        vec![error.id.clone(), error.table.clone(), error.row.clone(), at, error.message.clone()]
    };
    let rows: Vec<Vec<String>> = told.items.iter().map(row).collect();
    print::table(&["error", "table", "row", "captured", "message"], &rows)?;
    tell_gap(&told, "write errors");
    Ok(DONE)
}

async fn notifications(cli: &Cli, client: &Client, filter: &NotificationFilter) -> Result<u8> {
    let told = client.heroku_notifications(filter).await?;
    if cli.json {
        print::json(&told, true)?;
        return Ok(DONE);
    }
    if told.items.is_empty() && told.gap("").is_none() {
        print::line("nothing that is not acknowledged")?;
        return Ok(DONE);
    }
    let row = |of: &crate::domain::attached::told::ToldNotification| {
        let at = of.created_at.map(clock).unwrap_or_default();
        vec![at, of.event_type.clone(), of.message.clone()]
    };
    let rows: Vec<Vec<String>> = told.items.iter().map(row).collect();
    print::table(&["at", "kind", "message"], &rows)?;
    tell_gap(&told, "notifications");
    Ok(DONE)
}

/// Says that a list is not whole.
fn tell_gap<T>(told: &ToldList<T>, what: &str) {
    if let Some(gap) = told.gap(what) {
        print::note(&gap);
    }
}

async fn acknowledge(cli: &Cli, client: &Client, options: &HerokuOptions) -> Result<u8> {
    let mut filter = filter(options)?;
    let told = client.heroku_notifications(&filter).await?;
    let (count, gap) = (i64::try_from(told.items.len()).unwrap_or(i64::MAX), told.gap("notifications"));
    if count == 0 && gap.is_none() {
        return acknowledged(cli, count, "nothing was to be acknowledged");
    }
    tell_gap(&told, "notifications");
    // What comes meanwhile was counted for nobody, and stays.
    if filter.before.is_none() {
        if count == 0 {
            return Err(ClientError::refused(NONE_CAME).into());
        }
        let newest = told.items.iter().filter_map(|of| of.created_at).max();
        let newest = newest.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
        filter.before = Some(newest.ok_or_else(|| print::Usage(NO_TIME.to_owned()))?);
    }
    if !options.yes {
        let (environment, whose) = (client.environment().await?, client.heroku_name().await?);
        let counted = thousands(told.items.len());
        let what = match (count, &gap) {
            (0, _) => format!("notifications of {whose} that did not come are acknowledged"),
            (1, None) => format!("1 notification of {whose} is acknowledged"),
            (_, None) => format!("{counted} notifications of {whose} are acknowledged"),
            (_, Some(_)) => {
                format!(
                    "{counted} notifications of {whose} are acknowledged, and those before them that did not come"
                )
            }
        };
        if !bulk::agreed(&format!("{environment}: {what}, for everybody."))? {
            print::problem("nothing was changed");
            return Ok(FAILED);
        }
    }
    let does = client.acknowledge_heroku(&filter).await?;
    let others = if gap.is_some() { ", and those that did not come" } else { "" };
    acknowledged(cli, count, &format!("{does}: {}{others}", thousands(told.items.len())))
}

fn acknowledged(cli: &Cli, count: i64, text: &str) -> Result<u8> {
    if cli.json {
        print::json(&json!({"acknowledged": count}), true)?;
    } else {
        print::line(text)?;
    }
    Ok(DONE)
}

async fn diagnose(cli: &Cli, client: &Client, options: &HerokuOptions) -> Result<u8> {
    if options.mapping.is_none() && !cli.json {
        print::note("Heroku Connect checks the connection and its mappings ...");
    }
    let checks = client.diagnose_heroku(options.mapping.as_deref()).await?;
    let bad = checks.iter().any(|check| check.outcome == CheckOutcome::Error);
    if cli.json {
        print::json(&checks, true)?;
    } else {
        show_checks(&checks, options.all)?;
    }
    Ok(if bad { UNHEALTHY } else { DONE })
}

fn show_checks(checks: &[ToldCheck], all: bool) -> Result<()> {
    let shown: Vec<&ToldCheck> =
        checks.iter().filter(|check| all || check.outcome <= CheckOutcome::Warning).collect();
    for check in &shown {
        let of = check.mapping.as_ref().map(|mapping| format!("{mapping}: ")).unwrap_or_default();
        print::line(&format!("{:<8}  {of}{}", check.outcome.word(), check.name))?;
        if check.outcome <= CheckOutcome::Warning {
            let lines = [Some(&check.message), check.doc_url.as_ref()];
            let mut lines = lines.into_iter().flatten().filter(|line| !line.is_empty());
            lines.try_for_each(|line| print::line(&format!("          {line}")))?;
        }
    }
    let passed = checks.iter().filter(|check| check.outcome == CheckOutcome::Pass).count();
    let skipped = checks.iter().filter(|check| check.outcome == CheckOutcome::Skip).count();
    let rest = format!("{passed} checks passed, {skipped} were skipped");
    print::line(&if shown.is_empty() { format!("nothing to mend: {rest}") } else { rest })?;
    Ok(())
}

async fn recover(cli: &Cli, client: &Client, yes: bool) -> Result<u8> {
    client.heroku_is_there()?;
    let environment = client.environment().await?;
    let whose = client.heroku_name().await?;
    let question = format!("{environment}: {whose}: Heroku Connect begins again, as after a new sign-in.");
    if !yes && !bulk::agreed(&question)? {
        print::problem("nothing was changed");
        return Ok(FAILED);
    }
    let does = client.recover_heroku().await?;
    if cli.json {
        print::json(&json!({"done": does}), true)?;
    } else {
        print::line(&does)?;
    }
    Ok(DONE)
}
