//! All that others may do with a running daemon: ask for a run, act on it, look at it, follow it.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::spawn_blocking;

use super::chores::Bell;
use super::measure::Measures;
use super::{ChannelStatus, Clients, Plan};
use crate::sched::act::{Act, Acted, By};
use crate::sched::id::SeriesId;
use crate::sched::schedule::Definition;
use crate::sched::scheduler::Snapshot;
use crate::sched::step::{Change, FireRequest, Fired};
use crate::sched::time::Timestamp;
use crate::sched::trigger::Trigger;
use crate::store::StoreError;

/// Where an answer goes.
pub(super) type ReplyTo<T> = oneshot::Sender<Result<T, Undecided>>;

/// A request of a person, with where to answer.
pub(super) enum Request {
    /// A run by hand.
    Fire(FireRequest, ReplyTo<Fired>),
    /// Something that is decided alone, between two commits.
    Act(Box<Wanted>, By, ReplyTo<Acted>),
}

/// What is decided alone.
pub(super) enum Wanted {
    /// An act.
    Act(Act),
    /// Another configuration, with the clients that belong to it, or why there is none.
    Reload(Replacement),
}

/// Another configuration for a running daemon: what to plan, and the clients of its connections; or all that is wrong
/// with it.
pub type Replacement = Result<(Plan, Clients), String>;

/// Why nobody decided about a request. The same request may be made again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// The daemon is stopping or has stopped.
    #[error("the daemon is stopping")]
    Stopping,
    /// Nothing can be put on record now.
    #[error(transparent)]
    Unusable(StoreError),
}

/// A running daemon as others see it. Cheap to clone.
#[derive(Clone)]
pub struct DaemonHandle {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) status: watch::Receiver<Arc<Status>>,
    pub(super) feed: broadcast::Sender<Arc<Change>>,
    pub(super) channels: watch::Receiver<Arc<Vec<ChannelStatus>>>,
    pub(super) planned: watch::Receiver<Planned>,
    pub(super) measures: Measures,
    pub(super) bell: Bell,
}

/// The series that are planned, in the order of the configuration.
pub(super) type Planned = Arc<Vec<Series>>;

type Series = (Arc<Definition>, Arc<Trigger>);

/// What is as it was keeps its former value, so that only what is new is compared, stored and let go by the loop.
pub(super) fn keep(mut read: Vec<Series>, former: &Planned) -> Vec<Series> {
    let by_id: HashMap<&SeriesId, &Series> = former.iter().map(|s| (&s.0.series, s)).collect();
    for series in &mut read {
        let known = by_id.get(&series.0.series);
        if let Some(known) = known.filter(|known| *known.0 == *series.0) {
            *series = (*known).clone();
        }
    }
    read
}

impl DaemonHandle {
    /// Asks for a run by hand; answered when the run is durable.
    pub async fn fire(&self, request: FireRequest) -> Result<Fired, Undecided> {
        self.ask(|reply| Request::Fire(request, reply)).await
    }

    /// Asks for something to be done; answered when it is durable.
    pub async fn act(&self, act: Act, by: By) -> Result<Acted, Undecided> {
        let wanted = Box::new(Wanted::Act(act));
        self.ask(|reply| Request::Act(wanted, by, reply)).await
    }

    /// Puts another configuration in the place of the present one, whole or not at all, with the clients of its
    /// connections; answered when it is durable. Whether the daemon only observes stays as it was started. That a
    /// configuration is wrong is told like everything that people must know.
    pub async fn reload(&self, new: Replacement, by: By) -> Result<Acted, Undecided> {
        let former = self.planned.borrow().clone();
        let kept = spawn_blocking(move || {
            new.map(|(mut plan, clients)| {
                plan.definitions = keep(plan.definitions, &former);
                (plan, clients)
            })
        });
        let new = kept.await.map_err(|_| Undecided::Stopping)?;
        let wanted = Box::new(Wanted::Reload(new));
        self.ask(|reply| Request::Act(wanted, by, reply)).await
    }

    async fn ask<T>(&self, request: impl FnOnce(ReplyTo<T>) -> Request) -> Result<T, Undecided> {
        let (reply, answer) = oneshot::channel();
        let sent = self.requests.send(request(reply)).await;
        sent.map_err(|_| Undecided::Stopping)?;
        answer.await.unwrap_or(Err(Undecided::Stopping))
    }

    /// How the daemon stands, at most a second old.
    pub fn status(&self) -> Arc<Status> {
        self.status.borrow().clone()
    }

    /// How the channels to people stand.
    pub fn channels(&self) -> Arc<Vec<ChannelStatus>> {
        self.channels.borrow().clone()
    }

    /// Everything that is committed from now on. A reader that falls far behind misses some.
    pub fn feed(&self) -> broadcast::Receiver<Arc<Change>> {
        self.feed.subscribe()
    }

    /// What was counted and timed since the start.
    pub fn measures(&self) -> &Measures {
        &self.measures
    }

    /// When the second bell last rang, whatever the loop does meanwhile.
    pub fn bell(&self) -> Option<Timestamp> {
        self.bell.rang()
    }
}

/// How the daemon stands.
#[derive(Clone, Debug)]
pub struct Status {
    /// The process.
    pub pid: u32,
    /// When it started.
    pub started: Timestamp,
    /// When this was taken.
    pub at: Timestamp,
    /// The name of this installation in markers.
    pub instance: String,
    /// The hash of the configuration.
    pub config: Arc<str>,
    /// Decides and records, submits nothing.
    pub observe: bool,
    /// That the store cannot be used or does not answer, and why; nothing is submitted or cancelled meanwhile.
    pub store: Option<String>,
    /// How late the last occurrence was decided, at most, in the last minute.
    pub late: std::time::Duration,
    /// When the second bell last rang.
    pub bell: Option<Timestamp>,
    /// The scheduler.
    pub scheduler: Snapshot,
}

impl Status {
    /// What is wrong, in words; empty when all is well.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        if let Some(why) = &self.store {
            complaints.push(why.clone());
        }
        if let Some((at, why)) = &self.scheduler.not_reloaded {
            let first = why.lines().next().unwrap_or_default();
            complaints.push(format!(
                "the configuration was not reloaded at {at}, the former one is in force: {first}"
            ));
        }
        if self.scheduler.clock_doubtful {
            complaints.push("the clock is not believed: nothing is decided".to_owned());
        }
        if self.scheduler.clock_behind {
            complaints
                .push("the clock was set back: schedules wait until it has caught up".to_owned());
        }
        for series in &self.scheduler.stopped {
            complaints.push(format!("{series} stands still after a bug"));
        }
        for connection in &self.scheduler.connections {
            if let Some((since, fault)) = &connection.outage {
                complaints.push(format!(
                    "connection {} does not work since {since}: {fault}",
                    connection.name
                ));
            }
        }
        complaints
    }
}
