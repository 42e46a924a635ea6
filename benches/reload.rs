//! A reload of a large configuration while runs are due: how long it takes, and whether anybody who is due waits for it.
//!
//! `cargo bench --bench reload` has 10,000 schedules of which 20 are due each second, and reads them again twenty times;
//! `-- --schedules 1000 --reloads 50` other numbers, `-- --memory` with the database in memory.

mod stage;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use stage::daemon::{Daemon, Due, configure};
use stage::figures::{Row, quantile, sorted, tell};
use stage::vendor::Vendor;

/// So many are due each second; they keep their times.
const DUE: usize = 20;

/// From one reload to the next.
const PAUSE: Duration = Duration::from_millis(1_130);

fn main() {
    if stage::vendor::is_asked_for() {
        return;
    }
    let words = stage::words();
    let in_memory = words.iter().any(|word| word == "--memory");
    let number = |flag: &str, usual: usize| {
        stage::value(&words, flag).map_or(usual, |n| n.parse().expect("a number"))
    };
    let (schedules, reloads) = (number("--schedules", 10_000), number("--reloads", 20));
    let facts = stage::facts(in_memory);
    let folder = stage::folder(in_memory);
    let mut vendor = Vendor::start();
    let write = |shift| {
        let due = Due::FewEachSecond { count: DUE, shift };
        configure(folder.path(), &vendor.base_url, schedules, due)
    };
    let daemon = Daemon::start(folder.path(), &write(0));
    // connections are made, memory grows to its size
    std::thread::sleep(Duration::from_secs(3));
    let mut spans = Vec::new();
    let mut measure = |what, shift_of: &dyn Fn(usize) -> usize, reads: bool| {
        let from = Timestamp::now();
        let mut took = Vec::new();
        for index in 0..reloads {
            write(shift_of(index));
            std::thread::sleep(PAUSE);
            if reads {
                took.push(reload(folder.path()));
            }
        }
        // what is due in the last second arrives
        let until = Timestamp::now();
        std::thread::sleep(Duration::from_secs(1));
        spans.push((what, from, until, sorted(took), daemon.memory()));
    };
    measure("not read again", &|_| 0, false);
    measure("nothing is new", &|_| 0, true);
    measure("all others at other times", &|index| index % 2 + 1, true);
    let (arrivals, _) = vendor.arrivals();
    let rows = spans.into_iter().map(|(what, from, until, took, memory)| {
        let late = sorted(
            arrivals
                .iter()
                .filter(|a| (from.as_microsecond()..until.as_microsecond()).contains(&a.at))
                .map(|arrival| arrival.lateness()),
        );
        Row::default()
            .word("the files", what)
            .number("reload p50 ms", quantile(&took, 0.5), 0)
            .number("max", quantile(&took, 1.0), 0)
            .number("late p50 ms", quantile(&late, 0.5), 1)
            .number("p99", quantile(&late, 0.99), 1)
            .number("latest", quantile(&late, 1.0), 1)
            .number("runs", late.len() as f64, 0)
            .number("MiB", memory, 0)
    });
    tell(
        &format!("reload-{schedules}"),
        "A reload while 20 are due each second (late: ms after the second)",
        &facts,
        &rows.collect::<Vec<_>>(),
    );
}

/// Has the daemon read its files again, and gives back how long that took, in milliseconds.
fn reload(folder: &Path) -> f64 {
    let begun = Instant::now();
    let mut socket = UnixStream::connect(folder.join("nightcall.sock")).expect("the local API");
    socket
        .write_all(b"POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .expect("it listens");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    begun.elapsed().as_secs_f64() * 1000.0
}
