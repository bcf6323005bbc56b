//! Causes of errors: what there are, whose each is, what is to be known about it, and which are muted.

use chrono::Utc;
use color_eyre::eyre::Result;

use crate::client::causes::ListedCause;
use crate::domain::errors::cause::Until;
use crate::logs::sanitize::sanitize;

use super::args::{CauseAct, CauseOptions, Cli};
use super::{DONE, bulk, client, print};

/// What stands for nobody.
const NOBODY: &str = "-";

/// Does what is asked.
pub(super) async fn run(cli: &Cli, options: &CauseOptions) -> Result<u8> {
    if let Some((what, of)) = options.foreign() {
        return Err(print::Usage(format!("{what} is for cause {of}\nleave it out")).into());
    }
    let named = || {
        let text = "name a cause, as listed by: syncdeck cause; its first letters are enough";
        options.group.as_deref().ok_or_else(|| print::Usage(text.to_owned()))
    };
    let until = match (options.act, &options.until) {
        (CauseAct::Mute, Some(text)) => {
            Until::parse(text, Utc::now()).map_err(|why| print::Usage(format!("--until {text}: {why}")))?
        }
        _ => Until::Grows,
    };
    if options.act == CauseAct::Note && options.text.is_none() {
        return Err(print::Usage("write the note behind the cause; '' takes it away".to_owned()).into());
    }
    match options.act {
        CauseAct::List => {}
        CauseAct::Show => named().map(drop)?,
        _ => {
            named()?;
            bulk::refuse_read_only(cli)?;
        }
    }
    let client = client(cli).await?;
    if options.act == CauseAct::List {
        let prefix = options.group.as_deref().unwrap_or_default();
        return list(cli, &client.causes(prefix, options.all, options.limit).await?);
    }
    let group = client.cause(named()?).await?.group;
    let cause = match options.act {
        CauseAct::List | CauseAct::Show => client.cause(&group).await?,
        CauseAct::Own => {
            let who = options.text.as_deref().unwrap_or(client.operator_name()).to_owned();
            client.own_cause(&group, Some(who.as_str()).filter(|who| *who != NOBODY)).await?
        }
        CauseAct::Note => client.note_cause(&group, options.text.as_deref()).await?,
        CauseAct::Mute => client.mute_cause(&group, until).await?,
        CauseAct::Unmute => client.unmute_cause(&group).await?,
    };
    if cli.json {
        print::json(&cause, true)?;
    } else {
        show(&cause)?;
    }
    Ok(DONE)
}

fn list(cli: &Cli, causes: &[ListedCause]) -> Result<u8> {
    if cli.json {
        print::json(&causes, true)?;
        return Ok(DONE);
    }
    if causes.is_empty() {
        print::line("no cause has errors")?;
        return Ok(DONE);
    }
    let rows: Vec<Vec<String>> = causes
        .iter()
        .map(|cause| {
            let life = &cause.life;
            vec![
                cause.group.clone(),
                life.state.word().to_owned(),
                time(life.since),
                cause.mapping.clone(),
                cause.code.clone(),
                life.owner.clone().unwrap_or_default(),
                life.muted.as_ref().map(|muted| format!("muted {muted}")).unwrap_or_default(),
                life.note.clone().unwrap_or_default(),
            ]
        })
        .collect();
    print::table(&["cause", "state", "since (UTC)", "mapping", "code", "owner", "", "note"], &rows)?;
    Ok(DONE)
}

fn time(at: chrono::DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}

fn show(cause: &ListedCause) -> Result<()> {
    let life = &cause.life;
    let back = match life.returns {
        0 => String::new(),
        1 => ", was mended once and came back".to_owned(),
        times => format!(", was mended {times} times and came back"),
    };
    let mut lines = vec![
        ("cause", cause.group.clone()),
        ("what", cause.title.clone()),
        ("state", format!("{} since {}{back}", life.state.word(), time(life.since))),
        ("first seen", time(life.first_seen)),
    ];
    lines.extend(life.mended_at.map(|at| ("mended", time(at))));
    lines.push(("errors so far", life.ever.to_string()));
    lines.push(("owner", life.owner.clone().unwrap_or_else(|| "nobody".to_owned())));
    lines.extend(life.note.clone().map(|note| ("note", note)));
    lines.extend(life.muted.clone().map(|muted| ("muted", muted)));
    for (name, value) in lines {
        print::line(&format!("{name:<15}{}", sanitize(&value)))?;
    }
    print::line("\nits errors have in common")?;
    for line in life.grouped_in_words().lines() {
        print::line(&format!("  {}", sanitize(line)))?;
    }
    Ok(print::line(&format!("\nlist them with: syncdeck errors --where group:{}", cause.group))?)
}
