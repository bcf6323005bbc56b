//! What takes long and is asked of the engine: both sides compared, a dry run of a mapping; told as it goes, stopped when
//! nobody wants it, and in nobody's way.

use std::sync::Mutex;

use syncdeck::domain::records::verify::FindingKind;
use syncdeck::domain::records::verify::Stage;
use syncdeck::domain::reports::overview::Writes;
use tokio_util::sync::CancellationToken;

use crate::verify::long_ago;
use crate::world::{MAPPINGS, World, contact};

/// Contacts of the large world: three pages.
const MANY: usize = 4_500;

async fn large_world() -> World {
    World::with(MAPPINGS, |org| long_ago(org, MANY)).await
}

/// Waits until a command is worked that is not answered yet.
async fn until_at_work(world: &World) {
    let at_work =
        "SELECT count(*)::text FROM syncdeck.command WHERE progress IS NOT NULL AND done_at IS NULL";
    world.until_text(at_work, "1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_verifies_for_whoever_asks_and_answers_others_meanwhile() {
    let world = large_world().await;
    world.plant("UPDATE salesforce.contact SET lastname = 'Wrong' WHERE external_id__c = 'K7'").await;
    world.org.change_faults(|faults| faults.latency_ms = 600);
    let stages = Mutex::new(Vec::new());
    let told = |stage| stages.lock().unwrap().push(stage);
    let never = CancellationToken::new();
    let verify = world.handle.verify("contact", &told, &never);
    let fetch = async {
        until_at_work(&world).await;
        let values = world.handle.salesforce_values(&contact(1)).await.unwrap();
        let open =
            world.text("SELECT (done_at IS NULL)::text FROM syncdeck.command WHERE kind = 'verify'").await;
        (values.sfid.is_some(), open.unwrap())
    };
    let (comparison, fetched) = tokio::join!(verify, fetch);
    assert_eq!(fetched, (true, "true".to_owned()));
    let comparison = comparison.unwrap();
    assert_eq!(
        (comparison.mapping.as_str(), comparison.records, comparison.stopped),
        ("Contact", MANY as i64 + 1, false)
    );
    let found: Vec<_> =
        comparison.findings.iter().map(|finding| (finding.kind, finding.fields[0].row.as_deref())).collect();
    assert_eq!(found, [(FindingKind::Mismatch, Some("Wrong"))]);
    let stages = stages.into_inner().unwrap();
    assert!(stages.iter().any(|stage| matches!(stage, Stage::Comparing(_, 4_501))), "{stages:?}");
    // What was answered is not kept: it quotes rows.
    let kept = "SELECT count(result)::text FROM syncdeck.command WHERE kind = 'verify'";
    assert_eq!(world.text(kept).await.unwrap(), "0");
    let refused = world.handle.verify("nothing", &|_| {}, &never).await.unwrap_err().to_string();
    assert!(refused.contains("no mapping"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_ends_when_it_is_stopped_or_nobody_wants_it_or_the_engine_ends() {
    let mut world = large_world().await;
    world.org.change_faults(|faults| faults.latency_ms = 2_000);
    let stop = CancellationToken::new();
    let stopping = async {
        until_at_work(&world).await;
        stop.cancel();
    };
    let (comparison, ()) = tokio::join!(world.handle.verify("Contact", &|_| {}, &stop), stopping);
    assert!(comparison.unwrap().stopped);
    // Whoever asked leaves without a word, long ago as far as anybody can tell.
    let never = CancellationToken::new();
    tokio::select! {
        comparison = world.handle.verify("Contact", &|_| {}, &never) => panic!("{comparison:?}"),
        () = until_at_work(&world) => {}
    }
    let long_ago = "UPDATE syncdeck.command SET wanted_at = wanted_at - interval '1 min',
         created_at = created_at - interval '1 min' WHERE done_at IS NULL";
    let stopped = "SELECT result ->> 'stopped' FROM syncdeck.command ORDER BY id DESC LIMIT 1";
    // The last word of whoever left may still be on its way, and come after the first of these.
    world
        .until("it is stopped", async || {
            world.run(long_ago).await;
            world.text(stopped).await.as_deref() == Some("true")
        })
        .await;
    // The engine ends in good order.
    let handle = world.handle.clone();
    let verify =
        tokio::spawn(async move { handle.verify("Contact", &|_| {}, &CancellationToken::new()).await });
    until_at_work(&world).await;
    world.stop_engine().await;
    let ended = verify.await.unwrap().unwrap_err().to_string();
    assert!(ended.contains("verify again"), "{ended}");
    // Without an engine nobody takes it; one that died in the middle gives no sign of life.
    for (kind, change, part) in [
        ("test", "created_at = created_at - interval '1 min'", "no engine took it"),
        ("verify", "taken_at = clock_timestamp() - interval '1 min'", "gives no sign of life"),
    ] {
        let asked = async {
            match kind {
                "test" => world.handle.dry_run("Contact", 5).await.map(drop),
                _ => world.handle.verify("Contact", &|_| {}, &never).await.map(drop),
            }
        };
        let later = async {
            let open = "SELECT kind FROM syncdeck.command WHERE done_at IS NULL ORDER BY id DESC LIMIT 1";
            world.until_text(open, kind).await;
            world
                .run(&format!(
                    "UPDATE syncdeck.command SET {change} WHERE done_at IS NULL AND kind = '{kind}'"
                ))
                .await;
        };
        let (refused, ()) = tokio::join!(asked, later);
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(part), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_tries_a_mapping_and_salesforce_takes_all_of_it_back() {
    let world = World::start(MAPPINGS).await;
    world.handle.writes(Some("Contact"), Writes::Pause).await.unwrap();
    world
        .run(
            "INSERT INTO salesforce.contact (lastname, email, external_id__c)
             VALUES ('New', 'b@acme.com', 'K2'), ('Bad', 'nobody', 'K3')",
        )
        .await;
    let shown = world.handle.dry_run("contact", 10).await.unwrap();
    let told: Vec<_> = shown
        .items
        .iter()
        .map(|tried| (tried.row.0, tried.op.as_str(), tried.passes, tried.refused_by.as_deref()))
        .collect();
    assert_eq!(told, [(2, "insert", false, Some("check")), (1, "insert", true, None)]);
    assert_eq!((shown.mapping.as_str(), shown.offline, shown.rows, shown.passed), ("Contact", false, 2, 1));
    assert!(world.org.ids("Contact").is_empty());
    // The reader takes some of them.
    world.org.change_faults(|faults| faults.server_error = 1_000);
    let refused = world.handle.dry_run("contact", 10).await.unwrap_err().to_string();
    assert!(refused.contains("cannot try Contact: UNKNOWN_EXCEPTION"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moments_outage_is_waited_out_for_whoever_asks_and_a_longer_one_is_told() {
    let world = World::start(MAPPINGS).await;
    world.run("INSERT INTO salesforce.contact (lastname, external_id__c) VALUES ('Doe', 'K1')").await;
    world.until_quiet().await;
    let open = |code| {
        format!("SELECT count(*)::text FROM syncdeck.error WHERE code = '{code}' AND resolved_at IS NULL")
    };
    let write = "UPDATE salesforce.contact SET lastname = lastname || 'x'";
    world.org.change_faults(|faults| faults.unavailable = 1);
    world.run(write).await;
    // It may be over before it is looked for.
    let met = "SELECT count(*)::text FROM syncdeck.error WHERE code = 'SERVER_UNAVAILABLE'";
    world.until_text(met, "1").await;
    let values = world.handle.salesforce_values(&contact(1)).await.unwrap();
    assert!(values.sfid.is_some(), "{values:?}");
    world.until_quiet().await;
    // The daily allowance is not back within seconds: that is said at once.
    world.org.change_faults(|faults| faults.daily_limit = 1_000);
    world.run(write).await;
    world.until_text(&open("REQUEST_LIMIT_EXCEEDED"), "1").await;
    let refused = world.handle.salesforce_values(&contact(1)).await.unwrap_err().to_string();
    assert!(refused.contains("is not asked for another"), "{refused}");
}
