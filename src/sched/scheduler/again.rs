//! An occurrence runs again, or at last, as its next generation.
//!
//! A *retry* makes good what did not end well and is judged like a run by hand. A *rerun* (whatever the end) and a
//! *backfill* (what did not run) come in numbers, so they go into the background: one at a time of a series, in the order
//! in which they are asked for, behind everything that is on time.
//!
//! Invariant: the next generation is made only when the newest is finished, and at most one is live. Its identity
//! follows from the run that is named, so asking again after a lost answer makes no second one.

use std::sync::Arc;
use std::time::Duration;

use super::Scheduler;
use super::acts::{Done, no_run};
use super::fire::{Refusal, Wish, refuse};
use crate::sched::act::{Again, By, How};
use crate::sched::id::{RunId, RunKind};
use crate::sched::outcome::{Outcome, SkipReason};
use crate::sched::run::{Origin, Run};
use crate::sched::time::{Now, civil, earlier};
use crate::sched::trigger::{Fold, Shape};

impl Scheduler {
    pub(super) fn again(
        &mut self,
        again: &Again,
        by: &By,
        known: &[Run],
        now: Now,
    ) -> Result<Done, Refusal> {
        let id = &again.run;
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
        // What was asked for in numbers is asked for again as a whole: the answer tells what became of it.
        let made = known
            .iter()
            .find(|run| run.id == next)
            .map(|run| run.origin);
        let same = made.filter(|made| made.is_background()) == Some(origin(again.how));
        if same || self.by_run.contains_key(&next) {
            return Ok(Done {
                changed: false,
                ..Done::new(format!("{id} runs again already, as {next}")).with(vec![next])
            });
        }
        is_newest(id, number, known)?;
        if self.decided.later.contains(&next) {
            return refuse(
                format!("{next} is on record already"),
                format!("`nightcall show {next}` tells its story"),
            );
        }
        let nominal = self.nominal_of(again, known, now)?;
        let Some(index) = self.series_by_id.get(&id.series).copied() else {
            return refuse(
                format!("{} is no longer in the configuration", id.series),
                "put it back to run it again",
            );
        };
        // Last, since it may stop others.
        let beside = match origin(again.how).is_background() {
            true => self.may_start(index, again.even_paused).map(|()| false)?,
            false => self.judge(index, wish(again), now)?,
        };
        let (civil, fold) = nominal;
        let mut run = Run::pending(
            next.clone(),
            (civil, fold, self.series[index].trigger.zone()),
            now.wall,
            origin(again.how),
            Arc::clone(&self.series[index].definition),
            now.wall,
            Arc::clone(&self.config),
        );
        (run.beside, run.even_paused) = (beside, again.even_paused);
        self.remember_identity(&next);
        let why = match again.how {
            How::Retry => format!("{id} did not end well; asked by {by}"),
            How::Rerun => format!("it is to run once more; asked by {by}"),
            How::Backfill => format!("it did not run; asked by {by}"),
        };
        self.plan_run(run, Some(why), now);
        let message = format!("{id} runs again as {next}, as its schedule is defined now");
        Ok(Done::new(message).of(schedule).with(vec![next]))
    }

    /// The nominal time of what is to run, when it may be run again so.
    fn nominal_of(
        &self,
        again: &Again,
        known: &[Run],
        now: Now,
    ) -> Result<(civil::DateTime, Fold), Refusal> {
        match known.iter().find(|run| run.id == again.run) {
            Some(run) => {
                may_run_again(run, again, now)?;
                Ok((run.civil, run.fold))
            }
            None if again.how == How::Backfill => self.unrecorded(&again.run, now),
            None => no_run(&again.run),
        }
    }

    /// The nominal time of an occurrence without a record of its own: it was missed in bulk, or nobody knew of the
    /// series then.
    fn unrecorded(&self, id: &RunId, now: Now) -> Result<(civil::DateTime, Fold), Refusal> {
        if id.kind != RunKind::Generation(0) {
            return no_run(id);
        }
        let Some(series) = self.series_by_id.get(&id.series).map(|i| &self.series[*i]) else {
            return no_run(id);
        };
        if id.instant > series.cursor.max(self.mark).min(now.wall) {
            return refuse(
                format!("the time of {id} has not come yet"),
                format!("`nightcall next {}` shows when it does", id.series),
            );
        }
        if id.instant < earlier(now.wall, self.kept) {
            return refuse(
                format!("{id} is older than what is kept on record: it may have run"),
                "`retention` in [daemon] says how much is kept; `nightcall fire --as-of` runs for an old date",
            );
        }
        let just_before = earlier(id.instant, Duration::from_nanos(1));
        let there = series.trigger.after(just_before);
        let there = there.filter(|o| o.instant == id.instant && o.shape != Shape::NoSuchDay);
        match there {
            Some(o) => Ok((o.civil, o.fold)),
            None => refuse(
                format!("{} has no time at {}", id.series, id.instant),
                format!("`nightcall next {}` shows its times", id.series),
            ),
        }
    }
}

fn origin(how: How) -> Origin {
    match how {
        How::Retry => Origin::Retried,
        How::Rerun => Origin::Rerun,
        How::Backfill => Origin::Backfilled,
    }
}

fn wish(again: &Again) -> Wish {
    Wish {
        queue: again.queue,
        anyway: again.anyway,
        even_paused: again.even_paused,
    }
}

/// Whether no later generation is on record.
fn is_newest(id: &RunId, number: u32, known: &[Run]) -> Result<(), Refusal> {
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

/// Whether a run ended in a way that allows it to run again so.
fn may_run_again(run: &Run, again: &Again, now: Now) -> Result<(), Refusal> {
    let id = &run.id;
    let Some(outcome) = run.outcome() else {
        return no_run(id);
    };
    let until = run.may_live_until();
    let settled = run.resolved.is_some() || until <= now.wall;
    match (outcome, again.how) {
        (Outcome::Skipped(SkipReason::NoSuchDay), How::Backfill) => refuse(
            format!("the day of {id} does not exist in its time zone"),
            format!(
                "`nightcall fire {} --as-of DATE` runs for another",
                id.series
            ),
        ),
        (Outcome::Skipped(_), How::Backfill) => Ok(()),
        (Outcome::Skipped(reason), _) => refuse(
            format!("{id} did not run: {reason}"),
            format!("`nightcall backfill {id}` runs it"),
        ),
        (_, How::Backfill) => refuse(
            format!("{id} has run: {}", outcome.word()),
            format!("`nightcall rerun {id}` runs it once more"),
        ),
        (Outcome::Succeeded, How::Retry) => refuse(
            format!("{id} succeeded"),
            format!("`nightcall rerun {id}` runs it once more"),
        ),
        (Outcome::Lost, _) if !settled && !again.anyway => refuse(
            format!("{id} is lost, and its job may live until {until}"),
            format!(
                "look at the job in CARTO, then `nightcall resolve {id} --as failed`; --anyway runs it again at once"
            ),
        ),
        _ => Ok(()),
    }
}
