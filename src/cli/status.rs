//! `nightcall status`: how the daemon stands, from the daemon itself.

use std::io::ErrorKind;

use clap::Args;
use serde::Serialize;

use super::exit::{Exit, Failure, Outcome};
use super::{Context, reach, words as shown};
use crate::config::Config;
use crate::control::client::ClientError;
use crate::control::token;
use crate::control::wire::{ChannelView, ConnectionView, StatusView};
use crate::sched::finding::Tally;
use crate::sched::time::{TimeZone, Timestamp, between, words};

/// What is told of a connection whose job list has not shown a job of ours yet.
const NO_PROOF: &str =
    "no proof yet that the job list can be read: a lost answer would end as lost";

/// So many lines tell what people hold back.
const HELD_BACK: usize = 20;

/// Show how the daemon stands.
///
/// Its live runs, its connections, what comes next and what is wrong. The exit code is 0 when all is well, 1 when something is wrong, 69 when no daemon runs.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall status\n  nightcall status --json\n  nightcall status --token"
)]
pub struct StatusArgs {
    /// Print the token that the address of `http` asks for; needs no daemon
    #[arg(long)]
    pub token: bool,
}

/// The token, as `--json` prints it.
#[derive(Serialize)]
struct TokenView<'a> {
    token: &'a str,
    /// Where it is kept.
    file: String,
}

/// `nightcall status`.
pub async fn status(context: &Context, args: StatusArgs) -> Outcome {
    if args.token {
        return token(context);
    }
    let (config, client) = reach::daemon(context)?;
    let status = client.status().await.map_err(|error| {
        let nobody = matches!(error, ClientError::NoDaemon { .. });
        let mut failure = reach::failure(context, error);
        if nobody {
            let hint = failure.hint.take().unwrap_or_default();
            let runs = context.command("runs");
            failure.hint = Some(format!("{hint}\nhistory can still be read: {runs}"));
        }
        failure
    })?;
    if context.out.json {
        context.out.object(&status)?;
    } else {
        show(context, &config, &status)?;
    }
    match status.complaints.is_empty() {
        true => Ok(Exit::Ok),
        false => Ok(Exit::Failed),
    }
}

fn token(context: &Context) -> Outcome {
    let file = token::file_of(&context.load()?.daemon.database);
    let token = token::read(&file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::new(
            Exit::Failed,
            format!("there is no token yet ({} does not exist)", file.display()),
            "set `http` in [daemon]; the next start of the daemon makes one",
        ),
        _ => Failure::plain(Exit::Store, format!("the token cannot be read: {error}")),
    })?;
    let token = token.expose();
    match context.out.json {
        true => context.out.object(&TokenView {
            token,
            file: file.display().to_string(),
        })?,
        false => context.out.line(token)?,
    }
    Ok(Exit::Ok)
}

fn show(context: &Context, config: &Config, status: &StatusView) -> Result<(), Failure> {
    let out = &context.out;
    let now = status.at.parse().unwrap_or_else(|_| Timestamp::now());
    for line in head(status, now) {
        out.line(line)?;
    }
    if !status.connections.is_empty() {
        out.line("")?;
        out.table(
            &["CONNECTION", "IN FLIGHT", "WAITING", "IN DOUBT", "STATE"],
            status
                .connections
                .iter()
                .map(|c| connection(c, now))
                .collect(),
        )?;
    }
    if !status.channels.is_empty() {
        out.line("")?;
        let channels = status.channels.iter().map(|c| channel(c, now)).collect();
        out.table(&["CHANNEL", "WAITING", "STATE"], channels)?;
    }
    for line in held_back(config, status, now) {
        out.line(line)?;
    }
    if !status.next.is_empty() {
        out.line("")?;
        let next = status.next.iter().map(|next| {
            let zone = reach::zone_of(config, &next.schedule);
            let series = format!("{}/{}", next.schedule, next.set);
            vec![shown::moment_of(&next.at, &zone, now), series]
        });
        out.table(&["NEXT", "SERIES"], next.collect())?;
    }
    if !status.complaints.is_empty() {
        out.line("")?;
        for complaint in &status.complaints {
            out.line(format!("wrong: {}", shown::plain(complaint)))?;
        }
    }
    Ok(())
}

fn channel(channel: &ChannelView, now: Timestamp) -> Vec<String> {
    let state = match (&channel.error, &channel.next) {
        (Some(why), Some(next)) => format!(
            "{}; tried again {}",
            shown::plain(why),
            shown::moment_of(next, &TimeZone::UTC, now)
        ),
        _ => "told".to_owned(),
    };
    vec![channel.name.clone(), channel.waiting.to_string(), state]
}

/// What is not a table.
fn head(status: &StatusView, now: Timestamp) -> Vec<String> {
    let utc = |time: &str| shown::moment_of(time, &TimeZone::UTC, now);
    let time = |text: &str| text.parse::<Timestamp>().ok();
    let up = time(&status.started).zip(time(&status.at));
    let up = up.map(|(from, to)| format!(", for {}", words(between(from, to))));
    let mut lines = vec![
        format!(
            "nightcall {}, pid {}, since {}{}",
            status.version,
            status.pid,
            utc(&status.started),
            up.unwrap_or_default()
        ),
        format!(
            "instance {}, configuration {}, {} series",
            status.instance, status.config, status.series
        ),
        live(status),
    ];
    if status.observe {
        lines.push("only observes: decides and records, submits nothing".to_owned());
    }
    if status.late_seconds >= 1.0 {
        lines.push(format!(
            "in the last minute an occurrence was decided {:.1} s late",
            status.late_seconds
        ));
    }
    for occupied in &status.occupied {
        lines.push(format!(
            "{}/{} waits until {}: its last run is lost and its job may live",
            occupied.schedule,
            occupied.set,
            utc(&occupied.until)
        ));
    }
    if let Some(doctor) = &status.doctor {
        let tally = Tally {
            problems: doctor.problems,
            warnings: doctor.warnings,
            well: doctor.well,
        };
        let said = tally.complaint();
        let said = said.unwrap_or_else(|| "all is well".to_owned());
        lines.push(format!("doctor {}: {said}", utc(&doctor.at)));
    }
    if status.bugs > 0 {
        lines.push(format!(
            "{} things happened that must not: look for \"bug\" in the log and report them",
            status.bugs
        ));
    }
    lines
}

/// What people hold back, and why.
fn held_back(config: &Config, status: &StatusView, now: Timestamp) -> Vec<String> {
    let because = |who: &str, note: &Option<String>| match note {
        Some(note) => format!(" ({who}: {})", shown::plain(note)),
        None => format!(" ({who})"),
    };
    let pauses = status.pauses.iter().map(|pause| {
        let (what, zone) = match &pause.schedule {
            Some(schedule) => (schedule.as_str(), reach::zone_of(config, schedule)),
            None => ("everything", TimeZone::UTC),
        };
        let until = pause.until.as_ref();
        let until = until.map(|until| format!(" until {}", shown::moment_of(until, &zone, now)));
        format!(
            "paused: {what} since {}{}{}",
            shown::moment_of(&pause.since, &zone, now),
            until.unwrap_or_default(),
            because(&pause.who, &pause.note)
        )
    });
    let skips = status.skips.iter().map(|skip| {
        let zone = reach::zone_of(config, &skip.schedule);
        let what = match (&skip.next, &skip.on, &skip.at) {
            (Some(n), ..) => shown::count(*n as usize, "next time"),
            (_, Some(date), _) => date.clone(),
            (.., Some(at)) => shown::moment_of(at, &zone, now),
            _ => String::new(),
        };
        format!(
            "to be skipped: {}/{} {what}{}",
            skip.schedule,
            skip.set,
            because(&skip.who, &skip.note)
        )
    });
    let mut lines: Vec<String> = pauses.chain(skips).collect();
    if lines.len() > HELD_BACK {
        let more = lines.len() - HELD_BACK;
        lines.truncate(HELD_BACK);
        lines.push(format!("… and {more} more: --json lists all"));
    }
    if !lines.is_empty() {
        lines.insert(0, String::new());
    }
    lines
}

fn live(status: &StatusView) -> String {
    let counts = status.live.iter().filter(|(_, count)| **count > 0);
    let words: Vec<String> = counts
        .map(|(state, count)| format!("{count} {}", state.replace('_', " ")))
        .collect();
    match words.is_empty() {
        true => "no live runs".to_owned(),
        false => format!("live runs: {}", words.join(", ")),
    }
}

fn connection(connection: &ConnectionView, now: Timestamp) -> Vec<String> {
    vec![
        connection.name.clone(),
        format!("{}/{}", connection.in_flight, connection.max_in_flight),
        connection.waiting.to_string(),
        connection.in_doubt.to_string(),
        state(connection, now),
    ]
}

fn state(connection: &ConnectionView, now: Timestamp) -> String {
    let mut notes = Vec::new();
    match &connection.outage {
        None => notes.push("works".to_owned()),
        Some(outage) => {
            let since = shown::moment_of(&outage.since, &TimeZone::UTC, now);
            let fault = shown::plain(&outage.fault);
            notes.push(format!("does not work since {since}: {fault}"));
        }
    }
    if let Some(left) = connection.paused_seconds {
        notes.push(format!(
            "pauses for {left:.0} s after \"too many requests\""
        ));
    }
    if !connection.swept {
        notes.push("reads the job list before anything is submitted".to_owned());
    }
    if connection.list_readable == Some(false) {
        notes.push("the job list cannot be read".to_owned());
    }
    if connection.proven.is_none() {
        notes.push(NO_PROOF.to_owned());
    }
    notes.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_connection_says_what_it_costs() {
        let mut view = ConnectionView {
            name: "dw".to_owned(),
            host: "example.com".to_owned(),
            in_flight: 0,
            max_in_flight: 50,
            waiting: 0,
            in_doubt: 0,
            outage: None,
            paused_seconds: None,
            proven: Some("2026-02-03T01:15:00Z".to_owned()),
            list_readable: Some(true),
            swept: true,
        };
        let now = "2026-02-03T02:00:00Z".parse().unwrap_or_default();
        let state = |view: &ConnectionView| state(view, now);
        assert_eq!(state(&view), "works");
        view.proven = None;
        assert_eq!(state(&view), format!("works; {NO_PROOF}"));
        view.outage = Some(crate::control::wire::OutageView {
            since: "2026-02-03T01:15:00Z".to_owned(),
            fault: "http 503".to_owned(),
        });
        let down = "does not work since Tue 3 Feb 01:15:00 +00:00: http 503";
        assert!(state(&view).starts_with(down), "{}", state(&view));
    }
}
