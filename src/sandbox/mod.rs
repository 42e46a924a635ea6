//! A stateful stand-in for CARTO behind real HTTP: for `nightcall demo`, for rehearsing schedules, and for every
//! test that needs a vendor. It knows nothing of the rest of this crate.
//!
//! `world.rs` and what it is made of are pure: they are told the time, and chance is seeded. `server.rs` and
//! `http.rs` are the only places that touch sockets. `oracle.rs` knows what was really executed.

mod answers;
mod auth;
mod dice;
mod ending;
mod fault;
mod http;
mod job;
mod journal;
mod limiter;
mod message;
mod oracle;
mod procedure;
mod profile;
mod routes;
mod scenario;
mod script;
mod server;
mod span;
mod statement;
mod world;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

pub use self::auth::{Auth, Oauth, TOKEN};
pub use self::ending::{Ending, Failure};
pub use self::fault::{Drip, Fault, Operation, Rule, Status};
pub use self::job::{Job, Marker, Phase};
pub use self::journal::{BODY_MAX, Entry, Journal, REQUESTS_MAX};
pub use self::limiter::Limit;
pub use self::message::{Delivery, Exchange, Reply, Request};
pub use self::oracle::Tally;
pub use self::procedure::{Parameter, Procedure, Signature};
pub use self::profile::{Profile, Quirk};
pub use self::scenario::{Cancel, Create, List, Metadata, RunScript, Scenario, Wrapper};
pub use self::script::{EndingsBy, Script, Sometimes};
pub use self::server::{Clock, SharedWorld};
pub use self::span::Span;
pub use self::world::{Cancelled, JOBS_MAX, Order, Refusal, World};

use self::server::{Door, Server};

/// A running stand-in. It stops when it is dropped; [`stop`](Self::stop) also waits until it has stopped.
pub struct Sandbox {
    address: SocketAddr,
    base_path: String,
    token: String,
    server: Arc<Server>,
    task: JoinHandle<()>,
    _stops: DropGuard,
}

impl Sandbox {
    /// Starts on a free port of the loopback.
    ///
    /// # Errors
    /// When no port can be had, or the scenario makes no sense (`InvalidInput`).
    pub async fn start(scenario: Scenario) -> io::Result<Self> {
        Self::start_at(scenario, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Starts at an address of the loopback.
    ///
    /// # Errors
    /// As [`start`](Self::start); `InvalidInput` also for an address that others can reach: a sandbox takes any
    /// statement from anybody who can read its source.
    pub async fn start_at(scenario: Scenario, address: SocketAddr) -> io::Result<Self> {
        Self::start_with(scenario, address, Arc::new(Timestamp::now)).await
    }

    /// Starts with a clock of its own; what a scenario says in durations is measured by it, except delayed replies and
    /// refused connections, which are real time.
    ///
    /// # Errors
    /// As [`start_at`](Self::start_at).
    pub async fn start_with(
        scenario: Scenario,
        address: SocketAddr,
        clock: Clock,
    ) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            let what = format!("a sandbox listens on the loopback only, not on {address}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        if let Some(problem) = scenario.problem() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let base_path = scenario.base_path.clone();
        let token = scenario.auth.token.clone();
        let body_limit = scenario.create.body_limit;
        let world = SharedWorld::new(World::new(scenario, clock()), clock);
        let server = Arc::new(Server::new(world, body_limit));
        let task = tokio::spawn(Arc::clone(&server).run(listener, address));
        Ok(Self {
            address,
            base_path,
            token,
            _stops: server.stop.clone().drop_guard(),
            server,
            task,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What stands before `/v3` in every URL, without a trailing slash.
    pub fn base_url(&self) -> String {
        format!("http://{}{}", self.address, self.base_path)
    }

    /// The fixed token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Where tokens are handed out.
    pub fn oauth_url(&self) -> String {
        format!("http://{}/oauth/token", self.address)
    }

    /// The world, to look at and to change.
    pub fn world(&self) -> &SharedWorld {
        &self.server.world
    }

    /// Refuses connections from now on, and resets those that there are: for this long, or until
    /// [`accept_connections`](Self::accept_connections). Returns when nothing listens any more.
    pub async fn refuse_connections(&self, wait: Option<Duration>) {
        let end = wait.and_then(|wait| Instant::now().checked_add(wait));
        self.move_door(end.map_or(Door::Closed, Door::ClosedUntil), false)
            .await;
    }

    /// Accepts connections again. Returns when something listens.
    pub async fn accept_connections(&self) {
        self.move_door(Door::Open, true).await;
    }

    async fn move_door(&self, door: Door, listening: bool) {
        let mut listens = self.server.listening.subscribe();
        self.server.door.send_replace(door);
        // Fails only when the server is gone, and then nothing listens.
        let _ = listens.wait_for(|now| *now == listening).await;
    }

    /// Stops it, resets its connections and waits until they are gone.
    pub async fn stop(self) {
        let Self {
            server,
            task,
            _stops,
            ..
        } = self;
        server.stop.cancel();
        // The task ends by itself; if it panicked, it has ended as well.
        let _ = task.await;
    }
}
