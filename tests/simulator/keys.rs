//! Records that are found to be written: by Id, by a key, by an e-mail address; and what is named twice.

use reqwest::Method;
use serde_json::{Value, json};

use super::Session;

impl Session {
    async fn upsert(&self, key: &str, records: Value) -> Value {
        let mut records = records;
        for record in records.as_array_mut().unwrap() {
            record["attributes"] = json!({"type": "Contact"});
        }
        let path = format!("composite/sobjects/Contact/{key}");
        let (status, answer) = self.call(Method::PATCH, &path, json!({"records": records})).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    async fn contact(&self, fields: Value) -> String {
        self.create("Contact", fields).await.1["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn an_upsert_finds_its_record_by_id_by_key_or_by_address() {
    let session = Session::start().await;
    let id =
        session.contact(json!({"LastName": "Ada", "Email": "ada@x.example", "External_Id__c": "K1"})).await;
    let answer = session.upsert("Id", json!([{"Id": id, "LastName": "Ada1"}, {"LastName": "New"}])).await;
    assert_eq!((&answer[0]["created"], &answer[1]["created"]), (&json!(false), &json!(true)));
    let answer = session.upsert("email", json!([{"email": "ADA@x.example", "LastName": "Ada2"}])).await;
    assert_eq!((&answer[0]["id"], &answer[0]["created"]), (&json!(id), &json!(false)));
    let answer =
        session.upsert("external_id__c", json!([{"external_id__c": "k1", "LastName": "Ada3"}])).await;
    assert_eq!(answer[0]["id"], json!(id));
    assert_eq!(session.org.record("Contact", &id).unwrap()["LastName"], "Ada3");
    let other = session.contact(json!({"LastName": "Bob", "Email": "ada@x.example"})).await;
    let answer = session.upsert("Email", json!([{"Email": "ada@x.example", "LastName": "Who"}])).await;
    assert_eq!(answer[0]["errors"][0]["statusCode"], "DUPLICATE_EXTERNAL_ID");
    let (status, choices) =
        session.call(Method::GET, "sobjects/Contact/Email/ada@x.example", Value::Null).await;
    let url = |id: &str| format!("/services/data/v62.0/sobjects/Contact/{id}");
    assert_eq!((status, choices), (300, json!([url(&id), url(&other)])));
}

#[tokio::test]
async fn what_a_call_names_twice_is_refused() {
    let session = Session::start().await;
    let id = session.contact(json!({"LastName": "Ada"})).await;
    let of = |id: &str, name: &str| json!({"attributes": {"type": "Contact"}, "Id": id, "LastName": name});
    let records = json!([of(&id, "one"), of(&id[..15], "two")]);
    let (_, answer) = session.call(Method::PATCH, "composite/sobjects", json!({"records": records})).await;
    let error = json!({"statusCode": "DUPLICATE_VALUE", "message": format!("duplicate id specified: {}", &id[..15]), "fields": ["Id"]});
    assert_eq!((&answer[0]["success"], &answer[1]["errors"][0]), (&json!(true), &error));
    assert_eq!(session.org.record("Contact", &id).unwrap()["LastName"], "one");
    let keys = ["A", "b", "a "].map(|key| json!({"External_Id__c": key, "LastName": key}));
    let answer = session.upsert("External_Id__c", json!(keys)).await;
    let codes: Vec<&Value> =
        answer.as_array().unwrap().iter().map(|result| &result["errors"][0]["statusCode"]).collect();
    assert_eq!(codes, [&json!("DUPLICATE_VALUE"), &Value::Null, &json!("DUPLICATE_VALUE")]);
    session.org.make_case_sensitive("Contact", "External_Id__c");
    let answer = session.upsert("External_Id__c", json!(&keys[..2])).await;
    assert_eq!((&answer[0]["success"], &answer[1]["success"]), (&json!(true), &json!(true)));
}

#[tokio::test]
async fn an_upsert_by_path_says_where_the_record_is_and_old_versions_say_less() {
    let session = Session::start().await;
    let upsert = async |version: &str, key: &str| {
        let url = format!("{}/services/data/{version}/sobjects/Contact/External_Id__c/{key}", session.base);
        let answer = session
            .http
            .patch(url)
            .bearer_auth(&session.token)
            .json(&json!({"LastName": "x"}))
            .send()
            .await
            .unwrap();
        let location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), location, answer.text().await.unwrap())
    };
    let (status, location, body) = upsert("v46.0", "K").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["created"]), (201, &json!(true)));
    assert_eq!(
        location.unwrap(),
        format!("/services/data/v46.0/sobjects/Contact/{}", body["id"].as_str().unwrap())
    );
    assert_eq!(upsert("v46.0", "K").await.0, 200);
    assert_eq!(upsert("v45.0", "K").await, (204, None, String::new()));
    assert_eq!(upsert("v45.0", "L").await.0, 201);
}

#[tokio::test]
async fn a_lock_names_the_record_that_is_held() {
    let session = Session::start().await;
    let account = session.create("Account", json!({"Name": "Acme"})).await.1["id"].clone();
    let id = session.contact(json!({"LastName": "Ada"})).await;
    session.org.change_faults(|faults| faults.row_lock = 1.0);
    let held = |id: &str| format!("unable to obtain exclusive access to this record or 1 records: {id}");
    let refused = session.refused("Contact", json!({"LastName": "x", "AccountId": account})).await;
    assert_eq!(refused["message"], held(account.as_str().unwrap()));
    let (_, refused) =
        session.call(Method::PATCH, &format!("sobjects/Contact/{id}"), json!({"LastName": "y"})).await;
    assert_eq!(refused[0]["message"], held(&id));
    let refused = session.refused("Contact", json!({"LastName": "x"})).await;
    assert_eq!(refused["message"], "unable to obtain exclusive access to this record");
}
