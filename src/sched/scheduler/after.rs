//! Runs that wait for those of other schedules (docs/adr/0019).
//!
//! Of each series that others name the outcomes are remembered by nominal date, for as long as somebody may look at
//! them (`watched.rs`). A run is judged when it is due and everything up to then is decided, so that at equal instants
//! nobody is early; a run that ends wakes those that look at its date, and nobody else. Nothing of this is stored: after
//! a start it is made anew of the runs that the store has.
//!
//! Invariant: a run is in `waits` until it leaves for the vendor or ends; one that is there and not ready has no turn.

mod watched;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::series::Series;
use super::{Live, Scheduler, Slot};
use crate::sched::id::{RunId, ScheduleName, SeriesId};
use crate::sched::machine::Event;
use crate::sched::notice::{Notice, NoticeKind};
use crate::sched::outcome::SkipReason;
use crate::sched::policy::after::{Stuck, Verdict};
use crate::sched::run::{Origin, RunState};
use crate::sched::schedule::Definition;
use crate::sched::time::{Now, TimeRange};
use crate::sched::trigger::Trigger;

pub(super) use watched::Dependencies;
pub use watched::Predecessors;
use watched::{Wait, Watched, sets, wanted};

impl Scheduler {
    // ---- who watches whom ----------------------------------------------------------------------------------------

    /// Watches the series that definitions name beside those that are watched already, whose past is known.
    pub(super) fn watch(
        &mut self,
        definitions: &[(Arc<Definition>, Arc<Trigger>)],
        past: &Predecessors,
    ) {
        let wanted = wanted(definitions.iter().map(|(d, _)| &**d));
        if wanted.is_empty() {
            return;
        }
        let mut new: HashMap<&SeriesId, &Trigger> = HashMap::new();
        for (definition, trigger) in definitions {
            let series = &definition.series;
            if let Some(span) = wanted.get(series)
                && !self.after.watched.contains_key(series)
            {
                let watched = Watched::of(trigger, *span);
                self.after.watched.insert(series.clone(), watched);
                new.insert(series, trigger);
            }
        }
        for run in past
            .runs
            .iter()
            .filter(|run| new.contains_key(&run.id.series))
        {
            self.after.note(run);
        }
        for missed in &past.missed {
            if let Some(trigger) = new.get(&missed.series) {
                self.after.note_range(&missed.series, trigger, missed.range);
            }
        }
    }

    /// Who waits for whom follows the series as they are now; what waits is judged anew.
    pub(super) fn rewatch(&mut self) {
        if self.series.iter().all(|s| s.definition.after.is_none()) {
            self.after = Dependencies::default();
            return;
        }
        let planned =
            |(index, series): &(usize, &Series)| self.series_by_id.get(series.id()) == Some(index);
        let planned = self.series.iter().enumerate().filter(planned);
        let definitions = planned.map(|(_, series)| &*series.definition);
        let wanted = wanted(definitions.clone());
        let after = &mut self.after;
        after.sets = sets(definitions);
        after
            .watched
            .retain(|series, _| wanted.contains_key(series));
        for (series, watched) in &mut after.watched {
            let index = self.series_by_id.get(series);
            if let (Some(span), Some(index)) = (wanted.get(series), index) {
                let days = std::mem::take(&mut watched.days);
                *watched = Watched::of(&self.series[*index].trigger, *span);
                watched.days = days;
                watched.days.values_mut().for_each(|seen| seen.by.clear());
            }
        }
        after.waits.clear();
        after.unjudged.clear();
        for (slot, live) in &self.runs {
            let series = live.series.map(|index| &*self.series[index].definition);
            if waits(live, series) {
                after.waits.insert(*slot, Wait::default());
            }
        }
    }

    /// A run is among the live ones: others may wait for it, and it may have to wait.
    pub(super) fn depends(&mut self, slot: Slot) {
        let Some(live) = self.runs.get(&slot) else {
            return;
        };
        self.after.note(&live.run);
        let series = live.series.map(|index| &*self.series[index].definition);
        if waits(live, series) {
            self.after.waits.insert(slot, Wait::default());
        }
    }

    /// Times of a series were passed over in bulk.
    pub(super) fn range_passed(&mut self, index: usize, range: TimeRange) {
        let series = &self.series[index];
        self.after.note_range(series.id(), &series.trigger, range);
    }

    // ---- judging -------------------------------------------------------------------------------------------------

    /// Judges what is due and waits for others, as far as everything up to its due time is decided.
    pub(super) fn judge_waiting(&mut self, now: Now) {
        if self.after.unjudged.is_empty() || self.clock.doubtful() {
            return;
        }
        let mut early = Vec::new();
        // What is passed over wakes those that wait for it in their turn.
        while let Some(slot) = self.after.unjudged.pop_first() {
            let due = self.runs.get(&slot).map(|live| live.run.due);
            match due {
                Some(due) if due > self.mark => early.push(slot),
                _ => self.judge_slot(slot, now),
            }
        }
        self.after.unjudged.extend(early);
    }

    fn judge_slot(&mut self, slot: Slot, now: Now) {
        let Some(verdict) = self.verdict(slot) else {
            return;
        };
        match &verdict {
            Verdict::Start | Verdict::Wait(_) => {}
            Verdict::Stuck(stuck) => self.tell_stuck(slot, stuck, now),
            Verdict::NoPredecessor(_) | Verdict::AllWell => {
                return self.pass_waiting(slot, &verdict, now);
            }
        }
        // One that was ready waits again when what it comes after is run again.
        self.be_ready(slot, verdict == Verdict::Start, now);
    }

    /// What becomes of a run that waits; `None` when it does not.
    fn verdict(&mut self, slot: Slot) -> Option<Verdict> {
        let live = self.runs.get(&slot).filter(|_| self.after.looks(slot))?;
        // What it waits for follows the configuration: it is no part of what it does.
        let definition = live
            .series
            .map(|index| Arc::clone(&self.series[index].definition));
        let definition = definition?;
        let Some(after) = definition.after.as_deref() else {
            return Some(Verdict::Start);
        };
        let standings = self.after.look(slot, &live.run, &definition, after);
        Some(after.decide(&standings))
    }

    fn be_ready(&mut self, slot: Slot, ready: bool, now: Now) {
        let Some(live) = self.runs.get(&slot) else {
            return;
        };
        // Another of its series may have the turn as long as it waits.
        let others = live.series.filter(|_| !live.run.beside);
        let before = others.and_then(|index| self.first_of(index));
        let wait = self.after.waits.get_mut(&slot);
        if wait.is_none_or(|wait| std::mem::replace(&mut wait.ready, ready) == ready) {
            return;
        }
        let first = others.and_then(|index| self.first_of(index));
        let moved = [before, first].into_iter().flatten();
        let moved: BTreeSet<Slot> = moved.chain([slot]).collect();
        for slot in moved {
            self.settle(slot, now);
        }
    }

    /// The start deadline of a run passes; gives back whether that ended a wait for others.
    pub(super) fn awaited_in_vain(&mut self, slot: Slot, now: Now) -> bool {
        match self.verdict(slot) {
            None | Some(Verdict::Start) => false,
            Some(verdict) => {
                self.pass_waiting(slot, &verdict, now);
                true
            }
        }
    }

    /// A run that waited is passed over, by what stands in its way.
    fn pass_waiting(&mut self, slot: Slot, verdict: &Verdict, now: Now) {
        let Some(live) = self.runs.get(&slot) else {
            return;
        };
        let event = match verdict {
            Verdict::Start => return,
            Verdict::NoPredecessor(schedule) => {
                let why = self.none_on(live, schedule);
                Event::PassedOver(SkipReason::NoPredecessor, why)
            }
            Verdict::AllWell => {
                let reason = SkipReason::PredecessorSucceeded;
                Event::PassedOver(reason, reason.to_string())
            }
            Verdict::Wait(run) => {
                let state = self.state_of(run);
                let why = format!("its start deadline passed, and {run} is {state}");
                Event::PassedOver(SkipReason::PredecessorAwaited, why)
            }
            Verdict::Stuck(stuck) => {
                let why = format!("its start deadline passed, and {}", stuck.words());
                Event::PassedOver(SkipReason::PredecessorAwaited, why)
            }
        };
        self.apply(slot, event, now);
    }

    fn state_of(&self, run: &RunId) -> &'static str {
        let live = self.by_run.get(run).and_then(|slot| self.runs.get(slot));
        live.map_or("not known", |live| live.run.state.word())
    }

    /// "ingest has no run on 2026-02-07 (Europe/Madrid) that is due by then"
    fn none_on(&self, live: &Live, schedule: &ScheduleName) -> String {
        let of_schedule = |(series, _): &(&SeriesId, &Watched)| series.schedule == *schedule;
        let Some((_, watched)) = self.after.watched.iter().find(of_schedule) else {
            return format!("{schedule} is not planned");
        };
        let date = watched.date_for(&live.run);
        let zone = &watched.zone_name;
        format!(
            "{schedule} has no run on {date} ({zone}) that is due by {}",
            live.run.due
        )
    }

    /// Only a person can end the wait: said once for a schedule and the run that it waits for.
    fn tell_stuck(&mut self, slot: Slot, stuck: &Stuck, now: Now) {
        let Some(live) = self.runs.get(&slot) else {
            return;
        };
        let run = &live.run;
        let until = run.start_deadline();
        let what = match &stuck.run {
            Some((run, _)) => run.to_string(),
            None => format!("{}@{}", stuck.schedule, run.civil.date()),
        };
        let id = format!("{}:after:{what}", run.id.series.schedule);
        let wait = self.after.waits.get_mut(&slot);
        let told = wait.map(|wait| wait.told.replace(id.clone()));
        if told.is_none_or(|before| before.as_ref() == Some(&id)) {
            return;
        }
        let notice = Notice {
            id,
            kind: NoticeKind::Late,
            at: now.wall,
            schedule: Some(run.id.series.schedule.clone()),
            run: Some(run.id.clone()),
            subject: format!("{} waits, and {}", run.id, stuck.words()),
            body: format!(
                "It starts when that is mended, until {until}; then it is skipped.\nnext: nightcall why {}",
                run.id
            ),
        };
        self.tell(notice);
    }
}

/// Whether a run has to wait for those of others: not once it was tried, and not when somebody asked for it.
fn waits(live: &Live, series: Option<&Definition>) -> bool {
    let by_plan = matches!(live.run.origin, Origin::Planned | Origin::CaughtUp);
    let untried = live.run.state == RunState::Pending && live.run.attempt == 0;
    by_plan && untried && series.is_some_and(|series| series.after.is_some())
}
