//! The firewall: so many requests a minute from one address over all routes, then a block.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::job::later;
use super::span;

/// How many requests are let through.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Limit {
    /// From one address, in any sixty seconds.
    pub requests_per_minute: u32,
    /// How long an address is kept out after one request too many.
    #[serde(default = "a_minute", deserialize_with = "span::plain")]
    pub block: Duration,
    /// Whether a 429 says how long the block still lasts.
    #[serde(default)]
    pub retry_after: bool,
}

const MINUTE: Duration = Duration::from_secs(60);

fn a_minute() -> Duration {
    MINUTE
}

impl Limit {
    /// So many requests a minute, a block of a minute, no `Retry-After`.
    pub fn per_minute(requests: u32) -> Self {
        Self {
            requests_per_minute: requests,
            block: MINUTE,
            retry_after: false,
        }
    }
}

/// What an address has asked lately.
#[derive(Clone, Debug, Default)]
struct Address {
    /// At most as many as the limit.
    recent: VecDeque<Timestamp>,
    blocked_until: Option<Timestamp>,
}

/// What has been asked by whom.
#[derive(Clone, Debug, Default)]
pub(super) struct Limiter(HashMap<IpAddr, Address>);

impl Limiter {
    /// Counts a request. `Err` with the rest of the block when it is one too many.
    pub(super) fn admit(
        &mut self,
        limit: &Limit,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let address = self.0.entry(from).or_default();
        if let Some(until) = address.blocked_until.filter(|until| now < *until) {
            return Err(Duration::try_from(until.duration_since(now)).unwrap_or(limit.block));
        }
        address.blocked_until = None;
        while address
            .recent
            .front()
            .is_some_and(|first| later(*first, MINUTE) <= now)
        {
            address.recent.pop_front();
        }
        if address.recent.len() >= limit.requests_per_minute as usize {
            address.recent.clear();
            address.blocked_until = Some(later(now, limit.block));
            return Err(limit.block);
        }
        address.recent.push_back(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn at(seconds: u64) -> Timestamp {
        later(Timestamp::UNIX_EPOCH, Duration::from_secs(seconds))
    }

    #[test]
    fn one_request_too_many_blocks_the_address_for_a_minute() {
        let (mut limiter, limit) = (Limiter::default(), Limit::per_minute(3));
        for second in 0..3 {
            assert_eq!(limiter.admit(&limit, HERE, at(second)), Ok(()));
        }
        assert_eq!(limiter.admit(&limit, HERE, at(10)), Err(MINUTE));
        assert_eq!(
            limiter.admit(&limit, HERE, at(69)),
            Err(Duration::from_secs(1))
        );
        assert_eq!(limiter.admit(&limit, HERE, at(70)), Ok(()));
        let other = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
        assert_eq!(limiter.admit(&limit, other, at(11)), Ok(()));
    }

    #[test]
    fn a_steady_pace_within_the_limit_is_never_blocked() {
        let (mut limiter, limit) = (Limiter::default(), Limit::per_minute(6));
        for n in 0..100 {
            assert_eq!(limiter.admit(&limit, HERE, at(n * 10)), Ok(()));
        }
    }
}
