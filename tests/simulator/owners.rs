//! Whose records are: owners, who made and who changed them, and the people themselves.

use reqwest::Method;
use serde_json::{Value, json};

use super::Session;

const INTEGRATION: &str = "005sd0000000001AAA";
const PERSON: &str = "005sd0000000002AAA";

#[tokio::test]
async fn a_record_tells_whose_it_is_and_who_made_and_changed_it() {
    let session = Session::start().await;
    let (_, made) = session.create("Contact", json!({"LastName": "Lovelace"})).await;
    let id = made["id"].as_str().unwrap();
    let soql = "SELECT OwnerId, Owner.Name, Owner.Username, CreatedById, CreatedBy.Name, LastModifiedBy.Name, CreatedDate FROM Contact";
    let (_, found) = session.query(soql).await;
    let record = &found["records"][0];
    assert_eq!((&record["OwnerId"], &record["CreatedById"]), (&json!(INTEGRATION), &json!(INTEGRATION)));
    assert_eq!(
        (&record["Owner"]["Name"], &record["Owner"]["Username"], &record["LastModifiedBy"]["Name"]),
        (&json!("Integration User"), &json!("integration@acme.example"), &json!("Integration User"))
    );
    let title = json!({"Title": "Countess"}).as_object().unwrap().clone();
    session.org.user_update("Contact", id, title).unwrap();
    let (_, found) =
        session.query("SELECT CreatedBy.Name, LastModifiedById, LastModifiedBy.Name FROM Contact").await;
    let record = &found["records"][0];
    assert_eq!(
        (&record["CreatedBy"]["Name"], &record["LastModifiedById"], &record["LastModifiedBy"]["Name"]),
        (&json!("Integration User"), &json!(PERSON), &json!("Ada Admin"))
    );
    let by = |name: &str| format!("SELECT COUNT() FROM Contact WHERE LastModifiedBy.Name = '{name}'");
    assert_eq!(session.query(&by("Ada Admin")).await.1["totalSize"], 1);
    assert_eq!(session.query(&by("Integration User")).await.1["totalSize"], 0);
}

#[tokio::test]
async fn an_owner_is_given_to_a_user_who_is_active_and_nobody_else() {
    let session = Session::start().await;
    let create =
        async |owner: Value| session.create("Account", json!({"Name": "Acme", "OwnerId": owner})).await;
    let (status, made) = create(json!(&PERSON[..15])).await;
    let path = format!("sobjects/Account/{}", made["id"].as_str().unwrap());
    assert_eq!(status, 201);
    assert_eq!(session.call(Method::GET, &path, Value::Null).await.1["OwnerId"], PERSON);
    let change = async |fields: Value| {
        let (status, refused) = session.call(Method::PATCH, &path, fields).await;
        (status, refused[0]["errorCode"].clone(), refused[0]["fields"].clone())
    };
    assert_eq!(change(json!({"OwnerId": INTEGRATION})).await.0, 204);
    let refused = |code: &str, field: &str| (400, json!(code), json!([field]));
    assert_eq!(change(json!({"OwnerId": null})).await, refused("INVALID_CROSS_REFERENCE_KEY", "OwnerId"));
    assert_eq!(change(json!({"OwnerId": made["id"]})).await, refused("MALFORMED_ID", "OwnerId"));
    assert_eq!(change(json!({"OwnerId": "005sd00000000zz"})).await.1, "INVALID_CROSS_REFERENCE_KEY");
    for name in ["CreatedById", "LastModifiedById"] {
        assert_eq!(change(json!({name: PERSON})).await, refused("INVALID_FIELD_FOR_INSERT_UPDATE", name));
    }
    let gone = json!({"IsActive": false}).as_object().unwrap().clone();
    session.org.user_update("User", PERSON, gone).unwrap();
    assert_eq!(change(json!({"OwnerId": PERSON})).await, refused("INACTIVE_OWNER_OR_USER", "OwnerId"));
}

#[tokio::test]
async fn a_queue_owns_what_queues_may_own() {
    let session = Session::start().await;
    let queue = session.query("SELECT Id FROM Group WHERE Type = 'Queue'").await.1;
    let queue = &queue["records"][0]["Id"];
    assert!(queue.as_str().unwrap().starts_with("00G"));
    let (status, made) = session.create("Case", json!({"Subject": "Broken", "OwnerId": queue})).await;
    assert_eq!(status, 201, "{made}");
    let (_, found) = session.query("SELECT OwnerId, Owner.Name FROM Case").await;
    let record = &found["records"][0];
    assert_eq!((&record["OwnerId"], &record["Owner"]["Name"]), (queue, &json!("Support")));
    assert_eq!(record["Owner"]["attributes"]["type"], "Group");
    let (status, refused) = session.create("Account", json!({"Name": "Acme", "OwnerId": queue})).await;
    assert_eq!((status, &refused[0]["errorCode"]), (400, &json!("MALFORMED_ID")), "{refused}");
    let (_, case) = session.call(Method::GET, "sobjects/Case/describe", Value::Null).await;
    let mut fields = case["fields"].as_array().unwrap().iter();
    let owner = fields.find(|field| field["name"] == "OwnerId").unwrap();
    assert_eq!(owner["referenceTo"], json!(["Group", "User"]));
    let gone = json!({"IsActive": false}).as_object().unwrap().clone();
    session.org.user_update("User", PERSON, gone).unwrap();
    let (_, refused) = session.create("Case", json!({"Subject": "Broken", "OwnerId": PERSON})).await;
    assert_eq!(refused[0]["errorCode"], "INACTIVE_OWNER_OR_USER", "{refused}");
}

#[tokio::test]
async fn describe_says_what_may_be_written_and_where_it_leads() {
    let session = Session::start().await;
    let describe = async |object: &str| {
        session.call(Method::GET, &format!("sobjects/{object}/describe"), Value::Null).await.1
    };
    let contact = describe("Contact").await;
    let field = |name: &str| {
        contact["fields"].as_array().unwrap().iter().find(|field| field["name"] == name).unwrap().clone()
    };
    for (name, relationship, writable) in [
        ("OwnerId", "Owner", true),
        ("CreatedById", "CreatedBy", false),
        ("LastModifiedById", "LastModifiedBy", false),
    ] {
        let field = field(name);
        assert_eq!((&field["type"], &field["referenceTo"]), (&json!("reference"), &json!(["User"])));
        assert_eq!(field["relationshipName"], relationship);
        assert_eq!((&field["createable"], &field["updateable"]), (&json!(writable), &json!(writable)));
        assert_eq!((&field["nillable"], &field["defaultedOnCreate"]), (&json!(false), &json!(true)));
    }
    let user = describe("User").await;
    let may = |object: &Value| {
        ["createable", "updateable", "deletable", "queryable"].map(|key| object[key] == true)
    };
    assert_eq!(may(&user), [true, true, false, true]);
    assert_eq!(may(&describe("ContactHistory").await), [false, false, false, true]);
    let lacks = |object: &Value, name: &str| {
        !object["fields"].as_array().unwrap().iter().any(|field| field["name"] == name)
    };
    assert!(lacks(&user, "OwnerId") && lacks(&describe("Product2").await, "OwnerId"));
    let nameless = user["childRelationships"].as_array().unwrap().iter();
    let nameless = nameless.filter(|child| child["childSObject"] == "Contact");
    assert!(nameless.map(|child| &child["relationshipName"]).eq([&Value::Null; 3]));
}

#[tokio::test]
async fn the_user_who_is_signed_in_is_a_record_like_any_other() {
    let session = Session::start().await;
    let (_, found) = session
        .query("SELECT Id, Name, Email, IsActive FROM User WHERE Username = 'integration@acme.example'")
        .await;
    let record = &found["records"][0];
    assert_eq!((&record["Id"], &record["IsActive"]), (&json!(INTEGRATION), &json!(true)));
    let renamed = json!({"LastName": "Robot", "Email": "robot@acme.example"}).as_object().unwrap().clone();
    session.org.user_update("User", INTEGRATION, renamed).unwrap();
    let info =
        session.http.get(format!("{}/services/oauth2/userinfo", session.base)).bearer_auth(&session.token);
    let info: Value = info.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&info["user_id"], &info["name"], &info["email"]),
        (&json!(INTEGRATION), &json!("Integration Robot"), &json!("robot@acme.example"))
    );
    let (status, refused) =
        session.call(Method::DELETE, &format!("sobjects/User/{PERSON}"), Value::Null).await;
    assert_eq!((status, &refused[0]["errorCode"]), (405, &json!("METHOD_NOT_ALLOWED")));
}
