//! A period in elapsed time, anchored to the epoch: neither a restart nor a clock change moves it.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::civil::{self, Bounds};
use super::place::instant_of;
use super::zone::{Span, timestamp};
use super::{Fold, Occurrence, Shape};

/// The first multiple of `period` seconds after `t` within the bounds.
pub(super) fn after(
    period: i64,
    bounds: &Bounds,
    zone: &TimeZone,
    t: Timestamp,
) -> Option<Occurrence> {
    let mut after = civil::whole_seconds(t);
    if let Some(from) = bounds.from {
        after = after.max(instant_of(zone, from) - 1);
    }
    // Each turn but the last passes an excluded date, or its second showing.
    loop {
        let instant = after.checked_add(period)?.div_euclid(period) * period;
        let placed = Timestamp::from_second(instant).ok()?;
        if bounds
            .until
            .is_some_and(|until| instant >= instant_of(zone, until))
        {
            return None;
        }
        let span = Span::at(zone, instant);
        let wall = instant + span.offset;
        let civil = civil::datetime(wall)?;
        if !bounds.excludes(civil.date()) {
            let second = wall < span.shown_before(zone);
            return Some(Occurrence {
                instant: placed,
                civil,
                fold: if second { Fold::Second } else { Fold::First },
                shape: Shape::Plain,
                clock_like: false,
            });
        }
        // On to the next date, or to the next change of the clock when that comes first.
        let tomorrow = (wall.div_euclid(civil::DAY) + 1) * civil::DAY;
        let day_end = tomorrow.min(span.civil_end()) - span.offset;
        after = day_end - 1;
        debug_assert!(timestamp(after) >= placed, "an excluded date is passed");
    }
}
