//! Invariant 11, told anew and slowly: nothing starts before the runs of its date that it comes after have ended as
//! wanted, by what is on record.

use std::collections::BTreeMap;

use nightcall::sched::id::{RunId, RunKind, ScheduleName};
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::policy::On;
use nightcall::sched::run::{Origin, Run};
use nightcall::sched::time::Timestamp;

use super::checks::hold;
use super::play::Play;
use crate::setup::zone;

/// Reasons of occurrences that never were to run.
const PASSED: [SkipReason; 9] = [
    SkipReason::Busy,
    SkipReason::BufferFull,
    SkipReason::PredecessorUnknown,
    SkipReason::Missed,
    SkipReason::NoSuchDay,
    SkipReason::Observed,
    SkipReason::Blocked,
    SkipReason::Paused,
    SkipReason::Asked,
];

impl Play<'_> {
    /// Before a first submission.
    pub(super) fn check_after(&self, run: &Run) {
        let by_plan = matches!(run.origin, Origin::Planned | Origin::CaughtUp);
        // An older database does not know how things ended.
        if run.attempt != 1 || !by_plan || self.ledger.restored {
            return;
        }
        let now = self.config.definitions.iter();
        let Some(now) = now.clone().find(|d| d.series == run.id.series) else {
            return;
        };
        let Some(after) = &now.after else { return };
        let (mut well, mut badly) = (true, false);
        for schedule in &after.schedules {
            let ends = self.newest_of(run, schedule);
            let live = ends.values().find(|(_, outcome)| outcome.is_none());
            hold(11, live.is_none(), || {
                format!("{} starts before {live:?} ended", run.id)
            });
            let planned = ends.values().filter(|(_, outcome)| !passed(*outcome));
            let mut planned = planned.map(|(_, outcome)| *outcome).peekable();
            let one = planned.peek().is_some();
            let all_well = planned.all(|outcome| outcome == Some(Outcome::Succeeded));
            well &= one && all_well;
            badly |= !one || !all_well;
        }
        let wanted = match after.on {
            On::Success => well,
            On::Any => true,
            On::Failure => badly,
        };
        hold(11, wanted, || {
            let all: Vec<_> = after
                .schedules
                .iter()
                .map(|schedule| self.newest_of(run, schedule))
                .collect();
            format!("{} starts {:?} after {all:?}", run.id, after.on)
        });
    }

    /// The newest generation of each occurrence of a predecessor on the date of a run, by its due time.
    fn newest_of(
        &self,
        run: &Run,
        schedule: &ScheduleName,
    ) -> BTreeMap<Timestamp, (RunId, Option<Outcome>)> {
        let mut newest = BTreeMap::new();
        let rows = self.store.runs.values().map(|row| &row.run);
        let of_schedule = rows.filter(|other| other.id.series.schedule == *schedule);
        for other in of_schedule {
            let RunKind::Generation(number) = other.id.kind else {
                continue;
            };
            // As the predecessor is configured now.
            let mut configured = self.config.definitions.iter();
            let Some(there) = configured.find(|d| d.series == other.id.series) else {
                continue;
            };
            let date = match there.trigger.zone == run.definition.trigger.zone {
                true => run.civil.date(),
                false => {
                    let zone = zone(&there.trigger.zone).unwrap();
                    run.id.instant.to_zoned(zone).date()
                }
            };
            let first = RunId::planned(other.id.series.clone(), other.id.instant);
            let first = self.store.runs.get(&first).map(|row| &row.run);
            let in_time = match first {
                // A later generation is due when it was asked for; what counts is when the first was.
                Some(first) if number == 0 || !passed(first.ended_as()) => first.due <= run.due,
                _ => true,
            };
            if other.civil.date() == date && in_time && other.id.instant <= run.due {
                // In the order of their generations.
                newest.insert(other.id.instant, (other.id.clone(), other.ended_as()));
            }
        }
        newest
    }
}

fn passed(outcome: Option<Outcome>) -> bool {
    matches!(outcome, Some(Outcome::Skipped(reason)) if PASSED.contains(&reason))
        || matches!(
            outcome,
            Some(Outcome::Skipped(
                SkipReason::NoPredecessor | SkipReason::PredecessorSucceeded
            ))
        )
}
