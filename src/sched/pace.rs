//! How fast a host may be asked: one budget for all connections of a host, shared fairly by four kinds of requests.
//!
//! Invariants: in any 60 s at most `requests_per_minute` requests leave; after the host said "too many" none leaves
//! until the pause is over; each kind with waiting work gets at least a tenth of what leaves.

use std::time::Duration;

use super::time::Mono;

/// The kinds of requests, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Stop a job.
    Cancel,
    /// Read the job list.
    Lookup,
    /// Create a job.
    Submit,
    /// Ask how a job stands.
    Poll,
}

impl Class {
    /// All kinds, most urgent first.
    pub const ALL: [Self; 4] = [Self::Cancel, Self::Lookup, Self::Submit, Self::Poll];
}

/// A kind that was passed over so often is served next. Three kinds can be starved at once, so each gets its turn
/// within ten.
const PATIENCE: u32 = 7;
/// The first pause after "too many" …
const PAUSE_FIRST: Duration = Duration::from_secs(60);
/// … and the longest.
const PAUSE_MAX: Duration = Duration::from_secs(15 * 60);
/// How much of the budget is there after a pause …
const RECOVERY_FIRST: f64 = 0.25;
/// … and how long each doubling takes until it is whole again.
const RECOVERY_STEP: Duration = Duration::from_secs(60);

/// The request budget of one host: a bucket that holds a quarter of the budget and is refilled with the other three
/// quarters evenly over a minute, so that a burst and the refill after it never exceed the budget in any 60 s.
#[derive(Clone, Debug)]
pub struct Pace {
    capacity: f64,
    per_second: f64,
    tokens: f64,
    at: Mono,
    passed_over: [u32; 4],
    pause: Option<Pause>,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Mono,
    length: Duration,
    /// Pauses in a row.
    times: u32,
}

impl Pace {
    /// A full budget of so many requests a minute; less than one counts as one.
    pub fn new(requests_per_minute: u32, now: Mono) -> Self {
        let (capacity, per_second) = bucket(requests_per_minute);
        Self {
            capacity,
            per_second,
            tokens: capacity,
            at: now,
            passed_over: [0; 4],
            pause: None,
        }
    }

    /// Another budget from now on. What was saved up counts as far as it fits into the smaller of both; a pause goes on.
    pub fn change(&mut self, requests_per_minute: u32, now: Mono) {
        let (capacity, per_second) = bucket(requests_per_minute);
        if (capacity, per_second) == (self.capacity, self.per_second) {
            return;
        }
        self.refill(now);
        (self.capacity, self.per_second) = (capacity, per_second);
        self.tokens = self.tokens.min(capacity);
    }

    /// Takes one request for the kind whose turn it is, of those that wait; `None` when nothing waits or the budget is
    /// used up.
    pub fn take(&mut self, waiting: [bool; 4], now: Mono) -> Option<Class> {
        self.refill(now);
        if !self.open(now) || self.tokens < 1.0 {
            return None;
        }
        let waits = |class: &Class| waiting[*class as usize];
        let starved = Class::ALL
            .into_iter()
            .filter(waits)
            .find(|class| self.passed_over[*class as usize] >= PATIENCE);
        let class = starved.or_else(|| Class::ALL.into_iter().find(waits))?;
        for other in Class::ALL {
            let count = &mut self.passed_over[other as usize];
            *count = match waiting[other as usize] && other != class {
                true => *count + 1,
                false => 0,
            };
        }
        self.tokens -= 1.0;
        Some(class)
    }

    /// When the next request may leave, if one waits; not later than needed, so asking again is harmless.
    pub fn next(&self, now: Mono) -> Mono {
        let from = self.pause.map_or(now, |p| p.until.max(now));
        let missing = (1.0 - self.tokens_at(from)).max(0.0);
        let wait = missing / self.rate(from);
        from.plus(Duration::try_from_secs_f64(wait + 1e-6).unwrap_or(PAUSE_MAX))
    }

    /// The host said "too many": nothing leaves for a minute, twice as long each time in a row, or for as long as the
    /// host asks. Answers to requests that were on their way when the pause began do not lengthen it. Gives back how
    /// many pauses there were in a row when a new one begins.
    pub fn too_many(&mut self, retry_after: Option<Duration>, now: Mono) -> Option<u32> {
        self.refill(now);
        let length = match self.pause {
            Some(pause) if now < pause.until => {
                let asked = now.plus(retry_after.unwrap_or_default());
                self.pause = Some(Pause {
                    until: pause.until.max(asked),
                    ..pause
                });
                return None;
            }
            Some(pause) => pause.length.saturating_mul(2).min(PAUSE_MAX),
            None => PAUSE_FIRST,
        };
        let times = self.pause.map_or(1, |p| p.times + 1);
        self.pause = Some(Pause {
            until: now.plus(length.max(retry_after.unwrap_or_default())),
            length,
            times,
        });
        // Nothing leaves for a minute at least, so one may leave when it is over.
        self.tokens = 1.0;
        Some(times)
    }

    /// How many requests may leave at once now, and the most that ever may; none while the host pauses.
    pub fn left(&self, now: Mono) -> (f64, f64) {
        let left = if self.open(now) {
            self.tokens_at(now)
        } else {
            0.0
        };
        (left, self.capacity)
    }

    /// Until when the host pauses, when it does.
    pub fn paused_until(&self, now: Mono) -> Option<Mono> {
        self.pause.map(|p| p.until).filter(|until| now < *until)
    }

    fn open(&self, now: Mono) -> bool {
        self.paused_until(now).is_none()
    }

    fn refill(&mut self, now: Mono) {
        self.tokens = self.tokens_at(now);
        self.at = self.at.max(now);
        // Whole again: the pause is forgotten.
        if self.pause.is_some_and(|p| now >= p.until) && self.share(now) >= 1.0 {
            self.pause = None;
        }
    }

    fn tokens_at(&self, now: Mono) -> f64 {
        let from = self.pause.map_or(self.at, |p| p.until.max(self.at));
        let gained = now.since(from).as_secs_f64() * self.rate(now);
        (self.tokens + gained).min((self.capacity * self.share(now)).max(1.0).max(self.tokens))
    }

    fn rate(&self, now: Mono) -> f64 {
        self.per_second * self.share(now)
    }

    /// Which share of the budget is there: after a pause it comes back step by step.
    fn share(&self, now: Mono) -> f64 {
        let Some(pause) = self.pause else { return 1.0 };
        let steps = now.since(pause.until).as_secs() / RECOVERY_STEP.as_secs();
        (RECOVERY_FIRST * 2f64.powi(steps.min(8) as i32)).min(1.0)
    }
}

/// How many requests may leave at once, and how many a second follow.
fn bucket(requests_per_minute: u32) -> (f64, f64) {
    let budget = f64::from(requests_per_minute.max(1));
    let capacity = (budget / 4.0).floor().max(1.0);
    // A budget of one a minute: one, then one after a minute.
    let per_minute = (budget - capacity).max(1.0);
    (capacity, per_minute / 60.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ZERO: Mono = Mono(0);
    fn at(ms: u64) -> Mono {
        ZERO.plus(Duration::from_millis(ms))
    }

    #[test]
    fn what_is_left_is_what_may_leave_at_once() {
        let mut pace = Pace::new(60, ZERO);
        assert_eq!(pace.left(ZERO), (15.0, 15.0));
        for _ in 0..10 {
            pace.take([false, false, false, true], ZERO).unwrap();
        }
        assert_eq!(pace.left(ZERO), (5.0, 15.0));
        // Three quarters of sixty in a minute.
        assert_eq!(pace.left(at(4000)), (8.0, 15.0));
        pace.too_many(None, at(4000));
        assert_eq!(pace.left(at(5000)), (0.0, 15.0));
    }

    /// All requests that leave when polls always wait, in milliseconds.
    fn greedy(pace: &mut Pace, until_ms: u64) -> Vec<u64> {
        let mut sent = Vec::new();
        let mut now = ZERO;
        while now < at(until_ms) {
            while pace.take([false, false, false, true], now).is_some() {
                sent.push(now.since(ZERO).as_millis() as u64);
            }
            now = pace.next(now);
        }
        sent
    }

    #[test]
    fn no_minute_ever_sees_more_than_the_budget() {
        for budget in [1, 2, 3, 10, 60, 120, 1000] {
            let sent = greedy(&mut Pace::new(budget, ZERO), 600_000);
            for (i, start) in sent.iter().enumerate() {
                let within = sent[i..]
                    .iter()
                    .take_while(|t| **t < start + 60_000)
                    .count();
                assert!(
                    within <= budget as usize,
                    "{within} of {budget} from {start} ms"
                );
            }
            assert!(!sent.is_empty());
        }
    }

    #[test]
    fn the_budget_is_used_and_not_wasted() {
        let sent = greedy(&mut Pace::new(120, ZERO), 600_000);
        assert!(sent.len() >= 120 * 10 * 3 / 4, "{}", sent.len());
        assert_eq!(sent.iter().filter(|t| **t == 0).count(), 30);
    }

    #[test]
    fn the_most_urgent_goes_first_and_each_kind_gets_a_tenth() {
        let mut pace = Pace::new(1_000_000, ZERO);
        let order: Vec<Class> = (0..1000)
            .map(|_| pace.take([true; 4], ZERO).unwrap())
            .collect();
        assert_eq!(order[0], Class::Cancel);
        for class in Class::ALL {
            let share = order.iter().filter(|c| **c == class).count();
            assert!(share >= 100, "{class:?}: {share}");
        }
    }

    #[test]
    fn too_many_pauses_the_host_longer_each_time_and_recovers_step_by_step() {
        let mut pace = Pace::new(60, ZERO);
        let poll = [false, false, false, true];
        assert_eq!(pace.too_many(None, ZERO), Some(1));
        assert_eq!(pace.take(poll, at(59_999)), None);
        assert_eq!(pace.next(ZERO).max(at(60_000)), pace.next(ZERO));
        assert!(pace.take(poll, at(60_001)).is_some());
        // the second in a row
        assert_eq!(pace.too_many(None, at(60_002)), Some(2));
        assert_eq!(pace.take(poll, at(60_002 + 119_000)), None);
        // one that was on its way
        assert_eq!(pace.too_many(None, at(60_003)), None);
        let over = pace.next(at(60_002 + 120_000));
        assert!(pace.take(poll, over).is_some());
        // whole again after a while, and the next pause is short
        let late = at(60_002 + 120_000 + 10 * 60_000);
        assert!(pace.take(poll, late).is_some());
        assert_eq!(pace.too_many(None, late), Some(1));
    }

    #[test]
    fn the_host_may_ask_for_more_time() {
        let mut pace = Pace::new(60, ZERO);
        pace.too_many(Some(Duration::from_secs(300)), ZERO);
        assert_eq!(pace.paused_until(at(299_000)), Some(at(300_000)));
        assert!(pace.take([true; 4], at(299_000)).is_none());
    }

    #[test]
    fn another_budget_holds_at_once_and_gives_nothing_away() {
        let mut pace = Pace::new(240, ZERO);
        pace.change(20, ZERO);
        let sent = greedy(&mut pace, 120_000);
        assert!(
            sent.iter().filter(|t| **t < 60_000).count() <= 20,
            "{sent:?}"
        );
        let used_up = |budget| {
            let mut pace = Pace::new(240, ZERO);
            while pace.take([true; 4], ZERO).is_some() {}
            pace.change(budget, ZERO);
            pace.take([true; 4], ZERO)
        };
        assert_eq!((used_up(1000), used_up(20)), (None, None));
    }
}
