//! When: the occurrences of a schedule.
//!
//! A [`Trigger`] is a checked specification in its zone. Asked for what comes after an instant it answers with an
//! occurrence, or with none when its bounds are behind. Where to read: `dialect.rs`, `field.rs`, `kind.rs` (what may be
//! written), `pattern.rs` and `civil.rs` (what matches, without a zone), `zone.rs` and `place.rs` (the daylight-saving
//! rules), `every.rs`, `jitter.rs`; `words.rs`, `notes.rs` and `warn.rs` tell people.
//!
//! Invariant: `after(t)`, if any, lies after `t`; asking for ever goes forward for ever.

mod civil;
mod dialect;
mod every;
mod field;
mod hash;
mod jitter;
mod kind;
mod notes;
mod pattern;
mod piece;
mod place;
mod spec;
mod warn;
mod words;
mod zone;

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::civil::{Bounds, Matches};
use self::dialect::Expression;
use self::pattern::Pattern;
use self::place::Placed;
pub use self::spec::{DstGap, DstOverlap, Rhythm, TriggerError, TriggerSpec};
use super::id::{ScheduleName, SeriesId};
use super::time::{self, TimeZone, Timestamp};

/// Which of two equal wall times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fold {
    /// The only or the first.
    #[default]
    First,
    /// The second.
    Second,
}

/// One nominal time of a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Occurrence {
    /// Where the time rules place it: its identity.
    pub instant: Timestamp,
    /// The nominal wall time in the schedule's zone; inside a gap the missing time.
    pub civil: jiff::civil::DateTime,
    /// Which of two equal wall times.
    pub fold: Fold,
    /// How it lies in the zone.
    pub shape: Shape,
    /// Whether a clock-like expression made it: then its civil time is part of its identity.
    pub clock_like: bool,
}

/// How an occurrence lies in its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// At its own wall time.
    Plain,
    /// Its wall time is inside a gap: it is placed at the first valid instant after it.
    Gap,
    /// Its civil day does not exist in the zone (gaps of 24 h and more): recorded, never run.
    NoSuchDay,
}

/// What a clock change does to a trigger (rule 10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneNote {
    /// The instant of the change.
    pub at: Timestamp,
    /// One line for people: the change, and what happens to the occurrences that it touches.
    pub text: String,
}

/// A trigger that can be asked: a checked specification in its zone. Cheap to clone.
#[derive(Clone)]
pub struct Trigger(Arc<Inner>);

struct Inner {
    spec: Arc<TriggerSpec>,
    zone: TimeZone,
    schedule: ScheduleName,
    bounds: Arc<Bounds>,
    rhythm: Checked,
}

enum Checked {
    Cron(Box<[Placed]>),
    /// Whole seconds, at least one.
    Every(i64),
}

/// The longest period.
const LONGEST_PERIOD: Duration = Duration::from_secs(3660 * 86_400);

/// The most expressions of one schedule.
const MAX_EXPRESSIONS: usize = 100;

impl Trigger {
    /// Checks the specification. `zone` is the data of `spec.zone`; the schedule's name seeds `H`. Never takes longer
    /// than microseconds: patterns that cannot match are refused.
    pub fn new(
        spec: &TriggerSpec,
        zone: TimeZone,
        schedule: &ScheduleName,
    ) -> Result<Self, TriggerError> {
        if let (Some(from), Some(until)) = (spec.from, spec.until)
            && until <= from
        {
            return Err(TriggerError::of_spec(
                "`until` is not after `from`, so nothing ever runs",
                "write an `until` that is later than `from`",
            ));
        }
        let bounds = Arc::new(Bounds::of(spec));
        let rhythm = match &spec.rhythm {
            Rhythm::Every(period) => Checked::Every(whole_period(*period)?),
            Rhythm::Cron(expressions) => {
                Checked::Cron(placed(expressions, spec, schedule, &bounds)?)
            }
        };
        let (spec, schedule) = (Arc::new(spec.clone()), schedule.clone());
        Ok(Self(Arc::new(Inner {
            spec,
            zone,
            schedule,
            bounds,
            rhythm,
        })))
    }

    /// The first occurrence with an instant after `t`; `None` when there is none (before `until`).
    pub fn after(&self, t: Timestamp) -> Option<Occurrence> {
        let Inner {
            zone,
            bounds,
            rhythm,
            ..
        } = &*self.0;
        match rhythm {
            Checked::Every(period) => every::after(*period, bounds, zone, t),
            Checked::Cron(placed) => placed
                .iter()
                .filter_map(|p| p.after(zone, t))
                .min_by(united),
        }
    }

    /// When an occurrence is due for a series: its instant plus the fixed jitter, never past the next instant.
    pub fn due(&self, series: &SeriesId, occurrence: &Occurrence) -> Timestamp {
        let jitter = self.0.spec.jitter;
        if jitter.is_zero() {
            return occurrence.instant;
        }
        let next = self.after(occurrence.instant).map(|next| next.instant);
        time::later(
            occurrence.instant,
            jitter::offset(series, occurrence.instant, next, jitter),
        )
    }

    /// Whether no two occurrences that run are closer than a day of the wall clock: it names one time of day.
    pub fn is_daily_at_most(&self) -> bool {
        let once = self.0.spec.dst_overlap != DstOverlap::Both;
        match &self.0.rhythm {
            Checked::Every(_) => false,
            Checked::Cron(placed) => match &**placed {
                [one] => once && one.matches.pattern.names_one_time(),
                _ => false,
            },
        }
    }

    /// When it runs, in words: "at 02:15 every day, Europe/Madrid".
    pub fn words(&self) -> String {
        words::of(&self.0.spec, &self.expressions())
    }

    /// The clock changes in the span that touch an occurrence, and what happens.
    pub fn notes(&self, from: Timestamp, until: Timestamp) -> Vec<ZoneNote> {
        match &self.0.rhythm {
            Checked::Every(_) => Vec::new(),
            Checked::Cron(placed) => notes::of(placed, &self.0.zone, from, until),
        }
    }

    /// Things worth a second look, with the better line to write: `(expression index, message, hint)`.
    pub fn warnings(&self) -> Vec<(usize, String, String)> {
        let expressions = self.expressions();
        let each = expressions.iter().enumerate();
        each.flat_map(|(n, e)| {
            warn::of(e)
                .into_iter()
                .map(move |(text, hint)| (n, text, hint))
        })
        .collect()
    }

    /// The zone.
    pub fn zone(&self) -> &TimeZone {
        &self.0.zone
    }

    /// What it was made of.
    pub fn spec(&self) -> &Arc<TriggerSpec> {
        &self.0.spec
    }

    /// The expressions, read again: they were checked, so none is missing.
    fn expressions(&self) -> Vec<Expression<'_>> {
        match &self.0.spec.rhythm {
            Rhythm::Every(_) => Vec::new(),
            Rhythm::Cron(lines) => {
                let seed = self.0.schedule.as_str();
                lines
                    .iter()
                    .filter_map(|line| Expression::parse(line, seed).ok())
                    .collect()
            }
        }
    }
}

impl fmt::Debug for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trigger").field(&self.0.spec).finish()
    }
}

/// Earlier instants first; at one instant an ordinary wall time gives the name, else the earliest that is missing. Where
/// both classes meet, elapsed time claims the instant: it has a run there whatever wall time is on record.
fn united(a: &Occurrence, b: &Occurrence) -> Ordering {
    let rank = |o: &Occurrence| (o.instant, o.shape != Shape::Plain, o.civil, o.clock_like);
    rank(a).cmp(&rank(b))
}

fn whole_period(period: Duration) -> Result<i64, TriggerError> {
    let whole = period.subsec_nanos() == 0 && period >= Duration::from_secs(1);
    if !whole || period > LONGEST_PERIOD {
        return Err(TriggerError::of_spec(
            "a period is a whole number of seconds, from 1 s to 10 years",
            "write for example every = \"6h\"",
        ));
    }
    Ok(i64::try_from(period.as_secs()).unwrap_or(i64::MAX))
}

fn placed(
    lines: &[String],
    spec: &TriggerSpec,
    schedule: &ScheduleName,
    bounds: &Arc<Bounds>,
) -> Result<Box<[Placed]>, TriggerError> {
    if lines.is_empty() || lines.len() > MAX_EXPRESSIONS {
        return Err(TriggerError::of_spec(
            "a schedule takes from 1 to 100 cron expressions",
            "write for example cron = \"15 2 * * *\"",
        ));
    }
    let one = |(expression, line): (usize, &String)| {
        let pattern = Expression::parse(line, schedule.as_str()).and_then(|e| Pattern::of(&e));
        match pattern {
            Ok(pattern) => Ok(Placed {
                matches: Matches {
                    pattern,
                    bounds: Arc::clone(bounds),
                },
                gap: spec.dst_gap,
                overlap: spec.dst_overlap,
            }),
            Err(fault) => Err(TriggerError {
                expression,
                span: fault.span,
                message: fault.message,
                hint: fault.hint,
            }),
        }
    };
    lines.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests;
