//! The usual courses of a run: success, failure, retries, the time limit.

use std::time::Duration;

use nightcall::sched::notice::NoticeKind;
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::schedule::PollPlan;
use nightcall::sched::step::ConnectionMemory;

use crate::setup::{
    Config, With, at, carto, connection, cron, hourly, hours, http_502, mins, permanent, secs,
    times, transient,
};
use crate::sim::Sim;
use crate::vendor::{Life, Op, Passage};

#[test]
fn an_occurrence_on_time_is_submitted_watched_and_succeeds() {
    let mut sim = Sim::new(Config::of([cron("a", "0 1 * * *")]));
    sim.run_to("02:00");
    assert_eq!(
        sim.story("a", "01:00"),
        "planned submitting accepted finished"
    );
    let run = sim.run("a", "01:00");
    assert_eq!(run.outcome(), Some(Outcome::Succeeded));
    assert_eq!(run.submitted, Some(at("01:00")));
    assert!(run.finished.unwrap() < at("01:01:30"), "{:?}", run.finished);
    assert_eq!(sim.jobs("a", "01:00"), 1);
    assert!(sim.store.notices.is_empty(), "{:?}", sim.store.notices);
}

#[test]
fn a_schedule_that_is_seen_first_has_no_past() {
    let mut sim = Sim::stopped(Config::of([cron("a", "* * * * *")]));
    sim.run_for(secs(30));
    sim.start();
    sim.run_for(mins(2));
    assert!(!sim.has_run("a", "00:00") && sim.has_run("a", "00:01"));
    sim.store.check_coverage();
}

#[test]
fn a_permanent_failure_is_not_retried_and_told_once() {
    let mut sim = Sim::with_vendor(Config::of([cron("a", "0 1 * * *")]), |vendor| {
        vendor.usual = Some(Life::fails(secs(8), permanent()));
    });
    sim.run_to("12:00");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Failed));
    assert_eq!(sim.jobs("a", "01:00"), 1);
    let told = sim.notices(NoticeKind::Failed);
    assert_eq!(told.len(), 1);
    assert!(
        told[0].body.contains("cannot coerce expression"),
        "{}",
        told[0].body
    );
    assert_eq!(sim.store.notices.len(), 1);
}

#[test]
fn a_refused_submission_is_permanent_too() {
    let mut sim = Sim::with_vendor(Config::of([cron("a", "0 1 * * *")]), |vendor| {
        vendor.next(Op::Submit, Passage::refused(permanent()));
    });
    sim.run_to("12:00");
    assert_eq!(sim.story("a", "01:00"), "planned submitting finished");
    assert_eq!(
        (sim.outcome("a", "01:00"), sim.jobs("a", "01:00")),
        (Some(Outcome::Failed), 0)
    );
}

#[test]
fn a_transient_failure_is_retried_with_growing_pauses() {
    let mut sim = Sim::with_vendor(Config::of([cron("a", "0 1 * * *")]), |vendor| {
        vendor.lives.extend([
            Life::fails(secs(1), transient()),
            Life::fails(secs(1), transient()),
        ]);
    });
    sim.run_to("12:00");
    assert_eq!(
        sim.story("a", "01:00"),
        "planned submitting accepted failed submitting accepted failed submitting accepted finished"
    );
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Succeeded));
    let submitted: Vec<Duration> = sim.vendor.jobs.iter().map(|job| job.created).collect();
    let pauses = [submitted[1] - submitted[0], submitted[2] - submitted[1]];
    assert!(pauses[0] >= secs(30) && pauses[0] < secs(37), "{pauses:?}");
    assert!(pauses[1] >= secs(60) && pauses[1] < secs(67), "{pauses:?}");
}

#[test]
fn attempts_are_used_up_and_then_told_once() {
    let mut sim = Sim::with_vendor(Config::of([cron("a", "0 1 * * *")]), |vendor| {
        vendor.usual = Some(Life::fails(secs(1), transient()));
    });
    sim.run_to("12:00");
    assert_eq!(
        (sim.outcome("a", "01:00"), sim.jobs("a", "01:00")),
        (Some(Outcome::Failed), 3)
    );
    assert_eq!(sim.notices(NoticeKind::Failed).len(), 1);
}

fn stuck() -> Config {
    Config::of([cron("a", "0 1 * * *").with(|d| d.timeout = mins(10))])
}

/// How long after its creation a job was asked to stop.
fn stopped_after(sim: &Sim, job: usize) -> Duration {
    let job = &sim.vendor.jobs[job];
    job.asked_to_stop.expect("it was asked to stop") - job.created
}

#[test]
fn a_run_that_reaches_its_time_limit_is_stopped_and_the_stop_is_verified() {
    let mut sim = Sim::with_vendor(stuck(), |vendor| vendor.usual = Some(Life::endless()));
    sim.run_to("12:00");
    assert_eq!(
        sim.story("a", "01:00"),
        "planned submitting accepted cancelling finished"
    );
    assert_eq!(
        (sim.outcome("a", "01:00"), sim.jobs("a", "01:00")),
        (Some(Outcome::TimedOut), 1)
    );
    assert!(
        stopped_after(&sim, 0) < mins(10) + secs(5),
        "{:?}",
        stopped_after(&sim, 0)
    );
    assert!(sim.run("a", "01:00").finished.unwrap() >= at("01:10:03"));
    assert_eq!(sim.notices(NoticeKind::TimedOut).len(), 1);
}

#[test]
fn a_job_may_be_faster_than_the_wish_to_stop_it() {
    let life = Life::succeeds(mins(10) + secs(4)).disobedient();
    let mut sim = Sim::with_vendor(stuck(), |vendor| vendor.usual = Some(life));
    sim.run_to("12:00");
    assert_eq!(
        sim.story("a", "01:00"),
        "planned submitting accepted cancelling finished"
    );
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Succeeded));
    assert!(sim.store.notices.is_empty());
}

#[test]
fn the_vendor_is_asked_again_to_stop_a_job_when_the_first_request_is_lost() {
    let mut sim = Sim::with_vendor(stuck(), |vendor| {
        vendor.usual = Some(Life::endless());
        vendor.next(Op::Cancel, Passage::lost_request());
    });
    sim.run_to("12:00");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::TimedOut));
    assert!(
        stopped_after(&sim, 0) < mins(12),
        "{:?}",
        stopped_after(&sim, 0)
    );
}

#[test]
fn a_job_is_asked_to_stop_at_once_also_when_a_poll_is_under_way() {
    let mut sim = Sim::with_vendor(stuck(), |vendor| {
        vendor.usual = Some(Life::endless());
        // each poll takes most of its time limit
        vendor.always(Op::Poll, Passage::slow(secs(14), secs(14)));
    });
    sim.run_to("12:00");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::TimedOut));
    assert!(
        stopped_after(&sim, 0) < mins(10) + secs(30),
        "{:?}",
        stopped_after(&sim, 0)
    );
}

#[test]
fn with_on_timeout_another_attempt_follows_and_is_stopped_as_promptly() {
    let config = stuck().with(|c| c.definitions[0].policies.retry.on_timeout = true);
    let mut sim = Sim::with_vendor(config, |vendor| vendor.usual = Some(Life::endless()));
    sim.run_to("12:00");
    assert_eq!(
        (sim.outcome("a", "01:00"), sim.jobs("a", "01:00")),
        (Some(Outcome::Failed), 3)
    );
    for job in 0..3 {
        assert!(
            stopped_after(&sim, job) < mins(10) + secs(5),
            "{:?}",
            stopped_after(&sim, job)
        );
    }
    assert_eq!(sim.store.notices.len(), 1);
}

#[test]
fn a_time_limit_counts_over_a_restart_also_when_no_poll_is_ever_answered() {
    let config = Config::of([hourly("a").with(|d| d.timeout = mins(30))]);
    for poll in [Passage::unsure(http_502()), Passage::silence()] {
        let mut sim = Sim::with_vendor(config.clone(), |v| v.usual = Some(Life::endless()));
        sim.run_to("01:10");
        sim.vendor.always(Op::Poll, poll);
        sim.stop();
        sim.start();
        sim.run_to("01:59");
        assert!(sim.vendor.count(Op::Cancel) > 0);
        assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Lost));
    }
}

#[test]
fn a_job_that_does_not_stop_within_its_grace_is_lost_and_never_retried() {
    let config = stuck().with(|c| c.definitions[0].policies.retry.on_timeout = true);
    let mut sim = Sim::with_vendor(config, |vendor| {
        vendor.usual = Some(Life::endless().disobedient());
    });
    sim.run_to("12:00");
    assert_eq!(
        (sim.outcome("a", "01:00"), sim.jobs("a", "01:00")),
        (Some(Outcome::Lost), 1)
    );
    let finished = sim.run("a", "01:00").finished.unwrap();
    assert!(
        finished >= at("01:15") && finished < at("01:16"),
        "{finished}"
    );
    assert_eq!(sim.notices(NoticeKind::Lost).len(), 1);
}

#[test]
fn a_job_that_somebody_stops_at_the_vendor_is_cancelled() {
    let mut sim = Sim::with_vendor(stuck(), |vendor| {
        vendor.usual = Some(Life::stopped(mins(3)))
    });
    sim.run_to("12:00");
    assert_eq!(
        (sim.outcome("a", "01:00"), sim.jobs("a", "01:00")),
        (Some(Outcome::Cancelled), 1)
    );
    assert_eq!(sim.notices(NoticeKind::Cancelled).len(), 1);
}

#[test]
fn a_fresh_job_may_be_unknown_for_a_while() {
    let life = Life::succeeds(mins(5)).gone(Duration::ZERO, secs(100));
    let mut sim = Sim::with_vendor(stuck(), |vendor| vendor.usual = Some(life));
    sim.run_to("12:00");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Succeeded));
}

#[test]
fn a_lost_run_occupies_its_series_until_its_job_must_be_over() {
    let mut sim = Sim::with_vendor(
        Config::of([hourly("a").with(|d| d.timeout = hours(4))]),
        |vendor| {
            vendor
                .lives
                .push_back(Life::endless().gone(mins(10), Duration::MAX));
        },
    );
    sim.run_to("08:30");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Lost));
    assert!(sim.run("a", "01:00").finished.unwrap() < at("01:15"));
    let unknown = Some(Outcome::Skipped(SkipReason::PredecessorUnknown));
    for time in ["02:00", "03:00", "04:00"] {
        assert_eq!(sim.outcome("a", time), unknown, "{time}");
    }
    for time in ["05:00", "06:00"] {
        assert_eq!(sim.outcome("a", time), Some(Outcome::Succeeded), "{time}");
    }
    assert_eq!(sim.notices(NoticeKind::Lost).len(), 1);
    assert_eq!(sim.notices(NoticeKind::Occupied).len(), 1);
}

#[test]
fn a_series_stays_occupied_over_a_restart() {
    let mut sim = Sim::with_vendor(
        Config::of([hourly("a").with(|d| d.timeout = hours(4))]),
        |vendor| {
            vendor
                .lives
                .push_back(Life::endless().gone(mins(10), Duration::MAX));
        },
    );
    sim.run_to("01:30");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Lost));
    sim.stop();
    sim.run_for(mins(10));
    sim.start();
    sim.run_to("05:30");
    let unknown = Some(Outcome::Skipped(SkipReason::PredecessorUnknown));
    assert_eq!(sim.outcome("a", "02:00"), unknown);
    assert_eq!(sim.outcome("a", "05:00"), Some(Outcome::Succeeded));
}

#[test]
fn jitter_delays_each_occurrence_by_its_own_fixed_offset() {
    let config = Config::of([hourly("a").with(|d| times(d).jitter = mins(20))]);
    let mut sim = Sim::new(config.clone());
    sim.run_to("06:50");
    let offsets = |sim: &Sim| -> Vec<Duration> {
        let runs = sim.store.runs.values();
        runs.map(|row| {
            Duration::try_from(
                row.run
                    .submitted
                    .unwrap()
                    .duration_since(row.run.id.instant),
            )
            .unwrap()
        })
        .collect()
    };
    let first = offsets(&sim);
    assert_eq!(first.len(), 6);
    assert!(first.iter().all(|d| *d < mins(20)) && first.windows(2).any(|w| w[0] != w[1]));
    let mut again = Sim::new(config);
    again.run_to("06:50");
    assert_eq!(first, offsets(&again));
}

#[test]
fn polls_go_at_growing_pauses_up_to_the_longest() {
    let mut sim = Sim::with_vendor(stuck(), |vendor| {
        vendor.usual = Some(Life::succeeds(mins(9)))
    });
    sim.run_to("12:00");
    let polls: Vec<Duration> = sim
        .vendor
        .asked
        .iter()
        .filter(|(_, op)| *op == Op::Poll)
        .map(|(t, _)| *t)
        .collect();
    let pauses: Vec<u64> = polls
        .windows(2)
        .map(|w| (w[1] - w[0]).as_millis() as u64 - 400)
        .collect();
    assert_eq!(&pauses[..4], &[3000, 4500, 6750, 10125]);
    assert_eq!(pauses.last(), Some(&30_000));
}

#[test]
fn a_state_word_that_nobody_knows_is_recorded_once_and_watched() {
    use nightcall::sched::step::{Answer, Input, PollAnswer};
    let mut sim = Sim::with_vendor(stuck(), |vendor| {
        vendor.usual = Some(Life::succeeds(mins(5)));
        // the polls under way are answered by the test
        vendor.next(Op::Poll, Passage::silence());
        vendor.next(Op::Poll, Passage::silence());
    });
    for _ in 0..2 {
        let asked = sim.vendor.count(Op::Poll);
        sim.run_until("a poll", |sim| sim.vendor.count(Op::Poll) > asked);
        let key = sim.last_key().clone();
        let answer = Answer::Poll(PollAnswer::Working {
            unknown: Some("PONDERING".into()),
        });
        sim.handle(Input::Answer {
            key,
            answer,
            date: None,
        });
    }
    sim.run_to("02:00");
    assert_eq!(
        sim.story("a", "01:00"),
        "planned submitting accepted unknown_word finished"
    );
}

#[test]
fn the_memory_of_a_connection_keeps_few_jobs_and_the_newest() {
    let mut memory = ConnectionMemory::default();
    for minute in 0..300 {
        let job = nightcall::sched::id::JobId::new(&format!("job_{minute}")).unwrap();
        memory.remember(job, at("00:00") + mins(minute));
    }
    assert!(memory.accepted.len() <= ConnectionMemory::MAX);
    assert_eq!(memory.accepted.last().unwrap().0.as_str(), "job_299");
    assert!(memory.accepted[0].1 < at("04:50"));
}

#[test]
fn an_observer_decides_and_records_and_submits_nothing() {
    let mut sim = Sim::new(Config::of([hourly("a")]).with(|c| c.observe = true));
    sim.run_to("03:30");
    assert_eq!(
        sim.outcomes("a"),
        vec![Some(Outcome::Skipped(SkipReason::Observed)); 3]
    );
    assert_eq!(sim.vendor.count(Op::Submit), 0);
}

#[test]
fn an_observer_does_not_submit_what_another_start_has_planned() {
    let down = connection(nightcall::sched::fault::ConnectionFault::Unreachable);
    let mut sim = Sim::with_vendor(Config::of([hourly("a")]), |vendor| vendor.down(down));
    sim.run_to("01:10");
    sim.stop();
    sim.vendor.up();
    sim.config.observe = true;
    sim.start();
    let before = sim.vendor.count(Op::Submit);
    sim.run_to("03:30");
    assert_eq!(sim.vendor.count(Op::Submit), before);
}

#[test]
fn poll_plans_do_not_overflow() {
    let plan = PollPlan {
        first: secs(2),
        factor: 1.5,
        max: secs(30),
    };
    assert_eq!(plan.pause(0), secs(2));
    assert_eq!(plan.pause(u32::MAX), secs(30));
    assert_eq!(carto().poll.pause(2), Duration::from_millis(4500));
}
