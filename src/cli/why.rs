//! `nightcall why`: the story of one time of a schedule in sentences, whether it ran or not.
//!
//! What is on record is told by `run.rs` and `live.rs` with `after.rs`, what is not by `absent.rs`, with the occurrences that
//! `occurrences.rs` finds.

mod absent;
mod after;
mod live;
mod occurrences;
mod run;

use std::sync::Arc;

use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::Context;
use super::exit::{Exit, Failure, Outcome};
use super::select::when::When;
use super::select::{self, Past, Selector, zone_of};
use super::serve::store_failure;
use super::words;
use crate::config::{Config, Schedule};
use crate::control::wire::{self, RunView};
use crate::sched::id::{RunId, SeriesId};
use crate::sched::run::Run;
use crate::sched::schedule::Definition;
use crate::sched::step::Missed;
use crate::sched::time::{TimeRange, Timestamp};
use crate::sched::trigger::Occurrence;

/// The most series whose stories are told at once.
const SERIES: usize = 20;

/// The most runs that an answer lists.
const LISTED: usize = 20;

/// Tell what happened at a time of a schedule, and why.
///
/// Works without a daemon, also for times that did not run, will run, or are no times of the schedule. Without a time
/// it is the latest. Times without an offset are read in the schedule's time zone.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall why store-clusters/hyper\n  nightcall why store-clusters 02:15\n  \
                  nightcall why store-clusters/hyper 2026-02-03T02:15"
)]
pub struct WhyArgs {
    /// `SCHEDULE[/SET]`, then `@TIME` for another than the latest; or the id of a run
    #[arg(value_name = "SELECTOR")]
    pub series: String,
    /// Which time: 02:15 (the last one), 2026-02-03, 2026-02-03T02:15, RFC 3339, yesterday
    #[arg(value_name = "TIME")]
    pub time: Option<String>,
}

/// The answer for one series, as `why --json` prints it.
#[derive(Clone, Debug, Serialize)]
struct Answer {
    schedule: String,
    set: String,
    /// The nominal time, RFC 3339 with offset; null when there is none to tell of.
    time: Option<String>,
    /// How the run ended or where it stands; for a time without a run `missed`, `future`, `disabled`, `excluded`,
    /// `out_of_bounds`, `gap`, `fold`, `not_an_occurrence`, `before_first_seen`, `not_seen`, `undecided`,
    /// `not_on_record`, `not_configured`; `several` when the time names more than one.
    verdict: String,
    /// The story, line by line.
    text: Vec<String>,
    run: Option<RunView>,
}

/// `nightcall why`.
pub fn why(context: &Context, args: WhyArgs) -> Outcome {
    why_at(context, args, Timestamp::now())
}

/// `nightcall why`, asked at a given time.
pub fn why_at(context: &Context, args: WhyArgs, now: Timestamp) -> Outcome {
    let config = context.load()?;
    let past = Past::open(&config, &context.zones)?;
    let asking = Asking {
        context,
        config: &config,
        past: past.as_ref(),
        now,
    };
    let answers = match (Selector::read(&args.series)?, args.time.as_deref()) {
        (Selector::Run(_) | Selector::Series { when: Some(_), .. }, Some(time)) => {
            return Err(Failure::new(
                Exit::Usage,
                format!("{:?} names a time, and {time:?} is another", args.series),
                "leave one of them out",
            ));
        }
        (Selector::Run(id), None) => vec![asking.about_run(id)?],
        (
            Selector::Series {
                schedule,
                set,
                when,
            },
            time,
        ) => {
            let when = match time {
                Some(time) => Some(When::read(time)?),
                None => when,
            };
            let all = select::all_series(&config, past.as_ref(), &schedule, set.as_ref())?;
            if all.len() > SERIES {
                return Err(too_many(context, &all));
            }
            let about = |series| asking.about_series(series, when.as_ref());
            all.into_iter().map(about).collect::<Result<_, _>>()?
        }
    };
    show(context, &answers)?;
    Ok(Exit::Ok)
}

fn too_many(context: &Context, all: &[SeriesId]) -> Failure {
    let first = all.first().map(ToString::to_string).unwrap_or_default();
    Failure::new(
        Exit::Usage,
        format!(
            "the schedule has {} series, too many to tell of at once",
            all.len()
        ),
        format!("name one: {}", context.command(format_args!("why {first}"))),
    )
}

fn show(context: &Context, answers: &[Answer]) -> Result<(), Failure> {
    for (index, answer) in answers.iter().enumerate() {
        if context.out.json {
            context.out.object(answer)?;
            continue;
        }
        if answers.len() > 1 {
            let gap = if index > 0 { "\n" } else { "" };
            context
                .out
                .line(format!("{gap}{}/{}", answer.schedule, answer.set))?;
        }
        for line in &answer.text {
            context.out.line(line)?;
        }
    }
    Ok(())
}

/// Who asks, of what.
struct Asking<'a> {
    context: &'a Context,
    config: &'a Config,
    past: Option<&'a Past>,
    now: Timestamp,
}

/// One series that is asked about.
struct Case<'a> {
    asking: &'a Asking<'a>,
    series: SeriesId,
    /// As the configuration has it now.
    schedule: Option<&'a Schedule>,
    definition: Option<&'a Arc<Definition>>,
    zone: TimeZone,
}

impl<'a> Asking<'a> {
    fn case(&'a self, series: SeriesId) -> Result<Case<'a>, Failure> {
        let schedule = select::configured(self.config, &series.schedule);
        let definitions = schedule
            .map(|s| s.definitions.as_slice())
            .unwrap_or_default();
        let zone = match (schedule, self.past) {
            (Some(schedule), _) => schedule.trigger.zone().clone(),
            (None, Some(past)) => past
                .latest(&series)?
                .map_or(TimeZone::UTC, |run| zone_of(&run, &self.context.zones)),
            (None, None) => TimeZone::UTC,
        };
        Ok(Case {
            asking: self,
            definition: definitions.iter().find(|d| d.series == series),
            series,
            schedule,
            zone,
        })
    }

    fn about_run(&self, id: RunId) -> Result<Answer, Failure> {
        let case = self.case(id.series.clone())?;
        if let Some(story) = case.story(&id)? {
            return case.of_run(&story);
        }
        if id.is_manual() || case.definition.is_none() {
            return Err(Failure::new(
                Exit::Failed,
                format!("no run is recorded for {id}"),
                self.context
                    .next(format_args!("runs --schedule {}", id.series.schedule)),
            ));
        }
        let when = When::read(&id.instant.to_string())?;
        case.unrecorded(&when)
    }

    fn about_series(&self, series: SeriesId, when: Option<&When>) -> Result<Answer, Failure> {
        let case = self.case(series)?;
        match when {
            None => case.latest(),
            Some(when) => case.at(when),
        }
    }
}

impl Case<'_> {
    fn now(&self) -> Timestamp {
        self.asking.now
    }

    /// The latest thing that happened or should have.
    fn latest(&self) -> Result<Answer, Failure> {
        let run = match self.asking.past {
            Some(past) => past.latest(&self.series)?,
            None => None,
        };
        let missed = self.missed(Timestamp::MIN, self.now())?.pop();
        let known = [
            run.as_ref().map(|run| run.id.instant),
            missed.as_ref().map(|missed| missed.range.upto),
        ];
        let known = known.into_iter().flatten().max();
        if let Some(overdue) = self.last_occurrence()
            && known.is_some_and(|known| known < overdue.instant)
            && !self.disabled()
        {
            return self.of_occurrence(&overdue);
        }
        match (run, missed) {
            (Some(run), missed)
                if missed
                    .as_ref()
                    .is_none_or(|m| m.range.upto < run.id.instant) =>
            {
                self.of_known(&run)
            }
            (_, Some(missed)) => Ok(self.of_missed(&missed, None)),
            (_, None) => self.nothing_yet(),
        }
    }

    /// What is on record for a time, else what is known of it.
    fn at(&self, when: &When) -> Result<Answer, Failure> {
        let mut runs = match self.asking.past {
            Some(past) => past.named(&self.series, when, &self.zone, self.now())?,
            None => Vec::new(),
        };
        if let When::Clock(..) = when
            && let Some(newer) = self.named(when).last()
            && runs
                .last()
                .is_some_and(|run| run.id.instant < newer.instant)
        {
            // the last one is not on record, so the one before it is not meant
            runs.clear();
        }
        match runs.as_slice() {
            [] => self.unrecorded(when),
            [run] => self.of_known(run),
            several => Ok(self.several_runs(several)),
        }
    }

    /// A time that no run is on record for.
    fn unrecorded(&self, when: &When) -> Result<Answer, Failure> {
        match self.named(when).as_slice() {
            [] => Ok(self.not_named(when)),
            [occurrence] => self.of_unrecorded(occurrence),
            several => self.several_times(several),
        }
    }

    fn of_unrecorded(&self, occurrence: &Occurrence) -> Result<Answer, Failure> {
        match self.missed_at(occurrence)? {
            Some(missed) => Ok(self.of_missed(&missed, Some(occurrence))),
            None => self.of_occurrence(occurrence),
        }
    }

    fn missed_at(&self, occurrence: &Occurrence) -> Result<Option<Missed>, Failure> {
        let just_before =
            crate::sched::time::earlier(occurrence.instant, std::time::Duration::from_nanos(1));
        Ok(self.missed(just_before, occurrence.instant)?.pop())
    }

    /// What was missed in bulk of this series, overlapping (after, upto].
    fn missed(&self, after: Timestamp, upto: Timestamp) -> Result<Vec<Missed>, Failure> {
        let Some(past) = self.asking.past else {
            return Ok(Vec::new());
        };
        let range = TimeRange { after, upto };
        let found = past.history().missed(Some(&self.series), range);
        found.map_err(store_failure)
    }

    fn disabled(&self) -> bool {
        self.schedule.is_some_and(|schedule| !schedule.enabled)
    }

    fn story(&self, id: &RunId) -> Result<Option<crate::store::Story>, Failure> {
        match self.asking.past {
            Some(past) => past.history().story(id).map_err(store_failure),
            None => Ok(None),
        }
    }

    fn of_known(&self, run: &Run) -> Result<Answer, Failure> {
        let story = self.story(&run.id)?;
        // it was pruned in between, or a moment ago
        let story = story.unwrap_or_else(|| crate::store::Story {
            run: run.clone(),
            records: Vec::new(),
            notices: Vec::new(),
        });
        self.of_run(&story)
    }

    fn several_runs(&self, runs: &[Run]) -> Answer {
        let mut text = vec![format!("{} runs match:", runs.len())];
        text.extend(runs.iter().take(LISTED).map(|run| {
            let stands = run.outcome().map_or(run.state.word(), |o| o.word());
            format!("  {}  {stands}", run.id)
        }));
        if runs.len() > LISTED {
            text.push(format!("  and {} more", runs.len() - LISTED));
        }
        text.extend(
            runs.last()
                .map(|run| self.next(format_args!("why {}", run.id))),
        );
        self.answer("several", None, text)
    }

    fn answer(&self, verdict: &str, time: Option<String>, text: Vec<String>) -> Answer {
        Answer {
            schedule: self.series.schedule.to_string(),
            set: self.series.set.to_string(),
            time,
            verdict: verdict.to_owned(),
            text,
            run: None,
        }
    }

    fn answer_of(&self, run: &Run, verdict: &str, text: Vec<String>) -> Answer {
        let zone = zone_of(run, &self.asking.context.zones);
        Answer {
            run: Some(RunView::of(run, &zone)),
            ..self.answer(verdict, Some(wire::nominal(run, &zone)), text)
        }
    }

    /// What to type next.
    fn next(&self, arguments: impl std::fmt::Display) -> String {
        self.asking.context.next(arguments)
    }

    /// An instant in the zone of the series, for people.
    fn told(&self, at: Timestamp) -> String {
        words::instant(at, &self.zone, self.now())
    }

    /// "next: nightcall fire …" below its condition, when that can be done.
    fn fire(&self, text: &mut Vec<String>, condition: Option<&str>) {
        match (self.definition, self.disabled()) {
            (Some(_), false) => {
                let series = words::series(&self.series);
                let next = self.next(format_args!("fire {series}"));
                text.extend(condition.map(str::to_owned));
                text.push(next);
            }
            (Some(_), true) => text.push("the schedule is disabled now".to_owned()),
            (None, _) => {
                let series = words::series(&self.series);
                text.push(format!("{series} is not in the configuration any more"));
            }
        }
    }
}
