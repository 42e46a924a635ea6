//! `nightcall rerun`: occurrences run once more, also those that ended well, for a month end or after a correction.

use clap::Args;

use super::bulk::{Bulk, Candidate, MOST, Span, too_many};
use crate::cli::acts::Which;
use crate::cli::exit::Outcome;
use crate::cli::live::{newest, open};
use crate::cli::{Context, reach, select};
use crate::sched::outcome::Outcome as Ended;
use crate::sched::time::Timestamp;
use crate::store::RunQuery;

/// Run past occurrences once more, also those that succeeded.
///
/// They run as the next generation of their occurrences, with their nominal dates and the present definition, in order, one at a time of a
/// series, behind everything that is on time. They are shown first. What did not run is for `nightcall backfill`.
#[derive(Debug, Args)]
#[command(
    override_usage = "nightcall rerun <SCHEDULE[/SET]> --from <T> --reason <TEXT> [OPTIONS]",
    after_help = "Examples:\n  nightcall rerun sales --from 2026-01-01 --to 2026-01-31 --reason corrected\n  \
                  nightcall rerun --tag closing --from -7d --reason closing --dry-run"
)]
pub struct RerunArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    span: Span,
    /// Why, for whoever reads it
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// `nightcall rerun`.
pub async fn rerun(context: &Context, args: RerunArgs) -> Outcome {
    let (config, client) = reach::daemon(context)?;
    let past = open(context, &config)?;
    let (from, to) = args
        .span
        .bounds(&args.which.zone(&config)?, Timestamp::now())?;
    let mut all = Vec::new();
    for target in args.which.targets(&config)? {
        let set = target.set.as_ref();
        for series in select::all_series(&config, Some(&past), &target.schedule, set)? {
            let runs = past.runs(&RunQuery {
                since: Some(from),
                until: Some(to),
                limit: Some(MOST + 1),
                ..select::of(&series)
            })?;
            let ran = newest(runs).into_iter().filter(|run| {
                let outcome = run.outcome();
                outcome.is_some_and(|outcome| !matches!(outcome, Ended::Skipped(_)))
            });
            all.extend(ran.map(|run| Candidate::of(&run)));
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
        route: "rerun",
        note: Some(args.reason),
    };
    bulk.go(all, &args.span).await
}
