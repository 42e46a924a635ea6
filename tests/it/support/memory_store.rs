//! The reference store: what every store must do, in plain collections. The simulation runs on it, too.
//!
//! It has the same duties as a real one, save that it ends with the process.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightcall::sched::act::{Deed, Pause, Scope, Skip};
use nightcall::sched::id::{ConnectionName, RunId, RunKind, SeriesId};
use nightcall::sched::notice::Notice;
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::run::{Record, Run};
use nightcall::sched::schedule::Definition;
use nightcall::sched::step::{
    Change, ConnectionMemory, Decided, Missed, PASSED, Saved, SavedSeries,
};
use nightcall::sched::time::{Now, TimeRange, Timestamp, earlier, later};
use nightcall::store::outbox::{Outbox, Progress, ThreadName};
use nightcall::store::{Chore, Holder, Lease, Reply, RunQuery, Store, StoreError, Story};

const RECENT: Duration = Duration::from_secs(48 * 3600);

/// A store in memory. Clones are the same store; [`MemoryStore::copy`] makes another one.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryStore(Arc<Mutex<State>>);

#[derive(Clone, Debug, Default)]
struct State {
    instance: Option<String>,
    epoch: u64,
    held: Option<(Holder, Timestamp)>,
    mark: Option<Timestamp>,
    runs: BTreeMap<RunId, StoredRun>,
    /// Runs of `runs` that are not finished, so that a start does not read all of history.
    live: HashSet<RunId>,
    series: BTreeMap<SeriesId, Series>,
    missed: Vec<Missed>,
    /// With their numbers.
    notices: Vec<(u64, Notice)>,
    channels: BTreeMap<String, Progress>,
    threads: BTreeMap<(String, String), ThreadName>,
    told: HashSet<String>,
    connections: BTreeMap<ConnectionName, ConnectionMemory>,
    pauses: BTreeMap<Scope, Pause>,
    skips: BTreeMap<(SeriesId, String), Skip>,
    deeds: Vec<Deed>,
}

#[derive(Clone, Debug)]
struct StoredRun {
    run: Run,
    changed: Now,
    records: Vec<Record>,
}

#[derive(Clone, Debug)]
struct Series {
    cursor: Timestamp,
    definition: Arc<Definition>,
    open: bool,
}

impl MemoryStore {
    /// Another store with the same content, as a copy of a database file is.
    #[allow(dead_code)] // not each test binary copies one
    pub(crate) fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.state().clone())))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reply<'a, T: Send + 'a>(result: Result<T, StoreError>) -> Reply<'a, T> {
    Box::pin(ready(result))
}

impl Store for MemoryStore {
    fn instance(&self, wanted: Option<String>) -> Reply<'_, String> {
        let mut state = self.state();
        if wanted.is_some() || state.instance.is_none() {
            state.instance = Some(wanted.unwrap_or_else(|| "nc-memory".to_owned()));
        }
        reply(Ok(state.instance.clone().unwrap_or_default()))
    }

    fn acquire(&self, holder: Holder, trust: Duration, now: Timestamp) -> Reply<'_, Lease> {
        let mut state = self.state();
        let other = state
            .held
            .as_ref()
            .filter(|(h, until)| *h != holder && *until > now);
        if other.is_some() {
            return reply(Err(state.fenced()));
        }
        state.epoch += 1;
        state.held = Some((holder, later(now, trust)));
        reply(Ok(Lease {
            epoch: state.epoch,
            until: later(now, trust),
        }))
    }

    fn renew(&self, lease: Lease, trust: Duration, now: Timestamp) -> Reply<'_, Lease> {
        let mut state = self.state();
        let until = later(now, trust);
        let renewed = state.guard(&lease).map(|()| {
            if let Some(held) = &mut state.held {
                held.1 = until;
            }
            Lease {
                epoch: lease.epoch,
                until,
            }
        });
        reply(renewed)
    }

    fn release(&self, lease: Lease) -> Reply<'_, ()> {
        let mut state = self.state();
        let released = state.guard(&lease).map(|()| state.held = None);
        reply(released)
    }

    fn load(&self) -> Reply<'_, Saved> {
        reply(Ok(self.state().saved()))
    }

    fn commit(&self, lease: Lease, changes: Vec<Change>) -> Reply<'_, Vec<Change>> {
        let mut state = self.state();
        let checked = state.guard(&lease).and_then(|()| state.check(&changes));
        reply(checked.map(|()| {
            changes
                .iter()
                .cloned()
                .for_each(|change| state.apply(change));
            changes
        }))
    }

    fn runs(&self, query: RunQuery) -> Reply<'_, Vec<Run>> {
        reply(Ok(self.state().find(&query)))
    }

    fn story(&self, run: RunId) -> Reply<'_, Option<Story>> {
        let state = self.state();
        let story = state.runs.get(&run).map(|stored| Story {
            run: stored.run.clone(),
            records: stored.records.clone(),
            notices: state
                .notices
                .iter()
                .filter(|(_, n)| n.run.as_ref() == Some(&run))
                .map(|(_, n)| n.clone())
                .collect(),
        });
        reply(Ok(story))
    }

    fn missed(&self, series: Option<SeriesId>, range: TimeRange) -> Reply<'_, Vec<Missed>> {
        let state = self.state();
        let mut found: Vec<Missed> = state
            .missed
            .iter()
            .filter(|m| series.as_ref().is_none_or(|s| *s == m.series))
            .filter(|m| m.range.after < range.upto && m.range.upto > range.after)
            .cloned()
            .collect();
        found.sort_by(|a, b| (a.range.after, &a.series).cmp(&(b.range.after, &b.series)));
        reply(Ok(found))
    }

    fn deeds(&self, range: TimeRange) -> Reply<'_, Vec<Deed>> {
        let state = self.state();
        let within = |deed: &&Deed| deed.at > range.after && deed.at <= range.upto;
        let mut found: Vec<Deed> = state.deeds.iter().filter(within).cloned().collect();
        found.sort_by_key(|deed| deed.at);
        reply(Ok(found))
    }

    fn maintain(&self, chore: Chore) -> Reply<'_, u64> {
        reply(match chore {
            Chore::Prune {
                before,
                per_series,
                step,
            } => Ok(self.state().prune(before, per_series, step)),
            Chore::Checkpoint => Ok(0),
            Chore::Backup(to) => Err(StoreError::Unavailable(format!(
                "{}: a store in memory cannot be copied to a file",
                to.display()
            ))),
        })
    }
}

impl Outbox for MemoryStore {
    fn channel(&self, name: String) -> Reply<'_, Progress> {
        let mut state = self.state();
        let new = Progress {
            upto: state.newest_notice(),
            ..Progress::default()
        };
        reply(Ok(state.channels.entry(name).or_insert(new).clone()))
    }

    fn notices(&self, after: u64, most: usize) -> Reply<'_, Vec<(u64, Notice)>> {
        let state = self.state();
        let later = state.notices.iter().filter(|(number, _)| *number > after);
        reply(Ok(later.take(most).cloned().collect()))
    }

    fn waiting(&self, after: u64) -> Reply<'_, u64> {
        let state = self.state();
        let later = state.notices.iter().filter(|(number, _)| *number > after);
        reply(Ok(later.count() as u64))
    }

    fn thread(&self, channel: String, thread: String) -> Reply<'_, Option<String>> {
        let state = self.state();
        let known = state.threads.get(&(channel, thread));
        reply(Ok(known.map(|known| known.name.clone())))
    }

    fn settle(
        &self,
        channel: String,
        progress: Progress,
        thread: Option<ThreadName>,
    ) -> Reply<'_, ()> {
        let mut state = self.state();
        if let Some(thread) = thread {
            let key = (channel.clone(), thread.thread.clone());
            state.threads.insert(key, thread);
        }
        let upto = state.channels.get(&channel).map_or(0, |before| before.upto);
        let progress = Progress {
            upto: progress.upto.max(upto),
            ..progress
        };
        state.channels.insert(channel, progress);
        reply(Ok(()))
    }

    fn keep_channels(&self, names: Vec<String>) -> Reply<'_, ()> {
        let mut state = self.state();
        state.channels.retain(|name, _| names.contains(name));
        state.threads.retain(|(name, _), _| names.contains(name));
        reply(Ok(()))
    }
}

impl State {
    fn fenced(&self) -> StoreError {
        let holder = match &self.held {
            Some((holder, _)) => format!("pid {} on {}", holder.pid, holder.host),
            None => "nobody any more, this lease was given back".to_owned(),
        };
        StoreError::Fenced { holder }
    }

    fn guard(&self, lease: &Lease) -> Result<(), StoreError> {
        match self.epoch == lease.epoch && self.held.is_some() {
            true => Ok(()),
            false => Err(self.fenced()),
        }
    }

    /// Finds the change that may not be made, before any is.
    fn check(&self, changes: &[Change]) -> Result<(), StoreError> {
        let mut ahead: HashMap<&RunId, &Run> = HashMap::new();
        for change in changes {
            let Change::Run { run, .. } = change else {
                continue;
            };
            let before = ahead
                .insert(&run.id, run)
                .or_else(|| self.runs.get(&run.id).map(|stored| &stored.run));
            if let Some(before) = before
                && (run.attempt < before.attempt
                    || before.outcome().is_some_and(|o| run.outcome() != Some(o)))
            {
                return Err(StoreError::Corrupt(format!(
                    "run {} is already finished or further on",
                    run.id
                )));
            }
        }
        Ok(())
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Run { run, record, at } => self.put_run(*run, record, at),
            Change::Missed(missed) => self.missed.push(missed),
            Change::Cursor {
                series,
                upto,
                definition,
            } => {
                let open = Series {
                    cursor: upto,
                    definition,
                    open: true,
                };
                self.series.insert(series, open);
            }
            Change::Closed { series, upto } => {
                if let Some(known) = self.series.get_mut(&series) {
                    known.cursor = upto;
                    known.open = false;
                }
            }
            Change::Notice(notice) => {
                if self.told.insert(notice.id.clone()) {
                    self.notices.push((self.newest_notice() + 1, notice));
                }
            }
            Change::Mark(mark) => self.mark = self.mark.max(Some(mark)),
            Change::Connection { name, memory } => {
                self.connections.insert(name, memory);
            }
            Change::Paused(pause) => {
                self.pauses.insert(pause.scope.clone(), pause);
            }
            Change::Resumed(scope) => {
                self.pauses.remove(&scope);
            }
            Change::Skip(skip) => {
                self.skips
                    .insert((skip.series.clone(), skip.what.key()), skip);
            }
            Change::Unskip(series, what) => {
                self.skips.remove(&(series, what.key()));
            }
            Change::Acted(deed) => self.deeds.push(deed),
        }
    }

    fn put_run(&mut self, run: Run, record: Record, at: Now) {
        match run.outcome() {
            None => self.live.insert(run.id.clone()),
            Some(_) => self.live.remove(&run.id),
        };
        match self.runs.get_mut(&run.id) {
            Some(stored) => {
                stored.run = run;
                stored.changed = at;
                stored.records.push(record);
            }
            None => {
                let stored = StoredRun {
                    run,
                    changed: at,
                    records: vec![record],
                };
                self.runs.insert(stored.run.id.clone(), stored);
            }
        }
    }

    fn saved(&self) -> Saved {
        let open = self.series.iter().filter(|(_, series)| series.open);
        let mut live: Vec<&StoredRun> = self.live.iter().map(|id| &self.runs[id]).collect();
        live.sort_by(|a, b| by_time(&a.run, &b.run));
        let mut lost: Vec<&Run> = self.all().filter(|run| self.may_live(run)).collect();
        lost.sort_by(|a, b| by_time(a, b));
        let known = |run: &&Run| self.is_recent(run) || self.ended_lately(run);
        let mut recent: Vec<&Run> = self.all().filter(known).collect();
        recent.sort_by(|a, b| by_time(a, b));
        Saved {
            mark: self.mark,
            series: open
                .map(|(id, series)| SavedSeries {
                    series: id.clone(),
                    cursor: series.cursor,
                    definition: Arc::clone(&series.definition),
                })
                .collect(),
            live: live
                .iter()
                .map(|stored| (stored.run.clone(), stored.changed))
                .collect(),
            lost: lost.into_iter().cloned().collect(),
            recent: recent
                .into_iter()
                .map(|run| Decided {
                    run: run.id.clone(),
                    civil: run.civil,
                    fold: run.fold,
                })
                .collect(),
            connections: self
                .connections
                .iter()
                .map(|(name, memory)| (name.clone(), memory.clone()))
                .collect(),
            pauses: self.pauses.values().cloned().collect(),
            skips: self.skips.values().cloned().collect(),
            passed: self.passed(),
        }
    }

    /// Of each open series that is paused the newest occurrences that passed and have no later generation.
    fn passed(&self) -> Vec<Decided> {
        let mut all = Vec::new();
        for id in self.series.iter().filter(|(_, s)| s.open).map(|(id, _)| id) {
            let of_series = self.pauses.values().filter(|pause| pause.scope.holds(id));
            let Some(since) = of_series.map(|pause| pause.since).min() else {
                continue;
            };
            let later = |run: &Run| {
                self.all().any(|other| {
                    let same = (&other.id.series, other.id.instant) == (id, run.id.instant);
                    same && matches!(other.id.kind, RunKind::Generation(1..))
                })
            };
            let mut found: Vec<&Run> = self
                .all()
                .filter(|run| run.id.series == *id && run.id.kind == RunKind::Generation(0))
                .filter(|run| run.outcome() == Some(Outcome::Skipped(SkipReason::Paused)))
                .filter(|run| run.id.instant > since && !later(run))
                .collect();
            found.sort_by(|a, b| by_time(a, b));
            let surplus = found.len().saturating_sub(PASSED);
            all.extend(found.into_iter().skip(surplus).map(|run| Decided {
                run: run.id.clone(),
                civil: run.civil,
                fold: run.fold,
            }));
        }
        all
    }

    /// A later generation that ended in the last two days.
    fn ended_lately(&self, run: &Run) -> bool {
        let since = self.mark.map(|mark| earlier(mark, RECENT));
        let later = matches!(run.id.kind, RunKind::Generation(1..));
        let ended = run.outcome().filter(|_| later);
        let ended = ended.map(|_| run.finished.unwrap_or(run.planned));
        ended.is_some_and(|ended| since.is_none_or(|since| ended >= since))
    }

    fn all(&self) -> impl Iterator<Item = &Run> {
        self.runs.values().map(|stored| &stored.run)
    }

    /// A lost run whose job may still live, for all that the mark tells.
    fn may_live(&self, run: &Run) -> bool {
        let since = self.mark.map(|mark| earlier(mark, RECENT));
        let unknown = run.outcome() == Some(Outcome::Lost) && run.resolved.is_none();
        unknown && since.is_none_or(|since| run.may_live_until() > since)
    }

    fn is_recent(&self, run: &Run) -> bool {
        let since = self.mark.map(|mark| earlier(mark, RECENT));
        since.is_none_or(|since| run.id.instant >= since || run.planned >= since)
    }

    fn find(&self, query: &RunQuery) -> Vec<Run> {
        let mut found: Vec<&Run> = self
            .all()
            .filter(|run| {
                let id = &run.id;
                query
                    .schedule
                    .as_ref()
                    .is_none_or(|s| *s == id.series.schedule)
                    && query.set.as_ref().is_none_or(|s| *s == id.series.set)
                    && query.since.is_none_or(|t| id.instant >= t)
                    && query.until.is_none_or(|t| id.instant <= t)
                    && query.state.as_ref().is_none_or(|word| {
                        run.state.word() == word || run.outcome().is_some_and(|o| o.word() == word)
                    })
            })
            .collect();
        found.sort_by(|a, b| by_time(a, b));
        let surplus = found
            .len()
            .saturating_sub(query.limit.unwrap_or(usize::MAX));
        found.drain(..surplus);
        found.into_iter().cloned().collect()
    }

    fn prune(&mut self, before: Timestamp, per_series: u64, step: usize) -> u64 {
        let mut free: Vec<&Run> = self
            .all()
            .filter(|run| run.outcome().is_some())
            .filter(|run| !self.is_recent(run) && !self.may_live(run))
            .collect();
        free.sort_by(|a, b| by_time(a, b));
        let old = |run: &Run| run.finished.unwrap_or(run.planned) < before;
        let aged = free.iter().filter(|run| old(run));
        let crowded = free
            .iter()
            .filter(|run| !old(run) && self.newer_in_series(run) >= per_series);
        let gone: Vec<RunId> = aged
            .chain(crowded)
            .take(step)
            .map(|run| run.id.clone())
            .collect();
        let mut touched = gone.len() as u64;
        for id in &gone {
            self.runs.remove(id);
        }
        let runs = &self.runs;
        let mut left = step;
        let settled = self.channels.values().map(|progress| progress.upto).min();
        let told = settled
            .unwrap_or(u64::MAX)
            .min(self.newest_notice().saturating_sub(1));
        self.notices.retain(|(number, notice)| {
            if *number > told {
                return true;
            }
            let of_gone = notice.run.as_ref().is_some_and(|run| gone.contains(run));
            let loose = notice
                .run
                .as_ref()
                .is_none_or(|run| !runs.contains_key(run));
            let aged = loose && notice.at < before && left > 0;
            if of_gone || aged {
                left -= usize::from(!of_gone);
                self.told.remove(&notice.id);
                touched += 1;
            }
            !(of_gone || aged)
        });
        let mut left = step;
        self.missed.retain(|missed| {
            let aged = missed.at < before && left > 0;
            left -= usize::from(aged);
            touched += u64::from(aged);
            !aged
        });
        let mut left = step;
        let mut aged: Vec<usize> = (0..self.deeds.len())
            .filter(|n| self.deeds[*n].at < before)
            .collect();
        aged.sort_by_key(|n| self.deeds[*n].at);
        aged.truncate(step);
        touched += aged.len() as u64;
        let mut place = 0;
        self.deeds.retain(|_| {
            place += 1;
            !aged.contains(&(place - 1))
        });
        self.series.retain(|_, series| {
            let aged = !series.open && series.cursor < before && left > 0;
            left -= usize::from(aged);
            touched += u64::from(aged);
            !aged
        });
        touched
    }

    fn newest_notice(&self) -> u64 {
        self.notices.last().map_or(0, |(number, _)| *number)
    }

    fn newer_in_series(&self, run: &Run) -> u64 {
        self.all()
            .filter(|other| other.id.series == run.id.series && other.outcome().is_some())
            .filter(|other| by_time(other, run).is_gt())
            .count() as u64
    }
}

/// By instant, then by identity.
fn by_time(a: &Run, b: &Run) -> std::cmp::Ordering {
    (a.id.instant, &a.id).cmp(&(b.id.instant, &b.id))
}
