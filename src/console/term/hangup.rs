//! What ends the console from outside: a signal, or a terminal that is gone. It is heard once for all consoles of the
//! process, beside their loops, and at no cost until then.

use std::io;
use std::os::fd::AsFd;
use std::sync::LazyLock;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::guard;

/// How long a console may take to give its terminal back.
const GRACE: Duration = Duration::from_secs(3);

/// Cancelled when the consoles of this process are to end.
static ENDED: LazyLock<CancellationToken> = LazyLock::new(|| {
    let ended = CancellationToken::new();
    for kind in [SignalKind::hangup(), SignalKind::terminate(), SignalKind::interrupt()] {
        // One that cannot be heard ends the process by itself.
        if let Ok(mut signal) = signal(kind) {
            let ended = ended.clone();
            tokio::spawn(async move {
                signal.recv().await;
                ended.cancel();
            });
        }
    }
    watch(ended.clone());
    ended
});

/// Cancelled when the consoles of this process are to end: by SIGHUP, SIGTERM or SIGINT, or because their terminal is
/// gone.
pub fn ended() -> CancellationToken {
    ENDED.clone()
}

/// Returns when a console was to end some time ago. One that still has its terminal then is stuck in a write: a terminal
/// that takes nothing, as behind an SSH connection that stalls, holds its loop up.
pub async fn stuck() {
    ENDED.cancelled().await;
    tokio::time::sleep(GRACE).await;
    guard::let_go();
}

/// Cancels the token when standard input hangs up. SIGHUP does not always come: a terminal may vanish without it,
/// and the event reader would then spin for ever (crossterm issue 793).
fn watch(gone: CancellationToken) {
    let watcher = move || {
        loop {
            let stdin = io::stdin();
            // No events are asked for; hang-up and error are always told.
            let mut wanted = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
            match poll(&mut wanted, PollTimeout::NONE) {
                Ok(_) => break,
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => break,
            }
        }
        gone.cancel();
    };
    // Without the thread the console works all the same; only a vanished terminal would then go unnoticed.
    let _ = std::thread::Builder::new().name("hangup".to_owned()).spawn(watcher);
}
