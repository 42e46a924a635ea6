//! Which missed occurrences still run.
//!
//! An occurrence is *late* when it is decided more than `tolerance` after it was due. A late occurrence runs only when
//! the policy catches up; what does not run is on record.

use std::time::Duration;

use crate::sched::time::{Timestamp, earlier};

/// How much of what was missed still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum CatchUp {
    /// Nothing.
    None,
    /// The newest only.
    #[default]
    Latest,
    /// Every one within the window, at most `max`, the newest kept.
    All,
}

impl CatchUp {
    /// Every choice with the configuration's word.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::None, "none"),
        (Self::Latest, "latest"),
        (Self::All, "all"),
    ];

    /// The configuration's word.
    pub fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(c, _)| *c == self)
            .map_or("latest", |(_, w)| w)
    }
}

/// What to do with times that passed while nobody watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MisfirePolicy {
    /// How much of what was missed still runs.
    pub catch_up: CatchUp,
    /// How old a missed occurrence may be and still run.
    pub window: Duration,
    /// How late an occurrence may be and still be on time.
    pub tolerance: Duration,
    /// The most that `all` runs.
    pub max: u32,
}

impl Default for MisfirePolicy {
    fn default() -> Self {
        Self {
            catch_up: CatchUp::Latest,
            window: Duration::from_secs(12 * 3600),
            tolerance: Duration::from_secs(60),
            max: 10,
        }
    }
}

impl MisfirePolicy {
    /// Whether an occurrence that was due at `due` is on time when it is decided at `now`.
    pub fn on_time(&self, due: Timestamp, now: Timestamp) -> bool {
        due >= earlier(now, self.tolerance)
    }

    /// How many late occurrences may run, the newest kept.
    pub fn keep(&self) -> usize {
        match self.catch_up {
            CatchUp::None => 0,
            CatchUp::Latest => 1,
            CatchUp::All => self.max as usize,
        }
    }

    /// Late occurrences that were due before this are not run.
    pub fn oldest(&self, now: Timestamp) -> Timestamp {
        earlier(now, self.window)
    }
}
