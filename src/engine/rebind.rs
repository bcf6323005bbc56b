//! Another org behind the same tables: signs in, reads which records have which external ids there, and has PostgreSQL give
//! rows the records that are theirs now.

use chrono::{DateTime, Utc};

use crate::config::Config;
use crate::domain::mappings::field::Field;
use crate::domain::mappings::mapping::Mapping;
use crate::domain::operations::operation::Operation;
use crate::domain::reports::rebind::{OrgIdentity, RebindPlan};
use crate::domain::values::key;
use crate::postgres::schema::rebind::{OrgRecords, Rebinding};
use crate::postgres::{self, Store};
use crate::salesforce::query::FieldSelection;
use crate::salesforce::{self, Client, value};

use super::verify::records::{RecordPage, id_of, next_page};
use super::{StartError, prepare};

/// A rebind that can be shown, and made.
pub struct Rebind {
    store: Store,
    to: OrgIdentity,
    mappings: Vec<Mapping>,
    records: Vec<OrgRecords>,
    gives_up: bool,
    read_at: DateTime<Utc>,
    plan: RebindPlan,
}

impl Rebind {
    /// Signs in, reads the external ids of the org, and counts what a rebind would do. `told` is told of each mapping how
    /// many records were read.
    ///
    /// # Errors
    /// When one of both sides cannot be asked, the configuration does not fit the org, or the org is the one that is noted.
    pub async fn plan(
        config: &Config,
        store: Store,
        gives_up: bool,
        told: &(dyn Fn(&str, i64) + Send + Sync),
    ) -> Result<Rebind, StartError> {
        let from = store.noted_org().await?;
        let client = super::client(&config.salesforce)?;
        let failed =
            |source| StartError::Salesforce { source, login_url: config.salesforce.login_url.clone() };
        let to = client.organization().await.map_err(failed)?;
        refuse_same(&store, &from, &to)?;
        let known = store.definitions().await?;
        let (_, mut mappings) = prepare::mappings(config, &client, &known).await?;
        let gone: Vec<&str> =
            mappings.iter().filter(|mapping| mapping.gone).map(|mapping| mapping.object.as_str()).collect();
        if !gone.is_empty() {
            return Err(postgres::Error::Refused(format!(
                "the org {} has no {} that this login can see\ntake these mappings out of the configuration, or grant the login read access",
                to.id,
                gone.join(", ")
            ))
            .into());
        }
        refuse_unread_keys(&to, &mappings)?;
        for mapping in &mut mappings {
            // What is masked at run time is masked here.
            let column = mapping.external_id_column().unwrap_or_default();
            let known = known.iter().find(|known| known.object == mapping.object);
            if let Some(known) = known.filter(|known| known.rules.masked(&column)) {
                mapping.rules = known.rules.clone();
            }
        }
        let read_at = store.now().await?;
        let mut records = Vec::new();
        for mapping in &mappings {
            records.push(keyed(&client, mapping, told).await.map_err(failed)?);
        }
        let rebinding = Rebinding { to: &to, mappings: &mappings, records: &records, gives_up, read_at };
        let plan = store.rebind_plan(rebinding).await?;
        Ok(Rebind { store, to, mappings, records, gives_up, read_at, plan })
    }

    /// What it would do.
    pub fn preview(&self) -> &RebindPlan {
        &self.plan
    }

    /// Does it, in one transaction.
    ///
    /// # Errors
    /// Where it is refused by now. Nothing is changed then.
    pub async fn execute(&self, operation: &Operation) -> Result<RebindPlan, StartError> {
        let rebinding = Rebinding {
            to: &self.to,
            mappings: &self.mappings,
            records: &self.records,
            gives_up: self.gives_up,
            read_at: self.read_at,
        };
        Ok(self.store.rebind(rebinding, &self.plan, operation).await?)
    }
}

fn refuse_same(store: &Store, from: &OrgIdentity, to: &OrgIdentity) -> Result<(), StartError> {
    let text = match () {
        () if from.id.is_empty() => format!(
            "no org is noted in the schema {}\nstart the engine once, with: syncdeck run",
            store.schema_name
        ),
        () if from.id.get(..15) == to.id.get(..15) => {
            format!(
                "the login is to the org {}, which is the one that is noted: there is nothing to do",
                to.id
            )
        }
        () => return Ok(()),
    };
    Err(postgres::Error::Refused(text).into())
}

/// Without its keys, every row of a mapping would seem to be nobody's.
fn refuse_unread_keys(to: &OrgIdentity, mappings: &[Mapping]) -> Result<(), StartError> {
    let is_read = |mapping: &Mapping| mapping.external_id_field().is_some_and(Field::is_read);
    let unread: Vec<String> = mappings
        .iter()
        .filter(|mapping| mapping.external_id.is_some() && !is_read(mapping))
        .map(|mapping| format!("{}.{}", mapping.object, mapping.external_id.as_deref().unwrap_or_default()))
        .collect();
    if unread.is_empty() {
        return Ok(());
    }
    let text = format!(
        "the login to the org {} cannot read {}, by which rows find their records\n\
         grant the login read access to it, or have the field made there",
        to.id,
        unread.join(", ")
    );
    Err(postgres::Error::Refused(text).into())
}

/// The records of an object that have an external id, with it; and how many records there are.
async fn keyed(
    client: &Client,
    mapping: &Mapping,
    told: &(dyn Fn(&str, i64) + Send + Sync),
) -> Result<OrgRecords, salesforce::Error> {
    let mut records = OrgRecords { table: mapping.table.clone(), ..OrgRecords::default() };
    let Some(field) = mapping.external_id_field() else {
        records.all = client.query(&format!("SELECT COUNT() FROM {}", mapping.object)).await?.total;
        return Ok(records);
    };
    let slim = Mapping { fields: vec![field.clone()], parents: Vec::new(), ..mapping.clone() };
    let selection = FieldSelection::of(&slim);
    let (mut next, mut after, mut requests): (_, Option<String>, i64) = (None, None, 0);
    loop {
        let RecordPage { page, .. } =
            next_page(client, &selection, next, after.as_deref(), &mut requests).await?;
        for record in &page.records {
            let Some(id) = id_of(record) else { continue };
            let text = record.get(&field.name).and_then(|found| value::to_text(field, found));
            // What is nothing to Salesforce is no key.
            if let Some(text) = text.filter(|text| key::fold(field, text).is_some()) {
                records.keyed.push((id.to_owned(), text));
            }
        }
        records.all += page.records.len() as i64;
        told(&mapping.object, records.all);
        after = page.records.iter().filter_map(id_of).max().map(str::to_owned).or(after);
        match page.next {
            Some(more) => next = Some(more),
            None => return Ok(records),
        }
    }
}
