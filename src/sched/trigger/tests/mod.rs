//! Triggers against hand-written tables and against chance. Against an independent expander, at every change of every
//! zone: `tests/dst`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod chance;
mod dialect;
mod oracle;
mod people;
mod rules;

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::super::id::ScheduleName;
use super::{DstGap, DstOverlap, Occurrence, Rhythm, Trigger, TriggerError, TriggerSpec};

/// A zone of the data that is compiled in, so that the tables hold on every machine.
fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap()
}

fn spec(lines: &[&str], zone: &str) -> TriggerSpec {
    TriggerSpec::new(
        Rhythm::Cron(lines.iter().map(|&line| line.to_owned()).collect()),
        zone,
    )
}

fn every(period: Duration, zone: &str) -> TriggerSpec {
    TriggerSpec {
        rhythm: Rhythm::Every(period),
        ..spec(&[], zone)
    }
}

fn attempt(spec: &TriggerSpec) -> Result<Trigger, TriggerError> {
    Trigger::new(
        spec,
        zone(&spec.zone),
        &ScheduleName::new("store-clusters").unwrap(),
    )
}

fn trigger(spec: &TriggerSpec) -> Trigger {
    attempt(spec).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// All occurrences in (after, upto].
fn between(trigger: &Trigger, after: Timestamp, upto: Timestamp) -> Vec<Occurrence> {
    let next = |o: &Occurrence| trigger.after(o.instant);
    std::iter::successors(trigger.after(after), next)
        .take_while(|o| o.instant <= upto)
        .collect()
}
