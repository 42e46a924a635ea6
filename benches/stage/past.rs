//! A long history: finished runs with their events, cloned in SQL from one that the daemon made.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::daemon::{Daemon, Due, configure};
use super::vendor::Vendor;

/// The schedules that the history belongs to.
pub(crate) const SCHEDULES: usize = 1_000;

/// Makes a database with so many finished runs in a folder; runs of one schedule are an hour apart, back from now.
pub(crate) fn fill(folder: &Path, runs: usize) {
    let vendor = Vendor::start();
    let config = configure(folder, &vendor.base_url, 1, Due::EachSecond);
    let daemon = Daemon::start(folder, &config);
    let record = daemon.record();
    while record.count("outcome = 'succeeded'") < 1 {
        std::thread::sleep(Duration::from_millis(100));
    }
    drop((record, daemon));
    let database = Connection::open(folder.join("nightcall.db")).expect("the database opens");
    // Jobs of a vendor that is gone would be asked about for ever.
    database
        .execute_batch(
            "DELETE FROM run_events WHERE run IN (SELECT key FROM runs WHERE state <> 'finished');
             DELETE FROM runs WHERE state <> 'finished'",
        )
        .expect("they go");
    if runs == 0 {
        return;
    }
    database
        .execute_batch(
            "PRAGMA synchronous = OFF; PRAGMA cache_size = -500000; PRAGMA temp_store = MEMORY",
        )
        .expect("settings");
    // Indexes are made anew at the end: one sort each instead of a search for each row.
    let indexes: Vec<(String, String)> = database
        .prepare(
            "SELECT name, sql FROM sqlite_master
             WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ('runs', 'run_events')",
        )
        .and_then(|mut found| {
            found
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
        .expect("the indexes");
    for (name, _) in &indexes {
        database
            .execute_batch(&format!("DROP INDEX {name}"))
            .expect("an index goes");
    }
    let (template, first): (i64, i64) = database
        .query_row(
            "SELECT (SELECT key FROM runs WHERE outcome = 'succeeded' LIMIT 1), max(key) + 1 FROM runs",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .expect("a run to clone");
    let columns = |table: &str, without: &[&str]| -> Vec<String> {
        let mut found = database
            .prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))
            .expect("the columns");
        let names = found.query_map([], |row| row.get::<_, String>(0));
        names
            .expect("the columns")
            .map(|name| name.expect("a column"))
            .filter(|name| !without.contains(&name.as_str()))
            .collect()
    };
    let moved = [
        "instant",
        "due",
        "planned",
        "submitted",
        "finished",
        "changed_wall",
        "ended",
    ];
    let run_columns = columns("runs", &["key", "id", "schedule"]);
    let run_values: Vec<String> = run_columns
        .iter()
        .map(|name| match moved.contains(&name.as_str()) {
            true => format!("t.{name} - t.instant + n.at * 1000000000"),
            false => format!("t.{name}"),
        })
        .collect();
    let event_columns = columns("run_events", &["key", "run"]);
    let event_values: Vec<String> = event_columns
        .iter()
        .map(|name| match name.as_str() {
            "at" => "e.at - t.instant + n.at * 1000000000".to_owned(),
            other => format!("e.{other}"),
        })
        .collect();
    let per = runs.div_ceil(SCHEDULES);
    let hours = i64::try_from(per).expect("a count");
    let begin = jiff::Timestamp::now().as_second() / 3600 * 3600 - hours * 3600;
    let numbers = "WITH RECURSIVE n (k, at) AS (
        SELECT 0, ?3 UNION ALL SELECT k + 1, at + 3600 FROM n WHERE k + 1 < ?4)";
    let put_runs = format!(
        "{numbers} INSERT INTO runs (key, id, schedule, {}) SELECT ?2 + n.k,
         printf('%s/default@%s', ?5, strftime('%Y-%m-%dT%H:%M:%SZ', n.at, 'unixepoch')), ?5, {}
         FROM n, runs t WHERE t.key = ?1",
        run_columns.join(", "),
        run_values.join(", ")
    );
    let put_events = format!(
        "{numbers} INSERT INTO run_events (run, {}) SELECT ?2 + n.k, {}
         FROM n, runs t, run_events e WHERE t.key = ?1 AND e.run = ?1 AND ?5 <> ''",
        event_columns.join(", "),
        event_values.join(", ")
    );
    for schedule in 0..SCHEDULES {
        let name = format!("p{schedule:06}");
        let key = first + i64::try_from(schedule * per).expect("a key");
        database.execute_batch("BEGIN").expect("to begin");
        for statement in [&put_runs, &put_events] {
            database
                .prepare_cached(statement)
                .and_then(|mut put| put.execute(params![template, key, begin, hours, name]))
                .expect("rows");
        }
        database.execute_batch("COMMIT").expect("to commit");
    }
    for (_, sql) in &indexes {
        database.execute_batch(sql).expect("an index comes back");
    }
    database
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .expect("the log is moved");
}
