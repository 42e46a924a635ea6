//! What can be seen of the scheduler from outside: a copy, taken after a step.

use std::collections::BTreeMap;

use super::{Examined, Scheduler};
use crate::sched::act::{Pause, Skip};
use crate::sched::id::{ConnectionName, SeriesId};
use crate::sched::run::RunState;
use crate::sched::time::{Mono, Now, Timestamp, between};

/// So many coming occurrences are shown.
const NEXT: usize = 10;

/// The scheduler as it stands.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Series that are planned.
    pub series: usize,
    /// Live runs by the word of their state.
    pub live: BTreeMap<&'static str, usize>,
    /// The next occurrences that are to run.
    pub next: Vec<(SeriesId, Timestamp)>,
    /// Every occurrence up to here is decided.
    pub mark: Option<Timestamp>,
    /// Nothing is decided because the clock is not believed.
    pub clock_doubtful: bool,
    /// The mark lies more than two minutes in the future: the clock was set back.
    pub clock_behind: bool,
    /// Series that stand still after a bug, until a restart.
    pub stopped: Vec<SeriesId>,
    /// Series whose last run is lost, and until when its job may live.
    pub occupied: Vec<(SeriesId, Timestamp)>,
    /// The connections.
    pub connections: Vec<ConnectionStatus>,
    /// Pauses that are in force.
    pub pauses: Vec<Pause>,
    /// Coming occurrences that are not to run.
    pub skips: Vec<Skip>,
    /// Another configuration could not be taken: when, and why. The former one is in force.
    pub not_reloaded: Option<(Timestamp, String)>,
    /// What the last look at everything came to.
    pub examined: Option<Examined>,
    /// Answers that nobody waited for.
    pub strays: u64,
    /// Things that must not happen and did.
    pub bugs: u64,
}

/// A connection as it stands.
#[derive(Clone, Debug)]
pub struct ConnectionStatus {
    /// Its name in the configuration.
    pub name: ConnectionName,
    /// Its host.
    pub host: String,
    /// Runs that are, or may be, with the vendor.
    pub in_flight: u32,
    /// How many may be.
    pub max_in_flight: u32,
    /// Runs whose turn it is and that wait for a slot, the budget or the circuit.
    pub waiting: usize,
    /// Runs in doubt.
    pub in_doubt: usize,
    /// The outage: since when, and what is wrong.
    pub outage: Option<(Timestamp, String)>,
    /// The host pauses after "too many requests", for so much longer.
    pub paused: Option<std::time::Duration>,
    /// How many requests may leave to the host at once now …
    pub budget_left: f64,
    /// … and the most that ever may.
    pub budget: f64,
    /// When the job list last showed a job of ours; until then absence cannot be proven.
    pub proven: Option<Timestamp>,
    /// Whether the list could be read when it was last asked for.
    pub list_readable: Option<bool>,
    /// The list was read after the start.
    pub swept: bool,
}

impl Scheduler {
    /// A copy of what can be seen.
    pub fn snapshot(&self, now: Now) -> Snapshot {
        let mut live = BTreeMap::new();
        for run in self.runs.values() {
            *live.entry(run.run.state.word()).or_insert(0) += 1;
        }
        let id = |index: usize| self.series[index].id().clone();
        Snapshot {
            series: self.series_by_id.len(),
            live,
            next: self
                .upcoming
                .iter()
                .filter(|(at, index)| !self.will_pass(*index, *at))
                .take(NEXT)
                .map(|(at, index)| (id(*index), *at))
                .collect(),
            mark: Some(self.mark),
            clock_doubtful: self.clock.doubtful(),
            clock_behind: between(now.wall, self.mark).as_secs() > 120,
            // Nothing stands still without a bug; a daemon at rest does not look through all its series each second.
            stopped: (0..self.series.len())
                .filter(|_| self.bugs > 0)
                .filter(|i| self.series[*i].blocked.is_some() || self.series[*i].quarantined)
                .map(id)
                .collect(),
            occupied: self
                .releases
                .iter()
                .map(|(until, index)| (id(*index), *until))
                .collect(),
            connections: (0..self.connections.len())
                .filter(|index| self.connections[*index].needed())
                .map(|index| self.connection_status(index, now.mono))
                .collect(),
            pauses: self.pauses.values().cloned().collect(),
            skips: self.skips.values().flatten().cloned().collect(),
            not_reloaded: self.not_reloaded.clone(),
            examined: self.examined,
            strays: self.strays,
            bugs: self.bugs,
        }
    }

    fn connection_status(&self, index: usize, now: Mono) -> ConnectionStatus {
        let connection = &self.connections[index];
        let host = &self.hosts[connection.host];
        let (budget_left, budget) = host.pace.left(now);
        ConnectionStatus {
            name: connection.limits.name.clone(),
            host: host.name.clone(),
            in_flight: connection.in_flight,
            max_in_flight: connection.limits.max_in_flight,
            waiting: connection.waiting.len(),
            in_doubt: connection.lookups.doubts.len(),
            outage: connection
                .circuit
                .outage()
                .map(|outage| (outage.since, outage.fault.to_string())),
            paused: host.pace.paused_until(now).map(|until| until.since(now)),
            budget_left,
            budget,
            proven: connection.memory.proven,
            list_readable: connection.lookups.readable,
            swept: connection.lookups.swept(),
        }
    }

    /// Jobs that are known to be with the vendor.
    pub fn jobs(&self) -> usize {
        let states = self.runs.values().map(|live| &live.run.state);
        states
            .filter(|s| matches!(s, RunState::Running { .. } | RunState::Cancelling { .. }))
            .count()
    }
}
