//! What a series is and does: everything a run needs, in one value that cannot be wrong after the configuration was
//! read.

use std::time::Duration;

use super::call::{Parameters, Target};
use super::id::{ConnectionName, SeriesId};
use super::policy::Policies;
use super::trigger::TriggerSpec;

/// One series as the configuration has it. A run keeps the definition that it started with; the store keeps each
/// definition once.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Which series.
    pub series: SeriesId,
    /// When.
    pub trigger: TriggerSpec,
    /// The connection's name in the configuration: whose credential, budget and limits are used.
    pub connection: ConnectionName,
    /// Where the statement goes.
    pub target: Target,
    /// The whole statement, trimmed.
    pub query: String,
    /// Its values, the set's overrides applied.
    pub parameters: Parameters,
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
}
