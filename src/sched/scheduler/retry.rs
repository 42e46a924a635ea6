//! A run that did not end well runs again, as the next generation of its occurrence.
//!
//! Invariant: the next generation is made only when the newest is finished, and at most one is live. Its identity
//! follows from the run that is named, so asking again after a lost answer makes no second one.

use std::sync::Arc;

use super::Scheduler;
use super::acts::{Done, no_run};
use super::fire::{Refusal, Wish, refuse};
use crate::sched::act::{By, Retry};
use crate::sched::id::{RunId, RunKind};
use crate::sched::outcome::Outcome;
use crate::sched::run::{Origin, Run};
use crate::sched::time::Now;

impl Scheduler {
    pub(super) fn retry(
        &mut self,
        retry: &Retry,
        by: &By,
        known: &[Run],
        now: Now,
    ) -> Result<Done, Refusal> {
        let id = &retry.run;
        let schedule = &id.series.schedule;
        let RunKind::Generation(number) = id.kind else {
            return refuse(
                format!("{id} was asked for by hand"),
                format!("`nightcall fire {}` asks for another", id.series),
            );
        };
        if let Some(live) = self.by_run.get(id).and_then(|slot| self.runs.get(slot)) {
            return refuse(
                format!("{id} has not ended: it is {}", live.run.state.word()),
                format!("`nightcall cancel {id}` stops it"),
            );
        }
        let next = RunId {
            kind: RunKind::Generation(number + 1),
            ..id.clone()
        };
        if self.by_run.contains_key(&next) {
            return Ok(Done {
                changed: false,
                ..Done::new(format!("{id} runs again already, as {next}")).with(vec![next])
            });
        }
        let Some(run) = known.iter().find(|run| run.id == *id) else {
            return no_run(id);
        };
        self.is_newest(id, number, known)?;
        if self.decided.later.contains(&next) {
            return refuse(
                format!("{next} is on record already"),
                format!("`nightcall show {next}` tells its story"),
            );
        }
        may_run_again(run, retry.anyway, now)?;
        let Some(index) = self.series_by_id.get(&id.series).copied() else {
            return refuse(
                format!("{} is no longer in the configuration", id.series),
                "put it back to run it again",
            );
        };
        let wish = Wish {
            queue: retry.queue,
            anyway: retry.anyway,
            even_paused: retry.even_paused,
        };
        // Last, since it may stop others.
        let beside = self.judge(index, wish, now)?;
        let mut again = Run::pending(
            next.clone(),
            (run.civil, run.fold),
            now.wall,
            Origin::Retried,
            Arc::clone(&self.series[index].definition),
            now.wall,
            Arc::clone(&self.config),
        );
        (again.beside, again.even_paused) = (beside, retry.even_paused);
        self.remember_identity(&next);
        let why = format!("{id} did not end well; asked by {by}");
        self.plan_run(again, Some(why), now);
        let message = format!("{id} runs again as {next}, as its schedule is defined now");
        Ok(Done::new(message).of(schedule).with(vec![next]))
    }

    /// Whether no later generation is on record.
    fn is_newest(&self, id: &RunId, number: u32, known: &[Run]) -> Result<(), Refusal> {
        let newest = known
            .iter()
            .filter(|run| run.id.series == id.series && run.id.instant == id.instant)
            .filter_map(|run| match run.id.kind {
                RunKind::Generation(n) if n > number => Some((n, run)),
                _ => None,
            })
            .max_by_key(|(n, _)| *n);
        let Some((_, newer)) = newest else {
            return Ok(());
        };
        let state = newer.outcome().map_or(newer.state.word(), Outcome::word);
        refuse(
            format!("{id} was run again already: {} ({state})", newer.id),
            format!("`nightcall retry {}` runs that one again", newer.id),
        )
    }
}

/// Whether a run ended in a way that another attempt may mend.
fn may_run_again(run: &Run, anyway: bool, now: Now) -> Result<(), Refusal> {
    let series = &run.id.series;
    let once_more = format!("`nightcall fire {series}` runs it once more");
    match run.outcome() {
        Some(Outcome::Failed | Outcome::TimedOut | Outcome::Cancelled) => Ok(()),
        Some(Outcome::Lost) if anyway || run.may_live_until() <= now.wall => Ok(()),
        Some(Outcome::Lost) => refuse(
            format!(
                "{} is lost, and its job may live until {}",
                run.id,
                run.may_live_until()
            ),
            "look at the job in CARTO first; --anyway runs it again at once",
        ),
        Some(Outcome::Succeeded) => refuse(format!("{} succeeded", run.id), once_more),
        Some(Outcome::Skipped(reason)) => {
            refuse(format!("{} did not run: {reason}", run.id), once_more)
        }
        None => no_run(&run.id),
    }
}
