//! All that others may do with a running daemon: ask for a run, look at it, follow it.

use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::sched::scheduler::Snapshot;
use crate::sched::step::{Change, FireRequest, Fired};
use crate::sched::time::Timestamp;
use crate::store::StoreError;

/// A request of a person, with where to answer.
pub(super) struct Request {
    pub(super) fire: FireRequest,
    pub(super) reply: oneshot::Sender<Result<Fired, Undecided>>,
}

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
}

impl DaemonHandle {
    /// Asks for a run by hand; answered when the run is durable.
    pub async fn fire(&self, request: FireRequest) -> Result<Fired, Undecided> {
        let (reply, answer) = oneshot::channel();
        let request = Request {
            fire: request,
            reply,
        };
        let sent = self.requests.send(request).await;
        sent.map_err(|_| Undecided::Stopping)?;
        answer.await.unwrap_or(Err(Undecided::Stopping))
    }

    /// How the daemon stands, at most a second old.
    pub fn status(&self) -> Arc<Status> {
        self.status.borrow().clone()
    }

    /// Everything that is committed from now on. A reader that falls far behind misses some.
    pub fn feed(&self) -> broadcast::Receiver<Arc<Change>> {
        self.feed.subscribe()
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
