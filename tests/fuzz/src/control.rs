//! Bytes as a request to the local API of a running daemon, over its unix socket and its loopback address.
//!
//! The daemon is real, its store is in memory, its vendor takes every job and never ends one, and its clock stands
//! still, so that ids are the same in every process: the run that is there from the start is
//! `a/default@2026-02-03T01:15:00Z+manual-seed`.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::{Future, ready};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nightcall::config;
use nightcall::control::{Api, Loopback, Reread, Server};
use nightcall::daemon::{ChoreSettings, Clock, Daemon, Parts, Plan};
use nightcall::sched::call::{Submission, Target};
use nightcall::sched::id::JobId;
use nightcall::sched::step::{CancelAnswer, ListAnswer, PollAnswer, SubmitAnswer};
use nightcall::sched::time::{Mono, Now, TimeZone, Timestamp};
use nightcall::secret::Secret;
use nightcall::store::Store;
use nightcall::systemd::Notifier;
use nightcall::warehouse::{Heard, JobClient, Looked, Reply, Validity};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::reading::ZONES;

// The store of the conformance suite: what is fuzzed here is in front of it.
#[allow(clippy::duplicate_mod)]
#[path = "../../it/support/memory_store.rs"]
mod memory_store;

/// The daemon's schedules: one plain, one with sets.
const SCHEDULES: &str = "[connection.c]\nbase_url = \"http://127.0.0.1:9\"\n\
    provider = \"bigquery\"\ntoken = { env = \"T\" }\n[defaults]\nconnection = \"c\"\n\
    [schedule.a]\ncron = \"0 3 1 1 *\"\nprocedure = \"p.d.a(n)\"\nparameters = { n = 1 }\n\
    [schedule.b]\ncron = \"0 3 1 1 *\"\nprocedure = \"p.d.b(n)\"\nset.x = { n = 1 }\n\
    set.y = { n = 2 }\n";

/// The longest that anything may take: an answer, or the end of a connection that is not understood.
const PATIENCE: Duration = Duration::from_secs(10);

/// No answer here is longer.
const LONGEST: usize = 4 << 20;

/// A daemon serves so many requests; then another begins, so that its store stays small.
const LIFE: u32 = 2000;

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Sends the bytes to both doors.
pub fn control(data: &[u8]) {
    WORLD.with_borrow_mut(|world| {
        if world.as_ref().is_some_and(|world| world.served >= LIFE) {
            world.take().expect("it is there").end();
        }
        let world = world.get_or_insert_with(World::new);
        world.served += 1;
        world.ask(data);
    });
}

struct World {
    runtime: Runtime,
    folder: TempDir,
    http: SocketAddr,
    stop: CancellationToken,
    daemon: JoinHandle<()>,
    server: JoinHandle<()>,
    served: u32,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("there is a runtime");
        let stop = CancellationToken::new();
        let (daemon, server, http) = runtime.block_on(start(&folder, stop.clone()));
        let world = Self {
            runtime,
            folder,
            http,
            stop,
            daemon,
            server,
            served: 0,
        };
        world.fire_the_first();
        world
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("n.sock")
    }

    fn fire_the_first(&self) {
        let body = r#"{"schedule":"a","key":"seed"}"#;
        let length = body.len();
        let request = format!("POST /v1/fire HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{body}");
        let answer = self.runtime.block_on(async {
            let stream = UnixStream::connect(self.socket()).await;
            exchange(stream.expect("the socket is there"), request.as_bytes()).await
        });
        let answer = answer.expect("the daemon answers");
        assert_eq!(answer.status, 200, "{}", answer.words());
    }

    fn ask(&self, data: &[u8]) {
        self.runtime.block_on(async {
            let stream = UnixStream::connect(self.socket()).await;
            let answer = exchange(stream.expect("the socket is there"), data).await;
            sound(data, answer.as_ref(), true);
            let stream = TcpStream::connect(self.http)
                .await
                .expect("the address is there");
            // No trace of thousands of connections is left in the system's table.
            stream.set_zero_linger().expect("it is a socket");
            let answer = exchange(stream, data).await;
            sound(data, answer.as_ref(), false);
        });
        assert!(!self.daemon.is_finished(), "the daemon ended");
        assert!(!self.server.is_finished(), "the server ended");
    }

    fn end(self) {
        self.stop.cancel();
        self.runtime.block_on(async {
            in_time(self.server).await.expect("the server ends well");
            in_time(self.daemon).await.expect("the daemon ends well");
        });
    }
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(PATIENCE, what).await;
    ended.unwrap_or_else(|_| panic!("nothing within {PATIENCE:?}"))
}

async fn start(
    folder: &TempDir,
    stop: CancellationToken,
) -> (JoinHandle<()>, JoinHandle<()>, SocketAddr) {
    let file = folder.path().join("nightcall.toml");
    std::fs::write(&file, SCHEDULES).expect("the file can be written");
    let config = config::load(&[file], &ZONES).unwrap_or_else(|problems| panic!("{problems}"));
    let store: Arc<dyn Store> = Arc::new(memory_store::MemoryStore::default());
    let definitions = config.schedules.iter().flat_map(|schedule| {
        let trigger = &schedule.trigger;
        let each = schedule.definitions.iter();
        each.map(|definition| (Arc::clone(definition), Arc::clone(trigger)))
    });
    let zone: nightcall::daemon::Zones = Arc::new(|name| ZONES.get(name));
    let connections = config.connections.iter();
    let client: Arc<dyn JobClient> = Arc::new(Endless);
    let parts = Parts {
        store: Arc::clone(&store),
        outbox: Arc::new(memory_store::MemoryStore::default()),
        clients: HashMap::from_iter(
            connections
                .clone()
                .map(|c| (c.name().clone(), Arc::clone(&client))),
        ),
        clock: Arc::new(Still),
        plan: Plan {
            config: Arc::clone(&config.hash),
            definitions: definitions.collect(),
            disabled: Vec::new(),
            connections: connections.map(|c| c.limits.clone()).collect(),
            observe: false,
            kept: std::time::Duration::MAX,
            zones: Arc::clone(&zone),
            checks: Arc::new(|| Box::pin(async { Vec::new() })),
            channels: Vec::new(),
        },
        chores: ChoreSettings {
            keep_days: 400,
            keep_runs: 10_000,
            doctor_at: config.daemon.doctor_at,
            doctor_zone: TimeZone::UTC,
            zone_data: Arc::new(String::new),
        },
        instance: Some("fuzz".to_owned()),
        systemd: Notifier::from_env(),
        stop: stop.clone(),
    };
    let (daemon, handle) = Daemon::new(parts).await.expect("the store is free");
    let any = "127.0.0.1:0".parse().expect("it is an address");
    let any = Loopback {
        address: any,
        token: Secret::new("only the holder of this may act".to_owned()).expect("it is one"),
    };
    let server = Server::bind(&folder.path().join("n.sock"), Some(any)).expect("it can listen");
    let http = server.http().expect("it listens there");
    let api = Api {
        handle,
        store,
        zone,
        zone_data: None,
        reload: Arc::new(|| Reread {
            new: Err("there is nothing to read".to_owned()),
            notes: Vec::new(),
        }),
    };
    let daemon = tokio::spawn(async move { daemon.run().await.expect("the daemon runs") });
    let server = tokio::spawn(server.run(api, stop));
    (daemon, server, http)
}

/// A clock that stands still.
struct Still;

impl Clock for Still {
    fn now(&self) -> Now {
        Now {
            wall: "2026-02-03T01:15:00Z".parse().expect("it is a time"),
            mono: Mono(1_000_000_000),
        }
    }
}

/// A vendor that takes every job and ends none.
struct Endless;

fn heard<'a, T: Send + 'a>(answer: T) -> Reply<'a, T> {
    Box::pin(ready(Heard { answer, date: None }))
}

impl JobClient for Endless {
    fn submit<'a>(&'a self, submission: &'a Submission) -> Reply<'a, SubmitAnswer> {
        let id = JobId::new(&format!("job of {}", submission.marker.run));
        heard(SubmitAnswer::Accepted(id.expect("it is an id")))
    }

    fn poll<'a>(&'a self, _: &'a Target, _: &'a JobId) -> Reply<'a, PollAnswer> {
        heard(PollAnswer::Working { unknown: None })
    }

    fn cancel<'a>(&'a self, _: &'a Target, _: &'a JobId) -> Reply<'a, CancelAnswer> {
        heard(CancelAnswer::Noted)
    }

    fn list<'a>(&'a self, _: &'a Target, _: Timestamp) -> Reply<'a, ListAnswer> {
        heard(ListAnswer::Jobs(Vec::new()))
    }

    fn look<'a>(&'a self, _: &'a Target, _: Timestamp) -> Reply<'a, Looked> {
        heard(Looked {
            credential: Ok(Validity::Unknown),
            reached: Ok(()),
            list: ListAnswer::Jobs(Vec::new()),
        })
    }
}

/// The first answer to the bytes.
struct Answer {
    status: u16,
    json: bool,
    /// The body, when its length was announced.
    body: Option<Vec<u8>>,
}

impl Answer {
    fn words(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.body.as_deref().unwrap_or_default())
    }
}

/// Sends the bytes and reads the first answer; `None` when the other end closes without one.
async fn exchange(stream: impl AsyncRead + AsyncWrite, data: &[u8]) -> Option<Answer> {
    let (mut input, mut output) = tokio::io::split(stream);
    let asked = async {
        // The other end may have seen enough before the end of the bytes.
        let _ = output.write_all(data).await;
        if !is_complete(data) {
            let _ = output.shutdown().await;
        }
        // Kept open: a client that leaves wants no answer.
        std::future::pending::<()>().await;
    };
    let answer = async {
        let mut bytes = Vec::new();
        loop {
            if let Some(answer) = first_answer(&bytes, asks_with(data, "HEAD")) {
                return Some(answer);
            }
            assert!(bytes.len() <= LONGEST, "an answer without end");
            if !matches!(input.read_buf(&mut bytes).await, Ok(1..)) {
                return None;
            }
        }
    };
    let both = async {
        tokio::select! {
            answer = answer => answer,
            () = asked => None,
        }
    };
    in_time(both).await
}

/// Whether the bytes begin with a request of this method.
fn asks_with(data: &[u8], method: &str) -> bool {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    // What is wrong after the method does not matter, and empty lines before it do not count.
    let _ = request.parse(data);
    request.method == Some(method)
}

/// Whether the bytes begin with a request that is all there.
fn is_complete(data: &[u8]) -> bool {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(head)) = request.parse(data) else {
        return false;
    };
    let named = |name: &str| {
        let wanted = move |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case(name);
        request.headers.iter().filter(wanted).collect::<Vec<_>>()
    };
    // A target of another form may be none, and then the server may close without a word.
    let path = request.path.is_some_and(|path| path.starts_with('/'));
    let plain = path
        && named("transfer-encoding").is_empty()
        && named("upgrade").is_empty()
        && named("expect").is_empty();
    let body = match named("content-length")[..] {
        [] => Some(0),
        [length] => std::str::from_utf8(length.value)
            .ok()
            .and_then(|text| text.parse().ok()),
        _ => None,
    };
    plain && body.is_some_and(|body: usize| data.len() - head >= body)
}

/// The answer at the beginning of the bytes, when its head is there, and its body if one of that length is announced.
fn first_answer(bytes: &[u8], head_only: bool) -> Option<Answer> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(bytes).expect("the answer is HTTP");
    let httparse::Status::Complete(head) = parsed else {
        return None;
    };
    let value = |name: &str| {
        let mut headers = response.headers.iter();
        headers
            .find(|h| h.name.eq_ignore_ascii_case(name))
            .map(|h| h.value)
    };
    let length = value("content-length").and_then(|text| std::str::from_utf8(text).ok());
    let length: Option<usize> = length.and_then(|text| text.parse().ok());
    let length = length.filter(|_| !head_only);
    let rest = &bytes[head..];
    if length.is_some_and(|length| rest.len() < length) {
        return None;
    }
    Some(Answer {
        status: response.code.expect("an answer has a status"),
        json: value("content-type") == Some(b"application/json"),
        body: length.map(|length| rest[..length].to_owned()),
    })
}

/// Whole requests are answered, in JSON where it is ours to answer, and nobody acts over loopback without the token.
fn sound(data: &[u8], answer: Option<&Answer>, acts: bool) {
    let Some(answer) = answer else {
        assert!(
            !is_complete(data),
            "no answer to {:?}",
            String::from_utf8_lossy(data)
        );
        return;
    };
    assert!((100..600).contains(&answer.status), "{}", answer.status);
    assert_ne!(answer.status, 500, "{}", answer.words());
    assert_ne!(answer.status, 504, "the daemon hangs");
    if !acts && asks_with(data, "POST") {
        assert!(answer.status >= 400, "the loopback acts without a token");
    }
    let Some(body) = answer.body.as_ref().filter(|_| answer.json) else {
        return;
    };
    let body: Value = serde_json::from_slice(body)
        .unwrap_or_else(|error| panic!("not JSON: {error}: {}", answer.words()));
    if answer.status >= 400 && answer.status != 503 {
        let told = |key: &str| body[key].as_str().is_some_and(|text| !text.is_empty());
        assert!(told("message") && told("code") && told("hint"), "{body}");
    }
}
