//! All that is told of one mapping where somebody looks at it alone: the causes of its errors, its last runs, its rules with
//! who set them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::domain::errors::group::Group;
use crate::domain::reports::run::Run;

use super::api::{Client, ClientError, ShownRule};

/// Causes that are told of.
const CAUSES: usize = 9;
/// Runs that are told of.
const RUNS: usize = 12;

/// Who set a rule at run time, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleOrigin {
    /// Who.
    pub actor: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// What is told of a mapping.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AboutMapping {
    /// The causes of its errors that need a person, the most frequent first.
    pub groups: Vec<Group>,
    /// Its last runs, the newest first.
    pub runs: Vec<Run>,
    /// Its rules that are not as by default.
    pub rules: Vec<ShownRule>,
    /// How many are.
    pub by_default: usize,
    /// Of those set at run time, by key, who set them.
    pub set_by: BTreeMap<String, RuleOrigin>,
}

impl Client {
    /// What is told of a mapping; beside Heroku Connect there are neither runs nor rules.
    ///
    /// # Errors
    /// When there is no such mapping.
    pub async fn about_mapping(&self, name: &str) -> Result<AboutMapping, ClientError> {
        let groups = self.groups(&format!("needs:person mapping:{name}"), CAUSES).await?;
        if self.beside_heroku().is_some() {
            return Ok(AboutMapping { groups, ..AboutMapping::default() });
        }
        let runs = self.runs(Some(name), false, RUNS).await?;
        let (mapping, all) = self.rules(name).await?;
        let (defaults, rules): (Vec<ShownRule>, Vec<ShownRule>) =
            all.into_iter().partition(|rule| rule.origin == "default");
        let set_by = self.own()?.rules_set_by(&mapping.object).await?;
        let set_by = set_by.into_iter().map(|(key, actor, at)| (key, RuleOrigin { actor, at })).collect();
        Ok(AboutMapping { groups, runs, rules, by_default: defaults.len(), set_by })
    }
}
