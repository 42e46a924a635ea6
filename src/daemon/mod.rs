//! The shell: waits, commits, performs. It knows stores and vendors by their doors only.

mod asked;
mod chores;
mod clock;
mod doctor;
mod driver;
mod handle;
mod inbox;
mod lease;
mod measure;
mod observe;
mod outbox;
mod patience;
mod perform;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::sched::id::ScheduleName;
use crate::sched::schedule::{ConnectionLimits, Definition};
use crate::sched::scheduler::{Predecessors, Setup, Snapshot};
use crate::sched::step::Input;
use crate::sched::time::{TimeZone, between};
use crate::sched::trigger::Trigger;
use crate::store::outbox::Outbox;
use crate::store::{Store, StoreError};
use crate::systemd::Notifier;

pub use chores::ChoreSettings;
pub use clock::{Clock, Moment, SystemClock, synchronisation};
pub use doctor::Checks;
pub use handle::{DaemonHandle, Replacement, Status, Undecided};
pub use measure::Measures;
pub use outbox::{Channel, ChannelStatus, Trouble};
pub use perform::Clients;

use asked::Asked;
use chores::{Bell, Calendar, Chores};
use doctor::Doctor;
use driver::Driver;
use inbox::Inbox;
use lease::LeaseKeeper;
use observe::Observer;
use outbox::Desk;
use perform::Performer;

/// Answers that may wait for the driver; more make their tasks wait.
const INPUTS: usize = 65_536;
/// Requests of people that may wait.
const REQUESTS: usize = 256;
/// The second bell is silent when it has not rung for so long.
const SILENT: Duration = Duration::from_secs(15);

/// Where the zones of stored triggers come from.
pub type Zones = Arc<dyn Fn(&str) -> Option<TimeZone> + Send + Sync>;

/// What the configuration says, for the scheduler.
#[derive(Clone)]
pub struct Plan {
    /// The hash of the configuration.
    pub config: Arc<str>,
    /// The series to plan.
    pub definitions: Vec<(Arc<Definition>, Arc<Trigger>)>,
    /// Schedules that are switched off.
    pub disabled: Vec<ScheduleName>,
    /// The connections.
    pub connections: Vec<ConnectionLimits>,
    /// Decide and record, submit nothing.
    pub observe: bool,
    /// For so long what ended is kept on record.
    pub kept: Duration,
    /// Zone data.
    pub zones: Zones,
    /// What the daily look at everything looks at.
    pub checks: Checks,
    /// Who is told.
    pub channels: Vec<Channel>,
}

impl Plan {
    /// Who is told now. A daemon that only observes tells nobody: what it decides is not what happens.
    fn told(&self) -> Vec<Channel> {
        match self.observe {
            true => Vec::new(),
            false => self.channels.clone(),
        }
    }

    fn setup(&self, instance: String, generation: u32) -> Setup {
        Setup {
            instance,
            config: Arc::clone(&self.config),
            definitions: self.definitions.clone(),
            disabled: self.disabled.clone(),
            connections: self.connections.clone(),
            observe: self.observe,
            kept: self.kept,
            predecessors: Predecessors::default(),
            generation,
        }
    }
}

/// Why the daemon ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The store must not or cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The second bell could not be made.
    #[error("the maintenance calendar cannot be started: {0}")]
    Chores(String),
}

/// A daemon that is ready to run.
pub struct Daemon {
    driver: Driver,
    desk: Desk,
    served: watch::Receiver<Vec<Channel>>,
    chores: ChoreSettings,
    answers: mpsc::Sender<Input>,
}

/// The doors and the settings of a daemon.
pub struct Parts {
    /// Where everything is remembered.
    pub store: Arc<dyn Store>,
    /// The same place, for those who tell people.
    pub outbox: Arc<dyn Outbox>,
    /// The vendors, by connection.
    pub clients: Clients,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What to plan.
    pub plan: Plan,
    /// The maintenance calendar.
    pub chores: ChoreSettings,
    /// The name of this installation; `None`: made once and stored.
    pub instance: Option<String>,
    /// systemd, when it listens.
    pub systemd: Notifier,
    /// Ends the daemon.
    pub stop: CancellationToken,
}

impl Daemon {
    /// Takes the lease of the store, so that no second daemon runs on it.
    pub async fn new(parts: Parts) -> Result<(Self, DaemonHandle), DaemonError> {
        let now = parts.clock.now();
        let lease = LeaseKeeper::acquire(Arc::clone(&parts.store), now).await?;
        let instance = parts.store.instance(parts.instance).await?;
        let (answers, inputs) = mpsc::channel(INPUTS);
        let (requests, asked) = mpsc::channel(REQUESTS);
        let observer = Observer::new();
        let (channels, served) = watch::channel(parts.plan.told());
        let (told, shown_channels) = watch::channel(Arc::default());
        let desk = Desk {
            outbox: parts.outbox,
            clock: Arc::clone(&parts.clock),
            instance: instance.clone(),
            observe: parts.plan.observe,
            stored: observer.notices(),
            status: told,
        };
        let measures = observer.measures.clone();
        measures.expect(&parts.plan);
        let bell = Bell::default();
        let (status, shown) = watch::channel(Arc::new(Status {
            pid: std::process::id(),
            started: now.wall,
            at: now.wall,
            instance: instance.clone(),
            config: Arc::clone(&parts.plan.config),
            observe: parts.plan.observe,
            store: None,
            late: Duration::ZERO,
            bell: None,
            scheduler: Snapshot::default(),
        }));
        let (planned, shown_plan) = watch::channel(Arc::new(parts.plan.definitions.clone()));
        let handle = DaemonHandle {
            requests,
            status: shown,
            feed: observer.feed(),
            channels: shown_channels,
            planned: shown_plan,
            measures: measures.clone(),
            bell: bell.clone(),
        };
        let daily = (parts.chores.doctor_at, parts.chores.doctor_zone.clone());
        let doctor = Doctor::new(daily, Arc::clone(&parts.plan.checks), answers.clone());
        let driver = Driver {
            plan: parts.plan,
            doctor: Arc::new(doctor),
            instance,
            store: parts.store,
            inbox: Inbox {
                clock: parts.clock,
                inputs,
                requests: asked,
                asked: Asked::default(),
                stop: parts.stop,
            },
            lease,
            performer: Performer::new(parts.clients, answers.clone(), measures),
            observer,
            planned,
            channels,
            status,
            bell,
            systemd: parts.systemd,
            unreported: false,
            reported: None,
        };
        let daemon = Self {
            driver,
            desk,
            served,
            chores: parts.chores,
            answers,
        };
        Ok((daemon, handle))
    }

    /// Gives the lease back without having run.
    pub async fn abandon(self) {
        self.driver.lease.release().await;
    }

    /// Runs until it is told to stop, or until it must not go on.
    pub async fn run(self) -> Result<(), DaemonError> {
        let stop = self.driver.inbox.stop.clone();
        let calendar = Calendar {
            settings: self.chores,
            store: Arc::clone(&self.driver.store),
            inputs: self.answers,
            bell: self.driver.bell.clone(),
            status: self.driver.status.subscribe(),
            doctor: Arc::clone(&self.driver.doctor),
        };
        let clock = Arc::clone(&self.driver.inbox.clock);
        let bell = keep_bell(calendar, clock, stop.clone());
        let without_it = stop.clone();
        let bells = tokio::spawn(async move {
            let kept = bell.await;
            // Without its second bell the daemon does not go on: a new one may have more luck.
            if kept.is_err() {
                without_it.cancel();
            }
            kept
        });
        let telling = tokio::spawn(self.desk.serve(self.served, stop.clone()));
        let ended = self.driver.run().await;
        stop.cancel();
        // It ends within seconds, and what it did not settle is sent again.
        let _ = telling.await;
        match bells.await {
            Ok(Err(error)) if ended.is_ok() => Err(error),
            _ => ended,
        }
    }
}

/// Rings the second bell and makes it anew when it falls silent.
async fn keep_bell(
    calendar: Calendar,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    let bell = &calendar.bell;
    let mut chores = Some(Chores::start(&calendar).await?);
    loop {
        let before = bell.rang();
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(SILENT) => {}
        }
        if bell.rang() == before {
            let silent = before.map(|at| between(at, clock.now().wall));
            warn!(?silent, "the second bell is silent; its task is made anew");
            stop_chores(chores.take()).await;
            // A daemon that works does not end for want of its chores; it is tried again.
            chores = Chores::start(&calendar)
                .await
                .inspect_err(|error| warn!(%error, "it cannot be made now"))
                .ok();
        }
    }
    stop_chores(chores).await;
    Ok(())
}

async fn stop_chores(chores: Option<Chores>) {
    if let Some(chores) = chores {
        chores.stop().await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
