//! What is particular to the store in a file: who may open it, what is said of a damaged one, what survives a crash.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nightcall::sched::notice::{Notice, NoticeKind};
use nightcall::sched::outcome::Outcome;
use nightcall::sched::run::Run;
use nightcall::sched::step::{Change, ConnectionMemory};
use nightcall::sched::time::{TimeRange, Timestamp};
use nightcall::store::sqlite::{SqliteReader, SqliteStore};
use nightcall::store::{Chore, Holder, Lease, RunQuery, Store, StoreError};

use crate::support::runs::*;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn database(&self) -> PathBuf {
        self.0.path().join("nightcall.db")
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.database()).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

async fn acquire(store: &SqliteStore) -> Lease {
    store.acquire(holder(1), TRUST, hour(0)).await.unwrap()
}

/// Some history: live, finished and lost runs, a cursor, a mark.
fn history() -> Vec<Change> {
    let failed = finished(
        submitting(pending_at("a/x", 1), hour(1)),
        Outcome::Failed,
        hour(2),
    );
    vec![
        told(&pending_at("a/x", 1), "planned", hour(1)),
        change(&failed),
        Change::Notice(notice("n", Some(&failed), hour(2))),
        change(&submitting(pending_at("b/x", 2), hour(2))),
        Change::Cursor {
            series: series("a/x"),
            upto: hour(1),
            definition: definition(&series("a/x")),
        },
        Change::Mark(hour(3)),
    ]
}

/// A closed database with some history and enough pages that one in the middle can be damaged.
async fn closed_database(place: &Place) -> Vec<u8> {
    let store = place.open();
    let lease = acquire(&store).await;
    store.commit(lease.clone(), history()).await.unwrap();
    let runs = (0..200).map(|n| change(&pending_at("many/x", n)));
    store.commit(lease, runs.collect()).await.unwrap();
    drop(store);
    fs::read(place.database()).unwrap()
}

fn message(result: Result<SqliteStore, StoreError>) -> String {
    result.unwrap_err().to_string()
}

#[tokio::test]
async fn a_second_daemon_is_refused_with_the_pid_of_the_first() {
    let place = Place::new();
    let first = place.open();
    let Err(StoreError::Fenced { holder }) = SqliteStore::open(&place.database()) else {
        panic!("two stores write one file");
    };
    assert!(
        holder.contains(&format!("pid {}", std::process::id())),
        "{holder}"
    );
    let lease = acquire(&first).await;
    first.commit(lease, history()).await.unwrap();
    drop(first);
    assert_eq!(place.open().load().await.unwrap().live.len(), 1);
}

#[tokio::test]
async fn a_second_daemon_is_refused_under_every_name_of_the_database() {
    let place = Place::new();
    let first = place.open();
    let lease = acquire(&first).await;
    let elsewhere = Place::new();
    let (link, folder) = (elsewhere.database(), elsewhere.0.path().join("folder"));
    symlink(place.database(), &link).unwrap();
    symlink(place.0.path(), &folder).unwrap();
    for name in [
        link,
        folder.join("nightcall.db"),
        folder.join("./nightcall.db"),
    ] {
        let result = SqliteStore::open(&name);
        let pid = format!("pid {}", std::process::id());
        assert!(
            matches!(&result, Err(StoreError::Fenced { holder }) if holder.contains(&pid)),
            "{name:?}: {result:?}"
        );
    }
    assert_eq!(elsewhere.names(), ["folder", "nightcall.db"]);
    first.commit(lease, history()).await.unwrap();
}

#[tokio::test]
async fn a_new_database_has_one_lock_under_every_name_of_its_folder() {
    let (place, elsewhere) = (Place::new(), Place::new());
    let folder = elsewhere.0.path().join("folder");
    symlink(place.0.path(), &folder).unwrap();
    let first = SqliteStore::open(&folder.join("nightcall.db")).unwrap();
    let result = SqliteStore::open(&place.database());
    assert!(
        matches!(result, Err(StoreError::Fenced { .. })),
        "{result:?}"
    );
    drop(first);
}

#[tokio::test]
async fn a_link_to_a_database_is_written_and_read_through() {
    let (place, elsewhere) = (Place::new(), Place::new());
    drop(place.open());
    let link = elsewhere.database();
    symlink(place.database(), &link).unwrap();
    let store = SqliteStore::open(&link).unwrap();
    let lease = acquire(&store).await;
    store.commit(lease, history()).await.unwrap();
    let reader = SqliteReader::open(&link).unwrap();
    assert_eq!(reader.runs(&RunQuery::default()).unwrap().len(), 2);
    drop((reader, store));
    assert_eq!(place.open().load().await.unwrap().live.len(), 1);
    assert_eq!(elsewhere.names(), ["nightcall.db"]);
    assert_eq!(fs::read_link(&link).unwrap(), place.database());
}

#[test]
fn a_link_that_leads_nowhere_is_refused_and_left_as_it_is() {
    let place = Place::new();
    for target in [
        "/nonexistent-volume/nightcall.db",
        "gone.db",
        "nightcall.db",
    ] {
        symlink(target, place.database()).unwrap();
        let Err(StoreError::Unavailable(told)) = SqliteStore::open(&place.database()) else {
            panic!("a database was made in the place of a link to {target}");
        };
        for part in ["symbolic link", target, "mount"] {
            assert!(told.contains(part), "{told}");
        }
        let Err(StoreError::Unavailable(told)) = SqliteReader::open(&place.database()) else {
            panic!("there is nothing to read");
        };
        assert!(told.contains("symbolic link"), "{told}");
        assert_eq!(
            fs::read_link(place.database()).unwrap(),
            PathBuf::from(target)
        );
        assert_eq!(place.names(), ["nightcall.db"]);
        fs::remove_file(place.database()).unwrap();
    }
}

#[tokio::test]
async fn the_lease_of_a_dead_process_of_this_machine_is_taken_at_once() {
    let place = Place::new();
    let old = acquire(&place.open()).await;
    let store = place.open();
    let new = store.acquire(holder(2), TRUST, hour(0)).await.unwrap();
    assert!(new.epoch > old.epoch);
    let result = store.commit(old, vec![]).await;
    assert!(matches!(result, Err(StoreError::Fenced { holder }) if holder.contains("pid 2")));
}

#[tokio::test]
async fn the_lease_of_another_machine_is_honoured_until_its_time_is_up() {
    let place = Place::new();
    let there = Holder {
        host: "there".to_owned(),
        ..holder(7)
    };
    place.open().acquire(there, TRUST, hour(0)).await.unwrap();
    let store = place.open();
    let result = store.acquire(holder(2), TRUST, hour(0)).await;
    assert!(matches!(result, Err(StoreError::Fenced { holder }) if holder.contains("there")));
    store
        .acquire(holder(2), TRUST, hour(0) + TRUST)
        .await
        .unwrap();
}

/// The environment variable that tells the test below that it is the child.
const CHILD: &str = "NIGHTCALL_TEST_CHILD_DATABASE";

/// Not a test of its own: run by the one below in a process of its own, which it ends like a crash.
#[tokio::test]
async fn child_that_commits_and_dies() {
    let Some(path) = std::env::var_os(CHILD) else {
        return;
    };
    let store = SqliteStore::open(Path::new(&path)).unwrap();
    let lease = acquire(&store).await;
    store.commit(lease, history()).await.unwrap();
    std::process::abort();
}

#[tokio::test]
async fn what_was_committed_survives_a_crash_and_the_next_process_goes_on_at_once() {
    let place = Place::new();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite_file::child_that_commits_and_dies"])
        .env(CHILD, place.database())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(!child.success());
    let store = place.open();
    let expected = reference().await;
    assert_eq!(store.load().await.unwrap(), expected.load().await.unwrap());
    let lease = store.acquire(holder(2), TRUST, hour(0)).await.unwrap();
    store.commit(lease, vec![]).await.unwrap();
}

async fn reference() -> crate::support::memory_store::MemoryStore {
    let store = crate::support::memory_store::MemoryStore::default();
    let lease = store.acquire(holder(1), TRUST, hour(0)).await.unwrap();
    store.commit(lease, history()).await.unwrap();
    store
}

#[tokio::test]
async fn files_copied_while_they_are_written_open_with_all_that_was_committed() {
    let (place, copy) = (Place::new(), Place::new());
    let store = place.open();
    let lease = acquire(&store).await;
    store.commit(lease.clone(), history()).await.unwrap();
    for suffix in ["", "-wal"] {
        let name = format!("nightcall.db{suffix}");
        fs::copy(place.0.path().join(&name), copy.0.path().join(&name)).unwrap();
    }
    store
        .commit(lease, vec![change(&pending_at("later/x", 5))])
        .await
        .unwrap();
    let saved = copy.open().load().await.unwrap();
    assert_eq!(saved, reference().await.load().await.unwrap());
}

#[tokio::test]
async fn damaged_and_foreign_files_are_refused_and_left_as_they_are() {
    let place = Place::new();
    let good = closed_database(&place).await;
    let patched = |from: usize, bytes: &[u8]| {
        let mut all = good.clone();
        all[from..from + bytes.len()].copy_from_slice(bytes);
        all
    };
    let middle = good.len() / 2 / 4096 * 4096;
    let cases = [
        ("text", b"runs, by hand\n".repeat(500), "not a database"),
        ("empty", Vec::new(), "empty"),
        ("header", patched(0, b"XXXX"), "not a database"),
        ("foreign", patched(68, &[0, 0, 0, 0]), "another program"),
        ("page", patched(middle, &[0xA5; 4096]), "backup"),
        ("half", good[..middle].to_vec(), "backup"),
    ];
    for (case, bytes, expected) in cases {
        fs::write(place.database(), &bytes).unwrap();
        let result = SqliteStore::open(&place.database());
        assert!(
            matches!(result, Err(StoreError::Corrupt(_))),
            "{case}: {result:?}"
        );
        let told = message(result);
        assert!(
            told.contains(expected) && told.contains("nightcall.db"),
            "{case}: {told}"
        );
        assert!(
            fs::read(place.database()).unwrap() == bytes,
            "{case}: the file was changed"
        );
    }
    fs::write(place.database(), &good).unwrap();
    assert_eq!(place.open().load().await.unwrap().live.len(), 201);
}

#[tokio::test]
async fn a_database_of_a_newer_nightcall_is_refused() {
    let place = Place::new();
    let mut bytes = closed_database(&place).await;
    bytes[60..64].copy_from_slice(&99u32.to_be_bytes());
    fs::write(place.database(), &bytes).unwrap();
    let newer =
        |result: Option<StoreError>| matches!(result, Some(StoreError::TooNew { found: 99, .. }));
    assert!(newer(SqliteStore::open(&place.database()).err()));
    assert!(newer(SqliteReader::open(&place.database()).err()));
    assert!(fs::read(place.database()).unwrap() == bytes);
}

#[tokio::test]
async fn a_log_without_its_database_is_not_thrown_away() {
    let place = Place::new();
    let store = place.open();
    let lease = acquire(&store).await;
    store.commit(lease, history()).await.unwrap();
    let log = fs::read(place.0.path().join("nightcall.db-wal")).unwrap();
    drop(store);
    let other = Place::new();
    fs::write(other.0.path().join("nightcall.db-wal"), &log).unwrap();
    let told = message(SqliteStore::open(&other.database()));
    assert!(told.contains("-wal"), "{told}");
    assert!(fs::read(other.0.path().join("nightcall.db-wal")).unwrap() == log);
    assert!(!other.database().exists());
}

#[tokio::test]
async fn a_creation_that_was_cut_short_is_begun_anew() {
    let place = Place::new();
    fs::write(place.0.path().join("nightcall.db.new"), b"half a databa").unwrap();
    assert_eq!(place.open().load().await.unwrap().mark, None);
    assert_eq!(place.names(), ["nightcall.db", "nightcall.db.lock"]);
}

#[test]
fn a_folder_that_is_missing_or_no_folder_is_told() {
    let place = Place::new();
    let file = place.0.path().join("file");
    fs::write(&file, b"x").unwrap();
    for path in [
        place.0.path().join("none/nightcall.db"),
        file.join("nightcall.db"),
    ] {
        let result = SqliteStore::open(&path);
        assert!(
            matches!(result, Err(StoreError::Unavailable(_))),
            "{result:?}"
        );
        let told = message(result);
        assert!(told.contains(path.to_str().unwrap()), "{told}");
    }
}

#[test]
fn a_folder_in_the_place_of_the_database_is_told_and_nothing_is_made_beside_it() {
    let place = Place::new();
    fs::create_dir(place.database()).unwrap();
    let told = message(SqliteStore::open(&place.database()));
    assert!(told.contains("not a file"), "{told}");
    assert_eq!(place.names(), ["nightcall.db"]);
}

/// Whether permissions hold for this user; they do not for root.
fn permissions_hold() -> bool {
    let place = Place::new();
    set_mode(place.0.path(), 0o555);
    let hold = fs::write(place.0.path().join("probe"), b"").is_err();
    set_mode(place.0.path(), 0o755);
    hold
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The environment variable that tells a child that it has no rights of root.
const NO_RIGHTS: &str = "NIGHTCALL_TEST_WITHOUT_RIGHTS";

/// This program with one of its tests, as a user for whom permissions hold; `None` where that cannot be.
fn without_rights(test: &str) -> Option<std::process::Output> {
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    let itself = std::env::current_exe().unwrap();
    let able = |output: &std::process::Output| output.status.success();
    let mut probe = Command::new("setpriv");
    probe.args(nobody).arg(&itself).args(["--exact", "none"]);
    probe.output().ok().filter(able)?;
    let mut child = Command::new("setpriv");
    child.args(nobody).arg(itself).args(["--exact", test]);
    // Its folders are where everybody may make some.
    child.env(NO_RIGHTS, "1").env_remove("TMPDIR");
    child.output().ok()
}

/// Not a test of its own: run by the one below, as root in a process that has given up the rights of root.
#[tokio::test]
async fn child_whose_folder_is_read_only() {
    if std::env::var_os(NO_RIGHTS).is_some() {
        a_read_only_place().await;
    }
}

async fn a_read_only_place() {
    assert!(permissions_hold(), "this user may do everything");
    let place = Place::new();
    closed_database(&place).await;
    set_mode(&place.database(), 0o440);
    set_mode(place.0.path(), 0o555);
    let told = message(SqliteStore::open(&place.database()));
    assert!(told.contains("write"), "{told}");
    let reader = SqliteReader::open(&place.database()).unwrap();
    assert_eq!(reader.runs(&RunQuery::default()).unwrap().len(), 202);
    set_mode(place.0.path(), 0o755);
    let told = message(SqliteStore::open(&place.database()));
    assert!(told.contains("read-only"), "{told}");
}

#[tokio::test]
#[allow(clippy::print_stderr)]
async fn a_read_only_file_or_folder_is_told_and_can_still_be_read() {
    if permissions_hold() {
        return a_read_only_place().await;
    }
    let Some(child) = without_rights("sqlite_file::child_whose_folder_is_read_only") else {
        eprintln!("left out: root may write everywhere, and setpriv cannot make it another user");
        return;
    };
    let said = String::from_utf8_lossy(&child.stdout);
    let passed = child.status.success() && said.contains("1 passed");
    assert!(passed, "{said}");
}

#[tokio::test]
async fn others_may_not_read_what_the_group_may() {
    let place = Place::new();
    let store = place.open();
    let lease = acquire(&store).await;
    store.commit(lease, history()).await.unwrap();
    let to = place.0.path().join("copy.db");
    store.maintain(Chore::Backup(to)).await.unwrap();
    let umask_allows = {
        let probe = place.0.path().join("probe");
        let mut options = fs::OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .mode(0o640)
            .open(&probe)
            .unwrap();
        fs::metadata(&probe).unwrap().permissions().mode() & 0o777
    };
    for name in [
        "nightcall.db",
        "nightcall.db-wal",
        "nightcall.db.lock",
        "copy.db",
    ] {
        let found = fs::metadata(place.0.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(found & 0o777, umask_allows, "{name}");
    }
}

#[test]
fn reading_what_does_not_exist_says_so_and_creates_nothing() {
    let place = Place::new();
    let Err(StoreError::Unavailable(told)) = SqliteReader::open(&place.database()) else {
        panic!("there is nothing to read");
    };
    assert!(told.contains("no runs were recorded yet"), "{told}");
    assert_eq!(place.names(), [""; 0]);
}

#[tokio::test]
async fn the_command_line_reads_with_a_daemon_and_without() {
    let place = Place::new();
    let store = place.open();
    let lease = acquire(&store).await;
    store.commit(lease.clone(), history()).await.unwrap();
    let beside = SqliteReader::open(&place.database()).unwrap();
    let ever = TimeRange {
        after: Timestamp::MIN,
        upto: Timestamp::MAX,
    };
    let read = |reader: &SqliteReader| {
        let runs: Vec<Run> = reader.runs(&RunQuery::default()).unwrap();
        let story = reader.story(&runs[0].id).unwrap().unwrap();
        assert_eq!((story.records.len(), story.notices.len()), (2, 1));
        assert_eq!(reader.missed(None, ever).unwrap(), []);
        assert_eq!(reader.series().unwrap().len(), 1);
        assert_eq!(reader.mark().unwrap(), Some(hour(3)));
        runs.len()
    };
    assert_eq!(read(&beside), 2);
    store
        .commit(lease, vec![change(&pending_at("c/x", 4))])
        .await
        .unwrap();
    assert_eq!(read(&beside), 3);
    drop((beside, store));
    let bytes = fs::read(place.database()).unwrap();
    let alone = SqliteReader::open(&place.database()).unwrap();
    assert_eq!(read(&alone), 3);
    drop(alone);
    assert!(fs::read(place.database()).unwrap() == bytes);
}

#[tokio::test]
async fn a_backup_is_a_whole_database_and_never_overwrites() {
    let place = Place::new();
    let store = place.open();
    let lease = acquire(&store).await;
    store.commit(lease.clone(), history()).await.unwrap();
    let to = place.0.path().join("copy.db");
    assert!(store.maintain(Chore::Backup(to.clone())).await.unwrap() > 0);
    store
        .commit(lease, vec![change(&pending_at("later/x", 5))])
        .await
        .unwrap();
    let result = store.maintain(Chore::Backup(to.clone())).await;
    assert!(matches!(result, Err(StoreError::Unavailable(told)) if told.contains("already")));
    let copy = SqliteStore::open(&to).unwrap();
    assert_eq!(
        copy.load().await.unwrap(),
        reference().await.load().await.unwrap()
    );
    let nowhere = place.0.path().join("none/copy.db");
    assert!(store.maintain(Chore::Backup(nowhere)).await.is_err());
    assert!(store.load().await.is_ok());
}

#[tokio::test]
async fn a_database_that_was_moved_away_is_not_written_on() {
    let place = Place::new();
    let store = place.open();
    let lease = acquire(&store).await;
    let away = place.0.path().join("away.db");
    fs::rename(place.database(), &away).unwrap();
    let result = store.commit(lease.clone(), history()).await;
    assert!(matches!(result, Err(StoreError::Unavailable(told)) if told.contains("put it back")));
    fs::rename(&away, place.database()).unwrap();
    store.commit(lease.clone(), history()).await.unwrap();
    fs::copy(place.database(), &away).unwrap();
    fs::rename(&away, place.database()).unwrap();
    let result = store.commit(lease, vec![]).await;
    assert!(matches!(result, Err(StoreError::Corrupt(told)) if told.contains("replaced")));
}

#[tokio::test]
async fn the_log_is_moved_into_the_database_and_stays_small() {
    let place = Place::new();
    let store = place.open();
    let lease = acquire(&store).await;
    for n in 0..300 {
        let changes = (0..20).map(|m| change(&pending_at(&format!("s{m}/x"), n)));
        store
            .commit(lease.clone(), changes.collect())
            .await
            .unwrap();
    }
    let log = || {
        fs::metadata(place.0.path().join("nightcall.db-wal"))
            .unwrap()
            .len()
    };
    assert!(log() < 16 << 20, "{}", log());
    assert!(store.maintain(Chore::Checkpoint).await.unwrap() > 0);
    let found = store.runs(RunQuery::default()).await.unwrap();
    assert_eq!(found.len(), 6000);
}

#[tokio::test]
async fn a_burst_of_ten_thousand_runs_is_one_commit() {
    let place = Place::new();
    let store = place.open();
    let lease = acquire(&store).await;
    let runs: Vec<Run> = (0..10_000)
        .map(|n| pending_at(&format!("s{n}/x"), 1))
        .collect();
    let changes = runs.iter().map(change).collect();
    store.commit(lease.clone(), changes).await.unwrap();
    let changes = runs
        .into_iter()
        .map(|run| change(&submitting(run, hour(1))))
        .collect();
    store.commit(lease, changes).await.unwrap();
    assert_eq!(store.load().await.unwrap().live.len(), 10_000);
}

#[tokio::test]
async fn an_outage_is_told_until_the_connection_is_known_to_work() {
    let place = Place::new();
    let store = place.open();
    let lease = acquire(&store).await;
    let told = |kind: NoticeKind, of: &str, since: i64, when: i64| {
        Change::Notice(Notice {
            id: format!("{}:{of}:{}", kind.word(), hour(since)),
            kind,
            body: "no connection: refused\nLook.".to_owned(),
            ..notice("", None, hour(when))
        })
    };
    let down = |of, since, when| told(NoticeKind::Incident, of, since, when);
    let works = |memory| Change::Connection {
        name: "dw".parse().unwrap(),
        memory,
    };
    let accepted = ConnectionMemory {
        accepted: vec![(job("j"), hour(7))],
        proven: None,
    };
    let proven = ConnectionMemory {
        accepted: Vec::new(),
        proven: Some(hour(11)),
    };
    let table = [
        (down("other", 1, 1), None),
        (down("dw", 1, 2), Some(1)),
        // of a host that is called as the connection
        (down("dw:8080", 3, 3), Some(1)),
        (told(NoticeKind::Recovered, "dw", 1, 4), None),
        (down("dw", 5, 6), Some(5)),
        (works(accepted), None),
        (down("dw", 8, 9), Some(8)),
        (down("dw", 10, 10), Some(10)),
        (works(proven), None),
    ];
    for (n, (change, since)) in table.into_iter().enumerate() {
        store.commit(lease.clone(), vec![change]).await.unwrap();
        let reader = SqliteReader::open(&place.database()).unwrap();
        let found = reader.incident(&"dw".parse().unwrap()).unwrap();
        assert_eq!(found.as_ref().map(|i| i.since), since.map(hour), "{n}");
        assert!(found.is_none_or(|i| i.fault == "no connection: refused"));
    }
}
