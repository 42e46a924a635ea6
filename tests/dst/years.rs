//! Every day of 130 years: a nightly schedule walked from 1970 to 2100 without a break.

use nightcall::sched::id::ScheduleName;
use nightcall::sched::trigger::{Rhythm, Shape, Trigger};

use super::checks::compare;
use super::classes::spec;
use super::expander::{Clock, expand_by};
use super::zones::{Change, Zone, span};

const DAY: i64 = 86_400;

/// A walk through all the years.
pub(crate) struct Years {
    pub(crate) runs: usize,
    pub(crate) no_such_day: usize,
}

/// Each day that the clock of the zone shows has one run, in order, where the expander has it. Also: the changes that the
/// sweep goes by are those that one sees when one watches the clock, and no others.
pub(crate) fn walk(zone: &Zone, line: &str) -> Result<Years, String> {
    let (first, last) = span();
    let clock = Clock::watch(&zone.data, first.as_second() - DAY, last.as_second() + DAY);
    let seen = turns(&clock);
    if seen != zone.changes {
        let odd = seen.iter().zip(&zone.changes).find(|(a, b)| a != b);
        let (seen, listed) = (seen.len(), zone.changes.len());
        return Err(format!(
            "{}: {seen} changes seen, {listed} listed: {odd:?}",
            zone.name
        ));
    }
    let spec = spec(Rhythm::Cron(vec![line.to_owned()]));
    let name = ScheduleName::new("years").map_err(|e| e.to_string())?;
    let trigger = Trigger::new(&spec, zone.data.clone(), &name).map_err(|e| e.to_string())?;
    let mut found = Vec::new();
    let mut t = first;
    while let Some(next) = trigger.after(t).filter(|o| o.instant <= last) {
        if next.instant <= t {
            return Err(format!(
                "{}: asked at {t}, it answers {}",
                zone.name, next.instant
            ));
        }
        t = next.instant;
        found.push(next);
    }
    let expected = expand_by(&clock, &spec, &zone.data, first, last);
    compare(&found, &expected).map_err(|e| format!("{}: {e}", zone.name))?;
    let mut dates = found.iter().map(|o| o.civil.date());
    let mut before = dates.next().ok_or("no run at all")?;
    for date in dates {
        if before.tomorrow().ok() != Some(date) {
            return Err(format!("{}: {date} follows on {before}", zone.name));
        }
        before = date;
    }
    let no_such_day = found.iter().filter(|o| o.shape == Shape::NoSuchDay).count();
    let runs = found.len() - no_such_day;
    Ok(Years { runs, no_such_day })
}

/// The changes in what was watched.
fn turns(clock: &Clock) -> Vec<Change> {
    let (first, last) = span();
    let inside = |change: &Change| first.as_second() < change.at && change.at < last.as_second();
    let pairs = clock.0.windows(2).map(|pair| Change {
        at: pair[1].start,
        before: pair[0].ahead,
        after: pair[1].ahead,
    });
    pairs.filter(inside).collect()
}
