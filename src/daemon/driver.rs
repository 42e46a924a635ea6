//! The one loop: wait, take in what happened, commit, then act. What happens during a commit is taken in meanwhile, as
//! the next step.
//!
//! Invariant: an effect leaves only after the changes of its step are durable and while the lease is trusted. A commit
//! that fails means that its step and the next never happened: the scheduler is dropped and made anew from the store.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{interval, sleep, timeout};
use tracing::{error, info, warn};

use super::asked::Alone;
use super::chores::Bell;
use super::doctor::Doctor;
use super::handle::{Planned, Status, Wanted};
use super::inbox::{Inbox, Taken};
use super::lease::LeaseKeeper;
use super::observe::Observer;
use super::outbox::Channel;
use super::patience::{BEAT, patiently};
use super::perform::Performer;
use super::{DaemonError, Plan, measure};
use crate::sched::act::{Act, Acted};
use crate::sched::id::{RunId, SeriesId};
use crate::sched::scheduler::{Predecessors, Scheduler, Setup};
use crate::sched::step::{Change, Effect, Input, Step};
use crate::sched::time::{Mono, TimeRange, Timestamp, between};
use crate::store::{RunQuery, Store, StoreError};
use crate::systemd::Notifier;

/// How things stand is shown at most so often.
const REPORT: Duration = Duration::from_millis(200);
/// For so long what happens during a commit is taken in; a store that takes its time is waited for.
const MEANWHILE: Duration = Duration::from_secs(1);
/// So long an exchange of the configuration takes for each series, on a slow machine.
const EXCHANGE: Duration = Duration::from_micros(20);
/// How long a stop waits for answers that are under way.
const LAST_ANSWERS: Duration = Duration::from_secs(10);
/// So many runs are looked at of a series that others wait for.
const LOOKED_AT: usize = 100_000;
/// The first pause before an unusable store is tried again, and the longest.
const STORE_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Everything that the loop works with.
pub(super) struct Driver {
    pub(super) plan: Plan,
    pub(super) doctor: Arc<Doctor>,
    pub(super) instance: String,
    pub(super) store: Arc<dyn Store>,
    pub(super) inbox: Inbox,
    pub(super) lease: LeaseKeeper,
    pub(super) performer: Performer,
    pub(super) observer: Observer,
    /// What is planned now.
    pub(super) planned: watch::Sender<Planned>,
    /// Whom the notices go to, as the configuration has it now.
    pub(super) channels: watch::Sender<Vec<Channel>>,
    pub(super) status: watch::Sender<Arc<Status>>,
    pub(super) bell: Bell,
    pub(super) systemd: Notifier,
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
            let since = self.inbox.clock.now().mono;
            match self.live(generation).await {
                Ok(()) => break Ok(()),
                Err(StoreError::Unavailable(why)) => {
                    // A store that takes a probe and then fails again is not asked each second for ever.
                    if self.inbox.clock.now().mono.since(since) > longest {
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
        let mut setup = self.plan.setup(self.instance.clone(), generation);
        let zones = Arc::clone(&self.plan.zones);
        let now = self.inbox.clock.now();
        let stored = saved.mark;
        let decided = stored.map_or(now.wall, |mark| mark.min(now.wall));
        setup.predecessors = self.predecessors(&setup, decided).await?;
        let (mut scheduler, step) = Scheduler::recover(setup, saved, zones.as_ref(), now);
        self.finish(&scheduler, step).await?;
        let series = scheduler.snapshot(now).series;
        self.systemd.ready(&format!("{series} series are planned"));
        info!(series, "ready");
        self.doctor.begin(stored, now.wall);
        let mut taken = Taken::default();
        loop {
            if taken.is_empty() {
                let longest = if self.unreported {
                    REPORT
                } else {
                    Duration::MAX
                };
                let Some(next) = self.inbox.next(&scheduler, longest).await else {
                    return self.drain(scheduler).await;
                };
                self.inbox.take(&mut scheduler, next, &mut taken);
            }
            let Taken {
                step, heard, alone, ..
            } = std::mem::take(&mut taken);
            // What comes behind an act waits for it.
            let meanwhile = match alone {
                None => Some((&mut scheduler, &mut taken)),
                Some(_) => None,
            };
            let finished = match self.commit(step.changes, meanwhile).await {
                Ok(changes) => self.release(&scheduler, changes, step.effects).await,
                Err(error) => Err(error),
            };
            if let Err(StoreError::Unavailable(_)) = finished {
                heard.iter().chain(&taken.heard).for_each(undecided);
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
        // Whoever changed how things stand looks at once.
        let shown = !matches!(*wanted, Wanted::Act(Act::Again(_) | Act::Cancel { .. }));
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
            Wanted::Reload(Ok((plan, clients))) => {
                let plan = Plan {
                    observe: self.plan.observe,
                    ..plan
                };
                self.let_due_pass(scheduler, plan.definitions.len()).await?;
                let mut setup = Box::new(plan.setup(self.instance.clone(), generation));
                let now = self.inbox.clock.now().wall;
                setup.predecessors = self.predecessors(&setup, now).await?;
                let setup = Ok(setup);
                new = Some((plan, clients));
                Input::Reload { token, setup, by }
            }
            Wanted::Reload(Err(problems)) => {
                let setup = Err(problems);
                Input::Reload { token, setup, by }
            }
        };
        let now = self.inbox.clock.now();
        let step = scheduler.handle(input, now);
        let done = |effect: &Effect| matches!(effect, Effect::Acted { token: of, acted: Acted::Done { .. } } if *of == token);
        let new = new.filter(|_| step.effects.iter().any(done));
        // A commit that fails leaves the former configuration, from which all is made anew.
        let changes = self.commit(step.changes, None).await?;
        if let Some((plan, clients)) = new {
            self.doctor.exchange(Arc::clone(&plan.checks));
            self.planned
                .send_replace(Arc::new(plan.definitions.clone()));
            let former = std::mem::replace(&mut self.plan, plan);
            // It may be so much that the loop does not wait for that.
            drop(spawn_blocking(move || drop(former)));
            self.performer.exchange(clients);
            self.channels.send_replace(self.plan.told());
            self.observer.measures.expect(&self.plan);
        }
        self.reported = self.reported.filter(|_| !shown);
        self.release(scheduler, changes, step.effects).await
    }

    /// What falls due while the configuration would be exchanged leaves before that, instead of waiting for its commit.
    async fn let_due_pass(
        &mut self,
        scheduler: &mut Scheduler,
        series: usize,
    ) -> Result<(), StoreError> {
        let takes = EXCHANGE.saturating_mul(u32::try_from(series).unwrap_or(u32::MAX));
        let takes = takes.min(MEANWHILE);
        let now = self.inbox.clock.now();
        let wake = scheduler.next_wake(now).wall;
        let Some(due) = wake.filter(|at| between(now.wall, *at) <= takes) else {
            return Ok(());
        };
        self.inbox.clock.shows(due).await;
        let step = scheduler.handle(Input::Wake, self.inbox.clock.now());
        self.finish(scheduler, step).await
    }

    /// What the store knows of the series that others wait for; without any it is not asked.
    async fn predecessors(&self, setup: &Setup, at: Timestamp) -> Result<Predecessors, StoreError> {
        let mut known = Predecessors::default();
        for (series, since) in setup.predecessors_since(at) {
            let runs = self.store.runs(since_then(&series, since));
            let runs = patiently(&self.systemd, &self.status, runs).await?;
            known.runs.extend(runs);
            let range = TimeRange {
                after: since,
                upto: Timestamp::MAX,
            };
            let missed = self.store.missed(Some(series), range);
            let missed = patiently(&self.systemd, &self.status, missed).await?;
            known.missed.extend(missed);
        }
        Ok(known)
    }

    /// Commits a step, then acts on it.
    async fn finish(&mut self, scheduler: &Scheduler, step: Step) -> Result<(), StoreError> {
        let changes = self.commit(step.changes, None).await?;
        self.release(scheduler, changes, step.effects).await
    }

    /// Makes changes durable and gives them back. What happens until then is taken in, where there is a place for it.
    async fn commit(
        &mut self,
        changes: Vec<Change>,
        meanwhile: Option<(&mut Scheduler, &mut Taken)>,
    ) -> Result<Vec<Change>, StoreError> {
        self.keep_lease().await?;
        if changes.is_empty() {
            return Ok(changes);
        }
        let commit = self.store.commit(self.lease.lease(), changes);
        let commit = self.observer.measures.commit(commit);
        let commit = patiently(&self.systemd, &self.status, commit);
        tokio::pin!(commit);
        if let Some((scheduler, taken)) = meanwhile {
            tokio::select! {
                biased;
                committed = &mut commit => return committed,
                _ = timeout(MEANWHILE, self.inbox.listen(scheduler, taken)) => {}
            }
        }
        commit.await
    }

    /// What is durable is told and answered; then what leaves, leaves, while the lease is trusted.
    async fn release(
        &mut self,
        scheduler: &Scheduler,
        changes: Vec<Change>,
        effects: Vec<Effect>,
    ) -> Result<(), StoreError> {
        let slow = !changes.is_empty();
        let late = lateness(&changes);
        self.observer.observe(changes);
        let mut leaving = Vec::new();
        for effect in effects {
            match effect {
                Effect::Reply { token, fired } => self.inbox.asked.fired(token, fired),
                Effect::Acted { token, acted } => self.inbox.asked.acted(token, acted),
                effect => leaving.push(effect),
            }
        }
        if slow {
            // The disk may have taken its time.
            self.keep_lease().await?;
        }
        for effect in leaving {
            self.performer.perform(effect);
        }
        self.report(scheduler, late);
        Ok(())
    }

    async fn keep_lease(&mut self) -> Result<(), StoreError> {
        let now = self.inbox.clock.now();
        patiently(&self.systemd, &self.status, self.lease.keep(now)).await
    }

    /// Feeds the watchdog and shows how things stand.
    fn report(&mut self, scheduler: &Scheduler, late: Duration) {
        let now = self.inbox.clock.now();
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
                Some(input) = self.inbox.inputs.recv() => {
                    let step = scheduler.handle(input, self.inbox.clock.now());
                    self.finish(&scheduler, step).await?;
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
            self.inbox.asked.give_up(&why);
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
                () = self.inbox.stop.cancelled() => return false,
                () = &mut wake => return true,
                _ = beat.tick() => self.systemd.alive(),
                Some(input) = self.inbox.inputs.recv() => undecided(&input),
                Some(request) = self.inbox.requests.recv() => {
                    let _ = self.inbox.asked.next(request);
                    self.inbox.asked.give_up(why);
                }
            }
        }
    }

    /// A commit of nothing that really writes.
    async fn probe(&mut self) -> Result<(), StoreError> {
        let now = self.inbox.clock.now();
        patiently(&self.systemd, &self.status, self.lease.keep(now)).await?;
        let probe = self.store.commit(self.lease.lease(), Vec::new());
        let written = patiently(&self.systemd, &self.status, probe).await;
        written.map(drop)
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

/// The newest runs of a series since then.
fn since_then(series: &SeriesId, since: Timestamp) -> RunQuery {
    RunQuery {
        schedule: Some(series.schedule.clone()),
        set: Some(series.set.clone()),
        since: Some(since),
        limit: Some(LOOKED_AT),
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
        Change::Run { run, record, at } => measure::lateness(run, record, *at),
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
