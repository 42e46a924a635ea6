//! What to do when the series is busy. Judged once, when the occurrence is decided.

use crate::sched::outcome::SkipReason;

/// What a series may do with a second run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum OverlapPolicy {
    /// The new one is skipped.
    #[default]
    Skip,
    /// One may wait; a second one that would wait is skipped.
    BufferOne,
    /// The old one is cancelled; the new one waits until the stop is confirmed.
    CancelOther,
    /// All run at once.
    AllowAll,
}

/// How busy a series is at the moment of the decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Busy {
    /// Runs that were handed to the vendor or may have been.
    pub started: usize,
    /// Runs that wait for their turn.
    pub waiting: usize,
    /// The end of the last run is unknown and its job may live.
    pub occupied: bool,
}

/// What becomes of the new run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is planned and may start at once.
    Run,
    /// It is planned and waits until the series is free.
    Wait,
    /// It is planned, the others are cancelled, and it waits until they are gone.
    CancelOthers,
    /// It is passed over.
    Skip(SkipReason),
}

impl OverlapPolicy {
    /// Every policy with the configuration's word.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Skip, "skip"),
        (Self::BufferOne, "buffer_one"),
        (Self::CancelOther, "cancel_other"),
        (Self::AllowAll, "allow_all"),
    ];

    /// The configuration's word.
    pub fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(p, _)| *p == self)
            .map_or("skip", |(_, w)| w)
    }

    /// What becomes of a new run of a series that is this busy.
    pub fn decide(self, busy: Busy) -> Verdict {
        let live = busy.started + busy.waiting;
        match self {
            Self::AllowAll => Verdict::Run,
            _ if live == 0 && !busy.occupied => Verdict::Run,
            Self::Skip if live == 0 => Verdict::Skip(SkipReason::PredecessorUnknown),
            Self::Skip => Verdict::Skip(SkipReason::Busy),
            Self::BufferOne if busy.waiting > 0 => Verdict::Skip(SkipReason::BufferFull),
            Self::BufferOne => Verdict::Wait,
            Self::CancelOther if live == 0 => Verdict::Wait,
            Self::CancelOther => Verdict::CancelOthers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(started: usize, waiting: usize, occupied: bool) -> Busy {
        Busy {
            started,
            waiting,
            occupied,
        }
    }

    #[test]
    fn a_free_series_runs_under_every_policy() {
        for (policy, _) in OverlapPolicy::ALL {
            assert_eq!(policy.decide(Busy::default()), Verdict::Run);
        }
    }

    #[test]
    fn a_busy_series_follows_its_policy() {
        use {OverlapPolicy as P, SkipReason as R, Verdict as V};
        let table = [
            (P::Skip, busy(1, 0, false), V::Skip(R::Busy)),
            (P::Skip, busy(0, 1, false), V::Skip(R::Busy)),
            (P::Skip, busy(0, 0, true), V::Skip(R::PredecessorUnknown)),
            (P::BufferOne, busy(1, 0, false), V::Wait),
            (P::BufferOne, busy(1, 1, false), V::Skip(R::BufferFull)),
            (P::BufferOne, busy(0, 0, true), V::Wait),
            (P::CancelOther, busy(1, 0, false), V::CancelOthers),
            (P::CancelOther, busy(0, 1, false), V::CancelOthers),
            (P::CancelOther, busy(0, 0, true), V::Wait),
            (P::AllowAll, busy(3, 2, true), V::Run),
        ];
        for (policy, busy, verdict) in table {
            assert_eq!(policy.decide(busy), verdict, "{policy:?} {busy:?}");
        }
    }
}
