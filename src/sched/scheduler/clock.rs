//! Whether the wall clock can be believed (docs/operations.md, "A clock that leaps").

use std::time::Duration;

use crate::sched::time::{Mono, Now, Timestamp, between, earlier, later};

/// The wall clock may run ahead of elapsed time by so much before it is doubted.
const STEP: Duration = Duration::from_secs(5 * 60);
/// At a start it may be so far beyond the last stored time.
const AWAY: Duration = Duration::from_secs(24 * 3600);
/// The vendor's clock agrees when it is so near.
pub(super) const AGREES: Duration = Duration::from_secs(60);

/// The driver wakes each second: when so much time elapsed unseen, the machine slept.
const ASLEEP: Duration = Duration::from_secs(65);

/// When this program was written, 2026-01-01: a clock that shows an earlier time was never set.
const WRITTEN: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// Watches the wall clock against elapsed time.
#[derive(Clone, Debug)]
pub(super) struct ClockWatch {
    last: Now,
    doubt: Option<Now>,
    /// What the vendor's clock said, and when.
    heard: Option<(Timestamp, Mono)>,
}

impl ClockWatch {
    /// Begins to watch; the last stored time is what is known of the time before. Where nothing is stored, it is known
    /// that the program was written.
    pub(super) fn new(stored: Option<Timestamp>, now: Now) -> Self {
        let away = match stored {
            Some(mark) => between(mark, now.wall) > AWAY,
            None => now.wall < WRITTEN,
        };
        let before = Now {
            // No time of such a clock is believed by itself.
            wall: stored.unwrap_or(Timestamp::MIN),
            ..now
        };
        Self {
            last: now,
            doubt: away.then_some(before),
            heard: None,
        }
    }

    /// Whether nothing may be decided now.
    pub(super) fn doubtful(&self) -> bool {
        self.doubt.is_some()
    }

    /// Whether the machine slept since the clocks were compared.
    pub(super) fn slept(&self, now: Now) -> bool {
        now.mono.since(self.last.mono) > ASLEEP
    }

    /// Compares both clocks; `true` when doubt arises just now.
    pub(super) fn check(&mut self, now: Now) -> bool {
        let last = std::mem::replace(&mut self.last, now);
        if let Some(good) = self.doubt {
            // Set right again by itself.
            if !jumped(good, now) {
                self.doubt = None;
            }
            return false;
        }
        if jumped(last, now) {
            self.doubt = Some(last);
            return true;
        }
        false
    }

    /// The system says that its clock is synchronised.
    pub(super) fn synchronised(&mut self) {
        self.doubt = None;
    }

    /// What the vendor's clock shows now: by it jobs are dated. Ours until it was heard.
    pub(super) fn of_vendor(&self, now: Now) -> Timestamp {
        self.heard
            .map_or(now.wall, |(date, at)| later(date, now.mono.since(at)))
    }

    /// A vendor's clock was read; `true` when it agrees.
    pub(super) fn vendor(&mut self, date: Timestamp, now: Now) -> bool {
        self.heard = Some((date, now.mono));
        let agrees = agrees(date, now.wall);
        if agrees {
            self.doubt = None;
        }
        agrees
    }
}

/// Whether two clocks are within a minute of each other.
pub(super) fn agrees(date: Timestamp, wall: Timestamp) -> bool {
    date >= earlier(wall, AGREES) && date <= later(wall, AGREES)
}

fn jumped(from: Now, to: Now) -> bool {
    between(from.wall, to.wall) > to.mono.since(from.mono).saturating_add(STEP)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn now(wall: i64, mono: u64) -> Now {
        Now {
            wall: Timestamp::from_second(1_800_000_000 + wall).unwrap(),
            mono: Mono(0).plus(Duration::from_secs(mono)),
        }
    }

    #[test]
    fn a_forward_step_is_doubted_until_somebody_agrees() {
        let mut watch = ClockWatch::new(None, now(0, 0));
        assert!(!watch.check(now(60, 1)), "a minute is no step");
        assert!(watch.check(now(4000, 2)) && watch.doubtful());
        assert!(!watch.vendor(now(0, 0).wall, now(4001, 3)) && watch.doubtful());
        assert!(watch.vendor(now(4010, 0).wall, now(4001, 3)) && !watch.doubtful());
    }

    #[test]
    fn a_step_that_is_taken_back_is_forgotten() {
        let mut watch = ClockWatch::new(None, now(0, 0));
        assert!(watch.check(now(86_400, 1)));
        watch.check(now(2, 2));
        assert!(!watch.doubtful());
    }

    #[test]
    fn a_start_a_day_after_the_last_stored_time_is_doubted() {
        let stored = Some(now(0, 0).wall);
        assert!(!ClockWatch::new(stored, now(86_000, 0)).doubtful());
        let mut watch = ClockWatch::new(stored, now(90_000, 0));
        assert!(watch.doubtful());
        watch.check(now(90_001, 1));
        assert!(watch.doubtful());
        watch.synchronised();
        assert!(!watch.doubtful());
    }

    #[test]
    fn a_first_start_before_the_program_was_written_is_doubted_until_somebody_agrees() {
        let unset = Now {
            wall: Timestamp::UNIX_EPOCH,
            mono: Mono(0),
        };
        let mut watch = ClockWatch::new(None, unset);
        assert!(watch.doubtful());
        // Set by somebody, right or wrong.
        watch.check(now(0, 10));
        assert!(watch.doubtful());
        assert!(watch.vendor(now(1, 0).wall, now(1, 11)) && !watch.doubtful());
        // Where something is stored, the mark tells that the clock is behind.
        assert!(!ClockWatch::new(Some(now(0, 0).wall), unset).doubtful());
    }

    #[test]
    fn the_vendors_clock_goes_on_whatever_becomes_of_ours() {
        let mut watch = ClockWatch::new(None, now(240, 0));
        assert_eq!(watch.of_vendor(now(240, 0)), now(240, 0).wall);
        watch.vendor(now(1, 0).wall, now(241, 1));
        assert_eq!(watch.of_vendor(now(-500, 61)), now(61, 0).wall);
    }

    #[test]
    fn a_backward_step_raises_no_doubt() {
        let mut watch = ClockWatch::new(None, now(0, 0));
        assert!(!watch.check(now(-86_400, 1)) && !watch.doubtful());
    }
}
