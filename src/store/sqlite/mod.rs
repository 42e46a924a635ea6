//! The store in one SQLite file: write-ahead log, `synchronous = FULL`, one thread that writes, two that read.
//!
//! `place.rs` finds the file, `open.rs` what is wrong with it, `migrate.rs` brings it to the present version,
//! `writer.rs` is the thread that writes with `commit.rs` (changes to SQL) and `lease.rs` (who may), `outbox.rs` (who has been told), `read.rs` holds
//! the questions, `reader.rs` those who ask them, `rows.rs` alone knows how a type is written in columns, `chores.rs`
//! keeps the file small and copied, `checkup.rs` looks whether it is sound, `failure.rs` tells what went wrong.

mod acts;
mod checkup;
mod chores;
mod commit;
mod failure;
mod glance;
mod lease;
mod migrate;
mod open;
mod outbox;
mod place;
mod read;
mod reader;
mod rows;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::{Connection, params};
use tokio::sync::oneshot;

pub use checkup::{Checkup, Soundness};
pub use reader::SqliteReader;

use self::failure::Failure;
use self::reader::{Question, Reading};
use self::writer::{Commit, Work, Writer};
use super::outbox::{Outbox, Progress, ThreadName};
use super::{Chore, Holder, Lease, Reply, RunQuery, Store, StoreError, Story};
use crate::sched::act::Deed;
use crate::sched::id::{RunId, SeriesId};
use crate::sched::notice::Notice;
use crate::sched::run::Run;
use crate::sched::step::{Change, Missed, Saved};
use crate::sched::time::{TimeRange, Timestamp};

/// Requests that may wait for a thread; more than that are refused.
const QUEUE: usize = 1024;

/// Threads that read.
const READERS: usize = 2;

/// A [`Store`] in one SQLite file. Dropping it finishes what waits, closes the file and frees its lock.
pub struct SqliteStore {
    path: PathBuf,
    work: Option<SyncSender<Work>>,
    questions: Option<SyncSender<Question>>,
    writer: Option<JoinHandle<()>>,
    readers: Vec<JoinHandle<()>>,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the database for writing, and makes it when there is none. Blocks while it looks at the file.
    ///
    /// Errors: [`StoreError::Fenced`] when another process has it open for writing, under whatever name, with its pid;
    /// [`StoreError::Corrupt`] and [`StoreError::TooNew`] leave the file as it is; [`StoreError::Unavailable`] when
    /// it cannot be written, is a symbolic link that leads nowhere, or lies on a network file system.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let path = place::resolve(path)?;
        place::on_this_machine(&path)?;
        open::no_other_thing(&path)?;
        let lock = open::lock(&path)?;
        open::prepare(&path)?;
        let writer = Writer::open(path.clone(), lock)?;
        let (work, to_do) = sync_channel(QUEUE);
        let (questions, asked) = sync_channel(QUEUE);
        let mut store = Self {
            path,
            work: Some(work),
            questions: Some(questions),
            writer: None,
            readers: Vec::with_capacity(READERS),
        };
        store.start(writer, to_do, asked).map_err(|error| {
            StoreError::Unavailable(format!("a thread cannot be started: {error}"))
        })?;
        Ok(store)
    }

    fn start(
        &mut self,
        writer: Writer,
        work: Receiver<Work>,
        asked: Receiver<Question>,
    ) -> std::io::Result<()> {
        let named = |name: String| thread::Builder::new().name(name);
        let thread = named("store-writer".to_owned());
        self.writer = Some(thread.spawn(move || writer.serve(&work))?);
        let asked = Arc::new(Mutex::new(asked));
        for number in 1..=READERS {
            let (path, asked) = (self.path.clone(), Arc::clone(&asked));
            let thread = named(format!("store-reader-{number}"));
            self.readers
                .push(thread.spawn(move || reader::serve(path, &asked))?);
        }
        Ok(())
    }

    /// Work for the writing thread.
    async fn write<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Writer) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let work = Work::Other(Box::new(move |writer: &mut Writer| {
            // Nobody may be waiting any more: what is done is done.
            let _ = reply.send(act(writer));
        }));
        send(self.work.as_ref(), work)?;
        answer.await.map_err(|_| ended())?
    }

    /// Work for a reading thread.
    async fn read<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Reading) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let question: Question = Box::new(move |reading: &mut Reading| {
            let _ = reply.send(act(reading));
        });
        send(self.questions.as_ref(), question)?;
        answer.await.map_err(|_| ended())?
    }

    /// A question that sees one state throughout.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read(|reading| reading.snapshot(question)).await
    }

    async fn prune(
        &self,
        before: Timestamp,
        per_series: u64,
        step: usize,
    ) -> Result<u64, StoreError> {
        let keys = self
            .ask(move |conn| chores::prunable(conn, before, per_series, step))
            .await?;
        self.write(move |writer| {
            writer.transaction(|conn, known| {
                known.forget();
                chores::prune(conn, &keys, before, step)
            })
        })
        .await
    }
}

fn send<T>(to: Option<&SyncSender<T>>, what: T) -> Result<(), StoreError> {
    match to.map(|to| to.try_send(what)) {
        Some(Ok(())) => Ok(()),
        Some(Err(TrySendError::Full(_))) => Err(StoreError::Unavailable(format!(
            "{QUEUE} requests wait for it already"
        ))),
        Some(Err(TrySendError::Disconnected(_))) | None => Err(ended()),
    }
}

fn ended() -> StoreError {
    StoreError::Unavailable("its thread has ended; start nightcall again".to_owned())
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // The writer goes last: only it can move the log into the database and take it away. A thread that panicked
        // has told so itself.
        self.questions = None;
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        self.work = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn instance(conn: &Connection, wanted: Option<String>) -> Result<String, Failure> {
    let stored: Option<String> = conn
        .prepare_cached("SELECT instance FROM meta")?
        .query_row([], |row| row.get(0))?;
    let name = match (wanted, stored) {
        (Some(wanted), Some(stored)) if wanted == stored => return Ok(stored),
        (Some(wanted), _) => wanted,
        (None, Some(stored)) => return Ok(stored),
        (None, None) => conn.query_row("SELECT 'nc-' || lower(hex(randomblob(6)))", [], |row| {
            row.get(0)
        })?,
    };
    conn.prepare_cached("UPDATE meta SET instance = ?1")?
        .execute(params![name])?;
    Ok(name)
}

impl Store for SqliteStore {
    fn instance(&self, wanted: Option<String>) -> Reply<'_, String> {
        Box::pin(self.write(|writer| writer.transaction(|conn, _| instance(conn, wanted))))
    }

    fn acquire(&self, holder: Holder, trust: Duration, now: Timestamp) -> Reply<'_, Lease> {
        Box::pin(self.write(move |writer| {
            let given = writer.given();
            let lease =
                writer.transaction(|conn, _| lease::acquire(conn, given, &holder, trust, now))?;
            writer.give(&lease);
            Ok(lease)
        }))
    }

    fn renew(&self, lease: Lease, trust: Duration, now: Timestamp) -> Reply<'_, Lease> {
        Box::pin(self.write(move |writer| {
            writer.transaction(|conn, _| lease::renew(conn, &lease, trust, now))
        }))
    }

    fn release(&self, lease: Lease) -> Reply<'_, ()> {
        Box::pin(
            self.write(move |writer| writer.transaction(|conn, _| lease::release(conn, &lease))),
        )
    }

    fn load(&self) -> Reply<'_, Saved> {
        Box::pin(self.ask(read::saved))
    }

    fn commit(&self, lease: Lease, changes: Vec<Change>) -> Reply<'_, Vec<Change>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let commit = Commit {
                lease,
                changes,
                reply,
            };
            send(self.work.as_ref(), Work::Commit(commit))?;
            answer.await.map_err(|_| ended())?
        })
    }

    fn runs(&self, query: RunQuery) -> Reply<'_, Vec<Run>> {
        Box::pin(self.ask(move |conn| read::runs(conn, &query)))
    }

    fn story(&self, run: RunId) -> Reply<'_, Option<Story>> {
        Box::pin(self.ask(move |conn| read::story(conn, &run)))
    }

    fn missed(&self, series: Option<SeriesId>, range: TimeRange) -> Reply<'_, Vec<Missed>> {
        Box::pin(self.ask(move |conn| read::missed(conn, series.as_ref(), range)))
    }

    fn deeds(&self, range: TimeRange) -> Reply<'_, Vec<Deed>> {
        Box::pin(self.ask(move |conn| acts::deeds(conn, range)))
    }

    fn maintain(&self, chore: Chore) -> Reply<'_, u64> {
        match chore {
            Chore::Prune {
                before,
                per_series,
                step,
            } => Box::pin(self.prune(before, per_series, step)),
            Chore::Checkpoint => Box::pin(self.write(|writer| {
                let path = writer.path().to_owned();
                writer.with(|conn, _| chores::checkpoint(conn, &path))
            })),
            Chore::Backup(to) => {
                Box::pin(self.read(move |reading| reading.with(|conn| chores::backup(conn, &to))))
            }
        }
    }
}

impl Outbox for SqliteStore {
    fn channel(&self, name: String) -> Reply<'_, Progress> {
        Box::pin(
            self.write(move |writer| writer.transaction(|conn, _| outbox::channel(conn, &name))),
        )
    }

    fn notices(&self, after: u64, most: usize) -> Reply<'_, Vec<(u64, Notice)>> {
        Box::pin(self.ask(move |conn| outbox::notices(conn, after, most)))
    }

    fn waiting(&self, after: u64) -> Reply<'_, u64> {
        Box::pin(self.ask(move |conn| outbox::waiting(conn, after)))
    }

    fn thread(&self, channel: String, thread: String) -> Reply<'_, Option<String>> {
        Box::pin(self.ask(move |conn| outbox::thread(conn, &channel, &thread)))
    }

    fn settle(
        &self,
        channel: String,
        progress: Progress,
        thread: Option<ThreadName>,
    ) -> Reply<'_, ()> {
        Box::pin(self.write(move |writer| {
            writer.transaction(|conn, _| outbox::settle(conn, &channel, &progress, thread.as_ref()))
        }))
    }

    fn keep_channels(&self, names: Vec<String>) -> Reply<'_, ()> {
        Box::pin(
            self.write(move |writer| {
                writer.transaction(|conn, _| outbox::keep_channels(conn, &names))
            }),
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
