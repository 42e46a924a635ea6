//! What people do, as the model store believes it: nothing fires that somebody holds back, and later generations follow
//! earlier ones that ended.

use nightcall::sched::act::{Skip, SkipWhat};
use nightcall::sched::id::{RunId, RunKind};
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::run::{Origin, Run};
use nightcall::sched::step::{Change, Decided, PASSED};

use super::Model;

impl Model {
    pub(super) fn put_act(&mut self, change: &Change) {
        match change {
            Change::Paused(pause) => {
                if let Some(before) = self.pauses.get(&pause.scope) {
                    assert_eq!(before.since, pause.since, "a pause begins once: {pause:?}");
                }
                self.pauses.insert(pause.scope.clone(), pause.clone());
            }
            Change::Resumed(scope) => {
                let pause = self.pauses.remove(scope);
                assert!(pause.is_some(), "{scope} was not paused");
            }
            Change::Skip(skip) => {
                assert!(skip.what != SkipWhat::Next(0), "{skip:?}");
                self.wished.push(skip.clone());
                let key = (skip.series.clone(), skip.what.key());
                self.skips.insert(key, skip.clone());
            }
            Change::Unskip(series, what) => {
                let skip = self.skips.remove(&(series.clone(), what.key()));
                assert!(skip.is_some(), "{series} was not to be skipped: {what:?}");
            }
            Change::Acted(deed) => self.deeds.push(deed.clone()),
            other => panic!("no act: {other:?}"),
        }
    }

    /// What may be on record of a run that nobody knew.
    pub(super) fn may_begin(&self, run: &Run) {
        match run.id.kind {
            RunKind::Generation(0) => self.may_be_decided(run),
            RunKind::Generation(number) => self.may_come_after(run, number),
            RunKind::Manual(_) => {}
        }
    }

    /// An occurrence runs unless somebody holds it back, and only then is said to be held back.
    fn may_be_decided(&self, run: &Run) {
        let id = &run.id;
        let mut pauses = self.pauses.values().filter(|p| p.scope.holds(&id.series));
        let paused = pauses.any(|pause| pause.covers(id.instant));
        let named = |skip: &Skip| match skip.what {
            SkipWhat::Next(_) => false,
            SkipWhat::On(date) => run.civil.date() == date,
            SkipWhat::At(instant) => id.instant == instant,
        };
        let wishes = || self.wished.iter().filter(|skip| skip.series == id.series);
        let counted = wishes().any(|skip| matches!(skip.what, SkipWhat::Next(_)));
        let asked = wishes().any(named);
        match run.outcome() {
            Some(Outcome::Skipped(SkipReason::Paused)) => assert!(paused, "{id} is not paused"),
            Some(Outcome::Skipped(SkipReason::Asked)) => {
                assert!(asked || counted, "nobody asked to skip {id}");
            }
            Some(_) => {}
            None if run.origin == Origin::Adopted => {}
            None => assert!(!paused && !asked, "{id} is held back, and runs"),
        }
    }

    /// At most one generation is live, and each follows one that ended.
    fn may_come_after(&self, run: &Run, number: u32) {
        let id = &run.id;
        if run.origin == Origin::Adopted {
            return;
        }
        let before = RunId {
            kind: RunKind::Generation(number - 1),
            ..id.clone()
        };
        let in_bulk = || number == 1 && self.missed_with(id).is_some();
        let outcome = self.runs.get(&before).map(|row| row.run.outcome());
        let badly = |outcome| {
            matches!(
                outcome,
                Some(Outcome::Failed | Outcome::TimedOut | Outcome::Cancelled | Outcome::Lost)
            )
        };
        let follows = match (run.origin, outcome) {
            // Nobody need have known of the series at that time.
            (Origin::Backfilled, None) => number == 1,
            (Origin::Backfilled, Some(outcome)) => matches!(outcome, Some(Outcome::Skipped(_))),
            (_, None) => in_bulk(),
            (Origin::Retried, Some(outcome)) => badly(outcome),
            (Origin::Rerun, Some(outcome)) => badly(outcome) || outcome == Some(Outcome::Succeeded),
            (_, Some(outcome)) => outcome == Some(Outcome::Skipped(SkipReason::Paused)),
        };
        assert!(follows, "{id} follows {before}, which is {outcome:?}");
    }

    /// What passed in pauses that are in force, by series.
    pub(super) fn passed(&self) -> Vec<Decided> {
        let mut all = Vec::new();
        for series in self.open.keys() {
            let pauses = self.pauses.values().filter(|p| p.scope.holds(series));
            let Some(since) = pauses.map(|pause| pause.since).min() else {
                continue;
            };
            let of_series = self.runs.values().map(|row| &row.run);
            let of_series: Vec<&Run> = of_series.filter(|r| r.id.series == *series).collect();
            let again = |run: &Run| {
                let later = |r: &&Run| matches!(r.id.kind, RunKind::Generation(1..));
                let mut later = of_series.iter().filter(|r| later(r));
                later.any(|r| r.id.instant == run.id.instant)
            };
            let paused = Some(Outcome::Skipped(SkipReason::Paused));
            let found = of_series
                .iter()
                .filter(|r| r.outcome() == paused && r.id.instant > since && !again(r));
            let found: Vec<&&Run> = found.collect();
            let surplus = found.len().saturating_sub(PASSED);
            all.extend(found.into_iter().skip(surplus).map(|run| Decided {
                run: run.id.clone(),
                civil: run.civil,
                fold: run.fold,
            }));
        }
        all
    }
}
