//! `nightcall backfill`: times that did not run, run at last.

use std::collections::HashMap;
use std::time::Duration;

use clap::Args;

use super::bulk::{Bulk, Candidate, MOST, Span, too_many};
use crate::cli::acts::Which;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::live::{newest, open};
use crate::cli::select::{self, Past};
use crate::cli::{Context, reach, serve, words};
use crate::config::{Config, Schedule};
use crate::sched::id::{RunId, SeriesId};
use crate::sched::outcome::{Outcome as Ended, SkipReason};
use crate::sched::run::Run;
use crate::sched::time::{TimeRange, TimeZone, Timestamp, earlier};
use crate::sched::trigger::{Occurrence, Shape, Trigger};
use crate::store::RunQuery;

/// Run times that did not run.
///
/// Offers every time whose newest run was skipped, that was missed, or that has no record, shows them first, and runs them as the next
/// generation of their occurrences: in order, one at a time of a series, behind everything that is on time. Repeating it changes nothing.
/// Times before what is kept on record are refused, since they may have run.
#[derive(Debug, Args)]
#[command(
    override_usage = "nightcall backfill <SCHEDULE[/SET]> --from <T> [OPTIONS]",
    after_help = "Examples:\n  nightcall backfill store-clusters --from 2026-02-01 --to 2026-02-03\n  \
                  nightcall backfill --tag morning-map --from yesterday --yes\n  \
                  nightcall backfill --all --from -7d --dry-run"
)]
pub struct BackfillArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    span: Span,
    /// Why, for whoever reads it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// `nightcall backfill`.
pub async fn backfill(context: &Context, args: BackfillArgs) -> Outcome {
    let (config, client) = reach::daemon(context)?;
    let past = open(context, &config)?;
    let now = Timestamp::now();
    let zone = args.which.zone(&config)?;
    let (from, to) = args.span.bounds(&zone, now)?;
    kept(&config, from, &zone, now)?;
    let mut all = Vec::new();
    for target in args.which.targets(&config)? {
        let schedule = select::schedule(&config, &target.schedule)?;
        if !schedule.enabled {
            return Err(Failure::new(
                Exit::Refused,
                format!("schedule {} is switched off", schedule.name),
                "set `enabled = true` in its table, then `nightcall reload`",
            ));
        }
        for definition in select::definitions(schedule, target.set.as_ref())? {
            let holes = Holes {
                past: &past,
                config: &config,
                schedule,
                series: &definition.series,
            };
            all.extend(holes.between(from, to, now)?);
            if all.len() > MOST {
                return Err(too_many());
            }
        }
    }
    let bulk = Bulk {
        context,
        config: &config,
        client: &client,
        past: &past,
        route: "backfill",
        note: args.note,
    };
    bulk.go(all, &args.span).await
}

/// A time without a record that is older than what is kept may have run.
fn kept(config: &Config, from: Timestamp, zone: &TimeZone, now: Timestamp) -> Result<(), Failure> {
    let days = config.daemon.retention.days;
    let oldest = earlier(now, Duration::from_secs(u64::from(days) * 24 * 3600));
    match from < oldest {
        false => Ok(()),
        true => Err(Failure::new(
            Exit::Refused,
            format!(
                "what ran before {} is no longer on record (retention.days = {days}), so what did not run is not known",
                words::instant(oldest, zone, now)
            ),
            "name a later --from; `nightcall fire --as-of DATE` runs for an old date",
        )),
    }
}

/// What did not run of a series.
struct Holes<'a> {
    past: &'a Past,
    config: &'a Config,
    schedule: &'a Schedule,
    series: &'a SeriesId,
}

impl Holes<'_> {
    fn between(
        &self,
        from: Timestamp,
        to: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Candidate>, Failure> {
        let runs = self.past.runs(&RunQuery {
            limit: Some(10 * MOST),
            since: Some(from),
            until: Some(to),
            ..select::of(self.series)
        })?;
        let recorded: HashMap<Timestamp, Run> = newest(runs)
            .into_iter()
            .map(|run| (run.id.instant, run))
            .collect();
        let times = times(&self.schedule.trigger, from, to)?;
        let unrecorded: Vec<&Occurrence> = times
            .iter()
            .filter(|o| !recorded.contains_key(&o.instant))
            // Its nominal time may be on record at another instant: the data of its zone have changed.
            .filter(|o| !o.clock_like || !has_civil(&recorded, o))
            .collect();
        if let Some(first) = unrecorded.first() {
            self.is_kept(first.instant, now)?;
        }
        let skipped = recorded.values().filter(|run| {
            let reason = match run.outcome() {
                Some(Ended::Skipped(reason)) => Some(reason),
                _ => None,
            };
            reason.is_some_and(|reason| reason != SkipReason::NoSuchDay)
        });
        let mut found: Vec<Candidate> = skipped.map(Candidate::of).collect();
        if !unrecorded.is_empty() {
            let range = TimeRange {
                after: earlier(from, Duration::from_nanos(1)),
                upto: to,
            };
            let missed = self.past.history().missed(Some(self.series), range);
            let missed = missed.map_err(serve::store_failure)?;
            found.extend(unrecorded.into_iter().map(|o| {
                let of = |range: TimeRange| o.instant > range.after && o.instant <= range.upto;
                let reason = missed.iter().find(|m| of(m.range)).map(|m| m.reason);
                Candidate {
                    run: RunId::planned(self.series.clone(), o.instant),
                    civil: o.civil,
                    became: reason.map_or("no record", SkipReason::word).to_owned(),
                }
            }));
        }
        Ok(found)
    }

    /// A series keeps so many runs at most: what is older than its oldest may have run.
    fn is_kept(&self, first: Timestamp, now: Timestamp) -> Result<(), Failure> {
        let most = self.config.daemon.retention.runs_per_series;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let newest = self.past.runs(&RunQuery {
            limit: Some(most),
            ..select::of(self.series)
        })?;
        let Some(oldest) = newest.first().filter(|_| newest.len() >= most) else {
            return Ok(());
        };
        match first < oldest.id.instant {
            false => Ok(()),
            true => Err(Failure::new(
                Exit::Refused,
                format!(
                    "of {} only the newest {most} runs are on record (retention.runs_per_series), since {}",
                    self.series,
                    words::instant(oldest.id.instant, self.schedule.trigger.zone(), now)
                ),
                "name a later --from",
            )),
        }
    }
}

fn has_civil(recorded: &HashMap<Timestamp, Run>, o: &Occurrence) -> bool {
    let mut runs = recorded.values();
    runs.any(|run| run.civil == o.civil && run.fold == o.fold)
}

/// The times of a trigger in a span.
fn times(trigger: &Trigger, from: Timestamp, to: Timestamp) -> Result<Vec<Occurrence>, Failure> {
    let mut at = earlier(from, Duration::from_nanos(1));
    let mut all = Vec::new();
    while let Some(next) = trigger.after(at).filter(|o| o.instant <= to) {
        at = next.instant;
        if next.shape != Shape::NoSuchDay {
            all.push(next);
        }
        if all.len() > MOST {
            return Err(too_many());
        }
    }
    Ok(all)
}
