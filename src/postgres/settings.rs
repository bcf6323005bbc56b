//! What is set for mappings at run time: rules that come before the configuration's; and the definition under which each mapping is worked, for whoever has no engine at hand.

use std::collections::{BTreeMap, HashSet};

use serde_json::json;

use crate::domain::act::Act;
use crate::domain::mapping::Mapping;

use super::audit::{Entry, audit};
use super::{CHANNEL, Cached, Error, Store, Transaction, While};

/// Rules set at run time, by mapping and key.
pub type Settings = BTreeMap<String, BTreeMap<String, String>>;

/// See [`Store::orders`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// The tables whose writes are stopped or paused.
    pub writes_off: HashSet<String>,
    /// Grows with every rule that is set at run time.
    pub rules_version: i64,
}

impl Store {
    /// The mapping of a table, or of an object name in any case, as the engine works it.
    ///
    /// # Errors
    /// Refused when there is none of that name.
    pub async fn registered(&self, name: &str) -> Result<Mapping, Error> {
        let client = self.client().await?;
        let row = client
            .query_opt(
                "SELECT definition FROM syncdeck.mapping WHERE table_name = $1 OR lower(name) = lower($1)",
                &[&name],
            )
            .await
            .while_("read a mapping")?
            .ok_or_else(|| Error::Refused(format!("there is no mapping of a table or object {name:?}")))?;
        let definition = row.get::<_, Option<serde_json::Value>>(0).unwrap_or_default();
        serde_json::from_value(definition).map_err(|error| {
            Error::Refused(format!(
                "the mapping {name} was registered by another version ({error})\nstart its engine again, with: syncdeck run"
            ))
        })
    }

    /// All mappings as they were worked last, by any engine of this version.
    pub async fn definitions(&self) -> Result<Vec<Mapping>, Error> {
        let client = self.client().await?;
        let rows = client
            .query("SELECT to_jsonb(m) -> 'definition' FROM syncdeck.mapping m", &[])
            .await
            .while_("read the mappings")?;
        let definition = |row: &tokio_postgres::Row| {
            serde_json::from_value(row.get::<_, Option<serde_json::Value>>(0).unwrap_or_default()).ok()
        };
        Ok(rows.iter().filter_map(definition).collect())
    }

    /// The mapping of that name as [`Store::registered`] finds it, or all of them, in the order of their objects.
    pub(super) async fn one_or_all(&self, name: Option<&str>) -> Result<Vec<Mapping>, Error> {
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
            .while_("store a mapping's definition")?;
        Ok(changed == 1)
    }

    /// The rules set at run time.
    pub async fn settings(&self) -> Result<Settings, Error> {
        let client = self.client().await?;
        let rows = client
            .query_cached("SELECT mapping, key, value FROM syncdeck.setting", &[])
            .await
            .while_("read the rules set at run time")?;
        let mut settings = Settings::new();
        for row in rows {
            settings.entry(row.get(0)).or_default().insert(row.get(1), row.get(2));
        }
        Ok(settings)
    }

    /// What was set of a rule at run time, now; `None` where it is the configuration's.
    pub async fn rule_set(&self, object: &str, key: &str) -> Result<Option<String>, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.while_("read a rule")?;
        set_now(&transaction, object, key).await
    }

    /// Sets a rule of a mapping at run time, or (with `None`) leaves it to the configuration again; `undoes` is the entry of
    /// the audit that this takes back.
    ///
    /// # Errors
    /// Refused when the rule or its value is none, with nothing changed.
    pub async fn set_rule(
        &self,
        name: &str,
        key: &str,
        value: Option<&str>,
        act: &Act,
        undoes: Option<i64>,
    ) -> Result<(), Error> {
        let mut mapping = self.registered(name).await?;
        if let Some((field, _)) = key.rsplit_once('.')
            && !mapping.fields.iter().any(|known| known.name.eq_ignore_ascii_case(field))
        {
            let known: Vec<&str> = mapping.fields.iter().map(|field| field.name.as_str()).collect();
            return Err(Error::Refused(format!(
                "{} has no mapped field {field}\nits fields: {}",
                mapping.object,
                known.join(", ")
            )));
        }
        mapping.rules.set(key, value.unwrap_or_default()).or_else(|bad| match value {
            Some(_) => Err(Error::Refused(format!("{}: {bad}", mapping.object))),
            None => Ok(()),
        })?;
        let mut client = self.client().await?;
        let transaction = client.transaction().await.while_("begin to set a rule")?;
        if key == "where" && value.is_some() {
            self.check_condition(&transaction, &mapping).await?;
        }
        // As it stands here, not as an engine worked the mapping last: what was set a moment ago counts.
        let before = set_now(&transaction, &mapping.object, key).await?;
        match value {
            Some(value) => transaction.execute(
                "INSERT INTO syncdeck.setting (mapping, key, value, actor) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (mapping, key) DO UPDATE SET value = excluded.value, actor = excluded.actor, at = excluded.at",
                &[&mapping.object, &key, &value, &act.operator.actor],
            ).await,
            None => transaction.execute(
                "DELETE FROM syncdeck.setting WHERE mapping = $1 AND key = $2", &[&mapping.object, &key]).await,
        }
        .while_("set a rule")?;
        transaction
            .execute(
                "UPDATE syncdeck.mapping SET rules_version = rules_version + 1 WHERE name = $1",
                &[&mapping.object],
            )
            .await
            .while_("tell that a rule was set")?;
        let (before, after) = (json!({ key: before }), json!({ key: value }));
        let entry = Entry { before: Some(before), after: Some(after), undoes, ..Entry::default() };
        audit(&transaction, act, "set", &mapping, &[entry]).await?;
        announce(&transaction).await?;
        transaction.commit().await.while_("set a rule")
    }

    /// What was ordered for all mappings: asked after each claim, so that it holds for whatever is claimed after it was
    /// said.
    pub async fn orders(&self) -> Result<Orders, Error> {
        let client = self.client().await?;
        let rows = client
            .query_cached("SELECT table_name::text, writes NOT IN ('on', 'draining'), rules_version FROM syncdeck.mapping", &[])
            .await
            .while_("look which mappings are stopped")?;
        Ok(Orders {
            writes_off: rows.iter().filter(|row| row.get(1)).map(|row| row.get(0)).collect(),
            rules_version: rows.iter().map(|row| row.get::<_, i64>(2)).sum(),
        })
    }
}

/// Tells every engine and console that rules or states of mappings changed.
pub(super) async fn announce(transaction: &Transaction<'_>) -> Result<(), Error> {
    transaction
        .execute("SELECT pg_notify($1, 'settings')", &[&CHANNEL])
        .await
        .while_("announce a change")
        .map(drop)
}

/// What was set of a rule, as a transaction sees it.
async fn set_now(transaction: &Transaction<'_>, object: &str, key: &str) -> Result<Option<String>, Error> {
    let row = transaction
        .query_opt("SELECT value FROM syncdeck.setting WHERE mapping = $1 AND key = $2", &[&object, &key])
        .await
        .while_("read a rule")?;
    Ok(row.map(|row| row.get(0)))
}
