//! The right to write: one row with an epoch that grows with each acquisition.
//!
//! The lock file beside the database (`open.rs`) is held by at most one process of this machine. So whoever reads a
//! lease of this machine that was not given through its own lock knows that the former holder is dead, and takes over
//! at once. A lease of another machine is honoured until its time is up.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::failure::Failure;
use super::rows::{read_time, time};
use crate::sched::time::{Timestamp, later};
use crate::store::{Holder, Lease, StoreError};

struct Row {
    epoch: i64,
    held: Option<(Holder, Timestamp)>,
}

fn read(conn: &Connection) -> Result<Row, Failure> {
    let mut statement =
        conn.prepare_cached("SELECT epoch, pid, host, started, until FROM lease")?;
    let row = statement.query_row([], |row| {
        let pid: Option<u32> = row.get(1)?;
        let held = match pid {
            None => None,
            Some(pid) => Some((
                Holder {
                    pid,
                    host: row.get(2)?,
                    started: read_time(row.get(3)?),
                },
                read_time(row.get(4)?),
            )),
        };
        Ok(Row {
            epoch: row.get(0)?,
            held,
        })
    })?;
    Ok(row)
}

impl Row {
    fn fenced(&self) -> Failure {
        let holder = match &self.held {
            Some((holder, until)) => format!(
                "pid {} on {}, which started {:.0} and is trusted until {until:.0}",
                holder.pid, holder.host, holder.started
            ),
            None => "nobody any more, this lease was given back".to_owned(),
        };
        StoreError::Fenced { holder }.into()
    }

    fn check(self, lease: &Lease) -> Result<Self, Failure> {
        match u64::try_from(self.epoch) {
            Ok(epoch) if epoch == lease.epoch && self.held.is_some() => Ok(self),
            _ => Err(self.fenced()),
        }
    }
}

/// Refuses when the lease is no longer the one that holds.
pub(super) fn guard(conn: &Connection, lease: &Lease) -> Result<(), Failure> {
    read(conn)?.check(lease).map(|_| ())
}

/// Takes the lease. `given` is the epoch that was given last under the lock that is held now.
pub(super) fn acquire(
    conn: &Connection,
    given: Option<u64>,
    holder: &Holder,
    trust: Duration,
    now: Timestamp,
) -> Result<Lease, Failure> {
    let row = read(conn)?;
    if let Some((other, until)) = &row.held {
        let given_here = given.is_some_and(|epoch| i64::try_from(epoch) == Ok(row.epoch));
        let may_live = given_here || other.host != holder.host;
        if other != holder && may_live && *until > now {
            return Err(row.fenced());
        }
    }
    let until = later(now, trust);
    let epoch = row.epoch.saturating_add(1);
    conn.prepare_cached(
        "UPDATE lease SET epoch = ?1, pid = ?2, host = ?3, started = ?4, until = ?5",
    )?
    .execute(params![
        epoch,
        holder.pid,
        holder.host,
        time(holder.started),
        time(until)
    ])?;
    Ok(Lease {
        epoch: epoch.unsigned_abs(),
        until,
    })
}

/// Moves its end to `now + trust`, also when the clock was set back meanwhile.
pub(super) fn renew(
    conn: &Connection,
    lease: &Lease,
    trust: Duration,
    now: Timestamp,
) -> Result<Lease, Failure> {
    guard(conn, lease)?;
    let until = later(now, trust);
    conn.prepare_cached("UPDATE lease SET until = ?1")?
        .execute([time(until)])?;
    Ok(Lease {
        epoch: lease.epoch,
        until,
    })
}

/// Gives it back; the epoch stays, so the lease is worth nothing afterwards.
pub(super) fn release(conn: &Connection, lease: &Lease) -> Result<(), Failure> {
    guard(conn, lease)?;
    conn.prepare_cached("UPDATE lease SET pid = NULL, host = NULL, started = NULL, until = NULL")?
        .execute([])?;
    Ok(())
}
