//! What changes one error's row: fix, choose, link. Many at once go by `many`.

use color_eyre::eyre::Result;

use crate::client::handle::{Handle, Refused};
use crate::client::operations::execute::Chosen;
use crate::client::row::Linked;
use crate::domain::act::{Came, Deed, How, Preview, Sample};
use crate::domain::check::check;
use crate::domain::mapping::Mapping;
use crate::domain::merge::Side;
use crate::domain::names::RowRef;
use crate::domain::record::{Conflict, Edit, FieldEdit, RecordView};
use crate::domain::remedy::Offer;
use crate::domain::sync_error::SyncError;
use crate::domain::transform::Transform;
use crate::postgres::link::Owner;

use super::args::{ChooseOptions, Cli, FixOptions};
use super::many::{self, PATIENCE, refuse_read_only, tell};
use super::{FAILED, door, print};

/// Changes fields of an error's row, or one field of many.
pub(super) async fn fix(cli: &Cli, options: &FixOptions) -> Result<u8> {
    let (chosen, rest) = match &options.filter {
        Some(filter) => (many::matching(filter)?, options.what.as_slice()),
        None => {
            let id = number(&options.what)?;
            (Chosen::Ids(vec![id]), &options.what[1..])
        }
    };
    if options.filter.is_some() || options.apply.is_some() {
        let (field, how) = change(options, rest)?;
        let deed = Deed::Fix { field, how, retry: options.retry };
        return many::act(cli, &chosen, deed, &options.how).await;
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
    let handle = door(cli).await?.because(options.how.why.as_deref());
    let planned = match options.remedy {
        Some(number) => Fix::remedy(&handle, id, number).await,
        None => Fix::fields(&handle, id, &pairs).await,
    };
    let fix = match planned {
        Ok(fix) => fix,
        Err(refused) => return tell(cli, &many::one(id, Err(refused))),
    };
    if options.how.dry_run {
        return many::show(cli, &fix.text, &fix.preview());
    }
    if !options.how.yes && !fix.is_agreed()? {
        print::problem("nothing was changed");
        return Ok(FAILED);
    }
    let came = fix.carry_out(&handle, options).await;
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

/// What is to be done with one error's row.
struct Fix {
    error: SyncError,
    row: RowRef,
    /// What it is, for a person.
    text: String,
    /// The fields that get another value.
    edits: Vec<FieldEdit>,
    /// The remedy that is done, where it is one.
    remedy: Option<Offer>,
    /// What a person must say yes to before.
    asks: Option<String>,
}

impl Fix {
    /// What a remedy says, by its number.
    async fn remedy(handle: &Handle, id: i64, number: usize) -> Result<Fix, Refused> {
        let error = handle.error(id).await?;
        let row = row_of(&error)?;
        let record = handle.record(&row).await?;
        if record.is_being_sent() {
            let text = "it is being sent: what helps is known when Salesforce has answered\nsee it then with: syncdeck show";
            return Err(Refused(format!("{text} {id}")));
        }
        // A row has one error at a time, and it need not be this one any more.
        let of_it = |offer: &&Offer| offer.against.is_none_or(|against| against.error == id);
        let offers: Vec<&Offer> = record.advice.remedies.iter().filter(of_it).collect();
        let Some(offer) = offers.iter().find(|offer| offer.number == Some(number)) else {
            let count = offers.iter().filter(|offer| offer.number.is_some()).count();
            return Err(Refused(format!(
                "there is no remedy {number} that can be done by itself (there are {count})\nsee them with: syncdeck show {id}"
            )));
        };
        let (text, edits) = (offer.text.clone(), offer.changes.clone());
        let asks = offer.question(&record);
        Ok(Fix { error, row, text, edits, remedy: Some((*offer).clone()), asks })
    }

    /// Fields and their new values; those that hold them already are left alone.
    async fn fields(handle: &Handle, id: i64, pairs: &[(&str, &str)]) -> Result<Fix, Refused> {
        let error = handle.error(id).await?;
        let row = row_of(&error)?;
        let record = handle.record(&row).await?;
        let mapping = handle.rules(&row.table).await?.0;
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
        self.asks.as_deref().map_or(Ok(true), many::agreed)
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

    async fn carry_out(self, handle: &Handle, options: &FixOptions) -> Result<(Came, String), Refused> {
        let wait = options.how.wait;
        let done = match &self.remedy {
            Some(offer) => handle.apply(&self.row, offer).await?,
            None if self.edits.is_empty() && !options.retry => {
                return Ok((Came::Skipped, "its value stays as it is".to_owned()));
            }
            // It holds that value already: what is left to do is to send it.
            None if self.edits.is_empty() => {
                handle.retry(&self.row).await?;
                "its value stays as it is".to_owned()
            }
            None => {
                let edit = Edit { row: self.row.clone(), fields: self.edits, retry: options.retry };
                handle.save(&edit).await?;
                "saved".to_owned()
            }
        };
        let came = settled(handle, &self.error, wait, &done).await?;
        Ok((
            Came::Done,
            match (came, self.remedy) {
                (Settled::Answered(answer), None) => answer,
                (Settled::Goes, Some(_)) => done,
                // A changed row is sent as any change of an application is; --retry only makes it at once.
                (Settled::Goes, None) if !options.retry => done,
                (came, _) => came.told(&done),
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
async fn settled(handle: &Handle, before: &SyncError, wait: bool, done: &str) -> Result<Settled, Refused> {
    if wait {
        let answer = handle.answer(before, PATIENCE).await;
        return answer.map(Settled::Answered).map_err(|why| Refused(format!("{done}; {}", why.0)));
    }
    Ok(handle.holds_up(&before.table).await?.map_or(Settled::Goes, Settled::Kept))
}

fn row_of(error: &SyncError) -> Result<RowRef, Refused> {
    error.row().ok_or_else(|| Refused("this error is not of one row\nthere is nothing to change".to_owned()))
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
    let handle = door(cli).await?.because(options.how.why.as_deref());
    let choice = match Choice::of(&handle, id, &pairs).await {
        Ok(choice) => choice,
        Err(refused) => return tell(cli, &many::one(id, Err(refused))),
    };
    if options.how.dry_run {
        return many::show(cli, "choose", &choice.preview());
    }
    let came = choice.carry_out(&handle, options.how.wait).await;
    tell(cli, &many::one(id, came))
}

/// Sides of one row's fields.
struct Choice {
    error: SyncError,
    row: RowRef,
    /// By column, each with the conflict that it decides.
    sides: Vec<(Conflict, Side)>,
}

impl Choice {
    async fn of(handle: &Handle, id: i64, pairs: &[(&str, Side)]) -> Result<Choice, Refused> {
        let error = handle.error(id).await?;
        let row = row_of(&error)?;
        let mapping = handle.rules(&row.table).await?.0;
        let conflicts = handle.record(&row).await?.conflicts;
        let open = || conflicts.iter().filter(|conflict| conflict.winner.is_none());
        let mut sides = Vec::new();
        for (name, side) in pairs {
            if *name == "*" {
                sides.extend(open().map(|conflict| (conflict.clone(), *side)));
                continue;
            }
            let column = &mapping.field_named(name).map_err(Refused)?.column;
            let conflict = open().find(|conflict| conflict.column == *column).ok_or_else(|| {
                Refused(format!("{column} of the row {} of {} has no open conflict", row.row, row.table))
            })?;
            sides.push((conflict.clone(), *side));
        }
        if sides.is_empty() {
            return Err(Refused(format!("the row {} of {} has no open conflict", row.row, row.table)));
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

    async fn carry_out(self, handle: &Handle, wait: bool) -> Result<(Came, String), Refused> {
        let sides: Vec<(String, Side)> =
            self.sides.iter().map(|(conflict, side)| (conflict.column.clone(), *side)).collect();
        handle.choose(&self.row, &sides).await?;
        let chosen: Vec<String> =
            sides.iter().map(|(column, side)| format!("{column}: {}", side.word())).collect();
        let chosen = chosen.join(", ");
        let came = settled(handle, &self.error, wait, &chosen).await?;
        Ok((Came::Done, came.told(&chosen)))
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
    let handle = door(cli).await?.because(how.why);
    let owner = if how.replace { Owner::IsReplaced } else { Owner::Keeps };
    let linked = async {
        let error = handle.error(id).await?;
        let row = row_of(&error)?;
        match handle.link(&row, sfid, owner).await? {
            Linked::Done { sfid } => {
                let linked = format!("the row {} has the record {sfid} now", row.row);
                let came = settled(&handle, &error, how.wait, &linked).await?;
                Ok((Came::Done, came.told(&linked)))
            }
            Linked::Taken { sfid, row: other } => Err(Refused(format!(
                "the record {sfid} belongs to the row {other} already\nif both rows are the same thing, say --replace: \
                 the row {other} is removed here, and its record goes over"
            ))),
        }
    };
    let came = linked.await;
    tell(cli, &many::one(id, came))
}

fn field_edit(mapping: &Mapping, record: &RecordView, name: &str, value: &str) -> Result<FieldEdit, Refused> {
    let field = mapping.field_named(name).map_err(Refused)?;
    let shown = record.values.iter().find(|(shown, _)| shown.column == field.column);
    let shown = shown.and_then(|(_, value)| value.clone());
    let new = if value.is_empty() { None } else { Some(value.to_owned()) };
    check(field, new.as_deref()).map_err(|why| Refused(format!("{}: {why}", field.name)))?;
    Ok(FieldEdit { column: field.column.clone(), shown, new })
}
