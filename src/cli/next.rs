//! `nightcall next`: what will run, before it runs; from the configuration alone.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::Value;

use super::Context;
use super::exit::{Exit, Failure, Outcome};
use super::held::Held;
use super::select::{self, Selector, when::When};
use super::{rendered, words};
use crate::config::{Config, Schedule};
use crate::sched::call::Parameters;
use crate::sched::schedule::Definition;
use crate::sched::time::{Timestamp, between, earlier};
use crate::sched::trigger::{Occurrence, Shape, Trigger};

/// How many occurrences are shown when nothing is said.
const SHOWN: usize = 10;

/// The most rows of one table.
const ROWS: usize = 10_000;

/// Show what will run, and when.
///
/// Comes from the configuration alone: works without a daemon, a database and a credential. Times without an offset
/// are read in the schedule's time zone, and in UTC when several zones are meant.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall next\n  nightcall next store-clusters/hyper -n 3\n  \
                  nightcall next store-clusters --from 2027-03-27 --until 2027-03-30\n\nT is 2026-02-03, \
                  2026-02-03T02:15, RFC 3339, now, today, tomorrow, or +3d"
)]
pub struct NextArgs {
    /// Of one schedule, or of one series of it [default: all enabled schedules]
    #[arg(value_name = "SCHEDULE[/SET]")]
    pub series: Option<String>,
    /// From this time on, including it
    #[arg(
        long,
        value_name = "T",
        default_value = "now",
        allow_hyphen_values = true
    )]
    pub from: String,
    /// Up to this time, not including it
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// At most so many in all [default: 10; with --until all]
    #[arg(short, value_name = "N")]
    pub n: Option<usize>,
}

/// One occurrence, as `next --json` prints it.
#[derive(Debug, Serialize)]
struct NextView<'a> {
    schedule: &'a str,
    set: &'a str,
    /// In the schedule's zone, RFC 3339 with offset; of a missing time with the offset before the gap.
    nominal: String,
    /// When it may start, UTC.
    due: String,
    /// `first` or `second` when the clock shows the time twice, else null.
    fold: Option<&'static str>,
    note: Option<String>,
    /// What will be sent: templates are filled in.
    parameters: Value,
}

/// `nightcall next`.
pub fn next(context: &Context, args: NextArgs) -> Outcome {
    next_at(context, args, Timestamp::now())
}

/// `nightcall next`, asked at a given time.
pub fn next_at(context: &Context, args: NextArgs, now: Timestamp) -> Outcome {
    let config = context.load()?;
    let chosen = Chosen::of(&config, args.series.as_deref())?;
    let zone = select::shared_zone(chosen.schedules.iter().copied());
    let from = When::read(&args.from)?.bound(&zone, now)?;
    let until = match &args.until {
        Some(text) => Some(When::read(text)?.bound(&zone, now)?),
        None => None,
    };
    if let (Some(end), Some(until)) = (until, &args.until)
        && end < from
    {
        return Err(Failure::new(
            Exit::Usage,
            format!("--until {until} lies before --from {}", args.from),
            "write --from T --until T with the earlier time first",
        ));
    }
    let most = match (args.n, until) {
        (Some(n), _) => n,
        (None, Some(_)) => usize::MAX,
        (None, None) => SHOWN,
    };
    let held = Held::read(context, &config, now);
    let coming = Coming::new(chosen.lines(), from, until).take(most);
    if context.out.json {
        for line in coming {
            context.out.object(&line.view(&held))?;
        }
        return Ok(Exit::Ok);
    }
    let lines: Vec<Line<'_>> = coming.take(ROWS + 1).collect();
    match lines.is_empty() {
        true => context.out.line(chosen.nothing())?,
        false => show(context, &chosen, &lines, &held, now)?,
    }
    Ok(Exit::Ok)
}

/// The schedules that are asked for.
struct Chosen<'c> {
    /// All of them, disabled ones too.
    schedules: Vec<&'c Schedule>,
    /// The series of the enabled ones.
    series: Vec<(&'c Arc<Definition>, &'c Arc<Trigger>)>,
    /// Whether one was asked for by name.
    one: bool,
}

impl<'c> Chosen<'c> {
    fn of(config: &'c Config, series: Option<&str>) -> Result<Self, Failure> {
        let Some(text) = series else {
            let schedules: Vec<&Schedule> = config.schedules.iter().collect();
            let enabled = schedules.iter().filter(|s| s.enabled);
            let series = enabled.flat_map(|s| s.definitions.iter().map(|d| (d, &s.trigger)));
            return Ok(Self {
                series: series.collect(),
                schedules,
                one: false,
            });
        };
        let (name, set) = Selector::read_series(text)?;
        let schedule = select::schedule(config, &name)?;
        let mut definitions = select::definitions(schedule, set.as_ref())?;
        if !schedule.enabled {
            definitions.clear();
        }
        Ok(Self {
            schedules: vec![schedule],
            series: definitions
                .into_iter()
                .map(|d| (d, &schedule.trigger))
                .collect(),
            one: true,
        })
    }

    fn lines(&self) -> Vec<(&'c Definition, &'c Trigger)> {
        self.series.iter().map(|(d, t)| (&***d, &***t)).collect()
    }

    /// Why nothing is shown.
    fn nothing(&self) -> String {
        match self.schedules.as_slice() {
            [] => "there is no schedule; add [schedule.NAME] to the configuration".to_owned(),
            [disabled] if self.one && !disabled.enabled => {
                let note = disabled.note.as_ref().map(|note| format!(": {note}"));
                format!("{} is disabled{}", disabled.name, note.unwrap_or_default())
            }
            schedules if schedules.iter().all(|s| !s.enabled) => {
                "all schedules are disabled".to_owned()
            }
            _ => "nothing will run in this time".to_owned(),
        }
    }
}

/// One coming occurrence of one series.
struct Line<'c> {
    definition: &'c Definition,
    trigger: &'c Trigger,
    occurrence: Occurrence,
    due: Timestamp,
}

impl<'c> Line<'c> {
    fn after(definition: &'c Definition, trigger: &'c Trigger, at: Timestamp) -> Option<Self> {
        // a trigger that does not advance must not keep us here
        let occurrence = trigger.after(at).filter(|o| o.instant > at)?;
        let due = trigger.due(&definition.series, &occurrence);
        Some(Self {
            definition,
            trigger,
            occurrence,
            due,
        })
    }

    fn has_templates(&self) -> bool {
        self.definition.parameters.has_templates()
    }

    /// What will be sent.
    fn sends(&self) -> Arc<Parameters> {
        rendered::for_occurrence(self.definition, &self.occurrence, self.trigger.zone())
    }

    /// What is special about it, which schedules it waits for, and whether people hold it back.
    fn note(&self, held: &Held) -> Option<String> {
        let special = note(&self.occurrence, self.due, self.trigger.zone());
        let held = held.why(&self.definition.series, &self.occurrence);
        let after = self.definition.after.as_deref();
        let after = after.map(|after| format!("after {}", words::names(after)));
        let notes: Vec<String> = special
            .into_iter()
            .chain(after)
            .chain(held.map(str::to_owned))
            .collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    fn view(&self, held: &Held) -> NextView<'c> {
        let Occurrence { civil, instant, .. } = self.occurrence;
        let zone = self.trigger.zone();
        NextView {
            schedule: self.definition.series.schedule.as_str(),
            set: self.definition.series.set.as_str(),
            nominal: words::rfc3339(civil, words::nominal_offset(civil, instant, zone)),
            due: self.due.to_string(),
            fold: words::fold(civil, self.occurrence.fold, zone),
            note: self.note(held),
            parameters: self.sends().to_json(),
        }
    }
}

/// What is unusual about an occurrence.
pub(super) fn note(occurrence: &Occurrence, due: Timestamp, zone: &TimeZone) -> Option<String> {
    let mut notes = Vec::new();
    match occurrence.shape {
        Shape::NoSuchDay => {
            notes.push("this day does not exist, will be recorded as skipped".to_owned());
        }
        Shape::Gap => {
            let placed = occurrence.instant.to_zoned(zone.clone());
            notes.push(format!(
                "{} does not exist on this day, runs at {} {}",
                words::clock(occurrence.civil.time()),
                words::clock(placed.time()),
                words::offset(placed.offset())
            ));
        }
        Shape::Plain => {
            let which = words::fold(occurrence.civil, occurrence.fold, zone);
            notes.extend(which.map(|which| format!("occurs twice, this is the {which}")));
        }
    }
    let jitter = between(occurrence.instant, due);
    if !jitter.is_zero() {
        notes.push(format!("jitter {}", words::took(jitter)));
    }
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// The occurrences of many series in the order in which they are due.
struct Coming<'c> {
    lines: Vec<Option<Line<'c>>>,
    order: BinaryHeap<Reverse<(Timestamp, usize)>>,
    until: Option<Timestamp>,
}

impl<'c> Coming<'c> {
    fn new(
        series: Vec<(&'c Definition, &'c Trigger)>,
        from: Timestamp,
        until: Option<Timestamp>,
    ) -> Self {
        let before = earlier(from, Duration::from_nanos(1));
        let mut coming = Self {
            lines: Vec::with_capacity(series.len()),
            order: BinaryHeap::with_capacity(series.len()),
            until,
        };
        for (index, (definition, trigger)) in series.into_iter().enumerate() {
            coming.lines.push(None);
            coming.put(index, Line::after(definition, trigger, before));
        }
        coming
    }

    fn put(&mut self, index: usize, line: Option<Line<'c>>) {
        let within = |line: &Line<'_>| self.until.is_none_or(|end| line.occurrence.instant < end);
        if let Some(line) = line.filter(within) {
            self.order.push(Reverse((line.due, index)));
            self.lines[index] = Some(line);
        }
    }
}

impl<'c> Iterator for Coming<'c> {
    type Item = Line<'c>;

    fn next(&mut self) -> Option<Line<'c>> {
        let Reverse((_, index)) = self.order.pop()?;
        let line = self.lines[index].take()?;
        let following = Line::after(line.definition, line.trigger, line.occurrence.instant);
        self.put(index, following);
        Some(line)
    }
}

fn show(
    context: &Context,
    chosen: &Chosen<'_>,
    lines: &[Line<'_>],
    held: &Held,
    now: Timestamp,
) -> Result<(), Failure> {
    let zone = |line: &Line<'_>| line.trigger.spec().zone.clone();
    let first = lines.first().map(zone).unwrap_or_default();
    let one_zone = lines.iter().all(|line| line.trigger.spec().zone == first);
    let templates = chosen.one && lines.iter().any(Line::has_templates);
    let row = |line: &Line<'_>| {
        let Occurrence { civil, instant, .. } = line.occurrence;
        let here = line.trigger.zone();
        let of = words::nominal_offset(civil, instant, here);
        let mut nominal = words::nominal(civil, of, here, now);
        if !one_zone {
            nominal = format!("{nominal} {}", zone(line));
        }
        let mut row = vec![
            nominal,
            line.due.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
            words::series(&line.definition.series),
            line.note(held).unwrap_or_default(),
        ];
        if templates {
            let filled = rendered::filled_in(line.definition, &line.sends());
            row.push(filled.unwrap_or_default());
        }
        row
    };
    let rows = lines.iter().take(ROWS).map(row).collect();
    let head = if one_zone {
        format!("NOMINAL ({first})")
    } else {
        "NOMINAL".to_owned()
    };
    let mut heads = vec![head.as_str(), "DUE", "SERIES", "NOTE"];
    if templates {
        heads.push("SENDS");
    }
    context.out.table(&heads, rows)?;
    if lines.len() > ROWS {
        let more = format!("and more after these {ROWS}; name a nearer --until, or use --json");
        context.out.line(more)?;
    }
    if chosen.one {
        for (definition, _) in &chosen.series {
            let with = words::parameters(definition.parameters.values());
            let series = words::series(&definition.series);
            context.out.line(format!("{series} with {with}"))?;
        }
    }
    Ok(())
}
