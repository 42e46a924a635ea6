//! A model of the store that believes nothing: each change is held against what a change may do (docs/ARCHITECTURE.md, the lines "Invariant").

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use nightcall::sched::act::{Deed, Pause, Scope, Skip};
use nightcall::sched::id::{ConnectionName, RunId, RunKind, SeriesId};
use nightcall::sched::notice::Notice;
use nightcall::sched::outcome::Outcome;
use nightcall::sched::run::{Origin, Record, Run, RunState};
use nightcall::sched::schedule::Definition;
use nightcall::sched::step::{Change, ConnectionMemory, Decided, Missed, Saved, SavedSeries};
use nightcall::sched::time::{Now, TimeRange, Timestamp, earlier};

mod acts;
mod after;

use crate::expander;
use crate::setup::zone;

/// What is stored. A clone is a copy of the database.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) mark: Option<Timestamp>,
    pub(crate) open: BTreeMap<SeriesId, SavedSeries>,
    /// Which trigger decides which span, of all series that ever were.
    spans: Vec<Span>,
    pub(crate) runs: BTreeMap<RunId, Row>,
    pub(crate) missed: Vec<Missed>,
    pub(crate) notices: Vec<Notice>,
    told: BTreeSet<String>,
    pub(crate) connections: BTreeMap<ConnectionName, ConnectionMemory>,
    live: BTreeSet<RunId>,
    pub(crate) pauses: BTreeMap<Scope, Pause>,
    pub(crate) skips: BTreeMap<(SeriesId, String), Skip>,
    pub(crate) deeds: Vec<Deed>,
    /// Wishes to skip that were in force when the present step began, and what it added.
    wished: Vec<Skip>,
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) run: Run,
    pub(crate) changed: Now,
    pub(crate) records: Vec<Record>,
}

/// From when to when a series is planned with a definition.
#[derive(Clone, Debug)]
struct Span {
    definition: Arc<Definition>,
    from: Timestamp,
    upto: Option<Timestamp>,
}

/// What may follow what, by the words of the states (docs/state-machine.md).
const MOVES: [(&str, &[&str]); 6] = [
    ("pending", &["submitting", "running", "finished"]),
    (
        "submitting",
        &[
            "submitting",
            "running",
            "cancelling",
            "in_doubt",
            "backoff",
            "finished",
        ],
    ),
    (
        "in_doubt",
        &["in_doubt", "running", "cancelling", "backoff", "finished"],
    ),
    ("running", &["running", "cancelling", "backoff", "finished"]),
    (
        "cancelling",
        &["cancelling", "running", "backoff", "finished"],
    ),
    ("backoff", &["submitting", "running", "finished"]),
];

impl Model {
    /// All changes of one step.
    pub(crate) fn commit(&mut self, changes: &[Change]) {
        self.wished = self.skips.values().cloned().collect();
        for change in changes {
            match change {
                Change::Run { run, record, at } => self.put_run(run, record, *at),
                Change::Missed(missed) => self.put_missed(missed),
                Change::Cursor {
                    series,
                    upto,
                    definition,
                } => {
                    self.put_cursor(series, *upto, definition);
                }
                Change::Closed { series, upto } => self.close(series, *upto),
                Change::Notice(notice) => {
                    if self.told.insert(notice.id.clone()) {
                        self.notices.push(notice.clone());
                    }
                }
                Change::Mark(mark) => {
                    assert!(
                        self.mark.is_none_or(|m| m < *mark),
                        "the mark goes back to {mark}"
                    );
                    self.mark = Some(*mark);
                }
                Change::Connection { name, memory } => {
                    self.connections.insert(name.clone(), memory.clone());
                }
                act => self.put_act(act),
            }
        }
    }

    fn put_run(&mut self, run: &Run, record: &Record, at: Now) {
        let id = &run.id;
        assert_eq!(
            record.state,
            run.state.word(),
            "{id}: record and run differ"
        );
        assert!(
            run.submitted
                .is_none_or(|t| t >= run.planned || run.origin == Origin::Adopted),
            "{id}: submitted {:?} before it was planned {}",
            run.submitted,
            run.planned
        );
        let end = run.finished.unwrap_or(Timestamp::MAX);
        assert!(end >= run.planned, "{id}: finished before it was planned");
        assert!(
            run.submitted.is_none_or(|t| end >= t),
            "{id}: finished before it was submitted"
        );
        assert_eq!(
            run.finished.is_some(),
            matches!(run.state, RunState::Finished(_)),
            "{id}"
        );
        let mut records = Vec::new();
        match self.runs.get(id) {
            Some(before) => {
                may_follow(&before.run, run, record);
                records.clone_from(&before.records);
            }
            None => {
                assert!(
                    run.id.kind != RunKind::Generation(0) || self.missed_with(id).is_none(),
                    "{id} is on record as missed in bulk: {:?}",
                    self.missed_with(id)
                );
                self.may_begin(run);
            }
        }
        match run.state {
            RunState::Finished(_) => self.live.remove(id),
            _ => self.live.insert(id.clone()),
        };
        records.push(record.clone());
        self.runs.insert(
            id.clone(),
            Row {
                run: run.clone(),
                changed: at,
                records,
            },
        );
    }

    fn missed_with(&self, id: &RunId) -> Option<&Missed> {
        self.missed
            .iter()
            .find(|m| m.series == id.series && within(m.range, id.instant))
    }

    fn put_missed(&mut self, missed: &Missed) {
        let overlapping = self.missed.iter().find(|m| {
            m.series == missed.series
                && m.range.after < missed.range.upto
                && m.range.upto > missed.range.after
        });
        assert!(
            overlapping.is_none(),
            "missed twice: {missed:?} and {overlapping:?}"
        );
        self.missed.push(missed.clone());
    }

    fn put_cursor(&mut self, series: &SeriesId, upto: Timestamp, definition: &Arc<Definition>) {
        self.end_span(series, upto);
        self.spans.push(Span {
            definition: Arc::clone(definition),
            from: upto,
            upto: None,
        });
        let saved = SavedSeries {
            series: series.clone(),
            cursor: upto,
            definition: Arc::clone(definition),
        };
        self.open.insert(series.clone(), saved);
    }

    fn close(&mut self, series: &SeriesId, upto: Timestamp) {
        self.end_span(series, upto);
        self.open.remove(series);
    }

    fn end_span(&mut self, series: &SeriesId, upto: Timestamp) {
        let open = self
            .spans
            .iter_mut()
            .find(|s| s.definition.series == *series && s.upto.is_none());
        if let Some(span) = open {
            assert!(
                upto >= span.from,
                "the cursor of {series} goes back to {upto}"
            );
            span.upto = Some(upto);
        }
    }

    /// What a start is given.
    pub(crate) fn load(&self) -> Saved {
        let mark = self.mark.unwrap_or(Timestamp::MIN);
        let since = earlier(mark, Duration::from_secs(48 * 3600));
        let rows = || self.runs.values();
        let lost = |row: &&Row| {
            let unknown = row.run.outcome() == Some(Outcome::Lost) && row.run.resolved.is_none();
            unknown && row.run.may_live_until() > since
        };
        Saved {
            mark: self.mark,
            series: self.open.values().cloned().collect(),
            live: self
                .live_rows()
                .map(|row| (row.run.clone(), row.changed))
                .collect(),
            lost: rows().filter(lost).map(|row| row.run.clone()).collect(),
            recent: rows()
                .filter(|row| {
                    let later = matches!(row.run.id.kind, RunKind::Generation(1..));
                    let ended = row.run.finished.filter(|_| later);
                    row.run.id.instant >= since
                        || row.run.planned >= since
                        || ended.is_some_and(|ended| ended >= since)
                })
                .map(|row| Decided {
                    run: row.run.id.clone(),
                    civil: row.run.civil,
                    fold: row.run.fold,
                })
                .collect(),
            connections: self
                .connections
                .iter()
                .map(|(n, m)| (n.clone(), m.clone()))
                .collect(),
            pauses: self.pauses.values().cloned().collect(),
            skips: self.skips.values().cloned().collect(),
            passed: self.passed(),
        }
    }

    pub(crate) fn live_rows(&self) -> impl Iterator<Item = &Row> {
        self.live.iter().filter_map(|id| self.runs.get(id))
    }

    pub(crate) fn live_count(&self) -> usize {
        self.live.len()
    }

    /// Invariant 1: every occurrence that is decided by now has exactly one record.
    pub(crate) fn check_coverage(&self) {
        let Some(mark) = self.mark else { return };
        for span in &self.spans {
            self.check_span(span, span.upto.unwrap_or(mark).min(mark));
        }
    }

    fn check_span(&self, span: &Span, upto: Timestamp) {
        let series = &span.definition.series;
        let trigger = &span.definition.trigger;
        let zone = zone(&trigger.zone).unwrap();
        let mut uncounted: BTreeMap<Timestamp, u64> = BTreeMap::new();
        for at in expander::occurrences(trigger, &zone, span.from, upto) {
            let id = RunId::planned(series.clone(), at);
            let ranges = self.missed.iter().filter(|m| m.series == *series);
            let ranges: Vec<&Missed> = ranges.filter(|m| within(m.range, at)).collect();
            match (self.runs.contains_key(&id), ranges.as_slice()) {
                (true, []) => {}
                (false, [range]) => *uncounted.entry(range.range.upto).or_default() += 1,
                (row, ranges) => panic!("{id}: a row: {row}, ranges: {ranges:?}"),
            }
        }
        for missed in self.missed.iter().filter(|m| m.series == *series) {
            if let Some(count) = uncounted.get(&missed.range.upto) {
                assert_eq!(*count, missed.count, "{missed:?}");
            }
        }
    }
}

fn within(range: TimeRange, t: Timestamp) -> bool {
    t > range.after && t <= range.upto
}

fn may_follow(before: &Run, after: &Run, record: &Record) {
    let id = &after.id;
    let (from, to) = (before.state.word(), after.state.word());
    let moves = MOVES.iter().find(|(state, _)| *state == from);
    // A line that says who asked changes nothing, but for times that another process counts from another origin.
    let otherwise = Run {
        state: after.state.clone(),
        ..before.clone()
    };
    let same = otherwise == *after && from == to;
    let told = match &*record.what {
        "cancel_asked" => same && from != "finished",
        "resolved" if from == "finished" => {
            let said = Run {
                resolved: after.resolved,
                ..before.clone()
            };
            said == *after && before.outcome() == Some(Outcome::Lost)
        }
        "resolved" => same,
        _ => false,
    };
    let legal = told || moves.is_some_and(|(_, to_states)| to_states.contains(&to));
    assert!(
        legal,
        "{id} goes from {:?} to {:?}",
        before.state, after.state
    );
    assert!(after.attempt >= before.attempt, "{id}: attempts go back");
    assert!(after.failures >= before.failures, "{id}: failures go back");
    assert_eq!(after.planned, before.planned, "{id}: planned again");
    assert_eq!(
        after.parameters, before.parameters,
        "{id}: other parameters"
    );
    assert!(
        after.submitted >= before.submitted,
        "{id}: submission times go back"
    );
}
