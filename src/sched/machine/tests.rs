//! The table of docs/state-machine.md, row by row: what follows, what is on record, who hears of it, and that nothing else is
//! possible.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::sched::call::{Parameters, Target};
use crate::sched::fault::ConnectionFault;
use crate::sched::id::{ConnectionName, ScheduleName, SeriesId, SetName};
use crate::sched::policy::doubt::Finding;
use crate::sched::policy::{DoubtPolicy, MisfirePolicy, OverlapPolicy, Policies, RetryPolicy};
use crate::sched::run::Origin;
use crate::sched::schedule::Definition;
use crate::sched::schedule::PollPlan;
use crate::sched::trigger::{Fold, Rhythm, TriggerSpec};

// ---- what the tests are made of ------------------------------------------------------------------------------------

const REQUEST: Duration = Duration::from_secs(30);
const LAG: Duration = Duration::from_secs(60);
const SETTLE: Duration = Duration::from_secs(90);
const GIVE_UP: Duration = Duration::from_secs(1800);
const GRACE: Duration = Duration::from_secs(300);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// So many seconds after the occurrence was due, which is at 1000 s on the monotonic clock.
fn now(after: u64) -> Now {
    Now {
        wall: due() + secs(after),
        mono: mono(after),
    }
}

fn mono(after: u64) -> Mono {
    Mono(0).plus(secs(1000 + after))
}

fn due() -> Timestamp {
    "2026-02-03T01:15:00Z".parse().unwrap()
}

fn limits() -> ConnectionLimits {
    ConnectionLimits {
        name: ConnectionName::new("carto").unwrap(),
        target: target(),
        requests_per_minute: 120,
        max_in_flight: 50,
        poll: PollPlan {
            first: secs(2),
            factor: 1.5,
            max: secs(30),
        },
        request_timeout: REQUEST,
        list_lag: LAG,
        give_up: GIVE_UP,
    }
}

fn target() -> Target {
    Target {
        base_url: "https://host".into(),
        connection: "carto".into(),
    }
}

fn definition() -> Definition {
    Definition {
        series: SeriesId {
            schedule: ScheduleName::new("clusters").unwrap(),
            set: SetName::default_set(),
        },
        trigger: TriggerSpec::new(Rhythm::Every(secs(3600)), "UTC").into(),
        connection: ConnectionName::new("carto").unwrap(),
        target: target(),
        query: "CALL x()".into(),
        parameters: Parameters::Positional(Vec::new()).into(),
        policies: Policies {
            misfire: MisfirePolicy::default(),
            overlap: OverlapPolicy::default(),
            retry: RetryPolicy {
                jitter: 0.0,
                ..RetryPolicy::default()
            },
            doubt: DoubtPolicy::default(),
        },
        timeout: secs(3600),
        start_deadline: secs(7200),
        cancel_grace: GRACE,
        priority: 0,
        after: None,
    }
}

fn pending_with(change: impl FnOnce(&mut Definition)) -> Run {
    let mut definition = definition();
    change(&mut definition);
    Run::pending(
        RunId::planned(definition.series.clone(), due()),
        (
            due().to_zoned(crate::sched::time::TimeZone::UTC).datetime(),
            Fold::First,
            &crate::sched::time::TimeZone::UTC,
        ),
        due(),
        Origin::Planned,
        Arc::new(definition),
        due(),
        Arc::from("hash"),
    )
}

impl Run {
    /// The event at so many seconds after the due time; it must be legal.
    fn on(&mut self, after: u64, event: Event) -> Applied {
        self.try_on(after, event).unwrap()
    }

    fn try_on(&mut self, after: u64, event: Event) -> Result<Applied, IllegalTransition> {
        let cx = Context {
            now: now(after),
            vendor: now(after).wall,
            limits: &limits(),
        };
        self.apply(event, cx)
    }

    fn after(mut self, events: impl IntoIterator<Item = (u64, Event)>) -> Self {
        for (after, event) in events {
            self.on(after, event);
        }
        self
    }
}

fn pending() -> Run {
    pending_with(|_| {})
}

fn submitting() -> Run {
    pending().after([(0, Event::Admitted)])
}

/// The answer to the submission of 0 s is unknown at 10 s.
fn in_doubt() -> Run {
    in_doubt_with(|_| {})
}

fn in_doubt_with(change: impl FnOnce(&mut Definition)) -> Run {
    pending_with(change).after([(0, Event::Admitted), (10, unsure(transient()))])
}

/// Accepted at 10 s.
fn running() -> Run {
    running_with(|_| {})
}

fn running_with(change: impl FnOnce(&mut Definition)) -> Run {
    pending_with(change).after([(0, Event::Admitted), (10, accepted())])
}

/// Asked to stop at 20 s.
fn cancelling(why: CancelWhy) -> Run {
    running().after([(20, Event::Cancel(why))])
}

/// Its first attempt failed at 20 s.
fn backoff() -> Run {
    running().after([(20, failed(transient()))])
}

fn finished() -> Run {
    running().after([(20, Event::Polled(PollAnswer::Succeeded))])
}

fn job() -> JobId {
    JobId::new("job_1").unwrap()
}

fn accepted() -> Event {
    Event::Submitted(SubmitAnswer::Accepted(job()))
}

fn refused(fault: Fault) -> Event {
    Event::Submitted(SubmitAnswer::Refused(fault))
}

fn unsure(fault: Fault) -> Event {
    Event::Submitted(SubmitAnswer::Unsure(fault))
}

fn failed(fault: Fault) -> Event {
    Event::Polled(PollAnswer::Failed(fault))
}

fn gone() -> Event {
    Event::Polled(PollAnswer::Gone(permanent()))
}

fn working() -> Event {
    Event::Polled(PollAnswer::Working { unknown: None })
}

fn no_answer() -> Event {
    Event::Polled(PollAnswer::NoAnswer(transient()))
}

fn absent() -> Event {
    Event::NotFound(Finding::ProvenAbsent)
}

fn gave_up() -> Event {
    Event::NotFound(Finding::GaveUp)
}

fn permanent() -> Fault {
    Fault::new(FaultClass::Permanent, "invalidQuery", "no")
}

fn transient() -> Fault {
    Fault::new(FaultClass::Transient, "backendError", "later")
}

fn of_connection(kind: ConnectionFault) -> Fault {
    Fault::new(FaultClass::Connection(kind), "connection", "down")
}

/// The run has ended so, it is on record, and so is who hears of it.
#[track_caller]
fn assert_ended(run: &Run, applied: &Applied, outcome: Outcome, told: Option<NoticeKind>) {
    assert_eq!(run.outcome(), Some(outcome));
    let record = applied.record.as_ref().expect("an end is on record");
    assert_eq!(
        (record.what.as_ref(), record.state.as_ref()),
        ("finished", "finished")
    );
    assert_eq!(applied.notice.as_ref().map(|n| n.kind), told);
    if let Some(notice) = &applied.notice {
        assert_eq!(notice.id, format!("{}:finished", run.id));
        assert_eq!(notice.run.as_ref(), Some(&run.id));
    }
}

/// The run is in this state, on record as this, and nobody is told.
#[track_caller]
fn assert_state(run: &Run, applied: &Applied, state: &str, record: Option<&str>) {
    assert_eq!(run.state.word(), state);
    assert_eq!(applied.record.as_ref().map(|r| r.what.as_ref()), record);
    if let Some(record) = &applied.record {
        assert_eq!(
            (record.state.as_ref(), record.attempt),
            (state, run.attempt)
        );
    }
    assert_eq!(applied.notice, None);
}

// ---- before the vendor knows of it -------------------------------------------------------------------------------

#[test]
fn an_admitted_run_makes_its_intent() {
    let mut run = pending();
    let applied = run.on(3, Event::Admitted);
    assert_state(&run, &applied, "submitting", Some("submitting"));
    assert_eq!((run.attempt, run.submitted), (1, Some(now(3).wall)));
    let RunState::Submitting { since, intent } = run.state else {
        panic!()
    };
    assert_eq!((since, intent), (mono(3), now(3).wall));
}

#[test]
fn an_intent_is_dated_by_the_vendors_clock() {
    let mut run = pending();
    let vendor = now(3).wall - secs(240);
    let limits = limits();
    run.apply(
        Event::Admitted,
        Context {
            now: now(3),
            vendor,
            limits: &limits,
        },
    )
    .unwrap();
    assert!(matches!(run.state, RunState::Submitting { intent, .. } if intent == vendor));
    assert_eq!(run.submitted, Some(now(3).wall));
}

#[test]
fn a_run_that_cannot_start_in_time_is_skipped_and_told() {
    let mut run = pending();
    let applied = run.on(7200, Event::StartDeadlinePassed);
    let skipped = Outcome::Skipped(SkipReason::StartDeadline);
    assert_ended(&run, &applied, skipped, Some(NoticeKind::Late));
}

#[test]
fn a_run_that_only_met_a_dead_connection_is_skipped_too() {
    let down = of_connection(ConnectionFault::Unreachable);
    let mut run = submitting().after([(1, refused(down))]);
    let applied = run.on(7200, Event::StartDeadlinePassed);
    let skipped = Outcome::Skipped(SkipReason::StartDeadline);
    assert_ended(&run, &applied, skipped, Some(NoticeKind::Late));
}

#[test]
fn a_retry_that_cannot_start_in_time_has_failed() {
    let mut run = backoff();
    let applied = run.on(9000, Event::StartDeadlinePassed);
    assert_ended(&run, &applied, Outcome::Failed, Some(NoticeKind::Failed));
    assert_eq!(run.fault, Some(transient()), "the last fault says why");
}

#[test]
fn what_has_not_left_is_cancelled_at_once() {
    for mut run in [pending(), backoff()] {
        let applied = run.on(30, Event::Cancel(CancelWhy::Asked));
        assert_ended(
            &run,
            &applied,
            Outcome::Cancelled,
            Some(NoticeKind::Cancelled),
        );
    }
}

#[test]
fn the_start_deadline_grows_with_what_the_attempts_may_have_taken() {
    let run = pending();
    assert_eq!(run.start_deadline(), due() + secs(7200));
    let once = backoff();
    let longest = secs(3600) + GRACE + secs(900);
    assert_eq!(once.start_deadline(), due() + secs(2 * 7200) + longest);
}

// ---- the answer to the submission ----------------------------------------------------------------------------------

#[test]
fn an_accepted_run_is_polled_after_the_first_pause() {
    let mut run = submitting();
    let applied = run.on(1, accepted());
    assert_state(&run, &applied, "running", Some("accepted"));
    assert_eq!(applied.record.unwrap().job, Some(job()));
    let RunState::Running {
        accepted,
        next_poll,
        polls,
        ..
    } = &run.state
    else {
        panic!()
    };
    assert_eq!((*accepted, *next_poll, *polls), (mono(1), mono(3), 0));
}

#[test]
fn a_refused_submission_is_retried_by_its_class() {
    let mut run = submitting();
    let applied = run.on(1, refused(permanent()));
    assert_ended(&run, &applied, Outcome::Failed, Some(NoticeKind::Failed));
    let mut run = submitting();
    let applied = run.on(1, refused(transient()));
    assert_state(&run, &applied, "backoff", Some("refused"));
    assert_eq!(run.state, RunState::Backoff { until: mono(31) });
}

#[test]
fn faults_of_the_connection_use_up_no_attempt() {
    for kind in [
        ConnectionFault::Unreachable,
        ConnectionFault::Unauthorized,
        ConnectionFault::TooMany,
        ConnectionFault::Unavailable,
    ] {
        let mut run = pending();
        for attempt in 1..=10 {
            run.on(u64::from(attempt) * 10, Event::Admitted);
            let applied = run.on(u64::from(attempt) * 10 + 1, refused(of_connection(kind)));
            assert_state(&run, &applied, "backoff", Some("refused"));
            assert_eq!((run.attempt, run.failures), (attempt, 0), "{kind:?}");
        }
        // as many as ever are left
        run.on(200, Event::Admitted);
        run.on(201, refused(transient()));
        assert_eq!((run.failures, run.state.word()), (1, "backoff"));
    }
}

#[test]
fn attempts_are_used_up_one_by_one_and_the_first_counts() {
    let mut run = pending();
    for attempt in 1..=3 {
        run.on(attempt * 1000, Event::Admitted);
        run.on(attempt * 1000 + 1, accepted());
        let applied = run.on(attempt * 1000 + 2, failed(transient()));
        assert_eq!(run.failures, attempt as u32);
        match attempt {
            1 | 2 => assert_state(&run, &applied, "backoff", Some("failed")),
            _ => assert_ended(&run, &applied, Outcome::Failed, Some(NoticeKind::Failed)),
        }
    }
}

#[test]
fn a_wish_to_cancel_is_remembered_while_the_answer_is_awaited() {
    let wish = |run: &mut Run| {
        let applied = run.on(5, Event::Cancel(CancelWhy::Superseded));
        assert_eq!(applied.record.unwrap().what, "cancel_wished");
        assert_eq!(run.cancel, Some(CancelWhy::Superseded));
        // once is enough
        assert_eq!(
            run.on(6, Event::Cancel(CancelWhy::Asked)),
            Applied::default()
        );
        assert_eq!(run.cancel, Some(CancelWhy::Superseded));
    };
    let mut run = submitting();
    wish(&mut run);
    let applied = run.on(7, accepted());
    assert_state(&run, &applied, "cancelling", Some("cancelling"));

    let mut run = submitting();
    wish(&mut run);
    let applied = run.on(7, refused(transient()));
    assert_ended(
        &run,
        &applied,
        Outcome::Cancelled,
        Some(NoticeKind::Cancelled),
    );

    let mut run = submitting();
    wish(&mut run);
    let applied = run.on(7, unsure(transient()));
    assert_state(&run, &applied, "in_doubt", Some("in_doubt"));
    assert_eq!(run.cancel, Some(CancelWhy::Superseded));
}

// ---- doubt -----------------------------------------------------------------------------------------------------------

fn doubt_times(run: &Run) -> (Mono, Mono) {
    match run.state {
        RunState::InDoubt {
            settled, give_up, ..
        } => (settled, give_up),
        _ => panic!("{:?}", run.state),
    }
}

#[test]
fn an_unsure_answer_is_settled_and_given_up_from_the_intent() {
    let mut run = submitting();
    let applied = run.on(10, unsure(transient()));
    assert_state(&run, &applied, "in_doubt", Some("in_doubt"));
    assert_eq!(doubt_times(&run), (mono(90), mono(1800)));
    let RunState::InDoubt { intent, .. } = run.state else {
        panic!()
    };
    assert_eq!(intent, due());
    assert_eq!(settle_time(&limits()), SETTLE);
}

#[test]
fn a_run_that_was_being_submitted_when_the_daemon_died_settles_from_the_restart() {
    let mut run = submitting();
    let applied = run.on(200, Event::Resumed);
    assert_state(&run, &applied, "in_doubt", Some("in_doubt"));
    let (settled, give_up) = doubt_times(&run);
    assert_eq!((settled, give_up), (mono(290), mono(1800)));
}

#[test]
fn a_doubt_settles_anew_after_a_restart_and_is_looked_at_once_more() {
    let mut run = in_doubt();
    assert_eq!(run.on(3000, Event::Resumed), Applied::default());
    let (settled, give_up) = doubt_times(&run);
    assert_eq!(settled, mono(3090));
    assert!(give_up > settled, "there is time to look");
}

#[test]
fn a_found_job_is_polled_at_once() {
    let mut run = in_doubt();
    let applied = run.on(50, Event::Found(job()));
    assert_state(&run, &applied, "running", Some("found"));
    assert!(matches!(run.state, RunState::Running { next_poll, .. } if next_poll == mono(50)));
}

#[test]
fn a_found_job_that_is_not_wanted_any_more_is_stopped() {
    let mut run = in_doubt().after([(20, Event::Cancel(CancelWhy::Asked))]);
    let applied = run.on(50, Event::Found(job()));
    assert_state(&run, &applied, "cancelling", Some("cancelling"));
    assert_eq!(applied.record.unwrap().job, Some(job()));
}

#[test]
fn doubt_ends_by_its_policy() {
    use DoubtPolicy as P;
    let lost = Some(Outcome::Lost);
    let table = [
        (P::Verify, absent(), None),
        (P::Verify, gave_up(), lost),
        (P::Hold, absent(), lost),
        (P::Hold, gave_up(), lost),
        (P::Resubmit, absent(), None),
        (P::Resubmit, gave_up(), None),
    ];
    for (policy, event, outcome) in table {
        let mut run = in_doubt_with(|d| d.policies.doubt = policy);
        let applied = run.on(2000, event);
        match outcome {
            Some(outcome) => assert_ended(&run, &applied, outcome, Some(NoticeKind::Lost)),
            None => {
                assert_state(&run, &applied, "backoff", Some("absent"));
                assert_eq!(run.failures, 1, "{policy:?}");
            }
        }
    }
}

#[test]
fn absence_uses_up_the_last_attempt() {
    let mut run = in_doubt_with(|d| d.policies.retry.attempts = 1);
    let applied = run.on(100, absent());
    assert_ended(&run, &applied, Outcome::Failed, Some(NoticeKind::Failed));
}

#[test]
fn absence_after_the_service_was_out_uses_up_no_attempt() {
    let out = of_connection(ConnectionFault::Unavailable);
    let mut run = submitting().after([(1, unsure(out))]);
    let applied = run.on(100, absent());
    assert_state(&run, &applied, "backoff", Some("absent"));
    assert_eq!(run.failures, 0);
}

#[test]
fn an_attempt_that_may_have_made_a_job_is_used_up_also_when_the_service_was_out() {
    let out = of_connection(ConnectionFault::Unavailable);
    let resubmit = |d: &mut Definition| d.policies.doubt = DoubtPolicy::Resubmit;
    let mut run = pending_with(resubmit).after([(0, Event::Admitted), (1, unsure(out.clone()))]);
    let applied = run.on(2000, gave_up());
    assert_state(&run, &applied, "backoff", Some("absent"));
    let fault = run.fault.clone().unwrap();
    assert_eq!(
        (run.failures, fault.class, &fault.message),
        (1, FaultClass::Transient, &out.message)
    );
    // Its job may have run: it is not told as a run that never started.
    let applied = run.on(3000, Event::StartDeadlinePassed);
    assert_ended(&run, &applied, Outcome::Failed, Some(NoticeKind::Failed));
}

#[test]
fn a_connection_fault_of_an_earlier_attempt_does_not_excuse_a_later_one() {
    let down = of_connection(ConnectionFault::Unreachable);
    let mut run = submitting().after([
        (1, refused(down)),
        (2, Event::Admitted),
        (3, Event::Resumed),
    ]);
    run.on(100, absent());
    assert_eq!(run.failures, 1);
}

#[test]
fn a_wish_to_cancel_ends_a_proven_doubt_as_cancelled_under_every_policy() {
    for (policy, _) in DoubtPolicy::ALL {
        let mut run = in_doubt_with(|d| d.policies.doubt = policy);
        run.on(20, Event::Cancel(CancelWhy::Asked));
        let applied = run.on(100, absent());
        assert_ended(
            &run,
            &applied,
            Outcome::Cancelled,
            Some(NoticeKind::Cancelled),
        );
    }
}

#[test]
fn what_is_not_wanted_any_more_is_never_submitted_again() {
    for (policy, _) in DoubtPolicy::ALL {
        let mut run = in_doubt_with(|d| d.policies.doubt = policy);
        run.on(20, Event::Cancel(CancelWhy::Asked));
        let applied = run.on(2000, gave_up());
        // its job may live
        assert_ended(&run, &applied, Outcome::Lost, Some(NoticeKind::Lost));
    }
}

// ---- the vendor has a job --------------------------------------------------------------------------------------------

#[test]
fn a_working_job_is_polled_at_growing_pauses_and_nothing_is_stored() {
    let mut run = running();
    let mut at = 12;
    for pause in [3000, 4500, 6750, 10_125, 15_187] {
        let answer = if pause == 6750 {
            no_answer()
        } else {
            working()
        };
        assert_eq!(run.on(at, answer), Applied::default());
        let RunState::Running { next_poll, .. } = run.state else {
            panic!()
        };
        assert_eq!(next_poll.since(mono(at)).as_millis(), pause);
        at += 60;
    }
}

#[test]
fn a_run_ends_as_its_job_does() {
    let mut run = running();
    let applied = run.on(60, Event::Polled(PollAnswer::Succeeded));
    assert_ended(&run, &applied, Outcome::Succeeded, None);
    assert_eq!(run.finished, Some(now(60).wall));
    let mut run = running();
    let applied = run.on(60, failed(permanent()));
    assert_ended(&run, &applied, Outcome::Failed, Some(NoticeKind::Failed));
    let mut run = running();
    let applied = run.on(60, Event::Polled(PollAnswer::Cancelled));
    assert_ended(
        &run,
        &applied,
        Outcome::Cancelled,
        Some(NoticeKind::Cancelled),
    );
}

#[test]
fn a_job_that_fails_for_its_connection_uses_up_an_attempt() {
    // The vendor ran it: a fault word of a connection in a job's error is no outage.
    let mut run = running();
    run.on(60, failed(of_connection(ConnectionFault::Unavailable)));
    assert_eq!((run.failures, run.state.word()), (1, "backoff"));
}

#[test]
fn a_retry_after_the_vendor_asked_for_time_waits_as_long() {
    let mut fault = transient();
    fault.retry_after = Some(secs(200));
    let mut run = running();
    run.on(60, failed(fault));
    assert_eq!(run.state, RunState::Backoff { until: mono(260) });
}

#[test]
fn a_job_is_lost_only_when_it_is_gone_several_times_and_for_a_while() {
    let mut run = running();
    for n in 0..10 {
        assert_state(&run.clone(), &run.on(20 + n, gone()), "running", None);
    }
    // two minutes after it was gone first
    let applied = run.on(20 + 120, gone());
    assert_ended(&run, &applied, Outcome::Lost, Some(NoticeKind::Lost));
    // True of 404 and of 400 alike.
    let why = applied.record.unwrap().why;
    assert_eq!(
        why.as_deref(),
        Some("the vendor no longer says how the job stands")
    );
    let mut run = running();
    run.on(20, gone());
    let applied = run.on(500, gone());
    assert_state(&run, &applied, "running", None);
}

#[test]
fn a_job_that_is_seen_again_was_not_gone() {
    let mut run = running();
    for n in 0..4 {
        run.on(20 + n * 40, gone());
    }
    run.on(190, working());
    let applied = run.on(200, gone());
    assert_state(&run, &applied, "running", None);
}

#[test]
fn the_last_fault_stays_with_a_run_that_succeeds_in_the_end() {
    let mut run = backoff();
    run.on(60, Event::Admitted);
    run.on(61, accepted());
    run.on(70, Event::Polled(PollAnswer::Succeeded));
    assert_eq!(run.fault, Some(transient()));
}

// ---- it is to be stopped ---------------------------------------------------------------------------------------------

#[test]
fn a_time_limit_and_a_wish_stop_a_running_job() {
    let mut run = running();
    let applied = run.on(3610, Event::TimeLimitPassed);
    assert_state(&run, &applied, "cancelling", Some("cancelling"));
    assert!(
        matches!(run.state, RunState::Cancelling { why: CancelWhy::Timeout, next_poll, .. } if next_poll == mono(3610))
    );
    let mut run = running();
    let applied = run.on(20, Event::Cancel(CancelWhy::Asked));
    assert_state(&run, &applied, "cancelling", Some("cancelling"));
}

#[test]
fn a_job_that_is_being_stopped_is_asked_about_until_it_ends() {
    for answer in [working(), no_answer(), gone()] {
        let mut run = cancelling(CancelWhy::Asked);
        for n in 0..20 {
            let applied = run.on(30 + n, answer.clone());
            assert_state(&run, &applied, "cancelling", None);
            let RunState::Cancelling { next_poll, .. } = run.state else {
                panic!()
            };
            assert!(next_poll > mono(30 + n) && next_poll <= mono(30 + n).plus(secs(30)));
        }
    }
    let mut run = cancelling(CancelWhy::Asked);
    assert_eq!(run.on(21, Event::CancelAnswered), Applied::default());
}

#[test]
fn a_stop_is_confirmed_by_how_the_job_ended() {
    let ends = [
        failed(transient()),
        failed(permanent()),
        Event::Polled(PollAnswer::Cancelled),
    ];
    for end in ends {
        let mut run = cancelling(CancelWhy::Asked);
        let applied = run.on(40, end.clone());
        assert_ended(
            &run,
            &applied,
            Outcome::Cancelled,
            Some(NoticeKind::Cancelled),
        );
        let mut run = running().after([(3610, Event::TimeLimitPassed)]);
        let applied = run.on(3620, end);
        assert_ended(
            &run,
            &applied,
            Outcome::TimedOut,
            Some(NoticeKind::TimedOut),
        );
    }
    let mut run = cancelling(CancelWhy::Asked);
    let applied = run.on(40, Event::Polled(PollAnswer::Succeeded));
    assert_ended(&run, &applied, Outcome::Succeeded, None);
}

fn timing_out() -> Run {
    running_with(|d| d.policies.retry.on_timeout = true).after([(3610, Event::TimeLimitPassed)])
}

#[test]
fn with_on_timeout_a_confirmed_stop_is_followed_by_another_attempt() {
    let mut run = timing_out();
    let applied = run.on(3620, Event::Polled(PollAnswer::Cancelled));
    assert_state(&run, &applied, "backoff", Some("timed_out"));
    assert_eq!((run.failures, run.cancel), (1, None));
    run.on(3700, Event::Admitted);
    let applied = run.on(3701, accepted());
    assert_state(&run, &applied, "running", Some("accepted"));
}

#[test]
fn a_wish_to_cancel_ends_a_run_that_its_time_limit_stops() {
    let mut run = timing_out();
    let applied = run.on(3615, Event::Cancel(CancelWhy::Superseded));
    assert_state(&run, &applied, "cancelling", Some("cancel_wished"));
    let applied = run.on(3620, Event::Polled(PollAnswer::Cancelled));
    assert_ended(
        &run,
        &applied,
        Outcome::TimedOut,
        Some(NoticeKind::TimedOut),
    );
}

#[test]
fn a_job_that_does_not_stop_is_lost_and_never_retried() {
    for mut run in [cancelling(CancelWhy::Asked), timing_out()] {
        let applied = run.on(5000, Event::GracePassed);
        assert_ended(&run, &applied, Outcome::Lost, Some(NoticeKind::Lost));
    }
}

// ---- another process takes over ----------------------------------------------------------------------------------------

#[test]
fn a_resumed_run_is_what_it_was_and_its_job_is_asked_about_first() {
    for mut run in [pending(), backoff()] {
        let before = run.clone();
        assert_eq!(run.on(500, Event::Resumed), Applied::default());
        assert_eq!(run, before);
    }
    for mut run in [running(), cancelling(CancelWhy::Asked)] {
        assert_eq!(run.on(500, Event::Resumed), Applied::default());
        let (RunState::Running { next_poll, .. } | RunState::Cancelling { next_poll, .. }) =
            run.state
        else {
            panic!()
        };
        assert_eq!(next_poll, mono(500));
    }
}

#[test]
fn a_job_of_a_later_life_takes_the_place_of_what_an_older_database_knew() {
    for mut run in [pending(), backoff(), running()] {
        let applied = run.on(60, Event::Found(JobId::new("job_2").unwrap()));
        assert_state(&run, &applied, "running", Some("found"));
        assert_eq!(run.job, JobId::new("job_2"));
    }
    let mut run = cancelling(CancelWhy::Asked);
    let applied = run.on(60, Event::Found(JobId::new("job_2").unwrap()));
    assert_state(&run, &applied, "cancelling", Some("cancelling"));
}

#[test]
fn times_of_a_run_do_not_go_back_with_the_clock() {
    let back = |mono_after: u64| Now {
        wall: due() - secs(3600),
        mono: mono(mono_after),
    };
    let limits = limits();
    let cx = |n| Context {
        now: back(n),
        vendor: back(n).wall,
        limits: &limits,
    };
    let mut run = running();
    run.apply(Event::Polled(PollAnswer::Succeeded), cx(20))
        .unwrap();
    assert!(run.finished >= run.submitted && run.finished >= Some(run.planned));
    let mut run = backoff();
    let before = run.submitted;
    run.apply(Event::Admitted, cx(60)).unwrap();
    assert!(run.submitted >= before);
}

#[test]
fn elapsed_times_go_on_over_a_restart() {
    let mut run = in_doubt();
    let saved = now(10);
    // away for 40 s by the wall clock, in a process whose clock began anew
    let other = Now {
        wall: now(50).wall,
        mono: Mono(7),
    };
    run.rebase(saved, other);
    assert_eq!(
        doubt_times(&run),
        (Mono(7).plus(secs(40)), Mono(7).plus(secs(1750)))
    );
    // a clock that was set back does not turn elapsed time back
    let mut run = in_doubt();
    run.rebase(
        saved,
        Now {
            wall: now(10).wall - secs(500),
            mono: Mono(7),
        },
    );
    assert_eq!(
        doubt_times(&run),
        (Mono(7).plus(secs(80)), Mono(7).plus(secs(1790)))
    );
}

// ---- everything else is impossible -------------------------------------------------------------------------------------

/// The pairs that the table names, by the words of state and event.
const LEGAL: [(&str, &[&str]); 7] = [
    (
        "pending",
        &[
            "admitted",
            "start_deadline_passed",
            "passed_over",
            "cancel",
            "found",
            "resumed",
        ],
    ),
    ("submitting", &["submitted", "cancel", "resumed"]),
    (
        "in_doubt",
        &["found", "not_found", "cancel", "resumed", "resolved"],
    ),
    (
        "running",
        &[
            "polled",
            "time_limit_passed",
            "cancel",
            "found",
            "resumed",
            "resolved",
        ],
    ),
    (
        "cancelling",
        &[
            "polled",
            "cancel_answered",
            "grace_passed",
            "cancel",
            "found",
            "resumed",
            "resolved",
        ],
    ),
    (
        "backoff",
        &[
            "admitted",
            "start_deadline_passed",
            "cancel",
            "found",
            "resumed",
        ],
    ),
    ("finished", &[]),
];

fn every_event() -> Vec<Event> {
    let mut events = vec![
        Event::Admitted,
        Event::StartDeadlinePassed,
        Event::PassedOver(SkipReason::NoPredecessor, "nothing there".to_owned()),
        accepted(),
        refused(transient()),
        unsure(transient()),
        Event::Resumed,
        Event::Found(job()),
        absent(),
        gave_up(),
        working(),
        Event::Polled(PollAnswer::Succeeded),
        failed(transient()),
        failed(permanent()),
        Event::Polled(PollAnswer::Cancelled),
        gone(),
        no_answer(),
        Event::CancelAnswered,
        Event::TimeLimitPassed,
        Event::GracePassed,
    ];
    events.extend(Ended::ALL.map(|(ended, _)| Event::Resolved(ended)));
    events.extend(CancelWhy::ALL.map(|(why, _)| Event::Cancel(why)));
    events
}

#[test]
fn any_other_pair_is_refused_and_changes_nothing() {
    let runs = [
        pending(),
        submitting(),
        in_doubt(),
        running(),
        cancelling(CancelWhy::Asked),
        backoff(),
        finished(),
    ];
    for run in runs {
        let word = run.state.word();
        let (_, legal) = LEGAL.iter().find(|(state, _)| *state == word).unwrap();
        for event in every_event() {
            let mut after = run.clone();
            let result = after.try_on(100, event.clone());
            if legal.contains(&event.word()) {
                assert!(result.is_ok(), "{word} {event:?}");
            } else {
                let illegal = IllegalTransition {
                    state: word,
                    event: event.word(),
                };
                assert_eq!(result, Err(illegal));
                assert_eq!(after, run, "{word} {event:?}");
            }
        }
    }
}

#[test]
fn a_run_whose_predecessors_leave_nothing_to_do_is_passed_over_and_told_only_when_it_waited_in_vain()
 {
    let reasons = [
        (SkipReason::NoPredecessor, None),
        (SkipReason::PredecessorSucceeded, None),
        (SkipReason::PredecessorAwaited, Some(NoticeKind::Late)),
    ];
    for (reason, told) in reasons {
        let mut run = pending();
        let applied = run.on(10, Event::PassedOver(reason, "why".to_owned()));
        assert_eq!(run.outcome(), Some(Outcome::Skipped(reason)));
        assert_eq!(applied.record.unwrap().why.as_deref(), Some("why"));
        assert_eq!(applied.notice.map(|notice| notice.kind), told);
    }
}

#[test]
fn an_illegal_pair_says_what_it_was() {
    let illegal = finished().try_on(100, Event::Admitted).unwrap_err();
    assert_eq!(illegal.to_string(), "admitted is impossible while finished");
}
