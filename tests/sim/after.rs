//! Schedules that come after others.

use nightcall::sched::act::SkipWhat;
use nightcall::sched::notice::NoticeKind;
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::policy::{After, CatchUp, On, OverlapPolicy};
use nightcall::sched::schedule::Definition;

use crate::setup::{
    Config, With, at, catch_up, cron, every, hours, mins, permanent, run_id, secs, series, times,
};
use crate::sim::{Kill, Sim, by_hand, done, made};
use crate::vendor::Life;

const SUCCEEDED: Option<Outcome> = Some(Outcome::Succeeded);
const FAILED: Option<Outcome> = Some(Outcome::Failed);
const NONE: Option<Outcome> = Some(Outcome::Skipped(SkipReason::NoPredecessor));
const AWAITED: Option<Outcome> = Some(Outcome::Skipped(SkipReason::PredecessorAwaited));
const ALL_WELL: Option<Outcome> = Some(Outcome::Skipped(SkipReason::PredecessorSucceeded));

fn after(definition: Definition, names: &[&str], on: On) -> Definition {
    let schedules = names.iter().map(|name| series(name).schedule).collect();
    definition.with(|d| d.after = Some(After { schedules, on }.into()))
}

/// `b` at 02:00 after `a` at 01:00, every day.
fn pair(on: On) -> Config {
    let a = cron("a", "0 1 * * *");
    Config::of([a, after(cron("b", "0 2 * * *"), &["a"], on)])
}

fn with_a(config: Config, life: Life) -> Sim {
    Sim::with_vendor(config, |v| v.lives_of.push(("CALL a", life)))
}

fn failing(config: Config) -> Sim {
    with_a(config, Life::fails(secs(20), permanent()))
}

/// The last line of a run's story.
fn why(sim: &Sim, name: &str, time: &str) -> String {
    let records = &sim.store.runs[&run_id(name, time)].records;
    let why = records.last().and_then(|record| record.why.clone());
    why.unwrap_or_default()
}

fn restart(sim: &mut Sim) {
    sim.stop();
    sim.start();
}

// ---- success -------------------------------------------------------------------------------------------------------

#[test]
fn a_run_starts_when_the_run_of_its_date_that_it_comes_after_has_succeeded() {
    let mut sim = with_a(pair(On::Success), Life::succeeds(mins(90)));
    sim.run_to("02:20");
    assert_eq!(sim.state("b", "02:00"), "pending");
    sim.run_to("02:40");
    assert_eq!(sim.outcome("b", "02:00"), SUCCEEDED);
    let (a, b) = (sim.run("a", "01:00"), sim.run("b", "02:00"));
    assert_eq!(b.submitted, a.finished, "at once");
    assert!(sim.store.notices.is_empty());
    sim.run_to("+1d 02:40");
    assert_eq!(sim.outcomes("b"), [SUCCEEDED; 2], "each day anew");
    sim.store.check_coverage();
}

#[test]
fn a_run_that_is_due_when_all_is_done_does_not_wait() {
    let mut sim = with_a(pair(On::Success), Life::succeeds(mins(5)));
    sim.run_to("02:01");
    assert_eq!(sim.run("b", "02:00").submitted, Some(at("02:00")));
}

#[test]
fn at_equal_instants_the_predecessor_comes_first_whatever_its_place() {
    for names in [["a", "z"], ["z", "a"]] {
        let [first, second] = names;
        let one = cron(first, "0 1 * * *");
        let other = after(cron(second, "0 1 * * *"), &[first], On::Success);
        for definitions in [[one.clone(), other.clone()], [other, one]] {
            let mut sim = Sim::new(Config::of(definitions));
            sim.run_to("01:30");
            let finished = sim.run(first, "01:00").finished;
            assert_eq!(sim.outcome(second, "01:00"), SUCCEEDED);
            assert!(sim.run(second, "01:00").submitted >= finished);
        }
    }
}

#[test]
fn a_herd_that_is_decided_in_several_steps_hides_no_predecessor() {
    let first = |d: &mut Definition| d.priority = 5;
    let b = after(cron("b", "0 1 * * *"), &["a"], On::Success).with(first);
    let herd = (0..600).map(|n| cron(&format!("h{n}"), "0 1 * * *"));
    let a = cron("a", "0 1 * * *").with(first);
    let mut sim = Sim::new(Config::of(std::iter::once(b).chain(herd).chain([a])));
    sim.run_to("01:04");
    assert_eq!(sim.outcome("b", "01:00"), SUCCEEDED);
}

#[test]
fn all_runs_of_the_date_up_to_the_own_due_time_count_and_later_ones_do_not() {
    let a = cron("a", "0,30 1-3 * * *");
    let b = after(cron("b", "10 2 * * *"), &["a"], On::Success);
    let mut sim = Sim::with_vendor(Config::of([a, b]), |v| {
        for life in [mins(1), mins(1), mins(25)] {
            v.lives.push_back(Life::succeeds(life));
        }
    });
    sim.run_to("02:20");
    assert_eq!(sim.state("b", "02:10"), "pending", "02:00 runs still");
    sim.run_to("02:40");
    assert_eq!(sim.outcome("b", "02:10"), SUCCEEDED);
    let finished = sim.run("a", "02:00").finished;
    assert_eq!(sim.run("b", "02:10").submitted, finished, "02:30 is later");
}

#[test]
fn several_predecessors_must_all_have_succeeded() {
    let b = after(cron("b", "0 2 * * *"), &["a", "c"], On::Success);
    let config = Config::of([cron("a", "0 1 * * *"), b, cron("c", "30 1 * * *")]);
    let mut sim = Sim::with_vendor(config, |v| {
        v.lives_of.push(("CALL c", Life::succeeds(mins(60))));
    });
    sim.run_to("02:20");
    assert_eq!(sim.state("b", "02:00"), "pending");
    sim.run_to("02:40");
    assert_eq!(
        sim.run("b", "02:00").submitted,
        sim.run("c", "01:30").finished
    );
}

// ---- none ----------------------------------------------------------------------------------------------------------

#[test]
fn without_a_run_on_its_date_it_is_skipped_at_once_and_quietly() {
    // The first day is a Tuesday.
    let b = after(cron("b", "0 2 * * *"), &["a"], On::Any);
    let mut sim = Sim::new(Config::of([cron("a", "0 1 * * WED"), b]));
    sim.run_to("02:01");
    assert_eq!(sim.outcome("b", "02:00"), NONE);
    assert_eq!(sim.run("b", "02:00").finished, Some(at("02:00")));
    let why = why(&sim, "b", "02:00");
    assert!(why.contains("a has no run on 2026-02-03 (UTC)"), "{why}");
    assert!(sim.store.notices.is_empty());
    sim.run_to("+1d 02:10");
    assert_eq!(sim.outcome("b", "+1d 02:00"), SUCCEEDED);
}

#[test]
fn a_predecessor_later_on_the_date_and_one_that_is_not_planned_are_none() {
    let b = after(cron("b", "0 2 * * *"), &["a"], On::Success);
    let c = after(cron("c", "0 2 * * *"), &["gone"], On::Success);
    let mut sim = Sim::new(Config::of([cron("a", "1 2 * * *"), b, c]));
    sim.run_to("02:30");
    assert_eq!(sim.outcome("b", "02:00"), NONE);
    assert_eq!(sim.outcome("c", "02:00"), NONE);
    assert!(why(&sim, "c", "02:00").contains("gone is not planned"));
}

#[test]
fn who_comes_after_one_without_work_has_no_work_either() {
    let b = after(cron("b", "0 2 * * *"), &["a"], On::Success);
    let c = after(cron("c", "0 2 * * *"), &["b"], On::Success);
    let d = after(cron("d", "0 2 * * *"), &["c"], On::Any);
    let mut sim = Sim::new(Config::of([d, c, b, cron("a", "0 1 * * WED")]));
    sim.run_to("02:01");
    assert_eq!(["b", "c", "d"].map(|n| sim.outcome(n, "02:00")), [NONE; 3]);
    sim.run_to("+1d 02:30");
    let next = ["b", "c", "d"].map(|n| sim.outcome(n, "+1d 02:00"));
    assert_eq!(next, [SUCCEEDED; 3]);
}

// ---- what did not end well -----------------------------------------------------------------------------------------

#[test]
fn after_a_failure_it_waits_for_a_person_who_is_told_once_and_can_mend_it() {
    let mut sim = failing(pair(On::Success));
    sim.run_to("02:30");
    assert_eq!(sim.outcome("a", "01:00"), FAILED);
    assert_eq!(sim.state("b", "02:00"), "pending");
    let told = sim.notices(NoticeKind::Late);
    assert_eq!(told.len(), 1);
    let failed = "a/default@2026-02-03T01:00:00Z failed";
    assert!(told[0].subject.contains(failed), "{}", told[0].subject);
    restart(&mut sim);
    sim.vendor.lives_of.clear();
    sim.vendor.usual = Some(Life::succeeds(mins(10)));
    done(sim.retry("a", "01:00"));
    sim.run_to("02:35");
    assert_eq!(sim.state("b", "02:00"), "pending", "it runs again");
    sim.run_to("03:00");
    assert_eq!(sim.outcome("b", "02:00"), SUCCEEDED);
    assert_eq!(sim.notices(NoticeKind::Late).len(), 1);
}

#[test]
fn a_second_failure_is_told_like_the_first() {
    let mut sim = failing(pair(On::Success));
    sim.run_to("02:30");
    done(sim.retry("a", "01:00"));
    sim.run_to("02:40");
    let told = sim.notices(NoticeKind::Late);
    assert_eq!(told.len(), 2);
    assert!(
        told[1]
            .subject
            .contains("a/default@2026-02-03T01:00:00Z+1 failed")
    );
}

#[test]
fn the_wait_ends_at_the_start_deadline_and_says_for_whom_it_waited() {
    let mut config = pair(On::Success);
    config.definitions[1].start_deadline = hours(1);
    let mut sim = failing(config.clone());
    sim.run_to("03:01");
    assert_eq!(sim.outcome("b", "02:00"), AWAITED);
    assert_eq!(sim.run("b", "02:00").finished, Some(at("03:00")));
    let text = why(&sim, "b", "02:00");
    assert!(
        text.contains("a/default@2026-02-03T01:00:00Z failed"),
        "{text}"
    );
    let told = sim.notices(NoticeKind::Late);
    assert!(told[1].subject.contains("did not start in time"));
    let mut sim = with_a(config, Life::succeeds(hours(5)));
    sim.run_to("03:01");
    assert_eq!(sim.outcome("b", "02:00"), AWAITED);
    let text = why(&sim, "b", "02:00");
    assert!(
        text.contains("a/default@2026-02-03T01:00:00Z is running"),
        "{text}"
    );
    assert_eq!(sim.notices(NoticeKind::Late).len(), 1);
}

#[test]
fn a_deadline_that_passed_while_nobody_watched_ends_the_wait_by_what_is_known() {
    let mut config = pair(On::Success);
    config.definitions[1].start_deadline = hours(1);
    let mut sim = failing(config);
    sim.run_to("02:10");
    sim.stop();
    sim.run_to("05:00");
    sim.start();
    sim.run_to("05:02");
    assert_eq!(sim.outcome("b", "02:00"), AWAITED);
}

#[test]
fn on_any_end_it_starts_however_they_ended_and_not_before() {
    let mut sim = failing(pair(On::Any));
    sim.run_to("02:10");
    assert_eq!(sim.outcome("b", "02:00"), SUCCEEDED);
    let mut sim = with_a(pair(On::Any), Life::succeeds(mins(90)));
    sim.run_to("02:20");
    assert_eq!(sim.state("b", "02:00"), "pending");
}

#[test]
fn on_failure_it_starts_after_a_failure_and_is_skipped_quietly_after_a_success() {
    let mut sim = failing(pair(On::Failure));
    sim.run_to("02:10");
    assert_eq!(sim.outcome("b", "02:00"), SUCCEEDED);
    let mut sim = with_a(pair(On::Failure), Life::succeeds(mins(90)));
    sim.run_to("02:20");
    assert_eq!(sim.state("b", "02:00"), "pending");
    sim.run_to("02:40");
    assert_eq!(sim.outcome("b", "02:00"), ALL_WELL);
    assert!(sim.store.notices.is_empty());
}

#[test]
fn one_that_was_ready_waits_again_while_what_it_comes_after_runs_again() {
    let mut sim = failing(pair(On::Any));
    sim.run_to("01:30");
    sim.config.connections[0].max_in_flight = 0;
    let none = sim.config.clone();
    done(sim.reload(none));
    sim.run_to("02:10");
    assert_eq!(sim.state("b", "02:00"), "pending", "there is no slot");
    sim.vendor.lives_of.clear();
    sim.vendor.usual = Some(Life::succeeds(mins(10)));
    done(sim.retry("a", "01:00"));
    sim.config.connections[0].max_in_flight = 50;
    let many = sim.config.clone();
    done(sim.reload(many));
    sim.run_to("02:15");
    assert_eq!(sim.state("b", "02:00"), "pending");
    sim.run_to("02:40");
    assert_eq!(sim.outcome("b", "02:00"), SUCCEEDED);
}

// ---- what was passed over ------------------------------------------------------------------------------------------

#[test]
fn a_predecessor_that_was_passed_over_that_day_is_no_success() {
    let mut config = pair(On::Success);
    config.definitions[1].start_deadline = hours(1);
    let mut sim = Sim::new(config.clone());
    done(sim.skip("a", SkipWhat::Next(1)));
    sim.run_to("02:10");
    assert_eq!(sim.state("b", "02:00"), "pending");
    let told = sim.notices(NoticeKind::Late);
    assert!(told[0].subject.contains("no run of a was made that day"));
    sim.run_to("03:01");
    assert_eq!(sim.outcome("b", "02:00"), AWAITED);
    for (on, outcome) in [(On::Any, SUCCEEDED), (On::Failure, SUCCEEDED)] {
        let mut sim = Sim::new(pair(on));
        done(sim.skip("a", SkipWhat::Next(1)));
        sim.run_to("02:10");
        assert_eq!(sim.outcome("b", "02:00"), outcome, "{on:?}");
    }
}

#[test]
fn what_passed_in_a_pause_and_is_caught_up_ends_the_wait() {
    let mut sim = Sim::new(pair(On::Success));
    done(sim.pause("a", None));
    sim.run_to("02:30");
    assert_eq!(sim.state("b", "02:00"), "pending");
    done(sim.resume("a", true));
    sim.run_to("02:40");
    assert_eq!(sim.outcome("b", "02:00"), SUCCEEDED);
}

#[test]
fn a_time_that_is_passed_over_beside_others_that_ran_is_nothing_to_wait_for() {
    let a = cron("a", "0,10,30 1 * * *");
    let b = after(cron("b", "0 2 * * *"), &["a"], On::Success);
    let config = Config::of([a, b]);
    // 01:10 finds the series busy.
    let mut sim = with_a(config, Life::succeeds(mins(15)));
    sim.run_to("02:10");
    let busy = Some(Outcome::Skipped(SkipReason::Busy));
    assert_eq!(sim.outcomes("a"), [SUCCEEDED, busy, SUCCEEDED]);
    assert_eq!(sim.outcome("b", "02:00"), SUCCEEDED);
}

#[test]
fn times_that_were_missed_in_bulk_are_passed_over_and_no_success_also_after_another_start() {
    let none = |d: &mut Definition| d.policies.misfire = catch_up(CatchUp::None, hours(12), 1);
    let a = cron("a", "* 1 * * *").with(none);
    let b = after(cron("b", "0 2 * * *"), &["a"], On::Success);
    let mut sim = Sim::new(Config::of([a, b]));
    sim.run_to("00:30");
    sim.stop();
    sim.run_to("02:30");
    sim.start();
    sim.run_to("02:40");
    assert!(!sim.store.missed.is_empty());
    assert_eq!(sim.state("b", "02:00"), "pending", "caught up, and waits");
    restart(&mut sim);
    sim.run_to("02:50");
    assert_eq!(sim.state("b", "02:00"), "pending");
    assert_eq!(sim.notices(NoticeKind::Late).len(), 1);
}

#[test]
fn both_are_caught_up_after_an_outage_and_keep_their_order() {
    let mut sim = with_a(pair(On::Success), Life::succeeds(mins(30)));
    sim.run_to("00:30");
    sim.stop();
    sim.run_to("05:00");
    sim.start();
    sim.run_to("06:00");
    let (a, b) = (sim.run("a", "01:00"), sim.run("b", "02:00"));
    assert_eq!((a.outcome(), b.outcome()), (SUCCEEDED, SUCCEEDED));
    assert!(b.submitted >= a.finished);
}

// ---- sets and zones ------------------------------------------------------------------------------------------------

#[test]
fn a_set_comes_after_the_set_of_the_same_name_and_else_after_all() {
    let b = |name: &str| after(cron(name, "0 2 * * *"), &["a"], On::Success);
    let config = Config::of([
        cron("a/north", "0 1 * * *"),
        cron("a/south", "0 1 * * *"),
        b("b/north"),
        b("b/south"),
        b("b/west"),
    ]);
    let mut sim = Sim::with_vendor(config, |v| {
        v.lives_of.push(("a_south", Life::succeeds(mins(90))));
    });
    sim.run_to("02:10");
    assert_eq!(sim.outcome("b/north", "02:00"), SUCCEEDED);
    assert_eq!(sim.state("b/south", "02:00"), "pending");
    assert_eq!(
        sim.state("b/west", "02:00"),
        "pending",
        "it comes after all"
    );
    sim.run_to("02:40");
    let all = ["b/south", "b/west"].map(|n| sim.outcome(n, "02:00"));
    assert_eq!(all, [SUCCEEDED; 2]);
}

#[test]
fn the_date_is_that_of_the_predecessors_zone() {
    // 09:00 of 3 February in Tokyo is 00:00Z, and midnight there 15:00Z.
    let tokyo = cron("a", "10 9 * * *").with(|d| times(d).zone = "Asia/Tokyo".to_owned());
    let b = |name, line| after(cron(name, line), &["a"], On::Success);
    let config = Config::of([tokyo, b("b", "59 14 * * *"), b("c", "0 15 * * *")]);
    let mut sim = Sim::new(config);
    sim.run_to("15:10");
    assert_eq!(sim.outcome("b", "14:59"), SUCCEEDED);
    assert_eq!(sim.outcome("c", "15:00"), NONE);
    let why = why(&sim, "c", "15:00");
    assert!(why.contains("2026-02-04 (Asia/Tokyo)"), "{why}");
}

// ---- beside other rules --------------------------------------------------------------------------------------------

#[test]
fn a_run_by_hand_waits_for_nobody_and_is_nobodys_predecessor() {
    let mut sim = failing(pair(On::Success));
    sim.run_to("01:30");
    let id = made(sim.fire(by_hand("b", "k")));
    sim.run_to("01:40");
    assert_eq!(sim.store.runs[&id].run.outcome(), SUCCEEDED);
    sim.run_to("02:10");
    sim.vendor.lives_of.clear();
    made(sim.fire(by_hand("a", "l")));
    sim.run_to("02:30");
    assert_eq!(sim.state("b", "02:00"), "pending");
}

#[test]
fn who_waits_is_live_so_the_next_time_follows_the_overlap_policy() {
    let b = after(cron("b", "0,30 2 * * *"), &["a"], On::Success);
    let config = Config::of([cron("a", "0 1 * * *"), b]);
    let mut sim = failing(config);
    sim.run_to("02:40");
    let busy = Some(Outcome::Skipped(SkipReason::Busy));
    assert_eq!(sim.outcomes("b"), [None, busy]);
    done(sim.cancel(run_id("b", "02:00")));
    assert_eq!(sim.outcome("b", "02:00"), Some(Outcome::Cancelled));
}

#[test]
fn who_waits_takes_no_slot_and_holds_up_nobody_of_its_series() {
    let b = after(cron("b", "0 2 * * *"), &["a"], On::Success).with(|d| {
        d.policies.overlap = OverlapPolicy::BufferOne;
        d.start_deadline = hours(60);
    });
    let all = |d: &mut Definition| d.policies.misfire = catch_up(CatchUp::All, hours(80), 9);
    let mut config = Config::of([cron("a", "0 1 * * *"), b.with(all), cron("c", "30 2 * * *")]);
    config.connections[0].max_in_flight = 1;
    let mut sim = failing(config);
    sim.run_to("02:20");
    sim.vendor.lives_of.clear();
    sim.run_to("02:40");
    assert_eq!(sim.outcome("c", "02:30"), SUCCEEDED);
    assert_eq!(sim.state("b", "02:00"), "pending");
    sim.stop();
    // Two days are caught up; those of the first day wait still.
    sim.run_to("+2d 05:00");
    sim.start();
    sim.run_to("+2d 06:00");
    assert_eq!(sim.outcome("b", "+2d 02:00"), SUCCEEDED);
    assert_eq!(sim.state("b", "02:00"), "pending");
}

#[test]
fn very_many_that_wait_for_one_start_together_in_bounded_time() {
    let b = after(every("b", secs(2)), &["a"], On::Success).with(|d| {
        d.policies.overlap = OverlapPolicy::AllowAll;
        times(d).from = Some("2026-02-03T01:00:00".parse().unwrap());
    });
    let mut config = Config::of([cron("a", "0 1 * * *"), b]);
    config.connections[0].max_in_flight = 100_000;
    config.connections[0].requests_per_minute = 1_000_000;
    let mut sim = with_a(config, Life::succeeds(mins(60)));
    sim.run_to("01:59");
    let waiting = sim.store.live_count();
    assert!(waiting > 1_700, "{waiting}");
    let began = std::time::Instant::now();
    sim.run_to("02:00:50");
    assert!(began.elapsed() < secs(20), "{:?}", began.elapsed());
    let rows = sim.store.runs.values();
    let started = rows.filter(|row| row.run.id.series == series("b") && row.run.attempt > 0);
    assert!(started.count() > 1_700);
}

// ---- restarts and reloads ------------------------------------------------------------------------------------------

#[test]
fn what_ended_before_a_start_counts_after_it() {
    for (life, expected) in [
        (Life::succeeds(mins(5)), SUCCEEDED),
        (Life::fails(secs(20), permanent()), None),
    ] {
        let mut sim = with_a(pair(On::Success), life);
        sim.run_to("01:30");
        restart(&mut sim);
        sim.run_to("02:10");
        assert_eq!(sim.outcome("b", "02:00"), expected);
        restart(&mut sim);
        sim.run_to("02:20");
        assert_eq!(sim.outcome("b", "02:00"), expected);
    }
}

/// A day with a chain, a failure that is mended, and a schedule without work; killed once at a step.
fn a_day_of_chains(kill: Option<(usize, Kill)>) -> Sim {
    let b = after(cron("b", "0 2 * * *"), &["a"], On::Success);
    let c = after(cron("c", "0 2 * * *"), &["b"], On::Success);
    let d = after(cron("d", "0 2 * * *"), &["a"], On::Failure);
    let e = after(cron("e", "0 2 * * *"), &["never"], On::Any);
    let never = cron("never", "0 1 * * WED");
    // Its jobs prove what is absent.
    let z = every("z", mins(20));
    let mut sim = failing(Config::of([cron("a", "0 1 * * *"), b, c, d, e, never, z]));
    sim.run_to("00:55");
    (sim.kill, sim.downtime, sim.steps) = (kill, secs(20), 0);
    sim.run_to("02:20");
    sim.wait_until_running();
    sim.vendor.lives_of.clear();
    while sim.retry("a", "01:00").is_none() {
        sim.wait_until_running();
    }
    sim.run_to("02:59");
    sim
}

#[test]
fn a_kill_between_any_two_steps_changes_nothing_about_who_starts() {
    let ends = |sim: &Sim| {
        let rows = sim.store.runs.values();
        let ends = rows.map(|row| (row.run.id.clone(), row.run.outcome()));
        ends.collect::<Vec<_>>()
    };
    let undisturbed = a_day_of_chains(None);
    let expected = ends(&undisturbed);
    let of = |name: &str| undisturbed.outcome(name, "02:00");
    assert_eq!(
        ["b", "c", "d", "e"].map(of),
        [SUCCEEDED, SUCCEEDED, SUCCEEDED, NONE]
    );
    for step in 1..=undisturbed.steps {
        for point in [Kill::BeforeCommit, Kill::AfterCommit, Kill::AfterEffects(1)] {
            let sim = a_day_of_chains(Some((step, point)));
            assert_eq!(ends(&sim), expected, "killed at step {step}, {point:?}");
            sim.store.check_coverage();
        }
    }
}

#[test]
fn a_reload_that_names_a_new_predecessor_knows_what_it_did_that_day() {
    for (life, expected) in [
        (Life::succeeds(mins(5)), SUCCEEDED),
        (Life::fails(secs(20), permanent()), None),
    ] {
        let plain = Config::of([cron("a", "0 1 * * *"), cron("b", "0 2 * * *")]);
        let mut sim = with_a(plain, life);
        sim.run_to("01:30");
        done(sim.reload(pair(On::Success)));
        sim.run_to("02:10");
        assert_eq!(sim.outcome("b", "02:00"), expected);
    }
}

#[test]
fn what_waits_is_judged_anew_by_the_configuration_that_is_read() {
    let waiting = || {
        let mut sim = failing(pair(On::Success));
        sim.run_to("02:10");
        assert_eq!(sim.state("b", "02:00"), "pending");
        sim
    };
    let plain = Config::of([cron("a", "0 1 * * *"), cron("b", "0 2 * * *")]);
    let gone = after(cron("b", "0 2 * * *"), &["a"], On::Success);
    let table = [
        (plain, SUCCEEDED),
        (pair(On::Any), SUCCEEDED),
        (pair(On::Success), None),
        (Config::of([gone]), NONE),
    ];
    for (config, expected) in table {
        let mut sim = waiting();
        done(sim.reload(config.clone()));
        sim.run_to("02:20");
        assert_eq!(sim.outcome("b", "02:00"), expected, "by a reload");
        let mut sim = waiting();
        sim.stop();
        sim.config = config;
        sim.start();
        sim.run_to("02:20");
        assert_eq!(sim.outcome("b", "02:00"), expected, "by a start");
    }
}

#[test]
fn what_is_in_the_queue_waits_when_a_reload_says_so() {
    let plain = Config::of([cron("a", "0 1 * * *"), cron("b", "0 2 * * *")]);
    let mut sim = failing(plain);
    sim.run_to("01:30");
    sim.config.connections[0].max_in_flight = 0;
    let none = sim.config.clone();
    done(sim.reload(none));
    sim.run_to("02:10");
    let mut waits = pair(On::Success);
    waits.connections[0].max_in_flight = 50;
    done(sim.reload(waits));
    sim.run_to("02:20");
    assert_eq!(sim.state("b", "02:00"), "pending");
}

// ---- bounds --------------------------------------------------------------------------------------------------------

#[test]
fn a_busy_predecessor_of_many_days_is_known_by_the_dates_that_matter() {
    let a = every("a", mins(30));
    let b = after(cron("b", "0 2 * * *"), &["a"], On::Success);
    let mut sim = Sim::new(Config::of([a, b]));
    sim.run_to("+5d 03:00");
    assert_eq!(sim.outcomes("b"), [SUCCEEDED; 6]);
    let now = sim.now().wall;
    let known = sim.store.predecessors(&sim.config.setup(), now);
    // Its start deadline, what is caught up, and two days: 66 hours.
    assert_eq!(known.runs.len(), 66 * 2 + 1);
}
