//! What SQLite says, into what the caller decides by.

use std::path::Path;

use rusqlite::ErrorCode;

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
    pub(super) fn tell(self, path: &Path) -> StoreError {
        let path = path.display();
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
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                unavailable("let this user write the file and its folder")
            }
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
                StoreError::Corrupt(format!(
                    "{path}: {error} ({}); keep the file, and put a backup in its place",
                    code(&error)
                ))
            }
            _ => StoreError::Corrupt(format!("{path}: {error}")),
        }
    }
}

fn code(error: &rusqlite::Error) -> String {
    error.sqlite_error().map_or_else(
        || "no code".to_owned(),
        |e| format!("code {}", e.extended_code),
    )
}
