//! The simulated org over real HTTP, as any Salesforce client sees it: shapes, codes and messages.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_macros, reason = "a test says what it skips")]

mod bulk;
mod classic;
mod clients;
mod composite;
mod doors;
mod keys;
mod memory;
mod owners;
mod rules;
mod soql;
mod streaming;
#[path = "../support/tls.rs"]
mod tls_server;
mod transactions;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use syncdeck::simulator::{self, Org, OrgOptions, seed};
use tokio_util::sync::CancellationToken;

struct Session {
    org: Org,
    base: String,
    token: String,
    http: Client,
    stop: CancellationToken,
}

impl Session {
    async fn start() -> Session {
        Session::with(OrgOptions::default()).await
    }

    async fn with(options: OrgOptions) -> Session {
        let org = Org::new(options);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(simulator::serve(org.clone(), listener, stop.clone()));
        let mut session = Session { org, base, token: String::new(), http: Client::new(), stop };
        session.token = session.login("simulated-app", "simulated-secret").await.1["access_token"]
            .as_str()
            .unwrap()
            .to_owned();
        session
    }

    async fn login(&self, id: &str, secret: &str) -> (StatusCode, Value) {
        let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
        let answer =
            self.http.post(format!("{}/services/oauth2/token", self.base)).form(&form).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/services/data/v62.0/{path}", self.base);
        let mut request = self.http.request(method, url).bearer_auth(&self.token);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        assert!(answer.headers().contains_key("sforce-limit-info"));
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null))
    }

    async fn create(&self, object: &str, fields: Value) -> (u16, Value) {
        self.call(Method::POST, &format!("sobjects/{object}"), fields).await
    }

    /// What the simulator itself is asked, or told.
    async fn own(&self, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/_simulator/{path}", self.base);
        let request = if body.is_null() { self.http.get(url) } else { self.http.post(url).json(&body) };
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null))
    }

    /// The `errors[0]` that a record of a collection gets.
    async fn refused(&self, object: &str, mut fields: Value) -> Value {
        fields["attributes"] = json!({"type": object});
        let body = json!({"allOrNone": false, "records": [fields]});
        let (status, answer) = self.call(Method::POST, "composite/sobjects", body).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!((&answer[0]["success"], answer[0].get("id")), (&json!(false), None));
        answer[0]["errors"][0].clone()
    }

    async fn query(&self, soql: &str) -> (u16, Value) {
        let url = reqwest::Url::parse_with_params("http://x/query", [("q", soql)]).unwrap();
        self.call(Method::GET, &format!("query?{}", url.query().unwrap()), Value::Null).await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // What a test holds would hold its end, too.
        self.org.set_faults(simulator::Faults::default());
        self.stop.cancel();
    }
}

#[tokio::test]
async fn a_login_is_granted_or_denied_in_oauths_words() {
    let session = Session::start().await;
    assert!(session.token.starts_with("00D"));
    let (status, denied) = session.login("nobody", "x").await;
    assert_eq!((status.as_u16(), &denied["error"]), (400, &json!("invalid_client_id")));
    assert_eq!(denied["error_description"], "client identifier invalid");
    let answer =
        session.http.get(format!("{}/services/data/v62.0/sobjects", session.base)).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body, json!([{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]));
}

#[tokio::test]
async fn describe_tells_types_lengths_and_what_is_required() {
    let session = Session::start().await;
    let (_, describe) = session.call(Method::GET, "sobjects/Contact/describe", Value::Null).await;
    let field = |name: &str| {
        describe["fields"].as_array().unwrap().iter().find(|f| f["name"] == name).unwrap().clone()
    };
    let last = field("LastName");
    assert_eq!(
        (&last["type"], &last["length"], &last["byteLength"], &last["nillable"]),
        (&json!("string"), &json!(80), &json!(240), &json!(false))
    );
    assert_eq!(field("Level__c")["restrictedPicklist"], true);
    assert_eq!(
        (&field("AccountId")["referenceTo"], &field("AccountId")["relationshipName"]),
        (&json!(["Account"]), &json!("Account"))
    );
    assert_eq!(field("SystemModstamp")["createable"], false);
    let (status, body) = session.call(Method::GET, "sobjects/Nothing/describe", Value::Null).await;
    assert_eq!((status, &body[0]["errorCode"]), (404, &json!("NOT_FOUND")));
}

#[tokio::test]
async fn each_rejection_has_its_code_message_and_fields() {
    let session = Session::start().await;
    let (_, first) = session.create("Contact", json!({"LastName": "A", "Legacy_Code__c": "L1"})).await;
    let id15 = first["id"].as_str().unwrap()[..15].to_owned();
    let duplicate =
        format!("duplicate value found: Legacy_Code__c duplicates value on record with id: {id15}");
    for (object, fields, code, message, named) in [
        (
            "Contact",
            json!({"FirstName": "x"}),
            "REQUIRED_FIELD_MISSING",
            "Required fields are missing: [LastName]",
            json!(["LastName"]),
        ),
        (
            "Contact",
            json!({"LastName": "x", "Email": "jane@acme,com"}),
            "INVALID_EMAIL_ADDRESS",
            "Email: invalid email address: jane@acme,com",
            json!(["Email"]),
        ),
        (
            "Contact",
            json!({"LastName": "x".repeat(81)}),
            "STRING_TOO_LONG",
            &format!("Last Name: data value too large: {} (max length=80)", "x".repeat(81)),
            json!(["LastName"]),
        ),
        (
            "Contact",
            json!({"LastName": "x", "Level__c": "Best"}),
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            "Level: bad value for restricted picklist field: Best",
            json!(["Level__c"]),
        ),
        (
            "Contact",
            json!({"LastName": "x", "Legacy_Code__c": "l1"}),
            "DUPLICATE_VALUE",
            &duplicate,
            json!([]),
        ),
        (
            "Contact",
            json!({"LastName": "x", "AccountId": "ACME"}),
            "MALFORMED_ID",
            "Account ID: id value of incorrect type: ACME",
            json!(["AccountId"]),
        ),
        (
            "Contact",
            json!({"LastName": "x", "AccountId": "001sd00ZZZZZZZZ"}),
            "INVALID_CROSS_REFERENCE_KEY",
            "invalid cross reference id",
            json!([]),
        ),
        (
            "Contact",
            json!({"LastName": "x", "Phone": "call me maybe"}),
            "FIELD_CUSTOM_VALIDATION_EXCEPTION",
            "Phone must be a valid phone number, for example +1 555 010 1234",
            json!(["Phone"]),
        ),
        (
            "Contact",
            json!({"LastName": "x", "Nope": 1}),
            "INVALID_FIELD",
            "No such column 'Nope' on sobject of type Contact",
            json!([]),
        ),
        (
            "Contact",
            json!({"LastName": "x", "SystemModstamp": "2026-01-01T00:00:00Z"}),
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            "Unable to create/update fields: SystemModstamp. Please check the security settings of this field and verify that it is read/write for your profile or permission set.",
            json!(["SystemModstamp"]),
        ),
        (
            "Opportunity",
            json!({"Name": "x", "StageName": "Prospecting", "CloseDate": "2026-01-01", "Amount": 1e17}),
            "NUMBER_OUTSIDE_VALID_RANGE",
            "Amount: value outside of valid range on numeric field: 100000000000000000",
            json!(["Amount"]),
        ),
        (
            "Case",
            json!({"Subject": "[runaway]"}),
            "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
            "CaseTrigger: System.LimitException: Apex CPU time limit exceeded",
            json!([]),
        ),
        (
            "Invoice_Line__c",
            json!({"Name": "x", "Invoice__r": {"External_Id__c": "Nope"}}),
            "INVALID_FIELD",
            "Foreign key external ID: nope not found for field External_Id__c in entity Invoice__c",
            json!([]),
        ),
    ] {
        let error = session.refused(object, fields).await;
        assert_eq!(error, json!({"statusCode": code, "message": message, "fields": named}));
    }
}

#[tokio::test]
async fn a_value_of_the_wrong_json_type_fails_the_whole_request() {
    let session = Session::start().await;
    let good = json!({"attributes": {"type": "Contact"}, "LastName": "x"});
    let bad = json!({"attributes": {"type": "Contact"}, "LastName": "x", "Score__c": "twelve"});
    let (status, body) =
        session.call(Method::POST, "composite/sobjects", json!({"records": [good, bad]})).await;
    assert_eq!((status, &body[0]["errorCode"]), (400, &json!("JSON_PARSER_ERROR")));
    assert!(
        body[0]["message"]
            .as_str()
            .unwrap()
            .starts_with("Cannot deserialize instance of double from VALUE_STRING value twelve")
    );
    assert!(session.org.ids("Contact").is_empty());
}

#[tokio::test]
async fn collections_keep_their_order_and_all_or_none_takes_everything_back() {
    let session = Session::start().await;
    let record = |name: Value| json!({"attributes": {"type": "Contact"}, "LastName": name});
    let records = json!([record(json!("a")), record(Value::Null), record(json!("c"))]);
    let (_, answer) = session
        .call(Method::POST, "composite/sobjects", json!({"allOrNone": true, "records": records}))
        .await;
    let codes: Vec<&Value> =
        answer.as_array().unwrap().iter().map(|result| &result["errors"][0]["statusCode"]).collect();
    assert_eq!(
        codes,
        ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "REQUIRED_FIELD_MISSING", "ALL_OR_NONE_OPERATION_ROLLED_BACK"]
    );
    assert!(session.org.ids("Contact").is_empty() && session.org.journal_since(0).is_empty());
    let (_, answer) = session
        .call(Method::POST, "composite/sobjects", json!({"allOrNone": false, "records": records}))
        .await;
    let taken: Vec<&Value> = answer.as_array().unwrap().iter().map(|result| &result["success"]).collect();
    assert_eq!(taken, [true, false, true]);
    let (status, body) = session.call(Method::POST, "composite/sobjects", json!({"records": []})).await;
    assert_eq!(
        (status, body),
        (400, json!([{"message": "At least 1 record is required", "errorCode": "REQUIRED_FIELD_MISSING"}]))
    );
    let many = vec![record(json!("x")); 201];
    let (status, body) = session.call(Method::POST, "composite/sobjects", json!({"records": many})).await;
    assert_eq!((status, &body[0]["errorCode"]), (400, &json!("EXCEEDED_ID_LIMIT")));
}

#[tokio::test]
async fn an_upsert_creates_once_then_updates_and_a_delete_is_told() {
    let session = Session::start().await;
    let body = |name: &str| json!({"records": [{"attributes": {"type": "Contact"}, "LastName": name, "External_Id__c": "K"}]});
    let (_, created) =
        session.call(Method::PATCH, "composite/sobjects/Contact/External_Id__c", body("a")).await;
    let (_, updated) =
        session.call(Method::PATCH, "composite/sobjects/Contact/External_Id__c", body("b")).await;
    assert_eq!((&created[0]["created"], &updated[0]["created"]), (&json!(true), &json!(false)));
    assert_eq!(created[0]["id"], updated[0]["id"]);
    let id = created[0]["id"].as_str().unwrap();
    let (status, _) = session.call(Method::DELETE, &format!("sobjects/Contact/{id}"), Value::Null).await;
    assert_eq!(status, 204);
    let (status, gone) =
        session.call(Method::PATCH, &format!("sobjects/Contact/{id}"), json!({"LastName": "c"})).await;
    assert_eq!(
        (status, gone),
        (404, json!([{"message": "entity is deleted", "errorCode": "ENTITY_IS_DELETED"}]))
    );
    let ops: Vec<&str> = session.org.journal_since(0).iter().map(|entry| entry.op).collect();
    assert_eq!(ops, ["create", "update", "delete"]);
    let (start, end) = (
        chrono::Utc::now() - chrono::TimeDelta::minutes(2),
        chrono::Utc::now() + chrono::TimeDelta::minutes(1),
    );
    let path = format!(
        "sobjects/Contact/deleted/?start={}&end={}",
        start.format("%Y-%m-%dT%H:%M:%SZ"),
        end.format("%Y-%m-%dT%H:%M:%SZ")
    );
    let (_, deleted) = session.call(Method::GET, &path, Value::Null).await;
    assert_eq!(deleted["deletedRecords"][0]["id"], id);
}

#[tokio::test]
async fn queries_page_filter_and_order_and_say_what_they_do_not_understand() {
    let session = Session::start().await;
    seed::populate(&session.org, 9_000, 3);
    let (_, first) = session.query("SELECT Id, Account.Name FROM Contact").await;
    assert_eq!((&first["totalSize"], &first["done"]), (&json!(2_700), &json!(false)));
    let next = first["nextRecordsUrl"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let (_, second) = session.call(Method::GET, &format!("query/{next}"), Value::Null).await;
    assert_eq!((second["records"].as_array().unwrap().len(), &second["done"]), (700, &json!(true)));
    assert!(first["records"][0]["Account"]["Name"].is_string());
    let (_, found) = session.query("SELECT Name FROM Account WHERE External_Id__c IN ('ACC-000002','ACC-000001') ORDER BY External_Id__c DESC LIMIT 1").await;
    assert_eq!(found["totalSize"], 1);
    let (_, count) = session.query("SELECT COUNT() FROM Lead WHERE Rating = 'Hot' OR Rating = 'Warm'").await;
    assert!(count["totalSize"].as_u64().unwrap() > 100);
    for (soql, code) in [
        ("SELECT Id FROM Accout", "INVALID_TYPE"),
        ("SELECT Id, Foo__c FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE", "MALFORMED_QUERY"),
    ] {
        let (status, body) = session.query(soql).await;
        assert_eq!((status, &body[0]["errorCode"]), (400, &json!(code)), "{soql}");
    }
}

#[tokio::test]
async fn faults_come_as_ordered_and_a_lost_answer_was_carried_out() {
    let lost_after = std::time::Duration::from_millis(100);
    let session = Session::with(OrgOptions { lost_after, ..OrgOptions::default() }).await;
    session.org.change_faults(|faults| {
        (faults.concurrent_limit, faults.unavailable, faults.server_error) = (1, 1, 1)
    });
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(session.create("Contact", json!({"LastName": "x"})).await.0);
    }
    assert_eq!(seen, [403, 503, 500, 201]);
    session.org.change_faults(|faults| faults.cut_answer = 1);
    let url = format!("{}/services/data/v62.0/sobjects", session.base);
    // Where the cut is met depends on how much was on its way: with the head, or in the body.
    let whole = match session.http.get(url).bearer_auth(&session.token).send().await {
        Ok(cut) => cut.bytes().await.is_ok(),
        Err(_) => false,
    };
    assert!(!whole);
    session.org.change_faults(|faults| faults.lose_answer = 1);
    let url = format!("{}/services/data/v62.0/sobjects/Contact", session.base);
    let lost = session.http.post(url).bearer_auth(&session.token).json(&json!({"LastName": "y"}));
    let heard = match lost.send().await {
        Ok(cut) => cut.bytes().await.is_ok(),
        Err(_) => false,
    };
    assert!(!heard);
    assert_eq!(session.org.ids("Contact").len(), 2);
    session.org.change_faults(|faults| faults.row_lock = 1.0);
    let locked = session.refused("Contact", json!({"LastName": "z"})).await;
    assert_eq!(locked["statusCode"], "UNABLE_TO_LOCK_ROW");
    let counts = session.org.fault_counts();
    assert_eq!((counts.lose_answer, counts.cut_answer, counts.row_lock), (1, 1, 1));
}

#[tokio::test]
async fn under_maintenance_a_page_answers_whatever_is_asked() {
    let session = Session::start().await;
    session.org.change_faults(|faults| faults.maintenance = true);
    for (method, path) in [
        (Method::GET, "services/data/v62.0/query?q=SELECT+Id+FROM+Contact"),
        (Method::POST, "services/data/v62.0/sobjects/Contact"),
        (Method::POST, "services/oauth2/token"),
        (Method::POST, "cometd/62.0"),
    ] {
        let request = session.http.request(method, format!("{}/{path}", session.base));
        let answer =
            request.bearer_auth(&session.token).json(&json!({"LastName": "x"})).send().await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!((answer.status().as_u16(), kind.as_str()), (503, "text/html;charset=UTF-8"), "{path}");
        assert!(answer.text().await.unwrap().contains("down for maintenance"), "{path}");
    }
    session.org.change_faults(|faults| faults.maintenance = false);
    assert!(session.org.ids("Contact").is_empty());
    assert_eq!(session.create("Contact", json!({"LastName": "x"})).await.0, 201);
}

#[tokio::test]
async fn a_query_has_more_pages_for_the_session_that_asked_and_no_other() {
    let mut session = Session::start().await;
    seed::populate(&session.org, 9_000, 3);
    let (_, first) = session.query("SELECT Id FROM Contact").await;
    let next = first["nextRecordsUrl"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let path = format!("query/{next}");
    let own = std::mem::take(&mut session.token);
    let (_, other) = session.login("simulated-app", "simulated-secret").await;
    session.token = other["access_token"].as_str().unwrap().to_owned();
    let (status, refused) = session.call(Method::GET, &path, Value::Null).await;
    assert_eq!((status, &refused[0]["errorCode"]), (400, &json!("INVALID_QUERY_LOCATOR")));
    session.token = own;
    assert_eq!(session.call(Method::GET, &path, Value::Null).await.1["done"], json!(true));
}

#[tokio::test]
async fn a_refresh_token_that_comes_a_second_time_ends_all_access() {
    let session = Session::with(OrgOptions { rotate_refresh_tokens: true, ..OrgOptions::default() }).await;
    let refresh = async |token: &str| {
        let form =
            [("grant_type", "refresh_token"), ("client_id", "simulated-app"), ("refresh_token", token)];
        let url = format!("{}/services/oauth2/token", session.base);
        session.http.post(url).form(&form).send().await.unwrap().json::<Value>().await.unwrap()
    };
    let first = session.org.refresh_token();
    let second = refresh(&first).await["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(session.query("SELECT Id FROM Contact").await.0, 200);
    assert_eq!(refresh(&first).await["error"], "invalid_grant");
    assert_eq!(refresh(&second).await["error"], "invalid_grant", "who stole it goes on");
    let (status, refused) = session.query("SELECT Id FROM Contact").await;
    assert_eq!((status, &refused[0]["errorCode"]), (401, &json!("INVALID_SESSION_ID")));
}

#[tokio::test]
async fn the_administrator_changes_fields_and_objects_over_http() {
    let session = Session::start().await;
    let order = async |order: Value| {
        let url = format!("{}/_simulator/administrator", session.base);
        session.http.post(url).json(&order).send().await.unwrap().status().as_u16()
    };
    let field = async |name: &str| {
        let (_, describe) = session.call(Method::GET, "sobjects/Contact/describe", Value::Null).await;
        describe["fields"].as_array().unwrap().iter().find(|field| field["name"] == name).cloned()
    };
    let of = |what: &str| json!({"do": what, "object": "Contact", "field": "Phone"});
    assert_eq!(order(of("hide_field")).await, 204);
    assert!(field("Phone").await.is_none());
    let (status, refused) = session.call(Method::GET, "query?q=SELECT+Phone+FROM+Contact", Value::Null).await;
    assert_eq!((status, &refused[0]["errorCode"]), (400, &json!("INVALID_FIELD")));
    let refused = session.refused("Contact", json!({"LastName": "Doe", "Phone": "1"})).await;
    assert_eq!(refused["statusCode"], json!("INVALID_FIELD"));
    assert_eq!(order(of("show_field")).await, 204);
    assert!(field("Phone").await.is_some());
    order(json!({"do": "shorten_field", "object": "Contact", "field": "FirstName", "length": 5})).await;
    assert_eq!(field("FirstName").await.unwrap()["length"], json!(5));
    order(json!({"do": "hide_object", "object": "Contact"})).await;
    let (status, _) = session.call(Method::GET, "sobjects/Contact/describe", Value::Null).await;
    assert_eq!(status, 404);
    assert_eq!(order(json!({"do": "burn_it_down"})).await, 400);
}

#[tokio::test]
async fn objects_lack_what_salesforces_own_lack_and_long_requests_are_refused_by_the_front() {
    let session = Session::start().await;
    let fields = |describe: &Value| {
        let fields = describe["fields"].as_array().unwrap().iter();
        fields.map(|field| field["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (object, lacks, replicateable) in [
        ("User", vec!["IsDeleted"], true),
        ("ContactHistory", vec!["SystemModstamp", "LastModifiedDate"], true),
        ("Stock__x", vec!["SystemModstamp", "LastModifiedDate", "CreatedDate", "IsDeleted"], false),
    ] {
        let path = format!("sobjects/{object}/describe");
        let (_, describe) = session.call(Method::GET, &path, Value::Null).await;
        assert_eq!(describe["replicateable"], replicateable);
        for name in lacks {
            assert!(!fields(&describe).iter().any(|field| field == name), "{object} {name}");
            for soql in [
                format!("SELECT Id, {name} FROM {object}"),
                format!("SELECT Id FROM {object} ORDER BY {name}"),
            ] {
                let (status, answer) = session.query(&soql).await;
                assert_eq!((status, answer[0]["errorCode"].as_str()), (400, Some("INVALID_FIELD")), "{soql}");
            }
        }
    }
    let span = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z".replace("2026-01-0", "2099-01-0");
    let (status, answer) =
        session.call(Method::GET, &format!("sobjects/Stock__x/deleted/?{span}"), Value::Null).await;
    assert_eq!((status, answer[0]["errorCode"].as_str()), (400, Some("INVALID_TYPE_FOR_OPERATION")));
    let line = |length: usize| {
        let path = "/services/data/v62.0/query?q=";
        format!("{}{path}{}", session.base, "a".repeat(length - "GET  HTTP/1.1".len() - path.len()))
    };
    for (length, status) in [(16_384, 400), (16_385, 414)] {
        let answer = session.http.get(line(length)).bearer_auth(&session.token).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{length}");
    }
}

#[tokio::test]
async fn a_lookup_to_several_objects_needs_the_type_of_what_it_names() {
    let session = Session::start().await;
    let lead =
        session.create("Lead", json!({"LastName": "L", "Company": "Acme", "External_Id__c": "P1"})).await.1;
    session.create("Contact", json!({"LastName": "C", "External_Id__c": "P1"})).await;
    let (_, describe) = session.call(Method::GET, "sobjects/Task/describe", Value::Null).await;
    let who = describe["fields"].as_array().unwrap().iter().find(|field| field["name"] == "WhoId").unwrap();
    assert_eq!(who["referenceTo"], json!(["Contact", "Lead"]));
    assert_eq!((&who["polymorphicForeignKey"], &who["relationshipName"]), (&json!(true), &json!("Who")));
    let untyped = json!({"Subject": "x", "Who": {"External_Id__c": "P1"}});
    assert_eq!(session.refused("Task", untyped).await["statusCode"], "INVALID_FIELD");
    let typed = json!({"Subject": "x", "Who": {"attributes": {"type": "Lead"}, "External_Id__c": "P1"}});
    let (status, task) = session.create("Task", typed).await;
    assert_eq!(status, 201, "{task}");
    let (_, found) = session.query("SELECT WhoId FROM Task").await;
    assert_eq!(found["records"][0]["WhoId"], lead["id"]);
    let (status, answer) = session.query("SELECT Who.External_Id__c FROM Task").await;
    let message = answer[0]["message"].as_str().unwrap();
    assert!(
        status == 400 && message.contains("No such column 'External_Id__c' on entity 'Name'"),
        "{answer}"
    );
}
