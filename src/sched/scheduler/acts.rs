//! What people do: each act is decided here, recorded with who asked and why, and answered after that is durable.
//!
//! Invariant: an act that is refused changes nothing. An act that was done before is answered, not done again.

use std::borrow::Cow;

use super::fire::{Refusal, refuse};
use super::series::AT_ONCE;
use super::{Scheduler, Slot};
use crate::sched::act::{Act, Acted, By, Deed};
use crate::sched::id::{RunId, ScheduleName};
use crate::sched::machine::{Applied, Event};
use crate::sched::run::{CancelWhy, Record, Run, RunState};
use crate::sched::step::{Change, Effect, Token};
use crate::sched::time::Now;

/// What came of an act.
pub(super) struct Done {
    /// One sentence for whoever asked.
    pub(super) message: String,
    /// The runs that it made or stops.
    pub(super) runs: Vec<RunId>,
    /// The schedule that it concerns.
    pub(super) schedule: Option<ScheduleName>,
    /// Whether anything changed; what was done before is answered only.
    pub(super) changed: bool,
}

impl Done {
    /// Something changed.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            runs: Vec::new(),
            schedule: None,
            changed: true,
        }
    }

    /// It concerns this schedule.
    pub(super) fn of(self, schedule: &ScheduleName) -> Self {
        Self {
            schedule: Some(schedule.clone()),
            ..self
        }
    }

    /// It made or stops these runs.
    pub(super) fn with(self, runs: Vec<RunId>) -> Self {
        Self { runs, ..self }
    }
}

impl Scheduler {
    /// Does what somebody wants, or says why not.
    pub(super) fn act(&mut self, token: Token, act: Act, by: By, known: &[Run], now: Now) {
        let (word, run) = (act.word(), act.run().cloned());
        let done = self.try_act(act, &by, known, now);
        self.answer(token, word, run, by, done, now);
    }

    /// Records what was done and answers; the answer leaves after it is durable.
    pub(super) fn answer(
        &mut self,
        token: Token,
        word: &str,
        run: Option<RunId>,
        by: By,
        done: Result<Done, Refusal>,
        now: Now,
    ) {
        let acted = match done {
            Err(Refusal { message, hint }) => Acted::Refused { message, hint },
            Ok(done) => {
                if done.changed {
                    self.step.changes.push(Change::Acted(Deed {
                        at: now.wall,
                        by,
                        act: word.to_owned(),
                        schedule: done.schedule,
                        run,
                        said: done.message.clone(),
                    }));
                }
                Acted::Done {
                    message: done.message,
                    runs: done.runs,
                }
            }
        };
        self.push(Effect::Acted { token, acted });
    }

    fn try_act(&mut self, act: Act, by: &By, known: &[Run], now: Now) -> Result<Done, Refusal> {
        match act {
            Act::Cancel { run } => self.cancel_asked(&run, by, known, now),
            Act::Again(again) => self.again(&again, by, known, now),
            Act::Resolve { run, ended } => self.resolve(&run, ended, by, known, now),
            Act::Pause { scope, until } => self.pause(scope, until, by, now),
            Act::Resume { scope, catch_up } => self.resume(&scope, catch_up, by, now),
            Act::Skip {
                schedule,
                set,
                what,
            } => self.skip_asked(&schedule, set.as_ref(), what, by, now),
            Act::Unskip {
                schedule,
                set,
                what,
            } => self.unskip(&schedule, set.as_ref(), what, now),
        }
    }

    /// What holds from now on needs a now that can be believed, and everything before it decided.
    pub(super) fn decide_past(&mut self, now: Now) -> Result<(), Refusal> {
        if self.stopping {
            return refuse("the daemon is stopping", "ask again when it runs again");
        }
        if self.clock.doubtful() {
            return refuse(
                "the clock of this machine is in doubt, so nothing is decided",
                "set the clock; `nightcall status` says when it is believed again",
            );
        }
        self.plan_due(AT_ONCE, now);
        if self.past_is_due(now) {
            return refuse(
                "the times that passed are still being decided",
                "ask again in a moment",
            );
        }
        Ok(())
    }

    /// As [`Self::decide_past`], also for times before the start that wait for a job list.
    pub(super) fn decide_all_past(&mut self, now: Now) -> Result<(), Refusal> {
        self.decide_past(now)?;
        if self.held.is_empty() {
            return Ok(());
        }
        refuse(
            "the daemon has just started and still reads the job lists",
            "ask again in half a minute",
        )
    }

    // ---- cancel --------------------------------------------------------------------------------------------------

    fn cancel_asked(
        &mut self,
        id: &RunId,
        by: &By,
        known: &[Run],
        now: Now,
    ) -> Result<Done, Refusal> {
        let Some(slot) = self.by_run.get(id).copied() else {
            return not_live(id, known);
        };
        let schedule = &id.series.schedule;
        let wish = self.runs.get(&slot).and_then(|live| live.run.cancel);
        if wish.is_some_and(|why| why != CancelWhy::Timeout) {
            return Ok(Done {
                changed: false,
                ..Done::new(format!("{id} is being stopped already")).with(vec![id.clone()])
            });
        }
        self.note(slot, "cancel_asked", by.to_string(), now);
        self.apply(slot, Event::Cancel(CancelWhy::Asked), now);
        let state = self.runs.get(&slot).map(|live| &live.run.state);
        let message = match state {
            None => format!("{id} is cancelled; nothing of it is with the vendor"),
            Some(RunState::Cancelling { job, .. }) => format!(
                "the vendor is asked to stop job {job} of {id}; it is cancelled once the vendor confirms"
            ),
            Some(_) => format!(
                "{id} is stopped as soon as its job is known: the answer to its submission is awaited"
            ),
        };
        Ok(Done::new(message).of(schedule).with(vec![id.clone()]))
    }

    /// A line of a run's story that changes nothing else.
    pub(super) fn note(&mut self, slot: Slot, what: &'static str, why: String, now: Now) {
        let Some(live) = self.runs.get(&slot) else {
            return;
        };
        let record = Record {
            at: now.wall,
            what: Cow::Borrowed(what),
            state: Cow::Borrowed(live.run.state.word()),
            attempt: live.run.attempt,
            why: Some(why),
            fault: None,
            job: live.run.job.clone(),
        };
        let applied = Applied {
            record: Some(record),
            notice: None,
        };
        self.store(slot, applied, now);
    }
}

/// Why a run that is not live cannot be stopped.
pub(super) fn not_live<T>(id: &RunId, known: &[Run]) -> Result<T, Refusal> {
    match known.iter().find(|run| run.id == *id).map(Run::outcome) {
        Some(Some(outcome)) => refuse(
            format!("{id} has ended already: {}", outcome.word()),
            format!("`nightcall show {id}` tells its story"),
        ),
        _ => no_run(id),
    }
}

/// Nobody knows such a run.
pub(super) fn no_run<T>(id: &RunId) -> Result<T, Refusal> {
    refuse(
        format!("there is no run {id}"),
        format!(
            "`nightcall runs --schedule {}` lists its runs",
            id.series.schedule
        ),
    )
}
