//! The ten invariants of the design and one more, and where each is asserted. *Step* is after every step, *request* before a request
//! leaves, *made* when the vendor makes a job, *some* after one step in several (looking costs as much as there are live
//! runs), *end* after the calm.
//!
//! | | invariant | asserted |
//! |---|---|---|
//! | 1 | every occurrence is on record exactly once | step (`ledger.rs`, up to each mark), counts of ranges at the end |
//! | 2 | one submission makes one job; no second job of a run, or beside one of its series | made, end (the world's own account) |
//! | 3 | no request without a stored intent, before its commit, or without the lease | request |
//! | 4 | a series under `skip` never has two live runs | step, some |
//! | 5 | finished is final, times never go back, no cursor passes an undecided occurrence | step (`store.rs`, `ledger.rs`) |
//! | 6 | nothing fires that no schedule and nobody announced | step (`ledger.rs`), step for requests by hand |
//! | 7 | after a crash the same comes out | `crashes.rs`, nights with kills and without them; step for doubts (`doubts.rs`) |
//! | 8 | each finished run that wants a notice has exactly one, of the same step | step, end |
//! | 9 | bounds: runs in flight, questions under way, requests a minute, list calls, busy loops | request, some |
//! | 10 | no secret in what is stored or told | step (words for people), end of some nights (everything) |
//! | 11 | nothing starts before what it comes after has ended as wanted | request (`after.rs`) |
//!
//! And *liveness*: once nothing goes wrong any more, everything ends within `bounds.rs`.
//!
//! Where a vendor breaks what proof rests on, less is claimed: if it drops a job that nobody knows of yet, or its words
//! for how a job ended cannot be read, a second job of that run is nobody's fault; how a run *really* ended is compared
//! only where words are honest. *Never twice* holds in all other nights, also where lists are forbidden, cut, late or
//! without markers.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use nightcall::sched::act::SkipWhat;
use nightcall::sched::id::{ClientKey, RunId, RunKind};
use nightcall::sched::notice::{Notice, NoticeKind};
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::policy::{CatchUp, OverlapPolicy};
use nightcall::sched::run::{Origin, Record, Run, RunState};
use nightcall::sched::scheduler::Snapshot;
use nightcall::sched::step::{Ask, Change, Effect};
use nightcall::sched::time::{Timestamp, earlier};

use super::planted::Planted;
use super::play::Play;
use super::tokens::SECRETS;
use super::wording::host_of;
use crate::setup::{INSTANCE, secs};

/// Fails with the number of the invariant.
#[track_caller]
pub(super) fn hold(number: u8, holds: bool, what: impl FnOnce() -> String) {
    assert!(holds, "invariant {number}: {}", what());
}

/// What is remembered between checks of one night.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Keys of requests by hand.
    pub(super) asked: HashSet<ClientKey>,
    /// Runs that somebody wanted to run again.
    pub(super) again: HashSet<RunId>,
    /// Somebody resumed with the wish to catch up.
    pub(super) caught_up: bool,
    /// Submissions that left, by run and attempt; emptied when an old copy takes over.
    pub(super) submitted: HashSet<(RunId, u32)>,
    idle_wakes: u32,
}

impl Play<'_> {
    /// Invariants 4, 6, 8 and 10 over what a step says.
    pub(super) fn check_changes(&mut self, changes: &[Change]) {
        let told = || {
            changes.iter().filter_map(|c| match c {
                Change::Notice(notice) => Some(notice),
                _ => None,
            })
        };
        for (index, change) in changes.iter().enumerate() {
            if let Change::Run { run, record, .. } = change {
                self.check_new(run, &changes[..index]);
                check_words(record);
                if let (Some(outcome), "finished") = (run.outcome(), record.what.as_ref()) {
                    check_told(run, outcome, told());
                }
            }
        }
        told().for_each(|notice| {
            no_secret(&notice.subject);
            no_secret(&notice.body);
        });
    }

    /// A run that is planned now, after other changes: asked for, and alone where its policy says so.
    fn check_new(&self, run: &Run, before: &[Change]) {
        if self.store.runs.contains_key(&run.id) {
            return;
        }
        if let RunKind::Manual(key) = &run.id.kind {
            hold(6, self.memory.asked.contains(key), || {
                format!("{} was asked for by nobody", run.id)
            });
        }
        self.check_late(run);
        self.check_wishes(run, before);
        let alone = run.definition.policies.overlap == OverlapPolicy::Skip
            && run.origin == Origin::Planned
            && run.state == RunState::Pending;
        if alone {
            let changed = before.iter().filter_map(|change| match change {
                Change::Run { run, .. } => Some(&**run),
                _ => None,
            });
            let runs = self.store.live_rows().map(|row| &row.run).chain(changed);
            let of_series = runs.filter(|other| other.id.series == run.id.series);
            // What runs in the background is waited for.
            let of_series = of_series.filter(|other| !other.origin.is_background());
            // As the last change of each left it.
            let now: BTreeMap<_, _> = of_series
                .map(|other| (&other.id, other.outcome()))
                .collect();
            let other = now.iter().find(|(_, outcome)| outcome.is_none());
            hold(4, other.is_none(), || {
                format!("{} is planned while {other:?} is live", run.id)
            });
        }
    }

    /// What was missed runs only as the misfire policy says; what is planned as on time is on time.
    fn check_late(&self, run: &Run) {
        if run.state != RunState::Pending || run.id.kind != RunKind::Generation(0) {
            return;
        }
        // Times before a start may wait for the job list for half a minute, and are judged as of the start.
        let held = secs(32);
        let policy = &run.definition.policies.misfire;
        let late = Duration::try_from(run.planned.duration_since(run.due)).unwrap_or_default();
        let (allowed, as_policy) = match run.origin {
            Origin::Planned => (policy.tolerance, true),
            Origin::CaughtUp => (policy.window, policy.catch_up != CatchUp::None),
            _ => return,
        };
        hold(6, as_policy && late <= allowed + held, || {
            format!(
                "{} is planned {late:?} late as {:?}, {policy:?}",
                run.id, run.origin
            )
        });
    }

    /// Later generations are wanted by somebody; what somebody wants skipped does not run.
    fn check_wishes(&self, run: &Run, before: &[Change]) {
        let id = &run.id;
        match id.kind {
            RunKind::Generation(0) => {}
            RunKind::Generation(number) => {
                let former = RunId {
                    kind: RunKind::Generation(number - 1),
                    ..id.clone()
                };
                let wanted = match run.origin {
                    Origin::Retried | Origin::Rerun | Origin::Backfilled => {
                        self.memory.again.contains(&former)
                    }
                    Origin::CaughtUp => self.memory.caught_up,
                    origin => origin == Origin::Adopted,
                };
                return hold(6, wanted, || format!("{id} was wanted by nobody"));
            }
            RunKind::Manual(_) => return,
        }
        let next = SkipWhat::Next(1).key();
        let wish = self.store.skips.get(&(id.series.clone(), next));
        let over = |change: &Change| matches!(change, Change::Unskip(series, SkipWhat::Next(_)) if *series == id.series);
        let wished = wish.is_some_and(|wish| wish.at < id.instant) && !before.iter().any(over);
        let runs = run.state == RunState::Pending && run.origin != Origin::Adopted;
        hold(6, !(wished && runs), || {
            format!("{id} was to be skipped: {wish:?}")
        });
    }

    /// Invariant 3: the intent is stored, and the lease is ours.
    pub(super) fn check_request(&mut self, effect: &Effect) {
        if self.night.planted == Planted::ForgetsIntent {
            return;
        }
        hold(3, !self.lease_is_lost(), || {
            "a request without the lease".to_owned()
        });
        let Effect::Ask { key, ask, .. } = effect else {
            return;
        };
        let row = self.store.runs.get(&key.run);
        let run = row.map(|row| &row.run);
        let Some(run) = run else {
            return hold(3, false, || format!("{} is not stored", key.run));
        };
        hold(3, key.attempt == run.attempt, || {
            format!("{key:?}, {run:?}")
        });
        let intended = match ask {
            Ask::Submit(submission) => {
                let marker = &submission.marker;
                let first = self.memory.submitted.insert((key.run.clone(), key.attempt));
                hold(2, first, || format!("{key:?} is submitted again"));
                hold(3, marker.instance == INSTANCE, || format!("{marker:?}"));
                // Judged as of its decision, at most a commit ago.
                let now = earlier(self.now().wall, self.night.line.commit);
                hold(6, run.failures > 0 || now <= run.start_deadline(), || {
                    format!("{} starts after its start deadline, at {now}", run.id)
                });
                self.check_occupied(run, now);
                self.check_after(run);
                let mut pauses = self.store.pauses.values();
                let paused = pauses.find(|pause| {
                    let over = pause.until.is_some_and(|until| until <= now);
                    pause.scope.holds(&key.run.series) && !over
                });
                hold(6, paused.is_none() || run.even_paused, || {
                    format!("{} is submitted while {paused:?}", run.id)
                });
                marker.run == key.run
                    && marker.attempt == run.attempt
                    && matches!(run.state, RunState::Submitting { .. })
            }
            Ask::Poll(_, job) => run.job.as_ref() == Some(job),
            Ask::Cancel(_, job) => {
                let cancelling = matches!(run.state, RunState::Cancelling { .. });
                run.job.as_ref() == Some(job) && cancelling
            }
        };
        hold(3, intended, || format!("{effect:?} of {run:?}"));
    }

    /// Invariant 4: a job of a lost run may live, and until then nothing of its series starts by itself.
    fn check_occupied(&self, run: &Run, now: Timestamp) {
        let alone = run.definition.policies.overlap != OverlapPolicy::AllowAll && !run.beside;
        if !alone || run.attempt > 1 || self.ledger.restored {
            return;
        }
        // A clock that ran ahead and was believed has set it free.
        let now = now.max(self.store.mark.unwrap_or(now));
        let of_series = self.store.runs.values().map(|row| &row.run);
        let of_series = of_series.filter(|other| other.id.series == run.id.series);
        let lost = of_series
            .filter(|other| other.outcome() == Some(Outcome::Lost) && other.resolved.is_none())
            .find(|other| other.may_live_until() > now);
        hold(4, lost.is_none(), || {
            format!("{} starts, and the job of {lost:?} may live", run.id)
        });
    }

    /// Invariant 9 before a request leaves: one question about a run at a time, the budget, the list.
    pub(super) fn check_pace(&mut self, effect: &Effect) {
        let (t, restored) = (self.t, self.ledger.restored);
        let connections = &self.config.connections;
        let budget: u32 = connections
            .iter()
            .map(|c| c.requests_per_minute)
            .min()
            .unwrap_or(60);
        let open = self.courier.open();
        // After a move each connection has a former address beside the present one.
        let live = self.store.live_count() + connections.len() * 2;
        let Some(daemon) = &mut self.daemon else {
            return;
        };
        let sent = daemon.sent.entry(host_of(effect)).or_default();
        sent.push_back(t);
        while sent.front().is_some_and(|sent| *sent + secs(60) <= t) {
            sent.pop_front();
        }
        let sent = sent.len();
        // Another budget holds only from a start on.
        hold(9, sent <= budget as usize, || {
            format!("{sent} requests in a minute, {budget} allowed")
        });
        hold(9, open <= live || restored, || {
            format!("{open} questions for {live} runs")
        });
        if let Effect::List { key, .. } = effect {
            let lists = daemon
                .lists
                .entry((key.connection.clone(), host_of(effect)))
                .or_default();
            lists.push_back(t);
            while lists.front().is_some_and(|asked| *asked + secs(60) <= t) {
                lists.pop_front();
            }
            // A pair in ten seconds; on a connection that comes and goes one in five, since a list is what tries it.
            let most = 26;
            hold(9, lists.len() <= most, || {
                format!("{} list calls in a minute", lists.len())
            });
        }
    }

    /// Invariant 9: who is woken in vain does not ask to be woken at once.
    pub(super) fn check_progress(&mut self, idle: bool) {
        let again = self.wake_at().is_some_and(|at| at <= self.t);
        self.memory.idle_wakes = match idle && again {
            true => self.memory.idle_wakes + 1,
            false => 0,
        };
        let wakes = self.memory.idle_wakes;
        hold(9, wakes < 3, || format!("a busy loop at {:?}", self.now()));
    }

    /// Invariants 4 and 9 over the whole, now and then.
    pub(super) fn check_state(&self, snapshot: &Snapshot) {
        let bugs: Vec<_> = self
            .store
            .notices
            .iter()
            .filter(|n| n.kind == NoticeKind::Bug)
            .collect();
        hold(5, snapshot.bugs == 0 && snapshot.stopped.is_empty(), || {
            format!("{bugs:?}")
        });
        for connection in &snapshot.connections {
            let within = connection.in_flight <= connection.max_in_flight;
            hold(
                9,
                within || self.ledger.restored || self.limits_changed,
                || format!("{connection:?}"),
            );
        }
        let mut busy: BTreeMap<_, Vec<&Run>> = BTreeMap::new();
        for row in self.store.live_rows() {
            if row.run.in_flight() && !row.run.beside {
                busy.entry(&row.run.id.series).or_default().push(&row.run);
            }
        }
        for (series, runs) in busy {
            let policy = runs[0].definition.policies.overlap;
            // What an older database does not know may be any number of jobs.
            let one = runs.len() == 1 || self.ledger.restored || policy == OverlapPolicy::AllowAll;
            hold(4, one, || {
                format!("{series} has two runs with the vendor: {runs:#?}")
            });
        }
        let live: usize = snapshot.live.values().sum();
        let stored = self.store.live_count();
        hold(9, live == stored, || {
            format!("{live} live runs, {stored} in the store")
        });
    }
}

/// Invariant 8: exactly the notice that the outcome wants.
pub(super) fn check_told<'a>(
    run: &Run,
    outcome: Outcome,
    notices: impl Iterator<Item = &'a Notice>,
) {
    let wanted = match outcome {
        Outcome::Succeeded => None,
        Outcome::Failed => Some(NoticeKind::Failed),
        Outcome::TimedOut => Some(NoticeKind::TimedOut),
        Outcome::Cancelled => Some(NoticeKind::Cancelled),
        Outcome::Lost => Some(NoticeKind::Lost),
        Outcome::Skipped(SkipReason::StartDeadline | SkipReason::PredecessorAwaited) => {
            Some(NoticeKind::Late)
        }
        Outcome::Skipped(_) => None,
    };
    let id = format!("{}:finished", run.id);
    let told: Vec<NoticeKind> = notices.filter(|n| n.id == id).map(|n| n.kind).collect();
    hold(8, told.iter().copied().eq(wanted), || {
        format!("{} is {outcome:?}, told {told:?}", run.id)
    });
}

/// Invariant 10 over the words of a record.
fn check_words(record: &Record) {
    record.why.as_deref().into_iter().for_each(no_secret);
    if let Some(fault) = &record.fault {
        no_secret(&fault.message);
        no_secret(&fault.reason);
        fault.remedy.as_deref().into_iter().for_each(no_secret);
    }
}

pub(super) fn no_secret(text: &str) {
    let found = SECRETS.iter().find(|secret| text.contains(*secret));
    hold(10, found.is_none(), || format!("{found:?} can be read"));
}
