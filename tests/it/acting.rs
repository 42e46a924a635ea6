//! What people do to the real daemon, over its handle: reload, pause, cancel, retry.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nightcall::daemon::{Clock, Daemon, DaemonHandle, Parts, SystemClock, Undecided};
use nightcall::sandbox::{Ending, Scenario, Script};
use nightcall::sched::act::{Act, Acted, Again, By, How, Scope};
use nightcall::sched::id::{RunId, ScheduleName};
use nightcall::sched::outcome::Outcome;
use nightcall::sched::step::{Change, Fired};
use nightcall::sched::time::{Now, TimeRange, Timestamp};
use nightcall::store::{Lease, Reply, Store, StoreError};
use nightcall::systemd::Notifier;
use tokio_util::sync::CancellationToken;

use crate::support::memory_store::MemoryStore;
use crate::support::moody_store::{Mood, Moody};
use crate::support::runs::{by_hand, chores};
use crate::support::world::{Night, World};

const ONE: &str = "
[schedule.one]
every = \"365d\"
procedure = \"p.d.one()\"
";
const TWO: &str = "
[schedule.two]
every = \"365d\"
procedure = \"p.d.two()\"
";

fn slow() -> Scenario {
    Scenario {
        script: Script::running(Duration::from_millis(700)),
        ..Scenario::default()
    }
}

async fn under_way(night: &Night, run: &RunId) {
    let has_job = |r: &nightcall::sched::run::Run| r.id == *run && r.job.is_some();
    night.until(|runs| runs.iter().any(has_job)).await;
}

fn message(acted: Acted) -> String {
    match acted {
        Acted::Done { message, .. } => message,
        Acted::Refused { message, hint } => format!("refused: {message} / {hint}"),
    }
}

#[tokio::test]
async fn a_reload_brings_another_schedule_and_disturbs_no_live_run() {
    let world = World::new(slow(), ONE).await;
    let night = world.start().await;
    let before = night.handle.status().config.clone();
    let run = night.fire("one").await;
    under_way(&night, &run).await;
    world.write(&format!("{ONE}{TWO}"));
    let said = message(world.reload(&night).await);
    assert!(said.contains("2 series are planned: 1 added"), "{said}");
    let two = night.run("two").await;
    assert_eq!(two.run.outcome(), Some(Outcome::Succeeded));
    assert_eq!(*two.run.config, *world.config().hash);
    let one = night.finished(&run).await;
    let what: Vec<&str> = one.records.iter().map(|r| r.what.as_ref()).collect();
    assert_eq!(what, ["asked", "submitting", "accepted", "finished"]);
    let after = night.handle.status().config.clone();
    assert!(before != after && *after == *world.config().hash);
    night.stop().await;
    assert!(world.sandbox.world().with(|w| w.doubled()).is_empty());
}

#[tokio::test]
async fn a_reload_that_is_refused_leaves_everything_as_it_was() {
    let world = World::new(slow(), ONE).await;
    let night = world.start().await;
    let before = night.handle.status().config.clone();
    let run = night.fire("one").await;
    under_way(&night, &run).await;
    let other = "[connection.other]\nbase_url = \"{base_url}\"\nprovider = \"bigquery\"\n\
                 token = { file = \"token\" }\n{quick}\n[defaults]\nconnection = \"other\"\n";
    world.write(&format!("{other}{TWO}"));
    let said = message(world.reload(&night).await);
    assert!(said.starts_with("refused: connection sandbox"), "{said}");
    assert_eq!(night.handle.status().config, before);
    assert!(matches!(night.try_fire("two").await, Fired::Refused { .. }));
    let story = night.finished(&run).await;
    assert_eq!(story.run.outcome(), Some(Outcome::Succeeded));
    // Now that nothing needs it, it may go.
    let said = message(world.reload(&night).await);
    assert!(said.contains("1 added, 1 removed"), "{said}");
    assert_eq!(
        night.run("two").await.run.outcome(),
        Some(Outcome::Succeeded)
    );
    night.stop().await;
}

#[tokio::test]
async fn a_credential_that_was_mended_works_after_a_reload() {
    let tables = "[connection.sandbox]\nbase_url = \"{base_url}\"\nprovider = \"bigquery\"\n\
                  token = { file = \"wrong\" }\n{quick}\n[defaults]\nconnection = \"sandbox\"\n";
    let world = World::new(Scenario::default(), &format!("{tables}{ONE}")).await;
    std::fs::write(world.file("wrong"), "not-the-token").unwrap();
    let night = world.start().await;
    let run = night.fire("one").await;
    world.write(&format!("{}{ONE}", tables.replace("wrong", "token")));
    message(world.reload(&night).await);
    let story = night.finished(&run).await;
    assert_eq!(story.run.outcome(), Some(Outcome::Succeeded));
    night.stop().await;
}

#[tokio::test]
async fn a_pause_outlasts_the_daemon_and_is_on_record() {
    let world = World::new(Scenario::default(), ONE).await;
    let scope = || Scope::Schedule(ScheduleName::new("one").unwrap());
    let night = world.start().await;
    let until = None;
    night
        .act(Act::Pause {
            scope: scope(),
            until,
        })
        .await;
    night.stop().await;
    let night = world.start().await;
    let Fired::Refused { message, .. } = night.try_fire("one").await else {
        panic!("a paused schedule fires");
    };
    assert!(message.contains("paused"), "{message}");
    assert_eq!(night.history().pauses().unwrap().len(), 1);
    let catch_up = false;
    night
        .act(Act::Resume {
            scope: scope(),
            catch_up,
        })
        .await;
    night.run("one").await;
    let ever = TimeRange {
        after: Timestamp::MIN,
        upto: Timestamp::MAX,
    };
    let deeds = night.history().deeds(ever).unwrap();
    let words: Vec<&str> = deeds.iter().map(|deed| deed.act.as_str()).collect();
    assert_eq!(words, ["pause", "resume"]);
    assert!(deeds.iter().all(|deed| deed.by.who() == "test"));
    night.stop().await;
}

#[tokio::test]
async fn a_run_is_cancelled_and_a_finished_one_says_that_it_has_ended() {
    let scenario = Scenario {
        script: Script::ending(vec![Ending::Stuck, Ending::Success]),
        ..Scenario::default()
    };
    let world = World::new(scenario, ONE).await;
    let night = world.start().await;
    let run = night.fire("one").await;
    under_way(&night, &run).await;
    assert_eq!(
        night.act(Act::Cancel { run: run.clone() }).await,
        std::slice::from_ref(&run)
    );
    let story = night.finished(&run).await;
    assert_eq!(story.run.outcome(), Some(Outcome::Cancelled));
    assert!(story.records.iter().any(|r| r.what == "cancel_asked"));
    let said = message(night.try_act(Act::Cancel { run: run.clone() }).await);
    assert!(
        said.starts_with("refused") && said.contains("has ended already"),
        "{said}"
    );
    let retry = Again {
        how: How::Retry,
        run,
        queue: false,
        anyway: false,
        even_paused: false,
    };
    let said = message(night.try_act(Act::Again(retry)).await);
    assert!(said.contains("by hand"), "{said}");
    night.stop().await;
}

#[tokio::test]
async fn a_planned_run_that_failed_is_retried_once_however_often_it_is_asked() {
    let scenario = Scenario {
        script: Script::ending(vec![Ending::fails("invalidQuery")]),
        ..Scenario::default()
    };
    let tables = ONE.replace("365d", "1s") + "misfire = \"none\"\nretry = \"none\"\n";
    let world = World::new(scenario, &tables).await;
    let night = world.start().await;
    let failed = |r: &&nightcall::sched::run::Run| r.outcome() == Some(Outcome::Failed);
    let runs = night.until(|runs| runs.iter().any(|r| failed(&r))).await;
    let run = runs.iter().find(failed).unwrap().id.clone();
    world
        .sandbox
        .world()
        .with(|w| w.scenario.script = Script::default());
    let retry = |run: &RunId| {
        Act::Again(Again {
            how: How::Retry,
            run: run.clone(),
            queue: true,
            anyway: false,
            even_paused: true,
        })
    };
    let (one, two) = tokio::join!(night.try_act(retry(&run)), night.try_act(retry(&run)));
    let made = |acted: &Acted| match acted {
        Acted::Done { runs, .. } => Some(runs.clone()),
        Acted::Refused { .. } => None,
    };
    let again = made(&one).or(made(&two)).unwrap();
    assert_eq!(again.len(), 1);
    let story = night.finished(&again[0]).await;
    assert_eq!(story.run.outcome(), Some(Outcome::Succeeded));
    night.stop().await;
    let executed = world
        .sandbox
        .world()
        .with(|w| w.executions(&again[0].to_string()));
    assert_eq!(executed, 1);
}

// ---- a store that fails at an act ----------------------------------------------------------------------------------

/// A store that cannot take the next act, or takes long for it and cannot renew the lease afterwards.
#[derive(Default)]
struct Sick {
    refuses: AtomicBool,
    is_slow: AtomicBool,
    renews_nothing: AtomicBool,
    clock: Arc<Leaping>,
}

/// The clocks of the machine, some time later after a slow commit.
#[derive(Default)]
struct Leaping(AtomicBool);

impl Clock for Leaping {
    fn now(&self) -> Now {
        let now = SystemClock.now();
        // Longer than a lease goes without being renewed.
        let slow = Duration::from_secs(21) * u32::from(self.0.load(Ordering::Relaxed));
        Now {
            wall: now.wall + slow,
            mono: now.mono.plus(slow),
        }
    }
}

fn full<'a, T: Send + 'a>() -> Reply<'a, T> {
    let sick = StoreError::Unavailable("the disk is full".to_owned());
    Box::pin(std::future::ready(Err(sick)))
}

impl Mood for Sick {
    fn commit<'a>(
        &'a self,
        store: &'a MemoryStore,
        lease: Lease,
        changes: Vec<Change>,
    ) -> Reply<'a, Vec<Change>> {
        let act = changes.iter().any(|c| matches!(c, Change::Acted(_)));
        if act && self.refuses.swap(false, Ordering::Relaxed) {
            return full();
        }
        if act && self.is_slow.swap(false, Ordering::Relaxed) {
            self.clock.0.store(true, Ordering::Relaxed);
            self.renews_nothing.store(true, Ordering::Relaxed);
        }
        store.commit(lease, changes)
    }

    fn renew<'a>(
        &'a self,
        store: &'a MemoryStore,
        lease: Lease,
        trust: Duration,
        now: Timestamp,
    ) -> Reply<'a, Lease> {
        match self.renews_nothing.load(Ordering::Relaxed) {
            true => full(),
            false => store.renew(lease, trust, now),
        }
    }
}

/// Asks for a run of a schedule until the store can be used again.
async fn fired(handle: &DaemonHandle, schedule: &str, key: &str) -> Fired {
    let usable = async {
        loop {
            match handle.fire(by_hand(schedule, key)).await {
                Ok(fired) => return fired,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let fired = tokio::time::timeout(Duration::from_secs(30), usable).await;
    fired.expect("the store can be used again")
}

/// A daemon of one schedule on a store that may fail.
async fn on(
    world: &World,
    store: &Arc<Moody<Sick>>,
    stop: &CancellationToken,
) -> (Daemon, DaemonHandle) {
    let (plan, clients) = world.replacement();
    Daemon::new(Parts {
        store: Arc::clone(store) as Arc<dyn Store>,
        outbox: Arc::new(MemoryStore::default()),
        clients,
        clock: Arc::clone(&store.mood.clock) as Arc<dyn Clock>,
        plan,
        chores: chores(),
        instance: None,
        systemd: Notifier::from_env(),
        stop: stop.clone(),
    })
    .await
    .unwrap()
}

const EVER: TimeRange = TimeRange {
    after: Timestamp::MIN,
    upto: Timestamp::MAX,
};

#[tokio::test]
async fn a_reload_that_cannot_be_stored_never_happened_and_can_be_asked_for_again() {
    let world = World::new(Scenario::default(), ONE).await;
    let (store, stop) = (Arc::new(Moody::<Sick>::default()), CancellationToken::new());
    let (daemon, handle) = on(&world, &store, &stop).await;
    let running = tokio::spawn(daemon.run());
    assert!(matches!(fired(&handle, "one", "k1").await, Fired::Run(_)));
    let before = handle.status().config.clone();
    world.write(&format!("{ONE}{TWO}"));
    let reload = async || {
        let new = Ok(world.replacement());
        handle.reload(new, By::new("test", None)).await
    };
    store.mood.refuses.store(true, Ordering::Relaxed);
    let asked = reload().await;
    assert!(matches!(asked, Err(Undecided::Unusable(_))), "{asked:?}");
    let two = fired(&handle, "two", "k2").await;
    assert!(
        matches!(two, Fired::Refused { .. }),
        "the former plan is in force: {two:?}"
    );
    assert_eq!(handle.status().config, before);
    assert!(matches!(reload().await, Ok(Acted::Done { .. })));
    assert!(matches!(fired(&handle, "two", "k3").await, Fired::Run(_)));
    assert_eq!(store.deeds(EVER).await.unwrap().len(), 1);
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_reload_that_is_stored_is_in_force_and_told_though_the_lease_cannot_be_renewed_then() {
    let world = World::new(Scenario::default(), ONE).await;
    let (store, stop) = (Arc::new(Moody::<Sick>::default()), CancellationToken::new());
    let (daemon, handle) = on(&world, &store, &stop).await;
    let running = tokio::spawn(daemon.run());
    assert!(matches!(fired(&handle, "one", "k1").await, Fired::Run(_)));
    world.write(&format!("{ONE}{TWO}"));
    let new = Ok(world.replacement());
    let mut feed = handle.feed();
    store.mood.is_slow.store(true, Ordering::Relaxed);
    let asked = handle.reload(new, By::new("test", None)).await;
    store.mood.renews_nothing.store(false, Ordering::Relaxed);
    assert!(matches!(asked, Ok(Acted::Done { .. })), "{asked:?}");
    assert_eq!(store.deeds(EVER).await.unwrap().len(), 1);
    let told = std::iter::from_fn(|| feed.try_recv().ok());
    let deeds = told.filter(|change| matches!(**change, Change::Acted(_)));
    assert_eq!(deeds.count(), 1, "whoever follows hears of it");
    assert!(matches!(fired(&handle, "two", "k2").await, Fired::Run(_)));
    stop.cancel();
    running.await.unwrap().unwrap();
}
