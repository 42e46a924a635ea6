//! Chance, from a seed: what may go wrong at a vendor, within what it is believed to do wrong.

use std::time::Duration;

use crate::setup::{
    hours, http_502, mins, permanent, secs, too_many, transient, unauthorized, unavailable,
    unreachable,
};
use crate::vendor::{Back, Life, Op, Passage};

/// A generator that is the same on every machine (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.roll() % n.max(1)
    }

    pub(crate) fn between(&mut self, from: u64, upto: u64) -> u64 {
        from + self.below(upto - from + 1)
    }

    /// True so many times in a hundred.
    pub(crate) fn percent(&mut self, n: u64) -> bool {
        self.below(100) < n
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize].clone()
    }

    fn time(&mut self, upto: Duration) -> Duration {
        Duration::from_millis(self.below(upto.as_millis() as u64 + 1))
    }
}

/// A vendor's bad days. Times that absence relies on are kept: what is created late is created within the time limit
/// of the request, and is listed within the lag.
#[derive(Clone, Debug)]
pub(crate) struct Chaos {
    pub(crate) dice: Dice,
    /// How many requests in a hundred do not go well.
    pub(crate) faults: u64,
    /// How many jobs in a hundred do not succeed.
    pub(crate) failures: u64,
    pub(crate) request_timeout: Duration,
    pub(crate) list_lag: Duration,
}

impl Chaos {
    pub(crate) fn passage(&mut self, op: Op) -> Passage {
        let way = Duration::from_millis(self.dice.between(20, 3000));
        if !self.dice.percent(self.faults) {
            return Passage {
                arrives: Some(way),
                back: Back::Answer(way),
            };
        }
        let unsure = self.dice.pick(&[http_502(), http_502(), unavailable()]);
        match self.dice.below(13) {
            0 | 1 => Passage::lost_request(),
            2 | 3 => Passage::lost_reply(),
            4 => Passage::late(self.dice.time(self.request_timeout)),
            5 => Passage::unsure(unsure),
            6 => Passage::unsure_but_done(unsure),
            7 => Passage::refused(unreachable()),
            8 => Passage::refused(unauthorized()),
            9 if op == Op::Submit => Passage::refused(permanent()),
            9 | 10 => Passage::refused(too_many()),
            11 => Passage::silence(),
            // So late that nobody waits for it any more.
            _ => Passage::slow(way, mins(5)),
        }
    }

    pub(crate) fn life(&mut self) -> Life {
        let dice = &mut self.dice;
        let takes = match dice.below(10) {
            0..=5 => secs(dice.between(0, 300)),
            6..=8 => mins(dice.between(1, 40)),
            _ => hours(dice.between(1, 3)),
        };
        let mut life = Life::succeeds(takes);
        if dice.percent(self.failures) {
            life = match dice.below(8) {
                0 | 1 => Life::fails(takes, permanent()),
                2 | 3 => Life::fails(takes, transient()),
                4 => Life::stopped(takes),
                5 => Life::endless(),
                6 => Life::endless().disobedient(),
                _ => Life::succeeds(takes).gone(self.dice.time(takes), self.dice.time(mins(5))),
            };
        }
        let lag = self.dice.time(self.list_lag);
        life.listed_after(lag)
    }
}
