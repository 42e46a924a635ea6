//! Coming occurrences that people hold back: by a pause, or by a wish to skip them.

use std::collections::HashSet;

use super::Context;
use super::exit::Failure;
use super::select::Past;
use super::serve::store_failure;
use crate::config::Config;
use crate::sched::act::{Deed, Pause, Skip, SkipWhat};
use crate::sched::id::SeriesId;
use crate::sched::outcome::{Outcome, SkipReason};
use crate::sched::run::Run;
use crate::sched::scheduler::is_wished;
use crate::sched::time::Timestamp;
use crate::sched::trigger::{Occurrence, Shape, Trigger};

/// What people hold back, as it is on record.
#[derive(Default)]
pub(super) struct Held {
    pauses: Vec<Pause>,
    /// Wishes that name a date or an instant.
    named: Vec<Skip>,
    /// The occurrences that wishes for the next ones hit.
    next: HashSet<(SeriesId, Timestamp)>,
}

impl Held {
    /// Reads it; without a database that can be read nothing is held back as far as anybody can tell.
    pub(super) fn read(context: &Context, config: &Config, now: Timestamp) -> Self {
        let past = Past::open(config, &context.zones).ok().flatten();
        let Some(past) = past else {
            return Self::default();
        };
        let pauses = past.history().pauses().unwrap_or_default();
        let skips = past.history().skips().unwrap_or_default();
        let trigger = |series: &SeriesId| {
            let schedule = super::select::configured(config, &series.schedule);
            schedule.map(|schedule| &*schedule.trigger)
        };
        Self::of(pauses, skips, &trigger, now)
    }

    /// What these pauses and wishes hold back, by the triggers of the series.
    pub(super) fn of<'t>(
        pauses: Vec<Pause>,
        skips: Vec<Skip>,
        trigger: &dyn Fn(&SeriesId) -> Option<&'t Trigger>,
        now: Timestamp,
    ) -> Self {
        let mut held = Self {
            pauses,
            ..Self::default()
        };
        for skip in skips {
            match skip.what {
                SkipWhat::Next(left) => {
                    let trigger = trigger(&skip.series);
                    trigger
                        .into_iter()
                        .for_each(|trigger| held.count(trigger, &skip.series, left, now));
                }
                SkipWhat::On(_) | SkipWhat::At(_) => held.named.push(skip),
            }
        }
        held
    }

    /// Whether nothing is held back.
    pub(super) fn is_empty(&self) -> bool {
        self.pauses.is_empty() && self.named.is_empty() && self.next.is_empty()
    }

    /// The next so many occurrences of a series.
    fn count(&mut self, trigger: &Trigger, series: &SeriesId, left: u32, now: Timestamp) {
        let following = |o: &Occurrence| trigger.after(o.instant);
        let coming = std::iter::successors(trigger.after(now), following);
        let runs = coming.filter(|o| o.shape != Shape::NoSuchDay);
        let hit = runs
            .take(left as usize)
            .map(|o| (series.clone(), o.instant));
        self.next.extend(hit);
    }

    /// Why an occurrence will not run, if people hold it back.
    pub(super) fn why(&self, series: &SeriesId, occurrence: &Occurrence) -> Option<&'static str> {
        let mut named: Vec<Skip> = self.named.clone();
        named.retain(|skip| skip.series == *series);
        let counted = self.next.contains(&(series.clone(), occurrence.instant));
        if counted || is_wished(&mut named, occurrence) {
            return Some("will be skipped, as somebody asked");
        }
        let mut pauses = self.pauses.iter().filter(|pause| pause.scope.holds(series));
        let paused = pauses.any(|pause| pause.covers(occurrence.instant));
        paused.then_some("will pass: paused")
    }
}

/// Who did not want a run to run, as far as that is kept on record.
pub(super) fn who_held_back(past: &Past, run: &Run) -> Result<Option<Deed>, Failure> {
    let act = match run.outcome() {
        Some(Outcome::Skipped(SkipReason::Paused)) => "pause",
        Some(Outcome::Skipped(SkipReason::Asked)) => "skip",
        _ => return Ok(None),
    };
    let schedule = &run.id.series.schedule;
    let deed = past.history().last_deed(act, schedule, run.id.instant);
    deed.map_err(store_failure)
}
