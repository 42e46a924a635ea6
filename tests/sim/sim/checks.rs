//! What must hold after every step and at every request (docs/ARCHITECTURE.md, the lines "Invariant").

use std::collections::BTreeMap;

use nightcall::sched::call::Submission;
use nightcall::sched::id::RunId;
use nightcall::sched::notice::NoticeKind;
use nightcall::sched::outcome::Outcome;
use nightcall::sched::policy::{DoubtPolicy, OverlapPolicy};
use nightcall::sched::run::{Run, RunState};
use nightcall::sched::step::{Ask, Effect};

use super::Sim;
use crate::setup::secs;
use crate::vendor::End;

impl Sim {
    /// No busy loop: who is woken in vain does not ask to be woken at once.
    pub(super) fn check_progress(&mut self, idle: bool) {
        let again = self.wake_at().is_some_and(|at| at <= self.t);
        self.idle_wakes = if idle && again {
            self.idle_wakes + 1
        } else {
            0
        };
        let wake = self.scheduler.as_ref().map(|s| s.next_wake(self.now()));
        assert!(
            self.idle_wakes < 3,
            "a busy loop at {:?}: wants {wake:?}, does nothing",
            self.now()
        );
    }

    pub(super) fn check_state(&self) {
        let Some(scheduler) = &self.scheduler else {
            return;
        };
        // Looking costs as much as there are live runs: crowds are looked at now and then.
        if !self.steps.is_multiple_of(1 + self.store.live_count() / 20) {
            return;
        }
        let snapshot = scheduler.snapshot(self.now());
        assert_eq!(snapshot.bugs, 0, "{:?}", self.notices(NoticeKind::Bug));
        assert!(snapshot.stopped.is_empty());
        for connection in &snapshot.connections {
            assert!(
                self.restored || connection.in_flight <= connection.max_in_flight,
                "{connection:?}"
            );
        }
        let mut busy: BTreeMap<_, Vec<&Run>> = BTreeMap::new();
        for row in self.store.live_rows() {
            if row.run.in_flight() && !row.run.beside {
                busy.entry(&row.run.id.series).or_default().push(&row.run);
            }
        }
        for (series, runs) in busy {
            // What an older database does not know may be any number of jobs.
            let policy = runs[0].definition.policies.overlap;
            let one = runs.len() == 1 || self.restored || policy == OverlapPolicy::AllowAll;
            assert!(one, "{series} has two runs with the vendor: {runs:#?}");
        }
        let live: usize = snapshot.live.values().sum();
        assert_eq!(
            live,
            self.store.live_rows().count(),
            "live runs differ from the store"
        );
    }

    /// No request without a stored intent.
    pub(super) fn check_effect(&mut self, effect: &Effect) {
        let Effect::Ask { key, ask, .. } = effect else {
            return;
        };
        let run = &self
            .store
            .runs
            .get(&key.run)
            .expect("a run that is asked about is stored")
            .run;
        assert_eq!(key.attempt, run.attempt);
        self.last_key = Some(key.clone());
        match ask {
            Ask::Submit(submission) => {
                assert!(matches!(run.state, RunState::Submitting { .. }), "{run:?}");
                assert_eq!(submission.marker.run, key.run);
                let mut pauses = self.store.pauses.values();
                let held = pauses.any(|pause| pause.scope.holds(&key.run.series));
                assert!(!held || run.even_paused, "{} leaves while paused", key.run);
                let attempt = (key.run.clone(), submission.marker.attempt);
                assert!(
                    self.submitted.insert(attempt),
                    "{} is submitted again",
                    key.run
                );
            }
            Ask::Poll(_, job) | Ask::Cancel(_, job) => assert_eq!(run.job.as_ref(), Some(job)),
        }
    }

    /// In any 60 s no more requests leave than the budget has.
    pub(super) fn check_budget(&mut self) {
        let budget = self.config.connections[0].requests_per_minute as usize;
        self.sent.push_back(self.t);
        while self.sent.front().is_some_and(|t| *t + secs(60) <= self.t) {
            self.sent.pop_front();
        }
        assert!(
            self.sent.len() <= budget,
            "{} requests in a minute",
            self.sent.len()
        );
    }

    /// Never twice: unless the policy permits it, a run has a second job only when its first is known to have failed.
    pub(super) fn check_creation(&self, submission: &Submission) {
        let id = &submission.marker.run;
        for job in self.vendor.jobs_of(id) {
            let again = submission.parameters.to_json().to_string();
            assert_eq!(job.parameters, again, "{id}: attempts with other values");
        }
        let Some(row) = self.store.runs.get(id) else {
            return;
        };
        if row.run.definition.policies.doubt == DoubtPolicy::Resubmit {
            return;
        }
        for job in self.vendor.jobs_of(id) {
            let end = job.end(self.t);
            let over = matches!(end, Some(End::Failure(_) | End::Stopped));
            assert!(over, "{id}: a second job while {} is {end:?}", job.id);
        }
        if row.run.definition.policies.overlap != OverlapPolicy::AllowAll && !row.run.beside {
            self.check_alone(id);
        }
    }

    /// No other job of the series is alive, unless it is known to be lost or somebody wanted it so.
    pub(super) fn check_alone(&self, id: &RunId) {
        for other in self.vendor.jobs_of_series(&id.series) {
            let row = self.store.runs.get(&other.marker.run);
            let Some(run) = row.map(|row| &row.run) else {
                continue;
            };
            let excused = (self.restored && !run.in_flight())
                || run.beside
                || run.outcome() == Some(Outcome::Lost)
                || run.definition.policies.doubt == DoubtPolicy::Resubmit;
            let over = other.end(self.t).is_some();
            assert!(
                over || excused,
                "{id} starts beside {} of {}",
                other.id,
                run.id
            );
        }
    }
}
