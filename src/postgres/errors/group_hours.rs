//! When the errors of groups came within the last hour.

use crate::domain::errors::filter::Filter;
use crate::domain::errors::group_hours::GroupHours;

use crate::postgres::errors::condition::ErrorCondition;
use crate::postgres::{Error, ErrorContext, Store};

/// Errors that are looked at, the newest first: 100,000 are read in a tenth of a second.
const MOST: i64 = 100_000;

impl Store {
    /// The last hour of the groups of the errors that match. Along the index `error_listed`: what came first within the
    /// hour was seen last within it, too.
    pub async fn group_hours(&self, filter: &Filter) -> Result<GroupHours, Error> {
        let now = self.now().await?;
        let from = GroupHours::begin(now);
        let client = self.client().await?;
        let mut condition = ErrorCondition::of(filter);
        let (since, most) = (format!("{}::timestamptz", condition.bind(from)), condition.bind(MOST));
        let sql = format!(
            "SELECT fingerprint, part, count(*) FILTER (WHERE matches), count(*), grouping(fingerprint)
             FROM (SELECT matches, CASE WHEN matches THEN fingerprint END AS fingerprint,
                       CASE WHEN matches THEN floor(extract(epoch FROM first_seen - {since}) / 300)::integer END AS part
                   FROM (SELECT *, {condition} AND first_seen >= {since} AS matches
                         FROM (SELECT * FROM syncdeck.error WHERE resolved_at IS NULL AND last_seen >= {since}
                               ORDER BY last_seen DESC, id DESC LIMIT {most}) AS error) AS recent) AS came
             GROUP BY GROUPING SETS ((fingerprint, part), ())",
            condition = condition.sql
        );
        let rows = client.query(&sql, &condition.params()).await.context("count what came of groups")?;
        let mut hours = GroupHours::default();
        for row in rows {
            match (row.get::<_, i32>(4), row.get::<_, Option<String>>(0)) {
                (1, _) => hours.of_newest = Some(row.get(3)).filter(|read| *read >= MOST),
                (_, Some(group)) => hours.add(&group, row.get(1), row.get(2)),
                // Those that do not match.
                (_, None) => {}
            }
        }
        Ok(hours)
    }
}
