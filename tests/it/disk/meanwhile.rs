//! What happens during a commit is taken in as the next step: it leaves after its own commit, and is gone with a commit
//! that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use nightcall::daemon::{Daemon, DaemonHandle, SystemClock, Undecided};
use nightcall::sched::step::{Change, Fired};
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
