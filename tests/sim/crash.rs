//! Kills at every point, and databases that are older than the world.

use std::time::Duration;

use nightcall::sched::notice::NoticeKind;
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::policy::CatchUp;

use crate::setup::{
    Config, With, at, catch_up, cron, every, hourly, hours, http_502, mins, run_id, secs, series,
    too_many, transient, unavailable, unreachable,
};
use crate::sim::{Kill, Sim, by_hand, done, made};
use crate::vendor::{Life, Op, Passage};

/// One hour with a success, a retry, a lost answer and a lost request, killed once at a step after the first hour.
fn an_hour_with_a_kill(kill: Option<(usize, Kill)>, downtime: Duration) -> Sim {
    let names = ["good", "retried", "answer-lost", "request-lost"];
    let mut sim = Sim::new(Config::of(names.map(hourly)));
    // A job is behind that proves what is absent.
    sim.run_to("01:30");
    sim.steps = 0;
    (sim.kill, sim.downtime) = (kill, downtime);
    sim.vendor
        .lives_of
        .push(("CALL good", Life::succeeds(mins(7))));
    sim.run_to("01:59:59");
    // by id: answer-lost, good, request-lost, retried
    for passage in [
        Passage::lost_reply(),
        Passage::fine(),
        Passage::lost_request(),
    ] {
        sim.vendor.next(Op::Submit, passage);
    }
    sim.vendor.lives.push_back(Life::succeeds(secs(90)));
    sim.vendor
        .lives
        .push_back(Life::fails(secs(20), transient()));
    sim.run_to("02:45");
    sim
}

#[test]
fn a_kill_at_any_point_of_any_step_loses_nothing_and_doubles_nothing() {
    let undisturbed = an_hour_with_a_kill(None, secs(1));
    let steps = undisturbed.steps;
    assert!(steps > 30, "{steps}");
    let points = [
        Kill::BeforeCommit,
        Kill::AfterCommit,
        Kill::AfterEffects(1),
        Kill::AfterEffects(usize::MAX),
    ];
    for step in 1..=steps {
        for (n, point) in points.into_iter().enumerate() {
            let downtime = [secs(1), mins(4)][(step + n) % 2];
            let sim = an_hour_with_a_kill(Some((step, point)), downtime);
            let what = format!("killed at step {step}, {point:?}, down for {downtime:?}");
            assert_eq!(sim.kills, 1, "{what}");
            for name in ["good", "retried", "answer-lost", "request-lost"] {
                let outcome = sim.outcome(name, "02:00");
                assert_eq!(outcome, Some(Outcome::Succeeded), "{what}: {name}");
                let jobs = sim.vendor.jobs_of(&run_id(name, "02:00"));
                let failed = usize::from(name == "retried");
                assert!(jobs.len() <= 1 + failed, "{what}: {name}: {jobs:?}");
            }
            sim.store.check_coverage();
            assert!(sim.notices(NoticeKind::Lost).is_empty(), "{what}");
        }
    }
}

#[test]
fn a_restart_leaves_jobs_alone_and_takes_them_in_again() {
    let mut sim = Sim::with_vendor(Config::of([hourly("a")]), |vendor| {
        vendor.usual = Some(Life::succeeds(mins(40)));
    });
    sim.run_to("01:10");
    sim.stop();
    sim.run_to("01:20");
    sim.start();
    sim.run_to("01:59");
    assert_eq!(
        sim.story("a", "01:00"),
        "planned submitting accepted finished"
    );
    assert_eq!(
        (sim.outcome("a", "01:00"), sim.jobs("a", "01:00")),
        (Some(Outcome::Succeeded), 1)
    );
    assert_eq!(sim.vendor.count(Op::Cancel), 0);
}

#[test]
fn a_job_that_ended_while_nobody_watched_is_not_stopped_for_its_time_limit() {
    let config =
        Config::of([hourly("a").with(|d| (d.timeout, d.cancel_grace) = (hours(1), mins(5)))]);
    let mut sim = Sim::with_vendor(config, |vendor| {
        vendor.usual = Some(Life::succeeds(mins(40)))
    });
    sim.run_to("01:10");
    sim.stop();
    sim.run_to("05:30");
    sim.start();
    sim.run_to("05:45");
    assert_eq!(
        sim.story("a", "01:00"),
        "planned submitting accepted finished"
    );
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Succeeded));
}

#[test]
fn a_job_that_was_being_stopped_is_looked_at_before_anything_expires() {
    let config =
        Config::of([hourly("a").with(|d| (d.timeout, d.cancel_grace) = (mins(10), mins(5)))]);
    let mut sim = Sim::with_vendor(config, |vendor| vendor.lives.push_back(Life::endless()));
    // The stop is noted, and then nobody looks for two hours.
    sim.run_until("the job is asked to stop", |sim| {
        sim.vendor
            .jobs
            .first()
            .is_some_and(|job| job.asked_to_stop.is_some())
    });
    sim.stop();
    sim.run_to("03:15");
    sim.start();
    sim.run_to("03:30");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::TimedOut));
}

#[test]
fn elapsed_time_counts_over_a_restart() {
    let config = Config::of([hourly("a").with(|d| d.timeout = mins(30))]);
    let mut sim = Sim::with_vendor(config, |vendor| vendor.usual = Some(Life::endless()));
    sim.run_to("01:10");
    sim.stop();
    sim.run_to("01:20");
    sim.start();
    sim.run_to("01:45");
    let finished = sim.run("a", "01:00").finished.unwrap();
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::TimedOut));
    assert!(
        finished >= at("01:30") && finished < at("01:31"),
        "{finished}"
    );
}

/// A copy of the database is made at 01:30; it takes the place of the real one at 04:10, when 02:00, 03:00 and 04:00
/// have long been submitted.
fn restored(how: CatchUp, prepare: impl FnOnce(&mut Sim)) -> Sim {
    let policy = catch_up(how, hours(12), 10);
    let mut sim = Sim::new(Config::of([
        hourly("a").with(|d| d.policies.misfire = policy)
    ]));
    sim.vendor.usual = Some(Life::succeeds(mins(20)));
    sim.run_to("01:30");
    let copy = sim.store.clone();
    sim.run_to("04:10");
    sim.stop();
    sim.restore(copy);
    prepare(&mut sim);
    sim.start();
    sim.run_to("05:45");
    for time in ["01:00", "02:00", "03:00", "04:00", "05:00"] {
        assert_eq!(sim.jobs("a", time), 1, "{time} under {how:?}");
    }
    sim.store.check_coverage();
    sim
}

#[test]
fn a_restored_database_finds_the_jobs_it_does_not_know_and_runs_none_twice() {
    let sim = restored(CatchUp::All, |_| {});
    for time in ["02:00", "03:00", "04:00"] {
        assert_eq!(sim.story("a", time), "adopted found finished", "{time}");
        assert_eq!(sim.outcome("a", time), Some(Outcome::Succeeded), "{time}");
    }
}

#[test]
fn a_restored_database_takes_in_what_ran_whatever_its_misfire_policy_says_of_those_times() {
    for how in [CatchUp::None, CatchUp::Latest] {
        let sim = restored(how, |_| {});
        for time in ["02:00", "03:00", "04:00"] {
            assert_eq!(sim.outcome("a", time), Some(Outcome::Succeeded), "{time}");
        }
        assert_eq!(sim.notices(NoticeKind::Adopted).len(), 3, "told");
        assert!(
            sim.notices(NoticeKind::Missed).is_empty(),
            "nothing was missed"
        );
    }
}

#[test]
fn a_restored_database_on_a_clock_that_runs_ahead_reads_the_list_by_the_vendors() {
    let policy = catch_up(CatchUp::All, hours(12), 10);
    let minutely = every("a", mins(1)).with(|d| d.policies.misfire = policy);
    let mut sim = Sim::stopped(Config::of([minutely]));
    sim.vendor.usual = Some(Life::succeeds(secs(10)));
    // The daemon's clock shows four minutes more than the vendor's, too little to be doubted.
    sim.skew = 240_000;
    sim.start();
    sim.run_to("01:56:30");
    let copy = sim.store.clone();
    sim.run_to("01:58:10");
    sim.stop();
    sim.restore(copy);
    sim.start();
    sim.run_to("02:03");
    for time in ["02:00", "02:01", "02:02", "02:03"] {
        assert_eq!(sim.jobs("a", time), 1, "{time}");
    }
}

#[test]
fn a_copy_that_was_made_while_the_clock_was_ahead_doubles_no_attempt() {
    // Seed 71624 of the nights: the later attempt was made before the mark of the copy.
    let mut sim = Sim::stopped(Config::of([hourly("a")]));
    sim.vendor
        .lives
        .push_back(Life::fails(secs(60), transient()));
    sim.skew = 240_000;
    sim.start();
    sim.run_to("00:56:30");
    assert_eq!(sim.state("a", "01:00"), "running");
    let copy = sim.store.clone();
    sim.run_to("01:10");
    assert_eq!(sim.jobs("a", "01:00"), 2);
    sim.stop();
    sim.step_clock(-240);
    sim.restore(copy);
    sim.start();
    sim.run_to("01:30");
    let after = (sim.outcome("a", "01:00"), sim.jobs("a", "01:00"));
    assert_eq!(after, (Some(Outcome::Succeeded), 2));
}

#[test]
fn times_before_a_start_are_decided_soon_also_when_the_list_cannot_be_read() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:30");
    sim.stop();
    sim.run_to("04:10");
    sim.vendor.down(unreachable());
    sim.start();
    sim.run_to("04:11");
    assert_eq!(
        sim.outcome("a", "03:00"),
        Some(Outcome::Skipped(SkipReason::Missed))
    );
    assert_eq!(sim.state("a", "04:00"), "pending");
}

#[test]
fn a_restored_database_waits_with_submissions_until_the_list_was_read() {
    let sim = restored(CatchUp::All, |sim| {
        sim.vendor.down(unreachable());
        sim.start();
        sim.run_to("04:40");
        sim.vendor.up();
        sim.stop();
    });
    assert_eq!(sim.outcome("a", "03:00"), Some(Outcome::Succeeded));
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:30");
    let copy = sim.store.clone();
    sim.run_to("02:30");
    sim.stop();
    sim.restore(copy);
    sim.vendor.down(unreachable());
    sim.start();
    sim.run_to("02:50");
    sim.vendor.up();
    sim.run_to("03:30");
    assert_eq!((sim.jobs("a", "02:00"), sim.jobs("a", "03:00")), (1, 1));
}

#[test]
fn a_restored_database_goes_on_with_the_last_attempt_of_a_run() {
    for minute in [5, 11, 17, 26] {
        let config = Config::of([hourly("a").with(|d| d.policies.retry.backoff = mins(5))]);
        let mut sim = Sim::new(config);
        for _ in 0..2 {
            sim.vendor
                .lives
                .push_back(Life::fails(mins(10), transient()));
        }
        sim.vendor.usual = Some(Life::succeeds(mins(20)));
        sim.run_for(mins(60 + minute));
        let copy = sim.store.clone();
        sim.run_to("01:42");
        assert_eq!(sim.jobs("a", "01:00"), 3);
        sim.stop();
        sim.restore(copy);
        sim.start();
        sim.run_to("02:30");
        let after = (sim.outcome("a", "01:00"), sim.jobs("a", "01:00"));
        assert_eq!(
            after,
            (Some(Outcome::Succeeded), 3),
            "a copy of 01:{minute:02}"
        );
    }
}

#[test]
fn a_restored_database_runs_no_occurrence_on_that_was_run_again_since() {
    let mut sim = Sim::new(Config::of([
        cron("a", "0 1 * * *").with(|d| d.policies.retry.backoff = mins(20))
    ]));
    sim.vendor
        .lives
        .push_back(Life::fails(secs(5), transient()));
    sim.run_to("01:05");
    assert_eq!(sim.state("a", "01:00"), "backoff");
    let copy = sim.store.clone();
    // In the world it was cancelled and retried, and that succeeded.
    done(sim.cancel(run_id("a", "01:00")));
    done(sim.retry("a", "01:00"));
    sim.run_to("01:10");
    sim.stop();
    sim.restore(copy);
    sim.start();
    sim.run_to("03:00");
    assert_eq!(sim.jobs("a", "01:00"), 1);
    assert_eq!(sim.vendor.jobs.len(), 2);
    let ends = [Outcome::Cancelled, Outcome::Succeeded].map(Some);
    assert_eq!(sim.outcomes("a"), ends);
}

#[test]
fn a_list_that_cannot_be_had_holds_submissions_up_only_for_a_while() {
    let mut sim = Sim::with_vendor(Config::of([hourly("a")]), |vendor| {
        vendor.always(Op::List, Passage::unsure(http_502()));
    });
    sim.run_to("01:30");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Succeeded));
    let mut sim = Sim::with_vendor(Config::of([hourly("a")]), |vendor| vendor.no_list = true);
    sim.run_to("01:30");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Succeeded));
}

#[test]
fn a_service_that_is_out_for_the_list_alone_holds_submissions_up_only_for_a_while() {
    for fault in [unavailable(), too_many()] {
        for busy in [true, false] {
            let mut sim = Sim::new(Config::of([hourly("a"), hourly("b")]));
            sim.vendor
                .lives_of
                .push(("CALL b", Life::succeeds(mins(90))));
            sim.run_to("01:30");
            sim.stop();
            if !busy {
                sim.run_to("02:40");
            }
            sim.vendor.always(Op::List, Passage::unsure(fault.clone()));
            sim.start();
            // Answers about a running job show that it is the list alone.
            sim.run_to(if busy { "02:05" } else { "04:30" });
            let time = if busy { "02:00" } else { "04:00" };
            assert_eq!(
                sim.outcome("a", time),
                Some(Outcome::Succeeded),
                "{busy} {:?}",
                fault.class
            );
            let told = sim.notices(NoticeKind::Incident);
            let told = told.iter().filter(|n| n.subject.contains("job list"));
            assert_eq!(told.count(), 1);
        }
    }
}

#[test]
fn an_outage_of_everything_after_a_start_leaves_the_reading_of_the_list_to_be_done() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:30");
    sim.stop();
    sim.vendor.down(unreachable());
    sim.start();
    sim.run_to("04:30");
    assert!(!sim.snapshot().connections[0].swept);
    sim.vendor.up();
    sim.run_to("05:30");
    assert!(sim.snapshot().connections[0].swept);
    let told = sim.notices(NoticeKind::Incident);
    assert!(!told.iter().any(|n| n.subject.contains("job list")));
}

#[test]
fn a_run_by_hand_that_a_restored_database_does_not_know_is_taken_in_and_its_key_with_it() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.vendor.usual = Some(Life::succeeds(mins(20)));
    sim.run_to("01:30");
    let copy = sim.store.clone();
    let id = made(sim.fire(by_hand("a", "key-1")));
    sim.run_for(secs(10));
    sim.stop();
    sim.restore(copy);
    sim.start();
    sim.run_for(secs(10));
    assert_eq!(made(sim.fire(by_hand("a", "key-1"))), id);
    sim.run_to("01:59");
    assert_eq!(sim.vendor.jobs_of(&id).len(), 1);
    assert_eq!(sim.story_of(&id), "adopted found finished");
}

#[test]
fn old_runs_that_a_start_no_longer_remembers_are_not_taken_in_again() {
    // A job of three days keeps the first reading of the list far back.
    let long = hourly("long").with(|d| d.timeout = hours(24 * 5));
    let mut sim = Sim::new(Config::of([long, hourly("a")]));
    sim.vendor
        .lives_of
        .push(("CALL long", Life::succeeds(hours(24 * 4))));
    sim.run_to("+3d 00:30");
    let before = sim.story("a", "05:00");
    sim.stop();
    sim.start();
    sim.run_to("+3d 01:30");
    assert_eq!(sim.story("a", "05:00"), before);
    assert!(sim.notices(NoticeKind::Adopted).is_empty());
}

#[test]
fn a_second_start_at_once_changes_nothing() {
    let mut sim = Sim::new(Config::of([hourly("a"), hourly("b")]));
    sim.vendor.usual = Some(Life::succeeds(mins(20)));
    sim.run_to("02:10");
    let before = sim.store.clone();
    for _ in 0..3 {
        sim.stop();
        sim.start();
        sim.run_for(secs(1));
    }
    assert_eq!(sim.store.runs.len(), before.runs.len());
    sim.run_to("02:59");
    assert_eq!((sim.jobs("a", "02:00"), sim.jobs("b", "02:00")), (1, 1));
}

#[test]
fn a_range_that_was_passed_over_is_decided_once_also_when_a_start_dies_while_another_past_waits() {
    let mut config = Config::of([every("a", mins(5)), every("b", mins(5))]);
    let mut other = crate::setup::carto();
    other.name = nightcall::sched::id::ConnectionName::new("other").unwrap();
    other.target = crate::setup::target("other");
    config.definitions[0].connection = other.name.clone();
    config.definitions[0].target = other.target.clone();
    config.connections.push(other);
    let mut sim = Sim::new(config);
    sim.run_to("01:32");
    sim.stop();
    sim.run_to("04:32");
    // The past of b waits for its list; that of a is decided: a range, and the newest, which runs.
    sim.vendor.down_for = Some(("carto", unreachable()));
    for _ in 0..3 {
        sim.start();
        sim.run_for(secs(5));
        sim.stop();
    }
    sim.vendor.down_for = None;
    sim.start();
    sim.run_to("05:02");
    let of_a = sim.store.missed.iter().filter(|m| m.series == series("a"));
    assert_eq!(of_a.count(), 1);
    sim.store.check_coverage();
}
