//! `nightcall cancel`: a run is stopped, and it is said when that is confirmed.

use clap::Args;

use super::acts::{Telling, act};
use super::exit::{Exit, Failure, Outcome};
use super::live::{self, Runs};
use super::{Context, reach, watch};
use crate::control::wire::{CancelBody, RunView};
use crate::sched::id::RunId;

/// Stop runs.
///
/// The vendor is asked to stop the job, and the run is cancelled once the vendor says that it has stopped; the command waits for that.
/// A job that does not stop within `cancel_grace` leaves its run lost. The exit code is 1 when a run ended otherwise than cancelled.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  nightcall cancel store-clusters/hyper\n  \
                  nightcall cancel store-clusters/hyper@02:15 --no-wait\n  \
                  nightcall cancel --tag morning-map --note 'the warehouse moves'")]
pub struct CancelArgs {
    #[command(flatten)]
    which: Runs,
    /// Do not wait until the stop is confirmed
    #[arg(long)]
    no_wait: bool,
    /// Why, for whoever reads it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// `nightcall cancel`.
pub async fn cancel(context: &Context, args: CancelArgs) -> Outcome {
    let (config, client) = reach::daemon(context)?;
    let runs = live::runs(context, &config, &args.which)?;
    let mut telling = Telling::new(context);
    let mut stopping: Vec<RunId> = Vec::new();
    for run in runs {
        let body = CancelBody {
            run: run.to_string(),
            note: args.note.clone(),
        };
        let acted = act(&client, "cancel", &body).await;
        if telling.tell(&body.run, acted)?.is_some() {
            stopping.push(run);
        }
    }
    let ends = telling.end()?;
    if args.no_wait {
        return Ok(ends);
    }
    let mut otherwise = ends;
    for run in stopping {
        let zone = reach::zone_of(&config, run.series.schedule.as_str());
        let ended = watch::until_ended(context, &client, &run, zone).await?;
        if !confirmed(context, &ended)? && otherwise == Exit::Ok {
            otherwise = Exit::Failed;
        }
    }
    Ok(otherwise)
}

/// Says how it ended; whether it is stopped.
fn confirmed(context: &Context, run: &RunView) -> Result<bool, Failure> {
    let outcome = run.outcome.as_deref().unwrap_or("finished");
    let stopped = outcome == "cancelled";
    if !context.out.json {
        context.out.line(match outcome {
            "cancelled" => format!(
                "{} is cancelled: its job has stopped, or there was none",
                run.run
            ),
            "succeeded" => format!("{} succeeded: its job was faster", run.run),
            "lost" => format!(
                "{} is lost: its job was not seen to stop and may live\n{}",
                run.run,
                context.next(format_args!("why {}", run.run))
            ),
            other => format!("{} ended: {}", run.run, other.replace('_', " ")),
        })?;
    }
    Ok(stopped)
}
