//! Templates: whichever way a run came to be, its values are those of its own occurrence.

use nightcall::sched::call::Parameters;
use nightcall::sched::id::{RunId, RunKind};
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::policy::CatchUp;
use nightcall::sched::run::Origin;
use nightcall::sched::schedule::Definition;
use nightcall::sched::time::civil::date;
use nightcall::sched::written::Written;
use serde_json::json;

use crate::setup::{
    Config, With, catch_up, cron, every, hours, mins, permanent, run_id, secs, times, transient,
};
use crate::sim::{Sim, by_hand, done, made};
use crate::vendor::{Life, Op, Passage};

/// Values with one template, and one text that only looks like it.
fn dated(text: &str) -> Written {
    let values = json!({"day": text, "region": "{{ date }}"});
    let values = Parameters::from_json(values).unwrap();
    Written::with_templates(values, vec!["/day".to_owned()]).unwrap()
}

/// Every day at 01:00 with the day before as a value; misses are all caught up.
fn nightly() -> Definition {
    cron("a", "0 1 * * *").with(|d| {
        d.parameters = dated("{{ date - 1d }}");
        d.policies.misfire = catch_up(CatchUp::All, hours(24 * 9), 10);
    })
}

fn sent(day: &str) -> String {
    format!(r#"{{"day":"{day}","region":"{{{{ date }}}}"}}"#)
}

/// The values of the jobs of a run.
fn sent_by(sim: &Sim, id: &RunId) -> Vec<String> {
    let jobs = sim.vendor.jobs_of(id);
    jobs.iter().map(|job| job.parameters.clone()).collect()
}

fn stored(sim: &Sim, id: &RunId) -> String {
    sim.store.runs[id].run.parameters.to_json().to_string()
}

fn generation(time: &str, number: u32) -> RunId {
    RunId {
        kind: RunKind::Generation(number),
        ..run_id("a", time)
    }
}

#[test]
fn every_attempt_of_a_run_is_sent_the_values_of_its_occurrence() {
    let mut sim = Sim::new(Config::of([nightly()]));
    sim.vendor
        .lives
        .push_back(Life::fails(secs(20), transient()));
    sim.run_to("01:00:10");
    // over a restart with another definition
    sim.stop();
    sim.config.definitions[0].parameters = dated("{{ date + 1y }}");
    sim.start();
    sim.run_to("01:30");
    let id = run_id("a", "01:00");
    assert_eq!(sent_by(&sim, &id), [sent("2026-02-02"), sent("2026-02-02")]);
    assert_eq!(stored(&sim, &id), sent("2026-02-02"));
    sim.run_to("+1d 01:30");
    assert_eq!(
        sent_by(&sim, &run_id("a", "+1d 01:00")),
        [sent("2027-02-04")]
    );
}

#[test]
fn nights_that_were_missed_are_caught_up_with_their_own_dates() {
    let mut sim = Sim::new(Config::of([nightly()]));
    sim.run_to("02:00");
    sim.stop();
    sim.run_to("+3d 02:00");
    sim.start();
    sim.synchronised();
    sim.run_to("+3d 04:00");
    for (time, day) in [
        ("+1d 01:00", "2026-02-03"),
        ("+2d 01:00", "2026-02-04"),
        ("+3d 01:00", "2026-02-05"),
    ] {
        assert_eq!(sim.run("a", time).origin, Origin::CaughtUp);
        assert_eq!(sent_by(&sim, &run_id("a", time)), [sent(day)], "{time}");
    }
}

#[test]
fn what_passed_in_a_pause_is_made_up_for_with_its_own_dates() {
    let mut sim = Sim::new(Config::of([nightly()]));
    done(sim.pause("a", None));
    sim.run_to("+1d 02:00");
    assert_eq!(stored(&sim, &run_id("a", "01:00")), sent("2026-02-02"));
    done(sim.resume("a", true));
    sim.run_to("+1d 04:00");
    for (time, day) in [("01:00", "2026-02-02"), ("+1d 01:00", "2026-02-03")] {
        assert_eq!(sent_by(&sim, &generation(time, 1)), [sent(day)], "{time}");
    }
}

#[test]
fn a_retry_has_the_present_template_and_the_date_of_the_occurrence() {
    let mut sim = Sim::new(Config::of([nightly()]));
    sim.vendor
        .lives
        .push_back(Life::fails(secs(20), permanent()));
    sim.run_to("+2d 02:00");
    sim.stop();
    sim.config.definitions[0].parameters = dated("{{ date | format('%d %b') }}");
    sim.start();
    done(sim.retry("a", "01:00"));
    sim.run_to("+2d 03:00");
    assert_eq!(sent_by(&sim, &run_id("a", "01:00")), [sent("2026-02-02")]);
    assert_eq!(sent_by(&sim, &generation("01:00", 1)), [sent("03 Feb")]);
}

#[test]
fn by_hand_the_date_is_that_of_the_request_and_given_values_are_no_templates() {
    let mut sim = Sim::new(Config::of([nightly()]));
    sim.run_to("00:30");
    let today = made(sim.fire(by_hand("a", "k1")));
    let wish = by_hand("a", "k2").with(|r| r.as_of = Some(date(2025, 12, 31)));
    let then = made(sim.fire(wish.with(|r| r.queue = true)));
    let given = by_hand("a", "k3").with(|r| {
        r.overrides.insert("day".into(), "{{ date }}".into());
        r.queue = true;
    });
    let given = made(sim.fire(given));
    sim.run_to("00:50");
    assert_eq!(sent_by(&sim, &today), [sent("2026-02-02")]);
    assert_eq!(sent_by(&sim, &then), [sent("2025-12-30")]);
    assert_eq!(sent_by(&sim, &given), [sent("{{ date }}")]);
}

#[test]
fn an_observer_records_what_would_have_been_sent() {
    let mut sim = Sim::new(Config::of([nightly()]).with(|c| c.observe = true));
    sim.run_to("01:30");
    let id = run_id("a", "01:00");
    let observed = Some(Outcome::Skipped(SkipReason::Observed));
    assert_eq!(sim.outcome("a", "01:00"), observed);
    assert_eq!(stored(&sim, &id), sent("2026-02-02"));
}

#[test]
fn a_lost_answer_and_a_job_that_the_database_does_not_know_change_no_value() {
    let mut sim = Sim::new(Config::of([nightly()]));
    sim.vendor.usual = Some(Life::succeeds(mins(20)));
    sim.vendor.next(Op::Submit, Passage::lost_reply());
    let copy = sim.store.clone();
    sim.run_to("01:10");
    let id = run_id("a", "01:00");
    assert_eq!(stored(&sim, &id), sent("2026-02-02"));
    sim.stop();
    sim.restore(copy);
    sim.start();
    sim.run_to("02:00");
    assert_eq!(sim.story_of(&id), "adopted found finished");
    assert_eq!(stored(&sim, &id), sent("2026-02-02"));
}

#[test]
fn the_date_is_that_of_the_schedules_zone() {
    // 01:00 UTC is 15:00 in Honolulu, of the day before
    let honolulu = cron("a", "0 15 * * *").with(|d| {
        times(d).zone = "Pacific/Honolulu".into();
        d.parameters = dated("{{ date }} {{ nominal }}");
    });
    let mut sim = Sim::new(Config::of([honolulu]));
    sim.run_to("01:30");
    let expected = sent("2026-02-02 2026-02-02T15:00:00-10:00");
    assert_eq!(sent_by(&sim, &run_id("a", "01:00")), [expected]);
}

#[test]
fn a_time_that_the_clock_leaves_out_keeps_its_date_and_one_that_it_repeats_its_offset() {
    // Havana leaves out midnight itself. The daemon starts shortly before.
    let cases = [
        (
            "America/Havana",
            "15 0 * * *",
            "2026-03-08T05:00:00Z",
            "2026-03-08T00:15:00-05:00",
        ),
        (
            "Europe/Madrid",
            "15 2 * * *",
            "2026-03-29T01:00:00Z",
            "2026-03-29T02:15:00+01:00",
        ),
        (
            "Europe/Madrid",
            "30 2 * * *",
            "2026-10-25T00:30:00Z",
            "2026-10-25T02:30:00+02:00",
        ),
        (
            "Europe/Madrid",
            "30 * * * *",
            "2026-10-25T01:30:00Z",
            "2026-10-25T02:30:00+01:00",
        ),
    ];
    for (zone, line, instant, nominal) in cases {
        let instant: nightcall::sched::time::Timestamp = instant.parse().unwrap();
        let before = instant - mins(10);
        let definition = cron("a", line).with(|d| {
            times(d).zone = zone.into();
            d.parameters = dated("{{ nominal }}");
        });
        let mut sim = Sim::stopped(Config::of([definition]));
        sim.skew = before.as_millisecond() - crate::setup::base().as_millisecond();
        sim.start();
        sim.synchronised();
        sim.run_for(mins(20));
        let id = RunId::planned(crate::setup::series("a"), instant);
        assert_eq!(sent_by(&sim, &id), [sent(nominal)], "{zone} {line}");
    }
}

#[test]
fn sets_are_told_apart_by_name() {
    let of = |name: &str| {
        every(name, hours(1)).with(|d| d.parameters = dated("{{ schedule }}_{{ set }} {{ run }}"))
    };
    let mut sim = Sim::new(Config::of([of("a/north"), of("a/south")]));
    sim.run_to("01:30");
    for set in ["north", "south"] {
        let id = run_id(&format!("a/{set}"), "01:00");
        assert_eq!(sent_by(&sim, &id), [sent(&format!("a_{set} {id}"))]);
    }
}
