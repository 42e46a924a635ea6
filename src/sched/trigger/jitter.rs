//! A fixed offset for each occurrence of each series: the same after every restart, and never so wide that two
//! occurrences change places.

use std::time::Duration;

use jiff::Timestamp;

use super::super::id::SeriesId;
use super::super::time;
use super::hash;

/// The whole seconds by which an occurrence of a series is late on purpose: less than `jitter`, and less than the way to
/// the next occurrence.
pub(super) fn offset(
    series: &SeriesId,
    instant: Timestamp,
    next: Option<Timestamp>,
    jitter: Duration,
) -> Duration {
    let room = next.map_or(jitter, |next| jitter.min(time::between(instant, next)));
    // Up to but without the bound, also when that is no whole second.
    let bound = room.as_secs() + u64::from(room.subsec_nanos() > 0);
    let hash = hash::stable(&[
        series.schedule.as_str().as_bytes(),
        series.set.as_str().as_bytes(),
        &instant.as_nanosecond().to_le_bytes(),
    ]);
    Duration::from_secs(hash::below(hash, bound))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn late(series: &str, instant: &str, jitter: u64) -> u64 {
        let series = series.parse().unwrap();
        offset(
            &series,
            instant.parse().unwrap(),
            None,
            Duration::from_secs(jitter),
        )
        .as_secs()
    }

    #[test]
    fn the_offset_is_the_same_in_every_release() {
        assert_eq!(
            late("store-clusters/hyper", "2027-02-03T01:15:00Z", 600),
            352
        );
        assert_eq!(
            late("store-clusters/hyper", "2027-02-04T01:15:00Z", 600),
            485
        );
        assert_eq!(
            late("store-clusters/supermarket", "2027-02-03T01:15:00Z", 600),
            122
        );
    }

    #[test]
    fn offsets_are_spread_over_all_of_the_jitter() {
        let instants = (0..1000).map(|day| Timestamp::from_second(day * 86_400).unwrap());
        let series = "a/b".parse().unwrap();
        let mut seen = [0_u32; 10];
        for instant in instants {
            let late = offset(&series, instant, None, Duration::from_secs(600)).as_secs();
            seen[usize::try_from(late / 60).unwrap()] += 1;
        }
        assert!(
            seen.iter().all(|&count| (60..150).contains(&count)),
            "{seen:?}"
        );
    }

    #[test]
    fn a_near_neighbour_leaves_less_room() {
        let series = "a/b".parse().unwrap();
        let instant: Timestamp = "2027-02-03T01:15:00Z".parse().unwrap();
        let hour = Duration::from_secs(3600);
        for seconds in 1..100 {
            let next = time::later(instant, Duration::from_secs(seconds));
            assert!(offset(&series, instant, Some(next), hour).as_secs() < seconds);
        }
    }
}
