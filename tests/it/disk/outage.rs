//! The disk fails or is slow in the middle of the night: nothing leaves, people are told, and it passes by itself.

use std::time::{Duration, Instant};

use nightcall::sandbox::Operation;

use super::namespace::{self, Inside};
use super::night::{Night, Place};
use super::shim::{BROKEN, FULL, READ_ONLY};

/// The watchdog of the unit waits a minute; whoever shortens it to a few seconds still has no false alarm.
const NO_ALARM: Duration = Duration::from_secs(10);

/// Longer than requests that have left take to arrive.
const IN_THE_AIR: Duration = Duration::from_millis(300);

/// Longer than the time limit of the stuck run, so that a cancel is due meanwhile.
const OUTAGE: Duration = Duration::from_millis(3500);

/// What holds from the moment on at which the daemon knows that its store cannot be written.
async fn nothing_leaves(place: &Place, night: &mut Night<'_>, cause: &str) {
    night.logs("the store cannot be used").await;
    tokio::time::sleep(IN_THE_AIR).await;
    let sent = || [Operation::Create, Operation::Cancel].map(|operation| place.asked(operation));
    let before = sent();
    assert_eq!(before[1], 0, "{cause}: cancelled too early");
    night.logs("heard while the store cannot be used").await;
    tokio::time::sleep(OUTAGE).await;
    says_that_it_lives(night, "the store cannot be used: ").await;
    assert_eq!(sent(), before, "{cause}: submitted or cancelled");
    people_are_told(place, night, cause);
    assert_eq!(sent(), before, "{cause}: a request by hand left");
}

/// It feeds the watchdog also while its status begins with these words.
async fn says_that_it_lives(night: &mut Night<'_>, status: &str) {
    let fed = |night: &Night<'_>| night.heard.alive_while(status);
    night.until("the watchdog is fed meanwhile", fed).await;
}

fn people_are_told(place: &Place, night: &Night<'_>, cause: &str) {
    let (code, said) = place.typed("status");
    assert_eq!(code, 1, "{cause}: {said}");
    assert!(
        said.contains("wrong: the store cannot be used: "),
        "{cause}: {said}"
    );
    assert!(
        !said.contains("used: the store"),
        "{cause}: said twice: {said}"
    );
    let (code, said) = place.typed("fire tick --anyway");
    assert_eq!(code, 69, "{cause}: {said}");
    assert!(night.heard.status("the store cannot be used: "), "{cause}");
    let log = night.log();
    let error = log.lines().find(|line| line.contains("ERROR"));
    let error = error.unwrap_or_else(|| panic!("{cause}: nobody is told\n{log}"));
    assert!(error.contains("nightcall.db"), "{cause}: {error}");
}

/// What holds when the disk works again.
async fn it_passes(place: &Place, night: &mut Night<'_>) {
    night.logs("the store can be used again").await;
    let (runs, upto) = night.settles().await;
    place.everything_once(&runs, upto);
    let stuck = runs.iter().find(|run| run.is_of("stuck")).unwrap();
    assert_eq!(stuck.outcome.as_deref(), Some("timed_out"));
    let (code, said) = place.typed("status");
    assert_eq!(code, 0, "{said}");
    let silence = night.heard.longest_silence();
    assert!(silence < NO_ALARM, "silent for {silence:?}");
}

async fn outage(cause: &str, error: i32, operations: &str) {
    let place = Place::new().await;
    let mut night = place.start();
    night.sticks().await;
    place.shim.fails(error, operations);
    nothing_leaves(&place, &mut night, cause).await;
    place.shim.works();
    it_passes(&place, &mut night).await;
    assert_eq!(night.stop().await.code(), Some(0), "{cause}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_disk_says_nothing_leaves_people_are_told_and_it_passes() {
    tokio::join!(
        outage("full", FULL, "wto"),
        outage("broken", BROKEN, "wsto"),
        outage("not durable", BROKEN, "s"),
        outage("read-only", READ_ONLY, "wton"),
        outage("unreadable, too", BROKEN, "rwsto"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_really_full_is_waited_for() {
    if !namespace::possible() {
        return outage("full", FULL, "wto").await;
    }
    let place = Place::new().await;
    let mut night = place.start_on_a_small_disk(2048);
    night.sticks().await;
    let disk = Inside::of(night.pid(), &place.folder());
    disk.fill();
    night.logs("the store cannot be used").await;
    assert!(night.log().contains("free some space"), "{}", night.log());
    // A smaller commit may still find room, and what it announced may leave; never more than that.
    let since = Instant::now();
    while since.elapsed() < OUTAGE {
        tokio::time::sleep(IN_THE_AIR).await;
        let submitted = place.asked(Operation::Create);
        let announced: u64 = night.runs().iter().map(|run| run.attempts).sum();
        assert!(submitted <= announced, "{submitted} of {announced}");
    }
    night
        .until("the disk is full to the last page", |_| {
            place.typed("status").0 == 1
        })
        .await;
    people_are_told(&place, &night, "really full");
    disk.empty();
    it_passes(&place, &mut night).await;
    assert_eq!(night.stop().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_disk_makes_it_late_and_nothing_else() {
    let place = Place::new().await;
    let mut night = place.start();
    night.sticks().await;
    place.shim.slow("s", 3000);
    night.logs("the store is slow").await;
    let heard = |night: &Night<'_>| night.heard.status("the store is slow: no answer for ");
    night.until("systemd hears of it", heard).await;
    says_that_it_lives(&mut night, "the store is slow: no answer for ").await;
    night
        .until("the status says how late", |_| {
            let (_, said) = place.typed("status --json");
            let status: serde_json::Value = serde_json::from_str(&said).unwrap_or_default();
            status["late_seconds"]
                .as_f64()
                .is_some_and(|late| late > 2.0)
        })
        .await;
    place.shim.works();
    night.logs("the store has answered").await;
    let (runs, upto) = night.settles().await;
    place.everything_once(&runs, upto);
    assert!(
        !night.log().contains("the store cannot be used"),
        "{}",
        night.log()
    );
    let silence = night.heard.longest_silence();
    assert!(silence < NO_ALARM, "silent for {silence:?}");
    assert_eq!(night.stop().await.code(), Some(0));
}

/// SQLite says that a page that the disk does not give is damaged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_cannot_be_read_is_no_damaged_database() {
    let place = Place::new().await;
    let mut night = place.start();
    night.sticks().await;
    place.shim.fails(BROKEN, "r");
    place.somebody_else_writes();
    night.logs("the store cannot be used").await;
    assert!(night.log().contains("nightcall.db"), "{}", night.log());
    place.shim.works();
    it_passes(&place, &mut night).await;
    assert_eq!(night.stop().await.code(), Some(0));
}

/// A commit that was written but not made durable is told as failed. After a crash it may be there all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_failed_sync_left_behind_is_harmless_after_a_crash() {
    let place = Place::new().await;
    let mut night = place.start();
    night.sticks().await;
    place.shim.fails(BROKEN, "s");
    night.logs("the store cannot be used").await;
    night.kill();
    place.shim.works();
    let mut night = place.start();
    let (runs, upto) = night.settles().await;
    place.everything_once(&runs, upto);
    assert_eq!(night.stop().await.code(), Some(0));
}
