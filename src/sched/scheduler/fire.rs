//! Runs by hand: judged by overlap like any run, and never made twice for one key of a client.

use serde_json::{Map, Value};

use super::Scheduler;
use crate::sched::call::Parameters;
use crate::sched::id::{ClientKey, RunId, RunKind, SetName};
use crate::sched::outcome::SkipReason;
use crate::sched::policy::OverlapPolicy;
use crate::sched::policy::overlap::Verdict;
use crate::sched::run::{Origin, Run};
use crate::sched::step::{Effect, FireRequest, Fired, Token};
use crate::sched::time::{Now, Timestamp};
use crate::sched::trigger::Fold;

/// So many keys of clients are remembered.
const KEYS: usize = 10_000;

struct Refusal {
    message: String,
    hint: String,
}

fn refuse<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        message: message.into(),
        hint: hint.into(),
    })
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
        let overrides = std::mem::take(&mut request.overrides);
        let mut run = self.manual_run(index, &request, overrides, now)?;
        // Last, since it may stop others.
        run.beside = self.judge(index, &request, now)?;
        let id = run.id.clone();
        self.remember_key(&id);
        self.plan_run(run, now);
        Ok(id)
    }

    fn series_asked(&self, request: &FireRequest) -> Result<usize, Refusal> {
        let sets: Vec<(usize, &SetName)> = self
            .series
            .iter()
            .enumerate()
            // A series that was removed is kept for its past only.
            .filter(|(index, s)| self.series_by_id.get(s.id()) == Some(index))
            .filter(|(_, s)| s.id().schedule == request.schedule)
            .map(|(index, s)| (index, &s.id().set))
            .collect();
        let name = &request.schedule;
        if sets.is_empty() && self.disabled.contains(name) {
            return refuse(
                format!("schedule {name} is switched off"),
                "set `enabled = true` in its table and restart the daemon",
            );
        }
        let names: Vec<&str> = sets.iter().map(|(_, set)| set.as_str()).collect();
        let listed = names.join(", ");
        match (&request.set, sets.as_slice()) {
            (_, []) => refuse(
                format!("there is no schedule called {name}"),
                "`nightcall next` lists the schedules; a new one is known after a restart of the daemon",
            ),
            (None, [(index, _)]) => Ok(*index),
            (None, _) => refuse(
                format!("schedule {name} has several parameter sets: {listed}"),
                format!("name one, as in {name}/{}", names[0]),
            ),
            (Some(set), sets) => match sets.iter().find(|(_, s)| *s == set) {
                Some((index, _)) => Ok(*index),
                None => refuse(
                    format!("schedule {name} has no parameter set called {set}"),
                    format!("it has: {listed}"),
                ),
            },
        }
    }

    /// Overlap is judged like that of any run; gives back whether it may run beside others.
    fn judge(&mut self, index: usize, request: &FireRequest, now: Now) -> Result<bool, Refusal> {
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
                "look at `nightcall why` and restart the daemon",
            );
        }
        if request.anyway {
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
            Verdict::Skip(_) if request.queue => Ok(false),
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
        let parameters = overridden(&definition.parameters, overrides)?;
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
            (civil, Fold::First),
            now.wall,
            Origin::Manual,
            definition,
            now.wall,
            std::sync::Arc::clone(&self.config),
        );
        run.parameters = parameters;
        Ok(run)
    }

    /// Remembers the key of a run by hand, so that asking again finds it.
    pub(super) fn remember_key(&mut self, run: &RunId) {
        let RunKind::Manual(key) = &run.kind else {
            return;
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

/// Ids show whole seconds: nobody fires one series twice in a second with one key.
fn whole_seconds(t: Timestamp) -> Timestamp {
    Timestamp::from_second(t.as_second()).unwrap_or(t)
}

/// The parameters with the client's values in place of the definition's.
fn overridden(
    parameters: &Parameters,
    overrides: Map<String, Value>,
) -> Result<Parameters, Refusal> {
    if overrides.is_empty() {
        return Ok(parameters.clone());
    }
    let Parameters::Named(named) = parameters else {
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
    Ok(Parameters::Named(named))
}
