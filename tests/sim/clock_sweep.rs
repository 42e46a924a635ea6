//! The wall clock is set, by a second to ten years, forward and back, at each moment of a run's life: what is decided
//! meanwhile, what is told, and that nothing runs twice, nothing is lost and no time limit of a job is touched
//! (docs/operations.md, "A clock that leaps").

use std::time::Duration;

use nightcall::sched::notice::NoticeKind;
use nightcall::sched::outcome::Outcome;

use crate::setup::{Config, With, every, hourly, hours, mins, secs, transient};
use crate::sim::Sim;
use crate::vendor::{Life, Op, Passage};

const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;

/// By how much the clock is set, in seconds.
const STEPS: [i64; 14] = [
    1,
    -1,
    60,
    -60,
    6 * 60,
    -6 * 60,
    3600,
    -3600,
    DAY,
    -DAY,
    YEAR,
    -YEAR,
    10 * YEAR,
    -10 * YEAR,
];

/// The clock may be ahead by so much of what elapsed time explains (rule 8 of the time rules).
const BELIEVED: i64 = 5 * 60;
/// The mark may be ahead of the clock by so much.
const BEHIND: i64 = 2 * 60;

/// A moment in the life of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Two seconds before an occurrence, nothing else going on.
    JustBefore,
    /// Half an hour before one, asleep.
    Asleep,
    /// Half an hour before one, the daemon stopped; it is started when the clock has been set.
    Stopped,
    /// The request is on its way.
    Submitting,
    /// The request left and its answer is lost.
    InDoubt,
    /// The job runs.
    Running,
    /// An attempt failed, the next one waits.
    Backoff,
    /// The time limit passed, the vendor was asked to stop the job.
    Cancelling,
}

impl Moment {
    /// A world that has come to this moment with a clock that is ahead by so many seconds. Occurrences are on the
    /// hour of the daemon's clock.
    fn reached(self, ahead: i64) -> Sim {
        let definition = hourly("a").with(|d| {
            d.timeout = mins(40);
            d.cancel_grace = mins(5);
            d.policies.retry.backoff = mins(2);
        });
        let mut sim = Sim::stopped(Config::of([definition]));
        sim.skew = ahead * 1000;
        sim.vendor.usual = Some(Life::succeeds(mins(20)));
        sim.start();
        if sim.snapshot().clock_doubtful {
            // No program is as old as that; but the system says that it is right.
            sim.synchronised();
        }
        // The first run is an ordinary one: its job makes proofs of absence possible.
        sim.run_until("the first run ends", |sim| {
            sim.outcomes("a") == [Some(Outcome::Succeeded)]
        });
        match self {
            Self::JustBefore => wait(&mut sim, secs(2)),
            Self::Asleep => wait(&mut sim, mins(30)),
            Self::Stopped => {
                wait(&mut sim, mins(30));
                sim.stop();
            }
            Self::Submitting => {
                let slow = Passage::slow(secs(10), secs(10));
                sim.vendor.next(Op::Submit, slow);
                until(&mut sim, "submitting");
            }
            Self::InDoubt => {
                sim.vendor.next(Op::Submit, Passage::lost_reply());
                until(&mut sim, "in_doubt");
            }
            Self::Running => {
                until(&mut sim, "running");
                sim.run_for(mins(5));
            }
            Self::Backoff => {
                sim.vendor.usual = Some(Life::fails(mins(1), transient()));
                until(&mut sim, "backoff");
                sim.vendor.usual = Some(Life::succeeds(mins(20)));
            }
            Self::Cancelling => {
                let mut stubborn = Life::endless();
                stubborn.obeys = Some(mins(3));
                sim.vendor.usual = Some(stubborn);
                until(&mut sim, "cancelling");
                sim.vendor.usual = Some(Life::succeeds(mins(20)));
            }
        }
        sim
    }

    /// How the run that was in the midst of it ends: as it would have, had nobody touched the clock. But by the right
    /// clock the start deadline of six hours may have passed, and then there is no next attempt.
    fn ends(self, late: i64) -> Outcome {
        match self {
            Self::Cancelling => Outcome::TimedOut,
            Self::Backoff if late > 6 * 3600 => Outcome::Failed,
            _ => Outcome::Succeeded,
        }
    }

    /// Whether a run was in the midst of it.
    fn has_run(self) -> bool {
        !matches!(self, Self::JustBefore | Self::Asleep | Self::Stopped)
    }
}

/// Lets time pass until the daemon's clock is so long before the next hour.
fn wait(sim: &mut Sim, before: Duration) {
    let second = sim.now().wall.as_second() - sim.now().wall.as_second().rem_euclid(3600) + 3600;
    let at = u64::try_from(second - sim.now().wall.as_second()).unwrap();
    let before = before.as_secs();
    sim.run_for(secs(if at > before {
        at - before
    } else {
        at + 3600 - before
    }));
}

fn until(sim: &mut Sim, state: &str) {
    sim.run_until(state, |sim| {
        sim.store
            .runs
            .values()
            .any(|row| row.run.state.word() == state)
    });
}

/// What people are told of the clock, in short.
fn told(sim: &Sim) -> Vec<&'static str> {
    let subjects = sim.notices(NoticeKind::Clock);
    subjects
        .iter()
        .map(|notice| match notice.subject.as_str() {
            s if s.starts_with("the clock jumped forward") => "forward",
            s if s.starts_with("everything up to") => "behind",
            s if s.contains("more than a day after") => "away",
            s if s.contains("before this program was written") => "old",
            other => panic!("{other}"),
        })
        .collect()
}

/// How many jobs the vendor has made, and how many occurrences are on record.
fn made(sim: &Sim) -> (usize, u64) {
    let missed: u64 = sim.store.missed.iter().map(|m| m.count).sum();
    (
        sim.vendor.count(Op::Submit),
        sim.store.runs.len() as u64 + missed,
    )
}

/// What holds at the end, whatever was done to the clock.
fn all_is_well(sim: &Sim, moment: Moment, step: i64) {
    let name = format!("{moment:?} {step:+}");
    sim.store.check_coverage();
    for (id, row) in &sim.store.runs {
        let jobs = sim.vendor.jobs_of(id).len();
        let attempts = row.run.attempt as usize;
        assert!(
            jobs <= attempts,
            "{name}: {id} has {jobs} jobs in {attempts} attempts"
        );
        assert_ne!(row.run.outcome(), Some(Outcome::Lost), "{name}: {id}");
    }
}

/// The run that lived when the clock was set, watched to its end; returns how long it took from now on.
fn watched_to_its_end(sim: &mut Sim, moment: Moment, late: i64) -> Duration {
    if !moment.has_run() {
        return Duration::ZERO;
    }
    let begun = sim.t();
    let id = sim.store.live_rows().next().unwrap().run.id.clone();
    sim.run_until("the run ends", |sim| {
        sim.store.runs[&id].run.outcome().is_some()
    });
    let outcome = sim.store.runs[&id].run.outcome();
    assert_eq!(
        outcome,
        Some(moment.ends(late)),
        "{moment:?}, {late} s late: {id}"
    );
    sim.t() - begun
}

/// How long the run takes from that moment on when nobody touches the clock.
fn undisturbed(moment: Moment) -> Duration {
    let mut sim = moment.reached(0);
    watched_to_its_end(&mut sim, moment, 0)
}

/// The clock is right, is set wrong for half an hour and then right again.
fn set_wrong(moment: Moment, step: i64, usual: Duration) {
    let name = format!("{moment:?} {step:+}");
    let mut sim = moment.reached(0);
    let before = made(&sim);
    sim.step_clock(step);
    if moment == Moment::Stopped {
        sim.start();
    }
    sim.run_for(secs(61));
    let snapshot = sim.snapshot();
    // A start believes what is not more than a day away: so long it may have been stopped.
    let most = if moment == Moment::Stopped {
        DAY - 1
    } else {
        BELIEVED
    };
    assert_eq!(snapshot.clock_doubtful, step > most, "{name}");
    assert_eq!(snapshot.clock_behind, step < -BEHIND, "{name}");
    let expected: &[&str] = match step {
        step if step > most && moment == Moment::Stopped => &["away"],
        step if step > most => &["forward"],
        step if step < -BEHIND => &["behind"],
        _ => &[],
    };
    assert_eq!(told(&sim), expected, "{name}");
    let took = match step > most && moment == Moment::Backoff {
        // It waits for a clock that is believed before anything is submitted again.
        true => None,
        false => Some(watched_to_its_end(&mut sim, moment, 0)),
    };
    if let Some(took) = took {
        let about = usual.saturating_sub(secs(62))..=usual + secs(35);
        assert!(
            !moment.has_run() || about.contains(&took),
            "{name}: {took:?}, not {usual:?}"
        );
    }
    sim.run_for(mins(30));
    if step > most || step < -2 * 3600 {
        let (jobs, records) = made(&sim);
        // A next attempt counts elapsed time, and is no new occurrence.
        let again = moment == Moment::Backoff && step < 0;
        let own = usize::from(moment == Moment::Submitting || again);
        assert!(jobs <= before.0 + own, "{name}: submitted on a wrong clock");
        assert_eq!(records, before.1, "{name}: decided on a wrong clock");
    }
    sim.step_clock(-step);
    sim.run_for(hours(4));
    all_is_well(&sim, moment, step);
    let snapshot = sim.snapshot();
    let trusted = !snapshot.clock_doubtful && !snapshot.clock_behind;
    assert!(trusted, "{name}: {snapshot:?}");
    let lately = sim.store.runs.values().rev().take(2);
    let good = lately.filter(|row| row.run.outcome() == Some(Outcome::Succeeded));
    assert!(good.count() >= 1, "{name}: schedules do not go on");
    assert!(
        told(&sim).len() <= expected.len() + 1,
        "{name}: {:?}",
        told(&sim)
    );
}

/// The clock is wrong from the start and is set right; the vendor's clock, and that of everybody else, is.
fn set_right(moment: Moment, step: i64, usual: Duration) {
    let name = format!("{moment:?} {step:+}");
    let mut sim = moment.reached(-step);
    sim.step_clock(step);
    if moment == Moment::Stopped {
        sim.start();
    }
    let took = watched_to_its_end(&mut sim, moment, step);
    if moment.ends(step) == Outcome::Failed {
        assert_eq!(sim.notices(NoticeKind::Failed).len(), 1, "{name}");
    } else if moment.has_run() {
        let about = usual.saturating_sub(secs(1))..=usual + secs(35);
        assert!(about.contains(&took), "{name}: {took:?}, not {usual:?}");
    }
    sim.run_for(mins(5));
    assert!(!sim.snapshot().clock_doubtful, "{name}");
    sim.run_for(hours(4));
    all_is_well(&sim, moment, step);
    let behind = step < -5 * 3600;
    assert_eq!(sim.snapshot().clock_behind, behind, "{name}");
    let last = sim.store.runs.values().next_back().unwrap();
    let fresh = sim
        .now()
        .wall
        .duration_since(last.run.id.instant)
        .as_hours()
        .abs()
        < 2;
    assert!(
        fresh || behind,
        "{name}: schedules do not go on: {:?}",
        last.run.id
    );
    let expected: &[&str] = match (step, moment) {
        (step, Moment::Stopped) if step >= DAY => &["away"],
        (step, Moment::Stopped) if step > 0 => &[],
        (step, _) if step > BELIEVED => &["forward"],
        (step, _) if step < -BEHIND => &["behind"],
        _ => &[],
    };
    let mut told = told(&sim);
    told.retain(|what| *what != "old");
    assert_eq!(told, expected, "{name}");
}

fn sweep(moment: Moment) {
    let usual = undisturbed(moment);
    for step in STEPS {
        set_wrong(moment, step, usual);
        set_right(moment, step, usual);
    }
}

#[test]
fn just_before_an_occurrence() {
    sweep(Moment::JustBefore);
}

#[test]
fn asleep_between_two_wakes() {
    sweep(Moment::Asleep);
}

#[test]
fn stopped() {
    sweep(Moment::Stopped);
}

#[test]
fn submitting() {
    sweep(Moment::Submitting);
}

#[test]
fn in_doubt() {
    sweep(Moment::InDoubt);
}

#[test]
fn running() {
    sweep(Moment::Running);
}

#[test]
fn backing_off() {
    sweep(Moment::Backoff);
}

#[test]
fn cancelling() {
    sweep(Moment::Cancelling);
}

/// Every minute, so that each step meets occurrences.
#[test]
fn a_clock_that_is_never_right_for_long_loses_and_doubles_nothing() {
    let mut sim = Sim::new(Config::of([every("a", mins(1))]));
    sim.vendor.usual = Some(Life::succeeds(secs(20)));
    for step in STEPS {
        sim.run_for(secs(150));
        sim.step_clock(step);
        sim.run_for(secs(150));
        sim.step_clock(-step);
    }
    sim.run_for(hours(1));
    all_is_well(&sim, Moment::Asleep, 0);
    let snapshot = sim.snapshot();
    assert!(!snapshot.clock_doubtful && !snapshot.clock_behind);
}

/// The driver feeds the watchdog between two steps, so a step must not take as long as all schedules together.
#[test]
fn years_that_were_passed_over_are_decided_in_several_steps_and_once() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let mut sim = Sim::stopped(Config::of(names.map(|name| every(name, mins(10)))));
    sim.skew = -10 * YEAR * 1000;
    sim.start();
    sim.synchronised();
    sim.run_for(mins(25));
    sim.step_clock(10 * YEAR);
    let before = sim.steps;
    sim.synchronised();
    let decided = |sim: &Sim| sim.store.missed.len();
    assert_eq!(decided(&sim), 1, "the first series alone");
    let begun = sim.t();
    sim.run_until("all are decided", |sim| decided(sim) == names.len());
    assert!(sim.steps - before >= names.len());
    assert_eq!(sim.t(), begun, "one after the other, without a pause");
    sim.run_for(hours(1));
    for missed in &sim.store.missed {
        let of = sim
            .store
            .missed
            .iter()
            .filter(|m| m.series == missed.series);
        assert_eq!(of.count(), 1);
    }
    assert!(!sim.snapshot().clock_doubtful && !sim.snapshot().clock_behind);
}

/// Sleeps, and what left before the sleep and arrives after it: the time limits of requests have slept, too.
#[test]
fn a_request_that_slept_with_its_machine_is_not_taken_for_absent() {
    let in_time = Passage::slow(secs(25), secs(1));
    // The client gave up, and what the kernel still holds arrives all the same.
    let too_late = Passage::late(secs(35));
    for (state, passage) in [("submitting", in_time), ("in_doubt", too_late)] {
        for asleep in [mins(2), hours(1), hours(20)] {
            let definition = hourly("a").with(|d| d.policies.retry.backoff = secs(1));
            let mut sim = Sim::new(Config::of([definition]));
            sim.vendor.usual = Some(Life::succeeds(mins(1)));
            sim.run_until("a first job", |sim| {
                sim.outcomes("a") == [Some(Outcome::Succeeded)]
            });
            sim.vendor.next(Op::Submit, passage.clone());
            until(&mut sim, state);
            sim.suspend(asleep);
            sim.run_for(mins(10));
            assert_eq!(sim.jobs("a", "02:00"), 1, "{state}, {asleep:?}");
            let outcome = sim.outcome("a", "02:00");
            assert_eq!(outcome, Some(Outcome::Succeeded), "{state}, {asleep:?}");
            assert!(told(&sim).is_empty());
            sim.store.check_coverage();
        }
    }
}

#[test]
fn a_job_that_ended_during_a_sleep_is_not_asked_to_stop_by_its_time_limit() {
    let definition = hourly("a").with(|d| d.timeout = mins(20));
    let mut sim = Sim::new(Config::of([definition]));
    sim.vendor.usual = Some(Life::succeeds(mins(10)));
    until(&mut sim, "running");
    sim.suspend(hours(3));
    sim.run_for(mins(10));
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Succeeded));
    assert_eq!(sim.vendor.count(Op::Cancel), 0);
}
