//! One job: what was asked for, and its whole life laid out on the clock when it is created.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::ending::Ending;

/// What a client wrote into `metadata` to find its job again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Marker {
    /// The member `run`.
    pub run: String,
    /// The member `attempt`; zero when there is none.
    pub attempt: u32,
}

impl Marker {
    /// The marker in a job's metadata, if there is one.
    pub fn read(metadata: &Value) -> Option<Self> {
        let run = metadata.get("run")?.as_str()?.to_owned();
        let attempt = metadata.get("attempt").and_then(Value::as_u64).unwrap_or(0);
        Some(Self {
            run,
            attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
        })
    }
}

/// A job. All times are those of the true clock; the vendor's skew is added where times are shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Counts jobs, from 1.
    pub number: u64,
    /// What the vendor calls it.
    pub id: String,
    /// The connection in the path.
    pub connection: String,
    /// The marker in its metadata.
    pub marker: Option<Marker>,
    /// Its metadata as kept.
    pub metadata: Value,
    /// The statement, exactly as sent.
    pub query: String,
    /// The parameters as sent; null when there were none.
    pub parameters: Value,
    /// Whether it was made by a GET, which no careful client does.
    pub by_url: bool,
    /// The procedure that it calls, if it is a CALL.
    pub procedure: Option<String>,
    /// The table that it drops and makes again, when its procedure is known.
    pub table: Option<String>,
    /// Whether the statement got as far as running: wrong arguments and missing procedures do not.
    pub runs: bool,
    /// When it was created.
    pub created: Timestamp,
    /// From then on it can be read.
    pub visible: Timestamp,
    /// From then on it is in the list.
    pub listed: Timestamp,
    /// From then on it runs.
    pub starts: Timestamp,
    /// When it ends by itself; never when it is stuck.
    pub ends: Option<Timestamp>,
    /// How it ends by itself.
    pub ending: Ending,
    /// When somebody first asked to stop it.
    pub stop_asked: Option<Timestamp>,
    /// When it stops because somebody asked; a job that ends before is not touched.
    pub stops: Option<Timestamp>,
}

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits.
    Pending,
    /// It runs.
    Running,
    /// It runs, and was asked to stop.
    Stopping,
    /// It ended.
    Ended(Ending),
}

impl Phase {
    /// Whether nothing more will happen.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

impl Job {
    /// Where it stands at this time.
    pub fn phase(&self, now: Timestamp) -> Phase {
        let stopped = self
            .stops
            .filter(|stop| self.ends.is_none_or(|end| *stop < end));
        if let Some(stop) = stopped {
            if stop <= now {
                return Phase::Ended(Ending::stopped());
            }
        } else if self.ends.is_some_and(|end| end <= now) {
            return Phase::Ended(self.ending.clone());
        }
        if now < self.starts {
            Phase::Pending
        } else if self.stops.is_some() {
            Phase::Stopping
        } else {
            Phase::Running
        }
    }

    /// Whether the procedure's body had begun to run by this time. This is what must not happen twice.
    pub fn executed(&self, now: Timestamp) -> bool {
        let stopped_before = self.stops.is_some_and(|stop| stop <= self.starts);
        self.runs && self.starts <= now && !stopped_before
    }

    /// Whether it had ended well by this time.
    pub fn succeeded(&self, now: Timestamp) -> bool {
        matches!(self.phase(now), Phase::Ended(ending) if ending.is_success())
    }

    /// Somebody asks to stop it. `stops` is when it obeys; `None` when the wish is lost.
    pub(super) fn ask_to_stop(&mut self, now: Timestamp, stops: Option<Timestamp>) {
        self.stop_asked.get_or_insert(now);
        if self.stops.is_none() {
            self.stops = stops;
        }
    }
}

/// This much later; stays at the far end instead of overflowing.
pub(super) fn later(t: Timestamp, d: Duration) -> Timestamp {
    t.checked_add(d).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap_or(Timestamp::MAX)
    }

    fn job() -> Job {
        Job {
            number: 1,
            id: "job_1".into(),
            connection: "carto_dw".into(),
            marker: None,
            metadata: json!({}),
            query: "SELECT 1".into(),
            parameters: Value::Null,
            by_url: false,
            procedure: None,
            table: None,
            runs: true,
            created: at(0),
            visible: at(0),
            listed: at(0),
            starts: at(10),
            ends: Some(at(20)),
            ending: Ending::Success,
            stop_asked: None,
            stops: None,
        }
    }

    #[test]
    fn a_life_passes_through_its_phases() {
        let job = job();
        assert_eq!(job.phase(at(9)), Phase::Pending);
        assert_eq!(job.phase(at(10)), Phase::Running);
        assert_eq!(job.phase(at(20)), Phase::Ended(Ending::Success));
        assert!(!job.executed(at(9)) && job.executed(at(10)));
    }

    #[test]
    fn a_wish_to_stop_is_obeyed_or_comes_too_late() {
        let mut obeyed = job();
        obeyed.ask_to_stop(at(12), Some(at(15)));
        assert_eq!(obeyed.phase(at(14)), Phase::Stopping);
        assert_eq!(obeyed.phase(at(25)), Phase::Ended(Ending::stopped()));
        let mut late = job();
        late.ask_to_stop(at(19), Some(at(21)));
        assert_eq!(late.phase(at(25)), Phase::Ended(Ending::Success));
    }

    #[test]
    fn a_job_that_is_stopped_while_it_waits_never_executes() {
        let mut job = job();
        job.ask_to_stop(at(5), Some(at(5)));
        assert_eq!(job.phase(at(5)), Phase::Ended(Ending::stopped()));
        assert!(!job.executed(at(100)));
    }

    #[test]
    fn a_stuck_job_runs_until_it_is_stopped() {
        let mut job = job();
        (job.ends, job.ending) = (None, Ending::Stuck);
        assert_eq!(job.phase(at(1_000_000)), Phase::Running);
        job.ask_to_stop(at(1_000_001), Some(at(1_000_001)));
        assert_eq!(job.phase(at(1_000_001)), Phase::Ended(Ending::stopped()));
    }

    #[test]
    fn markers_are_read_from_flat_metadata() {
        let marker = Marker::read(&json!({"app": "x", "run": "a/b@2026", "attempt": 2}));
        assert_eq!(
            marker.map(|m| (m.run, m.attempt)),
            Some(("a/b@2026".into(), 2))
        );
        assert_eq!(Marker::read(&json!({})), None);
        assert_eq!(Marker::read(&json!({"run": 7})), None);
    }
}
