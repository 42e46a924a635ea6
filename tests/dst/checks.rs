//! What is asked of one schedule in one window: that it does what the expander says, goes forward from wherever it is
//! asked, keeps the promise of its class, and costs little.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ToSpan};
use nightcall::sched::id::ScheduleName;
use nightcall::sched::trigger::{DstGap, DstOverlap, Occurrence, Rhythm, Shape, Trigger};

use super::classes::{Case, Promise};
use super::expander::{Clock, Nominal, expand_by, interval_like};
use super::named::nominal;
use super::zones::Zone;

/// What was done, added up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) cases: u64,
    /// Occurrences that were compared with the expander's.
    pub(crate) compared: u64,
    /// How often a trigger was asked.
    pub(crate) asked: u64,
    /// How often of that in a walk from answer to answer, and the processor time of it.
    pub(crate) walked: u64,
    pub(crate) cost: Duration,
    /// The dearest walk, for each answer.
    pub(crate) dearest: Duration,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.cases += other.cases;
        self.compared += other.compared;
        self.asked += other.asked;
        self.walked += other.walked;
        self.cost += other.cost;
        self.dearest = self.dearest.max(other.dearest);
    }
}

/// Checks one case; the clock has been watched around its window.
pub(crate) fn check(case: &Case, zone: &Zone, clock: &Clock) -> Result<Tally, String> {
    let place = || {
        let (gap, overlap) = (case.spec.dst_gap, case.spec.dst_overlap);
        format!(
            "{:?} in {}, {} to {}, {gap:?} {overlap:?}",
            case.spec.rhythm, zone.name, case.after, case.upto
        )
    };
    let name = ScheduleName::new("sweep").map_err(|e| e.to_string())?;
    let trigger = Trigger::new(&case.spec, zone.data.clone(), &name)
        .map_err(|e| format!("{}: refused: {e}", place()))?;
    let expected = expand_by(clock, &case.spec, &zone.data, case.after, case.upto);
    let before = cpu();
    let found =
        walk(&trigger, case, expected.len() + 2).map_err(|e| format!("{}: {e}", place()))?;
    let cost = cpu().saturating_sub(before);
    compare(&found, &expected).map_err(|e| format!("{}: {e}", place()))?;
    let probes = ask_from_anywhere(&trigger, case, &expected);
    let probes = probes.map_err(|e| format!("{}: {e}", place()))?;
    class_is_told(case, &found).map_err(|e| format!("{}: {e}", place()))?;
    promise(case, clock, &found).map_err(|e| format!("{}: {e}", place()))?;
    let walked = u64::try_from(found.len()).unwrap_or(0) + 1;
    Ok(Tally {
        cases: 1,
        compared: u64::try_from(found.len()).unwrap_or(0),
        asked: walked + probes,
        walked,
        cost,
        dearest: cost / u32::try_from(walked).unwrap_or(1),
    })
}

/// From answer to answer through the window; an answer that does not go forward ends it.
fn walk(trigger: &Trigger, case: &Case, most: usize) -> Result<Vec<Occurrence>, String> {
    let mut found = Vec::new();
    let mut t = case.after;
    while found.len() < most
        && let Some(next) = trigger.after(t)
    {
        if next.instant <= t {
            return Err(format!("asked at {t}, it answers {}", next.instant));
        }
        if next.instant > case.upto {
            break;
        }
        t = next.instant;
        found.push(next);
    }
    Ok(found)
}

fn same(found: &Occurrence, expected: &Nominal) -> bool {
    nominal(found) == *expected
}

/// Whether they are the same, in the same order.
pub(crate) fn compare(found: &[Occurrence], expected: &[Nominal]) -> Result<(), String> {
    let pairs = found.iter().zip(expected);
    let differ = pairs
        .clone()
        .find(|(found, expected)| !same(found, expected));
    match differ {
        Some((found, expected)) => Err(format!(
            "the trigger says {found:?}, the expander {expected:?}"
        )),
        None if found.len() > expected.len() => Err(format!(
            "the trigger has {:?} besides",
            found[expected.len()]
        )),
        None if found.len() < expected.len() => {
            Err(format!("the trigger lacks {:?}", expected[found.len()]))
        }
        None => Ok(()),
    }
}

/// Asked in the middle of it all, as after a restart, it answers with the next one.
fn ask_from_anywhere(trigger: &Trigger, case: &Case, expected: &[Nominal]) -> Result<u64, String> {
    let middle = case.after + (case.upto.duration_since(case.after)) / 2;
    let minutes = [-3601, -31, -1, 0, 1, 17, 60];
    let around = minutes.map(|minutes| middle + SignedDuration::from_mins(minutes));
    let mut asked = 0;
    for (n, t) in around.into_iter().enumerate() {
        // Also a moment before and in the middle of a second.
        let t = match n % 3 {
            0 => t,
            1 => t - 1.nanosecond(),
            _ => t + 500.milliseconds(),
        };
        let next = expected.iter().find(|o| o.instant > t);
        if t < case.after {
            continue;
        }
        asked += 1;
        let told = trigger.after(t);
        if let Some(told) = told
            && told.instant <= t
        {
            return Err(format!("asked at {t}, it answers {}", told.instant));
        }
        let told = told.filter(|o| o.instant <= case.upto);
        let agree = match (&told, next) {
            (Some(told), Some(next)) => same(told, next),
            (None, None) => true,
            _ => false,
        };
        if !agree {
            return Err(format!(
                "asked at {t}, it answers {told:?}, and not {next:?}"
            ));
        }
    }
    Ok(asked)
}

/// What goes by the clock alone says so: its wall time is part of its identity.
fn class_is_told(case: &Case, found: &[Occurrence]) -> Result<(), String> {
    let clock_like = match &case.spec.rhythm {
        Rhythm::Every(_) => false,
        Rhythm::Cron(lines) => match lines.iter().filter(|line| interval_like(line)).count() {
            0 => true,
            all if all == lines.len() => false,
            // Of a mixture each class has some.
            _ => return Ok(()),
        },
    };
    let wrong = found.iter().find(|o| o.clock_like != clock_like);
    wrong.map_or(Ok(()), |o| Err(format!("it is of the other class: {o:?}")))
}

fn promise(case: &Case, clock: &Clock, found: &[Occurrence]) -> Result<(), String> {
    match case.promise {
        Promise::Rules => Ok(()),
        Promise::OnceADay => once_a_day(case, clock, found),
        Promise::Even(period) => even(period, case, clock, found),
        Promise::Period(period) => {
            let odd = distances(found).find(|(_, distance)| *distance != period * 1000);
            odd.map_or(Ok(()), |(t, ms)| Err(format!("{ms} ms to {t}")))
        }
    }
}

/// Each date that the clock shows whole or in part has one run; a date that it never shows has none, and a record.
fn once_a_day(case: &Case, clock: &Clock, found: &[Occurrence]) -> Result<(), String> {
    let date = |wall: i64| {
        let t = Timestamp::from_second(wall).unwrap();
        jiff::tz::Offset::UTC.to_datetime(t).date()
    };
    let shows = |t: Timestamp| {
        let t = t.as_second();
        let even = clock.0.iter().find(|even| t < even.end).unwrap();
        date(t + even.ahead)
    };
    // The dates at both ends of the window may lie in it in part.
    let (mut day, last) = (shows(case.after).tomorrow().unwrap(), shows(case.upto));
    while day < last {
        let on_record = found.iter().filter(|o| o.civil.date() == day);
        let missed = on_record.clone().any(|o| o.shape == Shape::NoSuchDay);
        let runs = on_record.filter(|o| o.shape != Shape::NoSuchDay).count();
        let exists = clock
            .0
            .iter()
            .any(|even| date(even.shows()) <= day && day <= date(even.shows_until() - 1));
        let right = match (exists, case.spec.dst_gap, case.spec.dst_overlap) {
            (false, ..) => runs == 0 && missed,
            (true, DstGap::Run, DstOverlap::First | DstOverlap::Last) => runs == 1 && !missed,
            // Said otherwise in the schedule; the expander has looked at it exactly.
            (true, DstGap::Skip, DstOverlap::First | DstOverlap::Last) => runs <= 1,
            (true, DstGap::Run, DstOverlap::Both) => runs == 1 || runs == 2,
            (true, DstGap::Skip, DstOverlap::Both) => runs <= 2,
        };
        if !right {
            return Err(format!("{runs} runs on {day}"));
        }
        day = day.tomorrow().unwrap();
    }
    Ok(())
}

/// Evenly spaced in real time; each change that is no multiple of the period may make one distance another.
fn even(period: i64, case: &Case, clock: &Clock, found: &[Occurrence]) -> Result<(), String> {
    let turns = clock.0.windows(2).filter(|pair| {
        let inside = (case.after.as_second()..=case.upto.as_second()).contains(&pair[1].start);
        inside && (pair[1].ahead - pair[0].ahead) % period != 0
    });
    let odd: Vec<_> = distances(found)
        .filter(|(_, distance)| *distance != period * 1000)
        .collect();
    let close = |(_, ms): &(Timestamp, i64)| (1..2 * period * 1000).contains(ms);
    // The odd distance may be in two: a short one from the old clock's times to the new one's.
    if odd.len() <= turns.count() && odd.iter().all(close) {
        return Ok(());
    }
    Err(format!("distances in ms that are not {period} s: {odd:?}"))
}

/// From one to the next in milliseconds, with the instant of the next.
fn distances(found: &[Occurrence]) -> impl Iterator<Item = (Timestamp, i64)> {
    found.windows(2).map(|pair| {
        let (one, next) = (pair[0].instant, pair[1].instant);
        (next, next.as_millisecond() - one.as_millisecond())
    })
}

/// The processor time of this thread: waiting for a turn costs nobody's schedule anything.
#[cfg(target_os = "linux")]
fn cpu() -> Duration {
    measured(rustix::time::ClockId::ThreadCPUTime)
}

/// The processor time of the whole test.
#[cfg(target_os = "linux")]
pub(crate) fn cpu_of_all_threads() -> Duration {
    measured(rustix::time::ClockId::ProcessCPUTime)
}

#[cfg(target_os = "linux")]
fn measured(clock: rustix::time::ClockId) -> Duration {
    let t = rustix::time::clock_gettime(clock);
    let nanoseconds = u32::try_from(t.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(t.tv_sec).unwrap_or(0), nanoseconds)
}

/// Elsewhere the time on the wall must do.
#[cfg(not(target_os = "linux"))]
fn cpu() -> Duration {
    static FIRST: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    FIRST.elapsed()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn cpu_of_all_threads() -> Duration {
    cpu()
}
