//! Runs by hand.

use nightcall::sched::call::Parameters;
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::policy::OverlapPolicy;
use nightcall::sched::run::Origin;
use nightcall::sched::time::civil::date;

use crate::setup::{Config, With, cron, every, hourly, mins, series};
use crate::sim::{Sim, by_hand, made, refused};
use crate::vendor::{Life, Op, Passage};

fn busy() -> Sim {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.vendor.usual = Some(Life::succeeds(mins(20)));
    sim.run_to("01:10");
    sim
}

#[test]
fn a_run_by_hand_goes_at_once_and_is_no_occurrence() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:30");
    let id = made(sim.fire(by_hand("a", "k1")));
    assert_eq!(id.to_string(), "a/default@2026-02-03T01:30:00Z+manual-k1");
    sim.run_to("02:30");
    assert_eq!(sim.story_of(&id), "asked submitting accepted finished");
    let run = &sim.store.runs[&id].run;
    assert_eq!(
        (run.outcome(), run.origin),
        (Some(Outcome::Succeeded), Origin::Manual)
    );
    assert_eq!(sim.outcome("a", "02:00"), Some(Outcome::Succeeded));
    sim.store.check_coverage();
}

#[test]
fn the_answer_comes_after_the_run_is_stored() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.kill = Some((sim.steps + 1, crate::sim::Kill::BeforeCommit));
    assert_eq!(sim.fire(by_hand("a", "k1")), None);
    assert!(sim.store.runs.is_empty());
}

#[test]
fn the_same_key_never_makes_a_second_run_also_over_a_restart() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:30");
    let id = made(sim.fire(by_hand("a", "k1")));
    sim.run_to("01:40");
    assert_eq!(made(sim.fire(by_hand("a", "k1"))), id);
    sim.stop();
    sim.start();
    assert_eq!(made(sim.fire(by_hand("a", "k1"))), id);
    assert_ne!(made(sim.fire(by_hand("a", "k2"))), id);
    sim.run_to("01:50");
    assert_eq!(sim.vendor.count(Op::Submit), 3);
}

#[test]
fn a_busy_series_refuses_a_run_by_hand() {
    let mut sim = busy();
    let answer = refused(sim.fire(by_hand("a", "k1")));
    assert!(
        answer.contains("busy") && answer.contains("--queue"),
        "{answer}"
    );
    assert_eq!(sim.store.runs.len(), 1);
    sim.run_to("01:30");
    made(sim.fire(by_hand("a", "k1")));
}

#[test]
fn queued_it_waits_for_its_turn() {
    let mut sim = busy();
    let id = made(sim.fire(by_hand("a", "k1").with(|r| r.queue = true)));
    sim.run_to("01:50");
    let run = &sim.store.runs[&id].run;
    assert!(run.submitted >= sim.run("a", "01:00").finished);
    assert_eq!(run.outcome(), Some(Outcome::Succeeded));
}

#[test]
fn anyway_it_runs_beside_the_live_run() {
    let mut sim = busy();
    let id = made(sim.fire(by_hand("a", "k1").with(|r| r.anyway = true)));
    sim.run_to("01:12");
    assert!(
        sim.store.runs[&id].run.submitted
            < sim
                .run("a", "01:00")
                .finished
                .or(Some(crate::setup::at("02:00")))
    );
    assert_eq!(sim.state("a", "01:00"), "running");
    assert_eq!(sim.vendor.jobs.len(), 2);
}

#[test]
fn an_occurrence_is_judged_against_a_run_by_hand_like_against_any() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.vendor.usual = Some(Life::succeeds(mins(20)));
    sim.run_to("00:50");
    made(sim.fire(by_hand("a", "k1")));
    sim.run_to("01:05");
    assert_eq!(
        sim.outcome("a", "01:00"),
        Some(Outcome::Skipped(SkipReason::Busy))
    );
}

#[test]
fn the_policy_of_the_series_decides_where_it_allows_more_than_one() {
    for (policy, live) in [(OverlapPolicy::AllowAll, 2), (OverlapPolicy::BufferOne, 1)] {
        let config = Config::of([hourly("a").with(|d| d.policies.overlap = policy)]);
        let mut sim = Sim::with_vendor(config, |v| v.usual = Some(Life::succeeds(mins(20))));
        sim.run_to("01:10");
        made(sim.fire(by_hand("a", "k1")));
        sim.run_to("01:12");
        assert_eq!(sim.vendor.jobs.len(), live, "{policy:?}");
    }
}

#[test]
fn a_lost_predecessor_refuses_a_run_by_hand() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.vendor
        .lives
        .push_back(Life::endless().gone(mins(3), mins(600)));
    sim.run_to("01:30");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Lost));
    let answer = refused(sim.fire(by_hand("a", "k1")));
    assert!(
        answer.contains("lost") && answer.contains("--anyway"),
        "{answer}"
    );
    made(sim.fire(by_hand("a", "k1").with(|r| r.anyway = true)));
}

#[test]
fn overrides_replace_parameters_by_name_and_unknown_names_are_refused() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    let with = |key: &str, name: &str| {
        by_hand("a", key).with(|r| drop(r.overrides.insert(name.into(), "south".into())))
    };
    let answer = refused(sim.fire(with("k1", "regoin")));
    assert!(
        answer.contains("regoin") && answer.contains("region"),
        "{answer}"
    );
    let id = made(sim.fire(with("k2", "region")));
    let Parameters::Named(sent) = &*sim.store.runs[&id].run.parameters else {
        panic!()
    };
    assert_eq!(sent["region"], "south");
}

#[test]
fn a_refused_request_stops_nothing() {
    let config =
        Config::of([hourly("a").with(|d| d.policies.overlap = OverlapPolicy::CancelOther)]);
    let mut sim = Sim::with_vendor(config, |v| v.usual = Some(Life::succeeds(mins(20))));
    sim.run_to("01:10");
    let request = by_hand("a", "k1").with(|r| drop(r.overrides.insert("nope".into(), 1.into())));
    refused(sim.fire(request));
    sim.run_to("01:40");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Succeeded));
}

#[test]
fn parameters_by_position_take_no_overrides() {
    let config = Config::of([
        hourly("a").with(|d| d.parameters = Parameters::Positional(vec![1.into()]).into())
    ]);
    let mut sim = Sim::new(config);
    let request = by_hand("a", "k1").with(|r| drop(r.overrides.insert("x".into(), 1.into())));
    assert!(refused(sim.fire(request)).contains("no names"));
}

#[test]
fn as_of_gives_the_nominal_date_and_not_the_time_of_asking() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:30");
    let id = made(sim.fire(by_hand("a", "k1").with(|r| r.as_of = Some(date(2026, 1, 15)))));
    let run = &sim.store.runs[&id].run;
    assert_eq!(run.civil, date(2026, 1, 15).at(1, 30, 0, 0));
    assert_eq!(run.due, crate::setup::at("01:30"));
}

#[test]
fn unknown_names_are_refused_with_what_there_is() {
    let mut sim = Sim::new(Config::of([
        every("a/north", mins(10)),
        every("a/south", mins(10)),
    ]));
    assert!(refused(sim.fire(by_hand("nope", "k1"))).contains("no schedule called nope"));
    let several = refused(sim.fire(by_hand("a", "k1")));
    assert!(several.contains("north, south"), "{several}");
    let west = by_hand("a", "k1").with(|r| r.set = Some(series("a/west").set));
    let answer = refused(sim.fire(west));
    assert!(
        answer.contains("west") && answer.contains("north, south"),
        "{answer}"
    );
    let north = by_hand("a", "k1").with(|r| r.set = Some(series("a/north").set));
    assert_eq!(made(sim.fire(north)).series, series("a/north"));
}

#[test]
fn an_observer_refuses_runs_by_hand() {
    let mut sim = Sim::new(Config::of([hourly("a")]).with(|c| c.observe = true));
    assert!(refused(sim.fire(by_hand("a", "k1"))).contains("observes"));
}

#[test]
fn while_the_clock_is_in_doubt_runs_by_hand_are_refused() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("00:30");
    sim.step_clock(2 * 3600);
    assert!(refused(sim.fire(by_hand("a", "k1"))).contains("in doubt"));
    sim.step_clock(-2 * 3600);
    made(sim.fire(by_hand("a", "k1")));
}

#[test]
fn a_run_by_hand_whose_answer_is_lost_is_found_like_any() {
    let mut sim = Sim::new(Config::of([cron("a", "0 5 * * *")]));
    sim.run_to("01:30");
    sim.vendor.next(Op::Submit, Passage::lost_reply());
    let id = made(sim.fire(by_hand("a", "k1")));
    sim.run_to("02:00");
    assert_eq!(
        sim.story_of(&id),
        "asked submitting in_doubt found finished"
    );
    assert_eq!(sim.vendor.jobs_of(&id).len(), 1);
}
