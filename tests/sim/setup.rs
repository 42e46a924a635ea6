//! What scenarios are made of: schedules with plain defaults, one connection, a fixed first second.

use std::sync::Arc;
use std::time::Duration;

use nightcall::sched::call::{Parameters, Target};
use nightcall::sched::fault::{ConnectionFault, Fault, FaultClass};
use nightcall::sched::id::{ConnectionName, RunId, ScheduleName, SeriesId, SetName};
use nightcall::sched::policy::{
    CatchUp, DoubtPolicy, MisfirePolicy, OverlapPolicy, Policies, RetryPolicy,
};
use nightcall::sched::schedule::PollPlan;
use nightcall::sched::schedule::{ConnectionLimits, Definition};
use nightcall::sched::scheduler::{Predecessors, Setup};
use nightcall::sched::step::FireRequest;
use nightcall::sched::time::{TimeZone, Timestamp};
use nightcall::sched::trigger::{Rhythm, Trigger, TriggerSpec};

/// The name of this installation in every marker.
pub(crate) const INSTANCE: &str = "test";

/// The first second of every simulation: 2026-02-03T00:00:00Z.
pub(crate) fn base() -> Timestamp {
    Timestamp::constant(1_770_076_800, 0)
}

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn mins(n: u64) -> Duration {
    secs(n * 60)
}

pub(crate) fn hours(n: u64) -> Duration {
    mins(n * 60)
}

/// `"01:30"` and `"01:30:20"` are of the first day, `"+1d 01:30"` of the next; anything longer is a whole timestamp.
pub(crate) fn at(text: &str) -> Timestamp {
    if text.len() > 12 {
        return text.parse().unwrap();
    }
    let (days, time) = match text.split_once("d ") {
        Some((days, time)) => (days.trim_start_matches('+').parse().unwrap(), time),
        None => (0_u64, text),
    };
    let parts: Vec<u64> = time.split(':').map(|p| p.parse().unwrap()).collect();
    let second = parts.get(2).copied().unwrap_or(0);
    base() + hours(24 * days + parts[0]) + mins(parts[1]) + secs(second)
}

pub(crate) fn series(name: &str) -> SeriesId {
    let (schedule, set) = name.split_once('/').unwrap_or((name, "default"));
    SeriesId {
        schedule: ScheduleName::new(schedule).unwrap(),
        set: SetName::new(set).unwrap(),
    }
}

/// The planned run of a series at a time of [`at`].
pub(crate) fn run_id(name: &str, time: &str) -> RunId {
    RunId::planned(series(name), at(time))
}

/// Builder style for plain values.
pub(crate) trait With: Sized {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl With for Definition {}
impl With for ConnectionLimits {}
impl With for Config {}
impl With for FireRequest {}

/// A schedule `name` or a set of one, `name/set`, by a cron expression in UTC.
pub(crate) fn cron(name: &str, line: &str) -> Definition {
    definition(name, Rhythm::Cron(vec![line.to_owned()]))
}

/// A schedule with a period.
pub(crate) fn every(name: &str, period: Duration) -> Definition {
    definition(name, Rhythm::Every(period))
}

/// On the hour.
pub(crate) fn hourly(name: &str) -> Definition {
    every(name, hours(1))
}

/// The times of a definition, to change them.
pub(crate) fn times(of: &mut Definition) -> &mut TriggerSpec {
    Arc::make_mut(&mut of.trigger)
}

fn definition(name: &str, rhythm: Rhythm) -> Definition {
    Definition {
        series: series(name),
        trigger: TriggerSpec::new(rhythm, "UTC").into(),
        connection: ConnectionName::new("carto").unwrap(),
        target: target("carto"),
        query: format!("CALL {}()", name.replace('/', "_")).into(),
        parameters: Parameters::Named(
            [("region".to_owned(), "north".into())]
                .into_iter()
                .collect(),
        )
        .into(),
        policies: Policies {
            misfire: MisfirePolicy::default(),
            overlap: OverlapPolicy::default(),
            retry: RetryPolicy {
                jitter: 0.0,
                ..RetryPolicy::default()
            },
            doubt: DoubtPolicy::default(),
        },
        timeout: hours(6),
        start_deadline: hours(6),
        cancel_grace: mins(5),
        priority: 0,
        after: None,
    }
}

pub(crate) fn target(connection: &str) -> Target {
    Target {
        base_url: "https://gcp-us-east1.api.carto.com".into(),
        connection: connection.into(),
    }
}

/// A connection as in the example file.
pub(crate) fn carto() -> ConnectionLimits {
    ConnectionLimits {
        name: ConnectionName::new("carto").unwrap(),
        target: target("carto"),
        requests_per_minute: 120,
        max_in_flight: 50,
        poll: PollPlan {
            first: secs(2),
            factor: 1.5,
            max: secs(30),
        },
        request_timeout: secs(30),
        list_lag: secs(60),
        give_up: mins(30),
    }
}

/// How long after the intent absence begins to mean something on [`carto`].
pub(crate) const SETTLE: Duration = Duration::from_secs(90);

/// What the configuration says.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) definitions: Vec<Definition>,
    pub(crate) connections: Vec<ConnectionLimits>,
    pub(crate) disabled: Vec<ScheduleName>,
    pub(crate) observe: bool,
    /// How long what ended is kept on record.
    pub(crate) kept: Duration,
}

impl Config {
    pub(crate) fn of(definitions: impl IntoIterator<Item = Definition>) -> Self {
        Self {
            definitions: definitions.into_iter().collect(),
            connections: vec![carto()],
            disabled: Vec::new(),
            observe: false,
            kept: Duration::MAX,
        }
    }

    pub(crate) fn setup(&self) -> Setup {
        let with_trigger = |definition: &Definition| {
            (
                Arc::new(definition.clone()),
                Arc::new(trigger_of(definition)),
            )
        };
        Setup {
            instance: INSTANCE.to_owned(),
            config: Arc::from("hash"),
            definitions: self.definitions.iter().map(with_trigger).collect(),
            disabled: self.disabled.clone(),
            connections: self.connections.clone(),
            observe: self.observe,
            kept: self.kept,
            // Filled in from the store, as the driver does it.
            predecessors: Predecessors::default(),
            generation: 0,
        }
    }
}

pub(crate) fn trigger_of(definition: &Definition) -> Trigger {
    let zone = zone(&definition.trigger.zone).unwrap();
    Trigger::new(&definition.trigger, zone, &definition.series.schedule).unwrap()
}

pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

pub(crate) fn catch_up(how: CatchUp, window: Duration, max: u32) -> MisfirePolicy {
    MisfirePolicy {
        catch_up: how,
        window,
        max,
        ..MisfirePolicy::default()
    }
}

/// The error of the vendor's own page: it fails every time.
pub(crate) fn permanent() -> Fault {
    Fault::new(
        FaultClass::Permanent,
        "invalidQuery",
        "Query error: cannot coerce expression @n to type INT64 at [1:158]",
    )
}

pub(crate) fn transient() -> Fault {
    Fault::new(FaultClass::Transient, "backendError", "something passed by")
}

pub(crate) fn http_502() -> Fault {
    Fault::new(FaultClass::Transient, "http 502", "bad gateway")
}

pub(crate) fn connection(kind: ConnectionFault) -> Fault {
    Fault::new(FaultClass::Connection(kind), "connection", "as scripted")
}

pub(crate) fn unreachable() -> Fault {
    connection(ConnectionFault::Unreachable)
}

pub(crate) fn unauthorized() -> Fault {
    connection(ConnectionFault::Unauthorized)
}

pub(crate) fn too_many() -> Fault {
    connection(ConnectionFault::TooMany)
}

pub(crate) fn unavailable() -> Fault {
    connection(ConnectionFault::Unavailable)
}
