//! The machine sleeps and wakes up: wall clock and elapsed time have gone on, the timers of the program have not.

use std::time::Duration;

use nightcall::sandbox::Ending;
use nightcall::sched::outcome::Outcome;

use super::machine::Machine;

/// A machine that slept for so long while the long job ran.
async fn slept(seconds: i64, ends_meanwhile: bool) -> Option<Machine> {
    let mut machine = Machine::new(0).await?;
    let before = machine.now();
    machine.start();
    machine.ticks_after(before, 2).await;
    machine.fire("long");
    machine
        .until("the long job runs", |m| {
            m.of("long").iter().any(|r| r.job.is_some())
        })
        .await;
    machine.suspend(seconds);
    if ends_meanwhile {
        let job = machine.of("long")[0].job.clone().unwrap();
        let world = machine.world.sandbox.world();
        assert!(world.with(|w| w.finish(job.as_str(), Ending::Success)));
    }
    Some(machine)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_slept_catches_up_and_nothing_of_it_is_doubted() {
    for (name, seconds) in [("an hour", 3600), ("30 hours", 108_000)] {
        let Some(machine) = slept(seconds, true).await else {
            return;
        };
        machine.ticks_after(machine.now(), 2).await;
        assert!(machine.told().is_empty(), "{name}: {:?}", machine.told());
        // Its time limit passed while nobody could ask; it is asked about first.
        let ended = |m: &Machine| m.of("long").iter().any(|run| run.outcome().is_some());
        machine.until("the long job ends", ended).await;
        let outcome = machine.of("long")[0].outcome();
        assert_eq!(outcome, Some(Outcome::Succeeded), "{name}");
        machine.nothing_lost_nothing_twice(name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_outlived_its_time_limit_during_the_sleep_is_stopped() {
    let Some(machine) = slept(3600, false).await else {
        return;
    };
    let ended = |m: &Machine| m.of("long").iter().any(|run| run.outcome().is_some());
    machine.until("the long job ends", ended).await;
    assert_eq!(machine.of("long")[0].outcome(), Some(Outcome::TimedOut));
    tokio::time::sleep(Duration::from_millis(10)).await;
    machine.nothing_lost_nothing_twice("stopped");
}
