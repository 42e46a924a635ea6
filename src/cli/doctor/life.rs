//! Until when a credential is needed: to the end of the last run that is due within the next 24 hours.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::sched::id::{ConnectionName, SeriesId};
use crate::sched::schedule::Definition;
use crate::sched::time::{Timestamp, earlier, later};
use crate::sched::trigger::{Occurrence, Shape, Trigger};

/// So far one looks ahead.
const AHEAD: Duration = Duration::from_secs(24 * 3600);

/// How far back from the end the last occurrence is looked for, in steps: a frequent trigger is not walked through.
const BACK: [Duration; 4] = [
    Duration::from_secs(300),
    Duration::from_secs(3600),
    Duration::from_secs(6 * 3600),
    AHEAD,
];

/// The last run of a connection within the time ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) series: SeriesId,
    pub(super) due: Timestamp,
    /// When it has ended at the latest, if its first attempt is the last.
    pub(super) ended: Timestamp,
}

/// What each connection is needed for; one that no schedule uses is not in it.
#[derive(Debug, Default)]
pub(super) struct Needs(HashMap<ConnectionName, Option<Last>>);

impl Needs {
    pub(super) fn of(series: &[(Arc<Definition>, Arc<Trigger>)], now: Timestamp) -> Self {
        let mut needs = HashMap::new();
        for (definition, trigger) in series {
            let needed: &mut Option<Last> = needs.entry(definition.connection.clone()).or_default();
            let Some(occurrence) = last_within(trigger, now, later(now, AHEAD)) else {
                continue;
            };
            let due = trigger.due(&definition.series, &occurrence);
            let ended = later(due, definition.timeout);
            if needed.as_ref().is_none_or(|last| last.ended < ended) {
                let series = definition.series.clone();
                *needed = Some(Last { series, due, ended });
            }
        }
        Self(needs)
    }

    /// Whether any schedule uses it.
    pub(super) fn used(&self, connection: &ConnectionName) -> bool {
        self.0.contains_key(connection)
    }

    /// Its last run within the time ahead.
    pub(super) fn last(&self, connection: &ConnectionName) -> Option<&Last> {
        self.0.get(connection)?.as_ref()
    }
}

/// The last occurrence after `from` up to `end`.
fn last_within(trigger: &Trigger, from: Timestamp, end: Timestamp) -> Option<Occurrence> {
    BACK.iter()
        .find_map(|back| last_after(trigger, earlier(end, *back).max(from), end))
}

fn last_after(trigger: &Trigger, from: Timestamp, end: Timestamp) -> Option<Occurrence> {
    let mut last = None;
    let mut at = from;
    while let Some(occurrence) = trigger.after(at) {
        // A trigger that does not advance must not keep us here.
        if occurrence.instant > end || occurrence.instant <= at {
            break;
        }
        at = occurrence.instant;
        if occurrence.shape != Shape::NoSuchDay {
            last = Some(occurrence);
        }
    }
    last
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::config;
    use crate::zones::Zones;

    fn needs(schedules: &str, now: &str) -> Needs {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n.toml");
        let text = format!(
            "[connection.dw]\nbase_url = \"https://x.example\"\nprovider = \"bigquery\"\n\
             token = {{ env = \"T\" }}\n[connection.spare]\nbase_url = \"https://x.example\"\n\
             provider = \"bigquery\"\ntoken = {{ env = \"T\" }}\n\
             [defaults]\nconnection = \"dw\"\ntimeout = \"2h\"\n{schedules}"
        );
        std::fs::write(&path, text).unwrap();
        let config = config::load(&[path], &Zones::load()).unwrap_or_else(|p| panic!("{p}"));
        let series: Vec<_> = config
            .schedules
            .iter()
            .flat_map(|s| {
                s.definitions
                    .iter()
                    .map(|d| (Arc::clone(d), Arc::clone(&s.trigger)))
            })
            .collect();
        Needs::of(&series, now.parse().unwrap())
    }

    fn ends(schedules: &str, now: &str) -> Option<(String, String)> {
        let needs = needs(schedules, now);
        let last = needs.last(&"dw".parse().unwrap())?;
        Some((last.series.schedule.to_string(), last.ended.to_string()))
    }

    fn schedule(name: &str, rest: &str) -> String {
        format!("[schedule.{name}]\nprocedure = \"p.d.f\"\n{rest}\n")
    }

    #[test]
    fn a_credential_is_needed_until_the_last_run_of_the_next_day_can_have_ended() {
        let early = schedule("early", "cron = \"15 2 * * *\"\ntimeout = \"9h\"");
        let late = schedule("late", "cron = \"0 5 * * *\"");
        let now = "2026-02-03T17:00:00Z";
        let is = |schedule: &str, ended: &str| Some((schedule.to_owned(), ended.to_owned()));
        let both = ends(&(early + &late), now);
        assert_eq!(both, is("early", "2026-02-04T11:15:00Z"));
        assert_eq!(ends(&late, now), is("late", "2026-02-04T07:00:00Z"));
        // Exactly a day ahead is within the day.
        let edge = schedule("edge", "cron = \"0 17 * * *\"");
        assert_eq!(ends(&edge, now), is("edge", "2026-02-04T19:00:00Z"));
    }

    #[test]
    fn a_trigger_of_every_second_is_not_walked_through() {
        let often = schedule("often", "cron = \"* * * * * *\"\ntimeout = \"1s\"");
        let since = std::time::Instant::now();
        let last = ends(&often, "2026-02-03T17:00:00Z");
        assert_eq!(last.unwrap().1, "2026-02-04T17:00:01Z");
        assert!(since.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_connection_without_runs_in_the_next_day_is_used_all_the_same() {
        let rare = schedule("rare", "cron = \"0 3 1 6 *\"");
        let needs = needs(&rare, "2026-02-03T17:00:00Z");
        let (dw, spare) = ("dw".parse().unwrap(), "spare".parse().unwrap());
        assert!(needs.used(&dw) && needs.last(&dw).is_none());
        assert!(!needs.used(&spare));
    }
}
