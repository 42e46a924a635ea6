//! A run: its states and what is known of it. What follows what is `machine.rs`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::act::Ended;
use super::call::{Marker, Parameters, Submission};
use super::fault::Fault;
use super::id::{JobId, RunId};
use super::outcome::Outcome;
use super::schedule::Definition;
use super::template::Occasion;
use super::time::{Mono, Now, TimeZone, Timestamp, civil};
use super::trigger::Fold;

/// How a run came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Its occurrence was decided on time.
    Planned,
    /// Its occurrence was missed and the misfire policy runs it.
    CaughtUp,
    /// Somebody asked for it.
    Manual,
    /// A job with our marker was found that the store did not know.
    Adopted,
    /// Somebody asked to run an occurrence again whose run before did not end well.
    Retried,
    /// Somebody asked to run an occurrence again, whatever became of it.
    Rerun,
    /// Somebody asked to run an occurrence that did not run.
    Backfilled,
}

impl Origin {
    /// Every origin with its word.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Planned, "planned"),
        (Self::CaughtUp, "caught_up"),
        (Self::Manual, "manual"),
        (Self::Adopted, "adopted"),
        (Self::Retried, "retried"),
        (Self::Rerun, "rerun"),
        (Self::Backfilled, "backfilled"),
    ];

    /// Whether such runs keep out of the way of the others: they wait behind every other run of their series and of
    /// their connection, for as long as it takes, and nobody is skipped because of them.
    pub fn is_background(self) -> bool {
        matches!(self, Self::Rerun | Self::Backfilled)
    }

    /// The word used in the store and in JSON.
    pub fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(o, _)| *o == self)
            .map_or("planned", |(_, w)| w)
    }
}

/// Why the vendor was, or will be, asked to stop a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CancelWhy {
    /// The time limit passed.
    Timeout,
    /// A person asked.
    Asked,
    /// A newer run of the series takes its place (`overlap = "cancel_other"`).
    Superseded,
    /// Its schedule or set is no longer in the configuration.
    Removed,
}

impl CancelWhy {
    /// Every reason with its word.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Timeout, "timeout"),
        (Self::Asked, "asked"),
        (Self::Superseded, "superseded"),
        (Self::Removed, "removed"),
    ];

    /// The word used in the store and in JSON.
    pub fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(o, _)| *o == self)
            .map_or("asked", |(_, w)| w)
    }
}

/// Where a run stands. Times of the [`Mono`] clock are moved by [`Run::rebase`] when another process takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Stored; waits for its time, its series, a slot or its connection.
    Pending,
    /// The intent is stored; the request may or may not have left.
    Submitting {
        /// When the intent was stored.
        since: Mono,
        /// The same on the vendor's clock: job lists are read from there.
        intent: Timestamp,
    },
    /// The request left and its answer is unknown.
    InDoubt {
        /// When the intent was stored, on the vendor's clock.
        intent: Timestamp,
        /// From when on absence from the list means something; begins anew after a restart.
        settled: Mono,
        /// When to stop looking.
        give_up: Mono,
    },
    /// The vendor acknowledged a job; it is polled.
    Running {
        /// The job.
        job: JobId,
        /// When it was acknowledged.
        accepted: Mono,
        /// Polls made so far: decides the pause before the next.
        polls: u32,
        /// When to ask next.
        next_poll: Mono,
        /// How often in a row the vendor did not know the job, and since when.
        gone: Option<(u32, Mono)>,
    },
    /// The vendor was asked to stop it; confirmation is awaited.
    Cancelling {
        /// The job.
        job: JobId,
        /// Why.
        why: CancelWhy,
        /// When the wish arose.
        since: Mono,
        /// Polls made so far since the wish: every other turn asks the vendor again to stop it.
        polls: u32,
        /// When to ask next, to stop or how it stands.
        next_poll: Mono,
    },
    /// An attempt ended for certain without success; another follows.
    Backoff {
        /// When the next attempt may start.
        until: Mono,
    },
    /// Terminal for this generation.
    Finished(Outcome),
}

impl RunState {
    /// The word used in the store, in JSON and in tables.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Submitting { .. } => "submitting",
            Self::InDoubt { .. } => "in_doubt",
            Self::Running { .. } => "running",
            Self::Cancelling { .. } => "cancelling",
            Self::Backoff { .. } => "backoff",
            Self::Finished(_) => "finished",
        }
    }

    /// Every word, for `runs --state`.
    pub const WORDS: [&'static str; 7] = [
        "pending",
        "submitting",
        "in_doubt",
        "running",
        "cancelling",
        "backoff",
        "finished",
    ];
}

/// One occurrence of one series, or one request by hand, through all its attempts: its present state.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its identity.
    pub id: RunId,
    /// The nominal wall time in the schedule's zone; inside a gap the missing time.
    pub civil: civil::DateTime,
    /// Which of two equal wall times, when the clock was set back.
    pub fold: Fold,
    /// When it may start: the instant plus jitter.
    pub due: Timestamp,
    /// How it came to be.
    pub origin: Origin,
    /// When it was decided.
    pub planned: Timestamp,
    /// The hash of the configuration that planned it.
    pub config: Arc<str>,
    /// The definition that it started with.
    pub definition: Arc<Definition>,
    /// Its parameters, rendered once; equal for every attempt.
    pub parameters: Arc<Parameters>,
    /// Where it stands.
    pub state: RunState,
    /// The number of the last submission, from 1; 0 before the first.
    pub attempt: u32,
    /// Attempts that were used up. A fault of the connection uses up none.
    pub failures: u32,
    /// May be with the vendor beside other runs of its series (`allow_all`, `fire --anyway`).
    pub beside: bool,
    /// May be submitted although its schedule is paused.
    pub even_paused: bool,
    /// The wish to stop it, remembered until there is a job to stop.
    pub cancel: Option<CancelWhy>,
    /// The last fault.
    pub fault: Option<Fault>,
    /// The last job.
    pub job: Option<JobId>,
    /// When the last attempt was handed to the vendor.
    pub submitted: Option<Timestamp>,
    /// When it finished.
    pub finished: Option<Timestamp>,
    /// What a person says of a lost run, which keeps its outcome.
    pub resolved: Option<Ended>,
}

/// One line of a run's story, append-only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When.
    pub at: Timestamp,
    /// What happened, one word: `planned`, `submitting`, `accepted`, `refused`, `found`, `finished`…
    pub what: Cow<'static, str>,
    /// The state it led to.
    pub state: Cow<'static, str>,
    /// The submission it concerns; 0 when none.
    pub attempt: u32,
    /// Why, in words for people.
    pub why: Option<String>,
    /// The fault, when there was one.
    pub fault: Option<Fault>,
    /// The job, when one became known.
    pub job: Option<JobId>,
}

impl Run {
    /// A run that was just decided: nothing of it has left yet. Its parameters are those of its definition, rendered here
    /// and nowhere else for its nominal time in the schedule's zone.
    pub fn pending(
        id: RunId,
        (civil, fold, zone): (civil::DateTime, Fold, &TimeZone),
        due: Timestamp,
        origin: Origin,
        definition: Arc<Definition>,
        planned: Timestamp,
        config: Arc<str>,
    ) -> Self {
        let parameters = definition.parameters.rendered(&Occasion {
            run: &id,
            civil,
            fold,
            zone,
        });
        Self {
            id,
            civil,
            fold,
            due,
            origin,
            planned,
            config,
            parameters,
            definition,
            state: RunState::Pending,
            attempt: 0,
            failures: 0,
            beside: false,
            even_paused: false,
            cancel: None,
            fault: None,
            job: None,
            submitted: None,
            finished: None,
            resolved: None,
        }
    }

    /// What leaves with the present attempt.
    pub fn submission(&self, instance: &str) -> Submission {
        Submission {
            target: self.definition.target.clone(),
            query: self.definition.query.clone(),
            parameters: self.parameters.clone(),
            marker: Marker {
                instance: instance.to_owned(),
                run: self.id.clone(),
                attempt: self.attempt,
            },
        }
    }

    /// The latest wall time of its next submission, from when it was due; a run that was caught up counts from when that
    /// was decided, since whether it is too late by then is what the misfire policy says. Each attempt that was used up
    /// may have taken its whole time, and the next has as long to start as the first. What runs in the background waits
    /// as long as it must.
    pub fn start_deadline(&self) -> Timestamp {
        if self.origin.is_background() {
            return Timestamp::MAX;
        }
        let d = &self.definition;
        let tries = self.failures.saturating_add(1);
        let starting = d.start_deadline.saturating_mul(tries);
        let longest = d
            .timeout
            .saturating_add(d.cancel_grace)
            .saturating_add(d.policies.retry.max_backoff);
        let tried = longest.saturating_mul(self.failures);
        let from = match self.origin {
            Origin::CaughtUp => self.planned.max(self.due),
            _ => self.due,
        };
        super::time::later(from, starting.saturating_add(tried))
    }

    /// How long a retry that is due may wait for its turn before it is given up; `None`: as long as it must.
    pub fn retry_waits(&self) -> Option<Duration> {
        let bounded = self.failures > 0 && !self.origin.is_background();
        bounded.then_some(self.definition.start_deadline)
    }

    /// Until when a job of a lost run may still live at the vendor.
    pub fn may_live_until(&self) -> Timestamp {
        super::time::later(
            self.submitted.unwrap_or(self.planned),
            self.definition.timeout,
        )
    }

    /// Whether it is, or may be, with the vendor: what `max_in_flight` counts.
    pub fn in_flight(&self) -> bool {
        match self.state {
            RunState::Submitting { .. }
            | RunState::InDoubt { .. }
            | RunState::Running { .. }
            | RunState::Cancelling { .. } => true,
            RunState::Pending | RunState::Backoff { .. } | RunState::Finished(_) => false,
        }
    }

    /// How it ended, once it has.
    pub fn outcome(&self) -> Option<Outcome> {
        match self.state {
            RunState::Finished(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// How it ended as far as anybody knows: of a lost run, by the word of a person who looked.
    pub fn ended_as(&self) -> Option<Outcome> {
        match (self.outcome(), self.resolved) {
            (Some(Outcome::Lost), Some(Ended::Succeeded)) => Some(Outcome::Succeeded),
            (Some(Outcome::Lost), Some(Ended::Failed)) => Some(Outcome::Failed),
            (outcome, _) => outcome,
        }
    }

    /// Moves the elapsed times of a run that another process stored at `saved` onto the clock of this one: what had
    /// elapsed then plus the wall time in between, which counts only when it is not negative.
    pub fn rebase(&mut self, saved: Now, now: Now) {
        let away = super::time::between(saved.wall, now.wall);
        let shift = |m: &mut Mono| {
            let ahead = m.0.saturating_sub(saved.mono.0);
            let shifted = Mono(now.mono.0.saturating_add(ahead));
            *m = shifted.minus(away);
        };
        match &mut self.state {
            RunState::Pending | RunState::Finished(_) => {}
            RunState::Submitting { since, .. } => shift(since),
            RunState::InDoubt {
                settled, give_up, ..
            } => {
                shift(settled);
                shift(give_up);
            }
            RunState::Running {
                accepted,
                next_poll,
                gone,
                ..
            } => {
                shift(accepted);
                shift(next_poll);
                if let Some((_, since)) = gone {
                    shift(since);
                }
            }
            RunState::Cancelling {
                since, next_poll, ..
            } => {
                shift(since);
                shift(next_poll);
            }
            RunState::Backoff { until } => shift(until),
        }
    }
}
