//! The half of the sandbox that touches sockets: accepts connections, gives each request to the [`World`], and does
//! to the connection what the world says.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::http::{Incoming, Wire};
use super::message::{Delivery, Exchange, Reply, Request};
use super::world::World;

/// The most connections at once; more wait in the listener's queue.
const CONNECTIONS_MAX: usize = 1024;

/// The true time, however it is had.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The world of a running sandbox, to look at and to change.
#[derive(Clone)]
pub struct SharedWorld {
    world: Arc<Mutex<World>>,
    clock: Clock,
    changed: Arc<Notify>,
}

impl SharedWorld {
    pub(super) fn new(world: World, clock: Clock) -> Self {
        Self {
            world: Arc::new(Mutex::new(world)),
            clock,
            changed: Arc::new(Notify::new()),
        }
    }

    /// Looks at the world as it is now, or changes it. Requests wait meanwhile.
    pub fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        // A panic in another closure leaves the world as it was between two of its statements: still worth looking at.
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.advance((self.clock)());
        look(&mut world)
    }

    /// Waits until something is true of the world. It is asked after every request, and every few milliseconds for what
    /// comes with time alone.
    pub async fn until(&self, mut is_true: impl FnMut(&mut World) -> bool) {
        loop {
            let changed = self.changed.notified();
            if self.with(&mut is_true) {
                return;
            }
            tokio::select! {
                () = changed => {}
                () = sleep(Duration::from_millis(5)) => {}
            }
        }
    }

    fn tell<T>(&self, ask: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        let now = (self.clock)();
        let told = self.with(|world| ask(world, now));
        self.changed.notify_waiters();
        told
    }
}

/// Whether connections are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Open,
    Closed,
    ClosedUntil(Instant),
}

/// What the tasks of one server share.
pub(super) struct Server {
    pub(super) world: SharedWorld,
    pub(super) door: watch::Sender<Door>,
    /// Whether a listener is there; follows the door.
    pub(super) listening: watch::Sender<bool>,
    pub(super) stop: CancellationToken,
    pub(super) body_limit: usize,
    room: Arc<Semaphore>,
    tasks: TaskTracker,
}

/// How a connection ends.
enum End {
    Close,
    Reset,
}

impl Server {
    pub(super) fn new(world: SharedWorld, body_limit: usize) -> Self {
        Self {
            world,
            door: watch::Sender::new(Door::Open),
            listening: watch::Sender::new(true),
            stop: CancellationToken::new(),
            body_limit,
            room: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            tasks: TaskTracker::new(),
        }
    }

    /// Serves until it is told to stop. The listener goes and comes back with the door.
    pub(super) async fn run(self: Arc<Self>, mut listener: TcpListener, address: SocketAddr) {
        let mut door = self.door.subscribe();
        loop {
            let open = self.stop.child_token();
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = self.accept(&listener, &open) => {}
                _ = door.wait_for(|door| *door != Door::Open) => {}
            }
            drop(listener);
            open.cancel();
            self.listening.send_replace(false);
            if !self.wait_at(&mut door).await {
                break;
            }
            let Some(again) = self.listen_again(address).await else {
                break;
            };
            listener = again;
            self.listening.send_replace(true);
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Waits behind a closed door; false when the server stops.
    async fn wait_at(&self, door: &mut watch::Receiver<Door>) -> bool {
        loop {
            let state = *door.borrow_and_update();
            let enough = async {
                match state {
                    Door::ClosedUntil(end) => sleep_until(end).await,
                    _ => std::future::pending().await,
                }
            };
            if state == Door::Open {
                return true;
            }
            tokio::select! {
                () = self.stop.cancelled() => return false,
                _ = door.changed() => {}
                () = enough => {
                    self.door.send_if_modified(|door| {
                        let same = *door == state;
                        if same {
                            *door = Door::Open;
                        }
                        same
                    });
                }
            }
        }
    }

    /// Takes the same port again; somebody else may hold it for a moment.
    async fn listen_again(&self, address: SocketAddr) -> Option<TcpListener> {
        loop {
            match TcpListener::bind(address).await {
                Ok(listener) => return Some(listener),
                Err(error) => tracing::warn!(%error, %address, "cannot listen again yet"),
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = sleep(Duration::from_millis(20)) => {}
            }
        }
    }

    async fn accept(self: &Arc<Self>, listener: &TcpListener, open: &CancellationToken) {
        loop {
            let Ok(room) = Arc::clone(&self.room).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let (server, open) = (Arc::clone(self), open.clone());
                    self.tasks.spawn(async move {
                        server.connection(stream, peer.ip(), open).await;
                        drop(room);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, from: IpAddr, open: CancellationToken) {
        // Small replies would otherwise wait for the client's acknowledgement.
        let _ = stream.set_nodelay(true);
        let mut wire = Wire::new(stream, from);
        let end = tokio::select! {
            () = open.cancelled() => End::Reset,
            end = self.converse(&mut wire) => end.unwrap_or(End::Close),
        };
        match end {
            End::Close => wire.close().await,
            End::Reset => wire.reset(),
        }
    }

    async fn converse(self: &Arc<Self>, wire: &mut Wire) -> io::Result<End> {
        if let Some(exchange) = self.world.tell(World::connect) {
            return self
                .act(wire, exchange, false)
                .await
                .map(|end| end.unwrap_or(End::Close));
        }
        loop {
            let (request, keep) = match wire.read(self.body_limit).await? {
                Incoming::Request { request, keep } => (request, keep),
                Incoming::Closed => return Ok(End::Close),
                Incoming::Bad(status) => {
                    let reply = Reply::error(status, super::message::reason(status));
                    wire.send(&reply, Delivery::Whole, false).await?;
                    return Ok(End::Close);
                }
            };
            let (number, exchange) = self.ask(&request);
            let exchange = match exchange {
                Exchange::Later(wait) => match self.ask_later(request, wait).await {
                    Some(exchange) => exchange,
                    None => return Ok(End::Reset),
                },
                exchange => exchange,
            };
            let replies = matches!(exchange, Exchange::Reply(..));
            let end = self.act(wire, exchange, keep).await?;
            if replies {
                self.world
                    .tell(|world, now| world.journal.sent(number, now));
            }
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    /// Does to the connection what the world says; `None` when the connection goes on.
    async fn act(
        &self,
        wire: &mut Wire,
        exchange: Exchange,
        keep: bool,
    ) -> io::Result<Option<End>> {
        Ok(match exchange {
            Exchange::Reply(reply, delivery) => {
                let goes_on = wire.send(&reply, delivery, keep).await?;
                (!goes_on).then_some(End::Close)
            }
            Exchange::Refuse(wait) => {
                let end = Instant::now().checked_add(wait);
                self.door
                    .send_replace(end.map_or(Door::Closed, Door::ClosedUntil));
                Some(End::Reset)
            }
            Exchange::Silence => {
                wire.outwait().await;
                Some(End::Close)
            }
            Exchange::Reset => Some(End::Reset),
            Exchange::Close | Exchange::Later(_) => Some(End::Close),
        })
    }

    /// What is done about a request, and its number in the journal.
    fn ask(&self, request: &Request) -> (u64, Exchange) {
        self.world.tell(|world, now| {
            let exchange = world.handle(request, now);
            if let Some(entry) = world.journal().entries().next_back() {
                tracing::info!(
                    method = request.method,
                    // Without the query: it may hold a credential.
                    path = request.path(),
                    run = entry.run,
                    status = entry.status,
                    fault = entry.fault,
                    "asked"
                );
            }
            (world.journal().total(), exchange)
        })
    }

    /// Has a request handled later, by a task of its own: what was sent arrives, whether or not the sender still waits.
    async fn ask_later(self: &Arc<Self>, request: Request, wait: Duration) -> Option<Exchange> {
        let (answer, answered) = oneshot::channel();
        let server = Arc::clone(self);
        self.tasks.spawn(async move {
            tokio::select! {
                () = server.stop.cancelled() => return,
                () = sleep(wait) => {}
            }
            let exchange = server
                .world
                .tell(|world, now| world.handle_late(&request, now));
            // The connection may be gone by now; that is the point.
            let _ = answer.send(exchange);
        });
        answered.await.ok()
    }
}
