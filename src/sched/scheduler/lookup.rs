//! Looking for jobs in the vendor's list: runs in doubt, what an older database does not know, and whether the list
//! proves anything at all (docs/adr/0005).
//!
//! Invariant: absence counts as proven only by two lists that were asked for after the settle time with the vendor's
//! clock near ours, of which the wide one shows a job that is known to be there; and never while a list shows a job
//! that may be the missing one without its marker.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use super::clock::agrees;
use super::timers::{answer_limit, no_answer};
use super::{Scheduler, Slot};
use crate::sched::call::{ListedJob, Marker};
use crate::sched::fault::Fault;
use crate::sched::id::JobId;
use crate::sched::machine::Event;
use crate::sched::notice::{Notice, NoticeKind};
use crate::sched::policy::doubt::Finding;
use crate::sched::run::RunState;
use crate::sched::step::{Change, Effect, ListAnswer, ListKey};
use crate::sched::time::{Mono, Now, Timestamp, between, earlier, later};

/// At most one pair of list calls in this time.
const PAIR_EVERY: Duration = Duration::from_secs(10);
/// How far before the intent a list begins: clocks differ.
pub(super) const BEFORE: Duration = Duration::from_secs(120);
/// How often proof that the list can be read is renewed.
const PROOF_EVERY: Duration = Duration::from_secs(24 * 3600);
/// The same while the clock is in doubt.
const PROOF_IN_DOUBT: Duration = Duration::from_secs(60);
/// So often the list is asked for in vain before runs go without it: after a start, or in doubt …
const TRIES: u32 = 3;
/// … and for so long when nothing but "out of service" was heard of the whole connection meanwhile: while nothing else is
/// to be asked, nobody can tell the list from the connection.
const OUT_FOR: Duration = Duration::from_secs(15 * 60);

/// What a connection wants to know from the job list.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    /// Runs in doubt.
    pub(super) doubts: BTreeSet<Slot>,
    sweep: Sweep,
    /// Every occurrence up to here was on record when the reading was asked for.
    pub(super) known: Timestamp,
    /// When the list is to be proven readable.
    proof: Option<Mono>,
    /// Not before.
    not_before: Option<Mono>,
    asked: Option<Asked>,
    narrow: Option<Narrow>,
    /// Whether the list could be read when it was last asked for.
    pub(super) readable: Option<bool>,
    vain: Vain,
    /// Another call of the connection was answered since the list was last asked for in vain.
    others_answered: bool,
    /// Another call that waits goes first: the list was the last to fail.
    pub(super) yields: bool,
}

/// How often in a row the list was asked for in vain, after a start or because of runs in doubt.
#[derive(Debug, Default)]
struct Vain {
    /// While the connection works.
    alone: u32,
    /// Since when the connection is out of service, as far as is known.
    out: Option<Mono>,
}

impl Vain {
    /// Takes in one more.
    fn count(&mut self, fault: Option<&Fault>, others_answered: bool, now: Mono) {
        use crate::sched::fault::ConnectionFault::{
            TooMany, Unauthorized, Unavailable, Unreachable,
        };
        match fault.and_then(Fault::connection) {
            None | Some(Unauthorized) => self.alone += 1,
            // That nothing reaches the host holds for every call, and for submissions.
            Some(Unreachable) => {}
            Some(Unavailable | TooMany) if others_answered => self.alone += 1,
            Some(Unavailable | TooMany) => {
                self.out.get_or_insert(now);
            }
        }
    }
}

/// The one reading of the list after a start, before the first submission.
#[derive(Debug, Default)]
enum Sweep {
    /// Since then, by our clock or by the vendor's.
    Due { since: Timestamp, by_vendor: bool },
    #[default]
    Done,
}

impl Sweep {
    /// It was read; once more, from earlier on, when our clock turns out to be ahead of the one that dates jobs.
    fn read(&mut self, asked: &Asked, date: Option<Timestamp>, now: Now) {
        let ahead = date.map_or(Duration::ZERO, |date| between(date, now.wall));
        *self = match self {
            Self::Due {
                by_vendor: false, ..
            } if ahead >= BEFORE / 2 => Self::Due {
                since: earlier(asked.since, ahead),
                by_vendor: true,
            },
            _ => Self::Done,
        };
    }
}

#[derive(Debug, Clone)]
struct Asked {
    sequence: u64,
    kind: Kind,
    since: Timestamp,
    at: Mono,
    /// From when its time limit counts: later when the machine slept meanwhile.
    limit_from: Mono,
    pair: Mono,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Sweep,
    Narrow,
    Wide { anchor: JobId },
    Proof,
}

impl Kind {
    /// Whether it is asked because of runs in doubt; another list may begin after the intent, and so says nothing of
    /// them.
    fn of_doubts(&self) -> bool {
        matches!(self, Self::Narrow | Self::Wide { .. })
    }
}

/// A list that shows none of the jobs in doubt.
#[derive(Debug, Clone)]
struct Narrow {
    at: Mono,
    since: Timestamp,
    length: usize,
    /// The vendor's clock was near ours.
    dated: bool,
    /// Its jobs without a marker of ours.
    unmarked: Vec<ListedJob>,
}

impl Lookups {
    /// Asks for the reading after a start, or after a connection came; every occurrence up to `known` is on record.
    pub(super) fn sweep_since(&mut self, since: Timestamp, known: Timestamp) {
        self.known = known;
        self.sweep = Sweep::Due {
            since,
            by_vendor: false,
        };
    }

    /// Whether the reading after the start is done.
    pub(super) fn swept(&self) -> bool {
        matches!(self.sweep, Sweep::Done)
    }

    /// When the next list call wants to leave.
    pub(super) fn next(&self) -> Option<Mono> {
        if self.asked.is_some() {
            return None;
        }
        let earliest = self.not_before.unwrap_or(Mono(i64::MIN));
        if !self.swept() || !self.doubts.is_empty() {
            return Some(earliest);
        }
        self.proof.map(|at| at.max(earliest))
    }

    /// Another call of the connection came back, with an answer or with a fault of the connection.
    pub(super) fn other_tried(&mut self, answered: bool) {
        self.others_answered |= answered;
        self.yields = false;
    }

    /// Whether no list call is under way.
    pub(super) fn idle(&self) -> bool {
        self.asked.is_none()
    }

    fn proof_at(&mut self, at: Mono) {
        self.proof = Some(self.proof.map_or(at, |before| before.min(at)));
    }
}

impl Scheduler {
    /// Every connection is asked whether its list can be read: daily, and when our clock is in doubt.
    pub(super) fn ask_for_proof(&mut self, now: Now) {
        for connection in &mut self.connections {
            connection.lookups.proof_at(now.mono);
        }
    }

    /// A job was accepted, or found as it was made then: it is what later lists must show.
    pub(super) fn remember(&mut self, index: usize, job: JobId, made: Option<Timestamp>, now: Now) {
        let made = made.unwrap_or_else(|| self.clock.of_vendor(now));
        let connection = &mut self.connections[index];
        connection.memory.remember(job, made);
        let lag = connection.limits.list_lag;
        if connection.memory.proven.is_none() {
            connection.lookups.proof_at(now.mono.plus(lag));
        }
        self.store_memory(index);
    }

    fn store_memory(&mut self, index: usize) {
        let connection = &self.connections[index];
        // What was at a former target proves nothing at the present one.
        if self.connection_index(&connection.limits.name) != Some(index) {
            return;
        }
        self.step.changes.push(Change::Connection {
            name: connection.limits.name.clone(),
            memory: connection.memory.clone(),
        });
    }

    /// Sends the list call that is most wanted.
    pub(super) fn look_up(&mut self, index: usize, now: Now) {
        let sequence = self.sequence();
        let (kind, since) = self.next_list(index, now);
        let connection = &mut self.connections[index];
        let pair = match (&kind, &connection.lookups.narrow) {
            (Kind::Wide { .. }, Some(narrow)) => narrow.at,
            _ => now.mono,
        };
        connection.lookups.asked = Some(Asked {
            sequence,
            kind,
            since,
            at: now.mono,
            limit_from: now.mono,
            pair,
        });
        connection.circuit.sent(sequence, false, now.mono);
        let effect = Effect::List {
            key: ListKey {
                connection: connection.limits.name.clone(),
                sequence,
            },
            target: connection.limits.target.clone(),
            since,
        };
        self.push(effect);
    }

    fn next_list(&self, index: usize, now: Now) -> (Kind, Timestamp) {
        let connection = &self.connections[index];
        if let Sweep::Due { since, .. } = connection.lookups.sweep {
            return (Kind::Sweep, since);
        }
        let anchor_before = |t: Timestamp| {
            let mut known = connection.memory.accepted.iter().rev();
            known.find(|(_, at)| *at < t).cloned()
        };
        let Some(intent) = self.oldest_intent(index) else {
            let last = anchor_before(Timestamp::MAX).map_or(now.wall, |(_, at)| at);
            return (Kind::Proof, earlier(last, BEFORE));
        };
        if let Some(narrow) = &connection.lookups.narrow
            && let Some((anchor, at)) = anchor_before(narrow.since)
        {
            return (Kind::Wide { anchor }, earlier(at, BEFORE));
        }
        (Kind::Narrow, earlier(intent, BEFORE))
    }

    fn oldest_intent(&self, index: usize) -> Option<Timestamp> {
        let doubts = self.connections[index].lookups.doubts.iter();
        doubts
            .filter_map(|slot| match self.runs.get(slot)?.run.state {
                RunState::InDoubt { intent, .. } => Some(intent),
                _ => None,
            })
            .min()
    }

    /// When a list call that is under way is given up, if one is.
    pub(super) fn list_limit(&self, index: usize) -> Option<Mono> {
        let connection = &self.connections[index];
        let asked = connection.lookups.asked.as_ref()?;
        Some(
            asked
                .limit_from
                .plus(answer_limit(connection.limits.request_timeout)),
        )
    }

    /// A list call that is under way slept with the machine; what it can prove still goes by when it was asked for.
    pub(super) fn list_slept(&mut self, index: usize, now: Now) {
        if let Some(asked) = &mut self.connections[index].lookups.asked {
            asked.limit_from = now.mono;
        }
    }

    /// Gives up list calls whose answer never came.
    pub(super) fn expire_lists(&mut self, now: Now) {
        for index in 0..self.connections.len() {
            if self.list_limit(index).is_none_or(|at| now.mono < at) {
                continue;
            }
            let connection = &mut self.connections[index];
            if let Some(asked) = connection.lookups.asked.take() {
                connection.circuit.unheard(asked.sequence, now.mono);
                self.no_list(index, &asked, Some(&no_answer()), now);
            }
        }
    }

    /// The answer to a list call.
    pub(super) fn listed(
        &mut self,
        key: ListKey,
        answer: ListAnswer,
        date: Option<Timestamp>,
        now: Now,
    ) {
        self.vendor_clock(date, now);
        let owner = |c: &super::Connection| {
            let asked = c.lookups.asked.as_ref();
            c.limits.name == key.connection && asked.is_some_and(|a| a.sequence == key.sequence)
        };
        let Some(index) = self.connections.iter().position(owner) else {
            self.strays += 1;
            return;
        };
        let Some(asked) = self.connections[index].lookups.asked.take() else {
            return;
        };
        self.list_heard(index, &asked, &answer, now);
        let of_doubts = asked.kind.of_doubts();
        match answer {
            ListAnswer::Jobs(jobs) => self.read_list(index, asked, &jobs, date, now),
            ListAnswer::Unsupported(_) => {
                self.connections[index].lookups.readable = Some(false);
                self.no_list(index, &asked, None, now);
            }
            ListAnswer::NoAnswer(fault) => {
                return self.no_list(index, &asked, Some(&fault), now);
            }
        }
        if of_doubts {
            self.hear_doubts(index, now);
        }
    }

    /// A refused list says nothing of the connection's other calls (a token may not be allowed to list), so it does
    /// not open the circuit, but for the reading after the start: a credential that is missing or wrong is told then
    /// and not at night. An answer closes the circuit.
    fn list_heard(&mut self, index: usize, asked: &Asked, answer: &ListAnswer, now: Now) {
        use crate::sched::fault::ConnectionFault::Unauthorized;
        let fault = match answer {
            ListAnswer::NoAnswer(fault) => Some(fault),
            _ => None,
        };
        match fault.and_then(Fault::connection) {
            Some(Unauthorized) if asked.kind != Kind::Sweep => {
                let circuit = &mut self.connections[index].circuit;
                circuit.unheard(asked.sequence, now.mono);
            }
            _ => self.heard(index, asked.sequence, fault, now),
        }
    }

    /// The vendor was heard: what is in doubt may expire.
    fn hear_doubts(&mut self, index: usize, now: Now) {
        let connection = &self.connections[index];
        // A narrow list is half an answer: the wide one follows at once.
        if connection.circuit.outage().is_some() || connection.lookups.narrow.is_some() {
            return;
        }
        self.let_doubts_expire(index, now);
    }

    fn let_doubts_expire(&mut self, index: usize, now: Now) {
        let doubts: Vec<Slot> = self.connections[index]
            .lookups
            .doubts
            .iter()
            .copied()
            .collect();
        for slot in doubts {
            if let Some(live) = self.runs.get_mut(&slot) {
                live.fresh = true;
            }
            self.wait(slot, now);
        }
    }

    /// There is no list: for this `fault`, or for good.
    fn no_list(&mut self, index: usize, asked: &Asked, fault: Option<&Fault>, now: Now) {
        let again = self.proof_again();
        let lookups = &mut self.connections[index].lookups;
        lookups.narrow = None;
        lookups.not_before = Some(now.mono.plus(PAIR_EVERY));
        let others_answered = std::mem::take(&mut lookups.others_answered);
        lookups.yields = true;
        if asked.kind != Kind::Proof {
            lookups.vain.count(fault, others_answered, now.mono);
        }
        let alone = lookups.vain.alone >= TRIES;
        let out = lookups.vain.out;
        // A doubt outlasts an outage; submissions that wait for nothing but the list must not.
        let given_up = alone || out.is_some_and(|since| now.mono >= since.plus(OUT_FOR));
        match &asked.kind {
            Kind::Sweep if fault.is_none() => lookups.sweep = Sweep::Done,
            Kind::Sweep if given_up => {
                lookups.sweep = Sweep::Done;
                lookups.readable = Some(false);
                self.tell_unread(index, now);
            }
            // A list that fails again and again is all that will be heard of the runs in doubt.
            Kind::Narrow | Kind::Wide { .. } if alone => self.let_doubts_expire(index, now),
            Kind::Proof => lookups.proof = Some(now.mono.plus(again)),
            Kind::Sweep | Kind::Narrow | Kind::Wide { .. } => {}
        }
    }

    /// Submissions go on without the reading after the start.
    fn tell_unread(&mut self, index: usize, now: Now) {
        let name = &self.connections[index].limits.name;
        let notice = Notice {
            id: format!("list:{name}:{}", self.started.wall),
            kind: NoticeKind::Incident,
            at: now.wall,
            schedule: None,
            run: None,
            subject: format!("the job list of connection {name} could not be read after the start"),
            body: "Submissions go on without it. When the database was restored from a copy, what ran since then may \
                   run again: look at the jobs in CARTO."
                .to_owned(),
        };
        self.tell(notice);
    }

    /// After how long the list is asked for again; soon while only the vendor's clock can end the doubt about ours.
    fn proof_again(&self) -> Duration {
        match self.clock.doubtful() {
            true => PROOF_IN_DOUBT,
            false => PROOF_EVERY,
        }
    }

    fn read_list(
        &mut self,
        index: usize,
        asked: Asked,
        jobs: &[ListedJob],
        date: Option<Timestamp>,
        now: Now,
    ) {
        let lookups = &mut self.connections[index].lookups;
        (lookups.readable, lookups.vain) = (Some(true), Vain::default());
        self.renew_proof(index, jobs, now);
        let ours = |listed: &'_ ListedJob| {
            let marker = listed.marker.clone()?;
            (marker.instance == self.instance).then_some(marker)
        };
        let mut ours: Vec<(&ListedJob, Marker)> =
            jobs.iter().filter_map(|l| Some((l, ours(l)?))).collect();
        // Of several jobs of a run the last attempt counts; a generation is known before the next.
        ours.sort_by_key(|(_, m)| (m.run.kind.clone(), Reverse(m.attempt)));
        for (listed, marker) in &ours {
            self.recognise(index, listed, marker, asked.kind == Kind::Sweep, now);
        }
        let dated = date.is_some_and(|date| agrees(date, now.wall));
        let again = self.proof_again();
        let lookups = &mut self.connections[index].lookups;
        lookups.not_before = Some(asked.pair.plus(PAIR_EVERY));
        match &asked.kind {
            Kind::Sweep => {
                lookups.sweep.read(&asked, date, now);
                lookups.not_before = None;
            }
            Kind::Proof => lookups.proof = Some(now.mono.plus(again)),
            Kind::Narrow => {
                let narrow = Narrow {
                    at: asked.at,
                    since: asked.since,
                    length: jobs.len(),
                    dated,
                    unmarked: jobs
                        .iter()
                        .filter(|l| l.marker.is_none())
                        .cloned()
                        .collect(),
                };
                self.narrow_read(index, narrow, jobs, now);
            }
            Kind::Wide { anchor } => {
                let narrow = lookups.narrow.take();
                let shown = |l: &ListedJob| l.job == *anchor && l.marker.is_some();
                let proves = narrow.as_ref().filter(|narrow| {
                    dated && narrow.dated && jobs.len() > narrow.length && jobs.iter().any(shown)
                });
                if let Some(narrow) = proves {
                    let covered = |intent| intent >= later(narrow.since, BEFORE);
                    self.prove_absent(index, narrow.at, &narrow.unmarked, covered, now);
                } else if dated {
                    self.prove_by_neighbours(index, asked.at, jobs, now);
                }
            }
        }
    }

    /// A narrow list alone may prove absence; otherwise the wide list follows, once something has settled.
    fn narrow_read(&mut self, index: usize, narrow: Narrow, jobs: &[ListedJob], now: Now) {
        if narrow.dated {
            self.prove_by_neighbours(index, narrow.at, jobs, now);
        }
        let settled = self.settled(index, narrow.at);
        let lookups = &mut self.connections[index].lookups;
        if !settled.is_empty() && narrow.dated {
            lookups.narrow = Some(narrow);
            // The wide list belongs to the same pair.
            let has_anchor = matches!(self.next_list(index, now).0, Kind::Wide { .. });
            let lookups = &mut self.connections[index].lookups;
            match has_anchor {
                true => lookups.not_before = None,
                false => lookups.narrow = None,
            }
        }
    }

    /// One list proves absence alone when it shows jobs of ours that were accepted before the intent and after the
    /// request can have been on its way: wherever it is cut, nothing in between is missing.
    fn prove_by_neighbours(&mut self, index: usize, asked: Mono, jobs: &[ListedJob], now: Now) {
        let connection = &self.connections[index];
        // What is remembered is when the answer came, up to one time limit after the job was made.
        let on_its_way = connection.limits.request_timeout;
        let shown = |job: &JobId| jobs.iter().any(|l| l.marker.is_some() && l.job == *job);
        let known: Vec<Timestamp> = connection
            .memory
            .accepted
            .iter()
            .filter(|(job, _)| shown(job))
            .map(|(_, at)| *at)
            .collect();
        let between = |intent: Timestamp| {
            known.iter().any(|at| *at < intent)
                && known.iter().any(|at| *at > later(intent, on_its_way * 2))
        };
        self.prove_absent(index, asked, jobs, between, now);
    }

    /// Runs in doubt that had settled when a list was asked for.
    fn settled(&self, index: usize, asked: Mono) -> Vec<(Slot, Timestamp)> {
        let doubts = self.connections[index].lookups.doubts.iter();
        doubts
            .filter_map(|slot| match self.runs.get(slot)?.run.state {
                RunState::InDoubt {
                    intent, settled, ..
                } if settled <= asked => Some((*slot, intent)),
                _ => None,
            })
            .collect()
    }

    fn prove_absent(
        &mut self,
        index: usize,
        asked: Mono,
        jobs: &[ListedJob],
        proven: impl Fn(Timestamp) -> bool,
        now: Now,
    ) {
        for (slot, intent) in self.settled(index, asked) {
            if proven(intent) && !self.may_be_among(slot, intent, jobs) {
                self.apply(slot, Event::NotFound(Finding::ProvenAbsent), now);
            }
        }
    }

    /// Whether one of these may be the job of this run although no marker says so. A vendor may stop keeping markers,
    /// and jobs from before would still prove that it shows them.
    fn may_be_among(&self, slot: Slot, intent: Timestamp, jobs: &[ListedJob]) -> bool {
        let Some(live) = self.runs.get(&slot) else {
            return false;
        };
        let query = live.run.definition.query.trim();
        jobs.iter().any(|listed| {
            let same = |said: &String| said.trim() == query;
            listed.marker.is_none()
                && listed
                    .created
                    .is_none_or(|at| at >= earlier(intent, BEFORE))
                && listed.query.as_ref().is_none_or(same)
        })
    }

    fn knows(&self, index: usize, job: &JobId) -> bool {
        let accepted = &self.connections[index].memory.accepted;
        accepted.iter().any(|(known, _)| known == job)
    }

    /// A list that shows an accepted job with its marker proves that the list can be read.
    fn renew_proof(&mut self, index: usize, jobs: &[ListedJob], now: Now) {
        let shows = |listed: &ListedJob| listed.marker.is_some() && self.knows(index, &listed.job);
        if !jobs.iter().any(shows) {
            return;
        }
        let stale = |at: Timestamp| between(at, now.wall) > PROOF_EVERY / 2;
        if self.connections[index].memory.proven.is_none_or(stale) {
            self.connections[index].memory.proven = Some(now.wall);
            self.store_memory(index);
        }
    }
}
