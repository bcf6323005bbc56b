//! What Heroku Connect's API is told to do: only the connection that keeps this very database, by who may write here, and noted.

use syncdeck::client::api::{self, ErrorKind};
use syncdeck::client::attached::heroku::HerokuApi;
use syncdeck::demo::heroku_connect::api::{ConnectApi, MappingStand, RESOURCE, Scripted};
use syncdeck::domain::attached::told::NotificationFilter;
use syncdeck::domain::reports::overview::Writes;
use syncdeck::heroku;

use crate::beside::{Beside, ROWS};
use crate::connect_api::{AUDIT, access, answers, by, client, stand_in, told};

/// What only looks, and what acts, whatever else is.
async fn acts(client: &api::Client) -> Vec<Result<(), api::ClientError>> {
    vec![
        client.writes(None, Writes::Pause).await.map(drop),
        client.reload(Some("Contact")).await.map(drop),
        client.reload(None).await.map(drop),
        client.recover_heroku().await.map(drop),
        client.acknowledge_heroku(&NotificationFilter::default()).await.map(drop),
    ]
}

fn posts(api: &ConnectApi) -> Vec<String> {
    api.stand().asked.iter().filter(|asked| asked.starts_with("POST")).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_connection_of_this_very_database_is_heard_and_told_what_to_do() {
    let (beside, api) = (Beside::new(None, ROWS).await, stand_in().await);
    let own = beside.text("SELECT current_database()::text").await;
    let (org, other_org) = (Some("00DHC0000000001".to_owned()), Some("00DXX0000000009AAA".to_owned()));
    let elsewhere = Some("elsewhere".to_owned());
    for (what, database, org, wanted) in [
        ("another database", elsewhere.clone(), org.clone(), "keeps the database \"elsewhere\", not"),
        ("another org", own.clone(), other_org.clone(), "keeps the org \"00DXX0000000009\", not"),
        ("another org alone", None, other_org, "keeps the org \"00DXX0000000009\", not"),
        ("another database alone", elsewhere, None, "keeps the database \"elsewhere\", not"),
    ] {
        (api.stand().database, api.stand().org) = (database, org);
        let client = client(&beside, access(&api)).await;
        let trouble = told(&client).await.1.trouble.unwrap_or_else(|| panic!("{what}"));
        assert!(trouble.starts_with(&format!("{RESOURCE} of acme-demo {wanted}")), "{what}: {trouble}");
        for refused in acts(&client).await {
            let refused = refused.unwrap_err();
            assert!(
                refused.kind == ErrorKind::Refused && refused.message.contains(wanted),
                "{what}: {refused}"
            );
        }
    }
    // Where nothing can be compared, it is heard, and told nothing.
    (api.stand().database, api.stand().org) = (None, None);
    let unknown = client(&beside, access(&api)).await;
    assert_eq!(told(&unknown).await.1.state.as_deref(), Some("IDLE"));
    for refused in acts(&unknown).await {
        let refused = refused.unwrap_err();
        assert!(refused.message.contains("told nothing to do"), "{refused}");
        assert!(
            refused.to_string().contains("heroku addons:open herokuconnect-angular-12345 -a acme-demo"),
            "{refused}"
        );
    }
    assert_eq!(posts(&api), Vec::<String>::new());
    // One of the two is enough.
    for (database, of) in [(own, None), (None, org)] {
        (api.stand().database, api.stand().org) = (database, of);
        let known = client(&beside, access(&api)).await;
        known.recover_heroku().await.unwrap();
        assert_eq!(known.heroku_name().await.unwrap(), format!("{RESOURCE} of acme-demo"));
    }
    // A database that does not say whose org it has.
    beside.run("DROP TABLE salesforce._hcmeta").await;
    let nameless = client(&beside, access(&api)).await;
    assert!(nameless.recover_heroku().await.unwrap_err().message.contains("told nothing to do"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_apps_connection_is_never_taken_for_the_one_that_is_asked_for() {
    let (beside, api) = (Beside::new(None, ROWS).await, stand_in().await);
    (api.stand().let_in, api.stand().other_app) = (false, Some("acme-other".to_owned()));
    let client = client(&beside, access(&api)).await;
    let heard = told(&client).await.1;
    assert_eq!((heard.resource.as_deref(), heard.trouble), (Some(RESOURCE), None));
    let asked: Vec<String> = api.stand().asked.iter().take(3).cloned().collect();
    assert_eq!(asked, ["GET /connections", "POST /auth/acme-demo", "GET /connections"]);

    // A search that tells of another app's besides, or of nothing else.
    let other = |more: &str| {
        let of = format!(
            "{{\"id\": \"x\", \"app_name\": \"acme-other\", \"region_url\": \"{}\"}}{more}",
            api.url()
        );
        answers(200, &format!("{{\"results\": [{of}]}}"))
    };
    let own =
        format!(", {{\"id\": \"../x\", \"app_name\": \"acme-demo\", \"region_url\": \"{}\"}}", api.url());
    let fresh = || heroku::Client::new(access(&api)).unwrap();
    api.stand().next = [other(&own)].into();
    assert!(fresh().connection().await.unwrap_err().to_string().contains("the connection's id is none"));

    // It is asked to be let in once, however often nothing is found after that.
    let alone = fresh();
    let before = posts(&api).len();
    for times in 0..3 {
        let nobody = if times == 0 { vec![other(""), Scripted::Own, other("")] } else { vec![other("")] };
        api.stand().next = nobody.into();
        let none = alone.connection().await.unwrap_err();
        assert!(matches!(none, heroku::Error::NoConnection { .. }), "{none}");
    }
    assert_eq!(posts(&api).len(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_here_has_nothing_done_there_either() {
    let (beside, api) = (Beside::new(None, ROWS).await, stand_in().await);
    let known = || HerokuApi::new(heroku::Client::new(access(&api)).map_err(|error| error.to_string()));
    let role = format!("looks_{}", std::process::id());
    beside
        .run(&format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA salesforce TO {role};
             GRANT SELECT ON ALL TABLES IN SCHEMA salesforce TO {role}"
        ))
        .await;
    let (before, _) = beside.url.rsplit_once("user=").unwrap();
    let clients = [
        (by(&beside.url, true, known()).await, "read-only"),
        (by(&format!("{before}user={role}"), false, known()).await, "has no right INSERT, UPDATE"),
    ];
    for (client, why) in clients {
        for refused in acts(&client).await {
            let refused = refused.unwrap_err();
            assert!(refused.kind == ErrorKind::NoRights && refused.message.contains(why), "{refused}");
        }
    }
    assert_eq!(posts(&api), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_done_is_noted_and_said_and_looked_at_again() {
    let (beside, api) = (Beside::new(None, ROWS).await, stand_in().await);
    beside.run(AUDIT).await;
    let client = client(&beside, access(&api)).await;
    assert_eq!(told(&client).await.1.state.as_deref(), Some("IDLE"));
    api.stand().next = [Scripted::Own, Scripted::Half].into();
    let lost = client.writes(None, Writes::Pause).await.unwrap_err();
    assert!(lost.to_string().contains("what was to be done may have been done"), "{lost}");
    "PAUSED".clone_into(&mut api.stand().state);
    assert_eq!(told(&client).await.1.state.as_deref(), Some("PAUSED"));
    api.stand().next = [Scripted::Own, Scripted::Half].into();
    client.reload(Some("Contact")).await.unwrap_err();
    // What was refused was not done, and is not noted.
    client.writes(None, Writes::Pause).await.unwrap_err();
    let does = client.acknowledge_heroku(&NotificationFilter::default()).await.unwrap();
    assert_eq!(does, format!("the notifications of {RESOURCE} of acme-demo are acknowledged"));
    let noted = "SELECT string_agg(concat_ws(' ', action, mapping, after ->> 'heroku_connect'), '; ' ORDER BY id) FROM syncdeck.audit";
    assert_eq!(
        beside.text(noted).await.unwrap(),
        "paused  paused (no answer); reloaded Contact reloaded (no answer); acknowledged  acknowledged"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_of_all_says_how_far_it_came_and_what_it_left_out() {
    let (beside, api) = (Beside::new(None, ROWS).await, stand_in().await);
    beside.run(AUDIT).await;
    let client = client(&beside, access(&api)).await;
    let numbers = "SELECT string_agg(concat_ws(' ', act, mapping), '; ' ORDER BY id) FROM syncdeck.audit";
    // It is known where the connection is. It is asked, one table is emptied, and the next one refused.
    assert_eq!(told(&client).await.1.trouble, None);
    let busy = answers(409, "{\"message\": \"busy\"}");
    api.stand().next = [Scripted::Own, Scripted::Own, busy].into();
    let failed = client.reload(None).await.unwrap_err();
    assert!(failed.message.starts_with("loaded again: Contact; RecordType is not: "), "{failed}");
    assert_eq!(std::mem::take(&mut api.stand().reloads), ["Contact"]);
    assert_eq!(beside.text(numbers).await.unwrap(), "1 Contact");

    // One that cannot be noted does not keep the others from it, and is told of.
    beside.run("ALTER TABLE syncdeck.audit ADD CHECK (mapping <> 'RecordType')").await;
    let asked = api.stand().asked.len();
    let failed = client.reload(None).await.unwrap_err();
    assert!(failed.message.starts_with("Contact, RecordType, User: "), "{failed}");
    assert!(failed.message.contains("could not be noted in the audit"), "{failed}");
    assert_eq!(std::mem::take(&mut api.stand().reloads), ["Contact", "RecordType", "User"]);
    assert_eq!(beside.text(numbers).await.unwrap(), "1 Contact; 2 Contact; 2 User");
    // The connection is looked at once for all of them.
    let requests = api.stand().asked[asked..].to_vec();
    assert_eq!(requests.iter().filter(|asked| asked.starts_with("GET")).count(), 1, "{requests:?}");

    beside
        .run("TRUNCATE syncdeck.audit; ALTER TABLE syncdeck.audit DROP CONSTRAINT audit_mapping_check")
        .await;
    api.stand().mappings.push(MappingStand::new("Ghost__c"));
    let done = client.reload(None).await.unwrap();
    assert!(done.contains("Ghost__c not: it is mapped there, and no table of it is seen here"), "{done}");
    assert_eq!(api.stand().reloads, ["Contact", "RecordType", "User"]);
}
