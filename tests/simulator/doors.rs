//! The small doors at which command lines and connectors knock before they do anything.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Session;

#[tokio::test]
async fn who_logs_in_where_everybody_does_is_sent_to_the_orgs_own_address() {
    // tap-salesforce and Airbyte's source know login.salesforce.com and test.salesforce.com alone.
    let session = Session::start().await;
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", "simulated-app"),
        ("client_secret", "simulated-secret"),
        ("refresh_token", "5Aep861SIMULATED"),
    ];
    for host in ["login.salesforce.com", "test.salesforce.com"] {
        let request =
            session.http.post(format!("{}/services/oauth2/token", session.base)).header("Host", host);
        let granted: Value = request.form(&form).send().await.unwrap().json().await.unwrap();
        assert_eq!(granted["instance_url"], session.base, "{granted}");
    }
}

#[tokio::test]
async fn the_vendors_command_line_counts_the_records_of_all_objects() {
    let session = Session::start().await;
    session.create("Account", json!({"Name": "Acme"})).await;
    let count = async |query: &str| {
        let path = format!("limits/recordCount?{query}");
        session.call(Method::GET, &path, Value::Null).await.1["sObjects"].clone()
    };
    // Objects without records are not told of.
    assert_eq!(count("sObjects=Account,Contact").await, json!([{"count": 1, "name": "Account"}]));
    // `sf org list sobject record-counts` without a name.
    let all = count("sObjects").await;
    assert!(all.as_array().unwrap().contains(&json!({"count": 2, "name": "User"})), "{all}");
    assert_eq!(all, count("").await);
}

#[tokio::test]
async fn the_vendors_command_line_lists_users_with_their_profiles() {
    // What `sf org list users` asks, and `sf org login` of the org itself.
    let session = Session::start().await;
    let (_, users) = session.query("SELECT username, profileid, id FROM User").await;
    let (_, profiles) = session.query("SELECT id, name FROM Profile").await;
    let named = |record: &Value| {
        let of = |profile: &&Value| profile["Id"] == record["ProfileId"];
        profiles["records"].as_array().unwrap().iter().find(of).unwrap()["Name"].clone()
    };
    let names: Vec<Value> = users["records"].as_array().unwrap().iter().map(named).collect();
    assert_eq!(names, ["Minimum Access - API Only Integrations", "System Administrator"]);
    let soql = "SELECT Name, InstanceName, IsSandbox, TrialExpirationDate, NamespacePrefix, OrganizationType FROM Organization";
    let (status, found) = session.query(soql).await;
    assert_eq!((status, &found["records"][0]["IsSandbox"]), (200, &json!(false)), "{found}");
    let (_, found) = session.query("SELECT Id FROM Organization").await;
    assert_eq!(found["records"][0]["Id"], "00Dsd0000000001EAA");
    let (status, refused) = session.create("Organization", json!({"Name": "Other"})).await;
    assert_eq!((status, &refused[0]["errorCode"]), (400, &json!("INVALID_FIELD_FOR_INSERT_UPDATE")));
}

#[tokio::test]
async fn soap_is_refused_in_its_own_form() {
    // `sf apex run`, and the login by password of simple-salesforce and jsforce.
    let session = Session::start().await;
    let ask = async |path: &str, body: String| {
        let url = format!("{}/services/Soap/{path}", session.base);
        let request = session.http.post(url).header("Content-Type", "text/xml").header("SOAPAction", "x");
        let answer = request.body(body).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (500, &"text/xml;charset=UTF-8".parse().unwrap())
        );
        let text = answer.text().await.unwrap();
        let fault = text.split("<faultcode>sf:").nth(1).unwrap();
        fault.split('<').next().unwrap().to_owned()
    };
    let apex = |session: &str| {
        format!(
            "<env:Envelope xmlns:env='http://schemas.xmlsoap.org/soap/envelope/'><env:Header><cmd:SessionHeader>\
             <cmd:sessionId>{session}</cmd:sessionId></cmd:SessionHeader></env:Header><env:Body>\
             <executeAnonymous><apexcode>System.debug(1);</apexcode></executeAnonymous></env:Body></env:Envelope>"
        )
    };
    assert_eq!(ask("s/67.0/00Dsd0000000001", apex(&session.token)).await, "INSUFFICIENT_ACCESS");
    assert_eq!(ask("s/67.0/00Dsd0000000001", apex("stale")).await, "INVALID_SESSION_ID");
    let login = "<Envelope><Body><n1:login xmlns:n1='urn:partner.soap.sforce.com'><n1:username>a</n1:username>\
        <n1:password>b</n1:password></n1:login></Body></Envelope>";
    assert_eq!(ask("u/59.0", login.to_owned()).await, "INVALID_LOGIN");
    assert_eq!(ask("u/65.0", login.to_owned()).await, "UNSUPPORTED_API_VERSION");
}

#[tokio::test]
async fn who_has_a_password_and_no_app_logs_in_by_soap_and_who_has_both_by_oauth() {
    let session = Session::start().await;
    let login = "<Envelope><Body><n1:login xmlns:n1='urn:partner.soap.sforce.com'><n1:username>integration@acme.example\
        </n1:username><n1:password>simulated-passwordTOKEN</n1:password></n1:login></Body></Envelope>";
    let url = format!("{}/services/Soap/u/59.0", session.base);
    let answer = session.http.post(url).header("SOAPAction", "login").body(login).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    let element = |name: &str| {
        let content = text.split(&format!("<{name}>")).nth(1).unwrap();
        content.split('<').next().unwrap().to_owned()
    };
    assert!(element("serverUrl").starts_with(&format!("{}/services/Soap/u/59.0/00D", session.base)));
    let url = format!("{}/services/data/v59.0/limits", session.base);
    let limits = session.http.get(url).bearer_auth(element("sessionId")).send().await.unwrap();
    assert_eq!(limits.status(), 200);

    let grant = async |password: &str| {
        let form = [
            ("grant_type", "password"),
            ("client_id", "simulated-app"),
            ("client_secret", "simulated-secret"),
            ("username", "integration@acme.example"),
            ("password", password),
        ];
        let url = format!("{}/services/oauth2/token", session.base);
        let answer: Value = session.http.post(url).form(&form).send().await.unwrap().json().await.unwrap();
        answer
    };
    assert!(grant("simulated-password").await["access_token"].is_string());
    let refused = json!({"error": "invalid_grant", "error_description": "authentication failure"});
    assert_eq!(grant("wrong").await, refused);
}

#[tokio::test]
async fn headers_are_named_as_an_org_writes_them() {
    // Airbyte's source looks for names of headers as texts, and reads results wrongly where it finds one in small letters.
    let session = Session::start().await;
    let address = session.base.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /services/data/v62.0/limits HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
        session.token
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    for name in ["\r\nContent-Type: application/json", "\r\nSforce-Limit-Info: api-usage="] {
        assert!(answer.contains(name), "{answer}");
    }
}
