//! Any run, definition and change, for properties.

use std::sync::Arc;
use std::time::Duration;

use nightcall::sched::act::{By, Deed, Ended, Pause, Scope, Skip, SkipWhat};
use nightcall::sched::call::{Parameters, Target};
use nightcall::sched::fault::{ConnectionFault, Fault, FaultClass};
use nightcall::sched::id::{
    ClientKey, ConnectionName, JobId, RunId, RunKind, ScheduleName, SeriesId, SetName,
};
use nightcall::sched::notice::{KINDS, Notice};
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::policy::{
    After, CatchUp, DoubtPolicy, MisfirePolicy, On, OverlapPolicy, Policies, RetryPolicy,
};
use nightcall::sched::run::{CancelWhy, Origin, Record, Run, RunState};
use nightcall::sched::schedule::Definition;
use nightcall::sched::step::{Change, ConnectionMemory, Missed};
use nightcall::sched::time::{Mono, Now, TimeRange, Timestamp, civil};
use nightcall::sched::trigger::{DstGap, DstOverlap, Fold, Rhythm, TriggerSpec};
use nightcall::sched::written::Written;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// Any time that the store promises to keep to the nanosecond.
fn time() -> BoxedStrategy<Timestamp> {
    let any =
        (i64::MIN + 1..i64::MAX).prop_map(|n| Timestamp::from_nanosecond(i128::from(n)).unwrap());
    prop_oneof![
        8 => any,
        4 => near(),
        1 => Just(Timestamp::MIN),
        1 => Just(Timestamp::MAX),
    ]
    .boxed()
}

/// A time of few, so that times are equal, and near each other, often enough.
fn near() -> BoxedStrategy<Timestamp> {
    (0..60_i64)
        .prop_map(|n| Timestamp::from_second(1_770_000_000 + n * 7200).unwrap())
        .boxed()
}

fn civil_time() -> BoxedStrategy<civil::DateTime> {
    let parts = (
        -9999..=9999_i16,
        1..=12_i8,
        1..=28_i8,
        0..24_i8,
        0..60_i8,
        0..60_i8,
    );
    (parts, prop_oneof![Just(0), 0..1_000_000_000_i32])
        .prop_map(|((y, mo, d, h, mi, s), ns)| civil::datetime(y, mo, d, h, mi, s, ns))
        .boxed()
}

fn duration() -> BoxedStrategy<Duration> {
    prop_oneof![
        (0..100_000_u64).prop_map(Duration::from_secs),
        (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(s, n)| Duration::new(s, n)),
        Just(Duration::ZERO),
        Just(Duration::MAX),
    ]
    .boxed()
}

fn mono() -> BoxedStrategy<Mono> {
    any::<i64>().prop_map(Mono).boxed()
}

fn text() -> BoxedStrategy<String> {
    prop_oneof![
        "[ -~]{0,20}",
        "\\PC{0,12}",
        Just("line\nline\t\"quoted\" \\ \u{0} {{ date }}".to_owned()),
    ]
    .boxed()
}

fn series() -> BoxedStrategy<SeriesId> {
    let of_few = ("[ab-]{1,2}", "[xy]").prop_map(|(schedule, set)| SeriesId {
        schedule: ScheduleName::new(&schedule).unwrap(),
        set: SetName::new(&set).unwrap(),
    });
    let any =
        ("[A-Za-z0-9_-]{1,100}", "[A-Za-z0-9_-]{1,100}").prop_map(|(schedule, set)| SeriesId {
            schedule: ScheduleName::new(&schedule).unwrap(),
            set: SetName::new(&set).unwrap(),
        });
    prop_oneof![3 => of_few, 1 => any].boxed()
}

fn job() -> BoxedStrategy<JobId> {
    prop_oneof!["[a-z0-9-]{1,40}", "[^\\pC]{1,30}"]
        .prop_filter_map("not a job id", |text| JobId::new(&text))
        .boxed()
}

fn run_id(instant: BoxedStrategy<Timestamp>) -> BoxedStrategy<RunId> {
    let kind = prop_oneof![
        4 => Just(RunKind::Generation(0)),
        2 => (0..12_u32).prop_map(RunKind::Generation),
        1 => "[a-f0-9]{1,8}".prop_map(|key| RunKind::Manual(ClientKey::new(&key).unwrap())),
    ];
    (series(), instant, kind)
        .prop_map(|(series, instant, kind)| RunId {
            series,
            instant,
            kind,
        })
        .boxed()
}

/// JSON whose numbers are written in all kinds of ways.
fn json() -> BoxedStrategy<serde_json::Value> {
    let number = prop_oneof![
        select(vec![
            "0",
            "-0",
            "2",
            "2.0",
            "2.50",
            "-0.0",
            "1e5",
            "1E+2",
            "1.5e-7",
            "123456789012345678901234567890",
            "0.1000000000000000055511151231257827",
        ])
        .prop_map(str::to_owned),
        any::<i64>().prop_map(|n| n.to_string()),
    ]
    .prop_map(|text| serde_json::from_str(&text).unwrap());
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        number,
        text().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(serde_json::Value::Array),
            vec((text(), inner), 0..4).prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
    .boxed()
}

fn parameters() -> BoxedStrategy<Parameters> {
    prop_oneof![
        vec((text(), json()), 0..5).prop_map(|p| Parameters::Named(p.into_iter().collect())),
        vec(json(), 0..4).prop_map(Parameters::Positional),
    ]
    .boxed()
}

/// Parameters of a definition; some have templates, and some of the texts that look like one are none.
fn written() -> BoxedStrategy<Written> {
    let template = select(vec![
        (serde_json::json!("{{ date - 1d }}"), "/a~1b"),
        (
            serde_json::json!({"number": "{{ date | format('%Y%m%d') }}"}),
            "/a~1b",
        ),
        (serde_json::json!([1, {"x": "{{ set }}"}]), "/a~1b/1/x"),
    ]);
    let with_templates = (parameters(), template).prop_map(|(values, (value, at))| {
        let mut map = match values {
            Parameters::Named(map) => map,
            Parameters::Positional(_) => serde_json::Map::new(),
        };
        map.insert("plain".to_owned(), serde_json::json!("{{ date }}"));
        map.insert("a/b".to_owned(), value);
        Written::with_templates(Parameters::Named(map), vec![at.to_owned()]).unwrap()
    });
    prop_oneof![3 => parameters().prop_map(Written::from), 1 => with_templates].boxed()
}

fn trigger() -> BoxedStrategy<TriggerSpec> {
    let rhythm = prop_oneof![
        vec(text(), 1..3).prop_map(Rhythm::Cron),
        duration().prop_map(Rhythm::Every),
    ];
    let bounds = (option::of(civil_time()), option::of(civil_time()));
    let exclude = vec(civil_time().prop_map(|t| t.date()), 0..3);
    let choices = (
        select(vec![DstGap::Run, DstGap::Skip]),
        select(vec![DstOverlap::First, DstOverlap::Last, DstOverlap::Both]),
    );
    (rhythm, text(), bounds, exclude, duration(), choices)
        .prop_map(
            |(rhythm, zone, (from, until), exclude, jitter, choices)| TriggerSpec {
                rhythm,
                zone,
                from,
                until,
                exclude,
                jitter,
                dst_gap: choices.0,
                dst_overlap: choices.1,
            },
        )
        .boxed()
}

fn policies() -> BoxedStrategy<Policies> {
    let fraction = || any::<f64>().prop_filter("equal to itself", |f| !f.is_nan());
    let misfire = (
        select(CatchUp::ALL.to_vec()),
        duration(),
        duration(),
        any::<u32>(),
    )
        .prop_map(|((catch_up, _), window, tolerance, max)| MisfirePolicy {
            catch_up,
            window,
            tolerance,
            max,
        });
    let retry = (
        any::<u32>(),
        duration(),
        fraction(),
        duration(),
        fraction(),
        any::<bool>(),
    )
        .prop_map(
            |(attempts, backoff, factor, max_backoff, jitter, on_timeout)| RetryPolicy {
                attempts,
                backoff,
                factor,
                max_backoff,
                jitter,
                on_timeout,
            },
        );
    let words = (
        select(OverlapPolicy::ALL.to_vec()),
        select(DoubtPolicy::ALL.to_vec()),
    );
    (misfire, retry, words)
        .prop_map(|(misfire, retry, (overlap, doubt))| Policies {
            misfire,
            overlap: overlap.0,
            retry,
            doubt: doubt.0,
        })
        .boxed()
}

pub(crate) fn definition() -> BoxedStrategy<Arc<Definition>> {
    let times = (duration(), duration(), duration(), any::<i32>());
    let target = (text(), text()).prop_map(|(base_url, connection)| Target {
        base_url: base_url.into(),
        connection: connection.into(),
    });
    let parts = (
        series(),
        trigger(),
        connection(),
        target,
        text(),
        written(),
        policies(),
    );
    (parts, times, after())
        .prop_map(
            |(parts, (timeout, start_deadline, cancel_grace, priority), after)| {
                let (series, trigger, connection, target, query, parameters, policies) = parts;
                Arc::new(Definition {
                    series,
                    trigger: trigger.into(),
                    connection,
                    target,
                    query: query.into(),
                    parameters,
                    policies,
                    timeout,
                    start_deadline,
                    cancel_grace,
                    priority,
                    after: after.map(Arc::new),
                })
            },
        )
        .boxed()
}

fn after() -> BoxedStrategy<Option<After>> {
    let schedules = vec("[a-c]{1,2}", 1..3);
    let after = (schedules, select(On::ALL.to_vec())).prop_map(|(names, (on, _))| After {
        schedules: names
            .iter()
            .map(|name| ScheduleName::new(name).unwrap())
            .collect(),
        on,
    });
    option::of(after).boxed()
}

fn connection() -> BoxedStrategy<ConnectionName> {
    "[a-c]{1,2}"
        .prop_map(|name| ConnectionName::new(&name).unwrap())
        .boxed()
}

fn fault() -> BoxedStrategy<Fault> {
    let class = select(vec![
        FaultClass::Permanent,
        FaultClass::Transient,
        FaultClass::Slow,
        FaultClass::Once,
        FaultClass::Connection(ConnectionFault::Unreachable),
        FaultClass::Connection(ConnectionFault::Unauthorized),
        FaultClass::Connection(ConnectionFault::TooMany),
        FaultClass::Connection(ConnectionFault::Unavailable),
    ]);
    let maybe = || option::of(text());
    (
        class,
        text(),
        maybe(),
        text(),
        option::of(duration()),
        maybe(),
    )
        .prop_map(
            |(class, reason, location, message, retry_after, remedy)| Fault {
                class,
                reason,
                location,
                message,
                retry_after,
                remedy,
            },
        )
        .boxed()
}

fn outcome() -> BoxedStrategy<Outcome> {
    let reasons = [
        SkipReason::Busy,
        SkipReason::BufferFull,
        SkipReason::PredecessorUnknown,
        SkipReason::StartDeadline,
        SkipReason::Missed,
        SkipReason::NoSuchDay,
        SkipReason::Observed,
        SkipReason::Blocked,
        SkipReason::Paused,
        SkipReason::Paused,
        SkipReason::Asked,
        SkipReason::NoPredecessor,
        SkipReason::PredecessorSucceeded,
        SkipReason::PredecessorAwaited,
    ];
    let certain = [
        Outcome::Succeeded,
        Outcome::Failed,
        Outcome::TimedOut,
        Outcome::Cancelled,
        Outcome::Lost,
        Outcome::Lost,
    ];
    let all = certain.into_iter().chain(reasons.map(Outcome::Skipped));
    select(all.collect::<Vec<_>>()).boxed()
}

fn cancel() -> BoxedStrategy<CancelWhy> {
    select(CancelWhy::ALL.map(|(why, _)| why).to_vec()).boxed()
}

fn state() -> BoxedStrategy<RunState> {
    prop_oneof![
        Just(RunState::Pending),
        (mono(), time()).prop_map(|(since, intent)| RunState::Submitting { since, intent }),
        (time(), mono(), mono()).prop_map(|(intent, settled, give_up)| RunState::InDoubt {
            intent,
            settled,
            give_up,
        }),
        (
            job(),
            mono(),
            any::<u32>(),
            mono(),
            option::of((any::<u32>(), mono()))
        )
            .prop_map(
                |(job, accepted, polls, next_poll, gone)| RunState::Running {
                    job,
                    accepted,
                    polls,
                    next_poll,
                    gone,
                }
            ),
        (job(), cancel(), mono(), any::<u32>(), mono()).prop_map(
            |(job, why, since, polls, next_poll)| RunState::Cancelling {
                job,
                why,
                since,
                polls,
                next_poll,
            }
        ),
        mono().prop_map(|until| RunState::Backoff { until }),
        outcome().prop_map(RunState::Finished),
    ]
    .boxed()
}

/// Any run of the given ids.
fn run_of(id: BoxedStrategy<RunId>) -> BoxedStrategy<Run> {
    let when = (
        civil_time(),
        select(vec![Fold::First, Fold::Second]),
        time(),
        time(),
    );
    let origin = select(Origin::ALL.map(|(origin, _)| origin).to_vec());
    // Half of them with the very parameters of their definition.
    let what = (definition(), option::of(parameters()), "[a-f0-9]{0,16}");
    let flags = (any::<bool>(), any::<bool>());
    let counts = (0..4_u32, any::<u32>(), option::of(cancel()), flags);
    let last = (
        option::of(fault()),
        option::of(job()),
        option::of(time()),
        option::of(time()),
        option::of(select(Ended::ALL.map(|(ended, _)| ended).to_vec())),
    );
    (id, when, origin, what, state(), counts, last)
        .prop_map(|(id, when, origin, what, state, counts, last)| Run {
            definition: Arc::new(Definition {
                // A run has a definition of its series.
                series: id.series.clone(),
                ..(*what.0).clone()
            }),
            id,
            civil: when.0,
            fold: when.1,
            due: when.2,
            origin,
            planned: when.3,
            config: Arc::from(what.2),
            parameters: what
                .1
                .map_or_else(|| Arc::clone(what.0.parameters.values()), Arc::new),
            state,
            attempt: counts.0,
            failures: counts.1,
            cancel: counts.2,
            beside: counts.3.0,
            even_paused: counts.3.1,
            fault: last.0,
            job: last.1,
            submitted: last.2,
            finished: last.3,
            resolved: last.4,
        })
        .boxed()
}

/// Any run.
pub(crate) fn run() -> BoxedStrategy<Run> {
    run_of(run_id(time()))
}

fn record() -> BoxedStrategy<Record> {
    let words = ("[a-z_]{1,10}", "[a-z_]{1,10}");
    (
        time(),
        words,
        any::<u32>(),
        option::of(text()),
        option::of(fault()),
        option::of(job()),
    )
        .prop_map(|(at, (what, state), attempt, why, fault, job)| Record {
            at,
            what: what.into(),
            state: state.into(),
            attempt,
            why,
            fault,
            job,
        })
        .boxed()
}

fn notice() -> BoxedStrategy<Notice> {
    let kind = select(KINDS.to_vec());
    let of = option::of(run_id(near()));
    ("[a-d]{1,2}", kind, time(), of, text(), text())
        .prop_map(|(id, (kind, _), at, run, subject, body)| Notice {
            id,
            kind,
            at,
            schedule: run.as_ref().map(|run| run.series.schedule.clone()),
            run,
            subject,
            body,
        })
        .boxed()
}

/// The change that stores a run.
pub(crate) fn run_change(run: BoxedStrategy<Run>) -> BoxedStrategy<Change> {
    (run, record(), time(), mono())
        .prop_map(|(run, record, wall, mono)| Change::Run {
            run: Box::new(run),
            record,
            at: Now { wall, mono },
        })
        .boxed()
}

/// Any change; runs are few, so that the same one changes often.
pub(crate) fn any_change() -> BoxedStrategy<Change> {
    let range = (near(), near()).prop_map(|(a, b)| TimeRange {
        after: a.min(b),
        upto: a.max(b),
    });
    let reason = select(vec![SkipReason::Missed, SkipReason::Observed]);
    let missed = (series(), range, 0..1_000_000_u64, reason, near()).prop_map(
        |(series, range, count, reason, at)| {
            Change::Missed(Missed {
                series,
                range,
                count,
                reason,
                at,
            })
        },
    );
    let memory = (vec((job(), time()), 0..8), option::of(time()));
    prop_oneof![
        6 => run_change(run_of(run_id(near()))),
        1 => missed,
        2 => (series(), time(), definition()).prop_map(|(series, upto, definition)| {
            Change::Cursor { series, upto, definition }
        }),
        1 => (series(), time()).prop_map(|(series, upto)| Change::Closed { series, upto }),
        2 => notice().prop_map(Change::Notice),
        1 => near().prop_map(Change::Mark),
        1 => (connection(), memory).prop_map(|(name, (accepted, proven))| Change::Connection {
            name,
            memory: ConnectionMemory { accepted, proven },
        }),
        2 => act_change(),
    ]
    .boxed()
}

/// What people do.
fn act_change() -> BoxedStrategy<Change> {
    let by = || (text(), option::of(text())).prop_map(|(who, note)| By::new(&who, note.as_deref()));
    let scope = || {
        let of_few = series().prop_map(|series| Scope::Schedule(series.schedule));
        prop_oneof![1 => Just(Scope::All), 3 => of_few]
    };
    let what = || {
        prop_oneof![
            any::<u32>().prop_map(SkipWhat::Next),
            (1..4_i8).prop_map(|day| SkipWhat::On(civil::date(2026, 2, day))),
            near().prop_map(SkipWhat::At),
        ]
    };
    let pause = (scope(), near(), option::of(time()), by());
    let deed = (
        near(),
        by(),
        "[a-z]{1,6}",
        option::of(run_id(near())),
        text(),
    );
    prop_oneof![
        2 => pause.prop_map(|(scope, since, until, by)| {
            Change::Paused(Pause { scope, since, until, by })
        }),
        1 => scope().prop_map(Change::Resumed),
        2 => (series(), what(), time(), by()).prop_map(|(series, what, at, by)| {
            Change::Skip(Skip { series, what, at, by })
        }),
        1 => (series(), what()).prop_map(|(series, what)| Change::Unskip(series, what)),
        1 => deed.prop_map(|(at, by, act, run, said)| Change::Acted(Deed {
            at,
            by,
            act,
            schedule: run.as_ref().map(|run| run.series.schedule.clone()),
            run,
            said,
        })),
    ]
    .boxed()
}
