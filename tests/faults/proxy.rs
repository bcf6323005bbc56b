//! A TCP proxy that makes the way between the engine and one of its sides bad, on demand.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// Where it leads.
#[derive(Clone, Debug)]
pub enum Upstream {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// What it does to every connection through it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    Pass,
    /// Each piece, either way, waits.
    Delay(Duration),
    /// Connections are torn down, old ones and new ones.
    Reset,
    /// Bytes are taken and never arrive; the connection is dead from then on, and nobody is told.
    BlackHole,
    /// Bytes come one by one.
    Trickle,
    /// The server's side ends its stream in good order, as if it had nothing more to say.
    HalfClose,
    /// So many more bytes come from the server, then nothing.
    CutAfter(usize),
}

struct State {
    mode: watch::Sender<Mode>,
    /// Pieces that met each kind of trouble.
    hits: AtomicU64,
}

/// A running proxy. Ends with its runtime.
#[derive(Clone)]
pub struct Proxy {
    pub address: SocketAddr,
    state: Arc<State>,
}

impl Proxy {
    pub async fn start(upstream: Upstream) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State { mode: watch::Sender::new(Mode::Pass), hits: AtomicU64::new(0) });
        let proxy = Proxy { address, state: state.clone() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connect(client, upstream.clone(), state.clone()));
            }
        });
        proxy
    }

    pub fn set(&self, mode: Mode) {
        self.state.mode.send_replace(mode);
    }

    /// How many pieces met trouble.
    pub fn hits(&self) -> u64 {
        self.state.hits.load(Ordering::Relaxed)
    }
}

async fn connect(client: TcpStream, upstream: Upstream, state: Arc<State>) {
    let _ = client.set_nodelay(true);
    match upstream {
        Upstream::Tcp(address) => {
            let Ok(server) = TcpStream::connect(address).await else { return };
            let _ = server.set_nodelay(true);
            pump_both(client, server, &state).await;
        }
        Upstream::Unix(path) => {
            let Ok(server) = UnixStream::connect(path).await else { return };
            pump_both(client, server, &state).await;
        }
    }
}

/// Carries bytes both ways until either side ends or the mode ends it.
async fn pump_both<S: AsyncRead + AsyncWrite + Unpin>(mut client: TcpStream, server: S, state: &State) {
    let reset = {
        let (client_in, client_out) = client.split();
        let (server_in, server_out) = tokio::io::split(server);
        tokio::select! {
            reset = pump(client_in, server_out, state, false) => reset,
            reset = pump(server_in, client_out, state, true) => reset,
        }
    };
    if reset {
        let _ = client.set_zero_linger();
    }
}

/// Carries bytes one way. True when the connection is to be reset.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    state: &State,
    from_server: bool,
) -> bool {
    let mut mode = state.mode.subscribe();
    let mut buffer = vec![0_u8; 16 * 1024];
    let mut left: Option<usize> = None;
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => match read { Ok(read) => read, Err(_) => return true },
            _ = mode.wait_for(|mode| *mode == Mode::Reset) => {
                state.hits.fetch_add(1, Ordering::Relaxed);
                return true;
            }
        };
        if read == 0 {
            return false;
        }
        let now = *mode.borrow();
        if now != Mode::Pass {
            state.hits.fetch_add(1, Ordering::Relaxed);
        }
        let piece = &buffer[..read];
        let written = match now {
            Mode::Pass => {
                left = None;
                to.write_all(piece).await
            }
            Mode::Delay(time) => {
                tokio::time::sleep(time).await;
                to.write_all(piece).await
            }
            Mode::Reset => return true,
            Mode::BlackHole => {
                // What was swallowed cannot be given later: this connection stays silent until somebody ends it.
                while from.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
                return false;
            }
            Mode::Trickle => trickle(piece, &mut to, &mut mode).await,
            Mode::HalfClose if from_server => {
                let _ = to.shutdown().await;
                while from.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
                return false;
            }
            Mode::CutAfter(bytes) if from_server => {
                let rest = *left.get_or_insert(bytes);
                let part = rest.min(read);
                left = Some(rest - part);
                let written = to.write_all(&piece[..part]).await;
                if part == rest {
                    return true;
                }
                written
            }
            Mode::HalfClose | Mode::CutAfter(_) => to.write_all(piece).await,
        };
        if written.is_err() {
            return true;
        }
    }
}

/// Byte by byte while the mode says so.
async fn trickle(
    piece: &[u8],
    to: &mut (impl AsyncWrite + Unpin),
    mode: &mut watch::Receiver<Mode>,
) -> std::io::Result<()> {
    for (at, byte) in piece.iter().enumerate() {
        if *mode.borrow() != Mode::Trickle {
            return to.write_all(&piece[at..]).await;
        }
        to.write_all(std::slice::from_ref(byte)).await?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
