//! The occurrences of one series over the span, before and after; and how the two differ.

use std::collections::{HashSet, VecDeque};
use std::iter::Peekable;

use super::running::Running;
use crate::sched::act::{Pause, Skip, SkipWhat};
use crate::sched::id::SeriesId;
use crate::sched::outcome::SkipReason;
use crate::sched::scheduler::is_wished;
use crate::sched::time::{Timestamp, between, civil};
use crate::sched::trigger::{Fold, Occurrence, Shape, Trigger};

/// So many occurrences of one series are looked at on each side; what comes later is not compared.
pub const EACH: u64 = 50_000;

/// An occurrence may have moved to a place this far away, in seconds, and still be the same one to people.
const NEAR: u64 = 86_400;

/// One coming occurrence of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// When, by the trigger.
    pub occurrence: Occurrence,
    /// When it may start.
    pub due: Timestamp,
    /// Why it will not run, when that is certain: `Paused`, `Asked` or `NoSuchDay`.
    pub passes: Option<SkipReason>,
}

/// The occurrences of a series after a time, in order, as the scheduler will decide them.
pub struct Lane<'a> {
    series: &'a SeriesId,
    trigger: &'a Trigger,
    at: Timestamp,
    until: Timestamp,
    pauses: Vec<&'a Pause>,
    wishes: Vec<Skip>,
    decided: Option<&'a HashSet<(civil::DateTime, Fold)>>,
}

impl<'a> Lane<'a> {
    /// The occurrences in (from, until].
    pub fn new(
        running: &'a Running,
        series: &'a SeriesId,
        trigger: &'a Trigger,
        from: Timestamp,
        until: Timestamp,
    ) -> Self {
        let pauses = running.pauses.iter();
        Self {
            series,
            trigger,
            at: from,
            until,
            pauses: pauses.filter(|p| p.scope.holds(series)).collect(),
            wishes: wishes(running, series, from),
            decided: running.decided.get(series),
        }
    }

    fn passes(&mut self, occurrence: &Occurrence) -> Option<SkipReason> {
        if occurrence.shape == Shape::NoSuchDay {
            return Some(SkipReason::NoSuchDay);
        }
        if is_wished(&mut self.wishes, occurrence) {
            return Some(SkipReason::Asked);
        }
        let mut pauses = self.pauses.iter();
        let paused = pauses.any(|pause| pause.covers(occurrence.instant));
        paused.then_some(SkipReason::Paused)
    }
}

impl Iterator for Lane<'_> {
    type Item = Announced;

    fn next(&mut self) -> Option<Announced> {
        loop {
            // A trigger that does not advance must not keep us here.
            let occurrence = self
                .trigger
                .after(self.at)
                .filter(|o| o.instant > self.at)?;
            if occurrence.instant > self.until {
                return None;
            }
            self.at = occurrence.instant;
            let known = (occurrence.civil, occurrence.fold);
            if occurrence.clock_like && self.decided.is_some_and(|d| d.contains(&known)) {
                continue;
            }
            return Some(Announced {
                occurrence,
                due: self.trigger.due(self.series, &occurrence),
                passes: self.passes(&occurrence),
            });
        }
    }
}

/// The wishes of a series as they stand when a reload comes: what the present times count until then has counted.
fn wishes(running: &Running, series: &SeriesId, from: Timestamp) -> Vec<Skip> {
    let (Some(wishes), Some(planned)) = (running.skips.get(series), running.series.get(series))
    else {
        return Vec::new();
    };
    let mut wishes = wishes.clone();
    let counts = |w: &Skip| matches!(w.what, SkipWhat::Next(left) if left > 0);
    let (Some(trigger), Some(mut at)) = (&planned.trigger, running.decided_upto(series)) else {
        return wishes;
    };
    while wishes.iter().any(counts)
        && let Some(passed) = trigger.after(at).filter(|o| o.instant > at)
        && passed.instant <= from
    {
        at = passed.instant;
        if passed.shape != Shape::NoSuchDay {
            is_wished(&mut wishes, &passed);
        }
    }
    wishes
}

/// What became of one occurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// It will be, and would not have been; with `passes` on the other side it was there and would have passed.
    Added(Announced),
    /// It will not be.
    Removed(Announced),
    /// It will be at another time.
    Moved(Announced, Announced),
}

impl Move {
    fn instant(&self) -> Timestamp {
        match self {
            Self::Added(a) | Self::Removed(a) | Self::Moved(a, _) => a.occurrence.instant,
        }
    }
}

/// How the occurrences of a series differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// How many would have run.
    pub before: u64,
    /// How many will.
    pub after: u64,
    /// How many are new.
    pub added: u64,
    /// How many are gone.
    pub removed: u64,
    /// How many are at another time.
    pub moved: u64,
    /// The first of them, in order.
    pub first: Vec<Move>,
    /// There are so many that what comes after this time was not compared.
    pub cut: Option<Timestamp>,
}

impl Difference {
    /// Whether any occurrence is added, removed or moved.
    pub fn is_any(&self) -> bool {
        self.added + self.removed + self.moved > 0
    }
}

/// Compares the occurrences of a series, at most so many of each side, and keeps the first `keep` moves.
pub fn difference(
    before: impl Iterator<Item = Announced>,
    after: impl Iterator<Item = Announced>,
    most: u64,
    keep: usize,
) -> Difference {
    let (mut before, mut after) = (before.peekable(), after.peekable());
    let mut result = Difference::default();
    let (mut gone, mut new) = (Vec::new(), Vec::new());
    let mut moves = Vec::new();
    let mut looked = 0;
    while let Some((old, next)) = foremost(&mut before, &mut after) {
        if looked == most.saturating_mul(2) {
            let at = old.or(next).map(|a| a.occurrence.instant);
            result.cut = at;
            break;
        }
        looked += 1;
        result.before += u64::from(old.is_some_and(|a| a.passes.is_none()));
        result.after += u64::from(next.is_some_and(|a| a.passes.is_none()));
        match (old, next) {
            (Some(old), Some(next)) => moves.extend(of_one_instant(old, next)),
            (old, next) => {
                gone.extend(old);
                new.extend(next);
            }
        }
    }
    moves.extend(paired(gone, new));
    moves.sort_by_key(Move::instant);
    for found in &moves {
        *match found {
            Move::Added(_) => &mut result.added,
            Move::Removed(_) => &mut result.removed,
            Move::Moved(..) => &mut result.moved,
        } += 1;
    }
    moves.truncate(keep);
    // There may be very many series: nobody keeps room for what is only counted.
    moves.shrink_to_fit();
    result.first = moves;
    result
}

/// What comes next on either side; both when they are at one instant.
fn foremost<I: Iterator<Item = Announced>, J: Iterator<Item = Announced>>(
    before: &mut Peekable<I>,
    after: &mut Peekable<J>,
) -> Option<(Option<Announced>, Option<Announced>)> {
    let at = |a: Option<&Announced>| a.map(|a| a.occurrence.instant);
    let (old, new) = (at(before.peek()), at(after.peek()));
    let first = [old, new].into_iter().flatten().min()?;
    let old = before.next_if(|a| a.occurrence.instant == first);
    let new = after.next_if(|a| a.occurrence.instant == first);
    Some((old, new))
}

/// What changes of an occurrence that is at the same instant on both sides.
fn of_one_instant(old: Announced, new: Announced) -> Option<Move> {
    match (old.passes, new.passes) {
        (None, Some(_)) => Some(Move::Removed(new)),
        (Some(_), None) => Some(Move::Added(new)),
        _ if old.due != new.due => Some(Move::Moved(old, new)),
        _ => None,
    }
}

/// Pairs what is gone with what is new: on the same nominal date, then the nearest within a day.
fn paired(gone: Vec<Announced>, new: Vec<Announced>) -> Vec<Move> {
    let mut moves = Vec::new();
    let (gone, new) = same_date(gone, new, &mut moves);
    let (mut gone, mut new) = (VecDeque::from(gone), VecDeque::from(new));
    while let (Some(old), Some(next)) = (gone.front(), new.front()) {
        let (a, b) = (old.occurrence.instant, next.occurrence.instant);
        let apart = between(a.min(b), a.max(b)).as_secs();
        if apart < NEAR {
            moves.extend(gone.pop_front().zip(new.pop_front()).map(pair));
        } else if a < b {
            moves.extend(gone.pop_front().map(Move::Removed));
        } else {
            moves.extend(new.pop_front().map(Move::Added));
        }
    }
    moves.extend(gone.into_iter().map(Move::Removed));
    moves.extend(new.into_iter().map(Move::Added));
    moves
}

fn pair((old, new): (Announced, Announced)) -> Move {
    Move::Moved(old, new)
}

/// Pairs what has one nominal date; gives back the rest, in order.
fn same_date(
    gone: Vec<Announced>,
    new: Vec<Announced>,
    moves: &mut Vec<Move>,
) -> (Vec<Announced>, Vec<Announced>) {
    let date = |a: &Announced| a.occurrence.civil.date();
    let (mut gone_rest, mut new_rest) = (Vec::new(), Vec::new());
    let mut coming = new.chunk_by(|a, b| date(a) == date(b)).peekable();
    for old in gone.chunk_by(|a, b| date(a) == date(b)) {
        let day = old.first().map(date);
        while let Some(earlier) = coming.next_if(|c| c.first().map(date) < day) {
            new_rest.extend_from_slice(earlier);
        }
        match coming.next_if(|c| c.first().map(date) == day) {
            Some(next) => nearest(old, next, moves, &mut gone_rest, &mut new_rest),
            None => gone_rest.extend_from_slice(old),
        }
    }
    for rest in coming {
        new_rest.extend_from_slice(rest);
    }
    (gone_rest, new_rest)
}

/// Pairs each of the fewer with the nearest of the more, in order.
fn nearest(
    old: &[Announced],
    new: &[Announced],
    moves: &mut Vec<Move>,
    gone_rest: &mut Vec<Announced>,
    new_rest: &mut Vec<Announced>,
) {
    let fewer_old = old.len() <= new.len();
    let (few, many) = if fewer_old { (old, new) } else { (new, old) };
    let mut rest = Vec::new();
    let mut at = 0;
    for (index, one) in few.iter().enumerate() {
        // Enough must be left for those that follow.
        let last = many.len() - (few.len() - index);
        let apart = |a: &Announced| {
            let (a, b) = (a.occurrence.instant, one.occurrence.instant);
            between(a.min(b), a.max(b))
        };
        while at < last && apart(&many[at + 1]) < apart(&many[at]) {
            rest.push(many[at]);
            at += 1;
        }
        let (from, to) = if fewer_old {
            (*one, many[at])
        } else {
            (many[at], *one)
        };
        moves.push(Move::Moved(from, to));
        at += 1;
    }
    rest.extend_from_slice(&many[at..]);
    if fewer_old {
        new_rest.extend(rest);
    } else {
        gone_rest.extend(rest);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::sched::time::TimeZone;
    use crate::sched::trigger::{Rhythm, TriggerSpec};

    /// The occurrences of an expression in UTC from Tuesday, 3 February 2026 on, for so many days.
    fn lane(line: &str, days: i64) -> Vec<Announced> {
        let spec = TriggerSpec::new(Rhythm::Cron(vec![line.to_owned()]), "UTC");
        let series: SeriesId = "a/default".parse().unwrap();
        let trigger = Trigger::new(&spec, TimeZone::UTC, &series.schedule).unwrap();
        let from = Timestamp::constant(1_770_076_799, 0);
        let until = from + jiff::SignedDuration::from_hours(24 * days);
        Lane::new(&Running::default(), &series, &trigger, from, until).collect()
    }

    fn told(before: &str, after: &str, days: i64) -> String {
        let (before, after) = (lane(before, days), lane(after, days));
        let found = difference(before.into_iter(), after.into_iter(), EACH, usize::MAX);
        let short = |a: &Announced| a.occurrence.civil.strftime("%d.%H").to_string();
        let first = found.first.iter().map(|m| match m {
            Move::Added(a) => format!("+{}", short(a)),
            Move::Removed(a) => format!("-{}", short(a)),
            Move::Moved(a, b) => format!("{}>{}", short(a), short(b)),
        });
        first.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_stays_is_not_told_and_what_moves_is_paired_within_its_date() {
        assert_eq!(told("0 2 * * *", "0 2 * * *", 3), "");
        assert_eq!(
            told("0 2 * * *", "0 23 * * *", 2),
            "03.02>03.23 04.02>04.23"
        );
        assert_eq!(told("0 2,8 * * *", "0 2,9 * * *", 1), "03.08>03.09");
    }

    #[test]
    fn the_nearest_of_a_date_is_taken_and_the_others_are_added_or_removed() {
        assert_eq!(
            told("0 8 * * *", "0 1,9,20 * * *", 1),
            "+03.01 03.08>03.09 +03.20"
        );
        assert_eq!(
            told("0 1,9,20 * * *", "0 8 * * *", 1),
            "-03.01 03.09>03.08 -03.20"
        );
        assert_eq!(
            told("0 8,9 * * *", "0 10,11,12 * * *", 1),
            "03.08>03.10 03.09>03.11 +03.12"
        );
    }

    #[test]
    fn within_a_day_it_may_have_another_date() {
        assert_eq!(told("0 23 3 2 *", "0 1 4 2 *", 2), "03.23>04.01");
        assert_eq!(told("0 1 3 2 *", "0 2 4 2 *", 2), "-03.01 +04.02");
    }

    #[test]
    fn too_many_times_are_cut_and_that_is_said() {
        let (before, after) = (lane("0 * * * *", 3), lane("30 * * * *", 3));
        let found = difference(before.into_iter(), after.into_iter(), 10, 2);
        assert_eq!((found.before, found.after), (10, 10));
        assert_eq!((found.moved, found.first.len()), (10, 2));
        let tenth = "2026-02-03T10:00:00Z".parse().unwrap();
        assert_eq!(found.cut, Some(tenth));
    }

    #[test]
    fn what_passes_is_not_counted_and_running_after_all_is_new() {
        let before: Vec<Announced> = lane("0 2 * * *", 2)
            .into_iter()
            .map(|a| Announced {
                passes: Some(SkipReason::Asked),
                ..a
            })
            .collect();
        let after = lane("0 2 * * *", 2);
        let found = difference(
            before.clone().into_iter(),
            after.clone().into_iter(),
            EACH,
            9,
        );
        assert_eq!((found.before, found.after, found.added), (0, 2, 2));
        let back = difference(after.into_iter(), before.into_iter(), EACH, 9);
        assert_eq!((back.after, back.removed), (0, 2));
    }
}
