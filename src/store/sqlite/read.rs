//! Questions to the database, the same for the daemon and for the command line.
//!
//! The caller opens a transaction around each question, so that its statements see one state.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, Params, Row, params, params_from_iter};

use super::acts;
use super::commit;
use super::failure::{Failure, unreadable};
use super::rows::{self, StateRow, parse, read_time, time};
use crate::sched::act::Ended;
use crate::sched::id::{ConnectionName, RunId, SeriesId};
use crate::sched::notice::{Notice, NoticeKind};
use crate::sched::outcome::SkipReason;
use crate::sched::run::{Origin, Record, Run, RunState};
use crate::sched::schedule::Definition;
use crate::sched::step::{ConnectionMemory, Decided, Missed, RECENT, Saved, SavedSeries};
use crate::sched::time::{Mono, Now, TimeRange, Timestamp, earlier};
use crate::store::{InForce, Incident, RunQuery, Story};

/// The columns that [`Reader::run`] reads, in its order; the key first.
const RUN: &str = "key, id, civil, fold, due, origin, planned, config, definition, parameters, \
     state, outcome, reason, detail, attempt, failures, beside, even_paused, cancel, fault, job, submitted, \
     finished, resolved, changed_wall, changed_mono";

/// The order of runs: by instant, then by identity.
const ORDER: &str = "instant, schedule, set_name, generation IS NULL, generation, id";
const NEWEST_FIRST: &str = "instant DESC, schedule DESC, set_name DESC, generation IS NULL DESC, \
     generation DESC, id DESC";

/// Columns one after the other.
struct Columns<'r, 's> {
    row: &'r Row<'s>,
    next: usize,
}

impl Columns<'_, '_> {
    fn take<T: rusqlite::types::FromSql>(&mut self) -> Result<T, rusqlite::Error> {
        let index = self.next;
        self.next += 1;
        self.row.get(index)
    }

    fn time(&mut self) -> Result<Timestamp, rusqlite::Error> {
        Ok(read_time(self.take()?))
    }

    fn maybe_time(&mut self) -> Result<Option<Timestamp>, rusqlite::Error> {
        Ok(self.take::<Option<i64>>()?.map(read_time))
    }

    fn fault(&mut self) -> Result<Option<crate::sched::fault::Fault>, Failure> {
        let text: Option<String> = self.take()?;
        text.as_deref().map(rows::read_fault).transpose()
    }

    fn job(&mut self) -> Result<Option<crate::sched::id::JobId>, Failure> {
        let text: Option<String> = self.take()?;
        text.as_deref().map(rows::read_job).transpose()
    }
}

/// A run as it was read.
struct StoredRun {
    key: i64,
    run: Run,
    changed: Now,
}

/// Reads runs; definitions and configuration hashes that several of them share are one value in memory.
pub(super) struct Reader<'c> {
    conn: &'c Connection,
    definitions: HashMap<i64, Arc<Definition>>,
    configs: HashSet<Arc<str>>,
}

impl<'c> Reader<'c> {
    pub(super) fn new(conn: &'c Connection) -> Self {
        Self {
            conn,
            definitions: HashMap::new(),
            configs: HashSet::new(),
        }
    }

    pub(super) fn definition(&mut self, key: i64) -> Result<Arc<Definition>, Failure> {
        if let Some(known) = self.definitions.get(&key) {
            return Ok(Arc::clone(known));
        }
        let (hash, body, parameters): (i64, String, String) = self
            .conn
            .prepare_cached("SELECT hash, body, parameters FROM definitions WHERE key = ?1")?
            .query_row([key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        // What is to be called must not change by itself.
        if hash != commit::hash(&[&body, &parameters]) {
            return Err(unreadable("the definition that was stored", &body));
        }
        let definition = rows::read_definition(&body, &parameters)?;
        self.definitions.insert(key, Arc::clone(&definition));
        Ok(definition)
    }

    fn config(&mut self, hash: String) -> Arc<str> {
        if let Some(known) = self.configs.get(hash.as_str()) {
            return Arc::clone(known);
        }
        let config: Arc<str> = Arc::from(hash);
        self.configs.insert(Arc::clone(&config));
        config
    }

    fn run(&mut self, row: &Row<'_>) -> Result<StoredRun, Failure> {
        let mut columns = Columns { row, next: 0 };
        let key = columns.take()?;
        let id: String = columns.take()?;
        let civil: String = columns.take()?;
        let fold: String = columns.take()?;
        let due = columns.time()?;
        let origin: String = columns.take()?;
        let planned = columns.time()?;
        let config: String = columns.take()?;
        let definition = self.definition(columns.take()?)?;
        let parameters = match columns.take::<Option<String>>()? {
            Some(text) => Arc::new(rows::read_parameters(&text)?),
            None => Arc::clone(definition.parameters.values()),
        };
        let state = rows::read_state(&StateRow {
            state: columns.take()?,
            outcome: columns.take()?,
            reason: columns.take()?,
            detail: columns.take()?,
        })?;
        let run = Run {
            id: parse(&id, "the id of a run")?,
            civil: parse(&civil, "a civil time")?,
            fold: rows::by_word(&rows::FOLDS, &fold, "a fold")?,
            due,
            origin: rows::by_word(&Origin::ALL, &origin, "the origin of a run")?,
            planned,
            config: self.config(config),
            definition,
            parameters,
            state,
            attempt: columns.take()?,
            failures: columns.take()?,
            beside: columns.take()?,
            even_paused: columns.take()?,
            cancel: columns
                .take::<Option<String>>()?
                .as_deref()
                .map(rows::read_cancel)
                .transpose()?,
            fault: columns.fault()?,
            job: columns.job()?,
            submitted: columns.maybe_time()?,
            finished: columns.maybe_time()?,
            resolved: columns
                .take::<Option<String>>()?
                .map(|word| rows::by_word(&Ended::ALL, &word, "how a lost run ended"))
                .transpose()?,
        };
        let changed = Now {
            wall: columns.time()?,
            mono: Mono(columns.take()?),
        };
        Ok(StoredRun { key, run, changed })
    }

    fn runs(&mut self, rest: &str, values: impl Params) -> Result<Vec<StoredRun>, Failure> {
        let sql = format!("SELECT {RUN} FROM runs {rest}");
        let mut statement = self.conn.prepare_cached(&sql)?;
        collect(statement.query(values)?, |row| self.run(row))
    }
}

pub(super) fn collect<T>(
    mut rows: rusqlite::Rows<'_>,
    mut read: impl FnMut(&Row<'_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

pub(super) fn series_of(schedule: &str, set: &str) -> Result<SeriesId, Failure> {
    Ok(SeriesId {
        schedule: parse(schedule, "the name of a schedule")?,
        set: parse(set, "the name of a set")?,
    })
}

/// Every occurrence of every open series up to this time is decided; `None` in a new database.
pub(super) fn mark(conn: &Connection) -> Result<Option<Timestamp>, Failure> {
    let mark: Option<i64> = conn
        .prepare_cached("SELECT mark FROM meta")?
        .query_row([], |row| row.get(0))?;
    Ok(mark.map(read_time))
}

/// What is planned now, and what holds.
pub(super) fn in_force(conn: &Connection) -> Result<InForce, Failure> {
    let mut reader = Reader::new(conn);
    let live = reader.runs(&format!("WHERE state <> 'finished' ORDER BY {ORDER}"), [])?;
    Ok(InForce {
        mark: mark(conn)?,
        series: open_series(&mut reader)?,
        live: live.into_iter().map(|stored| stored.run).collect(),
        pauses: acts::pauses(conn)?,
        skips: acts::skips(conn)?,
    })
}

/// Of each of these series the newest planned runs after a time, at most so many, each with its definition.
pub(super) fn planned_after(
    conn: &Connection,
    series: &[SeriesId],
    after: Timestamp,
    most: usize,
) -> Result<Vec<(Decided, Arc<Definition>)>, Failure> {
    let mut reader = Reader::new(conn);
    let mut statement = conn.prepare_cached(
        "SELECT id, civil, fold, definition FROM runs
         WHERE schedule = ?1 AND set_name = ?2 AND instant > ?3 AND generation = 0
         ORDER BY instant DESC LIMIT ?4",
    )?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut all = Vec::new();
    for SeriesId { schedule, set } in series {
        let values = params![schedule.as_str(), set.as_str(), time(after), most];
        all.extend(collect(statement.query(values)?, |row| {
            Ok((rows::read_decided(row)?, reader.definition(row.get(3)?)?))
        })?);
    }
    Ok(all)
}

/// Everything that the heart needs to go on.
pub(super) fn saved(conn: &Connection) -> Result<Saved, Failure> {
    let mark = mark(conn)?;
    let mut reader = Reader::new(conn);
    let live = reader.runs(&format!("WHERE state <> 'finished' ORDER BY {ORDER}"), [])?;
    // Without a mark nothing is known to have ended; and the mark may be ahead of a clock that was set back.
    let may_live = mark.map_or(i64::MIN, |mark| {
        time(earlier(mark, RECENT)).saturating_add(1)
    });
    let lost = reader.runs(
        &format!("WHERE lost_until >= ?1 ORDER BY {ORDER}"),
        [may_live],
    )?;
    let series = open_series(&mut reader)?;
    let pauses = acts::pauses(conn)?;
    Ok(Saved {
        mark,
        passed: acts::passed(conn, &series, &pauses)?,
        pauses,
        skips: acts::skips(conn)?,
        series,
        live: live.into_iter().map(|s| (s.run, s.changed)).collect(),
        lost: lost.into_iter().map(|s| s.run).collect(),
        recent: recent(conn, mark)?,
        connections: connections(conn)?,
    })
}

/// Open series: own cursor and the definition they were planned with.
pub(super) fn series(conn: &Connection) -> Result<Vec<SavedSeries>, Failure> {
    open_series(&mut Reader::new(conn))
}

fn open_series(reader: &mut Reader<'_>) -> Result<Vec<SavedSeries>, Failure> {
    let conn = reader.conn;
    let mut statement = conn.prepare_cached(
        "SELECT schedule, set_name, upto, definition FROM cursors WHERE closed = 0
         ORDER BY schedule, set_name",
    )?;
    collect(statement.query([])?, |row| {
        let (schedule, set): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(SavedSeries {
            series: series_of(&schedule, &set)?,
            cursor: read_time(row.get(2)?),
            definition: reader.definition(row.get(3)?)?,
        })
    })
}

fn recent(conn: &Connection, mark: Option<Timestamp>) -> Result<Vec<Decided>, Failure> {
    let since = mark.map_or(Timestamp::MIN, |mark| earlier(mark, RECENT));
    // Each part by its index: for UNION instead of UNION ALL, SQLite reads all of history in the order of its keys. What
    // was decided lately was so within an hour of its time, or is among the late ones.
    let sql = format!(
        "SELECT id, civil, fold FROM runs WHERE key IN (
            SELECT key FROM runs WHERE instant >= ?1 - 3600000000000
                AND (instant >= ?1 OR planned >= ?1)
            UNION ALL SELECT key FROM runs WHERE planned >= ?1 AND planned - instant > 3600000000000
            UNION ALL SELECT key FROM runs WHERE ended >= ?1 AND generation > 0
         ) ORDER BY {ORDER}"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    collect(statement.query([time(since)])?, rows::read_decided)
}

pub(super) type Connections = Vec<(crate::sched::id::ConnectionName, ConnectionMemory)>;

pub(super) fn connections(conn: &Connection) -> Result<Connections, Failure> {
    let mut statement =
        conn.prepare_cached("SELECT name, accepted, proven FROM connections ORDER BY name")?;
    collect(statement.query([])?, |row| {
        let (name, accepted): (String, String) = (row.get(0)?, row.get(1)?);
        let memory = ConnectionMemory {
            accepted: rows::read_accepted(&accepted)?,
            proven: row.get::<_, Option<i64>>(2)?.map(read_time),
        };
        Ok((parse(&name, "the name of a connection")?, memory))
    })
}

/// The runs that match, by instant, oldest first; with a limit the newest of them.
pub(super) fn runs(conn: &Connection, query: &RunQuery) -> Result<Vec<Run>, Failure> {
    let mut conditions: Vec<&str> = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    let mut add = |condition, value: Value| {
        conditions.push(condition);
        values.push(value);
    };
    if let Some(schedule) = &query.schedule {
        add("schedule = ?", schedule.to_string().into());
    }
    if let Some(set) = &query.set {
        add("set_name = ?", set.to_string().into());
    }
    if let Some(since) = query.since {
        add("instant >= ?", time(since).into());
    }
    if let Some(until) = query.until {
        add("instant <= ?", time(until).into());
    }
    if let Some(word) = &query.state {
        // As the partial indexes say it, which hold few: without them all of history would be read.
        let condition = match word.as_str() {
            "finished" => "state = ?",
            "succeeded" => "outcome = ?",
            live if RunState::WORDS.contains(&live) => "state = ? AND state <> 'finished'",
            _ => "outcome = ? AND outcome <> 'succeeded'",
        };
        add(condition, word.clone().into());
    }
    let limit = query.limit.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
    if let Some(limit) = limit {
        // Asked for the newest in their whole order, SQLite reads and sorts all there are.
        let oldest = oldest_of(conn, &conditions, &values, limit)?;
        conditions.push("instant >= ?");
        values.push(oldest.into());
    }
    values.push(limit.unwrap_or(-1).into());
    let mut found = Reader::new(conn).runs(
        &format!("{} ORDER BY {NEWEST_FIRST} LIMIT ?", all(&conditions)),
        params_from_iter(values),
    )?;
    found.reverse();
    Ok(found.into_iter().map(|stored| stored.run).collect())
}

fn all(conditions: &[&str]) -> String {
    match conditions {
        [] => String::new(),
        some => format!("WHERE {}", some.join(" AND ")),
    }
}

/// The instant of the oldest of so many newest runs.
fn oldest_of(
    conn: &Connection,
    conditions: &[&str],
    values: &[Value],
    many: i64,
) -> Result<i64, Failure> {
    let sql = format!(
        "SELECT min(instant) FROM (
            SELECT instant FROM runs {} ORDER BY instant DESC LIMIT ?)",
        all(conditions)
    );
    let values = values.iter().cloned().chain([many.into()]);
    let oldest: Option<i64> = conn
        .prepare_cached(&sql)?
        .query_row(params_from_iter(values), |row| row.get(0))?;
    Ok(oldest.unwrap_or(i64::MIN))
}

/// One run with its records and the notices that it caused.
pub(super) fn story(conn: &Connection, id: &RunId) -> Result<Option<Story>, Failure> {
    let found = Reader::new(conn).runs(
        "WHERE schedule = ?1 AND set_name = ?2 AND instant = ?3 AND id = ?4",
        rows::identity(id),
    )?;
    let Some(stored) = found.into_iter().next() else {
        return Ok(None);
    };
    Ok(Some(Story {
        run: stored.run,
        records: records(conn, stored.key)?,
        notices: notices(conn, id)?,
    }))
}

fn records(conn: &Connection, run: i64) -> Result<Vec<Record>, Failure> {
    let mut statement = conn.prepare_cached(
        "SELECT at, what, state, attempt, why, fault, job FROM run_events WHERE run = ?1
         ORDER BY key",
    )?;
    collect(statement.query([run])?, |row| {
        let mut columns = Columns { row, next: 0 };
        Ok(Record {
            at: columns.time()?,
            what: columns.take::<String>()?.into(),
            state: columns.take::<String>()?.into(),
            attempt: columns.take()?,
            why: columns.take()?,
            fault: columns.fault()?,
            job: columns.job()?,
        })
    })
}

fn notices(conn: &Connection, run: &RunId) -> Result<Vec<Notice>, Failure> {
    let mut statement = conn.prepare_cached(
        "SELECT id, kind, at, schedule, run, subject, body FROM notices WHERE run = ?1
         ORDER BY key",
    )?;
    collect(statement.query([run.to_string()])?, notice)
}

/// Reads a notice from `id, kind, at, schedule, run, subject, body`.
pub(super) fn notice(row: &rusqlite::Row<'_>) -> Result<Notice, Failure> {
    let mut columns = Columns { row, next: 0 };
    let id = columns.take()?;
    let kind: String = columns.take()?;
    let at = columns.time()?;
    let schedule: Option<String> = columns.take()?;
    let run: Option<String> = columns.take()?;
    Ok(Notice {
        id,
        kind: NoticeKind::from_word(&kind).ok_or_else(|| unreadable("a kind of notice", &kind))?,
        at,
        schedule: schedule
            .map(|name| parse(&name, "the name of a schedule"))
            .transpose()?,
        run: run.map(|id| parse(&id, "the id of a run")).transpose()?,
        subject: columns.take()?,
        body: columns.take()?,
    })
}

/// The newest outage of a connection that people were told of, unless the connection has worked since: it is told so,
/// or after a restart, which forgets the outage, a job was accepted or seen.
pub(super) fn incident(
    conn: &Connection,
    connection: &ConnectionName,
) -> Result<Option<Incident>, Failure> {
    let Some(newest) = newest_incident(conn, connection)? else {
        return Ok(None);
    };
    let remembered = connections(conn)?;
    let memory = remembered.iter().find(|(name, _)| name == connection);
    let worked = memory.is_some_and(|(_, memory)| {
        let accepted = memory.accepted.last().map(|(_, at)| *at);
        accepted.max(memory.proven) > Some(newest.at)
    });
    Ok(Some(newest).filter(|_| !worked))
}

/// The newest incident of a connection, unless it is told to be over.
fn newest_incident(
    conn: &Connection,
    connection: &ConnectionName,
) -> Result<Option<Incident>, Failure> {
    let prefix = format!("{}:{connection}:", NoticeKind::Incident.word());
    let recovered = format!("{}:{connection}:", NoticeKind::Recovered.word());
    let mut statement = conn.prepare_cached(
        "SELECT substr(id, length(?1) + 1), at, body, EXISTS (
            SELECT 1 FROM notices AS other
            WHERE other.id = ?2 || substr(notices.id, length(?1) + 1)
         ) FROM notices WHERE id >= ?1 AND id < ?1 || char(0x10FFFF) ORDER BY at DESC, key DESC",
    )?;
    let mut rows = statement.query([prefix, recovered])?;
    while let Some(row) = rows.next()? {
        // An incident of a host may begin with the same words, and does not end with a time alone.
        let Ok(since) = row.get::<_, String>(0)?.parse() else {
            continue;
        };
        if row.get(3)? {
            return Ok(None);
        }
        let body: String = row.get(2)?;
        return Ok(Some(Incident {
            since,
            at: read_time(row.get(1)?),
            fault: body.lines().next().unwrap_or_default().to_owned(),
        }));
    }
    Ok(None)
}

/// What was missed in bulk, by range; of one series, or of all.
pub(super) fn missed(
    conn: &Connection,
    series: Option<&SeriesId>,
    range: TimeRange,
) -> Result<Vec<Missed>, Failure> {
    let mut statement = conn.prepare_cached(
        "SELECT schedule, set_name, after, upto, count, reason, at FROM missed
         WHERE (?1 IS NULL OR (schedule = ?1 AND set_name = ?2)) AND after < ?4 AND upto > ?3
         ORDER BY after, schedule, set_name, key",
    )?;
    let rows = statement.query(params![
        series.map(|s| s.schedule.as_str()),
        series.map(|s| s.set.as_str()),
        time(range.after),
        time(range.upto)
    ])?;
    collect(rows, |row| {
        let (schedule, set): (String, String) = (row.get(0)?, row.get(1)?);
        let reason: String = row.get(5)?;
        Ok(Missed {
            series: series_of(&schedule, &set)?,
            range: TimeRange {
                after: read_time(row.get(2)?),
                upto: read_time(row.get(3)?),
            },
            count: row.get::<_, i64>(4)?.unsigned_abs(),
            reason: SkipReason::from_word(&reason)
                .ok_or_else(|| unreadable("a reason to skip", &reason))?,
            at: read_time(row.get(6)?),
        })
    })
}
