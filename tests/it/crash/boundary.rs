//! The boundaries at which the daemon is killed. `reach.rs` brings it there, `witness.rs` sees afterwards that it was
//! really there.

use nightcall::sandbox::{Entry, Fault, Operation, Rule};

use super::life::HELD;
use super::program::{Row, WriteLock};

macro_rules! boundaries {
    ($($name:ident: $words:literal,)+) => {
        /// Where in its work the daemon is killed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Boundary { $($name),+ }

        impl Boundary {
            pub(super) const ALL: &[Self] = &[$(Self::$name),+];

            pub(super) fn words(self) -> &'static str {
                match self { $(Self::$name => $words),+ }
            }
        }
    };
}

boundaries! {
    IntentUnwritten: "due, intent not committed",
    IntentAtOnce: "due, while the intent is being committed",
    IntentWritten: "intent committed, request not sent",
    RequestLost: "request sent, never handled",
    RequestLate: "request sent, handled after the kill",
    ReplyHeld: "job made, reply not sent",
    ReplyUnwritten: "reply received, not committed",
    ReplyWritten: "reply committed",
    PollHeld: "poll sent, not answered",
    EndUnwritten: "poll said the end, not committed",
    EndWritten: "end committed",
    FailureUnwritten: "poll said a failure, not committed",
    BackoffWritten: "backoff committed",
    SecondIntentUnwritten: "retry due, intent not committed",
    SecondIntentWritten: "retry: intent committed, request not sent",
    SecondRequestLost: "retry sent, never handled",
    SecondReplyHeld: "retry: job made, reply not sent",
    CancelUnwritten: "time limit passed, not committed",
    CancelWritten: "cancel committed, request not sent",
    CancelLost: "cancel sent, never handled",
    CancelHeld: "cancel taken, reply not sent",
    CancelAnswered: "cancel answered, not polled",
    StopUnwritten: "poll said stopped, not committed",
    DoubtListHeld: "in doubt, list asked for",
    DoubtListUnwritten: "in doubt, list received, not committed",
    StartHeld: "start: before the lease is taken",
    StartListHeld: "start: recovered, list asked for",
    StartListUnwritten: "start: list received, not committed",
    StartAnywhere: "start: at a random moment",
    Anywhere: "at a random moment",
}

/// The daemon is where it is to be killed.
pub(super) struct Hit {
    /// The run that it is about, if it is about one.
    pub(super) run: Option<String>,
    /// The request that it is about, if it is about one.
    pub(super) entry: Option<u64>,
    /// Must be held until the kill.
    lock: Option<WriteLock>,
}

impl Hit {
    pub(super) fn at(run: &Row) -> Self {
        Self::at_run(run.id.clone())
    }

    pub(super) fn at_run(run: String) -> Self {
        Self {
            run: Some(run),
            ..Self::nowhere()
        }
    }

    pub(super) fn at_entry(entry: &Entry) -> Self {
        Self {
            run: entry.run.clone(),
            entry: Some(entry.number),
            ..Self::nowhere()
        }
    }

    pub(super) fn nowhere() -> Self {
        Self {
            run: None,
            entry: None,
            lock: None,
        }
    }

    pub(super) fn locked(self, lock: WriteLock) -> Self {
        Self {
            lock: Some(lock),
            ..self
        }
    }

    /// The daemon is dead.
    pub(super) fn unlock(&mut self) {
        self.lock = None;
    }
}

/// A reply that comes late enough for the write lock to be taken first.
pub(super) fn late_reply() -> Fault {
    Fault::LateReply(HELD)
}

impl Boundary {
    /// Whether it lies before the daemon is ready.
    pub(super) fn at_start(self) -> bool {
        self >= Self::DoubtListHeld && self != Self::Anywhere
    }

    /// What goes wrong from the start on.
    pub(super) fn rules(self) -> Vec<Rule> {
        let list = |fault| Rule::on(Operation::List, fault);
        // Without a doubt from an earlier life the list is not read again after the start.
        let doubt = Rule::on(Operation::Create, Fault::DropReply)
            .run("plain/")
            .times(1);
        match self {
            Self::DoubtListHeld => vec![doubt, list(Fault::Silence).nth(2)],
            Self::DoubtListUnwritten => vec![doubt, list(late_reply()).nth(2)],
            Self::StartListHeld => vec![list(Fault::Silence).nth(1)],
            Self::StartListUnwritten => vec![list(late_reply()).nth(1)],
            _ => Vec::new(),
        }
    }
}
