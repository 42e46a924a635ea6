//! The six kinds of fields: what they are called, and from where to where they go.

/// Which field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Second,
    Minute,
    Hour,
    Day,
    Month,
    Weekday,
}

pub(super) const MONTHS: [&str; 12] = [
    "JANUARY",
    "FEBRUARY",
    "MARCH",
    "APRIL",
    "MAY",
    "JUNE",
    "JULY",
    "AUGUST",
    "SEPTEMBER",
    "OCTOBER",
    "NOVEMBER",
    "DECEMBER",
];
pub(super) const WEEKDAYS: [&str; 7] = [
    "SUNDAY",
    "MONDAY",
    "TUESDAY",
    "WEDNESDAY",
    "THURSDAY",
    "FRIDAY",
    "SATURDAY",
];

impl Kind {
    /// What people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Weekday => "weekday",
        }
    }

    pub(super) fn low(self) -> u32 {
        u32::from(matches!(self, Self::Day | Self::Month))
    }

    pub(super) fn high(self) -> u32 {
        match self {
            Self::Second | Self::Minute => 59,
            Self::Hour => 23,
            Self::Day => 31,
            Self::Month => 12,
            Self::Weekday => 7,
        }
    }

    /// How many different values there are.
    pub(super) fn size(self) -> u32 {
        match self {
            Self::Weekday => 7,
            _ => self.high() - self.low() + 1,
        }
    }

    /// All values, as bits.
    pub(super) fn all(self) -> u64 {
        ((1 << self.size()) - 1) << self.low()
    }

    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => &MONTHS,
            Self::Weekday => &WEEKDAYS,
            _ => &[],
        }
    }

    /// The range that `H` draws from: days only to 28, so that every month has one.
    pub(super) fn hashed(self) -> (u32, u32) {
        match self {
            Self::Day => (1, 28),
            Self::Weekday => (0, 6),
            _ => (self.low(), self.high()),
        }
    }
}
