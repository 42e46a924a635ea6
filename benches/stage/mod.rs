//! What the benches share: the vendor in a process of its own, the built daemon, what it wrote, and how figures are
//! shown.
//!
//! Nothing here judges: targets and what was reached are in `docs/performance.md`.

#![allow(dead_code)] // each bench uses a part of it
#![allow(clippy::print_stdout, clippy::print_stderr)]

pub(crate) mod daemon;
pub(crate) mod figures;
pub(crate) mod machine;
pub(crate) mod past;
pub(crate) mod vendor;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

/// How long a job of the vendor takes.
pub(crate) const JOB: Duration = Duration::from_millis(200);
/// When it is first asked about.
pub(crate) const FIRST_POLL: Duration = Duration::from_millis(250);

/// A folder for one measurement, deleted with it. On the disk of the build, or in memory for comparison.
pub(crate) fn folder(in_memory: bool) -> tempfile::TempDir {
    let parent: PathBuf = match in_memory {
        true => "/dev/shm".into(),
        false => Path::new(env!("CARGO_TARGET_TMPDIR")).to_owned(),
    };
    tempfile::Builder::new()
        .prefix("nightcall-bench")
        .tempdir_in(parent)
        .expect("a folder for the measurement")
}

/// What every table says of the place where it was measured.
pub(crate) fn facts(in_memory: bool) -> Vec<(&'static str, String)> {
    let database = if in_memory { "in memory" } else { "on disk" };
    let (p50, p99) = machine::fsync(folder(in_memory).path());
    let sync = format!("p50 {p50:.2} ms, p99 {p99:.2} ms");
    vec![
        ("machine", machine::described()),
        ("database", database.to_owned()),
        ("write and sync of 4 KiB", sync),
    ]
}

/// The next whole second that is at least so far away.
pub(crate) fn second_after(wait: Duration) -> Timestamp {
    let at = Timestamp::now() + wait;
    Timestamp::from_second(at.as_second() + 1).expect("a time of this century")
}

/// Sleeps until a time.
pub(crate) fn sleep_until(at: Timestamp) {
    let left = Timestamp::now().duration_until(at);
    std::thread::sleep(Duration::try_from(left).unwrap_or_default());
}

/// The words of the command line, without what `cargo bench` adds.
pub(crate) fn words() -> Vec<String> {
    std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect()
}

/// The value after a flag.
pub(crate) fn value(words: &[String], flag: &str) -> Option<String> {
    let at = words.iter().position(|word| word == flag)?;
    words.get(at + 1).cloned()
}

/// The numbers among the words that belong to no flag.
pub(crate) fn numbers(words: &[String]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut after_flag = false;
    for word in words {
        if !after_flag && let Ok(number) = word.replace('_', "").parse() {
            found.push(number);
        }
        after_flag = word.starts_with("--") && word != "--memory";
    }
    found
}
