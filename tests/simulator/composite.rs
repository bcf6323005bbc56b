//! Several requests in one, records by their ids, and who speaks.

use reqwest::Method;
use serde_json::{Value, json};

use super::Session;

const BASE: &str = "/services/data/v62.0";

fn create(reference: &str, object: &str, body: Value) -> Value {
    json!({"method": "POST", "url": format!("{BASE}/sobjects/{object}"), "referenceId": reference, "body": body})
}

fn statuses(answer: &Value) -> Vec<u64> {
    let parts = answer["compositeResponse"].as_array().unwrap();
    parts.iter().map(|part| part["httpStatusCode"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn later_parts_use_what_earlier_ones_answered() {
    let session = Session::start().await;
    let parts = json!([
        create("account", "Account", json!({"Name": "Acme"})),
        create("contact", "Contact", json!({"LastName": "Ada", "AccountId": "@{account.id}"})),
        {"method": "GET", "url": format!("{BASE}/query?q=SELECT+Id,Account.Name+FROM+Contact+WHERE+AccountId='@{{account.id}}'"), "referenceId": "found"},
        {"method": "PATCH", "url": format!("{BASE}/sobjects/Contact/@{{found.records[0].Id}}"), "referenceId": "changed",
            "body": {"Title": "of @{found.records[0].Account.Name}"}},
        {"method": "GET", "url": format!("{BASE}/sobjects/Contact/@{{contact.id}}?fields=Title"), "referenceId": "read"},
        {"method": "GET", "url": format!("{BASE}/sobjects/Contact/@{{contact.Id}}"), "referenceId": "case"},
    ]);
    let (status, answer) = session.call(Method::POST, "composite", json!({"compositeRequest": parts})).await;
    assert_eq!((status, statuses(&answer)), (200, vec![201, 201, 200, 204, 200, 400]));
    let parts = &answer["compositeResponse"];
    let id = parts[1]["body"]["id"].as_str().unwrap();
    assert_eq!(parts[1]["httpHeaders"]["Location"], format!("{BASE}/sobjects/Contact/{id}"));
    assert_eq!((&parts[4]["body"]["Title"], &parts[3]["body"]), (&json!("of Acme"), &Value::Null));
    assert_eq!(parts[5]["body"][0]["errorCode"], "PROCESSING_HALTED");
    let (_, limits) = session.call(Method::GET, "limits", Value::Null).await;
    assert_eq!(limits["DailyApiRequests"]["Remaining"], 100_000 - 2);
}

#[tokio::test]
async fn all_or_none_takes_every_part_back() {
    let session = Session::start().await;
    let old = session.create("Contact", json!({"LastName": "Old", "External_Id__c": "K"})).await.1;
    let parts = json!([
        {"method": "DELETE", "url": format!("{BASE}/sobjects/Contact/{}", old["id"].as_str().unwrap()), "referenceId": "gone"},
        create("new", "Contact", json!({"LastName": "New", "External_Id__c": "K"})),
        create("bad", "Contact", json!({"FirstName": "x"})),
        create("never", "Contact", json!({"LastName": "y"})),
    ]);
    let composite = |all: bool| json!({"allOrNone": all, "compositeRequest": parts});
    let (_, answer) = session.call(Method::POST, "composite", composite(true)).await;
    assert_eq!(statuses(&answer), [400; 4]);
    let codes: Vec<&Value> = answer["compositeResponse"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| &part["body"][0]["errorCode"])
        .collect();
    assert_eq!(
        codes,
        ["PROCESSING_HALTED", "PROCESSING_HALTED", "REQUIRED_FIELD_MISSING", "PROCESSING_HALTED"]
    );
    assert_eq!(session.org.find_by_external_id("Contact", "K").as_deref(), old["id"].as_str());
    assert_eq!((session.org.ids("Contact").len(), session.org.journal_since(0).len()), (1, 1));
    let (_, answer) = session.call(Method::POST, "composite", composite(false)).await;
    assert_eq!(statuses(&answer), [204, 201, 400, 201]);
    assert_eq!(
        session.org.find_by_external_id("Contact", "K").as_deref(),
        answer["compositeResponse"][1]["body"]["id"].as_str()
    );
    let many = vec![create("x", "Contact", json!({"LastName": "x"})); 26];
    let (status, _) = session.call(Method::POST, "composite", json!({"compositeRequest": many})).await;
    assert_eq!((status, session.org.ids("Contact").len()), (400, 2));
}

#[tokio::test]
async fn each_graph_is_a_transaction_of_its_own() {
    let session = Session::start().await;
    let graph = |id: &str, name: Value| {
        json!({"graphId": id, "compositeRequest": [
            create("account", "Account", json!({"Name": id})),
            create("contact", "Contact", json!({"LastName": name, "AccountId": "@{account.id}"})),
        ]})
    };
    let graphs = json!({"graphs": [graph("good", json!("Ada")), graph("bad", Value::Null), graph("fine", json!("Bob"))]});
    let (status, answer) = session.call(Method::POST, "composite/graph", graphs).await;
    let whole: Vec<&Value> =
        answer["graphs"].as_array().unwrap().iter().map(|graph| &graph["isSuccessful"]).collect();
    assert_eq!((status, whole), (200, vec![&json!(true), &json!(false), &json!(true)]));
    assert_eq!(statuses(&answer["graphs"][1]["graphResponse"]), [400, 400]);
    assert_eq!((session.org.ids("Account").len(), session.org.ids("Contact").len()), (2, 2));
}

#[tokio::test]
async fn records_are_retrieved_in_the_order_of_their_ids_in_the_request() {
    let session = Session::start().await;
    let mut ids = Vec::new();
    for name in ["Ada", "Bob"] {
        ids.push(
            session.create("Contact", json!({"LastName": name})).await.1["id"].as_str().unwrap().to_owned(),
        );
    }
    let body = json!({"ids": [ids[1], "003sd00000000zz", "nonsense", ids[0], ids[1]], "fields": ["lastname", "Account.Name"]});
    let (status, found) = session.call(Method::POST, "composite/sobjects/contact", body).await;
    let names: Vec<&Value> = found.as_array().unwrap().iter().map(|record| &record["LastName"]).collect();
    assert_eq!(
        (status, names),
        (200, vec![&json!("Bob"), &Value::Null, &Value::Null, &json!("Ada"), &json!("Bob")])
    );
    assert_eq!((&found[1], found[0].get("Id"), &found[0]["Account"]), (&Value::Null, None, &Value::Null));
    let path = format!("composite/sobjects/Contact?ids={},{}&fields=Id", ids[0], ids[1]);
    let (_, found) = session.call(Method::GET, &path, Value::Null).await;
    assert_eq!(found[1]["Id"], ids[1]);
    let (status, refused) = session.call(Method::GET, &path.replace("=Id", "=Nope"), Value::Null).await;
    assert_eq!((status, &refused[0]["errorCode"]), (400, &json!("INVALID_FIELD")));
}

#[tokio::test]
async fn a_session_tells_whose_it_is_until_it_is_revoked() {
    let session = Session::start().await;
    let ask = async |path: &str, header: &str| {
        let answer = session
            .http
            .get(format!("{}{path}", session.base))
            .header("Authorization", header)
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str::<Value>(&text).unwrap_or_else(|_| json!(text)))
    };
    let bearer = format!("Bearer {}", session.token);
    let (status, user) = ask("/services/oauth2/userinfo", &bearer).await;
    assert_eq!((status, &user["preferred_username"]), (200, &json!("integration@acme.example")));
    let path = user["sub"].as_str().unwrap().trim_start_matches(&session.base).to_owned();
    let (_, identity) = ask(&path, &bearer).await;
    assert_eq!(
        (&identity["user_id"], &identity["username"]),
        (&user["user_id"], &user["preferred_username"])
    );
    assert_eq!(ask(&path, "Bearer nonsense").await, (403, json!("Bad_OAuth_Token")));

    let sobjects = format!("{BASE}/sobjects");
    let (status, refused) = ask(&sobjects, &format!("Token {}", session.token)).await;
    assert_eq!((status, &refused[0]["errorCode"]), (401, &json!("INVALID_AUTH_HEADER")));
    session.org.change_faults(|faults| faults.unusable_session = 1);
    let (status, refused) = ask(&sobjects, &bearer).await;
    assert_eq!(
        (status, &refused[0]["message"]),
        (401, &json!("This session is not valid for use with the REST API"))
    );
    assert_eq!(ask(&sobjects, &format!("OAuth {}", session.token)).await.0, 200);
    let revoke = session
        .http
        .post(format!("{}/services/oauth2/revoke", session.base))
        .form(&[("token", &session.token)]);
    assert_eq!(revoke.send().await.unwrap().status(), 200);
    let (status, refused) = ask(&sobjects, &bearer).await;
    assert_eq!((status, &refused[0]["errorCode"]), (401, &json!("INVALID_SESSION_ID")));
}

#[tokio::test]
async fn the_duplicate_rule_knows_leads_that_were_changed_or_deleted() {
    let session = Session::start().await;
    let lead = |name: &str, email: &str| json!({"LastName": name, "Company": "x", "Email": email});
    let first = session.create("Lead", lead("A", "a@x.example")).await.1["id"].as_str().unwrap().to_owned();
    let (status, refused) = session.create("Lead", lead("A", "A@X.example")).await;
    let found = &refused[0]["duplicateResult"]["matchResults"][0]["matchRecords"][0]["record"]["Id"];
    assert_eq!(
        (status, &refused[0]["errorCode"], found),
        (400, &json!("DUPLICATES_DETECTED"), &json!(first))
    );
    let path = format!("sobjects/Lead/{first}");
    assert_eq!(
        session.call(Method::PATCH, &path, json!({"LastName": "A", "Email": "a@x.example"})).await.0,
        204
    );
    assert_eq!(session.call(Method::PATCH, &path, json!({"LastName": "B"})).await.0, 204);
    let second = session.create("Lead", lead("A", "a@x.example")).await;
    assert_eq!(second.0, 201);
    assert_eq!(session.call(Method::PATCH, &path, json!({"LastName": "A"})).await.0, 400);
    let second = format!("sobjects/Lead/{}", second.1["id"].as_str().unwrap());
    session.call(Method::DELETE, &second, Value::Null).await;
    assert_eq!(session.call(Method::PATCH, &path, json!({"LastName": "A"})).await.0, 204);
}

#[tokio::test]
async fn references_are_told_apart_and_do_not_grow_without_end() {
    let session = Session::start().await;
    let twice =
        json!([create("a", "Account", json!({"Name": "A"})), create("a", "Account", json!({"Name": "B"}))]);
    let graphs = json!({"graphs": [{"graphId": "1", "compositeRequest": twice}]});
    for (path, body) in [("composite", json!({"compositeRequest": twice})), ("composite/graph", graphs)] {
        let (status, refused) = session.call(Method::POST, path, body).await;
        assert_eq!((status, &refused[0]["message"]), (400, &json!("Duplicate referenceId: a")));
    }
    assert!(session.org.ids("Account").is_empty());
    let (_, made) = session.create("Account", json!({"Name": "A", "Description": "x".repeat(30_000)})).await;
    let read = format!("{BASE}/sobjects/Account/{}?fields=Description", made["id"].as_str().unwrap());
    let parts = json!([
        {"method": "GET", "url": read, "referenceId": "read"},
        create("large", "Account", json!({"Name": "B", "Description": "@{read.Description} ".repeat(400)})),
    ]);
    let (_, answer) = session.call(Method::POST, "composite", json!({"compositeRequest": parts})).await;
    assert_eq!(statuses(&answer), [200, 400]);
    assert_eq!(
        answer["compositeResponse"][1]["body"][0]["message"],
        "The references stand for more than 10485760 bytes"
    );
}
