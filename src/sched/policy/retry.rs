//! Again or stop, and when.

use std::time::Duration;

use crate::sched::fault::{Fault, FaultClass};

/// The least pause after a fault that says "slowly".
const SLOW: Duration = Duration::from_secs(60);

/// How a failed attempt is followed. Attempts that failed because of the connection are not counted here: the
/// connection's circuit decides when they go on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; 1 is "none".
    pub attempts: u32,
    /// The pause after the first failed attempt.
    pub backoff: Duration,
    /// By how much the pause grows.
    pub factor: f64,
    /// The longest pause.
    pub max_backoff: Duration,
    /// By which share the pause is spread to either side, 0 to 1.
    pub jitter: f64,
    /// Whether an attempt that reached its time limit, and whose job is known to have stopped, is followed by another.
    pub on_timeout: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 3,
            backoff: Duration::from_secs(30),
            factor: 2.0,
            max_backoff: Duration::from_secs(15 * 60),
            jitter: 0.2,
            on_timeout: false,
        }
    }
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Another attempt after this pause.
    Again(Duration),
    /// No other attempt.
    Stop(Why),
}

/// Why no other attempt follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The fault fails the same way every time.
    Permanent,
    /// All attempts are used up.
    UsedUp,
    /// A fault of this kind is tried once more only.
    OnceOnly,
}

impl Why {
    /// Half a sentence for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Permanent => "not retried: it would fail the same way every time",
            Self::UsedUp => "all attempts are used up",
            Self::OnceOnly => "a fault of this kind is tried only once more",
        }
    }
}

impl RetryPolicy {
    /// What follows attempt number `failed` (from 1) that ended with `fault`. `spread` is any number that is fixed for
    /// this run and attempt; the jitter comes from it, since the heart has no randomness.
    pub fn decide(&self, failed: u32, fault: &Fault, spread: u64) -> Verdict {
        let least = match fault.class {
            FaultClass::Permanent => return Verdict::Stop(Why::Permanent),
            FaultClass::Once if failed > 1 => return Verdict::Stop(Why::OnceOnly),
            FaultClass::Slow => SLOW,
            _ => Duration::ZERO,
        };
        if failed >= self.attempts {
            return Verdict::Stop(Why::UsedUp);
        }
        let pause = self
            .pause(failed, spread)
            .max(least)
            .max(fault.retry_after.unwrap_or_default());
        Verdict::Again(pause)
    }

    /// The pause after failed attempt number `failed`, spread, never above `max_backoff`.
    fn pause(&self, failed: u32, spread: u64) -> Duration {
        let grown = self.backoff.as_secs_f64()
            * self.factor.powi(failed.saturating_sub(1).min(1000) as i32);
        // -1 to 1, from the upper bits, which a hash mixes best
        let side = (spread >> 11) as f64 / (1u64 << 52) as f64 - 1.0;
        let spread = grown * (1.0 + self.jitter * side);
        let capped = spread.min(self.max_backoff.as_secs_f64()).max(0.0);
        Duration::try_from_secs_f64(capped).unwrap_or(self.max_backoff)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn fault(class: FaultClass) -> Fault {
        Fault::new(class, "x", "y")
    }

    fn still() -> RetryPolicy {
        RetryPolicy {
            jitter: 0.0,
            attempts: 10,
            ..RetryPolicy::default()
        }
    }

    #[test]
    fn permanent_faults_are_never_retried() {
        let verdict = still().decide(1, &fault(FaultClass::Permanent), 0);
        assert_eq!(verdict, Verdict::Stop(Why::Permanent));
    }

    #[test]
    fn pauses_grow_by_the_factor_up_to_the_longest() {
        let pauses: Vec<u64> = (1..=7)
            .map(
                |n| match still().decide(n, &fault(FaultClass::Transient), 0) {
                    Verdict::Again(d) => d.as_secs(),
                    Verdict::Stop(_) => panic!("stopped at {n}"),
                },
            )
            .collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 900, 900]);
    }

    #[test]
    fn attempts_include_the_first() {
        let policy = RetryPolicy {
            attempts: 3,
            ..still()
        };
        assert!(matches!(
            policy.decide(2, &fault(FaultClass::Transient), 0),
            Verdict::Again(_)
        ));
        assert_eq!(
            policy.decide(3, &fault(FaultClass::Transient), 0),
            Verdict::Stop(Why::UsedUp)
        );
    }

    #[test]
    fn once_means_one_more() {
        assert!(matches!(
            still().decide(1, &fault(FaultClass::Once), 0),
            Verdict::Again(_)
        ));
        assert_eq!(
            still().decide(2, &fault(FaultClass::Once), 0),
            Verdict::Stop(Why::OnceOnly)
        );
    }

    #[test]
    fn slow_faults_and_retry_after_lengthen_the_pause() {
        assert_eq!(
            still().decide(1, &fault(FaultClass::Slow), 0),
            Verdict::Again(SLOW)
        );
        let mut asked = fault(FaultClass::Transient);
        asked.retry_after = Some(Duration::from_secs(200));
        assert_eq!(
            still().decide(1, &asked, 0),
            Verdict::Again(Duration::from_secs(200))
        );
    }

    #[test]
    fn jitter_stays_within_its_share_for_any_spread() {
        let policy = RetryPolicy {
            jitter: 0.2,
            ..still()
        };
        for spread in [0, 1, u64::MAX / 2, u64::MAX] {
            let Verdict::Again(d) = policy.decide(1, &fault(FaultClass::Transient), spread) else {
                panic!()
            };
            assert!((24.0..=36.0).contains(&d.as_secs_f64()), "{d:?}");
        }
    }
}
