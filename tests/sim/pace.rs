//! Budgets, pauses and crowds. That no minute sees more requests than the budget is asserted by the driver at each
//! request of every simulation.

use std::time::Duration;

use nightcall::sched::notice::NoticeKind;
use nightcall::sched::outcome::Outcome;

use crate::setup::{Config, With, cron, hourly, hours, mins, secs, too_many};
use crate::sim::Sim;
use crate::vendor::{Life, Op, Passage};

fn crowd(size: usize) -> Config {
    Config::of((0..size).map(|n| cron(&format!("s{n:05}"), "0 1 * * *")))
}

#[test]
fn five_hundred_jobs_share_a_small_budget_and_all_are_watched_to_their_end() {
    let mut sim = Sim::with_vendor(
        crowd(500).with(|c| c.connections[0].max_in_flight = 500),
        |vendor| {
            vendor.usual = Some(Life::succeeds(mins(5)));
        },
    );
    sim.run_to("03:00");
    let ended = sim
        .store
        .runs
        .values()
        .filter(|r| r.run.outcome() == Some(Outcome::Succeeded));
    assert_eq!(ended.count(), 500);
    assert_eq!(sim.vendor.count(Op::Submit), 500);
}

#[test]
fn the_slots_of_a_connection_bound_what_is_with_the_vendor() {
    let mut sim = Sim::with_vendor(
        crowd(30).with(|c| c.connections[0].max_in_flight = 3),
        |vendor| {
            vendor.usual = Some(Life::succeeds(mins(2)));
        },
    );
    sim.run_to("01:59");
    let mut live: Vec<(Duration, i32)> = Vec::new();
    for job in &sim.vendor.jobs {
        live.extend([(job.created, 1), (job.created + mins(2), -1)]);
    }
    live.sort_unstable();
    let most = live
        .iter()
        .scan(0, |n, (_, d)| {
            *n += d;
            Some(*n)
        })
        .max();
    assert_eq!((most, sim.vendor.jobs.len()), (Some(3), 30));
}

#[test]
fn too_many_requests_pauses_the_whole_host_and_no_attempt_is_used_up() {
    let mut sim = Sim::new(Config::of([hourly("a"), hourly("b")]));
    sim.run_to("00:59");
    sim.vendor.next(Op::Submit, Passage::refused(too_many()));
    sim.run_to("01:30");
    let first = sim
        .vendor
        .asked
        .iter()
        .find(|(_, op)| *op == Op::Submit)
        .unwrap()
        .0;
    let heard = first + Duration::from_millis(200);
    let within = sim
        .vendor
        .asked
        .iter()
        .filter(|(t, _)| *t > heard && *t < heard + secs(60));
    assert_eq!(within.count(), 0);
    for name in ["a", "b"] {
        assert_eq!(sim.outcome(name, "01:00"), Some(Outcome::Succeeded));
        assert_eq!(sim.run(name, "01:00").failures, 0);
    }
    assert!(
        sim.store.notices.is_empty(),
        "one pause is nothing to speak of"
    );
}

#[test]
fn pauses_again_and_again_are_one_incident() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("00:59");
    for op in Op::ALL {
        sim.vendor.always(op, Passage::refused(too_many()));
    }
    sim.run_to("02:30");
    assert_eq!(sim.notices(NoticeKind::Incident).len(), 1);
    let asked = sim
        .vendor
        .asked
        .iter()
        .filter(|(t, _)| *t > mins(59))
        .count();
    assert!(asked < 20, "{asked} requests to a host that says too many");
    sim.vendor.up();
    sim.run_to("03:30");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Succeeded));
    assert_eq!(sim.run("a", "01:00").failures, 0);
}

#[test]
fn the_host_is_given_the_time_that_it_asks_for() {
    let mut fault = too_many();
    fault.retry_after = Some(mins(7));
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("00:59");
    sim.vendor.next(Op::Submit, Passage::refused(fault));
    sim.run_to("01:30");
    let submits: Vec<Duration> = sim
        .vendor
        .asked
        .iter()
        .filter(|(_, op)| *op == Op::Submit)
        .map(|(t, _)| *t)
        .collect();
    assert!(
        submits[1] - submits[0] >= mins(7) && submits[1] - submits[0] < mins(8),
        "{submits:?}"
    );
}

/// So many that are due at once and may all leave.
fn herd(count: usize) -> Config {
    crowd(count).with(|c| {
        c.connections[0].max_in_flight = 10_000;
        c.connections[0].requests_per_minute = 60_000;
        c.connections[0].poll.first = mins(10);
        c.connections[0].poll.max = mins(10);
    })
}

#[test]
fn ten_thousand_due_at_once_are_stored_in_few_steps_and_all_run() {
    let config = herd(10_000);
    let mut sim = Sim::with_vendor(config, |vendor| {
        vendor.usual = Some(Life::succeeds(mins(5)))
    });
    sim.run_to("00:59:30");
    let (steps, started) = (sim.steps, std::time::Instant::now());
    sim.run_to("01:00");
    assert_eq!(sim.store.runs.len(), 10_000);
    assert!(sim.steps - steps <= 22, "{} steps", sim.steps - steps);
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    sim.run_to("01:30");
    let ended = sim
        .store
        .runs
        .values()
        .filter(|r| r.run.outcome() == Some(Outcome::Succeeded));
    assert_eq!(ended.count(), 10_000);
}

#[test]
fn the_first_of_a_herd_leave_while_others_are_decided_and_a_crash_in_between_loses_none() {
    let submits = |sim: &Sim| {
        let asked = sim.vendor.asked.iter();
        asked.filter(|(_, op)| *op == Op::Submit).count()
    };
    let mut sim = Sim::with_vendor(herd(2_000), |vendor| {
        vendor.usual = Some(Life::succeeds(mins(5)))
    });
    sim.run_to("00:59:30");
    let before = sim.store.mark;
    sim.run_until("the first are decided", |sim| !sim.store.runs.is_empty());
    let decided = sim.store.runs.len();
    assert!(decided < 1_000, "{decided} at once");
    assert_eq!(sim.store.mark, before, "it says that all are decided");
    sim.run_until("one has left", |sim| submits(sim) > 0);
    sim.stop();
    sim.start();
    sim.run_to("01:30");
    assert_eq!(sim.store.runs.len(), 2_000);
    assert_eq!(submits(&sim), 2_000);
    sim.store.check_coverage();
}

#[test]
fn a_day_with_two_hundred_schedules_wakes_for_a_reason() {
    let many = (0..200).map(|n| match n % 4 {
        0 => hourly(&format!("s{n}")),
        _ => cron(&format!("s{n}"), &format!("{} {} * * *", n % 60, n % 24)),
    });
    let mut sim = Sim::new(Config::of(many));
    sim.run_for(hours(24));
    let runs = sim.store.runs.len();
    assert!(runs > 1300, "{runs}");
    // Nothing but the capped sleep, which notices a stepped clock, and a timer now and then.
    assert!(sim.idle < 24 * 60 * 2, "{} wakes for nothing", sim.idle);
    sim.store.check_coverage();
}
