//! Keys, read on a thread of their own, which does with each what is to be done. crossterm's reader spins for ever inside
//! one poll once its terminal is gone (crossterm issue 793); on the console's task that would keep the hang-up itself from
//! being heard.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::event::{self, EventStream};
use tokio::sync::oneshot;

use super::background::{BackgroundAnswer, TerminalInput};

/// How long the reader may take to let go of the terminal.
const LET_GO: Duration = Duration::from_millis(300);
/// A wait that only a key or the end of reading ends; crossterm has none without an end.
const LONG: Duration = Duration::from_secs(3_600);
/// How long what follows a key may take that may begin an answer of the terminal, which is sent in one piece.
const AT_ONCE: Duration = Duration::from_millis(50);

/// What is read from a terminal, or why nothing more is.
pub type TerminalEvent = io::Result<TerminalInput>;

/// The keys as they come. What was read and not taken when reading stops is there when it begins again.
#[derive(Debug, Default)]
pub struct Keys {
    unread: VecDeque<TerminalEvent>,
    reader: Option<Reader>,
}

/// The thread that reads.
#[derive(Debug)]
struct Reader {
    stop: Arc<AtomicBool>,
    /// Wakes the thread out of its wait when it is dropped.
    waker: oneshot::Receiver<EventStream>,
    ended: oneshot::Receiver<VecDeque<TerminalEvent>>,
}

impl Keys {
    /// Begins to read. `take` is called on the reading thread, and gives back what is not for it; that and all behind it is
    /// kept.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn open(
        &mut self,
        take: impl FnMut(TerminalEvent) -> Option<TerminalEvent> + Send + 'static,
    ) -> io::Result<()> {
        let unread = std::mem::take(&mut self.unread);
        let (wake, waker) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
            let _ = wake.send(EventStream::new());
            // Nobody may be waiting for this any more.
            let _ = end.send(read(unread, take, &stopped));
        })?;
        self.reader = Some(Reader { stop, waker, ended });
        Ok(())
    }

    /// Stops reading, so that keys go to whoever has the terminal next.
    pub async fn close(&mut self) {
        let Some(Reader { stop, waker, ended }) = self.reader.take() else { return };
        stop.store(true, Ordering::SeqCst);
        let closing = async {
            drop(waker.await);
            ended.await.unwrap_or_default()
        };
        // A reader that spins on a dead terminal never says that it ended; it ends with the process.
        self.unread = tokio::time::timeout(LET_GO, closing).await.unwrap_or_default();
    }
}

/// Reads until it is stopped; returns what was not taken.
fn read(
    mut unread: VecDeque<TerminalEvent>,
    mut take: impl FnMut(TerminalEvent) -> Option<TerminalEvent>,
    stop: &AtomicBool,
) -> VecDeque<TerminalEvent> {
    let mut answer = BackgroundAnswer::default();
    loop {
        while let Some(event) = unread.pop_front() {
            if let Some(event) = take(event) {
                unread.push_front(event);
                break;
            }
        }
        if stop.load(Ordering::SeqCst) {
            return unread;
        }
        match event::poll(if answer.is_begun() { AT_ONCE } else { LONG }) {
            Ok(true) => match event::read() {
                Ok(event) => unread.extend(answer.take(event).into_iter().map(Ok)),
                Err(error) => unread.push_back(Err(error)),
            },
            Ok(false) => unread.extend(answer.release().into_iter().map(Ok)),
            Err(error) => {
                unread.push_back(Err(error));
                stop.store(true, Ordering::SeqCst);
            }
        }
    }
}
