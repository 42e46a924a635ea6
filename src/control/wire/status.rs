//! How the daemon stands, as `status` prints it and `/v1/status` answers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::daemon::{ChannelStatus, Status};
use crate::sched::act::{Pause, Scope, Skip, SkipWhat};
use crate::sched::scheduler::ConnectionStatus;

/// How the daemon stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusView {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started, UTC.
    pub started: String,
    /// When this was taken, UTC.
    pub at: String,
    /// The name of this installation in markers.
    pub instance: String,
    /// The hash of the configuration.
    pub config: String,
    /// It decides and records, and submits nothing.
    pub observe: bool,
    /// What is wrong, in words; empty when all is well.
    pub complaints: Vec<String>,
    /// Why the database cannot be used, when it cannot.
    pub store: Option<String>,
    /// Whether the clock is believed: `believed doubtful behind`.
    pub clock: String,
    /// How late an occurrence was decided, at most, in the last minute.
    pub late_seconds: f64,
    /// When the second bell last rang, UTC.
    pub bell: Option<String>,
    /// Every occurrence up to here is decided, UTC; null until the daemon is ready.
    pub mark: Option<String>,
    /// Series that are planned.
    pub series: usize,
    /// Live runs by their state.
    pub live: BTreeMap<String, usize>,
    /// The next occurrences, soonest first.
    pub next: Vec<ComingView>,
    /// Series that stand still after a bug, as `schedule/set`.
    pub stopped: Vec<String>,
    /// Series whose last run is lost.
    pub occupied: Vec<OccupiedView>,
    /// The connections.
    pub connections: Vec<ConnectionView>,
    /// The channels to people.
    #[serde(default)]
    pub channels: Vec<ChannelView>,
    /// Pauses that are in force.
    #[serde(default)]
    pub pauses: Vec<PauseView>,
    /// Coming occurrences that are not to run.
    #[serde(default)]
    pub skips: Vec<SkipView>,
    /// What the daemon's last look at everything came to; null when it has not looked since its start.
    #[serde(default)]
    pub doctor: Option<DoctorView>,
    /// Answers of the vendor that nobody waited for.
    pub strays: u64,
    /// Things that must not happen and did.
    pub bugs: u64,
}

/// What a look at everything came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoctorView {
    /// When, UTC.
    pub at: String,
    /// Problems that were found.
    pub problems: usize,
    /// Warnings.
    pub warnings: usize,
    /// Checks that were well.
    pub well: usize,
}

/// An occurrence to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComingView {
    /// Its schedule.
    pub schedule: String,
    /// Its parameter set.
    pub set: String,
    /// When, UTC, before jitter.
    pub at: String,
}

/// A pause that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseView {
    /// The schedule; null for everything.
    pub schedule: Option<String>,
    /// Since when, UTC.
    pub since: String,
    /// When it ends by itself, UTC; null when it does not.
    pub until: Option<String>,
    /// Who asked for it.
    pub who: String,
    /// Why.
    pub note: Option<String>,
}

/// A wish to skip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkipView {
    /// Its schedule.
    pub schedule: String,
    /// Its parameter set.
    pub set: String,
    /// How many of the next ones; null when it names which.
    pub next: Option<u32>,
    /// All of this nominal date.
    pub on: Option<String>,
    /// The one at this instant, UTC.
    pub at: Option<String>,
    /// Who asked for it.
    pub who: String,
    /// Why.
    pub note: Option<String>,
}

/// A series whose last run is lost and whose job may live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OccupiedView {
    /// Its schedule.
    pub schedule: String,
    /// Its parameter set.
    pub set: String,
    /// Until when the job may live, UTC.
    pub until: String,
}

/// A connection as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConnectionView {
    /// Its name in the configuration.
    pub name: String,
    /// Its host.
    pub host: String,
    /// Runs that are, or may be, with the vendor.
    pub in_flight: u32,
    /// How many may be.
    pub max_in_flight: u32,
    /// Runs whose turn it is and that wait for a slot, the budget or the connection.
    pub waiting: usize,
    /// Runs in doubt.
    pub in_doubt: usize,
    /// The outage, while there is one.
    pub outage: Option<OutageView>,
    /// The host pauses after "too many requests", for so much longer; null when it does not.
    pub paused_seconds: Option<f64>,
    /// When the job list last showed a job of ours, UTC; while null, the absence of a job cannot be proven.
    pub proven: Option<String>,
    /// Whether the job list could be read when it was last asked for; null before it was.
    pub list_readable: Option<bool>,
    /// The job list was read after the start; nothing is submitted before.
    pub swept: bool,
}

/// A connection does not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutageView {
    /// Since when, UTC.
    pub since: String,
    /// What is wrong.
    pub fault: String,
}

/// A channel to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelView {
    /// Its name in the configuration.
    pub name: String,
    /// Notices that were not told or passed over yet.
    pub waiting: u64,
    /// Why the last message was not taken, when it was not.
    pub error: Option<String>,
    /// Since when it is not taken, UTC.
    pub since: Option<String>,
    /// When it is tried again, UTC.
    pub next: Option<String>,
}

impl ChannelView {
    fn of(status: &ChannelStatus) -> Self {
        let trouble = status.trouble.as_ref();
        Self {
            name: status.name.clone(),
            waiting: status.waiting,
            error: trouble.map(|trouble| trouble.why.clone()),
            since: trouble.map(|trouble| trouble.since.to_string()),
            next: trouble.map(|trouble| trouble.next.to_string()),
        }
    }
}

/// Whether the daemon lives, and whether all is well, for monitors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthView {
    /// Whether it lives.
    pub alive: bool,
    /// Whether all is well.
    pub healthy: bool,
    /// What is wrong, in words.
    pub complaints: Vec<String>,
}

/// Whether the daemon does its work, for monitors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyView {
    /// Whether it does.
    pub ready: bool,
    /// Why it does not: of `recovering late store clock`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

impl StatusView {
    /// The view of a status; `complaints` may say more than the daemon itself does.
    pub fn of(status: &Status, channels: &[ChannelStatus], complaints: Vec<String>) -> Self {
        let scheduler = &status.scheduler;
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: status.pid,
            started: status.started.to_string(),
            at: status.at.to_string(),
            instance: status.instance.clone(),
            config: status.config.to_string(),
            observe: status.observe,
            complaints,
            store: status.store.clone(),
            clock: clock_word(status).to_owned(),
            late_seconds: seconds(status.late),
            bell: status.bell.map(|t| t.to_string()),
            mark: scheduler.mark.map(|t| t.to_string()),
            series: scheduler.series,
            live: scheduler
                .live
                .iter()
                .map(|(word, count)| ((*word).to_owned(), *count))
                .collect(),
            next: scheduler
                .next
                .iter()
                .map(|(series, at)| ComingView {
                    schedule: series.schedule.to_string(),
                    set: series.set.to_string(),
                    at: at.to_string(),
                })
                .collect(),
            stopped: scheduler.stopped.iter().map(ToString::to_string).collect(),
            occupied: scheduler
                .occupied
                .iter()
                .map(|(series, until)| OccupiedView {
                    schedule: series.schedule.to_string(),
                    set: series.set.to_string(),
                    until: until.to_string(),
                })
                .collect(),
            connections: scheduler
                .connections
                .iter()
                .map(ConnectionView::of)
                .collect(),
            channels: channels.iter().map(ChannelView::of).collect(),
            pauses: scheduler.pauses.iter().map(PauseView::of).collect(),
            skips: scheduler.skips.iter().map(SkipView::of).collect(),
            doctor: scheduler.examined.map(|examined| DoctorView {
                at: examined.at.to_string(),
                problems: examined.tally.problems,
                warnings: examined.tally.warnings,
                well: examined.tally.well,
            }),
            strays: scheduler.strays,
            bugs: scheduler.bugs,
        }
    }
}

fn clock_word(status: &Status) -> &'static str {
    match (
        status.scheduler.clock_doubtful,
        status.scheduler.clock_behind,
    ) {
        (true, _) => "doubtful",
        (_, true) => "behind",
        _ => "believed",
    }
}

/// Seconds, to the millisecond: nobody reads more.
fn seconds(d: Duration) -> f64 {
    (d.as_secs_f64() * 1000.0).round() / 1000.0
}

impl PauseView {
    /// The view of a pause.
    pub fn of(pause: &Pause) -> Self {
        Self {
            schedule: match &pause.scope {
                Scope::All => None,
                Scope::Schedule(name) => Some(name.to_string()),
            },
            since: pause.since.to_string(),
            until: pause.until.map(|t| t.to_string()),
            who: pause.by.who().to_owned(),
            note: pause.by.note().map(str::to_owned),
        }
    }
}

impl SkipView {
    /// The view of a wish.
    pub fn of(skip: &Skip) -> Self {
        let (next, on, at) = match skip.what {
            SkipWhat::Next(n) => (Some(n), None, None),
            SkipWhat::On(date) => (None, Some(date.to_string()), None),
            SkipWhat::At(instant) => (None, None, Some(instant.to_string())),
        };
        Self {
            schedule: skip.series.schedule.to_string(),
            set: skip.series.set.to_string(),
            next,
            on,
            at,
            who: skip.by.who().to_owned(),
            note: skip.by.note().map(str::to_owned),
        }
    }
}

impl ConnectionView {
    /// The view of a connection.
    pub fn of(connection: &ConnectionStatus) -> Self {
        Self {
            name: connection.name.to_string(),
            host: connection.host.clone(),
            in_flight: connection.in_flight,
            max_in_flight: connection.max_in_flight,
            waiting: connection.waiting,
            in_doubt: connection.in_doubt,
            outage: connection.outage.as_ref().map(|(since, fault)| OutageView {
                since: since.to_string(),
                fault: fault.clone(),
            }),
            paused_seconds: connection.paused.map(seconds),
            proven: connection.proven.map(|t| t.to_string()),
            list_readable: connection.list_readable,
            swept: connection.swept,
        }
    }
}
