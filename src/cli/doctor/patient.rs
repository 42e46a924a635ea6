//! What is looked at: no more of a configuration than the checks need, so that a daemon can keep it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{Classify, Config, Connection};
use crate::daemon::Checks;
use crate::sched::schedule::Definition;
use crate::sched::time::{TimeZone, civil};
use crate::sched::trigger::Trigger;
use crate::zones::Zones;

/// Hears what is being looked at.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// A progress that nobody sees.
pub(super) fn quietly() -> Progress {
    Arc::new(|_| {})
}

/// Everything that is looked at.
#[derive(Clone)]
pub struct Patient {
    /// The connections.
    pub connections: Vec<Connection>,
    /// How their answers are classed.
    pub classify: Classify,
    /// The series that are planned.
    pub series: Vec<(Arc<Definition>, Arc<Trigger>)>,
    /// The database.
    pub database: PathBuf,
    /// The daemon's socket.
    pub control: PathBuf,
    /// Zone data in use.
    pub zones: Zones,
    /// In which times are shown.
    pub zone: TimeZone,
    /// When the daemon looks.
    pub doctor_at: civil::Time,
    /// Look at the whole database.
    pub deep: bool,
    /// The connections that work, as a running daemon says; `None` when none says anything, or it is the one that looks.
    pub works: Option<Vec<String>>,
    /// Hears what is being looked at.
    pub progress: Progress,
}

impl Patient {
    /// What a configuration leads to.
    pub fn of(config: &Config, zones: &Zones) -> Self {
        let enabled = config.schedules.iter().filter(|s| s.enabled);
        let series = enabled.flat_map(|schedule| {
            let definitions = schedule.definitions.iter();
            definitions.map(|d| (Arc::clone(d), Arc::clone(&schedule.trigger)))
        });
        Self {
            connections: config.connections.clone(),
            classify: config.classify.clone(),
            series: series.collect(),
            database: config.daemon.database.clone(),
            control: config.daemon.control.clone(),
            zones: zones.clone(),
            zone: config.daemon.doctor_zone.clone(),
            doctor_at: config.daemon.doctor_at,
            deep: false,
            works: None,
            progress: quietly(),
        }
    }

    /// For the daemon, which looks each day.
    pub fn checks(self: Arc<Self>) -> Checks {
        Arc::new(move || Box::pin(Arc::clone(&self).examine()))
    }
}
