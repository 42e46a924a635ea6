//! The second bell and the maintenance calendar: the only user of tokio-cron-scheduler.
//!
//! Each second the bell wakes the driver, sharing no timer and no task with the driver's own sleep, so that a timer
//! that hangs is noticed and cured. Schedules never depend on it (docs/adr/0003). The jobs are few, async, in UTC and
//! registered once; each only sends a message, has a task of its own made for it, or asks the store for one small step.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tracing::{debug, info, warn};

use super::DaemonError;
use super::clock::synchronised;
use super::doctor::Doctor;
use super::handle::Status;
use crate::sched::step::Input;
use crate::sched::time::{TimeZone, Timestamp, civil, earlier};
use crate::store::{Chore, Store};

/// Room for messages inside the crate: far more than its jobs can make.
const CHANNEL: usize = 256;
/// How long a stop waits for the calendar.
const LAST_CHORES: Duration = Duration::from_secs(5);
/// One step of pruning deletes so many runs, so that it is never in the way of a commit.
const PRUNE_STEP: usize = 500;

/// What the chores need.
#[derive(Clone)]
pub struct ChoreSettings {
    /// Finished runs are kept for so many days …
    pub keep_days: u32,
    /// … and at most so many of each series.
    pub keep_runs: u64,
    /// When the daily look at everything is made …
    pub doctor_at: civil::Time,
    /// … in this zone.
    pub doctor_zone: TimeZone,
    /// One line about the zone data, logged daily.
    pub zone_data: Arc<dyn Fn() -> String + Send + Sync>,
}

/// When the bell last rang, as Unix milliseconds; 0 when it has not.
#[derive(Clone, Default)]
pub(super) struct Bell(Arc<AtomicI64>);

impl Bell {
    /// When it last rang.
    pub(super) fn rang(&self) -> Option<Timestamp> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            ms => Timestamp::from_millisecond(ms).ok(),
        }
    }

    fn ring(&self) {
        self.0
            .store(Timestamp::now().as_millisecond(), Ordering::Relaxed);
    }
}

/// What the calendar is made of, now and when it must be made anew.
pub(super) struct Calendar {
    pub(super) settings: ChoreSettings,
    pub(super) store: Arc<dyn Store>,
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) bell: Bell,
    pub(super) status: watch::Receiver<Arc<Status>>,
    pub(super) doctor: Arc<Doctor>,
}

/// The running calendar. The crate keeps what its jobs hold longer than its shutdown lasts, so they hold no store: it
/// must be closed when the daemon ends.
pub(super) struct Chores(JobScheduler);

impl Chores {
    /// Registers every chore, one after another, then starts the calendar.
    pub(super) async fn start(of: &Calendar) -> Result<Self, DaemonError> {
        let calendar = JobScheduler::new_with_channel_size(CHANNEL).await?;
        let store = Arc::downgrade(&of.store);
        calendar
            .add(sweep(of.inputs.clone(), of.bell.clone())?)
            .await?;
        calendar
            .add(clock(of.inputs.clone(), of.status.clone())?)
            .await?;
        calendar.add(doctor(of)?).await?;
        calendar.add(checkpoint(Weak::clone(&store))?).await?;
        calendar
            .add(prune(&of.settings, store, of.status.clone())?)
            .await?;
        calendar.add(zone_data(&of.settings)?).await?;
        calendar.start().await?;
        Ok(Self(calendar))
    }

    /// Stops the calendar; nothing of it need be waited for.
    pub(super) async fn stop(mut self) {
        match tokio::time::timeout(LAST_CHORES, self.0.shutdown()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "the chores did not stop in order"),
            Err(_) => debug!("the chores do not stop; they hold nothing that matters"),
        }
    }
}

impl From<JobSchedulerError> for DaemonError {
    fn from(error: JobSchedulerError) -> Self {
        Self::Chores(error.to_string())
    }
}

/// Each second: wake the driver. A full queue means that it is awake already.
fn sweep(inputs: mpsc::Sender<Input>, bell: Bell) -> Result<Job, JobSchedulerError> {
    Job::new_async("* * * * * *", move |_, _| {
        bell.ring();
        let _ = inputs.try_send(Input::Wake);
        Box::pin(async {})
    })
}

/// Every ten seconds while the clock is doubted: does the system say that it is synchronised?
fn clock(
    inputs: mpsc::Sender<Input>,
    status: watch::Receiver<Arc<Status>>,
) -> Result<Job, JobSchedulerError> {
    Job::new_async("*/10 * * * * *", move |_, _| {
        let inputs = inputs.clone();
        let doubtful = status.borrow().scheduler.clock_doubtful;
        Box::pin(async move {
            if doubtful && synchronised().await {
                // A full queue is tried again soon.
                let _ = inputs.try_send(Input::Clock { synchronised: true });
            }
        })
    })
}

/// Every ten seconds: has the time of the daily look come in its zone, also while the machine slept or the daemon did not
/// run? (The crate would freeze the zone's offset.) Judged by the driver's last word, as in [`too_old`].
fn doctor(of: &Calendar) -> Result<Job, JobSchedulerError> {
    let (doctor, status) = (Arc::clone(&of.doctor), of.status.clone());
    Job::new_async("*/10 * * * * *", move |_, _| {
        let (at, doubtful) = {
            let status = status.borrow();
            (status.at, status.scheduler.clock_doubtful)
        };
        let doctor = Arc::clone(&doctor);
        Box::pin(async move {
            if !doubtful && doctor.is_due(at) {
                doctor.look();
            }
        })
    })
}

/// Every five minutes: move the write-ahead log into the database.
fn checkpoint(store: Weak<dyn Store>) -> Result<Job, JobSchedulerError> {
    Job::new_async("17 */5 * * * *", move |_, _| {
        let store = store.upgrade();
        Box::pin(async move {
            let Some(store) = store else { return };
            if let Err(error) = store.maintain(Chore::Checkpoint).await {
                warn!(%error, "the checkpoint failed");
            }
        })
    })
}

/// Daily: delete what retention allows, in small steps.
fn prune(
    settings: &ChoreSettings,
    store: Weak<dyn Store>,
    status: watch::Receiver<Arc<Status>>,
) -> Result<Job, JobSchedulerError> {
    let (days, per_series) = (settings.keep_days, settings.keep_runs);
    Job::new_async("40 37 11 * * *", move |_, _| {
        let before = too_old(&status.borrow(), days);
        let store = store.upgrade();
        Box::pin(async move {
            let (Some(store), Some(before)) = (store, before) else {
                return;
            };
            let mut deleted = 0;
            loop {
                let step = Chore::Prune {
                    before,
                    per_series,
                    step: PRUNE_STEP,
                };
                match store.maintain(step).await {
                    Ok(0) => break,
                    Ok(n) => deleted += n,
                    Err(error) => {
                        warn!(%error, "pruning stopped");
                        break;
                    }
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            info!(deleted, "pruned");
        })
    })
}

/// Before when everything is too old to be kept, by the driver's last word and never by the clock itself: a clock that
/// leaps over the hour of this chore rings it before the driver has seen the leap. Nothing while the clock is doubted.
fn too_old(status: &Status, keep_days: u32) -> Option<Timestamp> {
    let age = Duration::from_secs(u64::from(keep_days) * 86_400);
    (!status.scheduler.clock_doubtful).then(|| earlier(status.at, age))
}

/// Daily: say which zone data is in use.
fn zone_data(settings: &ChoreSettings) -> Result<Job, JobSchedulerError> {
    let versions = Arc::clone(&settings.zone_data);
    Job::new_async("10 7 12 * * *", move |_, _| {
        info!("{}", versions());
        Box::pin(async {})
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::sched::scheduler::Snapshot;

    fn status(at: &str, clock_doubtful: bool) -> Status {
        let at: Timestamp = at.parse().unwrap();
        Status {
            pid: 1,
            started: at,
            at,
            instance: "test".to_owned(),
            config: Arc::from("hash"),
            observe: false,
            store: None,
            late: Duration::ZERO,
            bell: None,
            scheduler: Snapshot {
                clock_doubtful,
                ..Snapshot::default()
            },
        }
    }

    #[test]
    fn what_is_too_old_is_judged_by_the_drivers_time_and_not_by_a_clock_that_has_just_leapt() {
        // Far from what the clock of this machine shows, as after a leap that the driver has not seen yet.
        let before = too_old(&status("2016-02-03T11:37:40Z", false), 400);
        assert_eq!(before, "2014-12-30T11:37:40Z".parse().ok());
        assert_eq!(too_old(&status("2016-02-03T11:37:40Z", true), 400), None);
    }
}
