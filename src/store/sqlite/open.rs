//! Opening and creating the file: everything that can be wrong with it is found and told here, before anything is
//! written.
//!
//! Invariants: one process writes a database, kept so by an exclusive lock on `<database>.lock`, where `<database>` is
//! the file behind every symbolic link; a file that is damaged or not ours is never changed; a database appears under
//! its name only when it is whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::failure::{Failure, damage};
use super::migrate;
use super::place::folder;
use crate::store::StoreError;

/// How long another program's lock is waited for.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// A write-ahead log above this size is cut when it has been moved into the database.
pub(super) const WAL_LIMIT: u64 = 32 << 20;

/// Pages in the log at which SQLite moves them within a commit.
const LOG_PAGES: i64 = 8192;

/// Databases up to this size are checked at each start, page by page and each index against its table, in about a
/// second; larger ones as they are read.
const CHECKED: u64 = 64 << 20;

/// The owner writes, the group reads, nobody else.
const MODE: u32 = 0o640;

/// A file by what the file system calls it, whatever its name is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// The file that has this name now.
    pub(super) fn of(path: &Path) -> std::io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }
}

/// The path with something put behind its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// It cannot be used, and what to do about that.
pub(super) fn unavailable(path: &Path, what: impl std::fmt::Display, remedy: &str) -> StoreError {
    StoreError::Unavailable(format!("{}: {what}; {remedy}", path.display()))
}

/// The file system refused. A full or read-only disk needs another remedy than the usual one.
fn refused(path: &Path, error: &std::io::Error, usual: &str) -> StoreError {
    let remedy = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space on the disk",
        ErrorKind::ReadOnlyFilesystem => {
            "mount it so that this user may write; if it was writable before, look at the disk and \
             at the system's log"
        }
        _ => usual,
    };
    unavailable(path, error, remedy)
}

fn corrupt(path: &Path, what: &str) -> StoreError {
    StoreError::Corrupt(format!("{}: {what}", path.display()))
}

/// What is said of a file without content. Ours appear under their name only when they are whole.
pub(super) fn empty(path: &Path) -> StoreError {
    corrupt(
        path,
        "it is empty, so it is no database, or what was in it is gone; put a backup in its place, \
         or delete it to begin anew",
    )
}

/// Refuses what is there but is no file, before anything is made beside it.
pub(super) fn no_other_thing(path: &Path) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(unavailable(
            path,
            "it is not a file",
            "name the file of the database",
        )),
        // What else may be wrong is told by whoever opens it.
        _ => Ok(()),
    }
}

/// Takes the lock of this database for as long as the file is kept; the lock goes with the process, however it ends.
/// The path must be resolved: the lock is named after it, and a database has one lock, whatever leads to it.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    let place = beside(path, ".lock");
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(MODE);
    let mut file = options.open(&place).map_err(|error| {
        let remedy = match error.kind() {
            ErrorKind::NotFound => "make the folder, or name another one",
            _ => "let this user write in the folder (under systemd: StateDirectory=)",
        };
        refused(&place, &error, remedy)
    })?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(held_by(&mut file, &place)),
        Err(TryLockError::Error(error)) => {
            return Err(unavailable(
                &place,
                error,
                "put the database on a file system with locks",
            ));
        }
    }
    // Only for the message of the one who finds it taken: the lock holds without it.
    let noted = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    noted.map_err(|error| refused(&place, &error, "look at the disk and at the system's log"))?;
    Ok(file)
}

fn held_by(file: &mut File, place: &Path) -> StoreError {
    let mut text = String::new();
    let pid = match file.take(32).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "unknown".to_owned(),
    };
    StoreError::Fenced {
        holder: format!("pid {pid}, which locks {}", place.display()),
    }
}

/// Makes sure that there is a database that is ours and sound, and makes an empty one when there is none. It must be
/// [no other thing](no_other_thing), and the lock must be held.
pub(super) fn prepare(path: &Path) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => create(path),
        Err(error) => Err(unavailable(path, error, "let this user read and write it")),
        Ok(found) if found.len() == 0 => Err(empty(path)),
        Ok(found) => inspect(path, found.len() <= CHECKED).map_err(|failure| failure.tell(path)),
    }
}

/// Looks at a database without changing it.
fn inspect(path: &Path, whole: bool) -> Result<(), Failure> {
    let conn = Connection::open_with_flags(path, reading())?;
    conn.busy_timeout(BUSY)?;
    migrate::version(&conn)?;
    if whole {
        let verdict: String = conn.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
        if verdict != "ok" {
            let first = verdict.lines().next().unwrap_or_default();
            return Err(damage(path, &format!("its pages do not fit together ({first})")).into());
        }
    }
    Ok(())
}

/// Makes a new database under another name and gives it its own name when it is whole and on the disk.
fn create(path: &Path) -> Result<(), StoreError> {
    if beside(path, "-wal").exists() {
        return Err(corrupt(
            path,
            "it is gone but its -wal file is still there, with runs in it; put it back, or move \
             the -wal file away to begin anew",
        ));
    }
    let draft = beside(path, ".new");
    for suffix in ["", "-journal", "-wal", "-shm"] {
        match fs::remove_file(beside(&draft, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(refused(&draft, &error, "let this user write in the folder"));
            }
            _ => {}
        }
    }
    new_file(&draft)
        .and_then(|()| fill(&draft).map_err(|failure| failure.tell(&draft)))
        .and_then(|()| {
            fs::rename(&draft, path)
                .and_then(|()| File::open(folder(path))?.sync_all())
                .map_err(|error| refused(path, &error, "let this user write in the folder"))
        })
}

/// Makes an empty file that must not exist yet.
pub(super) fn new_file(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(MODE);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(unavailable(
            path,
            "there is such a file already",
            "name another one",
        )),
        Err(error) => Err(refused(path, &error, "let this user write in the folder")),
    }
}

fn fill(draft: &Path) -> Result<(), Failure> {
    let mut conn = Connection::open_with_flags(draft, writing())?;
    durable(&conn)?;
    migrate::initialise(&mut conn)?;
    conn.close().map_err(|(_, error)| error.into())
}

fn reading() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn writing() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// What makes a commit survive a power cut.
fn durable(conn: &Connection) -> Result<(), Failure> {
    let mode: String =
        conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Unavailable(format!(
            "no write-ahead log can be kept on this file system (mode {mode}); put the database \
             on a disk of this machine"
        ))
        .into());
    }
    conn.pragma_update(None, "synchronous", "full")?;
    Ok(())
}

/// The one connection that writes. The database must exist.
pub(super) fn writer(path: &Path) -> Result<Connection, Failure> {
    let mut conn = Connection::open_with_flags(path, writing())?;
    conn.busy_timeout(BUSY)?;
    if conn.is_readonly("main")? {
        return Err(unavailable(path, "it is read-only", "let this user write it").into());
    }
    migrate::version(&conn)?;
    durable(&conn)?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "journal_size_limit", WAL_LIMIT.cast_signed())?;
    conn.pragma_update(None, "cache_size", -8192)?;
    // The writer moves the log itself, after it has answered; this is the net below.
    conn.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
    // Each statement keeps a small journal of its own; in files they double the cost of a large commit.
    conn.pragma_update(None, "temp_store", "memory")?;
    conn.set_prepared_statement_cache_capacity(64);
    migrate::upgrade(&mut conn)?;
    // Taking the write lock needs the files beside the database: what is wrong with them shows now.
    conn.execute_batch("BEGIN IMMEDIATE; COMMIT")?;
    Ok(conn)
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, Failure> {
    let conn = Connection::open_with_flags(path, reading())?;
    only_read(&conn)?;
    Ok(conn)
}

/// A connection to a file that nobody writes: it needs no files beside it.
pub(super) fn still_reader(path: &Path) -> Result<Connection, Failure> {
    let uri = format!("file:{}?immutable=1", percent_encoded(path));
    let conn = Connection::open_with_flags(uri, reading() | OpenFlags::SQLITE_OPEN_URI)?;
    only_read(&conn)?;
    Ok(conn)
}

fn only_read(conn: &Connection) -> Result<(), Failure> {
    conn.busy_timeout(BUSY)?;
    conn.pragma_update(None, "query_only", true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "cache_size", -4096)?;
    conn.set_prepared_statement_cache_capacity(32);
    let found = migrate::version(conn)?;
    if found < migrate::KNOWN {
        return Err(StoreError::Unavailable(format!(
            "the database has version {found}, written by an older nightcall; restart the daemon \
             (start it, if it does not run): it brings it to version {}",
            migrate::KNOWN
        ))
        .into());
    }
    Ok(())
}

fn percent_encoded(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .map(|&byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_are_encoded_for_sqlite() {
        assert_eq!(
            percent_encoded(Path::new("/a b/ü?.db")),
            "/a%20b/%C3%BC%3F.db"
        );
    }
}
