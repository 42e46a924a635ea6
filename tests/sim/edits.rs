//! What changes in the configuration while the daemon is down.

use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::run::CancelWhy;

use crate::setup::{Config, With, at, cron, every, hourly, mins, series, times, unreachable};
use crate::sim::{Sim, by_hand, done, refused};
use crate::vendor::{Life, Op, Passage};

const SUCCEEDED: Option<Outcome> = Some(Outcome::Succeeded);
const MISSED: Option<Outcome> = Some(Outcome::Skipped(SkipReason::Missed));

/// Hourly until 01:30, then down until `until` and started with another configuration.
fn changed(config: Config, until: &str) -> Sim {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:30");
    sim.stop();
    sim.run_to(until);
    sim.config = config;
    sim.start();
    sim
}

#[test]
fn times_up_to_the_start_are_decided_by_the_former_trigger_and_later_ones_by_the_new() {
    let mut sim = changed(Config::of([cron("a", "15 * * * *")]), "03:30");
    sim.run_to("05:00");
    assert_eq!(sim.outcome("a", "02:00"), MISSED);
    assert_eq!(
        sim.outcome("a", "03:00"),
        SUCCEEDED,
        "caught up, as the former trigger has it"
    );
    assert!(!sim.has_run("a", "02:15") && !sim.has_run("a", "03:15"));
    assert_eq!(sim.outcome("a", "04:15"), SUCCEEDED);
    assert!(!sim.has_run("a", "04:00"));
    sim.store.check_coverage();
}

#[test]
fn a_new_trigger_counts_from_the_start_also_when_the_past_waits_for_the_list() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:30");
    sim.stop();
    sim.run_to("03:14:50");
    sim.config = Config::of([cron("a", "15 * * * *")]);
    sim.vendor.down(unreachable());
    sim.start();
    sim.run_to("03:16");
    assert!(
        sim.has_run("a", "03:15"),
        "within the wait, by the new trigger"
    );
    sim.vendor.up();
    sim.run_to("05:00");
    sim.store.check_coverage();
}

#[test]
fn a_former_trigger_gives_its_runs_their_due_times() {
    let config = Config::of([cron("a", "15 * * * *").with(|d| times(d).jitter = mins(59))]);
    let mut sim = changed(config, "03:00:20");
    sim.run_to("03:10");
    assert_eq!(sim.run("a", "03:00").due, at("03:00"));
}

#[test]
fn an_edit_of_anything_else_keeps_the_times() {
    let config = Config::of([hourly("a").with(|d| d.query = "CALL other()".into())]);
    let mut sim = changed(config, "03:30");
    sim.run_to("04:30");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED, MISSED, SUCCEEDED, SUCCEEDED]);
    assert_eq!(sim.vendor.jobs.last().unwrap().query, "CALL other()");
    sim.store.check_coverage();
}

#[test]
fn a_removed_schedule_is_decided_up_to_now_and_closed_and_runs_no_more() {
    let mut sim = changed(Config::of([cron("b", "0 0 * * *")]), "03:30");
    sim.run_to("05:00");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED, MISSED, MISSED]);
    assert!(!sim.store.open.contains_key(&series("a")));
    let answer = refused(sim.fire(by_hand("a", "k")));
    assert!(answer.contains("no schedule called a"), "{answer}");
    sim.store.check_coverage();
}

#[test]
fn a_name_that_returns_is_new() {
    let mut sim = changed(Config::of([cron("b", "0 0 * * *")]), "02:30");
    sim.run_to("02:40");
    sim.stop();
    sim.run_to("04:30");
    sim.config = Config::of([hourly("a")]);
    sim.start();
    sim.run_to("05:30");
    assert!(!sim.has_run("a", "03:00") && !sim.has_run("a", "04:00"));
    assert_eq!(sim.outcome("a", "05:00"), SUCCEEDED);
    sim.store.check_coverage();
}

#[test]
fn a_rename_is_a_removal_and_a_birth() {
    let mut sim = changed(Config::of([hourly("z")]), "03:30");
    sim.run_to("04:30");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED, MISSED, MISSED]);
    assert_eq!(sim.outcomes("z"), [SUCCEEDED]);
    sim.store.check_coverage();
}

#[test]
fn a_schedule_that_is_switched_off_runs_no_more_and_says_so() {
    let config = Config::of([]).with(|c| c.disabled = vec![series("a").schedule]);
    let mut sim = changed(config, "03:30");
    sim.run_to("05:00");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED, MISSED, MISSED]);
    let answer = refused(sim.fire(by_hand("a", "k")));
    assert!(answer.contains("switched off"), "{answer}");
}

#[test]
fn a_live_run_of_a_removed_schedule_is_watched_to_its_end() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.vendor.usual = Some(Life::succeeds(mins(40)));
    sim.run_to("01:10");
    sim.stop();
    sim.config = Config::of([cron("b", "0 0 * * *")]);
    sim.start();
    sim.run_to("02:10");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED]);
}

#[test]
fn a_run_of_a_removed_schedule_that_has_not_left_does_not_leave() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("00:50");
    sim.vendor.down(unreachable());
    sim.run_to("01:10");
    sim.stop();
    sim.vendor.up();
    sim.config = Config::of([cron("b", "0 0 * * *")]);
    sim.start();
    sim.run_to("01:30");
    assert_eq!(
        (sim.outcomes("a"), sim.jobs("a", "01:00")),
        (vec![Some(Outcome::Cancelled)], 0)
    );
    let _ = CancelWhy::Removed;
}

#[test]
fn a_live_run_keeps_the_target_that_it_was_submitted_to() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.vendor.usual = Some(Life::succeeds(mins(40)));
    sim.run_to("01:10");
    sim.stop();
    let moved = crate::setup::target("moved");
    sim.config.connections[0].target = moved.clone();
    sim.config.definitions[0].target = moved.clone();
    sim.start();
    sim.run_to("02:30");
    assert_eq!(sim.outcome("a", "01:00"), SUCCEEDED);
    assert_eq!(
        sim.run("a", "01:00").definition.target,
        crate::setup::target("carto")
    );
    assert_eq!(sim.run("a", "02:00").definition.target, moved);
    assert_eq!(sim.vendor.count(Op::Submit), 2);
}

#[test]
fn jobs_at_a_former_target_prove_nothing_at_the_present_one() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("00:59");
    sim.vendor.next(Op::Submit, Passage::lost_reply());
    sim.run_to("01:00:05");
    sim.stop();
    let mut moved = crate::setup::target("carto");
    moved.base_url = "https://gcp-europe-west1.api.carto.com".into();
    sim.config.connections[0].target = moved.clone();
    sim.config.definitions[0].target = moved;
    sim.start();
    sim.run_to("01:30");
    assert_eq!(
        sim.story("a", "01:00"),
        "planned submitting in_doubt found finished"
    );
    let known = sim
        .store
        .connections
        .values()
        .flat_map(|memory| &memory.accepted);
    assert_eq!(known.count(), 0);
}

#[test]
fn a_schedule_that_is_added_has_no_past() {
    let mut sim = changed(Config::of([hourly("a"), hourly("n")]), "03:30");
    sim.run_to("04:30");
    assert_eq!(sim.outcomes("n"), [SUCCEEDED]);
    sim.store.check_coverage();
}

#[test]
fn a_schedule_that_is_added_while_the_clock_is_behind_begins_where_all_others_go_on() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("03:30");
    sim.stop();
    sim.step_clock(-2 * 3600);
    sim.config = Config::of([hourly("a"), every("n", mins(10))]);
    sim.start();
    // Everything up to 03:30 is decided, for every series.
    sim.run_to("05:05");
    sim.stop();
    sim.start();
    sim.run_to("06:05");
    assert!(!sim.has_run("n", "01:40") && !sim.has_run("n", "03:20"));
    assert_eq!(sim.outcome("n", "03:40"), SUCCEEDED);
    sim.store.check_coverage();
}

#[test]
fn a_restart_with_the_same_configuration_fires_nothing() {
    let mut sim = changed(Config::of([hourly("a")]), "01:40");
    sim.run_to("01:59");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED]);
}

#[test]
fn a_schedule_that_waits_to_be_closed_is_closed_by_a_reload() {
    for returns in [false, true] {
        let mut sim = Sim::new(Config::of([hourly("a"), hourly("b")]));
        sim.run_to("03:30");
        sim.stop();
        // Until the clock is where it was, nothing more of it can be decided.
        sim.step_clock(-2 * 3600);
        sim.config = Config::of([hourly("b")]);
        sim.start();
        sim.run_to("03:40");
        let names: &[&str] = if returns { &["a", "b"] } else { &["b"] };
        done(sim.reload(Config::of(names.iter().copied().map(hourly))));
        sim.run_to("08:30");
        assert_eq!(sim.store.open.contains_key(&series("a")), returns);
        sim.store.check_coverage();
    }
}
