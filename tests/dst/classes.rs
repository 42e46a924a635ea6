//! The kinds of schedules that the sweep holds against a change of the clock, placed so that the change hurts: in the
//! middle of what it leaves out or shows twice.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use nightcall::sched::trigger::{DstGap, DstOverlap, Rhythm, TriggerSpec};

use super::zones::Change;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// What people expect of a schedule, besides that it does what the rules say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// One run for each day that there is.
    OnceADay,
    /// This many seconds between runs, whatever the clock does; but a change that is no multiple of it may make one
    /// distance shorter or longer.
    Even(i64),
    /// This many seconds between runs, without exception.
    Period(i64),
    /// Only what the rules say.
    Rules,
}

/// A schedule and the window in which it is looked at.
pub(crate) struct Case {
    pub(crate) class: &'static str,
    pub(crate) spec: TriggerSpec,
    pub(crate) promise: Promise,
    pub(crate) after: Timestamp,
    pub(crate) upto: Timestamp,
}

/// The names of the classes, in the order of the table.
pub(crate) const CLASSES: [(&str, &str); 10] = [
    ("nightly", "`30 2 * * *`, and in the middle of the change"),
    ("stepped", "`0 */4 * * *`, `*/15 2 * * *`"),
    ("list", "`5,35 1,2,3 * * *`, two expressions"),
    ("hourly", "`0 * * * *`"),
    ("quarters", "`*/15 * * * *`, `5,35 * * * *`"),
    ("`L`", "`30 2 L * *`, `30 2 * * SUNL`, `0 0 LW * *`"),
    ("`W`", "`30 2 28W * *`"),
    ("`#`", "`30 2 * * SUN#4`"),
    ("`every`", "`25m`, `1h`, `6h`, `24h`"),
    (
        "bounds",
        "`from`, `until`, `exclude` in the middle of the change",
    ),
];

pub(crate) const POLICIES: [(DstGap, DstOverlap); 6] = [
    (DstGap::Run, DstOverlap::First),
    (DstGap::Run, DstOverlap::Last),
    (DstGap::Run, DstOverlap::Both),
    (DstGap::Skip, DstOverlap::First),
    (DstGap::Skip, DstOverlap::Last),
    (DstGap::Skip, DstOverlap::Both),
];

/// The moment that a change is about.
struct Moment {
    change: Change,
    /// The middle of the wall times that are missing or shown twice, on a whole minute.
    middle: DateTime,
    /// The first of them.
    low: DateTime,
}

impl Moment {
    fn of(change: Change) -> Self {
        let walls = (change.at + change.before, change.at + change.after);
        let low = walls.0.min(walls.1);
        let middle = low + change.turn().abs() / 2;
        Self {
            change,
            middle: civil(middle - middle.rem_euclid(60)),
            low: civil(low),
        }
    }

    /// `line` with `M`, `H` and `D` for the minute, hour and day of the middle.
    fn line(&self, line: &str) -> String {
        let t = self.middle;
        let words = line.split(' ').map(|word| match word {
            "M" => t.minute().to_string(),
            "0,M" => format!("0,{}", t.minute()),
            "H" => t.hour().to_string(),
            // The hours on both sides of the first wall time that is concerned.
            "AROUND" => {
                let hour = self.low.hour();
                let before = (hour + 23) % 24;
                format!("{before},{hour},{}", (hour + 1) % 24)
            }
            "DW" => format!("{}W", t.day()),
            "WDL" => format!("{}L", weekday(t.date())),
            "WD#N" => format!("{}#{}", weekday(t.date()), (t.day() - 1) / 7 + 1),
            other => other.to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// From so many seconds before to as many after, and by the turn of the clock more.
    fn around(&self, seconds: i64) -> (Timestamp, Timestamp) {
        let reach = seconds + self.change.turn().abs();
        (
            instant(self.change.at - reach),
            instant(self.change.at + reach),
        )
    }

    /// The month of the change, with a margin.
    fn month(&self) -> (Timestamp, Timestamp) {
        let (first, last) = (
            self.middle.date().first_of_month(),
            self.middle.date().last_of_month(),
        );
        (
            instant(noon(first) - 2 * DAY),
            instant(noon(last) + 2 * DAY),
        )
    }
}

/// From when to when the clock must be watched for the cases of a change.
pub(crate) fn watched(change: Change) -> (Timestamp, Timestamp) {
    let moment = Moment::of(change);
    let (month, days) = (moment.month(), moment.around(3 * DAY));
    (month.0.min(days.0), month.1.max(days.1))
}

/// All cases of a change. What the policies cannot touch, or what is costly, takes one policy each, other ones for other
/// values of `turn`.
pub(crate) fn all(change: Change, turn: usize) -> Vec<Case> {
    let mut cases = in_the_middle(change);
    for (n, (class, lines)) in SINGLE.iter().enumerate() {
        cases.push(case(change, class, lines, mixed(turn, n)));
    }
    for (n, seconds) in PERIODS.into_iter().enumerate() {
        cases.push(every(change, seconds, mixed(turn, n)));
    }
    for bound in 0..3 {
        cases.push(bounded(change, bound, mixed(turn, bound)));
    }
    cases
}

/// One case of each class, nightly ones with all policies; the lines of a class take turns.
pub(crate) fn of_each_class(change: Change, turn: usize) -> Vec<Case> {
    let mut cases = in_the_middle(change);
    for (n, (class, _)) in CLASSES.iter().enumerate() {
        let lines: Vec<_> = SINGLE.iter().filter(|(of, _)| of == class).collect();
        if let Some(picked) = mixed(turn, n).checked_rem(lines.len()) {
            cases.push(case(change, class, lines[picked].1, mixed(turn, n + 100)));
        }
    }
    let period = PERIODS[mixed(turn, 50) % PERIODS.len()];
    cases.push(every(change, period, mixed(turn, 51)));
    cases.push(bounded(change, mixed(turn, 52), mixed(turn, 53)));
    cases
}

/// A few cases of a change, other ones for other values of `turn`.
pub(crate) fn some(change: Change, turn: usize) -> Vec<Case> {
    let picked = (0..3).map(|n| (turn * 3 + n) % SINGLE.len());
    let mut cases: Vec<Case> = picked
        .map(|at| case(change, SINGLE[at].0, SINGLE[at].1, mixed(turn, at)))
        .collect();
    cases.push(case(change, "nightly", &["M H * * *"], turn));
    cases.push(every(change, PERIODS[turn % PERIODS.len()], turn));
    cases.push(bounded(change, turn, mixed(turn, 0)));
    cases
}

/// A nightly schedule in the middle of the change, with each pair of policies.
fn in_the_middle(change: Change) -> Vec<Case> {
    let policies = 0..POLICIES.len();
    let nightly = policies.map(|policy| case(change, "nightly", &["M H * * *"], policy));
    nightly.collect()
}

/// A number without a pattern: changes alternate between forward and back, so turns must not.
fn mixed(turn: usize, salt: usize) -> usize {
    let mut bits = (turn as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits ^= (salt as u64 + 1).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    bits = (bits ^ (bits >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    usize::try_from(bits >> 40).unwrap()
}

/// A nightly schedule in the middle, an hourly one, and every quarter of an hour.
pub(crate) fn three(change: Change) -> [Case; 3] {
    [
        case(change, "nightly", &["M H * * *"], 0),
        case(change, "hourly", &["M * * * *"], 0),
        case(change, "quarters", &["*/15 * * * *"], 0),
    ]
}

const PERIODS: [i64; 4] = [HOUR, 6 * HOUR, DAY, 25 * 60];

const BOUNDED: [&[&str]; 3] = [
    &["M H * * *"],
    &["*/30 * * * *"],
    &["0,M AROUND * * *", "0 * * * *"],
];

/// A schedule with a bound in the middle of the change.
fn bounded(change: Change, bound: usize, turn: usize) -> Case {
    let case = match turn % 4 {
        3 => every(change, HOUR, turn),
        line => case(change, "bounds", BOUNDED[line], turn / 4),
    };
    let middle = Moment::of(change).middle;
    let mut spec = case.spec;
    match bound % 3 {
        0 => spec.from = Some(middle),
        1 => spec.until = Some(middle),
        _ => spec.exclude = vec![middle.date()],
    }
    let (class, promise) = ("bounds", Promise::Rules);
    Case {
        class,
        spec,
        promise,
        ..case
    }
}

const SINGLE: [(&str, &[&str]); 30] = [
    ("nightly", &["30 2 * * *"]),
    ("nightly", &["0 0 * * *"]),
    ("nightly", &["59 0 * * *"]),
    ("nightly", &["45 23 * * *"]),
    ("nightly", &["30 M H * * *"]),
    ("nightly", &["@daily"]),
    ("stepped", &["*/15 H * * *"]),
    ("stepped", &["*/20 M H * * *"]),
    ("stepped", &["0 */4 * * *"]),
    ("stepped", &["M 1-23/2 * * *"]),
    ("stepped", &["*/10 0-22 * * *"]),
    ("list", &["5,35 AROUND * * *"]),
    ("list", &["0,M AROUND * * *"]),
    ("list", &["30 0-3 * * *"]),
    ("list", &["10 0,1,2,23 * * 0"]),
    ("list", &["M H * * *", "0 AROUND * * *"]),
    ("list", &["M H 1-7 * 0"]),
    ("list", &["M H * * *", "0 * * * *"]),
    ("hourly", &["M * * * *"]),
    ("hourly", &["0 * * * *"]),
    ("hourly", &["@hourly"]),
    ("quarters", &["*/15 * * * *"]),
    ("quarters", &["5,35 * * * *"]),
    ("quarters", &["7,52 0-23 * 3-11 *"]),
    ("`L`", &["M H L * *"]),
    ("`L`", &["M H * * WDL"]),
    ("`L`", &["0 0 LW * *"]),
    ("`W`", &["M H DW * *"]),
    ("`#`", &["M H * * WD#N"]),
    ("`#`", &["M H 13 * WD#N"]),
];

fn case(change: Change, class: &'static str, lines: &[&str], policy: usize) -> Case {
    let moment = Moment::of(change);
    let lines: Vec<String> = lines.iter().map(|line| moment.line(line)).collect();
    let promise = match (class, lines[0].as_str()) {
        ("nightly", _) => Promise::OnceADay,
        ("hourly", _) => Promise::Even(HOUR),
        ("quarters", "*/15 * * * *") => Promise::Even(HOUR / 4),
        ("quarters", "5,35 * * * *") => Promise::Even(HOUR / 2),
        _ => Promise::Rules,
    };
    let (after, upto) = match class {
        "nightly" => moment.around(60 * HOUR),
        "`L`" | "`W`" | "`#`" => moment.month(),
        "hourly" | "quarters" => moment.around(6 * HOUR),
        "stepped" => moment.around(14 * HOUR),
        _ => moment.around(26 * HOUR),
    };
    let (dst_gap, dst_overlap) = POLICIES[policy % POLICIES.len()];
    let spec = TriggerSpec {
        dst_gap,
        dst_overlap,
        ..spec(Rhythm::Cron(lines))
    };
    Case {
        class,
        spec,
        promise,
        after,
        upto,
    }
}

fn every(change: Change, seconds: i64, policy: usize) -> Case {
    let (after, upto) = Moment::of(change).around(3 * seconds);
    let (dst_gap, dst_overlap) = POLICIES[policy % POLICIES.len()];
    let period = Duration::from_secs(seconds.unsigned_abs());
    Case {
        class: "`every`",
        spec: TriggerSpec {
            dst_gap,
            dst_overlap,
            ..spec(Rhythm::Every(period))
        },
        promise: Promise::Period(seconds),
        after,
        upto,
    }
}

/// A specification without bounds and jitter.
pub(crate) fn spec(rhythm: Rhythm) -> TriggerSpec {
    TriggerSpec::new(rhythm, "Etc/UTC")
}

fn weekday(date: Date) -> i8 {
    date.weekday().to_sunday_zero_offset()
}

fn civil(wall: i64) -> DateTime {
    Offset::UTC.to_datetime(instant(wall))
}

fn noon(date: Date) -> i64 {
    let noon = date.at(12, 0, 0, 0);
    Offset::UTC.to_timestamp(noon).unwrap().as_second()
}

fn instant(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}
