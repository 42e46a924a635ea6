//! What the driver asks of the store for those that wait for others.

use nightcall::sched::scheduler::{Predecessors, Setup};
use nightcall::sched::time::Timestamp;

use super::Model;

impl Model {
    /// What is on record of the series that others wait for.
    pub(crate) fn predecessors(&self, setup: &Setup, at: Timestamp) -> Predecessors {
        let mut known = Predecessors::default();
        for (series, since) in setup.predecessors_since(at) {
            let mut runs: Vec<_> = self
                .runs
                .values()
                .map(|row| row.run.clone())
                .filter(|run| run.id.series == series && run.id.instant >= since)
                .collect();
            runs.sort_by(|a, b| (a.id.instant, &a.id.kind).cmp(&(b.id.instant, &b.id.kind)));
            known.runs.extend(runs);
            let missed = self.missed.iter();
            let missed = missed.filter(|m| m.series == series && m.range.upto > since);
            known.missed.extend(missed.cloned());
        }
        known
    }
}
