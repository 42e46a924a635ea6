//! Seeded simulation: random schedules on a vendor with bad days, with kills, restarts, edits and clock steps. The
//! driver and the model store assert the invariants after every step; here the world is made, and what
//! must hold at the end is checked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nightcall::sched::notice::NoticeKind;
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::policy::{CatchUp, DoubtPolicy, OverlapPolicy};
use nightcall::sched::schedule::Definition;
use nightcall::sched::step::Fired;
use nightcall::sched::trigger::Rhythm;

use crate::chaos::{Chaos, Dice};
use crate::setup::{
    Config, With, catch_up, cron, every, hours, mins, secs, unauthorized, unavailable, unreachable,
};
use crate::sim::{Kill, Sim, by_hand};

/// So many seeds unless `SIM_SEEDS` says otherwise.
const SEEDS: u64 = 200;
/// For so long things go wrong …
const TROUBLE: Duration = Duration::from_secs(5 * 3600);
/// … and then everything must come to its end within this time.
const CALM: Duration = Duration::from_secs(6 * 3600);

#[test]
fn whatever_goes_wrong_nothing_is_lost_doubled_or_left_behind() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    if let Some(seed) = number("SIM_SEED") {
        return drop(simulate(seed));
    }
    let (next, end) = (AtomicU64::new(0), number("SIM_SEEDS").unwrap_or(SEEDS));
    let work = || loop {
        match next.fetch_add(1, Ordering::Relaxed) {
            seed if seed < end => drop(simulate(seed)),
            _ => return,
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
}

/// Says which seed it was when a simulation fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "again with: SIM_SEED={} cargo test --test sim whatever",
                self.0
            );
        }
    }
}

fn simulate(seed: u64) -> Sim {
    let _seed = Seed(seed);
    let mut dice = Dice::new(seed);
    let config = some_config(&mut dice);
    let chaos = Chaos {
        dice: Dice::new(dice.roll()),
        faults: dice.pick(&[0, 5, 15, 40]),
        failures: dice.pick(&[0, 10, 40]),
        request_timeout: config.connections[0].request_timeout,
        list_lag: config.connections[0].list_lag,
    };
    let mut sim = Sim::with_vendor(config, |vendor| vendor.chaos = Some(chaos));
    while sim.t() < TROUBLE {
        let pause = secs(dice.between(1, 1500));
        sim.run_for(pause);
        something_happens(&mut sim, &mut dice);
    }
    calm_down(&mut sim);
    sim.run_for(CALM);
    check_end(&sim);
    sim
}

#[test]
fn one_seed_is_one_story() {
    let story = || format!("{:?}", simulate(7).store);
    assert!(story() == story(), "the heart takes something from chance");
}

// ---- the world -----------------------------------------------------------------------------------------------------

fn some_config(dice: &mut Dice) -> Config {
    let count = dice.between(1, 5);
    let definitions: Vec<Definition> = (0..count).map(|n| some_schedule(dice, n)).collect();
    Config::of(definitions).with(|config| {
        let connection = &mut config.connections[0];
        connection.requests_per_minute = dice.pick(&[20, 60, 240]);
        connection.max_in_flight = dice.pick(&[1, 3, 50]);
        connection.request_timeout = secs(dice.pick(&[10, 30]));
        connection.list_lag = secs(dice.pick(&[10, 60]));
        connection.give_up = mins(dice.pick(&[5, 30]));
    })
}

fn some_schedule(dice: &mut Dice, n: u64) -> Definition {
    let name = format!("s{n}");
    let base = match dice.below(3) {
        0 => cron(&name, &format!("{} * * * *", dice.below(60))),
        1 => cron(
            &name,
            &format!("{},{} */2 * * *", dice.below(30), dice.between(30, 59)),
        ),
        _ => every(&name, mins(dice.pick(&[5, 10, 30, 60]))),
    };
    base.with(|d| {
        d.policies.overlap = dice.pick(&OverlapPolicy::ALL).0;
        d.policies.doubt = dice.pick(&[
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
        d.trigger.jitter = mins(dice.pick(&[0, 0, 3]));
    })
}

// ---- what happens to it --------------------------------------------------------------------------------------------

fn something_happens(sim: &mut Sim, dice: &mut Dice) {
    match dice.below(12) {
        0..=3 => kill_soon(sim, dice),
        4 => restart(sim, dice, |_, _| {}),
        5 => restart(sim, dice, edit),
        6 => outage(sim, dice),
        7 => sim.step_clock(dice.between(0, 90) as i64 - 45),
        8 if dice.percent(30) => sim.step_clock(-(dice.between(60, 900) as i64)),
        8 => step_forward_and_back(sim, dice),
        9 if dice.percent(30) => an_old_copy(sim, dice),
        _ => fire(sim, dice),
    }
}

fn kill_soon(sim: &mut Sim, dice: &mut Dice) {
    let effects = dice.between(1, 3) as usize;
    let point = dice.pick(&[
        Kill::BeforeCommit,
        Kill::AfterCommit,
        Kill::AfterEffects(effects),
    ]);
    sim.kill = Some((sim.steps + dice.between(1, 20) as usize, point));
    sim.downtime = match dice.below(4) {
        0 => mins(dice.between(1, 90)),
        _ => Duration::from_millis(dice.between(10, 20_000)),
    };
}

fn restart(sim: &mut Sim, dice: &mut Dice, change: impl Fn(&mut Config, &mut Dice)) {
    sim.wait_until_running();
    sim.stop();
    sim.run_for(secs(dice.between(0, 900)));
    change(&mut sim.config, dice);
    sim.store.check_coverage();
    sim.start();
}

/// Schedules come, go and change their times.
fn edit(config: &mut Config, dice: &mut Dice) {
    let index = dice.below(config.definitions.len() as u64) as usize;
    match dice.below(4) {
        0 if config.definitions.len() > 1 => drop(config.definitions.remove(index)),
        1 => {
            let n = dice.between(0, 6);
            let added = some_schedule(dice, n);
            if config.definitions.iter().all(|d| d.series != added.series) {
                config.definitions.push(added);
            }
        }
        2 => config.definitions[index].trigger.rhythm = Rhythm::Every(mins(dice.pick(&[7, 20]))),
        _ => config.definitions[index].timeout = mins(dice.pick(&[5, 30])),
    }
}

fn outage(sim: &mut Sim, dice: &mut Dice) {
    sim.vendor
        .down(dice.pick(&[unreachable(), unavailable(), unauthorized()]));
    sim.run_for(mins(dice.between(1, 60)));
    sim.vendor.up();
}

fn step_forward_and_back(sim: &mut Sim, dice: &mut Dice) {
    let step = dice.between(60, 7200) as i64;
    sim.step_clock(step);
    sim.run_for(secs(dice.between(1, 600)));
    sim.step_clock(-step);
}

/// The database is replaced by a copy that is some minutes old, while the vendor can be read.
fn an_old_copy(sim: &mut Sim, dice: &mut Dice) {
    sim.wait_until_running();
    let copy = sim.store.clone();
    sim.run_for(mins(dice.between(1, 40)));
    sim.wait_until_running();
    let faults = sim
        .vendor
        .chaos
        .as_mut()
        .map(|chaos| std::mem::take(&mut chaos.faults));
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

fn fire(sim: &mut Sim, dice: &mut Dice) {
    let definitions = &sim.config.definitions;
    let schedule = definitions[dice.below(definitions.len() as u64) as usize]
        .series
        .schedule
        .to_string();
    let request = by_hand(&schedule, &format!("k{}", dice.below(20))).with(|request| {
        request.queue = dice.percent(30);
        request.anyway = dice.percent(20);
    });
    let first = sim.fire(request.clone());
    if let (Some(Fired::Run(one)), Some(Fired::Run(two))) = (first, sim.fire(request)) {
        assert_eq!(one, two, "one key made two runs");
    }
}

fn calm_down(sim: &mut Sim) {
    sim.wait_until_running();
    sim.kill = None;
    sim.vendor.up();
    sim.step_clock_to_zero();
    if let Some(chaos) = &mut sim.vendor.chaos {
        (chaos.faults, chaos.failures) = (0, 0);
    }
}

// ---- what must hold at the end -------------------------------------------------------------------------------------

fn check_end(sim: &Sim) {
    sim.store.check_coverage();
    let long_ago = sim.true_now() - hours(4);
    for row in sim.store.runs.values() {
        let run = &row.run;
        let over = run.outcome().is_some() || run.planned > long_ago;
        assert!(over, "{} is left behind: {:?}", run.id, run.state);
        check_told(sim, row);
    }
    let snapshot = sim.snapshot();
    assert!(!snapshot.clock_doubtful && snapshot.stopped.is_empty());
    assert!(
        snapshot
            .connections
            .iter()
            .all(|c| c.outage.is_none() && c.in_doubt == 0)
    );
}

/// Each finished run that wants a notice has exactly one.
fn check_told(sim: &Sim, row: &crate::store::Row) {
    let Some(outcome) = row.run.outcome() else {
        return;
    };
    let wanted = match outcome {
        Outcome::Succeeded => None,
        Outcome::Failed => Some(NoticeKind::Failed),
        Outcome::TimedOut => Some(NoticeKind::TimedOut),
        Outcome::Cancelled => Some(NoticeKind::Cancelled),
        Outcome::Lost => Some(NoticeKind::Lost),
        Outcome::Skipped(SkipReason::StartDeadline) => Some(NoticeKind::Late),
        Outcome::Skipped(_) => None,
    };
    let id = format!("{}:finished", row.run.id);
    let told: Vec<NoticeKind> = sim
        .store
        .notices
        .iter()
        .filter(|n| n.id == id)
        .map(|n| n.kind)
        .collect();
    assert_eq!(
        told,
        wanted.into_iter().collect::<Vec<_>>(),
        "{}",
        row.run.id
    );
}
