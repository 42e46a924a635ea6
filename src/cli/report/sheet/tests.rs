//! What is fine, what is slow, what comes: reports made of what was read.

#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::sched::act::{By, SkipWhat};
use crate::sched::trigger::{Rhythm, TriggerSpec};

const MINUTE: u64 = 60;

fn t(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn scope() -> Scope {
    Scope {
        since: t("2026-02-02T17:00:00Z"),
        until: t("2026-02-03T07:00:00Z"),
        now: t("2026-02-03T07:00:00Z"),
        mark: Some(t("2026-02-03T06:59:30Z")),
        zone: TimeZone::UTC,
        by_day: false,
        kept_since: Timestamp::MIN,
        kept_runs: 1000,
    }
}

fn hourly(name: &str) -> (SeriesId, Planned) {
    let series: SeriesId = name.parse().unwrap();
    let spec = TriggerSpec::new(Rhythm::Cron(vec!["0 * * * *".to_owned()]), "UTC");
    let trigger = Trigger::new(&spec, TimeZone::UTC, &series.schedule).unwrap();
    let planned = Planned {
        since: t("2026-02-03T06:30:00Z"),
        trigger: Some(trigger),
    };
    (series, planned)
}

fn reading() -> Reading {
    Reading {
        recorded: true,
        planned: BTreeMap::from([hourly("a/default"), hourly("b/default")]),
        ..Reading::default()
    }
}

fn report(reading: Reading) -> Report {
    of(scope(), reading)
}

fn of(scope: Scope, reading: Reading) -> Report {
    Report::of(Account::new(scope), reading, (t("2026-02-04T08:00:00Z"), 3))
}

fn long(took: u64) -> Long {
    Long {
        run: RunId::planned("a/default".parse().unwrap(), t("2026-02-03T02:00:00Z")),
        took: Duration::from_secs(took),
    }
}

fn minutes(all: &[u64]) -> Vec<Duration> {
    all.iter()
        .map(|n| Duration::from_secs(n * MINUTE))
        .collect()
}

#[test]
fn with_nothing_wrong_all_is_fine_and_there_is_nothing_to_type() {
    let report = report(reading());
    assert!(report.fine && report.next.is_none());
}

#[test]
fn what_is_wrong_now_is_not_fine_although_the_night_was() {
    let incident = Incident {
        since: t("2026-02-03T05:00:00Z"),
        at: t("2026-02-03T05:01:00Z"),
        fault: "http 503".to_owned(),
    };
    let connection: ConnectionName = "dw".parse().unwrap();
    let down = Reading {
        incidents: vec![(connection.clone(), incident)],
        ..reading()
    };
    assert_eq!(report(down).next.as_deref(), Some("status"));
    let bug = Reading {
        notices: vec![(NoticeKind::Bug, 1)],
        ..reading()
    };
    assert_eq!(report(bug).next.as_deref(), Some("status"));
    let behind = Scope {
        mark: Some(t("2026-02-03T06:54:00Z")),
        ..scope()
    };
    let report_of = of(behind, reading());
    assert!(report_of.behind && !report_of.fine);
    let nothing = Reading {
        recorded: false,
        ..reading()
    };
    assert_eq!(report(nothing).next.as_deref(), Some("daemon"));
}

#[test]
fn a_span_that_ended_long_ago_needs_no_daemon_that_runs_now() {
    let then = Scope {
        now: t("2026-02-09T07:00:00Z"),
        mark: Some(t("2026-02-05T00:00:00Z")),
        ..scope()
    };
    assert!(!of(then, reading()).behind);
}

#[test]
fn tokens_are_told_within_a_week_and_only_an_expired_one_is_wrong() {
    let of_tokens = |end: &str| {
        let connection: ConnectionName = "dw".parse().unwrap();
        report(Reading {
            tokens: vec![(connection, t(end))],
            ..reading()
        })
    };
    assert!(of_tokens("2026-02-10T07:00:00Z").tokens.is_empty());
    let soon = of_tokens("2026-02-10T06:59:59Z");
    assert_eq!((soon.tokens.len(), soon.fine), (1, true));
    let expired = of_tokens("2026-02-03T07:00:00Z");
    assert_eq!(expired.next.as_deref(), Some("doctor"));
}

#[test]
fn slow_is_half_as_long_again_as_usual_and_a_minute_more() {
    let slow_of = |took: u64, before: &[u64]| {
        let usual = vec![(long(took), minutes(before))];
        let found = slow(&[long(took)], usual);
        found[0].usually
    };
    let ten = Duration::from_secs(10 * MINUTE);
    assert_eq!(
        slow_of(15 * MINUTE, &[9, 10, 30]),
        None,
        "not more than half"
    );
    assert_eq!(slow_of(15 * MINUTE + 1, &[9, 10, 30]), Some(ten));
    assert_eq!(slow_of(119, &[1, 1, 1]), None, "less than a minute more");
    assert_eq!(
        slow_of(60 * MINUTE, &[10, 10]),
        None,
        "nothing is usual yet"
    );
}

#[test]
fn without_a_slow_run_the_longest_are_told_the_worst_five_first() {
    let all: Vec<Long> = (1..=7).map(|n| long(n * MINUTE)).collect();
    let told: Vec<u64> = slow(&all, Vec::new())
        .iter()
        .map(|slow| slow.took.as_secs() / MINUTE)
        .collect();
    assert_eq!(told, [7, 6, 5, 4, 3]);
    let usual = all
        .iter()
        .map(|l| (l.clone(), minutes(&[1, 1, 1])))
        .collect();
    let told: Vec<u64> = slow(&all, usual)
        .iter()
        .map(|slow| slow.took.as_secs() / MINUTE)
        .collect();
    assert_eq!(told, [7, 6, 5, 4, 3], "by how many times as long as usual");
}

#[test]
fn what_comes_is_counted_the_first_listed_and_what_is_held_back_said() {
    let by = || By::new("ana", Some("frozen"));
    let (b, _) = hourly("b/default");
    let report = report(Reading {
        pauses: vec![Pause {
            scope: crate::sched::act::Scope::Schedule(b.schedule.clone()),
            since: t("2026-02-03T01:00:00Z"),
            until: Some(t("2026-02-03T09:30:00Z")),
            by: by(),
        }],
        skips: vec![Skip {
            series: hourly("a/default").0,
            what: SkipWhat::Next(1),
            at: t("2026-02-03T01:00:00Z"),
            by: by(),
        }],
        ..reading()
    });
    let Coming {
        count, held, first, ..
    } = &report.coming;
    // 08:00 to 07:00 of the next day, of each
    assert_eq!((*count, *held), (48, 3));
    let told: Vec<(String, String, bool)> = first
        .iter()
        .map(|n| (n.at.to_string(), n.series.to_string(), n.held.is_some()))
        .collect();
    let row = |at: &str, series: &str, held| (at.to_owned(), series.to_owned(), held);
    assert_eq!(
        told,
        [
            row("2026-02-03T08:00:00Z", "a/default", true),
            row("2026-02-03T08:00:00Z", "b/default", true),
            row("2026-02-03T09:00:00Z", "a/default", false),
        ]
    );
    assert!(report.fine, "a pause is what somebody wants");
}
