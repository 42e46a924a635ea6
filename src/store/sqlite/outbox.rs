//! How far each channel has come with the notices, as SQL.

use rusqlite::{Connection, OptionalExtension, params};

use super::failure::Failure;
use super::read::{collect, notice};
use super::rows::{read_time, time};
use crate::sched::notice::Notice;
use crate::store::outbox::{Progress, ThreadName};

/// Numbers of rows are positive.
fn number(key: i64) -> u64 {
    u64::try_from(key).unwrap_or(0)
}

fn key(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn channel(conn: &Connection, name: &str) -> Result<Progress, Failure> {
    conn.prepare_cached(
        "INSERT INTO channels (name, upto)
         VALUES (?1, (SELECT coalesce(max(key), 0) FROM notices)) ON CONFLICT (name) DO NOTHING",
    )?
    .execute([name])?;
    let found = conn
        .prepare_cached(
            "SELECT upto, sending, attempts, since, next, error FROM channels WHERE name = ?1",
        )?
        .query_row([name], |row| {
            let sending: Option<i64> = row.get(1)?;
            let (since, next): (Option<i64>, Option<i64>) = (row.get(3)?, row.get(4)?);
            Ok(Progress {
                upto: number(row.get(0)?),
                sending: sending.map(number),
                attempts: row.get(2)?,
                since: since.map(read_time),
                next: next.map(read_time),
                error: row.get(5)?,
            })
        })?;
    Ok(found)
}

pub(super) fn notices(
    conn: &Connection,
    after: u64,
    most: usize,
) -> Result<Vec<(u64, Notice)>, Failure> {
    let mut statement = conn.prepare_cached(
        "SELECT id, kind, at, schedule, run, subject, body, key FROM notices WHERE key > ?1
         ORDER BY key LIMIT ?2",
    )?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    collect(statement.query(params![key(after), most])?, |row| {
        Ok((number(row.get(7)?), notice(row)?))
    })
}

pub(super) fn waiting(conn: &Connection, after: u64) -> Result<u64, Failure> {
    let count: i64 = conn
        .prepare_cached("SELECT count(*) FROM notices WHERE key > ?1")?
        .query_row([key(after)], |row| row.get(0))?;
    Ok(number(count))
}

pub(super) fn thread(
    conn: &Connection,
    channel: &str,
    thread: &str,
) -> Result<Option<String>, Failure> {
    let name = conn
        .prepare_cached("SELECT name FROM threads WHERE channel = ?1 AND thread = ?2")?
        .query_row([channel, thread], |row| row.get(0))
        .optional()?;
    Ok(name)
}

pub(super) fn settle(
    conn: &Connection,
    channel: &str,
    progress: &Progress,
    thread: Option<&ThreadName>,
) -> Result<(), Failure> {
    conn.prepare_cached(
        "INSERT INTO channels (name, upto, sending, attempts, since, next, error)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (name) DO UPDATE SET
            upto = max(upto, excluded.upto), sending = excluded.sending,
            attempts = excluded.attempts, since = excluded.since, next = excluded.next,
            error = excluded.error",
    )?
    .execute(params![
        channel,
        key(progress.upto),
        progress.sending.map(key),
        progress.attempts,
        progress.since.map(time),
        progress.next.map(time),
        progress.error,
    ])?;
    if let Some(thread) = thread {
        conn.prepare_cached(
            "INSERT INTO threads (channel, thread, name, at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (channel, thread) DO UPDATE SET name = excluded.name, at = excluded.at",
        )?
        .execute(params![
            channel,
            thread.thread,
            thread.name,
            time(thread.at)
        ])?;
    }
    Ok(())
}

pub(super) fn keep_channels(conn: &Connection, names: &[String]) -> Result<(), Failure> {
    let mut statement = conn.prepare_cached("SELECT name FROM channels")?;
    let known: Vec<String> = collect(statement.query([])?, |row| Ok(row.get(0)?))?;
    for gone in known.iter().filter(|name| !names.contains(name)) {
        for sql in [
            "DELETE FROM channels WHERE name = ?1",
            "DELETE FROM threads WHERE channel = ?1",
        ] {
            conn.prepare_cached(sql)?.execute([gone])?;
        }
    }
    Ok(())
}
