//! `nightcall skip` and `nightcall unskip`: coming times that are not to run, and are recorded as skipped.

use clap::Args;

use super::acts::{Telling, Which, act, coming};
use super::exit::{Exit, Failure, Outcome};
use super::select::when::When;
use super::{Context, reach};
use crate::control::wire::SkipBody;
use crate::sched::time::{TimeZone, Timestamp};

/// Leave out coming times of schedules.
///
/// Each is recorded as skipped when its time comes. Without --next, --on or --at it is the next one. A wish is kept as it was said,
/// also when the times of the schedule change.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall skip store-clusters\n  nightcall skip store-clusters/hyper --next 3\n  \
                  nightcall skip --tag morning-map --on 2026-12-25 --note holiday"
)]
pub struct SkipArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    times: Times,
    /// Why, for whoever reads it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// Take wishes to skip back.
///
/// Without --next, --on or --at all wishes of the schedule.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall unskip store-clusters\n  nightcall unskip store-clusters --on 2026-12-25"
)]
pub struct UnskipArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    times: Times,
    /// Why, for whoever reads it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// Which times.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Times {
    /// The next N
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1")]
    next: Option<u32>,
    /// All of one date, in the schedule's zone
    #[arg(long, value_name = "DATE")]
    on: Option<String>,
    /// The one at this time
    #[arg(long, value_name = "T")]
    at: Option<String>,
}

/// `nightcall skip`.
pub async fn skip(context: &Context, args: SkipArgs) -> Outcome {
    let none = args.times.on.is_none() && args.times.at.is_none();
    let next = args.times.next.or(none.then_some(1));
    let times = Times { next, ..args.times };
    ask(context, "skip", &args.which, &times, args.note.as_ref()).await
}

/// `nightcall unskip`.
pub async fn unskip(context: &Context, args: UnskipArgs) -> Outcome {
    ask(
        context,
        "unskip",
        &args.which,
        &args.times,
        args.note.as_ref(),
    )
    .await
}

async fn ask(
    context: &Context,
    route: &str,
    which: &Which,
    times: &Times,
    note: Option<&String>,
) -> Outcome {
    let (config, client) = reach::daemon(context)?;
    let now = Timestamp::now();
    let mut telling = Telling::new(context);
    for target in which.targets(&config)? {
        let zone = reach::zone_of(&config, target.schedule.as_str());
        let body = SkipBody {
            schedule: target.schedule.to_string(),
            set: target.set.as_ref().map(ToString::to_string),
            next: times.next,
            on: times
                .on
                .as_deref()
                .map(|text| date(text, &zone, now))
                .transpose()?,
            at: match &times.at {
                Some(text) => Some(coming(text, &zone, now)?.to_string()),
                None => None,
            },
            note: note.cloned(),
        };
        telling.tell(&target.word(), act(&client, route, &body).await)?;
    }
    telling.end()
}

fn date(text: &str, zone: &TimeZone, now: Timestamp) -> Result<String, Failure> {
    let date = When::read(text)?.date(zone, now);
    let date = date.ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            format!("this is no date: {text:?}"),
            "write 2026-02-03, today or tomorrow",
        )
    })?;
    Ok(date.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_date_may_be_a_word() {
        let now = "2026-02-03T23:30:00Z".parse().unwrap();
        let madrid = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(date("today", &madrid, now).unwrap(), "2026-02-04");
        assert_eq!(date("2026-12-25", &madrid, now).unwrap(), "2026-12-25");
        assert!(date("02:15", &madrid, now).is_err());
    }
}
