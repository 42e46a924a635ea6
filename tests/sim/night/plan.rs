//! A night as data: all that a seed decides, so that it can be shown, played again, and made smaller.

use std::fmt;
use std::time::Duration;

use nightcall::sandbox::{Profile, Rule, Scenario};
use nightcall::sched::act::How;
use nightcall::sched::schedule::{ConnectionLimits, Definition};
use nightcall::sched::time::Timestamp;
use nightcall::sched::trigger::Rhythm;

use super::planted::Planted;

/// One night: who is to run, at what vendor, and what happens.
#[derive(Clone, Debug)]
pub(crate) struct Night {
    /// The seed that it was drawn from; it also is the seed of all chance while it is played.
    pub(crate) seed: u64,
    /// The true time at which it begins.
    pub(crate) begins: Timestamp,
    /// For so long things go wrong; then everything must come to its end.
    pub(crate) trouble: Duration,
    pub(crate) definitions: Vec<Definition>,
    pub(crate) connections: Vec<ConnectionLimits>,
    /// How the vendor behaves all night long.
    pub(crate) scenario: Scenario,
    pub(crate) line: Line,
    /// In order of time.
    pub(crate) acts: Vec<Timed>,
    /// What is done wrong on purpose, by the driver of the simulation.
    pub(crate) planted: Planted,
}

/// What lies between the daemon and the vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// How long a message is on its way, at most.
    pub(crate) way: Duration,
    /// So many requests in a hundred are on their way for up to the time limit of the request.
    pub(crate) slow: u64,
    /// The connection is encrypted: what goes wrong while it is made is known to have carried no request.
    pub(crate) tls: bool,
    /// Tokens are fetched by OAuth instead of being given.
    pub(crate) oauth: bool,
    /// Answers that come within this time of each other are taken in together and committed once.
    pub(crate) together: Duration,
    /// How long a commit takes; what comes meanwhile is taken in as the next step.
    pub(crate) commit: Duration,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            way: Duration::from_millis(200),
            slow: 0,
            tls: true,
            oauth: false,
            together: Duration::ZERO,
            commit: Duration::ZERO,
        }
    }
}

/// Something that happens at a time since the beginning.
#[derive(Clone, Debug)]
pub(crate) struct Timed {
    pub(crate) at: Duration,
    pub(crate) act: Act,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// The process is killed at the so-manieth step from now, and started again after so long.
    Kill {
        steps: usize,
        point: Point,
        down: Duration,
    },
    /// It is stopped and started again, with another configuration if there is an edit.
    Restart { down: Duration, edit: Option<Edit> },
    /// A copy of the database that was made so long ago takes the place of the present one.
    OldCopy { age: Duration },
    /// The process stands still for so long, as on a machine that is suspended; another is started meanwhile.
    Stall { lasts: Duration },
    /// Another daemon is started on the same database while this one lives.
    SecondDaemon,
    /// The store takes no commit for so long.
    StoreRefuses { lasts: Duration },
    /// The clock of the machine is set by so many seconds, and set right after so long; for good when `None`.
    Clock {
        seconds: i64,
        lasts: Option<Duration>,
    },
    /// The system says that its clock is synchronised.
    Synchronised,
    /// The daily check of the connections.
    Doctor,
    /// Somebody asks for a run; twice with the same key, as after a lost answer.
    Fire {
        schedule: String,
        key: u64,
        queue: bool,
        anyway: bool,
        even_paused: bool,
    },
    /// The vendor or the way to it misbehaves by a rule, for so long.
    Trouble { rule: Box<Rule>, lasts: Duration },
    /// No connection is accepted for so long.
    Closed { lasts: Duration },
    /// Every token that was handed out is worth nothing from now on.
    Revoke,
    /// The vendor drops a running job that the daemon knows: it answers 404 from then on.
    Forget,
    /// Somebody stops a running job at the vendor.
    StopThere,
    /// The vendor takes `metadata` and forgets it, for so long.
    NoMarkers { lasts: Duration },
    /// Somebody does something to the running daemon.
    ByHand(Hand),
}

/// What people do to a running daemon. Schedules by name; all when there is none.
#[derive(Clone, Debug)]
pub(crate) enum Hand {
    Pause {
        which: Option<String>,
        lasts: Option<Duration>,
    },
    Resume {
        which: Option<String>,
        catch_up: bool,
    },
    Skip {
        schedule: String,
        what: Which,
    },
    Unskip {
        schedule: String,
    },
    /// One of the runs on record, the live ones first.
    Cancel {
        pick: u64,
    },
    /// One of those whose end allows it.
    Again {
        pick: u64,
        how: How,
        queue: bool,
        anyway: bool,
        even_paused: bool,
    },
    /// A person says how one of the lost runs ended, or one that is looked for.
    Resolve {
        pick: u64,
    },
    /// The file is edited and read again, without a restart.
    Reload(Edit),
}

/// Which occurrences are not to run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    Next(u32),
    /// All of the present date, as UTC has it.
    Today,
    /// The one that comes after so many others.
    Coming(usize),
}

/// Where a kill hits a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// The step never happened.
    BeforeCommit,
    /// Everything is stored, nothing is done.
    AfterCommit,
    /// So many effects were released, the rest not.
    AfterEffects(usize),
}

/// A change of the configuration.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Remove(String),
    Add(Box<Definition>),
    Retime(String, Rhythm),
    TimeLimit(String, Duration),
    /// Other limits of the first connection: requests per minute, runs in flight.
    Limits(u32, u32),
    /// Everything goes to another host from now on.
    Move(String),
}

impl Night {
    /// Whether the vendor keeps to what proof of absence rests on: the list can be read, shows our markers, and its
    /// clock is near ours. Where it is not so, less may be claimed (`checks.rs`).
    pub(crate) fn list_is_honest(&self) -> bool {
        let list = &self.scenario.list;
        let marked = self.scenario.create.metadata == nightcall::sandbox::Metadata::Kept;
        marked && list.metadata && !list.forbidden && self.scenario.skew.abs().as_secs() < 50
    }

    /// Whether the words of the vendor can be trusted to say how a job ended.
    pub(crate) fn words_are_honest(&self) -> bool {
        self.scenario.profile != Profile::Weird
    }

    /// Whether the vendor drops jobs.
    pub(crate) fn forgets(&self) -> bool {
        self.acts.iter().any(|t| matches!(t.act, Act::Forget))
    }
}

impl fmt::Display for Night {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "night of seed {}: begins {}, trouble for {:?}",
            self.seed, self.begins, self.trouble
        )?;
        for d in &self.definitions {
            let after = d.after.as_ref().map(|after| format!("{after:?} "));
            writeln!(
                f,
                "  {} {}{:?} in {} (jitter {:?}) on {}, timeout {:?}, deadline {:?}, grace {:?}, {:?}",
                d.series,
                after.unwrap_or_default(),
                d.trigger.rhythm,
                d.trigger.zone,
                d.trigger.jitter,
                d.connection,
                d.timeout,
                d.start_deadline,
                d.cancel_grace,
                d.policies
            )?;
        }
        for c in &self.connections {
            writeln!(f, "  {c:?}")?;
        }
        let (s, usual) = (&self.scenario, Scenario::default());
        writeln!(f, "  vendor {:?}, {:?}", s.profile, self.line)?;
        let odd = [
            (s.list != usual.list, format!("{:?}", s.list)),
            (s.create != usual.create, format!("{:?}", s.create)),
            (s.cancel != usual.cancel, format!("{:?}", s.cancel)),
            (s.limit != usual.limit, format!("{:?}", s.limit)),
            (s.skew != usual.skew, format!("skew {:?}", s.skew)),
            (s.script != usual.script, format!("{:?}", s.script)),
            (
                s.auth != usual.auth,
                format!("lifetime {:?}", s.auth.oauth.lifetime),
            ),
        ];
        for (_, text) in odd.iter().filter(|(odd, _)| *odd) {
            writeln!(f, "  vendor {text}")?;
        }
        for Timed { at, act } in &self.acts {
            writeln!(f, "  at {:>9.3} s {act:?}", at.as_secs_f64())?;
        }
        Ok(())
    }
}
