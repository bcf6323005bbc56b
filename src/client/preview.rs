//! What will be sent for a row, before it is: the same plan that the writer makes, with nothing claimed.

use crate::domain::changes::dispatch::{self, Claimed, KEPT_OUT, Planned};
use crate::domain::changes::outgoing::{LeftOut, outgoing};
use crate::domain::mappings::field::Op;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::names::RowRef;
use crate::domain::records::record::Sending;
use crate::domain::values::hstore::Hstore;
use crate::postgres::{Error, Store};

/// What will be sent for a row. One that has nothing unsent shows what a change of all its fields would send.
pub(in crate::client) async fn sending(
    store: &Store,
    mapping: &Mapping,
    at: &RowRef,
    row: &Hstore,
) -> Result<Sending, Error> {
    let content = store.contents(mapping, &[at.row], &[]).await?.remove(&at.row).unwrap_or_default();
    if content.stays_out {
        let condition = mapping.rules.filter.as_ref().map_or("", |condition| condition.text());
        let why = Some(format!("{KEPT_OUT}: {condition}"));
        return Ok(Sending { what: "nothing".to_owned(), why, ..Sending::default() });
    }
    if content.entries.is_empty() {
        return Ok(match outgoing(mapping, Op::Update, row) {
            Ok(out) => Sending {
                what: "nothing".to_owned(),
                why: Some("nothing is unsent; this is how its values would go".to_owned()),
                values: named(mapping, &out.values),
                left_out: left(out.left_out),
            },
            Err(refusal) => refused(&refusal.message),
        });
    }
    let unit = Claimed { table: at.table.clone(), row: at.row, ..Claimed::default() };
    Ok(match dispatch::plan(mapping, &unit, &content) {
        Planned::Send(job) => Sending {
            what: job.op.to_owned(),
            why: None,
            values: named(mapping, &job.patch),
            left_out: left(job.left_out),
        },
        Planned::Nothing { reason, .. } => {
            Sending { what: "nothing".to_owned(), why: Some(reason.to_owned()), ..Sending::default() }
        }
        Planned::Refused { refusal, .. } => refused(&refusal.message),
    })
}

fn refused(why: &str) -> Sending {
    Sending { what: "refused".to_owned(), why: Some(why.to_owned()), ..Sending::default() }
}

fn left(left_out: Vec<LeftOut>) -> Vec<(String, String)> {
    left_out.into_iter().map(|left| (left.field, left.why)).collect()
}

fn named(mapping: &Mapping, values: &Hstore) -> Vec<(String, Option<String>)> {
    let fields = mapping.fields.iter();
    fields.filter_map(|field| Some((field.name.clone(), values.get(&field.column)?.clone()))).collect()
}
