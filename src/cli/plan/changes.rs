//! What a reload changes: the comparison of what runs with what comes, whole. Pure: it reads no clock and no file.
//!
//! It follows `sched/scheduler/reload.rs` line by line; `tests/it/plan/announced.rs` plays both against each other.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::compare::{Edit, Work, compare, work};
use super::piles::{PileUp, Piles};
use super::running::{Coming, Planned, Running};
use super::span::{Announced, Difference, EACH, Lane, difference};
use crate::sched::id::{RunId, SeriesId};
use crate::sched::schedule::Definition;
use crate::sched::time::Timestamp;
use crate::sched::trigger::Trigger;

/// So many occurrences are looked at in all, so that a plan ends within seconds whatever the files say.
const WALK: u64 = 12_000_000;

/// Over which time the two are compared.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// When the reload comes.
    pub now: Timestamp,
    /// The last moment that is looked at.
    pub until: Timestamp,
}

/// What happens to a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It begins now, with no past.
    Added,
    /// It is closed: what has not left of it ends.
    Removed,
    /// Other times from now on, perhaps with other edits.
    Retimed,
    /// Something else; its times stay.
    Edited,
}

impl What {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::Added, Self::Removed, Self::Retimed, Self::Edited];

    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Retimed => "retimed",
            Self::Edited => "edited",
        }
    }
}

/// A series that is not as it was.
#[derive(Clone, Debug)]
pub struct SeriesChange {
    /// Which.
    pub series: SeriesId,
    /// What happens to it.
    pub what: What,
    /// The series of another name that does the same: it was renamed, as far as one can guess.
    pub renamed: Option<SeriesId>,
    /// Its schedule is in the configuration, and off.
    pub disabled: bool,
    /// What its definition says otherwise.
    pub edits: Vec<Edit>,
    /// How its occurrences differ.
    pub difference: Difference,
    /// Its runs that are with the vendor, or may be.
    pub at_vendor: usize,
    /// Its runs that have not left.
    pub waiting: usize,
    /// As it is planned now.
    pub before: Option<Planned>,
    /// As it will be.
    pub after: Option<(Arc<Definition>, Arc<Trigger>)>,
}

impl SeriesChange {
    /// Compares its occurrences again and keeps so many.
    pub fn compared(&self, running: &Running, span: Span, keep: usize) -> Difference {
        let lanes = Lanes::of(self, running, span);
        difference(lanes.before(), lanes.after(), EACH, keep)
    }
}

/// Everything that a reload changes.
#[derive(Clone, Debug)]
pub struct Changes {
    /// Over which time.
    pub span: Span,
    /// By name.
    pub series: Vec<SeriesChange>,
    /// How many series stay as they are.
    pub same: usize,
    /// Minutes above a limit, by time.
    pub piles: Vec<PileUp>,
    /// Why a reload is refused now: the connection that is gone, and a live run that needs it.
    pub refused: Option<(String, RunId)>,
    /// The occurrences of so many series were not looked at, or not of the whole span, since there are too many.
    pub unseen: usize,
    /// Up to when pile-ups were looked for, when that is not the whole span.
    pub piles_until: Option<Timestamp>,
}

impl Changes {
    /// Compares what runs with what comes; of each series `keep` moves are kept.
    pub fn of(running: &Running, coming: &Coming, span: Span, keep: usize) -> Self {
        let mut walk = Walk::new(running, coming, span);
        let mut series = Vec::new();
        let mut same = 0;
        let (names, renames) = (all_names(running, coming), renames(running, coming));
        let live = live(running);
        // What changes first, so that it is looked at in any case.
        for id in &names {
            let Some(mut change) = changed(running, coming, id) else {
                same += 1;
                continue;
            };
            change.renamed = renames.get(id).cloned();
            if let (Some(other), What::Added) = (&change.renamed, change.what) {
                change.edits = edits_of_rename(running, coming, other, id);
            }
            (change.at_vendor, change.waiting) = live.get(id).copied().unwrap_or_default();
            change.difference = walk.changed(&change, keep);
            series.push(change);
        }
        let changed: BTreeSet<&SeriesId> = series.iter().map(|c| &c.series).collect();
        for id in names.iter().filter(|id| !changed.contains(id)) {
            walk.unchanged(id);
        }
        let (unseen, piles_until) = (walk.unseen, walk.piles.until());
        Self {
            span,
            piles: walk.piles.above(),
            series,
            same,
            refused: running
                .refusal(coming)
                .map(|(name, run)| (name.to_string(), run.clone())),
            unseen,
            piles_until,
        }
    }

    /// Whether a reload changes anything.
    pub fn is_any(&self) -> bool {
        !self.series.is_empty()
    }

    /// How many series change in this way.
    pub fn count(&self, what: What) -> usize {
        self.series.iter().filter(|c| c.what == what).count()
    }
}

/// The series of both, by name.
fn all_names(running: &Running, coming: &Coming) -> BTreeSet<SeriesId> {
    let both = running.series.keys().chain(coming.series.keys());
    both.cloned().collect()
}

/// How a series changes; `None` when it does not.
fn changed(running: &Running, coming: &Coming, id: &SeriesId) -> Option<SeriesChange> {
    let (before, after) = (running.series.get(id), coming.series.get(id));
    let (what, edits) = match (before, after) {
        (Some(before), Some((after, _))) if before.definition == *after => return None,
        (Some(before), Some((after, _))) => {
            let what = match before.definition.trigger == after.trigger {
                true => What::Edited,
                false => What::Retimed,
            };
            (what, compare(&before.definition, after))
        }
        (None, Some(_)) => (What::Added, Vec::new()),
        _ => (What::Removed, Vec::new()),
    };
    Some(SeriesChange {
        series: id.clone(),
        what,
        renamed: None,
        disabled: coming.disabled.contains(&id.schedule),
        edits,
        difference: Difference::default(),
        at_vendor: 0,
        waiting: 0,
        before: before.cloned(),
        after: after.cloned(),
    })
}

/// How many runs of each series are with the vendor, and how many have not left.
fn live(running: &Running) -> HashMap<SeriesId, (usize, usize)> {
    let mut live: HashMap<SeriesId, (usize, usize)> = HashMap::new();
    for run in &running.live {
        let of_series = live.entry(run.id.series.clone()).or_default();
        match run.in_flight() {
            true => of_series.0 += 1,
            false => of_series.1 += 1,
        }
    }
    live
}

/// Which names that come do the work of names that go, and the other way round.
fn renames(running: &Running, coming: &Coming) -> HashMap<SeriesId, SeriesId> {
    let mut gone: HashMap<Work, VecDeque<&SeriesId>> = HashMap::new();
    let removed = running.series.iter();
    for (id, planned) in removed.filter(|(id, _)| !coming.series.contains_key(id)) {
        let same = gone.entry(work(&planned.definition)).or_default();
        same.push_back(id);
    }
    let mut renames = HashMap::new();
    let added = coming.series.iter();
    for (id, (definition, _)) in added.filter(|(id, _)| !running.series.contains_key(id)) {
        let Some(same) = gone.get_mut(&work(definition)) else {
            continue;
        };
        let of_set = same.iter().position(|other| other.set == id.set);
        if let Some(other) = same.remove(of_set.unwrap_or(0)) {
            renames.insert(id.clone(), other.clone());
            renames.insert(other.clone(), id.clone());
        }
    }
    renames
}

fn edits_of_rename(
    running: &Running,
    coming: &Coming,
    former: &SeriesId,
    new: &SeriesId,
) -> Vec<Edit> {
    match (running.series.get(former), coming.series.get(new)) {
        (Some(before), Some((after, _))) => {
            let renamed = Definition {
                series: after.series.clone(),
                ..(*before.definition).clone()
            };
            compare(&renamed, after)
        }
        _ => Vec::new(),
    }
}

/// The occurrences of a series on both sides.
struct Lanes<'a> {
    running: &'a Running,
    series: &'a SeriesId,
    before: Option<&'a Trigger>,
    after: Option<&'a Trigger>,
    span: Span,
}

impl<'a> Lanes<'a> {
    fn of(change: &'a SeriesChange, running: &'a Running, span: Span) -> Self {
        let before = change.before.as_ref();
        Self {
            running,
            series: &change.series,
            before: before.and_then(|planned| planned.trigger.as_deref()),
            after: change.after.as_ref().map(|(_, trigger)| &**trigger),
            span,
        }
    }

    fn before(&self) -> impl Iterator<Item = Announced> + use<'a> {
        self.lane(self.before)
    }

    fn after(&self) -> impl Iterator<Item = Announced> + use<'a> {
        self.lane(self.after)
    }

    fn lane(&self, trigger: Option<&'a Trigger>) -> impl Iterator<Item = Announced> + use<'a> {
        let (running, series) = (self.running, self.series);
        let from = running.goes_on(series, self.span.now);
        let until = self.span.until;
        let lane = trigger.map(|trigger| Lane::new(running, series, trigger, from, until));
        lane.into_iter().flatten()
    }
}

/// Goes through the occurrences of all series, once, and counts what is due when; bounded.
struct Walk<'a> {
    running: &'a Running,
    coming: &'a Coming,
    span: Span,
    piles: Piles<'a>,
    left: u64,
    unseen: usize,
}

impl<'a> Walk<'a> {
    fn new(running: &'a Running, coming: &'a Coming, span: Span) -> Self {
        Self {
            running,
            coming,
            span,
            piles: Piles::new(&coming.connections, span.now, span.until),
            left: WALK,
            unseen: 0,
        }
    }

    fn changed(&mut self, change: &SeriesChange, keep: usize) -> Difference {
        let lanes = Lanes::of(change, self.running, self.span);
        let before = change.before.as_ref().map(|p| &p.definition.connection);
        let after = change.after.as_ref().map(|(d, _)| &d.connection);
        let place = |name: Option<_>| name.and_then(|name| self.piles.place(name));
        let places = [place(before), place(after)];
        let most = EACH.min(self.left / 2);
        let piles = std::cell::RefCell::new(&mut self.piles);
        let walked = std::cell::Cell::new(0);
        let note = |announced: &Announced, after: bool| {
            walked.set(walked.get() + 1);
            if let (Some(place), None) = (places[usize::from(after)], announced.passes) {
                piles.borrow_mut().count(place, announced.due, after);
            }
        };
        let found = difference(
            lanes.before().inspect(|a| note(a, false)),
            lanes.after().inspect(|a| note(a, true)),
            most,
            keep,
        );
        self.left = self.left.saturating_sub(walked.get());
        self.unseen += usize::from(found.cut.is_some());
        found
    }

    /// What stays as it is counts for pile-ups.
    fn unchanged(&mut self, id: &SeriesId) {
        let Some((definition, trigger)) = self.coming.series.get(id) else {
            return;
        };
        let Some(place) = self.piles.place(&definition.connection) else {
            return;
        };
        let from = self.running.goes_on(id, self.span.now);
        let most = EACH.min(self.left);
        let mut lane = Lane::new(self.running, id, trigger, from, self.span.until);
        let mut walked = 0;
        for announced in lane
            .by_ref()
            .take(usize::try_from(most).unwrap_or(usize::MAX))
        {
            walked += 1;
            if announced.passes.is_none() {
                self.piles.count(place, announced.due, false);
                self.piles.count(place, announced.due, true);
            }
        }
        self.left -= walked;
        self.unseen += usize::from(walked == most && lane.next().is_some());
    }
}
