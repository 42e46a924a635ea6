//! A span of time into decisions: which occurrences of a series run, which are passed over and why.
//!
//! `plan` is asked for (cursor, now]; waking early, late or twice is harmless. It knows nothing of other runs: overlap
//! is judged by the scheduler when it makes runs of the answer.
//!
//! Invariant: every occurrence of the span is in exactly one of `runs`, `skips`, `missed`, `aside`, unless it was
//! decided before; `next` is the first one after the span.

use std::collections::VecDeque;
use std::time::Duration;

use super::id::SeriesId;
use super::outcome::SkipReason;
use super::policy::MisfirePolicy;
use super::run::Origin;
use super::time::{TimeRange, Timestamp};
use super::trigger::{Occurrence, Shape, Trigger};

/// Up to so many missed occurrences each get a record of their own; more become one range with a count.
const EACH: u64 = 10;
/// So many occurrences are counted one by one before those that are too old to run are passed over uncounted.
const COUNTED: u64 = 100_000;

/// What becomes of the occurrences of a span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// These run, in nominal order, those that are caught up first.
    pub runs: Vec<(Occurrence, Origin)>,
    /// These are passed over, each with a record of its own.
    pub skips: Vec<(Occurrence, SkipReason)>,
    /// These are passed over in bulk: ranges, with how many occurrences lie in each.
    pub missed: Vec<(TimeRange, u64)>,
    /// These are passed over in bulk because somebody wanted it: ranges with a count and the reason.
    pub aside: Vec<(TimeRange, u64, SkipReason)>,
    /// The newest of those that a pause passed over, oldest first: as many as the misfire policy would run.
    pub paused: VecDeque<Occurrence>,
    /// The first one after the span.
    pub next: Option<Occurrence>,
    /// The trigger did not advance here: a bug, the series must not be planned any more.
    pub broken: Option<Timestamp>,
    /// How many occurrences were looked at: what it cost.
    pub walked: u64,
}

/// Decides all occurrences of a series in (cursor, now]. `aside` is asked once for each, in order, and says why people
/// do not want it run, if they do not.
pub fn plan(
    trigger: &Trigger,
    series: &SeriesId,
    misfire: &MisfirePolicy,
    cursor: Timestamp,
    now: Timestamp,
    decided: &dyn Fn(&Occurrence) -> bool,
    aside: &mut dyn FnMut(&Occurrence) -> Option<SkipReason>,
) -> Plan {
    let mut plan = Plan::default();
    let mut set_aside = SetAside::default();
    // Late ones that may still run, the newest at the back; what falls out at the front is missed.
    let mut late: VecDeque<Occurrence> = VecDeque::new();
    let mut dropped = Dropped::new(cursor);
    let mut at = cursor;
    plan.next = loop {
        let Some(occurrence) = trigger.after(at) else {
            break None;
        };
        if occurrence.instant <= at {
            plan.broken = Some(at);
            break None;
        }
        if occurrence.instant > now {
            break Some(occurrence);
        }
        at = occurrence.instant;
        plan.walked += 1;
        if plan.walked == COUNTED && at < misfire.oldest(now) {
            dropped.add(&occurrence);
            at = misfire.oldest(now);
            dropped.leap(at);
            continue;
        }
        if decided(&occurrence) {
            dropped.on_record(occurrence.instant);
            set_aside.border = at;
            continue;
        }
        let unwanted = match occurrence.shape {
            Shape::NoSuchDay => None,
            _ => aside(&occurrence),
        };
        if let Some(reason) = unwanted {
            dropped.on_record(occurrence.instant);
            set_aside.add(&occurrence, reason);
            if reason == SkipReason::Paused {
                plan.paused.push_back(occurrence);
                let surplus = plan.paused.len().saturating_sub(misfire.keep());
                plan.paused.drain(..surplus);
            }
            continue;
        }
        set_aside.border = at;
        let due = trigger.due(series, &occurrence);
        if occurrence.shape == Shape::NoSuchDay {
            plan.skips.push((occurrence, SkipReason::NoSuchDay));
        } else if misfire.on_time(due, now) {
            plan.runs.push((occurrence, Origin::Planned));
        } else if misfire.keep() == 0 || due < misfire.oldest(now) {
            dropped.add(&occurrence);
        } else {
            late.push_back(occurrence);
            if late.len() > misfire.keep() {
                late.pop_front().iter().for_each(|o| dropped.add(o));
            }
        }
    };
    let caught_up = late.into_iter().map(|o| (o, Origin::CaughtUp));
    plan.runs.splice(0..0, caught_up);
    dropped.settle(&mut plan);
    set_aside.settle(&mut plan);
    plan
}

/// What people do not want to run, in spans of one reason between which nothing else lies.
#[derive(Default)]
struct SetAside {
    spans: Vec<(Span, SkipReason)>,
    /// The last occurrence that is none of these.
    border: Timestamp,
}

impl SetAside {
    fn add(&mut self, occurrence: &Occurrence, reason: SkipReason) {
        let last = self.spans.last();
        let goes_on = last.is_some_and(|(span, why)| *why == reason && span.upto > self.border);
        if !goes_on {
            // Just before it, so that nothing is covered that lies between.
            let after = super::time::earlier(occurrence.instant, Duration::from_nanos(1));
            self.spans.push((Span::after(after), reason));
        }
        if let Some((span, _)) = self.spans.last_mut() {
            span.add(occurrence);
        }
    }

    fn settle(self, plan: &mut Plan) {
        for (span, reason) in self.spans {
            if span.count <= EACH {
                plan.skips
                    .extend(span.first.into_iter().map(|o| (o, reason)));
            } else {
                let (after, upto) = (span.after, span.upto);
                let range = TimeRange { after, upto };
                plan.aside.push((range, span.count, reason));
            }
        }
        plan.skips.sort_by_key(|(o, _)| o.instant);
    }
}

/// Missed occurrences in spans between those that are on record already, so that no range covers one of these.
struct Dropped {
    spans: Vec<Span>,
    /// Where the next spans begin.
    borders: VecDeque<Timestamp>,
}

/// Listed while they are few, then only counted.
struct Span {
    after: Timestamp,
    upto: Timestamp,
    count: u64,
    first: Vec<Occurrence>,
}

impl Dropped {
    fn new(after: Timestamp) -> Self {
        Self {
            spans: vec![Span::after(after)],
            borders: VecDeque::new(),
        }
    }

    /// An occurrence has a record: no range may cover it.
    fn on_record(&mut self, instant: Timestamp) {
        self.borders.push_back(instant);
    }

    fn add(&mut self, occurrence: &Occurrence) {
        let passed = self
            .borders
            .iter()
            .take_while(|at| **at < occurrence.instant)
            .count();
        if let Some(border) = self.borders.drain(..passed).next_back() {
            self.spans.push(Span::after(border));
        }
        if let Some(span) = self.spans.last_mut() {
            span.add(occurrence);
        }
    }

    /// What lies up to here is too old to be counted.
    fn leap(&mut self, upto: Timestamp) {
        if let Some(span) = self.spans.last_mut() {
            span.upto = upto;
        }
    }

    fn settle(self, plan: &mut Plan) {
        for span in self.spans {
            span.settle(plan);
        }
        plan.skips.sort_by_key(|(o, _)| o.instant);
    }
}

impl Span {
    fn after(after: Timestamp) -> Self {
        Self {
            after,
            upto: after,
            count: 0,
            first: Vec::new(),
        }
    }

    fn add(&mut self, occurrence: &Occurrence) {
        self.count += 1;
        self.upto = self.upto.max(occurrence.instant);
        if self.count <= EACH {
            self.first.push(*occurrence);
        }
    }

    fn settle(self, plan: &mut Plan) {
        if self.count <= EACH {
            let each = self.first.into_iter().map(|o| (o, SkipReason::Missed));
            plan.skips.extend(each);
            return;
        }
        let range = TimeRange {
            after: self.after,
            upto: self.upto,
        };
        // One record for each: what has one of its own within the range is counted instead.
        let own = plan.skips.len();
        plan.skips
            .retain(|(o, _)| o.instant <= range.after || o.instant > range.upto);
        let counted = self.count + (own - plan.skips.len()) as u64;
        plan.missed.push((range, counted));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sched::id::{ScheduleName, SetName};
    use crate::sched::policy::CatchUp;
    use crate::sched::time::TimeZone;
    use crate::sched::trigger::{Rhythm, TriggerSpec};

    const MINUTE: i64 = 60;
    const HOUR: i64 = 3600;
    const DAY: i64 = 86_400;

    /// Seconds after 2026-02-03T00:00:00Z.
    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_770_076_800 + seconds).unwrap()
    }

    fn series() -> SeriesId {
        SeriesId {
            schedule: ScheduleName::new("a").unwrap(),
            set: SetName::default_set(),
        }
    }

    fn trigger(rhythm: Rhythm, zone: &str, jitter: u64) -> Trigger {
        let spec = TriggerSpec {
            jitter: Duration::from_secs(jitter),
            ..TriggerSpec::new(rhythm, zone)
        };
        let zone = TimeZone::get(zone).unwrap();
        Trigger::new(&spec, zone, &series().schedule).unwrap()
    }

    fn every(seconds: i64) -> Trigger {
        trigger(Rhythm::Every(Duration::from_secs(seconds as u64)), "UTC", 0)
    }

    fn hourly() -> Trigger {
        every(HOUR)
    }

    fn misfire(catch_up: CatchUp, window: i64, max: u32) -> MisfirePolicy {
        MisfirePolicy {
            catch_up,
            window: Duration::from_secs(window as u64),
            tolerance: Duration::from_secs(60),
            max,
        }
    }

    fn planned(trigger: &Trigger, policy: &MisfirePolicy, cursor: i64, now: i64) -> Plan {
        plan(
            trigger,
            &series(),
            policy,
            at(cursor),
            at(now),
            &|_| false,
            &mut |_| None,
        )
    }

    fn hours_of<'a>(occurrences: impl Iterator<Item = &'a Occurrence>) -> Vec<i64> {
        occurrences
            .map(|o| (o.instant.as_second() - at(0).as_second()) / HOUR)
            .collect()
    }

    fn caught_up(plan: &Plan) -> Vec<i64> {
        let late = plan
            .runs
            .iter()
            .filter(|(_, origin)| *origin == Origin::CaughtUp);
        hours_of(late.map(|(o, _)| o))
    }

    fn on_time(plan: &Plan) -> Vec<i64> {
        let on_time = plan
            .runs
            .iter()
            .filter(|(_, origin)| *origin == Origin::Planned);
        hours_of(on_time.map(|(o, _)| o))
    }

    fn skipped(plan: &Plan) -> Vec<i64> {
        assert!(
            plan.skips
                .iter()
                .all(|(_, reason)| *reason == SkipReason::Missed)
        );
        hours_of(plan.skips.iter().map(|(o, _)| o))
    }

    #[test]
    fn nothing_due_is_nothing_planned_and_says_what_comes_next() {
        let plan = planned(&hourly(), &MisfirePolicy::default(), 10, 20);
        let next = plan.next.unwrap();
        assert_eq!(next.instant, at(HOUR));
        assert_eq!(
            plan,
            Plan {
                next: Some(next),
                ..Plan::default()
            }
        );
    }

    #[test]
    fn the_span_is_open_at_the_cursor_and_closed_at_now() {
        let policy = MisfirePolicy::default();
        assert_eq!(on_time(&planned(&hourly(), &policy, HOUR, 2 * HOUR)), [2]);
        assert!(on_time(&planned(&hourly(), &policy, HOUR, 2 * HOUR - 1)).is_empty());
        assert_eq!(on_time(&planned(&hourly(), &policy, HOUR - 1, HOUR)), [1]);
    }

    #[test]
    fn what_is_decided_within_the_tolerance_is_on_time() {
        for (late, is_on_time) in [(0, true), (60, true), (61, false)] {
            let plan = planned(&hourly(), &misfire(CatchUp::None, DAY, 10), 10, HOUR + late);
            assert_eq!(on_time(&plan) == [1], is_on_time, "{late}");
            assert_eq!(skipped(&plan) == [1], !is_on_time, "{late}");
        }
    }

    #[test]
    fn none_latest_and_all_catch_up_as_they_say() {
        let late = |policy: &MisfirePolicy| planned(&hourly(), policy, 10, 5 * HOUR + 600);
        let none = late(&misfire(CatchUp::None, DAY, 10));
        assert_eq!(
            (caught_up(&none), skipped(&none)),
            (vec![], vec![1, 2, 3, 4, 5])
        );
        let latest = late(&misfire(CatchUp::Latest, DAY, 10));
        assert_eq!(
            (caught_up(&latest), skipped(&latest)),
            (vec![5], vec![1, 2, 3, 4])
        );
        let all = late(&misfire(CatchUp::All, DAY, 10));
        assert_eq!(
            (caught_up(&all), skipped(&all)),
            (vec![1, 2, 3, 4, 5], vec![])
        );
        let max = late(&misfire(CatchUp::All, DAY, 2));
        assert_eq!(
            (caught_up(&max), skipped(&max)),
            (vec![4, 5], vec![1, 2, 3])
        );
        let window = late(&misfire(CatchUp::All, 3 * HOUR, 10));
        assert_eq!(
            (caught_up(&window), skipped(&window)),
            (vec![3, 4, 5], vec![1, 2])
        );
        let nothing = late(&misfire(CatchUp::All, DAY, 0));
        assert_eq!((caught_up(&nothing).len(), skipped(&nothing).len()), (0, 5));
    }

    #[test]
    fn caught_up_ones_come_before_those_on_time_in_nominal_order() {
        let plan = planned(
            &hourly(),
            &misfire(CatchUp::All, DAY, 10),
            10,
            3 * HOUR + 30,
        );
        assert_eq!((caught_up(&plan), on_time(&plan)), (vec![1, 2], vec![3]));
        assert_eq!(hours_of(plan.runs.iter().map(|(o, _)| o)), [1, 2, 3]);
    }

    #[test]
    fn latest_still_means_the_newest_late_one_when_another_is_on_time() {
        let plan = planned(
            &hourly(),
            &misfire(CatchUp::Latest, DAY, 10),
            10,
            3 * HOUR + 30,
        );
        assert_eq!(
            (caught_up(&plan), on_time(&plan), skipped(&plan)),
            (vec![2], vec![3], vec![1])
        );
    }

    #[test]
    fn few_missed_ones_have_a_record_each_and_many_are_one_range() {
        let none = misfire(CatchUp::None, DAY, 10);
        let few = planned(&every(MINUTE), &none, 0, 10 * MINUTE + 61);
        assert_eq!((few.skips.len(), few.missed), (10, Vec::new()));
        let many = planned(&every(MINUTE), &none, 0, 11 * MINUTE + 61);
        let range = TimeRange {
            after: at(0),
            upto: at(11 * MINUTE),
        };
        assert_eq!((many.skips.len(), many.missed), (0, vec![(range, 11)]));
    }

    #[test]
    fn the_range_of_missed_ones_ends_before_what_is_caught_up() {
        let plan = planned(
            &every(MINUTE),
            &misfire(CatchUp::All, DAY, 3),
            0,
            30 * MINUTE + 30,
        );
        let (range, count) = plan.missed[0];
        assert_eq!((range.upto, count), (at(26 * MINUTE), 26));
        assert_eq!(plan.runs[0].0.instant, at(27 * MINUTE));
    }

    #[test]
    fn what_is_on_record_is_not_decided_again() {
        let known = |o: &Occurrence| o.instant == at(2 * HOUR);
        let policy = misfire(CatchUp::All, DAY, 10);
        let plan = plan(
            &hourly(),
            &series(),
            &policy,
            at(10),
            at(3 * HOUR),
            &known,
            &mut |_| None,
        );
        assert_eq!((caught_up(&plan), on_time(&plan)), (vec![1], vec![3]));
    }

    fn aside_from(
        trigger: &Trigger,
        policy: &MisfirePolicy,
        (cursor, now): (i64, i64),
        mut why: impl FnMut(&Occurrence) -> Option<SkipReason>,
    ) -> Plan {
        let (cursor, now) = (at(cursor), at(now));
        plan(
            trigger,
            &series(),
            policy,
            cursor,
            now,
            &|_| false,
            &mut why,
        )
    }

    #[test]
    fn what_people_hold_back_is_passed_over_whenever_it_is_decided() {
        let policy = misfire(CatchUp::All, DAY, 10);
        let held = |o: &Occurrence| {
            let of = |from, upto| o.instant > at(from) && o.instant <= at(upto);
            let paused = of(2 * HOUR, 4 * HOUR).then_some(SkipReason::Paused);
            paused.or(of(4 * HOUR, 5 * HOUR).then_some(SkipReason::Asked))
        };
        let late = aside_from(&hourly(), &policy, (10, 6 * HOUR + 600), held);
        assert_eq!(caught_up(&late), [1, 2, 6]);
        let reasons: Vec<SkipReason> = late.skips.iter().map(|(_, reason)| *reason).collect();
        assert_eq!(
            reasons,
            [SkipReason::Paused, SkipReason::Paused, SkipReason::Asked]
        );
        assert_eq!(hours_of(late.skips.iter().map(|(o, _)| o)), [3, 4, 5]);
        assert_eq!(hours_of(late.paused.iter()), [3, 4]);
        let soon = aside_from(&hourly(), &policy, (3 * HOUR, 4 * HOUR), held);
        assert!(soon.runs.is_empty());
        assert_eq!(hours_of(soon.skips.iter().map(|(o, _)| o)), [4]);
    }

    #[test]
    fn what_is_held_back_in_bulk_is_one_range_for_each_reason_that_covers_nothing_else() {
        let policy = misfire(CatchUp::Latest, DAY, 10);
        let minute = |o: &Occurrence| (o.instant.as_second() - at(0).as_second()) / MINUTE;
        let held = |o: &Occurrence| match minute(o) {
            11..=30 | 41..=60 => Some(SkipReason::Paused),
            61..=80 => Some(SkipReason::Asked),
            _ => None,
        };
        let plan = aside_from(&every(MINUTE), &policy, (0, 100 * MINUTE + 70), held);
        let ranges: Vec<_> = plan
            .aside
            .iter()
            .map(|(r, n, why)| (r.upto, *n, *why))
            .collect();
        let expected = [
            (at(30 * MINUTE), 20, SkipReason::Paused),
            (at(60 * MINUTE), 20, SkipReason::Paused),
            (at(80 * MINUTE), 20, SkipReason::Asked),
        ];
        assert_eq!(ranges, expected);
        let covered = |t: i64| {
            let all = plan.missed.iter().map(|(r, _)| r);
            let all = all.chain(plan.aside.iter().map(|(r, ..)| r));
            all.filter(|r| at(t) > r.after && at(t) <= r.upto).count()
        };
        let own = |t: i64| {
            plan.skips
                .iter()
                .filter(|(o, _)| o.instant == at(t))
                .count()
        };
        let runs = |t: i64| plan.runs.iter().filter(|(o, _)| o.instant == at(t)).count();
        for t in (1..=101).map(|n| n * MINUTE) {
            assert_eq!(covered(t) + own(t) + runs(t), 1, "minute {}", t / MINUTE);
        }
        assert_eq!(plan.paused.len(), 1, "as many as the policy would run");
    }

    #[test]
    fn jitter_counts_when_an_occurrence_is_late() {
        // At 4:00:00 each of these has had its instant; whether it is late depends on its own offset.
        let jittered = trigger(Rhythm::Every(Duration::from_secs(600)), "UTC", 599);
        let policy = misfire(CatchUp::None, DAY, 10);
        for now in (0..7200).step_by(97) {
            let plan = planned(&jittered, &policy, now - 1200, now);
            for (occurrence, _) in &plan.runs {
                assert!(jittered.due(&series(), occurrence) >= at(now - 60));
            }
            for (occurrence, _) in &plan.skips {
                assert!(jittered.due(&series(), occurrence) < at(now - 60));
            }
        }
    }

    #[test]
    fn a_day_that_the_zone_does_not_have_is_on_record_and_does_not_run() {
        // Apia had no 30 December 2011.
        let apia = trigger(Rhythm::Cron(vec!["0 9 * * *".into()]), "Pacific/Apia", 0);
        let (from, now): (Timestamp, Timestamp) = (
            "2011-12-29T00:00:00Z".parse().unwrap(),
            "2011-12-31T12:00:00Z".parse().unwrap(),
        );
        let plan = plan(
            &apia,
            &series(),
            &misfire(CatchUp::All, 9 * DAY, 9),
            from,
            now,
            &|_| false,
            &mut |_| None,
        );
        let no_day: Vec<String> = plan
            .skips
            .iter()
            .filter(|(_, reason)| *reason == SkipReason::NoSuchDay)
            .map(|(o, _)| o.civil.to_string())
            .collect();
        assert_eq!(no_day, ["2011-12-30T09:00:00"]);
    }

    #[test]
    fn a_day_that_does_not_exist_within_a_missed_range_has_no_record_beside_it() {
        let apia = trigger(Rhythm::Cron(vec!["0 9 * * *".into()]), "Pacific/Apia", 0);
        let (from, now): (Timestamp, Timestamp) = (
            "2011-12-20T00:00:00Z".parse().unwrap(),
            "2012-01-20T12:00:00Z".parse().unwrap(),
        );
        let none = misfire(CatchUp::None, DAY, 9);
        let plan = plan(&apia, &series(), &none, from, now, &|_| false, &mut |_| {
            None
        });
        assert!(plan.skips.is_empty());
        assert_eq!(plan.missed.first().map(|(_, count)| *count), Some(32));
    }

    #[test]
    fn years_of_every_second_are_passed_over_in_bounded_time() {
        let plan = planned(
            &every(1),
            &misfire(CatchUp::Latest, HOUR, 10),
            0,
            1000 * DAY,
        );
        let (range, count) = plan.missed[0];
        assert!(count >= 100_000);
        assert_eq!(range.after, at(0));
        assert_eq!(plan.next.unwrap().instant, at(1000 * DAY + 1));
        assert_eq!(
            plan.runs
                .iter()
                .filter(|(_, o)| *o == Origin::CaughtUp)
                .count(),
            1
        );
    }

    fn some_rhythm() -> impl Strategy<Value = Rhythm> {
        prop_oneof![
            (1_i64..400).prop_map(|n| Rhythm::Every(Duration::from_secs(n as u64 * 30))),
            (0_u32..60, 0_u32..24).prop_map(|(m, h)| Rhythm::Cron(vec![format!("{m} {h} * * *")])),
            (1_u32..30).prop_map(|n| Rhythm::Cron(vec![format!("*/{n} * * * *")])),
            Just(Rhythm::Cron(vec![
                "15 2 * * *".into(),
                "30 1-3 * * *".into()
            ])),
        ]
    }

    fn some_policy() -> impl Strategy<Value = MisfirePolicy> {
        let how = prop_oneof![
            Just(CatchUp::None),
            Just(CatchUp::Latest),
            Just(CatchUp::All)
        ];
        (how, 0_i64..DAY, 0_u32..8).prop_map(|(how, window, max)| misfire(how, window, max))
    }

    /// Late in March, so that Madrid's clock change is among the spans.
    fn spring(seconds: i64) -> i64 {
        53 * DAY + seconds
    }

    proptest! {
        #[test]
        fn every_occurrence_of_a_span_is_in_exactly_one_place(
            rhythm in some_rhythm(), policy in some_policy(), jitter in 0_u64..300,
            cursor in 0_i64..2 * DAY, span in 0_i64..2 * DAY,
        ) {
            let trigger = trigger(rhythm, "Europe/Madrid", jitter);
            let (cursor, now) = (spring(cursor), spring(cursor + span));
            let plan = planned(&trigger, &policy, cursor, now);
            let mut counted = plan.runs.len() + plan.skips.len();
            let mut passed = 0;
            let mut at_time = at(cursor);
            while let Some(o) = trigger.after(at_time) && o.instant <= at(now) {
                at_time = o.instant;
                let listed = plan.runs.iter().map(|(o, _)| o).chain(plan.skips.iter().map(|(o, _)| o));
                let times = listed.filter(|listed| **listed == o).count();
                let in_range = plan.missed.iter().any(|(r, _)| o.instant > r.after && o.instant <= r.upto);
                prop_assert_eq!(times + usize::from(in_range), 1, "{:?}", o);
                passed += 1;
            }
            counted += plan.missed.iter().map(|(_, n)| *n as usize).sum::<usize>();
            prop_assert_eq!(counted, passed);
            prop_assert_eq!(plan.next.map(|o| o.instant), trigger.after(at(now)).map(|o| o.instant));
        }

        #[test]
        fn waking_in_between_changes_nothing_for_those_on_time(
            rhythm in some_rhythm(), policy in some_policy(), jitter in 0_u64..300,
            a in 0_i64..2 * DAY, first in 0_i64..60, second in 0_i64..60,
        ) {
            let trigger = trigger(rhythm, "Europe/Madrid", jitter);
            let (a, b, c) = (spring(a), spring(a + first), spring(a + first + second));
            let within = |plan: Plan| -> Vec<Timestamp> {
                let all = plan.runs.into_iter().filter(|(_, origin)| *origin == Origin::Planned);
                all.map(|(o, _)| o.instant).filter(|t| *t >= at(c - 60)).collect()
            };
            let mut twice = within(planned(&trigger, &policy, a, b));
            twice.extend(within(planned(&trigger, &policy, b, c)));
            let once = within(planned(&trigger, &policy, a, c));
            prop_assert_eq!(twice, once);
        }

        #[test]
        fn no_occurrence_is_decided_twice_on_any_walk(
            rhythm in some_rhythm(), policy in some_policy(), steps in prop::collection::vec(0_i64..9000, 1..12),
        ) {
            let trigger = trigger(rhythm, "Europe/Madrid", 0);
            let mut seen = std::collections::HashSet::new();
            let (mut cursor, mut ranges) = (spring(0), Vec::<TimeRange>::new());
            for step in steps {
                let plan = planned(&trigger, &policy, cursor, cursor + step);
                let listed = plan.runs.iter().map(|(o, _)| o).chain(plan.skips.iter().map(|(o, _)| o));
                for o in listed {
                    prop_assert!(seen.insert(o.instant));
                    prop_assert!(ranges.iter().all(|r| o.instant > r.upto));
                }
                ranges.extend(plan.missed.iter().map(|(range, _)| *range));
                cursor += step;
            }
        }
    }
}
