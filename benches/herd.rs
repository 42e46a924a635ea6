//! N schedules due in one second: how late each request reaches the vendor, and when all outcomes are on record.
//!
//! `cargo bench --bench herd` measures N = 1, 100, 1,000 and 10,000 on the disk of the build;
//! `cargo bench --bench herd -- 100000` another N, `-- --memory` with the database in memory for comparison,
//! `-- --rounds 5` the medians of more rounds. N = 1 is one schedule that is due each second, for a minute.

mod stage;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use stage::daemon::{Daemon, Due, configure};
use stage::figures::{Row, quantile, sorted, tell};
use stage::machine::ms;
use stage::vendor::{Arrival, Vendor};

/// A measurement that has not ended by then has failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often the record is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How many seconds N = 1 is watched.
const ALONE: usize = 60;

fn main() {
    if stage::vendor::is_asked_for() {
        return;
    }
    let words = stage::words();
    let in_memory = words.iter().any(|word| word == "--memory");
    let rounds = stage::value(&words, "--rounds").map_or(3, |n| n.parse().expect("a number"));
    let mut sizes = stage::numbers(&words);
    if sizes.is_empty() {
        sizes = vec![1, 100, 1_000, 10_000];
    }
    let mut facts = stage::facts(in_memory);
    let mut rows = Vec::new();
    for n in sizes {
        let rounds = if n == 1 || n > 50_000 { 1 } else { rounds };
        let measured: Vec<Row> = (0..rounds).map(|_| herd(n, in_memory)).collect();
        rows.push(Row::middle(&measured));
    }
    facts.push(("rounds", format!("{rounds}, medians")));
    let name = if in_memory { "herd-memory" } else { "herd" };
    tell(
        name,
        "N schedules due in one second (late: ms after the second)",
        &facts,
        &rows,
    );
    stage::figures::draw(name, &rows);
}

/// One round.
fn herd(n: usize, in_memory: bool) -> Row {
    let folder = stage::folder(in_memory);
    let mut vendor = Vendor::start();
    let wait = Duration::from_secs(3) + Duration::from_micros(200) * u32::try_from(n).expect("n");
    let at = stage::second_after(wait);
    let (due, expected) = match n {
        1 => (Due::EachSecond, ALONE),
        _ => (Due::At(at), n),
    };
    let config = configure(folder.path(), &vendor.base_url, n, due);
    let daemon = Daemon::start(folder.path(), &config);
    assert!(
        n == 1 || Timestamp::now() < at,
        "ready after {:?}, and so too late for its time",
        daemon.ready_after
    );
    let mut record = daemon.record();
    if n > 1 {
        stage::sleep_until(at - Duration::from_millis(100));
    }
    let before = (daemon.cpu(), vendor.cpu());
    let begun = Instant::now();
    let mut outcomes = 0;
    let mut intended = Vec::new();
    while outcomes < expected {
        assert!(
            begun.elapsed() < PATIENCE,
            "{outcomes} of {expected} outcomes"
        );
        let seen = record.look();
        let now = since(at, Timestamp::now());
        intended.extend(std::iter::repeat_n(now, seen.intents));
        outcomes += seen.outcomes;
        std::thread::sleep(LOOK);
    }
    let recorded = since(at, Timestamp::now());
    let used = (daemon.cpu() - before.0, vendor.cpu() - before.1);
    let (arrivals, requests) = vendor.arrivals();
    let mut times: HashMap<&str, usize> = HashMap::new();
    for arrival in &arrivals {
        *times.entry(&arrival.run).or_default() += 1;
    }
    let late = sorted(arrivals.iter().map(Arrival::lateness));
    let row = Row::default()
        .number("N", n as f64, 0)
        .number("p50", quantile(&late, 0.5), 1)
        .number("p99", quantile(&late, 0.99), 1)
        .number("max", quantile(&late, 1.0), 1);
    let row = match n {
        1 => row.word("intents p99", "-").word("all recorded s", "-"),
        _ => row
            .number("intents p99", quantile(&intended, 0.99), 0)
            .number("all recorded s", recorded / 1000.0, 2),
    };
    row.number("lost", expected.saturating_sub(times.len()) as f64, 0)
        .number(
            "twice",
            times.values().filter(|n| **n > 1).count() as f64,
            0,
        )
        .number(
            "requests a run",
            requests as f64 / outcomes.max(1) as f64,
            2,
        )
        .number(
            "daemon CPU ms a run",
            used.0 * 1000.0 / outcomes.max(1) as f64,
            3,
        )
        .number(
            "vendor CPU ms a run",
            used.1 * 1000.0 / outcomes.max(1) as f64,
            3,
        )
        .number("peak MiB", daemon.peak(), 0)
        .number("ready s", daemon.ready_after.as_secs_f64(), 2)
}

fn since(at: Timestamp, now: Timestamp) -> f64 {
    match Duration::try_from(now.duration_since(at)) {
        Ok(late) => ms(late),
        Err(_) => 0.0,
    }
}
