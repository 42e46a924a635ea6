//! Submissions whose answer is unknown: found, proven absent, or not provable.
//!
//! In most of these the run of 01:00 goes well, so that there is an accepted job that a wide list must show, and the
//! submission of 02:00 goes wrong.

use std::time::Duration;

use nightcall::sched::notice::NoticeKind;
use nightcall::sched::outcome::Outcome;
use nightcall::sched::policy::DoubtPolicy;

use crate::setup::{
    Config, SETTLE, With, at, cron, hourly, http_502, mins, secs, times, unauthorized, unavailable,
    unreachable,
};
use crate::sim::{Sim, by_hand, made};
use crate::vendor::{Life, Op, Passage};

const RETRIED: &str = "planned submitting in_doubt absent submitting accepted finished";

/// At 01:59, with one accepted job behind.
fn with_an_accepted_job(policy: DoubtPolicy) -> Sim {
    let mut sim = Sim::new(Config::of(
        [hourly("a").with(|d| d.policies.doubt = policy)],
    ));
    sim.run_to("01:59");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Succeeded));
    sim
}

fn verify() -> Sim {
    with_an_accepted_job(DoubtPolicy::Verify)
}

#[test]
fn a_job_whose_acknowledgement_was_lost_is_found_by_its_marker() {
    let mut sim = verify();
    sim.vendor.next(Op::Submit, Passage::lost_reply());
    sim.run_to("02:59");
    assert_eq!(
        sim.story("a", "02:00"),
        "planned submitting in_doubt found finished"
    );
    assert_eq!(
        (sim.outcome("a", "02:00"), sim.jobs("a", "02:00")),
        (Some(Outcome::Succeeded), 1)
    );
    assert!(sim.run("a", "02:00").finished.unwrap() < at("02:02"));
    assert!(sim.store.notices.is_empty());
}

#[test]
fn a_job_is_found_also_when_nothing_was_ever_accepted_before() {
    let mut sim = Sim::with_vendor(Config::of([hourly("a")]), |vendor| {
        vendor.next(Op::Submit, Passage::lost_reply());
    });
    sim.run_to("01:59");
    assert_eq!(
        (sim.outcome("a", "01:00"), sim.jobs("a", "01:00")),
        (Some(Outcome::Succeeded), 1)
    );
}

#[test]
fn a_request_that_never_arrived_is_proven_absent_and_submitted_again() {
    let mut sim = verify();
    sim.vendor.next(Op::Submit, Passage::lost_request());
    sim.run_to("02:59");
    assert_eq!(sim.story("a", "02:00"), RETRIED);
    assert_eq!(
        (sim.outcome("a", "02:00"), sim.jobs("a", "02:00")),
        (Some(Outcome::Succeeded), 1)
    );
    assert_eq!(
        (
            sim.run("a", "02:00").attempt,
            sim.run("a", "02:00").failures
        ),
        (2, 1)
    );
    let again = sim.run("a", "02:00").submitted.unwrap();
    assert!(
        again >= at("02:00") + SETTLE && again < at("02:03"),
        "{again}"
    );
}

#[test]
fn a_job_that_is_made_at_the_last_moment_and_listed_late_is_not_doubled() {
    let mut sim = verify();
    sim.vendor.next(Op::Submit, Passage::late(secs(30)));
    sim.vendor
        .lives
        .push_back(Life::succeeds(mins(5)).listed_after(secs(60)));
    sim.run_to("02:59");
    assert_eq!(
        sim.story("a", "02:00"),
        "planned submitting in_doubt found finished"
    );
    assert_eq!(sim.jobs("a", "02:00"), 1);
}

#[test]
fn without_proof_the_run_is_lost_when_the_time_to_look_is_over() {
    type Break = fn(&mut Sim);
    let unprovable: [(&str, Break); 5] = [
        ("the list cannot be had", |sim| sim.vendor.no_list = true),
        ("the list shows no metadata", |sim| {
            sim.vendor.hides_markers = true
        }),
        ("the vendor's clock is another", |sim| {
            sim.vendor.date = Some(300)
        }),
        ("the vendor does not tell its clock", |sim| {
            sim.vendor.date = None
        }),
        ("the list fails", |sim| {
            sim.vendor.always(Op::List, Passage::unsure(http_502()))
        }),
    ];
    for (why, break_it) in unprovable {
        let mut sim = verify();
        break_it(&mut sim);
        sim.vendor.next(Op::Submit, Passage::lost_request());
        sim.run_to("02:59");
        assert_eq!(
            sim.story("a", "02:00"),
            "planned submitting in_doubt finished",
            "{why}"
        );
        assert_eq!(sim.outcome("a", "02:00"), Some(Outcome::Lost), "{why}");
        let finished = sim.run("a", "02:00").finished.unwrap();
        assert!(
            finished >= at("02:30") && finished < at("02:31"),
            "{why}: {finished}"
        );
        assert_eq!(sim.notices(NoticeKind::Lost).len(), 1, "{why}");
    }
}

#[test]
fn a_job_whose_marker_is_no_longer_kept_is_not_doubled() {
    for restart in [false, true] {
        let mut sim = verify();
        sim.vendor.no_markers_from = Some(sim.t());
        sim.vendor.next(Op::Submit, Passage::lost_reply());
        sim.run_to("02:00:10");
        if restart {
            sim.stop();
            sim.start();
        }
        sim.run_to("02:59");
        assert_eq!(
            (sim.outcome("a", "02:00"), sim.jobs("a", "02:00")),
            (Some(Outcome::Lost), 1)
        );
    }
}

#[test]
fn an_unmarked_job_of_another_statement_does_not_hinder_proof() {
    let other = cron("b", "30 * * * *");
    let mut sim = Sim::new(Config::of([hourly("a"), other]));
    sim.run_to("01:59");
    sim.vendor.no_markers_from = Some(sim.t());
    made(sim.fire(by_hand("b", "beside")));
    sim.run_to("01:59:30");
    assert_eq!(sim.vendor.jobs.last().unwrap().query, "CALL b()");
    sim.vendor.next(Op::Submit, Passage::lost_request());
    sim.run_to("02:20");
    assert_eq!(sim.story("a", "02:00"), RETRIED);
}

#[test]
fn without_an_accepted_job_there_is_nothing_to_prove_by() {
    for (policy, outcome, jobs) in [
        (DoubtPolicy::Verify, Outcome::Lost, 0),
        (DoubtPolicy::Hold, Outcome::Lost, 0),
        (DoubtPolicy::Resubmit, Outcome::Succeeded, 1),
    ] {
        let config = Config::of([cron("a", "0 1 * * *").with(|d| d.policies.doubt = policy)]);
        let mut sim = Sim::with_vendor(config, |vendor| {
            vendor.next(Op::Submit, Passage::lost_request());
        });
        sim.run_to("03:00");
        let ended = (sim.outcome("a", "01:00"), sim.jobs("a", "01:00"));
        assert_eq!(ended, (Some(outcome), jobs), "{policy:?}");
        let last = sim.run("a", "01:00").submitted.unwrap();
        assert_eq!(last >= at("01:30"), jobs == 1, "{policy:?}: {last}");
    }
}

#[test]
fn hold_never_submits_again_even_with_proof() {
    let mut sim = with_an_accepted_job(DoubtPolicy::Hold);
    sim.vendor.next(Op::Submit, Passage::lost_request());
    sim.run_to("02:59");
    assert_eq!(
        (sim.outcome("a", "02:00"), sim.jobs("a", "02:00")),
        (Some(Outcome::Lost), 0)
    );
    assert!(sim.run("a", "02:00").finished.unwrap() < at("02:03"));
}

#[test]
fn a_list_that_is_cut_short_proves_nothing() {
    let other = cron("b", "* * * * *").with(|d| d.policies.doubt = DoubtPolicy::Hold);
    let mut sim = Sim::new(Config::of([hourly("a"), other]));
    sim.vendor.list_max = Some(1);
    sim.run_to("01:59:30");
    sim.vendor
        .lives_of
        .push(("CALL a", Life::succeeds(secs(1))));
    sim.vendor.next(Op::Submit, Passage::lost_request());
    sim.vendor.next(Op::Submit, Passage::lost_request());
    sim.run_to("02:59");
    let absent = ["a", "b"].map(|name| sim.story(name, "02:00").contains("absent"));
    assert_eq!(absent, [false, false]);
}

#[test]
fn one_list_is_proof_when_it_shows_known_jobs_from_before_and_after() {
    // No job was accepted more than two minutes before the intent, so there is nothing for a wide list to show.
    let around = ["30 58 1 * * *", "30 1 2 * * *"]
        .map(str::to_owned)
        .to_vec();
    let b = cron("b", "0 0 * * *");
    let b = b.with(|d| times(d).rhythm = nightcall::sched::trigger::Rhythm::Cron(around));
    let mut sim = Sim::new(Config::of([cron("a", "0 2 * * *"), b]));
    sim.run_to("01:59:30");
    sim.vendor.next(Op::Submit, Passage::lost_request());
    sim.run_to("02:20");
    assert_eq!(sim.story("a", "02:00"), RETRIED);
}

#[test]
fn one_pair_of_lists_serves_all_runs_in_doubt() {
    let many = (0..20).map(|n| cron(&format!("s{n}"), "0 2 * * *"));
    let mut sim = Sim::new(Config::of(many.chain([cron("a", "0 1 * * *")])));
    sim.run_to("01:59");
    let before = sim.vendor.count(Op::List);
    for _ in 0..20 {
        sim.vendor.next(Op::Submit, Passage::lost_request());
    }
    sim.run_to("02:20");
    for n in 0..20 {
        assert_eq!(sim.story(&format!("s{n}"), "02:00"), RETRIED);
    }
    let lists = sim.vendor.count(Op::List) - before;
    assert!(lists <= 12, "{lists} list calls in 100 s");
}

#[test]
fn the_list_is_asked_for_at_most_once_in_ten_seconds() {
    let mut sim = verify();
    sim.vendor.no_list = true;
    sim.vendor.next(Op::Submit, Passage::lost_request());
    let before = sim.vendor.count(Op::List);
    sim.run_to("02:29");
    let lists = sim.vendor.count(Op::List) - before;
    assert!(
        lists > 60 && lists <= 29 * 6,
        "{lists} list calls in 29 minutes"
    );
}

#[test]
fn a_job_that_was_found_by_its_marker_serves_as_proof_later() {
    let mut sim = Sim::new(Config::of([hourly("a").with(|d| d.timeout = mins(50))]));
    sim.run_to("00:59");
    sim.vendor.next(Op::Submit, Passage::lost_reply());
    for _ in 0..30 {
        sim.vendor.next(Op::List, Passage::unsure(http_502()));
    }
    sim.run_to("01:59");
    assert_eq!(
        sim.story("a", "01:00"),
        "planned submitting in_doubt found finished"
    );
    sim.vendor.next(Op::Submit, Passage::lost_request());
    sim.run_to("02:59");
    assert_eq!(sim.story("a", "02:00"), RETRIED);
}

#[test]
fn a_doubt_outlives_an_outage_and_is_then_settled_by_proof() {
    let mut sim = verify();
    sim.vendor.next(Op::Submit, Passage::lost_request());
    sim.run_to("02:00:10");
    sim.vendor.down(unreachable());
    sim.run_to("02:50");
    assert_eq!(sim.state("a", "02:00"), "in_doubt");
    sim.vendor.up();
    sim.run_to("02:59:59");
    assert_eq!(sim.story("a", "02:00"), RETRIED);
}

#[test]
fn a_service_that_says_it_is_out_uses_up_no_attempt() {
    let mut sim = verify();
    sim.vendor.down(unavailable());
    sim.run_to("02:30");
    sim.vendor.up();
    sim.run_to("02:59");
    assert_eq!(
        (sim.outcome("a", "02:00"), sim.jobs("a", "02:00")),
        (Some(Outcome::Succeeded), 1)
    );
    assert_eq!(sim.run("a", "02:00").failures, 0);
}

#[test]
fn a_run_whose_job_may_have_been_made_is_not_recorded_as_never_started() {
    // Seeds 7688 and 8959 of the nights: answered 503 although the job was made, a list that shows no markers, and a
    // connection that stays out until the start deadline.
    let a = hourly("a").with(|d| {
        d.policies.doubt = DoubtPolicy::Resubmit;
        d.start_deadline = mins(50);
        d.timeout = mins(10);
    });
    let mut sim = Sim::new(Config::of([a]));
    sim.run_to("01:59");
    sim.vendor
        .next(Op::Submit, Passage::unsure_but_done(unavailable()));
    sim.vendor.hides_markers = true;
    sim.run_to("02:29");
    assert_eq!(sim.state("a", "02:00"), "in_doubt");
    sim.vendor
        .always(Op::Submit, Passage::refused(unreachable()));
    sim.run_to("07:00");
    assert_eq!(
        (sim.outcome("a", "02:00"), sim.jobs("a", "02:00")),
        (Some(Outcome::Failed), 1)
    );
}

#[test]
fn the_list_is_proven_readable_soon_after_the_first_acceptance() {
    let sim = verify();
    let memory = sim.store.connections.values().next().unwrap();
    let proven = memory.proven.expect("the list was read");
    assert!(proven >= at("01:01") && proven < at("01:03"), "{proven}");
}

#[test]
fn a_clock_that_was_ahead_at_the_intent_and_set_back_since_doubles_no_job() {
    // Within what rule 8 lets pass without doubt.
    let ahead = 240;
    let mut sim = Sim::stopped(Config::of([
        cron("a", "0 2 * * *"),
        cron("b", "30 0 * * *"),
    ]));
    sim.step_clock(ahead);
    sim.start();
    sim.vendor
        .lives_of
        .push(("CALL a", Life::succeeds(mins(30))));
    sim.run_to("01:55:55");
    sim.vendor.next(Op::Submit, Passage::lost_reply());
    sim.run_to("01:56:01");
    assert_eq!(sim.state("a", "02:00"), "submitting");
    sim.step_clock(-ahead);
    // The list comes back when it shows jobs from before and after the time that the wrong clock gave the intent.
    sim.vendor.always(Op::List, Passage::unsure(http_502()));
    sim.run_to("01:58:30");
    made(sim.fire(by_hand("b", "before")));
    sim.run_to("02:01:30");
    made(sim.fire(by_hand("b", "after")));
    sim.run_to("02:04");
    sim.vendor.up();
    sim.run_to("02:40");
    assert_eq!(
        (sim.outcome("a", "02:00"), sim.jobs("a", "02:00")),
        (Some(Outcome::Succeeded), 1)
    );
}

#[test]
fn absence_of_many_is_seen_in_bounded_time_while_the_budget_is_small() {
    let config = Config::of([hourly("a")]).with(|c| c.connections[0].requests_per_minute = 6);
    let mut sim = Sim::new(config);
    sim.run_to("01:59");
    sim.vendor.next(Op::Submit, Passage::lost_request());
    sim.run_to("02:15");
    assert_eq!(sim.story("a", "02:00"), RETRIED);
    assert!(sim.run("a", "02:00").submitted.unwrap() < at("02:04"));
}

#[test]
fn doubt_lasts_no_longer_than_its_time_to_look() {
    let mut sim = verify();
    sim.config.connections[0].give_up = Duration::from_secs(600);
    sim.stop();
    sim.start();
    sim.vendor.no_list = true;
    sim.vendor.next(Op::Submit, Passage::lost_request());
    sim.run_to("02:59");
    let finished = sim.run("a", "02:00").finished.unwrap();
    assert!(
        finished >= at("02:10") && finished < at("02:11"),
        "{finished}"
    );
}

#[test]
fn a_doubt_that_outlived_its_time_in_an_outage_is_looked_up_before_it_is_given_up() {
    let mut sim = verify();
    sim.vendor.usual = Some(Life::succeeds(mins(90)));
    sim.vendor
        .next(Op::Submit, Passage::unsure_but_done(unavailable()));
    sim.run_to("02:00:01");
    sim.vendor.down(unavailable());
    // The reading after a start begins at the mark, long after the intent: it cannot show the job.
    sim.run_to("02:20");
    sim.stop();
    sim.run_to("02:20:05");
    sim.start();
    sim.run_to("02:50");
    sim.vendor.up();
    sim.run_to("02:55");
    assert_eq!(sim.story("a", "02:00"), "planned submitting in_doubt found");
}

#[test]
fn a_doubt_ends_also_when_the_list_never_answers_again() {
    type Trouble = fn(&mut Sim);
    let troubles: [(&str, Trouble); 4] = [
        ("nothing else", |_| {}),
        ("a restart", |sim| {
            sim.stop();
            sim.start();
        }),
        ("a sleep", |sim| sim.suspend(mins(2))),
        ("a hiccup", |sim| {
            sim.vendor.next(Op::Poll, Passage::refused(unreachable()));
        }),
    ];
    let lists = [
        Passage::unsure(http_502()),
        Passage::refused(unauthorized()),
        Passage::lost_reply(),
        Passage::silence(),
    ];
    for (name, trouble) in troubles {
        for list in lists.clone() {
            let mut sim = Sim::new(Config::of([hourly("a"), hourly("b")]));
            sim.run_to("01:59:59");
            sim.vendor.always(Op::List, list.clone());
            sim.vendor.next(Op::Submit, Passage::lost_request());
            sim.run_to("02:01");
            trouble(&mut sim);
            // A refused credential is an outage after a start, until another call goes well at 03:00.
            sim.run_to("03:35");
            let ends = ["a", "b"].map(|n| sim.outcome(n, "02:00"));
            let expected = [Outcome::Lost, Outcome::Succeeded].map(Some);
            assert_eq!(ends, expected, "after {name}, lists: {list:?}");
        }
    }
}

#[test]
fn one_list_in_vain_after_a_start_gives_up_no_doubt() {
    let mut sim = verify();
    sim.vendor.next(Op::Submit, Passage::lost_reply());
    sim.run_to("02:00:40");
    sim.vendor.down(unreachable());
    // The time to look is over before the vendor can be asked again.
    sim.run_to("03:20");
    sim.vendor.up();
    sim.vendor.next(Op::List, Passage::unsure(http_502()));
    sim.run_to("03:30");
    assert_eq!(sim.outcome("a", "02:00"), Some(Outcome::Succeeded));
}

#[test]
fn a_doubt_ends_also_when_the_service_is_out_for_the_list_alone() {
    let mut sim = Sim::new(Config::of(["a", "b"].map(hourly)));
    sim.vendor
        .lives_of
        .push(("CALL b", Life::succeeds(mins(50))));
    sim.run_to("01:59:59");
    sim.vendor.always(Op::List, Passage::unsure(unavailable()));
    sim.vendor.next(Op::Submit, Passage::lost_request());
    // Answers about the job of b show that it is the list alone.
    sim.run_to("02:45");
    assert_eq!(sim.outcome("a", "02:00"), Some(Outcome::Lost));
}
