//! The last line of a terminal while something takes its time: a bar, or how long it has lasted. Nothing where nobody
//! looks.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use tokio::time::Instant;

use crate::sched::time::words;

/// How many cells a bar has.
const CELLS: usize = 24;

/// The line.
pub(super) struct LiveLine {
    on: bool,
    since: Instant,
}

impl LiveLine {
    /// On standard error, when it is a terminal and nobody asked for JSON.
    pub(super) fn new(json: bool) -> Self {
        Self {
            on: !json && std::io::stderr().is_terminal(),
            since: Instant::now(),
        }
    }

    /// Shows what is going on and for how long; with an expectation as a bar.
    pub(super) fn wait(&self, what: &str, expected: Option<Duration>) {
        let waited = self.since.elapsed();
        if self.on && waited >= Duration::from_secs(1) {
            self.replace(&waiting(what, waited, expected));
        }
    }

    /// Shows so many of all.
    pub(super) fn count(&self, done: usize, all: usize, rest: &str) {
        if self.on {
            self.replace(&format!(
                "  {} {done}/{all}  {rest}",
                bar(done as f64 / all.max(1) as f64)
            ));
        }
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        if self.on {
            self.write("\r\x1b[2K");
        }
    }

    /// For people beside what programs read.
    pub(super) fn note(&self, text: &str) {
        self.write(&format!("{text}\n"));
    }

    fn replace(&self, text: &str) {
        self.write(&format!("\r\x1b[2K{}", text.trim_end()));
    }

    fn write(&self, text: &str) {
        let mut out = anstream::stderr().lock();
        // Nowhere to show it: nothing is lost.
        let _ = out.write_all(text.as_bytes());
        let _ = out.flush();
    }
}

fn waiting(what: &str, waited: Duration, expected: Option<Duration>) -> String {
    let seconds = |d: Duration| words(Duration::from_secs(d.as_secs()));
    match expected.filter(|expected| !expected.is_zero()) {
        None => format!("  {what} {}", seconds(waited)),
        Some(expected) => format!(
            "  {} {what} {} of about {}",
            bar(waited.as_secs_f64() / expected.as_secs_f64()),
            seconds(waited),
            seconds(expected)
        ),
    }
}

/// `[####....]`; never quite full before it is done.
fn bar(part: f64) -> String {
    let full = (part.clamp(0.0, 1.0) * CELLS as f64) as usize;
    format!("[{}{}]", "#".repeat(full), ".".repeat(CELLS - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_its_part_and_never_more_than_all() {
        assert_eq!(bar(0.0), format!("[{}]", ".".repeat(24)));
        assert_eq!(bar(0.5), format!("[{}{}]", "#".repeat(12), ".".repeat(12)));
        assert_eq!(bar(7.0), format!("[{}]", "#".repeat(24)));
    }

    #[test]
    fn what_is_expected_is_told_with_what_has_passed() {
        let s = Duration::from_secs;
        assert_eq!(waiting("running", s(65), None), "  running 1m 5s");
        let told = waiting("running", s(60), Some(s(240)));
        assert_eq!(
            told,
            format!(
                "  [{}{}] running 1m of about 4m",
                "#".repeat(6),
                ".".repeat(18)
            )
        );
    }
}
