//! Keys, read on a thread of their own. crossterm's reader spins for ever inside one poll once its terminal is gone
//! (crossterm issue 793); on the console's task that would keep the hang-up itself from being heard.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crossterm::event::{Event, EventStream};
use futures_util::{Stream, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// How long the reader may take to let go of the terminal.
const LET_GO: Duration = Duration::from_millis(300);

/// The keys as they come. What was read and not yet taken when reading stops is there when it begins again.
#[derive(Debug)]
pub struct Input {
    read: mpsc::UnboundedSender<io::Result<Event>>,
    events: mpsc::UnboundedReceiver<io::Result<Event>>,
    reader: Option<Reader>,
}

/// The thread that reads.
#[derive(Debug)]
struct Reader {
    stop: CancellationToken,
    ended: oneshot::Receiver<()>,
}

impl Default for Input {
    fn default() -> Input {
        let (read, events) = mpsc::unbounded_channel();
        Input { read, events, reader: None }
    }
}

impl Input {
    /// Begins to read.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn open(&mut self) -> io::Result<()> {
        let sender = self.read.clone();
        let (end, ended) = oneshot::channel();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
            runtime.block_on(async {
                let mut stream = EventStream::new();
                loop {
                    let event = tokio::select! {
                        biased;
                        () = stopped.cancelled() => break,
                        event = stream.next() => event,
                    };
                    let Some(event) = event else { break };
                    if sender.send(event).is_err() {
                        break;
                    }
                }
            });
            // Nobody may be waiting for this any more.
            let _ = end.send(());
        })?;
        self.reader = Some(Reader { stop, ended });
        Ok(())
    }

    /// Stops reading, so that keys go to whoever has the terminal next.
    pub async fn close(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.stop.cancel();
            // A reader that spins on a dead terminal never says that it ended; it ends with the process.
            let _ = tokio::time::timeout(LET_GO, reader.ended).await;
        }
    }
}

impl Stream for Input {
    type Item = io::Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_recv(context)
    }
}
