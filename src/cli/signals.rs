//! The signals that end the program.

use tokio::signal::unix::{SignalKind, signal};

/// Ctrl-C, SIGTERM or SIGHUP.
pub(super) async fn ended() {
    let mut hangup = signal(SignalKind::hangup()).ok();
    let hung_up = async {
        match &mut hangup {
            Some(hangup) => hangup.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminated() => {}
        _ = hung_up => {}
    }
}

/// Ctrl-C or SIGTERM.
pub(super) async fn terminated() {
    let mut terminate = signal(SignalKind::terminate()).ok();
    let asked = async {
        match &mut terminate {
            Some(terminate) => terminate.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = asked => {}
    }
}
