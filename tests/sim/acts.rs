//! What people do: pause, skip, cancel, retry. Reloads are in `reload.rs`.

use nightcall::sched::act::{Act, Acted, Retry, SkipWhat};
use nightcall::sched::id::{RunId, RunKind};
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::policy::{CatchUp, OverlapPolicy};
use nightcall::sched::run::Origin;
use nightcall::sched::time::civil::date;

use crate::setup::{
    Config, With, at, catch_up, cron, every, hourly, hours, mins, permanent, run_id, secs, series,
    transient, unreachable,
};
use crate::sim::{Kill, Sim, again, by_hand, denied, done, made, refused};
use crate::vendor::{Life, Op, Passage};

const SUCCEEDED: Option<Outcome> = Some(Outcome::Succeeded);
const CANCELLED: Option<Outcome> = Some(Outcome::Cancelled);
const PAUSED: Option<Outcome> = Some(Outcome::Skipped(SkipReason::Paused));
const ASKED: Option<Outcome> = Some(Outcome::Skipped(SkipReason::Asked));

/// The generation of a run after the planned one.
fn later(name: &str, time: &str, generation: u32) -> RunId {
    RunId {
        kind: RunKind::Generation(generation),
        ..run_id(name, time)
    }
}

fn outcome_of(sim: &Sim, id: &RunId) -> Option<Outcome> {
    sim.store.runs[id].run.outcome()
}

fn restart(sim: &mut Sim) {
    sim.stop();
    sim.start();
}

// ---- pause ---------------------------------------------------------------------------------------------------------

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

// ---- skip ----------------------------------------------------------------------------------------------------------

#[test]
fn the_next_so_many_are_skipped_and_the_one_after_runs_also_over_a_restart() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    done(sim.skip("a", SkipWhat::Next(2)));
    sim.run_to("01:30");
    restart(&mut sim);
    assert_eq!(sim.snapshot().skips[0].what, SkipWhat::Next(1));
    sim.run_to("03:30");
    assert_eq!(sim.outcomes("a"), [ASKED, ASKED, SUCCEEDED]);
    assert!(sim.store.skips.is_empty());
    sim.store.check_coverage();
}

#[test]
fn asking_twice_skips_no_more() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    done(sim.skip("a", SkipWhat::Next(1)));
    done(sim.skip("a", SkipWhat::Next(1)));
    sim.run_to("02:30");
    assert_eq!(sim.outcomes("a"), [ASKED, SUCCEEDED]);
}

#[test]
fn a_date_or_a_time_is_skipped_also_when_nobody_watches() {
    for what in [
        SkipWhat::On(date(2026, 2, 4)),
        SkipWhat::At(at("+1d 02:00")),
    ] {
        let mut sim = Sim::new(Config::of([cron("a", "0 2 * * *")]));
        done(sim.skip("a", what));
        sim.run_to("02:30");
        sim.stop();
        sim.run_to("+1d 01:00");
        sim.start();
        sim.run_to("+1d 01:59:30");
        sim.stop();
        sim.run_to("+1d 03:00");
        sim.start();
        sim.run_to("+2d 02:30");
        assert_eq!(sim.outcomes("a"), [SUCCEEDED, ASKED, SUCCEEDED], "{what:?}");
        assert!(sim.store.skips.is_empty(), "{:?}", sim.store.skips);
    }
}

#[test]
fn a_wish_to_skip_can_be_taken_back() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    done(sim.skip("a", SkipWhat::Next(3)));
    done(sim.skip("a", SkipWhat::At(at("02:00"))));
    sim.run_to("01:30");
    done(sim.unskip("a", Some(SkipWhat::Next(9))));
    sim.run_to("02:30");
    assert_eq!(
        sim.outcomes("a"),
        [ASKED, ASKED],
        "the other wish is in force"
    );
    done(sim.skip("a", SkipWhat::Next(1)));
    done(sim.unskip("a", None));
    sim.run_to("03:30");
    assert_eq!(sim.outcome("a", "03:00"), SUCCEEDED);
    assert!(denied(sim.unskip("a", None)).contains("nothing of a"));
}

#[test]
fn a_set_is_skipped_alone_and_a_schedule_with_all_its_sets() {
    let mut sim = Sim::new(Config::of([hourly("a/x"), hourly("a/y")]));
    done(sim.skip("a/x", SkipWhat::Next(1)));
    sim.run_to("01:30");
    assert_eq!(
        (sim.outcomes("a/x"), sim.outcomes("a/y")),
        (vec![ASKED], vec![SUCCEEDED])
    );
    done(sim.skip("a", SkipWhat::Next(1)));
    sim.run_to("02:30");
    assert_eq!(
        (sim.outcome("a/x", "02:00"), sim.outcome("a/y", "02:00")),
        (ASKED, ASKED)
    );
    assert!(denied(sim.skip("a/z", SkipWhat::Next(1))).contains("no parameter set"));
}

#[test]
fn what_does_not_come_cannot_be_skipped() {
    let mut sim = Sim::new(Config::of([cron("a", "0 2 * * *")]));
    sim.run_to("03:00");
    for what in [
        SkipWhat::On(date(2026, 2, 3)),
        SkipWhat::At(at("02:00")),
        SkipWhat::At(at("+1d 02:01")),
    ] {
        let answer = denied(sim.skip("a", what));
        assert!(answer.contains("no such time"), "{answer}");
    }
    for n in [0, SkipWhat::MOST + 1] {
        denied(sim.skip("a", SkipWhat::Next(n)));
    }
    assert!(sim.store.skips.is_empty() && sim.store.deeds.is_empty());
}

#[test]
fn a_skip_touches_nothing_that_already_runs() {
    let mut sim = Sim::with_vendor(Config::of([hourly("a")]), |v| {
        v.usual = Some(Life::succeeds(mins(20)));
    });
    sim.run_to("01:10");
    done(sim.skip("a", SkipWhat::On(date(2026, 2, 3))));
    sim.run_to("02:30");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED, ASKED]);
}

#[test]
fn what_is_skipped_is_not_shown_as_the_next_to_run() {
    let mut sim = Sim::new(Config::of([hourly("a"), every("b", mins(90))]));
    done(sim.skip("a", SkipWhat::Next(1)));
    assert_eq!(sim.snapshot().next, [(series("b"), at("01:30"))]);
    done(sim.pause("b", None));
    assert!(sim.snapshot().next.is_empty());
}

// ---- cancel --------------------------------------------------------------------------------------------------------

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

// ---- retry ---------------------------------------------------------------------------------------------------------

/// A daily run of 01:00 that failed for good.
fn failed() -> Sim {
    let mut sim = Sim::new(Config::of([cron("a", "0 1 * * *")]));
    sim.vendor
        .lives
        .push_back(Life::fails(secs(20), permanent()));
    sim.run_to("01:30");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Failed));
    sim
}

#[test]
fn a_failed_run_is_retried_as_the_next_generation_under_the_present_definition() {
    let mut sim = failed();
    sim.stop();
    sim.config.definitions[0].query = "CALL mended()".into();
    sim.start();
    let again = later("a", "01:00", 1);
    let made = done(sim.retry("a", "01:00"));
    assert_eq!(made, std::slice::from_ref(&again));
    sim.run_to("02:00");
    let row = &sim.store.runs[&again];
    assert_eq!(
        (row.run.outcome(), row.run.origin),
        (SUCCEEDED, Origin::Retried)
    );
    assert_eq!(row.run.civil, sim.run("a", "01:00").civil);
    let why = row.records[0].why.as_deref().unwrap();
    assert!(why.contains("a/default@2026-02-03T01:00:00Z") && why.contains("uid 1000: because"));
    assert_eq!(sim.vendor.jobs.last().unwrap().query, "CALL mended()");
    assert_eq!(
        sim.outcome("a", "01:00"),
        Some(Outcome::Failed),
        "what was stays"
    );
    sim.store.check_coverage();
}

#[test]
fn asking_twice_for_a_retry_makes_one_run_also_over_a_restart() {
    let mut sim = failed();
    sim.vendor.usual = Some(Life::succeeds(mins(20)));
    let first = done(sim.retry("a", "01:00"));
    assert_eq!(done(sim.retry("a", "01:00")), first);
    restart(&mut sim);
    assert_eq!(done(sim.retry("a", "01:00")), first);
    sim.run_to("02:30");
    let answer = denied(sim.retry("a", "01:00"));
    assert!(
        answer.contains("was run again already") && answer.contains("+1"),
        "{answer}"
    );
    assert_eq!(sim.vendor.jobs.len(), 2);
}

#[test]
fn a_retry_that_fails_is_retried_in_its_turn() {
    let mut sim = failed();
    sim.vendor
        .lives
        .push_back(Life::fails(secs(20), permanent()));
    let first = done(sim.retry("a", "01:00"));
    sim.run_to("01:50");
    let second = done(sim.act(Act::Retry(again(first[0].clone()))));
    assert_eq!(second, [later("a", "01:00", 2)]);
    sim.run_to("02:10");
    assert_eq!(outcome_of(&sim, &second[0]), SUCCEEDED);
}

#[test]
fn only_what_did_not_end_well_is_retried() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    done(sim.skip("a", SkipWhat::At(at("02:00"))));
    sim.vendor.usual = Some(Life::succeeds(mins(20)));
    sim.run_to("01:10");
    assert!(denied(sim.retry("a", "01:00")).contains("has not ended: it is running"));
    sim.run_to("02:30");
    assert!(denied(sim.retry("a", "01:00")).contains("succeeded"));
    assert!(denied(sim.retry("a", "02:00")).contains("did not run"));
    assert!(denied(sim.retry("a", "07:00")).contains("there is no run"));
    let by_hand = made(sim.fire(by_hand("a", "k")));
    assert!(denied(sim.act(Act::Retry(again(by_hand)))).contains("by hand"));
}

#[test]
fn a_cancelled_and_a_timed_out_run_are_retried() {
    let config = Config::of([hourly("a").with(|d| d.timeout = mins(10))]);
    let mut sim = Sim::with_vendor(config, |v| {
        v.lives.push_back(Life::endless());
        v.lives.push_back(Life::endless());
    });
    sim.run_to("01:30");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::TimedOut));
    let id = done(sim.retry("a", "01:00"));
    sim.run_to("01:35");
    done(sim.cancel(id[0].clone()));
    sim.run_to("01:40");
    let id = done(sim.act(Act::Retry(again(id[0].clone()))));
    sim.run_to("01:50");
    assert_eq!(outcome_of(&sim, &id[0]), SUCCEEDED);
}

#[test]
fn a_lost_run_is_retried_when_its_job_cannot_live_any_more_or_somebody_insists() {
    let config = Config::of([cron("a", "0 1 * * *").with(|d| d.timeout = hours(2))]);
    let lost = || {
        let mut sim = Sim::new(config.clone());
        sim.vendor
            .lives
            .push_back(Life::endless().gone(mins(3), mins(600)));
        sim.run_to("01:30");
        assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Lost));
        sim
    };
    let mut sim = lost();
    let answer = denied(sim.retry("a", "01:00"));
    assert!(
        answer.contains("may live until") && answer.contains("--anyway"),
        "{answer}"
    );
    sim.run_to("03:10");
    done(sim.retry("a", "01:00"));
    let mut sim = lost();
    let anyway = Retry {
        anyway: true,
        ..again(run_id("a", "01:00"))
    };
    done(sim.act(Act::Retry(anyway)));
}

#[test]
fn a_busy_series_refuses_a_retry_unless_it_waits_or_runs_beside() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.vendor
        .lives
        .push_back(Life::fails(secs(20), permanent()));
    sim.vendor.usual = Some(Life::succeeds(mins(20)));
    sim.run_to("02:10");
    let answer = denied(sim.retry("a", "01:00"));
    assert!(answer.contains("busy"), "{answer}");
    let queued = Retry {
        queue: true,
        ..again(run_id("a", "01:00"))
    };
    let id = done(sim.act(Act::Retry(queued)));
    sim.run_to("02:50");
    let run = &sim.store.runs[&id[0]].run;
    assert_eq!(run.outcome(), SUCCEEDED);
    assert!(run.submitted >= sim.run("a", "02:00").finished);
}

#[test]
fn a_retry_waits_for_nothing_that_was_paused_unless_told() {
    let mut sim = failed();
    done(sim.pause("a", None));
    assert!(denied(sim.retry("a", "01:00")).contains("paused"));
    let even = Retry {
        even_paused: true,
        ..again(run_id("a", "01:00"))
    };
    let id = done(sim.act(Act::Retry(even)));
    sim.run_to("02:00");
    assert_eq!(outcome_of(&sim, &id[0]), SUCCEEDED);
}

#[test]
fn a_retry_of_a_schedule_that_is_gone_is_refused() {
    let mut sim = failed();
    sim.stop();
    sim.config = Config::of([hourly("b")]);
    sim.start();
    assert!(denied(sim.retry("a", "01:00")).contains("no longer in the configuration"));
}

#[test]
fn a_job_of_a_retry_that_an_older_database_does_not_know_is_taken_in() {
    let mut sim = failed();
    sim.vendor.usual = Some(Life::succeeds(mins(30)));
    let copy = sim.store.clone();
    let id = done(sim.retry("a", "01:00"));
    sim.run_to("01:40");
    sim.stop();
    sim.restore(copy);
    sim.start();
    sim.run_to("01:41");
    assert_eq!(sim.store.runs[&id[0]].run.origin, Origin::Adopted);
    assert_eq!(
        done(sim.retry("a", "01:00")),
        id,
        "nothing is submitted twice"
    );
    sim.run_to("02:30");
    assert_eq!(sim.vendor.jobs_of(&id[0]).len(), 1);
    assert_eq!(outcome_of(&sim, &id[0]), SUCCEEDED);
}

#[test]
fn a_retry_of_a_run_that_an_older_database_never_planned_is_taken_in_and_the_run_is_on_record() {
    let mut sim = Sim::new(Config::of([hourly("a"), hourly("b")]));
    sim.vendor.usual = Some(Life::succeeds(mins(30)));
    sim.run_to("01:50");
    let copy = sim.store.clone();
    sim.vendor.down(unreachable());
    sim.run_to("02:05");
    done(sim.cancel(run_id("a", "02:00")));
    sim.vendor.up();
    sim.run_to("02:06");
    let id = done(sim.retry("a", "02:00"));
    sim.run_to("02:10");
    sim.stop();
    sim.restore(copy);
    sim.start();
    sim.run_to("02:50");
    assert_eq!(sim.vendor.jobs_of(&id[0]).len(), 1);
    assert_eq!(outcome_of(&sim, &id[0]), SUCCEEDED);
    let missed = Some(Outcome::Skipped(SkipReason::Missed));
    assert_eq!(
        (sim.outcome("a", "02:00"), sim.jobs("a", "02:00")),
        (missed, 0)
    );
    sim.store.check_coverage();
}

// ---- kills, and what is on record ----------------------------------------------------------------------------------

/// A day with every act, killed once at a step; what is refused because it was done already is no fault.
fn a_day_of_acts(kill: Option<(usize, Kill)>) -> Sim {
    let names = ["a", "b", "c"];
    let mut sim = Sim::new(Config::of(names.map(hourly)));
    // A job is behind that proves what is absent.
    sim.run_to("01:30");
    (sim.kill, sim.downtime, sim.steps) = (kill, secs(20), 0);
    sim.vendor
        .lives_of
        .push(("CALL b", Life::fails(secs(30), permanent())));
    let until_answered = |sim: &mut Sim, act: Act| {
        loop {
            sim.wait_until_running();
            match sim.act(act.clone()) {
                Some(_) => return,
                None => sim.wait_until_running(),
            }
        }
    };
    let scope = || nightcall::sched::act::Scope::Schedule(series("a").schedule);
    let until = None;
    until_answered(
        &mut sim,
        Act::Pause {
            scope: scope(),
            until,
        },
    );
    let what = SkipWhat::Next(1);
    let (schedule, set) = (series("c").schedule, None);
    until_answered(
        &mut sim,
        Act::Skip {
            schedule,
            set,
            what,
        },
    );
    sim.run_to("02:20");
    until_answered(&mut sim, Act::Retry(again(run_id("b", "02:00"))));
    sim.run_to("02:30");
    let catch_up = true;
    until_answered(
        &mut sim,
        Act::Resume {
            scope: scope(),
            catch_up,
        },
    );
    sim.vendor.lives_of.clear();
    sim.vendor
        .lives_of
        .push(("CALL b", Life::succeeds(mins(50))));
    sim.run_to("03:10");
    let run = run_id("b", "03:00");
    until_answered(&mut sim, Act::Cancel { run });
    sim.run_to("03:40");
    sim
}

#[test]
fn a_kill_between_any_two_steps_of_any_act_changes_nothing_about_what_becomes_of_it() {
    let ends = |sim: &Sim| {
        let rows = sim.store.runs.values();
        let ends = rows.map(|row| (row.run.id.clone(), row.run.outcome()));
        ends.collect::<Vec<_>>()
    };
    let undisturbed = a_day_of_acts(None);
    let expected = ends(&undisturbed);
    assert!(
        expected.contains(&(later("a", "02:00", 1), SUCCEEDED)),
        "{expected:?}"
    );
    assert!(
        expected.contains(&(run_id("b", "03:00"), CANCELLED)),
        "{expected:?}"
    );
    for step in 1..=undisturbed.steps {
        for point in [Kill::BeforeCommit, Kill::AfterCommit, Kill::AfterEffects(1)] {
            let sim = a_day_of_acts(Some((step, point)));
            assert_eq!(sim.kills, 1);
            assert_eq!(ends(&sim), expected, "killed at step {step}, {point:?}");
            assert!(sim.store.pauses.is_empty() && sim.store.skips.is_empty());
            sim.store.check_coverage();
        }
    }
}

#[test]
fn every_act_is_on_record_with_who_when_and_why_and_a_refused_one_is_not() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    done(sim.pause("a", None));
    done(sim.skip("a", SkipWhat::Next(1)));
    denied(sim.resume("*", false));
    done(sim.resume("a", false));
    done(sim.unskip("a", None));
    let words: Vec<&str> = sim.store.deeds.iter().map(|d| d.act.as_str()).collect();
    assert_eq!(words, ["pause", "skip", "resume", "unskip"]);
    for deed in &sim.store.deeds {
        assert_eq!(
            (deed.by.who(), deed.by.note()),
            ("uid 1000", Some("because"))
        );
        assert_eq!(deed.schedule, Some(series("a").schedule));
        assert!(!deed.said.is_empty() && deed.at == sim.now().wall);
    }
}

#[test]
fn an_answer_comes_after_what_it_says_is_stored() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.kill = Some((sim.steps + 1, Kill::BeforeCommit));
    assert_eq!(sim.pause("a", None), None::<Acted>);
    assert!(sim.store.pauses.is_empty());
}
