//! The whole vocabulary between heart and shell: what goes in ([`Input`]), what must be stored ([`Change`]), what is
//! then done ([`Effect`]).

use std::sync::Arc;
use std::time::Duration;

use super::act::{Act, Acted, By, Deed, Pause, Scope, Skip, SkipWhat};
use super::call::{ListedJob, Submission, Target};
use super::fault::Fault;
use super::finding::Finding;
use super::id::{ClientKey, ConnectionName, JobId, RunId, ScheduleName, SeriesId, SetName};
use super::notice::Notice;
use super::outcome::SkipReason;
use super::run::{Record, Run};
use super::schedule::Definition;
use super::scheduler::Setup;
use super::time::{Now, TimeRange, Timestamp, civil};

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time passed; empty on purpose: planning looks at the clock only.
    Wake,
    /// The vendor's answer to one exchange, with its clock (`Date`) when it sent one.
    Answer {
        /// Which exchange.
        key: Key,
        /// What was said.
        answer: Answer,
        /// The vendor's clock.
        date: Option<Timestamp>,
    },
    /// The vendor's answer to one list call.
    Listed {
        /// Which list.
        key: ListKey,
        /// What was said.
        answer: ListAnswer,
        /// The vendor's clock.
        date: Option<Timestamp>,
    },
    /// The system says whether its clock is synchronised.
    Clock {
        /// Whether it is.
        synchronised: bool,
    },
    /// It is time for the daily check: every connection is asked for proof that its job list can be read.
    Doctor,
    /// What the look at everything found.
    Examined(Vec<Finding>),
    /// Somebody asks for a run.
    Fire {
        /// To answer by.
        token: Token,
        /// What is asked.
        request: FireRequest,
    },
    /// Somebody wants something done.
    Act {
        /// To answer by.
        token: Token,
        /// What.
        act: Act,
        /// Who, and why.
        by: By,
        /// All runs on record of the series and instant that [`Act::run`] names; empty for other acts.
        known: Vec<Run>,
    },
    /// Another configuration is to take the place of the present one, whole or not at all.
    Reload {
        /// To answer by.
        token: Token,
        /// What the new configuration says, or all that is wrong with it.
        setup: Result<Box<Setup>, String>,
        /// Who, and why.
        by: By,
    },
}

/// A token by which the shell finds the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// A run by hand.
#[derive(Clone, Debug, PartialEq)]
pub struct FireRequest {
    /// Which schedule.
    pub schedule: ScheduleName,
    /// Which set; `None` when the schedule has only one.
    pub set: Option<SetName>,
    /// The client's random key: the same key never makes a second run.
    pub key: ClientKey,
    /// Parameters that replace those of the definition, by name.
    pub overrides: serde_json::Map<String, serde_json::Value>,
    /// The civil date that templates and the nominal time are rendered for; the time of asking when `None`.
    pub as_of: Option<civil::Date>,
    /// Wait behind a busy series instead of being refused.
    pub queue: bool,
    /// Run beside a busy series instead of being refused.
    pub anyway: bool,
    /// Run although the schedule is paused.
    pub even_paused: bool,
}

/// The answer to [`FireRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fired {
    /// The run is stored and will be submitted (or was, when the same key is asked again).
    Run(RunId),
    /// Nothing was stored: why, and what to do.
    Refused {
        /// One sentence.
        message: String,
        /// What to do about it.
        hint: String,
    },
}

/// Which exchange with the vendor an answer belongs to; an answer that is not the awaited one is dropped and counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The run.
    pub run: RunId,
    /// The submission.
    pub attempt: u32,
    /// Counts exchanges; never used twice in one process.
    pub sequence: u64,
}

/// Which list call an answer belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListKey {
    /// The connection.
    pub connection: ConnectionName,
    /// Counts exchanges.
    pub sequence: u64,
}

/// What the vendor said to one exchange about a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To a submission.
    Submit(SubmitAnswer),
    /// To a question how a job stands.
    Poll(PollAnswer),
    /// To a request to stop a job.
    Cancel(CancelAnswer),
}

/// The three forms of an answer to a submission. Only a certain failure may be retried at once.
#[derive(Clone, Debug, PartialEq)]
pub enum SubmitAnswer {
    /// There is a job.
    Accepted(JobId),
    /// There is certainly no job.
    Refused(Fault),
    /// Everything else.
    Unsure(Fault),
}

/// How a job stands.
#[derive(Clone, Debug, PartialEq)]
pub enum PollAnswer {
    /// It waits or runs. A word that is not known is passed on, so that it is recorded once.
    Working {
        /// The vendor's word, when it is not a known one.
        unknown: Option<String>,
    },
    /// It ended well.
    Succeeded,
    /// It ended with an error.
    Failed(Fault),
    /// Somebody stopped it.
    Cancelled,
    /// The vendor does not know it, or will not speak of it (400, 404).
    Gone(Fault),
    /// No answer that says anything: ask again.
    NoAnswer(Fault),
}

/// What came of a request to stop a job. Whether it stops is seen by polling.
#[derive(Clone, Debug, PartialEq)]
pub enum CancelAnswer {
    /// The vendor took note, or says that there is nothing to stop (400, 404).
    Noted,
    /// No answer that says anything: ask again.
    NoAnswer(Fault),
}

/// What a list call gave.
#[derive(Clone, Debug, PartialEq)]
pub enum ListAnswer {
    /// The entries, in the vendor's order.
    Jobs(Vec<ListedJob>),
    /// The list cannot be had here (403, 404, unreadable): jobs cannot be looked for.
    Unsupported(Fault),
    /// No answer that says anything: ask again.
    NoAnswer(Fault),
}

/// What must be durable before any effect of the same step leaves.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The present state of a run with the line of its story that led there.
    Run {
        /// The run after the change.
        run: Box<Run>,
        /// What happened.
        record: Record,
        /// Both clocks at the change: elapsed times are stored relative to it.
        at: Now,
    },
    /// Times that passed in bulk and will not run.
    Missed(Missed),
    /// The trigger that a series is planned with from now on; its own cursor, beside the global mark.
    Cursor {
        /// The series.
        series: SeriesId,
        /// Every occurrence up to here is decided.
        upto: Timestamp,
        /// What it is planned with.
        definition: Arc<Definition>,
    },
    /// A series is no longer in the configuration.
    Closed {
        /// The series.
        series: SeriesId,
        /// Decided up to here.
        upto: Timestamp,
    },
    /// What a person should hear.
    Notice(Notice),
    /// Every occurrence of every open series up to this time is decided. Never goes back.
    Mark(Timestamp),
    /// What is remembered of a connection.
    Connection {
        /// The connection.
        name: ConnectionName,
        /// The whole memory, replacing the former.
        memory: ConnectionMemory,
    },
    /// A pause begins, or takes the place of the one of its scope.
    Paused(Pause),
    /// A pause is over.
    Resumed(Scope),
    /// A wish to skip, taking the place of the one with its key.
    Skip(Skip),
    /// A wish to skip is fulfilled, or taken back.
    Unskip(SeriesId, SkipWhat),
    /// Somebody did something.
    Acted(Deed),
}

/// Times that passed in bulk and did not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The series.
    pub series: SeriesId,
    /// From when to when.
    pub range: TimeRange,
    /// How many occurrences.
    pub count: u64,
    /// Why they did not run.
    pub reason: SkipReason,
    /// When that was decided.
    pub at: Timestamp,
}

impl Missed {
    /// What became of the times, in words that follow them: not all that passes was missed.
    pub fn verb(&self) -> String {
        match self.reason {
            SkipReason::Missed => "were missed".to_owned(),
            SkipReason::Paused => "passed while paused".to_owned(),
            SkipReason::Asked => "passed as somebody asked".to_owned(),
            other => format!("passed: {}", other.word()),
        }
    }
}

/// What is remembered of a connection: it makes the absence of a job provable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionMemory {
    /// Jobs that were accepted, with the time, oldest first: at most [`ConnectionMemory::MAX`], minutes apart but for
    /// the last, so that one of them lies before any submission in doubt.
    pub accepted: Vec<(JobId, Timestamp)>,
    /// When a wide list last showed a job of ours with its marker.
    pub proven: Option<Timestamp>,
}

impl ConnectionMemory {
    /// The most jobs that are remembered.
    pub const MAX: usize = 8;
    /// How far they lie apart at least, but for the last.
    const APART: Duration = Duration::from_secs(180);

    /// Remembers one more accepted job.
    pub fn remember(&mut self, job: JobId, at: Timestamp) {
        if let [.., (_, before), (_, last)] = self.accepted.as_slice()
            && super::time::between(*before, *last) < Self::APART
        {
            self.accepted.pop();
        }
        self.accepted.push((job, at));
        if self.accepted.len() > Self::MAX {
            self.accepted.remove(0);
        }
    }
}

/// What is done after the changes of the same step are durable.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask the vendor something about one run; answered by [`Input::Answer`].
    Ask {
        /// To answer by.
        key: Key,
        /// Whose credential and limits.
        connection: ConnectionName,
        /// What to ask.
        ask: Ask,
    },
    /// Read the job list; answered by [`Input::Listed`].
    List {
        /// To answer by.
        key: ListKey,
        /// Where.
        target: Target,
        /// Jobs created since then.
        since: Timestamp,
    },
    /// Answer a request by hand.
    Reply {
        /// Whom.
        token: Token,
        /// With what.
        fired: Fired,
    },
    /// Answer an act or a reload.
    Acted {
        /// Whom.
        token: Token,
        /// With what.
        acted: Acted,
    },
}

/// One question to the vendor about a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Create a job.
    Submit(Box<Submission>),
    /// How does it stand?
    Poll(Target, JobId),
    /// Stop it.
    Cancel(Target, JobId),
}

/// What one input leads to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// To store, in order, in one transaction.
    pub changes: Vec<Change>,
    /// To do afterwards, in order.
    pub effects: Vec<Effect>,
}

impl Step {
    /// Takes in what follows: both are then stored in one transaction.
    pub fn extend(&mut self, next: Self) {
        self.changes.extend(next.changes);
        self.effects.extend(next.effects);
    }
}

/// How far [`Saved::recent`] goes back before the mark.
pub const RECENT: Duration = Duration::from_secs(48 * 3600);

/// So many occurrences of a series that passed in a pause are remembered, to be caught up when somebody wants that.
pub const PASSED: usize = 100;

/// What the store knows at a start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    /// The global mark; `None` in a new database.
    pub mark: Option<Timestamp>,
    /// Open series: own cursor and the definition they were planned with.
    pub series: Vec<SavedSeries>,
    /// Runs that are not finished, with both clocks at their last change.
    pub live: Vec<(Run, Now)>,
    /// Lost runs whose job may still live: `submitted + timeout` is later than [`RECENT`] before the mark, which is ahead
    /// of a clock that was set back.
    pub lost: Vec<Run>,
    /// Identities decided in the last two days, so that nothing fires again after a change of zone data; and later
    /// generations that ended in these, so that their jobs are known.
    pub recent: Vec<Decided>,
    /// What is remembered of each connection.
    pub connections: Vec<(ConnectionName, ConnectionMemory)>,
    /// Pauses, by scope.
    pub pauses: Vec<Pause>,
    /// Wishes to skip, by series and key.
    pub skips: Vec<Skip>,
    /// Of each open series that is paused the newest occurrences, at most [`PASSED`], that passed since the pause began
    /// and have no later generation; by series, oldest first.
    pub passed: Vec<Decided>,
}

/// A series as it was stored.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedSeries {
    /// The series.
    pub series: SeriesId,
    /// Its own cursor; the mark counts when it is later.
    pub cursor: Timestamp,
    /// What it was planned with.
    pub definition: Arc<Definition>,
}

/// An identity on record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decided {
    /// The run.
    pub run: RunId,
    /// Its nominal wall time.
    pub civil: civil::DateTime,
    /// Which of two equal wall times.
    pub fold: super::trigger::Fold,
}
