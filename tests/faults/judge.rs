//! The judge of every test. It looks only after the faults are over, and believes the application's ledger, the org's
//! journal and the two sides themselves; the engines' own word counts for nothing.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::{Map, Value, json};
use syncdeck::demo::verdict::{judge, same};
use syncdeck::simulator::Faults;

use crate::proxy::Mode;
use crate::support::Patience;
use crate::world::{SECRET, World};

impl World {
    /// Ends the faults and the writers, lets the queue drain, and judges.
    pub async fn judge(&mut self) {
        self.application.finish().await;
        self.end_faults().await;
        self.drain().await;
        self.both_sides_agree().await;
        self.nothing_lost_doubled_or_reordered().await;
        self.probe_each_way().await;
        self.entries_and_units_belong_together().await;
        self.no_secret_anywhere().await;
        self.no_user_was_harmed().await;
    }

    pub async fn end_faults(&mut self) {
        self.org.set_faults(Faults::default());
        self.to_org.set(Mode::Pass);
        self.to_sql.set(Mode::Pass);
        self.disarm();
        self.revive();
    }

    async fn drain(&mut self) {
        let mut patience = Patience::new();
        loop {
            let unsent = self.store.unsent().await.unwrap_or(-1);
            if unsent == 0 {
                return;
            }
            patience.sees(unsent);
            if patience.is_over() {
                self.give_up(&format!("{unsent} changes and units are still unsent")).await;
            }
            self.look_after().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where everything stands, once it has come to rest: a read may wake a failed unit for what it brought. Every state
    /// explains why the row is not in step.
    async fn at_rest(&mut self) -> HashMap<(String, i32), String> {
        let mut patience = Patience::new();
        loop {
            let standing = self.store.standing().await.unwrap();
            patience.sees(standing.len());
            // A failure that comes late stops the others of its mapping, which the mapping's state tells.
            let explains = |state: &str| {
                ["open", "retrying", "review", "held", "ignored", "failed"].contains(&state)
                    || (self.resumes && state == "stopped")
            };
            let Some((row, state)) = standing.iter().find(|(_, state)| !explains(state)) else {
                return standing;
            };
            if patience.is_over() {
                let text = format!("{row:?} stands as {state}, which explains nothing");
                self.give_up(&text).await;
            }
            self.look_after().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn nothing_lost_doubled_or_reordered(&mut self) {
        let mut standing = self.at_rest().await;
        let ledger = self.ledger().await;
        // What became of those is what both sides agree on, and is looked at apart.
        for of in self.mended().await.into_keys() {
            standing.entry(of).or_insert_with(|| "mended".to_owned());
        }
        let journal = self.org.journal_since(0);
        assert_eq!(self.org.journal_forgotten(), 0, "what the journal forgot cannot be judged");
        let verdict = judge(&ledger, &journal, &self.org, &standing);
        let unwell = !verdict.lost.is_empty() || verdict.duplicated > 0 || !verdict.out_of_order.is_empty();
        if unwell {
            let culprit =
                verdict.lost.iter().chain(&verdict.out_of_order).next().cloned().unwrap_or_default();
            let key = culprit.split([',', ' ']).next().unwrap_or_default().to_owned();
            let story: Vec<String> = journal
                .iter()
                .filter(|entry| entry.external_id.as_deref() == Some(&key))
                .map(|entry| format!("{} {} {} {:?}", entry.seq, entry.source, entry.op, entry.fields))
                .collect();
            let committed = ledger.get(&key);
            self.give_up(&format!(
                "{verdict:?}\n{key} committed: {committed:#?}\njournal:\n{}",
                story.join("\n")
            ))
            .await;
        }
    }

    /// Rows and records that are in step hold the same values; nothing is on one side only.
    async fn both_sides_agree(&mut self) {
        let mut patience = Patience::new();
        loop {
            let differences = self.differences().await;
            let Some(first) = differences.first() else { return };
            patience.sees(&differences);
            if patience.is_over() {
                let mut words = first.split(' ').map(str::to_lowercase);
                let (table, id) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                let story = self.story(&table, &id).await;
                let text = format!(
                    "{} differences between the two sides, such as {first}\n{story}",
                    differences.len()
                );
                self.give_up(&text).await;
            }
            self.look_after().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What the database knows of one row.
    async fn story(&mut self, table: &str, id: &str) -> String {
        let mut story = Vec::new();
        for (of, key) in [
            ("salesforce._trigger_log", "id"),
            ("salesforce._trigger_log_archive", "id"),
            ("syncdeck.unit", "version"),
            ("syncdeck.attempt", "id"),
            ("syncdeck.conflict", "id"),
            ("syncdeck.error", "id"),
        ] {
            let sql = format!(
                "SELECT string_agg(to_jsonb(t)::text, E'\\n' ORDER BY {key}) FROM {of} t
                 WHERE table_name = '{table}' AND record_id::text = '{id}'"
            );
            let rows = self.text(&sql).await.unwrap_or_else(|| "none".to_owned());
            story.push(format!("{of}:\n{rows}"));
        }
        story.join("\n")
    }

    async fn differences(&mut self) -> Vec<String> {
        let standing = self.store.standing().await.unwrap();
        let mut found = Vec::new();
        for of in self.application.tables {
            let rows = self.rows(of.table).await;
            let mut records: BTreeMap<String, Map<String, Value>> = self
                .org
                .ids(of.object)
                .into_iter()
                .filter_map(|id| Some((id.clone(), self.org.record(of.object, &id)?)))
                .collect();
            for row in rows {
                let id = i32::try_from(row["id"].as_i64().unwrap()).unwrap();
                let record = row["sfid"].as_str().and_then(|sfid| records.remove(sfid));
                if standing.contains_key(&(of.table.to_owned(), id)) {
                    continue;
                }
                let Some(record) = record else {
                    found.push(format!("{} {id} has no record: {row}", of.table));
                    continue;
                };
                let fields = of.columns.iter().copied().chain([("external_id__c", "External_Id__c")]);
                for (column, field) in fields {
                    if !same(&row[column], &record[field]) {
                        found.push(format!(
                            "{} {id} {column}: {} here, {} there",
                            of.table, row[column], record[field]
                        ));
                    }
                }
            }
            // A record whose row is gone, with the delete failed or held, is listed: by its id, or, where an answer was
            // lost, as the row that has its key.
            let listed: Vec<String> = self.listed_records(of.table).await;
            let ledger = self.application.ledger.all();
            let stands = |record: &Map<String, Value>| {
                let commits = record["External_Id__c"].as_str().and_then(|key| ledger.get(key));
                commits.is_some_and(|commits| standing.contains_key(&(commits.table.clone(), commits.row)))
            };
            let unknown = records.iter().filter(|(id, record)| !listed.contains(id) && !stands(record));
            found.extend(unknown.map(|(id, _)| format!("{} {id} has no row", of.object)));
        }
        found
    }

    async fn rows(&mut self, table: &str) -> Vec<Value> {
        let sql = format!("SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]')::text FROM salesforce.{table} t");
        serde_json::from_str(&self.text(&sql).await.unwrap()).unwrap()
    }

    async fn listed_records(&mut self, table: &str) -> Vec<String> {
        let sql = format!(
            "SELECT coalesce(jsonb_agg(sfid), '[]')::text FROM syncdeck.error WHERE table_name = '{table}' AND resolved_at IS NULL"
        );
        serde_json::from_str::<Vec<Value>>(&self.text(&sql).await.unwrap())
            .unwrap()
            .iter()
            .filter_map(|sfid| sfid.as_str().map(str::to_owned))
            .collect()
    }

    /// Something new gets through, each way.
    async fn probe_each_way(&mut self) {
        let Some(of) = self.application.tables.first().copied() else { return };
        let (column, field) = of.columns[0];
        self.run(&format!(
            "INSERT INTO salesforce.{} (external_id__c, {column}) VALUES ('probe-out', 'probe')",
            of.table
        ))
        .await;
        self.until("a fresh row arrives in Salesforce", async |world| {
            world.org.find_by_external_id(of.object, "probe-out").is_some()
        })
        .await;
        let fields: Map<String, Value> =
            [(field.to_owned(), json!("probe")), ("External_Id__c".to_owned(), json!("probe-in"))]
                .into_iter()
                .collect();
        self.org.user_create(of.object, fields).unwrap();
        let sql = format!("SELECT count(*) FROM salesforce.{} WHERE external_id__c = 'probe-in'", of.table);
        self.until("a fresh record arrives in PostgreSQL", async |world| {
            world.sql.query_one(&sql, &[]).await.is_ok_and(|row| row.get::<_, i64>(0) == 1)
        })
        .await;
    }

    /// An entry that is not archived has its unit (I1); one that is archived says why (its state).
    async fn entries_and_units_belong_together(&mut self) {
        let stranded = self
            .count(
                "SELECT count(*) FROM salesforce._trigger_log log WHERE state <> 'NEW' AND NOT EXISTS (
                     SELECT FROM syncdeck.unit WHERE table_name = log.table_name AND record_id = log.record_id)",
            )
            .await;
        assert_eq!(stranded, 0, "FAULT_SEED={}: entries without a unit", self.seed);
        let unexplained = self
            .count(
                "SELECT count(*) FROM salesforce._trigger_log_archive WHERE state NOT IN ('SUCCESS', 'MERGED', 'READONLY')
                     AND NOT (state = 'IGNORED' AND (sf_message IS NOT NULL OR coalesce(values, '') = ''))",
            )
            .await;
        assert_eq!(unexplained, 0, "FAULT_SEED={}: archived entries without a reason", self.seed);
        let unlisted = self
            .count(
                "SELECT count(*) FROM syncdeck.unit u WHERE state IN ('failed', 'held') AND NOT EXISTS (
                     SELECT FROM syncdeck.error e WHERE e.table_name = u.table_name AND e.record_id = u.record_id
                         AND resolved_at IS NULL)",
            )
            .await;
        assert_eq!(unlisted, 0, "FAULT_SEED={}: units that wait for a person and are not listed", self.seed);
        let uncounted = self
            .count(
                "SELECT count(*) FROM syncdeck.unit u WHERE attempts > (SELECT count(*) FROM syncdeck.attempt a
                     WHERE a.table_name = u.table_name AND a.record_id = u.record_id AND outcome = 'rejected')",
            )
            .await;
        assert_eq!(
            uncounted, 0,
            "FAULT_SEED={}: attempts counted that Salesforce did not reject (I8)",
            self.seed
        );
    }

    async fn no_secret_anywhere(&mut self) {
        let mut texts = vec![self.printed()];
        for table in ["log", "error", "attempt", "command", "audit", "engine"] {
            let sql = format!("SELECT string_agg(t::text, E'\\n') FROM syncdeck.{table} t");
            texts.extend(self.text(&sql).await);
        }
        for text in texts {
            for secret in [SECRET, "!SIM"] {
                let line = text.lines().find(|line| line.contains(secret));
                assert!(line.is_none(), "FAULT_SEED={}: a secret is told: {line:?}", self.seed);
            }
        }
    }

    async fn no_user_was_harmed(&mut self) {
        let refusals = self.application.refusals();
        assert!(refusals.is_empty(), "FAULT_SEED={}: users were refused: {refusals:?}", self.seed);
        let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        let deadlocks = self.count(sql).await;
        let log = self.server.log();
        let story: Vec<&str> =
            log.lines().skip_while(|line| !line.contains("deadlock detected")).take(20).collect();
        assert_eq!(deadlocks, 0, "FAULT_SEED={}: deadlocks\n{}", self.seed, story.join("\n"));
    }
}
