//! What is known of a connection and of the host behind it: limits, circuit, queues, lookups.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use super::circuit::Circuit;
use super::lookup::Lookups;
use super::{BACKGROUND, Live, Scheduler, Slot};
use crate::sched::id::RunId;
use crate::sched::pace::Pace;
use crate::sched::run::Run;
use crate::sched::schedule::PollPlan;
use crate::sched::schedule::{ConnectionLimits, Definition};
use crate::sched::step::ConnectionMemory;
use crate::sched::time::{Mono, Now, Timestamp};

/// The order in which runs are admitted: background or not, priority, due time, id.
type Turn = (bool, Reverse<i32>, Timestamp, RunId, Slot);

/// A connection with its present target. A run that was planned with another target has a connection of its own.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) limits: ConnectionLimits,
    /// Whether the configuration has it so; else only runs of a former target, or of a connection that is gone, need it.
    pub(super) configured: bool,
    pub(super) host: usize,
    pub(super) in_flight: u32,
    /// How many of these are in the background.
    pub(super) background: u32,
    pub(super) circuit: Circuit,
    pub(super) lookups: Lookups,
    pub(super) memory: ConnectionMemory,
    /// Runs whose turn it is as far as their series goes.
    pub(super) waiting: BTreeSet<Turn>,
    /// Jobs to be stopped now.
    pub(super) cancels: BTreeSet<Slot>,
    /// Jobs to be asked about now, the longest overdue first.
    pub(super) polls: BTreeSet<(Mono, Slot)>,
}

/// A host: one request budget for all its connections.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) pace: Pace,
    pub(super) connections: Vec<usize>,
}

impl Connection {
    /// Takes a run out of every queue.
    pub(super) fn forget(&mut self, slot: Slot, live: &mut Live) {
        self.waiting.remove(&turn(&live.run, slot));
        self.cancels.remove(&slot);
        if let Some(since) = live.poll_since.take() {
            self.polls.remove(&(since, slot));
        }
        self.lookups.doubts.remove(&slot);
    }

    /// Whether anything is to be asked there.
    pub(super) fn needed(&self) -> bool {
        self.configured || self.in_flight > 0 || !self.waiting.is_empty()
    }

    /// Whether the run that is first in the queue may leave. The background never takes more than a quarter, so that what
    /// is on time finds room.
    pub(super) fn has_room(&self) -> bool {
        let most = self.limits.max_in_flight;
        let background = self
            .waiting
            .first()
            .is_some_and(|(.., slot)| *slot >= BACKGROUND);
        self.in_flight < most && (!background || self.background < (most / 4).max(1))
    }

    /// A run is, or may be, with the vendor.
    pub(super) fn entered(&mut self, run: &Run) {
        self.in_flight += 1;
        self.background += u32::from(run.origin.is_background());
    }

    /// It no longer is.
    pub(super) fn left(&mut self, run: &Run) {
        self.in_flight -= 1;
        self.background -= u32::from(run.origin.is_background());
    }
}

/// The place of a run in the queue of its connection: the background comes last, whatever its priority.
pub(super) fn turn(run: &Run, slot: Slot) -> Turn {
    (
        run.origin.is_background(),
        Reverse(run.definition.priority),
        run.due,
        run.id.clone(),
        slot,
    )
}

impl Scheduler {
    /// The connection of a definition: its name and its target.
    pub(super) fn find_connection(&self, definition: &Definition) -> Option<usize> {
        self.connections.iter().position(|c| {
            c.limits.name == definition.connection && c.limits.target == definition.target
        })
    }

    /// The connection of a definition; made when a run comes with one that the configuration no longer has.
    pub(super) fn connection_of(&mut self, definition: &Definition, now: Now) -> usize {
        if let Some(index) = self.find_connection(definition) {
            return index;
        }
        let named = self.connection_index(&definition.connection);
        let mut limits = match named {
            Some(index) => self.connections[index].limits.clone(),
            None => fallback(definition),
        };
        limits.target = definition.target.clone();
        let index = self.add_connection(limits, ConnectionMemory::default(), now);
        self.connections[index].configured = false;
        index
    }

    pub(super) fn add_connection(
        &mut self,
        limits: ConnectionLimits,
        memory: ConnectionMemory,
        now: Now,
    ) -> usize {
        let index = self.connections.len();
        let name = host_of(&limits.target.base_url).to_owned();
        let host = match self.hosts.iter().position(|h| h.name == name) {
            Some(host) => host,
            None => {
                self.hosts.push(Host {
                    name,
                    pace: Pace::new(limits.requests_per_minute, now.mono),
                    connections: Vec::new(),
                });
                self.hosts.len() - 1
            }
        };
        self.hosts[host].connections.push(index);
        self.connections.push(Connection {
            limits,
            configured: true,
            host,
            in_flight: 0,
            background: 0,
            circuit: Circuit::default(),
            lookups: Lookups::default(),
            memory,
            waiting: BTreeSet::new(),
            cancels: BTreeSet::new(),
            polls: BTreeSet::new(),
        });
        index
    }
}

/// Careful limits for a run whose connection is no longer in the configuration: it is watched to its end if it can be.
fn fallback(definition: &Definition) -> ConnectionLimits {
    ConnectionLimits {
        name: definition.connection.clone(),
        target: definition.target.clone(),
        requests_per_minute: 60,
        max_in_flight: u32::MAX,
        poll: PollPlan {
            first: Duration::from_secs(2),
            factor: 1.5,
            max: Duration::from_secs(30),
        },
        request_timeout: Duration::from_secs(30),
        list_lag: Duration::from_secs(60),
        give_up: Duration::from_secs(30 * 60),
    }
}

/// The host and port of a base URL: what shares one request budget.
pub fn host_of(base_url: &str) -> &str {
    let rest = base_url
        .split_once("://")
        .map_or(base_url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}
