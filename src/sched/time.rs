//! The two clocks of the heart and the arithmetic on them that cannot overflow.
//!
//! Occurrences, jitter, start deadlines and pauses use the wall clock ([`Timestamp`], UTC). Settle, give up, timeout,
//! grace, poll and backoff count elapsed time ([`Mono`]) and cannot be stepped over.

use std::time::Duration;

pub use jiff::Timestamp;
pub use jiff::civil;
pub use jiff::tz::TimeZone;

/// A reading of a clock that only goes forward, in nanoseconds from an origin that only this process knows. Signed,
/// so that times before the start of the process can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub i64);

impl Mono {
    /// This much later; stays at the far end instead of overflowing.
    pub fn plus(self, d: Duration) -> Self {
        Self(self.0.saturating_add(nanos(d)))
    }

    /// This much earlier.
    pub fn minus(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(d)))
    }

    /// Elapsed time since `earlier`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }
}

fn nanos(d: Duration) -> i64 {
    i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)
}

/// Both clocks, read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The wall clock.
    pub wall: Timestamp,
    /// Elapsed time.
    pub mono: Mono,
}

/// This much later on the wall clock; stays at the far end instead of overflowing.
pub fn later(t: Timestamp, d: Duration) -> Timestamp {
    t.checked_add(d).unwrap_or(Timestamp::MAX)
}

/// This much earlier on the wall clock.
pub fn earlier(t: Timestamp, d: Duration) -> Timestamp {
    t.checked_sub(d).unwrap_or(Timestamp::MIN)
}

/// Wall time from `from` to `to`; zero when `to` is not later.
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

/// The span after `after` up to and including `upto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// Not part of the range.
    pub after: Timestamp,
    /// Part of the range.
    pub upto: Timestamp,
}

/// A duration for people: `1h 30m`, `45s`, `250ms`.
pub fn words(d: Duration) -> String {
    let (secs, millis) = (d.as_secs(), d.subsec_millis());
    let parts = [
        (secs / 86_400, "d"),
        (secs / 3600 % 24, "h"),
        (secs / 60 % 60, "m"),
        (secs % 60, "s"),
    ];
    let shown: Vec<String> = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .take(2)
        .map(|(n, unit)| format!("{n}{unit}"))
        .collect();
    match shown.is_empty() {
        true => format!("{millis}ms"),
        false => shown.join(" "),
    }
}
