//! Connections that only read: those of the daemon's reading threads, and the one of the command line, which works
//! with or without a daemon.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::failure::Failure;
use super::{acts, glance, open, place, read};
use crate::sched::act::{Deed, Pause, Skip};
use crate::sched::id::{ConnectionName, RunId, ScheduleName, SeriesId};
use crate::sched::notice::NoticeKind;
use crate::sched::run::Run;
use crate::sched::schedule::Definition;
use crate::sched::step::{Decided, Missed, SavedSeries};
use crate::sched::time::{TimeRange, Timestamp};
use crate::sched::trigger::Occurrence;
use crate::store::{Glance, InForce, Incident, RunQuery, StoreError, Story};

/// One question for a reading thread; it answers by itself.
pub(super) type Question = Box<dyn FnOnce(&mut Reading) + Send>;

/// Answers questions until nobody can ask any more. Several threads share the queue.
pub(super) fn serve(path: PathBuf, questions: &Mutex<Receiver<Question>>) {
    let mut reading = Reading { path, conn: None };
    loop {
        let next = {
            let queue = questions.lock().unwrap_or_else(PoisonError::into_inner);
            queue.recv()
        };
        match next {
            Ok(question) => question(&mut reading),
            Err(_) => return,
        }
    }
}

/// A connection that is opened when it is needed, and anew after it failed.
pub(super) struct Reading {
    path: PathBuf,
    conn: Option<Connection>,
}

impl Reading {
    /// Runs work on the connection.
    pub(super) fn with<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let result = match &self.conn {
            Some(conn) => work(conn),
            None => open::reader(&self.path).and_then(|conn| work(self.conn.insert(conn))),
        };
        result.map_err(|failure| {
            if failure.spoils_connection() {
                self.conn = None;
            }
            failure.tell(&self.path)
        })
    }

    /// Runs work that sees one state throughout.
    pub(super) fn snapshot<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.with(|conn| snapshot(conn, work))
    }
}

fn snapshot<T>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let transaction = conn.unchecked_transaction()?;
    let value = work(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

/// The database as the command line reads it: without a lock, without a daemon, and without creating anything.
///
/// Meant to live as long as one command. Blocks while it reads.
#[derive(Debug)]
pub struct SqliteReader {
    path: PathBuf,
    conn: Connection,
}

impl SqliteReader {
    /// Opens the database. A missing file is [`StoreError::Unavailable`] with a sentence that says so.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let path = place::resolve(path)?;
        let path = path.as_path();
        match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(StoreError::Unavailable(format!(
                    "no runs were recorded yet: {} does not exist; the daemon makes it when it \
                     starts",
                    path.display()
                )));
            }
            Ok(found) if found.is_file() && found.len() == 0 => return Err(open::empty(path)),
            _ => {}
        }
        let conn = open::reader(path).or_else(|failure| match without_files_beside(&failure) {
            true if !log_holds_commits(path) => open::still_reader(path),
            true => Err(StoreError::Unavailable(format!(
                "{}: the last commits are still in its -wal file, and reading that needs the \
                 right to write in the folder; start the daemon, or read as its user",
                path.display()
            ))
            .into()),
            false => Err(failure),
        });
        Ok(Self {
            conn: conn.map_err(|failure| failure.tell(path))?,
            path: path.to_owned(),
        })
    }

    /// Lets somebody else look, who judges failures by himself.
    pub(super) fn look<T>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        look(&self.conn)
    }

    fn ask<T>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        snapshot(&self.conn, question).map_err(|failure| failure.tell(&self.path))
    }

    /// The runs that match, by instant, oldest first.
    pub fn runs(&self, query: &RunQuery) -> Result<Vec<Run>, StoreError> {
        self.ask(|conn| read::runs(conn, query))
    }

    /// One run with its records, `None` when there is none.
    pub fn story(&self, run: &RunId) -> Result<Option<Story>, StoreError> {
        self.ask(|conn| read::story(conn, run))
    }

    /// What was missed in bulk: of a series (of all when `None`), overlapping the range.
    pub fn missed(
        &self,
        series: Option<&SeriesId>,
        range: TimeRange,
    ) -> Result<Vec<Missed>, StoreError> {
        self.ask(|conn| read::missed(conn, series, range))
    }

    /// What people did in a range of time, in order.
    pub fn deeds(&self, range: TimeRange) -> Result<Vec<Deed>, StoreError> {
        self.ask(|conn| acts::deeds(conn, range))
    }

    /// The last time up to a moment that somebody did this to a schedule, or to all.
    pub fn last_deed(
        &self,
        act: &str,
        schedule: &ScheduleName,
        upto: Timestamp,
    ) -> Result<Option<Deed>, StoreError> {
        self.ask(|conn| acts::last_deed(conn, act, schedule, upto))
    }

    /// Pauses that are in force.
    pub fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.ask(acts::pauses)
    }

    /// Wishes to skip that are in force.
    pub fn skips(&self) -> Result<Vec<Skip>, StoreError> {
        self.ask(acts::skips)
    }

    /// Open series: own cursor and the definition they were planned with.
    pub fn series(&self) -> Result<Vec<SavedSeries>, StoreError> {
        self.ask(read::series)
    }

    /// What is planned now, and what holds, all of one moment.
    pub fn in_force(&self) -> Result<InForce, StoreError> {
        self.ask(read::in_force)
    }

    /// Of each of these series the newest planned runs after a time, at most so many, each with its definition.
    pub fn planned_after(
        &self,
        series: &[SeriesId],
        after: Timestamp,
        most: usize,
    ) -> Result<Vec<(Decided, Arc<Definition>)>, StoreError> {
        self.ask(|conn| read::planned_after(conn, series, after, most))
    }

    /// The newest outage of a connection that people were told of, unless the connection has worked since.
    pub fn incident(&self, connection: &ConnectionName) -> Result<Option<Incident>, StoreError> {
        self.ask(|conn| read::incident(conn, connection))
    }

    /// Shows every series that is open or on record, in their order, each with its runs of a range: by instant, later
    /// generations after earlier ones. No more than one series is in memory at a time.
    pub fn each_series(
        &self,
        range: TimeRange,
        look: &mut dyn FnMut(&SeriesId, Vec<Glance>),
    ) -> Result<(), StoreError> {
        self.ask(|conn| glance::each_series(conn, range, look))
    }

    /// How long the newest runs of a series took that succeeded and lie before a time, at most so many.
    pub fn took_before(
        &self,
        series: &SeriesId,
        before: Timestamp,
        most: usize,
    ) -> Result<Vec<Duration>, StoreError> {
        self.ask(|conn| glance::took_before(conn, series, before, most))
    }

    /// How many notices of each kind there were in a range of time, the most frequent first.
    pub fn notices_by_kind(&self, range: TimeRange) -> Result<Vec<(NoticeKind, u64)>, StoreError> {
        self.ask(|conn| glance::notices_by_kind(conn, range))
    }

    /// The instant of the oldest of the so many newest runs of a series; `None` when it has fewer.
    pub fn oldest_of_newest(
        &self,
        series: &SeriesId,
        many: u64,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.ask(|conn| glance::oldest_of_newest(conn, series, many))
    }

    /// Whether a run of the series with this nominal time is on record, wherever a former zone placed it.
    pub fn has_nominal(
        &self,
        series: &SeriesId,
        occurrence: &Occurrence,
    ) -> Result<bool, StoreError> {
        self.ask(|conn| glance::has_nominal(conn, series, occurrence))
    }

    /// Every occurrence of every open series up to this time is decided; `None` before the first decision.
    pub fn mark(&self) -> Result<Option<Timestamp>, StoreError> {
        self.ask(read::mark)
    }
}

/// Whether it failed because the files beside the database could not be made.
fn without_files_beside(failure: &Failure) -> bool {
    let Failure::Sql(error) = failure else {
        return false;
    };
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
    )
}

fn log_holds_commits(path: &Path) -> bool {
    fs::metadata(open::beside(path, "-wal")).is_ok_and(|wal| wal.len() > 0)
}
