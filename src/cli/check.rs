//! `nightcall check`: every problem of the configuration at once or, when there is none, what it means.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use clap::Args;
use jiff::ToSpan;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::Context;
use super::exit::{Exit, Failure, Outcome};
use super::select::{self, Selector};
use super::{rendered, words};
use crate::config::{self, Config, Problem, Problems, Schedule};
use crate::sched::calendar::{Calendar, Lack};
use crate::sched::id::SetName;
use crate::sched::policy::After;
use crate::sched::schedule::Definition;
use crate::sched::time::{Timestamp, later};
use crate::sched::trigger::{Occurrence, Shape, Trigger};

/// With more schedules than this each gets one line.
const DETAILED: usize = 50;

/// With more than this the rest is counted.
const LINES: usize = 100;

/// The most warnings that are shown.
const WARNINGS: usize = 50;

/// The most files that are named.
const FILES: usize = 10;

/// So many coming occurrences are shown of each schedule.
const NEXT: usize = 3;

/// Clock changes are shown that come within so many months.
const MONTHS: i64 = 24;

/// Times without a predecessor are looked for so far ahead …
const AHEAD: Duration = Duration::from_secs(30 * 86_400);

/// … and so many are named.
const LACKING: usize = 10;

/// The longest statement that is shown whole, in bytes.
const STATEMENT: usize = 500;

/// Check the configuration and show what it means.
///
/// Finds all problems at once, each with its place and a remedy, and then ends with 78. Needs no credential, no
/// daemon and no database. With --json it prints one object a problem, warning or note.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall check\n  nightcall check store-clusters\n  \
                  nightcall check --config common/ --config prod/"
)]
pub struct CheckArgs {
    /// Show this schedule only; the whole configuration is checked in any case
    #[arg(value_name = "SCHEDULE[/SET]")]
    pub series: Option<String>,
    /// Show every schedule in full and every warning, however many there are
    #[arg(long)]
    pub all: bool,
}

/// One problem or warning, as `check --json` prints it.
#[derive(Debug, Serialize)]
struct ProblemView<'a> {
    /// `error`, `warning`, or `note` for what follows from the calendar and may be meant.
    severity: &'a str,
    file: Option<String>,
    line: usize,
    column: usize,
    key: &'a str,
    message: &'a str,
    hint: Option<&'a str>,
}

/// `nightcall check`.
pub fn check(context: &Context, args: CheckArgs) -> Outcome {
    check_at(context, args, Timestamp::now())
}

/// `nightcall check`, asked at a given time.
pub fn check_at(context: &Context, args: CheckArgs, now: Timestamp) -> Outcome {
    let config = match config::load(&context.paths()?, &context.zones) {
        Ok(config) => config,
        Err(problems) => return wrong(context, &problems),
    };
    let (schedules, set) = chosen(&config, args.series.as_deref())?;
    let planned = config.schedules.iter().filter(|s| s.enabled);
    let planned = planned.map(|s| (&s.name, &s.definitions[..], &*s.trigger));
    let mut calendar = Calendar::of(planned);
    if context.out.json {
        objects(context, &config.warnings, "warning")?;
        for schedule in &schedules {
            notes(context, schedule, &mut calendar, now)?;
        }
        return Ok(Exit::Ok);
    }
    let full = args.all || schedules.len() <= DETAILED;
    let shown = if args.all { schedules.len() } else { LINES };
    for schedule in schedules.iter().take(shown) {
        let text = match full {
            true => in_full(&config, schedule, set.as_ref(), &mut calendar, now),
            false => in_one_line(schedule, &mut calendar, now),
        };
        context.out.line(text)?;
    }
    if let Some(more) = more(schedules.len(), shown) {
        let all = context.command("check --all");
        context
            .out
            .line(format!("and {more} more schedules: {all}"))?;
    }
    let shown = if args.all { usize::MAX } else { WARNINGS };
    for warning in config.warnings.iter().take(shown) {
        context.out.line(format!("warning: {warning}"))?;
    }
    if let Some(more) = more(config.warnings.len(), shown) {
        let all = context.command("check --json");
        context
            .out
            .line(format!("and {more} more warnings: {all}"))?;
    }
    context.out.line(read_from(&config))?;
    context.out.line(verdict(&config))?;
    Ok(Exit::Ok)
}

/// All the problems, and exit code 78.
pub(super) fn wrong(context: &Context, problems: &Problems) -> Outcome {
    if context.out.json {
        objects(context, &problems.0, "error")?;
        return Ok(Exit::Config);
    }
    Err(Failure::plain(Exit::Config, problems.to_string()))
}

fn objects(context: &Context, problems: &[Problem], severity: &str) -> Result<(), Failure> {
    for problem in problems {
        context.out.object(&ProblemView {
            severity,
            file: problem.file.as_ref().map(|file| file.display().to_string()),
            line: problem.line,
            column: problem.column,
            key: &problem.key,
            message: &problem.message,
            hint: problem.hint.as_deref(),
        })?;
    }
    Ok(())
}

fn chosen<'c>(
    config: &'c Config,
    series: Option<&str>,
) -> Result<(Vec<&'c Schedule>, Option<SetName>), Failure> {
    let Some(text) = series else {
        return Ok((config.schedules.iter().collect(), None));
    };
    let (name, set) = Selector::read_series(text)?;
    let schedule = select::schedule(config, &name)?;
    select::definitions(schedule, set.as_ref())?;
    Ok((vec![schedule], set))
}

/// How many are left when so many of them are shown; `None` when none is.
fn more(all: usize, shown: usize) -> Option<usize> {
    all.checked_sub(shown).filter(|more| *more > 0)
}

/// "read a.toml, b.toml"
fn read_from(config: &Config) -> String {
    let names = config.files.iter().take(FILES);
    let names: Vec<String> = names.map(|file| file.display().to_string()).collect();
    let more = more(config.files.len(), FILES).map(|more| format!(" and {more} more"));
    format!(
        "read {}{}",
        words::plain(&names.join(", ")),
        more.unwrap_or_default()
    )
}

/// The last line: "3 schedules (1 disabled), 4 series: no problems, 1 warning".
fn verdict(config: &Config) -> String {
    let enabled = config.schedules.iter().filter(|s| s.enabled);
    let series: usize = enabled.map(|s| s.definitions.len()).sum();
    let disabled = match config.schedules.iter().filter(|s| !s.enabled).count() {
        0 => String::new(),
        n => format!(" ({n} disabled)"),
    };
    let warnings = match config.warnings.len() {
        0 => "no warnings".to_owned(),
        n => words::count(n, "warning"),
    };
    format!(
        "{}{disabled}, {series} series: no problems, {warnings}",
        words::count(config.schedules.len(), "schedule")
    )
}

/// A schedule with everything that follows from its lines.
fn in_full<'c>(
    config: &Config,
    schedule: &'c Schedule,
    set: Option<&SetName>,
    calendar: &mut Calendar<'c>,
    now: Timestamp,
) -> String {
    let mut text = schedule.name.to_string();
    if let Some(description) = &schedule.description {
        let _ = write!(text, ": {}", words::plain(description));
    }
    let mut add = |label: &str, line: String| {
        let _ = write!(text, "\n  {label:<5} {line}");
    };
    if !schedule.enabled {
        add("off", disabled(schedule));
    }
    add("when", schedule.trigger.words());
    let shown: Vec<&Definition> = schedule
        .definitions
        .iter()
        .filter(|d| set.is_none_or(|set| d.series.set == *set))
        .map(|d| &**d)
        .collect();
    let calls: BTreeSet<(&str, &str)> = shown
        .iter()
        .map(|d| (d.connection.as_str(), &*d.query))
        .collect();
    for (connection, query) in calls {
        let query = crate::sched::fault::bounded(&words::plain(query), STATEMENT);
        add("call", format!("{query} on {}", told(config, connection)));
    }
    let width = shown.iter().map(|d| d.series.set.as_str().len()).max();
    for definition in &shown {
        let with = words::parameters(definition.parameters.values());
        match definition.series.set.as_str() {
            "default" => add("with", with),
            set => add("set", format!("{set:<0$}  {with}", width.unwrap_or(0))),
        }
    }
    if schedule.enabled {
        add("next", coming(&schedule.trigger, NEXT, now));
        for (set, line) in sends(schedule, &shown, now) {
            add(
                "sends",
                match set {
                    "default" => line,
                    set => format!("{set:<0$}  {line}", width.unwrap_or(0)),
                },
            );
        }
        if let Some(after) = after_of(schedule) {
            add("after", words::after(after));
        }
        if let Some(lacks) = lacking(schedule, calendar, now) {
            add("lacks", lacks);
        }
        for note in schedule.trigger.notes(now, two_years_after(now)) {
            add("clock", note.text);
        }
    }
    text.push('\n');
    text
}

/// What the series with templates send for the next occurrence, each with its set.
fn sends<'d>(
    schedule: &Schedule,
    shown: &[&'d Definition],
    now: Timestamp,
) -> Vec<(&'d str, String)> {
    let trigger = &schedule.trigger;
    let following = |o: &Occurrence| trigger.after(o.instant);
    let mut coming = std::iter::successors(trigger.after(now), following);
    let Some(next) = coming.find(|o| o.shape != Shape::NoSuchDay) else {
        return Vec::new();
    };
    let of = words::nominal_offset(next.civil, next.instant, trigger.zone());
    let when = words::nominal(next.civil, of, trigger.zone(), now);
    let line = |definition: &&'d Definition| {
        let rendered = rendered::for_occurrence(definition, &next, trigger.zone());
        let filled = rendered::filled_in(definition, &rendered)?;
        Some((
            definition.series.set.as_str(),
            format!("{filled} for {when}"),
        ))
    };
    shown.iter().filter_map(line).collect()
}

fn told(config: &Config, connection: &str) -> String {
    let found = config
        .connections
        .iter()
        .find(|c| c.name().as_str() == connection);
    let provider = found.map(|c| format!(" ({})", c.provider.word()));
    format!("{connection}{}", provider.unwrap_or_default())
}

fn in_one_line<'c>(schedule: &'c Schedule, calendar: &mut Calendar<'c>, now: Timestamp) -> String {
    let then = match schedule.enabled {
        true => {
            let lacks = lacking(schedule, calendar, now);
            let lacks = lacks.map(|lacks| format!("; lacks {lacks}"));
            let next = coming(&schedule.trigger, 1, now);
            format!("next {next}{}", lacks.unwrap_or_default())
        }
        false => disabled(schedule),
    };
    format!("{}  {}; {then}", schedule.name, schedule.trigger.words())
}

fn disabled(schedule: &Schedule) -> String {
    match &schedule.note {
        Some(note) => format!("disabled: {}", words::plain(note)),
        None => "disabled".to_owned(),
    }
}

// ---- schedules that come after others ------------------------------------------------------------------------------

fn after_of(schedule: &Schedule) -> Option<&After> {
    schedule.definitions.first()?.after.as_deref()
}

/// The coming times that find no run of a schedule that this one comes after: each will be skipped.
fn lacking<'c>(
    schedule: &'c Schedule,
    calendar: &mut Calendar<'c>,
    now: Timestamp,
) -> Option<String> {
    let definition = schedule.definitions.first().filter(|_| schedule.enabled)?;
    let until = later(now, AHEAD);
    let found = calendar.lacking(definition, &schedule.trigger, now, until);
    let first = found.times.first()?;
    let zone = schedule.trigger.zone();
    let time = |lack: &Lack| {
        let Occurrence { civil, instant, .. } = lack.occurrence;
        let of = words::nominal_offset(civil, instant, zone);
        words::nominal(civil, of, zone, now)
    };
    let mut shown: Vec<String> = found.times.iter().take(LACKING).map(time).collect();
    if let Some(more) = more(found.times.len(), LACKING) {
        shown.push(format!("and {more} more"));
    }
    Some(format!(
        "{} of {} times in the next 30 days find no run of {} on their date and will be skipped: {}",
        found.times.len(),
        found.of,
        first.schedule,
        shown.join(", ")
    ))
}

/// The same as an object, since it is neither a problem nor a warning: it may be meant.
fn notes<'c>(
    context: &Context,
    schedule: &'c Schedule,
    calendar: &mut Calendar<'c>,
    now: Timestamp,
) -> Result<(), Failure> {
    let Some(message) = lacking(schedule, calendar, now) else {
        return Ok(());
    };
    context.out.object(&ProblemView {
        severity: "note",
        file: None,
        line: 0,
        column: 0,
        key: &format!("schedule.{}.after", schedule.name),
        message: &message,
        hint: None,
    })
}

/// The next occurrences, "Tue 3 Feb 02:15 +01:00, …".
pub(super) fn coming(trigger: &Trigger, most: usize, now: Timestamp) -> String {
    let following = |o: &Occurrence| trigger.after(o.instant);
    let shown: Vec<String> = std::iter::successors(trigger.after(now), following)
        .take(most)
        .map(|o| {
            let of = words::nominal_offset(o.civil, o.instant, trigger.zone());
            let nominal = words::nominal(o.civil, of, trigger.zone(), now);
            match o.shape {
                Shape::Plain => nominal,
                Shape::Gap => format!("{nominal} (does not exist, see clock)"),
                Shape::NoSuchDay => format!("{nominal} (no such day)"),
            }
        })
        .collect();
    match shown.is_empty() {
        true => "never again".to_owned(),
        false => shown.join(", "),
    }
}

fn two_years_after(now: Timestamp) -> Timestamp {
    let utc = now.to_zoned(TimeZone::UTC);
    utc.saturating_add(MONTHS.months()).timestamp()
}
