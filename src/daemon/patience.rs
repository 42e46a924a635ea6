//! Waiting for a store whose disk is slow: the loop says that it is alive, and says what it waits for.
//!
//! Whether a commit succeeded is known when it is answered and never before, so it is waited for, however long it
//! takes. A disk that answers late must not look like a loop that hangs; one that never answers must.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tracing::{info, warn};

use super::handle::Status;
use crate::systemd::Notifier;

/// How often the loop says that it is alive while it waits for the store.
pub(super) const BEAT: Duration = Duration::from_secs(1);
/// People are told when the store has not answered for so long.
const SLOW: Duration = Duration::from_secs(2);
/// A store that is silent for longer counts as hung: the watchdog is not fed any more, and a restart may cure it.
const HUNG: Duration = Duration::from_secs(300);

/// Waits for an answer of the store.
pub(super) async fn patiently<T>(
    systemd: &Notifier,
    status: &watch::Sender<Arc<Status>>,
    answer: impl Future<Output = T>,
) -> T {
    let since = Instant::now();
    let mut beat = interval_at(since + BEAT, BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = false;
    tokio::pin!(answer);
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => {
                if told {
                    let took = since.elapsed();
                    info!(?took, "the store has answered");
                }
                return answer;
            }
            _ = beat.tick() => {}
        }
        let waited = since.elapsed();
        if waited < HUNG {
            systemd.alive();
        }
        if waited < SLOW {
            continue;
        }
        if !told {
            warn!(
                ?waited,
                "the store is slow; nothing is submitted or cancelled until it answers"
            );
            told = true;
        }
        let said = format!(
            "the store is slow: no answer for {} s; nothing is submitted or cancelled until it answers",
            waited.as_secs()
        );
        systemd.status(&said);
        status.send_modify(|status| {
            let mut now = (**status).clone();
            now.store = Some(said);
            *status = Arc::new(now);
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::future::ready;

    use super::*;
    use crate::sched::scheduler::Snapshot;
    use crate::sched::time::Timestamp;

    fn nobody() -> watch::Sender<Arc<Status>> {
        watch::Sender::new(Arc::new(Status {
            pid: 1,
            started: Timestamp::UNIX_EPOCH,
            at: Timestamp::UNIX_EPOCH,
            instance: String::new(),
            config: Arc::from(""),
            observe: false,
            store: None,
            late: Duration::ZERO,
            bell: None,
            scheduler: Snapshot::default(),
        }))
    }

    #[tokio::test]
    async fn an_answer_that_is_there_is_taken_and_nothing_is_said() {
        let status = nobody();
        let answer = patiently(&Notifier::default(), &status, ready(7)).await;
        assert_eq!((answer, &status.borrow().store), (7, &None));
    }

    #[tokio::test]
    async fn a_store_that_is_slow_is_told_before_it_answers() {
        let status = nobody();
        let mut told = status.subscribe();
        let answer = async {
            let told = told.wait_for(|status| status.store.is_some()).await;
            told.unwrap().store.clone().unwrap()
        };
        let said = patiently(&Notifier::default(), &status, answer).await;
        assert!(
            said.starts_with("the store is slow: no answer for 2 s"),
            "{said}"
        );
    }
}
