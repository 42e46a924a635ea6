//! A damaged database is refused with a clear statement and left as it is, or what it still says is true; also when
//! the damage shows only while the daemon runs.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use nightcall::sandbox::Operation;
use nightcall::sched::outcome::Outcome;
use nightcall::sched::step::Change;
use nightcall::store::sqlite::{SqliteReader, SqliteStore};
use nightcall::store::{Chore, RunQuery, Store, StoreError};

use super::night::Place;
use crate::support::runs::*;

const PAGE: usize = 4096;

/// How many damages of each kind are tried; `NIGHTCALL_LONG` tries more.
fn tries() -> u64 {
    match std::env::var_os("NIGHTCALL_LONG") {
        Some(_) => 2_000,
        None => 24,
    }
}

/// Chance from a seed, so that a failure can be repeated.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

fn blocking<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(work)
}

/// One change of the history that the database under test holds; each is a commit of its own.
fn step(n: i64) -> Vec<Change> {
    let run = submitting(pending_at(&format!("s{}/x", n % 7), n), hour(n));
    let ended = finished(run.clone(), Outcome::Failed, hour(n));
    let notice = Change::Notice(notice(&format!("n{n}"), Some(&ended), hour(n)));
    let cursor = Change::Cursor {
        series: run.id.series.clone(),
        upto: hour(n),
        definition: definition(&run.id.series),
    };
    vec![
        change(&run),
        change(&ended),
        notice,
        cursor,
        Change::Mark(hour(n)),
    ]
}

/// The files of a database as a crash in the middle of the night leaves them: half of what was committed is in the
/// log.
struct Files {
    database: Vec<u8>,
    log: Vec<u8>,
}

impl Files {
    fn put(&self, folder: &Path) -> PathBuf {
        let path = folder.join("nightcall.db");
        fs::write(&path, &self.database).unwrap();
        if !self.log.is_empty() {
            fs::write(folder.join("nightcall.db-wal"), &self.log).unwrap();
        }
        path
    }
}

/// Commits so many steps, and looks after each; left as by a crash or by a stop.
fn made(steps: i64, crash: bool) -> (Files, Vec<History>) {
    let folder = quick_folder();
    let path = folder.path().join("nightcall.db");
    let store = SqliteStore::open(&path).unwrap();
    let mut seen = Vec::new();
    blocking(async {
        let lease = store.acquire(holder(1), TRUST, hour(0)).await.unwrap();
        for n in 0..steps {
            store.commit(lease.clone(), step(n)).await.unwrap();
            seen.push(History::of(&store).await.unwrap());
            if n == steps / 2 {
                store.maintain(Chore::Checkpoint).await.unwrap();
            }
        }
    });
    let read = |suffix: &str| fs::read(folder.path().join(format!("nightcall.db{suffix}")));
    if crash {
        let (database, log) = (read("").unwrap(), read("-wal").unwrap());
        return (Files { database, log }, seen);
    }
    drop(store);
    let (database, log) = (read("").unwrap(), Vec::new());
    (Files { database, log }, seen)
}

/// In memory where there is such a folder: hundreds of databases are made here.
fn quick_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// What a person would read of it.
#[derive(Debug, PartialEq)]
struct History {
    /// Which runs there are, in which state, and what they are to call.
    essence: BTreeMap<String, String>,
    /// All there is to read.
    whole: String,
}

impl History {
    async fn of(store: &SqliteStore) -> Result<Self, StoreError> {
        let mut whole = format!("{:?}", store.load().await?);
        let mut essence = BTreeMap::new();
        for run in store.runs(RunQuery::default()).await? {
            let story = store.story(run.id.clone()).await?;
            whole += &format!("{run:?} {story:?}");
            let is = format!("{:?} {:?}", run.state, run.definition);
            essence.insert(run.id.to_string(), is);
        }
        Ok(Self { essence, whole })
    }
}

/// Opens it as the daemon does. Never a panic.
fn opened(path: &Path, case: &str) -> Result<History, StoreError> {
    let look = || blocking(History::of(&SqliteStore::open(path)?));
    let seen = catch_unwind(AssertUnwindSafe(look));
    seen.unwrap_or_else(|_| panic!("{case}: it panicked"))
}

/// Whoever is refused is told the file and what to do.
fn told(error: &StoreError, case: &str) {
    let told = error.to_string();
    let remedies = ["backup", "another program", "newer", "delete it", "is not "];
    assert!(
        remedies.iter().any(|remedy| told.contains(remedy)),
        "{case}: {told}"
    );
    assert!(
        told.contains("nightcall.db") || told.contains("newer"),
        "{case}: {told}"
    );
}

/// What came of a damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Came {
    /// Refused, the file as it was.
    Refused,
    /// Nothing of it is seen.
    Unharmed,
    /// Everything reads, and a detail of it is different.
    Different,
}

/// Opens what is damaged. Whoever is not refused sees the runs, their states and what they call as they were.
fn look(files: &Files, good: &History, case: &str) -> Came {
    let folder = quick_folder();
    let path = files.put(folder.path());
    match opened(&path, case) {
        Ok(seen) if seen == *good => Came::Unharmed,
        Ok(seen) => {
            assert_eq!(seen.essence, good.essence, "{case}");
            Came::Different
        }
        Err(error) => {
            told(&error, case);
            let unchanged = fs::read(&path).unwrap() == files.database;
            assert!(unchanged, "{case}: the file was changed: {error}");
            Came::Refused
        }
    }
}

fn damaged(good: &[u8], kind: &str, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = good.to_vec();
    let at = dice.below(bytes.len());
    match kind {
        "header" => bytes[dice.below(100)] ^= 1 << dice.below(8),
        "bit" => bytes[at] ^= 1 << dice.below(8),
        "sixteen bytes" => bytes[at..].iter_mut().take(16).for_each(|b| *b = !*b),
        "sector of zeros" => bytes[at / 512 * 512..]
            .iter_mut()
            .take(512)
            .for_each(|b| *b = 0),
        "page of noise" => {
            let page = at / PAGE * PAGE;
            bytes[page..]
                .iter_mut()
                .take(PAGE)
                .for_each(|b| *b = dice.below(256) as u8);
        }
        "page of another place" => {
            // A log is not a whole number of pages.
            let pages = bytes.len() / PAGE;
            let (from, to) = (dice.below(pages), (at / PAGE).min(pages - 1));
            bytes.copy_within(from * PAGE..(from + 1) * PAGE, to * PAGE);
        }
        "cut" => bytes.truncate(at),
        other => panic!("{other}"),
    }
    bytes
}

const KINDS: [&str; 7] = [
    "header",
    "bit",
    "sixteen bytes",
    "sector of zeros",
    "page of noise",
    "page of another place",
    "cut",
];

/// Damages of one value inside a page can pass: SQLite has no checksum of a page. What they may change is a detail.
#[test]
fn a_damaged_database_is_refused_unchanged_or_still_says_what_is_true() {
    let (good, seen) = made(40, false);
    let expected = seen.last().unwrap();
    for kind in KINDS {
        let mut count: BTreeMap<Came, u64> = BTreeMap::new();
        for seed in 1..=tries() {
            let mut dice = Dice(seed * 0x9E37_79B9);
            let files = Files {
                database: damaged(&good.database, kind, &mut dice),
                log: Vec::new(),
            };
            let came = look(&files, expected, &format!("{kind}, seed {seed}"));
            *count.entry(came).or_default() += 1;
        }
        let of = |came| count.get(&came).copied().unwrap_or_default();
        if ["cut", "page of noise"].contains(&kind) {
            assert_eq!(of(Came::Refused), tries(), "{kind}: {count:?}");
        }
        if !["bit", "sixteen bytes"].contains(&kind) {
            assert_eq!(of(Came::Different), 0, "{kind}: {count:?}");
        }
        assert!(of(Came::Different) * 8 <= tries(), "{kind}: {count:?}");
        assert!(of(Came::Refused) > 0, "{kind}: {count:?}");
    }
}

/// A log ends where its checksums end: what was committed after a damage is gone, as in an older copy of the
/// database, and never mixed with what was before.
#[test]
fn of_a_damaged_log_a_beginning_is_read_and_never_a_mixture() {
    let (good, seen) = made(16, true);
    let folder = quick_folder();
    assert!(opened(&good.put(folder.path()), "whole").unwrap() == *seen.last().unwrap());
    let mut cut_short = 0;
    for kind in KINDS {
        for seed in 1..=tries() / 2 {
            let case = format!("{kind} in the log, seed {seed}");
            let files = Files {
                database: good.database.clone(),
                log: damaged(&good.log, kind, &mut Dice(seed * 0x9E37_79B9)),
            };
            let folder = quick_folder();
            match opened(&files.put(folder.path()), &case) {
                Ok(found) => {
                    let at = seen.iter().position(|seen| *seen == found);
                    let at = at.unwrap_or_else(|| panic!("{case}: a mixture: {found:?}"));
                    // what had been moved into the database is there
                    assert!(at >= seen.len() / 2, "{case}: only {at}");
                    cut_short += usize::from(at + 1 < seen.len());
                }
                Err(error) => told(&error, &case),
            }
        }
    }
    assert!(cut_short > 10, "the log was hardly damaged");
}

#[test]
fn the_database_of_another_program_is_refused_and_not_touched() {
    let folder = quick_folder();
    let path = folder.path().join("nightcall.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch("CREATE TABLE runs (id); INSERT INTO runs VALUES (1)")
        .unwrap();
    drop(other);
    let before = fs::read(&path).unwrap();
    let error = opened(&path, "another").unwrap_err();
    assert!(
        error.to_string().contains("database of another program"),
        "{error}"
    );
    assert!(
        SqliteReader::open(&path)
            .unwrap_err()
            .to_string()
            .contains("another program")
    );
    assert!(fs::read(&path).unwrap() == before);
}

/// The page where an index begins.
fn root_of(conn: &rusqlite::Connection, index: &str) -> u64 {
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let root: i64 = conn.query_row(sql, [index], |row| row.get(0)).unwrap();
    root.unsigned_abs()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_that_shows_while_it_runs_ends_the_daemon_and_nothing_leaves() {
    let place = Place::new().await;
    let mut night = place.start();
    night.sticks().await;
    {
        let beside = rusqlite::Connection::open(place.database()).unwrap();
        beside
            .busy_timeout(std::time::Duration::from_secs(5))
            .unwrap();
        let _: i64 = beside
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .unwrap();
        let page = root_of(&beside, "runs_identity") - 1;
        let file = OpenOptions::new()
            .write(true)
            .open(place.database())
            .unwrap();
        file.write_all_at(&[0xA5; PAGE], page * PAGE as u64)
            .unwrap();
    }
    place.somebody_else_writes();
    let status = night.ended().await;
    assert_eq!(status.code(), Some(74), "{}", night.log());
    let log = night.log();
    for part in ["damaged", "nightcall.db", "backup"] {
        assert!(log.lines().last().unwrap().contains(part), "{part}: {log}");
    }
    let announced = log
        .lines()
        .filter(|line| line.contains("submitting run="))
        .count();
    assert_eq!(place.asked(Operation::Create), announced as u64);
    let (code, said) = place.ends(std::process::Command::new(env!("CARGO_BIN_EXE_nightcall")));
    assert!(code == 74 && said.contains("backup"), "{said}");
}
