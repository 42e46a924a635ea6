//! `nightcall resolve`: a person looked, and says how a run ended whose end the daemon cannot know.

use clap::Args;

use super::acts::{Telling, act};
use super::exit::{Exit, Failure, Outcome};
use super::live::open;
use super::select::{self, Selector};
use super::{Context, reach};
use crate::config::Config;
use crate::control::wire::ResolveBody;
use crate::sched::id::RunId;
use crate::sched::outcome::Outcome as Ended;
use crate::sched::time::Timestamp;

/// Say how a run ended that the daemon cannot know.
///
/// For a lost run, one in doubt, or one that does not stop: look at the job in CARTO first. A lost run stays lost on record, with your word
/// beside it, and its series is free. After a bug it lets the series go on.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall resolve store-clusters/hyper --as succeeded --note 'looked'\n  \
                  nightcall resolve store-clusters/hyper@02:15 --as failed"
)]
pub struct ResolveArgs {
    /// The id of a run, or `SCHEDULE[/SET][@TIME]`: the latest that is lost or in doubt
    #[arg(value_name = "SELECTOR")]
    run: String,
    /// How it ended
    #[arg(long = "as", value_name = "END", value_parser = ["succeeded", "failed"])]
    ended: String,
    /// What you saw, for whoever reads it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// `nightcall resolve`.
pub async fn resolve(context: &Context, args: ResolveArgs) -> Outcome {
    let (config, client) = reach::daemon(context)?;
    let run = one(context, &config, &args.run)?;
    let mut telling = Telling::new(context);
    let body = ResolveBody {
        run: run.to_string(),
        ended: args.ended,
        note: args.note,
    };
    telling.tell(&body.run, act(&client, "resolve", &body).await)?;
    telling.end()
}

fn one(context: &Context, config: &Config, text: &str) -> Result<RunId, Failure> {
    let (schedule, set, when) = match Selector::read(text)? {
        Selector::Run(run) => return Ok(run),
        Selector::Series {
            schedule,
            set,
            when,
        } => (schedule, set, when),
    };
    let past = open(context, config)?;
    let zone = select::shared_zone(select::configured(config, &schedule));
    let mut found = Vec::new();
    for series in select::all_series(config, Some(&past), &schedule, set.as_ref())? {
        let mut runs = match &when {
            Some(when) => past.named(&series, when, &zone, Timestamp::now())?,
            None => past.recent(&series)?,
        };
        runs.retain(|run| {
            let unknown = ["in_doubt", "cancelling"].contains(&run.state.word());
            unknown || (run.outcome() == Some(Ended::Lost) && run.resolved.is_none())
        });
        found.extend(runs.pop());
    }
    match found.as_slice() {
        [run] => Ok(run.id.clone()),
        [] => Err(Failure::new(
            Exit::Failed,
            format!("no run of {text} waits for a word: none is lost or in doubt"),
            context.next(format_args!("runs {schedule}")),
        )),
        several => {
            let ids: Vec<String> = several
                .iter()
                .map(|run| format!("\n  {}", run.id))
                .collect();
            Err(Failure::new(
                Exit::Failed,
                format!(
                    "{} runs match; name one of them:{}",
                    several.len(),
                    ids.concat()
                ),
                context.next(format_args!("resolve {} --as …", several[0].id)),
            ))
        }
    }
}
