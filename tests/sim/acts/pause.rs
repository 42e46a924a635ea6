//! Pauses: what passes, what waits, and what runs afterwards.

use nightcall::sched::id::RunId;
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::policy::CatchUp;
use nightcall::sched::run::Origin;

use super::{PAUSED, SUCCEEDED, later, outcome_of, restart};
use crate::setup::{
    Config, With, at, catch_up, cron, every, hourly, hours, mins, secs, transient, unreachable,
};
use crate::sim::{Sim, by_hand, denied, done, made, refused};
use crate::vendor::{Life, Op, Passage};

#[test]
fn while_a_schedule_is_paused_its_times_pass_and_others_go_on() {
    let mut sim = Sim::new(Config::of([hourly("a"), hourly("b")]));
    sim.run_to("01:30");
    done(sim.pause("a", None));
    sim.run_to("03:30");
    done(sim.resume("a", false));
    sim.run_to("04:30");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED, PAUSED, PAUSED, SUCCEEDED]);
    assert_eq!(sim.outcomes("b"), [SUCCEEDED; 4]);
    sim.store.check_coverage();
}

#[test]
fn a_pause_of_everything_holds_back_everything_and_one_of_a_schedule_within_it_lasts() {
    let mut sim = Sim::new(Config::of([hourly("a"), hourly("b")]));
    done(sim.pause("*", None));
    done(sim.pause("a", None));
    sim.run_to("01:30");
    let answer = denied(sim.resume("b", false));
    assert!(answer.contains("everything is paused"), "{answer}");
    done(sim.resume("*", false));
    sim.run_to("02:30");
    assert_eq!(sim.outcomes("a"), [PAUSED, PAUSED]);
    assert_eq!(sim.outcomes("b"), [PAUSED, SUCCEEDED]);
}

#[test]
fn a_pause_ends_by_itself_and_the_time_of_its_end_runs() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    done(sim.pause("a", Some(at("02:00"))));
    sim.run_to("02:30");
    assert_eq!(sim.outcomes("a"), [PAUSED, SUCCEEDED]);
    assert!(sim.store.pauses.is_empty() && sim.snapshot().pauses.is_empty());
}

#[test]
fn a_pause_can_be_made_longer_and_never_ends_in_the_past() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    done(sim.pause("a", Some(at("01:30"))));
    done(sim.pause("a", Some(at("02:30"))));
    sim.run_to("03:30");
    assert_eq!(sim.outcomes("a"), [PAUSED, PAUSED, SUCCEEDED]);
    assert!(denied(sim.pause("a", Some(at("03:00")))).contains("past"));
    assert!(denied(sim.pause("z", None)).contains("no schedule called z"));
    assert!(denied(sim.resume("a", false)).contains("not paused"));
}

#[test]
fn a_pause_lasts_over_a_restart_and_its_end_counts_also_while_nobody_watches() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    done(sim.pause("a", Some(at("03:30"))));
    sim.run_to("01:30");
    restart(&mut sim);
    sim.run_to("02:30");
    sim.stop();
    sim.run_to("05:30");
    sim.start();
    sim.run_to("06:30");
    let missed = Some(Outcome::Skipped(SkipReason::Missed));
    let expected = [PAUSED, PAUSED, PAUSED, missed, SUCCEEDED, SUCCEEDED];
    assert_eq!(sim.outcomes("a"), expected);
    assert!(sim.store.pauses.is_empty());
    sim.store.check_coverage();
}

#[test]
fn what_waits_waits_on_within_its_start_deadline() {
    let deadline = |d: &mut nightcall::sched::schedule::Definition| d.start_deadline = mins(90);
    let mut sim = Sim::new(Config::of([hourly("a"), hourly("b").with(deadline)]));
    sim.run_to("00:59");
    sim.vendor.down(unreachable());
    sim.run_to("01:05");
    done(sim.pause("*", None));
    sim.vendor.up();
    sim.run_to("02:45");
    assert_eq!(sim.vendor.jobs.len(), 0, "nothing leaves");
    let late = Some(Outcome::Skipped(SkipReason::StartDeadline));
    assert_eq!(
        (sim.outcome("a", "01:00"), sim.outcome("b", "01:00")),
        (None, late)
    );
    done(sim.resume("*", false));
    sim.run_to("02:55");
    assert_eq!(sim.outcome("a", "01:00"), SUCCEEDED);
}

#[test]
fn a_retry_after_a_pause_begins_with_the_end_of_the_pause() {
    let mut sim = Sim::new(Config::of([cron("a", "0 1 * * *")]));
    sim.vendor
        .lives
        .push_back(Life::fails(secs(20), transient()));
    sim.run_to("01:00:10");
    done(sim.pause("a", None));
    sim.run_to("01:30");
    assert_eq!(
        (sim.state("a", "01:00"), sim.jobs("a", "01:00")),
        ("backoff", 1)
    );
    restart(&mut sim);
    sim.run_to("01:40");
    assert_eq!(
        (sim.state("a", "01:00"), sim.jobs("a", "01:00")),
        ("backoff", 1)
    );
    done(sim.resume("a", false));
    sim.run_to("01:50");
    assert_eq!(
        (sim.outcome("a", "01:00"), sim.jobs("a", "01:00")),
        (SUCCEEDED, 2)
    );
}

#[test]
fn a_job_at_the_vendor_is_watched_to_its_end_while_paused() {
    let mut sim = Sim::with_vendor(Config::of([hourly("a")]), |v| {
        v.usual = Some(Life::succeeds(mins(20)));
    });
    sim.run_to("01:10");
    done(sim.pause("a", None));
    sim.run_to("01:40");
    assert_eq!(sim.outcome("a", "01:00"), SUCCEEDED);
    assert_eq!(sim.vendor.count(Op::Cancel), 0);
}

#[test]
fn to_resume_runs_what_passed_only_when_asked_and_as_the_misfire_policy_says() {
    for (how, max, expected) in [
        (CatchUp::None, 10, vec![]),
        (CatchUp::Latest, 10, vec!["03:00"]),
        (CatchUp::All, 2, vec!["02:00", "03:00"]),
        (CatchUp::All, 10, vec!["01:00", "02:00", "03:00"]),
    ] {
        let policy = catch_up(how, hours(12), max);
        let schedule = hourly("a").with(|d| d.policies.misfire = policy);
        for restarted in [false, true] {
            let mut sim = Sim::new(Config::of([schedule.clone()]));
            done(sim.pause("a", None));
            sim.run_to("03:30");
            if restarted {
                restart(&mut sim);
            }
            sim.run_to("03:31");
            let runs = done(sim.resume("a", true));
            let expected: Vec<RunId> = expected.iter().map(|t| later("a", t, 1)).collect();
            assert_eq!(runs, expected, "{how:?} {max} {restarted}");
            sim.run_to("03:50");
            for id in &runs {
                let run = &sim.store.runs[id].run;
                assert_eq!((run.outcome(), run.origin), (SUCCEEDED, Origin::CaughtUp));
            }
            assert_eq!(sim.outcome("a", "03:00"), PAUSED, "the record stays");
            sim.run_to("04:30");
            assert_eq!(sim.outcome("a", "04:00"), SUCCEEDED);
            sim.store.check_coverage();
        }
    }
}

#[test]
fn what_passed_before_the_window_is_not_caught_up() {
    let policy = catch_up(CatchUp::All, mins(100), 10);
    let mut sim = Sim::new(Config::of([
        hourly("a").with(|d| d.policies.misfire = policy)
    ]));
    done(sim.pause("a", None));
    sim.run_to("03:30");
    assert_eq!(
        done(sim.resume("a", true)),
        [later("a", "02:00", 1), later("a", "03:00", 1)]
    );
}

#[test]
fn a_long_pause_that_nobody_watched_is_one_record() {
    let mut sim = Sim::new(Config::of([every("a", mins(1))]));
    sim.run_to("01:00:30");
    done(sim.pause("a", Some(at("05:00:30"))));
    sim.stop();
    sim.run_to("06:00:10");
    sim.start();
    sim.run_to("06:05:30");
    let of = |reason| sim.store.missed.iter().filter(move |m| m.reason == reason);
    let paused: Vec<u64> = of(SkipReason::Paused).map(|m| m.count).collect();
    let missed: Vec<u64> = of(SkipReason::Missed).map(|m| m.count).collect();
    // The last of the hour after the pause is caught up.
    assert_eq!((paused, missed), (vec![240], vec![58]));
    sim.store.check_coverage();
}

#[test]
fn a_paused_schedule_refuses_runs_by_hand_unless_told_otherwise() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    done(sim.pause("a", None));
    let answer = refused(sim.fire(by_hand("a", "k1")));
    assert!(
        answer.contains("paused") && answer.contains("--even-paused"),
        "{answer}"
    );
    let id = made(sim.fire(by_hand("a", "k1").with(|r| r.even_paused = true)));
    sim.run_to("00:10");
    assert_eq!(outcome_of(&sim, &id), SUCCEEDED);
}

#[test]
fn a_run_that_is_wanted_in_spite_of_the_pause_goes_also_after_a_restart() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    done(sim.pause("a", None));
    sim.vendor.down(unreachable());
    let id = made(sim.fire(by_hand("a", "k1").with(|r| r.even_paused = true)));
    sim.run_to("00:05");
    restart(&mut sim);
    sim.vendor.up();
    sim.run_to("00:20");
    assert_eq!(outcome_of(&sim, &id), SUCCEEDED);
}

#[test]
fn a_pause_of_a_schedule_that_is_removed_ends_with_it() {
    let mut sim = Sim::new(Config::of([hourly("a"), hourly("b")]));
    done(sim.pause("a", None));
    sim.stop();
    sim.config = Config::of([hourly("b")]);
    sim.run_to("01:30");
    sim.start();
    sim.run_to("01:40");
    assert_eq!(sim.outcomes("a"), [PAUSED], "decided as it was paused");
    assert!(sim.store.pauses.is_empty());
}

#[test]
fn while_the_clock_is_in_doubt_nothing_is_paused_or_resumed_and_no_pause_ends() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    done(sim.pause("a", Some(at("01:30"))));
    sim.run_to("00:30");
    sim.step_clock(2 * 3600);
    assert!(denied(sim.resume("a", false)).contains("in doubt"));
    assert!(denied(sim.pause("*", None)).contains("in doubt"));
    sim.run_for(mins(2));
    assert_eq!(sim.store.pauses.len(), 1);
    sim.step_clock(-2 * 3600);
    sim.run_to("02:30");
    assert_eq!(sim.outcomes("a"), [PAUSED, SUCCEEDED]);
}

#[test]
fn a_clock_that_is_set_back_during_a_pause_ends_it_no_sooner() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:30");
    done(sim.pause("a", Some(at("02:30"))));
    sim.run_to("01:40");
    sim.step_clock(-1800);
    sim.run_to("02:40");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED, PAUSED]);
    sim.step_clock(1800);
    sim.synchronised();
    sim.run_to("03:10");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED, PAUSED, SUCCEEDED]);
}

#[test]
fn a_pause_that_is_over_is_made_no_longer_while_its_end_waits_for_the_job_list() {
    let config = || {
        let every_one = catch_up(CatchUp::All, hours(12), 10);
        Config::of([hourly("a").with(|d| d.policies.misfire = every_one)])
    };
    let mut sim = Sim::new(config());
    sim.run_to("01:20");
    done(sim.pause("a", Some(at("01:30"))));
    sim.run_to("01:25");
    sim.stop();
    sim.run_to("03:30");
    sim.vendor.always(Op::List, Passage::silence());
    sim.start();
    sim.run_to("03:30:10");
    assert!(denied(sim.pause("a", None)).contains("just started"));
    sim.vendor.up();
    sim.run_to("03:59");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED; 3]);
    done(sim.pause("a", None));
    sim.run_to("04:30");
    assert_eq!(sim.outcome("a", "04:00"), PAUSED);
}

#[test]
fn what_passed_is_not_caught_up_while_everything_is_paused_and_that_is_said() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    done(sim.pause("a", None));
    sim.run_to("01:30");
    done(sim.pause("*", None));
    let answer = denied(sim.resume("a", true));
    assert!(answer.contains("everything is paused"), "{answer}");
    // The wish is kept by asking again.
    done(sim.resume("*", false));
    assert_eq!(done(sim.resume("a", true)).len(), 1);
    sim.run_to("01:50");
    assert_eq!(outcome_of(&sim, &later("a", "01:00", 1)), SUCCEEDED);
}
