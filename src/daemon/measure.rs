//! What is counted and timed while the daemon runs: what was committed (`observe.rs` says it), how long commits take
//! (`driver.rs`), how long the vendor takes to answer (`perform.rs`). How things stand is not here but in the
//! [`Status`](super::Status). Nothing here knows how it is shown: `control/metrics.rs` does that.
//!
//! Invariant: labels are bounded. A schedule and a connection have one of their own while there is room (`names.rs`),
//! every other label is a word of ours.

mod names;
mod register;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;

use super::Plan;
use crate::sched::id::{ConnectionName, ScheduleName};
use crate::sched::notice::{KINDS, NoticeKind};
use crate::sched::outcome::{Outcome, SkipReason};
use crate::sched::run::{CancelWhy, Origin, Record, Run};
use crate::sched::step::{Ask, Change, Effect};
use crate::sched::time::{Now, between};
use crate::store::StoreError;
use crate::warehouse::counted_as;
use names::{Label, Names};

/// So many schedules have a label of their own.
const SCHEDULES: usize = 200;
/// So many connections have one.
const CONNECTIONS: usize = 32;
/// The reason of what needs none.
const NO_REASON: &str = "none";
/// The reason of a run that was stopped by somebody who did not ask us.
const AT_VENDOR: &str = "at_vendor";

// Bounds of the histograms, in seconds.
const LATENESS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0,
];
const QUEUED: [f64; 11] = [
    0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0,
];
const ANSWERED: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
const RAN: [f64; 10] = [
    1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0,
];
const COMMITTED: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// Everything that is counted and timed. Cheap to clone; all clones are the same.
#[derive(Clone, Debug)]
pub struct Measures(Arc<All>);

#[derive(Debug)]
struct All {
    schedules: Names<ScheduleName>,
    connections: Names<ConnectionName>,
    lateness: Histogram,
    queued: Histogram,
    answered: Family<Question, Histogram>,
    ran: Family<OfSchedule, Histogram>,
    runs: Family<Ended, Counter>,
    succeeded: Family<OfSchedule, Gauge<f64, AtomicU64>>,
    passed: Family<Passed, Counter>,
    faults: Family<Trouble, Counter>,
    notices: Family<Told, Counter>,
    committed: Histogram,
    not_committed: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSchedule {
    schedule: Label<ScheduleName>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    schedule: Label<ScheduleName>,
    outcome: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Passed {
    schedule: Label<ScheduleName>,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Question {
    connection: Label<ConnectionName>,
    request: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Trouble {
    connection: Label<ConnectionName>,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Told {
    kind: &'static str,
}

impl Measures {
    /// Nothing counted yet.
    pub(super) fn new() -> Self {
        let all = All {
            schedules: Names::new(SCHEDULES),
            connections: Names::new(CONNECTIONS),
            lateness: Histogram::new(LATENESS),
            queued: Histogram::new(QUEUED),
            answered: Family::new_with_constructor(|| Histogram::new(ANSWERED)),
            ran: Family::new_with_constructor(|| Histogram::new(RAN)),
            runs: Family::default(),
            succeeded: Family::default(),
            passed: Family::default(),
            faults: Family::default(),
            notices: Family::default(),
            committed: Histogram::new(COMMITTED),
            not_committed: Counter::default(),
        };
        // What is there with zero is seen when it first happens.
        for (kind, _) in KINDS {
            all.told(kind, 0);
        }
        all.begin(Label::OTHER);
        drop(all.ran.get_or_create(&OfSchedule {
            schedule: Label::OTHER,
        }));
        Self(Arc::new(all))
    }

    /// Names of this plan become labels, while there is room.
    pub(super) fn expect(&self, plan: &Plan) {
        let all = &self.0;
        let series = plan.definitions.iter();
        let schedules = series.map(|(definition, _)| &definition.series.schedule);
        for schedule in all.schedules.admit(schedules) {
            all.begin(schedule);
        }
        let connections = plan.connections.iter().map(|limits| &limits.name);
        for connection in all.connections.admit(connections) {
            let trouble = Trouble {
                connection: connection.clone(),
                reason: counted_as(""),
            };
            let question = Question {
                connection,
                request: "submit",
            };
            drop(all.faults.get_or_create(&trouble));
            drop(all.answered.get_or_create(&question));
        }
    }

    /// The label of a connection, and whether it is its own.
    pub fn connection(&self, name: &ConnectionName) -> (String, bool) {
        let label = self.0.connections.label(name);
        (label.to_string(), label.is_own())
    }

    /// Something was committed.
    pub(super) fn changed(&self, change: &Change) {
        let all = &self.0;
        match change {
            Change::Run { run, record, at } => all.run(run, record, *at),
            Change::Missed(missed) => {
                all.passed(&missed.series.schedule, missed.reason, missed.count);
            }
            Change::Notice(notice) => all.told(notice.kind, 1),
            _ => {}
        }
    }

    /// The vendor answered, or could not be asked.
    pub(super) fn answered(&self, effect: &Effect, took: Duration) {
        let (name, request) = match effect {
            Effect::Ask {
                connection, ask, ..
            } => (connection, question(ask)),
            Effect::List { key, .. } => (&key.connection, "list"),
            Effect::Reply { .. } | Effect::Acted { .. } => return,
        };
        let question = Question {
            connection: self.0.connections.label(name),
            request,
        };
        let answered = self.0.answered.get_or_create(&question);
        answered.observe(took.as_secs_f64());
    }

    /// Waits for a commit, and measures it.
    pub(super) async fn commit<T>(
        &self,
        commit: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let since = Instant::now();
        let committed = commit.await;
        let took = since.elapsed().as_secs_f64();
        match committed {
            Ok(_) => self.0.committed.observe(took),
            Err(_) => {
                self.0.not_committed.inc();
            }
        }
        committed
    }
}

impl All {
    /// A label is there before anything happens to it.
    fn begin(&self, schedule: Label<ScheduleName>) {
        let passed = Passed {
            schedule: schedule.clone(),
            reason: SkipReason::Missed.word(),
        };
        let ended = Ended {
            schedule,
            outcome: Outcome::Succeeded.word(),
            reason: NO_REASON,
        };
        drop(self.passed.get_or_create(&passed));
        drop(self.runs.get_or_create(&ended));
    }

    fn run(&self, run: &Run, record: &Record, at: Now) {
        if let Some(late) = lateness(run, record, at) {
            self.lateness.observe(late.as_secs_f64());
        }
        let ended = match record.what.as_ref() {
            "submitting" if run.attempt == 1 => {
                // What was caught up had no chance before that was decided.
                let due = run.due.max(run.planned);
                self.queued.observe(between(due, at.wall).as_secs_f64());
                None
            }
            "finished" | "skipped" => run.outcome(),
            _ => None,
        };
        if let Some(outcome) = ended {
            self.ended(run, outcome);
        }
        let attempted = !matches!(ended, Some(Outcome::Skipped(_)));
        if let Some(fault) = record.fault.as_ref().filter(|_| attempted) {
            let trouble = Trouble {
                connection: self.connections.label(&run.definition.connection),
                reason: counted_as(&fault.reason),
            };
            self.faults.get_or_create(&trouble).inc();
        }
    }

    fn ended(&self, run: &Run, outcome: Outcome) {
        let schedule = self.schedules.label(&run.id.series.schedule);
        self.runs
            .get_or_create(&Ended {
                schedule: schedule.clone(),
                outcome: outcome.word(),
                reason: reason(run, outcome),
            })
            .inc();
        if matches!(outcome, Outcome::Skipped(_)) {
            return;
        }
        let (own, of) = (schedule.is_own(), OfSchedule { schedule });
        let (Some(submitted), Some(finished)) = (run.submitted, run.finished) else {
            return;
        };
        let took = between(submitted, finished).as_secs_f64();
        self.ran.get_or_create(&of).observe(took);
        // That some schedule of many succeeded says nothing.
        if own && outcome == Outcome::Succeeded {
            let when = finished.as_duration().as_secs_f64();
            self.succeeded.get_or_create(&of).set(when);
        }
    }

    fn passed(&self, schedule: &ScheduleName, reason: SkipReason, count: u64) {
        let passed = Passed {
            schedule: self.schedules.label(schedule),
            reason: reason.word(),
        };
        self.passed.get_or_create(&passed).inc_by(count);
    }

    fn told(&self, kind: NoticeKind, count: u64) {
        let told = Told { kind: kind.word() };
        self.notices.get_or_create(&told).inc_by(count);
    }
}

/// How late an occurrence was decided, when that is what happened.
pub(super) fn lateness(run: &Run, record: &Record, at: Now) -> Option<Duration> {
    let decided = run.origin == Origin::Planned && record.what == "planned";
    decided.then(|| between(run.id.instant, at.wall))
}

/// Why a run ended so: a word of ours, never the vendor's own.
fn reason(run: &Run, outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => NO_REASON,
        Outcome::Skipped(reason) => reason.word(),
        Outcome::Cancelled => run.cancel.map_or(AT_VENDOR, CancelWhy::word),
        Outcome::Failed | Outcome::TimedOut | Outcome::Lost => {
            let fault = run.fault.as_ref();
            fault.map_or(NO_REASON, |fault| counted_as(&fault.reason))
        }
    }
}

fn question(ask: &Ask) -> &'static str {
    match ask {
        Ask::Submit(_) => "submit",
        Ask::Poll(..) => "poll",
        Ask::Cancel(..) => "cancel",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
