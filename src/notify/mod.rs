//! Telling people: the one door to a channel. No implementation is named here.
//!
//! A channel sends what it is given and says how that went. What is sent, when, and how often it is tried again is not
//! its business.

pub mod command;
pub mod email;
pub mod heartbeat;
mod hidden;
mod http;
mod identity;
mod plain;
pub mod render;
pub mod setup;
pub mod slack;
pub mod webhook;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::sched::id::{RunId, ScheduleName};
use crate::sched::notice::NoticeKind;
use crate::sched::time::Timestamp;

/// The most items of a message that a channel shows in full.
pub const SHOWN: usize = 20;

/// What people are told at once: one notice, or several that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Stable: however often it is sent it has this id, and a receiver tells repeats by it.
    pub id: String,
    /// What it belongs to. Messages of one thread are sent in order, and shown together where the channel can.
    pub thread: String,
    /// How loud it is.
    pub severity: Severity,
    /// When the first of it was decided.
    pub at: Timestamp,
    /// The name of this installation.
    pub instance: String,
    /// One line.
    pub subject: String,
    /// The notices it is made of, oldest first; never empty.
    pub items: Vec<Item>,
}

/// One notice of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is about.
    pub kind: NoticeKind,
    /// When it was decided.
    pub at: Timestamp,
    /// The schedule it concerns.
    pub schedule: Option<ScheduleName>,
    /// The run it concerns.
    pub run: Option<RunId>,
    /// One line.
    pub subject: String,
    /// The rest: what is known and what to do. May be long; a channel cuts it.
    pub body: String,
}

/// How loud a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It is good again, or only worth knowing.
    Info,
    /// Somebody should look in working hours.
    Warning,
    /// The night is not as it should be.
    Error,
}

impl Severity {
    /// The word that payloads and the configuration use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// How loud a kind of notice is.
    pub fn of(kind: NoticeKind) -> Self {
        match kind {
            NoticeKind::Failed
            | NoticeKind::TimedOut
            | NoticeKind::Lost
            | NoticeKind::Missed
            | NoticeKind::Incident
            | NoticeKind::Clock
            | NoticeKind::Bug => Self::Error,
            NoticeKind::Cancelled
            | NoticeKind::Late
            | NoticeKind::Occupied
            | NoticeKind::Adopted
            | NoticeKind::Reload
            | NoticeKind::Doctor => Self::Warning,
            NoticeKind::Recovered => Self::Info,
        }
    }
}

/// A message was taken by the channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// How the channel itself calls the thread; it is given back with the next message of that thread.
    pub thread: Option<String>,
}

/// Why a message was not taken. Neither text holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It may work later.
    #[error("{why}")]
    Retry {
        /// In plain words.
        why: String,
        /// Not before so long, as the receiver asked.
        after: Option<Duration>,
    },
    /// This message will never be taken as it is; the next one may be.
    #[error("{0}")]
    GiveUp(String),
}

/// An answer, some time later.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A channel to people. Every call ends within a time limit of its own, and may be given up at any moment.
pub trait Notifier: Send + Sync {
    /// Sends a message. `thread` is what the channel called this thread before, if it did.
    fn send<'a>(
        &'a self,
        message: &'a Message,
        thread: Option<&'a str>,
    ) -> Reply<'a, Result<Sent, SendError>>;
}

/// What an outside switch hears, which raises an alarm when it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beat {
    /// The daemon is there and on time.
    Alive,
    /// A run of the watched schedule was submitted.
    Started(RunId),
    /// It succeeded.
    Succeeded(RunId),
    /// It ended otherwise; the word of its outcome.
    Failed(RunId, String),
}

/// An outside dead man's switch.
pub trait Heartbeat: Send + Sync {
    /// Tells it.
    fn beat<'a>(&'a self, beat: &'a Beat) -> Reply<'a, Result<(), SendError>>;
}
