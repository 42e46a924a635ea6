//! Forward-only numbered migrations: each is one SQL file, applied with its number in one transaction.
//!
//! Invariant: a migration that was released is never edited; a change is the next number.

use rusqlite::{Connection, TransactionBehavior};

use super::failure::Failure;
use crate::store::StoreError;

/// Marks the file as ours in its header (`NCAL`).
pub(super) const APPLICATION_ID: i32 = 0x4E43_414C;

const MIGRATIONS: [&str; 5] = [
    include_str!("migrations/0001_init.sql"),
    include_str!("migrations/0002_acts.sql"),
    include_str!("migrations/0003_lean.sql"),
    include_str!("migrations/0004_resolved.sql"),
    include_str!("migrations/0005_outbox.sql"),
];

/// The version that this program writes and reads.
pub(super) const KNOWN: u32 = MIGRATIONS.len() as u32;

/// The version of a database; an error when it is not ours or newer than [`KNOWN`].
pub(super) fn version(conn: &Connection) -> Result<u32, Failure> {
    let application: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let found: u32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if application != APPLICATION_ID || found == 0 {
        return Err(StoreError::Corrupt(format!(
            "it is a database of another program (application id {application:#x}, version \
             {found}); name another file"
        ))
        .into());
    }
    if found > KNOWN {
        return Err(StoreError::TooNew {
            found,
            known: KNOWN,
        }
        .into());
    }
    Ok(found)
}

/// Makes a new, empty database ours, at the newest version.
pub(super) fn initialise(conn: &mut Connection) -> Result<(), Failure> {
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    apply(conn, &MIGRATIONS, 0)
}

/// Brings a database of an older version to the newest.
pub(super) fn upgrade(conn: &mut Connection) -> Result<(), Failure> {
    let found = version(conn)?;
    apply(conn, &MIGRATIONS, found)
}

/// Applies the migrations after number `found`.
fn apply(conn: &mut Connection, migrations: &[&str], found: u32) -> Result<(), Failure> {
    for (number, sql) in (1u32..).zip(migrations).skip(found as usize) {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    fn user_version(conn: &Connection) -> u32 {
        conn.pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn each_migration_is_applied_once_and_in_order() {
        let mut conn = Connection::open_in_memory().unwrap();
        let first = ["CREATE TABLE a (x); INSERT INTO a VALUES (1)"];
        apply(&mut conn, &first, 0).unwrap();
        assert_eq!(user_version(&conn), 1);
        let both = [first[0], "UPDATE a SET x = x + 1"];
        apply(&mut conn, &both, 1).unwrap();
        apply(&mut conn, &both, 2).unwrap();
        let x: i64 = conn
            .query_row("SELECT x FROM a", [], |row| row.get(0))
            .unwrap();
        assert_eq!((user_version(&conn), x), (2, 2));
    }

    #[test]
    fn a_migration_that_fails_leaves_the_version_before_it() {
        let mut conn = Connection::open_in_memory().unwrap();
        let list = [
            "CREATE TABLE a (x)",
            "CREATE TABLE b (x); CREATE TABLE a (x)",
        ];
        assert!(apply(&mut conn, &list, 0).is_err());
        assert_eq!(user_version(&conn), 1);
        assert!(conn.prepare("SELECT * FROM b").is_err());
    }

    #[test]
    fn a_new_database_is_ours_and_has_the_newest_version() {
        let mut conn = Connection::open_in_memory().unwrap();
        assert!(version(&conn).is_err());
        initialise(&mut conn).unwrap();
        assert_eq!(version(&conn).unwrap(), KNOWN);
    }

    /// A migration that has much to do, so that it can be interrupted.
    const LONG: &str = "CREATE TABLE grown (key INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
        WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 6000)
            INSERT INTO grown SELECT x, hex(randomblob(64)) FROM n;
        UPDATE runs SET config = 'moved';
        CREATE INDEX grown_text ON grown (text);
        UPDATE grown SET text = text || '!'";

    /// The present migrations and the long one.
    fn longer() -> Vec<&'static str> {
        MIGRATIONS.into_iter().chain([LONG]).collect()
    }

    /// A copy of the oldest database that is kept, at the present version.
    fn present(folder: &Path) -> PathBuf {
        let path = folder.join("nightcall.db");
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/store/v1.sqlite");
        std::fs::copy(kept, &path).unwrap();
        upgrade(&mut opened(&path)).unwrap();
        path
    }

    fn opened(path: &Path) -> Connection {
        let conn = Connection::open(path).unwrap();
        conn.pragma_update(None, "journal_mode", "wal").unwrap();
        conn.pragma_update(None, "synchronous", "full").unwrap();
        conn
    }

    /// Whether the migration is there; it must be there whole or not at all, and nothing else may have changed.
    fn migrated(path: &Path) -> bool {
        let conn = opened(path);
        let check: String = conn
            .pragma_query_value(None, "integrity_check", |row| row.get(0))
            .unwrap();
        assert_eq!(check, "ok");
        let count = |sql: &str| conn.query_row::<i64, _, _>(sql, [], |row| row.get(0));
        assert_eq!(count("SELECT count(*) FROM runs").unwrap(), 10);
        let moved = count("SELECT count(*) FROM runs WHERE config = 'moved'").unwrap();
        let done = count("SELECT count(*) FROM grown WHERE text LIKE '%!'");
        let whole = user_version(&conn) == KNOWN + 1;
        assert_eq!(
            (moved, done.ok()),
            if whole { (10, Some(6_000)) } else { (0, None) }
        );
        whole
    }

    const CHILD: &str = "NIGHTCALL_TEST_MIGRATED_DATABASE";

    /// The file by which the child tells that its migration begins.
    fn begun(path: &Path) -> PathBuf {
        path.with_extension("begun")
    }

    /// Not a test of its own: run by the one below in a process of its own.
    #[test]
    fn child_that_migrates() {
        if let Some(path) = std::env::var_os(CHILD) {
            let path = Path::new(&path);
            let mut conn = opened(path);
            std::fs::write(begun(path), b"").unwrap();
            apply(&mut conn, &longer(), KNOWN).unwrap();
        }
    }

    fn start_child(path: &Path) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "store::sqlite::migrate::tests::child_that_migrates",
            ])
            .env(CHILD, path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// A child whose migration has just begun.
    fn child_at_work(path: &Path) -> Child {
        let mut child = start_child(path);
        let since = Instant::now();
        while !begun(path).exists() {
            let patient = since.elapsed() < Duration::from_secs(30);
            let ended = child.try_wait().unwrap();
            assert!(patient && ended.is_none(), "it migrates nothing: {ended:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
        child
    }

    #[test]
    fn a_process_killed_in_a_migration_leaves_the_version_before_and_the_next_one_completes_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = present(folder.path());
        let mut child = child_at_work(&path);
        let since = Instant::now();
        assert!(child.wait().unwrap().success());
        let whole = since.elapsed();
        assert!(migrated(&path), "the child migrates nothing");
        let mut cut_short = 0;
        for part in 1..=5 {
            let folder = tempfile::tempdir().unwrap();
            let path = present(folder.path());
            let mut child = child_at_work(&path);
            std::thread::sleep(whole * part / 6);
            child.kill().unwrap();
            child.wait().unwrap();
            if !migrated(&path) {
                cut_short += 1;
                apply(&mut opened(&path), &longer(), KNOWN).unwrap();
                assert!(migrated(&path));
            }
        }
        assert!(cut_short > 0, "none of the kills came in time");
    }

    #[test]
    fn a_migration_that_finds_the_disk_full_leaves_the_version_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = present(folder.path());
        for pages in [40, 100, 200] {
            let mut conn = opened(&path);
            conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
                .unwrap();
            let failed = apply(&mut conn, &longer(), KNOWN).unwrap_err();
            assert!(matches!(failed, Failure::Sql(e) if e.to_string().contains("full")));
            drop(conn);
            assert!(!migrated(&path), "{pages}");
        }
    }
}
