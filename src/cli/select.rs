//! Which schedule, which series, which run: the selector `SCHEDULE[/SET][@TIME]` of every command, and what is found
//! by it in the configuration and in the history.

pub(crate) mod when;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use self::when::{Place, When};
use super::exit::{Exit, Failure};
use super::serve::{self, History};
use crate::config::{Config, Schedule};
use crate::sched::id::{RunId, ScheduleName, SeriesId, SetName};
use crate::sched::outcome::Outcome;
use crate::sched::run::Run;
use crate::sched::schedule::Definition;
use crate::sched::time::{Timestamp, between, earlier};
use crate::store::RunQuery;
use crate::zones::Zones;

/// The most runs that are looked at to find those that a time names.
const MOST: usize = 100_000;

/// How far back a time of day is looked for, one span after the other.
const DAYS_BACK: [u64; 4] = [2, 14, 100, 36_525];

/// So many of the newest runs of a series tell how it goes.
const RECENT: usize = 40;

/// The most schedules that a message lists.
const LISTED: usize = 10;

/// What a selector names.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Selector {
    /// One run, by its id.
    Run(RunId),
    /// A schedule, or one series of it; a time of it, or its latest.
    Series {
        /// The schedule.
        schedule: ScheduleName,
        /// The set; all of them when it is not named.
        set: Option<SetName>,
        /// The time; the latest when it is not named.
        when: Option<When>,
    },
}

impl Selector {
    /// Reads `SCHEDULE[/SET][@TIME]` or the id of a run.
    pub(super) fn read(text: &str) -> Result<Self, Failure> {
        if let Ok(run) = text.parse() {
            return Ok(Self::Run(run));
        }
        let (series, when) = match text.split_once('@') {
            Some((series, when)) => (series, Some(When::read(when)?)),
            None => (text, None),
        };
        let (schedule, set) = match series.split_once('/') {
            Some((schedule, set)) => (schedule, Some(set)),
            None => (series, None),
        };
        let bad = |error: crate::sched::id::BadName| {
            Failure::new(
                Exit::Usage,
                error.to_string(),
                "write SCHEDULE, SCHEDULE/SET, SCHEDULE/SET@TIME or the id of a run",
            )
        };
        Ok(Self::Series {
            schedule: ScheduleName::new(schedule).map_err(bad)?,
            set: set.map(SetName::new).transpose().map_err(bad)?,
            when,
        })
    }

    /// Reads `SCHEDULE[/SET]`, where a time has no meaning.
    pub(super) fn read_series(text: &str) -> Result<(ScheduleName, Option<SetName>), Failure> {
        match Self::read(text)? {
            Self::Series {
                schedule,
                set,
                when: None,
            } => Ok((schedule, set)),
            _ => Err(Failure::new(
                Exit::Usage,
                format!("{text:?} names a time, and this command takes SCHEDULE or SCHEDULE/SET"),
                "leave the @TIME out",
            )),
        }
    }
}

/// The schedule of this name.
pub(super) fn schedule<'c>(
    config: &'c Config,
    name: &ScheduleName,
) -> Result<&'c Schedule, Failure> {
    configured(config, name).ok_or_else(|| unknown_schedule(config, name))
}

/// The schedule of this name, when the configuration has it.
pub(super) fn configured<'c>(config: &'c Config, name: &ScheduleName) -> Option<&'c Schedule> {
    config.schedules.iter().find(|s| s.name == *name)
}

/// The series of a schedule: all, or the one of a set.
pub(super) fn definitions<'c>(
    schedule: &'c Schedule,
    set: Option<&SetName>,
) -> Result<Vec<&'c Arc<Definition>>, Failure> {
    let found: Vec<&Arc<Definition>> = schedule
        .definitions
        .iter()
        .filter(|d| set.is_none_or(|set| d.series.set == *set))
        .collect();
    match (found.is_empty(), set) {
        (true, Some(set)) => Err(unknown_set(schedule, set)),
        _ => Ok(found),
    }
}

/// There is no such schedule: what was probably meant, or what there is.
pub(super) fn unknown_schedule(config: &Config, name: &ScheduleName) -> Failure {
    let names = config.schedules.iter().map(|s| s.name.as_str());
    Failure::new(
        Exit::Failed,
        format!("there is no schedule called {name}"),
        instead(name.as_str(), &names.collect::<Vec<_>>()),
    )
}

fn unknown_set(schedule: &Schedule, set: &SetName) -> Failure {
    let sets = schedule.definitions.iter().map(|d| d.series.set.as_str());
    Failure::new(
        Exit::Failed,
        format!(
            "schedule {} has no parameter set called {set}",
            schedule.name
        ),
        instead(set.as_str(), &sets.collect::<Vec<_>>()),
    )
}

/// "did you mean x?", or the names that there are.
fn instead(wrong: &str, names: &[&str]) -> String {
    let wrong = wrong.to_lowercase();
    let near = names
        .iter()
        .map(|name| {
            (
                strsim::damerau_levenshtein(&wrong, &name.to_lowercase()),
                name,
            )
        })
        .filter(|(distance, name)| *distance <= name.len().max(wrong.len()).div_ceil(3))
        .min_by_key(|(distance, _)| *distance);
    if let Some((_, name)) = near {
        return format!("did you mean {name}?");
    }
    match names {
        [] => "the configuration has none; add [schedule.NAME]".to_owned(),
        _ if names.len() > LISTED => {
            let more = names.len() - LISTED;
            format!("there are: {} and {more} more", names[..LISTED].join(", "))
        }
        _ => format!("there are: {}", names.join(", ")),
    }
}

/// The zone in which times are read that concern several schedules: theirs when it is one, else UTC.
pub(super) fn shared_zone<'c>(schedules: impl IntoIterator<Item = &'c Schedule>) -> TimeZone {
    let mut zones = schedules.into_iter().map(|schedule| &schedule.trigger);
    let Some(first) = zones.next() else {
        return TimeZone::UTC;
    };
    match zones.all(|other| other.spec().zone == first.spec().zone) {
        true => first.zone().clone(),
        false => TimeZone::UTC,
    }
}

/// The zone in which a run was planned, which may not be the present one of its schedule.
pub(super) fn zone_of(run: &Run, zones: &Zones) -> TimeZone {
    zones
        .get(&run.definition.trigger.zone)
        .unwrap_or(TimeZone::UTC)
}

/// What is on record; reads the database, never makes it.
pub(super) struct Past {
    history: History,
    zones: Zones,
}

impl Past {
    /// `None` when nothing was recorded yet, because there is no database.
    pub(super) fn open(config: &Config, zones: &Zones) -> Result<Option<Self>, Failure> {
        // A link that leads nowhere is there: opening it tells what is wrong.
        let there = std::fs::symlink_metadata(&config.daemon.database);
        if there.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return Ok(None);
        }
        Ok(Some(Self {
            history: serve::open_history(config)?,
            zones: zones.clone(),
        }))
    }

    /// The database, for what is not asked here.
    pub(super) fn history(&self) -> &History {
        &self.history
    }

    /// The runs that match, by instant, oldest first.
    pub(super) fn runs(&self, query: &RunQuery) -> Result<Vec<Run>, Failure> {
        self.history.runs(query).map_err(serve::store_failure)
    }

    /// The latest run of a series.
    pub(super) fn latest(&self, series: &SeriesId) -> Result<Option<Run>, Failure> {
        let query = RunQuery {
            limit: Some(1),
            ..of(series)
        };
        Ok(self.runs(&query)?.pop())
    }

    /// The newest runs of a series, oldest first.
    pub(super) fn recent(&self, series: &SeriesId) -> Result<Vec<Run>, Failure> {
        let query = RunQuery {
            limit: Some(RECENT),
            ..of(series)
        };
        self.runs(&query)
    }

    /// How long a run of the series usually takes, from its submission: the median of those that succeeded lately.
    pub(super) fn usually_takes(&self, series: &SeriesId) -> Result<Option<Duration>, Failure> {
        let runs = self.recent(series)?;
        let succeeded = runs
            .iter()
            .filter(|run| run.outcome() == Some(Outcome::Succeeded));
        let mut took: Vec<Duration> = succeeded
            .filter_map(|run| Some(between(run.submitted?, run.finished?)))
            .collect();
        took.sort_unstable();
        Ok(took.get(took.len() / 2).copied())
    }

    /// The runs of a series that a time names, oldest first; of a time of day those of the last day that has any.
    pub(super) fn named(
        &self,
        series: &SeriesId,
        when: &When,
        zone: &TimeZone,
        now: Timestamp,
    ) -> Result<Vec<Run>, Failure> {
        if let When::Clock(..) = when {
            return self.last_at(series, when, now);
        }
        let Some((since, until)) = when.window(zone, now) else {
            return Ok(Vec::new());
        };
        self.within(series, when, since, Some(until), now)
    }

    fn within(
        &self,
        series: &SeriesId,
        when: &When,
        since: Timestamp,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Vec<Run>, Failure> {
        let query = RunQuery {
            since: Some(since),
            until,
            limit: Some(MOST),
            ..of(series)
        };
        let mut found = self.runs(&query)?;
        found.retain(|run| when.names(place(run), &zone_of(run, &self.zones), now));
        Ok(found)
    }

    fn last_at(&self, series: &SeriesId, when: &When, now: Timestamp) -> Result<Vec<Run>, Failure> {
        for days in DAYS_BACK {
            let since = earlier(now, Duration::from_secs(days * 86_400));
            let mut found = self.within(series, when, since, None, now)?;
            if let Some(day) = found.last().map(|run| run.civil.date()) {
                found.retain(|run| run.civil.date() == day);
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    /// The series of a schedule that are on record: all, or the one of a set.
    pub(super) fn series(
        &self,
        schedule: &ScheduleName,
        set: Option<&SetName>,
    ) -> Result<BTreeSet<SeriesId>, Failure> {
        let query = RunQuery {
            schedule: Some(schedule.clone()),
            set: set.cloned(),
            limit: Some(200),
            ..RunQuery::default()
        };
        let of_runs = self.runs(&query)?.into_iter().map(|run| run.id.series);
        let open = self.history.series().map_err(serve::store_failure)?;
        let open = open.into_iter().map(|saved| saved.series);
        Ok(of_runs
            .chain(open)
            .filter(|s| s.schedule == *schedule && set.is_none_or(|set| s.set == *set))
            .collect())
    }
}

/// All series of a schedule, as configured and as recorded.
pub(super) fn all_series(
    config: &Config,
    past: Option<&Past>,
    name: &ScheduleName,
    set: Option<&SetName>,
) -> Result<Vec<SeriesId>, Failure> {
    let mut found = match past {
        Some(past) => past.series(name, set)?,
        None => BTreeSet::new(),
    };
    let configured = configured(config, name);
    if let Some(schedule) = configured {
        let of_set = |s: &&SeriesId| set.is_none_or(|set| s.set == *set);
        let series = schedule.definitions.iter().map(|d| &d.series);
        found.extend(series.filter(of_set).cloned());
    }
    match (found.is_empty(), configured, set) {
        (false, ..) => Ok(found.into_iter().collect()),
        (true, Some(schedule), Some(set)) => Err(unknown_set(schedule, set)),
        (true, ..) => Err(unknown_schedule(config, name)),
    }
}

/// Where a run lies.
pub(super) fn place(run: &Run) -> Place {
    Place {
        instant: run.id.instant,
        civil: run.civil,
    }
}

/// All runs of a series.
pub(super) fn of(series: &SeriesId) -> RunQuery {
    RunQuery {
        schedule: Some(series.schedule.clone()),
        set: Some(series.set.clone()),
        ..RunQuery::default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_names_a_run_a_series_or_a_time_of_it() {
        let id = "store-clusters/hyper@2026-02-03T01:15:00Z+manual-0f3a";
        assert_eq!(
            Selector::read(id).unwrap(),
            Selector::Run(id.parse().unwrap())
        );
        let read = |text: &str| match Selector::read(text).unwrap() {
            Selector::Series {
                schedule,
                set,
                when,
            } => (schedule.to_string(), set.map(|s| s.to_string()), when),
            Selector::Run(run) => panic!("{run}"),
        };
        assert_eq!(read("a"), ("a".into(), None, None));
        assert_eq!(read("a/b"), ("a".into(), Some("b".into()), None));
        let (schedule, set, when) = read("a@02:15");
        assert_eq!((schedule.as_str(), set), ("a", None));
        assert_eq!(when, Some(When::read("02:15").unwrap()));
        assert!(matches!(
            read("a/b@2026-02-03T02:15:00+01:00").2,
            Some(When::Instant { .. })
        ));
    }

    #[test]
    fn what_is_no_selector_is_a_usage_error() {
        for text in ["", "a b", "a/", "/b", "a@noon", "a/b/c"] {
            assert_eq!(
                Selector::read(text).unwrap_err().exit,
                Exit::Usage,
                "{text}"
            );
        }
        assert_eq!(
            Selector::read_series("a@02:15").unwrap_err().exit,
            Exit::Usage
        );
    }

    #[test]
    fn the_nearest_name_is_proposed_else_all_are_listed() {
        let names = ["store-clusters", "ingest-sales"];
        assert_eq!(
            instead("store-cluster", &names),
            "did you mean store-clusters?"
        );
        assert_eq!(
            instead("x", &names),
            "there are: store-clusters, ingest-sales"
        );
        let many: Vec<String> = (0..30).map(|n| format!("schedule-number-{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(instead("x", &many).ends_with("schedule-number-9 and 20 more"));
    }
}
