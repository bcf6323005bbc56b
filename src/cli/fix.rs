//! What changes one error's row: fix, resolve, link. Many at once go by `many`.

use color_eyre::eyre::Result;

use crate::client::api::{Client, ClientError};
use crate::client::operations::execute::Targets;
use crate::client::row::Linked;
use crate::domain::changes::merge::Side;
use crate::domain::errors::remedy::{RemedyAction, SuggestedFix, picked};
use crate::domain::errors::sync_error::SyncError;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowRef;
use crate::domain::operations::operation::Owner;
use crate::domain::operations::operation::{FieldChange, OperationKind, Preview, RowStatus, Sample};
use crate::domain::records::record::{Conflict, Edit, FieldEdit, RecordView};
use crate::domain::values::check::check;
use crate::domain::values::picklist::choices;
use crate::domain::values::transform::Transform;

use super::args::{Cli, FixOptions, ResolveOptions};
use super::bulk::{self, PATIENCE, refuse_read_only, tell};
use super::{FAILED, client, print};

/// Changes fields of an error's row, or one field of many.
pub(super) async fn fix(cli: &Cli, options: &FixOptions) -> Result<u8> {
    let (chosen, rest) = match &options.filter {
        Some(filter) => (bulk::matching(filter)?, options.what.as_slice()),
        None => {
            let id = number(&options.what)?;
            (Targets::Ids(vec![id]), &options.what[1..])
        }
    };
    if options.filter.is_some() || options.apply.is_some() {
        let (field, how) = change(options, rest)?;
        let kind = OperationKind::Fix { field, how, retry: options.retry };
        return bulk::operation(cli, &chosen, kind, &options.how).await;
    }
    if !options.how.dry_run {
        refuse_read_only(cli)?;
    }
    if rest.is_empty() == options.remedy.is_none() {
        return Err(print::Usage("say either FIELD=VALUE or --remedy N".to_owned()).into());
    }
    let pairs = rest
        .iter()
        .map(|pair| pair.split_once('=').ok_or_else(|| print::Usage(format!("{pair:?} is no FIELD=VALUE"))))
        .collect::<Result<Vec<_>, _>>()?;
    let id = number(&options.what)?;
    let client = client(cli).await?.because(options.how.why.as_deref());
    let planned = match options.remedy {
        Some(number) => Fix::remedy(&client, id, number).await,
        None => Fix::fields(&client, id, &pairs).await,
    };
    let fix = match planned {
        Ok(fix) => fix,
        Err(refused) => return tell(cli, &bulk::one(id, Err(refused))),
    };
    if options.how.dry_run {
        return bulk::show(cli, &fix.text, &fix.preview());
    }
    if !options.how.yes && !fix.is_agreed()? {
        print::problem("nothing was changed");
        return Ok(FAILED);
    }
    let status = fix.execute(&client, options).await;
    tell(cli, &bulk::one(id, status))
}

fn number(what: &[String]) -> Result<i64, print::Usage> {
    let first = what.first().map_or("", String::as_str);
    first
        .parse()
        .map_err(|_| print::Usage(format!("{first:?} is no error's number\nsay a number, or --where FILTER")))
}

/// The one field that a bulk fix is about, and what becomes of it.
fn change(options: &FixOptions, rest: &[String]) -> Result<(String, FieldChange), print::Usage> {
    match (&options.apply, rest) {
        (Some(transforms), [field]) if !field.contains('=') => {
            let transforms = Transform::parse_all(transforms).map_err(print::Usage)?;
            Ok((field.clone(), FieldChange::Apply(transforms)))
        }
        (Some(_), _) => {
            Err(print::Usage("--apply goes with the name of one field: --apply trim Phone".to_owned()))
        }
        (None, [pair]) if pair.contains('=') => FieldChange::parse(pair).map_err(print::Usage),
        (None, _) => Err(print::Usage(
            "a fix of many changes one field: FIELD=VALUE, or --apply TRANSFORMS FIELD".to_owned(),
        )),
    }
}

/// What is to be done with one error's row.
struct Fix {
    error: SyncError,
    row: RowRef,
    /// What it is, for a person.
    text: String,
    /// The fields that get another value.
    edits: Vec<FieldEdit>,
    /// The remedy that is done, where it is one.
    remedy: Option<SuggestedFix>,
    /// What a person must say yes to before.
    asks: Option<String>,
}

impl Fix {
    /// What a remedy says, by its number.
    async fn remedy(client: &Client, id: i64, number: usize) -> Result<Fix, ClientError> {
        let error = client.error(id).await?;
        let row = row_of(&error)?;
        let record = client.record(&row).await?;
        if record.is_being_sent() {
            let text = "it is being sent: what helps is known when Salesforce has answered\nsee it then with: syncdeck show";
            return Err(ClientError::refused(format!("{text} {id}")));
        }
        // A row has one error at a time, and it need not be this one any more.
        let of_it = |offer: &&SuggestedFix| offer.against.is_none_or(|against| against.error == id);
        let offers: Vec<&SuggestedFix> = record.advice.remedies.iter().filter(of_it).collect();
        let Some(offer) = offers.iter().find(|offer| offer.number == Some(number)) else {
            let count = offers.iter().filter(|offer| offer.number.is_some()).count();
            return Err(ClientError::refused(format!(
                "there is no remedy {number} that can be done by itself (there are {count})\nsee them with: syncdeck show {id}"
            )));
        };
        if let (Some(RemedyAction::Pick), Some((field, value))) = (&offer.action, picked(&record)) {
            let values: Vec<String> =
                choices(field, value.as_deref()).into_iter().map(|(_, makes)| makes).collect();
            return Err(ClientError::refused(format!(
                "a person chooses the value of {name}; one of: {}\nset it with: syncdeck fix {id} '{name}=VALUE'",
                values.join(", "),
                name = field.name
            )));
        }
        if offer.action == Some(RemedyAction::Compare) {
            return Err(ClientError::refused(format!(
                "a person compares both in the console (c there)\nor take the record as it is, with: syncdeck link {id}"
            )));
        }
        let (text, edits) = (offer.text.clone(), offer.changes.clone());
        let asks = offer.question(&record);
        Ok(Fix { error, row, text, edits, remedy: Some((*offer).clone()), asks })
    }

    /// Fields and their new values; those that hold them already are left alone.
    async fn fields(client: &Client, id: i64, pairs: &[(&str, &str)]) -> Result<Fix, ClientError> {
        let error = client.error(id).await?;
        let row = row_of(&error)?;
        let record = client.record(&row).await?;
        let mapping = client.mapping(&row.table).await?;
        let edits = pairs
            .iter()
            .map(|(name, value)| field_edit(&mapping, &record, name, value))
            .collect::<Result<Vec<_>, _>>()?;
        let edits = edits.into_iter().filter(|edit| edit.shown != edit.new).collect();
        let fields: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Ok(Fix { error, row, text: format!("fix {}", fields.join(" ")), edits, remedy: None, asks: None })
    }

    /// Whether a person says yes, where it empties a value or concerns a whole mapping.
    fn is_agreed(&self) -> Result<bool> {
        self.asks.as_deref().map_or(Ok(true), bulk::agreed)
    }

    fn preview(&self) -> Preview {
        let sample = |edit: &FieldEdit| Sample {
            id: self.error.id,
            row: self.row.clone(),
            field: edit.column.clone(),
            before: edit.shown.clone(),
            after: edit.new.clone(),
            refused: None,
        };
        let touched = usize::from(self.remedy.is_some() || !self.edits.is_empty());
        Preview {
            selected: 1,
            touched,
            sample: self.edits.iter().map(sample).collect(),
            ..Preview::default()
        }
    }

    async fn execute(
        self,
        client: &Client,
        options: &FixOptions,
    ) -> Result<(RowStatus, String), ClientError> {
        let wait = options.how.wait;
        let done = match &self.remedy {
            Some(offer) => client.apply(&self.row, offer).await?,
            None if self.edits.is_empty() && !options.retry => {
                return Ok((RowStatus::Skipped, "its value stays as it is".to_owned()));
            }
            // It holds that value already: what is left to do is to send it.
            None if self.edits.is_empty() => {
                client.retry(&self.row).await?;
                "its value stays as it is".to_owned()
            }
            None => {
                let edit = Edit { row: self.row.clone(), fields: self.edits, retry: options.retry };
                client.save(&edit).await?;
                "saved".to_owned()
            }
        };
        let status = settled(client, &self.error, wait, &done).await?;
        Ok((
            RowStatus::Done,
            match (status, self.remedy) {
                (Settled::Answered(answer), None) => answer,
                (Settled::Goes, Some(_)) => done,
                // A changed row is sent as any change of an application is; --retry only makes it at once.
                (Settled::Goes, None) if !options.retry => done,
                (status, _) => status.told(&done),
            },
        ))
    }
}

/// How it stands with a row that was sent.
enum Settled {
    /// Salesforce took it, or there was nothing to send.
    Answered(String),
    /// It is kept until something is done about it.
    Kept(String),
    /// It is on its way.
    Goes,
}

impl Settled {
    /// With what was done before.
    fn told(&self, done: &str) -> String {
        match self {
            Settled::Answered(answer) => format!("{done}: {answer}"),
            Settled::Kept(why) => format!("{done}; {why}"),
            Settled::Goes => format!("{done}; it is sent"),
        }
    }
}

/// What became of a row that was sent: Salesforce's answer, where that is waited for; else what holds it up.
///
/// # Errors
/// What was done, with why there is no answer or none that one wants.
async fn settled(
    client: &Client,
    before: &SyncError,
    wait: bool,
    done: &str,
) -> Result<Settled, ClientError> {
    if wait {
        let answer = client.answer(before, PATIENCE).await;
        return answer.map(Settled::Answered).map_err(|why| why.within(&format!("{done}; ")));
    }
    Ok(client.holds_up(&before.table).await?.map_or(Settled::Goes, Settled::Kept))
}

fn row_of(error: &SyncError) -> Result<RowRef, ClientError> {
    error
        .row()
        .ok_or_else(|| ClientError::invalid("this error is not of one row\nthere is nothing to change"))
}

/// Chooses a side of fields that changed on both: of one error field by field, of many whole.
pub(super) async fn resolve(cli: &Cli, options: &ResolveOptions) -> Result<u8> {
    if let Some(filter) = &options.filter {
        let side = match options.what.as_slice() {
            [side] => Side::from_word(side.trim_start_matches("*=")),
            _ => None,
        };
        let usage = "say which side wins: postgres or salesforce".to_owned();
        let side = side.ok_or(print::Usage(usage))?;
        return bulk::operation(cli, &bulk::matching(filter)?, OperationKind::Choose(side), &options.how)
            .await;
    }
    if !options.how.dry_run {
        refuse_read_only(cli)?;
    }
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
    let client = client(cli).await?.because(options.how.why.as_deref());
    let choice = match Choice::of(&client, id, &pairs).await {
        Ok(choice) => choice,
        Err(refused) => return tell(cli, &bulk::one(id, Err(refused))),
    };
    if options.how.dry_run {
        return bulk::show(cli, "choose", &choice.preview());
    }
    let status = choice.execute(&client, options.how.wait).await;
    tell(cli, &bulk::one(id, status))
}

/// Sides of one row's fields.
struct Choice {
    error: SyncError,
    row: RowRef,
    /// By column, each with the conflict that it decides.
    sides: Vec<(Conflict, Side)>,
}

impl Choice {
    async fn of(client: &Client, id: i64, pairs: &[(&str, Side)]) -> Result<Choice, ClientError> {
        let error = client.error(id).await?;
        let row = row_of(&error)?;
        let mapping = client.rules(&row.table).await?.0;
        let conflicts = client.record(&row).await?.conflicts;
        let open = || conflicts.iter().filter(|conflict| conflict.winner.is_none());
        let mut sides = Vec::new();
        for (name, side) in pairs {
            if *name == "*" {
                sides.extend(open().map(|conflict| (conflict.clone(), *side)));
                continue;
            }
            let column = &mapping.field_named(name).map_err(ClientError::refused)?.column;
            let conflict = open().find(|conflict| conflict.column == *column).ok_or_else(|| {
                ClientError::not_found(format!(
                    "{column} of the row {} of {} has no open conflict",
                    row.row, row.table
                ))
            })?;
            sides.push((conflict.clone(), *side));
        }
        if sides.is_empty() {
            return Err(ClientError::not_found(format!(
                "the row {} of {} has no open conflict",
                row.row, row.table
            )));
        }
        Ok(Choice { error, row, sides })
    }

    fn preview(&self) -> Preview {
        let sample = |(conflict, side): &(Conflict, Side)| Sample {
            id: self.error.id,
            row: self.row.clone(),
            field: conflict.column.clone(),
            before: conflict.postgres.clone(),
            after: if *side == Side::Postgres {
                conflict.postgres.clone()
            } else {
                conflict.salesforce.clone()
            },
            refused: None,
        };
        Preview {
            selected: 1,
            touched: 1,
            sample: self.sides.iter().map(sample).collect(),
            ..Preview::default()
        }
    }

    async fn execute(self, client: &Client, wait: bool) -> Result<(RowStatus, String), ClientError> {
        let sides: Vec<(String, Side)> =
            self.sides.iter().map(|(conflict, side)| (conflict.column.clone(), *side)).collect();
        client.choose(&self.row, &sides).await?;
        let chosen: Vec<String> =
            sides.iter().map(|(column, side)| format!("{column}: {}", side.word())).collect();
        let chosen = chosen.join(", ");
        let status = settled(client, &self.error, wait, &chosen).await?;
        Ok((RowStatus::Done, status.told(&chosen)))
    }
}

/// How a record is linked.
pub(super) struct Linking<'a> {
    /// Whether the row that has the record is removed.
    pub(super) replace: bool,
    /// Whether Salesforce's answer is waited for.
    pub(super) wait: bool,
    /// Why, for the audit.
    pub(super) why: Option<&'a str>,
}

/// Takes a record as an error's row's own.
pub(super) async fn link(cli: &Cli, id: i64, sfid: Option<&str>, how: &Linking<'_>) -> Result<u8> {
    refuse_read_only(cli)?;
    let client = client(cli).await?.because(how.why);
    let owner = if how.replace { Owner::IsReplaced } else { Owner::Keeps };
    let linked = async {
        let error = client.error(id).await?;
        let row = row_of(&error)?;
        match client.link(&row, sfid, owner).await? {
            Linked::Done { sfid } => {
                let linked = format!("the row {} has the record {sfid} now", row.row);
                let status = settled(&client, &error, how.wait, &linked).await?;
                Ok((RowStatus::Done, status.told(&linked)))
            }
            Linked::Taken { sfid, row: other } => Err(ClientError::refused(format!(
                "the record {sfid} belongs to the row {other} already\nif both rows are the same thing, say --replace: \
                 the row {other} is removed here, and its record goes over"
            ))),
        }
    };
    let status = linked.await;
    tell(cli, &bulk::one(id, status))
}

fn field_edit(
    mapping: &Mapping,
    record: &RecordView,
    name: &str,
    value: &str,
) -> Result<FieldEdit, ClientError> {
    let field = mapping.field_named(name).map_err(ClientError::refused)?;
    let shown = record.values.iter().find(|(shown, _)| shown.column == field.column);
    let shown = shown.and_then(|(_, value)| value.clone());
    let new = if value.is_empty() { None } else { Some(value.to_owned()) };
    check(field, new.as_deref()).map_err(|why| ClientError::refused(format!("{}: {why}", field.name)))?;
    Ok(FieldEdit { column: field.column.clone(), shown, new })
}
