//! Invariant 7 for what is in doubt: a list that shows the job ends the doubt, and after a start nothing in doubt
//! expires before a list was read that could show its job.

use nightcall::sched::outcome::Outcome;
use nightcall::sched::run::{Run, RunState};
use nightcall::sched::step::{Change, Effect, Input, ListAnswer};
use nightcall::sched::time::Timestamp;

use super::checks::hold;
use super::play::Play;
use crate::setup::{INSTANCE, secs};

/// A list that was asked for in the present process.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    sequence: u64,
    since: Timestamp,
    heard: bool,
}

impl Play<'_> {
    /// A list is asked for.
    pub(super) fn remember_list(&mut self, effect: &Effect) {
        if let (Effect::List { key, since, .. }, Some(daemon)) = (effect, &mut self.daemon) {
            daemon.asked.push(Asked {
                sequence: key.sequence,
                since: *since,
                heard: false,
            });
        }
    }

    /// A list comes: it could be read, or never can.
    pub(super) fn hear_list(&mut self, input: &Input) {
        let Input::Listed { key, answer, .. } = input else {
            return;
        };
        let heard = !matches!(answer, ListAnswer::NoAnswer(_));
        let asked = self.daemon.iter_mut().flat_map(|daemon| &mut daemon.asked);
        for asked in asked.filter(|asked| asked.sequence == key.sequence) {
            asked.heard = heard;
        }
    }

    /// After a list was taken in: the doubts that it answers are over.
    pub(super) fn check_shown(&self, input: &Input) {
        let Input::Listed { key, answer, .. } = input else {
            return;
        };
        let awaited = self.daemon.iter().flat_map(|daemon| &daemon.asked);
        let awaited = awaited
            .filter(|asked| asked.sequence == key.sequence)
            .count()
            > 0;
        let (ListAnswer::Jobs(jobs), true) = (answer, awaited && self.runs()) else {
            return;
        };
        for marker in jobs.iter().filter_map(|job| job.marker.as_ref()) {
            let row = self.store.runs.get(&marker.run);
            let run = row
                .map(|row| &row.run)
                .filter(|_| marker.instance == INSTANCE);
            let doubted = run.is_some_and(|run| {
                let doubt = matches!(run.state, RunState::InDoubt { .. });
                doubt && run.attempt <= marker.attempt
            });
            hold(7, !doubted, || {
                format!("{marker:?} is shown, and is still in doubt")
            });
        }
    }

    /// What was in doubt at the start is not given up unseen.
    pub(super) fn check_given_up(&self, changes: &[Change]) {
        for change in changes {
            let Change::Run { run, record, .. } = change else {
                continue;
            };
            let lost = run.outcome() == Some(Outcome::Lost);
            if !(record.what == "absent" || lost) {
                continue;
            }
            if let Some(intent) = self.doubted_at_the_start(run) {
                let asked = self.daemon.iter().flat_map(|daemon| &daemon.asked);
                let (heard, vain): (Vec<_>, Vec<_>) = asked.partition(|list| list.heard);
                let shows = |list: &&Asked| list.since <= intent;
                // A list that fails again and again, this one's among them, holds no run for ever (ADR 5).
                let seen = heard.iter().any(shows) || vain.len() >= 3 && vain.iter().any(shows);
                hold(7, seen, || {
                    format!("{} is given up unseen: {record:?}", run.id)
                });
            }
        }
    }

    /// The intent of a run that another process put in doubt, or into the state from which the start did.
    fn doubted_at_the_start(&self, run: &Run) -> Option<Timestamp> {
        let row = self.store.runs.get(&run.id)?;
        let daemon = self.daemon.as_ref()?;
        // An intent is dated by the clock of the vendor: where that is wrong it says nothing of ours.
        if self.night.scenario.skew.abs().as_secs() > 50 || self.skew != 0 {
            return None;
        }
        let before = self.night.begins + daemon.boot.0 - secs(60);
        match row.run.state {
            RunState::InDoubt { intent, .. } if intent < before => Some(intent),
            _ => None,
        }
    }
}
