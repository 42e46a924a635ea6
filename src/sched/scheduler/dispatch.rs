//! Sending: which requests may leave now, under the circuits of the connections and the budgets of the hosts.

use super::connection::Connection;
use super::{Awaiting, Scheduler, Slot};
use crate::sched::machine::Event;
use crate::sched::pace::Class;
use crate::sched::run::RunState;
use crate::sched::step::{Ask, Effect, Key};
use crate::sched::time::{Mono, Now};

impl Scheduler {
    /// Sends what may be sent.
    pub(super) fn dispatch(&mut self, now: Now) {
        for host in 0..self.hosts.len() {
            loop {
                let waiting = self.waiting_classes(host, now);
                let Some(class) = self.hosts[host].pace.take(waiting, now.mono) else {
                    break;
                };
                self.send(host, class, now);
            }
        }
    }

    /// When the next request that waits may leave.
    pub(super) fn next_request(&self, now: Now) -> Option<Mono> {
        let of_host = |host: &super::Host| {
            host.connections
                .iter()
                .filter_map(|c| self.next_of(&self.connections[*c], now))
                .min()
                .map(|at| at.max(host.pace.next(now.mono)))
        };
        self.hosts.iter().filter_map(of_host).min()
    }

    fn next_of(&self, connection: &Connection, now: Now) -> Option<Mono> {
        let lookup = self.lookup_at(connection, now);
        let submit = self.may_submit(connection);
        let other = !connection.cancels.is_empty() || !connection.polls.is_empty();
        let wants = [
            lookup,
            submit.then(|| connection.circuit.submit_at(now.mono)),
            other.then_some(now.mono),
        ];
        connection
            .circuit
            .opens_at(wants.into_iter().flatten().min()?)
    }

    fn waiting_classes(&self, host: usize, now: Now) -> [bool; 4] {
        let mut waiting = [false; 4];
        for index in &self.hosts[host].connections {
            let connection = &self.connections[*index];
            for class in Class::ALL {
                waiting[class as usize] |= self.wants(connection, class, now);
            }
        }
        waiting
    }

    fn wants(&self, connection: &Connection, class: Class, now: Now) -> bool {
        if !connection.circuit.lets_through(now.mono) {
            return false;
        }
        match class {
            Class::Cancel => !connection.cancels.is_empty(),
            Class::Lookup => self
                .lookup_at(connection, now)
                .is_some_and(|at| at <= now.mono),
            Class::Poll => !connection.polls.is_empty(),
            Class::Submit => {
                self.may_submit(connection) && connection.circuit.lets_submit(now.mono)
            }
        }
    }

    /// Whether a submission waits that only time or the circuit can hold back.
    fn may_submit(&self, connection: &Connection) -> bool {
        !connection.waiting.is_empty()
            && connection.has_room()
            && connection.lookups.swept()
            && !self.clock.doubtful()
            && !self.observe
    }

    fn send(&mut self, host: usize, class: Class, now: Now) {
        let wanting: Vec<usize> = self.hosts[host]
            .connections
            .iter()
            .copied()
            .filter(|c| self.wants(&self.connections[*c], class, now))
            .collect();
        match class {
            Class::Lookup => {
                if let Some(index) = wanting.first() {
                    self.look_up(*index, now);
                }
            }
            Class::Submit => {
                let first = |c: &usize| self.connections[*c].waiting.first().cloned();
                if let Some((.., slot)) = wanting.iter().filter_map(first).min() {
                    self.submit(slot, now);
                }
            }
            Class::Cancel => {
                let first = |c: &usize| self.connections[*c].cancels.first().copied();
                if let Some(slot) = wanting.iter().filter_map(first).min() {
                    self.cancel(slot, now);
                }
            }
            Class::Poll => {
                let first = |c: &usize| self.connections[*c].polls.first().copied();
                if let Some((_, slot)) = wanting.iter().filter_map(first).min() {
                    self.poll(slot, now);
                }
            }
        }
    }

    /// The intent first; the request leaves after it is durable.
    fn submit(&mut self, slot: Slot, now: Now) {
        self.apply(slot, Event::Admitted, now);
        let Some(live) = self.runs.get(&slot) else {
            return;
        };
        if matches!(live.run.state, RunState::Submitting { .. }) {
            let submission = Box::new(live.run.submission(&self.instance));
            self.ask(slot, Ask::Submit(submission), now);
        }
    }

    fn poll(&mut self, slot: Slot, now: Now) {
        let Some(live) = self.runs.get(&slot) else {
            return;
        };
        if let RunState::Running { job, .. } | RunState::Cancelling { job, .. } = &live.run.state {
            let ask = Ask::Poll(live.run.definition.target.clone(), job.clone());
            self.ask(slot, ask, now);
        }
    }

    fn cancel(&mut self, slot: Slot, now: Now) {
        let Some(live) = self.runs.get_mut(&slot) else {
            return;
        };
        if let RunState::Cancelling { job, polls, .. } = &live.run.state {
            let ask = Ask::Cancel(live.run.definition.target.clone(), job.clone());
            live.cancel_round = Some(*polls);
            live.stop_asked.get_or_insert(now.mono);
            self.ask(slot, ask, now);
        }
    }

    fn ask(&mut self, slot: Slot, ask: Ask, now: Now) {
        let sequence = self.sequence();
        let Some(live) = self.runs.get_mut(&slot) else {
            return;
        };
        live.awaiting = Some(Awaiting {
            sequence,
            since: now.mono,
        });
        let key = Key {
            run: live.run.id.clone(),
            attempt: live.run.attempt,
            sequence,
        };
        let connection = &mut self.connections[live.connection];
        let submission = matches!(ask, Ask::Submit(_));
        connection.circuit.sent(sequence, submission, now.mono);
        let effect = Effect::Ask {
            key,
            connection: connection.limits.name.clone(),
            ask,
        };
        self.push(effect);
        self.settle(slot, now);
    }

    /// When a list call wants to leave. During an outage with nothing else to try it is a list call that tries whether
    /// the connection works again. A former address that nothing needs any more is left alone.
    fn lookup_at(&self, connection: &Connection, now: Now) -> Option<Mono> {
        if !connection.needed() {
            return None;
        }
        let nothing_else = connection.cancels.is_empty()
            && connection.polls.is_empty()
            && !self.may_submit(connection);
        let outage = connection.circuit.outage().is_some();
        // A list that alone is out must not keep the others from showing that the connection works.
        if connection.lookups.yields && !nothing_else {
            return None;
        }
        match outage && nothing_else && connection.lookups.idle() {
            true => Some(now.mono),
            false => connection.lookups.next(),
        }
    }
}
