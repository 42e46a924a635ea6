//! One night on record: the real scheduler and the real store, in virtual time, against a vendor by script.
//!
//! The daemon starts at 17:04 on Monday, 2 February 2026 in Madrid, is down from 04:00 to 08:00, and is alive when
//! people look at 09:00.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nightcall::config::{self, Config};
use nightcall::sched::Scheduler;
use nightcall::sched::fault::{Fault, FaultClass};
use nightcall::sched::id::{JobId, RunId};
use nightcall::sched::scheduler::{Predecessors, Setup};
use nightcall::sched::step::{
    Answer, Ask, CancelAnswer, Effect, FireRequest, Input, Key, ListAnswer, PollAnswer, Step,
    SubmitAnswer, Token,
};
use nightcall::sched::time::{Mono, Now, Timestamp, later};
use nightcall::store::sqlite::SqliteStore;
use nightcall::store::{Holder, Lease, RunQuery, Store};
use nightcall::zones::Zones;
use tokio::runtime::Runtime;

use crate::support::runs::by_hand;

/// When people look: 09:00:30 in Madrid.
pub(crate) const MORNING: &str = "2026-02-03T08:00:30Z";

/// How long the vendor takes to answer.
const ANSWERS_AFTER: Duration = Duration::from_millis(200);

/// A folder with the configuration of the morning and the database of the night.
pub(crate) struct Night {
    pub(crate) folder: tempfile::TempDir,
}

impl Night {
    /// Lives through the night; a second or two.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nightcall.toml");
        std::fs::write(&path, EVENING).unwrap();
        let zones = Zones::load();
        let config = config::load(std::slice::from_ref(&path), &zones).unwrap();
        let mut daemon = Daemon::open(&config);
        daemon.start("2026-02-02T16:04:00Z");
        daemon.until("2026-02-02T19:30:00Z");
        daemon.fire("store-clusters", "supermarket", "0f3a");
        daemon.until("2026-02-03T02:59:30Z");
        daemon.start("2026-02-03T07:00:00Z");
        daemon.until("2026-02-03T08:00:20Z");
        drop(daemon);
        std::fs::write(&path, morning()).unwrap();
        Self { folder }
    }

    /// Lives with a configuration of its own until 02:30, and leaves another behind.
    pub(crate) fn with(evening: &str, morning: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nightcall.toml");
        std::fs::write(&path, evening).unwrap();
        let config = config::load(std::slice::from_ref(&path), &Zones::load()).unwrap();
        let mut daemon = Daemon::open(&config);
        daemon.start("2026-02-02T16:04:00Z");
        daemon.until("2026-02-03T01:30:00Z");
        drop(daemon);
        std::fs::write(&path, morning).unwrap();
        Self { folder }
    }

    /// Another night, from its first minute to its last with one daemon.
    pub(crate) fn of(evening: &str, from: &str, until: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nightcall.toml");
        std::fs::write(&path, evening).unwrap();
        let config = config::load(&[path], &Zones::load()).unwrap();
        let mut daemon = Daemon::open(&config);
        daemon.start(from);
        daemon.until(until);
        drop(daemon);
        Self { folder }
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("nightcall.toml")
    }
}

/// The configuration of the evening.
pub(crate) const EVENING: &str = r#"
[connection.carto_dw]
base_url = "https://gcp-us-east1.api.carto.com"
provider = "bigquery"
token    = { env = "CARTO_API_TOKEN" }

[defaults]
connection = "carto_dw"
timezone   = "Europe/Madrid"
timeout    = "3h"

[schedule.store-clusters]
description = "Clusters around stores, for the morning map"
cron       = "15 2 * * *"
procedure  = "p.d.workflow_procedure_09cc(number_of_clusters, buffer_radius, store_type)"
parameters = { number_of_clusters = 2, buffer_radius = 500 }
set.supermarket = { store_type = "Supermarket" }
set.hyper       = { store_type = "Hypermarket", number_of_clusters = "2" }

[schedule.ingest-sales]
cron       = "40 1 * * *"
procedure  = "p.d.ingest(day)"
parameters = { day = "latest" }

[schedule.heat-map]
cron       = "*/10 2 * * *"
procedure  = "p.d.heat(resolution)"
parameters = { resolution = 9 }
timeout    = "25m"

[schedule.big-join]
cron       = "0 3 * * *"
procedure  = "p.d.join(tables)"
parameters = { tables = ["a", "b"] }
timeout    = "10m"

[schedule.vanishing]
cron       = "20 3 * * *"
procedure  = "p.d.vanish()"

[schedule.stopped]
cron       = "30 3 * * *"
procedure  = "p.d.stop()"

[schedule.sensors]
cron       = "*/15 3-8 * * *"
procedure  = "p.d.sensors()"
timeout    = "10m"
misfire    = "none"

[schedule.five-oclock]
cron       = "0 5 * * *"
procedure  = "p.d.five()"

[schedule.tiles]
cron       = "*/30 8 * * *"
procedure  = "p.d.tiles()"
timeout    = "2h"
overlap    = "buffer_one"

[schedule.unsure]
cron       = "58 8 * * *"
procedure  = "p.d.unsure()"

[schedule.delivery-zones]
cron       = ["30 5 * * MON-FRI", "0 7 * * SAT"]
from       = 2026-03-01
exclude    = [2026-12-25]
jitter     = "2m"
procedure  = "p.d.delivery()"

[schedule.spring]
cron       = ["30 2 * * *", "50 2 * * *"]
procedure  = "p.d.spring()"
dst_gap    = "skip"
timeout    = "15m"

[schedule.pg-territories]
cron       = "0 4 * * *"
procedure  = "p.d.territories()"
enabled    = false
note       = "off until the boundary data is back"
"#;

/// The configuration that people have by the morning: a value mended, a schedule added, neither known to the daemon.
fn morning() -> String {
    let mended = EVENING.replace("number_of_clusters = \"2\"", "number_of_clusters = 2");
    let added = "[schedule.newcomer]\ncron = \"0 6 * * *\"\nprocedure = \"p.d.new()\"\n";
    format!("{mended}\n{added}")
}

/// A scheduler with its store, and the clock of the night.
struct Daemon<'a> {
    config: &'a Config,
    runtime: Runtime,
    store: SqliteStore,
    lease: Lease,
    scheduler: Option<Scheduler>,
    now: Now,
    answers: BTreeMap<(Timestamp, u64), Input>,
    number: u64,
    vendor: Vendor,
}

impl<'a> Daemon<'a> {
    fn open(config: &'a Config) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let store = SqliteStore::open(&config.daemon.database).unwrap();
        let wall = at("2026-02-02T16:00:00Z");
        let holder = Holder {
            pid: 4711,
            host: "here".to_owned(),
            started: wall,
        };
        let lease = store.acquire(holder, Duration::from_secs(60), wall);
        let lease = runtime.block_on(lease).unwrap();
        Self {
            config,
            runtime,
            store,
            lease,
            scheduler: None,
            now: Now {
                wall,
                mono: Mono(0),
            },
            answers: BTreeMap::new(),
            number: 0,
            vendor: Vendor::default(),
        }
    }

    /// A start at this time, after a crash or for the first time.
    fn start(&mut self, time: &str) {
        self.turn_to(at(time));
        self.answers.clear();
        let enabled = self.config.schedules.iter().filter(|s| s.enabled);
        let series = enabled.flat_map(|s| s.definitions.iter().map(|d| (d, &s.trigger)));
        let mut setup = Setup {
            instance: "test".to_owned(),
            config: self.config.hash.clone(),
            definitions: series.map(|(d, t)| (d.clone(), t.clone())).collect(),
            disabled: Vec::new(),
            connections: self
                .config
                .connections
                .iter()
                .map(|c| c.limits.clone())
                .collect(),
            observe: false,
            kept: std::time::Duration::MAX,
            predecessors: Predecessors::default(),
            generation: 1,
        };
        let saved = self.runtime.block_on(self.store.load()).unwrap();
        for (series, since) in setup.predecessors_since(self.now.wall) {
            let runs = RunQuery {
                schedule: Some(series.schedule),
                set: Some(series.set),
                since: Some(since),
                ..RunQuery::default()
            };
            let runs = self.runtime.block_on(self.store.runs(runs)).unwrap();
            setup.predecessors.runs.extend(runs);
        }
        let zones = Zones::load();
        let (scheduler, step) = Scheduler::recover(setup, saved, &|name| zones.get(name), self.now);
        self.scheduler = Some(scheduler);
        self.take(step);
    }

    /// Lives on until this time.
    fn until(&mut self, time: &str) {
        let end = at(time);
        loop {
            let scheduler = self.scheduler.as_ref().unwrap();
            let wake = scheduler.next_wake(self.now);
            let by_mono = wake
                .mono
                .map(|m| later(self.now.wall, m.since(self.now.mono)));
            let answer = self.answers.keys().next().map(|(t, _)| *t);
            let next = [wake.wall, by_mono, answer].into_iter().flatten().min();
            let next = next.unwrap_or(end).max(self.now.wall);
            if next > end {
                break self.turn_to(end);
            }
            self.turn_to(next);
            let due = answer == Some(next);
            let input = match due.then(|| self.answers.pop_first()).flatten() {
                Some((_, input)) => input,
                None => Input::Wake,
            };
            self.handle(input);
        }
    }

    fn fire(&mut self, schedule: &str, set: &str, key: &str) {
        self.handle(Input::Fire {
            token: Token(1),
            request: FireRequest {
                set: Some(set.parse().unwrap()),
                ..by_hand(schedule, key)
            },
        });
    }

    fn handle(&mut self, input: Input) {
        let scheduler = self.scheduler.as_mut().unwrap();
        let step = scheduler.handle(input, self.now);
        self.take(step);
    }

    fn take(&mut self, step: Step) {
        if !step.changes.is_empty() {
            let commit = self.store.commit(self.lease.clone(), step.changes);
            self.runtime.block_on(commit).unwrap();
        }
        for effect in step.effects {
            let answer = match effect {
                Effect::Ask { key, ask, .. } => self.vendor.answer(key, &ask, self.now.wall),
                Effect::List { key, .. } => Input::Listed {
                    key,
                    answer: ListAnswer::Jobs(Vec::new()),
                    date: Some(self.now.wall),
                },
                Effect::Reply { .. } | Effect::Acted { .. } => continue,
            };
            self.number += 1;
            let when = later(self.now.wall, ANSWERS_AFTER);
            self.answers.insert((when, self.number), answer);
        }
    }

    fn turn_to(&mut self, wall: Timestamp) {
        let passed = Duration::try_from(wall.duration_since(self.now.wall)).unwrap();
        self.now = Now {
            wall,
            mono: self.now.mono.plus(passed),
        };
    }
}

/// What the vendor says, by schedule.
#[derive(Default)]
struct Vendor {
    submitted: HashMap<RunId, Timestamp>,
    cancelled: Vec<RunId>,
}

impl Vendor {
    fn answer(&mut self, key: Key, ask: &Ask, now: Timestamp) -> Input {
        let answer = match ask {
            Ask::Submit(_) => Answer::Submit(self.submit(&key, now)),
            Ask::Poll(..) => Answer::Poll(self.poll(&key, now)),
            Ask::Cancel(..) => {
                self.cancelled.push(key.run.clone());
                Answer::Cancel(CancelAnswer::Noted)
            }
        };
        Input::Answer {
            key,
            answer,
            date: Some(now),
        }
    }

    fn submit(&mut self, key: &Key, now: Timestamp) -> SubmitAnswer {
        self.submitted.insert(key.run.clone(), now);
        let series = &key.run.series;
        if series.schedule.as_str() == "unsure" {
            let message = "connection closed before the answer was complete";
            return SubmitAnswer::Unsure(Fault::new(
                FaultClass::Transient,
                "connection lost",
                message,
            ));
        }
        let job = format!("job-{}-{}-{}", series.schedule, series.set, key.attempt);
        SubmitAnswer::Accepted(JobId::new(&job).unwrap())
    }

    fn poll(&self, key: &Key, now: Timestamp) -> PollAnswer {
        let since = self.submitted.get(&key.run).copied().unwrap_or(now);
        let minutes = now.duration_since(since).as_secs_f64() / 60.0;
        let after = |limit: f64, answer: PollAnswer| match minutes >= limit {
            true => answer,
            false => PollAnswer::Working { unknown: None },
        };
        let fault = |class, reason: &str, message: &str| Fault::new(class, reason, message);
        match (
            key.run.series.schedule.as_str(),
            key.run.series.set.as_str(),
        ) {
            ("store-clusters", "hyper") => {
                let message =
                    "Cannot coerce expression @number_of_clusters to type INT64 at [1:158]";
                let mut fault = fault(FaultClass::Permanent, "invalidQuery", message);
                fault.location = Some("query".to_owned());
                let remedy = "compare `parameters` with the API dialog of the workflow";
                PollAnswer::Failed(fault.with_remedy(remedy))
            }
            ("ingest-sales", _) if key.attempt == 1 => {
                PollAnswer::Failed(fault(FaultClass::Transient, "backendError", "try again"))
            }
            ("big-join", _) if self.cancelled.contains(&key.run) => PollAnswer::Cancelled,
            ("vanishing", _) => {
                PollAnswer::Gone(fault(FaultClass::Permanent, "http 404", "no such job"))
            }
            ("stopped", _) => after(1.0, PollAnswer::Cancelled),
            ("heat-map", _) => after(12.0, PollAnswer::Succeeded),
            ("big-join" | "tiles", _) => PollAnswer::Working { unknown: None },
            _ => after(2.0, PollAnswer::Succeeded),
        }
    }
}

/// A time by its text.
pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Text without the folder of the test, which is another each time.
pub(crate) fn without(folder: &Path, text: &str) -> String {
    text.replace(folder.to_str().unwrap(), "/night")
}
