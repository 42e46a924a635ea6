//! What acting requests carry, and their answer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A request for a run by hand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FireBody {
    /// Which schedule.
    pub schedule: String,
    /// Which set; may be left out when there is only one.
    #[serde(default)]
    pub set: Option<String>,
    /// A random text; the same key never makes a second run.
    pub key: String,
    /// Values in place of the configured ones.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// The civil date that the run is for.
    #[serde(default)]
    pub as_of: Option<String>,
    /// Wait behind a busy series.
    #[serde(default)]
    pub queue: bool,
    /// Run beside a busy series.
    #[serde(default)]
    pub anyway: bool,
    /// Run although the schedule is paused.
    #[serde(default)]
    pub even_paused: bool,
}

/// The answer to [`FireBody`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiredView {
    /// The run that was made.
    pub run: String,
}

/// Holds a schedule back, or everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseBody {
    /// Which schedule; everything when it is left out.
    #[serde(default)]
    pub schedule: Option<String>,
    /// When it ends by itself, RFC 3339.
    #[serde(default)]
    pub until: Option<String>,
    /// Why, for whoever reads it.
    #[serde(default)]
    pub note: Option<String>,
}

/// Ends a pause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeBody {
    /// The schedule that is paused; the pause of everything when it is left out.
    #[serde(default)]
    pub schedule: Option<String>,
    /// Apply the misfire policy to the times that passed meanwhile; else none of them runs.
    #[serde(default)]
    pub catch_up: bool,
    /// Why, for whoever reads it.
    #[serde(default)]
    pub note: Option<String>,
}

/// Coming occurrences that are not to run, or (for `unskip`) that are to run after all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkipBody {
    /// Which schedule.
    pub schedule: String,
    /// Which set; all when it is left out.
    #[serde(default)]
    pub set: Option<String>,
    /// The next so many; `unskip`: any number takes the wish for the next ones back.
    #[serde(default)]
    pub next: Option<u32>,
    /// All of one nominal date.
    #[serde(default)]
    pub on: Option<String>,
    /// The one at this instant, RFC 3339.
    #[serde(default)]
    pub at: Option<String>,
    /// Why, for whoever reads it.
    #[serde(default)]
    pub note: Option<String>,
}

/// Stops a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelBody {
    /// Its id.
    pub run: String,
    /// Why, for whoever reads it.
    #[serde(default)]
    pub note: Option<String>,
}

/// Runs an occurrence again: `retry`, `rerun`, `backfill`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgainBody {
    /// The newest run of the occurrence; for `backfill` of a time without a record the planned one.
    pub run: String,
    /// Only `retry`: wait behind a busy series.
    #[serde(default)]
    pub queue: bool,
    /// Run beside a busy series (`retry`), or although the job of a lost run may live.
    #[serde(default)]
    pub anyway: bool,
    /// Run although the schedule is paused.
    #[serde(default)]
    pub even_paused: bool,
    /// Why, for whoever reads it.
    #[serde(default)]
    pub note: Option<String>,
}

/// Says how a run ended whose end the daemon cannot know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolveBody {
    /// Its id.
    pub run: String,
    /// `succeeded` or `failed`.
    pub ended: String,
    /// Why, for whoever reads it.
    #[serde(default)]
    pub note: Option<String>,
}

/// Reads the configuration again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReloadBody {
    /// Why, for whoever reads it.
    #[serde(default)]
    pub note: Option<String>,
}

/// The answer to every acting request but `fire`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActedView {
    /// One sentence: what it means.
    pub message: String,
    /// The runs that it made or stops.
    pub runs: Vec<String>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
}
