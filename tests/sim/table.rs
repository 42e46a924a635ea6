//! `docs/state-machine.md`, rendered from what `Run::apply` does with every state and every event.
//!
//! `UPDATE_DOCS=1 cargo test --test sim table` writes it anew.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nightcall::sched::act::Ended;
use nightcall::sched::fault::{ConnectionFault, Fault};
use nightcall::sched::id::{JobId, RunId};
use nightcall::sched::machine::{Applied, Context, Event};
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::policy::DoubtPolicy;
use nightcall::sched::policy::doubt::Finding;
use nightcall::sched::run::{CancelWhy, Origin, Run, RunState};
use nightcall::sched::schedule::Definition;
use nightcall::sched::step::{PollAnswer, SubmitAnswer};
use nightcall::sched::time::{Mono, Now, TimeZone};
use nightcall::sched::trigger::Fold;

use crate::setup::{With, base, carto, connection, hourly, permanent, secs, transient};

const STATES: [(&str, &str); 7] = [
    (
        "pending",
        "stored; waits for its time, its series, other schedules, a slot or its connection",
    ),
    (
        "submitting",
        "the intent is stored; the request may or may not have left",
    ),
    (
        "in_doubt",
        "the request left and its answer is unknown; its job is looked for by the marker",
    ),
    ("running", "the vendor acknowledged a job; it is polled"),
    (
        "cancelling",
        "the vendor was asked to stop the job; confirmation is awaited",
    ),
    (
        "backoff",
        "an attempt ended for certain without success; another follows",
    ),
    ("finished", "it ended, with an outcome; nothing changes it"),
];

const HEAD: &str = "\
# The state machine of a run

Rendered by `tests/sim/table.rs` from `src/sched/machine.rs`; written anew by
`UPDATE_DOCS=1 cargo test --test sim table`, never by hand.

A run is one occurrence of one series, or one request by hand, through all its attempts. A run that is passed over is
born finished, as skipped with a reason. What is stored is the state with one line of the run's story; what a person
hears is stored in the same transaction.

";

const LAWS: &str = "
A run leaves `in_doubt` without its job only by proof, by permission (`doubt = \"resubmit\"`) or as lost. *Proven* means that
two lists asked for after the settle time, with the vendor's clock near ours, did not show the marker although they
showed a job that is known to be there. Faults of the connection use up no attempt. `found` outside of `in_doubt` is a job
of a later attempt than the database knows: the database was restored from a copy.

After a start, a sleep or an outage nothing expires before the vendor was heard once. Three lists (for a run in doubt) or
five polls in a row that tell nothing, while the connection works, count as heard.

A pair that is not in this table is an illegal transition: it changes nothing, is told as a bug, and the series stands
still until a person has looked.
";

#[test]
fn the_table_in_the_documentation_is_what_the_code_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/state-machine.md");
    let rendered = render();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &rendered).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == rendered,
        "docs/state-machine.md is not what the code does; run UPDATE_DOCS=1 cargo test --test sim table"
    );
}

fn render() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("## States\n\n| state | meaning |\n|---|---|\n");
    assert_eq!(STATES.map(|(word, _)| word), RunState::WORDS);
    for (word, meaning) in STATES {
        writeln!(text, "| `{word}` | {meaning} |").unwrap();
    }
    text.push_str("\n## What follows what\n\n");
    text.push_str("| in | on | to | on record as | told as |\n|---|---|---|---|---|\n");
    for (state, _) in STATES {
        for (event, steps) in events() {
            for row in rows(state, event, &steps) {
                text.push_str(&row);
            }
        }
    }
    text.push_str(LAWS);
    text
}

/// The rows of a pair: one for the usual circumstances, one more for each circumstance that makes a difference.
fn rows(state: &str, event: &str, steps: &[(u64, Event)]) -> Vec<String> {
    let mut rows = Vec::new();
    let mut results: Vec<(&str, Option<String>)> = Vec::new();
    for (circumstance, unlike, change) in circumstances() {
        let found = in_state(state, &change).and_then(|run| result(run, steps));
        let before = results.iter().find(|(name, _)| *name == unlike);
        let differs = before.is_none_or(|(_, result)| *result != found);
        if let Some(result) = found.as_ref().filter(|_| differs) {
            let on = match circumstance {
                "" => event.to_owned(),
                _ => format!("{event}, {circumstance}"),
            };
            rows.push(format!("| `{state}` | {on} | {result} |\n"));
        }
        results.push((circumstance, found));
    }
    rows
}

fn result(mut run: Run, steps: &[(u64, Event)]) -> Option<String> {
    let mut applied = Applied::default();
    for (after, event) in steps {
        applied = apply(&mut run, 1000 + after, event.clone()).ok()?;
    }
    let to = match run.outcome() {
        Some(Outcome::Skipped(reason)) => format!("`finished`: skipped, {}", reason.word()),
        Some(outcome) => format!("`finished`: {}", outcome.word()),
        None => format!("`{}`", run.state.word()),
    };
    let record = applied
        .record
        .map_or("–".to_owned(), |record| format!("`{}`", record.what));
    let told = applied.notice.map_or("–".to_owned(), |notice| {
        format!("`{}`", notice.kind.word())
    });
    Some(format!("{to} | {record} | {told}"))
}

// ---- what the rows are made of -------------------------------------------------------------------------------------

/// What makes a difference, beside state and event.
#[derive(Clone, Default)]
struct Change {
    doubt: DoubtPolicy,
    attempts: Option<u32>,
    on_timeout: bool,
    why: Option<CancelWhy>,
    /// A wish to cancel came later.
    wished: bool,
    unavailable: bool,
    only_connection: bool,
}

/// Each with the circumstance that it must differ from to be worth a row.
fn circumstances() -> Vec<(&'static str, &'static str, Change)> {
    const WISHED: &str = "a cancel is wished";
    const LIMIT: &str = "stopped by its time limit";
    const AGAIN: &str = "stopped by its time limit, `on_timeout`";
    let usual = Change::default;
    let resubmit = Change {
        doubt: DoubtPolicy::Resubmit,
        ..usual()
    };
    let limit = Change {
        why: Some(CancelWhy::Timeout),
        ..usual()
    };
    let again = Change {
        on_timeout: true,
        ..limit.clone()
    };
    vec![
        ("", "no other", usual()),
        (
            "`hold`",
            "",
            Change {
                doubt: DoubtPolicy::Hold,
                ..usual()
            },
        ),
        ("`resubmit`", "", resubmit.clone()),
        (
            "no attempt left",
            "",
            Change {
                attempts: Some(1),
                ..usual()
            },
        ),
        (
            "no attempt left, after a 503",
            "no attempt left",
            Change {
                unavailable: true,
                attempts: Some(1),
                ..usual()
            },
        ),
        (
            WISHED,
            "",
            Change {
                wished: true,
                ..usual()
            },
        ),
        (
            "`resubmit`, a cancel is wished",
            WISHED,
            Change {
                wished: true,
                ..resubmit
            },
        ),
        (
            "only the connection was at fault",
            "",
            Change {
                only_connection: true,
                ..usual()
            },
        ),
        (LIMIT, "", limit),
        (AGAIN, LIMIT, again.clone()),
        (
            "stopped by its time limit, `on_timeout`, a cancel is wished",
            AGAIN,
            Change {
                wished: true,
                ..again
            },
        ),
    ]
}

fn events() -> Vec<(&'static str, Vec<(u64, Event)>)> {
    let one = |event: Event| vec![(0, event)];
    let submitted = |answer| one(Event::Submitted(answer));
    let polled = |answer| one(Event::Polled(answer));
    let passed_over = |reason| one(Event::PassedOver(reason, String::new()));
    let gone = || Event::Polled(PollAnswer::Gone(permanent()));
    let refused = |fault: Fault| submitted(SubmitAnswer::Refused(fault));
    let out = connection(ConnectionFault::Unreachable);
    vec![
        ("its turn", one(Event::Admitted)),
        ("start deadline passed", one(Event::StartDeadlinePassed)),
        (
            "no predecessor on its date",
            passed_over(SkipReason::NoPredecessor),
        ),
        (
            "predecessors ended well, `on = \"failure\"`",
            passed_over(SkipReason::PredecessorSucceeded),
        ),
        (
            "start deadline passed, predecessors awaited",
            passed_over(SkipReason::PredecessorAwaited),
        ),
        ("accepted", submitted(SubmitAnswer::Accepted(job(1)))),
        ("refused, permanent fault", refused(permanent())),
        ("refused, transient fault", refused(transient())),
        ("refused, fault of the connection", refused(out)),
        (
            "unsure answer",
            submitted(SubmitAnswer::Unsure(transient())),
        ),
        ("job found", one(Event::Found(job(2)))),
        (
            "absent, proven and settled",
            one(Event::NotFound(Finding::ProvenAbsent)),
        ),
        (
            "give up passed without proof",
            one(Event::NotFound(Finding::GaveUp)),
        ),
        ("works", polled(PollAnswer::Working { unknown: None })),
        (
            "poll without answer",
            polled(PollAnswer::NoAnswer(transient())),
        ),
        ("succeeded", polled(PollAnswer::Succeeded)),
        (
            "failed, permanent fault",
            polled(PollAnswer::Failed(permanent())),
        ),
        (
            "failed, transient fault",
            polled(PollAnswer::Failed(transient())),
        ),
        ("cancelled at the vendor", polled(PollAnswer::Cancelled)),
        ("unknown to the vendor", one(gone())),
        (
            "unknown to the vendor, several times",
            (0..5).map(|n| (n * 30, gone())).collect(),
        ),
        ("time limit passed", one(Event::TimeLimitPassed)),
        ("cancel", one(Event::Cancel(CancelWhy::Asked))),
        ("cancel answered", one(Event::CancelAnswered)),
        ("grace passed", one(Event::GracePassed)),
        (
            "a person says how it ended",
            one(Event::Resolved(Ended::Succeeded)),
        ),
        ("resumed", one(Event::Resumed)),
    ]
}

fn job(n: u32) -> JobId {
    JobId::new(&format!("job_{n}")).unwrap()
}

/// A run that came into the state by events; `None` when the circumstance is none of this state's.
fn in_state(state: &str, change: &Change) -> Option<Run> {
    let mut run = pending(change);
    let mut way = vec![Event::Admitted];
    let only = change.only_connection || change.unavailable;
    match state {
        "pending" => way.clear(),
        "submitting" => {}
        "in_doubt" => {
            let fault = match change.unavailable {
                true => connection(ConnectionFault::Unavailable),
                false => transient(),
            };
            way.push(Event::Submitted(SubmitAnswer::Unsure(fault)));
        }
        "running" => way.push(accepted()),
        "cancelling" => {
            let stop = match change.why {
                Some(CancelWhy::Timeout) => Event::TimeLimitPassed,
                _ => Event::Cancel(CancelWhy::Asked),
            };
            way.extend([accepted(), stop]);
        }
        "backoff" if change.only_connection => {
            let out = connection(ConnectionFault::Unreachable);
            way.push(Event::Submitted(SubmitAnswer::Refused(out)));
        }
        "backoff" if change.attempts.is_some() => return None,
        "backoff" => way.extend([accepted(), Event::Polled(PollAnswer::Failed(transient()))]),
        _ => {
            way.extend([accepted(), Event::Polled(PollAnswer::Succeeded)]);
        }
    }
    let fits = match state {
        "in_doubt" => !change.only_connection,
        "backoff" => !change.unavailable,
        _ => !only,
    };
    let stopping = change.why.is_none() || state == "cancelling";
    let wishable = matches!(state, "submitting" | "in_doubt" | "cancelling");
    if !fits || !stopping || (change.wished && !wishable) {
        return None;
    }
    if change.wished {
        way.push(Event::Cancel(CancelWhy::Superseded));
    }
    for (n, event) in way.into_iter().enumerate() {
        apply(&mut run, n as u64, event).unwrap();
    }
    assert_eq!(run.state.word(), state);
    Some(run)
}

fn accepted() -> Event {
    Event::Submitted(SubmitAnswer::Accepted(job(1)))
}

fn apply(
    run: &mut Run,
    after: u64,
    event: Event,
) -> Result<Applied, nightcall::sched::machine::IllegalTransition> {
    let now = Now {
        wall: base() + secs(after),
        mono: Mono(0).plus(secs(after)),
    };
    let limits = carto();
    run.apply(
        event,
        Context {
            now,
            vendor: now.wall,
            limits: &limits,
        },
    )
}

fn pending(change: &Change) -> Run {
    let definition: Definition = hourly("a").with(|d| {
        d.policies.doubt = change.doubt;
        d.policies.retry.on_timeout = change.on_timeout;
        if let Some(attempts) = change.attempts {
            d.policies.retry.attempts = attempts;
        }
        d.cancel_grace = Duration::from_secs(300);
    });
    Run::pending(
        RunId::planned(definition.series.clone(), base()),
        (
            base().to_zoned(TimeZone::UTC).datetime(),
            Fold::First,
            &TimeZone::UTC,
        ),
        base(),
        Origin::Planned,
        Arc::new(definition),
        base(),
        Arc::from("hash"),
    )
}
