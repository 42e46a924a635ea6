//! The bundle of policies that a definition carries; one policy a file.

pub mod after;
pub mod doubt;
pub mod misfire;
pub mod overlap;
pub mod retry;

pub use after::{After, On};
pub use doubt::DoubtPolicy;
pub use misfire::{CatchUp, MisfirePolicy};
pub use overlap::OverlapPolicy;
pub use retry::RetryPolicy;

/// What to do with missed times, a busy series, a failed attempt, an unknown submission.
#[derive(Clone, Debug, PartialEq)]
pub struct Policies {
    /// Missed times.
    pub misfire: MisfirePolicy,
    /// A busy series.
    pub overlap: OverlapPolicy,
    /// A failed attempt.
    pub retry: RetryPolicy,
    /// An unknown submission.
    pub doubt: DoubtPolicy,
}
