//! Jobs with our marker that a list shows: the answer to a doubt, or what a database that is older than the world does
//! not know (docs/adr/0015).
//!
//! Invariant: what is on record is never taken in again; of several jobs of a run the last attempt counts.

use super::Scheduler;
use crate::sched::call::{ListedJob, Marker};
use crate::sched::id::{RunId, RunKind};
use crate::sched::machine::Event;
use crate::sched::notice::{Notice, NoticeKind};
use crate::sched::outcome::SkipReason;
use crate::sched::run::{CancelWhy, Origin, Run, RunState};
use crate::sched::step::RECENT;
use crate::sched::time::{Now, Timestamp, civil, earlier};
use crate::sched::trigger::{Fold, Occurrence, Trigger};

impl Scheduler {
    /// A job with our marker: the answer to a doubt, or something that an older database does not know.
    pub(super) fn recognise(
        &mut self,
        index: usize,
        listed: &ListedJob,
        marker: &Marker,
        sweep: bool,
        now: Now,
    ) {
        let Some(slot) = self.by_run.get(&marker.run).copied() else {
            if sweep {
                self.adopt(index, listed, marker, now);
            }
            return;
        };
        let Some(live) = self.runs.get_mut(&slot) else {
            return;
        };
        let found = match live.run.state {
            RunState::InDoubt { .. } => live.run.attempt <= marker.attempt,
            RunState::Submitting { .. } | RunState::Finished(_) => false,
            // Made by a later life of an older copy of the database.
            _ => live.run.attempt < marker.attempt,
        };
        if found {
            if let Some(awaiting) = live.awaiting.take() {
                // It is about the job of an earlier attempt.
                let circuit = &mut self.connections[live.connection].circuit;
                circuit.unheard(awaiting.sequence, now.mono);
            }
            live.run.attempt = marker.attempt;
            self.apply(slot, Event::Found(listed.job.clone()), now);
            self.remember(index, listed.job.clone(), listed.created, now);
        }
    }

    /// A job of ours that the store does not know: the database was restored from a copy. It is taken in under its own
    /// id, so that its occurrence is not run again.
    fn adopt(&mut self, index: usize, listed: &ListedJob, marker: &Marker, now: Now) {
        let id = &marker.run;
        if self.is_on_record(index, id) {
            return;
        }
        let series = self.series_by_id.get(&id.series).copied();
        let passed_over =
            series.is_some_and(|s| id.is_planned() && self.series[s].has_decided(id.instant));
        let body = match series {
            None => "Its schedule is not in the configuration, so it is not watched.",
            Some(s)
                if self.series[s].definition.target != self.connections[index].limits.target =>
            {
                "It is at another address than its schedule is now, so it is not watched."
            }
            Some(_) if passed_over => {
                "Its time had been passed over at this start, which stays on record, so it is not watched. Was the \
                 database restored from a copy?"
            }
            Some(_) => {
                "It is watched to its end as that run. Was the database restored from a copy?"
            }
        };
        self.tell(Notice {
            id: format!("{id}:adopted:{}", listed.job),
            kind: NoticeKind::Adopted,
            at: now.wall,
            schedule: Some(id.series.schedule.clone()),
            run: series.map(|_| id.clone()),
            subject: format!(
                "job {} of {id} was found that the database does not know",
                listed.job
            ),
            body: body.to_owned(),
        });
        let Some(series) = series.filter(|_| !passed_over) else {
            return;
        };
        let definition = std::sync::Arc::clone(&self.series[series].definition);
        if definition.target != self.connections[index].limits.target {
            return;
        }
        self.decide_first(index, series, id, now);
        self.end_earlier(id, now);
        let key = (id.series.clone(), id.instant);
        self.decided.instants.insert(key);
        self.remember_identity(id);
        let trigger = &self.series[series].trigger;
        let (civil, fold) = nominal(trigger, id);
        let mut run = Run::pending(
            id.clone(),
            (civil, fold, trigger.zone()),
            id.instant,
            Origin::Adopted,
            definition,
            now.wall,
            std::sync::Arc::clone(&self.config),
        );
        run.attempt = marker.attempt;
        run.submitted = listed.created;
        let slot = self.plan_run(run, None, now);
        self.apply(slot, Event::Found(listed.job.clone()), now);
        self.remember(index, listed.job.clone(), listed.created, now);
    }

    /// A later generation shows that its occurrence was decided. What became of the planned run nobody knows: it is on
    /// record as missed, so that it neither runs beside the later one nor is passed over in silence.
    fn decide_first(&mut self, connection: usize, index: usize, id: &RunId, now: Now) {
        let planned = RunId::planned(id.series.clone(), id.instant);
        let series = &self.series[index];
        let later = matches!(id.kind, RunKind::Generation(1..));
        if !later || series.has_decided(id.instant) || self.is_on_record(connection, &planned) {
            return;
        }
        if let Some(occurrence) = occurrence_at(&series.trigger, id.instant) {
            self.skip(index, &occurrence, SkipReason::Missed, Origin::Adopted, now);
        }
    }

    /// A later generation shows that the runs of its occurrence before it had ended: those that an older database still
    /// has live neither start again nor retry.
    fn end_earlier(&mut self, id: &RunId, now: Now) {
        let of = (&id.series, id.instant);
        let earlier = |run: &RunId| {
            (&run.series, run.instant) == of
                && matches!(run.kind, RunKind::Generation(_))
                && run.kind < id.kind
        };
        let live = self.runs.iter().filter(|(_, l)| earlier(&l.run.id));
        let mut slots: Vec<_> = live.map(|(slot, _)| *slot).collect();
        slots.sort_unstable();
        for slot in slots {
            self.apply(slot, Event::Cancel(CancelWhy::Superseded), now);
        }
    }

    /// Whether the store knew the run when the list of a connection was to be read: at a start it names those of the
    /// last two days, and has all that were planned up to its mark.
    fn is_on_record(&self, connection: usize, id: &RunId) -> bool {
        let known = self.connections[connection].lookups.known;
        match &id.kind {
            // A run of today of an occurrence of whenever.
            RunKind::Generation(1..) => self.decided.later.contains(id),
            _ if id.instant < earlier(known, RECENT) => true,
            RunKind::Manual(client) => self.manual.contains_key(client),
            RunKind::Generation(0) => {
                let series = self.series_by_id.get(&id.series);
                let born = series.map_or(Timestamp::MIN, |index| self.series[*index].born);
                let key = (id.series.clone(), id.instant);
                self.decided.instants.contains(&key) || (id.instant <= known && id.instant > born)
            }
        }
    }
}

/// The occurrence at an instant.
fn occurrence_at(trigger: &Trigger, instant: Timestamp) -> Option<Occurrence> {
    let before = earlier(instant, std::time::Duration::from_nanos(1));
    trigger.after(before).filter(|o| o.instant == instant)
}

/// The nominal time of a run: that of its occurrence or, where there is none, what the clock shows.
fn nominal(trigger: &Trigger, id: &RunId) -> (civil::DateTime, Fold) {
    let occurrence = match id.is_manual() {
        true => None,
        false => occurrence_at(trigger, id.instant),
    };
    match occurrence {
        Some(occurrence) => (occurrence.civil, occurrence.fold),
        None => {
            let shown = id.instant.to_zoned(trigger.zone().clone());
            (shown.datetime(), Fold::First)
        }
    }
}
