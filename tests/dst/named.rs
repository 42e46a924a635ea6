//! The famous clock changes (`named/famous.rs`), each with what must happen, written by hand. The trigger and the expander
//! are both held against it, and `docs/dst.md` shows it.

mod famous;

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use nightcall::sched::id::ScheduleName;
use nightcall::sched::trigger::{
    DstGap, DstOverlap, Fold, Occurrence, Rhythm, Shape, Trigger, TriggerSpec,
};

pub(crate) use self::famous::NAMED;
use super::classes::spec;
use super::expander::{Kind, Nominal, expand};

/// When it is written: `15 2 * * *`, or `every 6h`; policies behind a bar: `15 2 * * * | skip last`.
pub(crate) struct Named {
    pub(crate) zone: &'static str,
    /// What the clock does.
    pub(crate) change: &'static str,
    pub(crate) when: &'static str,
    after: &'static str,
    /// The next ones: instant, nominal wall time, and what is special.
    expected: &'static [&'static str],
}

const fn named(
    zone: &'static str,
    change: &'static str,
    when: &'static str,
    after: &'static str,
    expected: &'static [&'static str],
) -> Named {
    Named {
        zone,
        change,
        when,
        after,
        expected,
    }
}

impl Named {
    /// By the data that is compiled in, so that it holds on every machine.
    pub(crate) fn data(&self) -> TimeZone {
        TimeZoneDatabase::bundled().get(self.zone).unwrap()
    }

    pub(crate) fn spec(&self) -> TriggerSpec {
        let (when, policies) = self
            .when
            .split_once(" | ")
            .unwrap_or((self.when, "run first"));
        let rhythm = match when
            .strip_prefix("every ")
            .and_then(|p| p.strip_suffix('h'))
        {
            Some(hours) => Rhythm::Every(Duration::from_secs(3600 * hours.parse::<u64>().unwrap())),
            None => Rhythm::Cron(vec![when.to_owned()]),
        };
        let dst_gap = match policies.contains("skip") {
            true => DstGap::Skip,
            false => DstGap::Run,
        };
        let dst_overlap = match policies.rsplit(' ').next() {
            Some("last") => DstOverlap::Last,
            Some("both") => DstOverlap::Both,
            _ => DstOverlap::First,
        };
        TriggerSpec {
            zone: self.zone.to_owned(),
            dst_gap,
            dst_overlap,
            ..spec(rhythm)
        }
    }

    /// What the trigger says, as many as are expected.
    pub(crate) fn found(&self) -> Vec<Occurrence> {
        let name = ScheduleName::new("named").unwrap();
        let trigger = Trigger::new(&self.spec(), self.data(), &name).unwrap();
        let next = |o: &Occurrence| trigger.after(o.instant);
        let all = std::iter::successors(trigger.after(at(self.after)), next);
        all.take(self.expected.len()).collect()
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// `2027-03-28T01:00Z = 2027-03-28 02:15 missing`
fn read(line: &str) -> Nominal {
    let (instant, name) = line.split_once(" = ").unwrap();
    let (civil, special) = name.split_at(16);
    Nominal {
        instant: at(instant),
        civil: civil.replace(' ', "T").parse().unwrap(),
        second: special == " second",
        kind: match special {
            " missing" => Kind::Missing,
            " no such day" => Kind::NoSuchDay,
            _ => Kind::Shown,
        },
    }
}

#[test]
fn at_the_famous_changes_the_trigger_does_what_is_written_here() {
    for case in NAMED {
        let expected: Vec<Nominal> = case.expected.iter().map(|line| read(line)).collect();
        let found: Vec<Nominal> = case.found().iter().map(nominal).collect();
        assert_eq!(found, expected, "{} {}", case.zone, case.when);
    }
}

#[test]
fn at_the_famous_changes_the_expander_does_what_is_written_here() {
    for case in NAMED {
        let expected: Vec<Nominal> = case.expected.iter().map(|line| read(line)).collect();
        let upto = expected.last().unwrap().instant;
        let found = expand(&case.spec(), &case.data(), at(case.after), upto);
        assert_eq!(found, expected, "{} {}", case.zone, case.when);
    }
}

/// An answer of the trigger in the words of the expander.
pub(crate) fn nominal(o: &Occurrence) -> Nominal {
    Nominal {
        instant: o.instant,
        civil: o.civil,
        second: o.fold == Fold::Second,
        kind: match o.shape {
            Shape::Plain => Kind::Shown,
            Shape::Gap => Kind::Missing,
            Shape::NoSuchDay => Kind::NoSuchDay,
        },
    }
}
