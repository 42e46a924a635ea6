//! The same load second after second: does the daemon keep up, and does it stay small?
//!
//! `cargo bench --bench steady` has 200 schedules due each second for ten minutes; `-- --rate 4000 --seconds 20` another
//! load, `-- --memory` with the database in memory.

mod stage;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use stage::daemon::{Daemon, Due, configure};
use stage::figures::{Row, quantile, sorted, tell};
use stage::vendor::Vendor;

fn main() {
    if stage::vendor::is_asked_for() {
        return;
    }
    let words = stage::words();
    let in_memory = words.iter().any(|word| word == "--memory");
    let number = |flag: &str, usual: usize| {
        stage::value(&words, flag).map_or(usual, |n| n.parse().expect("a number"))
    };
    let (rate, seconds) = (number("--rate", 200), number("--seconds", 600));
    let facts = stage::facts(in_memory);
    let row = steady(rate, seconds, in_memory);
    let name = format!("steady-{rate}");
    tell(
        &name,
        "So many due each second (late: ms after the second)",
        &facts,
        &[row],
    );
}

fn steady(rate: usize, seconds: usize, in_memory: bool) -> Row {
    let folder = stage::folder(in_memory);
    let mut vendor = Vendor::start();
    let config = configure(folder.path(), &vendor.base_url, rate, Due::EachSecond);
    let daemon = Daemon::start(folder.path(), &config);
    let mut record = daemon.record();
    // The first seconds are not counted: connections are made, memory grows to its size.
    std::thread::sleep(Duration::from_secs(3));
    record.look();
    let first = Timestamp::now();
    let begun = Instant::now();
    let (cpu, memory) = (daemon.cpu(), daemon.memory());
    let (mut intents, mut outcomes) = (0, 0);
    while begun.elapsed() < Duration::from_secs(seconds as u64) {
        std::thread::sleep(Duration::from_millis(100));
        let seen = record.look();
        intents += seen.intents;
        outcomes += seen.outcomes;
    }
    let took = begun.elapsed().as_secs_f64();
    let cpu = daemon.cpu() - cpu;
    let grown = daemon.memory() - memory;
    let behind = record.count("state <> 'finished'");
    let (arrivals, _) = vendor.arrivals();
    let late = sorted(
        arrivals
            .iter()
            .filter(|arrival| arrival.at >= first.as_microsecond())
            .map(|arrival| arrival.lateness()),
    );
    Row::default()
        .number("due a second", rate as f64, 0)
        .number("seconds", took, 0)
        .number("submitted a second", intents as f64 / took, 0)
        .number("recorded a second", outcomes as f64 / took, 0)
        .number("p50", quantile(&late, 0.5), 1)
        .number("p99", quantile(&late, 0.99), 1)
        .number("live at the end", behind as f64, 0)
        .number("CPU %", cpu / took * 100.0, 1)
        .number("peak MiB", daemon.peak(), 0)
        .number("grown MiB", grown, 1)
}
