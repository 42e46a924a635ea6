//! Chores on a disk that is full do no harm; a log that cannot be moved grows and is cut later.

use std::fs;
use std::path::Path;
use std::process::Command;

use nightcall::sched::notice::NoticeKind;
use nightcall::sched::outcome::Outcome;
use nightcall::sched::step::Change;
use nightcall::store::sqlite::SqliteStore;
use nightcall::store::{Chore, RunQuery, Store, StoreError};

use super::namespace;
use super::shim::{FULL, Shim};
use crate::support::runs::*;

/// The folder of the small disk, for the child below; without it the test is for nobody.
const SMALL: &str = "NIGHTCALL_TEST_SMALL_DISK";

/// Where the child finds the orders of the shim, when the disk is full by the shim.
const ORDERS: &str = "NIGHTCALL_TEST_ORDERS";

/// How the child makes its disk full.
enum Ballast {
    File(std::path::PathBuf),
    Shim(Shim),
}

impl Ballast {
    fn of(folder: &Path) -> Self {
        match std::env::var_os(ORDERS) {
            None => Self::File(folder.join("ballast")),
            Some(orders) => Self::Shim(Shim::new(folder.to_owned(), orders.into())),
        }
    }

    fn fill(&self) {
        match self {
            Self::Shim(shim) => shim.fails(FULL, "wto"),
            Self::File(path) => {
                let mut file = fs::File::create(path).unwrap();
                while std::io::Write::write(&mut file, &[0; 4096]).is_ok_and(|n| n > 0) {}
            }
        }
    }

    fn empty(&self) {
        match self {
            Self::Shim(shim) => shim.works(),
            Self::File(path) => fs::remove_file(path).unwrap(),
        }
    }
}

fn large(id: &str, bytes: usize) -> Change {
    let mut large = notice(id, None, hour(0));
    large.kind = NoticeKind::Failed;
    large.body = "x".repeat(bytes);
    Change::Notice(large)
}

fn no_room<T: std::fmt::Debug>(result: Result<T, StoreError>, what: &str) {
    let Err(StoreError::Unavailable(told)) = &result else {
        panic!("{what}: {result:?}");
    };
    assert!(told.contains("free some space"), "{what}: {told}");
}

/// Not a test of its own: run by the one below in a process that has a small disk of its own.
#[tokio::test]
async fn child_on_a_small_disk() {
    let Some(folder) = std::env::var_os(SMALL) else {
        return;
    };
    let folder = Path::new(&folder);
    let (ballast, elsewhere) = (Ballast::of(folder), tempfile::tempdir().unwrap());

    // a copy that does not fit is taken away, and the database goes on
    let roomy = SqliteStore::open(&elsewhere.path().join("nightcall.db")).unwrap();
    let lease = roomy.acquire(holder(1), TRUST, hour(0)).await.unwrap();
    roomy
        .commit(lease.clone(), vec![large("l", 300 << 10)])
        .await
        .unwrap();
    ballast.fill();
    let copy = folder.join("copy.db");
    no_room(roomy.maintain(Chore::Backup(copy.clone())).await, "backup");
    assert!(!copy.exists());
    roomy
        .commit(lease, vec![change(&pending_at("a/x", 1))])
        .await
        .unwrap();
    ballast.empty();

    let store = SqliteStore::open(&folder.join("nightcall.db")).unwrap();
    let lease = store.acquire(holder(1), TRUST, hour(0)).await.unwrap();
    let runs = (0..200).map(|n| finished(pending_at("a/x", n), Outcome::Succeeded, hour(n)));
    let changes = runs
        .map(|run| change(&run))
        .chain([Change::Mark(hour(9000))]);
    store
        .commit(lease.clone(), changes.collect())
        .await
        .unwrap();
    let saved = store.load().await.unwrap();
    ballast.fill();
    let prune = || Chore::Prune {
        before: hour(100),
        per_series: 1_000,
        step: 1_000,
    };
    no_room(store.maintain(prune()).await, "prune");
    // moving the log needs room for the pages of the database, and may have it
    let _ = store.maintain(Chore::Checkpoint).await;
    no_room(
        store
            .commit(lease.clone(), vec![large("m", 64 << 10)])
            .await,
        "commit",
    );
    assert_eq!(store.load().await.unwrap(), saved);
    assert_eq!(store.runs(RunQuery::default()).await.unwrap().len(), 200);
    ballast.empty();
    while store.maintain(prune()).await.unwrap() > 0 {}
    assert_eq!(store.runs(RunQuery::default()).await.unwrap().len(), 100);
    store.commit(lease, vec![]).await.unwrap();
    store.maintain(Chore::Checkpoint).await.unwrap();
    drop(store);
    let again = SqliteStore::open(&folder.join("nightcall.db")).unwrap();
    assert_eq!(again.runs(RunQuery::default()).await.unwrap().len(), 100);
}

#[test]
fn chores_on_a_full_disk_do_no_harm() {
    let place = tempfile::tempdir().unwrap();
    let (folder, orders) = (place.path().join("disk"), place.path().join("orders"));
    fs::create_dir(&folder).unwrap();
    let program = std::env::current_exe().unwrap();
    let mut command = match namespace::possible() {
        true => namespace::command(program.as_os_str(), &folder, 900, "true"),
        false => {
            let mut command = Command::new(program);
            Shim::new(folder.clone(), orders.clone()).under(&mut command);
            command.env(ORDERS, orders);
            command
        }
    };
    let child = command
        .args([
            "--exact",
            "disk::chores::child_on_a_small_disk",
            "--nocapture",
        ])
        .env(SMALL, &folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{said}");
    let seen = String::from_utf8_lossy(&child.stdout);
    assert!(seen.contains("1 passed"), "{seen}");
}

/// Somebody reads for a long time, so that the log cannot be moved away.
#[tokio::test]
async fn a_log_that_somebody_reads_grows_and_is_cut_when_he_has_done() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("nightcall.db");
    let store = SqliteStore::open(&path).unwrap();
    let lease = store.acquire(holder(1), TRUST, hour(0)).await.unwrap();
    store
        .commit(lease.clone(), vec![change(&pending_at("a/x", 1))])
        .await
        .unwrap();
    let reader = rusqlite::Connection::open(&path).unwrap();
    let count = "SELECT count(*) FROM notices";
    reader.execute_batch("BEGIN").unwrap();
    let seen = |reader: &rusqlite::Connection| -> i64 {
        reader.query_row(count, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(seen(&reader), 0);
    let megabytes = || {
        fs::metadata(place.path().join("nightcall.db-wal"))
            .unwrap()
            .len()
            >> 20
    };
    for n in 0..40 {
        store
            .commit(lease.clone(), vec![large(&format!("n{n}"), 1 << 20)])
            .await
            .unwrap();
    }
    assert!(megabytes() >= 40, "{}", megabytes());
    assert_eq!(seen(&reader), 0, "a reader sees one state");
    // the chore gives up soon, and commits go on
    let _ = store.maintain(Chore::Checkpoint).await;
    store
        .commit(lease.clone(), vec![change(&pending_at("a/x", 2))])
        .await
        .unwrap();
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(seen(&reader), 40);
    store.maintain(Chore::Checkpoint).await.unwrap();
    store
        .commit(lease, vec![change(&pending_at("a/x", 3))])
        .await
        .unwrap();
    assert!(megabytes() <= 32, "{}", megabytes());
    assert_eq!(store.runs(RunQuery::default()).await.unwrap().len(), 3);
}
