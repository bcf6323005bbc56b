//! The least that somebody would write by hand to have a record follow its row.

use std::net::SocketAddr;

use serde_json::{Value, json};
use syncdeck::simulator::Org;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::signed_in::sign_in;
use crate::{ROWS, bell};

const TABLES: &str = r"
CREATE SCHEMA by_hand;
CREATE TABLE by_hand.contact (LIKE salesforce.contact INCLUDING DEFAULTS INCLUDING INDEXES);
CREATE TABLE by_hand.log (id serial PRIMARY KEY, sfid text, lastname text);
CREATE TABLE by_hand.done (id integer PRIMARY KEY, sfid text, lastname text, taken timestamptz);
CREATE FUNCTION by_hand.log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO by_hand.log (sfid, lastname) VALUES (NEW.sfid, NEW.lastname);
    PERFORM pg_notify('changes', '');
    RETURN NULL;
END $$;
";
const TRIGGER: &str =
    "CREATE TRIGGER log AFTER UPDATE ON by_hand.contact FOR EACH ROW EXECUTE FUNCTION by_hand.log()";
const TAKEN: &str = "WITH gone AS (DELETE FROM by_hand.log WHERE id = ANY($1) RETURNING *)
    INSERT INTO by_hand.done SELECT id, sfid, lastname, clock_timestamp() FROM gone";

/// Makes rows with records of an org, and sends what is changed in them until it is stopped.
pub async fn send(url: &str, sql: &Client, org: &Org, address: SocketAddr) -> JoinHandle<()> {
    sql.batch_execute(TABLES).await.unwrap();
    for n in 1..=ROWS {
        let fields = json!({"LastName": "Doe", "External_Id__c": format!("K{n}")});
        let id = org.user_create("Contact", fields.as_object().unwrap().clone()).unwrap();
        let row = "INSERT INTO by_hand.contact (sfid, lastname, external_id__c) VALUES ($1, 'Doe', 'K' || $2::bigint)";
        sql.execute(row, &[&id, &n]).await.unwrap();
    }
    sql.batch_execute(TRIGGER).await.unwrap();
    let (client, bell) = bell::listen(url).await;
    let look =
        client.prepare("SELECT id, sfid, lastname FROM by_hand.log ORDER BY id LIMIT 200").await.unwrap();
    let note = client.prepare(TAKEN).await.unwrap();
    let (http, token) = sign_in(address).await;
    tokio::spawn(async move {
        loop {
            bell.notified().await;
            loop {
                let rows = client.query(&look, &[]).await.unwrap();
                if rows.is_empty() {
                    break;
                }
                let record = |row: &tokio_postgres::Row| json!({"attributes": {"type": "Contact"}, "id": row.get::<_, &str>(1), "LastName": row.get::<_, &str>(2)});
                let records: Vec<Value> = rows.iter().map(record).collect();
                let url = format!("http://{address}/services/data/v62.0/composite/sobjects");
                let body = json!({"allOrNone": false, "records": records});
                let answer = http.patch(url).bearer_auth(&token).json(&body).send().await.unwrap();
                assert!(answer.status().is_success());
                let ids: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
                client.execute(&note, &[&ids]).await.unwrap();
            }
        }
    })
}
