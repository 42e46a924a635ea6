//! Histories made by hand, and what is counted of each.

#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::sched::fault::{Fault, FaultClass};
use crate::sched::id::ClientKey;
use crate::sched::run::CancelWhy;
use crate::sched::trigger::{Rhythm, TriggerSpec};

const HOUR: u64 = 3600;

fn t(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn series() -> SeriesId {
    "tiles/hyper".parse().unwrap()
}

/// From 17:00 until 07:00, everything decided, by UTC.
fn night() -> Scope {
    Scope {
        since: t("2026-02-02T17:00:00Z"),
        until: t("2026-02-03T07:00:00Z"),
        now: t("2026-02-03T07:00:00Z"),
        mark: Some(t("2026-02-03T07:00:00Z")),
        zone: TimeZone::UTC,
        by_day: false,
        kept_since: t("2025-11-01T00:00:00Z"),
        kept_runs: 1000,
    }
}

fn trigger(cron: &str, name: &str) -> Trigger {
    let spec = TriggerSpec::new(Rhythm::Cron(vec![cron.to_owned()]), name);
    Trigger::new(&spec, zone(name), &series().schedule).unwrap()
}

fn planned(cron: &str) -> Planned {
    Planned {
        since: t("2026-01-01T00:00:00Z"),
        trigger: Some(trigger(cron, "UTC")),
    }
}

/// A run that started when it was due and succeeded within five minutes.
fn run(at: &str) -> Glance {
    let at = t(at);
    let after = |seconds| crate::sched::time::later(at, Duration::from_secs(seconds));
    Glance {
        instant: at,
        kind: RunKind::Generation(0),
        due: at,
        planned: at,
        tolerance: Some(Duration::from_secs(60)),
        outcome: Some(Outcome::Succeeded),
        resolved: None,
        cancel: None,
        attempts: 1,
        started: Some(after(1)),
        submitted: Some(after(1)),
        finished: Some(after(301)),
        fault: None,
    }
}

fn ended(at: &str, outcome: Outcome) -> Glance {
    Glance {
        outcome: Some(outcome),
        fault: Some(Fault::new(
            FaultClass::Permanent,
            "invalidQuery",
            "no such column",
        )),
        ..run(at)
    }
}

fn skipped(at: &str, reason: SkipReason) -> Glance {
    Glance {
        outcome: Some(Outcome::Skipped(reason)),
        attempts: 0,
        started: None,
        submitted: None,
        ..run(at)
    }
}

fn generation(n: u32, run: Glance) -> Glance {
    Glance {
        kind: RunKind::Generation(n),
        ..run
    }
}

fn missed(after: &str, upto: &str, count: u64, reason: SkipReason) -> Missed {
    Missed {
        series: series(),
        range: TimeRange {
            after: t(after),
            upto: t(upto),
        },
        count,
        reason,
        at: t(upto),
    }
}

fn counted_in(
    scope: Scope,
    planned: Option<&Planned>,
    runs: &[Glance],
    missed: &[Missed],
) -> Account {
    let mut account = Account::new(scope);
    account.series(&series(), planned, runs, missed);
    let nothing = |_: &Hole| Ok::<_, std::convert::Infallible>(Evidence::default());
    account.explain(nothing).unwrap();
    let c = &account.counts;
    let ends = c.succeeded + c.failed + c.timed_out + c.cancelled + c.lost + c.missed + c.live;
    assert_eq!(c.expected, ends + c.all_skipped() + c.unexplained, "{c:?}");
    account
}

fn counted(cron: &str, runs: &[Glance]) -> Account {
    counted_in(night(), Some(&planned(cron)), runs, &[])
}

fn wrong(account: &Account) -> Vec<(&'static str, u64)> {
    let all = account.all_wrong();
    all.iter().map(|w| (w.end.word(), w.count)).collect()
}

#[test]
fn each_end_is_counted_once_and_what_is_bad_is_wrong() {
    let outcomes = [
        (Outcome::Succeeded, "succeeded"),
        (Outcome::Failed, "failed"),
        (Outcome::TimedOut, "timed_out"),
        (Outcome::Cancelled, "cancelled"),
        (Outcome::Lost, "lost"),
        (Outcome::Skipped(SkipReason::Missed), "missed"),
    ];
    for (outcome, word) in outcomes {
        let account = counted("0 2 * * *", &[ended("2026-02-03T02:00:00Z", outcome)]);
        assert_eq!(account.counts.expected, 1);
        assert_eq!(account.counts.unexplained, 0);
        let c = &account.counts;
        let counted = match word {
            "succeeded" => c.succeeded,
            "failed" => c.failed,
            "timed_out" => c.timed_out,
            "cancelled" => c.cancelled,
            "lost" => c.lost,
            _ => c.missed,
        };
        assert_eq!(counted, 1, "{word}");
        let expected = if word == "succeeded" {
            vec![]
        } else {
            vec![(word, 1)]
        };
        assert_eq!(wrong(&account), expected);
    }
    let live = Glance {
        outcome: None,
        finished: None,
        ..run("2026-02-03T02:00:00Z")
    };
    let account = counted("0 2 * * *", &[live]);
    assert_eq!((account.counts.live, wrong(&account)), (1, vec![]));
}

#[test]
fn an_occurrence_without_a_record_is_unexplained_and_comes_first() {
    let runs = [
        ended("2026-02-03T02:00:00Z", Outcome::Failed),
        run("2026-02-03T04:00:00Z"),
    ];
    let account = counted("0 2-4 * * *", &runs);
    assert_eq!(account.counts.expected, 3);
    assert_eq!(wrong(&account), [("unexplained", 1), ("failed", 1)]);
    assert_eq!(account.all_wrong()[0].at, t("2026-02-03T03:00:00Z"));
}

#[test]
fn the_newest_generation_says_how_an_occurrence_ended() {
    let at = "2026-02-03T02:00:00Z";
    let runs = [
        ended(at, Outcome::Failed),
        generation(1, run(at)),
        run("2026-02-03T03:00:00Z"),
        generation(1, ended("2026-02-03T03:00:00Z", Outcome::Lost)),
    ];
    let account = counted("0 2,3 * * *", &runs);
    let c = &account.counts;
    assert_eq!((c.expected, c.succeeded, c.retried, c.lost), (2, 1, 1, 1));
    assert_eq!(wrong(&account), [("lost", 1)]);
}

#[test]
fn a_second_attempt_is_a_retry_too() {
    let twice = Glance {
        attempts: 2,
        ..run("2026-02-03T02:00:00Z")
    };
    let account = counted("0 2 * * *", &[twice]);
    assert_eq!((account.counts.succeeded, account.counts.retried), (1, 1));
}

#[test]
fn a_lost_run_counts_as_the_person_said_who_looked() {
    let at = "2026-02-03T02:00:00Z";
    let said = |ended_as| Glance {
        resolved: Some(ended_as),
        ..ended(at, Outcome::Lost)
    };
    let well = counted("0 2 * * *", &[said(Ended::Succeeded)]);
    assert_eq!((well.counts.succeeded, well.counts.resolved), (1, 1));
    assert!(wrong(&well).is_empty());
    let badly = counted("0 2 * * *", &[said(Ended::Failed)]);
    assert_eq!((badly.counts.failed, badly.counts.lost), (1, 0));
}

#[test]
fn late_is_what_started_beyond_its_tolerance_and_waits_for_nobody() {
    let at = "2026-02-03T02:00:00Z";
    let started = |seconds, tolerance| Glance {
        started: Some(crate::sched::time::later(
            t(at),
            Duration::from_secs(seconds),
        )),
        tolerance,
        ..run(at)
    };
    let minute = Some(Duration::from_secs(60));
    for (run, late) in [
        (started(60, minute), 0),
        (started(61, minute), 1),
        (started(HOUR, None), 0),
    ] {
        let account = counted("0 2 * * *", &[run]);
        assert_eq!((account.counts.late, account.counts.succeeded), (late, 1));
        assert!(wrong(&account).is_empty(), "late alone is no fault");
    }
}

#[test]
fn skips_that_somebody_wanted_are_fine_and_others_are_not() {
    use SkipReason::*;
    for (reason, fine) in [
        (Paused, true),
        (Asked, true),
        (Observed, true),
        (NoSuchDay, true),
        (NoPredecessor, true),
        (PredecessorSucceeded, true),
        (StartDeadline, false),
        (PredecessorUnknown, false),
        (PredecessorAwaited, false),
        (Blocked, false),
        (Busy, false),
        (BufferFull, false),
    ] {
        let account = counted("0 2 * * *", &[skipped("2026-02-03T02:00:00Z", reason)]);
        assert_eq!(account.counts.skipped[reason.word()], 1);
        assert_eq!(wrong(&account).is_empty(), fine, "{reason:?}");
    }
}

#[test]
fn what_overlap_passes_over_is_fine_once_a_later_run_succeeded() {
    let busy = skipped("2026-02-03T02:00:00Z", SkipReason::Busy);
    let later = run("2026-02-03T03:00:00Z");
    assert!(wrong(&counted("0 2,3 * * *", &[busy.clone(), later])).is_empty());
    let failed = ended("2026-02-03T03:00:00Z", Outcome::Failed);
    let account = counted("0 2,3 * * *", &[busy, failed]);
    assert_eq!(wrong(&account), [("failed", 1), ("skipped", 1)]);
}

#[test]
fn a_cancel_is_wrong_when_nobody_here_asked_for_it() {
    let stopped = ended("2026-02-03T02:00:00Z", Outcome::Cancelled);
    assert_eq!(
        wrong(&counted("0 2 * * *", std::slice::from_ref(&stopped))),
        [("cancelled", 1)]
    );
    for why in [CancelWhy::Asked, CancelWhy::Superseded, CancelWhy::Removed] {
        let asked = Glance {
            cancel: Some(why),
            ..stopped.clone()
        };
        assert!(wrong(&counted("0 2 * * *", &[asked])).is_empty());
    }
}

#[test]
fn runs_by_hand_are_expected_by_no_trigger_and_made_good_by_a_later_success() {
    let hand = |run| Glance {
        kind: RunKind::Manual(ClientKey::new("0f3a").unwrap()),
        ..run
    };
    let failed = hand(ended("2026-02-02T20:00:00Z", Outcome::Failed));
    let account = counted("0 2 * * *", &[failed.clone(), run("2026-02-03T02:00:00Z")]);
    assert_eq!((account.counts.expected, account.by_hand.failed), (1, 1));
    assert!(wrong(&account).is_empty());
    let alone = counted("0 2 1 1 *", &[failed]);
    assert_eq!(
        (alone.counts.expected, wrong(&alone)),
        (0, vec![("failed", 1)])
    );
}

#[test]
fn a_range_of_missed_times_covers_what_lies_in_it() {
    let range = missed(
        "2026-02-02T20:30:00Z",
        "2026-02-03T01:00:00Z",
        5,
        SkipReason::Missed,
    );
    let runs = [run("2026-02-02T20:00:00Z"), run("2026-02-03T02:00:00Z")];
    let account = counted_in(
        night(),
        Some(&planned("0 20-23,0-2 * * *")),
        &runs,
        &[range],
    );
    let c = &account.counts;
    assert_eq!(
        (c.expected, c.succeeded, c.missed, c.unexplained),
        (7, 2, 5, 0)
    );
    assert_eq!(wrong(&account), [("missed", 5)]);
}

#[test]
fn of_a_range_that_reaches_beyond_the_span_only_its_part_counts() {
    let range = missed(
        "2026-01-10T00:00:00Z",
        "2026-02-02T19:00:00Z",
        571,
        SkipReason::Paused,
    );
    let mut scope = night();
    scope.until = t("2026-02-02T19:30:00Z");
    let whole = counted_in(
        scope.clone(),
        Some(&planned("0 * * * *")),
        &[],
        std::slice::from_ref(&range),
    );
    assert_eq!(whole.counts.skipped["paused"], 3, "17:00, 18:00 and 19:00");
    assert!(wrong(&whole).is_empty());
    // the same when the series is planned since later, so that only the range tells of it
    let since_later = Planned {
        since: t("2026-02-02T19:10:00Z"),
        ..planned("0 * * * *")
    };
    let part = counted_in(scope, Some(&since_later), &[], &[range]);
    assert_eq!(part.counts.skipped["paused"], 3);
}

#[test]
fn what_was_backfilled_of_a_missed_range_is_counted_once() {
    let range = missed(
        "2026-02-02T19:30:00Z",
        "2026-02-02T23:00:00Z",
        4,
        SkipReason::Missed,
    );
    let backfilled = generation(1, run("2026-02-02T21:00:00Z"));
    for since in ["2026-01-01T00:00:00Z", "2026-02-02T23:10:00Z"] {
        let planned = Planned {
            since: t(since),
            ..planned("0 20-23 * * *")
        };
        let account = counted_in(
            night(),
            Some(&planned),
            std::slice::from_ref(&backfilled),
            std::slice::from_ref(&range),
        );
        let c = &account.counts;
        assert_eq!(
            (c.expected, c.succeeded, c.retried, c.missed),
            (4, 1, 1, 3),
            "{since}"
        );
    }
}

#[test]
fn a_series_that_was_added_in_the_span_has_no_past() {
    let newborn = Planned {
        since: t("2026-02-03T01:30:00Z"),
        ..planned("0 * * * *")
    };
    let runs = ["02", "03", "04", "05", "06"].map(|h| run(&format!("2026-02-03T{h}:00:00Z")));
    let account = counted_in(night(), Some(&newborn), &runs, &[]);
    assert_eq!(
        (account.counts.expected, account.counts.unexplained),
        (5, 0)
    );
    assert_eq!(account.left_out.changed, 1);
}

#[test]
fn of_a_series_that_was_retimed_the_record_says_what_was_expected_before() {
    // hourly until 01:30, then at 04:45 only
    let retimed = Planned {
        since: t("2026-02-03T01:30:00Z"),
        ..planned("45 4 * * *")
    };
    let mut runs: Vec<Glance> = (17..24)
        .map(|h| run(&format!("2026-02-02T{h}:00:00Z")))
        .collect();
    runs.extend(["00", "01"].map(|h| run(&format!("2026-02-03T{h}:00:00Z"))));
    let account = counted_in(night(), Some(&retimed), &runs, &[]);
    assert_eq!(
        (account.counts.expected, account.counts.unexplained),
        (10, 1)
    );
    runs.push(run("2026-02-03T04:45:00Z"));
    let account = counted_in(night(), Some(&retimed), &runs, &[]);
    assert_eq!(
        (account.counts.expected, account.counts.unexplained),
        (10, 0)
    );
}

#[test]
fn of_a_series_that_was_removed_the_record_says_all() {
    let runs = [run("2026-02-02T18:00:00Z"), run("2026-02-02T19:00:00Z")];
    let range = missed(
        "2026-02-02T19:30:00Z",
        "2026-02-02T22:00:00Z",
        12,
        SkipReason::Missed,
    );
    let account = counted_in(night(), None, &runs, &[range]);
    let c = &account.counts;
    assert_eq!(
        (c.expected, c.succeeded, c.missed, c.unexplained),
        (14, 2, 12, 0)
    );
}

#[test]
fn what_lies_after_the_mark_is_to_come_and_undecided_once_it_is_long_due() {
    let mut scope = night();
    scope.mark = Some(t("2026-02-03T03:30:00Z"));
    let runs = [run("2026-02-03T02:00:00Z"), run("2026-02-03T03:00:00Z")];
    let hourly = planned("0 2-6 * * *");
    let account = counted_in(scope.clone(), Some(&hourly), &runs, &[]);
    assert_eq!(
        (account.counts.expected, account.counts.unexplained),
        (2, 0)
    );
    assert_eq!(account.undecided, 3, "04:00, 05:00 and 06:00");
    scope.now = t("2026-02-03T04:04:59Z");
    scope.until = scope.now;
    let account = counted_in(scope, Some(&hourly), &runs, &[]);
    assert_eq!(account.undecided, 0, "the mark is stored once a minute");
}

#[test]
fn nothing_is_unexplained_that_retention_may_have_deleted() {
    let mut old = night();
    old.kept_since = t("2026-02-03T02:30:00Z");
    let account = counted_in(
        old,
        Some(&planned("0 2,3 * * *")),
        &[run("2026-02-03T03:00:00Z")],
        &[],
    );
    assert_eq!((account.counts.expected, account.left_out.deleted), (1, 1));
    let mut few = night();
    few.kept_runs = 2;
    let runs = ["04", "05", "06"].map(|h| run(&format!("2026-02-03T{h}:00:00Z")));
    let account = counted_in(few, Some(&planned("0 2-6 * * *")), &runs, &[]);
    assert_eq!(
        (account.counts.expected, account.counts.unexplained),
        (3, 0)
    );
    assert_eq!(account.left_out.deleted, 2);
}

#[test]
fn evidence_of_the_database_explains_a_hole() {
    let asked = |evidence: Evidence| {
        let mut account = Account::new(night());
        account.series(&series(), Some(&planned("0 2 * * *")), &[], &[]);
        let mut holes = 0;
        let found = account.explain(|hole| {
            assert_eq!(hole.occurrence.instant, t("2026-02-03T02:00:00Z"));
            holes += 1;
            Ok::<_, ()>(evidence)
        });
        found.unwrap();
        assert_eq!(holes, 1);
        account
    };
    assert_eq!(asked(Evidence::default()).counts.unexplained, 1);
    let newer_ones = Evidence {
        kept_from: Some(t("2026-02-03T02:00:01Z")),
        ..Evidence::default()
    };
    assert_eq!(asked(newer_ones).left_out.deleted, 1);
    let in_another_zone = Evidence {
        has_nominal: true,
        ..Evidence::default()
    };
    let account = asked(in_another_zone);
    assert_eq!(account.left_out.decided_before, 1);
    assert_eq!(account.counts.expected, 0);
}

#[test]
fn the_night_of_a_clock_change_expects_what_the_trigger_says() {
    let madrid = |since: &str, until: &str, runs: &[&str]| {
        let mut scope = night();
        (scope.since, scope.until) = (t(since), t(until));
        scope.now = scope.until;
        scope.mark = Some(scope.until);
        let every_half_hour = Planned {
            since: t("2026-01-01T00:00:00Z"),
            trigger: Some(trigger("15 2 * * *", "Europe/Madrid")),
        };
        let runs: Vec<Glance> = runs.iter().map(|at| run(at)).collect();
        counted_in(scope, Some(&every_half_hour), &runs, &[]).counts
    };
    // 02:15 does not exist: it runs at the end of the gap
    let gap = madrid(
        "2026-03-28T16:00:00Z",
        "2026-03-29T06:00:00Z",
        &["2026-03-29T01:00:00Z"],
    );
    assert_eq!((gap.expected, gap.succeeded, gap.unexplained), (1, 1, 0));
    // 02:15 is twice: it runs at the first
    let fold = madrid(
        "2026-10-24T16:00:00Z",
        "2026-10-25T06:00:00Z",
        &["2026-10-25T00:15:00Z"],
    );
    assert_eq!((fold.expected, fold.succeeded, fold.unexplained), (1, 1, 0));
}

#[test]
fn a_week_has_a_sum_a_day_in_the_zone_of_the_report() {
    let mut scope = night();
    scope.by_day = true;
    scope.zone = zone("Europe/Madrid");
    let runs = [run("2026-02-02T22:30:00Z"), run("2026-02-02T23:30:00Z")];
    let account = counted_in(scope, Some(&planned("30 22,23 * * *")), &runs, &[]);
    let days: Vec<(String, u64)> = account
        .days
        .iter()
        .map(|(day, counts)| (day.to_string(), counts.expected))
        .collect();
    assert_eq!(
        days,
        [("2026-02-02".to_owned(), 1), ("2026-02-03".to_owned(), 1)]
    );
}

#[test]
fn a_series_whose_zone_is_not_known_is_counted_from_the_record() {
    let unknown = Planned {
        since: t("2026-01-01T00:00:00Z"),
        trigger: None,
    };
    let account = counted_in(night(), Some(&unknown), &[run("2026-02-03T02:00:00Z")], &[]);
    assert_eq!(
        (account.counts.expected, account.left_out.not_worked_out),
        (1, 1)
    );
}

#[test]
fn ends_that_repeat_are_told_once_with_the_newest() {
    let runs =
        ["02", "03", "04"].map(|h| ended(&format!("2026-02-03T{h}:00:00Z"), Outcome::Failed));
    let account = counted("0 2-4 * * *", &runs);
    let [told] = account.all_wrong().try_into().unwrap();
    assert_eq!((told.count, told.at), (3, t("2026-02-03T04:00:00Z")));
    let run = told.run.unwrap().to_string();
    assert_eq!(run, "tiles/hyper@2026-02-03T04:00:00Z");
    assert!(told.fault.unwrap().contains("no such column"));
}

mod property {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Each occurrence has one fate; what has none is unexplained, and nothing is counted twice.
        #[test]
        fn the_sums_add_up_whatever_became_of_each_occurrence(
            fates in prop::collection::vec(0_u8..7, 14),
            cursor in 0_usize..16,
        ) {
            let at = |hour: usize| {
                crate::sched::time::later(t("2026-02-02T17:00:00Z"), Duration::from_secs(hour as u64 * HOUR))
            };
            let mut runs = Vec::new();
            let mut ranges = Vec::new();
            let mut recorded = 0;
            let mut holes = 0;
            for (hour, fate) in fates.iter().enumerate() {
                let text = at(hour).to_string();
                let after = earlier(at(hour), Duration::from_nanos(1)).to_string();
                recorded += u64::from(*fate != 6);
                match fate {
                    0 => runs.push(run(&text)),
                    1 => runs.push(ended(&text, Outcome::Failed)),
                    2 => runs.push(skipped(&text, SkipReason::Paused)),
                    3 => runs.extend([ended(&text, Outcome::Lost), generation(1, run(&text))]),
                    4 => ranges.push(missed(&after, &text, 1, SkipReason::Missed)),
                    5 => runs.push(Glance { outcome: None, finished: None, ..run(&text) }),
                    // before the cursor nobody can say that something was expected
                    _ => holes += u64::from(hour >= cursor),
                }
            }
            let since = earlier(at(cursor), Duration::from_nanos(1));
            let planned = Planned { since, ..planned("0 * * * *") };
            let counts = counted_in(night(), Some(&planned), &runs, &ranges).counts;
            prop_assert_eq!(counts.unexplained, holes);
            prop_assert_eq!(counts.expected, recorded + holes);
        }
    }
}
