//! Another configuration takes the place of the present one while runs are live.
//!
//! Times up to now are decided by the former triggers, later ones by the new. Live runs keep their definition, their
//! questions that are under way and their place; the rest ends as a stop and a start with the new configuration
//! would, save that no submission falls into doubt.
//!
//! Invariant: everything that may refuse comes before anything that changes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::acts::Done;
use super::connection::Connection;
use super::fire::{Refusal, refuse};
use super::lookup::BEFORE;
use super::series::{Series, Start};
use super::{Scheduler, Setup, Slot};
use crate::sched::id::{ConnectionName, SeriesId};
use crate::sched::notice::{Notice, NoticeKind};
use crate::sched::pace::Pace;
use crate::sched::schedule::{ConnectionLimits, Definition};
use crate::sched::time::{Now, Timestamp, earlier};
use crate::sched::trigger::Trigger;

/// What a reload changed, in series.
#[derive(Default)]
struct Tally {
    added: usize,
    removed: usize,
    retimed: usize,
    edited: usize,
}

impl Scheduler {
    /// Takes another configuration, or tells why the former stays in force: once for each cause.
    pub(super) fn take_configuration(
        &mut self,
        setup: Result<Box<Setup>, String>,
        now: Now,
    ) -> Result<Done, Refusal> {
        let taken = match setup {
            Ok(setup) => self.reload(*setup, now),
            Err(problems) => refuse(
                problems,
                "mend that and reload again; the former configuration is in force",
            ),
        };
        let Err(Refusal { message, hint }) = &taken else {
            self.not_reloaded = None;
            return taken;
        };
        let told = self.not_reloaded.replace((now.wall, message.clone()));
        if told.is_none_or(|(_, before)| before != *message) {
            self.tell(Notice {
                id: format!("reload:{}", now.wall),
                kind: NoticeKind::Reload,
                at: now.wall,
                schedule: None,
                run: None,
                subject: "the configuration was not reloaded; the former one is in force"
                    .to_owned(),
                body: format!("{message}\n{hint}\nnext: nightcall check"),
            });
        }
        taken
    }

    /// Takes another configuration, whole or not at all. The name of the installation and `observe` belong to the
    /// process and stay.
    pub(super) fn reload(&mut self, setup: Setup, now: Now) -> Result<Done, Refusal> {
        // What is decided now counts for those who wait from now on. To watch more changes nothing.
        self.watch(&setup.definitions, &setup.predecessors);
        self.decide_all_past(now)?;
        let names: HashSet<&SeriesId> = setup.definitions.iter().map(|(d, _)| &d.series).collect();
        self.connections_stay(&setup.connections, &names)?;
        let mut tally = Tally::default();
        self.remove_others(&names, &mut tally, now);
        drop(names);
        self.config = setup.config;
        self.kept = setup.kept;
        self.disabled = setup.disabled.into_iter().collect();
        self.exchange_connections(setup.connections, now);
        self.exchange_series(setup.definitions, &mut tally, now);
        self.rewatch();
        let mut live: Vec<Slot> = self.runs.keys().copied().collect();
        live.sort_unstable();
        for slot in live {
            match self.after.holds(slot) {
                // It may be in the queue, and has to wait again.
                true => self.settle(slot, now),
                false => self.wait(slot, now),
            }
        }
        Ok(Done::new(format!(
            "{} series are planned: {} added, {} removed, {} with other times, {} edited otherwise",
            self.series.len(),
            tally.added,
            tally.removed,
            tally.retimed,
            tally.edited
        )))
    }

    /// A connection that live runs need must be there, whatever its present address.
    fn connections_stay(
        &self,
        connections: &[ConnectionLimits],
        series: &HashSet<&SeriesId>,
    ) -> Result<(), Refusal> {
        let there: HashSet<&ConnectionName> = connections.iter().map(|c| &c.name).collect();
        let needed = self
            .runs
            .values()
            // What has not left does not leave when its series is gone.
            .filter(|live| live.run.in_flight() || series.contains(&live.run.id.series))
            .map(|live| (&live.run.definition.connection, &live.run.id));
        let missing = needed.filter(|(name, _)| !there.contains(name)).min();
        match missing {
            None => Ok(()),
            Some((name, run)) => refuse(
                format!("connection {name} is no longer there, and {run} needs it"),
                format!("keep [connection.{name}] until its runs have ended, or cancel them"),
            ),
        }
    }

    /// Series that are not in the new configuration are closed; what has not left of them ends.
    fn remove_others(&mut self, stay: &HashSet<&SeriesId>, tally: &mut Tally, now: Now) {
        for index in 0..self.series.len() {
            // It went at the start, and the clock is still behind what is decided of it.
            if matches!(self.series[index].start, Start::Removed) {
                self.series[index].start = Start::Usual;
                self.close(index, now);
                continue;
            }
            let id = self.series[index].id();
            if stay.contains(id) || self.series_by_id.get(id) != Some(&index) {
                continue;
            }
            let id = id.clone();
            self.series_by_id.remove(&id);
            let lost = std::mem::take(&mut self.series[index].lost);
            if !lost.is_empty() {
                self.vacated.insert(id, lost);
            }
            tally.removed += 1;
            self.close(index, now);
            let orphans = std::mem::take(&mut self.series[index].live);
            for slot in &orphans {
                if let Some(live) = self.runs.get_mut(slot) {
                    live.series = None;
                }
            }
            for slot in orphans {
                self.settle(slot, now);
            }
        }
    }

    // ---- series --------------------------------------------------------------------------------------------------

    fn exchange_series(
        &mut self,
        definitions: Vec<(Arc<Definition>, Arc<Trigger>)>,
        tally: &mut Tally,
        now: Now,
    ) {
        let former_places = std::mem::take(&mut self.series_by_id);
        let mut former: Vec<Option<Series>> = std::mem::take(&mut self.series)
            .into_iter()
            .map(Some)
            .collect();
        let mut coming: HashMap<usize, Timestamp> = std::mem::take(&mut self.upcoming)
            .into_iter()
            .map(|(at, index)| (index, at))
            .collect();
        let mut moved: HashMap<usize, usize> = HashMap::new();
        for (definition, trigger) in definitions {
            let place = self.series.len();
            self.series_by_id.insert(definition.series.clone(), place);
            let before = former_places.get(&definition.series).copied();
            let series = before.and_then(|index| Some((index, former.get_mut(index)?.take()?)));
            let Some((index, series)) = series else {
                tally.added += 1;
                let from = now.wall.max(self.mark);
                self.series
                    .push(Series::new(definition, trigger, from, Start::Newborn));
                self.series[place].start = Start::Usual;
                // A name that returns has its former past on record.
                self.series[place].born = Timestamp::MIN;
                self.go_on_from(place, from);
                continue;
            };
            moved.insert(index, place);
            self.series.push(series);
            self.keep_series(
                place,
                coming.remove(&index),
                definition,
                trigger,
                tally,
                now,
            );
        }
        self.move_series(&moved);
        for (series, mut lost) in std::mem::take(&mut self.vacated) {
            lost.retain(|(_, until)| *until > now.wall);
            match self.series_by_id.get(&series).copied() {
                _ if lost.is_empty() => {}
                Some(place) => {
                    for (run, until) in lost {
                        self.occupy(place, run, until);
                    }
                }
                None => drop(self.vacated.insert(series, lost)),
            }
        }
        self.mark_paused();
    }

    /// A series that stays: with its next time as it is, or with other times from now on.
    fn keep_series(
        &mut self,
        place: usize,
        next: Option<Timestamp>,
        definition: Arc<Definition>,
        trigger: Arc<Trigger>,
        tally: &mut Tally,
        now: Now,
    ) {
        let series = &mut self.series[place];
        if Arc::ptr_eq(&series.definition, &definition) {
            self.upcoming.extend(next.map(|at| (at, place)));
            return;
        }
        if series.definition.trigger == definition.trigger {
            self.upcoming.extend(next.map(|at| (at, place)));
            if *series.definition != *definition {
                tally.edited += 1;
                series.definition = definition;
                series.cursor = series.cursor.max(self.mark);
                let cursor = series.cursor;
                self.store_cursor(place, cursor);
            }
            return;
        }
        tally.retimed += 1;
        let id = &definition.series;
        // A nominal time that is on record is decided for every trigger.
        let lately = series.lately.drain(..);
        self.decided
            .civil
            .extend(lately.map(|o| (id.clone(), o.civil, o.fold)));
        series.definition = definition;
        series.trigger = trigger;
        series.quarantined = false;
        let from = now.wall.max(self.mark).max(series.cursor);
        self.go_on_from(place, from);
    }

    /// The series is planned from this time on.
    fn go_on_from(&mut self, place: usize, from: Timestamp) {
        self.series[place].cursor = from;
        let next = self.series[place].trigger.after(from);
        self.upcoming.extend(next.map(|o| (o.instant, place)));
        self.store_cursor(place, from);
    }

    /// Everything that names a series by its place names the new one.
    fn move_series(&mut self, moved: &HashMap<usize, usize>) {
        self.releases = std::mem::take(&mut self.releases)
            .into_iter()
            .filter_map(|(at, index)| Some((at, *moved.get(&index)?)))
            .collect();
        for (slot, live) in &mut self.runs {
            let place = match live.series {
                Some(index) => moved.get(&index).copied(),
                // Its series was removed once and is there again.
                None => self.series_by_id.get(&live.run.id.series).copied(),
            };
            live.series = place;
            if let Some(place) = place {
                self.series[place].live.insert(*slot);
            }
        }
    }

    // ---- connections ---------------------------------------------------------------------------------------------

    fn exchange_connections(&mut self, connections: Vec<ConnectionLimits>, now: Now) {
        let mut former: Vec<Option<Connection>> = std::mem::take(&mut self.connections)
            .into_iter()
            .map(Some)
            .collect();
        let mut paces: HashMap<String, Pace> = std::mem::take(&mut self.hosts)
            .into_iter()
            .map(|host| (host.name, host.pace))
            .collect();
        let mut moved: HashMap<usize, usize> = HashMap::new();
        let new_limits: HashMap<ConnectionName, ConnectionLimits> = connections
            .iter()
            .map(|c| (c.name.clone(), c.clone()))
            .collect();
        for limits in connections {
            let same =
                |c: &Connection| c.limits.name == limits.name && c.limits.target == limits.target;
            match former.iter().position(|c| c.as_ref().is_some_and(same)) {
                Some(index) => {
                    let place = self.place_connection(former[index].take(), limits, now);
                    moved.insert(index, place);
                }
                None => {
                    // What is remembered goes by the name, as over a restart.
                    let named = |c: &&Connection| c.limits.name == limits.name;
                    let before = former.iter().flatten().find(named);
                    let memory = before.map(|c| c.memory.clone()).unwrap_or_default();
                    let place = self.add_connection(limits, memory, now);
                    let since = earlier(now.wall.min(self.mark), BEFORE);
                    // What this process made is on record, whatever the list shows.
                    let known = self.mark;
                    self.connections[place].lookups.sweep_since(since, known);
                }
            }
        }
        // Former addresses that runs were submitted to.
        let used: BTreeSet<usize> = self.runs.values().map(|live| live.connection).collect();
        for index in used {
            let Some(connection) = former.get_mut(index).and_then(Option::take) else {
                continue;
            };
            let mut limits = connection.limits.clone();
            if let Some(new) = new_limits.get(&limits.name) {
                limits = ConnectionLimits {
                    target: limits.target,
                    ..new.clone()
                };
            }
            let place = self.place_connection(Some(connection), limits, now);
            self.connections[place].configured = false;
            moved.insert(index, place);
        }
        for live in self.runs.values_mut() {
            if let Some(place) = moved.get(&live.connection) {
                live.connection = *place;
            }
        }
        for host in &mut self.hosts {
            if let Some(mut pace) = paces.remove(&host.name) {
                let first = host.connections.first();
                let budget = first.map(|c| self.connections[*c].limits.requests_per_minute);
                budget.into_iter().for_each(|n| pace.change(n, now.mono));
                host.pace = pace;
            }
        }
    }

    /// A connection with its queues and what is known of it takes its place under the present limits.
    fn place_connection(
        &mut self,
        connection: Option<Connection>,
        limits: ConnectionLimits,
        now: Now,
    ) -> usize {
        let memory = connection.as_ref().map(|c| c.memory.clone());
        let place = self.add_connection(limits, memory.unwrap_or_default(), now);
        if let Some(former) = connection {
            let new = &mut self.connections[place];
            *new = Connection {
                limits: new.limits.clone(),
                configured: true,
                host: new.host,
                ..former
            };
            new.circuit.try_at_once(now.mono);
        }
        place
    }
}
