//! What is compared: the mappings of the configuration, or, beside Heroku Connect, those that its tables show, as far as org and
//! role let them be read. What cannot be compared is told with why.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::config::{Config, EngineMode, MappingConfig};
use crate::domain::attached::history::SYSTEM_COLUMNS;
use crate::domain::mappings::mapping::{Mapping, no_such_mapping};
use crate::domain::mappings::rules::Rules;
use crate::domain::names::column_of;
use crate::domain::records::shadow::follow::ShadowFollower;
use crate::domain::records::shadow::report::ShadowMappingReport;
use crate::engine::{StartError, prepare};
use crate::postgres::Store;
use crate::postgres::attached::catalog::AttachedTable;
use crate::postgres::attached::shadow::{ShadowSchema, ShadowTable};
use crate::salesforce::describe::Describe;
use crate::salesforce::{self, Client};

use super::{ShadowError, ShadowOptions};

/// Heroku Connect's polling interval, where nobody says another.
const POLLING: Duration = Duration::from_secs(600);

/// A mapping that is compared.
pub(super) struct ShadowedMapping {
    /// With the fields that both sides let be read.
    pub(super) mapping: Mapping,
    pub(super) catch_up: Duration,
    /// Whether rows say how Heroku Connect's last operation went.
    pub(super) says_state: bool,
    pub(super) follower: ShadowFollower,
    pub(super) report: ShadowMappingReport,
}

/// All that is compared.
pub(super) struct Shadowed {
    pub(super) org_id: String,
    pub(super) mappings: Vec<ShadowedMapping>,
    pub(super) uncompared: Vec<String>,
    /// Whether the change log may be read, and its archive.
    pub(super) has_log: bool,
    pub(super) has_archive: bool,
}

/// Mappings with what of each cannot be compared.
type Noted = Vec<(Mapping, Vec<String>)>;

/// Signs in and looks at both sides.
pub(super) async fn shadowed(
    config: &Config,
    store: &Store,
    client: &Client,
    options: &ShadowOptions,
) -> Result<Shadowed, ShadowError> {
    let is_attached = config.engine == EngineMode::HerokuConnect;
    let mut uncompared = Vec::new();
    let (org_id, mappings) = if is_attached {
        of_tables(config, store, client, options, &mut uncompared).await?
    } else {
        let config = chosen(config, options)?;
        refuse_ours(store, &config.mappings.iter().map(|of| of.table.as_str()).collect::<Vec<_>>()).await?;
        let (org_id, mappings) = prepare::mappings(&config, client, &[]).await?;
        (org_id, mappings.into_iter().map(|mapping| (mapping, Vec::new())).collect())
    };
    let tables: Vec<&str> = mappings.iter().map(|(mapping, _)| mapping.table.as_str()).collect();
    let schema = store.shadow_schema(&tables).await?;
    refuse_org(store, &schema, &org_id)?;
    if let Some(why) = &schema.log {
        uncompared.push(format!("changes that are not sent cannot be told from differences: {why}"));
    }
    if let Some(why) = schema.archive.as_ref().filter(|_| schema.log.is_none()) {
        uncompared
            .push(format!("changes that were refused and archived cannot be told from differences: {why}"));
    }
    if !is_attached && options.mapping.is_none() {
        let others = store.shadow_others(&tables).await?;
        uncompared.extend(others.iter().map(|name| {
            format!(
                "the table {name}: it has Heroku Connect's columns, and the configuration does not map it"
            )
        }));
    }
    let mut compared = Vec::new();
    for (mapping, noted) in mappings {
        match compared_part(&schema, mapping, noted, !is_attached) {
            Ok((mapping, report, says_state)) => {
                let of_rules = if is_attached { POLLING } else { mapping.rules.poll_interval };
                let catch_up = options.catch_up.unwrap_or(of_rules);
                let report = ShadowMappingReport { catch_up_seconds: catch_up.as_secs(), ..report };
                let follower = ShadowFollower::default();
                compared.push(ShadowedMapping { mapping, catch_up, says_state, follower, report });
            }
            Err(why) => uncompared.push(why),
        }
    }
    if compared.is_empty() {
        let why = if uncompared.is_empty() { "no table is mapped".to_owned() } else { uncompared.join("\n") };
        return Err(ShadowError::Refused(format!("nothing can be compared\n{why}")));
    }
    let (has_log, has_archive) = (schema.log.is_none(), schema.archive.is_none());
    Ok(Shadowed { org_id, mappings: compared, uncompared, has_log, has_archive })
}

/// The configuration with the mapping that was asked for alone.
fn chosen(config: &Config, options: &ShadowOptions) -> Result<Config, ShadowError> {
    let Some(name) = &options.mapping else { return Ok(config.clone()) };
    let is = |of: &&MappingConfig| of.object.eq_ignore_ascii_case(name) || of.table == *name;
    let mappings: Vec<MappingConfig> = config.mappings.iter().filter(is).cloned().collect();
    if mappings.is_empty() {
        let known: Vec<&str> = config.mappings.iter().map(|of| of.object.as_str()).collect();
        return Err(ShadowError::Unknown(no_such_mapping(name, &known)));
    }
    Ok(Config { mappings, ..config.clone() })
}

/// Before Salesforce is asked: tables that our own engine keeps have a comparison of their own.
async fn refuse_ours(store: &Store, tables: &[&str]) -> Result<(), ShadowError> {
    let schema = store.shadow_schema(tables).await?;
    if schema.tables.is_empty() || schema.tables.values().any(|table| !table.is_ours) {
        return Ok(());
    }
    Err(ShadowError::Refused(format!(
        "syncdeck's own engine keeps the tables in the schema {}, so there is nothing to shadow\ncompare both sides with: syncdeck verify",
        store.schema_name
    )))
}

fn refuse_org(store: &Store, schema: &ShadowSchema, org_id: &str) -> Result<(), ShadowError> {
    match &schema.org_id {
        Some(known) if known.get(..15) != org_id.get(..15) => Err(ShadowError::Refused(format!(
            "the schema {} belongs to the org {known}, but the login is to {org_id}\nuse the login of that org, or its schema \
             (postgres.schema)",
            store.schema_name
        ))),
        _ => Ok(()),
    }
}

/// What of a mapping can be compared; otherwise, why nothing can.
fn compared_part(
    schema: &ShadowSchema,
    mut mapping: Mapping,
    mut uncompared: Vec<String>,
    tells_unmapped: bool,
) -> Result<(Mapping, ShadowMappingReport, bool), String> {
    let (object, name) = (mapping.object.clone(), mapping.table.clone());
    let not = |why: &str| format!("{object}: the table {name} is not compared: {why}");
    let table = schema.tables.get(&name).ok_or_else(|| not("it is not there"))?;
    if let Some(why) = &table.unreadable {
        return Err(not(why));
    }
    if table.is_ours {
        return Err(not("syncdeck's own engine keeps it; compare it with: syncdeck verify"));
    }
    let unmapped = if tells_unmapped { unmapped(table, &mapping) } else { Vec::new() };
    mapping.fields.retain(|field| match table.columns.get(&field.column) {
        Some(true) => true,
        Some(false) => {
            uncompared.push(format!(
                "the field {}: the role {} may not read the column {}",
                field.name, schema.user, field.column
            ));
            false
        }
        None => {
            uncompared.push(format!("the field {}: the table has no column {}", field.name, field.column));
            false
        }
    });
    let columns = &mapping.fields;
    mapping.parents.retain(|parent| columns.iter().any(|field| field.column == parent.column));
    if !table.sorts_by_bytes {
        uncompared.push(
            "rows that name a record which is gone may be missed: the column sfid sorts otherwise than Salesforce's ids (its collation is not ucs_basic)"
                .to_owned(),
        );
    }
    let says_state = ["_hc_lastop", "_hc_err"].iter().all(|column| table.columns.get(*column) == Some(&true));
    let report = ShadowMappingReport {
        mapping: mapping.object.clone(),
        table: mapping.table.clone(),
        uncompared,
        unmapped,
        ..ShadowMappingReport::default()
    };
    Ok((mapping, report, says_state))
}

/// The columns that nothing is mapped to.
fn unmapped(table: &ShadowTable, mapping: &Mapping) -> Vec<String> {
    let is_known =
        |column: &&String| SYSTEM_COLUMNS.contains(&column.as_str()) || mapping.field(column).is_some();
    table.columns.keys().filter(|column| !is_known(column)).cloned().collect()
}

/// The mappings that Heroku Connect's tables show, with the org's id. Names are the org's own.
async fn of_tables(
    config: &Config,
    store: &Store,
    client: &Client,
    options: &ShadowOptions,
    uncompared: &mut Vec<String>,
) -> Result<(String, Noted), ShadowError> {
    let schema = store.attached_schema().await?;
    let mut tables: Vec<&AttachedTable> = schema.tables.iter().collect();
    if let Some(name) = &options.mapping {
        let known: Vec<&str> = tables.iter().map(|table| table.mapping.table.as_str()).collect();
        let table = schema.table(name).ok_or_else(|| ShadowError::Unknown(no_such_mapping(name, &known)))?;
        tables = vec![table];
    }
    let failed = |source: salesforce::Error| StartError::Salesforce {
        source,
        login_url: config.salesforce.login_url.clone(),
    };
    let org_id = client.org_id().await.map_err(failed)?;
    let names = client.object_names().await.map_err(failed)?;
    let mut describes = Describes { client, known: HashMap::new() };
    let mut mappings = Vec::new();
    for table in tables {
        let name = &table.mapping.table;
        if table.is_unmapped {
            uncompared.push(format!(
                "the table {name}: no trigger captures its changes, so Heroku Connect does not map it any more"
            ));
            continue;
        }
        let Some(object) = names.iter().find(|object| column_of(object) == *name) else {
            uncompared.push(format!("the table {name}: the org has no such object that this login can see"));
            continue;
        };
        let describe = describes.of(object).await.map_err(failed)?;
        mappings.push(of_table(config, &mut describes, table, &describe).await?);
    }
    Ok((org_id, mappings))
}

/// Objects as the org describes them, each asked for once.
struct Describes<'a> {
    client: &'a Client,
    known: HashMap<String, Describe>,
}

impl Describes<'_> {
    async fn of(&mut self, object: &str) -> Result<Describe, salesforce::Error> {
        if let Some(known) = self.known.get(object) {
            return Ok(known.clone());
        }
        let described = self.client.describe(object, None).await?;
        let (describe, _) = described.ok_or_else(|| self.client.unusable("the describe is empty"))?;
        self.known.insert(object.to_owned(), describe.clone());
        Ok(describe)
    }
}

/// The mapping of one table: its columns by the names that the org has for them.
async fn of_table(
    config: &Config,
    describes: &mut Describes<'_>,
    table: &AttachedTable,
    describe: &Describe,
) -> Result<(Mapping, Vec<String>), StartError> {
    let own: BTreeMap<String, &str> =
        describe.fields.iter().map(|field| (column_of(&field.name), field.name.as_str())).collect();
    let (mut fields, mut noted) = (Vec::new(), Vec::new());
    for column in table.mapping.fields.iter().map(|field| &field.column) {
        if let Some(name) = own.get(column) {
            fields.push((*name).to_owned());
            continue;
        }
        match by_parent(config, describes, describe, column).await? {
            Some(name) => fields.push(name),
            None => noted.push(format!(
                "the column {column}: Salesforce tells this login of no field that is called so"
            )),
        }
    }
    let written = MappingConfig {
        line: 1,
        object: describe.name.clone(),
        table: table.mapping.table.clone(),
        access: table.mapping.access,
        fields,
        external_id: None,
        indexes: Vec::new(),
        rules: Rules::default(),
    };
    Ok((prepare::mapping(config, &written, describe, None)?, noted))
}

/// The field of a parent that a column names, `Invoice__r.External_Id__c` for `invoice__r__external_id__c`.
async fn by_parent(
    config: &Config,
    describes: &mut Describes<'_>,
    describe: &Describe,
    column: &str,
) -> Result<Option<String>, StartError> {
    for lookup in &describe.fields {
        let (Some(relationship), [object]) = (&lookup.relationship_name, lookup.reference_to.as_slice())
        else {
            continue;
        };
        if !column.starts_with(&format!("{}__", relationship.to_lowercase())) {
            continue;
        }
        let parent = describes.of(object).await.map_err(|source| StartError::Salesforce {
            source,
            login_url: config.salesforce.login_url.clone(),
        })?;
        let named = parent.fields.iter().map(|field| format!("{relationship}.{}", field.name));
        if let Some(name) = named.into_iter().find(|name| column_of(name) == column) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
