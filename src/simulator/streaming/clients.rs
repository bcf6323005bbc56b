//! Who listens: clients of the Streaming API, each with its subscriptions and how far they were told.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

/// Clients at a time.
const MOST: usize = 2_000;

/// One client.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// The session in which it shook hands.
    pub(super) token: String,
    /// What its browser is to send with each request.
    pub(super) cookie: String,
    /// The replay id up to which a channel was told.
    pub(super) channels: BTreeMap<String, u64>,
    /// How often it connected; a connect ends the one before.
    pub(super) connects: u64,
    /// Whether a connect is held.
    pub(super) is_connected: bool,
    /// When it was heard last.
    pub(super) heard: DateTime<Utc>,
}

/// All of them.
#[derive(Debug, Default)]
pub(in crate::simulator) struct Clients(HashMap<String, Client>);

impl Clients {
    /// A new client's id; `None` where there are too many.
    pub(super) fn add(&mut self, token: String) -> Option<(String, String)> {
        if self.0.len() >= MOST {
            return None;
        }
        let id = format!("{:016x}{:08x}", rand::random::<u64>(), rand::random::<u32>());
        let cookie = format!("{:016x}", rand::random::<u64>());
        let client = Client {
            token,
            cookie: cookie.clone(),
            channels: BTreeMap::new(),
            connects: 0,
            is_connected: false,
            heard: Utc::now(),
        };
        self.0.insert(id.clone(), client);
        Some((id, cookie))
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Client> {
        self.0.get_mut(id)
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.0.remove(id);
    }

    /// Forgets those that did not come back in time, in milliseconds.
    pub(super) fn expire(&mut self, within: i64) {
        self.0.retain(|_, client| client.is_connected || super::events::since(client.heard) <= within);
    }

    /// Forgets all, as a server does that starts again.
    pub(in crate::simulator) fn forget(&mut self) {
        self.0.clear();
    }

    /// How many there are.
    pub(in crate::simulator) fn count(&self) -> usize {
        self.0.len()
    }
}
