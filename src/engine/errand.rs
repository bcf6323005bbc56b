//! Both ends of a command that takes long. Whoever asked renews a sign of life in the command's row and reads there how
//! far it is; the engine that took it writes that, and gives up when it is not wanted any more. Each command is a task of
//! its own, so that no short one waits for it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::domain::verify::Verdict;
use crate::postgres::commands::{Command, Course};

use super::handle::{FETCH_LIMIT, Handle, Refused};
use super::verify::{Sides, Stage};
use super::{Shared, answers, rehearsal};

/// Between two looks of whoever asked.
const LOOK: Duration = Duration::from_millis(200);
/// Between two signs of life of the engine.
const SIGN: Duration = Duration::from_millis(500);

impl Handle {
    /// Asks something that takes long, with its progress told as it comes.
    pub(super) async fn ask_long(
        &self,
        what: &str,
        args: &Value,
        told: &(dyn Fn(&Value) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<Value, Refused> {
        let id = self.store.ask(what, args, &self.operator.actor).await?;
        let mut last = None;
        loop {
            match self.store.follow_command(id, stop.is_cancelled()).await? {
                Course::Answered(answer) => return answer.map_err(Refused),
                Course::Waiting(seconds) if seconds > FETCH_LIMIT.as_secs_f64() => {
                    return Err(Refused(format!(
                        "no engine took it within {} s\nsee whether one runs, with: syncdeck status",
                        FETCH_LIMIT.as_secs()
                    )));
                }
                Course::Silent => {
                    return Err(Refused(
                        "the engine that was at it gives no sign of life any more\n\
                         see whether one runs, with: syncdeck status"
                            .to_owned(),
                    ));
                }
                Course::Worked(progress) if progress != last => {
                    progress.iter().for_each(told);
                    last = progress;
                }
                Course::Waiting(_) | Course::Worked(_) => {}
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Compares a mapping's rows with its records, with this engine's own login.
pub(super) async fn verify(shared: &Shared, command: &Command) -> Result<Value, String> {
    let (mapping, _) = answers::about(shared, &command.args).await?;
    let sides = Sides { store: shared.store.clone(), client: shared.client.clone() };
    let stage: Mutex<Option<Stage>> = Mutex::default();
    let told = |now| *stage.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    let stop = shared.stop.child_token();
    let verdict = attend(shared, command.id, &stage, &stop, sides.verify(&mapping, &told, &stop)).await;
    let verdict: Verdict = verdict.map_err(|error| format!("cannot verify {}: {error}", mapping.object))?;
    if verdict.stopped && shared.stop.is_cancelled() {
        return Err(
            "the engine ended, or took up a changed configuration, before it was through\nverify again"
                .to_owned(),
        );
    }
    serde_json::to_value(verdict).map_err(|error| error.to_string())
}

/// Tries a mapping with some of its rows, with this engine's own login.
pub(super) async fn test(shared: &Shared, command: &Command) -> Result<Value, String> {
    let (mapping, _) = answers::about(shared, &command.args).await?;
    let limit =
        command.args.get("limit").and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok());
    let trial = rehearsal::run(&shared.store, Some(&shared.client), &mapping, limit.unwrap_or(1));
    // A trial is one or two calls, which Salesforce takes back whole: it is not stopped in between.
    let trial = attend(shared, command.id, &Mutex::new(None::<()>), &CancellationToken::new(), trial).await;
    Ok(json!(trial.map_err(|refused| format!("cannot try {}: {refused}", mapping.object))?))
}

/// Sees work through, telling now and then how far it is, and stops it when it is not wanted any more.
async fn attend<T>(
    shared: &Shared,
    id: i64,
    stage: &Mutex<Option<impl Serialize + Clone>>,
    stop: &CancellationToken,
    work: impl Future<Output = T>,
) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(SIGN) => {
                let now = stage.lock().unwrap_or_else(PoisonError::into_inner).clone().map(|stage| json!(stage));
                // Without PostgreSQL the work itself will fail.
                if let Ok(false) = shared.store.tell_progress(id, now.as_ref()).await {
                    stop.cancel();
                }
            }
        }
    }
}
