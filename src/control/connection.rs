//! Accepting connections and serving each within limits: so many at once, a head within seconds, and no reader that
//! stopped reading holds its place for ever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::caller::FromCaller;

/// Connections at once of one listener; more wait to be accepted.
const CONNECTIONS: usize = 64;
/// The head of a request must be there within this; a connection that asks nothing is closed after it.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// The largest head, in bytes.
const HEAD: usize = 16 * 1024;
/// A client that takes nothing for so long is cut off.
const STALLED: Duration = Duration::from_secs(60);

/// When connections end.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    /// No new ones; those that there are finish their answer.
    pub(super) stop: CancellationToken,
    /// All at once.
    pub(super) cut: CancellationToken,
}

/// Accepts until told to stop; every connection is a task of its own.
pub(super) async fn accept<L>(mut listener: L, router: Router, tasks: TaskTracker, ends: Ends)
where
    L: Listener,
    L::Io: FromCaller,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut next = async || {
        let place = Arc::clone(&places).acquire_owned().await.ok()?;
        Some((place, listener.accept().await.0))
    };
    loop {
        let accepted = tokio::select! {
            () = ends.stop.cancelled() => return,
            accepted = next() => accepted,
        };
        let Some((place, stream)) = accepted else {
            return;
        };
        let router = router.clone().layer(Extension(stream.caller()));
        tasks.spawn(serve(stream, place, router, ends.clone()));
    }
}

async fn serve<S>(stream: S, place: OwnedSemaphorePermit, router: Router, ends: Ends)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD)
        .serve_connection(
            TokioIo::new(Patient::new(stream)),
            TowerToHyperService::new(router),
        );
    tokio::pin!(connection);
    let served = async {
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = ends.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    match ends.cut.run_until_cancelled(served).await {
        Some(Ok(())) => {}
        Some(Err(error)) => debug!(%error, "a connection to the local API broke"),
        None => debug!("a connection to the local API was cut off at the stop"),
    }
    drop(place);
}

/// A stream whose writes fail when the other end takes nothing for [`STALLED`].
struct Patient<S> {
    stream: S,
    patience: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            patience: None,
        }
    }

    /// Passes on what a write came to, and runs out of patience when it comes to nothing for too long.
    fn judge<T>(
        &mut self,
        wrote: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.patience = None;
            return wrote;
        }
        let patience = self
            .patience
            .get_or_insert_with(|| Box::pin(sleep(STALLED)));
        ready!(patience.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(wrote, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.judge(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
