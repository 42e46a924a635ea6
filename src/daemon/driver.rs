//! The one loop: wait, take in what happened, commit, then act.
//!
//! Invariant: an effect leaves only after the changes of its step are durable and while the lease is trusted. A commit
//! that fails means that the step never happened: the scheduler is dropped and made anew from the store.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::chores::Bell;
use super::clock::Clock;
use super::handle::{Request, Status, Undecided};
use super::lease::LeaseKeeper;
use super::observe::Observer;
use super::patience::{BEAT, patiently};
use super::perform::Performer;
use super::{DaemonError, Plan};
use crate::sched::run::Origin;
use crate::sched::scheduler::{Scheduler, Wake};
use crate::sched::step::{Change, Effect, Fired, Input, Step, Token};
use crate::sched::time::{Mono, Now, Timestamp, between};
use crate::store::{Store, StoreError};
use crate::systemd::Notifier;

/// The driver never sleeps longer, so that a stepped clock is noticed.
const NAP: Duration = Duration::from_secs(1);
/// How things stand is shown at most so often.
const REPORT: Duration = Duration::from_millis(200);
/// At most so many inputs are taken in before they are committed.
const GROUP: usize = 4096;
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

/// Requests of people that wait for their answer.
#[derive(Default)]
pub(super) struct Asked {
    tokens: u64,
    waiting: HashMap<Token, oneshot::Sender<Result<Fired, Undecided>>>,
}

impl Asked {
    fn input(&mut self, request: Request) -> Input {
        self.tokens += 1;
        let token = Token(self.tokens);
        self.waiting.insert(token, request.reply);
        Input::Fire {
            token,
            request: request.fire,
        }
    }

    fn answer(&mut self, token: Token, fired: Fired) {
        if let Some(reply) = self.waiting.remove(&token) {
            // Whoever asked may be gone; the run is on record all the same.
            let _ = reply.send(Ok(fired));
        }
    }

    /// The store cannot be used: nothing is decided.
    fn give_up(&mut self, why: &StoreError) {
        for (_, reply) in self.waiting.drain() {
            // Whoever asked may be gone.
            let _ = reply.send(Err(Undecided::Unusable(why.clone())));
        }
    }
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
            let Some(first) = self.next(&scheduler).await else {
                return self.drain(scheduler).await;
            };
            let now = self.clock.now();
            let mut step = Step::default();
            let mut heard = Vec::new();
            let mut next = Some(first);
            let mut taken = 0;
            while let Some(input) = next {
                if let Input::Answer { .. } = &input {
                    heard.push(input.clone());
                }
                let Step { changes, effects } = scheduler.handle(input, now);
                step.changes.extend(changes);
                step.effects.extend(effects);
                taken += 1;
                next = if taken < GROUP { self.waiting() } else { None };
            }
            let finished = self.finish(&scheduler, step, now).await;
            if let Err(StoreError::Unavailable(_)) = finished {
                heard.iter().for_each(undecided);
            }
            finished?;
        }
    }

    /// What happens next; `None` when it is time to stop.
    async fn next(&mut self, scheduler: &Scheduler) -> Option<Input> {
        let now = self.clock.now();
        let mut pause = pause(scheduler.next_wake(now), now);
        if self.unreported {
            pause = pause.min(REPORT);
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            input = self.inputs.recv() => input,
            Some(request) = self.requests.recv() => Some(self.asked.input(request)),
            () = sleep(pause) => Some(Input::Wake),
        }
    }

    /// What has happened meanwhile.
    fn waiting(&mut self) -> Option<Input> {
        let input = self.inputs.try_recv().ok();
        input.or_else(|| {
            let request = self.requests.try_recv().ok()?;
            Some(self.asked.input(request))
        })
    }

    /// Commits a step, then acts on it.
    async fn finish(
        &mut self,
        scheduler: &Scheduler,
        step: Step,
        now: Now,
    ) -> Result<(), StoreError> {
        patiently(&self.systemd, &self.status, self.lease.keep(now)).await?;
        if !step.changes.is_empty() {
            let commit = self.store.commit(self.lease.lease(), step.changes.clone());
            patiently(&self.systemd, &self.status, commit).await?;
            // The disk may have taken its time: what leaves, leaves while the lease is trusted.
            let now = self.clock.now();
            patiently(&self.systemd, &self.status, self.lease.keep(now)).await?;
        }
        for effect in step.effects {
            match effect {
                Effect::Reply { token, fired } => self.asked.answer(token, fired),
                effect => self.performer.perform(effect),
            }
        }
        let late = lateness(&step.changes);
        self.observer.observe(step.changes);
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
                    let _ = self.asked.input(request);
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

/// An answer that came while the store could not be written: reported, decided after the recovery by asking again.
fn undecided(input: &Input) {
    if let Input::Answer { key, answer, .. } = input {
        warn!(run = %key.run, answer = ?answer, "heard while the store cannot be used; asked again later");
    }
}

/// How long to sleep until a wake, never longer than a nap.
fn pause(wake: Wake, now: Now) -> Duration {
    let wall = wake.wall.map(|at| between(now.wall, at));
    let mono = wake.mono.map(|at| at.since(now.mono));
    wall.into_iter().chain(mono).fold(NAP, Duration::min)
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
