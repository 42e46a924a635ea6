//! The scheduler: everything that is known, and [`Scheduler::handle`], which turns one thing that happened into the
//! changes to store and the effects to release after them.
//!
//! One input goes through it one way: the clock is checked (`clock.rs`), the input is taken in (`answers.rs`,
//! `lookup.rs` with `adopt.rs`, `fire.rs`, `acts.rs` with `pause.rs`, `skip.rs`, `again.rs`, `resolve.rs`, `reload.rs`,
//! `examined.rs`), then `tick` decides what is due (`series.rs`), fires what has expired (`timers.rs`), judges what waits
//! for other schedules (`after.rs`) and sends what may be sent (`dispatch.rs`, under the `circuit.rs` of each
//! `connection.rs`). `recover.rs`
//! makes it of what the store knows; `snapshot.rs` is what others see. How a run moves is never decided here but in
//! `machine.rs`.
//!
//! Six times tell how far things are decided:
//!
//! | time | meaning |
//! |---|---|
//! | `started` | when this scheduler was made |
//! | `Lookups::known` | every occurrence up to here was on record when that job list was to be read |
//! | `mark` | every occurrence of every open series up to here is decided; `mark_stored` is what the store has of it |
//! | `Series::cursor` | every occurrence of that series up to here is decided |
//! | `Series::born` | that series has no past before this |
//! | `held` | series whose past waits for the first reading of their job list (docs/adr/0015) |
//!
//! Invariants: an effect is pushed only after the change that announces it; a run is in exactly the queues that its
//! state asks for (`settle` is the only place that puts it there); at most one question about a run is under way.

mod acts;
mod adopt;
mod after;
mod again;
mod answers;
mod circuit;
mod clock;
mod connection;
mod dispatch;
mod examined;
mod fire;
mod lookup;
mod pause;
mod recover;
mod reload;
mod resolve;
mod series;
mod skip;
mod snapshot;
mod timers;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::act::{Pause, Scope, Skip};
use super::id::{ClientKey, ConnectionName, RunId, ScheduleName, SeriesId};
use super::machine::{Applied, Context, Event};
use super::notice::{Notice, NoticeKind};
use super::outcome::{Outcome, SkipReason};
use super::run::{CancelWhy, Run, RunState};
use super::schedule::{ConnectionLimits, Definition};
use super::step::{Change, Effect, Input, Step};
use super::time::{Mono, Now, Timestamp, civil};
use super::trigger::{Fold, Trigger};

use after::Dependencies;
pub use after::Predecessors;
use clock::ClockWatch;
pub use connection::host_of;
use connection::{Connection, Host};
pub use examined::Examined;
pub use pause::LATELY;
pub use recover::ZoneSource;
use series::{A_STEP, Series};
pub use skip::is_wished;
pub use snapshot::{ConnectionStatus, Snapshot};

/// What the configuration and the command line say.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The name of this installation, part of every marker.
    pub instance: String,
    /// The hash of the configuration; runs remember it.
    pub config: Arc<str>,
    /// The series to plan, each with its trigger.
    pub definitions: Vec<(Arc<Definition>, Arc<Trigger>)>,
    /// Schedules that are switched off, to say so when somebody asks for one.
    pub disabled: Vec<ScheduleName>,
    /// The connections.
    pub connections: Vec<ConnectionLimits>,
    /// Decide and record, submit nothing.
    pub observe: bool,
    /// For so long what ended is kept on record: a time before that may have run.
    pub kept: Duration,
    /// What the store knows of the series that [`Setup::predecessors_since`] names.
    pub predecessors: Predecessors,
    /// Counts the schedulers of this process, so that an answer to a former one is never taken for the awaited one.
    pub generation: u32,
}

/// When the scheduler wants to be woken, if nothing happens before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wake {
    /// When the wall clock shows this.
    pub wall: Option<Timestamp>,
    /// When so much time has elapsed.
    pub mono: Option<Mono>,
}

/// So many polls in a row that tell nothing end the wait for a word of the vendor after a start, a sleep or an outage.
const SILENT_POLLS: u32 = 5;

/// So often the grace of a job that was asked to stop begins anew because of a sleep or an outage.
const STOPS_LOST: u32 = 5;

/// The number of a live run within this process; numbers follow the order of planning, those of the background behind
/// all others.
type Slot = u64;

/// Part of the numbers of runs in the background.
const BACKGROUND: Slot = 1 << 63;

/// A run that is not finished, with what need not survive a crash.
#[derive(Debug)]
struct Live {
    run: Run,
    series: Option<usize>,
    connection: usize,
    awaiting: Option<Awaiting>,
    /// The vendor has spoken of it in this process and since the last outage, or was asked in vain often enough; until
    /// then nothing expires.
    fresh: bool,
    /// So many polls in a row told nothing, although the connection works.
    silent: u32,
    /// The state word that is on record as unknown.
    unknown: Option<String>,
    /// The round of polls in which the vendor was last asked to stop its present job.
    cancel_round: Option<u32>,
    /// When the vendor was first asked to stop its present job, in this process and since the last outage; its grace
    /// counts from there.
    stop_asked: Option<Mono>,
    /// How often that was forgotten.
    stops_lost: u32,
    /// Since when it waits to be asked about.
    poll_since: Option<Mono>,
    timer: Option<Mono>,
    alarm: Option<Timestamp>,
}

impl Live {
    /// A poll told nothing. When that goes on, there is nothing more to be heard and time counts again.
    fn unheard(&mut self) {
        self.silent = self.silent.saturating_add(1);
        self.fresh |= self.silent >= SILENT_POLLS;
    }

    /// The request to stop may never have arrived. A bounded number of times: a vendor that is out whenever it is asked
    /// to stop a job must not keep the grace from ending.
    fn stop_anew(&mut self) {
        if self.stop_asked.is_some() && self.stops_lost < STOPS_LOST {
            self.stops_lost += 1;
            (self.cancel_round, self.stop_asked) = (None, None);
        }
    }

    /// When a job that was asked to stop is given up: not before the vendor was asked, and said once how it stands.
    fn grace_ends(&self) -> Option<Mono> {
        match self.run.state {
            RunState::Cancelling { polls, .. } if self.fresh && polls > 0 => {
                let asked = self.stop_asked?;
                Some(asked.plus(self.run.definition.cancel_grace))
            }
            _ => None,
        }
    }
}

/// A question about a run that is under way.
#[derive(Clone, Copy, Debug)]
struct Awaiting {
    sequence: u64,
    since: Mono,
}

/// Everything that is known; see the head of this file.
#[derive(Debug)]
pub struct Scheduler {
    instance: String,
    config: Arc<str>,
    observe: bool,
    kept: Duration,
    /// Why another configuration was not taken when it was last asked for, and when.
    not_reloaded: Option<(Timestamp, String)>,
    disabled: HashSet<ScheduleName>,

    series: Vec<Series>,
    series_by_id: HashMap<SeriesId, usize>,
    /// The next occurrence of each series.
    upcoming: BTreeSet<(Timestamp, usize)>,
    /// Occurrences before the start that wait for the job list of their connection.
    held: Vec<(Timestamp, usize)>,
    /// Series that passed over a range of times in this tick, and up to when they are decided.
    ranged: Vec<(usize, Timestamp)>,
    /// How many occurrences were looked at in this tick.
    walked: u64,
    /// When series stop being occupied by a lost run.
    releases: BTreeSet<(Timestamp, usize)>,
    /// Lost runs, and until when their jobs may live, of series that are not in the configuration now: a name that
    /// returns is occupied.
    vacated: BTreeMap<SeriesId, Vec<(RunId, Timestamp)>>,

    runs: HashMap<Slot, Box<Live>>,
    by_run: HashMap<RunId, Slot>,
    timers: BTreeSet<(Mono, Slot)>,
    alarms: BTreeSet<(Timestamp, Slot)>,

    connections: Vec<Connection>,
    hosts: Vec<Host>,

    /// Identities that were on record at the start.
    decided: Decided,
    /// Requests by hand that were answered lately.
    manual: BTreeMap<ClientKey, RunId>,

    /// Who waits for the runs of others.
    after: Dependencies,

    /// Coming occurrences that are not to run; few series have any.
    skips: BTreeMap<SeriesId, Vec<Skip>>,
    pauses: BTreeMap<Scope, Pause>,
    /// When pauses end by themselves.
    pause_ends: BTreeSet<(Timestamp, Scope)>,
    /// A series was closed since it was last looked whether a pause holds anything.
    closed: bool,

    started: Now,
    clock: ClockWatch,
    /// Every occurrence of every open series up to here is decided.
    mark: Timestamp,
    mark_stored: Timestamp,
    mark_ahead_told: bool,

    /// What the last look at everything came to, in this life of the scheduler.
    examined: Option<Examined>,

    /// Nothing more is decided or sent.
    stopping: bool,
    slots: Slot,
    sequence: u64,
    strays: u64,
    bugs: u64,
    step: Step,
}

/// Identities on record: by instant, and by civil time for clock-like triggers.
#[derive(Debug, Default)]
struct Decided {
    instants: HashSet<(SeriesId, Timestamp)>,
    civil: HashSet<(SeriesId, civil::DateTime, Fold)>,
    /// Runs of later generations.
    later: HashSet<RunId>,
}

impl Scheduler {
    /// Takes in one thing that happened.
    pub fn handle(&mut self, input: Input, now: Now) -> Step {
        if self.clock.slept(now) {
            self.awoke(now);
        }
        if self.clock.check(now) {
            self.clock_doubted(now);
        }
        match input {
            Input::Wake => {}
            Input::Answer { key, answer, date } => self.answered(key, answer, date, now),
            Input::Listed { key, answer, date } => self.listed(key, answer, date, now),
            Input::Clock { synchronised } => {
                if synchronised {
                    self.clock.synchronised();
                }
            }
            Input::Doctor => self.ask_for_proof(now),
            Input::Examined(findings) => self.examined(&findings, now),
            Input::Fire { token, request } => self.fire(token, request, now),
            Input::Act {
                token,
                act,
                by,
                known,
            } => self.act(token, act, by, &known, now),
            Input::Reload { token, setup, by } => {
                let taken = self.take_configuration(setup, now);
                self.answer(token, "reload", None, by, taken, now);
            }
        }
        self.tick(now);
        std::mem::take(&mut self.step)
    }

    /// When to wake it, if nothing happens before.
    pub fn next_wake(&self, now: Now) -> Wake {
        let mut wake = Wake::default();
        if !self.clock.doubtful() {
            wake.wall = [
                self.upcoming.first().map(|(t, _)| *t),
                self.alarms.first().map(|(t, _)| *t),
                self.releases.first().map(|(t, _)| *t),
                self.pause_end(),
            ]
            .into_iter()
            .flatten()
            .min();
        }
        wake.mono = self
            .timers
            .first()
            .map(|(t, _)| *t)
            .into_iter()
            .chain(self.next_request(now))
            .chain(self.hold_ends())
            .chain((0..self.connections.len()).filter_map(|index| self.list_limit(index)))
            .min();
        wake
    }

    /// When times that wait for a job list are decided without it.
    fn hold_ends(&self) -> Option<Mono> {
        let waits = !self.held.is_empty() && !self.clock.doubtful();
        waits.then(|| self.hold_until())
    }

    /// From now on nothing is decided or sent; answers that are under way are still taken in.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Questions to the vendor that are not answered yet.
    pub fn under_way(&self) -> usize {
        self.runs
            .values()
            .filter(|live| live.awaiting.is_some())
            .count()
    }

    fn tick(&mut self, now: Now) {
        if self.stopping {
            return;
        }
        self.release_series(now);
        self.plan_due(A_STEP, now);
        self.end_pauses(now);
        self.expire(now);
        self.judge_waiting(now);
        self.dispatch(now);
        self.keep_mark(now);
    }

    // ---- runs and their queues -----------------------------------------------------------------------------------

    /// Takes a run among the live ones; `settle` puts it into its queues.
    fn admit(&mut self, run: Run, now: Now) -> Slot {
        let slot = match run.origin.is_background() {
            true => BACKGROUND | self.slots,
            false => self.slots,
        };
        self.slots += 1;
        let connection = self.connection_of(&run.definition, now);
        let series = self.series_by_id.get(&run.id.series).copied();
        self.by_run.insert(run.id.clone(), slot);
        if let Some(series) = series {
            self.series[series].live.insert(slot);
        }
        if run.in_flight() {
            self.connections[connection].entered(&run);
        }
        self.runs.insert(
            slot,
            Box::new(Live {
                run,
                series,
                connection,
                awaiting: None,
                fresh: true,
                silent: 0,
                unknown: None,
                cancel_round: None,
                stop_asked: None,
                stops_lost: 0,
                poll_since: None,
                timer: None,
                alarm: None,
            }),
        );
        self.depends(slot);
        slot
    }

    /// Moves a run by one event, stores what must be stored and puts the run where its new state belongs.
    fn apply(&mut self, slot: Slot, event: Event, now: Now) {
        let Some(live) = self.runs.get_mut(&slot) else {
            return;
        };
        let connection = &mut self.connections[live.connection];
        let before = live.run.in_flight();
        let moved = live.run.apply(
            event,
            Context {
                now,
                vendor: self.clock.of_vendor(now),
                limits: &connection.limits,
            },
        );
        match moved {
            Ok(applied) => {
                let after = live.run.in_flight();
                match (before, after) {
                    (false, true) => connection.entered(&live.run),
                    (true, false) => connection.left(&live.run),
                    _ => {}
                }
                let series = live.series.filter(|_| after && !before);
                self.store(slot, applied, now);
                self.settle(slot, now);
                if let Some(index) = series {
                    self.series_taken(index, slot, now);
                }
            }
            Err(illegal) => {
                let (id, series) = (live.run.id.clone(), live.series);
                self.illegal(&id, series, illegal.to_string(), now);
            }
        }
    }

    /// Announces what an event left behind.
    fn store(&mut self, slot: Slot, applied: Applied, now: Now) {
        let Some(live) = self.runs.get(&slot) else {
            return;
        };
        if let Some(record) = applied.record {
            self.step.changes.push(Change::Run {
                run: Box::new(live.run.clone()),
                record,
                at: now,
            });
        }
        if let Some(notice) = applied.notice {
            self.step.changes.push(Change::Notice(notice));
        }
    }

    /// Puts a run into exactly the queues that its state asks for.
    fn settle(&mut self, slot: Slot, now: Now) {
        let Some(live) = self.runs.get_mut(&slot) else {
            return;
        };
        if let Some(at) = live.timer.take() {
            self.timers.remove(&(at, slot));
        }
        if let Some(at) = live.alarm.take() {
            self.alarms.remove(&(at, slot));
        }
        let connection = &mut self.connections[live.connection];
        connection.forget(slot, live);
        if !matches!(live.run.state, RunState::Cancelling { .. }) {
            live.cancel_round = None;
            live.stop_asked = None;
            live.stops_lost = 0;
        }
        if live.run.state != RunState::Pending && self.after.looks(slot) {
            self.after.forget(slot);
        }
        match &live.run.state {
            RunState::Finished(outcome) => {
                let outcome = *outcome;
                return self.finished(slot, outcome, now);
            }
            RunState::InDoubt { .. } => {
                connection.lookups.doubts.insert(slot);
            }
            // Its series is no longer in the configuration: what has not left does not leave any more.
            RunState::Pending | RunState::Backoff { .. } if live.series.is_none() => {
                return self.apply(slot, Event::Cancel(CancelWhy::Removed), now);
            }
            _ => {}
        }
        self.wait(slot, now);
    }

    /// A run ended: others of its series may have their turn.
    fn finished(&mut self, slot: Slot, outcome: Outcome, now: Now) {
        let Some(live) = self.runs.remove(&slot) else {
            return;
        };
        self.after.forget(slot);
        self.after.note(&live.run);
        self.by_run.remove(&live.run.id);
        let until = live.run.may_live_until();
        let may_live = outcome == Outcome::Lost && (until > now.wall || self.clock.doubtful());
        let Some(index) = live.series else {
            if may_live {
                let lost = (live.run.id.clone(), until);
                self.vacated
                    .entry(live.run.id.series)
                    .or_default()
                    .push(lost);
            }
            return;
        };
        self.series[index].live.remove(&slot);
        if may_live {
            self.occupy(index, live.run.id, until);
        }
        self.series_moved(index, now);
    }

    /// Others of the series may start now.
    fn series_moved(&mut self, index: usize, now: Now) {
        for slot in self.heads(index) {
            self.settle(slot, now);
        }
    }

    /// Whose turn it may be: the first run of the series, and the first of its background.
    fn heads(&self, index: usize) -> impl Iterator<Item = Slot> + use<> {
        let first = self.first_of(index);
        let background = self.first_in_background(index);
        first
            .into_iter()
            .chain(background.filter(|slot| first != Some(*slot)))
    }

    /// A run of the series is with the vendor: others that wait have no turn any more.
    fn series_taken(&mut self, index: usize, by: Slot, now: Now) {
        for slot in self.heads(index).filter(|slot| *slot != by) {
            self.settle(slot, now);
        }
    }

    /// The job of a lost run may live until then.
    fn occupy(&mut self, index: usize, run: RunId, until: Timestamp) {
        let series = &mut self.series[index];
        let before = series.occupied_until();
        series.lost.retain(|(lost, _)| *lost != run);
        series.lost.push((run, until));
        self.releases_at(index, before);
    }

    /// The job of a lost run does not live any more.
    fn release(&mut self, run: &RunId, now: Now) {
        if let Some(lost) = self.vacated.get_mut(&run.series) {
            lost.retain(|(id, _)| id != run);
        }
        let Some(index) = self.series_by_id.get(&run.series).copied() else {
            return;
        };
        let series = &mut self.series[index];
        let before = series.occupied_until();
        series.lost.retain(|(id, _)| id != run);
        series.occupied_told &= !series.lost.is_empty();
        self.releases_at(index, before);
        self.series_moved(index, now);
    }

    /// Notes when a series is free, in place of what was noted before.
    fn releases_at(&mut self, index: usize, before: Option<Timestamp>) {
        if let Some(before) = before {
            self.releases.remove(&(before, index));
        }
        let until = self.series[index].occupied_until();
        self.releases.extend(until.map(|until| (until, index)));
    }

    fn release_series(&mut self, now: Now) {
        while !self.clock.doubtful()
            && let Some(&(at, index)) = self.releases.first()
            && at <= now.wall
        {
            self.releases.pop_first();
            self.series[index].lost.clear();
            self.series[index].occupied_told = false;
            self.series_moved(index, now);
        }
    }

    // ---- what must be told ---------------------------------------------------------------------------------------

    fn tell(&mut self, notice: Notice) {
        self.step.changes.push(Change::Notice(notice));
    }

    /// Something that must not happen happened. The series stands still until a person has looked.
    fn illegal(&mut self, run: &RunId, series: Option<usize>, what: String, now: Now) {
        self.bugs += 1;
        if let Some(index) = series {
            self.series[index].blocked = Some(SkipReason::Blocked);
        }
        self.tell(Notice {
            id: format!("{run}:bug:{}", self.bugs),
            kind: NoticeKind::Bug,
            at: now.wall,
            schedule: Some(run.series.schedule.clone()),
            run: Some(run.clone()),
            subject: format!("{run}: {what}"),
            body: "This is a bug in nightcall. The series is not run until the daemon is restarted; please report \
                   the story of the run."
                .to_owned(),
        });
    }

    fn clock_doubted(&mut self, now: Now) {
        self.ask_for_proof(now);
        self.tell(Notice {
            id: format!("clock:{}", now.wall),
            kind: NoticeKind::Clock,
            at: now.wall,
            schedule: None,
            run: None,
            subject: format!("the clock jumped forward to {}", now.wall),
            body: "Nothing is decided until the system says that its clock is synchronised or the vendor's clock \
                   agrees. Running jobs are watched meanwhile."
                .to_owned(),
        });
    }

    // ---- the mark ------------------------------------------------------------------------------------------------

    /// Stores how far everything is decided: with any other change, else once a minute.
    fn keep_mark(&mut self, now: Now) {
        if self.clock.doubtful() || self.mark <= self.mark_stored {
            return;
        }
        let quiet = super::time::between(self.mark_stored, now.wall).as_secs() < 60;
        if self.step.changes.is_empty() && quiet {
            return;
        }
        self.mark_stored = self.mark;
        self.step.changes.push(Change::Mark(self.mark));
    }

    fn sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    fn push(&mut self, effect: Effect) {
        self.step.effects.push(effect);
    }

    fn connection_index(&self, name: &ConnectionName) -> Option<usize> {
        self.connections.iter().position(|c| &c.limits.name == name)
    }
}
