//! Salesforce's change events: they say which records changed, and the readers read just those at once. They are a hint,
//! never the truth: that is what a poll reads, whose cursor they leave alone. Where events are missing or say too little, a
//! poll is ordered; where none come, the readers poll as if there were no events.
//!
//! One engine listens for all mappings, by the lease `change events`. What an event asks for is noted in PostgreSQL, in one
//! transaction with its replay id (`postgres/tables/change_events.rs`), and only then done by the mapping's reader, in
//! whichever engine that is. So an engine may die between any two steps: who listens next asks for the events behind that id.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::domain::mappings::backoff::Backoff;
use crate::domain::mappings::mapping::Mapping;
use crate::postgres::reports::status::Lease;
use crate::postgres::tables::change_events::{EventsAsked, LISTENER};
use crate::postgres::{self, failpoint};
use crate::salesforce::streaming::{
    ChangeEvent, ChangeKind, EventStream, EventSubject, Replay, StreamEnd, channel_of,
};

use super::echo::is_echo;
use crate::engine::Shared;
use crate::engine::recurring::Recurring;

/// Between looks at what is to be listened to.
const LOOK: Duration = Duration::from_secs(1);
/// The lease is extended this often.
const RENEW: Duration = Duration::from_secs(5);
/// Waits between tries to listen.
const AGAIN: Backoff =
    Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(60), max_retries: u32::MAX };
/// Records of one mapping that the events of one answer may name; where they name more, a poll reads them in pages.
const MOST: usize = 400;
/// Why a poll was needed is told once in so long.
const TOLD: Duration = Duration::from_secs(3_600);
/// How often it is looked whether a change of our own was acknowledged: an event may be here before the answer is noted.
const LOOKS: usize = 15;
/// Between two of these looks.
const BETWEEN: Duration = Duration::from_millis(100);

/// A stream that lasted as long went well, though it told nothing.
const LASTED: Duration = Duration::from_secs(30);
/// Between two connects that are answered at once, with nothing.
const LEAST: Duration = Duration::from_secs(1);

/// Why nobody listens any more.
enum Stopped {
    /// The engine ends, or another one listens.
    Over,
    /// It is to be begun anew at once: other channels, another handshake.
    Anew,
    /// The same after a pause: the org wants another handshake of a stream that has just begun.
    AnewSoon,
    /// The stream.
    Ended(StreamEnd),
    /// PostgreSQL.
    Postgres(postgres::Error),
}

impl From<postgres::Error> for Stopped {
    fn from(error: postgres::Error) -> Stopped {
        Stopped::Postgres(error)
    }
}

impl From<StreamEnd> for Stopped {
    fn from(ended: StreamEnd) -> Stopped {
        Stopped::Ended(ended)
    }
}

/// The objects whose events are wanted, by channel.
type Channels = BTreeMap<String, String>;

fn wanted(shared: &Shared) -> Channels {
    let mappings = shared.mappings();
    let wanted = mappings.iter().filter(|mapping| mapping.rules.change_events && !mapping.gone);
    wanted.map(|mapping| (channel_of(&mapping.object), mapping.object.clone())).collect()
}

/// The mappings whose events come, as their readers saw it last.
#[derive(Default)]
pub(in crate::engine) struct Flows(Mutex<HashSet<String>>);

impl Flows {
    /// Whether a mapping's events come.
    pub(in crate::engine) fn is(&self, object: &str) -> bool {
        self.0.lock().is_ok_and(|flows| flows.contains(object))
    }

    pub(super) fn set(&self, object: &str, flows: bool) {
        if let Ok(mut held) = self.0.lock() {
            match flows {
                true => held.insert(object.to_owned()),
                false => held.remove(object),
            };
        }
    }
}

/// Runs until the end of the engine.
pub(in crate::engine) async fn run(shared: Arc<Shared>) {
    let lease = Lease { name: LISTENER.to_owned(), owner: shared.owner.clone() };
    let mut listener = Listener {
        shared: &shared,
        lease,
        told: Recurring::default(),
        polls: HashMap::new(),
        failures: 0,
        refusals: 0,
    };
    loop {
        let turn = listener.turn().await;
        let pause = shared.trouble.check("change events cannot be noted", turn).unwrap_or(LOOK);
        if !shared.pause(pause).await {
            return;
        }
    }
}

/// Who listens.
struct Listener<'a> {
    shared: &'a Shared,
    lease: Lease,
    /// What was told already.
    told: Recurring,
    /// When it was told last why a mapping was polled instead.
    polls: HashMap<(String, &'static str), Instant>,
    /// How often in a row the stream did not go well.
    failures: u32,
    /// How often in a row a channel was refused.
    refusals: u32,
}

impl Listener<'_> {
    /// Listens until that ends, if it is this engine's turn; how long to wait before the next try.
    async fn turn(&mut self) -> Result<Duration, postgres::Error> {
        if wanted(self.shared).is_empty() || !self.shared.store.lease(&self.lease, self.length()).await? {
            return Ok(LOOK);
        }
        let ended = match self.listen().await {
            Err(Stopped::Over) => return Ok(LOOK),
            Ok(pause) => return Ok(pause),
            Err(Stopped::Anew) => return Ok(Duration::ZERO),
            Err(Stopped::AnewSoon) => return Ok(wait(&mut self.failures)),
            Err(Stopped::Postgres(error)) => return Err(error),
            Err(Stopped::Ended(ended)) => ended.to_string(),
        };
        for object in wanted(self.shared).values() {
            self.note_flow(object, Some(&ended)).await?;
        }
        if self.told.is_news("stream", Some(&ended)) {
            let text =
                format!("Salesforce's change events do not come, so the polls read everything: {ended}");
            self.shared.log.of("events").warn(text, json!({"cause": ended}));
        }
        Ok(wait(&mut self.failures))
    }

    fn length(&self) -> Duration {
        self.shared.config.salesforce.lease.min(RENEW * 4)
    }

    /// Keeps whether a mapping's events come, and wakes its reader, which polls by another interval then.
    async fn note_flow(&self, object: &str, reason: Option<&str>) -> Result<(), postgres::Error> {
        if self.shared.store.set_events_flow(&self.lease, object, reason).await? {
            self.wake().await;
            self.shared.store.notify("overview").await?;
        }
        Ok(())
    }

    /// Wakes the readers, those of other engines too. Should that be lost, they look by themselves.
    async fn wake(&self) {
        self.shared.wake_events.notify_waiters();
        let _ = self.shared.store.notify("events").await;
    }

    /// Opens a stream and listens to it. Returns how long to wait where every channel is refused.
    async fn listen(&mut self) -> Result<Duration, Stopped> {
        let client = self.shared.client.clone();
        let mut stream = client.open_stream().await?;
        let channels = wanted(self.shared);
        let mut refused = self.subscribe(&mut stream, &channels).await?;
        let mut retry_at = self.retry_at(&refused);
        if refused.len() == channels.len() {
            return Ok(retry_at.saturating_duration_since(Instant::now()));
        }
        let (opened, mut connected, mut told) = (Instant::now(), false, false);
        loop {
            // Between two connects, on the same stream: another one would miss what quiet channels tell meanwhile.
            if !refused.is_empty() && Instant::now() >= retry_at {
                refused = self.subscribe(&mut stream, &refused).await?;
                retry_at = self.retry_at(&refused);
            }
            let asked = Instant::now();
            let next = self.next(&mut stream, &channels).await;
            told |= next.as_ref().is_ok_and(|events| !events.is_empty());
            let lasted = told || opened.elapsed() >= LASTED;
            if lasted {
                self.failures = 0;
            }
            let events = match next {
                Err(Stopped::Ended(StreamEnd::Unauthorised(why))) => {
                    // The usual way; who cannot sign in is told by those who read and write.
                    client.renew_for(&stream).await.map_err(StreamEnd::from)?;
                    return Err(self.anew(&why, lasted));
                }
                Err(Stopped::Ended(StreamEnd::Unknown(why))) => return Err(self.anew(&why, lasted)),
                events => events?,
            };
            if self.told.was_told("stream") {
                self.shared.log.of("events").info("Salesforce's change events come again", json!({}));
            }
            self.told.is_news("stream", None);
            let hurries = connected && events.is_empty() && asked.elapsed() < LEAST;
            connected = true;
            self.take(&channels, events).await?;
            if hurries && !self.shared.pause(LEAST).await {
                return Err(Stopped::Over);
            }
        }
    }

    /// When channels that are refused are tried again.
    fn retry_at(&mut self, refused: &Channels) -> Instant {
        if refused.is_empty() {
            self.refusals = 0;
            return Instant::now();
        }
        Instant::now() + wait(&mut self.refusals)
    }

    /// The org wants another handshake, which is no failure: what is behind the last event is told then.
    fn anew(&self, why: &str, lasted: bool) -> Stopped {
        let text = format!("change events are listened to anew: {why}");
        self.shared.log.of("events").info(text, json!({"cause": why}));
        if lasted { Stopped::Anew } else { Stopped::AnewSoon }
    }

    /// Waits for events, and sees meanwhile that the lease is kept and the right channels are listened to. Nothing is lost
    /// with a stream that is left: what it would have told is asked for by replay id.
    async fn next(&self, stream: &mut EventStream, channels: &Channels) -> Result<Vec<ChangeEvent>, Stopped> {
        let mut next = pin!(self.shared.client.next_events(stream));
        let mut renewed = Instant::now();
        loop {
            tokio::select! {
                events = &mut next => return Ok(events?),
                () = self.shared.stop.cancelled() => return Err(Stopped::Over),
                () = tokio::time::sleep(LOOK) => {}
            }
            if wanted(self.shared) != *channels {
                return Err(Stopped::Anew);
            }
            if renewed.elapsed() >= RENEW {
                renewed = Instant::now();
                self.keep_lease().await?;
            }
        }
    }

    /// Holds the lease for longer, or ends where another engine has it.
    async fn keep_lease(&self) -> Result<(), Stopped> {
        let is_ours = self.shared.store.lease(&self.lease, self.length()).await?;
        if is_ours { Ok(()) } else { Err(Stopped::Over) }
    }

    /// Subscribes to each channel from where it was left. Where that is not known any more, a poll reads what was missed.
    /// Returns those that are refused.
    async fn subscribe(
        &mut self,
        stream: &mut EventStream,
        channels: &Channels,
    ) -> Result<Channels, Stopped> {
        let client = self.shared.client.clone();
        let (store, mut refused) = (&self.shared.store, Channels::new());
        let known = store.replay_ids().await?;
        for (channel, object) in channels {
            // Many of them take longer than the lease lasts.
            self.keep_lease().await?;
            let mut replay = known.get(object).map_or(Replay::New, |id| Replay::After(*id));
            let mut answer = client.subscribe(stream, channel, replay).await?;
            if let (Replay::After(_), Err(no)) = (replay, &answer)
                && no.is_replay
            {
                let text = format!(
                    "{object}: the last change event is not kept any more, so a poll reads what was missed"
                );
                self.shared.log.of("events").warn(text, json!({"mapping": object, "cause": no.message}));
                replay = Replay::New;
                answer = client.subscribe(stream, channel, replay).await?;
            }
            let reason = answer.err().map(|no| no.message);
            if reason.is_none() && replay == Replay::New {
                // After the subscription: what changed before it is read, and what changes from now on is told.
                store.forget_replay_id(&self.lease, object).await?;
                self.wake().await;
            }
            self.note_flow(object, reason.as_deref()).await?;
            if reason.is_some() {
                refused.insert(channel.clone(), object.clone());
            }
            if self.told.is_news(channel, reason.as_deref()) {
                let why = reason.unwrap_or_default();
                let text = format!(
                    "{object}: its change events cannot be had, so it is polled: {why}. Is {object} selected in Salesforce under \
                     Setup, Change Data Capture, and may the run-as user see it?"
                );
                self.shared.log.of("events").warn(text, json!({"mapping": object, "cause": why}));
            }
        }
        Ok(refused)
    }

    /// Notes what events ask for, mapping by mapping.
    async fn take(&mut self, channels: &Channels, events: Vec<ChangeEvent>) -> Result<(), Stopped> {
        if events.is_empty() {
            return Ok(());
        }
        failpoint::pass(failpoint::AFTER_EVENT).await?;
        let mut by_channel: BTreeMap<String, Vec<ChangeEvent>> = BTreeMap::new();
        for event in events {
            by_channel.entry(event.channel.clone()).or_default().push(event);
        }
        // As they are now: an object may have got a field since it was subscribed to.
        let mappings = self.shared.mappings();
        for (channel, events) in &by_channel {
            let of_channel = |mapping: &&Mapping| channels.get(channel) == Some(&mapping.object);
            let Some(mapping) = mappings.iter().find(of_channel) else { continue };
            self.take_some(mapping, events).await?;
        }
        Ok(())
    }

    /// Those of one mapping. What others did is read at once; what we did ourselves only where it is not what we sent.
    async fn take_some(&mut self, mapping: &Mapping, events: &[ChangeEvent]) -> Result<(), Stopped> {
        let Some(replay) = events.iter().map(|event| event.replay).max() else { return Ok(()) };
        let poll = self.wants_poll(mapping, events).is_some();
        let Sorted { asked, own } = sort(events);
        let whole = own.is_empty().then_some(replay);
        let asked = EventsAsked { poll, replay: whole, ..asked };
        self.note(mapping, &asked).await?;
        if whole.is_none() {
            let rest = self.not_echoed(mapping, own).await?;
            self.note(mapping, &EventsAsked { replay: Some(replay), ..rest }).await?;
        }
        self.shared.log.of("events").debug(
            format!("{}: {} change events", mapping.object, events.len()),
            json!({"mapping": mapping.object, "replay": replay}),
        );
        Ok(())
    }

    /// Notes what is asked for, and wakes whoever does it.
    async fn note(&self, mapping: &Mapping, asked: &EventsAsked) -> Result<(), postgres::Error> {
        if asked.is_empty() && asked.replay.is_none() {
            return Ok(());
        }
        self.shared.store.note_events(&self.lease, &mapping.object, &mapping.table, asked).await?;
        if !asked.is_empty() {
            self.wake().await;
        }
        Ok(())
    }

    /// Why a poll is to read what events do not tell, if it is. It is told once, not each time.
    fn wants_poll(&mut self, mapping: &Mapping, events: &[ChangeEvent]) -> Option<&'static str> {
        let named = events.iter().map(|event| match &event.about {
            EventSubject::Records(ids) => ids.len(),
            EventSubject::Unnamed => 0,
        });
        let why = if events.iter().any(|event| event.about == EventSubject::Unnamed) {
            Some("an event names no records, for too many changed at once")
        } else if events.iter().any(|event| event.is_gap) {
            Some("Salesforce could not tell all of a change (a gap event)")
        } else if named.sum::<usize>() > MOST {
            Some("many records changed at once")
        } else {
            None
        };
        let why = why?;
        let key = (mapping.object.clone(), why);
        if self.polls.get(&key).is_none_or(|at| at.elapsed() >= TOLD) {
            self.polls.insert(key, Instant::now());
            let text = format!("{}: a poll reads what changed: {why}", mapping.object);
            self.shared.log.of("events").warn(text, json!({"mapping": mapping.object}));
        }
        Some(why)
    }

    /// Of events of our own changes, what they ask for beyond what we sent. An event may be here before the answer to our
    /// request is noted, so it is looked for a few times.
    async fn not_echoed(&self, mapping: &Mapping, mut own: Own<'_>) -> Result<EventsAsked, postgres::Error> {
        for look in 0..LOOKS {
            if own.is_empty() {
                break;
            }
            if look > 0 && !self.shared.pause(BETWEEN).await {
                break;
            }
            let ids: Vec<&str> = own.keys().copied().collect();
            let sent = self.shared.store.lately_sent(&mapping.table, &ids).await?;
            own.retain(|id, events| match sent.get(*id) {
                // A record without a row that we deleted ourselves.
                None => !events.iter().all(|event| event.kind == ChangeKind::Deleted),
                Some(sent) => !events
                    .iter()
                    .all(|event| event.kind == ChangeKind::Changed && is_echo(mapping, event, sent.as_ref())),
            });
        }
        let mut asked = EventsAsked::default();
        for (id, events) in own {
            asked.add(id, is_deleted(&events));
        }
        Ok(asked)
    }
}

/// The wait before the next try.
fn wait(failures: &mut u32) -> Duration {
    let wait = AGAIN.delay(*failures, 0.5 + rand::random::<f64>() / 2.0);
    *failures = failures.saturating_add(1);
    wait
}

/// Whether the last of a record's events deleted it.
fn is_deleted(events: &[&ChangeEvent]) -> bool {
    events.last().is_some_and(|event| event.kind == ChangeKind::Deleted)
}

/// The events of records that only we changed, by record.
type Own<'a> = HashMap<&'a str, Vec<&'a ChangeEvent>>;

/// Events by who made the changes.
struct Sorted<'a> {
    /// What those of others ask for.
    asked: EventsAsked,
    own: Own<'a>,
}

fn sort(events: &[ChangeEvent]) -> Sorted<'_> {
    let mut by_record: HashMap<&str, Vec<&ChangeEvent>> = HashMap::new();
    for event in events {
        let EventSubject::Records(ids) = &event.about else { continue };
        for id in ids {
            by_record.entry(id).or_default().push(event);
        }
    }
    let mut sorted = Sorted { asked: EventsAsked::default(), own: HashMap::new() };
    // A poll reads them faster; a delete is told by it as well.
    if by_record.len() > MOST {
        return sorted;
    }
    for (id, events) in by_record {
        if events.iter().all(|event| event.is_own && !event.is_gap) {
            sorted.own.insert(id, events);
        } else {
            sorted.asked.add(id, is_deleted(&events));
        }
    }
    sorted
}
