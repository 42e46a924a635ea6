//! Pauses: occurrences pass with a record, what waits waits on, jobs at the vendor are watched to their end.
//!
//! A pause is a span of wall time, and an occurrence passes when its instant lies in it, whenever that is decided: a
//! daemon that was down meanwhile decides the same.
//!
//! Invariant: a pause is lifted only when everything up to its end is decided.

use std::collections::VecDeque;

use super::Scheduler;
use super::acts::Done;
use super::fire::{Refusal, refuse};
use crate::sched::act::{By, Pause, Scope, Skip};
use crate::sched::id::{RunId, RunKind, ScheduleName, SeriesId};
use crate::sched::outcome::SkipReason;
use crate::sched::plan::Plan;
use crate::sched::run::{Origin, Run, RunState};
use crate::sched::step::{Change, Decided, PASSED, RECENT};
use crate::sched::time::{Now, Timestamp, civil, earlier};
use crate::sched::trigger::{Fold, Occurrence};

/// So many nominal times of a series are remembered at most.
pub const LATELY: usize = 500;

/// An occurrence that was decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    pub(super) instant: Timestamp,
    pub(super) civil: civil::DateTime,
    pub(super) fold: Fold,
}

impl From<&Occurrence> for Passed {
    fn from(o: &Occurrence) -> Self {
        Self {
            instant: o.instant,
            civil: o.civil,
            fold: o.fold,
        }
    }
}

impl Scheduler {
    pub(super) fn pause(
        &mut self,
        scope: Scope,
        until: Option<Timestamp>,
        by: &By,
        now: Now,
    ) -> Result<Done, Refusal> {
        match self.pauses.contains_key(&scope) {
            // Whether it is over already is decided with the past.
            true => self.decide_all_past(now)?,
            false => self.decide_past(now)?,
        }
        if let Scope::Schedule(name) = &scope {
            self.sets_of(name)?;
        }
        if let Some(until) = until
            && until <= now.wall
        {
            return refuse(
                format!("a pause cannot end in the past: {until}"),
                "name a later time, or none for a pause until somebody resumes",
            );
        }
        let before = self.pauses.get(&scope);
        let since = before.map_or(now.wall, |pause| pause.since);
        let pause = Pause {
            scope: scope.clone(),
            since,
            until,
            by: by.clone(),
        };
        let jobs = self.jobs_of(&scope);
        let message = format!(
            "{scope} is paused{}: its times pass, and what waits waits on{}",
            until.map_or_else(String::new, |until| format!(" until {until}")),
            match jobs {
                0 => String::new(),
                1 => "; 1 job at the vendor is watched to its end".to_owned(),
                n => format!("; {n} jobs at the vendor are watched to their end"),
            }
        );
        self.put_pause(pause.clone());
        self.step.changes.push(Change::Paused(pause));
        for index in self.series_in(&scope) {
            self.series[index].paused = true;
            self.settle_waiting(index, now);
        }
        Ok(with_schedule(Done::new(message), &scope))
    }

    pub(super) fn resume(
        &mut self,
        scope: &Scope,
        catch_up: bool,
        by: &By,
        now: Now,
    ) -> Result<Done, Refusal> {
        self.decide_all_past(now)?;
        if !self.pauses.contains_key(scope) {
            if let Scope::Schedule(name) = scope {
                self.sets_of(name)?;
                if self.pauses.contains_key(&Scope::All) {
                    return refuse(
                        format!("everything is paused, not {scope} alone"),
                        "resume everything, and pause what is to stay paused",
                    );
                }
            }
            return refuse(
                format!("{scope} is not paused"),
                "`nightcall status` shows what is",
            );
        }
        let all_paused =
            matches!(scope, Scope::Schedule(_)) && self.pauses.contains_key(&Scope::All);
        if catch_up && all_paused {
            return refuse(
                format!("everything is paused, so nothing of {scope} can be caught up"),
                "resume everything first, then this with catch-up; or resume it without",
            );
        }
        let why = catch_up.then(|| format!("the pause is over; asked by {by}"));
        let runs = self.lift(scope, why, now);
        let more = match (catch_up, runs.len()) {
            (false, _) => "; nothing of what passed runs".to_owned(),
            (true, n) => {
                format!("; {n} of the times that passed run now, as the misfire policy says")
            }
        };
        let message = match all_paused {
            true => format!("the pause of {scope} is over, but everything is still paused"),
            false => format!("{scope} goes on{more}"),
        };
        Ok(with_schedule(Done::new(message), scope).with(runs))
    }

    /// Why people do not want an occurrence to run, if they do not.
    pub(super) fn set_aside(
        &self,
        id: &SeriesId,
        wishes: &mut [Skip],
        occurrence: &Occurrence,
    ) -> Option<SkipReason> {
        if super::skip::is_wished(wishes, occurrence) {
            return Some(SkipReason::Asked);
        }
        let mut pauses = self.pauses_of(id);
        let paused = pauses.any(|pause| pause.covers(occurrence.instant));
        paused.then_some(SkipReason::Paused)
    }

    /// Whether the next occurrence of a series, which is at this instant, will pass because somebody wants that.
    pub(super) fn will_pass(&self, index: usize, instant: Timestamp) -> bool {
        let series = &self.series[index];
        let paused = self
            .pauses_of(series.id())
            .any(|pause| pause.covers(instant));
        paused || super::skip::hits_next(self.skips_of(series.id()), instant, series.trigger.zone())
    }

    fn pauses_of(&self, id: &SeriesId) -> impl Iterator<Item = &Pause> {
        let of_schedule = match self.pauses.is_empty() {
            true => None,
            false => self.pauses.get(&Scope::Schedule(id.schedule.clone())),
        };
        self.pauses.get(&Scope::All).into_iter().chain(of_schedule)
    }

    /// Remembers what passed in a pause, to be caught up, and the nominal times that were decided, in case the times
    /// of the series change.
    pub(super) fn remember_passed(&mut self, index: usize, plan: &Plan) {
        let series = &mut self.series[index];
        let keep = series.definition.policies.misfire.keep().min(PASSED);
        series.passed.extend(plan.paused.iter().map(Passed::from));
        let surplus = series.passed.len().saturating_sub(keep);
        series.passed.drain(..surplus);
        let run = plan.runs.iter().map(|(o, _)| o);
        let decided = run.chain(plan.skips.iter().map(|(o, _)| o));
        let lately = &mut series.lately;
        lately.extend(decided.filter(|o| o.clock_like).map(Passed::from));
        if let Some(last) = lately.back().map(|o| o.instant) {
            let old = lately.iter();
            let old = old
                .take_while(|o| o.instant < earlier(last, RECENT))
                .count();
            let surplus = lately.len().saturating_sub(LATELY);
            lately.drain(..old.max(surplus));
        }
    }

    // ---- how a pause begins and ends -----------------------------------------------------------------------------

    fn put_pause(&mut self, pause: Pause) {
        let scope = pause.scope.clone();
        let until = pause.until;
        if let Some(before) = self.pauses.insert(scope.clone(), pause)
            && let Some(at) = before.until
        {
            self.pause_ends.remove(&(at, scope.clone()));
        }
        self.pause_ends.extend(until.map(|at| (at, scope)));
    }

    /// Ends pauses whose time has come, and those of schedules that are no more.
    pub(super) fn end_pauses(&mut self, now: Now) {
        if self.clock.doubtful() || !self.held.is_empty() || self.past_is_due(now) {
            return;
        }
        while let Some((at, scope)) = self.pause_ends.first().cloned()
            && at <= now.wall
        {
            self.lift(&scope, None, now);
        }
        if std::mem::take(&mut self.closed) {
            let names = self.pauses.keys().filter_map(|scope| match scope {
                Scope::All => None,
                Scope::Schedule(name) => Some(name.clone()),
            });
            for name in names.collect::<Vec<ScheduleName>>() {
                if self.sets_of(&name).is_err() {
                    self.lift(&Scope::Schedule(name), None, now);
                }
            }
        }
    }

    /// When the next pause ends by itself; none while the past is not decided.
    pub(super) fn pause_end(&self) -> Option<Timestamp> {
        let ends = self.pause_ends.first().map(|(at, _)| *at);
        ends.filter(|_| self.held.is_empty())
    }

    /// Ends a pause. With a reason to catch up, the misfire policy is applied to what passed; gives back those runs.
    fn lift(&mut self, scope: &Scope, catch_up: Option<String>, now: Now) -> Vec<RunId> {
        let mut made = Vec::new();
        let Some(pause) = self.pauses.remove(scope) else {
            return made;
        };
        if let Some(at) = pause.until {
            self.pause_ends.remove(&(at, scope.clone()));
        }
        self.step.changes.push(Change::Resumed(scope.clone()));
        for index in self.series_in(scope) {
            if self.pauses_of(self.series[index].id()).next().is_some() {
                continue;
            }
            self.series[index].paused = false;
            let passed = std::mem::take(&mut self.series[index].passed);
            if let Some(why) = &catch_up {
                made.extend(self.catch_up(index, passed, why, now));
            }
            self.settle_waiting(index, now);
        }
        made
    }

    /// What passed runs as the next generation, as the misfire policy says of times that were missed.
    fn catch_up(
        &mut self,
        index: usize,
        passed: VecDeque<Passed>,
        why: &str,
        now: Now,
    ) -> Vec<RunId> {
        let series = &self.series[index];
        if self.observe || series.blocked.is_some() {
            return Vec::new();
        }
        let misfire = series.definition.policies.misfire;
        let young = passed
            .iter()
            .filter(|o| o.instant >= misfire.oldest(now.wall));
        let surplus = young.clone().count().saturating_sub(misfire.keep());
        let chosen: Vec<Passed> = young.skip(surplus).copied().collect();
        let mut made = Vec::new();
        for o in chosen {
            let id = RunId {
                kind: RunKind::Generation(1),
                ..RunId::planned(self.series[index].id().clone(), o.instant)
            };
            if self.by_run.contains_key(&id) || self.decided.later.contains(&id) {
                continue;
            }
            let series = &self.series[index];
            let definition = std::sync::Arc::clone(&series.definition);
            let run = Run::pending(
                id.clone(),
                (o.civil, o.fold, series.trigger.zone()),
                o.instant,
                Origin::CaughtUp,
                definition,
                now.wall,
                std::sync::Arc::clone(&self.config),
            );
            self.remember_identity(&id);
            self.plan_run(run, Some(why.to_owned()), now);
            made.push(id);
        }
        made
    }

    // ---- after a start -------------------------------------------------------------------------------------------

    /// Pauses hold over a restart.
    pub(super) fn take_pauses(&mut self, pauses: Vec<Pause>) {
        for pause in pauses {
            self.closed |= pause.scope != Scope::All;
            self.put_pause(pause);
        }
    }

    /// What people want of each series, once these are known.
    pub(super) fn take_acts(&mut self, skips: Vec<Skip>, passed: Vec<Decided>) {
        let places: std::collections::HashMap<SeriesId, usize> =
            match skips.is_empty() && passed.is_empty() {
                true => Default::default(),
                false => {
                    let all = self.series.iter().enumerate();
                    all.map(|(index, s)| (s.id().clone(), index)).collect()
                }
            };
        for skip in skips {
            if places.contains_key(&skip.series) {
                let of_series = self.skips.entry(skip.series.clone());
                of_series.or_default().push(skip);
            } else {
                let gone = Change::Unskip(skip.series, skip.what);
                self.step.changes.push(gone);
            }
        }
        for o in passed {
            if let Some(index) = places.get(&o.run.series) {
                self.series[*index].passed.push_back(Passed {
                    instant: o.run.instant,
                    civil: o.civil,
                    fold: o.fold,
                });
            }
        }
        self.mark_paused();
    }

    /// Which series are held back now.
    pub(super) fn mark_paused(&mut self) {
        for index in 0..self.series.len() {
            let paused = self.pauses_of(self.series[index].id()).next().is_some();
            self.series[index].paused = paused;
        }
    }

    // ---- small things --------------------------------------------------------------------------------------------

    fn series_in(&self, scope: &Scope) -> Vec<usize> {
        let all = self.series.iter().enumerate();
        let held = all.filter(|(_, series)| scope.holds(series.id()));
        held.map(|(index, _)| index).collect()
    }

    /// Runs of the series that have not left are put where they belong now.
    fn settle_waiting(&mut self, index: usize, now: Now) {
        let waits =
            |state: &RunState| matches!(state, RunState::Pending | RunState::Backoff { .. });
        let live = self.series[index].live.iter();
        let slots: Vec<_> = live
            .filter(|slot| self.runs.get(slot).is_some_and(|l| waits(&l.run.state)))
            .copied()
            .collect();
        for slot in slots {
            self.settle(slot, now);
        }
    }

    fn jobs_of(&self, scope: &Scope) -> usize {
        let live = self.runs.values();
        live.filter(|live| live.run.in_flight() && scope.holds(&live.run.id.series))
            .count()
    }
}

fn with_schedule(done: Done, scope: &Scope) -> Done {
    match scope {
        Scope::All => done,
        Scope::Schedule(name) => done.of(name),
    }
}
