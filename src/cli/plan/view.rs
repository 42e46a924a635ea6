//! A plan as programs read it: one object a line, each with its `kind`; what can be told for each kind is written at
//! its type, and in docs/operations.md.

use serde::Serialize;
use serde_json::Value;

use super::Told;
use super::changes::{SeriesChange, What};
use super::compare::Edit;
use super::piles::PileUp;
use super::span::{Announced, Difference, Move};
use crate::cli::exit::Failure;
use crate::cli::words;
use crate::sched::act::{Pause, Scope};
use crate::sched::time::TimeZone;

/// A series that is not as it was.
#[derive(Debug, Serialize)]
struct SeriesView<'a> {
    /// `series`.
    kind: &'static str,
    schedule: &'a str,
    set: &'a str,
    /// `added`, `removed`, `retimed` (other times, and perhaps other edits) or `edited`.
    change: &'static str,
    /// `SCHEDULE/SET` of the other name, when it looks like a rename; else null.
    renamed: Option<String>,
    /// Its schedule is in the configuration, with `enabled = false`.
    disabled: bool,
    /// How many occurrences would have run in the span.
    occurrences_before: u64,
    /// How many will.
    occurrences_after: u64,
    /// How many occurrences are added, removed, moved; `occurrence` objects show the first, with --all every one.
    added: u64,
    removed: u64,
    moved: u64,
    /// Runs with the vendor: they go on, with the definition that they have.
    at_vendor: usize,
    /// Runs that have not left: they keep their definition, and end when the series is removed.
    waiting: usize,
    /// Since when it is paused, RFC 3339; null when it is not.
    paused_since: Option<String>,
    /// Occurrences after this time (UTC) were not compared, since there are too many; else null.
    compared_until: Option<String>,
}

/// One key of a series that says something else.
#[derive(Debug, Serialize)]
struct ChangeView<'a> {
    /// `change`.
    kind: &'static str,
    schedule: &'a str,
    set: &'a str,
    /// The key as in the configuration: `cron`, `retry.attempts`, `parameters.store_type`, `connection.base_url`.
    key: &'a str,
    /// What it says now; null when it says nothing.
    from: Option<&'a Value>,
    /// What it will say.
    to: Option<&'a Value>,
}

/// One occurrence that is added, removed or moved.
#[derive(Debug, Serialize)]
struct OccurrenceView<'a> {
    /// `occurrence`.
    kind: &'static str,
    schedule: &'a str,
    set: &'a str,
    /// `added`, `removed` or `moved`.
    change: &'static str,
    /// In the schedule's zone, RFC 3339 with offset.
    nominal: String,
    /// When it may start, UTC.
    due: String,
    /// Why it will not run all the same: `paused`, `asked`, `no_such_day`; else null.
    passes: Option<&'static str>,
    /// Of one that is moved: what it was.
    from_nominal: Option<String>,
    from_due: Option<String>,
}

/// A minute in which more is due than a limit allows.
#[derive(Debug, Serialize)]
struct PileUpView<'a> {
    /// `pile_up`.
    kind: &'static str,
    /// When the minute begins, UTC.
    minute: String,
    connection: &'a str,
    /// `max_in_flight` or `requests_per_minute`.
    limit: &'static str,
    allowed: u32,
    /// So many are due.
    due: u32,
    /// So many would have been due without the change.
    due_before: u32,
    /// What to write instead.
    hint: String,
}

/// Something else that is worth knowing.
#[derive(Debug, Serialize)]
struct NoteView<'a> {
    /// `note`.
    kind: &'static str,
    /// `clock_change`, `refused`, `no_daemon`, `first`, `unknown_zone` or `not_looked_at`.
    note: &'static str,
    schedule: Option<&'a str>,
    set: Option<&'a str>,
    /// When, UTC; null when it has no time.
    at: Option<String>,
    /// One line for people.
    text: String,
}

/// The last line: the whole in numbers.
#[derive(Debug, Serialize)]
struct SummaryView {
    /// `summary`.
    kind: &'static str,
    /// The span that was looked at, UTC.
    from: String,
    until: String,
    /// How many series are added, removed, have other times, are edited otherwise, stay as they are.
    added: usize,
    removed: usize,
    retimed: usize,
    edited: usize,
    unchanged: usize,
    /// Of the series that change: how many occurrences would have run, and how many will.
    occurrences_before: u64,
    occurrences_after: u64,
    /// How many minutes are above a limit, and in how many of them the change is to blame.
    pile_ups: usize,
    pile_ups_grow: usize,
    /// A reload would be refused now.
    refused: bool,
    /// As the summary for people says it.
    text: String,
}

/// A note before it is shown.
pub(super) struct Note {
    /// One word: see [`NoteView::note`].
    pub(super) word: &'static str,
    /// One line for people.
    pub(super) text: String,
}

impl Told<'_> {
    /// Everything, one object a line.
    pub(super) fn objects(&self) -> Result<(), Failure> {
        let out = &self.context.out;
        for note in self.notes() {
            out.object(&NoteView {
                kind: "note",
                note: note.word,
                schedule: None,
                set: None,
                at: None,
                text: note.text.replace('\n', "; "),
            })?;
        }
        for change in &self.changes.series {
            self.series_objects(change)?;
        }
        for pile in self.piles_shown() {
            out.object(&PileUpView {
                kind: "pile_up",
                minute: pile.minute.to_string(),
                connection: pile.connection.as_str(),
                limit: pile.limit.word(),
                allowed: pile.allowed,
                due: pile.due,
                due_before: pile.before,
                hint: super::show::remedy(pile),
            })?;
        }
        out.object(&self.summary_view())
    }

    fn series_objects(&self, change: &SeriesChange) -> Result<(), Failure> {
        let out = &self.context.out;
        let difference = self.difference(change);
        out.object(&self.series_view(change, &difference))?;
        let (schedule, set) = names(change);
        for Edit { key, from, to } in &change.edits {
            out.object(&ChangeView {
                kind: "change",
                schedule,
                set,
                key,
                from: from.as_ref(),
                to: to.as_ref(),
            })?;
        }
        for found in &difference.first {
            out.object(&occurrence_view(change, found))?;
        }
        for note in self.clock_notes(change) {
            out.object(&NoteView {
                kind: "note",
                note: "clock_change",
                schedule: Some(schedule),
                set: Some(set),
                at: Some(note.at.to_string()),
                text: note.text,
            })?;
        }
        if let Some(text) = super::show::unknown_zone(change) {
            out.object(&NoteView {
                kind: "note",
                note: "unknown_zone",
                schedule: Some(schedule),
                set: Some(set),
                at: None,
                text,
            })?;
        }
        Ok(())
    }

    fn series_view<'a>(&self, change: &'a SeriesChange, difference: &Difference) -> SeriesView<'a> {
        let (schedule, set) = names(change);
        SeriesView {
            kind: "series",
            schedule,
            set,
            change: change.what.word(),
            renamed: change.renamed.as_ref().map(ToString::to_string),
            disabled: change.disabled,
            occurrences_before: difference.before,
            occurrences_after: difference.after,
            added: difference.added,
            removed: difference.removed,
            moved: difference.moved,
            at_vendor: change.at_vendor,
            waiting: change.waiting,
            paused_since: self.pause_of(change).map(|pause| pause.since.to_string()),
            compared_until: difference.cut.map(|at| at.to_string()),
        }
    }

    fn summary_view(&self) -> SummaryView {
        let changes = self.changes;
        let sum = |of: fn(&SeriesChange) -> u64| changes.series.iter().map(of).sum();
        SummaryView {
            kind: "summary",
            from: changes.span.now.to_string(),
            until: changes.span.until.to_string(),
            added: changes.count(What::Added),
            removed: changes.count(What::Removed),
            retimed: changes.count(What::Retimed),
            edited: changes.count(What::Edited),
            unchanged: changes.same,
            occurrences_before: sum(|c| c.difference.before),
            occurrences_after: sum(|c| c.difference.after),
            pile_ups: changes.piles.len(),
            pile_ups_grow: changes.piles.iter().filter(|p| p.grows()).count(),
            refused: changes.refused.is_some(),
            text: self.summary(),
        }
    }

    /// The pile-ups that are shown: those that the change is to blame for first.
    pub(super) fn piles_shown(&self) -> Vec<&PileUp> {
        let (grow, stay): (Vec<&PileUp>, Vec<&PileUp>) =
            self.changes.piles.iter().partition(|p| p.grows());
        let most = match self.args.all {
            true => usize::MAX,
            false => super::show::PILES,
        };
        let stay = stay.into_iter().filter(|_| self.args.all);
        grow.into_iter().chain(stay).take(most).collect()
    }

    /// The pause that holds a series back.
    pub(super) fn pause_of(&self, change: &SeriesChange) -> Option<&Pause> {
        let mut pauses = self.running.pauses.iter();
        pauses.find(|pause| match &pause.scope {
            Scope::All => true,
            of_schedule => of_schedule.holds(&change.series),
        })
    }
}

fn names(change: &SeriesChange) -> (&str, &str) {
    let series = &change.series;
    (series.schedule.as_str(), series.set.as_str())
}

/// The zone of a side of a change; UTC when it is not known.
pub(super) fn zones(change: &SeriesChange) -> (TimeZone, TimeZone) {
    let before = change.before.as_ref().and_then(|p| p.trigger.as_ref());
    let after = change.after.as_ref().map(|(_, trigger)| trigger);
    let zone = |side: Option<&std::sync::Arc<crate::sched::trigger::Trigger>>| {
        side.or(after).or(before).map(|t| t.zone().clone())
    };
    (
        zone(before).unwrap_or(TimeZone::UTC),
        zone(after).unwrap_or(TimeZone::UTC),
    )
}

fn occurrence_view<'a>(change: &'a SeriesChange, found: &Move) -> OccurrenceView<'a> {
    let (schedule, set) = names(change);
    let (before, after) = zones(change);
    let nominal = |a: &Announced, zone: &TimeZone| {
        let (civil, instant) = (a.occurrence.civil, a.occurrence.instant);
        words::rfc3339(civil, words::nominal_offset(civil, instant, zone))
    };
    let (word, shown, zone, former) = match found {
        Move::Added(a) => ("added", a, &after, None),
        Move::Removed(a) => ("removed", a, &before, None),
        Move::Moved(from, to) => ("moved", to, &after, Some(from)),
    };
    OccurrenceView {
        kind: "occurrence",
        schedule,
        set,
        change: word,
        nominal: nominal(shown, zone),
        due: shown.due.to_string(),
        passes: shown.passes.map(|reason| reason.word()),
        from_nominal: former.map(|a| nominal(a, &before)),
        from_due: former.map(|a| a.due.to_string()),
    }
}
