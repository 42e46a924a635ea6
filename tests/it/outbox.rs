//! What every store must do for those who tell people: one suite, run over each of them.

use std::sync::Arc;

use nightcall::sched::step::Change;
use nightcall::store::outbox::{Outbox, Progress, ThreadName};
use nightcall::store::sqlite::SqliteStore;
use nightcall::store::{Chore, Store};

use crate::support::memory_store::MemoryStore;
use crate::support::runs::*;

trait Both: Store + Outbox {}
impl<T: Store + Outbox> Both for T {}

/// A store for one test, with what must live as long.
struct Subject {
    store: Arc<dyn Both>,
    _folder: Option<tempfile::TempDir>,
}

fn memory() -> Subject {
    Subject {
        store: Arc::new(MemoryStore::default()),
        _folder: None,
    }
}

fn sqlite() -> Subject {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("nightcall.db")).unwrap();
    Subject {
        store: Arc::new(store),
        _folder: Some(folder),
    }
}

macro_rules! suite {
    ($($case:ident),+ $(,)?) => {
        mod on_memory { $(#[tokio::test] async fn $case() { super::$case(&super::memory()).await; })+ }
        mod on_sqlite { $(#[tokio::test] async fn $case() { super::$case(&super::sqlite()).await; })+ }
    };
}

suite! {
    a_new_channel_hears_nothing_of_the_past,
    notices_come_in_the_order_in_which_they_were_stored,
    what_is_settled_stays_settled,
    a_thread_has_the_name_that_the_channel_gave_it_last,
    a_channel_that_is_gone_is_forgotten,
    a_notice_that_waits_is_not_pruned,
}

impl Subject {
    async fn tell(&self, ids: &[&str]) {
        let lease = self.store.acquire(holder(1), HOUR, hour(0)).await.unwrap();
        let notices = ids
            .iter()
            .map(|id| Change::Notice(notice(id, None, hour(1))));
        self.store.commit(lease, notices.collect()).await.unwrap();
    }

    async fn told(&self, after: u64) -> Vec<String> {
        let found = self.store.notices(after, 100).await.unwrap();
        found.into_iter().map(|(_, notice)| notice.id).collect()
    }

    async fn upto(&self, channel: &str) -> u64 {
        self.store.channel(channel.to_owned()).await.unwrap().upto
    }

    async fn settle(&self, channel: &str, progress: Progress) {
        let channel = channel.to_owned();
        self.store.settle(channel, progress, None).await.unwrap();
    }
}

fn upto(upto: u64) -> Progress {
    Progress {
        upto,
        ..Progress::default()
    }
}

async fn a_new_channel_hears_nothing_of_the_past(subject: &Subject) {
    assert_eq!(subject.upto("first").await, 0);
    subject.tell(&["a", "b"]).await;
    let second = subject.upto("second").await;
    assert_eq!(subject.told(second).await, [""; 0]);
    subject.tell(&["c"]).await;
    assert_eq!(subject.told(second).await, ["c"]);
    let first = subject.upto("first").await;
    assert_eq!(subject.told(first).await, ["a", "b", "c"]);
}

async fn notices_come_in_the_order_in_which_they_were_stored(subject: &Subject) {
    subject.tell(&["z", "a", "m", "a"]).await;
    let found = subject.store.notices(0, 2).await.unwrap();
    let ids: Vec<&str> = found.iter().map(|(_, notice)| notice.id.as_str()).collect();
    assert_eq!(ids, ["z", "a"]);
    assert_eq!(found[0].1, notice("z", None, hour(1)));
    assert_eq!(subject.told(found[1].0).await, ["m"]);
    assert_eq!(subject.store.waiting(found[0].0).await, Ok(2));
}

async fn what_is_settled_stays_settled(subject: &Subject) {
    subject.tell(&["a", "b", "c"]).await;
    let trying = Progress {
        upto: 1,
        sending: Some(3),
        attempts: 4,
        since: Some(hour(2)),
        next: Some(hour(3)),
        error: Some("503".to_owned()),
    };
    subject.settle("ops", trying.clone()).await;
    assert_eq!(subject.store.channel("ops".to_owned()).await, Ok(trying));
    subject.settle("ops", upto(3)).await;
    // Whoever comes late does not turn it back.
    subject.settle("ops", upto(2)).await;
    assert_eq!(subject.store.channel("ops".to_owned()).await, Ok(upto(3)));
}

async fn a_thread_has_the_name_that_the_channel_gave_it_last(subject: &Subject) {
    let name =
        |channel: &str, thread: &str| subject.store.thread(channel.to_owned(), thread.to_owned());
    assert_eq!(name("ops", "t").await, Ok(None));
    for said in ["1.1", "2.2"] {
        let thread = ThreadName {
            thread: "t".to_owned(),
            name: said.to_owned(),
            at: hour(1),
        };
        let settled = subject
            .store
            .settle("ops".to_owned(), upto(0), Some(thread));
        settled.await.unwrap();
        assert_eq!(name("ops", "t").await, Ok(Some(said.to_owned())));
    }
    assert_eq!(name("other", "t").await, Ok(None));
    assert_eq!(name("ops", "other").await, Ok(None));
}

async fn a_channel_that_is_gone_is_forgotten(subject: &Subject) {
    subject.settle("stays", upto(0)).await;
    subject.settle("goes", upto(0)).await;
    subject.tell(&["a"]).await;
    let kept = subject.store.keep_channels(vec!["stays".to_owned()]);
    kept.await.unwrap();
    assert_eq!(subject.upto("stays").await, 0);
    assert_eq!(subject.upto("goes").await, 1, "it is new when it returns");
}

async fn a_notice_that_waits_is_not_pruned(subject: &Subject) {
    subject.settle("ops", upto(0)).await;
    subject.tell(&["a", "b", "c"]).await;
    let prune = || {
        let all = Chore::Prune {
            before: hour(1_000_000),
            per_series: 0,
            step: 100,
        };
        subject.store.maintain(all)
    };
    prune().await.unwrap();
    assert_eq!(subject.told(0).await, ["a", "b", "c"]);
    subject.settle("ops", upto(2)).await;
    prune().await.unwrap();
    assert_eq!(subject.told(0).await, ["c"]);
    subject.settle("ops", upto(3)).await;
    prune().await.unwrap();
    // The newest stays, so that the next one is newer than what is settled.
    subject.tell(&["d"]).await;
    assert_eq!(subject.told(3).await, ["d"]);
}
