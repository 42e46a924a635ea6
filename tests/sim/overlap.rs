//! Busy series under each policy, and the order of what waits.

use nightcall::sched::id::RunId;
use nightcall::sched::notice::NoticeKind;
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::policy::OverlapPolicy;
use nightcall::sched::schedule::Definition;

use crate::setup::{Config, With, at, cron, every, hours, mins, secs};
use crate::sim::{Sim, by_hand, made};
use crate::vendor::{Life, Op, Passage};

const SUCCEEDED: Option<Outcome> = Some(Outcome::Succeeded);
const BUSY: Option<Outcome> = Some(Outcome::Skipped(SkipReason::Busy));

/// Every ten minutes a job of 25.
fn crowded(policy: OverlapPolicy) -> Sim {
    let config = Config::of([every("a", mins(10)).with(|d| d.policies.overlap = policy)]);
    Sim::with_vendor(config, |vendor| {
        vendor.usual = Some(Life::succeeds(mins(25)))
    })
}

#[test]
fn under_skip_the_series_never_has_two_live_runs_and_each_skip_is_on_record() {
    let mut sim = crowded(OverlapPolicy::Skip);
    sim.run_to("01:09");
    let all = sim.outcomes("a");
    assert_eq!(all, [SUCCEEDED, BUSY, BUSY, SUCCEEDED, BUSY, BUSY]);
    assert!(sim.store.notices.is_empty());
}

#[test]
fn under_buffer_one_one_waits_and_the_next_is_skipped() {
    let mut sim = crowded(OverlapPolicy::BufferOne);
    sim.run_to("01:09");
    assert_eq!(sim.outcome("a", "00:10"), SUCCEEDED);
    let full = Some(Outcome::Skipped(SkipReason::BufferFull));
    assert_eq!(sim.outcome("a", "00:30"), full);
    let second = sim.run("a", "00:20");
    assert!(
        second.submitted >= sim.run("a", "00:10").finished,
        "{second:?}"
    );
    assert!(second.submitted.unwrap() < at("00:36"));
    assert_eq!(second.outcome(), SUCCEEDED);
}

#[test]
fn under_cancel_other_the_new_run_waits_until_the_stop_is_confirmed() {
    let mut sim = crowded(OverlapPolicy::CancelOther);
    sim.run_to("00:29");
    let (old, new) = (sim.run("a", "00:10"), sim.run("a", "00:20"));
    assert_eq!(old.outcome(), Some(Outcome::Cancelled));
    assert_eq!(
        sim.story("a", "00:10"),
        "planned submitting accepted cancelling finished"
    );
    let stopped = sim.vendor.jobs[0].asked_to_stop.unwrap() + secs(3);
    assert!(sim.vendor.jobs[1].created >= stopped);
    assert!(new.submitted >= old.finished);
    assert!(new.submitted.unwrap() < at("00:20:20"));
}

#[test]
fn under_cancel_other_a_job_that_does_not_stop_keeps_the_new_run_waiting() {
    let config = Config::of([cron("a", "10,20 0 * * *").with(|d| {
        d.policies.overlap = OverlapPolicy::CancelOther;
        d.timeout = hours(1);
    })]);
    let mut sim = Sim::with_vendor(config, |vendor| {
        vendor
            .lives
            .push_back(Life::succeeds(hours(9)).disobedient());
    });
    sim.run_to("01:05");
    assert_eq!(sim.outcome("a", "00:10"), Some(Outcome::Lost));
    assert_eq!(sim.state("a", "00:20"), "pending");
    sim.run_to("01:20");
    assert!(sim.run("a", "00:20").submitted.unwrap() >= at("01:10"));
    assert_eq!(sim.outcome("a", "00:20"), SUCCEEDED);
}

#[test]
fn a_run_that_is_superseded_while_its_time_limit_stops_it_is_not_tried_again() {
    let config = Config::of([cron("a", "10,20 0 * * *").with(|d| {
        d.policies.overlap = OverlapPolicy::CancelOther;
        d.policies.retry.on_timeout = true;
        d.timeout = mins(9);
    })]);
    let mut life = Life::endless();
    life.obeys = Some(mins(3));
    let mut sim = Sim::with_vendor(config, |vendor| vendor.lives.push_back(life));
    sim.run_to("00:40");
    assert_eq!(
        (sim.outcome("a", "00:10"), sim.jobs("a", "00:10")),
        (Some(Outcome::TimedOut), 1)
    );
    assert_eq!(sim.outcome("a", "00:20"), SUCCEEDED);
    assert!(sim.run("a", "00:20").submitted.unwrap() < at("00:23"));
}

#[test]
fn under_allow_all_runs_go_side_by_side() {
    let mut sim = crowded(OverlapPolicy::AllowAll);
    sim.run_to("01:09");
    for run in sim.store.runs.values() {
        assert_eq!(run.run.submitted, Some(run.run.id.instant));
    }
    assert_eq!(sim.store.runs.len(), 6);
}

#[test]
fn parameter_sets_are_series_of_their_own() {
    let config = Config::of(["a/north", "a/south"].map(|name| every(name, mins(10))));
    let mut sim = Sim::with_vendor(config, |vendor| {
        vendor.lives_of.push(("a_north", Life::succeeds(mins(25))));
    });
    sim.run_to("00:39");
    assert_eq!(sim.outcomes("a/north"), [SUCCEEDED, BUSY, BUSY]);
    assert_eq!(sim.outcomes("a/south"), [SUCCEEDED; 3]);
}

#[test]
fn a_buffered_run_does_not_start_beside_a_lost_one_also_after_a_restart() {
    let config = Config::of([every("a", mins(10)).with(|d| {
        d.policies.overlap = OverlapPolicy::BufferOne;
        d.timeout = hours(2);
    })]);
    let gone = Life::endless().gone(mins(3), mins(600));
    let mut sim = Sim::with_vendor(config, |vendor| vendor.lives.push_back(gone));
    sim.run_to("00:25");
    assert_eq!(sim.outcome("a", "00:10"), Some(Outcome::Lost));
    assert_eq!(sim.state("a", "00:20"), "pending");
    sim.stop();
    sim.start();
    sim.run_to("02:09");
    assert_eq!(sim.state("a", "00:20"), "pending");
    sim.run_to("02:15");
    assert_eq!(sim.outcome("a", "00:20"), SUCCEEDED);
    assert!(sim.run("a", "00:20").submitted.unwrap() >= at("02:10"));
}

#[test]
fn a_queued_run_does_not_overtake_a_live_one_when_a_clock_that_was_set_back_made_it_the_earlier() {
    let mut sim = Sim::new(Config::of([every("a", mins(60))]));
    sim.vendor.usual = Some(Life::succeeds(mins(30)));
    sim.run_to("01:10");
    sim.step_clock(-20 * 60);
    let id = made(sim.fire(by_hand("a", "k").with(|r| r.queue = true)));
    sim.stop();
    sim.start();
    sim.run_to("01:25");
    assert_eq!(sim.vendor.jobs.len(), 1);
    sim.run_to("01:40");
    assert_eq!(sim.vendor.jobs_of(&id).len(), 1);
}

#[test]
fn a_run_waits_for_a_job_that_turns_up_in_a_list_after_it_was_planned() {
    let mut sim = Sim::new(Config::of([every("a", mins(60))]));
    sim.vendor.usual = Some(Life::succeeds(mins(30)));
    sim.run_to("00:50");
    let copy = sim.store.clone();
    let id = made(sim.fire(by_hand("a", "k")));
    sim.run_to("00:51");
    sim.stop();
    sim.restore(copy);
    sim.run_to("00:59:58");
    sim.vendor.next(Op::List, Passage::slow(secs(3), secs(3)));
    sim.start();
    sim.run_to("01:45");
    let (by_hand, planned) = (&sim.store.runs[&id].run, sim.run("a", "01:00"));
    assert!(planned.submitted >= by_hand.finished, "{planned:?}");
}

/// The runs in the order in which their jobs were made.
fn order(sim: &Sim) -> Vec<RunId> {
    sim.vendor
        .jobs
        .iter()
        .map(|job| job.marker.run.clone())
        .collect()
}

fn prioritised(name: &str, priority: i32) -> Definition {
    cron(name, "0 1 * * *").with(|d| d.priority = priority)
}

#[test]
fn slots_go_by_priority_then_due_time_then_name() {
    let earlier = cron("early", "59 0 * * *");
    let blocker = cron("blocker", "58 0 * * *");
    let config = Config::of([
        prioritised("c", 0),
        prioritised("low", -1),
        prioritised("b", 0),
        prioritised("high", 5),
        prioritised("a", 0),
        earlier,
        blocker,
    ])
    .with(|c| c.connections[0].max_in_flight = 1);
    let mut sim = Sim::with_vendor(config, |vendor| {
        vendor.lives_of.push(("blocker", Life::succeeds(mins(10))));
    });
    sim.run_to("02:00");
    let names: Vec<String> = order(&sim)
        .iter()
        .map(|id| id.series.schedule.to_string())
        .collect();
    assert_eq!(names, ["blocker", "high", "early", "a", "b", "c", "low"]);
}

#[test]
fn runs_that_wait_for_a_slot_do_not_start_after_their_deadline() {
    let config = Config::of(
        ["a", "b", "c"].map(|n| cron(n, "0 1 * * *").with(|d| d.start_deadline = mins(30))),
    )
    .with(|c| c.connections[0].max_in_flight = 1);
    let mut sim = Sim::with_vendor(config, |vendor| {
        vendor.usual = Some(Life::succeeds(mins(20)))
    });
    sim.run_to("03:00");
    assert_eq!(
        (sim.outcome("a", "01:00"), sim.outcome("b", "01:00")),
        (SUCCEEDED, SUCCEEDED)
    );
    let late = Some(Outcome::Skipped(SkipReason::StartDeadline));
    assert_eq!(
        (sim.outcome("c", "01:00"), sim.jobs("c", "01:00")),
        (late, 0)
    );
    assert_eq!(sim.run("c", "01:00").finished, Some(at("01:30")));
    assert_eq!(sim.notices(NoticeKind::Late).len(), 1);
}

#[test]
fn a_wish_to_stop_a_run_in_doubt_is_carried_out_when_its_job_is_found() {
    let config = Config::of([
        cron("a", "0,40 10 0 * * *").with(|d| d.policies.overlap = OverlapPolicy::CancelOther)
    ]);
    let mut sim = Sim::with_vendor(config, |vendor| {
        vendor.next(Op::Submit, Passage::lost_reply());
        vendor
            .lives
            .push_back(Life::endless().listed_after(secs(50)));
    });
    sim.run_to("00:30");
    assert_eq!(
        sim.story("a", "00:10"),
        "planned submitting in_doubt cancel_wished cancelling finished"
    );
    assert_eq!(sim.outcome("a", "00:10"), Some(Outcome::Cancelled));
    assert_eq!(sim.outcome("a", "00:10:40"), SUCCEEDED);
}

#[test]
fn a_run_that_waits_for_a_slot_loses_its_turn_when_its_series_becomes_occupied() {
    let mut config = Config::of([cron("a", "5 1 * * *").with(|d| {
        d.policies.overlap = OverlapPolicy::BufferOne;
        d.timeout = hours(3);
    })]);
    config.connections[0].max_in_flight = 1;
    let mut sim = Sim::new(config);
    sim.vendor.usual = Some(Life::endless().gone(mins(5), hours(9)));
    sim.run_to("01:01");
    let first = made(sim.fire(by_hand("a", "k")));
    sim.run_to("01:30");
    assert_eq!(sim.store.runs[&first].run.outcome(), Some(Outcome::Lost));
    assert_eq!(
        sim.jobs("a", "01:05"),
        0,
        "the job of the lost run may live"
    );
}
