//! What a long history costs: the start, a herd of 1,000, and the questions that people ask.
//!
//! `cargo bench --bench history` measures with 0, 1 M and 10 M runs in the database (the last needs some 15 GB of disk
//! and several minutes); `cargo bench --bench history -- 0 1000000` measures with others.

mod stage;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use stage::daemon::{Daemon, Due, configure};
use stage::figures::{Row, quantile, sorted, tell};
use stage::machine::ms;
use stage::vendor::{Arrival, Vendor};

/// How many schedules are configured at the start that is measured.
const LOADED: usize = 10_000;
/// How many of them are in flight then.
const IN_FLIGHT: usize = 1_000;
/// How often each question is asked.
const ASKED: usize = 20;

fn main() {
    if stage::vendor::is_asked_for() {
        return;
    }
    let words = stage::words();
    let mut sizes = stage::numbers(&words);
    if sizes.is_empty() {
        sizes = vec![0, 1_000_000, 10_000_000];
    }
    let facts = stage::facts(false);
    let rows: Vec<Row> = sizes.into_iter().map(history).collect();
    tell(
        "history",
        "What a history of so many runs costs (p95 of questions in ms)",
        &facts,
        &rows,
    );
}

fn history(runs: usize) -> Row {
    let folder = stage::folder(false);
    let folder = folder.path();
    stage::past::fill(folder, runs);
    let size = std::fs::metadata(folder.join("nightcall.db")).map_or(0, |m| m.len());
    let (late, recorded) = herd(folder);
    let config = folder.join("nightcall.toml");
    let schedule = "p000500";
    let day = jiff::Timestamp::now().as_second() / 3600 * 3600 - 24 * 3600;
    let time = jiff::Timestamp::from_second(day)
        .expect("a time")
        .to_string();
    let ask = |words: &[&str]| question(&config, words);
    let row = Row::default()
        .number("history", runs as f64, 0)
        .number("GiB", size as f64 / f64::from(1 << 30), 2)
        .number("herd p99", late, 1)
        .number("herd recorded s", recorded, 2)
        .number("runs", ask(&["runs"]), 1)
        .number("runs SCHEDULE", ask(&["runs", schedule]), 1)
        .number(
            "runs --state failed",
            ask(&["runs", "--state", "failed"]),
            1,
        )
        .number("runs --since 7d", ask(&["runs", "--since", "-7d"]), 1)
        .number(
            "show",
            ask(&["show", &format!("{schedule}/default@{time}")]),
            1,
        )
        .number("why", ask(&["why", schedule, &time]), 1);
    let api = |path: &str| format!("/v1/runs?limit=50{path}");
    let lists = ["", "&state=failed", &format!("&schedule={schedule}")].map(api);
    row.number("API lists", of_api(folder, &config, &lists), 1)
        .number("ready s", start_with_jobs(folder), 2)
}

/// How long the running daemon takes for lists over its socket: the largest 95th percentile.
fn of_api(folder: &Path, config: &Path, paths: &[String]) -> f64 {
    let daemon = Daemon::start(folder, config);
    let ask = |path: &String| {
        let begun = Instant::now();
        let mut socket = UnixStream::connect(folder.join("nightcall.sock")).expect("the socket");
        write!(
            socket,
            "GET {path} HTTP/1.1\r\nHost: nightcall\r\nConnection: close\r\n\r\n"
        )
        .expect("to ask");
        let mut said = String::new();
        socket.read_to_string(&mut said).expect("an answer");
        assert!(said.starts_with("HTTP/1.1 200"), "{path}: {said}");
        ms(begun.elapsed())
    };
    let slowest = paths.iter().map(|path| {
        let times = sorted((0..ASKED).map(|_| ask(path)));
        quantile(&times, 0.95)
    });
    let slowest = slowest.fold(0.0, f64::max);
    drop(daemon);
    slowest
}

/// How long a start takes while jobs are with the vendor, in seconds: the second of two starts, after a kill.
fn start_with_jobs(folder: &Path) -> f64 {
    let vendor = Vendor::start_with(Duration::from_secs(3600));
    let at = stage::second_after(Duration::from_secs(6));
    let due = Due::First {
        count: IN_FLIGHT,
        at,
    };
    let config = configure(folder, &vendor.base_url, LOADED, due);
    let daemon = Daemon::start(folder, &config);
    let record = daemon.record();
    while record.count("state = 'running'") < IN_FLIGHT {
        std::thread::sleep(Duration::from_millis(50));
    }
    drop((record, daemon));
    let daemon = Daemon::start(folder, &config);
    daemon.ready_after.as_secs_f64()
}

/// 1,000 that are due in one second: the 99th percentile of their lateness, and when all are recorded.
fn herd(folder: &Path) -> (f64, f64) {
    let mut vendor = Vendor::start();
    let at = stage::second_after(Duration::from_secs(8));
    let config = configure(folder, &vendor.base_url, 1_000, Due::At(at));
    let daemon = Daemon::start(folder, &config);
    let mut record = daemon.record();
    let begun = Instant::now();
    let mut outcomes = 0;
    let due = at.to_string();
    while outcomes < 1_000 {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{outcomes} outcomes"
        );
        outcomes += record.look().outcomes;
        std::thread::sleep(Duration::from_millis(10));
    }
    let recorded = jiff::Timestamp::now().duration_since(at).as_secs_f64();
    let late = sorted(
        vendor
            .arrivals()
            .0
            .iter()
            .filter(|arrival| arrival.run.ends_with(&due))
            .map(Arrival::lateness),
    );
    (quantile(&late, 0.99), recorded)
}

/// How long the built program takes for a question: the 95th percentile.
fn question(config: &Path, words: &[&str]) -> f64 {
    let times = sorted((0..ASKED).map(|_| {
        let begun = Instant::now();
        let asked = Command::new(env!("CARGO_BIN_EXE_nightcall"))
            .args(words)
            .args(["--json", "--config"])
            .arg(config)
            .env("BENCH_TOKEN", "any")
            .stdin(Stdio::null())
            .output()
            .expect("the program runs");
        let said = String::from_utf8_lossy(&asked.stderr);
        assert!(
            asked.status.code().is_some_and(|code| code < 64),
            "{words:?}: {said}"
        );
        ms(begun.elapsed())
    }));
    quantile(&times, 0.95)
}
