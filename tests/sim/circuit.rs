//! Connections that do not work: runs wait, people hear of it once, nothing is used up.

use std::time::Duration;

use nightcall::sched::notice::NoticeKind;
use nightcall::sched::outcome::{Outcome, SkipReason};

use crate::setup::{
    Config, With, cron, hourly, hours, mins, secs, transient, unauthorized, unreachable,
};
use crate::sim::Sim;
use crate::vendor::{Life, Op, Passage};

#[test]
fn an_hour_without_connection_is_one_incident_and_one_recovery_and_uses_up_no_attempt() {
    let names = ["a", "b", "c"];
    let mut sim = Sim::new(Config::of(names.map(|n| cron(n, "5 1 * * *"))));
    sim.run_to("01:00");
    sim.vendor.down(unreachable());
    sim.run_to("02:00");
    assert!(
        names
            .iter()
            .all(|n| ["pending", "backoff"].contains(&sim.state(n, "01:05")))
    );
    let asked = sim
        .vendor
        .asked
        .iter()
        .filter(|(t, _)| *t > hours(1))
        .count();
    assert!(
        asked < 70,
        "{asked} requests, one try at a time with growing pauses"
    );
    sim.vendor.up();
    sim.run_to("02:30");
    for name in names {
        assert_eq!(sim.outcome(name, "01:05"), Some(Outcome::Succeeded));
        assert_eq!(sim.run(name, "01:05").failures, 0);
    }
    assert_eq!(sim.notices(NoticeKind::Incident).len(), 1);
    assert_eq!(sim.notices(NoticeKind::Recovered).len(), 1);
    assert_eq!(sim.store.notices.len(), 2);
    let incident = &sim.notices(NoticeKind::Incident)[0].body;
    assert!(incident.contains("a, b, c"), "{incident}");
}

#[test]
fn an_outage_that_outlasts_the_start_deadline_skips_what_waited() {
    let config = Config::of([cron("a", "5 1 * * *").with(|d| d.start_deadline = mins(30))]);
    let mut sim = Sim::new(config);
    sim.run_to("01:00");
    sim.vendor.down(unreachable());
    sim.run_to("03:00");
    assert_eq!(
        sim.outcome("a", "01:05"),
        Some(Outcome::Skipped(SkipReason::StartDeadline))
    );
    assert_eq!(sim.notices(NoticeKind::Late).len(), 1);
}

#[test]
fn a_retry_does_not_wait_for_a_dead_connection_for_ever() {
    let mut sim = Sim::with_vendor(Config::of([cron("a", "0 1 * * *")]), |vendor| {
        vendor.lives.push_back(Life::fails(secs(5), transient()));
    });
    sim.run_until("it failed once", |sim| {
        sim.has_run("a", "01:00") && sim.state("a", "01:00") == "backoff"
    });
    sim.vendor.down(unreachable());
    sim.run_to("+2d 00:30");
    assert_eq!(
        (sim.outcome("a", "01:00"), sim.jobs("a", "01:00")),
        (Some(Outcome::Failed), 1)
    );
}

#[test]
fn a_refused_credential_on_polls_fails_no_run_and_is_told_at_once() {
    let config = Config::of([hourly("a").with(|d| d.timeout = mins(20))]);
    let mut sim = Sim::with_vendor(config, |vendor| {
        vendor.usual = Some(Life::succeeds(mins(10)))
    });
    sim.run_to("01:02");
    sim.vendor.down(unauthorized());
    sim.run_to("01:04");
    assert_eq!(sim.notices(NoticeKind::Incident).len(), 1);
    // Far beyond its time limit: nothing expires while nobody knows how the job stands.
    sim.run_to("01:50");
    assert_eq!(sim.state("a", "01:00"), "running");
    sim.vendor.up();
    sim.run_to("01:59");
    assert_eq!(
        sim.story("a", "01:00"),
        "planned submitting accepted finished"
    );
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Succeeded));
}

#[test]
fn a_hiccup_is_not_worth_telling() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("00:59");
    sim.vendor.next(Op::Submit, Passage::refused(unreachable()));
    sim.run_to("01:59");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Succeeded));
    assert!(sim.store.notices.is_empty(), "{:?}", sim.store.notices);
}

#[test]
fn after_an_outage_what_waited_goes_one_by_one() {
    let many = (0..40).map(|n| cron(&format!("s{n}"), "5 1 * * *"));
    let config = Config::of(many).with(|c| c.connections[0].requests_per_minute = 6000);
    let mut sim = Sim::new(config);
    sim.run_to("01:00");
    sim.vendor.down(unreachable());
    sim.run_to("01:30");
    sim.vendor.up();
    sim.run_to("02:30");
    let mut made: Vec<Duration> = sim.vendor.jobs.iter().map(|job| job.created).collect();
    made.sort_unstable();
    assert_eq!(made.len(), 40);
    let close = made
        .windows(2)
        .filter(|w| w[1] - w[0] < Duration::from_millis(200))
        .count();
    assert!(close <= 1, "{close} submissions came close upon another");
}

#[test]
fn an_outage_of_one_connection_leaves_the_others_alone() {
    let mut config = Config::of([hourly("a"), hourly("b")]);
    let mut other = crate::setup::carto();
    other.name = nightcall::sched::id::ConnectionName::new("other").unwrap();
    other.target = crate::setup::target("other");
    config.definitions[1].connection = other.name.clone();
    config.definitions[1].target = other.target.clone();
    config.connections.push(other);
    let mut sim = Sim::new(config);
    sim.run_to("00:30");
    sim.vendor.down_for = Some(("carto", unauthorized()));
    sim.run_to("01:30");
    assert_eq!(sim.state("a", "01:00"), "backoff");
    assert_eq!(sim.outcome("b", "01:00"), Some(Outcome::Succeeded));
}

#[test]
fn a_vendor_that_answers_with_errors_only_is_no_outage_and_attempts_are_used_up() {
    let mut sim = Sim::new(Config::of([
        cron("a", "0 1 * * *"),
        cron("b", "30 0 * * *"),
    ]));
    sim.run_to("00:59");
    sim.vendor
        .always(Op::Submit, Passage::unsure(crate::setup::http_502()));
    sim.run_to("02:00");
    assert_eq!(
        (sim.outcome("a", "01:00"), sim.run("a", "01:00").failures),
        (Some(Outcome::Failed), 3)
    );
    assert!(sim.notices(NoticeKind::Incident).is_empty());
}
