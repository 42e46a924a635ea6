//! The vendor's world: jobs over time, and who really executed what. Pure: no IO, no async, no clock; the time of every
//! question comes with it and chance is seeded, so that a simulation can drive it as well as a server.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::auth::Desk;
use super::dice::Dice;
use super::ending::{Ending, Failure};
use super::fault::{Faults, Rule};
use super::job::{Job, Marker, later};
use super::journal::Journal;
use super::limiter::Limiter;
use super::procedure::{self, Procedure};
use super::scenario::{Metadata, RunScript, Scenario};
use super::script::{EndingsBy, Script};
use super::span::Span;
use super::statement;

/// The most jobs that are remembered; beyond, the oldest are forgotten (and answer 404).
pub const JOBS_MAX: usize = 100_000;

/// What a client asks to be run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Order {
    /// The connection in the path.
    pub connection: String,
    /// The statement.
    pub query: String,
    /// `queryParameters`; null when there are none.
    pub parameters: Value,
    /// `metadata`, when there is any.
    pub metadata: Option<Value>,
    /// Whether it came in a URL.
    pub by_url: bool,
}

/// Why no job was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The statement is empty.
    NoQuery,
    /// `metadata` is not taken here.
    Metadata,
    /// The call is wrong, and wrong calls are refused at once.
    WrongCall(Failure),
}

/// What came of a wish to stop a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// The wish was taken, whatever becomes of it.
    Taken,
    /// The job had ended.
    Finished,
    /// No such job.
    Unknown,
}

/// The vendor's world.
#[derive(Clone, Debug)]
pub struct World {
    /// How it behaves. What is changed here holds from the next request on, except where the key says otherwise.
    pub scenario: Scenario,
    pub(super) dice: Dice,
    pub(super) faults: Faults,
    pub(super) desk: Desk,
    pub(super) limiter: Limiter,
    pub(super) journal: Journal,
    /// Statements with their parameters whose first result is given for ever.
    pub(super) cached: HashSet<String>,
    now: Timestamp,
    created: u64,
    jobs: BTreeMap<u64, Job>,
    numbers: HashMap<String, u64>,
    /// The job that writes a result table without having collided.
    writers: HashMap<String, u64>,
    /// How many endings of a list have been given out.
    given: HashMap<(String, String), usize>,
}

impl World {
    /// A world at its beginning.
    pub fn new(scenario: Scenario, now: Timestamp) -> Self {
        let mut faults = Faults::default();
        for rule in &scenario.faults {
            faults.add(rule.clone());
        }
        Self {
            dice: Dice::new(scenario.seed),
            faults,
            desk: Desk::default(),
            limiter: Limiter::default(),
            journal: Journal::default(),
            cached: HashSet::new(),
            now,
            created: 0,
            jobs: BTreeMap::new(),
            numbers: HashMap::new(),
            writers: HashMap::new(),
            given: HashMap::new(),
            scenario,
        }
    }

    /// Lets time pass. Time never goes back: an earlier time than the last one is ignored.
    pub fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    /// The latest time that the world was told; what the counts below are true for.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Makes a job and lays out its life.
    ///
    /// # Errors
    /// Why there is none.
    pub fn create(&mut self, order: &Order, now: Timestamp) -> Result<&Job, Refusal> {
        self.advance(now);
        if order.query.trim().is_empty() {
            return Err(Refusal::NoQuery);
        }
        let asked = order.metadata.as_ref().filter(|m| !m.is_null());
        let metadata = match (self.scenario.create.metadata, asked) {
            (Metadata::Refused, Some(_)) => return Err(Refusal::Metadata),
            (Metadata::Kept, Some(metadata)) => metadata.clone(),
            _ => json!({}),
        };
        // What the client meant counts, even where the vendor forgets it: the oracle must not be blinded.
        let marker = asked.and_then(Marker::read);
        let plan = self.plan(order, marker.as_ref());
        if let (true, Some(failure)) = (self.scenario.create.refuse_wrong_calls, &plan.wrong) {
            return Err(Refusal::WrongCall(failure.clone()));
        }
        let job = self.lay_out(order, marker, metadata, plan);
        Ok(self.keep(job))
    }

    /// Whether a statement would get as far as running.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check(&self, query: &str, parameters: &Value) -> Result<(), Failure> {
        let order = Order {
            query: query.to_owned(),
            parameters: parameters.clone(),
            ..Order::default()
        };
        self.plan(&order, None).wrong.map_or(Ok(()), Err)
    }

    /// What a statement will do, before any time is drawn.
    fn plan(&self, order: &Order, marker: Option<&Marker>) -> Plan {
        let call = statement::parse(&order.query);
        let known = call
            .as_ref()
            .and_then(|call| self.procedure(&call.name).filter(|p| p.enabled));
        let (wrong, table) = match (&call, known) {
            (None, _) => (None, None),
            (Some(call), Some(known)) => match known.signature.bind(call, &order.parameters) {
                Ok(values) => (None, Some(known.signature.result_table(&values))),
                Err(failure) => (Some(failure), None),
            },
            (Some(call), None) => {
                let listed = self.procedure(&call.name).is_some();
                let failure = if listed || self.scenario.strict {
                    Some(procedure::not_found(&call.name))
                } else {
                    procedure::bind_unknown(call, &order.parameters).err()
                };
                (failure, None)
            }
        };
        let script = marker
            .and_then(|marker| {
                let fits = |run: &&RunScript| marker.run.contains(&run.contains);
                self.scenario.runs.iter().find(fits).map(|run| &run.script)
            })
            .or(known.map(|known| &known.script))
            .unwrap_or(&self.scenario.script)
            .clone();
        Plan {
            procedure: call.map(|call| call.name),
            table,
            wrong,
            script,
        }
    }

    fn lay_out(
        &mut self,
        order: &Order,
        marker: Option<Marker>,
        metadata: Value,
        plan: Plan,
    ) -> Job {
        let created = self.now;
        let script = &plan.script;
        let visible = self.after(created, script.visible_after);
        let starts = self.after(created, script.pending);
        let listed = self.after(created, self.scenario.list.delay);
        let ran = self.after(starts, script.running);
        let runs = plan.wrong.is_none();
        let mut ending = match plan.wrong {
            Some(failure) => Ending::Fails(failure),
            None => self.next_ending(
                plan.procedure.as_deref().unwrap_or(&order.query),
                &plan.script,
                marker.as_ref(),
            ),
        };
        if let Some(table) = &plan.table {
            self.collide(table, &mut ending);
        }
        let ends = match &ending {
            Ending::Stuck => None,
            _ if runs => Some(ran),
            _ => Some(starts),
        };
        self.created += 1;
        Job {
            number: self.created,
            id: self.scenario.profile.job_id(&mut self.dice),
            connection: order.connection.clone(),
            marker,
            metadata,
            query: order.query.clone(),
            parameters: order.parameters.clone(),
            by_url: order.by_url,
            procedure: plan.procedure,
            table: plan.table,
            runs,
            created,
            visible,
            listed,
            starts,
            ends,
            ending,
            stop_asked: None,
            stops: None,
        }
    }

    /// This much later by the script, which is sooner by the clock when the world is fast.
    fn after(&mut self, t: Timestamp, scripted: Span) -> Timestamp {
        let scripted = scripted.draw(&mut self.dice);
        let speed = self.scenario.speed;
        if (speed - 1.0).abs() < f64::EPSILON {
            return later(t, scripted);
        }
        let seconds = scripted.as_secs_f64() / speed;
        later(
            t,
            Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX),
        )
    }

    fn next_ending(&mut self, what: &str, script: &Script, marker: Option<&Marker>) -> Ending {
        let mut earlier = 0;
        if script.endings.len() > 1 {
            let run = match script.endings_by {
                EndingsBy::Run => marker.map_or("", |marker| marker.run.as_str()),
                EndingsBy::Procedure => "",
            };
            // Lists that were begun begin again then; with so many jobs nobody will see it.
            if self.given.len() >= JOBS_MAX {
                self.given.clear();
            }
            let given = self
                .given
                .entry((what.to_owned(), run.to_owned()))
                .or_insert(0);
            earlier = *given;
            *given += 1;
        }
        script.choose(earlier, &mut self.dice)
    }

    /// A job that would end well loses its result table when another job is still writing it.
    fn collide(&mut self, table: &str, ending: &mut Ending) {
        let number = self.created + 1;
        let writer = self.writers.get(table).and_then(|n| self.jobs.get(n));
        if writer.is_some_and(|writer| !writer.phase(self.now).is_final()) {
            if self.scenario.collide && ending.is_success() {
                let message = format!("Already Exists: Table {table}");
                *ending = Ending::Fails(Failure::new("duplicate", message));
            }
        } else {
            self.writers.insert(table.to_owned(), number);
        }
    }

    fn keep(&mut self, job: Job) -> &Job {
        let number = job.number;
        self.numbers.insert(job.id.clone(), number);
        if self.jobs.len() >= JOBS_MAX
            && let Some((_, oldest)) = self.jobs.pop_first()
        {
            self.numbers.remove(&oldest.id);
            if let Some(table) = &oldest.table
                && self.writers.get(table) == Some(&oldest.number)
            {
                self.writers.remove(table);
            }
        }
        self.jobs.entry(number).or_insert(job)
    }

    /// A job, once it can be seen.
    pub fn read(&mut self, id: &str, now: Timestamp) -> Option<&Job> {
        self.advance(now);
        let now = self.now;
        self.job(id).filter(|job| job.visible <= now)
    }

    /// Asks a job to stop.
    pub fn cancel(&mut self, id: &str, now: Timestamp) -> Cancelled {
        self.advance(now);
        let now = self.now;
        let ignored = self.scenario.cancel.ignored;
        let stops = self.after(now, self.scenario.cancel.takes);
        let stops = (!ignored).then_some(stops);
        match self.job_mut(id) {
            Some(job) if job.visible > now => Cancelled::Unknown,
            Some(job) if job.phase(now).is_final() => Cancelled::Finished,
            Some(job) => {
                job.ask_to_stop(now, stops);
                Cancelled::Taken
            }
            None => Cancelled::Unknown,
        }
    }

    /// The jobs that are listed: created at `since` or later by the vendor's clock, oldest first unless the scenario
    /// says otherwise, cut to a page.
    pub fn list(&mut self, since: Option<Timestamp>, now: Timestamp) -> Vec<&Job> {
        self.advance(now);
        let rules = &self.scenario.list;
        let since = since.filter(|_| !rules.ignores_created_since);
        let fits = |job: &&Job| {
            job.listed <= self.now && since.is_none_or(|since| self.shown(job.created) >= since)
        };
        let most = rules.page.unwrap_or(usize::MAX);
        if rules.newest_first {
            self.jobs.values().rev().filter(fits).take(most).collect()
        } else {
            self.jobs.values().filter(fits).take(most).collect()
        }
    }

    /// A time as the vendor's clock shows it, to the millisecond.
    pub fn shown(&self, t: Timestamp) -> Timestamp {
        let t = t.checked_add(self.scenario.skew).unwrap_or(t);
        Timestamp::from_millisecond(t.as_millisecond()).unwrap_or(t)
    }

    /// A procedure that is known, enabled or not.
    pub fn procedure(&self, name: &str) -> Option<&Procedure> {
        self.scenario
            .procedures
            .iter()
            .find(|procedure| procedure.signature.name == name)
    }

    /// Enables or disables API access. False when there is no such procedure.
    pub fn enable(&mut self, name: &str, enabled: bool) -> bool {
        let found = self
            .scenario
            .procedures
            .iter_mut()
            .find(|procedure| procedure.signature.name == name);
        found.is_some_and(|procedure| {
            procedure.enabled = enabled;
            true
        })
    }

    /// Gives a procedure a new signature, as "Update" does after the parameters of a workflow changed. Its script stays;
    /// a procedure that is not known is added. Jobs that exist keep what they were planned with.
    ///
    /// # Errors
    /// When the signature cannot be read.
    pub fn update(&mut self, signature: &str) -> Result<(), String> {
        let updated = Procedure::new(signature, self.scenario.script.clone())?;
        let name = &updated.signature.name;
        let procedures = &mut self.scenario.procedures;
        match procedures.iter_mut().find(|p| p.signature.name == *name) {
            Some(known) => known.signature = updated.signature,
            None => procedures.push(updated),
        }
        Ok(())
    }

    /// From now on this goes wrong, too.
    pub fn add_fault(&mut self, rule: Rule) {
        self.faults.add(rule);
    }

    /// From now on nothing goes wrong on the way.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Every token that was handed out is worth nothing from now on.
    pub fn revoke_tokens(&mut self) {
        self.desk.revoke_all();
    }

    /// How many tokens were handed out.
    pub fn tokens_issued(&self) -> u64 {
        self.desk.issued()
    }

    /// What was asked, and what came of it.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Every job that is remembered, oldest first, whether or not a client can see it yet.
    pub fn jobs(&self) -> impl DoubleEndedIterator<Item = &Job> {
        self.jobs.values()
    }

    /// One job, whether or not a client can see it yet.
    pub fn job(&self, id: &str) -> Option<&Job> {
        self.jobs.get(self.numbers.get(id)?)
    }

    fn job_mut(&mut self, id: &str) -> Option<&mut Job> {
        self.jobs.get_mut(self.numbers.get(id)?)
    }

    /// The jobs of a run, oldest first.
    pub fn jobs_of<'a>(&'a self, run: &'a str) -> impl Iterator<Item = &'a Job> {
        self.jobs()
            .filter(move |job| job.marker.as_ref().is_some_and(|marker| marker.run == run))
    }

    /// Ends a job now, in this way. False when there is none or it has ended.
    pub fn finish(&mut self, id: &str, ending: Ending) -> bool {
        let now = self.now;
        let live = self.job_mut(id).filter(|job| !job.phase(now).is_final());
        live.is_some_and(|job| {
            job.starts = job.starts.min(now);
            job.ends = (ending != Ending::Stuck).then_some(now);
            job.stops = None;
            job.ending = ending;
            true
        })
    }

    /// Forgets a job, as if the vendor had lost it: reading it answers 404. Its executions are forgotten too.
    pub fn forget(&mut self, id: &str) -> Option<Job> {
        let number = self.numbers.remove(id)?;
        self.jobs.remove(&number)
    }
}

/// What a statement will do.
struct Plan {
    procedure: Option<String>,
    table: Option<String>,
    wrong: Option<Failure>,
    script: Script,
}

#[cfg(test)]
mod tests;
