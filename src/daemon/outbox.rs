//! Notices to people. Each channel has a task of its own, which no run and no other channel waits for.
//!
//! A notice is stored with the change that caused it. A channel gathers what waits, remembers durably what it is about
//! to send, sends it, and settles it: what was sent and not settled when the process ended is sent again under the
//! same id. A message that is not taken is tried again for three days, and no later one of the channel overtakes it.

mod compose;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::clock::Clock;
use crate::notify::{Message, Notifier, SendError, Sent};
use crate::sched::notice::Notice;
use crate::sched::time::{Timestamp, between, later};
use crate::store::StoreError;
use crate::store::outbox::{Outbox, Progress, ThreadName};

/// So long a notice waits for others, so that a herd is one message.
const GATHER: Duration = Duration::from_secs(10);
/// The most notices of one round.
const ROUND: usize = 500;
/// The first pause after a message that was not taken, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(15 * 60));
/// A message that is not taken for so long is given up.
const GIVE_UP: Duration = Duration::from_secs(3 * 24 * 3600);
/// No channel may take longer to send one message, whatever its own limit is.
const SENDING: Duration = Duration::from_secs(120);
/// How long a stop waits for a message that is being sent.
const LAST_MESSAGE: Duration = Duration::from_secs(5);
/// Before a store that cannot be used is tried again.
const STORE_PAUSE: Duration = Duration::from_secs(10);
/// A channel looks at least so often what waits.
const LOOK: Duration = Duration::from_secs(60);

/// A channel to people, and what it wants to hear.
#[derive(Clone)]
pub struct Channel {
    /// Its name in the configuration.
    pub name: String,
    /// The way there.
    pub notifier: Arc<dyn Notifier>,
    /// Which notices go there.
    pub wants: Arc<dyn Fn(&Notice) -> bool + Send + Sync>,
}

/// How a channel stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Notices that are not settled yet.
    pub waiting: u64,
    /// What stands in the way, when the last message was not taken.
    pub trouble: Option<Trouble>,
}

/// A message that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Since when it is tried.
    pub since: Timestamp,
    /// Why it was not taken the last time.
    pub why: String,
    /// When it is tried again.
    pub next: Timestamp,
}

/// What all channels work with.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) instance: String,
    /// Whether this daemon only observes: then it has no channels, and what they have come to stays as it is.
    pub(super) observe: bool,
    /// Rings when a notice was stored.
    pub(super) stored: Arc<Notify>,
    pub(super) status: watch::Sender<Arc<Vec<ChannelStatus>>>,
}

impl Desk {
    /// Serves the channels until it is time to stop; others when the configuration changes.
    pub(super) async fn serve(
        self,
        mut channels: watch::Receiver<Vec<Channel>>,
        stop: CancellationToken,
    ) {
        loop {
            let now = channels.borrow_and_update().clone();
            let names: Vec<String> = now.iter().map(|channel| channel.name.clone()).collect();
            self.status.send_modify(|all| {
                let kept = all.iter().filter(|one| names.contains(&one.name));
                *all = Arc::new(kept.cloned().collect());
            });
            let others = stop.child_token();
            let mut tasks = JoinSet::new();
            let desk = self.clone();
            tasks.spawn(async move { desk.forget_others(names).await });
            for channel in now {
                let clerk = Clerk {
                    channel,
                    desk: self.clone(),
                    stop: others.clone(),
                };
                tasks.spawn(clerk.serve());
            }
            tokio::select! {
                () = stop.cancelled() => {}
                _ = channels.changed() => {}
            }
            others.cancel();
            tasks.join_all().await;
            if stop.is_cancelled() {
                return;
            }
        }
    }

    /// What a channel that is gone has left must not keep notices from being pruned.
    async fn forget_others(&self, names: Vec<String>) {
        if self.observe {
            return;
        }
        if let Err(error) = self.outbox.keep_channels(names).await {
            warn!(%error, "channels that are gone cannot be forgotten");
        }
    }

    fn show(&self, status: ChannelStatus) {
        self.status.send_if_modified(|all| {
            let known = all.iter().position(|one| one.name == status.name);
            if known.is_some_and(|place| all[place] == status) {
                return false;
            }
            let mut new = (**all).clone();
            match known {
                Some(place) => new[place] = status,
                None => new.push(status),
            }
            *all = Arc::new(new);
            true
        });
    }
}

/// Serves one channel.
struct Clerk {
    channel: Channel,
    desk: Desk,
    stop: CancellationToken,
}

impl Clerk {
    async fn serve(self) {
        while !self.stop.is_cancelled() {
            if let Err(error) = self.rounds().await {
                warn!(channel = self.channel.name, %error, "notices cannot be read or settled");
                self.pause(STORE_PAUSE).await;
            }
        }
    }

    /// Round after round, until it is time to stop.
    async fn rounds(&self) -> Result<(), StoreError> {
        let name = self.channel.name.clone();
        let mut progress = self.desk.outbox.channel(name).await?;
        while !self.stop.is_cancelled() {
            self.show(&progress).await?;
            let last = match progress.sending {
                Some(last) => Some(last),
                None => self.gather(&mut progress).await?,
            };
            if let Some(last) = last {
                self.send_up_to(last, &mut progress).await?;
            }
        }
        Ok(())
    }

    /// Waits for something to send and for what comes along with it; gives back the number with which it ends, once
    /// that is remembered. `None`: look again.
    async fn gather(&self, progress: &mut Progress) -> Result<Option<u64>, StoreError> {
        // Heard from now on, also while the store is asked.
        let stored = self.desk.stored.notified();
        let waiting = self.desk.outbox.notices(progress.upto, ROUND).await?;
        let Some((last, _)) = waiting.last() else {
            tokio::select! {
                () = stored => {}
                () = self.pause(LOOK) => {}
            }
            return Ok(None);
        };
        let Some(first) = waiting.iter().find(|(_, n)| (self.channel.wants)(n)) else {
            progress.upto = *last;
            self.settle(progress, None).await?;
            return Ok(None);
        };
        // A clock that was set back does not make people wait.
        let left = between(self.now(), later(first.1.at, GATHER)).min(GATHER);
        if !left.is_zero() && waiting.len() < ROUND {
            self.pause(left).await;
            return Ok(None);
        }
        progress.sending = Some(*last);
        progress.since = Some(self.now());
        self.settle(progress, None).await?;
        Ok(Some(*last))
    }

    /// Sends what waits up to this number, and settles it.
    async fn send_up_to(&self, last: u64, progress: &mut Progress) -> Result<(), StoreError> {
        let waiting = self.desk.outbox.notices(progress.upto, ROUND).await?;
        let round = waiting.into_iter().filter(|(number, _)| *number <= last);
        let wanted = round.map(|(_, n)| n).filter(|n| (self.channel.wants)(n));
        for message in compose::messages(wanted.collect(), &self.desk.instance) {
            if !self.deliver(&message, progress).await? {
                return Ok(());
            }
        }
        *progress = Progress {
            upto: last,
            ..Progress::default()
        };
        self.settle(progress, None).await
    }

    /// Tries until the message is taken or given up; `false` when it is time to stop before that.
    async fn deliver(
        &self,
        message: &Message,
        progress: &mut Progress,
    ) -> Result<bool, StoreError> {
        loop {
            if let Some(next) = progress.next.take() {
                self.pause(between(self.now(), next).min(PAUSE.1)).await;
            }
            if self.stop.is_cancelled() {
                return Ok(false);
            }
            let channel = self.channel.name.as_str();
            match self.send(message).await? {
                None => return Ok(false),
                Some(Ok(sent)) => {
                    info!(channel, id = message.id, "told: {}", message.subject);
                    return self.taken(message, sent, progress).await.map(|()| true);
                }
                Some(Err(SendError::GiveUp(why))) => {
                    error!(channel, id = message.id, "a message is given up: {why}");
                    return self
                        .taken(message, Sent::default(), progress)
                        .await
                        .map(|()| true);
                }
                Some(Err(SendError::Retry { why, after })) => {
                    let since = progress.since.unwrap_or(self.now());
                    if between(since, self.now()) >= GIVE_UP {
                        error!(
                            channel,
                            id = message.id,
                            "a message is given up after 3 days: {why}"
                        );
                        return self
                            .taken(message, Sent::default(), progress)
                            .await
                            .map(|()| true);
                    }
                    if progress.attempts == 0 {
                        warn!(
                            channel,
                            "cannot tell people: {why}; it is tried again for 3 days"
                        );
                    }
                    progress.next = Some(later(self.now(), pause(progress.attempts, after)));
                    progress.attempts = progress.attempts.saturating_add(1);
                    progress.error = Some(why);
                    self.settle(progress, None).await?;
                    self.show(progress).await?;
                }
            }
        }
    }

    /// The next message begins anew.
    async fn taken(
        &self,
        message: &Message,
        sent: Sent,
        progress: &mut Progress,
    ) -> Result<(), StoreError> {
        let troubled = progress.attempts > 0;
        *progress = Progress {
            upto: progress.upto,
            sending: progress.sending,
            since: Some(self.now()),
            ..Progress::default()
        };
        let thread = sent.thread.map(|name| ThreadName {
            thread: message.thread.clone(),
            name,
            at: self.now(),
        });
        if thread.is_some() || troubled {
            self.settle(progress, thread).await?;
        }
        Ok(())
    }

    /// Sends it once; `None` when it is time to stop and there is no answer yet.
    async fn send(&self, message: &Message) -> Result<Option<Result<Sent, SendError>>, StoreError> {
        let name = self.channel.name.clone();
        let thread = self
            .desk
            .outbox
            .thread(name, message.thread.clone())
            .await?;
        let sending = self.channel.notifier.send(message, thread.as_deref());
        let sending = async {
            match timeout(SENDING, sending).await {
                Ok(result) => result,
                Err(_) => Err(SendError::Retry {
                    why: format!("no answer within {} s", SENDING.as_secs()),
                    after: None,
                }),
            }
        };
        let stopped = async {
            self.stop.cancelled().await;
            sleep(LAST_MESSAGE).await;
        };
        tokio::select! {
            biased;
            result = sending => Ok(Some(result)),
            () = stopped => Ok(None),
        }
    }

    async fn settle(
        &self,
        progress: &Progress,
        thread: Option<ThreadName>,
    ) -> Result<(), StoreError> {
        let name = self.channel.name.clone();
        self.desk
            .outbox
            .settle(name, progress.clone(), thread)
            .await
    }

    async fn show(&self, progress: &Progress) -> Result<(), StoreError> {
        let trouble = progress.error.as_ref().map(|why| Trouble {
            since: progress.since.unwrap_or(self.now()),
            why: why.clone(),
            next: progress.next.unwrap_or(self.now()),
        });
        self.desk.show(ChannelStatus {
            name: self.channel.name.clone(),
            waiting: self.desk.outbox.waiting(progress.upto).await?,
            trouble,
        });
        Ok(())
    }

    /// Waits so long, or until it is time to stop.
    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = sleep(pause) => {}
        }
    }

    fn now(&self) -> Timestamp {
        self.desk.clock.now().wall
    }
}

/// How long to wait after so many attempts: twice as long each time, and what the receiver asked for, within a bound.
fn pause(attempts: u32, asked: Option<Duration>) -> Duration {
    let (first, longest) = PAUSE;
    let grown = first.saturating_mul(2_u32.saturating_pow(attempts.min(16)));
    grown.max(asked.unwrap_or_default()).min(longest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
