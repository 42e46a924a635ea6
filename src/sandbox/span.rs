//! How long something takes: a duration, or a range out of which each job draws its own.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::dice::Dice;

/// A duration between two ends, both included. Written `"2s"` or `"1s..4s"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    min: Duration,
    max: Duration,
}

impl Span {
    /// Any duration from `min` to `max`; the two are exchanged when they are the wrong way round.
    pub fn between(min: Duration, max: Duration) -> Self {
        Self {
            min: min.min(max),
            max: max.max(min),
        }
    }

    /// One duration out of the range.
    pub(super) fn draw(&self, dice: &mut Dice) -> Duration {
        dice.between(self.min, self.max)
    }
}

impl From<Duration> for Span {
    fn from(d: Duration) -> Self {
        Self { min: d, max: d }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.min)?;
        if self.max != self.min {
            write!(f, "..{:?}", self.max)?;
        }
        Ok(())
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("..") {
            None => Ok(Self::from(duration(text)?)),
            Some((min, max)) => {
                let (min, max) = (duration(min)?, duration(max)?);
                if min > max {
                    return Err(format!("the range {text:?} ends before it begins"));
                }
                Ok(Self { min, max })
            }
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Reads `"250ms"`, `"2s"`, `"5m"`, `"1h 30m"`; never a negative one.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration such as \"250ms\", \"2s\" or \"5m\"");
    let signed: jiff::SignedDuration = text.trim().parse().map_err(|_| wrong())?;
    Duration::try_from(signed).map_err(|_| wrong())
}

/// For serde fields that hold a plain duration.
pub(super) fn plain<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    duration(&String::deserialize(from)?).map_err(serde::de::Error::custom)
}

/// For serde fields that hold a duration or nothing.
pub(super) fn optional<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    plain(from).map(Some)
}

/// For serde fields that hold a duration that may be negative (`"-3m"`).
pub(super) fn signed<'de, D: Deserializer<'de>>(from: D) -> Result<jiff::SignedDuration, D::Error> {
    let text = String::deserialize(from)?;
    text.trim().parse().map_err(|_| {
        serde::de::Error::custom(format!(
            "{text:?} is not a duration such as \"3m\" or \"-90s\""
        ))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_ranges_are_read() {
        assert_eq!("250ms".parse(), Ok(Span::from(Duration::from_millis(250))));
        assert_eq!(
            "1s..4s".parse(),
            Ok(Span::between(
                Duration::from_secs(4),
                Duration::from_secs(1)
            ))
        );
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
    }

    #[test]
    fn what_is_not_a_duration_is_named() {
        assert!("soon".parse::<Span>().unwrap_err().contains("\"soon\""));
        assert!("-2s".parse::<Span>().unwrap_err().contains("\"-2s\""));
        assert!(
            "4s..1s"
                .parse::<Span>()
                .unwrap_err()
                .contains("ends before")
        );
    }
}
