//! What acting commands share: which schedules are meant, how the daemon is asked, and how its answers are told.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::time::sleep;

use super::exit::{Exit, Failure, Outcome};
use super::select::when::When;
use super::select::{self, Selector};
use super::{Context, reach};
use crate::config::{Config, Schedule};
use crate::control::client::{Client, ClientError};
use crate::control::wire::{ActedView, ErrorView};
use crate::sched::id::{ScheduleName, SetName};
use crate::sched::time::{TimeZone, Timestamp, civil};

/// A lost answer is asked for again after these pauses.
const AGAIN: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(3),
];
/// The daemon did not decide in time, or stops: it may have done it all the same.
const NO_ANSWER: u16 = 504;

/// Which schedules are meant: by name, by tag, or all.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// A schedule, or one parameter set of it
    #[arg(value_name = "SCHEDULE[/SET]", value_parser = readable)]
    pub selector: Option<String>,
    /// All schedules with this tag
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,
    /// All schedules
    #[arg(long)]
    pub all: bool,
}

/// A schedule, with the set that is meant when it is not every one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) schedule: ScheduleName,
    pub(super) set: Option<SetName>,
}

impl Target {
    /// `SCHEDULE` or `SCHEDULE/SET`.
    pub(super) fn word(&self) -> String {
        match &self.set {
            Some(set) => format!("{}/{set}", self.schedule),
            None => self.schedule.to_string(),
        }
    }

    /// One of them, by name; whether there is such a schedule is the daemon's to say.
    fn read(text: &str) -> Result<Self, Failure> {
        let (schedule, set) = Selector::read_series(text)?;
        Ok(Self { schedule, set })
    }

    fn whole(schedule: &Schedule) -> Self {
        Self {
            schedule: schedule.name.clone(),
            set: None,
        }
    }
}

/// What is no selector is refused before anything is asked.
fn readable(text: &str) -> Result<String, String> {
    match Selector::read_series(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(failure) => Err(failure.message),
    }
}

impl Which {
    /// What is meant, by the configuration; never nothing.
    pub(super) fn targets(&self, config: &Config) -> Result<Vec<Target>, Failure> {
        let enabled = || config.schedules.iter().filter(|schedule| schedule.enabled);
        let (found, none): (Vec<Target>, String) = match (&self.selector, &self.tag) {
            (Some(selector), _) => return Ok(vec![Target::read(selector)?]),
            (None, Some(tag)) => (
                enabled()
                    .filter(|schedule| schedule.tags.contains(tag))
                    .map(Target::whole)
                    .collect(),
                format!("no schedule has the tag {tag:?}"),
            ),
            (None, None) => (
                enabled().map(Target::whole).collect(),
                "there is no schedule".to_owned(),
            ),
        };
        match found.is_empty() {
            true => Err(Failure::new(Exit::Failed, none, tags(config))),
            false => Ok(found),
        }
    }

    /// The zone in which times are read that concern all of them.
    pub(super) fn zone(&self, config: &Config) -> Result<TimeZone, Failure> {
        let targets = self.targets(config)?;
        let named = targets
            .iter()
            .filter_map(|target| select::configured(config, &target.schedule));
        Ok(select::shared_zone(named))
    }
}

fn tags(config: &Config) -> String {
    let mut tags: Vec<&str> = config
        .schedules
        .iter()
        .flat_map(|schedule| schedule.tags.iter().map(String::as_str))
        .collect();
    tags.sort_unstable();
    tags.dedup();
    match tags.is_empty() {
        true => "give a schedule `tags = [\"…\"]`, or name it".to_owned(),
        false => format!("there are: {}", tags.join(", ")),
    }
}

/// A time to come: of a time of day, the next one.
pub(super) fn coming(text: &str, zone: &TimeZone, now: Timestamp) -> Result<Timestamp, Failure> {
    nearest(text, zone, now, civil::Date::tomorrow, |at| at > now)
}

/// A time that has passed: of a time of day, the last one.
pub(super) fn passed(text: &str, zone: &TimeZone, now: Timestamp) -> Result<Timestamp, Failure> {
    nearest(text, zone, now, civil::Date::yesterday, |at| at <= now)
}

/// A time; of a time of day that of today, or else of the day beside it, that is wanted.
fn nearest(
    text: &str,
    zone: &TimeZone,
    now: Timestamp,
    beside: fn(civil::Date) -> Result<civil::Date, jiff::Error>,
    wanted: impl Fn(Timestamp) -> bool,
) -> Result<Timestamp, Failure> {
    let When::Clock(time, _) = When::read(text)? else {
        return When::read(text)?.bound(zone, now);
    };
    let today = now.to_zoned(zone.clone()).date();
    let placed = [today, beside(today).unwrap_or(today)].map(|day| {
        let civil = day.to_datetime(time);
        zone.to_ambiguous_timestamp(civil).compatible().ok()
    });
    let found = placed.into_iter().flatten().find(|at| wanted(*at));
    found.ok_or_else(|| Failure::plain(Exit::Usage, "this time is beyond the calendar"))
}

// ---- asking --------------------------------------------------------------------------------------------------------

/// The answer was lost, how often it was asked for; or it came and says no.
pub(super) enum Unanswered {
    /// Whether it was done is not known.
    Lost(ClientError),
    /// It was not done.
    Not(ClientError),
}

/// Asks, and asks again while the answer is lost: the same request never does a thing twice.
pub(super) async fn persistently<T>(
    mut ask: impl AsyncFnMut() -> Result<T, ClientError>,
) -> Result<T, Unanswered> {
    let mut pauses = AGAIN.into_iter();
    let mut lost = false;
    loop {
        let error = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let no_answer = match error {
            ClientError::Lost(_) => true,
            ClientError::Refused { status, .. } => status == NO_ANSWER,
            _ => false,
        };
        lost |= no_answer;
        // Once an answer was lost, "nobody listens" is a daemon that may come back and may have done it.
        let again = no_answer || matches!(error, ClientError::NoDaemon { .. });
        match pauses.next().filter(|_| lost && again) {
            Some(pause) => sleep(pause).await,
            None if lost && again => return Err(Unanswered::Lost(error)),
            None => return Err(Unanswered::Not(error)),
        }
    }
}

/// Asks for one act.
pub(super) async fn act(
    client: &Client,
    route: &str,
    body: &impl Serialize,
) -> Result<ActedView, ClientError> {
    let asked = persistently(async || client.act(route, body).await).await;
    asked.map_err(|unanswered| match unanswered {
        Unanswered::Lost(error) | Unanswered::Not(error) => error,
    })
}

// ---- telling -------------------------------------------------------------------------------------------------------

/// What came of an act, as `--json` prints it: the answer, or the error.
#[derive(Debug, Serialize)]
struct ActedLine<'a> {
    /// The schedule, series or run that it was asked for; `*` for everything.
    of: &'a str,
    #[serde(flatten)]
    acted: Option<&'a ActedView>,
    error: Option<&'a ErrorView>,
}

/// Tells what came of acts, one after the other; several may fail in several ways.
pub(super) struct Telling<'a> {
    context: &'a Context,
    /// How the command ends: as the first that was not done.
    ends: Exit,
}

impl<'a> Telling<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
        Self {
            context,
            ends: Exit::Ok,
        }
    }

    /// One answer. Whatever concerns the daemon as a whole ends the command.
    pub(super) fn tell(
        &mut self,
        of: &str,
        acted: Result<ActedView, ClientError>,
    ) -> Result<Option<ActedView>, Failure> {
        let out = &self.context.out;
        let view = match acted {
            Ok(acted) => {
                match out.json {
                    true => out.object(&ActedLine {
                        of,
                        acted: Some(&acted),
                        error: None,
                    })?,
                    false => out.line(&acted.message)?,
                }
                for note in acted.notes.iter().filter(|_| !out.json) {
                    out.line(format!("note: {note}"))?;
                }
                return Ok(Some(acted));
            }
            Err(ClientError::Refused { status, view }) if status < 500 => {
                let failure = reach::failure(
                    self.context,
                    ClientError::Refused {
                        status,
                        view: view.clone(),
                    },
                );
                if self.ends == Exit::Ok {
                    self.ends = failure.exit;
                }
                view
            }
            Err(error) => return Err(reach::failure(self.context, error)),
        };
        match out.json {
            true => out.object(&ActedLine {
                of,
                acted: None,
                error: Some(&view),
            })?,
            false => complain(&view),
        }
        Ok(None)
    }

    /// How the command ends.
    pub(super) fn end(self) -> Outcome {
        Ok(self.ends)
    }
}

fn complain(view: &ErrorView) {
    use std::io::Write;
    let hint = view.hint.as_ref().map(|hint| format!("\n{hint}"));
    // Nowhere to complain when standard error is gone.
    let _ = writeln!(
        anstream::stderr(),
        "{}{}",
        view.message,
        hint.unwrap_or_default()
    );
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_to_come_is_the_next_one_and_one_that_has_passed_the_last() {
        let now = "2026-02-03T12:00:00Z".parse().unwrap();
        let at = |text: &str| coming(text, &TimeZone::UTC, now).unwrap().to_string();
        assert_eq!(at("14:00"), "2026-02-03T14:00:00Z");
        assert_eq!(at("06:30"), "2026-02-04T06:30:00Z");
        assert_eq!(at("tomorrow"), "2026-02-04T00:00:00Z");
        assert_eq!(at("+2h"), "2026-02-03T14:00:00Z");
        assert!(coming("noon", &TimeZone::UTC, now).is_err());
        let last = |text: &str| passed(text, &TimeZone::UTC, now).unwrap().to_string();
        assert_eq!(last("12:00"), "2026-02-03T12:00:00Z");
        assert_eq!(last("18:00"), "2026-02-02T18:00:00Z");
        assert_eq!(last("-2h"), "2026-02-03T10:00:00Z");
    }

    #[tokio::test]
    async fn a_lost_answer_is_asked_for_again_and_a_refusal_is_not() {
        let mut asked = 0;
        let lost = || ClientError::Lost("cut".to_owned());
        let answer = persistently(async || {
            asked += 1;
            if asked < 3 { Err(lost()) } else { Ok(asked) }
        });
        assert!(matches!(answer.await, Ok(3)));
        let nobody = || ClientError::NoDaemon { socket: "x".into() };
        let answer = persistently(async || Err::<(), _>(nobody()));
        assert!(matches!(answer.await, Err(Unanswered::Not(_))));
    }
}
