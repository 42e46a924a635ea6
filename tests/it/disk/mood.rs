//! A disk whose mood changes all the time, under a daemon that is killed now and then: in the end everything was run
//! once.

#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use super::damage::Dice;
use super::night::{Night, Place};
use super::shim::{BROKEN, FULL, READ_ONLY};

/// How long the mood changes; `NIGHTCALL_LONG` says seconds.
fn how_long() -> Duration {
    let long = std::env::var("NIGHTCALL_LONG").ok();
    let seconds = long.and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(10))
}

/// Longer than a start takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn mood(place: &Place, dice: &mut Dice) -> &'static str {
    let shim = &place.shim;
    match dice.below(9) {
        0 => shim.fails(FULL, "wto"),
        1 => shim.fails(BROKEN, "w"),
        2 => shim.fails(BROKEN, "s"),
        3 => shim.fails(BROKEN, "r"),
        4 => shim.fails(BROKEN, "rwsto"),
        5 => shim.fails(READ_ONLY, "wton"),
        6 => {
            shim.slow("ws", 150);
            return "is slow";
        }
        _ => {
            shim.works();
            return "works";
        }
    }
    "fails"
}

/// Starts it as a service manager does: again when the disk was too bad to start on.
async fn started(place: &Place) -> Night<'_> {
    let since = Instant::now();
    loop {
        let mut night = place.start();
        loop {
            if night.log().contains("ready") {
                return night;
            }
            if let Some(status) = night.has_ended() {
                let log = night.log();
                assert_eq!(status.code(), Some(74), "{log}");
                assert!(log.contains("the store cannot be used"), "{log}");
                place.shim.works();
                break;
            }
            let patient = since.elapsed() < PATIENCE;
            assert!(patient, "it is not ready: {}", night.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_mood_of_the_disk_everything_is_run_once() {
    let seed = std::env::var("NIGHTCALL_SEED").ok();
    let seed: u64 = seed.map_or_else(
        || u64::from(std::process::id()) | 1 << 32,
        |text| text.parse().unwrap(),
    );
    println!("NIGHTCALL_SEED={seed}");
    let mut dice = Dice(seed);
    let place = Place::new().await;
    let mut night = started(&place).await;
    night.sticks().await;
    let since = Instant::now();
    while since.elapsed() < how_long() {
        let mood = mood(&place, &mut dice);
        let pause = Duration::from_millis(dice.below(500) as u64);
        tokio::time::sleep(pause).await;
        // whoever writes beside a slow daemon may wait for long
        if mood != "is slow" && dice.below(4) == 0 {
            place.somebody_else_writes();
        }
        if dice.below(12) == 0 {
            night.kill();
            night = started(&place).await;
        }
        let ended = night.has_ended();
        assert!(ended.is_none(), "{mood}: {ended:?}\n{}", night.log());
    }
    place.shim.works();
    night.kill();
    let mut night = started(&place).await;
    let (runs, upto) = night.settles().await;
    place.everything_once(&runs, upto);
    assert_eq!(night.stop().await.code(), Some(0));
}
