//! The vendor: a sandbox's world at each host, with a register of what was really made for whom. The register is the
//! oracle that the checks ask; it forgets nothing, whatever a world forgets and whatever it does with markers.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use nightcall::sandbox::{Exchange, Job, Phase, Request, Rule, Scenario, World};
use nightcall::sched::id::{RunId, SeriesId};
use nightcall::sched::time::Timestamp;

/// One submission as the daemon meant it.
pub(super) type Meant = (RunId, u32);

/// A job that was made, with what it was made for.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) meant: Meant,
    pub(super) id: String,
    host: String,
    /// The job as it was when the vendor dropped it.
    dropped: Option<Job>,
}

/// The vendor.
#[derive(Debug)]
pub(super) struct Vendor {
    /// As it is at every host that is not known yet.
    scenario: Scenario,
    worlds: BTreeMap<String, World>,
    now: Timestamp,
    /// No connection is accepted until then.
    pub(super) closed_until: Duration,
    pub(super) made: Vec<Made>,
    by_run: HashMap<RunId, Vec<usize>>,
    by_series: HashMap<SeriesId, Vec<usize>>,
    by_id: HashMap<String, usize>,
    /// The number of the last job of each host.
    seen: HashMap<String, u64>,
}

impl Vendor {
    pub(super) fn new(scenario: Scenario, now: Timestamp) -> Self {
        Self {
            scenario,
            worlds: BTreeMap::new(),
            now,
            closed_until: Duration::ZERO,
            made: Vec::new(),
            by_run: HashMap::new(),
            by_series: HashMap::new(),
            by_id: HashMap::new(),
            seen: HashMap::new(),
        }
    }

    /// The world at a host.
    pub(super) fn at(&mut self, host: &str, now: Timestamp) -> &mut World {
        self.now = self.now.max(now);
        let at = |n: usize| {
            let seed = self.scenario.seed ^ n as u64;
            World::new(self.scenario.clone().seed(seed), now)
        };
        let known = self.worlds.len();
        self.worlds
            .entry(host.to_owned())
            .or_insert_with(|| at(known))
    }

    /// Changes every world, those that are met later included.
    pub(super) fn everywhere(&mut self, mut change: impl FnMut(&mut World)) {
        self.worlds.values_mut().for_each(&mut change);
    }

    /// From now on the vendor behaves like this, at every host.
    pub(super) fn behaves(&mut self, change: impl Fn(&mut Scenario)) {
        change(&mut self.scenario);
        self.everywhere(|world| change(&mut world.scenario));
    }

    /// These rules are in force from now on, and no other.
    pub(super) fn rules(&mut self, rules: Vec<Rule>) {
        self.everywhere(|world| {
            world.clear_faults();
            rules.iter().for_each(|rule| world.add_fault(rule.clone()));
        });
        self.scenario.faults = rules;
    }

    /// A request has arrived; with what it made, if it made a job.
    pub(super) fn handle(
        &mut self,
        host: &str,
        request: &Request,
        meant: Option<&Meant>,
        late: bool,
        now: Timestamp,
    ) -> (Exchange, Option<usize>) {
        let world = self.at(host, now);
        let exchange = match late {
            true => world.handle_late(request, now),
            false => world.handle(request, now),
        };
        (exchange, self.register(host, meant))
    }

    fn register(&mut self, host: &str, meant: Option<&Meant>) -> Option<usize> {
        let job = self.worlds.get(host)?.jobs().next_back()?;
        let seen = self.seen.entry(host.to_owned()).or_default();
        if job.number <= *seen {
            return None;
        }
        *seen = job.number;
        let meant = meant.expect("only a submission makes a job").clone();
        let index = self.made.len();
        let (run, series) = (meant.0.clone(), meant.0.series.clone());
        self.by_run.entry(run).or_default().push(index);
        self.by_series.entry(series).or_default().push(index);
        self.by_id.insert(job.id.clone(), index);
        self.made.push(Made {
            meant,
            id: job.id.clone(),
            host: host.to_owned(),
            dropped: None,
        });
        Some(index)
    }

    /// Where a job stands by now.
    pub(super) fn phase(&self, made: &Made) -> Phase {
        let world = self.worlds.get(&made.host);
        let job = made.dropped.as_ref();
        let job = job.or_else(|| world.and_then(|world| world.job(&made.id)));
        job.map_or(Phase::Pending, |job| job.phase(self.now))
    }

    /// A job by its id.
    pub(super) fn made_as(&self, id: &str) -> Option<&Made> {
        self.by_id.get(id).map(|index| &self.made[*index])
    }

    pub(super) fn of_run<'a>(&'a self, run: &RunId) -> impl Iterator<Item = &'a Made> + use<'a> {
        let of = self.by_run.get(run).into_iter().flatten();
        of.map(|index| &self.made[*index])
    }

    /// The newest jobs of a series; older ones have ended, or were looked at before.
    pub(super) fn of_series<'a>(
        &'a self,
        series: &SeriesId,
    ) -> impl Iterator<Item = &'a Made> + use<'a> {
        const LOOKED_AT: usize = 20;
        let of = self.by_series.get(series).into_iter().flatten().rev();
        of.take(LOOKED_AT).map(|index| &self.made[*index])
    }

    /// How often the body of a run was executed.
    pub(super) fn successes(&self, run: &RunId) -> usize {
        self.of_run(run)
            .filter(|made| matches!(self.phase(made), Phase::Ended(end) if end.is_success()))
            .count()
    }

    /// The vendor drops a job.
    pub(super) fn forget(&mut self, id: &str) -> bool {
        let Some(index) = self.by_id.get(id) else {
            return false;
        };
        let made = &mut self.made[*index];
        let world = self.worlds.get_mut(&made.host);
        made.dropped = world.and_then(|world| world.forget(id));
        made.dropped.is_some()
    }

    /// Somebody stops a job.
    pub(super) fn stop(&mut self, id: &str) {
        let now = self.now;
        let host = self.made_as(id).map(|made| made.host.clone());
        if let Some(world) = host.and_then(|host| self.worlds.get_mut(&host)) {
            world.cancel(id, now);
        }
    }

    /// The worlds' own account of submissions for which more than one job was made.
    pub(super) fn doubled(&self) -> Vec<String> {
        let doubled = self.worlds.values().flat_map(World::doubled);
        doubled
            .map(|m| format!("{}#{}", m.run, m.attempt))
            .collect()
    }

    /// What was asked of the vendor and what went wrong, in words, counted.
    pub(super) fn asked(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        let entries = self.worlds.values().flat_map(|w| w.journal().entries());
        for entry in entries {
            let operation = format!("{:?}", entry.operation).to_lowercase();
            if let Some(fault) = entry.fault {
                *counts.entry(format!("fault {fault}")).or_default() += 1;
            }
            if let Some(status) = entry.status {
                *counts.entry(format!("{operation} {status}")).or_default() += 1;
            }
        }
        counts
    }
}
