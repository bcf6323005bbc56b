//! The watchdog: wakes when the terminal is gone, at no cost until then.

use std::io;
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio_util::sync::CancellationToken;

/// Cancels the token when standard input hangs up. SIGHUP does not always come: a terminal may vanish without it,
/// and the event reader would then spin for ever (crossterm issue 793).
pub fn watch(gone: CancellationToken) {
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
