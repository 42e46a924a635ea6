//! A person looked, and says how a run ended.

use nightcall::sched::act::{Act, Acted, Ended};
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::policy::DoubtPolicy;

use super::{SUCCEEDED, restart};
use crate::setup::{Config, With, cron, hourly, hours, mins, run_id};
use crate::sim::{Sim, denied, done};
use crate::vendor::{Life, Op, Passage};

fn resolve(sim: &mut Sim, name: &str, time: &str, ended: Ended) -> Option<Acted> {
    let run = run_id(name, time);
    sim.act(Act::Resolve { run, ended })
}

/// The run of 01:00 is lost and its job may live until 07:00.
fn lost() -> Sim {
    let config = Config::of([hourly("a").with(|d| d.timeout = hours(6))]);
    let mut sim = Sim::new(config);
    sim.vendor
        .lives
        .push_back(Life::endless().gone(mins(3), mins(600)));
    sim.run_to("02:30");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Lost));
    let unknown = Some(Outcome::Skipped(SkipReason::PredecessorUnknown));
    assert_eq!(sim.outcome("a", "02:00"), unknown);
    sim
}

#[test]
fn a_lost_run_that_is_resolved_frees_its_series_and_keeps_its_outcome() {
    let mut sim = lost();
    done(resolve(&mut sim, "a", "01:00", Ended::Succeeded));
    assert!(sim.snapshot().occupied.is_empty());
    sim.run_to("03:30");
    assert_eq!(sim.outcome("a", "03:00"), SUCCEEDED);
    let row = &sim.store.runs[&run_id("a", "01:00")];
    assert_eq!(row.run.outcome(), Some(Outcome::Lost));
    assert_eq!(row.run.resolved, Some(Ended::Succeeded));
    let last = row.records.last().unwrap();
    assert_eq!(last.what, "resolved");
    assert!(last.why.as_deref().unwrap().contains("uid 1000"));
}

#[test]
fn what_was_said_holds_over_a_restart() {
    let mut sim = lost();
    done(resolve(&mut sim, "a", "01:00", Ended::Failed));
    restart(&mut sim);
    assert!(sim.snapshot().occupied.is_empty());
    sim.run_to("03:30");
    assert_eq!(sim.outcome("a", "03:00"), SUCCEEDED);
}

#[test]
fn what_was_said_can_be_said_again_and_corrected() {
    let mut sim = lost();
    done(resolve(&mut sim, "a", "01:00", Ended::Failed));
    let deeds = sim.store.deeds.len();
    done(resolve(&mut sim, "a", "01:00", Ended::Failed));
    assert_eq!(sim.store.deeds.len(), deeds, "nothing changed");
    done(resolve(&mut sim, "a", "01:00", Ended::Succeeded));
    let row = &sim.store.runs[&run_id("a", "01:00")];
    assert_eq!(row.run.resolved, Some(Ended::Succeeded));
}

#[test]
fn a_lost_run_that_is_resolved_can_be_retried_at_once() {
    let mut sim = lost();
    assert!(denied(sim.retry("a", "01:00")).contains("may live until"));
    done(resolve(&mut sim, "a", "01:00", Ended::Failed));
    done(sim.retry("a", "01:00"));
    sim.run_to("02:50");
    assert_eq!(
        super::outcome_of(&sim, &super::later("a", "01:00", 1)),
        SUCCEEDED
    );
}

#[test]
fn a_run_in_doubt_ends_as_a_person_says() {
    let config =
        Config::of([cron("a", "0 1 * * *").with(|d| d.policies.doubt = DoubtPolicy::Hold)]);
    let mut sim = Sim::new(config);
    sim.vendor.next(Op::Submit, Passage::lost_reply());
    sim.vendor.no_list = true;
    sim.run_to("01:05");
    assert_eq!(sim.run("a", "01:00").state.word(), "in_doubt");
    done(resolve(&mut sim, "a", "01:00", Ended::Succeeded));
    assert_eq!(sim.outcome("a", "01:00"), SUCCEEDED);
}

#[test]
fn a_run_whose_end_will_be_known_is_not_resolved() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.vendor.usual = Some(Life::succeeds(mins(20)));
    sim.run_to("01:10");
    let answer = denied(resolve(&mut sim, "a", "01:00", Ended::Failed));
    assert!(answer.contains("is watched"), "{answer}");
    sim.run_to("01:30");
    let answer = denied(resolve(&mut sim, "a", "01:00", Ended::Failed));
    assert!(answer.contains("has ended already"), "{answer}");
    let answer = denied(resolve(&mut sim, "a", "07:00", Ended::Failed));
    assert!(answer.contains("there is no run"), "{answer}");
}
