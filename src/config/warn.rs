//! Warnings that need more than one schedule, or the clock: each with the better line to write.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;

use super::connection::{self, host};
use super::cores;
use super::duration::show;
use super::read::Found;
use super::schedule::Read;
use super::source::Place;
use crate::sched::id::{RunId, SeriesId};
use crate::sched::policy::{CatchUp, OverlapPolicy};
use crate::sched::schedule::Definition;
use crate::sched::template::Occasion;
use crate::sched::time::{TimeZone, Timestamp, between, civil};
use crate::sched::trigger::{Fold, Rhythm, Trigger, TriggerSpec};

/// A day of the wall clock is longer than this, whatever the clock does.
const ALMOST_A_DAY: Duration = Duration::from_secs(20 * 3600);

/// How many occurrences are looked at to see how close they may be.
const LOOK_AHEAD: usize = 24;

/// Looks at everything together.
pub(super) fn look(
    schedules: &[Read<'_>],
    connections: &[connection::Read<'_>],
    now: Timestamp,
    found: &mut Found,
) {
    same_result(schedules, found);
    dates_left_out(schedules, found);
    long_timeouts(schedules, now, found);
    much_polling(schedules, connections, found);
}

/// Two series that call one procedure with equal values write one result table.
fn same_result(schedules: &[Read<'_>], found: &mut Found) {
    let enabled = || schedules.iter().filter(|read| read.schedule.enabled);
    let mut calls: HashMap<&str, usize> = HashMap::new();
    for definition in enabled().flat_map(|read| &read.schedule.definitions) {
        *calls.entry(&definition.query).or_default() += 1;
    }
    let mut first: HashMap<_, (&SeriesId, Place<'_>)> = HashMap::new();
    for read in enabled() {
        let places = read.schedule.definitions.iter().zip(&read.series_at);
        for (definition, (at, path)) in places {
            // most are told apart by their statement, before any values are written out
            if calls[&*definition.query] == 1 {
                continue;
            }
            let values = sample(definition).to_string();
            let key = (&definition.target, &definition.query, values);
            let Some((series, place)) = first.get(&key) else {
                first.insert(key, (&definition.series, *at));
                continue;
            };
            let message = format!(
                "calls the same with equal values as {series} ({}): both write one result table",
                place.words()
            );
            found.doubtful(
                at.problem(path, message)
                    .with_hint("give it values of its own, or enabled = false"),
            );
        }
    }
}

/// The values of a series for some occurrence, the same for all: templates may tell series apart.
fn sample(definition: &Definition) -> Value {
    let rendered = definition.parameters.rendered(&Occasion {
        run: &RunId::planned(definition.series.clone(), Timestamp::UNIX_EPOCH),
        civil: civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0),
        fold: Fold::First,
        zone: &TimeZone::UTC,
    });
    rendered.to_json()
}

/// Of several nights that were missed only the last runs, and nobody makes up for the dates of the others.
fn dates_left_out(schedules: &[Read<'_>], found: &mut Found) {
    for read in schedules.iter().filter(|read| read.schedule.enabled) {
        let dated = read.schedule.definitions.iter().any(|definition| {
            definition.policies.misfire.catch_up == CatchUp::Latest
                && definition.parameters.is_dated()
        });
        if !dated {
            continue;
        }
        let message = "the values are dated, and of several missed times only the latest runs: the \
                       dates of the others are never sent";
        let problem = match (&read.misfire_at, read.series_at.first()) {
            (Some(item), _) => item.key_problem(message),
            (None, Some((at, path))) => at.problem(path, message),
            (None, None) => continue,
        };
        found.doubtful(problem.with_hint("write misfire = { catch_up = \"all\" }"));
    }
}

/// A timeout that reaches into the next occurrence makes a busy series out of one slow run.
fn long_timeouts(schedules: &[Read<'_>], now: Timestamp, found: &mut Found) {
    // many run at the same times
    let mut places: HashMap<&TriggerSpec, usize> = HashMap::new();
    let mut triggers: Vec<&Trigger> = Vec::new();
    let mut planned: Vec<(&Read<'_>, &Definition, usize)> = Vec::new();
    for read in schedules.iter().filter(|read| read.schedule.enabled) {
        let Some(definition) = read.schedule.definitions.first() else {
            continue;
        };
        // most run once a day and end within it
        if definition.timeout <= ALMOST_A_DAY && read.schedule.trigger.is_daily_at_most() {
            continue;
        }
        let place = *places.entry(&definition.trigger).or_insert_with(|| {
            triggers.push(&read.schedule.trigger);
            triggers.len() - 1
        });
        planned.push((read, definition, place));
    }
    let gaps = cores::each(&triggers, found, |trigger, _| Some(least_gap(trigger, now)));
    for (read, definition, place) in planned {
        let gap = gaps[place];
        let Some(gap) = gap.filter(|gap| definition.timeout > *gap) else {
            continue;
        };
        let then = match definition.policies.overlap {
            OverlapPolicy::Skip => "is skipped while the run lasts",
            OverlapPolicy::BufferOne => "waits while the run lasts",
            // these two say what they want of a second run
            OverlapPolicy::CancelOther | OverlapPolicy::AllowAll => continue,
        };
        let message = format!(
            "the timeout ({}) reaches into the next occurrence, {} later, which {then}",
            show(definition.timeout),
            show(gap)
        );
        if let Some(at) = &read.timeout_at {
            let hint = format!("write timeout = \"{}\"", show(shorter(gap)));
            found.doubtful(at.problem(message).with_hint(hint));
        }
    }
}

/// A timeout that leaves some of the gap: nine tenths, in whole minutes where there are any.
fn shorter(gap: Duration) -> Duration {
    let most = gap.mul_f64(0.9).as_secs();
    match most {
        0 => gap,
        1..=59 => Duration::from_secs(most),
        _ => Duration::from_secs(most - most % 60),
    }
}

/// The shortest time between two of the next occurrences.
fn least_gap(trigger: &Trigger, now: Timestamp) -> Option<Duration> {
    if let Rhythm::Every(period) = trigger.spec().rhythm {
        return Some(period);
    }
    let mut last: Option<Timestamp> = None;
    let mut least: Option<Duration> = None;
    let mut at = now;
    for _ in 0..LOOK_AHEAD {
        let Some(occurrence) = trigger.after(at) else {
            break;
        };
        at = occurrence.instant;
        if let Some(last) = last {
            let gap = between(last, at);
            least = Some(least.map_or(gap, |least| least.min(gap)));
        }
        last = Some(at);
    }
    least
}

/// Polls that the budget of a host does not allow make every answer late.
fn much_polling(schedules: &[Read<'_>], connections: &[connection::Read<'_>], found: &mut Found) {
    let mut series: HashMap<&str, usize> = HashMap::new();
    for read in schedules.iter().filter(|read| read.schedule.enabled) {
        for definition in &read.schedule.definitions {
            *series.entry(definition.connection.as_str()).or_default() += 1;
        }
    }
    let mut hosts: HashMap<String, f64> = HashMap::new();
    let mut told: Vec<String> = Vec::new();
    for read in connections {
        let limits = &read.connection.limits;
        let count = series.get(limits.name.as_str()).copied().unwrap_or(0);
        let runs = count.min(limits.max_in_flight as usize);
        let host = host(&limits.target.base_url);
        let polls = hosts.entry(host.clone()).or_default();
        *polls += runs as f64 * 60.0 / limits.poll.max.as_secs_f64();
        let budget = f64::from(limits.requests_per_minute);
        if *polls <= budget || told.contains(&host) {
            continue;
        }
        told.push(host);
        let message = format!(
            "{runs} runs at once, each polled every {}, are {polls:.0} requests a minute, and the \
             budget of the host is {budget}",
            show(limits.poll.max)
        );
        let pause = (runs as f64 * 60.0 / budget * 1.25).ceil();
        let better = show(Duration::from_secs_f64(pause.max(1.0)));
        let problem = match read.table.get("poll") {
            Some(poll) => poll.problem(message),
            None => read.table.at.problem(&read.table.path, message),
        };
        found.doubtful(problem.with_hint(format!("write poll = {{ max = \"{better}\" }}")));
    }
}
