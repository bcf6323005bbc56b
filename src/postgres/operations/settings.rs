//! What is set for mappings at run time: rules that come before the configuration's; and the definition under which each mapping is worked, for whoever has no engine at hand.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::domain::mappings::mapping::{Mapping, no_such_mapping};
use crate::domain::mappings::rules::Rules;
use crate::domain::operations::operation::Operation;

use crate::postgres::operations::audit::{NewAuditEntry, audit};
use crate::postgres::{CHANNEL, Cached, Error, ErrorContext, Store, Transaction};

/// Rules set at run time, by mapping and key.
pub type RunTimeRules = BTreeMap<String, BTreeMap<String, String>>;

/// What setting a rule came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetTo {
    /// The rule, its field as the mapping writes it.
    pub key: String,
    /// What it is now; `None` where it is left to the configuration.
    pub value: Option<String>,
    /// Whether it was so already: then nothing was written.
    pub is_so: bool,
}

/// See [`Store::orders`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// The tables whose writes are stopped or paused.
    pub writes_off: HashSet<String>,
    /// Grows with every rule that is set at run time.
    pub rules_version: i64,
}

impl Store {
    /// The mapping of a table, or of an object name in any case, with its rules as they are in force now: what was set a
    /// moment ago counts, whether or not an engine has taken it up.
    ///
    /// # Errors
    /// Wrong when there is none of that name.
    pub async fn registered(&self, name: &str) -> Result<Mapping, Error> {
        let client = self.client().await?;
        let sql = format!("{REGISTERED} WHERE table_name = $1 OR lower(name) = lower($1)");
        let row = client.query_opt(&sql, &[&name]).await.context("read a mapping")?;
        let Some(row) = row else {
            let rows = client
                .query("SELECT name FROM syncdeck.mapping ORDER BY position", &[])
                .await
                .context("read the mappings")?;
            let known: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
            return Err(Error::Wrong(no_such_mapping(name, &known)));
        };
        read_mapping(&row).map_err(|error| {
            Error::Refused(format!(
                "the mapping {name} was registered by another version ({error})\nstart its engine again, with: syncdeck run"
            ))
        })
    }

    /// All mappings as any engine of this version worked them last, with their rules as they are in force now.
    pub async fn definitions(&self) -> Result<Vec<Mapping>, Error> {
        let client = self.client().await?;
        let rows = client.query(REGISTERED, &[]).await.context("read the mappings")?;
        Ok(rows.iter().filter_map(|row| read_mapping(row).ok()).collect())
    }

    /// The configuration's own rules of each mapping, so that everybody knows what holds where nothing else is set.
    pub async fn set_configured<'a>(
        &self,
        rules: impl IntoIterator<Item = (&'a str, &'a Rules)>,
    ) -> Result<(), Error> {
        let rules: Vec<_> =
            rules.into_iter().map(|(name, rules)| json!({"name": name, "rules": rules})).collect();
        let client = self.client().await?;
        client
            .execute(
                "UPDATE syncdeck.mapping SET configured = written.rules
                 FROM jsonb_to_recordset($1) AS written (name text, rules jsonb)
                 WHERE lower(mapping.name) = lower(written.name) AND configured IS DISTINCT FROM written.rules",
                &[&json!(rules)],
            )
            .await
            .context("store the configuration's rules")
            .map(drop)
    }

    /// The mapping of that name as [`Store::registered`] finds it, or all of them, in the order of their objects.
    pub(in crate::postgres) async fn one_or_all(&self, name: Option<&str>) -> Result<Vec<Mapping>, Error> {
        let Some(name) = name else {
            let mut mappings = self.definitions().await?;
            mappings.sort_by(|a, b| a.object.cmp(&b.object));
            return Ok(mappings);
        };
        Ok(vec![self.registered(name).await?])
    }

    /// Stores a mapping as it is worked from now on. Tells whether that is news.
    pub async fn set_definition(&self, mapping: &Mapping) -> Result<bool, Error> {
        let client = self.client().await?;
        let (definition, fields) = (json!(mapping), json!(mapping.fields));
        let changed = client
            .execute(
                "UPDATE syncdeck.mapping SET definition = $2, fields = $3
                 WHERE name = $1 AND definition IS DISTINCT FROM $2",
                &[&mapping.object, &definition, &fields],
            )
            .await
            .context("store a mapping's definition")?;
        Ok(changed == 1)
    }

    /// The keys of a mapping's rules that are set at run time, with who set each and when.
    pub async fn rules_set_by(&self, mapping: &str) -> Result<Vec<(String, String, DateTime<Utc>)>, Error> {
        let client = self.client().await?;
        let rows = client
            .query("SELECT key, actor, at FROM syncdeck.setting WHERE mapping = $1 ORDER BY key", &[&mapping])
            .await
            .context("read who set rules")?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
    }

    /// The rules set at run time.
    pub async fn settings(&self) -> Result<RunTimeRules, Error> {
        let client = self.client().await?;
        let rows = client
            .query_cached("SELECT mapping, key, value FROM syncdeck.setting", &[])
            .await
            .context("read the rules set at run time")?;
        let mut settings = RunTimeRules::new();
        for row in rows {
            settings.entry(row.get(0)).or_default().insert(row.get(1), row.get(2));
        }
        Ok(settings)
    }

    /// What was set of a rule at run time, now; `None` where it is the configuration's.
    pub async fn rule_set(&self, object: &str, key: &str) -> Result<Option<String>, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("read a rule")?;
        set_now(&transaction, object, key).await
    }

    /// Sets a rule of a mapping at run time, or (with `None`) leaves it to the configuration again; `undoes` is the entry of
    /// the audit that this takes back.
    ///
    /// # Errors
    /// Wrong when the rule or its value is none, with nothing changed.
    pub async fn set_rule(
        &self,
        name: &str,
        key: &str,
        value: Option<&str>,
        operation: &Operation,
        undoes: Option<i64>,
    ) -> Result<SetTo, Error> {
        let set =
            self.set_rules(name, &[(key.to_owned(), value.map(str::to_owned))], operation, undoes).await?;
        set.into_iter().next().ok_or_else(|| Error::Refused("no rule was named".to_owned()))
    }

    /// Sets rules of one mapping together: all of them, or none.
    ///
    /// # Errors
    /// As [`Store::set_rule`].
    pub async fn set_rules(
        &self,
        name: &str,
        rules: &[(String, Option<String>)],
        operation: &Operation,
        undoes: Option<i64>,
    ) -> Result<Vec<SetTo>, Error> {
        let mut mapping = self.registered(name).await?;
        let mut client = self.client().await?;
        let transaction = client.transaction().await.context("begin to set rules")?;
        let mut set = Vec::new();
        let mut entries = Vec::new();
        for (key, value) in rules {
            let value = value.as_deref().map(str::trim).filter(|value| !value.is_empty());
            let key = match spelled(&mapping, key) {
                // Of a field that is not mapped any more, too.
                Err(_) if value.is_none() && is_set(&transaction, &mapping, key).await? => key.to_owned(),
                spelled => spelled?,
            };
            // As it stands here, not as it was when the mapping was read.
            let before = set_now(&transaction, &mapping.object, &key).await?;
            let is_so = self.apply_rule(&transaction, &mut mapping, (&key, value), before.as_deref()).await?;
            // Whatever takes an entry back is an entry itself.
            if !is_so || undoes.is_some() {
                store_rule(&transaction, &mapping.object, &key, value, operation).await?;
                let (before, after) = (json!({ key.as_str(): before }), json!({ key.as_str(): value }));
                entries.push(NewAuditEntry {
                    before: Some(before),
                    after: Some(after),
                    undoes,
                    ..NewAuditEntry::default()
                });
            }
            set.push(SetTo { key, value: value.map(str::to_owned), is_so });
        }
        if entries.is_empty() {
            return Ok(set);
        }
        transaction
            .execute(
                "UPDATE syncdeck.mapping SET rules_version = rules_version + 1 WHERE name = $1",
                &[&mapping.object],
            )
            .await
            .context("tell that a rule was set")?;
        audit(&transaction, operation, "set", &mapping, &entries).await?;
        announce(&transaction).await?;
        transaction.commit().await.context("set rules")?;
        Ok(set)
    }

    /// Puts a rule into a mapping's, where it is one. Tells whether it is so already.
    async fn apply_rule(
        &self,
        transaction: &Transaction<'_>,
        mapping: &mut Mapping,
        (key, value): (&str, Option<&str>),
        before: Option<&str>,
    ) -> Result<bool, Error> {
        let Some(value) = value else {
            // What may be taken back must be a rule, but need not be one that this version can read.
            let known = Rules::is_key(key);
            known.map_err(|bad| Error::Wrong(format!("{}: {bad}", mapping.object)))?;
            return Ok(before.is_none());
        };
        let mut rules = mapping.rules.clone();
        rules.set(key, value).map_err(|bad| Error::Wrong(format!("{}: {bad}", mapping.object)))?;
        let is_so = rules.is_same_as(&mapping.rules);
        mapping.rules = rules;
        if key == "where" && !is_so {
            self.check_condition(transaction, mapping).await?;
        }
        Ok(is_so)
    }

    /// What was ordered for all mappings: asked after each claim, so that it holds for whatever is claimed after it was
    /// said.
    pub async fn orders(&self) -> Result<Orders, Error> {
        let client = self.client().await?;
        let rows = client
            .query_cached("SELECT table_name::text, writes NOT IN ('on', 'draining'), rules_version FROM syncdeck.mapping", &[])
            .await
            .context("look which mappings are stopped")?;
        Ok(Orders {
            writes_off: rows.iter().filter(|row| row.get(1)).map(|row| row.get(0)).collect(),
            rules_version: rows.iter().map(|row| row.get::<_, i64>(2)).sum(),
        })
    }
}

/// Tells every engine and console that rules or states of mappings changed.
pub(in crate::postgres) async fn announce(transaction: &Transaction<'_>) -> Result<(), Error> {
    transaction
        .execute("SELECT pg_notify($1, 'settings')", &[&CHANNEL])
        .await
        .context("announce a change")
        .map(drop)
}

/// A mapping's definition, the configuration's rules, and what was set at run time. A layout of an older version may lack
/// a column.
const REGISTERED: &str = "SELECT to_jsonb(m) -> 'definition', to_jsonb(m) -> 'configured',
    (SELECT jsonb_object_agg(key, value) FROM syncdeck.setting WHERE setting.mapping = m.name) FROM syncdeck.mapping m";

/// A row of [`REGISTERED`]. What cannot be read of what was set at run time is left out, as an engine does.
fn read_mapping(row: &tokio_postgres::Row) -> Result<Mapping, serde_json::Error> {
    let definition: Option<serde_json::Value> = row.get(0);
    let mut mapping: Mapping = serde_json::from_value(definition.unwrap_or_default())?;
    if let Some(configured) = row.get::<_, Option<serde_json::Value>>(1).filter(|rules| !rules.is_null()) {
        mapping.rules = serde_json::from_value(configured)?;
    }
    let settings: Option<serde_json::Value> = row.get(2);
    let settings: BTreeMap<String, String> = serde_json::from_value(settings.unwrap_or(json!({})))?;
    for (key, value) in &settings {
        let _ = mapping.rules.set(key, value);
    }
    Ok(mapping)
}

/// A rule's key with its field as the mapping writes it: however it is typed, it is one rule.
fn spelled(mapping: &Mapping, key: &str) -> Result<String, Error> {
    match key.rsplit_once('.') {
        Some((field, name)) => {
            let field = mapping.field_named(field).map_err(Error::Wrong)?;
            Ok(format!("{}.{name}", field.name))
        }
        None => Ok(key.to_owned()),
    }
}

/// Whether a rule is set at run time.
async fn is_set(transaction: &Transaction<'_>, mapping: &Mapping, key: &str) -> Result<bool, Error> {
    Ok(set_now(transaction, &mapping.object, key).await?.is_some())
}

async fn store_rule(
    transaction: &Transaction<'_>,
    object: &str,
    key: &str,
    value: Option<&str>,
    operation: &Operation,
) -> Result<(), Error> {
    let Some(value) = value else {
        return transaction
            .execute("DELETE FROM syncdeck.setting WHERE mapping = $1 AND key = $2", &[&object, &key])
            .await
            .context("leave a rule to the configuration")
            .map(drop);
    };
    transaction
        .execute(
            "INSERT INTO syncdeck.setting (mapping, key, value, actor) VALUES ($1, $2, $3, $4)
             ON CONFLICT (mapping, key) DO UPDATE SET value = excluded.value, actor = excluded.actor, at = excluded.at",
            &[&object, &key, &value, &operation.operator.actor],
        )
        .await
        .context("set a rule")
        .map(drop)
}

/// What was set of a rule, as a transaction sees it.
async fn set_now(transaction: &Transaction<'_>, object: &str, key: &str) -> Result<Option<String>, Error> {
    let row = transaction
        .query_opt("SELECT value FROM syncdeck.setting WHERE mapping = $1 AND key = $2", &[&object, &key])
        .await
        .context("read a rule")?;
    Ok(row.map(|row| row.get(0)))
}
