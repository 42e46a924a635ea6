//! A daemon with its API in this process, on a folder of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nightcall::cli::Context;
use nightcall::cli::output::Output;
use nightcall::cli::serve;
use nightcall::config::{self, Config};
use nightcall::control::client::Client;
use nightcall::control::wire::{FireBody, FollowLine, StatusView};
use nightcall::control::{Api, Loopback, Reread, Server};
use nightcall::daemon::{ChoreSettings, Daemon, Parts, Plan, SystemClock};
use nightcall::sandbox::{Ending, Procedure, Sandbox, Scenario, Script};
use nightcall::sched::id::RunId;
use nightcall::secret::Secret;
use nightcall::store::Store;
use nightcall::store::outbox::Outbox;
use nightcall::systemd::Notifier;
use nightcall::zones::Zones;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::runs::chores;

/// What the loopback address asks for.
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// The vendor, the folder and the configuration; they outlive a daemon.
pub(super) struct World {
    pub(super) folder: TempDir,
    pub(super) sandbox: Sandbox,
    pub(super) config: Config,
}

/// A running daemon. It is stopped by [`Life::stop`].
pub(super) struct Life {
    pub(super) http: SocketAddr,
    pub(super) client: Client,
    pub(super) stop: CancellationToken,
    daemon: JoinHandle<()>,
    server: JoinHandle<()>,
}

fn scenario() -> Scenario {
    let procedure = |signature: &str, script| Procedure::new(signature, script).unwrap();
    Scenario {
        procedures: vec![
            procedure("p.d.quick(n)", Script::running(Duration::from_millis(200))),
            procedure("p.d.slow(n)", Script::running(Duration::from_secs(3))),
            procedure("p.d.endless(n)", Script::ending([Ending::Stuck])),
            procedure(
                "p.d.broken(n)",
                Script::ending([Ending::fails("invalidQuery")]),
            ),
        ],
        ..Scenario::default()
    }
}

fn configuration(base_url: &str) -> String {
    let mut text = format!(
        r#"
[daemon]
database = "nightcall.db"
control  = "nightcall.sock"

[connection.dw]
base_url = "{base_url}"
provider = "bigquery"
token    = {{ file = "token" }}
requests_per_minute = 6000
poll     = {{ first = "100ms", factor = 1.0, max = "100ms" }}

[defaults]
connection = "dw"
timezone = "Europe/Madrid"

[schedule.off]
cron = "0 3 1 1 *"
procedure = "p.d.quick(n)"
parameters = {{ n = 1 }}
enabled = false

[schedule.sets]
cron = "0 3 1 1 *"
procedure = "p.d.quick(n)"
parameters = {{ n = 1 }}
set.a = {{ n = 2 }}
set.b = {{ n = 3 }}
"#
    );
    for name in ["quick", "slow", "endless", "broken"] {
        text.push_str(&format!(
            "[schedule.{name}]\ncron = \"0 3 1 1 *\"\nprocedure = \"p.d.{name}(n)\"\nparameters = {{ n = 1 }}\n"
        ));
    }
    text
}

impl World {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start(scenario()).await.unwrap();
        std::fs::write(folder.path().join("token"), sandbox.token()).unwrap();
        let file = folder.path().join("nightcall.toml");
        std::fs::write(&file, configuration(&sandbox.base_url())).unwrap();
        let config = config::load(&[file], &Zones::load()).unwrap();
        Self {
            folder,
            sandbox,
            config,
        }
    }

    pub(super) fn socket(&self) -> &Path {
        &self.config.daemon.control
    }

    /// What the command line has for this configuration; `control` may name another socket.
    pub(super) fn context(&self, control: Option<&Path>) -> Context {
        let mut file = self.folder.path().join("nightcall.toml");
        if let Some(control) = control {
            let text = std::fs::read_to_string(&file).unwrap();
            let text = text.replace("nightcall.sock", control.to_str().unwrap());
            file = self.folder.path().join("elsewhere.toml");
            std::fs::write(&file, text).unwrap();
        }
        Context {
            config: vec![file],
            zones: Zones::load(),
            out: Output::stdout(true),
        }
    }

    fn plan(&self) -> Plan {
        let zones = Zones::load();
        let enabled = self.config.schedules.iter().filter(|s| s.enabled);
        Plan {
            config: Arc::clone(&self.config.hash),
            definitions: enabled
                .flat_map(|s| {
                    let trigger = Arc::clone(&s.trigger);
                    let definitions = s.definitions.iter();
                    definitions.map(move |d| (Arc::clone(d), Arc::clone(&trigger)))
                })
                .collect(),
            disabled: vec!["off".parse().unwrap()],
            connections: self
                .config
                .connections
                .iter()
                .map(|c| c.limits.clone())
                .collect(),
            observe: false,
            kept: std::time::Duration::MAX,
            zones: Arc::new(move |name| zones.get(name)),
            checks: Arc::new(|| Box::pin(async { Vec::new() })),
            channels: Vec::new(),
        }
    }

    /// A daemon on this folder.
    pub(super) async fn start(&self) -> Life {
        let store = serve::open_store(&self.config.daemon.database).unwrap();
        let stop = CancellationToken::new();
        let plan = self.plan();
        let zone = Arc::clone(&plan.zones);
        let parts = Parts {
            store: Arc::clone(&store) as Arc<dyn Store>,
            outbox: Arc::clone(&store) as Arc<dyn Outbox>,
            clients: serve::connect(&self.config).unwrap(),
            clock: Arc::new(SystemClock),
            plan,
            chores: ChoreSettings {
                doctor_at: self.config.daemon.doctor_at,
                ..chores()
            },
            instance: None,
            systemd: Notifier::from_env(),
            stop: stop.clone(),
        };
        let (daemon, handle) = Daemon::new(parts).await.unwrap();
        let http = Some(Loopback {
            address: "127.0.0.1:0".parse().unwrap(),
            token: Secret::new(TOKEN.to_owned()).unwrap(),
        });
        let server = Server::bind(self.socket(), http).unwrap();
        let http = server.http().unwrap();
        let api = Api {
            handle,
            store,
            zone,
            zone_data: None,
            reload: Arc::new(|| Reread {
                new: Err("nothing is read here".to_owned()),
                notes: Vec::new(),
            }),
        };
        Life {
            http,
            client: Client::new(self.socket()),
            daemon: tokio::spawn(async move { daemon.run().await.unwrap() }),
            server: tokio::spawn(server.run(api, stop.clone())),
            stop,
        }
    }

    /// How many jobs the vendor made.
    pub(super) fn jobs(&self) -> usize {
        self.sandbox.world().with(|world| world.jobs().count())
    }
}

impl Life {
    /// Stops in order; fails when that takes too long.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        in_time(self.daemon).await.unwrap();
        in_time(self.server).await.unwrap();
    }

    /// A run by hand.
    pub(super) async fn fire(&self, schedule: &str, key: &str) -> RunId {
        let fired = self.client.fire(&body(schedule, key)).await.unwrap();
        fired.run.parse().unwrap()
    }

    /// Waits until the status says so.
    pub(super) async fn status_until(&self, so: impl Fn(&StatusView) -> bool) -> StatusView {
        let since = Instant::now();
        loop {
            let status = self.client.status().await.unwrap();
            if so(&status) {
                return status;
            }
            assert!(since.elapsed() < PATIENCE, "{status:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Every line about a run, to the last.
    pub(super) async fn lines(&self, run: &RunId) -> Vec<FollowLine> {
        let mut following = self.client.follow(run).await.unwrap();
        let mut lines = Vec::new();
        loop {
            lines.push(in_time(following.next()).await.unwrap());
            if !matches!(lines.last(), Some(FollowLine::Event(_))) {
                return lines;
            }
        }
    }
}

pub(super) fn body(schedule: &str, key: &str) -> FireBody {
    FireBody {
        schedule: schedule.to_owned(),
        key: key.to_owned(),
        ..FireBody::default()
    }
}

pub(super) async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("this takes too long")
}

/// An answer as it comes over the wire.
pub(super) struct Raw {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Raw {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Sends these bytes and reads until the other end closes.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> Raw {
    // The other end may have seen enough before the end of the request.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = in_time(stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
    Raw {
        status: status.unwrap_or_else(|| panic!("no answer: {head:?}")),
        body: body.to_owned(),
    }
}

fn request(line: &str, host: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// With the token.
pub(super) async fn over_tcp(address: SocketAddr, line: &str, host: &str) -> Raw {
    let host = format!("{host}\r\nauthorization: Bearer {TOKEN}");
    without_token(address, line, &host).await
}

/// Without a token, unless `host` goes on with one.
pub(super) async fn without_token(address: SocketAddr, line: &str, host: &str) -> Raw {
    let stream = TcpStream::connect(address).await.unwrap();
    exchange(stream, &request(line, host, b"")).await
}

pub(super) async fn over_socket(socket: &Path, line: &str, body: &[u8]) -> Raw {
    let stream = UnixStream::connect(socket).await.unwrap();
    exchange(stream, &request(line, "localhost", body)).await
}
