//! A zone as what it is for us: spans of constant offset, and the changes between them.
//!
//! All times are whole seconds: instants since the epoch, and civil seconds (see `civil.rs`), which are an instant
//! plus the offset.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::civil::{DAY, whole_seconds};

/// No change of a zone turns the clock by more than a day and a bit. Spans farther away than this from a change cannot
/// show the same wall times.
pub(super) const REACH: i64 = 2 * DAY;

/// A span of constant offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The first instant; `None` when there is no change before.
    pub(super) start: Option<i64>,
    /// The first instant after it; `None` when there is no change after.
    pub(super) end: Option<i64>,
    /// Civil seconds minus instant.
    pub(super) offset: i64,
}

impl Span {
    /// The span that holds an instant.
    pub(super) fn at(zone: &TimeZone, instant: i64) -> Self {
        let t = timestamp(instant);
        // A change at this very instant begins the span, hence one second more.
        let before = zone.preceding(timestamp(instant.saturating_add(1))).next();
        let after = zone.following(t).next();
        Self {
            start: before.map(|change| whole_seconds(change.timestamp())),
            end: after.map(|change| whole_seconds(change.timestamp())),
            offset: i64::from(zone.to_offset(t).seconds()),
        }
    }

    /// The span after it.
    pub(super) fn next(self, zone: &TimeZone) -> Option<Self> {
        self.end.map(|end| Self::at(zone, end))
    }

    fn previous(self, zone: &TimeZone) -> Option<Self> {
        self.start.map(|start| Self::at(zone, start - 1))
    }

    /// The first wall time that it shows.
    pub(super) fn civil_start(self) -> i64 {
        self.start.map_or(i64::MIN, |start| start + self.offset)
    }

    /// The first wall time that it does not reach.
    pub(super) fn civil_end(self) -> i64 {
        self.end.map_or(i64::MAX, |end| end + self.offset)
    }

    /// The first wall time that no span before has shown: where its repeated hour ends, when it begins with one, and
    /// the beginning of the gap before it, when it begins after one.
    pub(super) fn shown_before(self, zone: &TimeZone) -> i64 {
        let mut shown = i64::MIN;
        let mut span = self;
        while let (Some(start), Some(own)) = (span.start, self.start)
            && start > own - REACH
            && let Some(previous) = span.previous(zone)
        {
            shown = shown.max(previous.civil_end());
            span = previous;
        }
        shown
    }

    /// The first wall time that a span after it shows: where the hour that will be repeated begins.
    pub(super) fn shown_after(self, zone: &TimeZone) -> i64 {
        let mut shown = i64::MAX;
        let mut span = self;
        while let (Some(end), Some(own)) = (span.end, self.end)
            && end < own + REACH
            && let Some(next) = span.next(zone)
        {
            shown = shown.min(next.civil_start());
            span = next;
        }
        shown
    }
}

/// The instant; outside the calendar its nearest end.
pub(super) fn timestamp(instant: i64) -> Timestamp {
    let within = instant.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(within).unwrap_or(Timestamp::MAX)
}
