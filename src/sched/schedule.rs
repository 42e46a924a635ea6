//! What a series is and does: everything a run needs, in one value that cannot be wrong after the configuration was
//! read.

use std::sync::Arc;
use std::time::Duration;

use super::call::Target;
use super::id::{ConnectionName, SeriesId};
use super::policy::{After, Policies};
use super::trigger::TriggerSpec;
use super::written::Written;

/// One series as the configuration has it. A run keeps the definition that it started with; the store keeps each
/// definition once.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Which series.
    pub series: SeriesId,
    /// When.
    pub trigger: Arc<TriggerSpec>,
    /// The connection's name in the configuration: whose credential, budget and limits are used.
    pub connection: ConnectionName,
    /// Where the statement goes.
    pub target: Target,
    /// The whole statement, trimmed.
    pub query: Arc<str>,
    /// Its values, the set's overrides applied; what a run is sent is made of them.
    pub parameters: Written,
    /// What to do when things do not go as planned.
    pub policies: Policies,
    /// The time limit of one attempt, from acceptance.
    pub timeout: Duration,
    /// How long after it is due a run may still be submitted for the first time.
    pub start_deadline: Duration,
    /// How long a cancelled job may take to stop before the run is lost.
    pub cancel_grace: Duration,
    /// Higher goes first when runs wait for a slot; 0 by default.
    pub priority: i32,
    /// The schedules whose runs its own wait for.
    pub after: Option<Arc<After>>,
}

/// What a connection allows and how long its answers may take: all that the heart knows of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionLimits {
    /// Its name in the configuration.
    pub name: ConnectionName,
    /// Where new submissions go.
    pub target: Target,
    /// Requests of all kinds to the host in any 60 s; one budget for all connections of a host.
    pub requests_per_minute: u32,
    /// Runs that may be with the vendor at once.
    pub max_in_flight: u32,
    /// The pauses between polls of one job.
    pub poll: PollPlan,
    /// The time limit of one request.
    pub request_timeout: Duration,
    /// The longest a created job may stay out of the job list.
    pub list_lag: Duration,
    /// When to stop looking for a job in doubt, from the intent.
    pub give_up: Duration,
}

/// The pauses between polls of one job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PollPlan {
    /// After the submission.
    pub first: Duration,
    /// By how much the pause grows.
    pub factor: f64,
    /// The longest pause.
    pub max: Duration,
}

impl PollPlan {
    /// The pause after so many polls.
    pub fn pause(&self, polls: u32) -> Duration {
        let grown = self.first.as_secs_f64() * self.factor.powi(polls.min(1000) as i32);
        Duration::try_from_secs_f64(grown.min(self.max.as_secs_f64())).unwrap_or(self.max)
    }
}
