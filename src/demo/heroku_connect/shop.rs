//! An application as it was written for Heroku Connect: it knows tables only, and makes the mistakes that people make.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tokio_postgres::{Client, Error};
use tokio_util::sync::CancellationToken;

use crate::simulator::seed;

/// Between two writes.
const PAUSE: Duration = Duration::from_millis(400);
/// After so many mistakes they become rare: somebody is to mend them.
const SOON: u32 = 24;
/// One write of so many is a mistake then.
const RARELY: u32 = 25;

/// Writes until the end.
pub(super) async fn run(sql: Client, stop: CancellationToken) {
    let mut dice = StdRng::seed_from_u64(19);
    let mut number = 0_u32;
    while !stop.is_cancelled() {
        number += 1;
        // What PostgreSQL refuses was not committed.
        let _ = write(&sql, &mut dice, number).await;
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => {}
        }
    }
}

async fn write(sql: &Client, dice: &mut StdRng, number: u32) -> Result<(), Error> {
    let (first, last, email) = seed::person(dice);
    let phone = seed::phone(dice);
    let mistaken = if number <= SOON * 2 { number.is_multiple_of(2) } else { number.is_multiple_of(RARELY) };
    if !mistaken {
        let phone_changes = "UPDATE salesforce.contact SET phone = $1 WHERE id = (
            SELECT id FROM salesforce.contact WHERE sfid IS NOT NULL OFFSET $2 LIMIT 1)";
        sql.execute(phone_changes, &[&phone, &dice.random_range(0..50_i64)]).await?;
        return Ok(());
    }
    let comma = email.replacen('.', ",", 1);
    let words = *["call me maybe", "ext. 12", "n/a"].choose(dice).unwrap_or(&"n/a");
    let (sqls, values): (&str, Vec<Option<&str>>) = match number / 2 % 5 {
        0 => ("(lastname, firstname, email)", vec![Some(&last), Some(&first), Some(&comma)]),
        1 => ("(lastname, firstname, phone)", vec![Some(&last), Some(&first), Some(words)]),
        2 => ("(firstname, email)", vec![Some(&first), Some(&email)]),
        3 => ("(lastname, email, accountid)", vec![Some(&last), Some(&email), Some("001000000000000AAA")]),
        _ => ("(lastname, firstname, level__c)", vec![Some(&last), Some(&first), Some("Primary")]),
    };
    let places: Vec<String> = (1..=values.len()).map(|place| format!("${place}")).collect();
    let insert = format!("INSERT INTO salesforce.contact {sqls} VALUES ({})", places.join(", "));
    let values: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
        values.iter().map(|value| value as &(dyn tokio_postgres::types::ToSql + Sync)).collect();
    sql.execute(&insert, &values).await.map(drop)
}
