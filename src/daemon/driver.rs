//! The one loop: wait, take in what happened, commit, then act.
//!
//! Invariant: an effect leaves only after the changes of its step are durable and while the lease is trusted. A commit
//! that fails means that the step never happened: the scheduler is dropped and made anew from the store.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::asked::{Alone, Asked, Next};
use super::chores::Bell;
use super::clock::Clock;
use super::handle::{Request, Status, Wanted};
use super::lease::LeaseKeeper;
use super::observe::Observer;
use super::patience::{BEAT, patiently};
use super::perform::Performer;
use super::{Clients, DaemonError, Plan};
use crate::sched::act::Acted;
use crate::sched::id::RunId;
use crate::sched::run::Origin;
use crate::sched::scheduler::Scheduler;
use crate::sched::step::{Change, Effect, Input, Step};
use crate::sched::time::{Mono, Now, Timestamp, between};
use crate::store::{RunQuery, Store, StoreError};
use crate::systemd::Notifier;

/// The driver never sleeps longer, so that a stepped clock is noticed.
const NAP: Duration = Duration::from_secs(1);
/// How things stand is shown at most so often.
const REPORT: Duration = Duration::from_millis(200);
/// At most so many inputs are taken in before they are committed.
pub(super) const GROUP: usize = 4096;
/// How long a stop waits for answers that are under way.
const LAST_ANSWERS: Duration = Duration::from_secs(10);
/// The first pause before an unusable store is tried again, and the longest.
const STORE_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Everything that the loop works with.
pub(super) struct Driver {
    pub(super) plan: Plan,
    pub(super) instance: String,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lease: LeaseKeeper,
    pub(super) performer: Performer,
    pub(super) observer: Observer,
    pub(super) inputs: mpsc::Receiver<Input>,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) status: watch::Sender<Arc<Status>>,
    pub(super) bell: Bell,
    pub(super) systemd: Notifier,
    pub(super) stop: CancellationToken,
    pub(super) asked: Asked,
    /// Something happened since the last report; it is made up for soon.
    pub(super) unreported: bool,
    /// When it was made.
    pub(super) reported: Option<Mono>,
}

impl Driver {
    /// Runs until it is told to stop, or until it must not go on.
    pub(super) async fn run(mut self) -> Result<(), DaemonError> {
        let (first, longest) = STORE_PAUSE;
        let mut generation = 0;
        let mut pause = first;
        let ended = loop {
            generation += 1;
            let since = self.clock.now().mono;
            match self.live(generation).await {
                Ok(()) => break Ok(()),
                Err(StoreError::Unavailable(why)) => {
                    // A store that takes a probe and then fails again is not asked each second for ever.
                    if self.clock.now().mono.since(since) > longest {
                        pause = first;
                    }
                    if !self.wait_for_store(why, &mut pause).await? {
                        break Ok(());
                    }
                }
                Err(fatal) => break Err(DaemonError::Store(fatal)),
            }
        };
        self.lease.release().await;
        ended
    }

    /// One scheduler's life: from what the store knows to a stop or a failed commit.
    async fn live(&mut self, generation: u32) -> Result<(), StoreError> {
        let saved = patiently(&self.systemd, &self.status, self.store.load()).await?;
        let setup = self.plan.setup(self.instance.clone(), generation);
        let zones = Arc::clone(&self.plan.zones);
        let now = self.clock.now();
        let (mut scheduler, step) = Scheduler::recover(setup, saved, zones.as_ref(), now);
        self.finish(&scheduler, step, now).await?;
        let series = scheduler.snapshot(now).series;
        self.systemd.ready(&format!("{series} series are planned"));
        info!(series, "ready");
        loop {
            let Some(mut next) = self.next(&scheduler).await else {
                return self.drain(scheduler).await;
            };
            let now = self.clock.now();
            let mut step = Step::default();
            let mut heard = Vec::new();
            let mut alone = None;
            for taken in 1..=GROUP {
                match next {
                    Next::Input(input) => {
                        if let Input::Answer { .. } = &input {
                            heard.push(input.clone());
                        }
                        let Step { changes, effects } = scheduler.handle(input, now);
                        step.changes.extend(changes);
                        step.effects.extend(effects);
                    }
                    Next::Alone(act) => {
                        alone = Some(act);
                        break;
                    }
                }
                if taken == GROUP {
                    break;
                }
                match self.waiting() {
                    Some(more) => next = more,
                    None => break,
                }
            }
            let finished = self.finish(&scheduler, step, now).await;
            if let Err(StoreError::Unavailable(_)) = finished {
                heard.iter().for_each(undecided);
            }
            finished?;
            if let Some(act) = alone {
                self.act(&mut scheduler, act, generation).await?;
            }
        }
    }

    /// An act sees everything before it on record, and is committed by itself.
    async fn act(
        &mut self,
        scheduler: &mut Scheduler,
        Alone { token, wanted, by }: Alone,
        generation: u32,
    ) -> Result<(), StoreError> {
        let mut new = None;
        let input = match *wanted {
            Wanted::Act(act) => {
                let known = match act.run() {
                    Some(run) => {
                        let read = self.store.runs(generations(run));
                        patiently(&self.systemd, &self.status, read).await?
                    }
                    None => Vec::new(),
                };
                Input::Act {
                    token,
                    act,
                    by,
                    known,
                }
            }
            Wanted::Reload(plan, clients) => {
                let plan = Plan {
                    observe: self.plan.observe,
                    ..plan
                };
                let setup = Box::new(plan.setup(self.instance.clone(), generation));
                new = Some((plan, clients));
                Input::Reload { token, setup, by }
            }
        };
        let now = self.clock.now();
        let step = scheduler.handle(input, now);
        let done = |effect: &Effect| matches!(effect, Effect::Acted { token: of, acted: Acted::Done { .. } } if *of == token);
        let new = new.filter(|_| step.effects.iter().any(done));
        self.finish_with(scheduler, step, new, now).await
    }

    /// What happens next; `None` when it is time to stop.
    async fn next(&mut self, scheduler: &Scheduler) -> Option<Next> {
        let now = self.clock.now();
        let wake = scheduler.next_wake(now);
        let mut pause = wake.mono.map_or(NAP, |at| at.since(now.mono).min(NAP));
        if self.unreported {
            pause = pause.min(REPORT);
        }
        let clock = Arc::clone(&self.clock);
        let due = async {
            // One that is far away is looked for again after the nap.
            match wake.wall.filter(|at| between(now.wall, *at) <= NAP) {
                Some(at) => clock.shows(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            input = self.inputs.recv() => input.map(Next::Input),
            Some(request) = self.requests.recv() => Some(self.asked.next(request)),
            () = due => Some(Next::Input(Input::Wake)),
            () = sleep(pause) => Some(Next::Input(Input::Wake)),
        }
    }

    /// What has happened meanwhile.
    fn waiting(&mut self) -> Option<Next> {
        let input = self.inputs.try_recv().ok();
        input.map(Next::Input).or_else(|| {
            let request = self.requests.try_recv().ok()?;
            Some(self.asked.next(request))
        })
    }

    /// Commits a step, then acts on it.
    async fn finish(
        &mut self,
        scheduler: &Scheduler,
        step: Step,
        now: Now,
    ) -> Result<(), StoreError> {
        self.finish_with(scheduler, step, None, now).await
    }

    /// Commits a step; then another configuration is in force when it brought one, and its effects are released. A
    /// commit that fails leaves the former one, from which all is made anew.
    async fn finish_with(
        &mut self,
        scheduler: &Scheduler,
        step: Step,
        new: Option<(Plan, Clients)>,
        now: Now,
    ) -> Result<(), StoreError> {
        patiently(&self.systemd, &self.status, self.lease.keep(now)).await?;
        let slow = !step.changes.is_empty();
        if slow {
            let commit = self.store.commit(self.lease.lease(), step.changes.clone());
            patiently(&self.systemd, &self.status, commit).await?;
        }
        // It is durable: what is in force, what is told and what is answered no longer depend on the lease.
        if let Some((plan, clients)) = new {
            self.plan = plan;
            self.performer.exchange(clients);
        }
        let late = lateness(&step.changes);
        self.observer.observe(step.changes);
        let mut leaving = Vec::new();
        for effect in step.effects {
            match effect {
                Effect::Reply { token, fired } => self.asked.fired(token, fired),
                Effect::Acted { token, acted } => self.asked.acted(token, acted),
                effect => leaving.push(effect),
            }
        }
        if slow {
            // The disk may have taken its time: what leaves, leaves while the lease is trusted.
            let now = self.clock.now();
            patiently(&self.systemd, &self.status, self.lease.keep(now)).await?;
        }
        for effect in leaving {
            self.performer.perform(effect);
        }
        self.report(scheduler, late, now);
        Ok(())
    }

    /// Feeds the watchdog and shows how things stand.
    fn report(&mut self, scheduler: &Scheduler, late: Duration, now: Now) {
        let former = self.status.borrow().clone();
        let quiet = self.reported.is_some_and(|at| now.mono.since(at) < REPORT);
        // The first one shows that the daemon is ready.
        let shown = former.scheduler.mark.is_some();
        self.unreported = shown && quiet && former.store.is_none() && late <= former.late;
        if self.unreported {
            return;
        }
        self.reported = Some(now.mono);
        self.systemd.alive();
        let same_minute = former.at.as_second() / 60 == now.wall.as_second() / 60;
        let status = Status {
            at: now.wall,
            store: None,
            late: if same_minute {
                late.max(former.late)
            } else {
                late
            },
            bell: self.bell.rang(),
            config: Arc::clone(&self.plan.config),
            scheduler: scheduler.snapshot(now),
            ..(*former).clone()
        };
        let said = status.complaints().first().cloned();
        self.systemd
            .status(&said.unwrap_or_else(|| summary(&status)));
        self.status.send_replace(Arc::new(status));
    }

    /// Stops in order: nothing new, but answers that are under way are still stored.
    async fn drain(&mut self, mut scheduler: Scheduler) -> Result<(), StoreError> {
        self.systemd
            .stopping("stopping: waiting for answers that are under way");
        scheduler.stop();
        let give_up = sleep(LAST_ANSWERS);
        tokio::pin!(give_up);
        while scheduler.under_way() > 0 {
            tokio::select! {
                () = &mut give_up => break,
                Some(input) = self.inputs.recv() => {
                    let now = self.clock.now();
                    let step = scheduler.handle(input, now);
                    self.finish(&scheduler, step, now).await?;
                }
            }
        }
        let jobs = scheduler.jobs();
        info!(
            jobs,
            "stopped; jobs at the vendor go on and are adopted at the next start"
        );
        Ok(())
    }

    /// The store cannot be written: nothing is submitted, cancelled or decided until a commit succeeds. `false` when
    /// it is time to stop.
    async fn wait_for_store(
        &mut self,
        why: String,
        pause: &mut Duration,
    ) -> Result<bool, DaemonError> {
        let mut why = StoreError::Unavailable(why);
        let mut told = None;
        loop {
            // Once for each cause: a disk that was full may be broken by now.
            if told.as_ref() != Some(&why) {
                error!("{why}; nothing is submitted or cancelled until it can");
                told = Some(why.clone());
            }
            self.asked.give_up(&why);
            self.status.send_modify(|status| {
                let mut now = (**status).clone();
                now.store = Some(why.to_string());
                *status = Arc::new(now);
            });
            self.systemd.status(&why.to_string());
            if !self.rest(*pause, &why).await {
                return Ok(false);
            }
            *pause = pause.saturating_mul(2).min(STORE_PAUSE.1);
            match self.probe().await {
                Ok(()) => {
                    info!("the store can be used again");
                    return Ok(true);
                }
                Err(again @ StoreError::Unavailable(_)) => why = again,
                Err(fatal) => return Err(DaemonError::Store(fatal)),
            }
        }
    }

    /// Waits before the store is tried again, alive and for all to hear. `false` when it is time to stop.
    async fn rest(&mut self, pause: Duration, why: &StoreError) -> bool {
        let wake = sleep(pause);
        tokio::pin!(wake);
        let mut beat = interval(BEAT);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return false,
                () = &mut wake => return true,
                _ = beat.tick() => self.systemd.alive(),
                Some(input) = self.inputs.recv() => undecided(&input),
                Some(request) = self.requests.recv() => {
                    let _ = self.asked.next(request);
                    self.asked.give_up(why);
                }
            }
        }
    }

    /// A commit of nothing that really writes.
    async fn probe(&mut self) -> Result<(), StoreError> {
        let now = self.clock.now();
        patiently(&self.systemd, &self.status, self.lease.keep(now)).await?;
        let probe = self.store.commit(self.lease.lease(), Vec::new());
        patiently(&self.systemd, &self.status, probe).await
    }
}

/// All runs of the series and instant of a run.
fn generations(run: &RunId) -> RunQuery {
    RunQuery {
        schedule: Some(run.series.schedule.clone()),
        set: Some(run.series.set.clone()),
        since: Some(run.instant),
        until: Some(run.instant),
        ..RunQuery::default()
    }
}

/// An answer that came while the store could not be written: reported, decided after the recovery by asking again.
fn undecided(input: &Input) {
    if let Input::Answer { key, answer, .. } = input {
        warn!(run = %key.run, answer = ?answer, "heard while the store cannot be used; asked again later");
    }
}

/// How late the occurrences of a step were decided, at most.
fn lateness(changes: &[Change]) -> Duration {
    let planned = changes.iter().filter_map(|change| match change {
        Change::Run { run, record, at }
            if run.origin == Origin::Planned && record.what == "planned" =>
        {
            Some(between(run.id.instant, at.wall))
        }
        _ => None,
    });
    planned.max().unwrap_or_default()
}

fn summary(status: &Status) -> String {
    let live: usize = status.scheduler.live.values().sum();
    let next = status.scheduler.next.first();
    let next = next.map_or_else(
        || "nothing planned".to_owned(),
        |(series, at): &(_, Timestamp)| format!("next {series} at {at}"),
    );
    format!(
        "{} series, {live} live runs, {next}",
        status.scheduler.series
    )
}
