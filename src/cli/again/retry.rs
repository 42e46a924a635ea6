//! `nightcall retry`: what did not end well runs again, as the next generation of its occurrence.

use clap::Args;

use crate::cli::acts::{Target, Telling, act, passed};
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::live::{Runs, newest, open};
use crate::cli::select::when::When;
use crate::cli::select::{self, Past, Selector};
use crate::cli::{Context, complain, reach, watch};
use crate::config::Config;
use crate::control::wire::AgainBody;
use crate::sched::id::RunId;
use crate::sched::outcome::Outcome as Ended;
use crate::sched::run::Run;
use crate::sched::time::Timestamp;
use crate::store::RunQuery;

/// Run again what did not end well.
///
/// A run that failed, timed out, was cancelled or is lost runs again as the next generation of its occurrence, by the present definition
/// of its schedule. A selector means the latest run; with --since all that did not end well since then. Asking twice makes one run.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall retry store-clusters/hyper --wait\n  nightcall retry --all --since 18:00\n  \
                  nightcall retry --tag morning-map --since yesterday"
)]
pub struct RetryArgs {
    #[command(flatten)]
    which: Runs,
    /// All that did not end well since then, not the latest run alone
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    since: Option<String>,
    /// Wait behind a busy series instead of being refused
    #[arg(long, conflicts_with = "anyway")]
    queue: bool,
    /// Run beside a busy series, or although the job of a lost run may live
    #[arg(long)]
    anyway: bool,
    /// Run although the schedule is paused
    #[arg(long)]
    even_paused: bool,
    /// Wait until the runs have ended; the exit code says how (0: all succeeded)
    #[arg(long)]
    wait: bool,
    /// Why, for whoever reads it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// `nightcall retry`.
pub async fn retry(context: &Context, args: RetryArgs) -> Outcome {
    let (config, client) = reach::daemon(context)?;
    let mut telling = Telling::new(context);
    let mut made: Vec<RunId> = Vec::new();
    for run in chosen(context, &config, &args)? {
        let body = AgainBody {
            run: run.to_string(),
            queue: args.queue,
            anyway: args.anyway,
            even_paused: args.even_paused,
            note: args.note.clone(),
        };
        let acted = act(&client, "retry", &body).await;
        let acted = telling.tell(&body.run, acted)?;
        let runs = acted.into_iter().flat_map(|acted| acted.runs);
        made.extend(runs.filter_map(|run| run.parse::<RunId>().ok()));
    }
    let mut ends = telling.end()?;
    if !args.wait {
        return Ok(ends);
    }
    for run in made {
        let zone = reach::zone_of(&config, run.series.schedule.as_str());
        match watch::watch(context, &client, &run, zone, None).await {
            Ok(_) => {}
            Err(failure) if failure.exit == Exit::Failed => {
                complain(&failure);
                ends = Exit::Failed;
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(ends)
}

fn chosen(context: &Context, config: &Config, args: &RetryArgs) -> Result<Vec<RunId>, Failure> {
    let now = Timestamp::now();
    let (targets, when) = match &args.which.selector {
        Some(selector) => match Selector::read(selector)? {
            Selector::Run(run) => return Ok(vec![run]),
            Selector::Series {
                schedule,
                set,
                when,
            } => (vec![Target { schedule, set }], when),
        },
        None => (args.which.which().targets(config)?, None),
    };
    let past = open(context, config)?;
    let named = targets
        .iter()
        .filter_map(|t| select::configured(config, &t.schedule));
    let zone = select::shared_zone(named);
    let since = match &args.since {
        Some(text) => Some(passed(text, &zone, now)?),
        None => None,
    };
    let mut found = Vec::new();
    for target in &targets {
        found.extend(of_target(
            config,
            &past,
            target,
            (when.as_ref(), since),
            now,
        )?);
    }
    let badly = |run: &Run| {
        matches!(
            run.outcome(),
            Some(Ended::Failed | Ended::TimedOut | Ended::Cancelled | Ended::Lost)
        )
    };
    // Of one that is named the daemon says why it is not run again.
    if since.is_some() || args.which.selector.is_none() {
        found.retain(badly);
    }
    match found.is_empty() {
        false => Ok(found.into_iter().map(|run| run.id).collect()),
        true => Err(Failure::new(
            Exit::Failed,
            "nothing of that ended badly",
            context.next("runs --since yesterday"),
        )),
    }
}

fn of_target(
    config: &Config,
    past: &Past,
    target: &Target,
    (when, since): (Option<&When>, Option<Timestamp>),
    now: Timestamp,
) -> Result<Vec<Run>, Failure> {
    let schedule = select::configured(config, &target.schedule);
    let zone = select::shared_zone(schedule);
    let mut found = Vec::new();
    for series in select::all_series(config, Some(past), &target.schedule, target.set.as_ref())? {
        let mut of_series = match (when, since) {
            (Some(when), _) => past.named(&series, when, &zone, now)?,
            (None, since) => past.runs(&RunQuery {
                since,
                // The latest occurrence may have many generations.
                limit: since.is_none().then_some(100),
                ..select::of(&series)
            })?,
        };
        of_series = newest(of_series);
        if when.is_none() && since.is_none() {
            of_series.drain(..of_series.len().saturating_sub(1));
        }
        found.extend(of_series);
    }
    Ok(found)
}
