//! The parts of an engine, watched: one that panics, or ends while the engine goes on, is a bug, and nothing may go on as
//! if it were there. What is left then ends in good order, and whoever runs the engine is told why.

use std::collections::HashMap;
use std::fmt::Display;
use std::panic::PanicHookInfo;
use std::sync::Mutex;

use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Why an engine ended that nobody stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the engine ended by itself: {0}\nthis is a bug of syncdeck; nothing is lost, and it can be started again"
)]
pub struct PartFailure(pub(super) String);

tokio::task_local! {
    /// Set in every task of an engine.
    static HERE: ();
}

/// Where an engine's part panicked last.
static PLACE: Mutex<Option<String>> = Mutex::new(None);

/// For a panic hook: whether it is an engine's task that panics, which then is told by [`super::Engine::ended`]. Whatever
/// else runs in the process is not concerned.
pub fn is_of_engine(panic: &PanicHookInfo<'_>) -> bool {
    let here = HERE.try_with(|()| ()).is_ok();
    if here && let (Some(place), Ok(mut held)) = (panic.location(), PLACE.lock()) {
        *held = Some(place.to_string());
    }
    here
}

/// Runs as a part of an engine.
pub(super) async fn here<T>(part: impl Future<Output = T>) -> T {
    HERE.scope((), part).await
}

/// The parts that run.
#[derive(Default)]
pub(super) struct Parts {
    running: JoinSet<bool>,
    names: HashMap<Id, String>,
}

impl Parts {
    /// Sets one going that ends with the engine.
    pub(super) fn spawn(&mut self, name: impl Display, part: impl Future<Output = ()> + Send + 'static) {
        self.add(name, part, false);
    }

    /// Sets one going that may be done before.
    pub(super) fn spawn_errand(
        &mut self,
        name: impl Display,
        part: impl Future<Output = ()> + Send + 'static,
    ) {
        self.add(name, part, true);
    }

    fn add(&mut self, name: impl Display, part: impl Future<Output = ()> + Send + 'static, errand: bool) {
        let task = self.running.spawn(here(async move {
            part.await;
            errand
        }));
        self.names.insert(task.id(), name.to_string());
    }

    /// The next end that is none in good order; `None` when all have ended. `stop` says whether they were to end.
    pub(super) async fn failure(&mut self, stop: &CancellationToken) -> Option<PartFailure> {
        loop {
            let ended = self.running.join_next_with_id().await?;
            let id = match &ended {
                Ok((id, _)) => *id,
                Err(error) => error.id(),
            };
            let name = self.names.remove(&id).unwrap_or_default();
            match ended {
                Ok((_, errand)) if errand || stop.is_cancelled() => {}
                Ok(_) => return Some(PartFailure(format!("its part \"{name}\" came to an end"))),
                Err(error) if error.is_panic() => return Some(PartFailure(panicked(&name, error))),
                // Cut off by us.
                Err(_) => {}
            }
        }
    }

    /// The names of those that run still.
    pub(super) fn names(&self) -> String {
        let mut names: Vec<&str> = self.names.values().map(String::as_str).collect();
        names.sort_unstable();
        names.join(", ")
    }
}

/// What a panic says, and where it was.
fn panicked(name: &str, error: JoinError) -> String {
    let payload = error.into_panic();
    let said = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("without a word");
    let place = PLACE.lock().ok().and_then(|mut place| place.take());
    let place = place.map(|place| format!(" at {place}")).unwrap_or_default();
    format!("its part \"{name}\" panicked{place}: {said}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_ends_too_early_or_panics_is_told_by_name() {
        let stop = CancellationToken::new();
        let mut parts = Parts::default();
        parts.spawn_errand("an errand", async {});
        parts.spawn("the writer", async {});
        let failure = parts.failure(&stop).await.unwrap();
        assert!(failure.to_string().contains("its part \"the writer\" came to an end"), "{failure}");
        parts.spawn("the reader of Account", async { panic!("no such page") });
        let failure = parts.failure(&stop).await.unwrap();
        assert!(failure.0.contains("\"the reader of Account\" panicked"), "{failure}");
        assert!(failure.0.ends_with(": no such page"), "{failure}");
        stop.cancel();
        parts.spawn("the writer", async {});
        assert_eq!(parts.failure(&stop).await, None);
    }
}
