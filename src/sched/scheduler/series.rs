//! Series: which occurrences are due, what becomes of each, and whose turn it is.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::pause::Passed;
use super::{BACKGROUND, Scheduler, Slot};
use crate::sched::id::{RunId, SeriesId};
use crate::sched::machine::{Applied, Event};
use crate::sched::notice::{Notice, NoticeKind};
use crate::sched::outcome::{Outcome, SkipReason};
use crate::sched::plan::{Plan, plan};
use crate::sched::policy::OverlapPolicy;
use crate::sched::policy::overlap::{Busy, Verdict};
use crate::sched::run::{CancelWhy, Origin, Record, Run, RunState};
use crate::sched::schedule::Definition;
use crate::sched::step::{Change, Missed};
use crate::sched::time::{Mono, Now, TimeRange, Timestamp, between, earlier};
use crate::sched::trigger::{Occurrence, Trigger};

/// So long after a start, times that passed before it may wait for the job list.
const HOLD: Duration = Duration::from_secs(30);

/// So many occurrences are looked at in one step, or those of one series: the first of a herd leave while others are
/// decided, and after years that were passed over the driver says in between that it lives.
pub(super) const A_STEP: u64 = 512;
/// So many when somebody waits for all of them.
pub(super) const AT_ONCE: u64 = 20_000;

/// One series with its live runs.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) definition: Arc<Definition>,
    pub(super) trigger: Arc<Trigger>,
    /// Every occurrence up to here is decided.
    pub(super) cursor: Timestamp,
    /// It has no past before this.
    pub(super) born: Timestamp,
    pub(super) start: Start,
    /// Its live runs in the order of planning.
    pub(super) live: BTreeSet<Slot>,
    /// Lost runs, and until when their jobs may live.
    pub(super) lost: Vec<(RunId, Timestamp)>,
    pub(super) occupied_told: bool,
    /// Why nothing of it is run until a restart.
    pub(super) blocked: Option<SkipReason>,
    /// Its trigger did not advance: it is not planned any more.
    pub(super) quarantined: bool,
    /// What waits of it waits on.
    pub(super) paused: bool,
    /// The newest of its occurrences that passed in the present pause, oldest first.
    pub(super) passed: VecDeque<Passed>,
    /// Nominal times of clock-like occurrences that were decided lately, oldest first: they count for other triggers.
    pub(super) lately: VecDeque<Passed>,
}

/// How a series begins after a start; decided at the first tick with a believable clock.
#[derive(Debug, Clone)]
pub(super) enum Start {
    /// As it was stored.
    Usual,
    /// Something but its times changed.
    Edited,
    /// Its times changed: up to now the stored trigger decides.
    Retimed(Arc<Trigger>),
    /// First seen: it has no past.
    Newborn,
    /// No longer in the configuration: decided up to now, nothing runs, then closed.
    Removed,
}

impl Series {
    pub(super) fn new(
        definition: Arc<Definition>,
        trigger: Arc<Trigger>,
        cursor: Timestamp,
        start: Start,
    ) -> Self {
        let born = match start {
            Start::Newborn => cursor,
            _ => Timestamp::MIN,
        };
        Self {
            definition,
            trigger,
            cursor,
            born,
            start,
            live: BTreeSet::new(),
            lost: Vec::new(),
            occupied_told: false,
            blocked: None,
            quarantined: false,
            paused: false,
            passed: VecDeque::new(),
            lately: VecDeque::new(),
        }
    }

    pub(super) fn id(&self) -> &SeriesId {
        &self.definition.series
    }

    /// Until when the job of a lost run may live, if one may.
    pub(super) fn occupied_until(&self) -> Option<Timestamp> {
        self.lost.iter().map(|(_, until)| *until).max()
    }

    /// Whether an occurrence at this instant has been decided.
    pub(super) fn has_decided(&self, instant: Timestamp) -> bool {
        instant > self.born && instant <= self.cursor
    }
}

impl Scheduler {
    /// Decides what is due by now, in all series; what is more than `most` occurrences waits for the next step.
    pub(super) fn plan_due(&mut self, most: u64, now: Now) {
        if self.clock.doubtful() {
            return;
        }
        self.upcoming.extend(self.held.drain(..));
        self.walked = 0;
        while self.walked < most
            && let Some(&(at, index)) = self.upcoming.first()
            && at <= now.wall
        {
            self.upcoming.pop_first();
            if self.waits_for_list(index, at, now) {
                self.held.push((at, index));
                continue;
            }
            match std::mem::replace(&mut self.series[index].start, Start::Usual) {
                Start::Usual | Start::Edited if self.as_of_start(at, now) => {
                    // Judged as of the start: waiting for the list makes nothing late.
                    self.plan_series(index, self.start_on_clock(now), now);
                }
                Start::Usual | Start::Edited => self.plan_series(index, now.wall, now),
                Start::Retimed(former) => self.retime(index, former, now),
                Start::Newborn => self.begin(index, now),
                Start::Removed => self.close(index, now),
            }
        }
        let ranged = std::mem::take(&mut self.ranged);
        if self.held.is_empty() && !self.past_is_due(now) {
            return self.mark_moves(now);
        }
        // What a range of missed times covers has no identity on record, and the mark stands still: the cursor says it.
        for (index, upto) in ranged {
            self.store_cursor(index, upto);
        }
    }

    /// Whether times that passed wait for the next step, since there are so many.
    pub(super) fn past_is_due(&self, now: Now) -> bool {
        self.upcoming.first().is_some_and(|(at, _)| *at <= now.wall)
    }

    /// Times that passed before the start are decided after the job list was read once, since a database that was
    /// restored from a copy does not know what ran; but not much later than without it.
    fn waits_for_list(&self, index: usize, at: Timestamp, now: Now) -> bool {
        let series = &self.series[index];
        let has_past = matches!(
            series.start,
            Start::Usual | Start::Edited | Start::Retimed(_)
        );
        has_past && at <= self.started.wall && now.mono < self.hold_until() && !self.swept(index)
    }

    /// Whether a time is judged as of the start: one that waited for the list, or is decided at once.
    fn as_of_start(&self, at: Timestamp, now: Now) -> bool {
        let soon = self.hold_until().plus(Duration::from_secs(1));
        at <= self.started.wall && now.mono <= soon
    }

    /// When the start was. A clock that was put forward since was behind at the start: what it was late by then counts.
    fn start_on_clock(&self, now: Now) -> Timestamp {
        let by_present_clock = earlier(now.wall, now.mono.since(self.started.mono));
        self.started.wall.max(by_present_clock).min(now.wall)
    }

    /// Whether the job list of a series' connection was read after the start.
    fn swept(&self, index: usize) -> bool {
        let connection = self.find_connection(&self.series[index].definition);
        connection.is_none_or(|c| self.connections[c].lookups.swept())
    }

    /// Until when times before the start wait for the job lists.
    pub(super) fn hold_until(&self) -> Mono {
        self.started.mono.plus(HOLD)
    }

    /// Decides (cursor, upto] and remembers what comes next.
    fn plan_series(&mut self, index: usize, upto: Timestamp, now: Now) {
        let plan = self.plan(index, upto, now);
        self.walked += plan.walked;
        let (next, broken) = (plan.next, plan.broken);
        self.carry_out(index, plan, upto, now);
        match broken {
            Some(at) => self.quarantine(index, at, now),
            None => self.upcoming.extend(next.map(|o| (o.instant, index))),
        }
    }

    /// Its times changed while nobody watched: the stored trigger decides up to the start, the new one what follows.
    fn retime(&mut self, index: usize, former: Arc<Trigger>, now: Now) {
        let upto = self.start_on_clock(now).max(self.series[index].cursor);
        let new = std::mem::replace(&mut self.series[index].trigger, former);
        let plan = self.plan(index, upto, now);
        self.walked += plan.walked;
        self.carry_out(index, plan, upto, now);
        self.series[index].trigger = new;
        self.begin_after(index, upto);
    }

    /// From now on; nothing before this moment will run.
    fn begin(&mut self, index: usize, now: Now) {
        // The mark counts for every series, also while the clock is behind it.
        let from = now.wall.max(self.mark);
        self.series[index].born = from;
        self.begin_after(index, from);
    }

    fn begin_after(&mut self, index: usize, from: Timestamp) {
        self.series[index].cursor = from;
        let next = self.series[index].trigger.after(from);
        self.upcoming.extend(next.map(|o| (o.instant, index)));
        self.store_cursor(index, from);
    }

    pub(super) fn store_cursor(&mut self, index: usize, upto: Timestamp) {
        self.step.changes.push(Change::Cursor {
            series: self.series[index].id().clone(),
            upto,
            definition: Arc::clone(&self.series[index].definition),
        });
    }

    /// It is no longer in the configuration: what passed is on record and does not run.
    pub(super) fn close(&mut self, index: usize, now: Now) {
        let mut plan = self.plan(index, now.wall, now);
        self.walked += plan.walked;
        let passed = std::mem::take(&mut plan.runs);
        plan.skips
            .extend(passed.into_iter().map(|(o, _)| (o, SkipReason::Missed)));
        self.pass_over(index, &plan, now);
        self.step.changes.push(Change::Closed {
            series: self.series[index].id().clone(),
            // The clock may have been set back behind what is decided.
            upto: now.wall.max(self.series[index].cursor),
        });
        self.forget_acts(index);
    }

    fn mark_moves(&mut self, now: Now) {
        let ahead = between(now.wall, self.mark).as_secs();
        self.mark = self.mark.max(now.wall);
        self.mark_ahead_told &= ahead > 0;
        if ahead > 120 && !self.mark_ahead_told {
            self.mark_ahead_told = true;
            self.tell(Notice {
                id: format!("clock:ahead:{}", self.mark),
                kind: NoticeKind::Clock,
                at: now.wall,
                schedule: None,
                run: None,
                subject: format!("everything up to {} is already decided", self.mark),
                body: format!(
                    "The clock says {}: it was set back, or it ran ahead before. Nothing fires again for times that \
                     are on record; schedules go on when the clock has caught up.",
                    now.wall
                ),
            });
        }
    }

    /// Decides (cursor, upto] of a series; wishes to skip that are fulfilled by it are no more.
    fn plan(&mut self, index: usize, upto: Timestamp, now: Now) -> Plan {
        let mut wishes = self.take_skips(index);
        let before = wishes.clone();
        let series = &self.series[index];
        let id = series.id();
        let decided = |o: &Occurrence| {
            self.decided.instants.contains(&(id.clone(), o.instant))
                || (o.clock_like && self.decided.civil.contains(&(id.clone(), o.civil, o.fold)))
                || self
                    .by_run
                    .contains_key(&RunId::planned(id.clone(), o.instant))
        };
        let mut aside = |o: &Occurrence| self.set_aside(id, &mut wishes, o);
        let plan = plan(
            &series.trigger,
            id,
            &series.definition.policies.misfire,
            series.cursor,
            upto,
            &decided,
            &mut aside,
        );
        self.keep_skips(index, before, wishes, upto.min(now.wall));
        plan
    }

    /// Makes runs and records of a plan.
    fn carry_out(&mut self, index: usize, plan: Plan, upto: Timestamp, now: Now) {
        self.series[index].cursor = upto;
        self.pass_over(index, &plan, now);
        self.remember_passed(index, &plan);
        if !plan.missed.is_empty() || !plan.aside.is_empty() {
            self.ranged.push((index, upto));
        }
        for (occurrence, origin) in plan.runs {
            self.decide(index, &occurrence, origin, now);
        }
    }

    /// One occurrence that may run: overlap says whether and how.
    fn decide(&mut self, index: usize, occurrence: &Occurrence, origin: Origin, now: Now) {
        let series = &self.series[index];
        if let Some(reason) = series.blocked {
            return self.skip(index, occurrence, reason, origin, now);
        }
        if self.observe {
            return self.skip(index, occurrence, SkipReason::Observed, origin, now);
        }
        let policy = series.definition.policies.overlap;
        let verdict = match origin {
            // Caught-up runs go one at a time in nominal order and are exempt from the policy.
            Origin::CaughtUp => Verdict::Wait,
            _ => policy.decide(self.busy(index)),
        };
        if let Verdict::Skip(reason) = verdict {
            self.skip(index, occurrence, reason, origin, now);
            if reason == SkipReason::PredecessorUnknown {
                self.tell_occupied(index, now);
            }
            return;
        }
        if verdict == Verdict::CancelOthers {
            self.cancel_others(index, now);
        }
        let mut run = self.new_run(index, occurrence, origin, now);
        run.beside = verdict == Verdict::Run && policy == OverlapPolicy::AllowAll;
        self.plan_run(run, None, now);
    }

    /// A run is planned: stored as `Pending` and queued.
    pub(super) fn plan_run(&mut self, run: Run, why: Option<String>, now: Now) -> Slot {
        let what = match run.origin {
            Origin::Planned => "planned",
            Origin::CaughtUp => "caught_up",
            Origin::Manual => "asked",
            Origin::Adopted => "adopted",
            Origin::Retried => "retried",
            Origin::Rerun => "rerun",
            Origin::Backfilled => "backfilled",
        };
        let record = born(&run, what, why, now);
        let slot = self.admit(run, now);
        self.store(
            slot,
            Applied {
                record: Some(record),
                notice: None,
            },
            now,
        );
        self.settle(slot, now);
        slot
    }

    pub(super) fn skip(
        &mut self,
        index: usize,
        occurrence: &Occurrence,
        reason: SkipReason,
        origin: Origin,
        now: Now,
    ) {
        let mut run = self.new_run(index, occurrence, origin, now);
        run.state = RunState::Finished(Outcome::Skipped(reason));
        run.finished = Some(now.wall);
        let record = born(&run, "skipped", Some(reason.to_string()), now);
        self.after.note(&run);
        self.step.changes.push(Change::Run {
            run: Box::new(run),
            record,
            at: now,
        });
    }

    /// What a plan passes over is on record, and told once.
    pub(super) fn pass_over(&mut self, index: usize, plan: &Plan, now: Now) {
        let (mut count, mut upto) = (0, Timestamp::MIN);
        for (occurrence, reason) in &plan.skips {
            self.skip(index, occurrence, *reason, Origin::Planned, now);
            if *reason == SkipReason::Missed {
                (count, upto) = (count + 1, upto.max(occurrence.instant));
            }
        }
        for &(range, bulk) in &plan.missed {
            (count, upto) = (count + bulk, upto.max(range.upto));
            self.pass_over_range(index, (range, bulk, SkipReason::Missed), now);
        }
        for &range in &plan.aside {
            self.pass_over_range(index, range, now);
        }
        if count > 0 {
            self.tell_missed(index, upto, count, now);
        }
    }

    fn pass_over_range(
        &mut self,
        index: usize,
        (range, count, reason): (TimeRange, u64, SkipReason),
        now: Now,
    ) {
        self.range_passed(index, range);
        self.step.changes.push(Change::Missed(Missed {
            series: self.series[index].id().clone(),
            range,
            count,
            reason,
            at: now.wall,
        }));
    }

    fn new_run(&self, index: usize, occurrence: &Occurrence, origin: Origin, now: Now) -> Run {
        let series = &self.series[index];
        Run::pending(
            RunId::planned(series.id().clone(), occurrence.instant),
            (occurrence.civil, occurrence.fold, series.trigger.zone()),
            series.trigger.due(series.id(), occurrence),
            origin,
            Arc::clone(&series.definition),
            now.wall,
            Arc::clone(&self.config),
        )
    }

    /// How busy a series is. What runs in the background is waited for, and no reason to be skipped.
    pub(super) fn busy(&self, index: usize) -> Busy {
        let series = &self.series[index];
        let on_time = || series.live.range(..BACKGROUND);
        let started = on_time()
            .filter(|slot| self.runs.get(slot).is_some_and(|l| l.run.attempt > 0))
            .count();
        Busy {
            started,
            waiting: on_time().count() - started,
            occupied: !series.lost.is_empty(),
        }
    }

    /// A newer run takes the place of all live ones.
    pub(super) fn cancel_others(&mut self, index: usize, now: Now) {
        let on_time = self.series[index].live.range(..BACKGROUND);
        for slot in on_time.copied().collect::<Vec<Slot>>() {
            self.apply(slot, Event::Cancel(CancelWhy::Superseded), now);
        }
    }

    /// Whether a run may start as far as its series goes.
    pub(super) fn has_turn(&self, slot: Slot) -> bool {
        let Some(live) = self.runs.get(&slot) else {
            return false;
        };
        let Some(index) = live.series else {
            return true;
        };
        let series = &self.series[index];
        if series.paused && !live.run.even_paused {
            return false;
        }
        if self.after.holds(slot) {
            return false;
        }
        let first = match slot < BACKGROUND {
            true => self.first_of(index) == Some(slot),
            false => self.background_has_turn(index, slot),
        };
        live.run.beside || (first && series.lost.is_empty() && self.is_alone(index, slot))
    }

    /// The first run of a series in the order of planning; one that waits for other schedules holds up nobody.
    pub(super) fn first_of(&self, index: usize) -> Option<Slot> {
        let mut live = self.series[index].live.iter();
        live.find(|slot| !self.after.holds(**slot)).copied()
    }

    /// The first run of its background.
    pub(super) fn first_in_background(&self, index: usize) -> Option<Slot> {
        let mut live = self.series[index].live.range(BACKGROUND..);
        live.find(|slot| !self.after.holds(**slot)).copied()
    }

    /// Whether a run in the background is the first of these, and nothing on time waits for its turn or runs that is not
    /// meant to be beside others.
    fn background_has_turn(&self, index: usize, slot: Slot) -> bool {
        let on_time = self.series[index].live.range(..BACKGROUND);
        let mut on_time = on_time
            .filter(|slot| !self.after.holds(**slot))
            .filter_map(|s| self.runs.get(s));
        self.first_in_background(index) == Some(slot) && on_time.all(|other| other.run.beside)
    }

    /// Whether no other run of the series is with the vendor that is not meant to be beside others. A job that turns up
    /// in a list may belong to a run that was planned later.
    fn is_alone(&self, index: usize, slot: Slot) -> bool {
        let others = self.series[index].live.iter().filter(|s| **s != slot);
        let mut runs = others.filter_map(|s| self.runs.get(s)).map(|l| &l.run);
        !runs.any(|run| run.in_flight() && !run.beside)
    }

    /// The series cannot be planned any more: its trigger gave a time that is not after the time asked.
    fn quarantine(&mut self, index: usize, at: Timestamp, now: Now) {
        self.series[index].quarantined = true;
        self.bugs += 1;
        let id = self.series[index].id().clone();
        self.tell(Notice {
            id: format!("{id}:quarantine:{at}"),
            kind: NoticeKind::Bug,
            at: now.wall,
            schedule: Some(id.schedule.clone()),
            run: None,
            subject: format!("{id} is not planned any more: its trigger does not advance after {at}"),
            body: "This is a bug in nightcall; please report the cron expression and the time zone. Other schedules \
                   go on."
                .to_owned(),
        });
    }

    fn tell_missed(&mut self, index: usize, upto: Timestamp, count: u64, now: Now) {
        let id = self.series[index].id().clone();
        let times = if count == 1 { "time" } else { "times" };
        self.tell(Notice {
            id: format!("{id}:missed:{upto}"),
            kind: NoticeKind::Missed,
            at: now.wall,
            schedule: Some(id.schedule.clone()),
            run: None,
            subject: format!("{id}: {count} {times} up to {upto} passed and will not run"),
            body: format!(
                "They were missed while nightcall did not run, or while the clock was wrong; the misfire policy does \
                 not run them.\nnext: nightcall why {id}@{upto}"
            ),
        });
    }

    fn tell_occupied(&mut self, index: usize, now: Now) {
        let series = &mut self.series[index];
        if std::mem::replace(&mut series.occupied_told, true) {
            return;
        }
        let id = series.id().clone();
        let until = series.occupied_until().unwrap_or(now.wall);
        self.tell(Notice {
            id: format!("{id}:occupied:{until}"),
            kind: NoticeKind::Occupied,
            at: now.wall,
            schedule: Some(id.schedule.clone()),
            run: None,
            subject: format!(
                "{id} is skipped until {until}: its last run is lost and its job may live"
            ),
            body: format!("Look at the job in CARTO.\nnext: nightcall why {id}"),
        });
    }
}

/// The first line of a run's story.
fn born(run: &Run, what: &'static str, why: Option<String>, now: Now) -> Record {
    Record {
        at: now.wall,
        what: Cow::Borrowed(what),
        state: Cow::Borrowed(run.state.word()),
        attempt: run.attempt,
        why,
        fault: None,
        job: run.job.clone(),
    }
}
