//! What a report needs, read from the database and the configuration: all series one after the other, and no more than
//! one of them in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::account::{Account, Evidence, Hole, Long, Planned, Scope};
use super::sheet::Reading;
use crate::cli::serve::History;
use crate::config::Config;
use crate::sched::id::{ConnectionName, SeriesId};
use crate::sched::schedule::Definition;
use crate::sched::step::{Missed, SavedSeries};
use crate::sched::trigger::Trigger;
use crate::store::{InForce, Incident, StoreError};
use crate::zones::Zones;

/// The usual length of a run is that of so many before.
const LATELY: usize = 14;

/// Nothing shorter is called slow.
const SHORT: Duration = Duration::from_secs(60);

/// What is read, and what comes of it.
pub(super) struct Facts<'f> {
    pub(super) history: &'f History,
    pub(super) config: &'f Config,
    pub(super) zones: &'f Zones,
}

impl Facts<'_> {
    /// Everything that counts for this span. `in_force` was read before: what is decided by then is on record by now.
    pub(super) fn read(
        &self,
        in_force: InForce,
        scope: Scope,
        handover: bool,
    ) -> Result<(Account, Reading), StoreError> {
        let range = scope.range();
        let planned = self.planned(&in_force.series);
        let mut account = self.account(scope, &planned)?;
        account.explain(|hole| self.evidence(hole))?;
        let usual = self.usual(&account)?;
        let reading = Reading {
            recorded: true,
            unplanned: unplanned(self.config, &planned),
            incidents: self.incidents(&in_force.series)?,
            notices: self.history.notices_by_kind(range)?,
            deeds: match handover {
                true => Some(self.history.deeds(range)?),
                false => None,
            },
            usual,
            planned,
            live: in_force.live,
            pauses: in_force.pauses,
            skips: in_force.skips,
            tokens: Vec::new(),
        };
        Ok((account, reading))
    }

    /// The sums over all series.
    fn account(
        &self,
        scope: Scope,
        planned: &BTreeMap<SeriesId, Planned>,
    ) -> Result<Account, StoreError> {
        let range = scope.range();
        let mut missed: HashMap<SeriesId, Vec<Missed>> = HashMap::new();
        for one in self.history.missed(None, range)? {
            missed.entry(one.series.clone()).or_default().push(one);
        }
        let mut account = Account::new(scope);
        self.history.each_series(range, &mut |series, runs| {
            let missed = missed.remove(series).unwrap_or_default();
            account.series(series, planned.get(series), &runs, &missed);
        })?;
        // Of a series that was removed long ago nothing else may be left.
        for (series, missed) in missed {
            account.series(&series, None, &[], &missed);
        }
        Ok(account)
    }

    /// What is planned, each series with the trigger that the daemon plans it with.
    fn planned(&self, series: &[SavedSeries]) -> BTreeMap<SeriesId, Planned> {
        // The sets of a schedule have one trigger, and come one after the other.
        let mut last: Option<(&Definition, Option<Trigger>)> = None;
        let mut all = BTreeMap::new();
        for saved in series {
            let definition = &*saved.definition;
            let same = last.as_ref().filter(|(before, _)| {
                before.series.schedule == definition.series.schedule
                    && before.trigger == definition.trigger
            });
            let trigger = match same {
                Some((_, trigger)) => trigger.clone(),
                None => self.trigger(definition),
            };
            last = Some((definition, trigger.clone()));
            let since = saved.cursor;
            all.insert(saved.series.clone(), Planned { since, trigger });
        }
        all
    }

    fn trigger(&self, definition: &Definition) -> Option<Trigger> {
        let zone = self.zones.get(&definition.trigger.zone)?;
        Trigger::new(&definition.trigger, zone, &definition.series.schedule).ok()
    }

    fn evidence(&self, hole: &Hole) -> Result<Evidence, StoreError> {
        let history = self.history;
        let kept = self.config.daemon.retention.runs_per_series;
        Ok(Evidence {
            kept_from: history.oldest_of_newest(&hole.series, kept)?,
            has_nominal: history.has_nominal(&hole.series, &hole.occurrence)?,
        })
    }

    /// Of the long runs: how long those before the span took; when there are too few, those up to its end.
    fn usual(&self, account: &Account) -> Result<Vec<(Long, Vec<Duration>)>, StoreError> {
        let scope = account.scope();
        let mut all = Vec::new();
        for long in account.longest.iter().filter(|long| long.took > SHORT) {
            let series = &long.run.series;
            let mut before = self.history.took_before(series, scope.since, LATELY)?;
            if before.len() < super::sheet::USUAL {
                before = self.history.took_before(series, scope.until, LATELY)?;
            }
            all.push((long.clone(), before));
        }
        Ok(all)
    }

    /// The connections that do not work, of those that are configured or used.
    fn incidents(
        &self,
        series: &[SavedSeries],
    ) -> Result<Vec<(ConnectionName, Incident)>, StoreError> {
        let configured = self.config.connections.iter().map(|c| c.name().clone());
        let used = series.iter().map(|s| s.definition.connection.clone());
        let names: BTreeSet<ConnectionName> = configured.chain(used).collect();
        let mut all = Vec::new();
        for name in names {
            if let Some(incident) = self.history.incident(&name)? {
                all.push((name, incident));
            }
        }
        Ok(all)
    }
}

/// Enabled series of the configuration that are not planned.
pub(super) fn unplanned(config: &Config, planned: &BTreeMap<SeriesId, Planned>) -> Vec<SeriesId> {
    let enabled = config.schedules.iter().filter(|schedule| schedule.enabled);
    let series = enabled.flat_map(|schedule| schedule.definitions.iter().map(|d| &d.series));
    series
        .filter(|series| !planned.contains_key(series))
        .cloned()
        .collect()
}
