//! The least that somebody would write by hand to have an object's records in a table.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::signed_in::sign_in;
use crate::{FIELDS, connect};

/// As many as the engine asks for.
const PAGE: usize = 20_000;
const TABLE: &str = "CREATE TABLE plain (sfid varchar(18), systemmodstamp timestamp, isdeleted boolean, name varchar(80),
    external_id__c varchar(255), first__c varchar(40), last__c varchar(80), email__c varchar(80), phone__c varchar(40),
    title__c varchar(128), born__c date, seen__c timestamp, score__c double precision, amount__c double precision, steps__c integer,
    active__c boolean, city__c varchar(40), street__c varchar(255), source__c varchar(40), remark__c text, id serial)";
const INDEXES: [&str; 5] = [
    "ALTER TABLE plain ADD PRIMARY KEY (id)",
    "CREATE UNIQUE INDEX ON plain (sfid)",
    "CREATE INDEX ON plain (systemmodstamp)",
    "CREATE UNIQUE INDEX ON plain (external_id__c)",
    "CREATE INDEX ON plain (lower(btrim(external_id__c)))",
];

/// Loads the records of an org; returns the seconds that it took.
pub async fn load(url: &str, org: SocketAddr, records: usize) -> f64 {
    let sql = connect(url).await;
    sql.batch_execute(TABLE).await.unwrap();
    let (http, token) = sign_in(org).await;
    let begin = Instant::now();
    let base = format!("http://{org}/services/data/v62.0/jobs/query");
    let query = format!("SELECT Id, SystemModstamp, IsDeleted, {} FROM Person__c", FIELDS.join(", "));
    let job = json!({"operation": "query", "query": query});
    let made: Value =
        http.post(&base).bearer_auth(&token).json(&job).send().await.unwrap().json().await.unwrap();
    let job = format!("{base}/{}", made["id"].as_str().unwrap());
    loop {
        let told: Value = http.get(&job).bearer_auth(&token).send().await.unwrap().json().await.unwrap();
        if told["state"] == "JobComplete" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let fetch = async |locator: String| {
        let url = format!("{job}/results?maxRecords={PAGE}&locator={locator}");
        let answer = http.get(url).bearer_auth(&token).send().await.unwrap();
        let next = answer.headers()["sforce-locator"].to_str().unwrap().to_owned();
        (answer.bytes().await.unwrap(), Some(next).filter(|next| next != "null"))
    };
    let mut page = fetch(String::new()).await;
    loop {
        let (csv, next) = page;
        let Some(next) = next else {
            copy(&sql, csv).await;
            break;
        };
        ((), page) = tokio::join!(copy(&sql, csv), fetch(next));
    }
    for index in INDEXES {
        sql.batch_execute(index).await.unwrap();
    }
    let seconds = begin.elapsed().as_secs_f64();
    let rows: i64 = sql.query_one("SELECT count(*) FROM plain", &[]).await.unwrap().get(0);
    assert_eq!(usize::try_from(rows).unwrap(), records);
    seconds
}

async fn copy(sql: &Client, csv: Bytes) {
    let columns = format!("sfid, systemmodstamp, isdeleted, {}", FIELDS.join(", "));
    let copy = format!("COPY plain ({columns}) FROM STDIN (FORMAT csv, HEADER, FORCE_NULL ({columns}))");
    let mut sink = pin!(sql.copy_in::<_, Bytes>(&copy).await.unwrap());
    for piece in csv.chunks(256 << 10) {
        sink.feed(csv.slice_ref(piece)).await.unwrap();
    }
    sink.finish().await.unwrap();
}
