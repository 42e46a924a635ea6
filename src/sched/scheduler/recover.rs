//! Starting is recovering: the scheduler is made of what the store knows and what the configuration says now.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::after::Dependencies;
use super::clock::ClockWatch;
use super::lookup::BEFORE;
use super::series::{Series, Start};
use super::{Decided, Scheduler, Setup};
use crate::sched::id::{ConnectionName, RunKind};
use crate::sched::machine::Event;
use crate::sched::notice::{Notice, NoticeKind};
use crate::sched::run::{Run, RunState};
use crate::sched::schedule::Definition;
use crate::sched::step::{Change, ConnectionMemory, Saved, SavedSeries, Step};
use crate::sched::time::{Now, TimeZone, Timestamp, earlier};
use crate::sched::trigger::Trigger;

/// By so much our clock may have been ahead when the mark was stored, without two jobs of one run. More makes the first
/// list longer.
const AHEAD: Duration = Duration::from_secs(3600);

/// Where the zones of stored triggers come from.
pub type ZoneSource<'a> = &'a dyn Fn(&str) -> Option<TimeZone>;

impl Scheduler {
    /// Makes a scheduler of what is stored and what is configured. The step must be committed before its effects are
    /// released, like any other.
    pub fn recover(setup: Setup, saved: Saved, zones: ZoneSource<'_>, now: Now) -> (Self, Step) {
        let mark = saved.mark.unwrap_or(now.wall);
        let mut scheduler = Self {
            instance: setup.instance,
            config: setup.config,
            observe: setup.observe,
            kept: setup.kept,
            not_reloaded: None,
            disabled: setup.disabled.into_iter().collect(),
            series: Vec::new(),
            series_by_id: HashMap::new(),
            upcoming: BTreeSet::new(),
            held: Vec::new(),
            ranged: Vec::new(),
            walked: 0,
            releases: BTreeSet::new(),
            vacated: BTreeMap::new(),
            runs: HashMap::new(),
            by_run: HashMap::new(),
            timers: BTreeSet::new(),
            alarms: BTreeSet::new(),
            connections: Vec::new(),
            hosts: Vec::new(),
            decided: Decided::default(),
            manual: BTreeMap::new(),
            after: Dependencies::default(),
            skips: BTreeMap::new(),
            started: now,
            clock: ClockWatch::new(saved.mark, now),
            mark,
            mark_stored: saved.mark.unwrap_or(Timestamp::MIN),
            mark_ahead_told: false,
            pauses: BTreeMap::new(),
            pause_ends: BTreeSet::new(),
            closed: false,
            examined: None,
            stopping: false,
            slots: 0,
            sequence: u64::from(setup.generation) << 40,
            strays: 0,
            bugs: 0,
            step: Step::default(),
        };
        let mut memories: HashMap<ConnectionName, ConnectionMemory> =
            saved.connections.into_iter().collect();
        for limits in setup.connections {
            let memory = memories.remove(&limits.name).unwrap_or_default();
            scheduler.add_connection(limits, memory, now);
        }
        for decided in saved.recent {
            scheduler.remember_identity(&decided.run);
            if let RunKind::Generation(_) = decided.run.kind {
                let series = decided.run.series;
                let civil = (series.clone(), decided.civil, decided.fold);
                scheduler.decided.civil.insert(civil);
                scheduler
                    .decided
                    .instants
                    .insert((series, decided.run.instant));
            }
        }
        scheduler.take_pauses(saved.pauses);
        scheduler.watch(&setup.definitions, &setup.predecessors);
        scheduler.take_series(setup.definitions, saved.series, mark, zones, now);
        scheduler.rewatch();
        scheduler.take_acts(saved.skips, saved.passed);
        scheduler.take_runs(saved.live, saved.lost, now);
        scheduler.sweep(mark, saved.mark.unwrap_or(Timestamp::MIN), now);
        if scheduler.clock.doubtful() {
            scheduler.tell_away(saved.mark, now);
        }
        scheduler.tick(now);
        let step = std::mem::take(&mut scheduler.step);
        (scheduler, step)
    }

    fn take_series(
        &mut self,
        definitions: Vec<(Arc<Definition>, Arc<Trigger>)>,
        saved: Vec<SavedSeries>,
        mark: Timestamp,
        zones: ZoneSource<'_>,
        now: Now,
    ) {
        self.series.reserve_exact(definitions.len());
        let mut known: BTreeMap<_, _> = saved.into_iter().map(|s| (s.series.clone(), s)).collect();
        for (definition, trigger) in definitions {
            let (cursor, start) = match known.remove(&definition.series) {
                None => (now.wall, Start::Newborn),
                Some(former) => {
                    let cursor = former.cursor.max(mark);
                    (cursor, start_of(&former, &definition, zones))
                }
            };
            self.add_series(definition, trigger, cursor, start);
        }
        for (_, former) in known {
            let cursor = former.cursor.max(mark);
            match old_trigger(&former.definition, zones) {
                Some(trigger) => {
                    self.add_series(former.definition, Arc::new(trigger), cursor, Start::Removed);
                }
                None => {
                    self.closed = true;
                    self.step.changes.push(Change::Closed {
                        series: former.series,
                        upto: now.wall.max(cursor),
                    });
                }
            }
        }
    }

    fn add_series(
        &mut self,
        definition: Arc<Definition>,
        trigger: Arc<Trigger>,
        cursor: Timestamp,
        start: Start,
    ) {
        let index = self.series.len();
        if !matches!(start, Start::Removed) {
            self.series_by_id.insert(definition.series.clone(), index);
        }
        // What starts in an unusual way is decided at the first tick with a believable clock.
        let first = match start {
            Start::Usual | Start::Edited => trigger.after(cursor).map(|o| o.instant),
            // Whatever that clock says: the one of now may be far ahead.
            Start::Newborn => Some(Timestamp::MIN),
            _ => Some(cursor),
        };
        self.upcoming.extend(first.map(|at| (at, index)));
        if matches!(start, Start::Edited) {
            self.step.changes.push(Change::Cursor {
                series: definition.series.clone(),
                upto: cursor,
                definition: Arc::clone(&definition),
            });
        }
        self.series
            .push(Series::new(definition, trigger, cursor, start));
    }

    fn take_runs(&mut self, mut live: Vec<(Run, Now)>, lost: Vec<Run>, now: Now) {
        // First, so that nobody takes a turn whose series is occupied.
        for run in lost {
            let until = run.may_live_until();
            match self.series_by_id.get(&run.id.series) {
                Some(index) => self.occupy(*index, run.id, until),
                None => {
                    let of_series = self.vacated.entry(run.id.series.clone());
                    of_series.or_default().push((run.id, until));
                }
            }
        }
        // Those that have begun keep their turn, whatever a clock that was set back says of the others.
        let order = |run: &Run| (!run.in_flight(), run.attempt == 0, run.id.instant);
        live.sort_by(|(a, _), (b, _)| (order(a), &a.id).cmp(&(order(b), &b.id)));
        for (mut run, saved) in live {
            // A clock that is not believed tells nothing of the time in between.
            let saved = match self.clock.doubtful() {
                true => Now {
                    wall: now.wall,
                    ..saved
                },
                false => saved,
            };
            run.rebase(saved, now);
            let resumed = !matches!(run.state, RunState::Pending | RunState::Backoff { .. });
            self.remember_identity(&run.id);
            let slot = self.admit(run, now);
            if let Some(live) = self.runs.get_mut(&slot) {
                live.fresh = !resumed;
            }
            self.apply(slot, Event::Resumed, now);
        }
    }

    /// Before the first submission each job list is read once, from the oldest cursor, or from the oldest run that could
    /// be submitted now: a database older than the world may not know that it was. Both are by our clock, which may have
    /// been ahead; the last acceptance is by the vendor's, and what the database does not know was made after that.
    fn sweep(&mut self, mark: Timestamp, known: Timestamp, now: Now) {
        let recent = earlier(mark.min(now.wall), AHEAD);
        for index in 0..self.connections.len() {
            let of_connection = self.runs.values().filter(|live| live.connection == index);
            let oldest = of_connection
                .filter(|live| !live.run.in_flight())
                .map(|live| live.run.submitted.unwrap_or(live.run.id.instant))
                .fold(mark, Timestamp::min);
            let connection = &mut self.connections[index];
            let accepted = connection.memory.accepted.last();
            let last = accepted.map_or(mark, |(_, at)| (*at).max(recent));
            let since = earlier(oldest.min(last), BEFORE);
            connection.lookups.sweep_since(since, known);
        }
    }

    fn tell_away(&mut self, mark: Option<Timestamp>, now: Now) {
        self.ask_for_proof(now);
        let (of, known) = match mark {
            Some(mark) => (
                "more than a day after the last stored time",
                format!("The last stored time is {mark}. "),
            ),
            None => ("before this program was written", String::new()),
        };
        self.tell(Notice {
            id: format!("clock:away:{}", mark.unwrap_or(now.wall)),
            kind: NoticeKind::Clock,
            at: now.wall,
            schedule: None,
            run: None,
            subject: format!("the clock says {}, {of}", now.wall),
            body: format!(
                "{known}Nothing is decided until the system says that its clock is synchronised or the vendor's clock \
                 agrees."
            ),
        });
    }
}

fn start_of(former: &SavedSeries, definition: &Arc<Definition>, zones: ZoneSource<'_>) -> Start {
    if former.definition.trigger != definition.trigger {
        return match old_trigger(&former.definition, zones) {
            Some(trigger) => Start::Retimed(Arc::new(trigger)),
            None => Start::Newborn,
        };
    }
    match former.definition == *definition {
        true => Start::Usual,
        false => Start::Edited,
    }
}

fn old_trigger(definition: &Definition, zones: ZoneSource<'_>) -> Option<Trigger> {
    let zone = zones(&definition.trigger.zone)?;
    Trigger::new(&definition.trigger, zone, &definition.series.schedule).ok()
}
