//! What is stored of a definition, and what statements cost: counted, so that neither grows unseen.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rusqlite::StatementStatus;
use rusqlite::trace::{TraceEvent, TraceEventCodes};

use super::commit::{Known, commit};
use super::glance::{each_series, has_nominal, notices_by_kind, oldest_of_newest, took_before};
use super::read::{in_force, planned_after, runs, saved, story};
use super::*;
use crate::sched::call::{Parameters, Target};
use crate::sched::fault::{Fault, FaultClass};
use crate::sched::id::{ClientKey, ConnectionName, JobId, RunKind};
use crate::sched::outcome::Outcome;
use crate::sched::policy::{DoubtPolicy, MisfirePolicy, OverlapPolicy, Policies, RetryPolicy};
use crate::sched::run::{Origin, Record, RunState};
use crate::sched::schedule::Definition;
use crate::sched::step::RECENT;
use crate::sched::time::{Mono, Now, TimeZone, civil, earlier};
use crate::sched::trigger::{Fold, Occurrence, Rhythm, Shape, TriggerSpec};
use crate::sched::written::Written;

fn definition(series: &str, priority: i32) -> Arc<Definition> {
    Arc::new(Definition {
        series: series.parse().unwrap(),
        trigger: TriggerSpec::new(Rhythm::Every(Duration::from_secs(60)), "UTC").into(),
        connection: ConnectionName::new("c").unwrap(),
        target: Target {
            base_url: "".into(),
            connection: "".into(),
        },
        query: "".into(),
        parameters: Parameters::Positional(Vec::new()).into(),
        policies: Policies {
            misfire: MisfirePolicy::default(),
            overlap: OverlapPolicy::Skip,
            retry: RetryPolicy::default(),
            doubt: DoubtPolicy::Verify,
        },
        timeout: Duration::ZERO,
        start_deadline: Duration::ZERO,
        cancel_grace: Duration::ZERO,
        priority,
        after: None,
    })
}

/// A database in memory, and what its statements cost.
struct Counted {
    conn: Connection,
    known: Known,
    lease: Lease,
    definitions: Vec<Arc<Definition>>,
    statements: Arc<AtomicI64>,
    steps: Arc<AtomicI64>,
}

impl Counted {
    fn new() -> Self {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate::initialise(&mut conn).unwrap();
        let holder = Holder {
            pid: 1,
            host: "here".to_owned(),
            started: Timestamp::UNIX_EPOCH,
        };
        let trust = Duration::from_secs(60);
        let begin = Timestamp::UNIX_EPOCH;
        let lease = lease::acquire(&conn, None, &holder, trust, begin).unwrap();
        let (statements, steps) = (Arc::<AtomicI64>::default(), Arc::<AtomicI64>::default());
        let counters = (Arc::clone(&statements), Arc::clone(&steps));
        // A prepared statement counts on from its last execution.
        let mut before: HashMap<String, i32> = HashMap::new();
        let count = move |event: TraceEvent<'_>| {
            if let TraceEvent::Profile(statement, _) = event {
                let all = statement.get_status(StatementStatus::VmStep);
                let before = before.insert(statement.sql().into_owned(), all);
                counters.0.fetch_add(1, Ordering::Relaxed);
                counters
                    .1
                    .fetch_add((all - before.unwrap_or(0)).into(), Ordering::Relaxed);
            }
        };
        conn.trace_v2(TraceEventCodes::SQLITE_TRACE_PROFILE, Some(count))
            .unwrap();
        Self {
            conn,
            known: Known::default(),
            lease,
            definitions: (0..20)
                .map(|n| definition(&format!("s{n:02}/x"), 0))
                .collect(),
            statements,
            steps,
        }
    }

    /// How many statements and how many steps of SQLite's machine some work takes.
    fn cost(&mut self, work: impl FnOnce(&mut Self)) -> (i64, i64) {
        let now = |counted: &Self| {
            let read = |counter: &AtomicI64| counter.load(Ordering::Relaxed);
            (read(&counted.statements), read(&counted.steps))
        };
        let before = now(self);
        work(self);
        let after = now(self);
        (after.0 - before.0, after.1 - before.1)
    }

    fn commit(&mut self, changes: &[Change]) {
        commit(&self.conn, &mut self.known, &self.lease, changes).unwrap();
    }

    /// A run of one of twenty series; each time one hour later.
    fn run(&self, number: u32) -> Run {
        let definition = &self.definitions[number as usize % 20];
        let at = Timestamp::UNIX_EPOCH + Duration::from_secs(3600) * (number / 20);
        Run::pending(
            RunId::planned(definition.series.clone(), at),
            (
                civil::date(1970, 1, 1).at(0, 0, 0, 0),
                Fold::First,
                &TimeZone::UTC,
            ),
            at,
            Origin::Planned,
            Arc::clone(definition),
            at,
            Arc::from("c"),
        )
    }

    fn end(run: &mut Run, outcome: Outcome) {
        run.finished = Some(run.due);
        run.state = RunState::Finished(outcome);
    }
}

fn told(run: &Run, what: &'static str) -> Change {
    Change::Run {
        record: Record {
            at: run.due,
            what: Cow::Borrowed(what),
            state: Cow::Borrowed(run.state.word()),
            attempt: run.attempt,
            why: None,
            fault: None,
            job: None,
        },
        run: Box::new(run.clone()),
        at: Now {
            wall: run.due,
            mono: Mono(0),
        },
    }
}

#[test]
fn equal_definitions_are_one_row_whoever_made_them() {
    let mut conn = Connection::open_in_memory().unwrap();
    migrate::initialise(&mut conn).unwrap();
    let mut known = Known::default();
    let [one, two, other] = [0, 0, 1].map(|priority| definition("a/x", priority));
    let key = known.definition(&conn, &one).unwrap();
    assert_eq!(known.definition(&conn, &one).unwrap(), key);
    assert_eq!(known.definition(&conn, &two).unwrap(), key);
    assert_ne!(known.definition(&conn, &other).unwrap(), key);
    known.forget();
    assert_eq!(known.definition(&conn, &two).unwrap(), key);
    let rows: i64 = conn
        .query_row("SELECT count(*) FROM definitions", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 2);
}

#[test]
fn definitions_that_nobody_uses_any_more_are_not_kept_in_memory() {
    let mut conn = Connection::open_in_memory().unwrap();
    migrate::initialise(&mut conn).unwrap();
    let mut known = Known::default();
    let in_use = definition("in/use", 0);
    let key = known.definition(&conn, &in_use).unwrap();
    let mut read = Vec::new();
    // As many as two reloads of six hundred schedules bring.
    for number in 0..1_200 {
        let definition = definition("a/x", number);
        known.definition(&conn, &definition).unwrap();
        read.push(Arc::downgrade(&definition));
        known.let_go();
    }
    let kept = read.iter().filter(|weak| weak.upgrade().is_some()).count();
    assert!(kept < 200, "{kept} are kept");
    assert_eq!(Arc::strong_count(&in_use), 2);
    assert_eq!(known.definition(&conn, &in_use).unwrap(), key);
}

#[test]
fn a_run_with_the_definition_of_another_series_is_refused() {
    let mut counted = Counted::new();
    let mut run = counted.run(0);
    run.definition = definition("other/x", 0);
    let changes = [told(&run, "planned")];
    let refused = commit(&counted.conn, &mut counted.known, &counted.lease, &changes);
    assert!(matches!(
        refused,
        Err(Failure::Told(StoreError::Corrupt(_)))
    ));
}

/// Whoever changes these numbers changes what a herd costs.
#[test]
fn a_run_takes_three_statements_to_be_submitted_and_two_for_each_step_after_that() {
    let mut counted = Counted::new();
    let mut runs: Vec<Run> = (0..100).map(|n| counted.run(n)).collect();
    // The definitions are known then.
    counted.commit(
        &runs[..20]
            .iter()
            .map(|r| told(r, "planned"))
            .collect::<Vec<_>>(),
    );
    let runs = &mut runs[20..];
    let mut born = Vec::new();
    for run in runs.iter_mut() {
        born.push(told(run, "planned"));
        run.attempt = 1;
        run.state = RunState::Submitting {
            since: Mono(0),
            intent: run.due,
        };
        born.push(told(run, "submitting"));
    }
    let mut accepted = Vec::new();
    for run in runs.iter_mut() {
        run.job = JobId::new("job");
        accepted.push(told(run, "accepted"));
    }
    let mut ended = Vec::new();
    for run in runs.iter_mut() {
        Counted::end(run, Outcome::Succeeded);
        ended.push(told(run, "finished"));
    }
    let mut statements = |changes: &[Change]| {
        let (statements, steps) = counted.cost(|counted| counted.commit(changes));
        // One looks whether the lease holds.
        (statements - 1, steps / 80)
    };
    let (submitted, born_steps) = statements(&born);
    let (running, moved_steps) = statements(&accepted);
    let (finished, end_steps) = statements(&ended);
    assert_eq!((submitted, running, finished), (3 * 80, 2 * 80, 2 * 80));
    // A tenth above what was measured with SQLite 3.54: 176, 161, 161.
    let steps = [born_steps, moved_steps, end_steps];
    let bounds = [194, 177, 177];
    assert!(steps.iter().zip(bounds).all(|(s, b)| *s <= b), "{steps:?}");
}

// ---- questions -----------------------------------------------------------------------------------------------------

/// What each question costs with so many runs in a past that nobody needs any more, in steps of SQLite's machine.
fn costs(history: u32) -> Vec<(&'static str, i64)> {
    let mut counted = Counted::new();
    let mut past: Vec<Run> = (0..history).map(|n| counted.run(n)).collect();
    past.iter_mut().for_each(|run| {
        run.submitted = Some(run.due);
        Counted::end(run, Outcome::Succeeded);
    });
    let last = past.last().unwrap().clone();
    // An hour that has passed long ago, with one of each kind that is asked for.
    Counted::end(&mut past[100], Outcome::Failed);
    Counted::end(&mut past[101], Outcome::Lost);
    for run in &past {
        counted.commit(&[told(run, "finished")]);
    }
    let later = last.due + RECENT * 3;
    counted.commit(&[Change::Mark(later)]);
    let query = RunQuery {
        limit: Some(20),
        ..RunQuery::default()
    };
    let state = |word: &str| RunQuery {
        state: Some(word.to_owned()),
        ..query.clone()
    };
    let series = RunQuery {
        schedule: Some(last.id.series.schedule.clone()),
        set: Some(last.id.series.set.clone()),
        ..query.clone()
    };
    let past_of_a_predecessor = RunQuery {
        since: Some(last.id.instant),
        limit: Some(100_000),
        ..series.clone()
    };
    type Question<'q> = Box<dyn Fn(&Connection) + 'q>;
    let runs_of = |query: RunQuery| -> Question<'_> {
        Box::new(move |conn| drop(runs(conn, &query).unwrap()))
    };
    let questions: Vec<(&str, Question<'_>)> = vec![
        ("a start", Box::new(|conn| drop(saved(conn).unwrap()))),
        // While the statements that it shares with a start are still prepared: they count on.
        ("plan", Box::new(|conn| drop(in_force(conn).unwrap()))),
        (
            "plan, of other times",
            Box::new(|conn| {
                let of = [last.id.series.clone()];
                drop(planned_after(conn, &of, earlier(later, RECENT), 500).unwrap());
            }),
        ),
        ("runs", runs_of(query.clone())),
        ("runs --state failed", runs_of(state("failed"))),
        ("runs --state running", runs_of(state("running"))),
        ("runs SCHEDULE/SET", runs_of(series)),
        ("the past of a predecessor", runs_of(past_of_a_predecessor)),
        (
            "show",
            Box::new(|conn| drop(story(conn, &last.id).unwrap())),
        ),
        (
            "report",
            Box::new(|conn| {
                let night = TimeRange {
                    after: earlier(last.id.instant, Duration::from_secs(14 * 3600)),
                    upto: last.id.instant,
                };
                let mut seen = 0;
                each_series(conn, night, &mut |_, runs| seen += runs.len()).unwrap();
                assert_eq!(seen, 14 * 20);
                drop(notices_by_kind(conn, night).unwrap());
            }),
        ),
        (
            "report, of one series",
            Box::new(|conn| {
                let series = &last.id.series;
                assert_eq!(took_before(conn, series, later, 14).unwrap().len(), 14);
                assert!(oldest_of_newest(conn, series, 20).unwrap().is_some());
            }),
        ),
    ];
    let cost = |(what, question): &(&'static str, Question<'_>)| {
        let (_, steps) = counted.cost(|counted| question(&counted.conn));
        (*what, steps)
    };
    questions.iter().map(cost).collect()
}

#[test]
fn no_question_costs_more_with_a_longer_history() {
    let (short, long) = (costs(1_000), costs(8_000));
    for ((what, before), (_, after)) in short.into_iter().zip(long) {
        assert!(before > 0, "{what} asks nothing");
        assert!(
            after <= before + before / 10,
            "{what}: {before} steps with 1,000 runs, {after} with 8,000"
        );
    }
}

#[test]
fn a_report_sees_each_series_once_and_of_a_run_what_it_needs() {
    let mut counted = Counted::new();
    let mut twice = counted.run(0);
    twice.attempt = 1;
    twice.submitted = Some(twice.due);
    let first = told(&twice, "submitting");
    let retried = Timestamp::UNIX_EPOCH + Duration::from_secs(600);
    twice.attempt = 2;
    twice.submitted = Some(retried);
    twice.fault = Some(Fault::new(
        FaultClass::Transient,
        "backendError",
        "try again",
    ));
    let mut second = told(&twice, "submitting");
    if let Change::Run { record, .. } = &mut second {
        record.at = retried;
    }
    Counted::end(&mut twice, Outcome::Failed);
    twice.finished = Some(retried);
    let over = told(&twice, "finished");
    let mut again = twice.clone();
    again.id.kind = RunKind::Generation(1);
    again.civil = civil::date(1970, 1, 1).at(1, 0, 0, 0);
    Counted::end(&mut again, Outcome::Succeeded);
    let by_hand = RunKind::Manual(ClientKey::new("0f3a").unwrap());
    let mut hand = counted.run(1);
    hand.id.kind = by_hand.clone();
    let planned_only = Change::Cursor {
        series: counted.definitions[2].series.clone(),
        upto: Timestamp::UNIX_EPOCH,
        definition: Arc::clone(&counted.definitions[2]),
    };
    let again_over = told(&again, "finished");
    counted.commit(&[
        first,
        second,
        over,
        again_over,
        told(&hand, "planned"),
        planned_only,
    ]);

    let all = TimeRange {
        after: Timestamp::MIN,
        upto: Timestamp::MAX,
    };
    let mut seen = Vec::new();
    each_series(&counted.conn, all, &mut |series, runs| {
        seen.push((series.to_string(), runs));
    })
    .unwrap();
    let names: Vec<&str> = seen.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["s00/x", "s01/x", "s02/x"]);
    assert_eq!(seen[0].1.len(), 2, "{seen:?}");
    let (failed, succeeded) = (&seen[0].1[0], &seen[0].1[1]);
    assert_eq!(
        (&failed.kind, failed.attempts),
        (&RunKind::Generation(0), 2)
    );
    assert_eq!(failed.outcome, Some(Outcome::Failed));
    assert_eq!(failed.started, Some(Timestamp::UNIX_EPOCH));
    assert_eq!(failed.submitted, Some(retried));
    assert_eq!(failed.fault, twice.fault);
    assert_eq!(failed.tolerance, Some(MisfirePolicy::default().tolerance));
    assert_eq!(succeeded.kind, RunKind::Generation(1));
    assert_eq!(
        (&succeeded.fault, succeeded.outcome),
        (&None, Some(Outcome::Succeeded))
    );
    assert_eq!((&seen[1].1[0].kind, seen[1].1[0].outcome), (&by_hand, None));
    assert!(seen[2].1.is_empty());

    let occurrence = |hour| Occurrence {
        instant: Timestamp::UNIX_EPOCH + Duration::from_secs(3 * 3600),
        civil: civil::date(1970, 1, 1).at(hour, 0, 0, 0),
        fold: Fold::First,
        shape: Shape::Plain,
        clock_like: true,
    };
    let series = &twice.id.series;
    for (hour, there) in [(0, true), (1, true), (2, false)] {
        let found = has_nominal(&counted.conn, series, &occurrence(hour)).unwrap();
        assert_eq!(found, there, "{hour}");
    }
}

#[test]
fn a_definition_from_before_there_were_templates_is_the_same_and_its_texts_are_text() {
    let values = serde_json::json!({"a": "{{ date }}", "b": {"number": "{{ date }}"}});
    let plain = Definition {
        parameters: Parameters::from_json(values).unwrap().into(),
        ..(*definition("a/b", 1)).clone()
    };
    let body = rows::definition(&plain);
    assert!(!body.contains("templates"), "{body}");
    let read = rows::read_definition(&body, &rows::parameters(plain.parameters.values())).unwrap();
    assert_eq!(*read, plain);
    assert!(!read.parameters.has_templates());
}

#[test]
fn templates_read_back_and_a_place_without_one_is_damage() {
    let values = serde_json::json!({"a": "{{ date }}", "b": "{{ date }}"});
    let values = Parameters::from_json(values).unwrap();
    let dated = Definition {
        parameters: Written::with_templates(values, vec!["/b".to_owned()]).unwrap(),
        ..(*definition("a/b", 1)).clone()
    };
    let (body, values) = (
        rows::definition(&dated),
        rows::parameters(dated.parameters.values()),
    );
    assert_eq!(*rows::read_definition(&body, &values).unwrap(), dated);
    for broken in [
        values.replace("date", "dat"),
        values.replace("\"b\"", "\"c\""),
    ] {
        assert!(rows::read_definition(&body, &broken).is_err(), "{broken}");
    }
}
