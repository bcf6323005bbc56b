//! Failpoints: named places in the engine's way where a test lets it die, wait or fail. They exist in debug builds
//! only; in a release build each is an empty function.
//!
//! `SYNCDECK_FAILPOINTS="after_claim=kill@0.2 before_send=wait:2500 mid_acknowledge=fail@0.1"`: a name, what happens
//! there (`kill` is SIGKILL, `wait` in milliseconds, `panic` a bug), and its share of the times the place is passed. Each time it
//! happens, a line on standard error says so.

#[cfg(debug_assertions)]
use std::io::Write;

use super::Error;

/// After changes were taken in.
pub const AFTER_INTAKE: &str = "after_intake";
/// After units were claimed.
pub const AFTER_CLAIM: &str = "after_claim";
/// Before a request of the writer starts.
pub const BEFORE_SEND: &str = "before_send";
/// While a request of the writer is on its way.
pub const AFTER_SEND: &str = "after_send";
/// After Salesforce's answer to the writer, before anything of it is kept.
pub const AFTER_ANSWER: &str = "after_answer";
/// In the middle of an acknowledgement's transaction.
pub const MID_ACKNOWLEDGE: &str = "mid_acknowledge";
/// Before outcomes are written into users' rows.
pub const BEFORE_WRITE_BACK: &str = "before_write_back";
/// After a read was applied, before its cursor moves.
pub const BEFORE_CURSOR: &str = "before_cursor";

/// In the transaction of a takeover, with everything done in it.
pub const MID_ADOPT: &str = "mid_adopt";
/// In the transaction of a takeover's way back, with everything done in it.
pub const MID_UNDO: &str = "mid_undo";

/// In the transaction of a rebind, with everything done in it.
pub const MID_REBIND: &str = "mid_rebind";

/// After change events came, before anything of them is noted.
pub const AFTER_EVENT: &str = "after_event";
/// After it was noted what change events ask for, before it is done.
pub const BEFORE_FETCH: &str = "before_fetch";

/// In the transaction that copies a page of records, when they are there.
pub const MID_COPY: &str = "mid_copy";

/// After units were claimed for a job of Bulk API 2.0, before anything is read of them.
pub const AFTER_JOB_CLAIM: &str = "after_job_claim";
/// After such a job was made, before its id is kept.
pub const AFTER_JOB_MADE: &str = "after_job_made";
/// After it was filled.
pub const AFTER_JOB_UPLOAD: &str = "after_job_upload";
/// After it was closed, before anybody follows it.
pub const AFTER_JOB_CLOSE: &str = "after_job_close";
/// After its results came, before anything of them is kept.
pub const AFTER_JOB_RESULTS: &str = "after_job_results";
/// After some of its units were acknowledged.
pub const MID_JOB_RESULTS: &str = "mid_job_results";

/// Those that only jobs of Bulk API 2.0 pass which write, in their order.
pub const JOBS: [&str; 6] =
    [AFTER_JOB_CLAIM, AFTER_JOB_MADE, AFTER_JOB_UPLOAD, AFTER_JOB_CLOSE, AFTER_JOB_RESULTS, MID_JOB_RESULTS];

/// Those that only change events pass.
pub const EVENTS: [&str; 2] = [AFTER_EVENT, BEFORE_FETCH];

/// Every other failpoint, in the order in which a change passes them.
pub const ALL: [&str; 8] = [
    AFTER_INTAKE,
    AFTER_CLAIM,
    BEFORE_SEND,
    AFTER_SEND,
    AFTER_ANSWER,
    MID_ACKNOWLEDGE,
    BEFORE_WRITE_BACK,
    BEFORE_CURSOR,
];

/// Passes a failpoint.
///
/// # Errors
/// When it is set to fail.
#[cfg(not(debug_assertions))]
pub async fn pass(_: &'static str) -> Result<(), Error> {
    Ok(())
}

/// Passes a failpoint.
///
/// # Errors
/// When it is set to fail.
#[cfg(debug_assertions)]
pub async fn pass(name: &'static str) -> Result<(), Error> {
    let Some(point) = armed::POINTS.iter().find(|point| point.name == name) else { return Ok(()) };
    if rand::random::<f64>() >= point.share {
        return Ok(());
    }
    // Nobody may be there to read it.
    let _ = writeln!(std::io::stderr(), "failpoint {name}: {:?}", point.action);
    match point.action {
        armed::Action::Kill => {
            let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
            Ok(())
        }
        armed::Action::Wait(time) => {
            tokio::time::sleep(time).await;
            Ok(())
        }
        armed::Action::Panic => std::panic::panic_any(format!("the failpoint {name} is set to panic")),
        armed::Action::Fail => Err(Error::Connect(format!("the failpoint {name} is set to fail"))),
    }
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::LazyLock;
    use std::time::Duration;

    #[derive(Clone, Copy, Debug)]
    pub(super) enum Action {
        Kill,
        Wait(Duration),
        Fail,
        Panic,
    }

    pub(super) struct Point {
        pub(super) name: String,
        pub(super) action: Action,
        pub(super) share: f64,
    }

    pub(super) static POINTS: LazyLock<Vec<Point>> = LazyLock::new(|| {
        let text = std::env::var("SYNCDECK_FAILPOINTS").unwrap_or_default();
        text.split_whitespace().filter_map(read).collect()
    });

    fn read(word: &str) -> Option<Point> {
        let (name, what) = word.split_once('=')?;
        let (action, share) = what.split_once('@').unwrap_or((what, "1"));
        let action = match action.split_once(':') {
            Some(("wait", time)) => Action::Wait(Duration::from_millis(time.parse().ok()?)),
            None if action == "kill" => Action::Kill,
            None if action == "fail" => Action::Fail,
            None if action == "panic" => Action::Panic,
            _ => return None,
        };
        Some(Point { name: name.to_owned(), action, share: share.parse().ok()? })
    }
}
