//! The local API of a running daemon: a unix socket, and a loopback address when asked for.
//!
//! `api.rs` has the routes that read, `health.rs` whether all is well, `metrics.rs` the numbers, `acting.rs` what acts, `asked.rs` reads what was asked, `follow.rs` is the one
//! answer that goes on, `connection.rs` has the limits of a connection, `caller.rs` says who is at its other end,
//! `loopback.rs` guards the loopback address with the `token.rs`, `socket.rs` is the socket as a file, `wire.rs` every
//! JSON object, `client.rs` the other end.
//!
//! Invariant: nothing here decides. Whatever is to be done is asked for through the [`DaemonHandle`].

mod acting;
mod api;
mod asked;
pub mod caller;
pub mod client;
mod connection;
mod follow;
mod health;
mod loopback;
mod metrics;
mod socket;
pub mod token;
pub mod wire;
mod wrong;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::middleware;
use tokio::net::UnixListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::daemon::{DaemonHandle, Replacement, Zones};
use crate::sched::time::Timestamp;
use crate::secret::Secret;
use crate::store::Store;

pub use wrong::Code;

use connection::Ends;
use socket::SocketFile;

/// How long answers that are under way may take once the daemon stops.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// What the API can reach.
#[derive(Clone)]
pub struct Api {
    /// The daemon.
    pub handle: DaemonHandle,
    /// Its store, for reading.
    pub store: Arc<dyn Store>,
    /// Zones by name.
    pub zone: Zones,
    /// When the zone data came out, roughly, as far as it tells.
    pub zone_data: Option<Timestamp>,
    /// Reads the configuration again.
    pub reload: Reload,
}

/// Reads the configuration again; takes its time.
pub type Reload = Arc<dyn Fn() -> Reread + Send + Sync>;

/// The configuration, read again.
pub struct Reread {
    /// What the daemon takes in place of what it has.
    pub new: Replacement,
    /// What else whoever asked should know.
    pub notes: Vec<String>,
}

/// A loopback address, and the token that it asks for.
pub struct Loopback {
    /// Where to listen.
    pub address: SocketAddr,
    /// What a request must carry.
    pub token: Secret,
}

/// Why the API cannot be served: a sentence with a remedy.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon listens on the socket.
    #[error("{0}")]
    Held(io::Error),
    /// The socket cannot be made: the path is too long, its folder does not exist, something else is there.
    #[error("{0}")]
    Socket(io::Error),
    /// The address of `http` is in use, or is none that may be served.
    #[error("{0}")]
    Http(io::Error),
}

/// A listening API. Dropping it takes the socket away.
pub struct Server {
    listener: UnixListener,
    file: SocketFile,
    http: Option<(TcpListener, Secret)>,
}

impl Server {
    /// Listens; a socket that a dead daemon left behind is replaced, a live one is not. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// Nothing is left behind, and a live socket is left alone.
    pub fn bind(socket: &Path, http: Option<Loopback>) -> Result<Self, BindError> {
        let (listener, file) = socket::listen(socket).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => BindError::Held(error),
            _ => BindError::Socket(error),
        })?;
        let listening = |http: Loopback| Ok((listen_on(http.address)?, http.token));
        let http = http.map(listening).transpose().map_err(BindError::Http)?;
        Ok(Self {
            listener,
            file,
            http,
        })
    }

    /// The loopback address, when there is one.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http.as_ref()?.0.local_addr().ok()
    }

    /// Answers until told to stop; takes the socket away at the end.
    pub async fn run(self, api: Api, stop: CancellationToken) {
        let Self {
            listener,
            file,
            http,
        } = self;
        let tasks = TaskTracker::new();
        let ends = Ends {
            stop: stop.clone(),
            cut: CancellationToken::new(),
        };
        let routes = api::routes(api::Door::new(api, stop.clone()));
        tasks.spawn(connection::accept(
            listener,
            routes.clone(),
            tasks.clone(),
            ends.clone(),
        ));
        if let Some((listener, token)) = http {
            let guard = middleware::from_fn_with_state(Arc::new(token), loopback::guarded);
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => {
                    if let Ok(address) = listener.local_addr() {
                        info!(%address, "the local API is also there");
                    }
                    tasks.spawn(connection::accept(
                        listener,
                        routes.layer(guard),
                        tasks.clone(),
                        ends.clone(),
                    ));
                }
                Err(error) => warn!(%error, "the address of `http` cannot be served"),
            }
        }
        stop.cancelled().await;
        drop(file);
        tasks.close();
        if timeout(LAST_ANSWERS, tasks.wait()).await.is_err() {
            ends.cut.cancel();
            tasks.wait().await;
        }
    }
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let explained =
        |error: io::Error| io::Error::new(error.kind(), format!("http {address}: {error}"));
    if !address.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("http {address} is not a loopback address, and the API speaks no TLS"),
        ));
    }
    let listener = TcpListener::bind(address).map_err(explained)?;
    listener.set_nonblocking(true).map_err(explained)?;
    Ok(listener)
}
