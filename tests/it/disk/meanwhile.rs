//! What happens during a commit is taken in as the next step: it leaves after its own commit, and is gone with a commit
//! that fails.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nightcall::daemon::{Clock, Daemon, DaemonHandle, Moment, SystemClock, Undecided};
use nightcall::sched::act::{Acted, By};
use nightcall::sched::step::{Change, Fired};
use nightcall::sched::time::{Now, TimeZone, Timestamp};
use nightcall::sched::trigger::{Rhythm, Trigger, TriggerSpec};
use nightcall::store::{Lease, Reply, RunQuery, Store, StoreError};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::late_lease::{Counting, announces, parts};
use crate::support::memory_store::MemoryStore;
use crate::support::moody_store::{Mood, Moody};
use crate::support::runs::*;

/// A store whose commits with a submission wait until they are let in, and may then fail.
struct Gate {
    let_in: Semaphore,
    waiting: AtomicU32,
    fails: AtomicBool,
}

impl Mood for Gate {
    fn commit<'a>(
        &'a self,
        store: &'a MemoryStore,
        lease: Lease,
        changes: Vec<Change>,
    ) -> Reply<'a, Vec<Change>> {
        Box::pin(async move {
            if announces(&changes) {
                self.waiting.fetch_add(1, Ordering::SeqCst);
                self.let_in.acquire().await.unwrap().forget();
                if self.fails.swap(false, Ordering::SeqCst) {
                    return Err(StoreError::Unavailable("the disk is full".to_owned()));
                }
            }
            store.commit(lease, changes).await
        })
    }
}

type Answer = JoinHandle<Result<Fired, Undecided>>;

struct Night {
    store: Arc<Moody<Gate>>,
    vendor: Arc<Counting>,
    handle: DaemonHandle,
    stop: CancellationToken,
}

impl Night {
    async fn begins() -> Self {
        let store = Arc::new(Moody::new(Gate {
            let_in: Semaphore::new(0),
            waiting: AtomicU32::new(0),
            fails: AtomicBool::new(false),
        }));
        let (vendor, stop) = (Arc::new(Counting::default()), CancellationToken::new());
        let clock = Arc::new(SystemClock);
        let names = ["first", "second"];
        let parts = parts(
            Arc::clone(&store) as Arc<dyn Store>,
            clock,
            &names,
            Arc::clone(&vendor),
            stop.clone(),
        );
        let (daemon, handle) = Daemon::new(parts).await.unwrap();
        tokio::spawn(daemon.run());
        Self {
            store,
            vendor,
            handle,
            stop,
        }
    }

    fn fire(&self, schedule: &str) -> Answer {
        let (handle, wanted) = (self.handle.clone(), by_hand(schedule, schedule));
        tokio::spawn(async move { handle.fire(wanted).await })
    }

    /// The first one's commit waits at the gate, and the second was taken in behind it.
    async fn two_under_way(&self) -> (Answer, Answer) {
        let first = self.fire("first");
        self.until(|night| night.waiting() == 1).await;
        let second = self.fire("second");
        // Its snapshot shows what was taken in, while nothing is durable.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!first.is_finished() && !second.is_finished());
        assert_eq!(self.submitted(), 0);
        (first, second)
    }

    fn waiting(&self) -> u32 {
        self.store.mood.waiting.load(Ordering::SeqCst)
    }

    fn submitted(&self) -> u32 {
        self.vendor.0.load(Ordering::SeqCst)
    }

    async fn until(&self, is: impl Fn(&Self) -> bool) {
        let so = async {
            while !is(self) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let so = tokio::time::timeout(Duration::from_secs(20), so).await;
        so.expect("it does not happen");
    }
}

#[tokio::test]
async fn what_is_taken_in_during_a_commit_leaves_after_its_own() {
    let night = Night::begins().await;
    let (first, second) = night.two_under_way().await;
    night.store.mood.let_in.add_permits(1);
    night.until(|night| night.waiting() == 2).await;
    assert!(matches!(first.await.unwrap(), Ok(Fired::Run(_))));
    night.until(|night| night.submitted() == 1).await;
    assert!(!second.is_finished(), "answered before it is durable");
    night.store.mood.let_in.add_permits(1);
    assert!(matches!(second.await.unwrap(), Ok(Fired::Run(_))));
    night.until(|night| night.submitted() == 2).await;
    night.stop.cancel();
}

#[tokio::test]
async fn what_is_taken_in_during_a_commit_that_fails_never_happened() {
    let night = Night::begins().await;
    let (first, second) = night.two_under_way().await;
    night.store.mood.fails.store(true, Ordering::SeqCst);
    night.store.mood.let_in.add_permits(10);
    for answer in [first, second] {
        let answer = answer.await.unwrap();
        assert!(
            matches!(answer, Err(Undecided::Unusable(_))),
            "somebody was told otherwise: {answer:?}"
        );
    }
    assert_eq!(night.submitted(), 0);
    assert_eq!(night.store.runs(RunQuery::default()).await, Ok(Vec::new()));
    // The store can be used again, and what is asked again is done.
    for schedule in ["first", "second"] {
        let mut answer = night.fire(schedule).await.unwrap();
        while answer.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            answer = night.fire(schedule).await.unwrap();
        }
        assert!(matches!(answer, Ok(Fired::Run(_))), "{answer:?}");
    }
    night.until(|night| night.submitted() == 2).await;
    night.stop.cancel();
}

/// A clock that is at a time as soon as somebody waits for it.
struct Leap(Mutex<Timestamp>);

impl Clock for Leap {
    fn now(&self) -> Now {
        now(*self.0.lock().unwrap())
    }

    fn shows(&self, at: Timestamp) -> Moment<'_> {
        let mut shown = self.0.lock().unwrap();
        *shown = at.max(*shown);
        Box::pin(std::future::ready(()))
    }
}

/// Remembers what was stored: whether a commit announced a run, and of how many series it moved the cursor.
#[derive(Default)]
struct Order(Mutex<Vec<(bool, usize)>>);

impl Mood for Order {
    fn commit<'a>(
        &'a self,
        store: &'a MemoryStore,
        lease: Lease,
        changes: Vec<Change>,
    ) -> Reply<'a, Vec<Change>> {
        let moved = |change: &&Change| matches!(change, Change::Cursor { .. });
        let moved = changes.iter().filter(moved).count();
        let stored = (announces(&changes), moved);
        self.0.lock().unwrap().push(stored);
        store.commit(lease, changes)
    }
}

#[tokio::test]
async fn what_is_due_leaves_before_a_configuration_whose_exchange_would_hold_it_up() {
    let due = at("2026-03-02T02:15:00Z");
    let clock = Arc::new(Leap(Mutex::new(due - Duration::from_secs(10))));
    let names: Vec<String> = (0..100).map(|n| format!("s{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let store = Arc::new(Moody::new(Order::default()));
    let vendor = Arc::new(Counting::default());
    let stop = CancellationToken::new();
    let parts = || {
        let clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let store = Arc::clone(&store) as Arc<dyn Store>;
        parts(store, clock, &names, Arc::clone(&vendor), stop.clone())
    };
    let (daemon, handle) = Daemon::new(parts()).await.unwrap();
    let running = tokio::spawn(daemon.run());
    // The connection works before the time comes.
    let fired = handle.fire(by_hand("s0", "first")).await;
    assert!(matches!(fired, Ok(Fired::Run(_))), "{fired:?}");
    let submitted = || vendor.0.load(Ordering::SeqCst);
    while submitted() == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut other = parts().plan;
    for (definition, trigger) in &mut other.definitions {
        let mut changed = (**definition).clone();
        let later = TriggerSpec::new(Rhythm::Cron(vec!["30 3 * * *".to_owned()]), "UTC");
        let schedule = &changed.series.schedule;
        *trigger = Arc::new(Trigger::new(&later, TimeZone::UTC, schedule).unwrap());
        changed.trigger = Arc::clone(trigger.spec());
        *definition = Arc::new(changed);
    }
    store.mood.0.lock().unwrap().clear();
    // The exchange of a hundred series is taken to last 2 ms.
    *clock.0.lock().unwrap() = due - Duration::from_millis(2);
    let acted = handle.reload(Ok((other, parts().clients)), By::new("test", None));
    let acted = acted.await;
    assert!(matches!(acted, Ok(Acted::Done { .. })), "{acted:?}");
    stop.cancel();
    running.await.unwrap().unwrap();
    let stored = store.mood.0.lock().unwrap();
    let first = |is: &dyn Fn(&(bool, usize)) -> bool| stored.iter().position(is).unwrap();
    let announced = first(&|(announces, _)| *announces);
    let exchanged = first(&|(_, moved)| *moved == names.len());
    assert!(announced < exchanged, "{stored:?}");
}
