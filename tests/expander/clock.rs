//! The clock on the wall of a zone, watched: what it showed when. It is looked at four times a day, and where it has
//! turned in between by hours, by minutes and by seconds. That is all that is asked of the zone.
//!
//! Two turns that undo each other between two looks would be overlooked; since 1970 no zone has turned its clock twice
//! within a week.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// How long it is left alone: ever shorter, until the turn is found.
const LOOKS: [i64; 4] = [6 * 3600, 3600, 60, 1];

/// Real time in which the clock ran evenly. All in seconds; wall times are seconds as if they were UTC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Even {
    /// The first instant.
    pub(crate) start: i64,
    /// The first instant after it.
    pub(crate) end: i64,
    /// What the clock shows, less the instant.
    pub(crate) ahead: i64,
}

impl Even {
    /// What the clock shows first.
    pub(crate) fn shows(&self) -> i64 {
        self.start + self.ahead
    }

    /// The first wall time that it does not reach.
    pub(crate) fn shows_until(&self) -> i64 {
        self.end + self.ahead
    }

    /// Whether the clock shows this wall time in it.
    pub(crate) fn has(&self, wall: i64) -> bool {
        (self.shows()..self.shows_until()).contains(&wall)
    }
}

/// What the clock showed in a window: pieces of even time, without holes between them.
#[derive(Clone, Debug)]
pub(crate) struct Clock(pub(crate) Vec<Even>);

impl Clock {
    /// Watches from an instant up to but without another.
    pub(crate) fn watch(zone: &TimeZone, from: i64, end: i64) -> Self {
        let ahead = |t: i64| {
            let t = Timestamp::from_second(t).expect("within the calendar");
            i64::from(zone.to_offset(t).seconds())
        };
        let mut pieces = Vec::new();
        let mut start = from;
        while start < end {
            let ahead_at_start = ahead(start);
            let mut last = start;
            for step in LOOKS {
                while last < end && ahead(last + step) == ahead_at_start {
                    last += step;
                }
            }
            let piece = Even {
                start,
                end: end.min(last + 1),
                ahead: ahead_at_start,
            };
            pieces.push(piece);
            start = piece.end;
        }
        Self(pieces)
    }

    /// The first instant at which the clock shows this wall time or a later one.
    pub(crate) fn first_showing(&self, wall: i64) -> Option<i64> {
        let piece = self.0.iter().find(|piece| piece.shows_until() > wall)?;
        Some(wall.max(piece.shows()) - piece.ahead)
    }
}
