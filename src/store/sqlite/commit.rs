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
use crate::sched::act::Ended;
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
    known: &mut Known,
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
        .try_for_each(|change| apply(conn, known, &mut runs, change))
}

fn apply(
    conn: &Connection,
    known: &mut Known,
    runs: &mut Runs<'_>,
    change: &Change,
) -> Result<(), Failure> {
    match change {
        Change::Run { run, record, .. } => {
            let key = runs.stored(conn, known, &run.id)?;
            put_record(conn, key, record)
        }
        Change::Missed(missed) => put_missed(conn, missed),
        Change::Cursor {
            series,
            upto,
            definition,
        } => {
            let definition = known.definition(conn, definition)?;
            put_cursor(conn, series, *upto, definition)
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
    fn stored(&mut self, conn: &Connection, known: &mut Known, id: &RunId) -> Result<i64, Failure> {
        let ending = self
            .0
            .get_mut(id)
            .expect("every run of the commit is there");
        if let Some(key) = ending.key {
            return Ok(key);
        }
        let key = put_run(conn, known, ending)?;
        ending.key = Some(key);
        known.remember(ending.run, key);
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

macro_rules! insert_run {
    ($on_conflict:literal) => {
        concat!(
            "INSERT INTO runs (
                id, schedule, set_name, instant, generation, civil, fold, due, origin, planned,
                config, definition, parameters, state, outcome, reason, detail, attempt, failures,
                cancel, fault, job, submitted, finished, changed_wall, changed_mono, ended,
                lost_until, beside, even_paused, resolved
            ) VALUES (
                ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31
            ) ",
            $on_conflict
        )
    };
}

/// A run that is new.
const NEW_RUN: &str = insert_run!("ON CONFLICT DO NOTHING");

/// A run that may be there already.
const PUT_RUN: &str = insert_run!(
    "ON CONFLICT (schedule, set_name, instant, coalesce(generation, id)) DO UPDATE SET
        civil = excluded.civil, fold = excluded.fold, due = excluded.due,
        origin = excluded.origin, planned = excluded.planned, config = excluded.config,
        definition = excluded.definition, parameters = excluded.parameters,
        state = excluded.state, outcome = excluded.outcome, reason = excluded.reason,
        detail = excluded.detail, attempt = excluded.attempt, failures = excluded.failures,
        cancel = excluded.cancel, fault = excluded.fault, job = excluded.job,
        submitted = excluded.submitted, finished = excluded.finished,
        changed_wall = excluded.changed_wall, changed_mono = excluded.changed_mono,
        ended = excluded.ended, lost_until = excluded.lost_until, beside = excluded.beside,
        even_paused = excluded.even_paused, resolved = excluded.resolved
     WHERE excluded.attempt >= runs.attempt
        AND (runs.state <> 'finished'
            OR (excluded.outcome IS runs.outcome AND excluded.reason IS runs.reason))
     RETURNING key"
);

/// A run that is there and only moves on: what it was born with is compared and not written, and with it the indexes
/// over it are left alone.
const MOVE_RUN: &str = "
    UPDATE runs SET
        state = ?14, outcome = ?15, reason = ?16, detail = ?17, attempt = ?18, failures = ?19,
        cancel = ?20, fault = ?21, job = ?22, submitted = ?23, finished = ?24,
        changed_wall = ?25, changed_mono = ?26, ended = ?27, lost_until = ?28, beside = ?29,
        even_paused = ?30, resolved = ?31
    WHERE key = ?32 AND id = ?1
        AND civil = ?6 AND fold = ?7 AND due = ?8 AND origin = ?9 AND planned = ?10
        AND config = ?11 AND definition = ?12 AND parameters IS ?13
        AND attempt <= ?18
        AND (state <> 'finished' OR (outcome IS ?15 AND reason IS ?16))";

/// Gives back the run's key in the file.
fn put_run(conn: &Connection, known: &mut Known, ending: &Ending<'_>) -> Result<i64, Failure> {
    let (run, at) = (ending.run, ending.at);
    if run.definition.series != run.id.series {
        let of = &run.definition.series;
        return Err(StoreError::Corrupt(format!("run {} has a definition of {of}", run.id)).into());
    }
    let definition = known.definition(conn, &run.definition)?;
    let state = rows::state(&run.state);
    let generation = match run.id.kind {
        RunKind::Generation(number) => Some(number),
        RunKind::Manual(_) => None,
    };
    // Compared as text: equality of JSON objects does not see the order of keys.
    let written = run.definition.parameters.values();
    let own = match Arc::ptr_eq(&run.parameters, written) {
        true => None,
        false => Some(rows::parameters(&run.parameters)),
    };
    let own = own.filter(|own| *own != rows::parameters(written));
    let id = run.id.to_string();
    let civil = run.civil.to_string();
    let fault = run.fault.as_ref().map(rows::fault);
    let (submitted, finished) = (run.submitted.map(rows::time), run.finished.map(rows::time));
    let (ended, lost_until) = (ended(run).map(rows::time), lost_until(run).map(rows::time));
    let (instant, due, planned) = (
        rows::time(run.id.instant),
        rows::time(run.due),
        rows::time(run.planned),
    );
    let wall = rows::time(at.wall);
    let values = params![
        id,
        run.id.series.schedule.as_str(),
        run.id.series.set.as_str(),
        instant,
        generation,
        civil,
        rows::word(&rows::FOLDS, &run.fold),
        due,
        run.origin.word(),
        planned,
        &*run.config,
        definition,
        own,
        state.state,
        state.outcome,
        state.reason,
        state.detail,
        run.attempt,
        run.failures,
        run.cancel.map(|why| why.word()),
        fault,
        run.job.as_ref().map(|job| job.as_str()),
        submitted,
        finished,
        wall,
        at.mono.0,
        ended,
        lost_until,
        run.beside,
        run.even_paused,
        run.resolved.map(Ended::word),
    ];
    if ending.newborn && conn.prepare_cached(NEW_RUN)?.execute(values)? == 1 {
        return Ok(conn.last_insert_rowid());
    }
    if let Some(key) = known.key(conn, &run.id)? {
        let with_key = [values, params![key]].concat();
        if conn.prepare_cached(MOVE_RUN)?.execute(&*with_key)? == 1 {
            return Ok(key);
        }
    }
    let key = conn
        .prepare_cached(PUT_RUN)?
        .query_row(values, |row| row.get(0))
        .optional()?;
    key.ok_or_else(|| goes_back(run))
}

fn ended(run: &Run) -> Option<Timestamp> {
    run.outcome().map(|_| run.finished.unwrap_or(run.planned))
}

/// Until when the job of a lost run may live.
fn lost_until(run: &Run) -> Option<Timestamp> {
    let unknown = run.outcome() == Some(Outcome::Lost) && run.resolved.is_none();
    unknown.then(|| run.may_live_until())
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
        "INSERT INTO notices (id, kind, at, schedule, run, subject, body, set_name, instant)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO NOTHING",
    )?
    .execute(params![
        notice.id,
        notice.kind.word(),
        rows::time(notice.at),
        notice.schedule.as_ref().map(|name| name.as_str()),
        notice.run.as_ref().map(|run| run.to_string()),
        notice.subject,
        notice.body,
        notice.run.as_ref().map(|run| run.series.set.as_str()),
        notice.run.as_ref().map(|run| rows::time(run.instant)),
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

/// The most definitions and runs whose keys are remembered; far more than a configuration has, and than are live.
const REMEMBERED: usize = 1 << 18;

/// So many definitions are remembered before any is let go.
const SWEEP: usize = 1 << 10;

/// Keys of definitions and of live runs that are in the file.
#[derive(Default)]
pub(super) struct Known {
    /// By the address of the value, which stays taken while the entry holds it.
    definitions: HashMap<usize, (Arc<Definition>, i64)>,
    /// From so many on, those that nobody else holds are let go: a reload brings a new value for every series.
    sweep_at: usize,
    runs: HashMap<RunId, i64>,
}

impl Known {
    /// The key of a definition in the file; stores it if it is new.
    pub(super) fn definition(
        &mut self,
        conn: &Connection,
        definition: &Arc<Definition>,
    ) -> Result<i64, Failure> {
        match self.definitions.entry(Arc::as_ptr(definition).addr()) {
            Entry::Occupied(known) => Ok(known.get().1),
            Entry::Vacant(place) => {
                let key = find_or_put(conn, definition)?;
                place.insert((Arc::clone(definition), key));
                Ok(key)
            }
        }
    }

    /// Lets go the definitions that are in use nowhere else, once they have become many; all when still too many are
    /// left.
    pub(super) fn let_go(&mut self) {
        let definitions = &mut self.definitions;
        if definitions.len() < self.sweep_at {
            return;
        }
        definitions.retain(|_, (definition, _)| Arc::strong_count(definition) > 1);
        if definitions.len() >= REMEMBERED {
            definitions.clear();
        }
        self.sweep_at = (2 * definitions.len()).clamp(SWEEP, REMEMBERED);
    }

    /// The key of a run that is in the file.
    fn key(&self, conn: &Connection, id: &RunId) -> Result<Option<i64>, Failure> {
        if let Some(key) = self.runs.get(id) {
            return Ok(Some(*key));
        }
        let found = conn
            .prepare_cached(
                "SELECT key FROM runs
                 WHERE schedule = ?1 AND set_name = ?2 AND instant = ?3 AND id = ?4",
            )?
            .query_row(rows::identity(id), |row| row.get(0))
            .optional()?;
        Ok(found)
    }

    /// A run was written. One that has ended is not written again, as a rule.
    fn remember(&mut self, run: &Run, key: i64) {
        if run.outcome().is_some() {
            self.runs.remove(&run.id);
            return;
        }
        if self.runs.len() >= REMEMBERED {
            self.runs.clear();
        }
        self.runs.insert(run.id.clone(), key);
    }

    /// Forgets all: after a rollback or a deletion some may be gone from the file.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

fn find_or_put(conn: &Connection, definition: &Definition) -> Result<i64, Failure> {
    let body = rows::definition(definition);
    let parameters = rows::parameters(definition.parameters.values());
    let hash = hash(&[&body, &parameters]);
    let found = conn
        .prepare_cached(
            "SELECT key FROM definitions WHERE hash = ?1 AND body = ?2 AND parameters = ?3",
        )?
        .query_row(params![hash, body, parameters], |row| row.get(0))
        .optional()?;
    if let Some(key) = found {
        return Ok(key);
    }
    let key = conn
        .prepare_cached(
            "INSERT INTO definitions (hash, body, parameters, schedule, set_name)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .insert(params![
            hash,
            body,
            parameters,
            definition.series.schedule.as_str(),
            definition.series.set.as_str()
        ])?;
    Ok(key)
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
