//! `nightcall show`: one run in full, as it is on record.

use clap::Args;
use jiff::tz::TimeZone;

use super::Context;
use super::exit::{Exit, Failure, Outcome};
use super::held;
use super::select::when::When;
use super::select::{self, Past, Selector, zone_of};
use super::serve::store_failure;
use super::words;
use crate::config::Config;
use crate::control::wire::StoryView;
use crate::sched::act::Deed;
use crate::sched::id::RunId;
use crate::sched::run::{Record, Run};
use crate::sched::time::Timestamp;
use crate::store::Story;

/// The most runs that a message lists when several match.
const LISTED: usize = 20;

/// Show one run in full.
///
/// Works without a daemon. Without a time it is the latest run; a time of day is the last run at that time; a date
/// will do when it has one run only.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall show store-clusters/hyper\n  nightcall show store-clusters/hyper@02:15\n  \
                  nightcall show store-clusters/hyper@2026-02-03T01:15:00Z --json"
)]
pub struct ShowArgs {
    /// `SCHEDULE[/SET]`, then `@TIME` for another than the latest; or the id of a run
    #[arg(value_name = "SELECTOR")]
    pub run: String,
}

/// `nightcall show`.
pub fn show(context: &Context, args: ShowArgs) -> Outcome {
    show_at(context, args, Timestamp::now())
}

/// `nightcall show`, asked at a given time.
pub fn show_at(context: &Context, args: ShowArgs, now: Timestamp) -> Outcome {
    let config = context.load()?;
    let Some(past) = Past::open(&config, &context.zones)? else {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "no runs are recorded yet ({} does not exist)",
                config.daemon.database.display()
            ),
            context.next("daemon"),
        ));
    };
    let id = one(context, &config, &past, &args.run, now)?;
    let story = past.history().story(&id).map_err(store_failure)?;
    let story =
        story.ok_or_else(|| nothing(context, &id.to_string(), id.series.schedule.as_str()))?;
    let zone = zone_of(&story.run, &context.zones);
    match context.out.json {
        true => context.out.object(&StoryView::of(&story, &zone))?,
        false => {
            let held = held::who_held_back(&past, &story.run)?;
            context
                .out
                .line(in_full(&story, held.as_ref(), &zone, now))?;
        }
    }
    Ok(Exit::Ok)
}

fn nothing(context: &Context, what: &str, schedule: &str) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("no run is recorded for {what}"),
        context.next(format_args!("runs --schedule {schedule}")),
    )
}

/// The one run that a selector names.
fn one(
    context: &Context,
    config: &Config,
    past: &Past,
    text: &str,
    now: Timestamp,
) -> Result<RunId, Failure> {
    let (schedule, set, when) = match Selector::read(text)? {
        Selector::Run(id) => return Ok(id),
        Selector::Series {
            schedule,
            set,
            when,
        } => (schedule, set, when),
    };
    let zone = select::shared_zone(select::configured(config, &schedule));
    let mut found: Vec<Run> = Vec::new();
    for series in select::all_series(config, Some(past), &schedule, set.as_ref())? {
        match &when {
            Some(when) => found.extend(past.named(&series, when, &zone, now)?),
            None => found.extend(past.latest(&series)?),
        }
    }
    if matches!(when, None | Some(When::Clock(..))) {
        let latest = found.iter().map(|run| run.id.instant).max();
        found.retain(|run| Some(run.id.instant) == latest);
    }
    match found.as_slice() {
        [] => Err(nothing(context, text, schedule.as_str())),
        [run] => Ok(run.id.clone()),
        several => Err(ambiguous(context, several)),
    }
}

fn ambiguous(context: &Context, runs: &[Run]) -> Failure {
    let mut text = format!("{} runs match; name one of them:", runs.len());
    for run in runs.iter().take(LISTED) {
        text.push_str(&format!("\n  {}", run.id));
    }
    if runs.len() > LISTED {
        text.push_str(&format!("\n  and {} more", runs.len() - LISTED));
    }
    let last = runs.last().map(|run| run.id.to_string());
    Failure::new(
        Exit::Failed,
        text,
        context.next(format_args!("show {}", last.unwrap_or_default())),
    )
}

fn in_full(story: &Story, held: Option<&Deed>, zone: &TimeZone, now: Timestamp) -> String {
    let run = &story.run;
    let mut text = run.id.to_string();
    let mut add = |label: &str, line: String| {
        text.push_str(&format!("\n  {label:<10} {line}"));
    };
    let at = |t: Timestamp| words::instant(t, zone, now);
    add("state", state(run));
    if let Some(deed) = held {
        add("held back", words::deed(deed, &at(deed.at)));
    }
    let of = words::run_offset(run, zone);
    add(
        "nominal",
        format!(
            "{} {}",
            words::nominal(run.civil, of, zone, now),
            run.definition.trigger.zone
        ),
    );
    add("due", at(run.due));
    add(
        "origin",
        format!("{}, decided {}", run.origin.word(), at(run.planned)),
    );
    if run.attempt > 0 {
        let submitted = run
            .submitted
            .map(|t| format!(", the last submitted {}", at(t)));
        add(
            "attempts",
            format!("{}{}", run.attempt, submitted.unwrap_or_default()),
        );
    }
    if let Some(finished) = run.finished {
        add("finished", at(finished));
    }
    if let Some(ended) = run.resolved {
        add("resolved", format!("a person says: {}", ended.word()));
    }
    if let Some(job) = &run.job {
        add("job", job.to_string());
    }
    if let Some(fault) = &run.fault {
        add(
            "fault",
            format!(
                "{} ({})",
                words::plain(&fault.to_string()),
                fault.class.word()
            ),
        );
        if let Some(remedy) = &fault.remedy {
            add("remedy", words::plain(remedy));
        }
    }
    add(
        "connection",
        format!("{}, {}", run.definition.connection, run.definition.target),
    );
    add("query", words::plain(&run.definition.query));
    add("parameters", words::parameters(&run.parameters));
    text.push_str("\nevents");
    for record in &story.records {
        text.push_str(&format!("\n  {}", event(record, zone, now)));
    }
    for notice in &story.notices {
        text.push_str(&format!(
            "\nnotice {} {}: {}",
            notice.kind.word(),
            at(notice.at),
            words::plain(&notice.subject)
        ));
        for line in notice.body.lines() {
            text.push_str(&format!("\n  {}", words::plain(line)));
        }
    }
    text
}

fn state(run: &Run) -> String {
    match run.outcome() {
        Some(crate::sched::outcome::Outcome::Skipped(reason)) => {
            format!("skipped ({}): {reason}", reason.word())
        }
        Some(outcome) => outcome.word().to_owned(),
        None => run.state.word().to_owned(),
    }
}

/// One line of the story: time, what, and what is known of it.
fn event(record: &Record, zone: &TimeZone, now: Timestamp) -> String {
    let mut text = format!("{}  {}", words::moment(record.at, zone, now), record.what);
    if record.state != record.what {
        text.push_str(&format!(" -> {}", record.state));
    }
    if record.attempt > 0 {
        text.push_str(&format!(", attempt {}", record.attempt));
    }
    let details = [
        record.job.as_ref().map(|job| format!("job {job}")),
        record
            .fault
            .as_ref()
            .map(|fault| words::plain(&fault.to_string())),
        record.why.as_ref().map(|why| words::plain(why)),
    ];
    for detail in details.into_iter().flatten() {
        text.push_str(&format!("; {detail}"));
    }
    text
}
