//! The state machine of a run: the one place that knows what follows what, used live and in recovery.
//!
//! [`Run::apply`] takes one event and moves the run along the table of `docs/state-machine.md`. It never decides
//! *when* something happens (the scheduler does) and never acts.
//!
//! Invariants: `Finished` is final; any pair that the table does not name is an [`IllegalTransition`] and changes
//! nothing; a run leaves `InDoubt` without its job only by proof, by permission or as lost.

use std::borrow::Cow;
use std::time::Duration;

use super::act::Ended;
use super::fault::{Fault, FaultClass};
use super::id::{JobId, RunId};
use super::notice::{Notice, NoticeKind};
use super::outcome::{Outcome, SkipReason};
use super::policy::{doubt, retry};
use super::run::{CancelWhy, Record, Run, RunState};
use super::schedule::ConnectionLimits;
use super::step::{PollAnswer, SubmitAnswer};
use super::time::{Mono, Now, Timestamp};

/// How often in a row the vendor may say that it does not know a job before the run is lost …
const GONE_TIMES: u32 = 5;
/// … and for how long at least: a fresh job may be invisible for a while (carto-api.md section 6.4).
const GONE_FOR: Duration = Duration::from_secs(120);
/// The longest pause between asking a job to stop and looking whether it did.
const CANCEL_LOOK: Duration = Duration::from_secs(2);
/// The longest pause between two questions about a job that was asked to stop.
const CANCEL_PAUSE_MAX: Duration = Duration::from_secs(30);

/// One thing that happens to one run.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It is its turn: the intent is made.
    Admitted,
    /// It could not be submitted in time.
    StartDeadlinePassed,
    /// What it comes after leaves nothing to do, or was awaited in vain.
    PassedOver(SkipReason, String),
    /// It is to be stopped.
    Cancel(CancelWhy),
    /// The answer to its submission.
    Submitted(SubmitAnswer),
    /// Another process takes over.
    Resumed,
    /// A job with its marker was found.
    Found(JobId),
    /// No job with its marker was found, and that is all that can be known.
    NotFound(doubt::Finding),
    /// How its job stands.
    Polled(PollAnswer),
    /// The vendor answered a request to stop it, or did not; how it stands is seen by polling.
    CancelAnswered,
    /// The time limit of the attempt passed.
    TimeLimitPassed,
    /// A cancelled job did not stop in time.
    GracePassed,
    /// A person says how its job ended.
    Resolved(Ended),
}

impl Event {
    /// One word, for messages.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::StartDeadlinePassed => "start_deadline_passed",
            Self::PassedOver(..) => "passed_over",
            Self::Cancel(_) => "cancel",
            Self::Submitted(_) => "submitted",
            Self::Resumed => "resumed",
            Self::Found(_) => "found",
            Self::NotFound(_) => "not_found",
            Self::Polled(_) => "polled",
            Self::CancelAnswered => "cancel_answered",
            Self::TimeLimitPassed => "time_limit_passed",
            Self::GracePassed => "grace_passed",
            Self::Resolved(_) => "resolved",
        }
    }
}

/// A pair of state and event that must not occur: a bug, never a normal course.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event} is impossible while {state}")]
pub struct IllegalTransition {
    /// The state.
    pub state: &'static str,
    /// The event.
    pub event: &'static str,
}

/// What an event left behind for the store. Empty when nothing changed that must survive a crash (a job that still
/// works).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// The line of the run's story.
    pub record: Option<Record>,
    /// What a person should hear.
    pub notice: Option<Notice>,
}

/// What the machine needs to know beside the run: the time and the limits of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Both clocks.
    pub now: Now,
    /// The vendor's clock as far as it was heard, ours until then: intents are dated by it, as job lists are.
    pub vendor: Timestamp,
    /// The connection's pauses and time limits.
    pub limits: &'a ConnectionLimits,
}

impl Run {
    /// Moves the run by one event.
    pub fn apply(&mut self, event: Event, cx: Context<'_>) -> Result<Applied, IllegalTransition> {
        use RunState as S;
        let illegal = IllegalTransition {
            state: self.state.word(),
            event: event.word(),
        };
        match (&self.state, event) {
            (S::Pending | S::Backoff { .. }, Event::Admitted) => Ok(self.submit(cx)),
            (S::Pending | S::Backoff { .. }, Event::StartDeadlinePassed) => Ok(self.too_late(cx)),
            (S::Pending, Event::PassedOver(reason, why)) => {
                Ok(self.finish(Outcome::Skipped(reason), Some(why), None, cx))
            }
            (S::Pending | S::Backoff { .. }, Event::Cancel(why)) => {
                Ok(self.finish(Outcome::Cancelled, Some(cancelled_because(why)), None, cx))
            }
            // A database restored from a copy: the vendor knows more of this run than we do.
            (
                S::Pending | S::Backoff { .. } | S::Running { .. } | S::Cancelling { .. },
                Event::Found(job),
            ) => Ok(self.accept(job, "found", Duration::ZERO, cx)),

            (S::Submitting { .. }, Event::Submitted(answer)) => Ok(match answer {
                SubmitAnswer::Accepted(job) => {
                    self.accept(job, "accepted", cx.limits.poll.first, cx)
                }
                SubmitAnswer::Refused(fault) => self.refused(fault, cx),
                SubmitAnswer::Unsure(fault) => self.doubt(Some(fault), cx),
            }),
            (S::Submitting { .. }, Event::Resumed) => Ok(self.doubt(None, cx)),
            (S::Submitting { .. } | S::InDoubt { .. }, Event::Cancel(why)) => {
                Ok(self.wish(why, cx))
            }

            (S::InDoubt { .. }, Event::Resumed) => Ok(self.settle_anew(cx)),
            (S::InDoubt { .. }, Event::Found(job)) => {
                Ok(self.accept(job, "found", Duration::ZERO, cx))
            }
            (S::InDoubt { .. }, Event::NotFound(finding)) => Ok(self.not_found(finding, cx)),

            (S::Running { .. }, Event::Resumed) => Ok(self.ask_at(cx.now.mono)),
            (S::Running { .. }, Event::Polled(answer)) => Ok(self.polled(answer, cx)),
            (S::Running { .. }, Event::TimeLimitPassed) => Ok(self.stop(CancelWhy::Timeout, cx)),
            (S::Running { .. }, Event::Cancel(why)) => Ok(self.stop(why, cx)),

            (S::Cancelling { .. }, Event::Resumed) => Ok(self.ask_at(cx.now.mono)),
            (S::Cancelling { .. }, Event::Polled(answer)) => Ok(self.stopping(answer, cx)),
            (S::Cancelling { .. }, Event::CancelAnswered) => {
                Ok(self.ask_at(cx.now.mono.plus(cx.limits.poll.first.min(CANCEL_LOOK))))
            }
            (S::Cancelling { .. }, Event::Cancel(why)) => Ok(self.stop_for_good(why, cx)),
            (S::Cancelling { .. }, Event::GracePassed) => Ok(self.grace_passed(cx)),

            (
                S::InDoubt { .. } | S::Running { .. } | S::Cancelling { .. },
                Event::Resolved(ended),
            ) => Ok(self.resolved(ended, cx)),

            (S::Pending | S::Backoff { .. }, Event::Resumed) => Ok(Applied::default()),
            _ => Err(illegal),
        }
    }

    // ---- before the vendor knows of it -------------------------------------------------------------------------

    fn submit(&mut self, cx: Context<'_>) -> Applied {
        self.attempt += 1;
        self.submitted = self.submitted.max(Some(cx.now.wall.max(self.planned)));
        self.state = RunState::Submitting {
            since: cx.now.mono,
            intent: cx.vendor,
        };
        self.recorded("submitting", None, None, cx)
    }

    fn too_late(&mut self, cx: Context<'_>) -> Applied {
        let fault = self.fault.clone();
        // Only faults of the connection so far: it never started. Otherwise an attempt did fail.
        let outcome = if self.failures == 0 {
            Outcome::Skipped(SkipReason::StartDeadline)
        } else {
            Outcome::Failed
        };
        let why = SkipReason::StartDeadline.to_string();
        self.finish(outcome, Some(why), fault, cx)
    }

    fn refused(&mut self, fault: Fault, cx: Context<'_>) -> Applied {
        match self.cancel {
            Some(why) => self.finish(
                Outcome::Cancelled,
                Some(cancelled_because(why)),
                Some(fault),
                cx,
            ),
            None => self.not_made("refused", fault, cx),
        }
    }

    // ---- the answer is unknown -----------------------------------------------------------------------------------

    fn doubt(&mut self, fault: Option<Fault>, cx: Context<'_>) -> Applied {
        let (since, intent) = match self.state {
            RunState::Submitting { since, intent } => (since, intent),
            _ => (cx.now.mono, cx.vendor),
        };
        // After a restart the request may have left just before the crash, so settling begins anew.
        let from = if fault.is_none() { cx.now.mono } else { since };
        let settled = from.plus(settle_time(cx.limits));
        self.state = RunState::InDoubt {
            intent,
            settled,
            give_up: since.plus(cx.limits.give_up).max(settled.plus(LAST_LOOK)),
        };
        let why = match &fault {
            Some(_) => "the answer to the submission is unknown; looking for the job by its marker",
            None => {
                "the daemon stopped before it knew the answer; looking for the job by its marker"
            }
        };
        match &fault {
            Some(_) => self.fault = fault.clone(),
            // What was wrong with the connection before says nothing of this attempt.
            None => drop(self.fault.take_if(|f| f.connection().is_some())),
        }
        self.recorded("in_doubt", Some(why.into()), fault, cx)
    }

    fn settle_anew(&mut self, cx: Context<'_>) -> Applied {
        if let RunState::InDoubt {
            settled, give_up, ..
        } = &mut self.state
        {
            *settled = cx.now.mono.plus(settle_time(cx.limits));
            *give_up = (*give_up).max(settled.plus(LAST_LOOK));
        }
        Applied::default()
    }

    /// The machine slept until now, and so did what is on its way: how long it may take is counted anew. Not stored: a
    /// restart counts anew, too.
    pub fn awoke(&mut self, cx: Context<'_>) {
        match &mut self.state {
            RunState::Submitting { since, .. } => *since = cx.now.mono,
            RunState::InDoubt { .. } => drop(self.settle_anew(cx)),
            _ => {}
        }
    }

    fn not_found(&mut self, finding: doubt::Finding, cx: Context<'_>) -> Applied {
        let why = match finding {
            doubt::Finding::ProvenAbsent => "the job list proves that no job was made",
            doubt::Finding::GaveUp => "no job was found, and the job list proves nothing",
        };
        let verdict = match (self.cancel, finding) {
            (Some(wish), doubt::Finding::ProvenAbsent) => {
                return self.finish(Outcome::Cancelled, Some(cancelled_because(wish)), None, cx);
            }
            // Nobody wants it any more: it is not submitted again, and its job may live.
            (Some(_), doubt::Finding::GaveUp) => doubt::Verdict::Lost,
            (None, _) => self.definition.policies.doubt.decide(finding),
        };
        match verdict {
            doubt::Verdict::Lost => {
                let fault = self.fault.clone();
                self.finish(Outcome::Lost, Some(why.into()), fault, cx)
            }
            doubt::Verdict::Failed => {
                let of_connection = self.fault.clone().filter(|f| f.connection().is_some());
                let no_answer = || Fault::new(FaultClass::Transient, "no answer", why);
                let mut fault = of_connection.unwrap_or_else(no_answer);
                if finding == doubt::Finding::GaveUp {
                    // Its job may have run: the attempt is used up, whatever was wrong with the connection.
                    fault.class = FaultClass::Transient;
                }
                self.not_made("absent", fault, cx)
            }
        }
    }

    // ---- the vendor has a job ------------------------------------------------------------------------------------

    /// The vendor has a job; it is asked about after `first`.
    fn accept(
        &mut self,
        job: JobId,
        what: &'static str,
        first: Duration,
        cx: Context<'_>,
    ) -> Applied {
        self.job = Some(job.clone());
        self.submitted.get_or_insert(cx.now.wall.max(self.planned));
        self.state = RunState::Running {
            job,
            accepted: cx.now.mono,
            polls: 0,
            next_poll: cx.now.mono.plus(first),
            gone: None,
        };
        match self.cancel {
            Some(why) => self.stop(why, cx),
            None => self.recorded(what, None, None, cx),
        }
    }

    fn polled(&mut self, answer: PollAnswer, cx: Context<'_>) -> Applied {
        match answer {
            PollAnswer::Succeeded => self.finish(Outcome::Succeeded, None, None, cx),
            PollAnswer::Failed(fault) => self.attempt_failed("failed", fault, cx),
            PollAnswer::Cancelled => {
                let why = "the job was stopped at the vendor".to_owned();
                self.finish(Outcome::Cancelled, Some(why), None, cx)
            }
            PollAnswer::Working { .. } | PollAnswer::NoAnswer(_) => self.ask_later(None, cx),
            PollAnswer::Gone(fault) => self.gone(fault, cx),
        }
    }

    /// The vendor does not know the job (404, 410) or takes no question about it (400): believed only when it says so
    /// several times.
    fn gone(&mut self, fault: Fault, cx: Context<'_>) -> Applied {
        let RunState::Running { gone, .. } = &self.state else {
            return Applied::default();
        };
        let (times, since) = gone.map_or((1, cx.now.mono), |(n, since)| (n + 1, since));
        if times >= GONE_TIMES && cx.now.mono.since(since) >= GONE_FOR {
            let why = "the vendor no longer says how the job stands".to_owned();
            return self.finish(Outcome::Lost, Some(why), Some(fault), cx);
        }
        self.ask_later(Some((times, since)), cx)
    }

    fn ask_later(&mut self, now_gone: Option<(u32, Mono)>, cx: Context<'_>) -> Applied {
        if let RunState::Running {
            polls,
            next_poll,
            gone,
            ..
        } = &mut self.state
        {
            *polls = polls.saturating_add(1);
            *gone = now_gone;
            *next_poll = cx.now.mono.plus(cx.limits.poll.pause(*polls));
        }
        Applied::default()
    }

    fn ask_at(&mut self, at: Mono) -> Applied {
        match &mut self.state {
            RunState::Running { next_poll, .. } | RunState::Cancelling { next_poll, .. } => {
                *next_poll = at;
            }
            _ => {}
        }
        Applied::default()
    }

    fn resolved(&mut self, ended: Ended, cx: Context<'_>) -> Applied {
        let why = Some("a person says how its job ended".to_owned());
        match ended {
            Ended::Succeeded => self.finish(Outcome::Succeeded, why, None, cx),
            Ended::Failed => {
                let fault = self.fault.clone();
                self.finish(Outcome::Failed, why, fault, cx)
            }
        }
    }

    // ---- it is to be stopped -------------------------------------------------------------------------------------

    fn wish(&mut self, why: CancelWhy, cx: Context<'_>) -> Applied {
        if self.cancel.is_some() {
            return Applied::default();
        }
        self.cancel = Some(why);
        self.recorded("cancel_wished", Some(cancelled_because(why)), None, cx)
    }

    fn stop(&mut self, why: CancelWhy, cx: Context<'_>) -> Applied {
        let RunState::Running { job, .. } = &self.state else {
            return Applied::default();
        };
        self.state = RunState::Cancelling {
            job: job.clone(),
            why,
            since: cx.now.mono,
            polls: 0,
            next_poll: cx.now.mono,
        };
        self.cancel = Some(why);
        self.recorded("cancelling", Some(cancelled_because(why)), None, cx)
    }

    /// A run that its time limit stops is not to be tried again.
    fn stop_for_good(&mut self, why: CancelWhy, cx: Context<'_>) -> Applied {
        if self.cancel != Some(CancelWhy::Timeout) {
            return Applied::default();
        }
        self.cancel = Some(why);
        self.recorded("cancel_wished", Some(cancelled_because(why)), None, cx)
    }

    fn stopping(&mut self, answer: PollAnswer, cx: Context<'_>) -> Applied {
        let RunState::Cancelling {
            why,
            polls,
            next_poll,
            ..
        } = &mut self.state
        else {
            return Applied::default();
        };
        let why = *why;
        match answer {
            PollAnswer::Working { .. } | PollAnswer::NoAnswer(_) | PollAnswer::Gone(_) => {
                *polls = polls.saturating_add(1);
                let pause = cx.limits.poll.pause(*polls).min(CANCEL_PAUSE_MAX);
                *next_poll = cx.now.mono.plus(pause);
                Applied::default()
            }
            PollAnswer::Succeeded => {
                let why = "the job was faster than the wish to stop it".to_owned();
                self.finish(Outcome::Succeeded, Some(why), None, cx)
            }
            PollAnswer::Failed(_) | PollAnswer::Cancelled => self.stopped(why, cx),
        }
    }

    fn stopped(&mut self, why: CancelWhy, cx: Context<'_>) -> Applied {
        let because = cancelled_because(why);
        if why != CancelWhy::Timeout {
            return self.finish(Outcome::Cancelled, Some(because), None, cx);
        }
        let limit = super::time::words(self.definition.timeout);
        let message = format!("the time limit of {limit} passed; the job was stopped");
        let fault = Fault::new(FaultClass::Transient, "timeout", &message);
        let wished = self.cancel.is_some_and(|wish| wish != CancelWhy::Timeout);
        if self.definition.policies.retry.on_timeout && !wished {
            self.cancel = None;
            return self.attempt_failed("timed_out", fault, cx);
        }
        self.finish(Outcome::TimedOut, Some(because), Some(fault), cx)
    }

    fn grace_passed(&mut self, cx: Context<'_>) -> Applied {
        let grace = super::time::words(self.definition.cancel_grace);
        let why = format!("it was asked to stop and did not within {grace}; the job may live");
        self.finish(Outcome::Lost, Some(why), None, cx)
    }

    // ---- how an attempt or a run ends ----------------------------------------------------------------------------

    /// It came to nothing before a job was known. When the connection is at fault, no attempt is used up: its circuit says
    /// when to go on.
    fn not_made(&mut self, what: &'static str, fault: Fault, cx: Context<'_>) -> Applied {
        if fault.connection().is_none() {
            return self.attempt_failed(what, fault, cx);
        }
        self.fault = Some(fault.clone());
        self.state = RunState::Backoff { until: cx.now.mono };
        let why = "the connection is at fault, not the run; waits for it".to_owned();
        self.recorded(what, Some(why), Some(fault), cx)
    }

    /// An attempt ended for certain without success: again, or the end.
    fn attempt_failed(&mut self, what: &'static str, fault: Fault, cx: Context<'_>) -> Applied {
        self.fault = Some(fault.clone());
        self.failures += 1;
        let spread = spread(&self.id, self.attempt);
        match self
            .definition
            .policies
            .retry
            .decide(self.failures, &fault, spread)
        {
            retry::Verdict::Again(pause) => {
                self.state = RunState::Backoff {
                    until: cx.now.mono.plus(pause),
                };
                let why = format!("again in {}", super::time::words(pause));
                self.recorded(what, Some(why), Some(fault), cx)
            }
            retry::Verdict::Stop(why) => {
                self.finish(Outcome::Failed, Some(why.words().into()), Some(fault), cx)
            }
        }
    }

    fn finish(
        &mut self,
        outcome: Outcome,
        why: Option<String>,
        fault: Option<Fault>,
        cx: Context<'_>,
    ) -> Applied {
        self.state = RunState::Finished(outcome);
        // The clock may have been set back since; the times of a run are not.
        self.finished = Some(
            cx.now
                .wall
                .max(self.submitted.unwrap_or(self.planned))
                .max(self.planned),
        );
        // The last fault stays with a run that succeeded in the end: it says why that took several attempts.
        if fault.is_some() {
            self.fault = fault.clone();
        }
        let notice = finished_notice(self, outcome, why.as_deref());
        let mut applied = self.recorded("finished", why, fault, cx);
        applied.notice = notice;
        applied
    }

    fn recorded(
        &self,
        what: &'static str,
        why: Option<String>,
        fault: Option<Fault>,
        cx: Context<'_>,
    ) -> Applied {
        Applied {
            record: Some(Record {
                at: cx.now.wall,
                what: Cow::Borrowed(what),
                state: Cow::Borrowed(self.state.word()),
                attempt: self.attempt,
                why,
                fault,
                job: self.job.clone(),
            }),
            notice: None,
        }
    }
}

/// At least one look at the job list is made after the settle time; there is one in ten seconds.
const LAST_LOOK: Duration = Duration::from_secs(12);

/// How long after the intent a job may still appear in the list: the request may be on its way until its time limit,
/// and the list may lag.
pub fn settle_time(limits: &ConnectionLimits) -> Duration {
    limits.request_timeout + limits.list_lag
}

fn cancelled_because(why: CancelWhy) -> String {
    match why {
        CancelWhy::Timeout => "its time limit passed",
        CancelWhy::Asked => "somebody asked for it",
        CancelWhy::Superseded => "a newer run of the series takes its place",
        CancelWhy::Removed => "its schedule or set is no longer in the configuration",
    }
    .to_owned()
}

/// What a person hears when a run ends; nothing when it ended well or was skipped as its policy says.
fn finished_notice(run: &Run, outcome: Outcome, why: Option<&str>) -> Option<Notice> {
    let (kind, verb) = match outcome {
        Outcome::Succeeded => return None,
        Outcome::Failed => (NoticeKind::Failed, "failed"),
        Outcome::TimedOut => (NoticeKind::TimedOut, "timed out"),
        Outcome::Cancelled => (NoticeKind::Cancelled, "was cancelled"),
        Outcome::Lost => (NoticeKind::Lost, "is lost: how it ended cannot be known"),
        Outcome::Skipped(SkipReason::StartDeadline | SkipReason::PredecessorAwaited) => {
            (NoticeKind::Late, "did not start in time")
        }
        Outcome::Skipped(_) => return None,
    };
    let mut body = String::new();
    for line in [
        why.map(str::to_owned),
        run.fault.as_ref().map(Fault::to_string),
        run.fault.as_ref().and_then(|f| f.remedy.clone()),
        run.job.as_ref().map(|job| format!("job {job}")),
    ]
    .into_iter()
    .flatten()
    {
        body.push_str(&line);
        body.push('\n');
    }
    body.push_str(&format!("next: nightcall why {}", run.id));
    Some(Notice {
        id: format!("{}:finished", run.id),
        kind,
        at: run.finished.unwrap_or(run.planned),
        schedule: Some(run.id.series.schedule.clone()),
        run: Some(run.id.clone()),
        subject: format!("{} {verb}", run.id),
        body,
    })
}

/// A number that is fixed for a run and an attempt, for jitter: FNV-1a over the text, then mixed.
fn spread(id: &RunId, attempt: u32) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in format!("{id}#{attempt}").bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 31;
    hash = hash.wrapping_mul(0x7fb5_d329_728e_a185);
    hash ^ (hash >> 27)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
