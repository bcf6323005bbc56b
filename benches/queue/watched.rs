//! What alerts and a history cost the work: an engine with every kind of rule, a channel, open errors of many causes and a
//! month of attempts sends as fast as one that has none of it.

use std::path::Path;

use syncdeck::config::Config;
use syncdeck::engine;
use syncdeck::simulator::{self, Org, OrgOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Limit, Side, connect, each, figure, store, writing};

/// Of a round: long enough for several looks.
const CHANGES: i64 = 40_000;
/// One in so many is refused before it is sent.
const REFUSED: i64 = 100;
const ROUNDS: usize = 3;
/// What the history has.
const ATTEMPTS: i64 = 500_000;
const ERRORS: i64 = 20_000;
const CAUSES: i64 = 60;

/// A rule of each kind that needs no log.
const RULES: &str = "[[alert]]\nwhen = \"error\"\n[[alert]]\nwhen = \"new_cause\"\n[[alert]]\nwhen = \"cause_grows\"\n\
    [[alert]]\nwhen = \"cause_back\"\n[[alert]]\nwhen = \"errors\"\nabove = 10\n[[alert]]\nwhen = \"error_rate\"\n\
    [[alert]]\nwhen = \"success_rate\"\n[[alert]]\nwhen = \"oldest_unsent\"\n[[alert]]\nwhen = \"nothing_synced\"\n\
    [[alert]]\nwhen = \"blocked\"\n[[alert]]\nwhen = \"api_budget\"\n[[alert]]\nwhen = \"verify\"\n\
    [[alert]]\nwhen = \"connection_down\"\n";

/// An engine's database, its org, and how many rounds it had.
struct Place {
    url: String,
    config: Config,
    org: Org,
    rounds: usize,
}

impl Place {
    async fn new(url: &str, rules: &str) -> Place {
        let org = Org::new(OrgOptions::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let text = writing::text(url, listener.local_addr().unwrap());
        tokio::spawn(simulator::serve(org.clone(), listener, CancellationToken::new()));
        let config = Config::parse(Path::new("/nowhere/syncdeck.toml"), &format!("{text}{rules}")).unwrap();
        // Lays the schema out.
        engine::start(config.clone(), store(url).await).await.unwrap().stop().await;
        Place { url: url.to_owned(), config, org, rounds: 0 }
    }

    /// Changes a second, from the first that arrives to the last.
    async fn round(&mut self) -> f64 {
        self.rounds += 1;
        let sql = connect(&self.url).await;
        sql.batch_execute(&format!(
            "INSERT INTO salesforce.contact (lastname, external_id__c)
             SELECT CASE WHEN n % {REFUSED} = 0 THEN NULL ELSE 'Name' END, 'R{}-' || n FROM generate_series(1, {CHANGES}) n",
            self.rounds
        ))
        .await
        .unwrap();
        let before = self.org.journal_since(0).len();
        let engine = engine::start(self.config.clone(), store(&self.url).await).await.unwrap();
        let accepted = usize::try_from(CHANGES - CHANGES / REFUSED).unwrap();
        while self.org.journal_since(0).len() - before < accepted {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        engine.stop().await;
        let journal = &self.org.journal_since(0)[before..];
        assert_eq!(journal.len(), accepted, "each change arrived once");
        let (first, last) = (journal[0].at, journal[journal.len() - 1].at);
        (accepted as f64 - super::BATCH as f64) / ((last - first).num_milliseconds() as f64 / 1000.0)
    }
}

/// A month of attempts, and errors that are open.
async fn remember(url: &str) {
    each(&connect(url).await, &format!(
        "INSERT INTO syncdeck.attempt (at, table_name, record_id, batch, op, upto, outcome, request)
         SELECT clock_timestamp() - n * interval '5 s', 'contact', 1000000 + n, 'b' || n / 200, 'update', n,
             CASE WHEN n % 50 = 0 THEN 'rejected' ELSE 'accepted' END, '{{\"LastName\": \"Name\"}}'
         FROM generate_series(1, {ATTEMPTS}) n;\n\
         INSERT INTO syncdeck.error (mapping, table_name, record_id, op, code, category, class, message, fingerprint, state, first_seen)
         SELECT 'Contact', 'contact', 1000000 + n, 'update', 'CODE_' || n % {CAUSES}, 'data', 'permanent', 'no', 'f' || n % {CAUSES},
             'open', clock_timestamp() - n * interval '1 minute' FROM generate_series(1, {ERRORS}) n;\n\
         VACUUM ANALYZE syncdeck.attempt;\nVACUUM ANALYZE syncdeck.error"
    ))
    .await;
}

/// Takes messages, whatever they are.
async fn receiver() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = vec![0; 64 * 1024];
                let _ = stream.read(&mut bytes).await;
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

pub async fn run(bare: &str, watched: &str) {
    let channel =
        format!("[alert.channel.desk]\nkind = \"webhook\"\nurl = \"http://{}/\"\n", receiver().await);
    let mut bare = Place::new(bare, "").await;
    let mut watched = Place::new(watched, &format!("{RULES}{channel}")).await;
    remember(&watched.url).await;
    let (mut ours, mut peer) = (Side::new("alerts and a history"), Side::new("none of it"));
    for round in 0..ROUNDS {
        for is_ours in [round % 2 == 0, round % 2 != 0] {
            if is_ours {
                ours.rounds.push(watched.round().await);
            } else {
                peer.rounds.push(bare.round().await);
            }
        }
    }
    figure(
        "an engine with alerts and history over one without",
        &ours,
        &peer,
        "changes/s",
        Limit::AtLeast(0.9),
    );
}
