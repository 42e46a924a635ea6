//! The heart and a store in virtual time, with a vendor that answers at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nightcall::config::{self, Config};
use nightcall::sched::act::{Act, Acted, By};
use nightcall::sched::fault::{Fault, FaultClass};
use nightcall::sched::id::{JobId, RunKind, SeriesId};
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::run::{Run, RunState};
use nightcall::sched::scheduler::Setup;
use nightcall::sched::step::{
    Answer, Ask, CancelAnswer, Effect, Input, ListAnswer, PollAnswer, Step, SubmitAnswer, Token,
};
use nightcall::sched::time::{Mono, Now, Timestamp};
use nightcall::sched::{Change, Scheduler};
use nightcall::store::{Holder, Lease, Store};
use nightcall::zones::Zones;
use tokio::runtime::Runtime;

/// An occurrence that ran, as far as planning goes: whose, at which instant, due when.
pub(crate) type Ran = (SeriesId, Timestamp, Timestamp);

/// A scheduler with its store, and the clock.
pub(crate) struct Heart {
    runtime: Runtime,
    store: Arc<dyn Store>,
    lease: Lease,
    scheduler: Scheduler,
    now: Now,
    /// Every occurrence that was decided, with why it did not run when people or the calendar wanted that.
    pub(crate) decided: BTreeMap<Ran, Option<SkipReason>>,
    acted: Vec<Acted>,
}

impl Heart {
    /// A first start with this configuration at this time.
    pub(crate) fn start(store: Arc<dyn Store>, config: &Config, wall: Timestamp) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let holder = Holder {
            pid: 4711,
            host: "here".to_owned(),
            started: wall,
        };
        let lease = store.acquire(holder, Duration::from_secs(60), wall);
        let lease = runtime.block_on(lease).unwrap();
        let saved = runtime.block_on(store.load()).unwrap();
        let now = Now {
            wall,
            mono: Mono(0),
        };
        let zones = Zones::load();
        let (scheduler, step) =
            Scheduler::recover(setup(config), saved, &|name| zones.get(name), now);
        let mut heart = Self {
            runtime,
            store,
            lease,
            scheduler,
            now,
            decided: BTreeMap::new(),
            acted: Vec::new(),
        };
        heart.take(step);
        heart
    }

    /// Lives on until this time.
    pub(crate) fn until(&mut self, end: Timestamp) {
        while let Some(next) = self.scheduler.next_wake(self.now).wall
            && next <= end
        {
            self.turn_to(next);
            self.handle(Input::Wake);
        }
        self.turn_to(end);
        // As the daemon does at least once a minute.
        self.handle(Input::Wake);
    }

    /// Somebody does something.
    pub(crate) fn act(&mut self, act: Act) -> Acted {
        self.asked(Input::Act {
            token: Token(1),
            act,
            by: By::new("ana", None),
            known: Vec::new(),
        })
    }

    /// Another configuration takes the place of the present one.
    pub(crate) fn reload(&mut self, config: &Config) -> Acted {
        self.asked(Input::Reload {
            token: Token(1),
            setup: Ok(Box::new(setup(config))),
            by: By::new("ana", None),
        })
    }

    fn asked(&mut self, input: Input) -> Acted {
        self.handle(input);
        self.acted.pop().unwrap()
    }

    fn handle(&mut self, input: Input) {
        let step = self.scheduler.handle(input, self.now);
        self.take(step);
    }

    fn take(&mut self, step: Step) {
        for change in &step.changes {
            self.note(change);
        }
        if !step.changes.is_empty() {
            let commit = self.store.commit(self.lease.clone(), step.changes);
            self.runtime.block_on(commit).unwrap();
        }
        for effect in step.effects {
            match effect {
                Effect::Acted { acted, .. } => self.acted.push(acted),
                Effect::Reply { .. } => {}
                Effect::List { key, .. } => self.handle(Input::Listed {
                    key,
                    answer: ListAnswer::Jobs(Vec::new()),
                    date: None,
                }),
                Effect::Ask { key, ask, .. } => self.handle(Input::Answer {
                    answer: answer(&ask, &key.run.to_string()),
                    key,
                    date: None,
                }),
            }
        }
    }

    fn note(&mut self, change: &Change) {
        match change {
            Change::Run { run, record, .. }
                if run.id.kind == RunKind::Generation(0)
                    && ["planned", "skipped", "caught_up"].contains(&&*record.what) =>
            {
                self.decided.entry(named(run)).or_insert(passed(run));
            }
            Change::Missed(missed) => panic!("nothing is missed here: {missed:?}"),
            _ => {}
        }
    }

    fn turn_to(&mut self, wall: Timestamp) {
        let wall = wall.max(self.now.wall);
        let passed = Duration::try_from(wall.duration_since(self.now.wall)).unwrap();
        self.now = Now {
            wall,
            mono: self.now.mono.plus(passed),
        };
    }
}

fn named(run: &Run) -> Ran {
    (run.id.series.clone(), run.id.instant, run.due)
}

/// Why it passes, when that does not depend on other runs.
fn passed(run: &Run) -> Option<SkipReason> {
    match run.state {
        RunState::Finished(Outcome::Skipped(
            reason @ (SkipReason::Paused | SkipReason::Asked | SkipReason::NoSuchDay),
        )) => Some(reason),
        _ => None,
    }
}

/// Calls of `long` run for ever, all others fail at once.
fn answer(ask: &Ask, run: &str) -> Answer {
    match ask {
        Ask::Submit(submission) if submission.query.contains("long") => {
            Answer::Submit(SubmitAnswer::Accepted(JobId::new(run).unwrap()))
        }
        Ask::Submit(_) => Answer::Submit(SubmitAnswer::Refused(Fault::new(
            FaultClass::Permanent,
            "invalidQuery",
            "it fails every time",
        ))),
        Ask::Poll(..) => Answer::Poll(PollAnswer::Working { unknown: None }),
        Ask::Cancel(..) => Answer::Cancel(CancelAnswer::Noted),
    }
}

fn setup(config: &Config) -> Setup {
    let (on, off): (Vec<_>, Vec<_>) = config.schedules.iter().partition(|s| s.enabled);
    let series = on.iter().flat_map(|s| {
        let each = s.definitions.iter();
        each.map(|d| (Arc::clone(d), Arc::clone(&s.trigger)))
    });
    Setup {
        instance: "test".to_owned(),
        config: config.hash.clone(),
        definitions: series.collect(),
        disabled: off.iter().map(|s| s.name.clone()).collect(),
        connections: config
            .connections
            .iter()
            .map(|c| c.limits.clone())
            .collect(),
        observe: false,
        kept: std::time::Duration::MAX,
        predecessors: nightcall::sched::scheduler::Predecessors::default(),
        generation: 1,
    }
}

/// The configuration in a file.
pub(crate) fn load(path: &Path) -> Config {
    config::load(&[path.to_owned()], &Zones::load()).unwrap_or_else(|problems| panic!("{problems}"))
}
