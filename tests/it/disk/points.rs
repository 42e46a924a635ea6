//! A process is struck at each single call by which it changes a file: killed before it, killed in the middle of a
//! write, or told that the disk is full or broken. What is there afterwards is the old or the new, never in between.
//!
//! The children are this test program itself, running one of the tests below that are for nobody else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nightcall::sched::outcome::Outcome;
use nightcall::sched::step::Change;
use nightcall::store::sqlite::{SqliteReader, SqliteStore};
use nightcall::store::{Lease, RunQuery, Store, StoreError};

use super::shim::Strike;
use crate::migrations;
use crate::support::runs::*;

/// Tells a child its database.
const DATABASE: &str = "NIGHTCALL_TEST_STRUCK_DATABASE";

/// Where a child notes, on another disk, what it was told.
const NOTES: &str = "NIGHTCALL_TEST_NOTES";

/// So many commits a child makes.
const COMMITS: i64 = 4;

/// Every call is struck when this is set; else some of them, others each time the stride is.
fn stride() -> usize {
    match std::env::var_os("NIGHTCALL_LONG") {
        Some(_) => 1,
        None => 4,
    }
}

/// A commit of the child: the run before ends, one more begins.
fn step(n: i64) -> Vec<Change> {
    let mut changes = vec![
        told(&pending_at("a/x", n), "planned", hour(n)),
        change(&submitting(pending_at("a/x", n), hour(n))),
        Change::Mark(hour(n)),
    ];
    if n > 0 {
        let before = submitting(pending_at("a/x", n - 1), hour(n - 1));
        changes.push(change(&finished(before, Outcome::Succeeded, hour(n))));
    }
    changes
}

async fn opened() -> Option<(SqliteStore, PathBuf)> {
    let path = std::env::var_os(DATABASE)?;
    let notes = PathBuf::from(std::env::var_os(NOTES).unwrap());
    match SqliteStore::open(Path::new(&path)) {
        Ok(store) => Some((store, notes)),
        Err(StoreError::Unavailable(_)) => None,
        Err(other) => panic!("a disk that fails is no damage: {other}"),
    }
}

fn unavailable<T>(result: Result<T, StoreError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(StoreError::Unavailable(_)) => None,
        Err(other) => panic!("a disk that fails is no damage: {other}"),
    }
}

/// Not a test of its own: opens, or makes, and commits.
#[tokio::test]
async fn child_that_commits() {
    let Some((store, notes)) = opened().await else {
        return;
    };
    let Some(lease) = unavailable(store.acquire(holder(1), TRUST, hour(0)).await) else {
        return;
    };
    for n in 0..COMMITS {
        if unavailable(store.commit(lease.clone(), step(n)).await).is_none() {
            return;
        }
        fs::write(&notes, (n + 1).to_string()).unwrap();
    }
}

/// Not a test of its own: opens, which brings an old database to the present version.
#[tokio::test]
async fn child_that_opens() {
    if let Some((store, notes)) = opened().await {
        store.load().await.unwrap();
        fs::write(&notes, "1").unwrap();
    }
}

/// A folder in memory where there is one: hundreds of databases are made durable here.
fn quick_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

struct Struck {
    /// Whether the call was reached.
    reached: bool,
    /// What the child was told before.
    confirmed: i64,
}

/// Runs a child, strikes it, and tells how far it had come.
fn strike(child: &str, database: &Path, nth: u32, how: &str) -> Struck {
    let notes = quick_folder();
    let (mark, note) = (notes.path().join("struck"), notes.path().join("note"));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", &format!("disk::points::{child}")])
        .env(DATABASE, database)
        .env(NOTES, &note);
    Strike {
        path: database,
        nth,
        how,
        mark: &mark,
    }
    .under(&mut command);
    let output = command.output().unwrap();
    let killed = output.status.code().is_none();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(killed || output.status.success(), "{how} at {nth}: {said}");
    let confirmed = fs::read_to_string(&note).ok();
    Struck {
        reached: mark.exists(),
        confirmed: confirmed.map_or(0, |text| text.parse().unwrap()),
    }
}

/// Strikes at one call after the other, as long as there are any.
fn at_each_call(how: &str, mut case: impl FnMut(u32) -> bool) -> usize {
    let offset = how.len() % stride();
    let calls = (1..).skip(offset).step_by(stride());
    calls.take_while(|nth| case(*nth)).count()
}

async fn lease_of(store: &SqliteStore) -> Lease {
    store.acquire(holder(2), TRUST, hour(0)).await.unwrap()
}

/// The database holds the first so many commits, all of each, and goes on.
async fn holds_whole_commits(path: &Path, confirmed: i64, case: &str) {
    let store = SqliteStore::open(path).unwrap_or_else(|error| panic!("{case}: {error}"));
    let runs = store.runs(RunQuery::default()).await.unwrap();
    let stored = i64::try_from(runs.len()).unwrap();
    // one more than confirmed: the answer may not have arrived
    assert!(
        (confirmed..=confirmed + 1).contains(&stored),
        "{case}: {confirmed}, then {stored}"
    );
    let expected = crate::support::memory_store::MemoryStore::default();
    let lease = expected.acquire(holder(1), TRUST, hour(0)).await.unwrap();
    for n in 0..stored {
        expected.commit(lease.clone(), step(n)).await.unwrap();
    }
    assert_eq!(
        store.load().await.unwrap(),
        expected.load().await.unwrap(),
        "{case}"
    );
    for run in runs {
        let story = store.story(run.id.clone()).await.unwrap();
        assert_eq!(story, expected.story(run.id).await.unwrap(), "{case}");
    }
    store
        .commit(lease_of(&store).await, step(stored))
        .await
        .unwrap();
}

fn blocking<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(work)
}

#[test]
fn a_process_struck_at_any_call_leaves_whole_commits_and_none_that_was_confirmed_is_lost() {
    let mut struck = 0;
    for how in ["kill", "torn", "28", "5"] {
        struck += at_each_call(how, |nth| {
            let folder = quick_folder();
            let path = folder.path().join("nightcall.db");
            let seen = strike("child_that_commits", &path, nth, how);
            let case = format!("{how} at call {nth}");
            blocking(holds_whole_commits(&path, seen.confirmed, &case));
            seen.reached
        });
    }
    assert!(struck > 4 * 15, "only {struck} calls were struck");
}

#[test]
fn an_upgrade_struck_at_any_call_leaves_the_old_version_or_the_new_one() {
    let newest = migrations::newest();
    let mut struck = 0;
    for golden in migrations::kept() {
        let old = migrations::version(&golden);
        for how in ["kill", "torn", "28", "5"] {
            struck += at_each_call(how, |nth| {
                let folder = quick_folder();
                let path = folder.path().join("nightcall.db");
                fs::copy(&golden, &path).unwrap();
                let seen = strike("child_that_opens", &path, nth, how);
                let case = format!("version {old}: {how} at call {nth}");
                let found = migrations::version(&path);
                assert!(found >= old, "{case}: {found}");
                // the last one, which nothing struck, has done its work
                let whole = (seen.confirmed, found) == (1, newest);
                assert!(seen.reached || whole, "{case}: {found}");
                // whoever only reads sees a whole version, or is told which one it is
                match SqliteReader::open(&path) {
                    Ok(reader) => {
                        reader.runs(&RunQuery::default()).unwrap();
                    }
                    Err(StoreError::Unavailable(told)) => {
                        assert!(told.contains("older nightcall"), "{case}: {told}");
                    }
                    Err(other) => panic!("{case}: {other}"),
                }
                blocking(migrations::reads_as_it_did(&path, old));
                seen.reached
            });
        }
    }
    assert!(struck > 4 * 10, "only {struck} calls were struck");
}
