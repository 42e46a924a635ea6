//! The built program for a night, on a disk that can be told to misbehave, with the sandbox as vendor.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nightcall::sandbox::{Ending, Fault, Operation, Procedure, Rule, Scenario, Script, Span};
use nightcall::sched::id::RunId;
use nightcall::sched::time::Timestamp;

use super::namespace;
use super::shim::Shim;
use crate::support::world::World;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(40);

/// A run each second, and one that sticks and is cancelled after a while.
const TABLES: &str = r#"
[schedule.tick]
every = "1s"
procedure = "a.b.c(x)"
parameters = { x = 1 }
overlap = "allow_all"
misfire = { catch_up = "all", max = 1000 }
retry = { backoff = "300ms", max_backoff = "1s" }

[schedule.stuck]
every = "365d"
procedure = "a.b.stuck(x)"
parameters = { x = 1 }
timeout = "3s"
"#;

/// The vendor, the files, and the disk below the database.
pub(super) struct Place {
    pub(super) world: World,
    pub(super) shim: Shim,
}

impl Place {
    pub(super) async fn new() -> Self {
        let quick = Span::between(Duration::from_millis(50), Duration::from_millis(700));
        let stuck = Procedure::new("a.b.stuck(x INT64)", Script::ending(vec![Ending::Stuck]));
        let scenario = Scenario {
            script: Script::running(quick),
            ..Scenario::default()
        }
        .procedure(stuck.unwrap())
        // Of the stuck run a poll is always under way.
        .fault(Rule {
            run: Some("stuck".to_owned()),
            ..Rule::on(
                Operation::Read,
                Fault::LateReply(Duration::from_millis(900)),
            )
        });
        let world = World::new(scenario, "").await;
        std::fs::create_dir(world.file("disk")).unwrap();
        let daemon = "[daemon]\ndatabase = \"disk/nightcall.db\"\ncontrol = \"n.sock\"\n";
        world.write(&(TABLES.to_owned() + daemon));
        let shim = Shim::new(world.file("disk/nightcall.db"), world.file("orders"));
        Self { world, shim }
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.world.file("disk")
    }

    pub(super) fn database(&self) -> PathBuf {
        self.world.file("disk/nightcall.db")
    }

    /// A write from outside, after which the daemon reads what it had in memory.
    pub(super) fn somebody_else_writes(&self) {
        let beside = rusqlite::Connection::open(self.database()).unwrap();
        beside.busy_timeout(Duration::from_secs(5)).unwrap();
        let wrote = beside.execute("UPDATE meta SET probes = probes + 1", []);
        let log = || std::fs::read_to_string(self.world.file("log"));
        assert!(wrote.is_ok(), "{wrote:?}: {:?}", log());
    }

    fn words(&self, command: &mut Command, words: &str) {
        command
            .args(words.split_whitespace())
            .arg("--config")
            .arg(self.world.file("nightcall.toml"))
            .env_remove("NIGHTCALL_LOG")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null());
    }

    /// Types a command beside the daemon.
    pub(super) fn typed(&self, words: &str) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nightcall"));
        self.words(&mut command, words);
        said(&command.output().unwrap())
    }

    /// Runs the daemon to its end, which must come by itself.
    pub(super) fn ends(&self, mut command: Command) -> (i32, String) {
        self.words(&mut command, "daemon");
        said(&command.output().unwrap())
    }

    /// Starts the daemon on the disk of the shim.
    pub(super) fn start(&self) -> Night<'_> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nightcall"));
        self.shim.under(&mut command);
        self.start_as(command, false)
    }

    /// Starts the daemon on a small disk of its own.
    pub(super) fn start_on_a_small_disk(&self, kilobytes: u32) -> Night<'_> {
        let program = env!("CARGO_BIN_EXE_nightcall");
        let command = namespace::command(program.as_ref(), &self.folder(), kilobytes, "true");
        self.start_as(command, true)
    }

    fn start_as(&self, mut command: Command, inside: bool) -> Night<'_> {
        let heard = Heard::at(&self.world.file("notify"));
        let log = self.world.file("log");
        let file = std::fs::File::create(&log).unwrap();
        self.words(&mut command, "daemon");
        command
            .env("NOTIFY_SOCKET", self.world.file("notify"))
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        Night {
            place: self,
            child: command.spawn().unwrap(),
            inside,
            heard,
            log,
        }
    }

    /// How many requests of a kind the vendor has seen.
    pub(super) fn asked(&self, operation: Operation) -> u64 {
        self.world
            .sandbox
            .world()
            .with(|w| w.journal().count(operation))
    }

    /// All runs on record, as `nightcall runs` shows them; where the disk of this process is, when it is its own.
    pub(super) fn runs(&self, inside: Option<u32>) -> Vec<Seen> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nightcall"));
        if let Some(pid) = inside {
            command = Command::new("nsenter");
            command
                .args(["--user", "--mount", "--preserve-credentials", "--target"])
                .args([&pid.to_string(), env!("CARGO_BIN_EXE_nightcall")]);
        }
        self.words(&mut command, "runs --json -n 100000");
        let (_, text) = said(&command.output().unwrap());
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.filter_map(|line| Seen::of(&line)).collect()
    }

    /// Each second from the first run on was run once, and nothing was submitted twice.
    pub(super) fn everything_once(&self, runs: &[Seen], upto: Timestamp) {
        let doubled = self.world.sandbox.world().with(|w| w.doubled());
        assert!(doubled.is_empty(), "submitted twice: {doubled:?}");
        let ticks = runs.iter().filter(|run| run.is_of("tick"));
        let first = ticks.min_by_key(|run| run.id.instant).unwrap().id.clone();
        for second in first.instant.as_second()..=upto.as_second() {
            let instant = Timestamp::from_second(second).unwrap();
            let id = RunId::planned(first.series.clone(), instant);
            let run = runs.iter().find(|run| run.id == id);
            let run = run.unwrap_or_else(|| panic!("{id} is lost"));
            assert_eq!(run.outcome.as_deref(), Some("succeeded"), "{id}");
            let text = id.to_string();
            let executed = self.world.sandbox.world().with(|w| w.executions(&text));
            assert_eq!(executed, 1, "{id}");
        }
    }
}

/// A run as it is shown.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) id: RunId,
    pub(super) outcome: Option<String>,
    /// Submissions that were announced.
    pub(super) attempts: u64,
}

impl Seen {
    fn of(line: &serde_json::Value) -> Option<Self> {
        Some(Self {
            id: line["run"].as_str()?.parse().ok()?,
            outcome: line["outcome"].as_str().map(str::to_owned),
            attempts: line["attempts"].as_u64()?,
        })
    }

    pub(super) fn is_of(&self, schedule: &str) -> bool {
        self.id.series.schedule.as_str() == schedule
    }
}

/// The exit code and all that was said.
pub(super) fn said(output: &Output) -> (i32, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    (output.status.code().unwrap_or(-1), text)
}

/// A daemon that does not outlive its test.
pub(super) struct Night<'p> {
    place: &'p Place,
    child: Child,
    /// Whether its disk is its own.
    inside: bool,
    pub(super) heard: Heard,
    log: PathBuf,
}

impl Night<'_> {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits, in real time since the program is a process of its own.
    pub(super) async fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let since = Instant::now();
        while !holds(self) {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "ended before {what}: {ended:?}\n{}",
                self.log()
            );
            assert!(
                since.elapsed() < PATIENCE,
                "it never holds: {what}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    /// Waits for a line of the log.
    pub(super) async fn logs(&mut self, words: &str) {
        self.until(words, |night| night.log().contains(words)).await;
    }

    /// Waits until the stuck run is watched, after asking for it.
    pub(super) async fn sticks(&mut self) {
        self.logs("ready").await;
        let (code, said) = self.place.typed("fire stuck");
        assert_eq!(code, 0, "{said}");
        self.until("the stuck run is watched", |night| {
            let log = night.log();
            let accepted = |line: &str| line.contains("accepted") && line.contains("run=stuck");
            log.lines().any(accepted)
        })
        .await;
        // From now on an answer about it is under way at nearly any moment.
        self.until("a poll of it is under way", |night| {
            let about_it = |run: &Option<String>| run.as_ref().is_some_and(|r| r.contains("stuck"));
            night.place.world.sandbox.world().with(|w| {
                let mut entries = w.journal().entries();
                entries.any(|e| e.operation == Operation::Read && about_it(&e.run))
            })
        })
        .await;
    }

    /// All runs on record.
    pub(super) fn runs(&self) -> Vec<Seen> {
        self.place.runs(self.inside.then(|| self.pid()))
    }

    /// Waits until all that was due so far has ended, and gives back all runs.
    pub(super) async fn settles(&mut self) -> (Vec<Seen>, Timestamp) {
        let upto = Timestamp::now();
        let mut runs = Vec::new();
        self.until("everything ends", |night| {
            runs = night.runs();
            let mut due = runs.iter().filter(|run| run.id.instant <= upto);
            runs.iter().any(|run| run.id.instant > upto) && due.all(|run| run.outcome.is_some())
        })
        .await;
        (runs, upto)
    }

    /// SIGTERM, and how it ended.
    pub(super) async fn stop(mut self) -> ExitStatus {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.unwrap().success());
        self.ended().await
    }

    /// How it ended by itself.
    pub(super) async fn ended(&mut self) -> ExitStatus {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                since.elapsed() < PATIENCE,
                "it does not end\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How it ended, when it has.
    pub(super) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// SIGKILL.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Night<'_> {
    fn drop(&mut self) {
        // Dead already, or dies now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the service manager hears, and when.
pub(super) struct Heard(Arc<Mutex<Vec<(Instant, String)>>>);

impl Heard {
    fn at(path: &Path) -> Self {
        let _ = std::fs::remove_file(path);
        let socket = UnixDatagram::bind(path).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::downgrade(&heard);
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Some(list) = list.upgrade() {
                if let Ok(length) = socket.recv(&mut buffer) {
                    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    list.lock().unwrap().push((Instant::now(), text));
                }
            }
        });
        Self(heard)
    }

    /// Whether a status like this was shown.
    pub(super) fn status(&self, words: &str) -> bool {
        let heard = self.0.lock().unwrap();
        heard
            .iter()
            .any(|(_, text)| text.contains("STATUS=") && text.contains(words))
    }

    /// Whether a sign of life came between a status with these words and the next one without them.
    pub(super) fn alive_while(&self, words: &str) -> bool {
        let heard = self.0.lock().unwrap();
        let mut shown = false;
        for line in heard.iter().flat_map(|(_, text)| text.lines()) {
            match line.strip_prefix("STATUS=") {
                Some(status) => shown = status.contains(words),
                None if shown && line == "WATCHDOG=1" => return true,
                None => {}
            }
        }
        false
    }

    /// The longest silence after it was ready.
    pub(super) fn longest_silence(&self) -> Duration {
        let heard = self.0.lock().unwrap();
        let alive: Vec<Instant> = heard
            .iter()
            .filter(|(_, text)| text.contains("WATCHDOG=1"))
            .map(|(at, _)| *at)
            .collect();
        assert!(alive.len() > 3, "{heard:?}");
        alive
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .max()
            .unwrap()
    }
}
