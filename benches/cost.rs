//! What a fire and an idle daemon cost, in units that do not depend on the machine: `cargo bench --bench cost`.
//!
//! A fire is an occurrence from its plan to its outcome: decided, committed, worded as a request, acknowledged, polled
//! and recorded, with everything of ours but the HTTP client. valgrind counts its instructions and allocations, and the
//! kernel how often a daemon at rest wakes up. Each figure is held against `benches/cost.toml`; one that is more than a
//! tenth above its bound is an error. Without valgrind (3 in `$?`) nothing is judged.

#![allow(clippy::print_stderr, clippy::panic)] // it speaks to the terminal, and a night that fails ends it

mod stage;

use std::collections::VecDeque;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use jiff::Timestamp;
use nightcall::cli::serve;
use nightcall::sched::act::{Acted, By};
use nightcall::sched::scheduler::{Predecessors, Scheduler, Setup};
use nightcall::sched::step::{Answer, Ask, Effect, Input, ListAnswer, Saved, Step, Token};
use nightcall::sched::time::{Mono, Now};
use nightcall::secret::Secret;
use nightcall::store::sqlite::SqliteStore;
use nightcall::store::{Holder, Lease, Store};
use nightcall::warehouse::carto::ClassifyRules;
use nightcall::warehouse::carto::protocol::{self, Answered, Body, Exchange, Request};
use nightcall::zones::Zones;
use serde::Deserialize;
use stage::daemon::{Daemon, Due, configure};
use stage::figures::{Row, tell};
use stage::machine;
use stage::vendor::Vendor;

/// The schedules that fire, each once a second.
const SCHEDULES: usize = 100;
/// Two nights of so many seconds: what the longer one costs more is what its fires cost.
const SECONDS: (u64, u64) = (2, 12);
/// So many schedules are read again …
const READ: usize = 1_000;
/// … so often: what the more often costs more is what a reload costs.
const RELOADS: (u64, u64) = (1, 3);
/// So many schedules a daemon has that rests …
const AT_REST: usize = 10_000;
/// … and for so long it is watched.
const REST: Duration = Duration::from_secs(20);

/// What is checked in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    instructions_per_fire: f64,
    allocations_per_fire: f64,
    bytes_allocated_per_fire: f64,
    instructions_per_schedule_read_again: f64,
    wakeups_per_second_at_rest: f64,
    mebibytes_at_rest: f64,
}

fn main() -> ExitCode {
    if stage::vendor::is_asked_for() {
        return ExitCode::SUCCESS;
    }
    let words = stage::words();
    if let Some(seconds) = stage::value(&words, "--night") {
        night(seconds.parse().expect("a number of seconds"));
        return ExitCode::SUCCESS;
    }
    if let Some(times) = stage::value(&words, "--reload") {
        reload(times.parse().expect("how often"));
        return ExitCode::SUCCESS;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("not judged: valgrind is not installed");
        return ExitCode::from(3);
    }
    let text = include_str!("cost.toml");
    let bounds: Bounds = toml::from_str(text).expect("benches/cost.toml can be read");
    let [instructions] = per_fire("--tool=callgrind", ["Collected :"]);
    let [bytes, allocations] = per_fire("--tool=dhat", ["Total:", " bytes in "]);
    let [again] = per_schedule("--tool=callgrind", ["Collected :"]);
    let rest = rest();
    let figures = [
        (
            "instructions per fire",
            instructions,
            bounds.instructions_per_fire,
        ),
        (
            "allocations per fire",
            allocations,
            bounds.allocations_per_fire,
        ),
        (
            "bytes allocated per fire",
            bytes,
            bounds.bytes_allocated_per_fire,
        ),
        (
            "instructions per schedule that is read again",
            again,
            bounds.instructions_per_schedule_read_again,
        ),
        (
            "wake-ups per second, 10,000 schedules at rest",
            rest.wakeups,
            bounds.wakeups_per_second_at_rest,
        ),
        (
            "MiB, 10,000 schedules at rest",
            rest.memory,
            bounds.mebibytes_at_rest,
        ),
    ];
    let row = |(what, measured, bound): &(&str, f64, f64)| {
        Row::default()
            .word("what", *what)
            .number("measured", *measured, 1)
            .number("bound", *bound, 1)
            .number("of the bound", measured / bound, 3)
    };
    let rows: Vec<Row> = figures.iter().map(row).collect();
    let facts = [
        ("machine", machine::described()),
        (
            "at rest, not judged",
            format!("{:.3} % of a core", rest.cpu),
        ),
    ];
    tell("cost", "What depends little on the machine", &facts, &rows);
    let mut worse = false;
    for (what, measured, bound) in figures {
        if measured > bound * 1.1 {
            worse = true;
            eprintln!("{what}: {measured:.1}, more than a tenth above the bound of {bound:.1}");
        } else if measured < bound * 0.9 {
            eprintln!("{what}: well below its bound, which can be lowered in benches/cost.toml");
        }
    }
    ExitCode::from(u8::from(worse))
}

/// Numbers that a tool of valgrind tells at its end, for one fire. Each is what follows the words before it.
fn per_fire<const N: usize>(tool: &str, words: [&str; N]) -> [f64; N] {
    let fires = SCHEDULES as f64 * (SECONDS.1 - SECONDS.0) as f64;
    let told = |seconds| told(tool, "--night", seconds, words);
    let (short, long) = (told(SECONDS.0), told(SECONDS.1));
    std::array::from_fn(|n| (long[n] - short[n]) / fires)
}

/// The same for one schedule of a reload that gives all of them other times.
fn per_schedule<const N: usize>(tool: &str, words: [&str; N]) -> [f64; N] {
    let schedules = READ as f64 * (RELOADS.1 - RELOADS.0) as f64;
    let told = |times| told(tool, "--reload", times, words);
    let (few, many) = (told(RELOADS.0), told(RELOADS.1));
    std::array::from_fn(|n| (many[n] - few[n]) / schedules)
}

fn told<const N: usize>(tool: &str, what: &str, number: u64, words: [&str; N]) -> [f64; N] {
    let this = std::env::current_exe().expect("this program");
    let folder = stage::folder(true);
    let out = |kind: &str| format!("--{kind}-out-file={}", folder.path().join(kind).display());
    let said = Command::new("valgrind")
        .args([tool, &out(tool.trim_start_matches("--tool="))])
        .arg(this)
        .args([what, &number.to_string()])
        .output()
        .expect("valgrind runs");
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    words.map(|word| {
        let after = said.split(word).nth(1).unwrap_or_default().trim_start();
        let digits = after.split(|c: char| !c.is_ascii_digit() && c != ',');
        let digits = digits
            .into_iter()
            .next()
            .unwrap_or_default()
            .replace(',', "");
        digits
            .parse()
            .unwrap_or_else(|_| panic!("{tool} says nothing of {word:?}: {said}"))
    })
}

/// What a daemon needs that has nothing to do.
struct Rest {
    /// How often its threads wake up, in a second.
    wakeups: f64,
    /// Its resident memory, in MiB.
    memory: f64,
    /// Its part of one core, in percent.
    cpu: f64,
}

fn rest() -> Rest {
    let folder = stage::folder(false);
    let vendor = Vendor::start();
    let config = configure(folder.path(), &vendor.base_url, AT_REST, Due::Never);
    let daemon = Daemon::start(folder.path(), &config);
    // It reads the list of jobs first.
    std::thread::sleep(Duration::from_secs(10));
    let now = || {
        (
            machine::wakeups(daemon.pid()),
            machine::cpu_exactly(daemon.pid()),
        )
    };
    let before = now();
    std::thread::sleep(REST);
    let after = now();
    let seconds = REST.as_secs_f64();
    Rest {
        wakeups: (after.0 - before.0) / seconds,
        memory: daemon.memory(),
        cpu: (after.1 - before.1) / seconds * 100.0,
    }
}

// ---- the night -----------------------------------------------------------------------------------------------------

/// So many seconds in virtual time: the scheduler on a real store, and a vendor that says yes.
fn night(seconds: u64) {
    let folder = stage::folder(true);
    let mut night = Night::begins(folder.path(), SCHEDULES, Due::EachSecond);
    let end = night.now.wall + Duration::from_secs(seconds);
    while night.now.wall < end {
        night.goes_on();
    }
}

/// All schedules get other times, so often.
fn reload(times: u64) {
    let folder = stage::folder(true);
    let due = |shift| Due::FewEachSecond { count: 0, shift };
    let mut night = Night::begins(folder.path(), READ, due(0));
    for time in 1..=times {
        let shift = usize::try_from(time).expect("a small number");
        let input = Input::Reload {
            token: Token(time),
            setup: Ok(Box::new(setup(folder.path(), READ, due(shift)))),
            by: By::new("bench", None),
        };
        let step = night.scheduler.handle(input, night.now);
        let taken = |effect: &Effect| matches!(effect, Effect::Acted { acted, .. } if matches!(acted, Acted::Done { .. }));
        assert!(step.effects.iter().any(taken), "{:?}", step.effects);
        assert!(step.changes.len() > READ, "nothing has changed");
        night.take(step);
    }
}

/// So many schedules, as a daemon reads them.
fn setup(folder: &Path, schedules: usize, due: Due) -> Setup {
    let path = configure(folder, "http://127.0.0.1:1", schedules, due);
    let zones = Zones::load();
    let config = nightcall::config::load(&[path], &zones).expect("it is right");
    let (plan, _) = serve::replacement(&config, &zones).expect("clients can be made");
    Setup {
        instance: "cost".to_owned(),
        config: plan.config,
        definitions: plan.definitions,
        disabled: plan.disabled,
        connections: plan.connections,
        observe: false,
        kept: std::time::Duration::MAX,
        predecessors: Predecessors::default(),
        generation: 1,
    }
}

struct Record {
    store: SqliteStore,
    lease: Lease,
    runtime: tokio::runtime::Runtime,
}

impl Record {
    fn open(folder: &Path) -> Self {
        let store = SqliteStore::open(&folder.join("cost.db")).expect("a store");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let holder = Holder {
            pid: std::process::id(),
            host: "bench".to_owned(),
            started: Timestamp::UNIX_EPOCH,
        };
        let trust = Duration::from_secs(60);
        let lease = runtime
            .block_on(store.acquire(holder, trust, Timestamp::UNIX_EPOCH))
            .expect("the lease");
        Self {
            store,
            lease,
            runtime,
        }
    }
}

struct Night {
    scheduler: Scheduler,
    store: Record,
    now: Now,
    /// What the vendor has said, to be heard now.
    answers: VecDeque<Input>,
    hidden: Secret,
    jobs: u64,
}

impl Night {
    /// The schedules are there, and nothing has happened.
    fn begins(folder: &Path, schedules: usize, due: Due) -> Self {
        let store = Record::open(folder);
        let begin = Now {
            wall: Timestamp::from_second(1_770_000_000).expect("a time"),
            mono: Mono(0),
        };
        let zones = Zones::load();
        let zone = |name: &str| zones.get(name);
        let setup = setup(folder, schedules, due);
        let (scheduler, step) = Scheduler::recover(setup, Saved::default(), &zone, begin);
        let mut night = Self {
            scheduler,
            store,
            now: begin,
            answers: VecDeque::new(),
            hidden: Secret::new("some-token-of-an-account".to_owned()).expect("a secret"),
            jobs: 0,
        };
        night.take(step);
        night
    }

    /// Everything that was answered is taken in and committed at once; else time passes.
    fn goes_on(&mut self) {
        let mut inputs: Vec<Input> = self.answers.drain(..).collect();
        if inputs.is_empty() {
            let wake = self.scheduler.next_wake(self.now);
            let wall = wake.wall.map(|at| {
                let ahead = at.duration_since(self.now.wall);
                Duration::try_from(ahead).unwrap_or_default()
            });
            let mono = wake.mono.map(|at| at.since(self.now.mono));
            let pause = [wall, mono].into_iter().flatten().min();
            let pause = pause.expect("something comes").min(Duration::from_secs(1));
            self.now = Now {
                wall: self.now.wall + pause,
                mono: self.now.mono.plus(pause),
            };
            inputs.push(Input::Wake);
        }
        let mut whole = Step::default();
        for input in inputs {
            whole.extend(self.scheduler.handle(input, self.now));
        }
        self.take(whole);
    }

    fn take(&mut self, step: Step) {
        if !step.changes.is_empty() {
            let Record {
                store,
                lease,
                runtime,
            } = &self.store;
            runtime
                .block_on(store.commit(lease.clone(), step.changes))
                .expect("a commit");
        }
        for effect in step.effects {
            let answer = self.answer(effect);
            self.answers.extend(answer);
        }
    }

    fn answer(&mut self, effect: Effect) -> Option<Input> {
        let date = Some(self.now.wall);
        let rules = ClassifyRules::default();
        match effect {
            Effect::Ask { key, ask, .. } => {
                let answer = match ask {
                    Ask::Submit(submission) => {
                        let request = Request::creation(&submission, true).expect("a request");
                        self.jobs += 1;
                        let job = format!("job_0BUGaP0ot1X_23JaCI0aKF{:06}", self.jobs);
                        let said = self.says(&request, &job, "PENDING");
                        Answer::Submit(protocol::submit(said, &rules))
                    }
                    Ask::Poll(target, job) => {
                        let request = Request::status(&target, &job).expect("a request");
                        let said = self.says(&request, job.as_str(), "DONE");
                        Answer::Poll(protocol::poll(said, &rules))
                    }
                    Ask::Cancel(..) => panic!("nothing is cancelled here"),
                };
                Some(Input::Answer { key, answer, date })
            }
            Effect::List { key, .. } => {
                let answer = ListAnswer::Jobs(Vec::new());
                Some(Input::Listed { key, answer, date })
            }
            Effect::Reply { .. } | Effect::Acted { .. } => None,
        }
    }

    /// The vendor's document, as BigQuery's is.
    fn says(&self, request: &Request, job: &str, state: &str) -> Exchange {
        assert!(request.url.as_str().contains("/job"), "{}", request.url);
        let document = format!(
            r#"{{"externalId":"{job}","jobId":"x","status":"success","createdAt":"2026-02-03T02:15:00.080Z","metadata":{{"jobReference":{{"projectId":"p","jobId":"{job}","location":"US"}},"status":{{"state":"{state}"}},"statistics":{{"creationTime":"1770084900080","startTime":"1770084900180","endTime":"1770084900380"}}}}}}"#
        );
        let body = Body::whole(document.into_bytes(), &self.hidden);
        let date = "Tue, 03 Feb 2026 02:15:01 GMT";
        Exchange::Answered(Answered::new(200, Some(date), None, body, self.now.wall))
    }
}
