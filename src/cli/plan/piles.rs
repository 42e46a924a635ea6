//! Minutes in which more occurrences are due than a connection may run, or a host may be asked, at once.

use std::collections::HashMap;

use crate::sched::id::ConnectionName;
use crate::sched::schedule::ConnectionLimits;
use crate::sched::scheduler::host_of;
use crate::sched::time::Timestamp;

/// So many minutes of all connections together are counted; with more the later ones are left out.
const CELLS: usize = 4_000_000;

/// Which limit a minute is above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// Runs that may be with the vendor at once.
    InFlight,
    /// Requests to the host in any 60 s.
    Requests,
}

impl Limit {
    /// The key of the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::InFlight => "max_in_flight",
            Self::Requests => "requests_per_minute",
        }
    }
}

/// A minute in which more is due than may start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PileUp {
    /// When it begins.
    pub minute: Timestamp,
    /// The connection; of several that share the budget of a host, the first.
    pub connection: ConnectionName,
    /// Which limit.
    pub limit: Limit,
    /// So many are due.
    pub due: u32,
    /// So many would have been due without the change.
    pub before: u32,
    /// So many are allowed.
    pub allowed: u32,
}

impl PileUp {
    /// Whether the change makes it, or makes it worse.
    pub fn grows(&self) -> bool {
        self.due > self.before
    }
}

/// Counts what is due in each minute of each connection.
pub struct Piles<'c> {
    connections: &'c [ConnectionLimits],
    index: HashMap<&'c str, usize>,
    /// The first minute, counted from the epoch.
    first: i64,
    minutes: usize,
    /// Before and after, by connection and minute.
    due: Vec<[u32; 2]>,
    /// Whether the end of the span is left out.
    left_out: bool,
}

impl<'c> Piles<'c> {
    /// For these connections in (from, until].
    pub fn new(connections: &'c [ConnectionLimits], from: Timestamp, until: Timestamp) -> Self {
        let first = minute(from);
        let wanted = usize::try_from(minute(until) - first + 1).unwrap_or(0);
        let minutes = wanted.min(CELLS / connections.len().max(1));
        let named = connections.iter().enumerate();
        Self {
            connections,
            index: named.map(|(i, c)| (c.name.as_str(), i)).collect(),
            first,
            minutes,
            due: vec![[0; 2]; minutes * connections.len()],
            left_out: minutes < wanted,
        }
    }

    /// Up to when minutes are counted, when the end of the span is not.
    pub fn until(&self) -> Option<Timestamp> {
        self.left_out.then(|| self.time(self.minutes))
    }

    /// The place of a connection; `None` when the new configuration does not have it.
    pub fn place(&self, connection: &ConnectionName) -> Option<usize> {
        self.index.get(connection.as_str()).copied()
    }

    /// An occurrence is due at a connection, before the change or after it.
    pub fn count(&mut self, place: usize, due: Timestamp, after: bool) {
        let minute = usize::try_from(minute(due) - self.first).ok();
        if let Some(minute) = minute.filter(|minute| *minute < self.minutes) {
            let cell = &mut self.due[place * self.minutes + minute][usize::from(after)];
            *cell = cell.saturating_add(1);
        }
    }

    /// All minutes above a limit, by time. Of a minute that is above both limits of a connection, the narrower is told.
    pub fn above(&self) -> Vec<PileUp> {
        let mut found = Vec::new();
        for of_host in self.hosts() {
            for minute in 0..self.minutes {
                self.look(&of_host, minute, &mut found);
            }
        }
        found.sort_by(|a, b| {
            let key = |p: &PileUp| (p.minute, p.connection.clone(), p.limit);
            key(a).cmp(&key(b))
        });
        found
    }

    /// The connections of each host.
    fn hosts(&self) -> Vec<Vec<usize>> {
        let mut hosts: Vec<(&str, Vec<usize>)> = Vec::new();
        for (place, limits) in self.connections.iter().enumerate() {
            let name = host_of(&limits.target.base_url);
            match hosts.iter_mut().find(|(host, _)| *host == name) {
                Some((_, of_host)) => of_host.push(place),
                None => hosts.push((name, vec![place])),
            }
        }
        hosts.into_iter().map(|(_, of_host)| of_host).collect()
    }

    fn look(&self, of_host: &[usize], minute: usize, found: &mut Vec<PileUp>) {
        let cell = |place: usize| self.due[place * self.minutes + minute];
        let sum = |side: usize| {
            let each = of_host.iter().map(|place| cell(*place)[side]);
            each.fold(0, u32::saturating_add)
        };
        let mut add = |place: usize, limit: Limit, [before, due]: [u32; 2], allowed: u32| {
            if due > allowed {
                found.push(PileUp {
                    minute: self.time(minute),
                    connection: self.connections[place].name.clone(),
                    limit,
                    due,
                    before,
                    allowed,
                });
            }
        };
        let Some(first) = of_host.first() else { return };
        let budget = self.connections[*first].requests_per_minute;
        let alone = of_host.len() == 1;
        for place in of_host {
            let allowed = self.connections[*place].max_in_flight;
            if !alone || allowed < budget {
                add(*place, Limit::InFlight, cell(*place), allowed);
            }
        }
        if !alone || budget <= self.connections[*first].max_in_flight {
            add(*first, Limit::Requests, [sum(0), sum(1)], budget);
        }
    }

    fn time(&self, minute: usize) -> Timestamp {
        let minute = self.first + i64::try_from(minute).unwrap_or(0);
        Timestamp::from_second(minute * 60).unwrap_or(Timestamp::MAX)
    }
}

/// The minute that a time is in, counted from the epoch.
fn minute(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sched::call::Target;
    use crate::sched::schedule::PollPlan;
    use std::time::Duration;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_770_076_800 + second).unwrap()
    }

    fn connection(name: &str, host: &str, max_in_flight: u32, budget: u32) -> ConnectionLimits {
        ConnectionLimits {
            name: ConnectionName::new(name).unwrap(),
            target: Target {
                base_url: format!("https://{host}.example.com").into(),
                connection: name.into(),
            },
            requests_per_minute: budget,
            max_in_flight,
            poll: PollPlan {
                first: Duration::from_secs(2),
                factor: 1.5,
                max: Duration::from_secs(30),
            },
            request_timeout: Duration::from_secs(30),
            list_lag: Duration::from_secs(60),
            give_up: Duration::from_secs(1800),
        }
    }

    /// `place@second` each; `minute connection limit due` of what is above one.
    fn above(connections: &[ConnectionLimits], due: &[(usize, i64)]) -> Vec<String> {
        let mut piles = Piles::new(connections, at(0), at(3600));
        for (place, second) in due {
            piles.count(*place, at(*second), true);
        }
        let told = |p: &PileUp| {
            let minute = (p.minute.as_second() - at(0).as_second()) / 60;
            format!("{minute} {} {} {}", p.connection, p.limit.word(), p.due)
        };
        piles.above().iter().map(told).collect()
    }

    #[test]
    fn a_minute_is_above_a_limit_when_more_is_due_in_it() {
        let one = [connection("a", "x", 2, 60)];
        assert!(above(&one, &[(0, 0), (0, 59), (0, 60)]).is_empty());
        assert_eq!(
            above(&one, &[(0, 60), (0, 61), (0, 119), (0, 120)]),
            ["1 a max_in_flight 3"]
        );
    }

    #[test]
    fn the_narrower_limit_is_told_and_a_host_is_one_budget() {
        let narrow = [connection("a", "x", 50, 2)];
        let three = [(0, 0), (0, 1), (0, 2)];
        assert_eq!(above(&narrow, &three), ["0 a requests_per_minute 3"]);
        let shared = [connection("a", "x", 50, 2), connection("b", "x", 50, 2)];
        let both = [(0, 0), (0, 1), (1, 2)];
        assert_eq!(above(&shared, &both), ["0 a requests_per_minute 3"]);
        let apart = [connection("a", "x", 50, 2), connection("b", "y", 50, 2)];
        assert!(above(&apart, &both).is_empty());
    }

    #[test]
    fn many_connections_over_a_long_time_are_counted_for_a_part_of_it() {
        let many: Vec<ConnectionLimits> = (0..1000)
            .map(|n| connection(&format!("c{n}"), "x", 5, 5))
            .collect();
        let piles = Piles::new(&many, at(0), at(366 * 86_400));
        assert_eq!(piles.due.len(), CELLS);
        assert_eq!(piles.until(), Some(at(4000 * 60)));
    }
}
