//! What happens in a night, act by act.

use std::sync::Arc;
use std::time::Duration;

use nightcall::sandbox::{Fault, Metadata, Operation, Phase, Rule, World};
use nightcall::sched::id::RunKind;
use nightcall::sched::run::RunState;
use nightcall::sched::step::{FireRequest, Fired, Input, Token};

use super::checks::hold;
use super::plan::{Act, Edit};
use super::play::{Event, Play};
use crate::setup::{Config, secs, times};
use crate::sim::by_hand;

impl Play<'_> {
    /// The act of this number begins.
    pub(super) fn act(&mut self, index: usize) {
        let act = self.night.acts[index].act.clone();
        self.say(|| format!("==== {act:?}"));
        let words = format!("{act:?}");
        let end = words
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(words.len());
        self.tally.count(format!("act {}", &words[..end]));
        let t = self.t;
        match act {
            Act::Kill { steps, point, down } => self.kill = Some((steps, point, down)),
            Act::Restart { down, edit } => {
                if let Some(edit) = edit {
                    self.limits_changed |= matches!(edit, Edit::Limits(..));
                    edited(&mut self.file, edit);
                }
                // A configuration is read at a start only.
                self.daemon = None;
                self.kill = None;
                self.gone(down);
            }
            Act::OldCopy { .. } => self.old_copy(index),
            Act::Stall { lasts } => {
                if self.frozen.is_none() {
                    self.frozen = self.daemon.take();
                    self.courier.another_process();
                    self.start_in(secs(5));
                    self.later(t + lasts, Event::Over(index));
                }
            }
            Act::SecondDaemon => self.second_daemon(),
            Act::StoreRefuses { lasts } => self.refuses_until = self.refuses_until.max(t + lasts),
            Act::Clock { seconds, lasts } => {
                self.skew += seconds * 1000;
                if let Some(lasts) = lasts {
                    self.later(t + lasts, Event::Over(index));
                }
            }
            Act::Synchronised => self.handle(vec![Input::Clock { synchronised: true }]),
            Act::Doctor => self.handle(vec![Input::Doctor]),
            Act::Fire {
                schedule,
                key,
                queue,
                anyway,
                even_paused,
            } => {
                let request = FireRequest {
                    queue,
                    anyway,
                    even_paused,
                    ..by_hand(&schedule, &format!("k{key}"))
                };
                self.fire(request);
            }
            Act::Trouble { lasts, .. } => {
                self.set_rules();
                self.later(t + lasts, Event::Over(index));
            }
            Act::Closed { lasts } => {
                self.vendor.closed_until = self.vendor.closed_until.max(t + lasts);
            }
            Act::Revoke => self.vendor.everywhere(World::revoke_tokens),
            Act::Forget => self.forget(),
            Act::StopThere => self.stop_there(),
            Act::NoMarkers { lasts } => {
                let dropped = Metadata::Dropped;
                self.vendor
                    .behaves(|scenario| scenario.create.metadata = dropped);
                self.later(t + lasts, Event::Over(index));
            }
            Act::ByHand(hand) => self.by_hand(hand),
        }
    }

    /// What the act of this number began is over.
    pub(super) fn over(&mut self, index: usize) {
        match self.night.acts[index].act {
            Act::Trouble { .. } => self.set_rules(),
            Act::Clock { seconds, .. } if !self.calm => self.skew -= seconds * 1000,
            Act::OldCopy { .. } => {
                let copy = (self.store.clone(), self.ledger.clone());
                self.copies.insert(index, copy);
            }
            Act::Stall { .. } => self.thaw(),
            Act::NoMarkers { .. } => {
                let usual = self.night.scenario.create.metadata;
                self.vendor
                    .behaves(|scenario| scenario.create.metadata = usual);
            }
            _ => {}
        }
    }

    /// The rules of all troubles that are on now.
    fn set_rules(&mut self) {
        let on = self.night.acts.iter().filter_map(|timed| match &timed.act {
            Act::Trouble { rule, lasts } => {
                let on = timed.at <= self.t && self.t < timed.at + *lasts;
                on.then(|| (**rule).clone())
            }
            _ => None,
        });
        self.vendor.rules(on.collect());
    }

    /// The database is replaced by an older copy while the vendor can be read; what was on its way has arrived.
    fn old_copy(&mut self, index: usize) {
        let Some((store, ledger)) = self.copies.remove(&index) else {
            return;
        };
        self.daemon = None;
        (self.frozen, self.kill) = (None, None);
        self.store = store;
        self.ledger = ledger;
        self.ledger.restored = true;
        // It may not know of submissions that came to nothing.
        self.memory.submitted.clear();
        self.gone(secs(120));
    }

    /// A process that stood still goes on as if nothing had happened.
    fn thaw(&mut self) {
        let Some(frozen) = self.frozen.take() else {
            return;
        };
        let present = self.daemon.replace(frozen);
        let epoch_lost = self.lease_is_lost();
        match self.waits_for_store() {
            // Its pause is over, too.
            Some(process) => self.retry_store(process, secs(1)),
            None => self.handle(vec![Input::Wake]),
        }
        if present.is_some() {
            hold(3, epoch_lost, || "two processes hold the lease".to_owned());
            self.daemon = present;
        } else if self.daemon.is_none() {
            self.start_in(secs(5));
        }
    }

    fn second_daemon(&mut self) {
        // The daemon naps for a second at most, and renews its lease when it is time.
        self.handle(vec![Input::Wake]);
        let Some(daemon) = &self.daemon else {
            return;
        };
        // A clock that leaps ends the lease before its time, and who had it is fenced.
        let leapt = (self.skew - daemon.renewed_skew).max(0);
        let wall = self.now().wall - jiff::SignedDuration::from_millis(leapt);
        let taken = self.lease.clone().acquire(u64::MAX, true, wall);
        // One that cannot write the store loses it after a minute.
        let held = self.runs();
        hold(3, taken.is_none() || !held, || {
            "a second daemon was let in".to_owned()
        });
    }

    /// Asked twice, as after a lost answer.
    fn fire(&mut self, request: FireRequest) {
        self.memory.asked.insert(request.key.clone());
        let first = self.ask_for(request.clone());
        let second = self.ask_for(request);
        if let (Some(Fired::Run(one)), Some(Fired::Run(two))) = (first, second) {
            self.tally.count("fired");
            hold(2, one == two, || format!("one key made {one} and {two}"));
            let by_hand = matches!(one.kind, RunKind::Manual(_));
            hold(6, by_hand && self.store.runs.contains_key(&one), || {
                format!("{one}")
            });
        }
    }

    fn ask_for(&mut self, request: FireRequest) -> Option<Fired> {
        self.tokens += 1;
        let token = Token(self.tokens);
        self.handle(vec![Input::Fire { token, request }]);
        self.replies.remove(&token)
    }

    /// A job that the daemon knows and that has not ended.
    fn a_known_job(&mut self) -> Option<String> {
        let known = self
            .store
            .live_rows()
            .filter_map(|row| match &row.run.state {
                RunState::Running { job, .. } => Some(job.as_str().to_owned()),
                _ => None,
            });
        let known: Vec<String> = known.collect();
        let job = (!known.is_empty()).then(|| self.dice.pick(&known))?;
        let made = self.vendor.made_as(&job)?;
        (self.vendor.phase(made) == Phase::Running).then_some(job)
    }

    fn forget(&mut self) {
        if let Some(job) = self.a_known_job()
            && self.vendor.forget(&job)
        {
            self.tally.count("job dropped");
        }
    }

    fn stop_there(&mut self) {
        if let Some(job) = self.a_known_job() {
            self.vendor.stop(&job);
            self.tally.count("stopped at the vendor");
        }
    }

    /// Nothing goes wrong any more.
    pub(super) fn calm_down(&mut self) {
        (self.kill, self.skew, self.calm) = (None, 0, true);
        self.refuses_until = self.t;
        self.vendor.closed_until = self.t;
        self.vendor.rules(Vec::new());
        self.vendor.behaves(|scenario| {
            scenario.limit = None;
            scenario.script.sometimes.clear();
            for procedure in &mut scenario.procedures {
                procedure.script.sometimes.clear();
            }
        });
        self.courier.calm();
        if self.frozen.is_some() {
            self.thaw();
        }
        if self.daemon.is_none() {
            self.start_in(Duration::ZERO);
        }
        // A store that refused is tried again within half a minute.
        self.run_to(self.t + secs(65));
        self.handle(vec![Input::Clock { synchronised: true }]);
        self.resume_all();
    }
}

/// What goes wrong at a whole outage: the vendor says 503 to everything.
pub(super) fn out_of_service() -> Rule {
    Rule::always(Fault::status(503))
}

/// What is refused at the door.
pub(super) fn at_the_door(fault: Fault) -> Rule {
    Rule::on(Operation::Connect, fault)
}

/// The file as it is after an edit.
pub(super) fn edited(config: &mut Config, edit: Edit) {
    let definitions = &mut config.definitions;
    let of = |name: &str| {
        definitions
            .iter()
            .position(|d| d.series.schedule.as_str() == name)
    };
    match edit {
        Edit::Remove(name) => {
            if definitions.len() > 1
                && let Some(index) = of(&name)
            {
                definitions.remove(index);
            }
        }
        Edit::Add(added) => {
            if definitions.iter().all(|d| d.series != added.series) {
                definitions.push(*added);
            }
        }
        Edit::Retime(name, rhythm) => {
            if let Some(index) = of(&name) {
                times(&mut definitions[index]).rhythm = rhythm;
            }
        }
        Edit::TimeLimit(name, limit) => {
            if let Some(index) = of(&name) {
                definitions[index].timeout = limit;
            }
        }
        Edit::Move(base_url) => {
            for connection in &mut config.connections {
                connection.target.base_url = Arc::from(base_url.as_str());
            }
            for definition in definitions {
                definition.target.base_url = Arc::from(base_url.as_str());
            }
        }
        Edit::Limits(per_minute, in_flight) => {
            for connection in &mut config.connections {
                connection.requests_per_minute = per_minute;
                connection.max_in_flight = in_flight;
            }
        }
    }
}
