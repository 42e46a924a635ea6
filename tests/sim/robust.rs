//! Answers that nobody waits for, and answers that never come.

use nightcall::sched::finding::{Finding, Severity};
use nightcall::sched::id::JobId;
use nightcall::sched::notice::NoticeKind;
use nightcall::sched::outcome::Outcome;
use nightcall::sched::step::{Answer, Input, Key, ListAnswer, ListKey, PollAnswer, SubmitAnswer};

use crate::setup::{Config, carto, hourly, hours, mins, permanent, secs, unreachable};
use crate::sim::Sim;
use crate::vendor::{Life, Op, Passage};

const SUCCEEDED: Option<Outcome> = Some(Outcome::Succeeded);

#[test]
fn answers_that_nobody_waits_for_are_counted_and_dropped() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.vendor.usual = Some(Life::succeeds(mins(20)));
    sim.run_to("01:05");
    let last = sim.last_key().clone();
    let stale = Key {
        sequence: last.sequence - 1,
        ..last.clone()
    };
    let unknown = Key {
        run: crate::setup::run_id("b", "01:00"),
        ..last.clone()
    };
    let job = JobId::new("job_other").unwrap();
    let before = sim.store.clone();
    for key in [
        stale,
        unknown,
        Key {
            sequence: 10_000,
            ..last
        },
    ] {
        for answer in [
            Answer::Submit(SubmitAnswer::Accepted(job.clone())),
            Answer::Submit(SubmitAnswer::Refused(permanent())),
            Answer::Poll(PollAnswer::Failed(permanent())),
        ] {
            sim.handle(Input::Answer {
                key: key.clone(),
                answer,
                date: None,
            });
        }
    }
    let key = ListKey {
        connection: carto().name,
        sequence: 77,
    };
    sim.handle(Input::Listed {
        key,
        answer: ListAnswer::Jobs(Vec::new()),
        date: None,
    });
    assert_eq!(sim.snapshot().strays, 10);
    assert_eq!(sim.state("a", "01:00"), "running");
    assert_eq!(sim.store.runs.len(), before.runs.len());
    sim.run_to("01:40");
    assert_eq!(sim.outcome("a", "01:00"), SUCCEEDED);
}

#[test]
fn an_answer_that_comes_twice_is_taken_once() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_until("the submission", |sim| sim.vendor.count(Op::Submit) == 1);
    let key = sim.last_key().clone();
    sim.run_for(secs(1));
    let again = Answer::Submit(SubmitAnswer::Accepted(JobId::new("job_9").unwrap()));
    sim.handle(Input::Answer {
        key,
        answer: again,
        date: None,
    });
    assert_eq!(sim.snapshot().strays, 1);
    sim.run_to("01:30");
    assert_eq!(
        sim.run("a", "01:00").job.as_ref().unwrap().as_str(),
        "job_1"
    );
}

#[test]
fn a_submission_that_is_never_answered_becomes_a_doubt_and_is_found() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("00:59");
    sim.vendor.next(
        Op::Submit,
        Passage {
            arrives: Some(secs(1)),
            back: crate::vendor::Back::Silence,
        },
    );
    sim.run_to("01:30");
    assert_eq!(
        sim.story("a", "01:00"),
        "planned submitting in_doubt found finished"
    );
    assert_eq!(sim.jobs("a", "01:00"), 1);
}

#[test]
fn a_poll_that_is_never_answered_is_asked_again() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("00:59");
    sim.vendor.next(Op::Poll, Passage::silence());
    sim.run_to("01:30");
    assert_eq!(sim.outcome("a", "01:00"), SUCCEEDED);
}

#[test]
fn a_list_that_is_never_answered_is_asked_again() {
    let mut sim = Sim::with_vendor(Config::of([hourly("a")]), |vendor| {
        vendor.next(Op::List, Passage::silence());
    });
    sim.run_to("01:30");
    assert_eq!(
        sim.outcome("a", "01:00"),
        SUCCEEDED,
        "the first reading holds nothing up for ever"
    );
    sim.vendor.next(Op::Submit, Passage::lost_reply());
    sim.vendor.next(Op::List, Passage::silence());
    sim.run_to("02:30");
    assert_eq!(sim.outcome("a", "02:00"), SUCCEEDED, "nor does a lookup");
}

#[test]
fn a_try_in_an_outage_that_is_never_answered_is_made_again() {
    for op in [Op::Submit, Op::List] {
        let mut sim = Sim::new(Config::of([hourly("a"), hourly("b")]));
        sim.run_to("01:59");
        sim.vendor.next(Op::Submit, Passage::refused(unreachable()));
        sim.vendor.next(Op::Submit, Passage::lost_request());
        for _ in 0..2 {
            sim.vendor.next(op, Passage::silence());
        }
        sim.run_to("02:59");
        for name in ["a", "b"] {
            assert_eq!(sim.outcome(name, "02:00"), SUCCEEDED, "{op:?}: {name}");
        }
    }
}

#[test]
fn a_quiet_daemon_stores_how_far_it_is_once_a_minute() {
    let mut sim = Sim::new(Config::of([crate::setup::cron("a", "0 0 1 1 *")]));
    sim.run_for(hours(1));
    let steps = sim.steps;
    sim.run_for(hours(1));
    assert!(
        (55..=62).contains(&(sim.steps - steps)),
        "{}",
        sim.steps - steps
    );
    let behind = sim.true_now().duration_since(sim.store.mark.unwrap());
    assert!(behind.as_secs() <= 60);
}

#[test]
fn the_daily_check_asks_for_proof_once() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("03:30");
    let before = sim.vendor.count(Op::List);
    sim.handle(Input::Doctor);
    sim.run_to("03:50");
    assert_eq!(sim.vendor.count(Op::List), before + 1);
}

#[test]
fn what_the_daily_look_finds_is_one_notice_a_day_and_none_when_all_is_well() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("03:30");
    let well = Finding::well("clock", "this machine", "it is synchronised");
    let warning = Finding::bad(
        Severity::Warning,
        "disk",
        "/n.db",
        "900 MiB free",
        "free some",
    );
    let problem = Finding::bad(
        Severity::Problem,
        "credential",
        "dw",
        "it has expired",
        "renew it",
    );
    sim.handle(Input::Examined(vec![well.clone()]));
    assert!(sim.notices(NoticeKind::Doctor).is_empty());
    for evening in 1..=2 {
        let found = vec![well.clone(), warning.clone(), problem.clone()];
        sim.handle(Input::Examined(found));
        sim.run_for(mins(60 * 24));
        let notices = sim.notices(NoticeKind::Doctor);
        assert_eq!(notices.len(), evening);
        assert_eq!(
            notices[evening - 1].subject,
            "before the night: 1 problem, 1 warning"
        );
        assert_eq!(
            notices[evening - 1].body,
            "problem: credential of dw: it has expired; renew it\n\
             warning: disk of /n.db: 900 MiB free; free some"
        );
    }
}

#[test]
fn lists_that_slept_with_the_machine_are_not_given_up() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("00:10");
    sim.stop();
    sim.start();
    let asked = sim.vendor.count(Op::List);
    for _ in 0..3 {
        sim.suspend(mins(5));
        sim.handle(Input::Wake);
    }
    sim.run_to("00:50");
    assert!(sim.notices(NoticeKind::Incident).is_empty());
    assert!(sim.vendor.count(Op::List) <= asked + 1);
}
