//! The list of runs as people read it: dates and offsets only where they change, and what to ask next.

use std::collections::HashMap;

use comfy_table::Cell;
use jiff::tz::TimeZone;

use super::OUTCOMES;
use crate::cli::Context;
use crate::cli::exit::Failure;
use crate::cli::output::outcome_cell;
use crate::cli::select::{self, Past, zone_of};
use crate::cli::serve::store_failure;
use crate::cli::words;
use crate::config::Config;
use crate::sched::id::ConnectionName;
use crate::sched::outcome::{Outcome, SkipReason};
use crate::sched::run::{CancelWhy, Origin, Run};
use crate::sched::step::Missed;
use crate::sched::time::{Timestamp, between};
use crate::store::Incident;

/// The most ranges of missed times that are shown to people.
const MISSED: usize = 20;

/// What is wrong with each connection that runs wait for; `None` when it is not known to be down.
type Down = HashMap<ConnectionName, Option<Incident>>;

/// The page for people.
pub(super) struct Page<'a> {
    pub(super) context: &'a Context,
    pub(super) past: &'a Past,
    pub(super) now: Timestamp,
}

impl Page<'_> {
    /// One row a run.
    pub(super) fn table(&self, runs: &[Run]) -> Result<(), Failure> {
        let zones: Vec<TimeZone> = runs
            .iter()
            .map(|run| zone_of(run, &self.context.zones))
            .collect();
        let shown = runs.iter().zip(&zones);
        let width = shown
            .clone()
            .map(|(run, zone)| words::date(run.civil.date(), zone, self.now).len())
            .max()
            .unwrap_or(0);
        let down = self.down(runs)?;
        let mut above = (String::new(), String::new());
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        for (run, zone) in shown {
            let date = words::date(run.civil.date(), zone, self.now);
            let offset = words::offset(words::run_offset(run, zone));
            let time = words::clock(run.civil.time());
            // the date and the offset only where they change
            let day = if date == above.0 { "" } else { date.as_str() };
            let mut nominal = format!("{day:<width$} {time}");
            if !day.is_empty() || offset != above.1 {
                nominal = format!("{nominal} {offset}");
            }
            above = (date, offset);
            rows.push(vec![
                Cell::new(nominal),
                Cell::new(words::series(&run.id.series)),
                outcome_cell(run.outcome().map_or(run.state.word(), Outcome::word)),
                Cell::new(match run.attempt {
                    0 => "-".to_owned(),
                    n => n.to_string(),
                }),
                Cell::new(took(run, self.now)),
                Cell::new(why(run, &down, self.now)),
            ]);
        }
        let head = ["NOMINAL", "SERIES", "OUTCOME", "TRIES", "TOOK", "WHY"];
        self.context.out.table(&head, rows)
    }

    /// The connections that do not work, of those that runs wait for.
    fn down(&self, runs: &[Run]) -> Result<Down, Failure> {
        let mut down = Down::new();
        for run in runs.iter().filter(|run| waits(run, self.now)) {
            let connection = &run.definition.connection;
            if !down.contains_key(connection) {
                let incident = self.past.history().incident(connection);
                down.insert(connection.clone(), incident.map_err(store_failure)?);
            }
        }
        Ok(down)
    }

    /// One line a range of times that were missed in bulk.
    pub(super) fn missed(&self, missed: &[Missed], config: &Config) -> Result<(), Failure> {
        let more = missed.len().saturating_sub(MISSED);
        if more > 0 {
            let text = format!("{more} older ranges of missed times (--json shows all)");
            self.context.out.line(text)?;
        }
        for missed in &missed[more..] {
            let schedule = select::configured(config, &missed.series.schedule);
            let zone = schedule.map_or(TimeZone::UTC, |s| s.trigger.zone().clone());
            let at = |t: Timestamp| words::instant(t, &zone, self.now);
            self.context.out.line(format!(
                "{}: {} times after {} up to {} {}",
                words::series(&missed.series),
                missed.count,
                at(missed.range.after),
                at(missed.range.upto),
                missed.verb()
            ))?;
        }
        Ok(())
    }

    /// "7 runs: 6 succeeded, 1 failed", and below it "next: nightcall why store-clusters/hyper".
    pub(super) fn summary(&self, runs: &[Run], cut: bool) -> Result<String, Failure> {
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for run in runs {
            let word = run.outcome().map_or(run.state.word(), Outcome::word);
            match counts.iter_mut().find(|(known, _)| *known == word) {
                Some((_, n)) => *n += 1,
                None => counts.push((word, 1)),
            }
        }
        let rank = |word: &str| {
            let ends = OUTCOMES.iter().position(|outcome| *outcome == word);
            ends.unwrap_or(OUTCOMES.len())
        };
        counts.sort_by_key(|(word, _)| rank(word));
        let counted: Vec<String> = counts.iter().map(|(w, n)| format!("{n} {w}")).collect();
        let mut text = format!(
            "{}: {}",
            words::count(runs.len(), "run"),
            counted.join(", ")
        );
        if cut {
            text.push_str(" (the newest; -n shows more)");
        }
        if let Some(run) = worth_asking(runs) {
            let why = format!("why {}", self.selector(run)?);
            text.push_str(&format!("\n{}", self.context.next(why)));
        }
        Ok(text)
    }

    /// The series when the run is its latest, else the run.
    fn selector(&self, run: &Run) -> Result<String, Failure> {
        let latest = self.past.latest(&run.id.series)?;
        Ok(match latest.is_some_and(|latest| latest.id == run.id) {
            true => words::series(&run.id.series),
            false => run.id.to_string(),
        })
    }
}

/// The newest run that went wrong; else the newest that was passed over.
fn worth_asking(runs: &[Run]) -> Option<&Run> {
    let newest = |wanted: fn(Outcome) -> bool| {
        let mut newest_first = runs.iter().rev();
        newest_first.find(|run| run.outcome().is_some_and(wanted))
    };
    newest(|o| matches!(o, Outcome::Failed | Outcome::TimedOut | Outcome::Lost))
        .or_else(|| newest(|o| matches!(o, Outcome::Cancelled | Outcome::Skipped(_))))
}

/// The last attempt, from its submission to its end, or until now.
fn took(run: &Run, now: Timestamp) -> String {
    match (run.submitted, run.finished) {
        (Some(from), Some(to)) => words::took(between(from, to)),
        (Some(from), None) if run.in_flight() => {
            format!("{} so far", words::took(between(from, now)))
        }
        _ => "-".to_owned(),
    }
}

/// Whether it could go on, if its turn came.
fn waits(run: &Run, now: Timestamp) -> bool {
    let state = run.state.word();
    run.due <= now && matches!(state, "pending" | "backoff")
}

/// Why it is as it is, in a few words.
fn why(run: &Run, down: &Down, now: Timestamp) -> String {
    let reason = run.fault.as_ref().map(|fault| words::plain(&fault.reason));
    let mut parts: Vec<String> = Vec::new();
    match run.outcome() {
        Some(Outcome::Succeeded) => parts.extend(reason.map(|r| format!("{r} at first"))),
        Some(Outcome::Skipped(SkipReason::Observed)) => {
            let with = words::parameters(&run.parameters);
            parts.push(format!("would have run, with {with}"));
        }
        Some(Outcome::Skipped(skip)) => parts.push(format!("{}: {skip}", skip.word())),
        Some(Outcome::Cancelled) => parts.push(cancelled(run.cancel).to_owned()),
        Some(Outcome::Failed | Outcome::TimedOut | Outcome::Lost) => parts.extend(reason),
        None => parts.extend(reason.map(|r| format!("after {r}"))),
    }
    let connection = &run.definition.connection;
    if waits(run, now) && matches!(down.get(connection), Some(Some(_))) {
        parts.push(format!("waits, {connection} does not work"));
    }
    if let Some(ended) = run.resolved {
        parts.push(format!("a person says: {}", ended.word()));
    }
    match run.origin {
        Origin::Planned => {}
        Origin::CaughtUp => parts.push("caught up".to_owned()),
        Origin::Manual => parts.push("by hand".to_owned()),
        Origin::Retried => parts.push("retried".to_owned()),
        Origin::Rerun => parts.push("run once more".to_owned()),
        Origin::Backfilled => parts.push("backfilled".to_owned()),
        Origin::Adopted => parts.push("adopted".to_owned()),
    }
    parts.join(", ")
}

/// Who stopped it.
fn cancelled(why: Option<CancelWhy>) -> &'static str {
    match why {
        None => "stopped at the vendor",
        Some(CancelWhy::Asked) => "asked for",
        Some(CancelWhy::Timeout) => "time limit",
        Some(CancelWhy::Superseded) => "a newer run took its place",
        Some(CancelWhy::Removed) => "no longer in the configuration",
    }
}
