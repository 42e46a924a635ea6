//! The oracle: what was accepted and what was really executed, for each marker, as of the world's time. "Never ran
//! twice" and "never lost" are judged by it.

use std::collections::BTreeMap;

use super::job::Marker;
use super::world::World;

/// What became of the submissions with one marker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Jobs that were made.
    pub accepted: usize,
    /// Jobs whose body was executed.
    pub executed: usize,
    /// Jobs that ended well.
    pub succeeded: usize,
}

impl World {
    /// How many jobs were made for one submission. More than one is what must never happen.
    pub fn accepted(&self, run: &str, attempt: u32) -> usize {
        self.jobs_of(run)
            .filter(|job| job.marker.as_ref().is_some_and(|m| m.attempt == attempt))
            .count()
    }

    /// How often the procedure's body was executed for a run, over all its attempts.
    pub fn executions(&self, run: &str) -> usize {
        self.jobs_of(run)
            .filter(|job| job.executed(self.now()))
            .count()
    }

    /// How often the procedure's body was executed for one attempt of a run.
    pub fn executions_of(&self, run: &str, attempt: u32) -> usize {
        self.jobs_of(run)
            .filter(|job| job.marker.as_ref().is_some_and(|m| m.attempt == attempt))
            .filter(|job| job.executed(self.now()))
            .count()
    }

    /// How often a run ended well.
    pub fn successes(&self, run: &str) -> usize {
        self.jobs_of(run)
            .filter(|job| job.succeeded(self.now()))
            .count()
    }

    /// What was made, executed and ended well, for each marker.
    pub fn tally(&self) -> BTreeMap<Marker, Tally> {
        let mut all: BTreeMap<Marker, Tally> = BTreeMap::new();
        for job in self.jobs() {
            let Some(marker) = &job.marker else { continue };
            let tally = all.entry(marker.clone()).or_default();
            tally.accepted += 1;
            tally.executed += usize::from(job.executed(self.now()));
            tally.succeeded += usize::from(job.succeeded(self.now()));
        }
        all
    }

    /// The markers for which more than one job was made.
    pub fn doubled(&self) -> Vec<Marker> {
        let all = self.tally().into_iter();
        all.filter(|(_, tally)| tally.accepted > 1)
            .map(|(marker, _)| marker)
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::ending::Ending;
    use super::super::procedure::Procedure;
    use super::super::scenario::Scenario;
    use super::super::script::Script;
    use super::super::world::Order;
    use super::*;
    use jiff::Timestamp;
    use serde_json::json;
    use std::time::Duration;

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    fn order(run: &str, attempt: u32, clusters: serde_json::Value) -> Order {
        Order {
            connection: "carto_dw".into(),
            query: "CALL `p.d.wf`(@clusters)".into(),
            parameters: json!({ "clusters": clusters }),
            metadata: Some(json!({ "app": "x", "run": run, "attempt": attempt })),
            by_url: false,
        }
    }

    fn world() -> World {
        let script = Script {
            pending: Duration::from_secs(10).into(),
            endings: vec![Ending::fails("backendError"), Ending::Success],
            ..Script::running(Duration::from_secs(50))
        };
        let procedure = Procedure::new("p.d.wf(clusters INT64)", script).unwrap();
        let scenario = Scenario {
            collide: false,
            ..Scenario::default().procedure(procedure)
        };
        World::new(scenario, START)
    }

    fn seconds(n: u64) -> Timestamp {
        START + Duration::from_secs(n)
    }

    #[test]
    fn a_job_is_accepted_at_once_and_executed_when_it_starts() {
        let mut world = world();
        world.create(&order("r", 1, json!(1)), START).unwrap();
        assert_eq!((world.accepted("r", 1), world.executions("r")), (1, 0));
        world.advance(seconds(10));
        assert_eq!((world.executions("r"), world.successes("r")), (1, 0));
        assert_eq!(world.executions("other"), 0);
    }

    #[test]
    fn attempts_are_told_apart_and_add_up_for_the_run() {
        let mut world = world();
        world.create(&order("r", 1, json!(1)), START).unwrap();
        world.create(&order("r", 2, json!(1)), seconds(70)).unwrap();
        world.advance(seconds(200));
        assert_eq!((world.executions("r"), world.successes("r")), (2, 1));
        assert_eq!(
            (world.executions_of("r", 1), world.executions_of("r", 2)),
            (1, 1)
        );
        assert_eq!(world.doubled(), []);
    }

    #[test]
    fn two_jobs_for_one_submission_are_told() {
        let mut world = world();
        for _ in 0..2 {
            world.create(&order("r", 1, json!(1)), START).unwrap();
        }
        world.advance(seconds(60));
        let marker = Marker {
            run: "r".into(),
            attempt: 1,
        };
        assert_eq!(world.doubled(), std::slice::from_ref(&marker));
        let tally = Tally {
            accepted: 2,
            executed: 2,
            succeeded: 1,
        };
        assert_eq!(world.tally().get(&marker), Some(&tally));
    }

    #[test]
    fn a_call_with_wrong_arguments_is_accepted_and_never_executed() {
        let mut world = world();
        world.create(&order("r", 1, json!("two")), START).unwrap();
        world.advance(seconds(500));
        assert_eq!((world.accepted("r", 1), world.executions("r")), (1, 0));
    }
}
