//! What runs now, as the database has it, and what the new configuration would put in its place.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, Schedule};
use crate::sched::act::{Pause, Skip};
use crate::sched::id::{ConnectionName, RunId, ScheduleName, SeriesId};
use crate::sched::run::Run;
use crate::sched::schedule::{ConnectionLimits, Definition};
use crate::sched::scheduler::ZoneSource;
use crate::sched::step::Decided;
use crate::sched::time::{Timestamp, civil, earlier};
use crate::sched::trigger::{Fold, Rhythm, Trigger};
use crate::store::InForce;

/// A series with what it is planned with.
#[derive(Clone, Debug)]
pub struct Planned {
    /// All of it.
    pub definition: Arc<Definition>,
    /// Its times; `None` when its zone is not known here.
    pub trigger: Option<Arc<Trigger>>,
    /// Every occurrence up to here is decided.
    pub cursor: Timestamp,
}

/// What the daemon plans, or planned when it last ran.
#[derive(Clone, Debug, Default)]
pub struct Running {
    /// Every occurrence of every series up to here is decided.
    pub mark: Option<Timestamp>,
    /// Open series.
    pub series: BTreeMap<SeriesId, Planned>,
    /// Runs that are not finished.
    pub live: Vec<Run>,
    /// Pauses.
    pub pauses: Vec<Pause>,
    /// Wishes to skip.
    pub skips: HashMap<SeriesId, Vec<Skip>>,
    /// Nominal times that are on record, of series whose times change: they do not run again under other times.
    pub decided: HashMap<SeriesId, HashSet<(civil::DateTime, Fold)>>,
}

/// What a reload puts in its place.
#[derive(Clone, Debug, Default)]
pub struct Coming {
    /// The series of schedules that are on.
    pub series: BTreeMap<SeriesId, (Arc<Definition>, Arc<Trigger>)>,
    /// Schedules that are off.
    pub disabled: HashSet<ScheduleName>,
    /// Connections.
    pub connections: Vec<ConnectionLimits>,
}

impl Coming {
    /// What a configuration plans.
    pub fn of(config: &Config) -> Self {
        let (on, off): (Vec<&Schedule>, Vec<&Schedule>) =
            config.schedules.iter().partition(|s| s.enabled);
        let series = on.into_iter().flat_map(|s| {
            let each = s.definitions.iter();
            each.map(|d| (d.series.clone(), (Arc::clone(d), Arc::clone(&s.trigger))))
        });
        Self {
            series: series.collect(),
            disabled: off.into_iter().map(|s| s.name.clone()).collect(),
            connections: config
                .connections
                .iter()
                .map(|c| c.limits.clone())
                .collect(),
        }
    }
}

impl Running {
    /// What the store has. Triggers that stay as they are are those of `coming`.
    pub fn of(stored: InForce, coming: &Coming, zones: ZoneSource<'_>) -> Self {
        let mut zones = Zoned::new(zones);
        let mut skips: HashMap<SeriesId, Vec<Skip>> = HashMap::new();
        for skip in stored.skips {
            skips.entry(skip.series.clone()).or_default().push(skip);
        }
        let series = stored.series.into_iter().map(|saved| {
            let same = coming.series.get(&saved.series);
            let same = same.filter(|(new, _)| new.trigger == saved.definition.trigger);
            let trigger = match same {
                Some((_, trigger)) => Some(Arc::clone(trigger)),
                None => zones.trigger(&saved.definition),
            };
            let planned = Planned {
                definition: saved.definition,
                trigger,
                cursor: saved.cursor,
            };
            (saved.series, planned)
        });
        Self {
            mark: stored.mark,
            series: series.collect(),
            live: stored.live,
            pauses: stored.pauses,
            skips,
            decided: HashMap::new(),
        }
    }

    /// Series whose times change, which needs to be known what ran of them lately.
    pub fn retimed(&self, coming: &Coming) -> Vec<SeriesId> {
        let both = self.series.iter().filter_map(|(id, before)| {
            let (after, _) = coming.series.get(id)?;
            let other = after.trigger != before.definition.trigger;
            // A period has no nominal times to be remembered by.
            let cron = matches!(after.trigger.rhythm, Rhythm::Cron(_));
            (other && cron).then(|| id.clone())
        });
        both.collect()
    }

    /// Takes in what is on record of those series: only what the heart is certain to remember, so that nothing runs
    /// that was not announced.
    pub fn remember(&mut self, lately: Vec<(Decided, Arc<Definition>)>, zones: ZoneSource<'_>) {
        let mut zones = Zoned::new(zones);
        for (Decided { run, civil, fold }, definition) in lately {
            let trigger = match self.series.get(&run.series) {
                Some(planned) if planned.definition.trigger == definition.trigger => {
                    planned.trigger.clone()
                }
                _ => zones.trigger(&definition),
            };
            if trigger.is_some_and(|t| is_clock_like(&t, run.instant)) {
                let of_series = self.decided.entry(run.series).or_default();
                of_series.insert((civil, fold));
            }
        }
    }

    /// From when on a series goes on when a reload comes now.
    pub fn goes_on(&self, series: &SeriesId, now: Timestamp) -> Timestamp {
        let cursor = self.series.get(series).map(|planned| planned.cursor);
        now.max(self.mark.unwrap_or(Timestamp::MIN))
            .max(cursor.unwrap_or(Timestamp::MIN))
    }

    /// Up to when a series is decided.
    pub fn decided_upto(&self, series: &SeriesId) -> Option<Timestamp> {
        let cursor = self.series.get(series)?.cursor;
        Some(cursor.max(self.mark.unwrap_or(Timestamp::MIN)))
    }

    /// The connection that a live run needs and that is no more, with that run: then a reload is refused. What has not
    /// left does not leave when its series is gone, so it needs none.
    pub fn refusal(&self, coming: &Coming) -> Option<(&ConnectionName, &RunId)> {
        let there: HashSet<&ConnectionName> = coming.connections.iter().map(|c| &c.name).collect();
        let stays = |run: &Run| coming.series.contains_key(&run.id.series);
        let needed = self.live.iter().filter(|run| run.in_flight() || stays(run));
        needed
            .map(|run| (&run.definition.connection, &run.id))
            .filter(|(name, _)| !there.contains(name))
            .min()
    }
}

/// Whether the trigger has a clock-like occurrence at this instant.
fn is_clock_like(trigger: &Trigger, instant: Timestamp) -> bool {
    let before = earlier(instant, Duration::from_nanos(1));
    let found = trigger.after(before).filter(|o| o.instant == instant);
    found.is_some_and(|o| o.clock_like)
}

/// Makes triggers of stored definitions; each of them once, since many runs share one.
struct Zoned<'z> {
    zones: ZoneSource<'z>,
    made: HashMap<*const Definition, Option<Arc<Trigger>>>,
    /// They must live as long as their addresses are keys.
    kept: Vec<Arc<Definition>>,
}

impl<'z> Zoned<'z> {
    fn new(zones: ZoneSource<'z>) -> Self {
        Self {
            zones,
            made: HashMap::new(),
            kept: Vec::new(),
        }
    }

    fn trigger(&mut self, definition: &Arc<Definition>) -> Option<Arc<Trigger>> {
        let key = Arc::as_ptr(definition);
        if let Some(made) = self.made.get(&key) {
            return made.clone();
        }
        let spec = &definition.trigger;
        let made = (self.zones)(&spec.zone)
            .and_then(|zone| Trigger::new(spec, zone, &definition.series.schedule).ok())
            .map(Arc::new);
        self.made.insert(key, made.clone());
        self.kept.push(Arc::clone(definition));
        made
    }
}
