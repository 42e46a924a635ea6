//! Jobs at the vendor: the one door, five questions. No implementation is named here.

pub mod carto;
mod words;

use std::future::Future;
use std::pin::Pin;

use crate::sched::call::{Submission, Target};
use crate::sched::fault::Fault;
use crate::sched::id::JobId;
use crate::sched::step::{CancelAnswer, ListAnswer, PollAnswer, SubmitAnswer};
use crate::sched::time::Timestamp;

pub use words::counted_as;

/// What came back, with the vendor's clock (the `Date` header) when it sent one.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard<T> {
    /// What was said, already classed.
    pub answer: T,
    /// The vendor's clock.
    pub date: Option<Timestamp>,
}

/// An answer, some time later. Never an error: what goes wrong is part of the answer.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Heard<T>> + Send + 'a>>;

/// What a look at a connection showed: the credential, the way to the vendor, and whether the vendor lets us in. One says
/// little of the others, so each is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Looked {
    /// How long the credential is good, or why it cannot be had.
    pub credential: Result<Validity, Fault>,
    /// Whether the vendor answered anything, or why nothing was heard, in plain words.
    pub reached: Result<(), Fault>,
    /// The job list, as far as it was let see; without a credential it is asked for without.
    pub list: ListAnswer,
}

/// How long a credential is good, as far as it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It ends then, and nothing renews it.
    Until(Timestamp),
    /// Another is obtained before or when it ends.
    Renewed,
    /// It does not say.
    Unknown,
}

/// A connection to a vendor. Every call ends within the connection's request time limit; no call follows a redirect,
/// and no submission is ever repeated by the client itself.
pub trait JobClient: Send + Sync {
    /// Create a job.
    fn submit<'a>(&'a self, submission: &'a Submission) -> Reply<'a, SubmitAnswer>;
    /// How does it stand?
    fn poll<'a>(&'a self, target: &'a Target, job: &'a JobId) -> Reply<'a, PollAnswer>;
    /// Stop it.
    fn cancel<'a>(&'a self, target: &'a Target, job: &'a JobId) -> Reply<'a, CancelAnswer>;
    /// Jobs created since then, as far as the vendor lists them.
    fn list<'a>(&'a self, target: &'a Target, since: Timestamp) -> Reply<'a, ListAnswer>;
    /// Could work be done there now? Has the credential and the jobs created since then; creates nothing.
    fn look<'a>(&'a self, target: &'a Target, since: Timestamp) -> Reply<'a, Looked>;
}
