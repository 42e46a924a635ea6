//! The clock is set while jobs run: wrong and right again, and right at last.

use std::time::{Duration, Instant};

use nightcall::sched::id::RunId;
use nightcall::sched::outcome::Outcome;
use nightcall::sched::time::Timestamp;
use tokio::task::JoinSet;

use super::machine::Machine;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// What people are told of a clock that jumped forward …
const FORWARD: &str = "the clock jumped forward";
/// … and of one that was set back.
const BACK: &str = "everything up to";

/// What becomes of a clock that is set wrong by so many seconds, and right again.
struct Expected {
    step: i64,
    /// What the program says about itself meanwhile.
    status: &'static str,
    /// How the subjects of the notices begin, both steps included.
    told: &'static [&'static str],
}

const DOUBT: &str = "the clock is not believed";
const BEHIND: &str = "the clock was set back";

#[rustfmt::skip]
const WRONG: [Expected; 14] = [
    Expected { step: 1,          status: "3 series", told: &[] },
    Expected { step: -1,         status: "3 series", told: &[] },
    Expected { step: 60,         status: "3 series", told: &[] },
    Expected { step: -60,        status: "3 series", told: &[] },
    Expected { step: 360,        status: DOUBT,      told: &[FORWARD] },
    Expected { step: -360,       status: BEHIND,     told: &[BACK, FORWARD] },
    Expected { step: HOUR,       status: DOUBT,      told: &[FORWARD] },
    Expected { step: -HOUR,      status: BEHIND,     told: &[BACK, FORWARD] },
    Expected { step: DAY,        status: DOUBT,      told: &[FORWARD] },
    Expected { step: -DAY,       status: BEHIND,     told: &[BACK, FORWARD] },
    Expected { step: YEAR,       status: DOUBT,      told: &[FORWARD] },
    Expected { step: -YEAR,      status: BEHIND,     told: &[BACK, FORWARD] },
    Expected { step: 10 * YEAR,  status: DOUBT,      told: &[FORWARD] },
    Expected { step: -10 * YEAR, status: BEHIND,     told: &[BACK, FORWARD] },
];

/// A running machine with some runs behind it and a job that does not end.
async fn at_work(ahead: i64) -> Option<Machine> {
    let mut machine = Machine::new(ahead).await?;
    // By itself the program would not believe a clock that is older than it; by the word of the system it does.
    machine.say_synchronised(-ahead >= YEAR);
    let before = machine.now();
    machine.start();
    machine.ticks_after(before, 2).await;
    Some(machine)
}

fn assert_told(machine: &Machine, name: &str, expected: &[&str]) {
    let told = machine.told();
    let fits = told.len() == expected.len()
        && told
            .iter()
            .zip(expected)
            .all(|(said, begins)| said.starts_with(begins));
    assert!(fits, "{name}: told {told:?}, not {expected:?}");
}

/// The job was asked to stop when its time limit had elapsed, not earlier, and later only by what a busy machine takes.
async fn stopped_in_time(machine: &Machine, name: &str, asked: Instant) {
    let ended = |m: &Machine| m.of("long").iter().any(|run| run.outcome().is_some());
    machine.until("the time limit of the long job", ended).await;
    let took = asked.elapsed();
    assert_eq!(
        machine.of("long")[0].outcome(),
        Some(Outcome::TimedOut),
        "{name}"
    );
    let about = Duration::from_secs(6)..Duration::from_secs(30);
    assert!(about.contains(&took), "{name}: stopped after {took:?}");
}

async fn set_wrong_and_right(expected: &Expected) {
    let Some(mut machine) = at_work(0).await else {
        return;
    };
    let Expected { step, status, told } = expected;
    let name = format!("{step:+} s");
    machine.fire("long");
    let asked = Instant::now();
    machine
        .until("the long job runs", |m| {
            m.of("long").iter().any(|r| r.job.is_some())
        })
        .await;

    let right = machine.now();
    let known: Vec<RunId> = machine.of("tick").into_iter().map(|run| run.id).collect();
    machine.step(*step);
    machine
        .until(&format!("{name}: {status}"), |m| {
            m.status().starts_with(status)
        })
        .await;
    stopped_in_time(&machine, &name, asked).await;
    let last = machine.of("tick").last().unwrap().id.instant;
    if status != &"3 series" {
        // Nothing of the other time was decided: at most what was due in the moment of the step.
        let soon = right + jiff::SignedDuration::from_secs(2);
        assert!(last <= soon, "{name}: {last} was decided on a wrong clock");
    }

    // A short step forward is believed: it is the time from now on.
    if *step < 0 || *status == DOUBT {
        machine.step(-*step);
    }
    machine.ticks_after(machine.now().max(last), 2).await;
    let kept: Vec<RunId> = machine.of("tick").into_iter().map(|run| run.id).collect();
    let gone: Vec<&RunId> = known.iter().filter(|id| !kept.contains(id)).collect();
    assert!(
        gone.is_empty(),
        "{name}: taken for old and deleted: {gone:?}"
    );
    assert_told(&machine, &name, told);
    let says = machine.status();
    assert!(says.starts_with("3 series"), "{name}: {says}");
    machine.nothing_lost_nothing_twice(&name);
}

/// As many daemons at a time as a machine with few cores can serve.
const AT_ONCE: usize = 3;

/// Plays all cases, some at a time.
async fn each<T: Send + Sync + 'static>(all: &'static [T], at_once: usize, case: impl Case<T>) {
    let mut running = JoinSet::new();
    for one in all {
        if running.len() >= at_once {
            running.join_next().await.unwrap().unwrap();
        }
        running.spawn(case.run(one));
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}

trait Case<T: 'static> {
    fn run(&self, one: &'static T) -> impl Future<Output = ()> + Send + 'static;
}

impl<T: 'static, F, R> Case<T> for F
where
    F: Fn(&'static T) -> R,
    R: Future<Output = ()> + Send + 'static,
{
    fn run(&self, one: &'static T) -> impl Future<Output = ()> + Send + 'static {
        self(one)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_wrong_and_right_again_loses_and_doubles_nothing() {
    static CASES: &[Expected] = &WRONG;
    each(CASES, AT_ONCE, set_wrong_and_right).await;
}

/// The clock was behind all the time and is set right: the vendor's clock agrees with the new time.
async fn set_right(behind: &'static i64) {
    let Some(mut machine) = at_work(-behind).await else {
        return;
    };
    let name = format!("{behind} s behind, then right");
    machine.step(*behind);
    let right = machine.now();
    machine.ticks_after(right, 2).await;
    let told: &[&str] = match *behind {
        ..=300 => &[],
        YEAR.. => &["the clock says", FORWARD],
        _ => &[FORWARD],
    };
    assert_told(&machine, &name, told);
    machine.nothing_lost_nothing_twice(&name);
    let says = machine.status();
    assert!(says.starts_with("3 series"), "{name}: {says}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_right_is_believed_when_the_vendors_clock_agrees() {
    static CASES: [i64; 6] = [60, 360, HOUR, DAY, YEAR, 10 * YEAR];
    each(&CASES, AT_ONCE, set_right).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_only_the_system_vouches_for_is_believed() {
    let Some(mut machine) = at_work(0).await else {
        return;
    };
    machine.step(HOUR);
    machine
        .until("the clock is doubted", |m| m.status().starts_with(DOUBT))
        .await;
    let before = machine.of("tick").last().unwrap().id.instant;
    assert!(before < machine.now() - jiff::SignedDuration::from_mins(50));
    machine.say_synchronised(true);
    let stepped: Timestamp = machine.now();
    machine.ticks_after(stepped, 2).await;
    assert_told(&machine, "an hour, synchronised", &[FORWARD]);
    machine.nothing_lost_nothing_twice("an hour, synchronised");
}
