//! Bulk API 2.0 as its clients see it: jobs, their states, results as CSV.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use syncdeck::simulator::{OrgOptions, seed};

use super::Session;

impl Session {
    async fn send(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> Response {
        let url = format!("{}/services/data/v62.0/jobs/{path}", self.base);
        self.http.request(method, url).bearer_auth(&self.token).body(body).send().await.unwrap()
    }

    async fn job(&self, kind: &str, id: &str) -> Value {
        self.call(Method::GET, &format!("jobs/{kind}/{id}"), Value::Null).await.1
    }

    async fn make(&self, kind: &str, job: Value) -> String {
        let (status, made) = self.call(Method::POST, &format!("jobs/{kind}"), job).await;
        assert_eq!(status, 200, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    async fn set_state(&self, kind: &str, id: &str, state: &str) -> (u16, Value) {
        self.call(Method::PATCH, &format!("jobs/{kind}/{id}"), json!({"state": state})).await
    }

    /// Asks until a job is in a state that somebody waits for.
    async fn until(&self, kind: &str, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let asked = async {
            loop {
                let job = self.job(kind, id).await;
                if wanted(&job) {
                    return job;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(600), asked).await.unwrap()
    }

    async fn until_over(&self, kind: &str, id: &str) -> Value {
        self.until(kind, id, |job| {
            ["JobComplete", "Failed", "Aborted"].iter().any(|word| job["state"] == *word)
        })
        .await
    }

    /// Makes a job, uploads to it, closes it, and waits for its end.
    async fn load(&self, job: Value, csv: &str) -> Value {
        let id = self.make("ingest", job).await;
        let uploaded = self.send(Method::PUT, &format!("ingest/{id}/batches"), csv.to_owned()).await;
        assert_eq!((uploaded.status().as_u16(), uploaded.text().await.unwrap().as_str()), (201, ""));
        let (status, closed) = self.set_state("ingest", &id, "UploadComplete").await;
        assert_eq!((status, &closed["state"]), (200, &json!("UploadComplete")));
        assert!(closed.get("contentUrl").is_none());
        self.until_over("ingest", &id).await
    }

    async fn text(&self, path: &str) -> String {
        let answer = self.send(Method::GET, path, "").await;
        assert_eq!(answer.status(), 200);
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/csv"));
        answer.text().await.unwrap()
    }

    /// A part of a job's results, by the value of a column.
    async fn rows(&self, job: &Value, part: &str, key: &str) -> BTreeMap<String, Vec<String>> {
        let text = self.text(&format!("ingest/{}/{part}", job["id"].as_str().unwrap())).await;
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let at = reader.headers().unwrap().iter().position(|name| name == key).unwrap();
        let row = |row: csv::Result<csv::StringRecord>| {
            let row: Vec<String> = row.unwrap().iter().map(str::to_owned).collect();
            (row[at].clone(), row)
        };
        reader.records().map(row).collect()
    }
}

fn insert(object: &str) -> Value {
    json!({"object": object, "operation": "insert", "contentType": "CSV", "lineEnding": "LF"})
}

#[tokio::test]
async fn an_insert_tells_of_each_row_what_became_of_it() {
    let session = Session::start().await;
    let (status, made) = session.call(Method::POST, "jobs/ingest", insert("contact")).await;
    let id = made["id"].as_str().unwrap();
    assert_eq!((status, &made["state"], &made["apiVersion"]), (200, &json!("Open"), &json!(62.0)));
    assert_eq!(made["contentUrl"], format!("services/data/v62.0/jobs/ingest/{id}/batches"));
    assert_eq!((&made["object"], &made["concurrencyMode"]), (&json!("Contact"), &json!("Parallel")));
    let job = session
        .load(insert("Contact"), "lastname,Score__c,Birthdate,Email\nAda,1.5,1990-01-02,\nBob,x,,\n\"Ce \"\"le\"\", o\",,2003-04-9876,\n,1,,\nDan,,,no\n")
        .await;
    assert_eq!(
        (&job["state"], &job["numberRecordsProcessed"], &job["numberRecordsFailed"], &job["jobType"]),
        (&json!("JobComplete"), &json!(5), &json!(4), &json!("V2Ingest"))
    );
    let good = session.rows(&job, "successfulResults", "lastname").await;
    let ada = &good["Ada"];
    assert_eq!(
        (good.len(), ada[1].as_str(), &ada[2..]),
        (1, "true", &["Ada", "1.5", "1990-01-02", ""].map(str::to_owned)[..])
    );
    let record = session.org.record("Contact", &ada[0]).unwrap();
    assert_eq!((&record["Score__c"], &record["Birthdate"]), (&json!(1.5), &json!("1990-01-02")));
    let bad = session.rows(&job, "failedResults", "lastname").await;
    for (name, error) in [
        (
            "Bob",
            "INVALID_FIELD:Failed to deserialize field at col 1. Due to, 'x' is not a valid value for the type xsd:double:Score__c --",
        ),
        (
            "Ce \"le\", o",
            "INVALID_FIELD:Failed to deserialize field at col 2. Due to, '2003-04-9876' is not a valid value for the type xsd:date:Birthdate --",
        ),
        ("", "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --"),
        ("Dan", "INVALID_EMAIL_ADDRESS:Email: invalid email address: no:Email --"),
    ] {
        assert_eq!((bad[name][0].as_str(), bad[name][1].as_str()), ("", error));
    }
    let header = session.text(&format!("ingest/{}/failedResults", job["id"].as_str().unwrap())).await;
    assert!(
        header.starts_with("\"sf__Id\",\"sf__Error\",\"lastname\",\"Score__c\",\"Birthdate\",\"Email\"\n")
    );
    let none = session.text(&format!("ingest/{}/unprocessedrecords/", job["id"].as_str().unwrap())).await;
    assert_eq!(none, "\"lastname\",\"Score__c\",\"Birthdate\",\"Email\"\n");
    let batches = session.org.journal_since(0);
    assert_eq!((batches.len(), batches[0].batch_size), (1, 5));
}

#[tokio::test]
async fn updates_upserts_and_deletes_leave_what_is_empty_and_clear_what_is_not_available() {
    let session = Session::start().await;
    let account = session.create("Account", json!({"Name": "Acme", "External_Id__c": "A1"})).await.1;
    let contact = json!({"LastName": "Ada", "FirstName": "A", "Title": "x", "External_Id__c": "C1", "AccountId": account["id"]});
    let id = session.create("Contact", contact).await.1["id"].as_str().unwrap().to_owned();
    let of = |operation: &str| json!({"object": "Contact", "operation": operation});
    let job = session
        .load(
            of("update"),
            &format!("Id,FirstName,Title,LastName\n{id},#N/A,,Ada2\n003sd00000000zz,,,x\n,,,y\n"),
        )
        .await;
    let record = session.org.record("Contact", &id).unwrap();
    assert_eq!(
        (&record["FirstName"], &record["Title"], &record["LastName"]),
        (&Value::Null, &json!("x"), &json!("Ada2"))
    );
    assert_eq!(
        session.rows(&job, "successfulResults", "Id").await[&id][..2],
        [id.clone(), "false".to_owned()]
    );
    let bad = session.rows(&job, "failedResults", "LastName").await;
    assert_eq!(
        bad["x"][..2],
        ["003sd00000000zz", "INVALID_CROSS_REFERENCE_KEY:invalid cross reference id:--"].map(str::to_owned)
    );
    assert_eq!(
        bad["y"][..2],
        ["", "MISSING_ARGUMENT:Id not specified in an update call:--"].map(str::to_owned)
    );

    let upsert = json!({"object": "Contact", "operation": "upsert", "externalIdFieldName": "external_id__c", "columnDelimiter": "TAB", "lineEnding": "CRLF"});
    let csv = "External_Id__c\tLastName\tAccount.External_Id__c\r\nC1\tAda3\t#N/A\r\nC2\tBob\tA1\r\nC3\tCleo\tnope\r\nC4\tone\t\r\nc4\ttwo\t\r\n";
    let job = session.load(upsert, csv).await;
    let good = session.rows_by(&job, "successfulResults", '\t').await;
    assert_eq!((good["C1"].as_str(), good["C2"].as_str(), good.len()), ("false", "true", 2));
    assert_eq!(session.org.record("Contact", &id).unwrap()["AccountId"], Value::Null);
    let bob = session.org.find_by_external_id("Contact", "C2").unwrap();
    assert_eq!(session.org.record("Contact", &bob).unwrap()["AccountId"], account["id"]);
    let bad = session.rows_by(&job, "failedResults", '\t').await;
    assert_eq!(
        bad["C3"],
        "INVALID_FIELD:Foreign key external ID: nope not found for field External_Id__c in entity Account:--"
    );
    assert_eq!(bad["C4"], "DUPLICATE_VALUE:Duplicate external id specified: C4:External_Id__c --");
    assert_eq!(bad.len(), 3);

    let job = session.load(of("delete"), &format!("Id\n{id}\n{id}\n")).await;
    assert_eq!((&job["numberRecordsProcessed"], &job["numberRecordsFailed"]), (&json!(2), &json!(1)));
    assert!(session.org.record("Contact", &id).is_none());
    let other = session.load(of("delete"), &format!("Id\n{}\n", account["id"].as_str().unwrap())).await;
    let bad = session.text(&format!("ingest/{}/failedResults", other["id"].as_str().unwrap())).await;
    assert!(bad.contains("\"INVALID_CROSS_REFERENCE_KEY:invalid cross reference id:--\""), "{bad}");
    let path = format!("sobjects/Contact/{}", account["id"].as_str().unwrap());
    assert_eq!(session.call(Method::DELETE, &path, Value::Null).await.0, 404);
    assert_eq!(session.org.ids("Account").len(), 1);
    let failed = session.text(&format!("ingest/{}/failedResults", job["id"].as_str().unwrap())).await;
    assert!(failed.contains("\"ENTITY_IS_DELETED:entity is deleted:--\""), "{failed}");
}

impl Session {
    /// The second column of a part by the third, of a CSV with another delimiter.
    async fn rows_by(&self, job: &Value, part: &str, delimiter: char) -> BTreeMap<String, String> {
        let text = self.text(&format!("ingest/{}/{part}", job["id"].as_str().unwrap())).await;
        assert!(text.ends_with("\r\n"));
        let cells = |line: &str| -> Vec<String> {
            line.split(delimiter).map(|cell| cell.trim_matches('"').to_owned()).collect()
        };
        text.lines().skip(1).map(cells).map(|row| (row[2].clone(), row[1].clone())).collect()
    }
}

#[tokio::test]
async fn a_header_or_data_that_mean_nothing_fail_the_whole_job() {
    let session = Session::start().await;
    let of = |operation: &str| json!({"object": "Contact", "operation": operation, "externalIdFieldName": "External_Id__c"});
    for (job, csv, message) in [
        (of("insert"), "LastName,Nope,Nada\na,b,c\n", "InvalidBatch : Field name not found : Nope"),
        (of("insert"), "\u{feff}LastName\na\n", "InvalidBatch : Field name not found : \u{feff}LastName"),
        (
            of("insert"),
            "LastName,Acount.External_Id__c\na,b\n",
            "InvalidBatch : Field name not found : Acount.External_Id__c",
        ),
        (
            of("insert"),
            "LastName,Account:Account.External_Id__c\na,b\n",
            "InvalidBatch : type is not needed for non polymorphic foreign key references: Account",
        ),
        (
            of("insert"),
            "LastName,Account.Nope__c\na,b\n",
            "InvalidBatch : Field name not found : Account.Nope__c",
        ),
        (of("insert"), "LastName,Title,lastname\na,b,c\n", "InvalidBatch : Duplicate field name : lastname"),
        (of("update"), "LastName\na\n", "InvalidBatch : Field name not found : Id"),
        (of("upsert"), "LastName\na\n", "InvalidBatch : Field name not found : External_Id__c"),
        (
            of("insert"),
            "LastName\r\na\r\n",
            "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is LF",
        ),
        (of("insert"), "", "ClientInputError : Unable to find any data to create a batch"),
    ] {
        let failed = session.load(job, csv).await;
        assert_eq!((&failed["state"], &failed["errorMessage"]), (&json!("Failed"), &json!(message)), "{csv}");
        assert_eq!(failed["numberRecordsProcessed"], 0);
        // Read or not, no row is lost.
        let part = format!("ingest/{}/unprocessedrecords", failed["id"].as_str().unwrap());
        assert_eq!(session.text(&part).await.replace('"', ""), csv);
    }
    let failed = session.load(of("insert"), "LastName,Nope\na,\"b\nc\"\n").await;
    let left = session.text(&format!("ingest/{}/unprocessedrecords", failed["id"].as_str().unwrap())).await;
    assert_eq!(left, "\"LastName\",\"Nope\"\n\"a\",\"b\nc\"\n");
    assert!(session.org.ids("Contact").is_empty());
    let (_, all) = session.call(Method::GET, "jobs/ingest?isPkChunkingEnabled=false", Value::Null).await;
    assert_eq!((all["records"].as_array().unwrap().len(), &all["done"]), (11, &json!(true)));
}

#[tokio::test]
async fn a_job_is_refused_that_cannot_be_made_and_a_step_that_is_out_of_turn() {
    let session =
        Session::with(OrgOptions { upload_limit: 4_000, daily_bulk_batches: 1, ..OrgOptions::default() })
            .await;
    for (job, code) in [
        (insert("Nothing"), "INVALIDJOB"),
        (json!({"object": "Contact", "operation": "upsert"}), "INVALIDJOB"),
        (json!({"object": "Contact", "operation": "upsert", "externalIdFieldName": "Title"}), "INVALIDJOB"),
        (json!({"object": "Contact", "operation": "insert", "columnDelimiter": "COLON"}), "INVALIDJOB"),
        (json!({"object": "Contact", "operation": "hardDelete"}), "FEATURENOTENABLED"),
        (json!({"object": "Contact", "operation": "merge"}), "INVALIDOPERATION"),
    ] {
        let (status, refused) = session.call(Method::POST, "jobs/ingest", job).await;
        assert_eq!((status, refused[0]["errorCode"].as_str()), (400, Some(code)), "{refused}");
    }
    let id = session.make("ingest", insert("Contact")).await;
    let put = async |csv: String| {
        session.send(Method::PUT, &format!("ingest/{id}/batches"), csv).await.status().as_u16()
    };
    assert_eq!(put("x".repeat(4_001)).await, 413);
    assert_eq!(put("LastName\na\n".to_owned()).await, 201);
    assert_eq!(put("LastName\nb\n".to_owned()).await, 400);
    let (status, refused) = session.call(Method::DELETE, &format!("jobs/ingest/{id}"), Value::Null).await;
    assert_eq!((status, &refused[0]["errorCode"]), (400, &json!("INVALIDJOBSTATE")));
    assert_eq!(session.send(Method::GET, &format!("ingest/{id}/successfulResults"), "").await.status(), 400);
    assert_eq!(session.set_state("ingest", &id, "Open").await.0, 400);
    assert_eq!(session.set_state("ingest", &id, "UploadComplete").await.0, 200);
    session.until_over("ingest", &id).await;
    for state in ["UploadComplete", "Aborted"] {
        let (status, refused) = session.set_state("ingest", &id, state).await;
        assert_eq!((status, &refused[0]["errorCode"]), (400, &json!("INVALIDJOBSTATE")));
        assert!(refused[0]["message"].as_str().unwrap().ends_with("already JobComplete Job not allowed"));
    }
    let elsewhere = format!("{}/services/data/v61.0/jobs/ingest/{id}/successfulResults", session.base);
    assert_eq!(session.http.get(elsewhere).bearer_auth(&session.token).send().await.unwrap().status(), 409);
    assert_eq!(session.call(Method::DELETE, &format!("jobs/ingest/{id}"), Value::Null).await.0, 204);
    let (status, gone) = session.call(Method::GET, &format!("jobs/ingest/{id}"), Value::Null).await;
    assert_eq!(
        (status, gone),
        (404, json!([{"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}]))
    );
    let (_, limits) = session.call(Method::GET, "limits", Value::Null).await;
    assert_eq!(limits["DailyBulkApiBatches"], json!({"Max": 1, "Remaining": 0}));
    assert_eq!(limits["DailyBulkV2QueryFileStorageMB"], json!({"Max": 976_562, "Remaining": 976_562}));
    let (status, refused) = session.call(Method::POST, "jobs/ingest", insert("Contact")).await;
    assert_eq!((status, &refused[0]["errorCode"]), (400, &json!("EXCEEDEDQUOTA")));
}

#[tokio::test]
async fn rows_that_name_a_record_twice_or_misplace_a_quote_are_refused() {
    let session = Session::start().await;
    let (_, made) = session.create("Contact", json!({"LastName": "Ada", "Email": "ada@acme.example"})).await;
    let id = made["id"].as_str().unwrap();
    let csv = format!("Id,LastName\n{id},first\n{},second\n", &id[..15]);
    let job = session.load(json!({"object": "Contact", "operation": "update"}), &csv).await;
    let bad = session.rows(&job, "failedResults", "LastName").await;
    assert_eq!(bad["second"][1], format!("DUPLICATE_VALUE:duplicate id specified: {}:Id --", &id[..15]));
    assert_eq!((bad.len(), &session.org.record("Contact", id).unwrap()["LastName"]), (1, &json!("first")));
    let by = |key: &str| json!({"object": "Contact", "operation": "upsert", "externalIdFieldName": key});
    let job = session.load(by("Id"), &csv).await;
    assert_eq!(session.rows(&job, "failedResults", "LastName").await.len(), 2);

    let csv = "Email,LastName\nADA@acme.example,third\nbob@acme.example,\"Bob\" \n";
    let job = session.load(by("Email"), csv).await;
    let bad = session.rows(&job, "failedResults", "Email").await;
    assert!(bad["bob@acme.example"][1].starts_with("CLIENT_INPUT_ERROR:"), "{bad:?}");
    assert_eq!(session.org.record("Contact", id).unwrap()["LastName"], "third");
    // An address that was changed is found no more.
    session.call(Method::PATCH, &format!("sobjects/Contact/{id}"), json!({"Email": "a@acme.example"})).await;
    let job = session.load(by("Email"), "Email,LastName\nada@acme.example,other\n").await;
    assert_eq!(session.rows(&job, "successfulResults", "LastName").await["other"][1], "true");
}

fn leads(count: usize) -> String {
    let rows = (0..count).map(|at| format!("L{at:04},Acme\n"));
    std::iter::once("LastName,Company\n".to_owned()).chain(rows).collect()
}

#[tokio::test]
async fn a_job_can_be_held_and_ended_in_the_middle_and_its_results_come_in_any_order() {
    let session = Session::start().await;
    session.org.change_faults(|faults| faults.hold_jobs = Some(600));
    let id = session.make("ingest", insert("Lead")).await;
    session.send(Method::PUT, &format!("ingest/{id}/batches"), leads(1_500)).await;
    session.set_state("ingest", &id, "UploadComplete").await;
    let held = session.until("ingest", &id, |job| job["numberRecordsProcessed"] == 600).await;
    assert_eq!(held["state"], "InProgress");
    assert_eq!(session.set_state("ingest", &id, "Aborted").await.0, 200);
    let job = session.job("ingest", &id).await;
    assert_eq!((&job["state"], session.org.ids("Lead").len()), (&json!("Aborted"), 600));
    let good = session.rows(&job, "successfulResults", "LastName").await;
    let left = session.rows(&job, "unprocessedrecords", "LastName").await;
    assert_eq!((good.len(), left.len()), (600, 900));
    assert!(left.keys().all(|name| !good.contains_key(name)));
    let text = session.text(&format!("ingest/{id}/successfulResults")).await;
    let order: Vec<&str> = text.lines().skip(1).collect();
    assert!(!order.is_sorted() && !order.iter().rev().is_sorted());

    session.org.change_faults(|faults| (faults.hold_jobs, faults.fail_jobs) = (None, 1));
    let job = session.load(insert("Lead"), &leads(1_000)).await;
    assert_eq!((&job["state"], &job["numberRecordsProcessed"]), (&json!("Failed"), &json!(400)));
    assert!(job["errorMessage"].as_str().unwrap().starts_with("TooManyLockFailure"));
    assert_eq!(session.rows(&job, "unprocessedrecords", "LastName").await.len(), 600);
    assert_eq!(session.org.fault_counts().fail_jobs, 1);
}

#[tokio::test]
async fn a_query_gives_its_pages_by_locators_and_side_by_side() {
    let session = Session::with(OrgOptions { bulk_page: 100, ..OrgOptions::default() }).await;
    seed::populate(&session.org, 4_000, 5);
    let job = json!({"operation": "query", "query": "SELECT id, Account.Name, Score__c, Title, SystemModstamp, IsDeleted FROM contact"});
    let (_, made) = session.call(Method::POST, "jobs/query", job).await;
    assert_eq!((&made["state"], &made["object"]), (&json!("UploadComplete"), &json!("Contact")));
    let id = made["id"].as_str().unwrap();
    let over = session.until_over("query", id).await;
    assert_eq!(
        (&over["state"], &over["numberRecordsProcessed"], &over["jobType"]),
        (&json!("JobComplete"), &json!(1_200), &json!("V2Query"))
    );
    let page = async |locator: &str, most: usize| {
        let answer = session
            .send(Method::GET, &format!("query/{id}/results?maxRecords={most}&locator={locator}"), "")
            .await;
        assert_eq!(answer.status(), 200);
        let told = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        let (next, count) = (told("sforce-locator"), told("sforce-numberofrecords"));
        (answer.text().await.unwrap(), next, count)
    };
    let (first, next, count) = page("", 500).await;
    assert!(first.starts_with(
        "\"Id\",\"Account.Name\",\"Score__c\",\"Title\",\"SystemModstamp\",\"IsDeleted\"\n\"003"
    ));
    assert!(first.lines().nth(1).unwrap().ends_with(".000Z\",\"false\""));
    assert_eq!((first.lines().count(), count.as_str()), (501, "500"));
    let (second, last, _) = page(&next, 500).await;
    let (third, end, count) = page(&last, 500).await;
    assert_eq!((end.as_str(), count.as_str()), ("null", "200"));
    // As often as anybody asks.
    assert_eq!(page(&next, 500).await.0, second);
    let whole: Vec<String> =
        [&first, &second, &third].iter().flat_map(|page| page.lines().skip(1).map(str::to_owned)).collect();
    assert!(whole.is_sorted() && whole.len() == 1_200);

    let (mut path, mut urls) = (format!("jobs/query/{id}/resultPages"), Vec::new());
    loop {
        let (_, pages) = session.call(Method::GET, &path, Value::Null).await;
        let some = pages["resultPages"].as_array().unwrap();
        assert!(some.len() <= 5);
        urls.extend(some.iter().map(|page| page["resultUrl"].as_str().unwrap().to_owned()));
        match pages["nextRecordsUrl"].as_str() {
            Some(next) => path = next.trim_start_matches("/services/data/v62.0/").to_owned(),
            None => break assert_eq!(pages["done"], true),
        }
    }
    assert_eq!(urls.len(), 12);
    let mut parts = Vec::new();
    for url in urls.iter().rev() {
        let answer = session.http.get(format!("{}{url}", session.base)).bearer_auth(&session.token);
        let text = answer.send().await.unwrap().text().await.unwrap();
        parts.extend(text.lines().skip(1).map(str::to_owned));
    }
    parts.sort();
    assert_eq!(parts, whole);
    // The second is the greatest of numbers.
    for locator in ["nonsense", "MTg0NDY3NDQwNzM3MDk1NTE2MTU"] {
        for resource in ["results", "resultPages"] {
            let path = format!("query/{id}/{resource}?locator={locator}");
            assert_eq!(session.send(Method::GET, &path, "").await.status(), 400);
        }
    }
}

#[tokio::test]
async fn a_query_job_is_refused_held_ended_and_reads_deleted_records_too() {
    let session = Session::with(OrgOptions { daily_query_jobs: 3, ..OrgOptions::default() }).await;
    for (query, code, message) in [
        ("SELECT COUNT(Id) FROM Contact", "API_ERROR", "Aggregate Relationships not supported in Bulk Query"),
        (
            "SELECT Id, (SELECT Id FROM Contacts) FROM Account",
            "API_ERROR",
            "Nested Relationships not supported in Bulk Query",
        ),
        ("SELECT Id FROM Contact OFFSET 3", "API_ERROR", "Offset not supported in Bulk Query"),
        ("SELECT Nope FROM Contact", "INVALID_FIELD", "No such column 'Nope'"),
        ("SELECT Id FROM Contact WHERE", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
    ] {
        let (status, refused) =
            session.call(Method::POST, "jobs/query", json!({"operation": "query", "query": query})).await;
        assert_eq!((status, refused[0]["errorCode"].as_str()), (400, Some(code)), "{refused}");
        assert!(refused[0]["message"].as_str().unwrap().contains(message), "{refused}");
    }
    let (_, made) = session.create("Contact", json!({"LastName": "Ada"})).await;
    session.create("Contact", json!({"LastName": "Bob, \"B\""})).await;
    let gone = format!("sobjects/Contact/{}", made["id"].as_str().unwrap());
    session.call(Method::DELETE, &gone, Value::Null).await;
    let asks = |operation: &str| json!({"operation": operation, "query": "SELECT LastName FROM Contact ORDER BY LastName", "columnDelimiter": "SEMICOLON"});
    for (operation, found) in [
        ("query", "\"LastName\"\n\"Bob, \"\"B\"\"\"\n"),
        ("queryAll", "\"LastName\"\n\"Ada\"\n\"Bob, \"\"B\"\"\"\n"),
    ] {
        let id = session.make("query", asks(operation)).await;
        let over = session.until_over("query", &id).await;
        assert_eq!((&over["operation"], &over["isPkChunkingSupported"]), (&json!(operation), &json!(false)));
        assert_eq!(session.text(&format!("query/{id}/results")).await, found);
    }
    session.org.change_faults(|faults| faults.hold_jobs = Some(0));
    let id = session.make("query", asks("query")).await;
    assert_eq!(session.send(Method::GET, &format!("query/{id}/results"), "").await.status(), 400);
    assert_eq!(session.set_state("query", &id, "Aborted").await.1["state"], "Aborted");
    let (status, refused) = session.call(Method::POST, "jobs/query", asks("query")).await;
    assert_eq!((status, &refused[0]["errorCode"]), (400, &json!("LIMIT_EXCEEDED")));
    assert_eq!(refused[0]["message"], "Max bulk v2 query jobs (3) per 24 hrs has been reached (4).");
    let (_, limits) = session.call(Method::GET, "limits", Value::Null).await;
    assert_eq!(limits["DailyBulkV2QueryJobs"], json!({"Max": 3, "Remaining": 0}));
    assert_eq!(limits["DailyBulkV2QueryFileStorageMB"], json!({"Max": 976_562, "Remaining": 976_561}));
    assert_eq!(session.call(Method::DELETE, &format!("jobs/query/{id}"), Value::Null).await.0, 204);
    assert_eq!(session.job("query", &id).await[0]["errorCode"], "NOT_FOUND");
}

#[tokio::test]
async fn a_request_is_answered_as_somebody_ordered_and_not_carried_out() {
    let session = Session::start().await;
    let order = json!({"answer": {"to": "PATCH jobs/ingest", "status": 502, "body": "<html>busy</html>", "content_type": "text/html", "times": 1}});
    let ordered = session.http.post(format!("{}/_simulator/faults", session.base)).json(&order);
    assert_eq!(ordered.send().await.unwrap().status(), 204);
    let id = session.make("ingest", insert("Contact")).await;
    assert_eq!(
        session.send(Method::PUT, &format!("ingest/{id}/batches"), "LastName\nAda\n").await.status(),
        201
    );
    let close = async || {
        let path = format!("ingest/{id}");
        session.send(Method::PATCH, &path, json!({"state": "UploadComplete"}).to_string()).await
    };
    let busy = close().await;
    assert_eq!(
        (busy.status().as_u16(), &busy.headers()["content-type"]),
        (502, &"text/html".parse().unwrap())
    );
    assert_eq!(busy.text().await.unwrap(), "<html>busy</html>");
    assert_eq!(session.job("ingest", &id).await["state"], "Open");
    assert_eq!(session.org.fault_counts().answer, 1);
    // Once, and never another one.
    assert_eq!(close().await.status(), 200);
    assert_eq!(session.until_over("ingest", &id).await["state"], "JobComplete");
}

#[tokio::test]
async fn what_another_system_keeps_is_not_read_in_bulk_and_airbytes_source_goes_on_by_queries() {
    let session = Session::start().await;
    let query = json!({"operation": "queryAll", "query": "SELECT ExternalId FROM Stock__x"});
    let (status, refused) = session.call(Method::POST, "jobs/query", query).await;
    assert_eq!(
        (status, refused),
        (
            400,
            json!([{"errorCode": "INVALIDENTITY", "message": "Entity 'Stock__x' is not supported by the Bulk API."}])
        )
    );
    let (status, refused) = session.call(Method::POST, "jobs/ingest", insert("Stock__x")).await;
    assert_eq!((status, &refused[0]["errorCode"]), (400, &json!("INVALIDENTITY")));
}
