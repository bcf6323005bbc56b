//! The way to the server, which gives up on silence. A firewall that forgets a connection tells nobody; without this,
//! a query on it would wait for ever, for the driver knows no timeout. Statements end by the server's own
//! `statement_timeout` before.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep};
use tokio_postgres::config::Host;

use crate::postgres::session::url::{Keeping, ServerAddress};

/// How much longer than a statement may take a connection may be silent.
const MARGIN: Duration = Duration::from_secs(2);

enum Way {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// No server could be reached; the first use says why.
    None(Option<io::Error>),
}

/// A stream to the server that fails with `TimedOut` when not a byte went either way for too long.
pub(in crate::postgres) struct IdleTimeoutStream {
    way: Way,
    silence: Duration,
    last: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl IdleTimeoutStream {
    /// The way to a server, if it answers within the limit.
    pub(in crate::postgres) async fn connect(
        target: &ServerAddress,
        keeping: &Keeping,
        limit: Option<Duration>,
        statement: Duration,
    ) -> IdleTimeoutStream {
        let way = match tokio::time::timeout(limit.unwrap_or(statement), reach(target, keeping)).await {
            Ok(Ok(way)) => way,
            Ok(Err(error)) => Way::None(Some(error)),
            Err(_) => Way::None(Some(io::ErrorKind::TimedOut.into())),
        };
        IdleTimeoutStream::new(way, statement + MARGIN)
    }

    /// No way, for this reason.
    pub(in crate::postgres) fn nowhere(why: &'static str) -> IdleTimeoutStream {
        IdleTimeoutStream::new(Way::None(Some(io::Error::other(why))), MARGIN)
    }

    fn new(way: Way, silence: Duration) -> IdleTimeoutStream {
        IdleTimeoutStream { way, silence, last: Instant::now(), alarm: Box::pin(tokio::time::sleep(silence)) }
    }

    /// Notes that something moved; else looks at the clock.
    fn watch<T>(&mut self, context: &mut Context<'_>, moved: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            self.last = Instant::now();
            return moved;
        }
        while self.alarm.as_mut().poll(context).is_ready() {
            if self.last.elapsed() >= self.silence {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the server has been silent for too long",
                )));
            }
            let next = self.last + self.silence;
            self.alarm.as_mut().reset(next);
        }
        Poll::Pending
    }
}

async fn reach(target: &ServerAddress, keeping: &Keeping) -> io::Result<Way> {
    let stream = match (&target.host, target.address) {
        (Host::Unix(directory), _) => {
            let path = directory.join(format!(".s.PGSQL.{}", target.port));
            return Ok(Way::Unix(UnixStream::connect(path).await?));
        }
        (Host::Tcp(_), Some(address)) => TcpStream::connect((address, target.port)).await?,
        (Host::Tcp(name), None) => TcpStream::connect((name.as_str(), target.port)).await?,
    };
    stream.set_nodelay(true)?;
    keep(&stream, keeping)?;
    Ok(Way::Tcp(stream))
}

/// Asks TCP for signs of life, as libpq does unless it is told otherwise.
fn keep(stream: &TcpStream, keeping: &Keeping) -> io::Result<()> {
    let socket = SockRef::from(stream);
    if !keeping.off {
        let mut alive = TcpKeepalive::new();
        alive = keeping.idle.map_or(alive.clone(), |idle| alive.with_time(idle));
        alive = keeping.interval.map_or(alive.clone(), |interval| alive.with_interval(interval));
        alive = keeping.count.map_or(alive.clone(), |count| alive.with_retries(count));
        socket.set_tcp_keepalive(&alive)?;
    }
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(keeping.user_timeout)?;
    Ok(())
}

fn nowhere(why: &mut Option<io::Error>) -> io::Error {
    why.take().unwrap_or_else(|| io::ErrorKind::NotConnected.into())
}

impl AsyncRead for IdleTimeoutStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let moved = match &mut self.way {
            Way::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Way::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Way::None(why) => Poll::Ready(Err(nowhere(why))),
        };
        self.watch(context, moved)
    }
}

impl AsyncWrite for IdleTimeoutStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let moved = match &mut self.way {
            Way::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Way::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Way::None(why) => Poll::Ready(Err(nowhere(why))),
        };
        self.watch(context, moved)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.way {
            Way::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Way::Unix(stream) => Pin::new(stream).poll_flush(context),
            Way::None(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.way {
            Way::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Way::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Way::None(_) => Poll::Ready(Ok(())),
        }
    }
}
