//! The least that somebody would write by hand to have the same bodies sent: they are ready before the clock runs, calls go one
//! behind the other, and jobs are with Salesforce together. It keeps nothing of what is answered.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::signed_in::sign_in;
use crate::{Took, Way};

/// Rows of a call, and of a job.
const CALL: usize = 200;
const JOB: usize = 10_000;

struct Bare {
    http: reqwest::Client,
    token: String,
    base: String,
}

/// Inserts records of an org, then changes them.
pub async fn write(org: SocketAddr, many: usize, way: Way) -> Took {
    let (http, token) = sign_in(org).await;
    let bare = Bare { http, token, base: format!("http://{org}/services/data/v62.0") };
    let (inserts, updates) = match way {
        Way::Calls => {
            let (inserts, ids) = bare.calls("/Contact/External_Id__c", inserts(many)).await;
            (inserts, bare.calls("", updates(&ids)).await.0)
        }
        Way::Jobs => {
            let (inserts, ids) = bare.jobs(upsert(), sheets(many)).await;
            (inserts, bare.jobs(json!({"object": "Contact", "operation": "update"}), changes(&ids)).await.0)
        }
    };
    Took { inserts, updates, peak: 0.0 }
}

fn upsert() -> Value {
    json!({"object": "Contact", "operation": "upsert", "externalIdFieldName": "External_Id__c"})
}

fn inserts(many: usize) -> Vec<Value> {
    let record = |n| {
        json!({"attributes": {"type": "Contact"}, "LastName": format!("Lovelace the {n}th"), "Email": format!("ada{n}@acme.com"),
            "Title": "Countess, \"enchantress\"", "External_Id__c": format!("K{n}")})
    };
    calls((1..=many).map(record).collect())
}

fn updates(ids: &[String]) -> Vec<Value> {
    let record = |(n, id): (usize, &String)| json!({"attributes": {"type": "Contact"}, "id": id, "LastName": format!("Byron the {n}th"), "Title": "Countess of numbers"});
    calls(ids.iter().enumerate().map(record).collect())
}

fn calls(records: Vec<Value>) -> Vec<Value> {
    records.chunks(CALL).map(|call| json!({"allOrNone": false, "records": call})).collect()
}

fn sheets(many: usize) -> Vec<String> {
    let row = |n: usize| {
        format!("\"Lovelace the {n}th\",\"ada{n}@acme.com\",\"Countess, \"\"enchantress\"\"\",\"K{n}\"\n")
    };
    let rows: Vec<String> = (1..=many).map(row).collect();
    let sheet =
        |rows: &[String]| format!("\"LastName\",\"Email\",\"Title\",\"External_Id__c\"\n{}", rows.concat());
    rows.chunks(JOB).map(sheet).collect()
}

fn changes(ids: &[String]) -> Vec<String> {
    let row = |(n, id): (usize, &String)| format!("\"{id}\",\"Byron the {n}th\",\"Countess of numbers\"\n");
    let rows: Vec<String> = ids.iter().enumerate().map(row).collect();
    rows.chunks(JOB).map(|rows| format!("\"Id\",\"LastName\",\"Title\"\n{}", rows.concat())).collect()
}

impl Bare {
    /// Sends calls one behind the other. Returns the seconds, and the records' ids.
    async fn calls(&self, path: &str, bodies: Vec<Value>) -> (f64, Vec<String>) {
        let bodies: Vec<String> = bodies.iter().map(Value::to_string).collect();
        let (begin, mut answers) = (Instant::now(), Vec::new());
        let url = format!("{}/composite/sobjects{path}", self.base);
        for body in bodies {
            let request =
                self.http.patch(&url).bearer_auth(&self.token).header("content-type", "application/json");
            answers.push(request.body(body).send().await.unwrap().bytes().await.unwrap());
        }
        let seconds = begin.elapsed().as_secs_f64();
        let ids = |answer: &bytes::Bytes| -> Vec<String> {
            let results: Value = serde_json::from_slice(answer).unwrap();
            results
                .as_array()
                .unwrap()
                .iter()
                .map(|result| result["id"].as_str().unwrap().to_owned())
                .collect()
        };
        (seconds, answers.iter().flat_map(ids).collect())
    }

    /// Hands all jobs over, waits for their ends, and fetches their results. Returns the seconds, and the records' ids.
    async fn jobs(&self, job: Value, sheets: Vec<String>) -> (f64, Vec<String>) {
        let (begin, mut ids) = (Instant::now(), Vec::new());
        let url = format!("{}/jobs/ingest", self.base);
        let mut jobs = Vec::new();
        for sheet in sheets {
            let made = self.http.post(&url).bearer_auth(&self.token).json(&job).send().await.unwrap();
            let made: Value = made.json().await.unwrap();
            let url = format!("{url}/{}", made["id"].as_str().unwrap());
            let upload = self.http.put(format!("{url}/batches")).bearer_auth(&self.token);
            upload.header("content-type", "text/csv").body(sheet).send().await.unwrap();
            let close = self.http.patch(&url).bearer_auth(&self.token);
            close.json(&json!({"state": "UploadComplete"})).send().await.unwrap();
            jobs.push(url);
        }
        for url in jobs {
            while self.get(&url).await.windows(11).all(|part| part != b"JobComplete") {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let saved = self.get(&format!("{url}/successfulResults")).await;
            self.get(&format!("{url}/failedResults")).await;
            self.get(&format!("{url}/unprocessedrecords")).await;
            ids.push(saved);
        }
        let seconds = begin.elapsed().as_secs_f64();
        let of_sheet = |sheet: &bytes::Bytes| -> Vec<String> {
            let mut reader = csv::Reader::from_reader(&sheet[..]);
            reader.records().map(|row| row.unwrap()[0].to_owned()).collect()
        };
        (seconds, ids.iter().flat_map(of_sheet).collect())
    }

    async fn get(&self, url: &str) -> bytes::Bytes {
        self.http.get(url).bearer_auth(&self.token).send().await.unwrap().bytes().await.unwrap()
    }
}
