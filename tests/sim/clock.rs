//! A wall clock that is set while the daemon runs or sleeps (docs/operations.md, "A clock that leaps").

use nightcall::sched::notice::NoticeKind;
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::policy::CatchUp;
use nightcall::sched::schedule::Definition;

use crate::setup::{Config, With, catch_up, cron, hourly, hours, mins, run_id, secs, unreachable};
use crate::sim::{Sim, by_hand, done, made, refused};
use crate::vendor::{Life, Op, Passage};

const SUCCEEDED: Option<Outcome> = Some(Outcome::Succeeded);

/// The clock is two hours behind; at 00:30 it is set right. (Times of runs are those of the right clock.)
fn set_right() -> Sim {
    let mut sim = Sim::stopped(Config::of([hourly("a")]));
    sim.skew = -2 * 3600 * 1000;
    sim.start();
    sim.run_for(mins(30));
    sim
}

#[test]
fn a_wrong_step_forward_decides_nothing_and_is_told() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("00:30");
    sim.step_clock(2 * 3600);
    sim.run_to("00:40");
    assert!(sim.store.runs.is_empty());
    assert!(sim.snapshot().clock_doubtful);
    assert_eq!(sim.notices(NoticeKind::Clock).len(), 1);
    sim.step_clock(-2 * 3600);
    sim.run_to("01:30");
    assert!(!sim.snapshot().clock_doubtful);
    assert_eq!(sim.outcomes("a"), [SUCCEEDED]);
    sim.store.check_coverage();
}

#[test]
fn a_right_step_forward_is_believed_when_the_vendors_clock_agrees() {
    let mut sim = set_right();
    sim.step_clock(2 * 3600);
    sim.run_for(mins(5));
    assert!(!sim.snapshot().clock_doubtful);
    // 23:00 and 00:00 were stepped over: the newest is caught up.
    let missed = Some(Outcome::Skipped(SkipReason::Missed));
    assert_eq!(sim.outcomes("a"), [missed, SUCCEEDED]);
    sim.store.check_coverage();
}

#[test]
fn a_right_step_forward_is_believed_when_the_system_is_synchronised() {
    let mut sim = set_right();
    sim.vendor.date = None;
    sim.step_clock(2 * 3600);
    sim.run_for(mins(5));
    assert!(sim.snapshot().clock_doubtful && sim.store.runs.is_empty());
    sim.synchronised();
    sim.run_for(mins(5));
    assert!(!sim.snapshot().clock_doubtful);
    assert_eq!(sim.outcomes("a").last(), Some(&SUCCEEDED));
}

#[test]
fn nothing_is_submitted_while_the_clock_is_in_doubt_and_jobs_are_watched() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.vendor.usual = Some(Life::succeeds(mins(20)));
    sim.run_to("01:10");
    sim.step_clock(10 * 3600);
    sim.run_to("01:40");
    assert_eq!(
        sim.story("a", "01:00"),
        "planned submitting accepted finished"
    );
    assert_eq!(sim.outcomes("a"), [SUCCEEDED]);
    assert_eq!(sim.vendor.count(Op::Submit), 1);
}

#[test]
fn a_step_back_fires_nothing_again() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:10");
    sim.step_clock(-30 * 60);
    sim.run_to("02:20");
    // the wall clock has passed 01:00 a second time, at 01:30
    assert_eq!(sim.jobs("a", "01:00"), 1);
    assert_eq!(sim.outcomes("a"), [SUCCEEDED]);
    assert_eq!(sim.notices(NoticeKind::Clock).len(), 1);
    sim.run_to("02:40");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED, SUCCEEDED]);
    sim.store.check_coverage();
}

#[test]
fn a_lost_job_occupies_its_series_also_when_the_clock_was_ahead_before_a_restart() {
    let config = Config::of([cron("a", "0 1 * * *").with(|d| d.timeout = hours(2))]);
    let mut sim = Sim::with_vendor(config, |vendor| {
        vendor.usual = Some(Life::endless().disobedient());
    });
    sim.run_to("01:05");
    done(sim.cancel(run_id("a", "01:00")));
    sim.run_to("01:20");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Lost));
    // The mark goes past the time until which the job may live.
    sim.step_clock(4 * 3600);
    sim.synchronised();
    sim.run_to("01:22");
    sim.step_clock(-4 * 3600);
    sim.stop();
    sim.start();
    sim.run_to("01:25");
    let answer = refused(sim.fire(by_hand("a", "k")));
    assert!(answer.contains("its job may live"), "{answer}");
    sim.run_to("03:05");
    made(sim.fire(by_hand("a", "l")));
}

#[test]
fn a_step_back_over_a_restart_fires_nothing_again() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:10");
    sim.stop();
    sim.step_clock(-30 * 60);
    sim.start();
    assert!(sim.snapshot().clock_behind);
    sim.run_to("02:20");
    assert_eq!((sim.jobs("a", "01:00"), sim.outcomes("a").len()), (1, 1));
    sim.run_to("02:40");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED, SUCCEEDED]);
}

#[test]
fn what_was_missed_is_not_on_time_by_a_clock_that_was_behind_at_the_start() {
    // Seed 29570 of the nights: the time waits for the job list while the clock is set right.
    let never = |d: &mut Definition| d.policies.misfire = catch_up(CatchUp::None, hours(12), 1);
    let mut sim = Sim::new(Config::of([hourly("a").with(never)]));
    sim.run_to("00:50");
    sim.stop();
    sim.run_to("01:04:10");
    sim.step_clock(-4 * 60);
    sim.vendor.down(unreachable());
    sim.start();
    sim.run_for(secs(20));
    assert_eq!(sim.outcomes("a"), []);
    sim.step_clock(4 * 60);
    sim.vendor.up();
    sim.run_for(mins(5));
    assert_eq!(
        sim.outcomes("a"),
        [Some(Outcome::Skipped(SkipReason::Missed))]
    );
    sim.store.check_coverage();
}

#[test]
fn a_second_step_back_is_told_again() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:10");
    sim.step_clock(-10 * 60);
    sim.run_to("01:40");
    sim.step_clock(-10 * 60);
    sim.run_to("02:30");
    assert_eq!(sim.notices(NoticeKind::Clock).len(), 2);
}

#[test]
fn a_step_back_lengthens_no_time_limit_and_turns_no_time_of_a_run_back() {
    let mut sim = Sim::new(Config::of([hourly("a").with(|d| d.timeout = mins(20))]));
    sim.vendor.usual = Some(Life::endless());
    sim.run_to("01:10");
    sim.step_clock(-5 * 3600);
    sim.run_to("01:25");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::TimedOut));
}

#[test]
fn a_start_more_than_a_day_after_the_last_stored_time_waits_for_the_vendors_clock() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:30");
    sim.stop();
    sim.run_for(hours(30));
    sim.vendor.always(Op::List, Passage::silence());
    sim.start();
    sim.run_for(mins(1));
    assert_eq!(
        (sim.store.runs.len(), sim.snapshot().clock_doubtful),
        (1, true)
    );
    assert_eq!(sim.notices(NoticeKind::Clock).len(), 1);
    sim.vendor.up();
    sim.run_for(mins(5));
    assert!(!sim.snapshot().clock_doubtful);
    assert!(sim.store.missed.iter().map(|m| m.count).sum::<u64>() >= 28);
    sim.store.check_coverage();
}

#[test]
fn a_start_on_a_clock_that_is_a_month_ahead_decides_nothing() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:30");
    sim.stop();
    sim.step_clock(30 * 24 * 3600);
    sim.start();
    sim.run_for(mins(20));
    assert_eq!(sim.store.runs.len(), 1);
    sim.step_clock(-30 * 24 * 3600);
    sim.run_to("02:30");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED, SUCCEEDED]);
}

#[test]
fn small_steps_both_ways_lose_and_double_nothing() {
    let mut sim = Sim::new(Config::of([crate::setup::every("a", mins(1))]));
    sim.vendor.usual = Some(Life::succeeds(secs(5)));
    for step in [40, -40, 50, -30, -20, 59, -59].repeat(4) {
        sim.run_for(secs(97));
        sim.step_clock(step);
    }
    sim.run_for(mins(5));
    sim.store.check_coverage();
}

#[test]
fn a_job_is_not_cancelled_because_a_start_believes_that_it_ran_for_a_month() {
    let mut sim = Sim::new(Config::of([hourly("a").with(|d| d.timeout = hours(2))]));
    sim.vendor.usual = Some(Life::succeeds(mins(50)));
    sim.run_to("01:10");
    sim.stop();
    sim.step_clock(30 * 24 * 3600);
    sim.start();
    sim.run_for(mins(20));
    assert_eq!(sim.state("a", "01:00"), "running");
    sim.step_clock(-30 * 24 * 3600);
    sim.run_to("02:30");
    assert_eq!(sim.outcome("a", "01:00"), SUCCEEDED);
}

#[test]
fn a_series_is_not_freed_by_a_leap_of_the_clock() {
    // The job of 01:00 does not stop and its run is lost; it may live for three more hours.
    let long = hourly("a").with(|d| {
        d.timeout = hours(4);
        d.cancel_grace = mins(5);
    });
    let mut sim = Sim::new(Config::of([long]));
    sim.vendor.usual = Some(Life::endless().gone(mins(5), hours(9)));
    sim.run_to("01:40");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Lost));
    sim.step_clock(6 * 3600);
    sim.run_for(secs(1));
    sim.step_clock(-6 * 3600);
    sim.run_to("02:10");
    assert_eq!(sim.jobs("a", "02:00"), 0, "its series is occupied");
}

#[test]
fn the_vendors_clock_is_asked_for_again_and_again_while_ours_is_in_doubt() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:30");
    sim.stop();
    sim.run_for(hours(30));
    // The list is silent until long after the first reading was given up; nothing else is to be asked.
    sim.vendor.always(Op::List, Passage::silence());
    sim.start();
    sim.run_for(mins(30));
    assert!(sim.snapshot().clock_doubtful);
    sim.vendor.up();
    sim.run_for(mins(5));
    assert!(!sim.snapshot().clock_doubtful);
}

#[test]
fn a_schedule_that_is_first_seen_on_a_clock_far_ahead_begins_when_the_clock_is_right() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("00:30");
    sim.stop();
    sim.config = Config::of([hourly("a"), hourly("b")]);
    sim.vendor.down(unreachable());
    sim.step_clock(30 * 86_400);
    sim.start();
    sim.run_for(mins(1));
    assert!(sim.snapshot().clock_doubtful);
    sim.step_clock(-30 * 86_400);
    sim.synchronised();
    sim.vendor.up();
    sim.run_to("03:30");
    assert_eq!(sim.outcomes("b"), [SUCCEEDED; 3]);
    sim.store.check_coverage();
}
