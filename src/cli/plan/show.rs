//! A plan for people: one line that says it all, then what changes, series by series; short, however much it is.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;

use super::Told;
use super::changes::{SeriesChange, What};
use super::compare::Edit;
use super::piles::{Limit, PileUp};
use super::span::{Announced, Difference, Move};
use super::view::{Note, zones};
use crate::cli::exit::Failure;
use crate::cli::next::note as unusual;
use crate::cli::words;
use crate::config::duration;
use crate::sched::act::Scope;
use crate::sched::outcome::SkipReason;
use crate::sched::time::TimeZone;
use crate::sched::trigger::ZoneNote;

/// So many groups of series are shown.
const GROUPS: usize = 30;

/// So many series are named in the head of a group.
const NAMED: usize = 5;

/// So many pile-ups are shown.
pub(super) const PILES: usize = 5;

/// So many edits of one series are shown.
const EDITS: usize = 20;

/// The longest value of an edit that is shown, in characters.
const LONGEST: usize = 60;

/// So many characters before the first difference of two long values are shown.
const LEAD: usize = 15;

impl Told<'_> {
    /// Everything, for people.
    pub(super) fn people(&self) -> Result<(), Failure> {
        let out = &self.context.out;
        out.line(self.summary())?;
        for note in self.notes() {
            out.line(note.text)?;
        }
        let left_out = match self.args.all {
            true => self.each_series()?,
            false => self.grouped_series()?,
        };
        self.piles()?;
        if left_out > 0 || self.is_shortened() {
            out.line(format!("\neverything: {}", self.again("--all")))?;
        }
        Ok(())
    }

    /// Every series by itself, as they come: all of them at once may be more than fits into memory.
    fn each_series(&self) -> Result<usize, Failure> {
        for change in &self.changes.series {
            let group = Group {
                names: vec![words::series(&change.series)],
                head: head(change),
                body: self.body(change),
            };
            self.context.out.line(format!("\n{}", group.text()))?;
        }
        Ok(0)
    }

    /// The first groups; gives back how many series are left out.
    fn grouped_series(&self) -> Result<usize, Failure> {
        let groups = self.groups();
        for group in groups.iter().take(GROUPS) {
            self.context.out.line(format!("\n{}", group.text()))?;
        }
        let rest = groups.iter().skip(GROUPS);
        let left_out = rest.map(|group| group.names.len()).sum();
        if left_out > 0 {
            self.context
                .out
                .line(format!("\nand {left_out} more series"))?;
        }
        Ok(left_out)
    }

    /// The command, with another option.
    fn again(&self, option: &str) -> String {
        let files = self
            .args
            .new
            .iter()
            .map(|path| super::super::shell_word(path));
        let files: String = files.map(|path| format!(" {path}")).collect();
        let days = match self.args.days {
            7 => String::new(),
            days => format!(" --days {days}"),
        };
        self.context
            .command(format_args!("plan{files}{days} {option}"))
    }

    /// Whether something is counted only, because there is much of it.
    fn is_shortened(&self) -> bool {
        let series = &self.changes.series;
        let hidden = |c: &SeriesChange| {
            let d = &c.difference;
            d.added + d.removed + d.moved > d.first.len() as u64
        };
        !self.args.all
            && (series.iter().any(hidden) || self.piles_shown().len() < self.changes.piles.len())
    }

    // ---- the whole ---------------------------------------------------------------------------------------------------

    /// "3 series change: 2 added, 1 with other times; 14 occurrences more in the next 7 days"
    pub(super) fn summary(&self) -> String {
        let changes = self.changes;
        if !changes.is_any() {
            return format!(
                "nothing changes: {} stay as they are planned",
                match changes.same {
                    1 => "1 series".to_owned(),
                    n => format!("{n} series"),
                }
            );
        }
        let counted = What::ALL.into_iter().filter_map(|what| {
            let count = changes.count(what);
            let words = match what {
                What::Added => "added",
                What::Removed => "removed",
                What::Retimed => "with other times",
                What::Edited => "edited",
            };
            (count > 0).then(|| format!("{count} {words}"))
        });
        let counted: Vec<String> = counted.collect();
        let renamed = changes.series.iter();
        let renamed = renamed
            .filter(|c| c.what == What::Added && c.renamed.is_some())
            .count();
        let renamed = match renamed {
            0 => String::new(),
            n => format!(
                " (it looks as if {n} {})",
                if n == 1 { "is renamed" } else { "are renamed" }
            ),
        };
        format!(
            "{} series {}: {}{renamed}; {} in the next {}",
            changes.series.len(),
            if changes.series.len() == 1 {
                "changes"
            } else {
                "change"
            },
            counted.join(", "),
            self.balance(),
            words::count(self.args.days as usize, "day"),
        )
    }

    /// "14 occurrences more"
    fn balance(&self) -> String {
        let series = self.changes.series.iter();
        let (before, after) = series.fold((0, 0), |(before, after), c| {
            (before + c.difference.before, after + c.difference.after)
        });
        let occurrences = |n: u64| match n {
            1 => "1 occurrence".to_owned(),
            n => format!("{n} occurrences"),
        };
        let balance = match after.abs_diff(before) {
            0 => "as many occurrences as before".to_owned(),
            n if after > before => format!("{} more", occurrences(n)),
            n => format!("{} fewer", occurrences(n)),
        };
        match self.changes.unseen {
            0 => balance,
            _ => format!("as far as they were looked at {balance}"),
        }
    }

    /// What is to be known of the whole.
    pub(super) fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        let mut add = |word, text| notes.push(Note { word, text });
        if let Some((connection, run)) = &self.changes.refused {
            add(
                "refused",
                format!(
                    "a reload now would be refused and change nothing: connection {connection} is no longer there, \
                     and {run} needs it\nkeep [connection.{connection}] until its runs have ended, or cancel them"
                ),
            );
        }
        if self.is_first {
            let text =
                "no daemon has run here yet, so everything is new; nothing before its start runs";
            add("first", text.to_owned());
        }
        if let Some(mark) = self.silent_since {
            let text = format!(
                "no daemon seems to run: nothing is decided since {mark}. What passes until it starts is decided by \
                 the misfire policies, not by this plan"
            );
            add("no_daemon", text);
        }
        if self.changes.unseen > 0 {
            let text = format!(
                "there are too many occurrences to look at all: those of {} only in part; --days with a smaller \
                 number looks at more of them",
                match self.changes.unseen {
                    1 => "1 series".to_owned(),
                    n => format!("{n} series"),
                }
            );
            add("not_looked_at", text);
        }
        if let Some(until) = self.changes.piles_until {
            let text = format!("pile-ups are looked for up to {until} only");
            add("not_looked_at", text);
        }
        notes
    }

    // ---- series ------------------------------------------------------------------------------------------------------

    /// Series of which the same is to be said are told at once.
    fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut known: HashMap<(String, String), usize> = HashMap::new();
        for change in &self.changes.series {
            let name = words::series(&change.series);
            let key = (head(change), self.body(change));
            match known.get(&key) {
                Some(index) => groups[*index].names.push(name),
                None => {
                    known.insert(key.clone(), groups.len());
                    groups.push(Group {
                        names: vec![name],
                        head: key.0,
                        body: key.1,
                    });
                }
            }
        }
        groups
    }

    fn body(&self, change: &SeriesChange) -> String {
        let mut lines = Lines(Vec::new());
        if let (What::Added, Some((definition, trigger))) = (change.what, &change.after) {
            lines.add("when", trigger.words());
            lines.add("with", words::parameters(definition.parameters.values()));
        }
        edits(&mut lines, &change.edits);
        self.runs(&mut lines, change);
        self.paused(&mut lines, change);
        self.occurrences(&mut lines, change);
        for ZoneNote { text, .. } in self.clock_notes(change) {
            lines.add("clock", text);
        }
        unknown_zone(change)
            .into_iter()
            .for_each(|text| lines.add("note", text));
        lines.0.join("\n")
    }

    /// What becomes of runs that live.
    fn runs(&self, lines: &mut Lines, change: &SeriesChange) {
        let runs = |n: usize, what: &str| (n > 0).then(|| words::count(n, what));
        let (jobs, waiting) = (
            runs(change.at_vendor, "job"),
            runs(change.waiting, "waiting run"),
        );
        let go = |n: usize, one: &'static str, many: &'static str| if n == 1 { one } else { many };
        if let Some(jobs) = jobs {
            let goes = go(change.at_vendor, "goes", "go");
            lines.add("runs", format!("{jobs} {goes} on to the end, as submitted"));
        }
        if let Some(waiting) = waiting {
            let text = match change.what {
                What::Removed => format!(
                    "{waiting} {}: what has not left does not leave any more",
                    go(change.waiting, "ends", "end")
                ),
                What::Added => format!(
                    "{waiting} {} the former definition",
                    go(change.waiting, "keeps", "keep")
                ),
                _ => format!(
                    "{waiting} {} the present definition",
                    go(change.waiting, "keeps", "keep")
                ),
            };
            lines.add("runs", text);
        }
    }

    /// A pause holds over a reload and goes with its schedule.
    fn paused(&self, lines: &mut Lines, change: &SeriesChange) {
        let wishes = self.running.skips.get(&change.series).map_or(0, Vec::len);
        if change.what == What::Removed {
            let schedule = &change.series.schedule;
            let all_go = !self.changes_keep(schedule);
            let pauses = &self.running.pauses;
            let own = pauses
                .iter()
                .any(|p| p.scope == Scope::Schedule(schedule.clone()));
            if own && all_go {
                lines.add("paused", "its pause ends with it".to_owned());
            }
            if wishes > 0 {
                lines.add("skips", "its wishes to skip end with it".to_owned());
            }
            return;
        }
        if let Some(pause) = self.pause_of(change) {
            let (_, zone) = zones(change);
            let time = |at| words::instant(at, &zone, self.changes.span.now);
            let until = pause.until.map(|at| format!(" until {}", time(at)));
            lines.add(
                "paused",
                format!(
                    "since {}{}: what comes passes, and what waits waits on",
                    time(pause.since),
                    until.unwrap_or_default()
                ),
            );
        }
    }

    /// Whether any series of a schedule stays or comes.
    fn changes_keep(&self, schedule: &crate::sched::id::ScheduleName) -> bool {
        let of_schedule = |id: &crate::sched::id::SeriesId| id.schedule == *schedule;
        let gone = self.changes.series.iter();
        let gone = gone.filter(|c| c.what == What::Removed && of_schedule(&c.series));
        let comes = self.changes.series.iter();
        let mut comes = comes.filter(|c| c.what == What::Added && of_schedule(&c.series));
        let open = self.running.series.keys().filter(|id| of_schedule(id));
        comes.next().is_some() || open.count() > gone.count()
    }

    /// How the occurrences of a series differ, with all of them when all are to be shown.
    pub(super) fn difference<'c>(&self, change: &'c SeriesChange) -> Cow<'c, Difference> {
        match self.args.all {
            false => Cow::Borrowed(&change.difference),
            true => {
                let span = self.changes.span;
                Cow::Owned(change.compared(self.running, span, usize::MAX))
            }
        }
    }

    fn occurrences(&self, lines: &mut Lines, change: &SeriesChange) {
        let (before, after) = zones(change);
        let difference = self.difference(change);
        let mut rest = [
            (difference.added, "added"),
            (difference.removed, "removed"),
            (difference.moved, "moved"),
        ];
        for found in &difference.first {
            let (kind, text) = match found {
                Move::Added(a) => (0, self.occurrence(a, &after)),
                Move::Removed(a) => (1, self.occurrence(a, &before)),
                Move::Moved(from, to) => {
                    let from = self.occurrence(from, &before);
                    (2, format!("{from} -> {}", self.occurrence(to, &after)))
                }
            };
            let (left, word) = &mut rest[kind];
            *left = left.saturating_sub(1);
            lines.add(word, text);
        }
        let rest = rest.into_iter().filter(|(n, _)| *n > 0);
        let rest: Vec<String> = rest.map(|(n, word)| format!("{n} more {word}")).collect();
        if !rest.is_empty() {
            lines.add("and", rest.join(", "));
        }
        if let Some(at) = difference.cut {
            let at = words::instant(at, &after, self.changes.span.now);
            let text = format!("compared up to {at} only: there are too many times");
            lines.add("note", text);
        }
    }

    /// "Tue 3 Feb 02:15 +01:00 (jitter 2m 4s; passes: paused)"
    fn occurrence(&self, announced: &Announced, zone: &TimeZone) -> String {
        let Announced {
            occurrence,
            due,
            passes,
        } = announced;
        let of = words::nominal_offset(occurrence.civil, occurrence.instant, zone);
        let nominal = words::nominal(occurrence.civil, of, zone, self.changes.span.now);
        let passes = passes.and_then(|reason| match reason {
            SkipReason::Paused => Some("passes: paused"),
            SkipReason::Asked => Some("passes: somebody asked to skip it"),
            _ => None,
        });
        let notes = unusual(occurrence, *due, zone).into_iter();
        let notes: Vec<String> = notes.chain(passes.map(str::to_owned)).collect();
        match notes.is_empty() {
            true => nominal,
            false => format!("{nominal} ({})", notes.join("; ")),
        }
    }

    /// The clock changes within the span that touch the times of a series as it will be.
    pub(super) fn clock_notes(&self, change: &SeriesChange) -> Vec<ZoneNote> {
        let span = self.changes.span;
        let times = change.after.as_ref();
        let times = times.filter(|_| change.what != What::Edited);
        times.map_or_else(Vec::new, |(_, trigger)| trigger.notes(span.now, span.until))
    }

    // ---- pile-ups ----------------------------------------------------------------------------------------------------

    fn piles(&self) -> Result<(), Failure> {
        let piles = &self.changes.piles;
        if piles.is_empty() {
            return Ok(());
        }
        let out = &self.context.out;
        let grow = piles.iter().filter(|pile| pile.grows()).count();
        let as_before = piles.len() - grow;
        let more = match (grow, as_before) {
            (0, _) => ", none because of this change".to_owned(),
            (_, 0) => String::new(),
            (grow, _) => format!(", {grow} because of this change"),
        };
        out.line(format!(
            "\npile-ups: more is due than may start at once in {}{more}",
            words::count(piles.len(), "minute")
        ))?;
        let shown = self.piles_shown();
        for pile in &shown {
            let minute = words::instant(pile.minute, &TimeZone::UTC, self.changes.span.now);
            out.line(format!(
                "  {minute}  {} due at {} (before: {}), {} = {}",
                pile.due,
                pile.connection,
                pile.before,
                pile.limit.word(),
                pile.allowed
            ))?;
        }
        if shown.len() < piles.len() && !shown.is_empty() {
            out.line(format!("  and {} more", piles.len() - shown.len()))?;
        }
        if let Some(worst) = piles.iter().max_by_key(|pile| pile.due) {
            out.line(format!("  {}", remedy(worst)))?;
        }
        Ok(())
    }
}

/// What to write so that a pile-up is none.
pub(super) fn remedy(pile: &PileUp) -> String {
    // Spread evenly over so many minutes each has no more than is allowed; chance is not that even.
    let minutes = u64::from(pile.due.div_ceil(pile.allowed.max(1))) * 2;
    let jitter = duration::show(Duration::from_secs(minutes * 60));
    let limit = match pile.limit {
        Limit::InFlight => "raise max_in_flight",
        Limit::Requests => "raise requests_per_minute if the vendor allows it",
    };
    format!(
        "what cannot start waits its turn; to spread it write jitter = \"{jitter}\" in [defaults] or in the schedules, or {limit}"
    )
}

/// What cannot be compared because the zone of the present times is not known here.
pub(super) fn unknown_zone(change: &SeriesChange) -> Option<String> {
    let planned = change.before.as_ref()?;
    let zone = &planned.definition.trigger.zone;
    planned
        .trigger
        .is_none()
        .then(|| format!("the present times cannot be shown: this machine knows no zone {zone}"))
}

/// Series of which the same is to be said.
struct Group {
    names: Vec<String>,
    head: String,
    body: String,
}

impl Group {
    fn text(&self) -> String {
        let named = self.names.iter().take(NAMED).map(String::as_str);
        let named = named.collect::<Vec<_>>().join(", ");
        let more = match self.names.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let body = match self.body.is_empty() {
            true => String::new(),
            false => format!("\n{}", self.body),
        };
        format!("{named}{more}: {}{body}", self.head)
    }
}

fn head(change: &SeriesChange) -> String {
    let other = change.renamed.as_ref().map(words::series);
    match (change.what, other) {
        (What::Added, None) => "added: begins now, without a past".to_owned(),
        (What::Added, Some(former)) => format!(
            "added, it seems instead of {former}: a rename is a removal and a birth, so it begins now, without a past"
        ),
        (What::Removed, Some(new)) => format!("removed, it seems in favour of {new}: closed now"),
        (What::Removed, None) if change.disabled => {
            "switched off (enabled = false): closed now".to_owned()
        }
        (What::Removed, None) => "removed: closed now".to_owned(),
        (What::Retimed, _) => "other times, from now on".to_owned(),
        (What::Edited, _) => "edited; its times stay".to_owned(),
    }
}

/// Labelled lines.
struct Lines(Vec<String>);

impl Lines {
    fn add(&mut self, label: &str, text: String) {
        self.0.push(format!("  {label:<9} {text}"));
    }
}

fn edits(lines: &mut Lines, edits: &[Edit]) {
    let shown = edits.iter().take(EDITS);
    let width = shown
        .clone()
        .map(|edit| edit.key.len())
        .max()
        .unwrap_or(0)
        .clamp(9, 30);
    for Edit { key, from, to } in shown {
        let text = match (from, to) {
            (None, None) => "says something else".to_owned(),
            (from, to) => {
                let (from, to) = told(from.as_ref(), to.as_ref());
                format!("{from} -> {to}")
            }
        };
        lines.0.push(format!("  {key:<width$} {text}"));
    }
    if edits.len() > EDITS {
        lines.add("and", format!("{} more edits", edits.len() - EDITS));
    }
}

/// Two values as they are told; of long ones the part around the first difference.
fn told(from: Option<&Value>, to: Option<&Value>) -> (String, String) {
    let whole = |value: Option<&Value>| value.map(ToString::to_string).unwrap_or_default();
    let (a, b) = (whole(from), whole(to));
    if a.chars().count().max(b.chars().count()) <= LONGEST {
        let short = |value: Option<&Value>| value.map_or_else(|| "none".to_owned(), words::value);
        return (short(from), short(to));
    }
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let skipped = same.saturating_sub(LEAD);
    let part = |text: &str, value: Option<&Value>| {
        if value.is_none() {
            return "none".to_owned();
        }
        let lead = if skipped > 0 { "…" } else { "" };
        let mut rest = text.chars().skip(skipped);
        let shown: String = rest.by_ref().take(LONGEST).collect();
        let tail = if rest.next().is_some() { "…" } else { "" };
        format!("{lead}{}{tail}", words::plain(&shown))
    };
    (part(&a, from), part(&b, to))
}
