//! The circuit of a connection: while the connection is at fault runs wait, one request at a time tries whether it
//! works again, and a whole outage is one incident.

use std::time::Duration;

use crate::sched::fault::{ConnectionFault, Fault};
use crate::sched::time::{Mono, Now, Timestamp};

/// The first pause between two tries …
const PAUSE_FIRST: Duration = Duration::from_secs(5);
/// … which grows by half each time to the longest.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// For so long after an outage submissions go one by one …
const DRAIN_FOR: Duration = Duration::from_secs(60);
/// … so far apart.
const DRAIN_EACH: Duration = Duration::from_millis(250);

/// Whether a connection may be used.
#[derive(Clone, Debug, Default)]
pub(super) struct Circuit {
    outage: Option<Outage>,
    drain_until: Option<Mono>,
    next_submit: Option<Mono>,
}

/// A connection does not work.
#[derive(Clone, Debug)]
pub(super) struct Outage {
    /// Since when.
    pub(super) since: Timestamp,
    /// What is wrong.
    pub(super) fault: Fault,
    /// Whether people were told.
    pub(super) told: bool,
    next: Mono,
    pause: Duration,
    /// The request that tries.
    probe: Option<u64>,
}

/// What an answer did to the circuit.
#[derive(Debug)]
pub(super) enum Turn {
    /// Nothing to speak of.
    None,
    /// It opened just now.
    Opened,
    /// The outage is worth telling.
    Incident,
    /// It closed; people had been told of this outage.
    Recovered(Outage),
}

impl Circuit {
    /// The outage, while there is one.
    pub(super) fn outage(&self) -> Option<&Outage> {
        self.outage.as_ref()
    }

    /// Whether a request may leave now.
    pub(super) fn lets_through(&self, now: Mono) -> bool {
        match &self.outage {
            None => true,
            Some(outage) => outage.probe.is_none() && now >= outage.next,
        }
    }

    /// Whether a submission may leave now.
    pub(super) fn lets_submit(&self, now: Mono) -> bool {
        self.lets_through(now) && self.next_submit.is_none_or(|next| now >= next)
    }

    /// When a request that could leave at `at` may leave; `None` until the one that tries is answered.
    pub(super) fn opens_at(&self, at: Mono) -> Option<Mono> {
        match &self.outage {
            None => Some(at),
            Some(outage) if outage.probe.is_some() => None,
            Some(outage) => Some(at.max(outage.next)),
        }
    }

    /// From when a submission may leave, outages aside.
    pub(super) fn submit_at(&self, now: Mono) -> Mono {
        self.next_submit.map_or(now, |next| next.max(now))
    }

    /// What was wrong may have been mended: the next request tries at once.
    pub(super) fn try_at_once(&mut self, now: Mono) {
        if let Some(outage) = &mut self.outage {
            (outage.next, outage.pause) = (now, PAUSE_FIRST);
        }
    }

    /// A request leaves.
    pub(super) fn sent(&mut self, sequence: u64, submission: bool, now: Mono) {
        if let Some(outage) = &mut self.outage {
            outage.probe = Some(sequence);
        }
        let draining = self.drain_until.is_some_and(|until| now < until);
        if submission {
            self.next_submit = draining.then(|| now.plus(DRAIN_EACH));
        }
    }

    /// An answer came that speaks of the connection: `fault` is what is wrong with it, if anything.
    pub(super) fn heard(&mut self, sequence: u64, fault: Option<&Fault>, now: Now) -> Turn {
        match (fault, &mut self.outage) {
            (None, None) => Turn::None,
            (None, Some(_)) => self.close(now),
            (Some(fault), None) => {
                // A refused credential does not mend itself: told at once. Anything else may be a hiccup.
                let told = fault.connection() == Some(ConnectionFault::Unauthorized);
                self.outage = Some(Outage {
                    since: now.wall,
                    fault: fault.clone(),
                    told,
                    next: now.mono.plus(PAUSE_FIRST),
                    pause: PAUSE_FIRST,
                    probe: None,
                });
                if told { Turn::Incident } else { Turn::Opened }
            }
            (Some(fault), Some(outage)) if outage.probe == Some(sequence) => {
                outage.probe = None;
                outage.fault = fault.clone();
                outage.pause = longer(outage.pause);
                let pause = outage.pause.max(fault.retry_after.unwrap_or_default());
                outage.next = now.mono.plus(pause);
                match std::mem::replace(&mut outage.told, true) {
                    true => Turn::None,
                    false => Turn::Incident,
                }
            }
            // On its way when the circuit opened.
            (Some(_), Some(_)) => Turn::None,
        }
    }

    /// The request that tries will not be answered in a way that speaks of the connection.
    pub(super) fn unheard(&mut self, sequence: u64, now: Mono) {
        if let Some(outage) = &mut self.outage
            && outage.probe == Some(sequence)
        {
            outage.probe = None;
            outage.pause = longer(outage.pause);
            outage.next = now.plus(outage.pause);
        }
    }

    fn close(&mut self, now: Now) -> Turn {
        self.drain_until = Some(now.mono.plus(DRAIN_FOR));
        match self.outage.take() {
            Some(outage) if outage.told => Turn::Recovered(outage),
            _ => Turn::None,
        }
    }
}

fn longer(pause: Duration) -> Duration {
    (pause.saturating_mul(3) / 2).min(PAUSE_MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sched::fault::FaultClass;

    fn now(secs: u64) -> Now {
        Now {
            wall: Timestamp::from_second(1_800_000_000 + secs as i64).unwrap(),
            mono: Mono(0).plus(Duration::from_secs(secs)),
        }
    }

    fn fault(kind: ConnectionFault) -> Fault {
        Fault::new(FaultClass::Connection(kind), "x", "y")
    }

    #[test]
    fn one_request_at_a_time_tries_and_the_outage_is_told_once() {
        let down = fault(ConnectionFault::Unreachable);
        let mut circuit = Circuit::default();
        assert!(matches!(
            circuit.heard(1, Some(&down), now(0)),
            Turn::Opened
        ));
        assert!(!circuit.lets_through(now(4).mono));
        assert!(circuit.lets_through(now(5).mono));
        circuit.sent(2, false, now(5).mono);
        assert!(!circuit.lets_through(now(600).mono));
        assert!(
            matches!(circuit.heard(9, Some(&down), now(5)), Turn::None),
            "an old one"
        );
        assert!(matches!(
            circuit.heard(2, Some(&down), now(6)),
            Turn::Incident
        ));
        circuit.sent(3, false, now(16).mono);
        assert!(matches!(circuit.heard(3, Some(&down), now(16)), Turn::None));
        circuit.sent(4, false, now(60).mono);
        assert!(matches!(
            circuit.heard(4, None, now(60)),
            Turn::Recovered(_)
        ));
        assert!(circuit.lets_submit(now(60).mono));
    }

    #[test]
    fn a_hiccup_is_not_told_and_a_refused_credential_is_told_at_once() {
        let mut circuit = Circuit::default();
        circuit.heard(1, Some(&fault(ConnectionFault::Unavailable)), now(0));
        assert!(matches!(circuit.heard(2, None, now(1)), Turn::None));
        let turn = circuit.heard(3, Some(&fault(ConnectionFault::Unauthorized)), now(2));
        assert!(matches!(turn, Turn::Incident));
    }

    #[test]
    fn after_an_outage_submissions_go_one_by_one() {
        let mut circuit = Circuit::default();
        circuit.heard(1, Some(&fault(ConnectionFault::Unavailable)), now(0));
        circuit.heard(2, None, now(10));
        circuit.sent(3, true, now(10).mono);
        assert!(!circuit.lets_submit(now(10).mono) && circuit.lets_through(now(10).mono));
        assert!(circuit.lets_submit(now(11).mono));
        circuit.sent(4, true, now(100).mono);
        assert!(circuit.lets_submit(now(100).mono));
    }
}
