//! What was asked of the vendor, in order, and what came of it.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;

use super::fault::Operation;
use super::message::Request;

/// The most requests that are remembered; the counts go on beyond.
pub const REQUESTS_MAX: usize = 10_000;

/// The most bytes of a body that are remembered.
pub const BODY_MAX: usize = 64 << 10;

/// One request that was read to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Counts requests, from 1.
    pub number: u64,
    /// When it was handled.
    pub at: Timestamp,
    /// What was asked.
    pub operation: Operation,
    /// The run that it was about, when that is known.
    pub run: Option<String>,
    /// The request; its body is cut to [`BODY_MAX`].
    pub request: Request,
    /// What went wrong on purpose.
    pub fault: Option<&'static str>,
    /// The status of the reply; `None` when there was none.
    pub status: Option<u16>,
    /// When the reply was on its way to the client, as far as it was to be sent; `None` until then.
    pub sent: Option<Timestamp>,
}

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    entries: VecDeque<Entry>,
    counts: HashMap<Operation, u64>,
    /// Statements that `/query` executed, and how often.
    pub(super) direct: HashMap<String, u64>,
    total: u64,
}

impl Journal {
    /// The remembered requests, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator {
        self.entries.iter()
    }

    /// The remembered requests for one operation, oldest first.
    pub fn of(&self, operation: Operation) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries()
            .filter(move |entry| entry.operation == operation)
    }

    /// How many requests there were for an operation, remembered or not.
    pub fn count(&self, operation: Operation) -> u64 {
        self.counts.get(&operation).copied().unwrap_or(0)
    }

    /// How many requests there were, remembered or not.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How often `/query` executed a statement, as opposed to answering from its cache.
    pub fn executed_directly(&self, statement: &str) -> u64 {
        self.direct.get(statement).copied().unwrap_or(0)
    }

    pub(super) fn executes(&mut self, statement: &str) {
        if self.direct.len() >= REQUESTS_MAX {
            self.direct.clear();
        }
        *self.direct.entry(statement.to_owned()).or_insert(0) += 1;
    }

    pub(super) fn count_connection(&mut self) {
        *self.counts.entry(Operation::Connect).or_insert(0) += 1;
    }

    /// The reply to a request has left. Says nothing of a request that is no longer remembered.
    pub(super) fn sent(&mut self, number: u64, now: Timestamp) {
        let oldest = self.entries.front().map_or(number, |entry| entry.number);
        let index = number
            .checked_sub(oldest)
            .and_then(|index| usize::try_from(index).ok());
        if let Some(entry) = index.and_then(|index| self.entries.get_mut(index)) {
            entry.sent = Some(now);
        }
    }

    pub(super) fn note(&mut self, mut entry: Entry) {
        self.total += 1;
        entry.number = self.total;
        entry.request.body.truncate(BODY_MAX);
        *self.counts.entry(entry.operation).or_insert(0) += 1;
        if self.entries.len() >= REQUESTS_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }
}
