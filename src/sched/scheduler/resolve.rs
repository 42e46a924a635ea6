//! A person looked, and says how a run ended whose end the daemon cannot know.
//!
//! Invariant: `Finished` stays final. A lost run keeps its outcome, and what was said of it stands beside it; its series
//! is free. A run that is still looked for ends as it was said.

use std::borrow::Cow;

use super::acts::{Done, not_live};
use super::fire::{Refusal, refuse};
use super::{Scheduler, Slot};
use crate::sched::act::{By, Ended};
use crate::sched::id::RunId;
use crate::sched::machine::Event;
use crate::sched::outcome::Outcome;
use crate::sched::run::{Record, Run, RunState};
use crate::sched::step::Change;
use crate::sched::time::Now;

impl Scheduler {
    pub(super) fn resolve(
        &mut self,
        id: &RunId,
        ended: Ended,
        by: &By,
        known: &[Run],
        now: Now,
    ) -> Result<Done, Refusal> {
        let done = match self.by_run.get(id).copied() {
            Some(slot) => self.resolve_live(slot, id, ended, by, now)?,
            None => self.resolve_lost(id, ended, by, known, now)?,
        };
        Ok(done.of(&id.series.schedule).with(vec![id.clone()]))
    }

    /// A run whose job is looked for or does not stop; after a bug, any that is with the vendor.
    fn resolve_live(
        &mut self,
        slot: Slot,
        id: &RunId,
        ended: Ended,
        by: &By,
        now: Now,
    ) -> Result<Done, Refusal> {
        let Some(live) = self.runs.get(&slot) else {
            return not_live(id, &[]);
        };
        let blocked = live
            .series
            .is_some_and(|index| self.series[index].blocked.is_some());
        let state = &live.run.state;
        let unknown = matches!(
            state,
            RunState::InDoubt { .. } | RunState::Cancelling { .. }
        );
        let stands_still = blocked && matches!(state, RunState::Running { .. });
        if !(unknown || stands_still) {
            return refuse(
                format!(
                    "{id} is {} and is watched: its end will be known",
                    state.word()
                ),
                format!("`nightcall cancel {id}` stops it"),
            );
        }
        self.note(slot, "resolved", format!("{}: {by}", ended.word()), now);
        self.apply(slot, Event::Resolved(ended), now);
        self.unblock(id, now);
        Ok(Done::new(format!(
            "{id} ended as {}, as you say",
            ended.word()
        )))
    }

    fn resolve_lost(
        &mut self,
        id: &RunId,
        ended: Ended,
        by: &By,
        known: &[Run],
        now: Now,
    ) -> Result<Done, Refusal> {
        let run = known.iter().find(|run| run.id == *id);
        let Some(run) = run.filter(|run| run.outcome() == Some(Outcome::Lost)) else {
            // A bug may have blocked the series of a run that has ended since.
            return match run.is_some() && self.unblock(id, now) {
                true => Ok(Done::new(format!("{} is no longer blocked", id.series))),
                false => not_live(id, known),
            };
        };
        if run.resolved == Some(ended) {
            return Ok(Done {
                changed: false,
                ..Done::new(format!("{id} is on record as {} already", ended.word()))
            });
        }
        let run = Run {
            resolved: Some(ended),
            ..run.clone()
        };
        let record = Record {
            at: now.wall,
            what: Cow::Borrowed("resolved"),
            state: Cow::Borrowed(run.state.word()),
            attempt: run.attempt,
            why: Some(format!("{}: {by}", ended.word())),
            fault: None,
            job: run.job.clone(),
        };
        self.after.note(&run);
        self.step.changes.push(Change::Run {
            run: Box::new(run),
            record,
            at: now,
        });
        self.unblock(id, now);
        self.release(id, now);
        Ok(Done::new(format!(
            "{id} stays lost on record, with your word that it {}; {} is free",
            match ended {
                Ended::Succeeded => "succeeded",
                Ended::Failed => "failed",
            },
            id.series
        )))
    }

    /// A person has looked at the series, so it goes on; `true` when it stood still.
    fn unblock(&mut self, id: &RunId, now: Now) -> bool {
        let Some(index) = self.series_by_id.get(&id.series).copied() else {
            return false;
        };
        let blocked = self.series[index].blocked.take().is_some();
        if blocked {
            self.series_moved(index, now);
        }
        blocked
    }
}
