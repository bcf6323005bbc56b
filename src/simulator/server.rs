//! The org's HTTP server.

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::org::Org;
use super::routes;

/// How long nobody is let in after nobody could be, because too many files are open or the like.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves the org until `stop`.
///
/// # Errors
/// When the listener has no address.
pub async fn serve(org: Org, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
    let address = listener.local_addr()?;
    let app = Router::new().fallback(routes::dispatch).with_state((org, stop.clone(), address));
    let end = CancellationToken::new();
    // Also where nobody waits for this any more.
    let _end = end.clone().drop_guard();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return Ok(()),
        };
        match accepted {
            Ok((stream, _)) => drop(tokio::spawn(answer(stream, app.clone(), end.clone()))),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Answers what comes on a connection; when the server ends, what is asked is answered, and no more.
async fn answer(stream: TcpStream, app: Router, end: CancellationToken) {
    // Headers and body leave in two segments; with Nagle's algorithm each answer would cost 40 ms.
    let _ = stream.set_nodelay(true);
    let mut http = Builder::new(TokioExecutor::new());
    // As an org writes them. Airbyte's source compares names of headers as texts.
    http.http1().title_case_headers(true);
    let service = TowerToHyperService::new(app);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = end.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
