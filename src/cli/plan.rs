//! `nightcall plan`: what a reload of a configuration changes, before it does.
//!
//! Where to read: `running.rs` (what runs, from the database), `changes.rs` (the comparison as a whole), `compare.rs`
//! (two definitions), `span.rs` (two series of times), `piles.rs` (too many at once); `show.rs` tells people and
//! `view.rs` programs.

pub mod changes;
pub mod compare;
pub mod piles;
pub mod running;
mod show;
pub mod span;
mod view;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Context;
use super::check;
use super::exit::{Exit, Failure, Outcome};
use super::select::Past;
use super::serve::store_failure;
use crate::config::{self, Config};
use crate::sched::scheduler::LATELY;
use crate::sched::step::RECENT;
use crate::sched::time::{Timestamp, between, earlier, later};

use changes::{Changes, Span};
use running::{Coming, Running};

/// So many occurrences of each series are shown.
const SHOWN: usize = 3;

/// A daemon stores at least once a minute how far it has decided; after so long without, none runs.
const SILENT: Duration = Duration::from_secs(5 * 60);

/// Show what a new configuration would change, before it does.
///
/// Compares it with what the daemon plans now, as the database has it, and says what a reload will do: nothing fires
/// because of a reload but what is announced here. Works without a daemon and changes nothing. Ends with 0 when nothing
/// changes, with 2 when something does, with 78 when the new configuration is wrong.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall plan\n  nightcall plan new.toml --days 31\n  \
                  nightcall plan new/ --json | jq 'select(.kind == \"occurrence\")'"
)]
pub struct PlanArgs {
    /// The new configuration: a file, or a folder, or several that are read as one [default: the configuration as it
    /// stands, which a reload would read]
    #[arg(value_name = "NEW_FILE")]
    pub new: Vec<PathBuf>,
    /// Look so many days ahead
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=366))]
    pub days: u32,
    /// Show every series, every occurrence and every pile-up, however many there are
    #[arg(long)]
    pub all: bool,
}

/// `nightcall plan`.
pub fn plan(context: &Context, args: PlanArgs) -> Outcome {
    plan_at(context, args, Timestamp::now())
}

/// `nightcall plan`, asked at a given time.
pub fn plan_at(context: &Context, args: PlanArgs, now: Timestamp) -> Outcome {
    let paths = match args.new.is_empty() {
        true => context.paths()?,
        false => args.new.clone(),
    };
    let new = match config::load(&paths, &context.zones) {
        Ok(new) => new,
        Err(problems) => return check::wrong(context, &problems),
    };
    let coming = Coming::of(&new);
    let past = Past::open(&present(context, &args, new)?, &context.zones)?;
    let running = match &past {
        Some(past) => running(context, past, &coming, now)?,
        None => Running::default(),
    };
    let days = Duration::from_secs(u64::from(args.days) * 86_400);
    let until = later(now, days);
    let changes = Changes::of(&running, &coming, Span { now, until }, SHOWN);
    let told = Told {
        context,
        running: &running,
        changes: &changes,
        args: &args,
        is_first: past.is_none(),
        silent_since: running.mark.filter(|mark| between(*mark, now) > SILENT),
    };
    match context.out.json {
        true => told.objects()?,
        false => told.people()?,
    }
    Ok(match changes.is_any() {
        true => Exit::Refused,
        false => Exit::Ok,
    })
}

/// What is to be told, and to whom.
struct Told<'a> {
    context: &'a Context,
    running: &'a Running,
    changes: &'a Changes,
    args: &'a PlanArgs,
    /// There is no database yet.
    is_first: bool,
    /// The last word of a daemon that does not seem to run.
    silent_since: Option<Timestamp>,
}

/// The configuration that names the database: the present one, which a new file need not repeat.
fn present(context: &Context, args: &PlanArgs, new: Config) -> Result<Config, Failure> {
    let named = !context.config.is_empty() || config::find().is_some();
    if args.new.is_empty() || !named {
        return Ok(new);
    }
    context.load().map_err(|failure| Failure {
        message: format!(
            "the present configuration, which names the database, has problems:\n{}",
            failure.message
        ),
        ..failure
    })
}

/// What the database says of the present.
fn running(
    context: &Context,
    past: &Past,
    coming: &Coming,
    now: Timestamp,
) -> Result<Running, Failure> {
    let zones = |name: &str| context.zones.get(name);
    let history = past.history();
    let stored = history.in_force().map_err(store_failure)?;
    let since = earlier(stored.mark.unwrap_or(now).min(now), RECENT);
    let mut running = Running::of(stored, coming, &zones);
    let retimed = running.retimed(coming);
    let lately = history.planned_after(&retimed, since, LATELY);
    running.remember(lately.map_err(store_failure)?, &zones);
    Ok(running)
}
