//! What is still to be told: how far each channel to people has come with the notices.
//!
//! A notice is stored once, with the change that caused it. Nothing is copied for a channel; it only remembers the
//! number up to which everything is settled, so that a channel that is new, or that is down, costs one row.

use super::Reply;
use crate::sched::notice::Notice;
use crate::sched::time::Timestamp;

/// How far a channel has come. Notices are numbered from 1 in the order in which they were stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Everything up to this number is settled: sent, given up, or not for this channel.
    pub upto: u64,
    /// What is being sent ends with this number: after a crash the same is sent again.
    pub sending: Option<u64>,
    /// How often that was tried.
    pub attempts: u32,
    /// When it was tried first.
    pub since: Option<Timestamp>,
    /// It is not tried again before.
    pub next: Option<Timestamp>,
    /// Why it was not taken the last time; no secret is in it.
    pub error: Option<String>,
}

/// What a channel itself calls a thread of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadName {
    /// The thread.
    pub thread: String,
    /// Its name there.
    pub name: String,
    /// When it was heard.
    pub at: Timestamp,
}

/// The notices as those see them who tell people.
pub trait Outbox: Send + Sync {
    /// How far a channel has come. One that was not known begins after the newest notice: it hears nothing of the past.
    fn channel(&self, name: String) -> Reply<'_, Progress>;
    /// At most so many notices after a number, in order, each with its number.
    fn notices(&self, after: u64, most: usize) -> Reply<'_, Vec<(u64, Notice)>>;
    /// How many notices there are after a number.
    fn waiting(&self, after: u64) -> Reply<'_, u64>;
    /// What a channel called a thread.
    fn thread(&self, channel: String, thread: String) -> Reply<'_, Option<String>>;
    /// Remembers how far a channel has come, and what it called a thread.
    fn settle(
        &self,
        channel: String,
        progress: Progress,
        thread: Option<ThreadName>,
    ) -> Reply<'_, ()>;
    /// Forgets the channels that are not among these: nobody waits for them any more.
    fn keep_channels(&self, names: Vec<String>) -> Reply<'_, ()>;
}
