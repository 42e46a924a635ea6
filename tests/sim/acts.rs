//! What people do, one kind a file; here what holds for all of it: kills between steps, and what is on record.
//! Reloads are in `reload.rs`.

mod again;
mod background;
mod cancel;
mod pause;
mod resolve;
mod skip;

use nightcall::sched::act::{Act, Acted, SkipWhat};
use nightcall::sched::id::{RunId, RunKind};
use nightcall::sched::outcome::{Outcome, SkipReason};

use crate::setup::{Config, hourly, mins, permanent, run_id, secs, series};
use crate::sim::{Kill, Sim, again, denied, done};
use crate::vendor::Life;

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
    until_answered(&mut sim, Act::Again(again(run_id("b", "02:00"))));
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
