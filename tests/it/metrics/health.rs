//! Whether it lives, and whether it does its work.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nightcall::sched::step::Change;
use nightcall::store::{Lease, Reply, Store, StoreError};
use serde_json::{Value, json};

use super::world::{Answer, NIGHT, World};
use crate::support::memory_store::MemoryStore;
use crate::support::moody_store::{Mood, Moody};
use crate::support::runs::by_hand;

fn json(answer: &Answer) -> Value {
    assert_eq!(answer.form, "application/json");
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_is_not_ready_before_it_has_recovered() {
    let world = World::new(NIGHT).await;
    let mut life = world.ready().await;
    let answer = life.ask("/readyz", false, None).await;
    assert_eq!(answer.status, 503);
    assert_eq!(
        json(&answer),
        json!({"ready": false, "reasons": ["recovering"]})
    );
    let alive = life.ask("/healthz", false, None).await;
    assert_eq!(alive.status, 200, "it lives: {}", alive.body);
    life.begin();
    let answer = life.until("/readyz", 200).await;
    assert_eq!(json(&answer), json!({"ready": true}));
    life.stop().await;
}

/// A disk that may be full.
#[derive(Default)]
struct Full(AtomicBool);

impl Mood for Full {
    fn commit<'a>(
        &'a self,
        store: &'a MemoryStore,
        lease: Lease,
        changes: Vec<Change>,
    ) -> Reply<'a, Vec<Change>> {
        if self.0.load(Ordering::SeqCst) {
            let full = StoreError::Unavailable("the disk of warehouse-7 is full".to_owned());
            return Box::pin(ready(Err(full)));
        }
        store.commit(lease, changes)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_is_not_ready_while_its_store_cannot_be_written() {
    let store = Arc::new(Moody::new(Full::default()));
    let world = World::on(NIGHT, Arc::clone(&store) as Arc<dyn Store>).await;
    let life = world.start().await;
    life.until("/readyz", 200).await;
    store.mood.0.store(true, Ordering::SeqCst);
    life.handle.fire(by_hand("broken", "k")).await.unwrap_err();
    let answer = life.until("/readyz", 503).await;
    assert_eq!(json(&answer)["reasons"], json!(["store"]));
    assert!(!answer.body.contains("warehouse"), "{}", answer.body);
    assert_eq!(life.ask("/healthz", false, None).await.status, 200);
    let page = life.page().await;
    assert!(page.value("nightcall_store_commit_failures_total") >= 1.0);
    assert_eq!(page.value("nightcall_not_ready{reason=\"store\"}"), 1.0);
    assert_eq!(page.value("nightcall_not_ready{reason=\"clock\"}"), 0.0);
    store.mood.0.store(false, Ordering::SeqCst);
    life.until("/readyz", 200).await;
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_is_not_ready_while_it_does_not_believe_the_clock() {
    let world = World::new("").await;
    let life = world.start().await;
    life.until("/readyz", 200).await;
    world.clock.by(86_400 * 3650);
    let answer = life.until("/readyz", 503).await;
    assert_eq!(json(&answer)["reasons"], json!(["clock"]));
    world.clock.by(0);
    life.until("/readyz", 200).await;
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_health_is_open_over_loopback() {
    let world = World::new(NIGHT).await;
    let life = world.start().await;
    life.until("/readyz", 200).await;
    let answer = life.ask("/metrics", false, None).await;
    assert_eq!(answer.status, 401);
    assert!(!answer.body.contains("nightcall_"), "{}", answer.body);
    assert_eq!(life.ask("/metrics", true, None).await.status, 200);
    life.stop().await;
}
