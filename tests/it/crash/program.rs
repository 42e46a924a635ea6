//! The built program as a process of its own, its database as others see it, and what is left of it after a kill.
//!
//! Nothing here reads the database through the code under test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::support::world::World;

/// A daemon of its own process. It does not outlive the test, whatever becomes of it.
pub(super) struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts the daemon; what it says goes to a file.
    pub(super) fn start(world: &World, log: PathBuf) -> Self {
        let out = File::create(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_nightcall"))
            .args(["daemon", "--log-level", "info", "--config"])
            .arg(world.file("nightcall.toml"))
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    /// Kills it without warning. It must have been alive.
    pub(super) fn kill(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert_eq!(ended, None, "it ended by itself:\n{}", self.said());
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of what it said.
    pub(super) fn said(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// How often the thread that writes the database gave up the processor. While somebody else holds the write lock
    /// this number grows only when the thread waits for that lock. `None` where there is no such thread to be seen.
    fn writer_turns(&self) -> Option<u64> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).ok()?;
        let mut folders = tasks.flatten().map(|task| task.path());
        let writer = folders.find(|folder| {
            fs::read_to_string(folder.join("comm")).is_ok_and(|name| name.trim() == "store-writer")
        })?;
        let status = fs::read_to_string(writer.join("status")).ok()?;
        let turns = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        turns.trim().parse().ok()
    }

    /// Waits until the daemon waits for the write lock, which somebody else must hold. False when it does not.
    pub(super) async fn waits_for_lock(&self) -> bool {
        for _ in 0..40 {
            let before = self.writer_turns();
            tokio::time::sleep(Duration::from_millis(50)).await;
            match (before, self.writer_turns()) {
                (Some(before), Some(after)) if after > before => return true,
                // Elsewhere the time that has passed must do.
                _ if cfg!(not(target_os = "linux")) => return true,
                _ => {}
            }
        }
        false
    }
}

impl Drop for Program {
    #[allow(clippy::print_stderr)]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the daemon said:\n{}", self.said());
        }
        // Dead already, or dies now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Connections of the test never move the log into the database: that is left to the daemon.
fn open(database: &Path, flags: OpenFlags) -> Connection {
    let conn = Connection::open_with_flags(database, flags).unwrap();
    conn.busy_timeout(Duration::from_secs(4)).unwrap();
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .unwrap();
    conn
}

/// The write lock of the database: while it is held no commit of the daemon succeeds.
pub(super) struct WriteLock {
    _conn: Connection,
}

impl WriteLock {
    pub(super) fn take(database: &Path) -> Self {
        let conn = open(database, OpenFlags::SQLITE_OPEN_READ_WRITE);
        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        Self { _conn: conn }
    }
}

/// One run as it is on record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) schedule: String,
    pub(super) set: String,
    /// In nanoseconds, as all times here.
    pub(super) instant: i64,
    pub(super) state: String,
    pub(super) outcome: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) attempt: u32,
    pub(super) failures: u32,
    /// When it was last written.
    pub(super) changed: i64,
}

impl Row {
    /// Whether it is this state, in this attempt.
    pub(super) fn is(&self, state: &str, attempt: u32) -> bool {
        self.state == state && self.attempt == attempt
    }

    /// Whether its job exists or may exist.
    pub(super) fn in_flight(&self) -> bool {
        let states = ["submitting", "in_doubt", "running", "cancelling"];
        states.contains(&self.state.as_str())
    }

    /// Whether the daemon cannot know that its job exists.
    pub(super) fn doubtful(&self) -> bool {
        ["submitting", "in_doubt"].contains(&self.state.as_str())
    }
}

/// Looks at a database without changing it.
pub(super) struct Look(Connection);

impl Look {
    pub(super) fn open(database: &Path) -> Self {
        Self(open(database, OpenFlags::SQLITE_OPEN_READ_ONLY))
    }

    /// Looks at a copy of what a kill has left, log included: the daemon finds the original untouched.
    pub(super) fn at_copy(database: &Path, folder: &Path) -> Self {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir(folder).unwrap();
        let copy = folder.join("copy.db");
        for suffix in ["", "-wal"] {
            let with = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
            if with(database).exists() {
                fs::copy(with(database), with(&copy)).unwrap();
            }
        }
        // Reading it first moves the log, as the next start would.
        Self(open(&copy, OpenFlags::SQLITE_OPEN_READ_WRITE))
    }

    pub(super) fn conn(&self) -> &Connection {
        &self.0
    }

    /// What is wrong with the pages and with what refers to what; nothing.
    pub(super) fn problems(&self) -> Vec<String> {
        let texts = |pragma: &str| {
            let mut found = self.0.prepare(pragma).unwrap();
            let rows = found.query_map([], |row| row.get(0)).unwrap();
            rows.map(Result::unwrap).collect::<Vec<String>>()
        };
        let mut problems = texts("PRAGMA integrity_check");
        problems.retain(|line| line != "ok");
        problems.extend(texts("PRAGMA foreign_key_check"));
        problems
    }

    /// Grows with each start.
    pub(super) fn epoch(&self) -> i64 {
        self.number("SELECT epoch FROM lease")
    }

    pub(super) fn number(&self, sql: &str) -> i64 {
        self.0.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    pub(super) fn run(&self, id: &str) -> Option<Row> {
        self.rows("WHERE id = ?1 AND ?2", [id, "1"]).pop()
    }

    /// The runs of a schedule that are in a state, oldest first.
    pub(super) fn in_state(&self, schedule: &str, state: &str) -> Vec<Row> {
        self.rows("WHERE schedule = ?1 AND state = ?2", [schedule, state])
    }

    pub(super) fn all(&self) -> Vec<Row> {
        self.rows("WHERE ?1 AND ?2", ["1", "1"])
    }

    fn rows(&self, which: &str, values: [&str; 2]) -> Vec<Row> {
        let sql = format!(
            "SELECT id, schedule, set_name, instant, state, outcome, reason, attempt, failures,
                 changed_wall FROM runs {which} ORDER BY key"
        );
        let mut found = self.0.prepare_cached(&sql).unwrap();
        let rows = found.query_map(values, |row| {
            Ok(Row {
                id: row.get(0)?,
                schedule: row.get(1)?,
                set: row.get(2)?,
                instant: row.get(3)?,
                state: row.get(4)?,
                outcome: row.get(5)?,
                reason: row.get(6)?,
                attempt: row.get(7)?,
                failures: row.get(8)?,
                changed: row.get(9)?,
            })
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// The word of the first of these things that happened to an attempt of a run.
    pub(super) fn happened(&self, run: &str, attempt: u32, words: [&str; 2]) -> Option<String> {
        let sql = "SELECT what FROM run_events e JOIN runs r ON r.key = e.run
                   WHERE r.id = ?1 AND e.attempt = ?2 AND e.what IN (?3, ?4) ORDER BY e.key";
        let values = (run, attempt, words[0], words[1]);
        let found = self.0.query_row(sql, values, |row| row.get(0));
        found.optional().unwrap()
    }
}
