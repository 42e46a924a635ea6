//! What SQLite says, into what the caller decides by.

use std::fs::File;
use std::io;
use std::path::Path;

use rusqlite::ErrorCode;

use super::open::beside;
use crate::store::StoreError;

/// Why something did not work, before it is told.
#[derive(Debug)]
pub(super) enum Failure {
    /// SQLite says so.
    Sql(rusqlite::Error),
    /// We say so.
    Told(StoreError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Told(error)
    }
}

/// A value in the file that cannot be read.
pub(super) fn unreadable(what: &str, value: &str) -> Failure {
    Failure::Told(StoreError::Corrupt(format!("{value:?} is not {what}")))
}

impl Failure {
    /// Whether the connection should be opened anew before it is used again.
    pub(super) fn spoils_connection(&self) -> bool {
        match self {
            Self::Told(_) => false,
            Self::Sql(error) => !matches!(
                error.sqlite_error_code(),
                Some(
                    ErrorCode::DiskFull
                        | ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::ConstraintViolation
                )
            ),
        }
    }

    /// The error for the caller, with the file and what to do about it.
    pub(super) fn tell(self, file: &Path) -> StoreError {
        let path = file.display();
        let error = match self {
            Self::Told(StoreError::Corrupt(what)) if !what.contains(&path.to_string()) => {
                return StoreError::Corrupt(format!("{path}: {what}"));
            }
            Self::Told(error) => return error,
            Self::Sql(error) => error,
        };
        let unavailable = |remedy: &str| {
            StoreError::Unavailable(format!("{path}: {error} ({}); {remedy}", code(&error)))
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => unavailable("free some space on the disk"),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => unavailable(
                "let this user write the file and its folder; if it could, look at the disk \
                     and at the system's log",
            ),
            Some(ErrorCode::CannotOpen) => {
                unavailable("see that the folder exists and that this user may write in it")
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                unavailable("another program keeps it locked, perhaps an sqlite3 shell: close it")
            }
            Some(ErrorCode::SystemIoFailure) => {
                unavailable("look at the disk (full? read-only? broken?) and at the system's log")
            }
            Some(ErrorCode::OutOfMemory | ErrorCode::OperationInterrupted) => {
                unavailable("it is tried again")
            }
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                damage(file, &format!("{error} ({})", code(&error)))
            }
            _ => StoreError::Corrupt(format!("{path}: {error}")),
        }
    }
}

/// What is told of pages that do not fit together. SQLite takes a page that the disk does not give it for a damaged
/// one; then it is the disk that is told, and the database may be sound.
pub(super) fn damage(path: &Path, what: &str) -> StoreError {
    let path_shown = path.display();
    match read_through(path) {
        Ok(()) => StoreError::Corrupt(format!(
            "{path_shown}: {what}; keep the file, and put a backup in its place"
        )),
        Err(error) => StoreError::Unavailable(format!(
            "{path_shown}: it cannot be read ({error}); look at the disk and at the system's log"
        )),
    }
}

fn read_through(path: &Path) -> io::Result<()> {
    for file in [path.to_owned(), beside(path, "-wal")] {
        match File::open(&file) {
            Ok(mut file) => io::copy(&mut file, &mut io::sink()).map(drop)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn code(error: &rusqlite::Error) -> String {
    error.sqlite_error().map_or_else(
        || "no code".to_owned(),
        |e| format!("code {}", e.extended_code),
    )
}
