//! Runs that somebody stops.

use nightcall::sched::outcome::Outcome;
use nightcall::sched::policy::OverlapPolicy;

use super::{CANCELLED, SUCCEEDED, restart};
use crate::setup::{Config, With, hourly, http_502, mins, run_id, secs, unavailable, unreachable};
use crate::sim::{Sim, denied, done};
use crate::vendor::{Life, Op, Passage};

#[test]
fn a_run_that_waits_is_cancelled_at_once() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("00:59");
    sim.vendor.down(unreachable());
    sim.run_to("01:05");
    done(sim.cancel(run_id("a", "01:00")));
    assert_eq!(sim.outcome("a", "01:00"), CANCELLED);
    let story = sim.story("a", "01:00");
    assert!(story.ends_with("cancel_asked finished"), "{story}");
    sim.vendor.up();
    sim.run_to("01:30");
    assert_eq!(sim.jobs("a", "01:00"), 0);
}

#[test]
fn a_wish_to_stop_is_remembered_until_the_job_is_known_also_over_a_restart() {
    let life = || Some(Life::succeeds(mins(30)));
    for restarted in [false, true] {
        let mut sim = Sim::with_vendor(Config::of([hourly("a")]), |v| v.usual = life());
        sim.run_to("00:59:59");
        sim.vendor.next(Op::Submit, Passage::lost_reply());
        sim.run_to("01:00:05");
        assert_eq!(sim.state("a", "01:00"), "submitting");
        done(sim.cancel(run_id("a", "01:00")));
        if restarted {
            restart(&mut sim);
        }
        sim.run_to("01:20");
        assert_eq!(sim.outcome("a", "01:00"), CANCELLED, "{restarted}");
        assert_eq!(sim.jobs("a", "01:00"), 1);
    }
}

#[test]
fn a_job_is_stopped_and_that_is_verified() {
    let mut sim = Sim::with_vendor(Config::of([hourly("a")]), |v| {
        v.usual = Some(Life::succeeds(mins(30)));
    });
    sim.run_to("01:10");
    assert_eq!(
        done(sim.cancel(run_id("a", "01:00"))),
        [run_id("a", "01:00")]
    );
    assert_eq!(sim.state("a", "01:00"), "cancelling");
    sim.run_to("01:15");
    assert_eq!(sim.outcome("a", "01:00"), CANCELLED);
    assert_eq!(
        sim.story("a", "01:00"),
        "planned submitting accepted cancel_asked cancelling finished"
    );
    let records = &sim.store.runs[&run_id("a", "01:00")].records;
    assert_eq!(records[3].why.as_deref(), Some("uid 1000: because"));
}

#[test]
fn asking_twice_to_stop_is_one_wish() {
    let mut sim = Sim::with_vendor(Config::of([hourly("a")]), |v| {
        v.usual = Some(Life::endless());
    });
    sim.run_to("01:10");
    done(sim.cancel(run_id("a", "01:00")));
    done(sim.cancel(run_id("a", "01:00")));
    assert_eq!(sim.store.deeds.len(), 1);
    assert_eq!(sim.story("a", "01:00").matches("cancel_asked").count(), 1);
}

#[test]
fn a_run_that_has_ended_cannot_be_cancelled_and_one_that_never_was_neither() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:30");
    let answer = denied(sim.cancel(run_id("a", "01:00")));
    assert!(answer.contains("has ended already: succeeded"), "{answer}");
    let answer = denied(sim.cancel(run_id("a", "07:00")));
    assert!(answer.contains("there is no run"), "{answer}");
    assert!(sim.store.deeds.is_empty());
}

#[test]
fn who_waits_behind_a_run_that_is_cancelled_has_its_turn() {
    let config = Config::of([hourly("a").with(|d| d.policies.overlap = OverlapPolicy::BufferOne)]);
    let mut sim = Sim::with_vendor(config, |v| {
        v.lives.push_back(Life::endless());
    });
    sim.run_to("02:10");
    done(sim.cancel(run_id("a", "01:00")));
    sim.run_to("02:30");
    assert_eq!(sim.outcomes("a"), [CANCELLED, SUCCEEDED]);
}

#[test]
fn a_wish_to_stop_leaves_at_once_also_when_the_job_was_not_heard_of_since_the_start() {
    let mut sim = Sim::with_vendor(Config::of([hourly("a")]), |v| {
        v.usual = Some(Life::endless());
    });
    sim.run_to("01:10");
    sim.vendor.always(Op::Poll, Passage::unsure(http_502()));
    restart(&mut sim);
    sim.run_for(secs(1));
    done(sim.cancel(run_id("a", "01:00")));
    sim.run_for(secs(1));
    assert_eq!(sim.vendor.count(Op::Cancel), 1);
    sim.vendor.up();
    sim.run_to("01:20");
    assert_eq!(sim.outcome("a", "01:00"), CANCELLED);
}

#[test]
fn a_request_to_stop_that_a_sleep_or_an_outage_swallowed_is_made_again() {
    let mut sim = Sim::with_vendor(Config::of([hourly("a")]), |v| {
        v.usual = Some(Life::endless());
    });
    sim.run_to("01:10");
    sim.vendor.next(Op::Cancel, Passage::lost_request());
    done(sim.cancel(run_id("a", "01:00")));
    sim.run_for(secs(1));
    sim.suspend(mins(10));
    sim.run_for(mins(10));
    assert_eq!(sim.outcome("a", "01:00"), CANCELLED, "after a sleep");

    sim.run_to("02:10");
    sim.vendor.down(unreachable());
    done(sim.cancel(run_id("a", "02:00")));
    sim.run_to("02:30");
    sim.vendor.up();
    sim.run_to("02:45");
    assert_eq!(sim.outcome("a", "02:00"), CANCELLED, "after an outage");
}

#[test]
fn a_service_that_is_out_for_stop_requests_alone_keeps_no_job_for_ever() {
    let mut sim = Sim::with_vendor(Config::of([hourly("a")]), |v| {
        v.usual = Some(Life::endless());
    });
    sim.run_to("01:10");
    sim.vendor
        .always(Op::Cancel, Passage::unsure(unavailable()));
    done(sim.cancel(run_id("a", "01:00")));
    sim.run_to("01:40");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Lost));
}
