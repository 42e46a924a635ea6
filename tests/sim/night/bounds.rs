//! Within which time everything comes to its end once nothing goes wrong any more.

use std::time::Duration;

use nightcall::sched::schedule::{ConnectionLimits, Definition};

use super::plan::Night;
use crate::setup::{mins, secs};

/// From the moment of calm on, every run that was planned by then is finished within this time.
///
/// A run first waits for its turn: until its due time and then at most its start deadline, after which it ends unsent.
/// Beyond that the first request may find the host paused (at most 15 min) and the circuit open (at most one minute
/// between tries). Each attempt then takes at most
///
/// - what its own questions take that were asked before the calm: an answer is given up after three time limits and a
///   minute,
/// - the time in doubt: `give_up`, or the settle time and one more look when that is longer; the list is asked for once
///   in 10 s,
/// - its time limit and `cancel_grace`, each seen with the next answer: the longest poll pause, a time limit of the
///   request, and what the budget makes it wait,
/// - the pause after it: `max_backoff`, a minute after slow faults, an hour after a quota; and then its turn again, at
///   most a start deadline.
///
/// Faults of the connection use up no attempt, but there are none in a calm, so attempts are as many as the policy has,
/// and one for that which the calm found on its way.
pub(super) fn calm_within(night: &Night) -> Duration {
    let longest = |of: fn(&Definition, &ConnectionLimits) -> Duration| {
        let each = night.definitions.iter().flat_map(|d| {
            let on = night.connections.iter().filter(|c| c.name == d.connection);
            on.map(move |c| of(d, c))
        });
        each.max().unwrap_or_default()
    };
    let waits = longest(|d, _| d.trigger.jitter + d.start_deadline);
    let attempts = night.definitions.iter().map(|d| d.policies.retry.attempts);
    let attempts = attempts.max().unwrap_or(1) + 1;
    mins(16) + waits + longest(attempt) * attempts
}

/// The longest that one attempt takes, the pause after it included.
fn attempt(d: &Definition, c: &ConnectionLimits) -> Duration {
    let answer = c.request_timeout * 3 + secs(60);
    let settled = c.request_timeout + c.list_lag + secs(12);
    let doubt = c.give_up.max(settled) + secs(20) + answer;
    let seen = c.poll.max + answer;
    let pause = d.policies.retry.max_backoff.max(mins(60)) + d.start_deadline;
    // With twenty requests a minute for fifty jobs each waits its turn for some minutes.
    let budget = mins(5);
    answer + doubt + d.timeout + seen + d.cancel_grace + seen + budget + pause
}
