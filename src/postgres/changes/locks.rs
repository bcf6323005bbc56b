//! Units and errors of rows, locked: where they stand, for whoever wants to change something about them.

use std::collections::HashMap;

use crate::domain::errors::remedy::Against;

use crate::postgres::{Error, ErrorContext, Transaction};

/// A unit as an operator finds it.
pub(in crate::postgres) struct LockedUnit {
    /// In flight, or about to be.
    pub sending: bool,
    /// In flight.
    pub in_flight: bool,
    /// Neither, but sent as soon as its mapping's writes go on.
    pub waits: bool,
    /// The record's id, where the row does not know it yet.
    pub sfid: Option<String>,
}

/// Locks the units of rows, and tells where they stand.
pub(in crate::postgres) async fn lock_units(
    transaction: &Transaction<'_>,
    table: &str,
    ids: &[i32],
) -> Result<HashMap<i32, LockedUnit>, Error> {
    let rows = transaction
        .query(
            "SELECT record_id, state = 'inflight', state = 'ready' AND ready_at <= clock_timestamp(), sfid::text,
                 state = 'stopped'
             FROM syncdeck.unit WHERE table_name = $1 AND record_id = ANY($2) ORDER BY record_id FOR UPDATE",
            &[&table, &ids],
        )
        .await
        .context("lock units")?;
    let unit = |row: &tokio_postgres::Row| {
        let (in_flight, due): (bool, bool) = (row.get(1), row.get(2));
        (row.get(0), LockedUnit { sending: in_flight || due, in_flight, waits: row.get(4), sfid: row.get(3) })
    };
    Ok(rows.iter().map(unit).collect())
}

/// The unresolved errors of rows, locked: their states, and what each is known by.
pub(in crate::postgres) async fn lock_errors(
    transaction: &Transaction<'_>,
    table: &str,
    ids: &[i32],
) -> Result<HashMap<i32, (String, Against)>, Error> {
    let rows = transaction
        .query(
            "SELECT record_id, state, id, last_seen FROM syncdeck.error
             WHERE table_name = $1 AND record_id = ANY($2) AND resolved_at IS NULL ORDER BY record_id FOR UPDATE",
            &[&table, &ids],
        )
        .await
        .context("look at the rows' errors")?;
    let error = |row: &tokio_postgres::Row| {
        (row.get(0), (row.get(1), Against { error: row.get(2), seen: row.get(3) }))
    };
    Ok(rows.iter().map(error).collect())
}
