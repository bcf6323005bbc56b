//! The Bulk API before 2.0, by requests and answers as its guide shows them.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use syncdeck::simulator::OrgOptions;

use super::Session;

/// What is answered: status, type and text.
type Answered = (u16, String, String);

impl Session {
    async fn classic(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answered {
        let url = format!("{}/services/async/61.0/{path}", self.base);
        let request = self.http.request(method, url).header("X-SFDC-Session", &self.token);
        let answer = request.header("Content-Type", kind).body(body).send().await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), kind, answer.text().await.unwrap())
    }

    /// A job that tells of itself in XML.
    async fn classic_job(&self, operation: &str, object: &str, more: &str) -> String {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<jobInfo xmlns=\"http://www.force.com/2009/06/asyncapi/dataload\">\
             <operation>{operation}</operation><object>{object}</object>{more}<contentType>CSV</contentType></jobInfo>"
        );
        let (status, _, made) =
            self.classic(Method::POST, "job", "application/xml; charset=utf-8", body).await;
        assert_eq!((status, tag(&made, "state")), (201, "Open"), "{made}");
        tag(&made, "id").to_owned()
    }

    /// Adds a batch of CSV, or a query; its id.
    async fn batch(&self, job: &str, text: &str) -> String {
        let (status, _, made) =
            self.classic(Method::POST, &format!("job/{job}/batch"), "text/csv", text.to_owned()).await;
        assert_eq!((status, tag(&made, "jobId")), (201, job), "{made}");
        tag(&made, "id").to_owned()
    }

    /// Asks until a batch is over.
    async fn batch_over(&self, job: &str, batch: &str) -> String {
        let asked = async {
            loop {
                let path = format!("job/{job}/batch/{batch}");
                let (_, _, told) = self.classic(Method::GET, &path, "application/xml", "").await;
                if !["Queued", "InProgress"].contains(&tag(&told, "state")) {
                    return told;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(600), asked).await.unwrap()
    }

    async fn result(&self, job: &str, batch: &str, rest: &str) -> String {
        let path = format!("job/{job}/batch/{batch}/result{rest}");
        let (status, _, text) = self.classic(Method::GET, &path, "application/xml", "").await;
        assert_eq!(status, 200, "{text}");
        text
    }
}

/// What stands in the first element of a name.
fn tag<'a>(text: &'a str, name: &str) -> &'a str {
    let start = text.find(&format!("<{name}>")).map_or(text.len(), |at| at + name.len() + 2);
    text[start..].split('<').next().unwrap()
}

#[tokio::test]
async fn tap_salesforces_job_is_json_its_batch_xml_and_its_rows_csv() {
    let session = Session::start().await;
    session.create("Contact", json!({"LastName": "Ada", "Birthdate": "1815-12-10"})).await;
    let gone =
        session.create("Contact", json!({"LastName": "Bob"})).await.1["id"].as_str().unwrap().to_owned();
    session.org.user_delete("Contact", &gone).unwrap();

    let body = json!({"operation": "queryAll", "object": "Contact", "contentType": "CSV"}).to_string();
    let (status, kind, made) = session.classic(Method::POST, "job", "application/json", body).await;
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!((status, kind.as_str(), &made["apiVersion"]), (201, "application/json", &json!(61.0)));
    let job = made["id"].as_str().unwrap();
    assert!(job.starts_with("750") && made["externalIdFieldName"].is_null());
    let soql = "SELECT LastName,Birthdate,IsDeleted FROM Contact WHERE SystemModstamp >= 2020-01-01T00:00:00.000000Z  ORDER BY SystemModstamp ASC";
    let batch = session.batch(job, soql).await;
    let closed = json!({"state": "Closed"}).to_string();
    let (status, _, closed) =
        session.classic(Method::POST, &format!("job/{job}"), "application/json", closed).await;
    let closed: Value = serde_json::from_str(&closed).unwrap();
    assert_eq!((status, &closed["state"], &closed["numberBatchesTotal"]), (200, &json!("Closed"), &json!(1)));

    let told = session.batch_over(job, &batch).await;
    assert!(told.starts_with(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><batchInfo xmlns=\"http://www.force.com/2009/06/asyncapi/dataload\"><id>751"
    ));
    assert_eq!((tag(&told, "state"), tag(&told, "numberRecordsProcessed")), ("Completed", "2"));
    assert!(tag(&told, "createdDate").ends_with(".000Z") && !told.contains("stateMessage"), "{told}");
    let list = session.result(job, &batch, "").await;
    assert!(
        list.contains("<result-list xmlns=\"http://www.force.com/2009/06/asyncapi/dataload\"><result>752")
    );
    let rows = session.result(job, &batch, &format!("/{}", tag(&list, "result"))).await;
    assert_eq!(
        rows,
        "\"LastName\",\"Birthdate\",\"IsDeleted\"\n\"Ada\",\"1815-12-10\",\"false\"\n\"Bob\",\"\",\"true\"\n"
    );

    // It is no job of Bulk API 2.0.
    for path in [format!("jobs/query/{batch}"), format!("jobs/query/{batch}/results")] {
        assert_eq!(session.call(Method::GET, &path, Value::Null).await.0, 404);
    }
    assert_eq!(session.call(Method::GET, "jobs/query", Value::Null).await.1["records"], json!([]));
    let (_, _, again) = session
        .classic(Method::POST, &format!("job/{job}/batch"), "text/csv", "SELECT Id FROM Contact")
        .await;
    assert_eq!(tag(&again, "exceptionCode"), "InvalidJobState");
}

#[tokio::test]
async fn a_query_that_fails_says_why_and_one_that_runs_too_long_is_read_in_chunks() {
    let session = Session::start().await;
    for name in ["a", "b", "c"] {
        session.create("Account", json!({"Name": name})).await;
    }
    let job = session.classic_job("query", "Account", "").await;
    let batch = session.batch(&job, "SELECT Nope FROM Account").await;
    let told = session.batch_over(&job, &batch).await;
    assert_eq!(tag(&told, "state"), "Failed");
    assert!(
        tag(&told, "stateMessage").starts_with("InvalidBatch : Failed to process query: INVALID_FIELD: ")
    );
    let batch = session.batch(&job, "SELECT Name FROM Account WHERE Name = 'z'").await;
    session.batch_over(&job, &batch).await;
    let list = session.result(&job, &batch, "").await;
    let none = session.result(&job, &batch, &format!("/{}", tag(&list, "result"))).await;
    assert_eq!(none, "Records not found for this query");

    session.org.change_faults(|faults| faults.query_timeout = 1);
    let batch = session.batch(&job, "SELECT Name FROM Account").await;
    let told = session.batch_over(&job, &batch).await;
    assert!(tag(&told, "stateMessage").contains("QUERY_TIMEOUT"), "{told}");

    // As tap-salesforce goes on then.
    let url = format!("{}/services/async/61.0/job", session.base);
    let request = session.http.post(url).header("X-SFDC-Session", &session.token);
    let body = json!({"operation": "queryAll", "object": "Account", "contentType": "CSV"});
    let made =
        request.header("Sforce-Enable-PKChunking", "true; chunkSize=2").json(&body).send().await.unwrap();
    let job = made.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    let first = session.batch(&job, "SELECT Name FROM Account").await;
    let path = format!("job/{job}/batch");
    let (_, _, list) = session.classic(Method::GET, &path, "application/json", "").await;
    let batches: Vec<&str> = list.split("<batchInfo>").skip(1).map(|batch| tag(batch, "id")).collect();
    assert_eq!((batches.len(), batches[0]), (3, first.as_str()), "{list}");
    assert_eq!(tag(&session.batch_over(&job, &first).await, "state"), "NotProcessed");
    let mut names = String::new();
    for batch in &batches[1..] {
        assert_eq!(tag(&session.batch_over(&job, batch).await, "state"), "Completed");
        let list = session.result(&job, batch, "").await;
        names += &session.result(&job, batch, &format!("/{}", tag(&list, "result"))).await;
    }
    assert_eq!(names, "\"Name\"\n\"a\"\n\"b\"\n\"Name\"\n\"c\"\n");
}

#[tokio::test]
async fn jsforces_batches_of_csv_are_written_and_told_of_in_their_order() {
    let session = Session::start().await;
    let key = "<externalIdFieldName>External_Id__c</externalIdFieldName>";
    let job = session.classic_job("upsert", "Contact", key).await;
    let text = "External_Id__c,LastName,Title\r\nK1,Ada,\r\nK2,,x\r\n";
    let batch = session.batch(&job, text).await;
    let told = session.batch_over(&job, &batch).await;
    assert_eq!((tag(&told, "numberRecordsProcessed"), tag(&told, "numberRecordsFailed")), ("2", "1"));
    let id = session.org.find_by_external_id("Contact", "K1").unwrap();
    assert_eq!(
        session.result(&job, &batch, "").await,
        format!(
            "\"Id\",\"Success\",\"Created\",\"Error\"\n\"{id}\",\"true\",\"true\",\"\"\n\
             \"\",\"false\",\"false\",\"REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --\"\n"
        )
    );
    let path = format!("job/{job}/batch/{batch}/request");
    assert_eq!(session.classic(Method::GET, &path, "text/csv", "").await.2, text);
    let wrong = session.batch(&job, "External_Id__c,Nope\nK3,x\n").await;
    let told = session.batch_over(&job, &wrong).await;
    assert_eq!(
        (tag(&told, "state"), tag(&told, "stateMessage")),
        ("Failed", "InvalidBatch : Field name not found : Nope")
    );
    let abort = "<jobInfo><state>Aborted</state></jobInfo>";
    let (status, _, told) =
        session.classic(Method::POST, &format!("job/{job}"), "application/xml", abort).await;
    assert_eq!((status, tag(&told, "state"), tag(&told, "numberBatchesFailed")), (200, "Aborted", "1"));
}

#[tokio::test]
async fn simple_salesforces_batches_of_json_have_instants_in_milliseconds() {
    let session = Session::start().await;
    let account = session.create("Account", json!({"Name": "Acme", "External_Id__c": "A1"})).await.1;
    let ask = async |method: Method, path: &str, body: Value| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, kind, text) = session.classic(method, path, "application/json", body).await;
        assert_eq!(kind, "application/json");
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    let job = async |operation: &str| {
        let body =
            json!({"operation": operation, "object": "Contact", "contentType": "JSON", "concurrencyMode": 0});
        let (status, made) = ask(Method::POST, "job", body).await;
        assert_eq!(status, 201, "{made}");
        made["id"].as_str().unwrap().to_owned()
    };
    let over = async |path: String| loop {
        let (_, told) = ask(Method::GET, &path, Value::Null).await;
        if told["state"] != "Queued" && told["state"] != "InProgress" {
            return told;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let inserts = job("insert").await;
    let records = json!([
        {"LastName": "Ada", "Birthdate": "1970-01-02", "Account": {"External_Id__c": "A1"}, "Title": null},
        {"LastName": "Bob", "Email": "no"},
    ]);
    let (status, made) = ask(Method::POST, &format!("job/{inserts}/batch"), records).await;
    assert_eq!((status, &made["stateMessage"]), (201, &Value::Null));
    let path = format!("job/{inserts}/batch/{}", made["id"].as_str().unwrap());
    assert_eq!(over(path.clone()).await["state"], "Completed");
    let (_, results) = ask(Method::GET, &format!("{path}/result"), Value::Null).await;
    assert_eq!((&results[0]["success"], &results[0]["created"]), (&json!(true), &json!(true)));
    assert_eq!(
        results[1],
        json!({"success": false, "created": false, "id": null, "errors": [{"statusCode": "INVALID_EMAIL_ADDRESS",
            "message": "Email: invalid email address: no", "fields": ["Email"]}]})
    );
    let id = results[0]["id"].as_str().unwrap();
    assert_eq!(session.org.record("Contact", id).unwrap()["AccountId"], account["id"]);

    let queries = job("query").await;
    let soql = "SELECT LastName, Birthdate, SystemModstamp, Account.CreatedDate FROM Contact";
    let (_, _, made) =
        session.classic(Method::POST, &format!("job/{queries}/batch"), "application/json", soql).await;
    let made: Value = serde_json::from_str(&made).unwrap();
    let path = format!("job/{queries}/batch/{}", made["id"].as_str().unwrap());
    assert_eq!(over(path.clone()).await["state"], "Completed");
    let (_, list) = ask(Method::GET, &format!("{path}/result"), Value::Null).await;
    let (_, rows) =
        ask(Method::GET, &format!("{path}/result/{}", list[0].as_str().unwrap()), Value::Null).await;
    assert_eq!(
        (&rows[0]["attributes"]["type"], &rows[0]["Birthdate"]),
        (&json!("Contact"), &json!(86_400_000))
    );
    let now = chrono::Utc::now().timestamp_millis();
    for instant in [&rows[0]["SystemModstamp"], &rows[0]["Account"]["CreatedDate"]] {
        assert!(now - instant.as_i64().unwrap() < 3_600_000, "{rows}");
    }
}

#[tokio::test]
async fn the_bulk_api_before_2_0_refuses_in_words_of_its_own() {
    let session = Session::start().await;
    let url = format!("{}/services/async/61.0/job/750000000000000AAA", session.base);
    let stale = session.http.get(&url).header("X-SFDC-Session", "stale").send().await.unwrap();
    assert_eq!(stale.status(), 400);
    let stale = stale.text().await.unwrap();
    assert!(stale.contains("<exceptionCode>InvalidSessionId</exceptionCode>"), "{stale}");
    let refused = async |body: Value| {
        let (status, _, text) =
            session.classic(Method::POST, "job", "application/json", body.to_string()).await;
        assert_eq!(status, 400);
        serde_json::from_str::<Value>(&text).unwrap()["exceptionCode"].as_str().unwrap().to_owned()
    };
    for (body, code) in [
        (json!({"operation": "query", "object": "Nope", "contentType": "CSV"}), "InvalidJob"),
        (json!({"operation": "query", "object": "Stock__x", "contentType": "CSV"}), "InvalidEntity"),
        (json!({"operation": "merge", "object": "Contact", "contentType": "CSV"}), "InvalidJob"),
        (json!({"operation": "hardDelete", "object": "Contact", "contentType": "CSV"}), "FeatureNotEnabled"),
        (json!({"operation": "upsert", "object": "Contact", "contentType": "CSV"}), "InvalidJob"),
        (json!({"operation": "insert", "object": "Contact"}), "InvalidJob"),
    ] {
        assert_eq!(refused(body).await, code);
    }
    let (_, _, unknown) =
        session.classic(Method::GET, "job/750000000000000AAA", "application/json", "").await;
    assert_eq!(serde_json::from_str::<Value>(&unknown).unwrap()["exceptionCode"], "InvalidJob");
}

#[tokio::test]
async fn a_batch_of_too_many_records_fails_and_none_of_them_is_written() {
    let session = Session::start().await;
    let job = session.classic_job("insert", "Contact", "").await;
    let exceeded = "InvalidBatch : Exceeded number of records: 10001. Number of records should be less than or equal to 10000";
    let batch = session.batch(&job, &format!("LastName\n{}", "Ada\n".repeat(10_001))).await;
    let told = session.batch_over(&job, &batch).await;
    assert_eq!((tag(&told, "state"), tag(&told, "stateMessage")), ("Failed", exceeded));

    let body = json!({"operation": "insert", "object": "Contact", "contentType": "JSON"}).to_string();
    let (_, _, made) = session.classic(Method::POST, "job", "application/json", body).await;
    let job = serde_json::from_str::<Value>(&made).unwrap()["id"].as_str().unwrap().to_owned();
    let failed = async |records: Vec<Value>| {
        let path = format!("job/{job}/batch");
        let body = Value::from(records).to_string();
        let (_, _, told) = session.classic(Method::POST, &path, "application/json", body).await;
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["state"], "Failed", "{told}");
        told["stateMessage"].as_str().unwrap().to_owned()
    };
    assert_eq!(failed(vec![json!({"LastName": "Ada"}); 10_001]).await, exceeded);
    // Each names a field that no other does.
    let wide = (0..5_001).map(|at| json!({format!("F{at}"): 1})).collect();
    assert_eq!(failed(wide).await, "InvalidBatch : Exceeded number of fields: 5000");
    assert_eq!(session.query("SELECT Id FROM Contact").await.1["totalSize"], 0);
}

#[tokio::test]
async fn a_query_in_more_chunks_than_the_day_has_batches_fails_as_a_whole() {
    let session = Session::with(OrgOptions { daily_bulk_batches: 4, ..OrgOptions::default() }).await;
    for name in ["a", "b", "c"] {
        session.create("Account", json!({"Name": name})).await;
    }
    let url = format!("{}/services/async/61.0/job", session.base);
    let request = session.http.post(url).header("X-SFDC-Session", &session.token);
    let body = json!({"operation": "query", "object": "Account", "contentType": "CSV"});
    let made = request.header("Sforce-Enable-PKChunking", "chunkSize=1").json(&body).send().await.unwrap();
    let job = made.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    // Which chunks there are is told by the job's object alone.
    let other = session.batch(&job, "SELECT LastName FROM Contact").await;
    let told = session.batch_over(&job, &other).await;
    assert_eq!(
        (tag(&told, "state"), tag(&told, "stateMessage")),
        ("Failed", "InvalidBatch : The job is of Account, and the query asks for Contact")
    );
    // Three chunks, and the batch that asks for them.
    let batch = session.batch(&job, "SELECT Name FROM Account").await;
    let told = session.batch_over(&job, &batch).await;
    assert_eq!(
        (tag(&told, "state"), tag(&told, "stateMessage")),
        ("Failed", "ExceededQuota : ApiBatchItems Limit exceeded.")
    );
    let (_, _, told) = session.classic(Method::GET, &format!("job/{job}"), "application/xml", "").await;
    assert_eq!(tag(&told, "numberBatchesTotal"), "2");
}

#[tokio::test]
async fn jobs_that_nobody_closes_are_forgotten_before_there_are_too_many() {
    let session = Session::start().await;
    let first = session.classic_job("query", "Account", "").await;
    let second = session.classic_job("query", "Account", "").await;
    for _ in 0..199 {
        session.classic_job("query", "Account", "").await;
    }
    let known =
        async |job: &str| session.classic(Method::GET, &format!("job/{job}"), "application/xml", "").await.0;
    assert_eq!((known(&first).await, known(&second).await), (200, 200));
    session.classic_job("query", "Account", "").await;
    assert_eq!((known(&first).await, known(&second).await), (400, 200));
}

#[tokio::test]
async fn much_that_is_found_is_read_in_several_results() {
    let session = Session::with(OrgOptions { bulk_page: 2, ..OrgOptions::default() }).await;
    for name in ["a", "b", "c"] {
        session.create("Account", json!({"Name": name})).await;
    }
    let job = session.classic_job("query", "Account", "").await;
    let batch = session.batch(&job, "SELECT Name FROM Account").await;
    session.batch_over(&job, &batch).await;
    let list = session.result(&job, &batch, "").await;
    let results: Vec<&str> =
        list.split("<result>").skip(1).map(|piece| piece.split('<').next().unwrap()).collect();
    assert_eq!(results.len(), 2, "{list}");
    let first = session.result(&job, &batch, &format!("/{}", results[0])).await;
    let second = session.result(&job, &batch, &format!("/{}", results[1])).await;
    assert_eq!((first.as_str(), second.as_str()), ("\"Name\"\n\"a\"\n\"b\"\n", "\"Name\"\n\"c\"\n"));
    let path = format!("job/{job}/batch/{batch}/result/{batch}");
    let (status, _, told) = session.classic(Method::GET, &path, "application/xml", "").await;
    assert_eq!((status, tag(&told, "exceptionCode")), (400, "InvalidBatch"));
}

#[tokio::test]
async fn an_org_may_have_no_bulk_api_before_2_0() {
    let session = Session::with(OrgOptions { classic_bulk: false, ..OrgOptions::default() }).await;
    let body = json!({"operation": "query", "object": "Account", "contentType": "CSV"}).to_string();
    let (status, _, told) = session.classic(Method::POST, "job", "application/json", body).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((status, &told["exceptionCode"]), (400, &json!("FeatureNotEnabled")));
}
