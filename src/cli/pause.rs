//! `nightcall pause` and `nightcall resume`: times pass with a record, what waits waits on.

use clap::Args;

use super::acts::{Telling, Which, act, coming};
use super::exit::{Exit, Failure, Outcome};
use super::{Context, reach};
use crate::config::Config;
use crate::control::wire::{PauseBody, ResumeBody};
use crate::sched::time::Timestamp;

/// Hold schedules back.
///
/// Their times pass, each with a record; runs that wait go on waiting; jobs at the vendor are watched to their end. A pause
/// outlasts a restart of the daemon. `--all` is a pause of its own, which also holds for schedules that are added meanwhile.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall pause store-clusters --until tomorrow --note 'data is late'\n  \
                  nightcall pause --tag morning-map\n  nightcall pause --all\n\nT is 2026-02-03, 2026-02-03T02:15, 02:15 \
                  (the next one), +3h, tomorrow"
)]
pub struct PauseArgs {
    #[command(flatten)]
    which: Which,
    /// It ends by itself at this time
    #[arg(long, value_name = "T")]
    until: Option<String>,
    /// Why, for whoever reads it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// End a pause.
///
/// Nothing of the times that passed runs, unless --catch-up applies the misfire policy to them.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall resume store-clusters\n  nightcall resume store-clusters --catch-up\n  \
                  nightcall resume --all"
)]
pub struct ResumeArgs {
    #[command(flatten)]
    which: Which,
    /// Run what the misfire policy would run of times that were missed
    #[arg(long)]
    catch_up: bool,
    /// Why, for whoever reads it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// `nightcall pause`.
pub async fn pause(context: &Context, args: PauseArgs) -> Outcome {
    let (config, client) = reach::daemon(context)?;
    let until = match &args.until {
        Some(text) => {
            let zone = args.which.zone(&config)?;
            Some(coming(text, &zone, Timestamp::now())?.to_string())
        }
        None => None,
    };
    let mut telling = Telling::new(context);
    for schedule in scopes(&args.which, &config)? {
        let body = PauseBody {
            schedule: schedule.clone(),
            until: until.clone(),
            note: args.note.clone(),
        };
        telling.tell(word(&schedule), act(&client, "pause", &body).await)?;
    }
    telling.end()
}

/// `nightcall resume`.
pub async fn resume(context: &Context, args: ResumeArgs) -> Outcome {
    let (config, client) = reach::daemon(context)?;
    let mut telling = Telling::new(context);
    for schedule in scopes(&args.which, &config)? {
        let body = ResumeBody {
            schedule: schedule.clone(),
            catch_up: args.catch_up,
            note: args.note.clone(),
        };
        telling.tell(word(&schedule), act(&client, "resume", &body).await)?;
    }
    telling.end()
}

fn word(schedule: &Option<String>) -> &str {
    schedule.as_deref().unwrap_or("*")
}

/// What is held back: whole schedules, or everything.
fn scopes(which: &Which, config: &Config) -> Result<Vec<Option<String>>, Failure> {
    if which.all {
        return Ok(vec![None]);
    }
    let targets = which.targets(config)?;
    if let Some(target) = targets.iter().find(|target| target.set.is_some()) {
        return Err(Failure::new(
            Exit::Usage,
            "a pause holds a whole schedule, not one of its parameter sets",
            format!(
                "write {}, or skip times of the set: nightcall skip",
                target.schedule
            ),
        ));
    }
    let names = targets
        .into_iter()
        .map(|target| target.schedule.to_string());
    Ok(names.map(Some).collect())
}
