//! Validation rules, duplicate rules and triggers that come and go while the org runs.

use reqwest::Method;
use serde_json::{Value, json};

use super::Session;

impl Session {
    /// Has the administrator do something that is in order.
    async fn order(&self, order: Value) {
        let (status, refused) = self.own("administrator", order.clone()).await;
        assert_eq!((status, refused), (204, Value::Null), "{order}");
    }

    /// What is said of an order that is not.
    async fn refused_order(&self, order: Value) -> String {
        let (status, refused) = self.own("administrator", order.clone()).await;
        assert_eq!((status, &refused[0]["errorCode"]), (400, &json!("INVALID_INPUT")), "{order} {refused}");
        refused[0]["message"].as_str().unwrap().to_owned()
    }

    async fn rule_names(&self, kind: &str) -> Vec<String> {
        let (_, rules) = self.own("rules", Value::Null).await;
        rules[kind].as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_validation_rule_holds_from_when_it_is_added_until_it_is_removed() {
    let session = Session::start().await;
    assert_eq!(
        session.rule_names("validation_rules").await,
        ["Contact_Phone", "Lead_Phone", "Primary_Email", "Amount", "Due_Date"]
    );
    let account = session.create("Account", json!({"Name": "Acme", "Rating": "Cold"})).await.1["id"].clone();
    let contact = json!({"LastName": "Doe", "Title": "Boss", "AccountId": account, "Phone": "call me"});
    session.order(json!({"do": "remove_validation_rule", "name": "Contact_Phone"})).await;
    let (status, made) = session.create("Contact", contact.clone()).await;
    assert_eq!(status, 201);
    session
        .order(json!({"do": "add_validation_rule", "name": "No_Boss", "object": "contact", "field": "title",
            "condition": "Title LIKE 'b%' AND Account.Rating = 'Cold'", "message": "No bosses of cold accounts"}))
        .await;
    let error = session.refused("Contact", contact).await;
    let told = json!({"statusCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION", "message": "No bosses of cold accounts", "fields": ["Title"]});
    assert_eq!(error, told);
    // Whatever of it is written: the record as it would be is looked at.
    let path = format!("sobjects/Contact/{}", made["id"].as_str().unwrap());
    assert_eq!(session.call(Method::PATCH, &path, json!({"FirstName": "Jo"})).await.0, 400);
    session
        .call(
            Method::PATCH,
            &format!("sobjects/Account/{}", account.as_str().unwrap()),
            json!({"Rating": "Hot"}),
        )
        .await;
    assert_eq!(session.call(Method::PATCH, &path, json!({"FirstName": "Jo"})).await.0, 204);
    let (_, rules) = session.own("rules", Value::Null).await;
    let listed = rules["validation_rules"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&listed["object"], &listed["field"]), (&json!("Contact"), &json!("Title")));
    session.order(json!({"do": "remove_validation_rule", "name": "No_Boss"})).await;
    assert!(!session.rule_names("validation_rules").await.contains(&"No_Boss".to_owned()));
}

#[tokio::test]
async fn a_rule_that_means_nothing_is_refused_with_what_it_should_say() {
    let session = Session::start().await;
    let rule = |change: Value| {
        let mut rule = json!({"do": "add_validation_rule", "name": "R", "object": "Contact",
            "condition": "Email = null", "message": "No"});
        rule.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        rule
    };
    for (change, said) in [
        (json!({"object": "Contract"}), "no object \"Contract\": the org has Account, Contact,"),
        (json!({"condition": "Emil = null"}), "No such column 'Emil' on entity 'Contact'"),
        (
            json!({"condition": "Email = "}),
            "condition is not what can stand behind WHERE in SOQL: unexpected token",
        ),
        (json!({"condition": "Email = null LIMIT 1"}), "LIMIT and OFFSET are no part of a condition"),
        (
            json!({"condition": "AccountId IN (SELECT Id FROM Account)"}),
            "a rule's condition has no SELECT in it",
        ),
        (json!({"field": "Emil"}), "Contact has no field \"Emil\": it has Id,"),
        (json!({"message": ""}), "message is empty"),
        (json!({"name": ""}), "name is empty"),
        (json!({"name": "Amount"}), "there is a validation rule \"Amount\" already: remove it first"),
        (json!({"unless_matches": "x"}), "name it with field"),
        (json!({"unless_matches": "(", "field": "Email"}), "unless_matches is no regular expression"),
    ] {
        let told = session.refused_order(rule(change)).await;
        assert!(told.contains(said), "{told}");
    }
    let trigger = |change: Value| {
        let mut trigger = json!({"do": "add_trigger", "name": "T", "object": "Contact", "on": ["before_insert"],
            "action": {"do": "set_field", "field": "Title", "value": "x"}});
        trigger.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        trigger
    };
    for (change, said) in [
        (json!({"on": []}), "on is empty: name at least one event"),
        (
            json!({"on": ["before_insert", "after_update"]}),
            "a record cannot be changed any more in AfterUpdate",
        ),
        (
            json!({"action": {"do": "set_field", "field": "Id", "value": "x"}}),
            "Id is set by Salesforce itself",
        ),
        (
            json!({"action": {"do": "set_field", "field": "Score__c", "value": "x"}}),
            "value is not of the type of Score__c",
        ),
    ] {
        let told = session.refused_order(trigger(change)).await;
        assert!(told.contains(said), "{told}");
    }
    let told = session.refused_order(json!({"do": "remove_trigger", "name": "T"})).await;
    assert_eq!(told, "no trigger \"T\": there is CaseTrigger, CaseRollupTrigger");
    let none = json!({"do": "add_duplicate_rule", "name": "D", "object": "Contact", "fields": []});
    assert!(session.refused_order(none).await.starts_with("fields is empty"));
    let (status, _) = session.own("administrator", rule(json!({"colour": "red"}))).await;
    assert_eq!((status, session.rule_names("validation_rules").await.len()), (400, 5));
}

#[tokio::test]
async fn a_duplicate_rule_blocks_or_warns() {
    let session = Session::start().await;
    let contact = |phone: &str| json!({"LastName": "Doe", "Phone": phone});
    let first = session.create("Contact", contact("555 010 1234")).await.1["id"].clone();
    // What was there before is compared, too.
    session
        .order(json!({"do": "add_duplicate_rule", "name": "Same", "object": "Contact", "fields": ["phone", "LastName"],
            "action": "alert", "message": "We know this one"}))
        .await;
    let (status, refused) = session.create("Contact", contact("555 010 1234")).await;
    assert_eq!((status, &refused[0]["errorCode"]), (400, &json!("DUPLICATES_DETECTED")));
    let result = &refused[0]["duplicateResult"];
    assert_eq!(
        (&refused[0]["message"], &result["allowSave"], &result["duplicateRule"]),
        (&json!("We know this one"), &json!(true), &json!("Same"))
    );
    assert_eq!(result["matchResults"][0]["matchRecords"][0]["record"]["Id"], first);
    assert_eq!(session.create("Contact", contact("555 010 9999")).await.0, 201);
    let allowed = async |header: &str| {
        let url = format!("{}/services/data/v62.0/sobjects/Contact", session.base);
        let request =
            session.http.post(url).bearer_auth(&session.token).header("Sforce-Duplicate-Rule-Header", header);
        request.json(&contact("555 010 1234")).send().await.unwrap().status().as_u16()
    };
    assert_eq!(allowed("allowSave=false").await, 400);
    assert_eq!(allowed("includeRecordDetails=false; allowSave=true").await, 201);
    session.order(json!({"do": "remove_duplicate_rule", "name": "Same"})).await;
    assert_eq!(session.create("Contact", contact("555 010 1234")).await.0, 201);
    // One that blocks is passed by nobody.
    session
        .order(json!({"do": "add_duplicate_rule", "name": "Same", "object": "Contact", "fields": ["Phone"]}))
        .await;
    assert_eq!(allowed("allowSave=true").await, 400);
    session.order(json!({"do": "remove_duplicate_rule", "name": "Standard_Lead_Duplicate_Rule"})).await;
    let lead = json!({"LastName": "A", "Company": "x", "Email": "a@x.example"});
    assert_eq!(
        (session.create("Lead", lead.clone()).await.0, session.create("Lead", lead).await.0),
        (201, 201)
    );
}

#[tokio::test]
async fn a_trigger_changes_a_record_or_refuses_it() {
    let session = Session::start().await;
    session
        .order(json!({"do": "add_trigger", "name": "Shout", "object": "Contact", "on": ["before_insert", "before_update"],
            "condition": "FirstName = 'Ada'", "action": {"do": "set_field", "field": "title", "value": "COUNTESS"}}))
        .await;
    session
        .order(json!({"do": "add_trigger", "name": "Keep", "object": "Contact", "on": ["before_delete"],
            "action": {"do": "raise_error", "message": "System.DmlException: nobody goes"}}))
        .await;
    let (_, made) =
        session.create("Contact", json!({"LastName": "Lovelace", "FirstName": "Ada", "Title": "x"})).await;
    let id = made["id"].as_str().unwrap();
    assert_eq!(session.org.record("Contact", id).unwrap()["Title"], "COUNTESS");
    let path = format!("sobjects/Contact/{id}");
    session.call(Method::PATCH, &path, json!({"FirstName": "Bob", "Title": "y"})).await;
    assert_eq!(session.org.record("Contact", id).unwrap()["Title"], "y");
    let (status, refused) = session.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!((status, &refused[0]["errorCode"]), (400, &json!("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY")));
    assert_eq!(
        refused[0]["message"],
        "Keep: execution of BeforeDelete\n\ncaused by: System.DmlException: nobody goes"
    );
    session.order(json!({"do": "remove_trigger", "name": "Keep"})).await;
    assert_eq!(session.call(Method::DELETE, &path, Value::Null).await.0, 204);
    session.order(json!({"do": "remove_trigger", "name": "CaseTrigger"})).await;
    assert_eq!(session.create("Case", json!({"Subject": "[runaway]"})).await.0, 201);
    // A field that is dropped is told at the next save, and not passed over.
    session.org.drop_field("Contact", "FirstName");
    let error = session.refused("Contact", json!({"LastName": "x"})).await;
    let said = error["message"].as_str().unwrap();
    assert!(
        said.starts_with("The trigger Shout cannot be evaluated any more: No such column 'FirstName'"),
        "{said}"
    );
}
