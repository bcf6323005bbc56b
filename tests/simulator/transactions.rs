//! What others see of a transaction, what becomes of one that fails, and what does not grow without end.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use syncdeck::simulator::{Org, OrgOptions};

use super::Session;

const BASE: &str = "/services/data/v62.0";

fn part(method: &str, path: &str, body: Value) -> Value {
    json!({"method": method, "url": format!("{BASE}/{path}"), "referenceId": path.replace(['/', '?', '=', '+'], "_"),
        "body": body})
}

impl Session {
    /// Sends a composite request aside and waits until a test holds it.
    async fn held(&self, parts: Value) -> tokio::task::JoinHandle<Value> {
        let body = json!({"allOrNone": true, "compositeRequest": parts});
        let request = self.http.post(format!("{}{BASE}/composite", self.base)).bearer_auth(&self.token);
        let sent =
            tokio::spawn(
                async move { request.json(&body).send().await.unwrap().json::<Value>().await.unwrap() },
            );
        while self.org.fault_counts().hold_composite == 0 {
            assert!(!sent.is_finished(), "it is answered without having been held");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        sent
    }

    async fn count(&self, soql: &str) -> Value {
        self.query(soql).await.1["totalSize"].clone()
    }
}

/// Lets what is held go on, also where the test fails: a runtime that ends waits for it.
struct Lift<'a>(&'a Org);

impl Drop for Lift<'_> {
    fn drop(&mut self) {
        self.0.change_faults(|faults| faults.hold_composite = None);
    }
}

#[tokio::test]
async fn who_reads_is_served_while_a_transaction_is_open_and_sees_nothing_of_it() {
    let session = Session::start().await;
    let old = session.create("Contact", json!({"LastName": "Old", "External_Id__c": "K"})).await.1;
    let old = old["id"].as_str().unwrap().to_owned();
    session.org.select_entity("Contact");
    let seq = session.org.journal_since(0).len();
    session.org.change_faults(|faults| faults.hold_composite = Some(3));
    let _lift = Lift(&session.org);
    let parts = json!([
        part("POST", "sobjects/Contact", json!({"LastName": "New", "External_Id__c": "N"})),
        part(
            "PATCH",
            &format!("sobjects/Contact/{old}"),
            json!({"LastName": "Changed", "External_Id__c": "L"})
        ),
        part("GET", "query?q=SELECT+Id+FROM+Contact+WHERE+External_Id__c='L'", Value::Null),
        part("GET", "query?q=SELECT+Id+FROM+Contact", Value::Null),
    ]);
    let sent = session.held(parts).await;

    assert_eq!(session.count("SELECT Id FROM Contact").await, 1);
    assert_eq!(session.count("SELECT Id FROM Contact WHERE External_Id__c = 'K'").await, 1);
    assert_eq!(session.count("SELECT Id FROM Contact WHERE External_Id__c IN ('L', 'N')").await, 0);
    // Whoever has had two keys is found by the one that is committed, and once.
    assert_eq!(session.count("SELECT Id FROM Contact WHERE External_Id__c IN ('K', 'L', 'N')").await, 1);
    let by_key = async |key: &str| {
        session.call(Method::GET, &format!("sobjects/Contact/External_Id__c/{key}"), Value::Null).await
    };
    let (status, record) = by_key("K").await;
    assert_eq!((status, &record["LastName"]), (200, &json!("Old")));
    assert_eq!((by_key("L").await.0, by_key("N").await.0), (404, 404));
    let path = format!("composite/sobjects/Contact?ids={old}&fields=LastName");
    let (_, found) = session.call(Method::GET, &path, Value::Null).await;
    assert_eq!(found[0]["LastName"], "Old");
    assert_eq!(session.call(Method::GET, "sobjects/Contact/describe", Value::Null).await.0, 200);
    let reading = json!({"compositeRequest": [part("GET", &format!("sobjects/Contact/{old}?fields=LastName"), Value::Null)]});
    let (_, read) = session.call(Method::POST, "composite", reading).await;
    assert_eq!(read["compositeResponse"][0]["body"]["LastName"], "Old");
    assert_eq!(session.org.find_by_external_id("Contact", "K").as_deref(), Some(old.as_str()));
    assert_eq!((session.org.ids("Contact").len(), session.org.journal_since(0).len()), (1, seq));
    assert_eq!(session.org.record("Contact", &old).unwrap()["LastName"], "Old");

    session.org.change_faults(|faults| faults.hold_composite = None);
    let answer = sent.await.unwrap();
    let parts = answer["compositeResponse"].as_array().unwrap();
    let statuses: Vec<u64> = parts.iter().map(|part| part["httpStatusCode"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [201, 204, 200, 200]);
    // It saw itself what it wrote.
    assert_eq!((&parts[2]["body"]["totalSize"], &parts[3]["body"]["totalSize"]), (&json!(1), &json!(2)));
    assert_eq!(session.count("SELECT Id FROM Contact WHERE External_Id__c IN ('L', 'N')").await, 2);
    assert_eq!(session.org.journal_since(0).len(), seq + 2);
}

#[tokio::test]
async fn a_transaction_that_fails_leaves_every_record_and_every_key_as_it_was() {
    let session = Session::start().await;
    let mut ids = Vec::new();
    for key in ["A", "B"] {
        let fields = json!({"LastName": key, "External_Id__c": key, "Email": format!("{key}@x.example")});
        ids.push(session.create("Contact", fields).await.1["id"].as_str().unwrap().to_owned());
    }
    let before: Vec<_> = ids.iter().map(|id| session.org.record("Contact", id)).collect();
    let (journal, path) = (session.org.journal_since(0).len(), |id: &str| format!("sobjects/Contact/{id}"));
    let inner = json!({"allOrNone": true, "records": [
        {"attributes": {"type": "Contact"}, "LastName": "Inner", "External_Id__c": "I"},
        {"attributes": {"type": "Contact"}},
    ]});
    let parts = json!([
        part("PATCH", &path(&ids[0]), json!({"External_Id__c": "Z", "LastName": "Zed"})),
        part("DELETE", &path(&ids[1]), Value::Null),
        part(
            "POST",
            "sobjects/Contact",
            json!({"LastName": "New", "External_Id__c": "A", "Email": "a@x.example"})
        ),
        part("POST", "composite/sobjects", inner),
        part("PATCH", "sobjects/Contact/External_Id__c/A", json!({"LastName": "Newer"})),
        part("POST", "sobjects/Contact?x", json!({"FirstName": "nobody"})),
    ]);
    let body = json!({"allOrNone": true, "compositeRequest": parts});
    let (_, answer) = session.call(Method::POST, "composite", body).await;
    let last = &answer["compositeResponse"][5]["body"][0]["errorCode"];
    assert_eq!(last, "REQUIRED_FIELD_MISSING", "{answer}");
    let after: Vec<_> = ids.iter().map(|id| session.org.record("Contact", id)).collect();
    assert_eq!((after, session.org.journal_since(0).len()), (before, journal));
    assert_eq!(session.org.ids("Contact"), ids);
    for (key, id) in ["A", "B"].iter().zip(&ids) {
        assert_eq!(session.org.find_by_external_id("Contact", key).as_ref(), Some(id));
    }
    assert_eq!(session.org.find_by_external_id("Contact", "Z"), None);
    // The next record has the id that was taken back.
    let next = session.create("Contact", json!({"LastName": "Next", "External_Id__c": "Z"})).await;
    assert_eq!((next.0, session.org.ids("Contact").len()), (201, 3));
    let path = "sobjects/Contact/Email/a@x.example";
    assert_eq!(session.call(Method::GET, path, Value::Null).await.1["LastName"], "A");
}

#[tokio::test]
async fn the_journal_keeps_the_newest_and_says_how_many_it_forgot() {
    let session = Session::with(OrgOptions { kept_writes: 3, ..OrgOptions::default() }).await;
    for name in ["a", "b", "c", "d", "e"] {
        session.create("Contact", json!({"LastName": name})).await;
    }
    let ask = async |path: &str| {
        let answer =
            session.http.get(format!("{}/_simulator/journal{path}", session.base)).send().await.unwrap();
        let forgotten = answer.headers()["simulator-journal-forgotten"].to_str().unwrap().to_owned();
        let entries: Value = answer.json().await.unwrap();
        let of = |entry: &Value| (entry["seq"].as_u64().unwrap(), entry["fields"]["LastName"].clone());
        (forgotten, entries.as_array().unwrap().iter().map(of).collect::<Vec<_>>())
    };
    let (forgotten, entries) = ask("").await;
    assert_eq!(forgotten, "2");
    assert_eq!(entries, [(3, json!("c")), (4, json!("d")), (5, json!("e"))]);
    assert_eq!(ask("?since=4").await.1, [(5, json!("e"))]);
    assert_eq!(session.org.journal_forgotten(), 2);
}

#[tokio::test]
async fn the_journal_tells_what_was_emptied_and_an_ambiguous_parent_is_refused() {
    let session = Session::start().await;
    let created = session
        .create("Contact", json!({"LastName": "Doe", "Phone": "+1 415 555 2671", "Email": "x@acme.com"}))
        .await
        .1;
    let path = format!("sobjects/Contact/{}", created["id"].as_str().unwrap());
    session.call(Method::PATCH, &path, json!({"Phone": null})).await;
    let journal = session.org.journal_since(0);
    assert_eq!(journal.last().unwrap().fields, *json!({"Phone": null}).as_object().unwrap());
    session.create("Contact", json!({"LastName": "Roe", "Email": "x@acme.com"})).await;
    let (status, answer) =
        session.create("Case", json!({"Subject": "S", "Contact": {"Email": "x@acme.com"}})).await;
    assert_eq!((status, &answer[0]["errorCode"]), (400, &json!("DUPLICATE_EXTERNAL_ID")), "{answer}");
}
