//! The least that does what the operations promise, as somebody would write it by hand: both sides read and nothing compared; rows
//! mended and audited, 200 in a transaction.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_postgres::Client;

use super::signed_in::sign_in;

/// Rows of one transaction.
const CHUNK: usize = 200;

/// Its audit, with our columns and indexes.
pub const TABLES: &str = "CREATE SCHEMA by_hand; CREATE TABLE by_hand.audit (LIKE syncdeck.audit INCLUDING DEFAULTS INCLUDING INDEXES)";

/// Reads every record and every row. Returns how many there were.
pub async fn read_both(org: SocketAddr, sql: &Client) -> usize {
    let (http, token) = sign_in(org).await;
    let soql =
        "SELECT Id, LastName, Email, Phone, Score__c, AccountId, External_Id__c, SystemModstamp FROM Contact";
    let mut url = reqwest::Url::parse(&format!("http://{org}/services/data/v62.0/query")).unwrap();
    url.query_pairs_mut().append_pair("q", soql);
    let mut count = 0;
    loop {
        let page: Value =
            http.get(url.clone()).bearer_auth(&token).send().await.unwrap().json().await.unwrap();
        count += page["records"].as_array().unwrap().len();
        let Some(next) = page["nextRecordsUrl"].as_str() else { break };
        url = url.join(next).unwrap();
    }
    let rows = sql
        .query("SELECT id, sfid::text, lastname, email, phone, score__c, accountid, external_id__c FROM salesforce.contact", &[])
        .await
        .unwrap();
    count + rows.len()
}

/// The values of the rows that are to be mended, and what they would be.
pub async fn preview(sql: &Client) -> usize {
    let sql = sql.query(
        "SELECT error.id, contact.id, phone, replace(phone, 'call ', '') FROM syncdeck.error
         JOIN salesforce.contact ON contact.id = error.record_id
         WHERE resolved_at IS NULL AND state = 'open' AND mapping = 'Contact'",
        &[],
    );
    sql.await.unwrap().len()
}

/// Gives rows another telephone number, each with a line in the audit. Returns how long that took.
pub async fn mend(sql: &Client, rows: &[i32]) -> Duration {
    let mend = sql
        .prepare(
            "WITH before AS (SELECT id, phone FROM salesforce.contact WHERE id = ANY($1) FOR NO KEY UPDATE), mended AS (
                 UPDATE salesforce.contact SET phone = '415-555-' || lpad((contact.id % 10000)::text, 4, '0')
                 FROM before WHERE contact.id = before.id RETURNING contact.id, before.phone AS was, contact.phone AS became)
             INSERT INTO by_hand.audit (actor, action, mapping, table_name, record_id, before, after)
             SELECT 'somebody', 'fix', 'Contact', 'contact', id, jsonb_build_object('phone', was), jsonb_build_object('phone', became)
             FROM mended",
        )
        .await
        .unwrap();
    let begin = Instant::now();
    for part in rows.chunks(CHUNK) {
        assert_eq!(sql.execute(&mend, &[&part]).await.unwrap(), part.len() as u64);
    }
    begin.elapsed()
}
