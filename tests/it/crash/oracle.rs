//! What must hold after each kill, and of everything at the end. When a series is due is said here once more, second by
//! second, and the database and the vendor are asked directly.

use std::collections::BTreeMap;

use nightcall::sandbox::World as Vendor;

use super::program::{Look, Row};

const SECOND: i64 = 1_000_000_000;

/// A series as it should have run.
struct Series {
    name: (&'static str, &'static str),
    /// Whether it is due in this second since 1970.
    due: fn(i64) -> bool,
    /// How its runs may end.
    ends: &'static [&'static str],
    /// How often the body of a run that was not skipped is executed.
    executed: usize,
    /// How many of these executions end well.
    succeeded: usize,
    /// Whether people hear of each run that was not skipped.
    told: bool,
}

const SERIES: [Series; 7] = [
    series(("plain", "a"), |_| true, &["succeeded"]),
    series(("plain", "b"), |_| true, &["succeeded"]),
    series(("alone", "default"), |_| true, &["succeeded", "busy"]),
    Series {
        executed: 2,
        ..series(("retried", "default"), |_| true, &["succeeded"])
    },
    Series {
        succeeded: 0,
        told: true,
        ..series(("limited", "default"), |s| s % 2 == 0, &["timed_out"])
    },
    Series {
        succeeded: 0,
        told: true,
        ..series(("failing", "default"), |s| s % 60 % 3 == 1, &["failed"])
    },
    series(("sparse", "default"), |_| true, &["succeeded", "missed"]),
];

const fn series(
    name: (&'static str, &'static str),
    due: fn(i64) -> bool,
    ends: &'static [&'static str],
) -> Series {
    Series {
        name,
        due,
        ends,
        executed: 1,
        succeeded: 1,
        told: false,
    }
}

/// What is remembered from kill to kill.
pub(super) struct Oracle {
    /// From when on each series is planned.
    born: BTreeMap<(String, String), i64>,
    /// How each run has ended, as far as it has.
    ends: BTreeMap<String, Option<String>>,
}

/// The times in one column of one query.
type Ranges = Vec<(i64, i64, i64)>;

impl Oracle {
    /// `None` until every series is taken in, which must have happened between these two times.
    pub(super) fn new(look: &Look, started: i64, seen: i64) -> Option<Self> {
        let mut found = look
            .conn()
            .prepare("SELECT schedule, set_name, upto FROM cursors")
            .unwrap();
        let rows = found.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)));
        let born: BTreeMap<_, i64> = rows.unwrap().map(Result::unwrap).collect();
        if born.len() < SERIES.len() {
            return None;
        }
        for at in born.values() {
            assert!((started..seen).contains(at), "{started} {born:?} {seen}");
        }
        Some(Self {
            born,
            ends: BTreeMap::new(),
        })
    }

    /// After a kill: the file is whole, nothing that was on record is gone or has ended in another way, every job that
    /// was made is known as an intent, and nothing was executed too often.
    pub(super) fn look_at_the_dead(&mut self, look: &Look, vendor: &Vendor) -> Vec<Row> {
        assert_eq!(look.problems(), [""; 0]);
        assert_eq!(vendor.doubled(), [], "submitted twice");
        let rows = look.all();
        judge_jobs(&rows, vendor);
        judge_executions(vendor);
        let now: BTreeMap<String, Option<String>> = rows
            .iter()
            .map(|row| (row.id.clone(), end(row).map(str::to_owned)))
            .collect();
        for (run, ended) in &self.ends {
            let now = now.get(run);
            let kept = now.is_some_and(|now| ended.is_none() || now == ended);
            assert!(kept, "{run} had ended as {ended:?} and is now {now:?}");
        }
        self.ends = now;
        rows
    }

    /// Whether everything up to a time has come to its end.
    pub(super) fn all_ended(look: &Look, upto: i64) -> bool {
        let open =
            format!("SELECT count(*) FROM runs WHERE state <> 'finished' AND instant <= {upto}");
        look.number("SELECT coalesce(mark, 0) FROM meta") >= upto && look.number(&open) == 0
    }

    /// Everything up to a time, when it has come to its end.
    pub(super) fn judge(&self, look: &Look, vendor: &Vendor, upto: i64) {
        let rows = look.all();
        for series in &SERIES {
            self.judge_series(series, &rows, look, upto);
            let finished = rows
                .iter()
                .filter(|row| is_of(row, series) && row.instant <= upto);
            finished.for_each(|row| judge_run(series, row, look, vendor));
        }
        judge_story(look);
    }

    /// Each time that was due is on record once, and no other.
    fn judge_series(&self, series: &Series, rows: &[Row], look: &Look, upto: i64) {
        let (schedule, set) = series.name;
        let born = self.born[&(schedule.to_owned(), set.to_owned())];
        let mut records: BTreeMap<i64, usize> = BTreeMap::new();
        for row in rows.iter().filter(|row| is_of(row, series)) {
            *records.entry(row.instant).or_default() += 1;
        }
        let missed = missed(look, series);
        let due = (born / SECOND + 1..=upto / SECOND).filter(|second| (series.due)(*second));
        for second in due.clone() {
            let at = second * SECOND;
            let ranges = missed
                .iter()
                .filter(|(after, upto, _)| *after < at && at <= *upto);
            let found = records.remove(&at).unwrap_or(0) + ranges.count();
            assert_eq!(found, 1, "{schedule}/{set} at second {second}");
        }
        records.retain(|at, _| *at <= upto);
        assert!(
            records.is_empty(),
            "{schedule}/{set} was not due: {records:?}"
        );
        for (after, last, count) in missed {
            let within = due.clone().map(|second| second * SECOND);
            let within = within.filter(|at| after < *at && *at <= last).count();
            assert_eq!(i64::try_from(within).unwrap(), count, "{schedule}/{set}");
        }
    }
}

fn missed(look: &Look, series: &Series) -> Ranges {
    let sql = "SELECT after, upto, count FROM missed WHERE schedule = ?1 AND set_name = ?2";
    let mut found = look.conn().prepare(sql).unwrap();
    let rows = found.query_map(series.name, |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

fn is_of(row: &Row, series: &Series) -> bool {
    (row.schedule.as_str(), row.set.as_str()) == series.name
}

/// How a run has ended: a skip by its reason.
fn end(row: &Row) -> Option<&str> {
    row.reason.as_deref().or(row.outcome.as_deref())
}

/// A run ended as it should, was executed so often, and was told once if at all.
fn judge_run(series: &Series, row: &Row, look: &Look, vendor: &Vendor) {
    let ended = end(row).unwrap_or("not at all");
    assert!(series.ends.contains(&ended), "{} ended: {ended}", row.id);
    let skipped = row.reason.is_some();
    let (executed, succeeded) = match skipped {
        true => (0, 0),
        false => (series.executed, series.succeeded),
    };
    assert_eq!(vendor.executions(&row.id), executed, "{row:?}");
    assert_eq!(vendor.successes(&row.id), succeeded, "{row:?}");
    let told = usize::from(series.told && !skipped);
    let sql = "SELECT id FROM notices WHERE run = ?1";
    let mut found = look.conn().prepare_cached(sql).unwrap();
    let notices = found.query_map([&row.id], |row| row.get(0)).unwrap();
    let notices: Vec<String> = notices.map(Result::unwrap).collect();
    assert_eq!(notices, vec![format!("{}:finished", row.id); told]);
}

/// Every job belongs to an attempt on record; those of a series that runs alone follow each other.
fn judge_jobs(rows: &[Row], vendor: &Vendor) {
    let attempts: BTreeMap<&str, u32> = rows.iter().map(|r| (r.id.as_str(), r.attempt)).collect();
    let mut free_from = None;
    for job in vendor.jobs() {
        let marker = job.marker.as_ref().unwrap();
        let attempt = attempts.get(marker.run.as_str()).copied().unwrap_or(0);
        assert!(marker.attempt <= attempt, "nobody knows of {marker:?}");
        if marker.run.starts_with("alone/") {
            assert!(
                free_from <= Some(job.created),
                "{marker:?} began before the one before it had ended"
            );
            free_from = job.ends;
        }
    }
}

/// No run was executed more often than its job fails and ends well.
fn judge_executions(vendor: &Vendor) {
    let mut executed: BTreeMap<&str, usize> = BTreeMap::new();
    for job in vendor.jobs().filter(|job| job.executed(vendor.now())) {
        let marker = job.marker.as_ref().unwrap();
        *executed.entry(&marker.run).or_default() += 1;
    }
    for series in &SERIES {
        let name = format!("{}/{}@", series.name.0, series.name.1);
        let runs = executed.iter().filter(|(run, _)| run.starts_with(&name));
        for (run, times) in runs {
            assert!(
                *times <= series.executed,
                "{run} was executed {times} times"
            );
        }
    }
}

/// What is told of a run goes forward and ends once; nothing was told that must not happen.
fn judge_story(look: &Look) {
    let backwards = "SELECT count(*) FROM run_events a JOIN run_events b ON a.run = b.run
                     WHERE a.key < b.key AND (a.at > b.at OR a.attempt > b.attempt)";
    assert_eq!(look.number(backwards), 0, "a story goes backwards");
    let ends = "SELECT count(*) FROM (SELECT run FROM run_events WHERE state = 'finished'
                GROUP BY run HAVING count(*) > 1)";
    assert_eq!(look.number(ends), 0, "a run ended twice");
    let sql = "SELECT kind || ' ' || subject FROM notices
               WHERE kind NOT IN ('failed', 'timed_out', 'missed')";
    let mut found = look.conn().prepare(sql).unwrap();
    let others = found.query_map([], |row| row.get(0)).unwrap();
    let others: Vec<String> = others.map(Result::unwrap).collect();
    assert_eq!(others, [""; 0], "nobody should have been told of");
}
