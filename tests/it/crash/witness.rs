//! Whether the daemon really was at a boundary when it was killed: told from what the database holds and from what the
//! vendor knew.

use nightcall::sandbox::{Entry, Operation, World as Vendor};

use super::boundary::{Boundary, Hit};
use super::program::{Look, Row};

/// What the vendor knew at the kill.
#[derive(Debug)]
pub(super) struct Facts {
    /// Jobs made for the first and the second attempt.
    accepted: (usize, usize),
    /// Creations of the run that were asked for in this life.
    creations: usize,
    /// Questions about the run in this life.
    polls: usize,
    /// Wishes to stop it in this life.
    cancels: usize,
    /// Whether the run's job was asked to stop, and whether it had ended.
    stop_asked: bool,
    ended: bool,
    /// Creations of any run in this life.
    all_creations: usize,
    /// Lists that were asked for in this life before the one in question.
    lists: usize,
    /// Whether the reply in question had left.
    replied: bool,
}

impl Facts {
    pub(super) fn of(vendor: &Vendor, hit: &Hit, began: u64) -> Self {
        let run = hit.run.as_deref().unwrap_or("-");
        let life: Vec<&Entry> = {
            let late = vendor.journal().entries().rev();
            late.take_while(|e| e.number > began).collect()
        };
        let count = |fits: &dyn Fn(&Entry) -> bool| life.iter().filter(|e| fits(e)).count();
        let job = vendor.jobs_of(run).last();
        let this = hit.entry.unwrap_or(0);
        Self {
            accepted: (vendor.accepted(run, 1), vendor.accepted(run, 2)),
            creations: count(&|e| e.operation == Operation::Create && is_about(e, run)),
            polls: count(&|e| e.operation == Operation::Read && is_about(e, run)),
            cancels: count(&|e| e.operation == Operation::Cancel && is_about(e, run)),
            stop_asked: job.is_some_and(|job| job.stop_asked.is_some()),
            ended: job.is_some_and(|job| job.phase(vendor.now()).is_final()),
            all_creations: count(&|e| e.operation == Operation::Create),
            lists: count(&|e| e.operation == Operation::List && e.number < this),
            replied: life.iter().any(|e| e.number == this && e.sent.is_some()),
        }
    }
}

fn is_about(entry: &Entry, run: &str) -> bool {
    entry.run.as_deref() == Some(run)
}

/// What there was at a kill.
pub(super) struct Scene<'a> {
    pub(super) hit: &'a Hit,
    pub(super) facts: &'a Facts,
    /// What the database holds.
    pub(super) look: &'a Look,
    /// How often it had been opened before this life.
    pub(super) epoch: i64,
    /// When the daemon was killed.
    pub(super) at: i64,
}

impl Boundary {
    /// Whether the daemon really was there when it was killed.
    pub(super) fn was_hit(self, scene: &Scene<'_>) -> bool {
        let facts = scene.facts;
        let row = scene.hit.run.as_deref().and_then(|run| scene.look.run(run));
        let is = |state, attempt| row.as_ref().is_some_and(|row| row.is(state, attempt));
        let state = |state: &str| row.as_ref().is_some_and(|row| row.state == state);
        let started = scene.look.epoch() > scene.epoch;
        let doubts = || {
            scene
                .look
                .number("SELECT count(*) FROM runs WHERE state = 'in_doubt'")
        };
        let just_now = |row: &Row| scene.at - row.changed < 200_000_000;
        match self {
            Self::IntentUnwritten => row.is_none() && facts.creations == 0,
            Self::IntentAtOnce => facts.accepted.0 == 0 && facts.polls == 0,
            Self::IntentWritten => is("submitting", 1) && facts.creations == 0,
            Self::RequestLost | Self::RequestLate => {
                is("submitting", 1) && facts.creations == 1 && facts.accepted.0 == 0
            }
            Self::ReplyHeld => is("submitting", 1) && facts.accepted.0 == 1 && !facts.replied,
            Self::ReplyUnwritten => is("submitting", 1) && facts.accepted.0 == 1 && facts.replied,
            Self::ReplyWritten => state("running") && facts.polls == 0,
            Self::PollHeld => state("running") && facts.polls > 0 && !facts.replied,
            Self::EndUnwritten => state("running") && facts.ended && facts.replied,
            Self::EndWritten => state("finished") && row.as_ref().is_some_and(just_now),
            Self::FailureUnwritten => is("running", 1) && facts.ended && facts.replied,
            Self::BackoffWritten | Self::SecondIntentUnwritten => {
                is("backoff", 1) && facts.accepted == (1, 0)
            }
            Self::SecondIntentWritten => {
                is("submitting", 2) && facts.accepted.1 == 0 && facts.creations <= 1
            }
            Self::SecondRequestLost => is("submitting", 2) && facts.accepted == (1, 0),
            Self::SecondReplyHeld => {
                is("submitting", 2) && facts.accepted == (1, 1) && !facts.replied
            }
            Self::CancelUnwritten => state("running") && !facts.stop_asked,
            Self::CancelWritten => state("cancelling") && facts.cancels == 0,
            Self::CancelLost => state("cancelling") && facts.cancels > 0 && !facts.stop_asked,
            Self::CancelHeld => state("cancelling") && facts.stop_asked && !facts.replied,
            Self::CancelAnswered => state("cancelling") && facts.stop_asked && facts.replied,
            Self::StopUnwritten => state("cancelling") && facts.ended && facts.replied,
            Self::DoubtListHeld => doubts() > 0 && facts.lists > 0 && !facts.replied,
            Self::DoubtListUnwritten => doubts() > 0 && facts.lists > 0 && facts.replied,
            Self::StartHeld => !started,
            Self::StartListHeld => started && facts.all_creations == 0 && !facts.replied,
            Self::StartListUnwritten => started && facts.all_creations == 0 && facts.replied,
            Self::StartAnywhere | Self::Anywhere => true,
        }
    }
}
