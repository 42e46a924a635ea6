//! `nightcall runs`: what ran, what did not, and why, as a list; straight from the database.

mod page;

use clap::Args;
use serde::Serialize;

use self::page::Page;
use super::Context;
use super::exit::{Exit, Failure, Outcome as Ended};
use super::select::when::When;
use super::select::{self, Past, Selector, zone_of};
use super::serve::store_failure;
use crate::config::Config;
use crate::control::wire::RunView;
use crate::sched::id::{ScheduleName, SeriesId, SetName};
use crate::sched::run::{Run, RunState};
use crate::sched::step::Missed;
use crate::sched::time::{TimeRange, Timestamp, earlier};
use crate::store::RunQuery;

/// How many runs are shown when nothing is said.
const SHOWN: usize = 50;

/// Words that `--state` takes beside those of the states: how runs end.
const OUTCOMES: [&str; 6] = [
    "succeeded",
    "failed",
    "timed_out",
    "cancelled",
    "skipped",
    "lost",
];

/// List runs, the oldest first.
///
/// Works without a daemon. Times are shown in the time zone of each schedule; TOOK is the last attempt, from its
/// submission to its end. Times that were missed in bulk are told after the table.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall runs --since yesterday\n  nightcall runs store-clusters/hyper -n 5\n  \
                  nightcall runs --state failed --json\n\nT is 2026-02-03, 2026-02-03T02:15, RFC 3339, now, today, \
                  yesterday, or -2h"
)]
pub struct RunsArgs {
    /// Of one schedule, or of one series of it [default: all]
    #[arg(value_name = "SCHEDULE[/SET]", conflicts_with_all = ["schedule", "set"])]
    pub series: Option<String>,
    /// Of this schedule
    #[arg(long, value_name = "SCHEDULE")]
    pub schedule: Option<String>,
    /// Of this parameter set
    #[arg(long, value_name = "SET")]
    pub set: Option<String>,
    /// With a time from this one on
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// With a time before this one
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// In this state (pending, submitting, in_doubt, running, cancelling, backoff, finished) or with this outcome
    /// (succeeded, failed, timed_out, cancelled, skipped, lost)
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// At most so many, the newest
    #[arg(short, value_name = "N", default_value_t = SHOWN)]
    pub n: usize,
}

/// Times that were missed in bulk, as `runs --json` prints them: the fields of a run that have a meaning, and the range.
#[derive(Debug, Serialize)]
struct MissedView {
    run: Option<String>,
    schedule: String,
    set: String,
    nominal: Option<String>,
    due: Option<String>,
    state: &'static str,
    outcome: &'static str,
    reason: &'static str,
    attempts: u32,
    /// How many times it stands for.
    count: u64,
    /// The times lie after this one, UTC …
    after: String,
    /// … and up to this one.
    upto: String,
    /// When that was decided, UTC.
    finished: String,
}

/// `nightcall runs`.
pub fn runs(context: &Context, args: RunsArgs) -> Ended {
    runs_at(context, args, Timestamp::now())
}

/// `nightcall runs`, asked at a given time.
pub fn runs_at(context: &Context, args: RunsArgs, now: Timestamp) -> Ended {
    let config = context.load()?;
    let asked = Asked::of(&args, &config, now)?;
    let Some(past) = Past::open(&config, &context.zones)? else {
        asked.known(&config, None)?;
        if !context.out.json {
            let database = config.daemon.database.display();
            context.out.line(format!(
                "no runs are recorded yet ({database} does not exist)\n{}",
                context.next("daemon")
            ))?;
        }
        return Ok(Exit::Ok);
    };
    let mut runs = past.runs(&asked.query)?;
    // one more was asked for, to know whether there are more
    let cut = runs.len() > args.n;
    runs.drain(..runs.len().saturating_sub(args.n));
    let missed = asked.missed(&past, runs.first().filter(|_| cut))?;
    if runs.is_empty() && missed.is_empty() {
        asked.known(&config, Some(&past))?;
    }
    if context.out.json {
        for run in &runs {
            let view = RunView::of(run, &zone_of(run, &context.zones));
            context.out.object(&view)?;
        }
        for missed in &missed {
            context.out.object(&MissedView::of(missed))?;
        }
        return Ok(Exit::Ok);
    }
    let page = Page {
        context,
        past: &past,
        now,
    };
    if !runs.is_empty() {
        page.table(&runs)?;
    }
    page.missed(&missed, &config)?;
    if runs.is_empty() {
        if missed.is_empty() {
            context.out.line(asked.nothing(context))?;
        }
        return Ok(Exit::Ok);
    }
    context.out.line(page.summary(&runs, cut)?)?;
    Ok(Exit::Ok)
}

/// What is asked for.
struct Asked {
    query: RunQuery,
    /// No span and no state bounds what is shown.
    whole: bool,
}

impl Asked {
    fn of(args: &RunsArgs, config: &Config, now: Timestamp) -> Result<Self, Failure> {
        let (schedule, set) = named(args)?;
        let found = schedule
            .as_ref()
            .map(|name| select::configured(config, name));
        let zone = match found {
            Some(schedule) => select::shared_zone(schedule),
            None => select::shared_zone(&config.schedules),
        };
        let bound = |text: &Option<String>| match text {
            Some(text) => When::read(text)?.bound(&zone, now).map(Some),
            None => Ok(None),
        };
        let (since, until) = (bound(&args.since)?, bound(&args.until)?);
        let state = args.state.as_deref().map(state).transpose()?;
        Ok(Self {
            whole: since.or(until).is_none() && state.is_none(),
            query: RunQuery {
                schedule,
                set,
                since,
                // not including it: nothing lies closer before it than this
                until: until.map(|until| earlier(until, std::time::Duration::from_nanos(1))),
                state,
                limit: Some(args.n.saturating_add(1)),
            },
        })
    }

    /// The schedule that was named exists, or existed.
    fn known(&self, config: &Config, past: Option<&Past>) -> Result<(), Failure> {
        match &self.query.schedule {
            Some(name) => {
                select::all_series(config, past, name, self.query.set.as_ref()).map(|_| ())
            }
            None => Ok(()),
        }
    }

    /// Why nothing is shown, and what to do.
    fn nothing(&self, context: &Context) -> String {
        if !self.whole {
            return format!("no runs match\n{}", context.next("runs"));
        }
        match &self.query.schedule {
            Some(name) => {
                let next = context.next(format_args!("why {name}"));
                format!("no runs of {name} are recorded yet\n{next}")
            }
            None => {
                let next = context.next("next");
                format!("no runs are recorded yet\n{next}")
            }
        }
    }

    /// What was missed in bulk in the span that is shown.
    fn missed(&self, past: &Past, oldest: Option<&Run>) -> Result<Vec<Missed>, Failure> {
        if self.query.state.as_deref().is_some_and(|s| s != "skipped") {
            return Ok(Vec::new());
        }
        let oldest = oldest.map(|run| run.id.instant);
        let range = TimeRange {
            after: oldest.or(self.query.since).unwrap_or(Timestamp::MIN),
            upto: self.query.until.unwrap_or(Timestamp::MAX),
        };
        let mut found = past.history().missed(None, range).map_err(store_failure)?;
        found.retain(|missed| {
            let (schedule, set) = (&self.query.schedule, &self.query.set);
            schedule
                .as_ref()
                .is_none_or(|s| *s == missed.series.schedule)
                && set.as_ref().is_none_or(|s| *s == missed.series.set)
        });
        Ok(found)
    }
}

fn named(args: &RunsArgs) -> Result<(Option<ScheduleName>, Option<SetName>), Failure> {
    if let Some(series) = &args.series {
        return Selector::read_series(series).map(|(schedule, set)| (Some(schedule), set));
    }
    let bad = |error: crate::sched::id::BadName| Failure::plain(Exit::Usage, error.to_string());
    let schedule = args.schedule.as_deref().map(ScheduleName::new);
    let set = args.set.as_deref().map(SetName::new);
    Ok((
        schedule.transpose().map_err(bad)?,
        set.transpose().map_err(bad)?,
    ))
}

fn state(word: &str) -> Result<String, Failure> {
    let known = RunState::WORDS.iter().chain(&OUTCOMES);
    match known.clone().any(|known| *known == word) {
        true => Ok(word.to_owned()),
        false => Err(Failure::new(
            Exit::Usage,
            format!("there is no state called {word:?}"),
            format!(
                "there are: {}",
                known.copied().collect::<Vec<_>>().join(", ")
            ),
        )),
    }
}

impl MissedView {
    fn of(missed: &Missed) -> Self {
        let SeriesId { schedule, set } = &missed.series;
        Self {
            run: None,
            schedule: schedule.to_string(),
            set: set.to_string(),
            nominal: None,
            due: None,
            state: "finished",
            outcome: "skipped",
            reason: missed.reason.word(),
            attempts: 0,
            count: missed.count,
            after: missed.range.after.to_string(),
            upto: missed.range.upto.to_string(),
            finished: missed.at.to_string(),
        }
    }
}
