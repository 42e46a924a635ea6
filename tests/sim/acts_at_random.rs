//! Acts of people in random order, on a vendor with bad days, with kills, restarts, reloads and clock steps between
//! them. The model store asserts after every step that nothing fires that somebody holds back.

use std::time::Duration;

use nightcall::sched::act::{Act, Acted, Retry, Scope, SkipWhat};
use nightcall::sched::id::RunId;
use nightcall::sched::policy::{CatchUp, OverlapPolicy};
use nightcall::sched::schedule::Definition;
use nightcall::sched::time::Timestamp;
use nightcall::sched::trigger::Rhythm;

use crate::chaos::{Chaos, Dice};
use crate::setup::{Config, With, catch_up, cron, every, hours, mins, secs, series, unreachable};
use crate::sim::{Kill, Sim, by_hand};

/// For so long things go wrong …
const TROUBLE: Duration = Duration::from_secs(4 * 3600);
/// … and then everything must come to its end within this time.
const CALM: Duration = Duration::from_secs(6 * 3600);

#[test]
fn whatever_people_do_in_whatever_order_nothing_is_lost_doubled_or_left_behind() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let (from, upto) = match number("ACT_SEED") {
        Some(seed) => (seed, seed + 1),
        None => (0, number("ACT_SEEDS").unwrap_or(40)),
    };
    let mut tally = std::collections::BTreeMap::new();
    for seed in from..upto {
        let seed = Seed(seed);
        simulate(seed.0, &mut tally);
    }
    if upto - from >= 40 {
        let words = [
            "cancel", "pause", "reload", "resume", "retry", "skip", "unskip",
        ];
        let done: Vec<&str> = tally.keys().map(String::as_str).collect();
        assert_eq!(done, words, "each act is done at least once: {tally:?}");
    }
}

/// Says which seed it was when a simulation fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!("again with: ACT_SEED={seed} cargo test --test sim whatever_people");
        }
    }
}

fn simulate(seed: u64, tally: &mut std::collections::BTreeMap<String, usize>) {
    let mut dice = Dice::new(seed ^ 0xac75);
    let count = dice.between(1, 4);
    let config = Config::of((0..count).map(|n| some_schedule(&mut dice, n)));
    let chaos = Chaos {
        dice: Dice::new(dice.roll()),
        faults: dice.pick(&[0, 5, 20]),
        failures: dice.pick(&[10, 40]),
        request_timeout: config.connections[0].request_timeout,
        list_lag: config.connections[0].list_lag,
    };
    let mut sim = Sim::with_vendor(config, |vendor| vendor.chaos = Some(chaos));
    while sim.t() < TROUBLE {
        sim.run_for(secs(dice.between(1, 900)));
        something_happens(&mut sim, &mut dice);
    }
    sim.wait_until_running();
    sim.kill = None;
    sim.vendor.up();
    sim.step_clock_to_zero();
    if let Some(chaos) = &mut sim.vendor.chaos {
        (chaos.faults, chaos.failures) = (0, 0);
    }
    sim.run_for(mins(2));
    for scope in sim.store.pauses.keys().cloned().collect::<Vec<_>>() {
        let catch_up = dice.percent(50);
        let answer = sim.act(Act::Resume { scope, catch_up });
        assert!(matches!(answer, Some(Acted::Done { .. })), "{answer:?}");
    }
    sim.run_for(CALM);
    for deed in &sim.store.deeds {
        *tally.entry(deed.act.clone()).or_default() += 1;
    }
    check_end(&sim);
}

fn check_end(sim: &Sim) {
    sim.store.check_coverage();
    assert!(sim.store.pauses.is_empty());
    let long_ago = sim.true_now() - hours(4);
    for row in sim.store.runs.values() {
        let over = row.run.outcome().is_some() || row.run.planned > long_ago;
        assert!(over, "{} is left behind: {:?}", row.run.id, row.run.state);
    }
    let snapshot = sim.snapshot();
    assert!(!snapshot.clock_doubtful && snapshot.stopped.is_empty() && snapshot.bugs == 0);
}

fn some_schedule(dice: &mut Dice, n: u64) -> Definition {
    let name = format!("s{n}");
    let base = match dice.below(3) {
        0 => cron(&name, &format!("{} * * * *", dice.below(60))),
        1 => cron(&name, &format!("{},50 */2 * * *", dice.below(30))),
        _ => every(&name, mins(dice.pick(&[5, 10, 30]))),
    };
    base.with(|d| {
        d.policies.overlap = dice.pick(&OverlapPolicy::ALL).0;
        let how = dice.pick(&CatchUp::ALL).0;
        d.policies.misfire = catch_up(how, mins(dice.pick(&[10, 60, 720])), dice.pick(&[1, 3]));
        d.policies.retry.attempts = dice.pick(&[1, 2]);
        d.timeout = mins(dice.pick(&[5, 20, 60]));
        d.start_deadline = mins(dice.pick(&[10, 60]));
        d.cancel_grace = mins(dice.pick(&[1, 5]));
        d.trigger.jitter = mins(dice.pick(&[0, 0, 3]));
    })
}

fn something_happens(sim: &mut Sim, dice: &mut Dice) {
    match dice.below(15) {
        0 | 1 => {
            let point = dice.pick(&[Kill::BeforeCommit, Kill::AfterCommit, Kill::AfterEffects(1)]);
            sim.kill = Some((sim.steps + dice.between(1, 6) as usize, point));
            sim.downtime = secs(dice.pick(&[1, 20, 1800]));
        }
        2 => {
            sim.wait_until_running();
            sim.stop();
            sim.run_for(secs(dice.between(0, 1800)));
            if dice.percent(50) {
                sim.config = edited(&sim.config, dice);
            }
            sim.start();
        }
        3 => {
            sim.vendor.down(unreachable());
            sim.run_for(mins(dice.between(1, 20)));
            sim.vendor.up();
        }
        4 if dice.percent(30) => sim.step_clock(-(dice.between(60, 900) as i64)),
        4 => sim.step_clock(dice.between(0, 90) as i64 - 45),
        5 | 6 => {
            let config = edited(&sim.config, dice);
            let _ = sim.reload(config);
        }
        8 if dice.percent(30) => an_old_copy(sim, dice),
        7 => {
            let schedule = some_name(sim, dice);
            let _ = sim.fire(
                by_hand(&schedule, &format!("k{}", dice.below(30))).with(|r| {
                    r.queue = dice.percent(30);
                    r.anyway = dice.percent(20);
                    r.even_paused = dice.percent(50);
                }),
            );
        }
        _ => {
            if let Some(act) = some_act(sim, dice) {
                let first = sim.act(act.clone());
                asked_again(sim, act, first.as_ref());
            }
        }
    }
}

/// The database is replaced by a copy that is some minutes old, while the vendor can be read.
fn an_old_copy(sim: &mut Sim, dice: &mut Dice) {
    sim.wait_until_running();
    let copy = sim.store.clone();
    for _ in 0..dice.between(1, 4) {
        sim.run_for(mins(dice.between(1, 10)));
        sim.wait_until_running();
        if let Some(act) = some_act(sim, dice) {
            let _ = sim.act(act);
        }
    }
    sim.wait_until_running();
    let chaos = sim.vendor.chaos.as_mut();
    let faults = chaos.map(|chaos| std::mem::take(&mut chaos.faults));
    sim.stop();
    // What was on its way has arrived, and is listed.
    sim.run_for(secs(120));
    sim.restore(copy);
    sim.start();
    sim.run_for(mins(5));
    if let (Some(chaos), Some(faults)) = (&mut sim.vendor.chaos, faults) {
        chaos.faults = faults;
    }
}

/// Whoever has no answer, or distrusts it, asks again: nothing more is made.
fn asked_again(sim: &mut Sim, act: Act, first: Option<&Acted>) {
    let runs = sim.store.runs.len();
    let second = sim.act(act.clone());
    if let (Act::Retry(_), Some(Acted::Done { runs: one, .. })) = (&act, first) {
        let made = sim.store.runs.len() == runs;
        assert!(made, "{act:?} made two: {one:?} {second:?}");
    }
}

fn some_name(sim: &Sim, dice: &mut Dice) -> String {
    let names = sim.config.definitions.iter();
    let names: Vec<String> = names.map(|d| d.series.schedule.to_string()).collect();
    dice.pick(&names)
}

fn some_act(sim: &Sim, dice: &mut Dice) -> Option<Act> {
    let name = some_name(sim, dice);
    let schedule = series(&name).schedule;
    let soon = |dice: &mut Dice| sim.now().wall + secs(dice.between(1, 5400));
    let runs: Vec<RunId> = sim.store.runs.keys().cloned().collect();
    let some_run = |dice: &mut Dice| (!runs.is_empty()).then(|| dice.pick(&runs));
    let scope = match dice.below(3) {
        0 => Scope::All,
        _ => Scope::Schedule(schedule.clone()),
    };
    Some(match dice.below(9) {
        0 => Act::Pause { scope, until: None },
        1 => Act::Pause {
            scope,
            until: Some(soon(dice)),
        },
        2 | 3 => Act::Resume {
            scope,
            catch_up: dice.percent(60),
        },
        4 => Act::Skip {
            schedule,
            set: None,
            what: some_times(sim, &name, dice),
        },
        5 => Act::Unskip {
            schedule,
            set: None,
            what: None,
        },
        6 => {
            let live: Vec<RunId> = sim
                .store
                .live_rows()
                .map(|row| row.run.id.clone())
                .collect();
            let run = match live.is_empty() {
                true => some_run(dice)?,
                false => dice.pick(&live),
            };
            Act::Cancel { run }
        }
        _ => Act::Retry(Retry {
            run: some_run(dice)?,
            queue: dice.percent(50),
            anyway: dice.percent(20),
            even_paused: dice.percent(30),
        }),
    })
}

fn some_times(sim: &Sim, name: &str, dice: &mut Dice) -> SkipWhat {
    match dice.below(3) {
        0 => SkipWhat::Next(dice.between(1, 4) as u32),
        1 => SkipWhat::On(sim.now().wall.to_zoned(jiff::tz::TimeZone::UTC).date()),
        _ => {
            let of = series(name);
            let next = sim.snapshot_if_running().and_then(|snapshot| {
                let mut next = snapshot.next.into_iter();
                next.find(|(series, _)| *series == of).map(|(_, at)| at)
            });
            SkipWhat::At(next.unwrap_or(Timestamp::MAX))
        }
    }
}

/// Schedules come, go, and change.
fn edited(config: &Config, dice: &mut Dice) -> Config {
    let mut config = config.clone();
    for _ in 0..dice.between(0, 2) {
        let index = dice.below(config.definitions.len() as u64) as usize;
        match dice.below(5) {
            0 if config.definitions.len() > 1 => drop(config.definitions.remove(index)),
            1 => {
                let n = dice.between(0, 6);
                let added = some_schedule(dice, n);
                if config.definitions.iter().all(|d| d.series != added.series) {
                    config.definitions.push(added);
                }
            }
            2 => {
                config.definitions[index].trigger.rhythm = Rhythm::Every(mins(dice.pick(&[7, 20])))
            }
            3 => config.connections[0].give_up = mins(dice.pick(&[5, 30])),
            _ => config.definitions[index].timeout = mins(dice.pick(&[5, 30])),
        }
    }
    config
}
