//! The way to the server, which gives up on silence. A firewall that forgets a connection tells nobody; without this,
//! a query on it would wait for ever, for the driver knows no timeout. Statements end by the server's own
//! `statement_timeout` before.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// How much longer than a statement may take a connection may be silent.
const MARGIN: Duration = Duration::from_secs(2);

enum Way {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// No server could be reached; the first use says why.
    None(Option<io::Error>),
}

/// A stream to the server that fails with `TimedOut` when not a byte went either way for too long.
pub(super) struct Patient {
    way: Way,
    silence: Duration,
    last: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl Patient {
    /// The first of the configured hosts that can be reached, with its name.
    pub(super) async fn connect(config: &Config, statement: Duration) -> (Patient, String) {
        let mut failure = io::Error::other("the database URL names no host");
        for (at, host) in config.get_hosts().iter().enumerate() {
            let ports = config.get_ports();
            let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
            let limit = config.get_connect_timeout().copied().unwrap_or(statement);
            match tokio::time::timeout(limit, reach(host, port)).await {
                Ok(Ok((way, name))) => return (Patient::new(way, statement + MARGIN), name),
                Ok(Err(error)) => failure = error,
                Err(_) => failure = io::ErrorKind::TimedOut.into(),
            }
        }
        (Patient::new(Way::None(Some(failure)), statement + MARGIN), String::new())
    }

    fn new(way: Way, silence: Duration) -> Patient {
        Patient { way, silence, last: Instant::now(), alarm: Box::pin(tokio::time::sleep(silence)) }
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

async fn reach(host: &Host, port: u16) -> io::Result<(Way, String)> {
    match host {
        Host::Unix(directory) => {
            let path = directory.join(format!(".s.PGSQL.{port}"));
            Ok((Way::Unix(UnixStream::connect(path).await?), "localhost".to_owned()))
        }
        Host::Tcp(name) => {
            let stream = TcpStream::connect((name.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            Ok((Way::Tcp(stream), name.clone()))
        }
    }
}

fn nowhere(why: &mut Option<io::Error>) -> io::Error {
    why.take().unwrap_or_else(|| io::ErrorKind::NotConnected.into())
}

impl AsyncRead for Patient {
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

impl AsyncWrite for Patient {
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
