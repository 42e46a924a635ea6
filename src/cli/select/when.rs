//! Times as people write them: `2026-02-03T02:15`, `yesterday`, `02:15`, `-2h`, RFC 3339.
//!
//! A text without an offset is civil: it is read in the zone of the schedule that it is about.

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, ToSpan, civil};

use crate::cli::exit::{Exit, Failure};
use crate::cli::words::nominal_offset;
use crate::config::duration;
use crate::sched::time::Timestamp;

/// How far from a civil time, read as UTC, its instant may lie in any zone, with some room for gaps.
const ZONES_REACH: SignedDuration = SignedDuration::from_hours(27);

/// A time as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum When {
    /// `now`, or so much later or earlier: `+3d`, `-2h`.
    Elapsed(SignedDuration),
    /// `yesterday`, `today`, `tomorrow`: a civil day, counted from today.
    Day(i8),
    /// RFC 3339 with an offset, also as it is told of times that a gap swallows.
    Instant {
        /// The instant.
        at: Timestamp,
        /// The wall time that was written.
        civil: civil::DateTime,
        /// The offset that was written.
        offset: Offset,
    },
    /// `2026-02-03`.
    Date(civil::Date),
    /// `2026-02-03T02:15`; without seconds it stands for the whole minute.
    Civil(civil::DateTime, Precision),
    /// `02:15`: the last one.
    Clock(civil::Time, Precision),
}

/// What a civil time stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precision {
    /// Its minute.
    Minute,
    /// Its second.
    Second,
}

/// Where something lies in time, to be compared with a [`When`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Its instant.
    pub(crate) instant: Timestamp,
    /// Its nominal wall time.
    pub(crate) civil: civil::DateTime,
}

impl When {
    /// Reads a time; what cannot be read is a mistake on the command line (64).
    pub(crate) fn read(text: &str) -> Result<Self, Failure> {
        parse(text.trim()).ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                format!("this is no time: {text:?}"),
                "write 2026-02-03, 2026-02-03T02:15, 02:15, 2026-02-03T01:15:00Z, now, today, yesterday, \
                 tomorrow, -2h or +3d",
            )
        })
    }

    /// The instant, as a bound of a span: a date is its first moment; of two equal wall times the first, of a missing
    /// one the instant after the gap.
    pub(crate) fn bound(&self, zone: &TimeZone, now: Timestamp) -> Result<Timestamp, Failure> {
        let out_of_range = || Failure::plain(Exit::Usage, "this time is beyond the calendar");
        match self {
            Self::Elapsed(ahead) => now.checked_add(*ahead).map_err(|_| out_of_range()),
            Self::Instant { at, .. } => Ok(*at),
            Self::Day(_) | Self::Date(_) | Self::Civil(..) => {
                let civil = match self {
                    Self::Civil(civil, _) => *civil,
                    _ => self
                        .date(zone, now)
                        .unwrap_or_default()
                        .to_datetime(civil::Time::midnight()),
                };
                let found = zone.to_ambiguous_timestamp(civil).compatible();
                found.map_err(|_| out_of_range())
            }
            Self::Clock(time, _) => Err(Failure::new(
                Exit::Usage,
                "a time of day alone says not which day",
                format!(
                    "write the date too, as in {}T{}",
                    example_date(zone, now),
                    time.strftime("%H:%M")
                ),
            )),
        }
    }

    /// The civil date that it names, when it names a whole one.
    pub(crate) fn date(&self, zone: &TimeZone, now: Timestamp) -> Option<civil::Date> {
        match self {
            Self::Date(date) => Some(*date),
            Self::Day(ahead) => {
                let today = now.to_zoned(zone.clone()).date();
                Some(today.saturating_add(i64::from(*ahead).days()))
            }
            _ => None,
        }
    }

    /// Whether it names what lies there.
    pub(crate) fn names(&self, place: Place, zone: &TimeZone, now: Timestamp) -> bool {
        match self {
            Self::Elapsed(_) => false,
            Self::Day(_) | Self::Date(_) => self.date(zone, now) == Some(place.civil.date()),
            Self::Instant { at, civil, offset } => {
                let told = nominal_offset(place.civil, place.instant, zone);
                place.instant == *at || (place.civil == *civil && told == *offset)
            }
            Self::Civil(civil, precision) => precision.cut(place.civil) == precision.cut(*civil),
            Self::Clock(time, precision) => {
                let today = place.civil.date();
                precision.cut(place.civil) == precision.cut(today.to_datetime(*time))
            }
        }
    }

    /// The instants between which everything that it names must lie, whatever the zone; `None` when it names no place.
    pub(crate) fn window(&self, zone: &TimeZone, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let (first, last) = match self {
            Self::Elapsed(_) | Self::Clock(..) => return None,
            // what a gap swallowed lies at its end, before the instant that its nominal time would be
            Self::Instant { at, .. } => {
                return Some((at.saturating_sub(ZONES_REACH).ok()?, *at));
            }
            Self::Civil(civil, _) => (*civil, *civil),
            Self::Day(_) | Self::Date(_) => {
                let date = self.date(zone, now)?;
                let next = date.saturating_add(1.day());
                let midnight = civil::Time::midnight();
                (date.to_datetime(midnight), next.to_datetime(midnight))
            }
        };
        let utc = |civil: civil::DateTime| {
            let placed = TimeZone::UTC.to_ambiguous_timestamp(civil);
            placed.compatible().ok()
        };
        Some((
            utc(first)?.saturating_sub(ZONES_REACH).ok()?,
            utc(last)?.saturating_add(ZONES_REACH).ok()?,
        ))
    }
}

impl Precision {
    fn cut(self, civil: civil::DateTime) -> civil::DateTime {
        let time = civil.time();
        let second = match self {
            Self::Minute => 0,
            Self::Second => time.second(),
        };
        civil.date().at(time.hour(), time.minute(), second, 0)
    }
}

fn example_date(zone: &TimeZone, now: Timestamp) -> civil::Date {
    now.to_zoned(zone.clone()).date()
}

fn parse(text: &str) -> Option<When> {
    match text {
        "now" => return Some(When::Elapsed(SignedDuration::ZERO)),
        "today" => return Some(When::Day(0)),
        "yesterday" => return Some(When::Day(-1)),
        "tomorrow" => return Some(When::Day(1)),
        _ => {}
    }
    if let Some(ahead) = elapsed(text) {
        return Some(When::Elapsed(ahead));
    }
    if let Some(when) = clock(text) {
        return Some(when);
    }
    let (date, rest) = text.split_at_checked(10)?;
    let date: civil::Date = date.parse().ok()?;
    if rest.is_empty() {
        return Some(When::Date(date));
    }
    let time = rest.strip_prefix(['T', 't', ' '])?;
    let offset_at = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (time, offset) = time.split_at(offset_at);
    let When::Clock(time, precision) = clock(time)? else {
        return None;
    };
    let civil = date.to_datetime(time);
    if offset.is_empty() {
        return Some(When::Civil(civil, precision));
    }
    let offset = offset_of(offset)?;
    let at = offset.to_timestamp(civil).ok()?;
    Some(When::Instant { at, civil, offset })
}

fn elapsed(text: &str) -> Option<SignedDuration> {
    let (sign, length) = match text.split_at_checked(1)? {
        ("+", length) => (1, length),
        ("-", length) => (-1, length),
        _ => return None,
    };
    let length = SignedDuration::try_from(duration::parse(length).ok()?).ok()?;
    Some(length * sign)
}

/// `02:15`, `02:15:30`, with fractions of a second.
fn clock(text: &str) -> Option<When> {
    let mut parts = text.split(':');
    let two = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !(two(parts.next()?) && two(parts.next()?)) {
        return None;
    }
    let precision = match parts.next() {
        Some(_) => Precision::Second,
        None => Precision::Minute,
    };
    // without seconds jiff wants none of its own forms mistaken for a time of day
    let time: civil::Time = match precision {
        Precision::Minute => format!("{text}:00").parse().ok()?,
        Precision::Second => text.parse().ok()?,
    };
    Some(When::Clock(time, precision))
}

fn offset_of(text: &str) -> Option<Offset> {
    if text.eq_ignore_ascii_case("z") {
        return Some(Offset::UTC);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let number = |part: &str| match part.len() {
        2 => part.parse::<u8>().ok(),
        _ => None,
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    if minutes > 59 {
        return None;
    }
    let seconds = (i32::from(hours) * 60 + i32::from(minutes)) * 60;
    Offset::from_seconds(sign * seconds).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::zones::Zones;

    fn madrid() -> TimeZone {
        Zones::load().get("Europe/Madrid").unwrap()
    }

    fn now() -> Timestamp {
        "2026-02-03T23:30:00Z".parse().unwrap()
    }

    fn bound(text: &str) -> String {
        match When::read(text).unwrap().bound(&madrid(), now()) {
            Ok(at) => at.to_string(),
            Err(failure) => failure.message,
        }
    }

    #[test]
    fn bounds_are_read_in_the_zone() {
        let table = [
            ("now", "2026-02-03T23:30:00Z"),
            ("-2h", "2026-02-03T21:30:00Z"),
            ("+3d", "2026-02-06T23:30:00Z"),
            // 00:30 in Madrid: it is the fourth there already
            ("today", "2026-02-03T23:00:00Z"),
            ("yesterday", "2026-02-02T23:00:00Z"),
            ("tomorrow", "2026-02-04T23:00:00Z"),
            ("2026-02-03", "2026-02-02T23:00:00Z"),
            ("2026-02-03T02:15", "2026-02-03T01:15:00Z"),
            ("2026-02-03 02:15:30", "2026-02-03T01:15:30Z"),
            ("2026-02-03T02:15:00Z", "2026-02-03T02:15:00Z"),
            ("2026-02-03T02:15+01:00", "2026-02-03T01:15:00Z"),
            ("2026-02-03t02:15:00-05:30", "2026-02-03T07:45:00Z"),
            // missing: the end of the gap plus what is beyond its beginning, as jiff has it
            ("2026-03-29T02:30", "2026-03-29T01:30:00Z"),
            // twice: the first
            ("2026-10-25T02:30", "2026-10-25T00:30:00Z"),
            ("02:15", "a time of day alone says not which day"),
        ];
        for (text, wanted) in table {
            assert_eq!(bound(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_a_usage_error_that_lists_the_forms() {
        for text in [
            "",
            "noon",
            "2h",
            "+",
            "-2 fortnights",
            "2026-02-30",
            "2026-2-3",
            "2026-02-03T2:15",
            "25:00",
            "2026-02-03T02:15+1",
            "2026-02-03T02:15:00+01:99",
            "2026-02-03T",
            "é",
        ] {
            let failure = When::read(text).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{text}");
            assert!(failure.hint.unwrap().contains("2026-02-03T02:15"));
        }
    }

    fn names(text: &str, instant: &str, civil: &str) -> bool {
        let place = Place {
            instant: instant.parse().unwrap(),
            civil: civil.parse().unwrap(),
        };
        let when = When::read(text).unwrap();
        let named = when.names(place, &madrid(), now());
        if let (true, Some((first, last))) = (named, when.window(&madrid(), now())) {
            assert!(first <= place.instant && place.instant <= last, "{text}");
        }
        named
    }

    #[test]
    fn a_time_names_the_occurrence_by_instant_wall_time_minute_or_day() {
        let (instant, civil) = ("2026-02-03T01:15:00Z", "2026-02-03T02:15:00");
        for text in [
            "2026-02-03T01:15:00Z",
            "2026-02-03T02:15:00+01:00",
            "2026-02-03T02:15",
            "2026-02-03T02:15:00",
            "02:15",
            "2026-02-03",
            "yesterday",
        ] {
            assert!(names(text, instant, civil), "{text}");
        }
        for text in [
            "2026-02-03T01:15",
            "02:16",
            "02:15:01",
            "today",
            "now",
            "2026-02-03T02:15Z",
        ] {
            assert!(!names(text, instant, civil), "{text}");
        }
    }

    #[test]
    fn a_time_in_a_gap_is_named_by_what_it_would_have_been() {
        // 02:15 does not exist on this day; it is placed at 03:00 +02:00
        let (instant, civil) = ("2026-03-29T01:00:00Z", "2026-03-29T02:15:00");
        for text in [
            "2026-03-29T02:15",
            "2026-03-29T02:15:00+01:00",
            "2026-03-29T01:00:00Z",
        ] {
            assert!(names(text, instant, civil), "{text}");
        }
        assert!(!names("2026-03-29T03:00", instant, civil));
    }
}
