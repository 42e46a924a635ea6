//! The one thread that writes. Commits that wait are made durable together; each is answered after that.
//!
//! Invariant: an answer `Ok` means that the changes are on the disk; any other answer means that none of them are
//! stored. One exception: after an I/O error while they were made durable, a crash may bring them back, all of them.
//! Whoever goes on after an error therefore loads anew, and trusts nothing that it had in memory.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::chores;
use super::commit::{self, Known};
use super::failure::Failure;
use super::open::{self, Identity};
use crate::sched::step::Change;
use crate::store::{Lease, StoreError};

/// The most changes that are taken together, unless one commit alone holds more.
const TOGETHER: usize = 4096;

/// About so many pages in the log are moved into the database at once.
const LOG: usize = 1000;

/// About so many pages a commit writes beside one for each change.
const COMMIT: usize = 4;

/// What waits for the writer.
pub(super) enum Work {
    /// Changes to store.
    Commit(Commit),
    /// Anything else, answered by itself.
    Other(Box<dyn FnOnce(&mut Writer) + Send>),
}

/// Changes to store, and whom to give them back.
pub(super) struct Commit {
    pub(super) lease: Lease,
    pub(super) changes: Vec<Change>,
    pub(super) reply: oneshot::Sender<Result<Vec<Change>, StoreError>>,
}

/// The connection that writes, with the lock that makes it the only one.
pub(super) struct Writer {
    path: PathBuf,
    identity: Identity,
    conn: Option<Connection>,
    known: Known,
    given: Option<u64>,
    /// About so many pages were written since the log was moved.
    logged: usize,
    _lock: File,
}

impl Writer {
    /// Opens the database, which must exist; the lock must be held.
    pub(super) fn open(path: PathBuf, lock: File) -> Result<Self, StoreError> {
        let conn = open::writer(&path).map_err(|failure| failure.tell(&path))?;
        let identity = Identity::of(&path)
            .map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))?;
        Ok(Self {
            path,
            identity,
            conn: Some(conn),
            known: Known::default(),
            given: None,
            logged: 0,
            _lock: lock,
        })
    }

    /// Works until nobody can ask any more.
    pub(super) fn serve(mut self, work: &Receiver<Work>) {
        while let Ok(first) = work.recv() {
            let mut next = Some(first);
            while let Some(work_item) = next.take() {
                match work_item {
                    Work::Other(act) => act(&mut self),
                    Work::Commit(commit) => {
                        let (batch, after) = gather(commit, work);
                        self.commit(batch);
                        self.known.let_go();
                        self.keep_log_small();
                        next = after;
                    }
                }
            }
        }
    }

    /// The database.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The epoch of the lease that was given last under the present lock.
    pub(super) fn given(&self) -> Option<u64> {
        self.given
    }

    /// Remembers that this lease was given.
    pub(super) fn give(&mut self, lease: &Lease) {
        self.given = Some(lease.epoch);
    }

    /// Runs work in one transaction, which is durable when this gives back `Ok` and undone otherwise.
    pub(super) fn transaction<T>(
        &mut self,
        work: impl FnOnce(&Connection, &mut Known) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.with(|conn, known| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction, known)?;
            transaction.commit()?;
            Ok(value)
        })
    }

    /// Runs work on the connection; after a failure of the file it is opened anew for the next work.
    pub(super) fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Connection, &mut Known) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let result = self.attempt(work);
        result.map_err(|failure| {
            self.known.forget();
            // One whose transaction could not be undone keeps the lock.
            let stuck = self.conn.as_ref().is_some_and(|conn| !conn.is_autocommit());
            if stuck || failure.spoils_connection() {
                self.conn = None;
            }
            failure.tell(&self.path)
        })
    }

    fn attempt<T>(
        &mut self,
        work: impl FnOnce(&mut Connection, &mut Known) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.still_there()?;
        let conn = match &mut self.conn {
            Some(conn) => conn,
            none => none.insert(open::writer(&self.path)?),
        };
        work(conn, &mut self.known)
    }

    /// A file that was moved away can still be written, and nobody would ever read it.
    fn still_there(&self) -> Result<(), StoreError> {
        let path = self.path.display();
        match Identity::of(&self.path) {
            Ok(identity) if identity == self.identity => Ok(()),
            Ok(_) => Err(StoreError::Corrupt(format!(
                "{path} was replaced by another file while it was in use; start nightcall again"
            ))),
            Err(error) => Err(StoreError::Unavailable(format!(
                "{path} was moved away or deleted while it was in use ({error}); put it back"
            ))),
        }
    }

    /// Moves a log that has grown into the database, so that no commit has to. That it fails is no one's concern yet:
    /// it is tried again later, and by SQLite itself.
    fn keep_log_small(&mut self) {
        if self.logged > LOG {
            self.logged = 0;
            let path = self.path.clone();
            let _ = self.with(|conn, _| {
                let moved = chores::checkpoint(conn, &path);
                // What a herd has filled: the pages of the next one are other ones, as a rule.
                conn.release_memory()?;
                moved
            });
        }
    }

    fn commit(&mut self, batch: Vec<Commit>) {
        let alone = batch.len() == 1;
        let changes: usize = batch.iter().map(|commit| commit.changes.len()).sum();
        self.logged += COMMIT + changes;
        let results = self.transaction(|conn, known| {
            let each = batch.iter().map(|commit| match alone {
                true => commit::commit(conn, known, &commit.lease, &commit.changes).map(Ok),
                false => commit_beside_others(conn, known, commit),
            });
            each.collect::<Result<Vec<Result<(), StoreError>>, Failure>>()
        });
        match results {
            Ok(results) => {
                for (commit, result) in batch.into_iter().zip(results) {
                    let result = result.map_err(|e| Failure::Told(e).tell(&self.path));
                    // Nobody may be waiting any more: what is stored is stored.
                    let _ = commit.reply.send(result.map(|()| commit.changes));
                }
            }
            Err(error) => {
                for commit in batch {
                    let _ = commit.reply.send(Err(error.clone()));
                }
            }
        }
    }
}

/// Takes what waits behind a commit as long as it is commits; gives back also what came after them.
fn gather(first: Commit, work: &Receiver<Work>) -> (Vec<Commit>, Option<Work>) {
    let mut changes = first.changes.len();
    let mut batch = vec![first];
    while changes < TOGETHER {
        match work.try_recv() {
            Ok(Work::Commit(commit)) => {
                changes += commit.changes.len().max(1);
                batch.push(commit);
            }
            Ok(other) => return (batch, Some(other)),
            Err(_) => break,
        }
    }
    (batch, None)
}

/// A commit that is refused takes nothing with it but itself; a failure of the file fails all.
fn commit_beside_others(
    conn: &Connection,
    known: &mut Known,
    commit: &Commit,
) -> Result<Result<(), StoreError>, Failure> {
    conn.execute_batch("SAVEPOINT one")?;
    match commit::commit(conn, known, &commit.lease, &commit.changes) {
        Ok(()) => {
            conn.execute_batch("RELEASE one")?;
            Ok(Ok(()))
        }
        Err(Failure::Told(refusal)) => {
            conn.execute_batch("ROLLBACK TO one; RELEASE one")?;
            known.forget();
            Ok(Err(refusal))
        }
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::time::Duration;

    use super::super::lease;
    use super::*;
    use crate::sched::notice::{Notice, NoticeKind};
    use crate::sched::time::Timestamp;
    use crate::store::Holder;

    fn writer(folder: &Path) -> (Writer, Lease) {
        let path = folder.join("nightcall.db");
        let lock = open::lock(&path).unwrap();
        open::prepare(&path).unwrap();
        let mut writer = Writer::open(path, lock).unwrap();
        let holder = Holder {
            pid: 1,
            host: "here".to_owned(),
            started: Timestamp::UNIX_EPOCH,
        };
        let lease = writer.transaction(|conn, _| {
            lease::acquire(
                conn,
                None,
                &holder,
                Duration::from_secs(30),
                Timestamp::UNIX_EPOCH,
            )
        });
        (writer, lease.unwrap())
    }

    fn large_notice(id: &str) -> Change {
        Change::Notice(Notice {
            id: id.to_owned(),
            kind: NoticeKind::Failed,
            at: Timestamp::UNIX_EPOCH,
            schedule: None,
            run: None,
            subject: String::new(),
            body: "x".repeat(1 << 20),
        })
    }

    fn commit(
        writer: &mut Writer,
        lease: &Lease,
        changes: Vec<Change>,
    ) -> Result<Vec<Change>, StoreError> {
        let (reply, mut answer) = oneshot::channel();
        let commit = Commit {
            lease: lease.clone(),
            changes,
            reply,
        };
        writer.commit(vec![commit]);
        answer.try_recv().unwrap()
    }

    fn may_grow_to(writer: &mut Writer, pages: i64) {
        writer
            .with(|conn, _| {
                conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn when_the_disk_is_full_nothing_is_stored_and_later_it_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let (mut writer, lease) = writer(folder.path());
        may_grow_to(&mut writer, 100);
        let both = vec![Change::Mark(Timestamp::UNIX_EPOCH), large_notice("a")];
        let Err(StoreError::Unavailable(told)) = commit(&mut writer, &lease, both) else {
            panic!("a megabyte does not fit into 100 pages");
        };
        assert!(
            told.contains("full") && told.contains("nightcall.db"),
            "{told}"
        );
        let mark = writer
            .with(|conn, _| super::super::read::mark(conn))
            .unwrap();
        assert_eq!(mark, None);
        commit(&mut writer, &lease, vec![]).unwrap();
        may_grow_to(&mut writer, 1 << 30);
        commit(&mut writer, &lease, vec![large_notice("a")]).unwrap();
    }

    #[test]
    fn after_a_failure_of_the_disk_the_file_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (mut writer, lease) = writer(folder.path());
        may_grow_to(&mut writer, 100);
        let broken = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
        let failure = rusqlite::Error::SqliteFailure(broken, None);
        let result = writer.with(|_, _| Err::<(), _>(failure.into()));
        assert!(
            matches!(result, Err(StoreError::Unavailable(_))),
            "{result:?}"
        );
        // the limit was a property of the former connection
        commit(&mut writer, &lease, vec![large_notice("a")]).unwrap();
    }

    #[test]
    fn a_probe_really_writes() {
        let folder = tempfile::tempdir().unwrap();
        let (mut writer, lease) = writer(folder.path());
        let frames = |folder: &Path| {
            std::fs::metadata(folder.join("nightcall.db-wal"))
                .unwrap()
                .len()
        };
        let before = frames(folder.path());
        commit(&mut writer, &lease, vec![]).unwrap();
        assert!(frames(folder.path()) > before);
    }
}
