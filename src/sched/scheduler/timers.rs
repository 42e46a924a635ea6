//! What expires: poll times, time limits, grace, give-up, start deadlines. `wait` arms, `expire` fires.

use std::time::Duration;

use super::{Scheduler, Slot};
use crate::sched::fault::{Fault, FaultClass};
use crate::sched::machine::{Context, Event};
use crate::sched::policy::doubt::Finding;
use crate::sched::run::{CancelWhy, RunState};
use crate::sched::step::{PollAnswer, SubmitAnswer};
use crate::sched::time::{Mono, Now, Timestamp};

use super::connection::turn;

impl Scheduler {
    /// Arms what the state of a run waits for, or queues it when there is nothing more to wait for.
    pub(super) fn wait(&mut self, slot: Slot, now: Now) {
        let has_turn = self.has_turn(slot);
        let Some(live) = self.runs.get_mut(&slot) else {
            return;
        };
        let connection = &mut self.connections[live.connection];
        let idle = live.awaiting.is_none();
        let fresh = live.fresh;
        let run = &live.run;
        let mut timer: Option<Mono> = None;
        let mut alarm: Option<Timestamp> = None;
        let mut soonest = |at: Mono| timer = Some(timer.map_or(at, |t| t.min(at)));
        let mut ready = false;
        match &run.state {
            RunState::Pending if now.wall < run.due => alarm = Some(run.due),
            RunState::Pending => {
                alarm = Some(run.start_deadline());
                ready = true;
                self.after.is_due(slot);
            }
            RunState::Backoff { until } if now.mono < *until => soonest(*until),
            RunState::Backoff { until } => {
                alarm = Some(run.start_deadline());
                if let Some(waits) = run.retry_waits() {
                    soonest(until.plus(waits));
                }
                ready = true;
            }
            RunState::Submitting { .. } => {}
            RunState::InDoubt { give_up, .. } => {
                if fresh {
                    soonest(*give_up);
                }
            }
            RunState::Running {
                accepted,
                next_poll,
                ..
            } => {
                if fresh {
                    soonest(accepted.plus(run.definition.timeout));
                }
                if idle && now.mono < *next_poll {
                    soonest(*next_poll);
                } else if idle && live.poll_since.is_none() {
                    live.poll_since = Some(*next_poll);
                    connection.polls.insert((*next_poll, slot));
                }
            }
            RunState::Cancelling {
                polls, next_poll, ..
            } => {
                live.grace_ends().into_iter().for_each(&mut soonest);
                // At once, and again every other round; after a start or an outage only when it was heard how the
                // job stands, unless somebody wants it stopped: that waits for a connection only.
                let round = live.cancel_round;
                let asked = run.cancel == Some(CancelWhy::Asked);
                let wanted = fresh || (asked && connection.circuit.outage().is_none());
                let ask = wanted && round.is_none_or(|asked| *polls >= asked.saturating_add(2));
                if idle && now.mono < *next_poll {
                    soonest(*next_poll);
                } else if idle && ask {
                    connection.cancels.insert(slot);
                } else if idle && live.poll_since.is_none() {
                    live.poll_since = Some(*next_poll);
                    connection.polls.insert((*next_poll, slot));
                }
            }
            RunState::Finished(_) => {}
        }
        if let Some(awaiting) = live.awaiting {
            soonest(
                awaiting
                    .since
                    .plus(answer_limit(connection.limits.request_timeout)),
            );
        }
        if ready && has_turn {
            connection.waiting.insert(turn(run, slot));
        }
        self.arm(slot, timer, alarm);
    }

    /// The machine slept, or the process stood still. Requests under way count their time limit by a clock that slept as
    /// well, and what was sent may still arrive: nothing of it is given up or taken for absent by the time that elapsed
    /// meanwhile, and nothing expires before the vendor has spoken again.
    pub(super) fn awoke(&mut self, now: Now) {
        for live in self.runs.values_mut() {
            if let Some(awaiting) = &mut live.awaiting {
                awaiting.since = now.mono;
            }
            let limits = &self.connections[live.connection].limits;
            let vendor = self.clock.of_vendor(now);
            live.run.awoke(Context {
                now,
                vendor,
                limits,
            });
        }
        for index in 0..self.connections.len() {
            self.list_slept(index, now);
            self.cut_off(index, now);
        }
    }

    fn arm(&mut self, slot: Slot, timer: Option<Mono>, alarm: Option<Timestamp>) {
        let Some(live) = self.runs.get_mut(&slot) else {
            return;
        };
        if live.timer != timer {
            if let Some(at) = live.timer.take() {
                self.timers.remove(&(at, slot));
            }
            live.timer = timer;
            self.timers.extend(timer.map(|at| (at, slot)));
        }
        if live.alarm != alarm {
            if let Some(at) = live.alarm.take() {
                self.alarms.remove(&(at, slot));
            }
            live.alarm = alarm;
            self.alarms.extend(alarm.map(|at| (at, slot)));
        }
    }

    /// Fires everything whose time has come.
    pub(super) fn expire(&mut self, now: Now) {
        self.expire_lists(now);
        while let Some(&(at, slot)) = self.timers.first()
            && at <= now.mono
        {
            self.timers.pop_first();
            if let Some(live) = self.runs.get_mut(&slot) {
                live.timer = None;
            }
            self.timer_rang(slot, now);
        }
        while !self.clock.doubtful()
            && let Some(&(at, slot)) = self.alarms.first()
            && at <= now.wall
        {
            self.alarms.pop_first();
            if let Some(live) = self.runs.get_mut(&slot) {
                live.alarm = None;
            }
            self.alarm_rang(slot, now);
        }
    }

    fn timer_rang(&mut self, slot: Slot, now: Now) {
        let Some(live) = self.runs.get_mut(&slot) else {
            return;
        };
        let limit = self.connections[live.connection].limits.request_timeout;
        if let Some(awaiting) = live.awaiting
            && now.mono >= awaiting.since.plus(answer_limit(limit))
        {
            live.awaiting = None;
            if !matches!(live.run.state, RunState::Submitting { .. }) {
                live.unheard();
            }
            let sequence = awaiting.sequence;
            let connection = &mut self.connections[live.connection];
            connection.circuit.unheard(sequence, now.mono);
            connection.lookups.other_tried(false);
            let event = match live.run.state {
                RunState::Submitting { .. } => Event::Submitted(SubmitAnswer::Unsure(no_answer())),
                _ => Event::Polled(PollAnswer::NoAnswer(no_answer())),
            };
            return self.apply(slot, event, now);
        }
        let run = &live.run;
        let event = match &run.state {
            _ if !live.fresh => None,
            RunState::Running { accepted, .. } => {
                let limit = accepted.plus(run.definition.timeout);
                (now.mono >= limit).then_some(Event::TimeLimitPassed)
            }
            RunState::Cancelling { .. } => {
                let over = live.grace_ends().is_some_and(|at| now.mono >= at);
                over.then_some(Event::GracePassed)
            }
            RunState::InDoubt { give_up, .. } => {
                (now.mono >= *give_up).then_some(Event::NotFound(Finding::GaveUp))
            }
            _ => None,
        };
        let event = event.or_else(|| match &run.state {
            // A retry that cannot start for so long does not start at all.
            RunState::Backoff { until } => {
                let over = run.retry_waits().map(|waits| until.plus(waits));
                over.filter(|limit| now.mono >= *limit)
                    .map(|_| Event::StartDeadlinePassed)
            }
            _ => None,
        });
        match event {
            Some(event) => self.apply(slot, event, now),
            None => self.wait(slot, now),
        }
    }

    fn alarm_rang(&mut self, slot: Slot, now: Now) {
        let Some(live) = self.runs.get(&slot) else {
            return;
        };
        match live.run.state {
            RunState::Pending | RunState::Backoff { .. }
                if now.wall >= live.run.start_deadline() =>
            {
                if self.awaited_in_vain(slot, now) {
                    return;
                }
                self.apply(slot, Event::StartDeadlinePassed, now);
            }
            _ => self.wait(slot, now),
        }
    }
}

/// Every request ends within its time limit; a good deal later its answer is given up, whatever became of it.
pub(super) fn answer_limit(request_timeout: Duration) -> Duration {
    request_timeout
        .saturating_mul(3)
        .saturating_add(Duration::from_secs(60))
}

pub(super) fn no_answer() -> Fault {
    Fault::new(
        FaultClass::Transient,
        "no answer",
        "the request was never answered, neither by the vendor nor by its time limit",
    )
}
