//! What the coming clock changes do to a schedule, before they do it (rule 10 of *Time*).

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::ZoneNote;
use super::civil::{self, DAY};
use super::place::{CivilRange, Placed, instant_of};
use super::spec::{DstGap, DstOverlap};
use super::zone::{Span, timestamp};

/// The most times that a line names.
const NAMED: usize = 3;

/// The most times that are counted; a line says "and more" beyond.
const COUNTED: usize = 100;

/// One note for each change in (from, until] that touches an expression.
pub(super) fn of(
    placed: &[Placed],
    zone: &TimeZone,
    from: Timestamp,
    until: Timestamp,
) -> Vec<ZoneNote> {
    let mut notes = Vec::new();
    let mut span = Span::at(zone, civil::whole_seconds(from));
    while let Some(next) = span.next(zone)
        && let Some(at) = next.start
        && at <= civil::whole_seconds(until)
    {
        let change = Change { zone, span, next };
        let mut said: Vec<String> = Vec::new();
        for effect in placed.iter().filter_map(|p| change.effect(p)) {
            if !said.contains(&effect) {
                said.push(effect);
            }
        }
        if !said.is_empty() {
            notes.push(ZoneNote {
                at: timestamp(at),
                text: format!("{}: {}", change.title(), said.join("; ")),
            });
        }
        span = next;
    }
    notes
}

/// A change of the clock between two spans.
struct Change<'a> {
    zone: &'a TimeZone,
    span: Span,
    next: Span,
}

impl Change<'_> {
    /// "Sun 28 Mar 2027 02:00 -> 03:00", with the second date where it differs.
    fn title(&self) -> String {
        let (before, after) = (self.span.civil_end(), self.next.civil_start());
        let format = if before.div_euclid(DAY) == after.div_euclid(DAY) {
            "%H:%M"
        } else {
            "%a %-d %b %H:%M"
        };
        format!(
            "{} -> {}",
            told(before, "%a %-d %b %Y %H:%M"),
            told(after, format)
        )
    }

    fn effect(&self, placed: &Placed) -> Option<String> {
        let (before, after) = (self.span.civil_end(), self.next.civil_start());
        match after - before {
            0 => None,
            turn if placed.matches.pattern.interval_like => self.elapsed(placed, turn),
            turn if turn >= DAY => self.no_such_day(placed),
            turn if turn > 0 => self.missing(placed),
            _ => self.repeated(placed, (after, before)),
        }
    }

    /// An interval-like expression goes on in elapsed time.
    fn elapsed(&self, placed: &Placed, turn: i64) -> Option<String> {
        let at = self.next.start?;
        let bounds = &placed.matches.bounds;
        let begun = bounds
            .from
            .is_none_or(|from| instant_of(self.zone, from) <= at);
        let ended = bounds
            .until
            .is_some_and(|until| instant_of(self.zone, until) <= at);
        if !begun || ended {
            return None;
        }
        let (before, after) = (self.span.civil_end(), self.next.civil_start());
        let times = Times::of(placed, (before.min(after), before.max(after)))?;
        Some(if turn > 0 {
            format!(
                "{} not exist, the runs keep their distance",
                times.named("does", "do")
            )
        } else {
            let runs = times.one_or_many("runs", "run");
            format!(
                "{} twice, {runs} both times",
                times.named("occurs", "occur")
            )
        })
    }

    fn no_such_day(&self, placed: &Placed) -> Option<String> {
        let range = placed.swallowed(self.zone, self.span, self.next)?;
        let times = Times::of(placed, range)?;
        let first = told(times.first, "%a %-d %b %Y");
        Some(format!(
            "{first} does not exist here: nothing runs, it is recorded as no such day"
        ))
    }

    fn missing(&self, placed: &Placed) -> Option<String> {
        let range = placed.swallowed(self.zone, self.span, self.next)?;
        let times = Times::of(placed, range)?;
        let what = format!("{} not exist", times.named("does", "do"));
        let instead = format!("{} {}", told(range.1, "%H:%M"), offset(self.next));
        Some(match placed.gap {
            DstGap::Skip => format!("{what}, skipped (dst_gap = \"skip\")"),
            DstGap::Run if placed.matches.next(range.1) == Some(range.1) => {
                format!(
                    "{what}, the run at {instead} stands for {}",
                    times.one_or_many("it", "them")
                )
            }
            DstGap::Run => format!(
                "{what}, {} at {instead}",
                times.one_or_many("runs", "run once")
            ),
        })
    }

    fn repeated(&self, placed: &Placed, range: CivilRange) -> Option<String> {
        let times = Times::of(placed, range)?;
        let what = times.named("occurs", "occur");
        let runs = times.one_or_many("runs", "run");
        Some(match placed.overlap {
            DstOverlap::First => format!(
                "{what} twice, {runs} the first time ({})",
                offset(self.span)
            ),
            DstOverlap::Last => {
                format!("{what} twice, {runs} the last time ({})", offset(self.next))
            }
            DstOverlap::Both => format!("{what} twice, {runs} both times (dst_overlap = \"both\")"),
        })
    }
}

/// The matches in a range of wall times.
struct Times {
    first: i64,
    found: Vec<i64>,
}

impl Times {
    fn of(placed: &Placed, (low, end): CivilRange) -> Option<Self> {
        let following = |&time: &i64| placed.matches.next(time + 1).filter(|&next| next < end);
        let first = placed.matches.next(low).filter(|&first| first < end)?;
        let found = std::iter::successors(Some(first), following)
            .take(COUNTED)
            .collect();
        Some(Self { first, found })
    }

    fn one_or_many<'a>(&self, one: &'a str, many: &'a str) -> &'a str {
        if self.found.len() == 1 { one } else { many }
    }

    /// "02:15 does", "02:00, 02:15 and 2 more do".
    fn named(&self, one: &str, many: &str) -> String {
        let form = if self.found.iter().all(|t| t % 60 == 0) {
            "%H:%M"
        } else {
            "%H:%M:%S"
        };
        let mut names: Vec<String> = self
            .found
            .iter()
            .take(NAMED)
            .map(|&time| told(time, form))
            .collect();
        match self.found.len().saturating_sub(NAMED) {
            0 => {}
            rest if self.found.len() < COUNTED => names.push(format!("{rest} more")),
            _ => names.push("more".to_owned()),
        }
        let verb = self.one_or_many(one, many);
        match &names[..] {
            [rest @ .., last] if !rest.is_empty() => {
                format!("{} and {last} {verb}", rest.join(", "))
            }
            _ => format!("{} {verb}", names.join("")),
        }
    }
}

fn told(civil: i64, format: &str) -> String {
    civil::datetime(civil).map_or_else(String::new, |d| d.strftime(format).to_string())
}

/// "+02:00"
fn offset(span: Span) -> String {
    let seconds = i32::try_from(span.offset).unwrap_or(0);
    Offset::from_seconds(seconds).map_or_else(
        |_| String::new(),
        |o| {
            let minutes = o.seconds().abs() / 60;
            let sign = if o.is_negative() { '-' } else { '+' };
            format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
        },
    )
}
