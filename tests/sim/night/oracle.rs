//! Invariant 2 by what the vendor really did: when it makes a job, and after the calm.

use std::collections::BTreeMap;

use nightcall::sandbox::{Ending, Phase};
use nightcall::sched::id::RunId;
use nightcall::sched::notice::Notice;
use nightcall::sched::outcome::Outcome;
use nightcall::sched::policy::{DoubtPolicy, OverlapPolicy};
use nightcall::sched::run::Run;

use super::checks::{check_told, hold, no_secret};
use super::play::Play;
use super::vendor::Made;

impl Play<'_> {
    /// Invariant 2, when the vendor makes a job.
    pub(super) fn check_made(&self, made: &Made) {
        let (id, attempt) = &made.meant;
        let of_run = || self.vendor.of_run(id).filter(|other| other.id != made.id);
        let twice = of_run().find(|other| other.meant.1 == *attempt);
        hold(2, twice.is_none(), || {
            format!("one submission of {id} attempt {attempt} made two jobs")
        });
        let Some(row) = self.store.runs.get(id) else {
            return;
        };
        let policies = &row.run.definition.policies;
        if policies.doubt == DoubtPolicy::Resubmit || !self.night.words_are_honest() {
            return;
        }
        let (jobs, most) = (of_run().count() + 1, policies.retry.attempts as usize);
        // What a run used up before is not known to an older database.
        hold(2, jobs <= most || self.ledger.restored, || {
            format!("{id} has {jobs} jobs and {most} attempts")
        });
        for other in of_run() {
            let phase = self.vendor.phase(other);
            let failed = matches!(&phase, Phase::Ended(ending) if !ending.is_success());
            if let Phase::Ended(Ending::Fails(failure)) = &phase {
                // Seen only after its time limit it counts as stopped by that (docs/state-machine.md).
                let for_good =
                    failure.message.contains("Syntax error") && !policies.retry.on_timeout;
                hold(2, !for_good, || {
                    format!("{id} is tried again after {failure:?}")
                });
            }
            hold(2, failed, || {
                format!(
                    "{id}: a second job, attempt {attempt}, while attempt {} is {phase:?}",
                    other.meant.1
                )
            });
        }
        if policies.overlap != OverlapPolicy::AllowAll && !row.run.beside {
            self.check_alone(id);
        }
    }

    /// No other job of the series is alive, unless it is known to be lost or somebody wanted it so.
    fn check_alone(&self, id: &RunId) {
        for other in self.vendor.of_series(&id.series) {
            let (run, _) = &other.meant;
            let Some(row) = self.store.runs.get(run).filter(|_| run != id) else {
                continue;
            };
            let policies = &row.run.definition.policies;
            let excused = (self.ledger.restored && !row.run.in_flight())
                || row.run.beside
                || row.run.outcome() == Some(Outcome::Lost)
                || policies.doubt == DoubtPolicy::Resubmit;
            let over = self.vendor.phase(other).is_final();
            hold(2, over || excused, || {
                format!("{id} starts beside {run}, {:?}", row.run.state)
            });
        }
    }

    /// After the calm.
    pub(super) fn check_end(&mut self) {
        self.ledger.check_counts();
        let doubled = self.vendor.doubled();
        hold(2, doubled.is_empty(), || format!("{doubled:?}"));
        let mut told: BTreeMap<&str, Vec<&Notice>> = BTreeMap::new();
        for notice in &self.store.notices {
            told.entry(&notice.id).or_default().push(notice);
        }
        for row in self.store.runs.values() {
            let id = format!("{}:finished", row.run.id);
            let of_run = told.get(id.as_str()).into_iter().flatten().copied();
            if let Some(outcome) = row.run.outcome() {
                check_told(&row.run, outcome, of_run);
                self.check_truth(&row.run, outcome);
            }
        }
        if self.night.seed.is_multiple_of(16) {
            no_secret(&format!("{:?}", self.store));
        }
    }

    /// What is on record is what happened.
    fn check_truth(&self, run: &Run, outcome: Outcome) {
        if !self.night.words_are_honest() || self.ledger.restored || self.night.forgets() {
            return;
        }
        let resubmit = run.definition.policies.doubt == DoubtPolicy::Resubmit;
        let really = self.vendor.successes(&run.id);
        let honest = match outcome {
            Outcome::Succeeded => really >= 1 && (really == 1 || resubmit),
            Outcome::Failed | Outcome::TimedOut => really == 0 || resubmit,
            Outcome::Skipped(_) => self.vendor.of_run(&run.id).next().is_none(),
            Outcome::Cancelled | Outcome::Lost => true,
        };
        hold(2, honest, || {
            format!(
                "{} is on record as {outcome:?} and succeeded {really} times",
                run.id
            )
        });
    }
}
