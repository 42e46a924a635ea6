//! Names of things: a run is called after its series and its nominal time, so an occurrence that is planned twice is
//! one run.
//!
//! Invariant: the text of a [`RunId`] reads back to the same id; it is the natural key in the store and the `run` in
//! the marker that travels with a job.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::time::Timestamp;

/// The longest name of a schedule, a set or a connection, in bytes.
pub const MAX_NAME: usize = 100;

/// A name holds a character that names may not have, is empty, or is too long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a name: 1 to 100 of A-Z a-z 0-9 _ -")]
pub struct BadName(pub String);

fn checked(text: &str) -> Result<Arc<str>, BadName> {
    let fits = !text.is_empty() && text.len() <= MAX_NAME;
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if fits && plain {
        Ok(Arc::from(text))
    } else {
        Err(BadName(text.chars().take(MAX_NAME).collect()))
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks the text: 1 to 100 of `A-Z a-z 0-9 _ -`.
            pub fn new(text: &str) -> Result<Self, BadName> {
                checked(text).map(Self)
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::new(text)
            }
        }
    };
}

name! {
    /// The name of a schedule.
    ScheduleName
}
name! {
    /// The name of a parameter set; `default` when a schedule has no sets.
    SetName
}
name! {
    /// The name of a connection in the configuration (its table key, not its name in CARTO).
    ConnectionName
}
name! {
    /// The random key that a client sends with a request by hand, so that asking again does not fire again.
    ClientKey
}

impl SetName {
    /// The set of a schedule that has no sets.
    pub fn default_set() -> Self {
        Self(Arc::from("default"))
    }
}

/// One schedule with one parameter set: the unit in which overlap is judged.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId {
    /// The schedule.
    pub schedule: ScheduleName,
    /// The parameter set.
    pub set: SetName,
}

impl fmt::Display for SeriesId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.schedule, self.set)
    }
}

/// A text is not the id of a series or a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an id of the form schedule/set@2026-02-03T01:15:00Z")]
pub struct BadId(pub String);

impl FromStr for SeriesId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId(text.chars().take(300).collect());
        let (schedule, set) = text.split_once('/').ok_or_else(bad)?;
        Ok(Self {
            schedule: ScheduleName::new(schedule).map_err(|_| bad())?,
            set: SetName::new(set).map_err(|_| bad())?,
        })
    }
}

/// How a run of a series and an instant came to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RunKind {
    /// 0 is the planned run; each `retry`, `rerun` or `backfill` by hand makes the next.
    Generation(u32),
    /// Asked for by hand, with the client's key; the instant is the time of asking.
    Manual(ClientKey),
}

/// The identity of a run: `schedule/set@2026-02-03T01:15:00Z`, `…Z+1`, `…Z+manual-<key>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId {
    /// The series it belongs to.
    pub series: SeriesId,
    /// The instant at which the time rules place the occurrence, or the time of asking.
    pub instant: Timestamp,
    /// Planned, or asked for.
    pub kind: RunKind,
}

impl RunId {
    /// The id of the planned run of an occurrence.
    pub fn planned(series: SeriesId, instant: Timestamp) -> Self {
        Self {
            series,
            instant,
            kind: RunKind::Generation(0),
        }
    }

    /// Whether it is the run that planning made of its occurrence.
    pub fn is_planned(&self) -> bool {
        self.kind == RunKind::Generation(0)
    }

    /// Whether somebody asked for it by hand.
    pub fn is_manual(&self) -> bool {
        matches!(self.kind, RunKind::Manual(_))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.series, self.instant)?;
        match &self.kind {
            RunKind::Generation(0) => Ok(()),
            RunKind::Generation(n) => write!(f, "+{n}"),
            RunKind::Manual(key) => write!(f, "+manual-{key}"),
        }
    }
}

impl FromStr for RunId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId(text.chars().take(300).collect());
        let (series, rest) = text.split_once('@').ok_or_else(bad)?;
        let (instant, kind) = match rest.split_once('+') {
            None => (rest, RunKind::Generation(0)),
            Some((instant, suffix)) => match suffix.strip_prefix("manual-") {
                Some(key) => (
                    instant,
                    RunKind::Manual(ClientKey::new(key).map_err(|_| bad())?),
                ),
                None => (
                    instant,
                    RunKind::Generation(suffix.parse().map_err(|_| bad())?),
                ),
            },
        };
        Ok(Self {
            series: series.parse()?,
            instant: instant.parse().map_err(|_| bad())?,
            kind,
        })
    }
}

/// What the vendor calls a job: any text of 1 to 512 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(Arc<str>);

impl JobId {
    /// The longest id that is believed, in bytes.
    pub const MAX: usize = 512;

    /// `None` when the text is empty, too long or holds control characters.
    pub fn new(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= Self::MAX;
        (fits && !text.chars().any(char::is_control)).then(|| Self(Arc::from(text)))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_read_back_as_they_were_written() {
        for text in [
            "store-clusters/hyper@2026-02-03T01:15:00Z",
            "store-clusters/hyper@2026-02-03T01:15:00Z+1",
            "a_b/default@2026-02-03T01:15:00.123Z+manual-0f3a",
        ] {
            let id: RunId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn texts_that_are_no_ids_are_refused() {
        for text in [
            "",
            "a@2026-02-03T01:15:00Z",
            "a/b",
            "a/b@noon",
            "a/b@2026-02-03T01:15:00Z+x",
            "a b/c@2026-02-03T01:15:00Z",
        ] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
    }

    #[test]
    fn job_ids_are_bounded_and_printable() {
        assert!(JobId::new("").is_none());
        assert!(JobId::new(&"x".repeat(513)).is_none());
        assert!(JobId::new("a\nb").is_none());
        assert_eq!(JobId::new("job_1").unwrap().as_str(), "job_1");
    }
}
