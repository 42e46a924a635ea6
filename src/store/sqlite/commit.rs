//! Changes to SQL, all in one transaction that the caller opened.
//!
//! Invariant: a finished run keeps its outcome and no run goes back to an earlier attempt; a commit that tries is
//! refused whole, before anything could be submitted twice.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::acts;
use super::failure::Failure;
use super::lease;
use super::rows;
use crate::sched::id::{RunId, RunKind, SeriesId};
use crate::sched::notice::Notice;
use crate::sched::outcome::Outcome;
use crate::sched::run::{Record, Run};
use crate::sched::schedule::Definition;
use crate::sched::step::{Change, ConnectionMemory, Missed};
use crate::sched::time::{Now, Timestamp};
use crate::store::{Lease, StoreError};

/// Stores the changes if the lease still holds. An empty list writes all the same, so that a full disk shows.
pub(super) fn commit(
    conn: &Connection,
    definitions: &mut Definitions,
    lease: &Lease,
    changes: &[Change],
) -> Result<(), Failure> {
    lease::guard(conn, lease)?;
    if changes.is_empty() {
        conn.prepare_cached("UPDATE meta SET probes = probes + 1")?
            .execute([])?;
    }
    let mut runs = Runs::of(changes)?;
    changes
        .iter()
        .try_for_each(|change| apply(conn, definitions, &mut runs, change))
}

fn apply(
    conn: &Connection,
    definitions: &mut Definitions,
    runs: &mut Runs<'_>,
    change: &Change,
) -> Result<(), Failure> {
    match change {
        Change::Run { run, record, .. } => {
            let key = runs.stored(conn, definitions, &run.id)?;
            put_record(conn, key, record)
        }
        Change::Missed(missed) => put_missed(conn, missed),
        Change::Cursor {
            series,
            upto,
            definition,
        } => {
            let definition = definitions.stored(conn, definition)?;
            put_cursor(conn, series, *upto, definition.key)
        }
        Change::Closed { series, upto } => close(conn, series, *upto),
        Change::Notice(notice) => put_notice(conn, notice),
        Change::Mark(mark) => put_mark(conn, *mark),
        Change::Connection { name, memory } => put_connection(conn, name.as_str(), memory),
        Change::Paused(pause) => acts::put_pause(conn, pause),
        Change::Resumed(scope) => acts::end_pause(conn, scope),
        Change::Skip(skip) => acts::put_skip(conn, skip),
        Change::Unskip(series, what) => acts::end_skip(conn, series, what),
        Change::Acted(deed) => acts::put_deed(conn, deed),
    }
}

/// The runs of a commit. Each is written once, as its last change leaves it: a run that is due is planned and submitted
/// in one commit.
struct Runs<'a>(HashMap<&'a RunId, Ending<'a>>);

/// A run as a commit leaves it.
struct Ending<'a> {
    run: &'a Run,
    at: Now,
    /// The commit begins with it before its first submission, so that it is new as a rule.
    newborn: bool,
    /// Its key in the file, once it is written.
    key: Option<i64>,
}

impl<'a> Runs<'a> {
    fn of(changes: &'a [Change]) -> Result<Self, Failure> {
        let mut endings: HashMap<&RunId, Ending<'_>> = HashMap::new();
        for change in changes {
            let Change::Run { run, at, .. } = change else {
                continue;
            };
            let ending = endings.entry(&run.id).or_insert(Ending {
                run,
                at: *at,
                newborn: run.attempt == 0,
                key: None,
            });
            let before = std::mem::replace(&mut ending.run, run);
            ending.at = *at;
            let other_outcome = before.outcome().is_some_and(|o| run.outcome() != Some(o));
            if run.attempt < before.attempt || other_outcome {
                return Err(goes_back(run));
            }
        }
        Ok(Self(endings))
    }

    /// The key of a run, which is written when it is asked for first.
    fn stored(
        &mut self,
        conn: &Connection,
        definitions: &mut Definitions,
        id: &RunId,
    ) -> Result<i64, Failure> {
        let ending = self
            .0
            .get_mut(id)
            .expect("every run of the commit is there");
        if let Some(key) = ending.key {
            return Ok(key);
        }
        let definition = definitions.stored(conn, &ending.run.definition)?;
        let key = put_run(conn, ending, definition)?;
        ending.key = Some(key);
        Ok(key)
    }
}

/// A finished run keeps its outcome, and no run goes back to an earlier attempt.
fn goes_back(run: &Run) -> Failure {
    let (state, attempt) = (run.state.word(), run.attempt);
    StoreError::Corrupt(format!(
        "run {} is already finished or further on than {state} of attempt {attempt}: refused, \
         nothing of this step is stored",
        run.id,
    ))
    .into()
}

const PUT_RUN: &str = "
    INSERT INTO runs (
        id, schedule, set_name, instant, generation, civil, fold, due, origin, planned,
        config, definition, parameters, state, outcome, reason, detail, attempt, failures,
        cancel, fault, job, submitted, finished, changed_wall, changed_mono, ended, lost_until,
        beside, even_paused
    ) VALUES (
        ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
        ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30
    )
    ON CONFLICT (id) DO UPDATE SET
        civil = excluded.civil, fold = excluded.fold, due = excluded.due,
        origin = excluded.origin, planned = excluded.planned, config = excluded.config,
        definition = excluded.definition, parameters = excluded.parameters,
        state = excluded.state, outcome = excluded.outcome, reason = excluded.reason,
        detail = excluded.detail, attempt = excluded.attempt, failures = excluded.failures,
        cancel = excluded.cancel, fault = excluded.fault, job = excluded.job,
        submitted = excluded.submitted, finished = excluded.finished,
        changed_wall = excluded.changed_wall, changed_mono = excluded.changed_mono,
        ended = excluded.ended, lost_until = excluded.lost_until, beside = excluded.beside,
        even_paused = excluded.even_paused
    WHERE excluded.attempt >= runs.attempt
        AND (runs.state <> 'finished'
            OR (excluded.outcome IS runs.outcome AND excluded.reason IS runs.reason))
    RETURNING key";

/// The same for a run that is known and only moves on, with the same values: what it was born with is compared and not
/// written, and with it the indexes over it are left alone.
const MOVE_RUN: &str = "
    UPDATE runs SET
        state = ?14, outcome = ?15, reason = ?16, detail = ?17, attempt = ?18, failures = ?19,
        cancel = ?20, fault = ?21, job = ?22, submitted = ?23, finished = ?24,
        changed_wall = ?25, changed_mono = ?26, ended = ?27, lost_until = ?28, beside = ?29,
        even_paused = ?30
    WHERE id = ?1
        AND civil = ?6 AND fold = ?7 AND due = ?8 AND origin = ?9 AND planned = ?10
        AND config = ?11 AND definition = ?12 AND parameters IS ?13
        AND attempt <= ?18
        AND (state <> 'finished' OR (outcome IS ?15 AND reason IS ?16))
    RETURNING key";

/// Gives back the run's key in the file.
fn put_run(conn: &Connection, ending: &Ending<'_>, definition: &Stored) -> Result<i64, Failure> {
    let (run, at) = (ending.run, ending.at);
    let state = rows::state(&run.state);
    let generation = match run.id.kind {
        RunKind::Generation(number) => Some(number),
        RunKind::Manual(_) => None,
    };
    // Compared as text: equality of JSON objects does not see the order of keys.
    let parameters = Some(rows::parameters(&run.parameters));
    let parameters = parameters.filter(|own| *own != definition.parameters);
    let write = |statement: &str| {
        conn.prepare_cached(statement)?
            .query_row(
                params![
                    run.id.to_string(),
                    run.id.series.schedule.as_str(),
                    run.id.series.set.as_str(),
                    rows::time(run.id.instant),
                    generation,
                    run.civil.to_string(),
                    rows::word(&rows::FOLDS, &run.fold),
                    rows::time(run.due),
                    run.origin.word(),
                    rows::time(run.planned),
                    &*run.config,
                    definition.key,
                    parameters,
                    state.state,
                    state.outcome,
                    state.reason,
                    state.detail,
                    run.attempt,
                    run.failures,
                    run.cancel.map(|why| why.word()),
                    run.fault.as_ref().map(rows::fault),
                    run.job.as_ref().map(|job| job.as_str()),
                    run.submitted.map(rows::time),
                    run.finished.map(rows::time),
                    rows::time(at.wall),
                    at.mono.0,
                    ended(run).map(rows::time),
                    lost_until(run).map(rows::time),
                    run.beside,
                    run.even_paused,
                ],
                |row| row.get(0),
            )
            .optional()
    };
    let moved = match ending.newborn {
        true => None,
        false => write(MOVE_RUN)?,
    };
    let key = match moved {
        None => write(PUT_RUN)?,
        moved => moved,
    };
    key.ok_or_else(|| goes_back(run))
}

fn ended(run: &Run) -> Option<Timestamp> {
    run.outcome().map(|_| run.finished.unwrap_or(run.planned))
}

/// Until when the job of a lost run may live.
fn lost_until(run: &Run) -> Option<Timestamp> {
    (run.outcome() == Some(Outcome::Lost)).then(|| run.may_live_until())
}

fn put_record(conn: &Connection, run: i64, record: &Record) -> Result<(), Failure> {
    conn.prepare_cached(
        "INSERT INTO run_events (run, at, what, state, attempt, why, fault, job)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        run,
        rows::time(record.at),
        record.what,
        record.state,
        record.attempt,
        record.why,
        record.fault.as_ref().map(rows::fault),
        record.job.as_ref().map(|job| job.as_str()),
    ])?;
    Ok(())
}

fn put_missed(conn: &Connection, missed: &Missed) -> Result<(), Failure> {
    conn.prepare_cached(
        "INSERT INTO missed (schedule, set_name, after, upto, count, reason, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        missed.series.schedule.as_str(),
        missed.series.set.as_str(),
        rows::time(missed.range.after),
        rows::time(missed.range.upto),
        i64::try_from(missed.count).unwrap_or(i64::MAX),
        missed.reason.word(),
        rows::time(missed.at),
    ])?;
    Ok(())
}

fn put_cursor(
    conn: &Connection,
    series: &SeriesId,
    upto: Timestamp,
    definition: i64,
) -> Result<(), Failure> {
    conn.prepare_cached(
        "INSERT INTO cursors (schedule, set_name, upto, definition, closed)
         VALUES (?1, ?2, ?3, ?4, 0)
         ON CONFLICT (schedule, set_name) DO UPDATE SET
            upto = excluded.upto, definition = excluded.definition, closed = 0",
    )?
    .execute(params![
        series.schedule.as_str(),
        series.set.as_str(),
        rows::time(upto),
        definition
    ])?;
    Ok(())
}

fn close(conn: &Connection, series: &SeriesId, upto: Timestamp) -> Result<(), Failure> {
    conn.prepare_cached(
        "UPDATE cursors SET upto = ?3, closed = 1 WHERE schedule = ?1 AND set_name = ?2",
    )?
    .execute(params![
        series.schedule.as_str(),
        series.set.as_str(),
        rows::time(upto)
    ])?;
    Ok(())
}

fn put_notice(conn: &Connection, notice: &Notice) -> Result<(), Failure> {
    conn.prepare_cached(
        "INSERT INTO notices (id, kind, at, schedule, run, subject, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING",
    )?
    .execute(params![
        notice.id,
        notice.kind.word(),
        rows::time(notice.at),
        notice.schedule.as_ref().map(|name| name.as_str()),
        notice.run.as_ref().map(|run| run.to_string()),
        notice.subject,
        notice.body,
    ])?;
    Ok(())
}

fn put_mark(conn: &Connection, mark: Timestamp) -> Result<(), Failure> {
    conn.prepare_cached("UPDATE meta SET mark = max(coalesce(mark, ?1), ?1)")?
        .execute([rows::time(mark)])?;
    Ok(())
}

fn put_connection(conn: &Connection, name: &str, memory: &ConnectionMemory) -> Result<(), Failure> {
    conn.prepare_cached(
        "INSERT INTO connections (name, accepted, proven) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET accepted = excluded.accepted, proven = excluded.proven",
    )?
    .execute(params![
        name,
        rows::accepted(&memory.accepted),
        memory.proven.map(rows::time)
    ])?;
    Ok(())
}

/// The most definitions whose keys are remembered; far more than a configuration has.
const REMEMBERED: usize = 32_768;

/// Definitions that are in the file. Remembered by the address of the value, which stays taken while the entry holds
/// it.
#[derive(Default)]
pub(super) struct Definitions(HashMap<usize, Stored>);

/// A definition as it is in the file.
struct Stored {
    _holds_the_address: Arc<Definition>,
    key: i64,
    parameters: String,
}

impl Definitions {
    /// The definition in the file; stores it if it is new.
    fn stored(
        &mut self,
        conn: &Connection,
        definition: &Arc<Definition>,
    ) -> Result<&Stored, Failure> {
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        match self.0.entry(Arc::as_ptr(definition).addr()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(find_or_put(conn, definition)?)),
        }
    }

    /// Forgets all: after a rollback or a deletion some may be gone from the file.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

fn find_or_put(conn: &Connection, definition: &Arc<Definition>) -> Result<Stored, Failure> {
    let body = rows::definition(definition);
    let parameters = rows::parameters(&definition.parameters);
    let hash = hash(&[&body, &parameters]);
    let found = conn
        .prepare_cached(
            "SELECT key FROM definitions WHERE hash = ?1 AND body = ?2 AND parameters = ?3",
        )?
        .query_row(params![hash, body, parameters], |row| row.get(0))
        .optional()?;
    let key = match found {
        Some(key) => key,
        None => conn
            .prepare_cached("INSERT INTO definitions (hash, body, parameters) VALUES (?1, ?2, ?3)")?
            .insert(params![hash, body, parameters])?,
    };
    Ok(Stored {
        _holds_the_address: Arc::clone(definition),
        key,
        parameters,
    })
}

/// FNV-1a: an index, since equal hashes are told apart by the texts, and a seal of the texts.
pub(super) fn hash(texts: &[&str]) -> i64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
    bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        })
        .cast_signed()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::super::migrate;
    use super::*;
    use crate::sched::call::{Parameters, Target};
    use crate::sched::id::ConnectionName;
    use crate::sched::policy::{DoubtPolicy, MisfirePolicy, OverlapPolicy, Policies, RetryPolicy};
    use crate::sched::trigger::{DstGap, DstOverlap, Rhythm, TriggerSpec};

    fn definition(priority: i32) -> Arc<Definition> {
        Arc::new(Definition {
            series: "a/x".parse().unwrap(),
            trigger: TriggerSpec {
                rhythm: Rhythm::Every(Duration::from_secs(60)),
                zone: "UTC".to_owned(),
                from: None,
                until: None,
                exclude: Vec::new(),
                jitter: Duration::ZERO,
                dst_gap: DstGap::Run,
                dst_overlap: DstOverlap::First,
            },
            connection: ConnectionName::new("c").unwrap(),
            target: Target {
                base_url: String::new(),
                connection: String::new(),
            },
            query: String::new(),
            parameters: Parameters::Positional(Vec::new()),
            policies: Policies {
                misfire: MisfirePolicy::default(),
                overlap: OverlapPolicy::Skip,
                retry: RetryPolicy::default(),
                doubt: DoubtPolicy::Verify,
            },
            timeout: Duration::ZERO,
            start_deadline: Duration::ZERO,
            cancel_grace: Duration::ZERO,
            priority,
        })
    }

    #[test]
    fn equal_definitions_are_one_row_whoever_made_them() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate::initialise(&mut conn).unwrap();
        let mut known = Definitions::default();
        let (one, two, other) = (definition(0), definition(0), definition(1));
        let key = known.stored(&conn, &one).unwrap().key;
        assert_eq!(known.stored(&conn, &one).unwrap().key, key);
        assert_eq!(known.stored(&conn, &two).unwrap().key, key);
        assert_ne!(known.stored(&conn, &other).unwrap().key, key);
        known.forget();
        assert_eq!(known.stored(&conn, &two).unwrap().key, key);
        let rows: i64 = conn
            .query_row("SELECT count(*) FROM definitions", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 2);
    }
}
