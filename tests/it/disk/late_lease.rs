//! A commit that took longer than the lease is trusted: what it announced leaves only when nobody else has come.

use std::collections::HashMap;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use nightcall::daemon::{Clients, Clock, Daemon, DaemonError, Parts, Plan};
use nightcall::sched::call::{Submission, Target};
use nightcall::sched::id::JobId;
use nightcall::sched::schedule::{ConnectionLimits, PollPlan};
use nightcall::sched::step::{CancelAnswer, Change, ListAnswer, PollAnswer, SubmitAnswer};
use nightcall::sched::time::{Mono, Now, TimeZone, Timestamp};
use nightcall::sched::trigger::Trigger;
use nightcall::store::{Lease, Reply, Store, StoreError};
use nightcall::systemd::Notifier;
use nightcall::warehouse::{self, Heard, JobClient, Looked};
use tokio_util::sync::CancellationToken;

use crate::support::memory_store::MemoryStore;
use crate::support::moody_store::{Mood, Moody};
use crate::support::runs::*;

/// Both clocks, moved by hand; in seconds.
#[derive(Default)]
struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> Now {
        let seconds = self.0.load(Ordering::SeqCst);
        Now {
            wall: hour(0) + Duration::from_secs(seconds.unsigned_abs()),
            mono: Mono(seconds * 1_000_000_000),
        }
    }
}

/// A store whose next commit with a submission takes a while; meanwhile somebody may come.
struct Slow {
    clock: Arc<HandClock>,
    armed: AtomicBool,
    somebody_comes: bool,
}

pub(super) fn announces(changes: &[Change]) -> bool {
    let submits = |change: &Change| matches!(change, Change::Run { record, .. } if record.what == "submitting");
    changes.iter().any(submits)
}

impl Mood for Slow {
    fn commit<'a>(
        &'a self,
        store: &'a MemoryStore,
        lease: Lease,
        changes: Vec<Change>,
    ) -> Reply<'a, Vec<Change>> {
        Box::pin(async move {
            let slow = announces(&changes) && self.armed.swap(false, Ordering::SeqCst);
            let changes = store.commit(lease, changes).await?;
            if slow {
                self.clock.0.fetch_add(100, Ordering::SeqCst);
                if self.somebody_comes {
                    let now = self.clock.now().wall;
                    store.acquire(holder(99), TRUST, now).await?;
                }
            }
            Ok(changes)
        })
    }
}

/// A vendor that counts.
#[derive(Default)]
pub(super) struct Counting(pub(super) AtomicU32);

fn says<'a, T: Send + 'a>(answer: T) -> warehouse::Reply<'a, T> {
    Box::pin(ready(Heard { answer, date: None }))
}

impl JobClient for Counting {
    fn submit<'a>(&'a self, _: &'a Submission) -> warehouse::Reply<'a, SubmitAnswer> {
        self.0.fetch_add(1, Ordering::SeqCst);
        says(SubmitAnswer::Accepted(job("j")))
    }
    fn poll<'a>(&'a self, _: &'a Target, _: &'a JobId) -> warehouse::Reply<'a, PollAnswer> {
        says(PollAnswer::Succeeded)
    }
    fn cancel<'a>(&'a self, _: &'a Target, _: &'a JobId) -> warehouse::Reply<'a, CancelAnswer> {
        panic!("nothing is cancelled here")
    }
    fn list<'a>(&'a self, _: &'a Target, _: Timestamp) -> warehouse::Reply<'a, ListAnswer> {
        says(ListAnswer::Jobs(Vec::new()))
    }
    fn look<'a>(&'a self, _: &'a Target, _: Timestamp) -> warehouse::Reply<'a, Looked> {
        panic!("nobody looks here")
    }
}

pub(super) fn parts(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    schedules: &[&str],
    vendor: Arc<Counting>,
    stop: CancellationToken,
) -> Parts {
    let definitions = schedules.iter().map(|name| {
        let series = series(&format!("{name}/default"));
        let definition = definition(&series);
        let trigger = Trigger::new(&definition.trigger, TimeZone::UTC, &series.schedule).unwrap();
        (definition, Arc::new(trigger))
    });
    let definitions: Vec<_> = definitions.collect();
    let (connection, target) = {
        let (any, _) = &definitions[0];
        (any.connection.clone(), any.target.clone())
    };
    let vendor: Arc<dyn JobClient> = vendor;
    let clients: Clients = HashMap::from([(connection.clone(), vendor)]);
    let second = Duration::from_secs(1);
    Parts {
        clock,
        store,
        outbox: Arc::new(MemoryStore::default()),
        clients,
        plan: Plan {
            config: Arc::from("0123456789abcdef"),
            connections: vec![ConnectionLimits {
                name: connection,
                target,
                requests_per_minute: 10_000,
                max_in_flight: 10,
                poll: PollPlan {
                    first: second,
                    factor: 1.0,
                    max: second,
                },
                request_timeout: second,
                list_lag: second,
                give_up: 30 * second,
            }],
            definitions,
            disabled: Vec::new(),
            observe: false,
            kept: std::time::Duration::MAX,
            zones: Arc::new(|_| Some(TimeZone::UTC)),
            checks: Arc::new(|| Box::pin(async { Vec::new() })),
            channels: Vec::new(),
        },
        chores: chores(),
        instance: None,
        systemd: Notifier::default(),
        stop,
    }
}

/// One run by hand, whose intent takes long to store. How the daemon ended, and how often it submitted.
async fn after_a_slow_commit(somebody_comes: bool) -> (Result<(), DaemonError>, u32) {
    let store = Arc::new(Moody::new(Slow {
        clock: Arc::default(),
        armed: AtomicBool::new(true),
        somebody_comes,
    }));
    let (vendor, stop) = (Arc::new(Counting::default()), CancellationToken::new());
    let clock = Arc::clone(&store.mood.clock) as Arc<dyn Clock>;
    let parts = parts(
        store,
        clock,
        &["nightly"],
        Arc::clone(&vendor),
        stop.clone(),
    );
    let (daemon, handle) = Daemon::new(parts).await.unwrap();
    let night = tokio::spawn(daemon.run());
    let _ = handle.fire(by_hand("nightly", "k")).await;
    let submitted = async {
        while vendor.0.load(Ordering::SeqCst) == 0 && !night.is_finished() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), submitted)
        .await
        .unwrap();
    stop.cancel();
    let ended = night.await.unwrap();
    (ended, vendor.0.load(Ordering::SeqCst))
}

#[tokio::test]
async fn nothing_leaves_when_somebody_else_has_the_lease_by_then() {
    let (ended, submitted) = after_a_slow_commit(true).await;
    let fenced = matches!(ended, Err(DaemonError::Store(StoreError::Fenced { .. })));
    assert_eq!((fenced, submitted), (true, 0), "{ended:?}");
}

#[tokio::test]
async fn it_leaves_when_nobody_has_come() {
    let (ended, submitted) = after_a_slow_commit(false).await;
    assert_eq!((ended.is_ok(), submitted), (true, 1), "{ended:?}");
}
