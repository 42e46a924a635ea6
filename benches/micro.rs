//! What single steps cost: `cargo bench --bench micro`, in a release build, on one core.
//!
//! Each line is the median of eleven samples of some 20 ms. Commits wait for the disk, so they are few.

mod stage;

use std::borrow::Cow;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nightcall::sched::id::{JobId, RunId};
use nightcall::sched::machine::{Context, Event};
use nightcall::sched::plan::plan;
use nightcall::sched::run::{Origin, Record, Run};
use nightcall::sched::schedule::{ConnectionLimits, Definition};
use nightcall::sched::step::{Change, PollAnswer, SubmitAnswer};
use nightcall::sched::time::{Mono, Now, TimeZone, Timestamp};
use nightcall::sched::trigger::{Fold, Rhythm, Trigger, TriggerSpec};
use nightcall::secret::Secret;
use nightcall::store::sqlite::SqliteStore;
use nightcall::store::{Holder, Store};
use nightcall::warehouse::carto::ClassifyRules;
use nightcall::warehouse::carto::protocol::{self, Answered, Body, Exchange};
use nightcall::zones::Zones;
use stage::daemon::{Due, configure};
use stage::figures::{Row, median, tell};

/// How often each step is measured; the median is told.
const SAMPLES: usize = 11;

fn main() {
    let mut rows = Vec::new();
    occurrences(&mut rows);
    runs(&mut rows);
    configuration(&mut rows);
    commits(&mut rows);
    answers(&mut rows);
    let facts = [("machine", stage::machine::described())];
    tell("micro", "What single steps cost", &facts, &rows);
}

/// The next occurrence by class of expression, and a span of a year.
fn occurrences(rows: &mut Vec<Row>) {
    let classes = [
        ("nightly", "15 2 * * *"),
        ("hourly", "20 * * * *"),
        ("stepped", "*/5 * * * *"),
        ("sub-hourly list", "3,17,44 8-18 * * MON-FRI"),
        ("last day (L)", "0 3 L * *"),
        ("nearest weekday (W)", "0 3 15W * *"),
        ("nth weekday (#)", "0 3 * * FRI#2"),
    ];
    let (begin, (definition, _)) = (instant(0), loaded());
    for (class, line) in classes {
        let trigger = trigger(&definition, Rhythm::Cron(vec![line.to_owned()]));
        let mut at = begin;
        measure(rows, format!("next occurrence, {class}"), 1, || {
            at = trigger.after(at).map_or(begin, |o| o.instant);
            if at > instant(20 * 365) {
                at = begin;
            }
            at
        });
    }
    let every = trigger(&definition, Rhythm::Every(Duration::from_secs(600)));
    let mut at = begin;
    measure(rows, "next occurrence, every".to_owned(), 1, || {
        at = every.after(at).map_or(begin, |o| o.instant);
        at
    });
    let nightly = trigger(&definition, Rhythm::Cron(vec!["15 2 * * *".to_owned()]));
    measure(rows, "plan of a year of nights".to_owned(), 365, || {
        plan(
            &nightly,
            &definition.series,
            &definition.policies.misfire,
            begin,
            instant(365),
            &|_| false,
            &mut |_| None,
        )
        .walked
    });
}

/// One run through the state machine: admitted, accepted, polled to its end.
fn runs(rows: &mut Vec<Row>) {
    let (definition, limits) = loaded();
    measure(
        rows,
        "Run::apply, four events of a run".to_owned(),
        4,
        || {
            let mut run = pending(&definition, 0);
            let job = JobId::new("job_0BUGaP0ot1X_23JaCI0aKFfDi_Kf").expect("an id");
            let events = [
                Event::Admitted,
                Event::Submitted(SubmitAnswer::Accepted(job)),
                Event::Polled(PollAnswer::Working { unknown: None }),
                Event::Polled(PollAnswer::Succeeded),
            ];
            for (index, event) in events.into_iter().enumerate() {
                let now = now(index);
                let cx = Context {
                    now,
                    vendor: now.wall,
                    limits: &limits,
                };
                black_box(run.apply(event, cx).expect("a legal step"));
            }
            run.attempt
        },
    );
}

/// Loading 10,000 schedules.
fn configuration(rows: &mut Vec<Row>) {
    let folder = stage::folder(false);
    let path = configure(folder.path(), "http://127.0.0.1:1", 10_000, Due::Never);
    let zones = Zones::load();
    measure(
        rows,
        "configuration of 10,000 schedules".to_owned(),
        1,
        || {
            let config = nightcall::config::load(std::slice::from_ref(&path), &zones);
            config.expect("it is right").schedules.len()
        },
    );
}

/// Commits of so many runs at once: planned and submitting, as at their time.
fn commits(rows: &mut Vec<Row>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (definition, limits) = loaded();
    for in_memory in [false, true] {
        let place = if in_memory { "in memory" } else { "on disk" };
        let folder = stage::folder(in_memory);
        let store = SqliteStore::open(&folder.path().join("bench.db")).expect("a store");
        let holder = Holder {
            pid: std::process::id(),
            host: "bench".to_owned(),
            started: instant(0),
        };
        let lease = runtime
            .block_on(store.acquire(holder, Duration::from_secs(3600), instant(0)))
            .expect("the lease");
        let mut number = 0;
        for size in [1, 10, 100, 1_000, 10_000] {
            let samples = (0..SAMPLES).map(|_| {
                let mut changes = Vec::with_capacity(size * 2);
                for _ in 0..size {
                    number += 1;
                    let mut run = pending(&definition, number);
                    let planned = born(&run);
                    changes.push(changed(&run, planned, 0));
                    let now = now(1);
                    let cx = Context {
                        now,
                        vendor: now.wall,
                        limits: &limits,
                    };
                    let applied = run.apply(Event::Admitted, cx).expect("a legal step");
                    changes.push(changed(&run, applied.record.expect("a record"), 1));
                }
                let begun = Instant::now();
                runtime
                    .block_on(store.commit(lease.clone(), changes))
                    .expect("a commit");
                begun.elapsed()
            });
            let what = format!("commit of {size} runs, {place}");
            told(rows, what, size, samples.collect());
        }
    }
}

/// Reading the vendor's word on a job.
fn answers(rows: &mut Vec<Row>) {
    let hidden = Secret::new("some-token-of-an-account".to_owned()).expect("a secret");
    let document = r#"{"externalId":"job_0BUGaP0ot1X_23JaCI0aKFfDi_Kf","jobId":"x","status":"success","createdAt":"2026-02-03T02:15:00.080Z","metadata":{"jobReference":{"projectId":"p","jobId":"job_0BUGaP0ot1X_23JaCI0aKFfDi_Kf","location":"US"},"status":{"state":"DONE"},"statistics":{"creationTime":"1770084900080","startTime":"1770084900180","endTime":"1770084900380"}}}"#;
    let rules = ClassifyRules::default();
    measure(rows, "reading a job document".to_owned(), 1, || {
        let body = Body::whole(document.as_bytes().to_vec(), &hidden);
        let answered = Answered::new(
            200,
            Some("Tue, 03 Feb 2026 02:15:01 GMT"),
            None,
            body,
            instant(0),
        );
        protocol::poll(Exchange::Answered(answered), &rules)
    });
}

/// Measures a step.
fn measure<T>(rows: &mut Vec<Row>, what: String, parts: usize, mut step: impl FnMut() -> T) {
    let sample = Duration::from_millis(20);
    let samples = (0..=SAMPLES).map(|_| {
        let (begun, mut steps) = (Instant::now(), 0u32);
        while steps == 0 || begun.elapsed() < sample {
            black_box(step());
            steps += 1;
        }
        begun.elapsed() / steps
    });
    // The first one warms up.
    told(rows, what, parts, samples.skip(1).collect());
}

fn told(rows: &mut Vec<Row>, what: String, parts: usize, samples: Vec<Duration>) {
    let micros = median(samples.iter().map(|d| d.as_secs_f64() * 1e6));
    let row = Row::default()
        .word("what", what)
        .number("µs", micros, 2)
        .number("µs each", micros / parts as f64, 3);
    rows.push(row);
}

fn instant(days: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000 + days * 86_400).expect("a time")
}

fn now(step: usize) -> Now {
    let elapsed = Duration::from_millis(250 * step as u64);
    Now {
        wall: instant(0) + elapsed,
        mono: Mono(0).plus(elapsed),
    }
}

/// One schedule as the configuration has it, with the limits of its connection.
fn loaded() -> (Arc<Definition>, ConnectionLimits) {
    let folder = stage::folder(false);
    let path = configure(folder.path(), "http://127.0.0.1:1", 1, Due::Never);
    let config = nightcall::config::load(&[path], &Zones::load()).expect("it is right");
    let definition = Arc::clone(&config.schedules[0].definitions[0]);
    (definition, config.connections[0].limits.clone())
}

fn trigger(definition: &Definition, rhythm: Rhythm) -> Trigger {
    let spec = TriggerSpec {
        rhythm,
        zone: "Europe/Madrid".to_owned(),
        ..TriggerSpec::clone(&definition.trigger)
    };
    let zone = TimeZone::get(&spec.zone).expect("a zone");
    Trigger::new(&spec, zone, &definition.series.schedule).expect("a trigger")
}

fn pending(definition: &Arc<Definition>, number: i64) -> Run {
    let at = instant(0) + Duration::from_secs(number.unsigned_abs());
    Run::pending(
        RunId::planned(definition.series.clone(), at),
        (
            at.to_zoned(TimeZone::UTC).datetime(),
            Fold::First,
            &TimeZone::UTC,
        ),
        at,
        Origin::Planned,
        Arc::clone(definition),
        at,
        Arc::from("0123456789abcdef"),
    )
}

fn born(run: &Run) -> Record {
    Record {
        at: run.planned,
        what: Cow::Borrowed("planned"),
        state: Cow::Borrowed("pending"),
        attempt: 0,
        why: None,
        fault: None,
        job: None,
    }
}

fn changed(run: &Run, record: Record, step: usize) -> Change {
    Change::Run {
        run: Box::new(run.clone()),
        record,
        at: now(step),
    }
}
