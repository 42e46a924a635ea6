//! The daily look at everything: when it is due, and how what it finds comes to the heart. What is looked at is told by
//! the composition root; the daemon knows neither configuration nor vendor.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::sched::finding::{Finding, Tally};
use crate::sched::step::Input;
use crate::sched::time::{TimeZone, Timestamp, civil, earlier};

/// Looks at everything once. It ends by itself, within minutes at most.
pub type Checks = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Vec<Finding>> + Send>> + Send + Sync>;

/// Longer than any look takes; a disk that hangs must not let looks pile up.
const LONGEST: Duration = Duration::from_secs(600);

/// The daily look: the calendar asks whether it is due, the driver says what is looked at.
pub(super) struct Doctor {
    at: civil::Time,
    zone: TimeZone,
    state: Mutex<State>,
    inputs: mpsc::Sender<Input>,
}

struct State {
    checks: Checks,
    /// Up to here nothing is due any more; `None` until the store was read.
    seen: Option<Timestamp>,
}

impl Doctor {
    pub(super) fn new(
        (at, zone): (civil::Time, TimeZone),
        checks: Checks,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        let state = Mutex::new(State { checks, seen: None });
        Self {
            at,
            zone,
            state,
            inputs,
        }
    }

    /// The lock is held for moments and nothing in them can panic; were it otherwise, the state is still whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A look whose time came after the last time on record is due at once: the night is still to come, or has begun.
    /// Nothing on record: nothing was missed.
    pub(super) fn begin(&self, on_record: Option<Timestamp>, now: Timestamp) {
        self.state().seen.get_or_insert(on_record.unwrap_or(now));
    }

    /// Another configuration brings its own checks.
    pub(super) fn exchange(&self, checks: Checks) {
        self.state().checks = checks;
    }

    /// Whether the time for a look has come since this was last asked.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let mut state = self.state();
        let seen = state.seen.as_mut();
        let from = seen.map(|seen| std::mem::replace(seen, now));
        from.is_some_and(|from| came(self.at, &self.zone, from, now))
    }

    /// Has everything looked at in a task of its own; what is found goes to the heart.
    pub(super) fn look(&self) {
        // A full queue: the connections are asked for proof another day, and by every run in doubt.
        let _ = self.inputs.try_send(Input::Doctor);
        let looking = (self.state().checks)();
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            let Ok(findings) = tokio::time::timeout(LONGEST, looking).await else {
                warn!("doctor: the look at everything did not end within 10 minutes");
                return;
            };
            info!("doctor: {}", Tally::of(&findings));
            // The driver is gone only when the process ends.
            let _ = inputs.send(Input::Examined(findings)).await;
        });
    }
}

/// Whether the time of day came between two times, the first not included. Of a time that its day does not have the
/// clock change counts; a clock that went back makes nothing due.
fn came(at: civil::Time, zone: &TimeZone, from: Timestamp, upto: Timestamp) -> bool {
    let on = |t: Timestamp| {
        let date = t.to_zoned(zone.clone()).date();
        zone.to_ambiguous_zoned(date.to_datetime(at))
            .compatible()
            .map(|placed| placed.timestamp())
    };
    let latest = [upto, earlier(upto, Duration::from_secs(86_400))]
        .into_iter()
        .filter_map(|day| on(day).ok())
        .find(|t| *t <= upto);
    latest.is_some_and(|latest| from < latest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn due(at: civil::Time, from: &str, upto: &str) -> bool {
        let zone = TimeZone::get("Europe/Madrid").unwrap();
        came(at, &zone, from.parse().unwrap(), upto.parse().unwrap())
    }

    #[test]
    fn the_look_is_due_once_when_its_time_comes_and_when_it_passed_unseen() {
        let at = civil::time(17, 0, 0, 0);
        // 17:00 in Madrid is 16:00 in winter and 15:00 in summer.
        assert!(!due(at, "2026-02-03T15:58:00Z", "2026-02-03T15:59:00Z"));
        assert!(due(at, "2026-02-03T15:59:00Z", "2026-02-03T16:00:00Z"));
        assert!(!due(at, "2026-02-03T16:00:00Z", "2026-02-03T16:01:00Z"));
        assert!(due(at, "2026-07-03T14:59:00Z", "2026-07-03T15:00:00Z"));
        // The machine slept, or the daemon was down, over 17:00.
        assert!(due(at, "2026-02-03T12:00:00Z", "2026-02-03T21:00:00Z"));
        assert!(due(at, "2026-02-03T12:00:00Z", "2026-02-04T03:00:00Z"));
        assert!(due(at, "2026-01-01T00:00:00Z", "2026-02-04T03:00:00Z"));
        assert!(!due(at, "2026-02-03T17:00:00Z", "2026-02-04T03:00:00Z"));
        // A clock that was set back.
        assert!(!due(at, "2026-02-04T12:00:00Z", "2026-02-03T21:00:00Z"));
    }

    #[test]
    fn a_start_makes_up_for_a_look_that_was_missed_and_only_once() {
        let doctor = || {
            let checks: Checks = Arc::new(|| Box::pin(async { Vec::new() }));
            let at = (civil::time(17, 0, 0, 0), TimeZone::UTC);
            Doctor::new(at, checks, mpsc::channel(1).0)
        };
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let (before, after) = (time("2026-02-03T16:00:00Z"), time("2026-02-03T21:00:00Z"));
        for (on_record, due) in [(Some(before), true), (Some(after), false), (None, false)] {
            let doctor = doctor();
            assert!(!doctor.is_due(after), "the store was not read yet");
            doctor.begin(on_record, after);
            assert_eq!(doctor.is_due(after), due, "{on_record:?}");
            assert!(!doctor.is_due(after));
            // The store failed and was read again.
            doctor.begin(Some(before), after);
            assert!(!doctor.is_due(after));
            assert!(doctor.is_due(time("2026-02-04T17:00:00Z")));
        }
    }

    #[test]
    fn a_time_that_the_day_does_not_have_is_not_passed_over() {
        let at = civil::time(2, 30, 0, 0);
        assert!(due(at, "2026-03-29T00:00:00Z", "2026-03-29T01:45:00Z"));
        assert!(!due(at, "2026-03-29T01:45:00Z", "2026-03-29T02:45:00Z"));
    }
}
