//! A machine with a clock of its own, the built program on it, and what it says to its service manager.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use nightcall::cli::serve::History;
use nightcall::sandbox::{Ending, Scenario, Script};
use nightcall::sched::id::RunId;
use nightcall::sched::outcome::Outcome;
use nightcall::sched::run::Run;
use nightcall::sched::time::{TimeRange, Timestamp};
use nightcall::store::RunQuery;

use crate::support::world::World;

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(40);
/// The unit gives the watchdog 60 s. The driver feeds it each second; only when years of seconds were passed over it
/// takes longer, and here that is done by a build that is not optimised, three times at once.
const WATCHDOG: Duration = Duration::from_secs(50);

/// A schedule for each second, one for each minute by cron, and one whose job does not end and is stopped after 6 s.
const TABLES: &str = r#"
[schedule.tick]
every = "1s"
procedure = "a.b.tick(x)"
parameters = { x = 1 }
overlap = "allow_all"
misfire = { catch_up = "latest", window = "1h", tolerance = "2m" }

[schedule.minute]
cron = "* * * * *"
procedure = "a.b.minute(x)"
parameters = { x = 1 }
misfire = { catch_up = "none" }

[schedule.long]
cron = "0 0 29 2 *"
procedure = "a.b.long(x)"
parameters = { x = 1 }
timeout = "6s"
"#;

/// The processors for which the shim knows how the kernel is asked for the time.
const KNOWN_PROCESSOR: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

/// The shim, compiled once.
fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| crate::support::preload::compiled("clock"))
}

/// The machine.
pub(super) struct Machine {
    pub(super) world: World,
    clock: File,
    program: Option<Child>,
    heard: Arc<Mutex<Vec<(Instant, String)>>>,
    wall: i64,
    boot: i64,
}

impl Machine {
    /// A machine whose clock is ahead by so many seconds, with a sandbox; `None` on a processor that the shim does not
    /// know. Without a C compiler it fails.
    pub(super) async fn new(ahead: i64) -> Option<Self> {
        if !KNOWN_PROCESSOR {
            eprintln!("left out: the shim of the clock does not know this processor");
            return None;
        }
        let scenario = Scenario {
            script: Script::running(Duration::from_millis(200)),
            collide: false,
            ..Scenario::default()
        }
        .run("long", Script::ending([Ending::Stuck]));
        let world = World::new(scenario, TABLES).await;
        let path = world.file("clock");
        let mut options = OpenOptions::new();
        let clock = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .unwrap();
        let mut machine = Self {
            heard: listen(&world.file("notify")),
            world,
            clock,
            program: None,
            wall: 0,
            boot: 0,
        };
        machine.say_synchronised(false);
        machine.step(ahead);
        Some(machine)
    }

    /// Sets the wall clock by so many seconds.
    pub(super) fn step(&mut self, seconds: i64) {
        self.wall += seconds;
        self.write();
    }

    /// The machine sleeps for so many seconds: the clock that counts elapsed time for people goes on, too.
    pub(super) fn suspend(&mut self, seconds: i64) {
        self.wall += seconds;
        self.boot += seconds;
        self.write();
    }

    fn write(&self) {
        let nanos = |seconds: i64| (seconds * 1_000_000_000).to_ne_bytes();
        let both = [nanos(self.wall), nanos(self.boot)].concat();
        self.clock.write_all_at(&both, 0).unwrap();
    }

    /// What the machine's wall clock shows.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::now() + jiff::SignedDuration::from_secs(self.wall)
    }

    /// What `timedatectl` says from now on.
    pub(super) fn say_synchronised(&self, yes: bool) {
        let folder = self.world.file("bin");
        std::fs::create_dir_all(&folder).unwrap();
        let word = if yes { "yes" } else { "no" };
        let script = folder.join("timedatectl");
        std::fs::write(&script, format!("#!/bin/sh\necho {word}\n")).unwrap();
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// Starts the program.
    pub(super) fn start(&mut self) {
        let bin = self.world.file("bin");
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let log = File::create(self.world.file("log")).unwrap();
        let child = self
            .command(&["daemon", "--log-level", "info"])
            .env("PATH", path)
            .env("NOTIFY_SOCKET", self.world.file("notify"))
            .env("WATCHDOG_USEC", "30000000")
            .env("LD_PRELOAD", shim())
            .env("SHIFTED_CLOCK", self.world.file("clock"))
            .stderr(log)
            .spawn()
            .unwrap();
        self.program = Some(child);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nightcall"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.world.file("nightcall.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    /// Kills the program.
    pub(super) fn kill(&mut self) {
        if let Some(mut program) = self.program.take() {
            // Dead already, or dies now.
            let _ = program.kill();
            let _ = program.wait();
        }
    }

    /// Asks for a run by hand.
    pub(super) fn fire(&self, schedule: &str) {
        let said = self.command(&["fire", schedule]).output().unwrap();
        assert!(said.status.success(), "{said:?}");
    }

    /// All runs, oldest first.
    pub(super) fn runs(&self) -> Vec<Run> {
        match History::open(&self.database()) {
            Ok(history) => history.runs(&RunQuery::default()).unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    fn database(&self) -> PathBuf {
        self.world.config().daemon.database
    }

    /// The runs of a schedule.
    pub(super) fn of(&self, schedule: &str) -> Vec<Run> {
        let mut runs = self.runs();
        runs.retain(|run| run.id.series.schedule.as_str() == schedule);
        runs
    }

    /// What was missed in bulk, by ranges with their count.
    pub(super) fn missed(&self, schedule: &str) -> Vec<(TimeRange, u64)> {
        let all = TimeRange {
            after: Timestamp::MIN,
            upto: Timestamp::MAX,
        };
        let missed = History::open(&self.database())
            .unwrap()
            .missed(None, all)
            .unwrap();
        let of = missed
            .into_iter()
            .filter(|m| m.series.schedule.as_str() == schedule);
        of.map(|m| (m.range, m.count)).collect()
    }

    /// The subjects of what people are told of the clock, oldest first.
    pub(super) fn told(&self) -> Vec<String> {
        let open = rusqlite::Connection::open(self.database()).unwrap();
        let mut query = open
            .prepare("SELECT subject FROM notices WHERE kind = 'clock' ORDER BY key")
            .unwrap();
        let subjects = query.query_map([], |row| row.get(0)).unwrap();
        subjects.map(Result::unwrap).collect()
    }

    /// What the program last said about itself.
    pub(super) fn status(&self) -> String {
        let heard = self.heard.lock().unwrap();
        let lines = heard.iter().rev().flat_map(|(_, text)| text.lines().rev());
        let mut statuses = lines.filter_map(|line| line.strip_prefix("STATUS="));
        statuses.next().unwrap_or_default().to_owned()
    }

    /// The longest silence between two signs of life, from the first to now.
    pub(super) fn longest_silence(&self) -> Duration {
        let heard = self.heard.lock().unwrap();
        let alive = heard.iter().filter(|(_, text)| text.contains("WATCHDOG=1"));
        let mut times: Vec<Instant> = alive.map(|(at, _)| *at).collect();
        assert!(!times.is_empty(), "it never said that it is alive");
        times.push(Instant::now());
        times
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .max()
            .unwrap()
    }

    /// Waits until something holds.
    pub(super) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            let log = || std::fs::read_to_string(self.world.file("log")).unwrap_or_default();
            assert!(
                begun.elapsed() < LIMIT,
                "never: {what}; it says {:?}, its log:\n{}",
                self.status(),
                log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until so many runs of `tick` ended well whose instant is later than this.
    pub(super) async fn ticks_after(&self, after: Timestamp, count: usize) {
        let good = |run: &&Run| run.id.instant > after && run.outcome() == Some(Outcome::Succeeded);
        let what = format!("{count} runs after {after}");
        self.until(&what, |m| m.of("tick").iter().filter(good).count() >= count)
            .await;
    }

    /// The program was never silent for so long that a service manager would have taken it for dead.
    pub(super) fn never_silent(&self, name: &str) {
        let silence = self.longest_silence();
        assert!(
            silence < WATCHDOG,
            "{name}: no sign of life for {silence:?}"
        );
    }

    /// Nothing ran twice, nothing was lost: each second from the first run of `tick` to the mark has one record.
    pub(super) fn nothing_lost_nothing_twice(&self, name: &str) {
        let doubled = self.world.sandbox.world().with(|w| w.doubled());
        assert!(doubled.is_empty(), "{name}: submitted twice: {doubled:?}");
        let ticks = self.of("tick");
        let (first, last) = (ticks.first().unwrap(), ticks.last().unwrap());
        let mut covered = 0_i64;
        let ranges = self.missed("tick");
        for run in &ticks {
            let within = |(range, _): &&(TimeRange, u64)| {
                run.id.instant > range.after && run.id.instant <= range.upto
            };
            assert!(
                !ranges.iter().any(|range| within(&range)),
                "{name}: {} twice",
                run.id
            );
            let executed = self.executed(&run.id);
            let succeeded = usize::from(run.outcome() == Some(Outcome::Succeeded));
            assert!(
                executed <= 1 && succeeded <= executed,
                "{name}: {}: {executed}",
                run.id
            );
            covered += 1;
        }
        for (range, _) in &ranges {
            covered += range.upto.as_second() - range.after.as_second();
        }
        // A range begins after what was decided before it, which may lie between two seconds.
        let span = last.id.instant.as_second() - first.id.instant.as_second() + 1;
        assert_eq!(covered, span, "{name}: {ranges:?}");
        self.never_silent(name);
    }

    fn executed(&self, run: &RunId) -> usize {
        let text = run.to_string();
        self.world.sandbox.world().with(|w| w.executions(&text))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Listens as a service manager does.
fn listen(path: &Path) -> Arc<Mutex<Vec<(Instant, String)>>> {
    let socket = UnixDatagram::bind(path).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::downgrade(&heard);
    socket
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Some(list) = list.upgrade() {
            if let Ok(n) = socket.recv(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..n]).into_owned();
                list.lock().unwrap().push((Instant::now(), text));
            }
        }
    });
    heard
}
