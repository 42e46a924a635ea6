//! Starts before the time of the machine was set.

use super::machine::Machine;

/// 1970, 2000, and the date of a build, as seconds since the epoch.
const CLOCKS: [(&str, i64); 3] = [
    ("1970", 90),
    ("2000", 946_684_800),
    ("the date of the build", 1_780_000_000),
];

/// Of these a program without a history can know that they are wrong: it is not so old itself.
const IMPOSSIBLE: &[(&str, i64)] = CLOCKS.split_at(2).0;

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_with_a_history_that_starts_before_the_time_is_set_waits_for_it() {
    for (name, clock) in CLOCKS {
        let Some(mut machine) = Machine::new(0).await else {
            return;
        };
        let before = machine.now();
        machine.start();
        machine.ticks_after(before, 2).await;
        machine.kill();
        let known = machine.of("tick").len();

        let behind = machine.now().as_second() - clock;
        machine.step(-behind);
        machine.start();
        let waits = |m: &Machine| m.status().starts_with("the clock was set back");
        machine.until(name, waits).await;
        assert!(
            machine.of("tick").len() <= known + 1,
            "{name}: decided before the time was set"
        );
        machine.step(behind);
        machine.ticks_after(machine.now(), 2).await;
        let told = machine.told();
        assert_eq!(told.len(), 2, "{name}: {told:?}");
        machine.nothing_lost_nothing_twice(name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_ever_decides_nothing_before_the_time_is_set() {
    for (name, clock) in IMPOSSIBLE {
        let Some(mut machine) = Machine::new(0).await else {
            return;
        };
        let behind = machine.now().as_second() - clock;
        machine.step(-behind);
        machine.start();
        let waits = |m: &Machine| m.status().starts_with("the clock is not believed");
        machine.until(name, waits).await;
        assert!(
            machine.runs().is_empty(),
            "{name}: decided before the time was set"
        );
        machine.say_synchronised(true);
        machine.step(behind);
        let right = machine.now();
        machine.ticks_after(right, 2).await;
        // It has no past: nothing before it was first believed runs or is on record as missed.
        let first = machine.of("tick")[0].id.instant;
        assert!(
            first >= right - jiff::SignedDuration::from_secs(1),
            "{name}: {first}"
        );
        assert!(machine.missed("tick").is_empty(), "{name}");
        assert_eq!(machine.told().len(), 1, "{name}: {:?}", machine.told());
        machine.nothing_lost_nothing_twice(name);
    }
}
