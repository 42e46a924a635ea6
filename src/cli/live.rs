//! Which runs an acting command means: by id, the latest or the live ones of a selector, of a tag, or of all.

use std::collections::BTreeMap;

use clap::Args;

use super::Context;
use super::acts::{Target, Which};
use super::exit::{Exit, Failure};
use super::select::{self, Past, Selector, place};
use crate::config::Config;
use crate::sched::id::{RunId, RunKind, SeriesId};
use crate::sched::run::{Run, RunState};
use crate::sched::time::Timestamp;
use crate::store::RunQuery;

/// Runs by selector, tag, or all.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Runs {
    /// The id of a run, a schedule, or one parameter set of it; `@TIME` for a run of that time
    #[arg(value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Of all schedules with this tag
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,
    /// Of all schedules
    #[arg(long)]
    pub all: bool,
}

impl Runs {
    /// The schedules that are meant, when no selector names runs.
    pub(super) fn which(&self) -> Which {
        Which {
            selector: None,
            tag: self.tag.clone(),
            all: self.all,
        }
    }
}

/// The live runs that are meant.
pub(super) fn runs(
    context: &Context,
    config: &Config,
    asked: &Runs,
) -> Result<Vec<RunId>, Failure> {
    let found = match &asked.selector {
        Some(selector) => match Selector::read(selector)? {
            Selector::Run(run) => return Ok(vec![run]),
            Selector::Series {
                schedule,
                set,
                when,
            } => {
                let past = open(context, config)?;
                let zone = select::shared_zone(select::configured(config, &schedule));
                let mut live = live_of(&past, &Target { schedule, set })?;
                if let Some(when) = when {
                    let now = Timestamp::now();
                    live.retain(|run| when.names(place(run), &zone, now));
                }
                live
            }
        },
        None => {
            let past = open(context, config)?;
            let mut live = Vec::new();
            for target in asked.which().targets(config)? {
                live.extend(live_of(&past, &target)?);
            }
            live
        }
    };
    match found.is_empty() {
        false => Ok(found.into_iter().map(|run| run.id).collect()),
        true => Err(Failure::new(
            Exit::Failed,
            "no such run is live",
            context.next("status"),
        )),
    }
}

fn live_of(past: &Past, target: &Target) -> Result<Vec<Run>, Failure> {
    let mut found = Vec::new();
    for state in RunState::WORDS.iter().filter(|word| **word != "finished") {
        found.extend(past.runs(&RunQuery {
            schedule: Some(target.schedule.clone()),
            set: target.set.clone(),
            state: Some((*state).to_owned()),
            ..RunQuery::default()
        })?);
    }
    found.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(found)
}

/// What is on record, which an acting command needs.
pub(super) fn open(context: &Context, config: &Config) -> Result<Past, Failure> {
    Past::open(config, &context.zones)?.ok_or_else(|| {
        Failure::new(
            Exit::Failed,
            format!(
                "no runs are recorded yet ({} does not exist)",
                config.daemon.database.display()
            ),
            context.next("daemon"),
        )
    })
}

/// Of each occurrence the newest generation; runs by hand are none of an occurrence.
pub(super) fn newest(runs: Vec<Run>) -> Vec<Run> {
    let mut newest: BTreeMap<(Timestamp, SeriesId), Run> = BTreeMap::new();
    let number = |run: &Run| match run.id.kind {
        RunKind::Generation(number) => Some(number),
        RunKind::Manual(_) => None,
    };
    for run in runs.into_iter().filter(|run| number(run).is_some()) {
        let key = (run.id.instant, run.id.series.clone());
        let known = newest.get(&key).and_then(number);
        if known.is_none_or(|known| Some(known) < number(&run)) {
            newest.insert(key, run);
        }
    }
    newest.into_values().collect()
}
