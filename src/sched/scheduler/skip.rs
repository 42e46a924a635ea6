//! Coming occurrences that somebody does not want to run: a wish until their time comes, then a record.

use super::Scheduler;
use super::acts::Done;
use super::fire::{Refusal, one_set, refuse};
use crate::sched::act::{By, Skip, SkipWhat};
use crate::sched::id::{ScheduleName, SeriesId, SetName};
use crate::sched::step::Change;
use crate::sched::time::{Now, Timestamp, civil, earlier};
use crate::sched::trigger::{Occurrence, Shape};

/// A series has at most so many wishes.
const WISHES: usize = 366;
/// So many times are named in an answer.
const NAMED: usize = 5;

impl Scheduler {
    pub(super) fn skip_asked(
        &mut self,
        schedule: &ScheduleName,
        set: Option<&SetName>,
        what: SkipWhat,
        by: &By,
        now: Now,
    ) -> Result<Done, Refusal> {
        self.decide_all_past(now)?;
        let chosen = self.chosen(schedule, set)?;
        let mut times: Vec<Timestamp> = Vec::new();
        let mut hit = Vec::new();
        for index in chosen {
            let found = self.hits(index, what)?;
            if found.is_empty() {
                continue;
            }
            let others = self.skips_of(self.series[index].id()).iter();
            let others = others.filter(|skip| skip.what.key() != what.key()).count();
            if others >= WISHES {
                return refuse(
                    format!("{schedule} has {WISHES} wishes to skip already"),
                    "pause it, or put the dates into `exclude`",
                );
            }
            times.extend(found);
            hit.push(index);
        }
        if hit.is_empty() {
            return refuse(
                format!("{schedule} has no such time before it"),
                format!("`nightcall next {schedule}` shows what comes"),
            );
        }
        for index in hit {
            let skip = Skip {
                series: self.series[index].id().clone(),
                what,
                at: now.wall,
                by: by.clone(),
            };
            let skips = self.skips.entry(skip.series.clone()).or_default();
            skips.retain(|other| other.what.key() != what.key());
            skips.push(skip.clone());
            self.step.changes.push(Change::Skip(skip));
        }
        times.sort_unstable();
        times.dedup();
        Ok(Done::new(format!("{schedule} does not run {}", named(&times))).of(schedule))
    }

    pub(super) fn unskip(
        &mut self,
        schedule: &ScheduleName,
        set: Option<&SetName>,
        what: Option<SkipWhat>,
        now: Now,
    ) -> Result<Done, Refusal> {
        self.decide_all_past(now)?;
        let key = what.map(|what| what.key());
        let mut taken = 0;
        for index in self.chosen(schedule, set)? {
            let wanted = |skip: &Skip| key.as_ref().is_none_or(|key| skip.what.key() == *key);
            let (gone, kept) = self.take_skips(index).into_iter().partition(wanted);
            self.put_skips(index, kept);
            taken += gone.len();
            self.forget_skips(gone);
        }
        if taken == 0 {
            return refuse(
                format!("nothing of {schedule} is to be skipped so"),
                "`nightcall status` shows what is",
            );
        }
        Ok(Done::new(format!("{schedule} runs as planned again")).of(schedule))
    }

    /// The series that are meant: one set, or all.
    fn chosen(
        &self,
        schedule: &ScheduleName,
        set: Option<&SetName>,
    ) -> Result<Vec<usize>, Refusal> {
        let sets = self.sets_of(schedule)?;
        match set {
            Some(set) => Ok(vec![one_set(schedule, &sets, set)?]),
            None => Ok(sets.into_iter().map(|(index, _)| index).collect()),
        }
    }

    /// The first coming occurrences that a wish hits, as they stand now.
    fn hits(&self, index: usize, what: SkipWhat) -> Result<Vec<Timestamp>, Refusal> {
        let series = &self.series[index];
        let trigger = &series.trigger;
        let undecided = series.cursor.max(self.mark);
        let just_before = |t: Timestamp| earlier(t, std::time::Duration::from_nanos(1));
        let coming = |from: Timestamp| {
            let mut at = from;
            std::iter::from_fn(move || {
                let next = trigger.after(at)?;
                at = next.instant;
                Some(next)
            })
        };
        let runs = |o: &Occurrence| o.shape != Shape::NoSuchDay;
        Ok(match what {
            SkipWhat::Next(n) if n == 0 || n > SkipWhat::MOST => {
                return refuse(
                    format!("that many times cannot be skipped: {n}"),
                    format!(
                        "from 1 to {}; a pause holds back any number",
                        SkipWhat::MOST
                    ),
                );
            }
            SkipWhat::Next(n) => {
                let next = coming(undecided).filter(runs).take(n as usize);
                next.map(|o| o.instant).collect()
            }
            SkipWhat::On(date) => {
                // A time that a gap swallowed is placed on the next day at the latest.
                let Some(begins) = start_of(date, trigger.zone()) else {
                    return Ok(Vec::new()); // beyond the end of time
                };
                let from = undecided.max(just_before(begins));
                let first = coming(from).take_while(|o| o.civil.date() <= date);
                let of_date = first.filter(runs).filter(|o| o.civil.date() == date);
                of_date.take(NAMED + 1).map(|o| o.instant).collect()
            }
            SkipWhat::At(instant) => {
                let next = coming(undecided.max(just_before(instant))).next();
                let hit = next.filter(|o| o.instant == instant && runs(o));
                hit.map(|o| o.instant).into_iter().collect()
            }
        })
    }

    /// After a span was decided: what is fulfilled is forgotten, and what counts has counted.
    pub(super) fn keep_skips(
        &mut self,
        index: usize,
        before: Vec<Skip>,
        mut after: Vec<Skip>,
        upto: Timestamp,
    ) {
        if after.is_empty() {
            return;
        }
        let zone = self.series[index].trigger.zone();
        let today = upto.to_zoned(zone.clone()).date();
        for (skip, former) in after.iter().zip(&before) {
            if !is_over(&skip.what, upto, today) && skip != former {
                self.step.changes.push(Change::Skip(skip.clone()));
            }
        }
        let over = |skip: &Skip| is_over(&skip.what, upto, today);
        let gone = after.extract_if(.., |skip| over(skip)).collect();
        self.put_skips(index, after);
        self.forget_skips(gone);
    }

    /// A series is closed: nobody waits for its times any more.
    pub(super) fn forget_acts(&mut self, index: usize) {
        let gone = self.take_skips(index);
        self.forget_skips(gone);
        self.closed = true;
    }

    /// The coming occurrences of a series that are not to run.
    pub(super) fn skips_of(&self, series: &SeriesId) -> &[Skip] {
        self.skips.get(series).map_or(&[], Vec::as_slice)
    }

    pub(super) fn take_skips(&mut self, index: usize) -> Vec<Skip> {
        let of_series = self.skips.remove(self.series[index].id());
        of_series.unwrap_or_default()
    }

    fn put_skips(&mut self, index: usize, skips: Vec<Skip>) {
        if !skips.is_empty() {
            self.skips.insert(self.series[index].id().clone(), skips);
        }
    }

    fn forget_skips(&mut self, gone: Vec<Skip>) {
        for skip in gone {
            let change = Change::Unskip(skip.series, skip.what);
            self.step.changes.push(change);
        }
    }
}

/// Whether an occurrence is not to run; what counts counts it.
pub fn is_wished(wishes: &mut [Skip], occurrence: &Occurrence) -> bool {
    let mut wished = false;
    for wish in wishes {
        wished |= match &mut wish.what {
            SkipWhat::Next(0) => false,
            SkipWhat::Next(left) => {
                *left -= 1;
                true
            }
            SkipWhat::On(date) => occurrence.civil.date() == *date,
            SkipWhat::At(instant) => occurrence.instant == *instant,
        };
    }
    wished
}

/// Whether the next occurrence of a series, which is at this instant, is not to run.
pub(super) fn hits_next(
    wishes: &[Skip],
    instant: Timestamp,
    zone: &crate::sched::time::TimeZone,
) -> bool {
    wishes.iter().any(|wish| match wish.what {
        SkipWhat::Next(left) => left > 0,
        SkipWhat::On(date) => instant.to_zoned(zone.clone()).date() == date,
        SkipWhat::At(at) => at == instant,
    })
}

/// Whether a wish has nothing more to hit, when everything up to then is decided.
fn is_over(what: &SkipWhat, upto: Timestamp, today: civil::Date) -> bool {
    match what {
        SkipWhat::Next(left) => *left == 0,
        SkipWhat::On(date) => *date < today,
        SkipWhat::At(instant) => *instant <= upto,
    }
}

fn start_of(date: civil::Date, zone: &crate::sched::time::TimeZone) -> Option<Timestamp> {
    let start = zone
        .to_ambiguous_zoned(date.at(0, 0, 0, 0))
        .earlier()
        .ok()?;
    Some(start.timestamp())
}

/// Times for people, a bounded list.
fn named(times: &[Timestamp]) -> String {
    let shown: Vec<String> = times
        .iter()
        .take(NAMED)
        .map(|t| format!("at {t}"))
        .collect();
    match times.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        _ => format!("{} and later", shown.join(", ")),
    }
}
