//! SOQL as an org answers it: right, or refused in its words.

use reqwest::Method;
use serde_json::{Value, json};

use super::Session;

/// Three accounts, one below another, with contacts, opportunities and a task.
async fn session() -> Session {
    let session = Session::start().await;
    let create = async |object: &str, fields: Value| {
        let (status, made) = session.create(object, fields).await;
        assert_eq!(status, 201, "{made}");
        made["id"].as_str().unwrap().to_owned()
    };
    let acme = create(
        "Account",
        json!({"Name": "Acme", "External_Id__c": "A1", "AnnualRevenue": 100, "Industry": "Retail"}),
    )
    .await;
    let below = json!({"Name": "acme East", "External_Id__c": "A2", "AnnualRevenue": 250.5, "ParentId": acme, "NumberOfEmployees": 7});
    let below = create("Account", below).await;
    create("Account", json!({"Name": "Globex 100%_", "External_Id__c": "A3", "Industry": "Retail"})).await;
    for (name, account, birthdate) in [
        ("Ada", Some(&acme), Some("1990-05-01")),
        ("Bob", Some(&below), Some("1980-01-31")),
        ("cleo", Some(&below), None),
        ("Dan", None, None),
    ] {
        create("Contact", json!({"LastName": name, "AccountId": account, "Birthdate": birthdate})).await;
    }
    for (name, amount, stage) in [("x", 10.25, "Proposal"), ("y", 20.5, "Proposal"), ("z", 5.0, "Closed Won")]
    {
        let of = json!({"Name": name, "Amount": amount, "StageName": stage, "CloseDate": "2026-01-01", "AccountId": acme});
        create("Opportunity", of).await;
    }
    create("Task", json!({"Subject": "call", "WhatId": acme})).await;
    session
}

impl Session {
    /// One column of what a query finds.
    async fn column(&self, soql: &str, field: &str) -> Vec<Value> {
        let (status, answer) = self.query(soql).await;
        assert_eq!(status, 200, "{soql}: {answer}");
        answer["records"].as_array().unwrap().iter().map(|record| record[field].clone()).collect()
    }

    async fn names(&self, object: &str, rest: &str) -> Vec<String> {
        let field = if object == "Contact" { "LastName" } else { "Name" };
        let found = self.column(&format!("SELECT {field} FROM {object} {rest}"), field).await;
        found.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn names_have_any_case_and_come_back_in_the_orgs_own() {
    let session = session().await;
    let (_, answer) = session
        .query("select NAME, parent.NAME, annualrevenue from ACCOUNT where EXTERNAL_ID__C = 'a2'")
        .await;
    let record = &answer["records"][0];
    assert_eq!((&record["Name"], &record["AnnualRevenue"]), (&json!("acme East"), &json!(250.5)));
    assert_eq!(
        (&record["Parent"]["Name"], &record["attributes"]["type"]),
        (&json!("Acme"), &json!("Account"))
    );
    let keys: Vec<&String> = record.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["attributes", "Name", "Parent", "AnnualRevenue"]);
    for rest in [
        "WHERE isdeleted = FALSE AND lastname LIKE 'A%'",
        "c WHERE c.LastName = 'ada'",
        "WHERE Contact.LASTNAME = 'ADA'",
    ] {
        assert_eq!(session.names("Contact", rest).await, ["Ada"], "{rest}");
    }
}

#[tokio::test]
async fn ids_are_paged_in_the_order_in_which_they_compare() {
    let session = session().await;
    // Ids count in 62 signs, so that some differ in case alone.
    for number in 0..100 {
        let (status, made) =
            session.create("Contact", json!({"LastName": format!("Page {number:03}")})).await;
        assert_eq!(status, 201, "{made}");
    }
    for (order, compare) in [("Id, LastName", ">"), ("Id DESC", "<")] {
        let (mut met, mut after) = (Vec::new(), String::new());
        loop {
            let beyond =
                if after.is_empty() { String::new() } else { format!("WHERE Id {compare} '{after}'") };
            let soql = format!("SELECT Id FROM Contact {beyond} ORDER BY {order} LIMIT 7");
            let page = session.column(&soql, "Id").await;
            let Some(last) = page.last() else { break };
            after = last.as_str().unwrap().to_owned();
            met.extend(page);
        }
        let all = session.column("SELECT Id FROM Contact", "Id").await;
        assert_eq!(met.len(), all.len(), "{order}: each is met once");
        assert!(all.iter().all(|id| met.contains(id)), "{order}");
    }
}

#[tokio::test]
async fn a_yes_or_no_that_is_not_there_is_no() {
    let session = session().await;
    for (rest, found) in [
        ("WHERE Account.IsDeleted = false ORDER BY LastName", vec!["Ada", "Bob", "cleo", "Dan"]),
        ("WHERE Account.IsDeleted = null ORDER BY LastName", vec!["Ada", "Bob", "cleo", "Dan"]),
        ("WHERE Account.IsDeleted != null", vec![]),
        ("WHERE Account.IsDeleted != true AND Account.Name = null", vec!["Dan"]),
    ] {
        assert_eq!(session.names("Contact", rest).await, found, "{rest}");
    }
}

#[tokio::test]
async fn figures_keep_their_digits_and_groups_know_no_case() {
    let session = session().await;
    for (name, amount) in [("Z", "0.1"), ("z", "0.2"), ("p", "90071992547409.93"), ("P", "0.07")] {
        let of = json!({"Name": name, "Amount": amount, "StageName": "Prospecting", "CloseDate": "2026-1-1"});
        let (status, made) = session.create("Opportunity", of).await;
        assert_eq!(status, 201, "{made}");
    }
    let of = "FROM Opportunity WHERE StageName = 'Prospecting'";
    let soql = format!("SELECT Name, SUM(Amount), COUNT(Id), COUNT(Id) n, Name again {of} GROUP BY Name");
    let (status, answer) = session.query(&soql).await;
    assert_eq!(status, 200, "{answer}");
    let groups: Vec<(String, String)> = answer["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| {
            assert_eq!((&group["expr1"], &group["n"]), (&json!(2), &json!(2)), "{group}");
            assert_eq!(group["Name"], group["again"]);
            (group["Name"].as_str().unwrap().to_owned(), group["expr0"].to_string())
        })
        .collect();
    let groups: Vec<(&str, &str)> = groups.iter().map(|(name, sum)| (name.as_str(), sum.as_str())).collect();
    assert_eq!(groups, [("p", "90071992547410.0"), ("Z", "0.3")]);
    let kinds = session.column(&format!("SELECT COUNT_DISTINCT(Name) n {of}"), "n").await;
    assert_eq!(kinds, [json!(2)]);
    // A day is kept with all its digits, so that it compares.
    assert_eq!(session.names("Opportunity", "WHERE CloseDate > 2026-02-01").await, [""; 0]);
}

#[tokio::test]
async fn numbers_far_out_are_none_or_nothing() {
    let session = session().await;
    for number in ["0e99999999999", "1e-9223372036854775807", "-0e-99999999999"] {
        let (status, answer) =
            session.query(&format!("SELECT Id FROM Opportunity WHERE Amount = {number}")).await;
        assert_eq!((status, &answer["totalSize"]), (200, &json!(0)), "{number}: {answer}");
    }
    let of = |amount: &str| json!({"Name": "far", "StageName": "Prospecting", "CloseDate": "2026-01-01", "Amount": amount});
    for amount in ["1e99999999999", "1e999"] {
        let (status, answer) = session.create("Opportunity", of(amount)).await;
        assert_eq!(status, 400, "{amount}: {answer}");
    }
    let far = serde_json::from_str::<Value>("1e999").unwrap();
    let of_number =
        json!({"Name": "far", "StageName": "Prospecting", "CloseDate": "2026-01-01", "Amount": far});
    let (status, answer) = session.create("Opportunity", of_number).await;
    assert_eq!(status, 400, "{answer}");
    let (status, answer) = session.create("Opportunity", of("0e99999999999")).await;
    assert_eq!(status, 201, "{answer}");
}

#[tokio::test]
async fn conditions_reach_parents_and_know_null() {
    let session = session().await;
    for (rest, found) in [
        ("WHERE Account.Name = 'ACME EAST' ORDER BY LastName", vec!["Bob", "cleo"]),
        ("WHERE account.parent.external_id__c = 'A1' ORDER BY LastName DESC", vec!["cleo", "Bob"]),
        ("WHERE Account.Parent.Name = null ORDER BY LastName", vec!["Ada", "Dan"]),
        ("WHERE Account.AnnualRevenue > 100 ORDER BY LastName", vec!["Bob", "cleo"]),
        ("WHERE Account.Name IN ('acme', 'nobody')", vec!["Ada"]),
        ("WHERE Account.Name != 'Acme' ORDER BY LastName", vec!["Bob", "cleo", "Dan"]),
        ("WHERE AccountId = null", vec!["Dan"]),
        ("WHERE FirstName = '' AND (NOT LastName LIKE '%a%') ORDER BY LastName", vec!["Bob", "cleo"]),
        ("WHERE Birthdate < 1985-01-01", vec!["Bob"]),
        ("WHERE Birthdate != 1990-05-01 ORDER BY LastName", vec!["Bob", "cleo", "Dan"]),
        ("WHERE Birthdate < N_YEARS_AGO:20 ORDER BY Birthdate", vec!["Bob", "Ada"]),
        ("WHERE CreatedDate = TODAY OR CreatedDate = YESTERDAY ORDER BY LastName LIMIT 1", vec!["Ada"]),
        ("WHERE CreatedDate > TOMORROW OR CreatedDate < LAST_N_DAYS:3", vec![]),
        ("ORDER BY Birthdate DESC NULLS LAST, LastName DESC", vec!["Ada", "Bob", "Dan", "cleo"]),
        ("ORDER BY Birthdate, LastName LIMIT 2 OFFSET 1", vec!["Dan", "Bob"]),
        ("ORDER BY Account.Name NULLS LAST, LastName", vec!["Ada", "Bob", "cleo", "Dan"]),
        ("WHERE SystemModstamp >= 2020-01-01T00:00:00.000Z AND LastName IN ('Dan')", vec!["Dan"]),
        (
            "WHERE AccountId IN (SELECT Id FROM Account WHERE Parent.Name = 'Acme') ORDER BY LastName",
            vec!["Bob", "cleo"],
        ),
        (
            "WHERE AccountId NOT IN (SELECT AccountId FROM Opportunity WHERE Amount > 20) ORDER BY LastName",
            vec!["Bob", "cleo", "Dan"],
        ),
    ] {
        assert_eq!(session.names("Contact", rest).await, found, "{rest}");
    }
    for (rest, found) in [
        (r"WHERE Name LIKE '%100\%\_'", vec!["Globex 100%_"]),
        (r"WHERE Name LIKE '%\%%'", vec!["Globex 100%_"]),
        ("WHERE Name LIKE 'acm_'", vec!["Acme"]),
        ("WHERE NumberOfEmployees = 7", vec!["acme East"]),
        ("WHERE AnnualRevenue = 2.505e2", vec!["acme East"]),
        ("WHERE Id IN (SELECT AccountId FROM Contact WHERE LastName = 'bob')", vec!["acme East"]),
    ] {
        assert_eq!(session.names("Account", rest).await, found, "{rest}");
    }
    let whom =
        session.column("SELECT What.Name, What.Type FROM Task WHERE What.Type = 'Account'", "What").await;
    assert_eq!((&whom[0]["Name"], &whom[0]["Type"]), (&json!("Acme"), &json!("Account")));
}

#[tokio::test]
async fn children_come_with_their_parents() {
    let session = session().await;
    let soql = "SELECT Name, (SELECT LastName FROM Contacts WHERE LastName != 'Bob' ORDER BY LastName), (SELECT Id FROM childaccounts) FROM Account ORDER BY External_Id__c";
    let (_, answer) = session.query(soql).await;
    let records = answer["records"].as_array().unwrap();
    assert_eq!(records[1]["Contacts"]["records"][0]["LastName"], "cleo");
    assert_eq!(
        (&records[1]["Contacts"]["totalSize"], &records[1]["Contacts"]["done"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(
        (&records[2]["Contacts"], &records[0]["ChildAccounts"]["totalSize"]),
        (&Value::Null, &json!(1))
    );
    let (_, describe) = session.call(Method::GET, "sobjects/Account/describe", Value::Null).await;
    let named = |name: &str| {
        let all = describe["childRelationships"].as_array().unwrap();
        all.iter().find(|of| of["relationshipName"] == name).cloned().unwrap_or_default()
    };
    assert_eq!(
        (&named("Contacts")["childSObject"], &named("Invoices__r")["field"]),
        (&json!("Contact"), &json!("Account__c"))
    );
}

#[tokio::test]
async fn aggregates_count_add_and_group() {
    let session = session().await;
    let (_, answer) = session.query("SELECT COUNT(Id), SUM(Amount) total, MIN(Name), MAX(CloseDate) last, AVG(Amount) FROM Opportunity WHERE StageName = 'Proposal'").await;
    assert_eq!(
        answer["records"],
        json!([{"attributes": {"type": "AggregateResult"}, "expr0": 2, "total": 30.75, "expr1": "x", "last": "2026-01-01", "expr2": 15.375}])
    );
    let (_, answer) =
        session.query("SELECT COUNT(Birthdate) had, COUNT_DISTINCT(AccountId) FROM Contact").await;
    assert_eq!((&answer["records"][0]["had"], &answer["records"][0]["expr0"]), (&json!(2), &json!(2)));
    let (_, answer) =
        session.query("SELECT SUM(Amount), COUNT(Id) FROM Opportunity WHERE Name = 'none'").await;
    assert_eq!((&answer["records"][0]["expr0"], &answer["records"][0]["expr1"]), (&Value::Null, &json!(0)));
    let soql = "SELECT Account.Name, COUNT(Id) n FROM Contact GROUP BY Account.Name ORDER BY COUNT(Id) DESC, Account.Name NULLS LAST";
    assert_eq!(session.column(soql, "Name").await, [json!("acme East"), json!("Acme"), Value::Null]);
    let soql = "SELECT StageName stage FROM Opportunity GROUP BY StageName HAVING SUM(Amount) > 10 AND StageName LIKE 'P%'";
    assert_eq!(session.column(soql, "stage").await, [json!("Proposal")]);
    let (_, count) = session.query("SELECT COUNT() FROM Contact WHERE Account.Name != null LIMIT 2").await;
    assert_eq!((&count["totalSize"], &count["records"]), (&json!(2), &json!([])));
}

#[tokio::test]
async fn groups_of_fields_stand_for_their_names() {
    let session = session().await;
    let keys = async |soql: &str| {
        let (_, answer) = session.query(soql).await;
        let keys = answer["records"][0].as_object().unwrap().keys().cloned();
        keys.collect::<Vec<_>>()
    };
    let all = keys("SELECT FIELDS(ALL) FROM Contact LIMIT 200").await;
    let standard = keys("SELECT FIELDS(STANDARD) FROM Contact").await;
    let custom = keys("SELECT fields(custom), Name FROM Contact LIMIT 1").await;
    assert!(all.contains(&"Level__c".to_owned()) && all.contains(&"SystemModstamp".to_owned()));
    assert!(standard.contains(&"LastName".to_owned()) && !standard.contains(&"Level__c".to_owned()));
    assert_eq!(custom, ["attributes", "External_Id__c", "Level__c", "Legacy_Code__c", "Score__c", "Name"]);
    let (_, answer) = session.query("SELECT Id FROM Contact LIMIT 1").await;
    let path = format!(
        "sobjects/contact/{}?fields=lastname,ACCOUNT.Name",
        answer["records"][0]["Id"].as_str().unwrap()
    );
    let (_, row) = session.call(Method::GET, &path, Value::Null).await;
    assert_eq!((&row["LastName"], &row["Account"]["Name"]), (&json!("Ada"), &json!("Acme")));
    let (status, refused) = session.call(Method::GET, &path.replace("lastname", "nope"), Value::Null).await;
    assert_eq!((status, &refused[0]["errorCode"]), (400, &json!("INVALID_FIELD")));
}

#[tokio::test]
async fn what_means_nothing_is_refused() {
    let session = session().await;
    let typed = |field: &str, kind: &str, quoted: &str| {
        format!(
            "value of filter criterion for field '{field}' must be of type {kind} and should {quoted}be enclosed in quotes"
        )
    };
    let column = |name: &str, entity: &str| {
        format!(
            "No such column '{name}' on entity '{entity}'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names."
        )
    };
    let relationship = |name: &str, place: &str| {
        format!(
            "Didn't understand relationship '{name}' in {place}. If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship name. Please reference your WSDL or the describe call for the appropriate names."
        )
    };
    for (rest, code, message) in [
        ("Foo FROM Contact", "INVALID_FIELD", column("Foo", "Contact")),
        ("Id FROM Contact WHERE Foo = 1", "INVALID_FIELD", column("Foo", "Contact")),
        ("Id FROM Contact WHERE Account.Foo = 1", "INVALID_FIELD", column("Foo", "Account")),
        ("Id FROM Contact ORDER BY Account.Foo", "INVALID_FIELD", column("Foo", "Account")),
        ("Id FROM Contact WHERE Acount.Name = 'x'", "INVALID_FIELD", relationship("Acount", "field path")),
        ("Id, (SELECT Id FROM Contact) FROM Account", "INVALID_TYPE", relationship("Contact", "FROM part of query call")),
        ("What.Amount FROM Task", "INVALID_FIELD", column("Amount", "Name")),
        ("Id FROM Contact WHERE LastName = 5", "INVALID_FIELD", typed("LastName", "string", "")),
        ("Id FROM Contact WHERE LastName IN ('a', true)", "INVALID_FIELD", typed("LastName", "string", "")),
        ("Id FROM Contact WHERE score__c = 'a'", "INVALID_FIELD", typed("Score__c", "double", "not ")),
        ("Id FROM Account WHERE NumberOfEmployees = 1.5", "INVALID_FIELD", typed("NumberOfEmployees", "int", "not ")),
        ("Id FROM Contact WHERE IsDeleted = 'false'", "INVALID_FIELD", typed("IsDeleted", "boolean", "not ")),
        ("Id FROM Contact WHERE Birthdate = '1990-05-01'", "INVALID_FIELD", typed("Birthdate", "date", "not ")),
        ("Id FROM Contact WHERE Birthdate > 1990-05-01T00:00:00Z", "INVALID_FIELD", typed("Birthdate", "date", "not ")),
        ("Id FROM Contact WHERE CreatedDate > 1990-05-01", "INVALID_FIELD", typed("CreatedDate", "dateTime", "not ")),
        ("Id FROM Contact WHERE Id = 'nonsense'", "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field: nonsense".to_owned()),
        ("Id FROM Contact WHERE AccountId LIKE '001%'", "INVALID_QUERY_FILTER_OPERATOR", "invalid operator on id field".to_owned()),
        ("Id FROM Contact WHERE IsDeleted > false", "INVALID_QUERY_FILTER_OPERATOR", "invalid operator on boolean field".to_owned()),
        ("Id FROM Contact WHERE Description = 'x'", "INVALID_FIELD", "field 'Description' can not be filtered in a query call".to_owned()),
        ("Id FROM Contact ORDER BY Description", "INVALID_FIELD", "field 'Description' can not be sorted in a query call".to_owned()),
        ("Id, ID FROM Contact", "INVALID_FIELD", "duplicate field selected: Id".to_owned()),
        ("Id i FROM Contact", "MALFORMED_QUERY", "only aggregate expressions use field aliasing".to_owned()),
        ("FIELDS(ALL) FROM Contact", "MALFORMED_QUERY", "The SOQL FIELDS function must have a LIMIT of at most 200".to_owned()),
        ("Id FROM Contact OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000".to_owned()),
        ("Name, COUNT(Id) FROM Contact", "MALFORMED_QUERY", "Field must be grouped or aggregated: Name".to_owned()),
        ("COUNT(Id) FROM Contact GROUP BY Name ORDER BY Email", "MALFORMED_QUERY", "Ordered field must be grouped or aggregated: Email".to_owned()),
        ("COUNT(Id) FROM Contact LIMIT 1", "MALFORMED_QUERY", "Non-grouped query that uses overall aggregate functions cannot also use LIMIT".to_owned()),
        ("COUNT(Name) FROM Contact GROUP BY CreatedDate", "MALFORMED_QUERY", "field 'CreatedDate' can not be grouped in a query call".to_owned()),
        ("SUM(LastName) FROM Contact", "MALFORMED_QUERY", "field LastName does not support aggregate operator SUM".to_owned()),
        ("Id, (SELECT COUNT(Id) FROM Contacts) FROM Account", "MALFORMED_QUERY", "Only root queries support aggregate expressions".to_owned()),
        ("Id FROM Account WHERE Id IN (SELECT ParentId FROM Account)", "MALFORMED_QUERY", "The inner and outer selects should not be on the same object type".to_owned()),
        ("Id FROM Account WHERE Name = 'x' OR Id IN (SELECT AccountId FROM Contact)", "MALFORMED_QUERY", "Semi join sub-selects are only allowed at the top level WHERE expressions and not in nested WHERE expressions.".to_owned()),
        ("Id FROM Account WHERE Id IN (SELECT LastName FROM Contact)", "MALFORMED_QUERY", "The inner select field 'LastName' should be an id field".to_owned()),
        ("Id FROM Account WHERE Name = 'a' AND Name = 'b' OR Name = 'c'", "MALFORMED_QUERY", "unexpected token: 'OR'".to_owned()),
    ] {
        let (status, answer) = session.query(&format!("SELECT {rest}")).await;
        assert_eq!((status, answer[0]["errorCode"].as_str()), (400, Some(code)), "{rest}: {answer}");
        assert_eq!(answer[0]["message"].as_str().unwrap().lines().last(), Some(message.as_str()), "{rest}");
        assert!(answer[0].get("fields").is_none());
    }
    let (_, answer) = session.query("SELECT Id, Foo__c FROM Account").await;
    let shown = "\nSELECT Id, Foo__c FROM Account\n           ^\nERROR at Row:1:Column:12\n";
    assert!(answer[0]["message"].as_str().unwrap().contains(shown), "{answer}");
}

#[tokio::test]
async fn a_count_that_takes_too_long_is_refused_and_other_queries_go() {
    let session = session().await;
    session.org.change_faults(|faults| faults.count_timeout = true);
    let (status, refused) = session.query("SELECT COUNT() FROM Contact").await;
    assert_eq!((status, &refused[0]["errorCode"]), (400, &json!("QUERY_TIMEOUT")));
    assert_eq!(session.names("Contact", "WHERE LastName = 'Ada'").await, ["Ada"]);
    session.org.change_faults(|faults| faults.count_timeout = false);
    assert_eq!(session.query("SELECT COUNT() FROM Contact").await.1["totalSize"], json!(4));
}

#[tokio::test]
async fn a_query_has_what_there_was_when_it_came() {
    let session = Session::start().await;
    let record =
        |at: usize| json!({"attributes": {"type": "Lead"}, "LastName": format!("L{at:03}"), "Company": "x"});
    let mut ids = Vec::new();
    for call in 0..2 {
        let records: Vec<Value> = (0..150).map(|at| record(call * 150 + at)).collect();
        let (_, made) = session.call(Method::POST, "composite/sobjects", json!({"records": records})).await;
        ids.extend(made.as_array().unwrap().iter().map(|made| made["id"].as_str().unwrap().to_owned()));
    }
    let url = format!("{}/services/data/v62.0/query?q=SELECT+Id,LastName+FROM+Lead", session.base);
    let ask =
        session.http.get(url).bearer_auth(&session.token).header("Sforce-Query-Options", "batchSize=200");
    let first: Value = ask.send().await.unwrap().json().await.unwrap();
    let last = format!("sobjects/Lead/{}", ids[299]);
    session.call(Method::PATCH, &last, json!({"LastName": "changed"})).await;
    session.call(Method::DELETE, &format!("sobjects/Lead/{}", ids[298]), Value::Null).await;
    let next = first["nextRecordsUrl"].as_str().unwrap().rsplit('/').next().unwrap();
    let (_, second) = session.call(Method::GET, &format!("query/{next}"), Value::Null).await;
    assert_eq!((second["records"].as_array().unwrap().len(), &second["done"]), (100, &json!(true)));
    assert_eq!(
        (&second["records"][98]["LastName"], &second["records"][99]["LastName"]),
        (&json!("L298"), &json!("L299"))
    );
    let (_, now) =
        session.query("SELECT COUNT() FROM Lead WHERE LastName >= 'L298' OR LastName = 'changed'").await;
    assert_eq!(now["totalSize"], 1);
}

#[tokio::test]
async fn deleted_records_are_found_by_query_all_alone_and_by_their_key_too() {
    let session = session().await;
    let (_, found) = session.query("SELECT Id FROM Account WHERE External_Id__c = 'A3'").await;
    let path = format!("sobjects/Account/{}", found["records"][0]["Id"].as_str().unwrap());
    session.call(Method::DELETE, &path, Value::Null).await;
    for (resource, soql, count) in [
        ("query", "SELECT Id FROM Account WHERE External_Id__c = 'A3'", 0),
        ("queryAll", "SELECT Id FROM Account WHERE External_Id__c = 'A3'", 1),
        ("queryAll", "SELECT Id FROM Account WHERE IsDeleted = true", 1),
        ("queryAll", "SELECT COUNT() FROM Account", 3),
    ] {
        let url = reqwest::Url::parse_with_params("http://x/", [("q", soql)]).unwrap();
        let path = format!("{resource}?{}", url.query().unwrap());
        let (_, answer) = session.call(Method::GET, &path, Value::Null).await;
        assert_eq!(answer["totalSize"], count, "{resource} {soql}");
    }
}
