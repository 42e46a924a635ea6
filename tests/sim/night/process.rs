//! The process of the daemon: it starts, takes the lease and recovers, loses the lease, finds that the store takes no
//! commit, and is killed.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use nightcall::sched::Scheduler;
use nightcall::sched::id::ConnectionName;
use nightcall::sched::time::Mono;

use super::doubts::Asked;
use super::lease::RENEW;
use super::plan::Point;
use super::planted::Planted;
use super::play::{Committing, Event, Play};
use crate::setup::{secs, zone};

/// A process with its scheduler; without one it waits for the store.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) process: u64,
    pub(super) scheduler: Option<Scheduler>,
    pub(super) committing: Option<Committing>,
    generation: u32,
    /// When it began, and what its monotonic clock showed then.
    pub(super) boot: (Duration, Mono),
    epoch: u64,
    renewed: Duration,
    /// By how much the clock was wrong then, in milliseconds.
    pub(super) renewed_skew: i64,
    pub(super) last_wake: Duration,
    /// When requests left for each host, within the last minute.
    pub(super) sent: HashMap<String, VecDeque<Duration>>,
    /// Lists that were asked for since its scheduler was made.
    pub(super) asked: Vec<Asked>,
    pub(super) lists: HashMap<(ConnectionName, String), VecDeque<Duration>>,
}

impl Play<'_> {
    pub(super) fn runs(&self) -> bool {
        self.daemon.as_ref().is_some_and(|d| d.scheduler.is_some())
    }

    /// A process starts: takes the lease, recovers from the store.
    pub(super) fn start(&mut self) {
        if self.daemon.is_some() {
            return;
        }
        let wall = self.true_now() + jiff::SignedDuration::from_millis(self.skew);
        self.processes += 1;
        let process = self.processes;
        let Some(epoch) = self.lease.acquire(process, self.frozen.is_some(), wall) else {
            self.tally.count("start refused");
            // As systemd does it.
            return self.start_in(secs(5));
        };
        self.courier.another_process();
        self.config = self.file.clone();
        self.say(|| format!("---- process {process} starts, wall clock {wall}"));
        self.daemon = Some(Daemon {
            process,
            scheduler: None,
            committing: None,
            generation: 0,
            // Each process has a monotonic clock with an origin of its own.
            boot: (self.t, Mono(i64::try_from(process).unwrap() * 1_000_003)),
            epoch,
            renewed: self.t,
            renewed_skew: self.skew,
            last_wake: self.t,
            sent: HashMap::new(),
            asked: Vec::new(),
            lists: HashMap::new(),
        });
        self.recover();
    }

    /// From what the store knows to a scheduler.
    pub(super) fn recover(&mut self) {
        let now = self.now();
        let Some(daemon) = &mut self.daemon else {
            return;
        };
        daemon.generation += 1;
        daemon.last_wake = self.t;
        daemon.sent.clear();
        daemon.lists.clear();
        daemon.asked.clear();
        let mut setup = self.config.setup();
        setup.generation = daemon.generation;
        let decided = self.store.mark.unwrap_or(now.wall).min(now.wall);
        setup.predecessors = self.store.predecessors(&setup, decided);
        let (scheduler, step) = Scheduler::recover(setup, self.store.load(), &zone, now);
        daemon.scheduler = Some(scheduler);
        self.take(step);
    }

    /// The process is gone at once: no answer reaches it any more.
    pub(super) fn gone(&mut self, down: Duration) {
        self.daemon = None;
        self.courier.another_process();
        self.start_in(down);
    }

    /// A process is started after so long, whatever was ordered before.
    pub(super) fn start_in(&mut self, down: Duration) {
        self.ordered += 1;
        self.later(self.t + down, Event::Start(self.ordered));
    }

    /// Renews the lease when it is time; a process that lost it ends without a word.
    pub(super) fn keep_lease(&mut self) -> bool {
        let wall = self.now().wall;
        let unfenced = self.night.planted == Planted::NoFence;
        let Some(daemon) = &mut self.daemon else {
            return false;
        };
        let renew = self.t >= daemon.renewed + RENEW;
        if renew && self.refuses_until > self.t {
            self.store_refused();
            return false;
        }
        let holds = match renew {
            true => self.lease.renew(daemon.epoch, wall),
            false => !self.lease.fences(daemon.epoch),
        };
        if renew {
            (daemon.renewed, daemon.renewed_skew) = (self.t, self.skew);
        }
        if !holds && !unfenced {
            self.tally.count("fenced");
            self.say(|| "---- the lease is lost: the process ends".to_owned());
            self.daemon = None;
            return false;
        }
        true
    }

    pub(super) fn lease_is_lost(&self) -> bool {
        let daemon = self.daemon.as_ref();
        daemon.is_none_or(|daemon| self.lease.fences(daemon.epoch))
    }

    /// The step never happened: the scheduler is dropped and made anew when a commit succeeds.
    pub(super) fn store_refused(&mut self) {
        self.say(|| "---- the store takes no commit".to_owned());
        self.tally.count("commit refused");
        let Some(daemon) = &mut self.daemon else {
            return;
        };
        (daemon.scheduler, daemon.committing) = (None, None);
        let process = daemon.process;
        self.later(self.t + secs(1), Event::Retry(process, secs(1)));
    }

    /// The process that will try again whether its store takes a commit.
    pub(super) fn waits_for_store(&self) -> Option<u64> {
        let daemon = self.daemon.as_ref()?;
        daemon.scheduler.is_none().then_some(daemon.process)
    }

    pub(super) fn retry_store(&mut self, process: u64, pause: Duration) {
        let waits = |d: &Daemon| d.process == process && d.scheduler.is_none();
        if !self.daemon.as_ref().is_some_and(waits) {
            return;
        }
        if self.refuses_until > self.t {
            let pause = (pause * 2).min(secs(30));
            return self.later(self.t + pause, Event::Retry(process, pause));
        }
        match self.keep_lease() {
            true => self.recover(),
            // As systemd does it.
            false => self.start_in(secs(5)),
        }
    }

    pub(super) fn kill_now(&mut self) -> Option<Point> {
        let (steps, point, down) = self.kill.take()?;
        if steps > 0 {
            self.kill = Some((steps - 1, point, down));
            return None;
        }
        self.tally.count(format!(
            "killed {}",
            match point {
                Point::BeforeCommit => "before the commit",
                Point::AfterCommit => "after the commit",
                Point::AfterEffects(_) => "among the effects",
            }
        ));
        self.kill = Some((0, point, down));
        Some(point)
    }

    pub(super) fn killed(&mut self) {
        self.say(|| "---- killed".to_owned());
        if let Some((_, _, down)) = self.kill.take() {
            self.gone(down);
        }
    }
}
