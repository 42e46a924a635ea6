//! What people do: pauses, wishes to skip, and every act, written and read.

use rusqlite::{Connection, params};

use super::failure::{Failure, unreadable};
use super::read::{collect, series_of};
use super::rows::{self, parse, read_time, time};
use crate::sched::act::{By, Deed, Pause, Scope, Skip, SkipWhat};
use crate::sched::id::{ScheduleName, SeriesId};
use crate::sched::step::{Decided, PASSED, SavedSeries};
use crate::sched::time::{TimeRange, Timestamp};

/// The scope of a pause of everything: no schedule is called so.
const ALL: &str = "*";

fn scope_word(scope: &Scope) -> &str {
    match scope {
        Scope::All => ALL,
        Scope::Schedule(name) => name.as_str(),
    }
}

fn read_scope(word: &str) -> Result<Scope, Failure> {
    match word {
        ALL => Ok(Scope::All),
        name => Ok(Scope::Schedule(parse(name, "the name of a schedule")?)),
    }
}

// ---- written -------------------------------------------------------------------------------------------------------

pub(super) fn put_pause(conn: &Connection, pause: &Pause) -> Result<(), Failure> {
    conn.prepare_cached(
        "INSERT INTO pauses (scope, since, until, who, note) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (scope) DO UPDATE SET since = excluded.since, until = excluded.until,
            who = excluded.who, note = excluded.note",
    )?
    .execute(params![
        scope_word(&pause.scope),
        time(pause.since),
        pause.until.map(time),
        pause.by.who(),
        pause.by.note(),
    ])?;
    Ok(())
}

pub(super) fn end_pause(conn: &Connection, scope: &Scope) -> Result<(), Failure> {
    conn.prepare_cached("DELETE FROM pauses WHERE scope = ?1")?
        .execute([scope_word(scope)])?;
    Ok(())
}

pub(super) fn put_skip(conn: &Connection, skip: &Skip) -> Result<(), Failure> {
    let remaining = match skip.what {
        SkipWhat::Next(left) => left,
        SkipWhat::On(_) | SkipWhat::At(_) => 0,
    };
    conn.prepare_cached(
        "INSERT INTO skips (schedule, set_name, what, remaining, at, who, note)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (schedule, set_name, what) DO UPDATE SET remaining = excluded.remaining,
            at = excluded.at, who = excluded.who, note = excluded.note",
    )?
    .execute(params![
        skip.series.schedule.as_str(),
        skip.series.set.as_str(),
        skip.what.key(),
        remaining,
        time(skip.at),
        skip.by.who(),
        skip.by.note(),
    ])?;
    Ok(())
}

pub(super) fn end_skip(
    conn: &Connection,
    series: &SeriesId,
    what: &SkipWhat,
) -> Result<(), Failure> {
    conn.prepare_cached("DELETE FROM skips WHERE schedule = ?1 AND set_name = ?2 AND what = ?3")?
        .execute(params![
            series.schedule.as_str(),
            series.set.as_str(),
            what.key()
        ])?;
    Ok(())
}

pub(super) fn put_deed(conn: &Connection, deed: &Deed) -> Result<(), Failure> {
    conn.prepare_cached(
        "INSERT INTO acts (at, who, note, act, schedule, run, said)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        time(deed.at),
        deed.by.who(),
        deed.by.note(),
        deed.act,
        deed.schedule.as_ref().map(|name| name.as_str()),
        deed.run.as_ref().map(|run| run.to_string()),
        deed.said,
    ])?;
    Ok(())
}

// ---- read ----------------------------------------------------------------------------------------------------------

/// Pauses that are in force, by scope.
pub(super) fn pauses(conn: &Connection) -> Result<Vec<Pause>, Failure> {
    let mut statement =
        conn.prepare_cached("SELECT scope, since, until, who, note FROM pauses ORDER BY scope")?;
    collect(statement.query([])?, |row| {
        let (scope, who): (String, String) = (row.get(0)?, row.get(3)?);
        let note: Option<String> = row.get(4)?;
        Ok(Pause {
            scope: read_scope(&scope)?,
            since: read_time(row.get(1)?),
            until: row.get::<_, Option<i64>>(2)?.map(read_time),
            by: By::new(&who, note.as_deref()),
        })
    })
}

/// Wishes to skip that are in force, by series and key.
pub(super) fn skips(conn: &Connection) -> Result<Vec<Skip>, Failure> {
    let mut statement = conn.prepare_cached(
        "SELECT schedule, set_name, what, remaining, at, who, note FROM skips
         ORDER BY schedule, set_name, what",
    )?;
    collect(statement.query([])?, |row| {
        let (schedule, set): (String, String) = (row.get(0)?, row.get(1)?);
        let (what, who): (String, String) = (row.get(2)?, row.get(5)?);
        let note: Option<String> = row.get(6)?;
        Ok(Skip {
            series: series_of(&schedule, &set)?,
            what: SkipWhat::from_key(&what, row.get(3)?)
                .ok_or_else(|| unreadable("a wish to skip", &what))?,
            at: read_time(row.get(4)?),
            by: By::new(&who, note.as_deref()),
        })
    })
}

/// Of each series that is paused the newest occurrences that passed since the pause began and have no later generation.
pub(super) fn passed(
    conn: &Connection,
    series: &[SavedSeries],
    pauses: &[Pause],
) -> Result<Vec<Decided>, Failure> {
    let mut all = Vec::new();
    if pauses.is_empty() {
        return Ok(all);
    }
    let mut statement = conn.prepare_cached(
        "SELECT id, civil, fold FROM runs WHERE reason = 'paused' AND generation = 0
            AND schedule = ?1 AND set_name = ?2 AND instant > ?3
            AND NOT EXISTS (
                SELECT 1 FROM runs AS later WHERE later.schedule = ?1 AND later.set_name = ?2
                    AND later.instant = runs.instant AND later.generation > 0)
         ORDER BY instant DESC, id DESC LIMIT ?4",
    )?;
    for SavedSeries { series, .. } in series {
        let of_series = pauses.iter().filter(|pause| pause.scope.holds(series));
        let Some(since) = of_series.map(|pause| pause.since).min() else {
            continue;
        };
        let rows = statement.query(params![
            series.schedule.as_str(),
            series.set.as_str(),
            time(since),
            PASSED as i64
        ])?;
        let mut newest = collect(rows, rows::read_decided)?;
        newest.reverse();
        all.extend(newest);
    }
    Ok(all)
}

/// What people did in a range of time, in order.
pub(super) fn deeds(conn: &Connection, range: TimeRange) -> Result<Vec<Deed>, Failure> {
    let mut statement = conn.prepare_cached(
        "SELECT at, who, note, act, schedule, run, said FROM acts WHERE at > ?1 AND at <= ?2
         ORDER BY at, key",
    )?;
    let rows = statement.query(params![time(range.after), time(range.upto)])?;
    collect(rows, deed)
}

/// The last time before a moment that somebody did this to a schedule, or to all.
pub(super) fn last_deed(
    conn: &Connection,
    act: &str,
    schedule: &ScheduleName,
    upto: Timestamp,
) -> Result<Option<Deed>, Failure> {
    let mut statement = conn.prepare_cached(
        "SELECT at, who, note, act, schedule, run, said FROM acts
         WHERE act = ?1 AND (schedule IS NULL OR schedule = ?2) AND at <= ?3
         ORDER BY at DESC, key DESC LIMIT 1",
    )?;
    let rows = statement.query(params![act, schedule.as_str(), time(upto)])?;
    Ok(collect(rows, deed)?.pop())
}

fn deed(row: &rusqlite::Row<'_>) -> Result<Deed, Failure> {
    let (who, note): (String, Option<String>) = (row.get(1)?, row.get(2)?);
    let (schedule, run): (Option<String>, Option<String>) = (row.get(4)?, row.get(5)?);
    Ok(Deed {
        at: read_time(row.get(0)?),
        by: By::new(&who, note.as_deref()),
        act: row.get(3)?,
        schedule: schedule
            .map(|name| parse(&name, "the name of a schedule"))
            .transpose()?,
        run: run.map(|id| parse(&id, "the id of a run")).transpose()?,
        said: row.get(6)?,
    })
}
