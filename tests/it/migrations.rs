//! Every database of a released version opens, is brought to the present version, and reads as it did.
//!
//! The databases lie in `tests/golden/store`, one for each version, written at its release by
//! `NIGHTCALL_KEEP_DATABASE=1 cargo test --test it a_database_of_this_version`. The present version is made anew each
//! time.

use std::fs;
use std::path::{Path, PathBuf};

use nightcall::sched::act::{By, Deed, Pause, Scope, Skip, SkipWhat};
use nightcall::sched::fault::{Fault, FaultClass};
use nightcall::sched::id::ConnectionName;
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::run::{CancelWhy, Run, RunState};
use nightcall::sched::step::{Change, ConnectionMemory, Missed};
use nightcall::sched::time::{Mono, TimeRange, Timestamp};
use nightcall::store::sqlite::{SqliteReader, SqliteStore};
use nightcall::store::{RunQuery, Store, StoreError};

use crate::support::memory_store::MemoryStore;
use crate::support::runs::*;

/// Where the version stands in the header of the file.
const VERSION: std::ops::Range<usize> = 60..64;

fn shelf() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/store")
}

/// The databases that are kept.
pub(crate) fn kept() -> Vec<PathBuf> {
    let entries = fs::read_dir(shelf()).unwrap();
    let kept: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(!kept.is_empty(), "the databases of old versions are gone");
    kept
}

/// What the database of a version holds: all that could be stored then.
fn history(version: u32) -> Vec<Change> {
    let mut changes = first();
    if version >= 2 {
        changes.extend(acts());
    }
    changes
}

/// Since version 2: what people did, and what of it is in force. Kept as it is, like the one below.
fn acts() -> Vec<Change> {
    let by = |note| By::new("uid 1000", note);
    let pause = |scope, since, until: Option<i64>| {
        Change::Paused(Pause {
            scope,
            since: hour(since),
            until: until.map(hour),
            by: by(Some("the tables are moved")),
        })
    };
    let skip = |of: &str, what| {
        Change::Skip(Skip {
            series: series(of),
            what,
            at: hour(3),
            by: by(None),
        })
    };
    let deed = |act: &str, of: Option<&Run>| {
        Change::Acted(Deed {
            at: hour(4),
            by: by(Some("as it was asked for")),
            act: act.to_owned(),
            schedule: of.map(|run| run.id.series.schedule.clone()),
            run: of.map(|run| run.id.clone()),
            said: "it is done".to_owned(),
        })
    };
    let skipped = |n, reason| finished(pending_at("s0/x", n), Outcome::Skipped(reason), hour(n));
    let passed = skipped(2, SkipReason::Paused);
    vec![
        pause(Scope::Schedule(schedule("s0")), 1, None),
        pause(Scope::All, 2, Some(9)),
        skip("s0/x", SkipWhat::Next(3)),
        skip("s0/x", SkipWhat::On("2026-01-05".parse().unwrap())),
        skip("s1/x", SkipWhat::At(hour(7))),
        change(&passed),
        change(&skipped(3, SkipReason::Asked)),
        deed("pause", None),
        deed("retry", Some(&passed)),
    ]
}

/// One run in each state, and one record of each kind that there was at first. Kept as it is: the databases of old
/// versions hold it.
fn first() -> Vec<Change> {
    let mono = |n: i64| Mono(n * 1_000_000_000);
    let states = [
        RunState::Pending,
        RunState::Submitting {
            since: mono(-5),
            intent: hour(1),
        },
        RunState::InDoubt {
            intent: hour(1),
            settled: mono(90),
            give_up: mono(1800),
        },
        RunState::Running {
            job: job("job-1"),
            accepted: mono(1),
            polls: 3,
            next_poll: mono(7),
            gone: Some((2, mono(5))),
        },
        RunState::Cancelling {
            job: job("job-2"),
            why: CancelWhy::Timeout,
            since: mono(8),
            polls: 1,
            next_poll: mono(9),
        },
        RunState::Backoff { until: mono(30) },
        RunState::Finished(Outcome::Succeeded),
        RunState::Finished(Outcome::Skipped(SkipReason::Busy)),
        RunState::Finished(Outcome::Lost),
    ];
    let runs = states.into_iter().zip(0_i64..).map(|(state, n)| {
        let mut run = submitting(pending_at(&format!("s{n}/x"), n), hour(n));
        run.state = state;
        run
    });
    let runs: Vec<Run> = runs.collect();
    let mut failed = finished(pending_at("failed/x", 1), Outcome::Failed, hour(2));
    failed.fault = Some(
        Fault::new(
            FaultClass::Permanent,
            "invalidQuery",
            "Cannot coerce \"2\" to INT64",
        )
        .with_remedy("write 2 without quotes"),
    );
    let others = [
        change(&failed),
        Change::Notice(notice("failed", Some(&failed), hour(2))),
        Change::Missed(Missed {
            series: series("s0/x"),
            range: TimeRange {
                after: hour(0),
                upto: hour(4),
            },
            count: 4,
            reason: SkipReason::Missed,
            at: hour(5),
        }),
        Change::Cursor {
            series: series("s0/x"),
            upto: hour(1),
            definition: definition(&series("s0/x")),
        },
        Change::Cursor {
            series: series("s1/x"),
            upto: hour(1),
            definition: definition(&series("s1/x")),
        },
        Change::Closed {
            series: series("s1/x"),
            upto: hour(2),
        },
        Change::Mark(hour(5)),
        Change::Connection {
            name: ConnectionName::new("carto_dw").unwrap(),
            memory: ConnectionMemory {
                accepted: vec![(job("job-1"), hour(1))],
                proven: Some(hour(2)),
            },
        },
    ];
    runs.iter().map(change).chain(others).collect()
}

async fn make(path: &Path) {
    let store = SqliteStore::open(path).unwrap();
    store.instance(Some("kept".to_owned())).await.unwrap();
    let lease = store.acquire(holder(1), TRUST, hour(0)).await.unwrap();
    let newest = history(version(path));
    store.commit(lease.clone(), newest).await.unwrap();
    store.release(lease).await.unwrap();
}

/// The version of this program.
pub(crate) fn newest() -> u32 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.db");
    drop(SqliteStore::open(&path).unwrap());
    version(&path)
}

/// The version that is written in the file.
pub(crate) fn version(path: &Path) -> u32 {
    let bytes = fs::read(path).unwrap();
    u32::from_be_bytes(bytes[VERSION].try_into().unwrap())
}

/// It is brought to the present version and holds the history that was put into it by the version that made it.
pub(crate) async fn reads_as_it_did(path: &Path, made_by: u32) {
    let expected = MemoryStore::default();
    let lease = expected.acquire(holder(1), TRUST, hour(0)).await.unwrap();
    expected.commit(lease, history(made_by)).await.unwrap();
    let store = SqliteStore::open(path).unwrap();
    assert_eq!(store.instance(None).await.unwrap(), "kept");
    assert_eq!(store.load().await.unwrap(), expected.load().await.unwrap());
    let all = expected.runs(RunQuery::default()).await.unwrap();
    assert_eq!(store.runs(RunQuery::default()).await.unwrap(), all);
    for run in all {
        let story = store.story(run.id.clone()).await.unwrap();
        assert_eq!(story, expected.story(run.id).await.unwrap());
    }
    let ever = TimeRange {
        after: Timestamp::MIN,
        upto: Timestamp::MAX,
    };
    let missed = store.missed(None, ever).await.unwrap();
    assert_eq!(missed, expected.missed(None, ever).await.unwrap());
    let deeds = store.deeds(ever).await.unwrap();
    assert_eq!(deeds, expected.deeds(ever).await.unwrap());
    let lease = store.acquire(holder(1), TRUST, hour(6)).await.unwrap();
    store
        .commit(lease, vec![change(&pending_at("new/x", 6))])
        .await
        .unwrap();
}

#[tokio::test]
async fn every_old_database_opens_and_reads_as_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let present = folder.path().join("present.db");
    make(&present).await;
    let newest = version(&present);
    for (source, number) in kept().into_iter().chain([present]).zip(0..) {
        let path = folder.path().join(format!("{number}.db"));
        fs::copy(&source, &path).unwrap();
        let made_by = version(&path);
        assert!(made_by <= newest, "{}", source.display());
        reads_as_it_did(&path, made_by).await;
        assert_eq!(version(&path), newest, "{}", source.display());
        SqliteReader::open(&path).unwrap();
    }
}

/// With `NIGHTCALL_KEEP_DATABASE=1`, at a release, the database of this version is kept for later ones.
#[tokio::test]
async fn a_database_of_this_version_reads_as_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made.db");
    make(&made).await;
    // Kept as it was made: reading it adds a run.
    if std::env::var_os("NIGHTCALL_KEEP_DATABASE").is_some() {
        let to = shelf().join(format!("v{}.sqlite", version(&made)));
        assert!(!to.exists(), "{} was kept already", to.display());
        fs::create_dir_all(shelf()).unwrap();
        fs::copy(&made, &to).unwrap();
    }
    reads_as_it_did(&made, version(&made)).await;
}

#[test]
fn whoever_only_reads_an_old_database_is_told_to_restart_the_daemon() {
    let newest = newest();
    let folder = tempfile::tempdir().unwrap();
    let mut old = 0;
    for source in kept() {
        let (path, found) = (folder.path().join("old.db"), version(&source));
        fs::copy(&source, &path).unwrap();
        match SqliteReader::open(&path) {
            Err(StoreError::Unavailable(told)) if found < newest => {
                for part in [&format!("version {found}"), "restart the daemon"] {
                    assert!(told.contains(part), "{told}");
                }
                old += 1;
            }
            other => assert!(other.is_ok() && found == newest, "{found}: {other:?}"),
        }
    }
    assert!(old > 0, "no database of an old version is kept");
}
