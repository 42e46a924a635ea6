//! `nightcall report`: the morning report. Was all that was expected of the night done, and if not, what is wrong?
//!
//! `facts.rs` reads, `account.rs` counts, `sheet.rs` puts the report together as a value, `page.rs` has its words;
//! `html.rs` and `json.rs` are the other two ways to show it. The last four are pure.

mod account;
mod counts;
mod facts;
mod html;
mod json;
mod page;
mod sheet;

use std::time::Duration;

use clap::Args;
use comfy_table::Cell;
use jiff::ToSpan;

use self::account::{Account, Scope};
use self::facts::{Facts, unplanned};
use self::page::{Page, Section};
use self::sheet::{Reading, Report};
use super::Context;
use super::exit::{Exit, Failure, Outcome};
use super::output::outcome_cell;
use super::select::Past;
use super::select::when::When;
use super::serve::{self, store_failure};
use crate::config::{Config, Credential};
use crate::sched::id::ConnectionName;
use crate::sched::time::{TimeZone, Timestamp, civil, earlier, later};
use crate::secret::SecretSource;

/// The night begins.
const EVENING: i8 = 17;
/// What comes is told up to here.
const MORNING: i8 = 8;
/// So many coming occurrences are listed, and in a handover so many.
const COMING: (usize, usize) = (5, 20);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The morning report: was all that was expected done?
///
/// What was expected against what is on record, how it ended, what was slow, what is paused and why, and what comes
/// next; short when all is well. Without --since it tells of the last night, from 17:00 of the day before until now, in
/// the time zone of the defaults (else UTC). Works without a daemon. The exit code is 0 when all is fine, else 1.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall report\n  nightcall report --week --json\n  \
                  nightcall report --handover --since yesterday\n\nT is 2026-02-03, 2026-02-03T02:15, RFC 3339, \
                  now, today, yesterday, or -2h"
)]
pub struct ReportArgs {
    /// Of times from this one on [default: 17:00 of the day before]
    #[arg(
        long,
        value_name = "T",
        allow_hyphen_values = true,
        conflicts_with = "week"
    )]
    pub since: Option<String>,
    /// Of times before this one [default: now]
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// Of the last seven days and today, with a line for each day
    #[arg(long)]
    pub week: bool,
    /// For whoever takes over: also what people did, and more of what is live and of what comes in the next 24 h
    #[arg(long)]
    pub handover: bool,
    /// As one HTML page, to be sent by mail
    #[arg(long, conflicts_with = "json")]
    pub html: bool,
}

/// `nightcall report`.
pub async fn report(context: &Context, args: ReportArgs) -> Outcome {
    report_at(context, args, Timestamp::now()).await
}

/// `nightcall report`, asked at a given time.
pub async fn report_at(context: &Context, args: ReportArgs, now: Timestamp) -> Outcome {
    let config = context.load()?;
    let (since, until) = span(&args, &config, now)?;
    let tokens = tokens(&config).await;
    let asked = Asked {
        since,
        until,
        now,
        by_day: args.week,
        handover: args.handover,
    };
    let report = made(context, &config, &asked, tokens)?;
    show(context, &report, args.html)?;
    Ok(match report.fine {
        true => Exit::Ok,
        false => Exit::Failed,
    })
}

/// What is asked for.
struct Asked {
    since: Timestamp,
    until: Timestamp,
    now: Timestamp,
    by_day: bool,
    handover: bool,
}

/// The report, read and put together.
fn made(
    context: &Context,
    config: &Config,
    asked: &Asked,
    tokens: Vec<(ConnectionName, Timestamp)>,
) -> Result<Report, Failure> {
    let zone = &config.daemon.doctor_zone;
    let retention = config.daemon.retention;
    let mut scope = Scope {
        since: asked.since,
        until: asked.until,
        now: asked.now,
        mark: None,
        zone: zone.clone(),
        by_day: asked.by_day,
        kept_since: earlier(asked.now, DAY.saturating_mul(retention.days)),
        kept_runs: retention.runs_per_series,
    };
    let (account, reading) = match Past::open(config, &context.zones)? {
        None => (Account::new(scope), nothing(config)),
        Some(past) => {
            let in_force = past.history().in_force().map_err(store_failure)?;
            scope.mark = in_force.mark;
            let facts = Facts {
                history: past.history(),
                config,
                zones: &context.zones,
            };
            let read = facts.read(in_force, scope, asked.handover);
            read.map_err(store_failure)?
        }
    };
    let ahead = match asked.handover {
        true => (later(asked.now, DAY), COMING.1),
        false => (next_morning(zone, asked.now), COMING.0),
    };
    Ok(Report::of(account, Reading { tokens, ..reading }, ahead))
}

/// No daemon has run here.
fn nothing(config: &Config) -> Reading {
    let planned = Default::default();
    Reading {
        unplanned: unplanned(config, &planned),
        ..Reading::default()
    }
}

/// From when on, and up to when.
fn span(
    args: &ReportArgs,
    config: &Config,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), Failure> {
    let zone = &config.daemon.doctor_zone;
    let bound = |text: &str| When::read(text)?.bound(zone, now);
    let since = match &args.since {
        Some(text) => bound(text)?,
        None if args.week => at(zone, now, -7, 0),
        None => at(zone, now, -1, EVENING),
    };
    let until = args.until.as_deref().map(bound).transpose()?;
    let until = until.unwrap_or(now).min(now);
    if until <= since {
        return Err(Failure::new(
            Exit::Usage,
            "the report would begin after its end",
            "write --since T --until T with two times that have passed, the earlier first",
        ));
    }
    Ok((since, until))
}

/// Up to when coming occurrences are told: the morning of the next day.
fn next_morning(zone: &TimeZone, now: Timestamp) -> Timestamp {
    at(zone, now, 1, MORNING)
}

/// An hour of the day so many days from today; of a time that a clock change takes away, the instant after it.
fn at(zone: &TimeZone, now: Timestamp, days: i64, hour: i8) -> Timestamp {
    let day = now
        .to_zoned(zone.clone())
        .date()
        .saturating_add(days.days());
    let civil = day.to_datetime(civil::Time::constant(hour, 0, 0, 0));
    let placed = zone.to_ambiguous_timestamp(civil).compatible();
    placed.unwrap_or(now)
}

/// When the tokens end that can be read here, without asking anybody: no command is run, and what this user may not read
/// is left out.
async fn tokens(config: &Config) -> Vec<(ConnectionName, Timestamp)> {
    let mut ends = Vec::new();
    for connection in &config.connections {
        let Credential::Token(source) = &connection.credential else {
            continue;
        };
        if matches!(source, SecretSource::Command(_)) {
            continue;
        }
        if let Ok(token) = source.read().await {
            let end = serve::token_end(&token);
            ends.extend(end.map(|end| (connection.name().clone(), end)));
        }
    }
    ends
}

// ---- showing -------------------------------------------------------------------------------------------------------

fn show(context: &Context, report: &Report, html: bool) -> Result<(), Failure> {
    if context.out.json {
        return context.out.object(&json::object(report));
    }
    let page = Page::of(report);
    let next = page.next.as_ref().map(|next| context.command(next));
    match html {
        true => context.out.line(html::page(&page, next.as_deref())),
        false => text(context, &page),
    }
}

fn text(context: &Context, page: &Page) -> Result<(), Failure> {
    let out = &context.out;
    if let Some(alarm) = &page.alarm {
        out.line(out.coloured(alarm, "failed"))?;
    }
    let colour = if page.fine { "succeeded" } else { "failed" };
    out.line(out.coloured(&page.headline, colour))?;
    out.line(&page.span)?;
    for remark in &page.remarks {
        out.line(remark)?;
    }
    for section in &page.tables {
        out.line("")?;
        out.table(&section.head, cells(section))?;
        if let Some(below) = &section.below {
            out.line(below)?;
        }
    }
    if let Some(next) = &page.next {
        out.line("")?;
        out.line(context.next(next))?;
    }
    Ok(())
}

fn cells(section: &Section) -> Vec<Vec<Cell>> {
    let loud = section.head.first() == Some(&"WRONG");
    let cell = |(index, text): (usize, &String)| match loud && index == 0 {
        true if matches!(text.as_str(), "unexplained" | "missed") => {
            Cell::new(text).fg(comfy_table::Color::Red)
        }
        true => outcome_cell(text),
        false => Cell::new(text),
    };
    let row = |row: &Vec<String>| row.iter().enumerate().map(cell).collect();
    section.rows.iter().map(row).collect()
}
