//! What can be said of a database without writing to it: its size and rights, the room around it, what it remembers of
//! connections, and whether it is sound.
//!
//! The file itself is opened by SQLite alone: a process that closes a file of its own loses every lock that it has on it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::failure::Failure;
use super::{SqliteReader, open, place, read};
use crate::sched::id::ConnectionName;
use crate::sched::step::ConnectionMemory;
use crate::store::StoreError;

/// A database as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkup {
    /// The file, behind every symbolic link.
    pub path: PathBuf,
    /// Its size in bytes; `None` when there is none yet.
    pub bytes: Option<u64>,
    /// The permission bits of the file and of its log, together.
    pub mode: u32,
    /// The size of the write-ahead log in bytes.
    pub wal: u64,
    /// Bytes that this user may still write on its file system; `None` where nobody tells.
    pub free: Option<u64>,
    /// Whether it is sound.
    pub soundness: Soundness,
    /// What it remembers of connections, by name.
    pub connections: Vec<(ConnectionName, ConnectionMemory)>,
}

/// Whether a database is sound, as far as somebody looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Soundness {
    /// There is no database yet.
    Absent,
    /// Every page was looked at, and they fit together.
    Sound,
    /// Nothing wrong was found before the time was over.
    Unfinished,
    /// It is damaged, in these words.
    Damaged(String),
    /// It cannot be read.
    Unreadable(StoreError),
}

impl Checkup {
    /// Looks at the database. Blocks, with the check of its pages for at most `limit`; `deep` also compares each index
    /// with its table, however long that takes.
    pub fn of(path: &Path, deep: bool, limit: Duration) -> Self {
        let (path, refused) = match place::resolve(path) {
            Ok(resolved) => (resolved, None),
            Err(error) => (path.to_owned(), Some(error)),
        };
        let found = fs::metadata(&path).ok();
        let log = fs::metadata(open::beside(&path, "-wal")).ok();
        let mode = |found: &Option<fs::Metadata>| found.as_ref().map_or(0, |f| f.mode() & 0o777);
        let mut checkup = Self {
            bytes: found.as_ref().map(fs::Metadata::len),
            mode: mode(&found) | mode(&log),
            wal: log.map_or(0, |log| log.len()),
            free: free(place::folder(&path)),
            soundness: Soundness::Absent,
            connections: Vec::new(),
            path,
        };
        match refused {
            Some(error) => checkup.soundness = Soundness::Unreadable(error),
            None if found.is_some() => checkup.read(deep, limit),
            None => {}
        }
        checkup
    }

    fn read(&mut self, deep: bool, limit: Duration) {
        let reader = match SqliteReader::open(&self.path) {
            Ok(reader) => reader,
            Err(StoreError::Corrupt(what)) => return self.soundness = Soundness::Damaged(what),
            Err(error) => return self.soundness = Soundness::Unreadable(error),
        };
        let limit = if deep { Duration::MAX } else { limit };
        self.soundness = match reader.look(|conn| verdict(conn, deep, limit)) {
            Ok(Some(verdict)) if verdict == "ok" => Soundness::Sound,
            Ok(Some(verdict)) => Soundness::Damaged(first_line(&verdict)),
            Ok(None) => Soundness::Unfinished,
            Err(failure) => self.failed(failure),
        };
        if let Ok(connections) = reader.look(read::connections) {
            self.connections = connections;
        }
    }

    fn failed(&self, failure: Failure) -> Soundness {
        if let Failure::Sql(error) = &failure
            && let Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) =
                error.sqlite_error_code()
        {
            return Soundness::Damaged(error.to_string());
        }
        match failure.tell(&self.path) {
            StoreError::Corrupt(what) => Soundness::Damaged(what),
            error => Soundness::Unreadable(error),
        }
    }
}

fn first_line(verdict: &str) -> String {
    verdict.lines().next().unwrap_or_default().to_owned()
}

/// SQLite's word on the pages; `None` when it was interrupted.
fn verdict(conn: &Connection, deep: bool, limit: Duration) -> Result<Option<String>, Failure> {
    let pragma = if deep {
        "integrity_check"
    } else {
        "quick_check"
    };
    let handle = conn.get_interrupt_handle();
    let (ended, end) = channel::<()>();
    let said = thread::scope(|scope| {
        scope.spawn(move || {
            // Whoever ends in time hangs up.
            if let Err(RecvTimeoutError::Timeout) = end.recv_timeout(limit) {
                handle.interrupt();
            }
        });
        let said = conn.pragma_query_value(None, pragma, |row| row.get::<_, String>(0));
        drop(ended);
        said
    });
    match said {
        Ok(said) => Ok(Some(said)),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(target_os = "linux")]
fn free(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(not(target_os = "linux"))]
fn free(_folder: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::store::sqlite::SqliteStore;

    const LONG: Duration = Duration::from_secs(60);

    fn database() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n.db");
        drop(SqliteStore::open(&path).unwrap());
        (folder, path)
    }

    /// So much of it that looking takes a while.
    fn fill(path: &Path, rows: u32) {
        let conn = Connection::open(path).unwrap();
        let many = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO notices (id, kind, at, subject, body)
             SELECT i, 'bug', i, 'x', hex(randomblob(1000)) FROM n"
        );
        conn.execute_batch(&many).unwrap();
    }

    #[test]
    fn a_sound_database_is_called_sound_both_ways() {
        let (_folder, path) = database();
        for deep in [false, true] {
            let checkup = Checkup::of(&path, deep, LONG);
            assert_eq!(checkup.soundness, Soundness::Sound);
            assert_eq!(checkup.mode, 0o640);
            assert!(checkup.bytes.unwrap() > 0 && checkup.free != Some(0));
        }
    }

    #[test]
    fn nothing_is_made_where_there_is_no_database() {
        let folder = tempfile::tempdir().unwrap();
        let checkup = Checkup::of(&folder.path().join("n.db"), false, LONG);
        assert_eq!(checkup.soundness, Soundness::Absent);
        assert_eq!((checkup.bytes, checkup.wal), (None, 0));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_large_database_is_looked_at_for_no_longer_than_the_limit() {
        let (_folder, path) = database();
        fill(&path, 40_000);
        let limit = Duration::from_millis(1);
        assert_eq!(
            Checkup::of(&path, false, limit).soundness,
            Soundness::Unfinished
        );
        assert_eq!(Checkup::of(&path, true, limit).soundness, Soundness::Sound);
    }

    #[test]
    fn damage_in_the_middle_of_the_file_is_found() {
        let (_folder, path) = database();
        fill(&path, 2000);
        drop(SqliteStore::open(&path).unwrap());
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2 / 4096 * 4096;
        bytes[middle..middle + 4096].fill(0x5a);
        fs::write(&path, bytes).unwrap();
        let checkup = Checkup::of(&path, false, LONG);
        let Soundness::Damaged(what) = checkup.soundness else {
            panic!("{checkup:?}");
        };
        assert!(!what.is_empty() && !what.contains('\n'), "{what}");
    }

    #[test]
    fn a_file_that_is_no_database_is_damaged_and_a_folder_cannot_be_read() {
        let (folder, path) = database();
        fs::write(
            &path,
            "no database at all, but more than nothing ".repeat(100),
        )
        .unwrap();
        let found = Checkup::of(&path, false, LONG).soundness;
        assert!(matches!(found, Soundness::Damaged(_)), "{found:?}");
        let found = Checkup::of(folder.path(), false, LONG).soundness;
        assert!(matches!(found, Soundness::Unreadable(_)), "{found:?}");
    }
}
