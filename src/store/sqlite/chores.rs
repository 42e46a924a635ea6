//! Work on the file that is part of no decision: retention in small steps, moving the write-ahead log, copies.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, params};

use super::failure::Failure;
use super::open::{self, WAL_LIMIT};
use super::read;
use super::rows::time;
use crate::sched::step::RECENT;
use crate::sched::time::{Timestamp, earlier};
use crate::store::StoreError;

/// What retention allows to delete. The same question is asked again when it is deleted.
struct Limits {
    /// Runs finished before this.
    before: i64,
    /// A lost run whose job may live longer than this stays.
    mark: i64,
    /// Runs with an instant or a decision from here on stay: they keep an occurrence from firing again.
    recent: i64,
}

const FREE: &str = "state = 'finished' AND instant < ?1 AND planned < ?1 \
     AND (lost_until IS NULL OR lost_until <= ?2)";

/// Notices that every channel is done with. The newest stays: the next one must have a higher key.
const TOLD: &str = "key < (SELECT max(key) FROM notices) \
     AND key <= coalesce((SELECT min(upto) FROM channels), key)";

impl Limits {
    /// `None` when nothing was ever decided: then everything is recent.
    fn at(conn: &Connection, before: Timestamp) -> Result<Option<Self>, Failure> {
        Ok(read::mark(conn)?.map(|mark| Self {
            before: time(before),
            mark: time(mark),
            recent: time(earlier(mark, RECENT)),
        }))
    }
}

/// Finds at most `step` runs that may go: by age, then the oldest of each series that has too many. Reads only, since
/// counting takes its time.
pub(super) fn prunable(
    conn: &Connection,
    before: Timestamp,
    per_series: u64,
    step: usize,
) -> Result<Vec<i64>, Failure> {
    let Some(limits) = Limits::at(conn, before)? else {
        return Ok(Vec::new());
    };
    let mut statement = conn.prepare_cached(&format!(
        "SELECT key FROM runs WHERE ended < ?3 AND {FREE} ORDER BY ended LIMIT ?4"
    ))?;
    let values = params![limits.recent, limits.mark, limits.before, to_i64(step)];
    let mut keys: Vec<i64> = statement
        .query_map(values, |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for (schedule, set) in crowded(conn, per_series)? {
        if keys.len() >= step {
            break;
        }
        let mut statement = conn.prepare_cached(&format!(
            "SELECT key FROM (
                SELECT * FROM runs WHERE schedule = ?3 AND set_name = ?4 AND state = 'finished'
                ORDER BY instant DESC, generation IS NULL DESC, generation DESC, id DESC
                LIMIT -1 OFFSET ?5
             ) WHERE ended >= ?6 AND {FREE} ORDER BY instant LIMIT ?7"
        ))?;
        let values = params![
            limits.recent,
            limits.mark,
            schedule,
            set,
            i64::try_from(per_series).unwrap_or(i64::MAX),
            limits.before,
            to_i64(step - keys.len())
        ];
        let more = statement.query_map(values, |row| row.get(0))?;
        keys.extend(more.collect::<Result<Vec<i64>, _>>()?);
    }
    Ok(keys)
}

/// The series that may have more finished runs than they should.
fn crowded(conn: &Connection, per_series: u64) -> Result<Vec<(String, String)>, Failure> {
    let mut statement = conn.prepare_cached(
        "SELECT schedule, set_name FROM runs GROUP BY schedule, set_name HAVING count(*) > ?1",
    )?;
    let most = i64::try_from(per_series).unwrap_or(i64::MAX);
    let found = statement.query_map([most], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Deletes these runs with their events and notices, and at most `step` of each other kind of record that is too old
/// or that nothing refers to. Gives back how many rows went, events not counted.
pub(super) fn prune(
    conn: &Connection,
    keys: &[i64],
    before: Timestamp,
    step: usize,
) -> Result<u64, Failure> {
    let mut touched = 0;
    if let Some(limits) = Limits::at(conn, before)? {
        let mut notices = conn.prepare_cached(&format!(
            "DELETE FROM notices WHERE {TOLD}
                AND run = (SELECT id FROM runs WHERE key = ?3 AND {FREE})"
        ))?;
        let mut runs =
            conn.prepare_cached(&format!("DELETE FROM runs WHERE key = ?3 AND {FREE}"))?;
        for key in keys {
            touched += notices.execute(params![limits.recent, limits.mark, key])?;
            touched += runs.execute(params![limits.recent, limits.mark, key])?;
        }
    }
    let notices = format!(
        "DELETE FROM notices WHERE key IN (
            SELECT key FROM notices WHERE at < ?1 AND {TOLD}
                AND (run IS NULL OR NOT EXISTS (
                    SELECT 1 FROM runs WHERE runs.schedule = notices.schedule
                        AND runs.set_name = notices.set_name AND runs.instant = notices.instant
                        AND runs.id = notices.run))
            LIMIT ?2)"
    );
    let aged = [
        notices.as_str(),
        "DELETE FROM threads WHERE (channel, thread) IN (
            SELECT channel, thread FROM threads WHERE at < ?1 LIMIT ?2)",
        "DELETE FROM acts WHERE key IN (SELECT key FROM acts WHERE at < ?1 ORDER BY at LIMIT ?2)",
        "DELETE FROM missed WHERE key IN (SELECT key FROM missed WHERE at < ?1 LIMIT ?2)",
        "DELETE FROM cursors WHERE (schedule, set_name) IN (
            SELECT schedule, set_name FROM cursors WHERE closed = 1 AND upto < ?1 LIMIT ?2)",
    ];
    for sql in aged {
        touched += conn
            .prepare_cached(sql)?
            .execute(params![time(before), to_i64(step)])?;
    }
    touched += conn
        .prepare_cached(
            "DELETE FROM definitions WHERE key IN (
                SELECT key FROM definitions AS d
                WHERE NOT EXISTS (SELECT 1 FROM cursors WHERE cursors.definition = d.key)
                    AND NOT EXISTS (
                        SELECT 1 FROM runs WHERE runs.schedule = d.schedule
                            AND runs.set_name = d.set_name AND runs.definition = d.key)
                LIMIT ?1)",
        )?
        .execute([to_i64(step)])?;
    Ok(touched as u64)
}

fn to_i64(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// How long readers are waited for when a large log is cut.
const PATIENCE: Duration = Duration::from_millis(250);

/// Moves the write-ahead log into the database; cuts it when it has grown large. Gives back the pages moved.
pub(super) fn checkpoint(conn: &Connection, path: &Path) -> Result<u64, Failure> {
    let length = fs::metadata(open::beside(path, "-wal")).map_or(0, |wal| wal.len());
    let moved = |mode: &str| {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        conn.query_row(&sql, [], |row| row.get::<_, i64>(2))
    };
    let pages = match length > WAL_LIMIT {
        false => moved("PASSIVE")?,
        true => {
            conn.busy_timeout(PATIENCE)?;
            let cut = moved("TRUNCATE");
            conn.busy_timeout(open::BUSY)?;
            cut?
        }
    };
    // -1 when there is no log.
    Ok(u64::try_from(pages).unwrap_or(0))
}

/// Copies the database as it is at one moment to a new file; writers go on meanwhile. Gives back the pages copied.
pub(super) fn backup(conn: &Connection, to: &Path) -> Result<u64, Failure> {
    open::new_file(to)?;
    copy(conn, to).inspect_err(|_| {
        // A half copy must not be taken for a whole one. It is ours: it was made above.
        let _ = fs::remove_file(to);
    })
}

fn copy(conn: &Connection, to: &Path) -> Result<u64, Failure> {
    let told = |failure: Failure| Failure::Told(failure.tell(to));
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(to, flags).map_err(|e| told(e.into()))?;
    let pages = {
        let backup = Backup::new(conn, &mut target)?;
        // All at once: between steps a commit would make it begin anew.
        match backup.step(-1).map_err(|e| told(e.into()))? {
            StepResult::Done => backup.progress().pagecount,
            _ => {
                return Err(StoreError::Unavailable(format!(
                    "{}: the database is busy; try again",
                    to.display()
                ))
                .into());
            }
        }
    };
    target.close().map_err(|(_, error)| told(error.into()))?;
    Ok(u64::try_from(pages).unwrap_or(0))
}
