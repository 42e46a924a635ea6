//! Runs by hand: judged by overlap like any run, and never made twice for one key of a client.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Scheduler;
use crate::sched::call::Parameters;
use crate::sched::id::{ClientKey, RunId, RunKind, ScheduleName, SetName};
use crate::sched::outcome::SkipReason;
use crate::sched::policy::OverlapPolicy;
use crate::sched::policy::overlap::Verdict;
use crate::sched::run::{Origin, Run};
use crate::sched::step::{Effect, FireRequest, Fired, Token};
use crate::sched::time::{Now, Timestamp};
use crate::sched::trigger::Fold;

/// So many keys of clients are remembered.
const KEYS: usize = 10_000;

/// Why something that was asked is not done, and what to do about it.
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) hint: String,
}

pub(super) fn refuse<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        message: message.into(),
        hint: hint.into(),
    })
}

/// How a run that somebody asks for is judged.
#[derive(Clone, Copy)]
pub(super) struct Wish {
    /// Waits behind a busy series.
    pub(super) queue: bool,
    /// Runs beside others.
    pub(super) anyway: bool,
    /// Runs although the schedule is paused.
    pub(super) even_paused: bool,
}

impl Scheduler {
    /// Answers a request by hand; the answer leaves after the run is durable.
    pub(super) fn fire(&mut self, token: Token, request: FireRequest, now: Now) {
        let fired = match self.try_fire(request, now) {
            Ok(run) => Fired::Run(run),
            Err(Refusal { message, hint }) => Fired::Refused { message, hint },
        };
        self.push(Effect::Reply { token, fired });
    }

    fn try_fire(&mut self, mut request: FireRequest, now: Now) -> Result<RunId, Refusal> {
        if let Some(run) = self.manual.get(&request.key) {
            return Ok(run.clone());
        }
        let index = self.series_asked(&request)?;
        let wish = Wish {
            queue: request.queue,
            anyway: request.anyway,
            even_paused: request.even_paused,
        };
        let overrides = std::mem::take(&mut request.overrides);
        let mut run = self.manual_run(index, &request, overrides, now)?;
        // Last, since it may stop others.
        run.beside = self.judge(index, wish, now)?;
        run.even_paused = wish.even_paused;
        let id = run.id.clone();
        self.remember_identity(&id);
        self.plan_run(run, None, now);
        Ok(id)
    }

    /// The series of a schedule, with their sets; refused when there is none.
    pub(super) fn sets_of(&self, name: &ScheduleName) -> Result<Vec<(usize, &SetName)>, Refusal> {
        let sets: Vec<(usize, &SetName)> = self
            .series
            .iter()
            .enumerate()
            .filter(|(_, s)| s.id().schedule == *name)
            // A series that was removed is kept for its past only.
            .filter(|(index, s)| self.series_by_id.get(s.id()) == Some(index))
            .map(|(index, s)| (index, &s.id().set))
            .collect();
        if sets.is_empty() && self.disabled.contains(name) {
            return refuse(
                format!("schedule {name} is switched off"),
                "set `enabled = true` in its table, then `nightcall reload`",
            );
        }
        if sets.is_empty() {
            return refuse(
                format!("there is no schedule called {name}"),
                "`nightcall next` lists the schedules; a new one is known after `nightcall reload`",
            );
        }
        Ok(sets)
    }

    fn series_asked(&self, request: &FireRequest) -> Result<usize, Refusal> {
        let name = &request.schedule;
        let sets = self.sets_of(name)?;
        match (&request.set, sets.as_slice()) {
            (None, [(index, _)]) => Ok(*index),
            (None, _) => refuse(
                format!(
                    "schedule {name} has several parameter sets: {}",
                    listed(&sets)
                ),
                format!(
                    "name one, as in {name}/{}",
                    sets.first().map_or("default", |(_, set)| set.as_str())
                ),
            ),
            (Some(set), sets) => one_set(name, sets, set),
        }
    }

    /// Whether anything of the series may be submitted now or later.
    pub(super) fn may_start(&self, index: usize, even_paused: bool) -> Result<(), Refusal> {
        if self.observe {
            return refuse(
                "the daemon only observes",
                "start it without --observe to submit anything",
            );
        }
        if self.clock.doubtful() {
            return refuse(
                "the clock of this machine is in doubt, so nothing is decided",
                "set the clock; `nightcall status` says when it is believed again",
            );
        }
        if self.series[index].blocked.is_some() {
            return refuse(
                "the series is blocked after a state that must not occur",
                "look at `nightcall why`; `nightcall resolve` lets it go on",
            );
        }
        if self.series[index].paused && !even_paused {
            return refuse(
                "the schedule is paused",
                "`nightcall resume` ends the pause; --even-paused runs it all the same",
            );
        }
        Ok(())
    }

    /// Overlap is judged like that of any run; gives back whether it may run beside others.
    pub(super) fn judge(&mut self, index: usize, wish: Wish, now: Now) -> Result<bool, Refusal> {
        self.may_start(index, wish.even_paused)?;
        if wish.anyway {
            return Ok(true);
        }
        let policy = self.series[index].definition.policies.overlap;
        match policy.decide(self.busy(index)) {
            Verdict::Run => Ok(policy == OverlapPolicy::AllowAll),
            Verdict::CancelOthers => {
                self.cancel_others(index, now);
                Ok(false)
            }
            Verdict::Wait => Ok(false),
            Verdict::Skip(_) if wish.queue => Ok(false),
            Verdict::Skip(SkipReason::PredecessorUnknown) => refuse(
                "the last run of the series is lost and its job may live",
                "look at the job in CARTO first; --anyway runs beside it",
            ),
            Verdict::Skip(_) => refuse(
                "the series is busy",
                "--queue waits for its turn, --anyway runs beside the live run",
            ),
        }
    }

    fn manual_run(
        &self,
        index: usize,
        request: &FireRequest,
        overrides: Map<String, Value>,
        now: Now,
    ) -> Result<Run, Refusal> {
        let series = &self.series[index];
        let definition = std::sync::Arc::clone(&series.definition);
        let instant = whole_seconds(now.wall);
        let asked = instant.to_zoned(series.trigger.zone().clone()).datetime();
        let civil = match request.as_of {
            Some(date) => date.to_datetime(asked.time()),
            None => asked,
        };
        let id = RunId {
            series: definition.series.clone(),
            instant,
            kind: RunKind::Manual(request.key.clone()),
        };
        let mut run = Run::pending(
            id,
            (civil, Fold::First, series.trigger.zone()),
            now.wall,
            Origin::Manual,
            definition,
            now.wall,
            Arc::clone(&self.config),
        );
        // What a client says is taken as it is: it knows for which date it asks.
        run.parameters = overridden(&run.parameters, overrides)?;
        Ok(run)
    }

    /// Remembers a run that somebody asked for, so that asking again finds it, and its job is known for its own.
    pub(super) fn remember_identity(&mut self, run: &RunId) {
        let key = match &run.kind {
            RunKind::Manual(key) => key,
            RunKind::Generation(0) => return,
            RunKind::Generation(_) => {
                let later = &mut self.decided.later;
                if later.len() >= KEYS {
                    let oldest = later.iter().min_by_key(|run| run.instant).cloned();
                    if let Some(oldest) = oldest {
                        later.remove(&oldest);
                    }
                }
                later.insert(run.clone());
                return;
            }
        };
        if self.manual.len() >= KEYS {
            let oldest: Option<ClientKey> = self
                .manual
                .iter()
                .min_by_key(|(_, run)| run.instant)
                .map(|(key, _)| key.clone());
            if let Some(key) = oldest {
                self.manual.remove(&key);
            }
        }
        self.manual.insert(key.clone(), run.clone());
    }
}

/// The series of one set of a schedule.
pub(super) fn one_set(
    name: &ScheduleName,
    sets: &[(usize, &SetName)],
    set: &SetName,
) -> Result<usize, Refusal> {
    match sets.iter().find(|(_, s)| *s == set) {
        Some((index, _)) => Ok(*index),
        None => refuse(
            format!("schedule {name} has no parameter set called {set}"),
            format!("it has: {}", listed(sets)),
        ),
    }
}

fn listed(sets: &[(usize, &SetName)]) -> String {
    let names: Vec<&str> = sets.iter().map(|(_, set)| set.as_str()).collect();
    names.join(", ")
}

/// Ids show whole seconds: nobody fires one series twice in a second with one key.
fn whole_seconds(t: Timestamp) -> Timestamp {
    Timestamp::from_second(t.as_second()).unwrap_or(t)
}

/// The parameters with the client's values in place of those that were rendered.
fn overridden(
    parameters: &Arc<Parameters>,
    overrides: Map<String, Value>,
) -> Result<Arc<Parameters>, Refusal> {
    if overrides.is_empty() {
        return Ok(Arc::clone(parameters));
    }
    let Parameters::Named(named) = &**parameters else {
        return refuse(
            "the parameters of this schedule have no names",
            "only schedules with named parameters take --param",
        );
    };
    let mut named = named.clone();
    for (name, value) in overrides {
        match named.get_mut(&name) {
            Some(slot) => *slot = value,
            None => {
                let known: Vec<&str> = named.keys().map(String::as_str).collect();
                return refuse(
                    format!("there is no parameter called {name}"),
                    format!("the schedule has: {}", known.join(", ")),
                );
            }
        }
    }
    Ok(Arc::new(Parameters::Named(named)))
}
