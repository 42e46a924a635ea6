//! A daemon with its local API, on any store and by any clock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use nightcall::control::{Api, Loopback, Reread, Server};
use nightcall::daemon::{Clock, Daemon, DaemonHandle, Parts, SystemClock};
use nightcall::sandbox::{Ending, Procedure, Scenario, Script};
use nightcall::sched::id::RunId;
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::step::{Change, Fired};
use nightcall::sched::time::Now;
use nightcall::secret::Secret;
use nightcall::store::Store;
use nightcall::systemd::Notifier;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::memory_store::MemoryStore;
use crate::support::runs::{by_hand, chores};
use crate::support::world;

/// What the loopback address asks for.
pub(super) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(30);

/// Schedules of which one succeeds each second, one is skipped since it is busy, one since it starts too late behind a run
/// that does not end; the others run by hand.
pub(super) const NIGHT: &str = r#"
[schedule.tick]
every = "1s"
procedure = "p.d.quick(n)"
parameters = { n = 1 }

[schedule.busy]
every = "1s"
procedure = "p.d.endless(n)"
parameters = { n = 1 }
overlap = "skip"

[schedule.late]
every = "1s"
procedure = "p.d.endless(n)"
parameters = { n = 1 }
overlap = "buffer_one"
start_deadline = "1s"

[schedule.broken]
every = "365d"
procedure = "p.d.broken(n)"
parameters = { n = 1 }

[schedule.odd]
every = "365d"
procedure = "p.d.odd(n)"
parameters = { n = 1 }
retry = { attempts = 1 }
"#;

pub(super) struct World {
    pub(super) world: world::World,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Shifted,
}

/// A daemon that may run already, and how it is asked.
pub(super) struct Watched {
    pub(super) handle: DaemonHandle,
    http: SocketAddr,
    stop: CancellationToken,
    waiting: Option<Daemon>,
    daemon: Option<JoinHandle<()>>,
    server: JoinHandle<()>,
}

/// An answer to a monitor.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) form: String,
    pub(super) body: String,
}

/// The machine's clocks, the wall clock ahead by so many seconds.
#[derive(Clone, Default)]
pub(super) struct Shifted(Arc<AtomicI64>);

impl Shifted {
    pub(super) fn by(&self, seconds: i64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for Shifted {
    fn now(&self) -> Now {
        let now = SystemClock.now();
        let ahead = jiff::SignedDuration::from_secs(self.0.load(Ordering::SeqCst));
        Now {
            wall: now.wall + ahead,
            ..now
        }
    }
}

fn scenario() -> Scenario {
    let procedure = |signature: &str, script| Procedure::new(signature, script).unwrap();
    let fails = |reason| Script::ending([Ending::fails(reason)]);
    Scenario {
        procedures: vec![
            procedure("p.d.quick(n)", Script::running(Duration::from_millis(50))),
            procedure("p.d.endless(n)", Script::ending([Ending::Stuck])),
            procedure("p.d.broken(n)", fails("invalidQuery")),
            procedure("p.d.odd(n)", fails("vendorsFancy")),
        ],
        ..Scenario::default()
    }
}

impl World {
    pub(super) async fn new(tables: &str) -> Self {
        Self::on(tables, Arc::new(MemoryStore::default())).await
    }

    pub(super) async fn on(tables: &str, store: Arc<dyn Store>) -> Self {
        Self {
            world: world::World::new(scenario(), tables).await,
            store,
            clock: Shifted::default(),
        }
    }

    /// A daemon that answers and does not run yet.
    pub(super) async fn ready(&self) -> Watched {
        let (plan, clients) = self.world.replacement();
        let stop = CancellationToken::new();
        let zone = Arc::clone(&plan.zones);
        let (daemon, handle) = Daemon::new(Parts {
            outbox: Arc::new(MemoryStore::default()),
            store: Arc::clone(&self.store),
            clients,
            clock: Arc::new(self.clock.clone()),
            plan,
            chores: chores(),
            instance: None,
            systemd: Notifier::default(),
            stop: stop.clone(),
        })
        .await
        .unwrap();
        let loopback = Loopback {
            address: "127.0.0.1:0".parse().unwrap(),
            token: Secret::new(TOKEN.to_owned()).unwrap(),
        };
        let server = Server::bind(&self.world.file("n.sock"), Some(loopback)).unwrap();
        let http = server.http().unwrap();
        let api = Api {
            handle: handle.clone(),
            store: Arc::clone(&self.store),
            zone,
            zone_data: "2026-01-01T00:00:00Z".parse().ok(),
            reload: Arc::new(|| Reread {
                new: Err("nothing is read here".to_owned()),
                notes: Vec::new(),
            }),
        };
        Watched {
            handle,
            http,
            waiting: Some(daemon),
            daemon: None,
            server: tokio::spawn(server.run(api, stop.clone())),
            stop,
        }
    }

    /// A daemon that runs.
    pub(super) async fn start(&self) -> Watched {
        let mut life = self.ready().await;
        life.begin();
        life
    }

    /// Everything happens that [`NIGHT`] has: runs succeed, fail, are skipped and late.
    pub(super) async fn play(&self, life: &Watched) {
        let succeeded = life.ends("tick", Outcome::Succeeded);
        let skipped = life.ends("busy", Outcome::Skipped(SkipReason::Busy));
        let late = life.ends("late", Outcome::Skipped(SkipReason::StartDeadline));
        tokio::join!(succeeded, skipped, late);
        life.run("broken").await;
        life.run("odd").await;
    }
}

impl Watched {
    pub(super) fn begin(&mut self) {
        let daemon = self.waiting.take().unwrap();
        self.daemon = Some(tokio::spawn(async move { daemon.run().await.unwrap() }));
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        if let Some(daemon) = self.daemon {
            in_time(daemon).await.unwrap();
        }
        drop(self.waiting);
        in_time(self.server).await.unwrap();
    }

    /// Asks over the loopback address.
    pub(super) async fn ask(&self, path: &str, token: bool, accept: Option<&str>) -> Answer {
        let url = format!("http://{}{path}", self.http);
        let mut request = reqwest::Client::new().get(url);
        if token {
            request = request.header("authorization", format!("Bearer {TOKEN}"));
        }
        if let Some(accept) = accept {
            request = request.header("accept", accept);
        }
        let answer = in_time(request.send()).await.unwrap();
        let form = answer.headers().get("content-type").unwrap();
        Answer {
            status: answer.status().as_u16(),
            form: form.to_str().unwrap().to_owned(),
            body: in_time(answer.text()).await.unwrap(),
        }
    }

    /// Asks until the answer has this status.
    pub(super) async fn until(&self, path: &str, status: u16) -> Answer {
        let asking = async {
            loop {
                let answer = self.ask(path, false, None).await;
                if answer.status == status {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        in_time(asking).await
    }

    /// A run by hand, to its end.
    pub(super) async fn run(&self, schedule: &str) -> RunId {
        let ended = self.ends_so(schedule, |_| true);
        let fired = self.handle.fire(by_hand(schedule, schedule)).await.unwrap();
        let Fired::Run(run) = fired else {
            panic!("{fired:?}");
        };
        ended.await;
        run
    }

    /// The next run of a schedule that ends so.
    pub(super) fn ends(&self, schedule: &str, so: Outcome) -> impl Future<Output = ()> {
        self.ends_so(schedule, move |outcome| outcome == so)
    }

    fn ends_so(&self, schedule: &str, so: impl Fn(Outcome) -> bool) -> impl Future<Output = ()> {
        // From now on, not from when it is awaited.
        let (mut feed, schedule) = (self.handle.feed(), schedule.to_owned());
        in_time(async move {
            loop {
                if let Change::Run { run, .. } = &*feed.recv().await.unwrap()
                    && run.id.series.schedule.as_str() == schedule
                    && run.outcome().is_some_and(&so)
                {
                    return;
                }
            }
        })
    }
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(LIMIT, what).await;
    waited.expect("this takes too long")
}
