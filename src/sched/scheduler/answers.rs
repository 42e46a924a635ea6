//! Answers of the vendor about runs: taken once, by the question they belong to.

use std::collections::BTreeSet;

use super::circuit::Turn;
use super::{Scheduler, Slot};
use crate::sched::fault::{ConnectionFault, Fault};
use crate::sched::machine::Event;
use crate::sched::notice::{Notice, NoticeKind};
use crate::sched::run::RunState;
use crate::sched::step::{Answer, CancelAnswer, Change, Key, PollAnswer, SubmitAnswer};
use crate::sched::time::{Now, Timestamp, between, words};

/// So many pauses in a row are worth telling.
const PAUSES_TOLD: u32 = 3;

impl Scheduler {
    pub(super) fn answered(&mut self, key: Key, answer: Answer, date: Option<Timestamp>, now: Now) {
        self.vendor_clock(date, now);
        let Some(slot) = self.awaited(&key) else {
            self.strays += 1;
            return;
        };
        let Some(live) = self.runs.get_mut(&slot) else {
            return;
        };
        live.awaiting = None;
        let (index, connection_fault) = (live.connection, fault_of(&answer).cloned());
        let of_connection = connection_fault
            .as_ref()
            .and_then(Fault::connection)
            .is_some();
        match &answer {
            _ if of_connection => {}
            // That a stop was noted does not say how the job stands.
            Answer::Cancel(_) => {}
            Answer::Poll(PollAnswer::NoAnswer(_)) => live.unheard(),
            Answer::Submit(_) | Answer::Poll(_) => (live.fresh, live.silent) = (true, 0),
        }
        self.connections[index].lookups.other_tried(!of_connection);
        self.heard(index, key.sequence, connection_fault.as_ref(), now);
        match answer {
            Answer::Submit(answer) => self.submitted(slot, answer, now),
            Answer::Poll(answer) => self.polled(slot, answer, now),
            Answer::Cancel(CancelAnswer::Noted | CancelAnswer::NoAnswer(_)) => {
                self.if_cancelling(slot, Event::CancelAnswered, now);
            }
        }
    }

    fn submitted(&mut self, slot: Slot, answer: SubmitAnswer, now: Now) {
        let accepted = match &answer {
            SubmitAnswer::Accepted(job) => Some(job.clone()),
            _ => None,
        };
        self.apply(slot, Event::Submitted(answer), now);
        if let (Some(job), Some(live)) = (accepted, self.runs.get(&slot)) {
            self.remember(live.connection, job, None, now);
        }
    }

    fn polled(&mut self, slot: Slot, answer: PollAnswer, now: Now) {
        if let PollAnswer::Working {
            unknown: Some(word),
        } = &answer
        {
            self.record_unknown(slot, word, now);
        }
        self.apply(slot, Event::Polled(answer), now);
    }

    /// A state word that nobody knows is recorded once and believed to mean "still at work".
    fn record_unknown(&mut self, slot: Slot, word: &str, now: Now) {
        let Some(live) = self.runs.get_mut(&slot) else {
            return;
        };
        if live.unknown.as_deref() == Some(word) {
            return;
        }
        live.unknown = Some(word.to_owned());
        let record = crate::sched::run::Record {
            at: now.wall,
            what: "unknown_word".into(),
            state: live.run.state.word().into(),
            attempt: live.run.attempt,
            why: Some(format!(
                "the vendor says {:?}, which is no known state; the job is watched until its time limit",
                crate::sched::fault::bounded(word, 100)
            )),
            fault: None,
            job: live.run.job.clone(),
        };
        self.step.changes.push(Change::Run {
            run: Box::new(live.run.clone()),
            record,
            at: now,
        });
    }

    fn if_cancelling(&mut self, slot: Slot, event: Event, now: Now) {
        let state = self.runs.get(&slot).map(|live| &live.run.state);
        if matches!(state, Some(RunState::Cancelling { .. })) {
            self.apply(slot, event, now);
        } else {
            self.settle(slot, now);
        }
    }

    /// The run whose question this answers; `None` when nobody waits for it.
    fn awaited(&self, key: &Key) -> Option<Slot> {
        let slot = *self.by_run.get(&key.run)?;
        let awaiting = self.runs.get(&slot)?.awaiting?;
        (awaiting.sequence == key.sequence).then_some(slot)
    }

    /// What an answer says of its connection and host.
    pub(super) fn heard(&mut self, index: usize, sequence: u64, fault: Option<&Fault>, now: Now) {
        let kind = fault.and_then(Fault::connection);
        if kind == Some(ConnectionFault::TooMany) {
            let retry_after = fault.and_then(|f| f.retry_after);
            self.connections[index].circuit.unheard(sequence, now.mono);
            return self.too_many(index, retry_after, now);
        }
        let fault = fault.filter(|_| kind.is_some());
        match self.connections[index].circuit.heard(sequence, fault, now) {
            Turn::None => {}
            Turn::Opened => self.cut_off(index, now),
            Turn::Incident => {
                self.cut_off(index, now);
                self.tell_incident(index, now);
            }
            Turn::Recovered(outage) => self.tell_recovered(index, &outage, now),
        }
    }

    /// What was sent may never have arrived: jobs are asked to stop anew, and their grace counts from there.
    pub(super) fn cut_off(&mut self, index: usize, now: Now) {
        let live = self.runs.values_mut();
        for live in live.filter(|live| live.connection == index) {
            live.silent = 0;
            live.stop_anew();
        }
        self.not_fresh(index, now);
    }

    /// Nothing expires before the vendor has spoken again.
    fn not_fresh(&mut self, index: usize, now: Now) {
        let slots: Vec<Slot> = self
            .runs
            .iter_mut()
            .filter(|(_, live)| live.connection == index)
            .map(|(slot, live)| {
                live.fresh = false;
                *slot
            })
            .collect();
        for slot in slots {
            self.wait(slot, now);
        }
    }

    fn too_many(&mut self, index: usize, retry_after: Option<std::time::Duration>, now: Now) {
        let host = &mut self.hosts[self.connections[index].host];
        let Some(times) = host.pace.too_many(retry_after, now.mono) else {
            return;
        };
        for index in host.connections.clone() {
            self.not_fresh(index, now);
        }
        if times != PAUSES_TOLD {
            return;
        }
        let host = &self.hosts[self.connections[index].host];
        let name = host.name.clone();
        let pause = host
            .pace
            .paused_until(now.mono)
            .map_or_else(String::new, |until| words(until.since(now.mono)));
        self.tell(Notice {
            id: format!("incident:{name}:{}", now.wall),
            kind: NoticeKind::Incident,
            at: now.wall,
            schedule: None,
            run: None,
            subject: format!("{name} says \"too many requests\" again and again"),
            body: format!(
                "All requests to the host pause for {pause}. Lower `requests_per_minute` of its connections, or ask \
                 who else uses this address."
            ),
        });
    }

    fn tell_incident(&mut self, index: usize, now: Now) {
        let connection = &self.connections[index];
        let Some(outage) = connection.circuit.outage() else {
            return;
        };
        let name = &connection.limits.name;
        let mut body = format!("{}\n", outage.fault);
        if let Some(remedy) = &outage.fault.remedy {
            body.push_str(&format!("{remedy}\n"));
        }
        body.push_str(&format!(
            "Runs wait within their start deadlines, jobs are watched again as soon as it works.\n\
             schedules on it: {}",
            listed(self.schedules_on(index))
        ));
        let notice = Notice {
            id: format!("incident:{name}:{}", outage.since),
            kind: NoticeKind::Incident,
            at: now.wall,
            schedule: None,
            run: None,
            subject: format!("connection {name} does not work"),
            body,
        };
        self.tell(notice);
    }

    fn tell_recovered(&mut self, index: usize, outage: &super::circuit::Outage, now: Now) {
        let name = self.connections[index].limits.name.clone();
        let lasted = words(between(outage.since, now.wall));
        let notice = Notice {
            id: format!("recovered:{name}:{}", outage.since),
            kind: NoticeKind::Recovered,
            at: now.wall,
            schedule: None,
            run: None,
            subject: format!("connection {name} works again after {lasted}"),
            body: format!(
                "schedules that waited: {}",
                listed(self.schedules_waiting(index))
            ),
        };
        self.tell(notice);
    }

    /// The schedules that use a connection.
    fn schedules_on(&self, index: usize) -> BTreeSet<&str> {
        let planned = self.series.iter().map(|series| &series.definition);
        planned
            .filter(|d| self.find_connection(d) == Some(index))
            .map(|d| d.series.schedule.as_str())
            .collect()
    }

    /// The schedules that have live runs on a connection.
    fn schedules_waiting(&self, index: usize) -> BTreeSet<&str> {
        let live = self.runs.values().filter(|live| live.connection == index);
        live.map(|live| live.run.id.series.schedule.as_str())
            .collect()
    }

    pub(super) fn vendor_clock(&mut self, date: Option<Timestamp>, now: Now) {
        if let Some(date) = date {
            self.clock.vendor(date, now);
        }
    }
}

fn fault_of(answer: &Answer) -> Option<&Fault> {
    match answer {
        Answer::Submit(SubmitAnswer::Refused(fault) | SubmitAnswer::Unsure(fault))
        | Answer::Poll(PollAnswer::NoAnswer(fault) | PollAnswer::Gone(fault))
        | Answer::Cancel(CancelAnswer::NoAnswer(fault)) => Some(fault),
        _ => None,
    }
}

/// Names for people, a bounded list.
fn listed(names: BTreeSet<&str>) -> String {
    const SHOWN: usize = 50;
    let more = names.len().saturating_sub(SHOWN);
    let shown: Vec<&str> = names.into_iter().take(SHOWN).collect();
    match (shown.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (_, 0) => shown.join(", "),
        _ => format!("{} and {more} more", shown.join(", ")),
    }
}
