//! The built daemon on schedules that are made for a measurement.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::{Connection, OpenFlags};

use super::{FIRST_POLL, machine};

const UTC: TimeZone = TimeZone::UTC;

/// When so many schedules are due.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    /// All in this second, once a day.
    At(Timestamp),
    /// All each second.
    EachSecond,
    /// The first so many in this second, the others not while anybody watches.
    First {
        /// How many.
        count: usize,
        /// When.
        at: Timestamp,
    },
    /// The first so many each second, the others not while anybody watches.
    FewEachSecond {
        /// How many.
        count: usize,
        /// The others run so many minutes later than without it.
        shift: usize,
    },
    /// Not while anybody watches.
    Never,
}

/// Writes a configuration of `n` schedules and gives back its path.
pub(crate) fn configure(folder: &Path, base_url: &str, n: usize, due: Due) -> PathBuf {
    let first = FIRST_POLL.as_millis();
    let mut text = format!(
        "[connection.bench]\nbase_url = \"{base_url}\"\nprovider = \"bigquery\"\n\
         token = {{ env = \"BENCH_TOKEN\" }}\n\
         requests_per_minute = 10_000_000\nmax_in_flight = 1_000_000\n\
         poll = {{ first = \"{first}ms\", factor = 1.0, max = \"{first}ms\" }}\n\n\
         [defaults]\nconnection = \"bench\"\ntimeout = \"1h\"\n\n"
    );
    for index in 0..n {
        let shift = match due {
            Due::FewEachSecond { shift, .. } => shift,
            _ => 0,
        };
        let cron = match due {
            Due::At(at) => daily(at),
            Due::First { count, at } if index < count => daily(at),
            Due::EachSecond => "* * * * * *".to_owned(),
            Due::FewEachSecond { count, .. } if index < count => "* * * * * *".to_owned(),
            Due::First { .. } | Due::FewEachSecond { .. } | Due::Never => {
                let now = Timestamp::now().to_zoned(UTC);
                let month = (now.month() + 5) % 12 + 1;
                format!("{} {} 1 {month} *", (index + shift) % 60, index / 60 % 24)
            }
        };
        let _ = write!(
            text,
            "[schedule.s{index:06}]\ncron = \"{cron}\"\noverlap = \"allow_all\"\n\
             procedure = \"acme.workflows.wf_{index:06}(region, day)\"\n\
             parameters = {{ region = \"north\", day = {index} }}\n\n"
        );
    }
    let path = folder.join("nightcall.toml");
    std::fs::write(&path, text).expect("the configuration can be written");
    path
}

/// Each day at this second.
fn daily(at: Timestamp) -> String {
    let at = at.to_zoned(UTC);
    format!("{} {} {} * * *", at.second(), at.minute(), at.hour())
}

/// A running daemon; it ends when it is dropped.
pub(crate) struct Daemon {
    child: Child,
    folder: PathBuf,
    /// From the start of the process until it said that it is ready.
    pub(crate) ready_after: Duration,
}

impl Daemon {
    /// Starts it and waits until it says that it is ready, as to systemd.
    pub(crate) fn start(folder: &Path, config: &Path) -> Self {
        let begun = Instant::now();
        let socket = folder.join("notify.sock");
        let _ = std::fs::remove_file(&socket);
        let heard = std::os::unix::net::UnixDatagram::bind(&socket).expect("a socket");
        let log = std::fs::File::create(folder.join("daemon.log")).expect("a log");
        let child = Command::new(env!("CARGO_BIN_EXE_nightcall"))
            .args(["daemon", "--log-level", "warn", "--config"])
            .arg(config)
            .env("BENCH_TOKEN", "any")
            .env("NOTIFY_SOCKET", &socket)
            .env_remove("NIGHTCALL_LOG")
            // As the unit file has it.
            .env("MALLOC_TRIM_THRESHOLD_", "1048576")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the daemon starts");
        heard
            .set_read_timeout(Some(Duration::from_secs(300)))
            .expect("a limit");
        let mut buffer = [0; 4096];
        loop {
            let length = heard.recv(&mut buffer).expect("the daemon becomes ready");
            if String::from_utf8_lossy(&buffer[..length]).contains("READY=1") {
                break;
            }
        }
        let ready_after = begun.elapsed();
        // Later messages find a reader, or they would fill the socket.
        std::thread::spawn(move || while heard.recv(&mut [0; 4096]).is_ok() {});
        Self {
            child,
            folder: folder.to_owned(),
            ready_after,
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How much of a core it used so far, in seconds.
    pub(crate) fn cpu(&self) -> f64 {
        machine::cpu(self.child.id())
    }

    /// What it wrote, to be read while it writes on.
    pub(crate) fn record(&self) -> Record {
        Record::open(&self.folder)
    }

    /// The resident memory, in MiB.
    pub(crate) fn memory(&self) -> f64 {
        machine::memory(self.child.id(), "VmRSS")
    }

    /// Its peak.
    pub(crate) fn peak(&self) -> f64 {
        machine::memory(self.child.id(), "VmHWM")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = std::fs::read_to_string(self.folder.join("daemon.log")).unwrap_or_default();
        for line in log.lines().take(5) {
            eprintln!("the daemon said: {line}");
        }
    }
}

/// The database, read while the daemon writes it.
pub(crate) struct Record {
    database: Connection,
    seen: i64,
}

/// What was read of one kind of event since the last look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Intents to submit.
    pub(crate) intents: usize,
    /// Outcomes.
    pub(crate) outcomes: usize,
}

impl Record {
    /// Opens it.
    pub(crate) fn open(folder: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Connection::open_with_flags(folder.join("nightcall.db"), flags)
            .expect("the database opens");
        let seen = database
            .query_row("SELECT coalesce(max(key), 0) FROM run_events", [], |row| {
                row.get(0)
            })
            .expect("the events can be counted");
        Self { database, seen }
    }

    /// What became durable since the last look. A look costs what is new, nothing else.
    pub(crate) fn look(&mut self) -> Seen {
        let mut events = self
            .database
            .prepare_cached("SELECT key, what FROM run_events WHERE key > ?1 ORDER BY key")
            .expect("a statement");
        let mut rows = events.query([self.seen]).expect("the events");
        let mut seen = Seen::default();
        while let Some(row) = rows.next().expect("an event") {
            self.seen = row.get(0).expect("its key");
            match row.get_ref(1).expect("its kind").as_str() {
                Ok("submitting") => seen.intents += 1,
                Ok("finished") => seen.outcomes += 1,
                _ => {}
            }
        }
        seen
    }

    /// How many runs there are by state or outcome.
    pub(crate) fn count(&self, clause: &str) -> usize {
        let text = format!("SELECT count(*) FROM runs WHERE {clause}");
        let count: i64 = self
            .database
            .query_row(&text, [], |row| row.get(0))
            .expect("a count");
        usize::try_from(count).unwrap_or(0)
    }
}
