//! The schedules that a run comes after: how their runs of its date stand, as the record has it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Case;
use crate::cli::exit::Failure;
use crate::cli::serve::store_failure;
use crate::cli::words;
use crate::sched::id::{RunKind, SeriesId, SetName};
use crate::sched::outcome::Outcome;
use crate::sched::policy::after::{After, Day, Standing, Verdict, date_in, sets_for};
use crate::sched::run::{Origin, Run};
use crate::sched::step::SavedSeries;
use crate::sched::time::{TimeRange, Timestamp, earlier};
use crate::store::RunQuery;

/// The most runs of one predecessor that are named.
const NAMED: usize = 10;

/// The most runs of one predecessor that are looked at.
const MOST: usize = 100_000;

/// What was found of the schedules that a run comes after.
pub(super) struct Others {
    /// What follows from it.
    pub(super) verdict: Verdict,
    /// Their runs of its date, one a line.
    pub(super) lines: Vec<String>,
}

impl Case<'_> {
    /// What a run waits for that is due and was never tried; `None` when that is no other schedule.
    pub(super) fn awaits(&self, run: &Run) -> Result<Option<Others>, Failure> {
        let planned = matches!(run.origin, Origin::Planned | Origin::CaughtUp);
        if !planned || run.attempt > 0 {
            return Ok(None);
        }
        // What it waits for follows the configuration that the daemon has.
        let after = match self.saved()? {
            Some(saved) => saved.definition.after.clone(),
            None => run.definition.after.clone(),
        };
        let Some(after) = after else { return Ok(None) };
        let others = self.others(run, &after)?;
        Ok(Some(others).filter(|others| others.verdict != Verdict::Start))
    }

    /// How the runs stand that a run comes after.
    pub(super) fn others(&self, run: &Run, after: &After) -> Result<Others, Failure> {
        let mut lines = Vec::new();
        let mut standings = Vec::new();
        let series = match self.asking.past {
            Some(past) => past.history().series().map_err(store_failure)?,
            None => Vec::new(),
        };
        for schedule in &after.schedules {
            let of = |saved: &&SavedSeries| saved.series.schedule == *schedule;
            let of_schedule: Vec<&SavedSeries> = series.iter().filter(of).collect();
            let sets: Vec<SetName> = of_schedule.iter().map(|s| s.series.set.clone()).collect();
            let chosen = sets_for(&run.id.series.set, &sets);
            let mut standing = Standing::of(schedule);
            for saved in of_schedule
                .iter()
                .filter(|s| chosen.contains(&s.series.set))
            {
                let day = self.day(run, saved, &mut lines)?;
                standing = standing.with(&saved.series, &day, run.due);
            }
            if of_schedule.is_empty() {
                lines.push(format!("{schedule} is not planned"));
            }
            standings.push(standing);
        }
        Ok(Others {
            verdict: after.decide(&standings),
            lines,
        })
    }

    /// What is on record of a predecessor for the date on which a run looks.
    fn day(&self, run: &Run, saved: &SavedSeries, lines: &mut Vec<String>) -> Result<Day, Failure> {
        let mut day = Day::default();
        let name = &saved.definition.trigger.zone;
        let (Some(past), Some(zone)) = (self.asking.past, self.asking.context.zones.get(name))
        else {
            return Ok(day);
        };
        let own = &run.definition.trigger.zone;
        let date = date_in((name, &zone), own, run.civil, run.id.instant);
        let begins = date
            .to_zoned(zone)
            .map_or(Timestamp::MIN, |z| z.timestamp());
        let mut runs = past.runs(&RunQuery {
            schedule: Some(saved.series.schedule.clone()),
            set: Some(saved.series.set.clone()),
            since: Some(earlier(begins, Duration::from_secs(1))),
            until: Some(run.due),
            limit: Some(MOST),
            ..RunQuery::default()
        })?;
        runs.retain(|other| other.civil.date() == date && !other.id.is_manual());
        runs.iter().for_each(|other| day.note(other));
        let range = TimeRange {
            after: begins,
            upto: run.due,
        };
        let missed = past.history().missed(Some(&saved.series), range);
        for missed in missed.map_err(store_failure)? {
            day.pass(begins);
            let (series, count) = (words::series(&saved.series), missed.count);
            let upto = self.told(missed.range.upto);
            let verb = missed.verb();
            lines.push(format!("{series}: {count} times up to {upto} {verb}"));
        }
        if runs.is_empty() && lines.is_empty() {
            let series = words::series(&saved.series);
            lines.push(format!("{series}: no run on {date} ({name}) by then"));
        }
        lines.extend(named(&saved.series, &runs));
        Ok(day)
    }

    /// The lines below a run that waits for others.
    pub(super) fn tell_awaited(&self, run: &Run, others: Others, text: &mut Vec<String>) {
        text.extend(others.lines);
        if let Verdict::Stuck(stuck) = others.verdict {
            let by_hand = stuck.run.filter(|(_, outcome)| !is_skip(*outcome));
            text.push("nothing that runs can end this wait; somebody can:".to_owned());
            text.extend(by_hand.map(|(other, _)| self.next(format_args!("retry {other}"))));
            let series = words::series(&run.id.series);
            text.push(format!(
                "without it: {} and {}",
                self.asking
                    .context
                    .command(format_args!("cancel {}", run.id)),
                self.asking.context.command(format_args!("fire {series}"))
            ));
        }
    }
}

fn is_skip(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Skipped(_))
}

/// What a verdict makes a run wait for, after "waits for".
pub(super) fn wanted(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Wait(run) => format!("{run} to end"),
        Verdict::Stuck(stuck) => format!("a success, and {}", stuck.words()),
        Verdict::NoPredecessor(schedule) => format!("{schedule}, which has no run on its date"),
        Verdict::AllWell => "a failure, and there was none".to_owned(),
        Verdict::Start => "its turn".to_owned(),
    }
}

/// The newest generation of each occurrence, with how it stands.
fn named(series: &SeriesId, runs: &[Run]) -> Vec<String> {
    let mut newest: BTreeMap<Timestamp, &Run> = BTreeMap::new();
    for run in runs {
        let known = newest.entry(run.id.instant).or_insert(run);
        if generation(run) >= generation(known) {
            *known = run;
        }
    }
    let surplus = newest.len().saturating_sub(NAMED);
    let more =
        (surplus > 0).then(|| format!("{}: {surplus} runs before these", words::series(series)));
    let stands = |run: &&Run| match run.outcome() {
        Some(Outcome::Skipped(reason)) => format!("{}: skipped, {reason}", run.id),
        Some(outcome) => format!("{}: {}", run.id, outcome.word()),
        None => format!("{}: {}", run.id, run.state.word()),
    };
    let shown = newest.values().skip(surplus).map(stands);
    more.into_iter().chain(shown).collect()
}

fn generation(run: &Run) -> u32 {
    match run.id.kind {
        RunKind::Generation(number) => number,
        RunKind::Manual(_) => 0,
    }
}
