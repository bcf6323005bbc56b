//! What the start of an engine would do, and what it would take: looked up by the code that an engine starts with, without
//! changing anything.

use crate::config::Config;
use crate::domain::changes::write_job::from_how_many;
use crate::domain::mappings::mapping::{Access, Mapping};
use crate::domain::reports::forecast::{
    Allowance, BATCH, CHANGES, Circumstances, Demand, PAGE, WriteForecast, forecast, shares,
};
use crate::domain::reports::setup_plan::{LOAD_RATE, LoadPlan, StartPlan};
use crate::logs::Level;
use crate::postgres::Store;
use crate::salesforce::Client;
use crate::salesforce::query::FieldSelection;

use super::{Log, StartError, client, prepare, rules};

/// Loads of fewer records tell nothing about how fast they are.
const TELLING: i64 = 10_000;

/// What a forecast goes by, where the operator says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Assumed {
    /// Changes that applications write a day, in all mappings together.
    pub changes_a_day: Option<i64>,
    /// API calls that the org allows a day.
    pub allowance: Option<i64>,
}

/// What an engine that starts with this configuration would do.
///
/// # Errors
/// When the configuration does not fit the org, or one of both sides cannot be asked.
pub async fn plan(config: &Config, store: &Store, assumed: Assumed) -> Result<StartPlan, StartError> {
    let client = client(&config.salesforce)?;
    let installed = store.is_installed().await?;
    let known = if installed { store.definitions().await? } else { Vec::new() };
    let (org_id, mut mappings) = prepare::mappings(config, &client, &known).await?;
    if installed {
        let settings = store.settings().await.unwrap_or_default();
        rules::overlay(config, &settings, &mut mappings, &Log::new(Level::Error).0);
    }
    let setup = store.setup_plan(&org_id, &mappings).await?;
    let measured_rate = if installed { measured_rate(store).await } else { None };
    let load_rate = measured_rate.unwrap_or(LOAD_RATE);
    let written = written_lately(store, &mappings).await;
    let writes = |mapping: &Mapping| mapping.access == Access::ReadWrite && !mapping.gone;
    let writers = mappings.iter().filter(|mapping| writes(mapping)).count();
    let mut shares = shares(assumed.changes_a_day.unwrap_or(CHANGES), writers);
    let (mut loads, mut demands) = (Vec::new(), Vec::new());
    // Nothing is asked about an object that the org has no longer.
    for (mapping, table) in mappings.iter().zip(&setup.tables).filter(|(mapping, _)| !mapping.gone) {
        let counts = table.loads || mapping.rules.verify.is_some() || mapping.system.stamp.is_none();
        let records = if counts { records(&client, mapping).await } else { None };
        let calls_a_page = FieldSelection::of(mapping).requests(PAGE as usize);
        if table.loads {
            loads.push(LoadPlan::of(&mapping.object, records, calls_a_page, load_rate));
        }
        let share = if writes(mapping) { shares.next().unwrap_or(0) } else { 0 };
        let share = WriteForecast::Assumed { changes: share };
        let measured = written.get(&mapping.table).copied().filter(|_| assumed.changes_a_day.is_none());
        demands.push(Demand {
            mapping: mapping.object.clone(),
            access: mapping.access,
            poll_interval: mapping.rules.poll_pause(true),
            change_events: mapping.rules.change_events,
            asks_deletes: mapping.system.asks_deletes(),
            verify: mapping.rules.verify,
            records,
            calls_a_page,
            reads_all: mapping.system.stamp.is_none(),
            batch_size: mapping.rules.batch_size as i64,
            bulk_from: bulk_from(mapping),
            writes: measured.unwrap_or(share),
        });
    }
    let told = client.usage().map(|(used, calls)| Allowance::Told { calls, used });
    let given = assumed.allowance.map(|calls| Allowance::Given { calls });
    let around = Circumstances {
        describe_interval: config.salesforce.describe_interval,
        verify_share: config.verify.api_share,
        allowance: given.or(told).unwrap_or_default(),
        budget: config.salesforce.api_budget,
    };
    Ok(StartPlan {
        setup,
        loads,
        load_rate,
        load_rate_is_measured: measured_rate.is_some(),
        forecast: forecast(&demands, &around),
    })
}

/// How many records an object has; a count that fails leaves it unknown.
async fn records(client: &Client, mapping: &Mapping) -> Option<i64> {
    let page = client.query(&format!("SELECT COUNT() FROM {}", mapping.object)).await.ok()?;
    Some(page.total)
}

/// Records a second, as the loads of this database went.
async fn measured_rate(store: &Store) -> Option<f64> {
    let counters = store.counters().await.ok()?;
    let of = |name: &str| counters.get(name).copied().unwrap_or(0);
    let (records, ms) = (of("loaded"), of("load_ms"));
    (records >= TELLING && ms > 0).then(|| records as f64 * 1_000.0 / ms as f64)
}

/// From how many waiting changes on they go by jobs.
fn bulk_from(mapping: &Mapping) -> Option<i64> {
    from_how_many(&mapping.object, &mapping.rules).map(|from| from as i64)
}

/// What was written lately, by table. A log that cannot be measured, or not in time, leaves it to assumptions.
async fn written_lately(
    store: &Store,
    mappings: &[Mapping],
) -> std::collections::BTreeMap<String, WriteForecast> {
    let batch = |mapping: &Mapping| (mapping.rules.batch_size as i64).clamp(1, BATCH);
    let tables: Vec<(&str, i64, Option<i64>)> =
        mappings.iter().map(|mapping| (mapping.table.as_str(), batch(mapping), bulk_from(mapping))).collect();
    store.written_lately(&tables).await.unwrap_or_default()
}
