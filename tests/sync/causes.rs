//! The life of causes: by a real engine, over restarts, with two engines, under rules that split groups.

use serde_json::{Value, json};
use syncdeck::client::causes::ListedCause;
use syncdeck::domain::errors::cause::{CauseState, Until};
use syncdeck::domain::errors::group::Group;
use syncdeck::engine;

use crate::scripts::{json_of, run, text};
use crate::world::{MAPPINGS, World};

impl World {
    /// A contact whose address Salesforce does not take.
    async fn reject(&self, key: &str, address: &str) {
        let sql = "INSERT INTO salesforce.contact (lastname, email, external_id__c) VALUES ('Doe', $1, $2)";
        self.sql.execute(sql, &[&address, &key]).await.unwrap();
    }

    async fn address(&self, key: &str, address: &str) {
        let sql = "UPDATE salesforce.contact SET email = $1 WHERE external_id__c = $2";
        self.sql.execute(sql, &[&address, &key]).await.unwrap();
    }

    /// The only cause, once it is in that state.
    async fn until_state(&self, state: CauseState) -> ListedCause {
        let mut found = None;
        self.until(&format!("the cause is {}", state.word()), async || {
            found = self.handle.causes("", true, 10).await.unwrap().pop();
            found.as_ref().is_some_and(|cause| cause.life.state == state)
        })
        .await;
        found.unwrap()
    }

    /// Waits for the first look at causes: what failed before it is not new.
    async fn until_causes_are_looked_at(&self) {
        self.until_text("SELECT (looked_at IS NOT NULL)::text FROM syncdeck.cause_mark", "true").await;
    }

    /// The groups, once there are so many and each is known to the engine.
    async fn until_groups(&self, count: usize) -> Vec<Group> {
        let mut groups = Vec::new();
        self.until(&format!("there are {count} groups"), async || {
            groups = self.handle.groups("", 50).await.unwrap();
            groups.len() == count && groups.iter().all(|group| group.life.is_some())
        })
        .await;
        groups
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cause_is_new_is_mended_and_is_back_and_keeps_its_owner_and_note() {
    let mut world = World::start(MAPPINGS).await;
    world.until_causes_are_looked_at().await;
    world.reject("K1", "jane@acme,com").await;
    let cause = world.until_state(CauseState::New).await;
    assert_eq!((cause.mapping.as_str(), cause.code.as_str()), ("Contact", "INVALID_EMAIL_ADDRESS"));
    let shared = |name: &str| {
        let found = cause.life.grouped_by.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(shared("fields"), Some("Email"));
    assert_eq!(shared("form of the message"), Some("Email: invalid email address: …"));
    world.handle.own_cause(&cause.group, Some("ada")).await.unwrap();
    world.handle.note_cause(&cause.group, Some("marketing is asked")).await.unwrap();
    world.address("K1", "jane@acme.com").await;
    world.until_state(CauseState::Mended).await;
    // Nothing is forgotten with the engine.
    world.stop_engine().await;
    world.start_engine().await;
    world.address("K1", "jane@acme;com").await;
    let back = world.until_state(CauseState::Back).await;
    assert_eq!(back.group, cause.group);
    assert_eq!((back.life.returns, back.life.owner.as_deref()), (1, Some("ada")));
    assert_eq!(back.life.note.as_deref(), Some("marketing is asked"));
    assert!(back.life.mended_at.is_some() && back.life.first_seen == cause.life.first_seen);
    let group = &world.handle.groups("", 10).await.unwrap()[0];
    assert_eq!(group.life.as_ref().map(|life| (life.state, life.returns)), Some((CauseState::Back, 1)));
    let audit = "SELECT string_agg(concat_ws(' ', actor, action, after ->> 'owner', after ->> 'note'), '; ' ORDER BY id)
                 FROM syncdeck.audit";
    let told = "tester@here owned a cause ada; tester@here noted a cause marketing is asked";
    assert_eq!(world.text(audit).await.as_deref(), Some(told));
    world.handle.own_cause(&cause.group, Some("ada")).await.unwrap();
    assert_eq!(world.text(audit).await.as_deref(), Some(told), "what is so already is nobody's doing");
    world.stop_engine().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_engines_count_a_cause_once_and_a_mute_ends_when_so_many_more_came() {
    let world = World::start(MAPPINGS).await;
    let second = engine::start(world.config.clone(), world.store.clone()).await.unwrap();
    world.until_causes_are_looked_at().await;
    world.reject("K0", "no@where,com").await;
    let cause = world.until_state(CauseState::New).await;
    let until = async |ever: i64| {
        let is = async || world.handle.cause(&cause.group).await.unwrap().life.ever == ever;
        world.until(&format!("{ever} errors are counted"), is).await;
    };
    until(1).await;
    world.handle.mute_cause(&cause.group, Until::More(3)).await.unwrap();
    for key in ["K1", "K2"] {
        world.reject(key, "no@where,com").await;
    }
    until(3).await;
    let muted = world.handle.cause(&cause.group).await.unwrap().life;
    assert_eq!(
        (muted.state, muted.muted.as_deref()),
        (CauseState::Quiet, Some("until 1 more by tester@here"))
    );
    world.reject("K3", "no@where,com").await;
    until(4).await;
    let life = world.handle.cause(&cause.group).await.unwrap().life;
    assert_eq!((life.state, life.muted), (CauseState::New, None));
    let told = "SELECT count(*)::text FROM syncdeck.log WHERE message LIKE '%is muted no more%'";
    world.until_text(told, "1").await;
    // Looks that nobody needed change nothing.
    for _ in 0..5 {
        let now = world.store.now().await.unwrap();
        world.store.look_at_causes(now, None).await.unwrap();
    }
    assert_eq!(world.handle.cause(&cause.group).await.unwrap().life.ever, 4);
    assert_eq!(world.text(told).await.as_deref(), Some("1"));
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_before_anybody_looked_is_not_new() {
    let mut world = World::start(MAPPINGS).await;
    world.until_causes_are_looked_at().await;
    world.reject("K1", "jane@acme,com").await;
    world.until_state(CauseState::New).await;
    world.stop_engine().await;
    // As after an upgrade; a mended cause of long ago is forgotten meanwhile, unless somebody noted it.
    world.run("DELETE FROM syncdeck.cause; UPDATE syncdeck.cause_mark SET looked_at = NULL").await;
    for (name, note) in [("old", "NULL"), ("noted", "'kept'")] {
        world
            .run(&format!(
                "INSERT INTO syncdeck.cause (fingerprint, mapping, code, category, fields, title, why, key, open, course, note,
                     changed_at)
                 VALUES ('{name}', 'Contact', 'X', 'data', '{{}}', '', '', '[]', false, '{{}}', {note}, now() - interval '400 days')"
            ))
            .await;
    }
    world.start_engine().await;
    world.until_state(CauseState::Ongoing).await;
    let left = "SELECT string_agg(fingerprint, ' ') FROM syncdeck.cause WHERE NOT open";
    world.until_text(left, "noted").await;
    world.stop_engine().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_the_configuration_splits_a_group_and_is_taken_back() {
    let world = World::start(MAPPINGS).await;
    for (key, address) in [("K1", "jane@acme,com"), ("K2", "joe@other,com"), ("K3", "jim@acme,com")] {
        world.reject(key, address).await;
    }
    let whole = world.until_groups(1).await.remove(0);
    world.until("all of it is there", async || world.handle.groups("", 9).await.unwrap()[0].count == 3).await;
    world.handle.own_cause(&whole.group, Some("ada")).await.unwrap();
    let before = world.written();
    world.write(&format!(
        "{before}\n[[group]]\nname = \"domains\"\ncode = \"INVALID_EMAIL_ADDRESS\"\nmessage = \"@{{domain}},com\"\n"
    ));
    let parts = world.until_groups(2).await;
    let life = |group: &Group| group.life.clone().unwrap();
    let mut of: Vec<(i64, String)> =
        parts.iter().map(|group| (group.count, life(group).grouped_by.last().unwrap().1.clone())).collect();
    of.sort();
    assert_eq!(of, [(1, "other".to_owned()), (2, "acme".to_owned())]);
    for part in &parts {
        let life = life(part);
        assert_eq!((life.state, life.owner.as_deref()), (CauseState::Ongoing, Some("ada")), "{part:?}");
        let words = life.grouped_in_words();
        assert!(words.contains("split by [[group]]: domains\ndomain: "), "{words}");
    }
    world
        .until("the group that was split is no mended cause", async || {
            world.handle.cause(&whole.group).await.is_err()
        })
        .await;
    // What fails again stays in its part, and what is told apart for the first time is new.
    world.address("K1", "jane@acme,com ").await;
    world.reject("K4", "joy@third,com").await;
    let parts = world.until_groups(3).await;
    let new: Vec<&Group> = parts.iter().filter(|group| life(group).state == CauseState::New).collect();
    assert_eq!(new.len(), 1, "{parts:#?}");
    assert_eq!(life(new[0]).grouped_by.last().unwrap().1, "third");
    let listed = world.handle.count(&format!("group:{}", new[0].group)).await.unwrap();
    assert_eq!(listed.matching, 1);
    // A filter by the name that they would have together finds none of the parts.
    assert_eq!(world.handle.count(&format!("group:{}", whole.group)).await.unwrap().matching, 0);
    world.write(&before);
    let again = world.until_groups(1).await;
    assert_eq!((again[0].group.as_str(), again[0].count), (whole.group.as_str(), 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_lists_owns_notes_and_mutes_causes() {
    let world = World::start(MAPPINGS).await;
    world.until_causes_are_looked_at().await;
    world.reject("K1", "jane@acme,com").await;
    let cause = world.until_state(CauseState::New).await;
    let begin = &cause.group[..6];
    let listed = json_of(&world, &["cause"]).await;
    assert_eq!((&listed[0]["group"], &listed[0]["state"]), (&json!(cause.group), &json!("new")));
    let owned = json_of(&world, &["cause", "own", begin]).await;
    assert!(owned["owner"].as_str().unwrap().contains('@'), "{owned}");
    assert_eq!(json_of(&world, &["cause", "own", begin, "ada"]).await["owner"], "ada");
    assert_eq!(json_of(&world, &["cause", "note", begin, "asked"]).await["note"], "asked");
    let muted = json_of(&world, &["cause", "mute", begin, "--until", "5 more"]).await;
    assert_eq!(muted["state"], "quiet");
    assert!(muted["muted"].as_str().unwrap().starts_with("until 5 more by "), "{muted}");
    let shown = text(&run(&world, &["cause", "show", begin]).await);
    for part in
        ["quiet since", "owner          ada", "note           asked", "form of the message: Email: invalid"]
    {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let groups = json_of(&world, &["errors", "--group"]).await;
    assert_eq!(
        (&groups[0]["life"]["state"], &groups[0]["life"]["owner"], &groups[0]["life"]["note"]),
        (&json!("quiet"), &json!("ada"), &json!("asked"))
    );
    let words = text(&run(&world, &["errors", "--group"]).await);
    assert!(words.contains("quiet") && words.contains("ada") && words.contains("asked · Email"), "{words}");
    assert_eq!(json_of(&world, &["cause", "unmute", begin]).await["muted"], Value::Null);
    assert_eq!(json_of(&world, &["cause", "own", begin, "-"]).await["owner"], Value::Null);
    assert_eq!(json_of(&world, &["cause", "note", begin, ""]).await["note"], Value::Null);
    for (wrong, part) in [
        (&["cause", "own"][..], "name a cause"),
        (&["cause", "note", begin], "write the note behind the cause"),
        (&["cause", "mute", begin, "--until", "soon"], "write 100 more, a time such as 2d"),
        (&["cause", "show", begin, "--until", "2d"], "--until is for cause mute"),
        (&["cause", "mute", begin, "x"], "a third word is for cause own and note"),
    ] {
        let output = run(&world, wrong).await;
        assert!(output.status.code() == Some(2) && text(&output).contains(part), "{}", text(&output));
    }
    let none = run(&world, &["cause", "own", "zzzz"]).await;
    assert!(
        none.status.code() == Some(1) && text(&none).contains("there is no cause zzzz"),
        "{}",
        text(&none)
    );
    let refused = run(&world, &["cause", "own", begin, "--read-only"]).await;
    assert!(refused.status.code() != Some(0), "{}", text(&refused));
}
