//! What scenarios look at, in words that read well.

use nightcall::sched::id::{ClientKey, RunId};
use nightcall::sched::notice::{Notice, NoticeKind};
use nightcall::sched::outcome::Outcome;
use nightcall::sched::run::Run;
use nightcall::sched::scheduler::Snapshot;
use nightcall::sched::step::{FireRequest, Fired, Key};

use super::Sim;
use crate::setup::{run_id, series};

impl Sim {
    pub(crate) fn snapshot(&self) -> Snapshot {
        let scheduler = self.scheduler.as_ref().expect("the daemon runs");
        scheduler.snapshot(self.now())
    }

    /// The key of the last question about a run.
    pub(crate) fn last_key(&self) -> &Key {
        self.last_key.as_ref().expect("something was asked")
    }

    /// The planned run of a series at a time; fails when there is none.
    pub(crate) fn run(&self, name: &str, time: &str) -> &Run {
        let id = run_id(name, time);
        let row = self.store.runs.get(&id);
        &row.unwrap_or_else(|| panic!("there is no run {id}: {:?}", self.store.runs.keys()))
            .run
    }

    pub(crate) fn has_run(&self, name: &str, time: &str) -> bool {
        self.store.runs.contains_key(&run_id(name, time))
    }

    pub(crate) fn state(&self, name: &str, time: &str) -> &'static str {
        self.run(name, time).state.word()
    }

    pub(crate) fn outcome(&self, name: &str, time: &str) -> Option<Outcome> {
        self.run(name, time).outcome()
    }

    /// The words of a run's story.
    pub(crate) fn story(&self, name: &str, time: &str) -> String {
        self.story_of(&run_id(name, time))
    }

    pub(crate) fn story_of(&self, id: &RunId) -> String {
        let records = &self.store.runs[id].records;
        let words: Vec<&str> = records.iter().map(|r| r.what.as_ref()).collect();
        words.join(" ")
    }

    /// How many jobs a planned run really had.
    pub(crate) fn jobs(&self, name: &str, time: &str) -> usize {
        self.vendor.jobs_of(&run_id(name, time)).len()
    }

    pub(crate) fn notices(&self, kind: NoticeKind) -> Vec<&Notice> {
        self.store
            .notices
            .iter()
            .filter(|n| n.kind == kind)
            .collect()
    }

    /// How the runs of a series ended, in order of their instants; `None` for live ones.
    pub(crate) fn outcomes(&self, name: &str) -> Vec<Option<Outcome>> {
        let of = series(name);
        let rows = self.store.runs.values();
        rows.filter(|row| row.run.id.series == of)
            .map(|row| row.run.outcome())
            .collect()
    }
}

/// A request for a run by hand with nothing special.
pub(crate) fn by_hand(schedule: &str, key: &str) -> FireRequest {
    FireRequest {
        schedule: series(schedule).schedule,
        set: None,
        key: ClientKey::new(key).unwrap(),
        overrides: serde_json::Map::new(),
        as_of: None,
        queue: false,
        anyway: false,
        even_paused: false,
    }
}

/// The run that a request by hand made; fails when it was refused.
pub(crate) fn made(fired: Option<Fired>) -> RunId {
    match fired {
        Some(Fired::Run(id)) => id,
        other => panic!("no run: {other:?}"),
    }
}

/// Why a request by hand was refused; fails when it was not.
pub(crate) fn refused(fired: Option<Fired>) -> String {
    match fired {
        Some(Fired::Refused { message, hint }) => format!("{message} / {hint}"),
        other => panic!("not refused: {other:?}"),
    }
}
