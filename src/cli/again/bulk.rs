//! What reruns and backfills share: the span, the list with its load and the question, the asking in order, the bar.

use std::collections::{BTreeMap, VecDeque};
use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::signal::ctrl_c;
use tokio::time::sleep;

use crate::cli::acts::{Telling, act};
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::progress::LiveLine;
use crate::cli::select::when::When;
use crate::cli::select::{self, Past};
use crate::cli::{Context, words as shown};
use crate::config::Config;
use crate::control::client::Client;
use crate::control::wire::{AgainBody, RunView};
use crate::sched::id::{RunId, SeriesId};
use crate::sched::outcome::Outcome as Ended;
use crate::sched::run::Run;
use crate::sched::time::{TimeZone, Timestamp, civil, words};
use crate::store::RunQuery;

/// The most occurrences of one command.
pub(super) const MOST: usize = 10_000;
/// So many are shown before they are asked for.
const SHOWN: usize = 20;
/// How often it is looked how far they are.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// From when to when, and how it is done.
#[derive(Debug, Args)]
pub(super) struct Span {
    /// Times from this one on; a date is its first moment
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    from: String,
    /// Times up to this one; a date is its whole day
    #[arg(
        long,
        value_name = "T",
        allow_hyphen_values = true,
        default_value = "now"
    )]
    to: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Only show what would run
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do not wait until all have ended
    #[arg(long)]
    no_wait: bool,
    /// Run although the schedule is paused
    #[arg(long)]
    even_paused: bool,
}

impl Span {
    /// The bounds, both part of the span.
    pub(super) fn bounds(
        &self,
        zone: &TimeZone,
        now: Timestamp,
    ) -> Result<(Timestamp, Timestamp), Failure> {
        let from = When::read(&self.from)?.bound(zone, now)?;
        let to = When::read(&self.to)?;
        let to = match to.date(zone, now) {
            Some(date) => last_of(date, zone).unwrap_or(Timestamp::MAX),
            None => to.bound(zone, now)?,
        };
        match from <= to {
            true => Ok((from, to.min(now))),
            false => Err(Failure::new(
                Exit::Usage,
                format!("--from {} lies after --to {}", self.from, self.to),
                "name the earlier time first",
            )),
        }
    }
}

/// The last instant of a date.
fn last_of(date: civil::Date, zone: &TimeZone) -> Option<Timestamp> {
    let next = date.tomorrow().ok()?.at(0, 0, 0, 0);
    let next = zone.to_ambiguous_timestamp(next).compatible().ok()?;
    Some(crate::sched::time::earlier(next, Duration::from_nanos(1)))
}

/// An occurrence that may run again.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// The run that it follows.
    pub(super) run: RunId,
    /// Its nominal time.
    pub(super) civil: civil::DateTime,
    /// What became of it.
    pub(super) became: String,
}

impl Candidate {
    /// Of a run on record.
    pub(super) fn of(run: &Run) -> Self {
        let became = match run.outcome() {
            Some(Ended::Skipped(reason)) => format!("skipped: {}", reason.word()),
            Some(outcome) => outcome.word().replace('_', " "),
            None => run.state.word().replace('_', " "),
        };
        Self {
            run: run.id.clone(),
            civil: run.civil,
            became,
        }
    }
}

/// A candidate, as `--json` prints it before anything is asked for.
#[derive(Serialize)]
struct CandidateView {
    /// The run that it follows; a planned one may not be on record.
    candidate: String,
    schedule: String,
    set: String,
    /// Its nominal time, RFC 3339 with offset.
    nominal: String,
    /// What became of it.
    became: String,
}

/// Occurrences that are to run again, and how the daemon is asked.
pub(super) struct Bulk<'a> {
    pub(super) context: &'a Context,
    pub(super) config: &'a Config,
    pub(super) client: &'a Client,
    pub(super) past: &'a Past,
    /// The route: `rerun` or `backfill`.
    pub(super) route: &'static str,
    pub(super) note: Option<String>,
}

impl Bulk<'_> {
    /// Shows them, asks, and runs them.
    pub(super) async fn go(&self, mut all: Vec<Candidate>, span: &Span) -> Outcome {
        all.sort_by(|a, b| (a.run.instant, &a.run).cmp(&(b.run.instant, &b.run)));
        self.show(&all)?;
        if span.dry_run || all.is_empty() || !self.agreed(&all, span)? {
            return Ok(Exit::Ok);
        }
        let mut telling = Telling::new(self.context);
        let line = LiveLine::new(self.context.out.json);
        let mut made: BTreeMap<SeriesId, VecDeque<RunId>> = BTreeMap::new();
        for (index, candidate) in all.iter().enumerate() {
            let body = AgainBody {
                run: candidate.run.to_string(),
                even_paused: span.even_paused,
                note: self.note.clone(),
                ..AgainBody::default()
            };
            line.count(index, all.len(), "asked for");
            let acted = act(self.client, self.route, &body).await;
            // A list of thousands is no news: only what is refused is.
            let acted = match (acted, self.context.out.json) {
                (Ok(acted), false) => Some(acted),
                (acted, _) => {
                    line.clear();
                    telling.tell(&body.run, acted)?
                }
            };
            for run in acted.into_iter().flat_map(|acted| acted.runs) {
                if let Ok(run) = run.parse::<RunId>() {
                    made.entry(run.series.clone()).or_default().push_back(run);
                }
            }
        }
        line.clear();
        let ends = telling.end()?;
        let count: usize = made.values().map(VecDeque::len).sum();
        if !self.context.out.json {
            let out = &self.context.out;
            out.line(format!(
                "{count} runs are on record and go on whoever waits"
            ))?;
        }
        if span.no_wait || count == 0 {
            return Ok(ends);
        }
        let ended = tokio::select! {
            ended = self.watch(made, count) => ended?,
            _ = ctrl_c() => {
                line.clear();
                return Err(Failure::new(
                    Exit::Failed,
                    "not waiting any more; the runs go on",
                    self.context.next("status"),
                ));
            }
        };
        Ok(if ends == Exit::Ok { ended } else { ends })
    }

    fn show(&self, all: &[Candidate]) -> Result<(), Failure> {
        let out = &self.context.out;
        let now = Timestamp::now();
        if out.json {
            for candidate in all {
                out.object(&self.view(candidate))?;
            }
            return Ok(());
        }
        if all.is_empty() {
            return out.line("there is nothing to run in that span");
        }
        let rows = all.iter().take(SHOWN).map(|candidate| {
            let zone = self.zone(&candidate.run.series);
            let of = shown::nominal_offset(candidate.civil, candidate.run.instant, &zone);
            vec![
                shown::nominal(candidate.civil, of, &zone, now),
                shown::series(&candidate.run.series),
                candidate.became.clone(),
            ]
        });
        out.table(&["NOMINAL", "SERIES", "WAS"], rows.collect())?;
        if all.len() > SHOWN {
            out.line(format!("… and {} more", all.len() - SHOWN))?;
        }
        out.line(self.load(all)?)
    }

    fn view(&self, candidate: &Candidate) -> CandidateView {
        let zone = self.zone(&candidate.run.series);
        let of = shown::nominal_offset(candidate.civil, candidate.run.instant, &zone);
        CandidateView {
            candidate: candidate.run.to_string(),
            schedule: candidate.run.series.schedule.to_string(),
            set: candidate.run.series.set.to_string(),
            nominal: shown::rfc3339(candidate.civil, of),
            became: candidate.became.clone(),
        }
    }

    fn zone(&self, series: &SeriesId) -> TimeZone {
        crate::cli::reach::zone_of(self.config, series.schedule.as_str())
    }

    /// How much that is and how long it will take, as far as it is known.
    fn load(&self, all: &[Candidate]) -> Result<String, Failure> {
        let mut of_series: BTreeMap<&SeriesId, u32> = BTreeMap::new();
        for candidate in all {
            *of_series.entry(&candidate.run.series).or_default() += 1;
        }
        let mut longest = Duration::ZERO;
        let mut known = true;
        for (series, count) in &of_series {
            match self.past.usually_takes(series)? {
                Some(each) => longest = longest.max(each.saturating_mul(*count)),
                None => known = false,
            }
        }
        let mut text = format!(
            "{} of {}, one at a time of a series, behind what is on time",
            shown::count(all.len(), "run"),
            match of_series.len() {
                1 => "1 series".to_owned(),
                n => format!("{n} series"),
            }
        );
        if !longest.is_zero() {
            let about = Duration::from_secs(longest.as_secs().max(1));
            let least = if known { "about" } else { "at least" };
            text.push_str(&format!("; as runs went lately, {least} {}", words(about)));
        }
        Ok(text)
    }

    fn agreed(&self, all: &[Candidate], span: &Span) -> Result<bool, Failure> {
        if span.yes {
            return Ok(true);
        }
        if self.context.out.json || !std::io::stdin().is_terminal() {
            return Err(Failure::new(
                Exit::Usage,
                format!(
                    "nobody can be asked whether these {} runs are wanted",
                    all.len()
                ),
                "add --yes to run them, or --dry-run to look only",
            ));
        }
        let mut err = anstream::stderr();
        // Nowhere to ask: the answer is read all the same.
        let _ = write!(err, "run them? [y/N] ");
        let _ = err.flush();
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        let yes = ["y", "yes"].contains(&answer.trim().to_lowercase().as_str());
        if read.is_err() || !yes {
            self.context.out.line("nothing was asked for")?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Waits until all have ended. Those of a series go one after the other, so that only the first needs to be looked at.
    async fn watch(
        &self,
        mut open: BTreeMap<SeriesId, VecDeque<RunId>>,
        all: usize,
    ) -> Result<Exit, Failure> {
        let line = LiveLine::new(self.context.out.json);
        let (mut done, mut badly) = (0, Vec::new());
        while !open.is_empty() {
            for queue in open.values_mut() {
                while let Some(run) = queue.front() {
                    let Some(ended) = self.ended(run)? else {
                        break;
                    };
                    done += 1;
                    line.clear();
                    if self.context.out.json {
                        let zone = select::zone_of(&ended, &self.context.zones);
                        self.context.out.object(&RunView::of(&ended, &zone))?;
                    }
                    if ended.outcome() != Some(Ended::Succeeded) {
                        badly.push(ended.id.clone());
                    }
                    queue.pop_front();
                }
            }
            open.retain(|_, queue| !queue.is_empty());
            line.count(done, all, &format!("{} did not succeed", badly.len()));
            if !open.is_empty() {
                sleep(LOOK_EVERY).await;
            }
        }
        line.clear();
        if !self.context.out.json {
            let good = all - badly.len();
            self.context
                .out
                .line(format!("{good} of {all} succeeded"))?;
            if let Some(first) = badly.first() {
                self.context
                    .out
                    .line(self.context.next(format_args!("why {first}")))?;
            }
        }
        Ok(match badly.is_empty() {
            true => Exit::Ok,
            false => Exit::Failed,
        })
    }

    /// The run, once it has ended.
    fn ended(&self, id: &RunId) -> Result<Option<Run>, Failure> {
        let runs = self.past.runs(&RunQuery {
            since: Some(id.instant),
            until: Some(id.instant),
            ..select::of(&id.series)
        })?;
        let run = runs.into_iter().find(|run| run.id == *id);
        Ok(run.filter(|run| run.outcome().is_some()))
    }
}

/// Too many for one command.
pub(super) fn too_many() -> Failure {
    Failure::new(
        Exit::Usage,
        format!("that are more than {MOST} times"),
        "name a shorter span",
    )
}
