//! What follows from how predecessors ended, case by case.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::sched::call::{Parameters, Target};
use crate::sched::id::ConnectionName;
use crate::sched::policy::{DoubtPolicy, MisfirePolicy, OverlapPolicy, Policies, RetryPolicy};
use crate::sched::run::{Origin, RunState};
use crate::sched::schedule::Definition;
use crate::sched::time::TimeZone;
use crate::sched::trigger::{Fold, Rhythm, TriggerSpec};

fn name(text: &str) -> ScheduleName {
    ScheduleName::new(text).unwrap()
}

fn series() -> SeriesId {
    "ingest/default".parse().unwrap()
}

fn minute(n: i64) -> Timestamp {
    Timestamp::from_second(1_770_076_800 + n * 60).unwrap()
}

fn definition() -> Arc<Definition> {
    let hour = Duration::from_secs(3600);
    Arc::new(Definition {
        series: series(),
        trigger: TriggerSpec::new(Rhythm::Every(hour), "UTC").into(),
        connection: ConnectionName::new("c").unwrap(),
        target: Target {
            base_url: "https://host".into(),
            connection: "c".into(),
        },
        query: "CALL x()".into(),
        parameters: Parameters::Positional(Vec::new()).into(),
        policies: Policies {
            misfire: MisfirePolicy::default(),
            overlap: OverlapPolicy::default(),
            retry: RetryPolicy::default(),
            doubt: DoubtPolicy::default(),
        },
        timeout: hour,
        start_deadline: hour,
        cancel_grace: hour,
        priority: 0,
        after: None,
    })
}

/// A run of that minute, of a generation; live without an outcome.
fn run(n: i64, generation: u32, outcome: Option<Outcome>) -> Run {
    let id = RunId {
        kind: RunKind::Generation(generation),
        ..RunId::planned(series(), minute(n))
    };
    let civil = minute(n).to_zoned(TimeZone::UTC).datetime();
    // A later generation is due when it was asked for.
    let due = minute(if generation == 0 { n } else { 1000 });
    let mut run = Run::pending(
        id,
        (civil, Fold::First, &TimeZone::UTC),
        due,
        Origin::Planned,
        definition(),
        due,
        Arc::from("hash"),
    );
    if let Some(outcome) = outcome {
        run.state = RunState::Finished(outcome);
    }
    run
}

fn day(runs: &[Run]) -> Day {
    let mut day = Day::default();
    runs.iter().for_each(|run| day.note(run));
    day
}

fn judged(on: On, days: &[&Day], due: i64) -> Verdict {
    let of = |day: &&Day| Standing::of(&name("ingest")).with(&series(), day, minute(due));
    let standings: Vec<Standing> = days.iter().map(of).collect();
    let schedules = vec![name("ingest")];
    After { schedules, on }.decide(&standings)
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Start => "start",
        Verdict::Wait(_) => "wait",
        Verdict::Stuck(_) => "stuck",
        Verdict::NoPredecessor(_) => "none",
        Verdict::AllWell => "all well",
    }
}

const GOOD: Option<Outcome> = Some(Outcome::Succeeded);
const BAD: Option<Outcome> = Some(Outcome::Failed);

fn skipped(reason: SkipReason) -> Option<Outcome> {
    Some(Outcome::Skipped(reason))
}

#[test]
fn each_choice_follows_how_the_runs_of_the_date_ended() {
    let busy = skipped(SkipReason::Busy);
    // What is on record, then what follows on success, on any, on failure.
    let table = [
        (vec![], ["none", "none", "none"]),
        (vec![run(1, 0, GOOD)], ["start", "start", "all well"]),
        (vec![run(1, 0, BAD)], ["stuck", "start", "start"]),
        (vec![run(1, 0, None)], ["wait", "wait", "wait"]),
        (
            vec![run(1, 0, BAD), run(2, 0, None)],
            ["wait", "wait", "wait"],
        ),
        (
            vec![run(1, 0, GOOD), run(2, 0, BAD)],
            ["stuck", "start", "start"],
        ),
        (vec![run(1, 0, busy)], ["stuck", "start", "start"]),
        (
            vec![run(1, 0, busy), run(2, 0, GOOD)],
            ["start", "start", "all well"],
        ),
        (vec![run(11, 0, GOOD)], ["none", "none", "none"]),
        (
            vec![run(1, 0, GOOD), run(11, 0, BAD)],
            ["start", "start", "all well"],
        ),
    ];
    for (runs, expected) in table {
        let day = day(&runs);
        let verdicts = On::ALL.map(|(on, _)| word(&judged(on, &[&day], 10)));
        assert_eq!(verdicts, expected, "{runs:#?}");
    }
}

#[test]
fn every_end_but_success_is_none_of_success() {
    let late = skipped(SkipReason::StartDeadline);
    let ends = [
        BAD,
        Some(Outcome::TimedOut),
        Some(Outcome::Cancelled),
        Some(Outcome::Lost),
        late,
        skipped(SkipReason::PredecessorAwaited),
    ];
    for end in ends {
        let verdict = judged(On::Success, &[&day(&[run(1, 0, end)])], 10);
        assert!(matches!(verdict, Verdict::Stuck(_)), "{end:?}");
    }
}

#[test]
fn of_several_generations_the_newest_counts_at_the_time_of_the_first() {
    let mended = day(&[run(1, 0, BAD), run(1, 1, None), run(1, 1, GOOD)]);
    assert_eq!(judged(On::Success, &[&mended], 1), Verdict::Start);
    let again = day(&[run(1, 0, BAD), run(1, 1, None)]);
    assert_eq!(
        judged(On::Success, &[&again], 1),
        Verdict::Wait(run(1, 1, None).id)
    );
    let worse = day(&[run(1, 0, GOOD), run(1, 1, BAD)]);
    assert_eq!(word(&judged(On::Success, &[&worse], 1)), "stuck");
    let old_news = day(&[run(1, 1, BAD), run(1, 0, GOOD)]);
    assert_eq!(old_news, day(&[run(1, 1, BAD)]));
}

#[test]
fn one_without_work_is_as_if_it_was_not_there() {
    for reason in [SkipReason::NoPredecessor, SkipReason::PredecessorSucceeded] {
        let idle = day(&[run(1, 0, None), run(1, 0, skipped(reason))]);
        assert_eq!(idle, Day::default());
    }
}

#[test]
fn a_predecessor_without_a_run_counts_before_what_another_does() {
    let (none, live) = (Day::default(), day(&[run(1, 0, None)]));
    assert_eq!(word(&judged(On::Any, &[&live, &none], 10)), "none");
}

#[test]
fn a_run_by_hand_is_no_occurrence() {
    let mut by_hand = run(1, 0, GOOD);
    by_hand.id.kind = RunKind::Manual("k".parse().unwrap());
    assert_eq!(day(&[by_hand]), Day::default());
}

#[test]
fn a_date_with_very_many_failures_is_bounded_and_never_taken_for_well() {
    let many = 5 * TOLD_APART as i64;
    let mut day = Day::default();
    for n in 0..many {
        day.note(&run(n, 0, BAD));
    }
    assert!(day.open.len() <= TOLD_APART);
    for n in 0..many {
        day.note(&run(n, 1, GOOD));
    }
    assert_eq!(word(&judged(On::Success, &[&day], 100_000)), "stuck");
}

#[test]
fn a_set_has_its_like_for_predecessor_and_else_all() {
    let set = |text: &str| SetName::new(text).unwrap();
    let there = [set("north"), set("south")];
    assert_eq!(sets_for(&set("south"), &there), &there[1..]);
    assert_eq!(sets_for(&set("west"), &there), &there);
    assert!(sets_for(&set("west"), &[]).is_empty());
}

#[test]
fn the_date_is_the_nominal_one_within_a_zone_and_that_of_the_clocks_elsewhere() {
    let zone = |name: &str| TimeZone::get(name).unwrap();
    // In Nuuk the clock leaves out 23:00 to 24:00 of 30 March 2024: what is named 23:30 runs at 00:00 of the next day.
    let missing = civil::date(2024, 3, 30).at(23, 30, 0, 0);
    let instant: Timestamp = "2024-03-31T01:00:00Z".parse().unwrap();
    let of = |there: &str, own: &str| date_in((there, &zone(there)), own, missing, instant);
    let nuuk = "America/Nuuk";
    assert_eq!(of(nuuk, nuuk).to_string(), "2024-03-30");
    assert_eq!(of("UTC", nuuk).to_string(), "2024-03-31");
    assert_eq!(of("Pacific/Honolulu", nuuk).to_string(), "2024-03-30");
}
