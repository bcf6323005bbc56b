//! The figures that Prometheus asks for, by its conventions: base units, `_total` for what only grows, no ids as labels. What
//! an engine counts itself is its own, since it began; how things stand is the same from every engine.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::domain::health::histogram::EDGES;
use crate::domain::reports::overview::{ConnectionStatus, MappingStatus, Overview};
use crate::domain::state::ConnectionState;

use super::metrics::{Measured, Total};

/// Everything at the time of a question.
#[derive(Clone, Debug)]
pub(super) struct EngineFigures {
    /// What this engine counted.
    pub(super) totals: BTreeMap<String, Total>,
    /// The way to Salesforce.
    pub(super) connection: ConnectionStatus,
    /// How things stand, and when, by PostgreSQL's clock; nothing while it cannot be asked.
    pub(super) seen: Option<(DateTime<Utc>, Arc<Overview>)>,
    /// Whether the engine can do its work.
    pub(super) is_ready: bool,
}

type Labels<'a> = Vec<(&'static str, Cow<'a, str>)>;

/// A family of figures.
struct Family {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    kind: MetricType,
}

fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, help, unit: None, kind: MetricType::Gauge }
}

fn seconds(name: &'static str, help: &'static str, kind: MetricType) -> Family {
    Family { name, help, unit: Some(Unit::Seconds), kind }
}

impl Family {
    /// Encodes each value under its labels.
    fn encode<'a, V>(
        &self,
        encoder: &mut DescriptorEncoder,
        values: impl IntoIterator<Item = (Labels<'a>, V)>,
        one: impl Fn(&mut MetricEncoder, V) -> fmt::Result,
    ) -> fmt::Result {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let mut family = encoder.encode_descriptor(self.name, self.help, self.unit.as_ref(), self.kind)?;
        for (labels, value) in values {
            match labels.is_empty() {
                true => one(&mut family, value)?,
                false => one(&mut family.encode_family(&labels)?, value)?,
            }
        }
        Ok(())
    }

    fn gauges<'a>(
        &self,
        encoder: &mut DescriptorEncoder,
        values: impl IntoIterator<Item = (Labels<'a>, f64)>,
    ) -> fmt::Result {
        self.encode(encoder, values, |metric, value| metric.encode_gauge(&value))
    }

    fn counters<'a>(
        &self,
        encoder: &mut DescriptorEncoder,
        values: impl IntoIterator<Item = (Labels<'a>, i64)>,
    ) -> fmt::Result {
        self.encode(encoder, values, |metric, value| {
            metric.encode_counter::<NoLabelSet, u64, f64>(&value.unsigned_abs(), None)
        })
    }

    fn histograms<'a>(
        &self,
        encoder: &mut DescriptorEncoder,
        values: impl IntoIterator<Item = (Labels<'a>, &'a Measured)>,
    ) -> fmt::Result {
        self.encode(encoder, values, |metric, measured| {
            let count = measured.histogram.total().unsigned_abs();
            metric.encode_histogram::<NoLabelSet>(measured.seconds, count, &buckets(measured), None)
        })
    }
}

/// The buckets that are told: every second edge, from 10 ms to 5 hours. Each has its own values
/// only: the encoder adds them up, and adds the one for all.
fn buckets(measured: &Measured) -> Vec<(f64, u64)> {
    let edges = EDGES.iter().filter(|edge| (10..=20_000_000).contains(*edge)).step_by(2);
    let mut below = 0;
    let mut buckets: Vec<(f64, u64)> = Vec::new();
    for edge in edges {
        let up_to = measured.histogram.up_to(*edge);
        buckets.push((*edge as f64 / 1_000.0, (up_to - below).unsigned_abs()));
        below = up_to;
    }
    buckets
}

fn of_mapping(name: &str) -> Labels<'_> {
    vec![("mapping", name.into())]
}

fn as_number(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

impl EngineFigures {
    /// A registry that has nothing but these.
    pub(super) fn registry(self, connection: &str) -> Registry {
        let labels = [(Cow::from("connection"), Cow::from(connection.to_owned()))].into_iter();
        let mut registry = Registry::with_prefix_and_labels("syncdeck", labels);
        registry.register_collector(Box::new(self));
        registry
    }

    fn counted(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let totals = || self.totals.iter();
        let measured =
            |of: fn(&Total) -> &Measured| totals().map(move |(name, total)| (of_mapping(name), of(total)));
        seconds("change_wait", "From a change's commit until Salesforce took it", MetricType::Histogram)
            .histograms(encoder, measured(|total| &total.waited))?;
        seconds(
            "read_lag",
            "From a record's stamp in Salesforce until its row was written",
            MetricType::Histogram,
        )
        .histograms(encoder, measured(|total| &total.read_lag))?;
        seconds("request_duration", "Requests that write records, until their answer", MetricType::Histogram)
            .histograms(encoder, measured(|total| &total.requests))?;
        let help = "Requests that read records, until their answer";
        seconds("read_request_duration", help, MetricType::Histogram)
            .histograms(encoder, measured(|total| &total.reads))?;
        let outcomes = totals().flat_map(|(name, total)| {
            let counts = &total.counts;
            let of = [("accepted", counts.accepted), ("rejected", counts.rejected), ("lost", counts.lost)];
            of.map(|(outcome, count)| {
                (vec![("mapping", name.as_str().into()), ("outcome", outcome.into())], count)
            })
        });
        let kind = MetricType::Counter;
        Family { name: "changes", help: "Changes by what became of them", unit: None, kind }
            .counters(encoder, outcomes)?;
        let kind = MetricType::Counter;
        Family { name: "rows_read", help: "Rows that reads changed", unit: None, kind }
            .counters(encoder, totals().map(|(name, total)| (of_mapping(name), total.counts.read)))
    }
}

/// How things stand, which every engine tells alike.
fn standing(encoder: &mut DescriptorEncoder, mappings: &[MappingStatus], now: DateTime<Utc>) -> fmt::Result {
    let by_mapping = |of: fn(&MappingStatus) -> i64| {
        mappings.iter().map(move |mapping| (of_mapping(&mapping.name), of(mapping) as f64))
    };
    let lag = "How far each direction is behind: the age of the oldest change that waits to be sent, and the time by which \
        the next read is late";
    seconds("lag", lag, MetricType::Gauge)
        .gauges(encoder, mappings.iter().flat_map(|mapping| lags(mapping, now)))?;
    gauge("changes_pending", "Rows whose changes wait to be sent or are being sent")
        .gauges(encoder, by_mapping(|mapping| mapping.pending))?;
    gauge("changes_blocked", "Rows whose changes wait for another row")
        .gauges(encoder, by_mapping(|mapping| mapping.held))?;
    let open = mappings.iter().flat_map(|mapping| {
        let of = |(category, count): (&String, &i64)| {
            let labels =
                vec![("mapping", mapping.name.as_str().into()), ("category", category.clone().into())];
            (labels, *count as f64)
        };
        mapping.by_category.iter().map(of).collect::<Vec<_>>()
    });
    gauge("errors_open", "Errors that need a person or a retry").gauges(encoder, open)?;
    let events = mappings.iter().filter_map(|mapping| {
        mapping.events.as_ref().map(|events| (of_mapping(&mapping.name), as_number(events.flow)))
    });
    gauge("change_events", "Whether the change events come that a mapping asks for")
        .gauges(encoder, events)?;
    let state = mappings.iter().map(|mapping| {
        (vec![("mapping", mapping.name.as_str().into()), ("state", mapping.state.word().into())], 1.0)
    });
    gauge("mapping_state", "The state of a mapping, as a label").gauges(encoder, state)
}

fn lags(mapping: &MappingStatus, now: DateTime<Utc>) -> Vec<(Labels<'_>, f64)> {
    let labels = |direction: &'static str| {
        vec![("mapping", mapping.name.as_str().into()), ("direction", direction.into())]
    };
    let age = |since: DateTime<Utc>| (now - since).num_milliseconds().max(0) as f64 / 1_000.0;
    let out = mapping.oldest_pending.map_or(0.0, age);
    let back = mapping.lag_seconds.map(|seconds| (labels("from_salesforce"), seconds.max(0) as f64));
    [(labels("to_salesforce"), out)].into_iter().chain(back).collect()
}

impl Collector for EngineFigures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let encoder = &mut encoder;
        if let Some((now, overview)) = &self.seen {
            standing(encoder, &overview.mappings, *now)?;
        }
        self.counted(encoder)?;
        let single = |is: bool| [(Labels::new(), as_number(is))];
        gauge("ready", "Whether the engine can do its work, as /readyz says")
            .gauges(encoder, single(self.is_ready))?;
        gauge("connection_up", "Whether Salesforce answers")
            .gauges(encoder, single(self.connection.state == ConnectionState::Ok))?;
        gauge("database_up", "Whether PostgreSQL answers").gauges(encoder, single(self.seen.is_some()))?;
        let api = |of: Option<i64>| of.map(|requests| (Labels::new(), requests as f64));
        gauge("api_requests_used", "Requests of the day's allowance that were used, by everybody")
            .gauges(encoder, api(self.connection.api_used))?;
        gauge("api_requests_limit", "The day's allowance of requests")
            .gauges(encoder, api(self.connection.api_limit))?;
        let version = vec![("version", Cow::from(env!("CARGO_PKG_VERSION")))];
        gauge("build_info", "The version of the program, as a label").gauges(encoder, [(version, 1.0)])
    }
}
