//! What changes one error's row: fix, choose, link. Many at once go by `many`.

use color_eyre::eyre::Result;

use crate::domain::act::{Deed, How};
use crate::domain::check::check;
use crate::domain::merge::Side;
use crate::domain::names::RowRef;
use crate::domain::record::{Edit, FieldEdit, RecordView};
use crate::domain::sync_error::SyncError;
use crate::domain::transform::Transform;
use crate::engine::bulk::Chosen;
use crate::engine::handle::{Handle, Refused};
use crate::engine::mend::Linked;
use crate::postgres::link::Owner;

use super::args::{ChooseOptions, Cli, FixOptions};
use super::many::{self, PATIENCE, refuse_read_only, tell};
use super::{door, print};

/// Changes fields of an error's row, or one field of many.
pub(super) async fn fix(cli: &Cli, options: &FixOptions) -> Result<u8> {
    let (chosen, rest) = match &options.filter {
        Some(filter) => (many::matching(filter)?, options.what.as_slice()),
        None => {
            let id = number(&options.what)?;
            (Chosen::Ids(vec![id]), &options.what[1..])
        }
    };
    let one_field = options.filter.is_some() || options.apply.is_some() || options.how.dry_run;
    if one_field && options.remedy.is_none() {
        let (field, how) = change(options, rest)?;
        let deed = Deed::Fix { field, how, retry: options.retry };
        return many::act(cli, &chosen, deed, &options.how).await;
    }
    refuse_read_only(cli)?;
    if rest.is_empty() == options.remedy.is_none() {
        return Err(print::Usage("say either FIELD=VALUE or --remedy N".to_owned()).into());
    }
    let pairs = rest
        .iter()
        .map(|pair| pair.split_once('=').ok_or_else(|| print::Usage(format!("{pair:?} is no FIELD=VALUE"))))
        .collect::<Result<Vec<_>, _>>()?;
    let id = number(&options.what)?;
    let handle = door(cli).await?;
    let came = fix_one(&handle, id, options, &pairs).await;
    tell(cli, &many::one(id, came))
}

fn number(what: &[String]) -> Result<i64, print::Usage> {
    let first = what.first().map_or("", String::as_str);
    first
        .parse()
        .map_err(|_| print::Usage(format!("{first:?} is no error's number\nsay a number, or --where FILTER")))
}

/// The one field that a bulk fix is about, and what becomes of it.
fn change(options: &FixOptions, rest: &[String]) -> Result<(String, How), print::Usage> {
    match (&options.apply, rest) {
        (Some(transforms), [field]) if !field.contains('=') => {
            let transforms = Transform::parse_all(transforms).map_err(print::Usage)?;
            Ok((field.clone(), How::Apply(transforms)))
        }
        (Some(_), _) => {
            Err(print::Usage("--apply goes with the name of one field: --apply trim Phone".to_owned()))
        }
        (None, [pair]) if pair.contains('=') => How::parse(pair).map_err(print::Usage),
        (None, _) => Err(print::Usage(
            "a fix of many changes one field: FIELD=VALUE, or --apply TRANSFORMS FIELD".to_owned(),
        )),
    }
}

async fn fix_one(
    handle: &Handle,
    id: i64,
    options: &FixOptions,
    pairs: &[(&str, &str)],
) -> Result<String, Refused> {
    let error = handle.error(id).await?;
    let row = row_of(&error)?;
    let record = handle.record(&row).await?;
    if let Some(number) = options.remedy {
        let done = apply(handle, &record, number).await?;
        return if options.how.wait {
            Ok(format!("{done}: {}", wait(handle, &error).await?))
        } else {
            Ok(done)
        };
    }
    let fields =
        pairs.iter().map(|(name, value)| field_edit(&record, name, value)).collect::<Result<Vec<_>, _>>()?;
    let why = options.how.why.as_deref();
    handle.save_for(&Edit { row, fields, retry: options.retry }, why).await?;
    match (options.retry, options.how.wait) {
        (true, true) => wait(handle, &error).await,
        (true, false) => Ok("saved; it is sent".to_owned()),
        // A changed row is sent as any change of an application is; --retry only makes it at once.
        (false, _) => Ok("saved".to_owned()),
    }
}

fn row_of(error: &SyncError) -> Result<RowRef, Refused> {
    error.row().ok_or_else(|| Refused("this error is not of one row\nthere is nothing to change".to_owned()))
}

/// Does what a remedy says, by its number.
async fn apply(handle: &Handle, record: &RecordView, number: usize) -> Result<String, Refused> {
    let offers = &record.advice.remedies;
    let Some(offer) = offers.iter().find(|offer| offer.number == Some(number)) else {
        let count = offers.iter().filter(|offer| offer.number.is_some()).count();
        return Err(Refused(format!(
            "there is no remedy {number} that can be done by itself (there are {count})\nsee them with: syncdeck show"
        )));
    };
    handle.apply(&record.row, offer).await
}

/// Chooses a side of fields that changed on both: of one error field by field, of many whole.
pub(super) async fn choose(cli: &Cli, options: &ChooseOptions) -> Result<u8> {
    if let Some(filter) = &options.filter {
        let side = match options.what.as_slice() {
            [side] => Side::from_word(side.trim_start_matches("*=")),
            _ => None,
        };
        let usage = "say which side wins: postgres or salesforce".to_owned();
        let side = side.ok_or(print::Usage(usage))?;
        return many::act(cli, &many::matching(filter)?, Deed::Choose(side), &options.how).await;
    }
    refuse_read_only(cli)?;
    let id = number(&options.what)?;
    let mut pairs = Vec::new();
    for pair in &options.what[1..] {
        let side = pair.split_once('=').and_then(|(field, side)| Some((field, Side::from_word(side)?)));
        pairs.push(side.ok_or_else(|| {
            print::Usage(format!("{pair:?} is neither FIELD=postgres nor FIELD=salesforce"))
        })?);
    }
    if pairs.is_empty() {
        return Err(print::Usage(
            "say which side wins: FIELD=postgres, FIELD=salesforce, or * for all".to_owned(),
        )
        .into());
    }
    let handle = door(cli).await?;
    let came = choose_sides(&handle, id, &pairs).await;
    tell(cli, &many::one(id, came))
}

async fn choose_sides(handle: &Handle, id: i64, pairs: &[(&str, Side)]) -> Result<String, Refused> {
    let row = row_of(&handle.error(id).await?)?;
    let record = handle.record(&row).await?;
    let open = || record.conflicts.iter().filter(|conflict| conflict.winner.is_none());
    let mut chosen = Vec::new();
    for (name, side) in pairs {
        let found =
            record.values.iter().map(|(field, _)| field).find(|field| {
                field.name.eq_ignore_ascii_case(name) || field.column.eq_ignore_ascii_case(name)
            });
        match found {
            Some(field) => chosen.push((field.column.clone(), *side)),
            None if *name == "*" => chosen.extend(open().map(|conflict| (conflict.column.clone(), *side))),
            None => return Err(Refused(format!("{} has no mapped field {name}", record.mapping))),
        }
    }
    if chosen.is_empty() {
        return Err(Refused(format!("the row {} of {} has no open conflict", row.row, row.table)));
    }
    handle.choose(&row, &chosen).await?;
    Ok(chosen
        .iter()
        .map(|(column, side)| format!("{column}: {}", side.word()))
        .collect::<Vec<_>>()
        .join(", "))
}

/// Takes a record as an error's row's own.
pub(super) async fn link(cli: &Cli, id: i64, sfid: Option<&str>, replace: bool) -> Result<u8> {
    refuse_read_only(cli)?;
    let handle = door(cli).await?;
    let owner = if replace { Owner::IsReplaced } else { Owner::Keeps };
    let linked = async {
        let row = row_of(&handle.error(id).await?)?;
        match handle.link(&row, sfid, owner).await? {
            Linked::Done { sfid } => Ok(format!("the row {} has the record {sfid} now; it is sent", row.row)),
            Linked::Taken { sfid, row: other } => Err(Refused(format!(
                "the record {sfid} belongs to the row {other} already\nif both rows are the same thing, say --replace: \
                 the row {other} is removed here, and its record goes over"
            ))),
        }
    };
    let came = linked.await;
    tell(cli, &many::one(id, came))
}

fn field_edit(record: &RecordView, name: &str, value: &str) -> Result<FieldEdit, Refused> {
    let found = record
        .values
        .iter()
        .find(|(field, _)| field.name.eq_ignore_ascii_case(name) || field.column.eq_ignore_ascii_case(name));
    let Some((field, shown)) = found else {
        let known: Vec<&str> = record.values.iter().map(|(field, _)| field.name.as_str()).collect();
        return Err(Refused(format!(
            "{} has no mapped field {name}\nits fields: {}",
            record.mapping,
            known.join(", ")
        )));
    };
    let new = if value.is_empty() { None } else { Some(value.to_owned()) };
    check(field, new.as_deref()).map_err(|why| Refused(format!("{}: {why}", field.name)))?;
    Ok(FieldEdit { column: field.column.clone(), shown: shown.clone(), new })
}

/// Waits until Salesforce took the row, or refused it again.
async fn wait(handle: &Handle, before: &SyncError) -> Result<String, Refused> {
    handle.answer(before, PATIENCE).await
}
