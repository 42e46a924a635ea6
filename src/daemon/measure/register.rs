//! The names of what is counted and timed. Each has a row in `docs/operations.md`.

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::Measures;

impl Measures {
    /// Everything with its name and its meaning; what is registered goes on counting.
    pub fn register(&self, registry: &mut Registry) {
        let all = &self.0;
        let mut seconds = |name: &str, help: &str, histogram: &Histogram| {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        };
        seconds(
            "fire_lateness",
            "From the time of an occurrence to its decision",
            &all.lateness,
        );
        seconds(
            "queue_delay",
            "From when a run was due to its first submission",
            &all.queued,
        );
        seconds(
            "store_commit_duration",
            "How long the store took for a commit",
            &all.committed,
        );
        registry.register_with_unit(
            "request_duration",
            "How long the vendor took to answer",
            Unit::Seconds,
            all.answered.clone(),
        );
        registry.register_with_unit(
            "run_duration",
            "From the last submission of a run to its end",
            Unit::Seconds,
            all.ran.clone(),
        );
        registry.register_with_unit(
            "last_success_timestamp",
            "When a run last succeeded, since the start",
            Unit::Seconds,
            all.succeeded.clone(),
        );
        registry.register("runs", "Runs that ended", all.runs.clone());
        registry.register(
            "occurrences_passed",
            "Times that passed in bulk and do not run",
            all.passed.clone(),
        );
        registry.register(
            "faults",
            "Attempts that came to nothing",
            all.faults.clone(),
        );
        registry.register(
            "notices",
            "What people should have heard",
            all.notices.clone(),
        );
        registry.register(
            "store_commit_failures",
            "Commits that the store did not take",
            all.not_committed.clone(),
        );
    }
}
