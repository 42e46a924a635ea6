//! Questions of a report: all series one after the other, each with how its runs of a span ended. A report looks at far
//! more runs than any other command, so no more is read of them than it needs.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::failure::{Failure, unreadable};
use super::read::{Reader, collect, series_of};
use super::rows::{self, parse, read_time, time};
use crate::sched::act::Ended;
use crate::sched::id::{RunId, RunKind, SeriesId};
use crate::sched::notice::NoticeKind;
use crate::sched::outcome::Outcome;
use crate::sched::time::{TimeRange, Timestamp, between, earlier, later};
use crate::sched::trigger::Occurrence;
use crate::store::Glance;

/// Among so many newest runs those are looked for that succeeded.
const LOOKED_AT: i64 = 200;

/// A nominal time and its instant lie no farther apart in any two zones, with room for gaps.
const ZONES_REACH: Duration = Duration::from_secs(27 * 3600);

pub(super) fn each_series(
    conn: &Connection,
    range: TimeRange,
    look: &mut dyn FnMut(&SeriesId, Vec<Glance>),
) -> Result<(), Failure> {
    let mut reader = Reader::new(conn);
    let mut last: (String, String) = Default::default();
    while let Some(next) = next_series(conn, &last)? {
        let series = series_of(&next.0, &next.1)?;
        let runs = of_series(&mut reader, conn, &series, range)?;
        look(&series, runs);
        last = next;
    }
    Ok(())
}

/// The series that follows in order, by one step into the index of each table: to gather all of them, SQLite would read
/// all of history. It also does for a comparison of both names at once.
fn next_series(
    conn: &Connection,
    (schedule, set): &(String, String),
) -> Result<Option<(String, String)>, Failure> {
    const OF_SCHEDULE: &str = "schedule = ?1 AND set_name > ?2";
    const OF_ANOTHER: &str = "schedule > ?1 AND ?2 = ?2";
    let step = |(table, which)| {
        format!(
            "SELECT * FROM (SELECT schedule, set_name FROM {table} WHERE {which}
             ORDER BY schedule, set_name LIMIT 1)"
        )
    };
    let steps = [
        ("runs", OF_SCHEDULE),
        ("cursors", OF_SCHEDULE),
        ("runs", OF_ANOTHER),
        ("cursors", OF_ANOTHER),
    ];
    let sql = format!(
        "SELECT schedule, set_name FROM ({}) ORDER BY schedule, set_name LIMIT 1",
        steps.map(step).join(" UNION ALL ")
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let found = statement.query_row([schedule, set], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(found.optional()?)
}

fn of_series(
    reader: &mut Reader<'_>,
    conn: &Connection,
    series: &SeriesId,
    range: TimeRange,
) -> Result<Vec<Glance>, Failure> {
    let mut statement = conn.prepare_cached(
        "SELECT instant, generation, CASE WHEN generation IS NULL THEN id END, due, planned, definition, outcome,
            reason, resolved, cancel, attempt, submitted, finished,
            CASE WHEN outcome <> 'succeeded' THEN fault END,
            CASE WHEN attempt > 1 THEN (
                SELECT min(at) FROM run_events WHERE run = runs.key AND what = 'submitting'
            ) END
         FROM runs WHERE schedule = ?1 AND set_name = ?2 AND instant > ?3 AND instant <= ?4
         ORDER BY instant, generation",
    )?;
    let rows = statement.query(params![
        series.schedule.as_str(),
        series.set.as_str(),
        time(range.after),
        time(range.upto)
    ])?;
    collect(rows, |row| glance(reader, row))
}

fn glance(reader: &mut Reader<'_>, row: &Row<'_>) -> Result<Glance, Failure> {
    let definition = reader.definition(row.get(5)?)?;
    let submitted = row.get::<_, Option<i64>>(11)?.map(read_time);
    let first = row.get::<_, Option<i64>>(14)?.map(read_time);
    let attempts = row.get(10)?;
    Ok(Glance {
        instant: read_time(row.get(0)?),
        kind: kind(row)?,
        due: read_time(row.get(3)?),
        planned: read_time(row.get(4)?),
        tolerance: match definition.after {
            Some(_) => None,
            None => Some(definition.policies.misfire.tolerance),
        },
        outcome: outcome(row)?,
        resolved: row
            .get::<_, Option<String>>(8)?
            .map(|word| rows::by_word(&Ended::ALL, &word, "how a lost run ended"))
            .transpose()?,
        cancel: row
            .get::<_, Option<String>>(9)?
            .as_deref()
            .map(rows::read_cancel)
            .transpose()?,
        attempts,
        started: first.or(submitted),
        submitted,
        finished: row.get::<_, Option<i64>>(12)?.map(read_time),
        fault: row
            .get::<_, Option<String>>(13)?
            .as_deref()
            .map(rows::read_fault)
            .transpose()?,
    })
}

fn kind(row: &Row<'_>) -> Result<RunKind, Failure> {
    match row.get(1)? {
        Some(generation) => Ok(RunKind::Generation(generation)),
        None => {
            let id: String = row.get(2)?;
            Ok(parse::<RunId>(&id, "the id of a run")?.kind)
        }
    }
}

fn outcome(row: &Row<'_>) -> Result<Option<Outcome>, Failure> {
    let Some(word) = row.get::<_, Option<String>>(6)? else {
        return Ok(None);
    };
    let reason: Option<String> = row.get(7)?;
    let outcome = Outcome::from_words(&word, reason.as_deref());
    outcome
        .map(Some)
        .ok_or_else(|| unreadable("how a run ended", &word))
}

pub(super) fn took_before(
    conn: &Connection,
    series: &SeriesId,
    before: Timestamp,
    most: usize,
) -> Result<Vec<Duration>, Failure> {
    let mut statement = conn.prepare_cached(
        "SELECT submitted, finished FROM (
            SELECT outcome, submitted, finished FROM runs
            WHERE schedule = ?1 AND set_name = ?2 AND instant < ?3 ORDER BY instant DESC LIMIT ?4
         ) WHERE outcome = 'succeeded' AND submitted IS NOT NULL AND finished IS NOT NULL LIMIT ?5",
    )?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = statement.query(params![
        series.schedule.as_str(),
        series.set.as_str(),
        time(before),
        LOOKED_AT,
        most
    ])?;
    collect(rows, |row| {
        Ok(between(read_time(row.get(0)?), read_time(row.get(1)?)))
    })
}

pub(super) fn notices_by_kind(
    conn: &Connection,
    range: TimeRange,
) -> Result<Vec<(NoticeKind, u64)>, Failure> {
    let mut statement = conn.prepare_cached(
        "SELECT kind, count(*) FROM notices WHERE at > ?1 AND at <= ?2
         GROUP BY kind ORDER BY count(*) DESC, kind",
    )?;
    let rows = statement.query([time(range.after), time(range.upto)])?;
    collect(rows, |row| {
        let kind: String = row.get(0)?;
        let count: i64 = row.get(1)?;
        let known = NoticeKind::from_word(&kind);
        let known = known.ok_or_else(|| unreadable("a kind of notice", &kind))?;
        Ok((known, count.unsigned_abs()))
    })
}

pub(super) fn oldest_of_newest(
    conn: &Connection,
    series: &SeriesId,
    many: u64,
) -> Result<Option<Timestamp>, Failure> {
    let mut statement = conn.prepare_cached(
        "SELECT instant FROM runs WHERE schedule = ?1 AND set_name = ?2
         ORDER BY instant DESC LIMIT 1 OFFSET ?3",
    )?;
    let before = i64::try_from(many.saturating_sub(1)).unwrap_or(i64::MAX);
    let values = params![series.schedule.as_str(), series.set.as_str(), before];
    let found = statement.query_row(values, |row| row.get(0)).optional()?;
    Ok(found.map(read_time))
}

pub(super) fn has_nominal(
    conn: &Connection,
    series: &SeriesId,
    occurrence: &Occurrence,
) -> Result<bool, Failure> {
    let mut statement = conn.prepare_cached(
        "SELECT EXISTS (
            SELECT 1 FROM runs WHERE schedule = ?1 AND set_name = ?2 AND instant >= ?3 AND instant <= ?4
                AND generation IS NOT NULL AND civil = ?5 AND fold = ?6)",
    )?;
    let values = params![
        series.schedule.as_str(),
        series.set.as_str(),
        time(earlier(occurrence.instant, ZONES_REACH)),
        time(later(occurrence.instant, ZONES_REACH)),
        occurrence.civil.to_string(),
        rows::word(&rows::FOLDS, &occurrence.fold),
    ];
    Ok(statement.query_row(values, |row| row.get(0))?)
}
