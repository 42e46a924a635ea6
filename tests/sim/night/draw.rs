//! From a seed to a night: who is to run, and where. What the vendor does and what happens is `weather.rs`.

use std::time::Duration;

use nightcall::sched::call::Parameters;
use nightcall::sched::id::{ConnectionName, ScheduleName};
use nightcall::sched::policy::{After, CatchUp, DoubtPolicy, On, OverlapPolicy};
use nightcall::sched::schedule::{ConnectionLimits, Definition};
use nightcall::sched::time::Timestamp;
use nightcall::sched::trigger::{DstGap, DstOverlap, Rhythm};

use super::plan::{Line, Night};
use super::planted::Planted;
use super::weather;
use crate::dice::Dice;
use crate::setup::{With, carto, catch_up, cron, every, hours, mins, secs, times};

/// Beginnings: an hour or two before a change of the clock in that zone, but for the first.
const BEGINNINGS: [(&str, &str); 13] = [
    ("2026-02-03T00:00:00Z", "UTC"),
    ("2026-03-28T23:20:00Z", "Europe/Madrid"),
    ("2026-10-24T23:20:00Z", "Europe/Madrid"),
    ("2026-03-28T23:40:00Z", "Europe/Dublin"),
    ("2026-10-24T23:40:00Z", "Europe/Dublin"),
    ("2026-03-08T05:30:00Z", "America/New_York"),
    ("2026-11-01T04:30:00Z", "America/New_York"),
    ("2026-04-04T13:30:00Z", "Australia/Lord_Howe"),
    ("2026-10-03T14:00:00Z", "Australia/Lord_Howe"),
    ("2026-02-15T00:30:00Z", "Africa/Casablanca"),
    ("2026-03-22T00:30:00Z", "Africa/Casablanca"),
    ("2026-04-04T12:30:00Z", "Pacific/Chatham"),
    ("2026-03-08T03:30:00Z", "America/Havana"),
];

/// The night of a seed.
pub(super) fn night(seed: u64) -> Night {
    let mut dice = Dice::new(seed);
    let plain = dice.percent(45);
    let (begins, zone) = match plain {
        true => BEGINNINGS[0],
        false => dice.pick(&BEGINNINGS[1..]),
    };
    let begins: Timestamp = begins.parse().unwrap();
    let connections = some_connections(&mut dice);
    let count = dice.between(1, 5);
    let mut definitions: Vec<Definition> = (0..count)
        .map(|n| some_schedule(&mut dice, n, zone, &connections))
        .collect();
    some_wait(&mut definitions, seed);
    let mut night = Night {
        seed,
        begins,
        // Two hours reach over every change of the clock; the same acts lie denser in them.
        trouble: dice.pick(&[mins(130), mins(130), hours(4)]),
        definitions,
        connections,
        scenario: nightcall::sandbox::Scenario::default(),
        line: some_line(&mut dice, seed),
        acts: Vec::new(),
        planted: Planted::Nothing,
    };
    weather::brew(&mut night, &mut dice, zone);
    night
}

fn some_connections(dice: &mut Dice) -> Vec<ConnectionLimits> {
    let mut first = carto();
    first.requests_per_minute = dice.pick(&[20, 60, 240]);
    first.max_in_flight = dice.pick(&[1, 3, 50]);
    first.request_timeout = secs(dice.pick(&[10, 30]));
    first.list_lag = secs(dice.pick(&[10, 60]));
    first.give_up = mins(dice.pick(&[5, 30]));
    first.poll.first = secs(dice.pick(&[2, 10]));
    first.poll.max = secs(dice.pick(&[30, 120, 300]));
    let second = dice.percent(25).then(|| {
        let mut second = first.clone();
        second.name = ConnectionName::new("other").unwrap();
        second.target.connection = "other_dw".to_owned().into();
        second.max_in_flight = dice.pick(&[1, 10]);
        second
    });
    std::iter::once(first).chain(second).collect()
}

/// Some schedules come after some of those before them.
fn some_wait(definitions: &mut [Definition], seed: u64) {
    // Chance of its own: the rest of a night is the same without.
    let mut dice = Dice::new(seed ^ 0x00af_7e42);
    if !dice.percent(50) {
        return;
    }
    for index in 1..definitions.len() {
        if dice.percent(50) {
            let names = definitions[..index].iter().map(|d| &d.series.schedule);
            let mut schedules: Vec<ScheduleName> = names.cloned().collect();
            schedules.retain(|_| dice.percent(60));
            if !schedules.is_empty() {
                let on = dice.pick(&[On::Success, On::Success, On::Any, On::Failure]);
                definitions[index].after = Some(After { schedules, on }.into());
            }
        }
    }
}

fn some_line(dice: &mut Dice, seed: u64) -> Line {
    // Chance of its own: the rest of a night is the same with a slow disk.
    let mut disk = Dice::new(seed ^ 0x00c0_3317);
    let ms = Duration::from_millis;
    Line {
        commit: disk.pick(&[Duration::ZERO, ms(3), ms(60), ms(800)]),
        way: dice.pick(&[
            Duration::from_millis(50),
            Duration::from_millis(400),
            secs(3),
        ]),
        slow: dice.pick(&[0, 0, 2, 10]),
        tls: dice.percent(60),
        oauth: dice.percent(30),
        together: dice.pick(&[Duration::ZERO, Duration::from_millis(30)]),
    }
}

pub(super) fn some_rhythm(dice: &mut Dice) -> Rhythm {
    let minute = dice.below(60);
    let line = match dice.below(8) {
        0 | 1 => format!("{minute} * * * *"),
        2 => format!("{},{} */2 * * *", dice.below(30), dice.between(30, 59)),
        3 => format!("{minute} 1,2,3 * * *"),
        4 => "30 2 * * *".to_owned(),
        5 => format!("*/{} 0-5 * * *", dice.pick(&[10, 20, 30])),
        _ => return Rhythm::Every(mins(dice.pick(&[5, 5, 10, 30]))),
    };
    match dice.percent(15) {
        true => Rhythm::Cron(vec![line, "15 2 * * *".to_owned()]),
        false => Rhythm::Cron(vec![line]),
    }
}

pub(super) fn some_schedule(
    dice: &mut Dice,
    n: u64,
    zone: &str,
    connections: &[ConnectionLimits],
) -> Definition {
    let name = format!("s{n}");
    let base = match some_rhythm(dice) {
        Rhythm::Cron(lines) => {
            cron(&name, &lines[0]).with(|d| times(d).rhythm = Rhythm::Cron(lines))
        }
        Rhythm::Every(period) => every(&name, period),
    };
    let connection = dice.pick(connections);
    base.with(|d| {
        d.connection = connection.name.clone();
        d.target = connection.target.clone();
        d.query = format!("CALL `p.d.wf_{name}`(@region)").into();
        if dice.percent(30) {
            d.query = format!("CALL p.d.wf_{name}($1)").into();
            d.parameters = Parameters::Positional(vec!["north".into()]).into();
        }
        if dice.percent(70) {
            times(d).zone = zone.to_owned();
        }
        times(d).dst_gap = dice.pick(&[DstGap::Run, DstGap::Run, DstGap::Skip]);
        times(d).dst_overlap = dice.pick(&[DstOverlap::First, DstOverlap::Last, DstOverlap::Both]);
        times(d).jitter = mins(dice.pick(&[0, 0, 3]));
        some_policies(dice, d);
    })
}

fn some_policies(dice: &mut Dice, d: &mut Definition) {
    d.policies.overlap = match dice.percent(40) {
        true => OverlapPolicy::Skip,
        false => dice.pick(&OverlapPolicy::ALL).0,
    };
    d.policies.doubt = dice.pick(&[
        DoubtPolicy::Verify,
        DoubtPolicy::Verify,
        DoubtPolicy::Verify,
        DoubtPolicy::Hold,
        DoubtPolicy::Resubmit,
    ]);
    let how = dice.pick(&CatchUp::ALL).0;
    d.policies.misfire = catch_up(how, mins(dice.pick(&[10, 60, 720])), dice.pick(&[1, 3, 10]));
    d.policies.retry.attempts = dice.pick(&[1, 2, 4]);
    d.policies.retry.backoff = secs(dice.pick(&[5, 60]));
    d.policies.retry.jitter = dice.pick(&[0.0, 0.2]);
    d.policies.retry.on_timeout = dice.percent(30);
    d.timeout = mins(dice.pick(&[5, 20, 60]));
    d.start_deadline = mins(dice.pick(&[10, 30, 60]));
    d.cancel_grace = mins(dice.pick(&[1, 5]));
    d.priority = dice.pick(&[0, 0, 5]);
}
